//! Deposits of made-up registries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod chains;
mod documents;
mod packages;
mod sealing;

use super::deposit::{Head, Kind, Summary};
use super::listing::Listing;
use super::object::{
    Attribute, Delegation, DelegationSigner, Enterprise, Identifier, LegalPerson, NameServer,
    Object, Prefix, Quota, Template, Values,
};
use super::part::{PartSink, PartSource};
use crate::identifier;
use crate::trust::key::{Algorithm, generate_pem};
use crate::trust::{PrivateKey, TrustKey};
use crate::value::{Permissions, Reference, Ttl, Value, encode_values};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

/// Texts that XML could damage or cannot hold.
pub(super) const TEXTS: [&str; 9] = [
    "",
    "平板车",
    " <&>\"' ",
    "a\tb\nc\rd",
    "\u{1}",
    "\u{fffe}",
    "]]>",
    "&amp;",
    "\u{1f600}\u{85}\u{2028}",
];

pub(super) fn key_pair() -> (PrivateKey, TrustKey) {
    let key = PrivateKey::from_pem(&generate_pem(Algorithm::Sm2256).unwrap()).unwrap();
    let public = TrustKey::of(&key).unwrap();
    (key, public)
}

pub(super) fn head(
    kind: Kind,
    id: &str,
    prev: Option<&str>,
    revision: u64,
    since: Option<u64>,
) -> Head {
    Head {
        id: id.into(),
        prev_id: prev.map(str::to_owned),
        kind,
        watermark_ms: 1_764_288_000_123,
        node: "88.118".into(),
        prefix: "88.118.8".into(),
        revision,
        since,
    }
}

pub(super) fn values(list: &[Value]) -> Values {
    Values::new(list.len() as u32, encode_values(list).into()).unwrap()
}

pub(super) fn odd_values() -> Values {
    let url = Value::new(1, "URL", "https://example.com/?a=1&b=<2>");
    let binary = Value {
        index: u32::MAX,
        value_type: "0.TYPE/<\u{1}>".into(),
        data: (0..=255).collect(),
        ttl: Ttl::AbsoluteS(u32::MAX),
        timestamp_s: 7,
        permissions: Permissions(0xff),
        references: vec![Reference {
            handle: "0.NA/\u{2}".into(),
            index: 3,
        }],
    };
    values(&[url, binary, Value::new(2, "", "")])
}

pub(super) fn prefix() -> Prefix {
    Prefix {
        name: "88.118.8".into(),
        enterprise: 17,
        state: 3,
        review_message: "通过".into(),
        version: 3,
        created_at_ms: 1,
        updated_at_ms: 2,
        submitted: 1,
        withdrawal: 2,
        delegation: Some(Delegation {
            sites: vec![vec![0, 1, 2]],
            name_servers: vec![NameServer {
                name: "ns1.example.".into(),
                addresses: vec!["192.0.2.1".into(), "2001:db8::1".into()],
            }],
            ds: vec![DelegationSigner {
                key_tag: 1,
                algorithm: 13,
                digest_type: 2,
                digest: vec![7; 32],
            }],
            service_handle: "88.119/服务".into(),
        }),
        values: odd_values(),
    }
}

pub(super) fn enterprise() -> Enterprise {
    Enterprise {
        id: 17,
        state: 2,
        certificate_type: 1,
        certificate_code: "91110000600037341L".into(),
        name: "太原重工".into(),
        version: 2,
        contact: Some(["张".into(), "a@example.com".into(), String::new()]),
        legal_person: Some(LegalPerson::default()),
        quota: Some(Quota {
            registrations: Some(5),
            ..Quota::default()
        }),
        ..Enterprise::default()
    }
}

pub(super) fn template(name: &str) -> Template {
    Template {
        name: name.into(),
        revision: 2,
        title: "车辆".into(),
        enterprise: Some(17),
        closed: true,
        version: 4,
        updated_at_ms: 9,
        attributes: vec![Attribute {
            name: "mass".into(),
            kind: 3,
            unit: "kg".into(),
            required: true,
            minimum: Some(0.1),
            maximum: Some(1e300),
            allowed_values: vec![String::new(), "x".into()],
            ..Attribute::default()
        }],
    }
}

pub(super) fn identifier(suffix: &str, version: u64) -> Identifier {
    let parsed = identifier::Identifier::parse(&format!("88.118.8/{suffix}")).unwrap();
    Identifier {
        key: parsed.key().to_vec(),
        name: parsed.canonical(),
        spelling: None,
        template: None,
        deleted: None,
        version,
        created_at_ms: 1,
        updated_at_ms: version,
        values: values(&[Value::new(
            1,
            "URL",
            format!("https://example.com/{suffix}/{version}"),
        )]),
    }
}

/// The state that a registry is in.
pub(super) type State = BTreeMap<Vec<u8>, Identifier>;

pub(super) fn state(identifiers: impl IntoIterator<Item = Identifier>) -> State {
    identifiers
        .into_iter()
        .map(|it| (it.key.clone(), it))
        .collect()
}

/// What a deposit at this state says of it.
pub(super) fn summary(prefix: &Prefix, state: &State) -> Summary {
    let mut listing = Listing::of(prefix);
    for identifier in state.values() {
        listing.add(identifier);
    }
    Summary {
        listed: listing.listed(),
        listing: listing.finish(),
        ..Summary::default()
    }
}

/// The objects of a deposit that tells what changed after a revision.
pub(super) fn objects(prefix: &Prefix, state: &State, since: u64) -> Vec<Object> {
    let mut objects = vec![
        Object::Prefix(prefix.clone()),
        Object::Enterprise(enterprise()),
    ];
    let changed = state.values().filter(|it| it.version > since);
    objects.extend(changed.cloned().map(Object::Identifier));
    objects
}

/// Parts in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(pub Arc<Mutex<BTreeMap<u32, Vec<u8>>>>);

pub(super) struct Part(u32, Vec<u8>);

impl io::Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PartSink for Parts {
    type Part = Part;

    fn begin(&mut self, number: u32) -> io::Result<Part> {
        Ok(Part(number, Vec::new()))
    }

    fn end(&mut self, part: Part) -> io::Result<()> {
        self.0.lock().unwrap().insert(part.0, part.1);
        Ok(())
    }
}

impl PartSource for Parts {
    type Part = Cursor<Vec<u8>>;

    fn open(&self, number: u32) -> io::Result<Self::Part> {
        let part = self.0.lock().unwrap().get(&number).cloned();
        part.map(Cursor::new)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// All that a reader gives, or why it stops.
pub(super) fn read_all(mut source: impl Read) -> Result<Vec<u8>, super::EscrowError> {
    let mut bytes = Vec::new();
    source
        .read_to_end(&mut bytes)
        .map_err(super::EscrowError::from_source)?;
    Ok(bytes)
}
