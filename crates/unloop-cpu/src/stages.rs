//! Programs cut in stages: between what is computed of all examples together, such as a mean, stands
//! what every example is computed from alone, loops included, which then runs on numbers.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{Graph, GraphBuilder, Node, Op, ValueId};

use crate::narrow::{self, ExampleAxis, example_axis};

/// One stage: a program of some values of the whole, and which values it gives.
pub(crate) struct Stage {
    pub graph: Graph,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// Where the examples are, if each is computed from itself alone.
    pub region: Option<Region>,
}

/// Where the inputs and outputs of a program have the examples.
pub(crate) struct Region {
    pub examples: usize,
    pub inputs: Vec<ExampleAxis>,
    pub outputs: Vec<ExampleAxis>,
}

/// What an operation is worth in a stage of examples.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It cannot be there.
    Never,
    /// It can be with others that gain.
    Little,
    /// It gains.
    Much,
}

/// The stages of a program of so many examples, if some gain; those of examples have known inputs, the
/// last ones of the program, as their last ones.
pub(crate) fn stages(
    graph: &Graph,
    known: usize,
    examples: usize,
    worth: impl Fn(&Node) -> Worth,
) -> Option<Vec<Stage>> {
    let inputs: Vec<ExampleAxis> =
        graph.inputs().iter().map(|ty| example_axis(ty, examples)).collect();
    let may = |node: &Node| worth(node) != Worth::Never;
    let narrow::Stages { mut of_node, axes } = narrow::stages(graph, &inputs, examples, may)?;
    settle(graph, &mut of_node, &worth);
    if !of_node.iter().any(|stage| stage % 2 == 1) {
        return None;
    }
    // What is computed of all examples one after the other is one stage.
    let mut order: Vec<usize> = of_node.clone();
    order.sort_unstable();
    order.dedup();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for stage in order {
        match groups.last_mut() {
            Some(last) if last.iter().chain([&stage]).all(|s| s % 2 == 0) => last.push(stage),
            _ => groups.push(vec![stage]),
        }
    }
    let cutter = Cutter { graph, known: graph.inputs().len() - known, of_node: &of_node };
    let mut wanted: Vec<ValueId> = graph.outputs().to_vec();
    let mut stages = Vec::new();
    for group in groups.iter().rev() {
        let Some(mut stage) = cutter.stage(group, &wanted)? else { continue };
        wanted.extend(&stage.inputs);
        if group[0] % 2 == 1 {
            let axes = |values: &[ValueId]| values.iter().map(|v| axes[v.index()]).collect();
            let (inputs, outputs) = (axes(&stage.inputs), axes(&stage.outputs));
            stage.region = Some(Region { examples, inputs, outputs });
        }
        stages.push(stage);
    }
    stages.reverse();
    Some(stages)
}

/// Leaves only those operations in stages of examples that gain, or that others there need.
fn settle(graph: &Graph, of_node: &mut [usize], worth: &impl Fn(&Node) -> Worth) {
    let producer = graph.producers();
    let nodes = graph.nodes();
    // What gains, and what is computed of it in the same stage.
    let mut gains: Vec<bool> = nodes.iter().map(|node| worth(node) == Worth::Much).collect();
    let operands = |i: usize| nodes[i].operands.iter().filter_map(|v| producer[v.index()]);
    for i in 0..nodes.len() {
        let is_after = operands(i).any(|p| gains[p] && of_node[p] == of_node[i]);
        gains[i] |= of_node[i] % 2 == 1 && is_after;
    }
    // From the end: what nothing that stays there needs is computed of all examples.
    let mut stays = gains;
    for i in (0..nodes.len()).rev() {
        if of_node[i].is_multiple_of(2) {
            continue;
        }
        match stays[i] {
            true => {
                let stage = of_node[i];
                operands(i).filter(|&p| of_node[p] == stage).for_each(|p| stays[p] = true);
            }
            false => of_node[i] += 1,
        }
    }
}

struct Cutter<'a> {
    graph: &'a Graph,
    /// The first of the known inputs.
    known: usize,
    of_node: &'a [usize],
}

impl Cutter<'_> {
    /// The program of some stages, without its region; `Some(None)` if nothing of it is wanted.
    fn stage(&self, group: &[usize], wanted: &[ValueId]) -> Option<Option<Stage>> {
        let nodes = self.graph.nodes();
        let mut outputs: Vec<ValueId> = Vec::new();
        // Whether an operation is here: moving elements costs nothing where they are read.
        let mut here = vec![false; nodes.len()];
        let mut is_needed = vec![false; self.graph.value_count()];
        for &v in wanted {
            is_needed[v.index()] = true;
        }
        for (i, node) in nodes.iter().enumerate() {
            let own = group.contains(&self.of_node[i]);
            for v in node.results().map(ValueId) {
                if own && is_needed[v.index()] && !outputs.contains(&v) {
                    outputs.push(v);
                }
            }
        }
        if outputs.is_empty() {
            return Some(None);
        }
        let mut is_needed = vec![false; self.graph.value_count()];
        outputs.iter().for_each(|v| is_needed[v.index()] = true);
        for (i, node) in nodes.iter().enumerate().rev() {
            let own = group.contains(&self.of_node[i]) || is_free(&node.op);
            if own && node.results().any(|v| is_needed[v as usize]) {
                here[i] = true;
                node.operands.iter().for_each(|v| is_needed[v.index()] = true);
            }
        }
        let mut inputs: Vec<ValueId> = Vec::new();
        let mut made = vec![false; self.graph.value_count()];
        for (node, _) in nodes.iter().zip(&here).filter(|(_, here)| **here) {
            node.results().for_each(|v| made[v as usize] = true);
            inputs.extend(node.operands.iter().filter(|v| !made[v.index()]));
        }
        let is_known = |v: &ValueId| (self.known..self.graph.inputs().len()).contains(&v.index());
        inputs.sort_unstable_by_key(|v| (is_known(v), v.0));
        inputs.dedup();
        let types = inputs.iter().map(|&v| self.graph.ty(v).clone()).collect();
        let mut builder = GraphBuilder::new(types);
        let mut moved: HashMap<ValueId, ValueId> =
            inputs.iter().copied().zip(builder.inputs()).collect();
        for (node, _) in nodes.iter().zip(&here).filter(|(_, here)| **here) {
            let operands: Option<SmallVec<[ValueId; 3]>> =
                node.operands.iter().map(|v| moved.get(v).copied()).collect();
            let first = builder.push(node.op.clone(), &operands?, node.place).ok()?;
            let results = node.results().zip(first.0..);
            moved.extend(results.map(|(old, new)| (ValueId(old), ValueId(new))));
        }
        let results: Option<Vec<ValueId>> = outputs.iter().map(|v| moved.get(v).copied()).collect();
        let graph = builder.finish(&results?);
        Some(Some(Stage { graph, inputs, outputs, region: None }))
    }
}

/// Whether an operation is computed again wherever it is read.
fn is_free(op: &Op) -> bool {
    matches!(
        op,
        Op::Constant(_)
            | Op::Iota { .. }
            | Op::Broadcast { .. }
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice(_)
    )
}
