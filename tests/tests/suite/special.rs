//! Special functions at points whose values are known, and derivatives that relate them.

use unloop::Result;
use unloop::prelude::*;

fn near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-13 * (1.0 + expected.abs()), "{actual} {expected}");
}

fn at(x: f64) -> Tensor {
    Tensor::from(x)
}

#[test]
fn known_values() -> Result<()> {
    use std::f64::consts::PI;
    let value = |t: Tensor| t.item::<f64>();
    near(value(at(1.0).polygamma(&at(1.0)))?, PI * PI / 6.0);
    near(value(at(1.0).polygamma(&at(0.5)))?, PI * PI / 2.0);
    near(value(at(2.0).polygamma(&at(1.0)))?, -2.404_113_806_319_188_6);
    near(value(at(1.0).polygamma(&at(-0.5)))?, PI * PI / 2.0 + 4.0);
    // P(1, x) = 1 - e⁻ˣ, P(½, x) = erf √x.
    for x in [0.1f64, 1.0, 3.0, 20.0] {
        near(value(at(1.0).igamma(&at(x)))?, -(-x).exp_m1());
        near(value(at(1.0).igammac(&at(x)))?, (-x).exp());
        near(value(at(0.5).igamma(&at(x)))?, value(at(x.sqrt()).erf())?);
    }
    // Iₓ(1, b) = 1 - (1 - x)ᵇ, and Iₓ(a, a) = ½ at ½.
    near(value(at(0.3).betainc(&at(1.0), &at(4.0)))?, 1.0 - 0.7f64.powi(4));
    near(value(at(0.5).betainc(&at(7.5), &at(7.5)))?, 0.5);
    // I₀ and I₁ by their integrals, which the trapezoidal rule sums to full precision.
    for x in [0.0, 0.5, 3.0, 39.0, 41.0, 300.0f64] {
        let n = 400;
        let mean = |f: &dyn Fn(f64) -> f64| {
            (0..n).map(|k| f(PI * (f64::from(k) + 0.5) / f64::from(n))).sum::<f64>() / f64::from(n)
        };
        near(value(at(x).bessel_i0e())?, mean(&|t| (x * (t.cos() - 1.0)).exp()));
        near(value(at(-x).bessel_i1e())?, -mean(&|t| t.cos() * (x * (t.cos() - 1.0)).exp()));
    }
    Ok(())
}

#[test]
fn derivatives_relate_them() -> Result<()> {
    let slope = |f: &(dyn Fn(&Tensor) -> Tensor + Send + Sync), x: f64| {
        let h = 1e-5;
        let f64_at = |x: f64| f(&at(x)).item::<f64>().unwrap();
        let difference = (f64_at(x + h) - f64_at(x - h)) / (2.0 * h);
        let exact: f64 = grad(f)(&at(x)).item().unwrap();
        assert!((difference - exact).abs() < 1e-8 * (1.0 + exact.abs()), "{difference} {exact}");
    };
    for x in [0.4, 1.7, 6.0] {
        slope(&|x| x.digamma(), x);
        slope(&|x| at(2.0).polygamma(x), x);
        slope(&|a| a.igamma(&at(2.0)), x);
        slope(&|a| a.igammac(&at(2.0)), x);
        slope(&|x| at(1.5).igamma(x), x);
        slope(&|x| (x * 0.1).betainc(&at(2.0), &at(3.0)), x);
        slope(&|x| x.bessel_i0e() + (-x).bessel_i1e(), x);
    }
    assert_eq!(grad(Tensor::bessel_i1e)(&at(0.0)).item::<f64>()?, 0.5);
    near(grad(grad(Tensor::lgamma))(&at(1.0)).item()?, std::f64::consts::PI.powi(2) / 6.0);
    Ok(())
}
