//! What is known of a link, whatever carries it.

use serde::{Deserialize, Serialize};

/// What has gone over a link, both ways together, since the province was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::province) struct Carried {
    /// Packets.
    pub(in crate::province) packets: u64,
    /// Their bytes, from the IP header on.
    pub(in crate::province) bytes: u64,
    /// Those of them to or from a Handle front; nothing where that is not looked at.
    pub(in crate::province) handle_packets: Option<u64>,
    /// Packets that were lost because the link was cut.
    pub(in crate::province) cut: u64,
    /// Packets that were lost because too many were on their way.
    pub(in crate::province) full: u64,
}

/// A link between two places.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::province) struct Link {
    /// One end, by name.
    pub(in crate::province) a: String,
    /// The other.
    pub(in crate::province) b: String,
    /// Whether packets pass.
    pub(in crate::province) up: bool,
    /// How long one way takes, milliseconds.
    pub(in crate::province) one_way_ms: f64,
    /// What has gone over it.
    #[serde(flatten)]
    pub(in crate::province) carried: Carried,
}

/// How well the wire keeps time: by how much packets left it later than they were due,
/// microseconds; of the last hundred thousand packets, or up to twice as many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::province) struct WireReport {
    /// Packets that this is made of.
    pub(in crate::province) packets: u64,
    /// Half of them were no later than this.
    pub(in crate::province) late_p50_us: u64,
    /// 99 of a hundred.
    pub(in crate::province) late_p99_us: u64,
    /// 999 of a thousand.
    pub(in crate::province) late_p999_us: u64,
    /// All of them.
    pub(in crate::province) late_max_us: u64,
    /// Whether its thread goes before others (the real-time class).
    pub(in crate::province) urgent: bool,
}
