//! What is told next, from what the national node has and what the log holds: pure.

use crate::Sequence;
use bytes::Bytes;
use idnode_proto::api::IntakeStanding;

/// The log as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its name.
    pub log: Bytes,
    /// Its last entry.
    pub head: Sequence,
    /// The oldest entry that is kept; `head + 1`: none is.
    pub oldest: Sequence,
}

/// What is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Entries from here on.
    Entries(Sequence),
    /// Everything there is replaced: by the log from its beginning.
    LogAnew,
    /// Everything there is replaced: by a snapshot.
    SnapshotAnew,
    /// A snapshot as of `sequence` goes on behind `after`.
    Snapshot {
        /// The log goes on behind this entry.
        sequence: Sequence,
        /// What the national node has of it.
        after: Bytes,
    },
    /// Nothing, until the operator has said so: why.
    Stop(String),
}

/// What is told next. `mark` gives that of an entry that is kept.
///
/// # Errors
/// Those of `mark`.
pub fn next<E>(
    own: &Own,
    there: &IntakeStanding,
    mark: impl Fn(Sequence) -> Result<Option<u64>, E>,
) -> Result<Next, E> {
    let is_same = |sequence: Sequence, there: u64| -> Result<bool, E> {
        Ok(sequence == 0 || mark(sequence)?.is_none_or(|here| here == there))
    };
    if let Some(making) = &there.making
        && making.log == own.log
        && (own.oldest.saturating_sub(1)..=own.head).contains(&making.sequence)
        && is_same(making.sequence, making.mark)?
    {
        return Ok(Next::Snapshot {
            sequence: making.sequence,
            after: Bytes::copy_from_slice(&there.reached),
        });
    }
    let anew = match own.oldest {
        0 | 1 => Next::LogAnew,
        _ => Next::SnapshotAnew,
    };
    if there.log != own.log {
        return Ok(anew);
    }
    if there.sequence > own.head {
        let (there, head) = (there.sequence, own.head);
        let reason = format!(
            "the national node was told up to {there} of this log, which ends at {head}: an older \
             registry was put back (idctl upward restart-changes replaces what is there)"
        );
        return Ok(Next::Stop(reason));
    }
    if !is_same(there.sequence, there.mark)? {
        let reason = format!(
            "entry {} is not what the national node was told: an older registry was put back \
             (idctl upward restart-changes replaces what is there)",
            there.sequence
        );
        return Ok(Next::Stop(reason));
    }
    Ok(match there.sequence + 1 < own.oldest {
        true => anew,
        false => Next::Entries(there.sequence + 1),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::api::IntakeStart;
    use std::convert::Infallible;

    fn own(oldest: Sequence) -> Own {
        Own {
            log: Bytes::from_static(b"own"),
            head: 9,
            oldest,
        }
    }

    fn there(log: &'static str, sequence: Sequence, mark: u64) -> IntakeStanding {
        IntakeStanding {
            log: log.into(),
            sequence,
            mark,
            ..IntakeStanding::default()
        }
    }

    /// The mark of each entry is ten times its number.
    fn next_of(own: &Own, there: &IntakeStanding) -> Next {
        let mark = |sequence| {
            let is_kept = (own.oldest..=own.head).contains(&sequence);
            Ok::<_, Infallible>(is_kept.then_some(sequence * 10))
        };
        next(own, there, mark).unwrap()
    }

    #[test]
    fn where_the_national_node_stands_is_where_it_goes_on() {
        for (sequence, from) in [(0, 1), (5, 6), (9, 10)] {
            let standing = there("own", sequence, sequence * 10);
            assert_eq!(next_of(&own(1), &standing), Next::Entries(from));
        }
        // The entry it had last is forgotten here, the one behind it is not.
        assert_eq!(next_of(&own(6), &there("own", 5, 50)), Next::Entries(6));
        assert_eq!(next_of(&own(10), &there("own", 9, 90)), Next::Entries(10));
    }

    #[test]
    fn another_log_is_replaced() {
        for standing in [there("", 0, 0), there("old", 5, 50), there("old", 50, 0)] {
            assert_eq!(next_of(&own(1), &standing), Next::LogAnew);
            assert_eq!(next_of(&own(3), &standing), Next::SnapshotAnew);
        }
    }

    #[test]
    fn what_the_log_holds_no_more_comes_from_the_state() {
        assert_eq!(next_of(&own(7), &there("own", 5, 50)), Next::SnapshotAnew);
        assert_eq!(next_of(&own(10), &there("own", 5, 50)), Next::SnapshotAnew);
    }

    #[test]
    fn an_older_registry_waits_for_the_operator() {
        for standing in [there("own", 10, 100), there("own", 5, 51)] {
            let next = next_of(&own(1), &standing);
            assert!(matches!(next, Next::Stop(_)), "{next:?}");
        }
    }

    #[test]
    fn a_snapshot_goes_on_while_the_log_behind_it_is_kept() {
        let making = |log: &'static str, sequence: Sequence, mark: u64| IntakeStanding {
            making: Some(IntakeStart {
                log: log.into(),
                sequence,
                mark,
            }),
            reached: b"here".to_vec(),
            ..there("own", 2, 20)
        };
        let goes_on = Next::Snapshot {
            sequence: 6,
            after: Bytes::from_static(b"here"),
        };
        for oldest in [1, 6, 7] {
            assert_eq!(next_of(&own(oldest), &making("own", 6, 60)), goes_on);
        }
        let others = [
            (8, making("own", 6, 60)),
            (5, making("old", 6, 60)),
            (5, making("own", 6, 61)),
            (5, making("own", 12, 120)),
        ];
        for (oldest, standing) in others {
            assert_eq!(
                next_of(&own(oldest), &standing),
                Next::SnapshotAnew,
                "{standing:?}"
            );
        }
    }
}
