//! A secondary in memory: takes transfers over TCP, and looks names up as RFC 1034 §4.3.2 has
//! it.

use super::harness::{Ask, PATIENCE};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A record by its parts: owner, type, TTL, data without compression.
pub type Parts = (Name, u16, u32, Vec<u8>);

pub fn parts(record: &Record) -> Parts {
    let mut data = Vec::new();
    let mut encoder = BinEncoder::new(&mut data);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.data.emit(&mut encoder).unwrap();
    let name = record.name.to_lowercase();
    (name, record.record_type().into(), record.ttl, data)
}

/// A zone at a serial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub serial: u32,
    pub records: BTreeSet<Parts>,
}

/// What a secondary was sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    Whole(Copy),
    Difference(Copy),
    Nothing,
}

/// All records of a transfer, with the SOA records around and in it.
pub async fn transfer(addr: SocketAddr, query: &[u8]) -> Result<Vec<Record>, Message> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let framed = [&(query.len() as u16).to_be_bytes(), query].concat();
    stream.write_all(&framed).await.unwrap();
    let mut records: Vec<Record> = Vec::new();
    loop {
        let message = timeout(PATIENCE, read(&mut stream)).await.unwrap();
        if message.answers.is_empty() {
            return Err(message);
        }
        assert!(message.metadata.authoritative);
        records.extend(message.answers);
        if is_whole(&records) {
            return Ok(records);
        }
    }
}

async fn read(stream: &mut TcpStream) -> Message {
    let length = stream.read_u16().await.expect("a whole transfer");
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.unwrap();
    Message::from_vec(&message).unwrap()
}

fn serial(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

/// Whether the end has come: an IXFR that begins as a difference has its last serial thrice.
fn is_whole(records: &[Record]) -> bool {
    let [first, rest @ ..] = records else {
        return false;
    };
    let last = serial(first);
    let again = rest.iter().filter(|record| serial(record) == last).count();
    match rest.first().map(serial) {
        // A single SOA: nothing has changed. A transfer never breaks off there.
        None => true,
        Some(Some(_)) if rest.len() > 1 || rest.first().map(serial) != Some(last) => again == 2,
        _ => again == 1,
    }
}

impl Copy {
    /// By AXFR.
    pub async fn whole(addr: SocketAddr, zone: &str) -> Self {
        let query = Ask::new(zone, RecordType::AXFR).edns(0, 1_232).bytes();
        let records = transfer(addr, &query).await.unwrap();
        Self::from_whole(&records)
    }

    fn from_whole(records: &[Record]) -> Self {
        let [first, between @ .., last] = records else {
            panic!("{records:?}");
        };
        assert_eq!(parts(first), parts(last));
        let set: BTreeSet<Parts> = records[..records.len() - 1].iter().map(parts).collect();
        assert_eq!(set.len(), between.len() + 1, "no record comes twice");
        Self {
            serial: serial(first).unwrap(),
            records: set,
        }
    }

    /// By IXFR.
    pub async fn refreshed(&self, addr: SocketAddr, zone: &str) -> Sent {
        let query = ixfr(zone, self.serial);
        let records = transfer(addr, &query).await.unwrap();
        if records.len() == 1 {
            return Sent::Nothing;
        }
        if serial(&records[1]).is_none() {
            return Sent::Whole(Self::from_whole(&records));
        }
        Sent::Difference(self.with(&records))
    }

    /// As RFC 1995 §4 has a difference: every record that is deleted is there, none that is
    /// added.
    fn with(&self, records: &[Record]) -> Self {
        let serials: Vec<(usize, u32)> = (0..)
            .zip(records)
            .filter_map(|(place, record)| serial(record).map(|serial| (place, serial)))
            .collect();
        let [(0, new), (1, old), (added_at, again), (end, last)] = serials[..] else {
            panic!("{serials:?}");
        };
        assert_eq!((old, again, last), (self.serial, new, new));
        assert_eq!(end, records.len() - 1);
        let mut copy = self.clone();
        for record in &records[1..added_at] {
            assert!(copy.records.remove(&parts(record)), "not there: {record}");
        }
        for record in &records[added_at..end] {
            assert!(
                copy.records.insert(parts(record)),
                "there already: {record}"
            );
        }
        copy.serial = new;
        copy
    }
}

/// An IXFR query from a serial.
pub fn ixfr(zone: &str, serial: u32) -> Vec<u8> {
    let mut query = Ask::new(zone, RecordType::IXFR).bytes();
    query[9] = 1;
    query.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    query.extend_from_slice(&serial.to_be_bytes());
    query.extend_from_slice(&[0; 16]);
    query
}

/// What a copy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Records, and whether a wildcard stands behind them.
    Records(BTreeSet<Parts>, bool),
    /// The NS records of a cut.
    Referral(BTreeSet<Parts>),
    /// And whether a wildcard stands behind it.
    NoData(bool),
    NoName,
}

/// A copy that answers.
pub struct Lookup<'a> {
    apex: Name,
    /// By owner and type; owners without records lead to others.
    names: BTreeMap<Name, BTreeMap<u16, BTreeSet<&'a Parts>>>,
}

const NS: u16 = 2;

impl<'a> Lookup<'a> {
    pub fn new(copy: &'a Copy, zone: &str) -> Self {
        let apex = Name::from_ascii(zone).unwrap();
        let mut names: BTreeMap<Name, BTreeMap<u16, BTreeSet<&Parts>>> = BTreeMap::new();
        for record in &copy.records {
            let (owner, rtype, ..) = record;
            assert!(apex.zone_of(owner), "{owner} is in the zone");
            for length in apex.iter().len()..owner.iter().len() {
                names.entry(owner.trim_to(length)).or_default();
            }
            let at = names.entry(owner.clone()).or_default();
            at.entry(*rtype).or_default().insert(record);
        }
        Self { apex, names }
    }

    fn set(&self, owner: &Name, rtype: u16) -> Option<BTreeSet<Parts>> {
        let set = self.names.get(owner)?.get(&rtype)?;
        Some(set.iter().map(|parts| (*parts).clone()).collect())
    }

    pub fn find(&self, name: &Name, qtype: RecordType) -> Found {
        let rtype = u16::from(qtype);
        let above = |length: usize| {
            let labels: Vec<&[u8]> = name.iter().collect();
            Name::from_labels(labels[labels.len() - length..].to_vec()).unwrap()
        };
        let (least, most) = (self.apex.iter().len(), name.iter().len());
        let mut closest = self.apex.clone();
        for length in least + 1..=most {
            let ancestor = above(length);
            if let Some(servers) = self.set(&ancestor, NS)
                && !(length == most && qtype == RecordType::DS)
            {
                return Found::Referral(servers);
            }
            if !self.names.contains_key(&ancestor) {
                let star = Name::from_ascii("*")
                    .unwrap()
                    .append_name(&closest)
                    .unwrap();
                return match (self.names.contains_key(&star), self.set(&star, rtype)) {
                    (false, _) => Found::NoName,
                    (true, None) => Found::NoData(true),
                    (true, Some(set)) => Found::Records(
                        set.into_iter()
                            .map(|(_, rtype, ttl, data)| (name.to_lowercase(), rtype, ttl, data))
                            .collect(),
                        true,
                    ),
                };
            }
            closest = ancestor;
        }
        let set = self.set(name, rtype);
        set.map_or(Found::NoData(false), |set| Found::Records(set, false))
    }

    /// Every name there is, those that only lead to others included.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.keys()
    }
}
