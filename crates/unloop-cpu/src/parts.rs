//! Whole programs part by part: where every example is computed from that example alone, a part of the
//! examples goes through all steps before the next part begins, so that what lies in between stays in
//! cache. Parts run in parallel.

use smallvec::SmallVec;
use unloop_graph::{ErrorKind, Graph, Op, Result, TensorType};

use crate::memory::SharedPtr;
use crate::narrow::{first_axes, narrow};
use crate::parallel::for_ranges;
use crate::plan::Plan;
use crate::simd::Simd;

/// How the examples of a program or a loop are divided.
pub(crate) struct Division {
    pub examples: usize,
    /// Examples of a part; the last may have fewer.
    pub width: usize,
    /// Bytes of one example in each operand and result; zero in those that are the same for all.
    pub operands: SmallVec<[usize; 8]>,
    pub results: SmallVec<[usize; 8]>,
}

impl Division {
    /// Whether a value has the examples along its first axis.
    pub fn has(examples: usize, ty: &TensorType) -> bool {
        ty.shape.first() == Some(&examples)
    }

    /// The division of values of these types.
    pub fn new<'a>(
        (examples, width): (usize, usize),
        operands: impl Iterator<Item = &'a TensorType>,
        results: impl Iterator<Item = &'a TensorType>,
    ) -> Division {
        let row = |ty: &TensorType| row(examples, ty);
        let (operands, results) = (operands.map(row).collect(), results.map(row).collect());
        Division { examples, width, operands, results }
    }

    /// Calls `f` for each part, in parallel: with its first example, whether it is a shorter one, and
    /// the addresses of its operands and results in those of all. One of the failures comes back.
    pub fn for_parts(
        &self,
        operands: &[*mut u8],
        results: &[*mut u8],
        f: impl Fn(usize, bool, &[*mut u8], &mut [*mut u8]) -> Result<(), ErrorKind> + Sync,
    ) -> Result<(), ErrorKind> {
        let shared = |addresses: &[*mut u8]| -> SmallVec<[SharedPtr; 8]> {
            addresses.iter().map(|&a| SharedPtr(a)).collect()
        };
        let (operands, results) = (shared(operands), shared(results));
        for_ranges(self.examples.div_ceil(self.width), f64::INFINITY, |range| {
            for first in range.map(|part| part * self.width) {
                let at = |(start, row): (&SharedPtr, &usize)| start.get().wrapping_add(first * row);
                let from: SmallVec<[*mut u8; 8]> =
                    operands.iter().zip(&self.operands).map(at).collect();
                let mut to: SmallVec<[*mut u8; 8]> =
                    results.iter().zip(&self.results).map(at).collect();
                let is_short = first + self.width > self.examples;
                f(first, is_short, &from, &mut to)?;
            }
            Ok(())
        })
    }
}

/// Bytes of one example of a value; zero if it has none.
pub(crate) fn row(examples: usize, ty: &TensorType) -> usize {
    if Division::has(examples, ty) { ty.bytes() / examples.max(1) } else { 0 }
}

/// A program for a part of its examples.
pub(crate) struct Parts {
    division: Division,
    part: Plan,
    /// For what is left over.
    rest: Option<Plan>,
}

/// Bytes in between that do not stay in cache: below this nothing is gained.
const WORTH_IT: usize = 1 << 20;

/// Bytes of a part: with everything in between it stays in a second-level cache.
const PART_BYTES: usize = 1 << 18;

/// Parts, at least, so that threads have equal work.
const FEWEST: usize = 8;

impl Parts {
    /// The program in parts, if its examples do not depend on each other and it gains from it.
    pub fn compile(graph: &Graph, simd: Simd, in_between: usize) -> Result<Option<Parts>> {
        let Some(&examples) = graph.output_types().next().and_then(|ty| ty.shape.first()) else {
            return Ok(None);
        };
        let has = |ty: &TensorType| Division::has(examples, ty);
        let each: Vec<bool> = graph.inputs().iter().map(has).collect();
        let outputs: Vec<bool> = graph.output_types().map(has).collect();
        if in_between < WORTH_IT || outputs.contains(&false) || !each.contains(&true) {
            return Ok(None);
        }
        let all = graph.inputs().iter().chain(graph.output_types());
        let own: usize = all.map(|ty| row(examples, ty)).sum();
        let example = own + in_between / examples.max(1);
        let width = match PART_BYTES / example.max(1) {
            0 if example <= 16 * PART_BYTES => 1,
            0 => return Ok(None),
            width if width > 16 => width / 16 * 16,
            width => width,
        };
        if examples < FEWEST * width {
            return Ok(None);
        }
        let plan = |width: usize| -> Option<Result<Plan>> {
            let axes = (first_axes(&each), first_axes(&outputs));
            let graph = narrow(graph, &axes.0, &axes.1, (examples, width), None)?;
            let parts = examples / width;
            is_shared_work_small(&graph, width).then(|| Plan::of(&graph, &[], simd, parts))
        };
        let left = examples % width;
        let rest = if left == 0 { Some(None) } else { plan(left).map(Some) };
        let (Some(part), Some(rest)) = (plan(width), rest) else { return Ok(None) };
        let types = (graph.inputs().iter(), graph.output_types());
        let division = Division::new((examples, width), types.0, types.1);
        Ok(Some(Parts { division, part: part?, rest: rest.transpose()? }))
    }

    /// The program of a part, with how many examples it has and how many there are.
    pub fn part(&self) -> (&Plan, usize, usize) {
        (&self.part, self.division.width, self.division.examples)
    }

    /// Bytes of what lies in between, of all parts that run at a time.
    pub fn working_bytes(&self) -> usize {
        let parts = self.division.examples.div_ceil(self.division.width);
        let largest = std::iter::once(&self.part).chain(&self.rest).map(Plan::working_bytes).max();
        largest.unwrap_or(0).saturating_mul(parts.min(rayon::current_num_threads()))
    }

    /// Runs all parts. The addresses are those that the whole program would have.
    pub fn run(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<(), ErrorKind> {
        self.division.for_parts(inputs, outputs, |_, is_short, from, to| {
            let plan = self.rest.as_ref().filter(|_| is_short).unwrap_or(&self.part);
            // SAFETY: the part's examples lie in the values of the whole program, and no other part
            // writes them.
            unsafe { plan.run_at(from, to) }
        })
    }
}

/// Whether what is the same for all examples, and would be computed again for each part, is little.
fn is_shared_work_small(graph: &Graph, width: usize) -> bool {
    // Whether each value depends on examples.
    let mut depends: Vec<bool> =
        graph.inputs().iter().map(|ty| ty.shape.first() == Some(&width)).collect();
    let (mut own, mut shared) = (0, 0);
    for node in graph.nodes() {
        let depends_on = node.operands.iter().any(|v| depends[v.index()]);
        let size: usize =
            node.operands.iter().map(|&v| graph.ty(v).shape.size()).max().unwrap_or(0);
        match node.op {
            // Nothing is computed.
            Op::Constant(_)
            | Op::Iota { .. }
            | Op::Broadcast { .. }
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Slice(_) => {}
            _ if depends_on => own += size,
            _ => shared += size,
        }
        depends.extend(node.results().map(|_| depends_on));
    }
    shared * 8 <= own
}
