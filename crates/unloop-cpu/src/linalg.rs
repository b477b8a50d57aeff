//! Factorisations and solves of stacks of matrices. Small matrices by loops of our own, whose
//! set-up costs nothing; larger ones by faer.

use std::ops::{DivAssign, SubAssign};
use std::sync::atomic::{AtomicBool, Ordering};

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::lu::partial_pivoting::factor as plu;
use faer::linalg::triangular_solve as triangular;
use faer::traits::RealField;
use faer::{MatMut, MatRef, Par};
use smallvec::SmallVec;
use unloop_graph::op::TriangularSolve;
use unloop_graph::{DType, ErrorKind, Op, TensorType};

use crate::memory::{Addresses, SharedPtr, with_scratch};
use crate::parallel::{for_ranges, within};
use crate::simd::{Group, Lanes, Simd, Task};

/// A factorisation or solve of every matrix of a stack, ready to run.
pub(crate) struct Factorisation {
    kind: Kind,
    dtype: DType,
    /// Matrices in the stack; `None` when the operand is one matrix.
    stack: Option<usize>,
    /// Rows and columns of the matrix; columns of the right-hand side.
    m: usize,
    n: usize,
    k: usize,
    sources: SmallVec<[usize; 2]>,
    targets: SmallVec<[usize; 3]>,
    /// For stacks of small matrices: one matrix a lane.
    lanes: Option<(Lanes, Task)>,
    /// Where factors lie that several solutions have in common.
    shared: Option<SharedFactors>,
}

/// The factors of matrices, and the order of their rows, for all systems with the same matrices.
#[derive(Clone, Copy)]
pub(crate) struct SharedFactors {
    /// The buffers: values of the matrices' type, and one number of 64 bits a row.
    pub factors: usize,
    pub order: usize,
    /// Whether they are computed here; they are read by those that come later.
    pub first: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Cholesky { checked: bool },
    Lu,
    Triangular(TriangularSolve),
    Solve { transpose: bool },
}

/// Up to this size, matrices are factorised by loops of our own.
const SMALL: usize = 24;

/// Up to this size, those of a stack run one a lane: 64×64 takes half of the time that it takes
/// matrix by matrix with faer.
const ACROSS_LANES: usize = 64;

impl Factorisation {
    /// Compiles an operation of linear algebra, with the buffers of operands and results; `None`
    /// for any other operation.
    pub fn compile(
        op: &Op,
        simd: Simd,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> Option<Factorisation> {
        let kind = match op {
            Op::Cholesky { checked } => Kind::Cholesky { checked: *checked },
            Op::Lu => Kind::Lu,
            Op::TriangularSolve(how) => Kind::Triangular(*how),
            Op::Solve { transpose } => Kind::Solve { transpose: *transpose },
            _ => return None,
        };
        let a = operands.first()?.1;
        let [batch @ .., m, n] = &a.shape[..] else { return None };
        let k = operands.get(1).and_then(|b| b.1.shape.last().copied()).unwrap_or(0);
        // There may be more matrices without elements than can be counted through.
        let is_empty = results.iter().all(|r| r.1.shape.size() == 0);
        let stack = match (is_empty, batch) {
            (true, _) => Some(0),
            (false, []) => None,
            (false, _) => Some(batch.iter().product()),
        };
        let task = match kind {
            Kind::Cholesky { .. } => Some(Task::Cholesky),
            Kind::Solve { transpose } => Some(Task::Solve { transpose }),
            Kind::Triangular(how) => {
                let (lower, transpose, unit) = (how.lower, how.transpose, how.unit_diagonal);
                Some(Task::Triangular { lower, transpose, unit })
            }
            Kind::Lu => None,
        };
        let lanes = simd.lanes(a.dtype == DType::F32, *n);
        // Lanes without a matrix do the work of one.
        let filled = |count: usize| count > 1 && (*n <= 8 || 2 * count >= lanes.count());
        let fits = (1..=ACROSS_LANES).contains(n) && stack.is_some_and(filled);
        Some(Factorisation {
            kind,
            lanes: task.filter(|_| fits).map(|task| (lanes, task)),
            dtype: a.dtype,
            stack,
            m: *m,
            n: *n,
            k,
            sources: operands.iter().map(|o| o.0).collect(),
            targets: results.iter().map(|r| r.0).collect(),
            shared: None,
        })
    }

    /// Whether the factors can be shared: elimination across lanes never writes them.
    pub fn has_factors(&self) -> bool {
        matches!(self.kind, Kind::Solve { .. }) && self.lanes.is_none()
    }

    /// The same with shared factors.
    pub fn sharing(self, shared: SharedFactors) -> Factorisation {
        Factorisation { shared: Some(shared), ..self }
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if let Some((lanes, task)) = self.lanes {
            // SAFETY: as the caller's.
            return unsafe { self.run_across(memory, lanes, task) };
        }
        // SAFETY: as the caller's.
        unsafe {
            match self.dtype {
                DType::F32 => self.run_as::<f32>(memory),
                DType::F64 => self.run_as::<f64>(memory),
                other => unreachable!("factorisations are of floats, not of {other}"),
            }
        }
    }

    /// Runs groups of matrices, one a lane.
    unsafe fn run_across(
        &self,
        memory: Addresses<'_>,
        lanes: Lanes,
        task: Task,
    ) -> Result<(), ErrorKind> {
        let (n, k, size) = (self.n, self.k, self.dtype.size());
        let start = |buffer: Option<&usize>| {
            SharedPtr(buffer.map_or(std::ptr::null_mut(), |&b| memory.of(b)))
        };
        let (a, b) = (start(self.sources.first()), start(self.sources.get(1)));
        let out = start(self.targets.first());
        let result = if task == Task::Cholesky { n * n } else { n * k };
        let (count, width) = (self.stack.unwrap_or(1), lanes.count());
        let work = (n * n * (n / 3 + k + 2)) as f64;
        let ns = count as f64 * (4.0 + work * size as f64 * 0.02);
        for_ranges(count.div_ceil(width), ns, |groups| {
            with_scratch(lanes.scratch(n, k), |scratch| {
                for first in groups.map(|g| g * width) {
                    let at =
                        |from: &SharedPtr, len: usize| from.get().wrapping_add(first * len * size);
                    let members = width.min(count - first);
                    let group = Group {
                        a: at(&a, n * n),
                        b: at(&b, n * k),
                        out: at(&out, result),
                        members,
                        n,
                        k,
                        scratch,
                    };
                    // SAFETY: the members lie within the buffers, each group writes its own.
                    unsafe { lanes.run(group, task) };
                }
            })
        })
    }

    unsafe fn run_as<T: Real>(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let (m, n, k) = (self.m, self.n, self.k);
        let sources: SmallVec<[SharedPtr; 2]> =
            self.sources.iter().map(|&s| SharedPtr(memory.of(s))).collect();
        let targets: SmallVec<[SharedPtr; 3]> =
            self.targets.iter().map(|&t| SharedPtr(memory.of(t))).collect();
        let work = (m * n * (m.min(n) + k)) as f64;
        let count = self.stack.unwrap_or(1);
        let par = within(count, m.min(n));
        let shared = self
            .shared
            .map(|s| (s, SharedPtr(memory.of(s.factors)), SharedPtr(memory.of(s.order))));
        let has_failed = AtomicBool::new(false);
        for_ranges(count, count as f64 * (20.0 + 0.4 * work), |range| {
            // Room for the matrix and for the order of its rows.
            let bytes = (m * n * size_of::<T>()).next_multiple_of(64);
            with_scratch(self.own_scratch(), |scratch| {
                for i in range {
                    let read = |s: usize, len: usize| {
                        let start = sources[s].get().cast::<T>().wrapping_add(i * len);
                        // SAFETY: member `i` of the stack, with `len` elements, is initialised.
                        unsafe { slice(start, len) }
                    };
                    let write =
                        |t: usize, len: usize| targets[t].get().cast::<T>().wrapping_add(i * len);
                    let a = read(0, m * n);
                    // SAFETY: the scratch memory has room for both; each member of the stack
                    // writes parts of the results that are its own.
                    unsafe {
                        let order = scratch.add(bytes).cast::<usize>();
                        match self.kind {
                            Kind::Cholesky { .. } => {
                                if !cholesky(a, copied(write(0, m * n), a), n, par)? {
                                    has_failed.store(true, Ordering::Relaxed);
                                }
                            }
                            Kind::Lu => {
                                let lu = copied(write(0, m * n), a);
                                let order = identity(order, m);
                                factorise(lu, m, n, order, par)?;
                                let at = |t: usize, len: usize| {
                                    targets[t].get().cast::<i32>().wrapping_add(i * len)
                                };
                                write_pivots(order, at(1, m.min(n)), at(2, m), m.min(n))?;
                            }
                            Kind::Triangular(how) => {
                                let x = copied(write(0, n * k), read(1, n * k));
                                let a = View::new(a, n, how.transpose);
                                substitute(a, x, k, how.lower != how.transpose, how.unit_diagonal);
                            }
                            Kind::Solve { transpose } => {
                                let b = read(1, n * k);
                                let (lu, order) = match &shared {
                                    None => (scratch.cast::<T>(), order),
                                    Some((_, factors, rows)) => (
                                        factors.get().cast::<T>().add(i * n * n),
                                        rows.get().cast::<usize>().add(i * n),
                                    ),
                                };
                                // A large matrix is taken by columns, so that what is factorised is
                                // the transpose; which does not depend on what is asked, so that a
                                // matrix is singular for all systems or for none.
                                let by_columns = n > SMALL;
                                let (lu, order) = match &shared {
                                    Some((SharedFactors { first: false, .. }, ..)) => (
                                        std::slice::from_raw_parts_mut(lu, n * n),
                                        std::slice::from_raw_parts_mut(order, n),
                                    ),
                                    _ => {
                                        let (lu, order) = (copied(lu, a), identity(order, n));
                                        if by_columns {
                                            let lu = MatMut::from_column_major_slice_mut(lu, n, n);
                                            factorise_large(lu, order, par)?;
                                        } else {
                                            factorise(lu, n, n, order, par)?;
                                        }
                                        (lu, order)
                                    }
                                };
                                let x = write(0, n * k);
                                if (0..n).any(|j| lu[j * n + j] == T::ZERO) {
                                    has_failed.store(true, Ordering::Relaxed);
                                    (0..n * k).for_each(|j| x.add(j).write(T::NAN));
                                    continue;
                                }
                                let lu = View::new(lu, n, transpose);
                                if by_columns != transpose {
                                    // The transpose of what was factorised, `pᵀ·l·u`, is asked for:
                                    // `uᵀ·lᵀ·p·x = b`.
                                    with_scratch(n * k * size_of::<T>(), |y| {
                                        let y = copied(y.cast::<T>(), b);
                                        substitute(lu, y, k, true, false);
                                        substitute(lu, y, k, false, true);
                                        for (row, &to) in order.iter().enumerate() {
                                            let from = y.as_ptr().add(row * k);
                                            std::ptr::copy_nonoverlapping(from, x.add(to * k), k);
                                        }
                                    })?;
                                    continue;
                                }
                                for (row, &from) in order.iter().enumerate() {
                                    let from = b.as_ptr().add(from * k);
                                    std::ptr::copy_nonoverlapping(from, x.add(row * k), k);
                                }
                                let x = std::slice::from_raw_parts_mut(x, n * k);
                                substitute(lu, x, k, true, true);
                                substitute(lu, x, k, false, false);
                            }
                        }
                    }
                }
                Ok(())
            })?
        })?;
        match self.kind {
            // A stack tells by the NaN of its members.
            _ if self.stack.is_some() || !has_failed.into_inner() => Ok(()),
            Kind::Cholesky { checked: false } => Ok(()),
            Kind::Cholesky { checked: true } => Err(ErrorKind::NotPositiveDefinite),
            _ => Err(ErrorKind::Singular),
        }
    }
}

impl Factorisation {
    /// Bytes of a thread's room for the matrix and for the order of its rows.
    fn own_scratch(&self) -> usize {
        let matrix = (self.m * self.n * self.dtype.size()).next_multiple_of(64);
        matrix + self.m * size_of::<usize>()
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        match (self.lanes, self.dtype) {
            (Some((lanes, _)), _) => lanes.scratch(self.n, self.k),
            (None, DType::F32) => self.own_scratch() + self.library_scratch::<f32>(),
            (None, _) => self.own_scratch() + self.library_scratch::<f64>(),
        }
    }

    /// Bytes that factorisations of large matrices take besides.
    fn library_scratch<T: Real>(&self) -> usize {
        let (m, n) = (self.m, self.n);
        let par = within(self.stack.unwrap_or(1), m.min(n));
        let rows = m * size_of::<usize>();
        match self.kind {
            Kind::Cholesky { .. } => {
                need(llt::cholesky_in_place_scratch::<T>(n, par, Default::default()))
            }
            Kind::Triangular(_) => 0,
            Kind::Lu => {
                let scratch = plu::lu_in_place_scratch::<usize, T>(m, n, par, Default::default());
                // The orders of the rows, and the way back from one.
                need(scratch) + 3 * rows
            }
            Kind::Solve { .. } => {
                let scratch = plu::lu_in_place_scratch::<usize, T>(m, n, par, Default::default());
                need(scratch) + rows + n * self.k * size_of::<T>()
            }
        }
    }
}

/// Bytes from which a library finds its own alignment.
pub(crate) fn need(scratch: StackReq) -> usize {
    scratch.unaligned_bytes_required()
}

/// Runs `f` with scratch memory as a library asks for it.
pub(crate) fn with_stack<R>(
    scratch: StackReq,
    f: impl FnOnce(&mut MemStack) -> R,
) -> Result<R, ErrorKind> {
    let bytes = need(scratch);
    with_scratch(bytes, |start| {
        // SAFETY: the scratch memory is this call's alone, and may be uninitialised.
        let memory = unsafe { std::slice::from_raw_parts_mut(start.cast(), bytes) };
        f(MemStack::new(memory))
    })
}

/// # Safety
/// As `slice::from_raw_parts`.
pub(crate) unsafe fn slice<'a, T>(start: *const T, len: usize) -> &'a [T] {
    // SAFETY: as the caller's.
    unsafe { std::slice::from_raw_parts(start, len) }
}

/// A copy of `from` at `to`.
///
/// # Safety
/// `to` is writable for as many elements, nobody else uses them, and they do not overlap.
unsafe fn copied<'a, T: Copy>(to: *mut T, from: &[T]) -> &'a mut [T] {
    // SAFETY: as the caller's.
    unsafe {
        std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len());
        std::slice::from_raw_parts_mut(to, from.len())
    }
}

/// The numbers `0..n` at `start`.
///
/// # Safety
/// As [`copied`].
unsafe fn identity<'a>(start: *mut usize, n: usize) -> &'a mut [usize] {
    // SAFETY: as the caller's; all elements are written before the slice is made.
    unsafe {
        (0..n).for_each(|i| start.add(i).write(i));
        std::slice::from_raw_parts_mut(start, n)
    }
}

/// Elements of matrices that are factorised.
pub(crate) trait Real:
    RealField + Copy + PartialOrd + Send + Sync + SubAssign + DivAssign
{
    const ZERO: Self;
    const ONE: Self;
    const NAN: Self;
    fn magnitude(self) -> Self;
    fn root(self) -> Self;
}

macro_rules! real {
    ($($t:ty)+) => { $(
        impl Real for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const NAN: $t = <$t>::NAN;
            fn magnitude(self) -> $t {
                self.abs()
            }
            fn root(self) -> $t {
                self.sqrt()
            }
        }
    )+ };
}
real!(f32 f64);

/// A square matrix in row-major order, or its transpose.
#[derive(Clone, Copy)]
struct View<'a, T> {
    values: &'a [T],
    n: usize,
    row: usize,
    column: usize,
}

impl<'a, T: Copy> View<'a, T> {
    fn new(values: &'a [T], n: usize, transpose: bool) -> View<'a, T> {
        let (row, column) = if transpose { (1, n) } else { (n, 1) };
        View { values, n, row, column }
    }

    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> T {
        self.values[i * self.row + j * self.column]
    }
}

/// The pivots of each step and the order of rows, from the order alone.
///
/// # Safety
/// `pivots` is writable for `steps` elements, `permutation` for as many as `order` has.
unsafe fn write_pivots(
    order: &[usize],
    pivots: *mut i32,
    permutation: *mut i32,
    steps: usize,
) -> Result<(), ErrorKind> {
    let m = order.len();
    with_scratch(2 * m * size_of::<usize>(), |scratch| {
        let scratch = scratch.cast::<usize>();
        // SAFETY: the scratch memory has room for both.
        let (now, place) = unsafe { (identity(scratch, m), identity(scratch.add(m), m)) };
        for (step, &row) in order.iter().enumerate() {
            let pivot = place[row];
            // SAFETY: as the caller's.
            unsafe {
                permutation.add(step).write(row as i32);
                if step < steps {
                    pivots.add(step).write(pivot as i32);
                }
            }
            now.swap(step, pivot);
            place[now[step]] = step;
            place[now[pivot]] = pivot;
        }
    })
}

/// Gaussian elimination with partial pivoting, in place, of a large matrix. `order` follows the rows.
fn factorise_large<T: Real>(
    a: MatMut<'_, T>,
    order: &mut [usize],
    par: Par,
) -> Result<(), ErrorKind> {
    let (m, n) = (a.nrows(), a.ncols());
    with_scratch(m * size_of::<usize>(), |inverse| {
        // SAFETY: the scratch memory has room for as many rows.
        let inverse = unsafe { identity(inverse.cast(), m) };
        let scratch = plu::lu_in_place_scratch::<usize, T>(m, n, par, Default::default());
        with_stack(scratch, |stack| {
            plu::lu_in_place(a, order, inverse, par, stack, Default::default());
        })
    })?
}

/// Gaussian elimination with partial pivoting, in place, of a row-major matrix. `order` follows the
/// rows.
fn factorise<T: Real>(
    a: &mut [T],
    m: usize,
    n: usize,
    order: &mut [usize],
    par: Par,
) -> Result<(), ErrorKind> {
    if m.min(n) > SMALL {
        return factorise_large(MatMut::from_row_major_slice_mut(a, m, n), order, par);
    }
    for step in 0..m.min(n) {
        let mut pivot = step;
        for i in step + 1..m {
            if a[i * n + step].magnitude() > a[pivot * n + step].magnitude() {
                pivot = i;
            }
        }
        if pivot != step {
            order.swap(step, pivot);
            let (top, bottom) = a.split_at_mut(pivot * n);
            top[step * n..step * n + n].swap_with_slice(&mut bottom[..n]);
        }
        let (top, bottom) = a.split_at_mut((step + 1) * n);
        let top = &top[step * n..];
        if top[step] == T::ZERO {
            continue;
        }
        let inverse = T::ONE / top[step];
        for row in bottom.chunks_exact_mut(n) {
            // A reciprocal that overflows would spoil the quotient.
            let factor = if inverse.magnitude() < T::ONE / T::ZERO {
                row[step] * inverse
            } else {
                row[step] / top[step]
            };
            row[step] = factor;
            for (x, &y) in row[step + 1..].iter_mut().zip(&top[step + 1..]) {
                *x -= factor * y;
            }
        }
    }
    Ok(())
}

/// Forward (lower) or backward (upper) substitution, in place, of `k` right-hand sides.
fn substitute<T: Real>(a: View<'_, T>, x: &mut [T], k: usize, lower: bool, unit: bool) {
    let n = a.n;
    if k == 0 {
        return;
    }
    if n > SMALL && (k > 1 || a.column != 1) {
        let rows = MatRef::from_row_major_slice(a.values, n, n);
        let matrix = if a.row == 1 { rows.transpose() } else { rows };
        let x = MatMut::from_row_major_slice_mut(x, n, k);
        match (lower, unit) {
            (true, false) => triangular::solve_lower_triangular_in_place(matrix, x, Par::Seq),
            (true, true) => triangular::solve_unit_lower_triangular_in_place(matrix, x, Par::Seq),
            (false, false) => triangular::solve_upper_triangular_in_place(matrix, x, Par::Seq),
            (false, true) => triangular::solve_unit_upper_triangular_in_place(matrix, x, Par::Seq),
        }
        return;
    }
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let known = if lower { 0..i } else { i + 1..n };
        if k == 1 && a.column == 1 {
            let row = &a.values[i * n..][known.clone()];
            x[i] -= product(row, &x[known]);
        } else {
            for p in known {
                let factor = a.at(i, p);
                for j in 0..k {
                    x[i * k + j] -= factor * x[p * k + j];
                }
            }
        }
        if !unit {
            let diagonal = a.at(i, i);
            x[i * k..(i + 1) * k].iter_mut().for_each(|x| *x /= diagonal);
        }
    }
}

/// The sum of products, in several parts.
fn product<T: Real>(x: &[T], y: &[T]) -> T {
    const PARTS: usize = 16;
    let mut sums = [T::ZERO; PARTS];
    let (xs, ys) = (x.chunks_exact(PARTS), y.chunks_exact(PARTS));
    let rest = xs.remainder().iter().zip(ys.remainder());
    let last = rest.fold(T::ZERO, |sum, (&x, &y)| sum + x * y);
    for (x, y) in xs.zip(ys) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.into_iter().fold(last, |a, b| a + b)
}

/// The lower Cholesky factor of `a`, in `l`, which starts as its copy; whether there is one.
fn cholesky<T: Real>(a: &[T], l: &mut [T], n: usize, par: Par) -> Result<bool, ErrorKind> {
    let is_definite = match n > SMALL {
        true => {
            let matrix = MatMut::from_row_major_slice_mut(l, n, n);
            let scratch = llt::cholesky_in_place_scratch::<T>(n, par, Default::default());
            // NaN passes through as NaN.
            with_stack(scratch, |stack| {
                llt::cholesky_in_place(matrix, Default::default(), par, stack, Default::default())
                    .is_ok()
            })?
        }
        false => small_cholesky(a, l, n),
    };
    for i in 0..n {
        l[i * n + i + 1..(i + 1) * n].fill(T::ZERO);
    }
    // What is not a number anywhere in a row is in its pivot, too.
    let is_nan = |i: usize| l[i * n + i].partial_cmp(&T::ZERO).is_none();
    let has_factor = is_definite && !(0..n).any(is_nan);
    if !has_factor {
        l.fill(T::NAN);
    }
    Ok(has_factor)
}

fn small_cholesky<T: Real>(a: &[T], l: &mut [T], n: usize) -> bool {
    for j in 0..n {
        for i in j..n {
            let mut rest = a[i * n + j];
            for p in 0..j {
                rest -= l[i * n + p] * l[j * n + p];
            }
            let is_positive = rest > T::ZERO;
            if i == j && !is_positive {
                return false;
            }
            l[i * n + j] = if i == j { rest.root() } else { rest / l[j * n + j] };
        }
    }
    true
}
