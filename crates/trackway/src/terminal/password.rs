//! Asking for a password: at the terminal itself, whatever is piped through us, and without showing it.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::interrupt;

const LONGEST: usize = 4096;

/// What a person types after this line, or nothing if there is no terminal, or no answer.
pub fn ask(line: &str) -> Option<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let hidden = Hidden::at(&terminal)?;
    terminal.write_all(line.as_bytes()).ok()?;
    let typed = read(&mut terminal);
    let _ = terminal.write_all(b"\n");
    drop(hidden);
    match typed {
        Ok(Typed::Line(line)) => Some(line).filter(|line| !line.is_empty()),
        // Ours to do, for the terminal was told not to.
        Ok(Typed::Interrupt) => interrupt::end(),
        Ok(Typed::Nothing) | Err(_) => None,
    }
}

enum Typed {
    Line(String),
    Interrupt,
    Nothing,
}

fn read(terminal: &mut File) -> io::Result<Typed> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match terminal.read(&mut byte) {
            Ok(0) => return Ok(Typed::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            // Ctrl-C, Ctrl-D, Ctrl-U, and the two keys that take back a letter.
            0x03 => return Ok(Typed::Interrupt),
            0x04 => return Ok(Typed::Nothing),
            0x15 => line.clear(),
            0x08 | 0x7f => {
                // The last letter may be of several bytes.
                while line.pop().is_some_and(|last: u8| last & 0xc0 == 0x80) {}
            }
            _ if line.len() >= LONGEST => return Ok(Typed::Nothing),
            typed => line.push(typed),
        }
    }
    Ok(String::from_utf8(line).map_or(Typed::Nothing, Typed::Line))
}

/// The terminal as it shows nothing of what is typed, until this goes.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn at(terminal: &File) -> Option<Hidden> {
        let terminal = terminal.try_clone().ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut hidden = before.clone();
        // Signals too: who presses Ctrl-C wants the terminal back as it was.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &hidden).ok()?;
        Some(Hidden { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}
