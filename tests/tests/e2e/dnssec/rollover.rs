//! A zone's key is replaced below a parent, while a resolver with a cache asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use idnode_tests::run::success;
use serde_json::Value;

use super::validator::{Delv, Unbound, Verdict};
use super::world::{World, ZONE, tag};

/// The zone of the delegated prefix, at another node.
const CHILD: &str = "88-118-9.hdl.id.example.";
const CHILD_NAME: &str = "88-118-8.hdl.88-118-9.hdl.id.example.";
/// Short lives in caches, so that a whole rollover fits a test.
const TTL_S: u64 = 4;
const SHORT: [&str; 4] = [
    "--set",
    "dns.default_ttl_s=4",
    "--set",
    "dns.negative_ttl_s=1",
];

fn child() -> World {
    let zone = format!("dns.zone={CHILD}");
    let mut arguments = SHORT.to_vec();
    arguments.extend(["--set", &zone]);
    World::new(&arguments)
}

/// Longer than any cache holds what it was told before.
fn caches_forget() {
    sleep(Duration::from_millis(TTL_S * 1_000 + 1_100));
}

fn rollover(child: &World, arguments: &[&str]) -> Value {
    let mut all = vec!["dnssec", "rollover", CHILD];
    all.extend(arguments);
    child.idctl.json(&all)
}

fn states(done: &Value) -> Vec<&str> {
    let keys = done["zone"]["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect()
}

/// Asks for as long as `work` takes; every answer must be secure.
fn while_asking(parent: &World, child: &World, work: impl FnOnce()) {
    let anchors = parent.ds(ZONE);
    let zones = [(ZONE, parent.dns()), (CHILD, child.dns())];
    let unbound = Unbound::start(&anchors, &zones);
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                let absent = format!("absent-{number}.{CHILD_NAME}");
                let names = [(CHILD_NAME, "TXT"), (&absent, "TXT"), (CHILD, "SOA")];
                for (name, qtype) in names {
                    let answer = unbound.ask(name, qtype);
                    assert_eq!(
                        answer.status,
                        "NOERROR",
                        "{}\n{}",
                        answer.text,
                        unbound.log()
                    );
                    assert!(answer.secure, "{}\n{}", answer.text, unbound.log());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                sleep(Duration::from_millis(20));
            }
        });
        // The thread must end also where the work fails.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        if let Err(failed) = done {
            std::panic::resume_unwind(failed);
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?} questions");
}

/// The guided sequence, from one algorithm to the next key of it and on to the other algorithm.
#[test]
fn a_key_is_replaced_without_a_failure() {
    let (parent, child) = (World::new(&SHORT), child());
    parent.sign(ZONE, "ecdsap256sha256");
    child.sign(CHILD, "ecdsap256sha256");
    parent.delegate("88.118.9", &child.ds(CHILD));
    while_asking(&parent, &child, || {
        for algorithm in ["ecdsap256sha256", "ed25519"] {
            let same = algorithm == "ecdsap256sha256";
            let begun = rollover(&child, &["--start", "--algorithm", algorithm]);
            assert_eq!(states(&begun), ["active", "published"], "{begun}");
            // Too early: the caches hold DNSKEY and DS sets without the new key.
            let early = rollover(&child, &["--ds-at-parent"]);
            assert_eq!(states(&early), ["active", "published"], "{early}");
            let next = tag(&begun["zone"]["keys"][1]).to_string();
            let (status, error) = child.idctl.refused(&["dnssec", "activate", CHILD, &next]);
            assert_eq!(
                (status, &error["reason"]),
                (1, &Value::from("DNSSEC_TOO_EARLY"))
            );
            assert_eq!(child.ds(CHILD).len(), 2);
            parent.delegate("88.118.9", &child.ds(CHILD));
            caches_forget();
            assert_eq!(states(&rollover(&child, &[])), ["active", "published"]);
            let signs = rollover(&child, &["--ds-at-parent"]);
            match same {
                true => assert_eq!(states(&signs), ["retired", "active"], "{signs}"),
                false => {
                    // Of another algorithm: both sign, then the old one ceases to.
                    assert_eq!(states(&signs), ["active", "active"], "{signs}");
                    caches_forget();
                    assert_eq!(states(&rollover(&child, &[])), ["retired", "active"]);
                }
            }
            assert_eq!(child.ds(CHILD).len(), 1, "the parent drops the old key");
            caches_forget();
            parent.delegate("88.118.9", &child.ds(CHILD));
            caches_forget();
            // Caches may hold what it has signed as long as that is valid.
            let old = tag(&signs["zone"]["keys"][0]).to_string();
            let (_, error) = child.idctl.refused(&["dnssec", "remove", CHILD, &old]);
            assert_eq!(error["reason"], "DNSSEC_TOO_EARLY");
            child
                .idctl
                .json(&["dnssec", "remove", CHILD, &old, "--force"]);
            caches_forget();
        }
    });
}

/// Below a signed parent a zone that is not signed, and one that ceases to be.
#[test]
fn a_zone_goes_insecure_in_order() {
    let (parent, child) = (World::new(&SHORT), child());
    parent.sign(ZONE, "ed25519");
    parent.delegate("88.118.9", &[]);
    let zones = [(ZONE, parent.dns()), (CHILD, child.dns())];
    let unbound = Unbound::start(&parent.ds(ZONE), &zones);
    let insecure = |what: &str| {
        let answer = unbound.ask(CHILD_NAME, "TXT");
        assert_eq!(
            answer.status,
            "NOERROR",
            "{what}: {}\n{}",
            answer.text,
            unbound.log()
        );
        assert!(
            !answer.secure && !answer.text.contains("ANSWER: 0"),
            "{what}: {}",
            answer.text
        );
    };
    insecure("never signed");
    let key = child.sign(CHILD, "ecdsap256sha256").to_string();
    insecure("signed, and the parent does not say so");
    parent.delegate("88.118.9", &child.ds(CHILD));
    caches_forget();
    let answer = unbound.ask(CHILD_NAME, "TXT");
    assert!(answer.secure, "{}\n{}", answer.text, unbound.log());
    // First the parent, asked by CDS (RFC 8078), then the keys.
    child.idctl.json(&["dnssec", "ds", CHILD, "--withdraw"]);
    let cds = super::world::dig(child.dns(), &["+short", CHILD, "CDS"]);
    assert_eq!(cds.trim(), "0 0 0 00");
    let cdnskey = super::world::dig(child.dns(), &["+short", CHILD, "CDNSKEY"]);
    assert_eq!(cdnskey.trim(), "0 3 0 AA==");
    parent.delegate("88.118.9", &[]);
    caches_forget();
    let (_, error) = child.idctl.refused(&["dnssec", "remove", CHILD, &key]);
    assert_eq!(error["reason"], "DNSSEC_LAST_ACTIVE_KEY");
    child
        .idctl
        .json(&["dnssec", "remove", CHILD, &key, "--unsign"]);
    caches_forget();
    insecure("unsigned");
    let plain = super::world::dig(child.dns(), &["+dnssec", CHILD_NAME, "TXT"]);
    assert!(!plain.contains("RRSIG"), "{plain}");
}

/// Keys are on the disk when a call has returned; what is damaged there is said at the start.
#[test]
fn keys_survive_and_damage_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(&[]);
    let tag = world.sign(ZONE, "ecdsap256sha256");
    let ds = world.ds(ZONE);
    let world = world.restart(&[]);
    assert_eq!(world.ds(ZONE), ds);
    let verdict = Delv::new(ZONE, &ds).ask(world.dns(), ZONE, "SOA");
    assert_eq!(verdict, Verdict::Secure);
    let keys = world.keys();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    let files = idnode_tests::run::files_below(&keys);
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    let private = keys.join(format!("id.example+013+{tag:05}.pk8"));
    let good = std::fs::read(&private).unwrap();
    let dir = world.stop();
    let fails_with = |what: &str| {
        let mut command = idnode_tests::node::idnode();
        command.args(["run", "--dns", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.args([
            "--http",
            "127.0.0.1:0",
            "--handle",
            "127.0.0.1:0",
            "--data-dir",
        ]);
        let done = idnode_tests::run::output(command.arg(dir.path()));
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success(), "{what}");
        assert!(
            errors.contains("DNSSEC keys") && errors.contains(what),
            "{errors}"
        );
    };
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&private, &bad).unwrap();
    fails_with(".pk8");
    std::fs::remove_file(&private).unwrap();
    fails_with(".pk8");
    std::fs::write(&private, &good).unwrap();
    fails_with("chmod 0600");
    success(std::process::Command::new("chmod").arg("600").arg(&private));
    let metadata = private.with_extension("json");
    let text = std::fs::read_to_string(&metadata).unwrap();
    std::fs::write(&metadata, &text[..text.len() / 2]).unwrap();
    fails_with("is damaged");
    std::fs::write(&metadata, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
    fails_with("is of version 9");
    std::fs::write(&metadata, &text).unwrap();
    let node = idnode_tests::node::Node::run(&dir);
    assert_eq!(
        Delv::new(ZONE, &ds).ask(node.at.dns, ZONE, "SOA"),
        Verdict::Secure
    );
}
