//! The functions under the names of the vectors, and the ones that have none.

use std::sync::Arc;

use unloop::{Complex, Tensor};

/// A function of `x` and `y`; one of a single argument does not look at `y`.
pub type Function = Arc<dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync>;

macro_rules! unary {
    ($($f:ident)+) => { [$((stringify!($f), Arc::new(|x: &Tensor, _: &Tensor| x.$f()) as Function)),+] };
}
macro_rules! binary {
    ($($f:ident)+) => { [$((stringify!($f), Arc::new(|x: &Tensor, y: &Tensor| x.$f(y)) as Function)),+] };
}
macro_rules! parts {
    ($($f:ident)+) => { [$(
        (concat!("complex_", stringify!($f), ":re"), Arc::new(|x: &Tensor, y: &Tensor| complex(x, y).$f().re) as Function),
        (concat!("complex_", stringify!($f), ":im"), Arc::new(|x: &Tensor, y: &Tensor| complex(x, y).$f().im) as Function),
    )+] };
}
macro_rules! named {
    ($($name:literal: |$x:ident, $y:pat_param| $body:expr,)+) => {
        [$(($name, Arc::new(|$x: &Tensor, $y: &Tensor| $body) as Function)),+]
    };
}

fn complex(x: &Tensor, y: &Tensor) -> Complex {
    Complex::new(x.clone(), y.clone())
}

fn like(x: &Tensor, value: f64) -> Tensor {
    Tensor::full((), value).cast(x.dtype())
}

fn filled(x: &Tensor, value: f64) -> Tensor {
    like(x, value).broadcast_to(x.shape())
}

/// The functions of one and of two arguments.
pub fn elementwise() -> Vec<(&'static str, Function)> {
    let mut all = Vec::new();
    all.extend(unary! {
        abs sign floor ceil round round_away trunc sqrt rsqrt cbrt recip square exp exp2 expm1 log log1p sin cos
        tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid erf erfc erf_inv lgamma digamma
        bessel_i0e bessel_i1e stop_gradient log2 log10 to_radians to_degrees sinc nan_to_num logit entr ndtr
        log_ndtr gamma_sign gamma factorial bessel_i0 bessel_i1 log1mexp ndtri relu gelu gelu_tanh silu softplus
        log_sigmoid soft_sign relu6 hard_tanh hard_sigmoid hard_silu selu mish sparse_plus sparse_sigmoid
    });
    all.extend(binary! {
        pow atan2 igamma igammac maximum minimum hypot logaddexp logaddexp2 floor_div modulo copy_sign
        next_after heaviside fmax fmin xlogy xlog1py rel_entr kl_div betaln beta poch boxcox boxcox1p comb
    });
    all.extend(named! {
        "clamp:-1,1": |x, _| x.clamp(&like(x, -1.0), &like(x, 1.0)),
        "clamp:low": |x, y| x.clamp(y, &filled(x, 2.0)),
        "clamp:high": |x, y| x.clamp(&filled(x, -1.0), y),
        "select:less": |x, y| x.less(y).select(x, y),
        "add": |x, y| x + y,
        "sub": |x, y| x - y,
        "mul": |x, y| x * y,
        "div": |x, y| x / y,
        "rem": |x, y| x % y,
        "powi:-3": |x, _| x.powi(-3),
        "powi:-2": |x, _| x.powi(-2),
        "powi:-1": |x, _| x.powi(-1),
        "powi:0": |x, _| x.powi(0),
        "powi:1": |x, _| x.powi(1),
        "powi:2": |x, _| x.powi(2),
        "powi:3": |x, _| x.powi(3),
        "powi:4": |x, _| x.powi(4),
        "polygamma:0": |x, _| filled(x, 0.0).polygamma(x),
        "polygamma:1": |x, _| filled(x, 1.0).polygamma(x),
        "polygamma:2": |x, _| filled(x, 2.0).polygamma(x),
        "polygamma:3": |x, _| filled(x, 3.0).polygamma(x),
        "betainc:2.0,3.0": |x, _| x.betainc(&like(x, 2.0), &like(x, 3.0)),
        "betainc:0.5,0.5": |x, _| x.betainc(&like(x, 0.5), &like(x, 0.5)),
        "betainc:1.0,1.0": |x, _| x.betainc(&like(x, 1.0), &like(x, 1.0)),
        "ldexp:3": |x, _| x.ldexp(&Tensor::full(x.shape(), 3)),
        "ldexp:-2": |x, _| x.ldexp(&Tensor::full(x.shape(), -2)),
        "round_to:1": |x, _| x.round_to(1),
        "modf:fraction": |x, _| x.modf().0,
        "modf:whole": |x, _| x.modf().1,
        "multigammaln:1": |x, _| x.multigammaln(1),
        "multigammaln:3": |x, _| x.multigammaln(3),
        "leaky_relu:0.01": |x, _| x.leaky_relu(0.01),
        "elu:1": |x, _| x.elu(1.0),
        "elu:1.5": |x, _| x.elu(1.5),
        "celu:1": |x, _| x.celu(1.0),
        "celu:1.5": |x, _| x.celu(1.5),
        "squareplus:4": |x, _| x.squareplus(4.0),
        "squareplus:0": |x, _| x.squareplus(0.0),
        "complex_abs": |x, y| complex(x, y).abs(),
        "complex_angle": |x, y| complex(x, y).angle(),
    });
    all.extend(parts! { log sqrt });
    all
}

/// The functions along an axis; they map the last of two axes, and keep it.
pub fn along_axis() -> Vec<(&'static str, Function)> {
    let mut all = Vec::new();
    all.extend(named! {
        "sum": |x, _| x.sum_keep(1),
        "mean": |x, _| x.mean_keep(1),
        "prod": |x, _| x.prod_keep(1),
        "max": |x, _| x.max_keep(1),
        "min": |x, _| x.min_keep(1),
        "variance": |x, _| x.variance_keep(1),
        "std": |x, _| x.std_keep(1),
        "norm": |x, _| x.norm_keep(1),
        "logsumexp": |x, _| x.logsumexp(1).expand_dims(1),
        "logmeanexp": |x, _| x.logmeanexp(1).expand_dims(1),
        "cumsum": |x, _| x.cumsum(1),
        "cumprod": |x, _| x.cumprod(1),
        "cummax": |x, _| x.cummax(1),
        "cummin": |x, _| x.cummin(1),
        "cumlogsumexp": |x, _| x.cumlogsumexp(1),
        "softmax": |x, _| x.softmax(1),
        "log_softmax": |x, _| x.log_softmax(1),
    });
    all
}

/// Methods of the scanned sources that the vectors do not hold, with the reason.
pub const OTHERS: &[(&str, &str)] = &[
    (
        "logical_not logical_and logical_or logical_xor count_ones leading_zeros gcd lcm",
        "of integers and bools",
    ),
    ("shift_left shift_right shift_right_logical", "of integers"),
    ("equal not_equal less less_equal greater greater_equal", "give bools"),
    ("is_finite is_nan is_infinite is_close sign_bit", "give bools"),
    ("cast bitcast", "change the dtype"),
    ("polygamma betainc", "of parameters: under names with these"),
    ("glu standardize", "composed of the others along axes, of several numbers at once"),
    ("bessel_i1_ratio", "hidden: a part of Bessel functions"),
    ("ln powf", "other names of log and pow"),
    ("associative_scan", "of a function"),
    ("cumulative_reduce cumlogsumexp_from", "the cumulative functions from the other end"),
];
