//! A token that a program prints: run when it is first needed, and again when the token is refused.

use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use crate::fault::Fault;
use crate::options::Secret;

pub(crate) struct TokenCommand {
    /// The program and its arguments; no shell reads them.
    command: Vec<Secret>,
    within: Duration,
    token: Mutex<Option<Secret>>,
    running: tokio::sync::Mutex<()>,
}

impl TokenCommand {
    pub fn new(command: Vec<Secret>, within: Duration) -> TokenCommand {
        TokenCommand { command, within, token: Mutex::new(None), running: tokio::sync::Mutex::new(()) }
    }

    /// The token; the program runs once, whoever else is waiting.
    pub async fn token(&self) -> Result<Secret, Fault> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let _one_at_a_time = self.running.lock().await;
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let token = self.run().await.map_err(Fault::NoCredentials)?;
        *self.token.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that was refused, unless there is a newer one.
    pub fn refused(&self, token: &str) {
        let mut current = self.token.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if current.as_ref().is_some_and(|current| current.expose() == token) {
            *current = None;
        }
    }

    fn current(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// What it prints is never shown, nor are its arguments: either may be secret.
    async fn run(&self) -> Result<Secret, String> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err("'bearer_token_command' is empty: name the program that prints the token".to_owned());
        };
        let mut command = tokio::process::Command::new(program.expose());
        command
            .args(arguments.iter().map(Secret::expose))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let shown = format!("the program '{}' of 'bearer_token_command'", program.expose().escape_debug());
        let output = tokio::time::timeout(self.within, command.output()).await;
        let output = output
            .map_err(|_| format!("{shown} did not end within {} seconds", self.within.as_secs()))?
            .map_err(|error| format!("{shown} could not be started: {error}"))?;
        if !output.status.success() {
            return Err(format!("{shown} ended with {}", output.status));
        }
        match String::from_utf8(output.stdout) {
            Ok(printed) if !printed.trim().is_empty() => Ok(Secret::new(printed.trim())),
            _ => Err(format!("{shown} printed no token")),
        }
    }
}
