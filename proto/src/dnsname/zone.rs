//! The zones names are in.

use std::fmt;

use super::label::MAX_LABEL_BYTES;
use super::{NameError, ZoneKind};
use crate::identifier::Quoted;

/// Longest zone name in wire form: what a name of 255 bytes leaves beside the longest identifier.
const MAX_ZONE_BYTES: usize = 100;

/// A zone's domain name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ZoneName {
    labels: Vec<Box<[u8]>>,
    wire: Box<[u8]>,
}

impl ZoneName {
    /// Reads `id.example.` (the last dot may be left out).
    ///
    /// # Errors
    /// [`NameError::Zone`] for the root, for labels that are empty, longer than 63 bytes or hold
    /// anything but letters, digits, `-` and `_`, and for more than 100 bytes in wire form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |problem| NameError::Zone {
            text: Quoted::new(text),
            problem,
        };
        let body = text.strip_suffix('.').unwrap_or(text);
        if body.is_empty() {
            return Err(refuse("is the root: a domain name is needed"));
        }
        let mut labels = Vec::new();
        let mut wire = Vec::with_capacity(body.len() + 2);
        for label in body.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL_BYTES {
                return Err(refuse("has a label that is empty or longer than 63 bytes"));
            }
            if !label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            {
                return Err(refuse("has characters other than letters, digits, - and _"));
            }
            let label = label.to_ascii_lowercase().into_bytes();
            wire.push(label.len() as u8);
            wire.extend_from_slice(&label);
            labels.push(label.into_boxed_slice());
        }
        wire.push(0);
        if wire.len() > MAX_ZONE_BYTES {
            return Err(refuse("is longer than 100 bytes"));
        }
        Ok(Self {
            labels,
            wire: wire.into_boxed_slice(),
        })
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.labels.iter().map(|label| &**label)
    }

    /// The name in uncompressed wire form, with the root label.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels before this zone's, if `labels` is in it.
    fn relative<'a, 'b>(&self, labels: &'b [&'a [u8]]) -> Option<&'b [&'a [u8]]> {
        let (before, zone) =
            labels.split_at_checked(labels.len().checked_sub(self.labels.len())?)?;
        zone.iter()
            .zip(&self.labels)
            .all(|(label, own)| label.eq_ignore_ascii_case(own))
            .then_some(before)
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in &self.labels {
            write!(f, "{}.", String::from_utf8_lossy(label))?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ZoneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The zones a node serves identifiers in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// The node's own zone, with all schemes below it.
    pub node: ZoneName,
    /// The zone OIDs are also in by X.672, such as `oid-res.org.`
    pub ors: Option<ZoneName>,
    /// The ONS root under which GS1 keys are also in `gs1.id`, such as `onsepc.com.`
    pub ons: Option<ZoneName>,
}

impl Zones {
    /// Reads the zones' names.
    ///
    /// # Errors
    /// [`NameError::Zone`] naming the first that is wrong.
    pub fn parse(node: &str, ors: Option<&str>, ons: Option<&str>) -> Result<Self, NameError> {
        Ok(Self {
            node: ZoneName::parse(node)?,
            ors: ors.map(ZoneName::parse).transpose()?,
            ons: ons.map(ZoneName::parse).transpose()?,
        })
    }

    /// The zone of a kind, where configured.
    pub fn get(&self, kind: ZoneKind) -> Option<&ZoneName> {
        match kind {
            ZoneKind::Node => Some(&self.node),
            ZoneKind::Ors => self.ors.as_ref(),
            ZoneKind::Ons => self.ons.as_ref(),
        }
    }

    /// The closest enclosing zone and the labels before it.
    pub(super) fn enclosing<'a, 'b>(
        &self,
        labels: &'b [&'a [u8]],
    ) -> Option<(ZoneKind, &'b [&'a [u8]])> {
        [ZoneKind::Node, ZoneKind::Ors, ZoneKind::Ons]
            .into_iter()
            .filter_map(|kind| Some((kind, self.get(kind)?.relative(labels)?)))
            .min_by_key(|(_, before)| before.len())
    }
}
