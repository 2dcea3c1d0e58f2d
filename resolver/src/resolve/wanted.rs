//! Which values a filter asks for. Usual filters name a value or two and are gone through for each
//! value of a record; of one that names thousands, sorted copies are asked, so that the time it
//! takes grows with names and values and not with their product.

use super::Filter;
use idnode_proto::value::ValueRef;
use std::cmp::Ordering;

/// Names that are gone through one by one for each value.
const FEW: usize = 16;

/// A filter, made ready for many values.
#[derive(Debug)]
pub(super) enum Wanted<'f> {
    /// One that lets everything through, or names few.
    Few(&'f Filter),
    /// One that names many.
    Many(Sorted<'f>),
}

/// What a long filter names, each part ascending.
#[derive(Debug)]
pub(super) struct Sorted<'f> {
    indexes: Vec<u32>,
    /// Types without regard to ASCII case.
    types: Vec<&'f str>,
    /// Beginnings of types, of which none begins with another.
    beginnings: Vec<&'f str>,
}

impl<'f> Wanted<'f> {
    /// What a filter asks for.
    pub(super) fn by(filter: &'f Filter) -> Self {
        if filter.indexes.len() + filter.types.len() <= FEW {
            return Self::Few(filter);
        }
        let mut indexes = filter.indexes.clone();
        indexes.sort_unstable();
        let all = filter.types.iter().map(String::as_str);
        let (mut beginnings, mut types): (Vec<_>, Vec<_>) = all.partition(|it| is_beginning(it));
        types.sort_unstable_by(|one, other| compare(one, other));
        beginnings.sort_unstable_by(|one, other| compare(one, other));
        // Behind a beginning come those that begin with it, which ask for nothing more.
        beginnings.dedup_by(|later, kept| begins_with(later, kept));
        Self::Many(Sorted {
            indexes,
            types,
            beginnings,
        })
    }

    /// Whether a value is asked for.
    pub(super) fn has(&self, value: &ValueRef<'_>) -> bool {
        match self {
            Self::Few(filter) => {
                filter.is_empty()
                    || filter.indexes.contains(&value.index())
                    || filter
                        .types
                        .iter()
                        .any(|wanted| type_matches(wanted, value.value_type()))
            }
            Self::Many(sorted) => sorted.has(value.index(), value.value_type()),
        }
    }
}

impl Sorted<'_> {
    fn has(&self, index: u32, value_type: &str) -> bool {
        let is_named = |types: &[&str]| types.binary_search_by(|it| compare(it, value_type));
        if self.indexes.binary_search(&index).is_ok() || is_named(&self.types).is_ok() {
            return true;
        }
        match is_named(&self.beginnings) {
            Ok(_) => true,
            // Between a beginning and what begins with it nothing else is sorted in.
            Err(behind) => behind
                .checked_sub(1)
                .and_then(|at| self.beginnings.get(at))
                .is_some_and(|beginning| begins_with(value_type, beginning)),
        }
    }
}

/// Whether it asks for all types that begin with it.
fn is_beginning(wanted: &str) -> bool {
    wanted.ends_with('.')
}

fn type_matches(wanted: &str, value_type: &str) -> bool {
    match is_beginning(wanted) {
        true => begins_with(value_type, wanted),
        false => wanted.eq_ignore_ascii_case(value_type),
    }
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// The order of texts without regard to ASCII case.
fn compare(one: &str, other: &str) -> Ordering {
    #[cfg(test)]
    tests::COMPARED.set(tests::COMPARED.get() + 1);
    let folded = |byte: u8| byte.to_ascii_lowercase();
    one.bytes().map(folded).cmp(other.bytes().map(folded))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use idnode_proto::value::{Value, Values, encode_values};
    use std::cell::Cell;

    thread_local! {
        /// How often texts were compared.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// What of `values` a filter asks for, by the plain reading of it.
    fn plainly(filter: &Filter, values: &[Value]) -> Vec<u32> {
        let wanted = values.iter().filter(|value| {
            filter.indexes.contains(&value.index)
                || filter
                    .types
                    .iter()
                    .any(|it| type_matches(it, &value.value_type))
        });
        wanted.map(|value| value.index).collect()
    }

    fn really(filter: &Filter, values: &[Value]) -> Vec<u32> {
        let (encoded, wanted) = (encode_values(values), Wanted::by(filter));
        let all = Values::new(&encoded, values.len() as u32).map(Result::unwrap);
        let found = all.filter(|value| wanted.has(value));
        found.map(|value| value.index()).collect()
    }

    #[test]
    fn long_filters_ask_for_what_short_ones_do() {
        let types = [
            "URL", "url", "A.", "a.b", "A.B.", "a.b.c", "AB.", "ab", "a", ".", "..", "É.x", "é.x",
        ];
        let all = (1..)
            .zip(types)
            .map(|(index, it)| Value::new(index, it, ""));
        let values: Vec<_> = all.collect();
        // Every set of the names, behind as many that match nothing.
        for set in 0..1_u32 << types.len() {
            let named = (0..).zip(types).filter(|(at, _)| set & 1 << at != 0);
            let mut names: Vec<_> = named.map(|(_, it)| it.to_owned()).collect();
            names.extend((0..FEW).map(|number| format!("none{number}.")));
            let filter = Filter {
                types: names,
                indexes: vec![3, 99, 1],
            };
            assert!(matches!(Wanted::by(&filter), Wanted::Many(_)));
            assert_eq!(
                really(&filter, &values),
                plainly(&filter, &values),
                "{filter:?}"
            );
        }
    }

    #[test]
    fn the_longest_filter_does_not_multiply_with_the_longest_record() {
        let name = |number: u32| format!("{}{number}", "x".repeat(90));
        let filter = Filter {
            types: (0..2_048).map(name).collect(),
            indexes: (10_000..12_048).collect(),
        };
        let values: Vec<_> = (1..=2_048)
            .map(|index| Value::new(index, name(index + 5_000), ""))
            .collect();
        COMPARED.set(0);
        assert_eq!(really(&filter, &values), Vec::<u32>::new());
        // Sorting takes at most eleven comparisons a name, a search eleven in the types and one
        // in no beginnings; one by one it were four million.
        let compared = COMPARED.get();
        assert!((2_048..=2_048 * 24).contains(&compared), "{compared}");
    }
}
