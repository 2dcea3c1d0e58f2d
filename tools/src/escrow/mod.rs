//! Deposits in directories, as `idctl escrow` and `idnational` read them: a directory of each
//! prefix, in it one of each deposit with its manifest and its parts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::chain::{Chain, Proved, last_chain};
use idnode_proto::escrow::deposit::{Head, Kind, Summary};
use idnode_proto::escrow::manifest::{MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest};
use idnode_proto::escrow::object::Object;
use idnode_proto::escrow::package::{Document, open};
use idnode_proto::escrow::part::{PartSource, part_name};
use idnode_proto::escrow::write::DocumentWriter;
use idnode_proto::trust::{PrivateKey, TrustKey};

/// A deposit in a directory, whose manifest is its signer's.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub dir: PathBuf,
    /// What it says.
    pub manifest: Manifest,
}

impl Found {
    /// Where the deposit is that a DIFF follows; `None`: it is FULL.
    pub fn before(&self) -> Option<PathBuf> {
        let head = &self.manifest.deposit;
        let prev = head.prev_id.as_ref().filter(|_| head.kind == Kind::Diff);
        Some(self.dir.parent()?.join(prev?))
    }
}

/// What a prefix's last chain of deposits leads to.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The last deposit.
    pub head: Head,
    /// The ids of the chain, in order.
    pub ids: Vec<String>,
    /// What it was proved to lead to.
    pub proved: Proved,
}

/// Parts as files of a directory.
#[derive(Debug, Clone)]
pub struct Parts(pub PathBuf);

impl PartSource for Parts {
    type Part = File;

    fn open(&self, number: u32) -> io::Result<File> {
        File::open(self.0.join(part_name(number)))
    }
}

/// Reads a deposit's manifest; `None`: there is none.
///
/// # Errors
/// It is not its signer's.
pub fn found(dir: &Path, signer: &TrustKey) -> Result<Option<Found>, EscrowError> {
    let path = dir.join(MANIFEST_NAME);
    let length = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if length > MAX_MANIFEST_BYTES as u64 {
        return Err(EscrowError::Manifest("is longer than is read".to_owned()));
    }
    let manifest = Manifest::verify(&fs::read(&path)?, signer)?;
    Ok(Some(Found {
        dir: dir.to_owned(),
        manifest,
    }))
}

/// Directories in a directory, in the order of their names.
///
/// # Errors
/// It can't be read.
pub fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            directories.push(entry.path());
        }
    }
    directories.sort();
    Ok(directories)
}

/// The last chain of deposits of one prefix, in order.
///
/// # Errors
/// One that it needs is missing.
fn chain_of(deposits: &[Found]) -> Result<Vec<&Found>, EscrowError> {
    let heads: Vec<&Head> = deposits.iter().map(|it| &it.manifest.deposit).collect();
    let places = last_chain(&heads)?;
    Ok(places
        .into_iter()
        .filter_map(|place| deposits.get(place))
        .collect())
}

/// Opens the last chain of deposits of one prefix. Every part is compared first.
///
/// # Errors
/// A deposit is refused; one is missing.
fn open_chain(
    deposits: &[Found],
    receiver: &PrivateKey,
) -> Result<(Head, Vec<String>, Chain<impl io::BufRead + use<>>), EscrowError> {
    let chosen = chain_of(deposits)?;
    let documents = chosen
        .iter()
        .map(|it| opened(it, receiver).map_err(|error| of_deposit(&it.manifest.deposit.id, error)));
    let documents: Vec<Document<Parts>> = documents.collect::<Result<_, _>>()?;
    let last = chosen.last().map(|it| it.manifest.deposit.clone());
    let last = last.ok_or_else(|| EscrowError::Chain("there is no deposit".to_owned()))?;
    let ids = chosen.iter().map(|it| it.manifest.deposit.id.clone());
    Ok((last, ids.collect(), Chain::new(documents)?))
}

fn opened(deposit: &Found, receiver: &PrivateKey) -> Result<Document<Parts>, EscrowError> {
    open(&deposit.manifest, Parts(deposit.dir.clone()), receiver)
}

/// Opens a chain of deposits up to its last one, which alone is in question: an error that names no
/// deposit is its own.
///
/// # Errors
/// A deposit is refused; they do not follow each other.
pub fn open_up_to(
    mut chain: Vec<Found>,
    receiver: &PrivateKey,
) -> Result<Chain<impl io::BufRead + use<>>, EscrowError> {
    let last = chain.pop();
    let before = chain
        .iter()
        .map(|it| opened(it, receiver).map_err(|error| of_deposit(&it.manifest.deposit.id, error)));
    let mut documents: Vec<Document<Parts>> = before.collect::<Result<_, _>>()?;
    if let Some(last) = last {
        documents.push(opened(&last, receiver)?);
    }
    Chain::new(documents)
}

/// Says of which deposit an error is.
fn of_deposit(id: &str, error: EscrowError) -> EscrowError {
    match error {
        EscrowError::Chain(reason) => EscrowError::Chain(reason),
        other => EscrowError::Container(format!("deposit {id}: {other}")),
    }
}

/// Proves what the last chain of deposits of one prefix leads to.
///
/// # Errors
/// A deposit is refused; they do not lead to what the last one says.
pub fn verify(deposits: &[Found], receiver: &PrivateKey) -> Result<Verified, EscrowError> {
    let (head, ids, chain) = open_chain(deposits, receiver)?;
    let proved = chain.finish()?;
    Ok(Verified { head, ids, proved })
}

/// As [`verify`], and writes what it leads to as one FULL document.
///
/// # Errors
/// As [`verify`]; it can't be written.
pub fn write_state(
    deposits: &[Found],
    receiver: &PrivateKey,
    out: impl Write,
) -> Result<Verified, EscrowError> {
    let (head, ids, mut chain) = open_chain(deposits, receiver)?;
    let full = Head {
        kind: Kind::Full,
        since: None,
        prev_id: None,
        ..head.clone()
    };
    let mut document = DocumentWriter::new(out, full)?;
    let around = chain.around().clone();
    let prefix = around.prefix.map(Object::Prefix);
    let enterprises = around.enterprises.into_values().map(Object::Enterprise);
    let templates = around.templates.into_values().map(Object::Template);
    for object in prefix.into_iter().chain(enterprises).chain(templates) {
        document.put(&object)?;
    }
    while let Some((_, element)) = chain.next_identifier()? {
        document.put_element(element)?;
    }
    let proved = chain.finish()?;
    let summary = Summary {
        listed: proved.listed,
        listing: proved.listing.clone(),
        beside: proved.beside.clone(),
        counts: proved.counts,
        ..Summary::default()
    };
    let (mut out, _) = document.finish(summary)?;
    out.flush()?;
    Ok(Verified { head, ids, proved })
}
