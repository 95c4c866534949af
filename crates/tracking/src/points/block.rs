//! Blocks: the points of one request, in the order in which they came.
//!
//! A block is written while a client waits and lives until it is compacted, so it is made of varints and plain values:
//! no compressor runs. `log_metric` sends one point, which has a form of its own; `log_batch` sends up to a thousand,
//! where most often the key or the time and step are the same for all.

use super::varint::{self, Reader};
use super::{Corrupt, Point, as_f32, stored_value};

/// First byte of a block of any number of points.
const MANY: u8 = 0x01;
/// First byte of a block of one point: the low four bits say how the value is written.
const SINGLE: u8 = 0x10;
/// The same, with the timestamp as five bytes counted from [`SINGLE_EPOCH`] in place of a varint's six.
const SINGLE_RECENT: u8 = 0x20;
/// Low bits of a single point's first byte: 0 to 8 are the value's leading bytes, without trailing zeros; this is
/// single precision.
const SINGLE_F32: u8 = 9;
/// 2020-01-01T00:00:00Z in milliseconds. Five bytes reach to the year 2054.
const SINGLE_EPOCH: i64 = 1_577_836_800_000;

/// How a column of integers (keys, times or steps) is written: two bits of a block's second byte.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    /// One number stands for all.
    Same,
    /// The first number and what is added from point to point.
    Stride(i64),
    /// The first number and the least difference; then what each difference has beyond it, in each row. In a loop
    /// that takes 120 ms a step, give or take some, that is one byte where the difference itself takes two.
    Varied(i64),
}

impl Column {
    fn of(values: impl Iterator<Item = i64> + Clone) -> Column {
        let differences = || values.clone().zip(values.clone().skip(1)).map(|(last, next)| next.wrapping_sub(last));
        let Some(least) = differences().min() else {
            return Column::Same;
        };
        match differences().all(|difference| difference == least) {
            true if least == 0 => Column::Same,
            true => Column::Stride(least),
            false => Column::Varied(least),
        }
    }

    fn code(self) -> u8 {
        match self {
            Column::Same => 0,
            Column::Stride(_) => 1,
            Column::Varied(_) => 2,
        }
    }

    fn put(self, first: i64, out: &mut Vec<u8>) {
        varint::put_signed(out, first);
        if let Column::Stride(by) | Column::Varied(by) = self {
            varint::put_signed(out, by);
        }
    }

    fn put_next(self, last: i64, next: i64, out: &mut Vec<u8>) {
        if let Column::Varied(least) = self {
            varint::put(out, next.wrapping_sub(last).wrapping_sub(least) as u64);
        }
    }

    fn read(code: u8, reader: &mut Reader) -> Result<(i64, Column), Corrupt> {
        let first = reader.signed()?;
        let column = match code & 3 {
            0 => Column::Same,
            1 => Column::Stride(reader.signed()?),
            2 => Column::Varied(reader.signed()?),
            _ => return Err(Corrupt::new("a column of a block has an unknown form")),
        };
        Ok((first, column))
    }

    fn next(self, last: i64, reader: &mut Reader) -> Result<i64, Corrupt> {
        Ok(match self {
            Column::Same => last,
            Column::Stride(stride) => last.wrapping_add(stride),
            Column::Varied(least) => last.wrapping_add(least).wrapping_add(reader.varint()? as i64),
        })
    }
}

/// Appends the block of `points`, each with its key's id, to `out`. Values are normalised on the way.
pub fn encode_block(points: &[(u32, Point)], out: &mut Vec<u8>) {
    match points {
        [(key, point)] => encode_single(*key, point.normalised(), out),
        _ => encode_many(points, out),
    }
}

fn encode_single(key: u32, point: Point, out: &mut Vec<u8>) {
    let bits = point.value.to_bits();
    let whole = 8 - (bits.trailing_zeros() / 8) as u8;
    let narrow = as_f32(point.value).filter(|_| whole > 4);
    let form = if narrow.is_some() { SINGLE_F32 } else { whole };
    let recent = point.timestamp.wrapping_sub(SINGLE_EPOCH) as u64;
    if recent < 1 << 40 {
        out.push(SINGLE_RECENT | form);
        out.extend_from_slice(&recent.to_le_bytes()[..5]);
    } else {
        out.push(SINGLE | form);
        varint::put_signed(out, point.timestamp);
    }
    varint::put(out, u64::from(key));
    varint::put_signed(out, point.step);
    match narrow {
        Some(narrow) => out.extend_from_slice(&narrow.to_le_bytes()),
        None => out.extend_from_slice(&bits.to_be_bytes()[..usize::from(whole)]),
    }
}

fn decode_single(form: u8, mut reader: Reader) -> Result<(u32, Point), Corrupt> {
    let timestamp = if form & 0xf0 == SINGLE_RECENT {
        let mut bytes = [0; 8];
        bytes[..5].copy_from_slice(reader.take(5)?);
        SINGLE_EPOCH + i64::from_le_bytes(bytes)
    } else {
        reader.signed()?
    };
    let key = key_id(reader.varint()?)?;
    let step = reader.signed()?;
    let value = match form & 0x0f {
        SINGLE_F32 => f64::from(f32::from_le_bytes(array(reader.take(4)?))),
        whole @ 0..=8 => {
            let whole = usize::from(whole);
            let mut bytes = [0; 8];
            bytes[..whole].copy_from_slice(reader.take(whole)?);
            f64::from_be_bytes(bytes)
        }
        _ => return Err(Corrupt::new("a block's value has an unknown form")),
    };
    reader.finish()?;
    Ok((key, Point { timestamp, step, value: stored_value(value)? }))
}

fn encode_many(points: &[(u32, Point)], out: &mut Vec<u8>) {
    let keys = Column::of(points.iter().map(|(key, _)| i64::from(*key)));
    let times = Column::of(points.iter().map(|(_, point)| point.timestamp));
    let steps = Column::of(points.iter().map(|(_, point)| point.step));
    let narrow = points.iter().all(|(_, point)| as_f32(point.normalised().value).is_some());

    out.reserve(16 + points.len() * 11);
    out.push(MANY);
    out.push(keys.code() | times.code() << 2 | steps.code() << 4 | u8::from(narrow) << 6);
    varint::put(out, points.len() as u64);
    let Some((first_key, first)) = points.first() else {
        return;
    };
    keys.put(i64::from(*first_key), out);
    times.put(first.timestamp, out);
    steps.put(first.step, out);
    let (mut last_key, mut last) = (*first_key, *first);
    for (key, point) in &points[1..] {
        keys.put_next(i64::from(last_key), i64::from(*key), out);
        times.put_next(last.timestamp, point.timestamp, out);
        steps.put_next(last.step, point.step, out);
        (last_key, last) = (*key, *point);
    }
    for (_, point) in points {
        let value = point.normalised().value;
        if narrow {
            out.extend_from_slice(&(value as f32).to_le_bytes());
        } else {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Reads a block of several points; `each` gets those of key `only`, or all.
fn decode_many(mut reader: Reader, only: Option<u32>, mut each: impl FnMut(u32, Point)) -> Result<(), Corrupt> {
    let layout = reader.byte()?;
    if layout & 0x80 != 0 {
        return Err(Corrupt::new("a block has an unknown layout"));
    }
    let width = if layout & 0x40 != 0 { 4 } else { 8 };
    let count = reader.length(reader.remaining() / width)?;
    if count == 0 {
        return reader.finish();
    }
    let (mut key, keys) = Column::read(layout, &mut reader)?;
    let (mut timestamp, times) = Column::read(layout >> 2, &mut reader)?;
    let (mut step, steps) = Column::read(layout >> 4, &mut reader)?;
    if keys == Column::Same && only.is_some_and(|only| i64::from(only) != key) {
        return Ok(());
    }
    let rows = reader.remaining().checked_sub(count * width).ok_or(Corrupt::new("the data ends too early"))?;
    let mut rows = Reader::new(reader.take(rows)?);
    for index in 0..count {
        if index > 0 {
            key = keys.next(key, &mut rows)?;
            timestamp = times.next(timestamp, &mut rows)?;
            step = steps.next(step, &mut rows)?;
        }
        let bytes = reader.take(width)?;
        let id = key_id(key as u64)?;
        if only.is_some_and(|only| only != id) {
            continue;
        }
        let value =
            if width == 4 { f64::from(f32::from_le_bytes(array(bytes))) } else { f64::from_le_bytes(array(bytes)) };
        each(id, Point { timestamp, step, value: stored_value(value)? });
    }
    rows.finish()
}

/// Every point of a block with its key's id, in the order in which they were sent.
pub fn decode_block(data: &[u8]) -> Result<Vec<(u32, Point)>, Corrupt> {
    let mut reader = Reader::new(data);
    match reader.byte()? {
        MANY => {
            let mut points = Vec::with_capacity(data.len() / 8);
            decode_many(reader, None, |key, point| points.push((key, point)))?;
            Ok(points)
        }
        form if is_single(form) => Ok(vec![decode_single(form, reader)?]),
        _ => Err(Corrupt::new("a block is of an unknown version")),
    }
}

/// Appends the points of one key to `out`. If the block is corrupt, `out` stays as it was.
pub fn decode_block_key(data: &[u8], key: u32, out: &mut Vec<Point>) -> Result<(), Corrupt> {
    let before = out.len();
    let mut reader = Reader::new(data);
    let read = match reader.byte()? {
        MANY => decode_many(reader, Some(key), |_, point| out.push(point)),
        form if is_single(form) => decode_single(form, reader).map(|(id, point)| {
            if id == key {
                out.push(point);
            }
        }),
        _ => Err(Corrupt::new("a block is of an unknown version")),
    };
    if read.is_err() {
        out.truncate(before);
    }
    read
}

fn is_single(form: u8) -> bool {
    matches!(form & 0xf0, SINGLE | SINGLE_RECENT)
}

fn key_id(value: u64) -> Result<u32, Corrupt> {
    u32::try_from(value).map_err(|_| Corrupt::new("a key's id has more than 32 bits"))
}

/// `bytes` have been taken with this very length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
