//! What one node is told of the others: what has changed since the version that it holds, then
//! every change, in parts that fit a message.

use std::sync::Arc;
use std::time::Duration;

use idnode_proto::api::{Sibling, SiblingUpdate, WatchSiblingsRequest};
use idnode_proto::routes::HEARTBEAT_S;
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;

use super::directory::{Directory, Snapshot};
use crate::national::faults::{Channel, Fault, Faults, Kind};

/// About the longest part of an update, bytes.
const PART_BYTES: usize = 256 << 10;
/// How long nothing is told where nothing changes.
const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_S / 2);

/// The node is gone, or is to go.
struct Ended;

/// Tells one node.
pub(super) struct Telling {
    directory: Arc<Directory>,
    faults: Arc<Faults>,
    node: String,
    sender: mpsc::Sender<Result<SiblingUpdate, Status>>,
    /// The set and the version that were told.
    told: (String, u64),
    /// The digest that was told.
    digest: Option<String>,
    /// An update that comes behind the next one.
    held_back: Vec<SiblingUpdate>,
}

impl Telling {
    pub(super) fn new(
        directory: Arc<Directory>,
        faults: Arc<Faults>,
        request: WatchSiblingsRequest,
        sender: mpsc::Sender<Result<SiblingUpdate, Status>>,
    ) -> Self {
        Self {
            directory,
            faults,
            node: request.node,
            sender,
            told: (request.set_id, request.version),
            digest: None,
            held_back: Vec::new(),
        }
    }

    /// Tells until the node is gone.
    pub(super) async fn run(mut self) {
        let mut versions = self.directory.versions();
        loop {
            versions.borrow_and_update();
            let snapshot = self.directory.snapshot();
            let is_news = self.is_news(&snapshot);
            let update = self.update(&snapshot);
            let fault = is_news.then(|| self.faults.next(Channel::Routes)).flatten();
            if self.send(update, fault).await.is_err() {
                return;
            }
            tokio::select! {
                changed = versions.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.sender.closed() => return,
            }
        }
    }

    fn is_news(&self, snapshot: &Snapshot) -> bool {
        self.digest.is_none() || self.told != (snapshot.set_id.clone(), snapshot.version)
    }

    /// What is new to the node, in parts; they count as told.
    fn update(&mut self, snapshot: &Snapshot) -> Vec<SiblingUpdate> {
        let (set_id, version) = (&snapshot.set_id, snapshot.version);
        // A version that does not exist is another set's, whatever it says.
        let base = match &self.told {
            (told, held) if told == set_id && *held <= version => *held,
            _ => 0,
        };
        let others = snapshot.nodes.iter();
        let others = others.filter(|(node, it)| **node != self.node && it.version > base);
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for (node, known) in others {
            match &known.sibling {
                Some(sibling) => changed.push(sibling.clone()),
                None if base > 0 => gone.push(node.clone()),
                None => {}
            }
        }
        let known = snapshot.nodes.get(&self.node);
        let digest = known.map_or_else(String::new, |it| it.digest.clone());
        let head = SiblingUpdate {
            set_id: set_id.clone(),
            version,
            base,
            gone,
            tells_digest: self.digest.as_ref() != Some(&digest),
            known_digest: digest.clone(),
            ..SiblingUpdate::default()
        };
        self.told = (set_id.clone(), version);
        self.digest = Some(digest);
        in_parts(head, changed)
    }

    async fn send(
        &mut self,
        update: Vec<SiblingUpdate>,
        fault: Option<Fault>,
    ) -> Result<(), Ended> {
        let delay = Duration::from_millis(fault.as_ref().map_or(0, |it| it.delay_ms));
        match fault.map(|it| it.kind) {
            None => self.all(update).await?,
            Some(Kind::Drop) => {}
            Some(Kind::Delay) => {
                tokio::time::sleep(delay).await;
                self.all(update).await?;
            }
            Some(Kind::Duplicate) => {
                self.all(update.clone()).await?;
                self.all(update).await?;
            }
            Some(Kind::Reorder) => {
                self.held_back = update;
                return Ok(());
            }
            Some(Kind::HalfAnswer) => {
                if let Some(mut first) = update.into_iter().next() {
                    first.changed.truncate(first.changed.len() / 2);
                    first.more = true;
                    self.one(Ok(first)).await?;
                }
                self.one(Err(Status::unavailable("the update breaks off")))
                    .await?;
                return Err(Ended);
            }
            Some(Kind::WrongAnswer) => {
                let wrong = SiblingUpdate {
                    base: self.told.1 + 7,
                    version: self.told.1 + 8,
                    ..update.into_iter().next().unwrap_or_default()
                };
                self.one(Ok(wrong)).await?;
            }
            Some(Kind::Down) => {
                self.one(Err(Status::unavailable("down"))).await?;
                return Err(Ended);
            }
        }
        let late = std::mem::take(&mut self.held_back);
        self.all(late).await
    }

    async fn all(&self, update: Vec<SiblingUpdate>) -> Result<(), Ended> {
        for part in update {
            self.one(Ok(part)).await?;
        }
        Ok(())
    }

    async fn one(&self, message: Result<SiblingUpdate, Status>) -> Result<(), Ended> {
        self.sender.send(message).await.map_err(|_| Ended)
    }
}

/// Cuts an update up; there is always a part, and only the last one ends it.
fn in_parts(head: SiblingUpdate, changed: Vec<Sibling>) -> Vec<SiblingUpdate> {
    let next = SiblingUpdate {
        gone: Vec::new(),
        known_digest: String::new(),
        tells_digest: false,
        ..head.clone()
    };
    let mut parts = vec![head];
    let mut bytes = 0;
    for sibling in changed {
        let more = sibling.encoded_len();
        if bytes > 0 && bytes + more > PART_BYTES {
            if let Some(last) = parts.last_mut() {
                last.more = true;
            }
            parts.push(next.clone());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = parts.last_mut() {
            last.changed.push(sibling);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use idnode_proto::routes::{Held, Step};

    #[test]
    fn parts_put_together_are_the_update() {
        let sibling = |number: usize| Sibling {
            node: format!("n{number}"),
            operator: "x".repeat(500),
            ..Sibling::default()
        };
        let all: Vec<Sibling> = (0..2_000).map(sibling).collect();
        let head = SiblingUpdate {
            set_id: "set".to_owned(),
            version: 3,
            tells_digest: true,
            ..SiblingUpdate::default()
        };
        let parts = in_parts(head, all.clone());
        assert!(parts.len() > 3, "{}", parts.len());
        assert_eq!(parts.iter().filter(|it| it.tells_digest).count(), 1);
        let mut held = Held::default();
        let mut last = Step::Nothing;
        for part in parts {
            assert!(part.encoded_len() <= PART_BYTES + 4_096);
            last = held.take(part).unwrap();
        }
        let Step::Changed { put, .. } = last else {
            panic!("{last:?}");
        };
        assert_eq!((put, held.version), (all, 3));
    }
}
