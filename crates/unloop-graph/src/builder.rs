//! Programs under construction: values are numbered, types inferred and what no output needs left
//! out in one place, for every pass that makes a program of another one.

use smallvec::SmallVec;

use crate::op::Types;
use crate::{Error, Graph, Node, Op, Place, Result, TensorType, ValueId};

/// A program under construction: inputs first, then operations in order.
///
/// ```
/// use unloop_graph::{BinaryOp, DType, GraphBuilder, Op, Place, TensorType};
/// let mut builder = GraphBuilder::new(vec![TensorType::new(DType::F64, [3])]);
/// let x = builder.inputs()[0];
/// let unused = builder.push(Op::Reverse([0].into_iter().collect()), &[x], Place(None))?;
/// let square = builder.push(Op::Binary(BinaryOp::Mul), &[x, x], Place(None))?;
/// assert_eq!(builder.ty(unused), builder.ty(square));
/// let graph = builder.finish(&[square]);
/// assert_eq!(graph.nodes().len(), 1); // what no output needs is gone
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    input_count: usize,
    types: Vec<TensorType>,
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// Nothing yet but inputs of these types.
    pub fn new(inputs: Vec<TensorType>) -> GraphBuilder {
        GraphBuilder { input_count: inputs.len(), types: inputs, nodes: Vec::new() }
    }

    /// The inputs.
    pub fn inputs(&self) -> Vec<ValueId> {
        (0..self.input_count as u32).map(ValueId).collect()
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        &self.types[value.index()]
    }

    /// Gives an input another type; nothing may have read it so far.
    pub fn retype(&mut self, input: ValueId, ty: TensorType) {
        debug_assert!(input.index() < self.input_count, "{input:?} is no input");
        debug_assert!(!self.nodes.iter().any(|node| node.operands.contains(&input)), "it is read");
        self.types[input.index()] = ty;
    }

    /// How many values there are: inputs and results.
    pub fn value_count(&self) -> usize {
        self.types.len()
    }

    /// The operations so far.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Adds an operation; gives its first result, which further ones follow.
    ///
    /// # Errors
    /// Those of the operation's type rule ([`Op::infer`]).
    pub fn push(&mut self, op: Op, operands: &[ValueId], place: Place) -> Result<ValueId> {
        let types: SmallVec<[TensorType; 3]> =
            operands.iter().map(|&v| self.ty(v).clone()).collect();
        let results = op.infer(&types).map_err(|kind| Error::new(op.name(), kind, place))?;
        Ok(self.push_typed(op, operands.into(), results, place))
    }

    /// Adds an operation whose results are known to have these types.
    pub fn push_typed(
        &mut self,
        op: Op,
        operands: SmallVec<[ValueId; 3]>,
        types: Types,
        place: Place,
    ) -> ValueId {
        let first = ValueId(self.types.len() as u32);
        self.types.extend(types);
        self.nodes.push(Node { op, operands, first, place });
        first
    }

    /// Adds an operation of another program, whose values `moved` has by their old numbers, and
    /// appends its results there.
    ///
    /// # Errors
    /// As [`GraphBuilder::push`].
    pub fn copy(&mut self, node: &Node, moved: &mut Vec<ValueId>) -> Result<()> {
        let operands: SmallVec<[ValueId; 3]> =
            node.operands.iter().map(|v| moved[v.index()]).collect();
        let first = self.push(node.op.clone(), &operands, node.place)?;
        moved.extend((first.0..).take(node.results().len()).map(ValueId));
        Ok(())
    }

    /// The program of these outputs, without the operations that none of them needs.
    pub fn finish(self, outputs: &[ValueId]) -> Graph {
        let GraphBuilder { input_count, types, nodes } = self;
        let live = live(&nodes, types.len(), outputs);
        let mut moved: Vec<ValueId> = (0..types.len() as u32).map(ValueId).collect();
        let mut kept = types[..input_count].to_vec();
        let mut live_nodes = Vec::with_capacity(nodes.len());
        for (mut node, _) in nodes.into_iter().zip(live).filter(|(_, live)| *live) {
            node.operands.iter_mut().for_each(|v| *v = moved[v.index()]);
            let results = node.results();
            node.first = ValueId(kept.len() as u32);
            for v in results {
                moved[v as usize] = ValueId(kept.len() as u32);
                kept.push(types[v as usize].clone());
            }
            live_nodes.push(node);
        }
        let outputs = outputs.iter().map(|v| moved[v.index()]).collect();
        Graph::from_parts(input_count, kept, live_nodes, outputs)
    }
}

/// Which operations some output needs.
pub(crate) fn live(nodes: &[Node], values: usize, outputs: &[ValueId]) -> Vec<bool> {
    let mut needed = vec![false; values];
    outputs.iter().for_each(|v| needed[v.index()] = true);
    let mut live = vec![false; nodes.len()];
    for (i, node) in nodes.iter().enumerate().rev() {
        live[i] = node.results().any(|v| needed[v as usize]);
        if live[i] {
            node.operands.iter().for_each(|v| needed[v.index()] = true);
        }
    }
    live
}
