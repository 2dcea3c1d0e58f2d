//! Logging in as the Handle System's clients do: with a secret key, in a session, and what is
//! said to those who cannot.

use super::{Answer, Node};
use crate::front::http::auth::{Shown, authenticate};
use crate::front::http::deadline::Deadline;
use crate::front::http::peer::Peer;
use crate::front::http::{HttpFront, HttpOptions};
use data_encoding::BASE64;
use idnode_proto::handle::auth::api::OwnApiProof;
use idnode_proto::handle::auth::proof::ClientKey;
use idnode_proto::handle::{Admin, AdminPermissions, ResponseCode};
use idnode_proto::value::{Permissions, Reference, Value};
use idnode_registry::write::{Command, SetMode};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use std::net::Ipv4Addr;

const PREFIX: &str = "0.NA/88.118.8";
const SECRET: &str = "p: 密钥";

impl Node {
    /// Gives `88.118.8` an administrator with a secret key.
    fn administered() -> Self {
        let node = Self::start();
        node.set_values(SECRET);
        node
    }

    fn set_values(&self, secret: &str) {
        let admin = Admin {
            permissions: AdminPermissions::ALL,
            reference: Reference {
                handle: PREFIX.into(),
                index: 300,
            },
        };
        let values = vec![
            Value::new(100, "HS_ADMIN", admin.encode()),
            Value {
                permissions: Permissions(0b1100),
                ..Value::new(300, "HS_SECKEY", secret)
            },
        ];
        let (mode, identifier) = (SetMode::Put, PREFIX.parse().unwrap());
        let command =
            Command::update_handle(identifier, values, mode, vec![], false, None, None, 1);
        self.write(command.unwrap());
    }

    fn as_user(&self, user: &str, secret: &str, arguments: &[&str], path: &str) -> Answer {
        let pair = format!("{user}:{secret}");
        self.curl(path, &[&["-u", &pair], arguments].concat())
    }

    fn authorized(&self, authorization: &str, arguments: &[&str], path: &str) -> Answer {
        let field = format!("Authorization: {authorization}");
        self.curl(path, &[&["-H", &field], arguments].concat())
    }

    /// A new session's id and nonce.
    fn session(&self) -> (String, Vec<u8>) {
        let begun = self.curl("/api/sessions", &["-X", "POST"]);
        assert_eq!(begun.status, 200, "{begun:?}");
        let json = begun.json();
        assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
        let nonce = BASE64.decode(json["nonce"].as_str().unwrap().as_bytes());
        (
            json["sessionId"].as_str().unwrap().to_owned(),
            nonce.unwrap(),
        )
    }
}

const BODY: [&str; 4] = [
    "-X",
    "PUT",
    "-d",
    r#"{"index":1,"type":"URL","data":"http://a/"}"#,
];

/// The field that proves a secret key to a session.
fn proof(session: &str, nonce: &[u8], secret: &str) -> String {
    let key = ClientKey::secret(secret);
    let made = OwnApiProof::make(&key, PREFIX, nonce).unwrap();
    let (salt, iterations, length) = made.derivation.unwrap();
    format!(
        "Handle version=\"0\", sessionId=\"{session}\", cnonce=\"{}\", id=\"300:{PREFIX}\", \
         type=\"{}\", alg=\"{}\", signature=\"{}\", salt=\"{}\", iterations=\"{iterations}\", \
         length=\"{length}\"",
        BASE64.encode(&made.client_nonce),
        made.key_type,
        made.algorithm,
        BASE64.encode(&made.signature),
        BASE64.encode(&salt),
    )
}

#[test]
fn a_secret_key_writes_and_reads_as_its_administrator() {
    let node = Node::administered();
    let user = "300%3A0.NA/88.118.8";
    let made = node.as_user(user, SECRET, &BODY, "/api/handles/88.118.8/basic");
    assert_eq!(made.status, 200, "{made:?}");
    let own = node.as_user(user, SECRET, &[], "/api/handles/0.NA/88.118.8?index=300");
    assert_eq!(own.json()["values"][0]["data"]["value"], SECRET, "{own:?}");
    let public = node.handle("0.NA/88.118.8?index=300");
    assert_eq!(public.json()["responseCode"], 200);
    // A handle without an HS_ADMIN value of its own is nobody's whom values make administrator.
    node.as_user(
        user,
        SECRET,
        &["-X", "DELETE"],
        "/api/handles/88.118.8/nourl",
    )
    .assert_code(403, 400, "no administrator");
    let list = "/api/handles?prefix=88.118.8&pageSize=1";
    let listed = node.as_user(user, SECRET, &[], list);
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_ne!(listed.json()["totalCount"], "0");
    node.as_user(user, SECRET, &[], "/api/handles?prefix=01")
        .assert_code(403, 400, "");
}

#[test]
fn what_is_not_proven_is_refused() {
    let node = Node::administered();
    let path = "/api/handles/88.118.8/basic";
    for (user, secret, status, code, part) in [
        ("300%3A0.NA/88.118.8", "wrong", 403, 403, "not proven"),
        ("301%3A0.NA/88.118.8", SECRET, 403, 403, "not proven"),
        ("100%3A0.NA/88.118.8", SECRET, 403, 403, "not proven"),
        ("300%3A0.NA/99.999", SECRET, 403, 403, "not proven"),
        ("300%3A88.118.8/nothing", SECRET, 403, 403, "not proven"),
        ("300:0.NA/88.118.8", SECRET, 401, 402, "%3A"),
        ("somebody", SECRET, 401, 402, "%3A"),
    ] {
        node.as_user(user, secret, &BODY, path)
            .assert_code(status, code, part);
        // Reading too: a wrong credential is never a stranger.
        node.as_user(user, secret, &[], "/api/handles/88.118.8/full")
            .assert_code(status, code, part);
    }
    for field in ["Basic", "Basic ***", "Basic AAAA", "Basic /w=="] {
        node.authorized(field, &BODY, path)
            .assert_code(401, 402, "Basic");
    }
    node.handle("88.118.8/basic").assert_code(404, 100, "");
    let asked = node.curl(path, &BODY);
    let challenges: Vec<_> = asked
        .head
        .lines()
        .filter_map(|line| line.strip_prefix("www-authenticate: "))
        .collect();
    assert_eq!(challenges.len(), 3, "{asked:?}");
    assert!(challenges[0].starts_with("Bearer"));
    assert!(challenges[1].starts_with("Handle sessionId=\""));
    assert!(challenges[1].contains("nonce=\""));
    assert!(challenges[2].starts_with("Basic realm=\"handle\""));
}

#[test]
fn secrets_do_not_cross_networks_in_clear() {
    let node = Node::administered();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let takes = |basic_without_tls, peer: &Peer| {
        let options = HttpOptions {
            basic_without_tls,
            ..HttpOptions::new(metrics.clone())
        };
        let front = HttpFront::bind((Ipv4Addr::LOCALHOST, 0).into(), node.core.clone(), options);
        let runtime = node.runtime.as_ref().unwrap();
        let shared = runtime.block_on(front).unwrap().shared;
        let pair = BASE64.encode(format!("300%3A{PREFIX}:{SECRET}").as_bytes());
        let request = axum::http::Request::builder()
            .header("authorization", format!("Basic {pair}"))
            .extension(peer.clone());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let deadline = Deadline::of(&shared);
        let caller = runtime.block_on(authenticate(&shared, Shown::of(&parts), deadline));
        caller.map_err(|refusal| refusal.code)
    };
    let plain = |address: &str| Peer::plain(address.parse().unwrap());
    for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.2]:1"] {
        assert!(takes(false, &plain(local)).is_ok(), "{local}");
    }
    for remote in ["192.0.2.1:1", "10.0.0.1:1", "[2001:db8::1]:1"] {
        let peer = plain(remote);
        let refused = Err(ResponseCode::UNABLE_TO_AUTHENTICATE);
        assert_eq!(takes(false, &peer), refused, "{remote}");
        assert!(takes(true, &peer).is_ok(), "{remote}");
        let encrypted = Peer {
            encrypted: true,
            ..peer
        };
        assert!(takes(false, &encrypted).is_ok(), "{remote}");
    }
}

#[test]
fn a_session_is_logged_in_to_used_and_closed() {
    let node = Node::administered();
    let path = "/api/handles/88.118.8/session";
    let (session, nonce) = node.session();
    let named = format!("Handle sessionId=\"{session}\"");
    let this = node.authorized(&named, &[], "/api/sessions/this").json();
    assert_eq!(
        this,
        json!({"sessionId": session, "nonce": BASE64.encode(&nonce), "authenticated": false})
    );
    node.authorized(&named, &BODY, path)
        .assert_code(401, 402, "credential");
    node.authorized(&named, &["-X", "PUT"], "/api/sessions/this")
        .assert_code(401, 402, "no proof");

    let proven = node.authorized(
        &proof(&session, &nonce, SECRET),
        &["-X", "PUT"],
        "/api/sessions/this",
    );
    assert_eq!(proven.status, 200, "{proven:?}");
    assert_eq!(proven.json()["authenticated"], true);
    assert_eq!(proven.json()["id"], format!("300:{PREFIX}"));
    assert_eq!(node.authorized(&named, &BODY, path).status, 200);

    let closed = node.authorized(&named, &["-X", "DELETE"], "/api/sessions/this");
    assert_eq!((closed.status, closed.body.len()), (204, 0));
    node.authorized(&named, &BODY, path)
        .assert_code(401, 402, "no such session");
    // The proof was heard by whoever listened: it opens nothing again.
    node.authorized(&proof(&session, &nonce, SECRET), &BODY, path)
        .assert_code(401, 402, "no such session");
}

#[test]
fn a_proof_may_come_with_the_request_itself() {
    let node = Node::administered();
    let path = "/api/handles/88.118.8/session";
    // A session that a refusal has begun.
    let asked = node.curl(path, &BODY);
    let challenge = asked
        .head
        .lines()
        .find_map(|line| line.strip_prefix("www-authenticate: Handle "))
        .unwrap();
    let part = |name: &str| {
        let start = challenge.split(&format!("{name}=\"")).nth(1).unwrap();
        start.split('"').next().unwrap().to_owned()
    };
    let (session, nonce) = (part("sessionId"), part("nonce"));
    let nonce = BASE64.decode(nonce.as_bytes()).unwrap();
    let done = node.authorized(&proof(&session, &nonce, SECRET), &BODY, path);
    assert_eq!(done.status, 200, "{done:?}");
    for (session, nonce, secret) in [
        (node.session().0, nonce.clone(), SECRET),
        (node.session().0, vec![0; 16], SECRET),
        (session, nonce, "another"),
    ] {
        node.authorized(&proof(&session, &nonce, secret), &BODY, path)
            .assert_code(403, 403, "not proven");
    }
    node.authorized("Handle sessionId=\"x\"", &BODY, path)
        .assert_code(401, 402, "no such session");
    node.authorized("Handle junk", &BODY, path)
        .assert_code(401, 402, "name=value");
}

#[test]
fn a_session_ends_with_the_key_that_was_proven() {
    let node = Node::administered();
    let (session, nonce) = node.session();
    let named = format!("Handle sessionId=\"{session}\"");
    let path = "/api/handles/88.118.8/session";
    assert_eq!(
        node.authorized(&proof(&session, &nonce, SECRET), &BODY, path)
            .status,
        200
    );
    node.set_values("a new secret");
    node.authorized(&named, &BODY, path)
        .assert_code(401, 402, "no longer valid");
    node.as_user("300%3A0.NA/88.118.8", SECRET, &BODY, path)
        .assert_code(403, 403, "not proven");
}

#[test]
fn scripts_of_other_pages_get_what_everybody_gets() {
    let node = Node::administered();
    let user = "300%3A0.NA/88.118.8";
    let script = node.as_user(user, SECRET, &[], "/api/handles/0.NA/88.118.8?callback=f");
    assert_eq!(script.status, 200);
    assert!(!script.text().contains("HS_SECKEY"), "{}", script.text());
}

#[test]
fn proofs_are_verified_for_others() {
    let node = Node::administered();
    let ask = |body: &serde_json::Value| {
        node.curl(
            "/api/verifications",
            &["-X", "POST", "-d", &body.to_string()],
        )
    };
    let nonce = [7; 16];
    let made = OwnApiProof::make(&ClientKey::secret(SECRET), PREFIX, &nonce).unwrap();
    let (salt, iterations, length) = made.derivation.unwrap();
    let mut body = json!({
        "id": format!("300:{PREFIX}"),
        "type": made.key_type,
        "alg": made.algorithm,
        "nonce": BASE64.encode(&nonce),
        "cnonce": BASE64.encode(&made.client_nonce),
        "signature": BASE64.encode(&made.signature),
        "salt": BASE64.encode(&salt),
        "iterations": iterations,
        "length": length,
    });
    let verified = ask(&body);
    assert_eq!(verified.status, 200, "{verified:?}");
    assert_eq!(
        verified.json(),
        json!({"responseCode": 1, "verified": true})
    );
    body["nonce"] = BASE64.encode(&[8; 16]).into();
    assert_eq!(ask(&body).json()["verified"], false);
    body["id"] = "300:0.NA/99.999".into();
    assert_eq!(ask(&body).json()["verified"], false);
    // What costs more than a server does for a stranger.
    body["id"] = format!("300:{PREFIX}").into();
    body["iterations"] = 4_000_000_000_u32.into();
    ask(&body).assert_code(403, 406, "work");
    body["nonce"] = "*".into();
    ask(&body).assert_code(400, 202, "nonce");
    ask(&json!({"nonce": ""})).assert_code(400, 4, "body: id is missing");
    ask(&json!([])).assert_code(400, 4, "body");
    node.get("/api/verifications").assert_code(501, 5, "method");
    node.get("/api/sessions").assert_code(501, 5, "method");
}
