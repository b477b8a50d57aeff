//! Rules of operations that move elements: linear, and closed under batching by one more axis in
//! front.

use smallvec::SmallVec;
use unloop_graph::op::{Pad, PadAxis, Slice};
use unloop_graph::{Axes, DType, Op, ReduceOp, Shape, Tensor};

use super::{Batched, Operand, apply, shifted, with_batch_axis};

pub(super) fn batch(op: &Op, operands: &[&Batched], size: usize) -> Tensor {
    let x = operands[0].tensor();
    match op {
        Op::Reshape(shape) => x.reshape(shape.with(0, size)),
        Op::Transpose(perm) => apply(Op::Transpose(with_batch_axis(perm)), &[x]),
        Op::Broadcast { shape, dims } => {
            x.broadcast_in_dim(shape.with(0, size), with_batch_axis(dims))
        }
        Op::Slice(slice) => {
            let with = |first: usize, rest: &[usize]| -> SmallVec<[usize; 6]> {
                std::iter::once(first).chain(rest.iter().copied()).collect()
            };
            let slice = Slice {
                start: with(0, &slice.start),
                limit: with(size, &slice.limit),
                step: with(1, &slice.step),
            };
            apply(Op::Slice(slice), &[x])
        }
        Op::Pad(pad) => {
            let mut amounts = pad.0.clone();
            amounts.insert(0, PadAxis::default());
            let (x, amounts) = (operands[0].each(size), Pad(amounts));
            match operands[1] {
                Batched::Same(fill) => x.pad_with(amounts, fill),
                // Each example has its own fill: pad, then put the fill where the padding is.
                Batched::Each(fill) => {
                    let padded = x.pad_with(amounts.clone(), &Tensor::zeros(x.dtype(), ()));
                    let inside = Tensor::ones(DType::Bool, x.shape())
                        .pad_with(amounts, &Tensor::from(false));
                    let fill = fill.broadcast_in_dim(padded.shape(), [0].into_iter().collect());
                    inside.select(&padded, &fill)
                }
            }
        }
        Op::Concatenate { axis } => {
            let operands: Vec<Tensor> = operands.iter().map(|x| x.each(size)).collect();
            let op = Op::Concatenate { axis: axis + 1 };
            apply(op, &operands.iter().collect::<Vec<_>>())
        }
        Op::Reverse(axes) => apply(Op::Reverse(shifted(axes)), &[x]),
        other => unreachable!("{} moves no elements", other.name()),
    }
}

pub(super) fn transpose(op: &Op, ct: &Tensor, x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let ty = x[0].ty();
    match op {
        Op::Reshape(_) => vec![Some(ct.reshape(&ty.shape))],
        Op::Transpose(perm) => {
            let mut inverse: Axes = SmallVec::from_elem(0, perm.len());
            perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
            vec![Some(apply(Op::Transpose(inverse), &[ct]))]
        }
        Op::Broadcast { shape, dims } => {
            let repeated = (0..shape.rank()).filter(|a| !dims.contains(a)).collect();
            vec![Some(ct.reduce_op(ReduceOp::Sum, repeated))]
        }
        Op::Slice(slice) => {
            let axis = |a: usize| {
                let (start, step, count) = (slice.start[a], slice.step[a], ct.shape()[a]);
                let covered = if count == 0 { 0 } else { (count - 1) * step + 1 };
                let high = ty.shape[a] as i64 - (start + covered) as i64;
                PadAxis { low: start as i64, high, interior: step - 1 }
            };
            let pad = Pad((0..ty.rank()).map(axis).collect());
            vec![Some(ct.pad_with(pad, &Tensor::zeros(ty.dtype, ())))]
        }
        Op::Pad(pad) => {
            let inside = unpad(pad, ct, &ty.shape);
            let axes = (0..ct.rank()).collect();
            let fill = x[1].is_linear().then(|| {
                let all = ct.reduce_op(ReduceOp::Sum, axes);
                all - inside.reduce_op(ReduceOp::Sum, (0..inside.rank()).collect())
            });
            vec![x[0].is_linear().then_some(inside), fill]
        }
        Op::Concatenate { axis } => {
            let mut start = 0;
            x.iter()
                .map(|x| {
                    let limit = start + x.ty().shape[*axis];
                    let part = x.is_linear().then(|| ct.slice_axis(*axis as isize, start, limit));
                    start = limit;
                    part
                })
                .collect()
        }
        Op::Reverse(axes) => vec![Some(apply(Op::Reverse(axes.clone()), &[ct]))],
        other => unreachable!("{} moves no elements", other.name()),
    }
}

/// The elements that padding a tensor of `shape` put among the fill; zero for those cut off.
fn unpad(pad: &Pad, padded: &Tensor, shape: &Shape) -> Tensor {
    let undo = pad.0.iter().map(|p| PadAxis { low: -p.low, high: -p.high, interior: 0 });
    let dense = padded.pad_with(Pad(undo.collect()), &Tensor::zeros(padded.dtype(), ()));
    let step: Axes = pad.0.iter().map(|p| p.interior + 1).collect();
    let limit: Axes = dense.shape().into();
    let picked = dense.slice(&SmallVec::<[usize; 6]>::from_elem(0, shape.rank()), &limit, &step);
    debug_assert!(picked.as_error().is_some() || *picked.shape() == **shape);
    picked
}
