//! Prints what stored metric points cost: bytes a point, and millions of points a second written and read.
//!
//! `cargo run --release -p trackway-tracking --example points_size`

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

use trackway_tracking::points::{MAX_CHUNK_POINTS, Point, decode_block, decode_chunk, encode_block, encode_chunk};

/// Splitmix64, so that every run prints the same sizes.
struct Seeded(u64);

impl Seeded {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }
}

type Value = fn(usize, &mut Seeded) -> f64;

fn loss(index: usize, seeded: &mut Seeded, noise: f64) -> f64 {
    (2.0 * (-(index as f64) / 3000.0).exp() + 0.3) * (1.0 + noise * seeded.normal())
}

const SERIES: [(&str, Value); 10] = [
    ("noisy loss, float32", |index, seeded| f64::from(loss(index, seeded, 0.1) as f32)),
    ("smooth loss, float32", |index, seeded| f64::from(loss(index, seeded, 1e-4) as f32)),
    ("noisy loss, float64", |index, seeded| loss(index, seeded, 0.1)),
    ("uniform, float64", |_, seeded| seeded.unit()),
    ("gaussian, float64", |_, seeded| seeded.normal() * 1e3),
    ("four decimals", |_, seeded| (9000.0 + 30.0 * seeded.normal()).round() / 1e4),
    ("correct of 60", |_, seeded| (50.0 + 4.0 * seeded.normal()).round().min(60.0) / 60.0),
    ("cosine schedule", |index, _| 5e-4 * (1.0 + (index as f64 / 20_000.0).cos())),
    ("integers", |index, _| index as f64 * 128.0),
    ("constant", |_, _| 0.001),
];

fn series(count: usize, value: Value) -> Vec<Point> {
    let mut seeded = Seeded(7);
    let mut time = 1_767_000_000_000.0;
    let mut point = |index| {
        time += 120.0 + 4.0 * seeded.normal() + if seeded.unit() < 0.01 { 80.0 } else { 0.0 };
        Point { timestamp: time as i64, step: index as i64, value: value(index, &mut seeded) }
    };
    (0..count).map(&mut point).collect()
}

/// Seconds that one of many repetitions takes: the best of several tries, since other work disturbs.
fn seconds(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let mut repetitions = 1;
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < 0.15 {
        let start = Instant::now();
        for _ in 0..repetitions {
            work();
        }
        let elapsed = start.elapsed().as_secs_f64();
        best = best.min(elapsed / f64::from(repetitions));
        if elapsed < 0.001 {
            repetitions *= 2;
        }
    }
    best
}

fn line(name: &str, points: usize, bytes: usize, write: f64, read: f64) {
    let millions = |seconds: f64| points as f64 / seconds / 1e6;
    let size = bytes as f64 / points as f64;
    println!("{name:32} {points:6} {size:10.3} {:10.1} {:10.1}", millions(write), millions(read));
}

fn main() {
    println!("{:32} {:>6} {:>10} {:>10} {:>10}", "", "points", "bytes each", "write M/s", "read M/s");
    for (name, value) in SERIES {
        for count in [20, 1000, MAX_CHUNK_POINTS] {
            let points = series(count, value);
            let (_, data) = encode_chunk(&points);
            let mut read = Vec::with_capacity(count);
            let write_time = seconds(|| {
                black_box(encode_chunk(black_box(&points)));
            });
            let read_time = seconds(|| {
                read.clear();
                decode_chunk(black_box(&data), &mut read).expect("it was just written");
            });
            line(&format!("chunk: {name}"), count, data.len(), write_time, read_time);
        }
    }
    let noise = series(1000, SERIES[2].1);
    let narrow = series(1000, SERIES[0].1);
    let keyed = |points: &[Point]| points.iter().map(|point| (40, *point)).collect::<Vec<_>>();
    let one_step =
        noise.iter().zip(0..).map(|(point, key)| (key, Point { step: 7, timestamp: 1_767_000_000_000, ..*point }));
    let turns =
        narrow.iter().zip(0..).map(|(point, index)| (index % 3, Point { step: i64::from(index / 3), ..*point }));
    for (name, points) in [
        ("block: one point, float64", keyed(&noise[..1])),
        ("block: one point, float32", keyed(&narrow[..1])),
        ("block: one key, float64", keyed(&noise)),
        ("block: one key, float32", keyed(&narrow)),
        ("block: 1000 keys, float64", one_step.collect()),
        ("block: 3 keys in turn, float32", turns.collect()),
    ] {
        let mut data = Vec::new();
        let write_time = seconds(|| {
            data.clear();
            encode_block(black_box(&points), &mut data);
        });
        let read_time = seconds(|| {
            black_box(decode_block(black_box(&data)).expect("it was just written"));
        });
        line(name, points.len(), data.len(), write_time, read_time);
    }
}
