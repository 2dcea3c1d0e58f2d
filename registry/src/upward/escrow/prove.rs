//! That a restored registry is what was deposited: it is opened as a node opens it, read again, and
//! compared object by object. What differs is named, with the field.

use super::convert;
use super::make::MakeError;
use super::restore::{Deposited, RestoredPrefix};
use super::state::listing;
use crate::read::Moment;
use crate::registry::Registry;
use crate::{Error, Options};
use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::deposit::Counts;
use idnode_proto::escrow::differ::{of_enterprises, of_templates};
use idnode_proto::identifier::Prefix;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Compares what the store in a directory has with what was deposited. Blocks.
///
/// # Errors
/// They differ; the store fails.
pub(super) fn equal(
    dir: &Path,
    prefixes: &[RestoredPrefix],
    around: &Deposited,
) -> Result<(), MakeError> {
    let registry = Registry::open(dir, &Options::default(), Arc::new(()))?;
    let moment = registry.moment()?;
    enterprises(&moment, around)?;
    templates(&moment, around)?;
    let mut deposited = BTreeSet::new();
    for restored in prefixes.iter().filter(|it| !it.listing.is_empty()) {
        let prefix =
            Prefix::parse(&restored.prefix).map_err(|error| Error::Storage(error.to_string()))?;
        of_prefix(&moment, &prefix, restored, around)?;
        deposited.insert(prefix.key().to_vec());
    }
    for record in moment.prefixes(&[], None)? {
        let record = record?;
        if !deposited.contains(&record.key[..]) {
            let prefix = record.prefix()?;
            return unequal(format!("prefix {prefix}"), "was not deposited");
        }
    }
    Ok(())
}

fn of_prefix(
    moment: &Moment<'_>,
    prefix: &Prefix,
    restored: &RestoredPrefix,
    around: &Deposited,
) -> Result<(), MakeError> {
    let what = || format!("prefix {prefix}");
    let Some(record) = moment.prefix(prefix.key())? else {
        return unequal(what(), "is missing");
    };
    let (listed, digest) = listing(moment, &record)?;
    if (listed, &digest) != (restored.listed, &restored.listing) {
        let how = format!(
            "has {listed} identifiers with the digest {digest}; {} with {} were deposited",
            restored.listed, restored.listing
        );
        return unequal(what(), &how);
    }
    let counters = moment.counters(&record.key)?;
    let counts = Counts {
        creations: counters.creations,
        updates: counters.updates,
        deletions: counters.deletions,
        last_change_ms: counters.last_change_ms,
    };
    let counted = (counters.identifiers, counters.deleted, counts);
    if around.counts.get(&prefix.canonical()) != Some(&counted) {
        return unequal(what(), "has other counters than were deposited");
    }
    Ok(())
}

fn enterprises(moment: &Moment<'_>, around: &Deposited) -> Result<(), MakeError> {
    let mut found = BTreeSet::new();
    for enterprise in moment.enterprises()? {
        let enterprise = enterprise?;
        let (id, what) = (enterprise.id, format!("enterprise {}", enterprise.id));
        let Some(deposited) = around.enterprises.get(&id) else {
            return unequal(what, "was not deposited");
        };
        if let Some(how) = of_enterprises(deposited, convert::enterprise(enterprise)) {
            return unequal(what, &how);
        }
        found.insert(id);
    }
    match around.enterprises.keys().find(|id| !found.contains(id)) {
        Some(id) => unequal(format!("enterprise {id}"), "is missing"),
        None => Ok(()),
    }
}

fn templates(moment: &Moment<'_>, around: &Deposited) -> Result<(), MakeError> {
    let mut found = BTreeSet::new();
    for template in moment.templates()? {
        let template = template?;
        let (name, what) = (template.name.clone(), format!("template {}", template.name));
        let Some(deposited) = around.templates.get(&name) else {
            return unequal(what, "was not deposited");
        };
        if let Some(how) = of_templates(deposited, convert::template(template)) {
            return unequal(what, &how);
        }
        found.insert(name);
    }
    match around.templates.keys().find(|it| !found.contains(*it)) {
        Some(name) => unequal(format!("template {name}"), "is missing"),
        None => Ok(()),
    }
}

fn unequal(what: String, how: &str) -> Result<(), MakeError> {
    let reason = format!("the restored registry is not what was deposited: {what} {how}");
    Err(EscrowError::Chain(reason).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::enterprise::{Enterprise, EnterpriseId};
    use crate::layout::{Family, encode_value, number_key};
    use crate::read::Counters;
    use crate::store::{Mutation, Store, StoreOptions};
    use crate::template::Template;
    use crate::tests::support::Node;
    use bytes::Bytes;

    /// What a registry has, as if it had been deposited.
    fn deposited(node: &Node) -> (Vec<RestoredPrefix>, Deposited) {
        let moment = node.registry().moment().unwrap();
        let mut around = Deposited::default();
        for enterprise in moment.enterprises().unwrap() {
            let enterprise = convert::enterprise(enterprise.unwrap());
            around.enterprises.insert(enterprise.id, enterprise);
        }
        for template in moment.templates().unwrap() {
            let template = convert::template(template.unwrap());
            around.templates.insert(template.name.clone(), template);
        }
        let mut prefixes = Vec::new();
        for record in moment.prefixes(&[], None).unwrap() {
            let record = record.unwrap();
            let name = record.prefix().unwrap().canonical();
            let (listed, listing) = listing(&moment, &record).unwrap();
            let counters = moment.counters(&record.key).unwrap();
            let counts = Counts {
                creations: counters.creations,
                updates: counters.updates,
                deletions: counters.deletions,
                last_change_ms: counters.last_change_ms,
            };
            let counted = (counters.identifiers, counters.deleted, counts);
            around.counts.insert(name.clone(), counted);
            prefixes.push(RestoredPrefix {
                prefix: name,
                deposits: Vec::new(),
                watermark: String::new(),
                listed,
                listing,
            });
        }
        (prefixes, around)
    }

    #[test]
    fn a_registry_that_differs_in_one_field_is_refused_and_the_field_is_named() {
        let node = Node::with_prefixes(&["88.118.8"]);
        let (prefixes, mut around) = deposited(&node);
        let enterprise = {
            let moment = node.registry().moment().unwrap();
            moment.enterprise(EnterpriseId(1)).unwrap().unwrap()
        };
        // Nobody has it open meanwhile.
        let mut node = node;
        node.reopen_over(|dir| {
            altered_in_turn(dir, &prefixes, &mut around, &enterprise);
            Registry::open(dir, &Options::default(), Arc::new(())).unwrap()
        });
    }

    fn altered_in_turn(
        dir: &Path,
        prefixes: &[RestoredPrefix],
        around: &mut Deposited,
        enterprise: &Enterprise,
    ) {
        equal(dir, prefixes, around).unwrap();
        let write = |family, key: Bytes, value: Option<Bytes>| {
            let store = Store::open(dir, &StoreOptions::default()).unwrap();
            let mutation = Mutation { family, key, value };
            store.write(&[mutation], true).unwrap();
        };
        let refused = |around: &Deposited| {
            let error = equal(dir, prefixes, around).unwrap_err();
            let said = error.to_string();
            let (_, what) = said.split_once(": ").unwrap();
            what.to_owned()
        };
        let key = number_key(1);
        let mut altered = enterprise.clone();
        altered.profile.city_code = "140299".into();
        write(
            Family::Enterprises,
            key.clone(),
            Some(encode_value(&altered)),
        );
        let said = refused(around);
        assert!(
            said.starts_with("enterprise 1 has cityCode \"140299\", where "),
            "{said}"
        );
        write(Family::Enterprises, key.clone(), None);
        assert_eq!(refused(around), "enterprise 1 is missing");
        write(Family::Enterprises, key, Some(encode_value(enterprise)));
        equal(dir, prefixes, around).unwrap();

        let template = Template {
            name: "car".into(),
            title: "车".into(),
            ..Template::default()
        };
        let row = |it: &Template| Some(encode_value(it));
        let key = Bytes::from_static(b"car");
        write(Family::Templates, key.clone(), row(&template));
        assert_eq!(refused(around), "template car was not deposited");
        let titled = Template {
            title: "平板车".into(),
            ..template.clone()
        };
        around
            .templates
            .insert("car".into(), convert::template(titled));
        assert_eq!(
            refused(around),
            "template car has title \"车\", where \"平板车\" was deposited"
        );
        write(Family::Templates, key, None);
        assert_eq!(refused(around), "template car is missing");
        around.templates.clear();

        let prefix = Prefix::parse("88.118.8").unwrap();
        let key = Bytes::copy_from_slice(prefix.key());
        let counters = Counters {
            creations: 1,
            ..Counters::default()
        };
        write(
            Family::Statistics,
            key.clone(),
            Some(encode_value(&counters)),
        );
        assert_eq!(
            refused(around),
            "prefix 88.118.8 has other counters than were deposited"
        );
        write(Family::Statistics, key.clone(), None);
        write(Family::Prefixes, key, None);
        assert_eq!(refused(around), "prefix 88.118.8 is missing");
    }
}
