//! Changes that a client sends one behind the other, without waiting for answers.

use super::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

fn create(handle: &str, data: &str) -> Value {
    json!({"op": CREATE, "handle": handle, "values": [url(1, data)]})
}

impl Client {
    /// Sends all of it at once; the codes of the answers, which come in the same order.
    fn burst(&mut self, messages: &[Value]) -> Vec<u64> {
        let answers = self.run(json!({"do": "burst", "messages": messages}));
        let answers = answers["answers"]
            .as_array()
            .unwrap_or_else(|| panic!("{answers}"));
        assert_eq!(answers.len(), messages.len());
        for (answer, message) in answers.iter().zip(messages) {
            assert_eq!(answer["op"], message["op"], "{message}: {answer}");
        }
        answers
            .iter()
            .map(|it| it["code"].as_u64().unwrap())
            .collect()
    }
}

#[test]
fn they_are_carried_out_and_answered_in_their_order() {
    let world = World::new();
    let mut client = world.logged_in();
    let handle = "88.118.8/burst";
    let add = json!({"op": ADD, "handle": handle, "values": [url(2, "two")]});
    let modify = json!({"op": MODIFY, "handle": handle, "values": [url(2, "zwei")]});
    let missing = json!({"op": MODIFY, "handle": handle, "values": [url(7, "none")]});
    let overwrite = json!({"op": CREATE, "handle": handle, "flags": OVERWRITE,
                           "values": [url(1, "over")]});
    let question = json!({"op": 1, "handle": handle, "flags": PUBLIC_ONLY});
    let mint = json!({"op": CREATE, "handle": "88.118.8/", "flags": MINT,
                      "values": [url(1, "minted")]});
    let messages = [
        create(handle, "one"),
        create(handle, "again"),
        add.clone(),
        add,
        modify,
        missing,
        json!({"op": REMOVE, "handle": handle, "indexes": [1]}),
        create("88.119/another's", "x"),
        create("no handle", "x"),
        // What is asked in between sees what was done before it.
        question.clone(),
        json!({"op": DELETE, "handle": handle}),
        question.clone(),
        create(handle, "anew"),
        overwrite.clone(),
        json!({"op": DELETE, "handle": handle}),
        overwrite,
        mint,
        json!({"op": LIST, "handle": "0.NA/88.118.8"}),
        question,
    ];
    let codes = client.burst(&messages);
    let expected = [
        1, 101, 1, 201, 1, 200, 1, 301, 102, 1, 1, 100, 1, 1, 1, 1, 1, 1, 1,
    ];
    assert_eq!(codes, expected);
    let found = client.gets(1, 1, json!({"handle": handle}));
    assert_eq!(found["values"][0][2], "over", "{found}");
}

#[test]
fn more_than_one_group_takes_is_still_in_order() {
    let world = World::new();
    let mut client = world.logged_in();
    for round in 0..2 {
        let messages: Vec<_> = (0..1_500)
            .map(|n| create(&format!("88.118.8/many-{n}"), &format!("{n}")))
            .collect();
        let expected = if round == 0 { 1 } else { 101 };
        let codes: BTreeSet<_> = client.burst(&messages).into_iter().collect();
        assert_eq!(codes, BTreeSet::from([expected]));
    }
    let listed = client.gets(1, LIST, json!({"handle": "0.NA/88.118.8"}));
    assert_eq!(listed["handles"].as_array().unwrap().len(), 1_500);
}

#[test]
fn a_connection_of_a_stranger_is_challenged_for_each() {
    let world = World::new();
    let mut client = world.client(&["--secret", "open sesame"]);
    let messages = [create("88.118.8/a", "x"), create("88.118.8/b", "x")];
    assert_eq!(client.burst(&messages), [402, 402]);
}

/// Bursts of creates from several connections until the node is killed; what was acknowledged.
fn burst_on(
    world: &World,
    name: &str,
    acknowledged: &Arc<Mutex<Vec<String>>>,
) -> thread::JoinHandle<()> {
    let mut client = world.client(&["--secret", "open sesame"]);
    client.log_in("0.NA/88.118.8", 300);
    let (name, acknowledged) = (name.to_owned(), acknowledged.clone());
    thread::spawn(move || {
        for round in 0.. {
            let handles: Vec<_> = (0..40)
                .map(|n| format!("88.118.8/{name}-{round}-{n}"))
                .collect();
            let messages: Vec<_> = handles.iter().map(|it| create(it, it)).collect();
            let answers = client.run(json!({"do": "burst", "messages": messages}));
            let Some(answers) = answers["answers"].as_array() else {
                return; // closed
            };
            assert!(answers.iter().all(|it| it["code"] == 1), "{answers:?}");
            acknowledged.lock().unwrap().extend(handles);
        }
    })
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let mut world = World::new();
    drop(world.logged_in());
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for kill in 0..5 {
        let writers: Vec<_> = (0..3)
            .map(|n| burst_on(&world, &format!("k{kill}-{n}"), &acknowledged))
            .collect();
        thread::sleep(std::time::Duration::from_millis(300 + 150 * kill));
        world.node.kill();
        for writer in writers {
            writer.join().unwrap();
        }
        world.node = Node::run_at(&world.dir, &Addresses::free(), &[]);
    }
    let mut client = world.client(&[]);
    let acknowledged = acknowledged.lock().unwrap();
    assert!(acknowledged.len() > 500, "{}", acknowledged.len());
    let ask = |handle: &String| json!({"op": 1, "handle": handle, "flags": PUBLIC_ONLY});
    for handles in acknowledged.chunks(500) {
        let questions: Vec<_> = handles.iter().map(ask).collect();
        let codes: BTreeSet<_> = client.burst(&questions).into_iter().collect();
        assert_eq!(codes, BTreeSet::from([1]));
    }
}
