//! Listings, the node's site, and pages for people.

use super::{Answer, Node, draft, url};
use crate::front::http::list::MAX_PAGE_SIZE;

impl Node {
    fn list(&self, token: &str, query: &str) -> Answer {
        let authorization = format!("Authorization: Bearer {token}");
        self.curl(&format!("/api/handles?{query}"), &["-H", &authorization])
    }
}

fn texts(answer: &Answer, member: &str) -> Vec<String> {
    let json = answer.json();
    let all = json[member].as_array().unwrap_or_else(|| panic!("{json}"));
    all.iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn handles_are_listed_in_pages() {
    let node = Node::start();
    for number in 0..25 {
        node.write(draft(
            &format!("01/{number:02}"),
            vec![url(1, "https://a.example/")],
        ));
    }
    let owner = node.owner_token.clone();
    let first = node.list(&owner, "prefix=01&page=0&pageSize=2");
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(
        first.text(),
        r#"{"responseCode":1,"prefix":"01","totalCount":"26","page":0,"pageSize":2,"handles":["01/00","01/01"]}"#
    );
    let whole = texts(&node.list(&owner, "prefix=01"), "handles");
    assert_eq!(whole.len(), 26);
    assert!(whole.is_sorted());
    for size in [1, 4, 7, 26, 1_000] {
        let mut walked = Vec::new();
        for page in 0.. {
            let shown = node.list(
                &owner,
                &format!("prefix=0.NA/01&page={page}&pageSize={size}"),
            );
            let shown = texts(&shown, "handles");
            if shown.is_empty() {
                break;
            }
            assert!(shown.len() <= size);
            walked.extend(shown);
        }
        assert_eq!(walked, whole, "pages of {size}");
        // From anywhere, too.
        let third = node.list(&owner, &format!("prefix=01&page=3&pageSize={size}"));
        let expected: Vec<_> = whole.iter().skip(3 * size).take(size).cloned().collect();
        assert_eq!(texts(&third, "handles"), expected);
    }
    let all = node.list(&owner, "prefix=01&pageSize=-1").json();
    assert_eq!(all["pageSize"], MAX_PAGE_SIZE);
    assert_eq!(all["page"], 0);
}

#[test]
fn a_delegated_prefix_is_listed_where_it_is_served() {
    let node = Node::start();
    let operator = node.operator_token.clone();
    let referral = node.list(&operator, "prefix=88.118.9&pageSize=2");
    referral.assert_code(300, 303, "served elsewhere");
    let body = referral.json();
    assert_eq!(body["handle"], "0.NA/88.118.9");
    assert_eq!(body["values"][0]["type"], "HS_SITE");
    assert_eq!(
        referral.field("location"),
        Some("http://192.0.2.7:8000/api/handles?prefix=88.118.9&pageSize=2")
    );
    // What is below it, too.
    node.list(&operator, "prefix=0.NA/88.118.9.1")
        .assert_code(300, 303, "served elsewhere");
    node.list(&operator, "prefix=88.118.9&doNotRefer")
        .assert_code(400, 301, "doNotRefer");
}

#[test]
fn listings_are_for_those_who_own_what_is_listed() {
    let node = Node::start();
    let stranger = node.get("/api/handles?prefix=88.118.8");
    stranger.assert_code(401, 402, "credential");
    let other = node.stranger_token.clone();
    node.list(&other, "prefix=88.118.8")
        .assert_code(403, 401, "belongs to another");
    let operator = node.operator_token.clone();
    assert_eq!(node.list(&operator, "prefix=88.118.8").status, 200);
    let owner = node.owner_token.clone();
    for (query, status, code, part) in [
        ("", 400, 4, "prefix: is missing"),
        ("prefix=", 400, 102, "prefix"),
        ("prefix=88.118.99", 400, 301, "not registered"),
        ("prefix=88..118", 400, 102, "prefix"),
        ("prefix=01&page=x", 400, 4, "page"),
        ("prefix=01&pageSize=10001", 400, 4, "pageSize"),
        ("prefix=01&pageSize=0", 400, 4, "pageSize"),
    ] {
        node.list(&owner, query).assert_code(status, code, part);
    }
    let far = node.list(&owner, "prefix=01&page=4294967295&pageSize=10000");
    assert_eq!(texts(&far, "handles"), Vec::<String>::new());
}

#[test]
fn prefixes_that_are_served_here_are_listed() {
    let node = Node::start();
    let as_token = |token: &str, query: &str| {
        let authorization = format!("Authorization: Bearer {token}");
        node.curl(&format!("/api/prefixes{query}"), &["-H", &authorization])
    };
    let mine = as_token(&node.owner_token, "");
    assert_eq!(mine.status, 200, "{mine:?}");
    let mine = texts(&mine, "prefixes");
    assert!(mine.contains(&"88.118.8".to_owned()), "{mine:?}");
    assert!(mine.contains(&"oid:1.2.156.3001".to_owned()), "{mine:?}");
    for elsewhere in ["88.118.9", "88.118.12"] {
        assert!(!mine.contains(&elsewhere.to_owned()), "{elsewhere}");
    }
    let page = as_token(&node.operator_token, "?page=1&pageSize=2").json();
    assert_eq!(page["totalCount"], mine.len().to_string());
    assert_eq!(page["prefixes"][0], mine[2]);
    assert_eq!(
        texts(&as_token(&node.stranger_token, ""), "prefixes"),
        Vec::<String>::new()
    );
    node.get("/api/prefixes")
        .assert_code(401, 402, "credential");
}

#[test]
fn the_site_is_shown() {
    let node = Node::start();
    let site = node.get("/api/site?pretty");
    assert_eq!(site.status, 200);
    assert_eq!(site.json()["responseCode"], 1);
    let server = &site.json()["site"]["servers"][0];
    assert_eq!(server["address"], "192.0.2.7");
    assert_eq!(server["interfaces"][0]["protocol"], "TCP");
}

#[test]
fn people_get_a_page_where_there_is_nothing_to_redirect_to() {
    let node = Node::start();
    let accept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let browse = |path: &str| node.curl(path, &["-H", accept]);
    let page = browse("/88.118.8/nourl");
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(page.text().contains("<h1>标识 88.118.8/nourl</h1>"));
    assert!(page.text().contains("href=\"/api/handles/88.118.8/nourl\""));
    let script = browse("/88.118.8/script");
    assert!(script.text().contains("<pre>javascript:alert(1)</pre>"));
    assert!(!script.text().contains("<script"));

    let full = browse("/88.118.8/full?noredirect");
    assert!(
        full.text()
            .contains("href=\"https://example.com/product/1\"")
    );
    assert!(full.text().contains("一号产品"));
    assert!(!full.text().contains("PRICE"), "not public");
    let vary: Vec<_> = full
        .head
        .lines()
        .filter(|line| line.starts_with("vary"))
        .collect();
    assert_eq!(vary, ["vary: authorization", "vary: accept"]);
    assert_eq!(browse("/88.118.8/full").status, 302);
    assert_eq!(browse("/88.118.8/nothing").status, 404);
    // Programs get what they got before.
    node.get("/88.118.8/nourl")
        .assert_problem(404, "no-url-value", "identifier");
    let json = node.get("/88.118.8/full?noredirect");
    assert_eq!(json.field("content-type"), Some("application/json"));
    assert_eq!(json.json()["responseCode"], 1);
}
