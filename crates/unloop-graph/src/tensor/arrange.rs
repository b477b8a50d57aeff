//! Rearrangements composed of the operations.

use super::axes::AxisNumber;
use super::composed;
use crate::error::operation;
use crate::shape::normalize_axis;
use crate::{DType, Error, ErrorKind, Place, Shape, Tensor};

/// How [`Tensor::pad_mode`] continues a tensor beyond its edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PadMode {
    /// The last element again and again.
    Edge,
    /// Mirrored, without the element at the edge: `3 2 | 1 2 3 | 2 1`.
    Reflect,
    /// Mirrored, with the element at the edge: `2 1 | 1 2 3 | 3 2`.
    Symmetric,
    /// From the other end: `2 3 | 1 2 3 | 1 2`.
    Wrap,
}

impl PadMode {
    /// The elements that stand at positions, which may be negative, of a row of `n`.
    fn source(self, at: &Tensor, n: i64) -> Tensor {
        let number = |value: i64| Tensor::from(value);
        // Of each period the second half is the first one mirrored.
        let mirrored = |period: i64, last: i64| {
            let at = at.modulo(&number(period));
            at.minimum(&(number(last) - &at))
        };
        match self {
            PadMode::Edge => at.clamp(&number(0), &number(n - 1)),
            PadMode::Wrap => at.modulo(&number(n)),
            PadMode::Symmetric => mirrored(2 * n, 2 * n - 1),
            PadMode::Reflect => mirrored((2 * n - 2).max(1), (2 * n - 2).max(1)),
        }
    }
}

/// An axis's size as a signed number; no tensor has one beyond `isize::MAX`.
fn extent(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Tensor {
    /// The axis counted from the start, or an error of an operation.
    pub(super) fn axis(
        &self,
        op: &'static str,
        axis: isize,
        place: Place,
    ) -> Result<usize, Tensor> {
        match self.as_error() {
            Some(_) => Err(self.clone()),
            None => normalize_axis(axis, self.rank())
                .map_err(|kind| Tensor::fail(op, kind, place, self)),
        }
    }

    /// Where the row of the trailing two axes, of extents `m` and `n`, moved by `k`, compares with the
    /// column.
    #[track_caller]
    fn below(&self, [m, n]: [usize; 2], k: i64) -> Tensor {
        let rank = self.rank();
        // Beyond the corners no element is, or all are.
        let k = k.clamp(-extent(m), extent(n));
        let row = Tensor::iota(DType::I64, self.shape(), rank - 2) + Tensor::from(k);
        row.greater_equal(&Tensor::iota(DType::I64, self.shape(), rank - 1))
    }
}

/// # Grids, spaces, structured matrices
impl Tensor {
    /// Coordinates of a grid: for vectors of sizes `a, b, …` tensors of shape `[a, b, …]`, each varying
    /// along its own axis (`indexing="ij"` of NumPy). Each keeps its dtype; what is no vector is
    /// flattened.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let [x, y] = &Tensor::meshgrid(&[&Tensor::from([1, 2]), &Tensor::from([3, 4, 5])])[..] else {
    ///     unreachable!()
    /// };
    /// assert_eq!(x.to_vec::<i32>()?, [1, 1, 1, 2, 2, 2]);
    /// assert_eq!(y.to_vec::<i32>()?, [3, 4, 5, 3, 4, 5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a grid that cannot be addressed.
    #[track_caller]
    pub fn meshgrid(axes: &[&Tensor]) -> Vec<Tensor> {
        operation("meshgrid", || {
            let shape: Shape = axes.iter().map(|x| x.size()).collect();
            let one = |(i, x): (usize, &&Tensor)| {
                x.flatten().broadcast_in_dim(&shape, [i].into_iter().collect())
            };
            axes.iter().enumerate().map(one).collect()
        })
    }

    /// Tensors repeated to their common shape by NumPy's rule: aligned at the last axis, axes of size 1
    /// or missing ones repeat. Each keeps its dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (x, y) = (Tensor::from([1, 2]), Tensor::from([[0], [5]]));
    /// let [x, y] = &Tensor::broadcast_all(&[&x, &y])[..] else { unreachable!() };
    /// assert_eq!((x + y).to_vec::<i32>()?, [1, 2, 6, 7]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by those that do not fit the ones before them: `Incompatible`.
    #[track_caller]
    pub fn broadcast_all(tensors: &[&Tensor]) -> Vec<Tensor> {
        operation("broadcast_all", || {
            let mut whole = Shape::scalar();
            for x in tensors {
                let shape = Shape::from(x.shape());
                // Shapes that do not fit fail at the first one that is repeated.
                whole = whole.broadcast(&shape).unwrap_or(whole);
            }
            tensors.iter().map(|x| x.broadcast_to(&whole)).collect()
        })
    }

    /// Matrices along the diagonal of one, zeros elsewhere: of `[m, n]` and `[p, q]`, `[m + p, n + q]`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::block_diag(&[&Tensor::from([[1]]), &Tensor::from([[2, 3]])]);
    /// assert_eq!(x.to_vec::<i32>()?, [1, 0, 0, 0, 2, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless all are matrices; `DTypeMismatch` if the dtypes differ;
    /// `InvalidArgument` of none.
    #[track_caller]
    pub fn block_diag(blocks: &[&Tensor]) -> Tensor {
        let place = Place::of("block_diag");
        if let Some(wrong) = blocks.iter().find(|x| x.rank() != 2) {
            let shape = wrong.shape().into();
            let kind = ErrorKind::WrongRank { expected: "matrices", shape };
            return Tensor::fail("block_diag", kind, place, wrong);
        }
        let width = |n: usize, x: &&Tensor| n.checked_add(x.shape()[1]);
        let Some(columns) = blocks.iter().try_fold(0, width) else {
            let shape = [blocks.len(), usize::MAX].into();
            let kind = ErrorKind::SizeOverflow { shape, dtype: blocks[0].dtype() };
            return Tensor::fail("block_diag", kind, place, blocks[0]);
        };
        place.scope(|| {
            let mut before = 0;
            let rows: Vec<Tensor> = blocks
                .iter()
                .map(|x| {
                    let width = x.shape()[1];
                    let zero = Tensor::zeros(x.dtype(), ());
                    let row = x.pad(&[(0, 0), (before, columns - before - width)], &zero);
                    before += width;
                    row
                })
                .collect();
            Tensor::concatenate(&rows.iter().collect::<Vec<_>>(), 0)
        })
    }

    /// `count` numbers `baseˢ … baseᵉ` whose exponents are evenly spaced from `start` to `stop`, both
    /// ends included, as an f64 vector.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::logspace(0.0, 2.0, 3, 10.0);
    /// assert!(x.is_close(Tensor::from([1.0, 10.0, 100.0]), 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many.
    #[track_caller]
    pub fn logspace(start: f64, stop: f64, count: usize, base: f64) -> Tensor {
        operation("logspace", || (Tensor::linspace(start, stop, count) * base.ln()).exp())
    }

    /// `count` numbers from `start` to `stop`, both included, each a fixed multiple of the one before,
    /// as an f64 vector.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::geomspace(1.0, 100.0, 3);
    /// assert!(x.is_close(Tensor::from([1.0, 10.0, 100.0]), 1e-12, 0.0).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` if `start` or `stop` is zero, or they have different signs;
    /// `OutOfMemory` or `SizeOverflow` for too many.
    #[track_caller]
    pub fn geomspace(start: f64, stop: f64, count: usize) -> Tensor {
        operation("geomspace", || {
            if start == 0.0 || stop == 0.0 || (start < 0.0) != (stop < 0.0) {
                let message = format!("no multiples lead from {start} to {stop}");
                let kind = ErrorKind::InvalidArgument(message);
                return Tensor::error(Error::new("geomspace", kind, Place::here()));
            }
            let steps = Tensor::linspace(start.abs().ln(), stop.abs().ln(), count);
            let inside = steps.exp() * start.signum();
            // Both ends are exact.
            let position = Tensor::iota(DType::I64, count, 0);
            let last = Tensor::from(extent(count) - 1);
            let ends = position.equal(&last).select(&Tensor::from(stop), &inside);
            position.equal(&Tensor::from(0i64)).select(&Tensor::from(start), &ends)
        })
    }

    /// The matrix `[m, n]` with `x[i - j]` of two vectors: `column`, of size `m`, on and below the
    /// diagonal, `row`, of size `n`, above it (its first element is not read).
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::toeplitz(&Tensor::from([1, 2]), &Tensor::from([1, 8, 9]));
    /// assert_eq!(x.to_vec::<i32>()?, [1, 8, 9, 2, 1, 8]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `DTypeMismatch` if the dtypes differ; `AxisOutOfRange` of scalars; `Incompatible` of a
    /// vector and a matrix.
    #[track_caller]
    pub fn toeplitz(column: &Tensor, row: &Tensor) -> Tensor {
        operation("toeplitz", || {
            let (m, n) = (column.size(), row.size());
            let all = Tensor::concatenate(&[&row.slice_axis(0, 1.min(n), n).flip(&[0]), column], 0);
            let at = |axis| Tensor::iota(DType::I64, (m, n), axis);
            all.take(&(at(0) - at(1) + Tensor::from(n as i64 - 1)), 0)
        })
    }
}

composed! {
    //! # Rearranging along axes
    //! Of any dtype, which stays.
    /// The entries along an axis moved on by `shift` (back if negative); those that leave at one end
    /// come in at the other. The shape stays.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4]).roll(1, 0).to_vec::<i32>()?, [4, 1, 2, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have.
    roll(x, shift: i64, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("roll", axis, Place::here()) {
            Ok(axis) => axis,
            Err(error) => return error,
        };
        let n = x.shape()[at];
        // What stands first came from `shift` entries before.
        let first = match n {
            0 => 0,
            _ => (-i128::from(shift)).rem_euclid(n as i128) as usize,
        };
        match first {
            0 => x.clone(),
            _ => Tensor::concatenate(
                &[&x.slice_axis(axis, first, n), &x.slice_axis(axis, 0, first)],
                axis,
            ),
        }
    }

    /// Each entry along an axis `count` times, one after the other: the axis is `count` times as long.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).repeat(2, 0).to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `SizeOverflow` for what
    /// cannot be addressed.
    repeat(x, count: usize, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        let at = match x.axis("repeat", axis, Place::here()) {
            Ok(axis) => axis,
            Err(error) => return error,
        };
        let shape = Shape::from(x.shape());
        let wide = shape.with(at + 1, count);
        let mut joined = shape;
        // A product that overflows is refused by the type rule of the broadcast.
        joined[at] = joined[at].saturating_mul(count);
        let dims = (0..x.rank()).map(|a| if a > at { a + 1 } else { a }).collect();
        x.broadcast_in_dim(wide, dims).reshape(joined)
    }

    /// The whole tensor again and again: `counts` times along each axis, aligned at the last one; new
    /// axes in front where there are more counts than axes.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).tile(&[2]).to_vec::<i32>()?, [1, 2, 1, 2]);
    /// assert_eq!(Tensor::from([1, 2]).tile(&[3, 1]).shape(), [3, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for what cannot be addressed.
    tile(x, counts: &[usize]) -> Tensor {
        let rank = x.rank().max(counts.len());
        let (lead, skip) = (rank - x.rank(), rank - counts.len());
        // Each axis becomes a repeated one and itself.
        let mut wide: Vec<usize> = Vec::new();
        let mut joined: Vec<usize> = Vec::new();
        for a in 0..rank {
            let count = if a < skip { 1 } else { counts[a - skip] };
            let extent = if a < lead { 1 } else { x.shape()[a - lead] };
            wide.extend([count, extent]);
            // A product that overflows is refused by the type rule of the broadcast.
            joined.push(count.saturating_mul(extent));
        }
        let dims = (0..x.rank()).map(|a| 2 * (a + lead) + 1).collect();
        x.broadcast_in_dim(&wide[..], dims).reshape(&joined[..])
    }

    /// Turned by `k` quarters in the plane of the first two axes, from the first towards the second.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.rot90(1).to_vec::<i32>()?, [2, 4, 1, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes (unless `k` is a multiple of 4).
    rot90(x, k: i32) -> Tensor {
        match k.rem_euclid(4) {
            0 => x.clone(),
            1 => x.flip(&[1]).swap_axes(0, 1),
            2 => x.flip(&[0, 1]),
            _ => x.swap_axes(0, 1).flip(&[1]),
        }
    }

    /// Parts along an axis that end at the given positions, and the rest: one part more than positions.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let [a, b] = &Tensor::from([1, 2, 3]).split_at(&[1], 0)[..] else { unreachable!() };
    /// assert_eq!(a.to_vec::<i32>()?, [1]);
    /// assert_eq!(b.to_vec::<i32>()?, [2, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all parts: `AxisOutOfRange` for an axis that the tensor does not have. By a part:
    /// `InvalidArgument` for positions beyond the axis, or that do not increase.
    split_at(x, positions: &[usize], axis: impl AxisNumber) -> Vec<Tensor> {
        let axis = axis.number();
        let at = match x.axis("split_at", axis, Place::here()) {
            Ok(axis) => axis,
            Err(error) => return vec![error; positions.len() + 1],
        };
        let n = x.shape()[at];
        let starts = [0].into_iter().chain(positions.iter().copied());
        let ends = positions.iter().copied().chain([n]);
        starts.zip(ends).map(|(start, end)| x.slice_axis(axis, start, end)).collect()
    }

    /// `count` parts along an axis, at most one an entry; the first ones are longer by one where it
    /// does not divide evenly.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let [a, b] = &Tensor::from([1, 2, 3]).split(2, 0)[..] else { unreachable!() };
    /// assert_eq!(a.to_vec::<i32>()?, [1, 2]);
    /// assert_eq!(b.to_vec::<i32>()?, [3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all parts (of which there may be fewer): `AxisOutOfRange` for an axis that the tensor
    /// does not have; `InvalidArgument` for a `count` of 0, or more parts than entries.
    split(x, count: usize, axis: impl AxisNumber) -> Vec<Tensor> {
        let axis = axis.number();
        /// Who asks for more parts gets no more errors than this.
        const ERRORS: usize = 1 << 12;
        let failed = |error: Tensor| vec![error; count.clamp(1, ERRORS)];
        let at = match x.axis("split", axis, Place::here()) {
            Ok(axis) => axis,
            Err(error) => return failed(error),
        };
        let n = x.shape()[at];
        if count == 0 || count > n.max(1) {
            let message = format!("{n} entries along axis {at} in {count} parts");
            let kind = ErrorKind::InvalidArgument(message);
            return failed(Tensor::fail("split", kind, Place::here(), x));
        }
        let ends = (1..count).map(|i| i * (n / count) + i.min(n % count));
        x.split_at(&ends.collect::<Vec<_>>(), axis)
    }

    /// The entries along an axis, without it. As many as a pattern names: [`Tensor::unstack_array`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let rows = Tensor::from([[1, 2], [3, 4]]).unstack(0);
    /// assert_eq!(rows.len(), 2);
    /// assert_eq!(rows[1].to_vec::<i32>()?, [3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// A single tensor carries: `AxisOutOfRange` for an axis that the tensor does not have.
    unstack(x, axis: impl AxisNumber) -> Vec<Tensor> {
        let axis = axis.number();
        let at = match x.axis("unstack", axis, Place::here()) {
            Ok(axis) => axis,
            Err(error) => return vec![error],
        };
        (0..x.shape()[at]).map(|i| x.slice_axis(axis, i, i + 1).squeeze(axis)).collect()
    }

    /// Continued beyond its edges by what is inside, as [`PadMode`] says: `amounts` of new elements
    /// before and after, one pair an axis.
    ///
    /// ```
    /// # use unloop_graph::{PadMode, Tensor};
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.pad_mode(&[(1, 1)], PadMode::Reflect).to_vec::<i32>()?, [2, 1, 2, 3, 2]);
    /// assert_eq!(x.pad_mode(&[(1, 1)], PadMode::Wrap).to_vec::<i32>()?, [3, 1, 2, 3, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one pair an axis, and elements along those that grow;
    /// `SizeOverflow` for what cannot be addressed.
    pad_mode(x, amounts: &[(usize, usize)], mode: PadMode) -> Tensor {
        let fits = amounts.len() == x.rank()
            && amounts.iter().zip(x.shape()).all(|(&(a, b), &n)| n > 0 || (a, b) == (0, 0));
        if !fits {
            let message = format!("{amounts:?} around shape {}", Shape::from(x.shape()));
            let kind = ErrorKind::InvalidArgument(message);
            return Tensor::fail("pad_mode", kind, Place::here(), x);
        }
        let total = |(&(before, after), &n): (&(usize, usize), &usize)| n.saturating_add(before).saturating_add(after);
        let whole: Shape = amounts.iter().zip(x.shape()).map(total).collect();
        // Positions are i64.
        if let Err(kind) = whole.checked_size(DType::I64) {
            return Tensor::fail("pad_mode", kind, Place::here(), x);
        }
        let mut result = x.clone();
        for (axis, &(before, after)) in amounts.iter().enumerate() {
            if (before, after) != (0, 0) {
                let at = Tensor::iota(DType::I64, whole[axis], 0) - Tensor::from(extent(before));
                let sources = mode.source(&at, extent(x.shape()[axis]));
                result = result.take(&sources, axis as isize);
            }
        }
        result
    }
}

composed! {
    //! # Triangles, diagonals, structured matrices
    //! Matrices are the trailing two axes; what is before them is a stack.
    /// The lower triangle of the trailing two axes, up to the diagonal `k` (0 is the main one, 1 the
    /// one above it); zeros elsewhere. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.tril(0).to_vec::<i32>()?, [1, 0, 3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes.
    tril(x, k: i64) -> Tensor {
        let [.., m, n] = *x.shape() else { return x.mt() };
        x.below([m, n], k).select(x, &x.zeros_like())
    }

    /// The upper triangle of the trailing two axes, from the diagonal `k` (0 is the main one, 1 the one
    /// above it); zeros elsewhere. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.triu(0).to_vec::<i32>()?, [1, 2, 0, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes.
    triu(x, k: i64) -> Tensor {
        let [.., m, n] = *x.shape() else { return x.mt() };
        x.below([m, n], k.saturating_sub(1)).select(&x.zeros_like(), x)
    }

    /// The diagonal `k` of the trailing two axes (0 is the main one, 1 the one above it), as one axis
    /// in their place; empty beyond the corners.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.diagonal(0).to_vec::<i32>()?, [1, 4]);
    /// assert_eq!(x.diagonal(1).to_vec::<i32>()?, [2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes.
    diagonal(x, k: i64) -> Tensor {
        let [.., m, n] = *x.shape() else { return x.mt() };
        let shift = usize::try_from(k.unsigned_abs()).unwrap_or(usize::MAX);
        let (row, column) = if k < 0 { (shift, 0) } else { (0, shift) };
        let length = m.saturating_sub(row).min(n.saturating_sub(column));
        // The elements `row·n + column`, and every `n + 1`-th after it.
        let lead = &x.shape()[..x.rank() - 2];
        let flat = x.reshape(Shape::from(lead).concat(&[m * n]));
        let at = |i: usize| (row * n + column + i * (n + 1)) as i64;
        flat.take(&Tensor::from((0..length).map(at).collect::<Vec<_>>()), -1)
    }

    /// The square matrix with a vector on the diagonal `k`, zeros elsewhere: of size `n`, `[n + |k|, n
    /// + |k|]`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).diag(0).to_vec::<i32>()?, [1, 0, 0, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless it is a vector; `SizeOverflow` for what cannot be addressed.
    diag(x, k: i64) -> Tensor {
        let [n] = *x.shape() else {
            let shape = x.shape().into();
            let kind = ErrorKind::WrongRank { expected: "a vector", shape };
            return Tensor::fail("diag", kind, Place::here(), x);
        };
        let shift = usize::try_from(k.unsigned_abs()).unwrap_or(usize::MAX);
        let rows = x.broadcast_in_dim((n, n), [1].into_iter().collect());
        let square = Tensor::eye(DType::Bool, n).select(&rows, &rows.zeros_like());
        let amounts = match k >= 0 {
            true => [(0, shift), (shift, 0)],
            false => [(shift, 0), (0, shift)],
        };
        square.pad(&amounts, &Tensor::zeros(x.dtype(), ()))
    }

    /// The sum of the diagonal of the trailing two axes, which disappear.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.trace().item::<i32>()?, 5);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` of fewer than two axes; `UnsupportedDType` of bool.
    trace(x) -> Tensor { x.diagonal(0).sum_axis(-1) }

    /// Kronecker's product: every element of `x` times the whole of `y`. Extents multiply; missing axes
    /// of the one of lower rank, in front, have size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 10]).kron(&Tensor::from([1, 2]));
    /// assert_eq!(x.to_vec::<i32>()?, [1, 2, 10, 20]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool; `SizeOverflow` for
    /// what cannot be addressed.
    kron(x, y: &Tensor) -> Tensor {
        let rank = x.rank().max(y.rank());
        let padded = |x: &Tensor| {
            let lead = vec![1; rank - x.rank()];
            x.reshape(Shape::from(&lead[..]).concat(x.shape()))
        };
        let (a, b) = (padded(x), padded(y));
        let (mut wide, mut joined) = (Vec::new(), Vec::new());
        for (m, n) in a.shape().iter().zip(b.shape()) {
            wide.extend([*m, *n]);
            joined.push(m.saturating_mul(*n));
        }
        let along = |x: &Tensor, first: usize| {
            x.broadcast_in_dim(&wide[..], (0..rank).map(|a| 2 * a + first).collect())
        };
        (along(&a, 0) * along(&b, 1)).reshape(&joined[..])
    }

    /// Vandermonde's matrix `[n, count]` of a vector of size `n`: its powers as columns, `count` of
    /// them, the highest first, down to `x⁰`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([2, 3]).vander(3).to_vec::<i32>()?, [4, 2, 1, 9, 3, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless it is a vector; `UnsupportedDType` of bool.
    vander(x, count: usize) -> Tensor {
        let [n] = *x.shape() else {
            let shape = x.shape().into();
            let kind = ErrorKind::WrongRank { expected: "a vector", shape };
            return Tensor::fail("vander", kind, Place::here(), x);
        };
        let shape = Shape::from((n, count));
        let exponents = Tensor::iota(DType::I64, count, 0).flip(&[0]);
        let column = |x: &Tensor| x.broadcast_in_dim(&shape, [0].into_iter().collect());
        // By repeated squaring, of all columns at once.
        let mut powers = Tensor::ones(x.dtype(), &shape);
        let (mut square, one) = (x.clone(), powers.clone());
        for bit in 0..count.saturating_sub(1).checked_ilog2().map_or(0, |highest| highest + 1) {
            if bit > 0 {
                square = square.square();
            }
            let digit = exponents.shift_right(&Tensor::from(i64::from(bit))) & Tensor::from(1i64);
            let is_set = digit.cast(DType::Bool).broadcast_in_dim(&shape, [1].into_iter().collect());
            powers *= is_set.select(&column(&square), &one);
        }
        powers
    }
}
