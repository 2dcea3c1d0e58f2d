//! What a node may not announce, and what a national node may not tell of siblings.

use super::world::{City, World, both, urls};
use idnode_proto::api::route_service_client::RouteServiceClient;
use idnode_proto::api::route_service_server::{RouteService, RouteServiceServer};
use idnode_proto::api::{
    AnnounceRequest, AnnounceResponse, Announcement, AnnouncementVerdict, CodeType,
    OperatorProfile, ResolutionConfiguration, Sibling, SiblingUpdate, WatchSiblingsRequest,
};
use idnode_proto::report::timestamp;
use idnode_proto::routes::{Ports, digest, endpoints};
use idnode_tests::run::until;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
};
use tonic::{Code, Request, Response, Status};

fn configuration(prefix: &str, ip: &str, port: u16) -> ResolutionConfiguration {
    let ports = Ports {
        handle_tcp: Some(port),
        handle_udp: Some(port),
        ..Ports::default()
    };
    ResolutionConfiguration {
        code_type: CodeType::Handle.into(),
        prefix: prefix.to_owned(),
        endpoints: endpoints(&[ip.parse().unwrap()], &ports),
    }
}

fn announcement(node: &str, configurations: Vec<ResolutionConfiguration>) -> Announcement {
    let mut made = Announcement {
        node: node.to_owned(),
        operator: Some(OperatorProfile::default()),
        configurations,
        made_at: Some(timestamp(1)),
        ..Announcement::default()
    };
    made.digest = digest(&made);
    made
}

async fn connect(world: &World, name: &str) -> RouteServiceClient<Channel> {
    let read = |name: String| std::fs::read(world.file(&name)).unwrap();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("authority.pem".into())))
        .identity(Identity::from_pem(
            read(format!("{name}.pem")),
            read(format!("{name}.key")),
        ))
        .domain_name("127.0.0.1");
    let endpoint = Endpoint::from_shared(format!("https://{}", world.streams)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    RouteServiceClient::new(channel).max_encoding_message_size(64 << 20)
}

#[test]
fn what_a_node_may_not_announce_is_refused_by_field_and_reason() {
    let world = World::new();
    let national = world.national();
    let linfen = City::linfen(&world);
    linfen.until_told();
    Runtime::new().unwrap().block_on(async {
        let mut datong = connect(&world, "datong").await;
        let good = |prefix: &str| configuration(prefix, "192.0.2.1", 2641);
        let mut over_long = good("88.119");
        over_long.prefix = format!("88.119.{}", "1".repeat(5_000));
        let mut nowhere = good("88.119");
        nowhere.endpoints[0].port = 0;
        for (configurations, expected) in [
            (
                vec![good("88.119"), good("88.123")],
                "configurations[1].prefix: 88.123 is not below a prefix of datong",
            ),
            (
                vec![good("88")],
                "configurations[0].prefix: 88 is not below a prefix of datong",
            ),
            (
                vec![over_long],
                "configurations[0].prefix: has 5007 bytes, at most 1024 are taken",
            ),
            (
                vec![nowhere],
                "configurations[0].endpoints[0].port: 0 is none from 1 to 65535",
            ),
            (
                vec![ResolutionConfiguration::default(); 1_000_000],
                "configurations: are 1000000, at most 1024 are taken",
            ),
        ] {
            let request = AnnounceRequest {
                announcement: Some(announcement("datong", configurations)),
            };
            let answer = datong.announce(request).await.unwrap().into_inner();
            assert_eq!(answer.verdict(), AnnouncementVerdict::Refused);
            assert_eq!(format!("{}: {}", answer.field, answer.reason), expected);
        }
        // What is too long for a message is not read.
        let request = AnnounceRequest {
            announcement: Some(announcement("datong", vec![good("88.119"); 200_000])),
        };
        let status = datong.announce(request).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        // A node speaks for itself alone.
        let request = AnnounceRequest {
            announcement: Some(announcement("linfen", vec![good("88.123")])),
        };
        let status = datong.announce(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        let request = WatchSiblingsRequest {
            node: "linfen".to_owned(),
            ..WatchSiblingsRequest::default()
        };
        let status = datong.watch_siblings(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    });
    let status = national.status()["routes"].clone();
    assert!(status["nodes"]["datong"].is_null(), "{status}");
    assert_eq!(status["refused"].as_array().unwrap().len(), 5);
    assert_eq!(linfen.siblings()["siblings"], json!([]));
}

#[test]
fn a_node_whose_announcement_is_refused_says_so() {
    let mut world = World::new();
    world.arguments = vec!["--sync-node".to_owned(), "yuncheng:88.124".to_owned()];
    super::super::streams::certify(world.home.path(), &["server", "yuncheng"]);
    let _national = world.national();
    let thief = City::start(&world, "yuncheng", "88.119");
    until("it is refused", || {
        thief.siblings()["own"]["state"] == "refused"
    });
    let own = thief.siblings()["own"].clone();
    let reason = "configurations[0].prefix: 88.119 is not below a prefix of yuncheng";
    assert_eq!(own["reason"], reason);
    // Nothing is owed: to say it again helps nothing.
    assert_eq!(thief.channel()["backlog"], 0);
}

/// A national node that tells what a test wants.
struct Liar {
    updates: Arc<Mutex<mpsc::Receiver<SiblingUpdate>>>,
}

#[tonic::async_trait]
impl RouteService for Liar {
    async fn announce(
        &self,
        request: Request<AnnounceRequest>,
    ) -> Result<Response<AnnounceResponse>, Status> {
        let announcement = request.into_inner().announcement.unwrap();
        Ok(Response::new(AnnounceResponse {
            verdict: AnnouncementVerdict::Taken.into(),
            digest: announcement.digest,
            ..AnnounceResponse::default()
        }))
    }

    type WatchSiblingsStream = ReceiverStream<Result<SiblingUpdate, Status>>;

    async fn watch_siblings(
        &self,
        request: Request<WatchSiblingsRequest>,
    ) -> Result<Response<Self::WatchSiblingsStream>, Status> {
        // The other city is connected, too: what it was told would be lost.
        if request.into_inner().node != "linfen" {
            return Err(Status::unavailable("nothing is told"));
        }
        let (sender, updates) = tokio::sync::mpsc::channel(4);
        let waiting = self.updates.clone();
        tokio::spawn(async move {
            // Until the node goes: the next connection is told the next update.
            while !sender.is_closed() {
                let next = waiting.lock().unwrap().try_recv();
                if let Ok(update) = next {
                    sender.send(Ok(update)).await.ok();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(updates)))
    }
}

/// Serves lies in the place of the national node.
fn lie(world: &World, runtime: &Runtime, updates: mpsc::Receiver<SiblingUpdate>) {
    let read = |name: &str| std::fs::read(world.file(name)).unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("server.pem"), read("server.key")))
        .client_ca_root(Certificate::from_pem(read("authority.pem")));
    let service = RouteServiceServer::new(Liar {
        updates: Arc::new(Mutex::new(updates)),
    })
    .max_encoding_message_size(64 << 20);
    let at: SocketAddr = world.streams;
    runtime.spawn(async move {
        let listener = TcpListener::bind(at).await.unwrap();
        Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
}

fn sibling(node: &str, configurations: Vec<ResolutionConfiguration>) -> Sibling {
    Sibling {
        node: node.to_owned(),
        configurations,
        announced_at: Some(timestamp(1)),
        ..Sibling::default()
    }
}

fn whole(version: u64, changed: Vec<Sibling>) -> SiblingUpdate {
    SiblingUpdate {
        set_id: "lies".to_owned(),
        version,
        changed,
        ..SiblingUpdate::default()
    }
}

#[test]
fn what_may_not_be_told_of_siblings_is_not_used() {
    let world = World::new();
    let national = world.national();
    let (datong, mut linfen) = both(&world);
    drop(national);
    linfen.stop();
    // Only where Datong is may siblings be asked on the loopback.
    linfen
        .settings
        .retain(|it| !it.starts_with("upward.routes."));
    linfen.run();
    assert_eq!(linfen.siblings()["routes"], 0, "{}", linfen.siblings());
    linfen.stop();
    linfen
        .settings
        .push("upward.routes.sibling_networks=127.0.0.1/32".to_owned());
    linfen.run();
    linfen.serves("88.126");

    let runtime = Runtime::new().unwrap();
    let (sender, updates) = mpsc::channel();
    lie(&world, &runtime, updates);
    let port = datong.node().at.handle.port();
    let datong_s = || sibling("datong", vec![configuration("88.119", "127.0.0.1", port)]);
    let thief = sibling(
        "thief",
        vec![
            configuration("88.123", "192.0.2.1", 2641),
            configuration("88.123.5", "192.0.2.1", 2641),
            configuration("88", "192.0.2.1", 2641),
            configuration("88.126.1", "192.0.2.1", 2641),
            configuration("88.127", "127.0.0.2", 2641),
        ],
    );
    sender.send(whole(5, vec![datong_s(), thief])).unwrap();
    until("the set is there", || linfen.siblings()["set_id"] == "lies");
    let siblings = linfen.siblings();
    let refused = |prefix: &str| -> Value {
        let all = siblings["refused"].as_array().unwrap().iter();
        let mut of_prefix = all.filter(|it| it["prefix"] == prefix);
        of_prefix
            .next()
            .map_or(Value::Null, |it| it["reason"].clone())
    };
    for (prefix, reason) in [
        ("88.123", "is this node's own 88.123"),
        ("88.123.5", "is below this node's own 88.123"),
        ("88", "is above this node's own 88.123"),
        ("88.126.1", "is below 88.126, which is registered here"),
        (
            "88.127",
            "127.0.0.2 is in 127.0.0.0/8, where nobody is asked (handle.recursion_deny)",
        ),
    ] {
        assert_eq!(refused(prefix), reason, "{siblings}");
    }
    assert_eq!(siblings["routes"], 1);
    assert_eq!(
        urls(&linfen.recurse("88.119.1/A")),
        ["https://datong.example/a"]
    );

    // What breaks a bound is not taken at all; what is held stays.
    let good = || configuration("88.140", "192.0.2.1", 2641);
    let mut over_long = good();
    over_long.endpoints[0].ip = "1".repeat(100);
    let routes = |above: usize, count: usize| {
        let prefixes = (0..count).map(|number| format!("88.{above}.{number}"));
        let all = prefixes.map(|prefix| configuration(&prefix, "192.0.2.1", 1));
        all.collect::<Vec<_>>()
    };
    let many = (200..220).map(|above| sibling(&format!("n{above}"), routes(above, 1_000)));
    for (version, changed, expected) in [
        (
            6,
            vec![sibling("x", routes(140, 1_025))],
            "changed[0].configurations: are 1025, at most 1024 are taken",
        ),
        (7, vec![sibling("x", vec![over_long])], "is no address"),
        (
            8,
            vec![sibling("x", vec![]); 1_000_000],
            "decoded message length too large",
        ),
        (
            9,
            vec![sibling("x", vec![]); 5_000],
            "changed: has more than 4096 siblings",
        ),
        (10, many.collect(), "changed: has more than 16384 prefixes"),
    ] {
        sender.send(whole(version, changed)).unwrap();
        until(expected, || {
            let error = linfen.channel()["last_error"].clone();
            error.as_str().unwrap().contains(expected)
        });
        let siblings = linfen.siblings();
        assert_eq!(
            (&siblings["version"], &siblings["routes"]),
            (&json!(5), &json!(1))
        );
    }
    sender.send(whole(11, vec![datong_s()])).unwrap();
    until("what is right is taken again", || {
        linfen.siblings()["version"] == 11
    });
    drop(datong);
    runtime.shutdown_background();
}
