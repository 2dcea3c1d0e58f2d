//! An identifier's values as records. Which values a type of record shows, and where a set of
//! records ends, does not depend on transport or size limit, so that caches hold whole sets.

use super::dnssec::opaque;
use super::reply::record_bound;
use super::text::{MAX_STRING_BYTES, describe, link_of, regexp_to};
use super::zone::{MAX_TTL_S, address_record};
use hickory_proto::rr::rdata::{HINFO, NAPTR, PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use idnode_proto::dnsname::ZoneKind;
use idnode_proto::identifier::Identifier;
use idnode_proto::rdata::RecordKind;
use idnode_proto::value::{ValueRef, types};
use std::net::IpAddr;

/// The URI record (RFC 7553), which the DNS library has no type for.
pub(super) const URI: RecordType = RecordType::Unknown(256);
/// The types of records that names of identifiers and prefixes have.
pub(super) const ZONE_TYPES: [RecordType; 8] = [
    RecordType::TXT,
    URI,
    RecordType::NAPTR,
    RecordType::A,
    RecordType::AAAA,
    RecordType::SVCB,
    RecordType::HTTPS,
    RecordType::PTR,
];
/// Most bytes of one set of records, about: with the question and a negative section it stays
/// within a message of 65,535.
pub(super) const MAX_SET_BYTES: usize = 60_000;
/// All URI records weigh the same; the priority chooses (RFC 7553 §4.3).
const URI_WEIGHT: u16 = 1;
/// NAPTR flag: the regexp gives a URI, and that is the end (RFC 3404 §4.3).
const TERMINAL_URI: &[u8] = b"U";
/// Value types whose data may be an IP address.
const ADDRESS_TYPES: [&str; 3] = [types::INET_HOST, "A", "AAAA"];

/// A set of records under way: it stops taking records when it is large enough.
#[derive(Debug)]
pub(super) struct RecordSet<'a> {
    owner: &'a Name,
    records: Vec<Record>,
    bytes: usize,
    /// The least of those that were given.
    ttl_s: Option<u32>,
    default_ttl_s: u32,
    dropped: usize,
    /// Whether it has records is all that is wanted.
    first_tells: bool,
}

impl<'a> RecordSet<'a> {
    /// An empty set; `default_ttl_s` is its TTL if no record brings one.
    pub(super) fn new(owner: &'a Name, default_ttl_s: u32) -> Self {
        Self {
            owner,
            records: Vec::new(),
            bytes: 0,
            ttl_s: None,
            default_ttl_s,
            dropped: 0,
            first_tells: false,
        }
    }

    /// Whether further records would make no difference: where the first one is too large, the
    /// others are left out as well.
    fn is_settled(&self) -> bool {
        self.first_tells && !(self.records.is_empty() && self.dropped == 0)
    }

    pub(super) fn push(&mut self, data: RData) {
        let record = Record::from_rdata(self.owner.clone(), 0, data);
        self.bytes += record_bound(&record);
        if self.dropped == 0 && self.bytes <= MAX_SET_BYTES {
            self.records.push(record);
        } else {
            self.dropped += 1;
        }
    }

    fn push_with_ttl(&mut self, data: RData, ttl_s: u32) {
        self.push(data);
        self.ttl_s = Some(self.ttl_s.map_or(ttl_s, |least| least.min(ttl_s)));
    }

    /// The records, all with one TTL (RFC 2181 §5.2): the least.
    pub(super) fn finish(mut self) -> Vec<Record> {
        let ttl_s = self.ttl_s.unwrap_or(self.default_ttl_s);
        for record in &mut self.records {
            record.ttl = ttl_s;
        }
        self.records
    }
}

/// An identifier that was found, and where its records go.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) owner: &'a Name,
    pub(super) zone: ZoneKind,
    pub(super) identifier: &'a Identifier,
    /// As it was registered.
    pub(super) spelling: &'a str,
    /// Now, seconds since the Unix epoch.
    pub(super) now_s: u64,
    /// TTL of what no value stands behind.
    pub(super) default_ttl_s: u32,
    /// Of each type one record is enough, see [`Found::has`].
    pub(super) first_tells: bool,
}

impl Found<'_> {
    /// Whether it has records of a type: what [`Found::records`] would tell as well, without making
    /// more than one.
    pub(super) fn has<'v>(
        &self,
        qtype: RecordType,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> bool {
        let found = Found {
            first_tells: true,
            ..*self
        };
        !found.records(qtype, values).is_empty()
    }

    /// Its records of one type; none: there are none of it.
    pub(super) fn records<'v>(
        &self,
        qtype: RecordType,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> Vec<Record> {
        match qtype {
            RecordType::TXT => self.txt(values),
            URI => self.uri(values),
            RecordType::NAPTR => self.naptr(values),
            RecordType::A | RecordType::AAAA => self.addresses(qtype, values),
            RecordType::SVCB => self.presented(RecordKind::Svcb, values),
            RecordType::HTTPS => self.presented(RecordKind::Https, values),
            RecordType::PTR => self.presented(RecordKind::Ptr, values),
            _ => Vec::new(),
        }
    }

    /// The record that names the identifier, to go beside records of other types. Its TTL of 0
    /// keeps caches from taking it for the whole set of TXT records.
    pub(super) fn naming_record(&self) -> Record {
        Record::from_rdata(self.owner.clone(), 0, txt(self.naming_text().as_bytes()))
    }

    fn naming_text(&self) -> String {
        format!("identifier={}", self.spelling)
    }

    fn ttl_s(&self, value: &ValueRef<'_>) -> u32 {
        value.ttl().remaining_s(self.now_s).min(MAX_TTL_S)
    }

    fn set(&self) -> RecordSet<'_> {
        RecordSet {
            first_tells: self.first_tells,
            ..RecordSet::new(self.owner, self.default_ttl_s)
        }
    }

    fn txt<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<Record> {
        /// What `values=2048 shown=2048` may take.
        const COUNT_BYTES: usize = 300;
        let mut set = self.set();
        set.bytes = COUNT_BYTES;
        set.push(txt(self.naming_text().as_bytes()));
        for value in values.take_while(|_| !self.first_tells) {
            set.push_with_ttl(txt(&describe(&value)), self.ttl_s(&value));
        }
        if set.dropped > 0 {
            let shown = set.records.len().saturating_sub(1);
            let text = format!("values={} shown={shown}", shown + set.dropped);
            set.records.insert(
                1,
                Record::from_rdata(self.owner.clone(), 0, txt(text.as_bytes())),
            );
        }
        set.finish()
    }

    fn uri<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<Record> {
        let mut set = self.set();
        let links =
            values.filter_map(|value| Some((link_of(&value, self.zone)?, self.ttl_s(&value))));
        for (priority, (link, ttl_s)) in (1..).zip(links.filter(|(link, _)| link.is_uri)) {
            set.push_with_ttl(uri(priority, &link.target), ttl_s);
            if set.is_settled() {
                break;
            }
        }
        set.finish()
    }

    fn naptr<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<Record> {
        let mut set = self.set();
        let links =
            values.filter_map(|value| Some((link_of(&value, self.zone)?, self.ttl_s(&value))));
        for (preference, (link, ttl_s)) in (1..).zip(links) {
            if let Some(data) = naptr(self.zone, preference, &link.service, &link.target) {
                set.push_with_ttl(data, ttl_s);
            }
            if set.is_settled() {
                break;
            }
        }
        if self.zone == ZoneKind::Ors {
            // Every node of the ORS answers with its canonical OID-IRI (X.672 annex B).
            let arcs: String = self
                .identifier
                .oid_arcs()
                .map(|arc| format!("/{arc}"))
                .collect();
            if let Some(data) = naptr(self.zone, 0, "ORS+COID", &arcs) {
                let names_itself = |record: &Record| match &record.data {
                    RData::NAPTR(naptr) => naptr.services.eq_ignore_ascii_case(b"ORS+COID"),
                    _ => false,
                };
                if !set.records.iter().any(names_itself) {
                    set.push(data);
                }
            }
        }
        set.finish()
    }

    fn addresses<'v>(
        &self,
        qtype: RecordType,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> Vec<Record> {
        let mut set = self.set();
        let mut seen: Vec<IpAddr> = Vec::new();
        for value in values {
            let Some(address) = address_of(&value) else {
                continue;
            };
            let record = address_record(self.owner, 0, address);
            if record.record_type() == qtype && !seen.contains(&address) {
                seen.push(address);
                set.push_with_ttl(record.data, self.ttl_s(&value));
            }
            if set.is_settled() {
                break;
            }
        }
        set.finish()
    }

    /// What values of one type present (`idnode_proto::rdata`), each record once.
    fn presented<'v>(
        &self,
        kind: RecordKind,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> Vec<Record> {
        let mut set = self.set();
        for value in values {
            if RecordKind::of_value_type(value.value_type()) != Some(kind) {
                continue;
            }
            let data = presented_data(kind, &value);
            let data = data.filter(|data| set.records.iter().all(|other| other.data != *data));
            if let Some(data) = data {
                set.push_with_ttl(data, self.ttl_s(&value));
            }
            if set.is_settled() {
                break;
            }
        }
        set.finish()
    }
}

/// The data of a record that a value presents; `None` where it was registered before such values
/// were checked, and cannot be read.
fn presented_data(kind: RecordKind, value: &ValueRef<'_>) -> Option<RData> {
    let wire = kind.wire(value.data()).ok()?;
    Some(match kind {
        RecordKind::Ptr => {
            let name = Name::read(&mut BinDecoder::new(&wire)).ok()?;
            RData::PTR(PTR(name))
        }
        // Their targets are never compressed (RFC 9460 §2.2).
        RecordKind::Svcb => opaque(RecordType::SVCB, &wire),
        RecordKind::Https => opaque(RecordType::HTTPS, &wire),
    })
}

fn address_of(value: &ValueRef<'_>) -> Option<IpAddr> {
    let holds_address = ADDRESS_TYPES
        .iter()
        .any(|kind| value.value_type().eq_ignore_ascii_case(kind));
    let text = std::str::from_utf8(value.data())
        .ok()
        .filter(|_| holds_address)?;
    text.trim().parse().ok()
}

/// TXT data of a text of any length: cut into strings, which readers join again.
pub(super) fn txt(text: &[u8]) -> RData {
    RData::TXT(TXT::from_bytes(text.chunks(MAX_STRING_BYTES).collect()))
}

/// URI data (RFC 7553 §4.5).
pub(super) fn uri(priority: u16, target: &str) -> RData {
    let mut data = Vec::with_capacity(4 + target.len());
    data.extend_from_slice(&priority.to_be_bytes());
    data.extend_from_slice(&URI_WEIGHT.to_be_bytes());
    data.extend_from_slice(target.as_bytes());
    opaque(URI, &data)
}

/// NAPTR data that ends in `target`; `None` when that or the service is too long.
pub(super) fn naptr(zone: ZoneKind, preference: u16, service: &str, target: &str) -> Option<RData> {
    // What X.672 and ONS 2.0.1 have in their examples; all rules are of one order.
    let order = match zone {
        ZoneKind::Ons => 0,
        ZoneKind::Node | ZoneKind::Ors => 100,
    };
    let regexp = regexp_to(target)?;
    if service.len() > MAX_STRING_BYTES {
        return None;
    }
    Some(RData::NAPTR(NAPTR::new(
        order,
        preference,
        TERMINAL_URI.into(),
        service.as_bytes().into(),
        regexp.into_bytes().into(),
        Name::root(),
    )))
}

/// The one record that a question for any type is answered with (RFC 8482 §4.2).
pub(super) fn any_record(owner: &Name, ttl_s: u32) -> Record {
    let host = HINFO::new("RFC8482".to_owned(), String::new());
    Record::from_rdata(owner.clone(), ttl_s, RData::HINFO(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::value::{Value, Values, encode_values};
    use std::cell::Cell;

    fn found<'a>(owner: &'a Name, identifier: &'a Identifier, zone: ZoneKind) -> Found<'a> {
        Found {
            owner,
            zone,
            identifier,
            spelling: "88.118.8/x",
            now_s: 1_700_000_000,
            default_ttl_s: 300,
            first_tells: false,
        }
    }

    fn records_of(all: &[Value]) -> Vec<Value> {
        let numbered = all.iter().zip(1..).map(|(value, index)| Value {
            index,
            ..value.clone()
        });
        numbered.collect()
    }

    #[test]
    fn whether_there_are_records_is_told_as_the_records_tell_it() {
        let long = format!("https://example.cn/{}", "x".repeat(MAX_SET_BYTES));
        let kinds = [
            Value::new(1, "URL", "https://example.cn/"),
            Value::new(1, "URL", long),
            Value::new(1, "A", "192.0.2.1"),
            Value::new(1, "INET_HOST", "2001:db8::1"),
            Value::new(1, "PTR", "host.example.cn."),
            Value::new(1, "HTTPS", "1 . alpn=h2"),
            Value::new(1, "HTTPS", "no such thing"),
            Value::new(1, "DESC", "x"),
        ];
        let owner = Name::from_ascii("x.88-118-8.hdl.id.example.").unwrap();
        for (zone, text) in [
            (ZoneKind::Node, "88.118.8/x"),
            (ZoneKind::Ors, "oid:1.2.156.3001"),
            (ZoneKind::Ons, "(01)09506000134352"),
        ] {
            let identifier = Identifier::parse(text).unwrap();
            let found = found(&owner, &identifier, zone);
            // Every two of them in either order, and none.
            for first in &kinds {
                for second in &kinds {
                    for count in 0..=2 {
                        let all = [first.clone(), second.clone()];
                        let all = records_of(all.get(..count).unwrap());
                        let encoded = encode_values(&all);
                        let values = || Values::new(&encoded, all.len() as u32).map(Result::unwrap);
                        for qtype in ZONE_TYPES {
                            let made = found.records(qtype, values());
                            let told = found.has(qtype, values());
                            assert_eq!(told, !made.is_empty(), "{zone:?} {qtype} {all:.80?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn whether_there_are_records_takes_one_of_them() {
        let owner = Name::from_ascii("x.88-118-8.hdl.id.example.").unwrap();
        let identifier = Identifier::parse("88.118.8/x").unwrap();
        let found = found(&owner, &identifier, ZoneKind::Node);
        let all: Vec<_> = (1..=2_000)
            .map(|index| Value::new(index, "URL", format!("https://example.cn/{index}")))
            .collect();
        let encoded = encode_values(&all);
        for qtype in [RecordType::TXT, URI, RecordType::NAPTR] {
            let read = Cell::new(0);
            let values = Values::new(&encoded, all.len() as u32).map(Result::unwrap);
            assert!(found.has(qtype, values.inspect(|_| read.set(read.get() + 1))));
            assert!(read.get() <= 1, "{qtype}: {} values", read.get());
        }
    }
}
