//! Plain HTTP servers: what they can, whom they are shown, and where their redirects lead.

use futures_util::TryStreamExt;
use trackway_remote::{Error, HttpOptions, Options, PutOptions, RelPath, Remote, Upload, WebAuth, WebOptions};
use trackway_testkit::services::FaultProxy;
use trackway_testkit::services::apache::{self, PASSWORD, Place, TOKEN, USER};
use trackway_testkit::services::fault_proxy::Faults;

use crate::{body, buckets, collect, content, path, read};

fn with(web: WebOptions) -> Options {
    Options { web, ..buckets::usual() }
}

fn put() -> WebOptions {
    WebOptions { upload: Upload::Put, ..WebOptions::default() }
}

fn password(auth: WebAuth) -> WebOptions {
    WebOptions { auth: Some(auth), user: Some(USER.to_owned()), password: Some(PASSWORD.into()), ..put() }
}

fn header() -> WebOptions {
    WebOptions {
        auth: Some(WebAuth::Custom),
        custom_auth_header: Some("X-Token".to_owned()),
        password: Some(TOKEN.into()),
        ..put()
    }
}

async fn open(apache: &Place, area: &str, web: WebOptions) -> Remote {
    buckets::open(&format!("http://{}/{area}/{}", apache.address, apache.folder), with(web)).await
}

async fn store(remote: &Remote, at: &str, content: &[u8]) {
    let options = PutOptions { length: Some(content.len() as u64), ..PutOptions::default() };
    assert_eq!(remote.put(&path(at), body(content), options).await.expect(at).size, content.len() as u64);
}

#[tokio::test]
async fn files_are_sent_and_read() {
    let apache = apache::place().unwrap();
    for web in [WebOptions::default(), put()] {
        let remote = open(&apache, "up", web.clone()).await;
        for size in [0, 5, 12_000_000] {
            let sent = content(size);
            let at = format!("a {size} {:?}", web.upload);
            store(&remote, &at, &sent).await;
            assert!(read(&remote, &at).await.unwrap() == sent);
            let stat = remote.stat(&path(&at)).await.unwrap();
            assert_eq!((stat.size, stat.is_dir), (size as u64, false));
            assert!(stat.etag.is_some() && stat.modified.is_some());
            for (from, to) in [(0, 3), (2, 4), (3_000_000, 3_000_010), (11_999_999, 12_000_005)] {
                let got = collect(remote.get(&path(&at)).await.unwrap().stream(from..to)).await.unwrap();
                assert!(got == sent[size.min(from as usize)..size.min(to as usize)], "{from}..{to} of {size}");
            }
        }
        // Of unknown length.
        let sent = content(6_000_000);
        remote.put(&path("unknown"), body(&sent), PutOptions::default()).await.unwrap();
        assert!(read(&remote, "unknown").await.unwrap() == sent);
        assert!(matches!(remote.get(&path("missing")).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.stat(&path("missing")).await, Err(Error::NotFound { .. })));
    }
    // The URL of one file is a remote whose root is that file.
    let url = format!("http://{}/pub/{}/a%205 Post?a=b c#d", apache.address, apache.folder);
    let file = buckets::open(&url, buckets::usual()).await;
    assert_eq!(file.stat(&RelPath::root()).await.unwrap().size, 5);
    assert_eq!(read(&file, "").await.unwrap(), content(5));
}

#[tokio::test]
async fn a_broken_body_is_not_sent_as_a_whole_one() {
    let apache = apache::place().unwrap();
    for web in [WebOptions::default(), put()] {
        let remote = open(&apache, "up", web).await;
        for size in [5, 9_000_000] {
            let sent = content(size);
            let broken = futures_util::StreamExt::chain(
                body(&sent),
                futures_util::stream::iter([Err("the line went dead".to_owned())]),
            );
            let error = remote.put(&path("broken"), broken, PutOptions::default()).await.unwrap_err();
            assert!(matches!(&error, Error::Incomplete { reason, .. } if reason == "the line went dead"), "{error}");
            for length in [size as u64 - 1, size as u64 + 1] {
                let options = PutOptions { length: Some(length), ..PutOptions::default() };
                let error = remote.put(&path("broken"), body(&sent), options).await.unwrap_err();
                assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
            }
        }
        let there = remote.stat(&path("broken")).await;
        // A CGI program is not told that a body of unknown length was cut.
        assert!(matches!(there, Err(Error::NotFound { .. })) || there.unwrap().size != 9_000_000);
    }
}

#[tokio::test]
async fn what_such_a_server_cannot_do_is_unsupported() {
    let apache = apache::place().unwrap();
    let remote = open(&apache, "up", put()).await;
    let at = path("a");
    for error in [
        remote.list(&RelPath::root()).await.unwrap_err(),
        remote.list_all(&RelPath::root()).try_collect::<Vec<_>>().await.unwrap_err(),
        remote.delete_file(&at).await.unwrap_err(),
        remote.delete_many(std::slice::from_ref(&at)).await.unwrap_err(),
        remote.delete_tree(&at).await.unwrap_err(),
        remote.create_if_absent(&at, "1".into()).await.unwrap_err(),
        remote.begin_multipart(&at).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains("an HTTP server"), "{error}");
    }
    // A file is there, and no place for uploads.
    let remote = open(&apache, "pub", WebOptions::default()).await;
    let error = remote.put(&at, body(b"1"), PutOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("POST") || error.contains("status 40"), "{error}");
}

#[tokio::test]
async fn a_server_is_shown_who_we_are() {
    let apache = apache::place().unwrap();
    let sent = content(6_000_000);
    store(&open(&apache, "up", put()).await, "f", &sent).await;
    assert!(read(&open(&apache, "private", password(WebAuth::Basic)).await, "f").await.unwrap() == sent);
    let url = format!("http://{USER}:{PASSWORD}@{}/private/{}", apache.address, apache.folder);
    assert!(read(&buckets::open(&url, buckets::usual()).await, "f").await.unwrap() == sent);
    for (area, web) in [("digest", password(WebAuth::Digest)), ("token", header())] {
        let remote = open(&apache, area, web).await;
        store(&remote, "g", &sent).await;
        assert!(read(&remote, "g").await.unwrap() == sent);
        store(&remote, "g", b"small").await;
        assert_eq!(remote.stat(&path("g")).await.unwrap().size, 5);
    }

    let secret = "a-wrong-secret-that-is-never-shown";
    let wrong = |web: WebOptions| WebOptions { password: Some(secret.into()), ..web };
    for (area, web) in [
        ("private", wrong(password(WebAuth::Basic))),
        ("digest", wrong(password(WebAuth::Digest))),
        ("token", wrong(header())),
        // As DVC 3.67: without `auth` nothing of it is shown.
        ("private", WebOptions { auth: None, ..password(WebAuth::Basic) }),
    ] {
        let remote = open(&apache, area, web).await;
        for error in [
            remote.get(&path("f")).await.err().expect("it was read"),
            remote.stat(&path("f")).await.unwrap_err(),
            remote.put(&path("f"), body(b"1"), PutOptions::default()).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            assert!(text.contains("status 401") && !text.contains(secret), "{text}");
        }
    }
    let location = format!("http://{}/private", apache.address);
    for (web, word) in [
        (WebOptions { user: None, ..password(WebAuth::Basic) }, "'user'"),
        (WebOptions { password: None, ..password(WebAuth::Basic) }, "'password'"),
        (WebOptions { custom_auth_header: None, ..header() }, "'custom_auth_header'"),
        (WebOptions { custom_auth_header: Some("a b".to_owned()), ..header() }, "'a b'"),
    ] {
        let Err(error) = Remote::open(&location, with(web)).await else { panic!("it opened") };
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// Two servers: the second says what it was sent.
#[tokio::test]
async fn no_other_host_learns_who_we_are() {
    let apache = apache::place().unwrap();
    let url = |at: &str| format!("http://{}{at}", apache.address);
    let with_user = |at: &str| format!("http://{USER}:{PASSWORD}@{}{at}", apache.address);
    let basic = "HTTP_AUTHORIZATION=Basic dTpw";
    for (at, web, shown) in [
        (url("/cgi/echo"), password(WebAuth::Basic), basic),
        (with_user("/cgi/echo"), put(), basic),
        (url("/cgi/echo"), header(), "HTTP_X_TOKEN=a-token"),
    ] {
        let text = |read: Vec<u8>| String::from_utf8(read).unwrap();
        // The server that we were told of is shown it, also behind a redirect of its own.
        for at in [at.clone(), at.replace("/cgi/echo", "/here/cgi/echo")] {
            let remote = buckets::open(&at, with(web.clone())).await;
            let there = text(read(&remote, "").await.unwrap());
            assert!(there.contains(shown) && there.contains(&format!("HTTP_HOST={}", apache.address)), "{there}");
        }
        // Another port is another host, and back again is too late.
        for away in ["/away/cgi/echo", "/away/back/cgi/echo"] {
            let remote = buckets::open(&at.replace("/cgi/echo", away), with(web.clone())).await;
            let there = text(read(&remote, "").await.unwrap());
            assert!(there.contains("REQUEST_METHOD=GET"), "{there}");
            assert!(!there.contains("AUTHORIZATION") && !there.contains("TOKEN"), "{there}");
            let ranged = collect(remote.get(&RelPath::root()).await.unwrap().stream(1..2000)).await;
            assert!(ranged.is_err() || !text(ranged.unwrap()).contains("AUTHORIZATION"));
            // What is sent goes nowhere else at all.
            let error = remote.put(&RelPath::root(), body(b"1"), PutOptions::default()).await.unwrap_err().to_string();
            assert!(error.contains(&format!("redirects to http://{}", apache.elsewhere)), "{error}");
            assert!(!error.contains(":p@") && !error.contains(TOKEN), "{error}");
        }
    }
}

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let apache = apache::place().unwrap();
    let sent = content(700_000);
    store(&open(&apache, "up", put()).await, "f", &sent).await;
    let remote = open(&apache, "cgi/hop", put()).await;
    assert!(read(&remote, "f").await.unwrap() == sent);
    assert_eq!(remote.stat(&path("f")).await.unwrap().size, 700_000);
    let round = buckets::open(&format!("http://{}/cgi/round", apache.address), buckets::usual()).await;
    let error = round.get(&RelPath::root()).await.err().expect("it ended");
    assert!(error.to_string().contains("more than 10 times"), "{error}");
}

/// No length, no HEAD, no ranges: what stands behind a program often has none of them.
#[tokio::test]
async fn poor_servers_are_read_as_well() {
    let apache = apache::place().unwrap();
    let up = open(&apache, "up", put()).await;
    for size in [0, 100_000, 10_000_000] {
        let sent = content(size);
        store(&up, "f", &sent).await;
        for area in ["cgi/unsized", "cgi/whole"] {
            let remote = open(&apache, area, put()).await;
            assert_eq!(remote.stat(&path("f")).await.unwrap().size, size as u64, "{area}");
            assert!(read(&remote, "f").await.unwrap() == sent, "{area} {size}");
            let part = collect(remote.get(&path("f")).await.unwrap().stream(10..90_000)).await.unwrap();
            assert!(part == sent[size.min(10)..size.min(90_000)], "{area} {size}");
        }
    }
}

#[tokio::test]
async fn certificates_are_checked() {
    let apache = apache::place().unwrap();
    store(&open(&apache, "up", put()).await, "f", b"1").await;
    let location = format!("https://{}/pub/{}", apache.tls, apache.folder);
    let http = |http: HttpOptions| Options { http: HttpOptions { attempts: 2, ..http }, ..buckets::usual() };
    let added = http(HttpOptions { ca_added: Some(apache.authority.clone().into()), ..HttpOptions::default() });
    assert_eq!(read(&buckets::open(&location, added).await, "f").await.unwrap(), b"1");
    let error = read(&buckets::open(&location, http(HttpOptions::default())).await, "f").await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let missing = http(HttpOptions { ca_added: Some("/nonexistent.pem".into()), ..HttpOptions::default() });
    let error = read(&buckets::open(&location, missing).await, "f").await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent.pem"), "{error}");
}

#[tokio::test]
async fn broken_reads_are_gone_on_with() {
    let apache = apache::place().unwrap();
    let sent = content(3_000_000);
    store(&open(&apache, "up", put()).await, "f", &sent).await;
    let proxy = FaultProxy::start(&apache.address).unwrap();
    let http = HttpOptions { idle_timeout: std::time::Duration::from_secs(2), ..HttpOptions::default() };
    let options = Options { http, ..buckets::usual() };
    let remote = buckets::open(&format!("http://{}/pub/{}", proxy.address(), apache.folder), options).await;
    for cut in [10, 400, 5_000, 300_000, 2_900_000] {
        proxy.cut_all();
        proxy.next(Faults { cut_down: Some(cut), ..Faults::default() });
        proxy.next(Faults { cut_down: Some(cut * 2), ..Faults::default() });
        assert!(read(&remote, "f").await.unwrap() == sent, "cut after {cut}");
    }
    proxy.cut_all();
    proxy.set(Faults { cut_down: Some(20), ..Faults::default() }).unwrap();
    assert!(matches!(read(&remote, "f").await, Err(Error::Unreachable { .. })));
    proxy.set(Faults::default()).unwrap();
    // Replaced in the middle, it is never a mixture.
    proxy.next(Faults { cut_down: Some(1_000_000), ..Faults::default() });
    proxy.cut_all();
    let object = remote.get(&path("f")).await.unwrap();
    store(&open(&apache, "up", put()).await, "f", &content(3_000_001)).await;
    match collect(object.stream_all()).await {
        Ok(read) => assert!(read == sent),
        Err(error) => assert!(matches!(error, Error::Changed { .. }), "{error}"),
    }
}
