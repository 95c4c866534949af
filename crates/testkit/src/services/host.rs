//! Named services, told what to do by lines of words; and the one host that a run's tests share.
//!
//! ```text
//! start NAME [OPTION=VALUE …]   starts it, unless it runs; {"name": …, "variables": {…}}
//! stop NAME                     ends it and removes its data
//! list                          {"services": {NAME: {"variables": {…}}}}
//! NAME WORD…                    tells a service: `postgres crash`; {"told": …}
//! end                           ends all of them and the host
//! ```
//!
//! Whatever goes wrong is answered `{"error": …}`. The lines are the same on the standard input of
//! `cargo xtask services run` and on the socket of `cargo xtask services start` and `cargo xtask
//! test`, which tests find by TRACKWAY_TEST_SERVICES or at its usual place.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};

use super::{NAMES, Service, programs};
use crate::Result;

/// Names the socket of the host that the tests of a run share.
pub const SOCKET: &str = "TRACKWAY_TEST_SERVICES";

/// Longer than any service takes to start.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

type Slot = Arc<Mutex<Option<Box<dyn Service>>>>;

/// The services that run, by their names. `end` ends them, and so does dropping the last clone.
#[derive(Clone, Default)]
pub struct Host {
    services: Arc<Mutex<BTreeMap<String, Slot>>>,
    ended: Arc<(Mutex<bool>, Condvar)>,
}

impl Host {
    /// Does what a line says, and answers in one value.
    pub fn tell(&self, line: &str) -> Value {
        let words: Vec<_> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["start", name, options @ ..] => self.start(name, options),
            ["stop", name] => self.stop(name),
            ["list"] => Ok(self.list()),
            ["end"] => {
                self.stop_all();
                Ok(json!({"ended": true}))
            }
            [name, words @ ..] => self.told(name, words),
            [] => Err(anyhow!("Say start NAME, stop NAME, list, or NAME and what it is to do")),
        };
        answer.unwrap_or_else(|error| json!({"error": format!("{error:#}")}))
    }

    fn start(&self, name: &str, options: &[&str]) -> Result<Value> {
        if !NAMES.contains(&name) {
            bail!("There is no service {name}; there are: {}", NAMES.join(", "));
        }
        let mut pairs = Vec::new();
        for option in options {
            pairs.push(option.split_once('=').with_context(|| format!("{option} should be OPTION=VALUE"))?);
        }
        // Only this service is locked while it starts: others can be asked for at the same time.
        let slot = lock(&self.services).entry(name.to_owned()).or_default().clone();
        let mut slot = lock(&slot);
        let service = match &mut *slot {
            Some(_) if !pairs.is_empty() => bail!("{name} runs already, so it takes no options"),
            Some(service) => service,
            empty => empty.insert(super::start(name, &pairs)?),
        };
        Ok(json!({"name": name, "variables": variables(service.as_ref())}))
    }

    fn stop(&self, name: &str) -> Result<Value> {
        let slot = lock(&self.services).remove(name).with_context(|| format!("{name} does not run"))?;
        drop(lock(&slot).take());
        Ok(json!({"stopped": name}))
    }

    fn list(&self) -> Value {
        let slots: Vec<_> = lock(&self.services).iter().map(|(name, slot)| (name.clone(), slot.clone())).collect();
        let running = slots
            .iter()
            .filter_map(|(name, slot)| Some((name.clone(), json!({"variables": variables(lock(slot).as_deref()?)}))));
        json!({"services": running.collect::<Map<_, _>>()})
    }

    fn told(&self, name: &str, words: &[&str]) -> Result<Value> {
        let slot = lock(&self.services).get(name).cloned().with_context(|| format!("{name} does not run"))?;
        let mut slot = lock(&slot);
        let service = slot.as_mut().with_context(|| format!("{name} does not run"))?;
        Ok(json!({"told": service.tell(words)?}))
    }

    /// Does what a line says, and passes the answer on; who is told to end ends after that.
    pub fn answer(&self, line: &str, pass_on: impl FnOnce(&Value) -> io::Result<()>) -> io::Result<()> {
        let answer = self.tell(line);
        let passed_on = pass_on(&answer);
        if answer.get("ended").is_some() {
            self.end();
        }
        passed_on
    }

    /// Ends all services, and lets `wait` return.
    pub fn end(&self) {
        self.stop_all();
        *lock(&self.ended.0) = true;
        self.ended.1.notify_all();
    }

    /// Ends all services, waiting for one that is just starting.
    fn stop_all(&self) {
        let slots = std::mem::take(&mut *lock(&self.services));
        thread::scope(|scope| {
            for slot in slots.values() {
                scope.spawn(|| drop(lock(slot).take()));
            }
        });
    }

    /// Returns when somebody has ended the host.
    pub fn wait(&self) {
        let (ended, changed) = &*self.ended;
        let guard = changed.wait_while(lock(ended), |ended| !*ended);
        drop(guard.unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers whoever connects to the socket, in threads of its own.
    pub fn listen(&self, socket: &Path) -> Result {
        let listener = UnixListener::bind(socket).with_context(|| format!("{} cannot be made", socket.display()))?;
        let host = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let host = host.clone();
                thread::spawn(move || {
                    let Ok(mut answers) = stream.try_clone() else { return };
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        if host.answer(&line, |answer| writeln!(answers, "{answer}")).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Ok(())
    }
}

/// Where the host of `cargo xtask services start` listens.
pub fn usual_socket() -> Result<PathBuf> {
    Ok(programs::cache()?.join("socket"))
}

/// Says one line to the host at this socket.
pub fn ask(socket: &Path, line: &str) -> Result<Value> {
    let what = || format!("The host of the services at {} does not answer", socket.display());
    let mut stream = UnixStream::connect(socket).with_context(what)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    writeln!(stream, "{line}").with_context(what)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).with_context(what)?;
    let answer: Value = serde_json::from_str(&answer).with_context(what)?;
    match answer["error"].as_str() {
        Some(error) => bail!("{error}"),
        None => Ok(answer),
    }
}

/// A service that is shared.
pub(super) struct Shared<S> {
    pub variables: BTreeMap<String, String>,
    /// The service itself, if this process had to start it: it ends with the last one that holds it.
    pub own: Option<Arc<S>>,
}

/// The service of this name that is shared: by the tests of this run, else on this machine, else
/// only in this process.
pub(super) fn shared<S: Service>(
    name: &str,
    own: &Mutex<Weak<S>>,
    start: impl FnOnce() -> Result<S>,
) -> Result<Shared<S>> {
    let socket = match env::var_os(SOCKET) {
        Some(socket) => Some(PathBuf::from(socket)),
        None => Some(usual_socket()?).filter(|socket| UnixStream::connect(socket).is_ok()),
    };
    if let Some(socket) = socket {
        let answer = ask(&socket, &format!("start {name}"))?;
        return Ok(Shared { variables: serde_json::from_value(answer["variables"].clone())?, own: None });
    }
    let mut own = lock(own);
    let service = match own.upgrade() {
        Some(service) => service,
        None => {
            let service = Arc::new(start()?);
            *own = Arc::downgrade(&service);
            service
        }
    };
    let variables = service.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Shared { variables, own: Some(service) })
}

fn variables(service: &dyn Service) -> Map<String, Value> {
    service.variables().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
