//! Handles administered over the Handle protocol, by a client that shares no code with the node.

mod codes;
mod elsewhere;
mod guesses;
mod mirror;
mod pipelined;
mod sessions;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, curl, python_client, success};
use serde_json::{Value, json};

const CREATE: u32 = 100;
const DELETE: u32 = 101;
const ADD: u32 = 102;
const REMOVE: u32 = 103;
const MODIFY: u32 = 104;
const LIST: u32 = 105;
const HOME: u32 = 300;
const UNHOME: u32 = 301;
const LIST_PREFIXES: u32 = 302;
const LOGIN: u32 = 2001;
const PUBLIC_ONLY: u32 = 0x0100_0000;
const OVERWRITE: u32 = 0x0040_0000;
const MINT: u32 = 0x0020_0000;
const NO_REFERRAL: u32 = 0x0010_0000;
/// Owner reads and writes, everybody reads.
const PUBLIC: u32 = 0b1110;
/// Owner reads and writes.
const PRIVATE: u32 = 0b1100;

/// A node with a prefix and its enterprise.
struct World {
    dir: DataDir,
    node: Node,
    enterprise: String,
}

impl World {
    fn new() -> Self {
        Self::with(DataDir::init(), &[])
    }

    /// With settings of the node's.
    fn with(dir: DataDir, settings: &[&str]) -> Self {
        let arguments: Vec<_> = settings.iter().flat_map(|it| ["--set", it]).collect();
        let node = Node::run_at(&dir, &Addresses::free(), &arguments);
        let idctl = node.idctl(Some(&dir.token_file()));
        let enterprise = idctl.verified_enterprise(CODES[0]);
        idctl.active_prefix("88.118.8", &enterprise);
        Self {
            dir,
            node,
            enterprise,
        }
    }

    fn idctl(&self) -> Idctl {
        self.node.idctl(Some(&self.dir.token_file()))
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.dir.beside(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Whoever proves the key is the enterprise.
    fn has_administrator(&self, identity: &str, key: [&str; 2]) {
        let enterprise = ["--enterprise-id", &self.enterprise];
        let arguments = [
            &["key", "add-administrator", identity][..],
            &key,
            &enterprise,
        ];
        self.idctl().json(&arguments.concat());
    }

    /// RSA keys: the private one's file and the public one's.
    fn rsa_keys(&self) -> (String, String) {
        self.keys("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"])
    }

    /// Keys by openssl, likewise.
    fn keys(&self, algorithm: &str, options: &[&str]) -> (String, String) {
        let (private, public) = (self.dir.beside("key.pem"), self.dir.beside("public.pem"));
        let mut make = Command::new("openssl");
        make.args(["genpkey", "-algorithm", algorithm])
            .args(options);
        success(make.arg("-out").arg(&private));
        let mut show = Command::new("openssl");
        show.args(["pkey", "-pubout", "-in"]).arg(&private);
        success(show.arg("-out").arg(&public));
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        (text(private), text(public))
    }

    fn client(&self, options: &[&str]) -> Client {
        Client::start(&self.node, options)
    }

    /// A client that has logged in with the secret of the enterprise's administrator.
    fn logged_in(&self) -> Client {
        let secret = self.file("secret", "open sesame");
        self.has_administrator("300:0.NA/88.118.8", ["--secret-key-file", &secret]);
        let mut client = self.client(&["--secret", "open sesame"]);
        client.log_in("0.NA/88.118.8", 300);
        client
    }
}

/// The client's process.
struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn start(node: &Node, options: &[&str]) -> Self {
        let script = python_client("handle_admin.py");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .args(options)
            .arg(node.at.handle.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn run(&mut self, command: Value) -> Value {
        writeln!(self.stdin, "{command}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{command}: {error}: {line:?}"))
    }

    fn send(&mut self, op: u32, fields: Value) -> Value {
        let mut command = json!({"do": "send", "op": op});
        let all = command.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        self.run(command)
    }

    fn prove(&mut self) -> Value {
        self.run(json!({"do": "prove"}))
    }

    /// As the netty clients do it: a session id of their own, no length of a credential.
    fn log_in(&mut self, handle: &str, index: u32) {
        let asked = self.send(
            LOGIN,
            json!({"handle": handle, "index": index, "session": 10_001, "no_credential": true,
                   "flags": 0x1080_0000}),
        );
        assert_eq!(
            (&asked["code"], &asked["op"]),
            (&json!(402), &json!(LOGIN)),
            "{asked}"
        );
        assert_eq!(
            (&asked["session"], &asked["challenge"]),
            (&json!(10_001), &json!(16))
        );
        assert_eq!(asked["digest"], "sha256");
        let answer = self.prove();
        assert_eq!(
            (&answer["code"], &answer["op"]),
            (&json!(1), &json!(LOGIN)),
            "{answer}"
        );
        assert_eq!(answer["session"], 10_001);
    }

    #[track_caller]
    fn gets(&mut self, code: u32, op: u32, fields: Value) -> Value {
        let answer = self.send(op, fields.clone());
        assert_eq!(answer["code"], code, "{op} {fields}: {answer}");
        assert_eq!(answer["op"], op, "{answer}");
        answer
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn url(index: u32, url: &str) -> Value {
    json!([index, "URL", url, PUBLIC])
}

#[test]
fn a_log_in_lets_a_connection_write() {
    let world = World::new();
    let mut client = world.logged_in();
    let handle = "88.118.8/Native-1";
    let values = json!([
        url(1, "https://example.com/1"),
        [3, "COST", "17.20", PRIVATE]
    ]);
    client.gets(
        1,
        CREATE,
        json!({"handle": handle, "values": values, "session": 10_001}),
    );
    // The client writes a time of 2023; when a value changed is the node's to say.
    let (status, _, body) = curl(&world.node.http(&format!("/api/handles/{handle}")), &[]);
    assert_eq!(status, 200, "{body}");
    assert!(!body.contains("\"timestamp\":\"2023"), "{body}");
    client.gets(
        101,
        CREATE,
        json!({"handle": handle, "values": [url(1, "x")]}),
    );
    client.gets(
        1,
        ADD,
        json!({"handle": handle, "values": [url(2, "https://example.com/2")]}),
    );
    client.gets(
        201,
        ADD,
        json!({"handle": handle, "values": [url(2, "again")]}),
    );
    client.gets(
        200,
        MODIFY,
        json!({"handle": handle, "values": [url(9, "nothing there")]}),
    );
    client.gets(
        1,
        MODIFY,
        json!({"handle": handle, "values": [url(2, "https://example.com/two")]}),
    );
    let over = json!({"handle": handle, "values": [url(2, "https://example.com/over")],
                      "flags": OVERWRITE});
    client.gets(1, ADD, over);
    client.gets(1, REMOVE, json!({"handle": handle, "indexes": [1]}));
    // What it has written is there on other fronts, spelled as it was registered.
    let (status, _, body) = curl(&world.node.http("/api/handles/88.118.8/native-1"), &[]);
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("https://example.com/over") && !body.contains("17.20"),
        "{body}"
    );
    let record = world.idctl().json(&["identifier", "get", handle]);
    assert!(record.to_string().contains("Native-1"), "{record}");
    // The log in also lets it read what is not public.
    let all = client.gets(1, 1, json!({"handle": handle}));
    let indexes: Vec<_> = all["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v[0])
        .collect();
    assert_eq!(indexes, [2, 3], "{all}");
    let public = client.gets(1, 1, json!({"handle": handle, "flags": PUBLIC_ONLY}));
    assert_eq!(public["values"].as_array().unwrap().len(), 1);
    client.gets(1, DELETE, json!({"handle": handle}));
    client.gets(100, 1, json!({"handle": handle}));
    client.gets(100, DELETE, json!({"handle": "88.118.8/never"}));
    let overwritten = json!({"handle": handle, "values": [url(1, "anew")], "flags": OVERWRITE});
    client.gets(1, CREATE, overwritten.clone());
    client.gets(1, CREATE, overwritten);
    let minted = json!({"handle": "88.118.8/", "values": [url(1, "minted")], "flags": MINT});
    let minted = client.gets(1, CREATE, minted);
    let body = minted["body"].as_str().unwrap();
    let name = String::from_utf8(data_of(body)).unwrap();
    assert!(name.starts_with("88.118.8/") && name.len() > 20, "{name}");
    client.gets(1, 1, json!({"handle": name}));
    // Another's prefix, or none, is not for it; a wrong value is told.
    let templates = json!([[400, "HS_NAMESPACE", "<namespace><if/></namespace>", PUBLIC]]);
    let broken = client.gets(
        202,
        ADD,
        json!({"handle": "0.NA/88.118.8", "values": templates}),
    );
    assert!(
        broken["text"].as_str().unwrap().contains("<if>"),
        "{broken}"
    );
    client.gets(
        301,
        CREATE,
        json!({"handle": "88.119/x", "values": [url(1, "x")]}),
    );
    client.gets(
        202,
        CREATE,
        json!({"handle": "88.118.8/none", "values": []}),
    );
    client.gets(
        102,
        CREATE,
        json!({"handle": "no handle", "values": [url(1, "x")]}),
    );
}

/// The data of an HS_ADMIN value (RFC 3651 §3.2.1), as the client takes it.
fn hs_admin(handle: &str, index: u32, rights: u32) -> String {
    let length = format!("{:08x}", handle.len());
    let text: String = handle.bytes().map(|octet| format!("{octet:02x}")).collect();
    format!("hex:{rights:04x}{length}{text}{index:08x}")
}

/// The string in a hexadecimal body: its length, then its bytes.
fn data_of(hex: &str) -> Vec<u8> {
    let octets: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    octets[4..].to_vec()
}

#[test]
fn a_challenge_is_answered_on_its_connection_or_another_and_once() {
    let world = World::new();
    let secret = world.file("secret", "open sesame");
    world.has_administrator("300:0.NA/88.118.8", ["--secret-key-file", &secret]);
    for (n, older) in [(1, &[][..]), (2, &["--older", "--version", "2.3"])] {
        let options = [&["--secret", "open sesame"][..], older].concat();
        let mut client = world.client(&options);
        for reconnect in [false, true] {
            let handle = format!("88.118.8/C-{n}-{reconnect}");
            let asked = client.gets(
                402,
                CREATE,
                json!({"handle": handle, "values": [url(1, "x")]}),
            );
            assert_ne!(asked["session"], 0, "{asked}");
            if reconnect {
                client.run(json!({"do": "connect"}));
            }
            let done = client.prove();
            assert_eq!(
                (&done["code"], &done["op"]),
                (&json!(1), &json!(CREATE)),
                "{done}"
            );
            let again = client.prove();
            assert_eq!(again["code"], 405, "a replayed answer: {again}");
            assert_eq!(
                client.gets(1, 1, json!({"handle": handle}))["values"][0][2],
                "x"
            );
        }
    }
    let mut client = world.client(&["--secret", "open sesame"]);
    let create = json!({"handle": "88.118.8/wrong", "values": [url(1, "x")]});
    client.gets(402, CREATE, create.clone());
    let wrong = client.run(json!({"do": "prove", "wrong": true}));
    assert_eq!(wrong["code"], 403, "{wrong}");
    assert_eq!(client.prove()["code"], 405, "one try for each challenge");
    // A forged session id finds nobody's challenge on another connection.
    client.gets(402, CREATE, create.clone());
    client.run(json!({"do": "connect"}));
    let forged = client.run(json!({"do": "prove", "session": 4_711}));
    assert_eq!(forged["code"], 405, "{forged}");
    client.gets(100, 1, json!({"handle": "88.118.8/wrong"}));
    // Another secret, and one whose derivation would take for ever.
    for options in [["--secret", "other"], ["--iterations", "2000000000"]] {
        let secret = ["--secret", "open sesame"];
        let mut client = world.client(&[&secret[..], &options].concat());
        client.gets(402, CREATE, create.clone());
        assert_eq!(client.prove()["code"], 403);
    }
    let mut unknown = world.client(&["--secret", "x", "--identity", "301:0.NA/88.118.8"]);
    unknown.gets(402, CREATE, create);
    assert_eq!(unknown.prove()["code"], 403);
}

#[test]
fn rights_come_from_hs_admin_values() {
    let world = World::new();
    // Identity 300 has a key in the prefix's values; HS_ADMIN 100 lets it add and list handles.
    let admin = |rights, index| hs_admin("0.NA/88.118.8", index, rights);
    let secret = world.file("secret", "open sesame");
    world.has_administrator("300:0.NA/88.118.8", ["--secret-key-file", &secret]);
    let mut owner = world.client(&["--secret", "open sesame"]);
    owner.log_in("0.NA/88.118.8", 300);
    let values = json!([
        [400, "HS_SECKEY", "of the works", PRIVATE],
        [100, "HS_ADMIN", admin(0x0801, 400), PUBLIC],
    ]);
    owner.gets(1, ADD, json!({"handle": "0.NA/88.118.8", "values": values}));
    let works = [
        "--secret",
        "of the works",
        "--identity",
        "400:0.NA/88.118.8",
    ];
    let mut works = world.client(&works);
    works.log_in("0.NA/88.118.8", 400);
    let own = json!([url(1, "x"), [100, "HS_ADMIN", admin(0x0012, 400), PUBLIC]]);
    works.gets(1, CREATE, json!({"handle": "88.118.8/own", "values": own}));
    works.gets(
        1,
        MODIFY,
        json!({"handle": "88.118.8/own", "values": [url(1, "y")]}),
    );
    works.gets(
        401,
        ADD,
        json!({"handle": "88.118.8/own", "values": [url(2, "z")]}),
    );
    works.gets(
        401,
        REMOVE,
        json!({"handle": "88.118.8/own", "indexes": [1]}),
    );
    works.gets(1, DELETE, json!({"handle": "88.118.8/own"}));
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/others", "values": [url(1, "x")]}),
    );
    works.gets(
        400,
        MODIFY,
        json!({"handle": "88.118.8/others", "values": [url(1, "y")]}),
    );
    let listed = works.gets(1, LIST, json!({"handle": "0.NA/88.118.8"}));
    assert_eq!(listed["handles"], json!(["88.118.8/others"]));
    // Prefixes are another right.
    let below = json!({"handle": "0.NA/88.118.8"});
    works.gets(401, LIST_PREFIXES, below.clone());
    let more = admin(0x1801, 400);
    let more = json!({"handle": "0.NA/88.118.8", "values": [[100, "HS_ADMIN", more, PUBLIC]]});
    owner.gets(1, MODIFY, more);
    let listed = works.gets(1, LIST_PREFIXES, below);
    assert_eq!(listed["handles"], json!(["0.NA/88.118.8"]));
    // A key that is taken away opens nothing any more, not even where it has logged in.
    owner.gets(
        1,
        REMOVE,
        json!({"handle": "0.NA/88.118.8", "indexes": [400]}),
    );
    // Not 402, ever: one client takes that for success once it has logged in.
    let late = json!({"handle": "88.118.8/late", "values": [url(1, "x")]});
    for _ in 0..3 {
        works.gets(403, CREATE, late.clone());
    }
    works.gets(1, 1, json!({"handle": "88.118.8/others"}));
}

/// Refused, not challenged, until it logs in anew.
#[test]
fn who_could_not_log_in_is_told_so_with_every_change() {
    let world = World::new();
    world.logged_in();
    let mut client = world.client(&["--secret", "open sesame"]);
    let create = json!({"handle": "88.118.8/a", "values": [url(1, "x")]});
    let log_in = json!({"handle": "0.NA/88.118.8", "index": 300, "session": 10_001,
                        "no_credential": true, "flags": 0x1080_0000});
    client.gets(402, LOGIN, log_in);
    let wrong = client.run(json!({"do": "prove", "wrong": true}));
    assert_eq!((&wrong["code"], &wrong["op"]), (&json!(403), &json!(LOGIN)));
    for _ in 0..2 {
        client.gets(403, CREATE, create.clone());
    }
    client.log_in("0.NA/88.118.8", 300);
    client.gets(1, CREATE, create);
    // Of several values to remove one that is not there: none is removed, and it is told which.
    let removed = json!({"handle": "88.118.8/a", "indexes": [1, 9]});
    let missing = client.gets(200, REMOVE, removed);
    assert!(missing["text"].as_str().unwrap().contains('9'), "{missing}");
    assert_eq!(
        client.gets(1, 1, json!({"handle": "88.118.8/a"}))["values"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// What the netty clients of one SDK do, on one connection and in this order.
#[test]
fn a_connection_with_a_session_of_the_client_s_choice_is_logged_in_and_used() {
    let world = World::new();
    world.logged_in();
    let mut client = world.client(&["--secret", "open sesame", "--version", "2.10"]);
    let with = |mut fields: Value| {
        fields["session"] = 10_001.into();
        fields["flags"] = 0x1900_0000.into();
        fields["no_credential"] = true.into();
        fields
    };
    let site = client.gets(1, 2, with(json!({"handle": "/"})));
    assert_eq!(site["session"], 10_001, "{site}");
    client.log_in("0.NA/88.118.8", 300);
    let values = json!([url(1, "x"), [100, "EMAIL", "a@example.com", PUBLIC]]);
    let create = with(json!({"handle": "88.118.8/netty", "values": values}));
    let created = client.gets(1, CREATE, create.clone());
    assert_eq!(
        (&created["op"], &created["session"]),
        (&json!(CREATE), &json!(10_001))
    );
    client.gets(101, CREATE, create);
    let mut resolve = with(json!({"handle": "88.118.8/netty"}));
    // One more field behind the types, mostly empty.
    let handle: String = b"88.118.8/netty"
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    resolve["body"] = format!("0000000e{handle}000000000000000000000000").into();
    let resolved = client.gets(1, 1, resolve);
    assert_eq!(resolved["values"].as_array().unwrap().len(), 2);
    client.gets(
        1,
        REMOVE,
        with(json!({"handle": "88.118.8/netty", "indexes": [100]})),
    );
    client.gets(1, DELETE, with(json!({"handle": "88.118.8/netty"})));
}

/// What the other SDK does: no session, a credential's length, an old version that suggests a newer
/// one; its log-in by password is shaped as a resolution.
#[test]
fn a_connection_without_a_session_is_logged_in_and_used() {
    let world = World::new();
    world.logged_in();
    let options = [
        "--secret",
        "open sesame",
        "--version",
        "2.3",
        "--suggests",
        "10",
    ];
    for by_password in [false, true] {
        let mut client = world.client(&options);
        client.gets(1, 2, json!({"handle": "/"}));
        if by_password {
            let log_in = json!({"handle": "300:0.NA/88.118.8", "types": ["open sesame"]});
            client.gets(1, 2000, log_in);
        } else {
            let log_in = json!({"handle": "0.NA/88.118.8", "index": 300, "flags": 0x0080_0000});
            let asked = client.gets(402, LOGIN, log_in);
            assert_eq!(
                (&asked["op"], &asked["session"]),
                (&json!(LOGIN), &json!(0))
            );
            let done = client.prove();
            assert_eq!(
                (&done["code"], &done["op"], &done["session"]),
                (&json!(1), &json!(LOGIN), &json!(0)),
                "{done}"
            );
        }
        let handle = format!("88.118.8/id-{by_password}");
        client.gets(
            1,
            CREATE,
            json!({"handle": handle, "values": [url(1, "x")]}),
        );
        let modify = json!({"handle": handle, "values": [url(1, "y")]});
        client.gets(1, MODIFY, modify);
        let read = client.gets(1, 1, json!({"handle": handle}));
        assert_eq!(read["values"][0][2], "y");
        client.gets(1, DELETE, json!({"handle": handle}));
    }
}

#[test]
fn old_clients_prove_themselves_by_sha_1() {
    let world = World::new();
    let dsa = world.dir.beside("dsa.pem");
    let public = world.dir.beside("dsa.pub");
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (dsa, dsa_public) = (text(dsa), text(public));
    let openssl = |arguments: &[&str]| success(Command::new("openssl").args(arguments));
    // As keys of old are: 1,024 bits, 160 in the subgroup.
    let parameters = text(world.dir.beside("dsa.parameters"));
    let sizes = [
        "-pkeyopt",
        "dsa_paramgen_bits:1024",
        "-pkeyopt",
        "dsa_paramgen_q_bits:160",
    ];
    let make = [
        "genpkey",
        "-genparam",
        "-algorithm",
        "DSA",
        "-out",
        &parameters,
    ];
    openssl(&[&make[..], &sizes].concat());
    openssl(&["genpkey", "-paramfile", &parameters, "-out", &dsa]);
    openssl(&["pkey", "-pubout", "-in", &dsa, "-out", &dsa_public]);
    let (rsa, rsa_public) = world.rsa_keys();
    for (index, key, public) in [(301, &rsa, &rsa_public), (302, &dsa, &dsa_public)] {
        let identity = format!("{index}:0.NA/88.118.8");
        world.has_administrator(&identity, ["--public-key-file", public]);
        for version in ["2.1", "2.6"] {
            let suggests = &version[2..];
            let options = [
                "--identity",
                &identity,
                "--key",
                key,
                "--sha1",
                "--version",
                version,
                "--suggests",
                suggests,
            ];
            let mut client = world.client(&options);
            let handle = format!("88.118.8/old-{index}-{suggests}");
            let create = json!({"handle": handle, "values": [url(1, "x")]});
            client.gets(402, CREATE, create);
            let done = client.prove();
            assert_eq!(done["code"], 1, "{index} {version}: {done}");
        }
    }
}

/// By the operator's administrator: a prefix is taken from the node, and brought back.
#[test]
fn prefixes_are_homed_and_unhomed() {
    let world = World::new();
    let mut owner = world.logged_in();
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/a", "values": [url(1, "x")]}),
    );
    let key = world.file("operator", "of the node");
    let add = [
        "key",
        "add-administrator",
        "301:0.NA/88.118",
        "--secret-key-file",
        &key,
    ];
    world.idctl().json(&add);
    let operator = ["--secret", "of the node", "--identity", "301:0.NA/88.118"];
    let mut operator = world.client(&operator);
    operator.log_in("0.NA/88.118", 301);
    let prefix = json!({"handle": "0.NA/88.118.8"});
    owner.gets(401, UNHOME, prefix.clone());
    let read = json!({"handle": "88.118.8/a"});
    let mut reader = world.client(&[]);
    reader.gets(1, 1, read.clone());
    operator.gets(1, UNHOME, prefix.clone());
    reader.gets(301, 1, read.clone());
    operator.gets(1, HOME, prefix.clone());
    reader.gets(1, 1, read.clone());
    // One that others serve is served here again when its owner says so.
    let delegate = [
        "prefix",
        "delegate",
        "88.118.8",
        "--service",
        "192.0.2.1,tcp:2641",
    ];
    world.idctl().json(&delegate);
    let referred = reader.send(1, read.clone());
    assert!(
        [302, 303].contains(&referred["code"].as_u64().unwrap()),
        "{referred}"
    );
    // Who has the handles has the list of them: what resolution says of them, listing says, too.
    for (code, flags) in [(referred["code"].as_u64().unwrap(), 0), (301, NO_REFERRAL)] {
        let fields = json!({"handle": "88.118.8/a", "flags": flags});
        assert_eq!(reader.send(1, fields)["code"], code);
        for listed in ["0.NA/88.118.8", "0.NA/88.118.8.1"] {
            let fields = json!({"handle": listed, "flags": flags});
            let list = owner.send(LIST, fields);
            assert_eq!(list["code"], code, "{listed}: {list}");
            // What was asked with the request holds after a challenge.
            let mut challenged = world.client(&["--secret", "open sesame"]);
            let fields = json!({"handle": listed, "flags": flags});
            challenged.gets(402, LIST, fields);
            assert_eq!(challenged.prove()["code"], code, "{listed}");
        }
    }
    owner.gets(1, HOME, prefix);
    reader.gets(1, 1, read);
    owner.gets(301, HOME, json!({"handle": "0.NA/88.118.77"}));
}

#[test]
fn a_long_list_comes_in_several_messages() {
    let world = World::new();
    let mut rows = String::from("identifier,type,data\n");
    for n in 0..12_000 {
        rows += &format!("88.118.8/Item-{n:05},URL,https://example.com/{n}\n");
    }
    let file = world.file("items.csv", &rows);
    world.idctl().json(&["import", &file]);
    let mut client = world.logged_in();
    let listed = client.gets(1, LIST, json!({"handle": "0.NA/88.118.8"}));
    let handles = listed["handles"].as_array().unwrap();
    assert_eq!(handles.len(), 12_000);
    assert_eq!(handles[11_999], "88.118.8/Item-11999");
    assert!(
        listed["messages"].as_u64().unwrap() > 4,
        "{}",
        listed["messages"]
    );
    assert!(
        listed["length"].as_u64().unwrap() <= 65_536,
        "{}",
        listed["length"]
    );
    let prefixes = client.gets(1, LIST_PREFIXES, json!({"handle": "0.NA/88.118"}));
    assert_eq!(prefixes["handles"], json!(["0.NA/88.118.8"]));
    // The connection goes on.
    client.gets(1, 1, json!({"handle": "88.118.8/item-00007"}));
}

#[test]
fn what_is_not_public_is_challenged_for() {
    let world = World::new();
    let mut owner = world.logged_in();
    let values = json!([url(1, "open"), [2, "COST", "17.20", PRIVATE]]);
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/mixed", "values": values}),
    );
    let mut stranger = world.client(&["--secret", "open sesame"]);
    stranger.gets(402, 1, json!({"handle": "88.118.8/mixed"}));
    let seen = stranger.prove();
    assert_eq!(
        (&seen["code"], &seen["op"]),
        (&json!(1), &json!(1)),
        "{seen}"
    );
    assert_eq!(seen["values"].as_array().unwrap().len(), 2);
    // Proven once is not logged in.
    stranger.gets(402, 1, json!({"handle": "88.118.8/mixed"}));
    let public = json!({"handle": "88.118.8/mixed", "flags": PUBLIC_ONLY});
    assert_eq!(
        stranger.gets(1, 1, public)["values"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let none = json!({"handle": "88.118.8/mixed", "types": ["COST"], "flags": PUBLIC_ONLY});
    stranger.gets(200, 1, none);
    stranger.gets(1, 1, json!({"handle": "88.118.8/mixed", "types": ["URL"]}));
}
