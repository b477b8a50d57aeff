//! Rules of reductions.

use unloop_graph::{Axes, Op, ReduceOp, Shape, Tensor, associative_scan};

use super::elementwise::{self, indicator};
use super::{Jvp, Operand, apply, shifted};

pub(super) fn batch(op: &Op, x: &Tensor) -> Tensor {
    match op {
        Op::Reduce { op, axes } => apply(Op::Reduce { op: *op, axes: shifted(axes) }, &[x]),
        Op::ArgReduce { op, axis, dtype } => {
            apply(Op::ArgReduce { op: *op, axis: axis + 1, dtype: *dtype }, &[x])
        }
        Op::Cumulative { op, axis, reverse } => {
            apply(Op::Cumulative { op: *op, axis: axis + 1, reverse: *reverse }, &[x])
        }
        other => unreachable!("{} is no reduction", other.name()),
    }
}

/// A reduced tensor repeated along the axes that were reduced.
fn expand(y: &Tensor, shape: &Shape, axes: &[usize]) -> Tensor {
    let kept = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
    y.broadcast_in_dim(shape, kept)
}

pub(super) fn jvp(op: ReduceOp, axes: &Axes, rule: &Jvp<'_>) -> Option<Tensor> {
    let (x, y, t) = (rule.x[0], &rule.y[0], rule.t[0]?);
    let sum = |t: Tensor| t.reduce_op(ReduceOp::Sum, axes.clone());
    match op {
        ReduceOp::Sum => Some(sum(t.clone())),
        ReduceOp::Prod => Some(product(x, t, axes)),
        // The extreme of nothing is a constant.
        ReduceOp::Max | ReduceOp::Min if axes.iter().any(|&a| x.shape()[a] == 0) => None,
        // The mean of the tangents of all elements that attain the extreme.
        ReduceOp::Max | ReduceOp::Min => {
            let attained = indicator(x, &expand(y, &x.shape().into(), axes));
            Some(sum(t * &attained) / sum(attained))
        }
        ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => None,
    }
}

/// The tangent of a product: pairs are multiplied until one is left, with the product rule for
/// each pair, so that zeros among the factors do no harm.
fn product(x: &Tensor, t: &Tensor, axes: &[usize]) -> Tensor {
    // All reduced axes as one, in front.
    let rank = x.rank();
    let kept = (0..rank).filter(|a| !axes.contains(a));
    let perm: Axes = axes.iter().copied().chain(kept).collect();
    let count: usize = axes.iter().map(|&a| x.shape()[a]).product();
    let flat = |x: &Tensor| {
        let rest = perm[axes.len()..].iter().map(|&a| x.shape()[a]);
        let shape: Shape = std::iter::once(count).chain(rest).collect();
        apply(Op::Transpose(perm.clone()), &[x]).reshape(shape)
    };
    let (mut x, mut t, mut n) = (flat(x), flat(t), count);
    if n == 0 {
        return t.reduce_op(ReduceOp::Sum, [0].into_iter().collect());
    }
    while n > 1 {
        let half = n / 2;
        let part = |x: &Tensor, start, limit| x.slice_axis(0, start, limit);
        let (a, b) = (part(&x, 0, half), part(&x, half, 2 * half));
        let pairs_t = part(&t, 0, half) * &b + &a * part(&t, half, 2 * half);
        let pairs = a * b;
        (x, t) = match n % 2 {
            0 => (pairs, pairs_t),
            _ => (
                Tensor::concatenate(&[&pairs, &part(&x, n - 1, n)], 0),
                Tensor::concatenate(&[&pairs_t, &part(&t, n - 1, n)], 0),
            ),
        };
        n = n.div_ceil(2);
    }
    t.squeeze(0)
}

pub(super) fn transpose(
    op: ReduceOp,
    axes: &Axes,
    ct: &Tensor,
    x: &Operand<'_>,
) -> Vec<Option<Tensor>> {
    match op {
        ReduceOp::Sum => vec![Some(expand(ct, &x.ty().shape, axes))],
        ReduceOp::Prod
        | ReduceOp::Max
        | ReduceOp::Min
        | ReduceOp::And
        | ReduceOp::Or
        | ReduceOp::Xor => vec![Some(x.value(&Op::Reduce { op, axes: axes.clone() }))],
    }
}

/// Sums are linear. Of the others, pairs of a value and its tangent are combined as two elements are, in
/// the order of JAX, which decides how equal elements share a derivative.
pub(super) fn jvp_cumulative(
    op: &Op,
    combine: ReduceOp,
    axis: usize,
    reverse: bool,
    rule: &Jvp<'_>,
) -> Option<Tensor> {
    let (x, t) = (rule.x[0], rule.t[0]?);
    let by = match combine {
        ReduceOp::Sum => return Some(apply(op.clone(), &[t])),
        ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => return None,
        ReduceOp::Prod | ReduceOp::Max | ReduceOp::Min => combine.binary(),
    };
    let both = |a: &[Tensor], b: &[Tensor]| {
        let y = [apply(Op::Binary(by), &[&a[0], &b[0]])];
        let rule = Jvp { x: &[&a[0], &b[0]], y: &y, t: &[Some(&a[1]), Some(&b[1])] };
        let tangent = elementwise::jvp_binary(by, &rule).unwrap_or_else(|| a[1].zeros_like());
        let [y] = y;
        vec![y, tangent]
    };
    let turned = |x: &Tensor| if reverse { x.flip(&[axis as isize]) } else { x.clone() };
    associative_scan(&[turned(x), turned(t)], axis, &both).last().map(turned)
}

pub(super) fn transpose_cumulative(
    op: &Op,
    (combine, axis, reverse): (ReduceOp, usize, bool),
    ct: &Tensor,
    x: &Operand<'_>,
) -> Vec<Option<Tensor>> {
    vec![Some(match combine {
        ReduceOp::Sum => apply(Op::Cumulative { op: combine, axis, reverse: !reverse }, &[ct]),
        _ => x.value(op),
    })]
}
