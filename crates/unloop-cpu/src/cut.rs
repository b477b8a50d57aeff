//! A program cut in two: what each example is computed from alone, and what is computed of all examples
//! afterwards, such as the mean of a loss and its gradient in what the examples share.

use unloop_graph::{Axes, Graph, Op, Place, ValueId};

use crate::narrow::example_axes;
use crate::part::Part;

/// The two programs. The second one's inputs are those of the whole, then the results of the first,
/// which have the examples along their first axis.
pub(crate) struct Cut {
    pub front: Graph,
    pub back: Graph,
}

/// The order of axes that moves one of them to the front, and its inverse.
pub(crate) fn to_front(axis: usize, rank: usize) -> (Axes, Axes) {
    let order: Axes = std::iter::once(axis).chain((0..rank).filter(|&a| a != axis)).collect();
    let back = (0..rank).map(|a| order.iter().position(|&o| o == a).unwrap_or(a)).collect();
    (order, back)
}

/// Cuts a program behind all that is computed example by example; `None` if there is nothing before or
/// nothing after. `inputs` says which inputs have so many examples along their first axis.
pub(crate) fn cut(graph: &Graph, inputs: &[bool], examples: usize) -> Option<Cut> {
    let axes = example_axes(graph, inputs, examples);
    let is_rest = |v: ValueId| axes[v.index()].is_none();
    let mut crossing: Vec<(ValueId, usize)> = Vec::new();
    let mut cross = |v: ValueId| {
        if let Some(Some(axis)) = axes[v.index()]
            && v.index() >= graph.inputs().len()
            && !crossing.iter().any(|&(w, _)| w == v)
        {
            crossing.push((v, axis));
        }
    };
    graph.nodes().iter().filter(|node| is_rest(node.first)).for_each(|node| {
        node.operands.iter().for_each(|&v| cross(v));
    });
    graph.outputs().iter().for_each(|&v| cross(v));
    if crossing.is_empty() || !graph.nodes().iter().any(|node| is_rest(node.first)) {
        return None;
    }
    let mut front = Part::new(graph, std::iter::empty());
    front.need(crossing.iter().map(|c| c.0))?;
    let mut results = Vec::new();
    for &(v, axis) in &crossing {
        let value = *front.moved.get(&v)?;
        results.push(match axis {
            0 => value,
            _ => {
                let order = to_front(axis, graph.ty(v).rank()).0;
                front.push(Op::Transpose(order), &[value], 1, Place(None))
            }
        });
    }
    let front = front.finish(results)?;
    let mut back = Part::new(graph, front.output_types().cloned());
    for (k, &(v, axis)) in crossing.iter().enumerate() {
        let mut value = ValueId((graph.inputs().len() + k) as u32);
        if axis != 0 {
            let order = to_front(axis, graph.ty(v).rank()).1;
            value = back.push(Op::Transpose(order), &[value], 1, Place(None));
        }
        back.moved.insert(v, value);
    }
    back.need(graph.outputs().iter().copied())?;
    let outputs: Option<_> = graph.outputs().iter().map(|v| back.moved.get(v).copied()).collect();
    let back = back.finish(outputs?)?;
    Some(Cut { front, back })
}
