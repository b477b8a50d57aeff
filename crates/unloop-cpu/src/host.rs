//! Operations that are computed by plain Rust code, on copies of their operands.

use smallvec::SmallVec;
use unloop_graph::op::Host;
use unloop_graph::{Array, ErrorKind, TensorType, with_dtype};

use crate::memory::Addresses;

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
            with_dtype!(ty.dtype, T => {
                let start = memory.of(*buffer).cast_const().cast::<T>();
                // SAFETY: the buffer holds a value of this type.
                let values = unsafe { std::slice::from_raw_parts(start, ty.shape.size()) };
                Array::new(ty.shape.clone(), values.to_vec())
            })
        };
        let operands: SmallVec<[Array; 4]> = self.sources.iter().map(operand).collect();
        let types = self.targets.iter().map(|t| t.1.clone()).collect();
        let results = self.host.evaluate(&operands, &types)?;
        for ((buffer, ty), result) in self.targets.iter().zip(results) {
            let (result, bytes) = (result.to_standard(), ty.shape.size() * ty.dtype.size());
            // SAFETY: the result has the type of the buffer's value.
            unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), memory.of(*buffer), bytes) };
        }
        Ok(())
    }
}
