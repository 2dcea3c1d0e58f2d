use super::*;
use crate::cli::{Cli, Command, ConfigCommand};
use clap::Parser;

const PAGE: &str = "../docs/config.md";

#[test]
fn the_reference_is_a_file_that_changes_nothing_and_has_every_key() {
    let (_guard, path) = file(&reference::reference());
    let effective = Effective::load(Some(&path), [], &[]).unwrap();
    assert_eq!(effective.config, Config::default());
    assert_eq!(effective.origins.len(), table::keys().count());
}

#[test]
fn every_key_is_documented() {
    for key in table::keys() {
        let docs = key.docs.concat();
        assert!(
            docs.trim().len() > 10 && docs.ends_with('.'),
            "{}: {docs:?}",
            key.path()
        );
        assert!(!key.rule.allowed.is_empty(), "{}", key.path());
    }
}

/// `docs/config.md` holds what `idnode config reference` prints; to renew it, replace the block.
#[test]
fn the_documentation_holds_the_reference() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let block = page
        .split_once("```toml reference\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(block, _)| block)
        .expect("docs/config.md has a block ```toml reference");
    assert_eq!(
        block,
        reference::reference(),
        "docs/config.md is out of date"
    );
}

fn run_config(arguments: &[&str], environment: &[(&str, &str)]) -> (u8, String, String) {
    let line = ["idnode", "config"].iter().chain(arguments);
    let Command::Config(config) = Cli::try_parse_from(line).unwrap().command else {
        panic!("{arguments:?}");
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = command::run(&config, variables(environment), &mut out, &mut err).unwrap();
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn check_prints_ok_or_every_mistake() {
    let (_guard, good) = file("version = 1\ndns.listen = '0.0.0.0:53'\n");
    let (code, out, err) = run_config(&["check", good.to_str().unwrap()], &[]);
    assert_eq!((code, out.as_str()), (0, "ok\n"));
    assert!(err.contains("warning: dns.node_addresses: "), "{err}");

    let (_guard, bad) = file("version = 1\n[cache]\ncapacity_mib = 0\nttl = 3\n");
    let name = bad.to_str().unwrap();
    let (code, out, err) = run_config(&["check", name], &[("IDNODE_STORE__X", "1")]);
    let expected = format!(
        "{name}:3:16: cache.capacity_mib: 0 is out of range, allowed: 1 to 1048576 MiB\n\
         {name}:4:1: cache.ttl: there is no such key\n"
    );
    assert_eq!((code, out, err.as_str()), (1, expected, ""));
}

#[test]
fn print_shows_every_key_with_its_origin_and_can_be_read_back() {
    let (_guard, path) = file("version = 1\n[cache]\ncapacity_mib = 7\n");
    let name = path.to_str().unwrap();
    let environment = [("IDNODE_STORE__MAX_OPEN_FILES", "99")];
    let arguments = [
        "print",
        "--config",
        name,
        "--grpc",
        "127.0.0.1:0",
        "--set",
        "node.id=n1",
    ];
    let (code, out, err) = run_config(&arguments, &environment);
    assert_eq!((code, err.as_str()), (0, ""));
    let origin_of = |setting: &str| {
        let line = out
            .lines()
            .find(|line| line.starts_with(setting))
            .expect(setting);
        line.split_once(" # ").unwrap().1.to_owned()
    };
    assert_eq!(origin_of("capacity_mib = 7 "), format!("file {name}:3:16"));
    assert_eq!(
        origin_of("max_open_files = 99 "),
        "environment IDNODE_STORE__MAX_OPEN_FILES"
    );
    assert_eq!(origin_of("listen = \"127.0.0.1:0\" "), "flag --grpc");
    assert_eq!(origin_of("id = \"n1\" "), "flag --set");
    assert_eq!(origin_of("body_limit_kib = 1024 "), "default");
    assert_eq!(origin_of("ns = [\"ns1.id.example.\"] "), "default");

    let read_back = load_file(&out).unwrap();
    assert_eq!(
        (read_back.cache.capacity_mib, read_back.store.max_open_files),
        (7, 99)
    );
}

#[test]
fn print_fails_with_the_mistakes_on_standard_error() {
    let (code, out, err) = run_config(&["print", "--dns", "nowhere"], &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.starts_with("--dns: dns.listen: \"nowhere\" is not an IP address"),
        "{err}"
    );
}

#[test]
fn reference_prints_the_reference() {
    assert!(matches!(
        Cli::try_parse_from(["idnode", "config", "reference"])
            .unwrap()
            .command,
        Command::Config(ConfigCommand::Reference)
    ));
    assert_eq!(
        run_config(&["reference"], &[]),
        (0, reference::reference(), String::new())
    );
}
