//! Hadoop's HDFS 2.7: a NameNode and a DataNode with their native protocol (`hdfs://`) and WebHDFS.
//!
//! Who starts it is the superuser. Nobody else may write below `/`, which is what must be refused is
//! tested with.

use std::fs;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::daemon::{Daemon, Launch, READY_WITHIN, run};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::new_name;
use super::{Service, host, programs, unknown};
use crate::Result;
use crate::client::Client;

/// The folder in the cache that `cargo xtask services install hdfs` puts Hadoop's jars in.
pub const JARS: &str = "hadoop-2.7.3";

/// Small, so that a test's file has several blocks.
const BLOCK_SIZE: u64 = 4 << 20;

/// The user that clients are by default: the one who started the servers, who is the superuser.
const SUPERUSER: &str = "trackway";

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The size of new files' blocks in bytes.
    pub block_size: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { block_size: BLOCK_SIZE }
    }
}

impl Options {
    fn read(options: &[(&str, &str)]) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in options {
            match *name {
                "block-size" => read.block_size = value.parse().context("block-size=BYTES needs a number")?,
                _ => unknown(name)?,
            }
        }
        Ok(read)
    }
}

#[derive(Debug)]
pub struct Hdfs {
    namenode: Option<Daemon>,
    datanode: Option<Daemon>,
    ports: [Port; 5],
    folder: Folder,
}

/// What the ports are for, in their order.
const NAMENODE: usize = 0;
const WEB: usize = 1;
const DATA: usize = 2;
const DATA_IPC: usize = 3;
const DATA_WEB: usize = 4;

impl Hdfs {
    pub fn start(options: Options) -> Result<Self> {
        let folder = Folder::new("hdfs")?;
        let ports = [ports::reserve()?, ports::reserve()?, ports::reserve()?, ports::reserve()?, ports::reserve()?];
        let mut hdfs = Self { namenode: None, datanode: None, ports, folder };
        hdfs.configure(options)?;
        run(hdfs.tool("org.apache.hadoop.hdfs.server.namenode.NameNode")?.args(["-format", "-nonInteractive"]), "")?;
        hdfs.restart()?;
        Ok(hdfs)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        Self::start(Options::read(options)?)
    }

    /// `hdfs://127.0.0.1:8020`
    pub fn url(&self) -> String {
        format!("hdfs://{}", self.address(NAMENODE))
    }

    /// `webhdfs://127.0.0.1:50070`
    pub fn web_url(&self) -> String {
        format!("webhdfs://{}", self.address(WEB))
    }

    /// With core-site.xml and hdfs-site.xml: HADOOP_CONF_DIR.
    pub fn conf_dir(&self) -> String {
        self.folder.join("conf").display().to_string()
    }

    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// Ends the NameNode by `kill -9`.
    pub fn crash_namenode(&mut self) -> Result {
        self.namenode.take().context("The NameNode is not running")?.kill()
    }

    /// Ends the DataNode by `kill -9`.
    pub fn crash_datanode(&mut self) -> Result {
        self.datanode.take().context("The DataNode is not running")?.kill()
    }

    /// Starts what is not running, on the same data and ports, and returns when files can be written and read.
    pub fn restart(&mut self) -> Result {
        if self.namenode.is_none() {
            self.namenode = Some(self.launch("namenode.NameNode", "namenode.log", NAMENODE)?);
        }
        if self.datanode.is_none() {
            let registered = |hdfs: &Self| hdfs.log("datanode.log").matches("uccessfully registered with NN").count();
            let before = registered(self);
            self.datanode = Some(self.launch("datanode.DataNode", "datanode.log", DATA_WEB)?);
            self.wait("the DataNode to register", |hdfs| registered(hdfs) > before)?;
        }
        let state = Client::new(&format!("http://{}", self.address(WEB)));
        self.wait("the NameNode to leave its safe mode", |_| {
            let state = state.ok("GET", "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState", None);
            state.is_ok_and(|state| {
                state["beans"][0]["FSState"] == "Operational" && state["beans"][0]["NumLiveDataNodes"] == 1
            })
        })
    }

    /// While it is in safe mode, the NameNode changes nothing.
    pub fn safe_mode(&self, on: bool) -> Result {
        let action = if on { "enter" } else { "leave" };
        run(self.tool("org.apache.hadoop.hdfs.tools.DFSAdmin")?.args(["-safemode", action]), "")?;
        Ok(())
    }

    fn address(&self, port: usize) -> String {
        format!("127.0.0.1:{}", self.ports[port].number)
    }

    fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join(name)).unwrap_or_default()).into_owned()
    }

    fn wait(&self, what: &str, ready: impl Fn(&Self) -> bool) -> Result {
        let started = Instant::now();
        while !ready(self) {
            if started.elapsed() > READY_WITHIN {
                bail!("HDFS: {} s were not enough for {what}", READY_WITHIN.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn launch(&self, class: &str, log: &str, port: usize) -> Result<Daemon> {
        let port = self.ports[port].number;
        Launch::new(&programs::system("java", "hdfs")?, &self.folder, false, "KILL")
            .log(self.folder.join(log))
            .args(java_options(&self.conf_dir())?)
            .args([format!("org.apache.hadoop.hdfs.server.{class}")])
            .start(|| ports::answers(port))
    }

    /// One of Hadoop's programs that ends by itself.
    fn tool(&self, class: &str) -> Result<std::process::Command> {
        let mut command = std::process::Command::new(programs::system("java", "hdfs")?);
        command.current_dir(self.folder.path()).args(java_options(&self.conf_dir())?).arg(class);
        Ok(command)
    }

    fn configure(&self, options: Options) -> Result {
        let file = |name: &str| format!("file://{}", self.folder.join(name).display());
        let core = [
            ("fs.defaultFS", self.url()),
            ("hadoop.tmp.dir", self.folder.join("tmp").display().to_string()),
            // A client whose DataNode has gone hears of it now, not after minutes.
            ("ipc.client.connect.max.retries", "1".to_owned()),
        ];
        let hdfs = [
            ("dfs.namenode.rpc-address", self.address(NAMENODE)),
            ("dfs.namenode.http-address", self.address(WEB)),
            ("dfs.datanode.address", self.address(DATA)),
            ("dfs.datanode.ipc.address", self.address(DATA_IPC)),
            ("dfs.datanode.http.address", self.address(DATA_WEB)),
            ("dfs.datanode.hostname", "127.0.0.1".to_owned()),
            ("dfs.client.use.datanode.hostname", "true".to_owned()),
            ("dfs.namenode.datanode.registration.ip-hostname-check", "false".to_owned()),
            ("dfs.namenode.name.dir", file("namenode")),
            ("dfs.datanode.data.dir", file("datanode")),
            ("dfs.replication", "1".to_owned()),
            ("dfs.blocksize", options.block_size.to_string()),
            ("dfs.namenode.fs-limits.min-block-size", "4096".to_owned()),
            ("dfs.namenode.safemode.extension", "0".to_owned()),
            ("dfs.heartbeat.interval", "1".to_owned()),
            ("dfs.permissions.superusergroup", SUPERUSER.to_owned()),
        ];
        fs::create_dir(self.folder.join("conf"))?;
        self.folder.write("conf/core-site.xml", &site(&core))?;
        self.folder.write("conf/hdfs-site.xml", &site(&hdfs))?;
        self.folder.write("conf/log4j.properties", LOGGING)?;
        // The web pages are not in the jar; without the folders there is no WebHDFS either.
        for name in ["hdfs", "datanode"] {
            fs::create_dir_all(self.folder.join(&format!("conf/webapps/{name}/WEB-INF")))?;
            self.folder.write(&format!("conf/webapps/{name}/WEB-INF/web.xml"), "<web-app/>")?;
        }
        Ok(())
    }
}

fn site(properties: &[(&str, String)]) -> String {
    let property =
        |(name, value): &(&str, String)| format!("  <property><name>{name}</name><value>{value}</value></property>\n");
    format!("<configuration>\n{}</configuration>\n", properties.iter().map(property).collect::<String>())
}

const LOGGING: &str = "log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1} %m%n
";

/// Small heaps, a quick start, and the way into the JDK that code of 2016 goes.
fn java_options(conf: &str) -> Result<Vec<String>> {
    let jars = programs::cache()?.join(JARS);
    if !jars.join("complete").exists() {
        bail!("{} is missing; run `cargo xtask services install hdfs`", jars.display());
    }
    let mut options: Vec<String> = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(Into::into).into();
    options.push(format!("-DHADOOP_USER_NAME={SUPERUSER}"));
    options.push("-Dhadoop.home.dir=/".to_owned());
    // Jetty unpacks its pages there, and leaves them behind when it is killed.
    options.push(format!("-Djava.io.tmpdir={conf}"));
    let opened = ["java.lang", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "sun.nio.ch"];
    let opened =
        opened.into_iter().chain(["sun.net.dns", "sun.security.action", "java.util.concurrent", "jdk.internal.ref"]);
    options.extend(opened.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    options.push("--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED".to_owned());
    options.push("--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED".to_owned());
    options.extend(["-cp".to_owned(), format!("{conf}:{}/*", jars.display())]);
    Ok(options)
}

impl Service for Hdfs {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HDFS_URL", self.url()),
            ("WEBHDFS_URL", self.web_url()),
            ("HADOOP_CONF_DIR", self.conf_dir()),
            ("HADOOP_USER_NAME", SUPERUSER.to_owned()),
        ]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash-namenode"] => self.crash_namenode()?,
            ["crash-datanode"] => self.crash_datanode()?,
            ["restart"] => self.restart()?,
            ["safe-mode", "on"] => self.safe_mode(true)?,
            ["safe-mode", "off"] => self.safe_mode(false)?,
            _ => bail!("HDFS can be told: crash-namenode, crash-datanode, restart, safe-mode on, safe-mode off"),
        }
        Ok(Value::Null)
    }
}

/// A place in HDFS, and what a client needs for it.
#[derive(Debug)]
pub struct Place {
    /// `hdfs://127.0.0.1:8020/test-…`
    pub url: String,
    /// `webhdfs://127.0.0.1:50070/test-…`
    pub web_url: String,
    pub conf_dir: String,
    pub user: String,
    _server: Option<Arc<Hdfs>>,
}

/// A folder, not yet made, on the servers that the tests share.
pub fn place() -> Result<Place> {
    static OWN: Mutex<Weak<Hdfs>> = Mutex::new(Weak::new());
    let shared = host::shared("hdfs", &OWN, || Hdfs::start(Options::default()))?;
    let variable = |name: &str| shared.variables.get(name).cloned().with_context(|| format!("HDFS has no {name}"));
    let name = new_name();
    Ok(Place {
        url: format!("{}/{name}", variable("HDFS_URL")?),
        web_url: format!("{}/{name}", variable("WEBHDFS_URL")?),
        conf_dir: variable("HADOOP_CONF_DIR")?,
        user: variable("HADOOP_USER_NAME")?,
        _server: shared.own,
    })
}
