//! Registrations as others may see them: a prefix and who holds it. What is personal is taken away
//! here, for whoever does not own it, so that no front has it to show.

use super::MAX_PAGE;
use super::page::MAX_PAGE_ROWS;
use crate::enterprise::{CertificateType, Enterprise, EnterpriseId, Profile};
use crate::layout::{Family, decode_value, index_key, number_key, prefix_end};
use crate::prefix::{PrefixRecord, PrefixState};
use crate::registry::Registry;
use crate::{Caller, Result};
use idnode_proto::identifier::{PrefixCandidates, Relation};
use idnode_proto::iiidap::Pattern;

/// A prefix and who holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The prefix.
    pub prefix: PrefixRecord,
    /// Who holds it. Without [`Registration::whole`] only what everybody may see: names,
    /// country, web site and description.
    pub profile: Profile,
    /// The caller sees everything.
    pub whole: bool,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registrations {
    /// In the order of names, then of prefixes.
    pub found: Vec<Registration>,
    /// There may be more.
    pub more: bool,
}

/// Prefixes of an enterprise.
#[derive(Debug, Default)]
struct Held {
    prefixes: Vec<PrefixRecord>,
    /// There may be more.
    more: bool,
}

/// Whether a prefix is registered, rather than applied for or refused.
fn is_registered(record: &PrefixRecord) -> bool {
    use PrefixState::{Active, PendingDeletion, Suspended};
    matches!(record.state(), Active | Suspended | PendingDeletion)
}

/// What is left of a profile for those who do not own it.
fn public(profile: Profile) -> Profile {
    Profile {
        certificate_type: CertificateType::Unspecified as i32,
        name: profile.name,
        name_en: profile.name_en,
        country_code: profile.country_code,
        website: profile.website,
        description: profile.description,
        ..Profile::default()
    }
}

impl Registry {
    /// The registration that holds what a prefix's or an identifier's candidates are of: that of
    /// the longest registered prefix that owns it. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn registration(
        &self,
        caller: &Caller,
        candidates: PrefixCandidates<'_>,
    ) -> Result<Option<Registration>> {
        let owners = candidates.filter(|candidate| candidate.relation == Relation::Owner);
        let held = owners.map(|candidate| self.prefixes().get(candidate.key));
        let Some(entry) = held.flatten().next() else {
            return Ok(None);
        };
        if !is_registered(&entry.record) {
            return Ok(None);
        }
        let profile = self.profile(entry.record.owner())?;
        Ok(profile
            .map(|profile| Registration::seen(PrefixRecord::clone(&entry.record), profile, caller)))
    }

    /// The registrations of those whose name matches, at most so many, [`MAX_PAGE`] being the
    /// most there are; where so many prefixes that are not registered had to be passed over that it
    /// would take too long, fewer, with [`Registrations::more`]. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn registrations_named(
        &self,
        caller: &Caller,
        pattern: &Pattern,
        most: usize,
    ) -> Result<Registrations> {
        let most = most.clamp(1, MAX_PAGE);
        // Not all of them have a prefix that is registered.
        let names = self.names().find(pattern, MAX_PAGE);
        let mut all = Registrations {
            more: names.more,
            ..Registrations::default()
        };
        let mut rows = MAX_PAGE_ROWS;
        for id in names.enterprises {
            let held = self.registered_prefixes(id, most - all.found.len(), &mut rows)?;
            all.more |= held.more;
            if !held.prefixes.is_empty()
                && let Some(profile) = self.profile(id)?
            {
                let seen = |record| Registration::seen(record, profile.clone(), caller);
                all.found.extend(held.prefixes.into_iter().map(seen));
            }
            // What the others have would not be shown; whether they have anything need not be known.
            if held.more {
                break;
            }
        }
        Ok(all)
    }

    /// An enterprise's registered prefixes, at most so many, of as many rows as are left.
    fn registered_prefixes(&self, id: EnterpriseId, most: usize, rows: &mut usize) -> Result<Held> {
        let view = self.store().snapshot();
        let start = index_key(id.0, &[]).to_vec();
        let end = prefix_end(&start);
        let mut held = Held::default();
        for row in view.scan(Family::PrefixesByEnterprise, &start, end.as_deref())? {
            let Some(left) = rows.checked_sub(1) else {
                held.more = true;
                break;
            };
            *rows = left;
            let (key, _) = row?;
            let entry = self.prefixes().get(key.get(8..).unwrap_or_default());
            let Some(entry) = entry.filter(|entry| is_registered(&entry.record)) else {
                continue;
            };
            if held.prefixes.len() >= most {
                held.more = true;
                break;
            }
            held.prefixes.push(PrefixRecord::clone(&entry.record));
        }
        Ok(held)
    }

    fn profile(&self, id: EnterpriseId) -> Result<Option<Profile>> {
        let stored = self.store().get(Family::Enterprises, &number_key(id.0))?;
        let enterprise: Option<Enterprise> =
            stored.map(|stored| decode_value(&stored)).transpose()?;
        Ok(enterprise.map(|enterprise| enterprise.profile))
    }
}

impl Registration {
    fn seen(prefix: PrefixRecord, profile: Profile, caller: &Caller) -> Self {
        let whole = caller.owns(prefix.owner());
        Self {
            prefix,
            profile: match whole {
                true => profile,
                false => public(profile),
            },
            whole,
        }
    }
}
