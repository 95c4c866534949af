use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use trackway_repo::Error;
use trackway_repo::browse::Info;
use trackway_repo::list::{Branch, ListOptions, Listed};

use super::context::Context;
use super::elsewhere::Elsewhere;
use super::words::int;
use crate::failure::{Failure, as_python};
use crate::terminal::table::{self, Align};
use crate::terminal::words::size;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is
    #[arg(value_name = "url")]
    pub url: OsString,

    /// List folders with all that is in them
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// List folders with all that is in them, as a tree
    #[arg(short = 'T', long)]
    pub tree: bool,

    /// Go no deeper than this
    #[arg(short = 'L', long, value_name = "depth", value_parser = int, allow_negative_numbers = true)]
    pub level: Option<i64>,

    /// Only what DVC tracks
    #[arg(long)]
    pub dvc_only: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// Show sizes
    #[arg(long)]
    pub size: bool,

    /// Show hashes
    #[arg(long)]
    pub show_hash: bool,

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: Option<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    if args.tree && args.json {
        return Err(Failure::uncaught("Cannot use --tree and --json options together."));
    }
    let path = context.targets(args.path.as_slice())?.pop().unwrap_or_default();
    let options = ListOptions { recursive: args.recursive, dvc_only: args.dvc_only, depth: args.level };
    let shown = trackway_repo::shown_url(&args.url.to_string_lossy());
    let caught = |failure: Failure| failure.caught(&format!("failed to list '{shown}'"));
    let browser = args.elsewhere.open(&args.url, context).map_err(|failure| match failure {
        // As DVC 3.67, which tells that there is no such file without saying who asked: here `--config`.
        Failure::Repo(error) => match *error {
            Error::Io { path, source } if source.kind() == ErrorKind::NotFound => {
                Failure::failed(as_python(&source, &path))
            }
            error => caught(error.into()),
        },
        other => caught(other),
    })?;
    let caught = |error: Error| match error {
        Error::Io { path, source } if source.kind() == ErrorKind::NotFound => {
            let key = args.elsewhere.rev().map(|_| format!(": {}", browser.key(&browser.root().join(inner(&path)))));
            Failure::failed(format!("{}{}", as_python(&source, &path), key.unwrap_or_default()))
        }
        error => caught(error.into()),
    };
    let colours = Colours::new(context);
    let columns = Columns { size: args.size, hash: args.show_hash };
    if args.tree {
        let branch = browser.list_tree(&path, options).map_err(caught)?;
        let mut rows = Vec::new();
        columns.tree(&branch, "", "", &colours, &mut rows);
        context.terminal.line(columns.table(&rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    let listed = browser.list_paths(&path, options).map_err(caught)?;
    if args.json {
        context.terminal.json(&listed.iter().map(Json::of).collect::<Vec<_>>())?;
    } else if !listed.is_empty() {
        let rows: Vec<_> =
            listed.iter().map(|one| columns.row(&one.info, colours.paint(&one.path, &one.path, &one.info))).collect();
        context.terminal.line(columns.table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `list-url` shows in the same way.
pub mod show {
    use super::*;

    pub fn paths(listed: &[Listed], size: bool, context: &Context) -> Result<ExitCode, Failure> {
        if listed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let (colours, columns) = (Colours::new(context), Columns { size, hash: false });
        let row = |one: &Listed| columns.row(&one.info, colours.paint(&one.path, &one.path, &one.info));
        context.terminal.line(columns.table(&listed.iter().map(row).collect::<Vec<_>>()))?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn tree(branch: &Branch, size: bool, context: &Context) -> Result<ExitCode, Failure> {
        let columns = Columns { size, hash: false };
        let mut rows = Vec::new();
        columns.tree(branch, "", "", &Colours::new(context), &mut rows);
        context.terminal.line(columns.table(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn inner(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

#[derive(Clone, Copy)]
struct Columns {
    size: bool,
    hash: bool,
}

impl Columns {
    fn row(self, info: &Info, name: String) -> Vec<String> {
        let mut row = Vec::new();
        if self.size {
            let is_shown = |size: &u64| *size > 0 || !info.is_dir;
            row.push(info.size.filter(is_shown).map(size).unwrap_or_default());
        }
        if self.hash {
            row.push(info.hash().map_or("-".to_owned(), |hash| hash.oid.to_string()));
        }
        row.push(name);
        row
    }

    fn table(self, rows: &[Vec<String>]) -> String {
        match self.size || self.hash {
            true => table::plain(rows, if self.size { &[Align::Right] } else { &[] }),
            false => rows.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n"),
        }
    }

    /// `before` stands in front of the name, `below` in front of what is inside.
    fn tree(self, branch: &Branch, before: &str, below: &str, colours: &Colours, rows: &mut Vec<Vec<String>>) {
        let name = colours.paint(&branch.name, &branch.name, &branch.info);
        rows.push(self.row(&branch.info, format!("{before}{name}")));
        for (at, inside) in branch.inside.iter().enumerate() {
            let is_last = at + 1 == branch.inside.len();
            let (edge, line) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            self.tree(inside, &format!("{below}{edge}"), &format!("{below}{line}"), colours, rows);
        }
    }
}

/// The colours of `LS_COLORS`, where stdout shows colours.
struct Colours {
    codes: HashMap<String, String>,
    endings: HashMap<String, String>,
    shown: bool,
}

impl Colours {
    fn new(context: &Context) -> Colours {
        let text = std::env::var("LS_COLORS").ok().filter(|text| !text.is_empty());
        let text = text.unwrap_or_else(|| "rs=0:di=01;34:ex=01;32".to_owned());
        let (mut codes, mut endings) = (HashMap::new(), HashMap::new());
        for (name, colour) in text.split(':').filter_map(|item| item.split_once('=')) {
            match name.strip_prefix('*').filter(|ending| ending.starts_with('.')) {
                Some(ending) => endings.insert(ending.to_owned(), colour.to_owned()),
                None => codes.insert(name.to_owned(), colour.to_owned()),
            };
        }
        Colours { codes, endings, shown: context.terminal.has_colours() }
    }

    fn paint(&self, text: &str, path: &str, info: &Info) -> String {
        if !self.shown {
            return text.to_owned();
        }
        let code = match info {
            info if info.is_out() && self.codes.contains_key("out") => self.codes.get("out"),
            info if info.is_dir => self.codes.get("di"),
            info if info.is_exec => self.codes.get("ex"),
            _ => {
                let name = path.rsplit('/').next().unwrap_or(path);
                name.rfind('.').and_then(|at| self.endings.get(&name[at..]))
            }
        };
        let reset = self.codes.get("rs").map_or("0", String::as_str);
        code.map_or(text.to_owned(), |code| format!("\x1b[{code}m{text}\x1b[{reset}m"))
    }
}

#[derive(Serialize)]
struct Json<'a> {
    isout: bool,
    isdir: bool,
    isexec: bool,
    size: Option<u64>,
    md5: Option<String>,
    path: &'a str,
}

impl Json<'_> {
    fn of(listed: &Listed) -> Json<'_> {
        Json {
            isout: listed.info.is_out(),
            isdir: listed.info.is_dir,
            isexec: listed.info.is_exec,
            size: listed.info.size,
            md5: listed.info.hash().map(|hash| hash.oid.to_string()),
            path: &listed.path,
        }
    }
}
