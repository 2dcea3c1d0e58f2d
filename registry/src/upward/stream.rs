//! What the streams to the national node have in common: one connection after another, with a
//! wait after each that failed, and how that stands.

use super::channel::{ChannelOptions, connect};
use super::status::{Channel, Uplink};
use crate::now_ms;
use idnode_proto::identifier::Prefix;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport;

/// The first wait after a failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// How a node speaks with the national node's listener of streams.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// The node's id, which is the name in its certificate.
    pub node: String,
    /// The node's own prefixes; empty: whatever it has registered.
    pub prefixes: Vec<Prefix>,
    /// Where the streams lead.
    pub channel: ChannelOptions,
    /// The longest wait between two attempts.
    pub max_backoff: Duration,
}

/// One stream: which channel it is, and how it says that it works.
#[derive(Debug, Clone)]
pub struct Line {
    uplink: Arc<Uplink>,
    channel: Channel,
    worked: Arc<AtomicBool>,
}

impl Line {
    /// An exchange went well.
    pub fn works(&self) {
        self.worked.store(true, Ordering::Relaxed);
        self.uplink.works(self.channel, now_ms());
    }

    /// It does not work now, though the connection does.
    pub fn fails(&self, reason: &str) {
        self.uplink.fails(self.channel, reason, now_ms());
    }

    /// So much is owed.
    pub fn owes(&self, backlog: u64) {
        self.uplink.owes(self.channel, backlog);
    }

    /// The uplink it belongs to.
    pub fn uplink(&self) -> &Uplink {
        &self.uplink
    }
}

/// Speaks over one connection after another until `shutdown`. `talk` goes on until its connection
/// fails, and says why; it may be cut off at any await.
pub async fn keep_talking<Talk, Talking>(
    uplink: Arc<Uplink>,
    channel: Channel,
    options: &StreamOptions,
    shutdown: &CancellationToken,
    mut talk: Talk,
) where
    Talk: FnMut(transport::Channel, Line) -> Talking,
    Talking: Future<Output = String>,
{
    uplink.open(channel, &options.channel.server, now_ms());
    let line = Line {
        uplink: uplink.clone(),
        channel,
        worked: Arc::default(),
    };
    let first = FIRST_BACKOFF.min(options.max_backoff);
    let mut backoff = first;
    loop {
        let connected = async {
            match connect(&options.channel).await {
                Ok(connection) => talk(connection, line.clone()).await,
                Err(reason) => reason,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            reason = connected => {
                uplink.fails(channel, &reason, now_ms());
                tracing::debug!(channel = channel.name(), reason, "a stream upward ended");
            }
        }
        if line.worked.swap(false, Ordering::Relaxed) {
            backoff = first;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(jittered(backoff)) => {}
        }
        backoff = (backoff * 2).min(options.max_backoff);
    }
}

/// A wait less a random part of up to a half, so that nodes do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness the whole wait will do.
    match getrandom::fill(&mut random) {
        Ok(()) => wait - wait.mul_f64(f64::from(u16::from_be_bytes(random)) / 131_072.0),
        Err(_) => wait,
    }
}
