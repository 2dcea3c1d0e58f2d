//! `idnode`: a secondary node (二级节点) in one binary.

use idnode_proto::dnsname::{Zones, to_name};
use idnode_proto::identifier::Identifier;
use idnode_registry::{Registry, private};
use idnode_resolver::cli::{self, Command, DemoArgs, EscrowRestoreArgs, InitArgs};
use idnode_resolver::config::{self, Config, FlagSetting};
use idnode_resolver::demo::dataset::{DataSet, Sources};
use idnode_resolver::demo::{self, Loaded};
use idnode_resolver::logging;
use idnode_resolver::node::{self, Addresses, Node};
use idnode_resolver::trust;
use idnode_resolver::upward;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Most threads that wait for the disk at once.
const MAX_BLOCKING_THREADS: usize = 64;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    idnode_resolver::allocator::keep_freed_memory();
    keep_files_private();
    let result = match cli::parse().command {
        Command::Config(command) => {
            let printed = config::command::run(
                &command,
                std::env::vars_os(),
                &mut io::stdout(),
                &mut io::stderr(),
            );
            return printed.map_or(ExitCode::FAILURE, ExitCode::from);
        }
        Command::Init(args) => init(&args),
        Command::EscrowRestore(args) => escrow_restore(&args),
        Command::Run(args) => {
            configured(args.source.config.as_deref(), &args.flag_settings()).and_then(|c| run(&c))
        }
        Command::Demo(args) => configured(args.source.config.as_deref(), &args.flag_settings())
            .and_then(|c| run_demo(&c, &args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where it cannot be said, the exit code says it.
            let _ = writeln!(io::stderr(), "idnode: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The effective configuration, with logging started as it says.
fn configured(file: Option<&Path>, flags: &[FlagSetting]) -> Result<Config, Box<dyn Error>> {
    let config = Config::load(file, std::env::vars_os(), flags)?;
    logging::init(&config.log)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

fn init(args: &InitArgs) -> Outcome {
    let config = configured(args.source.config.as_deref(), &args.flag_settings())?;
    let token_file = create(&config)?;
    println!("registry and operator token ({token_file}) are ready");
    Ok(())
}

/// Makes an empty registry, its operator token and the node's own key in a directory of our own.
fn create(config: &Config) -> Result<String, Box<dyn Error>> {
    let data_dir = &config.node.data_dir;
    private::make_dir(data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    let token = Registry::create(&data_dir.join("registry"))?;
    let token_file = write_token(data_dir, &token)?;
    // So that the first start need not; where a signer is configured, its key is the node's.
    if config.trust.signer.is_empty() {
        trust::own_key(data_dir)?;
    }
    Ok(token_file)
}

/// Makes a registry of escrow deposits, and says of which, one prefix a line of JSON.
fn escrow_restore(args: &EscrowRestoreArgs) -> Outcome {
    let restored = upward::restore(args)?;
    let token_file = write_token(&args.data_dir, &restored.token)?;
    let mut out = io::stdout().lock();
    for line in upward::restored_lines(&restored) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{}", upward::restored_summary(&restored, &token_file))?;
    Ok(out.flush()?)
}

/// Writes the operator's token beside the registry.
fn write_token(data_dir: &Path, token: &str) -> Result<String, Box<dyn Error>> {
    let path = data_dir.join("operator.token");
    private::replace(&path, format!("{token}\n").as_bytes())
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

/// What this process makes is its owner's alone, also what libraries make: the registry's files hold
/// administrators' secret keys. What is there already stays as it is.
fn keep_files_private() {
    let before = umask(Mode::S_IRWXG | Mode::S_IRWXO);
    umask(before | Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Takes all the open files that the system grants: every connection is one, and what a shell or
/// a service manager starts with is often a thousand.
fn take_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn runtime(config: &Config) -> io::Result<Runtime> {
    take_open_files();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.node.worker_threads > 0 {
        builder.worker_threads(config.node.worker_threads as usize);
    }
    builder
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
}

fn run(config: &Config) -> Outcome {
    runtime(config)?.block_on(async {
        let hangup = hangup()?;
        let node = Node::start(config).await?;
        // Whoever reads where the node listens may tell it to stop.
        let stop = StopSignals::listen()?;
        announce(&node.addresses())?;
        serve(node, hangup, stop).await
    })
}

fn run_demo(config: &Config, args: &DemoArgs) -> Outcome {
    let data_dir = &config.node.data_dir;
    let fresh = !data_dir.join("registry").exists();
    // Read first: what is missing is said before anything is made.
    let limit = args
        .limit
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let data_set = DataSet::load(&Sources::default(), limit)?;
    if fresh {
        create(config)?;
    }
    runtime(config)?.block_on(async {
        let hangup = hangup()?;
        let (registry, cache) = node::open_registry(config)?;
        let shown = if fresh {
            tracing::info!(organisations = data_set.organisations.len(), items = data_set.item_count(), "loading");
            let loaded = demo::load(&registry, &data_set).await?;
            let Loaded { enterprises, identifiers, rejected, seconds, shown } = loaded;
            eprintln!(
                "loaded {enterprises} enterprises with their prefixes and {identifiers} identifiers \
                 ({rejected} rejected) in {seconds:.1} s"
            );
            shown
        } else {
            eprintln!("{} holds a registry already: running on it", data_dir.display());
            demo::examples::SHOWCASE.to_owned()
        };
        let node = Node::start_on(config, registry, cache).await?;
        let stop = StopSignals::listen()?;
        announce(&node.addresses())?;
        print!("{}", four_commands(config, &node.addresses(), &shown)?);
        io::stdout().flush()?;
        serve(node, hangup, stop).await
    })
}

/// The ports that were chosen, as one JSON line on standard output.
fn announce(addresses: &Addresses) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(addresses)?)?;
    Ok(out.flush()?)
}

/// How to resolve one and the same identifier over each front.
fn four_commands(
    config: &Config,
    at: &Addresses,
    identifier: &str,
) -> Result<String, Box<dyn Error>> {
    let parsed = Identifier::parse(identifier)?;
    let zones = Zones::parse(
        &config.dns.zone,
        Some(&config.dns.ors_zone),
        Some(&config.dns.ons_zone),
    )?;
    let name = to_name(&parsed, &zones);
    let (dns_ip, dns_port) = (at.dns.ip(), at.dns.port());
    let idctl = idctl_command();
    Ok(format!(
        "\nThe node is running. Resolve {identifier} over each front:\n\n  \
         gRPC    {idctl} --server http://{grpc} resolve {identifier}\n  \
         DNS     dig @{dns_ip} -p {dns_port} {name} TXT\n  \
         Handle  {idctl} resolve --front handle --handle {handle} {identifier}\n  \
         HTTP    curl 'http://{http}/api/handles/{identifier}?pretty'\n\n\
         Write with the operator's token: --token-file {token}\nStop with Ctrl-C.\n",
        grpc = at.grpc,
        handle = at.handle,
        http = at.http,
        token = config.node.data_dir.join("operator.token").display(),
    ))
}

/// How to call `idctl`: by the path of the one built beside this binary, if there is one.
fn idctl_command() -> String {
    let beside = std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("idctl"))
        .filter(|idctl| idctl.exists());
    let Some(path) = beside else {
        return "idctl".to_owned();
    };
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok());
    short.unwrap_or(&path).display().to_string()
}

/// The signals that end the node.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From here on they are waited for instead of ending the process.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// SIGHUP, which from here on does not end the process.
fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Serves until SIGTERM or SIGINT; a second signal ends the process at once.
async fn serve(node: Node, hangup: Signal, mut stop: StopSignals) -> Outcome {
    let shutdown = CancellationToken::new();
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        stop.received().await;
        stopping.cancel();
        stop.received().await;
        std::process::exit(1);
    });
    node.serve(hangup, shutdown).await;
    Ok(())
}
