//! Verdicts on what other nodes have answered (recursion): over the values as they came, by
//! certificates that are known here or, where they are not, asked for where the handle was.

use super::{Certificates, Verdicts, encoded, public};
use crate::recursion::{Recursion, Start};
use crate::resolve::{Answer, Filter, Query, Resolved, Resolver};
use bytes::Bytes;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::types;
use idnode_registry::Caller;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Certificates of other nodes' handles that one verdict asks for: each may take as long as a
/// question with recursion.
const MAX_ASKED: usize = 8;

/// Who is asked for certificates that are not known here.
#[derive(Debug, Clone, Copy)]
pub struct Others<'a> {
    /// The way to other nodes.
    pub recursion: &'a Recursion,
    /// Services that the question has passed through.
    pub hops: u8,
}

impl Verdicts {
    /// Whether what another node has answered is signed up to the root, under the spelling that was
    /// asked for: nobody here knows which one was registered. Verdicts are remembered for a minute,
    /// for these values alone. May take as long as many questions: who waits bounds it.
    pub async fn is_trusted_of_others(
        &self,
        resolver: &Arc<Resolver>,
        others: Others<'_>,
        query: &Query<'_>,
        resolved: &Resolved,
        now_s: u64,
    ) -> bool {
        let filter = Filter::default();
        let whole = public(query.identifier, &filter, &Caller::Stranger);
        let values = encoded(resolved.values(&whole));
        if values.is_empty() {
            return false;
        }
        let handle = query.identifier.display().into_owned();
        let said = Sha256::new_with_prefix(handle.as_bytes())
            .chain_update([0])
            .chain_update(&values)
            .finalize();
        let said: Box<[u8]> = said.as_slice().into();
        if let Some(trusted) = self.kept_of_others.get(&said) {
            return trusted;
        }
        let mut certificates = Certificates {
            verdicts: self,
            resolver,
            others: Some(others),
            asked: 0,
        };
        let places = &self.places_of_others;
        let verified = self.verify(places, handle, values, &mut certificates, now_s);
        let Some(trusted) = verified.await else {
            return false;
        };
        self.kept_of_others.insert(said, trusted);
        trusted
    }
}

impl Certificates<'_> {
    /// Asks for a handle's certificates where it is.
    pub(super) async fn ask(&mut self, others: Others<'_>, handle: &str) -> Option<Bytes> {
        self.asked += 1;
        if self.asked > MAX_ASKED {
            return None;
        }
        let identifier = Identifier::parse(handle).ok()?;
        let filter = Filter {
            types: vec![types::HS_CERT.to_owned()],
            indexes: Vec::new(),
        };
        let query = public(&identifier, &filter, &Caller::Stranger);
        let prefixes = self.resolver.registry().prefixes();
        let prefix = identifier.prefix_handle();
        // Of 0.NA/<prefix> this node has what was registered here, of a delegated one its sites may
        // have more.
        let delegated = prefix.and_then(|prefix| prefixes.get(prefix.key()));
        let sites = delegated
            .as_ref()
            .filter(|entry| entry.record.is_active())
            .and_then(|entry| entry.record.delegation.as_ref());
        let answer = self.resolver.resolve(&query).await.ok()?;
        let start = match sites {
            Some(delegation) => Start::of(delegation),
            None => others.recursion.start(&identifier, &answer)?,
        };
        let asked = others.recursion.resolve(&identifier, &start, others.hops);
        let Ok(Answer::Found(found)) = asked.await else {
            return None;
        };
        let found = encoded(found.values(&query));
        (!found.is_empty()).then(|| found.into())
    }
}
