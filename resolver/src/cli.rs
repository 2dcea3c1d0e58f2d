//! The command line of `idnode`: parsing and types only.
//!
//! Exit codes are clap's (2 for a wrong command line) and those of whoever runs the command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::FlagSetting;

/// A secondary node (二级节点) of the industrial-internet identifier resolution system.
///
/// Every key of the configuration can be set by a flag (--set section.key=value), by an environment
/// variable (IDNODE_SECTION__KEY=value) and in the file; the first of these wins.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "idnode", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands of `idnode`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Make an empty registry and the operator's token (DIR/operator.token, mode 0600).
    Init(InitArgs),
    /// Run the node on an existing registry until SIGTERM.
    Run(RunArgs),
    /// Make a registry, load the demonstration data and run on it.
    Demo(DemoArgs),
    /// Make a registry of escrow deposits and a new operator's token (DIR/operator.token, mode 0600);
    /// prove that it is what was deposited.
    EscrowRestore(EscrowRestoreArgs),
    /// Check, print or explain the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Arguments of `idnode init`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitArgs {
    /// Directory of the new registry [key node.data_dir].
    #[arg(long, value_name = "DIR")]
    pub data_dir: String,
    /// File and single keys of the configuration.
    #[command(flatten)]
    pub source: Source,
}

impl InitArgs {
    /// What the flags say about the configuration, in rising precedence.
    pub fn flag_settings(&self) -> Vec<FlagSetting> {
        let mut settings = self.source.flag_settings();
        push_short(&mut settings, "--data-dir", Some(&self.data_dir));
        settings
    }
}

/// Arguments of `idnode escrow-restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EscrowRestoreArgs {
    /// Directory of the deposits: one of each prefix, in it one of each deposit.
    #[arg(long, value_name = "DIR")]
    pub deposits: PathBuf,
    /// File of the receiver's private SM2 key (PEM, mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// File of the public SM2 key of the node that made the deposits (PEM).
    #[arg(long, value_name = "FILE")]
    pub signer: PathBuf,
    /// Directory of the new registry.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// Arguments of `idnode run`, and of `idnode config print`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// Directory of the registry [key node.data_dir].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// File and single keys of the configuration.
    #[command(flatten)]
    pub source: Source,
    /// Where the fronts listen.
    #[command(flatten)]
    pub listen: Listen,
}

impl RunArgs {
    /// What the flags say about the configuration, in rising precedence.
    pub fn flag_settings(&self) -> Vec<FlagSetting> {
        let mut settings = self.source.flag_settings();
        push_short(&mut settings, "--data-dir", self.data_dir.as_ref());
        self.listen.push_settings(&mut settings);
        settings
    }
}

/// Arguments of `idnode demo`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// Directory of the new registry [key node.data_dir].
    #[arg(long, value_name = "DIR")]
    pub data_dir: String,
    /// Load at most this many identifiers.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// File and single keys of the configuration.
    #[command(flatten)]
    pub source: Source,
    /// Where the fronts listen.
    #[command(flatten)]
    pub listen: Listen,
}

impl DemoArgs {
    /// What the flags say about the configuration, in rising precedence.
    pub fn flag_settings(&self) -> Vec<FlagSetting> {
        let mut settings = self.source.flag_settings();
        push_short(&mut settings, "--data-dir", Some(&self.data_dir));
        self.listen.push_settings(&mut settings);
        settings
    }
}

/// The configuration file and single keys over it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Source {
    /// Configuration file (TOML); see `idnode config reference`.
    #[arg(long, value_name = "FILE", env = "IDNODE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set any key of the configuration; may be given several times, the last one for a key
    /// counts, and a short flag for the same key counts more.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, String)>,
}

impl Source {
    fn flag_settings(&self) -> Vec<FlagSetting> {
        self.set
            .iter()
            .map(|(key, value)| FlagSetting::set(key, value))
            .collect()
    }
}

/// Where the fronts listen, as `address:port`; port 0 takes any free port.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Listen {
    /// gRPC front, TCP [key grpc.listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub grpc: Option<String>,
    /// HTTP front, TCP [key http.listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// DNS front, UDP and TCP [key dns.listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub dns: Option<String>,
    /// Handle front, UDP and TCP [key handle.listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub handle: Option<String>,
}

impl Listen {
    fn push_settings(&self, settings: &mut Vec<FlagSetting>) {
        push_short(settings, "--grpc", self.grpc.as_ref());
        push_short(settings, "--http", self.http.as_ref());
        push_short(settings, "--dns", self.dns.as_ref());
        push_short(settings, "--handle", self.handle.as_ref());
    }
}

/// The subcommands of `idnode config`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Check a file: prints `ok`, or what is wrong as file:line:column: key: message.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the effective configuration with the origin of each key.
    Print(RunArgs),
    /// Print a commented configuration file with every key at its default.
    Reference,
}

/// Parses the process's command line; a wrong one ends the process with a message and code 2.
pub fn parse() -> Cli {
    Cli::parse()
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.to_owned())),
        None => Err("has no '=', expected section.key=value".to_owned()),
    }
}

fn push_short(settings: &mut Vec<FlagSetting>, flag: &str, value: Option<&String>) {
    let key = crate::config::overrides::SHORT_FLAGS
        .iter()
        .find(|(short, _)| *short == flag);
    if let (Some((_, key)), Some(value)) = (key, value) {
        settings.push(FlagSetting {
            flag: flag.to_owned(),
            key: (*key).to_owned(),
            value: value.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::config::Config;
    use crate::config::overrides::SHORT_FLAGS;

    fn parsed(line: &str) -> Result<Command, ErrorKind> {
        Cli::try_parse_from(line.split(' '))
            .map(|cli| cli.command)
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_stable_command_lines_parse_and_reach_the_configuration() {
        let line = "idnode run --data-dir /d --grpc 127.0.0.1:0 --http [::1]:1 --dns 127.0.0.1:2 \
                    --handle 127.0.0.1:3 --set cache.capacity_mib=8 --set http.public_url=http://h/?a=b";
        let Ok(Command::Run(run)) = parsed(line) else {
            panic!("{line}")
        };
        assert_eq!(
            run.source.set[1],
            ("http.public_url".to_owned(), "http://h/?a=b".to_owned())
        );
        let mut settings = run.flag_settings();
        settings.retain(|setting| setting.key != "http.public_url");
        let config = Config::load(None, [], &settings).unwrap();
        assert_eq!(config.node.data_dir, PathBuf::from("/d"));
        assert_eq!(config.grpc.listen.to_string(), "127.0.0.1:0");
        assert_eq!(config.http.listen.to_string(), "[::1]:1");
        assert_eq!(config.dns.listen.to_string(), "127.0.0.1:2");
        assert_eq!(config.handle.listen.to_string(), "127.0.0.1:3");
        assert_eq!(config.cache.capacity_mib, 8);
    }

    #[test]
    fn init_and_demo_insist_on_a_directory() {
        assert_eq!(
            parsed("idnode init"),
            Err(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            parsed("idnode demo --limit 5"),
            Err(ErrorKind::MissingRequiredArgument)
        );
        let Ok(Command::Init(init)) = parsed("idnode init --data-dir D") else {
            panic!("init")
        };
        assert_eq!(
            Config::load(None, [], &init.flag_settings())
                .unwrap()
                .node
                .data_dir,
            PathBuf::from("D")
        );
        let Ok(Command::Demo(demo)) =
            parsed("idnode demo --data-dir D --limit 5 --dns 127.0.0.1:0")
        else {
            panic!("demo")
        };
        assert_eq!(demo.limit, Some(5));
        assert_eq!(demo.flag_settings().len(), 2);
        assert!(matches!(parsed("idnode run"), Ok(Command::Run(_))));
    }

    #[test]
    fn a_short_flag_counts_more_than_set() {
        let line = "idnode run --grpc 127.0.0.1:7 --set grpc.listen=127.0.0.1:8";
        let Ok(Command::Run(run)) = parsed(line) else {
            panic!("{line}")
        };
        let config = Config::load(None, [], &run.flag_settings()).unwrap();
        assert_eq!(config.grpc.listen.port(), 7);
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        assert_eq!(
            parsed("idnode run --set grpc.listen"),
            Err(ErrorKind::ValueValidation)
        );
    }

    #[test]
    fn the_help_of_every_short_flag_names_its_key() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for (flag, key) in SHORT_FLAGS {
            let argument = run
                .get_arguments()
                .find(|argument| argument.get_long() == flag.strip_prefix("--"));
            let help = argument
                .and_then(|argument| argument.get_help())
                .unwrap()
                .to_string();
            assert!(help.contains(&format!("[key {key}]")), "{flag}: {help}");
        }
    }

    #[test]
    fn config_has_three_commands() {
        let check = parsed("idnode config check node.toml");
        assert_eq!(
            check,
            Ok(Command::Config(ConfigCommand::Check {
                file: "node.toml".into()
            }))
        );
        assert!(matches!(
            parsed("idnode config reference"),
            Ok(Command::Config(ConfigCommand::Reference))
        ));
        let Ok(Command::Config(ConfigCommand::Print(print))) =
            parsed("idnode config print --config F --dns 127.0.0.1:0")
        else {
            panic!("print")
        };
        assert_eq!(print.source.config, Some("F".into()));
        assert_eq!(print.flag_settings().len(), 1);
    }
}
