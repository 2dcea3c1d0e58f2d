//! The shape of the one table of sections and keys, and the macro that makes it.
//!
//! The structs, their defaults, the reader of files, variables and flags, and the reference all
//! come from one declaration in [`super::sections`], so that none can miss a key.

use super::rule::Rule;
use super::sections::{Config, SECTIONS};
use super::value::{Kind, Value};

/// A section of the configuration, `[name]` in the file.
#[derive(Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about, one line of text each.
    pub docs: &'static [&'static str],
    /// Its keys in the order of the reference.
    pub keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub struct Key {
    /// The section it belongs to.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// What it does, one line of text each.
    pub docs: &'static [&'static str],
    /// Its type.
    pub kind: Kind,
    /// What it allows.
    pub rule: Rule,
    /// Stores a value that has passed the rule; the error says which part is wrong.
    pub set: fn(&mut Config, &Value) -> Result<(), String>,
    /// Reads the value back.
    pub get: fn(&Config) -> Value,
}

impl Key {
    /// `section.key`, as `--set` and errors have it.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that sets it, `IDNODE_SECTION__KEY`; a dot in the section's name is
    /// `_` there.
    pub fn variable(&self) -> String {
        let section = self.section.replace('.', "_");
        format!("IDNODE_{section}__{}", self.name).to_ascii_uppercase()
    }
}

/// Every key of every section in the order of the reference.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The section of this name.
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// The key of this path.
pub fn key(section_name: &str, key_name: &str) -> Option<&'static Key> {
    section(section_name)?
        .keys
        .iter()
        .find(|key| key.name == key_name)
}

/// The name of a section: that of its field, unless another is given, such as one with a dot.
macro_rules! section_name {
    ($section:ident) => {
        stringify!($section)
    };
    ($section:ident $name:literal) => {
        $name
    };
}
pub(super) use section_name;

/// Declares sections: doc comment, name, struct; in each, doc comment, key, type, default and,
/// in brackets, what [`super::rule`] allows.
macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident $($section_name:literal)?: $struct:ident {$(
            $(#[doc = $doc:literal])+
            $name:ident: $type:ty = $default:expr, [$($rule:tt)+];
        )+}
    )+) => {
        /// The effective configuration of a node. Made by [`Config::load`](super::Config::load);
        /// its default is what an empty file, environment and command line give.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {$(
            $(#[doc = $section_doc])+
            pub $section: $struct,
        )+}

        impl Config {
            /// The defaults before [`Config::settle`] has derived what depends on other keys.
            pub(super) fn unsettled() -> Self {
                Self { $($section: $struct::default()),+ }
            }
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $struct {$(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(
                    "Default: `", stringify!($default), "`. Allowed: ",
                    $crate::config::rule::allowed!($($rule)+), "."
                )]
                pub $name: $type,
            )+}

            impl $struct {
                /// The section's name in the file.
                pub const SECTION: &'static str =
                    $crate::config::table::section_name!($section $($section_name)?);
            }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $($name: $default),+ }
                }
            }
        )+

        /// Every section in the order of the reference.
        pub static SECTIONS: &[$crate::config::table::Section] = &[$(
            $crate::config::table::Section {
                name: $struct::SECTION,
                docs: &[$($section_doc),+],
                keys: &[$($crate::config::table::Key {
                    section: $struct::SECTION,
                    name: stringify!($name),
                    docs: &[$($doc),+],
                    kind: <$type as $crate::config::value::Setting>::KIND,
                    rule: $crate::config::rule::rule!($($rule)+),
                    set: |config, value| {
                        config.$section.$name = $crate::config::value::Setting::from_value(value)?;
                        Ok(())
                    },
                    get: |config| $crate::config::value::Setting::to_value(&config.$section.$name),
                }),+],
            }
        ),+];
    };
}
pub(super) use sections;
