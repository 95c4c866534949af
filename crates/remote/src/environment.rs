//! Where the settings and credentials of clouds are looked up: the process's environment, or a given one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Environment variables. By default those of the process, read when they are asked for.
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<String, String>>>);

impl Environment {
    /// Only these variables: nothing of the process's own environment counts.
    pub fn only<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Environment {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Environment(Some(Arc::new(variables.collect())))
    }

    /// Gives a variable its value if it has none.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.get(name).is_none() {
            let variables = self.0.get_or_insert_with(|| {
                let own = std::env::vars_os();
                let own = own.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
                Arc::new(own.collect())
            });
            Arc::make_mut(variables).insert(name.to_owned(), value.into());
        }
    }

    /// The value of a variable. One that is set but empty counts as not set.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether a variable says yes, as MLflow reads them.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// A path in which a leading `~` means the home directory.
    pub fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(path),
        }
    }
}

impl std::fmt::Debug for Environment {
    /// Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Environment(given)" } else { "Environment(process)" })
    }
}
