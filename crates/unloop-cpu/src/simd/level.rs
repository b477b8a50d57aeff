//! Instruction sets: which ones this processor has, and how a kernel is compiled once for each.
//!
//! A kernel body is an `#[inline(always)]` generic function; [`Level::tile`] wraps it in a function
//! with the level's target features, so that one indirect call reaches vectorised code and nothing
//! is detected at run time after the table lookup.

use super::lanes::{self, Float, Group, Task};
use super::math::Math;
use super::orthogonal::{self, QrGroup};
use super::product::{self, ProductFn, SmallProduct};

/// One instruction of a tile program: `dst[i] = op(a[i], b[i], c[i])` for `i` in `0..n`.
///
/// # Safety
///
/// Operands that the operation has must be readable for `n` elements (an operand of a scalar mode:
/// for one), `dst` writable for `n` elements of the result; no alignment is needed. `dst` may be
/// the same address as an operand whose elements are at least as large as the result's; otherwise
/// it must not overlap the operands. Booleans are bytes of 0 or 1.
pub type TileFn = unsafe fn(dst: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize);

/// Blocks of so many elements through one elementary function; see [`super::math::blocks`].
pub(super) type BlockFn<T> =
    unsafe fn(dst: *mut T, x: *const T, x_step: usize, y: *const T, y_step: usize, count: usize);

/// The body of a tile function.
pub(super) trait Kernel {
    /// # Safety
    /// As [`TileFn`].
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize);
}

/// An instruction set that kernels are compiled for.
pub(super) trait Level {
    /// The kernel, compiled for this level.
    fn tile<K: Kernel>() -> TileFn;
    /// The function's block loop, compiled for this level.
    fn blocks<M: Math, const N: usize>() -> BlockFn<M::T>;
    /// Small matrices across `W` lanes, compiled for this level; see [`lanes::run`].
    fn group<T: Float, const W: usize, const N: usize>() -> unsafe fn(Group, Task) -> bool;
    /// QR decompositions across `W` lanes, compiled for this level; see [`orthogonal::run`].
    fn qr<T: Float, const W: usize>() -> unsafe fn(QrGroup);
    /// Products of small matrices in vectors of `W` elements, compiled for this level; see
    /// [`product::run`].
    fn product<T: Float, const W: usize>() -> ProductFn;
}

macro_rules! level {
    ($(#[$meta:meta])* $name:ident, fma: $fma:expr $(, features: $features:literal)?) => {
        $(#[$meta])*
        pub(super) enum $name {}

        impl Level for $name {
            fn tile<K: Kernel>() -> TileFn {
                $(#[target_feature(enable = $features)])?
                unsafe fn entry<K: Kernel>(
                    dst: *mut u8,
                    a: *const u8,
                    b: *const u8,
                    c: *const u8,
                    n: usize,
                ) {
                    // SAFETY: the caller keeps the contract of `TileFn`.
                    unsafe { K::run(dst, a, b, c, n) }
                }
                entry::<K>
            }

            fn blocks<M: Math, const N: usize>() -> BlockFn<M::T> {
                $(#[target_feature(enable = $features)])?
                unsafe fn entry<M: Math, const N: usize>(
                    dst: *mut M::T,
                    x: *const M::T,
                    x_step: usize,
                    y: *const M::T,
                    y_step: usize,
                    count: usize,
                ) {
                    // SAFETY: the caller keeps the contract of `blocks`.
                    unsafe {
                        super::math::blocks::<M, { $fma }, N>(dst, x, x_step, y, y_step, count)
                    }
                }
                entry::<M, N>
            }

            fn group<T: Float, const W: usize, const N: usize>() -> unsafe fn(Group, Task) -> bool {
                $(#[target_feature(enable = $features)])?
                unsafe fn entry<T: Float, const W: usize, const N: usize>(
                    group: Group,
                    task: Task,
                ) -> bool {
                    // SAFETY: the caller keeps the contract of `Group`.
                    unsafe { lanes::run::<T, W, N, { $fma }>(group, task) }
                }
                entry::<T, W, N>
            }

            fn qr<T: Float, const W: usize>() -> unsafe fn(QrGroup) {
                $(#[target_feature(enable = $features)])?
                unsafe fn entry<T: Float, const W: usize>(group: QrGroup) {
                    // SAFETY: the caller keeps the contract of `QrGroup`.
                    unsafe { orthogonal::run::<T, W, { $fma }>(group) }
                }
                entry::<T, W>
            }

            fn product<T: Float, const W: usize>() -> ProductFn {
                $(#[target_feature(enable = $features)])?
                unsafe fn entry<T: Float, const W: usize>(product: SmallProduct) {
                    // SAFETY: the caller keeps the contract of `ProductFn`.
                    unsafe { product::run::<T, W, { $fma }>(product) }
                }
                entry::<T, W>
            }
        }
    };
}

level!(
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    fma: cfg!(any(target_arch = "aarch64", target_feature = "fma"))
);
#[cfg(target_arch = "x86_64")]
level!(
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    fma: true,
    features: "avx2,fma,bmi1,bmi2,lzcnt,popcnt"
);
#[cfg(target_arch = "x86_64")]
level!(
    /// 512-bit vectors (the set of x86-64-v4).
    Avx512,
    fma: true,
    features: "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
);

/// The kernels of one instruction set that this processor has: the tables that a kernel compiler
/// looks tile functions up in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Simd(pub(super) Which, Runs);

/// What runs loop nests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Runs {
    /// The instruction set's kernels, and machine code where it is worth it.
    Kernels,
    /// Machine code wherever there is any.
    Code,
    /// The scalar evaluator of nests.
    Oracle,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// The best instruction set of this processor, or the one that the environment variable
    /// `UNLOOP_INSTRUCTION_SET` names, if the processor has it; `code` stands for machine code wherever
    /// there is any.
    pub fn best() -> Simd {
        static BEST: std::sync::OnceLock<Simd> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = std::env::var("UNLOOP_INSTRUCTION_SET").ok();
            let named = wanted.and_then(|name| Simd::named(&name));
            named.or(Simd::available().pop()).unwrap_or(Simd::of(Which::Baseline))
        })
    }

    fn of(which: Which) -> Simd {
        Simd(which, Runs::Kernels)
    }

    /// The instruction set of a name, if the processor has it.
    pub(crate) fn named(name: &str) -> Option<Simd> {
        Simd::all().into_iter().find(|simd| simd.name() == name)
    }

    /// Every way to run programs on this processor: the instruction sets, the best last, and before it
    /// machine code wherever there is any.
    pub(crate) fn all() -> Vec<Simd> {
        let mut all = Simd::available();
        let best = all.pop();
        if let Some(best) = best.filter(|best| best.0 != Which::Baseline) {
            all.push(Simd(best.0, Runs::Code));
        }
        all.extend(best);
        all
    }

    /// Whether there is to be machine code wherever there can be.
    pub(crate) fn wants_code(self) -> bool {
        self.1 == Runs::Code
    }

    /// Whether there are vectors that machine code is made for.
    pub(crate) fn has_code(self) -> bool {
        self.0 != Which::Baseline
    }

    /// What computes loop nests by their scalar evaluator, and all else as every processor does.
    pub(crate) fn oracle() -> Simd {
        Simd(Which::Baseline, Runs::Oracle)
    }

    /// Whether this is [`Simd::oracle`].
    pub(crate) fn is_oracle(self) -> bool {
        self.1 == Runs::Oracle
    }

    /// Every instruction set that this processor has, the best last.
    pub fn available() -> Vec<Simd> {
        #[allow(unused_mut)]
        let mut all = vec![Simd::of(Which::Baseline)];
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V3::try_new().is_some() {
                all.push(Simd::of(Which::Avx2));
            }
            if pulp::x86::V4::try_new().is_some() {
                all.push(Simd::of(Which::Avx512));
            }
        }
        all
    }

    /// The short name of the instruction set.
    pub fn name(self) -> &'static str {
        if self.wants_code() {
            return "code";
        }
        match self.0 {
            Which::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Which::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Which::Avx512 => "avx512",
        }
    }
}

/// Calls a lookup that is generic over [`Level`] for the level of a [`Simd`].
macro_rules! at_level {
    ($simd:expr, $lookup:ident($($arg:expr),*)) => {
        match $simd.0 {
            $crate::simd::level::Which::Baseline => {
                $lookup::<$crate::simd::level::Baseline>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            $crate::simd::level::Which::Avx2 => $lookup::<$crate::simd::level::Avx2>($($arg),*),
            #[cfg(target_arch = "x86_64")]
            $crate::simd::level::Which::Avx512 => $lookup::<$crate::simd::level::Avx512>($($arg),*),
        }
    };
}
pub(super) use at_level;
