//! A node with one active prefix and nothing in it.

use idnode_tests::api::{Api, CODES};
use idnode_tests::node::{DataDir, Node};
use tokio::runtime::Runtime;

/// A node with the prefix 88.118.8.
pub struct World {
    pub runtime: Runtime,
    pub operator: Api,
    pub node: Node,
    pub dir: DataDir,
}

impl World {
    pub fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let runtime = Runtime::new().unwrap();
        let operator = runtime.block_on(async {
            let operator = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
            let owner = operator.verified_enterprise(CODES[0]).await;
            operator.active_prefix("88.118.8", &owner).await;
            operator
        });
        Self {
            runtime,
            operator,
            node,
            dir,
        }
    }
}
