//! A program that is put together of parts of another one.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{Graph, GraphBuilder, Op, Place, TensorType, ValueId};

/// A program under construction, of some of another one's operations.
pub(crate) struct Part<'a> {
    pub graph: &'a Graph,
    builder: GraphBuilder,
    /// Where the values of the other program are.
    pub moved: HashMap<ValueId, ValueId>,
}

impl<'a> Part<'a> {
    /// Nothing yet, with the inputs of a program.
    pub fn new(graph: &'a Graph) -> Part<'a> {
        let builder = GraphBuilder::new(graph.inputs().to_vec());
        let moved = builder.inputs().into_iter().map(|v| (v, v)).collect();
        Part { graph, builder, moved }
    }

    /// Gives an input another type, before anything reads it.
    pub fn retype(&mut self, input: ValueId, ty: TensorType) {
        self.builder.retype(input, ty);
    }

    pub fn push(&mut self, op: Op, operands: &[ValueId], place: Place) -> Option<ValueId> {
        self.builder.push(op, operands, place).ok()
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
            let first = self.push(node.op.clone(), &operands?, node.place)?;
            let results = node.results().zip(first.0..);
            self.moved.extend(results.map(|(old, new)| (ValueId(old), ValueId(new))));
        }
        Some(())
    }

    pub fn finish(self, outputs: &[ValueId]) -> Graph {
        self.builder.finish(outputs)
    }

    /// With all else that the outputs of the other program need, the program of these.
    pub fn complete(mut self) -> Option<Graph> {
        let outputs = self.graph.outputs();
        self.need(outputs.iter().copied())?;
        let outputs: Option<Vec<ValueId>> =
            outputs.iter().map(|v| self.moved.get(v).copied()).collect();
        Some(self.finish(&outputs?))
    }
}
