//! How a remote is opened: what is asked for, beyond what the environment says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::environment::Environment;

/// How a remote is opened. Each kind reads what concerns it; nothing needs to be set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Answer a write only when it is on the disk (fsync of the file and of its directory).
    pub sync: bool,
    pub resolve: Resolve,
    pub http: HttpOptions,
    pub s3: S3Options,
    pub azure: AzureOptions,
    pub gcs: GcsOptions,
    pub hdfs: HdfsOptions,
    pub webhdfs: WebHdfsOptions,
    pub ssh: SshOptions,
    pub webdav: WebDavOptions,
    pub web: WebOptions,
    /// Heed the `MLFLOW_…` variables that MLflow heeds for its artifacts.
    pub mlflow_variables: bool,
    /// Who is asked for passwords.
    pub ask: Ask,
    /// Where credentials and settings are looked up as the clouds' own tools do.
    pub environment: Environment,
}

/// How a local folder makes sure that a path stays beneath it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolve {
    /// By openat2 where the kernel has it (Linux 5.6), else name by name.
    #[default]
    Detect,
    /// Name by name, refusing every symbolic link: what an old kernel is served with.
    ByName,
}

/// How object stores are talked to.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// A file of certificates (PEM), or a folder of such files, that are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// A file of certificates, or a folder of such files, that are trusted beside the others.
    pub ca_added: Option<PathBuf>,
    /// Our own certificate (PEM), for servers that ask for one.
    pub client_certificate: Option<PathBuf>,
    /// Its key, if that is not in the same file.
    pub client_key: Option<PathBuf>,
    /// Believe every server. Only for a test's self-signed certificate.
    pub ignore_tls: bool,
    /// A proxy for all requests, instead of what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    pub proxy: Option<String>,
    pub connect_timeout: Duration,
    /// How long nothing may arrive, or nothing be taken, before a request is given up.
    pub idle_timeout: Duration,
    /// How often a request is tried in all, where trying again is worth it.
    pub attempts: u32,
    /// The size of the parts that a large body is stored in, and so what of it is held in memory at once.
    pub part_size: u64,
    /// How many parts of one body are on their way at once.
    pub parts_at_once: usize,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            ca_bundle: None,
            ca_added: None,
            client_certificate: None,
            client_key: None,
            ignore_tls: false,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            attempts: 5,
            // The least that S3 takes: with two parts under way and one being filled, 15 MiB a body.
            part_size: 5 << 20,
            parts_at_once: 2,
        }
    }
}

/// For `s3://`. What is not set is looked for as the AWS tools do.
#[derive(Clone, Debug, Default)]
pub struct S3Options {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub profile: Option<String>,
    /// Instead of `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// Instead of `~/.aws/config`.
    pub config_file: Option<PathBuf>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Sign nothing: for buckets that everybody may read.
    pub anonymous: bool,
    pub addressing: Addressing,
    pub checksum: Checksum,
    /// Speak plain HTTP to Amazon itself; an endpoint says by its scheme how it is spoken to.
    pub without_tls: bool,
    /// Headers sent with each new object (`x-amz-server-side-encryption`, `x-amz-acl`, …).
    pub upload_headers: BTreeMap<String, String>,
    /// The key, in base64, by which the store encrypts objects for us: it goes with every request for one.
    pub customer_key: Option<Secret>,
    /// What it is for, if not AES256.
    pub customer_algorithm: Option<String>,
    /// Sent with each request, so that a bucket that changed hands is not written to.
    pub expected_bucket_owner: Option<String>,
    /// We pay, not the bucket's owner.
    pub request_payer: bool,
}

/// Where an S3 bucket's name stands in a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the host for AWS itself, in the path for everything else, as boto3 does.
    #[default]
    Auto,
    Path,
    Virtual,
}

/// By which checksum a store is told what it should receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// `x-amz-checksum-crc32`: cheap, and what the AWS tools send.
    #[default]
    Crc32,
    /// `Content-MD5`, which every store knows.
    Md5,
    /// Only what the signature covers.
    None,
}

/// For `azure://`, `wasbs://` and `abfss://`.
#[derive(Clone, Debug, Default)]
pub struct AzureOptions {
    pub connection_string: Option<Secret>,
    pub account_name: Option<String>,
    pub account_key: Option<Secret>,
    pub sas_token: Option<Secret>,
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// Instead of `https://ACCOUNT.blob.core.windows.net`.
    pub endpoint: Option<String>,
    pub anonymous: bool,
    /// Take no client's secret and no workload's token from the environment.
    pub without_environment: bool,
    /// Do not ask the machine who it is.
    pub without_managed_identity: bool,
}

/// For `gs://`.
#[derive(Clone, Debug, Default)]
pub struct GcsOptions {
    /// A key file of a service account, or what `gcloud auth application-default login` wrote.
    pub credentials_file: Option<PathBuf>,
    /// Instead of `https://storage.googleapis.com`.
    pub endpoint: Option<String>,
    /// Which project pays for requests to a bucket of another.
    pub user_project: Option<String>,
    pub anonymous: bool,
}

/// For `ssh://` and `sftp://`. What is not set is looked for as the ssh program does.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// Instead of the URL's.
    pub user: Option<String>,
    /// Instead of the URL's.
    pub port: Option<u16>,
    pub password: Option<Secret>,
    /// A private key, instead of those that lie in `~/.ssh`.
    pub keyfile: Option<PathBuf>,
    pub passphrase: Option<Secret>,
    /// Ask a person, where it is needed and not set.
    pub ask_password: bool,
    pub ask_passphrase: bool,
    /// Whether an agent's keys are tried (`SSH_AUTH_SOCK`).
    pub allow_agent: bool,
    /// How long it may take until one is logged in.
    pub timeout: Option<Duration>,
    /// How many sessions of one connection the server allows.
    pub max_sessions: usize,
}

impl Default for SshOptions {
    fn default() -> SshOptions {
        SshOptions {
            user: None,
            port: None,
            password: None,
            keyfile: None,
            passphrase: None,
            ask_password: false,
            ask_passphrase: false,
            allow_agent: true,
            timeout: None,
            // OpenSSH allows as many, and DVC assumes it.
            max_sessions: 10,
        }
    }
}

/// For `webdav://` and `webdavs://`. Certificates and times are in [`HttpOptions`].
#[derive(Clone, Debug, Default)]
pub struct WebDavOptions {
    /// Instead of the URL's.
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Ask for the password if there is none.
    pub ask_password: bool,
    pub token: Option<Secret>,
    /// A program that prints a token, and its arguments.
    pub bearer_token_command: Vec<Secret>,
    /// The header that has the password, where there is no user.
    pub custom_auth_header: Option<String>,
}

/// For `http://` and `https://`. Certificates and times are in [`HttpOptions`].
#[derive(Clone, Debug, Default)]
pub struct WebOptions {
    /// How the server is shown who we are; without it only what the URL says before its host counts.
    pub auth: Option<WebAuth>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Ask for the password if there is none.
    pub ask_password: bool,
    /// The header that has the password, for [`WebAuth::Custom`].
    pub custom_auth_header: Option<String>,
    pub upload: Upload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebAuth {
    Basic,
    Digest,
    Custom,
}

/// How a server is sent a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upload {
    #[default]
    Post,
    Put,
}

/// Asks a person for a password, if there is one to ask.
#[derive(Clone, Default)]
pub struct Ask(Option<Arc<Answering>>);

type Answering = dyn Fn(&str) -> Option<Secret> + Send + Sync;

impl Ask {
    /// `ask` gets the line to show, and may take its time. None: there is nobody to ask.
    pub fn with(ask: impl Fn(&str) -> Option<Secret> + Send + Sync + 'static) -> Ask {
        Ask(Some(Arc::new(ask)))
    }

    pub(crate) async fn ask(&self, prompt: String) -> Option<Secret> {
        let ask = Arc::clone(self.0.as_ref()?);
        tokio::task::spawn_blocking(move || ask(&prompt)).await.ok()?
    }
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Ask(a person)" } else { "Ask(nobody)" })
    }
}

/// For `hdfs://`. What is not set is looked for in Hadoop's settings (HADOOP_CONF_DIR).
#[derive(Clone, Debug, Default)]
pub struct HdfsOptions {
    /// Who we say we are, instead of the URL's user and HADOOP_USER_NAME.
    pub user: Option<String>,
    /// A file with a Kerberos ticket, instead of the usual one.
    pub kerb_ticket: Option<String>,
    /// How many copies are kept of each block of a new file.
    pub replication: Option<u32>,
}

/// For `webhdfs://`. Whose certificates are believed is said in [`HttpOptions`].
#[derive(Clone, Debug, Default)]
pub struct WebHdfsOptions {
    /// Who we say we are, instead of the URL's user.
    pub user: Option<String>,
    /// For a gateway that asks for one.
    pub password: Option<Secret>,
    /// A delegation token.
    pub token: Option<Secret>,
    /// Refused: it cannot be used over HTTP here.
    pub kerberos: bool,
    /// As whom we act.
    pub proxy_to: Option<String>,
    pub use_https: bool,
    /// Where requests go instead of `http://HOST:PORT/webhdfs/v1`.
    pub data_proxy_target: Option<String>,
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Secret {
        Secret(text.into())
    }
}
