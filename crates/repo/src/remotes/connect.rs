//! Opening a configured remote: by its scheme, when it is first asked for.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use trackway_remote::{Options, Remote};

use super::{azure, gs, hdfs, http, s3, ssh, webdav};
use crate::config::{ConfigError, Environment, RemoteConfig};
use crate::error::{Error, Result};

/// What all requests of the process run on. Commands that reach no remote never make it.
pub fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let made =
        made.map_err(|error| Error::unforeseen(format!("threads for the network cannot be started: {error}")))?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// One for each name of a remote: whoever asks for it again gets the same connections.
pub(crate) struct Connection {
    environment: Environment,
    opened: OnceLock<Remote>,
}

impl Connection {
    pub fn new(environment: &Environment) -> Arc<Connection> {
        Arc::new(Connection { environment: environment.clone(), opened: OnceLock::new() })
    }

    pub fn open(&self, config: &RemoteConfig) -> Result<&Remote> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = open(config, &self.environment)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

/// Opens what is configured. Little is asked of it yet: mostly where credentials are.
pub(super) fn open(config: &RemoteConfig, environment: &Environment) -> Result<Remote> {
    let mut variables = environment.vars.clone();
    if let (false, Some(home)) = (variables.contains_key("HOME"), environment.home_dir()) {
        variables.insert("HOME".to_owned(), home.to_string_lossy().into_owned());
    }
    let mut options = Options {
        environment: trackway_remote::Environment::only(variables),
        ask: environment.ask.clone(),
        ..Options::default()
    };
    let location = match config.scheme.as_str() {
        "s3" => s3::options(config, &mut options)?,
        "azure" => azure::options(config, environment, &mut options)?,
        "gs" => gs::options(config, &mut options)?,
        "webdav" | "webdavs" => webdav::options(config, &mut options)?,
        "http" | "https" => http::options(config, &mut options)?,
        "hdfs" => hdfs::options(config, &mut options)?,
        "webhdfs" => hdfs::web_options(config, &mut options)?,
        "ssh" => ssh::options(config, &mut options)?,
        other => {
            return Err(Error::from(ConfigError::Unexpected(format!(
                "the remote '{}' is at '{}', and this build of Trackway does not reach {other} remotes yet. Nothing was \
                 transferred there; DVC's own `dvc` can.",
                config.name,
                without_password(&config.url)
            ))));
        }
    };
    Ok(runtime()?.block_on(Remote::open(&location, options)).map_err(trackway_store::Error::from)?)
}

/// A URL as it may be shown: without a password.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = match host.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => host.to_owned(),
    };
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("s3://bucket/a@b:c", "s3://bucket/a@b:c"),
            ("ssh://me:p@ss@host:22/x", "ssh://me@host:22/x"),
            ("https://me@host", "https://me@host"),
            ("/a/path", "/a/path"),
        ] {
            assert_eq!(super::without_password(url), shown);
        }
    }
}
