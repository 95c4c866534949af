//! One large artifact, sent and fetched by curl: against `dd` and `cat` where it lies in a folder, against the clients of S3
//! where it lies in a bucket. And how far the server's memory grows meanwhile.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use trackway_testkit::services::{SeaweedFs, programs};

use super::record::{Floor, Row, Section};
use super::{Run, remove, version};
use crate::measure::median;
use crate::servers::{Kind, Server, Setup};
use crate::world::Random;

const ROUTE: &str = "/api/2.0/mlflow-artifacts/artifacts";
const LOCAL_FLOOR: f64 = 0.7;
const S3_FLOOR: f64 = 0.8;
const MEMORY_FLOOR: f64 = 20.0;
const FILE: &str = "model.bin";
const BUCKET: &str = "bench";

/// Seconds that something took in each round.
struct Times {
    name: &'static str,
    seconds: Vec<f64>,
}

pub fn local(run: &Run) -> Result<Section> {
    let part = "artifacts-local";
    if !["up", "down", "memory"].iter().any(|row| run.wanted(part, row)) {
        return Ok(Section::default());
    }
    let material = Material::make(run)?;
    let folder = run.folder(part)?;
    let server = Server::start(Kind::Trackway, &folder, true)?;
    let memory = Memory::watch(server.pid())?;
    let copy = run.scratch.join("copy");
    let mut section = Section::default();
    let names = ["up, dd conv=fsync", "up, curl and fsync", "down, cat", "down, curl", "up, curl"];
    let mut all = names.map(|name| Times { name, seconds: Vec::new() });
    for round in 0..run.rounds {
        let name = format!("artifact-{round}");
        let url = material.url(&server, &name);
        // What was written earlier must not be flushed on the clock; which of the two goes first changes.
        for turn in [round % 2, 1 - round % 2] {
            flush()?;
            let seconds = match turn {
                0 => timed(
                    Command::new("dd")
                        .arg(format!("if={}", material.path.display()))
                        .arg(format!("of={}", copy.display()))
                        .args(["bs=1M", "conv=fsync", "status=none"]),
                )?,
                _ => {
                    let answered = timed(curl().arg("-T").arg(&material.path).arg(&url))?;
                    all[4].seconds.push(answered);
                    answered + timed(Command::new("sync").arg(folder.join("mlartifacts").join(&name).join(FILE)))?
                }
            };
            all[turn].seconds.push(seconds);
        }
        remove(&copy)?;
        for turn in [round % 2, 1 - round % 2] {
            let seconds = match turn {
                0 => cat(&material.path)?,
                _ => timed(curl().args(["-o", "/dev/null"]).arg(&url))?,
            };
            all[2 + turn].seconds.push(seconds);
        }
        if round == 0 {
            material.same(&url, &copy)?;
        }
        timed(curl().args(["-o", "/dev/null", "-X", "DELETE"]).arg(&url))?;
        tell(part, &all);
    }
    section.about.push(format!(
        "{}; one file of {} MB that does not compress, in the page cache; the folder is on the same disk; ratios are medians of the \
         rounds' ratios, for a disk's speed changes within minutes",
        version(Kind::Trackway)?,
        material.bytes / 1_000_000
    ));
    section.about.push(
        "Up: `curl -T` to the artifact route and then `sync` of the file that it made, since the route answers when the file is whole but not yet \
         on disk, against `dd bs=1M conv=fsync` to a file; what the client waits for stands in a row of its own; down: \
         `curl -o /dev/null` against `curl -o /dev/null` of a socket that `cat` writes to"
            .to_owned(),
    );
    section.rows.push(material.row("up, to the disk", &all[1], &all[0], LOCAL_FLOOR));
    section.rows.push(Row {
        name: "up, until the answer".to_owned(),
        unit: "MB/s".to_owned(),
        ours: material.rate(&all[4]),
        other: None,
        floor: Floor::None,
    });
    section.rows.push(material.row("down", &all[3], &all[2], LOCAL_FLOOR));
    section.rows.push(memory.row()?);
    server.stop()?;
    Ok(section)
}

pub fn s3(run: &Run) -> Result<Section> {
    let part = "artifacts-s3";
    if !["up", "down", "memory"].iter().any(|row| run.wanted(part, row)) {
        return Ok(Section::default());
    }
    let material = Material::make(run)?;
    let python = Kind::Mlflow.program()?;
    let copy = run.scratch.join("copy");
    let mut memories = Vec::new();
    let names = ["up, boto3", "up, rclone", "up, curl", "down, boto3", "down, rclone", "down, curl"];
    let mut all = names.map(|name| Times { name, seconds: Vec::new() });
    for round in 0..run.rounds {
        // A bucket of each round's own: what was deleted from the last one's is still on disk, and would be tidied up now.
        let bucket = SeaweedFs::start()?;
        bucket.create_bucket(BUCKET)?;
        let variables = variables(&bucket);
        let setup = Setup {
            arguments: vec!["--artifacts-destination".to_owned(), format!("s3://{BUCKET}/root")],
            variables: variables.clone(),
            ..Default::default()
        };
        let server = Server::start_as(Kind::Trackway, &run.folder(&format!("{part}-{round}"))?, true, &setup)?;
        let memory = Memory::watch(server.pid())?;
        let url = material.url(&server, "artifact");
        for up in [true, false] {
            for turn in 0..3 {
                // Who goes first changes.
                let turn = (turn + round) % 3;
                flush()?;
                let seconds = match turn {
                    0 => boto3(&python, &variables, up, &material.path, &copy)?,
                    1 => rclone(&variables, up, &material.path, &copy)?,
                    _ if up => timed(curl().arg("-T").arg(&material.path).arg(&url))?,
                    _ => timed(curl().arg("-o").arg(&copy).arg(&url))?,
                };
                if !up && round == 0 {
                    let status = Command::new("cmp").arg(&material.path).arg(&copy).status()?;
                    ensure!(status.success(), "what {} fetched is not what was sent", names[3 + turn]);
                }
                remove(&copy)?;
                all[if up { turn } else { 3 + turn }].seconds.push(seconds);
            }
        }
        memories.push(memory.row()?);
        server.stop()?;
        tell(part, &all);
    }
    let mut section = Section::default();
    section.about.push(format!(
        "{}; one file of {} MB that does not compress, in the page cache; SeaweedFS on the same machine and disk, a new one in each round; \
         ratios are medians of the rounds' ratios",
        version(Kind::Trackway)?,
        material.bytes / 1_000_000
    ));
    section.about.push(
        "Up: `curl -T` through Trackway, down: `curl -o FILE` through it; against boto3's `upload_file` and `download_file` (MLflow's client; \
         its transfer configuration of 10 threads and parts of 8 MiB; the time within the call, without starting Python) and `rclone copyto` \
         with 4 streams, both straight to SeaweedFS"
            .to_owned(),
    );
    section.about.push("Through the proxy every byte crosses one more pair of sockets, on cores that client, server and SeaweedFS share".to_owned());
    for (client, up, down) in [("boto3", 0, 3), ("rclone", 1, 4)] {
        section.rows.push(material.row(&format!("up, against {client}"), &all[2], &all[up], S3_FLOOR));
        section.rows.push(material.row(&format!("down, against {client}"), &all[5], &all[down], S3_FLOOR));
    }
    section.rows.extend(memories.into_iter().reduce(|a, b| if a.ours > b.ours { a } else { b }));
    Ok(section)
}

fn tell(part: &str, all: &[Times]) {
    for times in all {
        eprintln!("  {part} {:<20} {:>7.2} s", times.name, times.seconds.last().unwrap_or(&f64::NAN));
    }
}

/// The file that is sent.
struct Material {
    path: PathBuf,
    bytes: u64,
}

impl Material {
    fn make(run: &Run) -> Result<Material> {
        let path = run.scratch.join("material");
        let bytes: u64 = if run.small { 128_000_000 } else { 1_000_000_000 };
        if !path.exists() {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            let mut random = Random(1);
            for _ in 0..bytes / 8 {
                file.write_all(&random.next().to_le_bytes())?;
            }
            file.flush()?;
        }
        Ok(Material { path, bytes })
    }

    fn url(&self, server: &Server, name: &str) -> String {
        format!("http://{}{ROUTE}/{name}/{FILE}", server.address)
    }

    /// What the server gives back is what was sent to it.
    fn same(&self, url: &str, copy: &Path) -> Result<()> {
        timed(curl().arg("-o").arg(copy).arg(url))?;
        let status = Command::new("cmp").arg(&self.path).arg(copy).status()?;
        ensure!(status.success(), "the artifact fetched from {url} is not what was sent");
        remove(copy)
    }

    fn rate(&self, times: &Times) -> f64 {
        self.bytes as f64 / 1e6 / median(times.seconds.clone())
    }

    fn row(&self, name: &str, ours: &Times, other: &Times, least: f64) -> Row {
        let ratios = other.seconds.iter().zip(&ours.seconds).map(|(other, ours)| other / ours).collect();
        let who = other.name.split_once(", ").map_or(other.name, |(_, who)| who);
        Row {
            name: name.to_owned(),
            unit: "MB/s".to_owned(),
            ours: self.rate(ours),
            other: Some((who.to_owned(), self.rate(other))),
            floor: Floor::Ratio { is: median(ratios), least },
        }
    }
}

fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
    curl
}

/// Wall time of a program, which has to succeed.
fn timed(command: &mut Command) -> Result<f64> {
    let program = command.get_program().display().to_string();
    let begin = Instant::now();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be run; install it"))?;
    let seconds = begin.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, said.trim());
    Ok(seconds)
}

fn flush() -> Result<()> {
    timed(&mut Command::new("sync")).map(drop)
}

/// `cat FILE` straight into the socket from which curl reads: what the machine can do.
fn cat(path: &Path) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let path = path.to_owned();
    let sender = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        read_head(&mut stream)?;
        let length = fs::metadata(&path)?.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
        let status = Command::new("cat").arg(&path).stdout(OwnedFd::from(stream)).status()?;
        ensure!(status.success(), "cat ended with {status}");
        Ok(())
    });
    let seconds = timed(curl().args(["-o", "/dev/null"]).arg(format!("http://{address}/")))?;
    match sender.join() {
        Ok(sent) => sent?,
        Err(_) => bail!("the thread that runs cat panicked"),
    }
    Ok(seconds)
}

fn read_head(stream: &mut TcpStream) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 1 << 16, "curl sent no request");
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

fn variables(bucket: &SeaweedFs) -> Vec<(String, String)> {
    [
        ("MLFLOW_S3_ENDPOINT_URL", bucket.endpoint()),
        ("AWS_ENDPOINT_URL", bucket.endpoint()),
        ("AWS_ACCESS_KEY_ID", bucket.access_key().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", bucket.secret_key().to_owned()),
        ("AWS_REGION", bucket.region().to_owned()),
        ("AWS_DEFAULT_REGION", bucket.region().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The client that MLflow uses, with the transfer configuration that it has by default.
fn boto3(python: &Path, variables: &[(String, String)], up: bool, file: &Path, copy: &Path) -> Result<f64> {
    let script = "import sys, time, boto3\n\
                  client = boto3.client('s3')\n\
                  way, bucket, file = sys.argv[1:]\n\
                  begin = time.perf_counter()\n\
                  if way == 'up': client.upload_file(file, bucket, 'boto3/model.bin')\n\
                  else: client.download_file(bucket, 'boto3/model.bin', file)\n\
                  print(time.perf_counter() - begin)";
    let (way, file) = if up { ("up", file) } else { ("down", copy) };
    let mut command = Command::new(python);
    command.args(["-c", script, way, BUCKET]).arg(file).envs(variables.iter().map(|(n, v)| (n, v)));
    let output = command.output().with_context(|| format!("cannot run {}", python.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "boto3 ended with {}: {}", output.status, said.trim());
    String::from_utf8_lossy(&output.stdout).trim().parse().context("boto3's time is no number")
}

fn rclone(variables: &[(String, String)], up: bool, file: &Path, copy: &Path) -> Result<f64> {
    let mut command = Command::new(programs::linked("rclone", "rclone")?);
    let remote = format!(":s3,provider=SeaweedFS,env_auth=true:{BUCKET}/rclone/model.bin");
    let (from, to) = if up { (file.as_os_str(), remote.as_ref()) } else { (remote.as_ref(), copy.as_os_str()) };
    command.args(["copyto", "--config", "/dev/null", "--retries", "1"]).arg(from).arg(to);
    timed(command.envs(variables.iter().map(|(n, v)| (n, v))))
}

/// How far the memory of a process grows, by the kernel's own high-water mark.
struct Memory {
    pid: u32,
    before: f64,
}

impl Memory {
    fn watch(pid: u32) -> Result<Memory> {
        // Sets the mark to what is resident now.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the mark of a process's memory")?;
        Ok(Memory { pid, before: megabytes(pid, "VmRSS:")? })
    }

    fn row(&self) -> Result<Row> {
        let most = megabytes(self.pid, "VmHWM:")?;
        Ok(Row {
            name: format!("memory, above {:.1} MB when idle", self.before),
            unit: "MB".to_owned(),
            ours: most - self.before,
            other: None,
            floor: Floor::AtMost(MEMORY_FLOOR),
        })
    }
}

fn megabytes(pid: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("no such field")?;
    Ok(kilobytes * 1024.0 / 1e6)
}
