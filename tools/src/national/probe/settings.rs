//! What is probed, from where, and what follows.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use idnode_proto::dnsname::Zones;
use idnode_proto::identifier::{Identifier, Prefix};
use serde::{Deserialize, Serialize};

/// Settings of the prober; it is on where there is something to probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSettings {
    /// A node and how it is asked: NODE:handle=ADDRESS,dns=ADDRESS,zone=ZONE,resolve=IDENTIFIER,
    /// grpc=ADDRESS,register=PREFIX,key=FILE,http=ADDRESS,monitor=FILE. In the file, a table [[probe.target]]
    #[arg(long = "probe", value_name = "NODE:WAY=…,…")]
    #[serde(rename = "target")]
    pub probes: Vec<Target>,
    /// Probes of each node, as if from so many places; 5 unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub probe_points: Option<u32>,
    /// Address that a probe asks from, one after the other; without, the system's
    #[arg(long, value_name = "ADDRESS")]
    pub probe_source: Vec<IpAddr>,
    /// How often each probe asks; 5000 unless said
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..))]
    pub probe_interval_ms: Option<u64>,
    /// How long an answer may take; 2000 unless said
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..))]
    pub probe_timeout_ms: Option<u64>,
    /// Probes of each place that the window has; 3 unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub probe_window: Option<u32>,
    /// What follows when 51 % of the probes in the window find registration or resolution down
    #[arg(long, value_enum)]
    pub takeover: Option<Mode>,
}

/// What follows when a node is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Its prefixes are taken over at once
    Auto,
    /// A person decides on the page
    Manual,
}

impl ProbeSettings {
    /// These flags over what a file says.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        Self {
            probes: match self.probes.is_empty() {
                true => file.probes,
                false => self.probes,
            },
            probe_points: self.probe_points.or(file.probe_points),
            probe_source: match self.probe_source.is_empty() {
                true => file.probe_source,
                false => self.probe_source,
            },
            probe_interval_ms: self.probe_interval_ms.or(file.probe_interval_ms),
            probe_timeout_ms: self.probe_timeout_ms.or(file.probe_timeout_ms),
            probe_window: self.probe_window.or(file.probe_window),
            takeover: self.takeover.or(file.takeover),
        }
    }
}

/// A node and how it is asked; what is not named is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// Its name, as the listener of streams knows it.
    pub node: String,
    /// Where it answers the Handle protocol, over UDP and TCP.
    pub handle: Option<SocketAddr>,
    /// Where it answers DNS, over UDP.
    pub dns: Option<SocketAddr>,
    /// Its zone.
    pub zone: Option<String>,
    /// An identifier that it has.
    pub resolve: Option<String>,
    /// Where it answers gRPC, without TLS.
    pub grpc: Option<SocketAddr>,
    /// The prefix that probes register under.
    pub register: Option<String>,
    /// File of the API key that they register with.
    pub key: Option<PathBuf>,
    /// Where it answers HTTP.
    pub http: Option<SocketAddr>,
    /// File of the token of its monitoring endpoint.
    pub monitor: Option<PathBuf>,
}

impl Target {
    /// Err unless what is asked can be.
    ///
    /// # Errors
    /// In words, naming the part.
    pub fn check(&self) -> Result<(), String> {
        let named = |reason: &str| format!("--probe {}: {reason}", self.node);
        if self.node.is_empty() {
            return Err(named("names no node"));
        }
        let resolves = self.handle.is_some() || self.dns.is_some();
        if resolves != self.resolve.is_some() {
            return Err(named("resolve goes with handle or dns"));
        }
        if let Some(text) = &self.resolve {
            Identifier::parse(text).map_err(|error| named(&format!("resolve: {error}")))?;
        }
        if self.dns.is_some() != self.zone.is_some() {
            return Err(named("zone goes with dns"));
        }
        if let Some(zone) = &self.zone {
            Zones::parse(zone, None, None).map_err(|error| named(&format!("zone: {error}")))?;
        }
        if self.grpc.is_some() != self.register.is_some()
            || self.grpc.is_some() != self.key.is_some()
        {
            return Err(named("grpc, register and key go together"));
        }
        if let Some(text) = &self.register {
            Prefix::parse(text).map_err(|error| named(&format!("register: {error}")))?;
        }
        if self.http.is_some() != self.monitor.is_some() {
            return Err(named("http goes with monitor"));
        }
        if !resolves && self.grpc.is_none() {
            return Err(named("nothing is asked"));
        }
        Ok(())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (node, ways) = text
            .split_once(':')
            .ok_or_else(|| "is not NODE:WAY=…,…".to_owned())?;
        let mut target = Self {
            node: node.to_owned(),
            ..Self::default()
        };
        for way in ways.split(',') {
            let (name, value) = way
                .split_once('=')
                .ok_or_else(|| format!("{way:?} is not WAY=…"))?;
            let address = || -> Result<Option<SocketAddr>, String> {
                let parsed = value.parse().map_err(|error| format!("{name}: {error}"));
                parsed.map(Some)
            };
            match name {
                "handle" => target.handle = address()?,
                "dns" => target.dns = address()?,
                "grpc" => target.grpc = address()?,
                "http" => target.http = address()?,
                "zone" => target.zone = Some(value.to_owned()),
                "resolve" => target.resolve = Some(value.to_owned()),
                "register" => target.register = Some(value.to_owned()),
                "key" => target.key = Some(value.into()),
                "monitor" => target.monitor = Some(value.into()),
                other => return Err(format!("{other:?} is no way to ask")),
            }
        }
        target.check().map(|()| target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_flag_and_a_table_say_the_same() {
        let flag = "taiyuan:handle=127.0.0.1:2641,dns=[::1]:53,zone=id.example.,resolve=88.118.8/A,\
                    grpc=127.0.0.1:2643,register=88.118.8,key=probe.key,http=127.0.0.1:8080,monitor=m";
        let flag: Target = flag.parse().unwrap();
        let table = "[[target]]\nnode = 'taiyuan'\nhandle = '127.0.0.1:2641'\ndns = '[::1]:53'\n\
                     zone = 'id.example.'\nresolve = '88.118.8/A'\ngrpc = '127.0.0.1:2643'\n\
                     register = '88.118.8'\nkey = 'probe.key'\nhttp = '127.0.0.1:8080'\nmonitor = 'm'\n";
        let file: ProbeSettings = toml::from_str(table).unwrap();
        assert_eq!(file.probes, [flag]);
    }

    #[test]
    fn what_can_t_be_asked_is_refused() {
        for (text, part) in [
            ("taiyuan", "NODE"),
            ("taiyuan:handle", "WAY"),
            ("taiyuan:ftp=1", "ftp"),
            ("taiyuan:handle=x", "handle"),
            ("taiyuan:handle=127.0.0.1:1", "resolve"),
            ("taiyuan:resolve=88.118.8/A", "resolve"),
            ("taiyuan:handle=127.0.0.1:1,resolve=x", "resolve"),
            ("taiyuan:dns=127.0.0.1:1,resolve=88.118.8/A", "zone"),
            ("taiyuan:grpc=127.0.0.1:1,key=f", "register"),
            ("taiyuan:http=127.0.0.1:1,monitor=f", "nothing"),
            (":handle=127.0.0.1:1,resolve=88.118.8/A", "node"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
