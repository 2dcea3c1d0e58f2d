//! Every command of `idctl` against the real node, as people and as programs use it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{Idctl, success};
use serde_json::{Value, json};

/// `idctl` that remembers which commands were called.
struct Session {
    idctl: Idctl,
    called: RefCell<BTreeSet<String>>,
    node: Node,
    dir: DataDir,
}

impl Session {
    fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        Self {
            idctl: node.idctl(Some(&dir.token_file())),
            called: RefCell::default(),
            node,
            dir,
        }
    }

    fn remember(&self, arguments: &[&str]) {
        let group = arguments[0].to_owned();
        let command = arguments.get(1).map(|command| format!("{group} {command}"));
        self.called
            .borrow_mut()
            .extend([Some(group), command].into_iter().flatten());
    }

    /// A write, or what should be asked for once only.
    fn once(&self, arguments: &[&str]) -> Value {
        self.remember(arguments);
        self.idctl.json(arguments)
    }

    /// A read, as JSON and as what people are shown, which must have `shown` in it.
    fn read(&self, arguments: &[&str], shown: &str) -> Value {
        let text = success(self.idctl.command().args(arguments));
        assert!(
            text.contains(shown),
            "{arguments:?} does not show {shown}: {text}"
        );
        assert!(!text.starts_with(['{', '[']), "{arguments:?}: {text}");
        self.once(arguments)
    }

    /// A read of several documents, a line each.
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        self.remember(arguments);
        let text = success(self.idctl.command().arg("--json").args(arguments));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.beside(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Every command there is, as the help of `idctl` lists them.
fn commands(idctl: &Idctl) -> BTreeSet<String> {
    let listed = |group: &[&str]| -> Vec<String> {
        let help = success(idctl.command().args(group).arg("--help"));
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        names
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut all = BTreeSet::new();
    for group in listed(&[]) {
        let below = listed(&[&group]);
        if below.is_empty() {
            all.insert(group.clone());
        }
        all.extend(below.iter().map(|command| format!("{group} {command}")));
    }
    all
}

fn trust(session: &Session) {
    let (signer, name) = ("300:0.NA/88.118.8", "88.118.8/jxdy2106023");
    let path = |name: &str| session.dir.beside(name).to_str().unwrap().to_owned();
    let (key, public) = (path("trust.key"), path("trust.key.pub"));
    session.once(&["trust-key", "generate", &key, "--algorithm", "rsa"]);
    session.read(&["trust-key", "public", &key], "public_key");
    let by = ["--signer", signer, "--key", &key];
    let made = session.once(&[&["sign", "certificate", signer][..], &by].concat());
    assert!(made.to_string().contains("HS_CERT"), "{made}");
    let made = session.once(&[&["sign", "values", name][..], &by].concat());
    assert!(made.to_string().contains("HS_SIGNATURE"), "{made}");
    // Nothing here is signed by anybody.
    let verify = ["verify", name, "--root", signer, "--root-key", &public];
    session.remember(&verify[..1]);
    assert_eq!(session.idctl.run(&verify).code, 1);
}

/// On a node without an uplink; `national` has a node with one.
fn uplink(session: &Session) {
    let none = session.read(&["upward", "status"], "CHANNEL");
    assert_eq!(none, json!({"channels": []}));
    session.read(&["upward", "transactions"], "SUBJECT");
    session.read(&["upward", "deposits"], "DEPOSIT");
    session.read(&["escrow", "deposits"], "DEPOSIT");
    session.read(&["upward", "siblings"], "no set of siblings");
    session.read(&["upward", "takeover"], "there has been no takeover");
    session.read(&["upward", "conflicts"], "IDENTIFIER");
    let report = ["--kind", "service", "--period", "2026-01", "--scope", ""];
    for refused in [
        &["upward", "events"][..],
        &["upward", "reports"],
        &["upward", "restart-changes"],
        &[&["upward", "report"], &report[..]].concat(),
        &[&["upward", "resend"], &report[..]].concat(),
        &["escrow", "deposit"],
    ] {
        session.remember(refused);
        assert_eq!(session.idctl.run(refused).code, 1, "{refused:?}");
    }
    let file = |name: &str| session.dir.beside(name).to_str().unwrap().to_owned();
    let (key, signer, empty) = (file("sm2.key"), file("sm2.pub"), file("deposits"));
    let made = session.once(&["escrow", "keygen", &key]);
    std::fs::write(&signer, made["public_key"].as_str().unwrap()).unwrap();
    std::fs::create_dir(&empty).unwrap();
    let (keys, restored) = (["--key", &key, "--signer", &signer], file("restored"));
    let into = ["--data-dir", &restored];
    for of_nothing in [
        [&["escrow", "verify", &empty], &keys[..]].concat(),
        [&["escrow", "restore", &empty], &keys[..], &into].concat(),
    ] {
        session.remember(&of_nothing);
        assert_ne!(session.idctl.run(&of_nothing).code, 0, "{of_nothing:?}");
    }
}

#[test]
fn every_command_works_on_a_real_node() {
    let session = Session::new();
    let enterprise = enterprises(&session);
    prefixes(&session, &enterprise);
    templates(&session);
    identifiers(&session);
    bulk(&session);
    resolution(&session);
    names(&session);
    log_and_counters(&session);
    keys(&session, &enterprise);
    handles(&session);
    dnssec(&session);
    trust(&session);
    uplink(&session);
    the_end_of_a_prefix(&session);
    let called = session.called.take();
    let all = commands(&session.idctl);
    assert!(all.len() > 35, "{all:?}");
    let missed: Vec<_> = all.difference(&called).collect();
    assert!(missed.is_empty(), "not tried: {missed:?}");
    session.node.stop();
}

fn enterprises(session: &Session) -> String {
    let made = session.once(&[
        "enterprise",
        "create",
        "--certificate-code",
        CODES[0],
        "--name",
        "洛阳轴承厂",
        "--name-en",
        "Luoyang Bearing",
        "--address",
        "河南省洛阳市",
        "--province-code",
        "410000",
        "--country-code",
        "CN",
        "--website",
        "https://e.cn",
        "--contact-name",
        "联系人",
        "--contact-email",
        "li@e.cn",
        "--legal-person-name",
        "法定代表人",
    ]);
    let id = made["enterprise"]["id"].as_str().unwrap().to_owned();
    assert_eq!(made["enterprise"]["state"], "pending_review");
    let found = session.read(&["enterprise", "get", &id], "洛阳轴承厂");
    assert_eq!(found["profile"]["contact"]["email"], "li@e.cn");
    let by_code = session.read(&["enterprise", "get", "--certificate-code", CODES[0]], &id);
    assert_eq!(by_code, found);
    let changed = session.once(&["enterprise", "update", &id, "--website", "https://e.cn/new"]);
    let profile = &changed["enterprise"]["profile"];
    assert_eq!(profile["website"], "https://e.cn/new");
    assert_eq!(
        profile["name_en"], "Luoyang Bearing",
        "what is not given stays"
    );
    let review = |action: &str| {
        let done = session.once(&["enterprise", "review", &id, action, "--message", "seen"]);
        done["enterprise"]["state"].clone()
    };
    assert_eq!(review("verify"), "verified");
    assert_eq!(review("suspend"), "suspended");
    assert_eq!(review("resume"), "verified");
    let quota = session.once(&["enterprise", "set-quota", &id, "--registrations", "1000"]);
    assert_eq!(quota["enterprise"]["quota"]["registrations"], 1000);
    session.read(&["enterprise", "get", &id], "1000 registrations");
    let listed = session.read(&["enterprise", "list"], CODES[0]);
    assert_eq!(listed["enterprises"][0]["id"], json!(id));
    id
}

fn prefixes(session: &Session, enterprise: &str) {
    let applied = session.once(&["prefix", "apply", "88.118.8", "--enterprise-id", enterprise]);
    assert_eq!(applied["prefix"]["state"], "pending_review");
    for (action, state) in [
        ("start-review", "under_review"),
        ("reject", "rejected"),
        ("reapply", "pending_review"),
        ("start-review", "under_review"),
        ("approve", "active"),
        ("suspend", "suspended"),
        ("resume", "active"),
        ("mark-for-deletion", "pending_deletion"),
        ("cancel-deletion", "suspended"),
        ("resume", "active"),
    ] {
        let done = session.once(&["prefix", action, "88.118.8", "--message", "reviewed"]);
        assert_eq!(done["prefix"]["state"], state, "{action}");
    }
    let found = session.read(&["prefix", "get", "88.118.8"], "active");
    assert_eq!(found["enterprise_id"], enterprise);
    let delegated = session.once(&[
        "prefix",
        "delegate",
        "88.118.8",
        "--name-server",
        "ns1.e.cn=192.0.2.1,2001:db8::1",
        "--service",
        "192.0.2.1,udp:2641,tcp:2641+admin",
    ]);
    let delegation = &delegated["prefix"]["delegation"];
    assert_eq!(delegation["name_servers"][0]["name"], "ns1.e.cn.");
    let referral = session.once(&["resolve", "88.118.8/anything"]);
    assert_eq!(&referral["referral"]["delegation"], delegation);
    // What is shown can be given.
    let file = session.file("delegation.json", &delegation.to_string());
    let again = session.once(&["prefix", "delegate", "88.118.8", "--file", &file]);
    assert_eq!(&again["prefix"]["delegation"], delegation);
    let service = session.once(&[
        "prefix",
        "delegate",
        "88.118.8",
        "--service-handle",
        "88.119/SVC",
    ]);
    let delegation = &service["prefix"]["delegation"];
    assert_eq!(delegation["service_handle"], "88.119/SVC");
    let file = session.file("service.json", &delegation.to_string());
    let again = session.once(&["prefix", "delegate", "88.118.8", "--file", &file]);
    assert_eq!(&again["prefix"]["delegation"], delegation);
    let back = session.once(&["prefix", "undelegate", "88.118.8"]);
    assert_eq!(back["prefix"]["delegation"], Value::Null);
    let listed = session.read(&["prefix", "list", "--state", "active"], "88.118.8");
    assert_eq!(listed["prefixes"].as_array().unwrap().len(), 1);
    prefix_values(session);
}

fn prefix_values(session: &Session) {
    let set = |arguments: &[&str]| {
        let command = ["prefix", "values", "update", "88.118.8"];
        session.once(&[&command[..], arguments].concat())
    };
    let done = set(&[
        "--administrator",
        "100:read-value+modify-value=200:0.NA/88.118.8",
        "--group",
        "200=300:0.NA/88.118.8;300:88.118.8/ADMIN",
        "--value",
        "300:HS_SECKEY=geheim",
        "--value",
        "20:DESC=轴承",
    ]);
    let values = &done["prefix"]["values"];
    let indexes: Vec<_> = values
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["index"])
        .collect();
    assert_eq!(indexes, [20, 100, 200, 300]);
    let listed = session.read(&["prefix", "values", "list", "88.118.8"], "轴承");
    assert_eq!(&listed["values"], values);
    session.read(&["prefix", "get", "88.118.8"], "HS_ADMIN");
    // Behind the site, without the secret even for the operator when only what is public is
    // asked for.
    let resolved = session.once(&["resolve", "0.NA/88.118.8", "--public-only"]);
    let shown = resolved["record"]["values"].as_array().unwrap();
    let shown: Vec<_> = shown.iter().map(|value| &value["type"]).collect();
    assert_eq!(shown, ["HS_SITE", "DESC", "HS_ADMIN", "HS_VLIST"]);
    // What is shown can be given.
    let file = session.file("prefix-values.json", &values.to_string());
    let again = set(&[
        "--replace-all",
        "--values-file",
        &file,
        "--value",
        "21:DESC=more",
    ]);
    assert_eq!(again["prefix"]["values"].as_array().unwrap().len(), 5);
    let fewer = set(&["--remove", "21", "--remove", "300"]);
    assert_eq!(fewer["prefix"]["values"].as_array().unwrap().len(), 3);
}

fn templates(session: &Session) {
    let text = r#"{"name":"bearing","title":"轴承","attributes":[
        {"name":"diameter","type":"decimal","unit":"mm","minimum":0,"required":true}]}"#;
    let file = session.file("bearing.json", text);
    let put = session.once(&["template", "put", &file]);
    assert_eq!(put["template"]["revision"], 1);
    let found = session.read(&["template", "get", "bearing"], "diameter");
    let file = session.file("again.json", &found.to_string());
    let again = session.once(&["template", "put", &file]);
    assert_eq!(
        again["template"]["revision"], 2,
        "what is shown can be given"
    );
    assert_eq!(again["template"]["attributes"], found["attributes"]);
    session.once(&[
        "template",
        "put",
        &session.file("b.json", &text.replace("bearing", "spare")),
    ]);
    session.once(&["template", "delete", "spare"]);
    let listed = session.read(&["template", "list"], "bearing");
    assert_eq!(listed["templates"].as_array().unwrap().len(), 1);
}

fn identifiers(session: &Session) {
    let made = session.once(&[
        "identifier",
        "create",
        "88.118.8/JXDY2106023",
        "--template",
        "bearing",
        "--value",
        "1:URL:ttl=600=https://e.cn/?a=b",
        "--value",
        "2:COST:perm=1100=17.20",
        "--value",
        "KEY:encoding=base64=/wAB",
        "--value",
        "diameter=20.5",
    ]);
    let found = session.read(
        &["identifier", "get", "88.118.8/JXDY2106023"],
        "https://e.cn/?a=b",
    );
    assert_eq!(found["version"], made["sequence"]);
    let types: Vec<_> = found["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| &value["type"])
        .collect();
    assert_eq!(types, ["URL", "COST", "KEY", "diameter"]);
    assert_eq!(found["values"][0]["ttl_s"], 600);
    assert_eq!(
        found["values"][2]["data"],
        json!({"format": "base64", "value": "/wAB"})
    );
    let version = found["version"].to_string();
    session.once(&[
        "identifier",
        "update",
        "88.118.8/JXDY2106023",
        "--expected-version",
        &version,
        "--value",
        "1:URL=https://e.cn/new",
        "--remove",
        "3",
    ]);
    let changed = session.once(&["identifier", "get", "88.118.8/jxdy2106023"]);
    assert_eq!(changed["values"].as_array().unwrap().len(), 3);
    let values = session.file("values.json", &changed["values"].to_string());
    let copy = [
        "identifier",
        "create",
        "88.118.8/copy",
        "--values-file",
        &values,
    ];
    session.once(&copy);
    let copied = session.once(&["identifier", "get", "88.118.8/copy"]);
    assert_eq!(
        copied["values"], changed["values"],
        "what is shown can be given"
    );
    session.once(&[
        "identifier",
        "delete",
        "88.118.8/copy",
        "--reason",
        "a copy",
    ]);
    let gone = session.read(&["identifier", "get", "88.118.8/copy"], "a copy");
    assert_eq!(
        (&gone["deleted"], &gone["deletion_reason"]),
        (&json!(true), &json!("a copy"))
    );
    let listed = session.read(&["identifier", "list", "88.118.8"], "JXDY2106023");
    assert_eq!(listed["identifiers"].as_array().unwrap().len(), 1);
    let all = session.once(&[
        "identifier",
        "list",
        "88.118.8",
        "--include-deleted",
        "--without-values",
    ]);
    assert_eq!(all["identifiers"].as_array().unwrap().len(), 2);
}

fn bulk(session: &Session) {
    let rows = "identifier,type,data\n88.118.8/csv-1,URL,https://e.cn/1\n88.118.8/csv-2,URL,https://e.cn/2\n";
    let file = session.file("some.csv", rows);
    assert_eq!(session.once(&["import", &file])["created"], 2);
    let again = success(
        session
            .idctl
            .command()
            .args(["import", "--mode", "upsert", &file]),
    );
    assert!(
        again.starts_with("created 0, updated 0, unchanged 2, rejected 0 in "),
        "{again}"
    );
    let out = session.dir.beside("out.csv");
    let summary = session.read(&["export", "-o", out.to_str().unwrap()], "out.csv");
    assert_eq!(summary["identifiers"], 3);
    let written = fs::read_to_string(out).unwrap();
    assert!(
        written.contains("88.118.8/csv-2,,1,URL,string,https://e.cn/2"),
        "{written}"
    );
}

fn resolution(session: &Session) {
    let name = "88.118.8/jxdy2106023";
    let answer = session.read(&["resolve", name], "https://e.cn/new");
    assert_eq!(answer["identifier"], "88.118.8/JXDY2106023");
    let types = |answer: &Value| -> Vec<String> {
        let values = answer["record"]["values"].as_array().unwrap().iter();
        values
            .map(|value| value["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        types(&answer),
        ["URL", "COST", "diameter"],
        "the operator sees all"
    );
    let public = session.once(&["resolve", name, "--public-only"]);
    assert_eq!(types(&public), ["URL", "diameter"]);
    let filtered = session.once(&["resolve", name, "--type", "URL", "--index", "2"]);
    assert_eq!(types(&filtered), ["URL", "COST"]);
    let handle = session.node.at.handle.to_string();
    for transport in ["udp", "tcp"] {
        let front = [
            "--front",
            "handle",
            "--handle",
            &handle,
            "--transport",
            transport,
        ];
        let answer = session.read(
            &[&["resolve", name], &front[..]].concat(),
            "https://e.cn/new",
        );
        assert_eq!(
            types(&answer),
            ["URL", "diameter"],
            "{transport}: a stranger"
        );
    }
    let file = session.file("asked", "88.118.8/csv-1\n88.118.8/csv-2\n");
    let answers = session.lines(&["batch-resolve", &file]);
    let data: Vec<_> = answers
        .iter()
        .map(|answer| &answer["record"]["values"][0]["data"]["value"])
        .collect();
    assert_eq!(data, ["https://e.cn/1", "https://e.cn/2"]);
    let text = success(session.idctl.command().args(["batch-resolve", &file]));
    assert!(
        text.contains("88.118.8/csv-1") && text.contains("https://e.cn/2"),
        "{text}"
    );
}

fn names(session: &Session) {
    let called = ["dns-name", "88.118.8/JXDY2106023"];
    let name = session.lines(&called)[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(success(session.idctl.command().args(called)).trim(), name);
    let back = session.lines(&["dns-name", "--reverse", &name]);
    assert_eq!(back[0]["identifier"], "88.118.8/JXDY2106023");
    let port = session.node.at.dns.port().to_string();
    let dig = ["@127.0.0.1", "-p", &port, "+short", &name, "URI"];
    let answer = success(Command::new("dig").args(dig));
    assert!(answer.contains("\"https://e.cn/new\""), "{answer}");
}

fn log_and_counters(session: &Session) {
    let changes = session.lines(&["watch"]);
    let sequences: Vec<_> = changes
        .iter()
        .map(|change| change["sequence"].as_u64().unwrap())
        .collect();
    assert!(
        sequences.iter().copied().eq(1..=sequences.len() as u64),
        "{sequences:?}"
    );
    let later = session.lines(&["watch", "--from", "5", "--prefix", "88.118.8"]);
    assert!(
        !later.is_empty()
            && later
                .iter()
                .all(|change| change["sequence"].as_u64() >= Some(5))
    );
    let text = success(session.idctl.command().args(["watch"]));
    for part in [
        "enterprise ",
        "prefix 88.118.8 active",
        "template bearing revision 2",
        "1 deleted",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let stats = session.read(&["stats"], "software_version");
    assert_eq!(stats["sequence"], sequences.len());
    assert_eq!(
        (&stats["identifiers"], &stats["deleted"]),
        (&json!(3), &json!(1))
    );
    let of_prefix = session.read(&["prefix", "stats", "88.118.8"], "creations");
    let counts = [
        "identifiers",
        "deleted",
        "creations",
        "updates",
        "deletions",
    ];
    assert_eq!(
        counts.map(|name| of_prefix[name].as_u64().unwrap()),
        [3, 1, 4, 1, 1]
    );
    assert!(of_prefix["queries"].as_u64() >= Some(9), "{of_prefix}");
}

fn keys(session: &Session, enterprise: &str) {
    let create = [
        "key",
        "create",
        "--enterprise-id",
        enterprise,
        "--label",
        "工厂",
    ];
    let made = session.once(&create);
    let (id, token) = (
        made["key"]["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let file = session.file("enterprise.token", token);
    let holder = session.node.idctl(Some(file.as_ref()));
    let me = holder.json(&["whoami"]);
    let expected = json!({"operator": false, "enterprise_id": enterprise, "credential_id": id});
    assert_eq!(me, expected);
    assert_eq!(session.read(&["whoami"], "operator")["operator"], true);
    let listed = session.read(&["key", "list", "--enterprise-id", enterprise], "工厂");
    assert!(
        !listed.to_string().contains(token),
        "the token is shown once"
    );
    session.once(&["key", "revoke", id]);
    let (code, error) = holder.refused(&["whoami"]);
    assert_eq!((code, &error["code"]), (1, &json!("UNAUTHENTICATED")));
    let listed = session.once(&["key", "list", "--enterprise-id", enterprise]);
    assert_eq!(listed["keys"][0]["revoked"], true, "{listed}");
    let secret = session.file("administrator.key", "geheim\n");
    let id = "301:0.NA/88.118.8";
    let add = ["key", "add-administrator", id, "--secret-key-file", &secret];
    let made = session.once(&[&add[..], &["--enterprise-id", enterprise]].concat());
    assert_eq!(made["key"]["administrator"], id);
    let (code, error) = session.idctl.refused(&add);
    assert_eq!(
        (code, &error["reason"]),
        (1, &json!("ADMINISTRATOR_EXISTS"))
    );
    let listed = session.read(&["key", "list", "--enterprise-id", enterprise], id);
    assert!(!listed.to_string().contains("geheim"), "{listed}");
}

/// As the administrator that `keys` has made.
fn handles(session: &Session) {
    let secret = session.dir.beside("administrator.key");
    let at = session.node.at.handle.to_string();
    let identity = ["--identity", "301:0.NA/88.118.8", "--secret-file"];
    let who = [
        &["--handle", &at][..],
        &identity,
        &[secret.to_str().unwrap()],
    ]
    .concat();
    let done = |arguments: &[&str]| {
        let done = session.once(&[arguments, &who].concat());
        assert_eq!(done["response_code"], 1, "{done}");
    };
    let name = "88.118.8/native";
    done(&["handle", "create", name, "--value", "URL=https://e.cn/n"]);
    done(&["handle", "add-values", name, "--value", "2:DESC=second"]);
    done(&["handle", "modify-values", name, "--value", "2:DESC=changed"]);
    let found = session.once(&["identifier", "get", name]);
    assert_eq!(found["values"][1]["data"]["value"], "changed", "{found}");
    done(&["handle", "remove-values", name, "2"]);
    let list = [&["handle", "list", "88.118.8"][..], &who].concat();
    let listed = session.read(&list, name);
    assert_eq!(listed["handles"].as_array().unwrap().len(), 4, "{listed}");
    let list = [&["handle", "list-prefixes", "88.118.8"][..], &who].concat();
    assert_eq!(
        session.once(&list)["prefixes"],
        serde_json::json!(["0.NA/88.118.8"])
    );
    done(&["handle", "delete", name]);
    let dumped = session.lines(&[&["handle", "dump", "88.118.8"][..], &who].concat());
    assert_eq!(dumped.len(), 3, "{dumped:?}");
    let log = ["handle", "transactions", "88.118.8", "--from", "1"];
    let told = session.lines(&[&log[..], &who].concat());
    let last = told.last().unwrap();
    assert_eq!(
        (&last["action"], &last["identifier"]),
        (&json!("delete"), &json!(name))
    );
    // The operator's.
    let (_, error) = session
        .idctl
        .refused(&[&["handle", "backup"][..], &who].concat());
    session.remember(&["handle", "backup"]);
    assert_eq!(error["metadata"]["response_code"], "401", "{error}");
}

fn dnssec(session: &Session) {
    const ZONE: &str = "id.example.";
    let made = session.once(&["dnssec", "generate", ZONE]);
    let tag = |made: &Value| made["key_tag"].to_string();
    let (first, second) = (
        tag(&made),
        tag(&session.once(&["dnssec", "generate", ZONE])),
    );
    session.once(&["dnssec", "activate", ZONE, &first, "--force"]);
    session.read(&["dnssec", "keys", ZONE], "id.example. is signed");
    session.read(&["dnssec", "ds", ZONE], &first);
    session.once(&["dnssec", "activate", ZONE, &second, "--force"]);
    // The first one has been retired by that.
    let (_, error) = session.idctl.refused(&["dnssec", "retire", ZONE, &second]);
    session.remember(&["dnssec", "retire"]);
    assert_eq!(error["reason"], "DNSSEC_LAST_ACTIVE_KEY");
    session.once(&["dnssec", "remove", ZONE, &first, "--force"]);
    session.once(&["dnssec", "rollover", ZONE]);
}

fn the_end_of_a_prefix(session: &Session) {
    session.once(&["prefix", "mark-for-deletion", "88.118.8"]);
    let (_, error) = session.idctl.refused(&["prefix", "remove", "88.118.8"]);
    assert_eq!(
        error["reason"], "PREFIX_STATE",
        "it has identifiers: {error}"
    );
    session.once(&["prefix", "cancel-deletion", "88.118.8"]);
    session.once(&["prefix", "resume", "88.118.8"]);
    for name in ["JXDY2106023", "csv-1", "csv-2"] {
        session.once(&["identifier", "delete", &format!("88.118.8/{name}")]);
    }
    session.once(&["prefix", "mark-for-deletion", "88.118.8"]);
    session.once(&["prefix", "remove", "88.118.8"]);
    let (_, error) = session.idctl.refused(&["prefix", "get", "88.118.8"]);
    assert_eq!(error["reason"], "PREFIX_NOT_FOUND");
}
