//! Guesses at the keys of handle administrators, on every front: proofs that do not hold are counted
//! by the network they come from and by the administrator they would be of.
//!
//! Who fails too often in a minute is not listened to until the next. A network from which an
//! administrator has proven its key within the last half an hour is listened to for it whatever else
//! fails there or for it elsewhere, so that nobody locks it out: neither who guesses nor a machine
//! beside it that has a wrong secret. What fails there for it is counted by itself.

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
    /// Failed proofs from one network, and of one administrator, in a minute; 0: any number.
    pub failed_per_minute: u32,
    /// Networks that are not counted: behind one address of theirs may be many.
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

/// What is counted.
#[derive(Debug, Hash)]
enum Of<'a> {
    Network(u64),
    Administrator(&'a AdminId),
    Pair(u64, &'a AdminId),
}

/// Counts of failures, and who has not failed.
#[derive(Debug)]
pub(super) struct Guesses {
    limits: GuessLimits,
    failed: Rates,
    proven: Rates,
    at_bound: Counter,
}

impl Guesses {
    pub(super) fn new(limits: GuessLimits) -> Self {
        Self {
            limits,
            failed: Rates::over(FAILED_WINDOW),
            proven: Rates::over(PROVEN_WINDOW),
            at_bound: counter!("idnode_bound_hits_total", "bound" => "failed_proofs"),
        }
    }

    /// Whether a proof of an administrator's is listened to. `source`: where it comes from, if that
    /// cannot be forged.
    pub(super) fn allows(&self, id: &AdminId, source: Option<IpAddr>) -> bool {
        let limit = self.limits.failed_per_minute;
        if limit == 0 {
            return true;
        }
        let is_over = |of: Of<'_>| self.failed.counted(of, 0) >= limit;
        if self.knows(id, source, is_over) {
            return true;
        }
        let network = self.network(source).map(Of::Network);
        let allowed = !network.is_some_and(is_over) && !is_over(Of::Administrator(id));
        if !allowed {
            self.at_bound.increment(1);
        }
        allowed
    }

    /// Counts a proof that did not hold.
    pub(super) fn failed(&self, id: &AdminId, source: Option<IpAddr>) {
        if let Some(network) = self.network(source) {
            self.failed.count(Of::Network(network), 1);
        }
        if let Some(source) = source {
            self.failed.count(Of::Pair(network_of(source), id), 1);
        }
        self.failed.count(Of::Administrator(id), 1);
    }

    /// Notes one that did.
    pub(super) fn proven(&self, id: &AdminId, source: Option<IpAddr>) {
        if let Some(source) = source {
            self.proven.count((network_of(source), id), 1);
        }
    }

    /// Whether the administrator has proven its key from there of late, and not failed too often.
    fn knows(
        &self,
        id: &AdminId,
        source: Option<IpAddr>,
        is_over: impl Fn(Of<'_>) -> bool,
    ) -> bool {
        source.is_some_and(|source| {
            let pair = (network_of(source), id);
            let proven = self.proven.counted(pair, 0) > 0 || self.proven.counted(pair, 1) > 0;
            proven && !is_over(Of::Pair(pair.0, id))
        })
    }

    /// The network that a source is counted by; `None`: it is not.
    fn network(&self, source: Option<IpAddr>) -> Option<u64> {
        let source = source?;
        let exempt = self.limits.exempt.iter().any(|net| net.contains(&source));
        (!exempt).then(|| network_of(source))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn guesses(limit: u32) -> Guesses {
        Guesses::new(GuessLimits {
            failed_per_minute: limit,
            exempt: vec!["192.0.2.0/24".parse().unwrap()],
        })
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
    fn guessing_at_an_administrator_does_not_lock_it_out_where_it_is_known() {
        let guesses = guesses(3);
        let own = id("300:0.NA/88.118.8");
        guesses.proven(&own, from("203.0.113.1"));
        for n in 1..=3 {
            guesses.failed(&own, from(&format!("198.51.{n}.1")));
        }
        assert!(!guesses.allows(&own, from("198.51.9.1")) && !guesses.allows(&own, None));
        assert!(
            !guesses.allows(&own, from("192.0.2.1")),
            "exempt, and still unknown"
        );
        assert!(guesses.allows(&own, from("203.0.113.77")));
        let other = id("301:0.NA/88.118.8");
        assert!(guesses.allows(&other, from("198.51.9.1")));
        // Nor does who fails beside it.
        for _ in 0..3 {
            guesses.failed(&other, from("203.0.113.1"));
        }
        assert!(!guesses.allows(&other, from("203.0.113.1")));
        assert!(guesses.allows(&own, from("203.0.113.1")));
        for _ in 0..3 {
            guesses.failed(&own, from("203.0.113.1"));
        }
        assert!(
            !guesses.allows(&own, from("203.0.113.1")),
            "guesses of its own"
        );
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
