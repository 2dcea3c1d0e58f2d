//! What is told of objects beside identifiers: a template with all of its rules.

use super::super::streams::Streams;
use super::world::objects;
use idnode_tests::run::until;
use serde_json::{Value, json};

#[test]
fn a_template_is_told_with_the_rules_of_its_attributes() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    let operator = world.operator(&node);
    let file = world.home.path().join("bearing.json");
    let put = |greatest: u32| {
        let template = json!({"name": "bearing", "title": "轴承", "attributes": [
            {"name": "serial", "type": "string", "required": true, "max_length": 12},
            {"name": "diameter", "type": "decimal", "unit": "mm", "minimum": 0.5, "maximum": greatest},
            {"name": "grade", "type": "enumeration", "allowed_values": ["P0", "P5"]},
        ]});
        std::fs::write(&file, template.to_string()).unwrap();
        operator.json(&["template", "put", &file.display().to_string()]);
    };
    let told = |greatest: u32| {
        until("the template is there", || {
            objects(&national)["template bearing"]["attributes"][1]["maximum"]
                == f64::from(greatest)
        });
    };
    put(90);
    told(90);
    let there = objects(&national)["template bearing"]["attributes"].clone();
    let (serial, diameter, grade) = (&there[0], &there[1], &there[2]);
    assert_eq!(
        (&serial["max_length"], &serial["minimum"]),
        (&json!(12), &Value::Null)
    );
    assert_eq!(
        (&diameter["minimum"], &diameter["maximum"]),
        (&json!(0.5), &json!(90.0))
    );
    assert_eq!(grade["allowed_values"], json!(["P0", "P5"]));
    // A rule that changes is told, too.
    put(120);
    told(120);
}
