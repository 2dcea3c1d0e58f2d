//! Stored records: what is written is read back, and nothing else is taken for a record.

use crate::Error;
use crate::record::Record;
use bytes::Bytes;
use idnode_proto::value::{Permissions, Reference, Ttl, Value, encode_values};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Value> {
    let ttl = prop_oneof![
        any::<u32>().prop_map(|s| Ttl::RelativeS(s & 0x7fff_ffff)),
        any::<u32>().prop_map(Ttl::AbsoluteS)
    ];
    let reference =
        ("[a-z0-9./]{1,20}", 0..1_000_u32).prop_map(|(handle, index)| Reference { handle, index });
    let content = ("[A-Z_]{1,12}", vec(any::<u8>(), 0..80));
    let rest = (ttl, any::<u32>(), 0..16_u8, vec(reference, 0..3));
    (1..=0x7fff_ffff_u32, content, rest).prop_map(
        |(index, (value_type, data), (ttl, timestamp_s, permissions, references))| Value {
            ttl,
            timestamp_s,
            permissions: Permissions(permissions),
            references,
            ..Value::new(index, value_type, data)
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let times = (any::<u64>(), any::<u64>(), any::<u64>());
    let texts = (
        option::of(".{0,40}"),
        option::of(".{0,40}"),
        option::of(".{0,40}"),
    );
    (times, texts, vec(value(), 0..6)).prop_map(
        |((version, created_at_ms, updated_at_ms), (deleted, display, template), values)| Record {
            version,
            created_at_ms,
            updated_at_ms,
            deleted,
            display,
            template,
            value_count: values.len() as u16,
            values: encode_values(&values).into(),
        },
    )
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was_stored(record in record()) {
        let stored = record.encode();
        prop_assert_eq!(Record::decode(stored.clone()).unwrap(), record);
        prop_assert_eq!(Record::decode(stored.clone()).unwrap().encode(), stored);
    }

    #[test]
    fn a_cut_or_lengthened_record_is_refused(record in record(), cut in any::<prop::sample::Index>()) {
        let stored = record.encode();
        let short = stored.slice(..cut.index(stored.len()));
        prop_assert!(matches!(Record::decode(short), Err(Error::Storage(_))));
        let long = Bytes::from([&stored[..], b"\0"].concat());
        prop_assert!(matches!(Record::decode(long), Err(Error::Storage(_))));
    }

    #[test]
    fn junk_is_refused_or_read_in_full(junk in vec(any::<u8>(), 0..200), flags in 0..8_u8) {
        let headed = [&[1, flags][..], &junk].concat();
        for junk in [Bytes::from(junk), Bytes::from(headed)] {
            if let Ok(record) = Record::decode(junk.clone()) {
                prop_assert_eq!(record.values().count(), usize::from(record.value_count));
                prop_assert_eq!(record.encode(), junk);
            }
        }
    }

    #[test]
    fn a_changed_byte_never_makes_another_number_of_values(
        record in record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut stored = record.encode().to_vec();
        let at = at.index(stored.len());
        stored[at] = byte;
        if let Ok(read) = Record::decode(stored.clone().into()) {
            prop_assert_eq!(read.values().count(), usize::from(read.value_count));
            prop_assert_eq!(read.encode(), stored);
        }
    }
}

#[test]
fn other_versions_and_flags_are_named_or_refused() {
    let record = Record {
        version: 7,
        created_at_ms: 1,
        updated_at_ms: 2,
        deleted: Some("停产".into()),
        display: None,
        template: None,
        value_count: 0,
        values: Bytes::new(),
    };
    let with = |at: usize, byte: u8| {
        let mut stored = record.encode().to_vec();
        stored[at] = byte;
        Record::decode(stored.into())
    };
    let Err(Error::Storage(reason)) = with(0, 9) else {
        panic!("version 9 is read");
    };
    assert!(reason.contains("version 9"), "{reason}");
    assert!(with(1, 1 | 8).is_err(), "an unknown flag is read over");
    assert_eq!(with(0, 1), Ok(record));
}
