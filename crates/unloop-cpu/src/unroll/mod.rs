//! Programs on small arrays, unrolled: every element of an example is a number of its own, examples
//! stand side by side in tiles, and a tile goes through the whole program, loops included, before the
//! next one begins. A program without examples is the same with one.

mod emit;
mod ir;
mod loops;
mod matrices;
mod memory;
mod scalars;
mod tape;

use smallvec::SmallVec;
use unloop_graph::{Array, DType, Graph, Node, Op, Place, TensorType, ValueId};
use unloop_kernel::Expr;

use crate::cut::{Cut, cut};
use crate::instruction::cost;
use crate::narrow::narrow;
use crate::parts::bytes;
use crate::profile::Facts;
use crate::simd::Simd;
use crate::sums;
use ir::{Entry, Scalars, Until};
use tape::Tape;

/// A program that runs on numbers.
pub(crate) struct Unrolled {
    tape: Tape,
    examples: usize,
    /// Elements of one example of each input and output; zero where all share them.
    inputs: SmallVec<[usize; 8]>,
    outputs: SmallVec<[usize; 8]>,
    /// Predicted nanoseconds of all examples.
    ns: f64,
    facts: Facts,
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

/// Elements of an example up to which moving them about costs more than computing with them, so that
/// unrolling gains.
const SHORT: usize = 16;

/// Elements of a matrix, at most, whose products are faster with an example in each lane.
const SMALL_MATRIX: usize = 36;

/// Products that an example sums, at most.
const MAX_PRODUCTS: usize = 512;

/// Predicted nanoseconds of a step of a plan on few numbers.
const STEP_NS: f64 = 100.0;

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

    /// The first part of a program that is cut behind what is computed example by example, with the
    /// second part, if the first is small and repeats something; see [`cut`].
    pub fn front(graph: &Graph, known: &[Array], simd: Simd) -> Option<(Unrolled, Cut)> {
        // The examples are what there is most of.
        let examples = graph.inputs().iter().filter_map(|ty| ty.shape.first().copied()).max()?;
        if examples < FEWEST || !is_iterative(graph, examples) {
            return None;
        }
        let each: Vec<bool> =
            graph.inputs().iter().map(|ty| ty.shape.first() == Some(&examples)).collect();
        let behind = sums::behind_loops(graph, examples);
        let graph = behind.as_ref().unwrap_or(graph);
        let cut = cut(graph, &each, examples)?;
        let is_worth_it = is_iterative(&cut.front, examples);
        let unrolled = is_worth_it
            .then(|| Unrolled::with_examples(&cut.front, known, simd, cut.front.nodes().len()))?;
        Some((unrolled?, cut))
    }

    fn with_examples(graph: &Graph, known: &[Array], simd: Simd, steps: usize) -> Option<Unrolled> {
        let &examples = graph.output_types().next()?.shape.first()?;
        let has = |ty: &TensorType| ty.shape.first() == Some(&examples);
        let each: Vec<bool> = graph.inputs().iter().map(has).collect();
        let outputs: Vec<bool> = graph.output_types().map(has).collect();
        if examples < FEWEST || outputs.contains(&false) || !each.contains(&true) {
            return None;
        }
        let largest = graph.nodes().iter().flat_map(|n| n.results());
        let largest = largest.map(|v| graph.ty(ValueId(v)).shape.size()).max()?;
        if !is_iterative(graph, examples) && (steps < 2 || largest > SHORT * examples) {
            return None;
        }
        let one = narrow(graph, &each, &outputs, (examples, 1), None)?;
        let scalars = scalars::unroll(&one, known)?;
        Some(Unrolled::new(graph, &scalars, &each, (examples, &outputs), simd))
    }

    /// A program without examples, if it has so few numbers that its steps would cost more.
    fn single(graph: &Graph, known: &[Array], simd: Simd, steps: usize) -> Option<Unrolled> {
        let scalars = scalars::unroll(graph, known)?;
        let (inputs, outputs) = (graph.inputs().len(), graph.outputs().len());
        let otherwise = match has_loop(graph) {
            true => steps_ns(graph),
            // One of them takes what a call of this would.
            false => STEP_NS * steps.saturating_sub(1) as f64,
        };
        if total(&scalars, &scalars.block, |_, _| CALL_NS) > otherwise {
            return None;
        }
        let (none, all) = (vec![false; inputs], vec![false; outputs]);
        Some(Unrolled::new(graph, &scalars, &none, (1, &all), simd))
    }

    fn new(
        graph: &Graph,
        scalars: &Scalars,
        each: &[bool],
        (examples, outputs): (usize, &[bool]),
        simd: Simd,
    ) -> Unrolled {
        let emitted = emit::emit(scalars, each, simd);
        let fit = REGISTER_BYTES / (emitted.widest * emitted.registers.max(1));
        let wide = (fit / 16 * 16).clamp(*WIDTH.start(), *WIDTH.end());
        let fit = KEPT_BYTES / (emitted.widest * emitted.kept.max(1));
        let width = wide.min((fit / 16 * 16).max(FEWEST_KEPT)).min(examples);
        let stride = |(ty, &each): (&TensorType, &bool)| {
            if each { ty.shape.size() / examples.max(1) } else { 0 }
        };
        let example = |e: f64| e * examples as f64;
        let sum = |cost: fn(&Expr, DType) -> f64| example(total(scalars, &scalars.block, cost));
        let all = graph.inputs().iter().chain(graph.output_types());
        let facts = Facts {
            name: "unrolled".into(),
            place: graph.nodes().last().map_or(Place(None), |node| node.place),
            bytes: all.map(bytes).sum(),
            flops: sum(|_, _| 1.0) as usize,
            dtype: graph.output_types().next().map_or(DType::F64, |ty| ty.dtype),
        };
        Unrolled {
            tape: Tape::new(emitted, width, simd),
            examples,
            inputs: graph.inputs().iter().zip(each).map(stride).collect(),
            outputs: graph.output_types().zip(outputs).map(stride).collect(),
            ns: sum(cost),
            facts,
        }
    }

    /// What a profile says of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Runs the program.
    ///
    /// # Safety
    /// The addresses are of values of the program's types, and nobody else uses the outputs.
    pub unsafe fn run(&self, inputs: &[*mut u8], outputs: &[*mut u8]) {
        let strides = (&self.inputs[..], &self.outputs[..]);
        // SAFETY: as the caller's.
        unsafe { self.tape.run(self.examples, strides, (inputs, outputs), self.ns) }
    }
}

/// Whether a program repeats something small, or takes small matrices apart or multiplies them: each
/// example by itself would cost more than its arithmetic.
fn is_iterative(graph: &Graph, examples: usize) -> bool {
    let inputs: usize = graph.inputs().iter().map(|ty| ty.shape.size()).sum();
    let is = |node: &Node| match &node.op {
        Op::While(_) | Op::Scan(_) | Op::Cholesky | Op::Lu => true,
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
        // A small product of matrices that is no product in the program.
        Op::Reduce { .. } => {
            let elements = graph.ty(node.operands[0]).shape.size();
            elements > inputs && elements <= MAX_PRODUCTS * examples
        }
        _ => false,
    };
    graph.nodes().iter().any(is)
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

/// The cost of what a block computes for one example, loops as often as they run.
fn total(scalars: &Scalars, block: &[Entry], cost: fn(&Expr, DType) -> f64) -> f64 {
    let of = |entry: &Entry| match entry {
        Entry::Compute(x) => cost(&scalars.exprs[x.index()], scalars.dtypes[x.index()]),
        Entry::Repeat(repeat) => {
            let runs = match repeat.until {
                Until::Count { count, .. } => count as f64,
                Until::False(_) => EXPECTED_RUNS,
            };
            runs * (total(scalars, &repeat.head, cost) + total(scalars, &repeat.body, cost))
        }
    };
    block.iter().map(of).sum()
}
