//! Certificates that clients show (X.509, RFC 5280): whose they are and what their key is.

use idnode_proto::handle::AdminId;

/// UID, 0.9.2342.19200300.100.1.1 (RFC 4519 §2.39).
const UID: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01];
/// CN, 2.5.4.3 (RFC 4519 §2.3).
const CN: &[u8] = &[0x55, 0x04, 0x03];

/// DER tags (X.690).
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// A client's certificate. Who has issued it does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientCertificate {
    /// `300:0.NA/88.118.8` in the subject's UID, or else in its CN.
    pub(super) administrator: Option<AdminId>,
    /// SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER.
    pub(super) public_key: Vec<u8>,
}

impl ClientCertificate {
    /// Of a certificate's DER; `None`: it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (mut fields, _) = expect(certificate, SEQUENCE)?;
        if let Some((_, rest)) = expect(fields, VERSION) {
            fields = rest;
        }
        // Serial number, signature, issuer, validity.
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE] {
            (_, fields) = expect(fields, tag)?;
        }
        let (subject, fields) = expect(fields, SEQUENCE)?;
        let (_, after) = expect(fields, SEQUENCE)?;
        let public_key = fields.get(..fields.len() - after.len())?;
        let name = attribute(subject, UID).or_else(|| attribute(subject, CN));
        Some(Self {
            administrator: name.and_then(|name| name.parse().ok()),
            public_key: public_key.to_vec(),
        })
    }
}

/// The text of the first attribute of a type in a name (RFC 5280 §4.1.2.4).
fn attribute<'a>(mut name: &'a [u8], kind: &[u8]) -> Option<&'a str> {
    while let Some((mut set, rest)) = expect(name, SET) {
        while let Some((pair, further)) = expect(set, SEQUENCE) {
            let (found, value) = expect(pair, OBJECT_IDENTIFIER)?;
            if found == kind {
                let (tag, text, _) = element(value)?;
                return matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING)
                    .then(|| std::str::from_utf8(text).ok())
                    .flatten();
            }
            set = further;
        }
        name = rest;
    }
    None
}

/// The contents of an element of a tag, and what follows it.
fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, contents, rest) = element(der)?;
    (tag == wanted).then_some((contents, rest))
}

/// Tag and contents of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            let length = bytes
                .iter()
                .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let mut out = vec![tag];
        match u8::try_from(contents.len()) {
            Ok(short @ ..0x80) => out.push(short),
            Ok(long) => out.extend([0x81, long]),
            Err(_) => {
                out.push(0x82);
                out.extend((contents.len() as u16).to_be_bytes());
            }
        }
        out.extend(contents);
        out
    }

    fn named(kind: &[u8], tag: u8, text: &str) -> Vec<u8> {
        let pair = [
            der(OBJECT_IDENTIFIER, &[kind]),
            der(tag, &[text.as_bytes()]),
        ];
        der(SET, &[&der(SEQUENCE, &[&pair[0], &pair[1]])])
    }

    fn certificate(subject: &[Vec<u8>], key: &[u8]) -> Vec<u8> {
        let empty = der(SEQUENCE, &[]);
        let fields = [
            der(VERSION, &[&der(INTEGER, &[&[2]])]),
            der(INTEGER, &[&[1]]),
            empty.clone(),
            empty.clone(),
            empty.clone(),
            der(SEQUENCE, &[&subject.concat()]),
            der(SEQUENCE, &[key]),
        ];
        der(SEQUENCE, &[&der(SEQUENCE, &[&fields.concat()]), &empty])
    }

    #[test]
    fn the_uid_names_the_administrator_and_else_the_cn() {
        let cn = named(CN, PRINTABLE_STRING, "300:0.NA/88.118.8");
        let uid = named(UID, UTF8_STRING, "301:88.118.8/管理");
        let key = vec![7; 300];
        let read = |subject: &[Vec<u8>]| ClientCertificate::read(&certificate(subject, &key));
        let both = read(&[cn.clone(), uid]).unwrap();
        let id = both.administrator.unwrap();
        assert_eq!(
            (id.index, id.handle.canonical()),
            (301, "88.118.8/管理".into())
        );
        assert_eq!(both.public_key, der(SEQUENCE, &[&key]));
        assert_eq!(read(&[cn]).unwrap().administrator.unwrap().index, 300);
        let other = read(&[named(CN, UTF8_STRING, "node.example")]).unwrap();
        assert_eq!(other.administrator, None);
        assert_eq!(read(&[]).unwrap().administrator, None);
    }

    proptest! {
        #[test]
        fn junk_is_no_certificate(at in 0..200_usize, byte: u8, junk in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = ClientCertificate::read(&junk);
            let mut damaged = certificate(&[named(CN, UTF8_STRING, "300:a/b")], &[1; 80]);
            let end = damaged.len();
            damaged[at % end] = byte;
            let _ = ClientCertificate::read(&damaged);
            let _ = ClientCertificate::read(&damaged[..at % end]);
        }
    }
}
