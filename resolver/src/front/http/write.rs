//! `PUT` and `DELETE /api/handles/{handle}`: the registry's commands in the words of the Handle
//! System's API. What may be written and by whom the registry decides, as for every front.

use super::answer::Answer;
use super::call::Call;
use super::handles;
use super::input;
use super::refusal::Refusal;
use super::request;
use crate::clock;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use idnode_proto::handle::ResponseCode;
use idnode_proto::value::{Value, Values};
use idnode_registry::Error;
use idnode_registry::record::Record;
use idnode_registry::write::{Command, Draft, PrefixDraft, SetMode};
use std::collections::HashSet;

/// How often a write is tried that somebody else's write has come before.
const ATTEMPTS: usize = 8;
/// Why an identifier was deleted: the API has no place for a reason.
const REASON: &str = "";

type Result<T> = std::result::Result<T, Refusal>;

/// `PUT`: registers an identifier or replaces its values; with `index`, adds or replaces some
/// of them.
pub(super) async fn put(call: &Call, body: Body) -> Response<Body> {
    let overwrite = call.parameters.overwrite.unwrap_or(true) && !call.parameters.mint;
    // 201 where something was made that had not been there.
    let done = if overwrite {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    answer(call, done, put_body(call, body, overwrite).await)
}

/// `DELETE`: deletes an identifier; with `index`, some of its values.
pub(super) async fn delete(call: &Call) -> Response<Body> {
    let indexes = &call.parameters.filter.indexes;
    let deleted = match call.caller.require_known() {
        Err(error) => Err(error.into()),
        Ok(()) if call.parameters.various => Err(Refusal::new(
            ResponseCode::PROTOCOL_ERROR,
            "query parameter index: various is for PUT alone; DELETE names indexes, or none",
        )),
        Ok(()) if !call.parameters.filter.types.is_empty() => Err(Refusal::new(
            ResponseCode::PROTOCOL_ERROR,
            "query parameter type: is for GET alone; DELETE names indexes, or none",
        )),
        Ok(()) if call.parameters.empty_index => Err(names_none()),
        Ok(()) if indexes.is_empty() => delete_all(call).await,
        Ok(()) => delete_some(call, indexes).await,
    };
    answer(call, StatusCode::OK, deleted)
}

fn answer(call: &Call, done: StatusCode, result: Result<()>) -> Response<Body> {
    let registry = &call.shared.core.registry;
    match result {
        Ok(()) => {
            let handle = call.identifier.display();
            Answer::done(&handle).response_as(done, call.style())
        }
        // Where an identifier is served elsewhere, a writer is sent there as a reader is.
        Err(refusal) if refusal.code == ResponseCode::NOT_RESPONSIBLE => {
            let governing = registry.prefixes().governing(&call.identifier);
            match governing.filter(|entry| {
                !call.parameters.do_not_refer
                    && entry.record.is_active()
                    && entry.record.delegation.is_some()
            }) {
                Some(entry) => {
                    let handle = call.identifier.display();
                    handles::referral(
                        &handle,
                        &entry,
                        call.style(),
                        handles::location(&entry, call.prefers_https, &call.uri),
                    )
                }
                None => call.refused(refusal),
            }
        }
        Err(refusal) => call.refused(refusal),
    }
}

async fn put_body(call: &Call, body: Body, overwrite: bool) -> Result<()> {
    // Nobody's megabytes are read who may not write anything.
    call.caller.require_known()?;
    if call.parameters.empty_index {
        return Err(names_none());
    }
    let body = request::body(&call.shared, body, u64::MAX, call.deadline).await?;
    let mut values = input::values(&body)?;
    let indexes = &call.parameters.filter.indexes;
    if call.parameters.mint && (call.parameters.various || !indexes.is_empty()) {
        let message = "query parameter index: a new handle has no values yet";
        return Err(Refusal::new(ResponseCode::PROTOCOL_ERROR, message));
    }
    if call.parameters.various {
        return put_some(call, values, overwrite).await;
    }
    if indexes.is_empty() {
        return put_all(call, values, overwrite).await;
    }
    if let ([only], [value]) = (indexes.as_slice(), values.as_mut_slice())
        && value.index == 0
    {
        value.index = *only;
    }
    same_indexes(indexes, &values)?;
    put_some(call, values, overwrite).await
}

/// Without an index, all values would be written.
fn names_none() -> Refusal {
    let message = "query parameter index: is empty; it names an index, or is left out for all";
    Refusal::new(ResponseCode::PROTOCOL_ERROR, message)
}

/// The values have the indexes that the query names, those and no others.
fn same_indexes(named: &[u32], values: &[Value]) -> Result<()> {
    let named: HashSet<u32> = named.iter().copied().collect();
    let sent: HashSet<u32> = values.iter().map(|value| value.index).collect();
    let wrong = |index: &u32, what: &str| {
        let message = format!("query parameter index: {index} {what}");
        Err(Refusal::new(ResponseCode::INVALID_VALUE, message))
    };
    if let Some(index) = sent.difference(&named).min() {
        return wrong(index, "is a value's in the body and not named in the query");
    }
    if let Some(index) = named.difference(&sent).min() {
        return wrong(index, "is named and no value in the body has it");
    }
    Ok(())
}

/// Registers an identifier, or replaces all its values.
async fn put_all(call: &Call, values: Vec<Value>, overwrite: bool) -> Result<()> {
    if let Some(prefix) = call.identifier.prefix_handle() {
        if overwrite && current(call).await?.is_some() {
            return write(call, update(call, values, SetMode::Put, true)?).await;
        }
        // It is applied for, and refused where it is there.
        let draft = PrefixDraft::new(prefix, values, now_s())?;
        return write(call, Command::CreatePrefix(draft)).await;
    }
    // Checked as a whole set of values, whichever command it becomes.
    let draft = Draft::new(call.identifier.clone(), values.clone(), None, now_s())?;
    if !overwrite {
        return write(call, Command::CreateIdentifier(draft)).await;
    }
    let replace = update(call, values, SetMode::Put, true)?;
    let mut is_there = current(call).await?.is_some();
    for _ in 0..ATTEMPTS {
        let command = if is_there {
            replace.clone()
        } else {
            Command::CreateIdentifier(draft.clone())
        };
        // Somebody may register or delete it meanwhile: then it is the other command's turn.
        match write(call, command).await {
            Err(refusal) if refusal.code == ResponseCode::HANDLE_NOT_FOUND => is_there = false,
            Err(refusal) if refusal.code == ResponseCode::HANDLE_EXISTS => is_there = true,
            result => return result,
        }
    }
    Err(contended())
}

/// Adds values, and replaces those that are there if that is wanted.
async fn put_some(call: &Call, values: Vec<Value>, overwrite: bool) -> Result<()> {
    let mode = if overwrite {
        SetMode::Put
    } else {
        SetMode::Add
    };
    write(call, update(call, values, mode, false)?).await
}

/// The command that sets values.
fn update(call: &Call, values: Vec<Value>, mode: SetMode, replace_all: bool) -> Result<Command> {
    let identifier = call.identifier.clone();
    let (remove, template, version) = (Vec::new(), None, None);
    Ok(Command::update_handle(
        identifier,
        values,
        mode,
        remove,
        replace_all,
        template,
        version,
        now_s(),
    )?)
}

async fn delete_all(call: &Call) -> Result<()> {
    if call.identifier.prefix_handle().is_some() {
        let message = "a prefix goes through its lifecycle (idctl prefix); its values are \
                       removed by their indexes";
        return Err(Refusal::new(ResponseCode::NOT_SUPPORTED, message));
    }
    let command = Command::DeleteIdentifier {
        identifier: call.identifier.clone(),
        reason: REASON.to_owned(),
        expected_version: None,
    };
    write(call, command).await
}

/// Takes away those of the values that are there.
async fn delete_some(call: &Call, indexes: &[u32]) -> Result<()> {
    for _ in 0..ATTEMPTS {
        // Why nothing can be done to what is not there the registry says: it may be elsewhere.
        let (there, version) = match current(call).await? {
            None => (indexes.to_vec(), None),
            Some(current) => {
                let there = indexes.iter().filter(|it| current.indexes.contains(it));
                (there.copied().collect(), Some(current.version))
            }
        };
        if there.is_empty() {
            let message = "none of the indexes has a value";
            return Err(Refusal::new(ResponseCode::VALUES_NOT_FOUND, message));
        }
        let identifier = call.identifier.clone();
        let (set, mode) = (Vec::new(), SetMode::Put);
        let command =
            Command::update_handle(identifier, set, mode, there, false, None, version, now_s())?;
        match write_raw(call, command).await? {
            Err(Error::VersionMismatch { .. }) => {}
            written => return Ok(written?),
        }
    }
    Err(contended())
}

/// What is there of an identifier or a prefix.
struct Current {
    version: u64,
    indexes: HashSet<u32>,
}

/// What is there now, if it is registered. It is not shown: what may be done to it the registry
/// decides.
async fn current(call: &Call) -> Result<Option<Current>> {
    let indexes = |bytes: &[u8], count: u32| {
        let values = Values::new(bytes, count).map_while(std::result::Result::ok);
        values.map(|value| value.index()).collect()
    };
    let registry = call.shared.core.registry.clone();
    if let Some(prefix) = call.identifier.prefix_handle() {
        let entry = registry.prefixes().get(prefix.key());
        return Ok(entry.map(|entry| Current {
            version: entry.record.version,
            indexes: indexes(&entry.record.values, entry.record.value_count),
        }));
    }
    let identifier = call.identifier.clone();
    let read = tokio::task::spawn_blocking(move || registry.read(identifier.key()));
    let record = match call.deadline.run(&call.shared, read).await {
        Some(Ok(read)) => read?.1.filter(Record::is_live),
        Some(Err(error)) => return Err(Error::Storage(error.to_string()).into()),
        None => return Err(Refusal::busy("the store did not answer in time")),
    };
    Ok(record.map(|record| Current {
        version: record.version,
        indexes: indexes(&record.values, record.value_count.into()),
    }))
}

async fn write(call: &Call, command: Command) -> Result<()> {
    Ok(write_raw(call, command).await??)
}

/// The registry's own answer to a command.
async fn write_raw(call: &Call, command: Command) -> Result<std::result::Result<(), Error>> {
    let registry = &call.shared.core.registry;
    let written = registry.write(&call.caller, None, command);
    match call.deadline.run(&call.shared, written).await {
        Some(written) => Ok(written.map(drop)),
        None => Err(Refusal::busy(
            "the write was not done in time; it may still happen",
        )),
    }
}

fn contended() -> Refusal {
    Refusal::busy("others write this identifier all the time")
}

/// Seconds since the Unix epoch, now: the timestamp of what is written.
fn now_s() -> u32 {
    u32::try_from(clock::now_s()).unwrap_or(u32::MAX)
}
