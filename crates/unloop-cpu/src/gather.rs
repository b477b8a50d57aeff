//! Gather and scatter: windows at computed positions, copied or combined in place.

use std::sync::{Mutex, PoisonError};

use unloop_graph::op::{Gather, IndexMode, Scatter};
use unloop_graph::{ErrorKind, TensorType, cancel};

use crate::memory::{Addresses, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{
    CombineFn, Mode, Places, Simd, TileFn, combination, combine_rows, copy_rows, fill,
};
use crate::windows::{Roles, Tile, Windows};

/// Predicted nanoseconds of a window, and of one of its elements.
const WINDOW_NS: f64 = 2.0;
const ELEMENT_NS: f64 = 0.5;

/// Tiles that are enough for all threads.
const ENOUGH: usize = 16;

/// Elements of a row that are combined by vectors.
const LONG: usize = 64;

/// A part of the elements of a window.
fn piece(i: usize, pieces: usize, elements: usize) -> std::ops::Range<usize> {
    i * elements / pieces..(i + 1) * elements / pieces
}

/// A gather, ready to run.
pub(crate) struct GatherStep {
    windows: Windows,
    sources: [usize; 2],
    target: usize,
}

impl GatherStep {
    /// Compiles a gather of an operand and indices, with their buffers.
    pub fn compile(
        gather: &Gather,
        x: (usize, &TensorType),
        indices: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> GatherStep {
        let d = &gather.dims;
        let roles = Roles {
            window: (gather.window_axes(x.1.rank()), &d.offset_dims),
            sizes: &gather.slice_sizes,
            map: &d.start_index_map,
            batching: (&d.operand_batching_dims, &d.start_indices_batching_dims),
            mode: gather.mode,
        };
        let windows = Windows::new(&roles, x.1, indices.1, &y.1.shape);
        GatherStep { windows, sources: [x.0, indices.0], target: y.0 }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let w = &self.windows;
        let [x, indices] = self.sources.map(|s| SharedPtr(memory.of(s)));
        let y = SharedPtr(memory.of(self.target));
        let elements = w.window_size();
        if elements == 0 {
            return Ok(());
        }
        // The first failure counts, whichever thread finds it.
        let failure: Mutex<Option<(usize, ErrorKind)>> = Mutex::new(None);
        let pieces = if w.tiles() < ENOUGH { w.pieces() } else { 1 };
        let ns = w.count() as f64 * (WINDOW_NS + ELEMENT_NS * elements as f64);
        for_ranges(w.tiles() * pieces, ns, |range| {
            let mut tile = Tile::new();
            for unit in range {
                // SAFETY: the indices are readable.
                let found = unsafe { w.positions(unit / pieces, indices.get(), &mut tile) };
                if let Err(error) = found {
                    let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|f| error.0 < f.0) {
                        *first = Some(error);
                    }
                    return Ok(());
                }
                let part = piece(unit % pieces, pieces, elements);
                // SAFETY: windows that start in bounds lie in the operand, and each one's part of the
                // result is its own.
                unsafe { self.copy(&tile, part, x.get(), y.get()) };
            }
            Ok(())
        })?;
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), |(_, kind)| Err(kind))
    }

    /// Copies some elements of the windows of a tile.
    ///
    /// # Safety
    /// Windows that are inside lie in the operand, and all in the result.
    unsafe fn copy(&self, tile: &Tile, part: std::ops::Range<usize>, x: *const u8, y: *mut u8) {
        let (w, size) = (&self.windows, self.windows.dtype.size());
        if w.nowhere() {
            // Nothing to read, and all is filled.
        } else if w.one_by_one() {
            for i in 0..tile.count() {
                w.for_each_row(part.clone(), |[x_at, y_at], n, [x_step, y_step]| {
                    let x = x.wrapping_offset(tile.at_of(i) + x_at);
                    let y = y.wrapping_offset(tile.other_of(i) + y_at);
                    let (x, y) = ((x, Places::Line(0, x_step)), (y, Places::Line(0, y_step)));
                    // SAFETY: as the caller's; a window that is not inside reads the first one.
                    unsafe { copy_rows(y, x, n, size) };
                });
            }
        } else {
            w.for_each_run(part.clone(), |[x_at, y_at], n| {
                let x = (x.wrapping_offset(x_at), tile.at());
                let y = (y.wrapping_offset(y_at), tile.other());
                // SAFETY: as above.
                unsafe { copy_rows(y, x, tile.count(), n * size) };
            });
        }
        let IndexMode::Fill(value) = w.mode else { return };
        if tile.all_inside() {
            return;
        }
        let value = value.bits().to_le_bytes();
        for i in (0..tile.count()).filter(|&i| !tile.is_inside(i)) {
            w.for_each_run(part.clone(), |[_, y_at], n| {
                let y = y.wrapping_offset(tile.other_of(i) + y_at);
                // SAFETY: as the caller's.
                unsafe { fill(y, value.as_ptr(), n, w.dtype) };
            });
        }
    }
}

/// A scatter, ready to run. Windows are combined in their order, as they may overlap. Where two are the
/// same or apart, different elements of long windows go to different threads.
pub(crate) struct ScatterStep {
    windows: Windows,
    /// What combines old elements and updates: rows of few elements, and of many.
    combine: Option<(CombineFn, TileFn)>,
    bytes: usize,
    sources: [usize; 3],
    target: usize,
}

impl ScatterStep {
    /// Compiles a scatter of an operand, indices and updates, with their buffers.
    pub fn compile(
        scatter: &Scatter,
        simd: Simd,
        x: (usize, &TensorType),
        indices: (usize, &TensorType),
        updates: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> ScatterStep {
        let d = &scatter.dims;
        let sizes = scatter.window_sizes(x.1.rank(), &updates.1.shape);
        let roles = Roles {
            window: (scatter.window_axes(x.1.rank()), &d.update_window_dims),
            sizes: &sizes,
            map: &d.scatter_dims_to_operand_dims,
            batching: (&d.operand_batching_dims, &d.scatter_indices_batching_dims),
            mode: scatter.mode,
        };
        let row = combination(scatter.op);
        let row = row.and_then(|op| simd.binary(op, x.1.dtype, Mode::VectorVector));
        ScatterStep {
            windows: Windows::new(&roles, x.1, indices.1, &updates.1.shape),
            combine: combine_rows(scatter.op, x.1.dtype).zip(row),
            bytes: x.1.bytes(),
            sources: [x.0, indices.0, updates.0],
            target: y.0,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let w = &self.windows;
        let [x, indices, updates] = self.sources.map(|s| SharedPtr(memory.of(s)));
        let y = SharedPtr(memory.of(self.target));
        // SAFETY: operand and result have this size.
        unsafe { std::ptr::copy_nonoverlapping(x.get(), y.get(), self.bytes) };
        let elements = w.window_size();
        if elements == 0 {
            return Ok(());
        }
        let pieces = if w.apart { w.pieces() } else { 1 };
        let ns = w.count() as f64 * (WINDOW_NS + ELEMENT_NS * elements as f64);
        for_ranges(pieces, ns, |range| {
            let mut tile = Tile::new();
            for i in range {
                for number in 0..w.tiles() {
                    cancel::check()?;
                    // SAFETY: the indices are readable.
                    unsafe { w.positions(number, indices.get(), &mut tile) }
                        .map_err(|(_, kind)| kind)?;
                    tile.drop_outside();
                    // SAFETY: windows that start in bounds lie in the result, and no other thread
                    // touches these elements of theirs.
                    unsafe {
                        self.write(&tile, piece(i, pieces, elements), y.get(), updates.get());
                    }
                }
            }
            Ok(())
        })
    }

    /// Combines some elements of the windows of a tile with the updates.
    ///
    /// # Safety
    /// The windows lie in the result, and in the updates.
    unsafe fn write(&self, tile: &Tile, part: std::ops::Range<usize>, y: *mut u8, u: *const u8) {
        let w = &self.windows;
        if w.apart {
            w.for_each_run(part, |[y_at, u_at], n| {
                let y = (y.wrapping_offset(y_at), tile.at());
                let u = (u.wrapping_offset(u_at), tile.other());
                // SAFETY: as the caller's.
                unsafe { self.rows(y, u, tile.count(), n) };
            });
            return;
        }
        for i in 0..tile.count() {
            w.for_each_run(part.clone(), |[y_at, u_at], n| {
                let y = (y.wrapping_offset(y_at), Places::Line(tile.at_of(i), 0));
                let u = (u.wrapping_offset(u_at), Places::Line(tile.other_of(i), 0));
                // SAFETY: as the caller's.
                unsafe { self.rows(y, u, 1, n) };
            });
        }
    }

    /// Combines `n` rows of contiguous elements with the updates.
    ///
    /// # Safety
    /// The rows are valid, and those of both sides do not overlap.
    unsafe fn rows(
        &self,
        y: (*mut u8, Places<'_>),
        u: (*const u8, Places<'_>),
        n: usize,
        elements: usize,
    ) {
        // SAFETY: as the caller's.
        unsafe {
            match self.combine {
                None => copy_rows(y, u, n, elements * self.windows.dtype.size()),
                Some((combine, _)) if elements < LONG => combine(y, u, n, elements),
                Some((_, row)) => {
                    for i in 0..n {
                        let y = y.0.wrapping_offset(y.1.of(i));
                        let u = u.0.wrapping_offset(u.1.of(i));
                        row(y, y, u, u, elements);
                    }
                }
            }
        }
    }
}
