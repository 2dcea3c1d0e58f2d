//! What is registered: handles with values as products have them.

use idnode_proto::value::Value;

use crate::bench::handle::handles::Pattern;

/// Handles and their values, by number.
#[derive(Debug)]
pub(super) struct Records {
    pattern: Pattern,
    values: u32,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) handle: String,
    pub(super) values: Vec<Value>,
}

impl Records {
    /// With so many values each.
    pub(super) fn new(pattern: Pattern, values: u32) -> Self {
        Self { pattern, values }
    }

    /// The one of a number.
    pub(super) fn get(&self, number: u64) -> Record {
        Record {
            handle: self.pattern.handle(number),
            values: (1..=self.values).map(|at| value(at, number)).collect(),
        }
    }
}

/// A value whose data is about 60 bytes: an address, a mailbox, a description, in turns.
fn value(index: u32, number: u64) -> Value {
    let (kind, data) = match index % 3 {
        1 => (
            "URL",
            format!("https://trace.example.com/products/{index:04}/serial/{number:010}/"),
        ),
        2 => (
            "EMAIL",
            format!("quality.line-{index:04}.lot-{number:010}@manufacturer.example.com"),
        ),
        _ => (
            "DESC",
            format!("three-phase asynchronous motor, model {index:04}, no. {number:010}"),
        ),
    };
    Value::new(index, kind, data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_of_about_sixty_bytes_and_differ() {
        let records = Records::new(Pattern::new("88.118.8/n{}", 3).unwrap(), 4);
        let record = records.get(7);
        assert_eq!(record.handle, "88.118.8/n007");
        let indexes: Vec<_> = record.values.iter().map(|value| value.index).collect();
        assert_eq!(indexes, [1, 2, 3, 4]);
        for value in &record.values {
            assert!((55..=65).contains(&value.data.len()), "{value:?}");
        }
        assert_ne!(record.values, records.get(8).values);
    }
}
