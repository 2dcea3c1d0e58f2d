//! SIGHUP never ends a node; what it reads again is tested beside the certificates.

use idnode_tests::dns::{Ask, Said, rtype, udp};
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::until;

#[test]
fn a_hangup_without_anything_to_read_again_ends_no_node() {
    let dir = DataDir::init();
    let mut node = Node::run(&dir);
    let said = |node: &Node| node.log().matches("nothing to read again").count();
    for count in 1..=3 {
        node.signal("HUP");
        until("the log says so", || said(&node) == count);
    }
    assert!(node.is_alive());
    let answer = udp(node.at.dns, &Ask::of("id.example", rtype::SOA).bytes());
    assert_eq!(Said::read(&answer).answers().len(), 1);
    node.stop();
}
