//! Who sees what: strangers, holders, others, the operator; by every way to log in.

use super::shape::{assert_error, assert_help, assert_lookup};
use super::world::{OWN_PERSONAL, PERSONAL, World, field};
use crate::dns_transports::world::{Authority, Files, HOST};
use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, Node, idnode};
use idnode_tests::run::{binary, curl, success};
use serde_json::json;
use std::process::Command;

const PATHS: [&str; 5] = [
    "identifier/88.118.8",
    "identifier/88.118.8/x",
    "identifier/88.118.9",
    "name/mengniu%20group",
    "names?name=m*",
];

fn bearer(token: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Authorization: Bearer {token}")]
}

/// Bodies of all paths for who sends these arguments; each document must be answered.
fn bodies(world: &World, arguments: &[&str]) -> Vec<String> {
    let body = |path: &&str| {
        let (status, _, body) = world.ask(path, arguments);
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    PATHS.iter().map(body).collect()
}

#[test]
fn strangers_see_nothing_personal_anywhere() {
    let world = World::new();
    let strangers = bodies(&world, &[]);
    let whois = ["88.118.8", "88.118.8/x", "88.118.9", "mengniu group", "m*"];
    let lines = whois.map(|query| world.whois(query));
    let other = bearer(&world.other);
    let others = bodies(&world, &[&other[0], &other[1]]);
    for body in strangers.iter().chain(&others).chain(&lines) {
        assert!(body.contains("蒙牛集团"), "{body}");
        for personal in PERSONAL {
            assert!(!body.contains(personal), "{personal}: {body}");
        }
        // No member is there in whose place something was.
        for member in [
            "\"idNumber\"",
            "\"contact\"",
            "\"legalPerson\"",
            "\"address\"",
            "node.contact:",
        ] {
            assert!(!body.contains(member), "{member}: {body}");
        }
    }
    // Another enterprise sees what a stranger sees, to the letter.
    assert_eq!(others, strangers);
    let own = world.ask("identifier/88.118", &[&other[0], &other[1]]).2;
    assert_eq!(own, world.ask("identifier/88.118", &[]).2);
    assert!(OWN_PERSONAL.iter().all(|it| !own.contains(it)), "{own}");
    // Whether there is anything to see cannot be seen: an enterprise that has nothing personal
    // but its number looks the same.
    let bare = world.document("identifier/88.118.11", 200, &[]);
    let rich = world.document("identifier/88.118.8", 200, &[]);
    assert_eq!(bare["remarks"], rich["remarks"]);
    assert_eq!(bare["notices"], rich["notices"]);
    let keys = |document: &serde_json::Value| {
        let node = document["node"].as_object().unwrap();
        node.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&bare), keys(&rich));
}

#[test]
fn the_operator_and_the_holder_see_everything() {
    let world = World::new();
    let node = json!({
        "name": "蒙牛集团", "address": PERSONAL[2], "idNumber": PERSONAL[0], "idType": PERSONAL[1],
        "introduction": "乳业",
        "legalPerson": [{"name": PERSONAL[3], "idNumber": PERSONAL[4], "idType": PERSONAL[5]}],
        "contact": [{"name": PERSONAL[6], "phone": PERSONAL[8], "email": PERSONAL[7]}]
    });
    let operator = bearer(&world.dir.token());
    let holder = bearer(&world.holder);
    let mut seen = Vec::new();
    for token in [&operator, &holder] {
        let arguments = [token[0].as_str(), token[1].as_str()];
        let document = world.document("identifier/88.118.8", 200, &arguments);
        assert_lookup(&document);
        assert_eq!(document["node"].to_string(), node.to_string());
        assert!(document.get("remarks").is_none() && document.get("notices").is_none());
        let head = world.ask("identifier/88.118.8", &arguments).1;
        assert_eq!(field(&head, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(field(&head, "www-authenticate"), None);
        seen.push(document);
    }
    assert_eq!(seen[0], seen[1]);
    // The holder is a stranger to another's, and to the node's own.
    let theirs = |path: &str, token: &[String; 2]| world.ask(path, &[&token[0], &token[1]]).2;
    for path in ["identifier/88.118.11", "identifier/88.118"] {
        assert_eq!(theirs(path, &holder), world.ask(path, &[]).2);
        assert!(theirs(path, &operator).contains(match path {
            "identifier/88.118" => OWN_PERSONAL[0],
            _ => "914403001922038216",
        }));
    }
}

#[test]
fn basic_and_digest_and_tokens_log_in_and_wrong_ones_do_not() {
    let world = World::new();
    let secret = world.dir.beside("secret");
    std::fs::write(&secret, "open sesame: π").unwrap();
    let file = ["--secret-key-file", secret.to_str().unwrap()];
    let idctl = world.idctl();
    let add = |identity: &str, further: &[&str]| {
        idctl.json(&[&["key", "add-administrator", identity][..], &file, further].concat());
    };
    add("300:0.NA/88.118.8", &["--enterprise-id", "E1"]);
    add("301:0.NA/88.118.8", &[]);
    let whole = |arguments: &[&str]| {
        let (status, _, body) = world.ask("identifier/88.118.8", arguments);
        assert_eq!(status, 200, "{body}");
        body.contains(PERSONAL[4])
    };
    let id = world.holder.split('_').nth(1).unwrap().to_owned();
    let holder = format!("300%3A0.NA/88.118.8:{}", "open sesame: π");
    let operator = format!("301%3A0.NA/88.118.8:{}", "open sesame: π");
    for user in [
        &holder,
        &operator,
        &format!(":{}", world.holder),
        &format!("{id}:{}", world.holder),
    ] {
        assert!(whole(&["-u", user]), "{user}");
    }
    let other = format!(":{}", world.other);
    assert!(!whole(&["-u", &other]));
    // Schemes that a client uses only when it is asked: `login` asks, on its own and as a parameter.
    let asked = |scheme: &str, user: &str, path: &str| {
        let url = world.node.http(&format!("/iiidap/{path}"));
        let mut command = Command::new("curl");
        command.args(["-sS", "-w", "\n%{http_code}", scheme, "-u", user]);
        success(command.arg(url))
    };
    for (user, whose) in [(&holder, "of enterprise E1"), (&operator, "the operator's")] {
        for scheme in ["--basic", "--digest", "--anyauth"] {
            let text = asked(scheme, user, "login");
            assert!(
                text.contains(whose) && text.ends_with("200"),
                "{scheme}: {text}"
            );
            let text = asked(scheme, user, "identifier/88.118.8?login");
            assert!(
                text.contains(PERSONAL[4]) && text.ends_with("200"),
                "{scheme}: {text}"
            );
        }
    }
    assert_error(&world.document("identifier/88.118.8?login", 401, &[]), 401);
    let document = world.document("login", 200, &["-u", &holder]);
    assert_help(&document);
    // Nobody, and wrong ones: 401 with every way to log in, whatever the path.
    let wrong = [
        "300%3A0.NA/88.118.8:wrong",
        "999%3A0.NA/88.118.8:x",
        "x:y",
        ":idn_x_y",
    ];
    for user in wrong {
        for path in ["login", "identifier/88.118.8", "names?name=m*"] {
            let document = world.document(path, 401, &["-u", user]);
            assert_error(&document, 401);
        }
        let text = asked("--digest", user, "identifier/88.118.8?login");
        assert!(
            text.ends_with("401") && !text.contains(PERSONAL[4]),
            "{text}"
        );
    }
    let misnamed = format!("somebody:{}", world.holder);
    assert_error(&world.document("login", 401, &["-u", &misnamed]), 401);
    let (status, head, body) = world.ask("login", &[]);
    assert_eq!(status, 401, "{body}");
    for scheme in ["Digest ", "Basic ", "Bearer "] {
        let asks = format!("www-authenticate: {scheme}realm=\"idnode\"");
        assert!(head.to_lowercase().contains(&asks.to_lowercase()), "{head}");
    }
    // A digest of another path, another nonce or another algorithm proves nothing.
    let forged = |change: fn(&str) -> String| {
        let url = world.node.http("/iiidap/login");
        let field = change(&digest_sent(&url, &holder, &[]));
        let (status, head, body) = curl(&url, &["-H", &field]);
        (status, head.contains("stale=true"), body)
    };
    assert_eq!(forged(str::to_owned).0, 200, "sent again as it is");
    let refused = [
        forged(|field| field.replace("/iiidap/login", "/iiidap/help")),
        forged(|field| field.replace("nonce=\"AAAA", "nonce=\"AAAB")),
        forged(|field| field.replace("algorithm=SHA-256", "algorithm=MD5")),
        forged(|field| field.replace("nc=00000001", "nc=00000002")),
        forged(|field| field.replace("response=\"", "response=\"0")),
    ];
    for (status, stale, body) in refused {
        assert_eq!((status, stale), (401, false), "{body}");
    }
}

/// The `Authorization` field that curl sends in the end, by Digest.
fn digest_sent(url: &str, user: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "-v", "-o", "/dev/null", "--digest", "-u", user]);
    let done = command.args(arguments).arg(url).output().unwrap();
    let sent = String::from_utf8(done.stderr).unwrap();
    let line = sent
        .lines()
        .rfind(|line| line.to_lowercase().starts_with("> authorization: digest"));
    let field = line.expect("a digest").trim_start_matches("> ");
    field.trim_end().to_owned()
}

#[test]
fn too_many_wrong_credentials_are_told_when_to_come_again() {
    let world = World::with(&["limits.failed_proofs_per_minute=3"]);
    let wrong = ["-u", "300%3A0.NA/88.118.8:wrong"];
    for _ in 0..3 {
        assert_error(&world.document("login", 401, &wrong), 401);
    }
    for path in ["login", "identifier/88.118.8", "names?name=m*"] {
        let (status, head, body) = world.ask(path, &wrong);
        assert_eq!(status, 429, "{path}: {body}");
        assert_eq!(field(&head, "retry-after").as_deref(), Some("60"), "{head}");
        assert_error(&serde_json::from_str(&body).unwrap(), 429);
    }
    // Who shows nothing is answered.
    world.document("identifier/88.118.8", 200, &[]);
}

/// A node that speaks HTTPS, and what curl needs for it.
struct Secure {
    dir: DataDir,
    node: Node,
    authority: String,
    resolve: String,
    url: String,
}

impl Secure {
    fn new() -> Self {
        let dir = DataDir::init();
        let (files, authority) = (Files::of(&dir), Authority::new("an authority"));
        authority.issue(&files);
        let settings = [
            "http.tls_listen=127.0.0.1:0".to_owned(),
            format!("http.tls_certificate={}", files.certificate.display()),
            format!("http.tls_key={}", files.key.display()),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut command = idnode();
        command.arg("run").args(World::arguments(&dir, &settings));
        let node = Node::start(&mut command, &dir.beside("node.log"));
        let at = node.at.https.unwrap();
        Self {
            authority: files.authority.display().to_string(),
            resolve: format!("{HOST}:{}:{}", at.port(), at.ip()),
            url: format!("https://{HOST}:{}/iiidap/", at.port()),
            dir,
            node,
        }
    }

    fn arguments(&self) -> [&str; 4] {
        ["--resolve", &self.resolve, "--cacert", &self.authority]
    }
}

#[test]
fn https_is_spoken() {
    let secure = Secure::new();
    let user = format!(":{}", secure.dir.token());
    let url = format!("{}identifier/88.118", secure.url);
    for version in ["--http1.1", "--http2"] {
        let common = [&secure.arguments()[..], &[version]].concat();
        let (status, _, body) = curl(&url, &common);
        assert_eq!(status, 200);
        // Links are URIs, of the address that was asked.
        let help = format!("\"href\":\"{}help\"", secure.url);
        assert!(
            body.contains(&help) && !body.contains(OWN_PERSONAL[0]),
            "{body}"
        );
        let (_, _, body) = curl(&url, &[&common[..], &["-u", &user]].concat());
        assert!(body.contains(OWN_PERSONAL[0]), "{body}");
    }
}

#[test]
fn a_digest_that_was_shown_in_clear_proves_nothing_over_https_nor_the_reverse() {
    let secure = Secure::new();
    let idctl = secure.node.idctl(Some(&secure.dir.token_file()));
    let secret = secure.dir.beside("secret");
    std::fs::write(&secret, "open sesame").unwrap();
    let file = ["--secret-key-file", secret.to_str().unwrap()];
    idctl.active_prefix("88.118.8", &idctl.verified_enterprise(CODES[0]));
    let add = ["key", "add-administrator", "300:0.NA/88.118.8"];
    idctl.json(&[&add[..], &file].concat());
    let user = "300%3A0.NA/88.118.8:open sesame";
    let path = "identifier/88.118?login";
    let clear = secure.node.http(&format!("/iiidap/{path}"));
    let (over_tls, tls) = (format!("{}{path}", secure.url), secure.arguments());
    let ways: [(&str, &[&str]); 2] = [(&clear, &[]), (&over_tls, &tls)];
    for (given, shown) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let field = digest_sent(ways[given].0, user, ways[given].1);
        let (url, arguments) = ways[shown];
        let (status, head, body) = curl(url, &[arguments, &["-H", &field]].concat());
        let told = (
            status,
            head.contains("stale=true"),
            body.contains(OWN_PERSONAL[0]),
        );
        match given == shown {
            true => assert_eq!(told, (200, false, true), "{head}"),
            false => assert_eq!(told, (401, true, false), "{given} at {shown}: {head}"),
        }
    }
}

/// In a network namespace of its own, where 192.0.2.1 is another machine as far as the node can
/// tell.
#[test]
fn personal_data_crosses_no_network_in_clear() {
    for (allowed, shown) in [("false", false), ("true", true)] {
        let dir = DataDir::init();
        let setting = format!("iiidap.personal_without_tls={allowed}");
        let arguments = World::arguments(&dir, &[&setting, "http.listen=0.0.0.0:0"]);
        // `--http` counts more than `--set`.
        let listen = arguments.iter().position(|it| it == "--http").unwrap();
        let mut arguments = arguments;
        arguments[listen + 1] = "0.0.0.0:0".to_owned();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c"]);
        command.arg("ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec \"$@\"");
        command
            .arg("sh")
            .arg(binary("idnode"))
            .arg("run")
            .args(&arguments);
        let node = Node::start(&mut command, &dir.beside("node.log"));
        let ask = |host: &str| {
            let mut command = Command::new("nsenter");
            command.args(["--target", &node.pid().to_string(), "--user", "--net"]);
            command.args(["--preserve-credentials", "curl", "-sS", "-H"]);
            command.arg(format!("Authorization: Bearer {}", dir.token()));
            let port = node.at.http.port();
            success(command.arg(format!("http://{host}:{port}/iiidap/identifier/88.118")))
        };
        let near = ask("127.0.0.1");
        assert!(near.contains(OWN_PERSONAL[0]), "{near}");
        let far = ask("192.0.2.1");
        assert!(far.contains("朔州二级节点"), "{far}");
        assert_eq!(far.contains(OWN_PERSONAL[0]), shown, "{far}");
    }
}
