//! Whether a name without records of its own has names below it: then it exists, and the
//! answer is NODATA, not NXDOMAIN (RFC 8020). Only OIDs, GS1 keys and the digits of ONS names
//! have such names. What is below is what a copy of the zone has below (`transfer`): what an
//! active prefix answers for.

use super::names::{self, to_dns};
use crate::front::Core;
use hickory_proto::rr::Name;
use idnode_proto::dnsname::{MappedName, ZoneKind};
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::Result;

/// Separates the qualifiers in a GS1 identifier's tail, below every byte that values have.
const GS1_QUALIFIER_SEPARATOR: u8 = 0x1D;

/// What would make a name exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    /// Identifiers whose keys begin with this.
    identifiers: Vec<u8>,
    /// Prefixes whose longer keys begin with this, where names of prefixes nest.
    prefixes: Option<Vec<u8>>,
}

impl Below {
    /// What is below an identifier's name; `None` where nothing can be.
    pub(super) fn identifier(identifier: &Identifier) -> Option<Self> {
        let key = identifier.key();
        let (identifiers, prefixes) = match identifier.scheme() {
            Scheme::Oid => {
                let arc = key.strip_suffix(&[0]).unwrap_or(key).to_vec();
                (arc.clone(), Some(arc))
            }
            Scheme::Gs1 => ([key, &[GS1_QUALIFIER_SEPARATOR]].concat(), None),
            Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => return None,
        };
        Some(Self {
            identifiers,
            prefixes,
        })
    }

    /// What is below the digits of a GS1 company prefix in an ONS name.
    pub(super) fn digits(prefix: &Prefix) -> Self {
        let key = prefix.key().to_vec();
        Self {
            identifiers: key.clone(),
            prefixes: Some(key),
        }
    }

    /// Whether there is anything below `name` in a zone. Whether a name exists is what DNS tells
    /// everybody, so nobody's permission is asked for. Blocks.
    pub(super) fn exists(&self, core: &Core, kind: ZoneKind, name: &Name) -> Result<bool> {
        // Keys below a key may have names elsewhere: hashed ones, or those of other GS1 keys.
        let is_below = |mapped: &MappedName| to_dns(mapped).is_some_and(|own| name.zone_of(&own));
        if let Some(key) = &self.prefixes {
            let names = |prefix: &Prefix| names::of_prefix(prefix, kind, &core.zones);
            let shown = |prefix: &Prefix| names(prefix).iter().any(is_below);
            if core.registry.any_active_prefix_below(key, shown)? {
                return Ok(true);
            }
        }
        let shown = |identifier: &Identifier| {
            let mapped = names::of_identifier(identifier, kind, &core.zones);
            mapped.as_ref().is_some_and(is_below)
        };
        // Lots and serial numbers have no ONS names, and there may be millions of a product's.
        let past = |key: &[u8]| match kind {
            ZoneKind::Ons => past_qualified(key),
            ZoneKind::Node | ZoneKind::Ors => None,
        };
        core.registry
            .any_answered_below(&self.identifiers, past, shown)
    }
}

/// Where the keys end that have what this one has before its qualifiers, and qualifiers; `None`:
/// it has none.
fn past_qualified(key: &[u8]) -> Option<Vec<u8>> {
    let at = key.iter().position(|b| *b == GS1_QUALIFIER_SEPARATOR)?;
    let mut past = key.get(..at)?.to_vec();
    past.push(GS1_QUALIFIER_SEPARATOR + 1);
    Some(past)
}
