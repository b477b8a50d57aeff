//! Predicted time, in nanoseconds of a current two-core machine. Only comparisons matter.

use unloop_graph::{BinaryOp, Graph, Op, TensorType, UnaryOp, ValueId};

/// Starting a step that is not fused with others.
const START: f64 = 150.0;
/// Finding a window of a gather or a scatter.
const WINDOW: f64 = 1.0;
/// Reading or writing an element's byte in memory.
const BYTE: f64 = 0.04;
/// One elementwise operation on a byte: vectors of 64 bytes, a few instructions each.
const LANE_BYTE: f64 = 0.012;
/// A multiplication with an addition in a matrix product, for each byte of an element.
const PRODUCT_BYTE: f64 = 0.0015;

/// The same in a product of a matrix and a vector.
const VECTOR_BYTE: f64 = 0.013;

pub(crate) fn bytes(ty: &TensorType) -> f64 {
    ty.shape.size() as f64 * ty.dtype.size() as f64
}

/// How many simple operations an elementwise operation is.
fn weight(op: &Op) -> f64 {
    match op {
        Op::Unary(op) => match op {
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Square | UnaryOp::Not | UnaryOp::Sign => 1.0,
            UnaryOp::Sqrt | UnaryOp::Rsqrt | UnaryOp::Reciprocal => 6.0,
            UnaryOp::Lgamma | UnaryOp::Digamma | UnaryOp::ErfInv => 100.0,
            _ => 15.0,
        },
        Op::Binary(op) => match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min => 1.0,
            BinaryOp::Div => 5.0,
            BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Rem => 40.0,
            BinaryOp::Igamma | BinaryOp::Igammac | BinaryOp::Polygamma => 200.0,
            _ => 2.0,
        },
        _ => 1.0,
    }
}

/// The time of a contraction of `batch` products of `m×k` and `k×n` matrices.
pub(crate) fn of_product(batch: f64, m: f64, n: f64, k: f64, element: f64) -> f64 {
    let volume = batch * m * n * k;
    let calls = START + batch * 25.0;
    if m == 1.0 || n == 1.0 {
        // A matrix and a vector: every element is read once.
        return calls + volume * element * VECTOR_BYTE;
    }
    // Narrow products do not fill the registers.
    let filled = (m.min(8.0) / 8.0) * (n.min(8.0) / 8.0);
    let memory = batch * (m * k + k * n + m * n) * element * VECTOR_BYTE;
    calls + (volume * element * PRODUCT_BYTE / filled).max(memory)
}

/// The time of a sum of products of two values over a space, in one fused loop.
pub(crate) fn of_fused_sum(volume: f64, memory: f64, element: f64) -> f64 {
    START + (volume * element * LANE_BYTE * 3.0).max(memory * BYTE)
}

/// Reading a value that has no memory yet: it is computed and written first.
pub(crate) fn of_writing(ty: &TensorType) -> f64 {
    START + 2.0 * bytes(ty) * BYTE
}

/// Sizes of batch, rows, columns and sums of a contraction.
pub(crate) fn extents(dims: &unloop_graph::DotDims, x: &TensorType, y: &TensorType) -> [f64; 4] {
    let size = |ty: &TensorType, axes: &[usize]| -> f64 {
        axes.iter().map(|&a| ty.shape[a] as f64).product()
    };
    [
        size(x, &dims.lhs_batch),
        size(x, &dims.lhs_free(x.rank())),
        size(y, &dims.rhs_free(y.rank())),
        size(x, &dims.lhs_contract),
    ]
}

/// The time of one operation, apart from what its operands take.
pub(crate) fn of_op(op: &Op, operands: &[&TensorType], results: &[TensorType]) -> f64 {
    let out: f64 = results.iter().map(bytes).sum();
    let read: f64 = operands.iter().map(|ty| bytes(ty)).sum();
    let n = |k: usize| operands.first().and_then(|a| a.shape.iter().rev().nth(k).copied());
    match op {
        Op::Constant(_)
        | Op::Iota { .. }
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice(_)
        | Op::Reverse(_)
        | Op::StopGradient => 0.0,
        op if op.is_elementwise() => 1.0 + out * LANE_BYTE * weight(op),
        Op::Reduce { .. } => START + read * LANE_BYTE,
        Op::Dot(dims) => {
            let [batch, m, n, k] = extents(dims, operands[0], operands[1]);
            of_product(batch, m, n, k, operands[0].dtype.size() as f64)
        }
        // Cubic in the size of the matrix.
        Op::Solve { .. } | Op::Lu | Op::Cholesky { .. } => {
            let (Some(size), Some(element)) = (n(0), operands.first()) else { return START };
            START + bytes(element) * (0.1 + size as f64 * 0.02) + read * size as f64 * 0.02
        }
        Op::Qr { .. } | Op::Svd { .. } | Op::Eigh => START + read * n(0).unwrap_or(1) as f64 * 0.5,
        Op::TriangularSolve(_) => START + read * n(0).unwrap_or(1) as f64 * 0.02,
        // Read where it is used, with numbers around.
        Op::Pad(_) => 1.0 + out * LANE_BYTE,
        // Every window is found by itself.
        Op::Gather(_) | Op::Scatter(_) => {
            let windows = operands[1].shape.iter().rev().skip(1).product::<usize>();
            START + (read + out) * BYTE + windows as f64 * WINDOW
        }
        _ => START + (read + out) * BYTE,
    }
}

/// Whether an operation only says how its operand is read, so that as a result it is a copy.
pub(crate) fn is_copied_view(op: &Op) -> bool {
    matches!(op, Op::Transpose(_) | Op::Slice(_) | Op::Reverse(_))
}

/// The time of a program, every operation once.
pub(crate) fn of_graph(graph: &Graph) -> f64 {
    let mut cost = 0.0;
    for node in graph.nodes() {
        let operands: Vec<&TensorType> = node.operands.iter().map(|&v| graph.ty(v)).collect();
        let results: Vec<TensorType> =
            node.results().map(|v| graph.ty(ValueId(v)).clone()).collect();
        cost += of_op(&node.op, &operands, &results);
        if is_copied_view(&node.op) && node.results().any(|v| graph.outputs().contains(&ValueId(v)))
        {
            cost += results.iter().map(of_writing).sum::<f64>();
        }
    }
    cost
}
