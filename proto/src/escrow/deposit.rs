//! What a deposit says of itself: its type and its place among the others (RFC 8909 §5.1), whose
//! it is, and at its end what it holds.

use super::EscrowError;
use super::fields::{Fields, Tag};
use super::listing::Beside;
use crate::xml::stream::Node;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a deposit holds (RFC 8909 §5.1.1). INCR, changes since the last FULL, is not made and not
/// taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// Everything.
    Full,
    /// What has changed since the deposit before.
    Diff,
}

impl Kind {
    /// As the document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Diff => "DIFF",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The largest revision: places in change logs are signed 64-bit numbers where databases keep them.
pub const MAX_REVISION: u64 = i64::MAX as u64;

/// What a deposit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its name, 1 to 13 letters, digits or `_`, unique among a prefix's deposits.
    pub id: String,
    /// The deposit it follows; `None` for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prev_id: Option<String>,
    /// FULL or DIFF.
    pub kind: Kind,
    /// When the registry was as the deposit tells, milliseconds since the Unix epoch.
    pub watermark_ms: u64,
    /// The node, such as `88.118`.
    pub node: String,
    /// The prefix whose data it is, canonical.
    pub prefix: String,
    /// The last change that it tells of: a place in the node's change log.
    pub revision: u64,
    /// DIFF: the revision of the deposit before, whose changes it does not tell again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<u64>,
}

/// Whether a text is a deposit's id (RFC 8909 §6.1 `depositIdType`), in ASCII.
pub fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=13).contains(&text.len()) && text.bytes().all(allowed)
}

impl Head {
    /// That it agrees with itself.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if !is_id(&self.id) || !self.prev_id.as_deref().is_none_or(is_id) {
            return Err("has an id that is not 1 to 13 letters, digits or _".to_owned());
        }
        if self.prev_id.as_ref() == Some(&self.id) {
            return Err("follows itself".to_owned());
        }
        if self.revision > MAX_REVISION {
            return Err("has a revision that no change log comes to".to_owned());
        }
        match (self.kind, &self.prev_id, self.since) {
            (Kind::Full, _, None) => Ok(()),
            (Kind::Full, _, Some(_)) => Err("is FULL and says since when".to_owned()),
            (Kind::Diff, Some(_), Some(since)) if since <= self.revision => Ok(()),
            (Kind::Diff, Some(_), Some(_)) => {
                Err("tells changes up to a revision before the one it begins at".to_owned())
            }
            (Kind::Diff, _, _) => Err("is DIFF and does not say what it follows".to_owned()),
        }
    }

    /// The watermark as RFC 3339 has it.
    pub fn watermark(&self) -> String {
        i64::try_from(self.watermark_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map_or_else(
                || "1970-01-01T00:00:00Z".to_owned(),
                |time| format!("{time:.3}"),
            )
    }

    pub(super) fn write_scope(&self, out: &mut String) {
        Tag::new(out, "scope")
            .text("node", &self.node)
            .text("prefix", &self.prefix)
            .number("revision", self.revision)
            .optional_number("since", self.since)
            .end();
    }

    pub(super) fn read_scope(&mut self, node: &Node) -> Result<(), EscrowError> {
        let mut fields = Fields::of(node)?;
        self.node = fields.text("node")?;
        self.prefix = fields.required("prefix")?;
        self.revision = fields.number("revision")?;
        self.since = fields.optional_number("since")?;
        fields.finish()
    }
}

/// Milliseconds since the Unix epoch of an RFC 3339 time.
pub(super) fn parse_watermark(text: &str) -> Option<u64> {
    let time: Timestamp = text.trim().parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

/// How often a prefix's identifiers have changed, ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Registrations.
    pub creations: u64,
    /// Updates.
    pub updates: u64,
    /// Deletions.
    pub deletions: u64,
    /// The last of them, milliseconds since the Unix epoch.
    pub last_change_ms: u64,
}

/// What a deposit holds and leads to; the last thing in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects in this document.
    pub objects: u64,
    /// Deletions in this document.
    pub deletes: u64,
    /// Identifiers that the prefix has at the watermark, deleted ones among them.
    pub listed: u64,
    /// [`super::listing::Listing`] of the prefix at the watermark, in hexadecimal; empty where the
    /// prefix is gone.
    pub listing: String,
    /// Digests of what else it has at the watermark; `None`: the prefix is gone, or the deposit is of a
    /// node that did not say yet.
    pub beside: Option<Beside>,
    /// The prefix's counters at the watermark.
    pub counts: Counts,
}

impl Summary {
    pub(super) fn write(&self, out: &mut String) {
        let (enterprise, templates) = match &self.beside {
            Some(beside) => (beside.enterprise.as_str(), beside.templates.as_str()),
            None => ("", ""),
        };
        Tag::new(out, "summary")
            .number("objects", self.objects)
            .number("deletes", self.deletes)
            .number("listed", self.listed)
            .text("listing", &self.listing)
            .text("enterprise", enterprise)
            .text("templates", templates)
            .number("creations", self.counts.creations)
            .number("updates", self.counts.updates)
            .number("deletions", self.counts.deletions)
            .number("lastChangeMs", self.counts.last_change_ms)
            .end();
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let beside = Beside {
            enterprise: fields.text("enterprise")?,
            templates: fields.text("templates")?,
        };
        let summary = Self {
            beside: (beside != Beside::default()).then_some(beside),
            objects: fields.number("objects")?,
            deletes: fields.number("deletes")?,
            listed: fields.number("listed")?,
            listing: fields.text("listing")?,
            counts: Counts {
                creations: fields.number("creations")?,
                updates: fields.number("updates")?,
                deletions: fields.number("deletions")?,
                last_change_ms: fields.number("lastChangeMs")?,
            },
        };
        fields.finish()?;
        Ok(summary)
    }
}
