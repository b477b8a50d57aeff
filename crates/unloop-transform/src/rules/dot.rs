//! Rules of the general contraction: bilinear, with batch axes.

use smallvec::SmallVec;
use unloop_graph::{Axes, DotDims, Op, Tensor};

use super::{Batched, Jvp, Operand, apply, shifted, with_batch_axis};

pub(super) fn batch(dims: &DotDims, x: &Batched, y: &Batched) -> Tensor {
    let batch_axes = dims.lhs_batch.len();
    let free = dims.lhs_free(x.rank()).len();
    // Where only one operand has the axis of the examples, it is free and comes out there.
    let (dims, position) = match (x.is_each(), y.is_each()) {
        (true, true) => {
            let dims = DotDims {
                lhs_contract: shifted(&dims.lhs_contract),
                rhs_contract: shifted(&dims.rhs_contract),
                lhs_batch: with_batch_axis(&dims.lhs_batch),
                rhs_batch: with_batch_axis(&dims.rhs_batch),
            };
            (dims, 0)
        }
        (true, false) => {
            let dims = DotDims {
                lhs_contract: shifted(&dims.lhs_contract),
                lhs_batch: shifted(&dims.lhs_batch),
                ..dims.clone()
            };
            (dims, batch_axes)
        }
        (false, _) => {
            let dims = DotDims {
                rhs_contract: shifted(&dims.rhs_contract),
                rhs_batch: shifted(&dims.rhs_batch),
                ..dims.clone()
            };
            (dims, batch_axes + free)
        }
    };
    apply(Op::Dot(dims), &[x.tensor(), y.tensor()]).move_axis(position as isize, 0)
}

pub(super) fn jvp(op: &Op, rule: &Jvp<'_>) -> Option<Tensor> {
    let left = rule.t[0].map(|t| apply(op.clone(), &[t, rule.x[1]]));
    let right = rule.t[1].map(|t| apply(op.clone(), &[rule.x[0], t]));
    match (left, right) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

pub(super) fn transpose(
    dims: &DotDims,
    op: &Op,
    ct: &Tensor,
    x: &[Operand<'_>],
) -> Vec<Option<Tensor>> {
    let (lhs, rhs) = (x[0].ty(), x[1].ty());
    let (lhs_free, rhs_free) = (dims.lhs_free(lhs.rank()), dims.rhs_free(rhs.rank()));
    let batch: Axes = (0..dims.lhs_batch.len()).collect();
    let (b, m) = (batch.len(), lhs_free.len());
    let left = || {
        // Contract the right operand's free axes; what comes out: batch, left free, then the right
        // operand's contracted axes in increasing order.
        let y = x[1].value(op);
        let dims_ct = DotDims {
            lhs_contract: (b + m..b + m + rhs_free.len()).collect(),
            rhs_contract: rhs_free.clone(),
            lhs_batch: batch.clone(),
            rhs_batch: dims.rhs_batch.clone(),
        };
        let out = apply(Op::Dot(dims_ct), &[ct, &y]);
        let contract = sorted_partner(&dims.rhs_contract, &dims.lhs_contract);
        let order = [&dims.lhs_batch[..], &lhs_free, &contract].concat();
        place(out, &order)
    };
    let right = || {
        let y = x[0].value(op);
        let dims_ct = DotDims {
            lhs_contract: (b..b + m).collect(),
            rhs_contract: lhs_free.clone(),
            lhs_batch: batch.clone(),
            rhs_batch: dims.lhs_batch.clone(),
        };
        let out = apply(Op::Dot(dims_ct), &[ct, &y]);
        let contract = sorted_partner(&dims.lhs_contract, &dims.rhs_contract);
        let order = [&dims.rhs_batch[..], &rhs_free, &contract].concat();
        place(out, &order)
    };
    vec![x[0].is_linear().then(left), x[1].is_linear().then(right)]
}

/// The partners of `axes`, in the order in which sorting would bring `axes`.
fn sorted_partner(axes: &[usize], partners: &[usize]) -> Vec<usize> {
    let mut pairs: Vec<(usize, usize)> =
        axes.iter().copied().zip(partners.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, partner)| partner).collect()
}

/// Puts axis `i` of `x` at `order[i]`.
fn place(x: Tensor, order: &[usize]) -> Tensor {
    let mut perm: SmallVec<[isize; 6]> = SmallVec::from_elem(0, order.len());
    order.iter().enumerate().for_each(|(i, &at)| perm[at] = i as isize);
    x.permute(&perm)
}
