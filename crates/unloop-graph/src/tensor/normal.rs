//! The normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::composed;
use super::numeric::power_series;
use crate::op::Derivative;
use crate::{Number, Tensor};

/// Below this the tail is a continued fraction; above its negative the distance from 1 counts.
const TAIL: f64 = -5.0;

/// A convergent of Laplace's continued fraction of the tail, `1/(1 + v/(1 + 2v/(1 + 3v/…)))` for
/// `-x·Φ(x)/φ(x)` with `v = 1/x²` (Abramowitz and Stegun 26.2.14): the coefficients of the numerator and
/// the denominator, which are all positive.
fn laplace(steps: u32) -> [Vec<f64>; 2] {
    let (mut above, mut below) = (vec![1.0], vec![1.0]);
    for k in (1..=steps).rev() {
        // 1 + k·v/(above/below)
        let mut next = above.clone();
        next.resize(above.len().max(below.len() + 1), 0.0);
        next[1..].iter_mut().zip(&below).for_each(|(next, c)| *next += f64::from(k) * c);
        below = std::mem::replace(&mut above, next);
    }
    [below, above]
}

/// The derivative of the inverse of the distribution function, by its value.
#[derive(Debug)]
struct Ndtri;

impl Derivative for Ndtri {
    fn key(&self) -> String {
        "ndtri".into()
    }

    fn jvp(&self, _: &[&Tensor], t: &[Option<&Tensor>], z: &[Tensor]) -> Vec<Tensor> {
        let Some(t) = t[0] else { unreachable!("the derivative in the argument") };
        vec![t * ((z[0].square() * 0.5).exp() * (2.0 * PI).sqrt())]
    }
}

/// Wichura's fits (*Algorithm AS 241: the percentage points of the normal distribution*, 1988), each a
/// numerator and a denominator, lowest coefficient first; relative error 10⁻¹⁶.
///
/// `z/q` of `0.180625 - q²` for `q = p - ½` up to 0.425.
const CENTRE: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

/// `-z` of `√(-ln p) - 1.6`, up to 5.
const NEAR_TAIL: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];

/// `-z` of `√(-ln p) - 5`, up to 27.
const FAR_TAIL: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

/// The inverse of the distribution function.
fn normal_quantile(x: &Tensor) -> Tensor {
    let number = |value: f64| x.literal(Number::Float(value));
    let fit = |[above, below]: [[f64; 8]; 2], at: &Tensor| {
        power_series(at, above.into_iter()) / power_series(at, below.into_iter())
    };
    let q = x - 0.5;
    let centre = &q * fit(CENTRE, &(0.180_625 - q.square()));
    // The tails by symmetry; 0 gives infinity, and what is outside of the domain NaN.
    let upper = q.greater(&number(0.0));
    let lower = upper.select(&(1.0 - x), x);
    let root = (-lower.log()).sqrt();
    // Where the other fit counts, this one must not overflow.
    let near = fit(NEAR_TAIL, &(root.minimum(&number(5.0)) - 1.6));
    let far = fit(FAR_TAIL, &(root.clamp(&number(5.0), &number(30.0)) - 5.0));
    let tail = root.greater(&number(5.0)).select(&far, &near);
    let end = root.greater(&number(30.0)).select(&root, &tail);
    let tail = upper.select(&end, &-&end);
    q.abs().less_equal(&number(0.425)).select(&centre, &tail)
}

composed! {
    //! # The normal distribution
    //! Elementwise, of floats.
    /// The distribution function `Φ(x) = erfc(-x/√2)/2` of the standard normal distribution,
    /// elementwise. The result has the shape and dtype of `self`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0, 40.0]).ndtr().to_vec::<f64>()?, [0.5, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    ndtr(x) -> Tensor where floats { (x * -FRAC_1_SQRT_2).erfc() * 0.5 }

    /// The logarithm of [`Tensor::ndtr`], elementwise, accurate in both tails. The result has the shape
    /// and dtype of `self`. The lower tail is a continued fraction, Abramowitz and Stegun 26.2.14.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.0]).log_ndtr().to_vec::<f64>()?, [0.5f64.ln()]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    log_ndtr(x) -> Tensor where floats {
        let number = |value: f64| x.literal(Number::Float(value));
        let (upper, lower) = (x.greater(&number(0.0)), x.less(&number(TAIL)));
        // `ln(1 - Φ(-x))` above 0.
        let inside = upper.select(&-x, &lower.select(&number(TAIL), x)).ndtr();
        let above_zero = (-&inside).log1p();
        let far = lower.select(x, &number(TAIL));
        let v = far.square().recip();
        // Twenty steps have all digits at -5, with derivatives.
        let [above, below] = laplace(20).map(|terms| power_series(&v, terms.into_iter()));
        let log = lower.select(&(above / below), &upper.select(&number(0.5), &inside)).log();
        let tail = &far * -0.5 * &far - (-&far).log() - 0.5 * (2.0 * PI).ln() + &log;
        lower.select(&tail, &upper.select(&above_zero, &log))
    }

    /// The inverse of the normal distribution function [`Tensor::ndtr`], elementwise: the quantiles. ±∞
    /// at 1 and 0, NaN outside. The result has the shape and dtype of `self`. Wichura, *Algorithm AS
    /// 241*, 1988.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.0]).ndtri().to_vec::<f64>()?, [0.0, f64::INFINITY]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    ndtri(x) -> Tensor where floats {
        let [z] = Tensor::with_derivative(Ndtri, &[x], |x| [normal_quantile(&x[0])]);
        z
    }
}
