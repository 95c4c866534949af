//! Where the PostgreSQL server is, and how many connections are held to it.
//!
//! Addresses are read as libpq reads them, which stands behind MLflow's drivers too: what the address leaves out comes
//! from the variables `PGHOST`, `PGPASSWORD`, … and a password from the password file. The caller hands the variables
//! in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, NoTls};

use super::tls;
use crate::db::OpenError;

/// How a PostgreSQL database is reached. Its `Debug` form tells no password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    config: tokio_postgres::Config,
    tls: tls::Settings,
    /// Connections that write, and as many that read. They are opened when they are needed.
    pub connections: usize,
}

/// What a variable of the environment says.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parameters that libpq knows and that mean nothing here, since Kerberos and compression are not built in.
const WITHOUT_EFFECT: [&str; 5] = ["gssencmode", "krbsrvname", "sslcompression", "sslcrl", "client_encoding"];

impl PostgresConfig {
    /// Reads `postgresql://user:password@host:port/database?…`, with several hosts too. `variables` gives what the
    /// address leaves out.
    pub fn parse(url: &str, variables: Variables) -> Result<PostgresConfig, OpenError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut tls = tls::Settings::default();
        let mut pass_file = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let decoded = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => tls.mode = Some(decoded()),
                "sslrootcert" => tls.root = Some(decoded()),
                "sslcert" => tls.certificate = Some(decoded()),
                "sslkey" => tls.key = Some(decoded()),
                "passfile" => pass_file = Some(decoded()),
                "sslpassword" | "service" => {
                    return Err(OpenError::Url(format!("the parameter {name} is not built in; leave it out")));
                }
                name if WITHOUT_EFFECT.contains(&name) => {}
                _ => rest.push(parameter),
            }
        }
        let mut config = tokio_postgres::Config::from_str(&format!("{base}?{}", rest.join("&"))).map_err(|error| {
            // The message names the parameter, and no value.
            OpenError::Url(super::session::reason(&error))
        })?;
        fill(&mut config, variables)?;
        for (setting, variable) in [
            (&mut tls.mode, "PGSSLMODE"),
            (&mut tls.root, "PGSSLROOTCERT"),
            (&mut tls.certificate, "PGSSLCERT"),
            (&mut tls.key, "PGSSLKEY"),
        ] {
            if setting.is_none() {
                *setting = variables(variable);
            }
        }
        let home = variables("HOME").map(PathBuf::from);
        // As libpq: an authority in the home folder is asked without being named.
        let own_root = home.as_ref().map(|home| home.join(".postgresql/root.crt")).filter(|file| file.is_file());
        if tls.root.is_none() {
            tls.root = own_root.map(|file| file.to_string_lossy().into_owned());
        }
        if config.get_password().is_none() {
            let file = pass_file.or_else(|| variables("PGPASSFILE")).map(PathBuf::from);
            let file = file.or_else(|| home.map(|home| home.join(".pgpass")));
            if let Some(password) = file.and_then(|file| password_from(&file, &config)) {
                config.password(password);
            }
        }
        config.ssl_mode(match tls.mode()? {
            tls::Mode::Disable => SslMode::Disable,
            tls::Mode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        // Wrong files are told now and not at the first request.
        tls.connector()?;
        config.keepalives_idle(Duration::from_secs(30));
        Ok(PostgresConfig { config, tls, connections: 8 })
    }

    /// The ports that are tried.
    pub(super) fn ports(&self) -> &[u16] {
        match self.config.get_ports() {
            [] => &[5432],
            ports => ports,
        }
    }

    /// Connects; the connection is driven by the runtime that this runs in.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        if self.config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await?;
            tokio::spawn(drive(connection));
            return Ok(client);
        }
        // Read anew, since certificates are renewed. Without them the driver refuses where encryption is demanded.
        let connector = self.tls.connector().map_err(|error| tracing::error!(%error, "TLS to PostgreSQL"));
        let Ok(connector) = connector else {
            let (client, connection) = self.config.connect(NoTls).await?;
            tokio::spawn(drive(connection));
            return Ok(client);
        };
        let (client, connection) = self.config.connect(connector).await?;
        tokio::spawn(drive(connection));
        Ok(client)
    }
}

async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to PostgreSQL ended");
    }
}

/// What the address left out.
fn fill(config: &mut tokio_postgres::Config, variables: Variables) -> Result<(), OpenError> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        let hosts = variables("PGHOST").unwrap_or_else(|| "localhost".to_owned());
        for host in hosts.split(',') {
            config.host(host);
        }
    }
    if config.get_ports().is_empty()
        && let Some(ports) = variables("PGPORT")
    {
        for port in ports.split(',') {
            config.port(port.parse().map_err(|_| OpenError::Url(format!("PGPORT={ports} is not a port")))?);
        }
    }
    if config.get_user().is_none() {
        let user = variables("PGUSER").or_else(|| variables("USER"));
        config.user(user.ok_or_else(|| OpenError::Url("it names no user".to_owned()))?);
    }
    if config.get_dbname().is_none()
        && let Some(name) = variables("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_password().is_none()
        && let Some(password) = variables("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_options().is_none()
        && let Some(options) = variables("PGOPTIONS")
    {
        config.options(options);
    }
    if config.get_application_name().is_none() {
        config.application_name(variables("PGAPPNAME").unwrap_or_else(|| "trackway".to_owned()));
    }
    if config.get_connect_timeout().is_none() {
        let seconds = variables("PGCONNECT_TIMEOUT").and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
        config.connect_timeout(Duration::from_secs(seconds));
    }
    // A server that vanished without a word is noticed.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    Ok(())
}

/// The password of the first fitting line of a password file, `host:port:database:user:password` each.
fn password_from(file: &Path, config: &tokio_postgres::Config) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %file.display(), "the password file is open to others and was not read; chmod 600 it");
            return None;
        }
    }
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let wanted = [host.as_str(), &port, config.get_dbname().unwrap_or(user), user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let fits =
            fields.len() == 5 && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| fields[4].clone())
    })
}

/// Fields between colons, where a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == ':' && fields.len() < 5 {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.extend(if character == '\\' { characters.next() } else { Some(character) });
        }
    }
    fields
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, variables: &[(&str, &str)]) -> Result<PostgresConfig, String> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        PostgresConfig::parse(url, &find).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_address_leaves_out_comes_from_the_variables() {
        let variables =
            [("PGHOST", "db"), ("PGPORT", "6543"), ("PGUSER", "ann"), ("PGPASSWORD", "secret"), ("PGDATABASE", "ml")];
        let config = parse("postgresql://", &variables).unwrap();
        assert_eq!(config.to_string(), "PostgreSQL, database ml on db:6543");
        assert_eq!(config.config.get_password(), Some("secret".as_bytes()));
        assert!(!format!("{config:?}").contains("secret"));
        let config =
            parse("postgresql://bob:p%40ss@h1:1,h2:2/x?target_session_attrs=read-write&connect_timeout=3", &variables)
                .unwrap();
        assert_eq!(config.to_string(), "PostgreSQL, database x on h1:1, h2:2");
        assert_eq!(config.config.get_password(), Some("p@ss".as_bytes()));
    }

    #[test]
    fn passwords_come_from_the_password_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(&file, "# none\nother:*:*:*:no\ndb:5432:*:a\\:b:with\\:colon\n").unwrap();
        let name = file.to_string_lossy().into_owned();
        let variables = [("PGPASSFILE", name.as_str()), ("PGUSER", "a:b")];
        let set = |mode| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o644);
        assert_eq!(parse("postgresql://db/x", &variables).unwrap().config.get_password(), None);
        set(0o600);
        assert_eq!(
            parse("postgresql://db/x", &variables).unwrap().config.get_password(),
            Some("with:colon".as_bytes())
        );
    }

    #[test]
    fn mistakes_are_named_without_secrets() {
        for (url, says) in [
            ("postgresql://ann:secret@db/x?sslmode=always", "sslmode=always"),
            ("postgresql://ann:secret@db/x?sslmode=verify-full", "sslrootcert"),
            ("postgresql://ann:secret@db/x?sslmode=verify-full&sslrootcert=/nowhere.crt", "/nowhere.crt"),
            ("postgresql://ann:secret@db/x?sslcert=/a.crt", "together"),
            ("postgresql://ann:secret@db/x?service=prod", "service"),
            ("postgresql://ann:secret@db/x?colour=red", "colour"),
            ("postgresql://ann:secret@db:port/x", "port"),
        ] {
            let error = parse(url, &[]).unwrap_err();
            assert!(error.contains(says), "{url}: {error}");
            assert!(!error.contains("secret"), "{url}: {error}");
        }
    }
}
