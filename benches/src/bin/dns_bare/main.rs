//! The lower bound of a DNS server on this machine: threads that receive and send datagrams in
//! batches, each answer copied from a hash map. It has no policy, no cache to keep, no store, no
//! limits, and speaks UDP over IPv4 only; what a real server costs beyond it is what it does.
//!
//! `dns_bare ADDRESS:PORT ZONE-FILE [THREADS]` loads the zone that `benches/dns-peers` writes and
//! answers until it is killed.

mod answers;
mod serve;

use std::error::Error;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use answers::Answers;

// As the node does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dns_bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, zone, threads) = match arguments.as_slice() {
        [listen, zone] => (listen, zone, "1"),
        [listen, zone, threads] => (listen, zone, threads.as_str()),
        _ => return Err("usage: dns_bare ADDRESS:PORT ZONE-FILE [THREADS]".into()),
    };
    let listen: SocketAddrV4 = listen.parse()?;
    let threads: usize = threads.parse()?;
    let answers = Arc::new(Answers::load(Path::new(zone))?);
    eprintln!("dns_bare: {} names", answers.names());
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..threads.max(1))
            .map(|_| scope.spawn(|| serve::serve(listen, &answers)))
            .collect();
        for thread in loops {
            thread.join().map_err(|_| "a thread has panicked")??;
        }
        Ok(())
    })
}
