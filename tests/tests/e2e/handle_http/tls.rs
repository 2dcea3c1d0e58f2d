//! HTTPS, and what is taken there and nowhere else: secrets as they are, client certificates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use idnode_tests::api::{Api, CODES};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{curl, success, until};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::dns_transports::world::{Authority, Files, HOST};

const PREFIX: &str = "88.118.8";
const SECRET: &str = "secret";
const BODY: &str = r#"{"index":1,"type":"URL","data":"https://example.cn/"}"#;

struct World {
    node: Node,
    dir: DataDir,
    files: Files,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let dir = DataDir::init();
        let (files, authority) = (Files::of(&dir), Authority::new("an authority"));
        authority.issue(&files);
        let settings = [
            "http.tls_listen=127.0.0.1:0".to_owned(),
            format!("http.tls_certificate={}", files.certificate.display()),
            format!("http.tls_key={}", files.key.display()),
        ];
        let arguments: Vec<&str> = settings
            .iter()
            .flat_map(|setting| ["--set", setting.as_str()])
            .collect();
        let node = Node::run_at(&dir, &Addresses::free(), &arguments);
        Runtime::new().unwrap().block_on(async {
            let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
            let enterprise = api.verified_enterprise(CODES[0]).await;
            api.active_prefix(PREFIX, &enterprise).await;
        });
        Self {
            node,
            dir,
            files,
            authority,
        }
    }

    /// Gives the prefix its administrators: a secret key at 300, a public key at 301.
    fn administered(self, public_key: &str) -> Self {
        let admin = |place: u32, index: u32| {
            json!({"index": place, "type": "HS_ADMIN", "data": {"format": "admin", "value": {
                "handle": format!("0.NA/{PREFIX}"), "index": index, "permissions": "111111111111"
            }}})
        };
        let values = json!([
            admin(100, 300),
            admin(101, 301),
            {"index": 300, "type": "HS_SECKEY", "data": SECRET, "permissions": "1100"},
            {"index": 301, "type": "HS_PUBKEY", "data": public_key},
        ]);
        let authorization = format!("Authorization: Bearer {}", self.dir.token());
        let path = format!("/api/handles/0.NA/{PREFIX}?index=various");
        let arguments = ["-X", "PUT", "-H", &authorization, "-d", &values.to_string()];
        let (status, _, answer) = curl(&self.node.http(&path), &arguments);
        assert_eq!(status, 200, "{answer}");
        self
    }

    fn https(&self, path: &str, arguments: &[&str]) -> (u16, String, String) {
        let at = self.node.at.https.unwrap();
        let resolve = format!("{HOST}:{}:{}", at.port(), at.ip());
        let authority = self.files.authority.to_str().unwrap();
        let own = ["--resolve", &resolve, "--cacert", authority];
        let url = format!("https://{HOST}:{}{path}", at.port());
        curl(&url, &[&own[..], arguments].concat())
    }

    /// A key of openssl's, and a certificate of its own for a subject.
    fn client(&self, name: &str, subject: &str) -> (PathBuf, PathBuf, String) {
        let key = self.dir.beside(&format!("{name}.key"));
        let certificate = self.dir.beside(&format!("{name}.pem"));
        success(
            Command::new("openssl")
                .args([
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                ])
                .args(["-subj", subject, "-utf8", "-keyout"])
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        );
        let public = success(
            Command::new("openssl")
                .args(["pkey", "-pubout", "-in"])
                .arg(&key),
        );
        (certificate, key, public)
    }
}

/// Status and response code.
fn codes((status, _, body): &(u16, String, String)) -> (u16, u64) {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (*status, json["responseCode"].as_u64().unwrap_or(0))
}

#[test]
fn the_api_is_spoken_over_tls_in_both_versions_of_http() {
    let world = World::new();
    for (version, spoken) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
        let (status, head, body) = world.https("/healthz", &[version]);
        assert_eq!((status, body.as_str()), (200, "alive\n"), "{version}");
        assert!(head.starts_with(spoken), "{head}");
    }
    let (_, _, site) = world.https("/api/site", &[]);
    let site: serde_json::Value = serde_json::from_str(&site).unwrap();
    let interfaces = site["site"]["servers"][0]["interfaces"].as_array().unwrap();
    let port = world.node.at.https.unwrap().port();
    let https = interfaces.iter().find(|it| it["protocol"] == "HTTPS");
    assert_eq!(https.unwrap()["port"], port);
    // Whoever speaks in clear there gets nothing, and harms nobody.
    let plain = format!("http://{}/healthz", world.node.at.https.unwrap());
    let asked = Command::new("curl").args(["-sS", &plain]).output().unwrap();
    assert!(!asked.status.success());
    // The certificate is replaced without a restart.
    let before = fs::read(&world.files.certificate).unwrap();
    Authority::new("another authority").issue(&world.files);
    assert_ne!(fs::read(&world.files.certificate).unwrap(), before);
    world.node.signal("HUP");
    until("the new certificate", || {
        let at = world.node.at.https.unwrap();
        let url = format!("https://{HOST}:{}/healthz", at.port());
        let resolve = format!("{HOST}:{}:{}", at.port(), at.ip());
        let authority = world.files.authority.to_str().unwrap();
        let mut asked = Command::new("curl");
        asked.args(["-sS", "--resolve", &resolve, "--cacert", authority, &url]);
        asked.output().unwrap().status.success()
    });
    drop(world.authority);
    world.node.stop();
}

#[test]
fn client_certificates_name_administrators_and_prove_their_keys() {
    let world = World::new();
    let subject = format!("/O=x/CN=301:0.NA\\/{PREFIX}");
    let (certificate, key, public) = world.client("own", &subject);
    let (other, other_key, _) = world.client("other", &subject);
    let (stranger, stranger_key, _) = world.client("stranger", "/CN=somebody");
    let world = world.administered(&public);
    // A new one each time: the prefix's administrators may register, and are none of what has no
    // HS_ADMIN value of its own.
    let made = std::cell::Cell::new(0);
    let put = |certificate: &PathBuf, key: &PathBuf, further: &[&str]| {
        made.set(made.get() + 1);
        let path = format!("/api/handles/{PREFIX}/by-certificate-{}", made.get());
        let shown = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
        let own = [
            "--cert", &shown[0], "--key", &shown[1], "-X", "PUT", "-d", BODY,
        ];
        codes(&world.https(&path, &[&own[..], further].concat()))
    };
    let asks = ["-H", "Authorization: Handle clientCert=\"true\""];
    assert_eq!(put(&certificate, &key, &asks), (200, 1));
    assert_eq!(put(&certificate, &key, &[]), (200, 1), "without saying so");
    assert_eq!(put(&certificate, &key, &["--tls-max", "1.2"]), (200, 1));
    assert_eq!(put(&certificate, &key, &["--http1.1"]), (200, 1));
    // The right name with another key; and a name that is no administrator's.
    assert_eq!(put(&other, &other_key, &asks), (403, 403));
    assert_eq!(put(&stranger, &stranger_key, &asks), (401, 402));
    // A script for a page of another origin is nobody's.
    let shown = [&certificate, &key].map(|path| path.to_str().unwrap().to_owned());
    let path = format!("/api/handles/0.NA/{PREFIX}?callback=f&index=300");
    let read = ["--cert", &shown[0], "--key", &shown[1]];
    let own = world.https(&path.replace("callback=f&", ""), &read).2;
    assert!(own.contains(SECRET), "{own}");
    let (status, _, script) = world.https(&path, &read);
    assert_eq!(status, 200, "{script}");
    assert!(!script.contains(SECRET), "{script}");
}

#[test]
fn secrets_are_sent_over_tls_and_on_this_machine_only() {
    let world = World::new();
    let (_, _, public) = world.client("own", "/CN=x");
    let world = world.administered(&public);
    let user = format!("300%3A0.NA/{PREFIX}:{SECRET}");
    let put = ["-u", &user, "-X", "PUT", "-d", BODY];
    let path = |name: &str| format!("/api/handles/{PREFIX}/{name}");
    assert_eq!(codes(&world.https(&path("a"), &put)), (200, 1));
    assert_eq!(codes(&curl(&world.node.http(&path("b")), &put)), (200, 1));
}
