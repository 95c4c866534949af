//! Apache: WebDAV, plain HTTP, git over HTTP, the last two of them encrypted, too.
//!
//! ```text
//! /dav     WebDAV by name and password (Basic)       /pub      what lies in /up, to be read
//! /digest  the same by Digest                        /private  the same by name and password
//! /token   the same by a token or a header           /away     redirects to the other host's root
//! /up      takes PUT, POST and MKCOL from everybody   /git      repositories, by name and password
//! /cgi     echo: what was sent; unsized, whole: a file without its length, or without ranges; hop/N: a redirect
//!          to /up/N by a relative reference
//! ```
//!
//! There are four ports: one, another that stands for another host, one with TLS, and one with TLS that
//! asks for the client's certificate.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::daemon::{self, Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::new_name;
use super::{Service, host, none, programs};
use crate::Result;
use crate::client::Client;

pub const USER: &str = "u";
pub const PASSWORD: &str = "p";
/// What `/token` takes, as a bearer's token or in the header `X-Token`.
pub const TOKEN: &str = "a-token";

/// By SHA-1, which takes no time.
const BASIC: &str = "u:{SHA}UWuXg/ylF+7L0dBk2i0WUxCxl1k=\n";
/// MD5 of `u:trackway:p`.
const DIGEST: &str = "u:trackway:1f61f6305488e5e5e75904f93b4a7e51\n";

/// As Debian names it.
const SERVER_USER: &str = "www-data";

const MODULES: &str = "/usr/lib/apache2/modules";

#[derive(Debug)]
pub struct Apache {
    server: Option<Daemon>,
    ports: [Port; 4],
    folder: Folder,
}

/// The first of the ports; the others are only in the configuration and the variables.
const PLAIN: usize = 0;

impl Apache {
    pub fn start() -> Result<Self> {
        let ports = [ports::reserve()?, ports::reserve()?, ports::reserve()?, ports::reserve()?];
        let folder = Folder::new("apache")?;
        let mut apache = Self { server: None, ports, folder };
        for name in ["dav", "lock", "up", "git", "cgi", "tls"] {
            fs::create_dir(apache.folder.join(name))?;
        }
        apache.write_scripts()?;
        certificates(&apache.folder)?;
        apache.folder.write("basic", BASIC)?;
        apache.folder.write("digest", DIGEST)?;
        for file in ["basic", "digest"] {
            fs::set_permissions(apache.folder.join(file), Permissions::from_mode(0o644))?;
        }
        apache.create_repository("repo")?;
        for name in ["dav", "lock", "up", "git"] {
            apache.folder.give(&apache.folder.join(name), SERVER_USER)?;
        }
        let configuration = apache.configuration()?;
        apache.folder.write("apache.conf", &configuration)?;
        apache.launch()?;
        Ok(apache)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// `127.0.0.1:8080`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[PLAIN].number)
    }

    /// A bare repository that can be cloned from and pushed to at `/git/NAME.git`.
    pub fn create_repository(&self, name: &str) -> Result<String> {
        let path = self.folder.join("git").join(format!("{name}.git"));
        let mut git = Command::new("git");
        git.args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        daemon::run(&mut git, "").context("git could not make a repository")?;
        let mut receive = Command::new("git");
        receive.arg("-C").arg(&path).args(["config", "http.receivepack", "true"]);
        daemon::run(&mut receive, "").context("git could not configure a repository")?;
        self.folder.give(&path, SERVER_USER)?;
        Ok(format!("http://{USER}:{PASSWORD}@{}/git/{name}.git", self.address()))
    }

    /// Ends it by `kill -9`.
    pub fn crash(&mut self) -> Result {
        self.server.take().context("Apache is not running")?.kill()
    }

    /// Starts it on the same data and ports, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        if let Some(mut server) = self.server.take() {
            server.stop()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result {
        // One that was killed leaves it.
        let _ = fs::remove_file(self.folder.join("pid"));
        let client = Client::new(&format!("http://{}", self.address()));
        // Its children are ended by it, therefore it is asked to end.
        let launch = Launch::new(&programs::system("apache2", "apache")?, &self.folder, false, "TERM")
            .args(["-DFOREGROUND", "-d", "/usr/share/apache2", "-f"])
            .args([self.folder.join("apache.conf")]);
        let ready = || client.send("GET", "/pub/", &[], None).is_ok_and(|reply| reply.status < 500);
        self.server = Some(launch.start(ready)?);
        Ok(())
    }

    fn write_scripts(&self) -> Result {
        let echo = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n";
        // As the request's path has been translated, which is a file of /up.
        let store = "#!/bin/sh\numask 022\npart=\"$PATH_TRANSLATED.part.$$\"\ncat > \"$part\"\n\
                     size=$(wc -c < \"$part\")\n\
                     if [ -n \"$CONTENT_LENGTH\" ] && [ \"$CONTENT_LENGTH\" -gt 0 ] && [ \"$CONTENT_LENGTH\" != \"$size\" ]\n\
                     then rm \"$part\"; printf 'Status: 400 Bad Request\\r\\n\\r\\n'; exit; fi\n\
                     mv \"$part\" \"$PATH_TRANSLATED\" && printf 'Status: 201 Created\\r\\n\\r\\n'\n";
        let up = self.folder.join("up").display().to_string();
        let unsized_ = format!(
            "#!/bin/sh\nprintf 'Content-Type: application/octet-stream\\r\\n\\r\\n'\nexec cat \"{up}$PATH_INFO\"\n"
        );
        let whole = format!(
            "#!/bin/sh\nsize=$(wc -c < \"{up}$PATH_INFO\")\n\
             [ \"$REQUEST_METHOD\" = HEAD ] && {{ printf 'Status: 403 Forbidden\\r\\n\\r\\n'; exit; }}\n\
             printf 'Content-Length: %s\\r\\nETag: \"one\"\\r\\nAccept-Ranges: none\\r\\n\\r\\n' \"$size\"\n\
             exec cat \"{up}$PATH_INFO\"\n"
        );
        let hop = "#!/bin/sh\nprintf 'Status: 302 Found\\r\\nLocation: ../../../up%s\\r\\n\\r\\n' \"$PATH_INFO\"\n";
        let round = "#!/bin/sh\nprintf 'Status: 302 Found\\r\\nLocation: round\\r\\n\\r\\n'\n";
        let scripts = [
            ("echo", echo),
            ("store", store),
            ("unsized", &unsized_),
            ("whole", &whole),
            ("hop", hop),
            ("round", round),
        ];
        for (name, text) in scripts {
            let script = self.folder.write(&format!("cgi/{name}"), text)?;
            fs::set_permissions(script, Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn configuration(&self) -> Result<String> {
        let dir = self.folder.path().display();
        let modules = "mpm_event unixd authn_core authn_file authz_core authz_user auth_basic auth_digest dav dav_fs \
                       alias dir cgid env mime actions ssl socache_shmcb headers setenvif";
        let mut text = String::new();
        for module in modules.split_whitespace() {
            let file = format!("{MODULES}/mod_{module}.so");
            // Debian's has some of them built in.
            if fs::exists(&file)? {
                text += &format!("LoadModule {module}_module {file}\n");
            }
        }
        let git = daemon::run(Command::new("git").arg("--exec-path"), "")?;
        let [plain, elsewhere, tls, tls_client] = self.ports.each_ref().map(|port| port.number);
        text += &format!(
            "DefaultRuntimeDir {dir}\nPidFile {dir}/pid\nErrorLog /dev/stderr\nServerName localhost\n\
             User {SERVER_USER}\nGroup {SERVER_USER}\nTypesConfig /dev/null\nDocumentRoot {dir}/up\n\
             ScriptSock {dir}/cgid\nDAVLockDB {dir}/lock/db\n\
             Listen 127.0.0.1:{plain}\nListen 127.0.0.1:{elsewhere}\nListen 127.0.0.1:{tls}\n\
             Listen 127.0.0.1:{tls_client}\n"
        );
        for name in ["dav", "digest", "token"] {
            text += &format!("Alias /{name} {dir}/dav\n");
        }
        let git = git.trim();
        text += &format!(
            // Stock's client follows no redirect to a folder's name with its slash.
            "DirectorySlash Off\nAlias /up {dir}/up\nAlias /pub {dir}/up\nAlias /private {dir}/up\nScriptAlias /cgi/ {dir}/cgi/\n\
             ScriptAlias /git/ {git}/git-http-backend/\nRedirect 302 /away/back http://127.0.0.1:{elsewhere}/return\n\
             Redirect 302 /return http://127.0.0.1:{plain}\nRedirect 302 /here http://127.0.0.1:{plain}\n\
             Redirect 302 /away http://127.0.0.1:{elsewhere}\n\
             SetEnv GIT_PROJECT_ROOT {dir}/git\nSetEnv GIT_HTTP_EXPORT_ALL 1\n\
             <Directory {dir}>\nRequire all granted\n</Directory>\n\
             <Directory {git}>\nRequire all granted\n</Directory>\n\
             <Directory {dir}/cgi>\nCGIPassAuth On\nSetEnv ap_trust_cgilike_cl 1\n</Directory>\n"
        );
        let basic = format!("AuthType Basic\nAuthName trackway\nAuthUserFile {dir}/basic\nRequire valid-user\n");
        let digest = format!(
            "AuthType Digest\nAuthName trackway\nAuthDigestProvider file\nAuthUserFile {dir}/digest\nRequire valid-user\n"
        );
        let token = format!(
            "Require expr \"%{{HTTP:Authorization}} == 'Bearer {TOKEN}'\"\nRequire expr \"%{{HTTP:X-Token}} == '{TOKEN}'\"\n\
             AuthType Basic\nAuthName trackway\nAuthUserFile {dir}/basic\nRequire valid-user\n"
        );
        for (place, what) in [
            // With the slash that is on elsewhere, DVC's own client ends at the 301 for a folder without one.
            ("/dav", format!("Dav On\nDirectorySlash Off\n{basic}")),
            ("/digest", format!("Dav On\n{digest}")),
            ("/token", format!("Dav On\n{token}")),
            ("/up", "Dav On\nScript POST /cgi/store\n".to_owned()),
            ("/private", basic.clone()),
            ("/git/", basic.clone()),
        ] {
            text += &format!("<Location {place}>\n{what}</Location>\n");
        }
        for (port, more) in [
            (tls, String::new()),
            (tls_client, format!("SSLVerifyClient require\nSSLCACertificateFile {dir}/tls/authority.crt\n")),
        ] {
            text += &format!(
                "<VirtualHost 127.0.0.1:{port}>\nSSLEngine on\nSSLCertificateFile {dir}/tls/server.crt\n\
                 SSLCertificateKeyFile {dir}/tls/server.key\n{more}</VirtualHost>\n"
            );
        }
        Ok(text)
    }
}

/// An authority of our own, a certificate for the server, and one for a client.
fn certificates(folder: &Folder) -> Result {
    let openssl = || {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2"]).current_dir(folder.join("tls"));
        openssl
    };
    let authority = ["-keyout", "authority.key", "-out", "authority.crt", "-subj", "/CN=Tests"];
    daemon::run(openssl().args(authority), "").context("openssl could not make an authority")?;
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let usage = format!("extendedKeyUsage={usage}");
        let extensions = ["basicConstraints=critical,CA:FALSE", "subjectAltName=DNS:localhost,IP:127.0.0.1", &usage];
        let mut signed = openssl();
        signed.args(["-keyout", &key, "-out", &certificate, "-subj", "/CN=localhost"]);
        signed.args(["-CA", "authority.crt", "-CAkey", "authority.key"]);
        signed.args(extensions.iter().flat_map(|extension| ["-addext", extension]));
        daemon::run(&mut signed, "").with_context(|| format!("openssl could not make the {name}'s certificate"))?;
    }
    Ok(())
}

impl Service for Apache {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let [plain, elsewhere, tls, tls_client] =
            self.ports.each_ref().map(|port| format!("127.0.0.1:{}", port.number));
        let file = |name: &str| self.folder.join("tls").join(name).display().to_string();
        vec![
            ("APACHE_ADDRESS", plain.clone()),
            ("APACHE_ELSEWHERE", elsewhere),
            ("APACHE_TLS", tls),
            ("APACHE_TLS_CLIENT", tls_client),
            ("APACHE_AUTHORITY", file("authority.crt")),
            ("APACHE_CLIENT_CERTIFICATE", file("client.crt")),
            ("APACHE_CLIENT_KEY", file("client.key")),
            ("WEBDAV_URL", format!("webdav://{plain}/dav")),
            ("WEBDAV_USER", USER.to_owned()),
            ("WEBDAV_PASSWORD", PASSWORD.to_owned()),
            ("WEBDAV_TOKEN", TOKEN.to_owned()),
            ("HTTP_URL", format!("http://{plain}/up")),
            ("GIT_HTTP_URL", format!("http://{USER}:{PASSWORD}@{plain}/git/repo.git")),
        ]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["restart"] => self.restart()?,
            ["create-repository", name] => return Ok(json!({"url": self.create_repository(name)?})),
            ["create-folder", name] => create_folder(&self.address(), name)?,
            _ => bail!("Apache can be told: crash, restart, create-folder NAME, create-repository NAME"),
        }
        Ok(Value::Null)
    }
}

/// A folder of one's own: the same one in `/dav`, `/digest` and `/token`, and one in `/up`.
#[derive(Debug)]
pub struct Place {
    /// `127.0.0.1:8080`
    pub address: String,
    /// Another host for all that a client knows.
    pub elsewhere: String,
    pub tls: String,
    pub tls_client: String,
    /// Files: whose certificates are to be trusted, and a certificate for a client, with its key.
    pub authority: String,
    pub client_certificate: String,
    pub client_key: String,
    pub folder: String,
    _server: Option<Arc<Apache>>,
}

/// A new, empty place on the server that the tests share.
pub fn place() -> Result<Place> {
    static OWN: Mutex<Weak<Apache>> = Mutex::new(Weak::new());
    let shared = host::shared("apache", &OWN, Apache::start)?;
    let get = |name: &str| shared.variables.get(name).cloned().with_context(|| format!("Apache has no {name}"));
    let place = Place {
        address: get("APACHE_ADDRESS")?,
        elsewhere: get("APACHE_ELSEWHERE")?,
        tls: get("APACHE_TLS")?,
        tls_client: get("APACHE_TLS_CLIENT")?,
        authority: get("APACHE_AUTHORITY")?,
        client_certificate: get("APACHE_CLIENT_CERTIFICATE")?,
        client_key: get("APACHE_CLIENT_KEY")?,
        folder: new_name(),
        _server: shared.own,
    };
    create_folder(&place.address, &place.folder)?;
    Ok(place)
}

fn create_folder(address: &str, name: &str) -> Result {
    let client = Client::new(&format!("http://{address}"));
    for path in [format!("/token/{name}/"), format!("/up/{name}/")] {
        let reply = client.send("MKCOL", &path, &[("x-token", TOKEN)], None)?;
        if reply.status != 201 {
            bail!("Apache made no folder {path}: {} {}", reply.status, reply.text());
        }
    }
    Ok(())
}
