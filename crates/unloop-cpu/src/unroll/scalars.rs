//! A program on small arrays as a nest of loops over numbers: every element of every array is a value
//! of its own, so that moving elements about costs nothing and loops pass on numbers. The outermost
//! loop runs over the examples, one in each lane.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::op::{DotDims, Gather, IndexMode, Scatter, ScatterOp};
use unloop_graph::{
    ArgReduceOp, Array, Axes, BinaryOp, CompareOp, DType, Graph, Node, Number, Op, ReduceOp,
    Scalar, Shape, TensorType, UnaryOp, ValueId,
};
use unloop_kernel::{
    AxisId, Buffer, BufferId, Expr, ExprId, Index, Kind, Loop, Nest, Read, Role, Stmt,
};

use super::LANES;
use super::memory::{Examples, Sinks, View, sinks};

/// Values of a program, at most.
pub(super) const MAX_EXPRS: usize = 6_000;

/// Elements of an array, at most.
pub(super) const MAX_ELEMENTS: usize = 1_024;

/// Elements of an array whose numbers are part of the program, at most.
const MAX_KNOWN: usize = 256;

/// Elements of an array that is moved about only, at most.
const MAX_MOVED: usize = 16_384;

/// An array of the program.
#[derive(Clone, Default)]
pub(super) struct Value {
    /// The values of its elements.
    pub ids: Option<Array>,
    /// Where it lies, if it is one of an input's.
    pub memory: Option<View>,
}

impl Value {
    pub fn of(ids: Array) -> Value {
        Value { ids: Some(ids), memory: None }
    }
}

/// How many outer and inner examples there are, and where each input and output, of so many elements, has
/// them.
pub(super) struct Layout {
    pub extents: [usize; 2],
    pub inputs: Vec<(usize, Examples)>,
    pub outputs: Vec<(usize, Examples)>,
}

/// A program while it is unrolled.
pub(super) struct Unroller {
    /// The axis of outer examples, if there are any.
    outer: Option<AxisId>,
    /// Buffers are inputs, then outputs, then what loops keep for others.
    pub nest: Nest,
    /// Where the examples of each input and output are.
    examples: Vec<Examples>,
    /// How many loops stand around each value.
    pub depth: Vec<usize>,
    /// What is computed in each of the loops that are open, outermost first.
    pub blocks: Vec<Vec<Stmt>>,
    pub known: Vec<HashMap<Expr, ExprId>>,
    /// How many `while` loops are open.
    pub whiles: usize,
    /// Elements that loops keep for others.
    pub kept: usize,
    /// The outputs that loops write.
    pub written: Vec<BufferId>,
}

/// Unrolls a program of one example, whose last inputs are always `known`. It runs for so many examples, outer
/// and inner ones, which its inputs and outputs, of so many elements, have there; `None` if it is too
/// large, or does what cannot be.
pub(super) fn unroll(graph: &Graph, known: &[Array], of: &Layout) -> Option<Nest> {
    let Layout { extents: [outer, lanes], inputs, outputs } = of;
    let buffer = |(ty, at): (&TensorType, &(usize, Examples)), role: Role| Buffer {
        role,
        dtype: ty.dtype,
        len: at.0,
    };
    let read = graph.inputs().iter().zip(inputs).map(|of| buffer(of, Role::Input));
    let written = graph.output_types().zip(outputs).map(|of| buffer(of, Role::Output));
    let buffers = read.chain(written).collect();
    let mut axes = vec![*lanes];
    axes.extend((*outer > 1).then_some(*outer));
    let mut unroller = Unroller {
        outer: (*outer > 1).then_some(AxisId(1)),
        nest: Nest { buffers, axes, ..Nest::default() },
        examples: inputs.iter().chain(outputs).map(|(_, at)| at.clone()).collect(),
        depth: Vec::new(),
        blocks: vec![Vec::new()],
        known: vec![HashMap::new()],
        whiles: 0,
        kept: 0,
        written: Vec::new(),
    };
    let output = |i: usize| BufferId((inputs.len() + i) as u32);
    let mut values = Vec::new();
    let first_known = graph.inputs().len() - known.len();
    for (i, ty) in graph.inputs().iter().enumerate() {
        let size = ty.shape.size();
        let of = BufferId(i as u32);
        let memory = Some(View::whole(of, &ty.shape));
        // Of one that each example has its own entry of, the program has one entry.
        if let Some(known) = i.checked_sub(first_known).map(|k| &known[k])
            && *known.shape() == ty.shape
            && size <= MAX_KNOWN
        {
            let mut ids = Vec::new();
            ty.shape.for_each_index(|index| {
                let value = Scalar::new(ty.dtype, known.get(index));
                ids.push(unroller.push(Expr::Constant(value), ty.dtype));
            });
            values.push(Value { ids: Some(array(ty.shape.clone(), ids)), memory });
            continue;
        }
        let ids = (size <= MAX_ELEMENTS).then(|| {
            let ids = (0..size).map(|element| {
                let load = unroller.read(of, element, None);
                unroller.push(load, ty.dtype)
            });
            let ids = ids.collect();
            array(ty.shape.clone(), ids)
        });
        values.push(Value { ids, memory });
    }
    let outputs = unroller.graph(graph, values, Some(&output))?;
    for (i, x) in outputs.iter().enumerate() {
        if unroller.written.contains(&output(i)) {
            continue;
        }
        // What is too large to take apart has no numbers.
        for (element, value) in elements(x.ids.as_ref()?).into_iter().enumerate() {
            let index = unroller.index(output(i), element, None);
            let store = Stmt::Store { buffer: output(i), index, value };
            unroller.blocks[0].push(store);
        }
    }
    let Unroller { mut nest, mut blocks, outer, .. } = unroller;
    let lanes = Loop { axis: LANES, kind: Kind::Lanes, carried: Vec::new(), body: blocks.pop()? };
    nest.body = vec![Stmt::Loop(lanes.into())];
    if let Some(axis) = outer {
        let grid = Loop { axis, kind: Kind::Grid, carried: Vec::new(), body: nest.body };
        nest.body = vec![Stmt::Loop(grid.into())];
    }
    let nest = nest.pruned();
    debug_assert_eq!(nest.check(), Ok(()), "{nest}");
    Some(nest)
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
pub(super) fn elements(ids: &Array) -> Vec<ExprId> {
    let mut elements = Vec::with_capacity(ids.len());
    ids.shape().for_each_index(|index| match ids.get(index) {
        Number::Int(id) => elements.push(ExprId(id as u32)),
        Number::Float(_) | Number::Bool(_) => unreachable!("numbers of expressions are integers"),
    });
    elements
}

pub(super) fn array(shape: Shape, ids: Vec<ExprId>) -> Array {
    Array::new(shape, ids.into_iter().map(|x| x.0 as i32).collect())
}

impl Unroller {
    /// The number that a value always is.
    fn known(&self, x: ExprId) -> Option<Scalar> {
        match *self.nest.expr(x) {
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
        let known: Option<Vec<Scalar>> = expr.operands().iter().map(|&x| self.known(x)).collect();
        let known: Vec<Array> =
            known?.into_iter().map(|x| Array::fill(Shape::scalar(), x)).collect();
        let ty = TensorType::new(dtype, ());
        let value = op.evaluate(&known, &SmallVec::from_iter([ty])).ok()?.first()?.as_fill()?;
        Some(self.push(Expr::Constant(value), dtype))
    }

    pub fn push(&mut self, expr: Expr, dtype: DType) -> ExprId {
        if let Some(folded) = self.folded(&expr, dtype) {
            return folded;
        }
        let depth = expr.operands().iter().map(|x| self.depth[x.index()]).max().unwrap_or(0);
        if let Some(&known) = self.known[depth].get(&expr) {
            return known;
        }
        let id = self.fresh(expr.clone(), dtype, depth);
        // What does not change within a loop is computed before it.
        self.known[depth].insert(expr, id);
        self.blocks[depth].push(Stmt::Let(id));
        id
    }

    pub fn fresh(&mut self, expr: Expr, dtype: DType, depth: usize) -> ExprId {
        self.nest.exprs.push(expr);
        self.nest.dtypes.push(dtype);
        self.depth.push(depth);
        ExprId(self.nest.exprs.len() as u32 - 1)
    }

    /// A read of an element of an example; of the entry of a loop's run, if its axis and the distance of
    /// entries are given.
    pub fn read(
        &mut self,
        buffer: BufferId,
        element: usize,
        entry: Option<(AxisId, isize)>,
    ) -> Expr {
        let index = self.index(buffer, element, entry);
        self.nest.reads.push(Read { buffer, index, mask: None, otherwise: None });
        Expr::Load(self.nest.reads.len() - 1)
    }

    /// Where an element of an example lies.
    pub fn index(&self, of: BufferId, element: usize, entry: Option<(AxisId, isize)>) -> Index {
        let Some(examples) = self.examples.get(of.0 as usize) else {
            // Each example has its own.
            let terms = entry.into_iter().collect();
            return Index { offset: element as isize, terms, computed: None };
        };
        let along = self.outer.into_iter().chain([LANES]);
        let strides = examples.strides[2 - along.clone().count()..].iter();
        let along = along.zip(strides).map(|(axis, &stride)| (axis, stride as isize));
        let entry = entry.map(|(axis, step)| (axis, examples.step(step)));
        let terms = along.filter(|(_, stride)| *stride != 0).chain(entry).collect();
        Index { offset: examples.at(element) as isize, terms, computed: None }
    }

    pub fn dtype(&self, x: ExprId) -> DType {
        self.nest.dtype(x)
    }

    pub fn binary(&mut self, op: BinaryOp, a: ExprId, b: ExprId) -> ExprId {
        self.push(Expr::Binary(op, a, b), self.dtype(a))
    }

    pub fn number(&mut self, value: f64, dtype: DType) -> ExprId {
        self.push(Expr::Constant(Scalar::new(dtype, Number::Float(value))), dtype)
    }

    /// `a - b·c`.
    pub fn less_product(&mut self, a: ExprId, b: ExprId, c: ExprId) -> ExprId {
        let product = self.binary(BinaryOp::Mul, b, c);
        self.binary(BinaryOp::Sub, a, product)
    }

    pub fn select(&mut self, p: ExprId, a: ExprId, b: ExprId) -> ExprId {
        self.push(Expr::Select(p, a, b), self.dtype(a))
    }

    /// The results of a program; the outermost one, whose outputs have buffers, may write them as its
    /// loops run.
    pub fn graph(
        &mut self,
        graph: &Graph,
        inputs: Vec<Value>,
        outputs: Option<&dyn Fn(usize) -> BufferId>,
    ) -> Option<Vec<Value>> {
        let mut values = inputs;
        let live = graph.live();
        let is_read = graph.last_uses();
        for (node, live) in graph.nodes().iter().zip(live) {
            if !live {
                values.extend(node.results().map(|_| Value::default()));
                continue;
            }
            let types: SmallVec<[&TensorType; 3]> =
                node.results().map(|v| graph.ty(ValueId(v))).collect();
            if self.nest.exprs.len() > MAX_EXPRS {
                return None;
            }
            self.recall_for(node, &mut values);
            let operands: SmallVec<[&Value; 3]> =
                node.operands.iter().map(|v| &values[v.index()]).collect();
            let results = match &node.op {
                Op::Scan(scan) => {
                    let stacks = node.results().skip(scan.carry).map(ValueId);
                    let stacks = stacks.map(|v| match outputs {
                        Some(outputs) => sinks(graph, v, outputs),
                        None => {
                            Sinks { outputs: Vec::new(), is_read: is_read[v.index()].is_some() }
                        }
                    });
                    self.repeat_scan(scan, &operands, stacks.collect(), &types)?
                }
                Op::While(repeat) => self.repeat_while(repeat, &operands)?,
                Op::WithDerivative(custom) => {
                    let inputs = operands.iter().copied().cloned().collect();
                    self.graph(&custom.body, inputs, None)?
                }
                op => self.value(op, &operands, &types)?,
            };
            drop(operands);
            values.extend(results);
        }
        let mut outputs: Vec<Value> =
            graph.outputs().iter().map(|v| values[v.index()].clone()).collect();
        for x in outputs.iter_mut().filter(|x| x.ids.is_none()) {
            x.ids = self.recall(x);
        }
        Some(outputs)
    }

    /// Reads what loops have kept of the operands of an operation that is neither a loop's entry nor a view.
    fn recall_for(&mut self, node: &Node, values: &mut [Value]) {
        let entries = match &node.op {
            Op::Scan(scan) => scan.shared + scan.carry,
            _ => node.operands.len(),
        };
        for v in &node.operands[..entries] {
            let x = &values[v.index()];
            let is_view = || x.memory.as_ref().is_some_and(|view| view.through(&node.op).is_some());
            if x.ids.is_none() && !is_view() {
                values[v.index()].ids = self.recall(&x.clone());
            }
        }
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
            Op::ArgReduce { op, axis, dtype } => {
                let ids = self.arg_reduce(*op, *axis, &operands[0], *dtype);
                computed(ids)
            }
            Op::Cumulative { op, axis, reverse } => {
                let ids = self.cumulative(*op, *axis, *reverse, &operands[0]);
                computed(ids)
            }
            Op::Dot(dims) => self.dot(dims, &operands[0], &operands[1], ty).and_then(computed),
            // A single matrix that is checked is an error, which numbers cannot tell of.
            Op::Cholesky { checked } if ty.rank() > 2 || !checked => {
                self.each_matrix(operands, ty, |s, m| s.cholesky(&m[0]))
            }
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
                let inside = moved.to_vec::<i32>().ok()?.into_iter().all(|id| id >= 0);
                inside.then(|| vec![moved])
            }
            Op::Scatter(scatter) => self.scatter(scatter, operands, ty).and_then(computed),
            Op::Lu => self.lu(&operands[0], types),
            Op::Solve { .. }
            | Op::Cholesky { .. }
            | Op::Betainc
            | Op::Sort(_)
            | Op::SearchSorted { .. }
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
        let from = from.to_vec::<i32>().ok()?;
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
        elements(&x.transpose(&perm))
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

    /// The position of the first extreme element of each row along an axis; NaN is more extreme than any
    /// number.
    fn arg_reduce(&mut self, op: ArgReduceOp, axis: usize, x: &Array, dtype: DType) -> Vec<ExprId> {
        let ids = Unroller::with_last(x, &[axis], &[]);
        let is_float = ids.first().is_some_and(|&x| self.dtype(x).is_float());
        let compare = match (op, is_float) {
            // Not at most the best one: also if it is NaN.
            (ArgReduceOp::Max, true) => CompareOp::Le,
            (ArgReduceOp::Min, true) => CompareOp::Ge,
            (ArgReduceOp::Max, false) => CompareOp::Gt,
            (ArgReduceOp::Min, false) => CompareOp::Lt,
        };
        let number = |s: &mut Self, k: usize| {
            let value = Scalar::new(dtype, Number::Int(k as i128));
            s.push(Expr::Constant(value), dtype)
        };
        let row = |s: &mut Self, row: &[ExprId]| {
            let (mut best, mut position) = (row[0], number(s, 0));
            for (k, &value) in row.iter().enumerate().skip(1) {
                let mut is_better = s.push(Expr::Compare(compare, value, best), DType::Bool);
                if is_float {
                    let fails = s.push(Expr::Unary(UnaryOp::Not, is_better), DType::Bool);
                    let is_number = s.push(Expr::Compare(CompareOp::Eq, best, best), DType::Bool);
                    is_better = s.binary(BinaryOp::And, fails, is_number);
                }
                let k = number(s, k);
                (best, position) =
                    (s.select(is_better, value, best), s.select(is_better, k, position));
            }
            position
        };
        ids.chunks(x.shape()[axis].max(1)).map(|ids| row(self, ids)).collect()
    }

    /// In row-major order.
    fn cumulative(&mut self, op: ReduceOp, axis: usize, reverse: bool, x: &Array) -> Vec<ExprId> {
        let (n, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
        let mut ids = elements(x);
        for lane in (0..ids.len() / n.max(1)).map(|lane| lane / inner * n * inner + lane % inner) {
            let at = |k: usize| lane + inner * if reverse { n - 1 - k } else { k };
            for k in 1..n {
                ids[at(k)] = self.binary(op.binary(), ids[at(k - 1)], ids[at(k)]);
            }
        }
        ids
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
}
