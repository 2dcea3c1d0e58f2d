//! What nodes have announced: the directory of who resolves what where. It is in the book, and in
//! memory for the resolver and the streams to read.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use data_encoding::{BASE64, HEXLOWER};
use idnode_proto::api::{Announcement, ResolutionConfiguration, Sibling};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::report::{Flaw, timestamp};
use idnode_proto::routes::held::{MAX_ROUTES, MAX_SIBLINGS};
use idnode_proto::routes::{check_announcement, endpoint::Service};
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::national::book::{Book, Table};
use crate::national::page::escaped;
use crate::national::uplink::peer::Members;
use crate::national::{Failure, now_ms};

const NODES: Table = Table::new("routes.nodes");
const SET: Table = Table::new("routes.set");
/// The series of versions of the set.
const VERSIONS: &str = "routes.version";
/// Refusals that are remembered.
const MAX_REFUSALS: usize = 100;

/// What is known of a node, as the book has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    /// The version of the set that it came with.
    version: u64,
    taken_ms: u64,
    digest: String,
    /// How often it was announced, with this content or another.
    times: u64,
    /// The announcement's encoding, base64; empty: it was forgotten.
    announcement: String,
}

/// What is known of a node.
#[derive(Debug, Clone)]
pub struct Known {
    /// The version of the set that it came with.
    pub version: u64,
    /// What its content is known by; empty: it was forgotten.
    pub digest: String,
    /// As the others are told; `None`: it was forgotten.
    pub sibling: Option<Sibling>,
    announcement: Announcement,
    times: u64,
}

/// A prefix and where it is resolved.
#[derive(Debug, Clone)]
pub struct Route {
    /// Who has announced it.
    pub node: String,
    /// The prefix.
    pub prefix: Prefix,
    /// Where.
    pub configuration: ResolutionConfiguration,
    /// The version of the set that it came with.
    pub version: u64,
}

/// All that is known, as of a version.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Which set.
    pub set_id: String,
    /// Its version.
    pub version: u64,
    /// Every node by its id, forgotten ones too.
    pub nodes: BTreeMap<String, Known>,
    /// By the prefix's key.
    routes: HashMap<Box<[u8]>, Arc<Route>>,
}

impl Snapshot {
    /// The longest announced prefix that covers an identifier; of a prefix's handle, that prefix.
    #[must_use]
    pub fn covering(&self, identifier: &Identifier) -> Option<&Arc<Route>> {
        let of_prefix = identifier.prefix_handle();
        let mut candidates = match &of_prefix {
            Some(prefix) => prefix.candidates(),
            None => identifier.prefix_candidates(),
        };
        candidates.find_map(|it| self.routes.get(it.key))
    }
}

/// What becomes of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It takes the place of the one before.
    New,
    /// It is held.
    Known,
    /// It breaks a rule.
    Refused(Flaw),
}

#[derive(Debug, Clone)]
struct Refusal {
    node: String,
    flaw: Flaw,
}

/// The directory.
#[derive(Debug)]
pub struct Directory {
    book: Book,
    snapshot: RwLock<Arc<Snapshot>>,
    refused: Mutex<Vec<Refusal>>,
    versions: watch::Sender<u64>,
    /// Held while one is looked at and taken: no other comes between.
    taking: Mutex<()>,
}

impl Directory {
    /// That of a book; a new one begins a new set.
    ///
    /// # Errors
    /// The book can't be read or written.
    pub fn open(book: Book) -> Result<Self, Failure> {
        let known: Option<(String, u64)> = book.get(SET, "set")?;
        if known.is_none() {
            let mut id = [0; 8];
            getrandom::fill(&mut id).map_err(|error| error.to_string())?;
            book.write(|page| {
                let version = page.next(VERSIONS)?;
                page.put(SET, "set", &(HEXLOWER.encode(&id), version))
            })?;
        }
        let directory = Self {
            book,
            snapshot: RwLock::default(),
            refused: Mutex::default(),
            versions: watch::Sender::new(0),
            taking: Mutex::default(),
        };
        directory.read_again()?;
        Ok(directory)
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says when there is another version.
    #[must_use]
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.versions.subscribe()
    }

    /// Takes an announcement, knows it, or refuses it. Who announces was checked before.
    ///
    /// # Errors
    /// The book can't be written: nothing is taken.
    pub fn take(&self, announcement: Announcement, members: &Members) -> Result<Taken, Failure> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(flaw) = self.admitted(&announcement, members) {
            let node = announcement.node.chars().take(64).collect();
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if refused.len() >= MAX_REFUSALS {
                refused.remove(0);
            }
            let refusal = Refusal {
                node,
                flaw: flaw.clone(),
            };
            refused.push(refusal);
            return Ok(Taken::Refused(flaw));
        }
        let node = announcement.node.clone();
        let taken = self.book.write(|page| {
            let before: Option<Row> = page.get(NODES, &node)?;
            let times = before.as_ref().map_or(0, |it| it.times) + 1;
            if let Some(before) = before
                && before.digest == announcement.digest
            {
                page.put(NODES, &node, &Row { times, ..before })?;
                return Ok(Taken::Known);
            }
            let row = Row {
                version: next_version(page)?,
                taken_ms: now_ms(),
                digest: announcement.digest.clone(),
                times,
                announcement: BASE64.encode(&announcement.encode_to_vec()),
            };
            page.put(NODES, &node, &row)?;
            Ok(Taken::New)
        })?;
        self.read_again()?;
        Ok(taken)
    }

    /// Forgets what a node has announced; whether there was anything.
    ///
    /// # Errors
    /// The book can't be written.
    pub fn forget(&self, node: &str) -> Result<bool, Failure> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = self.book.write(|page| {
            let Some(row) = page.get::<Row>(NODES, node)? else {
                return Ok(false);
            };
            let row = Row {
                version: next_version(page)?,
                digest: String::new(),
                announcement: String::new(),
                ..row
            };
            page.put(NODES, node, &row)?;
            Ok(true)
        })?;
        self.read_again()?;
        Ok(forgotten)
    }

    /// Whether an announcement may be taken: in itself, by what the node may speak for, and beside
    /// what others have announced.
    fn admitted(&self, announcement: &Announcement, members: &Members) -> Result<(), Flaw> {
        let prefixes = check_announcement(announcement)?;
        let node = &announcement.node;
        let snapshot = self.snapshot();
        for (place, prefix) in prefixes.iter().enumerate() {
            let flaw = |reason: String| {
                Flaw::new(
                    format!("configurations[{place}].prefix"),
                    format!("{prefix} {reason}"),
                )
            };
            if !members.may_speak_for(node, prefix) {
                return Err(flaw(format!("is not below a prefix of {node}")));
            }
            if let Some(other) = snapshot.routes.get(prefix.key())
                && other.node != *node
            {
                return Err(flaw(format!("is announced by {}", other.node)));
            }
        }
        let others = snapshot.routes.values().filter(|it| it.node != *node);
        if others.count() + prefixes.len() > MAX_ROUTES {
            let reason = format!("and those of all other nodes are more than {MAX_ROUTES}");
            return Err(Flaw::new("configurations", reason));
        }
        if !snapshot.nodes.contains_key(node) && snapshot.nodes.len() >= MAX_SIBLINGS {
            return Err(Flaw::new(
                "node",
                format!("{MAX_SIBLINGS} others are known"),
            ));
        }
        Ok(())
    }

    fn read_again(&self) -> Result<(), Failure> {
        let (set_id, version): (String, u64) = self.book.get(SET, "set")?.unwrap_or_default();
        let mut next = Snapshot {
            set_id,
            version,
            ..Snapshot::default()
        };
        for (node, row) in self.book.all::<Row>(NODES)? {
            let known = row.known()?;
            next.version = next.version.max(known.version);
            for it in &known.announcement.configurations {
                let prefix = Prefix::parse(&it.prefix)?;
                let route = Route {
                    node: node.clone(),
                    configuration: it.clone(),
                    version: known.version,
                    prefix,
                };
                let key = route.prefix.key().into();
                next.routes.insert(key, Arc::new(route));
            }
            next.nodes.insert(node, known);
        }
        let version = next.version;
        *self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.versions.send_replace(version);
        Ok(())
    }

    /// How it stands, for programs.
    pub(super) fn status(&self) -> Value {
        let snapshot = self.snapshot();
        let mut nodes = Map::new();
        for (node, known) in &snapshot.nodes {
            nodes.insert(node.clone(), known.status());
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.iter();
        let refused = refused
            .map(|it| json!({"node": it.node, "field": it.flaw.field, "reason": it.flaw.reason}));
        json!({
            "set_id": snapshot.set_id,
            "version": snapshot.version,
            "nodes": nodes,
            "refused": refused.collect::<Vec<_>>(),
        })
    }

    /// How it stands, for a person.
    pub(super) fn section(&self) -> String {
        let snapshot = self.snapshot();
        let mut html = String::from(
            "<table><tr><th>node</th><th>operator</th><th>software</th><th>prefix</th>\
             <th>where</th></tr>\n",
        );
        for (node, known) in &snapshot.nodes {
            let operator = known.announcement.operator.clone().unwrap_or_default();
            for it in &known.announcement.configurations {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    html,
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escaped(node),
                    escaped(&operator.name),
                    escaped(&operator.software),
                    escaped(&it.prefix),
                    escaped(&places(it).join(", ")),
                );
            }
        }
        html.push_str("</table>\n");
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for it in refused.iter() {
            let (node, flaw) = (escaped(&it.node), escaped(&it.flaw.to_string()));
            let _ = writeln!(html, "<p>refused {node}: {flaw}</p>");
        }
        html
    }
}

/// The next version, which is the set's then.
fn next_version(page: &crate::national::book::Page) -> Result<u64, Failure> {
    let version = page.next(VERSIONS)?;
    let (set_id, _): (String, u64) = page.get(SET, "set")?.unwrap_or_default();
    page.put(SET, "set", &(set_id, version))?;
    Ok(version)
}

fn places(configuration: &ResolutionConfiguration) -> Vec<String> {
    let all = configuration.endpoints.iter();
    all.map(|it| {
        let service = Service::of(it).map_or("?", Service::name);
        format!("{service} {} {}", it.ip, it.port)
    })
    .collect()
}

impl Row {
    fn known(self) -> Result<Known, Failure> {
        let encoded = BASE64.decode(self.announcement.as_bytes())?;
        let announcement = Announcement::decode(encoded.as_slice())?;
        let sibling = (!self.digest.is_empty()).then(|| Sibling {
            node: announcement.node.clone(),
            operator: announcement
                .operator
                .as_ref()
                .map_or_else(String::new, |it| it.name.clone()),
            configurations: announcement.configurations.clone(),
            announced_at: Some(timestamp(self.taken_ms)),
        });
        Ok(Known {
            version: self.version,
            digest: self.digest,
            sibling,
            announcement,
            times: self.times,
        })
    }
}

impl Known {
    fn status(&self) -> Value {
        let operator = self.announcement.operator.clone().unwrap_or_default();
        let configurations = self.announcement.configurations.iter().map(|it| {
            json!({
                "code_type": it.code_type().as_str_name(),
                "prefix": it.prefix,
                "endpoints": places(it),
            })
        });
        json!({
            "version": self.version,
            "digest": self.digest,
            "announced": self.times,
            "operator": {
                "name": operator.name,
                "certificate_type": operator.certificate_type().as_str_name(),
                "certificate_code": operator.certificate_code,
                "contact_name": operator.contact_name,
                "contact_email": operator.contact_email,
                "contact_phone": operator.contact_phone,
                "prefixes": operator.prefixes,
                "software": operator.software,
            },
            "configurations": configurations.collect::<Vec<_>>(),
        })
    }
}
