#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use proptest::prelude::*;

use super::*;
use crate::handle::testing::{Mutator, rounds};

/// Index 1, 2023-11-14T22:13:20Z, one day, "1110", URL, one reference, each field by hand.
const GOLDEN: &[u8] = &[
    0, 0, 0, 1, // index
    0x65, 0x53, 0xf1, 0x00, // timestamp
    0,    // relative
    0x00, 0x01, 0x51, 0x80, // 86,400 s
    0x0e, // 1110
    0, 0, 0, 3, b'U', b'R', b'L', // type
    0, 0, 0, 11, b'h', b't', b't', b'p', b':', b'/', b'/', b'a', b'.', b'c', b'n', // data
    0, 0, 0, 1, // one reference
    0, 0, 0, 6, b'0', b'.', b'N', b'A', b'/', b'1', 0, 0, 0x01, 0x2d, // 0.NA/1 : 301
];

fn golden_value() -> Value {
    Value {
        timestamp_s: 1_700_000_000,
        references: vec![Reference {
            handle: "0.NA/1".into(),
            index: 301,
        }],
        ..Value::new(1, types::URL, "http://a.cn")
    }
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let ttl = prop_oneof![
        any::<u32>().prop_map(Ttl::RelativeS),
        any::<u32>().prop_map(Ttl::AbsoluteS)
    ];
    let reference =
        ("\\PC{0,12}", any::<u32>()).prop_map(|(handle, index)| Reference { handle, index });
    (
        any::<u32>(),
        "\\PC{0,12}",
        prop::collection::vec(any::<u8>(), 0..64),
        ttl,
        any::<u32>(),
        any::<u8>(),
        prop::collection::vec(reference, 0..4),
    )
        .prop_map(
            |(index, value_type, data, ttl, timestamp_s, permissions, references)| Value {
                index,
                value_type,
                data,
                ttl,
                timestamp_s,
                permissions: Permissions(permissions),
                references,
            },
        )
}

#[test]
fn golden_bytes_both_ways() {
    let mut out = Vec::new();
    golden_value().encode(&mut out);
    assert_eq!(out, GOLDEN);
    let view = ValueRef::decode(GOLDEN).unwrap();
    assert_eq!(view.to_owned(), golden_value());
    assert_eq!(view.raw(), GOLDEN);
    assert_eq!(format!("{view:?}"), format!("{:?}", golden_value()));
    assert_eq!(view.signed_part(), &GOLDEN[8..]);
    assert_eq!(view.references().collect::<Vec<_>>(), [("0.NA/1", 301)]);
}

#[test]
fn every_cut_is_refused_and_names_its_part() {
    let parts: Vec<&str> = (0..GOLDEN.len())
        .map(|end| {
            ValueRef::decode(&GOLDEN[..end])
                .expect_err("cut short")
                .part()
        })
        .collect();
    assert_eq!(parts[0], "value index");
    assert_eq!(parts[8], "TTL type");
    assert_eq!(parts[17], "value type");
    assert_eq!(parts[24], "value data");
    assert_eq!(parts[38], "references");
    assert_eq!(parts[44], "references");
    assert_eq!(parts[GOLDEN.len() - 1], "reference index");
}

#[test]
fn lengths_and_counts_beyond_the_limits_are_refused() {
    let cases: [(usize, u32, ValueError); 4] = [
        (
            14,
            0xFFFF_FFFF,
            ValueError::TooLong {
                part: "value type",
                offset: 14,
                length: u32::MAX,
                limit: MAX_TYPE_LEN,
            },
        ),
        (
            21,
            0x8000_0000,
            ValueError::TooLong {
                part: "value data",
                offset: 21,
                length: 0x8000_0000,
                limit: MAX_DATA_LEN,
            },
        ),
        (
            36,
            2049,
            ValueError::TooMany {
                part: "references",
                offset: 36,
                count: 2049,
                limit: MAX_REFERENCES,
            },
        ),
        (
            36,
            2048,
            ValueError::Truncated {
                part: "references",
                offset: 36,
                needed: 16_384,
                left: 14,
            },
        ),
    ];
    for (at, number, expected) in cases {
        let mut bytes = GOLDEN.to_vec();
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        assert_eq!(ValueRef::decode(&bytes), Err(expected));
    }
    let mut bytes = GOLDEN.to_vec();
    bytes[8] = 2;
    let unknown = ValueError::Unknown {
        part: "TTL type",
        offset: 8,
        number: 2,
    };
    assert_eq!(ValueRef::decode(&bytes), Err(unknown));
}

#[test]
fn a_value_over_a_limit_is_named_and_its_encoding_refused() {
    let cases = [
        Value {
            value_type: "T".repeat(MAX_TYPE_LEN + 1),
            ..golden_value()
        },
        Value {
            data: vec![0; MAX_DATA_LEN + 1],
            ..golden_value()
        },
        Value {
            references: vec![
                Reference {
                    handle: String::new(),
                    index: 0
                };
                MAX_REFERENCES + 1
            ],
            ..golden_value()
        },
        Value {
            references: vec![Reference {
                handle: "h".repeat(MAX_HANDLE_LEN + 1),
                index: 0,
            }],
            ..golden_value()
        },
    ];
    let mut scratch = Vec::new();
    for value in cases {
        let error = value.check().expect_err("over a limit");
        assert_eq!(value.view_in(&mut scratch), Err(error));
    }
    let largest = Value {
        data: vec![7; MAX_DATA_LEN],
        ..golden_value()
    };
    assert_eq!(largest.check(), Ok(()));
    assert_eq!(
        largest.view_in(&mut scratch).unwrap().data().len(),
        MAX_DATA_LEN
    );
}

#[test]
fn values_are_bounded_and_stop_after_an_error() {
    let one = Value::new(1, "", "");
    let many = encode_values(&vec![one; MAX_VALUES + 1]);
    assert_eq!(Values::all(&many).filter(Result::is_ok).count(), MAX_VALUES);
    assert!(matches!(
        Values::all(&many).last(),
        Some(Err(ValueError::TooMany { .. }))
    ));
    let counted: Vec<_> = Values::new(&many, 2049).collect();
    assert!(matches!(
        counted[..],
        [Err(ValueError::TooMany {
            count: 2049,
            offset: 0,
            ..
        })]
    ));

    let mut values = Values::new(&many, 2048);
    assert_eq!(values.by_ref().filter(Result::is_ok).count(), MAX_VALUES);
    assert_eq!(values.rest().len(), MIN_VALUE_LEN);

    let cut = &many[..MIN_VALUE_LEN + 3];
    let seen: Vec<_> = Values::all(cut).collect();
    assert!(matches!(
        seen[..],
        [
            Ok(_),
            Err(ValueError::Truncated {
                part: "value index",
                offset: 26,
                needed: 4,
                left: 3
            })
        ]
    ));
}

#[test]
fn permissions_in_text() {
    assert_eq!(Permissions::default().to_string(), "1110");
    let seckey: Permissions = "1100".parse().unwrap();
    assert!(seckey.admin_read() && seckey.admin_write());
    assert!(!seckey.public_read() && !seckey.public_write());
    for text in ["", "111", "11100", "1112", "+110", "１１１０"] {
        assert_eq!(text.parse::<Permissions>(), Err(PermissionsError), "{text}");
    }
}

#[test]
fn remaining_ttl() {
    assert_eq!(Ttl::RelativeS(60).remaining_s(1_700_000_000), 60);
    assert_eq!(Ttl::AbsoluteS(1_700_000_060).remaining_s(1_700_000_000), 60);
    assert_eq!(Ttl::AbsoluteS(1_700_000_000).remaining_s(1_700_000_001), 0);
}

proptest! {
    #[test]
    fn round_trip(values in prop::collection::vec(any_value(), 0..6), tail in any::<[u8; 3]>()) {
        let mut bytes = encode_values(&values);
        prop_assert_eq!(bytes.len(), values.iter().map(Value::encoded_len).sum::<usize>());
        let all: Result<Vec<Value>, _> =
            Values::all(&bytes).map(|value| value.map(|view| view.to_owned())).collect();
        prop_assert_eq!(all.as_ref(), Ok(&values));
        let raw: Vec<u8> =
            Values::all(&bytes).flat_map(|value| value.unwrap().raw().to_vec()).collect();
        prop_assert_eq!(&raw, &bytes);

        bytes.extend_from_slice(&tail);
        let mut counted = Values::new(&bytes, values.len() as u32);
        prop_assert_eq!(counted.by_ref().filter(Result::is_ok).count(), values.len());
        prop_assert_eq!(counted.rest(), &tail);
    }

    #[test]
    fn permissions_round_trip(bits in 0u8..16) {
        prop_assert_eq!(Permissions(bits).to_string().parse(), Ok(Permissions(bits)));
    }
}

#[test]
fn malformed_values_fail_or_round_trip() {
    let seeds = [
        GOLDEN.to_vec(),
        encode_values(&[
            golden_value(),
            Value::new(2, types::EMAIL, "a@b.cn"),
            golden_value(),
        ]),
    ];
    let mut mutator = Mutator::new(1);
    let mut scratch = Vec::new();
    let mut accepted = 0u32;
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        for value in Values::all(bytes) {
            let Ok(view) = value else { break };
            assert!(view.raw().len() <= bytes.len());
            let owned = view.to_owned();
            assert!(owned.references.capacity() * 8 <= 2 * bytes.len().max(32));
            assert_eq!(owned.view_in(&mut scratch), Ok(view));
            accepted += 1;
        }
    }
    assert!(accepted > 0);
}
