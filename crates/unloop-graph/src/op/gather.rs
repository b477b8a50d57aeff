//! Gather and scatter: windows of a tensor at computed positions, read or combined with updates.
//! The dimension numbers are XLA's, with batching dimensions, so that both are closed under vmap.
//! <https://openxla.org/xla/operation_semantics#gather>

use std::fmt;

use smallvec::SmallVec;

use super::{BinaryOp, elementwise::named_ops};
use crate::error::ErrorKind;
use crate::{Array, Axes, DType, Number, Scalar, Shape, TensorType};

/// What an index out of bounds does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IndexMode {
    /// It is an error of the run.
    Error,
    /// The window is moved inside.
    Clip,
    /// Gather reads this value for every element of the window; scatter drops the window.
    Fill(Scalar),
}

/// Which axes of operand, indices and result correspond in a [`Gather`]. The last axis of the
/// indices holds one index vector.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct GatherDims {
    /// Axes of the result that run over the window, sorted.
    pub offset_dims: Axes,
    /// Axes of the operand whose window has size 1 and that leave the result, sorted.
    pub collapsed_slice_dims: Axes,
    /// Axis of the operand that each component of an index vector counts along.
    pub start_index_map: Axes,
    /// Axes of the operand that are walked together with axes of the indices.
    pub operand_batching_dims: Axes,
    /// The axes of the indices walked together with `operand_batching_dims`.
    pub start_indices_batching_dims: Axes,
}

/// The parameters of a gather.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    /// Which axes correspond.
    pub dims: GatherDims,
    /// Extent of the window along each axis of the operand.
    pub slice_sizes: Axes,
    /// What an index out of bounds does.
    pub mode: IndexMode,
}

named_ops! {
    /// How a scatter combines what is there with an update.
    ScatterOp {
        /// The update replaces the element; of several, the last in row-major order.
        Set = "set",
        /// Sum.
        Add = "add",
        /// Product.
        Mul = "mul",
        /// The smaller.
        Min = "min",
        /// The larger.
        Max = "max",
    }
}

/// Which axes of operand, indices and updates correspond in a [`Scatter`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScatterDims {
    /// Axes of the updates that run over the window, sorted.
    pub update_window_dims: Axes,
    /// Axes of the operand whose window has size 1 and that the updates lack, sorted.
    pub inserted_window_dims: Axes,
    /// Axis of the operand that each component of an index vector counts along.
    pub scatter_dims_to_operand_dims: Axes,
    /// Axes of the operand that are walked together with axes of the indices.
    pub operand_batching_dims: Axes,
    /// The axes of the indices walked together with `operand_batching_dims`.
    pub scatter_indices_batching_dims: Axes,
}

/// The parameters of a scatter.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scatter {
    /// Which axes correspond.
    pub dims: ScatterDims,
    /// How elements are combined with updates.
    pub op: ScatterOp,
    /// What an index out of bounds does; `Fill` drops the window.
    pub mode: IndexMode,
}

fn invalid<T>(message: String) -> Result<T, ErrorKind> {
    Err(ErrorKind::InvalidArgument(message))
}

/// Indices are integers.
pub(crate) fn require_index(dtype: DType) -> Result<(), ErrorKind> {
    match dtype {
        DType::I32 | DType::I64 | DType::U32 => Ok(()),
        DType::Bool | DType::F32 | DType::F64 => Err(ErrorKind::IndexDType { dtype }),
    }
}

/// Checks what gather and scatter have in common.
fn check(
    x: &TensorType,
    indices: &TensorType,
    gone: &[usize],
    map: &[usize],
    batching: (&[usize], &[usize]),
) -> Result<(), ErrorKind> {
    require_index(indices.dtype)?;
    if indices.shape.last() != Some(&map.len()) {
        return invalid(format!(
            "indices of shape {} must end in an axis of size {}",
            indices.shape,
            map.len()
        ));
    }
    let (ours, theirs) = batching;
    let in_range = gone.iter().chain(map).chain(ours).all(|&a| a < x.rank())
        && theirs.iter().all(|&a| a + 1 < indices.rank());
    let paired = ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(&a, &b)| x.shape[a] == indices.shape[b]);
    if !in_range || !paired {
        return invalid(format!(
            "dimension numbers do not fit shapes {} and {}",
            x.shape, indices.shape
        ));
    }
    Ok(())
}

/// Where each window of an index vector starts; `None` drops or fills it.
struct Windows<'a> {
    indices: &'a Array,
    /// Axis of the operand for each component of an index vector.
    map: &'a [usize],
    batching: (&'a [usize], &'a [usize]),
    operand: &'a Shape,
    sizes: &'a [usize],
    mode: IndexMode,
}

impl Windows<'_> {
    /// The start in the operand of the window at `batch`, an index into the indices without their
    /// last axis.
    fn start(&self, batch: &[usize]) -> Result<Option<Axes>, ErrorKind> {
        let mut start: Axes = SmallVec::from_elem(0, self.operand.rank());
        for (&ours, &theirs) in self.batching.0.iter().zip(self.batching.1) {
            start[ours] = batch[theirs];
        }
        for (component, &axis) in self.map.iter().enumerate() {
            let mut at: Axes = batch.into();
            at.push(component);
            let index = self.indices.get(&at).int();
            let last = self.operand[axis] as i128 - self.sizes[axis] as i128;
            start[axis] = match self.mode {
                _ if (0..=last).contains(&index) => index as usize,
                IndexMode::Clip => index.clamp(0, last.max(0)) as usize,
                IndexMode::Fill(_) => return Ok(None),
                IndexMode::Error => {
                    return Err(ErrorKind::IndexOutOfBounds {
                        index: index as i64,
                        axis,
                        size: self.operand[axis],
                    });
                }
            };
        }
        Ok(Some(start))
    }
}

/// The axes `0..rank` that are not in `axes`.
fn others(rank: usize, axes: &[usize]) -> Axes {
    (0..rank).filter(|a| !axes.contains(a)).collect()
}

impl Gather {
    /// The axes of the operand that run over the window and stay in the result.
    pub fn window_axes(&self, rank: usize) -> Axes {
        let gone = [&self.dims.collapsed_slice_dims[..], &self.dims.operand_batching_dims].concat();
        others(rank, &gone)
    }

    pub(super) fn infer(&self, [x, indices]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
        let d = &self.dims;
        let batching = (&d.operand_batching_dims[..], &d.start_indices_batching_dims[..]);
        check(x, indices, &d.collapsed_slice_dims, &d.start_index_map, batching)?;
        let window = self.window_axes(x.rank());
        let rank = indices.rank() - 1 + window.len();
        // No position is in bounds of an empty axis, unless nothing is read.
        let reads = indices.shape.iter().rev().skip(1).all(|&n| n > 0);
        let nothing = |s: usize, n: usize| s == 1 && n == 0;
        let mut extents = self.slice_sizes.iter().zip(x.shape.iter());
        let fits = self.slice_sizes.len() == x.rank()
            && extents.clone().all(|(&s, &n)| s <= n || (nothing(s, n) && !reads))
            && window.len() == d.offset_dims.len()
            && d.offset_dims.iter().all(|&a| a < rank)
            && d.collapsed_slice_dims
                .iter()
                .chain(&d.operand_batching_dims)
                .all(|&a| self.slice_sizes[a] <= 1);
        if let (true, Some(axis)) = (reads, extents.position(|(&s, &n)| nothing(s, n))) {
            return invalid(format!(
                "axis {axis} of shape {} is empty: there is no element to read",
                x.shape
            ));
        }
        if !fits {
            return invalid(format!(
                "a window of {} does not fit shape {}",
                Shape::from(&self.slice_sizes[..]),
                x.shape
            ));
        }
        if let IndexMode::Fill(value) = self.mode
            && value.dtype() != x.dtype
        {
            return Err(ErrorKind::DTypeMismatch { left: x.dtype, right: value.dtype() });
        }
        let mut shape: Shape = std::iter::repeat_n(0, rank).collect();
        for (&axis, &at) in window.iter().zip(&d.offset_dims) {
            shape[at] = self.slice_sizes[axis];
        }
        for (i, &at) in others(rank, &d.offset_dims).iter().enumerate() {
            shape[at] = indices.shape[i];
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    pub(super) fn evaluate(
        &self,
        x: &Array,
        indices: &Array,
        ty: &TensorType,
    ) -> Result<Array, ErrorKind> {
        let windows = Windows {
            indices,
            map: &self.dims.start_index_map,
            batching: (&self.dims.operand_batching_dims, &self.dims.start_indices_batching_dims),
            operand: x.shape(),
            sizes: &self.slice_sizes,
            mode: self.mode,
        };
        let window = self.window_axes(x.shape().rank());
        let batch_axes = others(ty.rank(), &self.dims.offset_dims);
        let mut failure = None;
        let result = Array::from_fn(ty, |i| {
            let batch: Axes = batch_axes.iter().map(|&a| i[a]).collect();
            match windows.start(&batch) {
                Ok(Some(mut at)) => {
                    for (&axis, &offset) in window.iter().zip(&self.dims.offset_dims) {
                        at[axis] += i[offset];
                    }
                    x.get(&at)
                }
                Ok(None) => match self.mode {
                    IndexMode::Fill(value) => value.number(),
                    IndexMode::Error | IndexMode::Clip => Number::Int(0),
                },
                Err(kind) => {
                    failure.get_or_insert(kind);
                    Number::Int(0)
                }
            }
        });
        failure.map_or(Ok(result), Err)
    }
}

impl Scatter {
    /// The axes of the operand that run over the window and are in the updates.
    pub fn window_axes(&self, rank: usize) -> Axes {
        let gone = [&self.dims.inserted_window_dims[..], &self.dims.operand_batching_dims].concat();
        others(rank, &gone)
    }

    /// Extent of the window along each axis of the operand.
    pub fn window_sizes(&self, rank: usize, updates: &Shape) -> Axes {
        let mut sizes: Axes = SmallVec::from_elem(1, rank);
        for (&axis, &at) in self.window_axes(rank).iter().zip(&self.dims.update_window_dims) {
            sizes[axis] = updates[at];
        }
        sizes
    }

    pub(super) fn infer(
        &self,
        [x, indices, updates]: &[TensorType; 3],
    ) -> Result<TensorType, ErrorKind> {
        let d = &self.dims;
        let batching = (&d.operand_batching_dims[..], &d.scatter_indices_batching_dims[..]);
        check(x, indices, &d.inserted_window_dims, &d.scatter_dims_to_operand_dims, batching)?;
        if updates.dtype != x.dtype {
            return Err(ErrorKind::DTypeMismatch { left: x.dtype, right: updates.dtype });
        }
        if x.dtype == DType::Bool && matches!(self.op, ScatterOp::Add | ScatterOp::Mul) {
            return Err(ErrorKind::UnsupportedDType {
                dtype: x.dtype,
                expected: "integers and floats",
            });
        }
        let window = self.window_axes(x.rank());
        let rank = indices.rank() - 1 + window.len();
        let batch_axes = others(updates.rank(), &d.update_window_dims);
        let fits = updates.rank() == rank
            && window.len() == d.update_window_dims.len()
            && d.update_window_dims.iter().all(|&a| a < rank)
            && window
                .iter()
                .zip(&d.update_window_dims)
                .all(|(&a, &u)| updates.shape[u] <= x.shape[a])
            && batch_axes.iter().zip(indices.shape.iter()).all(|(&u, &n)| updates.shape[u] == n);
        if !fits {
            return Err(ErrorKind::Incompatible {
                left: x.shape.clone(),
                right: updates.shape.clone(),
                why: format!(
                    "the updates must have the shape of the indexed part (indices {})",
                    indices.shape
                ),
            });
        }
        // No position is in bounds, even if nothing is written there.
        let is_empty = |&&axis: &&usize| x.shape[axis] == 0 && !window.contains(&axis);
        if let Some(axis) = d.scatter_dims_to_operand_dims.iter().find(is_empty)
            && batch_axes.iter().all(|&u| updates.shape[u] > 0)
        {
            return invalid(format!(
                "axis {axis} of shape {} is empty: there is no element to write",
                x.shape
            ));
        }
        Ok(x.clone())
    }

    pub(super) fn evaluate(&self, operands: &[Array], ty: &TensorType) -> Result<Array, ErrorKind> {
        let [x, indices, updates] = operands else { return invalid("takes 3 operands".into()) };
        let rank = ty.rank();
        let sizes = self.window_sizes(rank, updates.shape());
        let windows = Windows {
            indices,
            map: &self.dims.scatter_dims_to_operand_dims,
            batching: (&self.dims.operand_batching_dims, &self.dims.scatter_indices_batching_dims),
            operand: &ty.shape,
            sizes: &sizes,
            mode: self.mode,
        };
        let strides = ty.shape.strides();
        let mut values = Vec::with_capacity(ty.shape.size());
        ty.shape.for_each_index(|i| values.push(x.get(i)));
        let window = self.window_axes(rank);
        let batch_axes = others(updates.shape().rank(), &self.dims.update_window_dims);
        let mut failure = None;
        updates.shape().for_each_index(|u| {
            let batch: Axes = batch_axes.iter().map(|&a| u[a]).collect();
            match windows.start(&batch) {
                Ok(Some(mut at)) => {
                    for (&axis, &offset) in window.iter().zip(&self.dims.update_window_dims) {
                        at[axis] += u[offset];
                    }
                    let flat: usize = at.iter().zip(&strides).map(|(&i, &s)| i * s as usize).sum();
                    let update = updates.get(u);
                    let sum = self.op.combine(values[flat], update, ty.dtype);
                    // Narrow at once, as the dtype's own arithmetic does.
                    values[flat] = Scalar::new(ty.dtype, sum).number();
                }
                Ok(None) => {}
                Err(kind) => {
                    failure.get_or_insert(kind);
                }
            }
        });
        let mut values = values.into_iter();
        let result = Array::from_fn(ty, |_| match values.next() {
            Some(value) => value,
            None => unreachable!("as many values as elements"),
        });
        failure.map_or(Ok(result), Err)
    }
}

impl ScatterOp {
    /// The binary operation that combines an element with an update; none if it is replaced.
    pub fn binary(self) -> Option<BinaryOp> {
        match self {
            ScatterOp::Set => None,
            ScatterOp::Add => Some(BinaryOp::Add),
            ScatterOp::Mul => Some(BinaryOp::Mul),
            ScatterOp::Min => Some(BinaryOp::Min),
            ScatterOp::Max => Some(BinaryOp::Max),
        }
    }

    fn combine(self, old: Number, update: Number, dtype: DType) -> Number {
        self.binary().map_or(update, |op| op.apply(old, update, dtype))
    }
}

impl fmt::Display for IndexMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IndexMode::Error => f.write_str("error"),
            IndexMode::Clip => f.write_str("clip"),
            IndexMode::Fill(value) => write!(f, "fill({value})"),
        }
    }
}

impl fmt::Display for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.dims;
        write!(
            f,
            "offset={:?} collapsed={:?} map={:?}",
            d.offset_dims, d.collapsed_slice_dims, d.start_index_map
        )?;
        if !d.operand_batching_dims.is_empty() {
            write!(f, " batch={:?}/{:?}", d.operand_batching_dims, d.start_indices_batching_dims)?;
        }
        write!(f, " window={:?} {}", self.slice_sizes, self.mode)
    }
}

impl fmt::Display for Scatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.dims;
        write!(
            f,
            "{} window={:?} inserted={:?} map={:?}",
            self.op.name(),
            d.update_window_dims,
            d.inserted_window_dims,
            d.scatter_dims_to_operand_dims
        )?;
        if !d.operand_batching_dims.is_empty() {
            write!(
                f,
                " batch={:?}/{:?}",
                d.operand_batching_dims, d.scatter_indices_batching_dims
            )?;
        }
        write!(f, " {}", self.mode)
    }
}
