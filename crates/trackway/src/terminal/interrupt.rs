//! Ctrl-C: the first one asks the work to stop and leave nothing half done, a second one ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// As DVC 3.67 answers to Ctrl-C.
pub const EXIT_CODE: u8 = 252;

/// Work that does not listen is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

static ASKED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);

/// Whether the person asked to stop. Cheap enough to be asked once for each file.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Begins to listen; without a thread for it Ctrl-C ends the process as it does by default.
pub fn listen() {
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    let listener = std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if ASKED.swap(true, Ordering::Relaxed) || WAITING.load(Ordering::Relaxed) {
                end();
            }
            let _ = std::thread::Builder::new().spawn(|| {
                std::thread::sleep(PATIENCE);
                end();
            });
        }
    });
    drop(listener);
}

/// Ends the process as Ctrl-C does.
pub fn end() -> ! {
    eprintln!("\nERROR: interrupted by the user");
    std::process::exit(i32::from(EXIT_CODE));
}

/// While this is held a question is open, and Ctrl-C is its answer.
pub struct Waiting(());

pub fn waiting_for_a_person() -> Waiting {
    WAITING.store(true, Ordering::Relaxed);
    Waiting(())
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.store(false, Ordering::Relaxed);
    }
}
