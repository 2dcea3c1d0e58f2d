//! What the node makes is for nobody but its operator: the registry holds administrators' secrets.

use std::path::PathBuf;
use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use idnode_tests::run::{files_below, open_to_others, success};

const NOTHING: Vec<PathBuf> = Vec::new();

/// The same in an environment where files are for everybody.
fn generous(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn what_the_node_makes_is_its_operators_alone() {
    let dir = DataDir::empty();
    let mut init = idnode();
    init.args(["init", "--data-dir"]).arg(dir.path());
    success(&mut generous(&init));
    assert_eq!(open_to_others(&dir.path()), NOTHING);
    let mut run = idnode();
    run.arg("run").arg("--data-dir").arg(dir.path());
    run.args(Addresses::free().flags());
    let node = Node::start(&mut generous(&run), &dir.beside("node.log"));
    let idctl = node.idctl(Some(&dir.token_file()));
    let enterprise = idctl.verified_enterprise(CODES[0]);
    idctl.active_prefix("88.118.8", &enterprise);
    let secret = "300:HS_SECKEY:perm=1100=open sesame";
    let url = "1:URL=https://example.com/";
    let create = ["identifier", "create", "88.118.8/A-1", "--value", url];
    idctl.json(&[&create[..], &["--value", secret]].concat());
    assert_eq!(open_to_others(&dir.path()), NOTHING);
    assert!(files_below(&dir.path()).len() > 5);
    node.stop();
    assert_eq!(open_to_others(&dir.path()), NOTHING);
}
