//! `idprovince`, six secondary nodes and a national node on one machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    idnode_tools::province::main()
}
