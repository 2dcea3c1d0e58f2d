//! What surrounds the services: health, reflection, bounds, draining, panics.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt as _;
use tonic::codegen::http;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

#[tokio::test]
async fn health_tells_who_serves() {
    let node = Node::start().await;
    let mut health = HealthClient::new(node.channel.clone());
    let mut check = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        health
            .check(request)
            .await
            .map(|answer| answer.into_inner().status())
    };
    assert_eq!(check("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(
        check("idnode.v1.ResolutionService").await.unwrap(),
        ServingStatus::Serving
    );
    assert_eq!(
        check("idnode.v1.IdentifierService").await.unwrap(),
        ServingStatus::Serving
    );
    assert_eq!(
        check("nobody.Knows").await.unwrap_err().code(),
        Code::NotFound
    );
    node.core.registry.close();
    assert_eq!(
        check("idnode.v1.ResolutionService").await.unwrap(),
        ServingStatus::Serving
    );
    assert_eq!(
        check("idnode.v1.IdentifierService").await.unwrap(),
        ServingStatus::NotServing
    );
    let refused = node
        .create(&node.operator, "88.118.8/x", vec![text(1, "URL", "")])
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).0, Code::Unavailable);
    assert!(refused.get_error_details().retry_info().is_some());
    node.stop().await;
}

#[tokio::test]
async fn draining_ends_what_would_go_on_for_ever() {
    let node = Node::start().await;
    let mut health = HealthClient::new(node.channel.clone());
    let mut watched = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let status = |answer: Option<HealthCheckResponse>| answer.unwrap().status();
    assert_eq!(
        status(watched.message().await.unwrap()),
        ServingStatus::Serving
    );
    let follow = api::WatchRequest {
        from_sequence: 1,
        follow: true,
        prefix: String::new(),
    };
    let mut changes = node
        .changes()
        .watch(node.op(follow))
        .await
        .unwrap()
        .into_inner();
    changes.message().await.unwrap().unwrap();
    let (_open, pending) = tokio::sync::mpsc::channel::<api::BatchResolveRequest>(1);
    let pending = tokio_stream::wrappers::ReceiverStream::new(pending);
    let mut batch = node
        .resolution()
        .batch_resolve(pending)
        .await
        .unwrap()
        .into_inner();
    let (_open, import) = tokio::sync::mpsc::channel::<api::ImportRequest>(1);
    let import = tokio_stream::wrappers::ReceiverStream::new(import);
    let mut import = node
        .identifiers()
        .import(node.op(import))
        .await
        .unwrap()
        .into_inner();

    node.shutdown.cancel();
    assert_eq!(
        status(watched.message().await.unwrap()),
        ServingStatus::NotServing
    );
    assert!(watched.message().await.unwrap().is_none());
    assert_eq!(
        changes.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(batch.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(
        import.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    tokio::time::timeout(Duration::from_secs(5), node.serving)
        .await
        .expect("the front drains")
        .unwrap();
    assert!(
        tokio::net::TcpStream::connect(node.addr).await.is_err(),
        "the port is free"
    );
}

async fn reflected(node: &Node, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(node.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await?
        .into_inner();
    let answers: Vec<ServerReflectionResponse> = answers.collect::<Result<_, _>>().await?;
    Ok(answers
        .into_iter()
        .next()
        .and_then(|answer| answer.message_response)
        .unwrap())
}

#[tokio::test]
async fn reflection_names_the_services_unless_it_is_off() {
    let node = Node::start().await;
    let answer = reflected(&node, MessageRequest::ListServices(String::new()))
        .await
        .unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("no list")
    };
    let names: Vec<&str> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in [
        "ResolutionService",
        "EnterpriseService",
        "PrefixService",
        "TemplateService",
        "IdentifierService",
    ] {
        assert!(
            names.contains(&format!("idnode.v1.{name}").as_str()),
            "{name} in {names:?}"
        );
    }
    for name in [
        "idnode.v1.CredentialService",
        "idnode.v1.ChangeService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let symbol = MessageRequest::FileContainingSymbol("google.protobuf.Timestamp".into());
    let answer = reflected(&node, symbol).await.unwrap();
    assert!(
        matches!(answer, MessageResponse::FileDescriptorResponse(_)),
        "imports are known: {answer:?}"
    );
    node.stop().await;

    let node = Node::start_with(GrpcOptions {
        reflection: false,
        ..GrpcOptions::default()
    })
    .await;
    let off = reflected(&node, MessageRequest::ListServices(String::new()))
        .await
        .unwrap_err();
    assert_eq!(off.code(), Code::Unimplemented);
    node.stop().await;
}

#[tokio::test]
async fn connections_and_messages_are_bounded() {
    let options = GrpcOptions {
        max_connections: 2,
        message_limit_bytes: 10_000,
        ..GrpcOptions::default()
    };
    let node = Node::start_with(options).await;
    let long = api::ResolveRequest {
        identifier: "88.118.8/x".into(),
        types: vec!["x".repeat(10_000)],
        ..Default::default()
    };
    let refused = node.resolution().resolve(long).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");

    let second = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    let mut third = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    // Writing may fail when the other side has closed already.
    let _ = third.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = third.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "one too many is closed");
    assert_eq!(
        node.resolve(None, "88.118.8/x").await.unwrap_err().code(),
        Code::NotFound,
        "the first goes on"
    );
    drop(second);
    let mut place = None;
    for _ in 0..100 {
        let channel = Channel::from_shared(format!("http://{}", node.addr))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let asked = api::ResolveRequest {
            identifier: "88.118.8/x".into(),
            ..Default::default()
        };
        let answer = ResolutionServiceClient::new(channel)
            .resolve(asked)
            .await
            .unwrap_err();
        if answer.code() == Code::NotFound {
            place = Some(answer);
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(place.is_some(), "a connection that ended leaves its place");
    node.stop().await;
}

#[tokio::test]
async fn who_never_speaks_is_hung_up_on() {
    let node = Node::start_with(GrpcOptions {
        max_connections: 2,
        ..GrpcOptions::default()
    })
    .await;
    let started = std::time::Instant::now();
    let mut silent = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    silent.write_all(b"PRI * HTTP").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(15), silent.read_to_end(&mut answer))
        .await
        .expect("hung up");
    assert!(started.elapsed() > Duration::from_secs(9));
    let second = connect(node.addr).await;
    let asked = api::ResolveRequest {
        identifier: "88.118.8/x".into(),
        ..Default::default()
    };
    let answer = ResolutionServiceClient::new(second)
        .resolve(asked)
        .await
        .unwrap_err();
    assert_eq!(answer.code(), Code::NotFound, "its place is free");
    node.stop().await;
}

#[tokio::test]
async fn a_call_has_a_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let operator = Registry::create(dir.path()).unwrap();
    let node = Node::open(dir, operator, GrpcOptions::default(), Duration::ZERO).await;
    // A listing runs on another thread, which now and then is done before anyone waits for it.
    let mut late = None;
    for _ in 0..1_000 {
        let request = node.op(api::ListEnterprisesRequest::default());
        late = node.enterprises().list_enterprises(request).await.err();
        if late.is_some() {
            break;
        }
    }
    let late = late.expect("a call that is late");
    assert_eq!(
        refusal(&late),
        (Code::DeadlineExceeded, "DEADLINE".into(), String::new())
    );
    node.stop().await;
}

#[tokio::test]
async fn a_panic_costs_its_own_call() {
    use tower::{Layer, Service};
    let on_panic: fn(Box<dyn std::any::Any + Send>) -> http::Response<tonic::body::Body> =
        super::super::panicked;
    let layer = tower_http::catch_panic::CatchPanicLayer::custom(on_panic);
    let mut service = layer.layer(tower::service_fn(
        async |request: http::Request<&'static str>| {
            assert_ne!(
                *request.body(),
                "bad",
                "a question that a handler does not survive"
            );
            Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty()))
        },
    ));
    let answer = service.call(http::Request::new("bad")).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "13");
    let answer = service.call(http::Request::new("good")).await.unwrap();
    assert!(!answer.headers().contains_key("grpc-status"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_connection() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let calls = (0..200).map(|number| {
        let (node, token) = (&node, token.as_str());
        async move {
            let name = format!("88.118.8/{number}");
            let receipt = node
                .create(token, &name, vec![text(1, "URL", "")])
                .await
                .unwrap();
            let Some(api::resolve_response::Outcome::Record(record)) =
                node.resolve(None, &name).await.unwrap().outcome
            else {
                panic!("no record");
            };
            assert_eq!(
                record.version, receipt.sequence,
                "a write is seen as soon as it is acknowledged"
            );
        }
    });
    futures_util::future::join_all(calls).await;
    node.stop().await;
}
