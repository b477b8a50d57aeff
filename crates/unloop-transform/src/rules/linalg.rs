//! Rules of factorisations and solves, whose operands are stacks of matrices already.
//!
//! Derivatives: Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
//! differentiation* (2008), and the triangular parts as in JAX.

use unloop_graph::op::TriangularSolve;
use unloop_graph::{Axes, CompareOp, DType, DotDims, Op, Place, Shape, Tensor};

use super::{Batched, Jvp, Operand, apply};

pub(super) fn batch(op: &Op, operands: &[&Batched], size: usize) -> Vec<Batched> {
    if let (Op::Solve { .. } | Op::TriangularSolve(_), Batched::Same(a), Batched::Each(b)) =
        (op, operands[0], operands.get(1).copied().unwrap_or(operands[0]))
    {
        // One matrix for all examples: their right-hand sides are columns of one system.
        let rank = b.rank();
        let columns = b.shape()[rank - 1];
        let wide = b.move_axis(0, -2);
        let mut shape = Shape::from(a.shape());
        shape[rank - 2] = size * columns;
        let x = apply(op.clone(), &[a, &wide.reshape(shape)]);
        return vec![Batched::Each(x.reshape(wide.shape()).move_axis(-2, 0))];
    }
    let operands: Vec<Tensor> = operands.iter().map(|x| x.each(size)).collect();
    let operands: Vec<&Tensor> = operands.iter().collect();
    Tensor::apply(op.clone(), &operands, Place::here()).into_iter().map(Batched::Each).collect()
}

/// The matrix product of stacks.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    let rank = a.rank();
    let batch: Axes = (0..rank - 2).collect();
    let dims = DotDims {
        lhs_contract: [rank - 1].into_iter().collect(),
        rhs_contract: [rank - 2].into_iter().collect(),
        lhs_batch: batch.clone(),
        rhs_batch: batch,
    };
    apply(Op::Dot(dims), &[a, b])
}

/// The elements whose row compares with their column as asked; the others are 0.
pub(super) fn triangle(x: &Tensor, keep: CompareOp) -> Tensor {
    let rank = x.rank();
    let row = Tensor::iota(DType::I64, x.shape(), rank - 2);
    let column = Tensor::iota(DType::I64, x.shape(), rank - 1);
    apply(Op::Compare(keep), &[&row, &column]).select(x, &x.zeros_like())
}

pub(super) fn solve_triangular(
    a: &Tensor,
    b: &Tensor,
    lower: bool,
    transpose: bool,
    unit: bool,
) -> Tensor {
    let how = TriangularSolve { lower, transpose, unit_diagonal: unit };
    apply(Op::TriangularSolve(how), &[a, b])
}

/// `dl = l·Φ(l⁻¹·da·l⁻ᵀ)`, where Φ takes the lower triangle with half of the diagonal.
pub(super) fn jvp_cholesky(rule: &Jvp<'_>) -> Tensor {
    let (l, da) = (&rule.y[0], rule.tangent(0));
    // (l⁻¹·daᵀ)ᵀ = da·l⁻ᵀ
    let right = solve_triangular(l, &da.mt(), true, false, false).mt();
    let inner = solve_triangular(l, &right, true, false, false);
    let below = triangle(&inner, CompareOp::Gt);
    let diagonal = triangle(&inner, CompareOp::Eq);
    matmul(l, &(below + diagonal * 0.5))
}

/// With `p·a = l·u`: `dl = l·tril(l⁻¹·p·da·u⁻¹, -1)`, `du = triu(l⁻¹·p·da·u⁻¹)·u`. A rectangular
/// matrix is extended to a square one, so that both factors have inverses.
pub(super) fn jvp_lu(rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (lu, permutation, da) = (&rule.y[0], &rule.y[2], rule.tangent(0));
    let rank = lu.rank();
    let (m, n) = (lu.shape()[rank - 2], lu.shape()[rank - 1]);
    let k = m.min(n);
    let dtype = lu.dtype();
    // p·da: rows taken by the permutation, as a product with a matrix of ones and zeros.
    let square = Shape::from(&lu.shape()[..rank - 2]).concat(&[m, m]);
    let columns = Tensor::iota(DType::I32, &square, rank - 1);
    let rows: Axes = (0..rank - 1).collect();
    let p = permutation.broadcast_in_dim(&square, rows).equal(&columns).cast(dtype);
    let pa = matmul(&p, &da);
    let window = |x: &Tensor, rows: usize, columns: usize| {
        x.slice_axis(-2, 0, rows).slice_axis(-1, 0, columns)
    };
    // Square factors: l with the identity in the missing columns, u with it in the missing rows.
    let extend = |x: Tensor, size: usize| {
        let mut amounts = vec![(0, 0); rank];
        amounts[rank - 2].1 = size - x.shape()[rank - 2];
        amounts[rank - 1].1 = size - x.shape()[rank - 1];
        let padded = x.pad(&amounts, &Tensor::zeros(dtype, ()));
        let position = Tensor::iota(DType::I64, padded.shape(), rank - 1);
        let beyond = position.greater_equal(&Tensor::from(k as i64));
        let diagonal = triangle(&padded.ones_like(), CompareOp::Eq);
        padded + beyond.select(&diagonal, &diagonal.zeros_like())
    };
    let l = extend(triangle(&window(lu, m, k), CompareOp::Gt), m);
    let u = extend(triangle(&window(lu, k, n), CompareOp::Le), n);
    let left = solve_triangular(&l, &pa, true, false, true);
    // (u⁻ᵀ·leftᵀ)ᵀ = left·u⁻¹
    let inner = solve_triangular(&u, &left.mt(), false, true, false).mt();
    let dl = {
        let unit = triangle(&l, CompareOp::Gt) + triangle(&l.ones_like(), CompareOp::Eq);
        let strict = triangle(&inner, CompareOp::Gt);
        let strict = strict.slice_axis(-1, 0, k);
        matmul(&unit, &strict)
    };
    let du = {
        let upper = triangle(&inner, CompareOp::Le).slice_axis(-2, 0, k);
        matmul(&upper, &u)
    };
    let fit = |x: Tensor| {
        let mut amounts = vec![(0, 0); rank];
        amounts[rank - 2].1 = m - x.shape()[rank - 2];
        amounts[rank - 1].1 = n - x.shape()[rank - 1];
        x.pad(&amounts, &Tensor::zeros(dtype, ()))
    };
    let dlu = fit(triangle(&dl, CompareOp::Gt)) + fit(triangle(&du, CompareOp::Le));
    vec![Some(dlu), None, None]
}

/// `dx = a⁻¹·(db - da·x)`, where only the triangle that is read counts in `da`.
pub(super) fn jvp_triangular_solve(how: &TriangularSolve, rule: &Jvp<'_>) -> Tensor {
    let (a, x) = (rule.x[0], &rule.y[0]);
    let change = rule.t[0].map(|da| {
        let da = triangle(
            da,
            match (how.lower, how.unit_diagonal) {
                (true, true) => CompareOp::Gt,
                (true, false) => CompareOp::Ge,
                (false, true) => CompareOp::Lt,
                (false, false) => CompareOp::Le,
            },
        );
        -matmul(&if how.transpose { da.mt() } else { da }, x)
    });
    let right = sum(rule.t[1], change, x);
    apply(Op::TriangularSolve(*how), &[a, &right])
}

/// `dx = a⁻¹·(db - da·x)`.
pub(super) fn jvp_solve(transpose: bool, rule: &Jvp<'_>) -> Tensor {
    let (a, x) = (rule.x[0], &rule.y[0]);
    let change = rule.t[0].map(|da| -matmul(&if transpose { da.mt() } else { da.clone() }, x));
    apply(Op::Solve { transpose }, &[a, &sum(rule.t[1], change, x)])
}

fn sum(a: Option<&Tensor>, b: Option<Tensor>, like: &Tensor) -> Tensor {
    match (a, b) {
        (Some(a), Some(b)) => a + b,
        (Some(a), None) => a.clone(),
        (None, Some(b)) => b,
        (None, None) => like.zeros_like(),
    }
}

/// Solves are linear in the right-hand side: the transposed system takes the cotangent.
pub(super) fn transpose(op: &Op, ct: &Tensor, x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let transposed = match op {
        Op::Solve { transpose } => Op::Solve { transpose: !transpose },
        Op::TriangularSolve(how) => {
            Op::TriangularSolve(TriangularSolve { transpose: !how.transpose, ..*how })
        }
        other => unreachable!("{} is no solve", other.name()),
    };
    let a = x[0].value(op);
    vec![None, x[1].is_linear().then(|| apply(transposed, &[&a, ct]))]
}
