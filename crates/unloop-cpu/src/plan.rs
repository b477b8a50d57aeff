//! A compiled program: what runs in order, and where each value lies.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;
use unloop_graph::backend::Executable;
use unloop_graph::error::Place;
use unloop_graph::memory::LARGE;
use unloop_graph::stack::deeper;
use unloop_graph::{
    Array, DType, Error, ErrorKind, Graph, Result, Shape, TensorType, ValueId, cancel,
};
use unloop_kernel::{Nest, Step, build, roots};

use crate::control::Control;
use crate::cumulative::CumulativeStep;
use crate::decompose::Decomposition;
use crate::describe;
use crate::gather::{GatherStep, ScatterStep};
use crate::linalg::Factorisation;
use crate::lowering::Lowering;
use crate::map::Map;
use crate::memory::{ALIGN, Addresses, Arena, Output, counted_scratch};
use crate::oracle;
use crate::parts::Parts;
use crate::product::Product;
use crate::profile::{self, Facts};
use crate::reduce::Reduce;
use crate::reference::ReferenceStep;
use crate::rowwise::RowwiseStep;
use crate::search::SearchStep;
use crate::simd::Simd;
use crate::sort::SortStep;
use crate::steps::{ArgReduce, BetaincStep, PadStep};
use crate::transpose::Transpose;
use crate::unroll::{STEP_NS, Unrolled, Unrolling};

/// A compiled program.
pub(crate) struct Plan {
    inputs: Vec<TensorType>,
    pub tasks: Vec<Task>,
    /// Where each buffer lies.
    homes: Vec<Home>,
    arena_bytes: usize,
    /// Arenas of runs that have ended.
    arenas: Mutex<Vec<Arena>>,
    /// Fresh vectors that a run fills.
    results: Vec<(DType, Shape)>,
    outputs: Vec<(Source, Shape)>,
    /// The same program for a part of its examples, which then stays in cache.
    pub parts: Option<Box<Parts>>,
    /// The same program in stages, some of which run on single numbers.
    pub stages: Vec<Stage>,
    /// The number of elements of each value, temporary ones included.
    pub lens: Vec<usize>,
    /// The program's largest operation, of which is told when there is no room.
    largest: Place,
}

/// A part of a program, with the buffers of its inputs and outputs.
pub(crate) struct Stage {
    pub run: StageRun,
    inputs: SmallVec<[usize; 8]>,
    outputs: SmallVec<[usize; 8]>,
}

pub(crate) enum StageRun {
    Unrolled(Box<Unrolled>),
    Plan(Box<Plan>),
}

impl StageRun {
    /// Predicted nanoseconds, of one thread.
    fn ns(&self) -> f64 {
        match self {
            StageRun::Unrolled(unrolled) => unrolled.total_ns(),
            StageRun::Plan(plan) => plan.ns(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    Input(usize),
    Result(usize),
    /// Bytes from the start of the arena.
    Arena(usize),
    /// Nothing lies there.
    Nowhere,
}

pub(crate) enum Source {
    Input(usize),
    Result(usize),
}

/// A step, and what an error, a profile or a description of it says.
pub(crate) struct Task {
    pub run: Run,
    pub step: Step,
    /// The loops that stand for `run`, with the buffers of theirs, if the scalar evaluator is asked for.
    pub oracle: Option<Box<(Nest, Vec<Option<usize>>)>>,
    pub op: &'static str,
    pub facts: Facts,
}

pub(crate) enum Run {
    Map(Map),
    Transpose(Transpose),
    Reduce(Box<Reduce>),
    Rowwise(RowwiseStep),
    Product(Box<Product>),
    Gather(GatherStep),
    Scatter(ScatterStep),
    ArgReduce(ArgReduce),
    Pad(PadStep),
    Sort(SortStep),
    Search(SearchStep),
    Cumulative(CumulativeStep),
    Betainc(BetaincStep),
    Factorisation(Factorisation),
    Decomposition(Decomposition),
    Control(Control),
    Reference(ReferenceStep),
}

/// How many times as fast lanes must be predicted to be, as predictions are not better than that: two steps for the
/// nearest of 32 points for each of 100,000 are predicted to take 28 ms, and took 57. Not tuned.
const GAIN: f64 = 2.0;

/// Predicted nanoseconds of moving one byte to or from a cache beyond the first.
const BYTE_NS: f64 = 0.05;

impl Run {
    /// # Safety
    /// Each buffer is as large as its value, and nobody else uses those that the step writes.
    unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        // SAFETY: as the caller's.
        unsafe {
            match self {
                Run::Map(step) => step.run(memory),
                Run::Transpose(step) => step.run(memory),
                Run::Reduce(step) => step.run(memory),
                Run::Rowwise(step) => step.run(memory),
                Run::Product(step) => step.run(memory),
                Run::ArgReduce(step) => step.run(memory),
                Run::Pad(step) => step.run(memory),
                Run::Sort(step) => step.run(memory),
                Run::Search(step) => step.run(memory),
                Run::Cumulative(step) => step.run(memory),
                Run::Betainc(step) => step.run(memory),
                Run::Decomposition(step) => step.run(memory),
                Run::Gather(step) => step.run(memory),
                Run::Scatter(step) => step.run(memory),
                Run::Control(step) => step.run(memory),
                Run::Reference(step) => step.run(memory),
                Run::Factorisation(step) => step.run(memory),
            }
        }
    }

    /// Predicted nanoseconds, of one thread; of what is not predicted, by the bytes that it moves.
    fn ns(&self, facts: &Facts) -> f64 {
        match self {
            Run::Map(step) => step.ns(),
            Run::Reduce(step) => step.ns(),
            Run::Rowwise(step) => step.ns(),
            Run::Product(step) => step.ns(),
            Run::ArgReduce(step) => step.ns(),
            Run::Transpose(_)
            | Run::Gather(_)
            | Run::Scatter(_)
            | Run::Pad(_)
            | Run::Sort(_)
            | Run::Search(_)
            | Run::Cumulative(_)
            | Run::Betainc(_)
            | Run::Factorisation(_)
            | Run::Decomposition(_)
            | Run::Control(_)
            | Run::Reference(_) => facts.bytes as f64 * BYTE_NS,
        }
    }

    /// Bytes that the step takes for itself while it runs.
    fn working_bytes(&self) -> usize {
        let threads =
            |bytes: usize| counted_scratch(bytes).saturating_mul(rayon::current_num_threads());
        match self {
            Run::Map(_)
            | Run::Transpose(_)
            | Run::Gather(_)
            | Run::Scatter(_)
            | Run::Search(_)
            | Run::Pad(_)
            | Run::Betainc(_) => 0,
            Run::Reduce(step) => step.partial_bytes(),
            Run::Cumulative(step) => step.partial_bytes(),
            Run::Rowwise(step) => threads(step.scratch()),
            Run::Product(step) => threads(step.scratch()),
            Run::ArgReduce(step) => threads(step.scratch()),
            Run::Sort(step) => threads(step.scratch()),
            Run::Decomposition(step) => threads(step.scratch()),
            Run::Factorisation(step) => threads(step.scratch()),
            Run::Reference(step) => step.working_bytes(),
            Run::Control(step) => step.working_bytes(),
        }
    }
}

impl Plan {
    pub fn compile(graph: &Graph, simd: Simd) -> Result<Plan> {
        Plan::of(graph, &[], simd, 1)
    }

    /// The plan of a program whose last inputs are always `known`, and whose results are one of so
    /// many `parts` of larger ones.
    pub fn of(graph: &Graph, known: &[Array], simd: Simd, parts: usize) -> Result<Plan> {
        Plan::with(graph, known, simd, parts, true)
    }

    /// The same; a stage of another program is not cut in stages again.
    fn with(graph: &Graph, known: &[Array], simd: Simd, parts: usize, cuts: bool) -> Result<Plan> {
        cancel::check().map_err(|kind| Error::new("plan", kind, Place(None)))?;
        deeper(|| Plan::lower(graph, known, simd, parts, cuts))
    }

    fn lower(graph: &Graph, known: &[Array], simd: Simd, parts: usize, cuts: bool) -> Result<Plan> {
        let steps = build(graph);
        let types: Vec<TensorType> =
            (0..graph.value_count() as u32).map(|v| graph.ty(ValueId(v)).clone()).collect();
        let root = roots(graph, &steps);
        let factors = HashMap::new();
        let mut lowering = Lowering { graph, steps, types, root, parts, factors };
        lowering.share_factors(simd);
        lowering.pack_products();
        lowering.pack_kernels();
        lowering.join_followers();
        let mut results = Vec::new();
        let (homes, arena_bytes) = lowering.place_values(&mut results);
        let outputs = graph.outputs().iter().map(|v| {
            let source = match homes[lowering.root[v.index()]] {
                Home::Input(i) => Source::Input(i),
                Home::Result(i) => Source::Result(i),
                Home::Arena(_) | Home::Nowhere => {
                    unreachable!("an output that is no input has been given a result")
                }
            };
            (source, graph.ty(*v).shape.clone())
        });
        let mut plan = Plan {
            inputs: graph.inputs().to_vec(),
            outputs: outputs.collect(),
            tasks: Vec::new(),
            homes,
            arena_bytes,
            arenas: Mutex::default(),
            results,
            parts: None,
            stages: Vec::new(),
            lens: lowering.types.iter().map(|ty| ty.shape.size()).collect(),
            largest: graph.largest(),
        };
        let steps = lowering.steps.iter().filter(|step| !matches!(step, Step::Alias { .. }));
        let is_cut = cuts && plan.has_own_results();
        let unrolled =
            is_cut.then(|| Unrolled::compile(graph, known, simd, steps.count())).flatten();
        let unrolled = match unrolled {
            Some(unrolled) if unrolled.is_sure() => return Ok(plan.unrolled(unrolled)),
            unrolled => unrolled,
        };
        let stages = match is_cut && unrolled.is_none() {
            true => Unrolled::stages(graph, known, simd),
            false => None,
        };
        let stages = match stages {
            Some(stages) if stages.is_sure() => {
                plan.set_stages(stages, simd)?;
                return Ok(plan);
            }
            stages => stages,
        };
        for step in &lowering.steps {
            cancel::check().map_err(|kind| Error::new("plan", kind, Place(None)))?;
            // A mistake of the kernel builder must not become an access to foreign memory.
            let is_lost = |&&v: &&usize| plan.homes[v] == Home::Nowhere;
            if let Some(v) = lowering.uses(step).0.iter().find(is_lost) {
                let kind = ErrorKind::InvalidArgument(format!("value {v} does not lie in memory"));
                return Err(Error::new("plan", kind, Place(None)));
            }
            let Some(mut task) = lowering.compile(step, simd)? else { continue };
            if simd.is_oracle() {
                task.oracle = describe::nest(&plan, step).map(|(nest, values)| {
                    let buffer = |v: ValueId| lowering.root[v.index()];
                    (nest, values.into_iter().map(|v| v.map(buffer)).collect()).into()
                });
            }
            plan.tasks.push(task);
        }
        // What can be done in either way is done in that which is predicted to take less time.
        if let Some(unrolled) = unrolled
            && GAIN * unrolled.total_ns() < plan.ns()
        {
            return Ok(plan.unrolled(unrolled));
        }
        if let Some(stages) = stages {
            let (ns, arena_bytes) = (plan.ns(), plan.arena_bytes);
            let (tasks, homes) = (std::mem::take(&mut plan.tasks), plan.homes.clone());
            plan.set_stages(stages, simd)?;
            if plan.stages.iter().map(|stage| stage.run.ns()).sum::<f64>() < ns {
                return Ok(plan);
            }
            plan.stages.clear();
            (plan.tasks, plan.homes, plan.arena_bytes) = (tasks, homes, arena_bytes);
        }
        if plan.tasks.len() > 1 && plan.has_own_results() {
            plan.parts = Parts::compile(graph, simd, plan.arena_bytes)?.map(Box::new);
        }
        Ok(plan)
    }

    /// The program as a whole on numbers.
    fn unrolled(mut self, unrolled: Unrolled) -> Plan {
        let (inputs, results) = (self.inputs.len(), self.results.len());
        self.tasks.clear();
        self.arena_bytes = 0;
        self.homes = (0..inputs).map(Home::Input).collect();
        self.homes.extend((0..results).map(Home::Result));
        let run = StageRun::Unrolled(unrolled.into());
        let (inputs, outputs) = ((0..inputs).collect(), (inputs..inputs + results).collect());
        self.stages.push(Stage { run, inputs, outputs });
        self
    }

    /// Takes the stages that do what the program does. They may be of another graph of the same inputs
    /// and outputs.
    fn set_stages(&mut self, stages: Unrolling, simd: Simd) -> Result<()> {
        self.arena_bytes = 0;
        self.homes.clear();
        // The buffer of each value that some stage reads or writes.
        let mut buffers: HashMap<ValueId, usize> = HashMap::new();
        for i in 0..self.inputs.len() {
            buffers.insert(ValueId(i as u32), i);
            self.homes.push(Home::Input(i));
        }
        for (i, &v) in stages.outputs.iter().enumerate() {
            buffers.insert(v, self.homes.len());
            self.homes.push(Home::Result(i));
        }
        for (stage, unrolled) in stages.stages {
            for (&v, ty) in stage.outputs.iter().zip(stage.graph.output_types()) {
                buffers.entry(v).or_insert_with(|| {
                    self.homes.push(Home::Arena(self.arena_bytes));
                    self.arena_bytes += ty.bytes().next_multiple_of(ALIGN);
                    self.homes.len() - 1
                });
            }
            let steps = || Plan::with(&stage.graph, &[], simd, 1, false);
            let run = match unrolled {
                Some(unrolled) if unrolled.is_sure() => StageRun::Unrolled(unrolled.into()),
                Some(unrolled) => {
                    let steps = steps()?;
                    match GAIN * unrolled.total_ns() < steps.ns() {
                        true => StageRun::Unrolled(unrolled.into()),
                        false => StageRun::Plan(steps.into()),
                    }
                }
                None => StageRun::Plan(steps()?.into()),
            };
            let of = |values: &[ValueId]| values.iter().map(|v| buffers[v]).collect();
            let (inputs, outputs) = (of(&stage.inputs), of(&stage.outputs));
            self.stages.push(Stage { run, inputs, outputs });
        }
        Ok(())
    }

    /// Predicted nanoseconds of the steps, of one thread: what they compute, and what goes through memory
    /// from one to the next.
    pub fn ns(&self) -> f64 {
        let of = |task: &Task| {
            let moved = task.facts.bytes as f64 * BYTE_NS;
            STEP_NS + task.run.ns(&task.facts).max(moved)
        };
        self.tasks.iter().map(of).sum()
    }

    /// Bytes of what lies in between, and of what steps and stages take for themselves, which run one
    /// after the other.
    pub fn working_bytes(&self) -> usize {
        let stage = |stage: &Stage| match &stage.run {
            StageRun::Unrolled(unrolled) => {
                counted_scratch(unrolled.scratch()).saturating_mul(rayon::current_num_threads())
            }
            // A result of the stage is a value here.
            StageRun::Plan(plan) => plan.working_bytes(),
        };
        let steps = self.tasks.iter().map(|task| task.run.working_bytes());
        let largest = steps.chain(self.stages.iter().map(stage)).max().unwrap_or(0);
        let whole = self.arena_bytes.saturating_add(largest);
        whole.max(self.parts.as_ref().map_or(0, |parts| parts.working_bytes()))
    }

    fn run_stages(&self, memory: &[*mut u8]) -> Result<()> {
        for stage in &self.stages {
            let of = |buffers: &[usize]| -> SmallVec<[*mut u8; 8]> {
                buffers.iter().map(|&b| memory[b]).collect()
            };
            let (inputs, outputs) = (of(&stage.inputs), of(&stage.outputs));
            // SAFETY: every value of a stage has memory of its type.
            unsafe {
                match &stage.run {
                    StageRun::Unrolled(unrolled) => {
                        run_unrolled(unrolled, &inputs, &outputs)?;
                    }
                    StageRun::Plan(plan) => plan.run_whole(&inputs, &outputs)?,
                }
            }
        }
        Ok(())
    }

    /// Whether every output is a result of its own, in their order.
    fn has_own_results(&self) -> bool {
        let own = |(i, (source, _)): (usize, &(Source, Shape))| matches!(source, Source::Result(r) if *r == i);
        self.outputs.len() == self.results.len() && self.outputs.iter().enumerate().all(own)
    }

    fn check_inputs(&self, inputs: &[Array]) -> Result<()> {
        let fits = inputs.len() == self.inputs.len()
            && inputs
                .iter()
                .zip(&self.inputs)
                .all(|(a, ty)| a.dtype() == ty.dtype && *a.shape() == ty.shape);
        if fits {
            return Ok(());
        }
        let given: Vec<TensorType> = inputs.iter().map(Array::ty).collect();
        let message = format!("the program takes {:?}, got {given:?}", self.inputs);
        Err(Error::new("run", ErrorKind::InvalidArgument(message), Place(None)))
    }

    fn run_tasks(&self, memory: Addresses<'_>) -> Result<()> {
        for task in &self.tasks {
            cancel::check().map_err(|kind| Error::new(task.op, kind, task.facts.place))?;
            // SAFETY: the plan gives every value memory of its size for as long as it lives, and a
            // run has its arena and its results for itself.
            let run = || unsafe {
                match &task.oracle {
                    None => task.run.run(memory),
                    Some(of) => {
                        let at: Vec<Option<*mut u8>> =
                            of.1.iter().map(|buffer| buffer.map(|b| memory.of(b))).collect();
                        oracle::run(&of.0, &at)
                    }
                }
            };
            // The steps inside of control flow count for themselves.
            let done = match task.run {
                Run::Control(_) => run(),
                _ => profile::timed(&task.facts, run),
            };
            done.map_err(|kind| Error::new(task.op, kind, task.facts.place))?;
        }
        Ok(())
    }
}

impl Plan {
    /// Runs the program with the memory of its inputs and results, given by their addresses.
    fn run_tasks_at(&self, inputs: &[*mut u8], results: &[*mut u8]) -> Result<()> {
        if let [Stage { run: StageRun::Unrolled(unrolled), inputs: own, outputs }] =
            &self.stages[..]
            && own.iter().chain(outputs).copied().eq(0..inputs.len() + results.len())
        {
            // SAFETY: inputs and results have the types of the program, and results are of their own.
            return unsafe { run_unrolled(unrolled, inputs, results) };
        }
        // A part that fails does not know the line of the program; the whole does.
        if let Some(parts) = &self.parts {
            match parts.run(inputs, results) {
                Ok(()) => return Ok(()),
                Err(kind @ ErrorKind::Cancelled) => {
                    return Err(Error::new("run", kind, Place(None)));
                }
                Err(_) => {}
            }
        }
        let lock = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let mut arena = None;
        // Empty values have an aligned address, too.
        let nothing: *mut u8 = std::ptr::without_provenance_mut(ALIGN);
        let mut start = nothing;
        if self.arena_bytes > 0 {
            let kept = if self.keeps_arenas() { lock().pop() } else { None };
            let taken = arena.insert(kept.unwrap_or_else(Arena::new));
            start = taken.reserve(self.arena_bytes).map_err(|kind| self.no_room(kind))?;
        }
        let addresses: SmallVec<[*mut u8; 32]> = self
            .homes
            .iter()
            .map(|home| match *home {
                Home::Input(i) => inputs[i],
                Home::Result(i) => results[i],
                Home::Arena(offset) => start.wrapping_add(offset),
                Home::Nowhere => nothing,
            })
            .collect();
        let done = match self.stages.is_empty() {
            true => self.run_tasks(Addresses(&addresses)),
            false => self.run_stages(&addresses),
        };
        if let Some(arena) = arena
            && self.keeps_arenas()
        {
            lock().push(arena);
        }
        done
    }

    /// There is no room for a run, or none for its results: the largest operation is to blame.
    fn no_room(&self, kind: ErrorKind) -> Error {
        Error::new("run", kind, self.largest)
    }

    /// Whether the arena stays with the program; large ones are for whoever comes next.
    fn keeps_arenas(&self) -> bool {
        self.arena_bytes < LARGE
    }

    /// Runs the program on memory of others.
    ///
    /// # Safety
    /// The addresses are of row-major values of the program's types; the outputs are disjoint from
    /// each other and from the inputs, and nobody else uses them.
    pub unsafe fn run_at(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<(), ErrorKind> {
        // SAFETY: as the caller's.
        unsafe { self.run_whole(inputs, outputs) }.map_err(|e| e.kind().clone())
    }

    /// The same, and says where it failed.
    ///
    /// # Safety
    /// As [`Plan::run_at`].
    unsafe fn run_whole(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<()> {
        // SAFETY: as the caller's.
        deeper(|| unsafe { self.run_level(inputs, outputs) })
    }

    unsafe fn run_level(&self, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<()> {
        // A result is written where its first output is.
        let mut results: SmallVec<[*mut u8; 8]> =
            SmallVec::from_elem(std::ptr::null_mut(), self.results.len());
        for ((source, _), &output) in self.outputs.iter().zip(outputs) {
            if let Source::Result(i) = source
                && results[*i].is_null()
            {
                results[*i] = output;
            }
        }
        self.run_tasks_at(inputs, &results)?;
        for ((source, shape), &output) in self.outputs.iter().zip(outputs) {
            let (from, dtype) = match source {
                Source::Input(i) => (inputs[*i], self.inputs[*i].dtype),
                Source::Result(i) => (results[*i], self.results[*i].0),
            };
            if from != output {
                // SAFETY: both have the size of the output, and they are disjoint.
                unsafe {
                    std::ptr::copy_nonoverlapping(from, output, shape.size() * dtype.size());
                }
            }
        }
        Ok(())
    }
}

impl Executable for Plan {
    fn describe(&self) -> String {
        describe::plan(self)
    }

    fn peak_bytes(&self) -> usize {
        let results = self.results.iter().map(|(dtype, shape)| shape.size() * dtype.size());
        results.fold(self.working_bytes(), usize::saturating_add)
    }

    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.check_inputs(inputs)?;
        let inputs: SmallVec<[Array; 8]> = inputs
            .iter()
            .map(Array::to_standard)
            .collect::<Result<_, _>>()
            .map_err(|kind| self.no_room(kind))?;
        let results = self.results.iter().map(|(dtype, shape)| Output::new(*dtype, shape.size()));
        let results: SmallVec<[Output; 4]> =
            results.collect::<Result<_, _>>().map_err(|kind| self.no_room(kind))?;
        let address = |x: &Array| x.as_ptr().cast_mut();
        let from: SmallVec<[*mut u8; 8]> = inputs.iter().map(address).collect();
        let to: SmallVec<[*mut u8; 4]> = results.iter().map(Output::as_ptr).collect();
        self.run_tasks_at(&from, &to)?;
        let results: SmallVec<[Array; 4]> = (results.into_iter().zip(&self.results))
            .map(|(result, (_, shape))| {
                // SAFETY: every value is written by its step.
                unsafe { result.finish(shape.clone()) }
            })
            .collect();
        let output = |(source, shape): &(Source, Shape)| {
            let array = match source {
                Source::Input(i) => &inputs[*i],
                Source::Result(i) => &results[*i],
            };
            if array.shape() == shape { Ok(array.clone()) } else { array.reshape(shape) }
        };
        self.outputs.iter().map(output).collect::<Result<_, _>>().map_err(|kind| self.no_room(kind))
    }
}

/// # Safety
/// As [`Unrolled::run`].
unsafe fn run_unrolled(unrolled: &Unrolled, inputs: &[*mut u8], outputs: &[*mut u8]) -> Result<()> {
    let facts = unrolled.facts();
    // SAFETY: as the caller's.
    let done = profile::timed(facts, || unsafe { unrolled.run(inputs, outputs) });
    done.map_err(|kind| Error::new("while", kind, facts.place))
}
