//! The beginning of a session: what a server says of itself, and a client of itself (RFC 5730
//! sections 2.4 and 2.9.1.1).

use super::read::Read;
use super::{NS_ENTERPRISE, NS_IDENTIFIER, NS_PREFIX, Refused, ResultCode};
use crate::xml::Writer;

/// The version of EPP there is.
pub const VERSION: &str = "1.0";
/// The language of texts for people, if there is a choice.
pub const LANGUAGE: &str = "en";
/// Most namespaces that one side names.
const MAX_URIS: usize = 64;

/// Namespaces of the objects that are served.
pub const OBJECTS: [&str; 3] = [NS_ENTERPRISE, NS_PREFIX, NS_IDENTIFIER];

/// What a server says of itself before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Its name (svID).
    pub server: String,
    /// Its time, in UTC with `T` and `Z` (svDate).
    pub date: String,
    /// Versions of EPP it speaks.
    pub versions: Vec<String>,
    /// Languages it has texts in.
    pub languages: Vec<String>,
    /// Namespaces of the objects it serves (objURI).
    pub objects: Vec<String>,
}

impl Greeting {
    /// That of a server of this name, at this time.
    pub fn of_server(server: impl Into<String>, date: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            date: date.into(),
            versions: vec![VERSION.to_owned()],
            languages: vec![LANGUAGE.to_owned()],
            objects: OBJECTS.map(str::to_owned).to_vec(),
        }
    }

    /// The language that a client logs in with: [`LANGUAGE`] if there are texts in it, else the first.
    pub fn language(&self) -> &str {
        let ours = |it: &&String| it.eq_ignore_ascii_case(LANGUAGE);
        let offered = self.languages.iter().find(ours);
        offered.or(self.languages.first()).map_or(LANGUAGE, |it| it)
    }

    pub(super) fn read(greeting: Read<'_>) -> Result<Self, Refused> {
        let menu = greeting.needed("svcMenu")?;
        Ok(Self {
            server: greeting.field("svID")?,
            date: greeting.field("svDate")?,
            versions: texts(menu, "version")?,
            languages: texts(menu, "lang")?,
            objects: texts(menu, "objURI")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("greeting", &[]);
        out.leaf("svID", &self.server).leaf("svDate", &self.date);
        out.open("svcMenu", &[]);
        for version in &self.versions {
            out.leaf("version", version);
        }
        for language in &self.languages {
            out.leaf("lang", language);
        }
        for object in &self.objects {
            out.leaf("objURI", object);
        }
        out.close();
        // Who may see what is exchanged: the server's staff, for provisioning, as long as the
        // business needs it (RFC 5730 section 2.4, which wants this element).
        out.open("dcp", &[]);
        out.open("access", &[]).leaf("all", "").close();
        out.open("statement", &[]);
        out.open("purpose", &[])
            .leaf("admin", "")
            .leaf("prov", "")
            .close();
        out.open("recipient", &[]).leaf("ours", "").close();
        out.open("retention", &[]).leaf("business", "").close();
        out.close().close().close();
    }
}

/// What a client logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name (clID), 3 to 16 characters by RFC 5730; longer ones are taken.
    pub client: String,
    /// Its password.
    pub password: String,
    /// The password it wants from now on.
    pub new_password: Option<String>,
    /// The version of EPP.
    pub version: String,
    /// The language of texts for people.
    pub language: String,
    /// Namespaces of the objects it will speak of.
    pub objects: Vec<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// That of a client that speaks of all objects.
    pub fn of_client(client: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            client: client.into(),
            password: password.into(),
            new_password: None,
            version: VERSION.to_owned(),
            language: LANGUAGE.to_owned(),
            objects: OBJECTS.map(str::to_owned).to_vec(),
        }
    }

    pub(super) fn read(login: Read<'_>) -> Result<Self, Refused> {
        let options = login.needed("options")?;
        Ok(Self {
            client: login.filled("clID")?,
            password: login.field("pw")?,
            new_password: login.optional("newPW")?,
            version: options.field("version")?,
            language: options.field("lang")?,
            objects: texts(login.needed("svcs")?, "objURI")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("login", &[]);
        out.leaf("clID", &self.client)
            .leaf("pw", &self.password)
            .optional("newPW", self.new_password.as_deref());
        out.open("options", &[]);
        out.leaf("version", &self.version)
            .leaf("lang", &self.language)
            .close();
        out.open("svcs", &[]);
        for object in &self.objects {
            out.leaf("objURI", object);
        }
        out.close().close();
    }
}

fn texts(element: Read<'_>, name: &str) -> Result<Vec<String>, Refused> {
    let found = element.children().filter(|it| it.name() == name);
    let found = found.map(|it| it.text().map(str::to_owned));
    let found = found.take(MAX_URIS).collect::<Result<Vec<_>, _>>()?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(Refused::new(
            ResultCode::MISSING,
            format!("{} has no {name}", element.name()),
        )),
    }
}
