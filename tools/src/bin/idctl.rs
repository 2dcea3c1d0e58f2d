//! `idctl`, the operator and enterprise CLI of a secondary node.

use std::process::ExitCode;

fn main() -> ExitCode {
    idnode_tools::ctl::main()
}
