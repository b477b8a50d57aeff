//! Rules of operations whose rules users gave.

use std::sync::Arc;

use unloop_graph::op::{DerivativeRule, Host, Pullback, REVERSE_ONLY, Scan, WithDerivative};
use unloop_graph::{Axes, Graph, Op, Place, ReduceOp, Result, Tensor, TensorType};

use super::control::{apply_all, batched_types, program, run_batched};
use super::{Batched, Jvp, Operand, unsupported};
use crate::interpret::eval;

fn owned(x: &[&Tensor]) -> Vec<Tensor> {
    x.iter().map(|&x| x.clone()).collect()
}

fn all_each(results: Vec<Tensor>) -> Vec<Batched> {
    results.into_iter().map(Batched::Each).collect()
}

pub(super) fn batch(op: &Op, operands: &[&Batched], size: usize) -> Vec<Batched> {
    match op {
        Op::WithDerivative(custom) => batch_custom(custom, operands, size),
        Op::Host(host) => batch_host(host, operands, size),
        Op::AllGather(_) => vec![batch_all_gather(op, operands[0], operands[1], size)],
        // A forward derivative that does not exist, for one example or for many.
        _ => operands
            .iter()
            .map(|_| unsupported(REVERSE_ONLY.into(), operands[0].tensor()))
            .map(Batched::Same)
            .collect(),
    }
}

/// The program of a stack; all results have one entry an example.
fn batched_program(
    graph: &Graph,
    each: &[bool],
    size: usize,
    finish: impl FnOnce(Vec<Tensor>) -> Vec<Tensor>,
) -> Result<Arc<Graph>> {
    let types = batched_types(graph.inputs(), each, size);
    let results = vec![true; graph.outputs().len()];
    let (graph, captured) =
        program(types, 0, |params| finish(run_batched(graph, params, each, &results, size)))?;
    debug_assert!(captured.is_empty(), "a closed program captures nothing");
    Ok(graph)
}

fn batch_custom(custom: &WithDerivative, operands: &[&Batched], size: usize) -> Vec<Batched> {
    let each: Vec<bool> = operands.iter().map(|x| x.is_each()).collect();
    let arguments = &each[custom.captured..];
    let op = (|| {
        let body = batched_program(&custom.body, &each, size, |results| results)?;
        let rule = match &custom.rule {
            DerivativeRule::Forward(graph) => {
                let each = [&each[..], arguments].concat();
                DerivativeRule::Forward(batched_program(graph, &each, size, |results| results)?)
            }
            DerivativeRule::Reverse(graph) => {
                let mut flags = each[..custom.captured].to_vec();
                flags.resize(graph.inputs().len(), true);
                // Examples that share an argument add to its cotangent.
                let finish = |cotangents: Vec<Tensor>| {
                    let one = |(ct, each): (Tensor, &bool)| match each {
                        true => ct,
                        false => ct.reduce_op(ReduceOp::Sum, [0].into_iter().collect()),
                    };
                    cotangents.into_iter().zip(arguments).map(one).collect()
                };
                DerivativeRule::Reverse(batched_program(graph, &flags, size, finish)?)
            }
        };
        let op = Op::WithDerivative(WithDerivative { body, rule, ..custom.clone() });
        Ok((op, operands.iter().map(|x| x.tensor().clone()).collect()))
    })();
    all_each(apply_all(op, custom.body.outputs().len()))
}

/// By the operation's own rule, or else as a loop over examples.
fn batch_host(host: &Host, operands: &[&Batched], size: usize) -> Vec<Batched> {
    let each: Vec<bool> = operands.iter().map(|x| x.is_each()).collect();
    let tensors: Vec<&Tensor> = operands.iter().map(|x| x.tensor()).collect();
    if let Some(results) = host.0.batch(&tensors, &each, size) {
        return all_each(results);
    }
    let (entries, shared): (Vec<usize>, Vec<usize>) = (0..operands.len()).partition(|&i| each[i]);
    let order: Vec<usize> = shared.iter().chain(&entries).copied().collect();
    let example = |&i: &usize| match each[i] {
        true => unloop_graph::op::entry_type(&tensors[i].ty()),
        false => tensors[i].ty(),
    };
    let op = program(order.iter().map(example).collect(), 0, |params| {
        let mut x = params.to_vec();
        order.iter().zip(params).for_each(|(&i, param)| x[i] = param.clone());
        let x: Vec<&Tensor> = x.iter().collect();
        Tensor::apply(Op::Host(host.clone()), &x, Place::here()).into_vec()
    })
    .map(|(body, _)| {
        let shared = shared.len();
        let scan = Scan { body, shared, carry: 0, length: size, reverse: false };
        (Op::Scan(scan), order.iter().map(|&i| tensors[i].clone()).collect())
    });
    all_each(apply_all(op, host.0.result_count()))
}

/// Along the axis of the examples themselves the stack is the result, the same for all; another axis
/// goes along.
fn batch_all_gather(op: &Op, x: &Batched, position: &Batched, size: usize) -> Batched {
    if position.is_each() {
        return Batched::Same(x.each(size));
    }
    let gathered = super::apply(op.clone(), &[x.tensor(), position.tensor()]);
    Batched::Each(gathered.swap_axes(0, 1))
}

pub(super) fn jvp(op: &Op, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    match op {
        Op::WithDerivative(custom) => jvp_custom(custom, rule),
        Op::Host(host) => match host.0.jvp(rule.x, rule.t, rule.y) {
            Some(tangents) => tangents.into_iter().map(Some).collect(),
            None => {
                let what = format!("the derivative of `{}`, which gives no rule", host.0.name());
                rule.y.iter().map(|y| Some(unsupported(what.clone(), y))).collect()
            }
        },
        Op::AllGather(_) => {
            vec![rule.t[0].map(|t| super::apply(op.clone(), &[t, rule.x[1]]))]
        }
        _ => rule.y.iter().map(|y| Some(unsupported(REVERSE_ONLY.into(), y))).collect(),
    }
}

fn jvp_custom(custom: &WithDerivative, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    let (captured, visible) = (custom.captured, custom.visible);
    if rule.t[..captured].iter().any(Option::is_some) {
        let what = "the derivative in a value that a function with a custom rule captures; pass it \
                    as an argument";
        return rule.y.iter().map(|y| Some(unsupported(what.into(), y))).collect();
    }
    let tangents = (captured..rule.x.len()).map(|i| rule.tangent(i));
    let results = match &custom.rule {
        DerivativeRule::Forward(graph) => {
            let inputs: Vec<Tensor> = owned(rule.x).into_iter().chain(tangents).collect();
            eval(graph, &inputs)
        }
        DerivativeRule::Reverse(graph) => {
            let known: Vec<Tensor> =
                owned(&rule.x[..captured]).into_iter().chain(rule.y.iter().cloned()).collect();
            let op = Op::Pullback(Pullback {
                backward: graph.clone(),
                known: known.len(),
                results: rule.y[..visible].iter().map(Tensor::ty).collect(),
            });
            let inputs: Vec<Tensor> = known.into_iter().chain(tangents).collect();
            Tensor::apply(op, &inputs.iter().collect::<Vec<_>>(), Place::here()).into_vec()
        }
    };
    let mut tangents: Vec<Option<Tensor>> =
        results.into_iter().map(|t| t.dtype().is_float().then_some(t)).collect();
    tangents.resize(rule.y.len(), None);
    tangents
}

pub(super) fn transpose(op: &Op, cts: &[Option<Tensor>], x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    match op {
        Op::Pullback(pullback) => {
            let zeros = |ty: &TensorType| Tensor::zeros(ty.dtype, &ty.shape);
            let cotangents = cts.iter().zip(&pullback.results);
            let cotangents = cotangents.map(|(ct, ty)| ct.clone().unwrap_or_else(|| zeros(ty)));
            let known = x[..pullback.known].iter().map(|x| x.value(op));
            let inputs: Vec<Tensor> = known.chain(cotangents).collect();
            let arguments = eval(&pullback.backward, &inputs).into_iter();
            let linear = x[pullback.known..].iter().zip(arguments);
            let given = linear.map(|(x, ct)| x.is_linear().then_some(ct));
            vec![None; pullback.known].into_iter().chain(given).collect()
        }
        Op::Host(host) => {
            let operands: Vec<Option<&Tensor>> = x
                .iter()
                .map(|x| match x {
                    Operand::Known(x) => Some(*x),
                    Operand::Linear(_) => None,
                })
                .collect();
            let given = host.0.transpose(cts, &operands);
            given.unwrap_or_else(|| x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect())
        }
        Op::AllGather(_) => {
            // Every example's result has this example's operand at its position.
            let (Some(ct), position) = (&cts[0], x[1].value(op)) else { return vec![None; 2] };
            let all = super::apply(op.clone(), &[ct, &position]);
            let sum = all.reduce_op(ReduceOp::Sum, [0].into_iter().collect::<Axes>());
            vec![Some(sum.take_clipped(&position, 0)), None]
        }
        _ => x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect(),
    }
}
