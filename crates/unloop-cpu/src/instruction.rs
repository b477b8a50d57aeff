//! What runs a scalar expression on a tile: the function, and its operands in the function's order.

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, DType};
use unloop_kernel::{Expr, ExprId};

use crate::simd::{Fused, Mode, Simd, TileFn};

/// A call of a tile function.
pub(crate) struct Instruction {
    pub f: TileFn,
    /// Operands, and whether each must be a tile even if it is one element for all.
    pub operands: SmallVec<[(ExprId, bool); 3]>,
    /// Whether it computes one element for the whole tile.
    pub uniform: bool,
}

/// What the choice of an instruction depends on.
pub(crate) trait Program {
    fn simd(&self) -> Simd;
    fn expr(&self, x: ExprId) -> &Expr;
    fn dtype(&self, x: ExprId) -> DType;
    /// Whether an expression has one element for the whole tile.
    fn is_uniform(&self, x: ExprId) -> bool;
}

/// Predicted nanoseconds an element of one instruction.
pub(crate) fn cost(expr: &Expr, dtype: DType) -> f64 {
    let width = dtype.size() as f64 / 4.0;
    match expr {
        Expr::Load(_) | Expr::Constant(_) | Expr::Carried(_) => 0.03 * width,
        Expr::Iota { .. } => 0.1 * width,
        Expr::Unary(op, _) => {
            use unloop_graph::UnaryOp::*;
            match op {
                Neg | Abs | Sign | Floor | Ceil | Round | RoundAway | Trunc | Square | Not
                | IsFinite | PopulationCount => 0.06 * width,
                Sqrt | Rsqrt | Reciprocal => 0.2 * width,
                _ => 0.7 * width,
            }
        }
        Expr::Binary(BinaryOp::Pow | BinaryOp::Atan2, ..) => 2.0 * width,
        Expr::Binary(BinaryOp::Div, ..) => 0.2 * width,
        Expr::Binary(BinaryOp::Rem, ..) => 2.0 * width,
        Expr::Binary(
            BinaryOp::Polygamma | BinaryOp::Igamma | BinaryOp::Igammac | BinaryOp::IgammaGradA,
            ..,
        ) => 100.0,
        Expr::Binary(..)
        | Expr::Compare(..)
        | Expr::Select(..)
        | Expr::Clamp(..)
        | Expr::Convert(..)
        | Expr::Bitcast(..) => 0.06 * width,
    }
}

/// The instruction of an expression; `None` for what is not computed: loads, constants, counts, and what
/// loops pass on.
pub(crate) fn instruction(program: &impl Program, x: ExprId) -> Option<Instruction> {
    let (simd, expr, dtype) = (program.simd(), program.expr(x), program.dtype(x));
    let is_uniform = |x: ExprId| program.is_uniform(x);
    let uniform = expr.operands().iter().all(|&x| is_uniform(x));
    let mode = |a: ExprId, b: ExprId| match (is_uniform(a), is_uniform(b)) {
        (false, true) => Mode::VectorScalar,
        (true, false) => Mode::ScalarVector,
        (false, false) | (true, true) => Mode::VectorVector,
    };
    let kernel = |f| match f {
        Some(f) => f,
        None => unreachable!("the type rules leave no operation without a kernel: {expr:?}"),
    };
    let (f, tiles) = match *expr {
        Expr::Unary(op, a) => (kernel(simd.unary(op, program.dtype(a))), [false; 3]),
        Expr::Binary(op, a, b) => (kernel(simd.binary(op, dtype, mode(a, b))), [false; 3]),
        Expr::Compare(op, a, b) => (simd.compare(op, program.dtype(a), mode(a, b)), [false; 3]),
        Expr::Select(_, a, b) => {
            let one = |x: ExprId| !uniform && is_uniform(x);
            (simd.select(dtype, one(a), one(b)), [!uniform, false, false])
        }
        Expr::Clamp(low, _, high) => {
            let bounds = !uniform && is_uniform(low) && is_uniform(high);
            let all = !uniform && !bounds;
            (simd.clamp(dtype, bounds), [all, !uniform, all])
        }
        Expr::Convert(to, a) => (simd.convert(program.dtype(a), to), [false; 3]),
        // The same bytes: a copy.
        Expr::Bitcast(to, _) => (simd.convert(to, to), [false; 3]),
        Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => {
            return None;
        }
    };
    let operands = expr.operands().into_iter().zip(tiles).collect();
    Some(Instruction { f, operands, uniform })
}

/// The product that an addition or subtraction takes in: `is_free` tells of an operand whether it is
/// computed for this expression alone.
pub(crate) fn product_within(
    program: &impl Program,
    expr: &Expr,
    is_free: impl Fn(ExprId) -> bool,
) -> Option<ExprId> {
    let (Expr::Binary(BinaryOp::Add, a, b) | Expr::Binary(BinaryOp::Sub, a, b)) = *expr else {
        return None;
    };
    let is_product = |&x: &ExprId| {
        matches!(program.expr(x), Expr::Binary(BinaryOp::Mul, ..))
            && program.dtype(x).is_float()
            && is_free(x)
    };
    [a, b].into_iter().find(is_product)
}

/// The instruction of a sum or difference `x` together with a product that it takes in, not both of
/// whose factors are uniform.
pub(crate) fn fused_instruction(
    program: &impl Program,
    x: ExprId,
    product: ExprId,
) -> Option<Instruction> {
    let (&Expr::Binary(_, mut p, mut q), &Expr::Binary(op, a, b)) =
        (program.expr(product), program.expr(x))
    else {
        return None;
    };
    let (op, other) = match op {
        BinaryOp::Add => (Fused::MulAdd, if product == a { b } else { a }),
        _ if product == a => (Fused::MulSub, b),
        _ => (Fused::SubMul, a),
    };
    if program.is_uniform(p) {
        std::mem::swap(&mut p, &mut q);
    }
    let (one_q, one_other) = (program.is_uniform(q), program.is_uniform(other));
    let f = program.simd().fused(op, program.dtype(x), one_q, one_other)?;
    let operands = SmallVec::from_slice(&[(p, false), (q, false), (other, false)]);
    Some(Instruction { f, operands, uniform: false })
}
