//! Rules of gather and scatter. Both have batching dimensions, so batching both operand and indices
//! adds one; the transpose of gather is scatter-add, and the other way round.

use unloop_graph::op::{Gather, GatherDims, IndexMode, Scatter, ScatterDims, ScatterOp};
use unloop_graph::{Axes, DType, Number, Op, Scalar, Shape, Tensor};

use super::{Batched, Jvp, Operand, apply, shifted, with_batch_axis};

/// Puts an extent in front.
fn prepend(first: usize, rest: &[usize]) -> Axes {
    std::iter::once(first).chain(rest.iter().copied()).collect()
}

pub(super) fn batch_gather(gather: &Gather, operands: &[&Batched]) -> Tensor {
    let (x, indices) = (operands[0].tensor(), operands[1].tensor());
    let d = &gather.dims;
    let (dims, slice_sizes) = match (operands[0].is_each(), operands[1].is_each()) {
        // The axis of the examples becomes a window axis, whole.
        (true, false) => {
            let dims = GatherDims {
                offset_dims: with_batch_axis(&d.offset_dims),
                collapsed_slice_dims: shifted(&d.collapsed_slice_dims),
                start_index_map: shifted(&d.start_index_map),
                operand_batching_dims: shifted(&d.operand_batching_dims),
                start_indices_batching_dims: d.start_indices_batching_dims.clone(),
            };
            (dims, prepend(x.shape()[0], &gather.slice_sizes))
        }
        (false, _) => {
            let dims = GatherDims {
                offset_dims: shifted(&d.offset_dims),
                start_indices_batching_dims: shifted(&d.start_indices_batching_dims),
                ..d.clone()
            };
            (dims, gather.slice_sizes.clone())
        }
        (true, true) => {
            let dims = GatherDims {
                offset_dims: shifted(&d.offset_dims),
                collapsed_slice_dims: shifted(&d.collapsed_slice_dims),
                start_index_map: shifted(&d.start_index_map),
                operand_batching_dims: with_batch_axis(&d.operand_batching_dims),
                start_indices_batching_dims: with_batch_axis(&d.start_indices_batching_dims),
            };
            // No window along an empty stack.
            (dims, prepend(x.shape()[0].min(1), &gather.slice_sizes))
        }
    };
    apply(Op::Gather(Gather { dims, slice_sizes, mode: gather.mode }), &[x, indices])
}

pub(super) fn batch_scatter(scatter: &Scatter, operands: &[&Batched], size: usize) -> Tensor {
    let (x, updates) = (operands[0].each(size), operands[2].each(size));
    let d = &scatter.dims;
    let (indices, dims) = match operands[1] {
        // The axis of the examples becomes a window axis, whole.
        Batched::Same(indices) => {
            let dims = ScatterDims {
                update_window_dims: with_batch_axis(&d.update_window_dims),
                inserted_window_dims: shifted(&d.inserted_window_dims),
                scatter_dims_to_operand_dims: shifted(&d.scatter_dims_to_operand_dims),
                operand_batching_dims: shifted(&d.operand_batching_dims),
                scatter_indices_batching_dims: d.scatter_indices_batching_dims.clone(),
            };
            (indices, dims)
        }
        Batched::Each(indices) => {
            let dims = ScatterDims {
                update_window_dims: shifted(&d.update_window_dims),
                inserted_window_dims: shifted(&d.inserted_window_dims),
                scatter_dims_to_operand_dims: shifted(&d.scatter_dims_to_operand_dims),
                operand_batching_dims: with_batch_axis(&d.operand_batching_dims),
                scatter_indices_batching_dims: with_batch_axis(&d.scatter_indices_batching_dims),
            };
            (indices, dims)
        }
    };
    apply(Op::Scatter(Scatter { dims, ..scatter.clone() }), &[&x, indices, &updates])
}

/// The same mode, with a fill for another dtype or purpose.
fn refill(mode: IndexMode, dtype: DType, fill: i128) -> IndexMode {
    match mode {
        IndexMode::Error | IndexMode::Clip => mode,
        IndexMode::Fill(_) => IndexMode::Fill(Scalar::new(dtype, Number::Int(fill))),
    }
}

pub(super) fn jvp_gather(gather: &Gather, rule: &Jvp<'_>) -> Tensor {
    let t = rule.tangent(0);
    let mode = refill(gather.mode, t.dtype(), 0);
    apply(Op::Gather(Gather { mode, ..gather.clone() }), &[&t, rule.x[1]])
}

pub(super) fn jvp_scatter(scatter: &Scatter, rule: &Jvp<'_>) -> Tensor {
    match scatter.op {
        // Linear in operand and updates together, for fixed indices.
        ScatterOp::Set | ScatterOp::Add => {
            let op = Op::Scatter(scatter.clone());
            apply(op, &[&rule.tangent(0), rule.x[1], &rule.tangent(2)])
        }
        ScatterOp::Mul => jvp_scatter_product(scatter, rule),
        ScatterOp::Min | ScatterOp::Max => jvp_scatter_extreme(scatter, rule),
    }
}

/// A scatter with the same indices.
fn rescatter(scatter: &Scatter, op: ScatterOp, operands: &[&Tensor]) -> Tensor {
    apply(Op::Scatter(Scatter { op, ..scatter.clone() }), operands)
}

/// Windows of a tensor like the operand, where the updates go.
fn read_windows(scatter: &Scatter, rule: &Jvp<'_>, from: &Tensor) -> Tensor {
    let updates = Shape::from(rule.x[2].shape());
    apply(reader(scatter, from.dtype(), from.rank(), &updates, 0), &[from, rule.x[1]])
}

/// Of a product of the operand and several updates, the slope in an update is the product of all
/// others: the whole divided by it, or, for the only zero among them, the product of the rest.
fn jvp_scatter_product(scatter: &Scatter, rule: &Jvp<'_>) -> Tensor {
    let (x, indices, y) = (rule.x[0], rule.x[1], rule.x[2]);
    let scale = rescatter(scatter, ScatterOp::Mul, &[&x.ones_like(), indices, y]);
    let from_operand = rule.t[0].map(|t| t * &scale);
    let from_updates = rule.t[2].map(|t| {
        let is_zero = y.equal(&y.zeros_like());
        let zero = is_zero.cast(y.dtype());
        let nonzero = is_zero.select(&y.ones_like(), y);
        let rest = rescatter(scatter, ScatterOp::Mul, &[x, indices, &nonzero]);
        let zeros = rescatter(scatter, ScatterOp::Add, &[&x.zeros_like(), indices, &zero]);
        let rest = read_windows(scatter, rule, &rest) / &nonzero;
        let others = read_windows(scatter, rule, &zeros).equal(&zero);
        let slope = others.select(&rest, &rest.zeros_like());
        rescatter(scatter, ScatterOp::Add, &[&x.zeros_like(), indices, &(t * slope)])
    });
    sum(from_operand, from_updates, &rule.y[0])
}

/// The mean of the tangents of all that attain the extreme: the operand and updates.
fn jvp_scatter_extreme(scatter: &Scatter, rule: &Jvp<'_>) -> Tensor {
    let (x, indices, updates, y) = (rule.x[0], rule.x[1], rule.x[2], &rule.y[0]);
    let kept = x.equal(y).cast(x.dtype());
    let attained = updates.equal(&read_windows(scatter, rule, y)).cast(x.dtype());
    let add = |from: &Tensor, values: &Tensor| {
        rescatter(scatter, ScatterOp::Add, &[from, indices, values])
    };
    let count = add(&kept, &attained);
    let from_operand = rule.t[0].map(|t| t * &kept);
    let from_updates = rule.t[2].map(|t| add(&x.zeros_like(), &(t * &attained)));
    sum(from_operand, from_updates, y) / count
}

/// The sum of tangents that may be absent.
fn sum(a: Option<Tensor>, b: Option<Tensor>, like: &Tensor) -> Tensor {
    match (a, b) {
        (Some(a), Some(b)) => a + b,
        (a, b) => a.or(b).unwrap_or_else(|| like.zeros_like()),
    }
}

/// The gather that reads the windows which a scatter writes.
fn reader(scatter: &Scatter, dtype: DType, rank: usize, updates: &Shape, fill: i128) -> Op {
    let d = &scatter.dims;
    Op::Gather(Gather {
        dims: GatherDims {
            offset_dims: d.update_window_dims.clone(),
            collapsed_slice_dims: d.inserted_window_dims.clone(),
            start_index_map: d.scatter_dims_to_operand_dims.clone(),
            operand_batching_dims: d.operand_batching_dims.clone(),
            start_indices_batching_dims: d.scatter_indices_batching_dims.clone(),
        },
        slice_sizes: scatter.window_sizes(rank, updates),
        mode: refill(scatter.mode, dtype, fill),
    })
}

pub(super) fn transpose_gather(
    gather: &Gather,
    ct: &Tensor,
    x: &[Operand<'_>],
) -> Vec<Option<Tensor>> {
    let (ty, indices) = (x[0].ty(), x[1].value(&Op::Gather(gather.clone())));
    let d = &gather.dims;
    let scatter = Scatter {
        dims: ScatterDims {
            update_window_dims: d.offset_dims.clone(),
            inserted_window_dims: d.collapsed_slice_dims.clone(),
            scatter_dims_to_operand_dims: d.start_index_map.clone(),
            operand_batching_dims: d.operand_batching_dims.clone(),
            scatter_indices_batching_dims: d.start_indices_batching_dims.clone(),
        },
        op: ScatterOp::Add,
        mode: gather.mode,
    };
    let zeros = Tensor::zeros(ty.dtype, &ty.shape);
    vec![Some(apply(Op::Scatter(scatter), &[&zeros, &indices, ct])), None]
}

pub(super) fn transpose_scatter(
    scatter: &Scatter,
    ct: &Tensor,
    x: &[Operand<'_>],
) -> Vec<Option<Tensor>> {
    let op = Op::Scatter(scatter.clone());
    let (ty, updates) = (x[0].ty(), x[2].ty());
    let indices = x[1].value(&op);
    let read = |from: &Tensor, fill| {
        apply(reader(scatter, from.dtype(), ty.rank(), &updates.shape, fill), &[from, &indices])
    };
    match scatter.op {
        ScatterOp::Add => {
            vec![x[0].is_linear().then(|| ct.clone()), None, x[2].is_linear().then(|| read(ct, 0))]
        }
        ScatterOp::Set => {
            let operand = x[0].is_linear().then(|| {
                let zeros = Tensor::zeros(updates.dtype, &updates.shape);
                apply(op.clone(), &[ct, &indices, &zeros])
            });
            let update = x[2].is_linear().then(|| {
                // Of updates to one place only the last counts: number the updates, write the
                // numbers as the updates were written, and see whose number stayed.
                let count = updates.shape.size();
                let number = Tensor::iota(DType::I64, count, 0).reshape(&updates.shape);
                let places = Tensor::full(&ty.shape, -1i64);
                let written = apply(op.clone(), &[&places, &indices, &number]);
                let won = read(&written, -2).equal(&number);
                let ct = read(ct, 0);
                won.select(&ct, &ct.zeros_like())
            });
            vec![operand, None, update]
        }
        ScatterOp::Mul | ScatterOp::Min | ScatterOp::Max => {
            x.iter().map(|x| x.is_linear().then(|| x.value(&op))).collect()
        }
    }
}
