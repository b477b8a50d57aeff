//! A program for a part of its examples: the same operations with one axis shorter, where every
//! example is computed from that example alone. Loops run on such parts one after the other, so that
//! what a loop passes on stays in cache, and parts run in parallel.

use std::sync::Arc;

use smallvec::SmallVec;
use unloop_graph::op::{Gather, Scan, Scatter, While};
use unloop_graph::{
    Axes, Graph, GraphBuilder, Node, Number, Op, Place, ReduceOp, Scalar, TensorType, ValueId,
};

/// How a value depends on the examples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It is the same for all.
    Shared,
    /// Each position along this axis belongs to one example.
    Each(usize),
}

struct Narrow<'a> {
    graph: &'a Graph,
    from: usize,
    to: usize,
    builder: GraphBuilder,
    /// The new values of each old one, by their state.
    values: Vec<SmallVec<[(State, ValueId); 2]>>,
    producer: Vec<Option<usize>>,
    place: Place,
    /// The value that is true if it is for any example.
    any: Option<ValueId>,
}

/// The axis along which a value has the examples, if it has them.
pub(crate) type ExampleAxis = Option<usize>;

/// The first axis of a value that has as many entries as there are examples.
pub(crate) fn example_axis(ty: &TensorType, examples: usize) -> ExampleAxis {
    ty.shape.iter().position(|&d| d == examples)
}

/// The state of a value that has the examples there.
fn of(axis: ExampleAxis) -> State {
    axis.map_or(State::Shared, State::Each)
}

/// The type of a value with so many examples along an axis.
fn shortened(ty: &TensorType, axis: ExampleAxis, to: usize) -> TensorType {
    let mut ty = ty.clone();
    if let Some(extent) = axis.and_then(|axis| ty.shape.get_mut(axis)) {
        *extent = to;
    }
    ty
}

/// The first axis of the values named.
pub(crate) fn first_axes(each: &[bool]) -> Vec<ExampleAxis> {
    each.iter().map(|each| each.then_some(0)).collect()
}

/// The program for `to` of its `from` examples, which stand along axes of some inputs and of the
/// outputs; `None` if some example is computed from others, or by an operation of which that
/// is not known. The value `any`, if there is one, may tell whether something holds for any example.
pub(crate) fn narrow(
    graph: &Graph,
    inputs: &[ExampleAxis],
    outputs: &[ExampleAxis],
    (from, to): (usize, usize),
    any: Option<ValueId>,
) -> Option<Graph> {
    let mut narrow = Narrow::new(graph, inputs, (from, to), any);
    for (i, node) in graph.nodes().iter().enumerate() {
        narrow.begin(i, node);
        narrow.node(node)?;
    }
    let outputs: Option<Vec<ValueId>> =
        graph.outputs().iter().zip(outputs).map(|(&v, &axis)| narrow.get(v, of(axis))).collect();
    Some(narrow.builder.finish(&outputs?))
}

/// How a program is computed in stages: in those with odd numbers every example is computed from that
/// example alone, in those with even ones anything may be.
pub(crate) struct Stages {
    /// The stage of each operation.
    pub of_node: Vec<usize>,
    /// The axis along which each value has the examples.
    pub axes: Vec<ExampleAxis>,
}

/// The stages of a program, as early as can be; `may` says what may be in an odd one.
pub(crate) fn stages(
    graph: &Graph,
    inputs: &[ExampleAxis],
    examples: usize,
    may: impl Fn(&Node) -> bool,
) -> Option<Stages> {
    let mut narrow = Narrow::new(graph, inputs, (examples, 1), None);
    let mut of_value = vec![0usize; graph.inputs().len()];
    let mut of_node = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        narrow.begin(i, node);
        let before = narrow.values.len();
        let latest = node.operands.iter().map(|v| of_value[v.index()]).max().unwrap_or(0);
        let is_each = narrow.each(node).is_some();
        let is_known = (!is_each || may(node)) && narrow.node(node).is_some();
        if !is_known {
            narrow.values.truncate(before);
            node.results().try_for_each(|v| narrow.restart(ValueId(v)))?;
        }
        let stage = match is_each && is_known {
            true => latest | 1,
            false => latest.next_multiple_of(2),
        };
        of_node.push(stage);
        of_value.extend(node.results().map(|_| stage));
    }
    let axis = |state: &SmallVec<[(State, ValueId); 2]>| match state.first() {
        Some((State::Each(axis), _)) => Some(*axis),
        _ => None,
    };
    Some(Stages { of_node, axes: narrow.values.iter().map(axis).collect() })
}

impl<'a> Narrow<'a> {
    fn new(
        graph: &'a Graph,
        inputs: &[ExampleAxis],
        (from, to): (usize, usize),
        any: Option<ValueId>,
    ) -> Narrow<'a> {
        let types = graph.inputs().iter().zip(inputs);
        let builder = GraphBuilder::new(types.map(|(ty, &axis)| shortened(ty, axis, to)).collect());
        let state = |(id, &axis): (ValueId, &ExampleAxis)| SmallVec::from_slice(&[(of(axis), id)]);
        Narrow {
            graph,
            from,
            to,
            values: builder.inputs().into_iter().zip(inputs).map(state).collect(),
            builder,
            producer: vec![None; graph.inputs().len()],
            place: Place(None),
            any,
        }
    }

    /// A value that is not computed example by example, but may have them: anything of its type.
    fn restart(&mut self, v: ValueId) -> Option<()> {
        let ty = self.graph.ty(v);
        let axis = example_axis(ty, self.from);
        let ty = shortened(ty, axis, self.to);
        let zero = self.emit(Op::Constant(Scalar::new(ty.dtype, Number::Int(0))), &[])?;
        let id = self.emit(Op::Broadcast { shape: ty.shape, dims: Axes::new() }, &[zero])?;
        self.values.push(SmallVec::from_slice(&[(of(axis), id)]));
        Some(())
    }

    /// Before the operation of this number.
    fn begin(&mut self, i: usize, node: &Node) {
        self.place = node.place;
        self.producer.extend(node.results().map(|_| Some(i)));
    }
}

impl Narrow<'_> {
    /// The axis along which some operand has the examples.
    fn each(&self, node: &Node) -> Option<(usize, usize)> {
        node.operands.iter().enumerate().find_map(|(k, v)| match self.values[v.index()].first() {
            Some((State::Each(axis), _)) => Some((k, *axis)),
            _ => None,
        })
    }

    /// A value in a state; what repeats along the examples can be made shorter.
    fn get(&mut self, v: ValueId, state: State) -> Option<ValueId> {
        let known = self.values[v.index()].iter().find(|(s, _)| *s == state);
        if let Some(&(_, id)) = known {
            return Some(id);
        }
        let State::Each(axis) = state else { return None };
        let node = &self.graph.nodes()[self.producer[v.index()]?];
        let Op::Broadcast { shape, dims } = &node.op else { return None };
        let mut shape = shape.clone();
        if dims.contains(&axis) || shape.get(axis) != Some(&self.from) {
            return None;
        }
        shape[axis] = self.to;
        let operand = self.get(node.operands[0], State::Shared)?;
        let id = self.emit(Op::Broadcast { shape, dims: dims.clone() }, &[operand])?;
        self.values[v.index()].push((state, id));
        Some(id)
    }

    fn emit(&mut self, op: Op, operands: &[ValueId]) -> Option<ValueId> {
        self.builder.push(op, operands, self.place).ok()
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        let Some((k, axis)) = self.each(node) else {
            let operands: Option<SmallVec<[ValueId; 3]>> =
                node.operands.iter().map(|&v| self.get(v, State::Shared)).collect();
            let first = self.emit(node.op.clone(), &operands?)?;
            let results = (0..node.results().len() as u32).map(|i| ValueId(first.0 + i));
            let states = results.map(|id| SmallVec::from_slice(&[(State::Shared, id)]));
            self.values.extend(states);
            return Some(());
        };
        if self.any == Some(node.first)
            && matches!(&node.op, Op::Reduce { op: ReduceOp::Or, axes } if axes.contains(&axis))
        {
            let operand = self.get(node.operands[0], State::Each(axis))?;
            let id = self.emit(node.op.clone(), &[operand])?;
            self.values.push(SmallVec::from_slice(&[(State::Shared, id)]));
            return Some(());
        }
        if matches!(node.op, Op::While(_) | Op::Scan(_)) {
            return self.repeat(node);
        }
        let (op, out) = self.shorter(node, k, axis)?;
        let mut operands: SmallVec<[ValueId; 3]> = SmallVec::new();
        for (i, &v) in node.operands.iter().enumerate() {
            let state = self.state_of(&node.op, i, k, axis, v)?;
            operands.push(self.get(v, state)?);
        }
        // Of several results, all have the examples along the same axis.
        let first = self.emit(op, &operands)?;
        for k in 0..node.results().len() as u32 {
            self.values.push(SmallVec::from_slice(&[(State::Each(out), ValueId(first.0 + k))]));
        }
        Some(())
    }

    /// A loop whose examples do not depend on each other.
    fn repeat(&mut self, node: &Node) -> Option<()> {
        let (passed, entries) = match &node.op {
            Op::While(w) => (w.shared..node.operands.len(), node.operands.len()),
            Op::Scan(scan) => {
                let whole = scan.shared + scan.carry;
                (scan.shared..whole, whole)
            }
            _ => return None,
        };
        let body = match &node.op {
            Op::While(w) => &w.body,
            Op::Scan(scan) => &scan.body,
            _ => return None,
        };
        // Entries lie along the first axis, so that the axes of one are shifted by it.
        let shift = |i: usize| usize::from(i >= entries);
        let mut axes: SmallVec<[ExampleAxis; 8]> = SmallVec::new();
        for (i, (&v, ty)) in node.operands.iter().zip(body.inputs()).enumerate() {
            let own = self.values[v.index()].iter().find_map(|(state, _)| match state {
                State::Each(axis) => axis.checked_sub(shift(i)),
                State::Shared => None,
            });
            let axis = own.or_else(|| example_axis(ty, self.from));
            let axis = axis.filter(|axis| ty.shape.get(*axis) == Some(&self.from));
            // What is passed on may begin the same for all; what repeats need not.
            axes.push(axis.filter(|axis| {
                let is_there = self.get(v, State::Each(axis + shift(i))).is_some();
                is_there || passed.contains(&i)
            }));
        }
        let (op, results) = shorter_loop(&node.op, &axes, (self.from, self.to))?;
        let wanted = |i: usize| of(axes[i].map(|axis| axis + shift(i)));
        let operands: Option<SmallVec<[ValueId; 6]>> =
            node.operands.iter().enumerate().map(|(i, &v)| self.get(v, wanted(i))).collect();
        let first = self.emit(op, &operands?)?;
        for (i, &axis) in results.iter().enumerate() {
            let state = of(axis.map(|axis| axis + usize::from(i >= passed.len())));
            self.values.push(SmallVec::from_slice(&[(state, ValueId(first.0 + i as u32))]));
        }
        Some(())
    }

    /// The state in which an operand is needed, where operand `k` has the examples along `axis`.
    fn state_of(&self, op: &Op, i: usize, k: usize, axis: usize, v: ValueId) -> Option<State> {
        if i == k {
            return Some(State::Each(axis));
        }
        let dims = match op {
            Op::Dot(dims) => dims,
            Op::Pad(_) if i == 1 => return Some(State::Shared),
            Op::Gather(gather) => return Some(indices_of(gather, k, axis)),
            Op::Scatter(_) if i == 1 => return Some(State::Shared),
            // Only the first axes of values are those of the table too.
            Op::SearchSorted { .. } if i == 0 && axis + 1 >= self.graph.ty(v).rank() => {
                return Some(State::Shared);
            }
            Op::Scatter(scatter) => {
                let windows = windows_of(scatter, self.graph.ty(v).rank().max(axis + 1));
                let other = match k {
                    0 => *scatter
                        .dims
                        .update_window_dims
                        .get(windows_of(scatter, axis + 1).iter().position(|&a| a == axis)?)?,
                    _ => {
                        let at = scatter.dims.update_window_dims.iter().position(|&a| a == axis)?;
                        *windows.get(at)?
                    }
                };
                return Some(State::Each(other));
            }
            _ => return Some(State::Each(axis)),
        };
        let (own, other) = match k {
            0 => (&dims.lhs_batch, &dims.rhs_batch),
            _ => (&dims.rhs_batch, &dims.lhs_batch),
        };
        match own.iter().position(|&a| a == axis) {
            Some(at) => Some(State::Each(other[at])),
            // A product with the same matrix for all examples.
            None => self.values[v.index()]
                .iter()
                .any(|(s, _)| *s == State::Shared)
                .then_some(State::Shared),
        }
    }

    /// The operation on fewer examples, and the axis of the result along which they stand.
    fn shorter(&self, node: &Node, k: usize, axis: usize) -> Option<(Op, usize)> {
        let before = |axes: &[usize]| axes.iter().filter(|&&a| a < axis).count();
        let same = |fits: bool| fits.then(|| (node.op.clone(), axis));
        let shape = &self.graph.ty(node.operands[k]).shape;
        match &node.op {
            op if op.is_elementwise() => same(true),
            Op::StopGradient => same(true),
            Op::Transpose(perm) => Some((node.op.clone(), perm.iter().position(|&p| p == axis)?)),
            Op::Broadcast { shape, dims } => {
                let mut shape = shape.clone();
                shape[dims[axis]] = self.to;
                Some((Op::Broadcast { shape, dims: dims.clone() }, dims[axis]))
            }
            Op::Reshape(to) => {
                // The examples stay one axis, with as many elements before it.
                let elements = |shape: &[usize], a: usize| shape[..a].iter().product::<usize>();
                let fits =
                    |&a: &usize| to[a] == self.from && elements(to, a) == elements(shape, axis);
                let out = (0..to.rank()).find(fits)?;
                let mut to = to.clone();
                to[out] = self.to;
                Some((Op::Reshape(to), out))
            }
            Op::Slice(slice) => {
                let whole = slice.start[axis] == 0
                    && slice.limit[axis] == self.from
                    && slice.step[axis] == 1;
                let mut slice = slice.clone();
                slice.limit[axis] = self.to;
                whole.then_some((Op::Slice(slice), axis))
            }
            Op::Pad(pad) => same(k == 0 && pad.0[axis] == Default::default()),
            Op::Concatenate { axis: along } => same(*along != axis),
            Op::Reverse(axes) => same(!axes.contains(&axis)),
            Op::Reduce { axes, .. } if !axes.contains(&axis) => {
                Some((node.op.clone(), axis - before(axes)))
            }
            Op::ArgReduce { axis: along, .. } if *along != axis => {
                Some((node.op.clone(), axis - before(&[*along])))
            }
            Op::Dot(dims) => {
                let rank = shape.rank();
                let (own, free) = match k {
                    0 => (&dims.lhs_batch, dims.lhs_free(rank)),
                    _ => (&dims.rhs_batch, dims.rhs_free(rank)),
                };
                let others = self.graph.ty(node.operands[0]).rank();
                let skip =
                    dims.lhs_batch.len() + if k == 0 { 0 } else { dims.lhs_free(others).len() };
                let place = |axes: &[usize]| axes.iter().position(|&a| a == axis);
                let out = place(own).or_else(|| place(&free).map(|at| at + skip))?;
                Some((node.op.clone(), out))
            }
            Op::Gather(gather) => {
                let mut gather = gather.clone();
                let dims = &gather.dims;
                let rank = self.graph.ty(node.first).rank();
                // The axes of the indices stand where the window's do not.
                let beside =
                    |at: usize| (0..rank).filter(|a| !dims.offset_dims.contains(a)).nth(at);
                if k == 1 {
                    let out = beside(axis)?;
                    return (!dims.start_indices_batching_dims.contains(&axis))
                        .then_some((Op::Gather(gather), out));
                }
                if let State::Each(indices) = indices_of(&gather, k, axis) {
                    let out = beside(indices)?;
                    return Some((Op::Gather(gather), out));
                }
                let is_window = |a: &usize| {
                    !dims.collapsed_slice_dims.contains(a)
                        && !dims.operand_batching_dims.contains(a)
                };
                let at = (0..shape.rank()).filter(is_window).position(|a| a == axis)?;
                let out = dims.offset_dims[at];
                let whole =
                    !dims.start_index_map.contains(&axis) && gather.slice_sizes[axis] == self.from;
                gather.slice_sizes[axis] = self.to;
                whole.then_some((Op::Gather(gather), out))
            }
            Op::Scatter(scatter) => {
                let dims = &scatter.dims;
                let windows = windows_of(scatter, self.graph.ty(node.first).rank());
                let operand = match k {
                    0 => axis,
                    2 => *windows.get(dims.update_window_dims.iter().position(|&a| a == axis)?)?,
                    _ => return None,
                };
                let at = windows.iter().position(|&a| a == operand)?;
                let updates = self.graph.ty(node.operands[2]);
                let whole = !dims.scatter_dims_to_operand_dims.contains(&operand)
                    && updates.shape[dims.update_window_dims[at]] == self.from;
                whole.then(|| (node.op.clone(), operand))
            }
            Op::Cholesky { .. }
            | Op::Solve { .. }
            | Op::TriangularSolve(_)
            | Op::Lu
            | Op::Qr { .. }
            | Op::Svd { .. }
            | Op::Eigh => same(axis + 2 < shape.rank()),
            Op::Sort(sort) => same(sort.axis != axis),
            Op::Cumulative { axis: along, .. } => same(*along != axis),
            Op::SearchSorted { .. } => same(k == 1 || axis + 1 < shape.rank()),
            _ => None,
        }
    }
}

/// A loop for `to` of its `from` examples, which stand along these axes of the inputs of its body, and the
/// axes along which the results of the body have them; `None` if they depend on each other.
pub(crate) fn shorter_loop(
    op: &Op,
    axes: &[ExampleAxis],
    (from, to): (usize, usize),
) -> Option<(Op, SmallVec<[ExampleAxis; 8]>)> {
    let (body, shared, carry) = match op {
        Op::Scan(scan) => (&scan.body, scan.shared, scan.carry),
        Op::While(w) => (&w.body, w.shared, w.carry()),
        _ => return None,
    };
    let stacks = body.output_types().skip(carry).map(|ty| example_axis(ty, from));
    let results: SmallVec<[ExampleAxis; 8]> =
        axes[shared..shared + carry].iter().copied().chain(stacks).collect();
    let body = Arc::new(narrow(body, axes, &results, (from, to), None)?);
    let op = match op {
        Op::Scan(scan) => Op::Scan(Scan { body, ..scan.clone() }),
        Op::While(w) => {
            let any = w.condition.outputs().first().copied();
            let condition = match narrow(&w.condition, axes, &[None], (from, to), None) {
                Some(condition) => condition,
                // A loop that goes on for any example, while those that are done keep what they have. What
                // is passed on for all at once, such as a count of runs, ends with the last of all.
                None if w.masked && results.iter().all(Option::is_some) => {
                    narrow(&w.condition, axes, &[None], (from, to), any)?
                }
                None => return None,
            };
            Op::While(While { condition: condition.into(), body, ..w.clone() })
        }
        _ => return None,
    };
    Some((op, results))
}

/// How the other operand of a gather depends on the examples, which operand `k` has along `axis`.
fn indices_of(gather: &Gather, k: usize, axis: usize) -> State {
    let dims = &gather.dims;
    let walked = dims.operand_batching_dims.iter().position(|&a| a == axis);
    match (k, walked) {
        (0, Some(at)) => State::Each(dims.start_indices_batching_dims[at]),
        _ => State::Shared,
    }
}

/// The axes of a scatter's operand that its windows run over.
fn windows_of(scatter: &Scatter, rank: usize) -> SmallVec<[usize; 6]> {
    let dims = &scatter.dims;
    let is_window = |a: &usize| {
        !dims.inserted_window_dims.contains(a) && !dims.operand_batching_dims.contains(a)
    };
    (0..rank).filter(is_window).collect()
}
