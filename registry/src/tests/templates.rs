//! What is registered under a template keeps it.

use super::support::*;
use crate::Error;
use crate::enterprise::EnterpriseId;
use crate::template::{Attribute, AttributeType, Template};
use crate::write::{Command, Draft, IdentifierUpdate, ImportMode, ImportStatus, Outcome};
use idnode_proto::value::Value;

fn attribute(name: &str, kind: AttributeType) -> Attribute {
    Attribute {
        name: name.into(),
        kind: kind as i32,
        ..Attribute::default()
    }
}

/// A closed template of a bearing.
fn bearing(enterprise: Option<u64>) -> Template {
    Template {
        name: "bearing".into(),
        enterprise,
        closed: true,
        attributes: vec![
            Attribute {
                required: true,
                max_length: 8,
                ..attribute("MODEL", AttributeType::String)
            },
            Attribute {
                minimum: Some(0.5),
                maximum: Some(10.0),
                ..attribute("MASS", AttributeType::Decimal)
            },
            Attribute {
                repeated: true,
                ..attribute("MADE", AttributeType::Date)
            },
            Attribute {
                allowed_values: vec!["P0".into(), "P6".into()],
                ..attribute("GRADE", AttributeType::Enumeration)
            },
            attribute("PART_OF", AttributeType::Identifier),
        ],
        ..Template::default()
    }
}

fn put(template: Template) -> Command {
    Command::PutTemplate {
        template,
        expected_version: None,
    }
}

/// Type and data of each.
type Values<'a> = &'a [(&'a str, &'a str)];

fn under(identifier: &str, template: &str, values: Values) -> Command {
    let values = values
        .iter()
        .zip(1..)
        .map(|((kind, data), index)| Value::new(index, *kind, *data))
        .collect();
    let identifier = identifier.parse().unwrap();
    Command::CreateIdentifier(
        Draft::new(identifier, values, Some(template.into()), STAMP_S).unwrap(),
    )
}

#[test]
fn values_keep_their_template() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(put(bearing(None)));
    let good = [
        ("MODEL", "6204"),
        ("MASS", "0.5"),
        ("MADE", "2024-02-29"),
        ("MADE", "2026-12-31"),
        ("GRADE", "P6"),
        ("PART_OF", "88.118.8/machine"),
        ("HS_PUBKEY", "not the template's"),
    ];
    node.write(under("88.118.8/good", "bearing", &good));
    let wrong: [(Values, &str, &str); 11] = [
        (&[("MASS", "1")], "values", "requires MODEL"),
        (&[("MODEL", "123456789")], "values[0].data", "at most 8"),
        (&[("MODEL", "a"), ("MODEL", "b")], "values[1].type", "once"),
        (
            &[("MODEL", "a"), ("MASS", "heavy")],
            "values[1].data",
            "decimal",
        ),
        (
            &[("MODEL", "a"), ("MASS", "0.4")],
            "values[1].data",
            "below 0.5",
        ),
        (
            &[("MODEL", "a"), ("MASS", "10.1")],
            "values[1].data",
            "above 10",
        ),
        (
            &[("MODEL", "a"), ("MASS", "NaN")],
            "values[1].data",
            "decimal",
        ),
        (
            &[("MODEL", "a"), ("MADE", "2023-02-29")],
            "values[1].data",
            "date",
        ),
        (
            &[("MODEL", "a"), ("GRADE", "p6")],
            "values[1].data",
            "one of",
        ),
        (
            &[("MODEL", "a"), ("PART_OF", "nothing")],
            "values[1].data",
            "PART_OF",
        ),
        (
            &[("MODEL", "a"), ("COLOUR", "red")],
            "values[1].type",
            "COLOUR",
        ),
    ];
    for (values, field, reason) in wrong {
        let error = node
            .try_write(under("88.118.8/wrong", "bearing", values))
            .unwrap_err();
        assert_eq!(error.field(), field, "{values:?}: {error}");
        assert!(error.to_string().contains(reason), "{values:?}: {error}");
        assert!(error.to_string().contains("bearing"), "{error}");
    }
    assert!(node.record("88.118.8/wrong").is_err());
    let unknown = under("88.118.8/wrong", "axle", &good);
    assert_eq!(node.refusal(unknown), "TEMPLATE_NOT_FOUND");
}

#[test]
fn updates_and_imports_keep_it_too() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(put(bearing(None)));
    node.write(under(
        "88.118.8/a",
        "bearing",
        &[("MODEL", "6204"), ("MASS", "1")],
    ));
    let change = |set: Vec<Value>, remove: Vec<u32>, template: Option<&str>| {
        let identifier = "88.118.8/a".parse().unwrap();
        let template = template.map(str::to_owned);
        let update = IdentifierUpdate::new(identifier, set, remove, false, template, None, STAMP_S);
        node.try_write(Command::UpdateIdentifier(update.unwrap()))
    };
    let error = change(vec![], vec![1], None).unwrap_err();
    assert!(error.to_string().contains("requires MODEL"), "{error}");
    let error = change(vec![Value::new(2, "MASS", "100")], vec![], None).unwrap_err();
    assert_eq!(error.field(), "values[1].data");
    change(vec![Value::new(2, "MASS", "2")], vec![], None).unwrap();
    // Without its template it is free; back under it only if it fits.
    change(vec![Value::new(3, "COLOUR", "red")], vec![], Some("")).unwrap();
    let error = change(vec![], vec![], Some("bearing")).unwrap_err();
    assert_eq!(error.field(), "values[2].type");
    change(vec![], vec![3], Some("bearing")).unwrap();
    assert_eq!(
        node.record("88.118.8/a").unwrap().template.as_deref(),
        Some("bearing")
    );

    let item = |identifier: &str, model: &str| {
        let values = vec![Value::new(1, "MODEL", model)];
        let identifier = identifier.parse().unwrap();
        Draft::new(identifier, values, Some("bearing".into()), STAMP_S).map_err(|e| (&e).into())
    };
    let receipt = node.write(Command::ImportChunk {
        import_id: "load".into(),
        number: 1,
        mode: ImportMode::Create,
        items: vec![
            item("88.118.8/b", "6205"),
            item("88.118.8/c", "far too long"),
        ],
    });
    let Outcome::Import(results) = receipt.outcome else {
        panic!("{receipt:?}");
    };
    assert_eq!(results[0].status, ImportStatus::Created);
    let error = results[1].error.as_ref().unwrap();
    assert_eq!(error.field, "values[0].data");
    assert!(node.record("88.118.8/c").is_err());
}

#[test]
fn a_template_is_the_nodes_or_its_enterprises_own() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let (one, two) = (EnterpriseId(1), node.enterprise("two"));
    node.activate("88.118.9", two);
    let refused = node.write_as(&holder(one), None, put(bearing(None)));
    assert_eq!(refused.unwrap_err().reason(), "DENIED");
    node.write_as(&holder(two), None, put(bearing(Some(two.0))))
        .unwrap();
    let taken = node.write_as(&holder(one), None, put(bearing(Some(one.0))));
    assert_eq!(taken.unwrap_err().reason(), "DENIED");
    let moved = node.try_write(put(bearing(None))).unwrap_err();
    assert_eq!(moved.field(), "template.enterprise_id");
    let values = [("MODEL", "6204")];
    node.write(under("88.118.9/a", "bearing", &values));
    let other = under("88.118.8/a", "bearing", &values);
    assert_eq!(node.refusal(other), "TEMPLATE_NOT_FOUND");
    let seen = |id| node.registry().get_template(&holder(id), "bearing").is_ok();
    assert_eq!((seen(one), seen(two)), (false, true));
}

#[test]
fn a_template_that_makes_no_sense_is_refused_with_its_field() {
    let node = Node::new();
    let template = |name: &str, attributes: Vec<Attribute>| {
        put(Template {
            name: name.into(),
            attributes,
            ..Template::default()
        })
    };
    let fine = || attribute("A", AttributeType::String);
    let cases = [
        (template("Upper", vec![fine()]), "template.name"),
        (template("", vec![fine()]), "template.name"),
        (template("t", vec![]), "template.attributes"),
        (
            template("t", vec![fine(), fine()]),
            "template.attributes[1].name",
        ),
        (
            template(
                "t",
                vec![fine(), attribute("B", AttributeType::Unspecified)],
            ),
            "template.attributes[1].type",
        ),
        (
            template("t", vec![attribute("B", AttributeType::Enumeration)]),
            "template.attributes[0].allowed_values",
        ),
        (
            template(
                "t",
                vec![Attribute {
                    minimum: Some(2.0),
                    maximum: Some(1.0),
                    ..attribute("B", AttributeType::Integer)
                }],
            ),
            "template.attributes[0].minimum",
        ),
        (
            template(
                "t",
                vec![Attribute {
                    minimum: Some(2.0),
                    ..fine()
                }],
            ),
            "template.attributes[0].minimum",
        ),
    ];
    for (command, field) in cases {
        let error = node.try_write(command).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert_eq!(error.field(), field, "{error}");
    }
}
