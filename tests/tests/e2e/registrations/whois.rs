//! WHOIS: a plain view of what IIIDAP answers a stranger, within bounds.

use super::world::{World, field};
use idnode_tests::run::curl;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The lines a document has in the plain view, made here from the JSON alone.
fn lines(document: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", document, &mut lines);
    lines
}

fn walk(key: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (key, name.as_str()) {
                    (_, "notices" | "remarks") => {
                        for notice in value.as_array().unwrap() {
                            comments(notice, lines);
                        }
                    }
                    ("", "NodeSearchResults") => {
                        value
                            .as_array()
                            .unwrap()
                            .iter()
                            .for_each(|it| walk("", it, lines));
                    }
                    ("", name) => walk(name, value, lines),
                    (key, name) => walk(&format!("{key}.{name}"), value, lines),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| walk(key, it, lines)),
        Value::String(text) => lines.push(format!("{key}: {text}")),
        other => lines.push(format!("{key}: {other}")),
    }
}

fn comments(notice: &Value, lines: &mut Vec<String>) {
    for name in ["title", "type"] {
        lines.extend(notice[name].as_str().map(|text| format!("% {text}")));
    }
    let description = notice["description"].as_array().unwrap();
    lines.extend(
        description
            .iter()
            .map(|it| format!("% {}", it.as_str().unwrap())),
    );
}

/// What the front answers to bytes, to the end.
fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.node.at.whois.unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_plain_view_is_that_of_the_same_document() {
    let world = World::new();
    for (query, path, status) in [
        ("88.118.8", "identifier/88.118.8", 200),
        ("88.118.8/x", "identifier/88.118.8/x", 200),
        ("88.118", "identifier/88.118", 200),
        ("identifier 88.118.9", "identifier/88.118.9", 200),
        ("oid:1.2.156.3001", "identifier/oid:1.2.156.3001", 200),
        ("88.118.10", "identifier/88.118.10", 404),
        (
            "朔州二级节点",
            "name/%E6%9C%94%E5%B7%9E%E4%BA%8C%E7%BA%A7%E8%8A%82%E7%82%B9",
            200,
        ),
        ("Mengniu Group", "name/mengniu%20group", 200),
        ("name nobody", "name/nobody", 404),
        ("m*", "names?name=m*", 200),
        ("names example one", "names?name=example%20one", 200),
        ("*", "names?name=*", 422),
        ("88..8", "identifier/88..8", 400),
        ("help", "help", 200),
    ] {
        let mut document = world.document(path, status, &[]);
        // WHOIS knows no links of its own.
        if let Some(notices) = document.get_mut("notices") {
            for notice in notices.as_array_mut().unwrap() {
                notice.as_object_mut().unwrap().remove("links");
            }
        }
        let text = world.whois(query);
        let mut got: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        let mut expected = lines(&document);
        got.sort_unstable();
        expected.sort_unstable();
        assert_eq!(got, expected, "{query}: {text}");
    }
    // Elsewhere: where clients find a referral.
    let (_, head, _) = world.ask("identifier/88.119.5", &[]);
    let text = raw(&world, b"88.119.5\r\n");
    let refer = format!("\r\nrefer: {}\r\n", field(&head, "location").unwrap());
    assert!(text.ends_with(&refer) && text.starts_with("% "), "{text}");
    // Results are set apart.
    let text = raw(&world, b"m*\r\n");
    assert_eq!(text.matches("\r\n\r\nidentifier: ").count(), 2, "{text}");
}

#[test]
fn lines_are_bounded_and_silence_is() {
    let world = World::with(&["whois.idle_s=1", "whois.max_connections=8"]);
    // With and without its carriage return; what is behind the line is nobody's.
    for query in [
        &b"88.118.8\r\n"[..],
        b"88.118.8\n",
        b"88.118.8\r\nidentifier 88.118\r\n",
    ] {
        let text = raw(&world, query);
        assert!(text.contains("\r\nidentifier: 88.118.8\r\n"), "{text}");
        assert!(
            text.replace("\r\n", "").lines().count() == 1,
            "bare line ends: {text:?}"
        );
        assert!(!text.contains("identifier: 88.118\r\n"), "{text}");
    }
    // The end of what is sent ends a line too.
    let mut stream = TcpStream::connect(world.node.at.whois.unwrap()).unwrap();
    stream.write_all(b"88.118.8").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("identifier: 88.118.8\r\n"), "{text}");
    for (junk, reason) in [
        (vec![b'a'; 1_101], "the line has more than 1100 bytes"),
        (
            [vec![b'a'; 60_000], b"\r\n".to_vec()].concat(),
            "the line has more than 1100 bytes",
        ),
        (b"\xff\xfe\r\n".to_vec(), "the line is not UTF-8"),
        (b"\r\n".to_vec(), "query: is missing"),
        (b"\0\x01\x02\r\n".to_vec(), ""),
    ] {
        let text = raw(&world, &junk);
        assert!(text.contains("errorCode: 4"), "{text}");
        assert!(text.contains(reason), "{reason}: {text}");
    }
    // Whoever says nothing, or too little, is closed after a second.
    for begun in ["", "88.118"] {
        let began = Instant::now();
        assert_eq!(raw(&world, begun.as_bytes()), "");
        let waited = began.elapsed();
        assert!((900..3_000).contains(&waited.as_millis()), "{waited:?}");
    }
    // No more than eight at once.
    let at = world.node.at.whois.unwrap();
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(at).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let mut ninth = TcpStream::connect(at).unwrap();
    let mut text = String::new();
    let began = Instant::now();
    // Closed, or reset, without a word.
    let _ = ninth.read_to_string(&mut text);
    assert!(text.is_empty() && began.elapsed() < Duration::from_millis(700));
    drop(silent);
    let metrics = curl(&world.node.http("/metrics"), &[]).2;
    for bound in ["whois_line", "whois_idle", "whois_connections"] {
        let name = format!("idnode_bound_hits_total{{bound=\"{bound}\"}}");
        assert!(metrics.lines().any(|it| it.starts_with(&name)), "{name}");
    }
    assert!(raw(&world, b"88.118.8\r\n").contains("status: ok"));
    world.node.stop();
}
