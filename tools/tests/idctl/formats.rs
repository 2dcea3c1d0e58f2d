//! Files: what is written is read back as it was, byte by byte and value by value.

use std::io::Write as _;
use std::sync::Arc;

use idnode_proto::api::value::{Data, Ttl};
use idnode_proto::api::{IdentifierRecord, ImportItem, Reference, Value};
use idnode_tools::bulk::format::{Compression, Format, Output, open};
use idnode_tools::bulk::item::EncodedItem;
use idnode_tools::bulk::read::{Entry, Items};
use idnode_tools::bulk::write::Records;
use proptest::prelude::*;

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        any::<String>().prop_map(Data::Text),
        "[ -~\\n\\r\t\0,;\"'标识🦀]{0,40}".prop_map(Data::Text),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Data::Raw),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let ttl = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|s| Some(Ttl::TtlS(s))),
        any::<u32>().prop_map(|s| Some(Ttl::ExpiresAtS(s))),
    ];
    let references = prop::collection::vec(
        (any::<String>(), any::<u32>()).prop_map(|(handle, index)| Reference { handle, index }),
        0..3,
    );
    let kind = prop_oneof!["[A-Z_.]{1,8}", "\\PC{1,8}", Just(",\"\n".to_owned())];
    (
        kind,
        data(),
        ttl,
        prop::option::of(0u32..256),
        any::<u32>(),
        references,
    )
        .prop_map(
            |(kind, data, ttl, permissions, timestamp_s, references)| Value {
                index: 0,
                r#type: kind,
                permissions,
                timestamp_s,
                references,
                data: Some(data),
                ttl,
            },
        )
}

fn records() -> impl Strategy<Value = Vec<IdentifierRecord>> {
    let identifier = prop_oneof!["88\\.118\\.8/[A-Z0-9]{1,9}", "\\PC{1,12}", any::<String>()];
    let record = (
        identifier,
        "[a-z]{0,5}",
        prop::collection::vec(value(), 0..4),
        any::<bool>(),
    );
    prop::collection::vec(record, 0..12).prop_map(|records| {
        let mut unique = std::collections::HashSet::new();
        let records = records
            .into_iter()
            .filter(|(identifier, ..)| !identifier.is_empty() && unique.insert(identifier.clone()));
        records
            .map(|(identifier, template, mut values, numbered)| {
                for (index, value) in (1..).zip(&mut values) {
                    value.index = if numbered { index } else { 0 };
                }
                IdentifierRecord {
                    identifier,
                    template,
                    values,
                    ..IdentifierRecord::default()
                }
            })
            .collect()
    })
}

fn written(records: &[IdentifierRecord], format: Format, compression: Compression) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = Output::new(file.reopen().unwrap(), compression).unwrap();
    let mut writer = Records::new(output, format).unwrap();
    for record in records {
        writer.write(&mut record.clone()).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(file.path()).unwrap()
}

fn read(bytes: &[u8], format: Format) -> Vec<Entry> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let text = open(file.path(), Arc::default()).unwrap();
    let mut items = Items::new(text, format).unwrap();
    std::iter::from_fn(|| items.next_entry().unwrap()).collect()
}

fn items(entries: Vec<Entry>) -> Vec<ImportItem> {
    let item = |entry| match entry {
        Entry::Item(item) => {
            let decoded = item.decode();
            assert_eq!(EncodedItem::from(&decoded), item, "as prost encodes it");
            decoded
        }
        Entry::Reject(reject) => panic!("{reject:?}"),
    };
    entries.into_iter().map(item).collect()
}

fn as_records(items: Vec<ImportItem>) -> Vec<IdentifierRecord> {
    items
        .into_iter()
        .map(|item| IdentifierRecord {
            identifier: item.identifier,
            template: item.template,
            values: item.values,
            ..IdentifierRecord::default()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_back(
        records in records(),
        csv: bool,
        compression in prop_oneof![
            Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)
        ],
    ) {
        let format = if csv { Format::Csv } else { Format::Jsonl };
        let bytes = written(&records, format, compression);
        let back = as_records(items(read(&bytes, format)));
        prop_assert_eq!(&back, &records);
        prop_assert_eq!(written(&back, format, compression), bytes);
    }

    #[test]
    fn junk_is_refused_line_by_line_and_never_stops(junk: Vec<u8>, csv: bool) {
        let (format, good) = match csv {
            true => (Format::Csv, "identifier,type,data\n88.118.8/A,URL,https://a\n".as_bytes()),
            false => (
                Format::Jsonl,
                br#"{"identifier":"88.118.8/A","values":[{"type":"URL","data":"https://a"}]}
"#.as_slice(),
            ),
        };
        let mut text = good.to_vec();
        text.extend_from_slice(&junk);
        let entries = read(&text, format);
        let first = match &entries[0] {
            Entry::Item(item) => item.decode(),
            // Junk may go on with the rows of the same identifier, or spoil them.
            Entry::Reject(reject) => {
                prop_assert_eq!(&reject.identifier, "88.118.8/A");
                return Ok(());
            }
        };
        prop_assert_eq!(first.identifier.as_str(), "88.118.8/A");
        let mut last = 0;
        for entry in &entries {
            let line = match entry {
                Entry::Item(item) => item.line(),
                Entry::Reject(reject) => reject.line,
            };
            // A carriage return alone ends a row of CSV, and no line.
            prop_assert!(line > last || csv && line == last, "lines ascend");
            last = line;
        }
    }

    #[test]
    fn each_item_knows_its_physical_line(records in records(), csv: bool, crlf: bool) {
        let format = if csv { Format::Csv } else { Format::Jsonl };
        let mut text = written(&records, format, Compression::None);
        if crlf && !csv {
            // Inside JSON strings newlines are escaped: every newline ends a line.
            text = String::from_utf8(text).unwrap().replace('\n', "\r\n").into_bytes();
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        for item in items(read(&text, format)) {
            let rest = lines[item.line as usize - 1..].concat();
            // Reading from that line on finds the same item first.
            let header = if csv { lines[0] } else { b"" };
            let again = items(read(&[header, &rest].concat(), format));
            prop_assert_eq!(&again[0].identifier, &item.identifier);
            prop_assert_eq!(&again[0].values, &item.values);
        }
    }
}

#[test]
fn the_text_of_both_formats() {
    let value = |index, data| Value {
        index,
        r#type: "URL".to_owned(),
        permissions: Some(14),
        timestamp_s: 7,
        references: vec![],
        data: Some(data),
        ttl: Some(Ttl::TtlS(86_400)),
    };
    let mut second = value(2, Data::Raw(vec![0, 255]));
    second.ttl = Some(Ttl::ExpiresAtS(9));
    second.permissions = Some(6);
    second.references = vec![
        Reference {
            handle: "0.NA/88.118.8".into(),
            index: 300,
        },
        Reference::default(),
    ];
    let record = IdentifierRecord {
        identifier: "88.118.8/轴承".to_owned(),
        template: "bearing".to_owned(),
        // The writer puts values in the order of their indexes.
        values: vec![second, value(1, Data::Text("a,\"b\"".to_owned()))],
        ..IdentifierRecord::default()
    };
    let csv = written(
        std::slice::from_ref(&record),
        Format::Csv,
        Compression::None,
    );
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "identifier,template,index,type,encoding,data,ttl,permissions,timestamp,references\n\
         88.118.8/轴承,bearing,1,URL,string,\"a,\"\"b\"\"\",86400,1110,7,\n\
         88.118.8/轴承,bearing,2,URL,base64,AP8=,@9,0110,7,300:0.NA/88.118.8;0:\n"
    );
    let jsonl = written(&[record], Format::Jsonl, Compression::None);
    assert_eq!(
        String::from_utf8(jsonl).unwrap(),
        concat!(
            r#"{"identifier":"88.118.8/轴承","template":"bearing","values":["#,
            r#"{"index":1,"type":"URL","data":{"format":"string","value":"a,\"b\""},"ttl_s":86400,"permissions":14,"timestamp_s":7},"#,
            r#"{"index":2,"type":"URL","data":{"format":"base64","value":"AP8="},"expires_at_s":9,"permissions":6,"timestamp_s":7,"#,
            r#""references":[{"handle":"0.NA/88.118.8","index":300},{"handle":"","index":0}]}]}"#,
            "\n"
        )
    );
}

#[test]
fn a_csv_of_three_columns_in_any_order_is_enough() {
    let text = b"\xef\xbb\xbfData, Type ,IDENTIFIER\r\nhttps://a,URL,88.118.8/A\r\nhello,DESC,88.118.8/A\r\nx,URL,88.118.8/B";
    let read = items(read(text, Format::Csv));
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].line, read[1].line), (2, 4));
    let kinds: Vec<_> = read[0]
        .values
        .iter()
        .map(|value| value.r#type.as_str())
        .collect();
    assert_eq!(kinds, ["URL", "DESC"]);
    assert_eq!(
        read[0].values[0].data,
        Some(Data::Text("https://a".to_owned()))
    );
}
