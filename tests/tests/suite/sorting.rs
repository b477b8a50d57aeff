//! Sorting, of every dtype, length, axis and order, against std's stable sort, bit for bit.

use std::cmp::Ordering;

use fastrand::Rng;
use ndarray::{ArrayD, Axis, IxDyn};
use unloop::prelude::*;

/// The order of the reference: NaN is larger than any number, zeros of either sign are equal.
fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// How elements are distributed.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Normal,
    /// Few different numbers, zeros of both signs and NaN.
    Few,
    Same,
    Falling,
    /// Numbers that differ in their last bits only, in f64.
    Close,
}

const KINDS: [Kind; 5] = [Kind::Normal, Kind::Few, Kind::Same, Kind::Falling, Kind::Close];

fn number(kind: Kind, i: usize, rng: &mut Rng) -> f64 {
    match kind {
        Kind::Normal => (0..6).map(|_| rng.f64() - 0.5).sum::<f64>() * 1e3,
        Kind::Few => {
            let some = [0.0, -0.0, 1.5, -1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 7.0];
            some[rng.usize(..some.len())]
        }
        Kind::Same => 4.0,
        Kind::Falling => -(i as f64),
        Kind::Close => f64::from_bits(1.0f64.to_bits() + rng.u64(..200)),
    }
}

fn in_dtype(x: &ArrayD<f64>, dtype: DType) -> Tensor {
    let whole = |x: &f64| if x.is_finite() { *x } else { 3.0 };
    match dtype {
        DType::F32 => Tensor::from(x.mapv(|x| x as f32)),
        DType::F64 => Tensor::from(x.clone()),
        DType::I32 => Tensor::from(x.mapv(|x| whole(&x) as i32)),
        DType::I64 => Tensor::from(x.mapv(|x| whole(&x) as i64 * (1 << 40))),
        DType::U32 => Tensor::from(x.mapv(|x| (whole(&x).abs() as u32).wrapping_sub(100))),
        DType::Bool => Tensor::from(x.mapv(|x| x > 1.0)),
    }
}

/// The bits of a tensor's elements; those of a NaN as one.
fn bits(x: &Tensor) -> ArrayD<u64> {
    let x: ArrayD<f64> = x.cast(DType::F64).to_array().unwrap();
    x.mapv(|x| if x.is_nan() { u64::MAX } else { x.to_bits() })
}

/// The positions that sort each row.
fn positions(x: &[f64], descending: bool) -> Vec<usize> {
    let mut at: Vec<usize> = (0..x.len()).collect();
    at.sort_by(|&i, &j| {
        let first = order(x[i], x[j]);
        if descending { first.reverse() } else { first }
    });
    at
}

fn rows(x: &Tensor, axis: usize) -> Vec<Vec<f64>> {
    let x: ArrayD<f64> = x.cast(DType::F64).to_array().unwrap();
    x.lanes(Axis(axis)).into_iter().map(|row| row.to_vec()).collect()
}

fn check(x: &Tensor, axis: usize, what: &str) {
    let (n, rank) = (x.shape()[axis], x.rank());
    let before = rows(x, axis);
    // The expected elements, as positions in a row, along the axis of the results.
    let expect = |actual: &Tensor, descending: bool, from: usize, as_positions: bool| {
        let m = actual.shape()[axis];
        for (row, actual) in before.iter().zip(rows(actual, axis)) {
            let order = positions(row, descending);
            for (i, actual) in actual.into_iter().enumerate() {
                let at = order[from + i];
                let expected = if as_positions { at as f64 } else { row[at] };
                let same = expected.to_bits() == actual.to_bits()
                    || (expected.is_nan() && actual.is_nan());
                assert!(same, "{what}: {actual} instead of {expected} at {i} of {m}");
            }
        }
    };
    let axis_number = axis as isize - rank as isize * (n % 2) as isize;
    expect(&x.sort(axis_number), false, 0, false);
    expect(&x.argsort(axis_number), false, 0, true);
    for k in [0, 1.min(n), 10.min(n), n / 3, n] {
        let (values, at) = x.top_k(k, axis_number);
        expect(&values, true, 0, false);
        expect(&at, true, 0, true);
    }
    // Descending, and by two keys: the second is the negative position, so that ties turn round.
    let back = -Tensor::iota(DType::I64, x.shape(), axis);
    let by = |descending| Tensor::sort_by(&[x, &back], 2, axis_number, descending);
    let [up, down] = [false, true].map(by);
    assert_eq!(
        bits(&up[0].flip(&[axis_number])).map(|b| b << 1),
        bits(&down[0]).map(|b| b << 1),
        "{what}"
    );
    assert_eq!(bits(&up[1].flip(&[axis_number])), bits(&down[1]), "{what}");
    // An element alone, found without sorting all.
    if n > 0 && x.dtype().is_float() {
        for place in [0, n / 2, n - 1] {
            let q = if n == 1 { 0.0 } else { place as f64 / (n - 1) as f64 };
            let found = x.quantile(q, axis_number);
            let found: Vec<f64> = found.cast(DType::F64).to_vec().unwrap();
            for (row, found) in before.iter().zip(found) {
                let order = positions(row, false);
                let mut expected = row[order[place]];
                if row.iter().any(|x| x.is_nan()) {
                    expected = f64::NAN;
                }
                let close = expected.is_infinite()
                    || (expected - found).abs() <= 1e-4 * expected.abs().max(1e-9)
                    || (expected.is_nan() && found.is_nan())
                    // Between two places by rounding.
                    || (q * (n - 1) as f64).fract() != 0.0;
                assert!(close, "{what}: {found} instead of {expected} at {place} of {n}");
            }
        }
    }
}

const DTYPES: [DType; 6] =
    [DType::F32, DType::F64, DType::I32, DType::I64, DType::U32, DType::Bool];

#[test]
fn rows_of_every_length() {
    let mut rng = Rng::with_seed(1);
    let lengths = [
        0, 1, 2, 3, 7, 8, 15, 16, 17, 33, 63, 64, 65, 127, 128, 129, 200, 300, 1023, 1025, 2047,
        2049, 5000,
    ];
    for (t, n) in lengths.into_iter().enumerate() {
        for (d, dtype) in DTYPES.into_iter().enumerate() {
            let kind = KINDS[(t + d) % KINDS.len()];
            for (shape, axis) in
                [(vec![n], 0), (vec![3, n], 1), (vec![n, 17], 0), (vec![2, n, 5], 1)]
            {
                let shape: Vec<usize> = match n > 300 {
                    true => shape.iter().map(|&s| if s == 17 { 3 } else { s }).collect(),
                    false => shape,
                };
                let mut i = 0;
                let x = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
                    i += 1;
                    number(kind, i, &mut rng)
                });
                check(&in_dtype(&x, dtype), axis, &format!("{kind:?} {dtype} {shape:?} {axis}"));
            }
        }
    }
}

/// Rows that are cut for several threads.
#[test]
fn long_rows() {
    let mut rng = Rng::with_seed(2);
    for n in [(1 << 16) - 1, 1 << 16, 100_003] {
        for kind in KINDS {
            for dtype in [DType::F32, DType::F64, DType::I64] {
                let x = ArrayD::from_shape_fn(IxDyn(&[n]), |i| number(kind, i[0], &mut rng));
                check(&in_dtype(&x, dtype), 0, &format!("{kind:?} {dtype} {n}"));
            }
        }
    }
    let x = ArrayD::from_shape_fn(IxDyn(&[1 << 16, 3]), |i| number(Kind::Normal, i[0], &mut rng));
    check(&in_dtype(&x, DType::F64), 0, "columns");
}

/// A row that repeats itself fools no sample into a wrong result.
#[test]
fn rows_with_a_period() {
    let x = Tensor::iota(DType::I32, 1 << 17, 0);
    for period in [16, 256, 1 << 12] {
        let y = &x % &Tensor::from(period);
        check(&y.cast(DType::F32), 0, &format!("period {period}"));
        check(&y, 0, &format!("period {period}"));
    }
}

/// How many elements come before each value, counted.
fn count_before(table: &Tensor, values: &Tensor, right: bool) -> Vec<i64> {
    let table = rows(table, 0).swap_remove(0);
    let is_before = |x: f64, value: f64| match order(x, value) {
        Ordering::Less => true,
        Ordering::Equal => right,
        Ordering::Greater => false,
    };
    let values: ArrayD<f64> = values.cast(DType::F64).to_array().unwrap();
    values.iter().map(|&v| table.iter().filter(|&&x| is_before(x, v)).count() as i64).collect()
}

#[test]
fn positions_in_sorted_rows_of_every_length() {
    let mut rng = Rng::with_seed(3);
    for (t, n) in [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 1000, 1023].into_iter().enumerate() {
        for (d, dtype) in DTYPES.into_iter().enumerate() {
            for (k, m) in [0, 1, 15, 16, 17, 33, 400].into_iter().enumerate() {
                let kind = KINDS[(t + d + k) % KINDS.len()];
                let mut drawn = |shape: &[usize]| {
                    let x = ArrayD::from_shape_fn(IxDyn(shape), |i| {
                        number(kind, i[shape.len() - 1], &mut rng)
                    });
                    in_dtype(&x, dtype)
                };
                let (tables, values) = (drawn(&[3, n]).sort(1), drawn(&[3, m]));
                let left = |x: &Tensor, v: &Tensor| x.search_sorted(v);
                let right = |x: &Tensor, v: &Tensor| x.search_sorted_right(v);
                let results = [
                    (false, jit(vmap(left, (0, 0)))(&tables, &values)),
                    (true, vmap(right, (0, 0))(&tables, &values)),
                ];
                for (right, found) in results {
                    for i in 0..3 {
                        let (table, values) = (tables.at((i, ..)), values.at((i, ..)));
                        let expected = count_before(&table, &values, right);
                        let what = format!("{kind:?} {dtype} {n} {m} {right}");
                        assert_eq!(found.at((i, ..)).to_vec::<i64>().unwrap(), expected, "{what}");
                        let alone = match right {
                            false => table.search_sorted(&values),
                            true => table.search_sorted_right(&values),
                        };
                        assert_eq!(alone.to_vec::<i64>().unwrap(), expected, "{what}");
                    }
                }
                let shared = tables.at((0, ..));
                let found = vmap(left, (Shared, 0))(&shared, &values);
                let expected = count_before(&shared, &values, false);
                assert_eq!(found.to_vec::<i64>().unwrap(), expected, "{kind:?} {dtype} {n} {m}");
                let same = values.at((0, ..));
                let found = vmap(left, (0, Shared))(&tables, &same);
                for i in 0..3 {
                    let expected = count_before(&tables.at((i, ..)), &same, false);
                    assert_eq!(
                        found.at((i, ..)).to_vec::<i64>().unwrap(),
                        expected,
                        "{kind:?} {dtype}"
                    );
                }
            }
        }
    }
}
