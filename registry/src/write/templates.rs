//! Commands on attribute templates.

use super::txn::Txn;
use super::{Outcome, expect_version};
use crate::change::{Change, TemplateChange};
use crate::enterprise::EnterpriseId;
use crate::layout::Family;
use crate::template::Template;
use crate::{Caller, Error, Object, Result};
use bytes::Bytes;

pub(super) fn put(
    txn: &mut Txn<'_>,
    caller: &Caller,
    template: &Template,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    caller.require_known()?;
    template.validate().map_err(|e| e.within("template"))?;
    require_owner(caller, template)?;
    let existing = get(txn, &template.name)?;
    let (version, revision) = match &existing {
        Some(existing) => {
            require_owner(caller, existing)?;
            if existing.enterprise != template.enterprise {
                return Err(Error::invalid(
                    "template.enterprise_id",
                    "a template keeps its owner",
                ));
            }
            (existing.version, existing.revision)
        }
        None => (0, 0),
    };
    expect_version(Object::Template, &template.name, expected_version, version)?;
    if existing.is_none() {
        txn.count_node(|counters| counters.templates += 1)?;
    }
    let stored = Template {
        revision: revision + 1,
        version: txn.next_sequence(),
        updated_at_ms: txn.now_ms(),
        ..template.clone()
    };
    txn.put_message(Family::Templates, name_key(&stored.name), &stored);
    log(txn, caller, &stored, false);
    Ok(Outcome::Template(Box::new(stored)))
}

pub(super) fn delete(
    txn: &mut Txn<'_>,
    caller: &Caller,
    name: &str,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    caller.require_known()?;
    let existing = get(txn, name)?.ok_or_else(|| Error::not_found(Object::Template, name))?;
    require_owner(caller, &existing)?;
    expect_version(Object::Template, name, expected_version, existing.version)?;
    txn.set(Family::Templates, name_key(name), None);
    txn.count_node(|counters| counters.templates = counters.templates.saturating_sub(1))?;
    log(txn, caller, &existing, true);
    Ok(Outcome::Done)
}

/// The template as the transaction sees it.
pub(super) fn get(txn: &Txn<'_>, name: &str) -> Result<Option<Template>> {
    txn.get_message(Family::Templates, &name_key(name))
}

/// The template an identifier of `owner` is registered under: the node's or the owner's own.
pub(super) fn usable(txn: &Txn<'_>, name: &str, owner: EnterpriseId) -> Result<Template> {
    get(txn, name)?
        .filter(|template| template.enterprise.is_none_or(|id| id == owner.0))
        .ok_or_else(|| Error::not_found(Object::Template, name))
}

pub(super) fn current(txn: &Txn<'_>, caller: &Caller, name: &str) -> Result<Outcome> {
    let own = |template: &Template| {
        let owner = template.enterprise.map(EnterpriseId);
        owner.is_none_or(|owner| caller.owns(owner))
    };
    let template = get(txn, name)?.filter(own);
    Ok(template.map_or(Outcome::Done, |template| {
        Outcome::Template(Box::new(template))
    }))
}

fn require_owner(caller: &Caller, template: &Template) -> Result<()> {
    let what = || format!("template {}", template.name);
    match template.enterprise {
        Some(id) => caller.require_owner(EnterpriseId(id), what),
        None => caller.require_operator(&what()),
    }
}

fn name_key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn log(txn: &mut Txn<'_>, caller: &Caller, template: &Template, deleted: bool) {
    let change = TemplateChange {
        template: template.clone(),
        deleted,
    };
    txn.log(caller.credential(), Change::Template(change));
}
