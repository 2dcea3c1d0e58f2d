//! The order in which deposits were made, whenever their files were written.

use std::collections::HashMap;

use idnode_proto::escrow::deposit::Head;

use super::intake::Place;

/// Puts deposits behind those that they follow; where that says nothing, by what they tell of. Those
/// that say nothing of themselves come first.
pub(super) fn in_order(mut found: Vec<(Place, Option<Head>)>) -> Vec<Place> {
    found.sort_by_cached_key(|(place, head)| {
        let age = head.as_ref().map(|head| (head.revision, head.watermark_ms));
        (
            place.client.clone(),
            place.prefix.clone(),
            age,
            place.id.clone(),
        )
    });
    let places: HashMap<Place, usize> = found
        .iter()
        .enumerate()
        .map(|(at, (place, _))| (place.clone(), at))
        .collect();
    let before = |at: usize| {
        let (place, head) = found.get(at)?;
        let followed = Place {
            id: head.as_ref()?.prev_id.clone()?,
            ..place.clone()
        };
        places.get(&followed).copied()
    };
    let mut taken = vec![false; found.len()];
    let mut ordered = Vec::with_capacity(found.len());
    for start in 0..found.len() {
        // Back to one that is taken already, or follows none of these; then forth.
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(here) = at
            && let Some(taken) = taken.get_mut(here)
            && !std::mem::replace(taken, true)
        {
            way.push(here);
            at = before(here);
        }
        ordered.extend(way.into_iter().rev());
    }
    let in_turn = ordered.into_iter().filter_map(|at| found.get(at));
    in_turn.map(|(place, _)| place.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::escrow::deposit::Kind;

    fn deposit(id: &str, prev_id: Option<&str>, revision: u64) -> (Place, Option<Head>) {
        let place = Place {
            client: "node".into(),
            prefix: "88.118.8".into(),
            id: id.into(),
        };
        let head = Head {
            id: id.into(),
            prev_id: prev_id.map(str::to_owned),
            kind: Kind::Full,
            // A clock that goes back.
            watermark_ms: 1_000 - revision,
            node: "88.118".into(),
            prefix: "88.118.8".into(),
            revision,
            since: None,
        };
        (place, Some(head))
    }

    fn ids(found: Vec<(Place, Option<Head>)>) -> Vec<String> {
        in_order(found).into_iter().map(|it| it.id).collect()
    }

    #[test]
    fn deposits_come_in_the_order_they_were_made_in() {
        // Names, revisions that stay the same and the order of files say nothing.
        let mut found = vec![
            deposit("b", Some("x"), 5),
            deposit("x", Some("c"), 5),
            deposit("c", None, 5),
            deposit("a", Some("b"), 9),
            deposit("f", None, 12),
        ];
        for _ in 0..found.len() {
            found.rotate_left(1);
            assert_eq!(ids(found.clone()), ["c", "x", "b", "a", "f"]);
        }
        found.reverse();
        assert_eq!(ids(found), ["c", "x", "b", "a", "f"]);
    }

    #[test]
    fn what_follows_itself_and_what_says_nothing_comes_once() {
        let mut silent = deposit("z", None, 0);
        silent.1 = None;
        let found = vec![
            deposit("a", Some("b"), 1),
            deposit("b", Some("a"), 2),
            silent,
        ];
        let mut all = ids(found);
        assert_eq!(all.first().unwrap(), "z");
        all.sort();
        assert_eq!(all, ["a", "b", "z"]);
    }
}
