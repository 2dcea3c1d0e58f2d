//! What commands do with what is registered.

use idnode_proto::epp::enterprise::{
    Change, EnterpriseCheck, EnterpriseCreate, EnterpriseUpdate, OTHER_CERTIFICATE,
    SOCIAL_CREDIT_CODE,
};
use idnode_proto::epp::identifier::{
    Added, Checked, IdentifierCreate, IdentifierInfo, IdentifierUpdate, Removed,
};
use idnode_proto::epp::prefix::{PrefixCheck, PrefixCreate};
use idnode_proto::epp::{Command, Data, Document, MessageQueue, Operation, Refused, ResultCode};
use idnode_proto::identifier::{Prefix, Scheme};

use super::Review;
use super::engine::Account;
use super::store::{
    CODES, ENTERPRISES, IDENTIFIERS, Outcome, PREFIXES, PrefixState, StoredEnterprise,
    StoredIdentifier, StoredPrefix, decide, reached, told,
};
use crate::national::Failure;
use crate::national::book::{Book, Page};

/// What an answer says beside its ids.
#[derive(Debug)]
pub(super) struct Answer {
    pub code: ResultCode,
    pub queue: Option<MessageQueue>,
    pub data: Option<Data>,
}

impl Answer {
    /// Nothing but a code.
    pub fn of(code: ResultCode) -> Self {
        Self {
            code,
            queue: None,
            data: None,
        }
    }

    fn with(data: Data) -> Self {
        Self {
            data: Some(data),
            ..Self::of(ResultCode::OK)
        }
    }
}

/// An answer, a refusal, or the book's failure.
pub(super) type Answered = Result<Result<Answer, Refused>, Failure>;

/// Leaves a function with a refusal.
macro_rules! refuse {
    ($code:ident, $($reason:tt)+) => {
        return Ok(Err(Refused::new(ResultCode::$code, format!($($reason)+))))
    };
}

/// Answers a question.
pub(super) fn query(book: &Book, account: &Account, operation: &Operation) -> Answered {
    match operation {
        Operation::CheckEnterprise(check) => check_enterprise(book, account, check),
        Operation::CheckPrefix(check) => check_prefix(book, account, check),
        Operation::CheckIdentifiers(names) => check_identifiers(book, names),
        Operation::InfoIdentifier(name) => info_identifier(book, account, name),
        _ => refuse!(UNIMPLEMENTED_COMMAND, "no question"),
    }
}

/// Does what changes something. `ids` are the client's and the server's name for it.
pub(super) fn transform(
    page: &Page,
    account: &Account,
    ids: (String, String),
    operation: Operation,
    review: Review,
) -> Answered {
    match operation {
        Operation::CreateEnterprise(create) => create_enterprise(page, account, &create),
        Operation::UpdateEnterprise(update) => update_enterprise(page, account, &update),
        Operation::CreatePrefix(create) => create_prefix(page, account, ids, &create, review),
        Operation::CreateIdentifier(create) => create_identifier(page, account, *create),
        Operation::UpdateIdentifier(update) => update_identifier(page, account, *update),
        Operation::DeleteIdentifier(name) => delete_identifier(page, account, &name),
        _ => refuse!(UNIMPLEMENTED_COMMAND, "changes nothing"),
    }
}

/// An enterprise is one for the whole country, whichever node has registered it.
fn check_enterprise(book: &Book, account: &Account, check: &EnterpriseCheck) -> Answered {
    if check.user != account.user {
        refuse!(UNAUTHORISED, "shrUserId is not the user who is logged in");
    }
    // The draft's example has zeros before the number.
    let kind = check.certificate_type.trim_start_matches('0');
    if kind != SOCIAL_CREDIT_CODE && kind != OTHER_CERTIFICATE {
        refuse!(RANGE, "entCrtType is neither 1 nor 3");
    }
    match book.get::<String>(CODES, &check.certificate_code)? {
        Some(id) => Ok(Ok(Answer::with(Data::CheckedEnterprise(id)))),
        None => refuse!(NOT_FOUND, "no enterprise has this certificate"),
    }
}

fn create_enterprise(page: &Page, account: &Account, create: &EnterpriseCreate) -> Answered {
    if !account.prefixes.contains(&create.node_prefix) {
        refuse!(
            UNAUTHORISED,
            "shrPrefix {} is not yours",
            create.node_prefix
        );
    }
    let code = &create.enterprise.certificate_code;
    if !is_code(code) {
        refuse!(VALUE_SYNTAX, "entCrCode is not of letters and digits");
    }
    if page.get::<String>(CODES, code)?.is_some() {
        refuse!(EXISTS, "an enterprise has this certificate");
    }
    let id = format!("{:08}", page.next("epp enterprise")?);
    page.put(CODES, code, &id)?;
    let stored = StoredEnterprise {
        client: account.user.clone(),
        told: told(&create.enterprise),
        updates: 0,
    };
    page.put(ENTERPRISES, &id, &stored)?;
    Ok(Ok(Answer::with(Data::CreatedEnterprise(id))))
}

/// Whether a text can be the number of a certificate.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

fn update_enterprise(page: &Page, account: &Account, update: &EnterpriseUpdate) -> Answered {
    let id = &update.enterprise_id;
    let Some(mut stored) = page.get::<StoredEnterprise>(ENTERPRISES, id)? else {
        refuse!(NOT_FOUND, "there is no enterprise {id:.40}");
    };
    if stored.client != account.user {
        refuse!(UNAUTHORISED, "enterprise {id:.40} is another's");
    }
    match &update.change {
        Change::All {
            node_prefix,
            enterprise,
        } => {
            if !account.prefixes.contains(node_prefix) {
                refuse!(UNAUTHORISED, "shrPrefix {node_prefix} is not yours");
            }
            let code = &enterprise.certificate_code;
            if !is_code(code) {
                refuse!(VALUE_SYNTAX, "entCrCode is not of letters and digits");
            }
            let holder = page.get::<String>(CODES, code)?;
            if holder.as_ref().is_some_and(|holder| holder != id) {
                refuse!(EXISTS, "another enterprise has this certificate");
            }
            if let Some(old) = stored.told.get("entCrCode") {
                page.remove(CODES, old)?;
            }
            page.put(CODES, code, id)?;
            stored.told = told(enterprise);
        }
        Change::Some { user, reach } => {
            if *user != account.user {
                refuse!(UNAUTHORISED, "shrUserId is not the user who is logged in");
            }
            reached(&mut stored.told, reach);
        }
    }
    stored.updates += 1;
    page.put(ENTERPRISES, id, &stored)?;
    Ok(Ok(Answer::of(ResultCode::OK)))
}

/// Err if a prefix is not one that this client may speak of.
fn check_own(account: &Account, node_prefix: &str, prefix: &str) -> Result<(), Refused> {
    if !account.prefixes.iter().any(|own| own == node_prefix) {
        let reason = format!("shrPrefix {node_prefix:.40} is not yours");
        return Err(Refused::new(ResultCode::UNAUTHORISED, reason));
    }
    if let Err(error) = Prefix::parse_as(Scheme::Handle, prefix) {
        return Err(Refused::new(ResultCode::VALUE_SYNTAX, error.to_string()));
    }
    let below = prefix.strip_prefix(node_prefix);
    if !below.is_some_and(|rest| rest.starts_with('.')) {
        let reason = format!("prefix {prefix:.100} is not below shrPrefix {node_prefix}");
        return Err(Refused::new(ResultCode::POLICY, reason));
    }
    Ok(())
}

fn is_taken(stored: &StoredPrefix) -> bool {
    stored.state != PrefixState::Refused
}

fn check_prefix(book: &Book, account: &Account, check: &PrefixCheck) -> Answered {
    if let Err(refused) = check_own(account, &check.node_prefix, &check.prefix) {
        return Ok(Err(refused));
    }
    let stored = book.get::<StoredPrefix>(PREFIXES, &check.prefix)?;
    match stored.is_some_and(|stored| is_taken(&stored)) {
        true => refuse!(EXISTS, "the prefix is registered or applied for"),
        false => Ok(Ok(Answer::of(ResultCode::OK))),
    }
}

fn create_prefix(
    page: &Page,
    account: &Account,
    (client_id, server_id): (String, String),
    create: &PrefixCreate,
    review: Review,
) -> Answered {
    if let Err(refused) = check_own(account, &create.node_prefix, &create.prefix) {
        return Ok(Err(refused));
    }
    let id = &create.enterprise_id;
    // Whichever node has registered it: an enterprise may have prefixes at several.
    if page.get::<StoredEnterprise>(ENTERPRISES, id)?.is_none() {
        refuse!(NOT_FOUND, "there is no enterprise {id:.40}");
    }
    let before = page.get::<StoredPrefix>(PREFIXES, &create.prefix)?;
    if before.is_some_and(|stored| is_taken(&stored)) {
        refuse!(EXISTS, "the prefix is registered or applied for");
    }
    let stored = StoredPrefix {
        client: account.user.clone(),
        node_prefix: create.node_prefix.clone(),
        enterprise_id: id.clone(),
        state: PrefixState::Pending,
        message: String::new(),
        client_id,
        server_id,
    };
    page.put(PREFIXES, &create.prefix, &stored)?;
    if review == Review::Auto {
        decide(page, &create.prefix, Outcome::Pass, "")?;
    }
    Ok(Ok(Answer::of(ResultCode::PENDING)))
}

fn check_identifiers(book: &Book, names: &[String]) -> Answered {
    let mut checked = Vec::new();
    for name in names {
        let is_there = book.get::<StoredIdentifier>(IDENTIFIERS, name)?.is_some();
        checked.push(Checked {
            name: name.clone(),
            available: !is_there,
            reason: is_there.then(|| "The identifier already exists".to_owned()),
        });
    }
    Ok(Ok(Answer::with(Data::CheckedIdentifiers(checked))))
}

fn info_identifier(book: &Book, account: &Account, name: &str) -> Answered {
    let Some(stored) = book.get::<StoredIdentifier>(IDENTIFIERS, name)? else {
        refuse!(NOT_FOUND, "there is no such identifier");
    };
    if stored.client != account.user {
        refuse!(UNAUTHORISED, "the identifier is another's");
    }
    Ok(Ok(Answer::with(Data::Identifier(Box::new(
        IdentifierInfo {
            object: parsed(&stored)?,
            statuses: stored.statuses,
        },
    )))))
}

fn create_identifier(page: &Page, account: &Account, create: IdentifierCreate) -> Answered {
    let own = account.prefixes.iter();
    let mut own = own.filter_map(|own| create.name.strip_prefix(&**own));
    if !own.any(|rest| rest.starts_with(['.', '/'])) {
        refuse!(UNAUTHORISED, "the identifier is not below your prefixes");
    }
    let name = create.name.clone();
    if page.get::<StoredIdentifier>(IDENTIFIERS, &name)?.is_some() {
        refuse!(EXISTS, "the identifier exists");
    }
    put_identifier(page, account, create, vec!["ok".to_owned()], 0)?;
    Ok(Ok(Answer::of(ResultCode::OK)))
}

fn put_identifier(
    page: &Page,
    account: &Account,
    object: IdentifierCreate,
    statuses: Vec<String>,
    updates: u64,
) -> Result<(), Failure> {
    let name = object.name.clone();
    let operation = Operation::CreateIdentifier(Box::new(object));
    let stored = StoredIdentifier {
        client: account.user.clone(),
        create: Document::Command(Command {
            client_id: None,
            operation,
        })
        .encode(),
        statuses,
        updates,
    };
    page.put(IDENTIFIERS, &name, &stored)
}

/// What is registered of an identifier.
pub(super) fn parsed(stored: &StoredIdentifier) -> Result<IdentifierCreate, Failure> {
    match Document::parse(stored.create.as_bytes()) {
        Ok(Document::Command(Command {
            operation: Operation::CreateIdentifier(create),
            ..
        })) => Ok(*create),
        _ => Err("a damaged identifier".into()),
    }
}

/// An identifier that the client may change. The state that forbids it is named by the draft.
fn changeable(
    page: &Page,
    account: &Account,
    name: &str,
    forbidden_by: [&str; 2],
    frees: bool,
) -> Result<Result<StoredIdentifier, Refused>, Failure> {
    let Some(stored) = page.get::<StoredIdentifier>(IDENTIFIERS, name)? else {
        refuse!(NOT_FOUND, "there is no such identifier");
    };
    if stored.client != account.user {
        refuse!(UNAUTHORISED, "the identifier is another's");
    }
    let mut statuses = stored.statuses.iter();
    if !frees && statuses.any(|it| forbidden_by.contains(&&**it)) {
        refuse!(STATUS, "the state of the identifier forbids it");
    }
    Ok(Ok(stored))
}

fn update_identifier(page: &Page, account: &Account, update: IdentifierUpdate) -> Answered {
    let forbidden_by = ["clientUpdateProhibited", "serverUpdateProhibited"];
    let new_status = update.change.as_ref().and_then(|it| it.status.clone());
    let frees = new_status.is_some();
    let stored = match changeable(page, account, &update.name, forbidden_by, frees)? {
        Ok(stored) => stored,
        Err(refused) => return Ok(Err(refused)),
    };
    if new_status
        .as_ref()
        .is_some_and(|it| it.starts_with("server") || it.starts_with("pending"))
    {
        refuse!(POLICY, "this state is the server's to set");
    }
    let mut object = parsed(&stored)?;
    if let Some(Removed {
        contacts,
        urls,
        administrators,
        sites,
    }) = &update.remove
    {
        object.contacts.retain(|it| !contacts.contains(it));
        object.urls.retain(|it| !urls.contains(it));
        object
            .administrators
            .retain(|it| !administrators.contains(&it.index));
        object.sites.retain(|it| !sites.contains(&it.index));
    }
    for added in update.add.into_iter().chain(update.change) {
        let Added {
            contacts,
            urls,
            administrators,
            sites,
            ..
        } = added;
        object.contacts.retain(|it| !contacts.contains(it));
        object.contacts.extend(contacts);
        object.urls.retain(|it| !urls.contains(it));
        object.urls.extend(urls);
        object
            .administrators
            .retain(|it| !administrators.iter().any(|new| new.index == it.index));
        object.administrators.extend(administrators);
        object
            .sites
            .retain(|it| !sites.iter().any(|new| new.index == it.index));
        object.sites.extend(sites);
    }
    let statuses = new_status.map_or(stored.statuses.clone(), |status| vec![status]);
    put_identifier(page, account, object, statuses, stored.updates + 1)?;
    Ok(Ok(Answer::of(ResultCode::OK)))
}

fn delete_identifier(page: &Page, account: &Account, name: &str) -> Answered {
    let forbidden_by = ["clientDeleteProhibited", "serverDeleteProhibited"];
    if let Err(refused) = changeable(page, account, name, forbidden_by, false)? {
        return Ok(Err(refused));
    }
    page.remove(IDENTIFIERS, name)?;
    Ok(Ok(Answer::of(ResultCode::OK)))
}
