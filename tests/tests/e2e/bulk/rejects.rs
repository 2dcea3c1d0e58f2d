//! A rejected line never stops the rest: rejects with line number and reason go to a file.

use std::fs;

use serde_json::json;

use super::{World, beside, fact, rejects};

fn world() -> World {
    let world = World::new(&["88.118.8", "88.118.9"]);
    let template = json!({"name": "bearing", "closed": true, "attributes": [
        {"name": "diameter", "type": "decimal", "minimum": 0, "required": true}]});
    let file = world.file("bearing.json", template.to_string());
    world.operator.json(&["template", "put", &file]);
    world.operator.json(&["prefix", "suspend", "88.118.9"]);
    world
}

fn check(world: &World, file: &str, expected: &[(u64, String, String, String)], good: &[&str]) {
    let done = world
        .operator
        .run(&["--json", "import", "--chunk", "3", file]);
    assert_eq!(done.code, 3, "{done:?}");
    let summary = done.document();
    assert_eq!(summary["created"], good.len(), "{summary}");
    assert_eq!(summary["rejected"], expected.len(), "{summary}");
    let rejects_file = beside(file, ".rejects");
    assert_eq!(summary["rejects_file"], json!(rejects_file));
    assert_eq!(done.error()["exit_code"], 3);
    assert_eq!(rejects(file), expected);
    assert_eq!(world.count(), good.len() as u64);
    for identifier in good {
        let resolved = world.operator.json(&["resolve", identifier]);
        assert_eq!(resolved["identifier"], **identifier);
    }
    assert!(!beside(file, ".progress").exists(), "it is complete");

    // Mended and given again, the rejects alone are what is left to do.
    let mended = world.file("mended.jsonl", "{\"identifier\":\"88.118.8/mended\",\"values\":[{\"type\":\"URL\",\"data\":\"https://e.cn\"}]}\n");
    assert_eq!(world.operator.json(&["import", &mended])["created"], 1);
    assert_eq!(world.count(), good.len() as u64 + 1);
    assert!(
        !fs::read(rejects_file).unwrap().is_empty(),
        "of the first file still"
    );
}

#[test]
fn a_rejected_line_of_json_never_stops_the_rest() {
    let world = world();
    let lines = [
        r#"{"identifier":"88.118.8/a","values":[{"type":"URL","data":"https://e.cn/a"}]}"#,
        r#"{"identifier":"88.118.8/broken","values":["#,
        r#"{"identifier":"88.118.99/x","values":[{"type":"URL","data":"https://e.cn"}]}"#,
        r#"{"identifier":"88..8/x","values":[{"type":"URL","data":"https://e.cn"}]}"#,
        r#"{"identifier":"88.118.8/A","values":[{"type":"URL","data":"https://e.cn/again"}]}"#,
        "",
        r#"{"identifier":"88.118.8/small","template":"bearing","values":[{"type":"diameter","data":"-1"}]}"#,
        r#"{"identifier":"88.118.8/b","colour":"red","values":[]}"#,
        r#"{"identifier":"88.118.8/none","values":[]}"#,
        r#"{"identifier":"88.118.8/twice","values":[{"index":1,"type":"URL","data":"x"},{"index":1,"type":"URL","data":"y"}]}"#,
        r#"{"identifier":"88.118.9/suspended","values":[{"type":"URL","data":"https://e.cn"}]}"#,
        r#"{"identifier":"88.118.8/ttl","values":[{"type":"URL","data":"x","ttl_s":-1}]}"#,
        r#"{"identifier":"88.118.8/no-such","template":"wheel","values":[{"type":"URL","data":"x"}]}"#,
        r#"{"identifier":"88.118.8/fine","template":"bearing","values":[{"type":"diameter","data":"20.5"}]}"#,
        r#"[1]"#,
        r#"{"identifier":"88.118.8/z","values":[{"type":"URL","data":"https://e.cn/z"}]}"#,
    ];
    let file = world.file("mixed.jsonl", lines.join("\n"));
    let expected = [
        fact(2, "", "MALFORMED_JSON", ""),
        fact(3, "88.118.99/x", "PREFIX_NOT_FOUND", "prefix"),
        fact(4, "88..8/x", "INVALID", "identifier"),
        fact(5, "88.118.8/A", "IDENTIFIER_EXISTS", "identifier"),
        fact(7, "88.118.8/small", "INVALID", "values[0].data"),
        fact(8, "88.118.8/b", "INVALID_FIELD", "colour"),
        fact(9, "88.118.8/none", "INVALID", "values"),
        fact(10, "88.118.8/twice", "INVALID", "values[1].index"),
        fact(11, "88.118.9/suspended", "PREFIX_NOT_ACTIVE", "prefix"),
        fact(12, "88.118.8/ttl", "INVALID_FIELD", "values[0].ttl_s"),
        fact(13, "88.118.8/no-such", "TEMPLATE_NOT_FOUND", "template"),
        fact(15, "", "MALFORMED_JSON", ""),
    ];
    let good = ["88.118.8/a", "88.118.8/fine", "88.118.8/z"];
    check(&world, &file, &expected, &good);
}

#[test]
fn a_rejected_row_of_csv_never_stops_the_rest() {
    let world = world();
    let rows = [
        "identifier,template,index,type,data,ttl,permissions",
        "88.118.8/a,,,NOTE,\"two",
        "lines\",,",
        "88.118.8/short,,,URL",
        "88.118.99/x,,,URL,https://e.cn,,",
        "88.118.8/soon,,,URL,https://e.cn,soon,",
        "88.118.8/perm,,,URL,https://e.cn,,rwx",
        "88.118.8/several,,1,URL,https://e.cn,,",
        "88.118.8/several,,x,URL,https://e.cn,,",
        "88.118.8/small,bearing,,diameter,big,,",
        "88.118.8/fine,bearing,,diameter,1e2,600,1110",
        "88.118.8/A,,,URL,https://e.cn,,",
        "88.118.8/both,,1,URL,https://e.cn/1,,",
        "88.118.8/both,,2,URL,https://e.cn/2,,",
    ];
    let file = world.file("mixed.csv", rows.join("\r\n"));
    let expected = [
        fact(4, "88.118.8/short", "MALFORMED_CSV", ""),
        fact(5, "88.118.99/x", "PREFIX_NOT_FOUND", "prefix"),
        fact(6, "88.118.8/soon", "INVALID_FIELD", "ttl"),
        fact(7, "88.118.8/perm", "INVALID_FIELD", "permissions"),
        fact(8, "88.118.8/several", "INVALID_FIELD", "index"),
        fact(10, "88.118.8/small", "INVALID", "values[0].data"),
        fact(12, "88.118.8/A", "IDENTIFIER_EXISTS", "identifier"),
    ];
    let good = ["88.118.8/a", "88.118.8/fine", "88.118.8/both"];
    check(&world, &file, &expected, &good);
    let both = world.operator.json(&["resolve", "88.118.8/both"]);
    assert_eq!(
        both["record"]["values"].as_array().map(Vec::len),
        Some(2),
        "{both}"
    );
}
