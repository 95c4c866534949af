//! Hadoop 2.7 for the service `hdfs`: its own archives are in no package registry, but an old release of
//! PySpark carries the jars of the servers with it. They are kept in the cache; the rest of the 220 MB is not.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use trackway_testkit::services::{hdfs, programs};

use crate::project::Project;
use crate::{debian, process};

/// The last release whose jars are of Hadoop 2.7.3 with its servers, by name and sum.
const PYSPARK: &str = "pyspark==2.4.8 --hash=sha256:3a19b71b8dc8dd91ebc943604a05e1ab01bce052456d42937035632d852d78dc\n";

/// What its setup.py runs with.
const BUILD_TOOLS: [&str; 2] = ["setuptools==69.5.1", "wheel==0.45.1"];

const JARS: [&str; 31] = [
    "activation-1.1.1",
    "commons-cli-1.2",
    "commons-codec-1.10",
    "commons-collections-3.2.2",
    "commons-configuration-1.6",
    "commons-httpclient-3.1",
    "commons-io-2.4",
    "commons-lang-2.6",
    "commons-logging-1.1.3",
    "guava-14.0.1",
    "hadoop-annotations-2.7.3",
    "hadoop-auth-2.7.3",
    "hadoop-common-2.7.3",
    "hadoop-hdfs-2.7.3",
    "htrace-core-3.1.0-incubating",
    "httpclient-4.5.6",
    "httpcore-4.4.10",
    "jackson-core-asl-1.9.13",
    "jackson-mapper-asl-1.9.13",
    "javax.servlet-api-3.1.0",
    "jaxb-api-2.2.2",
    "jetty-6.1.26",
    "jetty-util-6.1.26",
    "leveldbjni-all-1.8",
    "log4j-1.2.17",
    "netty-3.9.9.Final",
    "netty-all-4.1.47.Final",
    "protobuf-java-2.5.0",
    "slf4j-api-1.7.16",
    "slf4j-log4j12-1.7.16",
    "xmlenc-0.52",
];

/// What PySpark leaves out: WebHDFS is made with Jersey 1, and a DataNode is a daemon of Commons.
const PACKAGES: [(&str, &str); 5] = [
    ("libjersey1-core-java", "jersey1-core.jar"),
    ("libjersey1-server-java", "jersey1-server.jar"),
    ("libjersey1-servlet-java", "jersey1-servlet.jar"),
    ("libjsr311-api-java", "jsr311-api.jar"),
    ("libcommons-daemon-java", "commons-daemon.jar"),
];

/// Installs Java where there is none, and the jars in the cache.
pub fn install(project: &Project) -> Result<()> {
    debian::ensure("java", "-version", &["default-jre-headless"], project.ci)?;
    let cache = programs::cache()?;
    let folder = cache.join(hdfs::JARS);
    // Two runs at a time: the second waits, and then finds it made.
    let guard = File::create(cache.join("hadoop.lock"))?;
    guard.lock()?;
    if folder.join("complete").exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    from_debian(&folder, project.ci)?;
    from_pyspark(&folder, project.ci)?;
    fs::write(folder.join("complete"), "")?;
    Ok(())
}

fn from_debian(folder: &Path, ci: bool) -> Result<()> {
    let at = |jar: &str| Path::new("/usr/share/java").join(jar);
    let missing: Vec<_> = PACKAGES.iter().filter(|(_, jar)| !at(jar).is_file()).map(|(package, _)| *package).collect();
    if !missing.is_empty() {
        debian::install(&missing, ci)?;
    }
    for (package, jar) in PACKAGES {
        fs::copy(at(jar), folder.join(jar)).with_context(|| format!("The package {package} brought no {jar}"))?;
    }
    Ok(())
}

fn from_pyspark(folder: &Path, ci: bool) -> Result<()> {
    let has_venv = process::output(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if has_venv.is_err() {
        debian::install(&["python3", "python3-venv"], ci)?;
    }
    eprintln!("installing Hadoop 2.7.3 from a Python package (220 MB, once)");
    // Where a folder is emptied that an interrupted run has left.
    let work = folder.join("download");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir(&work)?;
    process::run(Command::new("python3").args(["-m", "venv"]).arg(work.join("venv")), ci)?;
    let pip = || {
        let mut pip = Command::new(work.join("venv/bin/python"));
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]).current_dir(&work);
        pip
    };
    process::run(pip().arg("install").args(BUILD_TOOLS), ci)?;
    fs::write(work.join("requirements.txt"), PYSPARK)?;
    let as_it_is = ["download", "--no-cache-dir", "--no-deps", "--no-build-isolation", "--no-binary=:all:"];
    process::run(pip().args(as_it_is).args(["--require-hashes", "--dest=.", "-r", "requirements.txt"]), ci)?;
    let members = JARS.iter().map(|jar| format!("pyspark-2.4.8/deps/jars/{jar}.jar"));
    let mut unpack = Command::new("tar");
    unpack.args(["-xzf", "pyspark-2.4.8.tar.gz", "--strip-components=3", "-C"]).arg(folder).args(members);
    process::run(unpack.current_dir(&work), ci)?;
    fs::remove_dir_all(&work)?;
    let found = fs::read_dir(folder)?.filter_map(Result::ok);
    let found = found.filter(|entry| entry.path().extension() == Some(OsStr::new("jar"))).count();
    if found != JARS.len() + PACKAGES.len() {
        bail!("{} has {found} jars; remove it and install again", folder.display());
    }
    Ok(())
}
