//! `idbench`, the load generator.

use std::process::ExitCode;

// Half a million histogram records and packets a second: allocation must not be what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    idnode_tools::bench::main()
}
