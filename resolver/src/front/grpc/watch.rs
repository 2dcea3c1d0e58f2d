//! Watch: the change log from any sequence on, as far as the watcher may see it.

use super::call::{Api, draining};
use super::convert::{api_key, enterprise, prefix, record, template, timestamp};
use super::status::{Refused, Result};
use idnode_proto::api;
use idnode_proto::api::change::Change as Shown;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::change::{Change, IdentifierChange, LogEntry};
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::record::Record;
use idnode_registry::{Caller, Error, Sequence};
use prost::Message;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

/// How often the head is sent when there is nothing else to say.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// Entries read from the log at a time, and about how many bytes of them.
const READ_ENTRIES: usize = 512;
const READ_BYTES: usize = 1 << 20;
/// About how many bytes of changes one message carries.
const MESSAGE_BYTES: usize = 1 << 20;

/// The changes from a sequence on (0: those after now); with `follow`, also those to come.
pub(super) fn answers(
    api: Api,
    scope: Scope,
    from: Sequence,
    follow: bool,
) -> impl Stream<Item = std::result::Result<api::WatchResponse, Status>> {
    let applied = api.registry().watch_applied();
    let next = if from == 0 {
        api.registry().applied() + 1
    } else {
        from
    };
    let ready = VecDeque::new();
    let watch = Watch {
        api,
        scope,
        next,
        follow,
        applied,
        ready,
        sign_due: Instant::now(),
        ended: false,
    };
    futures_util::stream::unfold(watch, |mut watch| async move {
        let answer = watch.next().await.transpose()?;
        watch.ended |= answer.is_err();
        Some((answer.map_err(Refused::into_status), watch))
    })
}

struct Watch {
    api: Api,
    scope: Scope,
    /// The first sequence not looked at yet.
    next: Sequence,
    follow: bool,
    applied: watch::Receiver<Sequence>,
    ready: VecDeque<api::WatchResponse>,
    /// When the head is to be sent if nothing has been until then.
    sign_due: Instant,
    ended: bool,
}

impl Watch {
    /// The next message; `None` after the last one.
    async fn next(&mut self) -> Result<Option<api::WatchResponse>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.sign_due = Instant::now() + SIGN_OF_LIFE;
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            if self.api.shutdown.is_cancelled() {
                return Err(draining());
            }
            let head = self.api.registry().applied();
            if self.next <= head {
                self.read(head).await?;
                // What is not the watcher's may go by for long.
                if self.ready.is_empty() && self.sign_due <= Instant::now() {
                    return Ok(Some(self.sign_of_life()));
                }
            } else if !self.follow {
                self.ended = true;
                return Ok(Some(self.sign_of_life()));
            } else if self.sign_due <= Instant::now() {
                return Ok(Some(self.sign_of_life()));
            } else {
                self.wait().await;
            }
        }
    }

    fn sign_of_life(&mut self) -> api::WatchResponse {
        self.sign_due = Instant::now() + SIGN_OF_LIFE;
        api::WatchResponse {
            changes: Vec::new(),
            head: self.api.registry().applied(),
        }
    }

    /// Until there is something to read or to say.
    async fn wait(&mut self) {
        let next = self.next;
        let grown = async {
            if self
                .applied
                .wait_for(|applied| *applied >= next)
                .await
                .is_err()
            {
                // The writer has stopped, as it does when the node drains.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.api.shutdown.cancelled() => {}
            () = tokio::time::sleep_until(self.sign_due) => {}
            () = grown => {}
        }
    }

    /// Reads on in the log, no further than `head`.
    async fn read(&mut self, head: Sequence) -> Result<()> {
        let (from, scope) = (self.next, self.scope.clone());
        let wanted =
            usize::try_from(head - from).map_or(READ_ENTRIES, |more| READ_ENTRIES.min(more + 1));
        let read = self.api.read(move |registry| {
            let entries = registry.read_log(from, wanted, READ_BYTES)?;
            let next = entries.last().map_or(from, |last| last.sequence + 1);
            let mut revoked = false;
            let mut messages = Messages::default();
            for entry in entries {
                revoked |= scope.is_revoked_by(&entry);
                scope.show(entry, &mut messages)?;
            }
            Ok((next, messages.finish(), revoked))
        });
        let (next, messages, revoked) = read.await.map_err(|refused| match refused {
            Refused::Registry(Error::Bound { limit, .. }) => Refused::Forgotten { oldest: limit },
            other => other,
        })?;
        if next == from {
            return Err(Error::Storage(format!("entry {from} is missing from the log")).into());
        }
        if revoked {
            return Err(Error::Unauthenticated("the credential was revoked".into()).into());
        }
        self.next = next;
        self.ready = messages
            .into_iter()
            .map(|changes| api::WatchResponse { changes, head })
            .collect();
        Ok(())
    }
}

/// Changes cut into messages.
#[derive(Default)]
struct Messages {
    full: Vec<Vec<api::Change>>,
    last: Vec<api::Change>,
    bytes: usize,
}

impl Messages {
    fn push(&mut self, change: api::Change) {
        let bytes = change.encoded_len();
        if self.bytes + bytes > MESSAGE_BYTES && !self.last.is_empty() {
            self.full.push(std::mem::take(&mut self.last));
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.last.push(change);
    }

    fn finish(mut self) -> Vec<Vec<api::Change>> {
        if !self.last.is_empty() {
            self.full.push(self.last);
        }
        self.full
    }
}

/// What of the log a watcher is shown.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Who watches.
    pub caller: Caller,
    /// Only what is under this prefix.
    pub prefix: Option<Prefix>,
}

impl Scope {
    /// Whether an entry takes the watcher's own credential away.
    fn is_revoked_by(&self, entry: &LogEntry) -> bool {
        matches!(&entry.change, Some(Change::Credential(c)) if c.revoked && c.id == self.caller.credential())
    }

    /// Adds what the watcher may see of an entry.
    fn show(&self, entry: LogEntry, messages: &mut Messages) -> idnode_registry::Result<()> {
        let LogEntry {
            sequence,
            committed_at_ms,
            actor,
            change,
        } = entry;
        let shown = match change {
            Some(Change::Identifiers(changes)) => {
                let mut identifiers = Vec::new();
                let mut bytes = 0;
                for item in changes.items {
                    let Some(shown) = self.identifier(item)? else {
                        continue;
                    };
                    let length = shown.encoded_len();
                    if bytes + length > MESSAGE_BYTES && !identifiers.is_empty() {
                        let part = std::mem::take(&mut identifiers);
                        let part = Shown::Identifiers(api::IdentifierChanges { identifiers: part });
                        messages.push(change_of(sequence, committed_at_ms, actor.clone(), part));
                        bytes = 0;
                    }
                    bytes += length;
                    identifiers.push(shown);
                }
                (!identifiers.is_empty())
                    .then_some(Shown::Identifiers(api::IdentifierChanges { identifiers }))
            }
            Some(other) => self.other(other)?,
            None => None,
        };
        if let Some(shown) = shown {
            messages.push(change_of(sequence, committed_at_ms, actor, shown));
        }
        Ok(())
    }

    fn identifier(
        &self,
        item: IdentifierChange,
    ) -> idnode_registry::Result<Option<api::IdentifierRecord>> {
        // Whose it was when it was changed: its prefix may have gone to another since.
        if !self.caller.owns(EnterpriseId(item.enterprise)) {
            return Ok(None);
        }
        let identifier =
            Identifier::from_key(&item.key).map_err(|e| Error::Storage(e.to_string()))?;
        let inside = self
            .prefix
            .as_ref()
            .is_none_or(|prefix| prefix.covers(&identifier));
        if !inside {
            return Ok(None);
        }
        Ok(Some(record::shown(
            &identifier,
            Record::decode(item.record)?,
        )))
    }

    /// A change of anything but identifiers, if it is the watcher's.
    fn other(&self, change: Change) -> idnode_registry::Result<Option<Shown>> {
        let owns = |enterprise: u64| self.caller.owns(EnterpriseId(enterprise));
        // What belongs to no enterprise is the operator's.
        let owns_or_operator =
            |enterprise: Option<u64>| enterprise.map_or(self.caller.is_operator(), owns);
        Ok(match change {
            Change::Prefix(change)
                if owns(change.record.enterprise) && self.covers_prefix(&change.record.key) =>
            {
                let removed = change.removed;
                Some(Shown::Prefix(api::PrefixChange {
                    prefix: Some(prefix::shown(change.record)?),
                    removed,
                }))
            }
            _ if self.prefix.is_some() => None,
            Change::Enterprise(changed) if owns(changed.id) => {
                Some(Shown::Enterprise(enterprise::shown(changed)))
            }
            Change::Template(change) if owns_or_operator(change.template.enterprise) => {
                let deleted = change.deleted;
                Some(Shown::Template(api::TemplateChange {
                    template: Some(template::shown(change.template)),
                    deleted,
                }))
            }
            Change::Credential(changed) if owns_or_operator(changed.enterprise) => {
                Some(Shown::ApiKey(api_key(changed)))
            }
            _ => None,
        })
    }

    fn covers_prefix(&self, key: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| {
            let (from, to) = prefix.key_range();
            key == prefix.key() || (from.as_slice()..to.as_slice()).contains(&key)
        })
    }
}

fn change_of(
    sequence: Sequence,
    committed_at_ms: u64,
    actor: String,
    change: Shown,
) -> api::Change {
    api::Change {
        sequence,
        committed_at: timestamp(committed_at_ms),
        actor,
        change: Some(change),
    }
}
