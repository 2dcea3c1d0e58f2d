//! What is asked: handles that are registered, and, if that is wanted, some that are not.

use std::fs;
use std::path::PathBuf;

use crate::bench::error::Failure;

/// What a pattern's number stands in for.
const PLACE: &str = "{}";

/// Which handles are asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File of registered handles, one a line
    #[arg(long, value_name = "FILE", required_unless_present = "pattern")]
    handles: Option<PathBuf>,
    /// Registered handles as a pattern: {} is a number from 0
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "handles",
        requires = "count"
    )]
    pattern: Option<String>,
    /// How many there are of the pattern
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Digits of the pattern's number at least, with zeros in front
    #[arg(long, value_name = "N", default_value_t = 1)]
    digits: usize,
    /// Share of the questions that ask for handles that are not registered, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    missing: f64,
}

#[cfg(test)]
impl Args {
    /// So many handles of a pattern.
    pub(super) fn of_pattern(pattern: &str, count: u32) -> Self {
        Self {
            handles: None,
            pattern: Some(pattern.to_owned()),
            count: Some(count),
            digits: 1,
            missing: 0.0,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("allowed: 0 to 1".to_owned()),
    }
}

/// Handles that differ by a number.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    digits: usize,
}

impl Pattern {
    /// With so many digits at least.
    ///
    /// # Errors
    /// There is no place for a number.
    pub(super) fn new(text: &str, digits: usize) -> Result<Self, Failure> {
        if !text.contains(PLACE) {
            return Err(Failure::Usage(format!("--pattern: has no {PLACE}")));
        }
        let text = text.to_owned();
        Ok(Self { text, digits })
    }

    /// The handle with this number.
    pub(super) fn handle(&self, number: u64) -> String {
        let number = format!("{number:0digits$}", digits = self.digits);
        self.text.replace(PLACE, &number)
    }
}

/// Handles by question: first those that are registered, then the others.
#[derive(Debug)]
pub(super) struct Handles {
    names: Vec<Box<str>>,
    registered: usize,
}

impl Handles {
    /// # Errors
    /// The file cannot be read or names nothing; the pattern has no place for a number.
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let mut names = match (&args.handles, &args.pattern) {
            (Some(path), _) => {
                let text =
                    fs::read_to_string(path).map_err(Failure::io(path.display().to_string()))?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.map(Box::from).collect()
            }
            (None, pattern) => {
                let pattern = pattern.as_deref().unwrap_or_default();
                let pattern = Pattern::new(pattern, args.digits)?;
                let handle = |number: u32| pattern.handle(number.into()).into();
                (0..args.count.unwrap_or(1)).map(handle).collect()
            }
        };
        let registered = add_missing(&mut names, args.missing);
        match u32::try_from(names.len()) {
            Ok(1..) => Ok(Self { names, registered }),
            _ => Err(Failure::Usage(
                "there are no handles, or too many".to_owned(),
            )),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.names.len() as u32
    }

    /// The handle of a question.
    pub(super) fn get(&self, question: u32) -> &str {
        self.names.get(question as usize).map_or("", |name| name)
    }

    /// Whether it is registered.
    pub(super) fn is_registered(&self, question: u32) -> bool {
        (question as usize) < self.registered
    }
}

/// Adds handles beside those that are registered, so that they are `share` of all, and takes
/// registered ones away where that would be very many; how many registered ones remain.
fn add_missing(names: &mut Vec<Box<str>>, share: f64) -> usize {
    let known = names.len() as f64;
    let (kept, added) = match share {
        0.0 => (known, 0.0),
        ..=0.5 => (known, known * share / (1.0 - share)),
        _ => (known * (1.0 - share) / share, known),
    };
    let others: Vec<_> = names
        .iter()
        .take(added.round() as usize)
        .map(|name| format!("{name}-missing").into())
        .collect();
    names.truncate(kept.round() as usize);
    let registered = names.len();
    names.extend(others);
    registered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_share_of_missing_ones_is_what_was_asked_for() {
        for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let mut names = (0..1000).map(|n| n.to_string().into()).collect::<Vec<_>>();
            let registered = add_missing(&mut names, share);
            let missing = names.iter().filter(|name| name.ends_with("-missing"));
            let missing = missing.count();
            assert_eq!(registered + missing, names.len());
            let got = missing as f64 / names.len() as f64;
            assert!((got - share).abs() < 0.01, "{got} for {share}");
        }
    }
}
