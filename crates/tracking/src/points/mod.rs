//! Metric points as they are stored: pure functions between points and bytes, without any SQL.
//!
//! * [`Point`] is one logged value. A run's points of a key are a *set*: [`Point::same`] is its identity, and
//!   [`Point::cmp_history`] the order in which `metrics/get-history` lists it.
//! * [`encode_block`] writes the points of one request as they came, all keys together: small and cheap, since a
//!   client waits for it.
//! * [`encode_chunk`] writes many sorted points of one key, compressed: made later, from blocks.
//! * [`merge_sorted_dedup`] turns what several blocks and chunks decoded to into one history.
//!
//! Both formats are described byte by byte in `docs/formats/metric-points.md`, the reasons for them in
//! `docs/design/0001-metric-points.md`.

mod block;
mod chunk;
mod varint;

use std::cmp::Ordering;

pub use block::{decode_block, decode_block_key, encode_block};
#[doc(hidden)]
pub use chunk::seal as seal_chunk;
pub use chunk::{ChunkSummary, MAX_CHUNK_POINTS, decode_chunk, encode_chunk};

/// One logged value of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Milliseconds since the epoch, as the client gave them.
    pub timestamp: i64,
    pub step: i64,
    /// Normalised (see [`Point::normalised`]): never infinite, never -0.0, and only one NaN.
    pub value: f64,
}

impl Point {
    /// The point as it is stored.
    ///
    /// As MLflow 3.17's SQL store does, an infinity becomes the largest finite number of its sign. -0.0 becomes 0.0,
    /// which that store's primary key cannot tell apart either, and every NaN becomes `f64::NAN`.
    pub fn normalised(self) -> Point {
        let value = if self.value.is_nan() {
            f64::NAN
        } else {
            // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
            self.value.clamp(-f64::MAX, f64::MAX) + 0.0
        };
        Point { value, ..self }
    }

    /// The order of a history: timestamp, step, value.
    ///
    /// MLflow 3.17 sorts by these three columns and keeps NaN as the value 0 with a flag beside it, so NaN lies among
    /// the zeros. Where timestamp and step are equal too its order of 0 and NaN is left open; here, as in that store's
    /// primary key and in its sampled histories, the flag decides: 0 comes first.
    pub fn cmp_history(&self, other: &Self) -> Ordering {
        let key = |point: &Self| (point.timestamp, point.step);
        key(self).cmp(&key(other)).then_with(|| {
            let (a, b) = (self.value, other.value);
            let zeroed = |value: f64| if value.is_nan() { 0.0 } else { value };
            // The values are not NaN, hence comparable.
            zeroed(a).partial_cmp(&zeroed(b)).unwrap_or(Ordering::Equal).then(a.is_nan().cmp(&b.is_nan()))
        })
    }

    /// Whether both are the same member of a run's set of points: equal in every bit once normalised.
    pub fn same(&self, other: &Self) -> bool {
        let bits = |point: &Self| (point.timestamp, point.step, point.normalised().value.to_bits());
        bits(self) == bits(other)
    }
}

/// Sorts points into history order and drops repeated ones.
///
/// Decode every block and chunk of a key into one vector, then call this. Points that are in order already cost one
/// pass; a few sorted stretches are merged (the standard library's stable sort finds them), and only real disorder is
/// sorted in full.
pub fn merge_sorted_dedup(points: &mut Vec<Point>) {
    if points.is_sorted_by(|a, b| a.cmp_history(b).is_lt()) {
        return;
    }
    points.sort_by(Point::cmp_history);
    points.dedup_by(|a, b| a.same(b));
}

/// Stored bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Stored metric points cannot be read: {what}. The database is damaged, or a newer version of Trackway wrote it; \
     use that version, or restore the database from a backup."
)]
pub struct Corrupt {
    what: &'static str,
}

impl Corrupt {
    fn new(what: &'static str) -> Self {
        Corrupt { what }
    }
}

/// Checks a value that was read: stored ones are normalised.
fn stored_value(value: f64) -> Result<f64, Corrupt> {
    if value.is_finite() && value.to_bits() != (-0.0f64).to_bits() || value.to_bits() == f64::NAN.to_bits() {
        Ok(value)
    } else {
        Err(Corrupt::new("a value is one that is never stored"))
    }
}

/// The value in single precision if that loses nothing, as for all that a training loop computed in `float32`.
fn as_f32(value: f64) -> Option<f32> {
    let narrow = value as f32;
    (f64::from(narrow).to_bits() == value.to_bits()).then_some(narrow)
}

#[cfg(test)]
mod tests;
