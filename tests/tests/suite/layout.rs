//! Copies that move elements: between axes, backwards, and to other dtypes, at sizes around those of lines
//! of a cache and of vectors.

use unloop::prelude::*;
use unloop::{Result, Shape};

/// A number that tells the position.
fn mark(index: &[usize]) -> f64 {
    index.iter().fold(1.0, |mark, &i| mark * 31.0 % 9973.0 + i as f64)
}

fn orders(rank: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for _ in 0..rank {
        let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            let more = (0..rank).filter(|a| !order.contains(a));
            more.map(|a| [&order[..], &[a]].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

#[test]
fn axes_move_to_every_order() -> Result<()> {
    let shapes: [&[usize]; 12] = [
        &[1, 1],
        &[15, 16],
        &[16, 17],
        &[63, 64],
        &[65, 130],
        &[3, 200],
        &[300, 2],
        &[0, 5],
        &[5, 17, 33],
        &[64, 3, 16],
        &[2, 3, 17, 16],
        &[130, 1, 140],
    ];
    for shape in shapes {
        let wide = Tensor::from_fn(shape, mark);
        for dtype in [DType::F32, DType::F64, DType::I32, DType::Bool] {
            let x = wide.cast(dtype);
            for order in orders(shape.len()) {
                let axes: Vec<isize> = order.iter().map(|&a| a as isize).collect();
                let moved: Shape = order.iter().map(|&a| shape[a]).collect();
                let expected = Tensor::from_fn(moved, |i| {
                    let mut from = vec![0; i.len()];
                    order.iter().zip(i).for_each(|(&a, &i)| from[a] = i);
                    mark(&from)
                });
                let expected = expected.cast(dtype).flatten();
                let all = axes.clone();
                let copy = jit(move |x: &Tensor| x.permute(&all[..]).flatten());
                let case = format!("{dtype} {shape:?} to {order:?}");
                assert_eq!(numbers(&copy(&x), dtype)?, numbers(&expected, dtype)?, "{case}");
                // Backwards along the first axis, and only a part of the last one.
                let last = shape.len() - 1;
                let part = shape[last].div_ceil(2);
                let cut = jit(move |x: &Tensor| {
                    x.flip([0]).slice_axis(last, 0, part).permute(&axes[..]).flatten()
                });
                let alone = x.flip([0]).slice_axis(last, 0, part);
                let axes: Vec<isize> = order.iter().map(|&a| a as isize).collect();
                let expected = alone.permute(&axes[..]);
                let (actual, expected) = (numbers(&cut(&x), dtype)?, numbers(&expected, dtype)?);
                assert_eq!(actual, expected, "{case}, a part");
            }
        }
    }
    Ok(())
}

/// The elements as numbers.
fn numbers(x: &Tensor, dtype: DType) -> Result<Vec<f64>> {
    assert_eq!(x.dtype(), dtype);
    x.cast(DType::F64).to_vec::<f64>()
}

#[test]
fn rows_go_backwards_and_by_steps() -> Result<()> {
    for n in [1, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 3000] {
        let x = Tensor::from_fn([3, n], mark);
        let back = jit(|x: &Tensor| x.flip([1]))(&x);
        let expected = Tensor::from_fn([3, n], |i| mark(&[i[0], n - 1 - i[1]]));
        assert_eq!(back.to_vec::<f64>()?, expected.to_vec::<f64>()?, "{n} backwards");
        for step in [2, 3] {
            let some = jit(move |x: &Tensor| x.slice(&[0, 0], &[3, n], &[1, step]))(&x);
            let expected = Tensor::from_fn([3, n.div_ceil(step)], |i| mark(&[i[0], step * i[1]]));
            assert_eq!(some.to_vec::<f64>()?, expected.to_vec::<f64>()?, "{n} by {step}");
        }
        let moved = jit(|x: &Tensor| x.roll(1, 1))(&x);
        let expected = Tensor::from_fn([3, n], |i| mark(&[i[0], (i[1] + n - 1) % n]));
        assert_eq!(moved.to_vec::<f64>()?, expected.to_vec::<f64>()?, "{n} moved on");
        let again = jit(|x: &Tensor| x.repeat(5, 1))(&x);
        let expected = Tensor::from_fn([3, 5 * n], |i| mark(&[i[0], i[1] / 5]));
        assert_eq!(again.to_vec::<f64>()?, expected.to_vec::<f64>()?, "{n} repeated");
    }
    Ok(())
}

#[test]
fn floats_become_integers_as_in_rust() -> Result<()> {
    let special = [
        0.0,
        -0.0,
        0.99,
        -0.99,
        1.5,
        -1.5,
        2_147_483_520.0,
        2_147_483_646.9,
        2_147_483_647.0,
        2_147_483_647.5,
        2_147_483_648.0,
        -2_147_483_648.0,
        -2_147_483_648.9,
        -2_147_483_904.0,
        1e30,
        -1e30,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    // In vectors, and in what is left of them.
    for n in [special.len(), 64 + special.len()] {
        let double: Vec<f64> = special.iter().copied().cycle().take(n).collect();
        let single: Vec<f32> = double.iter().map(|&x| x as f32).collect();
        let cast = jit(|x: &Tensor| x.cast(DType::I32));
        let expected: Vec<i32> = double.iter().map(|&x| x as i32).collect();
        assert_eq!(cast(&Tensor::from(double)).to_vec::<i32>()?, expected);
        let expected: Vec<i32> = single.iter().map(|&x| x as i32).collect();
        assert_eq!(cast(&Tensor::from(single)).to_vec::<i32>()?, expected);
    }
    Ok(())
}
