//! The listing of a prefix: its own element and those of its identifiers, deleted ones among them,
//! in the order of their keys. Its SM3 digest is what a registry and its copy are compared by:
//! every byte of every value, every state, version and time is in it. What the prefix has beside these is
//! compared likewise: the enterprise that holds it, and the templates that this one may use.

use super::object::{Enterprise, Identifier, Prefix, Template};
use data_encoding::HEXLOWER;
use sm3::{Digest as _, Sm3};

/// A listing in the making.
#[derive(Clone)]
pub struct Listing {
    digest: Sm3,
    listed: u64,
    text: String,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("listed", &self.listed)
            .finish_non_exhaustive()
    }
}

impl Listing {
    /// Begins with the prefix itself.
    pub fn of(prefix: &Prefix) -> Self {
        let mut listing = Self {
            digest: Sm3::new(),
            listed: 0,
            text: String::new(),
        };
        prefix.write(&mut listing.text);
        listing.digest.update(&listing.text);
        listing
    }

    /// Adds an identifier; its element, for whoever needs it too.
    pub fn add(&mut self, identifier: &Identifier) -> &str {
        self.text.clear();
        identifier.write(&mut self.text);
        self.digest.update(&self.text);
        self.listed += 1;
        &self.text
    }

    /// How many identifiers it has.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// The digest, in hexadecimal.
    pub fn finish(self) -> String {
        HEXLOWER.encode(&self.digest.finalize())
    }
}

/// What a prefix has beside its identifiers, as digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Of the enterprise that holds it, in hexadecimal; empty: there is none.
    pub enterprise: String,
    /// Of the templates that this enterprise may use, in the order of their names.
    pub templates: String,
}

/// Such digests in the making.
#[derive(Clone, Default)]
pub struct BesideDigest {
    enterprise: String,
    templates: Sm3,
    text: String,
}

impl std::fmt::Debug for BesideDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BesideDigest").finish_non_exhaustive()
    }
}

impl BesideDigest {
    /// The enterprise; its element, for whoever needs it too.
    pub fn enterprise(&mut self, enterprise: &Enterprise) -> &str {
        self.text.clear();
        enterprise.write(&mut self.text);
        self.enterprise = HEXLOWER.encode(&Sm3::digest(&self.text));
        &self.text
    }

    /// The next template in the order of names; its element.
    pub fn template(&mut self, template: &Template) -> &str {
        self.text.clear();
        template.write(&mut self.text);
        self.templates.update(&self.text);
        &self.text
    }

    /// The digests.
    pub fn finish(self) -> Beside {
        Beside {
            enterprise: self.enterprise,
            templates: HEXLOWER.encode(&self.templates.finalize()),
        }
    }
}
