//! From a graph to steps: one kernel for every fused region, one step for every other operation.

use std::collections::HashMap;

use smallvec::{SmallVec, smallvec};
use unloop_graph::op::Pad;
use unloop_graph::{Graph, Node, Op, Shape, ValueId};

use crate::access::{Access, Along, FIXED, identity, through};
use crate::ir::{Expr, ExprId, Exprs, Kernel, Load, Reduction, Strided, Window, load_number};
use crate::regions::{Class, Regions};
use crate::rowwise::{Rowwise, fuse};

/// What is done in order. A step's operands lie in memory when it runs.
#[derive(Clone, Debug)]
pub enum Step {
    /// A fused kernel.
    Kernel(Kernel),
    /// Several kernels on the same rows.
    Rowwise(Rowwise),
    /// A kernel that reduces, and one that is computed of its results, which do not lie in memory.
    Reduced {
        /// The reduction.
        kernel: Kernel,
        /// What reads its results, on the same axes.
        then: Box<Kernel>,
    },
    /// A contraction of two strided operands.
    Dot {
        /// The node of the graph.
        node: usize,
        /// The operands, as views of memory; one stride an axis.
        operands: [Strided; 2],
        /// What is computed of its results, which then do not lie in memory.
        then: Option<Box<Kernel>>,
    },
    /// Any other operation, on whole values in row-major order.
    Op {
        /// The node of the graph.
        node: usize,
    },
    /// The result of a node is the memory of another value, under another shape.
    Alias {
        /// The node of the graph.
        node: usize,
        /// The value that lies in memory.
        of: ValueId,
    },
}

impl Step {
    /// The values that a step reads, by the memory that they lie in, and those that it writes.
    pub fn uses(&self, graph: &Graph, roots: &[usize]) -> Uses {
        let root = |v: &ValueId| roots[v.index()];
        let loads = |kernel: &Kernel| -> SmallVec<[usize; 6]> {
            kernel.loads.iter().map(|l| root(&l.source.value)).collect()
        };
        match self {
            Step::Kernel(kernel) => (loads(kernel), smallvec![kernel.store.value.index()]),
            Step::Reduced { kernel, then } => {
                let mut reads = loads(kernel);
                reads.extend(loads(then));
                reads.retain(|v| *v != kernel.store.value.index());
                (reads, smallvec![then.store.value.index()])
            }
            Step::Rowwise(program) => (
                program.loads.iter().map(|l| root(&l.source.value)).collect(),
                program.stores.iter().map(|s| s.value.index()).collect(),
            ),
            Step::Dot { node, operands, then } => {
                let mut reads: SmallVec<[usize; 6]> =
                    operands.iter().map(|o| root(&o.value)).collect();
                let result = graph.nodes()[*node].first;
                let Some(then) = then else { return (reads, smallvec![result.index()]) };
                reads.extend(loads(then).into_iter().filter(|&v| v != result.index()));
                (reads, smallvec![then.store.value.index()])
            }
            Step::Op { node } => {
                let node = &graph.nodes()[*node];
                let writes = node.results().map(|v| v as usize).collect();
                (node.operands.iter().map(root).collect(), writes)
            }
            Step::Alias { .. } => Default::default(),
        }
    }
}

/// What a step reads and writes.
pub type Uses = (SmallVec<[usize; 6]>, SmallVec<[usize; 3]>);

/// The value in whose memory each value of a graph lies.
pub fn roots(graph: &Graph, steps: &[Step]) -> Vec<usize> {
    let mut roots: Vec<usize> = (0..graph.value_count()).collect();
    for step in steps {
        if let Step::Alias { node, of } = step {
            roots[graph.nodes()[*node].first.index()] = roots[of.index()];
        }
    }
    roots
}

/// Fuses a graph into steps, in order. Linear in the size of the graph.
pub fn build(graph: &Graph) -> Vec<Step> {
    let producer = graph.producers();
    let regions = Regions::new(graph, &producer);
    let mut in_memory = vec![true; graph.inputs().len()];
    in_memory.resize(graph.value_count(), false);
    for (i, node) in graph.nodes().iter().enumerate() {
        node.results().for_each(|v| in_memory[v as usize] = regions.in_memory[i]);
    }
    let builder =
        Builder { graph, producer: &producer, class: &regions.class, in_memory: &in_memory };
    let mut steps = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if !regions.in_memory[i] {
            continue;
        }
        match regions.class[i] {
            Class::Elementwise | Class::Leaf | Class::Pad => {
                steps.push(Step::Kernel(builder.map(node)));
            }
            Class::View => {
                let kernel = builder.map(node);
                steps.push(match kernel.copied(graph) {
                    Some(of) => Step::Alias { node: i, of },
                    None => Step::Kernel(kernel),
                });
            }
            Class::Reduce => steps.push(Step::Kernel(builder.reduce(node))),
            Class::Concatenate => steps.extend(builder.concatenate(node).map(Step::Kernel)),
            Class::Dot => {
                let operands = [0, 1].map(|k| builder.view(node.operands[k]));
                steps.push(Step::Dot { node: i, operands, then: None });
            }
            Class::Alias => steps.push(Step::Alias { node: i, of: node.operands[0] }),
            Class::Opaque => steps.push(Step::Op { node: i }),
        }
    }
    fuse(graph, steps)
}

struct Builder<'a> {
    graph: &'a Graph,
    producer: &'a [Option<usize>],
    class: &'a [Class],
    in_memory: &'a [bool],
}

impl Builder<'_> {
    fn shape(&self, v: ValueId) -> &Shape {
        &self.graph.ty(v).shape
    }

    /// The operation that computes a value, unless it lies in memory.
    fn virtual_node(&self, v: ValueId) -> Option<(&Node, Class)> {
        let i = self.producer[v.index()]?;
        (!self.in_memory[v.index()]).then(|| (&self.graph.nodes()[i], self.class[i]))
    }

    /// A kernel that computes one element of the result for each index.
    fn map(&self, node: &Node) -> Kernel {
        let shape = self.shape(node.first);
        let mut body = Body::new(self, shape);
        let result = body.compute(node, &identity(shape.rank()));
        body.finish(result, None, store(node.first, shape))
    }

    fn reduce(&self, node: &Node) -> Kernel {
        let Op::Reduce { op, axes } = &node.op else {
            unreachable!("`{}` is no reduction", node.op)
        };
        let operand = node.operands[0];
        let shape = self.shape(operand);
        // The space: kept axes, then reduced ones.
        let kept = (0..shape.rank()).filter(|a| !axes.contains(a));
        let order: SmallVec<[usize; 6]> = kept.chain(axes.iter().copied()).collect();
        let mut access: Access = SmallVec::from_elem(FIXED, shape.rank());
        for (position, &axis) in order.iter().enumerate() {
            access[axis] = Along { axis: Some(position), scale: 1, offset: 0 };
        }
        let mut body = Body::new(self, &order.iter().map(|&a| shape[a]).collect());
        let result = body.value(operand, &access);
        let reduction = Reduction { op: *op, axes: axes.len() };
        body.finish(result, Some(reduction), store(node.first, self.shape(node.first)))
    }

    fn concatenate<'b>(&'b self, node: &'b Node) -> impl Iterator<Item = Kernel> + 'b {
        let whole = store(node.first, self.shape(node.first));
        let Op::Concatenate { axis } = node.op else {
            unreachable!("{} is no concatenation", node.op.name())
        };
        let mut start = 0;
        node.operands.iter().map(move |&v| {
            let shape = self.shape(v);
            let mut body = Body::new(self, shape);
            let result = body.value(v, &identity(shape.rank()));
            let mut part = whole.clone();
            part.offset = start as isize * part.strides[axis];
            start += shape[axis];
            body.finish(result, None, part)
        })
    }

    /// Follows views down to memory.
    fn view(&self, v: ValueId) -> Strided {
        let rank = self.shape(v).rank();
        let (v, access) = self.base(v, identity(rank));
        strided(v, self.shape(v), &access, rank)
    }

    /// The value below views, and the access to it.
    fn base(&self, mut v: ValueId, mut access: Access) -> (ValueId, Access) {
        while let Some((node, Class::View)) = self.virtual_node(v) {
            v = node.operands[0];
            access = through(&node.op, &access, self.shape(v));
        }
        (v, access)
    }
}

fn store(value: ValueId, shape: &Shape) -> Strided {
    Strided { value, offset: 0, strides: shape.strides() }
}

/// A value in memory through an access, with one stride an axis of the space.
fn strided(value: ValueId, shape: &Shape, access: &Access, rank: usize) -> Strided {
    let mut strides = SmallVec::from_elem(0, rank);
    let mut offset = 0;
    for (along, stride) in access.iter().zip(shape.strides()) {
        offset += along.offset * stride;
        if let Some(axis) = along.axis {
            strides[axis] += along.scale * stride;
        }
    }
    Strided { value, offset, strides }
}

/// A kernel under construction.
struct Body<'a> {
    builder: &'a Builder<'a>,
    space: SmallVec<[usize; 6]>,
    loads: Vec<Load>,
    program: Exprs<Expr>,
    /// Values computed before, by how they are accessed.
    values: HashMap<(ValueId, Access), ExprId>,
}

impl<'a> Body<'a> {
    fn new(builder: &'a Builder<'a>, space: &Shape) -> Body<'a> {
        Body {
            builder,
            space: space.iter().copied().collect(),
            loads: Vec::new(),
            program: Exprs::new(),
            values: HashMap::new(),
        }
    }

    fn load(&mut self, load: Load) -> ExprId {
        let dtype = load.dtype;
        let number = load_number(&mut self.loads, load);
        self.program.add(Expr::Load(number), dtype)
    }

    /// The expression of a value. Its depth is bounded by the size of a region.
    fn value(&mut self, v: ValueId, access: &Access) -> ExprId {
        let (v, access) = self.builder.base(v, access.clone());
        if let Some(&id) = self.values.get(&(v, access.clone())) {
            return id;
        }
        let id = match self.builder.virtual_node(v) {
            Some((node, _)) => self.compute(node, &access),
            None => {
                let ty = self.builder.graph.ty(v);
                let source = strided(v, &ty.shape, &access, self.space.len());
                let (windows, fill) = (SmallVec::new(), None);
                self.load(Load { source, dtype: ty.dtype, windows, fill })
            }
        };
        self.values.insert((v, access), id);
        id
    }

    fn compute(&mut self, node: &Node, access: &Access) -> ExprId {
        let ty = self.builder.graph.ty(node.first);
        let x = |body: &mut Self, k: usize| body.value(node.operands[k], access);
        let expr = match &node.op {
            Op::Constant(value) => Expr::Constant(*value),
            Op::Iota { ty, axis } => {
                let Along { axis, scale, offset } = access[*axis];
                let axis = axis.unwrap_or(0);
                Expr::Iota { axis, scale, offset, dtype: ty.dtype }
            }
            Op::Unary(op) => Expr::Unary(*op, x(self, 0)),
            Op::Binary(op) => Expr::Binary(*op, x(self, 0), x(self, 1)),
            Op::Compare(op) => Expr::Compare(*op, x(self, 0), x(self, 1)),
            Op::Select => Expr::Select(x(self, 0), x(self, 1), x(self, 2)),
            Op::Clamp => Expr::Clamp(x(self, 0), x(self, 1), x(self, 2)),
            Op::Convert(dtype) => Expr::Convert(*dtype, x(self, 0)),
            Op::Bitcast(dtype) => Expr::Bitcast(*dtype, x(self, 0)),
            Op::Pad(pad) => return self.pad(node, pad, access),
            // A view that lies in memory: a copy.
            op => {
                let operand = node.operands[0];
                let access = through(op, access, self.builder.shape(operand));
                return self.value(operand, &access);
            }
        };
        self.program.add(expr, ty.dtype)
    }

    /// A load with windows. Every padded axis follows an axis of the space one to one.
    fn pad(&mut self, node: &Node, pad: &Pad, access: &Access) -> ExprId {
        let graph = self.builder.graph;
        let (v, fill) = (node.operands[0], node.operands[1]);
        let fill = self.builder.producer[fill.index()].map(|i| &graph.nodes()[i].op);
        let fill = match fill {
            Some(Op::Constant(value)) => Some(*value),
            _ => None,
        };
        let out = self.builder.shape(node.first);
        let mut windows: SmallVec<[Window; 2]> = SmallVec::new();
        let mut inner = access.clone();
        for (a, pad) in pad.0.iter().enumerate() {
            let (size, step) = (self.builder.shape(v)[a] as i64, pad.interior as i64 + 1);
            let Some(axis) = access[a].axis else { continue };
            // The first element that is not cut off, and one past the last.
            let first = (-pad.low).max(0).div_euclid(step)
                + i64::from((-pad.low).max(0).rem_euclid(step) != 0);
            let low = (pad.low + first * step).max(0);
            let high = (pad.low + (size - 1) * step + 1).min(out[a] as i64).max(low);
            let whole = low == 0 && high == out[a] as i64 && step == 1 && size > 0;
            inner[a].offset = first as isize;
            if !whole {
                let high = if size == 0 { low } else { high };
                let (low, high) = (low as usize, high as usize);
                windows.push(Window { axis, low, high, step: step as usize });
            }
        }
        let dtype = graph.ty(v).dtype;
        let (base, inner) = self.builder.base(v, inner);
        let source = strided(base, self.builder.shape(base), &inner, self.space.len());
        self.load(Load { source, dtype, windows, fill })
    }

    fn finish(self, result: ExprId, reduction: Option<Reduction>, store: Strided) -> Kernel {
        let Body { space, loads, program: Exprs { exprs, dtypes, .. }, .. } = self;
        Kernel { space, loads, exprs, dtypes, result, reduction, store }
    }
}
