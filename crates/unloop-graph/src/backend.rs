//! The hook through which programs run. A backend crate installs itself; without one, programs run
//! by reference evaluation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::Place;
use crate::op::Types;
use crate::{Array, Graph, Op, Result, TensorType};

/// Something that compiles programs.
pub trait Backend: Send + Sync {
    /// Compiles a program for its types.
    fn compile(&self, graph: &Graph) -> Result<Arc<dyn Executable>>;
}

/// A compiled program; may run on several threads at once.
pub trait Executable: Send + Sync {
    /// Runs the program. Inputs have the types that it was compiled for, in any layout.
    fn run(&self, inputs: &[Array]) -> Result<Vec<Array>>;
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
}

static BACKEND: OnceLock<&'static dyn Backend> = OnceLock::new();

/// Makes `backend` the one that runs programs; the first to install itself stays. Returns whether
/// it was the first.
pub fn install(backend: &'static dyn Backend) -> bool {
    BACKEND.set(backend).is_ok()
}

/// The installed backend, or the reference evaluator.
pub fn backend() -> &'static dyn Backend {
    BACKEND.get().copied().unwrap_or(&Reference)
}

type OpKey = (Op, Vec<TensorType>);

/// Compiled single operations, so that computing at once does not compile each time.
static SINGLE: OnceLock<Mutex<HashMap<OpKey, Arc<dyn Executable>>>> = OnceLock::new();

/// Past this many entries the cache of single operations starts afresh.
const SINGLE_LIMIT: usize = 1024;

/// Computes one operation on concrete operands at once.
pub(crate) fn run_op(op: Op, operands: &[Array], types: Types, place: Place) -> Result<Vec<Array>> {
    let inputs: Vec<TensorType> = operands.iter().map(Array::ty).collect();
    let cache = SINGLE.get_or_init(Mutex::default);
    let key = (op, inputs);
    let hit = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let program = match hit {
        Some(program) => program,
        None => {
            let graph = Graph::of_op(key.0.clone(), key.1.clone(), types, place);
            let program = backend().compile(&graph)?;
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.len() >= SINGLE_LIMIT {
                cache.clear();
            }
            cache.insert(key, program.clone());
            program
        }
    };
    // A cached program knows the place where it was first used, not this one.
    program.run(operands).map_err(|e| crate::Error::new(e.op(), e.kind().clone(), place))
}
