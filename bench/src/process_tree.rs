//! What a server's whole process tree uses: CPU time in nanoseconds and memory (PSS).

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The process and all its descendants, as of now.
pub fn members(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = stat_field(pid, 4) {
            children.entry(parent as u32).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while next < all.len() {
        if let Some(more) = children.get(&all[next]) {
            all.extend(more);
        }
        next += 1;
    }
    Ok(all)
}

/// A numbered field (from 1) of `/proc/PID/stat`; the name in the second may hold blanks and parentheses.
fn stat_field(pid: u32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &stat[stat.rfind(')')? + 2..];
    rest.split(' ').nth(number - 3)?.parse().ok()
}

/// CPU time of the tree: the CPU clock of every living process (exact, ended threads included), and the time of ended
/// children that a parent has waited for (in ticks of 10 ms).
pub fn cpu(root: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for pid in members(root)? {
        let Ok(clock) = clock_getcpuclockid(Pid::from_raw(pid as i32)) else {
            continue;
        };
        if let Ok(time) = clock_gettime(clock) {
            total += Duration::from(time);
        }
        let ticks = stat_field(pid, 16).unwrap_or(0) + stat_field(pid, 17).unwrap_or(0);
        total += Duration::from_millis(10) * ticks as u32;
    }
    Ok(total)
}

/// Memory of the tree in bytes, shared pages divided among their users, and the number of processes.
pub fn memory(root: u32) -> Result<(u64, usize)> {
    let pids = members(root)?;
    let mut kilobytes = 0;
    for pid in &pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
            continue;
        };
        let line = text.lines().find(|l| l.starts_with("Pss:"));
        kilobytes += line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok((kilobytes * 1024, pids.len()))
}
