//! What one query and one write cost inside the process: codecs, hot cache, store, commit, import.
//!
//! `cargo bench --workspace --bench paths` (the whole workspace, so that dependencies are not
//! compiled again with other features).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use idnode_proto::dnsname::{Zones, to_name};
use idnode_proto::handle::Transport;
use idnode_proto::handle::client::RequestHead;
use idnode_proto::handle::decode_request;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Value, Values, encode_values};
use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::PrefixAction;
use idnode_registry::write::{Command, Draft, ImportMode};
use idnode_registry::{Caller, Options, Registry};
use idnode_resolver::cache::HotCache;
use idnode_resolver::resolve::{Filter, Query, Resolver};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Identifiers registered before the measurements.
const REGISTERED: u64 = 100_000;
/// Items of one chunk.
const CHUNK: u64 = 1_000;

fn values() -> Vec<Value> {
    vec![
        Value::new(1, "URL", "https://example.com/products/0123456789"),
        Value::new(2, "PRODUCT", "440FX - 82441FX PMC [Natoma]"),
    ]
}

fn draft(text: &str) -> Draft {
    Draft::new(Identifier::parse(text).unwrap(), values(), None, 1).unwrap()
}

fn chunk(id: &str, number: u64) -> Command {
    let first = number * CHUNK;
    let items = (first..first + CHUNK).map(|n| Ok(draft(&format!("88.118.8/{id}-{n:08}"))));
    Command::ImportChunk {
        import_id: id.into(),
        number,
        mode: ImportMode::Create,
        items: items.collect(),
    }
}

struct Filled {
    runtime: Runtime,
    registry: Arc<Registry>,
    cache: Arc<HotCache>,
    operator: Caller,
    _dir: tempfile::TempDir,
}

/// A registry with an active prefix and identifiers `88.118.8/SET-00000000` on.
fn filled() -> Filled {
    let dir = tempfile::tempdir().unwrap();
    Registry::create(dir.path()).unwrap();
    let cache = Arc::new(HotCache::new(256 << 20));
    let registry =
        Arc::new(Registry::open(dir.path(), &Options::default(), cache.clone()).unwrap());
    let operator = Caller::Operator {
        credential: "bench".into(),
    };
    let runtime = Runtime::new().unwrap();
    let prefix = Prefix::parse("88.118.8").unwrap();
    let id = EnterpriseId(1);
    let profile = Profile {
        certificate_type: CertificateType::Other as i32,
        certificate_code: "1".into(),
        name: "bench".into(),
        ..Profile::default()
    };
    let step = |action| Command::TransitionPrefix {
        prefix: prefix.clone(),
        action,
        message: String::new(),
        expected_version: None,
    };
    let verify = Command::ReviewEnterprise {
        id,
        action: ReviewAction::Verify,
        message: String::new(),
        expected_version: None,
    };
    let mut commands = vec![
        Command::CreateEnterprise { profile },
        verify,
        Command::ApplyPrefix {
            prefix: prefix.clone(),
            enterprise: id,
        },
        step(PrefixAction::StartReview),
        step(PrefixAction::Approve),
    ];
    commands.extend((0..REGISTERED / CHUNK).map(|number| chunk("SET", number)));
    for command in commands {
        runtime
            .block_on(registry.write(&operator, None, command))
            .unwrap();
    }
    Filled {
        runtime,
        registry,
        cache,
        operator,
        _dir: dir,
    }
}

fn codecs(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    for text in [
        "88.118.8/JXDY2106023",
        "1.2.156.3001.5.7",
        "https://id.gs1.org/01/09506000134352",
        "ecode:1999921060230001",
        "VAA088999EXAMPLE/SN-2106023",
        "did:bid:exam:efExampleNotARealRegistration2106",
    ] {
        let scheme = Identifier::parse(text).unwrap().scheme();
        group.bench_function(format!("parse {scheme}"), |b| {
            b.iter(|| Identifier::parse(black_box(text)));
        });
    }
    let identifier = Identifier::parse("88.118.8/JXDY2106023").unwrap();
    let zones = Zones::parse("id.example.", None, None).unwrap();
    group.bench_function("identifier to DNS name", |b| {
        b.iter(|| to_name(black_box(&identifier), &zones));
    });
    let encoded = encode_values(&values());
    group.bench_function("read two values", |b| {
        b.iter(|| {
            Values::new(black_box(&encoded), 2)
                .flatten()
                .map(|v| v.data().len())
                .sum::<usize>()
        });
    });
    let request = RequestHead::new(1)
        .resolve("88.118.8/JXDY2106023", &[], &[])
        .unwrap();
    group.bench_function("decode a Handle request", |b| {
        b.iter(|| decode_request(black_box(&request), Transport::Udp).is_ok());
    });
    group.finish();
}

fn reads(c: &mut Criterion) {
    let filled = filled();
    let resolver = Resolver::new(filled.registry.clone(), filled.cache.clone(), Vec::new());
    let identifiers: Vec<Identifier> = (0..REGISTERED)
        .map(|n| Identifier::parse(&format!("88.118.8/SET-{n:08}")).unwrap())
        .collect();
    let missing = Identifier::parse("88.118.8/NOTHING").unwrap();
    let (filter, caller) = (Filter::default(), Caller::Stranger);
    let query = |identifier| Query {
        identifier,
        filter: &filter,
        caller: &caller,
        public_only: true,
    };
    let mut group = c.benchmark_group("read");
    let mut next = 0;
    let mut scattered = || {
        next = (next + 7_919) % identifiers.len();
        &identifiers[next]
    };
    group.bench_function("store get, memtable or block cache", |b| {
        b.iter(|| filled.registry.read(scattered().key()).unwrap());
    });
    for identifier in &identifiers {
        resolver.try_resolve(&query(identifier));
    }
    group.bench_function("resolve, hot cache, 100 k identifiers", |b| {
        b.iter(|| resolver.try_resolve(&query(scattered())).is_some());
    });
    group.bench_function("resolve, not registered", |b| {
        b.iter(|| resolver.try_resolve(&query(&missing)).is_some());
    });
    group.finish();
}

fn writes(c: &mut Criterion) {
    let filled = filled();
    let Filled {
        runtime,
        registry,
        operator,
        ..
    } = &filled;
    let counter = AtomicU64::new(0);
    let create = || {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        registry.write(
            operator,
            None,
            Command::CreateIdentifier(draft(&format!("88.118.8/W-{n}"))),
        )
    };
    let mut group = c.benchmark_group("write, synced");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one writer", |b| {
        b.iter(|| runtime.block_on(create()).unwrap())
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 writers", |b| {
        b.iter(|| runtime.block_on(futures_util::future::join_all((0..64).map(|_| create()))));
    });
    group.throughput(Throughput::Elements(CHUNK));
    group.bench_function("import chunk of 1,000, drafts ready", |b| {
        b.iter_batched(
            || chunk("B", counter.fetch_add(1, Ordering::Relaxed)),
            |command| {
                runtime
                    .block_on(registry.write(operator, None, command))
                    .unwrap()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = paths;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = codecs, reads, writes
}
criterion_main!(paths);
