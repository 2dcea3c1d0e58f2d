//! Identifiers of all schemes from text.
#![no_main]

use idnode_proto::identifier::{Identifier, Prefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let identifier = match Identifier::parse(text) {
        Ok(identifier) => identifier,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let canonical = identifier.canonical();
    let again = Identifier::parse_as(identifier.scheme(), &canonical)
        .unwrap_or_else(|error| panic!("{canonical:?}: {error}"));
    assert_eq!(again.key(), identifier.key(), "{canonical:?}");
    assert_eq!(again.canonical(), canonical);
    let shown = identifier.display().into_owned();
    let shown = Identifier::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert_eq!(shown.key(), identifier.key());
    let stored = Identifier::from_key(identifier.key()).expect("a key reads back");
    assert_eq!(stored.canonical(), canonical);
    for candidate in identifier.prefix_candidates() {
        Prefix::from_key(candidate.key).expect("a candidate is a prefix");
    }
});
