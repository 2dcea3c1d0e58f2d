#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::keeping::ENTRIES;
use super::*;
use idnode_proto::identifier::Prefix;
use idnode_proto::value::Value;
use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::PrefixAction;
use idnode_registry::upward::Uplink;
use idnode_registry::upward::channel::ChannelOptions;
use idnode_registry::upward::report::ReportOptions;
use idnode_registry::upward::report::measured::Stock;
use idnode_registry::write::{Command, Draft};
use idnode_registry::{Caller, Options};
use tempfile::TempDir;

const PREFIX: &str = "88.118.8";

/// A registry with a prefix, and what measures it.
struct Node {
    registry: Arc<Registry>,
    operator: Caller,
    _dir: TempDir,
}

impl Node {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = Registry::create(dir.path()).unwrap();
        let registry = Registry::open(dir.path(), &Options::default(), Arc::new(())).unwrap();
        let node = Self {
            operator: registry.authenticate(&token).unwrap(),
            registry: Arc::new(registry),
            _dir: dir,
        };
        let profile = Profile {
            certificate_type: CertificateType::Other as i32,
            certificate_code: "one".into(),
            name: "one".into(),
            ..Profile::default()
        };
        node.write(Command::CreateEnterprise { profile }).await;
        node.write(Command::ReviewEnterprise {
            id: EnterpriseId(1),
            action: ReviewAction::Verify,
            message: String::new(),
            expected_version: None,
        })
        .await;
        node
    }

    async fn write(&self, command: Command) {
        let written = self.registry.write(&self.operator, None, command).await;
        written.unwrap();
    }

    async fn turn(&self, action: PrefixAction) {
        self.write(Command::TransitionPrefix {
            prefix: PREFIX.parse().unwrap(),
            action,
            message: String::new(),
            expected_version: None,
        })
        .await;
    }

    async fn register(&self) {
        let (prefix, enterprise) = (PREFIX.parse().unwrap(), EnterpriseId(1));
        self.write(Command::ApplyPrefix { prefix, enterprise })
            .await;
        self.turn(PrefixAction::StartReview).await;
        self.turn(PrefixAction::Approve).await;
    }

    async fn remove(&self) {
        self.turn(PrefixAction::MarkForDeletion).await;
        self.turn(PrefixAction::Remove).await;
    }

    async fn create(&self, name: &str) {
        let identifier = format!("{PREFIX}/{name}").parse().unwrap();
        let values = vec![Value::new(1, "URL", "https://example.cn/")];
        let draft = Draft::new(identifier, values, None, 1).unwrap();
        self.write(Command::CreateIdentifier(draft)).await;
    }

    async fn delete(&self, name: &str) {
        self.write(Command::DeleteIdentifier {
            identifier: format!("{PREFIX}/{name}").parse().unwrap(),
            reason: "test".into(),
            expected_version: None,
        })
        .await;
    }

    fn gatherer(&self) -> Gatherer {
        let options = ReportOptions {
            node: "n".into(),
            channel: ChannelOptions::default(),
            keep: Duration::from_secs(86_400),
            max_backoff: Duration::from_secs(1),
            clock_offset_s: 0,
            clock_settle: Duration::from_secs(300),
        };
        let uplink = Arc::new(Uplink::new(self.registry.journal()));
        let reports = Reports::open(self.registry.clone(), uplink, options).unwrap();
        Gatherer::open(self.registry.clone(), Arc::new(reports)).unwrap()
    }

    fn row(&self, day: u64) -> MeasuredDay {
        let key = PREFIX.parse::<Prefix>().unwrap();
        let row = MeasuredDay::read(&self.registry.journal(), day, key.key());
        row.unwrap().unwrap()
    }
}

fn end(gatherer: &mut Gatherer) -> u64 {
    let day = gatherer.progress.day;
    gatherer.gather(LOOK, 0).unwrap();
    gatherer
        .close(Period::numbered(Unit::Day, day + 1))
        .unwrap();
    day
}

/// New, deleted, and live ones at the end of a day.
fn counted(row: &MeasuredDay) -> (u64, u64, u64) {
    let after = row.after.unwrap();
    (row.created(), row.deleted(), after.identifiers)
}

#[tokio::test]
async fn a_prefix_that_is_removed_and_registered_again_adds_up_each_day() {
    let node = Node::new().await;
    node.register().await;
    let mut gatherer = node.gatherer();
    for name in ["a", "b", "c"] {
        node.create(name).await;
    }
    let first = end(&mut gatherer);
    assert_eq!(counted(&node.row(first)), (3, 0, 3));
    // Of the former registration one more, and all deleted; of the next one two.
    node.create("d").await;
    for name in ["a", "b", "c", "d"] {
        node.delete(name).await;
    }
    node.remove().await;
    node.register().await;
    node.create("e").await;
    node.create("f").await;
    let second = end(&mut gatherer);
    assert_eq!(counted(&node.row(second)), (3, 4, 2));
    // Removed for a day.
    node.delete("e").await;
    node.delete("f").await;
    node.remove().await;
    let third = end(&mut gatherer);
    assert_eq!(counted(&node.row(third)), (0, 2, 0));
    end(&mut gatherer);
    // Registered again, measured by a process that did not see it before.
    node.register().await;
    node.create("g").await;
    let mut gatherer = node.gatherer();
    let fifth = end(&mut gatherer);
    assert_eq!(counted(&node.row(fifth)), (1, 0, 1));
    let total = node.registry.node_counters().unwrap();
    assert_eq!((total.creations, total.deletions), (7, 6));
}

#[tokio::test]
async fn a_prefix_that_was_asked_before_it_was_listed_counts_once() {
    let node = Node::new().await;
    let mut gatherer = node.gatherer();
    node.register().await;
    node.create("a").await;
    // As if a sample had come between the list and midnight.
    let key: Box<[u8]> = PREFIX.parse::<Prefix>().unwrap().key().into();
    let day = Day::beginning(former_stock(&node.registry, &key).unwrap());
    gatherer.days.insert(key, day);
    let number = gatherer.progress.day;
    gatherer
        .close(Period::numbered(Unit::Day, number + 1))
        .unwrap();
    node.create("b").await;
    let second = end(&mut gatherer);
    assert_eq!(counted(&node.row(number)), (1, 0, 1));
    assert_eq!(counted(&node.row(second)), (1, 0, 2));
}

/// More prefixes than one batch holds, one of which cannot be journalled.
fn spoil(gatherer: &mut Gatherer) {
    for number in 0..3 * ENTRIES as u64 {
        let mut day = Day::beginning(Stock::default());
        day.add(1, 1, LOOK, 1);
        gatherer
            .days
            .insert(number.to_be_bytes().as_slice().into(), day);
    }
    // Longer than a key of the journal may be.
    let long = vec![b'x'; 2_048];
    gatherer
        .days
        .insert(long.into(), Day::beginning(Stock::default()));
    gatherer.node.add(3 * ENTRIES as u64, 1, LOOK, 1);
}

/// Queries of the node and of its prefixes on a day, as the journal has them.
fn kept(node: &Node, day: u64) -> (u64, u64) {
    let journal = node.registry.journal();
    let of_node = MeasuredDay::read(&journal, day, NODE).unwrap().unwrap();
    let (mut after, mut sum) = (NODE.to_vec(), 0);
    loop {
        let rows = MeasuredDay::after(&journal, day, &after).unwrap();
        let Some((last, _)) = rows.last() else {
            return (of_node.queries, sum);
        };
        after = last.to_vec();
        sum += rows.iter().map(|(_, row)| row.queries).sum::<u64>();
    }
}

#[tokio::test]
async fn wherever_closing_a_day_is_cut_off_no_prefix_has_more_than_the_node() {
    let node = Node::new().await;
    let mut gatherer = node.gatherer();
    spoil(&mut gatherer);
    let day = gatherer.progress.day;
    let closed = gatherer.close(Period::numbered(Unit::Day, day + 1));
    closed.unwrap_err();
    let (of_node, of_prefixes) = kept(&node, day);
    assert!(of_node >= of_prefixes, "{of_node} < {of_prefixes}");
    // The next process closes it.
    drop(gatherer);
    let mut again = node.gatherer();
    again.close(Period::numbered(Unit::Day, day + 1)).unwrap();
    let (of_node, of_prefixes) = kept(&node, day);
    assert!(of_node >= of_prefixes, "{of_node} < {of_prefixes}");
    assert_eq!(
        Progress::read(&again.journal).unwrap().unwrap().day,
        day + 1
    );
}

#[tokio::test]
async fn what_could_not_be_kept_is_kept_the_next_time() {
    let node = Node::new().await;
    let mut gatherer = node.gatherer();
    spoil(&mut gatherer);
    gatherer.keep(true).unwrap_err();
    assert!(!Progress::read(&gatherer.journal).unwrap().unwrap().ended);
    // What was in the way is gone; nothing else has changed.
    gatherer.days.retain(|key, _| key.len() == 8);
    gatherer.keep(false).unwrap();
    let sum = 3 * ENTRIES as u64;
    assert_eq!(kept(&node, gatherer.progress.day), (sum, sum));
    assert!(gatherer.days.values().all(|day| !day.is_changed));
}
