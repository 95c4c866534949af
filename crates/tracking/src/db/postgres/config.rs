//! Where the PostgreSQL server is, and how many connections are held to it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::db::OpenError;

/// How a PostgreSQL database is reached. Its `Debug` form tells no password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    config: tokio_postgres::Config,
    /// Connections that write, and as many that read. They are opened when they are needed.
    pub connections: usize,
}

impl PostgresConfig {
    /// Reads `postgresql://user:password@host:port/database?…`, with several hosts too.
    pub fn parse(url: &str) -> Result<PostgresConfig, OpenError> {
        let mut config = tokio_postgres::Config::from_str(url).map_err(|error| {
            // The message names the parameter, and no value.
            OpenError::Url(super::session::reason(&error))
        })?;
        if config.get_application_name().is_none() {
            config.application_name("trackway");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A server that vanished without a word is noticed.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(15));
        }
        config.keepalives_idle(Duration::from_secs(30));
        Ok(PostgresConfig { config, connections: 8 })
    }

    /// Connects; the connection is driven by the runtime that this runs in.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(client)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // The driver's own form leaves the password out.
        f.debug_struct("PostgresConfig").field("config", &self.config).field("connections", &self.connections).finish()
    }
}

/// For people: where the database is, and nothing that is secret.
impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        use tokio_postgres::config::Host;
        let hosts: Vec<String> = (self.config.get_hosts().iter().enumerate())
            .map(|(place, host)| {
                let ports = self.config.get_ports();
                let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(folder) => format!("{}:{port}", folder.display()),
                }
            })
            .collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(f, "PostgreSQL, database {database} on {}", hosts.join(", "))
    }
}
