//! Operations without a kernel of this crate's: functions of the host, which may read memory as it
//! lies, and whatever is computed by reference evaluation, on copies of its operands.

use smallvec::SmallVec;
use unloop_graph::op::HostKernel;
use unloop_graph::{Array, ErrorKind, Op, TensorType};

use crate::memory::{Addresses, Output};

/// An operation that is computed by its definition, ready to run.
pub(crate) struct ReferenceStep {
    op: Op,
    sources: Vec<(usize, TensorType)>,
    targets: Vec<(usize, TensorType)>,
    /// What needs no copies.
    kernel: Option<Box<dyn HostKernel>>,
}

impl ReferenceStep {
    /// Compiles an operation, with the buffers of operands and results.
    pub fn compile(
        op: &Op,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> Result<ReferenceStep, ErrorKind> {
        let owned = |of: &[(usize, &TensorType)]| of.iter().map(|o| (o.0, o.1.clone())).collect();
        let types: Vec<TensorType> = operands.iter().map(|o| o.1.clone()).collect();
        let kernel = match op {
            Op::Host(host) => host.0.prepare(&types)?,
            _ => None,
        };
        let (sources, targets) = (owned(operands), owned(results));
        Ok(ReferenceStep { op: op.clone(), sources, targets, kernel })
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if let Some(kernel) = &self.kernel {
            let from: SmallVec<[*const u8; 4]> =
                self.sources.iter().map(|s| memory.of(s.0).cast_const()).collect();
            let to: SmallVec<[*mut u8; 4]> = self.targets.iter().map(|t| memory.of(t.0)).collect();
            // SAFETY: the caller gives the values of the types that the kernel was made for.
            return unsafe { kernel.run(&from, &to) };
        }
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
        let results = self.op.evaluate(&operands, &types)?;
        for ((buffer, ty), result) in self.targets.iter().zip(results) {
            let result = result.to_standard()?;
            // SAFETY: the result has the type of the buffer's value.
            unsafe {
                std::ptr::copy_nonoverlapping(result.as_ptr(), memory.of(*buffer), ty.bytes());
            }
        }
        Ok(())
    }

    /// Bytes that the operation takes besides its operands and results, copies of these included.
    pub fn working_bytes(&self) -> usize {
        if let Some(kernel) = &self.kernel {
            return kernel.scratch_bytes();
        }
        let copies = self.sources.iter().chain(&self.targets).map(|(_, ty)| ty.bytes());
        let own = match &self.op {
            Op::Host(host) => {
                let types: Vec<TensorType> =
                    self.sources.iter().map(|(_, ty)| ty.clone()).collect();
                host.0.scratch_bytes(&types)
            }
            _ => 0,
        };
        copies.sum::<usize>() + own
    }
}
