//! XML documents of any length, read piece by piece: the reader holds one piece, whose size is
//! bounded, and how it lies in the elements around it. What [`super`] refuses is refused here.

use std::io::{self, BufRead, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use thiserror::Error;

use super::write::{NO_CHARACTER, no_character};

/// How much of one piece is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest piece, bytes: an element with all that is in it, or the way to the next one.
    pub piece_bytes: usize,
    /// Elements may lie inside each other this deep.
    pub depth: usize,
    /// Most elements inside one piece.
    pub elements: usize,
    /// Most attributes of an element, those that declare namespaces among them.
    pub attributes: usize,
}

/// Why a document is refused. Offsets are bytes from its start.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The bytes could not be had.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// More of something than is read.
    #[error("has {what} at byte {offset}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// Where.
        offset: u64,
    },
    /// A document type (`<!DOCTYPE`).
    #[error("has a document type at byte {0}, which is not taken")]
    DocumentType(u64),
    /// An entity that XML itself does not have.
    #[error("has an entity at byte {0} that XML itself does not define")]
    Entity(u64),
    /// Not well-formed.
    #[error("is no well-formed XML at byte {offset}: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
        /// Where.
        offset: u64,
    },
}

/// An element, with what has been read of its contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The namespace of its name; empty: none.
    pub namespace: String,
    /// Its name, without a prefix.
    pub name: String,
    /// Names and values of its attributes, in order, without those that declare namespaces.
    pub attributes: Vec<(String, String)>,
    /// The elements inside it, in order.
    pub children: Vec<Node>,
    /// The text directly inside it.
    pub text: String,
    /// Where it begins, bytes from the document's start.
    pub offset: u64,
}

impl Node {
    /// Whether this is its name, in this namespace.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// A source that gives no more than it is allowed to: how a piece stays within its bound, since
/// the parser below takes a piece whole.
struct Guarded<R> {
    source: R,
    left: usize,
}

/// What [`Guarded`] fails with. Told apart by its kind: nothing else here has it.
const BEYOND: io::ErrorKind = io::ErrorKind::FileTooLarge;

impl<R: BufRead> Read for Guarded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..length), available.get(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Guarded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.left;
        let available = self.source.fill_buf()?;
        if left == 0 && !available.is_empty() {
            return Err(BEYOND.into());
        }
        Ok(available.get(..left).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.source.consume(amount);
    }
}

/// Reads a document.
pub struct Stream<R> {
    reader: NsReader<Guarded<R>>,
    limits: Limits,
    buffer: Vec<u8>,
    depth: usize,
    begun: bool,
}

impl<R> std::fmt::Debug for Stream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// What comes next in a document.
enum Piece {
    Start(Node),
    End,
    Text(String),
    Eof,
}

impl<R: BufRead> Stream<R> {
    /// A document from its first byte on.
    pub fn new(source: R, limits: Limits) -> Self {
        let mut reader = NsReader::from_reader(Guarded { source, left: 0 });
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        Self {
            reader,
            limits,
            buffer: Vec::new(),
            depth: 0,
            begun: false,
        }
    }

    /// Where it is, bytes from the document's start.
    pub fn offset(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// Goes into the next element: its name and attributes. `None`: there is none, and it has
    /// gone out of the element it was in, or has come to the end of the document.
    ///
    /// # Errors
    /// [`StreamError`], also where there is text beside elements.
    pub fn enter(&mut self) -> Result<Option<Node>, StreamError> {
        self.allow();
        loop {
            let offset = self.offset();
            match self.piece()? {
                Piece::Start(node) => {
                    if self.depth == 1 && std::mem::replace(&mut self.begun, true) {
                        return Err(malformed("a second outermost element", offset));
                    }
                    return Ok(Some(node));
                }
                Piece::End => return Ok(None),
                Piece::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                Piece::Text(_) => return Err(malformed("text beside elements", offset)),
                Piece::Eof if self.depth == 0 && self.begun => return Ok(None),
                Piece::Eof => return Err(malformed("it does not end", offset)),
            }
        }
    }

    /// Reads all that is in an element that [`Stream::enter`] has just gone into, and goes out.
    ///
    /// # Errors
    /// [`StreamError`]
    pub fn whole(&mut self, node: Node) -> Result<Node, StreamError> {
        self.allow();
        let mut open = vec![node];
        let mut elements = 0;
        loop {
            let offset = self.offset();
            match self.piece()? {
                Piece::Start(child) => {
                    elements += 1;
                    if elements > self.limits.elements {
                        let what = "an element with too many inside it";
                        return Err(StreamError::TooMuch { what, offset });
                    }
                    open.push(child);
                }
                Piece::Text(text) => {
                    if let Some(node) = open.last_mut() {
                        node.text.push_str(&text);
                    }
                }
                Piece::End => {
                    let Some(closed) = open.pop() else {
                        return Err(malformed("an end without a beginning", offset));
                    };
                    match open.last_mut() {
                        Some(around) => around.children.push(closed),
                        None => return Ok(closed),
                    }
                }
                Piece::Eof => return Err(malformed("it does not end", offset)),
            }
        }
    }

    /// Allows the source to give one more piece.
    fn allow(&mut self) {
        self.reader.get_mut().left = self.limits.piece_bytes;
    }

    fn piece(&mut self) -> Result<Piece, StreamError> {
        loop {
            let offset = self.reader.buffer_position();
            self.buffer.clear();
            let event = self.reader.read_resolved_event_into(&mut self.buffer);
            let (namespace, event) = event.map_err(|error| failed(error, offset))?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > self.limits.depth {
                        let what = "elements too deep inside each other";
                        return Err(StreamError::TooMuch { what, offset });
                    }
                    let node = element(&namespace, &start, &self.limits, offset)?;
                    return Ok(Piece::Start(node));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Piece::End);
                }
                Event::Text(text) => return characters(text.xml10_content().into_owned(), offset),
                Event::CData(text) => return characters(text.xml10_content().into_owned(), offset),
                Event::GeneralRef(reference) => {
                    return characters(of_xml(&reference, offset)?, offset);
                }
                Event::DocType(_) => return Err(StreamError::DocumentType(offset)),
                Event::Eof => return Ok(Piece::Eof),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }
}

fn malformed(reason: impl ToString, offset: u64) -> StreamError {
    StreamError::Malformed {
        reason: reason.to_string(),
        offset,
    }
}

fn failed(error: quick_xml::Error, offset: u64) -> StreamError {
    match error {
        quick_xml::Error::Io(error) if error.kind() == BEYOND => StreamError::TooMuch {
            what: "a piece that is too long",
            offset,
        },
        quick_xml::Error::Io(error) => {
            StreamError::Io(io::Error::new(error.kind(), error.to_string()))
        }
        other => malformed(other, offset),
    }
}

/// Text, if XML can hold it.
fn characters(text: String, offset: u64) -> Result<Piece, StreamError> {
    match no_character(&text) {
        None => Ok(Piece::Text(text)),
        Some(_) => Err(malformed(NO_CHARACTER, offset)),
    }
}

/// What a reference stands for.
fn of_xml(reference: &BytesRef<'_>, offset: u64) -> Result<String, StreamError> {
    let name: &str = reference;
    Ok(match name {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        _ => {
            let character = reference.resolve_char_ref();
            let character = character.map_err(|error| malformed(error, offset))?;
            character.ok_or(StreamError::Entity(offset))?.to_string()
        }
    })
}

fn element(
    namespace: &ResolveResult<'_>,
    start: &BytesStart<'_>,
    limits: &Limits,
    offset: u64,
) -> Result<Node, StreamError> {
    let namespace = match namespace {
        ResolveResult::Bound(Namespace(name)) => (*name).to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(prefix) => {
            let reason = format!("the prefix {prefix:.40?} has no namespace");
            return Err(malformed(reason, offset));
        }
    };
    let name: &str = start.local_name().into_inner();
    if name.is_empty() {
        return Err(malformed("an element without a name", offset));
    }
    if no_character(name).is_some() {
        return Err(malformed(NO_CHARACTER, offset));
    }
    let mut attributes = Vec::new();
    // Declarations count: each is compared with those before it, and every name with all of them.
    for (place, attribute) in start.attributes().enumerate() {
        let attribute = attribute.map_err(|error| malformed(error, offset))?;
        if place >= limits.attributes {
            let what = "an element of too many attributes";
            return Err(StreamError::TooMuch { what, offset });
        }
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| StreamError::Entity(offset))?;
        let key: &str = attribute.key.0;
        if no_character(&value).is_some() || no_character(key).is_some() {
            return Err(malformed(NO_CHARACTER, offset));
        }
        if key.is_empty() {
            return Err(malformed("an attribute without a name", offset));
        }
        attributes.push((key.to_owned(), value.into_owned()));
    }
    Ok(Node {
        namespace,
        name: name.to_owned(),
        attributes,
        offset,
        ..Node::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const LIMITS: Limits = Limits {
        piece_bytes: 200,
        depth: 4,
        elements: 3,
        attributes: 3,
    };

    /// The elements directly inside the outermost one, whole.
    fn inside(text: &str) -> Result<Vec<Node>, StreamError> {
        // A small buffer: pieces lie across its ends.
        let source = io::BufReader::with_capacity(7, text.as_bytes());
        let mut stream = Stream::new(source, LIMITS);
        let mut found = Vec::new();
        if stream.enter()?.is_some() {
            while let Some(node) = stream.enter()? {
                found.push(stream.whole(node)?);
            }
        }
        match stream.enter()? {
            Some(_) => panic!("a second outermost element was let through"),
            None => Ok(found),
        }
    }

    #[test]
    fn pieces_come_with_their_namespaces() {
        let text = "<?xml version='1.0'?>\n<a:r xmlns:a='urn:a' xmlns='urn:b'>\n<a:x n='1&amp;&#9;2'>t&lt;<![CDATA[<]]>\
            <y/></a:x>\n<!-- c --><z/></a:r>\n";
        let found = inside(text).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|node| (node.namespace.as_str(), node.name.as_str()))
            .collect();
        assert_eq!(names, [("urn:a", "x"), ("urn:b", "z")]);
        let first = found.first().unwrap();
        assert_eq!(first.attribute("n"), Some("1&\t2"));
        assert_eq!(first.text, "t<<");
        assert!(first.children.first().unwrap().is("urn:b", "y"));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let too_much = |text: &str| matches!(inside(text), Err(StreamError::TooMuch { .. }));
        assert!(inside(&format!("<r>{}</r>", "<x/>".repeat(1_000))).is_ok());
        assert!(too_much(&format!("<r><x>{}</x></r>", "t".repeat(201))));
        assert!(too_much(&format!("<r><x n='{}'/></r>", "t".repeat(201))));
        assert!(too_much(&format!("<r>{}</r>", " ".repeat(201))));
        assert!(too_much(&format!("<r><!--{}--></r>", "t".repeat(201))));
        assert!(too_much("<r><x><a/><a/><a/><a/></x></r>"));
        assert!(too_much("<r><x><a><b><c/></b></a></x></r>"));
        assert!(too_much("<r><x a='' b='' c='' d=''/></r>"));
        let declared = "<r xmlns='' xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c'/>";
        assert!(too_much(declared));
    }

    #[test]
    fn what_could_reach_out_or_is_no_xml_is_refused() {
        let doctype = "<!DOCTYPE r [<!ENTITY l 'ha'>]><r>&l;</r>";
        assert!(matches!(inside(doctype), Err(StreamError::DocumentType(_))));
        assert!(matches!(
            inside("<r><x>&l;</x></r>"),
            Err(StreamError::Entity(_))
        ));
        for text in [
            "<r><x>\u{1}</x></r>",
            "<r><x>&#1;</x></r>",
            "<r><x><![CDATA[\0]]></x></r>",
            "<r><x n='\u{8}'/></r>",
            "<r><x n='&#8;'/></r>",
            "<r><x\u{2}/></r>",
        ] {
            let read = inside(text);
            assert!(matches!(read, Err(StreamError::Malformed { .. })), "{text}");
        }
        assert!(matches!(
            inside("<r><x n='&l;'/></r>"),
            Err(StreamError::Entity(_))
        ));
        for text in [
            "",
            "t",
            "<r>",
            "<r><x></r>",
            "<r>t</r>",
            "<r/><r/>",
            "<p:r/>",
            "<r><x a='1' a='2'/></r>",
            "<r",
            "</r>",
            "<r><x>",
            "<r><!-- -- --></r>",
        ] {
            assert!(inside(text).is_err(), "{text}");
        }
    }
}
