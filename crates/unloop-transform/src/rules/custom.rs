//! Rules of operations whose rules users gave.

use std::sync::Arc;

use unloop_graph::op::{
    Deferred, Derivative, DerivativeRule, Host, Pullback, REVERSE_ONLY, Scan, WithDerivative,
};
use unloop_graph::{
    Axes, Error, ErrorKind, Graph, Op, Place, ReduceOp, Result, Tensor, TensorType,
};

use super::control::{apply_all, batched_types, program, run_batched, types_of};
use super::{Batched, Jvp, Operand, unsupported};
use crate::interpret::eval;
use crate::linear::transpose_graph;

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
        Op::Pullback(_) => operands
            .iter()
            .map(|_| unsupported(REVERSE_ONLY.into(), operands[0].tensor()))
            .map(Batched::Same)
            .collect(),
        _ => unreachable!("`{op}` has no rule of its own"),
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
            DerivativeRule::Deferred(Deferred(rule)) => {
                let (rule, each) = (rule.clone(), arguments.to_vec());
                DerivativeRule::Deferred(Deferred(Arc::new(Stacked { rule, each, size })))
            }
        };
        let op = Op::WithDerivative(WithDerivative { body, rule, ..custom.clone() });
        Ok((op, operands.iter().map(|x| x.tensor().clone()).collect()))
    })();
    all_each(apply_all(op, custom.body.outputs().len()))
}

/// The derivative of a stack of examples, by that of one example.
#[derive(Debug)]
struct Stacked {
    rule: Arc<dyn Derivative>,
    /// Which arguments have one entry an example along axis 0.
    each: Vec<bool>,
    size: usize,
}

impl Stacked {
    /// The results, one entry an example, of a function of one example's tensors; `each` says which
    /// of them are stacks.
    fn run(
        &self,
        inputs: &[Tensor],
        each: &[bool],
        f: impl FnOnce(&[Tensor]) -> Vec<Tensor>,
    ) -> Result<Vec<Tensor>> {
        let example = |(ty, each): (TensorType, &bool)| match each {
            true => unloop_graph::op::entry_type(&ty),
            false => ty,
        };
        let types = types_of(inputs)?.into_iter().zip(each).map(example).collect();
        let (graph, captured) = program(types, 0, f)?;
        let all = [&captured[..], inputs].concat();
        let each = [&vec![false; captured.len()][..], each].concat();
        let results = vec![true; graph.outputs().len()];
        Ok(run_batched(&graph, &all, &each, &results, self.size))
    }
}

impl Derivative for Stacked {
    fn key(&self) -> String {
        format!("{} of {} stacked {:?}", self.rule.key(), self.size, self.each)
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], y: &[Tensor]) -> Vec<Tensor> {
        let changes: Vec<usize> = (0..x.len()).filter(|&i| t[i].is_some()).collect();
        let tangents = t.iter().flatten().map(|&t| t.clone());
        let inputs: Vec<Tensor> =
            owned(x).into_iter().chain(tangents).chain(y.iter().cloned()).collect();
        let mut each = self.each.clone();
        each.extend(changes.iter().map(|&i| self.each[i]));
        each.resize(inputs.len(), true);
        let results = self.run(&inputs, &each, |params| {
            let (x, rest) = params.split_at(x.len());
            let (tangents, y) = rest.split_at(changes.len());
            let mut t = vec![None; x.len()];
            changes.iter().zip(tangents).for_each(|(&i, tangent)| t[i] = Some(tangent));
            self.rule.jvp(&x.iter().collect::<Vec<_>>(), &t, y)
        });
        results
            .unwrap_or_else(|e| y.iter().map(|y| Tensor::error_like(e.clone(), y.ty())).collect())
    }

    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        x: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let known = x.iter().flatten().map(|&x| x.clone());
        let inputs: Vec<Tensor> = known.chain(cotangents.iter().flatten().cloned()).collect();
        let is_known = |i: &usize| x[*i].is_some();
        let mut each: Vec<bool> = (0..x.len()).filter(is_known).map(|i| self.each[i]).collect();
        each.resize(inputs.len(), true);
        // Which arguments have a cotangent.
        let mut given: Option<Vec<bool>> = None;
        let results = self.run(&inputs, &each, |params| {
            let mut params = params.iter();
            let x: Vec<Option<&Tensor>> = x.iter().map(|x| x.and_then(|_| params.next())).collect();
            let cotangents: Vec<Option<Tensor>> = cotangents
                .iter()
                .map(|ct| ct.as_ref().and_then(|_| params.next().cloned()))
                .collect();
            let results = self.rule.transpose(&cotangents, &x);
            given = results.as_ref().map(|r| r.iter().map(Option::is_some).collect());
            results.unwrap_or_default().into_iter().flatten().collect()
        });
        let given = given?;
        let mut results = results.map(Vec::into_iter);
        let one = |(given, each): (bool, &bool)| match (given, &mut results) {
            (false, _) => None,
            (true, Err(e)) => Some(Tensor::error(e.clone())),
            // Examples that share an argument add to its cotangent.
            (true, Ok(results)) => results.next().map(|ct| match each {
                true => ct,
                false => ct.reduce_op(ReduceOp::Sum, [0].into_iter().collect()),
            }),
        };
        Some(given.into_iter().zip(&self.each).map(one).collect())
    }
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
            Some(tangents) => {
                let types: Vec<TensorType> = rule.y.iter().map(Tensor::ty).collect();
                checked(host, tangents.into_iter().map(Some).collect(), &types)
            }
            None => {
                let what = format!("the derivative of `{}`, which gives no rule", host.0.name());
                rule.y.iter().map(|y| Some(unsupported(what.clone(), y))).collect()
            }
        },
        Op::AllGather(_) => {
            vec![rule.t[0].map(|t| super::apply(op.clone(), &[t, rule.x[1]]))]
        }
        Op::Pullback(_) => {
            rule.y.iter().map(|y| Some(unsupported(REVERSE_ONLY.into(), y))).collect()
        }
        _ => unreachable!("`{op}` has no rule of its own"),
    }
}

/// Derivatives that a user's rule gave, or what is wrong with them.
fn checked(host: &Host, given: Vec<Option<Tensor>>, types: &[TensorType]) -> Vec<Option<Tensor>> {
    let fails = |(x, ty): (&Option<Tensor>, &TensorType)| {
        x.as_ref().is_some_and(|x| x.as_error().is_none() && x.ty() != *ty)
    };
    if given.len() == types.len() && !given.iter().zip(types).any(fails) {
        return given;
    }
    let found: Vec<TensorType> = given.iter().flatten().map(Tensor::ty).collect();
    let message = format!("its derivative gives {found:?} where {types:?} are needed");
    let error = Error::new(host.0.name(), ErrorKind::InvalidArgument(message), Place::here());
    types.iter().map(|ty| Some(Tensor::error_like(error.clone(), ty.clone()))).collect()
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
        DerivativeRule::Deferred(Deferred(of)) => {
            of.jvp(&rule.x[captured..], &rule.t[captured..], &rule.y[..visible])
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

/// The values of operands that are not linear.
fn known<'a>(x: &[Operand<'a>]) -> Vec<Option<&'a Tensor>> {
    let value = |x: &Operand<'a>| match x {
        Operand::Known(x) => Some(*x),
        Operand::Linear(_) => None,
    };
    x.iter().map(value).collect()
}

/// By the rule, or else by the transpose of the program.
fn transpose_custom(
    custom: &WithDerivative,
    op: &Op,
    cts: &[Option<Tensor>],
    x: &[Operand<'_>],
) -> Vec<Option<Tensor>> {
    let captured = custom.captured;
    if x[..captured].iter().any(Operand::is_linear) {
        return x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect();
    }
    let values = known(x);
    if let DerivativeRule::Deferred(Deferred(rule)) = &custom.rule
        && let Some(given) = rule.transpose(&cts[..custom.visible], &values[captured..])
    {
        return vec![None; captured].into_iter().chain(given).collect();
    }
    let zeros = |ty: &TensorType| Tensor::zeros(ty.dtype, &ty.shape);
    let cotangents = cts.iter().zip(custom.body.output_types());
    let cotangents: Vec<Tensor> =
        cotangents.map(|(ct, ty)| ct.clone().unwrap_or_else(|| zeros(ty))).collect();
    let linear: Vec<bool> = x.iter().map(Operand::is_linear).collect();
    let values: Vec<Tensor> = values.into_iter().flatten().cloned().collect();
    let mut given = transpose_graph(&custom.body, &linear, &values, &cotangents).into_iter();
    linear.iter().map(|linear| if *linear { given.next().flatten() } else { None }).collect()
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
        Op::WithDerivative(custom) => transpose_custom(custom, op, cts, x),
        Op::Host(host) => {
            let types: Vec<TensorType> = x.iter().map(Operand::ty).collect();
            match host.0.transpose(cts, &known(x)) {
                Some(given) => checked(host, given, &types),
                None => x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect(),
            }
        }
        Op::AllGather(_) => {
            // Every example's result has this example's operand at its position.
            let (Some(ct), position) = (&cts[0], x[1].value(op)) else { return vec![None; 2] };
            let all = super::apply(op.clone(), &[ct, &position]);
            let sum = all.reduce_op(ReduceOp::Sum, [0].into_iter().collect::<Axes>());
            vec![Some(sum.take_clipped(&position, 0)), None]
        }
        _ => unreachable!("`{op}` has no rule of its own"),
    }
}
