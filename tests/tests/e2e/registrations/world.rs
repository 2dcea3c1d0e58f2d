//! A node with registrations in every state, whose holders have everything that is personal.

use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use idnode_tests::run::{Idctl, curl};
use serde_json::{Value, json};

/// What strangers never see, each a text that occurs nowhere else.
pub const PERSONAL: [&str; 9] = [
    CODES[0],
    "unified social credit code",
    "山西省朔州市朔城区某路1号",
    "Zhang San",
    "131187199507297827",
    "resident ID card",
    "Li Si",
    "lisi@example.org",
    "+86 349 555 0001",
];

/// What strangers never see of the node's own.
pub const OWN_PERSONAL: [&str; 3] = ["noc@example.org", "+86 349 555 0000", "某路2号"];

pub struct World {
    pub dir: DataDir,
    pub node: Node,
    /// Token of the enterprise that holds 88.118.8.
    pub holder: String,
    /// Token of another.
    pub other: String,
}

/// The node's own registration.
fn own() -> Value {
    json!([{
        "identifier": "88.118", "regTime": "2021-06-01T00:00:00Z", "status": "ok", "country": "CN",
        "node": {
            "name": "朔州二级节点", "nature": "enterprises and institutions",
            "type": "manufacturing", "subType": "other manufacturing", "address": "某路2号",
            "introduction": "示例",
            "contact": [{"name": "值班", "phone": "+86 349 555 0000", "email": "noc@example.org"}]
        }
    }])
}

fn bootstrap() -> Value {
    json!({"version": "1.0", "publication": "2026-01-01T00:00:00Z", "unknown": [], "services": [
        [["88"], ["https://top.example/iiidap/"]],
        [["88.119", "88.119.7"], ["http://datong.example/iiidap/", "https://datong.example/iiidap/"]],
        [["88.120"], ["http://plain.example/"]],
        [["88.118.77"], ["https://moved.example/iiidap/"]]
    ]})
}

impl World {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With further settings.
    pub fn with(settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let mut command = idnode();
        command.arg("run").args(Self::arguments(&dir, settings));
        let node = Node::start(&mut command, &dir.beside("node.log"));
        Self::filled(dir, node)
    }

    /// The arguments of `idnode run`, whose files it writes.
    pub fn arguments(dir: &DataDir, settings: &[&str]) -> Vec<String> {
        let write = |name: &str, content: Value| {
            let path = dir.beside(name);
            std::fs::write(&path, content.to_string()).unwrap();
            path.display().to_string()
        };
        let files = [
            format!("iiidap.own_file={}", write("own.json", own())),
            format!(
                "iiidap.bootstrap_file={}",
                write("bootstrap.json", bootstrap())
            ),
            "whois.listen=127.0.0.1:0".to_owned(),
        ];
        let mut arguments = vec!["--data-dir".to_owned(), dir.path().display().to_string()];
        arguments.extend(Addresses::free().flags());
        let given = settings.iter().map(|it| (*it).to_owned());
        for setting in files.into_iter().chain(given) {
            arguments.extend(["--set".to_owned(), setting]);
        }
        arguments
    }

    fn filled(dir: DataDir, node: Node) -> Self {
        let idctl = node.idctl(Some(&dir.token_file()));
        let holder = enterprise(&idctl, CODES[0], "蒙牛集团", "Mengniu Group");
        let other = enterprise(&idctl, CODES[1], "Example One", "");
        for (prefix, holder) in [
            ("88.118.8", &holder),
            ("88.118.9", &holder),
            ("88.118.11", &other),
            ("oid:1.2.156.3001", &other),
        ] {
            idctl.active_prefix(prefix, holder);
        }
        idctl.json(&["prefix", "suspend", "88.118.9", "--message", "x"]);
        idctl.json(&["prefix", "apply", "88.118.10", "--enterprise-id", &holder]);
        let token = |id: &str| {
            let made = idctl.json(&["key", "create", "--enterprise-id", id]);
            made["token"].as_str().expect("a token").to_owned()
        };
        Self {
            holder: token(&holder),
            other: token(&other),
            dir,
            node,
        }
    }

    pub fn idctl(&self) -> Idctl {
        self.node.idctl(Some(&self.dir.token_file()))
    }

    /// Status, head and body of a path below the base.
    pub fn ask(&self, path: &str, arguments: &[&str]) -> (u16, String, String) {
        curl(&self.node.http(&format!("/iiidap/{path}")), arguments)
    }

    /// The document of a path below the base, which must have a status.
    #[track_caller]
    pub fn document(&self, path: &str, status: u16, arguments: &[&str]) -> Value {
        let (got, head, body) = self.ask(path, arguments);
        assert_eq!(got, status, "{path}: {head}\n{body}");
        let field = field(&head, "content-type");
        assert_eq!(field.as_deref(), Some("application/iiidap+json"), "{path}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// What `whois` prints, whatever its exit code.
    pub fn whois(&self, query: &str) -> String {
        let at = self.node.at.whois.expect("a WHOIS front");
        let mut command = Command::new("whois");
        command.env("LC_ALL", "C.UTF-8");
        command.args(["-h", &at.ip().to_string(), "-p", &at.port().to_string()]);
        let done = command.args(["--", query]).output().expect("whois runs");
        String::from_utf8(done.stdout).expect("UTF-8")
    }
}

fn enterprise(idctl: &Idctl, code: &str, name: &str, name_en: &str) -> String {
    let mut arguments = vec!["enterprise", "create", "--certificate-code", code];
    arguments.extend(["--name", name, "--name-en", name_en, "--country-code", "CN"]);
    arguments.extend(["--description", "乳业"]);
    if code == CODES[0] {
        arguments.extend(["--address", PERSONAL[2], "--legal-person-name", PERSONAL[3]]);
        arguments.extend(["--legal-person-id-number", PERSONAL[4]]);
        arguments.extend(["--legal-person-id-type", PERSONAL[5]]);
        arguments.extend([
            "--contact-name",
            PERSONAL[6],
            "--contact-email",
            PERSONAL[7],
        ]);
        arguments.extend(["--contact-phone", PERSONAL[8]]);
    }
    let made = idctl.json(&arguments);
    let id = made["enterprise"]["id"].as_str().expect("an id").to_owned();
    idctl.json(&["enterprise", "review", &id, "verify"]);
    id
}

/// A field of an answer's head.
pub fn field(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}
