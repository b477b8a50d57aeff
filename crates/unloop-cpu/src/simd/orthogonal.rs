//! QR decompositions of small matrices across lanes, by Householder reflections as LAPACK's `geqrf` and
//! `orgqr` do them: Golub and Van Loan, Matrix Computations, 5.2.

use super::lanes::{Float, Interleaved, V, WIDTH, opaque, plus_product, zip};
use super::level::{Level, Simd, at_level};

/// A group of as many matrices as there are lanes, or fewer, one after the other in memory.
#[derive(Clone, Copy)]
pub struct QrGroup {
    /// The matrices, `m×n`.
    pub a: *const u8,
    /// Results: `m×k` and `k×n`.
    pub q: *mut u8,
    pub r: *mut u8,
    /// How many there are, at most as many as lanes.
    pub members: usize,
    pub m: usize,
    pub n: usize,
    /// At least the smaller one of `m` and `n`, at most `m`.
    pub k: usize,
    /// Memory of [`QrLanes::scratch`] bytes.
    pub scratch: *mut u8,
}

/// # Safety
/// Matrices are readable, results and scratch writable and of nobody else.
type QrFn = unsafe fn(QrGroup);

/// The function for one dtype.
#[derive(Clone, Copy)]
pub struct QrLanes {
    run: QrFn,
    element: usize,
}

impl QrLanes {
    /// How many matrices run at once.
    pub fn count(self) -> usize {
        WIDTH / self.element
    }

    /// Bytes of scratch memory, at any address.
    pub fn scratch(self, m: usize, n: usize, k: usize) -> usize {
        (m * n + m * k + m.min(n)) * WIDTH
    }

    /// Decomposes a group.
    ///
    /// # Safety
    /// As the fields of [`QrGroup`] say.
    pub unsafe fn run(self, group: QrGroup) {
        // SAFETY: as the caller's.
        unsafe { (self.run)(group) }
    }
}

impl Simd {
    /// The lanes of f32 (else f64).
    pub fn qr_lanes(self, single: bool) -> QrLanes {
        QrLanes { run: at_level!(self, qr(single)), element: if single { 4 } else { 8 } }
    }
}

fn qr<L: Level>(single: bool) -> QrFn {
    if single { L::qr::<f32, 16>() } else { L::qr::<f64, 8>() }
}

#[inline(always)]
fn each<T: Float, const W: usize>(x: V<T, W>, f: impl Fn(T) -> T) -> V<T, W> {
    x.map(f)
}

/// Adds `v·(tau·(vᵀ·x))` with the other sign to a column `x`: the reflection with the vector that
/// stands in column `j` of `a` below its implied first element, 1.
///
/// # Safety
/// Column `j` of `a` and column `c` of `x` have `m` elements.
#[inline(always)]
unsafe fn reflect<T: Float, const W: usize, const FMA: bool>(
    a: Interleaved<T, W>,
    j: usize,
    tau: V<T, W>,
    (x, c, m): (Interleaved<T, W>, usize, usize),
) {
    // SAFETY: as the caller's.
    unsafe {
        let first = x.get(j, c);
        let mut dot = first;
        for i in (j + 1..m).map(opaque) {
            dot = plus_product::<T, W, FMA>(a.get(i, j), x.get(i, c), dot);
        }
        let by = each(zip(tau, dot, |t, d| t * d), |x| -x);
        x.set(j, c, zip(first, by, |x, b| x + b));
        for i in (j + 1..m).map(opaque) {
            x.set(i, c, plus_product::<T, W, FMA>(a.get(i, j), by, x.get(i, c)));
        }
    }
}

/// # Safety
/// As the fields of [`QrGroup`] say.
#[inline(always)]
pub(super) unsafe fn run<T: Float, const W: usize, const FMA: bool>(group: QrGroup) {
    let QrGroup { members, m, n, k, .. } = group;
    let start = group.scratch.cast::<T>();
    let steps = m.min(n);
    let a = Interleaved::<T, W> { start, row: n, column: 1 };
    let q = Interleaved::<T, W> { start: start.wrapping_add(m * n * W), row: k, column: 1 };
    let taus =
        Interleaved::<T, W> { start: start.wrapping_add((m * n + m * k) * W), row: 1, column: 1 };
    // SAFETY: the caller makes the memory valid; indices stay below the extents.
    unsafe {
        a.read(group.a.cast(), members, m * n);
        for j in 0..steps {
            // The norm of the column, scaled so that squares do not overflow.
            let alpha = a.get(j, j);
            let mut largest = each(alpha, T::magnitude);
            for i in (j + 1..m).map(opaque) {
                largest =
                    zip(largest, each(a.get(i, j), T::magnitude), |l, x| if x > l { x } else { l });
            }
            // A column of zeros is scaled by 1.
            let scale = each(largest, |l| if l == T::ZERO { T::ONE } else { l });
            let mut tail = [T::ZERO; W];
            for i in (j + 1..m).map(opaque) {
                let x = zip(a.get(i, j), scale, |x, s| x / s);
                tail = plus_product::<T, W, FMA>(x, x, tail);
            }
            let first = zip(alpha, scale, |x, s| x / s);
            let norm = each(plus_product::<T, W, FMA>(first, first, tail), T::root);
            let mut beta = [T::ZERO; W];
            let mut tau = [T::ZERO; W];
            let mut shrink = [T::ONE; W];
            for l in 0..W {
                // Where nothing is to be reflected away, the matrix stays as it is. NaN is something.
                let is_done = tail[l] == T::ZERO;
                let b = if first[l] < T::ZERO { norm[l] } else { -norm[l] };
                beta[l] = if is_done { alpha[l] } else { b * scale[l] };
                tau[l] = if is_done { T::ZERO } else { (b - first[l]) / b };
                shrink[l] = if is_done { T::ONE } else { (first[l] - b) * scale[l] };
            }
            a.set(j, j, beta);
            taus.set(j, 0, tau);
            for i in (j + 1..m).map(opaque) {
                a.set(i, j, zip(a.get(i, j), shrink, |x, s| x / s));
            }
            for c in j + 1..n {
                reflect::<T, W, FMA>(a, j, tau, (a, c, m));
            }
        }
        for i in 0..m {
            for c in 0..k {
                q.set(i, c, [if i == c { T::ONE } else { T::ZERO }; W]);
            }
        }
        for j in (0..steps).rev() {
            for c in j..k {
                reflect::<T, W, FMA>(a, j, taus.get(j, 0), (q, c, m));
            }
        }
        // What was below the diagonal are the reflections.
        for i in 0..k {
            (0..i.min(n)).for_each(|c| a.set(i, c, [T::ZERO; W]));
        }
        q.write(group.q.cast(), members, m * k, [false; W]);
        // Its first rows.
        a.write(group.r.cast(), members, k * n, [false; W]);
    }
}
