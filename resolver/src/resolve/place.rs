//! What the prefix of an identifier decides, and what `0.NA/<prefix>` is.

use super::{Answer, Missing, Resolved, Resolver};
use crate::measure;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Ttl, Value, encode_values, types};
use idnode_registry::prefix_table::{PrefixEntry, Traffic};
use idnode_registry::record::Record;
use std::sync::Arc;

/// Where an identifier's answer is.
pub(super) enum Place {
    /// The prefix alone decided; these are its counters, or those of all that are not registered.
    Answered(Answer, Option<Arc<Traffic>>),
    /// In the store, under this prefix, which counts what is found there.
    Here(Arc<PrefixEntry>),
}

impl Resolver {
    /// What the prefix alone decides, which it counts.
    pub(super) fn place(&self, identifier: &Identifier) -> Place {
        let place = self.place_uncounted(identifier);
        if let Place::Answered(answer, Some(traffic)) = &place {
            measure::count(traffic, !matches!(answer, Answer::Missing(_)));
        }
        place
    }

    /// The same for what nobody has asked this node for.
    pub(super) fn place_uncounted(&self, identifier: &Identifier) -> Place {
        let prefixes = self.registry.prefixes();
        let elsewhere = |answer| Place::Answered(answer, Some(prefixes.elsewhere().clone()));
        if let Some(prefix) = identifier.prefix_handle() {
            return elsewhere(self.describe_prefix(identifier, &prefix));
        }
        let Some(entry) = prefixes.governing(identifier) else {
            return elsewhere(Answer::Missing(Missing::Prefix));
        };
        if !entry.record.is_active() {
            let missing = Missing::PrefixNotActive(entry.record.state());
            return Place::Answered(Answer::Missing(missing), Some(entry.traffic.clone()));
        }
        if entry.record.delegation.is_some() {
            let traffic = Some(entry.traffic.clone());
            return Place::Answered(Answer::Referral(entry), traffic);
        }
        Place::Here(entry)
    }

    /// The prefix by which resolution of what is under this one is referred elsewhere, if it is.
    pub fn referral_under(&self, prefix: &Prefix) -> Option<Arc<PrefixEntry>> {
        let prefixes = self.registry.prefixes();
        let above = || {
            std::iter::successors(prefix.parent(), Prefix::parent)
                .filter_map(|parent| prefixes.get(parent.key()))
                .find(|entry| entry.record.delegation.is_some())
        };
        let governing = prefixes.get(prefix.key()).or_else(above)?;
        let record = &governing.record;
        (record.is_active() && record.delegation.is_some()).then_some(governing)
    }

    /// `0.NA/<prefix>`: where the prefix is served, by its delegation's sites or service handle, else
    /// by this node's site; behind them the values that the prefix has itself. Below a delegated prefix its node knows: a referral.
    fn describe_prefix(&self, identifier: &Identifier, prefix: &Prefix) -> Answer {
        let Some(entry) = self.registry.prefixes().get(prefix.key()) else {
            let above: Vec<_> = std::iter::successors(prefix.parent(), Prefix::parent)
                .filter_map(|parent| self.registry.prefixes().get(parent.key()))
                .filter(|entry| entry.record.is_active())
                .collect();
            // What there is below a prefix of its own the node knows, of others nothing.
            let is_known = !above.is_empty() || self.registry.provisioned_under(prefix).is_some();
            let mut above = above.into_iter();
            let delegated = above.find(|entry| entry.record.delegation.is_some());
            let missing = match is_known {
                true => Missing::Identifier,
                false => Missing::Prefix,
            };
            return delegated.map_or(Answer::Missing(missing), Answer::Referral);
        };
        if !entry.record.is_active() {
            return Answer::Missing(Missing::PrefixNotActive(entry.record.state()));
        }
        let updated_at_ms = entry.record.updated_at_ms;
        let values = match &entry.record.delegation {
            Some(_) => entry.record.delegation_values(),
            None => vec![Value {
                ttl: Ttl::DEFAULT,
                timestamp_s: (updated_at_ms / 1_000) as u32,
                ..Value::new(1, types::HS_SITE, self.own_site.clone())
            }],
        };
        let mut encoded = encode_values(&values);
        encoded.extend_from_slice(&entry.record.values);
        let record = Record {
            version: entry.record.version,
            created_at_ms: entry.record.created_at_ms,
            updated_at_ms,
            deleted: None,
            display: identifier.spelling().map(str::to_owned),
            template: None,
            value_count: values.len() as u16 + entry.record.value_count as u16,
            values: encoded.into(),
        };
        Answer::Found(Resolved::new(Arc::new(record), entry.record.owner()))
    }
}
