//! Answers that are kept by path and query are what would be answered now.

use idnode_tests::api::{Api, CODES, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::curl;
use tokio::runtime::Runtime;

use crate::dns_transports::world::metric;

const HANDLE: &str = "88.118.8/new";
/// Kept each for itself, and each with what it asks for.
const QUESTIONS: [(&str, bool); 3] = [("", true), ("?index=1", true), ("?index=2", false)];

fn kept(node: &Node) -> u64 {
    metric(node, "idnode_http_kept_answers_total")
}

#[test]
fn no_write_is_missing_in_them() {
    let dir = DataDir::init();
    let node = Node::run_at(&dir, &Addresses::free(), &[]);
    let runtime = Runtime::new().unwrap();
    let api = runtime.block_on(async {
        let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        let enterprise = api.verified_enterprise(CODES[0]).await;
        api.active_prefix("88.118.8", &enterprise).await;
        api
    });
    let ask = |question: &str| curl(&node.http(&format!("/api/handles/{HANDLE}{question}")), &[]);
    for round in 0..10 {
        let (url, more) = (format!("http://a.cn/{round}"), format!("more of {round}"));
        let values = vec![value(1, "URL", &url), value(2, "DESC", &more)];
        runtime.block_on(api.create(HANDLE, values, "")).unwrap();
        for _ in 0..4 {
            for (question, has_url) in QUESTIONS {
                let (status, _, body) = ask(question);
                let has_more = question != "?index=1";
                let says = (status, body.contains(&url), body.contains(&more));
                assert_eq!(says, (200, has_url, has_more), "{round}{question}");
            }
        }
        // Who shows a credential is answered for itself.
        let before = kept(&node);
        let token = format!("Authorization: Bearer {}", dir.token());
        let own = curl(
            &node.http(&format!("/api/handles/{HANDLE}")),
            &["-H", &token],
        );
        assert_eq!((own.0, kept(&node)), (200, before));
        runtime
            .block_on(api.delete(HANDLE, "scrapped", ""))
            .unwrap();
        for (question, _) in QUESTIONS {
            assert_eq!(ask(question).0, 404, "{round}{question}");
        }
    }
    assert!(kept(&node) >= 60, "{} of 120", kept(&node));
    node.stop();
}
