//! A program on small arrays as one on single numbers: every element of every array is a value of its
//! own, so that moving elements about costs nothing and loops pass on numbers.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::op::{DotDims, Gather, IndexMode, Scan, Scatter, ScatterOp, While};
use unloop_graph::{
    Array, Axes, BinaryOp, CompareOp, DType, Graph, Number, Op, ReduceOp, Scalar, Shape,
    TensorType, UnaryOp, ValueId,
};
use unloop_kernel::{Expr, ExprId};

use super::memory::{View, sink};
use crate::instruction::operands;

/// Values of a program, at most.
const MAX_EXPRS: usize = 6_000;

/// Elements of an array, at most.
const MAX_ELEMENTS: usize = 1_024;

/// Elements of an array whose numbers are part of the program, at most.
const MAX_KNOWN: usize = 256;

/// Elements of an array that is moved about only, at most.
const MAX_MOVED: usize = 16_384;

/// Runs of a loop that are written out, at most, if its entries are no input's.
const MAX_RUNS: usize = 16;

/// Rows of a matrix that is eliminated with pivots, at most.
const MAX_PIVOTED: usize = 4;

/// A program on numbers. `Expr::Load(i)` is one of `loads`.
pub(super) struct Scalars {
    pub exprs: Vec<Expr>,
    pub dtypes: Vec<DType>,
    pub loads: Vec<Load>,
    pub block: Vec<Entry>,
    /// The elements of each output; none of those that a loop writes.
    pub outputs: Vec<Vec<ExprId>>,
}

/// An element of an input; of the entry of a loop's run if `step`, the distance of entries, is given.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub input: usize,
    pub element: usize,
    pub step: Option<isize>,
}

/// What is done, in order.
pub(super) enum Entry {
    Compute(ExprId),
    Repeat(Repeat),
}

/// A loop: what stands in `head` is computed, then `on` decides whether `body` is, and then the loop
/// begins again with the next values.
pub(super) struct Repeat {
    pub head: Vec<Entry>,
    pub until: Until,
    pub body: Vec<Entry>,
    pub passed: Vec<Passed>,
    pub stacked: Vec<Stacked>,
}

#[derive(Clone, Copy)]
pub(super) enum Until {
    /// As long as this is true, for any example.
    False(ExprId),
    /// This often; the last entries first if `reverse`.
    Count { count: usize, reverse: bool },
}

/// What a loop passes on: within the loop and after it, `value` is the latest.
pub(super) struct Passed {
    pub value: ExprId,
    pub start: ExprId,
    pub next: ExprId,
}

/// What each run of a loop writes to an output.
pub(super) struct Stacked {
    pub value: ExprId,
    pub output: usize,
    /// The element that the first entry has it at, and the distance of entries.
    pub element: usize,
    pub step: isize,
}

/// An array of the program.
#[derive(Clone, Default)]
struct Value {
    /// The values of its elements.
    ids: Option<Array>,
    /// Where it lies, if it is one of an input's.
    memory: Option<View>,
}

impl Value {
    fn of(ids: Array) -> Value {
        Value { ids: Some(ids), memory: None }
    }
}

/// Rows and columns of a matrix that is factorised with pivots, at most.
const MAX_FACTORED: usize = 8;

struct Unroller {
    exprs: Vec<Expr>,
    dtypes: Vec<DType>,
    loads: Vec<Load>,
    /// How many loops stand around each value.
    depth: Vec<usize>,
    /// What is computed in each of the loops that are open, outermost first.
    blocks: Vec<Vec<Entry>>,
    known: Vec<HashMap<Expr, ExprId>>,
}

/// Unrolls a program whose last inputs are always `known`; `None` if it is too large, or does what
/// cannot be.
pub(super) fn unroll(graph: &Graph, known: &[Array]) -> Option<Scalars> {
    let mut unroller = Unroller {
        exprs: Vec::new(),
        dtypes: Vec::new(),
        loads: Vec::new(),
        depth: Vec::new(),
        blocks: vec![Vec::new()],
        known: vec![HashMap::new()],
    };
    let mut inputs = Vec::new();
    let first_known = graph.inputs().len() - known.len();
    for (i, ty) in graph.inputs().iter().enumerate() {
        let size = ty.shape.size();
        let memory = Some(View::whole(i, &ty.shape));
        if let Some(known) = i.checked_sub(first_known).map(|k| &known[k])
            && size <= MAX_KNOWN
        {
            let mut ids = Vec::new();
            ty.shape.for_each_index(|index| {
                let value = Scalar::new(ty.dtype, known.get(index));
                ids.push(unroller.push(Expr::Constant(value), ty.dtype));
            });
            inputs.push(Value { ids: Some(array(ty.shape.clone(), ids)), memory });
            continue;
        }
        let ids = (size <= MAX_ELEMENTS).then(|| {
            let ids = (0..size).map(|element| {
                unroller.loads.push(Load { input: i, element, step: None });
                let load = Expr::Load(unroller.loads.len() - 1);
                unroller.push(load, ty.dtype)
            });
            let ids = ids.collect();
            array(ty.shape.clone(), ids)
        });
        inputs.push(Value { ids, memory });
    }
    let outputs = unroller.graph(graph, inputs, true)?;
    let outputs = outputs.iter().map(|x| match x {
        Value { ids: Some(ids), .. } => Some(elements(ids)),
        Value { ids: None, memory: None } => Some(Vec::new()),
        // An input that is too large to take apart.
        Value { ids: None, memory: Some(_) } => None,
    });
    let outputs = outputs.collect::<Option<_>>()?;
    let Unroller { exprs, dtypes, loads, mut blocks, .. } = unroller;
    Some(Scalars { exprs, dtypes, loads, block: blocks.pop()?, outputs })
}

/// What an operation that only moves elements makes of numbers of values.
fn moved(op: Op, operands: &[&Array], shape: &Shape) -> Option<Array> {
    let ids = TensorType::new(DType::I32, shape.clone());
    let operands: Vec<Array> = operands.iter().map(|&x| x.clone()).collect();
    op.evaluate(&operands, &SmallVec::from_iter([ids])).ok()?.pop()
}

/// What an index out of bounds does to numbers of values.
fn outside(mode: IndexMode) -> IndexMode {
    match mode {
        IndexMode::Error | IndexMode::Clip => mode,
        IndexMode::Fill(_) => IndexMode::Fill(Scalar::new(DType::I32, Number::Int(-1))),
    }
}

/// The values of an array's elements.
fn elements(ids: &Array) -> Vec<ExprId> {
    let ids: Vec<i32> = ids.to_vec().unwrap_or_default();
    ids.into_iter().map(|id| ExprId(id as u32)).collect()
}

fn array(shape: Shape, ids: Vec<ExprId>) -> Array {
    Array::new(shape, ids.into_iter().map(|x| x.0 as i32).collect())
}

impl Unroller {
    /// The number that a value always is.
    fn known(&self, x: ExprId) -> Option<Scalar> {
        match self.exprs[x.index()] {
            Expr::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// A value that needs not be computed.
    fn folded(&mut self, expr: &Expr, dtype: DType) -> Option<ExprId> {
        if let Expr::Select(p, a, b) = *expr {
            return match self.known(p) {
                Some(p) => Some(if p.number().truth() { a } else { b }),
                None => (a == b).then_some(a),
            };
        }
        let one = |x: ExprId| self.known(x).is_some_and(|s| s.number().float() == 1.0);
        match *expr {
            Expr::Binary(BinaryOp::Mul, a, b) if dtype.is_float() && one(b) => return Some(a),
            Expr::Binary(BinaryOp::Mul, a, b) if dtype.is_float() && one(a) => return Some(b),
            _ => {}
        }
        // Arithmetic and comparisons give the same bits here as on a tile.
        let op = match *expr {
            Expr::Unary(op @ (UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not), _) => Op::Unary(op),
            Expr::Binary(
                op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or),
                ..,
            ) => Op::Binary(op),
            Expr::Compare(op, ..) => Op::Compare(op),
            Expr::Convert(to, _) => Op::Convert(to),
            _ => return None,
        };
        let known: Option<Vec<Scalar>> = operands(expr).iter().map(|&x| self.known(x)).collect();
        let known: Vec<Array> =
            known?.into_iter().map(|x| Array::fill(Shape::scalar(), x)).collect();
        let ty = TensorType::new(dtype, ());
        let value = op.evaluate(&known, &SmallVec::from_iter([ty])).ok()?.first()?.as_fill()?;
        Some(self.push(Expr::Constant(value), dtype))
    }

    fn push(&mut self, expr: Expr, dtype: DType) -> ExprId {
        if let Some(folded) = self.folded(&expr, dtype) {
            return folded;
        }
        let depth = operands(&expr).iter().map(|x| self.depth[x.index()]).max().unwrap_or(0);
        if let Some(&known) = self.known[depth].get(&expr) {
            return known;
        }
        let id = self.fresh(expr.clone(), dtype, depth);
        // What does not change within a loop is computed before it.
        self.known[depth].insert(expr, id);
        self.blocks[depth].push(Entry::Compute(id));
        id
    }

    fn fresh(&mut self, expr: Expr, dtype: DType, depth: usize) -> ExprId {
        self.exprs.push(expr);
        self.dtypes.push(dtype);
        self.depth.push(depth);
        ExprId(self.exprs.len() as u32 - 1)
    }

    fn dtype(&self, x: ExprId) -> DType {
        self.dtypes[x.index()]
    }

    fn binary(&mut self, op: BinaryOp, a: ExprId, b: ExprId) -> ExprId {
        self.push(Expr::Binary(op, a, b), self.dtype(a))
    }

    fn number(&mut self, value: f64, dtype: DType) -> ExprId {
        self.push(Expr::Constant(Scalar::new(dtype, Number::Float(value))), dtype)
    }

    /// `a - b·c`.
    fn less_product(&mut self, a: ExprId, b: ExprId, c: ExprId) -> ExprId {
        let product = self.binary(BinaryOp::Mul, b, c);
        self.binary(BinaryOp::Sub, a, product)
    }

    fn select(&mut self, p: ExprId, a: ExprId, b: ExprId) -> ExprId {
        self.push(Expr::Select(p, a, b), self.dtype(a))
    }

    /// The results of a program; the outermost one may write them as its loops run.
    fn graph(&mut self, graph: &Graph, inputs: Vec<Value>, outermost: bool) -> Option<Vec<Value>> {
        let mut values = inputs;
        let mut needed = vec![false; graph.value_count()];
        graph.outputs().iter().for_each(|v| needed[v.index()] = true);
        for node in graph.nodes().iter().rev() {
            if node.results().any(|v| needed[v as usize]) {
                node.operands.iter().for_each(|v| needed[v.index()] = true);
            }
        }
        for node in graph.nodes() {
            if !node.results().any(|v| needed[v as usize]) {
                values.extend(node.results().map(|_| Value::default()));
                continue;
            }
            let types: SmallVec<[&TensorType; 3]> =
                node.results().map(|v| graph.ty(ValueId(v))).collect();
            if self.exprs.len() > MAX_EXPRS {
                return None;
            }
            let operands: SmallVec<[&Value; 3]> =
                node.operands.iter().map(|v| &values[v.index()]).collect();
            let results = match &node.op {
                Op::Scan(scan) => {
                    let stacks = node.results().skip(scan.carry).map(|v| match outermost {
                        true => sink(graph, ValueId(v)),
                        false => None,
                    });
                    let stacks: Option<Vec<View>> = stacks.collect();
                    self.repeat_scan(scan, &operands, stacks, &types)?
                }
                Op::While(repeat) => self.repeat_while(repeat, &operands)?,
                Op::WithDerivative(custom) => {
                    let inputs = operands.iter().copied().cloned().collect();
                    self.graph(&custom.body, inputs, false)?
                }
                op => self.value(op, &operands, &types)?,
            };
            drop(operands);
            values.extend(results);
        }
        Some(graph.outputs().iter().map(|v| values[v.index()].clone()).collect())
    }

    /// The results of an operation, as numbers and as a view.
    fn value(&mut self, op: &Op, operands: &[&Value], types: &[&TensorType]) -> Option<Vec<Value>> {
        // What a loop has written only becomes an output.
        if let [Value { ids: None, memory: None }] = operands {
            return Some(vec![Value::default()]);
        }
        let memory = operands.first().and_then(|x| x.memory.as_ref()?.through(op));
        let small = types.iter().all(|ty| ty.shape.size() <= MAX_MOVED);
        let ids: Option<Vec<Array>> = operands.iter().map(|x| x.ids.clone()).collect();
        match ids {
            Some(ids) if small => {
                let mut results = self.op(op, &ids, types)?.into_iter();
                let first = results.next().map(|ids| Value { ids: Some(ids), memory });
                Some(first.into_iter().chain(results.map(Value::of)).collect())
            }
            _ => Some(vec![Value { ids: None, memory: Some(memory?) }]),
        }
    }

    /// The results of an operation on numbers.
    fn op(&mut self, op: &Op, operands: &[Array], types: &[&TensorType]) -> Option<Vec<Array>> {
        let ty = types.first()?;
        let computed = |ids: Vec<ExprId>| Some(vec![array(ty.shape.clone(), ids)]);
        match op {
            Op::Constant(value) => {
                let id = self.push(Expr::Constant(*value), ty.dtype);
                computed(vec![id])
            }
            Op::Iota { axis, .. } => {
                let mut ids = Vec::new();
                ty.shape.for_each_index(|i| {
                    let value = Scalar::new(ty.dtype, Number::Int(i[*axis] as i128));
                    ids.push(self.push(Expr::Constant(value), ty.dtype));
                });
                computed(ids)
            }
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Select
            | Op::Clamp
            | Op::Convert(_)
            | Op::Bitcast(_) => self.elementwise(op, operands, ty).and_then(computed),
            Op::StopGradient => Some(operands.to_vec()),
            // Elements move; which one is where does not depend on what they are.
            Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast { .. }
            | Op::Slice(_)
            | Op::Pad(_)
            | Op::Concatenate { .. }
            | Op::Reverse(_) => {
                let operands: Vec<&Array> = operands.iter().collect();
                moved(op.clone(), &operands, &ty.shape).map(|ids| vec![ids])
            }
            Op::Reduce { op, axes } => {
                let ids = self.reduce(*op, axes, &operands[0], ty.dtype);
                computed(ids)
            }
            Op::Dot(dims) => self.dot(dims, &operands[0], &operands[1], ty).and_then(computed),
            Op::Cholesky => self.each_matrix(operands, ty, |s, m| s.cholesky(&m[0])),
            Op::TriangularSolve(how) => {
                let (lower, transpose, unit) = (how.lower, how.transpose, how.unit_diagonal);
                self.each_matrix(operands, ty, |s, m| {
                    let a = if transpose { m[0].transposed() } else { m[0].clone() };
                    s.substitute(&a, &m[1], lower != transpose, unit)
                })
            }
            // A single singular matrix is an error, which numbers cannot tell of.
            Op::Solve { transpose } if ty.rank() > 2 => self.each_matrix(operands, ty, |s, m| {
                let a = if *transpose { m[0].transposed() } else { m[0].clone() };
                s.solve(a, m[1].clone())
            }),
            Op::While(_) | Op::Scan(_) | Op::WithDerivative(_) => None,
            Op::Gather(gather) => {
                let indices = self.known_indices(&operands[1])?;
                // An index out of bounds reads what no value has as its number.
                let gather = Gather { mode: outside(gather.mode), ..gather.clone() };
                let moved = moved(Op::Gather(gather), &[&operands[0], &indices], &ty.shape)?;
                let inside = moved.to_vec::<i32>()?.into_iter().all(|id| id >= 0);
                inside.then(|| vec![moved])
            }
            Op::Scatter(scatter) => self.scatter(scatter, operands, ty).and_then(computed),
            Op::Lu => self.lu(&operands[0], types),
            Op::Solve { .. }
            | Op::Betainc
            | Op::ArgReduce { .. }
            | Op::Sort(_)
            | Op::Qr { .. }
            | Op::Svd { .. }
            | Op::Eigh
            | Op::Switch(_)
            | Op::Pullback(_)
            | Op::Host(_)
            | Op::AllGather(_) => None,
        }
    }

    /// Indices that are always the same.
    fn known_indices(&self, ids: &Array) -> Option<Array> {
        let value = |x: ExprId| self.known(x).map(|s| s.number().int() as i64);
        let values: Option<Vec<i64>> = elements(ids).into_iter().map(value).collect();
        Some(Array::new(ids.shape().clone(), values?))
    }

    /// Updates at known positions, no two at the same.
    fn scatter(
        &mut self,
        scatter: &Scatter,
        operands: &[Array],
        ty: &TensorType,
    ) -> Option<Vec<ExprId>> {
        let [x, indices, updates] = operands else { return None };
        let indices = self.known_indices(indices)?;
        let count = updates.len();
        let numbers = Array::new(updates.shape().clone(), (0..count as i32).collect());
        let none = Array::fill(x.shape().clone(), Scalar::new(DType::I32, Number::Int(-1)));
        let set = Scatter { op: ScatterOp::Set, ..scatter.clone() };
        let from = moved(Op::Scatter(set), &[&none, &indices, &numbers], &ty.shape)?;
        let from = from.to_vec::<i32>()?;
        if from.iter().filter(|&&update| update >= 0).count() != count {
            return None;
        }
        let updates = elements(updates);
        let combined = elements(x).into_iter().zip(from).map(|(x, update)| {
            let Ok(update) = usize::try_from(update) else { return x };
            match scatter.op.binary() {
                None => updates[update],
                Some(op) => self.binary(op, x, updates[update]),
            }
        });
        Some(combined.collect())
    }

    fn elementwise(&mut self, op: &Op, operands: &[Array], ty: &TensorType) -> Option<Vec<ExprId>> {
        let operands: Vec<Vec<ExprId>> = operands.iter().map(elements).collect();
        let size = ty.shape.size();
        if size > MAX_ELEMENTS {
            return None;
        }
        let mut ids = Vec::with_capacity(size);
        for i in 0..size {
            let x: SmallVec<[ExprId; 3]> = operands.iter().map(|ids| ids[i]).collect();
            let x = |k: usize| x[k];
            let expr = match op {
                Op::Unary(op) => Expr::Unary(*op, x(0)),
                Op::Binary(op) => Expr::Binary(*op, x(0), x(1)),
                Op::Compare(op) => Expr::Compare(*op, x(0), x(1)),
                Op::Select => Expr::Select(x(0), x(1), x(2)),
                Op::Clamp => Expr::Clamp(x(0), x(1), x(2)),
                Op::Convert(dtype) => Expr::Convert(*dtype, x(0)),
                Op::Bitcast(dtype) => Expr::Bitcast(*dtype, x(0)),
                _ => return None,
            };
            ids.push(self.push(expr, ty.dtype));
        }
        Some(ids)
    }

    /// An array whose last axes are these, in row-major order.
    fn with_last(x: &Array, last: &[usize], first: &[usize]) -> Vec<ExprId> {
        let rank = x.shape().rank();
        let rest = (0..rank).filter(|a| !last.contains(a) && !first.contains(a));
        let perm: Axes = first.iter().copied().chain(rest).chain(last.iter().copied()).collect();
        elements(&x.transpose(&perm).to_standard())
    }

    fn reduce(&mut self, op: ReduceOp, axes: &[usize], x: &Array, dtype: DType) -> Vec<ExprId> {
        let length: usize = axes.iter().map(|&a| x.shape()[a]).product();
        let ids = Unroller::with_last(x, axes, &[]);
        if length == 0 {
            let kept: usize =
                (0..x.shape().rank()).filter(|a| !axes.contains(a)).map(|a| x.shape()[a]).product();
            let identity = self.push(Expr::Constant(op.identity(dtype)), dtype);
            return vec![identity; kept];
        }
        let combine = |s: &mut Self, row: &[ExprId]| {
            let (first, rest) = (row[0], &row[1..]);
            rest.iter().fold(first, |sum, &x| s.binary(op.binary(), sum, x))
        };
        ids.chunks(length).map(|row| combine(self, row)).collect()
    }

    fn dot(
        &mut self,
        dims: &DotDims,
        x: &Array,
        y: &Array,
        ty: &TensorType,
    ) -> Option<Vec<ExprId>> {
        let length: usize = dims.lhs_contract.iter().map(|&a| x.shape()[a]).product();
        let batch: usize = dims.lhs_batch.iter().map(|&a| x.shape()[a]).product();
        if length == 0 || batch == 0 || ty.shape.size() * length > MAX_EXPRS {
            return None;
        }
        let left = Unroller::with_last(x, &dims.lhs_contract, &dims.lhs_batch);
        let right = Unroller::with_last(y, &dims.rhs_contract, &dims.rhs_batch);
        let mut ids = Vec::new();
        let (rows, columns) = (left.len() / batch, right.len() / batch);
        for (left, right) in left.chunks(rows.max(1)).zip(right.chunks(columns.max(1))) {
            for row in left.chunks(length) {
                for column in right.chunks(length) {
                    let products: Vec<ExprId> = row
                        .iter()
                        .zip(column)
                        .map(|(&a, &b)| self.binary(BinaryOp::Mul, a, b))
                        .collect();
                    let sum = products.into_iter().reduce(|a, b| self.binary(BinaryOp::Add, a, b));
                    ids.push(sum?);
                }
            }
        }
        Some(ids)
    }

    /// Applies `f` to every matrix of stacks and stacks the results.
    fn each_matrix(
        &mut self,
        operands: &[Array],
        ty: &TensorType,
        mut f: impl FnMut(&mut Self, &[Matrix]) -> Option<Matrix>,
    ) -> Option<Vec<Array>> {
        let [batch @ .., _, _] = &ty.shape[..] else { return None };
        let count: usize = batch.iter().product();
        let stacks: Vec<Vec<Matrix>> =
            operands.iter().map(|x| Matrix::stack(x, count)).collect::<Option<_>>()?;
        let mut ids = Vec::new();
        for i in 0..count {
            let matrices: Vec<Matrix> = stacks.iter().map(|stack| stack[i].clone()).collect();
            ids.extend(f(self, &matrices)?.ids);
        }
        Some(vec![array(ty.shape.clone(), ids)])
    }

    /// The lower factor; NaN if a pivot is not positive.
    fn cholesky(&mut self, a: &Matrix) -> Option<Matrix> {
        let n = a.columns;
        let dtype = self.dtype(*a.ids.first()?);
        let (zero, nan) = (self.number(0.0, dtype), self.number(f64::NAN, dtype));
        let mut l = Matrix { columns: n, ids: vec![zero; n * n] };
        let mut fits = None;
        for j in 0..n {
            let mut inverse = None;
            for i in j..n {
                let mut rest = a.at(i, j);
                for k in 0..j {
                    rest = self.less_product(rest, l.at(i, k), l.at(j, k));
                }
                let value = match inverse {
                    None => {
                        let positive =
                            self.push(Expr::Compare(CompareOp::Gt, rest, zero), DType::Bool);
                        fits = Some(match fits {
                            None => positive,
                            Some(fits) => self.binary(BinaryOp::And, fits, positive),
                        });
                        let root = self.push(Expr::Unary(UnaryOp::Sqrt, rest), dtype);
                        inverse = Some(self.push(Expr::Unary(UnaryOp::Reciprocal, root), dtype));
                        root
                    }
                    Some(inverse) => self.binary(BinaryOp::Mul, rest, inverse),
                };
                l.set(i, j, value);
            }
        }
        let fits = fits?;
        let values = l.ids.iter().map(|&x| self.select(fits, x, nan)).collect();
        Some(Matrix { columns: n, ids: values })
    }

    /// The solution of a triangular system.
    fn substitute(&mut self, a: &Matrix, b: &Matrix, lower: bool, unit: bool) -> Option<Matrix> {
        let n = a.columns;
        if n * n * b.columns > MAX_EXPRS {
            return None;
        }
        let mut x = b.clone();
        for step in 0..n {
            let i = if lower { step } else { n - 1 - step };
            let before = if lower { 0..i } else { i + 1..n };
            let dtype = self.dtype(a.at(i, i));
            for j in 0..b.columns {
                let mut rest = x.at(i, j);
                for k in before.clone() {
                    rest = self.less_product(rest, a.at(i, k), x.at(k, j));
                }
                if !unit {
                    let inverse = self.push(Expr::Unary(UnaryOp::Reciprocal, a.at(i, i)), dtype);
                    rest = self.binary(BinaryOp::Mul, rest, inverse);
                }
                x.set(i, j, rest);
            }
        }
        Some(x)
    }

    /// The factors of each matrix packed in one, the row that each step exchanges, and the order of rows.
    fn lu(&mut self, x: &Array, types: &[&TensorType]) -> Option<Vec<Array>> {
        let [batch @ .., rows, columns] = &types[0].shape[..] else { return None };
        let (rows, columns) = (*rows, *columns);
        if rows.max(columns) > MAX_FACTORED {
            return None;
        }
        let mut results = [Vec::new(), Vec::new(), Vec::new()];
        for matrix in Matrix::stack(x, batch.iter().product())? {
            let mut a = matrix;
            let dtype = self.dtype(a.at(0, 0));
            let zero = self.number(0.0, dtype);
            let numbers: Vec<ExprId> =
                (0..rows).map(|i| self.number(i as f64, DType::I32)).collect();
            let mut order = Matrix { columns: 1, ids: numbers.clone() };
            for k in 0..rows.min(columns) {
                let mut most = self.push(Expr::Unary(UnaryOp::Abs, a.at(k, k)), dtype);
                let mut pivot = numbers[k];
                for (i, &number) in numbers.iter().enumerate().skip(k + 1) {
                    let size = self.push(Expr::Unary(UnaryOp::Abs, a.at(i, k)), dtype);
                    let larger = self.push(Expr::Compare(CompareOp::Gt, size, most), DType::Bool);
                    most = self.select(larger, size, most);
                    pivot = self.select(larger, number, pivot);
                }
                for (i, &number) in numbers.iter().enumerate().skip(k + 1) {
                    let is_pivot = Expr::Compare(CompareOp::Eq, pivot, number);
                    let is_pivot = self.push(is_pivot, DType::Bool);
                    for m in [&mut a, &mut order] {
                        for j in 0..m.columns {
                            let (x, y) = (m.at(i, j), m.at(k, j));
                            m.set(k, j, self.select(is_pivot, x, y));
                            m.set(i, j, self.select(is_pivot, y, x));
                        }
                    }
                }
                results[1].push(pivot);
                let top = a.at(k, k);
                let none = self.push(Expr::Compare(CompareOp::Eq, top, zero), DType::Bool);
                for i in k + 1..rows {
                    let quotient = self.binary(BinaryOp::Div, a.at(i, k), top);
                    // A column of zeros is left as it is.
                    let factor = self.select(none, a.at(i, k), quotient);
                    a.set(i, k, factor);
                    for j in k + 1..columns {
                        a.set(i, j, self.less_product(a.at(i, j), factor, a.at(k, j)));
                    }
                }
            }
            results[0].extend(a.ids);
            results[2].extend(order.ids);
        }
        let results = results.into_iter().zip(types);
        Some(results.map(|(ids, ty)| array(ty.shape.clone(), ids)).collect())
    }

    /// Elimination with partial pivoting, rows exchanged by selects; NaN if the matrix is singular.
    fn solve(&mut self, mut a: Matrix, mut b: Matrix) -> Option<Matrix> {
        let n = a.columns;
        if n == 0 || n > MAX_PIVOTED || b.ids.is_empty() {
            return None;
        }
        let dtype = self.dtype(a.at(0, 0));
        let (zero, nan) = (self.number(0.0, dtype), self.number(f64::NAN, dtype));
        let mut singular = None;
        for k in 0..n {
            for i in k + 1..n {
                let [x, y] = [a.at(i, k), a.at(k, k)]
                    .map(|x| self.push(Expr::Unary(UnaryOp::Abs, x), dtype));
                let larger = self.push(Expr::Compare(CompareOp::Gt, x, y), DType::Bool);
                for m in [&mut a, &mut b] {
                    for j in 0..m.columns {
                        let (x, y) = (m.at(i, j), m.at(k, j));
                        m.set(k, j, self.select(larger, x, y));
                        m.set(i, j, self.select(larger, y, x));
                    }
                }
            }
            let none = self.push(Expr::Compare(CompareOp::Eq, a.at(k, k), zero), DType::Bool);
            singular = Some(match singular {
                None => none,
                Some(before) => self.binary(BinaryOp::Or, before, none),
            });
            let inverse = self.push(Expr::Unary(UnaryOp::Reciprocal, a.at(k, k)), dtype);
            for i in k + 1..n {
                let factor = self.binary(BinaryOp::Mul, a.at(i, k), inverse);
                for j in k + 1..n {
                    a.set(i, j, self.less_product(a.at(i, j), factor, a.at(k, j)));
                }
                for j in 0..b.columns {
                    b.set(i, j, self.less_product(b.at(i, j), factor, b.at(k, j)));
                }
            }
        }
        let x = self.substitute(&a, &b, false, false)?;
        let singular = singular?;
        let ids = x.ids.iter().map(|&x| self.select(singular, nan, x)).collect();
        Some(Matrix { columns: x.columns, ids })
    }

    fn repeat_while(&mut self, repeat: &While, operands: &[&Value]) -> Option<Vec<Value>> {
        let (shared, start) = operands.split_at(repeat.shared);
        self.repeat(start, |s, passed| {
            // Examples move while the loop runs, so that nothing is read from memory.
            let still = |x: &Value| Value { ids: x.ids.clone(), memory: None };
            let inputs: Vec<Value> = shared.iter().copied().chain(passed).map(still).collect();
            let on = s.graph(&repeat.condition, inputs.clone(), false)?;
            let on = *elements(on.first()?.ids.as_ref()?).first()?;
            let head = s.blocks.last_mut().map(std::mem::take)?;
            let next = s.graph(&repeat.body, inputs, false)?;
            Some((head, Until::False(on), next, Vec::new()))
        })
    }

    fn repeat_scan(
        &mut self,
        scan: &Scan,
        operands: &[&Value],
        stacks: Option<Vec<View>>,
        results: &[&TensorType],
    ) -> Option<Vec<Value>> {
        let (shared, start) = operands.split_at(scan.shared);
        let (start, entries) = start.split_at(scan.carry);
        let in_memory = entries.iter().all(|x| x.memory.is_some());
        let stacks = match stacks {
            Some(stacks) if in_memory => stacks,
            _ if scan.length <= MAX_RUNS => return self.runs(scan, operands, results),
            Some(stacks) => stacks,
            None => return None,
        };
        let types = &scan.body.inputs()[scan.shared + scan.carry..];
        let until = Until::Count { count: scan.length, reverse: scan.reverse };
        let mut results = self.repeat(start, |s, passed| {
            let entry = |(x, ty): (&&Value, _)| match &x.memory {
                Some(memory) => s.entry(memory, ty),
                // Nothing, which the body may not read.
                None => Some(Value::default()),
            };
            let entries: Option<Vec<Value>> = entries.iter().zip(types).map(entry).collect();
            let entries = entries?;
            let inputs = shared.iter().copied().chain(passed).chain(&entries).cloned().collect();
            let mut next = s.graph(&scan.body, inputs, false)?;
            let mut stacked = Vec::new();
            for (ids, view) in next.split_off(scan.carry).iter().zip(&stacks) {
                let (places, step) = view.entries();
                let ids = elements(ids.ids.as_ref()?);
                stacked.extend(ids.into_iter().zip(places).map(|(value, place)| Stacked {
                    value,
                    output: view.of,
                    element: place as usize,
                    step,
                }));
            }
            Some((Vec::new(), until, next, stacked))
        })?;
        // The stacks have been written.
        results.extend(stacks.iter().map(|_| Value::default()));
        Some(results)
    }

    /// A short loop, run after run.
    fn runs(
        &mut self,
        scan: &Scan,
        operands: &[&Value],
        results: &[&TensorType],
    ) -> Option<Vec<Value>> {
        let whole = scan.shared + scan.carry;
        let mut carry: Vec<Value> = operands[scan.shared..whole].iter().copied().cloned().collect();
        let mut stacks = vec![vec![Vec::new(); scan.length]; results.len() - scan.carry];
        for i in scan.order() {
            let entry = |x: &&Value| {
                let all = x.ids.as_ref()?;
                let shape = Shape::from(&all.shape()[1..]);
                let ids = elements(all);
                let size = shape.size();
                Some(Value::of(array(shape, ids[i * size..(i + 1) * size].to_vec())))
            };
            let entries: Option<Vec<Value>> = operands[whole..].iter().map(entry).collect();
            let shared = operands[..scan.shared].iter().copied();
            let inputs = shared.chain(&carry).chain(&entries?).cloned().collect();
            let mut next = self.graph(&scan.body, inputs, false)?;
            for (stack, value) in stacks.iter_mut().zip(next.split_off(scan.carry)) {
                stack[i] = elements(value.ids.as_ref()?);
            }
            carry = next;
        }
        let stacks = stacks.into_iter().zip(&results[scan.carry..]);
        let stacks = stacks.map(|(runs, ty)| Value::of(array(ty.shape.clone(), runs.concat())));
        Some(carry.into_iter().chain(stacks).collect())
    }

    /// The entry of an input that a run of the innermost loop reads.
    fn entry(&mut self, memory: &View, ty: &TensorType) -> Option<Value> {
        let (places, step) = memory.entries();
        if places.len() > MAX_ELEMENTS {
            return None;
        }
        let depth = self.blocks.len() - 1;
        let ids = places.into_iter().map(|element| {
            let element = element as usize;
            self.loads.push(Load { input: memory.of, element, step: Some(step) });
            let load = Expr::Load(self.loads.len() - 1);
            let id = self.fresh(load, ty.dtype, depth);
            self.blocks[depth].push(Entry::Compute(id));
            id
        });
        let ids = ids.collect();
        Some(Value::of(array(ty.shape.clone(), ids)))
    }

    /// A loop that begins with `start`; `body` gives what comes first, when it ends, what is next, and
    /// what is written.
    fn repeat(
        &mut self,
        start: &[&Value],
        body: impl FnOnce(&mut Self, &[Value]) -> Option<(Vec<Entry>, Until, Vec<Value>, Vec<Stacked>)>,
    ) -> Option<Vec<Value>> {
        let start: Vec<&Array> = start.iter().map(|x| x.ids.as_ref()).collect::<Option<_>>()?;
        let depth = self.blocks.len();
        self.blocks.push(Vec::new());
        self.known.push(HashMap::new());
        let begin: Vec<ExprId> = start.iter().flat_map(|x| elements(x)).collect();
        let mut values = Vec::new();
        let mut passed = Vec::new();
        for x in start {
            let mut ids = Vec::new();
            for x in elements(x) {
                // No expression: it is set by the loop.
                ids.push(self.fresh(Expr::Load(usize::MAX), self.dtype(x), depth));
            }
            values.extend(&ids);
            passed.push(Value::of(array(x.shape().clone(), ids)));
        }
        let (head, until, next, stacked) = body(self, &passed)?;
        let body = self.blocks.pop()?;
        self.known.pop();
        let next: Vec<&Array> = next.iter().map(|x| x.ids.as_ref()).collect::<Option<_>>()?;
        let next = next.into_iter().flat_map(elements);
        let passed_on: Vec<Passed> = values
            .into_iter()
            .zip(begin)
            .zip(next)
            .map(|((value, start), next)| Passed { value, start, next })
            .collect();
        // After the loop, the values passed on are ordinary ones of the block around it.
        passed_on.iter().for_each(|p| self.depth[p.value.index()] = depth - 1);
        let repeat = Repeat { head, until, body, passed: passed_on, stacked };
        self.blocks[depth - 1].push(Entry::Repeat(repeat));
        Some(passed)
    }
}

/// A matrix of values.
#[derive(Clone)]
struct Matrix {
    columns: usize,
    ids: Vec<ExprId>,
}

impl Matrix {
    /// The matrices of a stack.
    fn stack(x: &Array, count: usize) -> Option<Vec<Matrix>> {
        let [.., rows, columns] = x.shape()[..] else { return None };
        if rows * columns == 0 || count * rows * columns > MAX_ELEMENTS {
            return None;
        }
        let ids = elements(x);
        let matrix = |ids: &[ExprId]| Matrix { columns, ids: ids.to_vec() };
        Some(ids.chunks(rows * columns).map(matrix).collect())
    }

    fn at(&self, i: usize, j: usize) -> ExprId {
        self.ids[i * self.columns + j]
    }

    fn set(&mut self, i: usize, j: usize, x: ExprId) {
        self.ids[i * self.columns + j] = x;
    }

    fn transposed(&self) -> Matrix {
        let n = self.columns;
        let ids = (0..n * n).map(|k| self.at(k % n, k / n)).collect();
        Matrix { columns: n, ids }
    }
}
