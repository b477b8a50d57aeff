//! Programs of rows: several short rows or one long one at a time lie in cache while all of the
//! program runs on them, reductions included.

mod compile;

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind};

use crate::feed::count;
use crate::map::bases;
use crate::memory::{Addresses, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{TileFn, copy_past_caches, fill, finish_past_caches};
use crate::space::{Cursor, Rows};
use crate::tape::Slot;

/// How many there are of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    /// One for all rows.
    One,
    /// One for each row.
    Rows,
    /// One for each element.
    Elements,
}

enum Inst {
    /// On all elements, on one for each row, or on one.
    Call { f: TileFn, dst: Slot, operands: [Slot; 3], level: Level },
    /// Row by row, on its elements; what moves on by so many bytes a row.
    EachRow { f: TileFn, slots: [Slot; 4], steps: [usize; 4] },
    /// One element for all, or for each row, repeated along rows.
    Repeat { dst: Slot, from: Slot, step: usize, dtype: DType },
    /// One element repeated for every row.
    RepeatOne { dst: Slot, from: Slot, dtype: DType },
    /// The same elements in another place.
    Copy { dst: Slot, from: Slot, level: Level, size: usize },
}

/// What is read before the instructions run.
enum Feed {
    /// In memory the rows lie side by side, or the elements that rows have one of.
    Direct { slot: Slot, stream: usize, size: usize },
    /// A row is copied.
    Row { slot: Slot, stream: usize, size: usize },
    /// An element for each row is copied.
    Element { slot: Slot, stream: usize, size: usize },
    /// The position of each row along an outer axis.
    Position { slot: Slot, axis: usize, scale: isize, offset: isize, dtype: DType },
}

/// What is there before the first row.
enum Start {
    Constant {
        slot: Slot,
        bits: u64,
    },
    /// One element of memory.
    Element {
        slot: Slot,
        stream: usize,
        size: usize,
    },
    /// The same row of memory for all.
    Row {
        slot: Slot,
        stream: usize,
        size: usize,
    },
    /// The positions along a row.
    Count {
        slot: Slot,
        scale: isize,
        offset: isize,
        dtype: DType,
    },
}

/// A result: the slot that is its memory, or the register from which it is copied there.
struct Output {
    slot: Slot,
    buffer: usize,
    /// Bytes for each row.
    bytes: usize,
    /// Whether it is copied past the caches.
    past_caches: bool,
}

/// A program of rows, ready to run.
pub(crate) struct RowwiseStep {
    insts: Vec<Inst>,
    feeds: Vec<Feed>,
    starts: Vec<Start>,
    outputs: Vec<Output>,
    /// Scratch memory, by slot: its offset in bytes.
    registers: Vec<(Slot, usize)>,
    slots: usize,
    scratch: usize,
    rows: Rows,
    sources: Vec<usize>,
    /// Elements of a row, and rows that are worked on together.
    length: usize,
    block: usize,
    ns: f64,
}

impl RowwiseStep {
    /// Predicted nanoseconds, of one thread.
    pub fn ns(&self) -> f64 {
        self.ns
    }

    /// # Safety
    /// The buffers are as large as their values, results are disjoint from each other and from the
    /// sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let rows = self.rows.count();
        for_ranges(rows.div_ceil(self.block), self.ns, |range| {
            let range = range.start * self.block..(range.end * self.block).min(rows);
            // SAFETY: ranges are disjoint, so no two threads write one element.
            unsafe { self.run_range(memory, range) }
        })
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        self.scratch
    }

    unsafe fn run_range(
        &self,
        memory: Addresses<'_>,
        range: Range<usize>,
    ) -> Result<(), ErrorKind> {
        let bases = bases(&self.sources, memory);
        with_scratch(self.scratch, |scratch| {
            let mut ptrs: SmallVec<[*mut u8; 32]> = SmallVec::from_elem(scratch, self.slots);
            for (slot, offset) in &self.registers {
                ptrs[*slot as usize] = scratch.wrapping_add(*offset);
            }
            let mut cursor = self.rows.at(range.start);
            // SAFETY: registers have room for a block of rows; the caller vouches for the loads.
            unsafe { self.start(&mut ptrs, &bases, &cursor) };
            let mut first = range.start;
            while first < range.end {
                let rows = self.block.min(range.end - first);
                for row in 0..rows {
                    for feed in &self.feeds {
                        // SAFETY: as above.
                        unsafe { self.feed(feed, &mut ptrs, &bases, &cursor, row) };
                    }
                    cursor.advance();
                }
                let outputs = self.outputs.iter();
                let at = |o: &Output| memory.of(o.buffer).wrapping_add(first * o.bytes);
                outputs
                    .clone()
                    .filter(|o| !o.past_caches)
                    .for_each(|o| ptrs[o.slot as usize] = at(o));
                // SAFETY: as above; outputs have room for all rows.
                unsafe {
                    self.compute(&ptrs, rows);
                    outputs.filter(|o| o.past_caches).for_each(|o| {
                        copy_past_caches(at(o), ptrs[o.slot as usize], rows * o.bytes);
                    });
                }
                first += rows;
            }
            if self.outputs.iter().any(|o| o.past_caches) {
                finish_past_caches();
            }
        })
    }

    /// Prepares what is the same for all rows.
    unsafe fn start(&self, ptrs: &mut [*mut u8], bases: &[*mut u8], cursor: &Cursor<'_>) {
        let at = |stream: usize, size: usize| {
            bases[stream].wrapping_offset(cursor.offsets[stream] * size as isize)
        };
        for start in &self.starts {
            // SAFETY: as the caller's.
            unsafe {
                match *start {
                    Start::Constant { slot, bits } => {
                        ptrs[slot as usize].cast::<u64>().write_unaligned(bits);
                    }
                    Start::Element { slot, stream, size } => ptrs[slot as usize] = at(stream, size),
                    Start::Row { slot, stream, size } => {
                        let bytes = self.length * size;
                        for row in 0..self.block {
                            let to = ptrs[slot as usize].wrapping_add(row * bytes);
                            std::ptr::copy_nonoverlapping(at(stream, size), to, bytes);
                        }
                    }
                    Start::Count { slot, scale, offset, dtype } => {
                        for row in 0..self.block {
                            let to =
                                ptrs[slot as usize].wrapping_add(row * self.length * dtype.size());
                            count(to, offset, scale, self.length, dtype);
                        }
                    }
                }
            }
        }
    }

    /// Reads what belongs to one row of a block.
    unsafe fn feed(
        &self,
        feed: &Feed,
        ptrs: &mut [*mut u8],
        bases: &[*mut u8],
        cursor: &Cursor<'_>,
        row: usize,
    ) {
        let at = |stream: usize, size: usize| {
            bases[stream].wrapping_offset(cursor.offsets[stream] * size as isize)
        };
        // SAFETY: as the caller's.
        unsafe {
            match *feed {
                Feed::Direct { .. } if row > 0 => {}
                Feed::Direct { slot, stream, size } => ptrs[slot as usize] = at(stream, size),
                Feed::Row { slot, stream, size } => {
                    let bytes = self.length * size;
                    let to = ptrs[slot as usize].wrapping_add(row * bytes);
                    std::ptr::copy_nonoverlapping(at(stream, size), to, bytes);
                }
                Feed::Element { slot, stream, size } => {
                    let to = ptrs[slot as usize].wrapping_add(row * size);
                    std::ptr::copy_nonoverlapping(at(stream, size), to, size);
                }
                Feed::Position { slot, axis, scale, offset, dtype } => {
                    let to = ptrs[slot as usize].wrapping_add(row * dtype.size());
                    count(to, offset + cursor.index[axis] as isize * scale, 0, 1, dtype);
                }
            }
        }
    }

    /// Runs the instructions on a block of rows.
    unsafe fn compute(&self, ptrs: &[*mut u8], rows: usize) {
        let at = |slot: Slot| ptrs[slot as usize];
        let many = |level: Level| match level {
            Level::One => 1,
            Level::Rows => rows,
            Level::Elements => rows * self.length,
        };
        for inst in &self.insts {
            // SAFETY: operands have been made valid before, `dst` is another register or a result.
            unsafe {
                match inst {
                    Inst::Call { f, dst, operands: [a, b, c], level } => {
                        f(at(*dst), at(*a), at(*b), at(*c), many(*level));
                    }
                    Inst::EachRow { f, slots, steps } => {
                        for row in 0..rows {
                            let [dst, a, b, c] =
                                [0, 1, 2, 3].map(|i| at(slots[i]).wrapping_add(row * steps[i]));
                            f(dst, a, b, c, self.length);
                        }
                    }
                    Inst::Repeat { dst, from, step, dtype } => {
                        for row in 0..rows {
                            let to = at(*dst).wrapping_add(row * self.length * dtype.size());
                            fill(to, at(*from).wrapping_add(row * step), self.length, *dtype);
                        }
                    }
                    Inst::RepeatOne { dst, from, dtype } => fill(at(*dst), at(*from), rows, *dtype),
                    Inst::Copy { dst, from, level, size } => {
                        std::ptr::copy_nonoverlapping(at(*from), at(*dst), many(*level) * size);
                    }
                }
            }
        }
    }
}
