//! Convolutions against the definition, with gradients, alone and mapped.

use unloop::prelude::*;
use unloop::{Conv, Result, WindowAxis, check_grads};
use unloop_tests::assert_close;

/// `y[e, f, i] = Σ x[e, channel, i·stride + t·dilation - low] · w[f, c, t]`, zero outside.
fn by_definition(x: &Tensor, w: &Tensor, how: &Conv) -> Tensor {
    let (xs, ws) = (x.shape().to_vec(), w.shape().to_vec());
    let (all, taps) = (x.to_vec::<f64>().unwrap(), w.to_vec::<f64>().unwrap());
    let count = |a: usize| {
        let axis = how.windows[a];
        let extent = xs[a + 2] + (axis.padding.0 + axis.padding.1) as usize;
        let reach = (ws[a + 2] - 1) * axis.window_dilation + 1;
        (extent - reach) / axis.stride + 1
    };
    let [m, n] = [count(0), count(1)];
    Tensor::from_fn([xs[0], ws[0], m, n], |i| {
        let group = i[1] / (ws[0] / how.groups);
        let mut sum = 0.0;
        for c in 0..ws[1] {
            for s in 0..ws[2] {
                for t in 0..ws[3] {
                    let at = |a: usize, i: usize, t: usize| {
                        let axis = how.windows[a];
                        (i * axis.stride + t * axis.window_dilation) as i64 - axis.padding.0
                    };
                    let (p, q) = (at(0, i[2], s), at(1, i[3], t));
                    let inside = |p: i64, d: usize| (0..d as i64).contains(&p);
                    if inside(p, xs[2]) && inside(q, xs[3]) {
                        let channel = group * ws[1] + c;
                        let from = ((i[0] * xs[1] + channel) * xs[2] + p as usize) * xs[3];
                        let tap = ((i[1] * ws[1] + c) * ws[2] + s) * ws[3] + t;
                        sum += all[from + q as usize] * taps[tap];
                    }
                }
            }
        }
        sum
    })
}

fn numbers(shape: &[usize]) -> Tensor {
    let at = |i: &[usize]| i.iter().fold(0.3, |x, &i| (x * 7.1 + i as f64 * 1.37).sin());
    Tensor::from_fn(shape, at)
}

#[test]
fn convolutions_are_those_of_the_definition() -> Result<()> {
    let one = WindowAxis::one();
    let spread = WindowAxis { window_dilation: 2, ..one };
    let axes = [[one, one], [one.padding(1, 2), one.stride(2)], [spread, one.padding(2, 0)]];
    // Examples, features, channels of a group, groups, and extents: with products in loops, with one
    // feature a group, and with little of everything.
    let cases = [
        (3, 5, 2, 1, [12, 14]),
        (2, 4, 1, 4, [9, 20]),
        (2, 3, 3, 3, [7, 8]),
        (2, 6, 2, 3, [10, 11]),
        (1, 1, 1, 1, [5, 90]),
        (4, 70, 16, 1, [12, 13]),
    ];
    for (examples, features, channels, groups, [a, b]) in cases {
        let x = numbers(&[examples, channels * groups, a, b]);
        let w = numbers(&[features, channels, 3, 2]);
        for windows in axes {
            let how = Conv { windows: windows.to_vec(), groups };
            let case = format!("{examples}×{features}×{channels}×{groups}, {windows:?}");
            let f = |x: &Tensor, w: &Tensor| x.conv(w, &how);
            let expected = by_definition(&x, &w, &how);
            assert_close(&f(&x, &w).check()?.clone(), &expected, &case);
            assert_close(&jit(f).try_call((&x, &w))?, &expected, &case);
            // A convolution is linear in both, so that one step says what its derivatives are.
            let energy = |x: &Tensor, w: &Tensor| (x.conv(w, &how) * &expected).sum();
            let slope = |p: &(Tensor, Tensor)| energy(&p.0, &p.1);
            let (gx, gw) = jit(grad(slope)).try_call((&(x.clone(), w.clone()),))?;
            let (dx, dw) = (x.cos(), w.cos());
            let step = |g: &Tensor, d: &Tensor| (g * d).sum();
            assert_close(&step(&gx, &dx), &energy(&dx, &w), &format!("{case}, in x"));
            assert_close(&step(&gw, &dw), &energy(&x, &dw), &format!("{case}, in w"));
            if features < 10 {
                check_grads(f, (&x, &w), 1)?;
            }
            let stack = Tensor::stack(&[&x, &dx], 0);
            let mapped = jit(vmap(f, (0, Shared))).try_call((&stack, &w))?;
            assert_close(&mapped.at((0, .., .., .., ..)), &expected, &format!("{case}, mapped"));
        }
    }
    Ok(())
}
