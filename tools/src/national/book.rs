//! What the national node knows: one redb database. Each part has tables of its own, whose values
//! are JSON, so that a person can read what is there.

use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;

/// A table: names to JSON.
pub type Table = TableDefinition<'static, &'static str, &'static [u8]>;

/// The database.
#[derive(Debug, Clone)]
pub struct Book {
    database: Arc<Database>,
}

impl Book {
    /// Opens it; makes it if it is not there.
    ///
    /// # Errors
    /// It is open elsewhere, or is no database.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let database = Database::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// What a table has under a key.
    ///
    /// # Errors
    /// The database fails; what is stored is not of this type.
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, Failure> {
        let read = self.database.begin_read()?;
        let table = match read.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let found = table.get(key)?;
        let found = found.map(|json| serde_json::from_slice(json.value()));
        Ok(found.transpose()?)
    }

    /// Everything in a table, by key.
    ///
    /// # Errors
    /// As [`Book::get`].
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(String, T)>, Failure> {
        let read = self.database.begin_read()?;
        let table = match read.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        table.iter()?.map(row).collect()
    }

    /// Changes tables as one transaction, durable on return. An error of `change` leaves nothing.
    ///
    /// # Errors
    /// Those of `change`; the database fails.
    pub fn write<R>(&self, change: impl FnOnce(&Page) -> Result<R, Failure>) -> Result<R, Failure> {
        let page = Page {
            transaction: self.database.begin_write()?,
        };
        let result = change(&page)?;
        page.transaction.commit()?;
        Ok(result)
    }
}

/// The database as one transaction changes it. There is one at a time.
pub struct Page {
    transaction: WriteTransaction,
}

impl Page {
    /// What a table has under a key, with what this transaction has changed.
    ///
    /// # Errors
    /// As [`Book::get`].
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, Failure> {
        let table = self.transaction.open_table(table)?;
        let found = table.get(key)?;
        let found = found.map(|json| serde_json::from_slice(json.value()));
        Ok(found.transpose()?)
    }

    /// Everything in a table, by key.
    ///
    /// # Errors
    /// As [`Book::get`].
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(String, T)>, Failure> {
        let table = self.transaction.open_table(table)?;
        table.iter()?.map(row).collect()
    }

    /// Puts something in place of whatever the key had.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(&self, table: Table, key: &str, what: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_vec(what)?;
        let mut table = self.transaction.open_table(table)?;
        table.insert(key, json.as_slice())?;
        Ok(())
    }

    /// Forgets a key; whether it was there.
    ///
    /// # Errors
    /// The database fails.
    pub fn remove(&self, table: Table, key: &str) -> Result<bool, Failure> {
        let mut table = self.transaction.open_table(table)?;
        let removed = table.remove(key)?;
        Ok(removed.is_some())
    }

    /// The next number of a series, from 1 up; a series is named.
    ///
    /// # Errors
    /// The database fails.
    pub fn next(&self, series: &str) -> Result<u64, Failure> {
        let last: Option<u64> = self.get(SERIES, series)?;
        let next = last.unwrap_or(0) + 1;
        self.put(SERIES, series, &next)?;
        Ok(next)
    }
}

/// The last number of each series.
const SERIES: Table = Table::new("series");

type Row<'a> = (
    redb::AccessGuard<'a, &'static str>,
    redb::AccessGuard<'a, &'static [u8]>,
);

fn row<T: DeserializeOwned>(
    row: Result<Row<'_>, redb::StorageError>,
) -> Result<(String, T), Failure> {
    let (key, json) = row?;
    Ok((
        key.value().to_owned(),
        serde_json::from_slice(json.value())?,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const THINGS: Table = Table::new("things");

    #[test]
    fn what_was_written_is_there_again_and_what_failed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.redb");
        let book = Book::open(&path).unwrap();
        assert_eq!(book.get::<u32>(THINGS, "a").unwrap(), None);
        assert_eq!(book.all::<u32>(THINGS).unwrap(), []);
        let number = book.write(|page| {
            page.put(THINGS, "a", &1)?;
            page.put(THINGS, "b", &2)?;
            page.next("n")
        });
        assert_eq!(number.unwrap(), 1);
        let failed: Result<(), Failure> = book.write(|page| {
            page.remove(THINGS, "a")?;
            page.next("n")?;
            Err("no".into())
        });
        assert!(failed.is_err());
        drop(book);
        let book = Book::open(&path).unwrap();
        let all = book.all::<u32>(THINGS).unwrap();
        assert_eq!(all, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(book.write(|page| page.next("n")).unwrap(), 2);
        assert!(book.write(|page| page.remove(THINGS, "b")).unwrap());
        assert!(!book.write(|page| page.remove(THINGS, "b")).unwrap());
    }
}
