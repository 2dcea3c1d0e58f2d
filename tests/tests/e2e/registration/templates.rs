//! Attribute templates: every type's rule, on every way in.

use idnode_proto::api as pb;
use idnode_proto::api::AttributeType as Type;
use idnode_tests::api::{code, value};
use idnode_tests::call;
use tonic::{Code, Status};

use super::{World, refused};

fn attribute(name: &str, kind: Type) -> pb::Attribute {
    pb::Attribute {
        name: name.to_owned(),
        r#type: kind.into(),
        ..pb::Attribute::default()
    }
}

async fn put(
    world: &World,
    name: &str,
    attributes: Vec<pb::Attribute>,
    closed: bool,
) -> Result<u32, Status> {
    let template = pb::Template {
        name: name.to_owned(),
        attributes,
        closed,
        ..pb::Template::default()
    };
    let request = pb::PutTemplateRequest {
        template: Some(template),
        ..pb::PutTemplateRequest::default()
    };
    let done = call!(world.operator, templates.put_template(request))?;
    Ok(done.template.unwrap().revision)
}

async fn create(
    world: &World,
    name: &str,
    template: &str,
    values: Vec<pb::Value>,
) -> Result<u64, Status> {
    let request = pb::CreateIdentifierRequest {
        identifier: format!("88.118.8/{name}"),
        values,
        template: template.to_owned(),
        ..pb::CreateIdentifierRequest::default()
    };
    let done = call!(world.operator, identifiers.create_identifier(request))?;
    Ok(done.sequence)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_takes_what_it_stands_for_and_nothing_else() {
    let world = World::new().await;
    let cases: [(Type, &[&str], &[&str]); 9] = [
        (Type::String, &["", "轴承"], &[]),
        (
            Type::Integer,
            &["0", "-9223372036854775808", "9223372036854775807"],
            &["", "1.0", "9223372036854775808", "0x10", "1 ", "１"],
        ),
        (
            Type::Decimal,
            &["0", "-20.5", "1e3", "1.5E-7"],
            &["", ".", "1,5", "NaN", "inf", "0x1p3", " 1"],
        ),
        (Type::Boolean, &["true", "false"], &["", "TRUE", "1", "yes"]),
        (
            Type::Date,
            &["2026-02-28", "2024-02-29"],
            &[
                "",
                "2026-02-29",
                "2026-2-28",
                "28.02.2026",
                "2026-02-28T00:00:00Z",
            ],
        ),
        (
            Type::DateTime,
            &["2026-02-28T12:00:00Z", "2026-02-28T12:00:00.5+08:00"],
            &[
                "",
                "2026-02-28",
                "2026-02-28T25:00:00Z",
                "2026-02-28T12:00:00",
            ],
        ),
        (
            Type::Uri,
            &["https://e.cn/a?b=c#d", "urn:oid:1.2.3", "mailto:a@e.cn"],
            &["", "e.cn/a", "/a", "https://e.cn/a b", "://x"],
        ),
        (Type::Enumeration, &["P0", "P5"], &["", "p0", "P1"]),
        (
            Type::Identifier,
            &[
                "88.118.8/x",
                "1.2.156.3001",
                "(01)09506000134352",
                "did:cn:88.118.8",
            ],
            &["", "nothing", "(01)09506000134353", "88..8/x"],
        ),
    ];
    for (kind, good, bad) in cases {
        let name = format!("{kind:?}").to_lowercase();
        let mut rule = attribute("A", kind);
        if kind == Type::Enumeration {
            rule.allowed_values = vec!["P0".to_owned(), "P5".to_owned()];
        }
        put(&world, &name, vec![rule], false).await.unwrap();
        for (n, data) in good.iter().enumerate() {
            let done = create(
                &world,
                &format!("{name}-{n}"),
                &name,
                vec![value(1, "A", data)],
            )
            .await;
            assert!(done.is_ok(), "{kind:?} {data:?}: {done:?}");
        }
        for data in bad {
            let values = vec![value(7, "URL", "x"), value(8, "A", data)];
            let done = create(&world, &format!("{name}-bad"), &name, values).await;
            assert_eq!(
                code(&done),
                Code::InvalidArgument,
                "{kind:?} {data:?}: {done:?}"
            );
            refused(done, Code::InvalidArgument, "INVALID", "values[1].data");
        }
    }
    let bytes = pb::Value {
        data: Some(pb::value::Data::Raw(vec![0, 255])),
        ..value(1, "A", "")
    };
    put(&world, "bytes", vec![attribute("A", Type::Bytes)], false)
        .await
        .unwrap();
    create(&world, "bytes", "bytes", vec![bytes.clone()])
        .await
        .unwrap();
    let as_text = create(&world, "not-text", "string", vec![bytes]).await;
    refused(as_text, Code::InvalidArgument, "INVALID", "values[0].data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_a_template_hold_on_every_way_in() {
    let world = World::new().await;
    let mut diameter = attribute("diameter", Type::Decimal);
    (diameter.required, diameter.minimum, diameter.maximum) = (true, Some(1.0), Some(500.0));
    let mut note = attribute("note", Type::String);
    (note.repeated, note.max_length) = (true, 6);
    put(&world, "bearing", vec![diameter, note], true)
        .await
        .unwrap();

    let fine = || {
        vec![
            value(1, "diameter", "20.5"),
            value(2, "note", "轴承"),
            value(3, "note", "b"),
        ]
    };
    create(&world, "fine", "bearing", fine()).await.unwrap();
    let wrong: [(Vec<pb::Value>, &str); 6] = [
        (vec![value(1, "note", "x")], "values"),
        (vec![value(1, "diameter", "0.5")], "values[0].data"),
        (vec![value(1, "diameter", "500.1")], "values[0].data"),
        (
            vec![value(1, "diameter", "2"), value(2, "diameter", "3")],
            "values[1].type",
        ),
        (
            vec![value(1, "diameter", "2"), value(2, "note", "轴承x")],
            "values[1].data",
        ),
        (
            vec![value(1, "diameter", "2"), value(2, "URL", "https://e.cn")],
            "values[1].type",
        ),
    ];
    for (values, part) in &wrong {
        let done = create(&world, "wrong", "bearing", values.clone()).await;
        refused(done, Code::InvalidArgument, "INVALID", part);
        let update = pb::UpdateIdentifierRequest {
            identifier: "88.118.8/fine".to_owned(),
            set_values: values.clone(),
            replace_all: true,
            ..pb::UpdateIdentifierRequest::default()
        };
        let done = call!(world.operator, identifiers.update_identifier(update));
        assert_eq!(code(&done), Code::InvalidArgument, "{values:?}");
    }
    let removal = pb::UpdateIdentifierRequest {
        identifier: "88.118.8/fine".to_owned(),
        remove_indexes: vec![1],
        ..pb::UpdateIdentifierRequest::default()
    };
    let done = call!(world.operator, identifiers.update_identifier(removal));
    assert_eq!(
        code(&done),
        Code::InvalidArgument,
        "what is required is removed"
    );
    let record = world.operator.get("88.118.8/fine").await.unwrap();
    assert_eq!(record.values.len(), 3, "a refused update changes nothing");
    let none = create(&world, "none", "no-such", fine()).await;
    refused(none, Code::NotFound, "TEMPLATE_NOT_FOUND", "template");

    // The next revision holds from then on; what is there stays as it is until it is changed.
    let revision = put(
        &world,
        "bearing",
        vec![attribute("diameter", Type::Integer)],
        false,
    )
    .await;
    assert_eq!(revision.unwrap(), 2);
    let before = world.operator.get("88.118.8/fine").await.unwrap();
    assert_eq!(
        (before.template.as_str(), before.values.len()),
        ("bearing", 3)
    );
    let done = world.operator.replace("88.118.8/fine", fine(), "").await;
    refused(done, Code::InvalidArgument, "INVALID", "values[0].data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_makes_no_sense_is_refused_by_part() {
    let world = World::new().await;
    let a = || attribute("A", Type::Integer);
    let ranged = pb::Attribute {
        minimum: Some(2.0),
        maximum: Some(1.0),
        ..a()
    };
    let bounded = pb::Attribute {
        minimum: Some(2.0),
        ..attribute("A", Type::String)
    };
    for (name, attributes, part) in [
        ("Big", vec![a()], "template.name"),
        ("", vec![a()], "template.name"),
        (
            "t",
            vec![attribute("", Type::String)],
            "template.attributes[0].name",
        ),
        (
            "t",
            vec![attribute("A", Type::Unspecified)],
            "template.attributes[0].type",
        ),
        ("t", vec![a(), a()], "template.attributes[1].name"),
        (
            "t",
            vec![attribute("A", Type::Enumeration)],
            "template.attributes[0].allowed_values",
        ),
        ("t", vec![ranged], "template.attributes[0].minimum"),
        ("t", vec![bounded], "template.attributes[0].minimum"),
    ] {
        let done = put(&world, name, attributes, false).await;
        refused(done, Code::InvalidArgument, "INVALID", part);
    }
}
