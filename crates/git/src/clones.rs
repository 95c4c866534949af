//! Repositories elsewhere: cached clones, each fetched from only for what it lacks.
//!
//! A clone is bare and holds single commits as long as names are asked for that the other side knows; for `v1~3` or the
//! beginning of a hash it gets the whole history. All talking is done by the `git` program, so that its credential
//! helpers, ssh's agent and `GIT_TERMINAL_PROMPT` work as the person is used to. Nothing of a URL is kept in a clone. Where
//! nobody is there to answer ([`Clones::asking`]) neither git nor ssh waits for an answer.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::program::OF_ANOTHER_REPOSITORY;
use crate::{CommitId, Error, Git, Result};

/// A clone that nobody asked for in so long is deleted.
const KEPT_UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// What git speaks itself. `ext::` and its like run programs that a URL names.
const SCHEMES: [&str; 9] = ["http", "https", "ssh", "git", "file", "git+ssh", "ssh+git", "ftp", "ftps"];
const TIP: &str = "refs/trackway/tip";
/// What a whole fetch brings, experiments without their book-keeping among it.
const EVERYTHING: [&str; 5] = [
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    "+refs/exps/*:refs/exps/*",
    "^refs/exps/exec/*",
    "^refs/exps/celery/*",
];

/// The folder of one user's clones.
#[derive(Clone, Debug)]
pub struct Clones {
    base: PathBuf,
    asking: bool,
}

impl Clones {
    /// `base` is made when it is needed, and only for this user: clones may be private, and git runs what their
    /// configuration says.
    pub fn at(base: impl Into<PathBuf>) -> Clones {
        Clones { base: base.into(), asking: false }
    }

    /// Whether git and ssh may ask for passwords on the terminal.
    pub fn asking(self, asking: bool) -> Clones {
        Clones { asking, ..self }
    }

    /// Where the clone of a URL lies.
    pub fn place(&self, url: &str) -> PathBuf {
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(url.as_bytes());
        let name = hasher.try_finalize().map_or_else(|_| "collision".to_owned(), |id| id.to_string());
        self.base.join(name)
    }

    /// The repository at `url` with the commit that `rev` names there now, or that its HEAD does.
    pub fn get(&self, url: &str, rev: Option<&str>) -> Result<(Git, CommitId)> {
        refuse_hostile(url, rev)?;
        let place = self.place(url);
        let _lock = self.prepare(&place)?;
        if !place.join("HEAD").is_file() {
            self.run(url, None, &["init", "--quiet", "--bare", "--template="], &[&place.to_string_lossy()])?;
        }
        let open = || {
            Git::discover(&place)?.ok_or_else(|| Error::Open {
                path: place.clone(),
                reason: "it is no repository any more; delete it".to_owned(),
            })
        };
        let rev = rev.filter(|rev| *rev != "HEAD");
        if let Some(hash) = rev.filter(|rev| is_hash(rev)) {
            let git = open()?;
            if let Ok(commit) = git.resolve(hash) {
                return Ok((git, commit));
            }
        }
        // A name that git could take for a pattern or for several refs is resolved here, among all of them.
        if rev.is_none_or(|rev| rev.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+".contains(c))) {
            let refspec = format!("+{}:{TIP}", rev.unwrap_or("HEAD"));
            match self.fetch(url, &place, &["--depth=1", "--no-tags"], &[&refspec]) {
                Ok(()) => {
                    let git = open()?;
                    let commit = git.resolve(TIP)?;
                    return Ok((git, commit));
                }
                // An abbreviated hash, an experiment, a server that knows nothing of single commits.
                Err(Error::Program { reason, .. }) if may_be_there_otherwise(&reason) => {}
                Err(error) => return Err(error),
            }
        }
        let unshallow: &[&str] = if place.join("shallow").exists() { &["--unshallow"] } else { &[] };
        self.fetch(url, &place, &[&["--prune", "--no-tags"], unshallow].concat(), &EVERYTHING)?;
        match rev {
            Some(rev) => {
                let git = open()?;
                // `origin` is what a clone calls the place that it comes from.
                let named = rev.strip_prefix("origin/").filter(|_| git.resolve(rev).is_err()).unwrap_or(rev);
                let commit = git.resolve(named).map_err(|error| match error {
                    Error::UnknownRevision(_) => Error::UnknownRevision(rev.to_owned()),
                    other => other,
                })?;
                Ok((git, commit))
            }
            None => {
                self.fetch(url, &place, &["--no-tags"], &[&format!("+HEAD:{TIP}")])?;
                let git = open()?;
                let commit = git.resolve(TIP)?;
                Ok((git, commit))
            }
        }
    }

    /// The commit that a branch, a tag or HEAD is at there, without fetching it; `None` where only the history tells.
    pub fn ask(&self, url: &str, rev: Option<&str>) -> Result<Option<String>> {
        refuse_hostile(url, rev)?;
        let rev = rev.unwrap_or("HEAD");
        if rev.contains(['*', '?', '[', '~', '^', '@', ':']) {
            return Ok(None);
        }
        let names = [rev.to_owned(), format!("{rev}^{{}}")];
        let output = self.run(url, None, &["ls-remote"], &["--", url, &names[0], &names[1]])?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<(&str, &str)> = answer.lines().filter_map(|line| line.split_once('\t')).collect();
        // ls-remote takes a name for the end of a ref's; of those that are, git prefers tags.
        for full in [rev.to_owned(), format!("refs/{rev}"), format!("refs/tags/{rev}"), format!("refs/heads/{rev}")] {
            let peeled = format!("{full}^{{}}");
            let found = lines.iter().find(|(_, name)| *name == peeled);
            if let Some((id, _)) = found.or_else(|| lines.iter().find(|(_, name)| *name == full)) {
                return Ok(Some((*id).to_owned()));
            }
        }
        Ok(None)
    }

    /// The folder of clones, and the lock on one of them: two commands do not fetch into it at once.
    fn prepare(&self, place: &Path) -> Result<File> {
        let failed = |error: std::io::Error| Error::Open { path: self.base.clone(), reason: error.to_string() };
        std::fs::create_dir_all(&self.base).map_err(failed)?;
        let meta = std::fs::symlink_metadata(&self.base).map_err(failed)?;
        // Whoever else could write here could have git run programs in this user's name.
        let own = rustix::process::geteuid().as_raw();
        if !meta.is_dir() || meta.uid() != own {
            return Err(Error::Open {
                path: self.base.clone(),
                reason: "it belongs to another user; set DVC_SITE_CACHE_DIR to a folder of your own".to_owned(),
            });
        }
        if meta.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(&self.base, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let path = place.with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        // When it was asked for last.
        lock.set_modified(SystemTime::now()).map_err(failed)?;
        self.forget_unused();
        Ok(lock)
    }

    /// Nothing depends on a clone: what cannot be deleted stays.
    fn forget_unused(&self) {
        let Ok(entries) = std::fs::read_dir(&self.base) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|age| age > KEPT_UNUSED);
            if path.extension().is_none_or(|end| end != "lock") || is_old() != Some(true) {
                continue;
            }
            if let Ok(lock) = File::open(&path)
                && lock.try_lock().is_ok()
            {
                let _ = std::fs::remove_dir_all(path.with_extension(""));
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn fetch(&self, url: &str, place: &Path, options: &[&str], refspecs: &[&str]) -> Result<()> {
        let arguments = [
            &[
                "fetch",
                "--quiet",
                "--force",
                "--no-recurse-submodules",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
            ],
            options,
        ];
        self.run(url, Some(place), &arguments.concat(), &[&["--", url], refspecs].concat()).map(drop)
    }

    /// Runs `git` without a shell, its words as they are given. It may ask on the terminal, if that is allowed, and nowhere else.
    fn run(&self, url: &str, git_dir: Option<&Path>, options: &[&str], arguments: &[&str]) -> Result<Output> {
        let shown = without_password(url);
        let failed = |reason: String| Error::Program {
            command: format!("{} {shown}", options.first().copied().unwrap_or_default()),
            // What git says may hold the URL.
            reason: reason.replace(url, &shown),
        };
        let mut command = Command::new("git");
        for name in OF_ANOTHER_REPOSITORY {
            command.env_remove(name);
        }
        if !self.asking {
            command.env("GIT_TERMINAL_PROMPT", "0");
            // Ssh asks at the terminal whatever its input is, unless a program is to be asked. Git would ask that one too.
            if !is_web(url) && std::env::var_os("SSH_ASKPASS").is_none() {
                command.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
            }
        }
        if let Some(dir) = git_dir {
            command.arg("--git-dir").arg(dir);
        }
        command.args(["-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"]);
        command.args(options).args(arguments);
        command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        match output.status.success() {
            true => Ok(output),
            false => {
                let said = in_one_line(&String::from_utf8_lossy(&output.stderr));
                Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
            }
        }
    }
}

/// All forty digits of a commit.
pub fn is_hash(rev: &str) -> bool {
    rev.len() == 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A URL without the password or token that may stand in it, for messages.
pub fn without_password(url: &str) -> String {
    match password(url).or_else(|| token(url)) {
        Some((start, end)) => format!("{}***{}", &url[..start], &url[end..]),
        None => url.to_owned(),
    }
}

/// Whether anybody who reads the URL could use it in this user's place: it has a password, or a token for a name.
pub fn has_secret(url: &str) -> bool {
    password(url).is_some() || token(url).is_some()
}

/// Where a token stands that is given instead of a name.
fn token(url: &str) -> Option<(usize, usize)> {
    const TOKENS: [&str; 8] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "ATBB"];
    let start = url.find("://")? + 3;
    let (user, _) = url[start..].split(['/', '?', '#']).next()?.rsplit_once('@')?;
    TOKENS.iter().any(|token| user.starts_with(token)).then_some((start, start + user.len()))
}

/// Where the password stands.
fn password(url: &str) -> Option<(usize, usize)> {
    let start = url.find("://")? + 3;
    let host = url[start..].split(['/', '?', '#']).next()?;
    let (user, _) = host.rsplit_once('@')?;
    let colon = user.find(':').filter(|colon| colon + 1 < user.len())?;
    Some((start + colon + 1, start + user.len()))
}

/// Whether git itself talks to the server, and not ssh.
fn is_web(url: &str) -> bool {
    ["http", "https", "ftp", "ftps"]
        .iter()
        .any(|scheme| url.split_once("://").is_some_and(|(found, _)| found.eq_ignore_ascii_case(scheme)))
}

/// No URL and no revision may become an option or a program.
fn refuse_hostile(url: &str, rev: Option<&str>) -> Result<()> {
    let refused = |reason: &str| Err(Error::Refused { url: without_password(url), reason: reason.to_owned() });
    if url.is_empty() || url.chars().any(char::is_control) {
        return refused("it is empty or has control characters in it");
    }
    if let Some((scheme, _)) = url.split_once("::")
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return refused("it asks git for a helper program, as `ext::` does");
    }
    let rest = match url.split_once("://") {
        Some((scheme, _)) if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            return refused("git repositories are reached by https, ssh, git or file");
        }
        Some((_, rest)) => rest,
        None => url,
    };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if url.starts_with('-') || host.starts_with('-') || rest.starts_with('-') {
        return refused("a name that begins with a dash could be taken for an option");
    }
    match rev {
        Some(rev) if rev.is_empty() || rev.starts_with('-') || rev.chars().any(char::is_control) => {
            Err(Error::UnknownRevision(rev.to_owned()))
        }
        _ => Ok(()),
    }
}

fn may_be_there_otherwise(reason: &str) -> bool {
    ["couldn't find remote ref", "shallow", "not our ref", "unadvertised object", "no such remote ref"]
        .iter()
        .any(|words| reason.contains(words))
}

/// What git and ssh said, in one line: the reason without the advice below it.
fn in_one_line(said: &str) -> String {
    const ADVICE: [&str; 5] = [
        "fatal: Could not read from remote repository.",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
        "Warning: Permanently added ",
        "error: unable to read askpass response",
    ];
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let reasons = || lines().filter(|line| !ADVICE.iter().any(|advice| line.starts_with(advice)));
    let mut kept: Vec<&str> = if reasons().next().is_some() { reasons().collect() } else { lines().collect() };
    kept.dedup();
    // A banner may hold anything.
    let line: String = kept.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match ["could not read Username", "could not read Password"].iter().any(|asked| line.contains(asked)) {
        true => format!("{line}; the server asks who you are, and git's credential helpers do not know"),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_urls_are_refused() {
        let hostile = [
            "ext::touch% /tmp/x",
            "fd::17",
            "-oProxyCommand=touch",
            "--upload-pack=touch x",
            "ssh://-oProxyCommand=touch/x",
            "ssh://me@-oProxyCommand=touch/x",
            "me@-oProxyCommand=touch:x",
            "javascript://x",
            "",
            "https://host/\nx",
        ];
        for url in hostile {
            assert!(matches!(refuse_hostile(url, None), Err(Error::Refused { .. })), "{url}");
        }
        for url in ["https://h/x.git", "ssh://git@h:22/x", "git@h:x/y.git", "file:///x", "../x", "git://h/x::y"] {
            assert!(refuse_hostile(url, Some("v1")).is_ok(), "{url}");
        }
        assert!(refuse_hostile("https://h/x", Some("--upload-pack=x")).is_err());
    }

    #[test]
    fn what_git_says_is_one_line() {
        let ssh = "me@host: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n\nPlease make sure \
                   you have the correct access rights\nand the repository exists.\n";
        assert_eq!(in_one_line(ssh), "me@host: Permission denied (publickey).");
        assert_eq!(
            in_one_line("fatal: Could not read from remote repository.\n"),
            "fatal: Could not read from remote repository."
        );
        assert_eq!(in_one_line("remote: no\x1b[2J\nfatal: no\n"), "remote: no [2J; fatal: no");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("https://me:p@ss@h/x@y"), "https://me:***@h/x@y");
        assert_eq!(without_password("https://me@h/x:y@z"), "https://me@h/x:y@z");
        assert_eq!(without_password("git@h:x"), "git@h:x");
        assert_eq!(without_password("https://glpat-12@h/x"), "https://***@h/x");
        assert!(has_secret("https://ghp_1234@h/x") && has_secret("https://a:b@h") && !has_secret("ssh://git@h:22/x"));
    }
}
