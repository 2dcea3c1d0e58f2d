//! Guesses at the keys of handle administrators, on every front: proofs that do not hold are counted
//! by the network they come from, and by that network and the administrator they would be of.
//!
//! A network that fails too often in a minute is not listened to until the next, and neither is one
//! that fails too often for an administrator, for that one. A network from which an administrator has
//! proven its key within the last half an hour is listened to for it whatever else fails there: a
//! machine beside it that has a wrong secret keeps nobody out.
//!
//! Who guesses from many networks is bounded by their number: when too many proofs of an
//! administrator have failed wherever they came from, each further network has one failure in a
//! minute. Since a right secret does not fail, strangers in other networks lock nobody out. What
//! has a source that may be forged is counted apart, by administrator, and concerns nothing else.

use super::abuse;
use super::rate::{Rates, network_of};
use idnode_proto::handle::admin::AdminId;
use ipnet::IpNet;
use metrics::{Counter, counter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Failures are counted for so long.
const FAILED_WINDOW: Duration = Duration::from_secs(60);
/// A success is remembered for so long, and for as long again at most.
const PROVEN_WINDOW: Duration = Duration::from_secs(1_800);

/// How much guessing is too much.
#[derive(Debug, Clone)]
pub struct GuessLimits {
    /// Failed proofs from one network, and from it of one administrator, in a minute; 0: any number.
    pub failed_per_minute: u32,
    /// Networks whose failures are counted for the administrator alone: behind one address of theirs
    /// may be many.
    pub exempt: Vec<IpNet>,
}

impl Default for GuessLimits {
    fn default() -> Self {
        Self {
            failed_per_minute: 30,
            exempt: vec![
                IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST)),
                IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
            ],
        }
    }
}

/// Failures that a network has in a minute for an administrator whose proofs fail too often elsewhere.
const FAILED_WHEN_SPREAD: u32 = 1;

/// What is counted.
#[derive(Debug, Hash)]
enum Of<'a> {
    Network(u64),
    Administrator(&'a AdminId),
    Pair(u64, &'a AdminId),
}

/// A proof that others are asked about.
#[derive(Debug)]
#[must_use = "what they say of it is to be counted"]
pub(super) struct Sent {
    is_counted: bool,
}

/// Counts of failures, and who has not failed.
#[derive(Debug)]
pub(super) struct Guesses {
    limits: GuessLimits,
    failed: Rates,
    /// Of who may have forged where it is, by administrator: strangers can fill it, and push nothing
    /// else out.
    failed_nowhere: Rates,
    proven: Rates,
    at_bound: Counter,
}

impl Guesses {
    pub(super) fn new(limits: GuessLimits) -> Self {
        Self {
            limits,
            failed: Rates::over(FAILED_WINDOW),
            failed_nowhere: Rates::over(FAILED_WINDOW),
            proven: Rates::over(PROVEN_WINDOW),
            at_bound: counter!("idnode_bound_hits_total", "bound" => "failed_proofs"),
        }
    }

    /// Whether a proof of an administrator's is listened to. `source`: where it comes from, if that
    /// cannot be forged.
    pub(super) fn allows(&self, id: &AdminId, source: Option<IpAddr>) -> bool {
        let limit = self.limits.failed_per_minute;
        let allowed = limit == 0
            || match source {
                Some(source) => self.allows_from(source, id, limit),
                None => self.failed_nowhere.counted(Of::Administrator(id), 0) < limit,
            };
        if !allowed {
            self.at_bound.increment(1);
            abuse::turned_away();
        }
        allowed
    }

    fn allows_from(&self, source: IpAddr, id: &AdminId, limit: u32) -> bool {
        let network = network_of(source);
        let failed = |of: Of<'_>| self.failed.counted(of, 0);
        let for_it = failed(Of::Pair(network, id));
        if for_it >= limit {
            return false;
        }
        if self.has_proven(id, network) {
            return true;
        }
        if !self.is_exempt(source) && failed(Of::Network(network)) >= limit {
            return false;
        }
        for_it < FAILED_WHEN_SPREAD || failed(Of::Administrator(id)) < limit
    }

    /// Counts a proof that did not hold.
    pub(super) fn failed(&self, id: &AdminId, source: Option<IpAddr>) {
        let count = |rates: &Rates, of: Of<'_>| _ = rates.count(of, 1);
        self.in_each(id, source, count);
    }

    /// Counts a proof that others are asked about, before they answer: of those that are sent at once no
    /// more go out than may fail. Who has proven its key of late is not counted before it fails.
    pub(super) fn sent(&self, id: &AdminId, source: Option<IpAddr>) -> Sent {
        let is_known = source.is_some_and(|source| self.has_proven(id, network_of(source)));
        if !is_known {
            self.failed(id, source);
        }
        Sent {
            is_counted: !is_known,
        }
    }

    /// Notes what others have said of a proof; `None`: nothing.
    pub(super) fn judged(
        &self,
        sent: Sent,
        id: &AdminId,
        source: Option<IpAddr>,
        proven: Option<bool>,
    ) {
        let is_wrong = proven == Some(false);
        match sent.is_counted {
            false if is_wrong => self.failed(id, source),
            true if !is_wrong => self.in_each(id, source, |rates, of| rates.uncount(of, 1)),
            _ => {}
        }
        if proven == Some(true) {
            self.proven(id, source);
        }
    }

    /// Where failures of an administrator's are counted that come from there.
    fn in_each(&self, id: &AdminId, source: Option<IpAddr>, act: impl Fn(&Rates, Of<'_>)) {
        let Some(source) = source else {
            return act(&self.failed_nowhere, Of::Administrator(id));
        };
        let network = network_of(source);
        if !self.is_exempt(source) {
            act(&self.failed, Of::Network(network));
        }
        act(&self.failed, Of::Pair(network, id));
        act(&self.failed, Of::Administrator(id));
    }

    /// Notes one that did.
    pub(super) fn proven(&self, id: &AdminId, source: Option<IpAddr>) {
        if let Some(source) = source {
            self.proven.count((network_of(source), id), 1);
        }
    }

    /// Whether the administrator has proven its key from there of late.
    fn has_proven(&self, id: &AdminId, network: u64) -> bool {
        let times = |ago| self.proven.counted((network, id), ago);
        times(0) > 0 || times(1) > 0
    }

    /// Whether a network's failures are counted for administrators alone.
    fn is_exempt(&self, source: IpAddr) -> bool {
        self.limits.exempt.iter().any(|net| net.contains(&source))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn guesses(limit: u32) -> Guesses {
        let guesses = Guesses::new(GuessLimits {
            failed_per_minute: limit,
            exempt: vec!["192.0.2.0/24".parse().unwrap()],
        });
        Guesses {
            failed: guesses.failed.at_fixed_places(),
            failed_nowhere: guesses.failed_nowhere.at_fixed_places(),
            proven: guesses.proven.at_fixed_places(),
            ..guesses
        }
    }

    fn id(text: &str) -> AdminId {
        text.parse().unwrap()
    }

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_network_that_fails_too_often_is_not_listened_to() {
        let guesses = guesses(3);
        for n in 0..3 {
            let tried = id(&format!("{n}:0.NA/88.118.8"));
            assert!(guesses.allows(&tried, from("198.51.100.1")));
            guesses.failed(&tried, from("198.51.100.1"));
        }
        let own = id("300:0.NA/88.118.8");
        assert!(!guesses.allows(&own, from("198.51.100.99")));
        assert!(guesses.allows(&own, from("203.0.113.1")));
        assert!(guesses.allows(&own, from("192.0.2.1")) && guesses.allows(&own, None));
    }

    #[test]
    fn what_fails_in_a_network_keeps_nobody_out_who_has_proven_its_key_there() {
        let guesses = guesses(3);
        let own = id("300:0.NA/88.118.8");
        guesses.proven(&own, from("203.0.113.1"));
        let other = id("301:0.NA/88.118.8");
        for _ in 0..3 {
            guesses.failed(&other, from("203.0.113.1"));
        }
        assert!(!guesses.allows(&other, from("203.0.113.1")));
        assert!(guesses.allows(&own, from("203.0.113.77")));
        for _ in 0..3 {
            guesses.failed(&own, from("203.0.113.1"));
        }
        assert!(
            !guesses.allows(&own, from("203.0.113.1")),
            "guesses of its own"
        );
    }

    #[test]
    fn strangers_lock_no_administrator_out_elsewhere() {
        let guesses = guesses(3);
        let own = id("300:0.NA/88.118.8");
        // As many as there are networks, and of forged sources any number.
        for n in 1..=200 {
            for _ in 0..10 {
                guesses.failed(&own, from(&format!("198.51.{n}.1")));
                guesses.failed(&own, None);
            }
        }
        for elsewhere in ["203.0.113.1", "2001:db8::1", "192.0.2.1"] {
            assert!(guesses.allows(&own, from(elsewhere)), "{elsewhere}");
        }
        assert!(!guesses.allows(&own, None), "but for what may be forged");
        assert!(guesses.allows(&id("301:0.NA/88.118.8"), None));
    }

    #[test]
    fn guessing_from_many_networks_is_bounded_by_their_number() {
        let guesses = guesses(3);
        let own = id("300:0.NA/88.118.8");
        let mut tried = 0;
        for _ in 0..10 {
            for n in 0..50 {
                let source = from(&format!("198.51.{n}.1"));
                if guesses.allows(&own, source) {
                    guesses.failed(&own, source);
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 50, "each has one");
    }

    #[test]
    fn failures_that_may_be_forged_concern_nothing_else() {
        let guesses = guesses(3);
        let own = id("300:0.NA/88.118.8");
        for _ in 0..3 {
            assert!(guesses.allows(&own, None));
            guesses.failed(&own, None);
        }
        assert!(!guesses.allows(&own, None));
        // Its tries elsewhere are as many as before.
        for _ in 0..3 {
            assert!(guesses.allows(&own, from("203.0.113.1")));
            guesses.failed(&own, from("203.0.113.1"));
        }
        assert!(!guesses.allows(&own, from("203.0.113.1")));
    }

    #[test]
    fn of_proofs_that_are_sent_at_once_no_more_go_out_than_may_fail() {
        let own = id("300:0.NA/88.118.8");
        for source in [from("198.51.100.1"), from("192.0.2.1"), None] {
            let guesses = guesses(3);
            let sent = [(); 3].map(|()| {
                assert!(guesses.allows(&own, source));
                guesses.sent(&own, source)
            });
            assert!(!guesses.allows(&own, source), "from {source:?}");
            // Unanswered, and wrong.
            let [unheard, wrong, right] = sent;
            guesses.judged(unheard, &own, source, None);
            guesses.judged(wrong, &own, source, Some(false));
            let sent = guesses.sent(&own, source);
            assert!(!guesses.allows(&own, source));
            guesses.judged(sent, &own, source, Some(false));
            assert!(!guesses.allows(&own, source));
            guesses.judged(right, &own, source, Some(true));
            assert!(guesses.allows(&own, source));
        }
        // Whose key is known there waits for nobody.
        let (guesses, source) = (guesses(3), from("198.51.100.1"));
        guesses.proven(&own, source);
        let sent = [(); 10].map(|()| guesses.sent(&own, source));
        assert!(guesses.allows(&own, source));
        for sent in sent {
            guesses.judged(sent, &own, source, Some(false));
        }
        assert!(!guesses.allows(&own, source));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let guesses = guesses(0);
        let own = id("300:0.NA/88.118.8");
        for _ in 0..1_000 {
            guesses.failed(&own, from("198.51.100.1"));
        }
        assert!(guesses.allows(&own, from("198.51.100.1")));
    }
}
