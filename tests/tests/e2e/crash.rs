//! `kill -9` in the middle of writes, again and again: what was acknowledged is there, nothing is
//! half-applied, the log has no gap, and an idempotency key never writes twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_proto::import::ImportChunk;
use idnode_tests::api::{Api, CODES, text, value};
use idnode_tests::node::{DataDir, Node};
use tonic::Status;

/// Kills; fewer for a quick look: IDNODE_CRASH_ROUNDS.
const ROUNDS: usize = 200;
/// Writers of single identifiers at once.
const WRITERS: usize = 4;
/// Writes on one identifier: created, updated twice, deleted.
const WRITES_EACH: usize = 4;
/// Items of an import's chunk.
const CHUNK_ITEMS: usize = 40;
/// Everything is compared with everything this often.
const FULL_CHECK_EVERY: usize = 20;

/// One write of one identifier, told apart by its idempotency key.
#[derive(Debug, Clone)]
struct Write {
    identifier: String,
    nth: usize,
    acknowledged: Option<u64>,
}

impl Write {
    fn key(&self) -> String {
        format!("{}#{}", self.identifier, self.nth)
    }

    fn data(&self) -> String {
        format!("https://example.com/{}/{}", self.identifier, self.nth)
    }

    /// Sends it; again, if it was sent before.
    async fn send(&self, api: &Api) -> Result<pb::WriteReceipt, Status> {
        let values = vec![
            value(1, "URL", &self.data()),
            value(2, "DESC", "crash test"),
        ];
        match self.nth {
            0 => api.create(&self.identifier, values, &self.key()).await,
            n if n + 1 == WRITES_EACH => api.delete(&self.identifier, "end", &self.key()).await,
            _ => api.replace(&self.identifier, values, &self.key()).await,
        }
    }
}

/// A chunk of an import.
#[derive(Debug, Clone)]
struct Chunk {
    import_id: String,
    number: u64,
    acknowledged: Option<u64>,
}

impl Chunk {
    fn items(&self) -> Vec<pb::ImportItem> {
        (0..CHUNK_ITEMS as u64)
            .map(|line| pb::ImportItem {
                line,
                identifier: format!("88.118.8/{}-{}-{line}", self.import_id, self.number),
                values: vec![value(1, "SERIAL", &format!("{}:{line}", self.number))],
                template: String::new(),
            })
            .collect()
    }
}

/// What one round has sent.
#[derive(Debug, Default)]
struct Sent {
    writes: Vec<Write>,
    chunks: Vec<Chunk>,
}

/// Writes identifiers one after the other until the node is gone.
async fn write_on(api: Api, name: String, sent: Arc<Mutex<Sent>>) {
    for number in 0_usize.. {
        for nth in 0..WRITES_EACH {
            let identifier = format!("88.118.8/{name}-{number}");
            let write = Write {
                identifier,
                nth,
                acknowledged: None,
            };
            let place = {
                let mut sent = sent.lock().unwrap();
                sent.writes.push(write.clone());
                sent.writes.len() - 1
            };
            let Ok(receipt) = write.send(&api).await else {
                return;
            };
            sent.lock().unwrap().writes[place].acknowledged = Some(receipt.sequence);
        }
    }
}

/// Sends chunks of one import until the node is gone, or those given.
async fn import(api: Api, import_id: String, sent: Arc<Mutex<Sent>>) -> Result<(), Status> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let start = pb::import_request::Message::Start(pb::ImportStart {
        import_id: import_id.clone(),
        mode: pb::ImportMode::Create.into(),
    });
    sender
        .send(pb::ImportRequest {
            message: Some(start),
        })
        .await
        .ok();
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = api
        .identifiers()
        .import(api.request(requests))
        .await?
        .into_inner();
    answers.message().await?;
    for number in 1.. {
        let chunk = Chunk {
            import_id: import_id.clone(),
            number,
            acknowledged: None,
        };
        let message = pb::import_request::Message::Chunk(ImportChunk::new(number, &chunk.items()));
        let place = {
            let mut sent = sent.lock().unwrap();
            sent.chunks.push(chunk);
            sent.chunks.len() - 1
        };
        if sender
            .send(pb::ImportRequest {
                message: Some(message),
            })
            .await
            .is_err()
        {
            break;
        }
        let Some(result) = chunk_result(answers.message().await?) else {
            break;
        };
        assert!(result.items.iter().all(created), "{result:?}");
        sent.lock().unwrap().chunks[place].acknowledged = Some(result.receipt.unwrap().sequence);
    }
    Ok(())
}

fn chunk_result(answer: Option<pb::ImportResponse>) -> Option<pb::ImportChunkResult> {
    match answer?.message? {
        pb::import_response::Message::Result(result) => Some(result),
        pb::import_response::Message::Started(_) => None,
    }
}

fn created(item: &pb::ImportItemResult) -> bool {
    item.status() == pb::import_item_result::Status::Created
}

/// Sends a chunk again, on a stream of its own.
async fn resend(api: &Api, chunk: &Chunk) -> pb::ImportChunkResult {
    let start = pb::import_request::Message::Start(pb::ImportStart {
        import_id: chunk.import_id.clone(),
        mode: pb::ImportMode::Create.into(),
    });
    let again = pb::import_request::Message::Chunk(ImportChunk::new(chunk.number, &chunk.items()));
    let messages = [start, again].map(|message| pb::ImportRequest {
        message: Some(message),
    });
    let request = api.request(tokio_stream::iter(messages));
    let mut answers = api
        .identifiers()
        .import(request)
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap();
    chunk_result(answers.message().await.unwrap()).expect("a result")
}

/// What must be in the registry, by identifier: the data, or `None` for a tombstone, and how
/// many log entries speak of it.
type Expected = HashMap<String, (Option<String>, usize)>;

/// Checks a round against the reopened node: acknowledged writes are replayed with their
/// sequences, the others are written once now.
async fn settle(api: &Api, sent: &Sent, expected: &mut Expected) {
    for write in &sent.writes {
        let receipt = write
            .send(api)
            .await
            .unwrap_or_else(|e| panic!("{write:?}: {e}"));
        if let Some(sequence) = write.acknowledged {
            assert!(receipt.replayed, "written twice: {write:?}");
            assert_eq!(receipt.sequence, sequence, "{write:?}");
        }
        let deleted = write.nth + 1 == WRITES_EACH;
        let data = (!deleted).then(|| write.data());
        expected.insert(write.identifier.clone(), (data, write.nth + 1));
    }
    for chunk in &sent.chunks {
        let result = resend(api, chunk).await;
        let receipt = result.receipt.unwrap();
        if let Some(sequence) = chunk.acknowledged {
            assert!(receipt.replayed, "written twice: {chunk:?}");
            assert_eq!(receipt.sequence, sequence, "{chunk:?}");
        }
        // Had a part of it been applied, that part would be rejected now.
        assert!(
            result.items.iter().all(created),
            "half-applied: {chunk:?} {result:?}"
        );
        for item in chunk.items() {
            let data = text(&item.values[0]);
            expected.insert(item.identifier, (Some(data), 1));
        }
    }
    for write in sent.writes.iter().rev().take(2 * WRITERS) {
        let record = api.get(&write.identifier).await.unwrap();
        let (data, _) = &expected[&write.identifier];
        assert_eq!(record.values.first().map(text), *data, "{write:?}");
    }
}

/// Reads the whole log: no gap, no entry too many, and its outcome is the state.
async fn check_everything(api: &Api, expected: &Expected) {
    let log = api.log(1).await.unwrap();
    let mut seen: HashMap<String, (Option<String>, usize, u64)> = HashMap::new();
    let mut next = 1;
    for change in &log {
        // A large change may come in parts that share its sequence.
        assert!(
            change.sequence == next || change.sequence + 1 == next,
            "gap at {next}"
        );
        next = change.sequence + 1;
        let Some(pb::change::Change::Identifiers(changes)) = &change.change else {
            continue;
        };
        for record in &changes.identifiers {
            let entry = seen.entry(record.identifier.clone()).or_default();
            *entry = (
                record.values.first().map(text),
                entry.1 + 1,
                change.sequence,
            );
        }
    }
    assert_eq!(
        seen.len(),
        expected.len(),
        "identifiers in the log and expected ones"
    );
    for (identifier, (data, writes)) in expected {
        let (logged, entries, _) = &seen[identifier];
        assert_eq!((logged, entries), (data, writes), "{identifier}");
    }
    let request = api.request(pb::ExportRequest {
        prefix: "88.118.8".into(),
        include_deleted: true,
    });
    let mut stream = api
        .identifiers()
        .export(request)
        .await
        .unwrap()
        .into_inner();
    let mut exported = 0;
    while let Some(part) = stream.message().await.unwrap() {
        for record in part.identifiers {
            let (data, _, sequence) = &seen[&record.identifier];
            assert_eq!(
                record.values.first().map(text),
                *data,
                "{}",
                record.identifier
            );
            assert_eq!(record.version, *sequence, "{}", record.identifier);
            assert_eq!(record.deleted, data.is_none(), "{}", record.identifier);
            exported += 1;
        }
    }
    assert_eq!(
        exported,
        seen.len(),
        "state and log hold the same identifiers"
    );
}

/// One round: start, settle the round before, write, kill.
async fn round(node: &mut Node, api: &Api, number: usize) -> Sent {
    let sent = Arc::new(Mutex::new(Sent::default()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_on(
            api.clone(),
            format!("r{number}w{writer}"),
            sent.clone(),
        ));
    }
    let (importer, import_sent) = (api.clone(), sent.clone());
    writers.spawn(async move {
        let _ended_by_the_kill = import(importer, format!("r{number}"), import_sent).await;
    });
    let mut random = [0; 1];
    getrandom::fill(&mut random).unwrap();
    tokio::time::sleep(Duration::from_millis(20 + u64::from(random[0]) / 2)).await;
    node.kill();
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    Arc::try_unwrap(sent).unwrap().into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_over_many_kills() {
    let rounds = std::env::var("IDNODE_CRASH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ROUNDS);
    let dir = DataDir::init();
    let token = dir.token();
    let mut expected = Expected::new();
    let mut sent = Sent::default();
    let (mut acknowledged, mut unacknowledged) = (0, 0);
    for number in 0..=rounds {
        let mut node = Node::run(&dir);
        let api = Api::connect(&node.url(), Some(&token)).await.unwrap();
        if number == 0 {
            let enterprise = api.verified_enterprise(CODES[0]).await;
            api.active_prefix("88.118.8", &enterprise).await;
        }
        settle(&api, &sent, &mut expected).await;
        if number % FULL_CHECK_EVERY == 0 || number == rounds {
            check_everything(&api, &expected).await;
        }
        if number == rounds {
            node.stop();
            break;
        }
        sent = round(&mut node, &api, number).await;
        acknowledged += sent
            .writes
            .iter()
            .filter(|write| write.acknowledged.is_some())
            .count();
        unacknowledged += sent
            .writes
            .iter()
            .filter(|write| write.acknowledged.is_none())
            .count();
    }
    println!("{rounds} kills: {acknowledged} writes acknowledged, {unacknowledged} cut off");
    assert!(
        acknowledged > rounds && unacknowledged > rounds / 2,
        "the kills missed the writes"
    );
}
