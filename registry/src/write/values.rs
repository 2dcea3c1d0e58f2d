//! Changes of the values that an identifier or a prefix has: what is set, what is removed, and
//! whether whoever asks may.

use super::authority::Authority;
use super::draft;
use crate::administrator::HandleValues;
use crate::{Error, Object, Result};
use idnode_proto::handle::AdminRights;
use idnode_proto::value::{MAX_VALUES, Value, ValueParts, ValueRef, types};

/// What setting a value means where there is one, and where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetMode {
    /// It replaces the one of its index, or is added.
    #[default]
    Put,
    /// It is added; there must be none of its index (operation 102 of the Handle protocol).
    Add,
    /// It replaces the one of its index, which must be there (operation 104).
    Modify,
}

/// A change of values, checked in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueChange {
    set: Vec<Value>,
    remove: Vec<u32>,
    replace_all: bool,
    mode: SetMode,
}

impl ValueChange {
    /// Checks a change: `set` replaces or adds values by index, `remove` takes indexes away,
    /// `replace_all` makes `set` all there is. Index 0 becomes the next free one from `first` on,
    /// where `set` is a whole.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(
        set: Vec<Value>,
        remove: Vec<u32>,
        replace_all: bool,
        first: u32,
        now_s: u32,
    ) -> Result<Self> {
        if remove.len() > MAX_VALUES {
            let reason = format!("more than {MAX_VALUES}");
            return Err(Error::invalid("remove_indexes", reason));
        }
        if let Some(zero) = set
            .iter()
            .position(|value| value.index == 0)
            .filter(|_| !replace_all)
        {
            let reason = "0 means a new index, which only a whole set of values can be given";
            return Err(Error::invalid(format!("set_values[{zero}].index"), reason));
        }
        let mut parts: Vec<_> = set.iter().map(Value::parts).collect();
        draft::prepare(&mut parts, first, now_s, "set_values")?;
        let set: Vec<_> = parts.into_iter().map(ValueParts::into_owned).collect();
        if let Some(both) = remove.iter().find(|index| find(&set, **index).is_some()) {
            let reason = format!("index {both} is also in set_values");
            return Err(Error::invalid("remove_indexes", reason));
        }
        Ok(Self {
            set,
            remove,
            replace_all,
            mode: SetMode::Put,
        })
    }

    /// The same with another meaning of setting.
    pub fn with_mode(mut self, mode: SetMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && !self.replace_all
    }

    /// About how many bytes it adds to a commit.
    pub fn weight(&self) -> usize {
        self.set.iter().map(Value::encoded_len).sum()
    }

    /// The values of a thing called `name` after the change, ascending by index.
    ///
    /// # Errors
    /// There is no value to be removed or modified, or one where one is to be added; the caller
    /// may not; there are too many.
    pub fn applied(
        &self,
        existing: &HandleValues,
        authority: &Authority,
        name: &dyn std::fmt::Display,
    ) -> Result<Vec<Value>> {
        self.check_places(existing, name)?;
        let mut values = Vec::with_capacity(self.set.len() + existing.len());
        let mut added = self.set.clone();
        for old in existing.iter() {
            match find(&self.set, old.index()) {
                // Nothing an administrator needs a right for, nor what a value is protected from.
                Some(new) if authority.is_bound(&old) && same_content(&old, new) => {
                    added.retain(|value| value.index != old.index());
                    values.push(old.to_owned());
                }
                Some(new) => {
                    authority.require_touchable(&old)?;
                    authority.require(modifying(old.value_type(), &new.value_type))?;
                    added.retain(|value| value.index != old.index());
                    values.push(new.clone());
                }
                None if self.replace_all || self.remove.contains(&old.index()) => {
                    authority.require_touchable(&old)?;
                    authority.require(removing(old.value_type()))?;
                }
                None => values.push(old.to_owned()),
            }
        }
        for new in &added {
            authority.require(adding(&new.value_type))?;
        }
        values.append(&mut added);
        values.sort_by_key(|value| value.index);
        if values.len() > MAX_VALUES {
            let (makes, most) = (values.len(), MAX_VALUES);
            let reason = format!("makes {makes} values, at most {most} are taken");
            return Err(Error::invalid("set_values", reason));
        }
        Ok(values)
    }

    /// The values after the change, whoever makes it: what is signed before it is known whether it
    /// may be made.
    ///
    /// # Errors
    /// Those of [`ValueChange::applied`] but for the caller's.
    pub fn outcome(
        &self,
        existing: &HandleValues,
        name: &dyn std::fmt::Display,
    ) -> Result<Vec<Value>> {
        self.applied(existing, &Authority::Operator, name)
    }

    /// Err if a value is missing, or in the way.
    fn check_places(&self, existing: &HandleValues, name: &dyn std::fmt::Display) -> Result<()> {
        let there: Vec<u32> = existing.iter().map(|value| value.index()).collect();
        let is_there = |index: u32| there.binary_search(&index).is_ok();
        let named = |index| format!("{index} of {name}");
        // What is left out is there, and in nobody's way.
        let mut remove = self.remove.iter();
        if let Some(index) = remove.find(|it| !is_there(**it) && !existing.leaves_out(**it)) {
            return Err(Error::not_found(Object::Value, named(*index)));
        }
        let mut set = self.set.iter().map(|value| value.index);
        match self.mode {
            SetMode::Put => Ok(()),
            SetMode::Add => match set.find(|index| is_there(*index)) {
                Some(index) => Err(Error::exists(Object::Value, named(index))),
                None => Ok(()),
            },
            SetMode::Modify => match set.find(|it| !is_there(*it) && !existing.leaves_out(*it)) {
                Some(index) => Err(Error::not_found(Object::Value, named(index))),
                None => Ok(()),
            },
        }
    }
}

/// The value of an index among values in ascending order.
fn find(values: &[Value], index: u32) -> Option<&Value> {
    let place = values.binary_search_by_key(&index, |value| value.index);
    place.ok().and_then(|place| values.get(place))
}

/// Whether all but the time is the same.
fn same_content(old: &ValueRef<'_>, new: &Value) -> bool {
    let mut encoded = Vec::new();
    let new = new.view_in(&mut encoded);
    new.is_ok_and(|new| old.index() == new.index() && old.signed_part() == new.signed_part())
}

fn is_admin(value_type: &str) -> bool {
    value_type.eq_ignore_ascii_case(types::HS_ADMIN)
}

/// The right to add a value of a type (RFC 3651 §3.2.1).
fn adding(value_type: &str) -> AdminRights {
    if is_admin(value_type) {
        AdminRights::ADD_ADMIN
    } else {
        AdminRights::ADD_VALUE
    }
}

/// The right to remove one.
fn removing(value_type: &str) -> AdminRights {
    if is_admin(value_type) {
        AdminRights::REMOVE_ADMIN
    } else {
        AdminRights::REMOVE_VALUE
    }
}

/// The right to put one in place of another. An HS_ADMIN value in place of something else is
/// added, and something else in its place means that it is removed.
fn modifying(old_type: &str, new_type: &str) -> AdminRights {
    match (is_admin(old_type), is_admin(new_type)) {
        (false, false) => AdminRights::MODIFY_VALUE,
        (true, true) => AdminRights::MODIFY_ADMIN,
        _ => AdminRights(removing(old_type).0 | adding(new_type).0),
    }
}
