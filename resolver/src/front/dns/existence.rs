//! Whether a name without records of its own has names below it: then it exists, and the
//! answer is NODATA, not NXDOMAIN (RFC 8020). Only OIDs and GS1 keys have such names.

use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::{Registry, Result};

/// Separates the qualifiers in a GS1 identifier's tail, below every byte that values have.
const GS1_QUALIFIER_SEPARATOR: u8 = 0x1D;

/// What would make a name exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    /// Identifiers whose keys begin with this, where an active prefix has them.
    identifiers: Option<Vec<u8>>,
    /// Prefixes whose longer keys begin with this, where names of prefixes nest.
    prefixes: Option<Vec<u8>>,
}

impl Below {
    /// What is below an identifier's name; `None` where nothing can be.
    pub(super) fn identifier(identifier: &Identifier, registry: &Registry) -> Option<Self> {
        let key = identifier.key();
        let (below, prefixes) = match identifier.scheme() {
            Scheme::Oid => {
                let arc = key.strip_suffix(&[0]).unwrap_or(key).to_vec();
                (arc.clone(), Some(arc))
            }
            Scheme::Gs1 => ([key, &[GS1_QUALIFIER_SEPARATOR]].concat(), None),
            Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => return None,
        };
        let mut candidates = identifier.prefix_candidates();
        let answered = candidates.any(|candidate| is_active(registry, candidate.key));
        Some(Self {
            identifiers: answered.then_some(below),
            prefixes,
        })
    }

    /// What is below the digits of a GS1 company prefix in an ONS name.
    pub(super) fn digits(prefix: &Prefix, registry: &Registry) -> Self {
        let key = prefix.key().to_vec();
        let mut candidates = std::iter::successors(Some(prefix.clone()), Prefix::parent);
        let answered = candidates.any(|candidate| is_active(registry, candidate.key()));
        Self {
            identifiers: answered.then(|| key.clone()),
            prefixes: Some(key),
        }
    }

    /// Whether there is anything. Whether a name exists is what DNS tells everybody, so nobody's
    /// permission is asked for. Blocks.
    pub(super) fn exists(&self, registry: &Registry) -> Result<bool> {
        if let Some(key) = &self.prefixes
            && registry.any_prefix_below(key)?
        {
            return Ok(true);
        }
        self.identifiers
            .as_ref()
            .map_or(Ok(false), |key| registry.any_live_below(key))
    }
}

fn is_active(registry: &Registry, prefix_key: &[u8]) -> bool {
    registry
        .prefixes()
        .get(prefix_key)
        .is_some_and(|entry| entry.record.is_active())
}
