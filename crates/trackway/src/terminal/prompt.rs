//! Questions to the person, in stock's words.

use std::io::{self, IsTerminal, Read, Write};

use super::{Terminal, interrupt, wrapped};
use crate::failure::Failure;

impl Terminal {
    /// Asks `statement [y/n]:` and waits for yes or no. As in DVC 3.67 a script may answer through a pipe; the end of input is a no.
    pub fn confirm(&self, statement: &str) -> Result<bool, Failure> {
        self.flush()?;
        // Stock asks through the console that wraps lines.
        self.ask(&wrapped::lines(&format!("{statement} [y/n]: "), wrapped::width(), None).join("\n"))
    }

    /// The same question where a deletion hangs on it: without a terminal nothing is asked, and the answer is no.
    pub fn confirm_on_a_terminal(&self, statement: &str) -> Result<bool, Failure> {
        if !io::stdout().is_terminal() {
            return Ok(false);
        }
        self.flush()?;
        self.ask(&format!("{statement} [y/n] "))
    }

    fn ask(&self, question: &str) -> Result<bool, Failure> {
        let _waiting = interrupt::waiting_for_a_person();
        loop {
            let mut out = self.out.borrow_mut();
            out.write_all(question.as_bytes()).and_then(|()| out.flush()).map_err(super::closed)?;
            drop(out);
            let Some(answer) = read_line()? else { return Ok(false) };
            match answer.to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => {
                    self.line("Your response must be one of: ['yes', 'no', 'y', 'n']. Please try again.")?;
                    self.flush()?;
                }
            }
        }
    }
}

/// A line without its end. Byte by byte, so that what follows it stays for the next reader; an answer has few bytes.
fn read_line() -> Result<Option<String>, Failure> {
    const LONGEST: usize = 4096;
    let mut line = Vec::new();
    let mut byte = [0];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::unexpected(format!("cannot read the answer: {error}"))),
        }
        if line.len() > LONGEST {
            return Err(Failure::failed("The answer is too long. Answer y or n."));
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()))
}
