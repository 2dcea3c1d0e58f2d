//! What the node has to answer: every identifier's versions, and what each version says.
//!
//! A version is a number that counts an identifier's writes, and says all about what was written:
//! `0` is never registered, then come a creation and two updates by turns with a deletion. Of each
//! identifier two versions are known: the last that was acknowledged and the last that was begun.
//! Whoever reads has to see one of those from the acknowledged one when asking to the begun one
//! when the answer has come: there is at most one write of an identifier under way.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use idnode_proto::api::{Value, value};

/// Versions from one creation to the next.
const CYCLE: u32 = 4;
/// Identifiers written last that are asked for more often than others.
const RECENT: usize = 64;
/// Type codes (IANA, DNS parameters).
pub(super) const TYPE_TXT: u16 = 16;
/// See [`TYPE_TXT`].
pub(super) const TYPE_NAPTR: u16 = 35;
/// See [`TYPE_TXT`].
pub(super) const TYPE_URI: u16 = 256;

/// All identifiers.
#[derive(Debug)]
pub(super) struct Model {
    items: Vec<Item>,
    /// Log position of the last acknowledged write.
    acknowledged_sequence: AtomicU64,
    recent: [AtomicU32; RECENT],
    writes: AtomicU32,
}

/// One identifier.
#[derive(Debug)]
struct Item {
    begun: AtomicU32,
    acknowledged: AtomicU32,
    /// Whether a write is under way, or has failed in a way that leaves open what it did.
    busy: AtomicBool,
}

/// The names of a run.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The prefix, such as `88.118.8`.
    pub(super) prefix: String,
    /// The zone, with its final dot.
    pub(super) zone: String,
}

/// The versions an answer may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The oldest of them.
    pub(super) oldest: u32,
    /// The newest of them.
    pub(super) newest: u32,
}

impl Allowed {
    /// Each of them.
    pub(super) fn versions(self) -> impl Iterator<Item = u32> {
        self.oldest..=self.newest
    }
}

impl Model {
    /// Of `registered` identifiers in version 1 and `absent` ones after them in version 0.
    pub(super) fn new(registered: u32, absent: u32) -> Self {
        let item = |version| Item {
            begun: AtomicU32::new(version),
            acknowledged: AtomicU32::new(version),
            busy: AtomicBool::new(false),
        };
        let items = (0..registered).map(|_| item(1));
        Self {
            items: items.chain((0..absent).map(|_| item(0))).collect(),
            acknowledged_sequence: AtomicU64::new(0),
            recent: std::array::from_fn(|place| AtomicU32::new(place as u32)),
            writes: AtomicU32::new(0),
        }
    }

    /// How many identifiers there are.
    pub(super) fn count(&self) -> u32 {
        self.items.len() as u32
    }

    /// Takes an identifier to write it; its next version, unless a write is under way.
    pub(super) fn begin(&self, number: u32) -> Option<u32> {
        let item = self.items.get(number as usize)?;
        if item.busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        let version = item.begun.load(Ordering::Acquire) + 1;
        item.begun.store(version, Ordering::Release);
        let place = self.writes.fetch_add(1, Ordering::Relaxed) as usize % RECENT;
        if let Some(recent) = self.recent.get(place) {
            recent.store(number, Ordering::Relaxed);
        }
        Some(version)
    }

    /// The write that was begun is acknowledged, at that place of the log.
    pub(super) fn acknowledge(&self, number: u32, version: u32, sequence: u64) {
        let Some(item) = self.items.get(number as usize) else {
            return;
        };
        self.acknowledged_sequence
            .fetch_max(sequence, Ordering::AcqRel);
        item.acknowledged.store(version, Ordering::Release);
        item.busy.store(false, Ordering::Release);
    }

    /// The last acknowledged version.
    pub(super) fn acknowledged(&self, number: u32) -> u32 {
        let item = self.items.get(number as usize);
        item.map_or(0, |item| item.acknowledged.load(Ordering::Acquire))
    }

    /// The last version begun.
    pub(super) fn begun(&self, number: u32) -> u32 {
        let item = self.items.get(number as usize);
        item.map_or(0, |item| item.begun.load(Ordering::Acquire))
    }

    /// The last acknowledged versions of all.
    pub(super) fn all_acknowledged(&self) -> Vec<u32> {
        (0..self.count())
            .map(|number| self.acknowledged(number))
            .collect()
    }

    /// The log's place of the last acknowledged write.
    pub(super) fn sequence(&self) -> u64 {
        self.acknowledged_sequence.load(Ordering::Acquire)
    }

    /// One of the identifiers written last.
    pub(super) fn recent(&self, draw: usize) -> u32 {
        let recent = self.recent.get(draw % RECENT);
        recent.map_or(0, |number| number.load(Ordering::Relaxed)) % self.count().max(1)
    }
}

/// What a version is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// It was created.
    Create,
    /// All its values were replaced.
    Update,
    /// It was deleted.
    Delete,
}

/// The write that makes a version.
pub(super) fn write_of(version: u32) -> Write {
    match version % CYCLE {
        0 => Write::Delete,
        1 => Write::Create,
        _ => Write::Update,
    }
}

/// Whether the identifier is registered in a version.
pub(super) fn is_live(version: u32) -> bool {
    !version.is_multiple_of(CYCLE)
}

/// The TTL of a version's values, seconds.
pub(super) fn ttl_s(version: u32) -> u32 {
    60 + version % 1000
}

/// The links of a version: two in every fourth.
pub(super) fn links(number: u32, version: u32) -> Vec<String> {
    let link = |host| format!("https://{host}.example.cn/{number}/{version}");
    match version % CYCLE {
        2 => vec![link("m"), link("other")],
        _ => vec![link("m")],
    }
}

/// The values of a version, as the API takes them.
pub(super) fn values(number: u32, version: u32) -> Vec<Value> {
    let value = |(place, link)| Value {
        index: place as u32 + 1,
        r#type: "URL".to_owned(),
        data: Some(value::Data::Text(link)),
        ttl: Some(value::Ttl::TtlS(ttl_s(version))),
        ..Value::default()
    };
    let links = links(number, version).into_iter();
    links.enumerate().map(value).collect()
}

impl Names {
    /// An identifier.
    pub(super) fn identifier(&self, number: u32) -> String {
        format!("{}/MX{number:08}", self.prefix)
    }

    /// The number of an identifier.
    pub(super) fn number(&self, identifier: &str) -> Option<u32> {
        let suffix = identifier.strip_prefix(&self.prefix)?;
        suffix.strip_prefix("/MX")?.parse().ok()
    }

    /// The name below which all are.
    pub(super) fn below(&self) -> String {
        format!("{}.hdl.{}", self.prefix.replace('.', "-"), self.zone)
    }

    /// An identifier's name in DNS.
    pub(super) fn owner(&self, number: u32) -> String {
        format!("mx{number:08}.{}", self.below())
    }

    /// The number of a name.
    pub(super) fn number_of_owner(&self, owner: &str) -> Option<u32> {
        let (label, below) = owner.split_once('.')?;
        let digits = label.strip_prefix("mx")?;
        (below == self.below()).then(|| digits.parse().ok())?
    }

    /// The data of the records of a type that a version has, on the wire (docs/dns.md, "What an
    /// identifier answers").
    pub(super) fn data(&self, number: u32, version: u32, kind: u16) -> Vec<Vec<u8>> {
        if !is_live(version) {
            return Vec::new();
        }
        let links = links(number, version);
        let ranked = links.iter().zip(1_u16..);
        match kind {
            TYPE_NAPTR => ranked.map(|(link, rank)| naptr(link, rank)).collect(),
            TYPE_URI => ranked.map(|(link, rank)| uri(link, rank)).collect(),
            TYPE_TXT => {
                let identifier = format!("identifier={}", self.identifier(number));
                let value =
                    |(link, index): (&String, u16)| format!("index={index} type=URL data={link}");
                let texts = std::iter::once(identifier).chain(ranked.map(value));
                texts.map(|text| string(&text)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The same for all types, as zone files have it: TTL, type and data.
    pub(super) fn lines(&self, number: u32, version: u32) -> Vec<String> {
        if !is_live(version) {
            return Vec::new();
        }
        let ttl_s = ttl_s(version);
        let mut lines = vec![format!(
            "{ttl_s} TXT \"identifier={}\"",
            self.identifier(number)
        )];
        for (link, rank) in links(number, version).iter().zip(1..) {
            lines.push(format!("{ttl_s} TXT \"index={rank} type=URL data={link}\""));
            lines.push(format!("{ttl_s} URI {rank} 1 \"{link}\""));
            lines.push(format!(
                "{ttl_s} NAPTR 100 {rank} \"U\" \"https+I2R\" \"!^.*$!{link}!\" ."
            ));
        }
        lines.sort_unstable();
        lines
    }
}

/// A character string (RFC 1035 §3.3) of at most 255 bytes.
fn string(text: &str) -> Vec<u8> {
    let mut wire = vec![text.len() as u8];
    wire.extend_from_slice(text.as_bytes());
    wire
}

/// RFC 3403 §4.1.
fn naptr(link: &str, rank: u16) -> Vec<u8> {
    let mut wire = vec![0, 100];
    wire.extend(rank.to_be_bytes());
    for text in ["U", "https+I2R", &format!("!^.*$!{link}!")] {
        wire.extend(string(text));
    }
    wire.push(0);
    wire
}

/// RFC 7553 §4.
fn uri(link: &str, rank: u16) -> Vec<u8> {
    let mut wire = rank.to_be_bytes().to_vec();
    wire.extend([0, 1]);
    wire.extend(link.as_bytes());
    wire
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    #[test]
    fn an_answer_may_be_of_the_acknowledged_version_until_the_begun_one() {
        let model = Model::new(2, 1);
        assert_eq!((model.acknowledged(2), model.begun(2)), (0, 0));
        let version = model.begin(1).unwrap();
        assert_eq!(version, 2);
        assert_eq!(model.begin(1), None, "one write at a time");
        assert_eq!((model.acknowledged(1), model.begun(1)), (1, 2));
        model.acknowledge(1, version, 9);
        assert_eq!((model.acknowledged(1), model.begun(1)), (2, 2));
        assert_eq!(model.sequence(), 9);
        assert_eq!(model.begin(1), Some(3));
        assert!((0..RECENT).any(|draw| model.recent(draw) == 1));
    }

    #[test]
    fn a_cycle_creates_updates_twice_and_deletes() {
        let made: Vec<Write> = (1..=5).map(write_of).collect();
        use Write::{Create, Delete, Update};
        assert_eq!(made, [Create, Update, Update, Delete, Create]);
        assert_eq!(
            [0, 1, 2, 3, 4].map(is_live),
            [false, true, true, true, false]
        );
        assert_eq!(values(7, 2).len(), 2);
    }

    #[test]
    fn names_lead_back_to_numbers() {
        let names = Names {
            prefix: "88.118.8".to_owned(),
            zone: "id.example.".to_owned(),
        };
        assert_eq!(names.owner(7), "mx00000007.88-118-8.hdl.id.example.");
        assert_eq!(names.number_of_owner(&names.owner(7)), Some(7));
        assert_eq!(names.number(&names.identifier(7)), Some(7));
        assert_eq!(names.number_of_owner("88-118-8.hdl.id.example."), None);
        assert_eq!(names.data(7, 2, TYPE_NAPTR).len(), 2);
        assert_eq!(names.data(7, 2, TYPE_TXT).len(), 3);
        assert_eq!(names.lines(7, 2).len(), 7);
        assert!(names.data(7, 4, TYPE_TXT).is_empty());
    }
}
