//! Sums over examples that a loop adds up, as the gradient in what all examples share is: every example
//! adds up its own instead, and the sum is taken once, behind the loop, whose examples then do not
//! depend on each other.

use smallvec::{SmallVec, smallvec};
use unloop_graph::op::{DotDims, Pad, Scan, Slice};
use unloop_graph::{
    Axes, BinaryOp, DType, Graph, Number, Op, Place, ReduceOp, Scalar, TensorType, UnaryOp, ValueId,
};

use crate::part::Part;

/// Elements that an example adds up, at most.
const MAX_ELEMENTS: usize = 64;

/// The program with the sums over so many examples behind its loops; `None` if there are none within.
pub(crate) fn behind_loops(graph: &Graph, examples: usize) -> Option<Graph> {
    let mut part = Part::new(graph);
    let mut changed = false;
    for node in graph.nodes() {
        let Op::Scan(scan) = &node.op else { continue };
        let Some((body, moved)) = body(scan, examples) else { continue };
        changed = true;
        part.need(node.operands.iter().copied())?;
        let mut operands: SmallVec<[ValueId; 6]> = SmallVec::new();
        for (i, v) in node.operands.iter().enumerate() {
            let is_moved = i >= scan.shared && moved.contains(&(i - scan.shared));
            operands.push(match is_moved {
                true => zeros(&mut part, *v, examples)?,
                false => *part.moved.get(v)?,
            });
        }
        let op = Op::Scan(Scan { body: body.into(), ..scan.clone() });
        let first = part.push(op, &operands, node.place)?;
        for (i, v) in node.results().enumerate() {
            let mut value = ValueId(first.0 + i as u32);
            if moved.contains(&i) {
                let sum = Op::Reduce { op: ReduceOp::Sum, axes: Axes::from_slice(&[0]) };
                value = part.push(sum, &[value], node.place)?;
                let start = node.operands[scan.shared + i];
                if !is_zero(graph, start) {
                    let start = *part.moved.get(&start)?;
                    value = part.push(Op::Binary(BinaryOp::Add), &[start, value], node.place)?;
                }
            }
            part.moved.insert(ValueId(v), value);
        }
    }
    if !changed {
        return None;
    }
    part.complete()
}

/// The body of a loop in which examples add up their own, and which of the values passed on these are.
fn body(scan: &Scan, examples: usize) -> Option<(Graph, SmallVec<[usize; 4]>)> {
    let body = &*scan.body;
    let carry = |i: usize| ValueId((scan.shared + i) as u32);
    let sums: Vec<(usize, Vec<(bool, ValueId)>)> = (0..scan.carry)
        .filter(|&i| body.ty(carry(i)).shape.size() <= MAX_ELEMENTS)
        .filter_map(|i| Some((i, terms(body, carry(i), body.outputs()[i])?)))
        .collect();
    let mut part = Part::new(body);
    let mut moved: SmallVec<[usize; 4]> = SmallVec::new();
    let mut outputs: Vec<Option<ValueId>> = vec![None; body.outputs().len()];
    for (i, terms) in sums {
        let Some(terms) = terms
            .into_iter()
            .map(|(minus, term)| Some((minus, partial(&mut part, term, examples)?)))
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let ty = body.ty(carry(i));
        part.retype(carry(i), TensorType::new(ty.dtype, ty.shape.with(0, examples)));
        let sum = terms.into_iter().try_fold(carry(i), |sum, (minus, term)| {
            let op = if minus { BinaryOp::Sub } else { BinaryOp::Add };
            part.push(Op::Binary(op), &[sum, term], Place(None))
        });
        outputs[i] = Some(sum?);
        moved.push(i);
    }
    let others = body.outputs().iter().zip(&outputs).filter(|(_, new)| new.is_none());
    part.need(others.map(|(v, _)| *v))?;
    let outputs: Option<Vec<ValueId>> = (body.outputs().iter().zip(outputs))
        .map(|(v, new)| new.or_else(|| part.moved.get(v).copied()))
        .collect();
    (!moved.is_empty()).then_some((part.finish(&outputs?), moved))
}

/// What is added to a value to give another, if nothing else is done with either; those that are
/// subtracted are marked.
fn terms(body: &Graph, start: ValueId, end: ValueId) -> Option<Vec<(bool, ValueId)>> {
    let uses = |v: ValueId| {
        let operands = body.nodes().iter().flat_map(|node| &node.operands);
        operands.chain(body.outputs()).filter(|&&o| o == v).count()
    };
    let mut terms = Vec::new();
    let mut at = end;
    while at != start {
        let node = body.nodes().iter().find(|node| node.first == at)?;
        let [a, b] = node.operands[..] else { return None };
        let leads = |v: ValueId| depends(body, v, start);
        let (next, minus, term) = match &node.op {
            Op::Binary(BinaryOp::Add) if leads(a) => (a, false, b),
            Op::Binary(BinaryOp::Add) => (b, false, a),
            Op::Binary(BinaryOp::Sub) => (a, true, b),
            _ => return None,
        };
        if uses(at) != 1 {
            return None;
        }
        terms.push((minus, term));
        at = next;
    }
    (uses(start) == 1 && !terms.is_empty()).then_some(terms)
}

/// Whether a value is computed from another one.
fn depends(graph: &Graph, value: ValueId, on: ValueId) -> bool {
    let mut depends = vec![false; graph.value_count()];
    depends[on.index()] = true;
    for node in graph.nodes() {
        if node.operands.iter().any(|v| depends[v.index()]) {
            node.results().for_each(|v| depends[v as usize] = true);
        }
    }
    depends[value.index()]
}

fn is_zero(graph: &Graph, v: ValueId) -> bool {
    graph.nodes().iter().any(|node| {
        node.first == v
            && match &node.op {
                Op::Constant(value) => value.number().float() == 0.0,
                Op::Broadcast { .. } | Op::Reshape(_) => is_zero(graph, node.operands[0]),
                _ => false,
            }
    })
}

/// Zeros of the type of a value, for each example.
fn zeros(part: &mut Part<'_>, v: ValueId, examples: usize) -> Option<ValueId> {
    let ty = part.graph.ty(v).clone();
    let number = if ty.dtype.is_float() { Number::Float(0.0) } else { Number::Int(0) };
    let zero = part.push(Op::Constant(Scalar::new(ty.dtype, number)), &[], Place(None))?;
    let repeat = Op::Broadcast { shape: ty.shape.with(0, examples), dims: Axes::new() };
    part.push(repeat, &[zero], Place(None))
}

/// A value of which another one is the sum over its first axis, one entry for each example; `None` if it
/// is no sum over examples.
fn partial(part: &mut Part<'_>, v: ValueId, examples: usize) -> Option<ValueId> {
    let graph = part.graph;
    if graph.ty(v).shape.size() > MAX_ELEMENTS || graph.ty(v).dtype == DType::Bool {
        return None;
    }
    if is_zero(graph, v) {
        return zeros(part, v, examples);
    }
    let node = graph.nodes().iter().find(|node| node.first == v)?;
    let whole = |part: &mut Part<'_>, v: ValueId| -> Option<ValueId> {
        part.need([v].into_iter())?;
        part.moved.get(&v).copied()
    };
    let shape = || graph.ty(v).shape.with(0, examples);
    let behind =
        |axes: &[usize]| -> Axes { std::iter::once(0).chain(axes.iter().map(|a| a + 1)).collect() };
    let of = |k: usize| node.operands[k];
    let (op, operands): (Op, SmallVec<[ValueId; 3]>) = match &node.op {
        Op::Reduce { op: ReduceOp::Sum, axes } => {
            let x = graph.ty(of(0));
            let &axis = axes.iter().find(|&&a| x.shape[a] == examples)?;
            let rest: Axes = axes.iter().copied().filter(|&a| a != axis).collect();
            let at = axis - rest.iter().filter(|&&a| a < axis).count();
            let rank = x.rank() - rest.len();
            let mut value = whole(part, of(0))?;
            if !rest.is_empty() {
                let sum = Op::Reduce { op: ReduceOp::Sum, axes: rest };
                value = part.push(sum, &[value], node.place)?;
            }
            let order = std::iter::once(at).chain((0..rank).filter(|&a| a != at));
            (Op::Transpose(order.collect()), smallvec![value])
        }
        Op::Dot(dims) => {
            let x = graph.ty(of(0));
            let at = dims.lhs_contract.iter().position(|&a| x.shape[a] == examples)?;
            let without = |axes: &Axes| -> Axes {
                let others = axes.iter().enumerate().filter(|(i, _)| *i != at);
                others.map(|(_, &a)| a).collect()
            };
            let before = |axis: usize, axes: &Axes| -> Axes {
                std::iter::once(axis).chain(axes.iter().copied()).collect()
            };
            let dims = DotDims {
                lhs_contract: without(&dims.lhs_contract),
                rhs_contract: without(&dims.rhs_contract),
                lhs_batch: before(dims.lhs_contract[at], &dims.lhs_batch),
                rhs_batch: before(dims.rhs_contract[at], &dims.rhs_batch),
            };
            let operands = [whole(part, of(0))?, whole(part, of(1))?];
            (Op::Dot(dims), SmallVec::from_slice(&operands))
        }
        Op::Unary(UnaryOp::Neg) => (node.op.clone(), smallvec![partial(part, of(0), examples)?]),
        Op::Binary(BinaryOp::Add | BinaryOp::Sub) => {
            let operands = [partial(part, of(0), examples)?, partial(part, of(1), examples)?];
            (node.op.clone(), SmallVec::from_slice(&operands))
        }
        Op::Binary(op @ (BinaryOp::Mul | BinaryOp::Div)) => {
            let repeated = |part: &mut Part<'_>, v: ValueId| -> Option<ValueId> {
                let value = whole(part, v)?;
                let dims = (1..=graph.ty(v).rank()).collect();
                part.push(Op::Broadcast { shape: shape(), dims }, &[value], node.place)
            };
            let operands = match partial(part, of(0), examples) {
                Some(x) => [x, repeated(part, of(1))?],
                None if *op == BinaryOp::Mul => {
                    let y = partial(part, of(1), examples)?;
                    [repeated(part, of(0))?, y]
                }
                None => return None,
            };
            (node.op.clone(), SmallVec::from_slice(&operands))
        }
        Op::Reshape(_) => (Op::Reshape(shape()), smallvec![partial(part, of(0), examples)?]),
        Op::Transpose(perm) => {
            (Op::Transpose(behind(perm)), smallvec![partial(part, of(0), examples)?])
        }
        Op::Broadcast { dims, .. } => {
            let op = Op::Broadcast { shape: shape(), dims: behind(dims) };
            (op, smallvec![partial(part, of(0), examples)?])
        }
        Op::Slice(slice) => {
            let front = |axes: &[usize], first: usize| -> SmallVec<[usize; 6]> {
                std::iter::once(first).chain(axes.iter().copied()).collect()
            };
            let slice = Slice {
                start: front(&slice.start, 0),
                limit: front(&slice.limit, examples),
                step: front(&slice.step, 1),
            };
            (Op::Slice(slice), smallvec![partial(part, of(0), examples)?])
        }
        Op::Pad(Pad(axes)) if is_zero(graph, of(1)) => {
            let axes = std::iter::once(Default::default()).chain(axes.iter().copied()).collect();
            let operands = [partial(part, of(0), examples)?, whole(part, of(1))?];
            (Op::Pad(Pad(axes)), SmallVec::from_slice(&operands))
        }
        Op::Concatenate { axis } => {
            let operands: Option<_> =
                node.operands.iter().map(|&v| partial(part, v, examples)).collect();
            (Op::Concatenate { axis: axis + 1 }, operands?)
        }
        _ => return None,
    };
    part.push(op, &operands, node.place)
}
