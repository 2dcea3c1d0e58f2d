//! Mirrors: a dump, and the changes behind it, make what the node has, whatever is written meanwhile;
//! and backups that a node starts from.

use super::{ADD, CREATE, Client, DELETE, MODIFY, PRIVATE, PUBLIC, World, url};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Done, files_below, open_to_others, success};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Barrier;

const NEXT_TRANSACTION: u32 = 1000;
const DUMP: u32 = 1002;
const BACKUP: u32 = 1003;

/// Values by identifier.
type Mirror = BTreeMap<String, Value>;

impl World {
    /// `idctl handle` as an administrator with this secret.
    fn mirrors(&self, identity: &str, secret: &str, arguments: &[&str]) -> Output {
        let secret = self.file(&format!("secret of {}", identity.replace('/', " ")), secret);
        let handle = self.node.at.handle.to_string();
        let who = [
            "--handle",
            &handle,
            "--identity",
            identity,
            "--secret-file",
            &secret,
        ];
        let mut idctl = self.idctl().command();
        idctl.arg("--json").arg("handle").args(arguments).args(who);
        idnode_tests::run::output(&mut idctl)
    }

    /// The operator's administrator.
    fn operator(&self) -> Client {
        let secret = self.file("operator's secret", "of the operator");
        let command = ["key", "add-administrator", "300:88.118.8/OPERATOR"];
        let key = ["--secret-key-file", &secret];
        self.idctl().run(&[&command[..], &key].concat());
        let identity = ["--identity", "300:88.118.8/OPERATOR"];
        let secret = ["--secret", "of the operator"];
        let mut client = self.client(&[identity, secret].concat());
        client.log_in("88.118.8/OPERATOR", 300);
        client
    }

    fn exported(&self) -> Mirror {
        let mut export = self.idctl().command();
        lines(&success(export.args(["export", "--prefix", "88.118.8"])))
    }
}

fn lines(text: &str) -> Mirror {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let entry = |line: Value| {
        let name = line["identifier"].as_str().unwrap().to_owned();
        (name, line["values"].clone())
    };
    lines.map(entry).collect()
}

#[track_caller]
fn done(output: &Output) -> (String, Value) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let aside = text(&output.stderr);
    assert!(output.status.success(), "{aside}");
    (text(&output.stdout), serde_json::from_str(&aside).unwrap())
}

/// Makes the changes of the log in a mirror, in steps of a few; the number to go on from.
fn follow(world: &World, mirror: &mut Mirror, mut from: u64) -> u64 {
    loop {
        let number = from.to_string();
        let command = [
            "transactions",
            "88.118.8",
            "--from",
            &number,
            "--limit",
            "50",
        ];
        let (text, next) = done(&world.mirrors("300:0.NA/88.118.8", "open sesame", &command));
        for line in text.lines() {
            let change: Value = serde_json::from_str(line).unwrap();
            let name = change["identifier"].as_str().unwrap().to_owned();
            let action = change["action"].as_str().unwrap();
            match action {
                "delete" => drop(mirror.remove(&name)),
                _ => drop(mirror.insert(name, change["values"].clone())),
            }
            assert!(change["number"].as_u64().unwrap() >= from, "{change}");
        }
        let next = next["next"].as_u64().unwrap();
        if text.is_empty() {
            return next;
        }
        from = next;
    }
}

#[test]
fn a_dump_and_the_changes_behind_it_make_a_mirror_while_others_write() {
    let world = World::new();
    let mut owner = world.logged_in();
    let long = "x".repeat(700);
    let name = |number: usize| format!("88.118.8/Part-{number}");
    for number in 0..200 {
        let values = json!([url(1, &long), [2, "COST", "17.20", PRIVATE]]);
        owner.gets(1, CREATE, json!({"handle": name(number), "values": values}));
    }
    // More than one message.
    let dump = owner.gets(1, DUMP, json!({"body": prefixes(&["0.NA/88.118.8"])}));
    assert!(dump["messages"].as_u64() > Some(1), "{dump}");
    let (mut mirror, from) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..150 {
                let handle = name(number);
                match number % 3 {
                    0 => owner.gets(1, DELETE, json!({"handle": handle})),
                    1 => owner.gets(
                        1,
                        MODIFY,
                        json!({"handle": handle, "values": [url(1, "changed")]}),
                    ),
                    _ => owner.gets(
                        1,
                        CREATE,
                        json!({"handle": name(1_000 + number), "values": [url(1, "new")]}),
                    ),
                };
            }
        });
        let output = world.mirrors("300:0.NA/88.118.8", "open sesame", &["dump", "88.118.8"]);
        let (text, aside) = done(&output);
        let mut mirror = lines(&text);
        let from = aside["number"].as_u64().unwrap() + 1;
        let from = follow(&world, &mut mirror, from);
        writer.join().unwrap();
        (mirror, from)
    });
    let from = follow(&world, &mut mirror, from);
    assert_eq!(mirror, world.exported());
    assert_eq!(mirror.len(), 200);
    // Once more from nothing: all is in the log still.
    let mut anew = Mirror::new();
    assert_eq!(follow(&world, &mut anew, 1), from);
    assert_eq!(anew, mirror);
    let next = owner.gets(1, NEXT_TRANSACTION, json!({"body": ""}));
    assert_eq!(next["body"], format!("{from:016x}"), "{next}");
}

#[test]
fn who_may_list_handles_mirrors_what_it_may_read() {
    let world = World::new();
    let mut owner = world.logged_in();
    let works = json!([
        [400, "HS_SECKEY", "of the works", PRIVATE],
        // May list.
        [
            100,
            "HS_ADMIN",
            "hex:08000000000d302e4e412f38382e3131382e3800000190",
            PUBLIC
        ],
    ]);
    owner.gets(1, ADD, json!({"handle": "0.NA/88.118.8", "values": works}));
    let values = json!([url(1, "x"), [2, "COST", "17.20", PRIVATE]]);
    owner.gets(1, CREATE, json!({"handle": "88.118.8/a", "values": values}));
    let mirrored = |command: &[&str]| world.mirrors("400:0.NA/88.118.8", "of the works", command);
    let (text, _) = done(&mirrored(&["dump", "88.118.8"]));
    assert!(text.contains("\"x\"") && !text.contains("17.20"), "{text}");
    let (text, _) = done(&mirrored(&["transactions", "88.118.8", "--from", "1"]));
    assert!(text.contains("create") && !text.contains("17.20"), "{text}");
    for refused in [&["dump"][..], &["transactions", "--from", "1"], &["backup"]] {
        let output = mirrored(refused);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("401"), "{error}");
    }
    // Nor does an enterprise see another's.
    let others = world
        .idctl()
        .verified_enterprise(idnode_tests::api::CODES[1]);
    world.idctl().active_prefix("88.118.9", &others);
    let secret = ("300:0.NA/88.118.8", "open sesame");
    let output = world.mirrors(secret.0, secret.1, &["dump", "88.118.9"]);
    assert!(!output.status.success());
    let (all, _) = done(&world.mirrors(secret.0, secret.1, &["dump"]));
    assert_eq!(lines(&all), world.exported());
}

#[test]
fn a_backup_is_a_registry_that_a_node_starts_from() {
    let world = World::new();
    let mut owner = world.logged_in();
    let handle = "88.118.8/kept";
    owner.gets(
        1,
        CREATE,
        json!({"handle": handle, "values": [url(1, "x")]}),
    );
    drop(world.operator());
    let output = world.mirrors("300:88.118.8/OPERATOR", "of the operator", &["backup"]);
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let before = world.exported();
    owner.gets(1, DELETE, json!({"handle": handle}));
    let name = made["name"].as_str().unwrap();
    let copy = DataDir::empty();
    std::fs::create_dir_all(copy.path()).unwrap();
    let backup = world.dir.path().join("backups").join(name);
    assert_eq!(open_to_others(&world.dir.path()), Vec::<PathBuf>::new());
    let files = files_below(&backup);
    let is_key = |file: &&PathBuf| file.extension().is_some_and(|it| it == "key");
    assert_eq!(files.iter().find(is_key), None, "the node's own key");
    success(
        Command::new("cp")
            .arg("-r")
            .arg(backup)
            .arg(copy.path().join("registry")),
    );
    std::fs::copy(world.dir.token_file(), copy.token_file()).unwrap();
    let node = Node::run_at(&copy, &Addresses::free(), &[]);
    let mut export = node.idctl(Some(&copy.token_file())).command();
    let restored = success(export.args(["export", "--prefix", "88.118.8"]));
    assert_eq!(lines(&restored), before);
    assert!(Done::of(node.idctl(None).command().args(["resolve", handle])).code == 0);
}

/// The answer to a backup while another is made.
pub(super) fn a_second_backup(world: &World) -> Value {
    let mut clients: Vec<_> = (0..4).map(|_| world.operator()).collect();
    for _ in 0..100 {
        let together = Barrier::new(clients.len());
        let ask = |client: &mut Client| {
            together.wait();
            client.send(BACKUP, json!({"body": ""}))
        };
        let ask = &ask;
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let clients = clients.iter_mut();
            let asked: Vec<_> = clients
                .map(|client| scope.spawn(move || ask(client)))
                .collect();
            asked.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let done = answers.iter().filter(|it| it["code"] == 1).count();
        assert!(done > 0, "{answers:?}");
        if let Some(refused) = answers.into_iter().find(|it| it["code"] != 1) {
            return refused;
        }
    }
    panic!("no two backups met");
}

/// Hexadecimal: a list of prefixes, as a dump has it.
pub(super) fn prefixes(names: &[&str]) -> String {
    let text = |name: &&str| {
        let octets: String = name.bytes().map(|octet| format!("{octet:02x}")).collect();
        format!("{:08x}{octets}", name.len())
    };
    let names_written: String = names.iter().map(text).collect();
    format!("{:08x}{names_written}", names.len())
}
