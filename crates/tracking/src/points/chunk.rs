//! Chunks: many points of one key in history order, compressed column by column.
//!
//! Timestamps, steps and values are three columns. Each is handed to [pco](https://docs.rs/pco), which finds deltas,
//! common multiples (decimals, whole seconds) and narrow floats by itself; where its header costs more than it saves,
//! as in short series, the column is bit-packed or left plain. Each column takes whatever came out smallest.

use std::hash::Hasher;

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};

use super::varint::{self, Reader};
use super::{Corrupt, Point, as_f32, stored_value};

/// The most points that [`encode_chunk`] takes. Larger chunks gain next to nothing (0.03 bytes a point from 8192 on),
/// and a reader that wants a part has to decode more.
pub const MAX_CHUNK_POINTS: usize = 8192;
/// The most points that are read: leaves room to raise the limit above, and bounds what corrupt data can allocate.
const MAX_READ_POINTS: usize = 1 << 16;

const VERSION: u8 = 1;

/// Forms of an integer column: up to 64 is the width of bit-packed differences.
const MAX_WIDTH: u8 = 64;
const INTEGERS_PCO: u8 = 0xff;

/// Forms of the value column.
const CONSTANT: u8 = 0;
const PLAIN_F32: u8 = 1;
const PLAIN_F64: u8 = 2;
const PCO_F32: u8 = 3;
const PCO_F64: u8 = 4;
/// Added to the form where there are NaNs: their places come first.
const WITH_NANS: u8 = 0x80;

/// Level 6 of pco's 12: about 15 % slower than level 4, 1 to 2 % smaller on noise and up to 40 % where values repeat.
/// Level 8 takes longer and gains nothing worth it.
const LEVEL: usize = 6;
/// A column is given to pco only if it is longer than this without it: it writes about 20 bytes before the first number.
const WORTH_COMPRESSING: usize = 24;

/// What is known of a chunk without decoding it.
#[derive(Clone, Copy, Debug)]
pub struct ChunkSummary {
    pub count: u32,
    pub first_timestamp: i64,
    pub last_timestamp: i64,
    pub min_step: i64,
    pub max_step: i64,
    /// The smallest and the largest value, NaN left out; both are NaN if there is nothing else.
    pub min: f64,
    pub max: f64,
    pub nans: u32,
    /// The values of the first and the last point in history order.
    pub first: f64,
    pub last: f64,
}

impl ChunkSummary {
    fn of(points: &[Point]) -> Self {
        let (first, last) = (points[0], points[points.len() - 1]);
        let mut summary = ChunkSummary {
            count: points.len() as u32,
            first_timestamp: first.timestamp,
            last_timestamp: last.timestamp,
            min_step: first.step,
            max_step: first.step,
            min: f64::NAN,
            max: f64::NAN,
            nans: 0,
            first: first.normalised().value,
            last: last.normalised().value,
        };
        for point in points {
            let value = point.normalised().value;
            summary.min_step = summary.min_step.min(point.step);
            summary.max_step = summary.max_step.max(point.step);
            // Of a number and a NaN, `min` and `max` give the number.
            summary.min = summary.min.min(value);
            summary.max = summary.max.max(value);
            summary.nans += u32::from(value.is_nan());
        }
        summary
    }
}

/// Compresses points of one key. Values are normalised on the way.
///
/// # Panics
/// If there are no points or more than [`MAX_CHUNK_POINTS`]. In debug builds also if they are not in history order
/// or not distinct, as [`merge_sorted_dedup`](super::merge_sorted_dedup) leaves them.
pub fn encode_chunk(points: &[Point]) -> (ChunkSummary, Vec<u8>) {
    assert!(
        (1..=MAX_CHUNK_POINTS).contains(&points.len()),
        "a chunk takes 1 to {MAX_CHUNK_POINTS} points, not {}",
        points.len()
    );
    debug_assert!(points.is_sorted_by(|a, b| a.cmp_history(b).is_lt()), "a chunk's points are sorted and distinct");
    let mut out = vec![VERSION];
    varint::put(&mut out, points.len() as u64);
    put_integers(&mut out, points.iter().map(|point| point.timestamp).collect());
    put_integers(&mut out, points.iter().map(|point| point.step).collect());
    put_values(&mut out, points.iter().map(|point| point.normalised().value).collect());
    (ChunkSummary::of(points), seal(out))
}

/// Appends the points of a chunk to `out`, in history order. If the chunk is corrupt, `out` stays as it was.
pub fn decode_chunk(data: &[u8], out: &mut Vec<Point>) -> Result<(), Corrupt> {
    let (body, sum) = data.split_last_chunk::<4>().ok_or(Corrupt::new("the data ends too early"))?;
    if body.first() != Some(&VERSION) {
        return Err(Corrupt::new("a chunk is of an unknown version"));
    }
    if checksum(body) != u32::from_le_bytes(*sum) {
        return Err(Corrupt::new("a chunk's checksum is wrong"));
    }
    let mut reader = Reader::new(&body[1..]);
    let count = reader.length(MAX_READ_POINTS)?;
    if count == 0 {
        return Err(Corrupt::new("a chunk is empty"));
    }
    let times = read_integers(&mut reader, count)?;
    let steps = read_integers(&mut reader, count)?;
    let values = read_values(&mut reader, count)?;
    reader.finish()?;
    out.extend(times.iter().zip(&steps).zip(&values).map(|((&timestamp, &step), &value)| Point {
        timestamp,
        step,
        value,
    }));
    Ok(())
}

/// Ends a chunk with the checksum of all its bytes.
pub fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.write(bytes);
    hasher.finalize()
}

fn put_integers(out: &mut Vec<u8>, numbers: Vec<i64>) {
    let differences = || numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    let least = differences().min().unwrap_or(0);
    let excess = || differences().map(|difference| difference.wrapping_sub(least) as u64);
    let width = 64 - excess().fold(0, |all, excess| all | excess).leading_zeros();
    let packed = (width as usize * (numbers.len() - 1)).div_ceil(8);
    if packed > WORTH_COMPRESSING {
        let compressed = compress(&numbers);
        if compressed.len() < packed {
            out.push(INTEGERS_PCO);
            varint::put(out, compressed.len() as u64);
            out.extend_from_slice(&compressed);
            return;
        }
    }
    out.push(width as u8);
    varint::put_signed(out, numbers[0]);
    varint::put_signed(out, least);
    let (mut pending, mut bits) = (0u128, 0);
    for excess in excess() {
        pending |= u128::from(excess) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

fn read_integers(reader: &mut Reader, count: usize) -> Result<Vec<i64>, Corrupt> {
    let form = reader.byte()?;
    if form == INTEGERS_PCO {
        return decompress(reader, count);
    }
    if form > MAX_WIDTH {
        return Err(Corrupt::new("a column of a chunk has an unknown form"));
    }
    let width = u32::from(form);
    let mut number = reader.signed()?;
    let least = reader.signed()?;
    let packed = reader.take((usize::from(form) * (count - 1)).div_ceil(8))?;
    let mut numbers = Vec::with_capacity(count);
    numbers.push(number);
    let mask = (1u128 << width) - 1;
    let (mut pending, mut bits, mut packed) = (0u128, 0, packed.iter());
    for _ in 1..count {
        while bits < width {
            pending |= u128::from(packed.next().copied().unwrap_or(0)) << bits;
            bits += 8;
        }
        number = number.wrapping_add(least).wrapping_add((pending & mask) as i64);
        numbers.push(number);
        pending >>= width;
        bits -= width;
    }
    Ok(numbers)
}

fn put_values(out: &mut Vec<u8>, mut values: Vec<f64>) {
    let form_at = out.len();
    out.push(0);
    if values.iter().any(|value| value.is_nan()) {
        put_nans(out, &mut values);
        out[form_at] = WITH_NANS;
    }
    let bits = |value: f64| value.to_bits();
    if values.iter().all(|value| bits(*value) == bits(values[0])) {
        out[form_at] |= CONSTANT;
        out.extend_from_slice(&values[0].to_le_bytes());
        return;
    }
    let (plain, compressed, forms) = match values.iter().map(|value| as_f32(*value)).collect::<Option<Vec<f32>>>() {
        Some(narrow) => {
            let plain: Vec<u8> = narrow.iter().flat_map(|value| value.to_le_bytes()).collect();
            let compressed = (plain.len() > WORTH_COMPRESSING).then(|| compress(&narrow));
            (plain, compressed, (PLAIN_F32, PCO_F32))
        }
        None => {
            let plain: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let compressed = (plain.len() > WORTH_COMPRESSING).then(|| compress(&values));
            (plain, compressed, (PLAIN_F64, PCO_F64))
        }
    };
    match compressed {
        Some(compressed) if compressed.len() < plain.len() => {
            out[form_at] |= forms.1;
            varint::put(out, compressed.len() as u64);
            out.extend_from_slice(&compressed);
        }
        _ => {
            out[form_at] |= forms.0;
            out.extend_from_slice(&plain);
        }
    }
}

fn read_values(reader: &mut Reader, count: usize) -> Result<Vec<f64>, Corrupt> {
    let form = reader.byte()?;
    let nans = if form & WITH_NANS != 0 { read_nans(reader, count)? } else { Vec::new() };
    let f64_of = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let f32_of = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap_or_default());
    let mut values: Vec<f64> = match form & !WITH_NANS {
        CONSTANT => vec![f64_of(reader.take(8)?); count],
        PLAIN_F32 => reader.take(count * 4)?.chunks_exact(4).map(|bytes| f64::from(f32_of(bytes))).collect(),
        PLAIN_F64 => reader.take(count * 8)?.chunks_exact(8).map(f64_of).collect(),
        PCO_F32 => decompress::<f32>(reader, count)?.into_iter().map(f64::from).collect(),
        PCO_F64 => decompress(reader, count)?,
        _ => return Err(Corrupt::new("the values of a chunk have an unknown form")),
    };
    for value in &values {
        stored_value(*value)?;
    }
    for (start, length) in nans {
        values[start..start + length].fill(f64::NAN);
    }
    Ok(values)
}

/// Writes where NaNs are, as runs, and puts the neighbouring number in their place: it costs the column least.
fn put_nans(out: &mut Vec<u8>, values: &mut [f64]) {
    let mut lengths = Vec::new();
    for run in values.chunk_by(|a, b| a.is_nan() == b.is_nan()) {
        if lengths.is_empty() && run[0].is_nan() {
            lengths.push(0);
        }
        lengths.push(run.len() as u64);
    }
    // Numbers and NaNs take turns; numbers at the end need not be counted.
    lengths.truncate(lengths.len() / 2 * 2);
    varint::put(out, lengths.len() as u64 / 2);
    for length in lengths {
        varint::put(out, length);
    }
    let mut number = values.iter().copied().find(|value| !value.is_nan()).unwrap_or(0.0);
    for value in values {
        if value.is_nan() {
            *value = number;
        }
        number = *value;
    }
}

/// The runs of NaN: start and length, within `count`.
fn read_nans(reader: &mut Reader, count: usize) -> Result<Vec<(usize, usize)>, Corrupt> {
    let runs = reader.length(count)?;
    let mut end = 0;
    let mut nans = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = end + reader.length(count - end)?;
        let length = reader.length(count - start)?;
        nans.push((start, length));
        end = start + length;
    }
    Ok(nans)
}

fn compress<T: Number>(numbers: &[T]) -> Vec<u8> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let write = || {
        let file = FileCompressor::default();
        let mut chunk = file.chunk_compressor(numbers, &config)?;
        let out = file.write_header(Vec::with_capacity(numbers.len() * 4 + 64))?;
        let out = chunk.write_meta(out)?;
        chunk.write_page(0, out)
    };
    // It fails for a wrong configuration, for no numbers, for too many, and for a writer that does.
    write().unwrap_or_else(|error: pco::errors::PcoError| unreachable!("a column is compressed: {error}"))
}

fn decompress<T: Number + Default>(reader: &mut Reader, count: usize) -> Result<Vec<T>, Corrupt> {
    let length = reader.length(reader.remaining())?;
    let data = reader.take(length)?;
    let read = || {
        let (file, data) = FileDecompressor::new(data)?;
        let (mut chunk, data) = file.chunk_decompressor::<T, _>(data)?;
        if let DeltaEncoding::Lookback { config, .. } = &chunk.meta().delta_encoding
            && config.window_n_log > MAX_READ_POINTS.ilog2()
        {
            // It would be allocated: up to 2^24 numbers, where there are `count`.
            return Ok((Vec::new(), false));
        }
        let mut page = chunk.page_decompressor(data, count)?;
        let mut numbers = vec![T::default(); count];
        let progress = page.read(&mut numbers)?;
        Ok((numbers, progress.n_processed == count && page.into_src().is_empty()))
    };
    match read() {
        Ok((numbers, true)) => Ok(numbers),
        Ok((_, false)) => Err(Corrupt::new("a compressed column has another length")),
        Err(error) => {
            let _: pco::errors::PcoError = error;
            Err(Corrupt::new("a compressed column cannot be read"))
        }
    }
}
