//! A FULL deposit and the DIFFs after it as one state: documents merged in the order of their
//! identifiers' keys, the newest of each key counting, an object of each document in memory.

use super::EscrowError;
use super::deposit::{Counts, Head, Kind, Summary};
use super::listing::{Beside, BesideDigest, Listing};
use super::object::{Deletion, Enterprise, Identifier, Object, Prefix, Template};
use super::read::DocumentReader;
use crate::identifier;
use std::collections::BTreeMap;
use std::io::BufRead;

/// Most deposits of a chain, which are all open while it is read: more than a year of them.
pub const MAX_LINKS: usize = 400;
/// Longest text of the objects beside identifiers in the documents of a chain, bytes: they are held.
const MAX_AROUND_BYTES: u64 = 1 << 30;

/// What a prefix has at the last deposit's watermark, but for its identifiers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Around {
    /// The prefix; `None`: it is registered no longer, and has nothing.
    pub prefix: Option<Prefix>,
    /// Enterprises by number: the one that holds the prefix.
    pub enterprises: BTreeMap<u64, Enterprise>,
    /// Templates by name.
    pub templates: BTreeMap<String, Template>,
}

impl Around {
    /// The enterprise that holds the prefix.
    pub fn holder(&self) -> Option<&Enterprise> {
        self.enterprises.get(&self.prefix.as_ref()?.enterprise)
    }

    /// Digests of the holder and of the templates; `None`: the prefix is gone.
    pub fn digests(&self) -> Option<Beside> {
        self.prefix.as_ref()?;
        let mut digest = BesideDigest::default();
        if let Some(enterprise) = self.holder() {
            digest.enterprise(enterprise);
        }
        for template in self.templates.values() {
            digest.template(template);
        }
        Some(digest.finish())
    }

    /// That they are those that a deposit's summary says.
    fn check(&self, id: &str, summary: &Summary) -> Result<Option<Beside>, EscrowError> {
        let digests = self.digests();
        let (Some(found), Some(said)) = (&digests, &summary.beside) else {
            return Ok(digests);
        };
        let unequal = |what: String, found: &str, said: &str| {
            Err(EscrowError::Chain(format!(
                "the deposits up to {id} lead to {what} with the digest {found}; the node had {said}"
            )))
        };
        if found.enterprise != said.enterprise {
            let what = match self.holder() {
                Some(holder) => format!("enterprise {} ({:.80})", holder.id, holder.name),
                None => "no enterprise".to_owned(),
            };
            return unequal(what, &found.enterprise, &said.enterprise);
        }
        if found.templates != said.templates {
            let what = format!("{} templates", self.templates.len());
            return unequal(what, &found.templates, &said.templates);
        }
        Ok(digests)
    }
}

/// How a chain ended: proved to lead to what its last deposit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Identifiers, deleted ones among them.
    pub listed: u64,
    /// The digest of the listing, in hexadecimal; empty where the prefix is gone.
    pub listing: String,
    /// Digests of the enterprise and the templates; `None` where the prefix is gone.
    pub beside: Option<Beside>,
    /// The prefix's counters.
    pub counts: Counts,
}

/// Whether a deposit may follow another of the same prefix.
///
/// # Errors
/// Why not.
pub fn follows(before: &Head, next: &Head) -> Result<(), EscrowError> {
    let wrong = |what: String| Err(EscrowError::Chain(format!("deposit {} {what}", next.id)));
    if next.prefix != before.prefix || next.node != before.node {
        return wrong(format!(
            "is of prefix {} of node {}, not of {} of {}",
            next.prefix, next.node, before.prefix, before.node
        ));
    }
    if next.kind == Kind::Full {
        return Ok(());
    }
    let prev = next.prev_id.as_deref().unwrap_or_default();
    if prev != before.id {
        return wrong(format!("follows {prev}; the last one is {}", before.id));
    }
    if next.since != Some(before.revision) {
        return wrong(format!(
            "tells changes since revision {}; {} tells those up to {}",
            next.since.unwrap_or_default(),
            before.id,
            before.revision
        ));
    }
    Ok(())
}

/// The last chain among the deposits of one prefix, in whatever order they are given: the places
/// of the newest FULL deposit that a chain leads from, and of the DIFFs after it, in order.
///
/// # Errors
/// They are not of one prefix; what the newest one follows is missing.
pub fn last_chain(heads: &[&Head]) -> Result<Vec<usize>, EscrowError> {
    let mut by_id = BTreeMap::new();
    for (place, head) in heads.iter().enumerate() {
        if by_id.insert(head.id.as_str(), place).is_some() {
            return Err(EscrowError::Chain(format!(
                "there are two deposits {}",
                head.id
            )));
        }
    }
    // The newest of those that no other one follows.
    let followed = |id: &str| heads.iter().any(|it| it.prev_id.as_deref() == Some(id));
    let newest = heads
        .iter()
        .enumerate()
        .filter(|(_, head)| !followed(&head.id))
        .max_by_key(|(_, head)| (head.revision, head.watermark_ms));
    let Some((mut place, mut head)) = newest else {
        return Err(EscrowError::Chain("there is no deposit".to_owned()));
    };
    let mut chain = vec![place];
    while head.kind == Kind::Diff {
        let prev = head.prev_id.as_deref().unwrap_or_default();
        let before = by_id
            .get(prev)
            .and_then(|place| Some((*place, heads.get(*place)?)));
        let Some((before_place, before)) = before else {
            let reason = format!("deposit {} follows {prev}, which is missing", head.id);
            return Err(EscrowError::Chain(reason));
        };
        follows(before, head)?;
        if chain.contains(&before_place) {
            return Err(EscrowError::Chain(format!("deposit {prev} follows itself")));
        }
        (place, head) = (before_place, before);
        chain.push(place);
    }
    chain.reverse();
    Ok(chain)
}

/// One document of a chain.
struct Link<R> {
    document: DocumentReader<R>,
    /// The next identifier.
    next: Option<Identifier>,
}

/// A chain that is being read.
pub struct Chain<R> {
    /// Oldest first.
    links: Vec<Link<R>>,
    around: Around,
    range: (Vec<u8>, Vec<u8>),
    listing: Option<Listing>,
    /// Text of the objects beside identifiers that has been read.
    around_bytes: u64,
}

impl<R> std::fmt::Debug for Chain<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Chain<R> {
    /// Begins with a FULL deposit and the DIFFs after it, each begun.
    ///
    /// # Errors
    /// They do not follow each other; [`EscrowError`] of their documents.
    pub fn new(documents: Vec<DocumentReader<R>>) -> Result<Self, EscrowError> {
        let wrong = |what: &str| EscrowError::Chain(what.to_owned());
        if documents.len() > MAX_LINKS {
            let reason = format!("more than {MAX_LINKS} deposits follow a FULL one");
            return Err(EscrowError::Chain(reason));
        }
        let first = documents.first().map(|it| it.head().clone());
        let first = first.ok_or_else(|| wrong("there is no deposit"))?;
        if first.kind != Kind::Full {
            let reason = format!("deposit {} is no FULL one, and none is before it", first.id);
            return Err(EscrowError::Chain(reason));
        }
        let prefix = identifier::Prefix::parse(&first.prefix)
            .map_err(|error| EscrowError::Chain(format!("prefix {}: {error}", first.prefix)))?;
        let mut chain = Self {
            links: Vec::with_capacity(documents.len()),
            around: Around::default(),
            range: prefix.key_range(),
            listing: None,
            around_bytes: 0,
        };
        let mut before: Option<Head> = None;
        for document in documents {
            let head = document.head().clone();
            if let Some(before) = &before {
                follows(before, &head)?;
                if head.kind == Kind::Full {
                    return Err(wrong("a FULL deposit comes after the first"));
                }
            }
            chain.add(document)?;
            before = Some(head);
        }
        chain.listing = chain.around.prefix.as_ref().map(Listing::of);
        Ok(chain)
    }

    /// What the prefix has beside its identifiers.
    pub fn around(&self) -> &Around {
        &self.around
    }

    /// The next identifier, in the order of keys, with its element; `None` after the last.
    ///
    /// # Errors
    /// [`EscrowError`]; after one, nothing that was read holds.
    pub fn next_identifier(&mut self) -> Result<Option<(Identifier, &str)>, EscrowError> {
        let keys = self.links.iter().filter_map(|link| link.next.as_ref());
        let Some(least) = keys.map(|it| &it.key).min().cloned() else {
            return Ok(None);
        };
        let mut newest = None;
        for link in &mut self.links {
            let taken = link.next.take_if(|next| next.key == least);
            if let Some(identifier) = taken {
                link.advance(Some(&identifier), &self.range)?;
                newest = Some(identifier);
            }
        }
        let (Some(identifier), Some(listing)) = (newest, &mut self.listing) else {
            let reason = "there are identifiers of a prefix that is gone".to_owned();
            return Err(EscrowError::Chain(reason));
        };
        let element = listing.add(&identifier);
        Ok(Some((identifier, element)))
    }

    /// Reads what is left, and compares what the chain led to with what its last deposit says.
    ///
    /// # Errors
    /// They differ; [`EscrowError`] of the documents.
    pub fn finish(mut self) -> Result<Proved, EscrowError> {
        while self.next_identifier()?.is_some() {}
        let last = self.links.last().and_then(|link| {
            let summary = link.document.summary()?;
            Some((link.document.head().id.clone(), summary.clone()))
        });
        let (id, summary) =
            last.ok_or_else(|| EscrowError::Chain("the last deposit has no summary".to_owned()))?;
        let listed = self.listing.as_ref().map_or(0, Listing::listed);
        let listing = self.listing.map_or_else(String::new, Listing::finish);
        if (listed, &listing) != (summary.listed, &summary.listing) {
            return Err(EscrowError::Chain(format!(
                "the deposits up to {id} lead to {listed} identifiers with the digest {listing}; \
                 the node had {} with {}",
                summary.listed, summary.listing
            )));
        }
        let beside = self.around.check(&id, &summary)?;
        Ok(Proved {
            listed,
            listing,
            beside,
            counts: summary.counts,
        })
    }

    /// Takes a document in, up to its first identifier.
    fn add(&mut self, mut document: DocumentReader<R>) -> Result<(), EscrowError> {
        let mut deletes = Vec::new();
        deletes.extend_from_slice(document.deletes());
        for deletion in deletes {
            self.delete(deletion, &document)?;
        }
        let begin = document.offset();
        let next = loop {
            let object = document.next()?;
            if self.around_bytes + (document.offset() - begin) > MAX_AROUND_BYTES {
                let reason = "there are more templates than are read".to_owned();
                return Err(EscrowError::Chain(reason));
            }
            match object {
                None => break None,
                Some(Object::Identifier(identifier)) => break Some(identifier),
                Some(Object::Prefix(prefix)) => {
                    if prefix.name != document.head().prefix {
                        let reason = format!("the document holds another prefix, {}", prefix.name);
                        return Err(EscrowError::Chain(reason));
                    }
                    self.around.prefix = Some(prefix);
                }
                Some(Object::Enterprise(enterprise)) => {
                    self.around.enterprises.insert(enterprise.id, enterprise);
                }
                Some(Object::Template(template)) => {
                    let name = template.name.clone();
                    self.around.templates.insert(name, template);
                }
            }
        };
        self.around_bytes += document.offset() - begin;
        let mut link = Link {
            document,
            next: None,
        };
        if let Some(identifier) = next {
            link.check(&identifier, None, &self.range)?;
            link.next = Some(identifier);
        }
        self.links.push(link);
        Ok(())
    }

    fn delete(
        &mut self,
        deletion: Deletion,
        document: &DocumentReader<R>,
    ) -> Result<(), EscrowError> {
        match deletion {
            Deletion::Template(name) => {
                self.around.templates.remove(&name);
            }
            Deletion::Prefix(name) if name == document.head().prefix => {
                self.around = Around::default();
                self.links.clear();
            }
            Deletion::Prefix(name) => {
                let reason = format!("the document deletes another prefix, {name}");
                return Err(EscrowError::Chain(reason));
            }
        }
        Ok(())
    }
}

impl<R: BufRead> Link<R> {
    /// Reads the next identifier after one.
    fn advance(
        &mut self,
        after: Option<&Identifier>,
        range: &(Vec<u8>, Vec<u8>),
    ) -> Result<(), EscrowError> {
        match self.document.next()? {
            None => Ok(()),
            Some(Object::Identifier(identifier)) => {
                self.check(&identifier, after, range)?;
                self.next = Some(identifier);
                Ok(())
            }
            Some(_) => {
                let id = &self.document.head().id;
                let reason = format!("deposit {id} has other objects behind identifiers");
                Err(EscrowError::Chain(reason))
            }
        }
    }

    /// That an identifier may come where it does.
    fn check(
        &self,
        identifier: &Identifier,
        after: Option<&Identifier>,
        (start, end): &(Vec<u8>, Vec<u8>),
    ) -> Result<(), EscrowError> {
        let head = self.document.head();
        let wrong = |what: &str| {
            let (id, name) = (&head.id, &identifier.name);
            Err(EscrowError::Chain(format!(
                "deposit {id}: identifier {name:.80} {what}"
            )))
        };
        if identifier.key < *start || identifier.key >= *end {
            return wrong("is not the prefix's");
        }
        if after.is_some_and(|after| after.key >= identifier.key) {
            return wrong("is not in the order of keys");
        }
        if identifier.version > head.revision || head.since >= Some(identifier.version) {
            return wrong("was not changed between the revisions that the deposit tells of");
        }
        Ok(())
    }
}
