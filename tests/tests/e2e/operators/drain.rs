//! SIGTERM: what is under way finishes, nothing new is taken, the process ends in time and well.

use std::error::Error as _;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use idnode_proto::api as pb;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::import::ImportChunk;
use idnode_tests::api::{Api, CODES, reason, value};
use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use idnode_tests::run::{curl, output, success};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const LARGE_BYTES: usize = 250_000;

struct World {
    api: Api,
    node: Node,
    dir: DataDir,
}

async fn world(arguments: &[&str]) -> World {
    let dir = DataDir::init();
    let node = Node::run_at(&dir, &Addresses::free(), arguments);
    let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let enterprise = api.verified_enterprise(CODES[0]).await;
    api.active_prefix("88.118.8", &enterprise).await;
    let large = vec![value(1, "TEXT", &"x".repeat(LARGE_BYTES))];
    api.create("88.118.8/large", large, "").await.unwrap();
    World { api, node, dir }
}

impl World {
    /// Waits for the end, which must be a good one; how long it took from `since`.
    fn ended(&mut self, since: Instant) -> Duration {
        let status = self.node.wait();
        assert!(status.success(), "{status}\n{}", self.node.log());
        since.elapsed()
    }
}

type Answer = Result<Response<pb::IdentifierRecord>, Status>;

/// A call whose answer the node can't send to its end until it is asked for again.
async fn under_way(world: &World) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let endpoint = Endpoint::from_shared(world.node.url()).unwrap();
    let channel = endpoint
        .initial_stream_window_size(1_024)
        .connect()
        .await
        .unwrap();
    let request = world.api.request(pb::GetIdentifierRequest {
        identifier: "88.118.8/large".to_owned(),
    });
    let mut call: Pin<Box<dyn Future<Output = Answer> + Send>> = Box::pin(async move {
        let mut client = IdentifierServiceClient::new(channel);
        client.get_identifier(request).await
    });
    // Polled once: it is sent, and the first kilobyte of its answer fills the window.
    let early = tokio::time::timeout(Duration::ZERO, &mut call).await;
    assert!(early.is_err(), "it is answered already");
    tokio::time::sleep(Duration::from_millis(200)).await;
    call
}

fn refused(at: SocketAddr) -> bool {
    TcpStream::connect(at).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// A log that is full, or that nobody reads any more, stops nothing.
#[test]
fn what_cannot_be_logged_is_lost_and_nothing_else() {
    let (dir, at) = (DataDir::init(), Addresses::free());
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut child = idnode()
        .args(["run", "--data-dir"])
        .arg(dir.path())
        .args(at.flags())
        .stdout(Stdio::piped())
        .stderr(full.unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let at = Addresses::parse(&line).unwrap();
    let ready = format!("http://{}/readyz", at.http);
    assert_eq!(curl(&ready, &[]).0, 200);
    let pid = child.id().to_string();
    success(Command::new("kill").args(["-s", "TERM", &pid]));
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_is_answered_and_a_new_one_is_not_taken() {
    let mut world = world(&[]).await;
    let call = under_way(&world).await;
    let at = world.node.at;
    world.node.terminate();
    let began = Instant::now();
    while [at.grpc, at.http, at.dns, at.handle]
        .into_iter()
        .any(|at| !refused(at))
    {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "connections are taken still"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let dig = [
        "@127.0.0.1",
        "-p",
        &at.dns.port().to_string(),
        "+tries=1",
        "+time=1",
        "id.example.",
        "SOA",
    ];
    let asked = output(Command::new("dig").args(dig));
    assert!(
        !asked.status.success(),
        "{}",
        String::from_utf8_lossy(&asked.stdout)
    );
    let (code, error) = world
        .node
        .idctl(None)
        .refused(&["resolve", "88.118.8/large"]);
    assert_eq!(
        (code, &error["reason"]),
        (1, &"UNREACHABLE".into()),
        "{error}"
    );
    assert!(
        world.node.is_alive(),
        "it has not waited for the call under way"
    );

    let record = call.await.unwrap().into_inner();
    assert_eq!(
        idnode_tests::api::text(&record.values[0]).len(),
        LARGE_BYTES
    );
    let took = world.ended(Instant::now());
    assert!(
        took < Duration::from_secs(5),
        "ended {took:?} after the last call"
    );
    assert!(!world.node.log().contains("the drain deadline passed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_takes_his_answer_is_waited_for_until_the_deadline() {
    let mut world = world(&["--set", "node.drain_deadline_s=2"]).await;
    let call = under_way(&world).await;
    let export = world.api.request(pb::ExportRequest::default());
    let export = world.api.identifiers().export(export).await.unwrap();
    world.node.terminate();
    let took = world.ended(Instant::now());
    let expected = Duration::from_millis(1_900)..Duration::from_secs(5);
    assert!(expected.contains(&took), "ended after {took:?}");
    assert!(
        world.node.log().contains("the drain deadline passed"),
        "{}",
        world.node.log()
    );
    drop((call, export));
    // It was a good end all the same: everything is there and nothing has to be mended.
    world.node = Node::run(&world.dir);
    let api = Api::connect(&world.node.url(), Some(&world.dir.token()))
        .await
        .unwrap();
    assert_eq!(api.get("88.118.8/large").await.unwrap().values.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let mut world = world(&[]).await;
    let call = under_way(&world).await;
    let (grpc, began) = (world.node.at.grpc, Instant::now());
    world.node.terminate();
    while !refused(grpc) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.node.terminate();
    let status = world.node.wait();
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop(call);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_request_do_not_hold_it_up() {
    let mut world = world(&[]).await;
    let at = world.node.at;
    let silent: Vec<_> = [
        (at.grpc, &b""[..]),
        (at.grpc, b"PRI * HTTP/2.0\r\n"),
        (at.http, b""),
        (at.http, b"GET /healthz HTTP/1.1\r\nHost: "),
        (at.dns, b""),
        (at.dns, b"\0\x40\x12"),
        (at.handle, b""),
        (at.handle, b"\x02\x0b\0"),
    ]
    .into_iter()
    .map(|(at, bytes)| {
        let mut connection = TcpStream::connect(at).unwrap();
        connection.write_all(bytes).unwrap();
        connection
    })
    .collect();
    // One that has been answered and is kept open.
    let mut kept = TcpStream::connect(at.http).unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut head = [0; 12];
    std::io::Read::read_exact(&mut kept, &mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.node.terminate();
    let took = world.ended(Instant::now());
    assert!(took < Duration::from_secs(5), "ended after {took:?}");
    assert!(!world.node.log().contains("the drain deadline passed"));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_what_they_have_under_way_and_say_why() {
    let mut world = world(&[]).await;
    let (requests, receiver) = mpsc::channel(8);
    let start = pb::import_request::Message::Start(pb::ImportStart {
        import_id: "drained".to_owned(),
        ..pb::ImportStart::default()
    });
    let send = async |message| {
        let message = Some(message);
        requests.send(pb::ImportRequest { message }).await.unwrap();
    };
    send(start).await;
    let request = world.api.request(ReceiverStream::new(receiver));
    let mut import = world
        .api
        .identifiers()
        .import(request)
        .await
        .unwrap()
        .into_inner();
    import.message().await.unwrap();
    let following = world.api.request(pb::WatchRequest {
        follow: true,
        ..pb::WatchRequest::default()
    });
    let mut watch = world
        .api
        .changes()
        .watch(following)
        .await
        .unwrap()
        .into_inner();
    watch.message().await.unwrap();
    let health = Endpoint::from_shared(world.node.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(health);
    let status = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut status = status.into_inner();
    let told = status.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::Serving);

    for number in 1..=4 {
        let items = [pb::ImportItem {
            line: number,
            identifier: format!("88.118.8/chunk-{number}"),
            values: vec![value(1, "URL", "https://e.cn")],
            template: String::new(),
        }];
        send(pb::import_request::Message::Chunk(ImportChunk::new(
            number, &items,
        )))
        .await;
    }
    assert!(
        import.message().await.unwrap().is_some(),
        "the first chunk is answered"
    );
    world.node.terminate();
    let began = Instant::now();
    let mut answered = 1;
    let ended = loop {
        match import.message().await {
            Ok(Some(_)) => answered += 1,
            Ok(None) => panic!("the import ended well"),
            Err(status) => break status,
        }
    };
    let watched = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the watch ended well"),
            Err(status) => break status,
        }
    };
    for ended in [&ended, &watched] {
        assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
        assert_eq!(reason(ended), "UNAVAILABLE", "{ended:?}");
    }
    let told = status.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    assert!(status.message().await.unwrap().is_none());
    drop((import, watch, status, requests));
    let took = world.ended(began);
    assert!(took < Duration::from_secs(5), "ended after {took:?}");

    world.node = Node::run(&world.dir);
    let api = Api::connect(&world.node.url(), Some(&world.dir.token()))
        .await
        .unwrap();
    for number in 1..=answered {
        api.get(&format!("88.118.8/chunk-{number}")).await.unwrap();
    }
}

/// Writes until the node takes none: what was acknowledged, and the refusal.
async fn write_on(api: Api, writer: usize) -> (Vec<String>, Status) {
    let mut acknowledged = Vec::new();
    loop {
        let name = format!("88.118.8/w{writer}-{}", acknowledged.len());
        let values = vec![value(1, "URL", "https://e.cn")];
        match api.create(&name, values, "").await {
            Ok(_) => acknowledged.push(name),
            Err(status) => return (acknowledged, status),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_while_it_stops_is_there_afterwards() {
    let mut world = world(&[]).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let api = Api::connect(&world.node.url(), Some(&world.dir.token()))
            .await
            .unwrap();
        writers.spawn(write_on(api, writer));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.node.terminate();
    let took = world.ended(Instant::now());
    assert!(took < Duration::from_secs(5), "ended after {took:?}");
    world.node = Node::run(&world.dir);
    let api = Api::connect(&world.node.url(), Some(&world.dir.token()))
        .await
        .unwrap();
    let mut count = 0;
    while let Some(done) = writers.join_next().await {
        let (acknowledged, status) = done.unwrap();
        // What was under way or not sent yet when the connection closed, the client itself calls
        // cancelled or an internal error: such a status has a source, the server's have none.
        let closed = status.source().is_some();
        let refused = status.code() == Code::Unavailable;
        assert!(refused || closed, "{status:?}");
        count += acknowledged.len();
        for name in acknowledged {
            assert!(api.get(&name).await.is_ok(), "{name} is lost");
        }
    }
    assert!(count > 16, "{count} writes are too few to tell");
}
