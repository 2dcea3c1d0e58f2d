//! Trusted queries with recursion: what another node has answered is verified as it came.

use idnode_proto::handle::OpFlags;
use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};

use super::native::ask;
use super::world::{HANDLE, ROOT, World};

const DT: OpFlags = OpFlags::TRUSTED_QUERY;

/// A node that asks another world's node, and knows the root or not.
fn beside(dir: &DataDir, there: &World, settings: &[&str]) -> Node {
    let upstream = format!("handle.upstream={}", there.node.at.handle);
    let all = [&[&upstream, "handle.recursion_deny="], settings].concat();
    let arguments: Vec<_> = all.iter().flat_map(|it| ["--set", it]).collect();
    Node::run_at(dir, &Addresses::free(), &arguments)
}

#[test]
fn what_another_node_answers_is_trusted_if_its_chain_holds() {
    let there = World::new(&[]);
    there.register(HANDLE);
    there.register("88.118.8/A-2");
    let value = "500:HS_SIGNATURE=e30.e30.e30";
    let update = ["identifier", "update", "88.118.8/A-2", "--value", value];
    there.idctl.json(&update);
    let key = format!("trust.root_key_file={}", there.path("root.key.pub"));
    let root = [&format!("trust.root={ROOT}"), key.as_str()];
    let dir = DataDir::init();
    let here = beside(&dir, &there, &root);
    let recursive = DT | OpFlags::RECURSE;
    for tcp in [false, true] {
        // Asked twice: the second answer, and its verdict, are remembered ones.
        for _ in 0..2 {
            assert_eq!(ask(&here, tcp, HANDLE, recursive), (3, 1));
            assert_eq!(ask(&here, tcp, "88.118.8/a-1", recursive), (2, 1));
            assert_eq!(ask(&here, tcp, "88.118.8/A-2", recursive), (2, 1));
            assert_eq!(ask(&here, tcp, "88.118.8/none", recursive), (2, 100));
            assert_eq!(ask(&here, tcp, HANDLE, OpFlags::RECURSE), (0, 1));
            assert_eq!(ask(&here, tcp, HANDLE, DT), (2, 301));
        }
    }
    // Where the prefix is delegated to the other node, its certificate is asked for there.
    let idctl = here.idctl(Some(&dir.token_file()));
    let enterprise = idctl.verified_enterprise(CODES[0]);
    idctl.active_prefix("88.118.8", &enterprise);
    let port = there.node.at.handle.port();
    let service = format!("127.0.0.1,udp:{port},tcp:{port}");
    idctl.json(&["prefix", "delegate", "88.118.8", "--service", &service]);
    assert_eq!(ask(&here, true, HANDLE, recursive), (3, 1));
    // A node without a root trusts nothing.
    let other = DataDir::init();
    let without = beside(&other, &there, &[]);
    assert_eq!(ask(&without, true, HANDLE, recursive), (2, 1));
    // Nor does one that trusts another root.
    let key = format!("trust.root_key_file={}", there.path("node.key.pub"));
    let third = DataDir::init();
    let deceived = beside(&third, &there, &[&format!("trust.root={ROOT}"), &key]);
    assert_eq!(ask(&deceived, true, HANDLE, recursive), (2, 1));
}
