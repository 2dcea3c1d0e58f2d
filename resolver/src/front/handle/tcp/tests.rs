#![allow(clippy::unwrap_used)]
//! What sockets do not show: memory, and ends that do not come.

use super::super::tests::harness::{HANDLE, Node, resolution};
use super::*;
use std::task::Context;
use tokio::io::{DuplexStream, duplex};

/// Where the other end is.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn connections(node: &Node) -> Connections {
    let answerer = Arc::new(Answerer::new(node.core.clone()));
    let desk = |share_bytes| Desk::new(answerer.clone(), share_bytes);
    Connections {
        desks: Arc::new(Desks::new(1 << 20, desk)),
        answerer: answerer.clone(),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(10),
        shutdown: CancellationToken::new(),
    }
}

/// A stream whose end is never written, as that of TLS to a client that does not read.
struct Endless(DuplexStream);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_end_is_not_taken_ends_all_the_same() {
    let node = Node::start().await;
    let (stream, mut client) = duplex(1 << 20);
    let connection = connections(&node).converse(Endless(stream), HERE, false);
    let connection = tokio::spawn(connection);
    // No message begins like this: it is answered, and the connection is closed.
    client.write_all(&[0xff; 64]).await.unwrap();
    let ended = timeout(3 * LINGER, connection).await;
    ended.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_long_requests_and_answers_took_is_given_back_within_a_request() {
    let node = Node::start().await;
    let (stream, client) = duplex(1 << 20);
    let mut connection = Connection::new(connections(&node), stream, HERE, false);
    // A long answer, and one byte of the next request.
    let mut requests = resolution("88.118.8/big");
    requests.push(2);
    connection.inbound = requests;
    connection.inbound.reserve(1 << 18);
    assert_eq!(connection.answer_received().await, Next::Read);
    assert!(connection.scratch.reply.capacity() > 200_000);
    connection.give_back();
    let Scratch { reply, values } = &connection.scratch;
    assert!(reply.capacity() + values.capacity() <= 2 * IDLE_BUFFER);
    assert!(connection.inbound.capacity() <= IDLE_BUFFER);
    // The rest of the request makes it whole.
    let rest = resolution(HANDLE);
    connection.inbound.extend_from_slice(rest.get(1..).unwrap());
    assert!(matches!(connection.answer_received().await, Next::Read));
    drop(client);
}
