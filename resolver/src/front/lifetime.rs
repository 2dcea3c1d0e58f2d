//! How connections of HTTP end, whichever front they are of: when nothing is asked for too long,
//! and when the node shuts down.

use hyper::body::{Body, Incoming};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a connection that is closed for idling may take to flush.
const CLOSING_GRACE: Duration = Duration::from_secs(5);
/// How long a connection that never asked anything is kept when the node stops: what it has sent
/// by then is read.
const SILENT_GRACE: Duration = Duration::from_millis(200);

/// A connection that can be told to finish what it has begun.
pub(super) trait Finish: Future {
    /// No further request is taken.
    fn finish(self: Pin<&mut Self>);
}

impl<I, S, B> Finish for http1::Connection<I, S>
where
    Self: Future,
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Finish for http2::Connection<I, S, E>
where
    Self: Future,
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Requests that began on a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Arc<AtomicU64>);

impl Begun {
    /// Counts one.
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What may end a connection besides its client.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Begun,
    idle_timeout: Duration,
    shutdown: CancellationToken,
}

impl Watch {
    /// A connection on which no request may begin for `idle_timeout` at most.
    pub(super) fn new(idle_timeout: Duration, shutdown: CancellationToken) -> Self {
        Self {
            begun: Begun::default(),
            idle_timeout,
            shutdown,
        }
    }

    /// Where its requests are to be counted.
    pub(super) fn begun(&self) -> Begun {
        self.begun.clone()
    }

    /// Whether no request ever began.
    fn is_silent(&self) -> bool {
        self.begun.count() == 0
    }

    /// Runs a connection to its end. A request is answered within the node's deadline, so one
    /// on which none began for the idle time has a client that is silent or hardly reads.
    pub(super) async fn drive(self, connection: impl Finish) {
        let mut connection = pin!(connection);
        let (mut seen, mut idle, mut stopping) = (0, false, false);
        loop {
            let wait = if idle {
                CLOSING_GRACE
            } else {
                self.idle_timeout
            };
            tokio::select! {
                _ = connection.as_mut() => return,
                () = self.shutdown.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().finish();
                }
                () = tokio::time::sleep(SILENT_GRACE), if stopping && self.is_silent() => {
                    // Half a request's head, or half of HTTP/2's preface.
                    if self.is_silent() {
                        return;
                    }
                }
                () = tokio::time::sleep(wait) => {
                    if idle {
                        return;
                    }
                    let begun = self.begun.count();
                    if begun == seen {
                        idle = true;
                        connection.as_mut().finish();
                    }
                    seen = begun;
                }
            }
        }
    }
}
