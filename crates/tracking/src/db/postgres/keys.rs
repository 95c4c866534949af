//! Numbers of metric names, shared by all connections of this server.
//!
//! A name that this server does not know yet is not looked up inside the transaction that needs it: two transactions
//! that invent the same names in different orders would wait for each other, and a second connection might have to wait
//! until this one is done. The transaction is given up instead, the names are looked up and stored by statements of
//! their own, and it runs again. Names are never deleted, so that a number once given is remembered for ever, and a name
//! whose transaction then fails does no harm.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{RwLock, RwLockWriteGuard};

use crate::db::request::MetricKeys;
use crate::db::{Conn, params};
use crate::error::{Error, Result};

/// Past this many names the memory starts anew: names come from outside and may be without number.
const MOST: usize = 100_000;

#[derive(Default)]
pub(super) struct Keys {
    known: RwLock<HashMap<String, u32>>,
}

/// The names as one transaction sees them.
#[derive(Default)]
pub(super) struct Wanted {
    names: RefCell<BTreeSet<String>>,
}

pub(super) struct Lookup<'a> {
    pub(super) keys: &'a Keys,
    pub(super) wanted: &'a Wanted,
}

impl Wanted {
    /// Names that are not known: the transaction that asked for them is worth nothing.
    pub(super) fn take(&self) -> Vec<String> {
        self.names.take().into_iter().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.borrow().is_empty()
    }
}

impl MetricKeys for Lookup<'_> {
    fn intern(&self, _: &Conn, name: &str) -> Result<u32> {
        if let Some(id) = self.keys.known.read().unwrap_or_else(|poison| poison.into_inner()).get(name) {
            return Ok(*id);
        }
        self.wanted.names.borrow_mut().insert(name.to_owned());
        // Any number will do: all that is written with it is rolled back.
        Ok(0)
    }

    fn are_known(&self) -> bool {
        self.wanted.is_empty()
    }
}

impl Keys {
    /// Finds or gives the numbers of names, outside of any transaction. `names` is sorted, so that two who store the
    /// same ones at once do not wait in a circle.
    pub(super) fn learn(&self, db: &Conn, names: Vec<String>) -> Result<()> {
        let missing = self.find(db, names)?;
        if missing.is_empty() {
            return Ok(());
        }
        db.execute(
            "INSERT INTO trackway.metric_key (name) SELECT unnest(?1) ON CONFLICT DO NOTHING",
            params![missing.clone()],
        )?;
        match self.find(db, missing)?.first() {
            None => Ok(()),
            Some(name) => Err(Error::Storage(format!("The metric name '{name}' could not be stored."))),
        }
    }

    /// Remembers what is stored, and returns the rest.
    fn find(&self, db: &Conn, names: Vec<String>) -> Result<Vec<String>> {
        let stored: HashMap<String, u32> = db
            .rows("SELECT name, id FROM trackway.metric_key WHERE name = ANY(?1)", params![names.clone()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .into_iter()
            .collect();
        let missing = names.into_iter().filter(|name| !stored.contains_key(name)).collect();
        let mut known = self.known();
        if known.len() + stored.len() > MOST {
            known.clear();
        }
        known.extend(stored);
        Ok(missing)
    }

    fn known(&self) -> RwLockWriteGuard<'_, HashMap<String, u32>> {
        self.known.write().unwrap_or_else(|poison| poison.into_inner())
    }
}
