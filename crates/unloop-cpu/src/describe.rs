//! A compiled program as text: what runs, in order, and in which way.

use std::fmt::Write;

use unloop_graph::ValueId;
use unloop_kernel::{Lowered, Nest, Step};

use crate::map;
use crate::plan::{Plan, Run, StageRun, Task};
use crate::unroll::Unrolled;

/// What a program does.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    write_plan(plan, 0, &mut text);
    text.truncate(text.trim_end().len());
    text
}

/// A number of bytes.
fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Lines, so far from the margin.
fn lines(text: &str, depth: usize, out: &mut String) {
    for line in text.lines() {
        writeln!(out, "{:1$}{line}", "", 2 * depth).expect("a string has room");
    }
}

fn write_plan(plan: &Plan, depth: usize, out: &mut String) {
    for stage in &plan.stages {
        match &stage.run {
            StageRun::Unrolled(unrolled) => write_unrolled(unrolled, depth, out),
            StageRun::Plan(plan) => write_plan(plan, depth, out),
        }
    }
    if let Some(parts) = &plan.parts {
        let (part, width, examples) = parts.part();
        let what = format!("for {width} of {examples} examples at a time, which stay in cache:");
        lines(&what, depth, out);
        return write_plan(part, depth + 1, out);
    }
    plan.tasks.iter().for_each(|task| write_task(plan, task, depth, out));
    if plan.tasks.is_empty() && plan.stages.is_empty() {
        lines("nothing to compute", depth, out);
    }
}

fn write_unrolled(unrolled: &Unrolled, depth: usize, out: &mut String) {
    let micro = unrolled.total_ns() / 1e3;
    let code = if unrolled.is_code() { ", as machine code" } else { "" };
    lines(&format!("an example in each lane, about {micro:.1} µs{code}:"), depth, out);
    lines(&unrolled.nest().to_string(), depth + 1, out);
}

fn write_task(plan: &Plan, task: &Task, depth: usize, out: &mut String) {
    let way = match &task.run {
        Run::Map(map) if map.is_code() => "kernel, as machine code",
        Run::Map(_) => "kernel",
        Run::Transpose(_) => "transposed copy",
        Run::Reduce(_) => "reduction",
        Run::Rowwise(_) => "kernel, row by row",
        Run::Product(product) => product.way(),
        Run::Gather(_)
        | Run::Scatter(_)
        | Run::ArgReduce(_)
        | Run::Pad(_)
        | Run::Sort(_)
        | Run::Search(_)
        | Run::Cumulative(_)
        | Run::Betainc(_) => "routine",
        Run::Factorisation(_) | Run::Decomposition(_) => "routine, matrix by matrix or in lanes",
        Run::Control(_) => "control flow",
        Run::Reference(_) => "routine, by its definition",
    };
    let place = task.facts.place.line().map_or(String::new(), |line| format!(" at {line}"));
    lines(&format!("{way}: {}{place}, {}", task.facts.name, size(task.facts.bytes)), depth, out);
    if let Run::Control(control) = &task.run {
        for (what, inner) in control.programs() {
            lines(&format!("{what}:"), depth + 1, out);
            write_plan(inner, depth + 2, out);
        }
    }
    if let Some((nest, _)) = nest(plan, &task.step) {
        lines(&nest.to_string(), depth + 1, out);
    }
}

/// The loops of a kernel, and the values of their buffers.
pub(crate) fn nest(plan: &Plan, step: &Step) -> Option<Lowered> {
    let len = |v: ValueId| plan.lens[v.index()];
    match step {
        Step::Kernel(kernel) => {
            let kernel = kernel.clone().collapse();
            Some(Nest::of_kernel(&kernel, map::inner_axis(&kernel), &len))
        }
        Step::Reduced { kernel, then } => {
            Some(Nest::of_reduced(kernel, then, map::inner_axis(kernel), &len))
        }
        Step::Rowwise(program) => Some(Nest::of_rows(program, &len)),
        Step::Dot { .. } | Step::Op { .. } | Step::Alias { .. } => None,
    }
}
