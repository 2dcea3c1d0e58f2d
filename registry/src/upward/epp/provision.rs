//! The work: what is owed is told, what is answered is journalled. Every step is journalled before it is
//! sent and may be broken off anywhere.

use super::identify::Identifiers;
use super::link::LinkError;
use super::plan;
use super::records::{Application, Enrolment, Kind, Phase, Records, TransactionState};
use super::session::Session;
use super::tell::Told;
use super::troubles::Troubles;
use crate::enterprise::{EnterpriseId, EnterpriseState, Profile};
use crate::prefix::{PrefixRecord, PrefixState};
use crate::read::{MAX_PAGE, PageRequest};
use crate::upward::Entry;
use crate::{Caller, Error, Registry, Result, now_ms};
use bytes::Bytes;
use idnode_proto::epp::{Data, Response};
use idnode_proto::identifier::Prefix;
use std::sync::Arc;

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// What is to be told, or to be written here.
    pub owed: u64,
    /// Applications under review there.
    pub waiting: u64,
    /// Prefixes that were granted and are withdrawn.
    pub withdrawn: u64,
}

/// Why something was put off: it is tried again later. `None`: it is done, or waits for a message.
pub(super) type PutOff = Option<String>;

/// Where an application has come to.
enum Step {
    To(Application),
    /// Not further now, for this reason.
    Later(String),
}

/// Why a prefix is not applied for that the configuration no longer names the node for.
const NOT_OURS: &str = "is not below the node's prefixes";

/// Provisioning of one registry.
#[derive(Clone)]
pub(super) struct Provisioner {
    pub registry: Arc<Registry>,
    pub records: Records,
    /// The node's user at the national node.
    pub user: String,
    /// What has ended sessions.
    pub troubles: Troubles,
    /// What is told of prefixes' handles, and whether.
    pub identifiers: Identifiers,
}

/// An enterprise that has changed: what was told, what is true, and its version.
type Changed = (Enrolment, Profile, u64);

/// What is to be told.
enum Owed {
    Application(Box<Application>),
    Change(Box<Changed>),
    /// The handle of the prefix with this key.
    Handle(Bytes),
}

impl Owed {
    fn name(&self) -> Vec<u8> {
        match self {
            Self::Application(it) => [b"p", &it.prefix[..]].concat(),
            Self::Change(it) => [&b"e"[..], &it.0.enterprise.to_be_bytes()].concat(),
            Self::Handle(key) => [b"h", &key[..]].concat(),
        }
    }
}

impl Provisioner {
    /// Opens an application for each prefix that has been approved here since, and tells how things
    /// stand. Needs no connection.
    pub async fn reconcile(&self) -> Result<Standing> {
        self.blocking(|this| {
            let node = Caller::node();
            let mut request = PageRequest {
                size: MAX_PAGE as u32,
                token: String::new(),
            };
            loop {
                let state = Some(PrefixState::UnderReview);
                let page = this.registry.list_prefixes(&node, None, state, &request)?;
                for record in page.items.iter().filter(|it| it.submitted > 0) {
                    this.open(record)?;
                }
                if page.next_token.is_empty() {
                    break;
                }
                request.token = page.next_token;
            }
            let (mut owed, mut waiting, mut withdrawn) = (0, 0, 0);
            this.records.each_application(|it| {
                owed += u64::from(it.is_owed());
                waiting += u64::from(it.phase() == Phase::Waiting);
                withdrawn += u64::from(it.withdrawn);
                Ok(())
            })?;
            owed += this.changed_enterprises()?.len() as u64;
            owed += this.handles_owed()?.len() as u64;
            Ok(Standing {
                owed,
                waiting,
                withdrawn,
            })
        })
        .await
    }

    fn open(&self, record: &PrefixRecord) -> Result<()> {
        let before = self.records.application(&record.key)?;
        if before
            .as_ref()
            .is_some_and(|it| it.submitted >= record.submitted)
        {
            return Ok(());
        }
        let application = match before {
            // What was applied for before is under review there still, or may be: that decides this
            // one.
            Some(before)
                if matches!(before.phase(), Phase::Waiting | Phase::Apply)
                    && before.enterprise == record.enterprise =>
            {
                Application {
                    submitted: record.submitted,
                    ..before
                }
            }
            before => {
                let before = before.unwrap_or_default();
                Application {
                    prefix: record.key.clone(),
                    enterprise: record.enterprise,
                    submitted: record.submitted,
                    granted_to: before.granted_to,
                    withdrawn: before.withdrawn,
                    ..Application::default()
                }
            }
        };
        self.records.commit(&[application.entry()])
    }

    /// Tells what is owed; of what was put off, why the last was, and whether there is more to tell: of handles
    /// only so many are told at once.
    ///
    /// # Errors
    /// The session is of no more use, or the store fails. What was told stays told.
    pub async fn tell_all(
        &self,
        session: &mut Session,
    ) -> std::result::Result<(PutOff, bool), LinkError> {
        let (mut owed, are_more) = self.blocking(Self::owed).await?;
        // What ended a session comes last: nothing waits for what a server cannot bear.
        owed.sort_by_cached_key(|it| self.troubles.of(&it.name()));
        let mut put_off = None;
        for owed in owed {
            let name = owed.name();
            let told = match owed {
                Owed::Application(application) => self.drive(*application, session).await,
                Owed::Change(change) => self.update(*change, session).await,
                Owed::Handle(prefix) => self.identify(prefix, session).await,
            };
            match told {
                Ok(later) => {
                    put_off = later.or(put_off);
                    self.troubles.forget(&name);
                }
                Err(error) => {
                    self.troubles.count(name);
                    return Err(error);
                }
            }
        }
        Ok((put_off, are_more))
    }

    /// What is to be told now, and whether there is more.
    fn owed(&self) -> Result<(Vec<Owed>, bool)> {
        let mut owed = Vec::new();
        self.records.each_application(|application| {
            if application.is_owed() {
                owed.push(Owed::Application(Box::new(application)));
            }
            Ok(())
        })?;
        let changes = self.changed_enterprises()?.into_iter();
        owed.extend(changes.map(|it| Owed::Change(Box::new(it))));
        let (handles, are_more) = self.next_handles()?;
        owed.extend(handles.into_iter().map(Owed::Handle));
        Ok((owed, are_more))
    }

    /// Brings an application as far as it goes now.
    async fn drive(
        &self,
        mut application: Application,
        session: &mut Session,
    ) -> std::result::Result<PutOff, LinkError> {
        loop {
            let before = application.phase();
            let next = match before {
                Phase::Enrol => self.enrol(&application, session).await?,
                Phase::Apply => self.apply(&application, session).await?,
                _ if application.turned => return Ok(self.settle(application).await?),
                Phase::Granted | Phase::Refused => return Ok(self.settle(application).await?),
                Phase::Waiting | Phase::Settled => return Ok(None),
            };
            match next {
                Step::To(next) => application = next,
                Step::Later(reason) => return Ok(Some(reason)),
            }
        }
    }

    /// Sees that the enterprise is registered there.
    async fn enrol(
        &self,
        application: &Application,
        session: &mut Session,
    ) -> std::result::Result<Step, LinkError> {
        let id = EnterpriseId(application.enterprise);
        let mut next = application.clone();
        next.set_phase(Phase::Apply);
        let enrolled = move |this: &Self| this.records.enrolment(id);
        if self.blocking(enrolled).await?.is_some() {
            self.commit(vec![next.entry()]).await?;
            return Ok(Step::To(next));
        }
        let Some((prefix, own)) = self.names(application) else {
            return Ok(Step::To(self.give_up(next, NOT_OURS).await?));
        };
        let read = move |this: &Self| this.registry.get_enterprise(&Caller::node(), id);
        let profile = self.blocking(read).await?.profile;
        let operation = plan::create_enterprise(&own, &profile);
        let name = id.to_string();
        let transaction = plan::transaction(Kind::CreateEnterprise, name, operation, 0, now_ms());
        // Asked first: a create whose answer was lost is found so, and so is what others brought.
        let question = plan::check_enterprise(&self.user, &profile);
        let told = self.tell(transaction, Some(&question), session).await?;
        let national_id = match told {
            Told::Yes(Some(Response {
                data: Some(Data::CreatedEnterprise(id) | Data::CheckedEnterprise(id)),
                ..
            })) => id,
            // Registered at this moment by another, or without a number: asked again next time.
            Told::Yes(answer) => {
                let data = answer.and_then(|it| it.data);
                tracing::warn!(enterprise = %id, ?data, "an enterprise is there without a number");
                return Ok(Step::Later(format!("enterprise {id} has no number there")));
            }
            Told::Exists => {
                let reason = "is registered there at this moment";
                return Ok(Step::Later(format!("enterprise {id} {reason}")));
            }
            Told::Later(reason) => return Ok(Step::Later(format!("enterprise {reason}"))),
            Told::No(reason) => {
                let reason = format!("enterprise {id}: {reason}");
                tracing::warn!(%prefix, reason, "the national node refuses an enterprise");
                return Ok(Step::To(self.give_up(next, &reason).await?));
            }
        };
        let enrolment = Enrolment {
            enterprise: application.enterprise,
            national_id,
            told: profile,
            refused: 0,
        };
        self.commit(vec![enrolment.entry(), next.entry()]).await?;
        Ok(Step::To(next))
    }

    /// Applies for the prefix.
    async fn apply(
        &self,
        application: &Application,
        session: &mut Session,
    ) -> std::result::Result<Step, LinkError> {
        let id = EnterpriseId(application.enterprise);
        let enrolment = self
            .blocking(move |this| this.records.enrolment(id))
            .await?;
        let mut next = application.clone();
        let Some(enrolment) = enrolment else {
            next.set_phase(Phase::Enrol);
            self.commit(vec![next.entry()]).await?;
            return Ok(Step::To(next));
        };
        let Some((prefix, own)) = self.names(application) else {
            return Ok(Step::To(self.give_up(next, NOT_OURS).await?));
        };
        let operation = plan::create_prefix(&own, &enrolment.national_id, &prefix);
        let (kind, occasion) = (Kind::CreatePrefix, application.submitted);
        // What may have been sent for an approval before goes on under its name.
        let name = application.client_id.clone();
        let begun = self
            .blocking(move |this| this.records.transaction(&name))
            .await?;
        let begun = begun.filter(|it| it.state() != TransactionState::Refused);
        let transaction = begun.unwrap_or_else(|| {
            plan::transaction(kind, prefix.clone(), operation, occasion, now_ms())
        });
        // Known before it is sent: its message may come before its answer.
        next.client_id.clone_from(&transaction.client_id);
        self.commit(vec![next.entry()]).await?;
        let question = plan::check_prefix(&own, &prefix);
        next = match self.tell(transaction, Some(&question), session).await? {
            // Whether it is granted is told by a message, whatever the answer (section 3.1.3).
            Told::Yes(_) => {
                next.set_phase(Phase::Waiting);
                self.commit(vec![next.entry()]).await?;
                next
            }
            Told::Exists if application.withdrawn => {
                self.give_up(next, "is withdrawn there").await?
            }
            Told::Exists if application.granted_to == enrolment.national_id => {
                next.set_phase(Phase::Granted);
                self.commit(vec![next.entry()]).await?;
                next
            }
            Told::Exists => self.give_up(next, "is registered there already").await?,
            Told::No(reason) => self.give_up(next, &reason).await?,
            Told::Later(reason) => return Ok(Step::Later(reason)),
        };
        Ok(Step::To(next))
    }

    /// Tells what has changed of an enterprise.
    async fn update(
        &self,
        (enrolment, now, version): Changed,
        session: &mut Session,
    ) -> std::result::Result<PutOff, LinkError> {
        let own = self.registry.provisioned_first().unwrap_or_default();
        let (national, told) = (&enrolment.national_id, &enrolment.told);
        let operation = plan::update_enterprise(&own, &self.user, national, told, &now);
        if let Some(operation) = operation {
            let name = EnterpriseId(enrolment.enterprise).to_string();
            let kind = Kind::UpdateEnterprise;
            let transaction = plan::transaction(kind, name, operation, version, now_ms());
            // What is replaced by the same is the same: nothing needs to be asked before.
            match self.tell(transaction, None, session).await? {
                Told::Yes(_) => {}
                Told::Later(reason) => return Ok(Some(format!("enterprise {reason}"))),
                // It is not there, or another node's to change: the next change tells it once more.
                Told::Exists | Told::No(_) => {
                    tracing::warn!(enterprise = %EnterpriseId(enrolment.enterprise), version,
                        "the national node refuses a change of an enterprise");
                    let refused = Enrolment {
                        refused: version,
                        ..enrolment
                    };
                    self.commit(vec![refused.entry()]).await?;
                    return Ok(None);
                }
            }
        }
        let enrolment = Enrolment {
            told: now,
            refused: 0,
            ..enrolment
        };
        self.commit(vec![enrolment.entry()]).await?;
        Ok(None)
    }

    /// An application that comes to nothing.
    pub(super) async fn give_up(
        &self,
        mut application: Application,
        reason: &str,
    ) -> Result<Application> {
        application.set_phase(Phase::Refused);
        application.message = plan::one_line(reason);
        self.commit(vec![application.entry()]).await?;
        Ok(application)
    }

    /// Enterprises that are registered there with something else than what is true here: with what
    /// was told, what is true, and its version. One whose change is under review here is not told, nor
    /// is one again that was refused as it is.
    fn changed_enterprises(&self) -> Result<Vec<Changed>> {
        let mut changed = Vec::new();
        self.records.each_enrolment(|enrolment| {
            let id = EnterpriseId(enrolment.enterprise);
            let now = self.registry.get_enterprise(&Caller::node(), id)?;
            let is_verified = now.state() == EnterpriseState::Verified;
            if is_verified && now.profile != enrolment.told && now.version != enrolment.refused {
                changed.push((enrolment, now.profile, now.version));
            }
            Ok(())
        })?;
        Ok(changed)
    }

    /// The prefix and the node's own above it, as texts.
    fn names(&self, application: &Application) -> Option<(String, String)> {
        let prefix = Prefix::from_key(&application.prefix).ok()?;
        let own = self.registry.provisioned_under(&prefix)?;
        Some((prefix.canonical(), own.canonical()))
    }

    pub(super) async fn commit(&self, entries: Vec<Entry>) -> Result<()> {
        self.blocking(move |this| this.records.commit(&entries))
            .await
    }

    /// Reads and writes of the store, on a thread where waiting for the disk hurts nobody.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this))
            .await
            .map_err(|_| Error::Storage("work on the journal ended without a result".into()))?
    }
}
