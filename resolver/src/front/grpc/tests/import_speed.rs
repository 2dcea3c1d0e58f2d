//! How fast a bulk load is, piece by piece. Not a check: run it by name, with `--ignored`.

use super::super::identifiers::draft;
use super::*;
use idnode_registry::Caller;
use idnode_registry::write::{Command, Draft, Idempotency, ImportMode, ItemError};
use prost::Message;
use std::time::Instant;

const CHUNKS: u64 = 40;
const ITEMS: u64 = 10_000;

/// An item of about 200 bytes.
fn item(chunk: u64, n: u64) -> api::ImportItem {
    api::ImportItem {
        line: n,
        identifier: format!("88.118.8/SN{:012}", chunk * ITEMS + n),
        values: vec![
            text(
                1,
                "URL",
                &format!("https://trace.example.com/product/{chunk}/{n}?from=idnode"),
            ),
            text(2, "MODEL", "YE3-132M-4 三相异步电动机"),
            text(3, "BATCH", "2026-01-31-A"),
        ],
        template: String::new(),
    }
}

fn chunk(number: u64) -> api::ImportChunk {
    api::ImportChunk {
        number,
        items: (0..ITEMS).map(|n| item(number, n)).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let encoded: Vec<Vec<u8>> = (1..=CHUNKS)
        .map(|number| chunk(number).encode_to_vec())
        .collect();
    let count = (CHUNKS * ITEMS) as f64;
    println!(
        "{} bytes an item",
        encoded.iter().map(Vec::len).sum::<usize>() as f64 / count
    );
    let per_item = |what: &str, started: Instant| {
        println!(
            "{what}: {:.3} us an item",
            started.elapsed().as_secs_f64() * 1e6 / count
        );
    };

    let started = Instant::now();
    let chunks: Vec<api::ImportChunk> = encoded
        .iter()
        .map(|bytes| api::ImportChunk::decode(&bytes[..]).unwrap())
        .collect();
    per_item("decode", started);
    let started = Instant::now();
    let prints: Vec<Idempotency> = chunks
        .iter()
        .map(|chunk| {
            Idempotency::of_request(
                format!("m/{}", chunk.number),
                "Import/create",
                &chunk.encode_to_vec(),
            )
            .unwrap()
        })
        .collect();
    per_item("fingerprint", started);
    let started = Instant::now();
    let drafts: Vec<Vec<Result<Draft, ItemError>>> = chunks
        .into_iter()
        .map(|chunk| {
            let draft =
                |item: api::ImportItem| draft(&item.identifier, item.values, item.template, 1);
            chunk
                .items
                .into_iter()
                .map(|item| Ok(draft(item).unwrap()))
                .collect()
        })
        .collect();
    per_item("parse and Draft::new", started);

    let caller = Caller::Operator {
        credential: "measure".into(),
    };
    let started = Instant::now();
    for (number, (items, print)) in drafts.into_iter().zip(prints).enumerate() {
        let command = Command::ImportChunk {
            import_id: "m".into(),
            number: number as u64 + 1,
            mode: ImportMode::Create,
            items,
        };
        node.core
            .registry
            .write(&caller, Some(print), command)
            .await
            .unwrap();
    }
    per_item("writer, one chunk at a time", started);

    let requests = std::iter::once(api::import_request::Message::Start(api::ImportStart {
        import_id: "wire".into(),
        mode: 0,
    }))
    .chain(
        (CHUNKS + 1..=2 * CHUNKS).map(|number| api::import_request::Message::Chunk(chunk(number))),
    )
    .map(|message| api::ImportRequest {
        message: Some(message),
    })
    .collect::<Vec<_>>();
    let started = Instant::now();
    let mut answers = node
        .identifiers()
        .import(with(&token, tokio_stream::iter(requests)))
        .await
        .unwrap()
        .into_inner();
    let mut accepted = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(api::import_response::Message::Result(result)) = answer.message {
            accepted += result
                .items
                .iter()
                .filter(|item| item.error.is_none())
                .count() as u64;
        }
    }
    assert_eq!(accepted, CHUNKS * ITEMS);
    per_item("over the wire, client included", started);
}
