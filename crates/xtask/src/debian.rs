//! Debian packages, installed when what they bring is missing: as root directly, else by `sudo -n`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Makes sure that `program argument` runs, by installing `packages` if it does not.
pub fn ensure(program: &str, argument: &str, packages: &[&str], ci: bool) -> Result<()> {
    if process::exists(program, argument) {
        return Ok(());
    }
    install(packages, ci)?;
    if !process::exists(program, argument) {
        bail!("{program} still does not run after the Debian packages {} were installed", packages.join(", "));
    }
    Ok(())
}

pub fn install(packages: &[&str], ci: bool) -> Result<()> {
    let names = packages.join(" ");
    if !process::exists("apt-get", "--version") {
        bail!("{names} must be installed by hand: this system has no apt-get");
    }
    if !rustix::process::geteuid().is_root() && !process::exists("sudo", "--version") {
        bail!("{names} must be installed by root: apt-get install {names}");
    }
    eprintln!("installing the Debian packages {names}");
    // The lists may be old or empty; they are fetched only if the first try shows that they are.
    if process::run(apt("install").args(packages), ci).is_ok() {
        return Ok(());
    }
    process::run(&mut apt("update"), ci)?;
    process::run(apt("install").args(packages), ci)
}

fn apt(action: &str) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", action]);
    if action == "install" {
        command.arg("--no-install-recommends");
    }
    command
}
