//! `GET /api/handles/{handle}`.

use super::{Node, change_full, longest_handle};

#[test]
fn the_answer_has_the_shape_that_clients_read() {
    let node = Node::start();
    let answer = node.handle("88.118.8/full?type=URL&index=100&auth=true&cert=x&foo=%zz");
    assert_eq!(
        (answer.status, answer.field("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"responseCode":1,"handle":"88.118.8/full","values":["#,
            r#"{"index":1,"type":"URL","data":{"format":"string","value":"https://example.com/product/1"},"#,
            r#""ttl":600,"timestamp":"2023-11-14T22:13:20Z"},"#,
            r#"{"index":100,"type":"HS_ADMIN","data":{"format":"admin","value":{"handle":"0.NA/88.118.8","#,
            r#""index":200,"permissions":"011111110011"}},"ttl":86400,"timestamp":"2023-11-14T22:13:20Z"}]}"#,
        )
    );
    assert_eq!(answer.field("cache-control"), Some("max-age=600"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    let pretty = node.handle("88.118.8/full?type=URL&index=100&pretty=true");
    assert!(pretty.text().starts_with("{\n  \"responseCode\": 1,\n"));
    assert_eq!(pretty.json(), answer.json());
}

#[test]
fn filters_are_a_union() {
    let node = Node::start();
    assert_eq!(node.handle("88.118.8/full").indexes(), [1, 2, 4, 100]);
    assert_eq!(
        node.handle("88.118.8/full?index=2&index=4").indexes(),
        [2, 4]
    );
    assert_eq!(
        node.handle("88.118.8/full?type=desc&index=4").indexes(),
        [2, 4]
    );
    assert_eq!(
        node.handle("88.118.8/full?type=HS_.&type=").indexes(),
        [] as [u64; 0]
    );
    let none = node.handle("88.118.8/full?index=77");
    assert_eq!(
        (none.status, &none.json()["responseCode"]),
        (200, &200.into())
    );
    assert_eq!(none.indexes(), [] as [u64; 0]);
    assert_eq!(none.field("cache-control"), Some("max-age=0"));
    node.handle("88.118.8/full?index=one")
        .assert_code(400, 4, "index");
    node.handle("88.118.8/full?pretty=perhaps")
        .assert_code(400, 4, "pretty");
}

#[test]
fn values_that_are_not_public_are_shown_to_their_owner_alone() {
    let node = Node::start();
    let path = "88.118.8/full?index=3";
    assert_eq!(node.handle(path).json()["responseCode"], 200);
    assert_eq!(
        node.handle_as(&node.stranger_token, path).indexes(),
        [] as [u64; 0]
    );
    for token in [&node.owner_token, &node.operator_token] {
        let shown = node.handle_as(token, path);
        assert_eq!(shown.indexes(), [3]);
        assert_eq!(shown.json()["values"][0]["permissions"], "1100");
        assert_eq!(shown.field("cache-control"), Some("private, max-age=86400"));
        assert_eq!(shown.field("vary"), Some("authorization"));
        assert_eq!(
            node.handle_as(token, "88.118.8/full?publicOnly=true")
                .indexes(),
            [1, 2, 4, 100]
        );
        assert_eq!(
            node.handle_as(token, "88.118.8/full?publicOnly=true&index=3")
                .json()["responseCode"],
            200
        );
    }
    let asked = node.handle("88.118.8/full?publicOnly=false");
    asked.assert_code(401, 402, "publicOnly");
    assert_eq!(
        asked.field("www-authenticate"),
        Some("Bearer realm=\"idnode\"")
    );
    assert_eq!(
        node.handle("88.118.8/full?publicOnly=false&type=URL")
            .status,
        200
    );
}

#[test]
fn credentials_that_are_not_valid_are_refused() {
    let node = Node::start();
    for (field, reason) in [
        ("Bearer idn_x_y", "authorization"),
        ("Bearer ", "authorization"),
        ("Basic MzAxOmE6Yg==", "%3A"),
        ("Handle sessionId=\"x\"", "no such session"),
        (
            "Digest x",
            "taken are Bearer, Handle and, over HTTPS, Basic",
        ),
    ] {
        let refused = node.curl(
            "/api/handles/88.118.8/full",
            &["-H", &format!("Authorization: {field}")],
        );
        refused.assert_code(401, 402, reason);
        assert!(
            refused
                .field("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        let refused = node.curl(
            "/88.118.8/full",
            &["-H", &format!("Authorization: {field}")],
        );
        refused.assert_problem(401, "invalid-credential", "authorization");
        assert!(
            refused
                .field("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
    }
}

#[test]
fn suffixes_are_any_text_and_decoded_once() {
    let node = Node::start();
    for (path, target) in [
        ("88.118.8/a/b//c", "slashes"),
        ("88.118.8/a%2Fb%2f/c", "slashes"),
        ("88.118.8%2Fa/B//C", "slashes"),
        ("88.118.8/../../etc/passwd", "dots"),
        ("88.118.8/%2e%2e/%2E./etc/passwd", "dots"),
        ("88.118.8/%252F", "percent"),
        ("88.118.8/n%00l", "nul"),
        ("hdl:88.118.8/N%00L", "nul"),
        ("1.2.156.3001.7", "oid"),
        ("urn:oid:1.2.156.3001.7", "oid"),
        ("did:bid:efnn:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9", "did"),
        ("gs1:01/09506000134352", "product"),
        ("gtin:9506000134352", "product"),
        ("(01)09506000134352(10)AB/C", "batch"),
        ("gs1:01/09506000134352/10/AB%252FC", "batch"),
        (
            "https:%2F%2Fid.example.com%2F01%2F09506000134352%3Flot=1",
            "product",
        ),
        ("01/09506000134352", "handle-01"),
    ] {
        let answer = node.handle(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let url = answer.json()["values"][0]["data"]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(url, format!("https://example.com/{target}"), "{path}");
    }
    let utf8 = node.handle("88.118.8/%E4%BA%A7%E5%93%81%201+1");
    assert_eq!(utf8.json()["handle"], "88.118.8/产品 1+1");
    // The same without encoding, as some clients send it.
    let raw = node.raw(
        "GET /api/handles/88.118.8/产品%201+1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            .as_bytes(),
    );
    assert_eq!((raw.status, raw.json()), (200, utf8.json()));
    // `88.118.8/%2F` is registered, `88.118.8//` is not.
    node.handle("88.118.8/%2F")
        .assert_code(404, 100, "88.118.8//");
    assert_eq!(node.handle("88.118.8").json()["handle"], "0.NA/88.118.8");
    assert_eq!(
        node.handle("0.NA/88.118.8").json()["values"][0]["data"]["format"],
        "site"
    );
}

#[test]
fn a_handle_of_2048_bytes_fits_and_a_longer_one_is_named() {
    let node = Node::start();
    let encoded: String = longest_handle()
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    assert_eq!(encoded.len(), 6_144);
    let answer = node.handle(&encoded);
    assert_eq!(
        (answer.status, answer.json()["handle"].as_str()),
        (200, Some(&*longest_handle()))
    );
    node.handle(&format!("{encoded}Z")).assert_code(
        400,
        102,
        "identifier has 2049 bytes, at most 2048",
    );
    let longer = node.handle(&format!("88.118.8/{}", "a".repeat(9_000)));
    longer.assert_code(400, 102, "9009 bytes");
    assert!(
        longer.body.len() < 3_000,
        "the handle is not sent back whole"
    );
    assert_eq!(
        node.get(&format!("/{encoded}")).field("location"),
        Some("https://example.com/long")
    );
}

#[test]
fn what_is_no_identifier_is_refused_with_the_part_that_is_wrong() {
    let node = Node::start();
    node.handle("").assert_code(400, 102, "empty");
    node.handle("88.118.8/").assert_code(400, 102, "suffix");
    node.handle("88..8/x").assert_code(400, 102, "prefix");
    node.handle("88.118%00.8/x").assert_code(400, 102, "prefix");
    node.handle("88.118.8/%zz")
        .assert_code(400, 102, "percent-encoding");
    node.handle("88.118.8/%ff%fe")
        .assert_code(400, 102, "UTF-8");
    node.handle("9506000134352").assert_code(400, 102, "scheme");
    node.handle("gtin:9506000134353")
        .assert_code(400, 102, "check digit");
    node.handle("word").assert_code(400, 102, "identifier");
}

#[test]
fn absences_have_their_codes() {
    let node = Node::start();
    node.handle("88.118.8/nothing").assert_code(
        404,
        100,
        "identifier: 88.118.8/nothing is not registered",
    );
    node.handle("88.999/x").assert_code(400, 301, "prefix");
    node.handle("88.118.12/x")
        .assert_code(400, 301, "prefix: 88.118.12 is suspended (停用)");
    node.handle("0.NA/88.118.12")
        .assert_code(400, 301, "prefix: 88.118.12 is suspended (停用)");
    let deleted = node.handle("88.118.8/gone");
    deleted.assert_code(404, 100, "停产");
    let message = deleted.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(" was deleted at 20"), "{message}");
    assert!(deleted.json().get("values").is_none());
    assert_eq!(deleted.field("cache-control"), Some("no-cache"));
}

#[test]
fn a_delegated_prefix_is_a_referral_with_its_sites() {
    let node = Node::start();
    let referral = node.handle("88.118.9/x%2Fy?type=URL");
    assert_eq!(
        (referral.status, &referral.json()["responseCode"]),
        (300, &303.into())
    );
    let values = &referral.json()["values"];
    assert_eq!(referral.indexes(), [1, 2]);
    assert_eq!(values[0]["type"], "HS_SITE");
    assert_eq!(
        values[0]["data"]["value"]["servers"][0]["address"],
        "192.0.2.7"
    );
    assert_eq!(
        referral.field("location"),
        Some("http://192.0.2.7:8000/api/handles/88.118.9/x%2Fy?type=URL")
    );
    let silent = node.handle("88.118.10/x");
    assert_eq!((silent.status, silent.field("location")), (300, None));
    let named = node.handle("88.118.11/x");
    named.assert_code(300, 303, "ns.example.");
    assert_eq!(named.indexes(), [] as [u64; 0]);
    let service = node.handle("1.2.156.3002.5");
    service.assert_code(300, 302, "served elsewhere");
    assert_eq!(service.field("location"), None);
    let value = &service.json()["values"][0];
    assert_eq!(value["type"], "HS_SERV");
    assert_eq!(value["data"]["value"], "88.119/SVC");
    node.handle("88.118.9/x?doNotRefer")
        .assert_code(400, 301, "doNotRefer");
}

#[test]
fn callbacks_make_scripts_and_junk_is_refused() {
    let node = Node::start();
    let script = node.handle("88.118.8/full?index=2&callback=my.cb_1");
    assert_eq!(
        script.field("content-type"),
        Some("application/javascript; charset=utf-8")
    );
    let json = script
        .text()
        .strip_prefix("/**/my.cb_1(")
        .unwrap()
        .strip_suffix(");")
        .unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(json).unwrap(),
        node.handle("88.118.8/full?index=2").json()
    );
    for junk in ["alert(1)%2F%2F", "%3Cscript%3E", "a;b", "a%0D%0Ab", "1", ""] {
        let refused = node.handle(&format!("88.118.8/full?callback={junk}"));
        refused.assert_code(400, 4, "callback");
    }
    let missing = node.handle("88.118.8/nothing?callback=cb");
    assert_eq!((missing.status, &missing.text()[..6]), (404, "/**/cb"));
}

#[test]
fn an_unchanged_answer_is_not_sent_again() {
    let node = Node::start();
    let path = "/api/handles/88.118.8/full";
    let first = node.get(path);
    let tag = first.field("etag").unwrap().to_owned();
    let known = |tag: &str| node.curl(path, &["-H", &format!("If-None-Match: {tag}")]);
    for tag in [&tag, &format!("\"x\", W/{tag}"), "*"] {
        let unchanged = known(tag);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        assert_eq!(unchanged.field("etag"), first.field("etag"));
        assert_eq!(unchanged.field("cache-control"), Some("max-age=60"));
    }
    assert_ne!(
        node.get(&format!("{path}?index=1")).field("etag"),
        Some(&*tag),
        "another filter"
    );
    let owner = node.handle_as(&node.owner_token, "88.118.8/full");
    assert_ne!(owner.field("etag"), Some(&*tag), "another caller");
    node.write(change_full());
    let changed = known(&tag);
    assert_eq!(changed.status, 200);
    assert!(
        changed.text().contains("二号产品"),
        "the acknowledged write is seen"
    );
}

#[test]
fn head_answers_what_get_would_without_its_body() {
    let node = Node::start();
    for path in [
        "/api/handles/88.118.8/full",
        "/api/handles/88.118.8/nothing",
        "/88.118.8/full",
        "/",
        "/healthz",
    ] {
        let (get, head) = (node.get(path), node.curl(path, &["--head"]));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        let fields = [
            "content-type",
            "etag",
            "location",
            "cache-control",
            "access-control-allow-origin",
        ];
        for field in fields
            .into_iter()
            .chain((get.status == 200).then_some("content-length"))
        {
            assert_eq!(head.field(field), get.field(field), "{path} {field}");
        }
        let over_http2 = node.curl(path, &["--head", "--http2-prior-knowledge"]);
        assert_eq!(
            (over_http2.status, over_http2.field("content-length")),
            (get.status, head.field("content-length"))
        );
    }
}
