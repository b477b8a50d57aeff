//! Sums whose summands are products or squares: the last operations of a summand and adding it to the
//! total are one instruction.

use unloop_graph::{BinaryOp, ReduceOp, UnaryOp};
use unloop_kernel::{Expr, ExprId, Kernel};

use crate::simd::{Fused, Simd, TileFn};
use crate::tape::{Place, Tape, Tiling};

/// How tiles of summands are added to totals.
pub(crate) struct Summand {
    /// Of the operands `a` and `b` and the total.
    pub f: TileFn,
    /// Where the operands are after the tape has run; the first is a tile.
    pub operands: [Place; 2],
}

/// A kernel without its last operations, and what they are.
struct Split {
    kernel: Kernel,
    op: Fused,
    operands: [ExprId; 2],
}

/// Takes the last expression off, if no other one reads it.
fn without_last(kernel: &mut Kernel, x: ExprId) -> bool {
    let is_last = x.index() + 1 == kernel.exprs.len();
    if is_last {
        kernel.exprs.pop();
        kernel.dtypes.pop();
    }
    is_last
}

fn split(kernel: &Kernel) -> Option<Split> {
    let is_sum = kernel.reduction.is_some_and(|r| r.op == ReduceOp::Sum);
    let mut rest = kernel.clone();
    if !is_sum || !kernel.dtype().is_float() || !without_last(&mut rest, kernel.result) {
        return None;
    }
    let (op, operands) = match kernel.exprs[kernel.result.index()] {
        Expr::Binary(BinaryOp::Mul, a, b) => (Fused::MulAdd, [a, b]),
        Expr::Unary(UnaryOp::Square, x) => match kernel.exprs[x.index()] {
            Expr::Binary(BinaryOp::Sub, a, b)
                if !rest.exprs.iter().any(|e| e.operands().contains(&x))
                    && without_last(&mut rest, x) =>
            {
                (Fused::SubSquareAdd, [a, b])
            }
            _ => (Fused::MulAdd, [x, x]),
        },
        _ => return None,
    };
    rest.result = operands[0];
    Some(Split { kernel: rest, op, operands })
}

/// The tape of a kernel that sums along other axes than `inner`, up to what is added together with
/// the last operations of the summands; `None` if these are no products or squares.
pub(crate) fn compile(kernel: &Kernel, inner: usize, simd: Simd) -> Option<(Tape, Summand)> {
    let Split { kernel: rest, op, operands } = split(kernel)?;
    let mut tape = Tape::with_results(&rest, &operands, inner, simd, Tiling::Part);
    let mut places = [tape.result, tape.second?];
    // The order of factors makes no difference, nor does that of a difference that is squared.
    if matches!(places[0], Place::Uniform(_)) {
        places.swap(0, 1);
    }
    let [a, b] = places.map(|place| matches!(place, Place::Uniform(_)));
    let f = simd.fused(op, kernel.dtype(), b, false).filter(|_| !a)?;
    tape.dtype = kernel.dtype();
    Some((tape, Summand { f, operands: places }))
}
