//! Numbers that are exact, where those of JAX are not.

use super::*;

pub const GROUPS: &[Group] = &[
    group(
        everywhere,
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
        &[
            (Ours::Exact, "lgamma multigammaln:1", "_ xx xxx"),
            (Ours::Exact, "digamma polygamma:1 polygamma:2 polygamma:3", "_ x xx xxx"),
            (Ours::Exact, "polygamma:0", "x xx xxx"),
            (Ours::Exact, "gamma", "_ xx"),
            (Ours::Exact, "beta betaln comb poch", "_ x y xx xy yx yy xxx xxy xyy yyy"),
        ],
    ),
    group(
        everywhere,
        "JAX divides by x in the derivatives of Bessel functions: near 0 it loses digits, then all",
        &[
            (Ours::Exact, "bessel_i0e", "xxx"),
            (Ours::Exact, "bessel_i1 bessel_i1e", "xx xxx"),
            (Ours::Exact, "bessel_i0", "x xx xxx"),
        ],
    ),
    group(
        everywhere,
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
        &[
            (Ours::Exact, "betainc:2.0,3.0 log1mexp ndtri", "xx xxx"),
            (Ours::Exact, "betainc:0.5,0.5 complex_sqrt:im xlog1py xlogy", "_"),
            (Ours::Exact, "betainc:1.0,1.0", "x xx xxx"),
            (Ours::Exact, "atan2", "xxx xxy xyy yyy"),
            (Ours::Exact, "boxcox", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Exact, "boxcox1p", "_ y xx xy yx yy xxy xyy yyy"),
            (Ours::Exact, "complex_abs", "xx xy yx yy"),
            (Ours::Exact, "complex_angle", "xx yy xxx xxy xyy yyy"),
            (Ours::Exact, "complex_log:re", "xy yx"),
            (Ours::Exact, "complex_log:im", "xx yy"),
        ],
    ),
    group(
        everywhere,
        "JAX divides by x: near 0 it loses digits, then all",
        &[(Ours::Exact, "sinc", "x xx xxx")],
    ),
    group(
        everywhere,
        "JAX loses digits in the tails",
        &[(Ours::Exact, "gelu_tanh log_ndtr", "_ x xx xxx"), (Ours::Exact, "silu", "_")],
    ),
    group(
        everywhere,
        "JAX's largest of two has a kink at ties, which stays in higher derivatives",
        &[
            (Ours::Exact, "hypot", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Exact, "logaddexp logaddexp2", "x y xx xy yx yy xxy xyy"),
        ],
    ),
    group(
        everywhere,
        "JAX's terms cancel where x and y are close",
        &[(Ours::Exact, "kl_div rel_entr", "_")],
    ),
    group(
        below_the_cut,
        "JAX does not look at the sign of a zero, which tells the sides of the cut",
        &[
            (Ours::Opposite, "complex_sqrt:re", "y xy yx xxy yyy"),
            (Ours::Opposite, "complex_sqrt:im", "_ x xx yy xxx xyy"),
        ],
    ),
    group(
        everywhere,
        "the logarithm of a sum does not tell how many huge numbers are equal",
        &[(Ours::Exact, "cumlogsumexp", "x d dd dx xd ddd")],
    ),
    group(
        at_ones,
        "ln B(1, 1) is a difference of numbers of size 1",
        &[(Ours::Rounding, "betaln", "_")],
    ),
    group(
        everywhere,
        "above 36 the sigmoid y is 1, and its slope y·(1 - y) nothing",
        &[(Ours::Rounding, "gelu_tanh", "xxx")],
    ),
];
