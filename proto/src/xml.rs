//! XML, read and written: the little that Handle values hold, and the documents exchanged with the
//! national node. A document is a tree of bounded size: elements, their attributes, their text.
//!
//! Document types are refused, and with them every entity but the five that XML itself has: what
//! a document says must not depend on anything but the document, nor grow when it is read.

mod names;
mod write;

pub use names::Named;
use write::{NO_CHARACTER, no_character};
pub use write::{Writer, is_character};

use quick_xml::escape::resolve_xml_entity;
pub mod stream;

use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use thiserror::Error;

/// Longest document, bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// Elements may lie inside each other this deep.
pub const MAX_DEPTH: usize = 16;
/// Most elements of a document.
pub const MAX_ELEMENTS: usize = 2_048;
/// Most attributes of an element.
pub const MAX_ATTRIBUTES: usize = 64;

/// Why a document is refused. Offsets are bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum XmlError {
    /// Longer than [`Limits::bytes`].
    #[error("is {length} bytes long, at most {most} are read")]
    TooLong {
        /// Its length.
        length: usize,
        /// The bound.
        most: usize,
    },
    /// Not UTF-8.
    #[error("is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// More of something than is read.
    #[error("has {what} than {most} at byte {offset}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
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

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, as it is written.
    pub name: String,
    /// Names and values of its attributes, in order; no name twice.
    pub attributes: Vec<(String, String)>,
    /// What is inside it, in order.
    pub children: Vec<Element>,
    /// Its own text, all of it together: what is between the elements inside it.
    pub text: String,
}

/// How long a document may be, and how much it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest document, bytes.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Elements of a document.
    pub elements: usize,
    /// Attributes of an element.
    pub attributes: usize,
}

impl Limits {
    /// Those of XML in a Handle value.
    pub const OF_VALUES: Self = Self {
        bytes: MAX_BYTES,
        depth: MAX_DEPTH,
        elements: MAX_ELEMENTS,
        attributes: MAX_ATTRIBUTES,
    };
}

impl Element {
    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Reads a document within [`Limits::OF_VALUES`]: its one outermost element.
    ///
    /// # Errors
    /// It is not well-formed, or more than is read.
    pub fn parse(document: &[u8]) -> Result<Self, XmlError> {
        Self::parse_within(document, Limits::OF_VALUES)
    }

    /// Reads a document: its one outermost element.
    ///
    /// # Errors
    /// It is not well-formed, or more than is read.
    pub fn parse_within(document: &[u8], limits: Limits) -> Result<Self, XmlError> {
        if document.len() > limits.bytes {
            return Err(XmlError::TooLong {
                length: document.len(),
                most: limits.bytes,
            });
        }
        let text = std::str::from_utf8(document)
            .map_err(|error| XmlError::NotUtf8(error.valid_up_to()))?;
        if let Some(at) = no_character(text) {
            return Err(malformed(&NO_CHARACTER, at as u64));
        }
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut tree = Tree::new(limits);
        loop {
            let offset = reader.buffer_position();
            let event = reader
                .read_event()
                .map_err(|error| malformed(&error, reader.error_position()))?;
            match event {
                Event::Start(start) => tree.open(&start, offset)?,
                Event::Empty(start) => {
                    tree.open(&start, offset)?;
                    tree.close(offset)?;
                }
                Event::End(_) => tree.close(offset)?,
                Event::DocType(_) => return Err(XmlError::DocumentType(offset)),
                Event::GeneralRef(reference) => tree.character(&reference, offset)?,
                Event::Text(text) => tree.text(&text.xml10_content(), offset)?,
                Event::CData(text) => tree.text(&text.xml10_content(), offset)?,
                Event::Decl(declared) => in_utf8(&declared, offset)?,
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return tree.finish(offset),
            }
        }
    }
}

/// Err where a document says that it is in another encoding: what it means would be misread.
fn in_utf8(declared: &BytesDecl<'_>, offset: u64) -> Result<(), XmlError> {
    let encoding = declared.encoding().transpose();
    let encoding = encoding.map_err(|error| malformed(&error, offset))?;
    let name = encoding.as_deref().unwrap_or("UTF-8");
    if ["UTF-8", "US-ASCII"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
    {
        return Ok(());
    }
    let reason = format!("it is declared to be in {name:.40}, and UTF-8 alone is read");
    Err(malformed(&reason, offset))
}

fn malformed(reason: &impl ToString, offset: u64) -> XmlError {
    XmlError::Malformed {
        reason: reason.to_string(),
        offset,
    }
}

/// What has been read of a document.
#[derive(Debug)]
struct Tree {
    limits: Limits,
    /// Elements that have begun and not ended, the outermost first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            root: None,
            elements: 0,
        }
    }

    /// Text: around the outermost element only white space is there.
    fn text(&mut self, text: &str, offset: u64) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_ascii().is_empty() => {}
            None => return Err(malformed(&"text outside of every element", offset)),
        }
        Ok(())
    }

    /// A character by its number, or one of the five that have names in XML itself.
    fn character(&mut self, reference: &BytesRef<'_>, offset: u64) -> Result<(), XmlError> {
        if reference.is_char_ref() {
            let character = reference
                .resolve_char_ref()
                .ok()
                .flatten()
                .filter(|c| is_character(*c))
                .ok_or_else(|| malformed(&"a number that is no character", offset))?;
            return self.text(character.encode_utf8(&mut [0; 4]), offset);
        }
        let name: &str = reference;
        let text = resolve_xml_entity(name).ok_or(XmlError::Entity(offset))?;
        self.text(text, offset)
    }

    fn open(&mut self, start: &BytesStart<'_>, offset: u64) -> Result<(), XmlError> {
        let limits = self.limits;
        let too_many = |what, most| Err(XmlError::TooMany { what, most, offset });
        if self.root.is_some() {
            return Err(malformed(&"a second outermost element", offset));
        }
        if self.open.len() >= limits.depth {
            return too_many("elements deeper", limits.depth);
        }
        if self.elements >= limits.elements {
            return too_many("more elements", limits.elements);
        }
        self.elements += 1;
        let name: &str = start.name().0;
        if name.is_empty() {
            return Err(malformed(&"an element without a name", offset));
        }
        let mut element = Element {
            name: name.to_owned(),
            ..Element::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error: AttrError| malformed(&error, offset))?;
            if element.attributes.len() >= limits.attributes {
                return too_many("an element of more attributes", limits.attributes);
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlError::Entity(offset))?;
            if no_character(&value).is_some() {
                return Err(malformed(&NO_CHARACTER, offset));
            }
            let key: &str = attribute.key.0;
            if key.is_empty() {
                return Err(malformed(&"an attribute without a name", offset));
            }
            element
                .attributes
                .push((key.to_owned(), value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self, offset: u64) -> Result<(), XmlError> {
        let Some(closed) = self.open.pop() else {
            return Err(malformed(&"an end without a beginning", offset));
        };
        match self.open.last_mut() {
            Some(around) => around.children.push(closed),
            None => self.root = Some(closed),
        }
        Ok(())
    }

    fn finish(self, offset: u64) -> Result<Element, XmlError> {
        match (self.open.last(), self.root) {
            (Some(open), _) => {
                let reason = format!("<{:.40}> does not end", open.name);
                Err(malformed(&reason, offset))
            }
            (None, Some(root)) => Ok(root),
            (None, None) => Err(malformed(&"there is no element", offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Element, XmlError> {
        Element::parse(text.as_bytes())
    }

    #[test]
    fn everything_has_a_name() {
        for text in ["< x='1'/>", "<a ='1'/>"] {
            assert!(
                matches!(parse(text), Err(XmlError::Malformed { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn elements_and_attributes_are_read() {
        let text = "\u{feff}<?xml version='1.0'?><!-- a -->\n<a x='1&amp;2&#x33;' y=\"\n\">\
            t &lt; <![CDATA[<z/>]]><b/><c><d z='产'/></c></a><!-- b -->\n";
        let root = parse(text).unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.attribute("x"), Some("1&23"));
        assert_eq!(root.attribute("y"), Some(" "));
        assert_eq!(root.attribute("z"), None);
        let names: Vec<&str> = root.children.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        let inner = root.children.iter().flat_map(|it| &it.children);
        assert!(inner.eq([&Element {
            name: "d".into(),
            attributes: vec![("z".into(), "产".into())],
            ..Element::default()
        }]));
        assert_eq!(root.text.trim(), "t < <z/>");
    }

    #[test]
    fn another_encoding_is_not_misread() {
        for known in ["UTF-8", "utf-8", "us-ascii"] {
            parse(&format!("<?xml version='1.0' encoding='{known}'?><a/>")).unwrap();
        }
        let refused = parse("<?xml version='1.0' encoding='ISO-8859-1'?><a/>").unwrap_err();
        assert!(refused.to_string().contains("ISO-8859-1"), "{refused}");
    }

    #[test]
    fn what_could_grow_or_reach_out_is_refused() {
        let laughs = "<!DOCTYPE a [<!ENTITY l 'ha'><!ENTITY m '&l;&l;'>]><a x='&m;'/>";
        assert_eq!(parse(laughs), Err(XmlError::DocumentType(0)));
        let outside = "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>";
        assert_eq!(parse(outside), Err(XmlError::DocumentType(0)));
        assert!(matches!(parse("<a>&m;</a>"), Err(XmlError::Entity(3))));
        assert!(matches!(parse("<a x='&m;'/>"), Err(XmlError::Entity(_))));
        assert!(matches!(
            parse(&" ".repeat(MAX_BYTES + 1)),
            Err(XmlError::TooLong { .. })
        ));
        let nested = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(
            parse(&nested(MAX_DEPTH + 1)),
            Err(XmlError::TooMany { .. })
        ));
        let many = |count| format!("<a>{}</a>", "<b/>".repeat(count));
        assert!(parse(&many(MAX_ELEMENTS - 1)).is_ok());
        assert!(matches!(
            parse(&many(MAX_ELEMENTS)),
            Err(XmlError::TooMany { .. })
        ));
        let wide = |count| {
            let attributes: String = (0..count).map(|it| format!(" x{it}=''")).collect();
            format!("<a{attributes}/>")
        };
        assert!(parse(&wide(MAX_ATTRIBUTES)).is_ok());
        assert!(matches!(
            parse(&wide(MAX_ATTRIBUTES + 1)),
            Err(XmlError::TooMany { .. })
        ));
        assert_eq!(Element::parse(b"<a>\xff</a>"), Err(XmlError::NotUtf8(3)));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in [
            "",
            "text",
            "<a/>text",
            "<a>&#0;</a>",
            "<a>\u{1}</a>",
            "<a>\u{ffff}</a>",
            "<a><![CDATA[\0]]></a>",
            "<a x='\u{8}'/>",
            "<a x='&#8;'/>",
            "<a\u{2}/>",
            "<a>&#xD800;</a>",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a",
            "<a x/>",
            "<a x=1 x=2/>",
            "<a x='1' x='2'/>",
            "<a><b></a></b>",
            "<a x='&'/>",
            "<!--",
            "<a><![CDATA[</a>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn junk_is_refused_or_bounded(pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "<a>", "</a>", "<b x='1'/>", "<", ">", "/", "&amp;", "&x;", "'", "\"", "=", "x",
                "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!DOCTYPE", "产", "\0", " ",
            ]), 0..60)) {
            let text = pieces.concat();
            match parse(&text) {
                Ok(root) => prop_assert!(!root.name.is_empty()),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
