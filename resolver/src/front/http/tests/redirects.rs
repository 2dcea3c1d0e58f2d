//! `GET /{identifier}`.

use super::{Node, draft, url};
use crate::front::http::HttpOptions;
use idnode_registry::write::Command;

#[test]
fn an_identifier_of_any_scheme_leads_to_its_url() {
    let node = Node::start();
    for (path, target) in [
        ("/88.118.8/full", "product/1"),
        ("/88.118.8/FULL?x=1&linkType=all", "product/1"),
        ("/88.118.8/a/b//c", "slashes"),
        ("/88.118.8/../../etc/passwd", "dots"),
        ("/88.118.8/%252F", "percent"),
        ("/88.118.8/second", "second"),
        ("/1.2.156.3001.7", "oid"),
        ("/did:bid:efnn:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9", "did"),
        ("/gtin:9506000134352", "product"),
        ("/01/09506000134352", "product"),
        ("/01/9506000134352", "product"),
        ("/01/09506000134352/", "product"),
        ("/01/09506000134352?linkType=gs1:pip&17=261231", "product"),
        ("/01/09506000134352/10/AB%2FC", "batch"),
        // Neither the instance nor its batch is registered: the product is.
        ("/01/09506000134352/10/OTHER/21/77", "product"),
        ("/01/09506000134352/10/AB%2FC/21/77", "batch"),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, 302, "{path}: {answer:?}");
        assert_eq!(
            answer.field("location"),
            Some(&*format!("https://example.com/{target}")),
            "{path}"
        );
        assert_eq!(answer.field("cache-control"), Some("max-age=600"));
        assert!(answer.body.is_empty());
    }
    let utf8 = node.get("/88.118.8/%E4%BA%A7%E5%93%81%201+1");
    assert_eq!(
        utf8.field("location"),
        Some("https://%E4%BE%8B.cn/%E4%BA%A7%E5%93%81?%E5%90%8D=%E5%80%BC")
    );
}

#[test]
fn a_stored_url_cannot_split_the_answer_or_run_a_script() {
    let node = Node::start();
    let answer = node.get("/88.118.8/crlf");
    assert_eq!(answer.status, 302);
    assert_eq!(answer.field("set-cookie"), None);
    assert_eq!(
        answer.field("location"),
        Some("https://example.com/%0D%0Aset-cookie:%20a=b%0D%0A%0D%0A%3Cscript%3E")
    );
    let script = node.get("/88.118.8/script");
    script.assert_problem(404, "no-url-value", "identifier");
    assert!(
        script.json()["detail"]
            .as_str()
            .unwrap()
            .contains("value 1 has the scheme javascript")
    );
    assert_eq!(script.field("location"), None);
}

#[test]
fn no_url_value_is_a_problem_that_links_to_the_values() {
    let node = Node::with(|options: &mut HttpOptions| {
        options.public_url = "https://id.example.com/".into()
    });
    let answer = node.get("/88.118.8/nourl?x=1");
    answer.assert_problem(404, "no-url-value", "identifier");
    assert_eq!(
        answer.json()["values"],
        "https://id.example.com/api/handles/88.118.8/nourl"
    );
    assert_eq!(answer.json()["instance"], "/88.118.8/nourl");

    let node = Node::start();
    node.write(draft(
        "(01)09506000134352(21)A%B",
        vec![idnode_proto::value::Value::new(1, "DESC", "x")],
    ));
    let answer = node.get("/01/09506000134352/21/A%25B");
    answer.assert_problem(404, "no-url-value", "identifier");
    let values = node.get(answer.json()["values"].as_str().unwrap());
    assert_eq!(values.json()["values"][0]["type"], "DESC", "{values:?}");
}

#[test]
fn values_hidden_from_strangers_are_redirected_to_for_their_owner() {
    let node = Node::start();
    node.get("/88.118.8/hiddenurl")
        .assert_problem(404, "no-url-value", "identifier");
    let field = format!("Authorization: Bearer {}", node.owner_token);
    let shown = node.curl("/88.118.8/hiddenurl", &["-H", &field]);
    assert_eq!(
        (shown.status, shown.field("location")),
        (302, Some("https://example.com/hidden"))
    );
    assert_eq!(shown.field("cache-control"), Some("private, max-age=600"));
}

#[test]
fn noredirect_answers_values() {
    let node = Node::start();
    let answer = node.get("/88.118.8/full?noredirect&index=2");
    assert_eq!((answer.status, answer.indexes()), (200, vec![2]));
    assert_eq!(answer.json(), node.handle("88.118.8/full?index=2").json());
    node.get("/88.118.8/gone?noredirect")
        .assert_code(404, 100, "停产");
    let batch = node.get("/01/09506000134352/10/AB%2FC?noredirect");
    assert_eq!(
        batch.json()["values"][0]["data"]["value"],
        "https://example.com/batch"
    );
}

#[test]
fn absences_are_problems() {
    let node = Node::start();
    node.get("/88.118.8/nothing")
        .assert_problem(404, "identifier-not-found", "identifier");
    node.get("/88.118.8/gone")
        .assert_problem(410, "identifier-deleted", "identifier");
    assert!(
        node.get("/88.118.8/gone").json()["detail"]
            .as_str()
            .unwrap()
            .contains("停产")
    );
    node.get("/88.999/x")
        .assert_problem(404, "prefix-not-found", "prefix");
    node.get("/88.118.12/x")
        .assert_problem(404, "prefix-not-active", "prefix");
    node.get("/favicon.ico")
        .assert_problem(400, "invalid-identifier", "identifier");
    node.get("/88..8/x")
        .assert_problem(400, "invalid-identifier", "prefix");
}

#[test]
fn gs1_comes_first_unless_a_handle_of_that_form_is_registered() {
    let node = Node::start();
    // The GTIN is right: GS1, though the handle 01/09506000134352 exists too.
    assert_eq!(
        node.get("/01/09506000134352").field("location"),
        Some("https://example.com/product")
    );
    // A wrong check digit under a handle prefix that is registered: that handle.
    node.get("/01/09506000134353")
        .assert_problem(404, "identifier-not-found", "identifier");
    // The prefix goes away, and with it the doubt.
    node.write(Command::DeleteIdentifier {
        identifier: "01/09506000134352".parse().unwrap(),
        reason: "test".into(),
        expected_version: None,
    });
    let (prefix, message) = (
        "01".parse::<idnode_proto::identifier::Prefix>().unwrap(),
        String::new(),
    );
    for action in [
        idnode_registry::prefix::PrefixAction::MarkForDeletion,
        idnode_registry::prefix::PrefixAction::Remove,
    ] {
        node.write(Command::TransitionPrefix {
            prefix: prefix.clone(),
            action,
            message: message.clone(),
            expected_version: None,
        });
    }
    node.get("/01/09506000134353")
        .assert_problem(400, "invalid-identifier", "check digit");
    // 10 is a qualifier, no key: a handle.
    node.get("/10/1234")
        .assert_problem(404, "prefix-not-found", "prefix");
}

#[test]
fn delegated_prefixes_lead_to_their_node() {
    let node = Node::start();
    let answer = node.get("/88.118.9/x%2Fy?linkType=all");
    assert_eq!(
        (answer.status, answer.field("location")),
        (307, Some("http://192.0.2.7:8000/88.118.9/x%2Fy"))
    );
    let silent = node.get("/88.118.10/x");
    assert_eq!((silent.status, silent.field("location")), (300, None));
    assert_eq!(silent.json()["responseCode"], 303);
    assert_eq!(silent.json()["values"][0]["data"]["format"], "site");
}

#[test]
fn schemes_are_the_operators_choice() {
    let node =
        Node::with(|options: &mut HttpOptions| options.redirect_schemes = vec!["mailto".into()]);
    assert_eq!(
        node.get("/88.118.8/second").field("location"),
        Some("mailto:a@example.com")
    );
    node.get("/88.118.8/full")
        .assert_problem(404, "no-url-value", "identifier");
    let nowhere = Node::with(|options: &mut HttpOptions| options.redirect_schemes.clear());
    nowhere
        .get("/88.118.8/second")
        .assert_problem(404, "no-url-value", "identifier");
}

#[test]
fn a_redirect_follows_an_acknowledged_write() {
    let node = Node::start();
    for round in 0..20 {
        let target = format!("https://example.com/round/{round}");
        let identifier = format!("88.118.8/round{round}");
        node.get(&format!("/{identifier}")).assert_problem(
            404,
            "identifier-not-found",
            "identifier",
        );
        node.write(draft(&identifier, vec![url(1, &target)]));
        assert_eq!(
            node.get(&format!("/{identifier}")).field("location"),
            Some(&*target)
        );
    }
}
