//! Reads a document.

use super::deposit::{Head, Kind, Summary, parse_watermark};
use super::fields::wrong;
use super::object::{Deletion, Object};
use super::{EscrowError, LIMITS, NS, RDE};
use crate::xml::stream::{Node, Stream};
use std::io::BufRead;

/// Most deletions of a document: templates, and the prefix.
const MAX_DELETES: usize = 100_000;
/// Longest names of them all together, bytes.
const MAX_DELETES_BYTES: usize = 32 << 20;

/// Reads a document object by object, within bounds, and checks it on the way: who has not come
/// to its [summary](DocumentReader::next) has not read a document.
#[derive(Debug)]
pub struct DocumentReader<R> {
    stream: Stream<R>,
    head: Head,
    deletes: Vec<Deletion>,
    objects: u64,
    summary: Option<Summary>,
}

impl<R: BufRead> DocumentReader<R> {
    /// Reads up to the first object.
    ///
    /// # Errors
    /// [`EscrowError`]
    pub fn new(source: R) -> Result<Self, EscrowError> {
        let mut stream = Stream::new(source, LIMITS);
        let Some(root) = stream.enter()? else {
            return Err(lacks(&stream, "<rde:deposit>"));
        };
        let mut head = read_root(&root)?;
        let node = expect(&mut stream, "watermark")?;
        let node = stream.whole(node)?;
        head.watermark_ms = parse_watermark(&node.text)
            .ok_or_else(|| wrong(&node, "a watermark that is no time"))?;
        let node = expect(&mut stream, "rdeMenu")?;
        let menu = stream.whole(node)?;
        check_menu(&menu)?;
        let mut reader = Self {
            stream,
            head,
            deletes: Vec::new(),
            objects: 0,
            summary: None,
        };
        reader.read_deletes()?;
        let checked = reader.head.check();
        checked.map_err(|reason| EscrowError::Chain(format!("the document {reason}")))?;
        Ok(reader)
    }

    /// What the deposit is.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How far it has been read, bytes from its start.
    pub fn offset(&self) -> u64 {
        self.stream.offset()
    }

    /// What it deletes.
    pub fn deletes(&self) -> &[Deletion] {
        &self.deletes
    }

    /// What it holds and leads to: known once [`DocumentReader::next`] has given `None`.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// The next object; `None` at the end of the document, which then is whole.
    ///
    /// # Errors
    /// [`EscrowError`]; after one, nothing that was read holds.
    #[allow(
        clippy::should_implement_trait,
        reason = "it fails, and does not begin anew"
    )]
    pub fn next(&mut self) -> Result<Option<Object>, EscrowError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        let Some(node) = self.stream.enter()? else {
            return Err(lacks(&self.stream, "<summary>"));
        };
        let node = self.stream.whole(node)?;
        if !node.is(NS, "summary") {
            if node.namespace != NS {
                return Err(wrong(&node, "an object of another namespace"));
            }
            self.objects += 1;
            return Object::read(&node).map(Some);
        }
        let summary = Summary::read(&node)?;
        if (summary.objects, summary.deletes) != (self.objects, self.deletes.len() as u64) {
            let what = format!(
                "{} objects and {} deletions where its summary says {} and {}",
                self.objects,
                self.deletes.len(),
                summary.objects,
                summary.deletes
            );
            return Err(wrong(&node, what));
        }
        self.end("</rde:contents>")?;
        self.end("</rde:deposit>")?;
        self.end("the end")?;
        self.summary = Some(summary);
        Ok(None)
    }

    /// Goes out of an element, of which nothing may be left.
    fn end(&mut self, what: &str) -> Result<(), EscrowError> {
        match self.stream.enter()? {
            None => Ok(()),
            Some(node) => Err(wrong(
                &node,
                format!("<{:.40}> instead of {what}", node.name),
            )),
        }
    }

    /// Reads deletions, if there are any, and goes into the contents.
    fn read_deletes(&mut self) -> Result<(), EscrowError> {
        let mut node = self.stream.enter()?;
        if let Some(found) = node.take_if(|node| node.is(RDE, "deletes")) {
            if self.head.kind == Kind::Full {
                return Err(wrong(&found, "deletions in a FULL deposit"));
            }
            let mut bytes = 0;
            while let Some(node) = self.stream.enter()? {
                let node = self.stream.whole(node)?;
                let deletion = Deletion::read(&node)?;
                bytes += deletion.name().len();
                if self.deletes.len() >= MAX_DELETES || bytes > MAX_DELETES_BYTES {
                    return Err(wrong(&node, "more deletions than are read"));
                }
                self.deletes.push(deletion);
            }
            node = self.stream.enter()?;
        }
        match node {
            Some(node) if node.is(RDE, "contents") => {}
            _ => return Err(lacks(&self.stream, "<rde:contents>")),
        }
        let Some(scope) = self.stream.enter()? else {
            return Err(lacks(&self.stream, "<scope>"));
        };
        let scope = self.stream.whole(scope)?;
        match scope.is(NS, "scope") {
            true => self.head.read_scope(&scope),
            false => Err(wrong(&scope, "contents that do not begin with <scope>")),
        }
    }
}

fn read_root(root: &Node) -> Result<Head, EscrowError> {
    if !root.is(RDE, "deposit") {
        return Err(wrong(
            root,
            format!("<{:.40}> instead of <rde:deposit>", root.name),
        ));
    }
    let kind = match root.attribute("type") {
        Some("FULL") => Kind::Full,
        Some("DIFF") => Kind::Diff,
        other => return Err(wrong(root, format!("the type {other:.40?}"))),
    };
    Ok(Head {
        id: root.attribute("id").unwrap_or_default().to_owned(),
        prev_id: root.attribute("prevId").map(str::to_owned),
        kind,
        watermark_ms: 0,
        node: String::new(),
        prefix: String::new(),
        revision: 0,
        since: None,
    })
}

fn check_menu(menu: &Node) -> Result<(), EscrowError> {
    let texts = |name: &str| -> Vec<&str> {
        let found = menu.children.iter().filter(|it| it.is(RDE, name));
        found.map(|it| it.text.trim()).collect()
    };
    if texts("version") != ["1.0"] {
        return Err(wrong(menu, "a version other than 1.0"));
    }
    match texts("objURI").as_slice() {
        [NS] => Ok(()),
        _ => Err(wrong(menu, format!("objects other than those of {NS}"))),
    }
}

fn expect<R: BufRead>(stream: &mut Stream<R>, name: &str) -> Result<Node, EscrowError> {
    match stream.enter()? {
        Some(node) if node.is(RDE, name) => Ok(node),
        Some(node) => Err(wrong(
            &node,
            format!("<{:.40}> instead of <rde:{name}>", node.name),
        )),
        None => Err(lacks(stream, &format!("<rde:{name}>"))),
    }
}

fn lacks<R: BufRead>(stream: &Stream<R>, what: &str) -> EscrowError {
    EscrowError::Document {
        what: format!("no {what}"),
        offset: stream.offset(),
    }
}
