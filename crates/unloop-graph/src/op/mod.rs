//! The closed set of operations. Each family is one file that defines its parameters, its type rule
//! and its reference evaluation; the transforms' rules stand in files of the same names in
//! `unloop-transform`. Everything else that users call is composed of these.

mod control;
mod custom;
mod decompose;
mod dot;
mod elementwise;
mod gather;
mod layout;
mod linalg;
mod reduce;
mod search;
mod sort;

use std::fmt;

use smallvec::{SmallVec, smallvec};

pub use control::{Scan, Switch, While, entry_type};
pub use custom::{
    Deferred, Derivative, DerivativeRule, Host, HostKernel, HostOp, Pullback, REVERSE_ONLY,
    WithDerivative,
};
pub use dot::DotDims;
pub use elementwise::{BinaryOp, CompareOp, UnaryOp};
pub(crate) use elementwise::{FLOATS, INTS, NUMBERS};
pub(crate) use gather::require_index;
pub use gather::{Gather, GatherDims, IndexMode, Scatter, ScatterDims, ScatterOp};
pub use layout::{Pad, PadAxis, Slice};
pub use linalg::TriangularSolve;
pub use reduce::{ArgReduceOp, ReduceOp};
pub use sort::{Sort, order};

use crate::error::ErrorKind;
use crate::{Array, Axes, DType, Scalar, Shape, TensorType, cancel, memory};

/// An operation with its static parameters. Operands and results are tensors; the comments name
/// them as `(operands) → results`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// `() → x[]`: one known scalar.
    Constant(Scalar),
    /// `() → x`: the position along `axis`, in an integer or float dtype.
    Iota {
        /// Dtype and shape of the result.
        ty: TensorType,
        /// The axis that counts.
        axis: usize,
    },
    /// `(x) → y`, elementwise.
    Unary(UnaryOp),
    /// `(x, y) → z`, elementwise, of one dtype and shape.
    Binary(BinaryOp),
    /// `(x, y) → bool`, elementwise, of one dtype and shape.
    Compare(CompareOp),
    /// `(condition, on_true, on_false) → z`, elementwise, of one shape.
    Select,
    /// `(low, x, high) → z`, elementwise: `min(max(x, low), high)`.
    Clamp,
    /// `(a, b, x) → z`, elementwise: the regularised incomplete beta function `Iₓ(a, b)`.
    Betainc,
    /// `(x) → y`: the values in another dtype.
    Convert(DType),
    /// `(x) → y`: the bits of the values, read as another dtype of the same width.
    Bitcast(DType),
    /// `(x) → x`: identity through which no derivative flows.
    StopGradient,
    /// `(x) → y`: the elements in row-major order under another shape.
    Reshape(Shape),
    /// `(x) → y`: axis `i` of `y` is axis `perm[i]` of `x`.
    Transpose(Axes),
    /// `(x) → y`: axis `i` of `x` is axis `dims[i]` of `y` (increasing); the other axes repeat.
    Broadcast {
        /// Shape of the result.
        shape: Shape,
        /// Where each axis of the operand goes.
        dims: Axes,
    },
    /// `(x) → y`: a strided window.
    Slice(Slice),
    /// `(x, fill[]) → y`: elements inserted around and between; negative amounts cut off.
    Pad(Pad),
    /// `(x, …) → y`: one after the other along an axis.
    Concatenate {
        /// The axis along which operands are joined.
        axis: usize,
    },
    /// `(x) → y`: reversed along some axes.
    Reverse(Axes),
    /// `(x, indices) → y`: windows of `x` at computed positions.
    Gather(Gather),
    /// `(x, indices, updates) → y`: `x` with windows at computed positions combined with updates.
    Scatter(Scatter),
    /// `(x) → y`: reduced over some axes, which disappear.
    Reduce {
        /// How elements are combined.
        op: ReduceOp,
        /// The axes that disappear, sorted.
        axes: Axes,
    },
    /// `(x) → indices`: position of the first extreme element along an axis, which disappears.
    ArgReduce {
        /// Which extreme.
        op: ArgReduceOp,
        /// The axis that disappears.
        axis: usize,
        /// The integer dtype of the result.
        dtype: DType,
    },
    /// `(x) → y`: reductions of all elements up to each one along an axis.
    Cumulative {
        /// How elements are combined.
        op: ReduceOp,
        /// The axis along which they are.
        axis: usize,
        /// Whether they are combined from the last one on.
        reverse: bool,
    },
    /// `(x, y) → z`: products summed over contracted axes; result axes are batch, free of `x`, free
    /// of `y`.
    Dot(DotDims),
    /// `(x, …) → (y, …)`: rearranged along an axis in the order of the first ones.
    Sort(Sort),
    /// `(table[…,n], values[…,…]) → positions i64[…,…]`: where each value would stand in its sorted row;
    /// NaN is larger than any number. The row's elements are looked at by halving: it is unspecified
    /// where that leads in a row that is not sorted, but it is always the same.
    SearchSorted {
        /// Whether values stand after equal elements, not before.
        right: bool,
    },
    /// `(a[…,n,n]) → l[…,n,n]`: lower Cholesky factor; reads the lower triangle. A matrix that is
    /// not positive definite gives NaN; a single one that is `checked` is an error.
    Cholesky {
        /// Whether a single matrix that is not positive definite is an error.
        checked: bool,
    },
    /// `(a[…,m,n]) → (lu[…,m,n], pivots i32[…,k], permutation i32[…,m])`, `k = min(m, n)`: partial
    /// pivoting; `a[permutation] = l·u`, with the unit lower and the upper factor packed in one.
    Lu,
    /// `(a[…,m,n]) → (q[…,m,k], r[…,k,n])`: orthonormal columns times an upper triangle; `k` is
    /// `min(m, n)`, or `m` for all columns.
    Qr {
        /// Whether all `m` columns of `q` are wanted.
        full: bool,
    },
    /// `(a[…,m,n]) → (s[…,k], u[…,m,k], vt[…,k,n])`, `k = min(m, n)`: `a = u·diag(s)·vt` with
    /// orthonormal columns of `u` and rows of `vt`, `s` from the largest.
    Svd {
        /// Whether `u` is `m×m` and `vt` is `n×n`.
        full: bool,
        /// Whether `u` and `vt` are wanted.
        vectors: bool,
    },
    /// `(a[…,n,n]) → (w[…,n], v[…,n,n])`: eigenvalues of a symmetric matrix from the least, and its
    /// orthonormal eigenvectors in columns; reads the lower triangle.
    Eigh,
    /// `(a[…,n,n], b[…,n,k]) → x[…,n,k]`, `a` triangular.
    TriangularSolve(TriangularSolve),
    /// `(a[…,n,n], b[…,n,k]) → x[…,n,k]`: `a·x = b`, or `aᵀ·x = b`.
    ///
    /// A singular matrix is an error when there are no batch axes, and fills its member of the
    /// result with NaN when there are.
    Solve {
        /// Whether the transposed matrix is meant.
        transpose: bool,
    },
    /// `(number[], x, …) → (y, …)`: one of several programs.
    Switch(Switch),
    /// `(shared, …, carry, …) → (carry, …)`: a loop until a condition fails.
    While(While),
    /// `(shared, …, carry, …, entries, …) → (carry, …, entries, …)`: a loop over entries.
    Scan(Scan),
    /// `(captured, …, x, …) → (y, …, residual, …)`: a program with a derivative of its own.
    WithDerivative(WithDerivative),
    /// `(known, …, tangent, …) → (tangent, …)`: known by its transpose only.
    Pullback(Pullback),
    /// `(x, …) → (y, …)`: computed by plain Rust code.
    Host(Host),
    /// `(x, position[]) → y`: the `x` of all examples of a named axis of this extent, along a new
    /// first axis; `position` is that of the example.
    AllGather(usize),
}

/// The types of an operation's results; nearly always one.
pub type Types = SmallVec<[TensorType; 1]>;

impl Op {
    /// The lower-case name, as in printed programs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Constant(_) => "constant",
            Op::Iota { .. } => "iota",
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Compare(op) => op.name(),
            Op::Select => "select",
            Op::Clamp => "clamp",
            Op::Betainc => "betainc",
            Op::Convert(_) => "convert",
            Op::Bitcast(_) => "bitcast",
            Op::StopGradient => "stop_gradient",
            Op::Reshape(_) => "reshape",
            Op::Transpose(_) => "transpose",
            Op::Broadcast { .. } => "broadcast",
            Op::Slice(_) => "slice",
            Op::Pad(_) => "pad",
            Op::Concatenate { .. } => "concatenate",
            Op::Reverse(_) => "reverse",
            Op::Gather(_) => "gather",
            Op::Scatter(_) => "scatter",
            Op::Reduce { op, .. } => op.name(),
            Op::ArgReduce { op, .. } => op.name(),
            Op::Cumulative { op, .. } => op.cumulative_name(),
            Op::Dot(_) => "dot",
            Op::Sort(_) => "sort",
            Op::SearchSorted { .. } => "search_sorted",
            Op::Cholesky { .. } => "cholesky",
            Op::Lu => "lu",
            Op::Qr { .. } => "qr",
            Op::Svd { .. } => "svd",
            Op::Eigh => "eigh",
            Op::TriangularSolve(_) => "triangular_solve",
            Op::Solve { .. } => "solve",
            Op::Switch(_) => "switch",
            Op::While(_) => "while",
            Op::Scan(_) => "scan",
            Op::WithDerivative(_) => "with_derivative",
            Op::Pullback(_) => "pullback",
            Op::Host(host) => host.0.name(),
            Op::AllGather(_) => "all_gather",
        }
    }

    /// Whether each element of the result is computed from those at the same place of the operands.
    pub fn is_elementwise(&self) -> bool {
        matches!(
            self,
            Op::Unary(_)
                | Op::Binary(_)
                | Op::Compare(_)
                | Op::Select
                | Op::Clamp
                | Op::Betainc
                | Op::Convert(_)
                | Op::Bitcast(_)
        )
    }

    /// How many results the operation has.
    pub fn result_count(&self) -> usize {
        match self {
            Op::Lu => 3,
            Op::Sort(sort) => sort.operands,
            Op::Qr { .. } | Op::Eigh => 2,
            Op::Svd { vectors: true, .. } => 3,
            Op::Switch(switch) => switch.branches.first().map_or(0, |b| b.outputs().len()),
            Op::While(repeat) => repeat.carry(),
            Op::Scan(scan) => scan.body.outputs().len(),
            Op::WithDerivative(custom) => custom.body.outputs().len(),
            Op::Pullback(pullback) => pullback.results.len(),
            Op::Host(host) => host.0.result_count(),
            _ => 1,
        }
    }

    /// The type rule: the types of the results.
    ///
    /// ```
    /// # use unloop_graph::{DType, Op, TensorType};
    /// let types = Op::Iota { ty: TensorType::new(DType::I32, 3), axis: 0 }.infer(&[]);
    /// assert_eq!(types.unwrap()[0].to_string(), "i32[3]");
    /// ```
    ///
    /// # Errors
    /// What is wrong with the operands: `InvalidArgument` for their number, `DTypeMismatch`,
    /// `UnsupportedDType`, `ShapeMismatch`, `Incompatible`, `WrongRank`, `AxisOutOfRange`,
    /// `RepeatedAxis`; `SizeOverflow` for a result that cannot be addressed.
    pub fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        let types: Types = match self {
            Op::Constant(value) => smallvec![TensorType::new(value.dtype(), ())],
            Op::Iota { ty, axis } => smallvec![layout::infer_iota(ty, *axis)?],
            Op::Unary(op) => smallvec![op.infer(args(operands)?)?],
            Op::Binary(op) => smallvec![op.infer(args(operands)?)?],
            Op::Compare(op) => smallvec![op.infer(args(operands)?)?],
            Op::Select => smallvec![elementwise::infer_select(args(operands)?)?],
            Op::Clamp => smallvec![elementwise::infer_clamp(args(operands)?)?],
            Op::Betainc => smallvec![elementwise::infer_betainc(args(operands)?)?],
            Op::Convert(dtype) => {
                let [x] = args(operands)?;
                smallvec![TensorType::new(*dtype, &x.shape)]
            }
            Op::Bitcast(dtype) => smallvec![elementwise::infer_bitcast(args(operands)?, *dtype)?],
            Op::StopGradient => {
                let [x] = args(operands)?;
                smallvec![x.clone()]
            }
            Op::Reshape(shape) => smallvec![layout::infer_reshape(args(operands)?, shape)?],
            Op::Transpose(perm) => smallvec![layout::infer_transpose(args(operands)?, perm)?],
            Op::Broadcast { shape, dims } => {
                smallvec![layout::infer_broadcast(args(operands)?, shape, dims)?]
            }
            Op::Slice(slice) => smallvec![slice.infer(args(operands)?)?],
            Op::Pad(pad) => smallvec![pad.infer(args(operands)?)?],
            Op::Concatenate { axis } => smallvec![layout::infer_concatenate(operands, *axis)?],
            Op::Reverse(axes) => smallvec![layout::infer_reverse(args(operands)?, axes)?],
            Op::Gather(gather) => smallvec![gather.infer(args(operands)?)?],
            Op::Scatter(scatter) => smallvec![scatter.infer(args(operands)?)?],
            Op::Reduce { op, axes } => smallvec![op.infer(args(operands)?, axes)?],
            Op::ArgReduce { axis, dtype, .. } => {
                smallvec![reduce::infer_arg(args(operands)?, *axis, *dtype)?]
            }
            Op::Cumulative { op, axis, .. } => {
                smallvec![op.infer_cumulative(args(operands)?, *axis)?]
            }
            Op::Dot(dims) => smallvec![dims.infer(args(operands)?)?],
            Op::Sort(sort) => sort.infer(operands)?,
            Op::SearchSorted { .. } => smallvec![search::infer(args(operands)?)?],
            Op::Cholesky { .. } => smallvec![linalg::infer_cholesky(args(operands)?)?],
            Op::Lu => linalg::infer_lu(args(operands)?)?,
            Op::Qr { full } => decompose::infer_qr(args(operands)?, *full)?,
            Op::Svd { full, vectors } => decompose::infer_svd(args(operands)?, *full, *vectors)?,
            Op::Eigh => decompose::infer_eigh(args(operands)?)?,
            Op::Switch(switch) => switch.infer(operands)?,
            Op::While(repeat) => repeat.infer(operands)?,
            Op::Scan(scan) => scan.infer(operands)?,
            Op::WithDerivative(custom) => custom.infer(operands)?,
            Op::Pullback(pullback) => pullback.results.iter().cloned().collect(),
            Op::Host(host) => host.infer(operands)?,
            Op::AllGather(size) => custom::infer_all_gather(args(operands)?, *size),
            Op::TriangularSolve(_) | Op::Solve { .. } => {
                smallvec![linalg::infer_solve(args(operands)?)?]
            }
        };
        for ty in &types {
            ty.shape.checked_size(ty.dtype)?;
        }
        Ok(types)
    }

    /// Whether matrices are factored or solved, one of a stack after the other.
    fn is_of_matrices(&self) -> bool {
        matches!(
            self,
            Op::Cholesky { .. }
                | Op::Lu
                | Op::Qr { .. }
                | Op::Svd { .. }
                | Op::Eigh
                | Op::Solve { .. }
                | Op::TriangularSolve(_)
        )
    }

    /// The reference evaluation: plain loops over indices, the oracle of every backend. `types` are
    /// what [`Op::infer`] gave for the operands.
    ///
    /// # Errors
    /// What only values tell: `IndexOutOfBounds`, `Singular`, `NotPositiveDefinite`, `LoopLimit`;
    /// `OutOfMemory`, `Cancelled`; `Unsupported` for what only a transform can do.
    pub fn evaluate(&self, operands: &[Array], types: &Types) -> Result<Vec<Array>, ErrorKind> {
        // A program may have no result at all.
        let none = TensorType::new(DType::F64, ());
        let ty = types.first().unwrap_or(&none);
        let one = |array| Ok(vec![array]);
        cancel::check()?;
        if self.fills_results() {
            // Large results find this room again.
            let room = types.iter().map(|ty| memory::with_room(ty.dtype, ty.shape.size()));
            room.collect::<Result<Vec<_>, _>>().map(memory::keep_all)?;
        }
        // There may be more matrices without elements than can be counted through.
        if self.is_of_matrices() && types.iter().all(|ty| ty.shape.size() == 0) {
            let nothing = |ty: &TensorType| {
                Array::fill(ty.shape.clone(), Scalar::new(ty.dtype, crate::Number::Int(0)))
            };
            return Ok(types.iter().map(nothing).collect());
        }
        match self {
            Op::Constant(value) => one(Array::fill(Shape::scalar(), *value)),
            Op::Iota { axis, .. } => one(layout::iota(ty, *axis)),
            Op::Unary(op) => one(op.evaluate(&operands[0], ty)),
            Op::Binary(op) => one(op.evaluate(&operands[0], &operands[1], ty)),
            Op::Compare(op) => one(op.evaluate(&operands[0], &operands[1], ty)),
            Op::Select => one(elementwise::select(operands, ty)),
            Op::Clamp => one(elementwise::clamp(operands, ty)),
            Op::Betainc => one(elementwise::betainc(operands, ty)),
            Op::Convert(_) => one(elementwise::convert(&operands[0], ty)),
            Op::Bitcast(_) => one(elementwise::bitcast(&operands[0], ty)),
            Op::StopGradient => one(operands[0].clone()),
            Op::Reshape(shape) => one(operands[0].reshape(shape)?),
            Op::Transpose(perm) => one(operands[0].transpose(perm)),
            Op::Broadcast { shape, dims } => one(operands[0].broadcast(shape, dims)),
            Op::Slice(slice) => one(slice.view(&operands[0], ty)),
            Op::Pad(pad) => one(pad.evaluate(&operands[0], &operands[1], ty)),
            Op::Concatenate { axis } => one(layout::concatenate(operands, *axis, ty)),
            Op::Reverse(axes) => one(operands[0].reverse(axes)),
            Op::Gather(gather) => one(gather.evaluate(&operands[0], &operands[1], ty)?),
            Op::Scatter(scatter) => one(scatter.evaluate(operands, ty)?),
            Op::Reduce { op, axes } => one(op.evaluate(&operands[0], axes, ty)),
            Op::ArgReduce { op, axis, .. } => one(op.evaluate(&operands[0], *axis, ty)),
            Op::Cumulative { op, axis, reverse } => {
                one(op.evaluate_cumulative(&operands[0], *axis, *reverse, ty))
            }
            Op::Dot(dims) => one(dims.evaluate(&operands[0], &operands[1], ty)),
            Op::Sort(sort) => Ok(sort.evaluate(operands, types)),
            Op::SearchSorted { right } => {
                one(search::evaluate(&operands[0], &operands[1], *right, ty))
            }
            Op::Cholesky { checked } => one(linalg::cholesky(&operands[0], *checked, ty)?),
            Op::Lu => Ok(linalg::lu(&operands[0], types)),
            Op::Qr { .. } => Ok(decompose::qr(&operands[0], types)),
            Op::Svd { .. } => Ok(decompose::svd(&operands[0], types)),
            Op::Eigh => Ok(decompose::eigh(&operands[0], types)),
            Op::Switch(switch) => switch.evaluate(operands),
            Op::While(repeat) => repeat.evaluate(operands),
            Op::Scan(scan) => scan.evaluate(operands, types),
            Op::WithDerivative(custom) => custom.evaluate(operands),
            Op::Pullback(_) => Err(ErrorKind::Unsupported(REVERSE_ONLY.into())),
            Op::Host(host) => host.evaluate(operands, types),
            Op::AllGather(_) => Err(custom::all_gather()),
            Op::TriangularSolve(how) => one(how.evaluate(&operands[0], &operands[1], ty)),
            Op::Solve { transpose } => {
                one(linalg::solve(&operands[0], &operands[1], *transpose, ty)?)
            }
        }
    }

    /// Whether the reference evaluation makes new arrays for the results.
    fn fills_results(&self) -> bool {
        let rearranges = matches!(
            self,
            Op::Reshape(_)
                | Op::Transpose(_)
                | Op::Broadcast { .. }
                | Op::Slice(_)
                | Op::Reverse(_)
                | Op::StopGradient
        );
        let calls = matches!(
            self,
            Op::Switch(_) | Op::While(_) | Op::WithDerivative(_) | Op::Pullback(_) | Op::Host(_)
        );
        !rearranges && !calls && !matches!(self, Op::AllGather(_))
    }

    /// The result as a view of the operand's buffer, when the operation only rearranges one operand.
    pub fn view(&self, operands: &[&Array], ty: &TensorType) -> Option<Array> {
        match self {
            Op::Reshape(shape) => operands[0].reshaped_view(shape),
            Op::Transpose(perm) => Some(operands[0].transpose(perm)),
            Op::Broadcast { shape, dims } => Some(operands[0].broadcast(shape, dims)),
            Op::Slice(slice) => Some(slice.view(operands[0], ty)),
            Op::Reverse(axes) => Some(operands[0].reverse(axes)),
            Op::StopGradient => Some(operands[0].clone()),
            Op::Convert(dtype) if *dtype == operands[0].dtype() => Some(operands[0].clone()),
            _ => None,
        }
    }
}

/// The operands as an array of the count that the operation takes.
fn args<const N: usize>(operands: &[TensorType]) -> Result<&[TensorType; N], ErrorKind> {
    operands.try_into().map_err(|_| {
        ErrorKind::InvalidArgument(format!("takes {N} operands, got {}", operands.len()))
    })
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Op::Constant(value) => write!(f, "{value}"),
            Op::Iota { axis, .. } | Op::Concatenate { axis } => write!(f, "{name}[axis={axis}]"),
            Op::ArgReduce { axis, .. } | Op::Cumulative { axis, reverse: false, .. } => {
                write!(f, "{name}[axis={axis}]")
            }
            Op::Cumulative { axis, .. } => write!(f, "{name}[axis={axis}, reverse]"),
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Select
            | Op::Clamp
            | Op::Betainc
            | Op::StopGradient
            | Op::Cholesky { checked: false }
            | Op::Lu
            | Op::Eigh
            | Op::SearchSorted { right: false }
            | Op::Qr { full: false }
            | Op::Svd { full: false, vectors: true } => f.write_str(name),
            Op::Qr { full: true } | Op::Svd { full: true, vectors: true } => {
                write!(f, "{name}[full]")
            }
            Op::SearchSorted { right: true } => write!(f, "{name}[right]"),
            Op::Cholesky { checked: true } => write!(f, "{name}[checked]"),
            Op::Svd { vectors: false, .. } => write!(f, "{name}[values]"),
            Op::Convert(dtype) | Op::Bitcast(dtype) => write!(f, "{name}[{dtype}]"),
            Op::Reshape(shape) => write!(f, "{name}[{shape}]"),
            Op::Transpose(perm) => write!(f, "{name}{perm:?}"),
            Op::Broadcast { dims, .. } => write!(f, "{name}[dims={dims:?}]"),
            Op::Slice(slice) => write!(f, "{name}[{slice}]"),
            Op::Pad(pad) => write!(f, "{name}[{pad}]"),
            Op::Reverse(axes) => write!(f, "{name}[axes={axes:?}]"),
            Op::Gather(gather) => write!(f, "{name}[{gather}]"),
            Op::Scatter(scatter) => write!(f, "{name}[{scatter}]"),
            Op::Reduce { axes, .. } => write!(f, "{name}[axes={axes:?}]"),
            Op::Dot(dims) => write!(f, "{name}[{dims}]"),
            Op::Sort(sort) => write!(f, "{name}[{sort}]"),
            Op::TriangularSolve(how) => write!(f, "{name}[{how}]"),
            Op::Switch(switch) => write!(f, "{name}[{switch}]"),
            Op::While(repeat) => write!(f, "{name}[{repeat}]"),
            Op::Scan(scan) => write!(f, "{name}[{scan}]"),
            Op::WithDerivative(_) | Op::Pullback(_) | Op::Host(_) => f.write_str(name),
            Op::AllGather(size) => write!(f, "{name}[size={size}]"),
            Op::Solve { transpose: false } => f.write_str(name),
            Op::Solve { transpose: true } => write!(f, "{name}[transpose]"),
        }
    }
}
