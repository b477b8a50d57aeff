//! From a graph to steps: one kernel for every fused region, one step for every other operation.

use std::collections::HashMap;

use smallvec::{SmallVec, smallvec};
use unloop_graph::op::Pad;
use unloop_graph::{Graph, Node, Number, Op, Scalar, Shape, ValueId};

use crate::access::{Access, Along, FIXED, identity, through};
use crate::cut::{Cut, Part, Pieces, copied, losing};
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

/// How often it is tried which concatenations and paddings need not lie in memory, before all do.
const ROUNDS: usize = 4;

/// Fuses a graph into steps, in order. Linear in the size of the graph.
pub fn build(graph: &Graph) -> Vec<Step> {
    let producer = graph.producers();
    let mut solid = vec![false; graph.nodes().len()];
    for round in 1.. {
        let regions = Regions::new(graph, &producer, &solid);
        let mut pieces = Vec::new();
        let steps = Builder::new(graph, &producer, &regions).steps(&mut pieces);
        let losing = losing(graph, &pieces);
        if losing.is_empty() {
            return fuse(graph, steps);
        }
        losing.into_iter().for_each(|node| solid[node] = true);
        if round == ROUNDS {
            solid.fill(true);
        }
    }
    unreachable!("nothing is cut if all lies in memory")
}

struct Builder<'a> {
    graph: &'a Graph,
    producer: &'a [Option<usize>],
    regions: &'a Regions,
    in_memory: Vec<bool>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, producer: &'a [Option<usize>], regions: &'a Regions) -> Builder<'a> {
        let mut in_memory = vec![true; graph.inputs().len()];
        in_memory.resize(graph.value_count(), false);
        for (i, node) in graph.nodes().iter().enumerate() {
            node.results().for_each(|v| in_memory[v as usize] = regions.in_memory[i]);
        }
        Builder { graph, producer, regions, in_memory }
    }

    /// The steps, and the results among them that are computed in boxes.
    fn steps(&self, cut: &mut Vec<Pieces>) -> Vec<Step> {
        let mut steps = Vec::new();
        for (i, node) in self.graph.nodes().iter().enumerate() {
            if !self.regions.in_memory[i] {
                continue;
            }
            match self.regions.class[i] {
                Class::Elementwise
                | Class::Leaf
                | Class::View
                | Class::Pad
                | Class::Concatenate => {
                    let pieces = self.map(i, node);
                    let copied = match &pieces.kernels[..] {
                        [kernel] if !node.operands.is_empty() => kernel.copied(self.graph),
                        _ => None,
                    };
                    match copied {
                        Some(of) => steps.push(Step::Alias { node: i, of }),
                        None => steps.extend(pieces.kernels.iter().cloned().map(Step::Kernel)),
                    }
                    if !pieces.read.is_empty() {
                        cut.push(pieces);
                    }
                }
                Class::Reduce => steps.push(Step::Kernel(self.reduce(node))),
                Class::Dot => {
                    let operands = [0, 1].map(|k| self.view(node.operands[k]));
                    steps.push(Step::Dot { node: i, operands, then: None });
                }
                Class::Alias => steps.push(Step::Alias { node: i, of: node.operands[0] }),
                Class::Opaque => steps.push(Step::Op { node: i }),
            }
        }
        steps
    }

    fn shape(&self, v: ValueId) -> &Shape {
        &self.graph.ty(v).shape
    }

    /// The operation that computes a value, unless it lies in memory.
    fn virtual_node(&self, v: ValueId) -> Option<(usize, &Node)> {
        let i = self.producer[v.index()]?;
        (!self.in_memory[v.index()]).then(|| (i, &self.graph.nodes()[i]))
    }

    /// Kernels that compute one element of the result for each index.
    fn map(&self, i: usize, node: &Node) -> Pieces {
        let shape = self.shape(node.first);
        if shape.contains(&0) {
            return Pieces::of(self.nothing(node));
        }
        let otherwise = match self.regions.class[i] {
            // Each operand has a kernel of its own.
            Class::Concatenate => {
                node.operands.iter().filter(|v| !self.shape(**v).contains(&0)).count()
            }
            _ => 1,
        };
        let mut pieces = Pieces { otherwise, ..Pieces::default() };
        let mut parts = vec![Part::whole(shape)];
        while let Some(part) = parts.pop() {
            let mut body = Body::new(self, &part.extents, &mut pieces);
            match body.compute(i, node, &part.access()) {
                Ok(result) => {
                    let inside = body.inside;
                    let kernel = body.finish(result, None, part.store(node.first, shape));
                    pieces.inside = pieces.inside.max(inside);
                    pieces.kernels.push(kernel);
                }
                Err(cut) => {
                    let [before, after] = part.cut(cut);
                    parts.extend([after, before]);
                }
            }
            if pieces.is_too_many() {
                break;
            }
        }
        pieces
    }

    /// A kernel of a result without elements.
    fn nothing(&self, node: &Node) -> Kernel {
        let ty = self.graph.ty(node.first);
        let mut pieces = Pieces::default();
        let mut body = Body::new(self, &ty.shape, &mut pieces);
        let zero = Expr::Constant(Scalar::new(ty.dtype, Number::Int(0)));
        let zero = body.program.add(zero, ty.dtype);
        body.finish(zero, None, Part::whole(&ty.shape).store(node.first, &ty.shape))
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
        let space: SmallVec<[usize; 6]> = order.iter().map(|&a| shape[a]).collect();
        let mut pieces = Pieces::default();
        let mut body = Body::new(self, &space, &mut pieces);
        let Ok(result) = body.value(operand, &access) else {
            unreachable!("what a reduction reads is not cut")
        };
        let reduction = Reduction { op: *op, axes: axes.len() };
        let kept = self.shape(node.first);
        body.finish(result, Some(reduction), Part::whole(kept).store(node.first, kept))
    }

    /// Predicted nanoseconds of laying in memory what need not lie there where a concatenation or a padding
    /// is cut.
    fn saved(&self, i: usize, node: &Node) -> f64 {
        let inner = node.operands[0];
        let of = |v: ValueId, axis: usize| copied(self.graph.ty(v), axis);
        if let Op::Concatenate { axis } = node.op {
            return node.operands.iter().map(|&v| of(v, axis)).sum();
        }
        let (base, _) = self.base(inner, identity(self.shape(inner).rank()));
        let result = if self.regions.in_memory[i] { 0.0 } else { of(node.first, 0) };
        result + self.virtual_node(base).map_or(0.0, |_| of(inner, 0))
    }

    /// Follows views down to memory.
    fn view(&self, v: ValueId) -> Strided {
        let rank = self.shape(v).rank();
        let (v, access) = self.base(v, identity(rank));
        strided(v, self.shape(v), &access, rank)
    }

    /// The value below views, and the access to it.
    fn base(&self, mut v: ValueId, mut access: Access) -> (ValueId, Access) {
        while let Some((i, node)) = self.virtual_node(v)
            && self.regions.class[i] == Class::View
        {
            v = node.operands[0];
            access = through(&node.op, &access, self.shape(v));
        }
        (v, access)
    }
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
    /// Where it is told which concatenations and paddings are read, and how many of them are being read.
    pieces: &'a mut Pieces,
    depth: usize,
    /// Operations of what is cut.
    inside: usize,
}

impl<'a> Body<'a> {
    fn new(builder: &'a Builder<'a>, space: &[usize], pieces: &'a mut Pieces) -> Body<'a> {
        Body {
            builder,
            space: SmallVec::from_slice(space),
            loads: Vec::new(),
            program: Exprs::new(),
            values: HashMap::new(),
            pieces,
            depth: 0,
            inside: 0,
        }
    }

    fn load(&mut self, load: Load) -> ExprId {
        let dtype = load.dtype;
        let number = load_number(&mut self.loads, load);
        self.program.add(Expr::Load(number), dtype)
    }

    /// The expression of a value. Its depth is bounded by the size of a region.
    fn value(&mut self, v: ValueId, access: &Access) -> Result<ExprId, Cut> {
        let (v, access) = self.builder.base(v, access.clone());
        if let Some(&id) = self.values.get(&(v, access.clone())) {
            return Ok(id);
        }
        let id = match self.builder.virtual_node(v) {
            Some((i, node)) => {
                let is_cut = self.builder.regions.class[i] == Class::Concatenate;
                if is_cut {
                    let builder = self.builder;
                    self.pieces.reads(i, self.depth, || builder.saved(i, node));
                    self.depth += 1;
                }
                let id = self.compute(i, node, &access)?;
                self.depth -= usize::from(is_cut);
                self.inside += usize::from(self.depth > 0);
                id
            }
            None => {
                let ty = self.builder.graph.ty(v);
                let source = strided(v, &ty.shape, &access, self.space.len());
                let (windows, fill) = (SmallVec::new(), None);
                self.load(Load { source, dtype: ty.dtype, windows, fill })
            }
        };
        self.values.insert((v, access), id);
        Ok(id)
    }

    fn compute(&mut self, i: usize, node: &Node, access: &Access) -> Result<ExprId, Cut> {
        let ty = self.builder.graph.ty(node.first);
        let x = |body: &mut Self, k: usize| body.value(node.operands[k], access);
        let expr = match &node.op {
            Op::Constant(value) => Expr::Constant(*value),
            Op::Iota { ty, axis } => {
                let Along { axis, scale, offset } = access[*axis];
                let axis = axis.unwrap_or(0);
                Expr::Iota { axis, scale, offset, dtype: ty.dtype }
            }
            Op::Unary(op) => Expr::Unary(*op, x(self, 0)?),
            Op::Binary(op) => Expr::Binary(*op, x(self, 0)?, x(self, 1)?),
            Op::Compare(op) => Expr::Compare(*op, x(self, 0)?, x(self, 1)?),
            Op::Select => {
                let condition = x(self, 0)?;
                // A mask that is padded is known in a box.
                if let Expr::Constant(value) = self.program.exprs[condition.index()] {
                    return x(self, if value.number() == Number::Bool(true) { 1 } else { 2 });
                }
                Expr::Select(condition, x(self, 1)?, x(self, 2)?)
            }
            Op::Clamp => Expr::Clamp(x(self, 0)?, x(self, 1)?, x(self, 2)?),
            Op::Convert(dtype) => Expr::Convert(*dtype, x(self, 0)?),
            Op::Bitcast(dtype) => Expr::Bitcast(*dtype, x(self, 0)?),
            Op::Concatenate { axis } => return self.operand(node, *axis, access),
            Op::Pad(pad) => return self.pad(i, node, pad, access),
            // A view that lies in memory: a copy.
            op => {
                let operand = node.operands[0];
                let access = through(op, access, self.builder.shape(operand));
                return self.value(operand, &access);
            }
        };
        Ok(self.program.add(expr, ty.dtype))
    }

    /// The operand that a concatenation is here.
    fn operand(&mut self, node: &Node, axis: usize, access: &Access) -> Result<ExprId, Cut> {
        let mut start = 0;
        for &v in &node.operands {
            let end = start + self.builder.shape(v)[axis] as isize;
            if (start..end).contains(&access[axis].offset) {
                Part::stays(&self.space, access[axis], &(start..end))?;
                let mut inner = access.clone();
                inner[axis].offset -= start;
                return self.value(v, &inner);
            }
            start = end;
        }
        unreachable!("each position of a concatenation is one of an operand")
    }

    /// What is padded or the fill, or a load with windows, which follow axes of the space one to one.
    fn pad(&mut self, i: usize, node: &Node, pad: &Pad, access: &Access) -> Result<ExprId, Cut> {
        let graph = self.builder.graph;
        let (v, fill) = (node.operands[0], node.operands[1]);
        let fill = self.builder.producer[fill.index()].map(|i| &graph.nodes()[i].op);
        let Some(Op::Constant(fill)) = fill else {
            unreachable!("kernels pad with constants only")
        };
        let dtype = graph.ty(v).dtype;
        if self.builder.regions.plain[i] {
            let mut inner = access.clone();
            let mut windows: SmallVec<[Window; 2]> = SmallVec::new();
            for (a, pad) in pad.0.iter().enumerate() {
                let Along { axis: Some(axis), scale: 1, offset } = access[a] else {
                    unreachable!("windows count along axes of the space")
                };
                // Positions of the result count from the part's start.
                let (low, extent) = (pad.low - offset as i64, self.space[axis] as i64);
                let (size, step) = (self.builder.shape(v)[a] as i64, pad.interior as i64 + 1);
                // The first element that is not cut off, and one past the last.
                let first = -(low.min(0).div_euclid(step));
                let low = low + first * step;
                let high = (low + (size - 1 - first) * step + 1).min(extent).max(low);
                if size == 0 || low >= high {
                    return Ok(self.program.add(Expr::Constant(*fill), dtype));
                }
                inner[a].offset = first as isize;
                if low > 0 || high < extent || step > 1 {
                    let (low, high, step) = (low as usize, high as usize, step as usize);
                    windows.push(Window { axis, low, high, step });
                }
            }
            let (base, inner) = self.builder.base(v, inner);
            if self.builder.virtual_node(base).is_none() {
                let source = strided(base, self.builder.shape(base), &inner, self.space.len());
                let fill = (!windows.is_empty()).then_some(*fill);
                return Ok(self.load(Load { source, dtype, windows, fill }));
            }
        }
        let builder = self.builder;
        self.pieces.reads(i, self.depth, || builder.saved(i, node));
        let mut inner = access.clone();
        let mut is_cut = Ok(());
        for (a, pad) in pad.0.iter().enumerate() {
            let (low, along) = (pad.low as isize, access[a]);
            let high = low + self.builder.shape(v)[a] as isize;
            let range = if along.offset < low {
                isize::MIN / 2..low
            } else if along.offset >= high {
                high..isize::MAX / 2
            } else {
                low..high
            };
            let is_fill = range != (low..high);
            match Part::stays(&self.space, along, &range) {
                // Nothing else matters here.
                Ok(()) if is_fill => {
                    return Ok(self.program.add(Expr::Constant(*fill), dtype));
                }
                stays => is_cut = is_cut.and(stays),
            }
            inner[a].offset -= low;
        }
        is_cut?;
        self.depth += 1;
        let id = self.value(v, &inner)?;
        self.depth -= 1;
        Ok(id)
    }

    fn finish(self, result: ExprId, reduction: Option<Reduction>, store: Strided) -> Kernel {
        let Body { space, loads, program: Exprs { exprs, dtypes, .. }, .. } = self;
        Kernel { space, loads, exprs, dtypes, result, reduction, store }.pruned()
    }
}
