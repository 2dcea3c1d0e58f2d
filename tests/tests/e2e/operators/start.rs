//! `idnode init` and `idnode run` on what is there, on what is not, and on what is in use.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use idnode_tests::run::{Done, files_below};

use super::{config, ran};

fn path(dir: &DataDir) -> String {
    dir.path().to_str().unwrap().to_owned()
}

#[test]
fn init_makes_a_registry_and_a_token_for_the_operator_alone() {
    let dir = DataDir::empty();
    let done = ran(&["init", "--data-dir", &path(&dir)]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("operator.token"), "{done:?}");
    let mode = fs::metadata(dir.token_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!done.stdout.contains(&dir.token()) && !done.stderr.contains(&dir.token()));
    let node = Node::run(&dir);
    let me = node.idctl(Some(&dir.token_file())).json(&["whoami"]);
    assert_eq!(me["operator"], true);
    node.stop();
}

#[test]
fn init_refuses_a_directory_that_has_a_registry_and_changes_nothing() {
    let dir = DataDir::init();
    let contents = || -> Vec<_> {
        let files = files_below(&dir.path()).into_iter();
        let mut files: Vec<_> = files.map(|file| (fs::read(&file).unwrap(), file)).collect();
        files.sort_by(|a, b| a.1.cmp(&b.1));
        files
    };
    let before = contents();
    let done = ran(&["init", "--data-dir", &path(&dir)]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("holds a registry already"), "{done:?}");
    assert!(done.stderr.contains(&path(&dir)), "{done:?}");
    assert!(contents() == before, "something is changed");
    // Nor while a node runs on it.
    let node = Node::run(&dir);
    let done = ran(&["init", "--data-dir", &path(&dir)]);
    assert!(
        done.code == 1 && done.stderr.contains("holds a registry already"),
        "{done:?}"
    );
    let me = node.idctl(Some(&dir.token_file())).json(&["whoami"]);
    assert_eq!(me["operator"], true);
    node.stop();
}

#[test]
fn run_says_what_is_missing() {
    let dir = DataDir::empty();
    let done = ran(&["run", "--data-dir", &path(&dir)]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.stderr
            .contains("holds no registry: run `idnode init` first"),
        "{done:?}"
    );
    assert!(
        done.stdout.is_empty() && !dir.path().exists(),
        "nothing is made"
    );
    let done = ran(&["run", "--config", "/nonexistent/node.toml"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("/nonexistent/node.toml"), "{done:?}");
    let usage = ran(&["run", "--no-such-flag"]);
    assert_eq!(usage.code, 2, "{usage:?}");
}

#[test]
fn a_second_node_on_the_same_directory_is_refused() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let done = Done::of(&mut second(&dir, &Addresses::free()));
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stdout.is_empty(), "it announced ports: {done:?}");
    let says =
        done.stderr.contains("in use by another process") && done.stderr.contains(&path(&dir));
    assert!(says, "{done:?}");
    // The first is none the worse for it.
    let me = node.idctl(Some(&dir.token_file())).json(&["whoami"]);
    assert_eq!(me["operator"], true);
    node.stop();
    Node::run(&dir).stop();
}

fn second(dir: &DataDir, at: &Addresses) -> std::process::Command {
    let mut command = idnode();
    command.arg("run").arg("--data-dir").arg(dir.path());
    command.args(at.flags());
    command
}

#[test]
fn a_port_that_is_taken_is_named_with_its_front() {
    let dir = DataDir::init();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for front in ["grpc", "http", "dns", "handle"] {
        let mut at = Addresses::free();
        match front {
            "grpc" => at.grpc = address,
            "http" => at.http = address,
            "dns" => at.dns = address,
            _ => at.handle = address,
        }
        let done = Done::of(&mut second(&dir, &at));
        assert_eq!(done.code, 1, "{front}: {done:?}");
        let error = done.stderr.to_lowercase();
        let says = error.contains(front) && error.contains(&address.to_string());
        assert!(says && error.contains("in use"), "{front}: {done:?}");
        assert!(done.stdout.is_empty(), "{front} announced ports: {done:?}");
    }
    // What a refused start had opened is free again.
    Node::run(&dir).stop();
}

#[test]
fn a_registry_of_another_layout_is_refused() {
    let dir = DataDir::empty();
    fs::create_dir_all(dir.path().join("registry")).unwrap();
    fs::write(dir.path().join("registry/CURRENT"), "MANIFEST-000001\n").unwrap();
    let done = Done::of(&mut second(&dir, &Addresses::free()));
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("idnode: "), "{done:?}");
    assert!(!done.stderr.contains("panicked"), "{done:?}");
}

#[test]
fn the_line_of_ports_is_json_and_the_only_one() {
    let dir = DataDir::init();
    let file = config(
        &dir.beside("node.toml"),
        "version = 1\n[node]\nid = 'line'\n",
    );
    let mut node = Node::run_at(&dir, &Addresses::free(), &["--config", &file]);
    let ports = [node.at.grpc, node.at.http, node.at.dns, node.at.handle].map(|at| at.port());
    assert!(ports.iter().all(|port| *port != 0), "{ports:?}");
    node.terminate();
    assert_eq!(node.line(), "", "something else on standard output");
    assert!(node.wait().success());
}
