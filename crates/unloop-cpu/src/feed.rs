//! What a tile's instructions read: addresses in memory, and tiles filled from memory or counting.

use smallvec::SmallVec;
use unloop_graph::{DType, Scalar};
use unloop_kernel::Window;

use crate::simd::{Columns, Simd, fill, gather_run};
use crate::tape::Slot;

/// How an address comes about that differs from tile to tile.
pub(crate) enum Feed {
    /// The elements lie side by side in memory: no copy.
    Direct { slot: Slot, stream: usize, size: isize },
    /// One element for the whole tile.
    Uniform { slot: Slot, stream: usize, size: isize },
    /// Copied to a tile from elements at a distance.
    Strided { slot: Slot, stream: usize, stride: isize, dtype: DType },
    /// Copied to tiles from elements at a distance, for the next rows too, whose elements lie beside
    /// those of this one. `buffer` has a tile for each of [`BLOCK`] rows, `key` tells what is there.
    Block {
        slot: Slot,
        stream: usize,
        stride: isize,
        dtype: DType,
        axis: Axis,
        buffer: Slot,
        key: Slot,
    },
    /// Copied to a tile, with a fill outside of windows.
    Windowed { slot: Slot, stream: usize, stride: isize, dtype: DType, windows: Windows },
    /// Positions along the inner axis.
    Count { slot: Slot, scale: isize, offset: isize, dtype: DType },
    /// The position along an outer axis, on all elements of a row.
    Row { slot: Slot, axis: usize, scale: isize, offset: isize, dtype: DType },
    /// The position along an outer axis, one element.
    Position { slot: Slot, axis: usize, scale: isize, offset: isize, dtype: DType },
}

/// Rows that are read together: as many elements of eight bytes as a cache line has.
pub(crate) const BLOCK: usize = 8;

/// An outer axis: its number among these, and its extent.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub number: usize,
    pub extent: usize,
}

pub(crate) struct Windows {
    pub inner: Option<Window>,
    /// Windows along outer axes, by their number among these.
    pub outer: SmallVec<[Window; 2]>,
    pub fill: Option<Scalar>,
    /// The strides along the windows' outer axes.
    pub outer_strides: SmallVec<[isize; 2]>,
}

impl Feed {
    /// Fills elements `shift..shift + n` of a tile; addresses of memory are those of its first
    /// elements.
    ///
    /// # Safety
    /// As [`Tape::run`](crate::tape::Tape::run).
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        ptrs: &mut [*mut u8],
        bases: &[*mut u8],
        offsets: &[isize],
        index: &[usize],
        start: usize,
        n: usize,
        shift: usize,
        (simd, tile): (Simd, usize),
    ) {
        let to = |ptrs: &[*mut u8], slot: Slot, dtype: DType| {
            ptrs[slot as usize].wrapping_add(shift * dtype.size())
        };
        let at = |stream: usize, stride: isize, size: isize| {
            bases[stream].wrapping_offset((offsets[stream] + start as isize * stride) * size)
        };
        // SAFETY: the caller vouches for what the loads name; registers have room for a tile.
        unsafe {
            match self {
                Feed::Direct { .. } | Feed::Uniform { .. } if shift > 0 => {}
                Feed::Direct { slot, stream, size } => {
                    ptrs[*slot as usize] = at(*stream, 1, *size);
                }
                Feed::Uniform { slot, stream, size } => {
                    ptrs[*slot as usize] = at(*stream, 0, *size);
                }
                Feed::Strided { slot, stream, stride, dtype } => {
                    let source = at(*stream, *stride, dtype.size() as isize);
                    match stride {
                        1 => {
                            let bytes = n * dtype.size();
                            std::ptr::copy_nonoverlapping(source, to(ptrs, *slot, *dtype), bytes);
                        }
                        _ => gather_run(to(ptrs, *slot, *dtype), source, *stride, n, *dtype),
                    }
                }
                Feed::Block { slot, stream, stride, dtype, axis, buffer, key } => {
                    let row = index[axis.number] % BLOCK;
                    let size = dtype.size();
                    // The block's first row.
                    let rows = at(*stream, *stride, size as isize).wrapping_sub(row * size);
                    let buffer = ptrs[*buffer as usize];
                    let pitch = (tile * size) as u32;
                    let key = ptrs[*key as usize].cast::<usize>();
                    if key.read() != rows.addr() {
                        let left = axis.extent - (index[axis.number] - row);
                        let columns: SmallVec<[Option<u32>; BLOCK]> =
                            (0..left.min(BLOCK) as u32).map(|k| Some(k * pitch)).collect();
                        let stride = *stride as usize;
                        let columns = Columns { rows, stride, columns: &columns, start: buffer, n };
                        simd.split(columns, *dtype);
                        key.write(rows.addr());
                    }
                    ptrs[*slot as usize] = buffer.wrapping_add(row * tile * size);
                }
                Feed::Windowed { slot, stream, stride, dtype, windows } => {
                    let base = bases[*stream];
                    let dst = to(ptrs, *slot, *dtype);
                    windows.read(dst, base, offsets[*stream], *stride, index, start, n, *dtype);
                }
                Feed::Count { slot, scale, offset, dtype } => {
                    let first = offset + start as isize * scale;
                    count(to(ptrs, *slot, *dtype), first, *scale, n, *dtype);
                }
                Feed::Row { slot, axis, scale, offset, dtype } => {
                    let at = offset + index[*axis] as isize * scale;
                    count(to(ptrs, *slot, *dtype), at, 0, n, *dtype);
                }
                Feed::Position { slot, axis, scale, offset, dtype } => {
                    let at = offset + index[*axis] as isize * scale;
                    count(ptrs[*slot as usize], at, 0, 1, *dtype);
                }
            }
        }
    }
}

impl Windows {
    /// # Safety
    /// As [`Tape::run`].
    #[allow(clippy::too_many_arguments)]
    unsafe fn read(
        &self,
        dst: *mut u8,
        base: *const u8,
        mut offset: isize,
        stride: isize,
        index: &[usize],
        start: usize,
        n: usize,
        dtype: DType,
    ) {
        let size = dtype.size();
        let fill_value = self.fill.map_or(0, Scalar::bits).to_le_bytes();
        // SAFETY: the destination has room for `n` elements.
        let fill_run = |from: usize, to: usize| unsafe {
            fill(dst.add(from * size), fill_value.as_ptr(), to - from, dtype);
        };
        for (window, stride) in self.outer.iter().zip(&self.outer_strides) {
            let i = index[window.axis];
            if i < window.low || i >= window.high || !(i - window.low).is_multiple_of(window.step) {
                return fill_run(0, n);
            }
            // The cursor counted positions of the space; the load counts those of the window.
            let moved = (i - window.low) / window.step;
            offset += moved as isize * stride;
        }
        let at = |position: usize| {
            base.wrapping_offset((offset + position as isize * stride) * size as isize)
        };
        let Some(window) = self.inner else {
            // SAFETY: the caller vouches for the elements.
            return unsafe { gather_run(dst, at(start), stride, n, dtype) };
        };
        let low = window.low.clamp(start, start + n);
        let high = window.high.clamp(low, start + n);
        if window.step == 1 {
            fill_run(0, low - start);
            fill_run(high - start, n);
            if high > low {
                let target = dst.wrapping_add((low - start) * size);
                // SAFETY: positions inside of the window exist.
                unsafe { gather_run(target, at(low - window.low), stride, high - low, dtype) };
            }
            return;
        }
        fill_run(0, n);
        let first = (low - window.low).div_ceil(window.step);
        let count = high.saturating_sub(window.low + first * window.step).div_ceil(window.step);
        for j in first..first + count {
            let target = dst.wrapping_add((window.low + j * window.step - start) * size);
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(at(j), target, size) };
        }
    }
}

/// Writes `first + i·step` for `i` in `0..n`, wrapped or rounded to the dtype.
///
/// # Safety
/// `dst` is writable for `n` elements.
pub(crate) unsafe fn count(dst: *mut u8, first: isize, step: isize, n: usize, dtype: DType) {
    macro_rules! run {
        ($t:ty) => {
            for i in 0..n {
                let value = first.wrapping_add(i as isize * step);
                // SAFETY: the caller makes `n` elements writable.
                unsafe { dst.cast::<$t>().add(i).write_unaligned(value as $t) }
            }
        };
    }
    match dtype {
        DType::Bool => run!(u8),
        DType::I32 => run!(i32),
        DType::I64 => run!(i64),
        DType::U32 => run!(u32),
        DType::F32 => run!(f32),
        DType::F64 => run!(f64),
    }
}
