//! Quotas on the write path: what a command takes of them.

use super::txn::Txn;
use super::{Outcome, enterprises, expect_version};
use crate::enterprise::EnterpriseId;
use crate::layout::{Family, usage_key};
use crate::quota::{Quota, QuotaKind, Usage};
use crate::read::Counters;
use crate::{Caller, Error, Object, Result};
use std::sync::Arc;

/// Sets an enterprise's limits. Counting begins with what it has.
pub(super) fn set(
    txn: &mut Txn<'_>,
    caller: &Caller,
    id: EnterpriseId,
    quota: &Quota,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    caller.require_operator("setting a quota")?;
    let mut enterprise = Arc::unwrap_or_clone(enterprises::get(txn, id)?);
    expect_version(Object::Enterprise, id, expected_version, enterprise.version)?;
    let counted = enterprise.quota.is_some();
    enterprise.quota = quota.is_limited().then_some(*quota);
    match (counted, enterprise.quota) {
        (false, Some(_)) => {
            let usage = count(txn, id)?;
            txn.put_message(Family::Statistics, usage_key(id), &usage);
        }
        (true, None) => txn.set(Family::Statistics, usage_key(id), None),
        _ => {}
    }
    Ok(enterprises::store(txn, caller, enterprise))
}

/// What an enterprise has, by the counters of its prefixes.
fn count(txn: &Txn<'_>, id: EnterpriseId) -> Result<Usage> {
    let mut usage = Usage::default().at(txn.now_ms());
    for prefix in txn.prefixes_of(id)? {
        let counters: Option<Counters> = txn.get_message(Family::Statistics, &prefix)?;
        usage.registrations += counters.unwrap_or_default().identifiers;
        usage.prefixes += 1;
    }
    Ok(usage)
}

/// What one command takes of quotas: of the enterprises it has met, those that have one are
/// counted, and written at its end.
#[derive(Default)]
pub(super) struct Meter {
    met: Vec<(EnterpriseId, Option<(Quota, Usage)>)>,
}

impl Meter {
    /// Err if one more identifier of an enterprise's is beyond its quota; the operator may go
    /// beyond.
    pub fn require(&mut self, txn: &Txn<'_>, caller: &Caller, id: EnterpriseId) -> Result<()> {
        match self.of(txn, id)? {
            Some((quota, usage)) => refuse(caller, id, quota.against_identifier(usage)),
            None => Ok(()),
        }
    }

    /// One more identifier of an enterprise's.
    pub fn identifier(&mut self, txn: &Txn<'_>, id: EnterpriseId) -> Result<()> {
        if let Some((_, usage)) = self.of(txn, id)? {
            usage.today += 1;
            usage.registrations += 1;
        }
        Ok(())
    }

    /// One identifier less.
    pub fn no_identifier(&mut self, txn: &Txn<'_>, id: EnterpriseId) -> Result<()> {
        if let Some((_, usage)) = self.of(txn, id)? {
            usage.registrations = usage.registrations.saturating_sub(1);
        }
        Ok(())
    }

    /// One more prefix.
    ///
    /// # Errors
    /// [`Error::Quota`], but for the operator.
    pub fn prefix(&mut self, txn: &Txn<'_>, caller: &Caller, id: EnterpriseId) -> Result<()> {
        let Some((quota, usage)) = self.of(txn, id)? else {
            return Ok(());
        };
        refuse(caller, id, quota.against_prefix(usage))?;
        usage.prefixes += 1;
        Ok(())
    }

    /// One prefix less.
    pub fn no_prefix(&mut self, txn: &Txn<'_>, id: EnterpriseId) -> Result<()> {
        if let Some((_, usage)) = self.of(txn, id)? {
            usage.prefixes = usage.prefixes.saturating_sub(1);
        }
        Ok(())
    }

    /// Writes what was counted.
    pub fn finish(self, txn: &mut Txn<'_>) {
        for (id, met) in self.met {
            if let Some((_, usage)) = met {
                txn.put_message(Family::Statistics, usage_key(id), &usage);
            }
        }
    }

    fn of(&mut self, txn: &Txn<'_>, id: EnterpriseId) -> Result<Option<&mut (Quota, Usage)>> {
        let place = match self.met.iter().position(|(met, _)| *met == id) {
            Some(place) => place,
            None => {
                let quota = enterprises::get(txn, id)?.quota;
                let metered = quota.map(|quota| -> Result<_> {
                    let usage: Option<Usage> =
                        txn.get_message(Family::Statistics, &usage_key(id))?;
                    Ok((quota, usage.unwrap_or_default().at(txn.now_ms())))
                });
                self.met.push((id, metered.transpose()?));
                self.met.len() - 1
            }
        };
        Ok(self.met.get_mut(place).and_then(|(_, met)| met.as_mut()))
    }
}

fn refuse(caller: &Caller, id: EnterpriseId, reached: Option<(QuotaKind, u64)>) -> Result<()> {
    match reached {
        Some((kind, limit)) if !caller.is_operator() => Err(Error::Quota {
            kind,
            enterprise: id.to_string(),
            limit,
        }),
        _ => Ok(()),
    }
}
