//! What both sides of the stream have, side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_proto::identifier::Identifier;
use idnode_proto::import::ImportChunk;
use idnode_tests::api::{Api, value};
use idnode_tests::node::Node;
use idnode_tests::run::{curl, until_within};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use super::super::streams::{NODE, PREFIX, Streams};
use super::super::world::National;

/// Where the national node's changes of the node stand.
pub fn there(national: &National) -> Value {
    national.status()["changes"]["nodes"][NODE].clone()
}

/// Up to which entry the national node has them.
pub fn sequence_there(national: &National) -> u64 {
    there(national)["sequence"].as_u64().unwrap_or(0)
}

/// An identifier as the national node knows it.
pub fn known(national: &National, code: &str) -> Option<Value> {
    let code = code.replace('/', "%2F");
    let url = national.url(&format!("/identifiers?node={NODE}&code={code}"));
    match curl(&url, &[]) {
        (200, _, body) => Some(serde_json::from_str(&body).unwrap()),
        (404, _, _) => None,
        other => panic!("{other:?}"),
    }
}

/// Enterprises, prefixes and templates as the national node knows them.
pub fn objects(national: &National) -> Value {
    let (status, _, body) = curl(&national.url(&format!("/objects?node={NODE}")), &[]);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The node's API, and a runtime to call it on.
pub struct Caller {
    pub runtime: Runtime,
    pub api: Api,
}

impl Caller {
    pub fn new(world: &Streams, node: &Node) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let api = runtime.block_on(Api::connect(&node.url(), Some(&world.dir.token())));
        Self {
            runtime,
            api: api.unwrap(),
        }
    }

    /// How the node stands.
    pub fn statistics(&self) -> pb::NodeStatistics {
        let request = self.api.request(pb::GetNodeStatisticsRequest {});
        let mut client = self.api.changes();
        let answered = client.get_node_statistics(request);
        self.runtime.block_on(answered).unwrap().into_inner()
    }

    /// Registers identifiers one by one, many at a time.
    pub fn register(&self, names: impl Iterator<Item = String>, at_once: usize) {
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for name in names {
                if running.len() >= at_once {
                    running.join_next().await.unwrap().unwrap();
                }
                let api = self.api.clone();
                running.spawn(async move {
                    let values = vec![value(1, "URL", "https://example.cn/"), product(&name)];
                    api.create(&name, values, "").await.unwrap();
                });
            }
            while let Some(done) = running.join_next().await {
                done.unwrap();
            }
        });
    }

    /// Registers identifiers in one import, `of` a chunk.
    pub fn import(&self, names: &[String], of: usize) {
        let chunks: Vec<ImportChunk> = names
            .chunks(of)
            .zip(1..)
            .map(|(names, number)| {
                let items: Vec<pb::ImportItem> = (0..)
                    .zip(names)
                    .map(|(line, name)| pb::ImportItem {
                        line,
                        identifier: name.clone(),
                        values: vec![value(1, "URL", "https://example.cn/"), product(name)],
                        template: String::new(),
                    })
                    .collect();
                ImportChunk::new(number, &items)
            })
            .collect();
        self.runtime.block_on(async {
            let (sender, receiver) = mpsc::channel(4);
            let start = pb::import_request::Message::Start(pb::ImportStart {
                import_id: format!("import-{}", names[0].len()) + &names[0],
                mode: pb::ImportMode::Create.into(),
            });
            let sending = async move {
                let chunks = chunks.into_iter().map(pb::import_request::Message::Chunk);
                for message in std::iter::once(start).chain(chunks) {
                    let message = Some(message);
                    sender.send(pb::ImportRequest { message }).await.unwrap();
                }
            };
            let receiving = async {
                let request = self.api.request(ReceiverStream::new(receiver));
                let mut client = self.api.identifiers();
                let mut answers = client.import(request).await.unwrap().into_inner();
                while let Some(answer) = answers.message().await.unwrap() {
                    if let Some(pb::import_response::Message::Result(result)) = answer.message {
                        let created = pb::import_item_result::Status::Created;
                        assert!(result.items.iter().all(|it| it.status() == created));
                    }
                }
            };
            tokio::join!(sending, receiving);
        });
    }

    /// The line of each identifier of the prefix as the national node's digest has it, and how many.
    fn digest(&self) -> (u64, String) {
        let request = self.api.request(pb::ExportRequest {
            prefix: PREFIX.to_owned(),
            include_deleted: false,
        });
        let ms = |seconds: i64, nanos: i32| seconds * 1_000 + i64::from(nanos) / 1_000_000;
        self.runtime.block_on(async {
            let mut client = self.api.identifiers().max_decoding_message_size(64 << 20);
            let mut rows = client.export(request).await.unwrap().into_inner();
            let (mut count, mut hash) = (0, Sha256::new());
            while let Some(answer) = rows.message().await.unwrap() {
                for it in answer.identifiers {
                    count += 1;
                    let (created, updated) = (it.created_at.unwrap(), it.updated_at.unwrap());
                    let created = ms(created.seconds, created.nanos);
                    let updated = ms(updated.seconds, updated.nanos);
                    let code = Identifier::parse(&it.identifier).unwrap().canonical();
                    let (version, template) = (it.version, it.template);
                    let line = format!("{code}\t{version}\t{created}\t{updated}\t{template}\n");
                    hash.update(line.as_bytes());
                }
            }
            (count, data_encoding::HEXLOWER.encode(&hash.finalize()))
        })
    }
}

/// A value that is told.
fn product(name: &str) -> pb::Value {
    value(2, "产品名称", &format!("门锁 {name}"))
}

/// Waits until the national node has all of it, and proves that both have the same.
pub fn until_equal(caller: &Caller, national: &National, patience: Duration) {
    let head = caller.statistics().sequence;
    until_within(patience, "all changes are there", || {
        let there = there(national);
        there["sequence"] == head && there["making"] == Value::Null
    });
    equal(caller, national);
}

/// Proves that both sides have the same.
pub fn equal(caller: &Caller, national: &National) {
    let (here, there) = (caller.statistics(), there(national));
    assert_eq!(there["sequence"], here.sequence, "{there}");
    let counted = json!({"live": here.identifiers, "deleted": here.deleted});
    assert_eq!(there["identifiers"], counted);
    for (what, count) in [
        ("prefixes", here.prefixes),
        ("enterprises", here.enterprises),
        ("templates", here.templates),
    ] {
        assert_eq!(there[what], count, "{what}: {there}");
    }
    let (count, digest) = caller.digest();
    let url = national.url(&format!("/identifiers/digest?node={NODE}&prefix={PREFIX}"));
    let (status, _, body) = curl(&url, &[]);
    assert_eq!(status, 200, "{body}");
    let digested: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(digested["live"], count);
    assert_eq!(digested["digest"], digest, "of {count} identifiers");
}

/// Writes until it is told to stop, over whatever node has these addresses at the time: registers,
/// changes and deletes. Failures are the tests' business.
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    pub fn start(url: String, token: String) -> Self {
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, count) = (stop.clone(), written.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut number = 0_u64;
                while !until.load(Ordering::Relaxed) {
                    let Ok(api) = Api::connect(&url, Some(&token)).await else {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    };
                    while !until.load(Ordering::Relaxed) && write(&api, number).await {
                        number += 1;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    number += 1;
                }
            });
        });
        Self {
            stop,
            written,
            thread: Some(thread),
        }
    }

    /// How many were acknowledged.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// One registration, and now and then a change or a deletion of what was registered before.
async fn write(api: &Api, number: u64) -> bool {
    let name = format!("{PREFIX}/load-{number}");
    let values = || vec![value(1, "URL", "https://example.cn/"), product(&name)];
    if api.create(&name, values(), "").await.is_err() {
        return false;
    }
    match number % 4 {
        0 => api.replace(&name, values(), "").await.is_ok(),
        1 => api.delete(&name, "停产", "").await.is_ok(),
        _ => true,
    }
}
