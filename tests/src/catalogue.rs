//! Every operation with operands that it takes.

use smallvec::smallvec;
use unloop::op::{
    Gather, GatherDims, IndexMode, Pad, PadAxis, Scatter, ScatterDims, ScatterOp, Slice,
    TriangularSolve,
};
use unloop::{ArgReduceOp, BinaryOp, CompareOp, DType, DotDims, Op, ReduceOp, Scalar, UnaryOp};
use unloop_graph::{Array, Error, Graph, Place, Shape, TensorType};

use crate::{Layout, Operand, Values};

/// An operation and its operands.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation.
    pub op: Op,
    /// What it is applied to.
    pub operands: Vec<Operand>,
}

impl Case {
    fn new(op: Op, operands: Vec<Operand>) -> Case {
        Case { op, operands }
    }

    /// The types of the operands.
    pub fn types(&self) -> Vec<TensorType> {
        self.operands.iter().map(|o| o.ty.clone()).collect()
    }

    /// The program of this one operation.
    pub fn graph(&self) -> Result<Graph, Error> {
        let types = self.op.infer(&self.types());
        let types = types.map_err(|kind| Error::new(self.op.name(), kind, Place(None)))?;
        Ok(Graph::of_op(self.op.clone(), self.types(), types, Place(None)))
    }

    /// Random operands.
    pub fn arrays(&self, rng: &mut fastrand::Rng, layout: Layout) -> Vec<Array> {
        self.operands.iter().map(|o| o.array(rng, layout)).collect()
    }

    /// The same with operands in which derivatives exist and differences are accurate.
    pub fn smooth(&self) -> Case {
        let mut case = self.clone();
        let n = case.operands.len();
        for (i, operand) in case.operands.iter_mut().enumerate() {
            if operand.values == Values::Any && operand.ty.dtype.is_float() {
                let (low, high) = domain(&self.op, i, n);
                operand.values = Values::Within(low, high);
            }
        }
        case
    }
}

/// Where an operation is smooth, in operand `i`.
fn domain(op: &Op, i: usize, _count: usize) -> (f64, f64) {
    use UnaryOp::*;
    match op {
        Op::Unary(Asin | Acos | Atanh | ErfInv) => (-0.9, 0.9),
        Op::Unary(Acosh) => (1.2, 3.0),
        Op::Unary(Sqrt | Rsqrt | Cbrt | Reciprocal | Log | Lgamma | Digamma | Abs | Sign) => {
            (0.3, 3.0)
        }
        Op::Unary(Floor | Ceil | Trunc) => (0.1, 0.9),
        Op::Unary(Round | RoundAway) => (0.6, 1.4),
        Op::Unary(Log1p) => (-0.5, 2.0),
        Op::Binary(BinaryOp::Pow) if i == 0 => (0.3, 3.0),
        Op::Binary(BinaryOp::Igamma | BinaryOp::Igammac) => (0.5, 3.0),
        Op::Binary(BinaryOp::Div) if i == 1 => (0.5, 2.0),
        // A quotient that stays between two integers.
        Op::Binary(BinaryOp::Rem) if i == 0 => (5.1, 5.9),
        Op::Binary(BinaryOp::Rem) => (2.0, 2.5),
        // Operands that do not meet.
        Op::Binary(BinaryOp::Max | BinaryOp::Min) if i == 1 => (1.1, 2.0),
        Op::Clamp if i == 0 => (-1.0, -0.5),
        Op::Clamp if i == 2 => (0.5, 1.0),
        Op::Clamp => (-2.0, 2.0),
        Op::Reduce { op: ReduceOp::Prod, .. } => (0.5, 1.5),
        _ => (-1.0, 1.0),
    }
}

fn any(dtype: DType, shape: &[usize]) -> Operand {
    Operand::new(dtype, shape, Values::Any)
}

/// Keeps the cases whose operands the operation takes.
fn accepted(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().filter(|case| case.op.infer(&case.types()).is_ok()).collect()
}

/// Every elementwise operation of every dtype, on one shape.
pub fn elementwise_cases(shape: &[usize]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &dtype in &DType::ALL {
        let x = || any(dtype, shape);
        cases.extend(UnaryOp::ALL.iter().map(|&op| Case::new(Op::Unary(op), vec![x()])));
        cases.extend(BinaryOp::ALL.iter().map(|&op| Case::new(Op::Binary(op), vec![x(), x()])));
        cases.extend(CompareOp::ALL.iter().map(|&op| Case::new(Op::Compare(op), vec![x(), x()])));
        cases.push(Case::new(Op::Select, vec![any(DType::Bool, shape), x(), x()]));
        cases.push(Case::new(Op::Clamp, vec![x(), x(), x()]));
        cases.push(Case::new(Op::StopGradient, vec![x()]));
        cases.push(Case::new(Op::Betainc, vec![x(), x(), x()]));
        cases.extend(DType::ALL.iter().map(|&to| Case::new(Op::Convert(to), vec![x()])));
        let same_width = |to: &&DType| to.size() == dtype.size() && dtype != DType::Bool;
        let bitcast = |&to: &DType| Case::new(Op::Bitcast(to), vec![x()]);
        cases.extend(DType::ALL.iter().filter(same_width).map(bitcast));
    }
    accepted(cases)
}

/// Operations that are not elementwise, with several parameters and dtypes.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &dtype in &DType::ALL {
        layout(dtype, &mut cases);
        reductions(dtype, &mut cases);
        indexing(dtype, &mut cases);
        cumulative(dtype, &mut cases);
        searches(dtype, &mut cases);
        products(dtype, &mut cases);
    }
    for dtype in [DType::F32, DType::F64] {
        linear_algebra(dtype, &mut cases);
    }
    accepted(cases)
}

fn layout(dtype: DType, cases: &mut Vec<Case>) {
    let x = |shape: &[usize]| any(dtype, shape);
    let mut add = |op: Op, operands: Vec<Operand>| cases.push(Case::new(op, operands));
    for (from, to) in
        [(&[2, 6][..], &[3, 4][..]), (&[4, 3], &[12]), (&[6], &[1, 6, 1]), (&[0, 3], &[5, 0])]
    {
        add(Op::Reshape(Shape::from(to)), vec![x(from)]);
    }
    add(Op::Iota { ty: TensorType::new(dtype, [3, 5]), axis: 1 }, vec![]);
    add(Op::Iota { ty: TensorType::new(dtype, [3, 5]), axis: 0 }, vec![]);
    add(Op::Transpose(smallvec![1, 0]), vec![x(&[3, 70])]);
    add(Op::Transpose(smallvec![2, 0, 1]), vec![x(&[3, 4, 5])]);
    let broadcast = |shape: &[usize], dims: &[usize]| Op::Broadcast {
        shape: Shape::from(shape),
        dims: dims.iter().copied().collect(),
    };
    add(broadcast(&[3, 4], &[1]), vec![x(&[4])]);
    add(broadcast(&[3, 4], &[0]), vec![x(&[3])]);
    add(broadcast(&[2, 3, 4], &[]), vec![x(&[])]);
    let slice = |start: &[usize], limit: &[usize], step: &[usize]| {
        Op::Slice(Slice {
            start: start.iter().copied().collect(),
            limit: limit.iter().copied().collect(),
            step: step.iter().copied().collect(),
        })
    };
    add(slice(&[1, 0], &[3, 5], &[1, 2]), vec![x(&[4, 5])]);
    add(slice(&[2, 2], &[2, 4], &[1, 1]), vec![x(&[4, 5])]);
    for amounts in [[(1, 2, 0), (0, 1, 2)], [(-1, 0, 1), (2, -1, 0)], [(-2, -2, 0), (3, -4, 2)]] {
        let axis = |(low, high, interior)| PadAxis { low, high, interior };
        add(Op::Pad(Pad(amounts.map(axis).into_iter().collect())), vec![x(&[4, 3]), x(&[])]);
    }
    add(Op::Concatenate { axis: 0 }, vec![x(&[2, 3]), x(&[1, 3]), x(&[0, 3])]);
    add(Op::Concatenate { axis: 1 }, vec![x(&[2, 3]), x(&[2, 1])]);
    add(Op::Reverse(smallvec![0]), vec![x(&[5, 2])]);
    add(Op::Reverse(smallvec![0, 1]), vec![x(&[5, 2])]);
}

fn reductions(dtype: DType, cases: &mut Vec<Case>) {
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[7], &[0]),
        (&[5, 70], &[1]),
        (&[70, 5], &[0]),
        (&[4, 3, 5], &[1]),
        (&[4, 3, 5], &[0, 2]),
        (&[4, 3, 5], &[0, 1, 2]),
        (&[3, 0], &[1]),
        (&[0, 3], &[1]),
        (&[3, 4], &[]),
    ];
    for (shape, axes) in shapes {
        for &op in ReduceOp::ALL {
            let axes = axes.iter().copied().collect();
            cases.push(Case::new(Op::Reduce { op, axes }, vec![any(dtype, shape)]));
        }
    }
    for (shape, axis) in [(&[70][..], 0), (&[5, 9], 1), (&[9, 5], 0), (&[2, 3, 4], 1)] {
        for (&op, index) in ArgReduceOp::ALL.iter().zip([DType::I32, DType::I64]) {
            let op = Op::ArgReduce { op, axis, dtype: index };
            cases.push(Case::new(op, vec![any(dtype, shape)]));
        }
    }
}

fn indexing(dtype: DType, cases: &mut Vec<Case>) {
    let zero = Scalar::new(dtype, unloop_graph::Number::Int(1));
    let modes = [IndexMode::Error, IndexMode::Clip, IndexMode::Fill(zero)];
    for (mode, index) in modes.into_iter().zip([DType::I32, DType::I64, DType::U32]) {
        // Positions beyond the end, unless they are errors.
        let bound = |n: usize| Values::Below(if mode == IndexMode::Error { n } else { n + 2 });
        let indices = |shape: &[usize], n: usize| Operand::new(index, shape, bound(n));
        let x = |shape: &[usize]| any(dtype, shape);
        let rows = GatherDims {
            offset_dims: smallvec![1],
            collapsed_slice_dims: smallvec![0],
            start_index_map: smallvec![0],
            ..Default::default()
        };
        let gather = |dims: &GatherDims, sizes: &[usize]| {
            let slice_sizes = sizes.iter().copied().collect();
            Op::Gather(Gather { dims: dims.clone(), slice_sizes, mode })
        };
        cases.push(Case::new(gather(&rows, &[1, 4]), vec![x(&[5, 4]), indices(&[6, 1], 5)]));
        let windows = GatherDims {
            offset_dims: smallvec![0, 2],
            start_index_map: smallvec![1, 0],
            ..Default::default()
        };
        cases.push(Case::new(gather(&windows, &[2, 3]), vec![x(&[5, 4]), indices(&[6, 2], 2)]));
        let batched = GatherDims {
            collapsed_slice_dims: smallvec![1],
            start_index_map: smallvec![1],
            operand_batching_dims: smallvec![0],
            start_indices_batching_dims: smallvec![0],
            ..Default::default()
        };
        let operands = vec![x(&[3, 5]), indices(&[3, 4, 1], 5)];
        cases.push(Case::new(gather(&batched, &[1, 1]), operands));
        for &op in ScatterOp::ALL {
            let rows = ScatterDims {
                update_window_dims: smallvec![1],
                inserted_window_dims: smallvec![0],
                scatter_dims_to_operand_dims: smallvec![0],
                ..Default::default()
            };
            let operands = vec![x(&[5, 4]), indices(&[6, 1], 5), x(&[6, 4])];
            cases.push(Case::new(Op::Scatter(Scatter { dims: rows, op, mode }), operands));
            let elements = ScatterDims {
                inserted_window_dims: smallvec![0, 1],
                scatter_dims_to_operand_dims: smallvec![1, 0],
                ..Default::default()
            };
            let operands = vec![x(&[4, 4]), indices(&[7, 2], 4), x(&[7])];
            cases.push(Case::new(Op::Scatter(Scatter { dims: elements, op, mode }), operands));
        }
    }
}

fn searches(dtype: DType, cases: &mut Vec<Case>) {
    let shapes: [(&[usize], &[usize]); 10] = [
        (&[0], &[3]),
        (&[1], &[17]),
        (&[2], &[4, 4]),
        (&[16], &[15]),
        (&[17], &[0]),
        (&[64], &[]),
        (&[65], &[33]),
        (&[3, 5], &[3, 2, 9]),
        (&[3, 4], &[3]),
        (&[0, 5], &[0, 2]),
    ];
    for (table, values) in shapes {
        for right in [false, true] {
            let operands = vec![any(dtype, table), any(dtype, values)];
            cases.push(Case::new(Op::SearchSorted { right }, operands));
        }
    }
}

fn cumulative(dtype: DType, cases: &mut Vec<Case>) {
    // Around the blocks of a row, and the pieces of a long one.
    let long: [(&[usize], usize); 2] = [(&[70_001], 0), (&[2, 33_000], 1)];
    let shapes: [(&[usize], usize); 10] = [
        (&[0], 0),
        (&[1], 0),
        (&[17], 0),
        (&[577], 0),
        (&[2, 1200], 1),
        (&[3, 4, 5], 0),
        (&[3, 4, 5], 1),
        (&[2, 0, 3], 0),
        (&[2, 0, 3], 1),
        (&[5, 1100], 0),
    ];
    for &op in ReduceOp::ALL {
        let fits = match op {
            ReduceOp::Sum | ReduceOp::Prod => dtype != DType::Bool,
            ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => !dtype.is_float(),
            ReduceOp::Max | ReduceOp::Min => true,
        };
        // Among so many numbers, some extremes are too near to each other for differences.
        let long = long.into_iter().filter(|_| op == ReduceOp::Sum);
        for (shape, axis) in shapes.into_iter().chain(long).filter(|_| fits) {
            for reverse in [false, true] {
                let operands = vec![any(dtype, shape)];
                cases.push(Case::new(Op::Cumulative { op, axis, reverse }, operands));
            }
        }
    }
}

fn products(dtype: DType, cases: &mut Vec<Case>) {
    type Dims = (&'static [usize], &'static [usize], &'static [usize], &'static [usize]);
    let table: [(&[usize], &[usize], Dims); 10] = [
        (&[3, 4], &[4, 5], (&[1], &[0], &[], &[])),
        (&[4, 3], &[4, 5], (&[0], &[0], &[], &[])),
        (&[3, 4], &[5, 4], (&[1], &[1], &[], &[])),
        (&[7], &[7], (&[0], &[0], &[], &[])),
        (&[3], &[4], (&[], &[], &[], &[])),
        (&[2, 3, 4], &[2, 4, 5], (&[2], &[1], &[0], &[0])),
        (&[3, 4, 2], &[4, 5, 2], (&[1], &[0], &[2], &[2])),
        (&[2, 3, 4], &[4, 2, 5], (&[0, 2], &[1, 0], &[], &[])),
        (&[3, 2, 4], &[5, 2, 6, 3], (&[1], &[1], &[0], &[3])),
        (&[3, 0], &[0, 5], (&[1], &[0], &[], &[])),
    ];
    let values = if dtype.is_float() { Values::Within(-2.0, 2.0) } else { Values::Any };
    let mut add = |left: &[usize], right: &[usize], dims: Dims| {
        let dims = DotDims {
            lhs_contract: dims.0.iter().copied().collect(),
            rhs_contract: dims.1.iter().copied().collect(),
            lhs_batch: dims.2.iter().copied().collect(),
            rhs_batch: dims.3.iter().copied().collect(),
        };
        let operand = |shape: &[usize]| Operand::new(dtype, shape, values);
        cases.push(Case::new(Op::Dot(dims), vec![operand(left), operand(right)]));
    };
    table.iter().for_each(|(left, right, dims)| add(left, right, *dims));
    // Past the size at which products are blocked.
    add(&[33, 40], &[40, 17], (&[1], &[0], &[], &[]));
}

fn linear_algebra(dtype: DType, cases: &mut Vec<Case>) {
    let mut add = |op: Op, operands: Vec<Operand>| cases.push(Case::new(op, operands));
    let matrix = |shape: &[usize], values| Operand::new(dtype, shape, values);
    let b = |shape: &[usize]| Operand::new(dtype, shape, Values::Within(-1.0, 1.0));
    for n in [0, 1, 2, 5, 40] {
        for checked in [false, true] {
            add(Op::Cholesky { checked }, vec![matrix(&[n, n], Values::Definite)]);
        }
        add(Op::Lu, vec![matrix(&[n, n], Values::Regular)]);
        for transpose in [false, true] {
            let operands = vec![matrix(&[n, n], Values::Regular), b(&[n, 3])];
            add(Op::Solve { transpose }, operands);
            for lower in [false, true] {
                for unit_diagonal in [false, true] {
                    let how = TriangularSolve { lower, transpose, unit_diagonal };
                    // A large triangle of ones is too close to singular to compare.
                    let values = match unit_diagonal {
                        true => Values::Within(-0.3, 0.3),
                        false => Values::Regular,
                    };
                    let operands = vec![matrix(&[n, n], values), b(&[n, 2])];
                    add(Op::TriangularSolve(how), operands);
                }
            }
        }
    }
    add(Op::Lu, vec![matrix(&[5, 3], Values::Within(-1.0, 1.0))]);
    add(Op::Lu, vec![matrix(&[3, 5], Values::Within(-1.0, 1.0))]);
    add(Op::Cholesky { checked: false }, vec![matrix(&[3, 4, 4], Values::Definite)]);
    add(Op::Lu, vec![matrix(&[2, 3, 4, 4], Values::Regular)]);
    let operands = vec![matrix(&[3, 4, 4], Values::Regular), b(&[3, 4, 2])];
    add(Op::Solve { transpose: false }, operands);
}
