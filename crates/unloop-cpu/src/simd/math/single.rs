//! The constants and polynomials of f32.

// Constants that are parts of sums look like others of std.
#![allow(clippy::approx_constant)]

use unloop_graph::special;

use super::real::{Real, fma, poly, real_common, two_sum};
use super::special::Special;

impl Real for f32 {
    real_common!(f32, u32, 12582912.0, 23, 127.0);

    const LN_2: (f32, f32) = (0.693_145_75, 1.428_606_8e-6);
    const LN_2_FULL: (f32, f32) = (0.693_147_2, -1.904_654_2e-9);
    const FRAC_PI_4: (f32, f32) = (0.785_398, 1.569_582_4e-7);
    const EXP_LIMIT: f32 = 105.0;
    const UP: (f32, f32) = (16_777_216.0, 24.0);
    const SPLIT: (f32, f32, f32) = (64.0, 1.844_674_4e19, 5.421_011e-20);
    const SATURATION: f32 = 10.0;
    const BIG: f32 = 1.0e8;
    const TRIG_LIMIT: (f32, f32) = (65536.0, 65536.0);
    const FRAC_2_SQRT_PI_LESS_1: f32 = 0.128_379_17;
    const ERFC: (f32, f32, f32) = (3.0, 10.3, 1.253008);
    const ERF_SATURATION: f32 = 3.95;
    const CBRT_STEPS: usize = 1;

    #[inline(always)]
    fn exp_poly<const FMA: bool>(r: f32) -> f32 {
        // |r| <= 0.3469: 2^-34.
        poly!(r; 0.5, 0.16666666, 0.041666295, 0.008333498, 0.0013944757, 0.00019790075)
    }

    #[inline(always)]
    fn tanh_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.3026]: 2^-29.
        poly!(z; -0.33333316, 0.13332586, -0.053852286, 0.021071492, -0.006273863)
    }

    #[inline(always)]
    fn log_tail<const FMA: bool>(f: f32) -> f32 {
        // [-0.293, 0.4144]: 2^-30. A polynomial in `f` costs less than a division by `2 + f`.
        let p = poly!(f; 0.33333313, -0.2500001, 0.20002122, -0.16667998, 0.14219475, -0.12405485,
            0.118887186, -0.11676626, 0.067464754);
        f * f * fma::<f32, FMA>(f, p, -0.5)
    }

    #[inline(always)]
    fn sin_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 2.469]: 2^-27.
        poly!(z; -0.1666666, 0.008333066, -0.00019809572, 2.605706e-06)
    }

    #[inline(always)]
    fn sin_quarter_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.6172]: 2^-28.
        poly!(z; -0.16666655, 0.008332159, -0.00019515118)
    }

    #[inline(always)]
    fn cos_quarter_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.6172]: 2^-33.
        poly!(z; 0.041666646, -0.0013887315, 2.443304e-05)
    }

    #[inline(always)]
    fn atan_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.1717]: 2^-30.
        poly!(z; -0.33333316, 0.19998485, -0.14243753, 0.10595211, -0.060812637)
    }

    #[inline(always)]
    fn asin_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.25]: 2^-31.
        poly!(z; 0.1666666, 0.07500511, 0.04451582, 0.03181692, 0.014404771, 0.037562747)
    }

    #[inline(always)]
    fn inverse_cbrt_guess<const FMA: bool>(m: f32) -> f32 {
        // [1, 2]: 2^-14.
        poly!(m; 1.670021, -1.1728983, 0.6954782, -0.22122575, 0.028587421)
    }

    #[inline(always)]
    fn erf_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 1]: 2^-29.
        poly!(z; Self::FRAC_2_SQRT_PI_LESS_1, -0.37612626, 0.112835854, -0.026853815, 0.0051883305,
            -0.00080102024, 7.85385e-05)
    }

    #[inline(always)]
    fn erfc_poly<const FMA: bool>(t: f32) -> f32 {
        // x in [0.45, 10.2]: 2^-28.
        poly!(t; -0.13562103, -0.047562398, 0.12964208, -0.119272195, 0.06834326,
            -0.023771614, 0.002370807, 0.0018489993, -0.0005015895)
    }

    #[inline(always)]
    fn log_erfc_poly<const FMA: bool>(x: f32) -> f32 {
        // x in [0.95, 3.95]: 2^-30.
        poly!(x; 1.1286657, 0.63508207, 0.10635056, -0.02385928, 0.0036881142, -0.00033396235,
            1.23397185e-05)
    }

    #[inline(always)]
    fn reduce<const FMA: bool>(x: f32, q: f32) -> (f32, f32) {
        if FMA {
            // The first difference is exact: a multiple of 2^-24 below 2.
            let first = q.mul_add(-1.5707964, x);
            // The rest may cancel what is left of it, so both are summed exactly.
            let rest = q * 4.371139e-8;
            let rest_low = q.mul_add(4.371139e-8, -rest);
            let (high, low) = two_sum(first, rest);
            return (high, q.mul_add(1.7151245e-15, low + rest_low));
        }
        // π/2 to 33 bits and the rest: the product with `q` is exact in f64.
        let (x, q) = (f64::from(x), f64::from(q));
        let r = (x - q * 1.5707963267341256) - q * 6.077100506506192e-11;
        let high = r as f32;
        (high, (r - f64::from(high)) as f32)
    }

    #[inline(always)]
    fn pow_magnitude<const FMA: bool>(x: f32, y: f32) -> f32 {
        // In f64: f32 subnormals are normal there, and one rounding at the end is enough.
        let (m, e) = Real::split(f64::from(x));
        let f = m - 1.0;
        let s = f / (2.0 + f);
        let z = s * s;
        // (atanh s/s - 1 - z/3)/z² for |s| <= 0.1717: 2^-44.
        let series = |c, sum| fma::<f64, FMA>(sum, z, c);
        let r = series(
            0.1999999908379046,
            series(0.14285937583661357, series(0.11092469202515627, 0.09734586745292756)),
        );
        let tail = fma::<f64, FMA>(z, r, 1.0 / 3.0);
        let log = fma::<f64, FMA>(2.0 * s * z, tail, 2.0 * s);
        let log = fma::<f64, FMA>(e, std::f64::consts::LN_2, log);
        let p = f64::from(y) * log;
        let p = if p > 110.0 { 110.0 } else { p };
        let p = if p < -110.0 { -110.0 } else { p };
        let k = fma::<f64, FMA>(p, std::f64::consts::LOG2_E, f64::ROUNDER) - f64::ROUNDER;
        let r = fma::<f64, FMA>(k, -std::f64::consts::LN_2, p);
        // (eʳ - 1 - r)/r² for |r| <= 0.3469: 2^-34.
        let series = |c, sum| fma::<f64, FMA>(sum, r, c);
        let exp = series(0.00139447570510196, 0.00019790074466351869);
        let exp = series(
            0.16666665862141328,
            series(0.04166629370012256, series(0.008333498084092932, exp)),
        );
        let exp = fma::<f64, FMA>(r * r, series(0.5000000067983601, exp), r);
        fma::<f64, FMA>(exp, f64::pow2(k), f64::pow2(k)) as f32
    }

    #[inline(always)]
    fn rem<const FMA: bool>(self, y: f32) -> f32 {
        // The product is exact in f64; the rounded quotient may be one too large.
        let (x, y) = (f64::from(self.abs()), f64::from(y.abs()));
        let rest = x - (x / y).trunc() * y;
        let rest = if rest < 0.0 { rest + y } else { rest };
        (rest as f32).copysign(self)
    }
    #[inline(always)]
    fn rem_is_rare<const FMA: bool>(self, y: f32) -> bool {
        let quotient = f64::from(self.abs()) / f64::from(y.abs());
        let fine = (quotient < 536870912.0) & (y.abs() < f32::INFINITY);
        !fine
    }

    fn slow_sin(self) -> f32 {
        f64::from(self).sin() as f32
    }
    fn slow_cos(self) -> f32 {
        f64::from(self).cos() as f32
    }
    fn slow_tan(self) -> f32 {
        f64::from(self).tan() as f32
    }
    fn slow_lgamma(self) -> f32 {
        special::lgamma(f64::from(self)) as f32
    }
    fn slow_digamma(self) -> f32 {
        special::digamma(f64::from(self)) as f32
    }
    fn slow_atan2(self, x: f32) -> f32 {
        f64::from(self).atan2(f64::from(x)) as f32
    }
}

impl Special for f32 {
    const DIGAMMA_ROOT: (f32, f32) = (1.461_632_1, 1.243815e-8);
    const BESSEL_FAR: f32 = 8.0;

    #[inline(always)]
    fn erf_inv_centre<const FMA: bool>(t: f32) -> f32 {
        // w in [0, 6.25]: 2^-27.
        poly!(t; 1.6536546, 0.24015817, -0.00603373, -0.00074068777, 0.00018679962, -1.389143e-05,
            -1.39194e-06, 4.2630603e-07, -2.4210433e-08, -4.6384367e-09, 6.3784067e-10)
    }

    #[inline(always)]
    fn erf_inv_tail<const FMA: bool>(root: f32) -> f32 {
        // √w in [2.49, 4.01]: 2^-26.
        poly!(root - 3.25; 3.0838857, 1.0052587, 0.005372017, -0.0037442825, 0.0024794906, -0.0017317067,
            0.0009999375, -0.00025644712, -5.263906e-05)
    }

    #[inline(always)]
    fn lgamma_poly<const FMA: bool>(t: f32) -> f32 {
        // [-0.5, 0.5]: 2^-29.
        poly!(t; 0.42278433, -0.10031729, 0.032964986, -0.012384883, 0.004999168, -0.0020983273,
            0.00090952794, -0.00045655272, 0.00020861343)
    }

    #[inline(always)]
    fn stirling_poly<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.0494]: 2^-28.
        poly!(z; 0.08333333, -0.0027770447, 0.00075287867)
    }

    #[inline(always)]
    fn digamma_poly<const FMA: bool>(t: f32) -> f32 {
        // [-0.5, 0.5]: 2^-28.
        poly!(t; 0.9510559, -0.4236275, 0.24054262, -0.14839877, 0.094982095, -0.062057234,
            0.040879272, -0.025780164, 0.01698057, -0.016385613, 0.011118563)
    }

    #[inline(always)]
    fn digamma_tail<const FMA: bool>(z: f32) -> f32 {
        // [0, 0.0625]: 2^-30.
        poly!(z; 0.083333336, -0.008333003, 0.0039406316, -0.0034026606)
    }

    #[inline(always)]
    fn bessel_i0_near<const FMA: bool>(q: f32) -> f32 {
        // [0, 16]: 2^-26.
        poly!(q; 1.0, 1.0000002, 0.2499992, 0.027778804, 0.0017355043, 6.963712e-05, 1.8937895e-06,
            4.3158884e-08, 3.8111872e-10, 1.4984597e-11)
    }

    #[inline(always)]
    fn bessel_i1_near<const FMA: bool>(q: f32) -> f32 {
        // [0, 16]: 2^-28.
        poly!(q; 0.5, 0.25000003, 0.041666605, 0.0034722928, 0.00017357353, 5.7979964e-06,
            1.3591689e-07, 2.6506404e-09, 2.2967414e-11, 7.210141e-13)
    }

    #[inline(always)]
    fn bessel_i0_far<const FMA: bool>(t: f32) -> f32 {
        // [-0.5, 0.5]: 2^-29.
        poly!(t; 0.4021765, 0.006721111, 0.00054486963, 8.890218e-05, 2.3610208e-05, 1.1589174e-05,
            6.971357e-06)
    }

    #[inline(always)]
    fn bessel_i1_far<const FMA: bool>(t: f32) -> f32 {
        // [-0.5, 0.5]: 2^-29.
        poly!(t; 0.38939846, -0.019499162, -0.0008769513, -0.000120036835, -2.9183908e-05,
            -1.3456548e-05, -7.922424e-06)
    }
}
