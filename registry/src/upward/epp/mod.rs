//! Provisioning over EPP: an enterprise whose prefix is approved here is registered at the national
//! node, its prefix applied for, and what was decided there written here.
//!
//! | module | holds |
//! |---|---|
//! | [`records`] | what the journal keeps: transactions, applications, enrolments, messages |
//! | [`plan`] | what is decided, without sending or storing |
//! | [`identifier`] | what is told of a prefix's handle, decided likewise |
//! | `provision` | the work: what is owed is told |
//! | `identify` | handles of prefixes: looked at there, and made what they are to be |
//! | `settle` | what is decided there, written here |
//! | `tell` | one command and its answer, both journalled |
//! | `messages` | the messages of the national node's queue |
//! | `troubles` | what ended sessions, and waits behind the rest |
//! | `session` | a session with its answers |
//! | `link`, `http` | documents over TLS; over HTTP, whatever connections it takes |

mod http;
pub mod identifier;
mod identify;
mod link;
mod messages;
pub mod plan;
mod provision;
pub mod records;
mod session;
mod settle;
mod tell;
mod troubles;

pub use link::LinkError;

use super::status::{Channel, Uplink};
use crate::{Registry, Sequence, now_ms};
use identify::Identifiers;
use idnode_proto::epp::NS_IDENTIFIER;
use idnode_proto::handle::site::Site;
use provision::{Provisioner, Standing};
use records::Records;
use session::Session;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use troubles::Troubles;

/// The first wait after a failure is this part of the longest.
const FIRST_BACKOFF: u32 = 100;
/// Changes are gathered so long before they are looked at.
const GATHER: Duration = Duration::from_millis(20);
/// Writes that are about no prefix are looked at so often: they may be about an enterprise.
const LOOK: Duration = Duration::from_secs(1);
/// How long the exchange under way and the log-out may take when the node stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the channel is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` (TLS), or a URL of HTTP.
    pub server: String,
    /// The name in the server's certificate; empty: the host.
    pub server_name: String,
    /// File of the certificates that sign the server's.
    pub authority: PathBuf,
    /// File of the node's own certificates; empty: it shows none.
    pub certificate: PathBuf,
    /// File of their key.
    pub key: PathBuf,
    /// The node's name when it logs in.
    pub client_id: String,
    /// File of the password.
    pub password_file: PathBuf,
    /// The node's user (shrUserId).
    pub user: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often a silent session is kept alive.
    pub keepalive: Duration,
    /// How often messages are asked for while something is under review there.
    pub poll: Duration,
    /// How often else.
    pub idle_poll: Duration,
    /// The longest wait after a failure.
    pub max_backoff: Duration,
    /// Whether prefixes' handles are registered there, where it offers that.
    pub identifiers: bool,
    /// The node's own site; `None`: it has no address that others could ask.
    pub site: Option<Site>,
}

/// Speaks with the national node until `shutdown`; then logs out.
pub async fn run(
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    options: Options,
    shutdown: CancellationToken,
) {
    uplink.open(Channel::Epp, &options.server, now_ms());
    let identifiers = Identifiers::new(options.site.clone());
    if !options.identifiers {
        identifiers.offer(false);
    }
    let channel = ProvisioningChannel {
        work: Provisioner {
            records: Records(registry.journal()),
            registry,
            user: options.user.clone(),
            troubles: Troubles::default(),
            identifiers,
        },
        uplink,
        options,
        shutdown: shutdown.clone(),
    };
    let too_late = async {
        shutdown.cancelled().await;
        sleep(FAREWELL).await;
    };
    tokio::select! {
        () = channel.keep_up() => {}
        () = too_late => {}
    }
}

struct ProvisioningChannel {
    work: Provisioner,
    uplink: Arc<Uplink>,
    options: Options,
    shutdown: CancellationToken,
}

impl ProvisioningChannel {
    /// Connects, again and again, until the node stops.
    async fn keep_up(&self) {
        let mut backoff = Duration::ZERO;
        loop {
            let begun = tokio::select! {
                begun = Session::begin(&self.options, self.shutdown.clone()) => begun,
                () = self.shutdown.cancelled() => return,
            };
            let failed = match begun {
                Err(error) => error,
                Ok(session) => {
                    let served = session.serves(NS_IDENTIFIER);
                    self.work
                        .identifiers
                        .offer(served && self.options.identifiers);
                    self.uplink.works(Channel::Epp, now_ms());
                    let mut did_something = false;
                    let failed = self.serve(session, &mut did_something).await;
                    if did_something {
                        backoff = Duration::ZERO;
                    }
                    failed
                }
            };
            if self.shutdown.is_cancelled() {
                return;
            }
            tracing::warn!(error = %failed, "provisioning is interrupted");
            self.uplink
                .fails(Channel::Epp, &failed.to_string(), now_ms());
            backoff = self.longer(backoff);
            tokio::select! {
                () = self.idle(jittered(backoff)) => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Waits, and counts meanwhile what is owed.
    async fn idle(&self, wait: Duration) {
        let mut applied = self.work.registry.watch_applied();
        let until = Instant::now() + wait;
        loop {
            self.stand().await;
            tokio::select! {
                () = sleep_until(until) => return,
                open = self.something_new(&mut applied) => {
                    if !open {
                        return sleep_until(until).await;
                    }
                }
            }
        }
    }

    /// Waits for writes that may be about what is told. False: there will be none.
    async fn something_new(&self, applied: &mut watch::Receiver<Sequence>) -> bool {
        let began = Instant::now();
        let prefixes = self.work.registry.prefixes().epoch();
        if applied.changed().await.is_err() {
            return false;
        }
        loop {
            sleep(GATHER).await;
            let is_about_prefixes = self.work.registry.prefixes().epoch() != prefixes;
            if is_about_prefixes || began.elapsed() >= LOOK {
                return true;
            }
        }
    }

    fn longer(&self, backoff: Duration) -> Duration {
        let longest = self.options.max_backoff;
        (backoff * 2).clamp(longest / FIRST_BACKOFF, longest)
    }

    /// Works over one session until it breaks or the node stops. An exchange under way is finished.
    async fn serve(&self, mut session: Session, did_something: &mut bool) -> LinkError {
        match self.serve_until_broken(&mut session, did_something).await {
            Ok(()) | Err(LinkError::Stopping) => {
                session.end().await;
                LinkError::Stopping
            }
            Err(error) => error,
        }
    }

    /// Ok: the node stops.
    async fn serve_until_broken(
        &self,
        session: &mut Session,
        did_something: &mut bool,
    ) -> Result<(), LinkError> {
        let mut applied = self.work.registry.watch_applied();
        let mut retry = Duration::ZERO;
        // What was decided while this node was away is known first.
        self.work.poll(session).await?;
        let mut polled = Instant::now();
        loop {
            applied.mark_unchanged();
            self.stand().await;
            let (put_off, are_more) = self.work.tell_all(session).await?;
            let standing = self.stand().await;
            let pause = match standing.waiting {
                0 => self.options.idle_poll,
                _ => self.options.poll.min(self.options.idle_poll),
            };
            if polled.elapsed() >= pause {
                self.work.poll(session).await?;
                polled = Instant::now();
                self.stand().await;
            }
            self.uplink.works(Channel::Epp, now_ms());
            *did_something = true;
            retry = match &put_off {
                Some(reason) => {
                    self.uplink.puts_off(Channel::Epp, reason);
                    self.longer(retry)
                }
                None => Duration::ZERO,
            };
            if are_more && !self.shutdown.is_cancelled() {
                continue;
            }
            let idle = Instant::now();
            tokio::select! {
                open = self.something_new(&mut applied) => {
                    if !open {
                        return Ok(());
                    }
                }
                () = self.shutdown.cancelled() => return Ok(()),
                () = sleep(jittered(retry)), if put_off.is_some() => {}
                () = sleep_until(polled + pause) => {}
                () = sleep_until(idle + self.options.keepalive) => session.hello().await?,
            }
        }
    }

    /// Opens what is to be applied for, and counts what is owed.
    async fn stand(&self) -> Standing {
        match self.work.reconcile().await {
            Ok(standing) => {
                self.uplink.owes(Channel::Epp, standing.owed);
                metrics::gauge!("idnode_epp_under_review").set(standing.waiting as f64);
                metrics::gauge!("idnode_epp_withdrawn").set(standing.withdrawn as f64);
                standing
            }
            Err(error) => {
                tracing::error!(%error, "what is owed to the national node cannot be read");
                Standing::default()
            }
        }
    }
}

/// A wait between a half and the whole of it, so that nodes do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 4];
    let share = match getrandom::fill(&mut random) {
        Ok(()) => u32::from_be_bytes(random),
        Err(_) => u32::MAX,
    };
    wait / 2 + (wait / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}
