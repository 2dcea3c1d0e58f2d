//! The XML that Handle values hold: `10320/loc`.
#![no_main]

use idnode_proto::handle::locations::Locations;
use idnode_proto::xml::{Element, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS};
use libfuzzer_sys::fuzz_target;

/// Elements of a tree, none of which lies too deep or has too much.
fn elements(element: &Element, depth: usize) -> usize {
    assert!(depth <= MAX_DEPTH);
    assert!(!element.name.is_empty());
    assert!(element.attributes.len() <= MAX_ATTRIBUTES);
    let inside = element.children.iter().map(|it| elements(it, depth + 1));
    1 + inside.sum::<usize>()
}

fuzz_target!(|data: &[u8]| {
    match Element::parse(data) {
        Ok(root) => assert!(elements(&root, 1) <= MAX_ELEMENTS),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let locations = match Locations::parse(data) {
        Ok(locations) => locations,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let even = |href: &str| href.len() % 2 == 0;
    let any = locations.all().iter().any(|it| even(&it.href));
    for wanted in [None, Some(("id", "1")), Some(("country", "cn"))] {
        for draw in [0, u64::MAX / 2, u64::MAX] {
            let choice = locations.choose(|it| even(&it.href), wanted, draw);
            assert_eq!(choice.is_some(), any);
            assert!(choice.is_none_or(|choice| even(&choice.location.href)));
        }
    }
});
