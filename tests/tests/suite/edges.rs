//! Values at the edges of what functions take, against NumPy, SciPy and JAX: extreme offsets and sizes,
//! zeros, infinities, NaN, the least integer.

use unloop::linalg;
use unloop::op::{Pad, PadAxis};
use unloop::prelude::*;
use unloop::{
    Direction, Error, ErrorKind, PadMode, ReduceOp, Result, WindowAxis, polynomial, random,
};

const OFFSETS: [i64; 9] = [i64::MIN, i64::MIN + 1, -4, -1, 0, 1, 4, i64::MAX - 1, i64::MAX];

fn error_of(x: &Tensor) -> Error {
    x.check().err().unwrap_or_else(|| panic!("must fail, gives {x}"))
}

/// Equal numbers, or both NaN; zeros have one sign.
fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

#[test]
fn floored_division_and_its_remainder() -> Result<()> {
    // x, y, NumPy's floor_divide and mod.
    #[rustfmt::skip]
    let table = [
        [1.0, 0.1, 9.0, 0.09999999999999995],
        [-1.0, 0.1, -10.0, 5.551115123125783e-17],
        [1.0, -0.1, -10.0, -5.551115123125783e-17],
        [-1.0, -0.1, 9.0, -0.09999999999999995],
        [7.0, 2.0, 3.0, 1.0],
        [-7.0, 2.0, -4.0, 1.0],
        [7.0, -2.0, -4.0, -1.0],
        [0.3, 0.1, 2.0, 0.09999999999999998],
        [f64::INFINITY, 2.0, f64::NAN, f64::NAN],
        [f64::NEG_INFINITY, 2.0, f64::NAN, f64::NAN],
        [1.0, f64::INFINITY, 0.0, 1.0],
        [-1.0, f64::INFINITY, -1.0, f64::INFINITY],
        [1.0, f64::NEG_INFINITY, -1.0, f64::NEG_INFINITY],
        [-1.0, f64::NEG_INFINITY, 0.0, -1.0],
        [0.0, 2.0, 0.0, 0.0],
        [0.0, -2.0, -0.0, -0.0],
        [-0.0, 2.0, -0.0, 0.0],
        [-0.0, -2.0, 0.0, -0.0],
        [4.0, -2.0, -2.0, -0.0],
        [-4.0, 2.0, -2.0, 0.0],
        [1.0, 0.0, f64::INFINITY, f64::NAN],
        [-1.0, 0.0, f64::NEG_INFINITY, f64::NAN],
        [1.0, -0.0, f64::NEG_INFINITY, f64::NAN],
        [0.0, 0.0, f64::NAN, f64::NAN],
        [f64::NAN, 1.0, f64::NAN, f64::NAN],
        [1.0, f64::NAN, f64::NAN, f64::NAN],
        [1e+300, 1e-300, f64::INFINITY, 4.891554850853602e-301],
        [5e-324, 3.0, 0.0, 5e-324],
        [-5e-324, 3.0, -1.0, 3.0],
        [1e+16, 0.1, 1e+17, 0.04488848768742176],
        [f64::INFINITY, f64::INFINITY, f64::NAN, f64::NAN],
    ];
    let column = |i: usize| Tensor::from(table.map(|row: [f64; 4]| row[i]).to_vec());
    let (x, y) = (column(0), column(1));
    for (f, expected) in [
        (Tensor::floor_div as fn(&Tensor, &Tensor) -> Tensor, column(2)),
        (Tensor::modulo, column(3)),
    ] {
        for results in [f(&x, &y), jit(f)(&x, &y)] {
            let (results, expected) = (results.to_vec::<f64>()?, expected.to_vec::<f64>()?);
            for ((&[x, y, ..], &result), &wanted) in table.iter().zip(&results).zip(&expected) {
                assert!(same(result, wanted), "of {x} and {y}: {result}, NumPy has {wanted}");
            }
        }
        // A scalar on either side.
        let y = Tensor::from([2.0, -2.0]);
        assert_eq!(
            f(&Tensor::from(7.0), &y).to_vec::<f64>()?,
            f(&Tensor::from([7.0, 7.0]), &y).to_vec::<f64>()?
        );
        assert_eq!(
            f(&y, &Tensor::from(-0.3)).to_vec::<f64>()?,
            f(&y, &Tensor::from([-0.3, -0.3])).to_vec::<f64>()?
        );
    }
    // Derivatives are JAX's.
    let sum = |f: fn(&Tensor, &Tensor) -> Tensor| move |x: &Tensor, y: &Tensor| f(x, y).sum();
    let (x, y) = (Tensor::from([7.3, -7.3, 4.0]), Tensor::from([-2.0, 2.0, -2.0]));
    let slopes = |f| {
        let (dx, dy) = grad(sum(f)).wrt(All)(&x, &y);
        Ok::<_, Error>((dx.to_vec::<f64>()?, dy.to_vec::<f64>()?))
    };
    assert_eq!(slopes(Tensor::floor_div)?, (vec![0.0; 3], vec![0.0; 3]));
    assert_eq!(slopes(Tensor::modulo)?, (vec![1.0; 3], vec![4.0, 4.0, 2.0]));
    Ok(())
}

#[test]
fn offsets_that_no_axis_has() -> Result<()> {
    let (m, n) = (3usize, 4usize);
    let x = Tensor::from_fn((m, n), |i| (1 + n * i[0] + i[1]) as f64);
    for k in OFFSETS {
        let wide = i128::from(k);
        let at = |i: usize, j: usize| (1 + n * i + j) as f64;
        let all = |keep: &dyn Fn(i128, i128) -> bool| -> Vec<f64> {
            let index = (0..m * n).map(|p| (p / n, p % n));
            index.map(|(i, j)| if keep(i as i128, j as i128) { at(i, j) } else { 0.0 }).collect()
        };
        assert_eq!(x.tril(k).to_vec::<f64>()?, all(&|i, j| j - i <= wide), "tril {k}");
        assert_eq!(x.triu(k).to_vec::<f64>()?, all(&|i, j| j - i >= wide), "triu {k}");
        let diagonal: Vec<f64> = (0..m * n)
            .map(|p| (p / n, p % n))
            .filter(|&(i, j)| j as i128 - i as i128 == wide)
            .map(|(i, j)| at(i, j))
            .collect();
        assert_eq!(x.diagonal(k).to_vec::<f64>()?, diagonal, "diagonal {k}");
        let rolled: Vec<f64> =
            (0..n as i128).map(|j| at(0, (j - wide).rem_euclid(n as i128) as usize)).collect();
        assert_eq!(x.roll(k, 1).at((0, ..)).to_vec::<f64>()?, rolled, "roll {k}");
        if k.unsigned_abs() < 10 {
            let square = x.at((0, ..)).diag(k);
            assert_eq!(square.diagonal(k).to_vec::<f64>()?, x.at((0, ..)).to_vec::<f64>()?);
        } else {
            let error = error_of(&x.at((0, ..)).diag(k));
            assert!(matches!(error.kind(), ErrorKind::SizeOverflow { .. }), "{error}");
            assert_eq!(error.op(), "diag");
        }
    }
    for k in [i32::MIN, -1, 0, 3, i32::MAX] {
        let turned = (0..k.rem_euclid(4)).fold(x.clone(), |x, _| x.rot90(1));
        assert_eq!(x.rot90(k).to_vec::<f64>()?, turned.to_vec::<f64>()?, "rot90 {k}");
    }
    Ok(())
}

#[test]
fn sizes_that_nothing_has() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let (huge, half) = (usize::MAX, usize::MAX / 2 + 1);
    let modes = [PadMode::Edge, PadMode::Reflect, PadMode::Symmetric, PadMode::Wrap];
    for amounts in [(huge, 0), (0, huge), (huge, huge), (half, half), (1 << 62, 1 << 62)] {
        for mode in modes {
            let error = error_of(&x.pad_mode(&[amounts], mode));
            assert!(matches!(error.kind(), ErrorKind::SizeOverflow { .. }), "{error}");
            assert_eq!(error.op(), "pad_mode");
        }
        assert_eq!(error_of(&x.pad(&[amounts], &Tensor::from(0.0))).op(), "pad");
    }
    for (op, result) in [
        ("vander", x.vander(huge)),
        ("vander", x.vander(1 << 60)),
        ("fit", polynomial::fit(&x, &x, 1 << 60)),
        ("fit", polynomial::fit(&x, &x, huge)),
        ("repeat", x.repeat(huge, 0)),
        ("tile", x.tile(&[half, half])),
        ("kron", Tensor::zeros(DType::F64, [1 << 40]).kron(&Tensor::zeros(DType::F64, [1 << 40]))),
        ("split", x.split(0, 0).swap_remove(0)),
        ("split", x.split(huge, 0).swap_remove(0)),
        ("block_diag", {
            let wide = Tensor::zeros(DType::Bool, (1, 1 << 55));
            Tensor::block_diag(&[&wide; 5])
        }),
        ("tensorinv", linalg::tensorinv(&x, 2)),
        (
            "tensorsolve",
            linalg::tensorsolve(&Tensor::eye(DType::F64, 3), &Tensor::from([[1.0, 2.0, 3.0]])),
        ),
        ("broadcast_in_dim", {
            let square = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
            square.broadcast_in_dim((2, 2), [1, 0].into_iter().collect())
        }),
        (
            "select_and_scatter_add",
            x.select_and_scatter_add(&x, ReduceOp::Sum, &[WindowAxis::one()]),
        ),
    ] {
        let error = error_of(&result);
        assert_eq!(error.op(), op, "{error}");
    }
    // What can be done is done.
    let steps = [1 << 62, 1 << 63, huge];
    for step in steps {
        let index = || vec![strided(.., step), strided(1.., step)];
        let square = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(square.at(index()).to_vec::<f64>()?, [2.0], "steps of {step}");
        let written = square.add_at(index(), &Tensor::from(1.0)).to_vec::<f64>()?;
        assert_eq!(written, [1.0, 3.0, 3.0, 4.0, 5.0, 6.0], "steps of {step}");
        let slope = grad(|x: &Tensor| x.at(index()).sum())(&square);
        assert_eq!(slope.to_vec::<f64>()?, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], "steps of {step}");
    }
    assert_eq!(x.vander(0).shape(), [3, 0]);
    assert_eq!(x.vander(1).to_vec::<f64>()?, [1.0; 3]);
    assert_eq!(x.vander(2).to_vec::<f64>()?, [1.0, 1.0, 2.0, 1.0, 3.0, 1.0]);
    let row = Tensor::from([-2.0]).vander(6);
    assert_eq!(row.to_vec::<f64>()?, [-32.0, 16.0, -8.0, 4.0, -2.0, 1.0]);
    let slope = grad(|x: &Tensor| x.vander(4).at((0, ..)).sum())(&Tensor::from([0.0, 5.0]));
    assert_eq!(slope.to_vec::<f64>()?, [1.0, 0.0]);
    assert_eq!(x.diff(huge, 0).shape(), [0]);
    let far = WindowAxis { window_dilation: huge, ..WindowAxis::new(2) };
    assert_eq!(x.reduce_window(ReduceOp::Max, &[far]).shape(), [0]);
    let wide = WindowAxis { base_dilation: huge, ..WindowAxis::new(1) };
    assert_eq!(Tensor::from([5.0]).reduce_window(ReduceOp::Max, &[wide]).to_vec::<f64>()?, [5.0]);
    assert_eq!(x.set(strided(1.., huge), &Tensor::from([9.0])).to_vec::<f64>()?, [1.0, 9.0, 3.0]);
    Ok(())
}

/// Padding as its definition says, against numbers beyond every size.
#[test]
fn padding_that_cuts_off_everything() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let pad = |low, high, interior| {
        x.pad_with(Pad([PadAxis { low, high, interior }].into_iter().collect()), &Tensor::from(0.0))
    };
    assert_eq!(pad(-3, 2, 0).to_vec::<f64>()?, [0.0, 0.0]);
    assert_eq!(pad(-10, 12, 0).to_vec::<f64>()?, [0.0; 5]);
    assert_eq!(pad(12, -10, 0).to_vec::<f64>()?, [0.0; 5]);
    assert_eq!(pad(i64::MIN, i64::MAX, 0).to_vec::<f64>()?, [0.0; 2]);
    assert_eq!(pad(i64::MAX, i64::MIN + 1, 0).to_vec::<f64>()?, [0.0; 3]);
    assert_eq!(pad(-4, 1, 1).to_vec::<f64>()?, [3.0, 0.0]);
    assert!(pad(i64::MIN, 0, 0).check().is_err() && pad(i64::MAX, i64::MAX, 0).check().is_err());
    Ok(())
}

/// Pooling backwards with elements spread out: the result has the shape of the operand.
#[test]
fn windows_over_spread_elements_backwards() -> Result<()> {
    let x = Tensor::from([1.0, 3.0, 2.0]);
    let window = WindowAxis { base_dilation: 2, ..WindowAxis::new(3) };
    let pooled = x.reduce_window(ReduceOp::Max, &[window]);
    let back = pooled.ones_like().select_and_scatter_add(&x, ReduceOp::Max, &[window]);
    assert_eq!(back.shape(), x.shape());
    let slope = grad(|x: &Tensor| x.reduce_window(ReduceOp::Max, &[window]).sum())(&x);
    assert_eq!(back.to_vec::<f64>()?, slope.to_vec::<f64>()?);
    Ok(())
}

#[test]
fn running_reductions_of_bits() -> Result<()> {
    let bits = [6u32, 5, 12, 9, 3];
    let fold = |op: fn(u32, u32) -> u32, reverse: bool| -> Vec<u32> {
        let run = |slice: &[u32]| slice.iter().copied().reduce(op).unwrap_or(0);
        (0..bits.len()).map(|i| if reverse { run(&bits[i..]) } else { run(&bits[..=i]) }).collect()
    };
    type Case = (ReduceOp, fn(u32, u32) -> u32);
    let cases: [Case; 7] = [
        (ReduceOp::And, |a, b| a & b),
        (ReduceOp::Or, |a, b| a | b),
        (ReduceOp::Xor, |a, b| a ^ b),
        (ReduceOp::Sum, |a, b| a + b),
        (ReduceOp::Prod, |a, b| a * b),
        (ReduceOp::Max, u32::max),
        (ReduceOp::Min, u32::min),
    ];
    for (op, f) in cases {
        for (direction, reverse) in [(Direction::Forward, false), (Direction::Reverse, true)] {
            for dtype in [DType::U32, DType::I32, DType::I64] {
                let x = Tensor::from(bits).cast(dtype).cumulative_reduce(op, 0, direction);
                assert_eq!(x.cast(DType::U32).to_vec::<u32>()?, fold(f, reverse), "{op:?} {dtype}");
            }
        }
    }
    let mask = Tensor::from([true, true, false, true]);
    let all = mask.cumulative_reduce(ReduceOp::And, 0, Direction::Forward);
    assert_eq!(all.to_vec::<bool>()?, [true, true, false, false]);
    let error =
        error_of(&Tensor::from([1.0]).cumulative_reduce(ReduceOp::Or, 0, Direction::Forward));
    assert!(matches!(error.kind(), ErrorKind::UnsupportedDType { .. }), "{error}");
    Ok(())
}

#[test]
fn indices_are_integers() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let value = Tensor::from([0.0, 0.0]);
    let (mask, number) = (Tensor::from([true, false]), Tensor::from([0.0, 1.0]));
    for index in [&mask, &number] {
        for (op, result) in [
            ("at", x.at(index)),
            ("at_clipped", x.at_clipped(index)),
            ("at_or", x.at_or(index, 0.0)),
            ("set", x.set(index, &value)),
            ("add_at", x.add_at(index, &value)),
            ("mul_at", x.mul_at(index, &value)),
            ("min_at", x.min_at(index, &value)),
            ("max_at", x.max_at(index, &value)),
            ("take", x.take(index, 0)),
            ("take_clipped", x.take_clipped(index, 0)),
            ("take_along_axis", x.take_along_axis(index, 0)),
            ("one_hot", index.one_hot(3, DType::F64)),
            ("bincount", index.bincount(3)),
            ("dynamic_slice", x.dynamic_slice(&[&index.at(0)], &[1])),
            ("dynamic_update_slice", x.dynamic_update_slice(&value, &[&index.at(0)])),
        ] {
            let error = error_of(&result);
            assert_eq!(error.kind(), &ErrorKind::IndexDType { dtype: index.dtype() }, "{error}");
            assert_eq!(error.op(), op, "{error}");
            assert!(error.location().is_some_and(|at| at.file().ends_with("edges.rs")), "{error}");
        }
    }
    let text = error_of(&x.at(&mask)).to_string();
    assert!(text.contains("select") && text.contains("nonzero"), "{text}");
    // An empty axis has no nearest position, but a value in its place.
    let empty = Tensor::zeros(DType::F64, (2, 0));
    let error = error_of(&empty.at_clipped((0, 1)));
    assert!(
        error.to_string().contains("empty") && !error.to_string().contains("at_clipped or"),
        "{error}"
    );
    for result in [
        empty.at_clipped((0, &Tensor::from([0]))),
        each_to([2], |[i]| empty.at_clipped((0, i.value() + 1))),
        empty.take_clipped(&Tensor::from([0]), 1),
    ] {
        assert!(error_of(&result).to_string().contains("is empty"), "{result}");
    }
    assert_eq!(empty.at_or((.., 1), 7.0).to_vec::<f64>()?, [7.0, 7.0]);
    assert_eq!(empty.at_or((0, &Tensor::from([0, 5])), 7.0).to_vec::<f64>()?, [7.0, 7.0]);
    Ok(())
}

/// Nothing is read of an axis without elements, and nothing is written.
#[test]
fn no_entries_of_no_segments() -> Result<()> {
    let none = Tensor::from_vec([0], Vec::<i32>::new());
    for shape in [vec![0, 1], vec![0], vec![0, 2, 0]] {
        let x = Tensor::zeros(DType::F64, &shape[..]);
        for count in [0, 3] {
            let f =
                |x: &Tensor| x.segment_mean(&none, count).nansum() + x.segment_max(&none, 0).sum();
            let g = |x: &Tensor| x.segment_prod(&none, count).sum() + x.segment_sum(&none, 0).sum();
            for slope in [grad(f)(&x), grad(g)(&x), jit(grad(f))(&x), jvp(f)(&x, &x).1 + &x] {
                assert_eq!(slope.check()?.shape(), &shape[..]);
            }
            let stack = Tensor::stack(&[&x, &x], 0);
            vmap(grad(f), 0)(&stack).check()?;
        }
        let taken = x.take(&none, 0);
        assert_eq!(taken.check()?.shape(), &shape[..]);
        assert!(x.take(&Tensor::from([0]), 0).check().is_err());
    }
    // Each names itself.
    let x = Tensor::from(1.0);
    for (name, result) in [
        ("segment_sum", x.segment_sum(&none, 1)),
        ("segment_prod", x.segment_prod(&none, 1)),
        ("segment_max", x.segment_max(&none, 1)),
        ("segment_min", x.segment_min(&none, 1)),
        ("segment_mean", x.segment_mean(&none, 1)),
    ] {
        assert_eq!(error_of(&result).op(), name, "{result}");
        assert!(matches!(error_of(&result).kind(), ErrorKind::WrongRank { .. }), "{result}");
    }
    Ok(())
}

/// Numbers that would be wrong are errors instead.
#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let factors = Tensor::from([[0.0, 2.0], [4.0, 0.0]]).lu();
    for shape in [vec![], vec![1], vec![3], vec![3, 1], vec![1, 2], vec![2, 1, 1]] {
        let error = error_of(&linalg::lu_solve(&factors, &Tensor::ones(DType::F64, &shape[..])));
        assert!(matches!(error.kind(), ErrorKind::Incompatible { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("[2, 2]") && text.contains(&format!("{shape:?}")), "{text}");
    }
    assert_eq!(
        linalg::lu_solve(&factors, &Tensor::ones(DType::F64, [2, 3])).check()?.shape(),
        [2, 3]
    );

    let unsupported = |x: &Tensor| {
        let error = error_of(x);
        assert!(matches!(error.kind(), ErrorKind::UnsupportedDType { .. }), "{error}");
    };
    let i = Tensor::from([1, 2]);
    let mean = vmap(|x: &Tensor| unloop::pmean(x, "i"), 0).axis_name("i");
    unsupported(&mean(&i));
    let z = unloop::Complex::new(&i, &i);
    unsupported(&z.recip().re);
    unsupported(&(&z / &z).im);
    unsupported(&(1 / &z).im);
    unsupported(&z.powi(-1).re);
    assert_eq!((&z / &i).re.to_vec::<i32>()?, [1, 1]);
    let (x, y) = (Tensor::from([1.5, 2.5]), Tensor::from([1.0f32, -1.0]));
    for wrong in [x.gcd(&x), x.lcm(2.0), i.next_after(&i), i.is_infinite(), i.nan_to_num()] {
        unsupported(&wrong);
    }
    let error = error_of(&x.copy_sign(&y));
    assert!(matches!(error.kind(), ErrorKind::DTypeMismatch { .. }), "{error}");

    // Numbers are operands, and scalars go with anything.
    assert_eq!(x.ldexp(3).to_vec::<f64>()?, [12.0, 20.0]);
    assert_eq!(x.ldexp(-1i64).to_vec::<f64>()?, [0.75, 1.25]);
    let column = Tensor::from([[1], [2]]);
    assert_eq!(x.ldexp(column.broadcast()).to_vec::<f64>()?, [3.0, 5.0, 6.0, 10.0]);
    assert_eq!(Tensor::from(1.0).ldexp(Tensor::from([1, 2])).to_vec::<f64>()?, [2.0, 4.0]);
    unsupported(&x.ldexp(3.0));
    unsupported(&i.ldexp(3));
    let zero = Tensor::from(0.0);
    assert_eq!(zero.heaviside(&x).to_vec::<f64>()?, [1.5, 2.5]);
    assert_eq!(grad(|y: &Tensor| zero.heaviside(y).sum())(&x).to_vec::<f64>()?, [1.0, 1.0]);
    assert_eq!(Tensor::from(3.0).heaviside(&x).to_vec::<f64>()?, [1.0, 1.0]);
    assert_eq!(Tensor::from(7.0).floor_div(&x).to_vec::<f64>()?, [4.0, 2.0]);
    assert_eq!(Tensor::from(7.0).modulo(&x).to_vec::<f64>()?, [1.0, 2.0]);
    Ok(())
}

#[test]
fn functions_at_their_edges() -> Result<()> {
    let nan = f64::NAN;
    let all = |x: Tensor, expected: &[f64]| -> Result<()> {
        let x = x.to_vec::<f64>()?;
        assert!(
            x.len() == expected.len()
                && x.iter()
                    .zip(expected)
                    .all(|(&x, &y)| same(x, y) || (x - y).abs() <= 1e-13 * y.abs()),
            "{x:?}, expected {expected:?}"
        );
        Ok(())
    };
    // SciPy.
    let x = Tensor::from([-2.0, -1.0, -1.5, 0.0, 0.5, 3.0, nan, f64::INFINITY, f64::NEG_INFINITY]);
    all(x.factorial(), &[0.0, 0.0, 0.0, 1.0, 0.886226925452758, 6.0, nan, f64::INFINITY, 0.0])?;
    let slope = grad(|x: &Tensor| x.factorial().sum())(&Tensor::from([-2.0, -1.5, 0.0]));
    all(slope, &[0.0, 0.0, -0.5772156649015329])?;
    // JAX.
    let v = Tensor::from([1.0, 2.0, 4.0]);
    for (ddof, expected) in [(0, 14.0 / 9.0), (1, 7.0 / 3.0), (3, nan), (4, nan), (usize::MAX, nan)]
    {
        all(v.variance_ddof(0, ddof), &[expected])?;
    }
    // NumPy.
    let (values, count) = Tensor::from([nan, 1.0, nan, -1.0, 1.0]).unique(4);
    all(values, &[-1.0, 1.0, nan, nan])?;
    assert_eq!(count.item::<i64>()?, 3);
    all(Tensor::geomspace(-1.0, -8.0, 4), &[-1.0, -2.0, -4.0, -8.0])?;
    all(Tensor::geomspace(3.0, 1e300, 1), &[3.0])?;
    for (start, stop) in [(-1.0, 1.0), (1.0, -1.0), (0.0, 1.0), (1.0, 0.0)] {
        assert_eq!(error_of(&Tensor::geomspace(start, stop, 3)).op(), "geomspace");
    }
    let ends = Tensor::geomspace(0.1, 0.7, 5).to_vec::<f64>()?;
    assert_eq!([ends[0], ends[4]], [0.1, 0.7]);
    // No digits there; NumPy has inf and NaN.
    all(Tensor::from([1e300, -1.5, nan]).round_to(10), &[1e300, -1.5, nan])?;
    all(Tensor::from([1.5, 0.0]).round_to(400), &[1.5, 0.0])?;
    all(Tensor::from([12345.0, 5.0, -1e300]).round_to(-2), &[12300.0, 0.0, -1e300])?;
    all(Tensor::from([5.0, 1e300]).round_to(i32::MIN), &[0.0, 0.0])?;
    // NumPy.
    let ldexp = |x: f64, n: i64| Tensor::from(x).ldexp(&Tensor::from(n));
    all(ldexp(5e-324, 2097), &[8.98846567431158e307])?;
    all(ldexp(0.0, i64::MAX), &[0.0])?;
    all(ldexp(1.0, i64::MIN), &[0.0])?;
    all(ldexp(1.5, -1074), &[1e-323])?;
    all(ldexp(1e308, -2097), &[5e-324])?;
    // Rounded once: the digit that would be lost first decides.
    let x = f64::from_bits(0x3ff8_0000_0000_0001) * 2f64.powi(-1000);
    all(ldexp(x, -74), &[5e-324 * 2.0])?;
    let x = Tensor::from([1.0f32, 3.0]).ldexp(&Tensor::from([-149, -149])).to_vec::<f32>()?;
    assert_eq!(x, [f32::from_bits(1), f32::from_bits(3)]);
    assert_eq!(error_of(&v.ldexp(&v)).op(), "ldexp");
    Ok(())
}

#[test]
fn extremes_among_what_is_not_nan() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = Tensor::from([[nan, -inf, nan], [nan, nan, nan], [2.0, nan, 7.0], [inf, nan, 3.0]]);
    assert_eq!(x.nanargmax_axis(1).to_vec::<i64>()?, [1, -1, 2, 0]);
    assert_eq!(x.nanargmin_axis(1).to_vec::<i64>()?, [1, -1, 0, 2]);
    let text = |x: Tensor| x.to_vec::<f64>().map(|x| format!("{x:?}"));
    assert_eq!(text(x.nanmax_axis(1))?, "[-inf, NaN, 7.0, inf]");
    assert_eq!(text(x.nanmin_axis(1))?, "[-inf, NaN, 2.0, 3.0]");
    let integers = Tensor::from([5, i32::MIN, 7]);
    assert_eq!(integers.nanmin().item::<i32>()?, i32::MIN);
    assert_eq!(integers.nanmax().item::<i32>()?, 7);
    assert_eq!(integers.nanargmin_axis(0).item::<i64>()?, 1);
    let error = error_of(&integers.nanmean());
    assert!(matches!(error.kind(), ErrorKind::UnsupportedDType { .. }), "{error}");
    assert_eq!(error.op(), "nanmean");
    Ok(())
}

/// Euclid's algorithm on magnitudes as wide numbers.
fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

#[test]
fn divisors_of_the_least_integer() -> Result<()> {
    let numbers = [i64::MIN, i64::MIN + 1, -(1 << 62), -6, -1, 0, 1, 4, 6, 1 << 62, i64::MAX];
    let (mut x, mut y) = (Vec::new(), Vec::new());
    numbers.iter().for_each(|&a| numbers.iter().for_each(|&b| (x.push(a), y.push(b)).1));
    let (a, b) = (Tensor::from(x.clone()), Tensor::from(y.clone()));
    let (divisors, multiples) = (a.gcd(&b).to_vec::<i64>()?, a.lcm(&b).to_vec::<i64>()?);
    for (((&x, &y), &divisor), &multiple) in x.iter().zip(&y).zip(&divisors).zip(&multiples) {
        let (a, b) = (i128::from(x), i128::from(y));
        let expected = gcd(a, b);
        // 2⁶³ alone wraps.
        assert_eq!(divisor, expected as i64, "gcd of {x} and {y}");
        let expected = if expected == 0 { 0 } else { (a / expected * b).abs() };
        if i64::try_from(expected).is_ok() {
            assert_eq!(multiple, expected as i64, "lcm of {x} and {y}");
        }
    }
    let (a, b) = (Tensor::from([u32::MAX, 0, 12]), Tensor::from([u32::MAX, 5, 18]));
    assert_eq!(a.gcd(&b).to_vec::<u32>()?, [u32::MAX, 5, 6]);
    assert_eq!(Tensor::from(i64::MIN).abs().item::<i64>()?, i64::MIN);
    Ok(())
}

#[test]
fn trials_of_what_never_happens() -> Result<()> {
    let draw = |p: f64| random::geometric(&random::key(0), &Tensor::from(p), 4).to_vec::<i32>();
    assert_eq!(draw(0.0)?, [i32::MAX; 4]);
    assert_eq!(draw(1e-300)?, [i32::MAX; 4]);
    assert_eq!(draw(1.0)?, [1; 4]);
    for p in [-0.5, 2.0, f64::NAN] {
        assert_eq!(draw(p)?, [0; 4], "p = {p}");
    }
    Ok(())
}

/// What the fuzzers found.
#[test]
fn arguments_that_were_drawn() {
    let huge = Tensor::from([1.0, 2.0]).multigammaln(usize::MAX);
    assert_eq!(error_of(&huge).op(), "multigammaln");
    for (op, result) in [
        ("kaiser", Tensor::kaiser(1 << 60, 3.0)),
        ("fftfreq", unloop::fft::fftfreq(1 << 60, 1.0)),
        ("rfftfreq", unloop::fft::rfftfreq(usize::MAX, 1.0)),
    ] {
        let error = error_of(&result);
        assert!(error.op() == op && error.to_string().contains("edges.rs"), "{error}");
    }
    let x = Tensor::from([1.0]);
    let window = WindowAxis { size: 1 << 62, ..WindowAxis::one() };
    error_of(&x.select_and_scatter_add(&x, ReduceOp::Min, &[window]));
    let empty = Tensor::zeros(DType::F64, (13, 0));
    let index = Tensor::from([[0i64, 1], [2, 3]]);
    let read = jit(|x: &Tensor, i: &Tensor| x.at((0, i)));
    error_of(&read(&empty, &index));
    let read = jit(|x: &Tensor| x.at((0, &Tensor::iota(DType::I64, 3, 0))));
    error_of(&read(&empty));
}
