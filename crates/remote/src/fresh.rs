//! What expires: keys and tokens, looked for once and again shortly before they end.

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use crate::fault::Fault;
use crate::options::Secret;

/// How long before its end a thing counts as old.
const EARLY: Duration = Duration::from_secs(300);

pub(crate) trait Expires {
    fn expires(&self) -> Option<SystemTime>;
}

/// An access token (OAuth).
pub(crate) struct Bearer {
    pub token: Secret,
    pub expires: Option<SystemTime>,
}

impl Expires for Bearer {
    fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

pub(crate) struct Fresh<T> {
    value: RwLock<Option<Arc<T>>>,
    finding: tokio::sync::Mutex<()>,
}

impl<T> Default for Fresh<T> {
    fn default() -> Fresh<T> {
        Fresh { value: RwLock::new(None), finding: tokio::sync::Mutex::new(()) }
    }
}

impl<T: Expires> Fresh<T> {
    /// What is there and fresh, else what `find` finds: once, whoever else is waiting.
    pub async fn get(&self, find: impl Future<Output = Result<T, String>>) -> Result<Arc<T>, Fault> {
        if let Some(value) = self.current() {
            return Ok(value);
        }
        let _one_at_a_time = self.finding.lock().await;
        if let Some(value) = self.current() {
            return Ok(value);
        }
        let value = Arc::new(find.await.map_err(Fault::NoCredentials)?);
        *self.value.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Arc::clone(&value));
        Ok(value)
    }

    pub fn forget(&self) {
        *self.value.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }

    fn current(&self) -> Option<Arc<T>> {
        let value = self.value.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let soon = SystemTime::now() + EARLY;
        value.clone().filter(|value| value.expires().is_none_or(|expires| expires > soon))
    }
}
