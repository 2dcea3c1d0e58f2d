//! The tasks that speak with the national node: started as the configuration says, stopped with
//! the node. What they do is `idnode_registry::upward`'s.

use crate::config::Config;
use crate::front::Core;
use crate::node::NodeError;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to end when the node stops; what they were about is journalled.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// The channels upward that the configuration turns on.
#[derive(Debug)]
pub struct Upward {}

impl Upward {
    /// Reads what the channels need.
    ///
    /// # Errors
    /// A file that the configuration names can't be used.
    pub fn new(_config: &Config, _core: &Arc<Core>) -> Result<Self, NodeError> {
        Ok(Self {})
    }

    /// Starts the tasks; they end when `shutdown` is cancelled.
    pub fn start(self, _shutdown: &CancellationToken) -> Running {
        Running {
            tasks: JoinSet::new(),
        }
    }
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
