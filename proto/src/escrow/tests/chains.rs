use super::*;
use crate::escrow::EscrowError;
use crate::escrow::chain::{Chain, Proved};
use crate::escrow::object::Deletion;
use crate::escrow::read::DocumentReader;
use crate::escrow::write::DocumentWriter;
use proptest::prelude::*;

fn written(head: Head, deletes: &[Deletion], objects: &[Object], summary: Summary) -> Vec<u8> {
    let mut writer = DocumentWriter::new(Vec::new(), head).unwrap();
    for deletion in deletes {
        writer.delete(deletion).unwrap();
    }
    for object in objects {
        writer.put(object).unwrap();
    }
    writer.finish(summary).unwrap().0
}

fn merged(documents: &[Vec<u8>]) -> Result<(Vec<Identifier>, Proved), EscrowError> {
    let begun = documents
        .iter()
        .map(|it| DocumentReader::new(it.as_slice()));
    let mut chain = Chain::new(begun.collect::<Result<_, _>>()?)?;
    let mut found = Vec::new();
    while let Some((identifier, element)) = chain.next_identifier()? {
        assert!(element.starts_with("<ide:identifier "));
        found.push(identifier);
    }
    Ok((found, chain.finish()?))
}

/// A FULL deposit of the first state and a DIFF for each one after it.
fn deposits(prefix: &Prefix, states: &[(u64, State)]) -> Vec<Vec<u8>> {
    let mut before: Option<(String, u64)> = None;
    let made = states
        .iter()
        .enumerate()
        .map(|(number, (revision, state))| {
            let id = format!("d{number}");
            let (prev, since) = before.clone().unzip();
            let kind = if since.is_none() {
                Kind::Full
            } else {
                Kind::Diff
            };
            let head = head(kind, &id, prev.as_deref(), *revision, since);
            let objects = objects(prefix, state, since.unwrap_or(0));
            before = Some((id, *revision));
            written(head, &[], &objects, summary(prefix, state))
        });
    made.collect()
}

fn three_states() -> Vec<(u64, State)> {
    let first = state([identifier("a", 2), identifier("b", 3), identifier("d", 4)]);
    let mut second = first.clone();
    second.extend(state([
        Identifier {
            deleted: Some("scrapped".into()),
            ..identifier("b", 6)
        },
        identifier("c", 7),
    ]));
    let mut third = second.clone();
    third.extend(state([identifier("a", 9), identifier("b", 10)]));
    vec![(4, first), (7, second), (7 + 5, third)]
}

#[test]
fn a_chain_leads_to_its_last_state() {
    let states = three_states();
    let documents = deposits(&prefix(), &states);
    for length in 1..=3 {
        let (found, proved) = merged(&documents[..length]).unwrap();
        let (_, wanted) = &states[length - 1];
        assert!(found.iter().eq(wanted.values()));
        assert_eq!(proved.listing, summary(&prefix(), wanted).listing);
    }
}

#[test]
fn a_broken_chain_is_refused() {
    let states = three_states();
    let documents = deposits(&prefix(), &states);
    let refused = |which: &[usize]| {
        let chosen: Vec<_> = which.iter().map(|it| documents[*it].clone()).collect();
        merged(&chosen).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&[0, 2]),
        "deposit d2 follows d1; the last one is d0"
    );
    assert_eq!(
        refused(&[0, 2, 1]),
        "deposit d2 follows d1; the last one is d0"
    );
    assert_eq!(
        refused(&[1, 2]),
        "deposit d1 is no FULL one, and none is before it"
    );
    assert_eq!(refused(&[0, 0]), "a FULL deposit comes after the first");
    assert_eq!(refused(&[]), "there is no deposit");
}

#[test]
fn what_does_not_lead_to_the_listing_is_refused() {
    let full = head(Kind::Full, "a", None, 9, None);
    let state_of =
        |versions: [u64; 2]| state([identifier("a", versions[0]), identifier("b", versions[1])]);
    let wanted = state_of([1, 2]);
    let of = |objects: &[Object]| {
        merged(&[written(
            full.clone(),
            &[],
            objects,
            summary(&prefix(), &wanted),
        )])
    };
    assert!(of(&objects(&prefix(), &wanted, 0)).is_ok());
    let said = of(&objects(&prefix(), &state_of([1, 3]), 0))
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with("the deposits up to a lead to 2 identifiers"),
        "{said}"
    );
    let mut unordered = objects(&prefix(), &wanted, 0);
    unordered.swap(2, 3);
    assert!(
        of(&unordered)
            .unwrap_err()
            .to_string()
            .contains("order of keys")
    );
    let late = of(&objects(&prefix(), &state_of([1, 10]), 0))
        .unwrap_err()
        .to_string();
    assert!(late.contains("between the revisions"), "{late}");
    let mut behind = objects(&prefix(), &wanted, 0);
    behind.push(Object::Template(template("late")));
    assert!(
        of(&behind)
            .unwrap_err()
            .to_string()
            .contains("behind identifiers")
    );
    let mut foreign = identifier("z", 1);
    foreign.name = "88.118.9/Z".into();
    let mut objects = objects(&prefix(), &wanted, 0);
    objects.push(Object::Identifier(foreign));
    assert!(
        of(&objects)
            .unwrap_err()
            .to_string()
            .contains("is not the prefix's")
    );
}

#[test]
fn deletions_take_templates_and_the_prefix_itself() {
    let first = state([identifier("a", 1)]);
    let mut all = objects(&prefix(), &first, 0);
    all.insert(2, Object::Template(template("one")));
    all.insert(3, Object::Template(template("two")));
    let full = written(
        head(Kind::Full, "a", None, 4, None),
        &[],
        &all,
        summary(&prefix(), &first),
    );
    let diff = written(
        head(Kind::Diff, "b", Some("a"), 5, Some(4)),
        &[Deletion::Template("one".into())],
        &objects(&prefix(), &first, 4),
        summary(&prefix(), &first),
    );
    let documents =
        [full.clone(), diff].map(|it| DocumentReader::new(std::io::Cursor::new(it)).unwrap());
    let chain = Chain::new(documents.into()).unwrap();
    assert!(chain.around().templates.keys().eq(["two"]));
    let gone = written(
        head(Kind::Diff, "b", Some("a"), 5, Some(4)),
        &[Deletion::Prefix("88.118.8".into())],
        &[],
        Summary::default(),
    );
    let (found, proved) = merged(&[full, gone]).unwrap();
    assert_eq!((found.len(), proved.listing.as_str()), (0, ""));
    // Where the receiver may hold anything: a FULL one that has nothing in it.
    let empty = written(
        head(Kind::Full, "c", None, 6, None),
        &[],
        &[],
        Summary::default(),
    );
    let (found, proved) = merged(&[empty]).unwrap();
    assert_eq!((found.len(), proved.listing.as_str()), (0, ""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn chains_of_any_changes_lead_to_their_last_state(
        rounds in proptest::collection::vec(proptest::collection::vec((0_u8..20, any::<bool>()), 0..12), 1..6)
    ) {
        let (mut now, mut revision, mut states) = (State::new(), 1, Vec::new());
        for round in rounds {
            for (name, deleted) in round {
                revision += 1;
                let changed = Identifier {
                    deleted: deleted.then(String::new),
                    ..identifier(&format!("n{name}"), revision)
                };
                now.insert(changed.key.clone(), changed);
            }
            states.push((revision, now.clone()));
        }
        let (found, _) = merged(&deposits(&prefix(), &states)).unwrap();
        prop_assert!(found.iter().eq(now.values()));
    }
}
