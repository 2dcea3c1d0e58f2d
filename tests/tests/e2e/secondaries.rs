//! Zone transfers to servers that are not ours: NSD and Knot keep copies while much is written,
//! and in the end answer what the node answers; `dig` as one that may and one that may not.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, private, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{curl, free_address, output, success, until, until_within};
use idnode_tests::secondary::{Key, Secondary, Setup, ask_all, dig, serial, whole_zone};

const ZONES: [&str; 3] = ["id.example.", "ors.example.", "ons.example."];
const NSD_KEY: Key = Key {
    name: "nsd.example",
    algorithm: "hmac-sha256",
    secret: "bnNkLXNlY3JldC1mb3ItdGVzdHMtb25seS0wMTIzNDU=",
};
const KNOT_KEY: Key = Key {
    name: "knot.example",
    algorithm: "hmac-sha512",
    secret: "a25vdC1zZWNyZXQtZm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OWFiY2RlZg==",
};

/// How long is written while the secondaries follow.
const WRITING: Duration = Duration::from_secs(20);

/// A node whose secondaries listen at `notified`, with keys in a file.
fn node(dir: &DataDir, at: &Addresses, notify: &str, keys: &[Key], further: &[&str]) -> Node {
    let file = dir.beside("tsig.keys");
    let keys: Vec<String> = keys.iter().map(Key::node).collect();
    write_private(&file, &format!("# keys\n{}\n", keys.join("\n")));
    let file = format!("dns.tsig_key_file={}", file.display());
    let notify = format!("dns.notify={notify}");
    let mut arguments = vec!["--set", &file, "--set", &notify];
    arguments.extend(further);
    Node::run_at(dir, at, &arguments)
}

fn write_private(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn follows(at: std::net::SocketAddr, node: &Node) -> bool {
    ZONES
        .iter()
        .all(|zone| serial(at, zone).is_some() && serial(at, zone) == serial(node.at.dns, zone))
}

/// What the writer is to find, and what it leaves behind.
struct Writer {
    api: Api,
    done: AtomicU32,
}

impl Writer {
    async fn start(node: &Node, dir: &DataDir) -> Arc<Self> {
        let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        let owner = api.verified_enterprise(CODES[0]).await;
        for prefix in [
            "88.118.8",
            "88.118.9",
            "88.118.10",
            "88.118.11",
            "oid:1.2.156.3001",
            "oid:1.2.156.3002",
            "oid:1.2.157.1",
            "gs1:9506000",
            "gs1:6901234",
            "did:bid:byo1",
            "ecode:10003",
        ] {
            api.active_prefix(prefix, &owner).await;
        }
        for n in 0..2_000 {
            let text = format!("https://example.cn/{n}");
            let values = vec![value(1, "URL", &text), value(2, "INET_HOST", "192.0.2.7")];
            api.create(&format!("88.118.8/first-{n}"), values, "")
                .await
                .unwrap();
        }
        // Suspended in the end, with names that nothing else has below them.
        api.create("1.2.157.1.7.1", vec![value(1, "DESC", "x")], "")
            .await
            .unwrap();
        Arc::new(Self {
            api,
            done: AtomicU32::new(0),
        })
    }

    /// The n-th change: creates, updates, deletes, in every scheme.
    async fn write(&self, n: u32) {
        let url = format!("https://example.cn/{n}/!|");
        let values = vec![
            value(1, "URL", &url),
            value(2, "AAAA", &format!("2001:db8::{:x}", n % 0xffff)),
            value(3, "DESC", "温度\\\"; \u{7f}"),
            private(4, "DESC", "hidden"),
            value(
                5,
                "HTTPS",
                &format!("1 svc-{n}.example.cn. alpn=h2 port=8443"),
            ),
            value(6, "SVCB", "0 pool.example.cn."),
            value(7, "PTR", &format!("host-{n}.example.cn.")),
        ];
        let api = &self.api;
        let identifier = match n % 7 {
            0 => format!("88.118.8/温度-{n}"),
            1 => format!("1.2.156.3001.{}.{n}", n % 5),
            2 => format!("https://id.gs1.org/01/09506000134352/10/L{n}"),
            3 => format!("88.118.8/{}-{n}", "long".repeat(30)),
            4 => format!("did:bid:byo1:ef{n}"),
            5 => format!("88.118.10/x{n}"),
            _ => format!("88.118.8/first-{}", n % 2_000),
        };
        // Refused where its prefix is suspended or delegated, or it is there already.
        let mut is_written = api.create(&identifier, values.clone(), "").await.is_ok();
        if !is_written {
            is_written = api.replace(&identifier, values, "").await.is_ok();
        }
        if n % 5 == 3 {
            let _ = api.delete(&identifier, "withdrawn", "").await;
        }
        self.done
            .fetch_add(u32::from(is_written), Ordering::Relaxed);
    }

    /// What moves many names: suspended and back, delegated and back.
    async fn move_prefix(&self, n: u32) {
        let step = |action: pb::PrefixAction| pb::TransitionPrefixRequest {
            prefix: "88.118.10".to_owned(),
            action: action.into(),
            ..pb::TransitionPrefixRequest::default()
        };
        let mut prefixes = self.api.prefixes();
        let action = match n % 2 {
            0 => pb::PrefixAction::Suspend,
            _ => pb::PrefixAction::Resume,
        };
        let request = self.api.request(step(action));
        let _ = prefixes.transition_prefix(request).await;
        let delegation = match n % 3 {
            0 => None,
            1 => Some(self.to_name_servers()),
            _ => Some(to_site()),
        };
        for prefix in ["88.118.9", "oid:1.2.156.3002", "gs1:6901234"] {
            let request = self.api.request(pb::SetDelegationRequest {
                prefix: prefix.to_owned(),
                delegation: delegation.clone(),
                ..pb::SetDelegationRequest::default()
            });
            prefixes.set_delegation(request).await.unwrap();
        }
    }

    fn to_name_servers(&self) -> pb::Delegation {
        let server = |name: &str, addresses: &[&str]| pb::NameServer {
            name: name.to_owned(),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        };
        pb::Delegation {
            sites: Vec::new(),
            name_servers: vec![
                server("ns1.factory.example.", &["192.0.2.11"]),
                server(
                    "ns1.88-118-9.hdl.id.example.",
                    &["192.0.2.12", "2001:db8::12"],
                ),
            ],
            ..pb::Delegation::default()
        }
    }

    async fn import(&self, n: u32) {
        let start = pb::import_request::Message::Start(pb::ImportStart {
            import_id: format!("import-{n}"),
            mode: pb::ImportMode::Upsert.into(),
        });
        let items: Vec<pb::ImportItem> = (0..200)
            .map(|line| pb::ImportItem {
                line,
                identifier: format!("88.118.8/bulk-{}", (u64::from(n) * 50 + line) % 3_000),
                values: vec![value(1, "SERIAL", &format!("{n}:{line}"))],
                template: String::new(),
            })
            .collect();
        let chunk =
            pb::import_request::Message::Chunk(idnode_proto::import::ImportChunk::new(1, &items));
        let messages = [start, chunk].map(|message| pb::ImportRequest {
            message: Some(message),
        });
        let requests = self.api.request(tokio_stream::iter(messages));
        let answers = self.api.identifiers().import(requests).await;
        let mut answers = answers.unwrap().into_inner();
        while answers.message().await.unwrap().is_some() {}
    }
}

fn to_site() -> pb::Delegation {
    let server = pb::Server {
        id: 1,
        address: "192.0.2.9".to_owned(),
        public_key: Vec::new(),
        interfaces: vec![pb::Interface {
            protocol: pb::interface::Protocol::Http.into(),
            port: 8080,
            query: true,
            admin: false,
        }],
    };
    pb::Delegation {
        sites: vec![pb::Site {
            serial: 1,
            primary: true,
            servers: vec![server],
            description: String::new(),
        }],
        name_servers: Vec::new(),
        ..pb::Delegation::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nsd_and_knot_keep_what_the_node_has() {
    let dir = DataDir::init();
    let (nsd_at, knot_at) = (free_address(), free_address());
    let at = Addresses {
        dns: free_address(),
        ..Addresses::free()
    };
    let notify = format!(
        "{nsd_at} key:{},{knot_at} key:{}",
        NSD_KEY.name, KNOT_KEY.name
    );
    let allow = format!(
        "dns.allow_transfer=key:{},127.0.0.1 key:{}",
        NSD_KEY.name, KNOT_KEY.name
    );
    let further = ["--set", &allow, "--set", "dns.notify_delay_ms=1000"];
    let node = node(&dir, &at, &notify, &[NSD_KEY, KNOT_KEY], &further);
    let writer = Writer::start(&node, &dir).await;
    let setup = |listen, key| Setup {
        listen,
        primary: node.at.dns,
        zones: &ZONES,
        key: Some(key),
    };
    let secondaries = [
        Secondary::nsd(&setup(nsd_at, NSD_KEY)),
        Secondary::knot(&setup(knot_at, KNOT_KEY)),
    ];
    for secondary in &secondaries {
        until("the first transfer", || follows(secondary.at, &node));
    }
    write_for_a_while(&writer).await;
    for secondary in &secondaries {
        // NSD starts a transfer anew, after a while, when others came during a reload.
        let patience = Duration::from_secs(240);
        until_within(patience, "the last change", || follows(secondary.at, &node));
    }
    let key = NSD_KEY.dig();
    for zone in ZONES {
        let own = whole_zone(node.at.dns, zone, &["-y", &key]);
        for secondary in &secondaries {
            let copy = whole_zone(secondary.at, zone, &[]);
            let lost: Vec<_> = own
                .iter()
                .filter(|line| !copy.contains(line))
                .take(5)
                .collect();
            assert_eq!(own.len(), copy.len(), "{zone}, {lost:?}");
            assert!(own == copy, "{zone}: {lost:?}");
        }
        compare_answers(&node, &secondaries, zone, &own);
    }
    let (_, _, metrics) = curl(&node.http("/metrics"), &[]);
    let count = |series: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    };
    let differences = count("idnode_dns_transfers_total{sent=\"ixfr\"}");
    let wholes = count("idnode_dns_transfers_total{sent=\"ixfr_whole\"}");
    let told = count("idnode_dns_notifies_total{outcome=\"acknowledged\"}");
    eprintln!(
        "{} changes: {differences} differences, {wholes} whole zones for them, {told} NOTIFY acknowledged",
        writer.done.load(Ordering::Relaxed)
    );
    assert!(writer.done.load(Ordering::Relaxed) > 1_000);
    assert!(differences > 20.0 && told > 20.0, "{metrics}");
    assert!(wholes < differences / 4.0, "{metrics}");
    drop(secondaries);
    node.stop();
}

async fn write_for_a_while(writer: &Arc<Writer>) {
    let end = Instant::now() + WRITING;
    let writers: Vec<_> = (0..4)
        .map(|first| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for n in (first..).step_by(4).take_while(|_| Instant::now() < end) {
                    writer.write(n).await;
                }
            })
        })
        .collect();
    for n in (0..).take_while(|_| Instant::now() < end) {
        writer.move_prefix(n).await;
        writer.import(n).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    // All kinds of prefixes in the end.
    let inactive = "oid:1.2.157.1";
    writer
        .api
        .transition(inactive, pb::PrefixAction::Suspend)
        .await;
    let move_to = |prefix: &str, delegation| {
        writer.api.request(pb::SetDelegationRequest {
            prefix: prefix.to_owned(),
            delegation: Some(delegation),
            ..pb::SetDelegationRequest::default()
        })
    };
    let mut prefixes = writer.api.prefixes();
    for (prefix, delegation) in [
        ("88.118.9", writer.to_name_servers()),
        ("88.118.11", to_site()),
        ("oid:1.2.156.3002", writer.to_name_servers()),
        ("gs1:6901234", writer.to_name_servers()),
    ] {
        prefixes
            .set_delegation(move_to(prefix, delegation))
            .await
            .unwrap();
    }
}

/// Names of the zone, names that are not there, names below cuts and wildcards, in every type.
fn compare_answers(node: &Node, secondaries: &[Secondary], zone: &str, records: &[String]) {
    const TYPES: [&str; 12] = [
        "TXT", "URI", "NAPTR", "A", "AAAA", "SVCB", "HTTPS", "PTR", "SOA", "NS", "DS", "MX",
    ];
    let owners = records
        .iter()
        .filter_map(|line| line.split_ascii_whitespace().next());
    let mut names: Vec<String> = owners.map(str::to_owned).collect();
    names.dedup();
    let step = names.len() / 60 + 1;
    names = names.into_iter().step_by(step).collect();
    names.retain(|name| !name.starts_with('*'));
    let further: Vec<String> = match zone {
        "id.example." => [
            "",
            "hdl",
            "nothing",
            "88-118-8.hdl",
            "nothing.88-118-8.hdl",
            "88-118-99.hdl",
            "first-3.88-118-8.hdl",
            "a.first-3.88-118-8.hdl",
            "88-118-9.hdl",
            "any.88-118-9.hdl",
            "ns1.88-118-9.hdl",
            "88-118-11.hdl",
            "88-118-10.hdl",
            "3002.156.2.1.oid",
            "9.3002.156.2.1.oid",
            "156.2.1.oid",
            "1.3001.156.2.1.oid",
            "157.2.1.oid",
            "1.157.2.1.oid",
            "7.1.157.2.1.oid",
            "1.7.1.157.2.1.oid",
            "6901234.gcp.gs1",
            "9506000.gcp.gs1",
            "09506000134352.01.gs1",
        ]
        .map(|name| format!("{name}.{zone}").trim_start_matches('.').to_owned())
        .to_vec(),
        "ors.example." => [
            "",
            "3001.156.2.1",
            "9.3002.156.2.1",
            "2.1",
            "157.2.1",
            "7.1.157.2.1",
        ]
        .map(|name| format!("{name}.{zone}").trim_start_matches('.').to_owned())
        .to_vec(),
        _ => [
            "",
            "0.0.0.6.0.5.9.gtin.gs1.id",
            "1.4.3.2.1.0.9.6.gtin.gs1.id",
            "3.4.3.1.0.0.0.6.0.5.9.gtin.gs1.id",
            "3.4.3.1.0.0.0.6.0.5.9.gln.gs1.id",
            "0.6.0.5.9.gln.gs1.id",
            "id",
        ]
        .map(|name| format!("{name}.{zone}").trim_start_matches('.').to_owned())
        .to_vec(),
    };
    names.extend(further);
    let questions: Vec<(String, &str)> = names
        .iter()
        .flat_map(|name| TYPES.map(|rtype| (name.clone(), rtype)))
        .collect();
    for some in questions.chunks(100) {
        let own = ask_all(node.at.dns, some);
        for secondary in secondaries {
            assert_eq!(own, ask_all(secondary.at, some), "{}", secondary.at);
        }
    }
    // Behind a wildcard TXT is the same; links lead to the interface instead of the identifier.
    if zone == "id.example." {
        let below = [("any.88-118-11.hdl.id.example.".to_owned(), "TXT")];
        let own = ask_all(node.at.dns, &below);
        assert_eq!(own[0].answers.len(), 2, "{own:?}");
        for secondary in secondaries {
            assert_eq!(own, ask_all(secondary.at, &below));
        }
    }
}

/// `dig` as somebody who may not, or says the wrong thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_addresses() {
    const SHA1: Key = Key {
        name: "old.example",
        algorithm: "hmac-sha1",
        secret: "MDEyMzQ1Njc4OTAxMjM0NTY3ODk=",
    };
    const SHA384: Key = Key {
        name: "new.example",
        algorithm: "hmac-sha384",
        secret: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5",
    };
    let dir = DataDir::init();
    let keys = [NSD_KEY, SHA1, SHA384, KNOT_KEY];
    let allow =
        "dns.allow_transfer=127.0.0.1 key:nsd.example,key:old.example,key:new.example,127.0.0.3/32";
    let node = node(&dir, &Addresses::free(), "", &keys, &["--set", allow]);
    let axfr = |arguments: &[&str]| {
        let mut command = dig(node.at.dns);
        command.args(arguments).args(["id.example.", "AXFR"]);
        let text = output(&mut command).stdout;
        String::from_utf8(text).unwrap()
    };
    let wrong = Key {
        secret: "AAAA",
        ..NSD_KEY
    };
    let unknown = Key {
        name: "unknown.example",
        ..NSD_KEY
    };
    let other_algorithm = Key {
        algorithm: "hmac-sha512",
        ..NSD_KEY
    };
    for (arguments, transferred) in [
        (vec![], false),
        (vec!["-y".to_owned(), NSD_KEY.dig()], true),
        (vec!["-y".to_owned(), SHA1.dig()], true),
        (vec!["-y".to_owned(), SHA384.dig()], true),
        (vec!["-y".to_owned(), KNOT_KEY.dig()], false),
        (vec!["-y".to_owned(), wrong.dig()], false),
        (vec!["-y".to_owned(), unknown.dig()], false),
        (vec!["-y".to_owned(), other_algorithm.dig()], false),
        (
            vec![
                "-b".to_owned(),
                "127.0.0.2".to_owned(),
                "-y".to_owned(),
                NSD_KEY.dig(),
            ],
            false,
        ),
        (
            vec![
                "-b".to_owned(),
                "127.0.0.2".to_owned(),
                "-y".to_owned(),
                SHA1.dig(),
            ],
            true,
        ),
        (vec!["-b".to_owned(), "127.0.0.3".to_owned()], true),
        (vec!["-b".to_owned(), "127.0.0.4".to_owned()], false),
    ] {
        let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let text = axfr(&borrowed);
        assert_eq!(
            text.contains("XFR size"),
            transferred,
            "{arguments:?}: {text}"
        );
        assert_eq!(
            text.contains("Transfer failed"),
            !transferred,
            "{arguments:?}: {text}"
        );
        let unverified = text.contains("Couldn't verify");
        assert!(!(transferred && unverified), "{arguments:?}: {text}");
    }
    // Any query may be signed; what is wrong with a signature is said.
    let soa = |key: &Key, transport: &str| {
        let mut command = dig(node.at.dns);
        command.args(["-y", &key.dig(), transport, "+all", "id.example.", "SOA"]);
        let done = output(&mut command);
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    for transport in ["+notcp", "+tcp"] {
        for key in keys {
            let text = soa(&key, transport);
            assert!(
                text.contains("status: NOERROR") && text.contains("TSIG"),
                "{text}"
            );
            assert!(!text.contains("Couldn't verify"), "{text}");
        }
        let text = soa(&wrong, transport);
        assert!(
            text.contains("status: NOTAUTH") && text.contains("BADSIG"),
            "{text}"
        );
        let text = soa(&unknown, transport);
        assert!(
            text.contains("status: NOTAUTH") && text.contains("BADKEY"),
            "{text}"
        );
    }
    node.stop();
}

/// A signed query whose clock is wrong is told the time: `kdig` cannot lie about its clock, so
/// `faketime` would be needed; that is in the unit tests. Here: keys that others may read.
#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = DataDir::init();
    let file = dir.beside("open.keys");
    write_private(&file, &NSD_KEY.node());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    for (set, reason) in [
        (
            format!("dns.tsig_key_file={}", file.display()),
            "its mode must be 0600",
        ),
        (
            "dns.tsig_key_file=/nowhere/keys".to_owned(),
            "/nowhere/keys",
        ),
        (
            "dns.allow_transfer=key:nobody".to_owned(),
            "there is no key nobody",
        ),
        (
            "dns.notify=127.0.0.1:53 key:nobody".to_owned(),
            "there is no key nobody",
        ),
        ("dns.notify=127.0.0.1".to_owned(), "no address with a port"),
        ("dns.tsig_keys=a:hmac-md5:AAAA".to_owned(), "hmac-md5"),
    ] {
        let mut command = idnode_tests::node::idnode();
        command.arg("run").arg("--data-dir").arg(dir.path());
        command.args(["--dns", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.args([
            "--http",
            "127.0.0.1:0",
            "--handle",
            "127.0.0.1:0",
            "--set",
            &set,
        ]);
        let done = output(&mut command);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            !done.status.success() && text.contains(reason),
            "{set}: {text}"
        );
        assert!(!text.contains(NSD_KEY.secret), "a secret is told: {text}");
    }
}

/// A secondary that is not there at first is told until it hears.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secondary_that_was_away_is_told() {
    let dir = DataDir::init();
    let (knot_at, dns) = (free_address(), free_address());
    let at = Addresses {
        dns,
        ..Addresses::free()
    };
    let allow = "dns.allow_transfer=127.0.0.1";
    let node = node(&dir, &at, &knot_at.to_string(), &[], &["--set", allow]);
    let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let owner = api.verified_enterprise(CODES[0]).await;
    api.active_prefix("88.118.8", &owner).await;
    let setup = Setup {
        listen: knot_at,
        primary: dns,
        zones: &ZONES,
        key: None,
    };
    let knot = Secondary::knot(&setup);
    until("the first transfer", || follows(knot_at, &node));
    drop(knot);
    api.create("88.118.8/a", vec![value(1, "DESC", "x")], "")
        .await
        .unwrap();
    sleep(Duration::from_secs(3));
    let knot = Secondary::knot(&setup);
    until("what was missed", || follows(knot_at, &node));
    let began = Instant::now();
    api.create("88.118.8/b", vec![value(1, "DESC", "x")], "")
        .await
        .unwrap();
    until("a change", || follows(knot_at, &node));
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "not by SOA REFRESH"
    );
    drop(knot);
    node.stop();
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// However large a zone is, transfers of it take little memory, and queries do not suffer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_zone_takes_little_memory() {
    const NAMES: usize = 200_000;
    let dir = DataDir::init();
    let allow = "dns.allow_transfer=127.0.0.1";
    let node = node(&dir, &Addresses::free(), "", &[NSD_KEY], &["--set", allow]);
    let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let owner = api.verified_enterprise(CODES[0]).await;
    api.active_prefix("88.118.8", &owner).await;
    let file = dir.beside("many.csv");
    let mut csv = String::from("identifier,type,data\n");
    for n in 0..NAMES {
        csv.push_str(&format!(
            "88.118.8/item-{n:07},URL,https://example.cn/items/{n}\n"
        ));
    }
    std::fs::write(&file, csv).unwrap();
    let idctl = node.idctl(Some(&dir.token_file()));
    success(idctl.command().arg("import").arg(&file));
    whole_zone(node.at.dns, "ors.example.", &[]);
    let before = resident_kib(node.pid());
    let mut most = before;
    let began = Instant::now();
    let transfers: Vec<_> = (0..3)
        .map(|n| {
            let mut command = dig(node.at.dns);
            let key = NSD_KEY.dig();
            if n == 0 {
                command.args(["-y", &key]);
            }
            command.args(["+noall", "+stats", "id.example.", "AXFR"]);
            std::thread::spawn(move || success(&mut command))
        })
        .collect();
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    while transfers.iter().any(|transfer| !transfer.is_finished()) {
        let one = Instant::now();
        let name = format!("item-{:07}.88-118-8.hdl.id.example.", asked % NAMES);
        let answer = success(dig(node.at.dns).args(["+short", &name, "URI"]));
        assert!(answer.contains("https://example.cn/"), "{answer}");
        slowest = slowest.max(one.elapsed());
        most = most.max(resident_kib(node.pid()));
        asked += 1;
    }
    let took = began.elapsed();
    for transfer in transfers {
        let stats = transfer.join().unwrap();
        let size = stats.split("XFR size: ").nth(1).unwrap_or_default();
        let records: usize = size.split(' ').next().unwrap().parse().unwrap();
        assert!(records >= 3 * NAMES, "{stats}");
    }
    eprintln!(
        "three transfers of {NAMES} names in {took:?}; resident {before} KiB before, {most} KiB at most; {asked} dig, the slowest {slowest:?}"
    );
    assert!(
        most - before < 64 << 10,
        "{before} KiB before, {most} KiB at most"
    );
    node.stop();
}

/// A client that reads slowly gets everything, and one that goes away holds nothing.
#[test]
fn slow_readers_and_those_who_leave() {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    let dir = DataDir::init();
    let further = [
        "--set",
        "dns.allow_transfer=127.0.0.1",
        "--set",
        "dns.max_transfers=1",
        "--set",
        "dns.tcp_idle_s=3",
    ];
    let node = node(&dir, &Addresses::free(), "", &[], &further);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        let owner = api.verified_enterprise(CODES[0]).await;
        api.active_prefix("88.118.8", &owner).await;
        let text = "x".repeat(10_000);
        for n in 0..1_000 {
            let values = vec![value(1, "DESC", &text)];
            api.create(&format!("88.118.8/large-{n}"), values, "")
                .await
                .unwrap();
        }
    });
    let mut query = b"\x00\x1c\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    query.extend_from_slice(b"\x02id\x07example\x00\x00\xfc\x00\x01");
    query[1] = (query.len() - 2) as u8;
    let connect = || {
        let mut stream = TcpStream::connect(node.at.dns).unwrap();
        stream.write_all(&query).unwrap();
        stream
    };
    // Slow: 10 MB at 4 MB a second, in small reads.
    let mut slow = connect();
    let (mut bytes, mut buffer) = (0, [0; 40_000]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        slow.set_read_timeout(Some(Duration::from_millis(1_500)))
            .unwrap();
        match slow.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes += count,
        }
        sleep(Duration::from_millis(10));
    }
    assert!(bytes > 10_000_000, "{bytes} bytes");
    drop(slow);
    for _ in 0..3 {
        drop(connect());
    }
    until("room for another", || {
        let mut command = Command::new("dig");
        command.args([
            &format!("@{}", node.at.dns.ip()),
            "-p",
            &node.at.dns.port().to_string(),
        ]);
        let text = output(command.args(["+noall", "+stats", "id.example.", "AXFR"])).stdout;
        String::from_utf8_lossy(&text).contains("XFR size")
    });
    node.stop();
}
