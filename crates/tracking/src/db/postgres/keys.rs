//! Numbers of metric names, shared by all connections of this server.
//!
//! A new name is stored at once, on a connection of its own and outside of the transaction that needs it: transactions
//! that invent the same names in different orders would wait for each other. Names are never deleted, so that a number
//! once given may be remembered for ever, and a name whose transaction fails does no harm.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, RwLock};

use super::PostgresConfig;
use super::session::{Session, reason};
use crate::db::request::MetricKeys;
use crate::db::{Conn, params};
use crate::error::{Error, Result};

/// Past this many names the memory starts anew: names come from outside and may be without number.
const MOST: usize = 100_000;

pub(super) struct Keys {
    config: PostgresConfig,
    known: RwLock<HashMap<String, u32>>,
    connection: Mutex<Option<Conn>>,
}

impl Keys {
    pub(super) fn new(config: &PostgresConfig) -> Keys {
        Keys { config: config.clone(), known: RwLock::default(), connection: Mutex::default() }
    }

    fn connection(&self) -> MutexGuard<'_, Option<Conn>> {
        self.connection.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn give(&self, name: &str) -> Result<u32> {
        let mut held = self.connection();
        if !matches!(&*held, Some(Conn::Postgres(session)) if session.is_alive()) {
            let session = Session::connect(&self.config).map_err(|error| {
                Error::Busy(format!(
                    "The tracking database is not to be reached just now ({}). Send the request again in a moment.",
                    reason(&error)
                ))
            })?;
            *held = Some(Conn::Postgres(session));
        }
        let Some(db) = &*held else { return Err(Error::Storage("There is no connection.".to_owned())) };
        let id = db
            .execute("INSERT INTO trackway.metric_key (name) VALUES (?1) ON CONFLICT DO NOTHING", params![name])
            .and_then(|_| find(db, name));
        match id {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(Error::Storage(format!("The metric name '{name}' could not be stored."))),
            Err(error) => {
                *held = None;
                Err(error)
            }
        }
    }
}

impl MetricKeys for Keys {
    fn intern(&self, db: &Conn, name: &str) -> Result<u32> {
        if let Some(id) = self.known.read().unwrap_or_else(|poison| poison.into_inner()).get(name) {
            return Ok(*id);
        }
        let id = match find(db, name)? {
            Some(id) => id,
            None => self.give(name)?,
        };
        let mut known = self.known.write().unwrap_or_else(|poison| poison.into_inner());
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name.to_owned(), id);
        Ok(id)
    }
}

fn find(db: &Conn, name: &str) -> Result<Option<u32>> {
    db.row("SELECT id FROM trackway.metric_key WHERE name = ?1", params![name], |row| row.get(0))
}
