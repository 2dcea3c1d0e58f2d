//! The few types a key can have, read alike from TOML, the environment and flags.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use toml::de::{DeArray, DeValue};

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Text, addresses and names among them.
    Text,
    /// A list of texts.
    List,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::Text => "a string",
            Self::List => "a list of strings",
        })
    }
}

/// A value of a key before the key's own rule has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number; one past `i128` is held as the nearest end, which every bound refuses.
    Integer(i128),
    /// A truth value.
    Boolean(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// The value as a TOML literal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(out, "{number}"),
            Self::Boolean(truth) => write!(out, "{truth}"),
            Self::Text(text) => write!(out, "{}", toml::Value::from(text.as_str())),
            Self::List(items) => {
                let literals: Vec<String> = items
                    .iter()
                    .map(|item| toml::Value::from(item.as_str()).to_string())
                    .collect();
                write!(out, "[{}]", literals.join(", "))
            }
        }
    }
}

impl Value {
    /// Reads a TOML value as a `kind`; the error is what was found instead, in words.
    pub fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, String> {
        match (kind, value) {
            (Kind::Integer, DeValue::Integer(number)) => {
                Ok(Self::Integer(integer(number.as_str(), number.radix())))
            }
            (Kind::Boolean, DeValue::Boolean(truth)) => Ok(Self::Boolean(*truth)),
            (Kind::Text, DeValue::String(text)) => Ok(Self::Text(text.clone().into_owned())),
            (Kind::List, DeValue::Array(items)) => list(items).map(Self::List),
            (_, other) => Err(found(other)),
        }
    }

    /// Reads a value from a flag or variable, where everything is text: integers as in TOML,
    /// lists as a TOML list or separated by commas. The error is what was found instead.
    pub fn from_text(kind: Kind, text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        match kind {
            Kind::Text => Ok(Self::Text(text.to_owned())),
            Kind::Boolean | Kind::Integer => DeValue::parse(trimmed)
                .map_err(|_| format!("{text:?}"))
                .and_then(|value| Self::from_toml(kind, value.get_ref())),
            Kind::List if trimmed.starts_with('[') => DeValue::parse(trimmed)
                .map_err(|error| format!("{text:?} ({})", error.message()))
                .and_then(|value| Self::from_toml(kind, value.get_ref())),
            Kind::List if trimmed.is_empty() => Ok(Self::List(Vec::new())),
            Kind::List => Ok(Self::List(
                trimmed
                    .split(',')
                    .map(|item| item.trim().to_owned())
                    .collect(),
            )),
        }
    }
}

fn integer(digits: &str, radix: u32) -> i128 {
    let end = if digits.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    };
    i128::from_str_radix(digits, radix).unwrap_or(end)
}

fn list(items: &DeArray<'_>) -> Result<Vec<String>, String> {
    items
        .iter()
        .map(|item| match item.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => Err(format!("{} in the list", found(other))),
        })
        .collect()
}

/// What a TOML value is, in words for an error.
pub fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::Float(number) => format!("the float {number}"),
        DeValue::Boolean(truth) => format!("{truth}"),
        other => type_in_words(other).to_owned(),
    }
}

/// The type of a TOML value with its article.
pub fn type_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text for people.
    Text,
    /// One JSON object a line for machines.
    Json,
}

/// A Rust type that a field of the configuration can have.
pub trait Setting: Sized {
    /// The key's type as the operator sees it.
    const KIND: Kind;

    /// The typed value; the error says which part is wrong.
    fn from_value(value: &Value) -> Result<Self, String>;

    /// The value as the operator would write it.
    fn to_value(&self) -> Value;
}

fn mismatch<T: Setting>(value: &Value) -> String {
    format!("{value} is not {}", T::KIND)
}

macro_rules! integer_setting {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            const KIND: Kind = Kind::Integer;

            fn from_value(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Integer(number) => {
                        Self::try_from(*number).map_err(|_| format!("{number} does not fit"))
                    }
                    other => Err(mismatch::<Self>(other)),
                }
            }

            fn to_value(&self) -> Value {
                // Every type here is an unsigned integer of at most 64 bits.
                Value::Integer(i128::try_from(*self).unwrap_or(i128::MAX))
            }
        }
    )+};
}

integer_setting!(u16, u32, u64, usize);

impl Setting for bool {
    const KIND: Kind = Kind::Boolean;

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(truth) => Ok(*truth),
            other => Err(mismatch::<Self>(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Boolean(*self)
    }
}

macro_rules! text_setting {
    ($type:ty, $read:expr, $write:expr) => {
        impl Setting for $type {
            const KIND: Kind = Kind::Text;

            fn from_value(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Text(text) => $read(text.as_str()),
                    other => Err(mismatch::<Self>(other)),
                }
            }

            fn to_value(&self) -> Value {
                Value::Text($write(self))
            }
        }
    };
}

text_setting!(String, |text: &str| Ok(text.to_owned()), |text: &String| {
    text.clone()
});
text_setting!(
    PathBuf,
    |text: &str| Ok(PathBuf::from(text)),
    |path: &PathBuf| { path.to_string_lossy().into_owned() }
);
text_setting!(SocketAddr, parse_listen, ToString::to_string);
text_setting!(
    Option<SocketAddr>,
    parse_optional_listen,
    |address: &Option<SocketAddr>| { address.map(|a| a.to_string()).unwrap_or_default() }
);
text_setting!(LogFormat, parse_format, |format: &LogFormat| {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
    .to_owned()
});

/// Reads `address:port` or `[IPv6]:port`.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an IP address with a port"))
}

/// Reads an address as [`parse_listen`] does; nothing: it is not listened on.
pub fn parse_optional_listen(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" => Ok(None),
        address => parse_listen(address).map(Some),
    }
}

/// Reads the name of a log format.
pub fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is no log format")),
    }
}

/// Reads an IP address another machine could be told to ask.
pub fn parse_address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is not an IP address"))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("{text:?} is not the address of one machine"));
    }
    Ok(address)
}

impl Setting for Vec<String> {
    const KIND: Kind = Kind::List;

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(items) => Ok(items.clone()),
            other => Err(mismatch::<Self>(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::List(self.clone())
    }
}

impl Setting for Vec<IpAddr> {
    const KIND: Kind = Kind::List;

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(items) => items.iter().map(|item| parse_address(item)).collect(),
            other => Err(mismatch::<Self>(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(ToString::to_string).collect())
    }
}

/// The secret of server cookies: 16 bytes in hexadecimal digits.
pub fn parse_cookie_secret(text: &str) -> Option<[u8; 16]> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.ok()?.try_into().ok()
}

/// A network, or an address that stands for itself alone.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .map(|network| network.trunc())
        .or_else(|_| address())
        .map_err(|_| format!("{text:?} is neither a network nor an address"))
}
