//! Copies between tiles and strided memory. They move elements of any dtype by their size; strides
//! count elements and may be negative or zero. Addresses need no alignment.

use unloop_graph::DType;

/// Runs the body with `$t` an unsigned integer of the dtype's size.
macro_rules! by_size {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::Bool => {
                type $t = u8;
                $body
            }
            DType::I32 | DType::U32 | DType::F32 => {
                type $t = u32;
                $body
            }
            DType::I64 | DType::F64 => {
                type $t = u64;
                $body
            }
        }
    };
}

/// `dst[i] = src[i·stride]` for `i` in `0..n`.
///
/// # Safety
///
/// The elements named must be readable and writable, and the source must not overlap the
/// destination.
pub unsafe fn gather_run(dst: *mut u8, src: *const u8, stride: isize, n: usize, dtype: DType) {
    by_size!(dtype, T => {
        let (dst, src) = (dst.cast::<T>(), src.cast::<T>());
        // Strides that the compiler knows become vectors.
        // SAFETY: as the caller's.
        unsafe {
            match stride {
                -1 => pick_run(dst, src, -1, n),
                0 => pick_run(dst, src, 0, n),
                1 => pick_run(dst, src, 1, n),
                2 => pick_run(dst, src, 2, n),
                _ => pick_run(dst, src, stride, n),
            }
        }
    })
}

/// # Safety
/// As [`gather_run`].
#[inline(always)]
unsafe fn pick_run<T: Copy>(dst: *mut T, src: *const T, stride: isize, n: usize) {
    for i in 0..n {
        // SAFETY: the caller makes element `i` of both runs valid.
        unsafe { dst.add(i).write_unaligned(src.offset(i as isize * stride).read_unaligned()) }
    }
}

/// `dst[i·stride] = src[i]` for `i` in `0..n`.
///
/// # Safety
///
/// As [`gather_run`].
pub unsafe fn scatter_run(dst: *mut u8, stride: isize, src: *const u8, n: usize, dtype: DType) {
    by_size!(dtype, T => {
        let (dst, src) = (dst.cast::<T>(), src.cast::<T>());
        for i in 0..n {
            // SAFETY: the caller makes element `i` of both runs valid.
            unsafe { dst.offset(i as isize * stride).write_unaligned(src.add(i).read_unaligned()) }
        }
    })
}

/// Copies bytes past the caches, for results that are too large to stay in them: a line that is
/// written as a whole need not be read first.
///
/// # Safety
///
/// The bytes must be readable and writable, and must not overlap.
pub unsafe fn copy_past_caches(dst: *mut u8, src: *const u8, bytes: usize) {
    // SAFETY: as the caller's; lines are aligned, and SSE2 is there on x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        const LINE: usize = 64;
        let head = dst.align_offset(LINE).min(bytes);
        std::ptr::copy_nonoverlapping(src, dst, head);
        let lines = (bytes - head) / LINE;
        for line in 0..lines {
            let (to, from) = (dst.add(head + line * LINE), src.add(head + line * LINE));
            for part in 0..LINE / 16 {
                let value = _mm_loadu_si128(from.cast::<__m128i>().add(part));
                _mm_stream_si128(to.cast::<__m128i>().add(part), value);
            }
        }
        let done = head + lines * LINE;
        std::ptr::copy_nonoverlapping(src.add(done), dst.add(done), bytes - done);
    }
    // SAFETY: as the caller's.
    #[cfg(not(target_arch = "x86_64"))]
    unsafe {
        std::ptr::copy_nonoverlapping(src, dst, bytes);
    }
}

/// Makes what was copied past the caches visible to other threads.
pub fn finish_past_caches() {
    // SAFETY: SSE is there on x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// `dst[i] = *value` for `i` in `0..n`.
///
/// # Safety
///
/// `value` must be readable for one element, `dst` writable for `n`.
pub unsafe fn fill(dst: *mut u8, value: *const u8, n: usize, dtype: DType) {
    by_size!(dtype, T => {
        // SAFETY: the caller makes one value readable.
        let (dst, value) = (dst.cast::<T>(), unsafe { value.cast::<T>().read_unaligned() });
        for i in 0..n {
            // SAFETY: the caller makes `n` elements writable.
            unsafe { dst.add(i).write_unaligned(value) }
        }
    })
}

/// `tile[i] = tile[kept[i]]`, for increasing `kept`.
///
/// # Safety
///
/// The elements named must be readable and writable.
pub unsafe fn pick(tile: *mut u8, kept: &[u32], dtype: DType) {
    by_size!(dtype, T => {
        let tile = tile.cast::<T>();
        for (i, &from) in kept.iter().enumerate() {
            // SAFETY: the caller makes both elements valid; those behind `i` are read later.
            unsafe { tile.add(i).write_unaligned(tile.add(from as usize).read_unaligned()) }
        }
    })
}

/// `dst[places[i]] = tile[i]`.
///
/// # Safety
///
/// The elements named must be readable and writable.
pub unsafe fn put(dst: *mut u8, places: &[u32], tile: *const u8, dtype: DType) {
    by_size!(dtype, T => {
        let (dst, tile) = (dst.cast::<T>(), tile.cast::<T>());
        for (i, &to) in places.iter().enumerate() {
            // SAFETY: the caller makes both elements valid.
            unsafe { dst.add(to as usize).write_unaligned(tile.add(i).read_unaligned()) }
        }
    })
}

/// `dst[i] = src[words[i] & mask]` for `i` in `0..n`.
///
/// # Safety
///
/// The elements named must be readable and writable, and the source must not overlap the
/// destination.
pub unsafe fn permute(
    dst: *mut u8,
    src: *const u8,
    words: *const i64,
    mask: i64,
    n: usize,
    dtype: DType,
) {
    by_size!(dtype, T => {
        let (dst, src) = (dst.cast::<T>(), src.cast::<T>());
        for i in 0..n {
            // SAFETY: the caller makes the elements valid.
            unsafe {
                let from = (words.add(i).read() & mask) as usize;
                dst.add(i).write_unaligned(src.add(from).read_unaligned());
            }
        }
    })
}

/// How many of `n` booleans are true.
///
/// # Safety
///
/// They must be readable.
pub unsafe fn count_true(mask: *const u8, n: usize) -> usize {
    // SAFETY: as the caller's.
    let mask = unsafe { std::slice::from_raw_parts(mask, n) };
    mask.iter().map(|&byte| usize::from(byte)).sum()
}
