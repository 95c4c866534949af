//! WebDAV: how a server is shown who we are, what it refuses, and what it must not be believed.

use std::time::Duration;

use trackway_remote::{Ask, Error, HttpOptions, Options, PutOptions, RelPath, Remote, Secret, WebDavOptions};
use trackway_testkit::services::apache::{self, PASSWORD, Place, TOKEN, USER};

use crate::{body, buckets, content, path, read};

pub fn with(webdav: WebDavOptions) -> Options {
    Options { webdav, ..buckets::usual() }
}

pub fn by_password() -> Options {
    with(WebDavOptions { user: Some(USER.to_owned()), password: Some(PASSWORD.into()), ..WebDavOptions::default() })
}

/// `area`: `dav`, `digest` or `token`; they show the same folder.
pub async fn open(apache: &Place, area: &str, below: &str, options: Options) -> Remote {
    buckets::open(&format!("webdav://{}/{area}/{}{below}", apache.address, apache.folder), options).await
}

async fn works(remote: &Remote) {
    for size in [5, 3_000_000] {
        let sent = content(size);
        remote.put(&path("a/b c"), body(&sent), PutOptions::default()).await.unwrap();
        assert!(read(remote, "a/b c").await.unwrap() == sent);
    }
    assert_eq!(remote.list(&path("a")).await.unwrap().len(), 1);
    remote.delete_tree(&path("a")).await.unwrap();
}

#[tokio::test]
async fn a_server_is_shown_who_we_are() {
    let apache = apache::place().unwrap();
    works(&open(&apache, "dav", "", by_password()).await).await;
    // The same password, which is not sent where Digest is asked for.
    works(&open(&apache, "digest", "", by_password()).await).await;
    // The first request of all may be a large upload.
    let remote = open(&apache, "digest", "", by_password()).await;
    let sent = content(3_000_000);
    let options = PutOptions { length: Some(sent.len() as u64), ..PutOptions::default() };
    remote.put(&path("first"), body(&sent), options).await.unwrap();
    assert!(read(&remote, "first").await.unwrap() == sent);

    let url = format!("webdav://{USER}:{PASSWORD}@{}/dav/{}", apache.address, apache.folder);
    works(&buckets::open(&url, buckets::usual()).await).await;

    let token = WebDavOptions { token: Some(TOKEN.into()), ..WebDavOptions::default() };
    works(&open(&apache, "token", "", with(token)).await).await;
    let header = WebDavOptions {
        custom_auth_header: Some("X-Token".to_owned()),
        password: Some(TOKEN.into()),
        ..WebDavOptions::default()
    };
    works(&open(&apache, "token", "", with(header)).await).await;
}

#[tokio::test]
async fn a_token_is_fetched_by_a_program_and_fetched_anew() {
    let apache = apache::place().unwrap();
    let dir = tempfile::tempdir().unwrap();
    // The first token that it prints is old.
    let script = format!("if [ -e \"$0\" ]; then echo {TOKEN}; else touch \"$0\"; echo old; fi");
    let command = |script: &str, mark: &str| WebDavOptions {
        bearer_token_command: vec![
            "sh".into(),
            "-c".into(),
            script.into(),
            dir.path().join(mark).to_str().unwrap().into(),
        ],
        ..WebDavOptions::default()
    };
    works(&open(&apache, "token", "", with(command(&script, "one"))).await).await;
    // A large body comes when the token is known to be good.
    let remote = open(&apache, "token", "", with(command(&script, "two"))).await;
    let sent = content(3_000_000);
    remote.put(&path("first"), body(&sent), PutOptions::default()).await.unwrap();

    for (script, reason) in
        [("exit 3", "exit status: 3"), ("true", "printed no token"), ("sleep 60", "did not end within")]
    {
        let impatient = HttpOptions { idle_timeout: Duration::from_secs(1), ..HttpOptions::default() };
        let options = Options { http: impatient, ..with(command(script, "secret-argument")) };
        let error = open(&apache, "token", "", options).await.stat(&path("a")).await.unwrap_err();
        assert!(matches!(error, Error::NoCredentials { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("'sh'") && !text.contains("secret-argument"), "{text}");
    }
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let apache = apache::place().unwrap();
    let webdav = WebDavOptions { user: Some(USER.to_owned()), ask_password: true, ..WebDavOptions::default() };
    let address = apache.address.clone();
    let ask = Ask::with(move |prompt| {
        assert_eq!(prompt, format!("Enter a password for host 'http://{address}' user 'u':\n"));
        Some(Secret::new(PASSWORD))
    });
    works(&open(&apache, "dav", "", Options { ask, ..with(webdav.clone()) }).await).await;

    let url = format!("webdav://{}/dav", apache.address);
    for (options, word) in [
        (with(webdav), "no terminal"),
        (with(WebDavOptions { user: Some(USER.to_owned()), ..WebDavOptions::default() }), "'ask_password'"),
    ] {
        let Err(error) = Remote::open(&url, options).await else { panic!("it opened") };
        assert!(matches!(error, Error::NoCredentials { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn who_is_refused_is_told_why_without_the_secret() {
    let apache = apache::place().unwrap();
    let secret = "a-wrong-secret-that-is-never-shown";
    let user = |area| {
        let webdav =
            WebDavOptions { user: Some(USER.to_owned()), password: Some(secret.into()), ..WebDavOptions::default() };
        (area, with(webdav))
    };
    let token = ("token", with(WebDavOptions { token: Some(secret.into()), ..WebDavOptions::default() }));
    for (area, options) in [user("dav"), user("digest"), token, ("dav", buckets::usual())] {
        assert!(!format!("{options:?}").contains(secret));
        let remote = open(&apache, area, "", options).await;
        for error in [
            remote.get(&path("a")).await.err().expect("it was read"),
            remote.list(&RelPath::root()).await.unwrap_err(),
            remote.put(&path("a"), body(b"1"), PutOptions::default()).await.unwrap_err(),
            remote.put(&path("a"), body(&content(3_000_000)), PutOptions::default()).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            assert!(text.contains("status 401") && text.contains("webdav://") && !text.contains(secret), "{text}");
        }
    }
    let url = format!("webdav://u:{secret}@{}/dav", apache.address);
    let error = buckets::open(&url, buckets::usual()).await.stat(&path("a")).await.unwrap_err().to_string();
    assert!(!error.contains(secret) && !error.contains("u:"), "{error}");
}

#[tokio::test]
async fn what_is_no_collection_is_told() {
    let apache = apache::place().unwrap();
    // The remote's own folder is made when something is stored.
    let remote = open(&apache, "dav", "/not/yet/there", by_password()).await;
    assert!(matches!(remote.list(&RelPath::root()).await, Err(Error::NotFound { .. })));
    assert!(matches!(remote.get(&path("a")).await, Err(Error::NotFound { .. })));
    remote.put(&path("a"), body(b"1"), PutOptions::default()).await.unwrap();
    assert_eq!(read(&remote, "a").await.unwrap(), b"1");

    // A place of the same server that is no WebDAV.
    let plain = buckets::open(&format!("webdav://{}/pub", apache.address), buckets::usual()).await;
    let error = plain.list(&RelPath::root()).await.unwrap_err();
    assert!(error.to_string().contains("no WebDAV server"), "{error}");
    // It sends us to another host, which must not learn who we are.
    let away = buckets::open(&format!("webdav://{}/away/dav", apache.address), by_password()).await;
    let error = away.list(&RelPath::root()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("redirects to http://{}", apache.elsewhere)), "{error}");
}

#[tokio::test]
async fn certificates_are_checked_and_shown() {
    let apache = apache::place().unwrap();
    let location = |address: &str| format!("webdavs://{address}/dav/{}", apache.folder);
    let authority = || Some(apache.authority.clone().into());
    let http = |http: HttpOptions| Options { http: HttpOptions { attempts: 2, ..http }, ..by_password() };

    let trusting = http(HttpOptions { ca_bundle: authority(), ..HttpOptions::default() });
    works(&buckets::open(&location(&apache.tls), trusting.clone()).await).await;
    let ignoring = http(HttpOptions { ignore_tls: true, ..HttpOptions::default() });
    works(&buckets::open(&location(&apache.tls), ignoring).await).await;
    let strict =
        http(HttpOptions { ca_bundle: Some(apache.client_certificate.clone().into()), ..HttpOptions::default() });
    let error = buckets::open(&location(&apache.tls), strict).await.stat(&path("a")).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    let refused = buckets::open(&location(&apache.tls_client), trusting).await.stat(&path("a")).await;
    assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    let shown = http(HttpOptions {
        ca_bundle: authority(),
        client_certificate: Some(apache.client_certificate.clone().into()),
        client_key: Some(apache.client_key.clone().into()),
        ..HttpOptions::default()
    });
    works(&buckets::open(&location(&apache.tls_client), shown).await).await;
}
