//! Settings: flags before environment variables before a file before what is built in.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use asasr_store::redacted;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use ipnet::IpNet;

/// Serve the ASASR page and its models.
///
/// Without arguments: the page of ./dist and the built-in models, at http://127.0.0.1:8080/.
///
/// Every setting can be a flag, an environment variable or a line of the settings file: `--listen ADDR`,
/// `ASASR_LISTEN=ADDR`, `listen = "ADDR"`. The first of the three that is there counts.
#[derive(Debug, Clone, Parser)]
#[command(version, about, long_about, next_line_help = true)]
#[allow(
    missing_docs,
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the comments are the help that users read"
)]
pub struct Config {
    /// Address to listen on
    #[arg(
        long,
        env = "ASASR_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,
    /// Folder of the built page, instead of the built-in one or ./dist
    #[arg(long, env = "ASASR_PAGE", value_name = "DIR")]
    pub page: Option<PathBuf>,
    /// Where models are: a folder that `asasr weights publish` filled, or s3://BUCKET/PREFIX, gs://BUCKET, az://CONTAINER;
    /// the built-in ones without it
    #[arg(long, env = "ASASR_STORE", value_name = "URL")]
    pub store: Option<String>,
    /// Serve only models signed with this ed25519 key: a PEM file or the base64 inside it
    #[arg(long, env = "ASASR_PUBLIC_KEY", value_name = "KEY")]
    pub public_key: Option<String>,
    /// Origins whose pages may read models, such as https://example.org; * is every one
    #[arg(
        long,
        env = "ASASR_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        default_value = "*"
    )]
    pub allow_origin: Vec<String>,
    /// How often to look for new releases; SIGHUP does it at once
    #[arg(long, env = "ASASR_REFRESH", value_name = "TIME", default_value = "30s")]
    pub refresh: Span,
    /// How long to wait for the storage's answer
    #[arg(
        long,
        env = "ASASR_STORAGE_TIMEOUT",
        value_name = "TIME",
        default_value = "10s"
    )]
    pub storage_timeout: Span,
    /// Memory for weights in MB; the largest file that is served has 64 MiB
    #[arg(long, env = "ASASR_CACHE_MB", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(68..=1_000_000))]
    pub cache_mb: u32,
    /// Connections at a time; what comes beyond is turned away
    #[arg(long, env = "ASASR_CONNECTIONS", value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Connections at a time from one address (IPv6: one /64); 0 for any number
    #[arg(
        long,
        env = "ASASR_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value_t = 256
    )]
    pub connections_per_address: u32,
    /// Requests a second from one address, on average; 0 for any number
    #[arg(
        long,
        env = "ASASR_REQUESTS_PER_SECOND",
        value_name = "N",
        default_value_t = 100
    )]
    pub requests_per_second: u32,
    /// Requests from one address that may come at once
    #[arg(long, env = "ASASR_BURST", value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub burst: u32,
    /// Proxies whose X-Forwarded-For is believed, as networks such as 10.0.0.0/8; their connections are not counted
    #[arg(long, env = "ASASR_TRUSTED_PROXY", value_name = "NET", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpNet>,
    /// Longest head of a request in bytes
    #[arg(long, env = "ASASR_HEADER_BYTES", value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(8192..=1_048_576))]
    pub header_bytes: u32,
    /// How long a client may take for a request's head, a TLS handshake, or between requests
    #[arg(
        long,
        env = "ASASR_HEADER_TIMEOUT",
        value_name = "TIME",
        default_value = "15s"
    )]
    pub header_timeout: Span,
    /// How long a client may take nothing of an answer before it is given up
    #[arg(long, env = "ASASR_STALL_TIMEOUT", value_name = "TIME", default_value = "30s")]
    pub stall_timeout: Span,
    /// How long downloads may go on after SIGTERM or Ctrl-C
    #[arg(
        long,
        env = "ASASR_SHUTDOWN_GRACE",
        value_name = "TIME",
        default_value = "30s"
    )]
    pub shutdown_grace: Span,
    /// Certificate chain in PEM: serve HTTPS; read again at SIGHUP
    #[arg(long, env = "ASASR_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "ASASR_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Address for /metrics, which then is not at --listen any more
    #[arg(long, env = "ASASR_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
    /// What is logged: error, warn, info, debug, or filters such as info,access=warn
    #[arg(long, env = "ASASR_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How it is logged
    #[arg(
        long,
        env = "ASASR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
    /// Settings file in TOML
    #[arg(long, env = "ASASR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings in effect as a settings file, with where each comes from, and end
    #[arg(long)]
    pub print_config: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

/// A length of time as people write it: `30s`, `2m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(time) if time.is_zero() => Err("has to be longer than nothing".into()),
            Ok(time) => Ok(Self(time)),
            Err(e) => Err(format!("{e}; times are written as 500ms, 30s, 2m or 1h")),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve with these settings.
    Serve(Box<Config>),
    /// Print this text and end.
    Print(String),
}

impl Config {
    /// Reads the command line `args`, the program's name first, the environment, and the file that one of them names.
    ///
    /// # Errors
    /// What is wrong as clap tells it, `--help` and `--version` among it.
    pub fn read<T: Into<OsString> + Clone>(
        args: impl IntoIterator<Item = T>,
    ) -> Result<Invocation, clap::Error> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let mut command = Self::command();
        let first = command.clone().ignore_errors(true).get_matches_from(&args);
        let file = first.get_one::<PathBuf>("config");
        let mut in_file = Vec::new();
        if let Some(path) = file {
            let settings = settings(&command, path).map_err(|why| {
                command.error(
                    clap::error::ErrorKind::InvalidValue,
                    format!("the settings file {}: {why}", path.display()),
                )
            })?;
            for (name, values) in settings {
                in_file.push(name.clone());
                command = command.mut_arg(name, |arg| arg.default_values(values));
            }
        }
        let matches = command.clone().try_get_matches_from(&args)?;
        let config = Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
        config
            .check()
            .map_err(|why| command.error(clap::error::ErrorKind::InvalidValue, why))?;
        if config.print_config {
            return Ok(Invocation::Print(printed(&command, &matches, &in_file)));
        }
        Ok(Invocation::Serve(Box::new(config)))
    }

    fn check(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together: give both or none".into());
        }
        for origin in &self.allow_origin {
            let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
            if origin != "*"
                && !host.is_some_and(|h| {
                    !h.is_empty()
                        && h.is_ascii()
                        && !h.contains(['/', ' ', '*', '@'])
                        && *h == h.to_ascii_lowercase()
                })
            {
                return Err(format!(
                    "--allow-origin {origin:?} is not an origin: it is * or a scheme and a host in lower case without a path, such as \
                     https://example.org"
                ));
            }
        }
        Ok(())
    }
}

/// The lines of a settings file: the arguments' names and their values as text.
fn settings(command: &clap::Command, path: &Path) -> Result<Vec<(String, Vec<String>)>, String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| e.to_string())?;
    let mut settings = Vec::new();
    for (key, value) in table {
        let id = key.replace('-', "_");
        let known = |a: &clap::Arg| a.get_id().as_str() == id && a.get_env().is_some() && id != "config";
        if !command.get_arguments().any(known) {
            let names: Vec<_> = command
                .get_arguments()
                .filter(|a| a.get_env().is_some())
                .map(key_of)
                .collect();
            return Err(format!("it has no setting {key}; there are {}", names.join(", ")));
        }
        let text = |value: &toml::Value| match value {
            toml::Value::String(s) => Ok(s.clone()),
            toml::Value::Integer(n) => Ok(n.to_string()),
            _ => Err(format!(
                "{key} has to be a text, a whole number or a list of texts"
            )),
        };
        let values = match &value {
            toml::Value::Array(items) => items.iter().map(text).collect::<Result<_, _>>()?,
            one => vec![text(one)?],
        };
        settings.push((id, values));
    }
    Ok(settings)
}

fn key_of(arg: &clap::Arg) -> String {
    arg.get_long().unwrap_or_default().to_owned()
}

/// The settings in effect as a settings file.
fn printed(command: &clap::Command, matches: &ArgMatches, in_file: &[String]) -> String {
    let mut out = String::new();
    for arg in command
        .get_arguments()
        .filter(|a| a.get_env().is_some() && a.get_id() != "config")
    {
        let id = arg.get_id().as_str();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            Some(_) if in_file.iter().any(|f| f == id) => "file",
            Some(_) => "built in",
            None => {
                let _ = writeln!(out, "# {} is not set", key_of(arg));
                continue;
            }
        };
        let raw = matches.get_raw(id).into_iter().flatten();
        let values: Vec<_> = raw
            .map(|v| toml::Value::String(redacted(&v.to_string_lossy())).to_string())
            .collect();
        let many = arg.get_value_delimiter().is_some();
        let value = if many {
            format!("[{}]", values.join(", "))
        } else {
            values.join("")
        };
        let _ = writeln!(out, "{} = {value} # {source}", key_of(arg));
    }
    out
}
