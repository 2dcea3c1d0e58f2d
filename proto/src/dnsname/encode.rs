//! From identifiers and prefixes to names.

use std::fmt;

use super::label::{ESCAPED_BYTES, MAX_LABEL_BYTES, Spelling, hash_label, scheme_label};
use super::zone::{ZoneName, Zones};
use super::{HASH_BYTES, identifier_hash};
use crate::identifier::{Identifier, Prefix, Scheme};

/// Most bytes of a name in wire form, the root label included (RFC 1035 §2.3.4).
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Most bytes a name has before the zone, in wire form; 255 less the longest zone.
pub(super) const MAX_RELATIVE_BYTES: usize = 155;
/// Separates company prefixes from application identifiers below `gs1`.
pub(super) const COMPANY_PREFIX_LABEL: &[u8] = b"gcp";
/// Key labels of ONS 2.0.1 and the application identifiers they stand for.
pub(super) const ONS_KEYS: [(&str, &str); 3] = [("gtin", "01"), ("sscc", "00"), ("gln", "414")];

/// A fully qualified name, canonical and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MappedName {
    wire: Vec<u8>,
    hashed: bool,
}

impl MappedName {
    /// Whether a label is hashed, so that the identifier cannot be read from the name.
    pub fn is_hashed(&self) -> bool {
        self.hashed
    }

    /// The name in uncompressed wire form (RFC 1035 §3.1), with the root label.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire.as_slice();
        std::iter::from_fn(move || {
            let (len, after) = rest.split_first()?;
            let (label, next) = after.split_at_checked(usize::from(*len))?;
            rest = next;
            (!label.is_empty()).then_some(label)
        })
    }

    fn of(relative: Relative, zone: &ZoneName) -> Self {
        let mut wire = relative.wire;
        wire.extend_from_slice(zone.wire());
        Self {
            wire,
            hashed: relative.hash.is_some(),
        }
    }
}

/// Presentation form with the final dot; labels hold only letters, digits, `-` and `_`.
impl fmt::Display for MappedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", String::from_utf8_lossy(label))?;
        }
        Ok(())
    }
}

/// The part of a name before the zone.
struct Relative {
    wire: Vec<u8>,
    hash: Option<[u8; HASH_BYTES]>,
}

impl Relative {
    fn of_labels(labels: &[&[u8]], hash: Option<[u8; HASH_BYTES]>) -> Self {
        let mut wire = Vec::with_capacity(MAX_RELATIVE_BYTES);
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        Self { wire, hash }
    }

    fn hashed_below_scheme(scheme: Scheme, key: &[u8]) -> Self {
        let hash = identifier_hash(key);
        Self::of_labels(&[&hash_label(&hash), scheme_label(scheme)], Some(hash))
    }
}

/// The name of an identifier in the node's zone; every identifier has one.
///
/// `0.NA/88.118.8` has the name of the prefix it describes, `did:bid:byo1` that of the sub-chain.
pub fn to_name(identifier: &Identifier, zones: &Zones) -> MappedName {
    MappedName::of(relative(identifier), &zones.node)
}

/// The name of a prefix in the node's zone; of an OID prefix, that of the OID.
pub fn prefix_to_name(prefix: &Prefix, zones: &Zones) -> MappedName {
    MappedName::of(prefix_relative(prefix), &zones.node)
}

/// The node of a scheme in the node's zone, `hdl.<zone>`.
pub fn scheme_name(scheme: Scheme, zones: &Zones) -> MappedName {
    MappedName::of(
        Relative::of_labels(&[scheme_label(scheme)], None),
        &zones.node,
    )
}

/// The hash by which an identifier's name must be looked up: `Some` exactly where [`to_name`] gives
/// a hashed name, in whatever zone. An index from these hashes to keys answers every hashed name.
pub fn name_hash(identifier: &Identifier) -> Option<[u8; HASH_BYTES]> {
    if is_plain_at_worst(identifier) {
        return None;
    }
    relative(identifier).hash
}

/// Whether the labels fit even if every byte of them is escaped, as those of most identifiers do.
fn is_plain_at_worst(identifier: &Identifier) -> bool {
    let fits = |part: &[u8]| (1..=MAX_LABEL_BYTES / ESCAPED_BYTES).contains(&part.len());
    match identifier.scheme() {
        // There may be any number of labels.
        Scheme::Oid | Scheme::Gs1 => false,
        Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => {
            fits(identifier.head()) && fits(identifier.tail())
        }
    }
}

/// The hash by which a prefix's name must be looked up: `Some` exactly where [`prefix_to_name`] gives
/// a hashed name, in whatever zone. That of an OID is the hash of the OID as an identifier.
pub fn prefix_name_hash(prefix: &Prefix) -> Option<[u8; HASH_BYTES]> {
    prefix_relative(prefix).hash
}

/// The name of an OID under the ORS zone (X.672); `None` for other schemes, without such a zone, or
/// for one that does not fit into 255 bytes.
pub fn ors_name(identifier: &Identifier, zones: &Zones) -> Option<MappedName> {
    let zone = zones.ors.as_ref()?;
    let mut labels: Vec<&[u8]> = identifier.oid_arcs().map(str::as_bytes).collect();
    labels.reverse();
    let relative = Relative::of_labels(&labels, None);
    let most = MAX_NAME_BYTES.saturating_sub(zone.wire().len());
    let fits = (1..=most).contains(&relative.wire.len());
    fits.then(|| MappedName::of(relative, zone))
}

/// The ONS 2.0.1 name of a GTIN, SSCC or GLN under the ONS zone; `None` for other keys, for keys
/// with qualifiers (ask for the name of the product) and without such a zone.
pub fn ons_name(identifier: &Identifier, zones: &Zones) -> Option<MappedName> {
    let zone = zones.ons.as_ref()?;
    let key = identifier.gs1().filter(|key| key.qualifiers.is_empty())?;
    let (key_label, _) = ONS_KEYS.iter().find(|(_, ai)| *ai == key.ai)?;
    let (_check, digits) = key.value.as_bytes().split_last()?;
    let (lead, rest) = match key.ai {
        "414" => (&[][..], digits),
        _ => digits.split_at_checked(1)?,
    };
    let mut labels: Vec<&[u8]> = lead.chunks(1).chain(rest.rchunks(1)).collect();
    labels.extend([key_label.as_bytes(), b"gs1", b"id"]);
    Some(MappedName::of(Relative::of_labels(&labels, None), zone))
}

/// The names of a GS1 company prefix under the ONS zone, one below each kind of key; none for other
/// schemes and without such a zone. Twelve digits below `gln` are a GLN's name, too.
pub fn ons_prefix_names(prefix: &Prefix, zones: &Zones) -> Vec<MappedName> {
    let Some(zone) = zones
        .ons
        .as_ref()
        .filter(|_| prefix.scheme() == Scheme::Gs1)
    else {
        return Vec::new();
    };
    let names = ONS_KEYS.iter().map(|(key_label, _)| {
        let mut labels: Vec<&[u8]> = prefix.head().rchunks(1).collect();
        labels.extend([key_label.as_bytes(), b"gs1", b"id"]);
        MappedName::of(Relative::of_labels(&labels, None), zone)
    });
    names.collect()
}

/// The prefix an identifier describes and whose name it therefore has.
pub(super) fn describes_prefix(identifier: &Identifier) -> Option<Prefix> {
    match identifier.scheme() {
        Scheme::Handle => identifier.prefix_handle(),
        Scheme::Did if identifier.tail().is_empty() => identifier.prefix(),
        _ => None,
    }
}

fn relative(identifier: &Identifier) -> Relative {
    if let Some(prefix) = describes_prefix(identifier) {
        return prefix_relative(&prefix);
    }
    let scheme = identifier.scheme();
    match scheme {
        Scheme::Oid => oid_relative(identifier),
        Scheme::Gs1 => gs1_relative(identifier),
        Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => two_labels(identifier),
    }
}

pub(super) fn prefix_spelling(scheme: Scheme) -> Spelling {
    Spelling {
        dots: true,
        folded: scheme != Scheme::Did,
    }
}

pub(super) fn tail_spelling(case_sensitive: bool) -> Spelling {
    Spelling {
        dots: false,
        folded: !case_sensitive,
    }
}

fn two_labels(identifier: &Identifier) -> Relative {
    let scheme = identifier.scheme();
    let head = identifier.head();
    let tail = || tail_spelling(identifier.is_case_sensitive()).encode(identifier.tail());
    let prefix = prefix_spelling(scheme).encode(head);
    let (prefix, tail) = match prefix {
        Some(prefix) => (prefix, tail()),
        None => {
            let key = identifier.key().get(..=head.len()).unwrap_or_default();
            (hash_label(&identifier_hash(key)), None)
        }
    };
    let (tail, hash) = match tail {
        Some(tail) => (tail, None),
        None => {
            let hash = identifier_hash(identifier.key());
            (hash_label(&hash), Some(hash))
        }
    };
    Relative::of_labels(&[&tail, &prefix, scheme_label(scheme)], hash)
}

fn oid_relative(identifier: &Identifier) -> Relative {
    let mut labels: Vec<&[u8]> = identifier.oid_arcs().map(str::as_bytes).collect();
    labels.reverse();
    labels.push(scheme_label(Scheme::Oid));
    let plain = Relative::of_labels(&labels, None);
    if plain.wire.len() <= MAX_RELATIVE_BYTES {
        plain
    } else {
        Relative::hashed_below_scheme(Scheme::Oid, identifier.key())
    }
}

fn gs1_relative(identifier: &Identifier) -> Relative {
    gs1_plain(identifier)
        .unwrap_or_else(|| Relative::hashed_below_scheme(Scheme::Gs1, identifier.key()))
}

/// The path of the Digital Link URI from right to left.
fn gs1_plain(identifier: &Identifier) -> Option<Relative> {
    let key = identifier.gs1()?;
    let spelling = tail_spelling(true);
    let mut labels = Vec::with_capacity(2 * key.qualifiers.len() + 3);
    for (ai, value) in key.qualifiers.iter().rev() {
        labels.push(spelling.encode(value.as_bytes())?);
        labels.push(ai.as_bytes().to_vec());
    }
    labels.push(spelling.encode(key.value.as_bytes())?);
    labels.push(key.ai.as_bytes().to_vec());
    labels.push(scheme_label(Scheme::Gs1).to_vec());
    let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
    let plain = Relative::of_labels(&labels, None);
    (plain.wire.len() <= MAX_RELATIVE_BYTES).then_some(plain)
}

fn prefix_relative(prefix: &Prefix) -> Relative {
    let scheme = prefix.scheme();
    match scheme {
        Scheme::Oid => prefix.prefix_identifier().map_or_else(
            || Relative::hashed_below_scheme(scheme, prefix.key()),
            |oid| oid_relative(&oid),
        ),
        Scheme::Gs1 => Relative::of_labels(
            &[prefix.head(), COMPANY_PREFIX_LABEL, scheme_label(scheme)],
            None,
        ),
        Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => {
            match prefix_spelling(scheme).encode(prefix.head()) {
                Some(label) => Relative::of_labels(&[&label, scheme_label(scheme)], None),
                None => Relative::hashed_below_scheme(scheme, prefix.key()),
            }
        }
    }
}
