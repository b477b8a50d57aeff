//! The hook through which programs run. A backend crate installs itself; without one, programs run
//! by reference evaluation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use crate::error::Place;
use crate::op::Types;
use crate::{Array, Error, ErrorKind, Explanation, Graph, Op, Result, TensorType, ValueId};

/// Something that compiles programs.
pub trait Backend: Send + Sync {
    /// Compiles a program for its types.
    fn compile(&self, graph: &Graph) -> Result<Arc<dyn Executable>>;
}

/// A compiled program; may run on several threads at once.
pub trait Executable: Send + Sync {
    /// Runs the program. Inputs have the types that it was compiled for, in any layout.
    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>>;

    /// Bytes that a run needs at most for results and values in between, without the inputs.
    fn peak_bytes(&self) -> usize;
}

/// Runs programs by [`Graph::evaluate`].
pub struct Reference;

impl Backend for Reference {
    fn compile(&self, graph: &Graph) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(graph.clone()))
    }
}

impl Executable for Graph {
    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.evaluate(inputs)
    }

    /// As if all values lived to the end.
    fn peak_bytes(&self) -> usize {
        let computed = self.inputs().len() as u32..self.value_count() as u32;
        let bytes = |v| self.ty(ValueId(v)).shape.size() * self.ty(ValueId(v)).dtype.size();
        computed.map(bytes).sum()
    }
}

static MEMORY_LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// From now on a program that needs more than this many bytes for its results and the values in
/// between (see [`Executable::peak_bytes`]) is an error when it is compiled.
pub fn set_memory_limit(bytes: usize) {
    MEMORY_LIMIT.store(bytes, Ordering::Relaxed);
}

/// A compiled program that keeps the limit of memory.
fn within_limit(program: Arc<dyn Executable>) -> Result<Arc<dyn Executable>> {
    let (needed, limit) = (program.peak_bytes(), MEMORY_LIMIT.load(Ordering::Relaxed));
    match needed <= limit {
        true => Ok(program),
        false => Err(Error::new("run", ErrorKind::MemoryLimit { needed, limit }, Place(None))),
    }
}

static BACKEND: OnceLock<&'static dyn Backend> = OnceLock::new();

/// Makes `backend` the one that runs programs; the first to install itself stays. Returns whether
/// it was the first.
pub fn install(backend: &'static dyn Backend) -> bool {
    BACKEND.set(backend).is_ok()
}

static USE_REFERENCE: AtomicBool = AtomicBool::new(false);

/// From now on programs run by reference evaluation, whatever is installed: slow, for tests of what
/// stands above backends. Programs that were compiled before stay as they are.
pub fn use_reference() {
    USE_REFERENCE.store(true, Ordering::Relaxed);
}

/// The installed backend, or the reference evaluator.
pub fn backend() -> &'static dyn Backend {
    if USE_REFERENCE.load(Ordering::Relaxed) {
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

/// How a program that `jit` compiles is rewritten. Its last inputs are always `known`.
pub fn explain(graph: &Graph, known: &[Array]) -> Explanation {
    let rewriting = *REWRITING.lock().unwrap_or_else(PoisonError::into_inner);
    match REWRITER.get() {
        Some(rewrite) => rewrite(graph, known, rewriting),
        None => Explanation::new(graph.clone(), graph.clone(), (0.0, 0.0), Vec::new()),
    }
}

/// Compiles a program that is run many times, always with the same `known` last inputs: rewritten
/// first.
pub fn compile(graph: &Graph, known: &[Array]) -> Result<Arc<dyn Executable>> {
    within_limit(backend().compile(&explain(graph, known).after)?)
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
    let afresh = |graph: &Graph| within_limit(backend().compile(graph)?);
    if graph.nodes().len() > WHOLE_NODES {
        return afresh(graph)?.run(inputs);
    }
    // A cached program knows the places where it was first used, not those of this graph: one that
    // fails is compiled and run again, so that the error names the right line.
    WHOLE.get(graph, afresh)?.run(inputs).or_else(|_| afresh(graph)?.run(inputs))
}

/// Computes one operation on concrete operands at once.
pub(crate) fn run_op(op: Op, operands: &[Array], types: Types, place: Place) -> Result<Vec<Array>> {
    let inputs: Vec<TensorType> = operands.iter().map(Array::ty).collect();
    let program = SINGLE.get(&(op, inputs), |(op, inputs)| {
        within_limit(backend().compile(&Graph::of_op(op.clone(), inputs.clone(), types, place))?)
    })?;
    // A cached program knows the place where it was first used, not this one.
    program.run(operands).map_err(|e| crate::Error::new(e.op(), e.kind().clone(), place))
}
