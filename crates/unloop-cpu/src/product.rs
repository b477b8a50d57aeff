//! Products of matrices: a contraction becomes a stack of strided matrix products. Where the axes of an
//! operand do not walk memory as one, the outer ones become loops over products, if these are large enough,
//! or else the operand is packed first.

use std::ops::Range;

use gemm::Parallelism;
use smallvec::SmallVec;
use unloop_graph::{DType, DotDims, ErrorKind, Graph, Op, Shape, TensorType, ValueId, cancel};
use unloop_kernel::{Kernel, Load, Strided};

use crate::follower::Follower;
use crate::lowering::copy_kernel;
use crate::memory::{Addresses, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{ProductFn, SMALL_PRODUCT, Simd, SmallProduct};
use crate::space::Rows;

/// A stack of products of m×k and k×n matrices.
pub(crate) struct Product {
    dtype: DType,
    sources: [usize; 2],
    target: usize,
    /// Rows, contracted and columns.
    m: usize,
    k: usize,
    n: usize,
    /// Row and column stride of the left, the right matrix, and the result.
    strides: [(isize, isize); 3],
    /// The stack: streams are left, right and result.
    batch: Rows,
    /// Products whose sum is one of the stack's: streams are left and right.
    terms: Rows,
    /// What multiplies small matrices of floats.
    small: Option<ProductFn>,
    /// Whether each product is shared among threads, instead of the stack.
    is_large: bool,
    /// What is computed of each part of the result, and the rows of it that lie side by side, as long
    /// as it reads them.
    follower: Option<(Follower, usize)>,
    ns: f64,
}

/// Multiplications and additions of one thread in a nanosecond, about.
const FLOPS_PER_NS: f64 = 30.0;

/// Products of at least this size, `m·n·k`, are shared among threads one by one.
const LARGE: usize = 128 * 128 * 128;

/// Bytes of results that are computed before what follows them: they stay in a second-level cache.
const PART_BYTES: usize = 1 << 17;

/// Bytes of so few rows that are worth multiplying together, at most.
const LARGEST_PART: usize = 1 << 19;

/// Bytes of a result, at least: less is still in a cache when it is read.
const FOLLOWED_BYTES: usize = 1 << 20;

/// Products that an element sums for each row of a part, at most: the right matrix is laid out anew for
/// each part.
const PRODUCTS_PER_ROW: usize = 8;

/// Rows of a matrix, at least, that are multiplied together.
const PART_ROWS: usize = 64;

/// Elements of a row, at least, of what follows a product.
const FOLLOWED_ROW: usize = 16;

/// Rows of so many bytes that are computed before what follows them.
fn part_rows(row: usize) -> usize {
    (PART_BYTES / row.max(1)).max(PART_ROWS)
}

/// Whether a collapsed kernel can follow a contraction part by part, and gains from it.
pub(crate) fn follows_product(
    graph: &Graph,
    node: usize,
    operands: &[Strided; 2],
    then: &Kernel,
) -> bool {
    let value = graph.nodes()[node].first;
    let ty = graph.ty(value);
    let whole = Shape::from(&then.space[..]).strides();
    let reads = |load: &Load| match load.source.value == value {
        true => load.source.offset == 0 && load.source.strides[..] == whole[..],
        false => matches!(load.source.strides.last(), Some(0 | 1)),
    };
    let right = &graph.ty(graph.nodes()[node].operands[1]).shape;
    let dims = dims(graph, node);
    let extent = |axes: &[usize]| -> usize { axes.iter().map(|&a| right[a]).product() };
    let row = extent(&dims.rhs_free(right.rank())) * ty.dtype.size();
    ty.bytes() >= FOLLOWED_BYTES
        && !has_loops(graph, node, operands)
        && row * PART_ROWS <= LARGEST_PART
        && extent(&dims.rhs_contract) <= PRODUCTS_PER_ROW * part_rows(row)
        && then.reduction.is_none()
        && !then.has_positions()
        && then.space.iter().product::<usize>() == ty.shape.size()
        && then.space.last().is_some_and(|&extent| extent >= FOLLOWED_ROW)
        && then.loads.iter().all(reads)
}

fn dims(graph: &Graph, node: usize) -> DotDims {
    match &graph.nodes()[node].op {
        Op::Dot(dims) => dims.clone(),
        other => unreachable!("{} is no contraction", other.name()),
    }
}

/// The axes of the two operands in the roles that they play.
struct Roles {
    batch: [SmallVec<[usize; 6]>; 2],
    free: [SmallVec<[usize; 6]>; 2],
    contract: [SmallVec<[usize; 6]>; 2],
}

impl Roles {
    fn new(graph: &Graph, node: usize, operands: &[Strided; 2]) -> Roles {
        let dims = dims(graph, node);
        // The order of contracted axes is free: that in which the left operand walks memory.
        let mut pairs: SmallVec<[(usize, usize); 6]> =
            dims.lhs_contract.iter().copied().zip(dims.rhs_contract.iter().copied()).collect();
        pairs.sort_by_key(|&(a, _)| -operands[0].strides[a].abs());
        Roles {
            free: [
                dims.lhs_free(operands[0].strides.len()).iter().copied().collect(),
                dims.rhs_free(operands[1].strides.len()).iter().copied().collect(),
            ],
            batch: [
                dims.lhs_batch.iter().copied().collect(),
                dims.rhs_batch.iter().copied().collect(),
            ],
            contract: [pairs.iter().map(|p| p.0).collect(), pairs.iter().map(|p| p.1).collect()],
        }
    }
}

/// The one stride of some axes that are walked as one, if there is one.
fn merged(shape: &Shape, strides: &[isize], axes: &[usize]) -> Option<isize> {
    let mut result: Option<isize> = None;
    let mut next = 0;
    for &axis in axes.iter().rev().filter(|&&a| shape[a] != 1) {
        match result {
            None => result = Some(strides[axis]),
            Some(_) if strides[axis] != next => return None,
            Some(_) => {}
        }
        next = strides[axis] * shape[axis] as isize;
    }
    Some(result.unwrap_or(0))
}

/// How many of some axes, from the first, are loops, so that the others are walked as one.
fn looped(shape: &Shape, strides: &[isize], axes: &[usize]) -> usize {
    (0..axes.len()).find(|&i| merged(shape, strides, &axes[i..]).is_some()).unwrap_or(0)
}

/// Whether a contraction is computed by products that do not fill rows of the result at once.
fn has_loops(graph: &Graph, node: usize, operands: &[Strided; 2]) -> bool {
    let roles = Roles::new(graph, node, operands);
    [0, 1].iter().any(|&i| {
        let is_looped =
            |axes: &[usize]| looped(shapes(graph, node)[i], &operands[i].strides, axes) > 0;
        is_looped(&roles.free[i]) || is_looped(&roles.contract[i])
    })
}

/// The extent of products in a loop, at least, along the axis that is cut: with less, the time goes into
/// starting each and into laying its operands out anew.
const LOOPED: usize = 64;

fn shapes(graph: &Graph, node: usize) -> [&Shape; 2] {
    let operands = &graph.nodes()[node].operands;
    [0, 1].map(|i| &graph.ty(operands[i]).shape)
}

/// What packs an operand: a kernel, the type that it writes, and the strides of that by the axes of
/// the operand.
pub(crate) struct Pack {
    pub kernel: Kernel,
    pub ty: TensorType,
    pub strides: SmallVec<[isize; 6]>,
}

/// How to pack the operands that are not matrices in memory: row-major, axes in the order batch,
/// free, contracted.
pub(crate) fn packs(graph: &Graph, node: usize, operands: &[Strided; 2]) -> [Option<Pack>; 2] {
    let roles = Roles::new(graph, node, operands);
    let shapes = shapes(graph, node);
    let dtype = graph.ty(graph.nodes()[node].first).dtype;
    [0, 1].map(|i| {
        let (shape, strides) = (shapes[i], &operands[i].strides);
        let is_large = |axes: &[usize]| {
            let first = looped(shape, strides, axes);
            let inner = axes[first..].iter().map(|&a| shape[a]).product::<usize>();
            first == 0 || (dtype.is_float() && inner >= LOOPED)
        };
        if is_large(&roles.free[i]) && is_large(&roles.contract[i]) {
            return None;
        }
        let order = [&roles.batch[i][..], &roles.free[i], &roles.contract[i]].concat();
        let space: SmallVec<[usize; 6]> = order.iter().map(|&a| shape[a]).collect();
        let source =
            Strided { strides: order.iter().map(|&a| strides[a]).collect(), ..operands[i].clone() };
        let kernel = copy_kernel(&space, source, dtype);
        let mut packed: SmallVec<[isize; 6]> = SmallVec::from_elem(0, order.len());
        order.iter().zip(&kernel.store.strides).for_each(|(&a, &s)| packed[a] = s);
        Some(Pack { kernel, ty: TensorType::new(dtype, &space[..]), strides: packed })
    })
}

impl Product {
    /// Predicted nanoseconds, of one thread.
    pub fn ns(&self) -> f64 {
        self.ns
    }

    /// How it multiplies.
    pub fn way(&self) -> &'static str {
        match (&self.small, self.is_large) {
            (Some(_), _) => "products of small matrices",
            (None, true) => "products of matrices, each shared among threads",
            (None, false) => "products of matrices, the stack shared among threads",
        }
    }

    /// Compiles a contraction of operands that are matrices in memory, as [`packs`] makes them.
    pub fn compile(
        graph: &Graph,
        node: usize,
        simd: Simd,
        operands: &[Strided; 2],
        buffer: impl Fn(ValueId) -> usize,
    ) -> Product {
        let roles = Roles::new(graph, node, operands);
        let shapes = shapes(graph, node);
        let result = graph.nodes()[node].first;
        let out = graph.ty(result);
        let looped = |i: usize, axes: &[usize]| looped(shapes[i], &operands[i].strides, axes);
        let loops = [0, 1].map(|i| looped(i, &roles.free[i]));
        // A sum of no products is zero, which one product of nothing writes.
        let has_terms = roles.contract[0].iter().all(|&a| shapes[0][a] > 0);
        let terms = looped(0, &roles.contract[0]).max(looped(1, &roles.contract[1]));
        let terms = if has_terms { terms } else { 0 };
        let free = [0, 1].map(|i| &roles.free[i][loops[i]..]);
        let contract = [0, 1].map(|i| &roles.contract[i][terms..]);
        let extent = |i: usize, axes: &[usize]| axes.iter().map(|&a| shapes[i][a]).product();
        let stride =
            |i: usize, axes: &[usize]| merged(shapes[i], &operands[i].strides, axes).unwrap_or(0);
        let mut m: usize = extent(0, free[0]);
        let (k, n) = (extent(0, contract[0]), extent(1, free[1]));
        let row: usize = extent(1, &roles.free[1]);
        let mut strides = [
            (stride(0, free[0]), stride(0, contract[0])),
            (stride(1, contract[1]), stride(1, free[1])),
            (row as isize, 1),
        ];
        let out_strides = out.shape.strides();
        let mut batch: Vec<(usize, SmallVec<[isize; 8]>)> = (0..roles.batch[0].len())
            .map(|i| {
                let (a, b) = (roles.batch[0][i], roles.batch[1][i]);
                let walks = [operands[0].strides[a], operands[1].strides[b], out_strides[i]];
                (shapes[0][a], SmallVec::from_slice(&walks))
            })
            .collect();
        // Axes of the result: those of the stack, and the free ones of the left and of the right.
        let (first, left) = (batch.len(), roles.free[0].len());
        for (i, &axis) in roles.free[0][..loops[0]].iter().enumerate() {
            let walks = [operands[0].strides[axis], 0, out_strides[first + i]];
            batch.push((shapes[0][axis], SmallVec::from_slice(&walks)));
        }
        for (i, &axis) in roles.free[1][..loops[1]].iter().enumerate() {
            let walks = [0, operands[1].strides[axis], out_strides[first + left + i]];
            batch.push((shapes[1][axis], SmallVec::from_slice(&walks)));
        }
        let each_term = roles.contract[0][..terms].iter().zip(&roles.contract[1]);
        let (term_extents, term_strides) = each_term
            .map(|(&a, &b)| {
                let walks: [isize; 2] = [operands[0].strides[a], operands[1].strides[b]];
                (shapes[0][a], SmallVec::from_slice(&walks))
            })
            .unzip();
        let terms = Rows::new(term_extents, term_strides, SmallVec::from_slice(&[0, 0]));
        // A stack of left matrices that all meet the same right one is one tall matrix.
        while let Some((extent, walks)) = batch.last()
            && walks[1] == 0
            && (m == 1 || [0, 2].iter().all(|&i| walks[i] == strides[i].0 * m as isize))
        {
            if m == 1 {
                (strides[0].0, strides[2].0) = (walks[0], walks[2]);
            }
            m *= extent;
            batch.pop();
        }
        let count: usize = batch.iter().map(|b| b.0).product();
        let starts = [operands[0].offset, operands[1].offset, 0];
        Product {
            dtype: out.dtype,
            sources: [buffer(operands[0].value), buffer(operands[1].value)],
            target: buffer(result),
            m,
            k,
            n,
            strides,
            batch: Rows::new(
                batch.iter().map(|b| b.0).collect(),
                batch.into_iter().map(|b| b.1).collect(),
                SmallVec::from_slice(&starts),
            ),
            small: (out.dtype.is_float()
                && [m, n, k].iter().all(|&d| d <= SMALL_PRODUCT)
                && strides[2].0 == n as isize
                && terms.count() == 1)
                .then(|| simd.product(out.dtype == DType::F32)),
            is_large: m.saturating_mul(n).saturating_mul(k) >= LARGE,
            follower: None,
            ns: (2.0 * m as f64 * k as f64 * n as f64 / FLOPS_PER_NS + 50.0)
                * (count * terms.count()) as f64,
            terms,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if self.m * self.n == 0 {
            return Ok(());
        }
        // SAFETY: as the caller's.
        unsafe {
            match self.dtype {
                DType::F32 => self.run_as::<f32>(memory),
                DType::F64 => self.run_as::<f64>(memory),
                DType::I32 => self.run_as::<i32>(memory),
                DType::I64 => self.run_as::<i64>(memory),
                DType::U32 => self.run_as::<u32>(memory),
                // The type rule knows no products of truth values.
                DType::Bool => Ok(()),
            }
        }
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        let part = |(follower, part): &(Follower, usize)| {
            follower.scratch(part * self.n * self.dtype.size())
        };
        self.follower.as_ref().map_or(0, part)
    }

    /// Whether each row of a result has whole rows of so many elements.
    pub fn has_whole_rows(&self, extent: usize) -> bool {
        extent > 0 && self.n.is_multiple_of(extent)
    }

    /// The same, with what follows it.
    pub fn followed_by(mut self, follower: Follower) -> Product {
        let rows = part_rows(self.n * self.dtype.size());
        // Whole matrices, or rows of one.
        let part = if rows >= self.m { rows / self.m.max(1) * self.m } else { rows };
        self.ns += (self.batch.count() * self.m * self.n) as f64 * follower.tape.ns;
        self.follower = Some((follower, part));
        self
    }

    unsafe fn run_as<T: Factor>(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let target = SharedPtr(memory.of(self.target));
        if let Some((follower, part)) = &self.follower {
            // SAFETY: as the caller's.
            return unsafe { self.run_parts::<T>(memory, follower, *part) };
        }
        let run = |range: Range<usize>, parallelism: Parallelism| {
            let mut cursor = self.batch.at(range.start);
            for _ in range {
                let out = target.get().cast::<T>().wrapping_offset(cursor.offsets[2]);
                // SAFETY: the members of the stack write disjoint parts of the result.
                unsafe { self.multiply(memory, &cursor.offsets, 0..self.m, out, parallelism) };
                cursor.advance();
            }
            Ok(())
        };
        // Threads share the rows and columns of a product, never a sum, so results do not depend
        // on how many there are.
        match self.is_large {
            true => (0..self.batch.count()).try_for_each(|i| {
                cancel::check()?;
                run(i..i + 1, Parallelism::Rayon(0))
            }),
            false => for_ranges(self.batch.count(), self.ns, |range| run(range, Parallelism::None)),
        }
    }

    /// Computes `part` rows of the result after the other, and what follows of each.
    unsafe fn run_parts<T: Factor>(
        &self,
        memory: Addresses<'_>,
        follower: &Follower,
        part: usize,
    ) -> Result<(), ErrorKind> {
        let (rows, row) = (self.batch.count() * self.m, self.n * size_of::<T>());
        // A part is within one matrix, or of whole ones.
        let within = self.m.div_ceil(part).max(1);
        let units = if part < self.m { self.batch.count() * within } else { rows.div_ceil(part) };
        for_ranges(units, self.ns, |range| {
            follower.with_scratch(part * row, |mut following, results| {
                for unit in range {
                    let range = match part < self.m {
                        true => {
                            let (first, start) = (unit / within * self.m, unit % within * part);
                            first + start..first + (start + part).min(self.m)
                        }
                        false => unit * part..((unit + 1) * part).min(rows),
                    };
                    let mut cursor = self.batch.at(range.start / self.m);
                    for start in range.clone().step_by(self.m) {
                        let first = start % self.m;
                        let own = first..(first + range.end - start).min(self.m);
                        let out = results.wrapping_add((start - range.start) * row).cast::<T>();
                        // SAFETY: the scratch memory has room for a part.
                        unsafe {
                            self.multiply(memory, &cursor.offsets, own, out, Parallelism::None);
                        }
                        cursor.advance();
                    }
                    let elements = range.start * self.n..range.end * self.n;
                    // SAFETY: as the caller's; each part writes its own elements.
                    unsafe { following.run_all(memory, results, elements) };
                }
            })
        })
    }

    /// Multiplies some rows of the left one of the matrices at these offsets.
    unsafe fn multiply<T: Factor>(
        &self,
        memory: Addresses<'_>,
        offsets: &[isize],
        rows: Range<usize>,
        out: *mut T,
        parallelism: Parallelism,
    ) {
        let (m, k, n, strides) = (rows.len(), self.k, self.n, self.strides);
        let skipped = rows.start as isize * strides[0].0;
        let at = |i: usize, more: isize| {
            memory.of(self.sources[i]).cast::<T>().wrapping_offset(offsets[i] + more).cast_const()
        };
        let (left, right) = (at(0, skipped), at(1, 0));
        if let Some(small) = self.small {
            let left = (left.cast(), strides[0].0, strides[0].1);
            let right = (right.cast(), strides[1].0, strides[1].1);
            // SAFETY: as the caller's.
            return unsafe { small(SmallProduct { m, k, n, left, right, out: out.cast() }) };
        }
        let mut cursor = self.terms.at(0);
        for term in 0..self.terms.count() {
            let [left, right] =
                [(left, 0), (right, 1)].map(|(start, i)| start.wrapping_offset(cursor.offsets[i]));
            let adds = term > 0;
            let matrices = Matrices { m, k, n, left, right, out, strides, adds };
            // SAFETY: as the caller's; what is added to has been written by the first term.
            unsafe { T::multiply(&matrices, parallelism) };
            cursor.advance();
        }
    }
}

/// One product: addresses, extents and strides (row, column) of left, right and result.
struct Matrices<T> {
    m: usize,
    k: usize,
    n: usize,
    left: *const T,
    right: *const T,
    out: *mut T,
    strides: [(isize, isize); 3],
    /// Whether the product is added to what is there.
    adds: bool,
}

impl<T: Factor> Matrices<T> {
    /// Row by row of the left matrix: each of its elements scales a row of the right one.
    ///
    /// # Safety
    /// All elements are readable, those of the result writable; the result is row-major.
    #[inline(always)]
    unsafe fn by_rows(&self) {
        let [(left_row, left_column), (right_row, right_column), (out_row, _)] = self.strides;
        for i in 0..self.m as isize {
            // SAFETY: the indices are below the extents.
            unsafe {
                let out = self.out.offset(i * out_row);
                for j in 0..if self.adds { 0 } else { self.n } {
                    out.add(j).write(T::ZERO);
                }
                for p in 0..self.k as isize {
                    let x = self.left.offset(i * left_row + p * left_column).read();
                    let y = self.right.offset(p * right_row);
                    for j in 0..self.n {
                        let product = x.times(y.offset(j as isize * right_column).read());
                        out.add(j).write(out.add(j).read().plus(product));
                    }
                }
            }
        }
    }
}

/// Products of up to this many multiplications are not worth the set-up of a blocked one.
const SMALL: usize = 1024;

/// An element of matrices that are multiplied.
trait Factor: Copy + Send + Sync {
    const ZERO: Self;
    fn times(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
    /// # Safety
    /// As [`Matrices::by_rows`].
    unsafe fn multiply(product: &Matrices<Self>, parallelism: Parallelism);
}

macro_rules! float {
    ($($t:ty)+) => { $(
        impl Factor for $t {
            const ZERO: $t = 0.0;
            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self * other
            }
            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self + other
            }
            unsafe fn multiply(p: &Matrices<$t>, parallelism: Parallelism) {
                if p.m * p.n * p.k <= SMALL {
                    // SAFETY: as the caller's.
                    return unsafe { p.by_rows() };
                }
                let [(left_row, left_column), (right_row, right_column), (row, column)] = p.strides;
                // SAFETY: the caller makes all elements valid, and the result disjoint.
                unsafe {
                    gemm::gemm(
                        p.m, p.n, p.k,
                        p.out, column, row, p.adds,
                        p.left, left_column, left_row,
                        p.right, right_column, right_row,
                        if p.adds { 1.0 } else { 0.0 }, 1.0, false, false, false,
                        parallelism,
                    );
                }
            }
        }
    )+ };
}
float!(f32 f64);

macro_rules! integer {
    ($($t:ty)+) => { $(
        impl Factor for $t {
            const ZERO: $t = 0;
            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }
            unsafe fn multiply(p: &Matrices<$t>, _: Parallelism) {
                // SAFETY: as the caller's.
                unsafe { p.by_rows() }
            }
        }
    )+ };
}
integer!(i32 i64 u32);
