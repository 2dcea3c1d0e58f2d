//! The API's messages under a million malformed encodings: an error or a message, never a panic,
//! and what was understood is encoded and understood again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use idnode_proto::api;
use idnode_proto::import::ImportChunk;
use prost::Message;

/// For each of the five messages.
const ROUNDS: usize = 200_000;

/// A small generator: the same junk in every run.
struct Junk(u64);

impl Junk {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Random bytes, or a good encoding with some bytes changed, cut off or repeated.
    fn message(&mut self, good: &[u8]) -> Vec<u8> {
        if self.next().is_multiple_of(4) {
            let length = self.next() % 200;
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let mut message = good.to_vec();
        for _ in 0..=self.next() % 4 {
            let at = self.next() as usize % message.len();
            message[at] = [0, 0xff, 0x80, self.next() as u8][self.next() as usize % 4];
        }
        match self.next() % 6 {
            0 | 1 => message.truncate(self.next() as usize % message.len()),
            2 => message.extend_from_within(..),
            _ => {}
        }
        message
    }
}

fn check<M: Message + Default + PartialEq + std::fmt::Debug>(good: &M, seed: u64) {
    let encoded = good.encode_to_vec();
    let mut junk = Junk(seed);
    let mut understood = 0;
    for _ in 0..ROUNDS {
        let bytes = junk.message(&encoded);
        if let Ok(message) = M::decode(&bytes[..]) {
            understood += 1;
            // An unknown field is left out, so bytes may differ; the message may not.
            assert_eq!(M::decode(&message.encode_to_vec()[..]).unwrap(), message);
        }
    }
    assert!(
        (1..ROUNDS).contains(&understood),
        "the junk is no mixture: {understood} of {ROUNDS} understood"
    );
}

#[test]
fn a_million_malformed_messages_are_survived() {
    let value = api::Value {
        index: 1,
        r#type: "URL".into(),
        data: Some(api::value::Data::Text("https://example.com".into())),
        ttl: Some(api::value::Ttl::TtlS(3_600)),
        permissions: Some(14),
        timestamp_s: 1_767_225_600,
        references: vec![api::Reference {
            handle: "88.118.8/ADMIN".into(),
            index: 300,
        }],
    };
    let item = api::ImportItem {
        line: 7,
        identifier: "88.118.8/A-1".into(),
        values: vec![value.clone(), value.clone()],
        template: "motor".into(),
    };
    check(
        &api::CreateIdentifierRequest {
            identifier: "88.118.8/A-1".into(),
            values: vec![value.clone()],
            template: "motor".into(),
            idempotency_key: "once".into(),
        },
        1,
    );
    check(
        &api::UpdateIdentifierRequest {
            identifier: "88.118.8/A-1".into(),
            set_values: vec![value],
            remove_indexes: vec![2, 300],
            expected_version: Some(9),
            ..Default::default()
        },
        2,
    );
    check(
        &api::ResolveRequest {
            identifier: "1.2.156.3088".into(),
            ..Default::default()
        },
        3,
    );
    check(&item, 4);
    check(
        &api::ImportRequest {
            message: Some(api::import_request::Message::Chunk(ImportChunk::new(
                1,
                &[item.clone(), item],
            ))),
        },
        5,
    );
}
