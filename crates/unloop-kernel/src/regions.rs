//! Which operations are computed where. Walking backwards, an elementwise operation joins the kernel
//! of its users when they all are in one kernel and would not compute it more than once; otherwise
//! its result is written to memory and it is the root of a kernel of its own.

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, Graph, Node, Op, UnaryOp, ValueId};

use crate::access::is_view;

/// How an operation takes part in kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Computed element by element.
    Elementwise,
    /// Without operands: computed wherever it is needed.
    Leaf,
    /// Only changes how its operand is indexed.
    View,
    /// Padding with a constant: a view with windows, or cut into boxes.
    Pad,
    /// The same memory under another shape.
    Alias,
    /// The root of a kernel that reduces.
    Reduce,
    /// Cut into boxes, in each of which it is one of its operands.
    Concatenate,
    /// A contraction, which reads views of memory.
    Dot,
    /// Anything else: reads whole values in row-major order.
    Opaque,
}

/// What is decided of every node.
pub(crate) struct Regions {
    pub class: Vec<Class>,
    /// Whether the result lies in memory.
    pub in_memory: Vec<bool>,
    /// Whether every kernel reads the result along whole axes, not through a view that moves.
    pub plain: Vec<bool>,
}

/// Bounds the scalar operations of one kernel, and so its registers and the depth of its
/// expressions.
const MAX_EXPRS: usize = 64;

/// Operations, one on the other, that several kernels compute each for itself, at most.
const MAX_AGAIN: usize = 3;

/// Concatenations and paddings, one on the other, that are cut for one kernel, at most.
const MAX_CUT: usize = 8;

/// Whether computing an operation again, wherever it is needed, costs less than reading its result: it
/// is fast, and reads no more than one large value.
fn is_cheap_again(graph: &Graph, node: &Node, producer: &[Option<usize>], class: &[Class]) -> bool {
    let is_fast = match &node.op {
        Op::Unary(op) => matches!(
            op,
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Square | UnaryOp::Not | UnaryOp::IsFinite
        ),
        Op::Binary(op) => matches!(
            op,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min
        ),
        Op::Compare(_) | Op::Select | Op::Convert(_) => true,
        _ => false,
    };
    let size = graph.ty(node.first).shape.size();
    let is_large = |v: &ValueId| {
        let mut v = *v;
        // What views repeat is smaller than they are.
        while let Some(p) = producer[v.index()]
            && matches!(class[p], Class::View | Class::Alias)
        {
            v = graph.nodes()[p].operands[0];
        }
        let is_leaf = producer[v.index()].is_some_and(|p| class[p] == Class::Leaf);
        !is_leaf && graph.ty(v).shape.size() * 4 > size
    };
    let mut large: SmallVec<[ValueId; 3]> =
        node.operands.iter().copied().filter(|v| is_large(v)).collect();
    large.dedup();
    is_fast && large.len() <= 1
}

/// Where a node's result is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Not used so far.
    None,
    /// In the kernel of this number only, through the same views: `via` is the last of them.
    Kernel { root: usize, via: Option<usize> },
    /// In several kernels, or through different views.
    Several,
}

pub(crate) fn classify(graph: &Graph, node: &Node, producer: &[Option<usize>]) -> Class {
    match &node.op {
        Op::Constant(_) | Op::Iota { .. } => Class::Leaf,
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select
        | Op::Clamp
        | Op::Convert(_)
        | Op::Bitcast(_) => Class::Elementwise,
        op @ (Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice(_)
        | Op::Reverse(_)) => match is_view(op, &graph.ty(node.operands[0]).shape) {
            true => Class::View,
            false => Class::Alias,
        },
        Op::StopGradient => Class::Alias,
        Op::Pad(_) => {
            let fill = producer[node.operands[1].index()].map(|i| &graph.nodes()[i].op);
            match fill {
                Some(Op::Constant(_)) => Class::Pad,
                _ => Class::Opaque,
            }
        }
        Op::Concatenate { .. } => Class::Concatenate,
        Op::Reduce { .. } => Class::Reduce,
        Op::Dot(_) => Class::Dot,
        Op::Gather(_)
        | Op::Scatter(_)
        | Op::ArgReduce { .. }
        | Op::Sort(_)
        | Op::SearchSorted { .. }
        | Op::Cumulative { .. }
        | Op::Betainc
        | Op::Cholesky { .. }
        | Op::Lu
        | Op::Qr { .. }
        | Op::Switch(_)
        | Op::While(_)
        | Op::Scan(_)
        | Op::WithDerivative(_)
        | Op::Pullback(_)
        | Op::Host(_)
        | Op::AllGather(_)
        | Op::Svd { .. }
        | Op::Eigh
        | Op::TriangularSolve(_)
        | Op::Solve { .. } => Class::Opaque,
    }
}

impl Regions {
    /// The regions of a graph. Concatenations that are `asked` for lie in memory, and paddings that are
    /// read from there.
    pub fn new(graph: &Graph, producer: &[Option<usize>], asked: &[bool]) -> Regions {
        let nodes = graph.nodes();
        let class: Vec<Class> = nodes.iter().map(|n| classify(graph, n, producer)).collect();
        let mut in_memory = vec![false; nodes.len()];
        let mut used = vec![Use::None; nodes.len()];
        let mut plain = vec![true; nodes.len()];
        // Whether somebody reads it, through views, from memory only.
        let mut solid = vec![false; nodes.len()];
        // Whether some kernel reads it that is not cut: one that reduces.
        let mut whole = vec![false; nodes.len()];
        // How many concatenations and paddings after the node, one on the other, are cut.
        let mut cut = vec![0usize; nodes.len()];
        // How many operations after the node, one on the other, are computed in each of their kernels.
        let mut again = vec![0usize; nodes.len()];
        // Kernels are numbered by their root; an operand of a concatenation has its own number.
        let mut size = vec![0usize; nodes.len()];
        for v in graph.outputs() {
            if let Some(i) = producer[v.index()] {
                in_memory[i] = true;
            }
        }
        for (i, node) in nodes.iter().enumerate().rev() {
            // Nothing needs it.
            if !in_memory[i] && used[i] == Use::None {
                continue;
            }
            let is_spread =
                matches!(&node.op, Op::Pad(pad) if pad.0.iter().any(|axis| axis.interior > 0));
            let is_whole = asked[i] || is_spread;
            let is_read_whole = whole[i] || cut[i] == MAX_CUT;
            in_memory[i] |= match class[i] {
                Class::Leaf => solid[i],
                // Windows of padding count along whole axes of a kernel.
                Class::Pad => solid[i] || (is_whole || is_read_whole) && !plain[i],
                Class::Concatenate => solid[i] || is_whole || is_read_whole,
                _ => false,
            };
            let is_cut = !is_whole && (in_memory[i] || !is_read_whole);
            let kernel = match class[i] {
                Class::Leaf if !in_memory[i] => used[i],
                Class::View | Class::Pad | Class::Concatenate if !in_memory[i] => match used[i] {
                    Use::Kernel { root, .. } => Use::Kernel { root, via: Some(i) },
                    Use::None | Use::Several => used[i],
                },
                Class::Elementwise
                    if used[i] == Use::Several
                        && !in_memory[i]
                        && !solid[i]
                        && again[i] < MAX_AGAIN
                        && is_cheap_again(graph, node, producer, &class) =>
                {
                    // What it reads is read again, too.
                    for v in &node.operands {
                        if let Some(p) = producer[v.index()] {
                            again[p] = again[p].max(again[i] + 1);
                        }
                    }
                    Use::Several
                }
                Class::Elementwise => match used[i] {
                    Use::Kernel { root, .. } if !in_memory[i] && size[root] < MAX_EXPRS => {
                        size[root] += 1;
                        used[i]
                    }
                    Use::None | Use::Kernel { .. } | Use::Several => {
                        in_memory[i] = true;
                        Use::Kernel { root: i, via: None }
                    }
                },
                _ => {
                    in_memory[i] = true;
                    Use::Kernel { root: i, via: None }
                }
            };
            for (k, v) in node.operands.iter().enumerate() {
                let Some(p) = producer[v.index()] else { continue };
                let mut join = |kernel: Use| {
                    used[p] = match (used[p], kernel) {
                        (Use::None, kernel) => kernel,
                        (a, b) if a == b => a,
                        _ => Use::Several,
                    };
                };
                // What holds for a node that lies nowhere holds for what it reads.
                whole[p] |= class[i] == Class::Reduce || !in_memory[i] && whole[i];
                if !in_memory[i] {
                    let cuts = matches!(class[i], Class::Pad | Class::Concatenate);
                    cut[p] = cut[p].max(cut[i] + usize::from(cuts));
                }
                let moves = class[i] == Class::View && !matches!(node.op, Op::Transpose(_));
                plain[p] &= !moves && (in_memory[i] || plain[i]);
                match class[i] {
                    Class::Elementwise | Class::Reduce => join(kernel),
                    Class::View => {
                        solid[p] |= solid[i] && !in_memory[i];
                        // What a broadcast repeats is computed once, before.
                        let repeats = graph.ty(node.first).shape.size() > graph.ty(*v).shape.size();
                        again[p] = again[p].max(again[i]);
                        join(if repeats { Use::Several } else { kernel });
                    }
                    Class::Pad if k == 1 => {}
                    Class::Pad if is_cut => {
                        if !in_memory[i] {
                            again[p] = again[p].max(again[i]);
                        }
                        join(kernel);
                    }
                    Class::Pad | Class::Dot => {
                        solid[p] = true;
                        join(Use::Several);
                    }
                    // Each operand has boxes of its own, and what is computed for it is used nowhere else.
                    Class::Concatenate if in_memory[i] => {
                        size.push(0);
                        join(Use::Kernel { root: size.len() - 1, via: None });
                    }
                    Class::Concatenate => {
                        again[p] = again[p].max(again[i]);
                        // A number that no view has.
                        size.push(0);
                        join(match kernel {
                            Use::Kernel { root, .. } => {
                                Use::Kernel { root, via: Some(size.len() - 1) }
                            }
                            Use::None | Use::Several => Use::Several,
                        });
                    }
                    Class::Alias | Class::Opaque => in_memory[p] = true,
                    Class::Leaf => {}
                }
            }
        }
        // What lies in memory was written along whole axes.
        plain.iter_mut().zip(&in_memory).for_each(|(plain, in_memory)| *plain |= in_memory);
        Regions { class, in_memory, plain }
    }
}
