//! A node that no signer is configured for signs answers with a key of its own (CERT).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use idnode_proto::handle::auth::PublicKey;
use idnode_proto::handle::{OpFlags, Response, ResponseBody, Site};
use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use idnode_tests::run::{Done, curl};
use serde_json::Value;

use super::certified::{Connection, head, over_udp, signed_by, unsigned};

/// How a credential names a key that no handle has.
const NOBODY: &str = "0:";

/// The key that a node's site information shows, HS_PUBKEY data.
fn shown(node: &Node) -> Vec<u8> {
    let request = head(OpFlags::NONE).site_info().unwrap();
    let answer = over_udp(node, &request);
    unsigned(&answer);
    let site = Response::decode(&answer).unwrap();
    site.site().unwrap().servers[0].public_key.clone()
}

#[test]
fn a_new_node_signs_answers_with_the_key_that_its_site_shows() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let idctl = node.idctl(Some(&dir.token_file()));
    let enterprise = idctl.verified_enterprise(CODES[0]);
    idctl.active_prefix("88.118.8", &enterprise);
    let url = "1:URL=https://example.com/a-1";
    idctl.json(&["identifier", "create", "88.118.8/A-1", "--value", url]);
    let data = shown(&node);
    assert!(data.windows(11).any(|it| it == b"RSA_PUB_KEY"));
    let key = PublicKey::decode(&data).unwrap();
    let certified = OpFlags::PUBLIC_ONLY | OpFlags::CERTIFY;
    let mut tcp = Connection::new(&node);
    for (handle, code) in [
        ("88.118.8/A-1", 1),
        ("88.118.8/none", 100),
        ("88.118.9/x", 301),
        ("no handle", 102),
    ] {
        let request = head(certified).resolve(handle, &[], &[]).unwrap();
        for answer in [over_udp(&node, &request), tcp.ask(&request)] {
            assert_eq!(signed_by(NOBODY, &key, &answer).code.0, code, "{handle}");
        }
        let request = head(OpFlags::PUBLIC_ONLY).resolve(handle, &[], &[]);
        unsigned(&tcp.ask(&request.unwrap()));
    }
    // What cannot be done is said by the node, too.
    let question = head(certified).resolve("88.118.8/A-1", &[], &[]).unwrap();
    let mut unknown = question.clone();
    unknown[20..24].copy_from_slice(&55_u32.to_be_bytes());
    for answer in [over_udp(&node, &unknown), tcp.ask(&unknown)] {
        assert_eq!(signed_by(NOBODY, &key, &answer).code.0, 2);
    }
    let delete = head(certified).delete("88.118.8/A-1").unwrap();
    let answer = over_udp(&node, &delete);
    assert_eq!(signed_by(NOBODY, &key, &answer).code.0, 4);
    let answer = tcp.ask(&delete);
    let challenged = signed_by(NOBODY, &key, &answer);
    assert!(matches!(challenged.body, ResponseBody::Challenge(_)));
    // The same key wherever the site is shown.
    let request = head(certified).resolve("0.NA/88.118.8", &[], &["HS_SITE"]);
    let answer = signed_by(NOBODY, &key, &tcp.ask(&request.unwrap()));
    let site = Site::decode(&answer.values()[0].data).unwrap();
    assert_eq!(site.servers[0].public_key, data);
    let (status, _, body) = curl(&node.http("/api/site"), &[]);
    assert_eq!(status, 200, "{body}");
    let site: Value = serde_json::from_str(&body).unwrap();
    let shown = &site["site"]["servers"][0]["publicKey"];
    assert_eq!(shown["value"]["kty"], "RSA", "{site}");
    // What is registered is signed in a signer's name only.
    let verified = Done::of(node.idctl(None).command().args(["resolve", "88.118.8/A-1"]));
    assert!(!verified.stdout.contains("HS_SIGNATURE"), "{verified:?}");
    node.stop();
}

#[test]
fn the_key_is_kept_and_one_that_cannot_be_used_is_said() {
    let dir = DataDir::init();
    let file = dir.path().join("site.key");
    let made = fs::read(&file).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let first = Node::run(&dir);
    let key = shown(&first);
    first.stop();
    let again = Node::run(&dir);
    assert_eq!(shown(&again), key);
    again.stop();
    assert_eq!(fs::read(&file).unwrap(), made);
    // A directory of an older program's has none.
    fs::remove_file(&file).unwrap();
    let another = Node::run(&dir);
    assert_ne!(shown(&another), key);
    another.stop();
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let refused = |reason: &str| {
        let mut command = idnode();
        command.arg("run").arg("--data-dir").arg(dir.path());
        let done = Done::of(command.args(Addresses::free().flags()));
        assert_eq!(done.code, 1, "{done:?}");
        assert!(
            done.stderr.contains("site.key") && done.stderr.contains(reason),
            "{done:?}"
        );
    };
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    refused("0600");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "nonsense").unwrap();
    refused("encodings of a key");
}
