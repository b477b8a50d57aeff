//! Whole programs part by part: where every example is computed from that example alone, a part of the
//! examples goes through all steps before the next part begins, so that what lies in between stays in
//! cache. Parts run in parallel.

use std::sync::atomic::{AtomicBool, Ordering};

use smallvec::SmallVec;
use unloop_graph::{ErrorKind, Graph, Op, Result, TensorType};

use crate::memory::SharedPtr;
use crate::narrow::narrow;
use crate::parallel::for_ranges;
use crate::plan::Plan;
use crate::simd::Simd;

/// A program for a part of its examples.
pub(crate) struct Parts {
    examples: usize,
    width: usize,
    part: Plan,
    /// For what is left over.
    rest: Option<Plan>,
    /// Bytes of one example in each input and output; zero in inputs that are the same for all.
    inputs: SmallVec<[usize; 8]>,
    outputs: SmallVec<[usize; 8]>,
}

/// Bytes in between that do not stay in cache: below this nothing is gained.
const WORTH_IT: usize = 1 << 20;

/// Bytes of a part: with everything in between it stays in a second-level cache.
const PART_BYTES: usize = 1 << 18;

/// Parts, at least, so that threads have equal work.
const FEWEST: usize = 8;

fn bytes(ty: &TensorType) -> usize {
    ty.shape.size() * ty.dtype.size()
}

impl Parts {
    /// The program in parts, if its examples do not depend on each other and it gains from it.
    pub fn compile(graph: &Graph, simd: Simd, in_between: usize) -> Result<Option<Parts>> {
        let Some(&examples) = graph.output_types().next().and_then(|ty| ty.shape.first()) else {
            return Ok(None);
        };
        let has = |ty: &TensorType| ty.shape.first() == Some(&examples);
        let each: Vec<bool> = graph.inputs().iter().map(has).collect();
        let outputs: Vec<bool> = graph.output_types().map(has).collect();
        if in_between < WORTH_IT || outputs.contains(&false) || !each.contains(&true) {
            return Ok(None);
        }
        let row = |ty: &TensorType| if has(ty) { bytes(ty) / examples.max(1) } else { 0 };
        let own: usize = graph.inputs().iter().chain(graph.output_types()).map(row).sum();
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
            let graph = narrow(graph, &each, &outputs, (examples, width), None)?;
            is_shared_work_small(&graph, width).then(|| Plan::compile(&graph, simd))
        };
        let left = examples % width;
        let rest = if left == 0 { Some(None) } else { plan(left).map(Some) };
        let (Some(part), Some(rest)) = (plan(width), rest) else { return Ok(None) };
        Ok(Some(Parts {
            examples,
            width,
            part: part?,
            rest: rest.transpose()?,
            inputs: graph.inputs().iter().map(row).collect(),
            outputs: graph.output_types().map(row).collect(),
        }))
    }

    /// Runs all parts. The addresses are those that the whole program would have.
    pub fn run(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<(), ErrorKind> {
        let shared = |addresses: &[*mut u8]| -> SmallVec<[SharedPtr; 8]> {
            addresses.iter().map(|&a| SharedPtr(a)).collect()
        };
        let (inputs, outputs) = (shared(inputs), shared(outputs));
        let failed = AtomicBool::new(false);
        for_ranges(self.examples.div_ceil(self.width), f64::INFINITY, |range| {
            for first in range.map(|part| part * self.width) {
                let at = |(start, row): (&SharedPtr, &usize)| start.get().wrapping_add(first * row);
                let from: SmallVec<[*mut u8; 8]> =
                    inputs.iter().zip(&self.inputs).map(at).collect();
                let to: SmallVec<[*mut u8; 8]> =
                    outputs.iter().zip(&self.outputs).map(at).collect();
                let plan = match &self.rest {
                    Some(rest) if first + self.width > self.examples => rest,
                    _ => &self.part,
                };
                // SAFETY: the part's examples lie in the values of the whole program, and no other
                // part writes them.
                if unsafe { plan.run_at(&from, &to) }.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
            }
        });
        match failed.into_inner() {
            true => Err(ErrorKind::Unsupported("a part of the examples failed".into())),
            false => Ok(()),
        }
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
            Op::Constant(_) | Op::Iota { .. } | Op::Broadcast { .. } | Op::Reshape(_) => {}
            _ if depends_on => own += size,
            _ => shared += size,
        }
        depends.extend(node.results().map(|_| depends_on));
    }
    shared * 8 <= own
}
