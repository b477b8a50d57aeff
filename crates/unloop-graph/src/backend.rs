//! The hook through which programs run. A backend crate installs itself; without one, programs run
//! by reference evaluation.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use smallvec::SmallVec;

use crate::error::Place;
use crate::memory::memory_limit;
use crate::op::Types;
use crate::{
    Array, Axes, Error, ErrorKind, Explanation, Graph, Op, Result, Shape, TensorType, ValueId,
    cancel,
};

/// Something that compiles programs.
pub trait Backend: Send + Sync {
    /// Compiles a program for its types. Its last inputs are always `known`.
    ///
    /// # Errors
    /// What the backend says: `Unsupported`, `OutOfMemory`, `Cancelled`.
    fn compile(&self, graph: &Graph, known: &[Array]) -> Result<Arc<dyn Executable>>;

    /// Gives memory that is kept for runs to come back to the system.
    fn release_memory(&self) {}
}

/// A compiled program; may run on several threads at once.
pub trait Executable: Send + Sync {
    /// Runs the program. Inputs have the types that it was compiled for, in any layout.
    ///
    /// # Errors
    /// Those of the operations, such as `IndexOutOfBounds`, `Singular`, `LoopLimit`; `OutOfMemory`,
    /// `Cancelled`.
    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>>;

    /// Bytes that a run needs at most for results and values in between, without the inputs.
    fn peak_bytes(&self) -> usize;

    /// What runs, in order, for people: loops, and what is computed in which way.
    fn describe(&self) -> String;
}

/// Runs programs by [`Graph::evaluate`].
pub struct Reference;

impl Backend for Reference {
    fn compile(&self, graph: &Graph, _: &[Array]) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(graph.clone()))
    }
}

impl Executable for Graph {
    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.evaluate(inputs)
    }

    fn describe(&self) -> String {
        format!("by reference evaluation:\n{self}\n")
    }

    /// As if all values lived to the end.
    fn peak_bytes(&self) -> usize {
        let computed = self.inputs().len() as u32..self.value_count() as u32;
        let bytes = |v| self.ty(ValueId(v)).bytes();
        computed.map(bytes).fold(0, usize::saturating_add)
    }
}

/// There is no room for a program: its largest operation is to blame.
fn no_room(graph: &Graph, kind: ErrorKind) -> Error {
    Error::new("run", kind, graph.largest())
}

/// A program that was compiled of a graph, if it keeps the limit of memory.
fn within_limit(graph: &Graph, program: Arc<dyn Executable>) -> Result<Arc<dyn Executable>> {
    let (needed, limit) = (program.peak_bytes(), memory_limit());
    match needed <= limit {
        true => Ok(program),
        false => Err(no_room(graph, ErrorKind::OutOfMemory { needed, limit: Some(limit) })),
    }
}

static BACKEND: OnceLock<&'static dyn Backend> = OnceLock::new();

/// Makes `backend` the one that runs programs; the first to install itself stays. Returns whether
/// it was the first.
pub fn install(backend: &'static dyn Backend) -> bool {
    BACKEND.set(backend).is_ok()
}

thread_local! {
    static BY_REFERENCE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`; programs that this thread compiles or runs in it use reference evaluation, whatever is
/// installed: slow, for tests. Programs that were compiled before stay as they are.
pub fn by_reference<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            BY_REFERENCE.set(self.0);
        }
    }
    let _before = Before(BY_REFERENCE.replace(true));
    f()
}

/// The installed backend, or the reference evaluator.
pub fn backend() -> &'static dyn Backend {
    if BY_REFERENCE.get() {
        return &Reference;
    }
    BACKEND.get().copied().unwrap_or(&Reference)
}

/// What the rewriting of programs may change. Each level does what those before it do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Rewriting {
    /// Nothing: programs are compiled as they were traced.
    Off,
    /// Only what gives the same bits.
    Exact,
    /// Sums and products may be reordered, so that the last digits differ. Infinities and NaN of the
    /// inputs survive; an overflow in between may come or go, as in `log(exp(x)) = x`.
    #[default]
    Reassociating,
    /// Numbers may be assumed to be finite.
    Fast,
}

type Rewriter = fn(&Graph, &[Array], Rewriting) -> Explanation;

static REWRITER: OnceLock<Rewriter> = OnceLock::new();
static REWRITING: Mutex<Rewriting> = Mutex::new(Rewriting::Reassociating);

/// Makes a function the one that rewrites programs before they are compiled; the first stays. Returns
/// whether it was the first.
pub fn install_rewriter(rewriter: Rewriter) -> bool {
    REWRITER.set(rewriter).is_ok()
}

/// From now on programs that `jit` compiles are rewritten as far as this.
pub fn set_rewriting(rewriting: Rewriting) {
    *REWRITING.lock().unwrap_or_else(PoisonError::into_inner) = rewriting;
}

/// A program whose last inputs are always `known`, and the same ones with nothing twice: what repeats
/// along an axis is one entry, which the program repeats.
fn without_repeats(graph: &Graph, known: &[Array]) -> Result<(Graph, Vec<Array>)> {
    let failed = |kind| no_room(graph, kind);
    let first = graph.inputs().len() - known.len().min(graph.inputs().len());
    let mut smaller = Vec::new();
    let mut arrays = Vec::with_capacity(known.len());
    for (i, x) in known.iter().enumerate() {
        let moves = |&a: &usize| x.strides()[a] != 0 || x.shape()[a] == 1;
        let dims: Axes = (0..x.shape().rank()).filter(moves).collect();
        if dims.len() == x.shape().rank() || x.is_empty() {
            arrays.push(x.to_standard().map_err(failed)?);
            continue;
        }
        let one: Shape =
            x.shape().iter().enumerate().map(|(a, &d)| if moves(&a) { d } else { 1 }).collect();
        let start: Axes = SmallVec::from_elem(0, one.rank());
        let step: Axes = SmallVec::from_elem(1, one.rank());
        let shape: Shape = dims.iter().map(|&a| x.shape()[a]).collect();
        let x = x.slice(&start, &one, &step);
        let entry = x.to_standard().and_then(|entry| entry.reshape(&shape)).map_err(failed)?;
        smaller.push((first + i, entry.ty(), dims));
        arrays.push(entry);
    }
    Ok((graph.with_repeats(&smaller), arrays))
}

/// How a program that `jit` compiles is rewritten. Its last inputs are always `known`.
///
/// # Errors
/// `OutOfMemory`, `Cancelled`.
pub fn explain(graph: &Graph, known: &[Array]) -> Result<Explanation> {
    let (graph, known) = without_repeats(graph, known)?;
    rewritten(&graph, &known)
}

fn rewritten(graph: &Graph, known: &[Array]) -> Result<Explanation> {
    let rewriting = *REWRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let explanation = match REWRITER.get() {
        Some(rewrite) => rewrite(graph, known, rewriting),
        None => Explanation::new(graph.clone(), graph.clone(), (0.0, 0.0), Vec::new()),
    };
    // A rewriting that was ended has stopped early.
    cancel::check().map_err(|kind| Error::new("jit", kind, Place(None)))?;
    Ok(explanation)
}

/// A compiled program, and the last of its inputs, which are the same at each run.
pub type Compiled = (Arc<dyn Executable>, Vec<Array>);

/// Compiles a program that is run many times, always with the same `known` last inputs: rewritten
/// first. The program takes other last inputs, which come with it.
pub fn compile(graph: &Graph, known: &[Array]) -> Result<Compiled> {
    let (graph, known) = without_repeats(graph, known)?;
    let graph = rewritten(&graph, &known)?.after;
    let program = backend().compile(&graph, &known)?;
    Ok((within_limit(&graph, program)?, known))
}

/// A bounded cache of compiled programs.
struct Cache<K> {
    programs: Mutex<HashMap<K, Arc<dyn Executable>>>,
    limit: usize,
}

impl<K: Hash + Eq + Clone> Cache<K> {
    fn new(limit: usize) -> Cache<K> {
        Cache { programs: Mutex::default(), limit }
    }

    /// The cached program of a key, or a newly compiled one. Past the limit the cache starts
    /// afresh: a program that is in use is soon compiled again.
    fn get(
        &self,
        key: &K,
        compile: impl FnOnce(&K) -> Result<Arc<dyn Executable>>,
    ) -> Result<Arc<dyn Executable>> {
        let lock = || self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = lock().get(key).cloned();
        if let Some(program) = hit {
            return Ok(program);
        }
        let program = compile(key)?;
        let mut programs = lock();
        if programs.len() >= self.limit {
            programs.clear();
        }
        programs.insert(key.clone(), program.clone());
        Ok(program)
    }
}

/// Compiled single operations, so that computing at once does not compile each time.
static SINGLE: LazyLock<Cache<(Op, Vec<TensorType>)>> = LazyLock::new(|| Cache::new(1024));

/// Compiled programs of transforms that are called without `jit`.
static WHOLE: LazyLock<Cache<Graph>> = LazyLock::new(|| Cache::new(256));

/// Programs with more operations than this are compiled at each call instead of being kept.
const WHOLE_NODES: usize = 4096;

/// Runs a program once; a program that was run before is not compiled again.
pub fn run(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>> {
    let afresh = |graph: &Graph| within_limit(graph, backend().compile(graph, &[])?);
    if graph.nodes().len() > WHOLE_NODES {
        return afresh(graph)?.run(inputs);
    }
    // A cached program knows the places where it was first used, not those of this graph: one that
    // fails is compiled and run again, so that the error names the right line.
    WHOLE.get(graph, afresh)?.run(inputs).or_else(|error| match error.kind() {
        ErrorKind::Cancelled => Err(error),
        ErrorKind::OutOfMemory { .. } => Err(no_room(graph, error.kind().clone())),
        _ => afresh(graph)?.run(inputs),
    })
}

/// Computes one operation on concrete operands at once.
pub(crate) fn run_op(op: Op, operands: &[Array], types: Types, place: Place) -> Result<Vec<Array>> {
    let inputs: Vec<TensorType> = operands.iter().map(Array::ty).collect();
    let name = op.name();
    let program = SINGLE.get(&(op, inputs), |(op, inputs)| {
        let graph = Graph::of_op(op.clone(), inputs.clone(), types, place);
        within_limit(&graph, backend().compile(&graph, &[])?)
    });
    // A cached program knows the place where it was first used, not this one; what fails around it is
    // this operation.
    program.and_then(|program| program.run(operands)).map_err(|e| {
        let op = if e.op() == "run" { name } else { e.op() };
        Error::new(op, e.kind().clone(), place)
    })
}
