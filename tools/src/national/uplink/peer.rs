//! Which nodes there are, and whether who speaks is the node it says.

use std::collections::BTreeMap;

use idnode_proto::identifier::Prefix;
use tonic::{Request, Status};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::national::Failure;

/// The nodes that may speak, by name, with their own prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    nodes: BTreeMap<String, Vec<Prefix>>,
}

impl Members {
    /// Reads `NAME:PREFIX[,PREFIX]`, one node each.
    ///
    /// # Errors
    /// One has no name or no prefix, or its prefix is none; a name comes twice.
    pub fn parse(texts: &[String]) -> Result<Self, Failure> {
        let mut nodes = BTreeMap::new();
        for text in texts {
            let bad = |reason: String| format!("--sync-node {text}: {reason}");
            let (name, prefixes) = text
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| bad("is not NAME:PREFIX[,PREFIX]".to_owned()))?;
            let prefixes: Vec<Prefix> = prefixes
                .split(',')
                .map(|prefix| Prefix::parse(prefix).map_err(|why| bad(format!("{prefix}: {why}"))))
                .collect::<Result<_, _>>()?;
            if nodes.insert(name.to_owned(), prefixes).is_some() {
                return Err(bad("the name is taken".to_owned()).into());
            }
        }
        Ok(Self { nodes })
    }

    /// Every node by name, with its prefixes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Prefix])> {
        let nodes = self.nodes.iter();
        nodes.map(|(name, prefixes)| (name.as_str(), prefixes.as_slice()))
    }

    /// Whether a node may speak for a prefix: it is one of its own, or below one.
    pub fn may_speak_for(&self, node: &str, prefix: &Prefix) -> bool {
        let own = self.nodes.get(node);
        own.is_some_and(|own| own.iter().any(|own| is_at_or_below(own, prefix)))
    }

    /// The check of whoever calls: the node that a message names is known here, and is named by the
    /// certificate that the caller has shown, as its common name or one of its DNS names.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`: no certificate; `PERMISSION_DENIED`: another node's, or an unknown node.
    pub fn check<T>(&self, request: &Request<T>, node: &str) -> Result<(), Status> {
        is_shown(request, node)?;
        self.is_known(node)
    }

    fn is_known(&self, node: &str) -> Result<(), Status> {
        match self.nodes.contains_key(node) {
            true => Ok(()),
            false => Err(Status::permission_denied(format!("{node:?} is no node"))),
        }
    }
}

/// The check of whoever calls where nodes are not listed: the node that a message names is named by
/// the certificate that the caller has shown, as its common name or one of its DNS names.
///
/// # Errors
/// `UNAUTHENTICATED`: no certificate; `PERMISSION_DENIED`: another node's.
pub fn is_shown<T>(request: &Request<T>, node: &str) -> Result<(), Status> {
    let shown = request.peer_certs();
    let first = shown.as_ref().and_then(|chain| chain.first());
    let first = first.ok_or_else(|| Status::unauthenticated("no certificate was shown"))?;
    is_named_by(first, node)
}

fn is_named_by(certificate: &[u8], node: &str) -> Result<(), Status> {
    let names = names_in(certificate).map_err(Status::unauthenticated)?;
    if !names.iter().any(|name| name == node) {
        let shown = names.join(", ");
        let reason = format!("the certificate is that of {shown:?}, not of {node:?}");
        return Err(Status::permission_denied(reason));
    }
    Ok(())
}

fn is_at_or_below(own: &Prefix, prefix: &Prefix) -> bool {
    let mut above = prefix.candidates();
    above.any(|it| it.key == own.key())
}

/// The names of a certificate's subject: common names and DNS names.
fn names_in(certificate: &[u8]) -> Result<Vec<String>, String> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate can't be read: {error}"))?;
    let common = certificate.subject().iter_common_name();
    let mut names: Vec<String> = common
        .filter_map(|name| name.as_str().ok().map(str::to_owned))
        .collect();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        let listed = alternative.value.general_names.iter();
        names.extend(listed.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        }));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use tonic::Code;

    fn members(texts: &[&str]) -> Result<Members, Failure> {
        let texts: Vec<String> = texts.iter().map(|it| (*it).to_owned()).collect();
        Members::parse(&texts)
    }

    fn certificate(common: &str, dns: &[&str]) -> Vec<u8> {
        let dns: Vec<String> = dns.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(dns).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_node_is_who_its_certificate_names() {
        let members = members(&["taiyuan:88.118", "datong:88.119,gs1:6901234"]).unwrap();
        let code = |certificate: &[u8], node: &str| {
            let checked = is_named_by(certificate, node).and_then(|()| members.is_known(node));
            checked.err().map(|status| status.code())
        };
        let taiyuan = certificate("taiyuan", &["node.example"]);
        assert_eq!(code(&taiyuan, "taiyuan"), None);
        assert_eq!(code(&taiyuan, "datong"), Some(Code::PermissionDenied));
        assert_eq!(code(&taiyuan, "node.example"), Some(Code::PermissionDenied));
        let both = certificate("x", &["datong", "taiyuan"]);
        assert_eq!(code(&both, "datong"), None);
        assert_eq!(code(&both, "taiyuan"), None);
        assert_eq!(code(b"nonsense", "taiyuan"), Some(Code::Unauthenticated));
    }

    #[test]
    fn a_node_speaks_for_what_is_below_its_prefixes() {
        let members = members(&["taiyuan:88.118,gs1:6901234"]).unwrap();
        let may =
            |node: &str, prefix: &str| members.may_speak_for(node, &Prefix::parse(prefix).unwrap());
        assert!(may("taiyuan", "88.118") && may("taiyuan", "88.118.8"));
        assert!(may("taiyuan", "gs1:6901234") && may("taiyuan", "gs1:69012345"));
        assert!(!may("taiyuan", "88") && !may("taiyuan", "88.1180") && !may("taiyuan", "88.119"));
        assert!(!may("datong", "88.118"));
    }

    #[test]
    fn what_names_no_node_is_refused() {
        for texts in [
            &["taiyuan"][..],
            &[":88.118"],
            &["taiyuan:"],
            &["taiyuan:88.118,"],
            &["taiyuan:88.118", "taiyuan:88.119"],
        ] {
            assert!(members(texts).is_err(), "{texts:?}");
        }
    }
}
