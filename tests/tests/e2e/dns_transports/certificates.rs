//! What is presented, and how it is replaced while the node runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use idnode_tests::node::{Addresses, DataDir, idnode};
use idnode_tests::run::{output, success, until};
use tokio::runtime::Runtime;

use super::clients::{self, https, quic, try_tls};
use super::world::{Authority, Files, HIT, TXT, World, metric, put, query, run};

/// Whether DNS over TLS presents what this authority has signed.
fn is_trusted(world: &World) -> bool {
    let at = world.node.at.dot.unwrap();
    try_tls(at, &world.files.authority, &["dot"], false).is_ok()
}

fn reloads(world: &World, outcome: &str) -> u64 {
    let series = format!("idnode_dns_certificate_reloads_total{{outcome=\"{outcome}\"}}");
    metric(&world.node, &series)
}

#[test]
fn protocols_and_versions_are_agreed_on() {
    let world = World::new();
    let agreed = |at, protocols: &[&str], is_old| {
        let wire = try_tls(at, &world.files.authority, protocols, is_old).ok()?;
        let protocol = wire
            .stream
            .conn
            .alpn_protocol()
            .unwrap_or_default()
            .to_vec();
        Some(String::from_utf8(protocol).unwrap())
    };
    let (dot, doh) = (world.node.at.dot.unwrap(), world.node.at.doh.unwrap());
    for is_old in [false, true] {
        assert_eq!(agreed(dot, &["dot"], is_old).unwrap(), "dot");
        assert_eq!(agreed(dot, &[], is_old).unwrap(), "", "no ALPN");
        assert_eq!(agreed(dot, &["h2"], is_old), None, "another protocol");
        assert_eq!(agreed(doh, &["h2", "http/1.1"], is_old).unwrap(), "h2");
        assert_eq!(agreed(doh, &["http/1.1"], is_old).unwrap(), "http/1.1");
        assert_eq!(agreed(doh, &["dot"], is_old), None, "another protocol");
    }
    world.node.stop();
}

#[test]
fn a_changed_certificate_is_presented_without_a_restart() {
    let world = World::new();
    let mut before = clients::tls(&world);
    assert!(before.ask(&query(1, HIT, TXT)).is_some());

    let second = Authority::new("second authority");
    put(&world.files.authority, &second.pem);
    assert!(!is_trusted(&world), "still the first one's");
    second.issue(&world.files);
    until("the new certificate is presented", || is_trusted(&world));
    assert!(
        before.ask(&query(2, HIT, TXT)).is_some(),
        "connections go on"
    );
    Runtime::new().unwrap().block_on(quic(&world));
    assert_eq!(https(&world, "/dns-query", &[]).status, 400);
    assert_eq!(reloads(&world, "loaded"), 1);

    // What cannot be used changes nothing.
    let good = fs::read_to_string(&world.files.certificate).unwrap();
    put(
        &world.files.certificate,
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    );
    until("the bad certificate is seen", || {
        reloads(&world, "failed") == 1
    });
    assert!(is_trusted(&world));
    let said = "dns.tls_certificate: ";
    assert!(world.node.log().contains(said), "{}", world.node.log());
    // Another one's key.
    world.authority.issue(&Files::of(&world.dir));
    put(&world.files.certificate, &good);
    put(&world.files.authority, &second.pem);
    until("the wrong key is seen", || {
        world
            .node
            .log()
            .contains("dns.tls_certificate and dns.tls_key")
    });
    assert!(is_trusted(&world));
    world.node.stop();
}

#[test]
fn sighup_reads_the_files_again() {
    let world = World::new();
    assert_eq!(reloads(&world, "loaded"), 0);
    let pid = world.node.pid().to_string();
    success(Command::new("kill").args(["-HUP", &pid]));
    until("the files are read again", || {
        reloads(&world, "loaded") == 1
    });
    assert!(is_trusted(&world));
    world.node.stop();
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let dir = DataDir::init();
    let files = Files::of(&dir);
    Authority::new("authority").issue(&files);
    let node = run(&dir, &files, &[]);
    let warning = "everybody on this machine can read the private key";
    assert!(!node.log().contains(warning), "{}", node.log());
    node.stop();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let node = run(&dir, &files, &[]);
    assert!(node.log().contains(warning), "{}", node.log());
    node.stop();
}

#[test]
fn a_node_without_a_good_certificate_does_not_start() {
    let dir = DataDir::init();
    let files = Files::of(&dir);
    let start = |settings: &[String]| {
        let mut command = idnode();
        command.args(["run", "--data-dir"]).arg(dir.path());
        for listen in ["--grpc", "--http", "--dns", "--handle"] {
            command.args([listen, "127.0.0.1:0"]);
        }
        let done = output(
            command
                .args(["--set", "dns.tls_listen=127.0.0.1:0"])
                .args(settings),
        );
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8(done.stderr).unwrap()
    };
    let said = start(&[]);
    assert!(
        said.contains("needs dns.tls_certificate, a PEM file"),
        "{said}"
    );
    let said = start(&files.flags());
    assert!(said.contains("node.pem: No such file"), "{said}");
    put(&files.certificate, "no PEM\n");
    let said = start(&files.flags());
    assert!(
        said.contains("node.pem: holds no certificate in PEM"),
        "{said}"
    );
    Authority::new("authority").issue(&files);
    put(&files.key, "no PEM\n");
    let said = start(&files.flags());
    assert!(
        said.contains("node.key: holds no private key in PEM"),
        "{said}"
    );
}

#[test]
fn config_check_misses_the_certificate() {
    let dir = DataDir::empty();
    let file = dir.beside("node.toml");
    let check = |text: &str| {
        fs::write(&file, format!("version = 1\n{text}\n")).unwrap();
        let done = output(idnode().args(["config", "check"]).arg(&file));
        (
            done.status.success(),
            String::from_utf8(done.stdout).unwrap(),
        )
    };
    for transport in ["tls", "https", "quic"] {
        let (is_good, said) = check(&format!("dns.{transport}_listen = '127.0.0.1:0'"));
        assert!(!is_good);
        for key in ["dns.tls_certificate", "dns.tls_key"] {
            let says =
                format!("dns.{transport}_listen is 127.0.0.1:0, which needs {key}, a PEM file");
            assert!(said.contains(&says), "{said}");
        }
    }
    let whole = "[dns]\ntls_listen = '[::1]:853'\nquic_listen = '[::1]:853'\n\
                 tls_certificate = 'a'\ntls_key = 'b'";
    assert_eq!(
        check(whole),
        (true, "ok\n".to_owned()),
        "TCP and UDP share a port"
    );
    let (is_good, said) = check(&format!("{whole}\nhttps_listen = '[::]:853'"));
    assert!(
        !is_good && said.contains("two fronts cannot share an address"),
        "{said}"
    );
}

#[test]
fn only_what_is_on_is_announced() {
    let dir = DataDir::init();
    let files = Files::of(&dir);
    Authority::new("authority").issue(&files);
    let mut flags = files.flags().to_vec();
    flags.extend([
        "--set".to_owned(),
        "dns.https_listen=127.0.0.1:0".to_owned(),
    ]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let node = idnode_tests::node::Node::run_at(&dir, &Addresses::free(), &flags);
    assert!(node.at.doh.is_some_and(|at| at.port() != 0));
    assert_eq!((node.at.dot, node.at.doq), (None, None));
    node.stop();
}

#[test]
fn a_hangup_has_the_certificate_read_again_though_it_has_not_changed() {
    let mut world = World::new();
    for count in 1..=2 {
        world.node.signal("HUP");
        until("it is read", || reloads(&world, "loaded") == count);
    }
    // One that cannot be used leaves the old one, and the node goes on.
    fs::write(&world.files.certificate, "no certificate").unwrap();
    world.node.signal("HUP");
    until("it is refused", || reloads(&world, "failed") > 0);
    assert!(world.node.is_alive());
    let log = world.node.log();
    assert!(log.contains("the one before stays"), "{log}");
    world.node.stop();
}
