//! pyhandle, the REST client of European data centres, with the integration tests of its own
//! source distribution, which pip fetches once into the build's directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_tests::api::{Api, CODES};
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{curl, python_client, success};
use serde_json::json;
use tokio::runtime::Runtime;

/// Debian's: it has what pyhandle imports.
const PYTHON: &str = "/usr/bin/python3";
const VERSION: &str = "1.5.0";
const PREFIX: &str = "21.T14999";
/// The administrator that the tests' records name.
const USER: &str = "21.T14999/B2HANDLE_INTEGRATION_TESTS";
const SECRET: &str = "a secret for tests 例";

/// What does not pass, each with what its outcome says: the tests are older than the client.
const FAILING: [(&str, &str); 8] = [
    // Asks the worldwide resolver, not the server under test.
    ("test_global_resolve", "hdl.handle.net"),
    // The argument additional_URLs was removed from the client.
    ("test_register_handle", "additional_URLs"),
    // Here the client makes a value of it whose data is a list; then a removed method is called.
    ("test_generate_and_register_handle", "HTTP Status Code: 400"),
    // Expects None, the client raises an exception.
    ("test_delete_handle_inexistent", "HandleNotFoundException"),
    // Credentials must name a kind of client by now, and these name none: nothing is sent.
    ("test_instantiate_with_credentials", CLIENT),
    ("test_instantiate_with_credentials_config", CLIENT),
    ("test_instantiate_with_credentials_config_override", CLIENT),
    ("test_instantiate_with_credentials_inexistentuser", CLIENT),
];
const CLIENT: &str = "Client not provided or empty";

/// The source distribution.
fn distribution() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyhandle");
    let archive = cache.join(format!("pyhandle-{VERSION}.tar.gz"));
    if !archive.is_file() {
        let wanted = format!("pyhandle=={VERSION}");
        success(
            Command::new(PYTHON)
                .args(["-m", "pip", "download", "--quiet", "--no-deps"])
                .args(["--no-binary", ":all:", "--dest"])
                .arg(&cache)
                .arg(wanted),
        );
    }
    archive
}

/// Sends values to a handle as the holder of a token.
fn put(node: &Node, token: &str, handle: &str, values: &serde_json::Value) {
    let authorization = format!("Authorization: Bearer {token}");
    let body = values.to_string();
    let (status, _, answer) = curl(
        &node.http(&format!("/api/handles/{handle}")),
        &["-X", "PUT", "-H", &authorization, "-d", &body],
    );
    assert_eq!(status, 200, "{handle}: {answer}");
}

fn administered_by(index: u32, handle: &str) -> serde_json::Value {
    json!({"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": {
        "handle": handle, "index": index, "permissions": "111111111111"
    }}})
}

#[test]
fn its_own_integration_tests_pass_but_for_those_of_what_it_no_longer_does() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let token = dir.token();
    Runtime::new().unwrap().block_on(async {
        let api = Api::connect(&node.url(), Some(&token)).await.unwrap();
        let enterprise = api.verified_enterprise(CODES[0]).await;
        api.active_prefix(PREFIX, &enterprise).await;
    });
    let admin = administered_by(300, USER);
    let secret = json!({"index": 300, "type": "HS_SECKEY", "data": SECRET, "permissions": "1100"});
    put(&node, &token, USER, &json!([admin, secret]));
    put(
        &node,
        &token,
        &format!("0.NA/{PREFIX}?index=various"),
        &json!([admin]),
    );
    let read = json!([
        admin,
        {"index": 111, "type": "TEST1", "data": "val1"},
        {"index": 2222, "type": "TEST2", "data": "val2"},
        {"index": 333, "type": "TEST3", "data": "val3"},
        {"index": 4, "type": "TEST4", "data": "val4"},
    ]);
    put(&node, &token, &format!("{PREFIX}/read"), &read);

    let url = node.http("");
    let values = json!({
        "user": format!("300:{USER}"),
        "password": SECRET,
        "handle_server_url_read": url,
        "handle_server_url_write": url,
        "url_extension_REST_API": "/api/handles/",
        "handle_for_read_tests": format!("{PREFIX}/read"),
        "handle_globally_resolvable": "11022/0000-0000-9E48-F",
        "handle_to_be_created": format!("{PREFIX}/created"),
        "handle_to_be_modified": format!("{PREFIX}/modified"),
        "HTTPS_verify": true,
    });
    let file = dir.beside("values.json");
    fs::write(&file, values.to_string()).unwrap();
    let suite = python_client("pyhandle_suite.py");
    let printed = success(
        Command::new(PYTHON)
            .arg(suite)
            .arg(distribution())
            .arg(&file)
            // The worldwide resolver is nobody's to ask in a test.
            .env("https_proxy", "http://127.0.0.1:9")
            .env("no_proxy", "127.0.0.1"),
    );
    let outcomes: BTreeMap<String, String> = serde_json::from_str(&printed).unwrap();
    assert_eq!(outcomes.len(), 30, "{printed}");
    for (name, outcome) in &outcomes {
        match FAILING.iter().find(|(failing, _)| failing == name) {
            None => assert_eq!(outcome, "ok", "{name}"),
            Some((_, why)) => assert!(outcome.contains(why), "{name}: {outcome}"),
        }
    }
    for (name, _) in FAILING {
        assert!(outcomes.contains_key(name), "{name}");
    }
}
