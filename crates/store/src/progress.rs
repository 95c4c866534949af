//! How long work tells how far it is, and learns that it should stop.

/// Called from many threads at once.
pub trait Progress: Sync {
    /// A step begins; totals where they are known. `what` is a word for a person ("hashing", "linking").
    fn start(&self, what: &'static str, total_items: Option<u64>, total_bytes: Option<u64>);
    fn add(&self, items: u64, bytes: u64);
    /// The step that began last is over.
    fn finish(&self);
    /// Asked between files and between parts of a large file: `true` ends the work with `Error::Cancelled`.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _what: &'static str, _total_items: Option<u64>, _total_bytes: Option<u64>) {}
    fn add(&self, _items: u64, _bytes: u64) {}
    fn finish(&self) {}
}
