//! DNS names: an identifier's own, and any labels. The input's first byte chooses; labels are
//! separated by zero bytes.
#![no_main]

use idnode_proto::dnsname::{
    MappedName, Subject, Zones, name_hash, ons_name, ors_name, prefix_to_name, to_name,
};
use idnode_proto::identifier::Identifier;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let zones = Zones::parse("id.example.cn", Some("oid-res.org"), Some("ons.example"))
        .expect("the zones are right");
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    if choice & 1 == 0 {
        if let Some(identifier) = std::str::from_utf8(rest)
            .ok()
            .and_then(|text| Identifier::parse(text).ok())
        {
            own_name(&identifier, &zones);
        }
        return;
    }
    let top: &[&[u8]] = match choice >> 1 & 3 {
        0 | 1 => &[b"id", b"example", b"cn"],
        2 => &[b"oid-res", b"org"],
        _ => &[b"ons", b"example"],
    };
    let labels: Vec<Vec<u8>> = rest
        .split(|byte| *byte == 0)
        .chain(top.iter().copied())
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    let Ok(subject) = zones.parse_name(labels.iter().map(Vec::as_slice)) else {
        return;
    };
    let same = |name: &MappedName| name.labels().eq(labels.iter().map(Vec::as_slice));
    match &subject {
        Subject::Identifier(identifier) => {
            let names = [
                Some(to_name(identifier, &zones)),
                ors_name(identifier, &zones),
                ons_name(identifier, &zones),
            ];
            assert!(names.iter().flatten().any(same), "{identifier} {labels:?}");
        }
        Subject::Prefix(prefix) if top.len() == 3 => {
            assert!(same(&prefix_to_name(prefix, &zones)), "{prefix} {labels:?}");
        }
        _ => {}
    }
});

/// The name of an identifier fits DNS and leads back to it.
fn own_name(identifier: &Identifier, zones: &Zones) {
    let name = to_name(identifier, zones);
    assert!(name.wire().len() <= 255);
    assert!(name.labels().all(|label| (1..=63).contains(&label.len())));
    assert_eq!(name.is_hashed(), name_hash(identifier).is_some());
    let subject = zones
        .parse_name(name.labels())
        .unwrap_or_else(|error| panic!("{identifier}: {name}: {error}"));
    if name.is_hashed() {
        assert!(subject.is_name_of(identifier), "{identifier}: {name}");
    } else {
        assert_eq!(subject.identifier().as_ref(), Some(identifier), "{name}");
    }
}
