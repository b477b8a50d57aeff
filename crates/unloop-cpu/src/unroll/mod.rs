//! Programs on small arrays, unrolled: every element of an example is a number of its own, examples
//! stand side by side in tiles, and a tile goes through the whole program, loops included, before the
//! next one begins. A program without examples is the same with one.

mod emit;
mod loops;
mod matrices;
mod memory;
mod scalars;
mod tape;

use smallvec::SmallVec;
use unloop_graph::{Array, DType, ErrorKind, Graph, Node, Op, Place, TensorType, ValueId};
use unloop_kernel::{AxisId, Expr, Kind, Nest, Role, Stmt};

use crate::code::{Code, Lazy};
use crate::instruction::cost;
use crate::narrow::{ExampleAxis, example_axis, narrow};
use crate::oracle;
use crate::profile::Facts;
use crate::simd::Simd;
use crate::stages::{Region, Stage, Worth, stages};
use crate::sums;
use memory::Examples;
use scalars::Layout;
use tape::{GROUP, Tape};

/// The axis of the examples.
const LANES: AxisId = AxisId(0);

/// A program that runs on numbers.
pub(crate) struct Unrolled {
    tape: Tape,
    nest: Nest,
    /// Whether it gains whatever the steps of a plan would take.
    is_sure: bool,
    /// Whether the nest's scalar evaluator computes it.
    is_oracle: bool,
    /// Outer and inner ones.
    examples: [usize; 2],
    /// Predicted nanoseconds of what all examples compute.
    ns: f64,
    /// Elements of the inputs and outputs.
    moved: usize,
    /// Instructions, one for each tile.
    calls: f64,
    facts: Facts,
    simd: Simd,
    code: Lazy,
}

/// A program in stages: those of examples are unrolled.
pub(crate) struct Unrolling {
    pub stages: Vec<(Stage, Option<Unrolled>)>,
    /// The values that are the program's outputs.
    pub outputs: Vec<ValueId>,
}

impl Unrolling {
    /// Whether some stage gains whatever its steps would take.
    pub fn is_sure(&self) -> bool {
        self.stages.iter().flat_map(|(_, unrolled)| unrolled).any(Unrolled::is_sure)
    }
}

/// Bytes of a tile's registers, about: most of them stay in a first-level cache.
const REGISTER_BYTES: usize = 64 * 1024;

/// Examples of a tile, at least and at most.
const WIDTH: std::ops::RangeInclusive<usize> = 192..=1024;

/// Bytes of what loops keep of a tile for others, about: most of it stays in a second-level cache.
const KEPT_BYTES: usize = 512 * 1024;

/// Examples of a tile of which much is kept, at least.
const FEWEST_KEPT: usize = 64;

/// Examples of a program, at least.
const FEWEST: usize = 32;

/// Inputs that may be of outer or of inner examples, at most: each choice is tried.
const EITHER: usize = 4;

/// Elements of an example up to which moving them about costs more than computing with them, so that
/// unrolling gains.
const SHORT: usize = 16;

/// Predicted nanoseconds of bringing one element to a tile or from there. (The sum of two complex vectors
/// of a million elements, six vectors in all: 2.0 ms unrolled, 0.4 ms by two kernels.)
const MOVE_NS: f64 = 0.25;

/// Elements of a matrix, at most, whose products are faster with an example in each lane.
const SMALL_MATRIX: usize = 36;

/// Elements of an example, at most, of what is unrolled only because it stands beside a loop.
const MAX_BESIDE: usize = 64;

/// Elements of a row, at most, whose reduction gains from having an example in each lane: longer ones fill
/// vectors by themselves (eight of the widest).
const SHORT_ROW: usize = 64;

/// Products that an example sums, at most.
const MAX_PRODUCTS: usize = 512;

/// Predicted nanoseconds of a step of a plan on few numbers.
pub(crate) const STEP_NS: f64 = 100.0;

/// Predicted nanoseconds of a program whose tile is worth being cut for more threads: several times what
/// starting them takes.
const SHARED_NS: f64 = 100_000.0;

/// Predicted nanoseconds of one instruction, however few examples there are.
const CALL_NS: f64 = 4.0;

/// Runs of a `while` loop that are expected.
const EXPECTED_RUNS: f64 = 100.0;

impl Unrolled {
    /// The program unrolled, if it is small enough and gains from it; `steps` is how many steps it
    /// takes otherwise. Its last inputs are always `known`.
    pub fn compile(graph: &Graph, known: &[Array], simd: Simd, steps: usize) -> Option<Unrolled> {
        Unrolled::with_examples(graph, known, simd, steps)
            .or_else(|| Unrolled::single(graph, known, simd, steps))
    }

    /// The stages of a program in which something small is repeated for each of many examples; those are
    /// unrolled, with others between them. See [`stages`].
    pub fn stages(graph: &Graph, known: &[Array], simd: Simd) -> Option<Unrolling> {
        let examples = examples_of(graph)?;
        let inputs: usize = graph.inputs().iter().map(|ty| ty.shape.size()).sum();
        if examples < FEWEST || !is_iterative(graph, examples) {
            return None;
        }
        let behind = sums::behind_loops(graph, examples);
        let graph = behind.as_ref().unwrap_or(graph);
        let all = examples * inner_examples(graph, examples);
        let is_sure =
            |node: &Node| !is_reduction(&node.op) && repeats(graph, node, (examples, inputs));
        // What is done in lanes only if that is predicted to be faster may be larger.
        let beside = if graph.nodes().iter().any(is_sure) { MAX_BESIDE } else { MAX_PRODUCTS };
        let worth = |node: &Node| match repeats(graph, node, (examples, inputs)) {
            true => Worth::Much,
            false if is_small(graph, node, all, beside) => Worth::Little,
            false => Worth::Never,
        };
        let first_known = graph.inputs().len() - known.len();
        let stages = stages(graph, known.len(), examples, worth)?;
        let unrolled = |stage: Stage| {
            let Some(region) = &stage.region else { return Some((stage, None)) };
            let is_known = |v: &&ValueId| (first_known..graph.inputs().len()).contains(&v.index());
            let known: Vec<Array> = (stage.inputs.iter().filter(is_known))
                .map(|v| known[v.index() - first_known].clone())
                .collect();
            let mut unrolled = Unrolled::region(&stage.graph, &known, region, simd)?;
            // Sums of many products gain together with these, of which nothing is known here.
            let is_sure = |node: &Node| {
                !is_reduction(&node.op) && repeats(&stage.graph, node, (examples, inputs))
            };
            unrolled.is_sure = stage.graph.nodes().iter().any(is_sure);
            Some((stage, Some(unrolled)))
        };
        let outputs = graph.outputs().to_vec();
        Some(Unrolling {
            stages: stages.into_iter().map(unrolled).collect::<Option<_>>()?,
            outputs,
        })
    }

    fn with_examples(graph: &Graph, known: &[Array], simd: Simd, steps: usize) -> Option<Unrolled> {
        let outputs = || graph.output_types();
        let first = outputs().next()?.shape.first().copied();
        let is_first = first.is_some() && outputs().all(|ty| ty.shape.first().copied() == first);
        let examples = if is_first { first? } else { examples_of(graph)? };
        if examples < FEWEST {
            return None;
        }
        let largest = graph.nodes().iter().flat_map(|n| n.results());
        let largest = largest.map(|v| graph.ty(ValueId(v)).shape.size()).max()?;
        let is_short = steps >= 2 && largest <= SHORT * examples;
        let repeating =
            |node: &Node| !is_reduction(&node.op) && repeats(graph, node, (examples, 0));
        let is_sure = is_short || graph.nodes().iter().any(repeating);
        let may_gain = |node: &Node| {
            is_reduction(&node.op)
                && is_small(graph, node, examples, MAX_PRODUCTS)
                && reduced(graph, node) <= SHORT_ROW
        };
        if !is_sure && (steps < 2 || !graph.nodes().iter().any(may_gain)) {
            return None;
        }
        let any = |ty: &TensorType| example_axis(ty, examples);
        let first = |ty: &TensorType| any(ty).filter(|&axis| axis == 0);
        let region = |axis: &dyn Fn(&TensorType) -> ExampleAxis| Region {
            examples,
            inputs: graph.inputs().iter().map(axis).collect(),
            outputs: outputs().map(any).collect(),
        };
        let (any, first) = (region(&any), region(&first));
        // As many inner examples as outer ones: a vector of them may be of either.
        let is_square = inner_examples(graph, examples) == examples;
        let vectors: SmallVec<[usize; EITHER]> = (0..graph.inputs().len())
            .filter(|&i| is_square && graph.inputs()[i].shape[..] == [examples])
            .collect();
        let choices = if vectors.len() <= EITHER { 1 << vectors.len() } else { 1 };
        let shared = |choice: usize| {
            let mut region = Region { inputs: any.inputs.clone(), ..region(&|_| None) };
            let taken = vectors.iter().enumerate().filter(|(k, _)| choice >> k & 1 == 1);
            taken.for_each(|(_, &i)| region.inputs[i] = None);
            region
        };
        let other = (any.inputs != first.inputs).then_some(first);
        let regions = (1..choices).map(shared);
        let mut unrolled = Unrolled::region(graph, known, &any, simd)
            .or_else(|| Unrolled::region(graph, known, &other?, simd))
            .or_else(|| {
                regions.into_iter().find_map(|r| Unrolled::region(graph, known, &r, simd))
            })?;
        unrolled.is_sure = is_sure;
        // Plain vectors need not be moved for kernels.
        let moved = graph.inputs().len() + graph.outputs().len();
        let is_plain = largest <= examples && !is_iterative(graph, examples);
        (!is_plain || unrolled.ns > MOVE_NS * (moved * examples) as f64).then_some(unrolled)
    }

    /// A program in which every example is computed from itself alone. Each may have examples of its own, as a
    /// map of a map has.
    fn region(graph: &Graph, known: &[Array], region: &Region, simd: Simd) -> Option<Unrolled> {
        let Region { examples, inputs, outputs } = region;
        if outputs.contains(&None) || inputs.iter().all(Option::is_none) {
            return None;
        }
        let one = narrow(graph, inputs, outputs, (*examples, 1), None)?;
        let none = Region {
            examples: 1,
            inputs: vec![None; inputs.len()],
            outputs: vec![None; outputs.len()],
        };
        if let Some(nest) = scalars::unroll(&one, known, &layout(graph, [&none, region])) {
            return Some(Unrolled::new(graph, nest, simd));
        }
        let inner = examples_of(&one)?;
        let axis = |ty: &TensorType| example_axis(ty, inner);
        let inner = Region {
            examples: inner,
            inputs: one.inputs().iter().map(axis).collect(),
            outputs: one.output_types().map(axis).collect(),
        };
        if inner.examples < FEWEST || inner.outputs.contains(&None) {
            return None;
        }
        let one = narrow(&one, &inner.inputs, &inner.outputs, (inner.examples, 1), None)?;
        let nest = scalars::unroll(&one, known, &layout(graph, [region, &inner]))?;
        Some(Unrolled::new(graph, nest, simd))
    }

    /// A program without examples, if it has so few numbers that its steps would cost more.
    fn single(graph: &Graph, known: &[Array], simd: Simd, steps: usize) -> Option<Unrolled> {
        let (inputs, outputs) = (graph.inputs().len(), graph.outputs().len());
        let (inputs, outputs) = (vec![None; inputs], vec![None; outputs]);
        let none = Region { examples: 1, inputs, outputs };
        let nest = scalars::unroll(graph, known, &layout(graph, [&none, &none]))?;
        let otherwise = match has_loop(graph) {
            true => steps_ns(graph),
            // One of them takes what a call of this would.
            false => STEP_NS * steps.saturating_sub(1) as f64,
        };
        if total(&nest, &nest.body, |_, _| CALL_NS) > otherwise {
            return None;
        }
        Some(Unrolled::new(graph, nest, simd))
    }

    fn new(graph: &Graph, nest: Nest, simd: Simd) -> Unrolled {
        let examples = nest.axes[LANES.0 as usize];
        let outer = match &nest.body[..] {
            [Stmt::Loop(each)] if each.kind == Kind::Grid => nest.axes[each.axis.0 as usize],
            _ => 1,
        };
        let emitted = emit::emit(&nest, simd);
        let fit = REGISTER_BYTES / (emitted.widest * emitted.registers.max(1));
        let wide = (fit / 16 * 16).clamp(*WIDTH.start(), *WIDTH.end());
        let fit = KEPT_BYTES / (emitted.widest * emitted.kept.max(1));
        let width = wide.min((fit / 16 * 16).max(FEWEST_KEPT)).min(examples);
        let sum = |cost: fn(&Expr, DType) -> f64| total(&nest, &nest.body, cost);
        // Few examples of which each takes long are shared among threads.
        let threads = rayon::current_num_threads();
        let share = examples.div_ceil(threads).next_multiple_of(GROUP);
        let is_long = sum(cost) > SHARED_NS;
        let shared = if outer < threads && is_long { width.min(share) } else { width };
        let each = sum(|_, _| 1.0) / (outer * examples).max(1) as f64;
        let all = graph.inputs().iter().chain(graph.output_types());
        // What alone may fail here, at its own line.
        let has_limit = |node: &&Node| matches!(&node.op, Op::While(w) if w.limit.is_some());
        let may_fail = graph.nodes().iter().find(has_limit);
        let facts = Facts {
            name: "unrolled".into(),
            place: may_fail.or(graph.nodes().last()).map_or(Place(None), |node| node.place),
            bytes: all.map(TensorType::bytes).sum(),
            flops: sum(|_, _| 1.0) as usize,
            dtype: graph.output_types().next().map_or(DType::F64, |ty| ty.dtype),
        };
        Unrolled {
            tape: Tape::new(emitted, nest.axes.len(), shared, simd),
            examples: [outer, examples],
            ns: sum(cost),
            calls: each * (outer * examples.div_ceil(width.max(1))) as f64,
            moved: nest.buffers.iter().filter(|b| b.role != Role::Local).map(|b| b.len).sum(),
            facts,
            nest,
            is_sure: true,
            is_oracle: simd.is_oracle(),
            simd,
            code: Lazy::default(),
        }
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        self.tape.scratch()
    }

    /// What is computed, as loops.
    pub fn nest(&self) -> &Nest {
        &self.nest
    }

    /// Predicted nanoseconds of all examples, of one thread.
    pub fn total_ns(&self) -> f64 {
        self.ns + MOVE_NS * self.moved as f64 + CALL_NS * self.calls
    }

    /// Whether it runs as machine code by now.
    pub fn is_code(&self) -> bool {
        self.code.is_made()
    }

    /// Whether it gains whatever the steps of a plan would take.
    pub fn is_sure(&self) -> bool {
        self.is_sure
    }

    /// What a profile says of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Runs the program.
    ///
    /// # Safety
    /// The addresses are of values of the program's types, and nobody else uses the outputs.
    pub unsafe fn run(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<(), ErrorKind> {
        let buffers = inputs.iter().chain(outputs).copied();
        if self.is_oracle {
            let buffers: Vec<Option<*mut u8>> = buffers.map(Some).collect();
            // SAFETY: as the caller's; inputs and outputs are the first buffers.
            return unsafe { oracle::run(&self.nest, &buffers) };
        }
        let code = || Code::compile(&self.nest, self.simd);
        if let Some(code) = self.code.get(self.simd, self.total_ns(), code) {
            // SAFETY: as the caller's; inputs and outputs are the first buffers.
            return unsafe { code.run(buffers, self.ns) };
        }
        // SAFETY: as the caller's; inputs and outputs are the first buffers.
        unsafe { self.tape.run(self.examples, buffers, self.ns) }
    }
}

/// How many examples a program has, if it has any: what its first loop passes on has them along the first
/// axis, or they are what its inputs have most of.
fn examples_of(graph: &Graph) -> Option<usize> {
    let carry = |node: &Node| {
        let passed = match &node.op {
            Op::While(w) => w.shared..node.operands.len(),
            Op::Scan(scan) => scan.shared..scan.shared + scan.carry,
            _ => return None,
        };
        let types = node.operands[passed].iter().map(|&v| graph.ty(v));
        first_extent(types.max_by_key(|ty| ty.bytes())?)
    };
    let of_loop = graph.nodes().iter().find_map(carry);
    of_loop.or_else(|| graph.inputs().iter().filter_map(first_extent).max())
}

/// How many examples each of so many has, as what its first loop passes on tells.
fn inner_examples(graph: &Graph, examples: usize) -> usize {
    let passed = |node: &Node| match &node.op {
        Op::While(w) => Some(w.shared..node.operands.len()),
        Op::Scan(scan) => Some(scan.shared..scan.shared + scan.carry),
        _ => None,
    };
    let first = graph.nodes().iter().find_map(|node| Some(&node.operands[passed(node)?]));
    let largest = first.and_then(|carry| {
        carry.iter().map(|&v| &graph.ty(v).shape).max_by_key(|shape| shape.size())
    });
    match largest.map(|shape| &shape[..]) {
        Some(&[outer, inner, ..]) if outer == examples && inner >= FEWEST => inner,
        _ => 1,
    }
}

/// The extent of the first axis that has more than one entry.
fn first_extent(ty: &TensorType) -> Option<usize> {
    ty.shape.iter().copied().find(|&extent| extent > 1)
}

/// Whether a program has operations that gain from running on numbers.
fn is_iterative(graph: &Graph, examples: usize) -> bool {
    let inputs: usize = graph.inputs().iter().map(|ty| ty.shape.size()).sum();
    graph.nodes().iter().any(|node| repeats(graph, node, (examples, inputs)))
}

/// Whether an operation repeats something small, or takes small matrices apart or multiplies them: each
/// example by itself would cost more than its arithmetic. The program's inputs have so many elements.
fn repeats(graph: &Graph, node: &Node, (examples, inputs): (usize, usize)) -> bool {
    match &node.op {
        Op::While(_) | Op::Scan(_) | Op::Cholesky { .. } | Op::Lu => true,
        Op::Dot(dims) => {
            let extents = |v: ValueId, batch: &[usize]| -> usize {
                let shape = &graph.ty(v).shape;
                (0..shape.rank()).filter(|a| !batch.contains(a)).map(|a| shape[a]).product()
            };
            let sizes = [
                extents(node.operands[0], &dims.lhs_batch),
                extents(node.operands[1], &dims.rhs_batch),
            ];
            !dims.lhs_batch.is_empty() && sizes.iter().all(|&size| size <= SMALL_MATRIX)
        }
        // A small product of matrices that is no product in the program; the nearest of few.
        Op::Reduce { .. } | Op::ArgReduce { .. } => {
            let elements = graph.ty(node.operands[0]).shape.size();
            elements > inputs
                && elements <= MAX_PRODUCTS * examples
                && reduced(graph, node) <= SHORT_ROW
        }
        _ => false,
    }
}

/// How many elements a reduction combines to one.
fn reduced(graph: &Graph, node: &Node) -> usize {
    let results: usize = node.results().map(|v| graph.ty(ValueId(v)).shape.size()).sum();
    graph.ty(node.operands[0]).shape.size() / results.max(1)
}

fn is_reduction(op: &Op) -> bool {
    matches!(op, Op::Reduce { .. } | Op::ArgReduce { .. })
}

/// Whether an operation is small enough to be unrolled beside one that gains from it; an elementwise one of
/// so many elements, at most.
fn is_small(graph: &Graph, node: &Node, examples: usize, beside: usize) -> bool {
    let size = |v: ValueId| graph.ty(v).shape.size() / examples.max(1);
    let results = || node.results().map(|v| size(ValueId(v))).max().unwrap_or(0);
    match &node.op {
        // Views of what loops read and write.
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) => true,
        Op::Dot(dims) => {
            let x = graph.ty(node.operands[0]);
            let summed: usize = dims.lhs_contract.iter().map(|&a| x.shape[a]).product();
            results() * summed <= MAX_PRODUCTS
        }
        Op::Reduce { .. } | Op::ArgReduce { .. } => size(node.operands[0]) <= MAX_PRODUCTS,
        Op::Solve { .. }
        | Op::Qr { .. }
        | Op::Svd { .. }
        | Op::Eigh
        | Op::Sort(_)
        | Op::SearchSorted { .. }
        | Op::Betainc
        | Op::Switch(_)
        | Op::Host(_)
        | Op::Pullback(_)
        | Op::AllGather(_) => false,
        _ => results() <= beside,
    }
}

fn has_loop(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| matches!(node.op, Op::While(_) | Op::Scan(_)))
}

/// Predicted nanoseconds of a program that runs step by step, loops as often as they run: several
/// operations are one step, and views none.
fn steps_ns(graph: &Graph) -> f64 {
    let of = |node: &Node| match &node.op {
        Op::Scan(scan) => scan.length as f64 * (STEP_NS + steps_ns(&scan.body)),
        Op::While(repeat) => {
            EXPECTED_RUNS * (2.0 * STEP_NS + steps_ns(&repeat.condition) + steps_ns(&repeat.body))
        }
        op if op.is_elementwise() => STEP_NS / 3.0,
        Op::Constant(_) | Op::Broadcast { .. } | Op::Reshape(_) | Op::Transpose(_) => 0.0,
        Op::Slice(_) | Op::Reverse(_) | Op::StopGradient => 0.0,
        _ => STEP_NS,
    };
    graph.nodes().iter().map(of).sum()
}

/// Where inputs and outputs have outer and inner examples. Where all have them side by side, or none, they
/// are one axis.
fn layout(graph: &Graph, [outer, inner]: [&Region; 2]) -> Layout {
    let place = |(ty, axes): (&TensorType, (&ExampleAxis, &ExampleAxis))| {
        (ty.shape.size(), Examples::new(ty, [*axes.0, *axes.1]))
    };
    let axes = outer.inputs.iter().zip(&inner.inputs);
    let mut inputs: Vec<_> = graph.inputs().iter().zip(axes).map(place).collect();
    let axes = outer.outputs.iter().zip(&inner.outputs);
    let mut outputs: Vec<_> = graph.output_types().zip(axes).map(place).collect();
    let mut extents = [outer.examples, inner.examples];
    let is_one = |(_, x): &(usize, Examples)| x.strides[0] == inner.examples * x.strides[1];
    if inputs.iter().chain(&outputs).all(is_one) {
        extents = [1, outer.examples * inner.examples];
        inputs.iter_mut().chain(&mut outputs).for_each(|(_, x)| x.strides[0] = 0);
    }
    Layout { extents, inputs, outputs }
}

/// The cost of what a block computes, loops as often as they run.
fn total(nest: &Nest, block: &[Stmt], cost: fn(&Expr, DType) -> f64) -> f64 {
    let of = |stmt: &Stmt| match stmt {
        Stmt::Let(x) => cost(nest.expr(*x), nest.dtype(*x)),
        Stmt::Store { .. } => 0.0,
        Stmt::Loop(each) => {
            let (head, runs) = match &each.kind {
                Kind::While { head, .. } => (total(nest, head, cost), EXPECTED_RUNS),
                Kind::Grid | Kind::Lanes | Kind::Serial { .. } => {
                    (0.0, nest.axes[each.axis.0 as usize] as f64)
                }
            };
            runs * (head + total(nest, &each.body, cost))
        }
    };
    block.iter().map(of).sum()
}
