//! `idctl template`: attribute templates (元数据模板) from JSON files.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use idnode_proto::api::template_service_client::TemplateServiceClient;
use idnode_proto::api::{
    Attribute, AttributeType, DeleteTemplateRequest, GetTemplateRequest, ListTemplatesRequest,
    PutTemplateRequest, Template,
};
use serde::Deserialize;
use serde_json::json;

use super::error::Failure;
use super::identifier::show_receipt;
use super::json;
use super::output::Table;
use super::page::{PageArgs, WriteArgs};
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a template, or its next revision, from a JSON file
    ///
    /// {"name":"bearing","title":"轴承","closed":false,"attributes":[
    ///   {"name":"URL","type":"uri","required":true},
    ///   {"name":"diameter","type":"decimal","unit":"mm","minimum":0},
    ///   {"name":"grade","type":"enumeration","allowed_values":["P0","P5"]}]}
    ///
    /// Types: string, integer, decimal, boolean, date, date_time, uri, enumeration, identifier,
    /// bytes. `template get --json` prints the same shape.
    #[command(verbatim_doc_comment)]
    Put {
        file: PathBuf,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show a template
    Get { name: String },
    /// List templates
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Delete a template; what is registered under it keeps its name
    Delete {
        name: String,
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    // A file that cannot be used is found out before the node is asked.
    let put = match &command {
        Command::Put { file, .. } => Some(read(file)?),
        _ => None,
    };
    let mut client = TemplateServiceClient::new(session.channel().await?);
    match command {
        Command::Put { write, .. } => {
            let request = PutTemplateRequest {
                template: put,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let done = client
                .put_template(session.request(request))
                .await?
                .into_inner();
            let template = done.template.unwrap_or_default();
            session.out.show(
                || {
                    json!({
                        "receipt": json::receipt(done.receipt.as_ref()),
                        "template": json::template(&template),
                    })
                },
                || table(&template),
            )
        }
        Command::Get { name } => {
            let request = session.request(GetTemplateRequest { name });
            let found = client.get_template(request).await?.into_inner();
            session
                .out
                .show(|| json::template(&found), || table(&found))
        }
        Command::List { page } => {
            let (found, next) = page
                .fetch(async |page| {
                    let request = ListTemplatesRequest { page: Some(page) };
                    let listed = client.list_templates(session.request(request)).await?;
                    let listed = listed.into_inner();
                    Ok((listed.templates, listed.next_page_token))
                })
                .await?;
            show_list(session, &found, &next)
        }
        Command::Delete { name, write } => {
            let request = DeleteTemplateRequest {
                name,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let done = client.delete_template(session.request(request)).await?;
            show_receipt(session, done.into_inner())
        }
    }
}

fn show_list(session: &Session, found: &[Template], next: &str) -> Result<(), Failure> {
    session.out.show(
        || {
            let templates: Vec<_> = found.iter().map(json::template).collect();
            json!({"templates": templates, "next_page_token": next})
        },
        || {
            let mut table = Table::new(&["NAME", "REVISION", "TITLE", "OWNER", "ATTRIBUTES"]);
            for template in found {
                table.row([
                    template.name.clone(),
                    template.revision.to_string(),
                    template.title.clone(),
                    template.enterprise_id.clone(),
                    template.attributes.len().to_string(),
                ]);
            }
            table.more(next)
        },
    )
}

fn table(template: &Template) -> Table {
    let mut attributes = Table::new(&["ATTRIBUTE", "TITLE", "TYPE", "UNIT", "RULES"]);
    for attribute in &template.attributes {
        attributes.row([
            attribute.name.clone(),
            attribute.title.clone(),
            json::attribute_type(attribute),
            attribute.unit.clone(),
            rules(attribute),
        ]);
    }
    Table::of_one(&[
        ("name", template.name.clone()),
        ("title", template.title.clone()),
        ("revision", template.revision.to_string()),
        ("enterprise_id", template.enterprise_id.clone()),
        ("closed", template.closed.to_string()),
        ("version", template.version.to_string()),
        (
            "updated_at",
            json::time(template.updated_at.as_ref()).unwrap_or_default(),
        ),
    ])
    .with(&attributes)
}

fn rules(attribute: &Attribute) -> String {
    let mut rules = Vec::new();
    if attribute.required {
        rules.push("required".to_owned());
    }
    if attribute.repeated {
        rules.push("repeated".to_owned());
    }
    if attribute.max_length > 0 {
        rules.push(format!("≤ {} bytes", attribute.max_length));
    }
    rules.extend(attribute.minimum.map(|minimum| format!("≥ {minimum}")));
    rules.extend(attribute.maximum.map(|maximum| format!("≤ {maximum}")));
    if !attribute.allowed_values.is_empty() {
        rules.push(format!("one of {}", attribute.allowed_values.join(", ")));
    }
    rules.join("; ")
}

fn read(path: &Path) -> Result<Template, Failure> {
    let refused = |reason: String| Failure::File {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    parse(&text).map_err(refused)
}

fn parse(text: &[u8]) -> Result<Template, String> {
    let read: TemplateIn = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let attributes = read.attributes.into_iter().map(AttributeIn::into_attribute);
    Ok(Template {
        name: read.name,
        title: read.title,
        enterprise_id: read.enterprise_id,
        attributes: attributes.collect::<Result<_, _>>()?,
        closed: read.closed,
        ..Template::default()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateIn {
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    enterprise_id: String,
    #[serde(default)]
    attributes: Vec<AttributeIn>,
    #[serde(default)]
    closed: bool,
    // Given by the node: there in what it printed, and ignored.
    #[serde(default, rename = "revision")]
    _revision: serde::de::IgnoredAny,
    #[serde(default, rename = "version")]
    _version: serde::de::IgnoredAny,
    #[serde(default, rename = "updated_at")]
    _updated_at: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeIn {
    name: String,
    #[serde(default)]
    title: String,
    r#type: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    repeated: bool,
    #[serde(default)]
    max_length: u32,
    minimum: Option<f64>,
    maximum: Option<f64>,
    #[serde(default)]
    allowed_values: Vec<String>,
}

impl AttributeIn {
    fn into_attribute(self) -> Result<Attribute, String> {
        let full = format!("ATTRIBUTE_TYPE_{}", self.r#type.to_ascii_uppercase());
        let kind = AttributeType::from_str_name(&full)
            .filter(|kind| *kind != AttributeType::Unspecified)
            .ok_or_else(|| format!("attribute {}: `{}` is not a type", self.name, self.r#type))?;
        Ok(Attribute {
            name: self.name,
            title: self.title,
            r#type: kind.into(),
            unit: self.unit,
            required: self.required,
            repeated: self.repeated,
            max_length: self.max_length,
            minimum: self.minimum,
            maximum: self.maximum,
            allowed_values: self.allowed_values,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_put() {
        let template = Template {
            name: "bearing".into(),
            revision: 3,
            title: "轴承".into(),
            attributes: vec![Attribute {
                name: "d".into(),
                r#type: AttributeType::DateTime.into(),
                minimum: Some(0.5),
                ..Attribute::default()
            }],
            closed: true,
            version: 9,
            ..Template::default()
        };
        let printed = json::template(&template).to_string();
        let read = parse(printed.as_bytes()).unwrap();
        assert_eq!(
            read,
            Template {
                revision: 0,
                version: 0,
                ..template
            }
        );
    }

    #[test]
    fn a_mistake_is_named() {
        let unknown = parse(br#"{"name":"a","colour":1}"#).unwrap_err();
        assert!(unknown.contains("`colour`"), "{unknown}");
        let kind = parse(br#"{"name":"a","attributes":[{"name":"x","type":"colour"}]}"#);
        assert_eq!(kind.unwrap_err(), "attribute x: `colour` is not a type");
    }
}
