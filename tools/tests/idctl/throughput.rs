//! How fast a file is read and encoded. Not part of the ordinary run: the figures depend on the
//! machine. `cargo test --release -p idnode-tools --test idctl -- --ignored --nocapture`

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use idnode_proto::api::value::{Data, Ttl};
use idnode_proto::api::{IdentifierRecord, Value};
use idnode_tools::bulk::chunk::Chunker;
use idnode_tools::bulk::format::{Compression, Format, Output, open};
use idnode_tools::bulk::read::Items;
use idnode_tools::bulk::write::Records;

use crate::node::{Behaviour, Node};
use crate::run::file;

fn record(n: usize) -> IdentifierRecord {
    let value = |index, kind: &str, data: String| Value {
        index,
        r#type: kind.to_owned(),
        permissions: Some(14),
        timestamp_s: 1_767_225_600,
        references: vec![],
        data: Some(Data::Text(data)),
        ttl: Some(Ttl::TtlS(86_400)),
    };
    IdentifierRecord {
        identifier: format!("88.118.8/JXDY{n:09}"),
        values: vec![
            value(1, "URL", format!("https://example.com/products/{n}")),
            value(2, "NAME", "deep groove ball bearing".to_owned()),
        ],
        ..IdentifierRecord::default()
    }
}

#[test]
#[ignore = "measures"]
fn parsing_and_encoding() {
    const ITEMS: usize = 500_000;
    for format in [Format::Csv, Format::Jsonl] {
        let path = tempfile::NamedTempFile::new().unwrap();
        let output = Output::new(path.reopen().unwrap(), Compression::None).unwrap();
        let mut writer = Records::new(output, format).unwrap();
        let written = Instant::now();
        (0..ITEMS).for_each(|n| writer.write(&mut record(n)).unwrap());
        writer.finish().unwrap();
        let written = written.elapsed();

        let started = Instant::now();
        let mut items = Items::new(open(path.path(), Arc::default()).unwrap(), format).unwrap();
        let mut chunker = Chunker::new(1000);
        let (mut chunks, mut bytes) = (0, 0);
        while let Some(entry) = items.next_entry().unwrap() {
            if let Some(unit) = chunker.push(entry) {
                chunks += 1;
                bytes += unit.chunk.unwrap().request.len();
            }
        }
        let elapsed = started.elapsed();
        println!(
            "{format:?}: {ITEMS} items of 2 values, {:.2} µs an item to read and encode \
             ({:.0} items/s, {chunks} chunks, {} MB sent); {:.2} µs to write",
            elapsed.as_secs_f64() * 1e6 / ITEMS as f64,
            ITEMS as f64 / elapsed.as_secs_f64(),
            bytes / 1_000_000,
            written.as_secs_f64() * 1e6 / ITEMS as f64,
        );
    }
}

#[test]
#[ignore = "measures"]
fn a_whole_import() {
    const ITEMS: usize = 300_000;
    let mut text = Vec::new();
    writeln!(text, "identifier,type,data").unwrap();
    for n in 0..ITEMS {
        writeln!(
            text,
            "88.118.8/JXDY{n:09},URL,https://example.com/products/{n}"
        )
        .unwrap();
    }
    let (_directory, path) = file("x.csv", &text);
    let node = Node::start(Behaviour::default());
    let script = format!(
        "TIMEFORMAT='%U %S'; time '{}' --server {} --json import '{}'",
        env!("CARGO_BIN_EXE_idctl"),
        node.url,
        path.display()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .output()
        .unwrap();
    let cpu = String::from_utf8_lossy(&output.stderr);
    let cpu_s: f64 = cpu
        .split_whitespace()
        .map(|part| part.parse::<f64>().unwrap())
        .sum();
    println!(
        "import of {ITEMS} items of 1 value into memory: {}client CPU {:.2} µs an item",
        String::from_utf8_lossy(&output.stdout),
        cpu_s * 1e6 / ITEMS as f64
    );
}
