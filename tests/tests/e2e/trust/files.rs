//! Verification without a node, and everything that makes it fail.

use serde_json::Value;

use super::world::{HANDLE, ROOT, SIGNER, World};

/// What the node shows of the handle and its certificates, in one file.
fn saved(world: &World) -> String {
    let stranger = world.node.idctl(None);
    let mut text = String::new();
    for handle in [HANDLE, "0.NA/88.118.8", "0.NA/88.118.1"] {
        text.push_str(&stranger.json(&["resolve", handle]).to_string());
        text.push('\n');
    }
    text
}

#[test]
fn files_are_verified_offline_and_every_change_is_found() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let text = saved(&world);
    let file = world.path("saved.json");
    let verify = |text: &str| {
        std::fs::write(&file, text).unwrap();
        world.faults(HANDLE, &["--file", &file])
    };
    std::fs::write(&file, &text).unwrap();
    let (code, verdict) = world.verify(HANDLE, &["--file", &file]);
    assert_eq!(
        (code, &verdict["trusted"]),
        (0, &Value::Bool(true)),
        "{verdict:#}"
    );

    let faults = verify(&text.replace("example.com/a-1", "example.org/a-1"));
    assert_eq!(faults[0], "value 1 is not what signature 400 covers");
    let faults = verify(&text.replacen("\"ttl_s\":86400", "\"ttl_s\":86401", 1));
    assert_eq!(faults[0], "value 1 is not what signature 400 covers");
    let without: Vec<_> = text.lines().take(2).collect();
    let faults = verify(&without.join("\n"));
    assert_eq!(
        faults[0],
        "0.NA/88.118.1 cannot be resolved: 0.NA/88.118.1 is in none of the files"
    );
    let mut first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let values = first["record"]["values"].as_array_mut().unwrap();
    values.remove(0);
    let rest: Vec<_> = text.lines().skip(1).collect();
    let faults = verify(&format!("{first}\n{}", rest.join("\n")));
    assert_eq!(faults, ["signature 400 covers value 1, which is missing"]);
}

#[test]
fn nothing_hides_behind_a_value_that_cannot_be_read() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let text = saved(&world);
    let file = world.path("saved.json");
    let (first, rest) = text.split_once('\n').unwrap();
    let with = |hidden: &[Value]| {
        let mut first: Value = serde_json::from_str(first).unwrap();
        let values = first["record"]["values"].as_array_mut().unwrap();
        values.extend(hidden.iter().cloned());
        std::fs::write(&file, format!("{first}\n{rest}")).unwrap();
    };
    let value = |index: u32, value_type: &str| {
        let data = serde_json::json!({ "format": "string", "value": "https://example.com/" });
        serde_json::json!({ "index": index, "type": value_type, "data": data })
    };
    with(&[value(900, &"T".repeat(2_049)), value(901, "URL")]);
    let faults = world.faults(HANDLE, &["--file", &file]);
    assert!(
        faults[0].starts_with("the values cannot be read: "),
        "{faults:?}"
    );
    let key = world.path("node.key");
    let done = world.node.idctl(None).run(&[
        "sign", "values", HANDLE, "--signer", SIGNER, "--key", &key, "--file", &file,
    ]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("cannot be signed"), "{done:?}");

    let many: Vec<_> = (1_000..3_048).map(|index| value(index, "URL")).collect();
    with(&many);
    let faults = world.faults(HANDLE, &["--file", &file]);
    assert!(
        faults[0].starts_with("the values cannot be read: "),
        "{faults:?}"
    );
    with(&[value(900, "")]);
    let faults = world.faults(HANDLE, &["--file", &file]);
    assert_eq!(
        faults,
        ["value 900 is not covered by a signature that holds"]
    );
}

#[test]
fn another_root_is_not_trusted() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let key = world.path("root.key.pub");
    let own = world.path("node.key.pub");
    let idctl = world.node.idctl(None);
    for (root, key, fault) in [
        ("300:0.NA/88.118.2", &key, "which is not the trusted root"),
        (ROOT, &own, "has another key than the trusted one"),
    ] {
        let arguments = ["verify", HANDLE, "--root", root, "--root-key", key];
        let done = idctl.run(&arguments);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stdout.contains(fault), "{done:?}");
        assert!(done.stdout.contains("NOT TRUSTED"), "{done:?}");
        assert!(done.stderr.contains("is not trusted"), "{done:?}");
    }
    let arguments = [
        "verify",
        HANDLE,
        "--root",
        "0.NA/88.118.1",
        "--root-key",
        &key,
    ];
    let done = idctl.run(&arguments);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.contains("trusted") && done.stdout.contains(SIGNER),
        "{done:?}"
    );
}

#[test]
fn a_prefix_without_permission_is_not_trusted() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let key = world.path("node.key.pub");
    world.certify(
        "88.118.8",
        &[
            SIGNER,
            "--public-key",
            &key,
            "--permission",
            "derivedPrefixes",
            "--permission",
            "handlesUnderThisPrefix=0.NA/88.118.9",
        ],
    );
    let faults = world.faults(HANDLE, &[]);
    assert_eq!(
        faults[0],
        "300:0.NA/88.118.8 has no permission to sign 88.118.8/A-1"
    );
}

#[test]
fn a_handle_is_signed_by_hand() {
    let world = World::new(&["trust.signer="]);
    world.register(HANDLE);
    assert_eq!(world.faults(HANDLE, &[])[0], "the handle has no signature");
    let key = world.path("node.key");
    let sign = [
        "sign", "values", HANDLE, "--signer", SIGNER, "--key", &key, "--index", "9",
    ];
    // As a stranger: what is signed is what everybody may read.
    let made = world.node.idctl(None).json(&sign);
    let file = world.path("signature.json");
    std::fs::write(&file, made.to_string()).unwrap();
    world
        .idctl
        .json(&["identifier", "update", HANDLE, "--values-file", &file]);
    world.trusted(HANDLE);
    for transport in ["udp", "tcp"] {
        let at = world.node.at.handle.to_string();
        let asked = [
            "--front",
            "handle",
            "--handle",
            &at,
            "--transport",
            transport,
        ];
        let (code, verdict) = world.verify(HANDLE, &asked);
        assert_eq!(code, 0, "{verdict:#}");
    }
    let twice = world.idctl.run(&["trust-key", "generate", &key]);
    assert_eq!(twice.code, 2, "{twice:?}");
}
