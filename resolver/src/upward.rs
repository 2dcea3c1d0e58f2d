//! The tasks that speak with the national node: started as the configuration says, stopped with
//! the node. What they do is `idnode_registry::upward`'s.

use crate::config::Config;
use crate::front::Core;
use idnode_proto::identifier::Prefix;
use idnode_registry::upward::epp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end when the node stops; what they were about is journalled.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// The channels upward that the configuration turns on.
#[derive(Debug)]
pub struct Upward {
    core: Arc<Core>,
    epp: Option<epp::Options>,
}

impl Upward {
    /// Reads what the channels need. From here on what is provisioned is left to the national node.
    pub fn new(config: &Config, core: &Arc<Core>) -> Self {
        let epp = epp_options(config);
        if epp.is_some() {
            let own = config.upward.prefixes.iter();
            // The configuration's rule has them read once already.
            let own = own.filter_map(|text| Prefix::parse(text).ok());
            core.registry.provision_below(own.collect());
        }
        Self {
            core: core.clone(),
            epp,
        }
    }

    /// Starts the tasks; they end when `shutdown` is cancelled.
    pub fn start(self, shutdown: &CancellationToken) -> Running {
        let Self { core, epp } = self;
        let mut tasks = JoinSet::new();
        let (registry, uplink) = (&core.registry, &core.uplink);
        if let Some(options) = epp {
            let (registry, uplink) = (registry.clone(), uplink.clone());
            tasks.spawn(epp::run(registry, uplink, options, shutdown.clone()));
        }
        Running { tasks }
    }
}

/// What provisioning needs; `None`: it is off.
fn epp_options(config: &Config) -> Option<epp::Options> {
    let (upward, epp) = (&config.upward, &config.upward_epp);
    let or_user = |text: &String| match text.is_empty() {
        true => upward.user.clone(),
        false => text.clone(),
    };
    let ms = |ms: u32| Duration::from_millis(ms.into());
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
        max_backoff: ms(epp.max_backoff_ms),
    })
}

/// The tasks that run.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits for the tasks' end, for a short time; then ends them.
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
    }
}
