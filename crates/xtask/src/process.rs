//! Starts a program from a list of arguments, never through a shell, and waits for it with a
//! deadline. `watch` also keeps the lines by which a test runner closes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// What a program may take in CI. Outside it a person sees that something hangs and presses Ctrl-C.
const DEADLINE: Duration = Duration::from_secs(20 * 60);
/// What a test runner may take there: each of its tests has a limit of its own.
const RUNNERS_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Runs the program with our own output; an error when it does not exit with 0.
pub fn run(command: &mut Command, ci: bool) -> Result<()> {
    let mut child = start(command.stdin(Stdio::null()), ci)?;
    let status = wait(command, &mut child, ci.then_some(DEADLINE))?;
    check(command, status)
}

/// Runs the program, passing its output on, and returns the last lines for which `keep` holds,
/// whether it succeeds or not.
pub fn watch(command: &mut Command, ci: bool, keep: impl Fn(&str) -> bool, closing: &mut Vec<String>) -> Result<()> {
    let mut child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), ci)?;
    let (sender, lines) = mpsc::channel();
    forward(child.stdout.take(), io::stdout, sender.clone());
    forward(child.stderr.take(), io::stderr, sender);
    let status = wait(command, &mut child, ci.then_some(RUNNERS_DEADLINE))?;
    // A process that the program left behind may hold the pipes open: what has come within a
    // second of its end is all that we look at.
    let until = Instant::now() + Duration::from_secs(1);
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if keep(&line) {
            closing.push(line);
        }
    }
    check(command, status)
}

/// Runs the program quietly and returns what it printed; its error output is in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| not_started(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", shown(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on the path and runs.
pub fn exists(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn start(command: &mut Command, ci: bool) -> Result<Child> {
    if ci {
        // Its own group, so that at the deadline all that it started ends with it. Not at a
        // terminal, where Ctrl-C must reach it.
        command.process_group(0);
    }
    command.spawn().with_context(|| not_started(command))
}

fn wait(command: &Command, child: &mut Child, deadline: Option<Duration>) -> Result<ExitStatus> {
    let Some(deadline) = deadline else { return Ok(child.wait()?) };
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > deadline {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                kill_process_group(group, Signal::KILL)?;
            }
            child.wait()?;
            bail!("{} was still running after {} s and was ended", shown(command), deadline.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

fn forward<W: Write>(
    from: Option<impl Read + Send + 'static>,
    to: impl Fn() -> W + Send + 'static,
    lines: Sender<String>,
) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let _ = to().write_all(&line);
            let _ = to().flush();
            let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
}

fn not_started(command: &Command) -> String {
    format!("{} could not be started", shown(command))
}

/// The program and its first arguments, to name it in a message.
fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args().take(6) {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
