//! What an operator's own systems look at: readiness, gRPC health and reflection, metrics, logs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{curl, success};
use serde_json::Value;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// The services in the `.proto` files.
fn services() -> BTreeSet<String> {
    let protos = [
        include_str!("../../../../proto/proto/idnode/v1/registry.proto"),
        include_str!("../../../../proto/proto/idnode/v1/resolution.proto"),
        include_str!("../../../../proto/proto/idnode/v1/sync.proto"),
    ];
    let lines = protos.into_iter().flat_map(str::lines);
    let names = lines.filter_map(|line| line.strip_prefix("service ")?.split(' ').next());
    names.map(|name| format!("idnode.v1.{name}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_runs_is_ready_and_every_service_serves() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    for (path, text) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        let (status, head, body) = curl(&node.http(path), &[]);
        assert_eq!((status, body.as_str()), (200, text), "{path}");
        assert!(
            head.to_lowercase().contains("cache-control: no-store"),
            "{path}: {head}"
        );
    }
    let channel = Endpoint::from_shared(node.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(channel.clone());
    let services = services();
    assert!(services.len() >= 7, "{services:?}");
    for service in services.iter().cloned().chain([String::new()]) {
        let request = HealthCheckRequest { service };
        let answer = health.check(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{request:?}");
    }
    let service = "idnode.v1.Nothing".to_owned();
    let unknown = health
        .check(HealthCheckRequest { service })
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers.unwrap().into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let listed: BTreeSet<_> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(listed.is_superset(&services), "{listed:?}");
    assert!(listed.contains("grpc.health.v1.Health"), "{listed:?}");
    node.stop();
}

/// The samples of `/metrics`; every line must be one, or a comment.
fn metrics(node: &Node) -> BTreeMap<String, f64> {
    let (status, head, body) = curl(&node.http("/metrics"), &[]);
    assert_eq!(status, 200);
    assert!(
        head.to_lowercase().contains("content-type: text/plain"),
        "{head}"
    );
    let mut samples = BTreeMap::new();
    for line in body
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "{line} twice"
        );
    }
    samples
}

/// Asks one thing of every front that is answered, and one that is not there.
fn ask_everywhere(node: &Node) {
    let stranger = node.idctl(None);
    stranger.refused(&["resolve", "88.118.8/nothing"]);
    curl(&node.http("/api/handles/88.118.8/nothing"), &[]);
    let handle = node.at.handle.to_string();
    stranger.refused(&[
        "resolve",
        "--front",
        "handle",
        "--handle",
        &handle,
        "88.118.8/nothing",
    ]);
    let port = node.at.dns.port().to_string();
    for name in ["id.example.", "nothing.88-118-8.hdl.id.example."] {
        success(Command::new("dig").args(["@127.0.0.1", "-p", &port, name, "SOA"]));
    }
}

#[test]
fn metrics_count_what_every_front_answers() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    ask_everywhere(&node);
    let before = metrics(&node);
    for _ in 0..3 {
        ask_everywhere(&node);
    }
    let after = metrics(&node);
    let of_front = |samples: &BTreeMap<String, f64>, front: &str, name: &str| -> f64 {
        let label = format!("front=\"{front}\"");
        let of = samples
            .iter()
            .filter(|(sample, _)| sample.starts_with(name) && sample.contains(&label));
        of.map(|(_, value)| value).sum()
    };
    for front in ["grpc", "http", "dns", "handle"] {
        for name in ["idnode_requests_total", "idnode_request_latency_us_count"] {
            let grown = of_front(&after, front, name) - of_front(&before, front, name);
            assert!(grown >= 3.0, "{name} of {front} grew by {grown}");
        }
    }
    for name in ["idnode_cache_hits_total", "idnode_cache_misses_total"] {
        assert!(after.contains_key(name), "{name} is missing: {after:?}");
    }
    assert!(
        after
            .iter()
            .all(|(name, value)| *value >= before.get(name).copied().unwrap_or(0.0))
    );
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_takes_to_read_is_no_latency() {
    const PAUSE: Duration = Duration::from_secs(3);
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let operator = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let owner = operator.verified_enterprise(CODES[0]).await;
    operator.active_prefix("88.118.8", &owner).await;
    let long = value(1, "DESC", &"x".repeat(100_000));
    operator
        .create("88.118.8/long", vec![long], "")
        .await
        .unwrap();
    // Several answers of 4 MiB, which are more than the client's window.
    let item = |id| pb::batch_resolve_request::Item {
        id,
        request: Some(pb::ResolveRequest {
            identifier: "88.118.8/long".to_owned(),
            ..pb::ResolveRequest::default()
        }),
    };
    let items = (0..300).map(item).collect();
    let name = "idnode_request_latency_us_sum{front=\"grpc\"}";
    let sum = |node: &Node| {
        let samples = metrics(node).into_iter();
        let mut sums = samples.filter(|(sample, _)| sample == name);
        sums.next().map(|(_, sum)| sum)
    };
    let before = sum(&node).unwrap();
    let questions = tokio_stream::once(pb::BatchResolveRequest { items });
    let mut client = operator.resolution().max_decoding_message_size(8 << 20);
    let asked = client.batch_resolve(operator.request(questions)).await;
    let (mut answers, mut answered) = (asked.unwrap().into_inner(), 0);
    while let Some(answer) = answers.next().await {
        answered += answer.unwrap().items.len();
        tokio::time::sleep(PAUSE / 3).await;
    }
    assert_eq!(answered, 300);
    let took = Duration::from_secs_f64((sum(&node).unwrap() - before) / 1e6);
    assert!(took < PAUSE / 2, "{took:?}");
    node.stop();
}

#[test]
fn what_the_cache_answers_is_a_hit_on_the_waiting_way_too() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let operator = node.idctl(Some(&dir.token_file()));
    let enterprise = operator.verified_enterprise(CODES[0]);
    operator.active_prefix("88.118.8", &enterprise);
    // Its name is a hash, which the disk is asked for each time.
    let identifier = format!("88.118.8/{}", "long".repeat(100));
    operator.json(&[
        "identifier",
        "create",
        &identifier,
        "--value",
        "URL=https://example.cn/",
    ]);
    let text = success(operator.command().args(["dns-name", &identifier]));
    let name = text
        .split_whitespace()
        .find(|word| word.ends_with("id.example."));
    let port = node.at.dns.port().to_string();
    let looks = || {
        let samples = metrics(&node);
        ["idnode_cache_hits_total", "idnode_cache_misses_total"].map(|name| samples[name])
    };
    let [hits, misses] = looks();
    for _ in 0..6 {
        let answer =
            success(Command::new("dig").args(["@127.0.0.1", "-p", &port, name.unwrap(), "URI"]));
        assert!(answer.contains("ANSWER: 1"), "{answer}");
    }
    let [more_hits, more_misses] = looks();
    assert_eq!((more_hits - hits, more_misses - misses), (5.0, 1.0));
    node.stop();
}

#[test]
fn logs_are_json_line_by_line_when_asked_for() {
    let dir = DataDir::init();
    let arguments = ["--set", "log.format=json", "--set", "log.level=debug"];
    let mut node = Node::run_at(&dir, &Addresses::free(), &arguments);
    ask_everywhere(&node);
    // Things that are worth a line, and text that would break one.
    curl(&node.http("/%22%0a%7b"), &[]);
    let operator = node.idctl(Some(&dir.token_file()));
    operator.verified_enterprise(idnode_tests::api::CODES[0]);
    node.terminate();
    assert!(node.wait().success());
    let log = node.log();
    assert!(log.lines().count() > 2, "{log}");
    let mut messages = Vec::new();
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
        messages.push(line["message"].as_str().unwrap_or_default().to_owned());
    }
    for message in ["draining", "stopped"] {
        assert!(
            messages.iter().any(|found| found == message),
            "{messages:?}"
        );
    }
}
