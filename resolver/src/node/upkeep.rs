//! What a node does beside serving: it reads files again, and forgets what is past its retention.

use super::now_ms;
use crate::front::tls::Reload;
use idnode_registry::write::{Command, Outcome};
use idnode_registry::{Caller, Registry};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// How often expired idempotency keys and log entries are looked for.
const MAINTENANCE_PERIOD: Duration = Duration::from_secs(600);
/// Most prunings of idempotency keys one after another: about a second of the writer, between the
/// commands of others.
const MAX_PRUNINGS: usize = 100;

/// Reads again, at each signal, what can be read again.
pub(super) async fn reload_at(mut hangup: Signal, reloads: Vec<Reload>) {
    while hangup.recv().await.is_some() {
        if reloads.is_empty() {
            tracing::info!(
                "SIGHUP: there is nothing to read again; the configuration is read at the start"
            );
        }
        for reload in &reloads {
            reload.now().await;
        }
    }
}

/// Forgets what is past its retention, now and then.
pub(super) async fn maintain(registry: Arc<Registry>, log_retention_ms: u64) {
    let caller = Caller::node();
    let mut tick = tokio::time::interval(MAINTENANCE_PERIOD);
    loop {
        tick.tick().await;
        for _ in 0..MAX_PRUNINGS {
            match registry.write(&caller, None, Command::Prune).await {
                Ok(receipt) if receipt.outcome == Outcome::Unfinished => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "pruning idempotency keys failed");
                    break;
                }
            }
        }
        if log_retention_ms == 0 {
            continue;
        }
        let (registry, before_ms) = (registry.clone(), now_ms().saturating_sub(log_retention_ms));
        match tokio::task::spawn_blocking(move || registry.trim_log(before_ms)).await {
            Ok(Err(error)) => tracing::warn!(%error, "trimming the log failed"),
            Err(error) => tracing::warn!(%error, "trimming the log failed"),
            Ok(Ok(())) => {}
        }
    }
}
