//! What the national node takes, told to it by hand: no gap, no other node's, nothing of what is another's;
//! what comes twice counts once.

use idnode_proto::api as pb;
use idnode_proto::api::change_intake_service_client::ChangeIntakeServiceClient;
use idnode_proto::api::tell_changes_request::Request as Told;
use idnode_proto::api::tell_changes_response::Response as Answer;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status, Streaming};

use super::super::streams::{NODE, PREFIX, Streams, certify};
use super::super::world::National;
use super::world::*;

/// One stream.
struct Stream {
    out: mpsc::Sender<pb::TellChangesRequest>,
    answers: Streaming<pb::TellChangesResponse>,
}

impl Stream {
    /// Says hello as `node`, showing the certificate of `shown`.
    async fn hello(world: &Streams, shown: &str, node: &str) -> Result<Self, Status> {
        let read = |name: String| std::fs::read(world.home.path().join(name)).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("authority.pem".to_owned())))
            .identity(Identity::from_pem(
                read(format!("{shown}.pem")),
                read(format!("{shown}.key")),
            ))
            .domain_name("127.0.0.1");
        let endpoint = Endpoint::from_shared(format!("https://{}", world.at)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        let (out, messages) = mpsc::channel(8);
        let hello = Told::Hello(pb::IntakeHello {
            node: node.to_owned(),
            log: vec![7; 16],
            head: 1,
            prefixes: Vec::new(),
        });
        let request = pb::TellChangesRequest {
            request: Some(hello),
        };
        out.send(request).await.unwrap();
        let mut client = ChangeIntakeServiceClient::new(channel);
        let answered = client.tell_changes(ReceiverStream::new(messages)).await?;
        let mut stream = Self {
            out,
            answers: answered.into_inner(),
        };
        let answer = stream.answers.message().await?;
        assert!(matches!(
            answer.unwrap().response,
            Some(Answer::Standing(_))
        ));
        Ok(stream)
    }

    /// Sends a message: up to where all is there, or the refusal.
    async fn tell(&mut self, told: Told) -> Result<u64, Status> {
        let request = Some(told);
        self.out.send(pb::TellChangesRequest { request }).await.ok();
        match self.answers.message().await?.unwrap().response.unwrap() {
            Answer::Acknowledgement(it) => Ok(it.sequence),
            other @ Answer::Standing(_) => panic!("{other:?}"),
        }
    }
}

fn start() -> Told {
    Told::Start(pb::IntakeStart {
        log: vec![7; 16],
        ..pb::IntakeStart::default()
    })
}

fn batch(first: u64, last: u64, entries: Vec<pb::IntakeEntry>) -> Told {
    Told::Batch(pb::IntakeBatch {
        first,
        last,
        mark: last,
        committed_at_ms: 1,
        unfinished: false,
        entries,
    })
}

fn entry(sequence: u64, code: &str) -> pb::IntakeEntry {
    pb::IntakeEntry {
        sequence,
        committed_at_ms: 1,
        identifiers: vec![pb::MasterData {
            code: code.to_owned(),
            operation: pb::MasterDataOperation::Add.into(),
            created_at_ms: 1,
            ..pb::MasterData::default()
        }],
        ..pb::IntakeEntry::default()
    }
}

fn world() -> (Streams, National) {
    let mut world = Streams::new();
    certify(world.home.path(), &["server", NODE, "datong"]);
    let national = world.national();
    (world, national)
}

#[tokio::test]
async fn only_the_node_itself_speaks_for_it() {
    let (world, _national) = world();
    let code = async |shown: &str, node: &str| {
        let refused = Stream::hello(&world, shown, node).await.err();
        refused.map(|status| status.code())
    };
    assert_eq!(code(NODE, NODE).await, None);
    assert_eq!(code("datong", NODE).await, Some(Code::PermissionDenied));
    assert_eq!(code(NODE, "datong").await, Some(Code::PermissionDenied));
    // Its own name, which is no node's here.
    assert_eq!(code("datong", "datong").await, Some(Code::PermissionDenied));
}

#[tokio::test]
async fn gaps_are_refused_and_what_comes_twice_counts_once() {
    let (world, national) = world();
    let mut stream = Stream::hello(&world, NODE, NODE).await.unwrap();
    let code = format!("{PREFIX}/1");
    let refused = stream.tell(batch(1, 1, vec![entry(1, &code)])).await;
    assert_eq!(
        refused.unwrap_err().code(),
        Code::FailedPrecondition,
        "no start"
    );

    let mut stream = Stream::hello(&world, NODE, NODE).await.unwrap();
    assert_eq!(stream.tell(start()).await.unwrap(), 0);
    let two = || vec![entry(1, &code), entry(2, &format!("{PREFIX}/2"))];
    assert_eq!(stream.tell(batch(1, 3, two())).await.unwrap(), 3);
    assert_eq!(stream.tell(batch(1, 3, two())).await.unwrap(), 3);
    let on = vec![entry(3, &code), entry(5, &format!("{PREFIX}/5"))];
    assert_eq!(stream.tell(batch(3, 5, on)).await.unwrap(), 5);
    let refused = stream.tell(batch(7, 7, vec![entry(7, &code)])).await;
    assert_eq!(refused.unwrap_err().code(), Code::OutOfRange);

    let there = there(&national);
    assert_eq!(
        (&there["sequence"], &there["repeated"]),
        (&json!(5), &json!(3))
    );
    assert_eq!(there["identifiers"], json!({"live": 3, "deleted": 0}));
    assert_eq!(there["changes"]["added"], 3);
}

#[tokio::test]
async fn what_breaks_a_rule_leaves_nothing() {
    let (world, national) = world();
    let mut stream = Stream::hello(&world, NODE, NODE).await.unwrap();
    stream.tell(start()).await.unwrap();
    let good = || entry(1, &format!("{PREFIX}/1"));
    let nameless = pb::MasterData {
        code: format!("{PREFIX}/3"),
        ..pb::MasterData::default()
    };
    let mut undone = entry(2, "88.118.8/2");
    undone.identifiers.push(nameless);
    for (told, code) in [
        (
            batch(1, 2, vec![good(), entry(2, "88.119.9/2")]),
            Code::PermissionDenied,
        ),
        (
            batch(1, 2, vec![good(), entry(2, "no identifier")]),
            Code::InvalidArgument,
        ),
        (batch(1, 2, vec![good(), good()]), Code::InvalidArgument),
        (
            batch(1, 2, vec![good(), entry(3, "88.118.8/3")]),
            Code::InvalidArgument,
        ),
        (batch(1, 2, vec![good(), undone]), Code::InvalidArgument),
        (batch(2, 1, vec![good()]), Code::InvalidArgument),
        (batch(0, 1, vec![good()]), Code::InvalidArgument),
        (
            Told::Part(pb::IntakePart::default()),
            Code::FailedPrecondition,
        ),
        (
            Told::Hello(pb::IntakeHello::default()),
            Code::InvalidArgument,
        ),
    ] {
        let mut stream = Stream::hello(&world, NODE, NODE).await.unwrap();
        let refused = stream.tell(told.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{told:?}: {refused}");
        assert_eq!(there(&national)["identifiers"]["live"], 0);
    }
    assert_eq!(sequence_there(&national), 0);
}

#[tokio::test]
async fn an_older_stream_has_nothing_to_say() {
    let (world, _national) = world();
    let mut old = Stream::hello(&world, NODE, NODE).await.unwrap();
    old.tell(start()).await.unwrap();
    let mut new = Stream::hello(&world, NODE, NODE).await.unwrap();
    let code = format!("{PREFIX}/1");
    let refused = old.tell(batch(1, 1, vec![entry(1, &code)])).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(
        new.tell(batch(1, 1, vec![entry(1, &code)])).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_snapshot_is_shown_when_it_is_whole() {
    let (world, national) = world();
    let mut stream = Stream::hello(&world, NODE, NODE).await.unwrap();
    stream.tell(start()).await.unwrap();
    let old = format!("{PREFIX}/old");
    stream
        .tell(batch(1, 1, vec![entry(1, &old)]))
        .await
        .unwrap();
    let row = |n: u64, version: u64| pb::MasterData {
        version,
        ..entry(1, &format!("{PREFIX}/{n}")).identifiers.remove(0)
    };
    let part = |after: &[u8], reached: &[u8], rows: Vec<pb::MasterData>, last: bool| {
        Told::Part(pb::IntakePart {
            after: after.to_vec(),
            reached: reached.to_vec(),
            last,
            identifiers: rows,
            ..pb::IntakePart::default()
        })
    };
    let begin = Told::Start(pb::IntakeStart {
        log: vec![8; 16],
        sequence: 20,
        mark: 20,
    });
    assert_eq!(stream.tell(begin).await.unwrap(), 1);
    let first = part(&[], &[4, 1], vec![row(1, 5), row(2, 25)], false);
    assert_eq!(stream.tell(first.clone()).await.unwrap(), 1);
    assert_eq!(stream.tell(first).await.unwrap(), 1, "again");
    assert!(known(&national, &old).is_some());
    let last = part(&[4, 1], &[5], vec![row(3, 7)], true);
    assert_eq!(stream.tell(last).await.unwrap(), 20);
    assert!(known(&national, &old).is_none());
    // The log goes on; what it tells of an identifier that the snapshot had newer stays as it is.
    let mut older = entry(21, &format!("{PREFIX}/2"));
    older.identifiers[0].operation = pb::MasterDataOperation::Delete.into();
    let told = batch(21, 22, vec![older, entry(22, &format!("{PREFIX}/4"))]);
    assert_eq!(stream.tell(told).await.unwrap(), 22);
    let there = there(&national);
    assert_eq!(
        there["identifiers"],
        json!({"live": 4, "deleted": 0}),
        "{there}"
    );
    let second = known(&national, &format!("{PREFIX}/2")).unwrap();
    assert_eq!(second["version"], 25);
    // A part that leaves a gap is refused.
    stream
        .tell(Told::Start(pb::IntakeStart {
            log: vec![9; 16],
            sequence: 30,
            mark: 30,
        }))
        .await
        .unwrap();
    let gap = part(&[4, 9], &[5], Vec::new(), true);
    assert_eq!(stream.tell(gap).await.unwrap_err().code(), Code::OutOfRange);
}
