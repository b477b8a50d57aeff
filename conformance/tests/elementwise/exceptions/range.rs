//! Infinities, and numbers so large or small that terms leave the range.

use super::*;

pub const GROUPS: &[Group] = &[
    group(
        below_all_poles,
        "poles are denser than numbers",
        &[
            (Ours::Is(f64::NAN), "lgamma multigammaln:1 multigammaln:3", "xx"),
            (Ours::Is(f64::NAN), "digamma polygamma:0 polygamma:2", "x xxx"),
            (Ours::Is(f64::NAN), "polygamma:1 polygamma:3", "_ xx"),
        ],
    ),
    group(
        very_large,
        "the limit; JAX gives NaN, or overflows",
        &[
            (Ours::Is(0.0), "lgamma multigammaln:1 multigammaln:3", "xx xxx"),
            (Ours::Is(0.0), "digamma polygamma:0", "x xx xxx"),
            (Ours::Is(0.0), "polygamma:1 polygamma:2 polygamma:3", "_ x xx xxx"),
            (Ours::Is(f64::INFINITY), "factorial gamma", "xx"),
            (Ours::Unclaimed, "polygamma:1", "_"),
        ],
    ),
    group(
        everywhere,
        "the kink of |x| is not symmetric in higher derivatives",
        &[(Ours::Is(0.375), "bessel_i1e", "xxx")],
    ),
    group(
        everywhere,
        "the number is infinite: on the way 0 meets ∞, or infinities cancel",
        &[
            (Ours::Is(f64::NAN), "betainc:0.5,0.5", "xxx"),
            (Ours::Is(f64::NAN), "pow", "xxy"),
            (Ours::Is(f64::NAN), "boxcox boxcox1p", "yx"),
            (Ours::Is(f64::NAN), "poch", "yyy"),
        ],
    ),
    group(
        everywhere,
        "JAX loses the factor at 0 and infinities",
        &[(Ours::Is(8.0), "ldexp:3", "x"), (Ours::Is(0.25), "ldexp:-2", "x")],
    ),
    group(
        huge,
        "beyond the range terms overflow, or 0 meets ∞",
        &[
            (Ours::Is(1.0), "round_to:1", "x"),
            (Ours::Is(f64::NAN), "bessel_i0 hard_silu sparse_plus", "x"),
            (Ours::Is(0.0), "gelu gelu_tanh", "xxx"),
        ],
    ),
    group(
        far_below,
        "the asymptote -x²/2; JAX gives NaN",
        &[
            (Ours::Unclaimed, "log_ndtr", "x"),
            (Ours::Is(-1.0), "log_ndtr", "xx"),
            (Ours::Is(0.0), "log_ndtr", "xxx"),
        ],
    ),
    group(
        infinite,
        "the limits; JAX multiplies 0 by ∞",
        &[(Ours::Is(0.0), "gelu gelu_tanh", "xx"), (Ours::Unclaimed, "gelu gelu_tanh", "x")],
    ),
    group(
        everywhere,
        "√x² at b = 0 has a kink, and squares underflow beside it",
        &[
            (Ours::Is(f64::NAN), "squareplus:0", "xx xxx"),
            (Ours::Is(f64::NEG_INFINITY), "squareplus:0", "xx"),
            (Ours::Is(0.0), "squareplus:0", "xxx"),
            (Ours::Unclaimed, "squareplus:0", "_"),
        ],
    ),
    group(
        huge,
        "at infinities and beyond the range terms are infinite",
        &[
            (Ours::Is(f64::NAN), "kl_div", "y"),
            (Ours::Is(f64::NAN), "poch", "x y"),
            (Ours::Is(f64::NAN), "complex_log:im", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(f64::NAN), "complex_sqrt:im complex_sqrt:re", "_ x y xx xy yx yy"),
            (Ours::Is(f64::NEG_INFINITY), "boxcox boxcox1p", "xx xy"),
            (Ours::Is(f64::INFINITY), "rel_entr", "_"),
            (Ours::Is(f64::INFINITY), "poch", "_ x xy yy"),
            (Ours::Is(f64::INFINITY), "boxcox boxcox1p", "x y xxx xxy xyy"),
            (Ours::Is(0.0), "complex_abs", "x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(0.0), "boxcox", "yy yyy"),
            (Ours::Is(0.0), "comb", "_ x y xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Is(0.0), "complex_angle", "xy yx xyy"),
            (Ours::Is(0.0), "complex_log:re complex_sqrt:im complex_sqrt:re", "xxx xxy xyy yyy"),
            (Ours::Is(0.0), "complex_log:im", "xyy"),
        ],
    ),
    group(
        everywhere,
        "outside of the domain, or at its edge",
        &[(Ours::Is(f64::NAN), "igamma igammac", "_ yy yyy")],
    ),
    group(
        everywhere,
        "JAX's series lose digits in f32",
        &[
            (Ours::Unclaimed, "igamma igammac", "_ x"),
            (Ours::Is(0.014104936271905899), "igamma", "y"),
            (Ours::Is(-0.014104936271905899), "igammac", "y"),
        ],
    ),
    group(
        infinite,
        "JAX's slope of the smaller one is eˣ beside an infinite number",
        &[
            (Ours::Is(0.0), "logaddexp logaddexp2", "x xx xy yx yy xxx xxy xyy yyy"),
            (Ours::Unclaimed, "logaddexp logaddexp2", "y"),
        ],
    ),
    group(
        everywhere,
        "the sign of a zero is that of NumPy",
        &[(Ours::Is(0.0), "floor_div modulo", "_")],
    ),
    group(
        huge,
        "∞ and products beyond the range: JAX and unloop multiply in different orders",
        &[(Ours::Unclaimed, "log_softmax", "x")],
    ),
    group(
        huge,
        "JAX's combine e^(x - 0) at infinities, and take ties of huge numbers for one more",
        &[
            (Ours::Is(f64::NAN), "cumlogsumexp", "x d dd dx xd ddd"),
            (Ours::Unclaimed, "cumlogsumexp", "d dd dx xd"),
            (Ours::Is(0.0), "cumlogsumexp", "x ddd"),
        ],
    ),
    group(
        infinite,
        "beside an infinite number the share is 0, as in SciPy; JAX gives NaN",
        &[(Ours::Is(0.0), "softmax", "_"), (Ours::Is(f64::NEG_INFINITY), "log_softmax", "_")],
    ),
];
