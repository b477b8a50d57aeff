//! Rules of control flow: the rules of the programs inside, and how their operands come and go.

use std::sync::Arc;

use smallvec::SmallVec;
use unloop_graph::op::{Scan, Switch, While, entry_type};
use unloop_graph::stack::deeper;
use unloop_graph::{
    Error, ErrorKind, Graph, GraphBuilder, Op, Place, ReduceOp, Result, Shape, Tensor, TensorType,
    Trace, TracedProgram,
};

use super::{Batched, Jvp, Operand};
use crate::interpret::eval;
use crate::linear::{Values, jvp_graph, transpose_graph};
use crate::vmap::batch_graph;

/// Applies an operation, or gives the error of making it as all of its results.
pub(super) fn apply_all(op: Result<(Op, Vec<Tensor>)>, count: usize) -> Vec<Tensor> {
    match op {
        Ok((op, operands)) => {
            let operands: Vec<&Tensor> = operands.iter().collect();
            Tensor::apply(op, &operands, Place::here()).into_vec()
        }
        Err(error) => vec![Tensor::error(error); count],
    }
}

/// The program of `f` of parameters of some types. What it captures becomes inputs after the first
/// `at`, and operands to put there.
pub(super) fn program(
    types: Vec<TensorType>,
    at: usize,
    f: impl FnOnce(&[Tensor]) -> Vec<Tensor>,
) -> Result<(Arc<Graph>, Vec<Tensor>)> {
    let (trace, params) = Trace::new(types.iter().cloned());
    let TracedProgram { graph, captures } =
        trace.finish(&Trace::off_stage(|| deeper(|| f(&params))))?;
    let captured: Vec<Tensor> = captures.into_iter().map(|c| c.tensor).collect();
    if captured.is_empty() {
        return Ok((Arc::new(graph), captured));
    }
    let extra = captured.len();
    let mut inputs = types[..at].to_vec();
    inputs.extend(captured.iter().map(Tensor::ty));
    inputs.extend_from_slice(&types[at..]);
    let place = (0..types.len()).map(|i| if i < at { i } else { i + extra });
    let place: Vec<usize> = place.chain((0..extra).map(|i| at + i)).collect();
    Ok((Arc::new(graph.with_inputs(inputs, &place)), captured))
}

/// Programs of the same parameters, one a branch, with the captures of all of them.
fn branches(
    graphs: &[Arc<Graph>],
    types: &[TensorType],
    f: impl Fn(&Graph, &[Tensor]) -> Vec<Tensor>,
) -> Result<(Vec<Arc<Graph>>, Vec<Tensor>)> {
    let traced: Vec<(Arc<Graph>, Vec<Tensor>)> = graphs
        .iter()
        .map(|graph| program(types.to_vec(), types.len(), |params| f(graph, params)))
        .collect::<Result<_>>()?;
    let captured: Vec<Tensor> = traced.iter().flat_map(|t| t.1.iter().cloned()).collect();
    let inputs: Vec<TensorType> =
        types.iter().cloned().chain(captured.iter().map(Tensor::ty)).collect();
    let mut start = types.len();
    let widened = traced.iter().map(|(graph, own)| {
        let place: Vec<usize> = (0..types.len()).chain(start..start + own.len()).collect();
        start += own.len();
        Arc::new(graph.with_inputs(inputs.clone(), &place))
    });
    Ok((widened.collect(), captured))
}

/// Which results of a program depend on marked inputs.
fn dependent(graph: &Graph, inputs: &[bool]) -> Vec<bool> {
    let mut marked = inputs.to_vec();
    marked.resize(graph.value_count(), false);
    for node in graph.nodes() {
        let depends = node.operands.iter().any(|v| marked[v.index()]);
        node.results().for_each(|v| marked[v as usize] = depends);
    }
    graph.outputs().iter().map(|v| marked[v.index()]).collect()
}

/// Which passed-on values, and which results, depend on marked operands of a loop whose passed-on
/// values are `carry` of the inputs from `first`.
fn fixed_point(
    graph: &Graph,
    operands: &[bool],
    first: usize,
    carry: usize,
) -> (Vec<bool>, Vec<bool>) {
    let mut marked = operands.to_vec();
    loop {
        let results = dependent(graph, &marked);
        let before = marked.clone();
        for i in 0..carry {
            marked[first + i] |= results[i];
        }
        if marked == before {
            return (marked, results);
        }
    }
}

fn with_axis(ty: &TensorType, size: usize) -> TensorType {
    TensorType::new(ty.dtype, ty.shape.with(0, size))
}

/// The types of inputs of one example as those of a stack, where marked.
pub(super) fn batched_types(types: &[TensorType], each: &[bool], size: usize) -> Vec<TensorType> {
    let ty =
        |(ty, each): (&TensorType, &bool)| if *each { with_axis(ty, size) } else { ty.clone() };
    types.iter().zip(each).map(ty).collect()
}

/// The results of a program on a stack of examples; marked ones have one entry an example.
pub(super) fn run_batched(
    graph: &Graph,
    inputs: &[Tensor],
    each: &[bool],
    results: &[bool],
    size: usize,
) -> Vec<Tensor> {
    let input = |(x, each): (&Tensor, &bool)| match each {
        true => Batched::Each(x.clone()),
        false => Batched::Same(x.clone()),
    };
    let outputs = batch_graph(graph, inputs.iter().zip(each).map(input).collect(), size);
    let output = |(x, each): (Batched, &bool)| match each {
        true => x.each(size),
        false => x.tensor().clone(),
    };
    outputs.into_iter().zip(results).map(output).collect()
}

fn tagged(results: Vec<Tensor>, each: &[bool]) -> Vec<Batched> {
    let tag = |(x, each): (Tensor, &bool)| match each {
        true => Batched::Each(x),
        false => Batched::Same(x),
    };
    results.into_iter().zip(each).map(tag).collect()
}

pub(super) fn batch(op: &Op, operands: &[&Batched], size: usize) -> Vec<Batched> {
    let each: Vec<bool> = operands.iter().map(|x| x.is_each()).collect();
    match op {
        Op::Switch(switch) if each[0] => one_by_one(switch, operands, size),
        Op::Switch(switch) => batch_switch(switch, operands, &each[1..], size),
        Op::While(repeat) => batch_while(repeat, operands, &each, size),
        Op::Scan(scan) => batch_scan(scan, operands, &each, size),
        other => unreachable!("{} is no control flow", other.name()),
    }
}

/// Each example takes a branch of its own: a loop over examples, so that nothing is computed that
/// no example asked for.
fn one_by_one(switch: &Switch, operands: &[&Batched], size: usize) -> Vec<Batched> {
    let (shared, entries): (Vec<usize>, Vec<usize>) =
        (0..operands.len()).partition(|&i| !operands[i].is_each());
    let example = |i: &usize| {
        let ty = operands[*i].tensor().ty();
        match operands[*i].is_each() {
            true => entry_type(&ty),
            false => ty,
        }
    };
    let order: Vec<usize> = shared.iter().chain(&entries).copied().collect();
    let count = switch.branches.first().map_or(0, |b| b.outputs().len());
    let made = program(order.iter().map(example).collect(), shared.len(), |params| {
        let mut x = params.to_vec();
        order.iter().zip(params).for_each(|(&i, param)| x[i] = param.clone());
        Tensor::apply(Op::Switch(switch.clone()), &x.iter().collect::<Vec<_>>(), Place::here())
            .into_vec()
    });
    let scan = made.map(|(body, captured)| {
        let all =
            |of: &[usize]| of.iter().map(|&i| operands[i].tensor().clone()).collect::<Vec<_>>();
        let inputs = [all(&shared), captured.clone(), all(&entries)].concat();
        let shared = shared.len() + captured.len();
        (Op::Scan(Scan { body, shared, carry: 0, length: size, reverse: false }), inputs)
    });
    apply_all(scan, count).into_iter().map(Batched::Each).collect()
}

fn batch_switch(
    switch: &Switch,
    operands: &[&Batched],
    each: &[bool],
    size: usize,
) -> Vec<Batched> {
    let Some(first) = switch.branches.first() else { unreachable!("a choice without branches") };
    let mut results = vec![false; first.outputs().len()];
    for branch in &switch.branches {
        let depends = dependent(branch, each);
        results.iter_mut().zip(depends).for_each(|(any, this)| *any |= this);
    }
    let types = batched_types(first.inputs(), each, size);
    let made = branches(&switch.branches, &types, |branch, params| {
        run_batched(branch, params, each, &results, size)
    });
    let op = made.map(|(branches, captured)| {
        let inputs = operands.iter().map(|x| x.tensor().clone()).chain(captured);
        (Op::Switch(Switch { branches }), inputs.collect())
    });
    tagged(apply_all(op, results.len()), &results)
}

fn batch_scan(scan: &Scan, operands: &[&Batched], each: &[bool], size: usize) -> Vec<Batched> {
    let whole = scan.shared + scan.carry;
    let (marked, mut results) = fixed_point(&scan.body, each, scan.shared, scan.carry);
    results[..scan.carry].copy_from_slice(&marked[scan.shared..whole]);
    let types = batched_types(scan.body.inputs(), &marked, size);
    let made = program(types, scan.shared, |params| {
        run_batched(&scan.body, params, &marked, &results, size)
    });
    let op = made.map(|(body, captured)| {
        let mut inputs: Vec<Tensor> = Vec::new();
        for (i, x) in operands.iter().enumerate() {
            if i == scan.shared {
                inputs.extend(captured.iter().cloned());
            }
            inputs.push(match marked[i] {
                // Entries are walked first, examples second.
                true if i >= whole => x.each(size).swap_axes(0, 1),
                true => x.each(size),
                false => x.tensor().clone(),
            });
        }
        if operands.len() == scan.shared {
            inputs.extend(captured.iter().cloned());
        }
        let shared = scan.shared + captured.len();
        (Op::Scan(Scan { body, shared, ..scan.clone() }), inputs)
    });
    let mut stacks = tagged(apply_all(op, results.len()), &results);
    for x in &mut stacks[scan.carry..] {
        if let Batched::Each(x) = x
            && x.as_error().is_none()
        {
            *x = x.swap_axes(0, 1);
        }
    }
    stacks
}

fn batch_while(repeat: &While, operands: &[&Batched], each: &[bool], size: usize) -> Vec<Batched> {
    let carry = repeat.carry();
    let (mut marked, _) = fixed_point(&repeat.body, each, repeat.shared, carry);
    let by_example = dependent(&repeat.condition, &marked)[0];
    if by_example {
        // Examples that are done keep their values.
        marked[repeat.shared..].fill(true);
    }
    let results = marked[repeat.shared..].to_vec();
    let types = batched_types(repeat.body.inputs(), &marked, size);
    // Examples of examples are done by themselves, as their own mask says.
    let mask = if repeat.masked && by_example { mask(&repeat.condition) } else { None };
    let asked = mask.as_ref().unwrap_or(&repeat.condition);
    let go_on = |params: &[Tensor], marked: &[bool]| {
        run_batched(asked, params, marked, &[by_example], size).swap_remove(0)
    };
    let op = (|| {
        let condition = |params: &[Tensor]| {
            let go_on = go_on(params, &marked);
            match by_example {
                true => {
                    let axes = (0..go_on.rank()).collect();
                    vec![go_on.reduce_op(ReduceOp::Or, axes)]
                }
                false => vec![go_on],
            }
        };
        let (condition, first) = program(types.clone(), repeat.shared, condition)?;
        let body = |params: &[Tensor]| {
            let next = run_batched(&repeat.body, params, &marked, &results, size);
            if !by_example || mask.is_some() {
                return next;
            }
            let go_on = go_on(params, &marked);
            let keep = |(next, old): (&Tensor, &Tensor)| {
                let dims = [0].into_iter().collect();
                go_on.broadcast_in_dim(Shape::from(next.shape()), dims).select(next, old)
            };
            next.iter().zip(&params[repeat.shared..]).map(keep).collect()
        };
        let (body, second) = program(types.clone(), repeat.shared, body)?;
        let masked = repeat.masked || by_example;
        let outer = While { masked, ..repeat.clone() };
        let (op, captured) = joined(&outer, (condition, first), (body, second), &types);
        let mut inputs: Vec<Tensor> = Vec::new();
        for (i, x) in operands.iter().enumerate() {
            if i == repeat.shared {
                inputs.extend(captured.iter().cloned());
            }
            inputs.push(if marked[i] { x.each(size) } else { x.tensor().clone() });
        }
        Ok((op, inputs))
    })();
    tagged(apply_all(op, carry), &results)
}

/// The program of the mask of which a condition is the disjunction.
fn mask(condition: &Graph) -> Option<Graph> {
    let any = condition.nodes().iter().find(|node| condition.outputs() == [node.first])?;
    let Op::Reduce { op: ReduceOp::Or, .. } = any.op else { return None };
    let mut builder = GraphBuilder::new(condition.inputs().to_vec());
    let mut values = builder.inputs();
    for node in condition.nodes() {
        builder.copy(node, &mut values).ok()?;
    }
    Some(builder.finish(&[values[any.operands[0].index()]]))
}

/// A loop of a condition and a body that were traced apart: both take what either captured.
fn joined(
    repeat: &While,
    (condition, first): (Arc<Graph>, Vec<Tensor>),
    (body, second): (Arc<Graph>, Vec<Tensor>),
    types: &[TensorType],
) -> (Op, Vec<Tensor>) {
    let at = repeat.shared;
    let captured = [&first[..], &second[..]].concat();
    let mut inputs = types[..at].to_vec();
    inputs.extend(captured.iter().map(Tensor::ty));
    inputs.extend_from_slice(&types[at..]);
    let place = |own: std::ops::Range<usize>| -> Vec<usize> {
        let rest = types.len() - at;
        let shift = captured.len();
        (0..at).chain(own.map(|i| at + i)).chain((0..rest).map(|i| at + shift + i)).collect()
    };
    let condition = condition.with_inputs(inputs.clone(), &place(0..first.len()));
    let body = body.with_inputs(inputs, &place(first.len()..captured.len()));
    let shared = at + captured.len();
    let (condition, body) = (Arc::new(condition), Arc::new(body));
    (Op::While(While { condition, body, shared, ..repeat.clone() }), captured)
}

fn zeros(ty: &TensorType) -> Tensor {
    Tensor::zeros(ty.dtype, &ty.shape)
}

/// The tangents of results that are marked, zeros where a program has none.
fn marked_tangents(
    graph: &Graph,
    point: &[Tensor],
    tangents: &[Option<Tensor>],
    marked: &[bool],
) -> Vec<Tensor> {
    let (values, tangents) = jvp_graph(graph, point, tangents, Values::Joint);
    let tangent = |((t, y), marked): ((Option<Tensor>, Tensor), &bool)| {
        marked.then(|| t.unwrap_or_else(|| y.zeros_like()))
    };
    tangents.into_iter().zip(values).zip(marked).filter_map(tangent).collect()
}

/// Results where marked ones are given and the others absent.
fn spread(given: Vec<Tensor>, marked: &[bool]) -> Vec<Option<Tensor>> {
    let mut given = given.into_iter();
    marked.iter().map(|marked| if *marked { given.next() } else { None }).collect()
}

fn floats(types: &[TensorType], marked: Vec<bool>) -> Vec<bool> {
    marked.into_iter().zip(types).map(|(marked, ty)| marked && ty.dtype.is_float()).collect()
}

fn picked<T: Clone>(values: &[T], marked: &[bool]) -> Vec<T> {
    values.iter().zip(marked).filter(|(_, marked)| **marked).map(|(x, _)| x.clone()).collect()
}

/// The first `n` of the tensors that are left.
fn taken(rest: &mut &[Tensor], n: usize) -> Vec<Tensor> {
    let (front, back) = rest.split_at(n);
    *rest = back;
    front.to_vec()
}

/// The types of operands. One that failed has none of its own, and no program could be made of it.
pub(super) fn types_of(operands: &[Tensor]) -> Result<Vec<TensorType>> {
    operands.iter().map(|x| x.check().map(Tensor::ty)).collect()
}

/// What one step of a scan sees of its operands: the first `whole` as they are, of the others an
/// entry.
fn step_types(operands: &[Tensor], whole: usize) -> Result<Vec<TensorType>> {
    let mut types = types_of(operands)?;
    types[whole..].iter_mut().for_each(|ty| *ty = entry_type(ty));
    Ok(types)
}

pub(super) fn jvp(op: &Op, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let x: Vec<Tensor> = rule.x.iter().map(|x| (*x).clone()).collect();
    let active: Vec<bool> = rule.t.iter().map(Option::is_some).collect();
    match op {
        Op::Switch(switch) => jvp_switch(switch, &x, &active, rule),
        Op::While(repeat) => jvp_while(repeat, rule.x, rule.t).1,
        Op::Scan(scan) => jvp_scan(scan, &x, &active, rule),
        other => unreachable!("{} is no control flow", other.name()),
    }
}

/// The tangents of each branch, from the operands and their tangents.
fn jvp_switch(
    switch: &Switch,
    x: &[Tensor],
    active: &[bool],
    rule: &Jvp<'_>,
) -> Vec<Option<Tensor>> {
    let types: Vec<TensorType> = rule.y.iter().map(Tensor::ty).collect();
    let mut marked = vec![false; types.len()];
    for branch in &switch.branches {
        let depends = dependent(branch, &active[1..]);
        marked.iter_mut().zip(depends).for_each(|(any, this)| *any |= this);
    }
    let marked = floats(&types, marked);
    let active = &active[1..];
    let tangents: Vec<Tensor> = rule.t.iter().flatten().map(|t| (*t).clone()).collect();
    let linear = tangents.len();
    let inputs: Vec<Tensor> = tangents.into_iter().chain(x[1..].iter().cloned()).collect();
    let made = types_of(&inputs).and_then(|types| {
        branches(&switch.branches, &types, |branch, params| {
            let (tangents, point) = params.split_at(linear);
            marked_tangents(branch, point, &spread(tangents.to_vec(), active), &marked)
        })
    });
    let op = made.map(|(branches, captured)| {
        let operands = [x[0].clone()].into_iter().chain(inputs).chain(captured);
        (Op::Switch(Switch { branches }), operands.collect())
    });
    let count = marked.iter().filter(|m| **m).count();
    spread(apply_all(op, count), &marked)
}

/// The results of a loop and their tangents, by a loop that passes on both side by side.
pub(crate) fn jvp_while(
    repeat: &While,
    x: &[&Tensor],
    t: &[Option<&Tensor>],
) -> (SmallVec<[Tensor; 1]>, Vec<Option<Tensor>>) {
    let active: Vec<bool> = t.iter().map(Option::is_some).collect();
    let x: Vec<Tensor> = x.iter().map(|x| (*x).clone()).collect();
    let shared = repeat.shared;
    let (all, _) = fixed_point(&repeat.body, &active, shared, repeat.carry());
    let marked = floats(repeat.body.inputs(), all);
    let carried = marked[shared..].to_vec();
    let tangent = |i: usize| t[i].cloned().unwrap_or_else(|| x[i].zeros_like());
    let (constant, start): (Vec<usize>, Vec<usize>) =
        (0..x.len()).filter(|&i| marked[i]).partition(|&i| i < shared);
    // Shared values and tangents, then passed-on values and tangents.
    let mut inputs = x[..shared].to_vec();
    inputs.extend(constant.iter().map(|&i| tangent(i)));
    let at = inputs.len();
    inputs.extend_from_slice(&x[shared..]);
    inputs.extend(start.iter().map(|&i| tangent(i)));
    let split = |params: &[Tensor]| -> (Vec<Tensor>, Vec<Option<Tensor>>) {
        let carry = repeat.carry();
        let point = [&params[..shared], &params[at..at + carry]].concat();
        let tangents = [&params[shared..at], &params[at + carry..]].concat();
        (point, spread(tangents, &marked))
    };
    let op = (|| {
        let types = types_of(&inputs)?;
        let condition =
            program(types.clone(), at, |params| eval(&repeat.condition, &split(params).0))?;
        let body = program(types.clone(), at, |params| {
            let (point, tangents) = split(params);
            let mut next = eval(&repeat.body, &point);
            next.extend(marked_tangents(&repeat.body, &point, &tangents, &carried));
            next
        })?;
        let outer = While { shared: at, ..repeat.clone() };
        let (op, captured) = joined(&outer, condition, body, &types);
        let operands = [&inputs[..at], &captured, &inputs[at..]].concat();
        Ok((op, operands))
    })();
    let mut values = apply_all(op, repeat.carry() + start.len());
    let tangents = spread(values.split_off(repeat.carry()), &carried);
    (values.into(), tangents)
}

/// Two loops: one that notes what is passed on at each step, and one of the tangents, whose steps
/// compute the rest anew. The second is linear in the tangents.
fn jvp_scan(scan: &Scan, x: &[Tensor], active: &[bool], rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (shared, whole) = (scan.shared, scan.shared + scan.carry);
    let inputs = scan.body.inputs();
    let (all, results) = fixed_point(&scan.body, active, shared, scan.carry);
    let marked = floats(inputs, all);
    let results: Vec<TensorType> =
        scan.body.output_types().cloned().zip(results).map(|r| r.0).collect();
    let depends = dependent(&scan.body, &marked);
    let mut tangents_out = floats(&results, depends);
    tangents_out[..scan.carry].copy_from_slice(&marked[shared..whole]);

    let noted = match scan.carry {
        0 => Vec::new(),
        _ => {
            let made = program(inputs.to_vec(), shared, |params| {
                let mut next = eval(&scan.body, params);
                next.truncate(scan.carry);
                next.extend_from_slice(&params[shared..whole]);
                next
            });
            let op = made.map(|(body, captured)| {
                let operands = [&x[..shared], &captured, &x[shared..]].concat();
                let shared = shared + captured.len();
                (Op::Scan(Scan { body, shared, ..scan.clone() }), operands)
            });
            apply_all(op, 2 * scan.carry).split_off(scan.carry)
        }
    };
    let tangent = |i: usize| rule.t[i].cloned().unwrap_or_else(|| x[i].zeros_like());
    let of = |range: std::ops::Range<usize>| -> Vec<Tensor> {
        range.filter(|&i| marked[i]).map(tangent).collect()
    };
    let (constant, start, entries) = (of(0..shared), of(shared..whole), of(whole..x.len()));
    // Shared: tangents, values. Passed on: tangents. Entries: tangents, what was noted, values.
    let operands = [&constant[..], &x[..shared], &start, &entries, &noted, &x[whole..]].concat();
    let fixed = constant.len() + shared;
    let step = |params: &[Tensor]| {
        let mut rest = params;
        let mut take = |n: usize| taken(&mut rest, n);
        let (constant, shared) = (take(constant.len()), take(shared));
        let (start, entries) = (take(start.len()), take(entries.len()));
        let (carry, values) = (take(noted.len()), take(x.len() - whole));
        let tangents = spread([constant, start, entries].concat(), &marked);
        let point = [shared, carry, values].concat();
        marked_tangents(&scan.body, &point, &tangents, &tangents_out)
    };
    let made =
        step_types(&operands, fixed + start.len()).and_then(|types| program(types, fixed, step));
    let carry = start.len();
    let op = made.map(|(body, captured)| {
        let inputs = [&operands[..fixed], &captured, &operands[fixed..]].concat();
        let shared = fixed + captured.len();
        (Op::Scan(Scan { body, shared, carry, ..scan.clone() }), inputs)
    });
    let count = tangents_out.iter().filter(|m| **m).count();
    spread(apply_all(op, count), &tangents_out)
}

pub(super) fn transpose(op: &Op, cts: &[Option<Tensor>], x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let refuse = |what: &str| {
        let kind = ErrorKind::Unsupported(what.into());
        let error = Tensor::error(Error::new("transpose", kind, Place::here()));
        x.iter().map(|x| x.is_linear().then(|| error.clone())).collect()
    };
    match op {
        Op::Switch(switch) => transpose_switch(switch, cts, x),
        Op::Scan(scan) => transpose_scan(scan, cts, x),
        Op::While(_) => refuse(
            "the gradient of while_loop, whose number of steps is not known before; use scan or \
             fori_loop, or forward mode (jvp, jacfwd)",
        ),
        other => unreachable!("{} is no control flow", other.name()),
    }
}

/// What an operand of a program under transposition is: linear ones have no value.
fn sorted(x: &[Operand<'_>]) -> (Vec<bool>, Vec<Tensor>) {
    let is_linear = x.iter().map(Operand::is_linear).collect();
    let known = x.iter().filter_map(|x| match x {
        Operand::Known(x) => Some((*x).clone()),
        Operand::Linear(_) => None,
    });
    (is_linear, known.collect())
}

fn transpose_switch(
    switch: &Switch,
    cts: &[Option<Tensor>],
    x: &[Operand<'_>],
) -> Vec<Option<Tensor>> {
    let index = x[0].value(&Op::Switch(switch.clone()));
    let (is_linear, known) = sorted(&x[1..]);
    let given: Vec<bool> = cts.iter().map(Option::is_some).collect();
    let flowing: Vec<Tensor> = cts.iter().flatten().cloned().collect();
    let inputs: Vec<Tensor> = known.iter().chain(&flowing).cloned().collect();
    let made = types_of(&inputs).and_then(|types| {
        branches(&switch.branches, &types, |branch, params| {
            let (known, flowing) = params.split_at(known.len());
            backward(branch, &is_linear, known, &spread(flowing.to_vec(), &given))
        })
    });
    let op = made.map(|(branches, captured)| {
        let operands = [index].into_iter().chain(inputs).chain(captured);
        (Op::Switch(Switch { branches }), operands.collect())
    });
    let count = is_linear.iter().filter(|l| **l).count();
    let results = apply_all(op, count);
    [None].into_iter().chain(spread(results, &is_linear)).collect()
}

/// The cotangents of a program's linear inputs, zeros where absent.
fn backward(
    graph: &Graph,
    is_linear: &[bool],
    known: &[Tensor],
    cts: &[Option<Tensor>],
) -> Vec<Tensor> {
    let full: Vec<Tensor> = cts
        .iter()
        .zip(graph.output_types())
        .map(|(ct, ty)| ct.clone().unwrap_or_else(|| zeros(ty)))
        .collect();
    let results = transpose_graph(graph, is_linear, known, &full);
    let types = picked(graph.inputs(), is_linear);
    results.into_iter().zip(&types).map(|(ct, ty)| ct.unwrap_or_else(|| zeros(ty))).collect()
}

/// The loop backwards: passes on the cotangents of what was passed on, and sums those of what all
/// steps share.
fn transpose_scan(scan: &Scan, cts: &[Option<Tensor>], x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let whole = scan.shared + scan.carry;
    let (linear_shared, known_shared) = sorted(&x[..scan.shared]);
    // What is passed on is linear, even if it starts at a known value (a tangent of zero).
    let (linear_start, _) = sorted(&x[scan.shared..whole]);
    let passed_on = vec![true; scan.carry];
    let (linear_entries, known_entries) = sorted(&x[whole..]);
    let is_linear = [&linear_shared[..], &passed_on, &linear_entries].concat();
    let sums: Vec<Tensor> =
        picked(&scan.body.inputs()[..scan.shared], &linear_shared).iter().map(zeros).collect();
    let result = |i: usize| -> TensorType {
        let ty = scan.body.ty(scan.body.outputs()[i]);
        if i < scan.carry { ty.clone() } else { with_axis(ty, scan.length) }
    };
    let ct = |i: usize| cts[i].clone().unwrap_or_else(|| zeros(&result(i)));
    let carry: Vec<Tensor> = (0..scan.carry).map(ct).collect();
    let stacks: Vec<Tensor> = (scan.carry..cts.len()).map(ct).collect();
    // Shared: known values. Passed on: cotangents, sums. Entries: cotangents, known values.
    let operands = [&known_shared[..], &carry, &sums, &stacks, &known_entries].concat();
    let (fixed, passed) = (known_shared.len(), carry.len() + sums.len());
    let step = |params: &[Tensor]| {
        let mut rest = params;
        let mut take = |n: usize| taken(&mut rest, n);
        let (shared, carry, sums) = (take(fixed), take(carry.len()), take(sums.len()));
        let (stacks, entries) = (take(stacks.len()), take(known_entries.len()));
        let known = [shared, entries].concat();
        let flowing: Vec<Option<Tensor>> = carry.into_iter().chain(stacks).map(Some).collect();
        let results = backward(&scan.body, &is_linear, &known, &flowing);
        let (constant, rest) = results.split_at(sums.len());
        let (next, entries) = rest.split_at(scan.carry);
        let sums = sums.iter().zip(constant).map(|(sum, ct)| sum + ct);
        next.iter().cloned().chain(sums).chain(entries.iter().cloned()).collect()
    };
    let made = step_types(&operands, fixed + passed).and_then(|types| program(types, fixed, step));
    let op = made.map(|(body, captured)| {
        let inputs = [&operands[..fixed], &captured, &operands[fixed..]].concat();
        let (shared, reverse) = (fixed + captured.len(), !scan.reverse);
        (Op::Scan(Scan { body, shared, carry: passed, length: scan.length, reverse }), inputs)
    });
    let entries = linear_entries.iter().filter(|l| **l).count();
    let mut results = apply_all(op, passed + entries);
    let entries = results.split_off(passed);
    let sums = results.split_off(scan.carry);
    let mut all = spread(sums, &linear_shared);
    all.extend(results.into_iter().zip(linear_start).map(|(ct, linear)| linear.then_some(ct)));
    all.extend(spread(entries, &linear_entries));
    all
}
