//! Running kernels that compute one element of the result for each index of the space.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{ErrorKind, Shape, TensorType};
use unloop_kernel::{Expr, Kernel, Load, Nest, Strided, is_packed, runs_by_rows};
pub(crate) use unloop_kernel::{ROW_NS, inner_axis, layout_cost, rows_cost};

use crate::code::{Code, Lazy};
use crate::lowering::copy_kernel;
use crate::memory::{Addresses, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{Simd, copy_past_caches, fill, finish_past_caches, scatter_run};
use crate::space::Rows;
use crate::tape::{Place, Tape, Tiling};

/// A kernel without reduction, ready to run.
pub(crate) struct Map {
    tape: Tape,
    rows: Rows,
    /// Extent of the inner axis.
    extent: usize,
    /// The buffers of the loads.
    sources: Vec<usize>,
    target: usize,
    /// Distance of the results of neighbours along the inner axis.
    stride: isize,
    /// Rows in a tile, if tiles take whole rows.
    block: Option<usize>,
    /// Whether the result is written past the caches.
    past_caches: bool,
    ns: f64,
    /// What code is made of, if it would be faster.
    kernel: Option<Box<(Kernel, Simd)>>,
    code: Lazy,
}

/// Whether code is faster than tiles: where it saves reading and writing tiles between operations on
/// elements that lie side by side. (Nine neighbours in a grid of f32 that stays in cache: 0.6 of the time.)
fn gains_from_code(kernel: &Kernel, inner: usize) -> bool {
    let is_computed = |expr: &&Expr| {
        !matches!(expr, Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_))
    };
    let is_near =
        |load: &Load| load.windows.is_empty() && matches!(load.source.strides[inner], 0 | 1);
    kernel.exprs.iter().filter(is_computed).count() >= 2
        && kernel.loads.iter().all(is_near)
        && kernel.dtypes.iter().any(|dtype| *dtype != unloop_graph::DType::Bool)
}

/// A copy that a kernel reads instead of what one of its loads names.
pub(crate) struct Pack {
    /// The load.
    pub load: usize,
    /// The copy's type.
    pub ty: TensorType,
    /// The kernel that makes it; its store has no value yet.
    pub kernel: Kernel,
    /// The copy's strides in the space of the kernel that reads it.
    pub strides: SmallVec<[isize; 6]>,
}

/// The copies that a collapsed kernel wants.
pub(crate) fn packs(kernel: &Kernel) -> Vec<Pack> {
    if kernel.space.contains(&0) || kernel.space.is_empty() {
        return Vec::new();
    }
    let inner = inner_axis(kernel);
    if kernel.reduction.is_none() && rows_cost(kernel) < layout_cost(kernel, inner) {
        return Vec::new();
    }
    let wanted =
        |(i, load): (usize, &Load)| is_packed(kernel, load, inner).then_some((i, load.clone()));
    let loads = kernel.loads.iter().enumerate().filter_map(wanted);
    let pack = |(i, load): (usize, Load)| {
        let moves = |a: &usize| load.source.strides[*a] != 0;
        let others = (0..kernel.space.len()).filter(|a| moves(a) && *a != inner);
        let axes: SmallVec<[usize; 6]> = others.chain([inner]).collect();
        let shape: Shape = axes.iter().map(|&a| kernel.space[a]).collect();
        let mut strides = SmallVec::from_elem(0, kernel.space.len());
        axes.iter().zip(shape.strides()).for_each(|(&a, stride)| strides[a] = stride);
        let source = Strided {
            strides: axes.iter().map(|&a| load.source.strides[a]).collect(),
            ..load.source
        };
        let copy = copy_kernel(&shape, source, load.dtype);
        Pack { load: i, ty: TensorType::new(load.dtype, shape), kernel: copy, strides }
    };
    loads.map(pack).collect()
}

/// The outer axes of a kernel: streams are the loads, then the store.
pub(crate) fn rows(kernel: &Kernel, outer: &[usize]) -> Rows {
    let stride = |axis: usize| -> SmallVec<[isize; 8]> {
        let loads = kernel.loads.iter().map(|l| {
            // Windows count for themselves.
            let windowed = l.windows.iter().any(|w| w.axis == axis);
            if windowed { 0 } else { l.source.strides[axis] }
        });
        loads.chain([kernel.store.strides.get(axis).copied().unwrap_or(0)]).collect()
    };
    let extents = outer.iter().map(|&a| kernel.space[a]).collect();
    let starts = kernel.loads.iter().map(|l| l.source.offset).chain([kernel.store.offset]);
    Rows::new(extents, outer.iter().map(|&a| stride(a)).collect(), starts.collect())
}

/// The addresses of the loads' buffers.
pub(crate) fn bases(sources: &[usize], memory: Addresses<'_>) -> SmallVec<[*mut u8; 8]> {
    sources.iter().map(|&s| memory.of(s)).collect()
}

impl Map {
    /// Predicted nanoseconds, of one thread.
    pub fn ns(&self) -> f64 {
        self.ns
    }

    /// Compiles a collapsed kernel. `buffer` gives the number of the buffer of a value. A result that
    /// is too large for caches is written past them.
    pub fn compile(
        kernel: &Kernel,
        simd: Simd,
        is_too_large: bool,
        buffer: impl Fn(unloop_graph::ValueId) -> usize,
    ) -> Map {
        let inner = inner_axis(kernel);
        let by_rows = runs_by_rows(kernel);
        let (inner, tiling, cost) = match by_rows {
            true => (kernel.space.len() - 1, Tiling::Rows, rows_cost(kernel)),
            false => (inner, Tiling::InOrder, layout_cost(kernel, inner)),
        };
        let outer: Vec<usize> = (0..kernel.space.len()).filter(|&a| a != inner).collect();
        let tape = Tape::compile(kernel, inner, simd, tiling);
        let total: usize = kernel.space.iter().product();
        let ns = total as f64 * tape.ns + cost;
        Map {
            rows: rows(kernel, &outer),
            extent: kernel.space[inner],
            sources: kernel.loads.iter().map(|l| buffer(l.source.value)).collect(),
            target: buffer(kernel.store.value),
            stride: if kernel.space[inner] == 1 { 1 } else { kernel.store.strides[inner] },
            block: by_rows.then(|| tape.tile / kernel.space[inner].max(1)),
            past_caches: is_too_large && !matches!(tape.result, Place::Uniform(_)),
            kernel: (simd.wants_code()
                || !by_rows && !is_too_large && gains_from_code(kernel, inner))
            .then(|| (kernel.clone(), simd).into()),
            code: Lazy::default(),
            tape,
            ns,
        }
    }

    /// Whether it runs as machine code by now.
    pub fn is_code(&self) -> bool {
        self.code.is_made()
    }

    /// The code, if it is worth it by now.
    fn code(&self) -> Option<&Code> {
        let (kernel, simd) = &**self.kernel.as_ref()?;
        self.code.get(*simd, self.ns, || {
            let (nest, values) =
                Nest::of_kernel(kernel, inner_axis(kernel), &|_| isize::MAX as usize);
            let buffer = |v: unloop_graph::ValueId| {
                let load = kernel.loads.iter().position(|load| load.source.value == v);
                load.map_or(self.target, |i| self.sources[i])
            };
            let buffers = values.into_iter().flatten().map(buffer).collect();
            Code::compile(&nest, *simd).map(|code| code.of_buffers(buffers))
        })
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if let Some(code) = self.code() {
            // SAFETY: as the caller's.
            return unsafe { code.run_on(memory, self.ns) };
        }
        if let Some(block) = self.block {
            let rows = self.rows.count();
            return for_ranges(rows.div_ceil(block), self.ns, |range| {
                let range = range.start * block..(range.end * block).min(rows);
                // SAFETY: ranges are disjoint, so no two threads write one element.
                unsafe { self.run_rows(memory, range, block) }
            });
        }
        let tiles = self.extent.div_ceil(self.tape.tile.max(1));
        let units = self.rows.count() * tiles;
        for_ranges(units, self.ns, |range| {
            // SAFETY: ranges are disjoint, so no two threads write one element.
            unsafe { self.run_range(memory, range, tiles) }
        })
    }

    /// Runs whole rows, `block` of them in each tile; their results lie side by side.
    unsafe fn run_rows(
        &self,
        memory: Addresses<'_>,
        range: Range<usize>,
        block: usize,
    ) -> Result<(), ErrorKind> {
        let tape = &self.tape;
        let size = tape.dtype.size();
        let bases = bases(&self.sources, memory);
        let target = memory.of(self.target);
        tape.with_table(tape.tile * size, |table, buffer| {
            let mut cursor = self.rows.at(range.start);
            let mut row = range.start;
            while row < range.end {
                let rows = block.min(range.end - row);
                let n = rows * self.extent;
                let out = target.wrapping_add(row * self.extent * size);
                // SAFETY: the plan gives every value a buffer of its size.
                unsafe {
                    let result = if self.past_caches { buffer } else { out };
                    tape.run_rows(table, &bases, &mut cursor, result, self.extent, rows);
                    let computed = self.past_caches.then_some(buffer);
                    tape.store_rows(table, out, computed, n);
                }
                row += rows;
            }
            if self.past_caches {
                finish_past_caches();
            }
        })
    }

    unsafe fn run_range(
        &self,
        memory: Addresses<'_>,
        range: Range<usize>,
        tiles: usize,
    ) -> Result<(), ErrorKind> {
        let tape = &self.tape;
        let size = tape.dtype.size();
        let bases = bases(&self.sources, memory);
        let target = SharedPtr(memory.of(self.target)).get();
        let streams = bases.len();
        tape.with_table(tape.tile * size, |table, buffer| {
            let mut cursor = self.rows.at(range.start / tiles);
            let mut tile = range.start % tiles;
            for _ in range {
                let start = tile * tape.tile;
                let n = tape.tile.min(self.extent - start);
                let at = cursor.offsets[streams] + start as isize * self.stride;
                let out = target.wrapping_offset(at * size as isize);
                let is_direct = self.stride == 1 && !self.past_caches;
                let result = if is_direct { out } else { buffer };
                // SAFETY: the plan gives every value a buffer of its size; `buffer` has a tile.
                unsafe {
                    tape.run(table, &bases, &cursor.offsets, &cursor.index, result, start, n);
                    match tape.result {
                        Place::Result if is_direct => {}
                        Place::Result if self.stride == 1 => {
                            copy_past_caches(out, buffer, n * size);
                        }
                        Place::Result => scatter_run(out, self.stride, buffer, n, tape.dtype),
                        Place::Tile(slot) => {
                            let from = table.get(slot);
                            match self.stride {
                                1 if self.past_caches => copy_past_caches(out, from, n * size),
                                1 => std::ptr::copy_nonoverlapping(from, out, n * size),
                                _ => scatter_run(out, self.stride, from, n, tape.dtype),
                            }
                        }
                        Place::Uniform(slot) => {
                            let from = table.get(slot);
                            fill(result, from, n, tape.dtype);
                            if self.stride != 1 {
                                scatter_run(out, self.stride, buffer, n, tape.dtype);
                            }
                        }
                    }
                }
                tile += 1;
                if tile == tiles {
                    tile = 0;
                    cursor.advance();
                }
            }
            if self.past_caches {
                finish_past_caches();
            }
        })
    }
}
