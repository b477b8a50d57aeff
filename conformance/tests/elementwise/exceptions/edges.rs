//! Zeros, NaN, poles, and edges of domains.

use super::*;

pub const GROUPS: &[Group] = &[
    group(
        outside_of_unit,
        "at or outside of the edges of the domain, where terms are infinite",
        &[
            (Ours::Is(f64::NEG_INFINITY), "acosh logit", "xxx"),
            (Ours::Is(f64::NEG_INFINITY), "atanh", "xx"),
            (Ours::Is(f64::NAN), "acosh", "xx"),
            (Ours::Is(f64::NAN), "atanh betainc:0.5,0.5", "xx xxx"),
            (Ours::Is(f64::NAN), "log1mexp", "x xx xxx"),
            (Ours::Is(f64::INFINITY), "atanh log1mexp", "xxx"),
            (Ours::Is(0.0), "log1mexp logit", "xx"),
        ],
    ),
    group(
        with_nan,
        "NaN has no derivative",
        &[
            (Ours::Is(f64::NAN), "bessel_i1e", "x xx xxx"),
            (Ours::Is(f64::NAN), "boxcox boxcox1p", "y xy yx yy xxy xyy yyy"),
            (Ours::Is(f64::NAN), "complex_log:im", "x y"),
        ],
    ),
    group(
        with_zero,
        "the sign of a zero",
        &[(
            Ours::Is(0.0),
            "betainc:0.5,0.5 betainc:1.0,1.0 betainc:2.0,3.0 complex_sqrt:im entr floor_div modulo xlog1py xlogy",
            "_",
        )],
    ),
    group(
        with_nan,
        "NaN has no derivative; where a constant is chosen, that of the branch",
        &[
            (Ours::Is(1.0), "relu relu6 round_to:1", "x"),
            (Ours::Is(0.16666666666666666), "hard_sigmoid", "x"),
            (Ours::Is(0.3333333333333333), "hard_silu", "xx"),
            (
                Ours::Is(0.0),
                "complex_abs complex_sqrt:im complex_sqrt:re",
                "x y xx xy yx yy xxx xxy xyy yyy",
            ),
            (Ours::Is(0.0), "complex_log:re", "xx xy yx yy"),
        ],
    ),
    group(
        negative,
        "outside of the domain; JAX's trigamma function loses digits there",
        &[(Ours::Unclaimed, "multigammaln:3", "xx xxx")],
    ),
    group(
        zero_base,
        "JAX multiplies 0 by ∞ at x = 0",
        &[
            (Ours::Is(0.0), "pow", "x xx yx xxx xyy"),
            (Ours::Is(1.0), "pow", "xy"),
            (Ours::Unclaimed, "pow", "xxy"),
        ],
    ),
    group(
        at_origin,
        "a cone has no derivative at its tip; ours is the middle of all slopes",
        &[(Ours::Is(0.0), "hypot", "x y"), (Ours::Is(0.0), "complex_abs", "xx yy")],
    ),
    group(
        with_zero,
        "at the edge of the domain, or on a cut, terms are infinite",
        &[
            (Ours::Is(f64::NEG_INFINITY), "boxcox", "y xx"),
            (Ours::Is(f64::INFINITY), "xlog1py xlogy", "x"),
            (Ours::Is(f64::INFINITY), "boxcox complex_sqrt:re", "x xxx"),
            (Ours::Is(0.0), "xlog1py xlogy", "y xy yx yy xyy yyy"),
            (Ours::Is(0.0), "poch", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(0.0), "boxcox", "xy xyy"),
            (Ours::Is(0.0), "complex_log:re", "xxx xxy xyy yyy"),
            (Ours::Is(0.0), "complex_sqrt:re", "xxy xyy yyy"),
            (Ours::Is(0.0), "complex_sqrt:im", "x xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(f64::NAN), "boxcox boxcox1p", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(f64::NAN), "complex_log:re", "x"),
            (Ours::Is(f64::NAN), "complex_log:im", "y"),
            (Ours::Unclaimed, "boxcox", "xxy"),
            (Ours::Is(0.5), "complex_sqrt:im", "y"),
        ],
    ),
    group(
        beside_poles,
        "an argument or the sum is a pole of the gamma function",
        &[
            (Ours::Is(f64::NEG_INFINITY), "betaln", "x y xx xy yx yy"),
            (Ours::Unclaimed, "betaln", "xxx xxy xyy yyy"),
            (Ours::Is(f64::INFINITY), "poch", "_"),
            (Ours::Is(f64::NAN), "poch", "_"),
        ],
    ),
    group(
        with_nan,
        "an infinite part makes the length infinite, as in C and NumPy",
        &[(
            Ours::Is(f64::INFINITY),
            "complex_abs complex_log:re complex_sqrt:im complex_sqrt:re",
            "_",
        )],
    ),
    group(
        at_minus_one,
        "the limits at the edge of the domain; JAX multiplies 0 by ∞",
        &[
            (Ours::Is(f64::INFINITY), "boxcox1p", "x y xxx xxy xyy"),
            (Ours::Is(f64::NEG_INFINITY), "boxcox1p", "xx xy"),
        ],
    ),
];
