//! What operators rely on: starting, configuring, watching and stopping a node, and `idctl`.

mod commands;
mod configuration;
mod drain;
mod failures;
mod observe;
mod private;
mod signals;
mod start;

use std::fs;
use std::path::Path;
use std::process::Command;

use idnode_tests::node::idnode;
use idnode_tests::run::Done;

/// `idnode` with these arguments, to its end.
fn ran(arguments: &[&str]) -> Done {
    Done::of(idnode().args(arguments))
}

/// A configuration file.
fn config(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `idnode` with these arguments and environment variables, to its end.
fn ran_with(environment: &[(&str, &str)], arguments: &[&str]) -> Done {
    let mut command: Command = idnode();
    Done::of(command.envs(environment.iter().copied()).args(arguments))
}
