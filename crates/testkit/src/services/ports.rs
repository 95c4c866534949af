//! Free ports of 127.0.0.1. They lie below those that the system gives to outgoing connections, so
//! that nothing else takes one between our look and the service's start; our own processes keep
//! out of each other's way by a locked file for each port.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::bail;

use crate::Result;

const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// Ours until it is dropped, also while nobody listens there.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _lock: File,
}

pub fn reserve() -> Result<Port> {
    let folder = std::env::temp_dir().join(format!("trackway-ports-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir_all(&folder)?;
    let random = RandomState::new();
    for attempt in 0..1000_u16 {
        let number = FIRST + u16::try_from(random.hash_one(attempt) % u64::from(COUNT))?;
        let lock = File::create(folder.join(number.to_string()))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
            return Ok(Port { number, _lock: lock });
        }
    }
    bail!("None of a thousand ports from {FIRST} on is free")
}

/// Whether somebody listens there.
pub fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
