//! `GET /{identifier}`.

use super::{Node, draft, url};
use crate::front::http::HttpOptions;
use idnode_proto::value::{Permissions, Ttl, Value, types};
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

fn alias(index: u32, of: &str, ttl_s: u32) -> Value {
    Value {
        ttl: Ttl::RelativeS(ttl_s),
        ..Value::new(index, types::HS_ALIAS, of)
    }
}

#[test]
fn an_alias_leads_where_the_identifier_it_names_does() {
    let node = Node::start();
    node.write(draft("88.118.8/a1", vec![alias(3, "88.118.8/A2", 60)]));
    node.write(draft(
        "88.118.8/a2",
        vec![alias(1, "hdl:88.118.8/second", 900)],
    ));
    let answer = node.get("/88.118.8/a1");
    assert_eq!(
        (answer.status, answer.field("location")),
        (302, Some("https://example.com/second"))
    );
    // No longer than the first of the three values may be kept.
    assert_eq!(answer.field("cache-control"), Some("max-age=60"));
    // The API shows the alias itself.
    let shown = node.handle("88.118.8/a1").json();
    assert_eq!(shown["values"][0]["type"], "HS_ALIAS");
    assert_eq!(node.get("/88.118.8/a1?noredirect").json(), shown);
    // Its own URL goes first; what names no identifier is passed over.
    let own = vec![
        alias(1, "88.118.8/a1", 60),
        url(2, "https://example.com/own"),
    ];
    node.write(draft("88.118.8/a3", own));
    let answer = node.get("/88.118.8/a3");
    assert_eq!(answer.field("location"), Some("https://example.com/own"));
    let several = vec![alias(1, "?", 60), alias(2, "88.118.8/a2", 60)];
    node.write(draft("88.118.8/a4", several));
    let answer = node.get("/88.118.8/a4");
    assert_eq!(answer.field("location"), Some("https://example.com/second"));
    // Of any scheme, at another node, with characters that a path encodes.
    for (name, of, status, location) in [
        (
            "a5",
            "(01)09506000134352(10)AB/C",
            302,
            "https://example.com/batch",
        ),
        (
            "a6",
            "88.118.9/x?y",
            307,
            "http://192.0.2.7:8000/88.118.9/x%3Fy",
        ),
    ] {
        node.write(draft(&format!("88.118.8/{name}"), vec![alias(1, of, 60)]));
        let answer = node.get(&format!("/88.118.8/{name}"));
        assert_eq!(
            (answer.status, answer.field("location")),
            (status, Some(location))
        );
    }
}

#[test]
fn an_alias_that_leads_nowhere_says_so() {
    let node = Node::start();
    for (name, of, status, problem, part) in [
        (
            "lost",
            "88.118.8/nothing",
            404,
            "identifier-not-found",
            "identifier",
        ),
        (
            "late",
            "88.118.8/gone",
            410,
            "identifier-deleted",
            "identifier",
        ),
        ("far", "88.999/x", 404, "prefix-not-found", "prefix"),
        ("bare", "88.118.8/nourl", 404, "no-url-value", "identifier"),
        ("self", "88.118.8/SELF", 404, "alias-circle", "identifier"),
        ("junk", "..", 404, "no-url-value", "identifier"),
    ] {
        node.write(draft(&format!("88.118.8/{name}"), vec![alias(1, of, 60)]));
        let answer = node.get(&format!("/88.118.8/{name}"));
        answer.assert_problem(status, problem, part);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("88.118.8/{name}")), "{detail}");
    }
    let bare = node.get("/88.118.8/bare").json();
    assert!(
        bare["values"]
            .as_str()
            .unwrap()
            .ends_with("/88.118.8/nourl")
    );
    // Hidden from strangers, an alias leads its owner only.
    let hidden = Value {
        permissions: Permissions(0b1100),
        ..alias(1, "88.118.8/second", 60)
    };
    node.write(draft("88.118.8/hidden-alias", vec![hidden]));
    node.get("/88.118.8/hidden-alias")
        .assert_problem(404, "no-url-value", "identifier");
    let field = format!("Authorization: Bearer {}", node.owner_token);
    let shown = node.curl("/88.118.8/hidden-alias", &["-H", &field]);
    assert_eq!(shown.field("location"), Some("https://example.com/second"));
    assert_eq!(shown.field("cache-control"), Some("private, max-age=60"));
    // A browser gets the page of where it ends.
    let page = node.curl("/88.118.8/self", &["-H", "Accept: text/html"]);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("HS_ALIAS"), "{page:?}");
}

#[test]
fn eight_aliases_are_followed_and_no_more() {
    let node = Node::start();
    node.write(draft(
        "88.118.8/s0",
        vec![url(1, "https://example.com/end")],
    ));
    for step in 1..=9 {
        let of = format!("88.118.8/s{}", step - 1);
        node.write(draft(&format!("88.118.8/s{step}"), vec![alias(1, &of, 60)]));
    }
    let answer = node.get("/88.118.8/s8");
    assert_eq!(answer.field("location"), Some("https://example.com/end"));
    node.get("/88.118.8/s9")
        .assert_problem(404, "too-many-aliases", "identifier");
    node.write(draft("88.118.8/c1", vec![alias(1, "88.118.8/c2", 60)]));
    node.write(draft("88.118.8/c2", vec![alias(1, "88.118.8/c1", 60)]));
    node.get("/88.118.8/c1")
        .assert_problem(404, "alias-circle", "identifier");
}

fn locations(text: &str) -> Value {
    Value {
        ttl: Ttl::RelativeS(600),
        ..Value::new(1_000, "10320/LOC", format!("<locations>{text}</locations>"))
    }
}

#[test]
fn one_of_several_locations_is_chosen() {
    let node = Node::start();
    let places = r#"<location id="0" href="https://cn.example.com/" country="cn" weight="0"/>
        <location id="1" href="https://one.example.com/"/>
        <location id="2" href="https://two.example.com/?a=1&amp;b=产"/>
        <location id="3" href="javascript:alert(1)"/>"#;
    let values = vec![url(1, "https://example.com/url"), locations(places)];
    node.write(draft("88.118.8/places", values));
    // Locations go before the URL; what may not be led to is not among them.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = node.get("/88.118.8/places");
        assert_eq!(answer.status, 302);
        assert_eq!(answer.field("cache-control"), Some("max-age=0"));
        seen.insert(answer.field("location").unwrap().to_owned());
    }
    let two = "https://two.example.com/?a=1&b=%E4%BA%A7";
    assert_eq!(
        seen,
        ["https://one.example.com/", two].map(str::to_owned).into()
    );
    for (wanted, location) in [
        ("id:0", "https://cn.example.com/"),
        ("country:CN", "https://cn.example.com/"),
        ("id:2", two),
        ("href:https://one.example.com/", "https://one.example.com/"),
    ] {
        let answer = node.get(&format!("/88.118.8/places?locatt={wanted}"));
        assert_eq!(answer.field("location"), Some(location), "{wanted}");
        assert_eq!(answer.field("cache-control"), Some("max-age=600"));
    }
    let other = node.get("/88.118.8/places?locatt=id:3");
    assert!(seen.contains(other.field("location").unwrap()), "{other:?}");
    node.get("/88.118.8/places?locatt=x")
        .assert_problem(400, "invalid-parameter", "locatt");
    // An alias leads to one of them as well.
    node.write(draft(
        "88.118.8/to-places",
        vec![alias(1, "88.118.8/places", 60)],
    ));
    let aliased = node.get("/88.118.8/to-places?locatt=id:1");
    assert_eq!(aliased.field("location"), Some("https://one.example.com/"));
}

#[test]
fn locations_that_cannot_be_used_leave_the_url() {
    let node = Node::start();
    let bomb =
        "<!DOCTYPE locations [<!ENTITY a 'x'>]><locations><location href='&a;'/></locations>";
    let long = format!("<locations>{}</locations>", " ".repeat(64 << 10));
    for (name, data, reason) in [
        ("bomb", bomb, "value 1000 has a document type"),
        ("long", &long, "value 1000 is 65559 bytes long"),
        ("none", "<locations/>", "value 1000 has no location"),
        (
            "text",
            "https://example.com/",
            "value 1000 is no well-formed XML",
        ),
        (
            "script",
            "<locations><location href='javascript:x'/></locations>",
            "the first has the scheme javascript",
        ),
    ] {
        let bad = || Value::new(1_000, "10320/loc", data);
        node.write(draft(&format!("88.118.8/loc-{name}"), vec![bad()]));
        let answer = node.get(&format!("/88.118.8/loc-{name}"));
        answer.assert_problem(404, "no-url-value", "identifier");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(reason), "{detail}");
        let with_url = vec![url(1, "https://example.com/url"), bad()];
        node.write(draft(&format!("88.118.8/loc-{name}-url"), with_url));
        let answer = node.get(&format!("/88.118.8/loc-{name}-url"));
        assert_eq!(answer.field("location"), Some("https://example.com/url"));
    }
}
