//! Where the numbers are not those of JAX, each with its reason. An exception that is none fails.

/// Numbers that differ from those of JAX.
pub struct Exception {
    /// Names, with or without what follows the colon.
    pub functions: &'static str,
    /// Derivatives; `_` is the value.
    pub words: &'static str,
    /// `f32` or `f64`, `f:` or `r:` (forward or reverse), or both; without, all.
    pub only: &'static str,
    /// The points: one argument, two, or a row of them.
    pub at: fn(&[f64]) -> bool,
    /// What the number is instead.
    pub ours: Ours,
    /// Why.
    pub reason: &'static str,
}

/// The number at a point.
pub enum Ours {
    /// The exact number, which is stored: JAX loses digits, overflows, or meets 0·∞ on its way.
    Exact,
    /// The same everywhere.
    Is(f64),
    /// That of JAX with the other sign.
    Opposite,
    /// Not right yet: the reason says what is missing.
    Short,
    /// Nothing is claimed: the function has no derivative there.
    Unclaimed,
}

impl Exception {
    pub fn holds_for(&self, function: &str, word: &str) -> bool {
        let bare = function.split(':').next().unwrap_or_default();
        let word = if word.is_empty() { "_" } else { word };
        self.functions.split_whitespace().any(|name| name == function || name == bare)
            && self.words.split_whitespace().any(|name| name == word)
    }
}

const fn exact(functions: &'static str, words: &'static str, reason: &'static str) -> Exception {
    Exception { functions, words, only: "", at: everywhere, ours: Ours::Exact, reason }
}

fn everywhere(_: &[f64]) -> bool {
    true
}

fn with_nan(point: &[f64]) -> bool {
    point.iter().any(|v| v.is_nan())
}

fn infinite(point: &[f64]) -> bool {
    point.iter().any(|v| v.is_infinite())
}

/// An infinite or huge argument, whose square is infinite.
fn huge(point: &[f64]) -> bool {
    point.iter().any(|v| v.abs() >= 1e9)
}

fn tiny(point: &[f64]) -> bool {
    point.iter().any(|v| *v != 0.0 && v.abs() < 1e-19)
}

fn with_zero(point: &[f64]) -> bool {
    point.contains(&0.0)
}

fn at_origin(point: &[f64]) -> bool {
    point.iter().all(|v| *v == 0.0)
}

/// An argument or the sum is 0, or a negative whole number, or infinite.
fn beside_poles(point: &[f64]) -> bool {
    let pole = |v: f64| !v.is_finite() || (v <= 0.0 && v == v.floor());
    point.iter().any(|v| pole(*v)) || pole(point.iter().sum())
}

/// Below the negative real axis, and on it.
fn below_the_cut(point: &[f64]) -> bool {
    point[0] < 0.0 && point[1] == 0.0 && point[1].is_sign_negative()
}

/// The table.
pub const EXCEPTIONS: &[Exception] = &[
    exact(
        "bessel_i0",
        "x xx xxx",
        "JAX divides by x in the derivatives of Bessel functions: near 0 it loses digits, then all",
    ),
    exact(
        "bessel_i0e",
        "xxx",
        "JAX divides by x in the derivatives of Bessel functions: near 0 it loses digits, then all",
    ),
    exact(
        "bessel_i1 bessel_i1e",
        "xx xxx",
        "JAX divides by x in the derivatives of Bessel functions: near 0 it loses digits, then all",
    ),
    exact("sinc", "x xx xxx", "JAX divides by x: near 0 it loses digits, then all"),
    exact(
        "comb factorial",
        "_",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact(
        "digamma polygamma:1 polygamma:2 polygamma:3",
        "_ x xx xxx",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact("gamma", "_ xx", "JAX's polygamma functions lose digits below 0 and give NaN at +∞"),
    exact(
        "lgamma multigammaln:1",
        "_ xx xxx",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact(
        "poch",
        "_ x y xx xy yx yy xxx xxy xyy yyy",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact(
        "polygamma:0",
        "x xx xxx",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact("log_ndtr", "_ x xx xxx", "JAX loses digits in the tails"),
    exact("silu", "_", "JAX loses digits in the tails"),
    exact(
        "atan2",
        "xxx xxy xyy yyy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "boxcox",
        "y xy yx yy xxy xyy yyy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "complex_abs",
        "xx xy yx yy xxx xxy xyy yyy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "complex_log:re",
        "xx xy yx yy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "complex_sqrt:im xlog1py xlogy",
        "_",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact("log1mexp", "xx xxx", "JAX overflows, or multiplies 0 by ∞, where the number is plain"),
    exact(
        "hypot",
        "x y xx xy yx yy xxx xxy xyy yyy",
        "JAX's largest of two has a kink at ties, which stays in higher derivatives",
    ),
    exact(
        "logaddexp logaddexp2",
        "x y xx xy yx yy xxy xyy",
        "JAX's largest of two has a kink at ties, which stays in higher derivatives",
    ),
    Exception {
        functions: "ldexp:-2",
        words: "x",
        only: "",
        at: everywhere,
        ours: Ours::Is(0.25),
        reason: "JAX loses the factor at 0 and infinities",
    },
    Exception {
        functions: "ldexp:3",
        words: "x",
        only: "",
        at: everywhere,
        ours: Ours::Is(8.0),
        reason: "JAX loses the factor at 0 and infinities",
    },
    Exception {
        functions: "bessel_i1e",
        words: "x xx xxx",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::NAN),
        reason: "NaN has no derivative",
    },
    Exception {
        functions: "boxcox",
        words: "y xy yx yy xxy xyy yyy",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::NAN),
        reason: "NaN has no derivative",
    },
    Exception {
        functions: "cumprod",
        words: "dd ddd",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::NAN),
        reason: "NaN has no derivative",
    },
    Exception {
        functions: "complex_abs complex_sqrt:im complex_sqrt:re",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: with_nan,
        ours: Ours::Unclaimed,
        reason: "NaN has no derivative; where a constant is chosen, that of the branch",
    },
    Exception {
        functions: "hard_sigmoid relu relu6 round_to:1",
        words: "x",
        only: "",
        at: with_nan,
        ours: Ours::Unclaimed,
        reason: "NaN has no derivative; where a constant is chosen, that of the branch",
    },
    Exception {
        functions: "hard_silu",
        words: "xx",
        only: "",
        at: with_nan,
        ours: Ours::Unclaimed,
        reason: "NaN has no derivative; where a constant is chosen, that of the branch",
    },
    Exception {
        functions: "complex_abs complex_log:re complex_sqrt:im complex_sqrt:re",
        words: "_",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::INFINITY),
        reason: "an infinite part makes the length infinite, as in C and NumPy",
    },
    Exception {
        functions: "betainc:0.5,0.5 betainc:1.0,1.0 betainc:2.0,3.0 complex_sqrt:im entr xlog1py xlogy",
        words: "_",
        only: "",
        at: with_zero,
        ours: Ours::Is(0.0),
        reason: "the sign of a zero",
    },
    Exception {
        functions: "complex_sqrt:im",
        words: "_ x xx yy xxx xyy",
        only: "",
        at: below_the_cut,
        ours: Ours::Opposite,
        reason: "JAX does not look at the sign of a zero, which tells the sides of the cut",
    },
    Exception {
        functions: "complex_sqrt:re",
        words: "y xy yx xxy yyy",
        only: "",
        at: below_the_cut,
        ours: Ours::Opposite,
        reason: "JAX does not look at the sign of a zero, which tells the sides of the cut",
    },
    Exception {
        functions: "digamma polygamma:0 polygamma:2",
        words: "x xxx",
        only: "",
        at: |p| p[0] <= -1e9,
        ours: Ours::Unclaimed,
        reason: "poles are denser than numbers",
    },
    Exception {
        functions: "lgamma multigammaln:1 multigammaln:3",
        words: "xx",
        only: "",
        at: |p| p[0] <= -1e9,
        ours: Ours::Unclaimed,
        reason: "poles are denser than numbers",
    },
    Exception {
        functions: "polygamma:1 polygamma:3",
        words: "_ xx",
        only: "",
        at: |p| p[0] <= -1e9,
        ours: Ours::Unclaimed,
        reason: "poles are denser than numbers",
    },
    Exception {
        functions: "digamma polygamma:0",
        words: "x xx xxx",
        only: "",
        at: |p| p[0] >= 1e9,
        ours: Ours::Unclaimed,
        reason: "the limit; JAX gives NaN, or overflows",
    },
    Exception {
        functions: "factorial gamma",
        words: "xx",
        only: "",
        at: |p| p[0] >= 1e9,
        ours: Ours::Unclaimed,
        reason: "the limit; JAX gives NaN, or overflows",
    },
    Exception {
        functions: "lgamma multigammaln:1 multigammaln:3",
        words: "xx xxx",
        only: "",
        at: |p| p[0] >= 1e9,
        ours: Ours::Unclaimed,
        reason: "the limit; JAX gives NaN, or overflows",
    },
    Exception {
        functions: "polygamma:1 polygamma:2 polygamma:3",
        words: "_ x xx xxx",
        only: "",
        at: |p| p[0] >= 1e9,
        ours: Ours::Unclaimed,
        reason: "the limit; JAX gives NaN, or overflows",
    },
    Exception {
        functions: "multigammaln:3",
        words: "xx xxx",
        only: "",
        at: |p| p[0] < 0.0,
        ours: Ours::Unclaimed,
        reason: "outside of the domain; JAX's trigamma function loses digits there",
    },
    Exception {
        functions: "acosh atanh betainc:0.5,0.5 logit",
        words: "xx xxx",
        only: "",
        at: |p| p[0] <= 0.0 || p[0] >= 1.0,
        ours: Ours::Unclaimed,
        reason: "at or outside of the edges of the domain, where terms are infinite",
    },
    Exception {
        functions: "log1mexp",
        words: "x xx xxx",
        only: "",
        at: |p| p[0] <= 0.0 || p[0] >= 1.0,
        ours: Ours::Unclaimed,
        reason: "at or outside of the edges of the domain, where terms are infinite",
    },
    Exception {
        functions: "log_ndtr",
        words: "x xx xxx",
        only: "",
        at: |p| p[0] <= -1e20,
        ours: Ours::Unclaimed,
        reason: "the asymptote -x²/2; JAX gives NaN",
    },
    Exception {
        functions: "entr",
        words: "x xx xxx",
        only: "",
        at: infinite,
        ours: Ours::Unclaimed,
        reason: "0·∞ on the way",
    },
    Exception {
        functions: "complex_abs",
        words: "xx yy",
        only: "",
        at: at_origin,
        ours: Ours::Is(0.0),
        reason: "a cone has no derivative at its tip; ours is the middle of all slopes",
    },
    Exception {
        functions: "hypot",
        words: "x y",
        only: "",
        at: at_origin,
        ours: Ours::Is(0.0),
        reason: "a cone has no derivative at its tip; ours is the middle of all slopes",
    },
    Exception {
        functions: "pow",
        words: "x xx xy yx xxx xxy xyy",
        only: "",
        at: |p| p[0] == 0.0,
        ours: Ours::Unclaimed,
        reason: "JAX multiplies 0 by ∞ at x = 0",
    },
    Exception {
        functions: "softmax",
        words: "_",
        only: "",
        at: infinite,
        ours: Ours::Is(0.0),
        reason: "beside an infinite number the share is 0, as in SciPy; JAX gives NaN",
    },
    Exception {
        functions: "log_softmax",
        words: "_",
        only: "",
        at: infinite,
        ours: Ours::Is(f64::NEG_INFINITY),
        reason: "beside an infinite number the share is 0, as in SciPy; JAX gives NaN",
    },
    Exception {
        functions: "cumlogsumexp",
        words: "d x dd dx xd ddd",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "JAX's combine e^(x - 0) at infinities, and take ties of huge numbers for one more",
    },
    Exception {
        functions: "logaddexp logaddexp2",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: infinite,
        ours: Ours::Unclaimed,
        reason: "JAX's slope of the smaller one is eˣ beside an infinite number",
    },
    Exception {
        functions: "cumprod",
        words: "d x dd dx xd ddd",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "∞ and products beyond the range: JAX and unloop multiply in different orders",
    },
    Exception {
        functions: "log_softmax",
        words: "x",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "∞ and products beyond the range: JAX and unloop multiply in different orders",
    },
    Exception {
        functions: "boxcox complex_abs",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "comb complex_sqrt:im complex_sqrt:re poch rel_entr",
        words: "_ x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "complex_log:re",
        words: "xxx xxy xyy yyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "pow",
        words: "xxy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "xlog1py xlogy",
        words: "x",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "boxcox complex_log:re complex_sqrt:im poch",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: with_zero,
        ours: Ours::Unclaimed,
        reason: "at the edge of the domain, or on a cut, terms are infinite",
    },
    Exception {
        functions: "complex_sqrt:re",
        words: "x y xx xy yy xxx xxy xyy yyy",
        only: "",
        at: with_zero,
        ours: Ours::Unclaimed,
        reason: "at the edge of the domain, or on a cut, terms are infinite",
    },
    Exception {
        functions: "xlog1py xlogy",
        words: "x y xy yx yy xyy yyy",
        only: "",
        at: with_zero,
        ours: Ours::Unclaimed,
        reason: "at the edge of the domain, or on a cut, terms are infinite",
    },
    Exception {
        functions: "bessel_i0 hard_silu round_to:1 sparse_plus",
        words: "x",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "beyond the range terms overflow, or 0 meets ∞",
    },
    Exception {
        functions: "gelu gelu_tanh",
        words: "xxx",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "beyond the range terms overflow, or 0 meets ∞",
    },
    Exception {
        functions: "boxcox",
        words: "x xx xy yx xxx xxy xyy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    Exception {
        functions: "complex_sqrt:im complex_sqrt:re",
        words: "xx yy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    Exception {
        functions: "poch",
        words: "xx xxx xxy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    Exception {
        functions: "pow",
        words: "xxy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    Exception {
        functions: "rel_entr",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    exact(
        "beta betaln",
        "_ x y xx xy yx yy xxx xxy xyy yyy",
        "JAX's polygamma functions lose digits below 0 and give NaN at +∞",
    ),
    exact(
        "boxcox1p",
        "_ y xy yx yy xxy xyy yyy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "complex_angle",
        "xx yy xxx xxy xyy yyy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    exact(
        "complex_log:im",
        "xx yy",
        "JAX overflows, or multiplies 0 by ∞, where the number is plain",
    ),
    Exception {
        functions: "boxcox1p",
        words: "y xy yx yy xxy xyy yyy",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::NAN),
        reason: "NaN has no derivative",
    },
    Exception {
        functions: "complex_log:im",
        words: "x y",
        only: "",
        at: with_nan,
        ours: Ours::Is(f64::NAN),
        reason: "NaN has no derivative",
    },
    Exception {
        functions: "floor_div modulo",
        words: "_",
        only: "",
        at: with_zero,
        ours: Ours::Is(0.0),
        reason: "the sign of a zero",
    },
    Exception {
        functions: "betaln",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: beside_poles,
        ours: Ours::Unclaimed,
        reason: "an argument or the sum is a pole of the gamma function",
    },
    Exception {
        functions: "poch",
        words: "_",
        only: "",
        at: beside_poles,
        ours: Ours::Unclaimed,
        reason: "an argument or the sum is a pole of the gamma function",
    },
    Exception {
        functions: "igamma igammac",
        words: "_ yy yyy",
        only: "",
        at: everywhere,
        ours: Ours::Is(f64::NAN),
        reason: "outside of the domain, or at its edge",
    },
    Exception {
        functions: "igamma igammac",
        words: "_ x y",
        only: "",
        at: everywhere,
        ours: Ours::Unclaimed,
        reason: "JAX's series lose digits in f32",
    },
    Exception {
        functions: "squareplus:0",
        words: "_ xx xxx",
        only: "",
        at: everywhere,
        ours: Ours::Unclaimed,
        reason: "√x² at b = 0 has a kink, and squares underflow beside it",
    },
    Exception {
        functions: "beta",
        words: "_ x y xx yy xxx yyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "betaln",
        words: "_ x y",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "boxcox1p complex_log:im kl_div",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "complex_angle",
        words: "xy yx xyy",
        only: "",
        at: huge,
        ours: Ours::Unclaimed,
        reason: "at infinities and beyond the range terms are infinite: nothing is claimed",
    },
    Exception {
        functions: "boxcox1p",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: with_zero,
        ours: Ours::Unclaimed,
        reason: "at the edge of the domain, or on a cut, terms are infinite",
    },
    Exception {
        functions: "complex_log:im",
        words: "y",
        only: "",
        at: with_zero,
        ours: Ours::Unclaimed,
        reason: "at the edge of the domain, or on a cut, terms are infinite",
    },
    Exception {
        functions: "beta kl_div",
        words: "x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: tiny,
        ours: Ours::Unclaimed,
        reason: "terms leave the range",
    },
    Exception {
        functions: "bessel_i1e",
        words: "xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "the kink of |x| is not symmetric in higher derivatives",
    },
    Exception {
        functions: "beta",
        words: "_ x y xx xy yx yy xxx xxy xyy yyy",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "differences of lgamma cancel for huge and tiny arguments",
    },
    Exception {
        functions: "betainc:0.5,0.5",
        words: "_ xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "powers of tiny x leave the range",
    },
    Exception {
        functions: "betainc:1.0,1.0",
        words: "xx xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "powers of tiny x leave the range",
    },
    Exception {
        functions: "betainc:2.0,3.0",
        words: "xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "powers of tiny x leave the range",
    },
    Exception {
        functions: "boxcox boxcox1p",
        words: "yx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "terms cancel or leave the range",
    },
    Exception {
        functions: "cumlogsumexp",
        words: "d",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "terms cancel or leave the range",
    },
    Exception {
        functions: "digamma",
        words: "_",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "terms cancel or leave the range",
    },
    Exception {
        functions: "entr",
        words: "xx xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "1/x² leaves the range",
    },
    Exception {
        functions: "gelu_tanh",
        words: "_ x xx xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "1 + tanh cancels in the tail",
    },
    Exception {
        functions: "kl_div",
        words: "_ xx xy yx yy xxx xyy yyy",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "x/y leaves the range, or terms cancel",
    },
    Exception {
        functions: "log_ndtr",
        words: "xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "the third derivative of the logarithm cancels near the threshold of the series",
    },
    Exception {
        functions: "ndtri",
        words: "x xx xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "terms cancel or leave the range",
    },
    Exception {
        functions: "poch",
        words: "_ x y xx xy yx yy xxx xxy",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "differences of lgamma cancel for huge and tiny arguments",
    },
    Exception {
        functions: "polygamma:3",
        words: "xxx",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "terms cancel or leave the range",
    },
    Exception {
        functions: "rel_entr",
        words: "_ xx xy yx yy xxx xyy yyy",
        only: "",
        at: everywhere,
        ours: Ours::Short,
        reason: "x/y leaves the range",
    },
    Exception {
        functions: "complex_log:re",
        words: "xx xy yx yy",
        only: "",
        at: with_nan,
        ours: Ours::Unclaimed,
        reason: "NaN has no derivative; where a constant is chosen, that of the branch",
    },
    Exception {
        functions: "floor_div modulo",
        words: "_",
        only: "",
        at: everywhere,
        ours: Ours::Is(0.0),
        reason: "the sign of a zero is that of NumPy",
    },
];
