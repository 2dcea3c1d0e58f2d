//! Temporary.
#[test]
#[ignore = "temporary"]
fn hold() {
    let node = super::Node::start();
    std::fs::write(
        "/tmp/hold.addr",
        format!("{} {}", node.addr, node.owner_token),
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(25));
}
