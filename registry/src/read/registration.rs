//! Registrations as others may see them: a prefix and who holds it. What is personal is taken away
//! here, for whoever does not own it, so that no front has it to show.

use super::page::{Item, Listing};
use super::{MAX_PAGE, PageRequest};
use crate::enterprise::{CertificateType, Enterprise, EnterpriseId, Profile};
use crate::layout::{Family, decode_value, number_key};
use crate::prefix::{PrefixRecord, PrefixState};
use crate::registry::Registry;
use crate::{Caller, Result};
use idnode_proto::identifier::{PrefixCandidates, Relation};
use idnode_proto::iiidap::Pattern;
use prost::Message;

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
        Ok(profile.map(|profile| Registration::seen(entry.record.clone(), profile, caller)))
    }

    /// The registrations of those whose name matches, at most so many, [`MAX_PAGE`] being the
    /// most there are. Blocks.
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
        for id in names.enterprises {
            let page = self.registered_prefixes(id, most - all.found.len())?;
            if page.is_empty() {
                continue;
            }
            if all.found.len() >= most {
                all.more = true;
                break;
            }
            let Some(profile) = self.profile(id)? else {
                continue;
            };
            let room = most - all.found.len();
            all.more |= page.len() > room;
            let seen = page
                .into_iter()
                .take(room)
                .map(|record| Registration::seen(record, profile.clone(), caller));
            all.found.extend(seen);
        }
        Ok(all)
    }

    /// An enterprise's registered prefixes: up to one more than so many.
    fn registered_prefixes(&self, id: EnterpriseId, most: usize) -> Result<Vec<PrefixRecord>> {
        let size = (most + 1).min(MAX_PAGE) as u32;
        let request = PageRequest {
            size,
            token: String::new(),
        };
        let listing = Listing::of_enterprise(Family::PrefixesByEnterprise, id, &request);
        let page = listing.page_of(self, |key, _| {
            let entry = self.prefixes().get(key.get(8..).unwrap_or_default());
            let record = entry.map(|entry| entry.record.clone());
            Ok(record.filter(is_registered).map(|record| Item {
                further_bytes: record.encoded_len(),
                item: record,
            }))
        })?;
        Ok(page.items)
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
