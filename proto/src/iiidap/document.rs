//! The JSON documents of RESPONSES. One type holds whatever a document may hold, since clients
//! tell lookups, searches, help and errors apart by the members that are there; servers make it
//! by [`Document::lookup`] and the others.

use super::{LEVEL_0, MAX_DOCUMENT_BYTES};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// A document that is none.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// It is longer than [`MAX_DOCUMENT_BYTES`].
    #[error("the document is {0} bytes, at most {MAX_DOCUMENT_BYTES} are read")]
    TooLong(usize),
    /// It is no JSON, or a member is of another type.
    #[error("the document cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// A link to something else (RESPONSES §4.2, RFC 8288).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The URI of what has the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the link is to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rel: Option<String>,
    /// Where it leads.
    pub href: String,
    /// Languages of what is there (RFC 5646).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hreflang: Vec<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is meant to be shown on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Media type of what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}

/// A notice, about the service or the whole answer, or a remark, about the object that has it
/// (RESPONSES §4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A value that programs know, such as [`Notice::TRUNCATED_DATA`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Paragraphs for people.
    pub description: Vec<String>,
    /// Where more is to be found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl Notice {
    /// Type of a remark: the caller may not see all members (RESPONSES §4.3, Figure 6).
    pub const TRUNCATED_DATA: &str = "information truncated due to authorization";
    /// Type of a notice: others may have more results (RESPONSES §9, Figure 12).
    pub const TRUNCATED_RESULTS: &str = "result set truncated due to authorization";
    /// Type of a notice: there are more results than one answer takes. Named as the like one of
    /// RDAP (RFC 9083 §10.2.1), RESPONSES having none for it.
    pub const TRUNCATED_BY_LOAD: &str = "result set truncated due to excessive load";

    /// With a title and paragraphs.
    pub fn new<const N: usize>(title: &str, description: [&str; N]) -> Self {
        Self {
            title: Some(title.to_owned()),
            description: description.map(str::to_owned).to_vec(),
            ..Self::default()
        }
    }

    /// The same with a type.
    pub fn typed(self, r#type: &str) -> Self {
        Self {
            r#type: Some(r#type.to_owned()),
            ..self
        }
    }

    /// The same with a further link.
    pub fn linked(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }
}

/// A picture (RESPONSES §3, Figure 7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Photo {
    /// Such as `data:image/jpeg;base64`.
    pub mime: String,
    /// Base64.
    pub data: String,
}

/// The legal person of a node (RESPONSES §5). Personal in whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LegalPerson {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of an identity document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_number: Option<String>,
    /// Which document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_type: Option<String>,
    /// A picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_photo: Option<Photo>,
}

/// Who to talk to (RESPONSES §5). Personal in whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A secondary node or an enterprise (RESPONSES §5). Whatever is not known is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Such as `enterprises and institutions`; which there are, the national node says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nature: Option<String>,
    /// Its branch, such as `manufacturing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Its branch more closely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its legally binding number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_number: Option<String>,
    /// `unified social credit code` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_type: Option<String>,
    /// A picture of the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_photo: Option<Photo>,
    /// What it does. `introduction` in Figure 7, `introduce` in the text: both are read.
    #[serde(skip_serializing_if = "Option::is_none", alias = "introduce")]
    pub introduction: Option<String>,
    /// An array in Figure 7, an object in the text and Figure 13: both are read.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub legal_person: Vec<LegalPerson>,
    /// As the legal person.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub contact: Vec<Contact>,
}

impl Node {
    /// What [`Node::public`] takes away, by the names of the document's members.
    pub const NOT_PUBLIC: &str = "node.address, node.idNumber, node.idType, node.idPhoto, \
        node.legalPerson, node.contact";

    /// What everybody may see: name, nature, branch and introduction, as RESPONSES §13 has it.
    pub fn public(self) -> Self {
        Self {
            name: self.name,
            nature: self.nature,
            r#type: self.r#type,
            sub_type: self.sub_type,
            introduction: self.introduction,
            ..Self::default()
        }
    }
}

/// A registered identifier of a secondary node or an enterprise: a prefix (RESPONSES §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Registration {
    /// The prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// When it was registered (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reg_time: Option<String>,
    /// [`super::STATUS_OK`], [`super::STATUS_HOLD`], or what else the national node defines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// About it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Notice>,
}

/// Any answer of IIIDAP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Document {
    /// What it conforms with (RESPONSES §4.1).
    #[serde(rename = "iiidapConformance", skip_serializing_if = "Vec::is_empty")]
    pub conformance: Vec<String>,
    /// About the service and the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Language of the texts (RFC 5646; RESPONSES §4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Of an error: the HTTP status (RESPONSES §6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// Of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of an error: paragraphs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub description: Vec<String>,
    /// Of a lookup.
    #[serde(flatten)]
    pub registration: Registration,
    /// Of a search (RESPONSES §8).
    #[serde(rename = "NodeSearchResults", skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<Registration>>,
}

impl Document {
    fn of_this_level() -> Self {
        Self {
            conformance: vec![LEVEL_0.to_owned()],
            ..Self::default()
        }
    }

    /// The answer to a lookup.
    pub fn lookup(registration: Registration, lang: &str, notices: Vec<Notice>) -> Self {
        Self {
            registration,
            lang: Some(lang.to_owned()),
            notices,
            ..Self::of_this_level()
        }
    }

    /// The answer to a search.
    pub fn search(results: Vec<Registration>, lang: &str, notices: Vec<Notice>) -> Self {
        Self {
            results: Some(results),
            lang: Some(lang.to_owned()),
            notices,
            ..Self::of_this_level()
        }
    }

    /// The answer to `help` (RESPONSES §7).
    pub fn help(notices: Vec<Notice>) -> Self {
        Self {
            notices,
            lang: Some("en".to_owned()),
            ..Self::of_this_level()
        }
    }

    /// An answer that is an error (RESPONSES §6), or a redirect's.
    pub fn error(status: u16, title: &str, description: Vec<String>) -> Self {
        Self {
            error_code: Some(status),
            title: Some(title.to_owned()),
            description,
            lang: Some("en".to_owned()),
            ..Self::of_this_level()
        }
    }

    /// Reads a document; members that are not known are passed over (RESPONSES §2.1).
    ///
    /// # Errors
    /// It is too long, no JSON, or a member is of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        Ok(serde_json::from_slice(within_bounds(bytes)?)?)
    }
}

impl Registration {
    /// Reads an array of registrations, as an operator writes down the node's own.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, DocumentError> {
        Ok(serde_json::from_slice(within_bounds(bytes)?)?)
    }
}

fn within_bounds(bytes: &[u8]) -> Result<&[u8], DocumentError> {
    match bytes.len() {
        0..=MAX_DOCUMENT_BYTES => Ok(bytes),
        length => Err(DocumentError::TooLong(length)),
    }
}

fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
    })
}
