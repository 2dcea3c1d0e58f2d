//! What is answered with which status, and with which headers.

use super::shape::{assert_error, assert_help, assert_lookup, assert_search};
use super::world::{World, field};
use idnode_tests::run::{curl, until};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn lookups_answer_prefixes_identifiers_and_names() {
    let world = World::new();
    let remarks = json!([{
        "type": "information truncated due to authorization",
        "description": [
            "Some identifier data may not have been given.",
            "Use proper authorization credentials to see all of it.",
            "removed: node.address, node.idNumber, node.idType, node.idPhoto, node.legalPerson, node.contact"
        ]
    }]);
    let help = json!([{"rel": "help", "href": world.node.http("/iiidap/help"),
        "type": "application/iiidap+json"}]);
    let mut expected = json!({
        "iiidapConformance": ["iiidap_level_0"],
        "notices": [{"title": "Content Removed",
            "description": ["Without full authorization, content has been removed."],
            "links": help}],
        "lang": "zh-CN",
        "identifier": "88.118.8", "regTime": "", "status": "ok", "country": "CN",
        "node": {"name": "蒙牛集团", "introduction": "乳业"},
        "remarks": remarks,
    });
    let whole = world.document("identifier/88.118.8", 200, &[]);
    assert_lookup(&whole);
    expected["regTime"] = whole["regTime"].clone();
    // As text: the members have the draft's order too.
    assert_eq!(whole.to_string(), expected.to_string());
    for path in [
        "identifier/88.118.8/",
        "identifier/88%2e118.8",
        "identifier/88.118.8/JXDY2106023",
        "identifier/88.118.8/A%2F%E4%BA%A7?__fuhgetaboutit=xyz123",
    ] {
        assert_eq!(world.document(path, 200, &[]), whole, "{path}");
    }
    // 停用: registered and out of force. 待审核 and what was never applied for: not registered.
    let held = world.document("identifier/88.118.9", 200, &[]);
    assert_lookup(&held);
    assert_eq!(held["status"], "hold");
    for absent in [
        "identifier/88.118.10",
        "identifier/88.118.12",
        "identifier/88.118.8.1",
    ] {
        assert_error(&world.document(absent, 404, &[]), 404);
    }
    // A longer arc belongs to the shorter one that is registered.
    let oid = world.document("identifier/1.2.156.3001.7.8", 200, &[]);
    assert_lookup(&oid);
    assert_eq!(oid["identifier"], "oid:1.2.156.3001");
    // The node itself.
    let own = world.document("identifier/88.118", 200, &[]);
    assert_lookup(&own);
    assert_eq!(
        own["node"],
        json!({"name": "朔州二级节点", "nature": "enterprises and institutions",
            "type": "manufacturing", "subType": "other manufacturing", "introduction": "示例"})
    );
    let named = "name/%E6%9C%94%E5%B7%9E%E4%BA%8C%E7%BA%A7%E8%8A%82%E7%82%B9";
    assert_eq!(world.document(named, 200, &[]), own);
    // Two registrations of one name are answered as a search is; full width is half width.
    let mengniu = world.document("name/MENGNIU%20group", 200, &[]);
    assert_search(&mengniu);
    let wide = "name/%EF%BC%ADengniu%E3%80%80Group";
    assert_eq!(world.document(wide, 200, &[]), mengniu);
    let found = &mengniu["NodeSearchResults"];
    assert_eq!(found[0]["identifier"], "88.118.8");
    assert_eq!(found[1]["identifier"], "88.118.9");
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_error(&world.document("name/nobody", 404, &[]), 404);
    // A new name is found at once, the old one no longer.
    world
        .idctl()
        .json(&["enterprise", "update", "E2", "--name", "Renamed"]);
    assert_error(&world.document("name/Example%20One", 404, &[]), 404);
    assert_search(&world.document("name/renamed", 200, &[]));
}

#[test]
fn searches_match_patterns_and_say_when_they_are_truncated() {
    let world = World::with(&["iiidap.max_results=2", "iiidap.max_results_known=3"]);
    let identifiers = |path: &str, arguments: &[&str]| {
        let document = world.document(path, 200, arguments);
        assert_search(&document);
        let results = document["NodeSearchResults"].as_array().unwrap();
        let identifiers = results.iter().map(|it| it["identifier"].as_str().unwrap());
        let truncated = document["notices"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["title"] == "Search Policy");
        (
            identifiers.map(str::to_owned).collect::<Vec<_>>(),
            truncated
                .map(|it| it["type"].as_str().unwrap().to_owned())
                .next(),
        )
    };
    let both = vec!["88.118.8".to_owned(), "88.118.9".to_owned()];
    assert_eq!(identifiers("names?name=meng*", &[]), (both.clone(), None));
    assert_eq!(
        identifiers("names?x=1&name=Meng*Group", &[]),
        (both.clone(), None)
    );
    assert_eq!(identifiers("names?name=mengniu+group", &[]), (both, None));
    for absent in ["names?name=niu*", "names?name=meng*x", "names?name=meng"] {
        assert_error(&world.document(absent, 404, &[]), 404);
    }
    // Four registrations begin with the same letter.
    let idctl = world.idctl();
    idctl.json(&["enterprise", "update", "E2", "--name", "Mango"]);
    let more = "result set truncated due to authorization".to_owned();
    let (found, notice) = identifiers("names?name=m*", &[]);
    assert_eq!((found.len(), notice), (2, Some(more)));
    let operator = format!("Authorization: Bearer {}", world.dir.token());
    let (found, notice) = identifiers("names?name=m*", &["-H", &operator]);
    let load = "result set truncated due to excessive load".to_owned();
    assert_eq!((found.len(), notice), (3, Some(load)));
    // By name, then by prefix.
    assert_eq!(found, ["88.118.11", "oid:1.2.156.3001", "88.118.8"]);
    for (path, status) in [
        ("names?name=*", 422),
        ("names?name=*group", 422),
        ("names?name=a*b*c", 422),
        ("names?name=a*%CC%81", 422),
        ("names", 400),
        ("names?name=", 400),
        ("names?name=%ff", 400),
        ("names/x?name=a", 400),
    ] {
        assert_error(&world.document(path, status, &[]), status);
    }
}

#[test]
fn others_are_redirected_to_and_junk_is_refused() {
    let world = World::with(&["http.public_url=https://id.example.org/base"]);
    let leads = |path: &str| {
        let (status, head, body) = world.ask(path, &[]);
        let kind = field(&head, "content-type");
        assert_eq!(kind.as_deref(), Some("application/iiidap+json"));
        assert_eq!(body, "");
        (status, field(&head, "location").unwrap_or_default())
    };
    for (path, url) in [
        (
            "identifier/88.119.5",
            "https://datong.example/iiidap/identifier/88.119.5",
        ),
        (
            "identifier/88.120",
            "http://plain.example/identifier/88.120",
        ),
        (
            "identifier/88.121.1/A%201%3F",
            "https://top.example/iiidap/identifier/88.121.1/A%201%3F",
        ),
        (
            "identifier/88.118.77.1",
            "https://moved.example/iiidap/identifier/88.118.77.1",
        ),
    ] {
        assert_eq!(leads(path), (307, url.to_owned()), "{path}");
    }
    // Nobody answers for it, or this node itself does and has nothing.
    for absent in [
        "identifier/99.1",
        "identifier/88.118.99",
        "identifier/gs1:9506000",
    ] {
        assert_error(&world.document(absent, 404, &[]), 404);
    }
    let long = format!("identifier/88.{}", "1".repeat(300));
    for path in [
        "",
        "identifier/",
        "identifier/8",
        "identifier/88..1",
        "identifier/%ff%fe",
        "identifier/88.1%",
        "domain/example.com",
        "name/",
        "help/x",
        long.as_str(),
    ] {
        assert_error(&world.document(path, 400, &[]), 400);
    }
    let (status, _, _) = curl(&world.node.http("/iiidap"), &[]);
    assert_eq!(status, 400);
    let (status, head, _) = world.ask("help", &["-X", "POST"]);
    assert_eq!(
        (status, field(&head, "allow").as_deref()),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    // The registry as this node knows it, itself included.
    let (status, head, body) = world.ask("bootstrap", &[]);
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        field(&head, "content-type").as_deref(),
        Some("application/json")
    );
    assert!(
        field(&head, "expires").is_some_and(|at| at.ends_with("GMT")),
        "{head}"
    );
    let registry: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(registry["version"], "1.0");
    let services = registry["services"].as_array().unwrap();
    assert_eq!(services.len(), 5);
    assert_eq!(
        services[4],
        json!([["88.118"], ["https://id.example.org/base/iiidap/"]])
    );
    // A new registry is taken up while the node runs; one that cannot be used is not.
    let file = world.dir.beside("bootstrap.json");
    std::fs::write(&file, "{").unwrap();
    until("the log to say so", || {
        world.node.log().contains("what it said before stays")
    });
    assert_eq!(leads("identifier/88.120").0, 307);
    let new =
        r#"{"version":"1.0","publication":"x","services":[[["88.119"],["http://new.example/"]]]}"#;
    std::fs::write(&file, new).unwrap();
    until("the new registry", || {
        leads("identifier/88.119").1.contains("new.example")
    });
    assert_eq!(world.ask("identifier/88.120", &[]).0, 404);
}

#[test]
fn head_help_and_other_origins_are_answered() {
    let world = World::new();
    for path in [
        "identifier/88.118.8",
        "identifier/88.118.10",
        "names?name=*",
        "help",
        "login",
    ] {
        let (status, head, body) = world.ask(path, &[]);
        let (head_status, head_head, nothing) = world.ask(path, &["-I"]);
        assert_eq!((head_status, nothing.as_str()), (status, ""), "{path}");
        let length = body.len().to_string();
        assert_eq!(field(&head_head, "content-length"), Some(length), "{path}");
        assert_eq!(
            field(&head, "access-control-allow-origin").as_deref(),
            Some("*")
        );
        assert_eq!(field(&head, "access-control-allow-credentials"), None);
    }
    let help = world.document("help", 200, &[]);
    assert_help(&help);
    let titles = help["notices"].as_array().unwrap().iter();
    let titles: Vec<_> = titles.map(|it| it["title"].as_str().unwrap()).collect();
    let expected = [
        "Command Syntax",
        "Authentication Policy",
        "Privacy Policy",
        "Rate-Limiting Policy",
        "Search Policy",
    ];
    assert_eq!(titles, expected);
    let (status, head, _) = world.ask("help", &["-X", "OPTIONS"]);
    assert_eq!(status, 204);
    let allowed = field(&head, "access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization"), "{allowed}");
    drop(world);
    let off = World::with(&["iiidap.enabled=false"]);
    let (status, _, body) = off.ask("help", &[]);
    assert!(
        status != 200 && !body.contains("iiidap_level_0"),
        "{status} {body}"
    );
}

#[test]
fn a_network_that_asks_too_often_is_told_when_to_come_again() {
    let limits = [
        "iiidap.rate_exempt=192.0.2.0/24",
        "iiidap.queries_per_s=20",
        "iiidap.searches_per_s=3",
    ];
    let world = World::with(&limits);
    let many = |path: &str, count: usize| {
        // One curl, so that they are sent in one second.
        let url = world.node.http(&format!("/iiidap/{path}"));
        let urls = format!(
            "{url}{}[1-{count}]",
            if path.contains('?') { "&n=" } else { "?n=" }
        );
        let mut command = std::process::Command::new("curl");
        command.args([
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %header{retry-after}\\n",
        ]);
        let text = idnode_tests::run::success(command.arg(&urls));
        let limited = text.lines().filter(|line| *line == "429 1").count();
        let others = text.lines().filter(|line| line.starts_with("200")).count();
        assert_eq!(limited + others, count, "{text}");
        (limited, others)
    };
    // As many as are taken in a second, in every second that there was.
    let taken = |path: &str, count: usize, limit: usize| {
        std::thread::sleep(Duration::from_millis(1_100));
        let began = Instant::now();
        let (limited, others) = many(path, count);
        let seconds = began.elapsed().as_secs() as usize + 2;
        assert!(
            (limit..=limit * seconds).contains(&others),
            "{path}: {others}"
        );
        assert!(limited > 0, "{path}");
    };
    taken("identifier/88.118.8", 200, 20);
    taken("names?name=meng*", 50, 3);
    // However it is written.
    taken("names/?name=meng*", 50, 3);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(many("identifier/88.118.8", 10).0, 0);
    // What is said of it, and that WHOIS counts with it.
    let refused = (0..20).find_map(|_| {
        many("identifier/88.118.8", 30);
        let (status, head, body) = world.ask("help", &[]);
        let is_told = field(&head, "retry-after").as_deref() == Some("1");
        (status == 429 && is_told).then_some(body)
    });
    let refused = refused.expect("never limited");
    assert_error(&serde_json::from_str(&refused).unwrap(), 429);
    let told = (0..20).any(|_| {
        many("identifier/88.118.8", 30);
        world.whois("88.118.8").contains("errorCode: 429\n")
    });
    assert!(told, "WHOIS never limited");
    let metrics = curl(&world.node.http("/metrics"), &[]).2;
    for name in [
        "idnode_bound_hits_total{bound=\"iiidap_rate\"}",
        "idnode_registration_queries_total{front=\"iiidap\",outcome=\"limited\"}",
        "idnode_registration_queries_total{front=\"whois\",outcome=\"limited\"}",
    ] {
        assert!(metrics.lines().any(|it| it.starts_with(name)), "{name}");
    }
}
