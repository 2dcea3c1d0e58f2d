//! Prefixes from text, and which identifiers they cover. The input is a prefix and an
//! identifier, a line each.
#![no_main]

use idnode_proto::identifier::{Identifier, Prefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(prefix) = Prefix::parse(first) else {
        return;
    };
    let canonical = prefix.canonical();
    let again = Prefix::parse_as(prefix.scheme(), &canonical)
        .unwrap_or_else(|error| panic!("{canonical:?}: {error}"));
    assert_eq!(again.key(), prefix.key(), "{canonical:?}");
    assert_eq!(again.canonical(), canonical);
    let stored = Prefix::from_key(prefix.key()).expect("a key reads back");
    assert_eq!(stored.canonical(), canonical);
    if let Ok(identifier) = Identifier::parse(second) {
        let (start, end) = prefix.key_range();
        let inside = *identifier.key() >= *start && *identifier.key() < *end;
        assert_eq!(
            prefix.covers(&identifier),
            inside,
            "{canonical} {identifier}"
        );
    }
});
