//! The tasks that speak with the national node: started as the configuration says, stopped with
//! the node. What they do is `idnode_registry::upward`'s.

use crate::config::Config;
use crate::front::Core;
use crate::health::{self, Fronts, HealthOptions};
use crate::measure::gather::Gathering;
use crate::node::{Addresses, NodeError};
use idnode_proto::identifier::Identifier;
use idnode_registry::upward::channel::ChannelOptions;
use idnode_registry::upward::report::{ReportOptions, Reports};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end when the node stops; what they were about is journalled.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(86_400);

/// The channels upward that the configuration turns on.
#[derive(Debug)]
pub struct Upward {
    core: Arc<Core>,
    reporting: Option<Reporting>,
}

/// What reporting needs.
#[derive(Debug)]
struct Reporting {
    reports: Arc<Reports>,
    gathering: Gathering,
    health: HealthOptions,
}

impl Upward {
    /// Reads what the channels need.
    ///
    /// # Errors
    /// A file that the configuration names can't be used.
    pub fn new(config: &Config, core: &Arc<Core>, at: &Addresses) -> Result<Self, NodeError> {
        let is_on = !config.upward_report.server.is_empty();
        let reporting = is_on.then(|| reporting(config, core, at)).transpose()?;
        Ok(Self {
            core: core.clone(),
            reporting,
        })
    }

    /// Starts the tasks; they end when `shutdown` is cancelled.
    pub fn start(self, shutdown: &CancellationToken) -> Running {
        let mut tasks = JoinSet::new();
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
