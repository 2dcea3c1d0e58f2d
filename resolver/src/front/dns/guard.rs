//! Who may ask, and how often: access lists, response rate limits, limits of whole zones.

use super::reply::Outcome;
use crate::front::abuse;
use crate::front::rate::{Rates, network_of};
use idnode_proto::dnsname::ZoneKind;
use ipnet::IpNet;
use metrics::Counter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicU64;

/// What an operator sets of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardOptions {
    /// Networks that may ask; empty: all.
    pub allow: Vec<IpNet>,
    /// Networks that are not answered at all.
    pub deny: Vec<IpNet>,
    /// Equal UDP answers to one network in a second; 0: as many as are asked for.
    pub responses_per_s: u32,
    /// Of those beyond, every how many-eth is sent empty and truncated, so that a real client
    /// can ask again over TCP; 0: none.
    pub slip: u32,
    /// Networks whose UDP answers are not counted.
    pub exempt: Vec<IpNet>,
    /// Queries for one zone in a second; 0: as many as there are.
    pub zone_queries_per_s: u32,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            responses_per_s: 200,
            slip: 2,
            exempt: vec![
                IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST)),
                IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
            ],
            zone_queries_per_s: 0,
        }
    }
}

/// Whether somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Welcome,
    /// Is told so.
    Refused,
    /// Hears nothing.
    Ignored,
}

/// What becomes of a UDP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    /// Without its records: a real client asks again over TCP.
    Truncate,
    Drop,
}

/// Decides by the options.
pub(super) struct Guard {
    options: GuardOptions,
    /// Of answers to networks.
    rates: Rates,
    zones: [AtomicU64; 3],
    limited: Counter,
    over_zone_limit: Counter,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub(super) fn new(options: &GuardOptions) -> Self {
        let bound = |bound| metrics::counter!("idnode_bound_hits_total", "bound" => bound);
        Self {
            options: options.clone(),
            rates: Rates::new(),
            zones: Default::default(),
            limited: bound("dns_response_rate"),
            over_zone_limit: bound("dns_zone_queries"),
        }
    }

    /// Whether an address may ask.
    pub(super) fn admission(&self, address: IpAddr) -> Admission {
        let options = &self.options;
        if options.deny.iter().any(|net| net.contains(&address)) {
            return Admission::Ignored;
        }
        if options.allow.is_empty() || options.allow.iter().any(|net| net.contains(&address)) {
            Admission::Welcome
        } else {
            Admission::Refused
        }
    }

    /// Counts one query for a zone; whether it is within the zone's limit.
    pub(super) fn admits_to(&self, zone: ZoneKind) -> bool {
        let limit = self.options.zone_queries_per_s;
        if limit == 0 {
            return true;
        }
        let Some(place) = self.zones.get(zone as usize) else {
            return true;
        };
        let is_within = self.rates.count_in(place, 0, 1) <= limit;
        if !is_within {
            self.over_zone_limit.increment(1);
        }
        is_within
    }

    /// What becomes of an answer to a datagram whose source may be forged. Answers that say
    /// something are counted by what was asked, `question`; those that say that there is
    /// nothing, or that refuse, by their kind: they can be had with any name.
    pub(super) fn verdict(&self, source: IpAddr, outcome: Outcome, question: &[u8]) -> Verdict {
        let options = &self.options;
        if options.responses_per_s == 0 || options.exempt.iter().any(|net| net.contains(&source)) {
            return Verdict::Send;
        }
        let question = match outcome {
            Outcome::Answered => question,
            _ => &[],
        };
        let thing = (network_of(source), outcome as u8, question);
        let count = self.rates.count(thing, 1);
        let Some(beyond) = count
            .checked_sub(options.responses_per_s)
            .filter(|n| *n > 0)
        else {
            return Verdict::Send;
        };
        self.limited.increment(1);
        abuse::turned_away();
        match beyond.checked_rem(options.slip) {
            Some(0) => Verdict::Truncate,
            _ => Verdict::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn guard(options: GuardOptions) -> Guard {
        Guard::new(&options)
    }

    fn verdicts(guard: &Guard, source: &str, outcome: Outcome, names: &[&[u8]]) -> [usize; 3] {
        let mut counts = [0; 3];
        for name in names {
            counts[guard.verdict(source.parse().unwrap(), outcome, name) as usize] += 1;
        }
        counts
    }

    #[test]
    fn lists_say_who_may_ask() {
        let guard = guard(GuardOptions {
            allow: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            deny: vec!["10.1.0.0/16".parse().unwrap()],
            ..GuardOptions::default()
        });
        for (address, expected) in [
            ("10.2.3.4", Admission::Welcome),
            ("2001:db8::1", Admission::Welcome),
            ("10.1.3.4", Admission::Ignored),
            ("192.0.2.1", Admission::Refused),
        ] {
            assert_eq!(
                guard.admission(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn equal_answers_to_one_network_are_limited() {
        let guard = guard(GuardOptions {
            responses_per_s: 10,
            slip: 2,
            ..GuardOptions::default()
        });
        let same: Vec<&[u8]> = vec![b"same"; 100];
        // A second may end in between.
        let [sent, truncated, dropped] = verdicts(&guard, "192.0.2.1", Outcome::Answered, &same);
        assert!((10..=20).contains(&sent), "{sent}");
        assert!(truncated >= 40 && dropped >= 40, "{truncated} {dropped}");
        let neighbour = guard.verdict("192.0.2.9".parse().unwrap(), Outcome::Answered, b"same");
        assert_ne!(neighbour, Verdict::Send, "the same network");
        let other = guard.verdict("192.0.3.9".parse().unwrap(), Outcome::Answered, b"same");
        assert_eq!(other, Verdict::Send, "another network");
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let [sent, ..] = verdicts(&guard, "192.0.2.1", Outcome::Answered, &names);
        assert_eq!(sent, 100, "different answers");
        let [sent, ..] = verdicts(&guard, "192.0.2.1", Outcome::NoName, &names);
        assert!(sent <= 20, "different names that do not exist: {sent}");
        let [sent, ..] = verdicts(&guard, "127.0.0.1", Outcome::NoName, &names);
        assert_eq!(sent, 100, "an exempt network");
    }

    #[test]
    fn zones_have_limits_of_their_own() {
        let guard = guard(GuardOptions {
            zone_queries_per_s: 10,
            ..GuardOptions::default()
        });
        let admitted = (0..100).filter(|_| guard.admits_to(ZoneKind::Node)).count();
        assert!((10..=20).contains(&admitted), "{admitted}");
        assert!(guard.admits_to(ZoneKind::Ors));
    }
}
