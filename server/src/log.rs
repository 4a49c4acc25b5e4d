//! The log, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::{Config, LogFormat};

/// Begins to log as the settings say.
///
/// # Errors
/// When the filter is none.
pub(crate) fn begin(config: &Config) -> Result<(), String> {
    let wrong = |why: String| {
        format!(
            "--log {:?}: {why}: it is a level such as info, or levels and filters such as info,access=warn",
            config.log
        )
    };
    // A bare word that is no level would be taken for a part of the program, and nothing else be logged.
    for word in config
        .log
        .split(',')
        .map(str::trim)
        .filter(|w| !w.contains(['=', '[']))
    {
        word.parse::<LevelFilter>()
            .map_err(|_| wrong(format!("{word:?} is no level")))?;
    }
    // The storage's attempts are not the operator's business, their end is.
    let quiet = if config.log.contains("object_store") {
        ""
    } else {
        ",object_store=warn"
    };
    let filter = EnvFilter::try_new(format!("{}{quiet}", config.log)).map_err(|e| wrong(e.to_string()))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second service in one process logs where the first does.
    let _ = match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    Ok(())
}
