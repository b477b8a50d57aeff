//! Derivatives at ties, removable singularities and thresholds between branches, to third order and in
//! both modes, against exact values.

use std::f64::consts::{LN_2, PI};

use unloop::prelude::*;
use unloop::{Complex, Direction, ReduceOp};

type F = fn(&Tensor) -> Tensor;

/// The derivatives of order 0 to 3 of a function of a number: forward, reverse, and reverse of
/// forward.
fn derivatives(f: F, at: f64) -> [Vec<f64>; 3] {
    let x = Tensor::from(at);
    let forward = |f: &(dyn Fn(&Tensor) -> Tensor + Send + Sync), x: &Tensor| {
        jvp(|x: &Tensor| f(x))(x, &x.ones_like()).1
    };
    let d1 = |x: &Tensor| forward(&f, x);
    let d2 = |x: &Tensor| forward(&d1, x);
    let g1 = |x: &Tensor| grad(f)(x);
    let g2 = |x: &Tensor| grad(g1)(x);
    let m2 = |x: &Tensor| grad(d1)(x);
    let item = |y: Tensor| y.item::<f64>().expect("a number");
    [
        vec![item(f(&x)), item(d1(&x)), item(d2(&x)), item(forward(&d2, &x))],
        vec![item(f(&x)), item(g1(&x)), item(g2(&x)), item(grad(g2)(&x))],
        vec![item(f(&x)), item(d1(&x)), item(m2(&x)), item(forward(&m2, &x))],
    ]
}

fn scalar(x: &Tensor, value: f64) -> Tensor {
    Tensor::full((), value).cast(x.dtype())
}

/// A function, a point, and the derivatives of order 0, 1, 2, 3 there; NaN: not compared.
type Case = (&'static str, F, f64, [f64; 4]);

#[test]
fn derivatives_are_exact_at_kinks_of_terms() {
    let any = f64::NAN;
    let normal = |x: f64| (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
    // ln Φ at 5, where Φ(5) is 1 in the first six digits.
    let (density, tail) = (normal(5.0), 2.866_515_718_791_939e-7);
    let slope = density / (1.0 - tail);
    let cases: [Case; 33] = [
        ("softplus", |x| x.softplus(), 0.0, [LN_2, 0.5, 0.25, 0.0]),
        ("log_sigmoid", |x| x.log_sigmoid(), 0.0, [-LN_2, 0.5, -0.25, 0.0]),
        (
            "logaddexp, one side",
            |x| x.logaddexp(&scalar(x, 1.5)),
            1.5,
            [1.5 + LN_2, 0.5, 0.25, 0.0],
        ),
        (
            "logaddexp, other side",
            |x| scalar(x, 1.5).logaddexp(x),
            1.5,
            [1.5 + LN_2, 0.5, 0.25, 0.0],
        ),
        ("logaddexp2", |x| x.logaddexp2(&scalar(x, 2.0)), 2.0, [3.0, 0.5, LN_2 / 4.0, 0.0]),
        (
            "cumlogsumexp",
            |x| Tensor::stack(&[x, &scalar(x, 0.0)], 0).cumlogsumexp(0).at(1),
            0.0,
            [LN_2, 0.5, 0.25, 0.0],
        ),
        ("hypot at (x, 0)", |y| scalar(y, 2.0).hypot(y), 0.0, [2.0, 0.0, 0.5, 0.0]),
        ("hypot at (0, y)", |x| x.hypot(&scalar(x, -4.0)), 0.0, [4.0, 0.0, 0.25, 0.0]),
        (
            "hypot at ties",
            |x| x.hypot(&scalar(x, 3.0)),
            3.0,
            [18f64.sqrt(), 0.5f64.sqrt(), 9.0 / 18f64.powf(1.5), -3.0 * 27.0 / 18f64.powf(2.5)],
        ),
        ("hypot at the origin", |x| x.hypot(&scalar(x, 0.0)), 0.0, [0.0, 0.0, 0.0, 0.0]),
        (
            "Complex::abs",
            |y| Complex::new(scalar(y, -3.0), y.clone()).abs(),
            0.0,
            [3.0, 0.0, 1.0 / 3.0, 0.0],
        ),
        (
            "Re log",
            |y| Complex::new(scalar(y, -2.0), y.clone()).log().re,
            0.0,
            [LN_2, 0.0, 0.25, 0.0],
        ),
        (
            "Re sqrt, right",
            |y| Complex::new(scalar(y, 4.0), y.clone()).sqrt().re,
            0.0,
            [2.0, 0.0, 1.0 / 32.0, 0.0],
        ),
        (
            "Im sqrt, right",
            |y| Complex::new(scalar(y, 4.0), y.clone()).sqrt().im,
            0.0,
            [0.0, 0.25, 0.0, -3.0 / 8.0 / 32.0],
        ),
        (
            "Re sqrt, left",
            |y| Complex::new(scalar(y, -4.0), y.clone()).sqrt().re,
            0.0,
            [0.0, 0.25, 0.0, -3.0 / 8.0 / 32.0],
        ),
        (
            "Im sqrt, left",
            |y| Complex::new(scalar(y, -4.0), y.clone()).sqrt().im,
            0.0,
            [2.0, 0.0, 1.0 / 32.0, 0.0],
        ),
        ("sinc", |x| x.sinc(), 0.0, [1.0, 0.0, -PI * PI / 3.0, 0.0]),
        (
            "sinc near 0",
            |x| x.sinc(),
            1e-6,
            [1.0, -PI * PI / 3.0 * 1e-6, -PI * PI / 3.0, PI.powi(4) / 5.0 * 1e-6],
        ),
        ("bessel_i0", |x| x.bessel_i0(), 0.0, [1.0, 0.0, 0.5, 0.0]),
        ("bessel_i1", |x| x.bessel_i1(), 0.0, [0.0, 0.5, 0.0, 0.375]),
        ("bessel_i1 near 0", |x| x.bessel_i1(), 1e-9, [5e-10, 0.5, 3.75e-10, 0.375]),
        ("bessel_i0e near 0", |x| x.bessel_i0e(), 1e-9, [1.0, -1.0, 1.5, -2.5]),
        ("bessel_i1e near 0", |x| x.bessel_i1e(), 1e-9, [5e-10, 0.5, -1.0, 1.875]),
        ("xˣ", |x| x.pow(x), 1.0, [1.0, 1.0, 2.0, 3.0]),
        (
            "powers of 2 at 0",
            |y| scalar(y, 2.0).pow(y),
            0.0,
            [1.0, LN_2, LN_2.powi(2), LN_2.powi(3)],
        ),
        ("squares at 0", |x| x.pow(&scalar(x, 2.0)), 0.0, [0.0, 0.0, 2.0, 0.0]),
        (
            "log_ndtr at 5",
            |x| x.log_ndtr(),
            5.0,
            [(-tail).ln_1p(), slope, slope * (-5.0 - slope), any],
        ),
        ("entr", |x| x.entr(), 0.0, [0.0, f64::INFINITY, any, any]),
        ("xlogy in x", |x| x.xlogy(&scalar(x, 3.0)), 0.0, [0.0, 3f64.ln(), 0.0, 0.0]),
        ("xlog1py in x", |x| x.xlog1py(&scalar(x, 3.0)), 0.0, [0.0, 4f64.ln(), 0.0, 0.0]),
        ("poch", |m| scalar(m, 1.0).poch(m), 0.0, [1.0, -0.577_215_664_901_532_9, any, any]),
        (
            "boxcox in the power",
            |y| scalar(y, 4.0).boxcox(y),
            0.0,
            [4f64.ln(), 4f64.ln().powi(2) / 2.0, 4f64.ln().powi(3) / 3.0, 4f64.ln().powi(4) / 4.0],
        ),
        ("comb outside", |k| scalar(k, 4.0).comb(k), -1.5, [0.0, 0.0, 0.0, 0.0]),
    ];
    for (name, f, at, exact) in cases {
        for (mode, given) in ["forward", "reverse", "mixed"].iter().zip(derivatives(f, at)) {
            for (order, (given, exact)) in given.iter().zip(exact).enumerate() {
                let close = exact.is_nan()
                    || *given == exact
                    || (given - exact).abs() <= 2e-8 * exact.abs().max(1e-3);
                assert!(close, "{name} at {at}, {mode}, order {order}: {given} instead of {exact}");
            }
        }
    }
}

/// Quotients of gamma functions that are rational, from tiny arguments to huge ones, where logarithms of
/// gamma functions cancel. Derivatives are as exact as the value is, in units of `f/xᵏ`.
#[test]
fn quotients_of_gamma_functions_keep_their_digits() {
    type Rational = (&'static str, F, fn(f64) -> [f64; 4]);
    let rational: [Rational; 4] = [
        (
            "beta(x, 1)",
            |x| x.beta(&scalar(x, 1.0)),
            |x| [1.0 / x, -1.0 / x.powi(2), 2.0 / x.powi(3), -6.0 / x.powi(4)],
        ),
        (
            "exp betaln(1, x)",
            |x| scalar(x, 1.0).betaln(x).exp(),
            |x| [1.0 / x, -1.0 / x.powi(2), 2.0 / x.powi(3), -6.0 / x.powi(4)],
        ),
        ("poch(x, 1)", |x| x.poch(&scalar(x, 1.0)), |x| [x, 1.0, 0.0, 0.0]),
        ("poch(x, 2)", |x| x.poch(&scalar(x, 2.0)), |x| [x * (x + 1.0), 2.0 * x + 1.0, 2.0, 0.0]),
    ];
    let points = [1e-9, 1e-3, 0.06, 0.07, 0.8, 1.7, 6.9, 7.1, 8.5, 60.0, 1e4, 1e9];
    let x = Tensor::from(points);
    for (name, f, exact) in rational {
        let d1 = |x: &Tensor| jvp(f)(x, &x.ones_like()).1;
        let d2 = |x: &Tensor| jvp(d1)(x, &x.ones_like()).1;
        let given = [f(&x), d1(&x), d2(&x), grad(|x: &Tensor| d2(x).sum())(&x)];
        let given = given.map(|y| y.to_vec::<f64>().expect("numbers"));
        for (i, at) in points.into_iter().enumerate() {
            let exact = exact(at);
            for (order, number) in exact.into_iter().enumerate() {
                let unit = (exact[0] / at.powi(order as i32)).abs();
                let close = (given[order][i] - number).abs() <= 1e-10 * unit.max(number.abs());
                assert!(
                    close,
                    "{name} at {at}, order {order}: {} instead of {number}",
                    given[order][i]
                );
            }
        }
    }
}

/// Both orders of mixed derivatives of `xʸ` agree, at `y` where factors of them are zero.
#[test]
fn mixed_derivatives_of_powers_are_symmetric() {
    let f = |(x, y): &(Tensor, Tensor)| x.pow(y);
    let in_x = |p: &(Tensor, Tensor)| grad(f)(p).0;
    let in_y = |p: &(Tensor, Tensor)| grad(f)(p).1;
    let in_xx = |p: &(Tensor, Tensor)| grad(in_x)(p).0;
    for (x, y) in [(2.0, 0.0), (2.0, 1.0), (0.5, 2.0), (3.0, -1.0), (1.0, 0.0)] {
        let at = (Tensor::from(x), Tensor::from(y));
        let item = |t: Tensor| t.item::<f64>().expect("a number");
        let (xy, yx) = (item(grad(in_x)(&at).1), item(grad(in_y)(&at).0));
        let exact = f64::powf(x, y - 1.0) * (1.0 + y * x.ln());
        assert!((xy - exact).abs() < 1e-12 && (yx - exact).abs() < 1e-12, "{x}^{y}: {xy}, {yx}");
        let xxy = item(grad(in_xx)(&at).1);
        let exact = f64::powf(x, y - 2.0) * (2.0 * y - 1.0 + y * (y - 1.0) * x.ln());
        assert!((xxy - exact).abs() < 1e-12, "{x}^{y}: {xxy} instead of {exact}");
    }
}

/// Newton's method on the likelihood of a logistic regression, from zero, where each of its terms is
/// at a tie.
#[test]
fn newton_converges_from_ties() {
    let x = Tensor::from([[1.0, 0.5], [1.0, -1.0], [1.0, 2.0], [1.0, 0.1], [1.0, -0.4]]);
    let y = Tensor::from([1.0, -1.0, 1.0, -1.0, 1.0]);
    let loss = |w: &Tensor| (-(x.matmul(w) * &y)).softplus().sum() + w.square().sum() * 0.05;
    let mut w = Tensor::zeros(DType::F64, 2);
    for _ in 0..8 {
        w = &w - hessian(loss)(&w).solve(&grad(loss)(&w));
    }
    assert!(grad(loss)(&w).abs().max().item::<f64>().expect("a number") < 1e-12);
}

#[test]
fn interpolation_has_slopes_at_its_first_and_last_knot() {
    let (xs, ys) = (Tensor::from([0.0, 1.0, 3.0]), Tensor::from([0.0, 2.0, 8.0]));
    let at = Tensor::from([-0.5, 0.0, 1.0, 3.0, 3.5]);
    let slopes = grad(|x: &Tensor| x.interp(&xs, &ys).sum())(&at);
    assert_eq!(slopes.to_vec::<f64>().expect("values"), [0.0, 2.0, 3.0, 3.0, 0.0]);
}

/// Equal elements share the derivative as in JAX, whose running extremes combine pairs of pairs.
#[test]
fn running_extremes_share_derivatives_at_ties() {
    let x = Tensor::from([1.0, 1.0, 1.0, 0.0, 1.0]);
    let last = |x: &Tensor| x.cummax(0).at(4);
    let weights = grad(last)(&x).to_vec::<f64>().expect("values");
    assert_eq!(weights, [0.125, 0.125, 0.25, 0.0, 0.5]);
    let first = |x: &Tensor| (-x).cumulative_reduce(ReduceOp::Min, 0, Direction::Reverse).at(0);
    let weights = grad(first)(&x).to_vec::<f64>().expect("values");
    assert_eq!(weights, [-0.5, -0.125, -0.125, 0.0, -0.25]);
}
