//! Round trips, damage and sizes. Sizes are counted in bytes of seeded series, so they hold on any machine.

use std::f64::consts::TAU;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Splitmix64: the series of the size tests must never change.
struct Seeded(u64);

impl Seeded {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }
}

type Value = fn(usize, &mut Seeded) -> f64;

/// A training loop: a step each 120 ms, give or take 4, now and then a pause.
fn series(count: usize, mut value: impl FnMut(usize, &mut Seeded) -> f64) -> Vec<Point> {
    let mut seeded = Seeded(7);
    let mut time = 1_767_000_000_000.0;
    let mut point = |index| {
        time += 120.0 + 4.0 * seeded.normal() + if seeded.unit() < 0.01 { 80.0 } else { 0.0 };
        Point { timestamp: time as i64, step: index as i64, value: value(index, &mut seeded) }
    };
    (0..count).map(&mut point).collect()
}

fn loss(index: usize, seeded: &mut Seeded) -> f64 {
    (2.0 * (-(index as f64) / 3000.0).exp() + 0.3) * (1.0 + 0.1 * seeded.normal())
}

fn loss_f32(index: usize, seeded: &mut Seeded) -> f64 {
    f64::from(loss(index, seeded) as f32)
}

fn keyed(points: &[Point]) -> Vec<(u32, Point)> {
    points.iter().map(|point| (3, *point)).collect()
}

fn assert_same(read: &[Point], written: &[Point]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        let written = written.normalised();
        assert_eq!(read.value.to_bits(), written.value.to_bits(), "{read:?} {written:?}");
        assert_eq!((read.timestamp, read.step), (written.timestamp, written.step));
    }
}

fn block(points: &[(u32, Point)]) -> Vec<u8> {
    let mut data = Vec::new();
    encode_block(points, &mut data);
    let read = decode_block(&data).unwrap();
    assert_eq!(
        read.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        points.iter().map(|(key, _)| key).collect::<Vec<_>>()
    );
    let points: Vec<Point> = points.iter().map(|(_, point)| *point).collect();
    assert_same(&read.iter().map(|(_, point)| *point).collect::<Vec<_>>(), &points);
    data
}

fn chunk(points: &[Point]) -> Vec<u8> {
    let (summary, data) = encode_chunk(points);
    assert_eq!(summary.count as usize, points.len());
    let mut read = Vec::new();
    decode_chunk(&data, &mut read).unwrap();
    assert_same(&read, points);
    data
}

fn per_point(points: &[Point]) -> f64 {
    let bytes: usize = points.chunks(MAX_CHUNK_POINTS).map(|points| chunk(points).len()).sum();
    bytes as f64 / points.len() as f64
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..100i64,
        2 => 1_700_000_000_000..1_700_000_001_000i64,
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1)],
    ]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => any::<f64>(),
        2 => any::<f32>().prop_map(f64::from),
        2 => (-1000..1000i64).prop_map(|tenths| tenths as f64 / 10.0),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324)],
    ]
}

fn narrow_value() -> impl Strategy<Value = f64> {
    prop_oneof![4 => any::<f32>().prop_map(f64::from), 1 => Just(f64::NAN)]
}

fn point() -> impl Strategy<Value = Point> {
    (integer(), integer(), value()).prop_map(|(timestamp, step, value)| Point { timestamp, step, value })
}

/// Whole columns of one kind, as they come: mixtures would hide the special forms.
fn points() -> impl Strategy<Value = Vec<Point>> {
    let columns = |size: usize| {
        let integers = || {
            prop_oneof![
                vec(integer(), size),
                (integer(), integer()).prop_map(move |(first, stride)| {
                    (0..size as i64).map(|index| first.wrapping_add(stride.wrapping_mul(index))).collect()
                }),
                (integer(), vec(0..40i64, size)).prop_map(|(first, mut deltas)| {
                    deltas.iter_mut().fold(first, |last, delta| {
                        *delta = last.wrapping_add(*delta);
                        *delta
                    });
                    deltas
                }),
            ]
        };
        let values = prop_oneof![
            vec(value(), size),
            vec(narrow_value(), size),
            vec((0..9999i64).prop_map(|number| number as f64 / 1e4), size),
            value().prop_map(move |value| vec![value; size]),
        ];
        (integers(), integers(), values).prop_map(|(times, steps, values)| {
            times
                .into_iter()
                .zip(steps)
                .zip(values)
                .map(|((timestamp, step), value)| Point { timestamp, step, value })
                .collect()
        })
    };
    prop_oneof![3 => 1..40usize, 1 => 40..700usize].prop_flat_map(columns)
}

fn sorted(points: Vec<Point>) -> Vec<Point> {
    let mut points: Vec<Point> = points.into_iter().map(Point::normalised).collect();
    merge_sorted_dedup(&mut points);
    points
}

proptest! {
    #[test]
    fn a_block_reads_back(points in points(), keys in vec(prop_oneof![0..4u32, any::<u32>()], 1..8)) {
        block(&keyed(&points));
        let mixed: Vec<(u32, Point)> =
            points.iter().enumerate().map(|(index, point)| (keys[index % keys.len()], *point)).collect();
        let data = block(&mixed);
        for key in keys {
            let mut read = Vec::new();
            decode_block_key(&data, key, &mut read).unwrap();
            let written: Vec<Point> = mixed.iter().filter(|(id, _)| *id == key).map(|(_, point)| *point).collect();
            assert_same(&read, &written);
        }
    }

    #[test]
    fn a_single_point_reads_back(point in point(), key in any::<u32>()) {
        let data = block(&[(key, point)]);
        let mut read = Vec::new();
        decode_block_key(&data, key, &mut read).unwrap();
        assert_same(&read, &[point]);
        decode_block_key(&data, !key, &mut read).unwrap();
        prop_assert_eq!(read.len(), 1);
    }

    #[test]
    fn a_chunk_reads_back(points in points()) {
        let points = sorted(points);
        let (summary, data) = encode_chunk(&points);
        let mut read = Vec::new();
        decode_chunk(&data, &mut read).unwrap();
        assert_same(&read, &points);

        let numbers = || points.iter().map(|point| point.value).filter(|value| !value.is_nan());
        let steps = || points.iter().map(|point| point.step);
        prop_assert_eq!(summary.count as usize, points.len());
        prop_assert_eq!(summary.nans as usize, points.len() - numbers().count());
        prop_assert_eq!(Some(summary.min_step), steps().min());
        prop_assert_eq!(Some(summary.max_step), steps().max());
        prop_assert_eq!(summary.first_timestamp, points[0].timestamp);
        prop_assert_eq!(summary.last_timestamp, points[points.len() - 1].timestamp);
        if numbers().count() == 0 {
            prop_assert!(summary.min.is_nan() && summary.max.is_nan());
        } else {
            prop_assert_eq!(summary.min, numbers().fold(f64::MAX, f64::min));
            prop_assert_eq!(summary.max, numbers().fold(f64::MIN, f64::max));
        }
    }

    #[test]
    fn merging_gives_the_sorted_set(points in vec(point(), 0..60), repeats in vec(any::<prop::sample::Index>(), 0..20)) {
        let mut all: Vec<Point> = points.iter().map(|point| point.normalised()).collect();
        if !points.is_empty() {
            all.extend(repeats.iter().map(|index| index.get(&points).normalised()));
        }
        let expected: std::collections::BTreeSet<(i64, i64, u64)> =
            all.iter().map(|point| (point.timestamp, point.step, point.value.to_bits())).collect();
        merge_sorted_dedup(&mut all);
        prop_assert!(all.is_sorted_by(|a, b| a.cmp_history(b).is_lt()));
        let found: std::collections::BTreeSet<(i64, i64, u64)> =
            all.iter().map(|point| (point.timestamp, point.step, point.value.to_bits())).collect();
        prop_assert_eq!(all.len(), expected.len());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn foreign_bytes_are_refused_or_read(data in vec(any::<u8>(), 0..200), first in prop_oneof![Just(0x01u8), 0x10..0x30u8, any::<u8>()]) {
        let mut block = data.clone();
        block.insert(0, first);
        // Whatever is read can be written again.
        if let Ok(points) = decode_block(&block) {
            super::tests::block(&points);
        }
        let mut kept = vec![Point { timestamp: 1, step: 2, value: 3.0 }];
        if decode_block_key(&block, 3, &mut kept).is_err() {
            prop_assert_eq!(kept.len(), 1);
        }
        prop_assert!(decode_chunk(&data, &mut kept).is_err());
        let mut sealed = data;
        sealed.insert(0, 1);
        let _ = decode_chunk(&seal_chunk(sealed), &mut kept);
    }
}

#[test]
fn history_order_is_that_of_mlflows_store() {
    let point = |timestamp, step, value| Point { timestamp, step, value };
    let ordered = [
        point(-5, 9, 9.0),
        point(1, -1, 9.0),
        point(1, 0, -1.0),
        point(1, 0, 0.0),
        point(1, 0, f64::NAN),
        point(1, 0, 5e-324),
        point(1, 0, 2.0),
        point(2, 0, f64::NAN),
    ];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(a.cmp_history(b), i.cmp(&j), "{a:?} {b:?}");
            assert_eq!(a.same(b), i == j);
        }
    }
}

#[test]
fn values_are_normalised() {
    let stored = |value| Point { timestamp: 0, step: 0, value }.normalised().value;
    assert_eq!(stored(f64::INFINITY), f64::MAX);
    assert_eq!(stored(f64::NEG_INFINITY), f64::MIN);
    assert_eq!(stored(-0.0).to_bits(), 0);
    assert_eq!(stored(f64::from_bits(0xfff8_0000_0000_0001)).to_bits(), f64::NAN.to_bits());
    assert_eq!(stored(-5e-324), -5e-324);
    let zero = |value| Point { timestamp: 0, step: 0, value };
    assert!(zero(0.0).same(&zero(-0.0)));
    assert!(!zero(0.0).same(&zero(f64::NAN)));
}

#[test]
fn any_damage_to_a_chunk_is_found() {
    let points = series(100, loss_f32);
    let whole = chunk(&points);
    let mut out = points.clone();
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[index] ^= 1 << bit;
            assert!(decode_chunk(&damaged, &mut out).is_err(), "byte {index}, bit {bit}");
        }
        assert!(decode_chunk(&whole[..index], &mut out).is_err(), "cut to {index} bytes");
    }
    assert_same(&out, &points);
}

/// Behind the checksum the decoder must hold its own: the checksum here is made to fit.
#[test]
fn damage_behind_a_right_checksum_never_panics() {
    let mut seeded = Seeded(1);
    let nans = |index: usize, seeded: &mut Seeded| {
        if index % 7 == 3 { f64::NAN } else { loss(index, seeded) }
    };
    for points in [series(20, loss), series(300, loss_f32), series(700, nans)] {
        let (_, whole) = encode_chunk(&points);
        let body = &whole[..whole.len() - 4];
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut damaged = body.to_vec();
            for _ in 0..=seeded.bits() % 3 {
                // The front is where the counts and tables are.
                let reach = if seeded.bits().is_multiple_of(2) { damaged.len().min(60) } else { damaged.len() };
                let index = (seeded.bits() % reach as u64) as usize;
                damaged[index] = seeded.bits() as u8;
            }
            let mut out = Vec::new();
            refused += usize::from(decode_chunk(&seal_chunk(damaged), &mut out).is_err());
            assert!(out.len() <= 1 << 16);
        }
        assert!(refused > 100, "damage is noticed even so: {refused}");
    }
}

#[test]
fn truncated_blocks_are_refused() {
    let points = series(50, loss);
    for data in [block(&keyed(&points)), block(&keyed(&points[..1]))] {
        for length in 0..data.len() {
            assert!(decode_block(&data[..length]).is_err(), "cut to {length} bytes");
        }
        let mut longer = data.clone();
        longer.push(0);
        assert!(decode_block(&longer).is_err());
    }
    assert_eq!(block(&[]), [1, 0x40, 0]);
    // A count that no data backs: refused before anything is reserved for it.
    assert!(decode_block(&[1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]).is_err());
    assert!(
        decode_chunk(&seal_chunk(vec![1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0]), &mut Vec::new()).is_err()
    );
}

#[test]
fn stored_formats_stay_readable() {
    let single = block(&[(3, Point { timestamp: 1_767_000_000_000, step: 5, value: 0.5 })]);
    assert_eq!(single, [0x22, 0x00, 0x5e, 0x01, 0x0b, 0x2c, 3, 10, 0x3f, 0xe0]);
    let points: Vec<(u32, Point)> =
        (0..3).map(|i| (7, Point { timestamp: 100 + i * i, step: i, value: i as f64 })).collect();
    assert_eq!(
        block(&points),
        [1, 0b0101_1000, 3, 14, 0xc8, 1, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]
    );
    let points: Vec<Point> = points.into_iter().map(|(_, point)| point).collect();
    let data = chunk(&points);
    assert_eq!(
        data[..data.len() - 4],
        [1, 3, 2, 0xc8, 1, 2, 0b1000, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]
    );
}

#[test]
fn one_point_takes_few_bytes() {
    let size = |value| block(&[(40, Point { timestamp: 1_767_000_000_000, step: 50, value })]).len();
    assert_eq!(size(1.0), 10);
    assert_eq!(size(f64::NAN), 10);
    assert_eq!(size(f64::from(0.1f32)), 12);
    assert_eq!(size(0.1), 16);
}

#[test]
fn blocks_of_a_thousand_are_compact() {
    let per_point = |points: &[(u32, Point)]| block(points).len() as f64 / points.len() as f64;
    let noise = series(1000, loss);
    assert!(per_point(&keyed(&noise)) < 9.1);
    assert!(per_point(&keyed(&series(1000, loss_f32))) < 5.1);
    let one_step = noise.iter().zip(0..);
    let one_step = one_step.map(|(point, key)| (key, Point { timestamp: 1_767_000_000_000, step: 7, ..*point }));
    assert!(per_point(&one_step.collect::<Vec<_>>()) < 8.1);
}

#[test]
fn long_series_take_few_bytes() {
    let bounds: [(&str, Value, f64); 8] = [
        ("noisy float32", loss_f32, 3.6),
        ("noisy float64", loss, 7.4),
        ("uniform float64", |_, seeded| seeded.unit(), 7.6),
        ("gaussian float64", |_, seeded| seeded.normal() * 1e3, 7.9),
        ("four decimals", |_, seeded| (9000.0 + 30.0 * seeded.normal()).round() / 1e4, 1.8),
        ("integers", |index, _| index as f64 * 128.0, 0.75),
        ("constant", |_, _| 0.001, 0.7),
        (
            "diverged",
            |index, seeded| {
                if index < 500 { loss_f32(index, seeded) } else { f64::NAN }
            },
            2.5,
        ),
    ];
    for (name, value, bound) in bounds {
        for count in [1000, 8192, 20_000] {
            let found = per_point(&series(count, value));
            assert!(found <= bound, "{name}, {count} points: {found:.3} bytes a point, more than {bound}");
        }
    }
}

#[test]
fn short_series_take_few_bytes() {
    assert!(per_point(&series(20, loss)) <= 9.5);
    assert!(per_point(&series(20, loss_f32)) <= 5.5);
    assert!(per_point(&series(1, loss)) <= 30.0);
}
