//! Values by a template.

use super::{Condition, Maker, Namespace, Node, Piece, Subject, Template, Test, Text};
use crate::value::{MAX_DATA_LEN, MAX_VALUES, Permissions, Reference, Value, ValueRef, types};
use std::borrow::Cow;
use std::collections::BTreeMap;
use thiserror::Error;

/// Most bytes that regular expressions look at for one handle; each test counts some more.
const MAX_MATCHED_BYTES: usize = 64 << 10;
/// Most elements that are looked at for one handle.
const MAX_STEPS: usize = 64 << 10;
/// What a test costs besides its text, bytes.
const TEST_BYTES: usize = 16;
/// Longest text of an index with what is around it, bytes.
const MAX_INDEX_BYTES: usize = 64;
/// Most digits of an index: those of the greatest.
const MAX_INDEX_DIGITS: usize = 10;
/// Longest data that a test holds for, bytes; handles are no longer.
const MAX_SUBJECT_BYTES: usize = 2_048;

/// A handle as a template sees it.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    template: &'a Template,
    /// The whole handle.
    pub handle: &'a str,
    /// What is before the delimiter.
    pub base: &'a str,
    /// What is behind it.
    pub extension: &'a str,
}

/// The base handle, if it is registered.
pub type Base<'a> = Option<&'a [ValueRef<'a>]>;

/// What a template makes of a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Computed {
    /// Values, ascending by index, at least one.
    Values(Vec<Value>),
    /// There is no such handle.
    NotFound,
}

/// Why a template makes nothing of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ComputeError {
    /// An index that is no number above 0 of at most ten digits.
    #[error("an index is no number above 0 of at most ten digits")]
    Index,
    /// A value that no record holds.
    #[error("a value is longer than values are")]
    TooLong,
    /// More than 2,048 of them, or more than 1 MiB in all.
    #[error("there are more values than a record holds")]
    TooMuch,
    /// It takes too long to find out.
    #[error("it takes more work than is done for one handle")]
    TooMuchWork,
}

impl Namespace {
    /// Takes a handle apart; `None`: no delimiter is in it.
    pub fn split<'a>(&'a self, handle: &'a str) -> Option<Split<'a>> {
        let (template, at) = self.find(handle)?;
        let (base, rest) = handle.split_at_checked(at)?;
        Some(Split {
            template,
            handle,
            base,
            extension: rest.strip_prefix(template.delimiter.as_str())?,
        })
    }
}

impl Split<'_> {
    /// The handle's values; those of no base's value changed at `timestamp_s`, seconds since 1970.
    /// For a base handle that is not registered a `<foreach>` makes none.
    ///
    /// # Errors
    /// The values cannot be.
    pub fn compute(&self, base: Base<'_>, timestamp_s: u32) -> Result<Computed, ComputeError> {
        let mut work = Work {
            split: self,
            base: base.unwrap_or_default(),
            timestamp_s,
            values: BTreeMap::new(),
            value_bytes: 0,
            matched_bytes: 0,
            steps: 0,
        };
        let mut scope = Scope::default();
        if work.run(&self.template.body, None, &mut scope)? == Flow::NotFound {
            return Ok(Computed::NotFound);
        }
        if work.values.is_empty() {
            return Ok(Computed::NotFound);
        }
        Ok(Computed::Values(work.values.into_values().collect()))
    }

    /// What a name stands for.
    fn text<'v>(&'v self, subject: Subject, value: Option<&ValueRef<'v>>) -> Cow<'v, str> {
        let of_value = match (subject, value) {
            (Subject::Index, Some(value)) => Some(value.index().to_string().into()),
            (Subject::Type, Some(value)) => Some(value.value_type().into()),
            (Subject::Data, Some(value)) => Some(String::from_utf8_lossy(value.data())),
            _ => None,
        };
        of_value.unwrap_or(match subject {
            Subject::Handle => self.handle.into(),
            Subject::Base => self.base.into(),
            Subject::Extension => self.extension.into(),
            // The parser lets these stand in a `<foreach>` only.
            Subject::Index | Subject::Type | Subject::Data => Cow::Borrowed(""),
        })
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    NotFound,
}

/// Parameters of the tests around: their names, the text that was tested and its groups.
type Scope<'t> = Vec<(&'t str, Vec<String>)>;

struct Work<'a> {
    split: &'a Split<'a>,
    base: &'a [ValueRef<'a>],
    timestamp_s: u32,
    /// By index; the first value of an index counts.
    values: BTreeMap<u32, Value>,
    value_bytes: usize,
    matched_bytes: usize,
    steps: usize,
}

impl Work<'_> {
    fn run<'t>(
        &mut self,
        nodes: &'t [Node],
        value: Option<&ValueRef<'_>>,
        scope: &mut Scope<'t>,
    ) -> Result<Flow, ComputeError> {
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(ComputeError::TooMuchWork);
            }
            let flow = match node {
                Node::NotFound => Flow::NotFound,
                Node::Value(maker) => {
                    self.make(maker, value, scope)?;
                    Flow::On
                }
                Node::ForEach(inside) => self.for_each(inside, scope)?,
                Node::If {
                    test,
                    then,
                    otherwise,
                } => {
                    let (holds, groups) = self.test(test, value)?;
                    let known = scope.len();
                    scope.extend(test.parameter.as_deref().map(|name| (name, groups)));
                    let inside = if holds { then } else { otherwise };
                    let flow = self.run(inside, value, scope)?;
                    scope.truncate(known);
                    flow
                }
            };
            if flow == Flow::NotFound {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn for_each<'t>(
        &mut self,
        inside: &'t [Node],
        scope: &mut Scope<'t>,
    ) -> Result<Flow, ComputeError> {
        // Signatures are over the base handle, and over its values as they are there.
        let is_signature =
            |it: &&ValueRef<'_>| it.value_type().eq_ignore_ascii_case(types::HS_SIGNATURE);
        for value in self.base.iter().filter(|it| !is_signature(it)) {
            if self.run(inside, Some(value), scope)? == Flow::NotFound {
                return Ok(Flow::NotFound);
            }
        }
        Ok(Flow::On)
    }

    /// Whether a test holds, and what its parameter stands for: the text, behind it the groups.
    fn test(
        &mut self,
        test: &Test,
        value: Option<&ValueRef<'_>>,
    ) -> Result<(bool, Vec<String>), ComputeError> {
        let too_long = value.is_some_and(|value| value.data().len() > MAX_SUBJECT_BYTES);
        if too_long && test.subject == Subject::Data {
            return Ok((false, Vec::new()));
        }
        let split = self.split;
        let text = split.text(test.subject, value);
        let named = test.parameter.is_some();
        let whole = || {
            if named {
                vec![text.to_string()]
            } else {
                Vec::new()
            }
        };
        let regex = match &test.condition {
            Condition::Equals(wanted) => {
                let equal = match test.subject {
                    Subject::Type => text.eq_ignore_ascii_case(wanted),
                    _ => text == wanted.as_str(),
                };
                return Ok((equal, whole()));
            }
            Condition::Matches(regex) => regex,
        };
        self.matched_bytes += text.len() + TEST_BYTES;
        if self.matched_bytes > MAX_MATCHED_BYTES {
            return Err(ComputeError::TooMuchWork);
        }
        if !named {
            return Ok((regex.is_match(&text), Vec::new()));
        }
        let Some(captures) = regex.captures(&text) else {
            return Ok((false, whole()));
        };
        let groups = captures
            .iter()
            .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()));
        Ok((true, groups.collect()))
    }

    fn make(
        &mut self,
        maker: &Maker,
        value: Option<&ValueRef<'_>>,
        scope: &Scope<'_>,
    ) -> Result<(), ComputeError> {
        let fill = |text: &Option<Text>| {
            let filled = |text| self.fill(text, value, scope, MAX_DATA_LEN);
            let filled = text.as_deref().map(filled).transpose();
            filled.map_err(|TooLong| ComputeError::TooLong)
        };
        let index = maker.index.as_deref();
        let index = index
            .map(|text| self.index(text, value, scope))
            .transpose()?;
        let (value_type, data) = (fill(&maker.value_type)?, fill(&maker.data)?);
        let made = match value {
            Some(value) => Value {
                index: index.unwrap_or_else(|| value.index()),
                value_type: value_type.unwrap_or_else(|| value.value_type().to_owned()),
                data: data.map_or_else(|| value.data().to_vec(), String::into_bytes),
                ttl: value.ttl(),
                timestamp_s: value.timestamp_s(),
                permissions: value.permissions(),
                references: references(value),
            },
            None => {
                let value_type = value_type.unwrap_or_default();
                Value {
                    timestamp_s: self.timestamp_s,
                    permissions: Permissions::default_of(&value_type),
                    ..Value::new(
                        index.unwrap_or_default(),
                        value_type,
                        data.unwrap_or_default(),
                    )
                }
            }
        };
        made.check().map_err(|_| ComputeError::TooLong)?;
        self.value_bytes += made.encoded_len();
        if self.value_bytes > MAX_DATA_LEN || self.values.len() >= MAX_VALUES {
            return Err(ComputeError::TooMuch);
        }
        self.values.entry(made.index).or_insert(made);
        Ok(())
    }

    /// An index that a text makes: decimal digits, which may have white space around.
    fn index(
        &self,
        text: &[Piece],
        value: Option<&ValueRef<'_>>,
        scope: &Scope<'_>,
    ) -> Result<u32, ComputeError> {
        let filled = self.fill(text, value, scope, MAX_INDEX_BYTES);
        let filled = filled.map_err(|TooLong| ComputeError::Index)?;
        let digits = filled.trim();
        let is_number =
            digits.len() <= MAX_INDEX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let index = digits.parse().ok().filter(|index| *index > 0 && is_number);
        index.ok_or(ComputeError::Index)
    }

    /// A text with what its names stand for, of at most so many bytes.
    fn fill(
        &self,
        text: &[Piece],
        value: Option<&ValueRef<'_>>,
        scope: &Scope<'_>,
        most: usize,
    ) -> Result<String, TooLong> {
        let mut filled = String::new();
        let mut push = |piece: &str| {
            if piece.len() > most - filled.len() {
                return Err(TooLong);
            }
            filled.push_str(piece);
            Ok(())
        };
        for piece in text {
            match piece {
                Piece::Literal(literal) => push(literal)?,
                // What is too long is not even copied.
                Piece::Subject(Subject::Data)
                    if value.is_some_and(|value| value.data().len() > most) =>
                {
                    return Err(TooLong);
                }
                Piece::Subject(subject) => push(&self.split.text(*subject, value))?,
                Piece::Parameter(name, group) => {
                    let named = scope.iter().rev().find(|(known, _)| known == name);
                    let text = named.and_then(|(_, groups)| groups.get(*group));
                    push(text.map_or("", String::as_str))?;
                }
            }
        }
        Ok(filled)
    }
}

/// A text would be longer than it may be.
struct TooLong;

fn references(value: &ValueRef<'_>) -> Vec<Reference> {
    let references = value.references();
    let owned = references.map(|(handle, index)| Reference {
        handle: handle.to_owned(),
        index,
    });
    owned.collect()
}
