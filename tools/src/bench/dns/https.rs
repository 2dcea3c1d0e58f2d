//! Load over DNS over HTTPS (RFC 8484): POST requests, many streams on each HTTP/2 connection.

use std::cell::RefCell;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::client::{ResponseFuture, SendRequest};
use http::{Method, Request, header};

use super::Dns;
use super::questions::MAX_QUERY_BYTES;
use crate::bench::error::Failure;
use crate::bench::protocol::Protocol as _;
use crate::bench::run::{Job, Sender};
use crate::bench::stream::{connect, wait_until};
use crate::bench::tally::Tally;
use crate::bench::tls::Tls;
use crate::bench::window::{Waiting, Window};

/// What the connections of one sender share.
type Shared<'a> = crate::bench::stream::Shared<'a, Dns>;

/// The media type of DNS messages (RFC 8484 §6).
const MEDIA_TYPE: &str = "application/dns-message";
/// Flow control: bytes of answers under way on a connection, and on a stream.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const STREAM_WINDOW_BYTES: u32 = 128 << 10;

/// Runs one sender to its end.
pub(super) async fn run(job: &Job<Dns>, tls: &Tls, sender: Sender) -> Result<Tally, Failure> {
    let connections = sender.connections;
    let most = sender.in_flight.div_ceil(connections);
    let shared = Shared {
        job,
        sender: RefCell::new(sender),
        tally: RefCell::new(job.tally()?),
    };
    let mut running: FuturesUnordered<_> = (0..connections)
        .map(|_| converse(&shared, tls, most))
        .collect();
    while let Some(done) = running.next().await {
        done?;
    }
    drop(running);
    Ok(shared.tally.into_inner())
}

/// One connection from its handshake to its last answer.
async fn converse(shared: &Shared<'_>, tls: &Tls, most: usize) -> Result<(), Failure> {
    let stream = tls.connect(connect(shared.job).await?).await?;
    let (requests, connection) = h2::client::Builder::new()
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(broken)?;
    tokio::select! {
        ended = connection => match ended {
            Ok(()) => Err(Failure::Protocol("the server closes HTTP connections".to_owned())),
            Err(error) => Err(broken(error)),
        },
        done = ask(shared, requests, most) => done,
    }
}

/// Sends requests until all is asked, at most `most` at once, and takes their responses.
async fn ask(
    shared: &Shared<'_>,
    requests: SendRequest<Bytes>,
    most: usize,
) -> Result<(), Failure> {
    let mut requests = requests.ready().await.map_err(broken)?;
    let mut waiting = FuturesUnordered::new();
    loop {
        let now_ns = shared.job.clock.now_ns();
        let due_ns = shared.sender.borrow().pace.due_ns(now_ns);
        let wait = shared.sender.borrow().pace.wait(now_ns);
        match due_ns {
            Some(due_ns) if due_ns <= now_ns && waiting.len() < most => {
                requests = requests.ready().await.map_err(broken)?;
                let (query, response) = send(shared, &mut requests, due_ns)?;
                waiting.push(take(shared, query, response));
            }
            None if waiting.is_empty() => return Ok(()),
            Some(_) if waiting.len() < most => tokio::select! {
                Some(done) = waiting.next() => done?,
                () = wait_until(wait.unwrap_or_default()) => {}
            },
            _ => {
                if let Some(done) = waiting.next().await {
                    done?;
                }
            }
        }
    }
}

fn send(
    shared: &Shared<'_>,
    requests: &mut SendRequest<Bytes>,
    due_ns: u64,
) -> Result<(Waiting, ResponseFuture), Failure> {
    let job = shared.job;
    let sender = &mut *shared.sender.borrow_mut();
    let question = sender.draws.next();
    sender.pace.advance();
    // ID 0, so that answers can be cached (RFC 8484 §4.1).
    let mut query = Vec::with_capacity(MAX_QUERY_BYTES);
    job.protocol.push_datagram(&mut query, 0, question);
    let request = Request::builder()
        .method(Method::POST)
        .uri(&job.protocol.url)
        .header(header::CONTENT_TYPE, MEDIA_TYPE)
        .header(header::ACCEPT, MEDIA_TYPE)
        .header(header::CONTENT_LENGTH, query.len())
        .body(())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let (response, mut body) = requests.send_request(request, false).map_err(broken)?;
    body.send_data(query.into(), true).map_err(broken)?;
    shared.tally.borrow_mut().sent += 1;
    let waiting = Waiting {
        due_ns,
        sent_ns: due_ns,
        question,
    };
    Ok((waiting, response))
}

/// Takes one response; one that does not come in time is lost.
async fn take(
    shared: &Shared<'_>,
    query: Waiting,
    response: ResponseFuture,
) -> Result<(), Failure> {
    let job = shared.job;
    let timeout = std::time::Duration::from_nanos(job.timeout_ns);
    let Ok(message) = tokio::time::timeout(timeout, read(response)).await else {
        shared.tally.borrow_mut().lost += 1;
        return Ok(());
    };
    // The stream stands for the message ID.
    let mut window = Window::new(1);
    window.put(query);
    let mut tally = shared.tally.borrow_mut();
    let now_ns = job.clock.now_ns();
    job.protocol
        .count(&message?, &mut window, &mut tally, now_ns);
    Ok(())
}

/// The body of a response.
async fn read(response: ResponseFuture) -> Result<Vec<u8>, Failure> {
    let response = response.await.map_err(broken)?;
    if !response.status().is_success() {
        let refused = format!("the server answers HTTP {}", response.status());
        return Err(Failure::Protocol(refused));
    }
    let mut body = response.into_body();
    let mut message = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(broken)?;
        message.extend_from_slice(&chunk);
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    Ok(message)
}

fn broken(error: h2::Error) -> Failure {
    Failure::Protocol(format!("HTTP/2: {error}"))
}
