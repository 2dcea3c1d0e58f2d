//! The clock is set back, ahead by a day and into the next month: that of reports while the node does
//! not run, and the system's, as the node sees it, while it does.

use super::super::world::National;
use super::world::*;
use idnode_proto::report::{Period, Unit};
use idnode_tests::node::{Addresses, Node, idnode};
use idnode_tests::run::{Idctl, success};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const HOUR_S: u64 = 3_600;

struct Walk {
    world: World,
    national: National,
    asked: u64,
    clock: Clock,
}

/// Which clock is set.
enum Clock {
    /// That of reports, of a node that is started anew.
    Reports,
    /// The system's, of a node that runs.
    System { node: Box<Node>, set: Faked },
}

/// The system's clock as a process sees it that `clients/clock_ahead.c` is loaded into.
struct Faked(PathBuf);

impl Faked {
    /// A clock that is right.
    fn new(file: PathBuf) -> Self {
        let library = file.with_extension("so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        success(compiler.arg(library).arg("clients/clock_ahead.c"));
        fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        Self(file)
    }

    /// How far it is ahead, from now on.
    fn set(&self, ahead_s: u64) {
        let file = fs::OpenOptions::new().write(true).open(&self.0).unwrap();
        let ahead_s = i64::try_from(ahead_s).unwrap();
        file.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }

    /// A node that sees it.
    fn node(&self, world: &World) -> Node {
        let mut command = idnode();
        let arguments = world.arguments(0);
        command
            .args(["run", "--data-dir"])
            .arg(world.dir.path())
            .args(Addresses::free().flags())
            .args(arguments.iter().flat_map(|it| ["--set", it]));
        self.load_into(&mut command);
        Node::start(&mut command, &world.dir.beside("node.log"))
    }

    /// Has a command see it.
    fn load_into(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.0.with_extension("so"));
        command.env("CLOCK_AHEAD_FILE", &self.0);
    }
}

impl Walk {
    /// Begins with a clock that is right.
    fn new(clock: impl FnOnce(&World) -> Clock, settings: &[&str]) -> Self {
        let mut world = World::new();
        world.settings = settings.iter().map(|it| (*it).to_owned()).collect();
        let national = world.national();
        let clock = clock(&world);
        Self {
            world,
            national,
            asked: 0,
            clock,
        }
    }

    /// A clock that is so far ahead, for a while in which something is asked and registered.
    fn at(&mut self, ahead_s: u64, during: impl FnOnce(&Idctl, &National)) {
        match &self.clock {
            Clock::Reports => {
                let node = self.world.node(ahead_s);
                Self::be_used(&self.world, &node, &mut self.asked);
                during(&self.world.operator(&node), &self.national);
                node.stop();
            }
            // Before: until the jump is believed, what happens counts to the day that is open anyway.
            Clock::System { node, set } => {
                Self::be_used(&self.world, node, &mut self.asked);
                set.set(ahead_s);
                during(&self.world.operator(node), &self.national);
            }
        }
    }

    fn be_used(world: &World, node: &Node, asked: &mut u64) {
        if *asked == 0 {
            world.register(node);
        }
        let name = format!("a{asked}");
        create(&world.operator(node), &name);
        (0..3).for_each(|_| dig(node, &name, "127.0.0.1"));
        *asked += 3;
    }
}

/// Reports that the national node has taken of each kind.
fn numbers(national: &National) -> Vec<Value> {
    let lines = &national.status()["report"]["nodes"][NODE];
    let lines = lines.as_object().unwrap().values();
    lines.map(|line| line["taken"].clone()).collect()
}

#[test]
fn a_clock_that_jumps_between_two_starts_skips_and_doubles_no_report() {
    not_at_midnight();
    walk(Walk::new(|_| Clock::Reports, &[]));
}

#[test]
fn a_clock_that_jumps_while_the_node_runs_skips_and_doubles_no_report() {
    not_at_midnight();
    let settle = "upward.report.clock_settle_s=2";
    walk(Walk::new(
        |world| {
            let set = Faked::new(world.dir.beside("clock"));
            let node = set.node(world);
            Clock::System {
                node: Box::new(node),
                set,
            }
        },
        &[settle],
    ));
}

/// Back an hour, forward a day, on to another month.
fn walk(mut walk: Walk) {
    let ahead_s = DAY_S + 2 * HOUR_S;
    walk.at(0, |_, _| {});
    // Ahead by a day.
    walk.at(ahead_s, |operator, _| {
        until_told(operator, &last_hour(ahead_s))
    });
    // Back by an hour, and by all of it: time stands still.
    for back_s in [ahead_s - HOUR_S, 0] {
        walk.at(back_s, |operator, national| {
            // What was owed before is made within a second, and told.
            std::thread::sleep(Duration::from_secs(3));
            let before = numbers(national);
            std::thread::sleep(Duration::from_secs(4));
            assert_eq!(numbers(national), before);
            let shown = operator.json(&["upward", "reports", "--page-size", "1"]);
            assert_eq!(shown["pending"], 0);
        });
    }
    // On, and into the next month but one.
    let ahead_s = ahead_s + 3 * HOUR_S;
    walk.at(ahead_s, |operator, _| {
        until_told(operator, &last_hour(ahead_s))
    });
    let last_s = ahead_s + 40 * DAY_S;
    walk.at(last_s, |operator, national| {
        until_told(operator, &last_hour(last_s));
        until_told(operator, &statistics(day(last_s - DAY_S)));
        each_once(operator, national);
    });
    let status = &walk.national.status()["report"];
    assert_eq!(status["refused"], json!([]), "{status}");
    // Whatever was asked is in some day, and the last day is not over.
    let on_the_last_day = match walk.clock {
        Clock::Reports => 3,
        Clock::System { .. } => 0,
    };
    let mut counted = 0;
    for number in 0..42 {
        let key = statistics(day(number * DAY_S));
        if day(number * DAY_S) < day(last_s) {
            let document = taken(&walk.national, &key);
            counted += document["report"]["statistics"]["queries"]
                .as_u64()
                .unwrap();
        }
    }
    assert_eq!(counted, walk.asked - on_the_last_day);
}

/// Every report of the node is there, once, and none between them is missing.
fn each_once(operator: &Idctl, national: &National) {
    let told = reports(operator);
    let keys: BTreeSet<&str> = told
        .iter()
        .map(|row| row["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), told.len());
    assert!(keys.len() > 40 * 24, "{}", keys.len());
    assert!(told.iter().all(|row| row["state"] == "taken"));
    let status = &national.status()["report"];
    for (kind, line) in status["nodes"][NODE].as_object().unwrap() {
        assert_eq!(line["missing"], json!([]), "{kind}");
        assert_eq!(line["incomplete"], json!([]), "{kind}");
        let prefix = format!("{kind}/");
        let made = keys.iter().filter(|key| key.starts_with(&prefix)).count();
        assert_eq!(line["taken"], made, "{kind}");
    }
    for key in keys.iter().filter(|key| !key.starts_with("enterprises/")) {
        assert_eq!(taken(national, key)["times"], 1, "{key}");
    }
}

#[test]
fn a_clock_that_is_a_month_ahead_at_the_start_is_believed_only_when_it_lasts() {
    not_at_midnight();
    let mut world = World::new();
    world.settings = vec!["upward.report.clock_settle_s=5".to_owned()];
    let national = world.national();
    let set = Faked::new(world.dir.beside("clock"));
    let node = set.node(&world);
    world.register(&node);
    dig(&node, "a0", "127.0.0.1");
    node.stop();
    // It begins with a wrong clock, which is soon set right: nothing has happened.
    let month = Period::at(Unit::Month, day(0).begins_ms());
    let ahead_s = 50 * DAY_S;
    set.set(ahead_s);
    let node = set.node(&world);
    let operator = world.operator(&node);
    dig(&node, "a1", "127.0.0.1");
    std::thread::sleep(Duration::from_secs(2));
    set.set(0);
    std::thread::sleep(Duration::from_secs(6));
    let is_of_the_future = |row: &Value| {
        let key = row["key"].as_str().unwrap();
        key.contains(&day(ahead_s).to_string()[..7])
    };
    assert!(!reports(&operator).iter().any(is_of_the_future));
    node.stop();
    // It was off for so long: what was missed is made good, and the time it was off is known.
    set.set(ahead_s);
    let node = set.node(&world);
    let operator = world.operator(&node);
    dig(&node, "a2", "127.0.0.1");
    until_told(&operator, &last_hour(ahead_s));
    until_told(&operator, &statistics(day(ahead_s - DAY_S)));
    until_told(&operator, &format!("service/{month}/"));
    each_once(&operator, &national);
    let first = &taken(&national, &statistics(day(0)))["report"]["statistics"];
    // What was asked before the clock was believed is the open day's.
    assert_eq!(first["queries"], 3, "{first}");
    // And the rest of the month was downtime in order, not time that the node ran and did nothing.
    let service = &taken(&national, &format!("service/{month}/"))["report"]["service"];
    assert!(service["availability"].as_f64() > Some(0.5), "{service}");
    assert_eq!(national.status()["report"]["refused"], json!([]));
    node.stop();
}

#[test]
fn periods_that_are_too_old_are_given_up_aloud() {
    let mut world = World::new();
    let national = world.national();
    world.settings = vec!["upward.report.keep_days=32".to_owned()];
    world.node(0).stop();
    let ahead_s = 100 * DAY_S;
    let node = world.node(ahead_s);
    let operator = world.operator(&node);
    until_told(&operator, &last_hour(ahead_s));
    let log = node.log();
    let lines: Vec<&str> = log.lines().filter(|it| it.contains("given up")).collect();
    for kind in [
        "enterprises",
        "statistics",
        "monitoring",
        "application",
        "service",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(kind)),
            "{kind}: {lines:?}"
        );
    }
    let taken = &national.status()["report"]["nodes"][NODE]["enterprises"]["taken"];
    assert!(taken.as_u64().unwrap() < 34 * 24, "{taken}");
}
