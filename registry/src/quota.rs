//! Quotas: how much an enterprise may register, as the operator has set it. What an enterprise
//! uses is counted while it has a quota.

use idnode_proto::handle::ResponseCode;

/// Time of day that a day begins at is China's, UTC+8.
const CHINA_OFFSET_MS: u64 = 8 * 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// An enterprise's limits; `None`: there is none.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Quota {
    /// Identifiers registered in one day, in China's time.
    #[prost(uint64, optional, tag = "1")]
    pub registrations_per_day: Option<u64>,
    /// Live identifiers.
    #[prost(uint64, optional, tag = "2")]
    pub registrations: Option<u64>,
    /// Prefixes, in whatever state.
    #[prost(uint64, optional, tag = "3")]
    pub prefixes: Option<u64>,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// Code 603 of the Chinese SDKs.
    RegistrationsPerDay,
    /// Code 604.
    Registrations,
    /// Code 605.
    Prefixes,
}

impl QuotaKind {
    /// What the Handle protocol and its HTTP API answer.
    pub fn response_code(self) -> ResponseCode {
        match self {
            Self::RegistrationsPerDay => ResponseCode::DAILY_QUOTA,
            Self::Registrations => ResponseCode::REGISTRATION_QUOTA,
            Self::Prefixes => ResponseCode::PREFIX_QUOTA,
        }
    }
}

impl std::fmt::Display for QuotaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RegistrationsPerDay => "registrations a day",
            Self::Registrations => "registered identifiers",
            Self::Prefixes => "prefixes",
        })
    }
}

/// What an enterprise with a quota uses.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Usage {
    /// The day of `today`, days since 1970 in China's time.
    #[prost(uint64, tag = "1")]
    pub day: u64,
    /// Identifiers registered on that day.
    #[prost(uint64, tag = "2")]
    pub today: u64,
    /// Live identifiers.
    #[prost(uint64, tag = "3")]
    pub registrations: u64,
    /// Prefixes.
    #[prost(uint64, tag = "4")]
    pub prefixes: u64,
}

impl Quota {
    /// Whether it limits anything.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// The limit that one more identifier would be beyond.
    pub fn against_identifier(&self, usage: &Usage) -> Option<(QuotaKind, u64)> {
        let reached = |limit: Option<u64>, used: u64| limit.filter(|limit| used >= *limit);
        let daily = reached(self.registrations_per_day, usage.today);
        let total = reached(self.registrations, usage.registrations);
        daily
            .map(|limit| (QuotaKind::RegistrationsPerDay, limit))
            .or_else(|| total.map(|limit| (QuotaKind::Registrations, limit)))
    }

    /// The limit that one more prefix would be beyond.
    pub fn against_prefix(&self, usage: &Usage) -> Option<(QuotaKind, u64)> {
        let limit = self.prefixes.filter(|limit| usage.prefixes >= *limit);
        limit.map(|limit| (QuotaKind::Prefixes, limit))
    }
}

impl Usage {
    /// The same at a time, milliseconds since the Unix epoch: on another day nothing is
    /// registered yet.
    #[must_use]
    pub fn at(mut self, now_ms: u64) -> Self {
        let day = (now_ms + CHINA_OFFSET_MS) / DAY_MS;
        if day != self.day {
            (self.day, self.today) = (day, 0);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_china() {
        // 2026-01-31 15:59:59.999 and 16:00 UTC.
        let before = Usage::default().at(1_769_875_199_999);
        let used = Usage { today: 5, ..before };
        assert_eq!(used.at(1_769_875_199_999).today, 5);
        assert_eq!(used.at(1_769_875_200_000).today, 0);
        assert_eq!(used.at(1_769_875_200_000).day, used.day + 1);
    }

    #[test]
    fn each_limit_is_told() {
        let quota = Quota {
            registrations_per_day: Some(2),
            registrations: Some(3),
            prefixes: Some(0),
        };
        let usage = |today, registrations| Usage {
            today,
            registrations,
            ..Usage::default()
        };
        assert_eq!(quota.against_identifier(&usage(1, 2)), None);
        let daily = Some((QuotaKind::RegistrationsPerDay, 2));
        assert_eq!(quota.against_identifier(&usage(2, 3)), daily);
        let total = Some((QuotaKind::Registrations, 3));
        assert_eq!(quota.against_identifier(&usage(0, 3)), total);
        let prefixes = Some((QuotaKind::Prefixes, 0));
        assert_eq!(quota.against_prefix(&usage(0, 0)), prefixes);
        assert!(quota.is_limited() && !Quota::default().is_limited());
    }
}
