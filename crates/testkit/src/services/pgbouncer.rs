//! PgBouncer in transaction mode, in front of a PostgreSQL: each transaction may get another
//! connection. Debian 12's 1.18 keeps no prepared statements across them.

use anyhow::{Context, bail};

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Postgres, Service, programs, unknown};
use crate::Result;

#[derive(Debug)]
pub struct Pgbouncer {
    _server: Daemon,
    port: Port,
    _folder: Folder,
}

impl Pgbouncer {
    pub fn start(postgres: &Postgres) -> Result<Self> {
        Self::in_front_of(&postgres.address(), postgres.password(), 20)
    }

    /// In front of the PostgreSQL at this address, with so many connections to each database. Its
    /// clients need no password, whether PostgreSQL wants one or not.
    pub fn in_front_of(address: &str, password: Option<&str>, pool: u16) -> Result<Self> {
        let (host, port) = address.split_once(':').with_context(|| format!("{address} should be HOST:PORT"))?;
        let folder = Folder::for_postgres("pgbouncer")?;
        let listen = ports::reserve()?;
        let password = password.map(|password| format!(" password={password}")).unwrap_or_default();
        let settings = format!(
            "[databases]\n\
             * = host={host} port={port} user=postgres{password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             max_client_conn = 1000\n\
             default_pool_size = {pool}\n",
            listen.number
        );
        let file = folder.write("pgbouncer.ini", &settings)?;
        let server = Launch::new(&programs::system("pgbouncer", "pgbouncer")?, &folder, true, "KILL")
            .args([file])
            .start(|| ports::answers(listen.number))?;
        Ok(Self { _server: server, port: listen, _folder: folder })
    }

    /// `postgres=HOST:PORT password=… pool=20`
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        let (mut postgres, mut password, mut pool) = (None, None, 20);
        for (name, value) in options {
            match *name {
                "postgres" => postgres = Some(*value),
                "password" => password = Some(*value),
                "pool" => pool = value.parse().with_context(|| format!("pool={value} should be a number"))?,
                _ => return unknown(name),
            }
        }
        let Some(postgres) = postgres else {
            bail!("PgBouncer needs postgres=HOST:PORT");
        };
        Self::in_front_of(postgres, password, pool)
    }

    /// `127.0.0.1:6432`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    pub fn url_of(&self, database: &str) -> String {
        format!("postgresql://postgres@{}/{database}", self.address())
    }
}

impl Service for Pgbouncer {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("PGBOUNCER_URL", self.url_of("postgres")), ("PGBOUNCER_ADDRESS", self.address())]
    }
}
