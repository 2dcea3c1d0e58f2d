//! What is known of nodes' changes: one redb database. Of each node one row says how far it has told;
//! its objects and identifiers are in tables of its own, those of a snapshot in others until it is
//! whole.

use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::national::Failure;

/// Memory for the database's pages, bytes.
const CACHE_BYTES: usize = 128 << 20;

/// How each node stands, by name: JSON.
const NODES: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("nodes");

/// Names to JSON, such as `prefix 88.118.8`.
pub(super) type Objects<'a> = TableDefinition<'a, &'static str, &'static [u8]>;
/// Identifiers' keys to [`super::apply::Row`]s.
pub(super) type Identifiers<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// A log, as far as it was told, or a snapshot of it in the making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copy {
    /// The log's name, in hex.
    pub(super) log: String,
    /// Which tables it is in.
    pub(super) generation: u64,
    /// Everything up to this sequence is here.
    pub(super) sequence: u64,
    /// What the node calls the entry of this sequence.
    pub(super) mark: u64,
    /// When it was committed, milliseconds since the Unix epoch.
    pub(super) committed_at_ms: u64,
    /// Of a snapshot in the making: how far it has come, in hex.
    pub(super) reached: String,
    /// Identifiers that are registered, and those that were and are no more.
    pub(super) live: u64,
    pub(super) deleted: u64,
    pub(super) enterprises: u64,
    pub(super) templates: u64,
    pub(super) prefixes: u64,
}

/// How a node stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    /// What is shown.
    pub(super) shown: Copy,
    /// What will take its place.
    pub(super) making: Option<Copy>,
    /// The last generation that was begun.
    pub(super) generations: u64,
    /// Changes of identifiers that were told, each counted once: by what was done.
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) modified: u64,
    /// Entries that came again and were passed over.
    pub(super) repeated: u64,
}

/// The database.
#[derive(Debug, Clone)]
pub(super) struct Store {
    database: Arc<Database>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// How a node stands; as if it were new, where nothing is known.
    pub(super) fn node(&self, node: &str) -> Result<Node, Failure> {
        let nodes = self.nodes()?;
        let found = nodes.into_iter().find(|(name, _)| name == node);
        Ok(found.map(|(_, it)| it).unwrap_or_default())
    }

    /// How every node stands that is known.
    pub(super) fn nodes(&self) -> Result<Vec<(String, Node)>, Failure> {
        let read = self.database.begin_read()?;
        let table = match read.open_table(NODES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let rows = table.iter()?.map(|row| {
            let (name, json) = row?;
            Ok((
                name.value().to_owned(),
                serde_json::from_slice(json.value())?,
            ))
        });
        rows.collect()
    }

    /// Changes a node's rows as one transaction, durable on return. An error of `change` leaves nothing.
    pub(super) fn write<R, E: From<Failure>>(
        &self,
        node: &str,
        change: impl FnOnce(&WriteTransaction, &mut Node) -> Result<R, E>,
    ) -> Result<R, E> {
        let failed = |error: Failure| E::from(error);
        let transaction = self.database.begin_write().map_err(|e| failed(e.into()))?;
        let mut row = stored_node(&transaction, node).map_err(failed)?;
        let result = change(&transaction, &mut row)?;
        put_node(&transaction, node, &row).map_err(failed)?;
        transaction.commit().map_err(|e| failed(e.into()))?;
        Ok(result)
    }

    /// What is stored of an identifier of a node.
    pub(super) fn identifier(&self, node: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let name = identifiers(node, self.node(node)?.shown.generation);
        let read = self.database.begin_read()?;
        let table = match read.open_table(Identifiers::new(&name)) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let found = table.get(key)?;
        Ok(found.map(|row| row.value().to_vec()))
    }

    /// Every identifier of a node from one key to another, deleted ones among them, in their order.
    pub(super) fn each_identifier(
        &self,
        node: &str,
        (from, to): (&[u8], Option<&[u8]>),
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let name = identifiers(node, self.node(node)?.shown.generation);
        let read = self.database.begin_read()?;
        let table = match read.open_table(Identifiers::new(&name)) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        let rows = match to {
            Some(to) => table.range(from..to)?,
            None => table.range(from..)?,
        };
        for row in rows {
            let (key, row) = row?;
            visit(key.value(), row.value())?;
        }
        Ok(())
    }

    /// Every object of a node by name: enterprises, prefixes, templates.
    pub(super) fn objects(&self, node: &str) -> Result<Vec<(String, Value)>, Failure> {
        let name = objects(node, self.node(node)?.shown.generation);
        let read = self.database.begin_read()?;
        let table = match read.open_table(Objects::new(&name)) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let rows = table.iter()?.map(|row| {
            let (name, json) = row?;
            Ok((
                name.value().to_owned(),
                serde_json::from_slice(json.value())?,
            ))
        });
        rows.collect()
    }
}

/// The name of a node's table of identifiers.
pub(super) fn identifiers(node: &str, generation: u64) -> String {
    format!("identifiers {generation} {node}")
}

/// The name of a node's table of objects.
pub(super) fn objects(node: &str, generation: u64) -> String {
    format!("objects {generation} {node}")
}

/// Forgets a generation.
pub(super) fn forget(
    transaction: &WriteTransaction,
    node: &str,
    generation: u64,
) -> Result<(), Failure> {
    transaction.delete_table(Identifiers::new(&identifiers(node, generation)))?;
    transaction.delete_table(Objects::new(&objects(node, generation)))?;
    Ok(())
}

fn stored_node(transaction: &WriteTransaction, node: &str) -> Result<Node, Failure> {
    let table = transaction.open_table(NODES)?;
    let found = table.get(node)?;
    let found = found.map(|json| serde_json::from_slice(json.value()));
    Ok(found.transpose()?.unwrap_or_default())
}

fn put_node(transaction: &WriteTransaction, node: &str, row: &Node) -> Result<(), Failure> {
    let json = serde_json::to_vec(row)?;
    let mut table = transaction.open_table(NODES)?;
    table.insert(node, json.as_slice())?;
    Ok(())
}
