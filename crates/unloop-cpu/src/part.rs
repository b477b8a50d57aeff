//! Parts of programs.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{Graph, Node, Op, Place, TensorType, ValueId};

/// A graph under construction, of some of another one's operations.
pub(crate) struct Part<'a> {
    pub graph: &'a Graph,
    pub inputs: Vec<TensorType>,
    nodes: Vec<Node>,
    count: u32,
    /// Where the values of the other graph are.
    pub moved: HashMap<ValueId, ValueId>,
}

impl<'a> Part<'a> {
    /// Nothing yet, with the inputs of a graph.
    pub fn new(graph: &'a Graph) -> Part<'a> {
        let inputs = graph.inputs().to_vec();
        let same = (0..graph.inputs().len() as u32).map(|v| (ValueId(v), ValueId(v)));
        let (count, moved) = (inputs.len() as u32, same.collect());
        Part { graph, inputs, nodes: Vec::new(), count, moved }
    }

    pub fn push(&mut self, op: Op, operands: &[ValueId], results: usize, place: Place) -> ValueId {
        let first = ValueId(self.count);
        self.count += results as u32;
        self.nodes.push(Node { op, operands: operands.into(), first, place });
        first
    }

    /// Adds all operations that values need, as far as they are not there already.
    pub fn need(&mut self, values: impl Iterator<Item = ValueId>) -> Option<()> {
        let mut needed = vec![false; self.graph.value_count()];
        values.for_each(|v| needed[v.index()] = true);
        let nodes = self.graph.nodes();
        let mut wanted = Vec::new();
        for node in nodes.iter().rev() {
            let is_wanted = |v: u32| needed[v as usize] && !self.moved.contains_key(&ValueId(v));
            if node.results().any(is_wanted) {
                node.operands.iter().for_each(|v| needed[v.index()] = true);
                wanted.push(node);
            }
        }
        for node in wanted.into_iter().rev() {
            let operands: Option<SmallVec<[ValueId; 3]>> =
                node.operands.iter().map(|v| self.moved.get(v).copied()).collect();
            let results = node.results();
            let first = self.push(node.op.clone(), &operands?, results.len(), node.place);
            let results = results.zip(first.0..).map(|(old, new)| (ValueId(old), ValueId(new)));
            self.moved.extend(results);
        }
        Some(())
    }

    pub fn finish(self, outputs: Vec<ValueId>) -> Option<Graph> {
        Graph::new(self.inputs, self.nodes, outputs).ok()
    }

    /// With all else that the outputs of the graph need, the program of these.
    pub fn complete(mut self) -> Option<Graph> {
        let outputs = self.graph.outputs();
        self.need(outputs.iter().copied())?;
        let outputs: Option<_> = outputs.iter().map(|v| self.moved.get(v).copied()).collect();
        self.finish(outputs?)
    }
}
