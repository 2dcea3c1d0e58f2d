//! Values on the command line.

use std::path::{Path, PathBuf};

use idnode_proto::api::Value;

use super::admin_arg::{self, ADMINISTRATOR_HELP};
use super::error::Failure;
use crate::bulk::field;
use crate::bulk::json::{Encoding, ValueIn, decode};

/// How `--value` is written.
pub(crate) const VALUE_HELP: &str = "\
[INDEX:]TYPE[:ttl=TTL][:perm=BITS][:encoding=base64]=DATA

Everything after the first `=` that ends no option is data, as it is.
  URL=https://example.com/a?b=c           the node chooses the index
  3:URL=https://example.com               index 3
  3:URL:ttl=600:perm=1100=https://a.b     ten minutes; the owner only
  KEY:encoding=base64=AAEC                data that is not text
TTL is seconds, or @ and seconds since 1970. BITS are owner read, owner write, public read,
public write. A type that has `:` or `=` in it, or references, need --values-file.";

/// Values given with a command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ValueArgs {
    /// A value; may be repeated (see --help)
    #[arg(long = "value", value_name = "VALUE", value_parser = parse, long_help = VALUE_HELP)]
    values: Vec<Value>,
    /// An administrator (HS_ADMIN); may be repeated (see --help)
    #[arg(
        long = "administrator",
        value_name = "ADMINISTRATOR",
        value_parser = admin_arg::parse_administrator,
        long_help = ADMINISTRATOR_HELP
    )]
    administrators: Vec<Value>,
    /// A group of administrators (HS_VLIST), INDEX=KEY;KEY…; may be repeated
    #[arg(
        long = "group",
        value_name = "GROUP",
        value_parser = admin_arg::parse_group
    )]
    groups: Vec<Value>,
    /// JSON file with an array of values, as `identifier get --json` shows them
    #[arg(long, value_name = "FILE")]
    values_file: Option<PathBuf>,
}

impl ValueArgs {
    /// The values of the options, then those of the file.
    pub(crate) fn read(self) -> Result<Vec<Value>, Failure> {
        let mut values = self.values;
        values.extend(self.administrators);
        values.extend(self.groups);
        if let Some(path) = self.values_file {
            let refused = |reason: String| Failure::File {
                path: path.clone(),
                reason,
            };
            values.extend(read(&path).map_err(refused)?);
        }
        Ok(values)
    }
}

fn read(path: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    parse_file(&text)
}

fn parse_file(text: &[u8]) -> Result<Vec<Value>, String> {
    let found: Vec<serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    (0..)
        .zip(found)
        .map(|(n, value)| match ValueIn::misfit(&value) {
            Some((field, message)) => Err(format!("[{n}].{field}: {message}")),
            None => serde_json::from_value::<ValueIn>(value)
                .map_err(|error| format!("[{n}]: {error}"))?
                .into_value()
                .map_err(|message| format!("[{n}]: {message}")),
        })
        .collect()
}

/// Reads one `--value`.
fn parse(text: &str) -> Result<Value, String> {
    let mut value = Value::default();
    let mut rest = text;
    if let Some((index, after)) = text.split_once(':')
        && !index.is_empty()
        && index.bytes().all(|b| b.is_ascii_digit())
    {
        value.index = field::parse_index(index).map_err(|error| error.to_string())?;
        rest = after;
    }
    let end = rest
        .find([':', '='])
        .ok_or("`=` and the data are missing")?;
    let (kind, mut rest) = rest.split_at(end);
    if kind.is_empty() {
        return Err("the type is missing".to_owned());
    }
    kind.clone_into(&mut value.r#type);
    let mut encoding = Encoding::String;
    while let Some(option) = rest.strip_prefix(':') {
        let (name, after) = option
            .split_once('=')
            .ok_or_else(|| format!("`{option}` is no option: ttl=, perm= or encoding="))?;
        let end = after
            .find([':', '='])
            .ok_or("`=` and the data are missing")?;
        let (setting, after) = after.split_at(end);
        match name {
            "ttl" => value.ttl = Some(field::parse_ttl(setting).map_err(|e| e.to_string())?),
            "perm" => {
                let bits = field::parse_permissions(setting).map_err(|e| e.to_string())?;
                value.permissions = Some(bits);
            }
            "encoding" => encoding = Encoding::parse(setting).map_err(|e| e.to_string())?,
            _ => return Err(format!("`{name}` is no option: ttl, perm or encoding")),
        }
        rest = after;
    }
    let data = rest.strip_prefix('=').unwrap_or_default().to_owned();
    value.data = Some(decode(encoding, data).map_err(|error| error.to_string())?);
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use idnode_proto::api::value::{Data, Ttl};

    fn text(data: &str) -> Option<Data> {
        Some(Data::Text(data.to_owned()))
    }

    #[test]
    fn options_end_where_the_data_begins() {
        let plain = parse("URL=https://a/b?c=d:e").unwrap();
        assert_eq!((plain.index, plain.r#type.as_str()), (0, "URL"));
        assert_eq!(plain.data, text("https://a/b?c=d:e"));

        let full = parse("3:URL:ttl=600:perm=1100=ttl=1:x").unwrap();
        assert_eq!((full.index, full.r#type.as_str()), (3, "URL"));
        assert_eq!(
            (full.ttl, full.permissions),
            (Some(Ttl::TtlS(600)), Some(12))
        );
        assert_eq!(full.data, text("ttl=1:x"));

        let raw = parse("KEY:encoding=base64=AAEC").unwrap();
        assert_eq!(raw.data, Some(Data::Raw(vec![0, 1, 2])));

        let absolute = parse("7:A:ttl=@9=").unwrap();
        assert_eq!(
            (absolute.ttl, absolute.data),
            (Some(Ttl::ExpiresAtS(9)), text(""))
        );

        assert_eq!(parse("123=a").unwrap().r#type, "123");
    }

    #[test]
    fn a_mistake_is_named() {
        for (given, part) in [
            ("URL", "data are missing"),
            ("3:URL", "data are missing"),
            ("=x", "type is missing"),
            ("3:=x", "type is missing"),
            ("URL:ttl=1h=x", "`1h`"),
            ("URL:perm=14=x", "`14`"),
            ("URL:colour=red=x", "`colour`"),
            ("URL:encoding=base64=*", "base64"),
            ("URL:ttl=600", "data are missing"),
            ("2147483648:URL=x", "`2147483648`"),
        ] {
            let message = parse(given).unwrap_err();
            assert!(message.contains(part), "{given}: {message}");
        }
        let file = parse_file(br#"[{"type":"URL","data":""},{"type":"URL","data":1}]"#);
        assert!(file.unwrap_err().starts_with("[1].data: "));
    }
}
