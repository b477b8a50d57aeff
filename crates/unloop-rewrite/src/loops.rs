//! Laws of loops. Loops that pass on the same become one: a program and its gradient both run the program's
//! loop, and the second keeps what the way back needs. What a loop reads that only repeats something
//! smaller is repeated inside of it, where it takes no memory.

use std::collections::HashMap;
use std::sync::Arc;

use unloop_graph::op::{Scan, While};
use unloop_graph::{Graph, GraphBuilder, Op, Place, TensorType, ValueId};

use crate::tidy::{Builder, Operands};

/// A loop that stands for several, and which of its results each of them has.
struct Merged {
    scan: Scan,
    results: Vec<(usize, Vec<u32>)>,
}

/// A program in which loops with the same operands that pass on the same are one; `None` if there are
/// none.
pub(crate) fn merge(graph: &Graph, builder: impl Fn(&Graph) -> Builder) -> Option<Graph> {
    // What loops must have in common before their bodies are compared.
    let mut groups: HashMap<(&[ValueId], [usize; 3], bool), Vec<usize>> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if let Op::Scan(scan) = &node.op {
            let sizes = [scan.shared, scan.carry, scan.length];
            groups.entry((&node.operands, sizes, scan.reverse)).or_default().push(i);
        }
    }
    // By the first of each group.
    let mut merged: HashMap<usize, Merged> = HashMap::new();
    for group in groups.into_values().filter(|group| group.len() > 1) {
        if let Some(loops) = merge_group(graph, &group, &builder) {
            merged.insert(group[0], loops);
        }
    }
    if merged.is_empty() {
        return None;
    }
    let mut whole = GraphBuilder::new(graph.inputs().to_vec());
    let mut values = whole.inputs();
    // The values of loops that another one has computed.
    let mut known: HashMap<usize, Vec<ValueId>> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if let Some(results) = known.remove(&i) {
            values.extend(results);
            continue;
        }
        let Some(Merged { scan, results: of }) = merged.remove(&i) else {
            whole.copy(node, &mut values).ok()?;
            continue;
        };
        let operands: Operands = node.operands.iter().map(|v| values[v.index()]).collect();
        let first = whole.push(Op::Scan(scan), &operands, node.place).ok()?;
        let of_loop = |results: &[u32]| results.iter().map(|k| ValueId(first.0 + k)).collect();
        known.extend(of[1..].iter().map(|(i, results)| (*i, of_loop(results))));
        let own: Vec<ValueId> = of_loop(&of[0].1);
        values.extend(own);
    }
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|v| values[v.index()]).collect();
    Some(whole.finish(&outputs))
}

/// One loop for all of a group that pass on what the first does.
fn merge_group(
    graph: &Graph,
    group: &[usize],
    builder: &impl Fn(&Graph) -> Builder,
) -> Option<Merged> {
    let scan = |i: usize| match &graph.nodes()[i].op {
        Op::Scan(scan) => Some(scan),
        _ => None,
    };
    let first = scan(group[0])?;
    let mut builder = builder(&first.body);
    let inputs: Vec<ValueId> = (0..first.body.inputs().len() as u32).map(ValueId).collect();
    let mut outputs = builder.include(&first.body, &inputs)?;
    let mut results = vec![(group[0], (0..outputs.len() as u32).collect())];
    for &i in &group[1..] {
        let own = builder.include(&scan(i)?.body, &inputs)?;
        if own[..first.carry] != outputs[..first.carry] {
            continue;
        }
        let mut places: Vec<u32> = (0..first.carry as u32).collect();
        for &stack in &own[first.carry..] {
            let known = outputs[first.carry..].iter().position(|&o| o == stack);
            places.push(known.map_or(outputs.len(), |k| first.carry + k) as u32);
            if known.is_none() {
                outputs.push(stack);
            }
        }
        results.push((i, places));
    }
    if results.len() < 2 {
        return None;
    }
    let body = Arc::new(builder.finish(&outputs));
    Some(Merged { scan: Scan { body, ..first.clone() }, results })
}

/// A loop that repeats inside what its shared operands repeat, and its operands; `None` if none of them
/// repeats anything, or if the loop would write it to memory at each of its runs.
pub(crate) fn sink(b: &Builder, op: &Op, operands: &[ValueId]) -> Option<(Op, Operands)> {
    let (shared, bodies): (usize, Vec<&Arc<Graph>>) = match op {
        Op::Scan(scan) => (scan.shared, vec![&scan.body]),
        Op::While(repeat) => (repeat.shared, vec![&repeat.condition, &repeat.body]),
        _ => return None,
    };
    let fuses = |i: usize| bodies.iter().all(|body| is_fused(body, ValueId(i as u32)));
    let i = (0..shared).find(|&i| repeats(b, operands[i]) && fuses(i))?;
    let (view, source) = b.producer(operands[i])?;
    let source = *source.first()?;
    let inside = |body: &Arc<Graph>| inside(body, i, view, b.ty(source)).map(Arc::new);
    let op = match op {
        Op::Scan(scan) => Op::Scan(Scan { body: inside(&scan.body)?, ..scan.clone() }),
        Op::While(repeat) => {
            let (condition, body) = (inside(&repeat.condition)?, inside(&repeat.body)?);
            Op::While(While { condition, body, ..repeat.clone() })
        }
        _ => return None,
    };
    let mut operands = Operands::from_slice(operands);
    operands[i] = source;
    Some(sink(b, &op, &operands).unwrap_or((op, operands)))
}

/// Whether a value is a view of something smaller.
fn repeats(b: &Builder, v: ValueId) -> bool {
    match b.producer(v) {
        Some((Op::Broadcast { shape, .. }, [x])) => {
            shape.size() > b.ty(*x).shape.size() || repeats(b, *x)
        }
        Some((Op::Reshape(_) | Op::Transpose(_), [x])) => repeats(b, *x),
        _ => false,
    }
}

/// Whether a program reads an input only where it is fused with what reads it.
fn is_fused(body: &Graph, input: ValueId) -> bool {
    let reads = |node: &&unloop_graph::Node| node.operands.contains(&input);
    !body.outputs().contains(&input)
        && body.nodes().iter().filter(reads).all(|node| match &node.op {
            Op::Reduce { .. } | Op::Dot(_) => true,
            Op::Transpose(_) | Op::Broadcast { .. } | Op::Slice(_) | Op::Reshape(_) => {
                is_fused(body, node.first)
            }
            Op::Scan(scan) => {
                let shared = &node.operands[..scan.shared];
                shared.iter().zip(0..).all(|(v, i)| *v != input || is_fused(&scan.body, ValueId(i)))
                    && !node.operands[scan.shared..].contains(&input)
            }
            op => op.is_elementwise(),
        })
}

/// The program whose input is a view of the one that it has now.
fn inside(body: &Graph, input: usize, view: &Op, source: &TensorType) -> Option<Graph> {
    let mut types = body.inputs().to_vec();
    types[input] = source.clone();
    let mut builder = GraphBuilder::new(types);
    let mut moved = builder.inputs();
    moved[input] = builder.push(view.clone(), &[ValueId(input as u32)], Place(None)).ok()?;
    for node in body.nodes() {
        builder.copy(node, &mut moved).ok()?;
    }
    let outputs: Vec<ValueId> = body.outputs().iter().map(|v| moved[v.index()]).collect();
    Some(builder.finish(&outputs))
}
