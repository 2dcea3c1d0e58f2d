//! Search patterns (QUERY §4.1), and the form in which names are compared (QUERY §5.1).

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use thiserror::Error;

/// A name as it is compared: NFKC with case folded, and full and half width the same (QUERY §5.1).
pub fn folded(text: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    if text.bytes().all(|byte| byte.is_ascii()) {
        return text.to_ascii_lowercase();
    }
    let mut folded = nfkc.normalize(text).into_owned();
    // Normalizing what was folded may put together what folds again. Twice is enough for every
    // character there is; a third time costs nothing if nothing changes.
    for _ in 0..3 {
        let cases: String = folded
            .chars()
            // Upper case first: ß and ss, ς and σ are the same then.
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .collect();
        let again = nfkc.normalize(&cases).into_owned();
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

/// Whether a character is part of the one before it.
pub(super) fn is_combining(character: char) -> bool {
    CanonicalCombiningClassMapBorrowed::new().get_u8(character) != 0
}

/// A pattern of a style that is not searched for: HTTP status 422 (QUERY §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PatternError {
    /// More than one asterisk.
    #[error("a pattern has one asterisk at most")]
    ManyAsterisks,
    /// Nothing before the asterisk.
    #[error("a pattern begins with at least one character before its asterisk")]
    LeadingAsterisk,
    /// What follows the asterisk is part of a character.
    #[error("what follows the asterisk begins with a combining character")]
    Combining,
}

/// `example*`, `ex*mple`, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Folded.
    before: String,
    /// Folded; `None`: there is no asterisk.
    after: Option<String>,
}

impl Pattern {
    /// Reads a pattern. An asterisk stands for any number of characters, none included.
    ///
    /// # Errors
    /// A style that is not searched for.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some((before, after)) = text.split_once('*') else {
            return Ok(Self::exactly(text));
        };
        if after.contains('*') {
            return Err(PatternError::ManyAsterisks);
        }
        let (before, after) = (folded(before), folded(after));
        if before.is_empty() {
            return Err(PatternError::LeadingAsterisk);
        }
        if after.starts_with(is_combining) {
            return Err(PatternError::Combining);
        }
        Ok(Self {
            before,
            after: Some(after),
        })
    }

    /// A name, whose asterisks are asterisks.
    pub fn exactly(name: &str) -> Self {
        Self {
            before: folded(name),
            after: None,
        }
    }

    /// What every name that matches begins with, folded.
    pub fn lead(&self) -> &str {
        &self.before
    }

    /// Whether there is an asterisk.
    pub fn is_partial(&self) -> bool {
        self.after.is_some()
    }

    /// Whether a folded name matches. What was typed is whole: `e*` is not found in an e that
    /// carries an accent (QUERY §4.1).
    pub fn matches(&self, folded_name: &str) -> bool {
        let Some(after) = &self.after else {
            return folded_name == self.before;
        };
        let Some(rest) = folded_name.strip_prefix(&self.before) else {
            return false;
        };
        rest.ends_with(after.as_str()) && !rest.starts_with(is_combining)
    }
}
