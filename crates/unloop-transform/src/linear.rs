//! Forward mode and its transposition. [`jvp_graph`] walks a program with values and tangents;
//! [`Linear`] records the part that is linear in the tangents as a program of its own, which can be
//! run forwards, or walked backwards with cotangents.

use std::sync::Arc;

use unloop_graph::{Graph, Op, Result, Tensor, TensorType, Trace, TracedProgram};

use crate::interpret::{eval, forget, operands};
use crate::rules::{self, Batched, Jvp, Operand};
use crate::vmap::batch_graph;

/// A value with its tangent, if it has one.
#[derive(Clone)]
struct Dual {
    value: Tensor,
    tangent: Option<Tensor>,
}

/// Where the values of a program come from that is walked with tangents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// From whatever computes them with the tangents.
    Joint,
    /// From outside of the program of the tangents.
    Apart,
}

/// Walks a program with values and tangents (absent: zero); gives the outputs and their tangents. A loop that
/// computes both gives the values, too, unless the tangents are those of a program of their own.
pub(crate) fn jvp_graph(
    graph: &Graph,
    inputs: &[Tensor],
    tangents: &[Option<Tensor>],
    values_of: Values,
) -> (Vec<Tensor>, Vec<Option<Tensor>>) {
    let last = graph.last_uses();
    let tangents = tangents.iter().cloned().chain(std::iter::repeat(None));
    let dual = |(x, t): (&Tensor, Option<Tensor>)| Some(Dual { value: x.clone(), tangent: t });
    let mut values: Vec<Option<Dual>> = inputs.iter().zip(tangents).map(dual).collect();
    values.resize(graph.value_count(), None);
    for (i, node) in graph.nodes().iter().enumerate() {
        let duals = operands(node, &values);
        let x: Vec<&Tensor> = duals.iter().map(|d| &d.value).collect();
        let t: Vec<Option<&Tensor>> = duals.iter().map(|d| d.tangent.as_ref()).collect();
        let has_tangents = t.iter().any(Option::is_some);
        let (y, dy) = match &node.op {
            Op::While(repeat) if has_tangents && values_of == Values::Joint => {
                node.place.scope(|| rules::jvp_while(repeat, &x, &t))
            }
            op => {
                let y = Tensor::apply(op.clone(), &x, node.place);
                let dy = match has_tangents {
                    true => node.place.scope(|| rules::jvp(op, &Jvp { x: &x, t: &t, y: &y })),
                    false => vec![None; y.len()],
                };
                (y, dy)
            }
        };
        for (t, y) in dy.iter().zip(&y).filter_map(|(t, y)| Some((t.as_ref()?, y))) {
            debug_assert!(
                y.as_error().is_some() || fits(t, &y.ty()),
                "a tangent {} of a {} of `{}`",
                t.ty(),
                y.ty(),
                node.op
            );
        }
        for ((v, value), tangent) in node.results().zip(y).zip(dy) {
            values[v as usize] = Some(Dual { value, tangent });
        }
        forget(node, i, &last, &mut values);
    }
    let outputs = graph.outputs().iter().filter_map(|v| values[v.index()].clone());
    outputs.map(|d| (d.value, d.tangent)).unzip()
}

/// The derivative of a program at a point: a program linear in the tangents of some inputs, whose
/// other inputs are what it needs of the point.
#[derive(Clone)]
pub(crate) struct Linear {
    graph: Arc<Graph>,
    /// What the derivative needs of the point: the inputs of the program after the tangents.
    residuals: Vec<Tensor>,
    /// The types of the outputs' tangents; `None` for outputs that do not depend on the inputs.
    outputs: Vec<Option<TensorType>>,
    /// The types of the tangents that go in.
    inputs: Vec<TensorType>,
}

/// The outputs of a program at a point, and its derivative there in the inputs marked `active`.
pub(crate) fn linearize(
    graph: &Graph,
    point: &[Tensor],
    active: &[bool],
) -> Result<(Vec<Tensor>, Linear)> {
    let is_active = |(x, on): (&Tensor, &bool)| on.then(|| x.ty());
    let inputs: Vec<TensorType> = point.iter().zip(active).filter_map(is_active).collect();
    let (trace, params) = Trace::new(inputs.iter().cloned());
    let mut params = params.into_iter();
    let tangents: Vec<Option<Tensor>> =
        active.iter().map(|on| if *on { params.next() } else { None }).collect();
    let (outputs, tangents) = jvp_graph(graph, point, &tangents, Values::Apart);
    let types = tangents.iter().map(|t| t.as_ref().map(Tensor::ty)).collect();
    let live: Vec<Tensor> = tangents.into_iter().flatten().collect();
    let TracedProgram { graph, captures } = trace.finish(&live)?;
    let residuals = captures.into_iter().map(|c| c.tensor).collect();
    Ok((outputs, Linear { graph: Arc::new(graph), residuals, outputs: types, inputs }))
}

impl Linear {
    /// What the derivative needs of the point.
    pub fn residuals(&self) -> &[Tensor] {
        &self.residuals
    }

    /// The same derivative with other tensors for [`Linear::residuals`].
    pub fn at(&self, residuals: &[Tensor]) -> Linear {
        Linear { residuals: residuals.to_vec(), ..self.clone() }
    }

    /// A stack of tangents forward, one along axis 0 for each of `size` examples; absent for outputs
    /// that do not depend on the inputs.
    pub fn forward_each(&self, tangents: &[Tensor], size: usize) -> Vec<Option<Tensor>> {
        let inputs = tangents.iter().cloned().map(Batched::Each);
        let inputs = inputs.chain(self.residuals.iter().cloned().map(Batched::Same)).collect();
        let live = batch_graph(&self.graph, inputs, size);
        let mut live = live.into_iter().map(|x| x.each(size));
        self.outputs.iter().map(|ty| ty.as_ref().and_then(|_| live.next())).collect()
    }

    /// Tangents forward; absent for outputs that do not depend on the inputs.
    pub fn forward(&self, tangents: &[Tensor]) -> Vec<Option<Tensor>> {
        let inputs: Vec<Tensor> = tangents.iter().chain(&self.residuals).cloned().collect();
        let mut live = eval(&self.graph, &inputs).into_iter();
        self.outputs.iter().map(|ty| ty.as_ref().and_then(|_| live.next())).collect()
    }

    /// Cotangents backward: those of the inputs from those of the outputs, one for each output
    /// (ignored where the output does not depend on the inputs).
    pub fn backward(&self, cotangents: &[Tensor]) -> Vec<Tensor> {
        let live = self.outputs.iter().zip(cotangents).filter(|(ty, _)| ty.is_some());
        let cotangents: Vec<Tensor> = live.map(|(_, ct)| ct.clone()).collect();
        let count = self.graph.inputs().len();
        let is_linear: Vec<bool> = (0..count).map(|i| i < self.inputs.len()).collect();
        let cotangents = transpose_graph(&self.graph, &is_linear, &self.residuals, &cotangents);
        let zeros = |ty: &TensorType| Tensor::zeros(ty.dtype, &ty.shape);
        cotangents
            .into_iter()
            .zip(&self.inputs)
            .map(|(ct, ty)| ct.unwrap_or_else(|| zeros(ty)))
            .collect()
    }

    /// A stack of cotangents backward, one along axis 0 for each of `size` examples.
    pub fn backward_each(&self, cotangents: &[Tensor], size: usize) -> Result<Vec<Tensor>> {
        cotangents.iter().try_for_each(|ct| ct.check().map(drop))?;
        let example = |ct: &Tensor| TensorType::new(ct.dtype(), &ct.shape()[1..]);
        let (trace, params) = Trace::new(cotangents.iter().map(example));
        let program = trace.finish(&self.backward(&params))?;
        let captures = program.captures.into_iter().map(|c| Batched::Same(c.tensor));
        let inputs = cotangents.iter().cloned().map(Batched::Each).chain(captures).collect();
        let outputs = batch_graph(&program.graph, inputs, size);
        Ok(outputs.into_iter().map(|x| x.each(size)).collect())
    }
}

/// Whether a derivative has the type of what it is the derivative of; one that failed has none.
fn fits(derivative: &Tensor, ty: &TensorType) -> bool {
    derivative.as_error().is_some() || derivative.ty() == *ty
}

/// Adds a cotangent to those that came by other ways.
fn accumulate(slot: &mut Option<Tensor>, ct: Tensor) {
    *slot = Some(match slot.take() {
        Some(sum) => sum + ct,
        None => ct,
    });
}

/// Walks a program that is linear in some of its inputs backwards, from the cotangents of its
/// outputs to those of these inputs (absent: zero), in their order. `known` are the other inputs.
pub(crate) fn transpose_graph(
    graph: &Graph,
    linear: &[bool],
    known: &[Tensor],
    cotangents: &[Tensor],
) -> Vec<Option<Tensor>> {
    // What does not depend on the linear inputs (constants) is computed forwards.
    let mut is_linear = linear.to_vec();
    is_linear.resize(graph.value_count(), false);
    let mut known = known.iter().cloned();
    let mut values: Vec<Option<Tensor>> =
        linear.iter().map(|linear| if *linear { None } else { known.next() }).collect();
    values.resize(graph.value_count(), None);
    for node in graph.nodes() {
        let depends = node.operands.iter().any(|v| is_linear[v.index()]);
        if depends {
            node.results().for_each(|v| is_linear[v as usize] = true);
            continue;
        }
        let results = Tensor::apply(node.op.clone(), &operands(node, &values), node.place);
        for (v, result) in node.results().zip(results) {
            values[v as usize] = Some(result);
        }
    }
    let mut sums: Vec<Option<Tensor>> = vec![None; graph.value_count()];
    for (v, ct) in graph.outputs().iter().zip(cotangents) {
        if is_linear[v.index()] {
            accumulate(&mut sums[v.index()], ct.clone());
        }
    }
    for node in graph.nodes().iter().rev().filter(|node| is_linear[node.first.index()]) {
        let cts: Vec<Option<Tensor>> = node.results().map(|v| sums[v as usize].take()).collect();
        if cts.iter().all(Option::is_none) {
            continue;
        }
        let x: Vec<Operand<'_>> = node
            .operands
            .iter()
            .map(|v| match &values[v.index()] {
                Some(value) => Operand::Known(value),
                None => Operand::Linear(graph.ty(*v)),
            })
            .collect();
        let cotangents = node.place.scope(|| transpose_node(&node.op, &cts, &x));
        for (v, ct) in node.operands.iter().zip(cotangents) {
            if let (true, Some(ct)) = (is_linear[v.index()], ct) {
                debug_assert!(
                    fits(&ct, graph.ty(*v)),
                    "a cotangent {} of a {} in `{}`",
                    ct.ty(),
                    graph.ty(*v),
                    node.op
                );
                node.place.scope(|| accumulate(&mut sums[v.index()], ct));
            }
        }
    }
    sums.truncate(linear.len());
    sums.into_iter().zip(linear).filter_map(|(sum, linear)| linear.then_some(sum)).collect()
}

fn transpose_node(op: &Op, cts: &[Option<Tensor>], x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let known = x.iter().filter_map(|x| match x {
        Operand::Known(x) => Some(*x),
        Operand::Linear(_) => None,
    });
    let mut all = cts.iter().flatten().chain(known);
    if let Some(error) = all.find(|x| x.as_error().is_some()) {
        return vec![Some(error.clone()); x.len()];
    }
    rules::transpose(op, cts, x)
}
