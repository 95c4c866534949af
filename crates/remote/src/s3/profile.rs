//! The shared configuration of the AWS tools: `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::options::S3Options;

/// Settings by section. What is indented below `s3 =` is called `s3.addressing_style`.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Debug, Default)]
pub(super) struct Profiles {
    config: Sections,
    credentials: Sections,
    /// The one to be used.
    pub name: String,
    /// Whether somebody named it: then it has to exist.
    pub is_named: bool,
}

impl Profiles {
    pub async fn read(options: &S3Options, environment: &Environment) -> Result<Profiles, String> {
        let place = |given: &Option<PathBuf>, variable: &str, usual: &str| {
            let named = || environment.get(variable).map(|path| environment.expand(&path));
            given.clone().or_else(named).or_else(|| environment.home().map(|home| home.join(".aws").join(usual)))
        };
        let config = place(&options.config_file, "AWS_CONFIG_FILE", "config");
        let credentials = place(&options.credentials_file, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
        if let Some(missing) = options.credentials_file.as_ref().filter(|path| !path.exists()) {
            return Err(format!("the credentials file '{}' is not there", missing.display()));
        }
        let named = options.profile.clone().or_else(|| environment.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        Ok(Profiles {
            config: sections(config.as_deref()).await?,
            credentials: sections(credentials.as_deref()).await?,
            is_named: named.is_some(),
            name: named.unwrap_or_else(|| "default".to_owned()),
        })
    }

    pub fn exists(&self, name: &str) -> bool {
        self.credentials.contains_key(name) || self.config_section(name).is_some()
    }

    /// A setting of a profile. Of both files the one with the credentials goes before.
    pub fn get(&self, profile: &str, name: &str) -> Option<&str> {
        let credentials = self.credentials.get(profile).and_then(|section| section.get(name));
        let found = credentials.or_else(|| self.config_section(profile)?.get(name));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting of another kind of section: `sso-session NAME`, `services NAME`.
    pub fn other(&self, kind: &str, name: &str, setting: &str) -> Option<&str> {
        self.config.get(&format!("{kind} {name}"))?.get(setting).map(String::as_str)
    }

    fn config_section(&self, profile: &str) -> Option<&BTreeMap<String, String>> {
        let section = self.config.get(&format!("profile {profile}"));
        section.or_else(|| (profile == "default").then(|| self.config.get("default"))?)
    }
}

async fn sections(path: Option<&Path>) -> Result<Sections, String> {
    let Some(path) = path else { return Ok(Sections::new()) };
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Sections::new()),
        Err(error) => Err(format!("'{}' cannot be read: {error}", path.display())),
    }
}

fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let (mut section, mut above) = (None::<String>, String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // Spaces count as one, and names may be quoted.
            let name = name.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect::<Vec<_>>().join(" ");
            sections.entry(name.clone()).or_default();
            section = Some(name);
            continue;
        }
        let (Some(section), Some((name, value))) = (&section, trimmed.split_once('=')) else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let settings = sections.entry(section.clone()).or_default();
        if line.starts_with([' ', '\t']) {
            settings.insert(format!("{above}.{name}"), value);
        } else {
            above.clone_from(&name);
            settings.insert(name, value);
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sections_as_the_aws_tools_do() {
        let text = "# a comment\n[default]\nregion=eu-1\n[profile  \"my work\"]\nregion = us-2\ns3 =\n  addressing_style = path\n[sso-session s]\nsso_region = x\n";
        let profiles = Profiles {
            config: parse(text),
            credentials: parse("[work2]\naws_access_key_id = A\n"),
            ..Profiles::default()
        };
        assert_eq!(profiles.get("default", "region"), Some("eu-1"));
        assert_eq!(profiles.get("my work", "s3.addressing_style"), Some("path"));
        assert_eq!(profiles.get("work2", "aws_access_key_id"), Some("A"));
        assert_eq!(profiles.other("sso-session", "s", "sso_region"), Some("x"));
        assert!(!profiles.exists("sso-session s") && profiles.exists("my work"));
    }
}
