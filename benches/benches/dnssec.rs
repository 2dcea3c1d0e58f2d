//! What a signature of DNSSEC costs: made, and made before.
//!
//! `cargo bench --workspace --bench dnssec`
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record};
use idnode_proto::dnsname::{ZoneKind, Zones};
use idnode_resolver::front::dns::{Algorithm, Dnssec, DnssecOptions, SigningKey};
use std::hint::black_box;

/// Bytes that a signature over a small set of records covers, about.
const MESSAGE_BYTES: usize = 300;

fn bare(c: &mut Criterion) {
    let message = [0x5a; MESSAGE_BYTES];
    for algorithm in Algorithm::ALL {
        let pkcs8 = SigningKey::generate(algorithm).unwrap();
        let key = SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
        c.bench_function(&format!("dnssec/sign/{}", algorithm.mnemonic()), |b| {
            b.iter(|| key.sign(black_box(&message)).unwrap());
        });
    }
}

fn set(number: u64) -> Vec<Record> {
    let name = format!("{number}.88-118-8.hdl.id.example.");
    let name = Name::from_ascii(name).unwrap();
    let texts = [
        "identifier=88.118.8/A-1",
        "index=1 type=URL data=https://example.com/a-1",
    ];
    let record = |text: &str| {
        let data = RData::TXT(TXT::new(vec![text.to_owned()]));
        Record::from_rdata(name.clone(), 3_600, data)
    };
    texts.map(record).into()
}

/// The RRSIG record over a set of two TXT records, of another name each time and of one name.
fn rrsig(c: &mut Criterion) {
    let zones = Zones::parse("id.example.", None, None).unwrap();
    for algorithm in Algorithm::ALL {
        let dir = tempfile::tempdir().unwrap();
        let options = DnssecOptions::default();
        let dnssec = Dnssec::open(dir.path().join("keys"), &zones, options).unwrap();
        let key = dnssec.generate("id.example.", algorithm).unwrap();
        dnssec.activate("id.example.", key.tag, false).unwrap();
        let mut number = 0;
        c.bench_function(
            &format!("dnssec/rrsig/made/{}", algorithm.mnemonic()),
            |b| {
                b.iter(|| {
                    number += 1;
                    dnssec.rrsig(ZoneKind::Node, &set(number)).unwrap()
                });
            },
        );
        let one = set(0);
        c.bench_function(
            &format!("dnssec/rrsig/kept/{}", algorithm.mnemonic()),
            |b| {
                b.iter(|| dnssec.rrsig(ZoneKind::Node, black_box(&one)).unwrap());
            },
        );
    }
}

criterion_group!(benches, bare, rrsig);
criterion_main!(benches);
