//! Push to and pull from remotes of every kind, each a real server on this machine: many small files, and one large one.
//!
//! A kind is a server and the configuration of a remote on it, the same for both tools. Each push goes to a place that is
//! new, so that neither tool remembers anything of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use trackway_testkit::services::{Apache, Azurite, FakeGcs, Hdfs, SeaweedFs, Sshd, hdfs, programs};

use crate::data::Run;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::{Measured, Side, Who, clean, measure, remove};

const BUCKET: &str = "bench";
const DATA: &str = "data";
const LARGE: &str = "large.bin";
const RCLONE: &str = "rclone copy";

/// A running server, and what a remote on it is called.
enum Server {
    S3(SeaweedFs),
    Azure(Azurite),
    Gs(FakeGcs),
    Ssh(Sshd),
    WebDav(Apache),
    Hdfs(Hdfs),
}

impl Server {
    fn start(kind: &Kind) -> Result<Server> {
        Ok(match kind.name {
            "s3" => {
                let server = SeaweedFs::start()?;
                server.create_bucket(BUCKET)?;
                Server::S3(server)
            }
            "azure" => {
                let server = Azurite::start()?;
                server.create_container(BUCKET)?;
                Server::Azure(server)
            }
            "gs" => {
                let server = FakeGcs::start()?;
                server.create_bucket(BUCKET)?;
                Server::Gs(server)
            }
            "ssh" => Server::Ssh(Sshd::start()?),
            "webdav" => Server::WebDav(Apache::start()?),
            "hdfs" => Server::Hdfs(Hdfs::start(hdfs::Options::default())?),
            other => bail!("there is no server for {other}"),
        })
    }

    /// The section of a remote in a folder of this name.
    fn remote(&self, folder: &str) -> String {
        match self {
            Server::S3(server) => format!(
                "url = s3://{BUCKET}/{folder}\nendpointurl = {}\nregion = {}\naccess_key_id = {}\nsecret_access_key = {}\n",
                server.endpoint(),
                server.region(),
                server.access_key(),
                server.secret_key()
            ),
            Server::Azure(server) => {
                format!("url = azure://{BUCKET}/{folder}\nconnection_string = \"{}\"\n", server.connection_string())
            }
            Server::Gs(server) => format!(
                "url = gs://{BUCKET}/{folder}\nendpointurl = {}\nallow_anonymous_login = true\n",
                server.endpoint()
            ),
            Server::Ssh(server) => {
                format!("url = {}/{folder}\nkeyfile = {}\n", server.url(), server.key("client").display())
            }
            Server::WebDav(server) => {
                format!("url = webdav://{}/dav/{folder}\nuser = u\npassword = p\n", server.address())
            }
            Server::Hdfs(server) => format!("url = {}/{folder}\nuser = {}\n", server.url(), server.superuser()),
        }
    }

    /// Stock asks for a folder to be there already (WebDAV).
    fn make_ready(&self, folder: &str) -> Result<()> {
        if let Server::WebDav(server) = self {
            let url = format!("http://{}/dav/{folder}/", server.address());
            let done = measure(Command::new("curl").args(["-sf", "-u", "u:p", "-X", "MKCOL", &url]))?;
            if let Some(failure) = done.failure() {
                bail!("MKCOL {url} failed with {failure}");
            }
        }
        Ok(())
    }

    /// rclone on the same bucket, with as many transfers at once as helps it.
    fn rclone(&self, from: &str, to: &str, home: &std::path::Path) -> Result<Measured> {
        let Server::S3(server) = self else { bail!("rclone is measured on S3 only") };
        let mut command = Command::new(programs::linked("rclone", "rclone")?);
        clean(&mut command, home);
        command.args([
            "copy",
            "--config",
            "/dev/null",
            "--transfers",
            "32",
            "--checkers",
            "32",
            "--s3-no-check-bucket",
        ]);
        command.args([from, to]).env("AWS_ACCESS_KEY_ID", server.access_key());
        command.env("AWS_SECRET_ACCESS_KEY", server.secret_key()).env("RCLONE_S3_ENDPOINT", server.endpoint());
        command.env("RCLONE_S3_REGION", server.region());
        measure(&mut command)
    }
}

/// What is asked of one kind of remote.
struct Kind {
    name: &'static str,
    /// How many small files: as many as the local remote's rows have, or a tenth.
    many: bool,
    /// Times faster than DVC on small files, and times less CPU.
    small: (f64, f64),
    /// With nothing to do.
    idle: f64,
    large: f64,
    rclone: bool,
}

const KINDS: [Kind; 5] = [
    Kind { name: "s3", many: true, small: (5.0, 20.0), idle: 10.0, large: 1.0, rclone: true },
    Kind { name: "ssh", many: false, small: (5.0, 1.0), idle: 1.0, large: 1.0, rclone: false },
    Kind { name: "webdav", many: false, small: (5.0, 1.0), idle: 1.0, large: 1.0, rclone: false },
    Kind { name: "azure", many: false, small: (1.0, 20.0), idle: 1.0, large: 1.0, rclone: false },
    Kind { name: "gs", many: false, small: (1.0, 20.0), idle: 1.0, large: 1.0, rclone: false },
];

struct Exchange<'a> {
    side: Side,
    server: &'a Server,
    files: usize,
    bytes: u64,
    remote: usize,
    added: bool,
    pushed: bool,
}

impl Contender for Exchange<'_> {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        (self.added, self.pushed) = (false, false);
    }
}

impl Exchange<'_> {
    fn target(&self) -> &'static str {
        if self.files > 0 { DATA } else { LARGE }
    }

    fn target_path(&self) -> PathBuf {
        self.side.path(self.target())
    }

    fn added(&mut self) -> Result<()> {
        if !self.added {
            self.side.remove_cache()?;
            self.side.forget()?;
            self.side.disk.put_aside(&self.target_path())?;
            match self.files {
                0 => material::big_file(&self.target_path(), self.bytes)?,
                files => material::fill_folders(&self.target_path(), files)?,
            }
            self.side.must(&["add", self.target()])?;
            self.added = true;
        }
        Ok(())
    }

    fn new_remote(&mut self) -> Result<()> {
        self.added()?;
        self.remote += 1;
        self.pushed = false;
        let folder = format!("{}-{}-{}", self.target(), self.side.who.name().to_lowercase(), self.remote);
        self.server.make_ready(&folder)?;
        let remote = self.server.remote(&folder);
        self.side.configure(&format!("[core]\n    remote = store\n['remote \"store\"']\n{remote}"))
    }

    fn pushed(&mut self) -> Result<()> {
        if !self.pushed {
            self.new_remote()?;
            self.side.must(&["push"])?;
            self.pushed = true;
        }
        Ok(())
    }

    fn clone_of_it(&mut self) -> Result<()> {
        self.pushed()?;
        self.side.remove_cache()?;
        self.side.forget()?;
        self.added = false;
        self.side.disk.put_aside(&self.target_path())
    }

    fn pulled(&mut self) -> Result<()> {
        self.pushed()?;
        self.added()
    }

    fn has_pushed(&mut self) -> Result<Facts> {
        self.pushed = true;
        Ok(Facts::new())
    }

    fn has_pulled(&mut self) -> Result<Facts> {
        self.added = true;
        self.side.facts(self.target())
    }

    fn nothing(&mut self) -> Result<Facts> {
        Ok(Facts::new())
    }
}

fn rows<'a>(kind: &Kind, large: bool) -> Vec<Row<Exchange<'a>>> {
    let row = |name, args, floor, before, after, output| Row {
        group: kind.name,
        name,
        args,
        floor,
        bounds: if kind.rclone && matches!(floor, Floor::OfDvcAndBound(..)) { &[RCLONE] } else { &[] },
        before,
        after,
        output,
        writes: Writes::Little,
        repeat: 1,
    };
    if large {
        let floor = Floor::OfDvc(kind.large);
        return vec![
            row("large file, push", &["push"], floor, Exchange::new_remote, Exchange::has_pushed, Output::Same),
            row("large file, pull", &["pull"], floor, Exchange::clone_of_it, Exchange::has_pulled, Output::Same),
        ];
    }
    let (time, cpu) = kind.small;
    let small = match kind.rclone {
        true => Floor::OfDvcAndBound(time, cpu, RCLONE),
        false => Floor::OfDvcWithCpu(time, cpu),
    };
    let idle = Floor::OfDvc(kind.idle);
    vec![
        row("small files, push", &["push"], small, Exchange::new_remote, Exchange::has_pushed, Output::Same),
        row("small files, push, nothing to do", &["push"], idle, Exchange::pushed, Exchange::has_pushed, Output::Same),
        row("small files, status -c", &["status", "-c"], idle, Exchange::pushed, Exchange::nothing, Output::Same),
        row("small files, pull", &["pull"], small, Exchange::clone_of_it, Exchange::has_pulled, Output::Same),
        row("small files, pull, nothing to do", &["pull"], idle, Exchange::pulled, Exchange::has_pulled, Output::Same),
    ]
}

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let wanted = run.wanted();
    let mut taken = Vec::new();
    for kind in &KINDS {
        let rows = [rows(kind, false), rows(kind, true)];
        if !rows.iter().flatten().any(|row| wanted(row.group, row.name)) {
            continue;
        }
        let scene = run.scene(kind.name)?;
        let server = Server::start(kind)?;
        let small = if kind.many { run.scale.exchanged } else { run.scale.exchanged / 10 };
        let large = if kind.many { run.scale.big } else { run.scale.big / 4 };
        for (files, rows) in [(small, &rows[0]), (0, &rows[1])] {
            if !rows.iter().any(|row| wanted(row.group, row.name)) {
                continue;
            }
            let part = scene.join(if files > 0 { "small" } else { "large" });
            fs::create_dir_all(&part)?;
            let (plain, mut number) = (part.join("plain"), 0);
            if kind.rclone && files > 0 {
                material::fill_folders(&plain, files)?;
            }
            let mut sides = run.sides(&part, |mut side| {
                if matches!((side.who, &server), (Who::Stock, Server::Gs(_))) {
                    // Without it stock's client asks Google itself what kind of bucket this is.
                    side.variables.push(("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"));
                }
                Exchange { side, server: &server, files, bytes: large, remote: 0, added: false, pushed: false }
            })?;
            let home = part.join("home");
            let mut up = true;
            let mut bound = |_: &'static str| -> Result<Measured> {
                // Push and pull take turns, and so does rclone: up to a new place, down from it to a new folder.
                let local = plain.to_string_lossy().into_owned();
                if up {
                    number += 1;
                }
                let place = format!(":s3,provider=SeaweedFS,env_auth=true:{BUCKET}/rclone-{number}");
                let done = match up {
                    true => server.rclone(&local, &place, &home)?,
                    false => {
                        let copy = part.join("copy");
                        let done = server.rclone(&place, &copy.to_string_lossy(), &home)?;
                        remove(&copy)?;
                        done
                    }
                };
                up = !up;
                Ok(done)
            };
            taken.extend(take(rows, &mut sides, &mut bound, run.rounds, &wanted)?);
        }
        drop(server);
        run.clear(&scene)?;
    }
    Ok(taken)
}
