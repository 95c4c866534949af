//! How far the work is: a bar on a terminal with rate, totals and the time that remains; nothing where nobody looks.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use trackway_store::Progress;

use super::{Terminal, interrupt};

/// A step that is over sooner is not worth a flicker.
const PATIENCE: Duration = Duration::from_millis(300);
const REDRAWS_A_SECOND: u8 = 10;
/// Time goes on where nothing else does.
const TICK: Duration = Duration::from_millis(500);

/// On stderr, so that results can be piped on while the person watches.
pub struct Bars {
    shown: bool,
    /// The innermost step is the last.
    steps: Mutex<Vec<Step>>,
}

struct Step {
    what: &'static str,
    began: Instant,
    total_items: Option<u64>,
    total_bytes: Option<u64>,
    items: u64,
    bytes: u64,
    /// Hidden at first: it learns the rate from the beginning.
    bar: ProgressBar,
    drawn: bool,
}

impl Terminal {
    /// For the work of one command. As in DVC 3.67 `-q` shows no bar, and neither does a stderr that is no terminal.
    pub fn progress(&self) -> Bars {
        Bars { shown: !self.quiet && std::io::stderr().is_terminal(), steps: Mutex::new(Vec::new()) }
    }
}

impl Bars {
    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Progress for Bars {
    fn start(&self, what: &'static str, total_items: Option<u64>, total_bytes: Option<u64>) {
        if self.shown {
            let (began, bar) = (Instant::now(), ProgressBar::hidden());
            self.steps().push(Step { what, began, total_items, total_bytes, items: 0, bytes: 0, bar, drawn: false });
        }
    }

    fn add(&self, items: u64, bytes: u64) {
        if !self.shown {
            return;
        }
        let mut steps = self.steps();
        let Some(step) = steps.last_mut() else { return };
        step.items += items;
        step.bytes += bytes;
        step.bar.set_position(step.position());
        if !step.drawn && step.began.elapsed() > PATIENCE {
            step.draw();
        }
    }

    fn finish(&self) {
        if !self.shown {
            return;
        }
        if let Some(step) = self.steps().pop() {
            step.bar.finish_and_clear();
        }
    }

    fn cancelled(&self) -> bool {
        interrupt::asked()
    }
}

impl Step {
    /// Bytes say more than files where both are known.
    fn counts_bytes(&self) -> bool {
        self.total_bytes.is_some() || (self.total_items.is_none() && self.bytes > 0)
    }

    fn position(&self) -> u64 {
        if self.counts_bytes() { self.bytes } else { self.items }
    }

    fn draw(&mut self) {
        self.drawn = true;
        let total = if self.counts_bytes() { self.total_bytes } else { self.total_items };
        let template = match (self.counts_bytes(), total) {
            (true, Some(_)) => {
                "{percent:>3}% {msg} |{wide_bar}| {binary_bytes}/{binary_total_bytes} [{elapsed}<{eta}, {binary_bytes_per_sec}]"
            }
            (false, Some(_)) => {
                "{percent:>3}% {msg} |{wide_bar}| {human_pos}/{human_len} files [{elapsed}<{eta}, {per_sec}]"
            }
            (true, None) => "{msg} {binary_bytes} [{elapsed}, {binary_bytes_per_sec}]",
            (false, None) => "{msg} {human_pos} files [{elapsed}, {per_sec}]",
        };
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_message(self.what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_A_SECOND));
        self.bar.enable_steady_tick(TICK);
    }
}

impl Drop for Bars {
    /// Work that ended with an error leaves no bar behind.
    fn drop(&mut self) {
        for step in self.steps().drain(..) {
            step.bar.finish_and_clear();
        }
    }
}
