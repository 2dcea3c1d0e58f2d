//! What the registry promises those who write and those who read, through the API of the real node.

mod administrators;
mod counters;
mod lifecycle;
mod reading;
mod safe_writes;
mod templates;
mod watching;

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, fields, reason, value};
use idnode_tests::node::{DataDir, Node};
use tonic::{Code, Status};

/// A node with one enterprise and the prefix 88.118.8.
struct World {
    operator: Api,
    enterprise: String,
    node: Node,
    dir: DataDir,
}

impl World {
    async fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let operator = connected(&node, &dir).await;
        let enterprise = operator.verified_enterprise(CODES[0]).await;
        operator.active_prefix("88.118.8", &enterprise).await;
        Self {
            operator,
            enterprise,
            node,
            dir,
        }
    }

    /// Stops the node and starts it again, with further arguments.
    async fn restarted(self, arguments: &[&str]) -> Self {
        let Self {
            enterprise,
            node,
            dir,
            ..
        } = self;
        let at = node.at;
        node.stop();
        let node = Node::run_at(&dir, &at, arguments);
        Self {
            operator: connected(&node, &dir).await,
            enterprise,
            node,
            dir,
        }
    }

    /// As the enterprise, with a key of its own.
    async fn as_enterprise(&self) -> Api {
        let (_, token) = self.operator.api_key(&self.enterprise).await;
        self.operator.with_token(Some(&token))
    }
}

async fn connected(node: &Node, dir: &DataDir) -> Api {
    Api::connect(&node.url(), Some(&dir.token())).await.unwrap()
}

fn url(data: &str) -> Vec<pb::Value> {
    vec![value(1, "URL", data)]
}

/// A refusal says this, and names this part of the request.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    code: Code,
    why: &str,
    part: &str,
) -> Status {
    let status = outcome.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (code, why),
        "{status:?}"
    );
    assert!(!status.message().is_empty());
    if !part.is_empty() {
        let named = fields(&status);
        assert!(named.iter().any(|field| field == part), "{part}: {named:?}");
    }
    status
}
