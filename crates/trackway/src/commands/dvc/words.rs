//! The words on the command line: found, parsed and, where they are wrong, answered as stock's parser answers.
//!
//! Stock's parser (Python's argparse) goes in two steps, and so do we: first the options before the command's name, then, with
//! the parser of that command alone, all that stands behind it.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// A command line that is wrong, in stock's words.
pub struct Mistake {
    pub message: String,
    /// Where the mistake is: this command's help is shown behind the message.
    pub help: Command,
    pub code: u8,
}

pub enum Parsed {
    Matches(ArgMatches),
    /// `--help` was asked for.
    Help(String),
    Mistake(Box<Mistake>),
    /// The parser's own words, for callers that do not need stock's.
    Raw(Box<clap::Error>),
}

/// Python's `int()`, as far as people write numbers.
pub fn int(text: &str) -> Result<i64, String> {
    text.trim().replace('_', "").parse().map_err(|_| format!("invalid int value: '{text}'"))
}

/// `name=value` of `--remote-config` and the like.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("Could not parse argument \"['{text}']\" as k1=v1 k2=v2 ... format")),
    }
}

/// As Python's argparse: `-3` is a value where no option looks like a number.
fn with_negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|arg| if arg.is_positional() { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// `-q`, `-v` and the developer's switches, which every command of stock takes. Those that profile or debug the Python
/// interpreter are taken and mean nothing here.
pub fn with_common(command: Command) -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).hide(true).global(true);
    let value = |name: &'static str| Arg::new(name).long(name).num_args(1).value_name(name).hide(true).global(true);
    with_visible(command)
        .arg(flag("cprofile"))
        .arg(value("cprofile-dump"))
        .arg(flag("yappi"))
        .arg(flag("yappi-separate-threads"))
        .arg(flag("viztracer"))
        .arg(value("viztracer-depth").value_parser(int).allow_negative_numbers(true))
        .arg(flag("viztracer-async"))
        .arg(flag("pdb"))
        .arg(flag("instrument"))
        .arg(flag("instrument-open"))
        .arg(flag("show-stack").alias("ss"))
}

/// The options of every command that people are told of.
pub fn with_visible(command: Command) -> Command {
    command
        .infer_long_args(true)
        .args_override_self(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue).global(true).help("Say nothing"))
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::Count)
                .global(true)
                .conflicts_with("quiet")
                .help("Say more"),
        )
}

/// Parses with `command`, whose name is how it was called. All arguments that nobody knows are reported together, as stock does.
pub fn parse(command: &Command, words: &[OsString], in_stocks_words: bool) -> Parsed {
    let command = &with_negative_numbers(command.clone());
    let mut words = words.to_vec();
    let mut unknown: Vec<String> = Vec::new();
    loop {
        let first = OsString::from(command.get_name());
        let error = match command.clone().try_get_matches_from(std::iter::once(&first).chain(&words)) {
            Ok(matches) if unknown.is_empty() => return Parsed::Matches(matches),
            Ok(_) => return mistake(command, &words, format!("unrecognized arguments: {}", unknown.join(" "))),
            Err(error) => error,
        };
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Parsed::Help(error.render().to_string());
        }
        if !in_stocks_words {
            return Parsed::Raw(Box::new(error));
        }
        let said = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        if error.kind() != ErrorKind::UnknownArgument {
            return told(command, &words, &error, &said);
        }
        let inner = innermost(command, &words);
        let fitting = fitting(&inner, &said);
        if fitting.len() > 1 {
            let message = format!("ambiguous option: {said} could match {}", fitting.join(", "));
            return mistake(command, &words, message);
        }
        let found = words.iter().position(|word| {
            word.to_str().is_some_and(|word| word == said || word.split_once('=').is_some_and(|(name, _)| name == said))
        });
        let Some(at) = found else {
            return mistake(command, &words, format!("unrecognized arguments: {said}"));
        };
        unknown.push(words.remove(at).to_string_lossy().into_owned());
    }
}

/// The long options that begin as `word` does, in stock's order.
fn fitting(command: &Command, word: &str) -> Vec<String> {
    if !word.starts_with("--") || word == "--" {
        return Vec::new();
    }
    let mut longs: Vec<String> = Vec::new();
    for arg in command.get_arguments() {
        for long in arg.get_long_and_visible_aliases().unwrap_or_default() {
            let long = format!("--{long}");
            if long.starts_with(word) {
                longs.push(long);
            }
        }
    }
    longs
}

fn told(command: &Command, words: &[OsString], error: &clap::Error, said: &str) -> Parsed {
    let inner = innermost(command, words);
    let name = named(&inner, said);
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => format!("argument {name}: expected {}", expected(&inner, said)),
        ErrorKind::InvalidValue => {
            format!("argument {name}: invalid choice: '{value}' (choose from {})", list(error, ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("argument {name}: {why}")
        }
        ErrorKind::TooManyValues => format!("argument {name}: ignored explicit argument '{value}'"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("argument {name}: expected {}", expected(&inner, said))
        }
        ErrorKind::ArgumentConflict => {
            let prior = text(error, ContextKind::PriorArg).unwrap_or_default();
            if said.contains("verbose") || said.contains("quiet") {
                // As DVC 3.67, where a parser before the parser refuses this pair.
                let message = "argument -v/--verbose: not allowed with argument -q/--quiet".to_owned();
                return Parsed::Mistake(Box::new(Mistake { message, help: inner, code: 2 }));
            }
            // Stock blames the later one.
            let at = |name: &str| words.iter().rposition(|word| word.to_str() == Some(bare(name).as_str()));
            let (later, earlier) = if at(said) >= at(&prior) { (said, prior.as_str()) } else { (prior.as_str(), said) };
            format!("argument {}: not allowed with argument {}", named(&inner, later), named(&inner, earlier))
        }
        ErrorKind::InvalidSubcommand => {
            let given = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let choices: Vec<String> =
                inner.get_subcommands().map(|subcommand| format!("'{}'", subcommand.get_name())).collect();
            format!("argument cmd: invalid choice: '{given}' (choose from {})", choices.join(", "))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "the following arguments are required: cmd".to_owned()
        }
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<String> = strings(error, ContextKind::InvalidArg).iter().map(|name| bare(name)).collect();
            format!("the following arguments are required: {}", names.join(", "))
        }
        _ => error.render().to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    mistake(command, words, message)
}

fn mistake(command: &Command, words: &[OsString], message: String) -> Parsed {
    let help = innermost(command, words);
    Parsed::Mistake(Box::new(Mistake { message, help, code: crate::failure::code::ARGUMENTS }))
}

/// The subcommand that the words lead to: `add` of `remote add`.
fn innermost(command: &Command, words: &[OsString]) -> Command {
    let mut built = command.clone();
    built.build();
    let mut inner = &built;
    for word in words.iter().filter_map(|word| word.to_str()) {
        match inner.find_subcommand(word) {
            Some(next) => inner = next,
            None if word.starts_with('-') => {}
            None => break,
        }
    }
    inner.clone()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

fn strings(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn list(error: &clap::Error, kind: ContextKind) -> String {
    let quoted: Vec<String> = strings(error, kind).iter().map(|text| format!("'{text}'")).collect();
    quoted.join(", ")
}

/// `--jobs <number>` and `<targets>...` without what the parser puts around the names.
fn bare(name: &str) -> String {
    if name.starts_with('-') {
        return name.split([' ', '=']).next().unwrap_or_default().to_owned();
    }
    name.trim_start_matches(['<', '[']).split(['>', ']']).next().unwrap_or_default().to_owned()
}

fn argument<'a>(command: &'a Command, said: &str) -> Option<&'a Arg> {
    let name = bare(said);
    command.get_arguments().find(|arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => match name.strip_prefix('-') {
            Some(short) => arg.get_short().is_some_and(|letter| short == letter.to_string()),
            None => arg.get_long().is_none() && (arg.get_id() == name.as_str() || value_name(arg) == name),
        },
    })
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

/// `-j/--jobs`, as stock calls an option in its messages.
fn named(command: &Command, said: &str) -> String {
    let Some(arg) = argument(command, said) else { return bare(said) };
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}/--{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => bare(said),
    }
}

fn expected(command: &Command, said: &str) -> &'static str {
    match argument(command, said).and_then(Arg::get_num_args) {
        Some(range) if range.max_values() > 1 => "at least one argument",
        _ => "one argument",
    }
}
