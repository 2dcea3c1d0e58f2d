//! The configuration file, the environment and flags: what is wrong by line, and which one counts.

use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::curl;

use super::{config, ran, ran_with};

#[test]
fn config_check_names_file_line_and_key() {
    let dir = DataDir::empty();
    let file = config(
        &dir.beside("node.toml"),
        "version = 1\n\n[store]\nblock_cahce_mib = 9\n\n[cache]\ncapacity_mib = 0\n\n[dns]\nzone = \
         \"id.example\"\n\n[http]\ntcp_idle_s = 5\nlisten = \"localhost\"\n",
    );
    let done = ran(&["config", "check", &file]);
    assert_eq!(done.code, 1, "{done:?}");
    let found: Vec<_> = done.stdout.lines().collect();
    for (start, part) in [
        (
            "4:1: store.block_cahce_mib: ",
            "did you mean block_cache_mib?",
        ),
        ("7:16: cache.capacity_mib: ", "allowed: 1 to 1048576 MiB"),
        ("10:8: dns.zone: ", "dot"),
        ("13:1: http.tcp_idle_s: ", "[dns]"),
        ("14:10: http.listen: ", "port"),
    ] {
        let start = format!("{file}:{start}");
        let line = found.iter().find(|line| line.starts_with(&start));
        assert!(
            line.is_some_and(|line| line.contains(part)),
            "{start}: {found:?}"
        );
    }
    assert_eq!(found.len(), 5, "{found:?}");

    let file = config(&dir.beside("broken.toml"), "version = 1\n[store\n");
    let done = ran(&["config", "check", &file]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stdout.starts_with(&format!("{file}:2:")), "{done:?}");
    let absent = ran(&["config", "check", "/nonexistent/node.toml"]);
    assert!(
        absent.code == 1 && absent.stdout.contains("/nonexistent/node.toml"),
        "{absent:?}"
    );
}

#[test]
fn what_config_reference_prints_is_a_good_file() {
    let dir = DataDir::empty();
    let reference = ran(&["config", "reference"]);
    assert_eq!(reference.code, 0);
    let file = config(&dir.beside("node.toml"), &reference.stdout);
    let done = ran(&["config", "check", &file]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "ok\n"), "{done:?}");
    // What it prints as effective is a good file as well.
    let printed = ran(&[
        "config",
        "print",
        "--config",
        &file,
        "--set",
        "log.format=json",
    ]);
    let again = config(&dir.beside("again.toml"), &printed.stdout);
    assert_eq!(ran(&["config", "check", &again]).stdout, "ok\n");
    let of_both = [&file, &again].map(|file| ran(&["config", "print", "--config", file]).stdout);
    assert!(of_both[0].contains("format = \"text\"") && of_both[1].contains("format = \"json\""));
}

/// The effective value of a key and where it is from, as `config print` shows them.
fn effective(environment: &[(&str, &str)], arguments: &[&str], key: &str) -> String {
    let arguments = [&["config", "print"], arguments].concat();
    let done = ran_with(environment, &arguments);
    assert_eq!(done.code, 0, "{done:?}");
    let (section, name) = key.split_once('.').unwrap();
    let mut lines = done.stdout.lines();
    lines.find(|line| *line == format!("[{section}]")).unwrap();
    let line = lines.find(|line| line.starts_with(&format!("{name} = ")));
    let line = line.unwrap_or_else(|| panic!("{key}: {done:?}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_flag_counts_more_than_the_environment_and_that_more_than_the_file() {
    let dir = DataDir::empty();
    let file = config(
        &dir.beside("node.toml"),
        "version = 1\n[grpc]\nlisten = \"127.0.0.1:1\"\n[cache]\ncapacity_mib = 11\n",
    );
    let variable = ("IDNODE_GRPC__LISTEN", "127.0.0.1:2");
    let set = ["--set", "grpc.listen=127.0.0.1:3"];
    let short = ["--grpc", "127.0.0.1:4"];
    let in_file = ["--config", file.as_str()];
    let key = "grpc.listen";
    let of = |environment: &[(&str, &str)], arguments: &[&[&str]]| {
        effective(environment, &arguments.concat(), key)
    };
    let listen = |port: u16, from: &str| format!("listen = \"127.0.0.1:{port}\" # {from}");
    assert_eq!(of(&[], &[]), listen(2643, "default"));
    assert_eq!(
        of(&[], &[&in_file]),
        listen(1, &format!("file {file}:3:10"))
    );
    let by_variable = listen(2, "environment IDNODE_GRPC__LISTEN");
    assert_eq!(of(&[variable], &[&in_file]), by_variable);
    assert_eq!(of(&[variable], &[&in_file, &set]), listen(3, "flag --set"));
    assert_eq!(
        of(&[variable], &[&in_file, &set, &short]),
        listen(4, "flag --grpc")
    );
    let named = ("IDNODE_CONFIG", file.as_str());
    assert_eq!(of(&[named, variable], &[]), by_variable);
    let of_file = effective(&[named], &[], "cache.capacity_mib");
    assert!(
        of_file.starts_with("capacity_mib = 11 # file "),
        "{of_file}"
    );
}

#[test]
fn mistakes_in_flags_and_variables_are_named_like_those_of_files() {
    for (environment, arguments, part) in [
        (
            vec![("IDNODE_CACHE__CAPACITY_MIB", "0")],
            vec![],
            "IDNODE_CACHE__CAPACITY_MIB",
        ),
        (
            vec![("IDNODE_CACHE__CAPACITI_MIB", "9")],
            vec![],
            "IDNODE_CACHE__CAPACITY_MIB",
        ),
        (
            vec![("IDNODE_CACHE_CAPACITY_MIB", "9")],
            vec![],
            "IDNODE_CACHE__CAPACITY_MIB",
        ),
        (
            vec![],
            vec!["--set", "cache.capacity_mib=big"],
            "cache.capacity_mib",
        ),
        (
            vec![],
            vec!["--set", "cahce.capacity_mib=9"],
            "cache.capacity_mib",
        ),
        (vec![], vec!["--http", "127.0.0.1"], "http.listen"),
    ] {
        let arguments = [&["run", "--data-dir", "/nonexistent/data"], &arguments[..]].concat();
        let done = ran_with(&environment, &arguments);
        assert_eq!(done.code, 1, "{environment:?} {arguments:?}: {done:?}");
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
}

#[test]
fn a_node_does_what_its_file_the_environment_and_flags_say() {
    let dir = DataDir::init();
    let text = format!(
        "version = 1\n[node]\ndata_dir = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[dns]\nlisten = \
         \"127.0.0.1:0\"\nzone = \"file.example.\"\n[handle]\nlisten = \"127.0.0.1:0\"\n[grpc]\nlisten = \
         \"127.0.0.1:0\"\nreflection = false\n[log]\nformat = \"text\"\n",
        dir.path().display()
    );
    let file = config(&dir.beside("node.toml"), &text);
    let mut command = idnode_tests::node::idnode();
    command.args(["run", "--config", &file, "--set", "log.format=json"]);
    command.env("IDNODE_DNS__ZONE", "variable.example.");
    let node = Node::start(&mut command, &dir.beside("configured.log"));
    assert_eq!(curl(&node.http("/readyz"), &[]).0, 200);
    let asked = idnode_tests::run::success(std::process::Command::new("dig").args([
        "@127.0.0.1",
        "-p",
        &node.at.dns.port().to_string(),
        "+short",
        "variable.example.",
        "SOA",
    ]));
    assert!(asked.contains("variable.example."), "{asked}");
    let log = node.log();
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    node.stop();
}
