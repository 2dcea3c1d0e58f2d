//! Identifiers (the mapping draft, sections 3 and 4).

use super::read::{Read, choice, not_number, word};
use super::{NS_IDENTIFIER, Refused, ResultCode};
use crate::xml::Writer;

const XMLNS: (&str, &str) = ("xmlns:identifier", NS_IDENTIFIER);

/// Most names of one check.
pub const MAX_NAMES: usize = 256;
/// Longest name, bytes (section 3.2.1).
pub const MAX_NAME_BYTES: usize = 255;
/// Most things of one kind in a list.
const MAX_ITEMS: usize = 256;

/// What technique an identifier is of (typeEnumType).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Handle.
    Handle,
    /// OID.
    Oid,
    /// Ecode.
    Ecode,
    /// EPC.
    Epc,
    /// Another.
    Other,
}

const KINDS: [(&str, Kind); 5] = [
    ("handle", Kind::Handle),
    ("oid", Kind::Oid),
    ("ecode", Kind::Ecode),
    ("epc", Kind::Epc),
    ("other", Kind::Other),
];

/// The states that the schema knows (statusValueType).
pub const STATUSES: [&str; 17] = [
    "clientDeleteProhibited",
    "clientHold",
    "clientRenewProhibited",
    "clientTransferProhibited",
    "clientUpdateProhibited",
    "inactive",
    "ok",
    "pendingCreate",
    "pendingDelete",
    "pendingRenew",
    "pendingTransfer",
    "pendingUpdate",
    "serverDeleteProhibited",
    "serverHold",
    "serverRenewProhibited",
    "serverTransferProhibited",
    "serverUpdateProhibited",
];

/// What an administrator may do (permissionType).
pub const PERMISSIONS: [&str; 12] = [
    "add_handle",
    "delete_handle",
    "add_na",
    "delete_na",
    "modify_value",
    "delete_value",
    "add_value",
    "modify_admin",
    "remove_admin",
    "add_admin",
    "authorized_read",
    "list_handle",
];

const KEY_TYPES: [&str; 3] = ["dsa_pub_key", "rsa_pub_key", "secret_key"];
const SERVICE_TYPES: [&str; 2] = ["query", "admin"];
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "http"];

/// A key in base64, and its type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKey {
    /// `dsa_pub_key`, `rsa_pub_key` or `secret_key`.
    pub kind: Option<String>,
    /// In base64.
    pub data: String,
}

/// Who administers an identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Administrator {
    /// Index of the key's value.
    pub index: u32,
    /// The key.
    pub key: PublicKey,
    /// What it may do, of [`PERMISSIONS`].
    pub permissions: Vec<String>,
}

/// One way to reach a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// `query` or `admin`.
    pub service: String,
    /// `tcp`, `udp` or `http`.
    pub protocol: String,
    /// The port.
    pub port: u16,
}

/// One server of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its number within the site.
    pub server_id: u32,
    /// Its addresses: `v4` or `v6`, and the address.
    pub addresses: Vec<(String, String)>,
    /// Its key.
    pub key: Option<PublicKey>,
    /// How it is reached.
    pub interfaces: Vec<Interface>,
}

/// Where an identifier is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteInfo {
    /// Index of the site's value.
    pub index: u32,
    /// Version of the Handle protocol, such as `2.10`.
    pub protocol_version: String,
    /// Its servers.
    pub services: Vec<Service>,
}

/// What is registered of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierCreate {
    /// Its name.
    pub name: String,
    /// Its technique.
    pub kind: Kind,
    /// Contacts.
    pub contacts: Vec<String>,
    /// URLs.
    pub urls: Vec<String>,
    /// Administrators.
    pub administrators: Vec<Administrator>,
    /// Sites.
    pub sites: Vec<SiteInfo>,
}

/// What is known of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierInfo {
    /// What is registered.
    pub object: IdentifierCreate,
    /// Its states, of [`STATUSES`].
    pub statuses: Vec<String>,
}

/// What is added to an identifier, or replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Contacts; none where something is replaced.
    pub contacts: Vec<String>,
    /// URLs; none where something is replaced.
    pub urls: Vec<String>,
    /// The state from now on; none where something is added.
    pub status: Option<String>,
    /// Administrators, by their index.
    pub administrators: Vec<Administrator>,
    /// Sites, by their index.
    pub sites: Vec<SiteInfo>,
}

/// What is removed from an identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Contacts.
    pub contacts: Vec<String>,
    /// URLs.
    pub urls: Vec<String>,
    /// Indexes of administrators.
    pub administrators: Vec<u32>,
    /// Indexes of sites.
    pub sites: Vec<u32>,
}

/// A change of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierUpdate {
    /// Its name, which does not change.
    pub name: String,
    /// What is added.
    pub add: Option<Added>,
    /// What is removed.
    pub remove: Option<Removed>,
    /// What is replaced.
    pub change: Option<Added>,
}

/// Whether one identifier is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Whether it can be registered.
    pub available: bool,
    /// Why it cannot.
    pub reason: Option<String>,
}

pub(super) fn read_names(object: Read<'_>) -> Result<Vec<String>, Refused> {
    let names = object.all("name").map(name_of);
    let names = names.take(MAX_NAMES + 1).collect::<Result<Vec<_>, _>>()?;
    match names.len() {
        0 => Err(Refused::new(ResultCode::MISSING, "check has no name")),
        1..=MAX_NAMES => Ok(names),
        _ => Err(Refused::new(
            ResultCode::POLICY,
            format!("at most {MAX_NAMES} names are checked at once"),
        )),
    }
}

fn name_of(element: Read<'_>) -> Result<String, Refused> {
    let name = element.text()?;
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    let reason = format!("a name of {} bytes, 1 to 255 are taken", name.len());
    Err(Refused::new(ResultCode::VALUE_SYNTAX, reason))
}

pub(super) fn write_names<'a>(
    out: &mut Writer,
    object: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) {
    out.open(object, &[XMLNS]);
    for name in names {
        out.leaf("identifier:name", name);
    }
    out.close();
}

fn list<T>(
    around: Read<'_>,
    name: &str,
    item: impl Fn(Read<'_>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let mut items = Vec::new();
    for element in around.children().filter(|it| it.name() == name) {
        if items.len() == MAX_ITEMS {
            let reason = format!("more than {MAX_ITEMS} {name}");
            return Err(Refused::new(ResultCode::POLICY, reason));
        }
        items.push(item(element)?);
    }
    Ok(items)
}

fn texts(around: Read<'_>, name: &str) -> Result<Vec<String>, Refused> {
    list(around, name, |it| it.text().map(str::to_owned))
}

/// URLs: the draft's text spells the element `URL`, its examples and schema `url`.
fn urls(around: Read<'_>) -> Result<Vec<String>, Refused> {
    let mut urls = texts(around, "url")?;
    urls.extend(texts(around, "URL")?);
    Ok(urls)
}

fn one_of(name: &str, text: &str, words: &[&'static str]) -> Result<String, Refused> {
    match words.contains(&text) {
        true => Ok(text.to_owned()),
        false => {
            let reason = format!("{name} is {text:.40?}, which is not one of its values");
            Err(Refused::new(ResultCode::RANGE, reason))
        }
    }
}

fn numbers(around: Read<'_>, name: &str) -> Result<Vec<u32>, Refused> {
    list(around, name, |it| {
        let text = it.text()?;
        text.parse().map_err(|_| not_number(name, text))
    })
}

fn status(element: Read<'_>) -> Result<String, Refused> {
    one_of("s", element.attribute("s").unwrap_or_default(), &STATUSES)
}

impl IdentifierCreate {
    pub(super) fn read(object: Read<'_>) -> Result<Self, Refused> {
        let inside = |name| object.child(name).into_iter();
        let administrators = inside("administratorList")
            .map(|it| list(it, "administrator", Administrator::read))
            .next();
        let sites = inside("siteList")
            .map(|it| list(it, "siteInfo", SiteInfo::read))
            .next();
        Ok(Self {
            name: name_of(object.needed("name")?)?,
            kind: choice("type", object.needed("type")?.text()?, &KINDS)?,
            contacts: texts(object, "contact")?,
            urls: urls(object)?,
            administrators: administrators.transpose()?.unwrap_or_default(),
            sites: sites.transpose()?.unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("identifier:create", &[XMLNS]);
        self.write_inside(out, &[]);
        out.close();
    }

    fn write_inside(&self, out: &mut Writer, statuses: &[String]) {
        out.leaf("identifier:name", &self.name);
        out.leaf("identifier:type", word(self.kind, &KINDS));
        for status in statuses {
            out.leaf_with("identifier:status", &[("s", status)], "");
        }
        write_texts(out, "identifier:contact", &self.contacts);
        write_texts(out, "identifier:url", &self.urls);
        if !self.administrators.is_empty() {
            out.open("identifier:administratorList", &[]);
            self.administrators.iter().for_each(|it| it.write(out));
            out.close();
        }
        if !self.sites.is_empty() {
            out.open("identifier:siteList", &[]);
            self.sites.iter().for_each(|it| it.write(out));
            out.close();
        }
    }
}

fn write_texts(out: &mut Writer, name: &'static str, texts: &[String]) {
    for text in texts {
        out.leaf(name, text);
    }
}

impl IdentifierInfo {
    pub(super) fn read(info: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            object: IdentifierCreate::read(info)?,
            statuses: list(info, "status", status)?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("identifier:infData", &[XMLNS]);
        self.object.write_inside(out, &self.statuses);
        out.close();
    }
}

impl IdentifierUpdate {
    pub(super) fn read(update: Read<'_>) -> Result<Self, Refused> {
        let read = Self {
            name: name_of(update.needed("name")?)?,
            add: update.child("add").map(Added::read).transpose()?,
            remove: update.child("rem").map(Removed::read).transpose()?,
            change: update.child("chg").map(Added::read).transpose()?,
        };
        if read.add.is_none() && read.remove.is_none() && read.change.is_none() {
            let reason = "update has neither add, rem nor chg";
            return Err(Refused::new(ResultCode::MISSING, reason));
        }
        if read
            .remove
            .as_ref()
            .is_some_and(|it| *it == Removed::default())
        {
            return Err(Refused::new(ResultCode::MISSING, "rem removes nothing"));
        }
        Ok(read)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("identifier:update", &[XMLNS]);
        out.leaf("identifier:name", &self.name);
        if let Some(add) = &self.add {
            add.write(out, "identifier:add");
        }
        if let Some(remove) = &self.remove {
            remove.write(out);
        }
        if let Some(change) = &self.change {
            change.write(out, "identifier:chg");
        }
        out.close();
    }
}

impl Added {
    fn read(added: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            contacts: texts(added, "contact")?,
            urls: urls(added)?,
            status: added.child("status").map(status).transpose()?,
            administrators: list(added, "administrator", Administrator::read)?,
            sites: list(added, "siteInfo", SiteInfo::read)?,
        })
    }

    fn write(&self, out: &mut Writer, name: &'static str) {
        out.open(name, &[]);
        write_texts(out, "identifier:contact", &self.contacts);
        write_texts(out, "identifier:url", &self.urls);
        if let Some(status) = &self.status {
            out.leaf_with("identifier:status", &[("s", status)], "");
        }
        self.administrators.iter().for_each(|it| it.write(out));
        self.sites.iter().for_each(|it| it.write(out));
        out.close();
    }
}

impl Removed {
    fn read(removed: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            contacts: texts(removed, "contact")?,
            urls: urls(removed)?,
            administrators: numbers(removed, "adminIndex")?,
            sites: numbers(removed, "siteIndex")?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.open("identifier:rem", &[]);
        write_texts(out, "identifier:contact", &self.contacts);
        write_texts(out, "identifier:url", &self.urls);
        for index in &self.administrators {
            out.leaf("identifier:adminIndex", &index.to_string());
        }
        for index in &self.sites {
            out.leaf("identifier:siteIndex", &index.to_string());
        }
        out.close();
    }
}

impl PublicKey {
    fn read(key: Read<'_>) -> Result<Self, Refused> {
        let kind = key.attribute("type");
        Ok(Self {
            kind: kind.map(|it| one_of("type", it, &KEY_TYPES)).transpose()?,
            data: key.long_text().split_ascii_whitespace().collect(),
        })
    }

    fn write(&self, out: &mut Writer) {
        match &self.kind {
            Some(kind) => out.leaf_with("identifier:pubkey", &[("type", kind)], &self.data),
            None => out.leaf("identifier:pubkey", &self.data),
        };
    }
}

impl Administrator {
    fn read(administrator: Read<'_>) -> Result<Self, Refused> {
        let permissions = administrator.needed("permissionList")?;
        Ok(Self {
            index: administrator.number("adminIndex")?,
            key: PublicKey::read(administrator.needed("pubkey")?)?,
            permissions: list(permissions, "permission", |it| {
                one_of("permission", it.text()?, &PERMISSIONS)
            })?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.open("identifier:administrator", &[]);
        out.leaf("identifier:adminIndex", &self.index.to_string());
        self.key.write(out);
        out.open("identifier:permissionList", &[]);
        write_texts(out, "identifier:permission", &self.permissions);
        out.close().close();
    }
}

impl SiteInfo {
    fn read(site: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            index: site.number("siteIndex")?,
            protocol_version: site.field("protocolVersion")?,
            services: list(site, "serviceInfo", Service::read)?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.open("identifier:siteInfo", &[]);
        out.leaf("identifier:siteIndex", &self.index.to_string());
        out.leaf("identifier:protocolVersion", &self.protocol_version);
        self.services.iter().for_each(|it| it.write(out));
        out.close();
    }
}

impl Service {
    fn read(service: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            server_id: service.number("serverID")?,
            addresses: list(service, "addr", |it| {
                let kind = it.attribute("ip").unwrap_or("v4");
                let kind = one_of("ip", kind, &["v4", "v6"])?;
                Ok((kind, it.text()?.to_owned()))
            })?,
            key: service.child("pubkey").map(PublicKey::read).transpose()?,
            interfaces: list(service, "serviceInterfaces", Interface::read)?,
        })
    }

    fn write(&self, out: &mut Writer) {
        out.open("identifier:serviceInfo", &[]);
        out.leaf("identifier:serverID", &self.server_id.to_string());
        for (kind, address) in &self.addresses {
            out.leaf_with("identifier:addr", &[("ip", kind)], address);
        }
        if let Some(key) = &self.key {
            key.write(out);
        }
        for it in &self.interfaces {
            out.open("identifier:serviceInterfaces", &[]);
            out.leaf("identifier:serviceType", &it.service)
                .leaf("identifier:protocol", &it.protocol)
                .leaf("identifier:port", &it.port.to_string())
                .close();
        }
        out.close();
    }
}

impl Interface {
    fn read(interface: Read<'_>) -> Result<Self, Refused> {
        let text = |name| interface.needed(name)?.text();
        Ok(Self {
            service: one_of("serviceType", text("serviceType")?, &SERVICE_TYPES)?,
            protocol: one_of("protocol", text("protocol")?, &PROTOCOLS)?,
            port: interface.number("port")?,
        })
    }
}

impl Checked {
    pub(super) fn read_all(data: Read<'_>) -> Result<Vec<Self>, Refused> {
        list(data, "cd", |cd| {
            let name = cd.needed("name")?;
            let available = name.attribute("avail").unwrap_or_default();
            let words = [("1", true), ("true", true), ("0", false), ("false", false)];
            Ok(Self {
                available: choice("avail", available, &words)?,
                name: name_of(name)?,
                reason: cd.optional("reason")?,
            })
        })
    }

    pub(super) fn write_all(checked: &[Self], out: &mut Writer) {
        out.open("identifier:chkData", &[XMLNS]);
        for one in checked {
            let available = if one.available { "true" } else { "false" };
            out.open("identifier:cd", &[]);
            out.leaf_with("identifier:name", &[("avail", available)], &one.name);
            out.optional("identifier:reason", one.reason.as_deref());
            out.close();
        }
        out.close();
    }
}
