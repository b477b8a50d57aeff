//! What is computed of a reduction's results as soon as a tile of them is there, instead of when all of
//! them lie in memory.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{Shape, ValueId};
use unloop_kernel::{Kernel, Load};

use crate::map::{inner_axis, rows};
use crate::memory::Addresses;
use crate::simd::{Simd, copy_past_caches, fill, finish_past_caches, scatter_run};
use crate::space::Rows;
use crate::tape::{Place, Table, Tape, Tiling};

/// A kernel that follows a reduction, ready to run.
pub(crate) struct Follower {
    pub tape: Tape,
    /// The axes but the inner one; streams are the loads, then the store.
    rows: Rows,
    /// The buffers of the loads; none for the results of the reduction.
    sources: Vec<Option<usize>>,
    target: usize,
    /// Distance of results along the inner axis.
    stride: isize,
    past_caches: bool,
    /// Bytes of an element of the reduction's results.
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
    /// Compiles what follows a reduction along the same inner axis.
    pub fn compile(
        reduction: &Kernel,
        then: &Kernel,
        simd: Simd,
        is_too_large: bool,
        buffer: impl Fn(ValueId) -> usize,
    ) -> Follower {
        let inner = inner_axis(reduction);
        let mut then = then.clone();
        let mut sources = Vec::new();
        for load in &mut then.loads {
            let is_result = load.source.value == reduction.store.value;
            sources.push((!is_result).then(|| buffer(load.source.value)));
            if is_result {
                // A tile of results begins where the tile begins.
                load.source.strides.iter_mut().for_each(|stride| *stride = 0);
                load.source.strides[inner] = 1;
            }
        }
        let outer: Vec<usize> = (0..then.space.len()).filter(|&a| a != inner).collect();
        let tape = Tape::compile(&then, inner, simd, Tiling::Part);
        let stride = then.store.strides[inner];
        Follower {
            rows: rows(&then, &outer),
            sources,
            target: buffer(then.store.value),
            stride,
            past_caches: is_too_large && stride == 1,
            size: reduction.dtype().size(),
            tape,
        }
    }

    /// Runs `f` with memory of this thread for what follows.
    pub fn with_scratch(&self, f: impl FnOnce(Following<'_>)) {
        self.tape.with_table(self.tape.tile * 8, |table, tile| {
            f(Following { follower: self, table, tile })
        });
        if self.past_caches {
            finish_past_caches();
        }
    }
}

/// A follower that runs: its tape's addresses, and a tile.
pub(crate) struct Following<'a> {
    follower: &'a Follower,
    table: &'a mut Table,
    tile: *mut u8,
}

impl Following<'_> {
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
        let Following { follower, table, tile } = self;
        let Follower { tape, stride, past_caches, .. } = follower;
        let cursor = follower.rows.at(row);
        // Loads count from the start of the row.
        let results = results.wrapping_sub(range.start * follower.size);
        let base = |source: &Option<usize>| source.map_or(results, |s| memory.of(s));
        let bases: SmallVec<[*mut u8; 8]> = follower.sources.iter().map(base).collect();
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
}
