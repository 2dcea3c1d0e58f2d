//! The TSIG record of a message (RFC 8945 §4.2).

use super::super::raw::{RawRecord, Section, read_name};

/// TYPE of TSIG.
pub(super) const TSIG: u16 = 250;
/// CLASS ANY, which TSIG records are of.
const ANY: u16 = 255;

/// A message's signature, as it came.
#[derive(Debug)]
pub(super) struct Signature<'a> {
    /// Where its record begins in the message.
    pub(super) at: usize,
    /// Name of the key on the wire, in lower case.
    pub(super) key_name: Vec<u8>,
    /// Name of the algorithm on the wire, in lower case.
    pub(super) algorithm: Vec<u8>,
    /// When it was made, seconds since the Unix epoch.
    pub(super) time_s: u64,
    /// How far the receiver's clock may differ, seconds.
    pub(super) fudge_s: u16,
    pub(super) mac: &'a [u8],
    /// ID of the message when it was signed.
    pub(super) original_id: [u8; 2],
    pub(super) error: u16,
    pub(super) other: &'a [u8],
}

impl<'a> Signature<'a> {
    /// Reads a TSIG record; `None`: it breaks the rules of the record.
    pub(super) fn read(message: &'a [u8], record: &RawRecord<'a>) -> Option<Self> {
        let belongs = record.section == Section::Additional && record.rtype == TSIG;
        if !belongs || record.class != ANY || record.ttl_s != 0 {
            return None;
        }
        let (key_name, _) = read_name(message, record.at)?;
        let (algorithm, after) = read_name(message, record.data_at)?;
        let rest = record.data.get(after.checked_sub(record.data_at)?..)?;
        let (fixed, rest) = rest.split_first_chunk::<10>()?;
        let [t1, t2, t3, t4, t5, t6, f1, f2, m1, m2] = *fixed;
        let (mac, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([m1, m2])))?;
        let (fixed, other) = rest.split_first_chunk::<6>()?;
        let [i1, i2, e1, e2, o1, o2] = *fixed;
        let whole = usize::from(u16::from_be_bytes([o1, o2])) == other.len();
        whole.then_some(Self {
            at: record.at,
            key_name,
            algorithm,
            time_s: u64::from_be_bytes([0, 0, t1, t2, t3, t4, t5, t6]),
            fudge_s: u16::from_be_bytes([f1, f2]),
            mac,
            original_id: [i1, i2],
            error: u16::from_be_bytes([e1, e2]),
            other,
        })
    }
}

/// A signature to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten<'a> {
    pub(super) key_name: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) time_s: u64,
    pub(super) fudge_s: u16,
    pub(super) error: u16,
    pub(super) other: &'a [u8],
}

impl Unwritten<'_> {
    /// Time and fudge: what of a record later messages of a sequence sign (RFC 8945 §5.3.1).
    pub(super) fn timers(&self) -> [u8; 8] {
        let [_, _, t1, t2, t3, t4, t5, t6] = self.time_s.to_be_bytes();
        let [f1, f2] = self.fudge_s.to_be_bytes();
        [t1, t2, t3, t4, t5, t6, f1, f2]
    }

    /// What of a record is signed (RFC 8945 §4.3.3).
    pub(super) fn variables(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.other.len());
        out.extend_from_slice(self.key_name);
        out.extend_from_slice(&ANY.to_be_bytes());
        out.extend_from_slice(&0_u32.to_be_bytes());
        out.extend_from_slice(self.algorithm);
        out.extend_from_slice(&self.timers());
        out.extend_from_slice(&self.error.to_be_bytes());
        out.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        out.extend_from_slice(self.other);
        out
    }

    /// Bytes of the record with a MAC of this length.
    pub(super) fn record_bytes(&self, mac: usize) -> usize {
        self.key_name.len() + 10 + self.algorithm.len() + 16 + mac + self.other.len()
    }

    /// Appends the record to a message and counts it.
    pub(super) fn append(&self, mac: &[u8], message: &mut Vec<u8>) {
        let id = [
            message.first().copied().unwrap_or_default(),
            message.get(1).copied().unwrap_or_default(),
        ];
        let data = self.algorithm.len() + 16 + mac.len() + self.other.len();
        message.extend_from_slice(self.key_name);
        message.extend_from_slice(&TSIG.to_be_bytes());
        message.extend_from_slice(&ANY.to_be_bytes());
        message.extend_from_slice(&0_u32.to_be_bytes());
        // Names, MACs and times are far shorter than 64 KiB.
        message.extend_from_slice(&(data as u16).to_be_bytes());
        message.extend_from_slice(self.algorithm);
        message.extend_from_slice(&self.timers());
        message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        message.extend_from_slice(mac);
        message.extend_from_slice(&id);
        message.extend_from_slice(&self.error.to_be_bytes());
        message.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(self.other);
        add_additional(message, 1);
    }
}

/// Changes the count of additional records.
pub(super) fn add_additional(message: &mut [u8], more: i16) {
    if let Some(count) = message.get_mut(10..12) {
        let old = u16::from_be_bytes([
            count.first().copied().unwrap_or_default(),
            count.last().copied().unwrap_or_default(),
        ]);
        count.copy_from_slice(&old.wrapping_add_signed(more).to_be_bytes());
    }
}
