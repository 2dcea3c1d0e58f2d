//! What an administrator sees of a handle: also the values that only administrators may read, if
//! the handle's HS_ADMIN values let it (RFC 3651 §3.2.1). Asked for once for each answer, on the
//! waiting way alone.

use super::{Answer, Query, Resolver};
use idnode_registry::{Caller, Error, Result};
use std::sync::Arc;

impl Resolver {
    /// The answer as whoever asks may see it.
    pub(super) async fn as_seen(
        self: &Arc<Self>,
        query: &Query<'_>,
        answer: Answer,
    ) -> Result<Answer> {
        let (Answer::Found(resolved), Caller::Administrator(_)) = (&answer, query.caller) else {
            return Ok(answer);
        };
        if !resolved.withheld(query) {
            return Ok(answer);
        }
        let (resolver, caller) = (self.clone(), query.caller.clone());
        let lost = |_| Error::Storage("a read ended without a result".into());
        tokio::task::spawn_blocking(move || resolver.administered(answer, &caller))
            .await
            .map_err(lost)?
    }

    /// The same on a thread that may block on the disk.
    pub(super) fn administered(&self, mut answer: Answer, caller: &Caller) -> Result<Answer> {
        if let (Answer::Found(resolved), Caller::Administrator(administrator)) =
            (&mut answer, caller)
        {
            let (values, count) = (&resolved.record.values, resolved.record.value_count);
            let (registry, values) = (&self.registry, values.clone());
            resolved.administered =
                registry.administrator_reads(administrator, values, count.into())?;
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
    use super::super::Filter;
    use super::*;
    use crate::cache::HotCache;
    use idnode_proto::handle::{Admin, AdminPermissions};
    use idnode_proto::identifier::Prefix;
    use idnode_proto::value::{Permissions, Reference, Value, types};
    use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
    use idnode_registry::prefix::PrefixAction;
    use idnode_registry::write::{Command, Draft, PrefixUpdate, SetMode};
    use idnode_registry::{Options, Registry};

    const PREFIX: &str = "88.118.8";
    const ADMIN: &str = "300:0.NA/88.118.8";

    struct Node {
        resolver: Arc<Resolver>,
        operator: Caller,
        _dir: tempfile::TempDir,
    }

    impl Node {
        /// An enterprise with a prefix that has an administrator's key and this right for it.
        async fn new(right: AdminPermissions) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let token = Registry::create(dir.path()).unwrap();
            let cache = Arc::new(HotCache::new(1));
            let options = Options::default();
            let registry = Registry::open(dir.path(), &options, cache.clone()).unwrap();
            let operator = registry.authenticate(&token).unwrap();
            let node = Self {
                resolver: Resolver::new(Arc::new(registry), cache, vec![1]),
                operator,
                _dir: dir,
            };
            node.enterprise().await;
            let prefix: Prefix = PREFIX.parse().unwrap();
            let secret = Value {
                permissions: Permissions::default_of(types::HS_SECKEY),
                ..Value::new(300, types::HS_SECKEY, "geheim")
            };
            let set = vec![admin(right), secret];
            let update = PrefixUpdate::new(prefix, set, vec![], false, None, 1);
            node.write(Command::UpdatePrefix(update.unwrap())).await;
            let values = vec![hidden(1, "cost"), admin(right)];
            let draft = Draft::new("88.118.8/1".parse().unwrap(), values, None, 1);
            node.write(Command::CreateIdentifier(draft.unwrap())).await;
            node
        }

        async fn enterprise(&self) {
            let profile = Profile {
                certificate_type: CertificateType::Other as i32,
                certificate_code: "one".into(),
                name: "one".into(),
                ..Profile::default()
            };
            self.write(Command::CreateEnterprise { profile }).await;
            let id = EnterpriseId(1);
            self.write(Command::ReviewEnterprise {
                id,
                action: ReviewAction::Verify,
                message: String::new(),
                expected_version: None,
            })
            .await;
            let prefix: Prefix = PREFIX.parse().unwrap();
            self.write(Command::ApplyPrefix {
                prefix: prefix.clone(),
                enterprise: id,
            })
            .await;
            for action in [PrefixAction::StartReview, PrefixAction::Approve] {
                self.write(Command::TransitionPrefix {
                    prefix: prefix.clone(),
                    action,
                    message: String::new(),
                    expected_version: None,
                })
                .await;
            }
        }

        async fn write(&self, command: Command) {
            let registry = &self.resolver.registry;
            registry.write(&self.operator, None, command).await.unwrap();
        }

        fn administrator(&self) -> Caller {
            let key = self
                .resolver
                .registry
                .administrator(&ADMIN.parse().unwrap());
            key.unwrap().unwrap().caller
        }

        /// Indexes of what a caller sees of a handle, both ways alike.
        async fn seen(&self, caller: &Caller, handle: &str, public_only: bool) -> Vec<u32> {
            let identifier = handle.parse().unwrap();
            let query = Query {
                identifier: &identifier,
                filter: &Filter::default(),
                caller,
                public_only,
            };
            let awaited = self.resolver.resolve(&query).await.unwrap();
            let blocking = self.resolver.resolve_blocking(&query).unwrap();
            let [first, second] = [awaited, blocking].map(|answer| match answer {
                Answer::Found(found) => {
                    let values = found.values(&query).map(|value| value.index());
                    values.collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(first, second);
            first
        }
    }

    fn hidden(index: u32, text: &str) -> Value {
        Value {
            permissions: Permissions(Permissions::ADMIN_READ | Permissions::ADMIN_WRITE),
            ..Value::new(index, "DESC", text)
        }
    }

    fn admin(permissions: AdminPermissions) -> Value {
        let reference = Reference {
            handle: "0.NA/88.118.8".into(),
            index: 300,
        };
        let data = Admin {
            permissions,
            reference,
        };
        Value::new(100, types::HS_ADMIN, data.encode())
    }

    #[tokio::test]
    async fn whoever_has_the_right_reads_what_administrators_may_read() {
        let node = Node::new(AdminPermissions::READ_VALUE).await;
        let caller = node.administrator();
        for (handle, all, public) in [
            ("88.118.8/1", vec![1, 100], vec![100]),
            ("0.NA/88.118.8", vec![1, 100, 300], vec![1, 100]),
        ] {
            assert_eq!(node.seen(&caller, handle, false).await, all);
            assert_eq!(node.seen(&caller, handle, true).await, public);
            let stranger = Caller::Stranger;
            assert_eq!(node.seen(&stranger, handle, false).await, public);
        }
        // Memory is never asked for it, not even when it knows the record.
        let identifier = "88.118.8/1".parse().unwrap();
        let mut query = Query {
            identifier: &identifier,
            filter: &Filter::default(),
            caller: &caller,
            public_only: false,
        };
        assert!(node.resolver.try_resolve(&query).is_none());
        query.caller = &Caller::Stranger;
        assert!(node.resolver.try_resolve(&query).is_some());
        // Without its key it is nobody.
        let remove = Command::update_handle(
            "0.NA/88.118.8".parse().unwrap(),
            vec![],
            SetMode::Put,
            vec![300],
            false,
            None,
            None,
            1,
        );
        node.write(remove.unwrap()).await;
        assert_eq!(node.seen(&caller, "88.118.8/1", false).await, [100]);
    }

    #[tokio::test]
    async fn other_rights_do_not_let_it_read() {
        let every_other = AdminPermissions::ALL.0 & !AdminPermissions::READ_VALUE.0;
        let node = Node::new(AdminPermissions(every_other)).await;
        let caller = node.administrator();
        assert_eq!(node.seen(&caller, "88.118.8/1", false).await, [100]);
        assert_eq!(node.seen(&caller, "0.NA/88.118.8", false).await, [1, 100]);
    }
}
