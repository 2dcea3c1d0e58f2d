//! A whole node in this process: what only the wiring of its parts can get wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use idnode_proto::handle::site::InterfaceProtocol;
use idnode_proto::handle::{RequestHead, Response};
use idnode_registry::Registry;
use idnode_resolver::config::Config;
use idnode_resolver::node::Node;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_site_information_names_the_ports_that_were_chosen() {
    let dir = tempfile::tempdir().unwrap();
    Registry::create(&dir.path().join("registry")).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::default();
    config.node.data_dir = dir.path().to_owned();
    (config.grpc.listen, config.http.listen) = (any, any);
    (config.dns.listen, config.handle.listen) = (any, any);
    let node = Node::start(&config).await.unwrap();
    let addresses = node.addresses();
    let shutdown = CancellationToken::new();
    let hangup = signal(SignalKind::hangup()).unwrap();
    let serving = tokio::spawn(node.serve(hangup, shutdown.clone()));

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let request = RequestHead::new(7).site_info().unwrap();
    socket.send_to(&request, addresses.handle).await.unwrap();
    let mut datagram = [0; 2_048];
    let received = socket.recv(&mut datagram);
    let received = tokio::time::timeout(Duration::from_secs(10), received).await;
    let length = received.expect("the node answers").unwrap();
    let answer = Response::decode(&datagram[..length]).unwrap();
    let site = answer.site().expect("a site");
    let port = |protocol| {
        let interfaces = site.servers.iter().flat_map(|server| &server.interfaces);
        let mut ports = interfaces
            .filter(|interface| interface.protocol == protocol)
            .map(|interface| interface.port);
        (ports.next(), ports.next())
    };
    let (http, handle) = (addresses.http.port(), addresses.handle.port());
    assert_eq!(port(InterfaceProtocol::Http), (Some(http), None));
    assert_eq!(port(InterfaceProtocol::Tcp), (Some(handle), None));
    assert_eq!(port(InterfaceProtocol::Udp), (Some(handle), None));

    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(30), serving)
        .await
        .expect("the node stops")
        .unwrap();
}
