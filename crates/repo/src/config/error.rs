//! What a configuration or a command on it can do wrong, with the exit codes and words of DVC.

/// An error of the configuration. [`ConfigError::exit_code`] tells the code, [`ConfigError::report`] the text behind
/// `ERROR: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Wrong contents: 251.
    #[error("config file error: {message}")]
    Invalid {
        message: String,
        /// DVC prints an error and what caused it; where it wraps a parser's error, the text appears twice.
        cause: Option<String>,
        /// The known name that is nearest to an unknown one, for a hint.
        nearest: Option<String>,
    },
    /// `-r nope`: 251.
    #[error("config file error: remote '{0}' doesn't exist")]
    RemoteNotFound(String),
    /// No remote given and no default set: 251 or what the command makes of it.
    #[error("config file error: {0}")]
    NoRemote(String),
    /// What DVC lets escape as an unforeseen exception: 255, with an offer of help behind it.
    #[error("{0}")]
    Unexpected(String),
    /// Arguments that exclude each other: 1.
    #[error("{0}")]
    Usage(String),
}

impl ConfigError {
    pub fn invalid(message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { message: message.into(), cause: None, nearest: None }
    }

    /// An error of the parser, which DVC shows with its cause.
    pub(crate) fn caused(message: String) -> ConfigError {
        ConfigError::Invalid { cause: Some(message.clone()), message, nearest: None }
    }

    pub(crate) fn io(error: &std::io::Error, path: &std::path::Path) -> ConfigError {
        let name = trackway_ini::repr(&path.to_string_lossy());
        let text = error.to_string();
        ConfigError::Unexpected(match error.raw_os_error() {
            Some(code) => {
                let reason = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
                format!("[Errno {code}] {reason}: {name}")
            }
            None => format!("{text}: {name}"),
        })
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            ConfigError::Usage(_) => 1,
            ConfigError::Unexpected(_) => 255,
            _ => 251,
        }
    }

    /// The text behind `ERROR: `, as DVC prints it.
    pub fn report(&self) -> String {
        match self {
            ConfigError::Usage(message) => message.clone(),
            ConfigError::Unexpected(message) => format!("unexpected error - {message}"),
            ConfigError::Invalid { cause: Some(cause), .. } => format!("configuration error - {self}: {cause}"),
            _ => format!("configuration error - {self}"),
        }
    }

    /// True where DVC adds an empty line and its offer of help.
    pub fn offers_help(&self) -> bool {
        matches!(self, ConfigError::Unexpected(_))
    }

    /// For plain trackway's hint: the known option or section that was probably meant.
    pub fn nearest(&self) -> Option<&str> {
        match self {
            ConfigError::Invalid { nearest, .. } => nearest.as_deref(),
            _ => None,
        }
    }
}
