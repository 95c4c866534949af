//! Tests of the whole folder on real files. What stock DVC does with the same commands is compared in compat/.

use std::path::{Path, PathBuf};

use super::*;

struct Place {
    dir: tempfile::TempDir,
    env: Environment,
}

impl Place {
    fn new(config: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repo");
        std::fs::create_dir_all(root.join(".dvc")).unwrap();
        std::fs::write(root.join(".dvc/config"), config).unwrap();
        let var = |name: &str, sub: &str| (name.to_owned(), dir.path().join(sub).to_string_lossy().into_owned());
        let vars =
            [var("DVC_SYSTEM_CONFIG_DIR", "system"), var("DVC_GLOBAL_CONFIG_DIR", "global"), var("HOME", "home")];
        let env = Environment::new(vars, None, root);
        Place { dir, env }
    }

    fn dvc_dir(&self) -> PathBuf {
        self.env.cwd.join(".dvc")
    }

    fn levels(&self) -> Levels {
        Levels::open(Some(&self.dvc_dir()), &self.env).unwrap()
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(Some(&self.dvc_dir()), &self.env)
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.env.cwd.join(file)).unwrap()
    }

    fn path(&self, sub: &str) -> String {
        self.dir.path().join(sub).to_string_lossy().into_owned()
    }
}

fn name(text: &str) -> OptionName {
    OptionName::parse(text).unwrap()
}

#[test]
fn defaults_of_an_empty_configuration() {
    let place = Place::new("");
    let config = place.load().unwrap();
    assert_eq!(config.cache_types(), ["reflink", "copy"]);
    assert_eq!(config.cache_dir(), Some(place.dvc_dir().join("cache")));
    assert!(config.analytics() && config.check_update() && config.cache_slow_link_warning());
    assert!(!config.no_scm() && !config.autostage() && !config.hardlink_lock() && !config.cache_shared_group());
    assert_eq!((config.core_remote(), config.checksum_jobs()), (None, None));
    assert_eq!(config.site_cache_dir(), Path::new("/var/tmp/dvc"));
}

#[test]
fn a_fresh_remote_is_written_as_dvc_writes_it() {
    let place = Place::new("");
    let mut levels = place.levels();
    levels.remote_add("Up", "../store", true, false, None).unwrap();
    levels.set(&name("cache.type"), "hardlink,copy", None).unwrap();
    assert_eq!(
        place.text(".dvc/config"),
        "[core]\n    remote = up\n[cache]\n    type = \"hardlink,copy\"\n['remote \"up\"']\n    url = ../../store\n"
    );
    let config = place.load().unwrap();
    assert_eq!(config.cache_types(), ["hardlink", "copy"]);
    assert_eq!(config.remote("UP").unwrap().url, place.path("store"));
    levels.remote_remove("up", None).unwrap();
    levels.unset(&name("cache.type"), None).unwrap();
    assert_eq!(place.text(".dvc/config"), "\n");
    assert_eq!(place.text(".dvc/config.local"), "\n");
}

#[test]
fn edits_keep_comments_and_everything_untouched() {
    let text = "# ours\n[Core]\n  remote = 'a'   # the default\n  autostage=true\n\n# far away\n['remote \"a\"']\n\turl = \
                s3://b/c # bucket\n";
    let place = Place::new(text);
    let mut levels = place.levels();
    levels.set(&name("core.autostage"), "false", None).unwrap();
    levels.remote_modify("a", "region", Some("x"), None).unwrap();
    levels.remote_add("b", "/x, y", false, false, None).unwrap();
    let expected = "# ours\n[Core]\n  remote = 'a'   # the default\n  autostage=false\n\n# far away\n['remote \
                    \"a\"']\n\turl = s3://b/c # bucket\n\tregion = x\n['remote \"b\"']\n    url = \"/x, y\"\n";
    assert_eq!(place.text(".dvc/config"), expected);
    levels.remote_rename("a", "c", None).unwrap();
    assert_eq!(place.text(".dvc/config"), expected.replace("remote \"a\"", "remote \"c\"").replace("'a'   #", "c   #"));
    levels.set(&name("cache.dir"), "/cache", None).unwrap();
    assert!(place.text(".dvc/config").contains("autostage=false\n[cache]\n    dir = /cache\n\n# far away\n"));
}

#[test]
fn errors_are_in_the_words_of_dvc() {
    let wrong = [
        ("[core]\nzzz = 1\n", "extra keys not allowed @ data['core']['zzz']"),
        ("[zzz]\na = 1\n", "extra keys not allowed @ data['zzz']"),
        ("[core]\nanalytics = 1\n", "expected true or false for dictionary value @ data['core']['analytics']"),
        (
            "[core]\nchecksum_jobs = 0\n",
            "value must be at least 1 for dictionary value @ data['core']['checksum_jobs']",
        ),
        ("[core]\nchecksum_jobs = x\n", "expected int for dictionary value @ data['core']['checksum_jobs']"),
        ("[cache]\ntype = a,b\n", "Unsupported cache type(s): a, b for dictionary value @ data['cache']['type']"),
        ("[cache]\nshared = all\n", "expected one of group for dictionary value @ data['cache']['shared']"),
        ("['remote \"a\"']\nuser = x\n", "expected 'url' for dictionary value @ data['remote']['a']"),
        ("['remote \"a\"']\nurl = ftp://x\n", "Unsupported URL type ftp:// for dictionary value @ data['remote']['a']"),
        ("['remote \"a\"']\nurl = s3://x\nport = 1\n", "extra keys not allowed @ data['remote']['a']['port']"),
        (
            "[hydra]\nconfig_dir = a\nconfig_module = b\n",
            "two or more values in the same group of exclusion 'config_source' @ data['hydra'][<config_source>]",
        ),
    ];
    for (text, message) in wrong {
        let error = Place::new(text).load().unwrap_err();
        assert_eq!(error.report(), format!("configuration error - config file error: {message}"), "{text}");
        assert_eq!(error.exit_code(), 251);
    }
    let error = Place::new("[core]\nanalitics = true\n").load().unwrap_err();
    assert_eq!(error.nearest(), Some("analytics"));
    let error = Place::new("[core\n").load().unwrap_err();
    let twice = "Invalid line ('[core') (matched as neither section nor keyword) at line 1.";
    assert_eq!(error.report(), format!("configuration error - config file error: {twice}: {twice}"));
    let error = Place::new("cache = 5\n").load().unwrap_err();
    assert_eq!(error.report(), "unexpected error - expected a dictionary for dictionary value @ data['cache']");
    assert_eq!(error.exit_code(), 255);
}

#[test]
fn a_wrong_value_is_not_written() {
    let place = Place::new("");
    let mut levels = place.levels();
    assert!(levels.set(&name("core.autostage"), "maybe", None).is_err());
    assert_eq!(place.text(".dvc/config"), "");
    // Stock DVC empties the file here.
    assert!(levels.remote_add("a\"b'", "x", false, false, None).is_err());
    assert_eq!(place.text(".dvc/config"), "");
}

#[test]
fn levels_shadow_each_other() {
    let place = Place::new("[core]\nremote = repo\nautostage = true\n");
    let mut levels = place.levels();
    levels.set(&name("core.remote"), "user", Some(Level::Global)).unwrap();
    levels.set(&name("core.checksum_jobs"), "3", Some(Level::System)).unwrap();
    levels.set(&name("core.remote"), "mine", Some(Level::Local)).unwrap();
    let config = place.load().unwrap();
    assert_eq!((config.core_remote(), config.checksum_jobs(), config.autostage()), (Some("mine"), Some(3), true));
    let lines: Vec<String> = levels.list(None, true).unwrap().iter().map(Listed::line).collect();
    assert_eq!(lines[0], format!("{}\tcore.checksum_jobs=3", place.path("system/config")));
    assert_eq!(lines[4], ".dvc/config.local\tcore.remote=mine");
    assert_eq!(levels.get(&name("core.remote"), None, false).unwrap().unwrap().line(), "mine");
    let outside = Levels::open(None, &place.env).unwrap();
    assert_eq!(outside.get(&name("core.remote"), None, false).unwrap().unwrap().line(), "user");
    assert!(outside.get(&name("core.remote"), Some(Level::Repo), false).is_err());
}

#[test]
fn remotes_refer_to_remotes() {
    let place = Place::new(
        "['remote \"server\"']\nurl = ssh://localhost\nuser = root\nask_password = true\n['remote \"images\"']\nurl = \
         remote://server/tmp/pictures\nuser = alice\n['remote \"loop\"']\nurl = remote://loop/x\n",
    );
    let config = place.load().unwrap();
    let images = config.remote("images").unwrap();
    assert_eq!((images.url.as_str(), images.scheme.as_str()), ("ssh://localhost/tmp/pictures", "ssh"));
    assert_eq!((images.text("user"), images.flag("ask_password")), (Some("alice"), Some(true)));
    assert_eq!(config.remote("loop").unwrap_err().exit_code(), 255);
    let error = config.remote_or_default(None, "push", "/r").unwrap_err();
    assert_eq!(
        error.report(),
        "configuration error - config file error: no remote specified in /r. Setup default remote with\n    dvc remote \
         default <remote name>\nor use:\n    dvc push -r <remote name>"
    );
    assert_eq!(
        config.remote("nope").unwrap_err().report(),
        "configuration error - config file error: remote 'nope' doesn't exist"
    );
}

#[test]
fn settings_of_user_and_repository() {
    let place = Place::new("");
    let dvc_dir = place.dvc_dir();
    let dir = Some(dvc_dir.as_path());
    settings::set(settings::Scope::User, "cache.max_size", Some("1.5T"), dir, &place.env).unwrap();
    settings::set(settings::Scope::Repo, "cache.trash_grace", Some("7d"), dir, &place.env).unwrap();
    settings::set(settings::Scope::Repo, "cache.keep_commits", Some("3"), dir, &place.env).unwrap();
    let read = Settings::load(dir, &place.env).unwrap();
    assert_eq!(read.max_size, Some(3 << 39));
    assert_eq!(read.trash_grace, Some(std::time::Duration::from_secs(7 * 86400)));
    assert_eq!((read.keep_commits, read.auto), (Some(3), None));
    assert_eq!(place.text(".dvc/trackway.ini"), "[cache]\n    trash_grace = 7d\n    keep_commits = 3\n");
    let error = settings::set(settings::Scope::Repo, "cache.max_sise", Some("1G"), dir, &place.env).unwrap_err();
    assert_eq!(error.to_string(), "There is no setting cache.max_sise. Did you mean cache.max_size?");
    let error = settings::set(settings::Scope::Repo, "cache.max_size", Some("much"), dir, &place.env).unwrap_err();
    assert!(
        error.to_string().ends_with("cache.max_size cannot be \"much\". Give it a size such as 200G, 1.5T or 500M.")
    );
    std::fs::write(dvc_dir.join("trackway.ini"), "[cache]\nkeep = 3\n").unwrap();
    assert!(Settings::load(dir, &place.env).unwrap_err().to_string().contains("unknown setting cache.keep"));
}

proptest::proptest! {
    /// Whatever stands in the file: an answer or an error, never a panic.
    #[test]
    fn any_file_is_read_or_refused(text in "(\\[core\\]\n|'remote \"a\"'|[ \\[\\]=,\"'#%()a-z\n]){0,40}") {
        let place = Place::new(&text);
        let _ = place.load();
        if let Ok(mut levels) = Levels::open(Some(&place.dvc_dir()), &place.env) {
            let _ = levels.set(&name("core.remote"), "x", None);
            let _ = levels.remote_add("a", "y", true, true, None);
        }
    }
}
