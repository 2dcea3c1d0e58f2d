//! `idnational`, a stand-in for the national top-level node (国家顶级节点): what a secondary node
//! docks to, to be tested against, or to be looked at by a person. It shares the wire formats of
//! `idnode-proto` with the node and no logic.
//!
//! | module | holds |
//! |---|---|
//! | [`book`] | what it knows: one redb database, tables of each part |
//! | [`faults`] | scripted faults, by channel |
//! | `escrow` | escrow intake over SFTP |
//! | [`page`] | the status page, for a person and as JSON |
//! | [`epp`] | provisioning: the EPP server, the review of prefixes |
//! | [`report`] | the intake of reports |
//! | [`change`] | the intake of changes |
//! | [`probe`] | probes of nodes, and what follows |
//! | [`takeover`] | emergency takeover and hand-back |
//! | [`resolve`] | the resolver of the national prefix: where nodes' prefixes are |
//! | [`routes`] | who runs nodes and where they resolve what, for all nodes to know |
//! | [`uplink`] | the listener of nodes' streams |
//!
//! Each part is a [`Part`]: it contributes to the page, and may have routes of its own there.

pub mod book;
pub mod change;
pub mod epp;
mod escrow;
pub mod faults;
pub mod page;
pub mod probe;
pub mod report;
pub mod resolve;
pub mod routes;
mod settings;
pub mod takeover;
pub mod uplink;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use clap::{Parser, Subcommand};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use book::Book;
use faults::Faults;
use routes::directory::Directory;
use settings::Settings;
use takeover::Ledger;
use uplink::peer::Members;

/// A stand-in for the national top-level node (国家顶级节点).
#[derive(Debug, Parser)]
#[command(name = "idnational", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until interrupted; the addresses are printed as one line of JSON
    Serve(Box<Serve>),
    /// Escrow deposits that are held
    #[command(subcommand)]
    Escrow(EscrowCommand),
}

#[derive(Debug, Subcommand)]
enum EscrowCommand {
    /// Write what a node's deposits lead to, and prove it to be what the node had
    Restore(Box<escrow::restore::Args>),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// File of settings: TOML, keys as the flags with _ for -
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What went wrong, for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all parts share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// What is known.
    pub book: Book,
    /// What is to go wrong.
    pub faults: Arc<Faults>,
    /// What is taken over.
    pub takeovers: Arc<Ledger>,
    /// What nodes have announced.
    pub directory: Arc<Directory>,
}

/// A part of the national node, such as its EPP server.
pub trait Part: Send + Sync {
    /// Its name on the page.
    fn name(&self) -> &'static str;

    /// How it stands, for programs.
    ///
    /// # Errors
    /// The book can't be read.
    fn status(&self) -> Result<Value, Failure>;

    /// How it stands, for a person: HTML without a heading, everything escaped.
    ///
    /// # Errors
    /// The book can't be read.
    fn section(&self) -> Result<String, Failure>;

    /// Routes of its own beside the page.
    fn routes(&self) -> Router {
        Router::new()
    }
}

/// A listener's task, which goes on until the process ends.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a part brings: itself, where it listens by name, and what is to run.
pub struct Started {
    /// The part.
    pub part: Arc<dyn Part>,
    /// Where it listens, by name.
    pub addresses: Vec<(&'static str, SocketAddr)>,
    /// What is to run.
    pub tasks: Vec<Task>,
}

/// Runs the process.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => run(*args),
        Command::Escrow(EscrowCommand::Restore(args)) => escrow::restore::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("idnational: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Serve) -> Result<(), Failure> {
    let settings = args.settings.over(args.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let data_dir = settings.data_dir.clone().ok_or("--data-dir is missing")?;
    std::fs::create_dir_all(&data_dir).map_err(|e| format!("{}: {e}", data_dir.display()))?;
    let faults = match &settings.faults {
        Some(file) => Faults::read(file)?,
        None => Faults::default(),
    };
    let book = Book::open(&data_dir.join("book.redb"))?;
    let members = Arc::new(Members::parse(&settings.uplink.sync_node)?);
    let shared = Shared {
        takeovers: Arc::new(Ledger::new(book.clone(), members)),
        directory: Arc::new(Directory::open(book.clone())?),
        faults: Arc::new(faults),
        book,
    };
    let started = start_parts(&settings, &data_dir, &shared).await?;
    let listener = TcpListener::bind(settings.listen_status()).await?;
    let mut addresses = Map::new();
    addresses.insert("status".into(), json!(listener.local_addr()?));
    let mut parts = Vec::new();
    for Started {
        part,
        addresses: own,
        tasks,
    } in started
    {
        addresses.extend(
            own.into_iter()
                .map(|(name, at)| (name.to_owned(), json!(at))),
        );
        parts.push(part);
        for task in tasks {
            tokio::spawn(task);
        }
    }
    announce(&Value::Object(addresses))?;
    let stop = async {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(signal) => signal,
                Err(_) => return std::future::pending().await,
            };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let page = axum::serve(listener, page::router(parts, shared.faults));
    tokio::select! {
        served = page => Ok(served?),
        () = stop => Ok(()),
    }
}

/// Starts every part that the settings turn on.
async fn start_parts(
    settings: &Settings,
    data_dir: &Path,
    shared: &Shared,
) -> Result<Vec<Started>, Failure> {
    let mut started = Vec::new();
    started.extend(epp::start(&settings.epp, shared).await?);
    started.extend(escrow::start(settings, data_dir, shared).await?);
    if settings.report.listen_report.is_some() {
        started.push(report::start(shared, &settings.report).await?);
    }
    started.extend(uplink::start(shared, data_dir, &settings.uplink).await?);
    started.extend(probe::start(&settings.probe, shared)?);
    let takeovers = shared.takeovers.clone();
    started.extend(resolve::start(shared, &settings.resolve, takeovers).await?);
    Ok(started)
}

/// Where everything listens, as one line of JSON on standard output.
fn announce(addresses: &Value) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{addresses}")?;
    Ok(out.flush()?)
}

/// Milliseconds since the Unix epoch, now.
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
