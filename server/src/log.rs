//! The log, on standard error.

use tracing_subscriber::EnvFilter;

use crate::{Config, LogFormat};

/// Begins to log as the settings say.
///
/// # Errors
/// When the filter is none.
pub(crate) fn begin(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log).map_err(|e| {
        format!(
            "--log {:?}: {e}: it is a level such as info, or filters such as info,access=warn",
            config.log
        )
    })?;
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
