//! `idctl`, the operator and enterprise CLI of a secondary node.

use std::process::ExitCode;

// A bulk load allocates a few strings for each of millions of values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    idnode_tools::ctl::main()
}
