//! What is acknowledged here is on the national node soon.

use std::time::Duration;

use super::super::streams::{PREFIX, Streams};
use super::world::*;

#[test]
fn what_is_acknowledged_here_is_there_within_a_second() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register((0..2_000).map(|n| format!("{PREFIX}/{n}")), 8);
    until_equal(&caller, &national, Duration::from_secs(60));
    let lag = &there(&national)["lag_ms"];
    assert!(lag["entries"].as_u64().unwrap() >= 2_000, "{lag}");
    assert!(lag["p50"].as_u64().unwrap() < 1_000, "{lag}");
}
