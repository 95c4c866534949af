//! What a person and a script read: standard output and standard error.
//!
//! * `prompt.rs` asks for confirmation; `progress.rs` shows bars; `interrupt.rs` hears Ctrl-C.
//! * `table.rs` lays out tables, `wrapped.rs` long lines, `json.rs` writes JSON, `words.rs` sizes and counts: all as stock does.
//!
//! As in DVC 3.67: results and notes go to stdout, warnings and errors to stderr with their level in front, and `-q` keeps all
//! of it back but what was asked for expressly (`always`) and what a person must see in any case (`notice`).

pub mod interrupt;
pub mod json;
pub mod password;
pub mod progress;
pub mod prompt;
pub mod table;
pub mod words;
mod wrapped;

pub use wrapped::width;

use std::cell::RefCell;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;

use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Cyan,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Colour::Red => "\x1b[31m",
            Colour::Green => "\x1b[32m",
            Colour::Yellow => "\x1b[33m",
            Colour::Blue => "\x1b[34m",
            Colour::Cyan => "\x1b[36m",
        }
    }
}

const RESET: &str = "\x1b[0m";

pub struct Terminal {
    out: RefCell<BufWriter<Stdout>>,
    quiet: bool,
    verbose: u8,
    colour_out: bool,
    colour_err: bool,
}

impl Terminal {
    pub fn new(quiet: bool, verbose: u8) -> Terminal {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Terminal {
            out: RefCell::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            quiet,
            verbose,
            colour_out: colours && io::stdout().is_terminal(),
            colour_err: colours && io::stderr().is_terminal(),
        }
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A result or a note: a line on stdout, kept back by `-q`. Takes bytes too, for names that are not UTF-8.
    pub fn line(&self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.always(text) }
    }

    /// What was asked for expressly: a line on stdout in any case.
    pub fn always(&self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut out = self.out.borrow_mut();
        out.write_all(text.as_ref()).and_then(|()| out.write_all(b"\n")).map_err(closed)
    }

    /// A line as stock's rich console lays it out: tabs become spaces, and it wraps at the terminal's width, or at
    /// `COLUMNS`, or at 80. The first `coloured` characters have the colour.
    pub fn wrapped(&self, text: &str, colour: Option<Colour>, coloured: usize) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        let colour = colour.filter(|_| self.colour_out).map(|colour| (colour, coloured));
        for line in wrapped::lines(text, wrapped::width(), colour) {
            self.always(line)?;
        }
        Ok(())
    }

    /// `text` in a colour where stdout shows colours.
    pub fn paint(&self, text: &str, colour: Colour) -> String {
        if self.colour_out { format!("{}{text}{RESET}", colour.code()) } else { text.to_owned() }
    }

    /// Whether stdout shows colours.
    pub fn has_colours(&self) -> bool {
        self.colour_out
    }

    /// One line of JSON as Python writes it; indented where a person reads it.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() { json::indented(value) } else { json::line(value) };
        self.line(text.map_err(|error| Failure::failed(format!("the result cannot be written as JSON: {error}")))?)
    }

    /// `WARNING: …` on stderr.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.log("WARNING", Colour::Yellow, text.as_ref());
    }

    /// `ERROR: …` on stderr, for commands that go on after it. What ends a command is a `Failure`.
    pub fn error(&self, text: impl AsRef<str>) {
        self.log("ERROR", Colour::Red, text.as_ref());
    }

    /// A line on stderr without a level, also under `-q`.
    pub fn notice(&self, text: impl AsRef<str>) {
        self.flush_quietly();
        let text = text.as_ref();
        let text = if self.colour_err { format!("{}{text}{RESET}", Colour::Yellow.code()) } else { text.to_owned() };
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// What `-v` shows. As in DVC 3.67 it goes to stdout.
    pub fn debug(&self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.verbose == 0 || self.quiet {
            return Ok(());
        }
        let level = self.paint("DEBUG", Colour::Blue);
        self.always(format!("{level}: {}", text()))
    }

    fn log(&self, level: &str, colour: Colour, text: &str) {
        if self.quiet {
            return;
        }
        self.flush_quietly();
        let level = if self.colour_err { format!("{}{level}{RESET}", colour.code()) } else { level.to_owned() };
        // Nobody can be told that stderr is closed.
        let _ = writeln!(io::stderr(), "{level}: {text}");
    }

    /// To be called before the process ends and before anything else writes to stdout.
    pub fn flush(&self) -> Result<(), Failure> {
        self.out.borrow_mut().flush().map_err(closed)
    }

    fn flush_quietly(&self) {
        // A closed pipe is met again by the flush at the end, which reports it.
        let _ = self.out.borrow_mut().flush();
    }
}

/// What it means that stdout takes no more: usually that `head` has seen enough.
fn closed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::ClosedPipe
    } else {
        Failure::unexpected(format!("cannot write to standard output: {error}"))
    }
}
