//! HDFS by both of its protocols: the contract, and what happens when a part of it is not there.

use std::time::Duration;

use futures_util::StreamExt;
use trackway_remote::{Environment, Error, HdfsOptions, HttpOptions, Options, PutOptions, Remote, WebHdfsOptions};
use trackway_testkit::services::{Hdfs, hdfs};

use crate::contract::{folders_are_real, holds_with};
use crate::{body, buckets, content, path, read};

/// HDFS takes no colon. This WebHDFS, whose parts are of different ages, decodes a path twice behind a redirect.
const ODD: [&str; 10] = ["a b", "..a", "a?b=1", "%2e%2e", "日本語", "-rf", "~", "a+b", "a&b", "a\nb"];
const ODD_ON_THE_WEB: [&str; 8] = ["a b", "..a", "a?b=1", "日本語", "-rf", "~", "a+b", "a&b"];

fn native(conf_dir: &str, user: &str) -> Options {
    let environment = Environment::only([("HADOOP_CONF_DIR", conf_dir), ("HADOOP_USER_NAME", user)]);
    Options { environment, ..Options::default() }
}

fn web(user: &str) -> Options {
    let webhdfs = WebHdfsOptions { user: Some(user.to_owned()), ..WebHdfsOptions::default() };
    Options { webhdfs, ..buckets::usual() }
}

async fn both(place: &hdfs::Place) -> [Remote; 2] {
    [
        buckets::open(&place.url, native(&place.conf_dir, &place.user)).await,
        buckets::open(&place.web_url, web(&place.user)).await,
    ]
}

async fn put(remote: &Remote, at: &str, content: &[u8]) -> trackway_remote::Result<()> {
    remote.put(&path(at), body(content), PutOptions::default()).await.map(|_| ())
}

#[tokio::test]
async fn hdfs_holds_the_contract() {
    let place = hdfs::place().unwrap();
    for below in ["", "/a prefix/of two"] {
        let remote = buckets::open(&format!("{}{below}", place.url), native(&place.conf_dir, &place.user)).await;
        holds_with(&remote, &ODD).await;
        folders_are_real(&remote).await;
    }
}

#[tokio::test]
async fn webhdfs_holds_the_contract() {
    // Once: Hadoop's DataNode needs half a second to close a file.
    let place = hdfs::place().unwrap();
    let remote = buckets::open(&format!("{}/a prefix/of two", place.web_url), web(&place.user)).await;
    holds_with(&remote, &ODD_ON_THE_WEB).await;
    folders_are_real(&remote).await;
}

#[tokio::test]
async fn both_protocols_see_the_same() {
    let place = hdfs::place().unwrap();
    let [native, web] = both(&place).await;
    // Of three blocks.
    let sent = content(9_000_001);
    for (to, from) in [(&native, &web), (&web, &native)] {
        put(to, "a b/one", &sent).await.unwrap();
        assert!(read(from, "a b/one").await.unwrap() == sent);
        let stream = from.get(&path("a b/one")).await.unwrap().stream(4_194_300..4_194_310);
        assert_eq!(crate::collect(stream).await.unwrap(), sent[4_194_300..4_194_310]);
    }
    put(&native, "empty", b"").await.unwrap();
    for name in ["a b/one", "empty"] {
        // The NameNode's has four bytes more, which stock records with it.
        let (ours, theirs) = (native.checksum(&path(name)).await.unwrap(), web.checksum(&path(name)).await.unwrap());
        assert_eq!(format!("{}00000000", ours.unwrap()), theirs.unwrap());
    }
}

/// All of a client's calls take turns on one connection: one that stops in the middle of a turn would stop them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_make_their_folders_do_not_wait_for_each_other() {
    let place = hdfs::place().unwrap();
    let large = content(1 << 21);
    for round in 0..40 {
        let below = format!("{}/round-{round}", place.url);
        let remote = buckets::open(&below, native(&place.conf_dir, &place.user)).await;
        let puts = ["a/b/small", "a/c/large", "a/d/empty"].map(|at| {
            let (remote, large) = (remote.clone(), large.clone());
            tokio::spawn(async move {
                let bytes = if at.ends_with("large") { &large[..] } else { at.as_bytes() };
                put(&remote, at, bytes).await
            })
        });
        for put in puts {
            put.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn who_may_not_is_refused() {
    let place = hdfs::place().unwrap();
    let nobody = [
        buckets::open(&place.url, native(&place.conf_dir, "nobody")).await,
        buckets::open(&place.web_url, web("nobody")).await,
        // As fsspec's client: without a user it is the server's own name for strangers.
        buckets::open(&place.web_url, buckets::usual()).await,
    ];
    for remote in nobody {
        let error = put(&remote, "a", b"1").await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(text.contains("Permission denied") && !text.contains('\n') && text.len() < 400, "{text}");
    }
    let hdfs = HdfsOptions { user: Some(place.user.clone()), ..HdfsOptions::default() };
    let options = Options { hdfs, ..native(&place.conf_dir, "nobody") };
    put(&buckets::open(&place.url, options).await, "a", b"1").await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_wrong_is_refused_and_never_shown() {
    let place = hdfs::place().unwrap();
    let webhdfs = WebHdfsOptions { token: Some("c2VjcmV0".into()), ..WebHdfsOptions::default() };
    let options = Options { webhdfs, ..buckets::usual() };
    assert!(!format!("{options:?}").contains("c2VjcmV0"));
    let error = put(&buckets::open(&place.web_url, options).await, "a", b"1").await.unwrap_err().to_string();
    assert!(!error.contains("c2VjcmV0"), "{error}");
}

#[tokio::test]
async fn a_namenode_that_is_not_there_is_told_of() {
    let http = HttpOptions { attempts: 2, ..HttpOptions::default() };
    for location in ["hdfs://127.0.0.1:9/a", "webhdfs://127.0.0.1:9/a"] {
        let remote = buckets::open(location, Options { http: http.clone(), ..buckets::usual() }).await;
        let error = put(&remote, "a", b"1").await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&format!("'{location}' cannot be reached")), "{error}");
    }
    let error = Remote::open("hdfs:///a", buckets::usual()).await.err().expect("it was opened").to_string();
    assert!(error.contains("HADOOP_CONF_DIR"), "{error}");
}

#[tokio::test]
async fn a_name_service_fails_over() {
    let place = hdfs::place().unwrap();
    let there = place.url.strip_prefix("hdfs://").unwrap().split('/').next().unwrap();
    let conf = tempfile::tempdir().unwrap();
    let property = |name: &str, value: &str| format!("<property><name>{name}</name><value>{value}</value></property>");
    let core = format!("<configuration>{}</configuration>", property("fs.defaultFS", "hdfs://team"));
    let hdfs = [
        property("dfs.nameservices", "team"),
        property("dfs.ha.namenodes.team", "gone,there"),
        property("dfs.namenode.rpc-address.team.gone", "127.0.0.1:9"),
        property("dfs.namenode.rpc-address.team.there", there),
        property("dfs.client.use.datanode.hostname", "true"),
    ];
    std::fs::write(conf.path().join("core-site.xml"), core).unwrap();
    std::fs::write(conf.path().join("hdfs-site.xml"), format!("<configuration>{}</configuration>", hdfs.concat()))
        .unwrap();
    let options = native(conf.path().to_str().unwrap(), &place.user);
    let below = place.url.rsplit_once('/').unwrap().1;
    for location in [format!("hdfs://team/{below}"), format!("hdfs:///{below}")] {
        let remote = buckets::open(&location, options.clone()).await;
        put(&remote, "a", b"1").await.unwrap();
        assert_eq!(read(&remote, "a").await.unwrap(), b"1");
    }
}

/// What harms the servers, on some of its own.
#[tokio::test]
async fn what_breaks_is_told_or_gone_on_with() {
    let mut server = Hdfs::start(hdfs::Options::default()).unwrap();
    let kinds =
        [(server.url(), native(&server.conf_dir(), server.superuser())), (server.web_url(), web(server.superuser()))];
    let sent = content(9_000_000);
    for (url, options) in kinds {
        let scheme = url.split(':').next().unwrap();
        let trying = |attempts| {
            let http = HttpOptions { attempts, ..HttpOptions::default() };
            let (location, options) = (format!("{url}/{scheme}"), Options { http, ..options.clone() });
            async move { Remote::open(&location, options).await }
        };
        let (remote, patient) = (trying(3).await.unwrap(), trying(30).await.unwrap());
        put(&remote, "one", &sent).await.unwrap();

        server.safe_mode(true).unwrap();
        let error = put(&remote, "two", b"1").await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { reason, .. } if reason.contains("safe mode")), "{error:?}");
        server.safe_mode(false).unwrap();
        put(&remote, "two", b"1").await.unwrap();

        // While a file is read its DataNode goes and comes again.
        let mut stream = patient.get(&path("one")).await.unwrap().stream_all();
        let mut got = stream.next().await.unwrap().unwrap().to_vec();
        server.crash_datanode().unwrap();
        let restarting = tokio::task::spawn_blocking(move || server.restart().map(|()| server));
        let (server_again, rest) = tokio::join!(restarting, async {
            while let Some(piece) = stream.next().await {
                got.extend_from_slice(&piece?);
            }
            Ok::<_, Error>(got)
        });
        server = server_again.unwrap().unwrap();
        assert!(rest.unwrap() == sent);

        // While a file is written it goes: nothing half has the name, and it can be written once more.
        let (gone, wait) = tokio::sync::oneshot::channel::<()>();
        let first = bytes::Bytes::copy_from_slice(&sent);
        let broken =
            futures_util::stream::iter([Ok::<_, String>(first.clone())]).chain(futures_util::stream::once(async {
                let _ = wait.await;
                Ok(first)
            }));
        let target = path("three");
        let (server_again, outcome) = tokio::join!(
            tokio::task::spawn_blocking(move || {
                std::thread::sleep(Duration::from_millis(500));
                let crashed = server.crash_datanode();
                let _ = gone.send(());
                crashed.map(|()| server)
            }),
            remote.put(&target, broken, PutOptions::default())
        );
        server = server_again.unwrap().unwrap();
        assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
        assert!(matches!(remote.stat(&target).await, Err(Error::NotFound { .. })));
        let error = read(&remote, "one").await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
        server.restart().unwrap();
        put(&remote, "three", &sent).await.unwrap();

        // The NameNode goes, and has everything when it comes again.
        server.crash_namenode().unwrap();
        let error = read(&remote, "three").await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        server.restart().unwrap();
        assert!(read(&remote, "three").await.unwrap() == sent);
    }
}
