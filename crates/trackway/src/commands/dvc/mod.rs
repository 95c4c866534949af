//! DVC's commands: as `dvc …` and `trackway dvc …` in stock's manner, as `trackway …` in ours.
//!
//! * `table.rs` lists the commands; each has a file of its own with its `Args` and its `run`.
//! * `words.rs` parses, and answers mistakes in stock's words; `context.rs` is what a command is given.
//! * `transfer.rs` and `elsewhere.rs` have arguments that several commands share.
//!
//! Starting must cost nothing: only the parser of the command that is called is put together, and no file is read before the
//! command asks for it.

mod add;
mod cache;
mod check_ignore;
mod checkout;
mod commit;
mod completion;
mod config;
pub mod context;
mod data;
mod destroy;
mod diff;
mod du;
mod elsewhere;
mod fetch;
mod freeze;
mod fsck;
mod gc;
mod get;
mod get_url;
mod git_hook;
mod import;
mod import_url;
mod init;
mod install;
mod list;
mod list_url;
mod move_;
mod own_cache;
mod pull;
mod push;
mod remote;
mod remove;
mod root;
mod status;
pub mod table;
#[cfg(test)]
mod tests;
mod tidy;
mod transfer;
mod unprotect;
mod update;
pub mod version;
pub mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction};

use crate::failure::{Failure, code};
use crate::terminal::{Terminal, interrupt};
use context::{Context, Style};
use words::{Mistake, Parsed};

/// Runs what stands behind the program's name, and answers for its outcome.
pub fn run(style: Style, arguments: &[OsString]) -> ExitCode {
    match before_the_command(style, arguments) {
        Ok(Before::Answered(code)) => code,
        Ok(Before::Command { name, rest, options }) => run_command(style, &name, &rest, &options),
        Err(failure) => failure.report(style.error_word(), false),
    }
}

/// The options in front of the command's name.
#[derive(Default)]
pub struct Options {
    folder: Option<PathBuf>,
    wait_for_lock: bool,
    quiet: bool,
    verbose: u8,
}

pub enum Before {
    /// Help, the version or a mistake: nothing is left to be done.
    Answered(ExitCode),
    Command {
        name: String,
        rest: Vec<OsString>,
        options: Options,
    },
}

/// Reads the options in front of the command and finds its name.
pub fn before_the_command(style: Style, arguments: &[OsString]) -> Result<Before, Failure> {
    let parser = top(style).allow_external_subcommands(true);
    let matches = match words::parse(&parser, arguments, style == Style::Dvc) {
        Parsed::Matches(matches) => matches,
        Parsed::Help(_) => return answer(&whole_help(style)),
        Parsed::Mistake(mut mistake) => {
            // As DVC 3.67, which misses the command before it minds what it does not know.
            let is_command = |word: &OsString| word.to_str().is_some_and(|word| table::find(style, word).is_some());
            if !arguments.iter().any(is_command) && mistake.code != 2 {
                mistake.message = match mistake.message.starts_with("unrecognized") {
                    true => "the following arguments are required: command".to_owned(),
                    false => mistake.message,
                };
            }
            return Ok(Before::Answered(tell(style, &mistake, Some(whole_help(style)))?));
        }
        Parsed::Raw(error) => return Err(Failure::Arguments(*error)),
    };
    if matches.get_flag("version") {
        return answer(&match style {
            Style::Dvc => format!("{}\n", version::COMPATIBLE),
            Style::Trackway => format!("trackway {}\n", env!("CARGO_PKG_VERSION")),
        });
    }
    let Some((name, after)) = matches.subcommand() else {
        let message = "the following arguments are required: command".to_owned();
        let mistake = Mistake { message, help: parser, code: style.arguments_code() };
        return Ok(Before::Answered(tell(style, &mistake, Some(whole_help(style)))?));
    };
    let rest = after.get_many::<OsString>("").map(|words| words.cloned().collect()).unwrap_or_default();
    let options = Options {
        folder: matches.get_one::<OsString>("cd").map(PathBuf::from),
        wait_for_lock: matches.get_flag("wait-for-lock"),
        quiet: matches.get_flag("quiet"),
        verbose: matches.get_count("verbose"),
    };
    Ok(Before::Command { name: name.to_owned(), rest, options })
}

/// Runs one command of the table.
pub fn run_command(style: Style, name: &str, rest: &[OsString], options: &Options) -> ExitCode {
    let mut quiet = false;
    parse_and_run(style, name, rest, options, &mut quiet)
        .unwrap_or_else(|failure| failure.report(style.error_word(), quiet))
}

fn parse_and_run(
    style: Style,
    name: &str,
    rest: &[OsString],
    options: &Options,
    quiet: &mut bool,
) -> Result<ExitCode, Failure> {
    let Some(command) = table::find(style, name) else {
        let choices: Vec<String> = table::names().map(|name| format!("'{name}'")).collect();
        let message = format!("argument command: invalid choice: '{name}' (choose from {})", choices.join(", "));
        return tell(
            style,
            &Mistake { message, help: top(style), code: style.arguments_code() },
            Some(whole_help(style)),
        );
    };
    let called = format!("{} {name}", style.program());
    let Some(built) = command.built else {
        return Err(Failure::dvc_not_built(&called));
    };
    let parser = (built.arguments)(words::with_common(clap::Command::new(command.name).bin_name(called)))
        .about(format!("{}.", command.about));
    let matches = match words::parse(&parser, rest, style == Style::Dvc) {
        Parsed::Matches(matches) => matches,
        Parsed::Help(help) => {
            write_out(&help)?;
            return Ok(ExitCode::SUCCESS);
        }
        Parsed::Mistake(mistake) => return tell(style, &mistake, None),
        Parsed::Raw(error) => return Err(Failure::Arguments(*error)),
    };
    // As DVC 3.67, where -q and -v in front of the command are forgotten. In our own manner they hold.
    let ours = style == Style::Trackway;
    *quiet = matches.get_flag("quiet") || (ours && options.quiet);
    let verbose = matches.get_count("verbose").max(if ours { options.verbose } else { 0 });
    let context = context(style, options, *quiet, verbose)?;
    interrupt::listen();
    let outcome = (built.run)(&matches, &context);
    let flushed = context.terminal.flush();
    let code = outcome?;
    flushed?;
    Ok(code)
}

fn context(style: Style, options: &Options, quiet: bool, verbose: u8) -> Result<Context, Failure> {
    if let Some(folder) = &options.folder {
        std::env::set_current_dir(folder)
            .map_err(|error| Failure::unexpected(crate::failure::as_python(&error, folder)))?;
    }
    let context = Context::new(style, Terminal::new(quiet, verbose), options.wait_for_lock)?;
    // As stock begins under `-v`. What happens inside is not told.
    context.terminal.debug(|| format!("Trackway {}, as DVC {}", env!("CARGO_PKG_VERSION"), version::COMPATIBLE))?;
    context.terminal.debug(|| format!("command: {}", context::command_line()))?;
    Ok(context)
}

/// The parser of what stands in front of the command.
fn top(style: Style) -> clap::Command {
    with_top(style, words::with_common(clap::Command::new(style.program())))
}

fn with_top(style: Style, command: clap::Command) -> clap::Command {
    let about = match style {
        Style::Dvc => "Data version control, by Trackway.",
        Style::Trackway => "Tracks experiments, models and data: one binary that speaks MLflow's and DVC's languages.",
    };
    command
        .about(about)
        .arg(Arg::new("version").short('V').long("version").action(ArgAction::SetTrue).help("Print the version"))
        .arg(
            Arg::new("cd")
                .long("cd")
                .value_name("path")
                .value_parser(clap::value_parser!(OsString))
                .help("Go to this folder first"),
        )
        .arg(
            Arg::new("wait-for-lock")
                .long("wait-for-lock")
                .action(ArgAction::SetTrue)
                .help("Wait while another command holds the repository's lock, instead of giving up"),
        )
}

/// All commands with all their arguments, for shells that complete them.
pub fn whole(style: Style) -> clap::Command {
    // What is hidden from the help is no help to who types either.
    let top = with_top(style, words::with_visible(clap::Command::new(style.program())));
    table::all(style).fold(top, |top, command| {
        let parser = clap::Command::new(command.name)
            .visible_aliases(command.aliases)
            .about(command.about)
            .hide(command.about.is_empty());
        top.subcommand(match command.built {
            Some(built) => (built.arguments)(parser),
            None => parser.hide(true),
        })
    })
}

/// `--help`: the commands, without what they take.
fn whole_help(style: Style) -> String {
    let mut parser = table::all(style).fold(top(style), |top, command| {
        let later = if command.built.is_none() { " (not built yet)" } else { "" };
        let parser = clap::Command::new(command.name)
            .visible_aliases(command.aliases)
            .about(format!("{}{later}", command.about))
            .hide(command.about.is_empty());
        top.subcommand(parser)
    });
    if style == Style::Trackway {
        parser = crate::with_trackways_own(parser);
    }
    parser.subcommand_required(true).render_help().to_string()
}

/// A mistake on the command line, as stock answers it: the message on stderr, the help on stdout.
fn tell(style: Style, mistake: &Mistake, help: Option<String>) -> Result<ExitCode, Failure> {
    if mistake.code == 2 && style == Style::Dvc {
        // As DVC 3.67, whose first parser knows no more than -q and -v and answers in its own manner.
        let _ = writeln!(std::io::stderr(), "usage: dvc [-q | -v]\ndvc: error: {}", mistake.message);
        return Ok(ExitCode::from(mistake.code));
    }
    let _ = writeln!(std::io::stderr(), "{}: {}", style.error_word(), mistake.message);
    write_out(&help.unwrap_or_else(|| mistake.help.clone().render_help().to_string()))?;
    Ok(ExitCode::from(mistake.code))
}

fn answer(text: &str) -> Result<Before, Failure> {
    write_out(text)?;
    Ok(Before::Answered(ExitCode::SUCCESS))
}

fn write_out(text: &str) -> Result<(), Failure> {
    let terminal = Terminal::new(false, 0);
    terminal.always(text.trim_end())?;
    terminal.flush()
}

impl Style {
    /// The word in front of an error.
    pub fn error_word(self) -> &'static str {
        match self {
            Style::Dvc => "ERROR",
            Style::Trackway => "error",
        }
    }

    fn arguments_code(self) -> u8 {
        match self {
            Style::Dvc => code::ARGUMENTS,
            Style::Trackway => 2,
        }
    }
}
