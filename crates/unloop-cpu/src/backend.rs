//! The CPU as a backend of programs.

use std::sync::Arc;

use unloop_graph::backend::{self, Backend, Executable};
use unloop_graph::{Array, Graph, Result};

use crate::memory;
use crate::plan::Plan;
use crate::simd::Simd;

/// Runs programs on this machine's processors, with the best instructions that they have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl Backend for Cpu {
    fn compile(&self, graph: &Graph, known: &[Array]) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(Plan::of(graph, known, Simd::best(), 1)?))
    }

    fn release_memory(&self) {
        memory::release();
    }
}

impl Cpu {
    /// The names of the instruction sets that this processor has kernels for, the one in use last. `code`
    /// among them stands for that one with machine code wherever there can be any, where otherwise it is
    /// made for what has run long enough.
    pub fn instruction_sets() -> Vec<&'static str> {
        Simd::all().into_iter().map(Simd::name).collect()
    }

    /// Compiles a program whose kernels the scalar evaluator of loop nests computes: slow, for tests of
    /// the kernels and of the nests that programs print.
    pub fn compile_by_nests(graph: &Graph) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(Plan::compile(graph, Simd::oracle())?))
    }

    /// Compiles a program for one of [`Cpu::instruction_sets`]; `None` if it is not among them.
    pub fn compile_for(
        graph: &Graph,
        instruction_set: &str,
    ) -> Option<Result<Arc<dyn Executable>>> {
        let simd = Simd::named(instruction_set)?;
        Some(Plan::compile(graph, simd).map(|plan| Arc::new(plan) as Arc<dyn Executable>))
    }
}

/// Makes the CPU the backend of the process, unless another one has been installed; returns
/// whether it is the first. Linking this crate does so by itself before `main`.
pub fn install() -> bool {
    backend::install(&Cpu)
}

// Tensors live in a crate below this one, so the backend makes itself known when the program
// starts.
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn install_at_start() {
        install();
    }
}
