//! SSH servers: OpenSSH's, and one that is another; who is let in, and what happens when the way breaks.

use std::path::Path;
use std::time::Duration;

use trackway_remote::{Ask, Environment, Error, HttpOptions, Options, PutOptions, Remote, SshOptions};
use trackway_testkit::services::fault_proxy::Faults;
use trackway_testkit::services::{FaultProxy, Rclone, Sshd, sshd};

use crate::{body, buckets, content, contract, on_disk, path, read};

/// With the key that the server knows, and nothing of the developer's.
fn options(keys: &Path) -> Options {
    let ssh = SshOptions { keyfile: Some(keys.join("id")), ..SshOptions::default() };
    Options { ssh, ..buckets::usual() }
}

async fn open(location: &str, options: Options) -> Remote {
    buckets::open(location, options).await
}

/// A home folder in which ssh finds its things.
fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(".ssh").join(name), text).unwrap();
    }
    home
}

fn at_home(home: &Path, options: Options) -> Options {
    Options { environment: Environment::only([("HOME", home.to_str().unwrap())]), ..options }
}

#[tokio::test]
async fn openssh_holds_the_contract() {
    let directory = sshd::directory().unwrap();
    for below in ["", "/a folder/of two"] {
        let remote = open(&format!("{}{below}", directory.url), options(&directory.keys)).await;
        contract::holds(&remote).await;
        contract::folders_are_real(&remote).await;
    }
    let left = on_disk(&directory.path);
    assert!(left.iter().all(|name| !name.contains(".tmp")), "{left:?}");
}

#[tokio::test]
async fn a_server_without_extensions_holds_it_too() {
    let server = Rclone::start_sftp().unwrap();
    let ssh = SshOptions {
        user: Some(server.access_key().to_owned()),
        password: Some(server.secret_key().into()),
        ..SshOptions::default()
    };
    let options = Options { ssh, ..buckets::usual() };
    let remote = open(&format!("{}/folder", server.sftp_url()), options.clone()).await;
    contract::holds_without_conditions(&remote, &contract::ODD).await;
    // Its way to rename replaces what is there, so it cannot be asked who was first.
    let creating = remote.create_if_absent(&path("created"), "x".into()).await;
    assert!(matches!(creating, Err(Error::Unsupported { .. })), "{creating:?}");
    let wrong = SshOptions { password: Some("wrong".into()), ..options.ssh.clone() };
    let remote = open(&server.sftp_url(), Options { ssh: wrong, ..options }).await;
    let error = remote.stat(&path("x")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("the password") && !error.to_string().contains("wrong"), "{error}");
}

async fn refusal(location: &str, options: Options) -> Error {
    open(location, options).await.stat(&path("x")).await.unwrap_err()
}

#[tokio::test]
async fn who_is_let_in() {
    let directory = sshd::directory().unwrap();
    let (url, keys) = (directory.url.as_str(), directory.keys.as_path());
    let with = |ssh: SshOptions| Options { ssh, ..buckets::usual() };
    let key = |name: &str| SshOptions { keyfile: Some(keys.join(name)), ..SshOptions::default() };
    let is_in = async |location: &str, options: Options| {
        let remote = open(location, options).await;
        remote.put(&path("in"), body(b"1"), PutOptions::default()).await.unwrap();
    };
    // A wrong key, none, one that is not there, and a wrong host.
    let error = refusal(url, with(key("stranger"))).await;
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("stranger"), "{error}");
    let error = refusal(url, with(SshOptions::default())).await;
    assert!(matches!(error, Error::NoCredentials { .. }), "{error:?}");
    let error = refusal(url, with(key("missing"))).await;
    assert!(matches!(error, Error::NoCredentials { .. }) && error.to_string().contains("missing"), "{error}");
    let error = refusal("ssh://no-such-host.invalid/x", with(key("id"))).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let error = refusal(&url.replace(&directory.port.to_string(), "1"), with(key("id"))).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    // A key with a passphrase: told, asked for, wrong, not told.
    let locked = |passphrase: &str| SshOptions { passphrase: Some(passphrase.into()), ..key("locked") };
    is_in(url, with(locked(sshd::PASSPHRASE))).await;
    let asking = SshOptions { ask_passphrase: true, ..key("locked") };
    let ask = Ask::with(|line| line.contains("passphrase").then(|| sshd::PASSPHRASE.into()));
    is_in(url, Options { ask, ..with(asking.clone()) }).await;
    for (options, said) in
        [(locked("wrong"), "this passphrase"), (key("locked"), "ask_passphrase"), (asking, "terminal")]
    {
        let error = refusal(url, with(options)).await;
        assert!(matches!(error, Error::NoCredentials { .. }) && error.to_string().contains(said), "{error}");
    }
    // An agent that holds the key of the locked file.
    let agent = Agent::with(&keys.join("id"));
    let by_agent = Options {
        environment: Environment::only([("SSH_AUTH_SOCK", agent.socket().to_str().unwrap())]),
        ..with(SshOptions::default())
    };
    is_in(url, by_agent.clone()).await;
    let without = SshOptions { allow_agent: false, ..SshOptions::default() };
    assert!(matches!(refusal(url, Options { ssh: without, ..by_agent }).await, Error::NoCredentials { .. }));
}

#[tokio::test]
async fn the_ssh_programs_own_file_is_heeded() {
    let directory = sshd::directory().unwrap();
    let (port, keys) = (directory.port, directory.keys.display());
    let folder = directory.path.display();
    let user = directory.url.trim_start_matches("ssh://").split('@').next().unwrap();
    let one = format!("Host one\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {keys}/id\n");
    let home = home(&[
        (
            "config",
            "Include conf.d-*\nHost two\n ProxyJump one\nHost three\n ProxyJump one,two\n\
                    Host run\n ProxyCommand nc %h %p\nHost circle\n ProxyJump circle\n",
        ),
        ("conf.d-1", &format!("{one}{}{}", one.replace("Host one", "Host two"), one.replace("Host one", "Host three"))),
    ]);
    for host in ["one", "two", "three"] {
        let remote = open(&format!("ssh://{host}{folder}"), at_home(home.path(), buckets::usual())).await;
        let sent = content(1_000_000);
        remote.put(&path(host), body(&sent), PutOptions::default()).await.expect(host);
        assert!(read(&remote, host).await.unwrap() == sent);
    }
    for (host, said) in [("run", "ProxyCommand"), ("circle", "circle")] {
        let error = refusal(&format!("ssh://{host}/x"), at_home(home.path(), buckets::usual())).await;
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_is_known_must_show_its_key() {
    let mut server = Sshd::start().unwrap();
    let keys = server.key("id").parent().unwrap().to_owned();
    let url = server.url();
    let known = std::fs::read_to_string(server.known_hosts()).unwrap();
    let known_home = home(&[("known_hosts", &known)]);
    let strict_home = home(&[("config", "StrictHostKeyChecking yes\n")]);
    let try_at =
        async |home: &Path| open(&url, at_home(home, options(&keys))).await.stat(&path("x")).await.unwrap_err();
    assert!(matches!(try_at(known_home.path()).await, Error::NotFound { .. }));
    let error = try_at(strict_home.path()).await;
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("StrictHostKeyChecking"), "{error}");
    server.new_host_key().unwrap();
    server.restart().unwrap();
    let error = try_at(known_home.path()).await;
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("line 1 of"), "{error}");
    // One that is not known is trusted, as stock DVC trusts all.
    assert!(matches!(try_at(home(&[]).path()).await, Error::NotFound { .. }));
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again() {
    let mut server = Sshd::start().unwrap();
    let keys = server.key("id").parent().unwrap().to_owned();
    let remote = open(&server.url(), options(&keys)).await;
    let sent = content(3_000_000);
    remote.put(&path("kept"), body(&sent), PutOptions::default()).await.unwrap();
    let object = remote.get(&path("kept")).await.unwrap();
    server.restart().unwrap();
    assert!(crate::collect(object.stream_all()).await.unwrap() == sent);
    server.crash().unwrap();
    let error = remote.stat(&path("kept")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    server.restart().unwrap();
    assert!(read(&remote, "kept").await.unwrap() == sent);
}

#[tokio::test]
async fn files_are_never_half() {
    let directory = sshd::directory().unwrap();
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", directory.port)).unwrap();
    let http = HttpOptions { idle_timeout: Duration::from_secs(3), ..HttpOptions::default() };
    let mut impatient = Options { http, ..options(&directory.keys) };
    impatient.ssh.timeout = Some(Duration::from_secs(3));
    let through = open(&directory.url_by(&proxy.address()), impatient).await;
    let direct = open(&directory.url, options(&directory.keys)).await;
    let sent = content(3_000_000);
    direct.put(&path("read"), body(&sent), PutOptions::default()).await.unwrap();
    for cut in [10, 5_000, 300_000, 1_000_000, 2_900_000] {
        proxy.cut_all();
        proxy.next(Faults { cut_down: Some(cut), ..Faults::default() });
        proxy.next(Faults { cut_down: Some(cut * 2), ..Faults::default() });
        assert!(read(&through, "read").await.unwrap() == sent, "cut after {cut}");
    }
    for (size, cut) in [(10usize, 3_000), (1_000_000, 300_000), (12_000_000, 2_000_000), (12_000_000, 6_000_000)] {
        let (sent, at) = (content(size), format!("written/{size}-{cut}"));
        proxy.cut_all();
        proxy.next(Faults { cut_up: Some(cut), ..Faults::default() });
        proxy.next(Faults { cut_up: Some(cut), ..Faults::default() });
        through.put(&path(&at), body(&sent), PutOptions::default()).await.expect(&at);
        assert!(read(&direct, &at).await.unwrap() == sent, "{at}");
    }
    // None goes through, and what was there stays.
    proxy.cut_all();
    proxy.set(Faults { cut_up: Some(20_000), ..Faults::default() }).unwrap();
    for at in ["written/never", "written/10-3000"] {
        let before = direct.stat(&path(at)).await.ok();
        let error = through.put(&path(at), body(&content(12_000_000)), PutOptions::default()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!(direct.stat(&path(at)).await.ok(), before, "a half file");
    }
    proxy.set(Faults { black_hole: true, ..Faults::default() }).unwrap();
    let error = through.stat(&path("read")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    proxy.set(Faults::default()).unwrap();
    proxy.cut_all();
    through.stat(&path("read")).await.unwrap();
}

/// An upload that nobody waits for any more leaves nothing.
#[tokio::test]
async fn what_is_dropped_leaves_nothing() {
    let directory = sshd::directory().unwrap();
    let remote = open(&directory.url, options(&directory.keys)).await;
    for pieces in [0, 1, 40] {
        let some = futures_util::stream::iter((0..pieces).map(|_| Ok::<_, String>(vec![7; 100_000].into())));
        let endless = futures_util::StreamExt::chain(some, futures_util::stream::pending());
        let at = path("dropped/x");
        let putting = remote.put(&at, endless, PutOptions::default());
        assert!(tokio::time::timeout(Duration::from_millis(400), putting).await.is_err());
    }
    // Until what was dropped has been cleared away; bounded, for it may fail.
    for _ in 0..200 {
        if on_disk(&directory.path).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("left behind: {:?}", on_disk(&directory.path));
}

/// An agent of the test's own, with one key.
struct Agent {
    folder: tempfile::TempDir,
    process: std::process::Child,
}

impl Agent {
    fn with(key: &Path) -> Agent {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let process = std::process::Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let added = std::process::Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.unwrap().success());
        Agent { folder, process }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
