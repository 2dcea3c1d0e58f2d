//! What a message does to what is known of its node: nothing that it told before, nothing that leaves a
//! gap, nothing of what the node may not speak for.

use data_encoding::HEXLOWER;
use idnode_proto::api::{
    EnterpriseRow, IntakeBatch, IntakeEntry, IntakePart, IntakeStart, MasterData,
    MasterDataOperation, PrefixRow, Scheme, TemplateRow,
};
use idnode_proto::identifier::{Identifier, Prefix};
use prost::Message as _;
use redb::{ReadableTable, Table, WriteTransaction};
use serde_json::{Value, json};
use tonic::Status;

use super::store::{Copy, Identifiers, Node, Objects, forget, identifiers, objects};
use crate::national::Failure;
use crate::national::uplink::peer::Members;

/// Bytes of a log's name.
const LOG_BYTES: usize = 16;
/// Bytes before an identifier's data: its version, and what was done last.
const HEAD_BYTES: usize = 9;

/// Rows after which threads that wait have the processor: some 50 us.
const GIVE_WAY: usize = 32;

/// Why a message is not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// The node is to be told so.
    Told(Status),
    /// The database failed.
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Told(status)
    }
}

/// Database errors are of many types.
fn failed(error: impl Into<Failure>) -> Refused {
    Refused::Failed(error.into())
}

fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Told(Status::invalid_argument(reason))
}

/// An identifier as it is stored: version, last operation, and the rest of its data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) version: u64,
    pub(super) data: MasterData,
}

impl Row {
    /// The stored form; it does not repeat the code.
    fn encode(version: u64, mut data: MasterData) -> Vec<u8> {
        let mut stored = Vec::with_capacity(HEAD_BYTES + data.encoded_len());
        stored.extend_from_slice(&version.to_be_bytes());
        stored.push(u8::try_from(data.operation).unwrap_or_default());
        (data.code, data.version, data.operation) = (String::new(), 0, 0);
        data.encode_raw(&mut stored);
        stored
    }

    /// The version of a stored form, and whether the identifier is registered.
    fn head(stored: &[u8]) -> Option<(u64, bool)> {
        let version = u64::from_be_bytes(*stored.first_chunk::<8>()?);
        let is_live = *stored.get(8)? != MasterDataOperation::Delete as u8;
        Some((version, is_live))
    }

    /// Reads the stored form of an identifier.
    pub(super) fn decode(key: &[u8], stored: &[u8]) -> Result<Self, Failure> {
        let damaged = || "a damaged row";
        let (version, _) = Self::head(stored).ok_or_else(damaged)?;
        let (head, rest) = stored.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
        let mut data = MasterData::decode(rest)?;
        data.operation = head.last().copied().unwrap_or_default().into();
        data.code = Identifier::from_key(key)?.canonical();
        data.version = version;
        Ok(Self { version, data })
    }

    pub(super) fn is_live(&self) -> bool {
        self.data.operation() != MasterDataOperation::Delete
    }
}

/// Changes of a node within a transaction.
pub(super) struct Change<'a> {
    transaction: &'a WriteTransaction,
    members: &'a Members,
    name: &'a str,
    node: &'a mut Node,
    /// When each entry that was taken was committed, milliseconds since the Unix epoch.
    pub(super) committed_ms: Vec<u64>,
    /// The head of the last identifier that the node may speak for: most have the same.
    allowed: Vec<u8>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        transaction: &'a WriteTransaction,
        members: &'a Members,
        name: &'a str,
        node: &'a mut Node,
    ) -> Self {
        Self {
            transaction,
            members,
            name,
            node,
            committed_ms: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// Everything up to this sequence is here.
    pub(super) fn sequence(&self) -> u64 {
        self.node.shown.sequence
    }

    /// Begins a copy in place of what is there: at once, or when a snapshot is whole.
    pub(super) fn start(&mut self, start: IntakeStart) -> Result<(), Refused> {
        if start.log.len() != LOG_BYTES {
            return Err(invalid(format!("log: is not {LOG_BYTES} bytes")));
        }
        if let Some(given_up) = self.node.making.take() {
            forget(self.transaction, self.name, given_up.generation)?;
        }
        self.node.generations += 1;
        let copy = Copy {
            log: HEXLOWER.encode(&start.log),
            generation: self.node.generations,
            sequence: start.sequence,
            mark: start.mark,
            ..Copy::default()
        };
        if start.sequence == 0 {
            self.show(copy)
        } else {
            self.node.making = Some(copy);
            Ok(())
        }
    }

    /// A copy takes the place of what is there.
    fn show(&mut self, copy: Copy) -> Result<(), Refused> {
        let replaced = std::mem::replace(&mut self.node.shown, copy);
        if replaced.generation > 0 {
            forget(self.transaction, self.name, replaced.generation)?;
        }
        Ok(())
    }

    /// Takes a part of the snapshot in the making.
    pub(super) fn part(&mut self, part: IntakePart) -> Result<(), Refused> {
        let none = || Status::failed_precondition("no snapshot has begun");
        let mut copy = self.node.making.take().ok_or_else(none)?;
        let (reached, after) = (HEXLOWER.encode(&part.reached), HEXLOWER.encode(&part.after));
        if reached <= copy.reached {
            // It came again.
            self.node.making = Some(copy);
            return Ok(());
        }
        if after != copy.reached {
            let reason = format!("a part behind {after} where {} is reached", copy.reached);
            return Err(Status::out_of_range(reason).into());
        }
        copy.reached = reached;
        for row in part.enterprises {
            self.enterprise(&mut copy, row)?;
        }
        for row in part.templates {
            self.template(&mut copy, row)?;
        }
        for row in part.prefixes {
            self.prefix(&mut copy, row)?;
        }
        let name = identifiers(self.name, copy.generation);
        let transaction = self.transaction;
        let table = transaction.open_table(Identifiers::new(&name));
        let mut table = table.map_err(failed)?;
        let mut counted = self.counted();
        self.identifiers(&mut table, &mut copy, 0, part.identifiers, &mut counted)?;
        drop(table);
        if part.last {
            copy.reached.clear();
            self.show(copy)
        } else {
            self.node.making = Some(copy);
            Ok(())
        }
    }

    /// Takes what a batch tells anew.
    pub(super) fn batch(&mut self, batch: IntakeBatch) -> Result<(), Refused> {
        let mut copy = std::mem::take(&mut self.node.shown);
        let taken = self.batch_into(&mut copy, batch);
        self.node.shown = copy;
        taken
    }

    fn batch_into(&mut self, copy: &mut Copy, batch: IntakeBatch) -> Result<(), Refused> {
        let (first, last) = (batch.first, batch.last);
        if copy.log.is_empty() {
            return Err(Status::failed_precondition("no log has begun").into());
        }
        if first == 0 || last < first {
            return Err(invalid(format!("first, last: {first} to {last}")));
        }
        if batch.unfinished && batch.entries.iter().any(|it| it.sequence != last) {
            return Err(invalid("unfinished: there are other entries than the last"));
        }
        if first > copy.sequence + 1 {
            let here = copy.sequence;
            let reason = format!("a gap: {first} to {last} where everything up to {here} is here");
            return Err(Status::out_of_range(reason).into());
        }
        let name = identifiers(self.name, copy.generation);
        let transaction = self.transaction;
        let table = transaction.open_table(Identifiers::new(&name));
        let mut table = table.map_err(failed)?;
        let mut counted = self.counted();
        let mut before = first - 1;
        for entry in batch.entries {
            if entry.sequence <= before || entry.sequence > last {
                return Err(invalid(format!(
                    "entries: {} is out of order",
                    entry.sequence
                )));
            }
            before = entry.sequence;
            if entry.sequence <= copy.sequence {
                self.node.repeated += 1;
                continue;
            }
            if !batch.unfinished {
                self.committed_ms.push(entry.committed_at_ms);
            }
            self.entry(&mut table, copy, entry, &mut counted)?;
        }
        (self.node.added, self.node.removed, self.node.modified) = counted;
        let told = last - u64::from(batch.unfinished);
        if told > copy.sequence {
            (copy.sequence, copy.mark) = (told, batch.mark);
            copy.committed_at_ms = batch.committed_at_ms;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        table: &mut Rows<'_>,
        copy: &mut Copy,
        entry: IntakeEntry,
        counted: &mut Counted,
    ) -> Result<(), Refused> {
        if let Some(row) = entry.enterprise {
            self.enterprise(copy, row)?;
        }
        if let Some(row) = entry.template {
            self.template(copy, row)?;
        }
        if let Some(row) = entry.prefix {
            self.prefix(copy, row)?;
        }
        self.identifiers(table, copy, entry.sequence, entry.identifiers, counted)
    }

    fn counted(&self) -> Counted {
        (self.node.added, self.node.removed, self.node.modified)
    }

    /// Puts identifiers where what is known of them is not newer; `sequence` is the version of those
    /// that tell none.
    fn identifiers(
        &mut self,
        table: &mut Rows<'_>,
        copy: &mut Copy,
        sequence: u64,
        rows: Vec<MasterData>,
        counted: &mut Counted,
    ) -> Result<(), Refused> {
        for (at, data) in rows.into_iter().enumerate() {
            // What is tested beside this program on one machine should not feel it.
            if at % GIVE_WAY == 0 {
                std::thread::yield_now();
            }
            let identifier = Identifier::parse(&data.code)
                .map_err(|why| invalid(format!("code: {:?}: {why}", data.code)))?;
            self.allow(&identifier)?;
            let version = match data.version {
                0 => sequence,
                version => version,
            };
            if let Some(operation) = put(table, copy, identifier.key(), version, data)? {
                // What a snapshot has is no change that was told.
                match operation {
                    _ if sequence == 0 => {}
                    MasterDataOperation::Delete => counted.1 += 1,
                    MasterDataOperation::Modify => counted.2 += 1,
                    _ => counted.0 += 1,
                }
            }
        }
        Ok(())
    }

    fn allow(&mut self, identifier: &Identifier) -> Result<(), Refused> {
        let key = identifier.key();
        let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
        let head = key.get(..end).unwrap_or_default();
        if head == self.allowed {
            return Ok(());
        }
        let prefix = identifier.prefix();
        if !prefix.is_some_and(|it| self.members.may_speak_for(self.name, &it)) {
            let reason = format!("{:?} may not speak for {identifier}", self.name);
            return Err(Status::permission_denied(reason).into());
        }
        self.allowed = head.to_vec();
        Ok(())
    }

    fn prefix(&mut self, copy: &mut Copy, row: PrefixRow) -> Result<(), Refused> {
        let prefix = Prefix::parse(&row.prefix)
            .map_err(|why| invalid(format!("prefix: {:?}: {why}", row.prefix)))?;
        if !self.members.may_speak_for(self.name, &prefix) {
            let reason = format!("{:?} may not speak for {prefix}", self.name);
            return Err(Status::permission_denied(reason).into());
        }
        let shown = json!({
            "version": row.version,
            "removed": row.removed,
            "scheme": Scheme::try_from(row.scheme).unwrap_or_default().as_str_name(),
            "enterprise": row.enterprise,
            "state": row.state,
            "delegated": row.delegated,
        });
        let name = format!("prefix {prefix}");
        self.object(copy.generation, &name, &shown, &mut copy.prefixes)
    }

    fn enterprise(&mut self, copy: &mut Copy, row: EnterpriseRow) -> Result<(), Refused> {
        let shown = json!({
            "version": row.version,
            "removed": false,
            "name": row.name,
            "certificate_type": row.certificate_type,
            "certificate_code": row.certificate_code,
            "status": row.status,
        });
        let name = format!("enterprise {}", row.id);
        self.object(copy.generation, &name, &shown, &mut copy.enterprises)
    }

    fn template(&mut self, copy: &mut Copy, row: TemplateRow) -> Result<(), Refused> {
        let attribute = |it: &idnode_proto::api::TemplateAttribute| {
            json!({
                "name": it.name,
                "title": it.title,
                "type": it.r#type,
                "unit": it.unit,
                "required": it.required,
                "repeated": it.repeated,
                "max_length": it.max_length,
                "minimum": it.minimum,
                "maximum": it.maximum,
                "allowed_values": it.allowed_values,
            })
        };
        let shown = json!({
            "version": row.version,
            "removed": row.deleted,
            "revision": row.revision,
            "title": row.title,
            "enterprise": row.enterprise,
            "closed": row.closed,
            "attributes": row.attributes.iter().map(attribute).collect::<Vec<_>>(),
        });
        let name = format!("template {}", row.name);
        self.object(copy.generation, &name, &shown, &mut copy.templates)
    }

    /// Puts an object where what is known of it is not newer, and counts those that are there.
    fn object(
        &self,
        generation: u64,
        name: &str,
        shown: &Value,
        count: &mut u64,
    ) -> Result<(), Refused> {
        let tables = objects(self.name, generation);
        let mut table = self
            .transaction
            .open_table(Objects::new(&tables))
            .map_err(failed)?;
        let known: Option<Value> = {
            let known = table.get(name).map_err(failed)?;
            let known = known.map(|json| serde_json::from_slice(json.value()));
            known.transpose().map_err(failed)?
        };
        let number = |it: &Value| it.get("version").and_then(Value::as_u64).unwrap_or(0);
        let is_there = |it: &Value| it.get("removed") == Some(&Value::Bool(false));
        if known.as_ref().is_some_and(|it| number(it) > number(shown)) {
            return Ok(());
        }
        match (known.is_some_and(|it| is_there(&it)), is_there(shown)) {
            (false, true) => *count += 1,
            (true, false) => *count = count.saturating_sub(1),
            _ => {}
        }
        let json = serde_json::to_vec(shown).map_err(failed)?;
        table.insert(name, json.as_slice()).map_err(failed)?;
        Ok(())
    }
}

/// A node's table of identifiers.
type Rows<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// Changes that were told: added, removed, modified.
type Counted = (u64, u64, u64);

/// Puts an identifier, and counts those that are registered; what was done, if it is news.
fn put(
    table: &mut Rows<'_>,
    copy: &mut Copy,
    key: &[u8],
    version: u64,
    data: MasterData,
) -> Result<Option<MasterDataOperation>, Refused> {
    let operation = data.operation();
    if operation == MasterDataOperation::Unspecified {
        return Err(invalid(format!("operation: of {:?} is none", data.code)));
    }
    let stored = Row::encode(version, data);
    let replaced = table.insert(key, stored.as_slice()).map_err(failed)?;
    let replaced = replaced.map(|row| (Row::head(row.value()), row.value().to_vec()));
    let Some((head, row)) = replaced else {
        match operation {
            MasterDataOperation::Delete => copy.deleted += 1,
            _ => copy.live += 1,
        }
        return Ok(Some(operation));
    };
    let (before, was_live) = head.ok_or_else(|| failed("a damaged row"))?;
    if before > version {
        // Older news than what a snapshot has told.
        table.insert(key, row.as_slice()).map_err(failed)?;
        return Ok(None);
    }
    match (was_live, operation != MasterDataOperation::Delete) {
        (true, false) => {
            (copy.live, copy.deleted) = (copy.live.saturating_sub(1), copy.deleted + 1)
        }
        (false, true) => {
            (copy.live, copy.deleted) = (copy.live + 1, copy.deleted.saturating_sub(1))
        }
        _ => {}
    }
    Ok((before < version).then_some(operation))
}
