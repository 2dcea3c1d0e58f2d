//! A node asks its siblings directly.

use super::world::{City, World, both, questions, urls};
use idnode_tests::node::Addresses;
use idnode_tests::run::until;
use std::time::{Duration, Instant};

#[test]
fn a_sibling_is_asked_without_the_national_resolver() {
    let world = World::new();
    let national = world.national();
    let (mut datong, linfen) = both(&world);
    datong.registers("88.119.1/B", 1, "https://datong.example/b");
    datong.registers("88.119.1/C", 86_400, "https://datong.example/c");
    // Who does not ask for recursion gets none.
    assert_eq!(linfen.ask("88.119.1/A", &[])["code"], 301);
    assert_eq!(linfen.http("/api/handles/88.119.1/A").0, 400);
    let (code, _) = linfen.idctl().refused(&["resolve", "88.119.1/A"]);
    assert_ne!(code, 0);

    let expected = ["https://datong.example/a"];
    assert_eq!(urls(&linfen.recurse("88.119.1/A")), expected);
    assert_eq!(
        urls(&linfen.ask("88.119.1/a", &["--recurse", "--tcp"])),
        expected
    );
    let (status, document) = linfen.http("/api/handles/88.119.1/C?recurse");
    assert_eq!(status, 200, "{document}");
    assert_eq!(
        document["values"][0]["data"]["value"],
        "https://datong.example/c"
    );
    let answer = linfen.idctl().json(&["resolve", "88.119.1/B", "--recurse"]);
    assert!(
        answer.to_string().contains("https://datong.example/b"),
        "{answer}"
    );
    assert_eq!(linfen.recurse("88.119.1/none")["code"], 100);
    assert_eq!(linfen.http("/api/handles/88.119.1/none?recurse").0, 404);
    let (_, error) = linfen
        .idctl()
        .refused(&["resolve", "88.119.1/none", "--recurse"]);
    assert_eq!(error["reason"], "IDENTIFIER_NOT_FOUND", "{error}");
    // The handle of a prefix below the announced one is the sibling's, too.
    assert_eq!(
        linfen.recurse("0.NA/88.119.1")["values"][0]["type"],
        "HS_SITE"
    );
    // A browser is sent on by what the sibling has.
    let url = linfen.node().http("/88.119.1/A?recurse");
    let (status, head, _) = idnode_tests::run::curl(&url, &[]);
    assert_eq!(status, 302, "{head}");
    assert!(head.contains("https://datong.example/a"), "{head}");
    assert_eq!(questions(&national), 0, "{}", national.status());

    // What was answered holds as long as it says, and no longer.
    datong.changes("88.119.1/A", "https://datong.example/changed");
    datong.changes("88.119.1/B", "https://datong.example/changed");
    assert_eq!(urls(&linfen.recurse("88.119.1/A")), expected);
    until("the short one has run out", || {
        urls(&linfen.recurse("88.119.1/B")) == ["https://datong.example/changed"]
    });
    datong.kill();
    assert_eq!(urls(&linfen.recurse("88.119.1/A")), expected);
    assert_eq!(questions(&national), 0);
}

#[test]
fn siblings_are_known_without_an_uplink() {
    let world = World::new();
    let mut national = world.national();
    let (_datong, mut linfen) = both(&world);
    linfen.kill();
    national.kill();
    linfen.run();
    let answer = linfen.recurse("88.119.1/A");
    assert_eq!(urls(&answer), ["https://datong.example/a"]);
    let siblings = linfen.siblings();
    assert_eq!(siblings["routes"], 1, "{siblings}");
    until("the channel is down", || {
        linfen.channel()["state"] == "down"
    });
    // Nor is the national resolver there for what no sibling has: in time, by name.
    let began = Instant::now();
    let lost = linfen.recurse("88.200.1/A");
    assert_eq!(lost["code"], 2, "{lost}");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_sibling_that_moves_is_followed_at_once() {
    let world = World::new();
    let _national = world.national();
    let (mut datong, linfen) = both(&world);
    assert_eq!(
        urls(&linfen.recurse("88.119.1/A")),
        ["https://datong.example/a"]
    );
    let before = linfen.siblings()["siblings"][0]["configurations"].clone();
    datong.changes("88.119.1/A", "https://datong.example/moved");
    datong.stop();
    datong.at = Addresses::free();
    datong.run();
    until("the new place is known", || {
        linfen.siblings()["siblings"][0]["configurations"] != before
    });
    // What the old place has said is not held against the new one.
    assert_eq!(
        urls(&linfen.recurse("88.119.1/A")),
        ["https://datong.example/moved"]
    );
}

#[test]
fn a_sibling_that_is_down_is_missed_in_time_and_found_again() {
    let world = World::new();
    let mut national = world.national();
    let (mut datong, linfen) = both(&world);
    datong.kill();
    let began = Instant::now();
    let lost = linfen.recurse("88.119.1/A");
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(lost["code"], 2, "{lost}");
    let text = lost["message"].as_str().unwrap();
    assert!(text.contains("127.0.0.1 does not answer"), "{text}");
    // The national resolver was asked once, and knew no better place.
    assert_eq!(questions(&national), 1, "{}", national.status());
    let (status, document) = linfen.http("/api/handles/88.119.1/A?recurse");
    assert_eq!((status, &document["responseCode"]), (500, &2.into()));
    let (_, error) = linfen
        .idctl()
        .refused(&["resolve", "88.119.1/A", "--recurse"]);
    assert_eq!(error["reason"], "RECURSION_UNREACHABLE", "{error}");
    national.kill();
    let began = Instant::now();
    assert_eq!(linfen.recurse("88.119.1/A")["code"], 2);
    assert!(began.elapsed() < Duration::from_secs(4));
    datong.run();
    assert_eq!(
        urls(&linfen.recurse("88.119.1/A")),
        ["https://datong.example/a"]
    );
}

#[test]
fn who_knows_better_than_a_sibling_is_the_national_resolver() {
    let mut world = World::new();
    // By hand, 88.119.7 is somewhere else than the rest of 88.119.
    let elsewhere = City::with("elsewhere", Vec::new());
    elsewhere.serves("88.119.7");
    elsewhere.registers("88.119.7/A", 86_400, "https://elsewhere.example/a");
    let by_hand = format!("88.119.7={}", elsewhere.node().at.handle);
    world.arguments = vec!["--route".to_owned(), by_hand];
    let national = world.national();
    let datong = City::datong(&world);
    let mut linfen = City::linfen(&world);
    linfen.until_it_knows("datong");
    linfen.stop();
    // What the national node refers to must not be where only this node gets.
    linfen.settings.push("handle.recursion_deny=".to_owned());
    linfen.run();
    let answer = linfen.recurse("88.119.7/A");
    assert_eq!(urls(&answer), ["https://elsewhere.example/a"]);
    assert_eq!(questions(&national), 1);
    // What of a sibling's own prefix its node has not registered, the national node knows.
    let sites = linfen.recurse("0.NA/88.119");
    assert_eq!(sites["values"][0]["type"], "HS_SITE", "{sites}");
    drop(datong);
}

#[test]
fn what_is_registered_here_is_no_sibling_s() {
    let world = World::new();
    let _national = world.national();
    let (_datong, linfen) = both(&world);
    linfen.serves("88.119.1");
    assert_eq!(linfen.recurse("88.119.1/A")["code"], 100);
    // Prefixes beside it are Datong's still.
    assert_eq!(linfen.recurse("88.119.2/A")["code"], 301);
    linfen.serves("88.119");
    let siblings = linfen.siblings();
    assert_eq!(siblings["routes"], 0, "{siblings}");
    assert_eq!(siblings["refused"][0]["reason"], "is registered here");
}
