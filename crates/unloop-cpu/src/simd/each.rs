//! The loop of all cheap elementwise kernels: one result from up to three operands, each a vector
//! or one broadcast element.

use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};

use super::level::Kernel;

/// An operation on single elements. Operands it does not have are `()`.
pub(super) trait Each {
    type A: Copy;
    type B: Copy;
    type C: Copy;
    type Out: Copy;
    fn apply(a: Self::A, b: Self::B, c: Self::C) -> Self::Out;
}

/// The loop over a tile; `S*` says that an operand is one broadcast element.
pub(super) struct Loop<E, const SA: bool, const SB: bool, const SC: bool>(PhantomData<E>);

/// Elements computed at a time when the result replaces an operand.
const CHUNK: usize = 256;

impl<E: Each, const SA: bool, const SB: bool, const SC: bool> Kernel for Loop<E, SA, SB, SC> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
        if n == 0 {
            return;
        }
        let (dst, a) = (dst.cast::<E::Out>(), a.cast::<E::A>());
        let (b, c) = (b.cast::<E::B>(), c.cast::<E::C>());
        let same = |is_vector: bool, p: *const u8, size: usize| {
            is_vector && size > 0 && std::ptr::eq(dst.cast_const().cast(), p)
        };
        // The compiler vectorises only when it knows or can test that the result overlaps no
        // operand, so a result that replaces an operand goes through a buffer.
        let in_place = same(!SA, a.cast(), size_of::<E::A>())
            || same(!SB, b.cast(), size_of::<E::B>())
            || same(!SC, c.cast(), size_of::<E::C>());
        let mut buffer = MaybeUninit::<[E::Out; CHUNK]>::uninit();
        let step = if in_place { CHUNK } else { n };
        let mut start = 0;
        // SAFETY: the caller makes `n` elements of each vector operand and of the result (one of
        // a scalar operand) valid; `start + m <= n`, and `m <= CHUNK` where the buffer is used. A
        // chunk is written after its operands were read, and results are not larger than the
        // operands that they replace, so no operand is overwritten before it is read.
        unsafe {
            let scalar_a = a.read_unaligned();
            let scalar_b = b.read_unaligned();
            let scalar_c = c.read_unaligned();
            while start < n {
                let m = step.min(n - start);
                let out = if in_place { buffer.as_mut_ptr().cast() } else { dst.add(start) };
                for i in 0..m {
                    let x = if SA { scalar_a } else { a.add(start + i).read_unaligned() };
                    let y = if SB { scalar_b } else { b.add(start + i).read_unaligned() };
                    let z = if SC { scalar_c } else { c.add(start + i).read_unaligned() };
                    out.add(i).write_unaligned(E::apply(x, y, z));
                }
                if in_place {
                    std::ptr::copy_nonoverlapping(out, dst.add(start), m);
                }
                start += m;
            }
        }
    }
}
