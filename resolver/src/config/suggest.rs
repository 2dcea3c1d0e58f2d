//! The name that was probably meant.

use super::sections::SECTIONS;
use super::table::{self, Key};

/// What a name that does not exist was probably meant to be.
#[derive(Debug, Clone, Copy)]
pub enum Suggestion {
    /// A section.
    Section(&'static str),
    /// A key, perhaps of another section.
    Key(&'static Key),
}

/// The nearest section to one that does not exist, or the key if one has just that name.
pub fn for_section(name: &str) -> Option<Suggestion> {
    table::keys()
        .find(|key| key.name == name)
        .map(Suggestion::Key)
        .or_else(|| {
            nearest(
                name,
                SECTIONS.iter().map(|section| (section.name, section.name)),
            )
            .map(Suggestion::Section)
            .or_else(|| {
                nearest(name, table::keys().map(|key| (key.name, key))).map(Suggestion::Key)
            })
        })
}

/// The nearest key to one that does not exist: the same name in another section, else the nearest
/// name in this section, else the nearest anywhere.
pub fn for_key(section: &str, name: &str) -> Option<&'static Key> {
    table::keys()
        .find(|key| key.name == name)
        .or_else(|| {
            let siblings = table::section(section)
                .into_iter()
                .flat_map(|section| section.keys);
            nearest(name, siblings.map(|key| (key.name, key)))
        })
        .or_else(|| nearest(name, table::keys().map(|key| (key.name, key))))
}

/// The nearest key to a whole path of which both halves may be misspelt.
pub fn for_path(section: &str, name: &str) -> Option<&'static Key> {
    let exact = |candidate: &&Key| candidate.name == name;
    let in_nearest = match for_section(section) {
        Some(Suggestion::Section(near)) => {
            table::section(near).and_then(|near| near.keys.iter().find(exact))
        }
        _ => None,
    };
    in_nearest.or_else(|| for_key(section, name))
}

fn nearest<T>(name: &str, candidates: impl Iterator<Item = (&'static str, T)>) -> Option<T> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        .map(|(candidate, what)| (distance(&name, candidate), candidate.len(), what))
        .filter(|(distance, length, _)| *distance <= (length / 3).max(1))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., what)| what)
}

/// Edits between two words, a swap of neighbours being one (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut before: Option<(char, Vec<usize>)> = None;
    for (index, from) in left.chars().enumerate() {
        let mut row = vec![index + 1];
        let mut last = index + 1;
        let mut previous_to = None;
        let neighbours = above.iter().zip(above.iter().skip(1));
        for (column, (to, (diagonal, up))) in right.iter().zip(neighbours).enumerate() {
            last = (diagonal + usize::from(from != *to))
                .min(up + 1)
                .min(last + 1);
            if let Some((previous_from, two_above)) = &before
                && *previous_from == *to
                && previous_to == Some(from)
                && let Some(swapped) = column.checked_sub(1).and_then(|start| two_above.get(start))
            {
                last = last.min(swapped + 1);
            }
            previous_to = Some(*to);
            row.push(last);
        }
        before = Some((from, std::mem::replace(&mut above, row)));
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("zone", "zone", 0),
            ("识", "识别", 1),
            ("sotre", "store", 1),
            ("gprc", "grpc", 1),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn nothing_near_means_no_suggestion() {
        assert!(for_key("store", "colour_of_the_sky").is_none());
        assert!(for_section("quux").is_none());
    }

    #[test]
    fn the_same_name_elsewhere_beats_a_near_name_here() {
        assert_eq!(
            for_key("http", "data_dir").map(Key::path).as_deref(),
            Some("node.data_dir")
        );
    }

    #[test]
    fn both_halves_of_a_path_may_be_misspelt() {
        let found = for_path("gprc", "listen").map(Key::path);
        assert_eq!(found.as_deref(), Some("grpc.listen"));
    }
}
