//! Running kernels that reduce. Either the inner axis is a reduced one, and each tile is folded to
//! one element; or it is a kept one, and tiles of results take in one reduced index after the
//! other. Large reductions to few results are cut into pieces, by size alone, and the pieces'
//! results are combined pairwise.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, ReduceOp, ValueId, cancel};
use unloop_kernel::Kernel;

use crate::follower::{Follower, Following};
use crate::map::{bases, inner_axis, layout_cost, rows};
use crate::memory::{Addresses, Arena, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{Mode, Simd, TileFn, fill, scatter_run};
use crate::space::Rows;
use crate::summand::{self, Summand};
use crate::tape::{Place, Table, Tape, Tiling};

/// A kernel with a reduction, ready to run.
pub(crate) struct Reduce {
    tape: Tape,
    /// The kept axes but the inner one; streams are the loads, then the store.
    kept: Rows,
    /// The reduced axes but the inner one.
    reduced: Rows,
    /// Extent of the inner axis, and whether it is reduced.
    extent: usize,
    inner_is_reduced: bool,
    sources: Vec<usize>,
    target: usize,
    /// Distance of the results of neighbours along an inner axis that is kept.
    stride: isize,
    /// Elements of the result.
    results: usize,
    /// Into how many pieces the reduced indices are cut.
    pieces: usize,
    identity: [u8; 8],
    fold: TileFn,
    combine: TileFn,
    combine_uniform: TileFn,
    /// How tiles are added to totals, where that is more than an addition.
    summand: Option<Summand>,
    /// What takes the results instead of memory.
    follower: Option<Follower>,
    /// Whether partial sums are kept apart to bound rounding errors.
    is_rounding: bool,
    /// How many rows share a tile, if rows are short.
    block: Option<usize>,
    ns: f64,
}

/// Elements of the space that make one piece of a large reduction.
const PIECE: usize = 1 << 16;

/// Pieces, at most: their results are combined by one thread.
const MAX_PIECES: usize = 64;

/// Below this number of results per tile a reduction is cut into pieces.
const FEW_RESULTS: usize = 16;

/// Up to this extent several rows share a tile.
const SHORT: usize = 512;

/// Reduced indices that are summed before they are added to the total.
const BLOCK: usize = 64;

impl Reduce {
    /// Predicted nanoseconds, of one thread.
    pub fn ns(&self) -> f64 {
        self.ns
    }

    /// Compiles a collapsed kernel with a reduction; `None` if it has none, or the dtype no such
    /// operation. `buffer` gives the number of the buffer of a value.
    pub fn compile(
        kernel: &Kernel,
        simd: Simd,
        buffer: impl Fn(ValueId) -> usize,
    ) -> Option<Reduce> {
        let op = kernel.reduction?.op;
        let dtype = kernel.dtype();
        let kept = kernel.kept();
        // Folding a tile costs one more pass; so does adding it to the results.
        let inner = inner_axis(kernel);
        let others =
            |range: Range<usize>| -> Vec<usize> { range.filter(|&a| a != inner).collect() };
        let (kept_axes, reduced_axes) = (others(0..kept), others(kept..kernel.space.len()));
        let total: usize = kernel.space.iter().product();
        let results: usize = kernel.space[..kept].iter().product();
        // Short rows share a tile, so that its instructions start once for all of them; their
        // results lie side by side.
        let strides = unloop_graph::Shape::from(&kernel.space[..kept]).strides();
        let by_rows = reduced_axes.is_empty()
            && inner + 1 == kernel.space.len()
            && inner >= kept
            && (1..=SHORT).contains(&kernel.space[inner])
            && results >= FEW_RESULTS
            && kernel.store.offset == 0
            && kernel.store.strides[..kept] == strides[..];
        let tiling = if by_rows { Tiling::Rows } else { Tiling::Part };
        let summand = (inner < kept).then(|| summand::compile(kernel, inner, simd)).flatten();
        let (tape, summand) = match summand {
            Some((tape, summand)) => (tape, Some(summand)),
            None => (Tape::compile(kernel, inner, simd, tiling), None),
        };
        let units = results / if inner < kept { tape.tile.min(results.max(1)) } else { 1 };
        let pieces = match units < FEW_RESULTS && results * MAX_PIECES <= total {
            true => (total / PIECE).clamp(1, MAX_PIECES),
            false => 1,
        };
        let ns = total as f64 * (tape.ns + 0.1) + layout_cost(kernel, inner);
        Some(Reduce {
            kept: rows(kernel, &kept_axes),
            reduced: {
                let mut without_starts = kernel.clone();
                without_starts.loads.iter_mut().for_each(|l| l.source.offset = 0);
                without_starts.store.offset = 0;
                rows(&without_starts, &reduced_axes)
            },
            extent: kernel.space[inner],
            inner_is_reduced: inner >= kept,
            sources: kernel.loads.iter().map(|l| buffer(l.source.value)).collect(),
            target: buffer(kernel.store.value),
            stride: kernel.store.strides.get(inner).copied().unwrap_or(1),
            results,
            pieces,
            identity: op.identity(dtype).bits().to_le_bytes(),
            fold: simd.reduce(op, dtype)?,
            combine: simd.binary(op.binary(), dtype, Mode::VectorVector)?,
            combine_uniform: simd.binary(op.binary(), dtype, Mode::VectorScalar)?,
            block: by_rows.then(|| tape.tile / kernel.space[inner]),
            summand,
            follower: None,
            is_rounding: op == ReduceOp::Sum && dtype.is_float(),
            tape,
            ns,
        })
    }

    /// The same, with what follows it on the same inner axis.
    pub fn followed_by(mut self, follower: Follower) -> Reduce {
        self.ns += self.results as f64 * follower.tape.ns;
        self.follower = Some(follower);
        // Its results are many, so there is one piece.
        self.pieces = 1;
        self
    }

    fn dtype(&self) -> DType {
        self.tape.dtype
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let target = memory.of(self.target);
        if self.results == 0 {
            return Ok(());
        }
        if self.extent == 0 || self.reduced.count() == 0 {
            // SAFETY: the result has this many elements.
            unsafe { fill(target, self.identity.as_ptr(), self.results, self.dtype()) };
            return Ok(());
        }
        if let Some(block) = self.block {
            return for_ranges(self.results.div_ceil(block), self.ns, |range| {
                let rows = range.start * block..(range.end * block).min(self.results);
                // SAFETY: as the caller's; ranges are disjoint.
                unsafe { self.fold_short_rows(memory, rows, block) }
            });
        }
        if self.pieces == 1 {
            // SAFETY: as the caller's.
            return unsafe { self.run_pieces(memory, SharedPtr(target)) };
        }
        let (size, n) = (self.dtype().size(), self.results);
        let mut partial = Arena::new();
        let start = partial.reserve(self.partial_bytes())?;
        let at = |piece: usize| start.wrapping_add(piece * n * size);
        // SAFETY: the partial results have room for all pieces; combining reads and writes those
        // of different pieces.
        unsafe {
            self.run_pieces(memory, SharedPtr(start))?;
            let mut gap = 1;
            while gap < self.pieces {
                for piece in (0..self.pieces - gap).step_by(2 * gap) {
                    (self.combine)(at(piece), at(piece), at(piece + gap), at(piece), n);
                }
                gap *= 2;
            }
            std::ptr::copy_nonoverlapping(start, target, n * size);
        }
        Ok(())
    }

    /// Bytes of the results of pieces.
    pub fn partial_bytes(&self) -> usize {
        match self.pieces {
            1 => 0,
            pieces => pieces * self.results * self.dtype().size(),
        }
    }

    /// Writes the results of all pieces, one after the other.
    unsafe fn run_pieces(&self, memory: Addresses<'_>, target: SharedPtr) -> Result<(), ErrorKind> {
        let tiles = match self.inner_is_reduced {
            true => 1,
            false => self.extent.div_ceil(self.tape.tile),
        };
        let units = self.kept.count() * tiles;
        for_ranges(units * self.pieces, self.ns, |range| {
            let tape = &self.tape;
            // Five tiles: the program's result, two totals in turn, a block's totals in turn.
            let tile_bytes = (tape.tile * 8).next_multiple_of(64);
            tape.with_table(5 * tile_bytes, |table, buffer| {
                let scratch = Scratch { table, buffer, tile_bytes };
                let Some(follower) = &self.follower else {
                    // SAFETY: as the caller's; ranges are disjoint.
                    return unsafe {
                        self.run_units(memory, target, (range, units), scratch, None)
                    };
                };
                follower.with_scratch(0, |follower, _| {
                    // SAFETY: as above.
                    unsafe {
                        self.run_units(memory, target, (range, units), scratch, Some(follower))
                    }
                })?
            })?
        })
    }

    /// Runs a range of the pieces of all units.
    unsafe fn run_units(
        &self,
        memory: Addresses<'_>,
        target: SharedPtr,
        (range, units): (Range<usize>, usize),
        mut scratch: Scratch<'_>,
        mut follower: Option<Following<'_>>,
    ) -> Result<(), ErrorKind> {
        let bases = bases(&self.sources, memory);
        let tiles = units / self.kept.count().max(1);
        for item in range {
            let (piece, unit) = (item / units, item % units);
            let cursor = self.kept.at(unit / tiles);
            let part = Part {
                piece,
                row: unit / tiles,
                tile: unit % tiles,
                offsets: &cursor.offsets,
                index: &cursor.index,
                out: target.get().wrapping_add(piece * self.results * self.dtype().size()),
            };
            // SAFETY: each item writes results of its own.
            unsafe {
                if self.inner_is_reduced {
                    self.fold_rows(&mut scratch, &bases, &part)?;
                    continue;
                }
                let (totals, start, n) = self.add_rows(&mut scratch, &bases, &part)?;
                match &mut follower {
                    Some(follower) => follower.run(memory, totals, part.row, start..start + n),
                    None => self.store(&part, bases.len(), totals, start, n),
                }
            }
        }
        Ok(())
    }

    /// Stores a tile of results.
    unsafe fn store(&self, part: &Part<'_>, streams: usize, from: *mut u8, start: usize, n: usize) {
        let (dtype, size) = (self.dtype(), self.dtype().size());
        let at = part.offsets[streams] + start as isize * self.stride;
        let out = part.out.wrapping_offset(at * size as isize);
        // SAFETY: the elements are this unit's own.
        unsafe {
            match self.stride {
                1 => std::ptr::copy_nonoverlapping(from, out, n * size),
                stride => scatter_run(out, stride, from, n, dtype),
            }
        }
    }

    /// The reduced units of a piece: rows, or rows × tiles when the inner axis is reduced.
    fn piece_range(&self, piece: usize, units: usize) -> Range<usize> {
        piece * units / self.pieces..(piece + 1) * units / self.pieces
    }

    /// Folds whole rows, `block` of them in each tile.
    unsafe fn fold_short_rows(
        &self,
        memory: Addresses<'_>,
        range: Range<usize>,
        block: usize,
    ) -> Result<(), ErrorKind> {
        let tape = &self.tape;
        let (size, extent) = (self.dtype().size(), self.extent);
        let bases = bases(&self.sources, memory);
        let target = memory.of(self.target);
        tape.with_table(tape.tile * size, |table, buffer| {
            let mut cursor = self.kept.at(range.start);
            let mut row = range.start;
            while row < range.end {
                let rows = block.min(range.end - row);
                // SAFETY: the buffers hold what the loads name, and `buffer` has room for a tile;
                // rows write elements of their own.
                unsafe {
                    tape.run_rows(table, &bases, &mut cursor, buffer, extent, rows);
                    let from = match tape.result {
                        Place::Result => buffer,
                        Place::Tile(slot) => table.get(slot),
                        Place::Uniform(slot) => {
                            fill(buffer, table.get(slot), rows * extent, self.dtype());
                            buffer
                        }
                    };
                    for r in 0..rows {
                        let from = from.wrapping_add(r * extent * size);
                        let out = target.wrapping_add((row + r) * size);
                        (self.fold)(out, from, from, from, extent);
                    }
                }
                row += rows;
            }
        })
    }

    /// Folds tiles along the inner axis to one element.
    unsafe fn fold_rows(
        &self,
        scratch: &mut Scratch<'_>,
        bases: &[*mut u8],
        part: &Part<'_>,
    ) -> Result<(), ErrorKind> {
        let Scratch { table, buffer, tile_bytes } = scratch;
        let (tape, buffer) = (&self.tape, *buffer);
        let size = self.dtype().size();
        let tiles = self.extent.div_ceil(tape.tile);
        let range = self.piece_range(part.piece, self.reduced.count() * tiles);
        let streams = bases.len();
        let mut position = Position::new(self, part, range.start / tiles);
        let mut tile = range.start % tiles;
        let mut totals = Totals::new(self.combine, self.identity);
        let value = buffer.wrapping_add(*tile_bytes);
        for i in 0..range.len() {
            if i % BLOCK == BLOCK - 1 {
                cancel::check()?;
            }
            let start = tile * tape.tile;
            let n = tape.tile.min(self.extent - start);
            let mut total = [0u8; 8];
            // SAFETY: the buffers hold what the loads name; `buffer` has room for tiles.
            unsafe {
                tape.run(table, bases, &position.offsets, &position.index, buffer, start, n);
                let from = match tape.result {
                    Place::Result => buffer,
                    Place::Tile(slot) => table.get(slot),
                    Place::Uniform(slot) => {
                        fill(value, table.get(slot), n, self.dtype());
                        value
                    }
                };
                (self.fold)(total.as_mut_ptr(), from, from, from, n);
                totals.push(total);
            }
            tile += 1;
            if tile == tiles {
                tile = 0;
                position.advance();
            }
        }
        let out = part.out.wrapping_offset(part.offsets[streams] * size as isize);
        // SAFETY: the element is this unit's own.
        unsafe { std::ptr::copy_nonoverlapping(totals.finish().as_ptr(), out, size) };
        Ok(())
    }

    /// Adds one reduced index after the other to a tile of results: where they are, the first one's
    /// position and how many they are.
    unsafe fn add_rows(
        &self,
        scratch: &mut Scratch<'_>,
        bases: &[*mut u8],
        part: &Part<'_>,
    ) -> Result<(*mut u8, usize, usize), ErrorKind> {
        let Scratch { table, buffer, tile_bytes } = scratch;
        let (tape, dtype) = (&self.tape, self.dtype());
        let range = self.piece_range(part.piece, self.reduced.count());
        let start = part.tile * tape.tile;
        let n = tape.tile.min(self.extent - start);
        let mut position = Position::new(self, part, range.start);
        let register = |i: usize| buffer.wrapping_add(i * *tile_bytes);
        let [value, mut block, mut block_next, mut total, mut total_next] =
            [0, 1, 2, 3, 4].map(register);
        let blocked = self.is_rounding && range.len() > 2 * BLOCK;
        // SAFETY: the buffers hold what the loads name; the registers have room for tiles.
        unsafe {
            if blocked {
                fill(total, self.identity.as_ptr(), n, dtype);
            }
            fill(block, self.identity.as_ptr(), n, dtype);
            for (i, _) in range.clone().enumerate() {
                tape.run(table, bases, &position.offsets, &position.index, value, start, n);
                let at = |place: Place| match place {
                    Place::Result => value,
                    Place::Tile(slot) | Place::Uniform(slot) => table.get(slot),
                };
                match (&self.summand, tape.result) {
                    (Some(summand), _) => {
                        let [a, b] = summand.operands.map(at);
                        (summand.f)(block_next, a, b, block, n);
                    }
                    (None, from @ (Place::Result | Place::Tile(_))) => {
                        (self.combine)(block_next, block, at(from), at(from), n);
                    }
                    (None, from @ Place::Uniform(_)) => {
                        (self.combine_uniform)(block_next, block, at(from), at(from), n);
                    }
                }
                std::mem::swap(&mut block, &mut block_next);
                if i % BLOCK == BLOCK - 1 {
                    cancel::check()?;
                }
                if blocked && i % BLOCK == BLOCK - 1 {
                    (self.combine)(total_next, total, block, block, n);
                    std::mem::swap(&mut total, &mut total_next);
                    fill(block, self.identity.as_ptr(), n, dtype);
                }
                position.advance();
            }
            if blocked {
                (self.combine)(total_next, total, block, block, n);
                block = total_next;
            }
        }
        Ok((block, start, n))
    }
}

/// Memory of a thread: the addresses of the tape, and five tiles.
struct Scratch<'a> {
    table: &'a mut Table,
    buffer: *mut u8,
    tile_bytes: usize,
}

/// What one thread computes at a time: a piece of the reduced indices for one row (or tile) of
/// results.
struct Part<'a> {
    piece: usize,
    /// Along the outer kept axes.
    row: usize,
    tile: usize,
    /// Offsets of the streams, and the position along the kept axes.
    offsets: &'a [isize],
    index: &'a [usize],
    /// Where the results of the piece start.
    out: *mut u8,
}

/// The sum of a kept and a reduced position.
struct Position<'a> {
    cursor: crate::space::Cursor<'a>,
    kept: &'a [isize],
    offsets: SmallVec<[isize; 8]>,
    index: SmallVec<[usize; 6]>,
    kept_axes: usize,
}

impl<'a> Position<'a> {
    fn new(reduce: &'a Reduce, part: &Part<'a>, row: usize) -> Position<'a> {
        let cursor = reduce.reduced.at(row);
        let kept_axes = part.index.len();
        let index = part.index.iter().chain(&cursor.index).copied().collect();
        let mut position = Position {
            offsets: cursor.offsets.clone(),
            cursor,
            kept: part.offsets,
            index,
            kept_axes,
        };
        position.update();
        position
    }

    fn update(&mut self) {
        for ((sum, kept), moved) in self.offsets.iter_mut().zip(self.kept).zip(&self.cursor.offsets)
        {
            *sum = kept + moved;
        }
        self.index[self.kept_axes..].copy_from_slice(&self.cursor.index);
    }

    fn advance(&mut self) {
        self.cursor.advance();
        self.update();
    }
}

/// Partial results combined pairwise, as a binary counter counts: neighbours of equal weight merge.
struct Totals {
    combine: TileFn,
    identity: [u8; 8],
    levels: SmallVec<[[u8; 8]; 16]>,
    count: usize,
}

impl Totals {
    fn new(combine: TileFn, identity: [u8; 8]) -> Totals {
        Totals { combine, identity, levels: SmallVec::new(), count: 0 }
    }

    fn combined(&self, a: [u8; 8], b: [u8; 8]) -> [u8; 8] {
        let mut result = [0u8; 8];
        // SAFETY: all three are one element of at most eight bytes.
        unsafe { (self.combine)(result.as_mut_ptr(), a.as_ptr(), b.as_ptr(), b.as_ptr(), 1) };
        result
    }

    fn push(&mut self, mut total: [u8; 8]) {
        self.count += 1;
        for _ in 0..self.count.trailing_zeros() {
            if let Some(left) = self.levels.pop() {
                total = self.combined(left, total);
            }
        }
        self.levels.push(total);
    }

    fn finish(mut self) -> [u8; 8] {
        let Some(mut total) = self.levels.pop() else { return self.identity };
        while let Some(left) = self.levels.pop() {
            total = self.combined(left, total);
        }
        total
    }
}
