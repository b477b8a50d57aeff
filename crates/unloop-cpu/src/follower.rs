//! What is computed of the results of a reduction or a product as soon as some of them are there, instead
//! of when all of them lie in memory.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, Shape, ValueId};
use unloop_kernel::{Kernel, Load, Strided};

use crate::map::{inner_axis, layout_cost, rows, rows_cost};
use crate::memory::{ALIGN, Addresses};
use crate::simd::{Simd, copy_past_caches, fill, finish_past_caches, scatter_run};
use crate::space::{Cursor, Rows};
use crate::tape::{Place, Table, Tape, Tiling};

/// A kernel that follows a reduction, ready to run.
pub(crate) struct Follower {
    pub tape: Tape,
    /// The axes but the inner one; streams are the loads, then the store.
    rows: Rows,
    /// The buffers of the loads; none for the results that it follows.
    sources: Vec<Option<usize>>,
    target: usize,
    /// Elements along the inner axis.
    extent: usize,
    /// Rows in a tile, if tiles take whole rows.
    block: Option<usize>,
    /// Distance of results along the inner axis.
    stride: isize,
    past_caches: bool,
    /// Bytes of an element of the results that it follows.
    size: usize,
}

/// Results of a reduction, at least: fewer are not written to memory anyway.
const MANY: usize = 1 << 15;

/// A kernel on the axes of the results of a reduction, if it can follow that; both are collapsed.
pub(crate) fn following(reduction: &Kernel, then: &Kernel) -> Option<Kernel> {
    let (kept, value) = (reduction.kept(), reduction.store.value);
    let space = &reduction.space[..kept];
    let results: usize = space.iter().product();
    let inner = inner_axis(reduction);
    if results < MANY
        || reduction.space.contains(&0)
        || inner >= kept
        || then.reduction.is_some()
        || then.has_positions()
    {
        return None;
    }
    let whole = Shape::from(space).strides();
    let mut then = then.clone();
    // One axis is all of them, one after the other.
    if then.space[..] == [results] {
        let along = |stride: isize| whole.iter().map(|s| s * stride).collect();
        then.loads.iter_mut().for_each(|l| l.source.strides = along(l.source.strides[0]));
        then.store.strides = along(then.store.strides[0]);
        then.space = SmallVec::from_slice(space);
    }
    let fits = |load: &Load| match load.source.value == value {
        true => load.source.offset == 0 && load.source.strides[..] == whole[..],
        false => matches!(load.source.strides[inner], 0 | 1),
    };
    (then.space[..] == *space && then.loads.iter().all(fits)).then_some(then)
}

impl Follower {
    /// Compiles what follows the results of a value and dtype, along the same inner axis. Several rows
    /// are taken together where that is cheaper, if results come in `whole_rows`.
    pub fn compile(
        (value, inner, dtype): (ValueId, usize, DType),
        then: &Kernel,
        whole_rows: bool,
        simd: Simd,
        is_too_large: bool,
        buffer: impl Fn(ValueId) -> usize,
    ) -> Follower {
        let mut then = then.clone();
        let store = Strided { strides: Shape::from(&then.space[..]).strides(), ..then.store };
        let by_rows = whole_rows
            && then.store == Strided { offset: 0, ..store }
            && rows_cost(&then) < layout_cost(&then, inner);
        let mut sources = Vec::new();
        for load in &mut then.loads {
            let is_result = load.source.value == value;
            sources.push((!is_result).then(|| buffer(load.source.value)));
            if is_result && !by_rows {
                // A tile of results begins where the tile begins.
                load.source.strides.iter_mut().for_each(|stride| *stride = 0);
                load.source.strides[inner] = 1;
            }
        }
        let outer: Vec<usize> = (0..then.space.len()).filter(|&a| a != inner).collect();
        let tiling = if by_rows { Tiling::Rows } else { Tiling::Part };
        let tape = Tape::compile(&then, inner, simd, tiling);
        let extent = then.space[inner].max(1);
        let stride = then.store.strides[inner];
        Follower {
            rows: rows(&then, &outer),
            sources,
            target: buffer(then.store.value),
            extent,
            block: by_rows.then(|| (tape.tile / extent).max(1)),
            stride,
            past_caches: is_too_large && stride == 1,
            size: dtype.size(),
            tape,
        }
    }

    /// The addresses of the loads' buffers.
    fn bases(&self, memory: Addresses<'_>, results: *mut u8) -> SmallVec<[*mut u8; 8]> {
        let base = |source: &Option<usize>| source.map_or(results, |s| memory.of(s));
        self.sources.iter().map(base).collect()
    }

    /// Runs `f` with memory of this thread for what follows, and `bytes` more.
    pub fn with_scratch<R>(
        &self,
        bytes: usize,
        f: impl FnOnce(Following<'_>, *mut u8) -> R,
    ) -> Result<R, ErrorKind> {
        let tile_bytes = (self.tape.tile * 8).next_multiple_of(ALIGN);
        let result = self.tape.with_table(tile_bytes + bytes, |table, tile| {
            f(Following { follower: self, table, tile }, tile.wrapping_add(tile_bytes))
        })?;
        if self.past_caches {
            finish_past_caches();
        }
        Ok(result)
    }

    /// Bytes of scratch memory of a thread, with `bytes` more.
    pub fn scratch(&self, bytes: usize) -> usize {
        self.tape.scratch() + (self.tape.tile * 8).next_multiple_of(ALIGN) + bytes
    }
}

/// A follower that runs: its tape's addresses, and a tile.
pub(crate) struct Following<'a> {
    follower: &'a Follower,
    table: &'a mut Table,
    tile: *mut u8,
}

impl Following<'_> {
    /// Takes results that lie side by side, from this one on, and writes what follows. The inner axis
    /// is the last one.
    ///
    /// # Safety
    /// As [`Following::run`], for all rows that the range touches.
    pub unsafe fn run_all(&mut self, memory: Addresses<'_>, results: *mut u8, range: Range<usize>) {
        let Follower { extent, size, .. } = *self.follower;
        if let Some(block) = self.follower.block {
            // Loads count from the start of all results.
            let all = results.wrapping_sub(range.start * size);
            let rows = range.start / extent..range.end / extent;
            // SAFETY: as the caller's.
            return unsafe { self.run_rows(memory, all, rows, block) };
        }
        let mut at = range.start;
        let mut cursor = self.follower.rows.at(at / extent);
        while at < range.end {
            let start = at % extent;
            let n = (extent - start).min(range.end - at);
            let from = results.wrapping_add((at - range.start) * size);
            // SAFETY: as the caller's.
            unsafe { self.run_row(memory, from, &cursor, start..start + n) };
            cursor.advance();
            at += n;
        }
    }

    /// Takes elements of a row of results, and writes what follows.
    ///
    /// # Safety
    /// The buffers are as large as their values, `results` has the elements of the range, and nobody
    /// else writes this part of the target.
    pub unsafe fn run(
        &mut self,
        memory: Addresses<'_>,
        results: *mut u8,
        row: usize,
        range: Range<usize>,
    ) {
        let cursor = self.follower.rows.at(row);
        // SAFETY: as the caller's.
        unsafe { self.run_row(memory, results, &cursor, range) };
    }

    /// The same, with a cursor at the row.
    unsafe fn run_row(
        &mut self,
        memory: Addresses<'_>,
        results: *mut u8,
        cursor: &Cursor<'_>,
        range: Range<usize>,
    ) {
        let Following { follower, table, tile } = self;
        let Follower { tape, stride, past_caches, .. } = follower;
        // Loads count from the start of the row.
        let results = results.wrapping_sub(range.start * follower.size);
        let bases = follower.bases(memory, results);
        let (dtype, target) = (tape.dtype, memory.of(follower.target));
        for start in range.clone().step_by(tape.tile) {
            let n = tape.tile.min(range.end - start);
            let at = cursor.offsets[bases.len()] + start as isize * stride;
            let out = target.wrapping_offset(at * dtype.size() as isize);
            let result = if *stride == 1 && !past_caches { out } else { *tile };
            // SAFETY: as the caller's.
            unsafe {
                tape.run(table, &bases, &cursor.offsets, &cursor.index, result, start, n);
                let from = match tape.result {
                    Place::Result => result,
                    Place::Tile(slot) => table.get(slot),
                    Place::Uniform(slot) => {
                        fill(*tile, table.get(slot), n, dtype);
                        *tile
                    }
                };
                match *stride {
                    1 if from == out => {}
                    1 if *past_caches => copy_past_caches(out, from, n * dtype.size()),
                    1 => std::ptr::copy_nonoverlapping(from, out, n * dtype.size()),
                    stride => scatter_run(out, stride, from, n, dtype),
                }
            }
        }
    }

    /// Takes whole rows, `block` of them in each tile.
    ///
    /// # Safety
    /// As [`Following::run`].
    unsafe fn run_rows(
        &mut self,
        memory: Addresses<'_>,
        results: *mut u8,
        range: Range<usize>,
        block: usize,
    ) {
        let Following { follower, table, tile } = self;
        let Follower { tape, extent, past_caches, .. } = follower;
        let (bases, size) = (follower.bases(memory, results), tape.dtype.size());
        let mut cursor = follower.rows.at(range.start);
        for first in range.clone().step_by(block) {
            let rows = block.min(range.end - first);
            let n = rows * extent;
            let out = memory.of(follower.target).wrapping_add(first * extent * size);
            // SAFETY: as the caller's.
            unsafe {
                let result = if *past_caches { *tile } else { out };
                tape.run_rows(table, &bases, &mut cursor, result, *extent, rows);
                tape.store_rows(table, out, past_caches.then_some(*tile), n);
            }
        }
    }
}
