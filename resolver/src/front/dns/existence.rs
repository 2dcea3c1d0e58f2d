//! Whether a name without records of its own has names below it: then it exists, and the
//! answer is NODATA, not NXDOMAIN (RFC 8020). Only OIDs and GS1 keys have such names.

use data_encoding::BASE64URL_NOPAD;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::read::PageRequest;
use idnode_registry::{Caller, Registry, Result};

/// Separates the qualifiers in a GS1 identifier's tail, below every byte that values have.
const GS1_QUALIFIER_SEPARATOR: u8 = 0x1D;

/// What would make a name exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    /// Identifiers after this key …
    after: Vec<u8>,
    /// … that begin with this, among those of `owner`.
    begins_with: Vec<u8>,
    owner: Option<Prefix>,
    /// Prefixes whose longer key begins with this one, where names of prefixes nest.
    prefix_key: Option<Vec<u8>>,
}

impl Below {
    /// What is below an identifier's name; `None` where nothing can be.
    pub(super) fn identifier(identifier: &Identifier, registry: &Registry) -> Option<Self> {
        let key = identifier.key();
        let bare = key.strip_suffix(&[0]).unwrap_or(key);
        let (begins_with, prefix_key) = match identifier.scheme() {
            Scheme::Oid => (bare.to_vec(), Some(bare.to_vec())),
            Scheme::Gs1 => ([key, &[GS1_QUALIFIER_SEPARATOR]].concat(), None),
            Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => return None,
        };
        let candidates = identifier.prefix_candidates();
        let owner = candidates
            .map(|candidate| candidate.key)
            .find(|key| is_active(registry, key));
        let owner = owner.and_then(|key| Prefix::from_key(key).ok());
        Some(Self {
            after: key.to_vec(),
            begins_with,
            owner,
            prefix_key,
        })
    }

    /// What is below the digits of a GS1 company prefix in an ONS name.
    pub(super) fn digits(prefix: &Prefix, registry: &Registry) -> Self {
        let key = prefix.key().to_vec();
        let mut candidates = std::iter::successors(Some(prefix.clone()), Prefix::parent);
        let owner = candidates.find(|candidate| is_active(registry, candidate.key()));
        Self {
            after: key.clone(),
            begins_with: key.clone(),
            owner,
            prefix_key: Some(key),
        }
    }

    /// Whether there is anything. Looks at one page of each listing, and where that does not
    /// tell, as among very many tombstones, says yes: a name is never denied wrongly. Blocks.
    pub(super) fn exists(&self, registry: &Registry) -> Result<bool> {
        // Whether a name exists is what DNS tells everybody.
        let node = Caller::Operator {
            credential: String::new(),
        };
        if let Some(key) = &self.prefix_key {
            let page = registry.list_prefixes(&node, None, None, &first_after(key))?;
            if page
                .items
                .first()
                .is_some_and(|prefix| prefix.key.starts_with(key))
            {
                return Ok(true);
            }
        }
        let Some(owner) = &self.owner else {
            return Ok(false);
        };
        let page = registry.list_identifiers(&node, owner, &first_after(&self.after), false)?;
        Ok(match page.items.first() {
            Some((identifier, _)) => identifier.key().starts_with(&self.begins_with),
            None => !page.next_token.is_empty(),
        })
    }
}

fn is_active(registry: &Registry, prefix_key: &[u8]) -> bool {
    registry
        .prefixes()
        .get(prefix_key)
        .is_some_and(|entry| entry.record.is_active())
}

/// A page of the one item that follows a key: a listing's token is the key it goes on after.
fn first_after(key: &[u8]) -> PageRequest {
    PageRequest {
        size: 1,
        token: BASE64URL_NOPAD.encode(key),
    }
}
