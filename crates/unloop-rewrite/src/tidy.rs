//! The first tier: one walk that makes equal operations one and applies rules that always pay.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use unloop_graph::backend::Rewriting;
use unloop_graph::{Array, Graph, GraphBuilder, Op, Place, Scalar, TensorType, ValueId, cancel};

use crate::loops;
use crate::rules::{self, Rule};

pub(crate) type Operands = SmallVec<[ValueId; 3]>;

/// A program in which equal operations are one and identities are gone; see the rules of
/// [`Rewriting`].
pub fn tidy(graph: &Graph, rewriting: Rewriting) -> Graph {
    run(graph, &[], rewriting, &mut Vec::new())
}

/// The last inputs always have the values `known`.
pub(crate) fn run(
    graph: &Graph,
    known: &[Array],
    rewriting: Rewriting,
    fired: &mut Vec<&'static str>,
) -> Graph {
    let mut builder = Builder::new(graph.inputs().to_vec(), known, rewriting);
    let mut values: Vec<ValueId> = (0..graph.inputs().len() as u32).map(ValueId).collect();
    for (node, live) in graph.nodes().iter().zip(graph.live()) {
        // Nobody wants the result any more.
        if cancel::check().is_err() {
            return graph.clone();
        }
        if !live {
            // Something must stand for it; nobody reads it.
            values.extend(node.results().map(|_| ValueId(u32::MAX)));
            continue;
        }
        let operands: Operands = node.operands.iter().map(|v| values[v.index()]).collect();
        if let Op::WithDerivative(custom) = &node.op {
            // No derivative is taken any more, so the program alone counts.
            let body = self::tidy(&custom.body, rewriting);
            let Some(results) = builder.include(&body, &operands) else { return graph.clone() };
            values.extend(results);
            continue;
        }
        builder.place = node.place;
        let sunk = loops::sink(&builder, &node.op, &operands);
        if sunk.is_some() {
            builder.fired.push("repeated values go into loops");
        }
        let (op, operands) = match &sunk {
            Some((op, operands)) => (op, operands.clone()),
            None => (&node.op, operands),
        };
        let op = with_bodies(op, rewriting);
        let Some(first) = builder.add(op, operands) else {
            // The program was not well-formed to begin with; it says so when it is compiled.
            return graph.clone();
        };
        values.extend((0..node.results().len() as u32).map(|k| ValueId(first.0 + k)));
    }
    fired.append(&mut builder.fired);
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|v| values[v.index()]).collect();
    let tidied = builder.finish(&outputs);
    let of = |body: &Graph| Builder::new(body.inputs().to_vec(), &[], rewriting);
    match loops::merge(&tidied, of) {
        Some(merged) => {
            fired.push("loops that pass on the same");
            // What the loops were taken apart for may be equal now.
            run(&merged, known, rewriting, fired)
        }
        None => tidied,
    }
}

/// The operation with the programs in it rewritten too.
fn with_bodies(op: &Op, rewriting: Rewriting) -> Op {
    let body = |graph: &Arc<Graph>| Arc::new(crate::rewrite(graph, rewriting));
    match op {
        Op::Switch(switch) => {
            let mut switch = switch.clone();
            switch.branches = switch.branches.iter().map(body).collect();
            Op::Switch(switch)
        }
        Op::While(repeat) => {
            let mut repeat = repeat.clone();
            (repeat.condition, repeat.body) = (body(&repeat.condition), body(&repeat.body));
            Op::While(repeat)
        }
        Op::Scan(scan) => {
            let mut scan = scan.clone();
            scan.body = body(&scan.body);
            Op::Scan(scan)
        }
        op => op.clone(),
    }
}

/// A program under construction, in which equal operations are one.
pub(crate) struct Builder {
    graph: GraphBuilder,
    known: HashMap<(Op, Operands), ValueId>,
    /// The operation that computes each value.
    producer: Vec<Option<usize>>,
    /// The number that all elements of a value are, where that is known.
    uniform: Vec<Option<Scalar>>,
    /// The elements of values that are always the same, where they are known.
    arrays: Vec<Option<Array>>,
    pub rewriting: Rewriting,
    /// Where what is built now stands in the user's program.
    pub place: Place,
    fired: Vec<&'static str>,
    /// How many rules are being applied within each other.
    depth: usize,
}

/// Rules that apply within rules, at most; each makes the program smaller, so this is a backstop.
const MAX_DEPTH: usize = 32;

impl Builder {
    fn new(inputs: Vec<TensorType>, known: &[Array], rewriting: Rewriting) -> Builder {
        let mut arrays = vec![None; inputs.len().saturating_sub(known.len())];
        arrays.extend(known.iter().cloned().map(Some));
        arrays.truncate(inputs.len());
        Builder {
            arrays,
            producer: vec![None; inputs.len()],
            uniform: vec![None; inputs.len()],
            graph: GraphBuilder::new(inputs),
            known: HashMap::new(),
            rewriting,
            place: Place(None),
            fired: Vec::new(),
            depth: 0,
        }
    }

    pub fn ty(&self, v: ValueId) -> &TensorType {
        self.graph.ty(v)
    }

    /// The operation of which a value is the only result, and its operands.
    pub fn producer(&self, v: ValueId) -> Option<(&Op, &[ValueId])> {
        let node = &self.graph.nodes()[self.producer[v.index()]?];
        (node.op.result_count() == 1).then_some((&node.op, &node.operands[..]))
    }

    /// The number that all elements are.
    pub fn uniform(&self, v: ValueId) -> Option<Scalar> {
        self.uniform[v.index()]
    }

    /// The elements of a value that is always the same.
    pub fn array(&self, v: ValueId) -> Option<&Array> {
        self.arrays[v.index()].as_ref()
    }

    /// The first result of an operation, after the rules; `None` if the types do not fit.
    pub fn add(&mut self, op: Op, operands: Operands) -> Option<ValueId> {
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            for Rule { name, class, apply } in rules::RULES {
                if *class <= self.rewriting
                    && let Some(value) = apply(self, &op, &operands)
                {
                    self.fired.push(name);
                    self.depth -= 1;
                    return Some(value);
                }
            }
            self.depth -= 1;
        }
        let key = (op, operands);
        if let Some(&value) = self.known.get(&key) {
            self.fired.push("common subexpression");
            return Some(value);
        }
        let (op, operands) = key.clone();
        let operand_types: SmallVec<[TensorType; 3]> =
            operands.iter().map(|&v| self.ty(v).clone()).collect();
        let types = op.infer(&operand_types).ok()?;
        let uniform = match &op {
            Op::Constant(value) => Some(*value),
            Op::Broadcast { .. } | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => {
                self.uniform(operands[0])
            }
            _ => None,
        };
        // Views of what is known take no memory.
        let array = match &op {
            Op::Broadcast { .. } | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => {
                let known = self.array(operands[0]).cloned();
                known.and_then(|x| op.evaluate(&[x], &types).ok()?.pop())
            }
            _ => None,
        };
        for _ in &types {
            self.arrays.push(array.clone());
            self.producer.push(Some(self.graph.nodes().len()));
            self.uniform.push(uniform);
        }
        let first = self.graph.push_typed(op, operands, types, self.place);
        self.known.insert(key, first);
        Some(first)
    }

    /// A value of a shape that is one number everywhere.
    pub fn fill(&mut self, value: Scalar, ty: &TensorType) -> Option<ValueId> {
        let scalar = self.add(Op::Constant(value), Operands::new())?;
        match ty.shape.is_empty() {
            true => Some(scalar),
            false => {
                let broadcast = Op::Broadcast { shape: ty.shape.clone(), dims: SmallVec::new() };
                self.add(broadcast, [scalar].into_iter().collect())
            }
        }
    }

    /// Adds all operations of a program, and says what its outputs are.
    pub fn include(&mut self, graph: &Graph, inputs: &[ValueId]) -> Option<Vec<ValueId>> {
        let mut values = inputs.to_vec();
        for node in graph.nodes() {
            let operands: Operands = node.operands.iter().map(|v| values[v.index()]).collect();
            self.place = node.place;
            let first = self.add(node.op.clone(), operands)?;
            values.extend((0..node.results().len() as u32).map(|k| ValueId(first.0 + k)));
        }
        Some(graph.outputs().iter().map(|v| values[v.index()]).collect())
    }

    /// The program, without what no output needs.
    pub fn finish(self, outputs: &[ValueId]) -> Graph {
        self.graph.finish(outputs)
    }
}
