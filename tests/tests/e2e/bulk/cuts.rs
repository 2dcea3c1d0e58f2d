//! An import that is cut in the middle, by `kill -9` of the node or of `idctl`, goes on at the last
//! acknowledged item, and in the end every item is there exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_tests::api::Api;
use idnode_tests::node::Node;
use idnode_tests::run::{Done, until};
use serde_json::Value;

use super::{World, beside, json_lines, rejects, text, url};

/// Lines of the file.
const LINES: usize = 40_000;
/// Items of a chunk: small, so that many chunks are cut off.
const CHUNK: &str = "20";

/// Every hundredth line is no JSON, every hundredth is of a prefix that is not there.
fn line(n: usize) -> String {
    match n % 100 {
        33 => format!("{{\"identifier\":\"88.118.8/cut-{n:06}\",\n"),
        66 => format!(
            "{{\"identifier\":\"88.118.7/cut-{n:06}\",\"values\":[{{\"type\":\"URL\",\"data\":\"x\"}}]}}\n"
        ),
        _ => format!(
            "{{\"identifier\":\"88.118.8/cut-{n:06}\",\"values\":[{{\"type\":\"URL\",\"data\":\"{}\"}}]}}\n",
            url("cut", n)
        ),
    }
}

fn good() -> usize {
    (0..LINES)
        .filter(|n| ![33, 66].contains(&(n % 100)))
        .count()
}

struct Cut {
    world: World,
    api: Api,
    file: String,
}

impl Cut {
    async fn new() -> Self {
        let world = World::new(&["88.118.8"]);
        let file = world.file("cut.jsonl", (0..LINES).map(line).collect::<String>());
        let api = connected(&world).await;
        Self { world, api, file }
    }

    /// Begins the import.
    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.world.operator.command();
        command.args(["import", "--chunk", CHUNK]).args(arguments);
        command
            .arg(&self.file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until so many identifiers are registered; how many are.
    async fn reached(&self, at_least: usize) -> usize {
        loop {
            let request = self.api.request(pb::GetNodeStatisticsRequest {});
            let found = self
                .api
                .changes()
                .get_node_statistics(request)
                .await
                .unwrap();
            let found = found.into_inner().identifiers as usize;
            if found >= at_least {
                assert!(found < good(), "it was over before it was cut");
                return found;
            }
        }
    }

    /// `kill -9` of the node, and another start on the same ports.
    async fn kill_node(&mut self) {
        let at = self.world.node.at;
        self.world.node.kill();
        self.world.node = Node::run_at(&self.world.dir, &at, &[]);
        self.api = connected(&self.world).await;
    }

    /// What `idctl` has written down, if it has yet.
    fn progress(&self) -> Option<Value> {
        let text = fs::read(beside(&self.file, ".progress")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The items that are done by what `idctl` has written down.
    fn done(&self) -> u64 {
        let progress = self.progress().expect("a place to go on from");
        let tally = progress["tally"].as_object().unwrap();
        tally.values().map(|count| count.as_u64().unwrap()).sum()
    }

    /// Every item is there once, in the state and in the log; every reject is in the file once.
    async fn check(self) {
        let expected: BTreeMap<_, _> = (0..LINES)
            .filter(|n| ![33, 66].contains(&(n % 100)))
            .map(|n| (format!("88.118.8/cut-{n:06}"), url("cut", n)))
            .collect();
        let exported: BTreeMap<_, _> = json_lines(&self.world.export("after.jsonl"))
            .iter()
            .map(|line| {
                let data = &line["values"][0]["data"]["value"];
                (own(&line["identifier"]), own(data))
            })
            .collect();
        assert!(
            exported == expected,
            "{} of {}",
            exported.len(),
            expected.len()
        );

        let mut logged = BTreeMap::new();
        let mut next = 1;
        for change in self.api.log(1).await.unwrap() {
            // A large change comes in parts that share its sequence.
            assert!([next, next - 1].contains(&change.sequence), "gap at {next}");
            next = change.sequence + 1;
            if let Some(pb::change::Change::Identifiers(changes)) = change.change {
                for record in changes.identifiers {
                    assert!(!record.deleted && record.version == change.sequence);
                    *logged.entry(record.identifier).or_insert(0) += 1;
                }
            }
        }
        assert!(
            logged.keys().eq(expected.keys()),
            "the log has other identifiers"
        );
        assert!(logged.values().all(|times| *times == 1), "written twice");

        let refused = (0..LINES as u64).filter(|n| [33, 66].contains(&(n % 100)));
        let lines = rejects(&self.file).into_iter().map(|reject| reject.0);
        assert!(
            lines.eq(refused.map(|n| n + 1)),
            "rejects are lost or repeated"
        );
        assert!(self.progress().is_none(), "the import is complete");
        self.world.node.stop();
    }
}

fn own(text: &Value) -> String {
    text.as_str().unwrap().to_owned()
}

async fn connected(world: &World) -> Api {
    let token = world.dir.token();
    Api::connect(&world.node.url(), Some(&token)).await.unwrap()
}

fn ended(child: Child) -> Done {
    Done::from(child.wait_with_output().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_import_outlives_three_kills_of_the_node() {
    let mut cut = Cut::new().await;
    let import = cut.begin(&["--json"]);
    for round in 1..=3 {
        cut.reached(round * good() / 5).await;
        cut.kill_node().await;
    }
    let done = ended(import);
    assert_eq!(done.code, 3, "{done:?}");
    let summary = done.document();
    assert_eq!(summary["created"], good(), "{summary}");
    assert_eq!(summary["rejected"], LINES - good(), "{summary}");
    cut.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_the_nodes_end_broke_off_goes_on_later() {
    let mut cut = Cut::new().await;
    let import = cut.begin(&["--json", "--retry-for", "0"]);
    cut.reached(good() / 3).await;
    cut.kill_node().await;
    let done = ended(import);
    let error = done.error();
    assert_eq!(
        (done.code, &error["code"]),
        (1, &Value::from("UNAVAILABLE")),
        "{done:?}"
    );
    let items = cut.done();
    let hint = own(&error["hint"]);
    assert!(
        hint.starts_with(&format!("{items} items are done")),
        "{hint}"
    );
    // Acknowledged is what is on disk, but for the chunks that were on their way.
    let on_disk = cut.reached(0).await as u64;
    let on_way = 16 * CHUNK.parse::<u64>().unwrap();
    let created = cut.progress().unwrap()["tally"]["created"]
        .as_u64()
        .unwrap();
    assert!(
        (created..=created + on_way).contains(&on_disk),
        "{created} {on_disk}"
    );

    goes_on(&cut, items);
    cut.check().await;
}

/// The same command takes up the import where it was.
fn goes_on(cut: &Cut, items: u64) {
    let done = ended(cut.begin(&[]));
    assert_eq!(done.code, 3, "{done:?}");
    let note = format!("going on after {items} items");
    assert!(items > 0 && done.stderr.contains(&note), "{note}: {done:?}");
    let created = format!("created {}", good());
    assert!(done.stdout.contains(&created), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_idctl_is_started_again_and_goes_on() {
    let cut = Cut::new().await;
    let mut import = cut.begin(&[]);
    cut.reached(good() / 10).await;
    // The place is written down once a second: let that second pass in the middle.
    cut.world.node.signal("STOP");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    cut.world.node.signal("CONT");
    let nothing_yet = |progress: &Value| progress["last_chunk"] == 0;
    until("a place is written down", || {
        cut.progress()
            .is_some_and(|progress| !nothing_yet(&progress))
    });
    import.kill().unwrap();
    import.wait().unwrap();
    let there = cut.reached(1).await as u64;
    let items = cut.done();
    assert!(
        items <= there + LINES as u64 / 50,
        "{items} done, {there} there"
    );
    goes_on(&cut, items);
    cut.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_has_changed_since_is_not_gone_on_with() {
    let mut cut = Cut::new().await;
    let import = cut.begin(&["--retry-for", "0"]);
    cut.reached(good() / 10).await;
    cut.kill_node().await;
    assert_eq!(ended(import).code, 1);
    let mut changed = fs::read_to_string(&cut.file).unwrap();
    changed.push_str(&line(LINES));
    fs::write(&cut.file, changed).unwrap();
    let done = cut.world.operator.run(&["--json", "import", &cut.file]);
    assert_eq!(done.code, 2, "{done:?}");
    let error = done.error();
    let message = own(&error["message"]);
    assert!(
        message.contains("another file") && message.contains("--restart"),
        "{message}"
    );
    assert_eq!(
        error["metadata"]["path"],
        text(&beside(&cut.file, ".progress"))
    );
}
