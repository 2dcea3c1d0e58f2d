//! Answers (RFC 5730 section 2.6).

use super::identifier::{Checked, IdentifierInfo};
use super::prefix::Audit;
use super::read::Read;
use super::{
    NS_ENTERPRISE, NS_IDENTIFIER, NS_PREFIX, NS_PREFIX_OLD, Refused, ResultCode, read::not_number,
};
use crate::xml::Writer;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What became of the command.
    pub code: ResultCode,
    /// The same for people.
    pub text: String,
    /// Why, where it was refused.
    pub reason: Option<String>,
    /// How the queue of messages stands.
    pub queue: Option<MessageQueue>,
    /// What was asked for.
    pub data: Option<Data>,
    /// The client's name for the transaction.
    pub client_id: Option<String>,
    /// The server's name for it.
    pub server_id: String,
}

/// The queue of a client's messages (RFC 5730 section 2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQueue {
    /// Messages in it.
    pub count: u64,
    /// The first of them, or the one that was acknowledged.
    pub id: String,
    /// When that one came, in UTC; with the message itself.
    pub date: Option<String>,
    /// Its text.
    pub text: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// The number of an enterprise (`ent:chkData`).
    CheckedEnterprise(String),
    /// The number that an enterprise got (`ent:creData`).
    CreatedEnterprise(String),
    /// What became of an application (`prefix:resData`).
    Audit(Audit),
    /// Which identifiers are free (`identifier:chkData`).
    CheckedIdentifiers(Vec<Checked>),
    /// What is known of an identifier (`identifier:infData`).
    Identifier(Box<IdentifierInfo>),
    /// What is not understood, and why: objects of others, or less than the drafts name. The rest of
    /// the answer holds all the same.
    Unknown(String),
}

impl Response {
    /// An answer with nothing but a code.
    pub fn new(code: ResultCode, client_id: Option<String>, server_id: impl Into<String>) -> Self {
        Self {
            code,
            text: code.text().to_owned(),
            reason: None,
            queue: None,
            data: None,
            client_id,
            server_id: server_id.into(),
        }
    }

    pub(super) fn read(response: Read<'_>) -> Result<Self, Refused> {
        let result = response.needed("result")?;
        let code = result.attribute("code").unwrap_or_default();
        let number = code.parse().ok().and_then(ResultCode::new);
        let ids = response.needed("trID")?;
        let reason = result
            .child("extValue")
            .and_then(|it| it.child("reason"))
            .map(|it| it.text().map(str::to_owned));
        let data = response
            .child("resData")
            .map(|data| Data::read(data).unwrap_or_else(|refused| Data::Unknown(refused.reason)));
        Ok(Self {
            code: number.ok_or_else(|| not_number("code of result", code))?,
            text: result.field("msg")?,
            reason: reason.transpose()?,
            queue: response.child("msgQ").map(MessageQueue::read).transpose()?,
            data,
            client_id: ids.optional("clTRID")?,
            server_id: ids.field("svTRID")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("response", &[]);
        let code = self.code.number().to_string();
        out.open("result", &[("code", &code)]);
        out.leaf("msg", &self.text);
        if let Some(reason) = &self.reason {
            // What is at fault is not quoted (RFC 5730 section 2.6: undef).
            out.open("extValue", &[]);
            out.open("value", &[]).leaf("undef", "").close();
            out.leaf("reason", reason).close();
        }
        out.close();
        if let Some(queue) = &self.queue {
            queue.write(out);
        }
        if let Some(data) = &self.data {
            out.open("resData", &[]);
            data.write(out);
            out.close();
        }
        out.open("trID", &[]);
        out.optional("clTRID", self.client_id.as_deref())
            .leaf("svTRID", &self.server_id);
        out.close().close();
    }
}

impl MessageQueue {
    fn read(queue: Read<'_>) -> Result<Self, Refused> {
        let count = queue.attribute("count").unwrap_or_default();
        Ok(Self {
            count: count.parse().map_err(|_| not_number("count", count))?,
            id: queue.attribute("id").unwrap_or_default().to_owned(),
            date: queue.optional("qDate")?,
            text: queue.optional("msg")?,
        })
    }

    fn write(&self, out: &mut Writer) {
        let count = self.count.to_string();
        out.open("msgQ", &[("count", &count), ("id", &self.id)]);
        out.optional("qDate", self.date.as_deref())
            .optional("msg", self.text.as_deref())
            .close();
    }
}

impl Data {
    fn read(data: Read<'_>) -> Result<Self, Refused> {
        let data = data.only_child()?;
        Ok(match (data.namespace(), data.name()) {
            (NS_ENTERPRISE, "chkData") => Self::CheckedEnterprise(data.filled("entId")?),
            (NS_ENTERPRISE, "creData") => Self::CreatedEnterprise(data.filled("entId")?),
            (NS_PREFIX | NS_PREFIX_OLD, "resData") => Self::Audit(Audit::read(data)?),
            (NS_IDENTIFIER, "chkData") => Self::CheckedIdentifiers(Checked::read_all(data)?),
            (NS_IDENTIFIER, "infData") => Self::Identifier(Box::new(IdentifierInfo::read(data)?)),
            (_, other) => {
                let reason = format!("resData holds {other:.40}, which is not known");
                return Err(Refused::new(ResultCode::UNIMPLEMENTED_OBJECT, reason));
            }
        })
    }

    fn write(&self, out: &mut Writer) {
        let ent = [("xmlns:ent", NS_ENTERPRISE)];
        match self {
            Self::CheckedEnterprise(id) => {
                out.open("ent:chkData", &ent).leaf("ent:entId", id).close();
            }
            Self::CreatedEnterprise(id) => {
                out.open("ent:creData", &ent).leaf("ent:entId", id).close();
            }
            Self::Audit(audit) => audit.write(out),
            Self::CheckedIdentifiers(checked) => Checked::write_all(checked, out),
            Self::Identifier(info) => info.write(out),
            Self::Unknown(_) => {}
        }
    }
}
