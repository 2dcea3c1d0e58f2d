//! Loads the data set: organisations become enterprises with an active prefix, their address
//! blocks and products identifiers.

use super::dataset::{DataSet, DataSetError, Organisation};
use super::examples::{ENTERPRISE, ExamplePrefix, ExampleSite, ITEMS, NOTICE, SHOWCASE};
use crate::clock;
use futures_util::{StreamExt, TryStreamExt, stream};
use idnode_proto::handle::site::{NodePorts, Server, Site};
use idnode_proto::identifier::{Identifier, IdentifierError, Prefix};
use idnode_proto::value::{Permissions, Value};
use idnode_registry::enterprise::{CertificateType, Contact, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::{Delegation, NameServer, PrefixAction};
use idnode_registry::write::{Command, Draft, ImportMode, ImportStatus, Outcome};
use idnode_registry::{Caller, Error, Registry};
use std::collections::HashSet;
use std::time::Instant;
use thiserror::Error as ThisError;

/// Registrations under way at once: enough to fill a group commit.
const CONCURRENT: usize = 512;
/// Identifiers of one chunk.
const CHUNK: usize = 1_000;
/// Chunks under way at once.
const CHUNKS_IN_FLIGHT: usize = 4;
/// The product shown to whoever starts the demonstration, if the data set has it.
const SHOWN: &str = "/PCI-8086-1237";

/// Why the data set was not loaded.
#[derive(Debug, ThisError)]
pub enum DemoError {
    /// The files can't be read.
    #[error(transparent)]
    DataSet(#[from] DataSetError),
    /// The registry refused something.
    #[error("{what}: {error}")]
    Refused {
        /// What was being registered.
        what: String,
        /// Why it was refused.
        error: Error,
    },
    /// The data set names something that is no identifier.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Enterprises, each with a prefix.
    pub enterprises: usize,
    /// Identifiers.
    pub identifiers: usize,
    /// Identifiers the registry refused.
    pub rejected: usize,
    /// How long it took, seconds.
    pub seconds: f64,
    /// An identifier to show.
    pub shown: String,
}

/// Loads data set and examples into an empty registry.
///
/// # Errors
/// See [`DemoError`].
pub async fn load(registry: &Registry, data_set: &DataSet) -> Result<Loaded, DemoError> {
    let begin = Instant::now();
    let operator = Caller::Operator {
        credential: "demo".into(),
    };
    load_examples(registry, &operator).await?;
    let mut codes = HashSet::new();
    let profiles: Vec<Profile> = data_set
        .organisations
        .iter()
        .map(|organisation| profile(organisation, &mut codes))
        .collect();
    stream::iter(data_set.organisations.iter().zip(profiles))
        .map(|(organisation, profile)| enrol(registry, &operator, profile, &organisation.prefix))
        .buffer_unordered(CONCURRENT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let (identifiers, rejected) = load_items(registry, &operator, data_set).await?;
    let mut identifiers_to_show = data_set.items().map(|item| item.identifier);
    let shown = identifiers_to_show.find(|identifier| identifier.ends_with(SHOWN));
    Ok(Loaded {
        enterprises: data_set.organisations.len() + 1,
        identifiers: identifiers + ITEMS.len(),
        rejected,
        seconds: begin.elapsed().as_secs_f64(),
        shown: shown.unwrap_or_else(|| SHOWCASE.to_owned()),
    })
}

/// Registers and verifies an enterprise, and takes its prefix through review to 启用.
async fn enrol(
    registry: &Registry,
    operator: &Caller,
    profile: Profile,
    prefix: &str,
) -> Result<EnterpriseId, DemoError> {
    let id = create_enterprise(registry, operator, profile).await?;
    activate(registry, operator, id, prefix).await?;
    Ok(id)
}

async fn create_enterprise(
    registry: &Registry,
    operator: &Caller,
    profile: Profile,
) -> Result<EnterpriseId, DemoError> {
    let name = profile.name.clone();
    let refused = |error| DemoError::Refused {
        what: name.clone(),
        error,
    };
    let receipt = registry
        .write(operator, None, Command::CreateEnterprise { profile })
        .await
        .map_err(refused)?;
    let Outcome::Enterprise(enterprise) = receipt.outcome else {
        return Err(refused(Error::Storage(
            "no enterprise in the receipt".into(),
        )));
    };
    let id = EnterpriseId(enterprise.id);
    let verify = Command::ReviewEnterprise {
        id,
        action: ReviewAction::Verify,
        message: String::new(),
        expected_version: None,
    };
    registry
        .write(operator, None, verify)
        .await
        .map_err(refused)?;
    Ok(id)
}

async fn activate(
    registry: &Registry,
    operator: &Caller,
    id: EnterpriseId,
    text: &str,
) -> Result<(), DemoError> {
    let prefix = Prefix::parse(text)?;
    let refused = |error| DemoError::Refused {
        what: format!("prefix {text}"),
        error,
    };
    let apply = Command::ApplyPrefix {
        prefix: prefix.clone(),
        enterprise: id,
    };
    registry
        .write(operator, None, apply)
        .await
        .map_err(refused)?;
    for action in [PrefixAction::StartReview, PrefixAction::Approve] {
        let step = Command::TransitionPrefix {
            prefix: prefix.clone(),
            action,
            message: String::new(),
            expected_version: None,
        };
        registry
            .write(operator, None, step)
            .await
            .map_err(refused)?;
    }
    Ok(())
}

/// The register gives a few numbers to several organisations: those after the first are
/// numbered.
fn profile(organisation: &Organisation, codes: &mut HashSet<String>) -> Profile {
    let number = &organisation.register_number;
    let mut code = number.clone();
    let mut nth = 1;
    while !codes.insert(code.clone()) {
        nth += 1;
        code = format!("{number} #{nth}");
    }
    Profile {
        certificate_type: CertificateType::Other as i32,
        certificate_code: code,
        name: clipped(&organisation.name, 256),
        name_en: clipped(&organisation.name, 256),
        address: clipped(&organisation.address, 512),
        country_code: organisation.country.unwrap_or_default().to_owned(),
        ..Profile::default()
    }
}

/// Without control characters, at most `longest` bytes.
fn clipped(text: &str, longest: usize) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_control()).collect();
    while out.len() > longest {
        out.pop();
    }
    out
}

async fn load_items(
    registry: &Registry,
    operator: &Caller,
    data_set: &DataSet,
) -> Result<(usize, usize), DemoError> {
    let now_s = now_s();
    let mut items = data_set.items();
    let chunks = std::iter::from_fn(|| {
        let chunk: Vec<_> = items.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    });
    let results: Vec<(usize, usize)> = stream::iter((1..).zip(chunks))
        .map(|(number, chunk)| async move {
            let mut drafts = Vec::with_capacity(chunk.len());
            for item in chunk {
                let values = item
                    .values
                    .into_iter()
                    .map(|(index, kind, data)| Value::new(index, kind, data));
                let draft = Draft::new(
                    Identifier::parse(&item.identifier)?,
                    values.collect(),
                    None,
                    now_s,
                );
                drafts.push(draft.map_err(|error| idnode_registry::write::ItemError::from(&error)));
            }
            let command = Command::ImportChunk {
                import_id: "demo".into(),
                number,
                mode: ImportMode::Create,
                items: drafts,
            };
            let refused = |error| DemoError::Refused {
                what: format!("chunk {number}"),
                error,
            };
            let receipt = registry
                .write(operator, None, command)
                .await
                .map_err(refused)?;
            let Outcome::Import(results) = receipt.outcome else {
                return Ok((0, 0));
            };
            let rejected = results
                .iter()
                .filter(|result| result.status == ImportStatus::Rejected)
                .count();
            Ok::<_, DemoError>((results.len() - rejected, rejected))
        })
        .buffered(CHUNKS_IN_FLIGHT)
        .try_collect()
        .await?;
    Ok(results
        .into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
}

async fn load_examples(registry: &Registry, operator: &Caller) -> Result<(), DemoError> {
    let profile = Profile {
        certificate_type: CertificateType::SocialCreditCode as i32,
        certificate_code: ENTERPRISE.credit_code.into(),
        name: ENTERPRISE.name.into(),
        name_en: ENTERPRISE.name_en.into(),
        address: ENTERPRISE.address.into(),
        province_code: ENTERPRISE.province_code.into(),
        city_code: ENTERPRISE.city_code.into(),
        country_code: ENTERPRISE.country.into(),
        description: NOTICE.into(),
        contact: Some(Contact {
            email: ENTERPRISE.email.into(),
            ..Contact::default()
        }),
        ..Profile::default()
    };
    let id = create_enterprise(registry, operator, profile).await?;
    for ExamplePrefix { prefix, delegation } in ENTERPRISE.prefixes {
        activate(registry, operator, id, prefix).await?;
        if let Some(site) = delegation {
            let command = Command::SetDelegation {
                prefix: Prefix::parse(prefix)?,
                delegation: Some(delegation_to(site)),
                expected_version: None,
            };
            let refused = |error| DemoError::Refused {
                what: format!("delegation of {prefix}"),
                error,
            };
            registry
                .write(operator, None, command)
                .await
                .map_err(refused)?;
        }
    }
    for item in &ITEMS {
        let refused = |error| DemoError::Refused {
            what: item.identifier.to_owned(),
            error,
        };
        let values = item.values.iter().map(|value| Value {
            permissions: Permissions(value.permission),
            ..Value::new(value.index, value.kind, value.data)
        });
        let draft = Draft::new(
            Identifier::parse(item.identifier)?,
            values.collect(),
            None,
            now_s(),
        )
        .map_err(refused)?;
        registry
            .write(operator, None, Command::CreateIdentifier(draft))
            .await
            .map_err(refused)?;
    }
    Ok(())
}

fn delegation_to(site: &ExampleSite) -> Delegation {
    let ports = NodePorts {
        tcp: Some(site.handle_port),
        udp: Some(site.handle_port),
        http: Some(site.http_port),
        https: None,
    };
    let site_record = Site::of_node(
        1,
        NOTICE,
        Server::of_node(1, site.address, Vec::new(), ports),
    );
    Delegation {
        sites: vec![site_record.encode().into()],
        name_servers: vec![NameServer {
            name: site.name_server.into(),
            addresses: vec![site.name_server_address.to_string()],
        }],
        ..Delegation::default()
    }
}

fn now_s() -> u32 {
    clock::now_s() as u32
}
