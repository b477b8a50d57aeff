//! Rules of sorting.

use unloop_graph::op::Sort;
use unloop_graph::{DType, Op, Place, Tensor};

use super::{Batched, Jvp};

pub(super) fn batch(sort: &Sort, operands: &[&Batched], size: usize) -> Vec<Batched> {
    let operands: Vec<Tensor> = operands.iter().map(|x| x.each(size)).collect();
    let op = Op::Sort(Sort { axis: sort.axis + 1, ..sort.clone() });
    let sorted = Tensor::apply(op, &operands.iter().collect::<Vec<_>>(), Place::here());
    sorted.into_iter().map(Batched::Each).collect()
}

/// Tangents move with their elements.
pub(super) fn jvp(sort: &Sort, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let positions = Tensor::iota(DType::I64, rule.x[0].shape(), sort.axis);
    let operands: Vec<&Tensor> = rule.x.iter().copied().chain([&positions]).collect();
    let op = Op::Sort(Sort { operands: operands.len(), ..sort.clone() });
    let sorted = Tensor::apply(op, &operands, Place::here());
    let Some(order) = sorted.last() else { unreachable!("a sort without results") };
    let moved = |t: &Option<&Tensor>| t.map(|t| t.take_along_axis(order, sort.axis as isize));
    rule.t.iter().map(moved).collect()
}
