//! Small matrices across lanes: the same elimination runs on one matrix a lane, interleaved, so that
//! every step is a vector operation however small the matrices are. Pivots are chosen by selects, so
//! a singular or indefinite member does not disturb its neighbours.

use super::columns::{Block, Pairs, Words};
use super::level::{Level, Simd, at_level};

/// Bytes of one value of all lanes: one AVX-512 vector.
pub(super) const WIDTH: usize = 64;

/// What is done with every matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// `a·x = b`, or `aᵀ·x = b`, by elimination; NaN where `a` is singular.
    Solve { transpose: bool },
    /// The lower factor; NaN where the matrix is not positive definite.
    Cholesky,
    /// The solution with a triangle of `a`.
    Triangular { lower: bool, transpose: bool, unit: bool },
}

/// A group of as many matrices as there are lanes, or fewer, one after the other in memory.
#[derive(Clone, Copy)]
pub struct Group {
    /// The matrices, `n×n`.
    pub a: *const u8,
    /// The right-hand sides, `n×k`; not read for a factorisation.
    pub b: *const u8,
    /// The results.
    pub out: *mut u8,
    /// How many there are, at most [`Lanes::count`].
    pub members: usize,
    pub n: usize,
    pub k: usize,
    /// Memory of [`Lanes::scratch`] bytes.
    pub scratch: *mut u8,
}

/// # Safety
/// Matrices and right-hand sides are readable, results and scratch writable and of nobody else.
type GroupFn = unsafe fn(Group, Task) -> bool;

/// The functions for one dtype and size.
#[derive(Clone, Copy)]
pub struct Lanes {
    run: GroupFn,
    element: usize,
}

impl Lanes {
    /// How many matrices run at once.
    pub fn count(self) -> usize {
        WIDTH / self.element
    }

    /// Bytes of scratch memory, at any address.
    pub fn scratch(self, n: usize, k: usize) -> usize {
        (n * n + n * k + 1) * WIDTH
    }

    /// Runs the task on a group; whether some matrix was singular or not positive definite.
    ///
    /// # Safety
    /// As the fields of [`Group`] say.
    pub unsafe fn run(self, group: Group, task: Task) -> bool {
        // SAFETY: as the caller's.
        unsafe { (self.run)(group, task) }
    }
}

impl Simd {
    /// The lanes of f32 (else f64) for matrices of a size.
    pub fn lanes(self, single: bool, n: usize) -> Lanes {
        let run = at_level!(self, group(single, n));
        Lanes { run, element: if single { 4 } else { 8 } }
    }
}

/// Sizes up to this have loops of known length.
fn group<L: Level>(single: bool, n: usize) -> GroupFn {
    macro_rules! sized {
        ($($n:literal)+) => {
            match (single, n) {
                $((true, $n) => L::group::<f32, 16, $n>(), (false, $n) => L::group::<f64, 8, $n>(),)+
                (true, _) => L::group::<f32, 16, 0>(),
                (false, _) => L::group::<f64, 8, 0>(),
            }
        };
    }
    sized!(2 3 4 5 6 8)
}

/// What elimination needs of a float.
pub(super) trait Float:
    Copy
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const NAN: Self;
    /// What moves as it does.
    type Bits: Block;
    fn magnitude(self) -> Self;
    fn root(self) -> Self;
    fn index(i: usize) -> Self;
    fn finite(self) -> bool;
    /// `self·a + b` in one rounding.
    fn fused(self, a: Self, b: Self) -> Self;
}

macro_rules! float {
    ($($t:ty, $bits:ty;)+) => { $(
        impl Float for $t {
            type Bits = $bits;
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const NAN: $t = <$t>::NAN;
            #[inline(always)]
            fn magnitude(self) -> $t {
                self.abs()
            }
            #[inline(always)]
            fn root(self) -> $t {
                self.sqrt()
            }
            #[inline(always)]
            fn index(i: usize) -> $t {
                i as $t
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn fused(self, a: $t, b: $t) -> $t {
                self.mul_add(a, b)
            }
        }
    )+ };
}
float! {
    f32, Words;
    f64, Pairs;
}

/// One value of every lane.
pub(super) type V<T, const W: usize> = [T; W];

#[inline(always)]
pub(super) fn zip<T: Float, const W: usize>(
    a: V<T, W>,
    b: V<T, W>,
    f: impl Fn(T, T) -> T,
) -> V<T, W> {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = f(*out, b);
    }
    out
}

/// `c - a·b`.
#[inline(always)]
fn minus_product<T: Float, const W: usize, const FMA: bool>(
    c: V<T, W>,
    a: V<T, W>,
    b: V<T, W>,
) -> V<T, W> {
    let mut out = c;
    for l in 0..W {
        out[l] = if FMA { (-a[l]).fused(b[l], c[l]) } else { c[l] - a[l] * b[l] };
    }
    out
}

/// `a·b + c`.
#[inline(always)]
pub(super) fn plus_product<T: Float, const W: usize, const FMA: bool>(
    a: V<T, W>,
    b: V<T, W>,
    c: V<T, W>,
) -> V<T, W> {
    let mut out = c;
    for l in 0..W {
        out[l] = if FMA { a[l].fused(b[l], c[l]) } else { a[l] * b[l] + c[l] };
    }
    out
}

/// Interleaved values: element `e` of all lanes side by side.
#[derive(Clone, Copy)]
pub(super) struct Interleaved<T, const W: usize> {
    pub start: *mut T,
    /// Distance of the rows and of the columns, in elements of one matrix.
    pub row: usize,
    pub column: usize,
}

/// The same number, which the compiler cannot tell. A loop over it is not vectorised, so that the
/// lanes within its body are.
#[inline(always)]
pub(super) fn opaque(i: usize) -> usize {
    let mut i = i;
    // SAFETY: the assembly is empty; it only names the register.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) i, options(pure, nomem, nostack, preserves_flags));
    }
    i
}

/// Transposes a block: rows of `from` are `row`, those of `to` `to_row` elements apart.
///
/// # Safety
/// As [`Block::transpose`].
#[inline(always)]
unsafe fn transpose<T: Float>(from: *const T, row: usize, to: *mut T, to_row: usize) {
    // SAFETY: as the caller's.
    unsafe {
        T::Bits::transpose(
            |i| from.wrapping_add(i * row).cast(),
            |j| to.wrapping_add(j * to_row).cast(),
        );
    }
}

impl<T: Float, const W: usize> Interleaved<T, W> {
    /// # Safety
    /// The element lies within what was interleaved.
    #[inline(always)]
    pub unsafe fn get(self, i: usize, j: usize) -> V<T, W> {
        let e = i * self.row + j * self.column;
        // SAFETY: as the caller's; no alignment is assumed.
        unsafe { self.start.add(e * W).cast::<V<T, W>>().read_unaligned() }
    }

    /// # Safety
    /// As [`Self::get`].
    #[inline(always)]
    pub unsafe fn set(self, i: usize, j: usize, value: V<T, W>) {
        let e = i * self.row + j * self.column;
        // SAFETY: as the caller's.
        unsafe { self.start.add(e * W).cast::<V<T, W>>().write_unaligned(value) };
    }

    /// Reads `members` matrices of `size` elements. Lanes without a matrix repeat the last one.
    ///
    /// # Safety
    /// The matrices are readable, and the interleaved memory has room.
    #[inline(always)]
    pub unsafe fn read(self, from: *const T, members: usize, size: usize) {
        let whole = if members == W { size / T::Bits::SIDE * T::Bits::SIDE } else { 0 };
        // SAFETY: whole blocks lie within matrices of all lanes; the rest goes one by one.
        unsafe {
            for e in (0..whole).step_by(T::Bits::SIDE) {
                for l in (0..W).step_by(T::Bits::SIDE) {
                    transpose(from.add(l * size + e), size, self.start.add(e * W + l), W);
                }
            }
            for e in whole..size {
                for l in 0..W {
                    let member = l.min(members - 1);
                    self.start.add(e * W + l).write(from.add(opaque(member) * size + e).read());
                }
            }
        }
    }

    /// Writes `members` matrices of `size` elements; those of `spoilt` lanes are NaN.
    ///
    /// # Safety
    /// The matrices are writable.
    #[inline(always)]
    pub unsafe fn write(self, to: *mut T, members: usize, size: usize, spoilt: [bool; W]) {
        let whole = if members == W { size / T::Bits::SIDE * T::Bits::SIDE } else { 0 };
        // SAFETY: as in `read`.
        unsafe {
            for e in (0..whole).step_by(T::Bits::SIDE) {
                for l in (0..W).step_by(T::Bits::SIDE) {
                    transpose(self.start.add(e * W + l), W, to.add(l * size + e), size);
                }
            }
            for e in whole..size {
                for l in 0..members {
                    to.add(opaque(l) * size + e).write(self.start.add(e * W + l).read());
                }
            }
            for l in (0..members).filter(|&l| spoilt[l]) {
                (0..size).for_each(|e| to.add(l * size + e).write(T::NAN));
            }
        }
    }
}

/// Runs a task on a group; `N` is the size if it is known, else 0.
///
/// # Safety
/// As the fields of [`Group`] say.
#[inline(always)]
pub(super) unsafe fn run<T: Float, const W: usize, const N: usize, const FMA: bool>(
    group: Group,
    task: Task,
) -> bool {
    let n = if N > 0 { N } else { group.n };
    let (members, k) = (group.members, group.k);
    let start = group.scratch.cast::<T>();
    let transposed = match task {
        Task::Solve { transpose } | Task::Triangular { transpose, .. } => transpose,
        Task::Cholesky => false,
    };
    let (row, column) = if transposed { (1, n) } else { (n, 1) };
    let a = Interleaved::<T, W> { start, row, column };
    let x = Interleaved::<T, W> { start: start.wrapping_add(n * n * W), row: k, column: 1 };
    // SAFETY: the caller makes the memory valid for both; indices stay below `n` and `k`.
    let spoilt = unsafe {
        a.read(group.a.cast(), members, n * n);
        if task != Task::Cholesky {
            x.read(group.b.cast(), members, n * k);
        }
        match task {
            Task::Solve { .. } => {
                // One right-hand side is the usual case.
                match k {
                    1 => solve::<T, W, FMA>(a, x, n, 1),
                    k => solve::<T, W, FMA>(a, x, n, k),
                }
            }
            Task::Cholesky => cholesky::<T, W, FMA>(a, n),
            Task::Triangular { lower, transpose, unit } => {
                substitute::<T, W, FMA>(a, x, n, k, lower != transpose, unit);
                [false; W]
            }
        }
    };
    let (result, size) = if task == Task::Cholesky { (a, n * n) } else { (x, n * k) };
    // SAFETY: the results have room for all members.
    unsafe { result.write(group.out.cast(), members, size, spoilt) };
    spoilt[..members].contains(&true)
}

/// Gaussian elimination with partial pivoting of `a` beside `x`, then substitution; which lanes are
/// singular.
///
/// # Safety
/// `a` is `n×n` and `x` is `n×k`.
#[inline(always)]
unsafe fn solve<T: Float, const W: usize, const FMA: bool>(
    a: Interleaved<T, W>,
    x: Interleaved<T, W>,
    n: usize,
    k: usize,
) -> [bool; W] {
    let mut singular = [false; W];
    for step in 0..n {
        // SAFETY: all indices are below `n` and `k`.
        unsafe {
            let mut best = a.get(step, step).map(T::magnitude);
            let mut pivot = [T::index(step); W];
            for i in step + 1..n {
                let i = opaque(i);
                let row = a.get(i, step);
                let at = T::index(i);
                for l in 0..W {
                    let size = row[l].magnitude();
                    let larger = size > best[l];
                    best[l] = if larger { size } else { best[l] };
                    pivot[l] = if larger { at } else { pivot[l] };
                }
            }
            for i in step + 1..n {
                let at = T::index(i);
                if pivot.iter().all(|&p| p != at) {
                    continue;
                }
                for j in step..n {
                    swap(a, step, i, opaque(j), &pivot, at);
                }
                for j in 0..k {
                    swap(x, step, i, opaque(j), &pivot, at);
                }
            }
            let top = a.get(step, step);
            let mut inverse = [T::ZERO; W];
            let mut plain = true;
            for l in 0..W {
                singular[l] |= top[l] == T::ZERO;
                inverse[l] = if top[l] == T::ZERO { T::ZERO } else { T::ONE / top[l] };
                plain &= inverse[l].finite();
            }
            for i in step + 1..n {
                let row = a.get(i, step);
                // A reciprocal that overflows would spoil the quotient.
                let factor = match plain {
                    true => zip(row, inverse, |r, t| r * t),
                    false => zip(row, top, |r, t| if t == T::ZERO { T::ZERO } else { r / t }),
                };
                for j in step + 1..n {
                    let j = opaque(j);
                    a.set(i, j, minus_product::<T, W, FMA>(a.get(i, j), factor, a.get(step, j)));
                }
                for j in 0..k {
                    let j = opaque(j);
                    x.set(i, j, minus_product::<T, W, FMA>(x.get(i, j), factor, x.get(step, j)));
                }
            }
            // The diagonal is needed once more, to divide by.
            a.set(step, step, if plain { inverse } else { top.map(|t| T::ONE / t) });
            if !plain {
                // Where the reciprocal overflows, rows are divided before.
                for j in step + 1..n {
                    a.set(step, j, zip(a.get(step, j), top, |r, t| r / t));
                }
                for j in 0..k {
                    x.set(step, j, zip(x.get(step, j), top, |r, t| r / t));
                }
                a.set(step, step, [T::ONE; W]);
            }
        }
    }
    for i in (0..n).rev() {
        for j in 0..k {
            // SAFETY: as above.
            unsafe {
                let mut rest = x.get(i, j);
                for p in i + 1..n {
                    let p = opaque(p);
                    rest = minus_product::<T, W, FMA>(rest, a.get(i, p), x.get(p, j));
                }
                x.set(i, j, zip(rest, a.get(i, i), |r, t| r * t));
            }
        }
    }
    singular
}

/// Exchanges column `j` of two rows in the lanes whose pivot is the second.
///
/// # Safety
/// The rows and the column exist.
#[inline(always)]
unsafe fn swap<T: Float, const W: usize>(
    x: Interleaved<T, W>,
    first: usize,
    second: usize,
    j: usize,
    pivot: &V<T, W>,
    at: T,
) {
    // SAFETY: as the caller's.
    unsafe {
        let (p, q) = (x.get(first, j), x.get(second, j));
        let (mut up, mut down) = (p, q);
        for l in 0..W {
            let moves = pivot[l] == at;
            up[l] = if moves { q[l] } else { p[l] };
            down[l] = if moves { p[l] } else { q[l] };
        }
        x.set(first, j, up);
        x.set(second, j, down);
    }
}

/// The lower factor in place, zeros above it; which lanes are not positive definite.
///
/// # Safety
/// `a` is `n×n`.
#[inline(always)]
unsafe fn cholesky<T: Float, const W: usize, const FMA: bool>(
    a: Interleaved<T, W>,
    n: usize,
) -> [bool; W] {
    let mut spoilt = [false; W];
    for j in 0..n {
        // SAFETY: all indices are below `n`.
        unsafe {
            let mut rest = a.get(j, j);
            for p in 0..j {
                let l = a.get(j, opaque(p));
                rest = minus_product::<T, W, FMA>(rest, l, l);
            }
            for l in 0..W {
                // So that NaN counts, too.
                let positive = rest[l] > T::ZERO;
                spoilt[l] |= !positive;
            }
            let diagonal = rest.map(T::root);
            a.set(j, j, diagonal);
            for i in j + 1..n {
                let mut rest = a.get(i, j);
                for p in 0..j {
                    let p = opaque(p);
                    rest = minus_product::<T, W, FMA>(rest, a.get(i, p), a.get(j, p));
                }
                a.set(i, j, zip(rest, diagonal, |r, d| r / d));
                a.set(j, i, [T::ZERO; W]);
            }
        }
    }
    spoilt
}

/// Substitution in place, forward or backward.
///
/// # Safety
/// `a` is `n×n` and `x` is `n×k`.
#[inline(always)]
unsafe fn substitute<T: Float, const W: usize, const FMA: bool>(
    a: Interleaved<T, W>,
    x: Interleaved<T, W>,
    n: usize,
    k: usize,
    lower: bool,
    unit: bool,
) {
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let known = if lower { 0..i } else { i + 1..n };
        for j in 0..k {
            // SAFETY: all indices are below `n` and `k`.
            unsafe {
                let mut rest = x.get(i, j);
                for p in known.clone() {
                    let p = opaque(p);
                    rest = minus_product::<T, W, FMA>(rest, a.get(i, p), x.get(p, j));
                }
                let diagonal = a.get(i, i);
                x.set(i, j, if unit { rest } else { zip(rest, diagonal, |r, d| r / d) });
            }
        }
    }
}
