//! A registry in a directory of its own, with an operator and enterprises to write as.

use crate::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use crate::prefix::{PrefixAction, PrefixRecord};
use crate::record::Record;
use crate::write::{Command, Draft, Idempotency, IdentifierUpdate, Outcome, Receipt};
use crate::{Caller, Options, Registry, Result};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::Value;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The time values are stamped with: their content does not depend on the clock.
pub const STAMP_S: u32 = 1_700_000_000;

pub struct Node {
    registry: Option<Arc<Registry>>,
    pub options: Options,
    pub operator: Caller,
    pub runtime: Runtime,
    pub dir: tempfile::TempDir,
}

impl Node {
    /// An empty registry.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = Registry::create(dir.path()).unwrap();
        let options = Options::default();
        let registry = Registry::open(dir.path(), &options, Arc::new(())).unwrap();
        let operator = registry.authenticate(&token).unwrap();
        Self {
            registry: Some(Arc::new(registry)),
            options,
            operator,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            dir,
        }
    }

    /// A registry with the enterprise E1, verified, and these prefixes of it, active.
    pub fn with_prefixes(prefixes: &[&str]) -> Self {
        let node = Self::new();
        let owner = node.enterprise("one");
        for prefix in prefixes {
            node.activate(prefix, owner);
        }
        node
    }

    pub fn registry(&self) -> &Arc<Registry> {
        self.registry.as_ref().unwrap()
    }

    /// Closes and opens it again with `self.options`.
    pub fn reopen(&mut self) {
        let options = self.options.clone();
        self.reopen_over(|dir| Registry::open(dir, &options, Arc::new(())).unwrap());
    }

    /// Closes it and opens what is in its directory in a way of the caller's.
    pub fn reopen_over(&mut self, open: impl FnOnce(&Path) -> Registry) {
        let registry = self.registry.take().unwrap();
        assert_eq!(Arc::strong_count(&registry), 1, "somebody holds it open");
        drop(registry);
        self.registry = Some(Arc::new(open(self.dir.path())));
    }

    pub fn write_as(
        &self,
        caller: &Caller,
        key: Option<Idempotency>,
        command: Command,
    ) -> Result<Receipt> {
        self.runtime
            .block_on(self.registry().write(caller, key, command))
    }

    pub fn try_write(&self, command: Command) -> Result<Receipt> {
        self.write_as(&self.operator, None, command)
    }

    #[track_caller]
    pub fn write(&self, command: Command) -> Receipt {
        self.try_write(command).unwrap()
    }

    /// The reason a command is refused for.
    #[track_caller]
    pub fn refusal(&self, command: Command) -> String {
        self.try_write(command).unwrap_err().reason().to_owned()
    }

    /// Writes all at once, so that they are likely to share groups.
    pub fn write_together(
        &self,
        commands: Vec<(Option<Idempotency>, Command)>,
    ) -> Vec<Result<Receipt>> {
        self.runtime.block_on(async {
            let tasks: Vec<_> = commands
                .into_iter()
                .map(|(key, command)| {
                    let (registry, caller) = (self.registry().clone(), self.operator.clone());
                    async move { registry.write(&caller, key, command).await }
                })
                .collect();
            let mut running = tokio::task::JoinSet::new();
            for (position, task) in tasks.into_iter().enumerate() {
                running.spawn(async move { (position, task.await) });
            }
            let mut results = running.join_all().await;
            results.sort_by_key(|(position, _)| *position);
            results.into_iter().map(|(_, result)| result).collect()
        })
    }

    /// A verified enterprise.
    pub fn enterprise(&self, code: &str) -> EnterpriseId {
        let receipt = self.write(Command::CreateEnterprise {
            profile: profile(code),
        });
        let Outcome::Enterprise(made) = receipt.outcome else {
            panic!("{receipt:?}");
        };
        let id = EnterpriseId(made.id);
        self.write(review(id, ReviewAction::Verify, None));
        id
    }

    pub fn activate(&self, prefix: &str, owner: EnterpriseId) {
        self.write(apply(prefix, owner));
        self.write(step(prefix, PrefixAction::StartReview));
        self.write(step(prefix, PrefixAction::Approve));
    }

    pub fn prefix(&self, prefix: &str) -> Result<PrefixRecord> {
        self.registry().get_prefix(&self.operator, &parsed(prefix))
    }

    /// An identifier's record, live or deleted, as the operator sees it.
    pub fn record(&self, identifier: &str) -> Result<Record> {
        let found = self
            .registry()
            .get_identifier(&self.operator, &identifier.parse().unwrap());
        found.map(|(_, record)| record)
    }
}

/// The caller that holds an enterprise's key.
pub fn holder(id: EnterpriseId) -> Caller {
    Caller::Enterprise {
        id,
        credential: format!("key of {id}"),
    }
}

pub fn profile(code: &str) -> Profile {
    Profile {
        certificate_type: CertificateType::Other as i32,
        certificate_code: code.into(),
        name: format!("企业 {code}"),
        ..Profile::default()
    }
}

pub fn parsed(prefix: &str) -> Prefix {
    prefix.parse().unwrap()
}

pub fn review(id: EnterpriseId, action: ReviewAction, expected_version: Option<u64>) -> Command {
    Command::ReviewEnterprise {
        id,
        action,
        message: "reviewed".into(),
        expected_version,
    }
}

pub fn apply(prefix: &str, enterprise: EnterpriseId) -> Command {
    Command::ApplyPrefix {
        prefix: parsed(prefix),
        enterprise,
    }
}

pub fn step(prefix: &str, action: PrefixAction) -> Command {
    Command::TransitionPrefix {
        prefix: parsed(prefix),
        action,
        message: "decided".into(),
        expected_version: None,
    }
}

pub fn values(text: &str) -> Vec<Value> {
    vec![Value {
        timestamp_s: STAMP_S,
        ..Value::new(1, "DESC", text)
    }]
}

pub fn draft(identifier: &str, text: &str) -> Draft {
    Draft::new(identifier.parse().unwrap(), values(text), None, STAMP_S).unwrap()
}

pub fn create(identifier: &str, text: &str) -> Command {
    Command::CreateIdentifier(draft(identifier, text))
}

pub fn update(identifier: &str, text: &str, expected_version: Option<u64>) -> Command {
    let identifier: Identifier = identifier.parse().unwrap();
    let update = IdentifierUpdate::new(
        identifier,
        values(text),
        Vec::new(),
        true,
        None,
        expected_version,
        STAMP_S,
    );
    Command::UpdateIdentifier(update.unwrap())
}

pub fn delete(identifier: &str, expected_version: Option<u64>) -> Command {
    Command::DeleteIdentifier {
        identifier: identifier.parse().unwrap(),
        reason: "停产".into(),
        expected_version,
    }
}

/// An idempotency key for a request with this content.
pub fn key(key: &str, content: &str) -> Option<Idempotency> {
    Idempotency::of_request(key.into(), "Test", content.as_bytes())
}

/// The text of a record's only value.
pub fn text(record: &Record) -> String {
    let values: Vec<_> = record.values().collect();
    assert_eq!(values.len(), 1);
    String::from_utf8(values[0].data().to_vec()).unwrap()
}
