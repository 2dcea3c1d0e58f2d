//! Writing as clients of the Handle System's API do: every shape, every status.

use super::{Answer, Node, draft, site};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

impl Node {
    fn send(&self, method: &str, token: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Authorization: Bearer {token}");
        let mut arguments = vec!["-X", method, "-H", &authorization];
        if !body.is_empty() {
            arguments.extend(["-H", "Content-Type: application/json", "-d", body]);
        }
        self.curl(&format!("/api/handles/{path}"), &arguments)
    }

    fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", &self.owner_token, path, body)
    }

    fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", &self.owner_token, path, "")
    }

    /// Index, type and data of every value of an identifier.
    #[track_caller]
    fn stored(&self, path: &str) -> Vec<(u64, String, String)> {
        let answer = self.handle_as(&self.owner_token, path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let all = answer.json();
        let values = all["values"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        };
        values
            .map(|value| {
                let data = text(&value["data"]["value"]);
                (value["index"].as_u64().unwrap(), text(&value["type"]), data)
            })
            .collect()
    }
}

impl Answer {
    #[track_caller]
    fn assert_done(&self, status: u16, handle: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.text(),
            format!(r#"{{"responseCode":1,"handle":"{handle}"}}"#)
        );
    }
}

fn value(index: u32, kind: &str, data: &str) -> String {
    format!(r#"{{"index":{index},"type":"{kind}","data":"{data}"}}"#)
}

fn expected(values: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    let owned = |&(index, kind, data): &(u64, &str, &str)| (index, kind.into(), data.into());
    values.iter().map(owned).collect()
}

#[test]
fn every_shape_of_body_registers_or_replaces() {
    let node = Node::start();
    let one = value(1, "URL", "http://a/");
    let formatted =
        r#"{"index":1,"type":"URL","data":{"format":"string","value":"http://a/"}}"#.to_owned();
    for (name, body) in [
        ("array", format!("[{one}]")),
        ("values", format!(r#"{{"values":[{one}]}}"#)),
        (
            "whole",
            format!(r#"{{"handle":"88.118.8/other","values":[{formatted}]}}"#),
        ),
        ("one", one.clone()),
    ] {
        let path = format!("88.118.8/{name}");
        node.put(&path, &body).assert_done(200, &path);
        assert_eq!(node.stored(&path), expected(&[(1, "URL", "http://a/")]));
        let other = value(2, "DESC", "二");
        node.put(&path, &other).assert_done(200, &path);
        assert_eq!(node.stored(&path), expected(&[(2, "DESC", "二")]));
    }
    node.put("88.118.8/a%2Fb%20%E4%BA%A7", &one)
        .assert_done(200, "88.118.8/a/b 产");
    assert_eq!(node.stored("88.118.8/A/B%20产").len(), 1);
    // Values without an index get the next ones.
    let numbered = r#"[{"type":"URL","data":"http://a/"},{"type":"DESC","data":"x"}]"#;
    node.put("88.118.8/numbered", numbered)
        .assert_done(200, "88.118.8/numbered");
    assert_eq!(
        node.stored("88.118.8/numbered"),
        expected(&[(1, "URL", "http://a/"), (2, "DESC", "x")])
    );
    // Deleted ones can be registered again.
    node.put("88.118.8/gone", &one)
        .assert_done(200, "88.118.8/gone");
    let redirected = node.get("/88.118.8/gone");
    assert_eq!(redirected.field("location"), Some("http://a/"));
}

#[test]
fn every_format_of_data_is_written() {
    let node = Node::start();
    let admin = r#"{"format":"admin","value":{"handle":"0.NA/88.118.8","index":"200","permissions":"011111110011"}}"#;
    let site = r#"{"format":"site","value":{"version":1,"protocolVersion":"2.11","serialNumber":3,"primarySite":true,"multiPrimary":false,"attributes":[{"name":"desc","value":"x"}],"servers":[{"serverId":1,"address":"192.0.2.7","publicKey":{"format":"key","value":{"kty":"RSA","n":"wP8","e":"AQAB"}},"interfaces":[{"query":true,"admin":false,"protocol":"TCP","port":2641}]}]}}"#;
    let all = [
        (1, "A", r#""plain""#, "plain"),
        (2, "B", r#"{"format":"string","value":"text"}"#, "text"),
        (3, "C", r#"{"format":"base64","value":"AAE="}"#, "AAE="),
        (4, "D", r#"{"format":"hex","value":"e4BAa7"}"#, "产"),
        (100, "HS_ADMIN", admin, ""),
        (
            200,
            "HS_VLIST",
            r#"{"format":"vlist","value":[{"index":300,"handle":"0.NA/88.118.8"}]}"#,
            r#"[{"index":300,"handle":"0.NA/88.118.8"}]"#,
        ),
        (201, "HS_SITE", site, ""),
        (
            300,
            "HS_PUBKEY",
            r#"{"format":"key","value":{"kty":"RSA","n":"wP8","e":"AQAB"}}"#,
            r#"{"kty":"RSA","n":"wP8","e":"AQAB"}"#,
        ),
    ];
    let body: Vec<String> = all
        .iter()
        .map(|(index, kind, data, _)| {
            format!(r#"{{"index":{index},"type":"{kind}","data":{data}}}"#)
        })
        .collect();
    let body = format!("[{}]", body.join(","));
    node.put("88.118.8/formats", &body)
        .assert_done(200, "88.118.8/formats");
    let stored = node.stored("88.118.8/formats");
    for ((index, kind, data, shown), found) in all.iter().zip(&stored) {
        assert_eq!((found.0, found.1.as_str()), (*index, *kind));
        let json = serde_json::from_str::<serde_json::Value>(data).unwrap();
        let sent = match *shown {
            "" => json["value"].to_string().replace(r#""200""#, "200"),
            shown => shown.to_owned(),
        };
        assert_eq!(found.2, sent);
    }
    // What is shown can be sent back as it is.
    let shown = node.handle_as(&node.owner_token, "88.118.8/formats");
    node.put("88.118.8/formats", shown.text())
        .assert_done(200, "88.118.8/formats");
    assert_eq!(node.stored("88.118.8/formats"), stored);
}

/// Signatures are over the bytes: what its typed form would write otherwise is shown as it is.
#[test]
fn what_is_shown_is_sent_back_byte_for_byte() {
    let node = Node::start();
    let sized = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let key = |flags: u8, modulus: &[u8], end: &[u8]| {
        let (name, e) = (sized(b"RSA_PUB_KEY"), sized(&[1, 0, 1]));
        [&name[..], &[0, flags], &e, &sized(modulus), end].concat()
    };
    let admin = [&[0x0f, 0xff][..], &sized(b"0.NA/88.118.8"), &[0, 0, 1, 44]].concat();
    let list = [
        &1_u32.to_be_bytes()[..],
        &sized(b"0.NA/88.118.8"),
        &[0, 0, 1, 44],
    ]
    .concat();
    let longer = |data: &[u8]| [data, &[0]].concat();
    let own_site = site(None).encode();
    let mut odd_site = own_site.clone();
    // A bit beside those that say that it is primary, and multiply so.
    odd_site[6] |= 0x01;
    let all = [
        ("HS_PUBKEY", key(0, &[0, 0x80, 1], &[0; 4]), "key"),
        ("HS_PUBKEY", key(0, &[0, 0x80, 1], &[]), "base64"),
        ("HS_PUBKEY", key(1, &[0, 0x80, 1], &[0; 4]), "base64"),
        ("HS_PUBKEY", key(0, &[0x80, 1], &[0; 4]), "base64"),
        ("HS_ADMIN", admin.clone(), "admin"),
        ("HS_ADMIN", longer(&admin), "base64"),
        ("HS_VLIST", list.clone(), "vlist"),
        ("HS_VLIST", longer(&list), "base64"),
        ("HS_SITE", own_site, "site"),
        ("HS_SITE", odd_site, "base64"),
    ];
    for (kind, data, format) in all {
        let value = Value {
            timestamp_s: 1_700_000_000,
            ..Value::new(1, kind, data.clone())
        };
        node.write(draft("88.118.8/odd", vec![value]));
        let shown = node.handle("88.118.8/odd");
        let json = shown.json();
        assert_eq!(
            json["values"][0]["data"]["format"], format,
            "{kind} {data:?}"
        );
        node.put("88.118.8/odd", shown.text())
            .assert_done(200, "88.118.8/odd");
        let identifier = "88.118.8/odd".parse().unwrap();
        let stored = node
            .core
            .registry
            .read(Identifier::key(&identifier))
            .unwrap();
        let stored = stored.1.unwrap();
        assert_eq!(stored.values().next().unwrap().data(), data, "{kind}");
        node.delete("88.118.8/odd").assert_done(200, "88.118.8/odd");
    }
}

#[test]
fn a_protected_value_may_be_sent_back_as_it_is() {
    let node = Node::start();
    let kept = r#"{"index":1,"type":"A","data":"kept","permissions":"1010"}"#;
    let body = |first: &str, data: &str| format!("[{first},{}]", value(2, "B", data));
    let done = |answer: Answer| answer.assert_done(200, "88.118.8/p");
    done(node.put("88.118.8/p", &body(kept, "b")));
    done(node.put("88.118.8/p", node.handle("88.118.8/p").text()));
    done(node.put("88.118.8/p", &body(kept, "new")));
    done(node.put("88.118.8/p?index=1&index=2", &body(kept, "newer")));
    assert_eq!(
        node.stored("88.118.8/p"),
        expected(&[(1, "A", "kept"), (2, "B", "newer")])
    );
    let other = kept.replace("kept", "other");
    node.put("88.118.8/p", &body(&other, "b"))
        .assert_code(403, 401, "index 1");
}

#[test]
fn no_write_does_more_than_its_query_says() {
    let node = Node::start();
    let both = expected(&[(1, "A", "a"), (2, "B", "b")]);
    let body = format!("[{},{}]", value(1, "A", "a"), value(2, "B", "b"));
    node.put("88.118.8/q", &body).assert_done(200, "88.118.8/q");
    for query in ["index=", "index", "index=1&index=", "type=A"] {
        let message = query.split(['=', '&']).next().unwrap();
        node.delete(&format!("88.118.8/q?{query}"))
            .assert_code(400, 4, message);
    }
    let third = value(3, "C", "c");
    node.put("88.118.8/q?index=", &third)
        .assert_code(400, 4, "index");
    node.put("88.118.8/q?overwrit%65=false", &third)
        .assert_code(409, 101, "");
    assert_eq!(node.stored("88.118.8/q"), both);
    node.delete("88.118.8/q?inde%78=1")
        .assert_done(200, "88.118.8/q");
    assert_eq!(node.stored("88.118.8/q"), both[1..]);
}

/// An answer that does not wait for the body says what becomes of the connection.
#[test]
fn who_is_refused_before_its_body_hears_of_it() {
    let node = Node::start();
    let body = value(1, "A", "a");
    let head = |more: &str| {
        let length = body.len();
        format!(
            "PUT /api/handles/88.118.8/z HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    };
    let mut stream = node.connect();
    let mut answer = [0; 12];
    for _ in 0..2 {
        stream.write_all(head("").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(body.as_bytes()).unwrap();
        let mut reader = BufReader::new(&stream);
        reader.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        let mut rest = Vec::new();
        let mut length = 0;
        while !rest.ends_with(b"\r\n\r\n") {
            let begin = rest.len();
            reader.read_until(b'\n', &mut rest).unwrap();
            let line = String::from_utf8_lossy(&rest[begin..]).to_ascii_lowercase();
            assert!(!line.contains("close"), "{line}");
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
    }
    let waits = node.raw(head("Expect: 100-continue\r\n").as_bytes());
    assert_eq!(
        (waits.status, waits.field("connection")),
        (401, Some("close"))
    );
}

#[test]
fn ttl_permissions_and_references_are_kept_and_the_time_is_the_nodes() {
    let node = Node::start();
    let body = r#"{"index":7,"type":"X","data":"x","permissions":"1111","ttl":60,"timestamp":"2001-01-01T00:00:00Z","references":[{"index":2,"handle":"88.118.8/r"}]}"#;
    node.put("88.118.8/rare", body)
        .assert_done(200, "88.118.8/rare");
    let shown = node.handle("88.118.8/rare").json();
    let value = &shown["values"][0];
    assert_eq!(value["permissions"], "1111");
    assert_eq!(value["ttl"], 60);
    assert_eq!(value["references"][0]["handle"], "88.118.8/r");
    assert!(value["timestamp"].as_str().unwrap() > "2025");
    let absolute = r#"{"index":7,"type":"X","data":"x","ttl":"2038-01-19T03:14:07Z"}"#;
    node.put("88.118.8/rare", absolute)
        .assert_done(200, "88.118.8/rare");
    let shown = node.handle("88.118.8/rare").json();
    assert_eq!(shown["values"][0]["ttl"], "2038-01-19T03:14:07Z");
}

#[test]
fn without_overwriting_what_is_there_stays() {
    let node = Node::start();
    let one = value(1, "URL", "http://a/");
    let path = "88.118.8/once?overwrite=false";
    node.put(path, &one).assert_done(201, "88.118.8/once");
    node.put(path, &value(2, "DESC", "x"))
        .assert_code(409, 101, "already registered");
    assert_eq!(node.stored("88.118.8/once").len(), 1);
    // Values: new ones only.
    let added = "88.118.8/once?index=various&overwrite=false";
    node.put(added, &value(2, "DESC", "x"))
        .assert_done(201, "88.118.8/once");
    let both = format!("[{},{}]", value(3, "A", "a"), value(2, "DESC", "y"));
    node.put(added, &both).assert_code(409, 201, "value 2 of");
    assert_eq!(
        node.stored("88.118.8/once"),
        expected(&[(1, "URL", "http://a/"), (2, "DESC", "x")])
    );
}

#[test]
fn values_are_added_and_replaced_by_their_index() {
    let node = Node::start();
    let start = format!("[{},{}]", value(1, "URL", "http://a/"), value(2, "A", "a"));
    node.put("88.118.8/some", &start);
    let set = format!("[{},{}]", value(2, "A", "b"), value(3, "B", "c"));
    for path in [
        "88.118.8/some?index=various",
        "88.118.8/some?index=3&index=2&overwrite=true",
    ] {
        node.put(path, &format!(r#"{{"values":{set}}}"#))
            .assert_done(200, "88.118.8/some");
        assert_eq!(
            node.stored("88.118.8/some"),
            expected(&[(1, "URL", "http://a/"), (2, "A", "b"), (3, "B", "c")])
        );
    }
    // The query's index is that of a value that has none.
    node.put("88.118.8/some?index=9", r#"{"type":"Z","data":"z"}"#)
        .assert_done(200, "88.118.8/some");
    assert_eq!(node.stored("88.118.8/some")[3].0, 9);
    for (query, part) in [("index=2", "3"), ("index=2&index=3&index=4", "4")] {
        node.put(&format!("88.118.8/some?{query}"), &set)
            .assert_code(400, 202, part);
    }
    node.put("88.118.8/nothing?index=various", &set)
        .assert_code(404, 100, "not registered");
    node.put("88.118.8/nothing?index=various&overwrite=false", &set)
        .assert_code(404, 100, "not registered");

    node.delete("88.118.8/some?index=2&index=77")
        .assert_done(200, "88.118.8/some");
    node.delete("88.118.8/some?index=2")
        .assert_code(400, 200, "none of the indexes");
    node.delete("88.118.8/some?index=1&index=3&index=9")
        .assert_code(400, 202, "at least one value");
    assert_eq!(
        node.stored("88.118.8/some"),
        expected(&[(1, "URL", "http://a/"), (3, "B", "c"), (9, "Z", "z")])
    );
    node.delete("88.118.8/nothing?index=1")
        .assert_code(404, 100, "not registered");
    node.delete("88.118.8/some?index=various")
        .assert_code(400, 4, "various");
    node.handle("88.118.8/some?index=various")
        .assert_code(400, 4, "various");
}

#[test]
fn identifiers_are_deleted_once() {
    let node = Node::start();
    node.delete("88.118.8/full")
        .assert_done(200, "88.118.8/full");
    node.handle("88.118.8/full")
        .assert_code(404, 100, "deleted");
    node.delete("88.118.8/full")
        .assert_code(404, 100, "not registered");
}

#[test]
fn suffixes_are_minted() {
    let node = Node::start();
    let mut minted = Vec::new();
    for start in ["88.118.8", "88.118.8/", "88.118.8/A-", "88.118.8"] {
        let answer = node.put(
            &format!("{start}?mintNewSuffix=true"),
            &value(1, "URL", "http://a/"),
        );
        assert_eq!(answer.status, 201, "{answer:?}");
        let handle = answer.json()["handle"].as_str().unwrap().to_owned();
        assert!(handle.starts_with(start) && handle.len() > 25, "{handle}");
        assert_eq!(node.handle(&handle).status, 200);
        assert!(!minted.contains(&handle));
        minted.push(handle);
    }
    node.put(
        "88.118.8?mintNewSuffix&index=1",
        &value(1, "URL", "http://a/"),
    )
    .assert_code(400, 4, "index");
}

#[test]
fn who_may_not_write_is_told_why() {
    let node = Node::start();
    let one = value(1, "URL", "http://a/");
    for method in ["PUT", "DELETE"] {
        let answer = node.curl("/api/handles/88.118.8/full", &["-X", method, "-d", &one]);
        answer.assert_code(401, 402, "taken are Bearer, Handle and, over HTTPS, Basic");
        assert!(answer.field("www-authenticate").is_some());
        let other = node.stranger_token.clone();
        let denied = node.send(method, &other, "88.118.8/full", &one);
        denied.assert_code(403, 401, "prefix 88.118.8 belongs to another");
        let forged = format!("{}x", &other[..other.len() - 1]);
        node.send(method, &forged, "88.118.8/full", &one)
            .assert_code(401, 402, "not known");
    }
    // What its permissions protect.
    let protected = r#"[{"index":1,"type":"X","data":"x","permissions":"1010"},{"index":2,"type":"Y","data":"y"}]"#;
    node.put("88.118.8/protected", protected);
    node.put("88.118.8/protected?index=1", &value(1, "X", "z"))
        .assert_code(403, 401, "index 1");
    node.delete("88.118.8/protected?index=1")
        .assert_code(403, 401, "index 1");
    assert_eq!(node.stored("88.118.8/protected").len(), 2);
    assert_eq!(node.handle("88.118.8/full").status, 200);
}

#[test]
fn what_is_not_served_here_is_not_written_here() {
    let node = Node::start();
    let one = value(1, "URL", "http://a/");
    let elsewhere = node.put("88.118.9/x", &one);
    elsewhere.assert_code(300, 303, "served elsewhere");
    assert_eq!(
        elsewhere.field("location"),
        Some("http://192.0.2.7:8000/api/handles/88.118.9/x")
    );
    assert_eq!(elsewhere.indexes(), [1, 2]);
    node.put("88.118.9/x?doNotRefer", &one)
        .assert_code(400, 301, "delegated");
    node.put("88.118.12/x", &one)
        .assert_code(400, 301, "active");
    node.put("99.999/x", &one).assert_code(400, 301, "prefix");
}

#[test]
fn what_is_sent_wrongly_is_named() {
    let node = Node::start();
    for (path, body, status, code, part) in [
        ("88.118.8/x", "", 400, 4, "body"),
        ("88.118.8/x", "{", 400, 4, "body"),
        ("88.118.8/x", "[]", 400, 202, "at least one value"),
        (
            "88.118.8/x?index=various",
            "[]",
            400,
            202,
            "nothing to change",
        ),
        (
            "88.118.8/x",
            r#"{"handle":"88.118.8/x"}"#,
            400,
            4,
            "values[0].type",
        ),
        (
            "88.118.8/x",
            r#"[{"index":1,"type":"A","data":"a"},{"index":1,"type":"B","data":"b"}]"#,
            400,
            202,
            "values[1].index",
        ),
        (
            "88.118.8/x",
            r#"[{"index":1,"type":"HS_ADMIN","data":"me"}]"#,
            400,
            202,
            "HS_ADMIN",
        ),
        ("", "[]", 400, 102, "empty"),
        ("88.118.8/", "[]", 400, 102, "suffix"),
        ("88.118.8/%ff", "[]", 400, 102, "UTF-8"),
        ("88.118.8/x?overwrite=maybe", "[]", 400, 4, "overwrite"),
        ("88.118.8/x?index=-1", "[]", 400, 4, "index"),
    ] {
        node.put(path, body).assert_code(status, code, part);
    }
    let long = format!("88.118.8/{}", "x".repeat(2_040));
    node.put(&long, &value(1, "A", "a"))
        .assert_code(400, 102, "");
    // Half a body, and the client goes away or says no more.
    let half = format!(
        "PUT /api/handles/88.118.8/half HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n[",
        node.owner_token
    );
    let mut stream = node.connect();
    std::io::Write::write_all(&mut stream, half.as_bytes()).unwrap();
    drop(stream);
    node.handle("88.118.8/half")
        .assert_code(404, 100, "not registered");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let node = Node::build(std::time::Duration::from_millis(700), |_| {});
    let half = format!(
        "PUT /api/handles/88.118.8/half HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n[",
        node.owner_token
    );
    node.raw(half.as_bytes()).assert_code(503, 3, "in time");
}

#[test]
fn writers_at_once_all_get_through() {
    let node = Node::start();
    node.put("88.118.8/busy", &value(1, "URL", "http://a/"));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let node = &node;
            scope.spawn(move || {
                for round in 0..5 {
                    let index = 10 + thread * 10 + round;
                    let added = node.put(
                        "88.118.8/busy?index=various&overwrite=false",
                        &value(index, "N", "n"),
                    );
                    assert!([201, 503].contains(&added.status), "{added:?}");
                    if added.status == 503 {
                        node.put("88.118.8/busy?index=various", &value(index, "N", "n"))
                            .assert_done(200, "88.118.8/busy");
                    }
                }
            });
        }
    });
    assert_eq!(node.stored("88.118.8/busy").len(), 21);
    // Registered and deleted all the time: each write is one or the other.
    std::thread::scope(|scope| {
        let node = &node;
        scope.spawn(move || {
            for _ in 0..10 {
                let deleted = node.delete("88.118.8/flip");
                assert!([200, 404].contains(&deleted.status), "{deleted:?}");
            }
        });
        for _ in 0..10 {
            node.put("88.118.8/flip", &value(1, "A", "a"))
                .assert_done(200, "88.118.8/flip");
        }
    });
}

#[test]
fn answers_to_writes_are_pretty_or_scripts_too() {
    let node = Node::start();
    let one = value(1, "URL", "http://a/");
    let pretty = node.put("88.118.8/p?pretty", &one);
    assert_eq!(
        pretty.text(),
        "{\n  \"responseCode\": 1,\n  \"handle\": \"88.118.8/p\"\n}"
    );
    let script = node.put("88.118.8/p?callback=f", &one);
    assert_eq!(
        script.text(),
        "/**/f({\"responseCode\":1,\"handle\":\"88.118.8/p\"});"
    );
}
