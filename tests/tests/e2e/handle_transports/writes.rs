//! `idctl handle`: handles written over the Handle protocol by the tool itself.

use std::fs;
use std::process::Command;

use idnode_tests::run::{Idctl, success};
use serde_json::{Value, json};

use super::world::{SMALL, World};

/// Who calls, and how the server is reached.
struct Caller<'w> {
    idctl: Idctl,
    world: &'w World,
    options: Vec<String>,
}

impl<'w> Caller<'w> {
    /// Over TCP, unless the options say otherwise. What is read through the API is the operator's.
    fn new(world: &'w World, options: &[&str]) -> Self {
        let tcp = world.node.at.handle.to_string();
        let address = match options.contains(&"tls") {
            true => world.node.at.handle_tls.unwrap().to_string(),
            false => tcp,
        };
        let options = [&["--handle", &address][..], options].concat();
        Self {
            idctl: world.node.idctl(None),
            world,
            options: options.into_iter().map(str::to_owned).collect(),
        }
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let options = self.options.iter().map(String::as_str);
        let own = arguments.iter().copied();
        ["handle"].into_iter().chain(own).chain(options).collect()
    }

    fn done(&self, arguments: &[&str]) -> Value {
        let done = self.idctl.json(&self.arguments(arguments));
        assert_eq!(done["response_code"], 1, "{arguments:?}: {done}");
        done
    }

    /// The server refuses it, with this code.
    #[track_caller]
    fn refused(&self, response_code: u32, arguments: &[&str]) -> Value {
        let (exit_code, error) = self.idctl.refused(&self.arguments(arguments));
        assert_eq!(exit_code, 1, "{error}");
        let code = &error["metadata"]["response_code"];
        assert_eq!(code, &json!(response_code.to_string()), "{error}");
        error
    }

    /// Indexes and data of a handle's values, as the registry has them.
    fn stored(&self, handle: &str) -> Vec<(u64, String)> {
        let operator = self.world.node.idctl(Some(&self.world.dir.token_file()));
        let record = operator.json(&["identifier", "get", handle]);
        let values = record["values"].as_array().unwrap().iter();
        let pair = |value: &Value| {
            let data = value["data"]["value"].as_str().unwrap().to_owned();
            (value["index"].as_u64().unwrap(), data)
        };
        values.map(pair).collect()
    }
}

fn pairs(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let own = expected
        .iter()
        .map(|(index, data)| (*index, (*data).to_owned()));
    own.collect()
}

#[test]
fn a_handle_is_created_changed_and_deleted() {
    let world = World::with(&[]);
    let who = world.administrator("open sesame");
    let who = who.each_ref().map(String::as_str);
    let caller = Caller::new(&world, &who);
    let name = "88.118.8/Written";
    let create = [
        "create",
        name,
        "--value",
        "URL=https://e.cn/1",
        "--value",
        "1:DESC=first",
    ];
    assert_eq!(caller.done(&create)["handle"], name);
    assert_eq!(
        caller.stored(name),
        pairs(&[(1, "first"), (2, "https://e.cn/1")])
    );
    let error = caller.refused(101, &create);
    assert_eq!(
        (&error["code"], &error["reason"]),
        (&json!("ALREADY_EXISTS"), &json!("HANDLE_EXISTS"))
    );
    // People read the code's name, its number, and what the server says.
    let told = caller.idctl.run(&caller.arguments(&create));
    assert_eq!(told.code, 1, "{told:?}");
    for part in ["HANDLE_EXISTS", "101", name] {
        assert!(told.stderr.contains(part), "{part}: {told:?}");
    }

    caller.done(&["add-values", name, "--value", "3:EMAIL=a@e.cn"]);
    caller.refused(201, &["add-values", name, "--value", "3:EMAIL=b@e.cn"]);
    caller.done(&[
        "add-values",
        name,
        "--value",
        "3:EMAIL=c@e.cn",
        "--overwrite",
    ]);
    caller.done(&["modify-values", name, "--value", "1:DESC=changed"]);
    caller.refused(200, &["modify-values", name, "--value", "9:DESC=none"]);
    caller.done(&["remove-values", name, "2"]);
    assert_eq!(caller.stored(name), pairs(&[(1, "changed"), (3, "c@e.cn")]));
    caller.done(&[
        "create",
        name,
        "--overwrite",
        "--value",
        "URL=https://e.cn/2",
    ]);
    assert_eq!(caller.stored(name), pairs(&[(1, "https://e.cn/2")]));

    let minted = caller.done(&[
        "create",
        "88.118.8/",
        "--mint",
        "--value",
        "URL=https://e.cn/m",
    ]);
    let minted = minted["handle"].as_str().unwrap();
    assert!(
        minted.starts_with("88.118.8/") && minted.len() > 20,
        "{minted}"
    );
    assert_eq!(caller.stored(minted), pairs(&[(1, "https://e.cn/m")]));

    let text = success(
        caller
            .idctl
            .command()
            .args(caller.arguments(&["delete", name])),
    );
    assert!(
        text.contains(name) && text.contains("delete handle"),
        "{text}"
    );
    let error = caller.refused(100, &["delete", name]);
    assert_eq!(error["code"], "NOT_FOUND", "{error}");
    caller.refused(
        301,
        &["create", "88.119/x", "--value", "URL=https://e.cn/x"],
    );
    caller.refused(
        102,
        &["create", "no handle", "--value", "URL=https://e.cn/x"],
    );
    world.node.stop();
}

#[test]
fn who_proves_nothing_writes_nothing() {
    let world = World::with(&[]);
    let who = world.administrator("open sesame");
    let path = world.dir.beside("other.secret");
    fs::write(&path, "close sesame").unwrap();
    let path = path.to_str().unwrap();
    let name = "88.118.8/never";
    let create = ["create", name, "--value", "URL=https://e.cn/1"];
    let other = Caller::new(&world, &["--identity", &who[1], "--secret-file", path]);
    let error = other.refused(403, &create);
    let expected = (&json!("UNAUTHENTICATED"), &json!("AUTHENTICATION_FAILED"));
    assert_eq!((&error["code"], &error["reason"]), expected);
    let unknown = Caller::new(
        &world,
        &["--identity", "9:88.118.8/nobody", "--secret-file", path],
    );
    unknown.refused(403, &create);
    let (status, _, _) =
        idnode_tests::run::curl(&world.node.http("/api/handles/88.118.8/never"), &[]);
    assert_eq!(status, 404);

    // What is wrong here is told before anything is sent.
    let who = who.each_ref().map(String::as_str);
    let caller = Caller::new(&world, &who);
    let no_key = Caller::new(&world, &["--identity", who[1], "--key-file", path]);
    let none = Caller::new(&world, &[]);
    for (caller, arguments, part) in [
        (
            &caller,
            &["add-values", name, "--value", "URL=x"][..],
            "index",
        ),
        (&caller, &["create", name], "--value"),
        (&caller, &["remove-values", name], "INDEX"),
        (&no_key, &create, "encodings of a key"),
        (&none, &create, "--identity"),
    ] {
        let (code, error) = caller.idctl.refused(&caller.arguments(arguments));
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    let (idctl, arguments) = (caller.idctl.clone(), caller.arguments(&create));
    let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
    world.node.stop();
    // Nobody is there any more.
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (code, error) = idctl.refused(&arguments);
    assert_eq!(
        (code, &error["reason"]),
        (1, &json!("UNREACHABLE")),
        "{error}"
    );
}

#[test]
fn a_private_key_writes_over_tls_to_the_server_that_was_meant() {
    let world = World::with(&[]);
    let private = world.dir.beside("key.pem").to_str().unwrap().to_owned();
    let public = world.dir.beside("public.pem").to_str().unwrap().to_owned();
    let mut make = Command::new("openssl");
    success(make.args(["genpkey", "-algorithm", "ED25519", "-out", &private]));
    let mut show = Command::new("openssl");
    success(show.args(["pkey", "-pubout", "-in", &private, "-out", &public]));
    let id = "300:88.118.8/STAFF";
    world.has_administrator(id, ["--public-key-file", &public]);
    let authority = world.files.authority.to_str().unwrap();
    let key = [
        "--identity",
        id,
        "--key-file",
        &private,
        "--transport",
        "tls",
    ];
    let named = ["--server-name", crate::dns_transports::world::HOST];
    let trusting = [&key[..], &named, &["--ca", authority]].concat();
    let caller = Caller::new(&world, &trusting);
    let name = "88.118.8/over-tls";
    caller.done(&["create", name, "--value", "5:URL=https://e.cn/tls"]);
    assert_eq!(caller.stored(name), pairs(&[(5, "https://e.cn/tls")]));

    // Another name, another authority: nothing is sent.
    let elsewhere = ["--server-name", "other.test", "--ca", authority];
    let stranger = world.files.certificate.to_str().unwrap();
    let untrusted = [&named[..], &["--ca", stranger]].concat();
    for options in [&elsewhere[..], &untrusted] {
        let caller = Caller::new(&world, &[&key[..], options].concat());
        let (code, error) = caller.idctl.refused(&caller.arguments(&["delete", name]));
        assert_eq!(
            (code, &error["reason"]),
            (1, &json!("UNREACHABLE")),
            "{error}"
        );
        assert!(
            error["message"].as_str().unwrap().contains("TLS"),
            "{error}"
        );
    }
    assert_eq!(caller.stored(name), pairs(&[(5, "https://e.cn/tls")]));
    world.node.stop();
}

#[test]
fn a_list_of_several_messages_is_whole() {
    let world = World::with(&[]);
    let who = world.administrator("open sesame");
    let who = who.each_ref().map(String::as_str);
    let caller = Caller::new(&world, &who);
    // Names of more than 64 KiB twice over, which is the most of one message.
    let padding = "x".repeat(100);
    let names: Vec<_> = (0..1500)
        .map(|number| format!("88.118.8/{padding}-{number:04}"))
        .collect();
    let rows: String = names
        .iter()
        .map(|name| format!("{name},URL,https://e.cn/\n"))
        .collect();
    let file = world.dir.beside("many.csv");
    fs::write(&file, format!("identifier,type,data\n{rows}")).unwrap();
    let operator = world.node.idctl(Some(&world.dir.token_file()));
    operator.json(&["import", file.to_str().unwrap()]);
    for prefix in ["88.118.8", "0.na/88.118.8"] {
        let listed = caller.idctl.json(&caller.arguments(&["list", prefix]));
        let listed = listed["handles"].as_array().unwrap();
        assert_eq!(listed.len(), names.len() + SMALL as usize + 2);
        let long = listed
            .iter()
            .filter(|name| name.as_str().unwrap().len() > 100);
        assert!(long.eq(names.iter()), "in their order, each once");
    }
    let text = success(
        caller
            .idctl
            .command()
            .args(caller.arguments(&["list", "88.118.8"])),
    );
    // People get a line for each.
    assert_eq!(text.lines().count(), names.len() + SMALL as usize + 2);
    assert!(text.lines().any(|line| line == names[1499]));
    caller.refused(301, &["list", "88.119"]);
    // A list of nothing is one, too.
    let nothing = caller
        .idctl
        .json(&caller.arguments(&["list-prefixes", "88.120"]));
    assert_eq!(nothing, json!({"prefixes": []}));
    for log_in in ["proof", "password"] {
        let list = ["list-prefixes", "88.118", "--log-in", log_in];
        let listed = caller.idctl.json(&caller.arguments(&list));
        assert_eq!(listed, json!({"prefixes": ["0.NA/88.118.8"]}), "{log_in}");
    }
    let wrong = world.dir.beside("wrong");
    fs::write(&wrong, "another").unwrap();
    let who = [
        "--identity",
        who[1],
        "--secret-file",
        wrong.to_str().unwrap(),
    ];
    let stranger = Caller::new(&world, &who);
    for log_in in ["proof", "password"] {
        stranger.refused(403, &["list-prefixes", "88.118", "--log-in", log_in]);
    }
    world.node.stop();
}
