//! The XML that Handle values hold: `10320/loc` and HS_NAMESPACE.
#![no_main]

use idnode_proto::handle::locations::Locations;
use idnode_proto::handle::namespace::{Computed, Namespace};
use idnode_proto::value::{Value, ValueRef, Values, encode_values};
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

/// The last line is an extension, what is before it a namespace.
fn compute(data: &[u8]) {
    let at = data.iter().rposition(|byte| *byte == b'\n');
    let (document, extension) = data.split_at(at.unwrap_or(data.len()));
    let Ok(namespace) = Namespace::parse(document) else {
        return;
    };
    let handle = format!("88.118.8/a@{}", String::from_utf8_lossy(extension).trim());
    let Some(split) = namespace.split(&handle) else {
        assert!(!namespace.concerns(&handle));
        return;
    };
    let base = encode_values(&[
        Value::new(1, "URL", "https://example.com/a"),
        Value::new(7, "DESC", vec![0xff; 3_000]),
    ]);
    let base: Vec<ValueRef<'_>> = Values::new(&base, 2).map_while(Result::ok).collect();
    for base in [None, Some(base.as_slice())] {
        if let Ok(Computed::Values(values)) = split.compute(base, 7) {
            assert!(!values.is_empty());
            assert!(values.iter().all(|value| value.check().is_ok()));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    compute(data);
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
