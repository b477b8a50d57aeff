//! Orthogonal decompositions of stacks of matrices, by faer.

use faer::diag::DiagMut;
use faer::dyn_stack::StackReq;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::qr::no_pivoting::factor as qr;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{ColMut, Conj, MatMut, MatRef, Par};
use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, Op, TensorType};

use crate::linalg::{Real, need, slice, with_stack};
use crate::memory::{Addresses, SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{QrGroup, QrLanes, Simd};

/// A decomposition of every matrix of a stack, ready to run.
pub(crate) struct Decomposition {
    kind: Kind,
    dtype: DType,
    count: usize,
    m: usize,
    n: usize,
    source: usize,
    /// Matrices that are decomposed side by side.
    lanes: Option<QrLanes>,
    /// Buffers of the results, and the elements of one member of each.
    targets: SmallVec<[(usize, usize); 3]>,
}

/// Rows and columns, at most, of matrices that are decomposed across lanes; measured.
const ACROSS_LANES: usize = 32;

#[derive(Clone, Copy)]
enum Kind {
    /// With this many columns of `q`.
    Qr(usize),
    /// With this many columns of `u` and rows of `vt`, if wanted.
    Svd(Option<(usize, usize)>),
    Eigh,
}

impl Decomposition {
    /// Compiles a decomposition, with the buffers of operand and results; `None` for any other
    /// operation.
    pub fn compile(
        op: &Op,
        simd: Simd,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> Option<Decomposition> {
        let (source, a) = *operands.first()?;
        let [batch @ .., m, n] = &a.shape[..] else { return None };
        let extent = |i: usize, back: usize| -> Option<usize> {
            let shape = &results.get(i)?.1.shape;
            shape.len().checked_sub(back).map(|axis| shape[axis])
        };
        let kind = match op {
            Op::Qr { .. } => Kind::Qr(extent(0, 1)?),
            Op::Svd { vectors: false, .. } => Kind::Svd(None),
            Op::Svd { vectors: true, .. } => Kind::Svd(Some((extent(1, 1)?, extent(2, 2)?))),
            Op::Eigh => Kind::Eigh,
            _ => return None,
        };
        let member = |ty: &TensorType| ty.shape[batch.len()..].iter().product();
        // There may be more matrices without elements than can be counted through.
        let is_empty = results.iter().all(|r| r.1.shape.size() == 0);
        let count: usize = if is_empty { 0 } else { batch.iter().product() };
        let is_small = matches!(kind, Kind::Qr(_)) && *m.max(n) <= ACROSS_LANES && m.min(n) > &0;
        let lanes = simd.qr_lanes(a.dtype == DType::F32);
        // Lanes without a matrix do the work of one.
        let fits = is_small && 2 * count >= lanes.count();
        Some(Decomposition {
            kind,
            dtype: a.dtype,
            lanes: fits.then_some(lanes),
            count,
            m: *m,
            n: *n,
            source,
            targets: results.iter().map(|r| (r.0, member(r.1))).collect(),
        })
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the source.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if let (Some(lanes), Kind::Qr(k), [q, r]) = (self.lanes, self.kind, &self.targets[..]) {
            // SAFETY: as the caller's.
            return unsafe { self.run_across(memory, lanes, (q.0, r.0, k)) };
        }
        // SAFETY: as the caller's.
        unsafe {
            match self.dtype {
                DType::F32 => self.run_as::<f32>(memory),
                DType::F64 => self.run_as::<f64>(memory),
                other => unreachable!("decompositions are of floats, not of {other}"),
            }
        }
    }

    /// Runs groups of matrices, one a lane.
    unsafe fn run_across(
        &self,
        memory: Addresses<'_>,
        lanes: QrLanes,
        (q, r, k): (usize, usize, usize),
    ) -> Result<(), ErrorKind> {
        let (m, n, size, width) = (self.m, self.n, self.dtype.size(), lanes.count());
        let [a, q, r] = [self.source, q, r].map(|buffer| SharedPtr(memory.of(buffer)));
        let work = (m * (n + k) * m.min(n)) as f64;
        let ns = self.count as f64 * (20.0 + work * size as f64 * 0.02);
        for_ranges(self.count.div_ceil(width), ns, |groups| {
            with_scratch(lanes.scratch(m, n, k), |scratch| {
                for first in groups.map(|g| g * width) {
                    let at = |p: SharedPtr, len: usize| p.get().wrapping_add(first * len * size);
                    let members = width.min(self.count - first);
                    let (a, q, r) = (at(a, m * n), at(q, m * k), at(r, k * n));
                    let group = QrGroup { a, q, r, members, m, n, k, scratch };
                    // SAFETY: the members lie within the buffers, each group writes its own.
                    unsafe { lanes.run(group) };
                }
            })
        })
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        match (self.lanes, self.kind, self.dtype) {
            (Some(lanes), Kind::Qr(k), _) => lanes.scratch(self.m, self.n, k),
            (_, _, DType::F32) => self.library_scratch::<f32>(),
            _ => self.library_scratch::<f64>(),
        }
    }

    fn library_scratch<T: Real>(&self) -> usize {
        let (m, n) = (self.m, self.n);
        let steps = m.min(n);
        match self.kind {
            _ if steps == 0 => 0,
            Kind::Qr(k) => {
                let block = qr::recommended_block_size::<T>(m, n);
                need(qr_scratch::<T>(m, n, k, block))
                    + elements(&[(m, n), (block, steps)]) * size_of::<T>()
            }
            Kind::Svd(vectors) => {
                let (rows, columns) = vectors.unwrap_or((0, 0));
                let (left, right) = (wanted(vectors, rows, m), wanted(vectors, columns, n));
                need(svd_scratch::<T>(m, n, left, right, Par::Seq, Default::default()))
                    + elements(&[(m, rows), (n, columns)]) * size_of::<T>()
            }
            Kind::Eigh => need(eigen_scratch::<T>(n)),
        }
    }

    unsafe fn run_as<T: Real>(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let (m, n) = (self.m, self.n);
        let source = SharedPtr(memory.of(self.source));
        let targets: SmallVec<[(SharedPtr, usize); 3]> =
            self.targets.iter().map(|&(t, len)| (SharedPtr(memory.of(t)), len)).collect();
        let ns = self.count as f64 * (500.0 + (m * n * m.min(n)) as f64);
        for_ranges(self.count, ns, |range| {
            for i in range {
                // SAFETY: member `i` of the operand is initialised; that of each result is written
                // by nobody else, and first filled with a valid value.
                let (a, mut results) = unsafe {
                    let start = source.get().cast::<T>().add(i * m * n);
                    let results: SmallVec<[&mut [T]; 3]> = targets
                        .iter()
                        .map(|(target, len)| {
                            let start = target.get().cast::<T>().add(i * len);
                            std::ptr::write_bytes(start, 0, *len);
                            std::slice::from_raw_parts_mut(start, *len)
                        })
                        .collect();
                    (MatRef::from_row_major_slice(slice(start, m * n), m, n), results)
                };
                let done = match (self.kind, &mut results[..]) {
                    (Kind::Qr(k), [q, r]) => {
                        factor_qr(a, q, r, k)?;
                        true
                    }
                    (Kind::Svd(vectors), [s, rest @ ..]) => singular(a, s, rest, vectors)?,
                    (Kind::Eigh, [w, v]) => eigen(a, w, v)?,
                    (_, results) => {
                        unreachable!("a decomposition with {} results", results.len())
                    }
                };
                if !done {
                    results.iter_mut().for_each(|result| result.fill(T::NAN));
                }
            }
            Ok(())
        })
    }
}

/// Elements of a matrix in scratch memory: the next begins at a cache line.
fn padded(&(rows, columns): &(usize, usize)) -> usize {
    (rows * columns).next_multiple_of(16)
}

fn elements(sizes: &[(usize, usize)]) -> usize {
    sizes.iter().map(padded).sum()
}

/// Runs `f` with matrices of zeros, of some rows and columns, in scratch memory.
fn with_matrices<T: Real, R, const N: usize>(
    sizes: [(usize, usize); N],
    f: impl FnOnce([MatMut<'_, T>; N]) -> R,
) -> Result<R, ErrorKind> {
    let all = elements(&sizes);
    with_scratch(all * size_of::<T>(), |start| {
        // SAFETY: the scratch memory has room for all elements, and zero is a number.
        let mut rest = unsafe {
            std::ptr::write_bytes(start.cast::<T>(), 0, all);
            std::slice::from_raw_parts_mut(start.cast::<T>(), all)
        };
        f(sizes.map(|(rows, columns)| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(padded(&(rows, columns)));
            rest = others;
            MatMut::from_column_major_slice_mut(&mut own[..rows * columns], rows, columns)
        }))
    })
}

fn qr_scratch<T: Real>(m: usize, n: usize, k: usize, block: usize) -> StackReq {
    qr::qr_in_place_scratch::<T>(m, n, block, Par::Seq, Default::default())
        .or(apply_scratch::<T>(m, block, k))
}

/// Which of `all` singular vectors are computed, if `k` of them are wanted.
fn wanted(vectors: Option<(usize, usize)>, k: usize, all: usize) -> ComputeSvdVectors {
    match vectors {
        None => ComputeSvdVectors::No,
        Some(_) if k == all => ComputeSvdVectors::Full,
        Some(_) => ComputeSvdVectors::Thin,
    }
}

fn eigen_scratch<T: Real>(n: usize) -> StackReq {
    self_adjoint_evd_scratch::<T>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default())
}

fn factor_qr<T: Real>(
    a: MatRef<'_, T>,
    q: &mut [T],
    r: &mut [T],
    k: usize,
) -> Result<(), ErrorKind> {
    let (m, n) = (a.nrows(), a.ncols());
    let mut q = MatMut::from_row_major_slice_mut(q, m, k);
    q.as_mut().diagonal_mut().fill(T::ONE);
    let steps = m.min(n);
    if steps == 0 {
        return Ok(());
    }
    let block = qr::recommended_block_size::<T>(m, n);
    with_matrices([(m, n), (block, steps)], |[mut factors, mut coefficients]| {
        factors.copy_from(a);
        with_stack(qr_scratch::<T>(m, n, k, block), |stack| {
            let (factors, coefficients) = (&mut factors, &mut coefficients);
            let (all, of_blocks) = (factors.as_mut(), coefficients.as_mut());
            qr::qr_in_place(all, of_blocks, Par::Seq, stack, Default::default());
            for i in 0..k {
                for j in i..n {
                    r[i * n + j] = factors[(i, j)];
                }
            }
            let basis = factors.as_ref().subcols(0, steps);
            apply(basis, coefficients.as_ref(), Conj::No, q, Par::Seq, stack);
        })
    })?
}

fn singular<T: Real>(
    a: MatRef<'_, T>,
    s: &mut [T],
    rest: &mut [&mut [T]],
    vectors: Option<(usize, usize)>,
) -> Result<bool, ErrorKind> {
    let (m, n) = (a.nrows(), a.ncols());
    let (rows, columns) = vectors.unwrap_or((0, 0));
    with_matrices([(m, rows), (n, columns)], |[u, v]| singular_in(a, s, rest, vectors, [u, v]))?
}

/// The same, with room for the vectors.
fn singular_in<T: Real>(
    a: MatRef<'_, T>,
    s: &mut [T],
    rest: &mut [&mut [T]],
    vectors: Option<(usize, usize)>,
    [mut u, mut v]: [MatMut<'_, T>; 2],
) -> Result<bool, ErrorKind> {
    let (m, n) = (a.nrows(), a.ncols());
    let (rows, columns) = vectors.unwrap_or((0, 0));
    let finite = a.row_iter().all(|row| row.iter().all(|x| x.magnitude() < T::ONE / T::ZERO));
    let mut done = finite;
    if s.is_empty() {
        u.as_mut().diagonal_mut().fill(T::ONE);
        v.as_mut().diagonal_mut().fill(T::ONE);
    } else if finite {
        let (left, right) = (wanted(vectors, rows, m), wanted(vectors, columns, n));
        let scratch = svd_scratch::<T>(m, n, left, right, Par::Seq, Default::default());
        let values = ColMut::from_slice_mut(s).as_diagonal_mut();
        let (left, right) = match vectors {
            Some(_) => (Some(u.as_mut()), Some(v.as_mut())),
            None => (None, None),
        };
        done = with_stack(scratch, |stack| {
            svd(a, values, left, right, Par::Seq, stack, Default::default()).is_ok()
        })?;
    }
    if let [left, right] = rest {
        for i in 0..m {
            (0..rows).for_each(|j| left[i * rows + j] = u[(i, j)]);
        }
        for i in 0..columns {
            (0..n).for_each(|j| right[i * n + j] = v[(j, i)]);
        }
    }
    Ok(done)
}

fn eigen<T: Real>(a: MatRef<'_, T>, w: &mut [T], v: &mut [T]) -> Result<bool, ErrorKind> {
    let n = a.nrows();
    let finite = (0..n).all(|i| (0..=i).all(|j| a[(i, j)].magnitude() < T::ONE / T::ZERO));
    if n == 0 || !finite {
        return Ok(finite);
    }
    let values: DiagMut<'_, T> = ColMut::from_slice_mut(w).as_diagonal_mut();
    let vectors = MatMut::from_row_major_slice_mut(v, n, n);
    with_stack(eigen_scratch::<T>(n), |stack| {
        self_adjoint_evd(a, values, Some(vectors), Par::Seq, stack, Default::default()).is_ok()
    })
}
