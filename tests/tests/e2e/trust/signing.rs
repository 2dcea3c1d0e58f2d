//! What the node signs, on every way to write.

use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, idnode};
use idnode_tests::run::Done;

use super::world::{HANDLE, ROOT, SIGNER, World, openssl, parts};

#[test]
fn what_is_registered_and_changed_is_signed() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let verdict = world.trusted(HANDLE);
    assert_eq!(verdict["signatures"][0]["issuer"], SIGNER);
    assert_eq!(verdict["signatures"][0]["chain"][1]["subject"], ROOT);
    // Nobody is told of the value that nobody is shown: it has a signature of its own.
    assert_eq!(verdict["values"].as_array().unwrap().len(), 2);
    assert!(
        world
            .data(HANDLE, 401)
            .starts_with("eyJhbGciOiJTTTIyNTYifQ.")
    );

    let first = world.data(HANDLE, 400);
    let update = |more: &[&str]| {
        let update = ["identifier", "update", HANDLE];
        world.idctl.json(&[&update[..], more].concat());
        world.trusted(HANDLE)
    };
    update(&["--value", "1:URL=https://example.com/other"]);
    assert_ne!(world.data(HANDLE, 400), first);
    update(&["--value", "3:EMAIL=a@example.com", "--remove", "2"]);
    // What the caller takes away or replaces as a whole is signed again all the same.
    update(&["--remove", "400"]);
    let verdict = update(&["--value", "400:DESC=在此", "--replace-all"]);
    let indexes = verdict["values"].as_array().unwrap().iter();
    let indexes: Vec<_> = indexes
        .map(|value| value["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [400, 401]);
    // What the registry refuses is refused as without signatures.
    let (code, error) = world
        .idctl
        .refused(&["identifier", "update", HANDLE, "--remove", "77"]);
    assert_eq!(
        (code, &error["reason"]),
        (1, &"VALUE_NOT_FOUND".into()),
        "{error}"
    );
    let conditional = ["identifier", "update", HANDLE, "--value", "5:URL=x"];
    let (_, error) = world
        .idctl
        .refused(&[&conditional[..], &["--expected-version", "1"]].concat());
    assert_eq!(error["reason"], "VERSION_MISMATCH", "{error}");
}

#[test]
fn what_the_signer_may_not_sign_is_left_to_who_may() {
    let world = World::new(&[]);
    let enterprise = world.idctl.verified_enterprise(CODES[1]);
    world.idctl.active_prefix("88.118.9", &enterprise);
    let (key, signer) = (world.path("own.key"), "300:0.NA/88.118.9");
    world
        .idctl
        .json(&["trust-key", "generate", &key, "--algorithm", "sm2"]);
    world.certify(
        "88.118.9",
        &[signer, "--public-key", &world.path("own.key.pub")],
    );
    let handle = "88.118.9/OWN";
    let url = "1:URL=https://example.com/own";
    world
        .idctl
        .json(&["identifier", "create", handle, "--value", url]);
    let faults = world.faults(handle, &[]);
    assert_eq!(faults[0], "the handle has no signature", "{faults:?}");
    let sign = ["sign", "values", handle, "--index", "500"];
    let made = world
        .idctl
        .json(&[&sign[..], &["--signer", signer, "--key", &key]].concat());
    let file = world.path("signature.json");
    std::fs::write(&file, made.to_string()).unwrap();
    world
        .idctl
        .json(&["identifier", "update", handle, "--values-file", &file]);
    let verdict = world.trusted(handle);
    assert_eq!(verdict["signatures"].as_array().unwrap().len(), 1);
}

#[test]
fn the_nodes_signatures_are_in_nobodys_way() {
    let world = World::new(&[]);
    world.register(HANDLE);
    let secret = world.path("secret");
    std::fs::write(&secret, "a secret").unwrap();
    let id = "301:0.NA/88.118.8";
    let add = ["key", "add-administrator", id, "--secret-key-file", &secret];
    world.idctl.json(&add);
    let at = world.node.at.handle.to_string();
    let who = ["--handle", &at, "--identity", id, "--secret-file", &secret];
    let native = |command: &[&'static str]| [&["handle"], command, &who[..]].concat();
    let add = native(&["add-values", HANDLE, "--value", "400:DESC=here"]);
    world.idctl.json(&add);
    let verdict = world.trusted(HANDLE);
    assert_eq!(verdict["values"].as_array().unwrap().len(), 3);
    assert_eq!(world.data(HANDLE, 400), "here");
    // It is there once, for others too.
    let (_, error) = world.idctl.refused(&add);
    assert_eq!(error["metadata"]["response_code"], "201", "{error}");
    // A handle of signatures alone would be none.
    let remove = native(&["remove-values", HANDLE, "1", "2", "400"]);
    let (_, error) = world.idctl.refused(&remove);
    assert_eq!(error["metadata"]["response_code"], "202", "{error}");
    world.trusted(HANDLE);
}

#[test]
fn openssl_verifies_what_the_node_signs() {
    for (algorithm, digest) in [("sm2", "sm3"), ("rsa", "sha256")] {
        let world = World::with_key(algorithm, &[]);
        world.register(HANDLE);
        world.trusted(HANDLE);
        let (input, signature) = parts(&world, &world.data(HANDLE, 400));
        let key = world.path("node.key.pub");
        let mut arguments = vec!["pkeyutl", "-verify", "-pubin", "-inkey", &key, "-rawin"];
        arguments.extend(["-digest", digest, "-in", input.to_str().unwrap()]);
        arguments.extend(["-sigfile", signature.to_str().unwrap()]);
        if algorithm == "sm2" {
            arguments.extend(["-pkeyopt", "distid:1234567812345678"]);
        }
        let said = openssl(&arguments);
        assert!(said.contains("Verified Successfully"), "{said}");
    }
}

#[test]
fn writes_at_once_leave_a_signature_over_what_they_leave() {
    let world = World::new(&[]);
    world.register(HANDLE);
    std::thread::scope(|scope| {
        for index in 10..14 {
            let idctl = &world.idctl;
            scope.spawn(move || {
                for round in 0..5 {
                    let value = format!("{index}:DESC={round}");
                    idctl.json(&["identifier", "update", HANDLE, "--value", &value]);
                }
            });
        }
    });
    let verdict = world.trusted(HANDLE);
    assert_eq!(verdict["values"].as_array().unwrap().len(), 6);
}

#[test]
fn bulk_loads_are_signed_where_the_operator_asks_for_it() {
    for (setting, signed) in [
        ("trust.sign_imports=false", false),
        ("trust.sign_imports=true", true),
    ] {
        let world = World::new(&[setting]);
        let lines: String = (0..50)
            .map(|n| {
                format!(
                    "{{\"identifier\":\"88.118.8/I-{n}\",\"values\":[{{\"index\":1,\
                     \"type\":\"URL\",\"data\":\"https://example.com/{n}\"}}]}}\n"
                )
            })
            .collect();
        let file = world.path("items.jsonl");
        std::fs::write(&file, lines).unwrap();
        let done = world.idctl.run(&["import", &file]);
        assert_eq!(done.code, 0, "{done:?}");
        for handle in ["88.118.8/I-0", "88.118.8/I-49"] {
            match signed {
                true => drop(world.trusted(handle)),
                false => assert_eq!(world.faults(handle, &[])[0], "the handle has no signature"),
            }
        }
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let dir = DataDir::init();
    let key = dir.beside("node.key");
    let text = openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:SM2",
    ]);
    std::fs::write(&key, text).unwrap();
    let run = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let setting = format!("trust.key_file={}", key.display());
        let signer = format!("trust.signer={SIGNER}");
        let mut command = idnode();
        command.arg("run").arg("--data-dir").arg(dir.path());
        command.args(["--set", &setting, "--set", &signer]);
        Done::of(&mut command)
    };
    let done = run(0o644);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("its mode must be 0600"), "{done:?}");
    std::fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let done = run(0o600);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("node.key"), "{done:?}");
}
