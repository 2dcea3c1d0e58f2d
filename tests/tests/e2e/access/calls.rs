//! Every call of the registry's services on one enterprise's property.

use std::fmt::Write;

use idnode_proto::api as pb;
use idnode_proto::import::ImportChunk;
use idnode_tests::api::{Api, CODES, private, value};
use idnode_tests::call;
use idnode_tests::node::{DataDir, Node};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// What only the owner may read.
pub const SECRET: &str = "not-public-17.20";

/// The outcome of some calls by the names of their methods.
pub type Outcomes<T> = Vec<(&'static str, Result<T, Status>)>;

macro_rules! wrote {
    ($($call:tt)*) => { call!($($call)*).map(drop) };
}

pub(super) use wrote;

macro_rules! shown {
    ($($call:tt)*) => { call!($($call)*).map(|answer| format!("{answer:?}")) };
}

macro_rules! streamed {
    ($($call:tt)*) => {
        match call!($($call)*) {
            Ok(stream) => all(stream).await,
            Err(refused) => Err(refused),
        }
    };
}

async fn all<T: std::fmt::Debug>(mut stream: Streaming<T>) -> Result<String, Status> {
    let mut shown = String::new();
    while let Some(message) = stream.message().await? {
        writeln!(shown, "{message:?}").unwrap();
    }
    Ok(shown)
}

/// An enterprise and one of everything that is its own.
pub struct Property {
    pub code: &'static str,
    pub enterprise: String,
    pub prefix: &'static str,
    pub template: String,
    pub spare_key: String,
    pub token: String,
}

impl Property {
    pub async fn new(operator: &Api, code: &'static str, prefix: &'static str) -> Self {
        let enterprise = operator.verified_enterprise(code).await;
        operator.active_prefix(prefix, &enterprise).await;
        let property = Self {
            code,
            template: format!("template-of-{}", prefix.replace(':', "-")),
            prefix,
            spare_key: operator.api_key(&enterprise).await.0,
            token: operator.api_key(&enterprise).await.1,
            enterprise,
        };
        let template = property.template();
        wrote!(operator, templates.put_template(template)).unwrap();
        let values = property.values(vec![
            private(20, "COST", SECRET),
            value(300, "HS_SECKEY", SECRET),
        ]);
        wrote!(operator, prefixes.update_prefix_values(values)).unwrap();
        for name in ["there", "gone"] {
            let values = vec![
                private(1, "COST", SECRET),
                value(2, "URL", "https://example.cn"),
            ];
            let made = operator.create(&property.named(name), values, "").await;
            made.unwrap();
        }
        property
    }

    pub fn named(&self, suffix: &str) -> String {
        format!("{}/{suffix}", self.prefix)
    }

    fn values(&self, set_values: Vec<pb::Value>) -> pb::UpdatePrefixValuesRequest {
        pb::UpdatePrefixValuesRequest {
            prefix: self.prefix.to_owned(),
            set_values,
            ..pb::UpdatePrefixValuesRequest::default()
        }
    }

    fn administrator(&self) -> pb::AddAdministratorRequest {
        pb::AddAdministratorRequest {
            administrator: format!("301:0.NA/{}", self.prefix),
            key: Some(pb::add_administrator_request::Key::SecretKey(
                SECRET.as_bytes().to_vec(),
            )),
            enterprise_id: self.enterprise.clone(),
            label: "administrator".to_owned(),
        }
    }

    pub fn template(&self) -> pb::PutTemplateRequest {
        let attribute = pb::Attribute {
            name: "COST".to_owned(),
            r#type: pb::AttributeType::Decimal.into(),
            ..pb::Attribute::default()
        };
        let template = pb::Template {
            name: self.template.clone(),
            enterprise_id: self.enterprise.clone(),
            attributes: vec![attribute],
            ..pb::Template::default()
        };
        pb::PutTemplateRequest {
            template: Some(template),
            ..pb::PutTemplateRequest::default()
        }
    }

    fn profile(&self, code: &str) -> pb::EnterpriseProfile {
        pb::EnterpriseProfile {
            certificate_type: pb::CertificateType::SocialCreditCode.into(),
            certificate_code: code.to_owned(),
            name: format!("企业 {code}"),
            website: "https://example.cn/changed".to_owned(),
            ..pb::EnterpriseProfile::default()
        }
    }

    /// What no other enterprise may come across.
    pub fn marks(&self) -> [&str; 5] {
        [
            SECRET,
            self.code,
            self.prefix,
            &self.template,
            &self.spare_key,
        ]
    }
}

/// A node with two enterprises.
pub struct World {
    pub operator: Api,
    pub owner: Property,
    pub other: Property,
    pub node: Node,
    pub dir: DataDir,
}

impl World {
    pub async fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let operator = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        Self {
            owner: Property::new(&operator, CODES[0], "88.118.8").await,
            other: Property::new(&operator, CODES[1], "88.118.9").await,
            operator,
            node,
            dir,
        }
    }

    pub fn with(&self, property: &Property) -> Api {
        self.operator.with_token(Some(&property.token))
    }

    /// The head of the change log: nothing is written without it growing.
    pub async fn head(&self) -> u64 {
        let request = pb::GetNodeStatisticsRequest {};
        let statistics = call!(self.operator, changes.get_node_statistics(request));
        statistics.unwrap().sequence
    }
}

/// An open import.
pub struct Import {
    requests: mpsc::Sender<pb::ImportRequest>,
    answers: Streaming<pb::ImportResponse>,
}

impl Import {
    pub async fn start(api: &Api, import_id: &str) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(1);
        let start = pb::import_request::Message::Start(pb::ImportStart {
            import_id: import_id.to_owned(),
            mode: pb::ImportMode::Upsert.into(),
        });
        let message = Some(start);
        requests.send(pb::ImportRequest { message }).await.unwrap();
        let mut answers = call!(api, identifiers.import(ReceiverStream::new(receiver)))?;
        answers.message().await?;
        Ok(Self { requests, answers })
    }

    pub async fn chunk(&mut self, number: u64, names: &[String]) -> Result<Vec<Code>, Status> {
        let item = |identifier: &String| pb::ImportItem {
            line: 1,
            identifier: identifier.clone(),
            values: vec![value(1, "URL", "https://example.cn/imported")],
            template: String::new(),
        };
        let items: Vec<_> = names.iter().map(item).collect();
        let chunk = pb::import_request::Message::Chunk(ImportChunk::new(number, &items));
        let message = Some(chunk);
        // Fails when the node has ended the stream; the answer says why.
        self.requests.send(pb::ImportRequest { message }).await.ok();
        let answer = self.answers.message().await?.expect("an answer").message;
        let Some(pb::import_response::Message::Result(result)) = answer else {
            panic!("{answer:?}")
        };
        let code = |item: pb::ImportItemResult| item.error.map_or(0, |error| error.code);
        Ok(result.items.into_iter().map(code).map(Code::from).collect())
    }
}

async fn import_one(api: &Api, identifier: String) -> Result<(), Status> {
    let mut import = Import::start(api, &identifier).await?;
    match import.chunk(1, &[identifier]).await?.as_slice() {
        [Code::Ok] => Ok(()),
        [code] => Err(Status::new(*code, "the item is rejected")),
        other => panic!("{other:?}"),
    }
}

/// Every writing call, on one enterprise's property, in an order in which the operator succeeds
/// with all of them.
pub async fn writes(api: &Api, on: &Property) -> Outcomes<()> {
    let mut outcomes = identifier_writes(api, on).await;
    let enterprise = pb::CreateEnterpriseRequest {
        profile: Some(on.profile(CODES[2])),
        ..Default::default()
    };
    let update = pb::UpdateEnterpriseRequest {
        id: on.enterprise.clone(),
        profile: Some(on.profile(on.code)),
        ..Default::default()
    };
    let apply = pb::ApplyPrefixRequest {
        prefix: format!("{}.1", on.prefix),
        enterprise_id: on.enterprise.clone(),
        ..Default::default()
    };
    let delegation = pb::SetDelegationRequest {
        prefix: on.prefix.to_owned(),
        ..Default::default()
    };
    let own_values = on.values(vec![value(21, "DESC", "new")]);
    let no_template = pb::DeleteTemplateRequest {
        name: on.template.clone(),
        ..Default::default()
    };
    let key = pb::CreateApiKeyRequest {
        enterprise_id: on.enterprise.clone(),
        label: "another".to_owned(),
    };
    let revoke = pb::RevokeApiKeyRequest {
        id: on.spare_key.clone(),
    };
    let transition = pb::TransitionPrefixRequest {
        prefix: on.prefix.to_owned(),
        action: pb::PrefixAction::MarkForDeletion.into(),
        ..Default::default()
    };
    let review = pb::ReviewEnterpriseRequest {
        id: on.enterprise.clone(),
        action: pb::review_enterprise_request::Action::Suspend.into(),
        ..Default::default()
    };
    outcomes.extend([
        (
            "CreateEnterprise",
            wrote!(api, enterprises.create_enterprise(enterprise)),
        ),
        (
            "UpdateEnterprise",
            wrote!(api, enterprises.update_enterprise(update)),
        ),
        ("ApplyPrefix", wrote!(api, prefixes.apply_prefix(apply))),
        (
            "SetDelegation",
            wrote!(api, prefixes.set_delegation(delegation)),
        ),
        (
            "UpdatePrefixValues",
            wrote!(api, prefixes.update_prefix_values(own_values)),
        ),
        (
            "PutTemplate",
            wrote!(api, templates.put_template(on.template())),
        ),
        (
            "DeleteTemplate",
            wrote!(api, templates.delete_template(no_template)),
        ),
        ("CreateApiKey", wrote!(api, credentials.create_api_key(key))),
        (
            "AddAdministrator",
            wrote!(api, credentials.add_administrator(on.administrator())),
        ),
        (
            "RevokeApiKey",
            wrote!(api, credentials.revoke_api_key(revoke)),
        ),
        (
            "TransitionPrefix",
            wrote!(api, prefixes.transition_prefix(transition)),
        ),
        (
            "ReviewEnterprise",
            wrote!(api, enterprises.review_enterprise(review)),
        ),
    ]);
    outcomes
}

async fn identifier_writes(api: &Api, on: &Property) -> Outcomes<()> {
    let values = || vec![value(1, "URL", "https://example.cn/new")];
    let update = api.replace(&on.named("there"), values(), "").await;
    vec![
        (
            "CreateIdentifier",
            api.create(&on.named("new"), values(), "").await.map(drop),
        ),
        ("UpdateIdentifier", update.map(drop)),
        (
            "DeleteIdentifier",
            api.delete(&on.named("gone"), "", "").await.map(drop),
        ),
        ("Import", import_one(api, on.named("imported")).await),
    ]
}

/// Every reading call that names an enterprise's property, and all that it shows.
pub async fn named_reads(api: &Api, on: &Property) -> Outcomes<String> {
    let prefix = || on.prefix.to_owned();
    let enterprise = pb::GetEnterpriseRequest {
        by: Some(pb::get_enterprise_request::By::CertificateCode(
            on.code.to_owned(),
        )),
    };
    let template = pb::GetTemplateRequest {
        name: on.template.clone(),
    };
    let identifier = pb::GetIdentifierRequest {
        identifier: on.named("there"),
    };
    let listing = pb::ListIdentifiersRequest {
        prefix: prefix(),
        include_deleted: true,
        ..Default::default()
    };
    let keys = pb::ListApiKeysRequest {
        enterprise_id: on.enterprise.clone(),
        page: None,
    };
    let prefixes = pb::ListPrefixesRequest {
        enterprise_id: on.enterprise.clone(),
        ..Default::default()
    };
    let statistics = pb::GetPrefixStatisticsRequest { prefix: prefix() };
    let get_prefix = pb::GetPrefixRequest { prefix: prefix() };
    vec![
        (
            "GetEnterprise",
            shown!(api, enterprises.get_enterprise(enterprise)),
        ),
        ("GetPrefix", shown!(api, prefixes.get_prefix(get_prefix))),
        (
            "ListPrefixes",
            shown!(api, prefixes.list_prefixes(prefixes)),
        ),
        (
            "GetPrefixStatistics",
            shown!(api, prefixes.get_prefix_statistics(statistics)),
        ),
        ("GetTemplate", shown!(api, templates.get_template(template))),
        (
            "GetIdentifier",
            shown!(api, identifiers.get_identifier(identifier)),
        ),
        (
            "ListIdentifiers",
            shown!(api, identifiers.list_identifiers(listing)),
        ),
        ("ListApiKeys", shown!(api, credentials.list_api_keys(keys))),
        ("Export", export(api, on.prefix).await),
        ("Watch", watch(api, on.prefix).await),
    ]
}

pub async fn export(api: &Api, prefix: &str) -> Result<String, Status> {
    let request = pb::ExportRequest {
        prefix: prefix.to_owned(),
        include_deleted: true,
    };
    streamed!(api, identifiers.export(request))
}

pub async fn watch(api: &Api, prefix: &str) -> Result<String, Status> {
    let request = pb::WatchRequest {
        from_sequence: 1,
        follow: false,
        prefix: prefix.to_owned(),
    };
    streamed!(api, changes.watch(request))
}

/// Every reading call that names nobody's property, and all that it shows.
pub async fn open_reads(api: &Api) -> Outcomes<String> {
    let enterprises = pb::ListEnterprisesRequest::default();
    let prefixes = pb::ListPrefixesRequest::default();
    let templates = pb::ListTemplatesRequest::default();
    let keys = pb::ListApiKeysRequest::default();
    let statistics = pb::GetNodeStatisticsRequest {};
    vec![
        (
            "ListEnterprises",
            shown!(api, enterprises.list_enterprises(enterprises)),
        ),
        (
            "ListPrefixes",
            shown!(api, prefixes.list_prefixes(prefixes)),
        ),
        (
            "ListTemplates",
            shown!(api, templates.list_templates(templates)),
        ),
        ("ListApiKeys", shown!(api, credentials.list_api_keys(keys))),
        (
            "WhoAmI",
            shown!(api, credentials.who_am_i(pb::WhoAmIRequest {})),
        ),
        (
            "GetNodeStatistics",
            shown!(api, changes.get_node_statistics(statistics)),
        ),
        ("Export", export(api, "").await),
        ("Watch", watch(api, "").await),
    ]
}

/// The calls that anybody may make, and all that they show.
pub async fn resolutions(api: &Api, on: &Property) -> Outcomes<String> {
    let resolve = pb::ResolveRequest {
        identifier: on.named("there"),
        indexes: vec![1, 2],
        ..Default::default()
    };
    let item = pb::batch_resolve_request::Item {
        id: 1,
        request: Some(resolve.clone()),
    };
    let of_prefix = pb::ResolveRequest {
        identifier: format!("0.NA/{}", on.prefix),
        ..Default::default()
    };
    let second = pb::batch_resolve_request::Item {
        id: 2,
        request: Some(of_prefix.clone()),
    };
    let items = vec![item, second];
    let batch = tokio_stream::iter([pb::BatchResolveRequest { items }]);
    vec![
        ("Resolve", shown!(api, resolution.resolve(resolve))),
        ("Resolve", shown!(api, resolution.resolve(of_prefix))),
        (
            "BatchResolve",
            streamed!(api, resolution.batch_resolve(batch)),
        ),
    ]
}

pub async fn reads(api: &Api, on: &Property) -> Outcomes<String> {
    let mut outcomes = named_reads(api, on).await;
    outcomes.extend(open_reads(api).await);
    outcomes.extend(resolutions(api, on).await);
    outcomes
}

pub fn names<T>(outcomes: &Outcomes<T>) -> impl Iterator<Item = &'static str> {
    outcomes.iter().map(|(name, _)| *name)
}
