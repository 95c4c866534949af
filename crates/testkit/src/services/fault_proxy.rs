//! A TCP proxy of our own that does harm on the way: it delays, cuts, garbles, refuses and swallows. What is
//! set holds for all connections until something else is set, or for the next one alone.
//!
//! ```no_run
//! # fn main() -> trackway_testkit::Result {
//! # use std::time::Duration;
//! # use trackway_testkit::services::{FaultProxy, fault_proxy::Faults};
//! let proxy = FaultProxy::start("127.0.0.1:5432")?;
//! proxy.set(Faults { delay: Duration::from_millis(50), ..Faults::default() })?;
//! // The next connection ends when the server has sent a thousand bytes; those after it live.
//! proxy.next(Faults { cut_down: Some(1000), ..Faults::default() });
//! // Nothing listens any more, and who is connected is cut.
//! proxy.set(Faults { refuse: true, ..Faults::default() })?;
//! proxy.cut_all();
//! proxy.set(Faults::default())?;
//! # Ok(()) }
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::ports::{self, Port};
use super::{Service, unknown, yes_or_no};
use crate::Result;

/// What happens to a connection. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Each piece waits so long, in either direction.
    pub delay: Duration,
    /// The connection ends when the client has sent so many bytes; those still arrive.
    pub cut_up: Option<u64>,
    /// The connection ends when the server has sent so many bytes; those still arrive.
    pub cut_down: Option<u64>,
    /// Of what the client sends the byte at this place, counted from the connection's beginning, arrives as another.
    pub corrupt_up: Option<u64>,
    /// The same of what the server sends.
    pub corrupt_down: Option<u64>,
    /// Nobody listens: a connection is refused. As one of `next`: it is accepted and ended at once.
    pub refuse: bool,
    /// Connections are accepted, and stay open, but nothing gets through until this is set no more.
    pub black_hole: bool,
}

impl Faults {
    /// `delay=MILLISECONDS cut-up=BYTES cut-down=BYTES corrupt-up=BYTE corrupt-down=BYTE refuse=yes black-hole=yes`
    fn read(options: &[(&str, &str)]) -> Result<Self> {
        let mut faults = Self::default();
        for (name, value) in options {
            let number = || value.parse::<u64>().with_context(|| format!("{name}={value} should be a number"));
            match *name {
                "delay" => faults.delay = Duration::from_millis(number()?),
                "cut-up" => faults.cut_up = Some(number()?),
                "cut-down" => faults.cut_down = Some(number()?),
                "corrupt-up" => faults.corrupt_up = Some(number()?),
                "corrupt-down" => faults.corrupt_down = Some(number()?),
                "refuse" => faults.refuse = yes_or_no(name, value)?,
                "black-hole" => faults.black_hole = yes_or_no(name, value)?,
                _ => return unknown(name),
            }
        }
        Ok(faults)
    }
}

#[derive(Debug)]
pub struct FaultProxy {
    port: Port,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    next: VecDeque<Faults>,
    /// Both ends of each connection that lives, by its number.
    open: BTreeMap<u64, [TcpStream; 2]>,
    accepted: u64,
    /// Whether somebody listens: what `set` waits for when it starts or ends refusing.
    listening: bool,
    ended: bool,
}

impl FaultProxy {
    /// In front of `127.0.0.1:5432`, say. It does no harm until it is told to.
    pub fn start(target: &str) -> Result<Self> {
        let port = ports::reserve()?;
        let shared = Arc::new(Shared {
            target: target.trim_start_matches("http://").to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (accepting, number) = (shared.clone(), port.number);
        let accepting = thread::spawn(move || accept_all(&accepting, number));
        let proxy = Self { port, shared, accepting: Some(accepting) };
        proxy.wait_for("listens", |state| state.listening)?;
        Ok(proxy)
    }

    /// `target=HOST:PORT`, and the faults to begin with.
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        let (target, faults): (Vec<_>, Vec<_>) = options.iter().partition(|(name, _)| *name == "target");
        let [(_, target)] = target.as_slice() else {
            bail!("The proxy needs target=HOST:PORT");
        };
        let faults = Faults::read(&faults)?;
        let proxy = Self::start(target)?;
        proxy.set(faults)?;
        Ok(proxy)
    }

    /// `127.0.0.1:4000`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// From now on, and until it is set again. Delay, black hole and the bounds, counted from a
    /// connection's beginning, hold for open connections too, unless they came under a `next`.
    pub fn set(&self, faults: Faults) -> Result {
        let refuse = faults.refuse;
        let refused = std::mem::replace(&mut self.shared.lock().faults, faults).refuse;
        self.shared.changed.notify_all();
        if refuse && !refused {
            // So that whoever accepts looks up.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number));
        }
        self.wait_for("has changed", |state| state.listening != refuse)
    }

    /// For the next connection that comes; called again, for the one after it.
    pub fn next(&self, faults: Faults) {
        self.shared.lock().next.push_back(faults);
    }

    /// Ends the connections that are open.
    pub fn cut_all(&self) {
        let open = std::mem::take(&mut self.shared.lock().open);
        open.values().for_each(cut);
        self.shared.changed.notify_all();
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// How many connections have been made so far.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&State) -> bool) -> Result {
        let waiting =
            self.shared.changed.wait_timeout_while(self.shared.lock(), Duration::from_secs(20), |state| !holds(state));
        let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        if !holds(&state) {
            bail!("It cannot be seen that the proxy at {} {what}", self.address());
        }
        Ok(())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        self.cut_all();
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Service for FaultProxy {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("FAULT_PROXY_ADDRESS", self.address())]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        let faults = |words: &[&str]| {
            let pairs =
                words.iter().map(|word| word.split_once('=').with_context(|| format!("{word} should be NAME=VALUE")));
            Faults::read(&pairs.collect::<Result<Vec<_>>>()?)
        };
        match words {
            ["set", words @ ..] => self.set(faults(words)?)?,
            ["next", words @ ..] => self.next(faults(words)?),
            ["cut-all"] => self.cut_all(),
            ["count"] => return Ok(json!({"open": self.open(), "accepted": self.accepted()})),
            _ => bail!("The proxy can be told: set FAULT=…, next FAULT=…, cut-all, count"),
        }
        Ok(Value::Null)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn listening(&self, listening: bool) {
        self.lock().listening = listening;
        self.changed.notify_all();
    }
}

/// Accepts until the proxy ends; without a listener while it refuses.
fn accept_all(shared: &Arc<Shared>, port: u16) {
    loop {
        let mut state = shared.lock();
        while state.faults.refuse && !state.ended {
            state = shared.wait(state);
        }
        if state.ended {
            return;
        }
        drop(state);
        // The port is reserved for us, so that this fails only for reasons that `wait_for` shows.
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { return };
        shared.listening(true);
        for client in listener.incoming().map_while(Result::ok) {
            let state = shared.lock();
            if state.ended {
                return;
            }
            if state.faults.refuse {
                break;
            }
            drop(state);
            let shared = shared.clone();
            thread::spawn(move || connect(&shared, client));
        }
        drop(listener);
        shared.listening(false);
    }
}

/// Takes a connection through its life.
fn connect(shared: &Arc<Shared>, client: TcpStream) {
    let (number, own) = {
        let mut state = shared.lock();
        state.accepted += 1;
        (state.accepted, state.next.pop_front())
    };
    if own.as_ref().is_some_and(|own| own.refuse) {
        return;
    }
    let Ok(server) = TcpStream::connect(&shared.target) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let pair = || Some([client.try_clone().ok()?, server.try_clone().ok()?]);
    let (Some(kept), Some(up), Some(down)) = (pair(), pair(), pair()) else { return };
    shared.lock().open.insert(number, kept);
    let [from_client, to_server] = up;
    let [to_client, from_server] = down;
    let way = |own, bound, garbled| Way { shared: shared.clone(), number, own, bound, garbled };
    let way_up = way(own.clone(), |faults| faults.cut_up, |faults| faults.corrupt_up);
    let way_down = way(own, |faults| faults.cut_down, |faults| faults.corrupt_down);
    thread::scope(|scope| {
        scope.spawn(|| way_up.carry(from_client, to_server));
        scope.spawn(|| way_down.carry(from_server, to_client));
    });
    shared.lock().open.remove(&number);
}

/// One direction of a connection.
struct Way {
    shared: Arc<Shared>,
    number: u64,
    /// What a `next` has set for this connection.
    own: Option<Faults>,
    bound: fn(&Faults) -> Option<u64>,
    garbled: fn(&Faults) -> Option<u64>,
}

impl Way {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut carried = 0;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let got = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The other side has gone for good, and learns so of this one.
                Err(_) => return self.cut(),
            };
            let Some(faults) = self.passed() else { return self.cut() };
            let left = (self.bound)(&faults).map_or(u64::MAX, |bound| bound.saturating_sub(carried));
            let may_pass = usize::try_from(left).unwrap_or(usize::MAX).min(got);
            let place = (self.garbled)(&faults).and_then(|place| usize::try_from(place.checked_sub(carried)?).ok());
            if let Some(byte) = place.and_then(|place| piece.get_mut(..may_pass)?.get_mut(place)) {
                *byte ^= 1;
            }
            if to.write_all(&piece[..may_pass]).is_err() {
                return self.cut();
            }
            carried += may_pass as u64;
            if may_pass < got || (self.bound)(&faults) == Some(carried) {
                return self.cut();
            }
        }
        // Only this direction is at its end.
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Waits as long as a piece has to. `None` when the connection has ended meanwhile.
    fn passed(&self) -> Option<Faults> {
        let came = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let faults = self.own.as_ref().unwrap_or(&state.faults);
            let left = faults.delay.saturating_sub(came.elapsed());
            if state.ended || !state.open.contains_key(&self.number) {
                return None;
            }
            if !faults.black_hole && left.is_zero() {
                return Some(faults.clone());
            }
            let timeout = if faults.black_hole { Duration::from_secs(1) } else { left };
            let waiting = self.shared.changed.wait_timeout(state, timeout);
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn cut(&self) {
        let open = self.shared.lock().open.remove(&self.number);
        open.iter().for_each(cut);
        self.shared.changed.notify_all();
    }
}

fn cut(ends: &[TcpStream; 2]) {
    for end in ends {
        // It may have ended by itself.
        let _ = end.shutdown(Shutdown::Both);
    }
}
