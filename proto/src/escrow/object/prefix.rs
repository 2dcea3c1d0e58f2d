//! Prefixes.

use super::{PREFIX_STATES, Values, number, token};
use crate::escrow::EscrowError;
use crate::escrow::fields::{Fields, Tag};
use crate::identifier;
use crate::xml::stream::Node;

/// A prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Its canonical text.
    pub name: String,
    /// The enterprise that holds it.
    pub enterprise: u64,
    /// One of [`PREFIX_STATES`], from 1 on.
    pub state: u32,
    /// What the last review said.
    pub review_message: String,
    /// The place in the change log of what wrote it.
    pub version: u64,
    /// When it was applied for, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it last changed.
    pub updated_at_ms: u64,
    /// Sequence of the change that left its review to the national node; 0: it does not wait for that.
    pub submitted: u64,
    /// Whether the national node has withdrawn it: 0 no, 1 and that has suspended it, 2 and it was not active.
    pub withdrawal: u32,
    /// Where its identifiers are resolved, if elsewhere.
    pub delegation: Option<Delegation>,
    /// What `0.NA/<prefix>` has beside its sites.
    pub values: Values,
}

/// Where a prefix is resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delegation {
    /// Handle sites, each the data of an HS_SITE value.
    pub sites: Vec<Vec<u8>>,
    /// DNS name servers.
    pub name_servers: Vec<NameServer>,
    /// Keys of the DNS zone they serve.
    pub ds: Vec<DelegationSigner>,
    /// The handle that has the sites, HS_SERV; empty: none.
    pub service_handle: String,
}

/// A DNS name server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameServer {
    /// Its name.
    pub name: String,
    /// Its addresses, for those who cannot find them otherwise.
    pub addresses: Vec<String>,
}

/// A DS record (RFC 4034 §5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DelegationSigner {
    /// Key tag.
    pub key_tag: u32,
    /// Algorithm.
    pub algorithm: u32,
    /// Digest type.
    pub digest_type: u32,
    /// Digest.
    pub digest: Vec<u8>,
}

impl Prefix {
    /// Appends its element.
    pub fn write(&self, out: &mut String) {
        Tag::new(out, "prefix")
            .text("name", &self.name)
            .number("enterprise", self.enterprise)
            .text("state", token(&PREFIX_STATES, self.state))
            .text("message", &self.review_message)
            .number("version", self.version)
            .number("createdMs", self.created_at_ms)
            .number("updatedMs", self.updated_at_ms)
            .number("submitted", self.submitted)
            .optional_number(
                "withdrawal",
                (self.withdrawal > 0).then_some(self.withdrawal.into()),
            )
            .around(|out| {
                if let Some(delegation) = &self.delegation {
                    delegation.write(out);
                }
                self.values.write(out);
            });
    }

    fn withdrawal(fields: &mut Fields<'_>) -> Result<u32, EscrowError> {
        match fields.optional_number("withdrawal")? {
            None => Ok(0),
            Some(it @ 1..=2) => Ok(it),
            Some(it) => Err(fields.wrong(format!("withdrawal is 1 or 2, not {it}"))),
        }
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let name = fields.required("name")?;
        let parsed = identifier::Prefix::parse(&name);
        let parsed = parsed.map_err(|error| fields.wrong(error))?;
        if parsed.canonical() != name {
            return Err(fields.wrong("its name is not in canonical form"));
        }
        let mut delegations = fields.children("delegation");
        let delegation = delegations.next().map(Delegation::read).transpose()?;
        if delegations.next().is_some() {
            return Err(fields.wrong("it is delegated twice"));
        }
        let prefix = Self {
            name,
            enterprise: fields.number("enterprise")?,
            state: number(&mut fields, "state", &PREFIX_STATES)?,
            review_message: fields.text("message")?,
            version: fields.number("version")?,
            created_at_ms: fields.number("createdMs")?,
            updated_at_ms: fields.number("updatedMs")?,
            submitted: fields.number("submitted")?,
            withdrawal: Self::withdrawal(&mut fields)?,
            delegation,
            values: Values::read(&mut fields)?,
        };
        fields.finish()?;
        Ok(prefix)
    }
}

impl Delegation {
    fn write(&self, out: &mut String) {
        let tag = Tag::new(out, "delegation").text("serviceHandle", &self.service_handle);
        tag.around(|out| {
            for site in &self.sites {
                Tag::new(out, "site").bytes(site);
            }
            for server in &self.name_servers {
                Tag::new(out, "nameServer")
                    .text("name", &server.name)
                    .around(|out| {
                        for address in &server.addresses {
                            Tag::new(out, "address").text("ip", address).end();
                        }
                    });
            }
            for ds in &self.ds {
                Tag::new(out, "ds")
                    .number("keyTag", ds.key_tag)
                    .number("algorithm", ds.algorithm)
                    .number("digestType", ds.digest_type)
                    .bytes(&ds.digest);
            }
        });
    }

    fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let mut delegation = Self {
            service_handle: fields.text("serviceHandle")?,
            ..Self::default()
        };
        for node in fields.children("site") {
            let site = Fields::of(node)?;
            delegation.sites.push(site.bytes()?);
            site.finish()?;
        }
        for node in fields.children("nameServer") {
            delegation.name_servers.push(NameServer::read(node)?);
        }
        for node in fields.children("ds") {
            let mut ds = Fields::of(node)?;
            delegation.ds.push(DelegationSigner {
                key_tag: ds.number("keyTag")?,
                algorithm: ds.number("algorithm")?,
                digest_type: ds.number("digestType")?,
                digest: ds.bytes()?,
            });
            ds.finish()?;
        }
        fields.finish()?;
        Ok(delegation)
    }
}

impl NameServer {
    fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let mut server = Self {
            name: fields.text("name")?,
            addresses: Vec::new(),
        };
        for node in fields.children("address") {
            let mut address = Fields::of(node)?;
            server.addresses.push(address.text("ip")?);
            address.finish()?;
        }
        fields.finish()?;
        Ok(server)
    }
}
