//! The tasks that speak with the national node: started as the configuration says, stopped with
//! the node. What they do is `idnode_registry::upward`'s.

pub(crate) mod escrow;
pub(crate) mod routes;

use crate::cli::EscrowRestoreArgs;
use crate::config::Config;
use crate::front::Core;
use crate::health::{self, Fronts, HealthOptions};
use crate::measure::gather::Gathering;
use crate::node::options::own_addresses;
use crate::node::{Addresses, NodeError};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::private;
use idnode_registry::upward::channel::ChannelOptions;
use idnode_registry::upward::epp;
use idnode_registry::upward::escrow::Escrow;
use idnode_registry::upward::escrow::restore::{self, Restored};
use idnode_registry::upward::report::{ReportOptions, Reports};
use idnode_registry::upward::routes::Routes;
use idnode_registry::upward::stream::StreamOptions;
use idnode_registry::upward::sync::Paces;
use idnode_registry::upward::{sync, takeover};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end when the node stops; what they were about is journalled.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(86_400);

/// Why a file that a channel needs can't be used.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub struct UpwardError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The channels upward that the configuration turns on.
#[derive(Debug)]
pub struct Upward {
    core: Arc<Core>,
    epp: Option<epp::Options>,
    escrow: Option<Escrow>,
    reporting: Option<Reporting>,
    streams: Option<StreamOptions>,
    paces: Paces,
    routes: Option<Arc<Routes>>,
}

/// What reporting needs.
#[derive(Debug)]
struct Reporting {
    reports: Arc<Reports>,
    gathering: Gathering,
    health: HealthOptions,
}

impl Upward {
    /// Reads what the channels need, and begins to measure. From here on what is provisioned is
    /// left to the national node.
    ///
    /// # Errors
    /// A file that the configuration names can't be used.
    pub fn new(config: &Config, core: &Arc<Core>, at: &Addresses) -> Result<Self, NodeError> {
        let epp = epp_options(config, core);
        if epp.is_some() {
            core.registry.provision_below(own_prefixes(config));
        }
        let reports = !config.upward_report.server.is_empty();
        Ok(Self {
            core: core.clone(),
            epp,
            escrow: escrow::of(config, core)?,
            reporting: reports.then(|| reporting(config, core, at)).transpose()?,
            streams: stream_options(config),
            paces: Paces {
                per_s: config.upward_sync.changes_per_s,
                busy_per_s: config.upward_sync.busy_changes_per_s,
            },
            routes: routes::of(config, core, at)?,
        })
    }

    /// Starts the tasks; they end when `shutdown` is cancelled.
    pub fn start(self, shutdown: &CancellationToken) -> Running {
        let mut tasks = JoinSet::new();
        let (registry, uplink) = (&self.core.registry, &self.core.uplink);
        if let Some(options) = self.epp {
            let (registry, uplink) = (registry.clone(), uplink.clone());
            tasks.spawn(epp::run(registry, uplink, options, shutdown.clone()));
        }
        if let Some(escrow) = self.escrow {
            let stop = shutdown.clone();
            // What it was about is journalled, wherever it is cut off.
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = escrow.run() => {}
                }
            });
        }
        if let Some(options) = self.streams {
            let both = || (registry.clone(), uplink.clone());
            if let Some(routes) = self.routes {
                tasks.spawn(routes.run(options.clone(), shutdown.clone()));
            }
            let ((registry, uplink), followed) = (both(), options.clone());
            tasks.spawn(takeover::run(registry, uplink, followed, shutdown.clone()));
            let (registry, uplink) = both();
            tasks.spawn(sync::run(
                registry,
                uplink,
                options,
                self.paces,
                shutdown.clone(),
            ));
        }
        let mut gathering = None;
        if let Some(reporting) = self.reporting {
            let reports = reporting.reports;
            tasks.spawn(reports.clone().run(shutdown.clone()));
            let (health, shutdown) = (reporting.health, shutdown.clone());
            tasks.spawn(health::run(self.core, reports, health, shutdown));
            gathering = Some(reporting.gathering);
        }
        Running { tasks, gathering }
    }
}

/// The node's own prefixes.
pub(crate) fn own_prefixes(config: &Config) -> Vec<Prefix> {
    let own = config.upward.prefixes.iter();
    // The configuration's rule has them read once already.
    own.filter_map(|text| Prefix::parse(text).ok()).collect()
}

/// What the streams need; `None`: they are off.
fn stream_options(config: &Config) -> Option<StreamOptions> {
    let sync = &config.upward_sync;
    (!sync.server.is_empty()).then(|| StreamOptions {
        node: config.node.id.clone(),
        prefixes: own_prefixes(config),
        channel: ChannelOptions {
            server: sync.server.clone(),
            server_name: sync.server_name.clone(),
            authority: sync.authority.clone(),
            certificate: sync.certificate.clone(),
            key: sync.key.clone(),
            timeout: Duration::from_millis(sync.timeout_ms.into()),
        },
        max_backoff: Duration::from_millis(sync.max_backoff_ms.into()),
    })
}

/// What provisioning needs; `None`: it is off.
fn epp_options(config: &Config, core: &Core) -> Option<epp::Options> {
    let (upward, epp) = (&config.upward, &config.upward_epp);
    let or_user = |text: &String| match text.is_empty() {
        true => upward.user.clone(),
        false => text.clone(),
    };
    let ms = |ms: u32| Duration::from_millis(ms.into());
    // Without an address the site names none that others could ask.
    let is_found = own_addresses(config).next().is_some();
    let site = is_found.then(|| Site::decode(core.resolver.own_site()).ok());
    (!epp.server.is_empty()).then(|| epp::Options {
        server: epp.server.clone(),
        server_name: epp.server_name.clone(),
        authority: epp.authority.clone(),
        certificate: epp.certificate.clone(),
        key: epp.key.clone(),
        client_id: or_user(&epp.client_id),
        password_file: epp.password_file.clone(),
        user: upward.user.clone(),
        timeout: ms(epp.timeout_ms),
        keepalive: ms(epp.keepalive_ms),
        poll: ms(epp.poll_ms),
        idle_poll: ms(epp.idle_poll_ms),
        max_backoff: ms(epp.max_backoff_ms),
        identifiers: epp.identifiers,
        site: site.flatten(),
    })
}

/// Makes a registry of escrow deposits. Blocks.
///
/// # Errors
/// A key can't be used; a deposit is refused; they do not lead to what they say.
pub fn restore(args: &EscrowRestoreArgs) -> Result<Restored, Box<dyn std::error::Error>> {
    let receiver = escrow::signing_key(&args.key)?;
    let signer = escrow::public_key(&args.signer)?;
    private::make_dir(&args.data_dir)
        .map_err(|error| format!("{}: {error}", args.data_dir.display()))?;
    let registry = args.data_dir.join("registry");
    Ok(restore::restore(
        &args.deposits,
        &receiver,
        &signer,
        &registry,
    )?)
}

/// What was restored, a line of JSON each prefix.
pub fn restored_lines(restored: &Restored) -> impl Iterator<Item = String> {
    restored.prefixes.iter().map(|it| {
        json!({
            "prefix": it.prefix,
            "deposits": it.deposits,
            "watermark": it.watermark,
            "identifiers": it.listed,
            "listing": it.listing,
            "equal": true,
        })
        .to_string()
    })
}

/// The last line: the whole.
pub fn restored_summary(restored: &Restored, token_file: &str) -> String {
    let listed: u64 = restored.prefixes.iter().map(|it| it.listed).sum();
    json!({
        "prefixes": restored.prefixes.len(),
        "identifiers": listed,
        "revision": restored.revision,
        "operator_token": token_file,
    })
    .to_string()
}

/// Opens the reports of a node, and begins to measure.
fn reporting(config: &Config, core: &Arc<Core>, at: &Addresses) -> Result<Reporting, NodeError> {
    let report = &config.upward_report;
    let options = ReportOptions {
        node: config.node.id.clone(),
        channel: ChannelOptions {
            server: report.server.clone(),
            server_name: report.server_name.clone(),
            authority: report.authority.clone(),
            certificate: report.certificate.clone(),
            key: report.key.clone(),
            timeout: Duration::from_millis(report.timeout_ms.into()),
        },
        keep: DAY * report.keep_days,
        max_backoff: Duration::from_millis(report.max_backoff_ms.into()),
        clock_offset_s: report.clock_ahead_s.into(),
        clock_settle: Duration::from_secs(report.clock_settle_s.into()),
    };
    let reports = Reports::open(core.registry.clone(), core.uplink.clone(), options)?;
    let reports = Arc::new(reports);
    core.uplink.report_by(reports.clone());
    let probe = match report.probe_prefix.as_str() {
        "" => None,
        // The configuration's rule has read the prefix; an identifier is one and a name.
        prefix => Identifier::parse(&format!("{prefix}/idnode-probe")).ok(),
    };
    let health = HealthOptions {
        interval: Duration::from_millis(report.check_interval_ms.into()),
        checks_to_fault: report.checks_to_fault,
        checks_to_recovery: report.checks_to_recovery,
        data_dir: config.node.data_dir.clone(),
        min_free_bytes: u64::from(report.min_free_mib) << 20,
        attack_per_minute: report.attack_per_minute,
        probe,
        fronts: Fronts {
            dns: at.dns,
            handle: at.handle,
            http: at.http,
            grpc: at.grpc,
        },
    };
    Ok(Reporting {
        gathering: Gathering::start(core.registry.clone(), reports.clone())?,
        reports,
        health,
    })
}

/// The tasks that run.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
    gathering: Option<Gathering>,
}

impl Running {
    /// Waits for the tasks' end, for a short time; then ends them. What was measured is journalled.
    pub async fn stopped(mut self) {
        let ended = tokio::time::timeout(STOP_DEADLINE, async {
            while let Some(task) = self.tasks.join_next().await {
                if let Err(error) = task {
                    tracing::error!(%error, "a task of the uplink failed");
                }
            }
        });
        if ended.await.is_err() {
            self.tasks.shutdown().await;
        }
        if let Some(gathering) = self.gathering
            && let Err(error) = tokio::task::spawn_blocking(|| gathering.stop()).await
        {
            tracing::error!(%error, "measuring failed");
        }
    }
}
