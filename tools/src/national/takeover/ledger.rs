//! What the book has of takeovers. Everything that changes is one transaction.

use std::sync::Arc;

use idnode_proto::api::TakeoverConflict;
use idnode_proto::identifier::{Identifier, Prefix};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::conflict::Conflict;
use super::known::{Asked, Told};
use super::registered::{Operation, Registered, Wanted};
use super::row::{Refusal, Row};
use crate::national::book::{Book, Page, Table};
use crate::national::uplink::peer::Members;
use crate::national::{Failure, now_ms};

const NODES: Table = Table::new("takeover.nodes");
const REGISTRATIONS: Table = Table::new("takeover.registrations");
const RECORDS: Table = Table::new("takeover.records");
const CONFLICTS: Table = Table::new("takeover.conflicts");

/// Most bytes of a page of registrations, about.
const PAGE_BYTES: usize = 1 << 20;

/// The last registration of an identifier in a takeover that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    node: String,
    epoch: u64,
    number: u64,
}

/// Prefixes that the national node resolves and registers in a node's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The node.
    pub node: String,
    /// The takeover.
    pub epoch: u64,
    /// Which, with everything below them.
    pub prefixes: Vec<Prefix>,
}

/// What the national node has registered itself of an identifier in a takeover that is in force.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Its values, ascending by index.
    Live(Vec<idnode_proto::value::Value>),
    /// It was deleted, for a reason.
    Deleted(String),
}

/// The book's takeovers.
#[derive(Debug)]
pub struct Ledger {
    book: Book,
    members: Arc<Members>,
    changes: watch::Sender<u64>,
    asked: Asked,
}

impl Ledger {
    /// Those of a book.
    pub fn new(book: Book, members: Arc<Members>) -> Self {
        Self {
            book,
            members,
            changes: watch::Sender::new(0),
            asked: Asked::default(),
        }
    }

    /// From now on what nodes have told of their identifiers is known from here.
    pub fn ask(&self, told: Arc<dyn Told>) {
        self.asked.of(told);
    }

    /// Told of every change of how a node stands.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How a node stands.
    ///
    /// # Errors
    /// The book can't be read.
    pub fn row(&self, node: &str) -> Result<Row, Failure> {
        Ok(self.book.get(NODES, node)?.unwrap_or_default())
    }

    /// How every node stands, by name: those that may speak, and those that were taken over once.
    ///
    /// # Errors
    /// The book can't be read.
    pub fn rows(&self) -> Result<Vec<(String, Row)>, Failure> {
        let mut rows: Vec<(String, Row)> = self.book.all(NODES)?;
        for (name, _) in self.members.iter() {
            if rows.iter().all(|(node, _)| node != name) {
                rows.push((name.to_owned(), Row::default()));
            }
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(rows)
    }

    /// Takes prefixes of a node over; none named: all of its own.
    ///
    /// # Errors
    /// A [`Refusal`]: no such node, or not its prefix; nothing to take over. The book can't be written.
    pub fn take(&self, node: &str, prefixes: &[Prefix], cause: &str) -> Result<Row, Failure> {
        let mut own = self.members.iter().filter(|(name, _)| *name == node);
        let (_, own) = own
            .next()
            .ok_or_else(|| Refusal(format!("{node:?} is no node")))?;
        if let Some(other) = prefixes
            .iter()
            .find(|it| !self.members.may_speak_for(node, it))
        {
            return Err(Refusal(format!("{other} is not {node}'s")).into());
        }
        let mut wanted: Vec<String> = match prefixes {
            [] => own.iter().map(Prefix::canonical).collect(),
            named => named.iter().map(Prefix::canonical).collect(),
        };
        wanted.sort();
        wanted.dedup();
        self.change(node, |row| row.take(&wanted, cause, now_ms()))
    }

    /// Begins to hand a node's prefixes back.
    ///
    /// # Errors
    /// A [`Refusal`]: nothing is taken over. The book can't be written.
    pub fn hand_back(&self, node: &str) -> Result<Row, Failure> {
        self.change(node, |row| row.hand_back(now_ms()))
    }

    /// The node has acknowledged a revision.
    ///
    /// # Errors
    /// A [`Refusal`]: there is no such revision. The book can't be written.
    pub fn acknowledge(&self, node: &str, revision: u64) -> Result<Row, Failure> {
        let row = self.row(node)?;
        if revision <= row.acknowledged {
            return Ok(row);
        }
        self.change(node, |row| row.acknowledge(revision, now_ms()))
    }

    /// The node has merged so many registrations: its prefixes are its own again.
    ///
    /// # Errors
    /// A [`Refusal`]: see [`Row::confirm`]. The book can't be written.
    pub fn confirm(
        &self,
        node: &str,
        epoch: u64,
        revision: u64,
        registrations: u64,
    ) -> Result<Row, Failure> {
        self.change(node, |row| {
            row.confirm(epoch, revision, registrations, now_ms())
        })
    }

    fn change(
        &self,
        node: &str,
        change: impl FnOnce(&mut Row) -> Result<(), Refusal>,
    ) -> Result<Row, Failure> {
        let row = self.book.write(|page| {
            let mut row: Row = page.get(NODES, node)?.unwrap_or_default();
            change(&mut row)?;
            page.put(NODES, node, &row)?;
            Ok(row)
        })?;
        self.changes.send_modify(|number| *number += 1);
        Ok(row)
    }

    /// Registers in a node's place; the node, and the registration.
    ///
    /// # Errors
    /// A [`Refusal`]: nothing of it is taken over; it is there already, or not there. The book can't be
    /// written.
    pub fn register(&self, wanted: Wanted) -> Result<(String, Registered), Failure> {
        self.book.write(|page| {
            let (node, mut row) = taken_over(page, &wanted.identifier)?;
            let name = wanted.identifier.canonical();
            let last = last_of(page, &node, row.epoch, &name)?;
            let known = self.asked.known(&node, &wanted.identifier)?;
            let live = match &last {
                Some(last) => Some(last.operation != Operation::Delete),
                None => known.live,
            };
            match (wanted.operation, live) {
                (Operation::Create, Some(true)) => {
                    return Err(Refusal(format!("{name} is registered")).into());
                }
                (Operation::Modify | Operation::Delete, Some(false)) => {
                    return Err(Refusal(format!("{name} is not registered")).into());
                }
                _ => {}
            }
            let number = row.register()?;
            let registered = wanted.registered(number, now_ms(), &known)?;
            let last = Last {
                node: node.clone(),
                epoch: row.epoch,
                number,
            };
            page.put(REGISTRATIONS, &place(&node, row.epoch, number), &registered)?;
            page.put(RECORDS, &name, &last)?;
            page.put(NODES, &node, &row)?;
            Ok((node, registered))
        })
    }

    /// Registrations of a takeover behind a number, in order, at most `limit`, about 1 MiB.
    ///
    /// # Errors
    /// The book can't be read, or has a gap.
    pub fn registrations(
        &self,
        node: &str,
        epoch: u64,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Registered>, Failure> {
        let row = self.row(node)?;
        let through = match row.epoch == epoch {
            true => row.registrations,
            false => u64::MAX,
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        for number in (after..through).take(limit).map(|before| before + 1) {
            let registered: Option<Registered> =
                self.book.get(REGISTRATIONS, &place(node, epoch, number))?;
            let Some(registered) = registered else {
                match row.epoch == epoch {
                    true => return Err(format!("registration {number} is lost").into()),
                    false => break,
                }
            };
            bytes += serde_json::to_vec(&registered)?.len();
            found.push(registered);
            if bytes > PAGE_BYTES {
                break;
            }
        }
        Ok(found)
    }

    /// What is taken over now: the national node answers for it.
    ///
    /// # Errors
    /// The book can't be read.
    pub fn scopes(&self) -> Result<Vec<Scope>, Failure> {
        let rows: Vec<(String, Row)> = self.book.all(NODES)?;
        let in_force = rows.into_iter().filter(|(_, row)| row.is_in_force());
        Ok(in_force
            .map(|(node, row)| Scope {
                node,
                epoch: row.epoch,
                prefixes: parsed(&row.prefixes),
            })
            .collect())
    }

    /// What was registered here of an identifier that is taken over; `None`: nothing, what the node has
    /// told of it counts.
    ///
    /// # Errors
    /// The book can't be read.
    pub fn record(&self, identifier: &Identifier) -> Result<Option<Record>, Failure> {
        let last: Option<Last> = self.book.get(RECORDS, &identifier.canonical())?;
        let Some(last) = last else {
            return Ok(None);
        };
        let row = self.row(&last.node)?;
        if row.epoch != last.epoch || !row.is_in_force() {
            return Ok(None);
        }
        let key = place(&last.node, last.epoch, last.number);
        let registered: Option<Registered> = self.book.get(REGISTRATIONS, &key)?;
        let registered = registered.ok_or_else(|| format!("registration {key:?} is lost"))?;
        Ok(Some(match registered.operation {
            Operation::Delete => Record::Deleted(registered.reason),
            Operation::Create | Operation::Modify => Record::Live(registered.values()?),
        }))
    }

    /// Keeps a conflict that a node has told of, in place of what it told before.
    ///
    /// # Errors
    /// The book can't be written.
    pub fn report(&self, node: &str, conflict: &TakeoverConflict) -> Result<(), Failure> {
        let kept = Conflict::of(node, conflict);
        let key = place(node, conflict.epoch, conflict.number);
        self.book.write(|page| page.put(CONFLICTS, &key, &kept))
    }

    /// Conflicts that nodes have told of, by node, takeover and registration.
    ///
    /// # Errors
    /// The book can't be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, Failure> {
        let rows: Vec<(String, Conflict)> = self.book.all(CONFLICTS)?;
        Ok(rows.into_iter().map(|(_, conflict)| conflict).collect())
    }
}

fn place(node: &str, epoch: u64, number: u64) -> String {
    format!("{node}\n{epoch:020}\n{number:020}")
}

fn parsed(prefixes: &[String]) -> Vec<Prefix> {
    // The book's own are canonical.
    let parsed = prefixes.iter().map(|text| Prefix::parse(text));
    parsed.filter_map(Result::ok).collect()
}

/// Whose an identifier is that is taken over.
fn taken_over(page: &Page, identifier: &Identifier) -> Result<(String, Row), Failure> {
    let rows: Vec<(String, Row)> = page.all(NODES)?;
    let covers = |row: &Row| {
        let prefixes = parsed(&row.prefixes);
        let mut candidates = identifier.prefix_candidates();
        candidates.any(|it| prefixes.iter().any(|prefix| prefix.key() == it.key))
    };
    let mut found = rows
        .into_iter()
        .filter(|(_, row)| row.is_taken_over() && covers(row));
    let refusal = || {
        Refusal(format!(
            "{identifier} is under no prefix that is taken over"
        ))
    };
    Ok(found.next().ok_or_else(refusal)?)
}

/// The last registration of an identifier in a takeover.
fn last_of(page: &Page, node: &str, epoch: u64, name: &str) -> Result<Option<Registered>, Failure> {
    let last: Option<Last> = page.get(RECORDS, name)?;
    match last.filter(|last| last.node == node && last.epoch == epoch) {
        Some(last) => page.get(REGISTRATIONS, &place(node, epoch, last.number)),
        None => Ok(None),
    }
}
