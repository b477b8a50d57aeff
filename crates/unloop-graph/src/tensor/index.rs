//! Indexing: `x.at((i, .., 1..4))` reads, `x.set(index, v)` and `x.add_at(index, v)` return new
//! tensors. Every dimension is indexed, so the shape of the result can be read off the expression.

use smallvec::SmallVec;

use super::index_arg::{AtIndex, IndexArg};
use super::operand::{Given, Operand, typed};
use crate::error::{ErrorKind, Place, operation};
use crate::op::{
    Gather, GatherDims, IndexMode, Pad, PadAxis, Scatter, ScatterDims, ScatterOp, require_index,
};
use crate::trace::{Index, Mapped, beside};
use crate::{Axes, DType, Number, Op, Result, Scalar, Shape, Tensor};

/// What an index out of bounds does, before the fill is typed.
#[derive(Clone, Copy)]
enum Outside {
    Error,
    Clip,
    Fill(f64),
}

/// The first computed index that carries an error.
fn failed_index(args: &[IndexArg]) -> Option<Tensor> {
    args.iter().find_map(|arg| match arg {
        IndexArg::Computed(index) => index.as_error().map(|_| index.clone()),
        IndexArg::Position(_) | IndexArg::Range { .. } | IndexArg::Loop(_) => None,
    })
}

/// Whether an index reads or writes.
#[derive(Clone, Copy)]
enum Access<'a> {
    Read,
    /// By the method of this name.
    Write(&'a str),
}

impl Access<'_> {
    /// Why two indices may not be tensors with axes, and the way out; they stand at the given axes.
    fn refuse_pairs(self, shape: &[usize], axes: &[usize]) -> ErrorKind {
        let way_out = match (self, axes) {
            (Access::Read, _) => {
                "for pairs of positions say each(|[k]| x.at((i.at(k), j.at(k)))), for all \
                 combinations take one axis after the other, x.at((&i, ..)).at((.., &j))"
                    .to_string()
            }
            (Access::Write(op), &[first, second]) if second == first + 1 => {
                let mut merged = shape.to_vec();
                let size = merged.remove(second);
                merged[first] *= size;
                let mut index = vec![".."; merged.len()];
                let numbers = format!("&i * {size} + &j");
                index[first] = &numbers;
                let index = match &index[..] {
                    [one] => one.to_string(),
                    all => format!("({})", all.join(", ")),
                };
                format!(
                    "for pairs of positions number them, \
                     x.reshape({merged:?}).{op}({index}, v).reshape({shape:?})"
                )
            }
            (Access::Write(op), _) => format!(
                "for pairs of positions make one axis of the two, by .move_axis and .reshape, and \
                 number them: .{op}(&i * size + &j, v), with the size of the second axis"
            ),
        };
        ErrorKind::InvalidArgument(format!(
            "at most one index may be a tensor with axes, as it is a puzzle which axes of two would go \
             together: {way_out}"
        ))
    }
}

/// An index, axis by axis, split into what is known and what is computed.
struct Plan {
    /// The known window: start, limit, step an axis; whole for computed axes.
    window: Vec<(usize, usize, usize)>,
    /// Axes with one known position, which disappear.
    dropped: Axes,
    /// Axes with computed positions, in order.
    computed: Vec<(usize, Tensor)>,
    /// Axes with an index of `each`.
    loops: Vec<(usize, Index)>,
}

impl Plan {
    fn new(
        shape: &[usize],
        args: SmallVec<[IndexArg; 4]>,
        outside: Outside,
        access: Access<'_>,
    ) -> Result<Plan, ErrorKind> {
        if args.len() != shape.len() {
            return Err(ErrorKind::IndexCount { given: args.len(), shape: shape.into() });
        }
        let mut plan = Plan {
            window: shape.iter().map(|&d| (0, d, 1)).collect(),
            dropped: Axes::new(),
            computed: Vec::new(),
            loops: Vec::new(),
        };
        for (axis, (arg, &size)) in args.into_iter().zip(shape).enumerate() {
            match arg {
                IndexArg::Position(index) => {
                    let at = if index < 0 { index.saturating_add(size as i64) } else { index };
                    let at = match (outside, usize::try_from(at)) {
                        (_, Ok(at)) if at < size => at,
                        (Outside::Clip, _) if size > 0 => at.clamp(0, size as i64 - 1) as usize,
                        (Outside::Fill(_), _) => {
                            plan.computed.push((axis, Tensor::from(at)));
                            continue;
                        }
                        (Outside::Clip, _) => {
                            return Err(ErrorKind::InvalidArgument(format!(
                                "axis {axis} of shape {} is empty: no position is the nearest; \
                                 .at_or(fill) takes a value instead",
                                Shape::from(shape)
                            )));
                        }
                        _ => return Err(ErrorKind::IndexOutOfBounds { index, axis, size }),
                    };
                    plan.window[axis] = (at, at + 1, 1);
                    plan.dropped.push(axis);
                }
                IndexArg::Range { start, end, step } => {
                    let bound = |b: Option<i64>, default: usize| match b {
                        None => Ok(default),
                        Some(b) => {
                            let at = if b < 0 { b.saturating_add(size as i64) } else { b };
                            match (outside, usize::try_from(at)) {
                                (_, Ok(at)) if at <= size => Ok(at),
                                (Outside::Clip, _) => Ok(at.clamp(0, size as i64) as usize),
                                (Outside::Fill(_), _) => Err(ErrorKind::InvalidArgument(format!(
                                    "the range ends at {b}, beyond axis {axis} of size {size}; \
                                     only positions may lie outside, .pad adds elements around"
                                ))),
                                _ => Err(ErrorKind::IndexOutOfBounds { index: b, axis, size }),
                            }
                        }
                    };
                    let (from, to) = (bound(start, 0)?, bound(end, size)?);
                    if step == 0 || from > to {
                        return Err(ErrorKind::InvalidArgument(format!(
                            "range {from}..{to} in steps of {step} along axis {axis} of shape {}; \
                             ranges run upwards, .flip reverses",
                            Shape::from(shape)
                        )));
                    }
                    plan.window[axis] = (from, to, step);
                }
                IndexArg::Computed(index) => {
                    require_index(index.dtype())?;
                    plan.computed.push((axis, index));
                }
                IndexArg::Loop(index) => plan.loops.push((axis, index)),
            }
        }
        let with_axes = plan.computed.iter().filter(|(_, t)| t.rank() > 0);
        let with_axes: Axes = with_axes.map(|(axis, _)| *axis).collect();
        if with_axes.len() > 1 {
            return Err(access.refuse_pairs(shape, &with_axes));
        }
        Ok(plan)
    }

    /// The known window of `x`, with the dropped axes still there.
    #[track_caller]
    fn slice(&self, x: &Tensor) -> Tensor {
        let part = |f: fn(&(usize, usize, usize)) -> usize| -> Axes {
            self.window.iter().map(f).collect()
        };
        x.slice(&part(|w| w.0), &part(|w| w.1), &part(|w| w.2))
    }

    /// The extents of the known window.
    fn extents(&self) -> Shape {
        self.window.iter().map(|&(start, limit, step)| (limit - start).div_ceil(step)).collect()
    }

    /// An axis's number once dropped axes are gone.
    fn kept(&self, axis: usize) -> usize {
        axis - self.dropped.iter().filter(|&&d| d < axis).count()
    }

    /// Indices of `each` used as computed positions.
    fn loops_as_numbers(&mut self, shape: &[usize], place: Place) -> Result<()> {
        for (axis, index) in std::mem::take(&mut self.loops) {
            index.unify(shape, axis, place)?;
            self.computed.push((axis, index.resolve(place)?.number().clone()));
        }
        self.computed.sort_by_key(|(axis, _)| *axis);
        Ok(())
    }
}

/// Lets the axes that indices of `each` run over be mapped by their loops, outermost loop first;
/// what cannot be mapped becomes a computed position. Axes are those of `x` as given.
fn map_loops(
    mut x: Tensor,
    loops: Vec<(usize, Index)>,
    computed: &mut Vec<(usize, Tensor)>,
    place: Place,
) -> Result<Tensor> {
    let mut pending = Vec::new();
    for (axis, index) in loops {
        index.unify(x.shape(), axis, place)?;
        pending.push((axis, index.resolve(place)?));
    }
    pending.sort_by_key(|(_, index)| index.depth());
    while let Some((_, first)) = pending.first() {
        let (first, depth) = (first.clone(), first.depth());
        let split = pending.partition_point(|(_, index)| index.depth() == depth);
        let rest = pending.split_off(split);
        let (mut mapped, outside) = (Mapped::new(), first.is_outside(&x));
        for (axis, index) in pending {
            // An index that stands twice maps one axis; the other is gathered.
            match outside && mapped.iter().all(|&(_, p)| p != index.position()) {
                true => mapped.push((axis, index.position())),
                false => computed.push((axis, index.number().clone())),
            }
        }
        pending = rest;
        if !mapped.is_empty() {
            x = first.map(&x, mapped.clone(), place)?;
            let shift = |axis: usize| axis - mapped.iter().filter(|(a, _)| *a < axis).count();
            pending.iter_mut().for_each(|(axis, _)| *axis = shift(*axis));
            computed.iter_mut().for_each(|(axis, _)| *axis = shift(*axis));
        }
    }
    computed.sort_by_key(|(axis, _)| *axis);
    Ok(x)
}

/// The index vectors of several computed axes, and how windows lie in the result.
struct Computed {
    indices: Tensor,
    axes: Axes,
    offset_dims: Axes,
}

impl Computed {
    #[track_caller]
    fn new(rank: usize, computed: &[(usize, Tensor)]) -> Computed {
        let wide = computed.iter().find(|(_, t)| t.rank() > 0);
        let shape = wide.map_or(Shape::scalar(), |(_, t)| t.shape().into());
        let mut dtypes = computed.iter().map(|(_, t)| t.dtype());
        let first = dtypes.next().unwrap_or(DType::I64);
        let dtype = if dtypes.all(|dtype| dtype == first) { first } else { DType::I64 };
        let columns: Vec<Tensor> = computed
            .iter()
            .map(|(_, t)| t.cast(dtype).broadcast_to(&shape).expand_dims(-1))
            .collect();
        let indices = Tensor::concatenate(&columns.iter().collect::<Vec<_>>(), -1);
        let axes: Axes = computed.iter().map(|(axis, _)| *axis).collect();
        // The index's shape stands where its axis stood.
        let before = wide.map_or(0, |(axis, _)| (0..*axis).filter(|a| !axes.contains(a)).count());
        let offset_dims =
            (0..rank - axes.len()).map(|w| if w < before { w } else { w + shape.rank() }).collect();
        Computed { indices, axes, offset_dims }
    }

    #[track_caller]
    fn gather(&self, x: &Tensor, mode: IndexMode) -> Tensor {
        // An empty axis has no position to read.
        let is_empty = self.axes.iter().any(|&axis| x.shape()[axis] == 0);
        if let (true, IndexMode::Fill(fill)) = (is_empty, mode) {
            let mut windows = (0..x.rank()).filter(|a| !self.axes.contains(a));
            let mut free = self.indices.shape()[..self.indices.rank() - 1].iter();
            let rank = x.rank() - self.axes.len() + self.indices.rank() - 1;
            let extent = |at| match self.offset_dims.contains(&at) {
                true => windows.next().map_or(1, |axis| x.shape()[axis]),
                false => *free.next().unwrap_or(&1),
            };
            return Tensor::full_of((0..rank).map(extent).collect::<Shape>(), fill);
        }
        let size = |axis| if self.axes.contains(&axis) { 1 } else { x.shape()[axis] };
        let gather = Gather {
            dims: GatherDims {
                offset_dims: self.offset_dims.clone(),
                collapsed_slice_dims: self.axes.clone(),
                start_index_map: self.axes.clone(),
                ..GatherDims::default()
            },
            slice_sizes: (0..x.rank()).map(size).collect(),
            mode,
        };
        Tensor::apply1(Op::Gather(gather), &[x, &self.indices])
    }

    #[track_caller]
    fn scatter(&self, x: &Tensor, updates: &Tensor, op: ScatterOp) -> Tensor {
        let scatter = Scatter {
            dims: ScatterDims {
                update_window_dims: self.offset_dims.clone(),
                inserted_window_dims: self.axes.clone(),
                scatter_dims_to_operand_dims: self.axes.clone(),
                ..ScatterDims::default()
            },
            op,
            mode: IndexMode::Error,
        };
        Tensor::apply1(Op::Scatter(scatter), &[x, &self.indices, updates])
    }
}

/// # Indexing
/// One index a dimension: a position, a range, `..`, computed positions. Tensors do not change: `set`
/// and its kin return new ones. Of any dtype, which stays.
impl Tensor {
    /// The part at an index, which has one entry a dimension: a position (negative counts from the
    /// end), a range, `..` for a whole dimension, an index of `each`, or computed positions (any number
    /// of scalars and at most one integer tensor with axes, whose shape then stands in the place of the
    /// dimension). Dimensions with one position disappear. Computed positions count from 0.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.at((1, ..)).to_vec::<i32>()?, [4, 5, 6]);
    /// assert_eq!(x.at((.., -1)).to_vec::<i32>()?, [3, 6]);
    /// let order = Tensor::from([2, 0]);
    /// assert_eq!(x.at((0, &order)).to_vec::<i32>()?, [3, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexOutOfBounds` for a position out of bounds, known or computed
    /// ([`Tensor::at_clipped`] and [`Tensor::at_or`] do something else); `IndexCount` unless there is
    /// one entry a dimension; `IndexDType` for computed positions that are not integers;
    /// `InvalidArgument` for a range that runs backwards, or a second index with axes.
    #[track_caller]
    pub fn at(&self, index: impl AtIndex) -> Tensor {
        operation("at", || self.read("at", index.into_args(), Outside::Error))
    }

    /// Like [`Tensor::at`]; positions and ranges out of bounds are moved inside.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.at_clipped(7).item::<i32>()?, 3);
    /// assert_eq!(x.at_clipped(1..9).to_vec::<i32>()?, [2, 3]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexCount` unless there is one entry a dimension; `IndexDType` for computed positions
    /// that are not integers; `InvalidArgument` for a range that runs backwards, or a second index with
    /// axes, or a position in a dimension without elements.
    #[track_caller]
    pub fn at_clipped(&self, index: impl AtIndex) -> Tensor {
        operation("at_clipped", || self.read("at_clipped", index.into_args(), Outside::Clip))
    }

    /// Like [`Tensor::at`]; positions out of bounds give `fill`, in the tensor's dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// let at = Tensor::from([0, 9]);
    /// assert_eq!(x.at_or(&at, -1.0).to_vec::<i32>()?, [1, -1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `IndexCount` unless there is one entry a dimension; `IndexDType` for computed positions
    /// that are not integers; `InvalidArgument` for a range that runs backwards or leaves its
    /// dimension, or a second index with axes.
    #[track_caller]
    pub fn at_or(&self, index: impl AtIndex, fill: f64) -> Tensor {
        operation("at_or", || self.read("at_or", index.into_args(), Outside::Fill(fill)))
    }

    #[track_caller]
    fn read(&self, op: &'static str, args: SmallVec<[IndexArg; 4]>, outside: Outside) -> Tensor {
        let place = Place::here();
        if self.as_error().is_some() {
            return self.clone();
        }
        if let Some(error) = failed_index(&args) {
            return error;
        }
        let mut plan = match Plan::new(self.shape(), args, outside, Access::Read) {
            Ok(plan) => plan,
            Err(kind) => return Tensor::fail(op, kind, place, self),
        };
        place.scope(|| {
            let sliced = plan.slice(self);
            let kept = |axis| !plan.dropped.contains(&axis);
            let shape = (0..self.rank()).filter(|&a| kept(a)).map(|a| sliced.shape()[a]);
            let sliced = match plan.dropped.is_empty() {
                true => sliced,
                false => sliced.reshape(shape.collect::<Shape>()),
            };
            let mut loops = std::mem::take(&mut plan.loops);
            let mut computed = std::mem::take(&mut plan.computed);
            let renumber = |axis: &mut usize| *axis = plan.kept(*axis);
            loops.iter_mut().for_each(|(axis, _)| renumber(axis));
            computed.iter_mut().for_each(|(axis, _)| renumber(axis));
            let x = match map_loops(sliced, loops, &mut computed, place) {
                Ok(x) => x,
                Err(error) => return Tensor::error_like(error, self.ty()),
            };
            if computed.is_empty() || x.as_error().is_some() {
                return x;
            }
            let mode = match outside {
                Outside::Error => IndexMode::Error,
                Outside::Clip => IndexMode::Clip,
                Outside::Fill(v) => IndexMode::Fill(Scalar::new(x.dtype(), Number::Float(v))),
            };
            Computed::new(x.rank(), &computed).gather(&x, mode)
        })
    }

    /// A new tensor with the part at an index (see [`Tensor::at`]) replaced by `value`, which has the
    /// part's shape or is a scalar or a number. Where computed positions repeat, the last one counts.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]).set(1..3, &Tensor::from([7, 8])).add_at(0, 5);
    /// assert_eq!(x.to_vec::<i32>()?, [6, 7, 8]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: as of [`Tensor::at`]; `ShapeMismatch` unless `value` has the part's shape, is a scalar,
    /// or `value.broadcast()` repeats to it; `DTypeMismatch` for another dtype.
    #[track_caller]
    pub fn set(&self, index: impl AtIndex, value: impl Operand) -> Tensor {
        operation("set", || self.write("set", index.into_args(), value.given(), ScatterOp::Set))
    }

    /// A new tensor with `value` added to the part at an index (see [`Tensor::at`]). Where computed
    /// positions repeat, all are added.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let at = Tensor::from([0, 2, 0]);
    /// let x = Tensor::from([0, 0, 0]).add_at(&at, Tensor::from([1, 2, 3]));
    /// assert_eq!(x.to_vec::<i32>()?, [4, 0, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// Pairs of positions are numbered, row by row:
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// // How often each pair of a row and a column is there.
    /// let (i, j) = (Tensor::from([0, 1, 1]), Tensor::from([2, 0, 0]));
    /// let counts = Tensor::zeros(DType::I32, 2 * 3).add_at(&i * 3 + &j, 1).reshape([2, 3]);
    /// assert_eq!(counts.to_vec::<i32>()?, [0, 0, 1, 2, 0, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: as of [`Tensor::at`]; `ShapeMismatch` unless `value` has the part's shape, is a scalar,
    /// or `value.broadcast()` repeats to it; `DTypeMismatch` for another dtype; `UnsupportedDType` of
    /// bool.
    #[track_caller]
    pub fn add_at(&self, index: impl AtIndex, value: impl Operand) -> Tensor {
        operation("add_at", || {
            self.write("add_at", index.into_args(), value.given(), ScatterOp::Add)
        })
    }

    /// A new tensor with the part at an index (see [`Tensor::at`]) multiplied by `value`. Where
    /// computed positions repeat, all are multiplied.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2, 3]).mul_at(1.., 10);
    /// assert_eq!(x.to_vec::<i32>()?, [1, 20, 30]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: as of [`Tensor::at`]; `ShapeMismatch` unless `value` has the part's shape, is a scalar,
    /// or `value.broadcast()` repeats to it; `DTypeMismatch` for another dtype; `UnsupportedDType` of
    /// bool.
    #[track_caller]
    pub fn mul_at(&self, index: impl AtIndex, value: impl Operand) -> Tensor {
        operation("mul_at", || {
            self.write("mul_at", index.into_args(), value.given(), ScatterOp::Mul)
        })
    }

    /// A new tensor with the smaller of `value` and the part at an index (see [`Tensor::at`]), element
    /// by element.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 5, 9]).min_at(1.., 6);
    /// assert_eq!(x.to_vec::<i32>()?, [1, 5, 6]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: as of [`Tensor::at`]; `ShapeMismatch` unless `value` has the part's shape, is a scalar,
    /// or `value.broadcast()` repeats to it; `DTypeMismatch` for another dtype.
    #[track_caller]
    pub fn min_at(&self, index: impl AtIndex, value: impl Operand) -> Tensor {
        operation("min_at", || {
            self.write("min_at", index.into_args(), value.given(), ScatterOp::Min)
        })
    }

    /// A new tensor with the larger of `value` and the part at an index (see [`Tensor::at`]), element
    /// by element.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 5, 9]).max_at(..2, 3);
    /// assert_eq!(x.to_vec::<i32>()?, [3, 5, 9]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: as of [`Tensor::at`]; `ShapeMismatch` unless `value` has the part's shape, is a scalar,
    /// or `value.broadcast()` repeats to it; `DTypeMismatch` for another dtype.
    #[track_caller]
    pub fn max_at(&self, index: impl AtIndex, value: impl Operand) -> Tensor {
        operation("max_at", || {
            self.write("max_at", index.into_args(), value.given(), ScatterOp::Max)
        })
    }

    #[track_caller]
    fn write(
        &self,
        op: &'static str,
        args: SmallVec<[IndexArg; 4]>,
        value: Given<'_>,
        how: ScatterOp,
    ) -> Tensor {
        let place = Place::here();
        let is_wide = value.is_broadcast();
        let [_, value] = &typed([Given::Tensor(self), value]);
        if let Some(error) = [self, &**value].into_iter().find(|t| t.as_error().is_some()) {
            return error.clone();
        }
        if let Some(error) = failed_index(&args) {
            return error;
        }
        if value.dtype() != self.dtype() {
            let kind = ErrorKind::DTypeMismatch { left: self.dtype(), right: value.dtype() };
            return Tensor::fail(op, kind, place, self);
        }
        let mut plan = match Plan::new(self.shape(), args, Outside::Error, Access::Write(op)) {
            Ok(plan) => plan,
            Err(kind) => return Tensor::fail(op, kind, place, self),
        };
        if let Err(error) = plan.loops_as_numbers(self.shape(), place) {
            return Tensor::error_like(error, self.ty());
        }
        place.scope(|| {
            // Computed positions pick whole windows of the other axes; the known part is then
            // written into those.
            let computed =
                (!plan.computed.is_empty()).then(|| Computed::new(self.rank(), &plan.computed));
            let extents = plan.extents();
            let (known, region): (Vec<_>, Shape) = match &computed {
                None => ((0..self.rank()).collect(), extents),
                Some(c) => {
                    let known: Vec<usize> =
                        (0..self.rank()).filter(|a| !c.axes.contains(a)).collect();
                    let index_shape = &c.indices.shape()[..c.indices.rank() - 1];
                    let rank = known.len() + index_shape.len();
                    let mut free = index_shape.iter();
                    let mut windows = known.iter();
                    let region = (0..rank).map(|at| match c.offset_dims.contains(&at) {
                        true => windows.next().map_or(1, |&axis| extents[axis]),
                        false => *free.next().unwrap_or(&1),
                    });
                    let region = region.collect();
                    (known, region)
                }
            };
            let offsets: Axes = match &computed {
                None => (0..self.rank()).collect(),
                Some(c) => c.offset_dims.clone(),
            };
            // The value's shape lacks the axes with one known position.
            let gone: Vec<usize> = known
                .iter()
                .zip(&offsets)
                .filter(|(axis, _)| plan.dropped.contains(axis))
                .map(|(_, &at)| at)
                .collect();
            let visible: Shape =
                (0..region.rank()).filter(|a| !gone.contains(a)).map(|a| region[a]).collect();
            let right = Shape::from(value.shape());
            let repeats = is_wide && visible.broadcast(&right).as_ref() == Some(&visible);
            if right != visible && right.rank() != 0 && !repeats {
                let kind = ErrorKind::ShapeMismatch { left: visible, right };
                return Tensor::fail(op, kind, place, self);
            }
            let value = value.broadcast_to(&visible).reshape(&region);
            let whole = known.iter().all(|&a| plan.window[a] == (0, self.shape()[a], 1));
            // What is written where the known part does not reach changes nothing.
            let base = || match (&computed, how) {
                (Some(c), ScatterOp::Mul) => c.gather(self, IndexMode::Error).ones_like(),
                (None, ScatterOp::Mul) => self.ones_like(),
                (Some(c), _) => c.gather(self, IndexMode::Error),
                (None, _) => self.clone(),
            };
            let mut pad: SmallVec<[PadAxis; 4]> =
                SmallVec::from_elem(PadAxis::default(), region.rank());
            for (&axis, &at) in known.iter().zip(&offsets) {
                let (start, _, step) = plan.window[axis];
                let count = region[at];
                let covered = if count == 0 { 0 } else { (count - 1) * step + 1 };
                let high = (self.shape()[axis] - start - covered) as i64;
                pad[at] = PadAxis { low: start as i64, high, interior: step - 1 };
            }
            let padded = value.pad_zeros(Pad(pad.clone()));
            let updates = match how {
                _ if whole => padded,
                ScatterOp::Add => padded,
                _ => {
                    // Recorded as what it is, so that a kernel of a part knows it.
                    let mask = || Tensor::ones(DType::Bool, &region).pad_zeros(Pad(pad));
                    beside(&padded, mask).select(&padded, &base())
                }
            };
            match (&computed, how) {
                (Some(c), _) => c.scatter(self, &updates, how),
                (None, ScatterOp::Set) => updates,
                (None, ScatterOp::Add) => self + updates,
                (None, ScatterOp::Mul) => self * updates,
                (None, ScatterOp::Min) => self.minimum(&updates),
                (None, ScatterOp::Max) => self.maximum(&updates),
            }
        })
    }
}
