//! `idprovince up`: starts everything, watches it, obeys orders, and ends everything.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{MissedTickBehavior, interval};

use super::api::{self, Api};
use super::certify::certify;
use super::child::Binaries;
use super::city::{City, Site};
use super::configure::configure;
use super::control::{self, Asked, Order};
use super::down::sweep;
use super::error::Failure;
use super::layout::{Apart, HTTP_PORT, Layout, Map, Started};
use super::lock::Lock;
use super::member::{self, Look, Member};
use super::meter::Reading;
use super::net::{self, LatencyBy, Network};
use super::orders::told_to_end;
use super::printer::Printer;
use super::seed::seed;
use super::status::Status;

/// How often is looked whether processes live.
const REAP: Duration = Duration::from_millis(100);
/// How often nodes are asked how they are, at least.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take until every city knows of the others.
const SIBLINGS: Duration = Duration::from_secs(60);
/// How often lines are printed where no terminal is, unless said.
const LINES: Duration = Duration::from_secs(10);

/// Start the province and watch it until interrupted, or until `idprovince down`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its directory; made if it is not there, used again if it is
    #[arg(long, value_name = "DIR", default_value = "province")]
    dir: PathBuf,
    /// Where idnode and idnational are; by default where idprovince is
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Put each place into a network namespace of its own, with links that take their time (root)
    #[arg(long)]
    netns: bool,
    /// What delays packets on links; by default netem where the kernel has it, else wire
    #[arg(long, value_name = "HOW", value_enum, requires = "netns")]
    latency_by: Option<LatencyBy>,
    /// One way between two cities, and to the national node
    #[arg(long, value_name = "MS", default_value_t = 20.0, value_parser = milliseconds, requires = "netns")]
    between_ms: f64,
    /// One way between a city's clients and its node
    #[arg(long, value_name = "MS", default_value_t = 10.0, value_parser = milliseconds, requires = "netns")]
    city_ms: f64,
    /// Start a node that has crashed again
    #[arg(long)]
    restart: bool,
    /// Identifiers that each city is seeded with
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    identifiers: u32,
    /// How often it is shown how everything is [default: 1000 on a terminal and with --json, else
    /// 10000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..))]
    interval_ms: Option<u64>,
    /// One JSON document a line; the first when everything is up
    #[arg(long)]
    json: bool,
}

/// A time on the command line, milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=60_000.0).contains(&number) => Ok(number),
        _ => Err("allowed: 0 to 60000".to_owned()),
    }
}

/// How things are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Table,
    Lines,
    Json,
}

/// Runs until it is told to end.
///
/// # Errors
/// The province cannot be started.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.netns {
        net::permitted()?;
    }
    let binaries = Binaries::find(args.bin_dir.as_deref())?;
    let layout = Layout::make(&args.dir)?;
    let Some(_lock) = Lock::try_take(&layout)? else {
        let dir = layout.dir().display();
        return Err(Failure::Usage(format!("a province runs in {dir} already")));
    };
    let started = how(args, &layout)?;
    let swept = sweep(&layout)?;
    if !swept.is_nothing() {
        remark(&format!(
            "removed what an earlier run had left: {} processes, {} namespaces",
            swept.processes, swept.namespaces
        ));
    }
    let map = Map::new(&layout, started.apart);
    if !args.json && io::stdout().is_terminal() {
        remark("starting six nodes and a national node");
    }
    layout.note(&started)?;
    certify(&layout, &map)?;
    configure(&layout, &map)?;
    for city in City::ALL {
        binaries.init(&layout, city)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::io("a runtime"))?;
    let province = Province {
        map,
        started,
        binaries,
        network: Network::Loopback,
        members: member::all(),
        restart: args.restart,
        layout,
    };
    runtime.block_on(province.live(args))
}

/// How places are to be kept apart; a remark about it goes to standard error.
fn how(args: &Args, layout: &Layout) -> Result<Started, Failure> {
    if !args.netns {
        return Ok(Started {
            apart: Apart::Addresses,
            between_ms: 0.0,
            city_ms: 0.0,
        });
    }
    let choice = net::choose(layout, args.latency_by, args.between_ms, args.city_ms)?;
    if let Some(text) = choice.remark {
        remark(text);
    }
    Ok(choice.started)
}

fn remark(text: &str) {
    eprintln!("idprovince: {text}");
}

/// The province while it runs.
pub(super) struct Province {
    layout: Layout,
    map: Map,
    started: Started,
    binaries: Binaries,
    /// The network, on whose links orders act.
    pub(super) network: Network,
    members: Vec<Member>,
    restart: bool,
}

impl Province {
    /// From its start to its end; whatever has been started is ended, also when the start fails.
    async fn live(mut self, args: &Args) -> Result<(), Failure> {
        let mut orders = control::listen(&self.layout)?;
        let stop = stop_signal()?;
        tokio::pin!(stop);
        let begun = tokio::select! {
            begun = self.begin(args.identifiers as usize) => begun,
            () = &mut stop => Err(Failure::Interrupted),
            () = told_to_end(&mut orders) => Err(Failure::Interrupted),
        };
        let done = match begun {
            Ok(()) => {
                self.watch(args, &mut orders, stop).await;
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        block_in_place(|| self.end()).and(done)
    }

    /// Makes the network, starts the nodes, seeds them.
    async fn begin(&mut self, identifiers: usize) -> Result<(), Failure> {
        self.network = Network::make(&self.map, &self.started)?;
        // The national node first, so that nobody has to wait before asking it again.
        for which in [
            |site| site == Site::National,
            |site: Site| site != Site::National,
        ] {
            for member in self.members.iter_mut().filter(|it| which(it.site)) {
                let running = self.binaries.start(&self.layout, &self.map, member.site)?;
                member.started(running);
            }
            for member in self.members.iter().filter(|it| which(it.site)) {
                if let Some(running) = &member.running {
                    running.until_it_listens(&self.layout).await?;
                }
            }
        }
        let (layout, map) = (&self.layout, &self.map);
        let seeding = City::ALL.map(|city| async move {
            let api = Api::connect(layout, map, city).await?;
            seed(&api, identifiers).await?;
            knows_its_siblings(map, city).await
        });
        try_join_all(seeding).await?;
        Ok(())
    }

    /// Watches until told to end.
    async fn watch(
        &mut self,
        args: &Args,
        orders: &mut mpsc::Receiver<Asked>,
        mut stop: impl Future<Output = ()> + Unpin,
    ) {
        let shown = match (args.json, io::stdout().is_terminal()) {
            (true, _) => Shown::Json,
            (false, true) => Shown::Table,
            (false, false) => Shown::Lines,
        };
        let every = args.interval_ms.map(Duration::from_millis);
        let every = every.unwrap_or(if shown == Shown::Lines { LINES } else { LOOK });
        let [mut reap, mut look, mut show] = [REAP, LOOK.min(every), every].map(|period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let printer = Printer::start();
        let (mut looks, mut seen) = (JoinSet::new(), false);
        loop {
            tokio::select! {
                _ = reap.tick() => self.reap(),
                _ = look.tick(), if looks.is_empty() => {
                    for site in Site::all() {
                        let map = self.map.clone();
                        looks.spawn(async move { (site, Look::at(map, site).await) });
                    }
                }
                Some(Ok((site, look))) = looks.join_next(), if !looks.is_empty() => {
                    self.looked(site, look);
                    if looks.is_empty() && !seen && self.members.iter().all(Member::is_up) {
                        seen = true;
                        show.reset_immediately();
                    }
                }
                _ = show.tick(), if seen => self.show(shown, &printer),
                Some((order, reply)) = orders.recv() => {
                    let is_down = order == Order::Down;
                    let answer = self.obey(order).map_err(|failure| failure.to_string());
                    // Whoever asked may have gone.
                    let _ = reply.send(answer);
                    if is_down {
                        return;
                    }
                }
                () = &mut stop => return,
            }
        }
    }

    fn looked(&mut self, site: Site, look: Look) {
        if let Some(member) = self.members.iter_mut().find(|it| it.site == site) {
            member.looked(look);
        }
    }

    /// Looks which processes have ended, and starts those again that are due.
    fn reap(&mut self) {
        for member in &mut self.members {
            member.reap(self.restart);
            if member.is_due() {
                match self.binaries.start(&self.layout, &self.map, member.site) {
                    Ok(running) => member.started(running),
                    Err(failure) => member.failed(failure.to_string()),
                }
            }
        }
    }

    /// How everything is.
    pub(super) fn status(&self) -> Status {
        Status {
            at: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            dir: self.layout.dir().display().to_string(),
            apart: self.started.apart,
            city_ms: self.started.city_ms,
            nodes: self.members.iter().map(|it| it.node(&self.map)).collect(),
            links: self.network.links(),
            wire: self.network.wire(),
        }
    }

    fn show(&self, shown: Shown, printer: &Printer) {
        let status = self.status();
        let text = match shown {
            // Home, and nothing below.
            Shown::Table => format!("\x1b[H\x1b[J{}", status.table()),
            Shown::Lines => status.lines(),
            Shown::Json => serde_json::to_string(&status).unwrap_or_default() + "\n",
        };
        printer.print(text);
    }

    /// Ends everything: the cities, then the national node, then the network.
    fn end(&mut self) -> Result<(), Failure> {
        for last in [false, true] {
            let theirs = |member: &&mut Member| (member.site == Site::National) == last;
            let mut ending: Vec<_> = self.members.iter_mut().filter(theirs).collect();
            for member in &ending {
                if let Some(running) = &member.running {
                    running.terminate();
                }
            }
            for member in &mut ending {
                if let Some(running) = &mut member.running {
                    running.wait();
                }
                member.running = None;
            }
        }
        self.network.stop();
        sweep(&self.layout).map(drop)
    }
}

/// Waits until a city's node knows the way to all others.
async fn knows_its_siblings(map: &Map, city: City) -> Result<(), Failure> {
    let until = Instant::now() + SIBLINGS;
    while Instant::now() < until {
        let metrics = api::get(map, Site::City(city), HTTP_PORT, "/metrics").await;
        let text = metrics.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
        let known = text.map_or(0, |text| Reading::parse(&text).siblings);
        if known as usize + 1 >= City::ALL.len() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let name = city.name();
    let text = format!("{name} has not learnt of its siblings in time");
    Err(Failure::Program(text))
}

/// Comes when the process is told to end.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let named = || Failure::io("signals");
    let mut terminate = signal(SignalKind::terminate()).map_err(named())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(named())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
