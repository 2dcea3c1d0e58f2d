//! WHOIS (RFC 3912): one line asked, the document that IIIDAP would answer a stranger as lines of
//! text, and the end of the connection. There are no credentials.

use super::Core;
use super::directory::{self, Answer, Failure};
use idnode_proto::iiidap::{Query, plain};
use idnode_registry::Caller;
use metrics::{Counter, counter};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest line, bytes: a name of 255 characters in UTF-8 and a word before it.
const MAX_LINE_BYTES: usize = 1_100;
/// Most bytes that are read to be thrown away, so that a client that has sent more than a line
/// still gets its answer rather than a reset.
const DISCARDED_BYTES: usize = 64 << 10;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_millis(500);
/// How long a client that has not asked is kept when the node stops: what it has sent by then is
/// read.
const SILENT_GRACE: Duration = Duration::from_millis(200);
/// How long accepting rests after an error, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);

/// What an operator sets of the WHOIS front.
#[derive(Debug, Clone)]
pub struct WhoisOptions {
    /// Connections at once; the next one is closed.
    pub max_connections: usize,
    /// How long a client may take for its line, and as long again for taking the answer.
    pub idle: Duration,
}

impl Default for WhoisOptions {
    /// The defaults of the configuration's `[whois]` section.
    fn default() -> Self {
        Self {
            max_connections: 256,
            idle: Duration::from_secs(10),
        }
    }
}

/// The WHOIS front, bound and not yet serving.
#[derive(Debug)]
pub struct WhoisFront {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    core: Arc<Core>,
    options: WhoisOptions,
    at_connections: Counter,
    at_line: Counter,
    at_idle: Counter,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl WhoisFront {
    /// Binds a TCP socket; port 0 takes any that is free. The metrics recorder must be installed
    /// by then.
    ///
    /// # Errors
    /// What the operating system says about the address.
    pub async fn bind(
        addr: SocketAddr,
        core: Arc<Core>,
        options: WhoisOptions,
    ) -> Result<Self, io::Error> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let bound = |bound: &'static str| counter!("idnode_bound_hits_total", "bound" => bound);
        Ok(Self {
            listener,
            local_addr,
            shared: Arc::new(Shared {
                core,
                options,
                at_connections: bound("whois_connections"),
                at_line: bound("whois_line"),
                at_idle: bound("whois_idle"),
            }),
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown`, then takes no more connections and answers those there are.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self {
            listener, shared, ..
        } = self;
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = talks.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok(_) if talks.len() >= shared.options.max_connections => {
                        shared.at_connections.increment(1);
                    }
                    Ok((stream, address)) => {
                        let talk = talk(stream, address.ip(), shared.clone(), shutdown.clone());
                        talks.spawn(talk);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "whois: a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                }
            }
        }
        drop(listener);
        while let Some(ended) = talks.join_next().await {
            report(ended);
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("whois: a connection's task panicked");
    }
}

async fn talk(
    mut stream: TcpStream,
    source: IpAddr,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let idle = shared.options.idle;
    let stopping = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SILENT_GRACE).await;
    };
    let asked = tokio::select! {
        asked = tokio::time::timeout(idle, line(&mut stream)) => asked,
        () = stopping => return,
    };
    let line = match asked {
        Ok(Ok(Some(line))) => line,
        // It has gone, or has asked nothing.
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => return shared.at_idle.increment(1),
    };
    let text = shared.answer(&line, source).await;
    let answered = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    match tokio::time::timeout(idle, answered).await {
        Ok(Ok(())) => {
            let _ = tokio::time::timeout(DISCARD_TIME, discard(&mut stream)).await;
        }
        Ok(Err(_)) => {}
        Err(_) => shared.at_idle.increment(1),
    }
}

/// What comes before the end of a line, without it, or before the end of what is sent; `None`:
/// nothing does. Of a line that is too long, a little more than is taken.
async fn line(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::with_capacity(256);
    loop {
        let room = MAX_LINE_BYTES + 2 - line.len();
        let read = (&mut *stream).take(room as u64).read_buf(&mut line).await?;
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(line));
        }
        if read == 0 || line.len() > MAX_LINE_BYTES {
            return Ok(Some(line).filter(|line| !line.is_empty()));
        }
    }
}

async fn discard(stream: &mut TcpStream) {
    let (mut room, mut left) = ([0; 1_024], DISCARDED_BYTES);
    while let Ok(read @ 1..) = stream.read(&mut room).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

impl Shared {
    /// What is answered to a line.
    async fn answer(&self, line: &[u8], source: IpAddr) -> String {
        let asked = self.asked(line, source);
        let deadline = self.core.request_deadline;
        let answer = tokio::time::timeout(deadline, asked).await;
        match answer.unwrap_or_else(|_| Err(Failure::busy("the store did not answer in time"))) {
            Ok(Answer::Document(document)) => {
                directory::count("whois", 200);
                plain(&document)
            }
            Ok(Answer::Elsewhere(url)) => {
                directory::count("whois", 307);
                format!("% Another registry answers for it.\r\nrefer: {url}\r\n")
            }
            Err(failure) => {
                directory::count("whois", failure.status);
                plain(&failure.document())
            }
        }
    }

    async fn asked(&self, line: &[u8], source: IpAddr) -> Result<Answer, Failure> {
        if line.len() > MAX_LINE_BYTES {
            self.at_line.increment(1);
            let reason = format!("the line has more than {MAX_LINE_BYTES} bytes");
            return Err(Failure::new(400, "Bad Request", reason));
        }
        let query = std::str::from_utf8(line)
            .map_err(|_| Failure::new(400, "Bad Request", "the line is not UTF-8"))
            .and_then(|line| Ok(Query::of_line(line)?));
        let is_search = matches!(query, Ok(Query::Names(_)));
        let directory = &self.core.directory;
        directory.admit(source, is_search)?;
        directory.ask(query?, Caller::Stranger, None).await
    }
}
