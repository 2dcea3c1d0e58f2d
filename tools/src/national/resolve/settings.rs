//! Where the resolver listens, for which prefixes, and what it is told by hand.

use std::net::SocketAddr;

use idnode_proto::identifier::{Identifier, Prefix};
use serde::Deserialize;

use crate::national::Failure;

/// Settings of the resolver; it is on where it listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResolveSettings {
    /// Where the resolver is asked (the Handle protocol over UDP and TCP)
    #[arg(long, value_name = "ADDRESS")]
    pub listen_resolve: Option<SocketAddr>,
    /// A prefix whose nodes it knows; 88 and 86 unless said
    #[arg(long, value_name = "PREFIX")]
    pub resolve_prefix: Vec<String>,
    /// Where a prefix is resolved, beside what nodes announce
    #[arg(long, value_name = "PREFIX=ADDRESS:PORT")]
    pub route: Vec<String>,
}

impl ResolveSettings {
    /// These flags over what a file says.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        let or = |flags: Vec<String>, file: Vec<String>| match flags.is_empty() {
            true => file,
            false => flags,
        };
        Self {
            listen_resolve: self.listen_resolve.or(file.listen_resolve),
            resolve_prefix: or(self.resolve_prefix, file.resolve_prefix),
            route: or(self.route, file.route),
        }
    }

    /// The prefixes whose nodes it knows.
    ///
    /// # Errors
    /// One is none.
    pub(super) fn prefixes(&self) -> Result<Vec<Prefix>, Failure> {
        if self.resolve_prefix.is_empty() {
            let all = ["88", "86"].into_iter();
            return all
                .map(|it| Prefix::parse(it).map_err(Failure::from))
                .collect();
        }
        let all = self.resolve_prefix.iter();
        all.map(|text| {
            Prefix::parse(text).map_err(|why| format!("--resolve-prefix {text}: {why}").into())
        })
        .collect()
    }

    /// The routes that were given by hand.
    ///
    /// # Errors
    /// One is none.
    pub(super) fn routes(&self) -> Result<Vec<HandRoute>, Failure> {
        self.route
            .iter()
            .map(|text| HandRoute::parse(text))
            .collect()
    }
}

/// A route that was given by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HandRoute {
    pub(super) prefix: Prefix,
    pub(super) address: SocketAddr,
}

impl HandRoute {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |why: String| format!("--route {text}: {why}");
        let (prefix, address) = text
            .split_once('=')
            .ok_or_else(|| bad("is not PREFIX=ADDRESS:PORT".to_owned()))?;
        Ok(Self {
            prefix: Prefix::parse(prefix).map_err(|why| bad(why.to_string()))?,
            address: address
                .parse()
                .map_err(|_| bad(format!("{address} is no address")))?,
        })
    }

    /// Whether it is about an identifier, or about the prefix that it is the handle of.
    pub(super) fn covers(&self, identifier: &Identifier) -> bool {
        let of_prefix = identifier.prefix_handle();
        let mut candidates = match &of_prefix {
            Some(prefix) => prefix.candidates(),
            None => identifier.prefix_candidates(),
        };
        candidates.any(|it| it.key == self.prefix.key())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_given_by_hand_is_read_or_refused_by_name() {
        let settings = |prefix: &[&str], route: &[&str]| ResolveSettings {
            resolve_prefix: prefix.iter().map(|it| (*it).to_owned()).collect(),
            route: route.iter().map(|it| (*it).to_owned()).collect(),
            ..ResolveSettings::default()
        };
        assert_eq!(settings(&[], &[]).prefixes().unwrap().len(), 2);
        let routes = settings(&[], &["88.118=192.0.2.1:2641"]).routes().unwrap();
        let route = routes.first().unwrap();
        assert!(route.covers(&Identifier::parse("88.118.8/A").unwrap()));
        assert!(route.covers(&Identifier::parse("0.NA/88.118").unwrap()));
        assert!(!route.covers(&Identifier::parse("88.119/A").unwrap()));
        for text in [
            "88.118",
            "=1.2.3.4:5",
            "88.118=there:2641",
            "88.118=1.2.3.4",
        ] {
            let error = settings(&[], &[text]).routes().unwrap_err().to_string();
            assert!(error.starts_with(&format!("--route {text}: ")), "{error}");
        }
        assert!(settings(&["/"], &[]).prefixes().is_err());
    }
}
