//! The log: to stderr, for people or as JSON lines.

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    Json,
}

impl Format {
    pub fn parse(text: &str) -> Result<Format, Failure> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(Failure::Usage(format!("--log-format does not know '{text}'. Choose text or json."))),
        }
    }
}

/// `level` is a word (`info`) or a filter by module (`warn,trackway_server::access_log=debug`).
pub fn start(format: Format, level: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::Usage(format!(
            "--log-level does not understand '{level}' ({error}). Choose error, warn, info, debug or trace."
        ))
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::Failed(format!("The log could not be started: {error}.")))
}
