//! Kernels by the scalar evaluator of loop nests instead of the machine's instructions: slow, for tests
//! of both.

use unloop_graph::{DType, ErrorKind, Number, Scalar};
use unloop_kernel::{Nest, Role};

/// Runs a nest on memory; buffers that it keeps for itself need no address.
///
/// # Safety
/// The addresses are of row-major values of the nest's buffers, and nobody else uses those that it
/// writes.
pub(crate) unsafe fn run(nest: &Nest, addresses: &[Option<*mut u8>]) -> Result<(), ErrorKind> {
    let of = |i: usize| addresses.get(i).copied().flatten();
    let elements = nest.buffers.iter().enumerate().map(|(i, buffer)| {
        let element = |k: usize| match of(i) {
            // SAFETY: the value has so many elements; those of an output are overwritten, whatever they are.
            Some(start) => unsafe { element(start.add(k * buffer.dtype.size()), buffer.dtype) },
            None => Scalar::new(buffer.dtype, Number::Int(0)).number(),
        };
        (0..buffer.len).map(element).collect()
    });
    let mut memory: Vec<Vec<Number>> = elements.collect();
    nest.eval(&mut memory)?;
    for (i, (buffer, elements)) in nest.buffers.iter().zip(memory).enumerate() {
        if buffer.role != Role::Output {
            continue;
        }
        let Some(start) = of(i) else { unreachable!("an output has memory") };
        for (k, value) in elements.into_iter().enumerate() {
            let (bits, size) = (Scalar::new(buffer.dtype, value).bits(), buffer.dtype.size());
            // SAFETY: as above; the first bytes of the bits are the element.
            unsafe {
                let bits = bits.to_le_bytes();
                std::ptr::copy_nonoverlapping(bits.as_ptr(), start.add(k * size), size);
            }
        }
    }
    Ok(())
}

/// An element of memory.
///
/// # Safety
/// It is readable, and one of the dtype.
unsafe fn element(at: *const u8, dtype: DType) -> Number {
    // SAFETY: as the caller's.
    unsafe {
        match dtype {
            DType::Bool => Number::Bool(at.read() != 0),
            DType::I32 => Number::Int(at.cast::<i32>().read_unaligned().into()),
            DType::I64 => Number::Int(at.cast::<i64>().read_unaligned().into()),
            DType::U32 => Number::Int(at.cast::<u32>().read_unaligned().into()),
            DType::F32 => Number::Float(at.cast::<f32>().read_unaligned().into()),
            DType::F64 => Number::Float(at.cast::<f64>().read_unaligned()),
        }
    }
}
