//! Elementary functions of f32 and f64, branch-free so that loops over them vectorise, and the
//! loop of tile kernels over them.
//!
//! A function has a fast path for the arguments that occur, generic over the float type ([`Real`])
//! and over whether the processor has fused multiply-add. Where rare arguments need a longer formula,
//! the blocks that have any are computed by that, too; where no branch-free code covers the whole
//! range, the hard arguments are computed one by one. Results are
//! within 2 ulp of the exact value, most within 1; zeros keep their signs, and infinities, NaN and
//! subnormal numbers give what IEEE 754 recommends.

mod double;
mod erf;
mod exp;
mod inverse;
mod log;
mod power;
mod real;
mod single;
mod special;
mod trig;

use unloop_graph::{BinaryOp, UnaryOp};

use super::arith::Mode;
use super::level::{Level, TileFn};
use real::Real;
use special::Special;

/// Elements that the block loop computes at once: four AVX-512 vectors of f32, eight of f64.
pub(super) const BLOCK: usize = 64;

/// The same for few elements, such as those of one example: one AVX-512 vector of f64.
const FEW: usize = 8;

/// An elementary function of one operand, or of two; the second is ignored by the first kind.
pub(super) trait Math {
    type T: Real;

    /// The value for any argument that is not rare; `FMA` tells whether `mul_add` is one
    /// instruction.
    fn fast<const FMA: bool>(x: Self::T, y: Self::T) -> Self::T;

    /// Whether [`Math::full`] must compute the value.
    #[inline(always)]
    fn rare<const FMA: bool>(_x: Self::T, _y: Self::T) -> bool {
        false
    }

    /// The value for any argument that is not hard, branch-free as [`Math::fast`].
    #[inline(always)]
    fn full<const FMA: bool>(x: Self::T, y: Self::T) -> Self::T {
        Self::fast::<FMA>(x, y)
    }

    /// Whether [`Math::slow`] must compute the value.
    #[inline(always)]
    fn hard<const FMA: bool>(_x: Self::T, _y: Self::T) -> bool {
        false
    }

    /// The value for any argument, one at a time.
    #[inline(always)]
    fn slow(x: Self::T, y: Self::T) -> Self::T {
        Self::fast::<false>(x, y)
    }
}

/// Computes `count` blocks of `N` elements. The operands advance by `x_step` and `y_step`
/// elements a block.
///
/// # Safety
///
/// The operands and the result must be valid for all blocks; `dst` may be one of the operands, but
/// must not overlap them otherwise. No alignment is needed.
#[inline(always)]
pub(super) unsafe fn blocks<M: Math, const FMA: bool, const N: usize>(
    dst: *mut M::T,
    x: *const M::T,
    x_step: usize,
    y: *const M::T,
    y_step: usize,
    count: usize,
) {
    for block in 0..count {
        // SAFETY: the caller makes `count` blocks valid. A block is written after it was read.
        unsafe {
            let (x, y) = (x.add(block * x_step), y.add(block * y_step));
            let mut out = [M::T::ZERO; N];
            let (mut rare, mut hard) = (false, false);
            for (i, out) in out.iter_mut().enumerate() {
                let (x, y) = (x.add(i).read_unaligned(), y.add(i).read_unaligned());
                *out = M::fast::<FMA>(x, y);
                rare |= M::rare::<FMA>(x, y);
                hard |= M::hard::<FMA>(x, y);
            }
            if rare {
                for (i, out) in out.iter_mut().enumerate() {
                    let (x, y) = (x.add(i).read_unaligned(), y.add(i).read_unaligned());
                    let value = M::full::<FMA>(x, y);
                    *out = if M::rare::<FMA>(x, y) { value } else { *out };
                }
            }
            if hard {
                for (i, out) in out.iter_mut().enumerate() {
                    let (x, y) = (x.add(i).read_unaligned(), y.add(i).read_unaligned());
                    if M::hard::<FMA>(x, y) {
                        *out = M::slow(x, y);
                    }
                }
            }
            dst.add(block * N).cast::<[M::T; N]>().write_unaligned(out);
        }
    }
}

/// A tile through [`blocks`]: whole blocks in place, the rest in a padded copy. Scalar operands are
/// spread over one block, which all blocks then read.
unsafe fn tile<L: Level, M: Math, const SX: bool, const SY: bool>(
    dst: *mut u8,
    x: *const u8,
    y: *const u8,
    n: usize,
) {
    if n == 0 {
        return;
    }
    let (dst, mut x, mut y) = (dst.cast::<M::T>(), x.cast::<M::T>(), y.cast::<M::T>());
    let run = L::blocks::<M, BLOCK>();
    let (whole, rest) = (n / BLOCK, n % BLOCK);
    let mut padded_x = [M::T::ONE; BLOCK];
    let mut padded_y = [M::T::ONE; BLOCK];
    // SAFETY: the caller keeps the contract of `TileFn`; scalar operands become whole blocks with
    // step 0, and the last partial block is copied to whole blocks.
    unsafe {
        if SX {
            padded_x = [x.read_unaligned(); BLOCK];
            x = padded_x.as_ptr();
        }
        if SY {
            padded_y = [y.read_unaligned(); BLOCK];
            y = padded_y.as_ptr();
        }
        let (x_step, y_step) = (if SX { 0 } else { BLOCK }, if SY { 0 } else { BLOCK });
        run(dst, x, x_step, y, y_step, whole);
        if rest > 0 {
            let done = whole * BLOCK;
            if !SX {
                std::ptr::copy_nonoverlapping(
                    x.add(done).cast::<u8>(),
                    padded_x.as_mut_ptr().cast(),
                    rest * size_of::<M::T>(),
                );
            }
            if !SY {
                std::ptr::copy_nonoverlapping(
                    y.add(done).cast::<u8>(),
                    padded_y.as_mut_ptr().cast(),
                    rest * size_of::<M::T>(),
                );
            }
            let out = padded_x.as_mut_ptr();
            let run = if rest <= FEW { L::blocks::<M, FEW>() } else { run };
            run(out, out, 0, padded_y.as_ptr(), 0, 1);
            std::ptr::copy_nonoverlapping(
                out.cast::<u8>(),
                dst.add(done).cast(),
                rest * size_of::<M::T>(),
            );
        }
    }
}

fn one<L: Level, M: Math>() -> TileFn {
    unsafe fn entry<L: Level, M: Math>(
        dst: *mut u8,
        a: *const u8,
        _: *const u8,
        _: *const u8,
        n: usize,
    ) {
        // SAFETY: as the caller promises for `a` and `dst`; `y` is read as one more copy of `x`.
        unsafe { tile::<L, M, false, false>(dst, a, a, n) }
    }
    entry::<L, M>
}

fn two<L: Level, M: Math>(mode: Mode) -> TileFn {
    unsafe fn entry<L: Level, M: Math, const SX: bool, const SY: bool>(
        dst: *mut u8,
        a: *const u8,
        b: *const u8,
        _: *const u8,
        n: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe { tile::<L, M, SX, SY>(dst, a, b, n) }
    }
    match mode {
        Mode::VectorVector => entry::<L, M, false, false>,
        Mode::VectorScalar => entry::<L, M, false, true>,
        Mode::ScalarVector => entry::<L, M, true, false>,
    }
}

/// Marker types of the functions of one operand, with their fast and slow paths.
macro_rules! function {
    ($($name:ident: $in:ident::$fast:ident
        $(, rare: $rare:ident, full: $full:ident)? $(, hard: $hard:ident, slow: $slow:expr)?;)+) => { $(
        struct $name<T>(std::marker::PhantomData<T>);
        impl<T: Special> Math for $name<T> {
            type T = T;
            #[inline(always)]
            fn fast<const FMA: bool>(x: T, _: T) -> T {
                $in::$fast::<T, FMA>(x)
            }
            $(
                #[inline(always)]
                fn rare<const FMA: bool>(x: T, _: T) -> bool {
                    $in::$rare::<T, FMA>(x)
                }
                #[inline(always)]
                fn full<const FMA: bool>(x: T, _: T) -> T {
                    $in::$full::<T, FMA>(x)
                }
            )?
            $(
                #[inline(always)]
                fn hard<const FMA: bool>(x: T, _: T) -> bool {
                    $in::$hard::<T, FMA>(x)
                }
                fn slow(x: T, _: T) -> T {
                    $slow(x)
                }
            )?
        }
    )+ };
}
function! {
    Exp: exp::exp;
    Exp2: exp::exp2;
    Expm1: exp::expm1;
    Sinh: exp::sinh;
    Cosh: exp::cosh;
    Tanh: exp::tanh;
    Logistic: exp::logistic;
    Log: log::log;
    Log1p: log::log1p;
    Asinh: log::asinh;
    Acosh: log::acosh;
    Atanh: log::atanh;
    Sin: trig::sin, hard: is_large, slow: T::slow_sin;
    Cos: trig::cos, hard: is_large, slow: T::slow_cos;
    Tan: trig::tan, hard: is_large, slow: T::slow_tan;
    Asin: inverse::asin;
    Acos: inverse::acos;
    Atan: inverse::atan;
    Cbrt: power::cbrt;
    Erf: erf::erf;
    Erfc: erf::erfc;
    ErfInv: special::erf_inv, rare: erf_inv_is_far, full: erf_inv_everywhere;
    Lgamma: special::lgamma, hard: not_positive, slow: T::slow_lgamma;
    Digamma: special::digamma, hard: not_positive, slow: T::slow_digamma;
    BesselI0e: special::bessel_i0e;
    BesselI1e: special::bessel_i1e;
}

macro_rules! function2 {
    ($($name:ident: $in:ident::$fast:ident, hard: $hard:ident, slow: $slow:ident;)+) => { $(
        struct $name<T>(std::marker::PhantomData<T>);
        impl<T: Real> Math for $name<T> {
            type T = T;
            #[inline(always)]
            fn fast<const FMA: bool>(x: T, y: T) -> T {
                $in::$fast::<T, FMA>(x, y)
            }
            #[inline(always)]
            fn hard<const FMA: bool>(x: T, y: T) -> bool {
                $in::$hard::<T, FMA>(x, y)
            }
            fn slow(x: T, y: T) -> T {
                x.$slow(y)
            }
        }
    )+ };
}
function2! {
    Pow: power::pow, hard: pow_is_rare, slow: slow_pow;
    Atan2: inverse::atan2, hard: atan2_is_rare, slow: slow_atan2;
    Rem: power::rem, hard: rem_is_rare, slow: slow_rem;
}

/// Special functions, one element at a time in double precision.
macro_rules! one_by_one {
    ($($name:ident: |$x:ident, $y:ident| $value:expr;)+) => { $(
        struct $name<T>(std::marker::PhantomData<T>);
        impl<T: Real> Math for $name<T> {
            type T = T;
            #[inline(always)]
            fn fast<const FMA: bool>(x: T, _: T) -> T {
                x
            }
            #[inline(always)]
            fn hard<const FMA: bool>(_: T, _: T) -> bool {
                true
            }
            fn slow($x: T, $y: T) -> T {
                T::lit($value)
            }
        }
    )+ };
}
one_by_one! {
    Polygamma: |x, y| unloop_graph::special::polygamma(x.wide(), y.wide());
    Igamma: |x, y| unloop_graph::special::igamma(x.wide(), y.wide());
    Igammac: |x, y| unloop_graph::special::igammac(x.wide(), y.wide());
    IgammaGradA: |x, y| unloop_graph::special::igamma_grad_a(x.wide(), y.wide());
}

/// The kernel of an elementary function of one operand.
pub(super) fn unary<L: Level, T: Special>(op: UnaryOp) -> Option<TileFn> {
    Some(match op {
        UnaryOp::Exp => one::<L, Exp<T>>(),
        UnaryOp::Exp2 => one::<L, Exp2<T>>(),
        UnaryOp::Expm1 => one::<L, Expm1<T>>(),
        UnaryOp::Sinh => one::<L, Sinh<T>>(),
        UnaryOp::Cosh => one::<L, Cosh<T>>(),
        UnaryOp::Tanh => one::<L, Tanh<T>>(),
        UnaryOp::Logistic => one::<L, Logistic<T>>(),
        UnaryOp::Log => one::<L, Log<T>>(),
        UnaryOp::Log1p => one::<L, Log1p<T>>(),
        UnaryOp::Asinh => one::<L, Asinh<T>>(),
        UnaryOp::Acosh => one::<L, Acosh<T>>(),
        UnaryOp::Atanh => one::<L, Atanh<T>>(),
        UnaryOp::Sin => one::<L, Sin<T>>(),
        UnaryOp::Cos => one::<L, Cos<T>>(),
        UnaryOp::Tan => one::<L, Tan<T>>(),
        UnaryOp::Asin => one::<L, Asin<T>>(),
        UnaryOp::Acos => one::<L, Acos<T>>(),
        UnaryOp::Atan => one::<L, Atan<T>>(),
        UnaryOp::Cbrt => one::<L, Cbrt<T>>(),
        UnaryOp::Erf => one::<L, Erf<T>>(),
        UnaryOp::Erfc => one::<L, Erfc<T>>(),
        UnaryOp::ErfInv => one::<L, ErfInv<T>>(),
        UnaryOp::Lgamma => one::<L, Lgamma<T>>(),
        UnaryOp::Digamma => one::<L, Digamma<T>>(),
        UnaryOp::BesselI0e => one::<L, BesselI0e<T>>(),
        UnaryOp::BesselI1e => one::<L, BesselI1e<T>>(),
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::RoundAway
        | UnaryOp::Trunc
        | UnaryOp::Sqrt
        | UnaryOp::Rsqrt
        | UnaryOp::Reciprocal
        | UnaryOp::Square
        | UnaryOp::Not
        | UnaryOp::IsFinite
        | UnaryOp::PopulationCount => return None,
    })
}

/// The kernel of an elementary function of two operands.
pub(super) fn binary<L: Level, T: Real>(op: BinaryOp, mode: Mode) -> Option<TileFn> {
    Some(match op {
        BinaryOp::Pow => two::<L, Pow<T>>(mode),
        BinaryOp::Atan2 => two::<L, Atan2<T>>(mode),
        // One by one at every level, so the level of all is the baseline.
        BinaryOp::Polygamma => two::<super::level::Baseline, Polygamma<T>>(mode),
        BinaryOp::Igamma => two::<super::level::Baseline, Igamma<T>>(mode),
        BinaryOp::Igammac => two::<super::level::Baseline, Igammac<T>>(mode),
        BinaryOp::IgammaGradA => two::<super::level::Baseline, IgammaGradA<T>>(mode),
        BinaryOp::Rem => two::<L, Rem<T>>(mode),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Max
        | BinaryOp::Min
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRightArithmetic
        | BinaryOp::ShiftRightLogical => return None,
    })
}
