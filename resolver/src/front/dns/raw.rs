//! Messages read where they lie, record by record: what signatures and transfers need of them
//! beside the question.

use super::frame::HEADER_BYTES;

/// TYPE of SOA (RFC 1035 §3.2.2).
const SOA: u16 = 6;
/// CLASS IN.
const IN: u16 = 1;
/// The greatest name on the wire (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 255;

/// A section of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A record of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRecord<'a> {
    pub(super) section: Section,
    /// Whether it is the message's last.
    pub(super) is_last: bool,
    /// Where it begins.
    pub(super) at: usize,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl_s: u32,
    /// Where its data begins, for names in it.
    pub(super) data_at: usize,
    pub(super) data: &'a [u8],
}

/// All records of a message in their order; `None`: it is not well formed.
pub(super) fn records(message: &[u8]) -> Option<Vec<RawRecord<'_>>> {
    let count = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    let mut at = HEADER_BYTES;
    for _ in 0..count(4)? {
        at = skip_name(message, at)? + 4;
    }
    let sections = [
        (Section::Answer, count(6)?),
        (Section::Authority, count(8)?),
        (Section::Additional, count(10)?),
    ];
    let mut found = Vec::new();
    for (section, count) in sections {
        for _ in 0..count {
            let record = read_record(message, at, section)?;
            at = record.data_at + record.data.len();
            found.push(record);
        }
    }
    if let Some(last) = found.last_mut() {
        last.is_last = at == message.len();
    }
    (at == message.len()).then_some(found)
}

fn read_record(message: &[u8], at: usize, section: Section) -> Option<RawRecord<'_>> {
    let fixed_at = skip_name(message, at)?;
    let fixed = message.get(fixed_at..)?.first_chunk::<10>()?;
    let [t1, t2, c1, c2, l1, l2, l3, l4, d1, d2] = *fixed;
    let data_at = fixed_at + fixed.len();
    let length = usize::from(u16::from_be_bytes([d1, d2]));
    Some(RawRecord {
        section,
        is_last: false,
        at,
        rtype: u16::from_be_bytes([t1, t2]),
        class: u16::from_be_bytes([c1, c2]),
        ttl_s: u32::from_be_bytes([l1, l2, l3, l4]),
        data_at,
        data: message.get(data_at..data_at + length)?,
    })
}

/// Where what follows a name begins.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0..=0xff => return Some(at + 2),
            _ => return None,
        }
    }
}

/// A name in lower case and without compression, and where what follows it begins; `None`: it
/// is not well formed.
pub(super) fn read_name(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let after = skip_name(message, at)?;
    let (mut name, mut at) = (Vec::with_capacity(64), at);
    loop {
        match *message.get(at)? {
            0 => {
                name.push(0);
                return Some((name, after));
            }
            length @ 1..=63 => {
                let label = message.get(at..=at + usize::from(length))?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at += label.len();
            }
            high @ 0xc0..=0xff => {
                let target = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                // Pointers lead back, so that they come to an end.
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if name.len() >= MAX_NAME_BYTES {
            return None;
        }
    }
}

/// The serial of the SOA record in the authority section: what the sender of an IXFR query has
/// (RFC 1995 §3).
pub(super) fn serial_of_sender(message: &[u8]) -> Option<u32> {
    let records = records(message)?;
    let soa = records.iter().find(|record| {
        record.section == Section::Authority && record.rtype == SOA && record.class == IN
    })?;
    let rname_at = skip_name(message, soa.data_at)?;
    let numbers_at = skip_name(message, rname_at)?;
    let serial = message.get(numbers_at..)?.first_chunk::<4>()?;
    (numbers_at + 4 <= soa.data_at + soa.data.len()).then_some(u32::from_be_bytes(*serial))
}
