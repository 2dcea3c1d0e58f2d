//! A backlog is told at a pace, and at another one while the node is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_tests::api::Api;

use super::super::streams::{PREFIX, Streams};
use super::world::*;

/// Asks as fast as it is answered until it is told to stop; how often.
async fn ask(api: Api, identifier: String, stop: Arc<AtomicBool>) -> u64 {
    let mut asked = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = pb::ResolveRequest {
            identifier: identifier.clone(),
            ..pb::ResolveRequest::default()
        };
        api.resolution()
            .resolve(api.request(request))
            .await
            .unwrap();
        asked += 1;
    }
    asked
}

#[test]
fn a_backlog_lets_those_who_ask_go_first() {
    let mut world = Streams::new();
    // At the pace of a busy node it takes half a minute, at the other one it is told at once.
    world.settings.extend([
        "upward.sync.changes_per_s=0".to_owned(),
        "upward.sync.busy_changes_per_s=200".to_owned(),
    ]);
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    let names: Vec<String> = (0..6_000).map(|n| format!("{PREFIX}/{n}")).collect();
    caller.import(&names, 100);

    let stop = Arc::<AtomicBool>::default();
    let asking = ask(caller.api.clone(), names[0].clone(), stop.clone());
    let asking = caller.runtime.spawn(asking);
    let national = world.national();
    idnode_tests::run::until("some of it is told", || sequence_there(&national) > 0);
    std::thread::sleep(Duration::from_secs(2));
    assert!(sequence_there(&national) < caller.statistics().sequence);
    stop.store(true, Ordering::Relaxed);
    assert!(caller.runtime.block_on(asking).unwrap() > 0);
    until_equal(&caller, &national, Duration::from_secs(15));
}
