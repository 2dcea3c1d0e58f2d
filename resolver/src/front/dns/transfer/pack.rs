//! Records packed into messages: many a message, owner names compressed against the one before
//! (transfers come in the order of names), each message signed.

use super::super::query::Head;
use super::super::tsig::{self, Signer};
use hickory_proto::ProtoError;
use hickory_proto::rr::{Name, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

/// A message takes no further record when it would exceed this, bytes: as far as compression
/// pointers reach (RFC 1035 §4.1.4).
const MESSAGE_BYTES: usize = 1 << 14;
/// AA in a header's third byte.
const AUTHORITATIVE: u8 = 0x04;
/// What marks a compression pointer.
const POINTER: u16 = 0xc000;
/// CLASS IN.
const IN: u16 = 1;

/// Whoever takes the messages is gone, or one cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PackError {
    #[error("the client is gone, or takes nothing")]
    Gone,
    #[error("a record cannot be encoded: {0}")]
    Encode(String),
}

/// What an answer of many messages begins with.
#[derive(Debug, Clone)]
pub(in super::super) struct Opening {
    pub(in super::super) head: Head,
    /// The question section, which the first message repeats.
    pub(in super::super) question: Vec<u8>,
    /// The OPT record of the first message; empty: none.
    pub(in super::super) opt: Vec<u8>,
    /// Who signs.
    pub(in super::super) signer: Option<Signer>,
}

/// Packs records into messages and hands them on.
pub(super) struct Packer<F> {
    opening: Opening,
    send: F,
    message: Vec<u8>,
    records: u16,
    is_first: bool,
    /// The last owner name in this message.
    owner: Option<Owner>,
    data: Vec<u8>,
    /// All records packed.
    pub(super) packed: u64,
    /// All bytes of messages.
    pub(super) bytes: u64,
}

/// An owner name and where each of its labels is in the message.
struct Owner {
    name: Name,
    at: Vec<u16>,
}

impl<F: FnMut(Vec<u8>) -> Result<(), PackError>> Packer<F> {
    pub(super) fn new(opening: Opening, send: F) -> Self {
        let mut packer = Self {
            opening,
            send,
            message: Vec::new(),
            records: 0,
            is_first: true,
            owner: None,
            data: Vec::with_capacity(512),
            packed: 0,
            bytes: 0,
        };
        packer.begin();
        packer
    }

    fn begin(&mut self) {
        let [id1, id2] = self.opening.head.id;
        let [first, second] = self.opening.head.flags;
        let flags = first | AUTHORITATIVE;
        self.message = Vec::with_capacity(MESSAGE_BYTES + 512);
        self.message
            .extend_from_slice(&[id1, id2, flags, second, 0, 0, 0, 0, 0, 0, 0, 0]);
        if self.is_first {
            self.message.extend_from_slice(&self.opening.question);
            self.set_count(4, u16::from(!self.opening.question.is_empty()));
        }
        self.records = 0;
        self.owner = None;
    }

    fn set_count(&mut self, at: usize, count: u16) {
        if let Some(place) = self.message.get_mut(at..at + 2) {
            place.copy_from_slice(&count.to_be_bytes());
        }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), PackError> {
        self.data.clear();
        let mut encoder = BinEncoder::new(&mut self.data);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        let encode = |error: ProtoError| PackError::Encode(error.to_string());
        record.data.emit(&mut encoder).map_err(encode)?;
        let begin = self.message.len();
        self.write(record);
        if self.message.len() > MESSAGE_BYTES && self.records > 0 {
            self.message.truncate(begin);
            self.flush()?;
            self.write(record);
        }
        self.records += 1;
        self.packed += 1;
        Ok(())
    }

    fn write(&mut self, record: &Record) {
        self.write_owner(&record.name);
        let rtype = u16::from(record.record_type());
        self.message.extend_from_slice(&rtype.to_be_bytes());
        self.message.extend_from_slice(&IN.to_be_bytes());
        self.message.extend_from_slice(&record.ttl.to_be_bytes());
        // Sets of records end far below 64 KiB.
        let length = self.data.len() as u16;
        self.message.extend_from_slice(&length.to_be_bytes());
        self.message.extend_from_slice(&self.data);
    }

    /// Writes a name; what it has in common with the one before is a pointer to that.
    fn write_owner(&mut self, name: &Name) {
        let labels: Vec<&[u8]> = name.iter().collect();
        let common = self.owner.as_ref().map_or(0, |owner| {
            let before = owner.name.iter().rev();
            let equal = labels.iter().rev().zip(before);
            equal.take_while(|(own, other)| **own == *other).count()
        });
        let new = labels.len() - common;
        let mut at = Vec::with_capacity(labels.len());
        for label in labels.iter().take(new) {
            at.push(self.message.len() as u16);
            // Labels have at most 63 bytes.
            self.message.push(label.len() as u8);
            self.message.extend_from_slice(label);
        }
        let known = self.owner.as_ref().map_or(&[][..], |owner| &owner.at);
        let known = known.get(known.len() - common..).unwrap_or_default();
        match known.first() {
            Some(target) => {
                let pointer = POINTER | target;
                self.message.extend_from_slice(&pointer.to_be_bytes());
            }
            None => self.message.push(0),
        }
        at.extend_from_slice(known);
        // A pointer has 14 bits.
        self.owner = at.iter().all(|at| at & POINTER == 0).then(|| Owner {
            name: name.clone(),
            at,
        });
    }

    fn flush(&mut self) -> Result<(), PackError> {
        self.set_count(6, self.records);
        if self.is_first && !self.opening.opt.is_empty() {
            self.message.extend_from_slice(&self.opening.opt);
            self.set_count(10, 1);
        }
        if let Some(signer) = &mut self.opening.signer {
            signer.sign(&mut self.message, tsig::now_s());
        }
        self.is_first = false;
        self.bytes += self.message.len() as u64;
        let message = std::mem::take(&mut self.message);
        (self.send)(message)?;
        self.begin();
        Ok(())
    }

    /// Sends what is left.
    pub(super) fn finish(&mut self) -> Result<(), PackError> {
        if self.records == 0 {
            return Ok(());
        }
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use hickory_proto::op::Message;
    use hickory_proto::rr::RData;
    use hickory_proto::rr::rdata::{A, TXT};

    fn opening() -> Opening {
        Opening {
            head: Head {
                id: [1, 2],
                flags: [0x80, 0],
            },
            question: b"\x02id\x00\x00\xfc\x00\x01".to_vec(),
            opt: Vec::new(),
            signer: None,
        }
    }

    /// What is packed is what other software reads, and names are compressed.
    #[test]
    fn records_come_back() {
        let mut records = Vec::new();
        for n in 0..3_000_u32 {
            let name = format!("{}.p-{}.hdl.id.", n % 50, n / 50);
            let name = Name::from_ascii(&name).unwrap();
            let data = RData::A(A::from(std::net::Ipv4Addr::from(n)));
            records.push(Record::from_rdata(name.clone(), n, data));
            let text = vec![b'x'; if n % 1_000 == 7 { 20_000 } else { 20 }];
            let text = TXT::from_bytes(text.chunks(255).collect());
            records.push(Record::from_rdata(name, n, RData::TXT(text)));
        }
        let mut messages = Vec::new();
        let mut packer = Packer::new(opening(), |message| {
            messages.push(message);
            Ok(())
        });
        for record in &records {
            packer.add(record).unwrap();
        }
        packer.finish().unwrap();
        assert_eq!(packer.packed, 6_000);
        let total: usize = messages.iter().map(Vec::len).sum();
        assert!(
            total < 3_000 * (2 * 12 + 10 + 4 + 21) + 3 * 20_500,
            "{total}"
        );
        let mut read = Vec::new();
        for (place, bytes) in messages.iter().enumerate() {
            assert!(bytes.len() <= 21_000);
            let message = Message::from_vec(bytes).unwrap();
            assert!(message.metadata.authoritative);
            assert_eq!(message.metadata.id, 0x0102);
            assert_eq!(message.queries.len(), usize::from(place == 0));
            read.extend(message.answers);
        }
        assert_eq!(read.len(), records.len());
        for (own, other) in records.iter().zip(&read) {
            assert_eq!((own, own.ttl), (other, other.ttl));
        }
    }

    #[test]
    fn whoever_is_gone_gets_no_more() {
        let mut left = 2;
        let mut packer = Packer::new(opening(), |_| {
            left -= 1;
            if left == 0 {
                Err(PackError::Gone)
            } else {
                Ok(())
            }
        });
        let text = TXT::from_bytes(vec![&[b'x'; 250]; 20]);
        let record = Record::from_rdata(Name::root(), 0, RData::TXT(text));
        let ended = (0..100).find_map(|_| packer.add(&record).err());
        assert_eq!(ended, Some(PackError::Gone));
    }
}
