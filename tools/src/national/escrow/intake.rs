//! Verifies deposits.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::chain::follows;
use idnode_proto::escrow::deposit::{Head, Kind};
use idnode_proto::escrow::listing::Listing;
use idnode_proto::escrow::manifest::MANIFEST_NAME;
use idnode_proto::escrow::object::Object;
use idnode_proto::escrow::package::open;
use idnode_proto::trust::PrivateKey;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::client::Client;
use crate::escrow::{Parts, directories, found};
use crate::national::book::{Book, Table};
use crate::national::{Failure, now_ms};

/// The file in which a node reads what was found.
pub(super) const RECEIPT_NAME: &str = "receipt";
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
    /// One at a time: each is compared with those before it.
    turn: Mutex<()>,
}

/// A deposit's directory among the files of its client.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub fn new(
        root: PathBuf,
        receiver: PrivateKey,
        clients: BTreeMap<String, Client>,
        book: Book,
    ) -> Self {
        Self {
            root,
            receiver,
            clients,
            book,
            turn: Mutex::new(()),
        }
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
    pub async fn arrived(self: &std::sync::Arc<Self>, client: &str, path: &Path) {
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
        let intake = self.clone();
        let verified = async move {
            let _turn = intake.turn.lock().await;
            let verifying = intake.clone();
            let done = tokio::task::spawn_blocking(move || verifying.verify(&place)).await;
            if let Ok(Err(failure)) = done {
                eprintln!("idnational: escrow: {failure}");
            }
        };
        tokio::spawn(verified);
    }

    /// Verifies what has arrived and has no verdict: in the order it was deposited in.
    pub async fn verify_all(self: &std::sync::Arc<Self>) {
        let intake = self.clone();
        let places = tokio::task::spawn_blocking(move || intake.unverified()).await;
        let places = match places {
            Ok(Ok(places)) => places,
            Ok(Err(error)) => return eprintln!("idnational: escrow: {error}"),
            Err(_) => return,
        };
        for place in places {
            self.arrived(
                &place.client,
                &Path::new(&place.prefix).join(&place.id).join(MANIFEST_NAME),
            )
            .await;
        }
    }

    fn unverified(&self) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        for client in self.clients.keys() {
            for prefix in directories(&self.directory(client))? {
                for deposit in directories(&prefix)? {
                    let name = |path: &Path| {
                        let name = path.file_name().unwrap_or_default();
                        name.to_string_lossy().into_owned()
                    };
                    let place = Place {
                        client: client.clone(),
                        prefix: name(&prefix),
                        id: name(&deposit),
                    };
                    let written = fs::metadata(deposit.join(MANIFEST_NAME));
                    let Ok(written) = written.and_then(|it| it.modified()) else {
                        continue;
                    };
                    let verdict: Option<Verdict> = self.book.get(VERDICTS, &place.key())?;
                    if verdict.is_none() || !deposit.join(RECEIPT_NAME).exists() {
                        places.push((written, place));
                    }
                }
            }
        }
        places.sort_by_key(|(written, _)| *written);
        Ok(places.into_iter().map(|(_, place)| place).collect())
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
        match (last, head.kind) {
            (Some(last), _) => follows(last, &head)?,
            (None, Kind::Full) => {}
            (None, Kind::Diff) => {
                let reason = format!(
                    "deposit {} is DIFF, and no FULL one of the prefix is held",
                    head.id
                );
                return Err(wrong(reason));
            }
        }
        let mut document = open(&deposit.manifest, Parts(dir.to_owned()), &self.receiver)?;
        let mut listing: Option<Listing> = None;
        while let Some(object) = document.next()? {
            match object {
                Object::Prefix(prefix) => listing = Some(Listing::of(&prefix)),
                Object::Identifier(identifier) => {
                    verdict.identifiers += 1;
                    if let Some(listing) = &mut listing {
                        listing.add(&identifier);
                    }
                }
                Object::Enterprise(_) | Object::Template(_) => {}
            }
        }
        let summary = document.summary().cloned().unwrap_or_default();
        if head.kind == Kind::Full {
            let listing = listing.map_or_else(String::new, Listing::finish);
            if listing != summary.listing {
                return Err(wrong(format!(
                    "the deposit's listing has the digest {listing}; its summary says {}",
                    summary.listing
                )));
            }
        }
        Ok(head)
    }
}

/// Writes what was found for the node: whole or not at all.
fn write_receipt(dir: &Path, verdict: &Verdict) -> io::Result<()> {
    let text = serde_json::json!({
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "deposit": verdict.id,
        "identifiers": verdict.identifiers,
    });
    let unfinished = dir.join("receipt.writing");
    let mut file = fs::File::create(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(unfinished, dir.join(RECEIPT_NAME))
}
