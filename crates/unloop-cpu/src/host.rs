//! Operations that are computed by plain Rust code, on copies of their operands.

use smallvec::SmallVec;
use unloop_graph::op::Host;
use unloop_graph::{Array, ErrorKind, TensorType};

use crate::memory::{Addresses, Output};

/// A host operation, ready to run.
pub(crate) struct HostStep {
    host: Host,
    sources: Vec<(usize, TensorType)>,
    targets: Vec<(usize, TensorType)>,
}

impl HostStep {
    /// Compiles an operation, with the buffers of operands and results.
    pub fn compile(
        host: &Host,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> HostStep {
        let owned = |of: &[(usize, &TensorType)]| of.iter().map(|o| (o.0, o.1.clone())).collect();
        HostStep { host: host.clone(), sources: owned(operands), targets: owned(results) }
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let operand = |(buffer, ty): &(usize, TensorType)| {
            let copy = Output::new(ty.dtype, ty.shape.size())?;
            // SAFETY: the buffer holds a value of this type, which the copy has room for.
            unsafe {
                std::ptr::copy_nonoverlapping(memory.of(*buffer), copy.as_ptr(), ty.bytes());
                Ok(copy.finish(ty.shape.clone()))
            }
        };
        let operands: SmallVec<[Array; 4]> =
            self.sources.iter().map(operand).collect::<Result<_, ErrorKind>>()?;
        let types = self.targets.iter().map(|t| t.1.clone()).collect();
        let results = self.host.evaluate(&operands, &types)?;
        for ((buffer, ty), result) in self.targets.iter().zip(results) {
            let result = result.to_standard()?;
            // SAFETY: the result has the type of the buffer's value.
            unsafe {
                std::ptr::copy_nonoverlapping(result.as_ptr(), memory.of(*buffer), ty.bytes());
            }
        }
        Ok(())
    }

    /// Bytes of the copies of operands, and of the results before they are copied.
    pub fn copies(&self) -> usize {
        self.sources.iter().chain(&self.targets).map(|(_, ty)| ty.bytes()).sum()
    }

    /// Bytes that the operation takes besides.
    pub fn scratch(&self) -> usize {
        let types: Vec<TensorType> = self.sources.iter().map(|(_, ty)| ty.clone()).collect();
        self.host.0.scratch_bytes(&types)
    }
}
