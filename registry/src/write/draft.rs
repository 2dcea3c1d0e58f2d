//! Identifiers to be written: checked and encoded before they reach the writer, so that the
//! writer's time goes to what only it can do.

use super::endorse::Endorsement;
use super::values::{SetMode, ValueChange};
use crate::prefix::FIRST_VALUE_INDEX;
use crate::{Error, Result};
use bytes::{Bytes, BytesMut};
use idnode_proto::dnsname::{self, HASH_BYTES};
use idnode_proto::handle::namespace::Namespace;
use idnode_proto::handle::predefined::{Admin, decode_value_list};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::rdata::RecordKind;
use idnode_proto::value::{
    MAX_DATA_LEN, MAX_HANDLE_LEN, MAX_REFERENCES, MAX_TYPE_LEN, MAX_VALUES, Value, ValueParts,
    ValueRef, Values, types,
};
use std::collections::HashSet;

/// Most bytes of all of an identifier's encoded values: what fits one Handle message of
/// 262,144 bytes beside a handle of 2,048, so that every front can answer it whole.
pub const MAX_RECORD_BYTES: usize = 256_000;

/// Greatest value index: the Handle protocol's implementations read it as a signed number.
const MAX_INDEX: u32 = i32::MAX as u32;

/// A checked identifier with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub(super) identifier: Identifier,
    /// See [`dnsname::name_hash`].
    pub(super) name_hash: Option<[u8; HASH_BYTES]>,
    pub(super) values: Bytes,
    pub(super) value_count: u16,
    pub(super) template: Option<String>,
    /// The time the node gave to values that came without one.
    pub(super) stamped_s: Option<u32>,
    /// The version of the prefix by which it was left unsigned, since it would not have been
    /// accepted: no draft is that was not signed for this reason. 0: there was no prefix.
    pub(super) withheld_at: Option<u64>,
}

impl Draft {
    /// Checks values and encodes them ascending by index. Index 0 becomes the next free one;
    /// timestamp 0 becomes `now_s`, seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the value and its part: `values[2].data`.
    pub fn new(
        identifier: Identifier,
        values: Vec<Value>,
        template: Option<String>,
        now_s: u32,
    ) -> Result<Self> {
        let mut parts: Vec<_> = values.iter().map(Value::parts).collect();
        Self::of_parts(
            identifier,
            &mut parts,
            template,
            now_s,
            &mut BytesMut::new(),
        )
    }

    /// The same for values that lie elsewhere; `values` is left in disorder. They are encoded into
    /// `space`, which many drafts may share.
    ///
    /// # Errors
    /// Those of [`Draft::new`].
    pub fn of_parts(
        identifier: Identifier,
        values: &mut [ValueParts<'_>],
        template: Option<String>,
        now_s: u32,
        space: &mut BytesMut,
    ) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::invalid(
                "values",
                "an identifier needs at least one value",
            ));
        }
        let stamped_s = values
            .iter()
            .any(|value| value.timestamp_s == 0)
            .then_some(now_s);
        prepare(values, 1, now_s, "values")?;
        let encoded = encode_in(values, space)?;
        let template = template.filter(|name| !name.is_empty());
        Ok(Self {
            name_hash: dnsname::name_hash(&identifier),
            identifier,
            value_count: values.len() as u16,
            values: encoded,
            template,
            stamped_s,
            withheld_at: None,
        })
    }

    /// The same, to be refused where its prefix has changed meanwhile so that it would be accepted.
    #[must_use]
    pub(crate) fn withheld_at(self, prefix_version: u64) -> Self {
        Self {
            withheld_at: Some(prefix_version),
            ..self
        }
    }

    /// About how many bytes it takes in a commit.
    pub fn weight(&self) -> usize {
        self.identifier.key().len() + self.values.len() + 64
    }

    /// The identifier.
    pub fn identifier(&self) -> &Identifier {
        &self.identifier
    }

    /// Its encoded values.
    pub fn encoded_values(&self) -> &[u8] {
        &self.values
    }

    pub(super) fn values(&self) -> impl Iterator<Item = ValueRef<'_>> {
        Values::new(&self.values, u32::from(self.value_count)).map_while(std::result::Result::ok)
    }
}

/// A change of an identifier's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierUpdate {
    pub(super) identifier: Identifier,
    pub(super) change: ValueChange,
    pub(super) template: Option<String>,
    pub(super) expected_version: Option<u64>,
    pub(super) endorsement: Option<Endorsement>,
}

impl IdentifierUpdate {
    /// Checks an update: `set` replaces or adds values by index, `remove` takes indexes away,
    /// `replace_all` makes `set` all there is. `template`: `Some("")` takes it away, `None`
    /// leaves it.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(
        identifier: Identifier,
        set: Vec<Value>,
        remove: Vec<u32>,
        replace_all: bool,
        template: Option<String>,
        expected_version: Option<u64>,
        now_s: u32,
    ) -> Result<Self> {
        if replace_all && set.is_empty() {
            return Err(Error::invalid(
                "set_values",
                "an identifier needs at least one value; delete it instead",
            ));
        }
        let change = ValueChange::new(set, remove, replace_all, 1, now_s)?;
        if change.is_empty() && template.is_none() {
            return Err(Error::invalid("set_values", "there is nothing to change"));
        }
        Ok(Self {
            identifier,
            change,
            template,
            expected_version,
            endorsement: None,
        })
    }

    /// The identifier.
    pub fn identifier(&self) -> &Identifier {
        &self.identifier
    }

    /// The only version of the record that it is to be made to.
    pub(crate) fn expected_version(&self) -> Option<u64> {
        self.expected_version
    }

    /// The same with another meaning of setting a value.
    #[must_use]
    pub fn with_mode(mut self, mode: SetMode) -> Self {
        self.change = self.change.with_mode(mode);
        self
    }
}

/// A change of what `0.NA/<prefix>` has beside the sites of the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixUpdate {
    pub(super) prefix: Prefix,
    pub(super) change: ValueChange,
    pub(super) expected_version: Option<u64>,
}

impl PrefixUpdate {
    /// Checks an update, whose parts mean what they mean to [`IdentifierUpdate::new`]. Indexes are
    /// from [`FIRST_VALUE_INDEX`] on, and there is no HS_SITE or HS_SERV value: the delegation has those.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(
        prefix: Prefix,
        set: Vec<Value>,
        remove: Vec<u32>,
        replace_all: bool,
        expected_version: Option<u64>,
        now_s: u32,
    ) -> Result<Self> {
        let own = |index: u32| index == 0 || index >= FIRST_VALUE_INDEX;
        if let Some(place) = set.iter().position(|value| !own(value.index)) {
            let reason = format!("is below {FIRST_VALUE_INDEX}: these are the sites'");
            return Err(Error::invalid(format!("set_values[{place}].index"), reason));
        }
        let says_where = |value: &Value| {
            let mut where_served = [types::HS_SITE, types::HS_SERV].into_iter();
            where_served.any(|it| value.value_type.eq_ignore_ascii_case(it))
        };
        if let Some(place) = set.iter().position(says_where) {
            let reason = "the delegation of a prefix says where it is served";
            return Err(Error::invalid(format!("set_values[{place}].type"), reason));
        }
        check_templates(&set)?;
        let change = ValueChange::new(set, remove, replace_all, FIRST_VALUE_INDEX, now_s)?;
        if change.is_empty() {
            return Err(Error::invalid("set_values", "there is nothing to change"));
        }
        Ok(Self {
            prefix,
            change,
            expected_version,
        })
    }

    /// The same with another meaning of setting a value.
    #[must_use]
    pub fn with_mode(mut self, mode: SetMode) -> Self {
        self.change = self.change.with_mode(mode);
        self
    }
}

/// A prefix that is applied for by its handle, `0.NA/<prefix>`, with the values that it is to have
/// of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixDraft {
    pub(super) prefix: Prefix,
    /// None: it is to have none.
    pub(super) change: Option<ValueChange>,
}

impl PrefixDraft {
    /// Checks an application. Its values are those that [`PrefixUpdate::new`] takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(prefix: Prefix, values: Vec<Value>, now_s: u32) -> Result<Self> {
        if values.is_empty() {
            return Ok(Self {
                prefix,
                change: None,
            });
        }
        let update = PrefixUpdate::new(prefix, values, vec![], true, None, now_s)?;
        Ok(Self {
            prefix: update.prefix,
            change: Some(update.change),
        })
    }
}

/// Whether a prefix's templates can be used. One value of them a change: reading regular
/// expressions takes time.
fn check_templates(set: &[Value]) -> Result<()> {
    let mut templates = set
        .iter()
        .enumerate()
        .filter(|(_, value)| value.value_type.eq_ignore_ascii_case(types::HS_NAMESPACE));
    let Some((place, value)) = templates.next() else {
        return Ok(());
    };
    if let Some((second, _)) = templates.next() {
        let reason = "is a second HS_NAMESPACE value, of which the first alone counts";
        return Err(Error::invalid(format!("set_values[{second}].type"), reason));
    }
    Namespace::parse(&value.data).map(drop).map_err(|error| {
        let reason = format!("is no HS_NAMESPACE: {error}");
        Error::invalid(format!("set_values[{place}].data"), reason)
    })
}

/// Checks values one by one, gives them indexes and times, and puts them in ascending order.
/// Those of index 0 get free ones from `first` on.
pub(super) fn prepare(
    values: &mut [ValueParts<'_>],
    first: u32,
    now_s: u32,
    field: &str,
) -> Result<()> {
    if values.len() > MAX_VALUES {
        return Err(Error::invalid(
            field,
            format!("{} values, at most {MAX_VALUES} are taken", values.len()),
        ));
    }
    for (position, value) in values.iter_mut().enumerate() {
        check(value).map_err(|e| e.within(&format!("{field}[{position}]")))?;
        if value.timestamp_s == 0 {
            value.timestamp_s = now_s;
        }
    }
    if values.iter().any(|value| value.index == 0) {
        number(values, first);
    }
    let ascending = values.is_sorted_by(|a, b| a.index < b.index);
    if !ascending {
        if let Some(place) = second_of_an_index(values) {
            return Err(Error::invalid(
                format!("{field}[{place}].index"),
                "occurs twice",
            ));
        }
        values.sort_by_key(|value| value.index);
    }
    Ok(())
}

/// The place of a value whose index an earlier one has as well.
fn second_of_an_index(values: &[ValueParts<'_>]) -> Option<usize> {
    let mut seen = HashSet::with_capacity(values.len());
    values.iter().position(|value| !seen.insert(value.index))
}

/// Gives values of index 0 the lowest free ones from `first` on, in order.
fn number(values: &mut [ValueParts<'_>], first: u32) {
    let mut taken: Vec<u32> = values
        .iter()
        .map(|value| value.index)
        .filter(|index| *index > 0)
        .collect();
    taken.sort_unstable();
    let mut next = first;
    for value in values.iter_mut().filter(|value| value.index == 0) {
        while taken.binary_search(&next).is_ok() {
            next += 1;
        }
        value.index = next;
        next += 1;
    }
}

fn check(value: &ValueParts<'_>) -> Result<()> {
    if value.index > MAX_INDEX {
        return Err(Error::invalid(
            "index",
            format!("{} is above {MAX_INDEX}", value.index),
        ));
    }
    let kind = value.value_type;
    if kind.is_empty()
        || kind.len() > MAX_TYPE_LEN
        || kind.chars().any(|c| c.is_control() || c == ' ')
    {
        return Err(Error::invalid(
            "type",
            format!("{kind:.40?} is not 1 to {MAX_TYPE_LEN} printable characters"),
        ));
    }
    if value.data.len() > MAX_DATA_LEN {
        return Err(Error::invalid(
            "data",
            format!(
                "is {} bytes, at most {MAX_DATA_LEN} are taken",
                value.data.len()
            ),
        ));
    }
    if value.references.len() > MAX_REFERENCES {
        return Err(Error::invalid(
            "references",
            format!("more than {MAX_REFERENCES}"),
        ));
    }
    if let Some(long) = value
        .references
        .iter()
        .position(|reference| reference.handle.len() > MAX_HANDLE_LEN)
    {
        let reason = format!("is longer than {MAX_HANDLE_LEN} bytes");
        return Err(Error::invalid(format!("references[{long}].handle"), reason));
    }
    if kind.eq_ignore_ascii_case(types::HS_SECKEY) && value.permissions.public_read() {
        let reason = "a secret key must not be readable by everybody";
        return Err(Error::invalid("permissions", reason));
    }
    // Types are compared without regard to case wherever they are read.
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    let well_formed = if is(types::HS_SITE) {
        Site::decode(value.data).map(|_| ())
    } else if is(types::HS_ADMIN) {
        Admin::decode(value.data).map(|_| ())
    } else if is(types::HS_VLIST) {
        decode_value_list(value.data).map(|_| ())
    } else {
        Ok(())
    };
    well_formed.map_err(|e| Error::invalid("data", format!("is no {kind}: {e}")))?;
    match RecordKind::of_value_type(kind) {
        Some(record) => record
            .wire(value.data)
            .map(drop)
            .map_err(|e| Error::invalid("data", format!("is no {kind} record: {e}"))),
        None => Ok(()),
    }
}

/// The encoding of checked values. Errors: together they are too long.
pub(super) fn encode(values: &[Value]) -> Result<Bytes> {
    let parts: Vec<_> = values.iter().map(Value::parts).collect();
    encode_in(&parts, &mut BytesMut::new())
}

/// The same, taken from `space`.
fn encode_in(values: &[ValueParts<'_>], space: &mut BytesMut) -> Result<Bytes> {
    if values.len() > MAX_VALUES {
        let count = values.len();
        let reason = format!("are {count}, at most {MAX_VALUES} are taken");
        return Err(Error::invalid("values", reason));
    }
    let length: usize = values.iter().map(ValueParts::encoded_len).sum();
    if length > MAX_RECORD_BYTES {
        let reason = format!("are {length} bytes encoded, at most {MAX_RECORD_BYTES} are taken");
        return Err(Error::invalid("values", reason));
    }
    space.reserve(length);
    for value in values {
        value.encode(space);
    }
    Ok(space.split().freeze())
}
