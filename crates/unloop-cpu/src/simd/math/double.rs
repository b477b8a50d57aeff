//! The constants and polynomials of f64.

// Constants that are parts of sums look like others of std.
#![allow(clippy::approx_constant)]

use unloop_graph::special;

use super::real::{Real, div_dw, fast_two_sum, fma, poly, real_common, two_prod, two_sum};

impl Real for f64 {
    real_common!(f64, u64, 6755399441055744.0, 52, 1023.0);

    const LN_2: (f64, f64) = (0.6931471805598903, 5.497923018708371e-14);
    const LN_2_FULL: (f64, f64) = (std::f64::consts::LN_2, 2.3190468138462996e-17);
    const FRAC_PI_4: (f64, f64) = (std::f64::consts::FRAC_PI_4, 3.061616997868383e-17);
    const EXP_LIMIT: f64 = 750.0;
    const UP: (f64, f64) = (18014398509481984.0, 54.0);
    const SPLIT: (f64, f64, f64) = (512.0, 1.3407807929942597e154, 7.458340731200207e-155);
    const SATURATION: f64 = 20.0;
    const BIG: f64 = 1.0e17;
    const TRIG_LIMIT: (f64, f64) = (1.0e9, 1.0e6);
    const FRAC_2_SQRT_PI_LESS_1: f64 = 0.1283791670955126;
    const ERFC: (f64, f64, f64) = (3.5, 28.0, 1.2423492448711544);
    const CBRT_STEPS: usize = 1;

    #[inline(always)]
    fn exp_poly<const FMA: bool>(r: f64) -> f64 {
        // |r| <= 0.3469: 2^-64.
        poly!(r; 0.5, 0.16666666666666682, 0.04166666666666609, 0.008333333333316921,
            0.0013888888889117628, 0.00019841269896672765, 2.4801586923921192e-05,
            2.755723456573046e-06, 2.7557583348031e-07, 2.511214241974019e-08,
            2.0826375035717487e-09)
    }

    #[inline(always)]
    fn log_tail<const FMA: bool>(f: f64) -> f64 {
        // ln(1 + f) = 2·atanh(s), s = f/(2 + f); (2·atanh s - 2s)/s³ of s², |s| <= 0.1717: 2^-66.
        let s = f / (2.0 + f);
        let z = s * s;
        let r = z * poly!(z; 0.6666666666666666, 0.40000000000006275, 0.28571428569077084,
            0.2222222264820419, 0.18181775546168819, 0.15387096255121388, 0.13249988410775915,
            0.13252555575801);
        // 2s = f - s·f keeps the leading term exact.
        let half_square = 0.5 * f * f;
        s * (half_square + r) - half_square
    }

    #[inline(always)]
    fn sin_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 2.469]: 2^-61.
        poly!(z; -0.16666666666666666, 0.008333333333333194, -0.00019841269841209074,
            2.7557319211111237e-06, -2.5052106870300816e-08, 1.6058939574369217e-10,
            -7.642987919725172e-13, 2.721135885161853e-15)
    }

    #[inline(always)]
    fn sin_quarter_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 0.6172]: 2^-57.
        poly!(z; -0.1666666666666663, 0.008333333333322103, -0.00019841269829573642,
            2.7557313615031857e-06, -2.5050746652089607e-08, 1.5896159910962967e-10)
    }

    #[inline(always)]
    fn cos_quarter_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 0.6172]: 2^-64.
        poly!(z; 0.041666666666666595, -0.0013888888888873023, 2.480158728882982e-05,
            -2.7557314172574803e-07, 2.087569988250645e-09, -1.135848478210772e-11)
    }

    #[inline(always)]
    fn atan_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 0.1717]: 2^-59.
        poly!(z; -0.333333333333332, 0.1999999999995366, -0.14285714280203834, 0.11111110783807954,
            -0.09090897766945567, 0.07692060360051049, -0.06663105441042703, 0.05847897312317668,
            -0.05039330557504952, 0.03806494970381986, -0.017907339484957475)
    }

    #[inline(always)]
    fn asin_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 0.25]: 2^-60.
        poly!(z; 0.16666666666666763, 0.07499999999970264, 0.044642857175119975,
            0.03038194268364009, 0.022372215659989814, 0.017351600093335428, 0.013980961466921547,
            0.011397775680944798, 0.01078653140353819, 0.003683031763124389, 0.021763525352642765,
            -0.021077329131729793, 0.032676911744075755)
    }

    #[inline(always)]
    fn inverse_cbrt_guess<const FMA: bool>(m: f64) -> f64 {
        // [1, 2]: 2^-14.
        poly!(m; 1.670021026790868, -1.1728982373518144, 0.6954782172452784, -0.22122575275523554,
            0.02858742194595232)
    }

    #[inline(always)]
    fn erf_poly<const FMA: bool>(z: f64) -> f64 {
        // [0, 1]: 2^-62.
        poly!(z; Self::FRAC_2_SQRT_PI_LESS_1, -0.3761263890318375, 0.11283791670954858,
            -0.02686617064507296, 0.00522397762478137, -0.0008548326978765149,
            0.00012055331037551108, -1.4925593518728226e-05, 1.6460972954153765e-06,
            -1.635002619207727e-07, 1.4657883530919653e-08, -1.136567067182716e-09,
            5.945255584223488e-11)
    }

    #[inline(always)]
    fn erfc_poly<const FMA: bool>(t: f64) -> f64 {
        // x in [0.45, 27.3]: 2^-59.
        poly!(t; -0.14000918013761943, -0.01055559633221839,
            0.09751909515326032, -0.1150895981601855, 0.08798315382479703, -0.04882332582805483,
            0.01909933094368107, -0.0042150199060463365, -0.0003022678907769555,
            0.0005643844070527984, -0.00012151233674860494, -4.278219463822465e-05,
            2.4260599759784275e-05, 2.3282367412392624e-06, -3.81357512901861e-06,
            -4.4155378224376767e-08, 5.989719865178313e-07, -7.981281575049833e-09,
            -9.206337541770905e-08, 5.867733222290912e-10, 1.007189136370257e-08)
    }

    #[inline(always)]
    fn reduce<const FMA: bool>(x: f64, q: f64) -> (f64, f64) {
        if FMA {
            // The first difference is exact: a multiple of 2^-53 below 2.
            let first = q.mul_add(-1.5707963267948966, x);
            // The rest may cancel what is left of it, so both are summed exactly.
            let rest = q * -6.123233995736766e-17;
            let rest_low = q.mul_add(-6.123233995736766e-17, -rest);
            let (high, low) = two_sum(first, rest);
            return (high, q.mul_add(1.4973849048591698e-33, low + rest_low));
        }
        // π/2 in three parts of 33 bits and the rest: their products with `q` are exact.
        let first = x - q * 1.5707963267341256;
        let (second, error) = two_sum(first, -(q * 6.077100506303966e-11));
        let (third, error2) = two_sum(second, -(q * 2.0222662487111665e-21));
        fast_two_sum(third, (error + error2) - q * 8.4784276603689e-32)
    }

    #[inline(always)]
    fn pow_magnitude<const FMA: bool>(x: f64, y: f64) -> f64 {
        // ln x = e·ln 2 + 2s(1 + z/3 + z²r) to 66 bits, in sums of two; s = f/(2 + f), z = s².
        let (m, e) = x.split();
        let f = m - 1.0;
        let (denominator, denominator_low) = fast_two_sum(2.0, f);
        let (s, s_low) = div_dw::<f64, FMA>(f, 0.0, denominator, denominator_low);
        let (z, z_low) = two_prod::<f64, FMA>(s, s);
        let z_low = fma::<f64, FMA>(2.0 * s, s_low, z_low);
        // (atanh s/s - 1 - z/3)/z² for |s| <= 0.1717: 2^-73.
        let r = poly!(z; 0.1999999999999999, 0.14285714285722592, 0.111111111087587,
            0.09090909436418293, 0.0769227834436702, 0.06668162373035523, 0.05837332339922997,
            0.05995164074617972);
        let (third, third_low) = fast_two_sum(1.0 / 3.0, z * r);
        let third_low = third_low + 1.850371707708594e-17;
        let (square, square_low) = two_prod::<f64, FMA>(z, third);
        let square_low = square_low + fma::<f64, FMA>(z, third_low, z_low * third);
        // 2s + 2s·square.
        let (cube, cube_low) = two_prod::<f64, FMA>(2.0 * s, square);
        let cube_low = cube_low + 2.0 * fma::<f64, FMA>(s, square_low, s_low * square);
        let (log, log_low) = fast_two_sum(2.0 * s, cube);
        let log_low = log_low + (cube_low + 2.0 * s_low);
        let (sum, sum_low) = fast_two_sum(e * Self::LN_2.0, log);
        let low = sum_low + fma::<f64, FMA>(e, Self::LN_2.1, log_low);
        let (log, log_low) = fast_two_sum(sum, low);
        // An exponent that overflows `exp` anyway must not make the product's error infinite.
        let y = if y.abs() > 1.0e30 { 1.0e30f64.copysign(y) } else { y };
        let (p, p_low) = two_prod::<f64, FMA>(y, log);
        super::exp::exp_of_sum::<f64, FMA>(p, fma::<f64, FMA>(y, log_low, p_low), 1.0)
    }

    #[inline(always)]
    fn rem<const FMA: bool>(self, y: f64) -> f64 {
        // Exact in one rounding; the rounded quotient may be one too large.
        let (x, y) = (self.abs(), y.abs());
        let rest = fma::<f64, FMA>(-(x / y).trunc(), y, x);
        (if rest < 0.0 { rest + y } else { rest }).copysign(self)
    }
    #[inline(always)]
    fn rem_is_rare<const FMA: bool>(self, y: f64) -> bool {
        let fine = (self.abs() / y.abs() < 4503599627370496.0) & (y.abs() < f64::INFINITY);
        !(FMA & fine)
    }

    fn slow_sin(self) -> f64 {
        self.sin()
    }
    fn slow_cos(self) -> f64 {
        self.cos()
    }
    fn slow_tan(self) -> f64 {
        self.tan()
    }
    fn slow_erf_inv(self) -> f64 {
        special::erf_inv(self)
    }
    fn slow_lgamma(self) -> f64 {
        special::lgamma(self)
    }
    fn slow_digamma(self) -> f64 {
        special::digamma(self)
    }
    fn slow_atan2(self, x: f64) -> f64 {
        self.atan2(x)
    }
}
