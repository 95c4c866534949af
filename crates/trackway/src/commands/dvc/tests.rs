//! The grammar against DVC 3.67.1's: every command, every spelling of every flag, and what stock's parser says of mistakes.

use std::ffi::OsString;

use super::context::Style;
use super::{table, whole, words};

/// What a flag takes.
const NUMBER: &str = "=<n>";

/// A line for each command that is built: its words, arguments that satisfy it, and its flags, `/` between the spellings, `=` behind
/// those with a value (`=<n>` a number).
const FLAGS: &[(&str, &str, &str)] = &[
    ("add", "x y", "--no-commit --glob -o/--out= --to-remote -r/--remote= --remote-jobs=<n> -f/--force --no-relink"),
    ("cache dir", "x", "--global --system --project --local -u/--unset"),
    ("cache dir", "", ""),
    ("cache migrate", "", "--dvc-files --dry"),
    ("check-ignore", "x", "-d/--details -a/--all -n/--non-matching --stdin"),
    ("checkout", "x y", "--summary -d/--with-deps -R/--recursive -f/--force --relink --allow-missing"),
    ("checkout", "", ""),
    ("commit", "x y", "-f/--force -d/--with-deps -R/--recursive --no-relink"),
    ("completion", "", "-s/--shell=bash"),
    ("config", "core.remote x", "--global --system --project --local -u/--unset -l/--list --show-origin"),
    ("config", "", ""),
    (
        "data status",
        "x y",
        "--json --granular --unchanged --untracked-files -r/--remote= --not-in-remote --no-remote-refresh",
    ),
    ("data status", "x", "--untracked-files=all"),
    (
        "pull",
        "x y",
        "-j/--jobs=<n> -r/--remote= -a/--all-branches -T/--all-tags -A/--all-commits -f/--force -d/--with-deps -R/--recursive \
         --run-cache --no-run-cache --glob --allow-missing",
    ),
    (
        "push",
        "x y",
        "-j/--jobs=<n> -r/--remote= -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps -R/--recursive \
         --run-cache --no-run-cache --glob",
    ),
    (
        "fetch",
        "x y",
        "-j/--jobs=<n> -r/--remote= -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps -R/--recursive \
         --run-cache --no-run-cache --max-size=<n> --type=metrics --type=plots",
    ),
    (
        "status",
        "x y",
        "-j/--jobs=<n> -c/--cloud -r/--remote= -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps \
         -R/--recursive --json --no-updates",
    ),
    ("destroy", "", "-f/--force"),
    ("diff", "a b", "--targets= --json --show-hash --md --hide-missing"),
    ("diff", "", ""),
    ("du", ". x", "--rev= -s/--summarize --config= --remote= --remote-config=a=b"),
    ("freeze", "x y", ""),
    ("unfreeze", "x y", ""),
    (
        "gc",
        "",
        "-w/--workspace --rev= -n/--num=<n> -a/--all-branches -T/--all-tags -A/--all-commits --date= --all-experiments \
         --not-in-remote -c/--cloud -r/--remote= --skip-failed -f/--force -j/--jobs=<n> -p/--projects= --dry",
    ),
    ("get", ". x", "-o/--out= --rev= --show-url -j/--jobs=<n> -f/--force --config= --remote= --remote-config=a=b"),
    ("get-url", "x", "-j/--jobs=<n> -f/--force --fs-config=a=b"),
    (
        "import",
        ". x",
        "-o/--out= --rev= -f/--force --no-exec --no-download -j/--jobs=<n> --config= --remote= --remote-config=a=b",
    ),
    (
        "import-url",
        "x",
        "--to-remote -r/--remote= --no-exec --no-download -j/--jobs=<n> -f/--force --version-aware --fs-config=a=b",
    ),
    ("list-url", "x", "-R/--recursive -T/--tree -L/--level=<n> --size --fs-config=a=b"),
    ("ls-url", "x", "-R/--recursive -T/--tree -L/--level=<n> --size --fs-config=a=b"),
    ("update", "x", "--rev= -R/--recursive --to-remote -r/--remote= --no-download -j/--jobs=<n>"),
    ("git-hook pre-commit", "x", ""),
    ("git-hook post-checkout", "x y 1", ""),
    ("git-hook pre-push", "x", ""),
    ("git-hook merge-driver", "--ancestor=a --our=b --their=c", ""),
    ("init", "x", "--no-scm -f/--force --subdir"),
    ("init", "", ""),
    ("install", "", "--use-pre-commit-tool"),
    (
        "list",
        ". x",
        "-R/--recursive -T/--tree -L/--level=<n> --dvc-only --json --rev= --config= --remote= --remote-config=a=b --size \
         --show-hash",
    ),
    ("ls", ".", ""),
    ("move", "x y", ""),
    ("mv", "x y", ""),
    ("remote add", "x y", "--global --system --project --local -d/--default -f/--force"),
    ("remote default", "x", "--global --system --project --local -u/--unset"),
    ("remote modify", "x y z", "--global --system --project --local -u/--unset"),
    ("remote list", "", "--global --system --project --local"),
    ("remote remove", "x", "--global --system --project --local"),
    ("remote rename", "x y", "--global --system --project --local"),
    ("remove", "x y", "--outs"),
    ("rm", "x", ""),
    ("root", "", ""),
    ("unprotect", "x y", ""),
    ("version", "", ""),
    ("doctor", "", ""),
];

/// What every command takes beside its own.
const COMMON: &str = "-q/--quiet -v/--verbose --cprofile --cprofile-dump= --yappi --yappi-separate-threads --viztracer \
     --viztracer-depth=<n> --viztracer-async --pdb --instrument --instrument-open --show-stack/--ss";

/// The result of parsing one line with the called command's own parser.
fn parse(line: &str) -> Result<clap::ArgMatches, String> {
    let mut words = line.split_whitespace().map(OsString::from);
    let name = words.next().unwrap_or_default();
    let name = name.to_str().ok_or("not a name")?;
    let rest: Vec<OsString> = words.collect();
    let command = table::find(Style::Dvc, name).ok_or_else(|| format!("no command {name}"))?;
    let built = command.built.ok_or_else(|| format!("{name} is not built"))?;
    let parser = (built.arguments)(words::with_common(clap::Command::new(command.name)));
    match words::parse(&parser, &rest, true) {
        words::Parsed::Matches(matches) => Ok(matches),
        words::Parsed::Help(_) => Err("help".to_owned()),
        words::Parsed::Mistake(mistake) => Err(mistake.message),
        words::Parsed::Raw(error) => Err(error.to_string()),
    }
}

/// A flag with a value for each way to write it.
fn spellings(flag: &str) -> Vec<String> {
    let (names, value) = match flag.split_once('=') {
        None => (flag, None),
        Some((names, _)) if flag.ends_with(NUMBER) => (names, Some("-1")),
        Some((names, "")) => (names, Some("v")),
        Some((names, value)) => (names, Some(value)),
    };
    let mut out = Vec::new();
    for name in names.split('/') {
        match value {
            None => out.push(name.to_owned()),
            Some(value) => {
                // One that may take several values would swallow what follows; it stands last.
                out.push(format!("{name} {value}"));
                let glued = if name.starts_with("--") { format!("{name}={value}") } else { format!("{name}{value}") };
                out.push(glued);
            }
        }
    }
    out
}

#[test]
fn every_flag_of_stock_is_accepted() {
    for (command, arguments, flags) in FLAGS {
        assert!(parse(&format!("{command} {arguments}")).is_ok(), "{command} {arguments}");
        for flag in flags.split_whitespace().chain(COMMON.split_whitespace()) {
            for spelling in spellings(flag) {
                let line = format!("{command} {arguments} {spelling}");
                if let Err(message) = parse(&line) {
                    panic!("{line}: {message}");
                }
            }
        }
    }
}

#[test]
fn nothing_else_is_accepted() {
    for (command, arguments, _) in FLAGS {
        for extra in ["--nonsense", "-Z", "--cd=x", "--wait-for-lock", "--version"] {
            // There, as in stock, it is short for --version-aware.
            if (*command, extra) == ("import-url", "--version") {
                continue;
            }
            let line = format!("{command} {arguments} {extra}");
            assert!(parse(&line).is_err(), "{line}");
        }
    }
}

#[test]
fn every_command_of_stock_is_known() {
    // The order is that of stock's own message.
    let known = "add artifacts cache check-ignore checkout commit completion config daemon dag data pull push fetch status dataset ds \
         destroy diff du experiments exp freeze unfreeze gc get get-url git-hook import import-db test-db import-url init install \
         list ls list-url ls-url metrics move mv params plots queue remote remove rm repro root stage studio unprotect update \
         version doctor";
    assert_eq!(table::names().collect::<Vec<_>>(), known.split_whitespace().collect::<Vec<_>>());
    for name in table::COMMANDS.iter().filter(|command| command.built.is_some()).map(|command| command.name) {
        assert!(
            FLAGS.iter().any(|(line, _, _)| line.split(' ').next() == Some(name)),
            "{name} is not in the table above"
        );
    }
}

/// Recorded from stock.
#[test]
fn mistakes_are_told_as_stock_tells_them() {
    for (line, message) in [
        ("add", "the following arguments are required: targets"),
        ("add --nope --zip x", "unrecognized arguments: --nope --zip"),
        ("add -V", "the following arguments are required: targets"),
        ("checkout --re", "ambiguous option: --re could match --recursive, --relink"),
        ("checkout --force=1", "argument -f/--force: ignored explicit argument '1'"),
        ("push -j x", "argument -j/--jobs: invalid int value: 'x'"),
        ("push -j", "argument -j/--jobs: expected one argument"),
        ("push --remote-a b", "unrecognized arguments: --remote-a"),
        ("remote", "the following arguments are required: cmd"),
        (
            "remote foo",
            "argument cmd: invalid choice: 'foo' (choose from 'add', 'default', 'modify', 'list', 'remove', 'rename')",
        ),
        ("remote add x", "the following arguments are required: url"),
        ("remote add --global --local x y", "argument --local: not allowed with argument --global"),
        ("remote add --local --global x y", "argument --global: not allowed with argument --local"),
        ("completion -s fish", "argument -s/--shell: invalid choice: 'fish' (choose from 'bash', 'zsh')"),
        (
            "config a",
            "argument name: name argument should look like remote.name.option or db.name.option or section.option",
        ),
        ("git-hook merge-driver", "the following arguments are required: --ancestor, --our, --their"),
        ("fetch --type x", "argument --type: invalid choice: 'x' (choose from 'metrics', 'plots')"),
        (
            "list . --remote-config a=",
            "argument --remote-config: Could not parse argument \"['a=']\" as k1=v1 k2=v2 ... format",
        ),
        ("init a b", "unrecognized arguments: b"),
    ] {
        assert_eq!(parse(line).map(drop), Err(message.to_owned()), "{line}");
    }
}

#[test]
fn long_flags_may_be_cut_short_where_one_fits() {
    for (line, flag) in
        [("push --all-b", "all_branches"), ("checkout --summ", "summary"), ("checkout --allow", "allow_missing")]
    {
        assert!(parse(line).is_ok_and(|matches| matches.get_flag(flag)), "{line}");
    }
}

#[test]
fn the_last_of_two_wins() {
    let jobs = |line: &str| parse(line).ok().and_then(|matches| matches.get_one::<i64>("jobs").copied());
    assert_eq!(jobs("push -j 1 -j 2"), Some(2));
    let run_cache = |line: &str| parse(line).is_ok_and(|matches| matches.get_flag("run_cache"));
    assert!(run_cache("push --no-run-cache --run-cache") && !run_cache("push --run-cache --no-run-cache"));
}

#[test]
fn all_parsers_are_sound() {
    for style in [Style::Dvc, Style::Trackway] {
        whole(style).debug_assert();
    }
    for command in table::COMMANDS {
        if let Some(built) = command.built {
            (built.arguments)(words::with_common(clap::Command::new(command.name))).debug_assert();
        }
    }
}
