//! Verifies deposits, one after another: each is compared with those before it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::chain::{MAX_LINKS, follows};
use idnode_proto::escrow::deposit::Head;
use idnode_proto::escrow::manifest::{MANIFEST_NAME, RECEIPT_NAME};
use idnode_proto::trust::PrivateKey;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::client::Client;
use super::order::in_order;
use crate::escrow::{Found, directories, found, open_up_to};
use crate::national::book::{Book, Table};
use crate::national::{Failure, now_ms};

/// The name of a receipt that is being written.
pub(super) const RECEIPT_IN_WRITING: &str = "receipt.writing";
/// Deposits that have arrived and wait to be verified; who brings one more waits.
const QUEUE: usize = 1_024;
/// Verdicts, by `client/prefix directory/deposit directory`.
pub(super) const VERDICTS: Table = Table::new("escrow_verdicts");
/// The last deposit accepted of each prefix, by `client/prefix directory`.
const LAST: Table = Table::new("escrow_last");

/// What was found of a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Whose.
    pub client: String,
    /// Of which prefix, as far as that is known.
    pub prefix: String,
    /// Its id, or the name of its directory.
    pub id: String,
    /// FULL or DIFF.
    pub kind: String,
    /// RFC 3339.
    pub watermark: String,
    /// The last change it tells of.
    pub revision: u64,
    /// Of its parts.
    pub bytes: u64,
    /// Identifiers in it.
    pub identifiers: u64,
    /// Whether it is held.
    pub accepted: bool,
    /// Why not.
    pub reason: String,
    /// When it was verified, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Takes deposits in.
#[derive(Debug)]
pub(super) struct Intake {
    root: PathBuf,
    receiver: PrivateKey,
    clients: BTreeMap<String, Client>,
    book: Book,
    arrivals: mpsc::Sender<Place>,
}

/// A deposit's directory among the files of its client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub client: String,
    pub prefix: String,
    pub id: String,
}

impl Place {
    fn key(&self) -> String {
        format!("{}/{}/{}", self.client, self.prefix, self.id)
    }
}

impl Intake {
    /// With what arrives, for [`Intake::verify_all`].
    pub fn new(
        root: PathBuf,
        receiver: PrivateKey,
        clients: BTreeMap<String, Client>,
        book: Book,
    ) -> (Self, mpsc::Receiver<Place>) {
        let (arrivals, arrived) = mpsc::channel(QUEUE);
        let intake = Self {
            root,
            receiver,
            clients,
            book,
            arrivals,
        };
        (intake, arrived)
    }

    /// A node by its name.
    pub fn client(&self, name: &str) -> Option<&Client> {
        self.clients.get(name)
    }

    /// Where the files of a node are.
    pub fn directory(&self, client: &str) -> PathBuf {
        self.root.join(client)
    }

    pub fn make_directories(&self) -> io::Result<()> {
        self.clients
            .keys()
            .try_for_each(|name| fs::create_dir_all(self.directory(name)))
    }

    /// Every verdict, by client, prefix and deposit.
    pub fn verdicts(&self) -> Result<Vec<Verdict>, Failure> {
        let all = self.book.all(VERDICTS)?;
        Ok(all.into_iter().map(|(_, verdict)| verdict).collect())
    }

    /// The deposit whose manifest has this path, from the node's directory on, is there.
    pub async fn arrived(&self, client: &str, path: &Path) {
        let mut names = path.iter().map(|name| name.to_string_lossy().into_owned());
        let (Some(prefix), Some(id), Some(name), None) =
            (names.next(), names.next(), names.next(), names.next())
        else {
            return;
        };
        if name != MANIFEST_NAME {
            return;
        }
        let place = Place {
            client: client.to_owned(),
            prefix,
            id,
        };
        // Whoever verifies is gone only with the process.
        let _ = self.arrivals.send(place).await;
    }

    /// Verifies what has arrived and has no verdict, then what arrives: in the order in which it was
    /// deposited.
    pub async fn verify_all(self: Arc<Self>, mut arrived: mpsc::Receiver<Place>) {
        match self.blocking(Self::unverified).await {
            Ok(pending) => {
                for place in pending {
                    self.verify_one(place).await;
                }
            }
            Err(failure) => complain(&failure),
        }
        while let Some(place) = arrived.recv().await {
            self.verify_one(place).await;
        }
    }

    async fn verify_one(self: &Arc<Self>, place: Place) {
        let verified = self.blocking(move |intake| intake.verify(&place));
        if let Err(failure) = verified.await {
            complain(&failure);
        }
    }

    /// Runs what reads files where it may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let intake = self.clone();
        tokio::task::spawn_blocking(move || work(&intake)).await?
    }

    fn unverified(&self) -> Result<Vec<Place>, Failure> {
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let mut pending = Vec::new();
        for (client, keys) in &self.clients {
            for prefix in directories(&self.directory(client))? {
                for deposit in directories(&prefix)? {
                    let place = Place {
                        client: client.clone(),
                        prefix: name(&prefix),
                        id: name(&deposit),
                    };
                    let verdict: Option<Verdict> = self.book.get(VERDICTS, &place.key())?;
                    if verdict.is_some() && deposit.join(RECEIPT_NAME).exists() {
                        continue;
                    }
                    match found(&deposit, &keys.signer) {
                        Ok(None) => {}
                        Ok(Some(found)) => pending.push((place, Some(found.manifest.deposit))),
                        // Why it is refused is found out in its turn.
                        Err(_) => pending.push((place, None)),
                    }
                }
            }
        }
        Ok(in_order(pending))
    }

    /// Verifies a deposit, once: whoever sends it again gets the same verdict.
    fn verify(&self, place: &Place) -> Result<(), Failure> {
        let dir = self
            .directory(&place.client)
            .join(&place.prefix)
            .join(&place.id);
        let known: Option<Verdict> = self.book.get(VERDICTS, &place.key())?;
        let verdict = match known {
            Some(verdict) => verdict,
            None => {
                let (verdict, head) = self.look_at(place, &dir)?;
                self.book.write(|page| {
                    page.put(VERDICTS, &place.key(), &verdict)?;
                    match &head {
                        Some(head) => {
                            let prefix = format!("{}/{}", place.client, place.prefix);
                            page.put(LAST, &prefix, head)
                        }
                        None => Ok(()),
                    }
                })?;
                verdict
            }
        };
        Ok(write_receipt(&dir, &verdict)?)
    }

    /// The verdict, and the head of a deposit that is accepted.
    fn look_at(&self, place: &Place, dir: &Path) -> Result<(Verdict, Option<Head>), Failure> {
        let mut verdict = Verdict {
            client: place.client.clone(),
            prefix: place.prefix.clone(),
            id: place.id.clone(),
            kind: String::new(),
            watermark: String::new(),
            revision: 0,
            bytes: 0,
            identifiers: 0,
            accepted: false,
            reason: String::new(),
            at_ms: now_ms(),
        };
        let last: Option<Head> = self
            .book
            .get(LAST, &format!("{}/{}", place.client, place.prefix))?;
        match self.check(place, dir, last.as_ref(), &mut verdict) {
            Ok(head) => {
                verdict.accepted = true;
                Ok((verdict, Some(head)))
            }
            Err(error) => {
                verdict.reason = error.to_string();
                Ok((verdict, None))
            }
        }
    }

    fn check(
        &self,
        place: &Place,
        dir: &Path,
        last: Option<&Head>,
        verdict: &mut Verdict,
    ) -> Result<Head, EscrowError> {
        let wrong = |reason: String| EscrowError::Chain(reason);
        let client = self.client(&place.client);
        let client = client.ok_or_else(|| wrong(format!("the node {} is gone", place.client)))?;
        let deposit = found(dir, &client.signer)?;
        let deposit = deposit.ok_or_else(|| wrong("the manifest is gone".to_owned()))?;
        let head = deposit.manifest.deposit.clone();
        verdict.prefix.clone_from(&head.prefix);
        verdict.id.clone_from(&head.id);
        verdict.kind = head.kind.to_string();
        verdict.watermark = head.watermark();
        verdict.revision = head.revision;
        verdict.bytes = deposit.manifest.bytes();
        if head.id != place.id {
            let reason = format!(
                "the manifest is of deposit {}, in the directory of {}",
                head.id, place.id
            );
            return Err(wrong(reason));
        }
        if let Some(last) = last {
            follows(last, &head)?;
        }
        let since = head.since.unwrap_or_default();
        let mut chain = open_up_to(self.chain(deposit, client)?, &self.receiver)?;
        while let Some((identifier, _)) = chain.next_identifier()? {
            verdict.identifiers += u64::from(identifier.version > since);
        }
        chain.finish()?;
        Ok(head)
    }

    /// A deposit with those that it follows, back to a FULL one, as far as they are there; the
    /// oldest first. That they are a chain is not yet said.
    fn chain(&self, deposit: Found, client: &Client) -> Result<Vec<Found>, EscrowError> {
        let mut chain = vec![deposit];
        while let Some(before) = chain.last().and_then(Found::before)
            && chain.len() < MAX_LINKS
        {
            match found(&before, &client.signer)? {
                Some(found) => chain.push(found),
                None => break,
            }
        }
        chain.reverse();
        Ok(chain)
    }
}

fn complain(failure: &Failure) {
    eprintln!("idnational: escrow: {failure}");
}

/// Writes what was found for the node: whole or not at all.
fn write_receipt(dir: &Path, verdict: &Verdict) -> io::Result<()> {
    let text = serde_json::json!({
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "deposit": verdict.id,
        "identifiers": verdict.identifiers,
    });
    let unfinished = dir.join(RECEIPT_IN_WRITING);
    let mut file = fs::File::create(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(unfinished, dir.join(RECEIPT_NAME))
}
