use super::*;
use crate::escrow::EscrowError;
use crate::escrow::object::Deletion;
use crate::escrow::read::DocumentReader;
use crate::escrow::write::DocumentWriter;
use proptest::prelude::*;
use std::process::Command;

fn document(head: Head, deletes: &[Deletion], objects: &[Object], summary: Summary) -> Vec<u8> {
    let mut writer = DocumentWriter::new(Vec::new(), head).unwrap();
    for deletion in deletes {
        writer.delete(deletion).unwrap();
    }
    for object in objects {
        writer.put(object).unwrap();
    }
    writer.finish(summary).unwrap().0
}

fn read(document: &[u8]) -> Result<(Head, Vec<Object>, Summary), EscrowError> {
    let mut reader = DocumentReader::new(document)?;
    let mut objects = Vec::new();
    while let Some(object) = reader.next()? {
        objects.push(object);
    }
    let summary = reader.summary().unwrap().clone();
    Ok((reader.head().clone(), objects, summary))
}

fn odd_identifiers() -> Vec<Object> {
    let odd = TEXTS
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| Identifier {
            spelling: Some((*text).into()),
            template: Some((*text).into()),
            deleted: Some((*text).into()),
            values: odd_values(),
            ..identifier(text, 5)
        });
    odd.chain([Identifier {
        deleted: Some(String::new()),
        values: Values::default(),
        ..identifier("gone", 5)
    }])
    .map(Object::Identifier)
    .collect()
}

#[test]
fn every_object_comes_back_as_it_was_and_satisfies_the_schema() {
    let mut objects = vec![
        Object::Prefix(prefix()),
        Object::Prefix(Prefix {
            delegation: None,
            values: Values::default(),
            ..prefix()
        }),
        Object::Enterprise(enterprise()),
        Object::Template(template("car")),
    ];
    objects.extend(odd_identifiers());
    let full = document(
        head(Kind::Full, "261128F000100", None, 5, None),
        &[],
        &objects,
        Summary {
            listing: "0".repeat(64),
            ..Summary::default()
        },
    );
    let (head_read, read_objects, summary) = read(&full).unwrap();
    assert_eq!(head_read, head(Kind::Full, "261128F000100", None, 5, None));
    assert_eq!(read_objects, objects);
    assert_eq!(summary.objects, objects.len() as u64);
    let deletes = [
        Deletion::Template("old".into()),
        Deletion::Prefix("88.118.8".into()),
    ];
    let diff = document(
        head(Kind::Diff, "b", Some("a"), 5, Some(5)),
        &deletes,
        &[],
        Summary::default(),
    );
    let reader = DocumentReader::new(diff.as_slice()).unwrap();
    assert_eq!(reader.deletes(), deletes);
    for document in [full, diff] {
        satisfies_the_schema(&document);
    }
}

/// Asks `xmllint`, which knows nothing of us.
fn satisfies_the_schema(document: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deposit.xml");
    std::fs::write(&path, document).unwrap();
    let schema = "escrow/idnode-escrow-1.0.xsd";
    let mut lint = Command::new("xmllint");
    lint.args(["--noout", "--nonet", "--schema", schema])
        .arg(&path);
    let output = lint.output().expect("xmllint (libxml2-utils) is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn what_the_schema_does_not_say_is_refused() {
    let whole = document(
        head(Kind::Full, "a", None, 5, None),
        &[],
        &[
            Object::Prefix(prefix()),
            Object::Identifier(identifier("x", 5)),
        ],
        Summary::default(),
    );
    let whole = String::from_utf8(whole).unwrap();
    assert!(read(whole.as_bytes()).is_ok());
    for (from, to) in [
        ("type=\"FULL\"", "type=\"INCR\""),
        ("id=\"a\"", "id=\"a b\""),
        ("id=\"a\"", "id=\"a\" prevId=\"a\""),
        ("<rde:version>1.0", "<rde:version>1.1"),
        ("<rde:objURI>urn:idnode", "<rde:objURI>urn:other"),
        ("xmlns:ide=\"urn:idnode", "xmlns:ide=\"urn:other"),
        ("state=\"active\"", "state=\"on\""),
        ("enterprise=\"17\"", "enterprise=\"+17\""),
        ("enterprise=\"17\"", "enterprise=\"17\" more=\"1\""),
        ("<ide:data>", "<ide:data>!"),
        ("objects=\"2\"", "objects=\"3\""),
        ("</rde:contents>", "<ide:scope/></rde:contents>"),
        ("</rde:deposit>", ""),
        ("</rde:deposit>", "</rde:deposit><a/>"),
        (
            "<rde:contents>",
            "<rde:deletes></rde:deletes><rde:contents>",
        ),
        ("<ide:summary", "<ide:other"),
        ("name=\"88.118.8/X\"", "name=\"88.118.8/x\""),
        ("ttlS=", "untilS=\"1\" ttlS="),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<!DOCTYPE a><?a?>",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let other = whole.replacen(from, to, 1);
        let error = read(other.as_bytes()).expect_err(to);
        assert!(!error.to_string().is_empty());
    }
    // Cut off anywhere.
    for length in (0..whole.trim_end().len()).step_by(7) {
        assert!(read(&whole.as_bytes()[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn identifiers_of_any_text_come_back(
        suffix in "\\PC{1,20}", text in any::<Option<String>>(), data in any::<Vec<u8>>(),
        index in any::<u32>(), permissions in any::<u8>(), kind in any::<String>(),
    ) {
        prop_assume!(identifier::Identifier::parse(&format!("88.118.8/{suffix}")).is_ok());
        let value = Value { permissions: Permissions(permissions), ..Value::new(index, kind, data) };
        let object = Object::Identifier(Identifier {
            spelling: text.clone(), deleted: text.clone(), template: text,
            values: values(&[value]), ..identifier(&suffix, 1)
        });
        let bytes = document(head(Kind::Full, "a", None, 1, None), &[], std::slice::from_ref(&object), Summary::default());
        prop_assert_eq!(read(&bytes).unwrap().1, vec![object]);
    }

    #[test]
    fn junk_is_refused(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<rde:deposit xmlns:rde='urn:ietf:params:xml:ns:rde-1.0' type='FULL' id='a'>", "</rde:deposit>",
        "<rde:watermark>", "2026-01-01T00:00:00Z", "</rde:watermark>", "<rde:rdeMenu>", "</rde:rdeMenu>",
        "<ide:summary", "/>", "<rde:contents>", "</rde:contents>", "<", "&", "\"", "产",
    ]), 0..40)) {
        prop_assert!(read(pieces.concat().as_bytes()).is_err());
    }
}

#[test]
fn deletions_are_bounded_together() {
    let head = head(Kind::Diff, "b", Some("a"), 5, Some(4));
    // Each is short enough, and there are few.
    let name = "x".repeat(1 << 20);
    let read = |count: usize| {
        let deletes = vec![Deletion::Template(name.clone()); count];
        let document = document(head.clone(), &deletes, &[], Summary::default());
        DocumentReader::new(document.as_slice()).map(|it| it.deletes().len())
    };
    assert_eq!(read(32).unwrap(), 32);
    let said = read(33).unwrap_err().to_string();
    assert!(
        said.starts_with("the document has more deletions than are read"),
        "{said}"
    );
}

#[test]
fn values_that_cannot_be_read_are_no_values() {
    let good = odd_values();
    let (count, bytes) = (good.count(), good.into_bytes());
    assert!(Values::new(count, bytes.clone()).is_ok());
    for (count, length) in [
        (count, 1),
        (count + 1, 0),
        (count - 1, 0),
        (0, 0),
        (1 << 20, 0),
    ] {
        let cut = bytes.slice(..bytes.len() - length);
        let said = Values::new(count, cut).unwrap_err().to_string();
        assert!(
            said.starts_with("values that cannot be deposited: "),
            "{said}"
        );
    }
}
