//! What is registered at the national node, as the book keeps it.

use std::collections::BTreeMap;

use idnode_proto::epp::enterprise::{Contact, Enterprise, Reach};
use idnode_proto::epp::prefix::Audit;
use serde::{Deserialize, Serialize};

use crate::national::book::{Page, Table};
use crate::national::{Failure, now_ms};

/// Enterprises by their number.
pub const ENTERPRISES: Table = Table::new("epp_enterprises");
/// Numbers of enterprises by the codes of their certificates.
pub const CODES: Table = Table::new("epp_codes");
/// Prefixes by their text.
pub const PREFIXES: Table = Table::new("epp_prefixes");
/// Identifiers by their name.
pub const IDENTIFIERS: Table = Table::new("epp_identifiers");
/// Messages by their client and number.
pub const QUEUE: Table = Table::new("epp_queue");
/// Answers by their client and its name for the transaction.
pub const ANSWERS: Table = Table::new("epp_answers");

/// An enterprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEnterprise {
    /// The secondary node that registered it.
    pub client: String,
    /// What was told of it, by the names of the elements.
    pub told: BTreeMap<String, String>,
    /// How often it was changed since.
    pub updates: u64,
}

/// How far a prefix has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefixState {
    /// Applied for.
    Pending,
    /// Granted.
    Passed,
    /// Refused; may be applied for again.
    Refused,
    /// Granted, and withdrawn since; may be granted again.
    Withdrawn,
}

/// What a person decides about a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An application is granted.
    Pass,
    /// An application is refused.
    Refuse,
    /// What was granted is withdrawn.
    Withdraw,
    /// What was withdrawn is granted again.
    Grant,
}

impl Outcome {
    /// Where it leads from a state; `None`: it can't be decided there.
    fn after(self, state: PrefixState) -> Option<PrefixState> {
        match (state, self) {
            (PrefixState::Pending, Self::Pass) | (PrefixState::Withdrawn, Self::Grant) => {
                Some(PrefixState::Passed)
            }
            (PrefixState::Pending, Self::Refuse) => Some(PrefixState::Refused),
            (PrefixState::Passed, Self::Withdraw) => Some(PrefixState::Withdrawn),
            _ => None,
        }
    }
}

/// A prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPrefix {
    /// The secondary node.
    pub client: String,
    /// Its prefix.
    pub node_prefix: String,
    /// The enterprise's number.
    pub enterprise_id: String,
    /// How far it has come.
    pub state: PrefixState,
    /// What the auditor said.
    pub message: String,
    /// The client's name for the transaction that applied.
    pub client_id: String,
    /// The server's.
    pub server_id: String,
}

/// A message to a secondary node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The prefix it is about.
    pub prefix: String,
    /// When it came into the queue, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What became of the application.
    pub application: StoredPrefix,
}

/// An answer that is given again when the same is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// SHA-256 of what was asked, in hex.
    pub digest: String,
    /// The document.
    pub answer: String,
}

/// An identifier: the command that would register it as it is now, and its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredIdentifier {
    /// The secondary node that registered it.
    pub client: String,
    /// The document.
    pub create: String,
    /// The states.
    pub statuses: Vec<String>,
    /// How often it was changed since.
    #[serde(default)]
    pub updates: u64,
}

impl Queued {
    /// As it is told.
    pub fn audit(&self) -> Audit {
        let sign = |good: bool| if good { Audit::GOOD } else { Audit::BAD }.to_owned();
        let state = self.application.state;
        Audit {
            client_id: self.application.client_id.clone(),
            server_id: self.application.server_id.clone(),
            enterprise_id: self.application.enterprise_id.clone(),
            prefix: self.prefix.clone(),
            state: sign(state != PrefixState::Withdrawn),
            result: sign(state != PrefixState::Refused),
            message: self.application.message.clone(),
        }
    }
}

/// Decides about a prefix and puts the message into the queue. False: this is not to be decided.
///
/// # Errors
/// The book fails.
pub fn decide(page: &Page, prefix: &str, outcome: Outcome, message: &str) -> Result<bool, Failure> {
    let Some(mut application) = page.get::<StoredPrefix>(PREFIXES, prefix)? else {
        return Ok(false);
    };
    let Some(state) = outcome.after(application.state) else {
        return Ok(false);
    };
    application.state = state;
    message.clone_into(&mut application.message);
    page.put(PREFIXES, prefix, &application)?;
    let key = queue_key(&application.client, page.next("epp message")?);
    let message = Queued {
        prefix: prefix.to_owned(),
        at_ms: now_ms(),
        application,
    };
    page.put(QUEUE, &key, &message)?;
    Ok(true)
}

/// Where a client's message is kept: in the order of their numbers.
pub fn queue_key(client: &str, number: u64) -> String {
    format!("{client}/{number:020}")
}

/// All that is told of an enterprise, by the names of the elements; images by their length.
pub fn told(enterprise: &Enterprise) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let mut put = |name: &str, text: &str| {
        told.insert(name.to_owned(), text.to_owned());
    };
    put("entType", &enterprise.kind);
    put("entCrCode", &enterprise.certificate_code);
    put("entNameCn", &enterprise.name);
    put(
        "entCrtImg bytes",
        &enterprise.certificate_image.data.len().to_string(),
    );
    let person = &enterprise.legal_person;
    put("legalPerson name", &person.name);
    put("legalPerson idType", &person.id_type);
    put("legalPerson idNo", &person.id_number);
    put(
        "legalPerson idImg bytes",
        &person.image.data.len().to_string(),
    );
    reached(&mut told, &enterprise.reach);
    told
}

/// Replaces what is named of how to reach an enterprise.
pub fn reached(told: &mut BTreeMap<String, String>, reach: &Reach) {
    for (name, text) in [
        ("entProvinceCode", &reach.province),
        ("entCityCode", &reach.city),
        ("entCountyCode", &reach.county),
        ("entAddrCn", &reach.address),
        ("entNameEn", &reach.name_en),
        ("entAddrEn", &reach.address_en),
        ("entWebSite", &reach.website),
        ("entDesc", &reach.description),
    ] {
        if let Some(text) = text {
            told.insert(name.to_owned(), text.clone());
        }
    }
    if let Some(Contact { name, email, phone }) = &reach.contact {
        told.insert("contact name".to_owned(), name.clone());
        told.insert("contact email".to_owned(), email.clone());
        told.insert("contact phone".to_owned(), phone.clone());
    }
}
