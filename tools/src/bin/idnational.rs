//! `idnational`, a stand-in for the national top-level node (国家顶级节点).

use std::process::ExitCode;

fn main() -> ExitCode {
    idnode_tools::national::main()
}
