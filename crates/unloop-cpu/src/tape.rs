//! A kernel's scalar program as instructions of the tile machine. One axis of the space, the inner
//! one, is cut into tiles; each instruction is one SIMD loop over a tile. Values that are the same
//! all along the inner axis are computed once a tile, as single elements.

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind};
use unloop_kernel::{Expr, ExprId, Kernel, Window};

use crate::feed::{Axis, BLOCK, Feed, Windows};
use crate::instruction::{Program, cost, fused_instruction, instruction, product_within};
use crate::simd::{Simd, TileFn, copy_past_caches, fill};
use crate::space::Cursor;

/// The number of an address in the table of a running tape.
pub(crate) type Slot = u16;

/// Addresses that every tape has: nothing (for operands an instruction lacks), and the result.
const NOTHING: Slot = 0;
const RESULT: Slot = 1;

enum Inst {
    Call {
        f: TileFn,
        dst: Slot,
        a: Slot,
        b: Slot,
        c: Slot,
        uniform: bool,
    },
    /// One element repeated to a tile.
    Splat {
        dst: Slot,
        from: Slot,
        dtype: DType,
    },
}

/// A value of the program while it is compiled.
#[derive(Clone, Copy)]
enum Value {
    /// One element a tile.
    Uniform(Slot),
    /// One element an element of the tile.
    Tile(Slot),
}

/// Where the result of a tile is after [`Tape::run`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// At the result's address.
    Result,
    /// Elsewhere, one element an element of the tile.
    Tile(Slot),
    /// Elsewhere, one element for the whole tile.
    Uniform(Slot),
}

/// What a tile covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tiling {
    /// A part of one row.
    Part,
    /// A part of one row; the rows come in their order.
    InOrder,
    /// Several whole rows, side by side.
    Rows,
}

/// A compiled scalar program.
pub(crate) struct Tape {
    insts: Vec<Inst>,
    feeds: Vec<Feed>,
    /// Constants, by slot.
    constants: Vec<(Slot, u64)>,
    /// Scratch memory, by slot: its offset in bytes.
    registers: Vec<(Slot, usize)>,
    slots: usize,
    scratch: usize,
    simd: Simd,
    /// Elements of a tile.
    pub tile: usize,
    pub result: Place,
    /// Where the second result is, if there is one.
    pub second: Option<Place>,
    pub dtype: DType,
    /// Predicted nanoseconds an element.
    pub ns: f64,
}

/// Bytes of a tile's registers that leave room in a first-level cache for what streams through.
const REGISTER_BYTES: usize = 24 * 1024;

/// Elements of a tile, at most; more gains nothing, as calls are amortised.
const MAX_TILE: usize = 1024;

/// Elements of a row that is read together with the next ones, at most.
const MAX_ROW: usize = 4096;

/// Elements of a tile, at least, so that calls are amortised.
const MIN_TILE: usize = 128;

struct Compiler<'a> {
    kernel: &'a Kernel,
    /// What is left for others to read; one result alone may be written where it belongs.
    results: &'a [ExprId],
    inner: usize,
    simd: Simd,
    tiling: Tiling,
    tape: Tape,
    values: Vec<Option<Value>>,
    /// The instruction that reads each expression last.
    last: Vec<usize>,
    /// How often each expression is read.
    uses: Vec<usize>,
    /// Registers that may be written again.
    free: Vec<Slot>,
    /// Slots that are registers of tiles.
    tiles: Vec<Slot>,
    /// Slots of tiles for [`BLOCK`] rows.
    blocks: Vec<Slot>,
    /// Expressions that are computed by the instruction that reads them.
    fused: Vec<bool>,
}

impl Tape {
    /// Compiles the program of a kernel whose axis `inner` is cut into tiles. Streams are the
    /// loads, in order; outer axes are all others, in order.
    pub fn compile(kernel: &Kernel, inner: usize, simd: Simd, tiling: Tiling) -> Tape {
        Tape::with_results(kernel, &[kernel.result], inner, simd, tiling)
    }

    /// The same, with one or two results instead of the kernel's.
    pub fn with_results(
        kernel: &Kernel,
        results: &[ExprId],
        inner: usize,
        simd: Simd,
        tiling: Tiling,
    ) -> Tape {
        let count = kernel.exprs.len();
        let tape = Tape {
            insts: Vec::new(),
            feeds: Vec::new(),
            constants: Vec::new(),
            registers: Vec::new(),
            slots: 2,
            scratch: 0,
            simd,
            tile: 0,
            result: Place::Result,
            second: None,
            dtype: kernel.dtype(),
            ns: kernel.exprs.iter().zip(&kernel.dtypes).map(|(e, d)| cost(e, *d)).sum(),
        };
        let (mut last, mut uses) = (vec![0; count], vec![0; count]);
        for (i, expr) in kernel.exprs.iter().enumerate() {
            for x in expr.operands() {
                last[x.index()] = i;
                uses[x.index()] += 1;
            }
        }
        for result in results {
            last[result.index()] = usize::MAX;
            uses[result.index()] += 1;
        }
        let mut compiler = Compiler {
            kernel,
            results,
            inner,
            simd,
            tiling,
            tape,
            values: vec![None; count],
            last,
            uses,
            free: Vec::new(),
            tiles: Vec::new(),
            blocks: Vec::new(),
            fused: vec![false; count],
        };
        compiler.mark_fused();
        for i in 0..count {
            compiler.emit(i);
        }
        compiler.finish()
    }

    /// Bytes of scratch memory.
    pub fn scratch(&self) -> usize {
        self.scratch
    }

    /// Runs `f` with the table of addresses, in scratch memory of the thread.
    pub fn with_table<R>(
        &self,
        extra: usize,
        f: impl FnOnce(&mut Table, *mut u8) -> R,
    ) -> Result<R, ErrorKind> {
        crate::memory::with_scratch(self.scratch + extra, |scratch| {
            let mut table = Table(SmallVec::from_elem(scratch, self.slots));
            for (slot, offset) in &self.registers {
                // SAFETY: the offset lies in the scratch memory reserved above.
                table.0[*slot as usize] = unsafe { scratch.add(*offset) };
            }
            for (slot, bits) in &self.constants {
                // SAFETY: constants have eight bytes of their own in the scratch memory.
                unsafe { table.0[*slot as usize].cast::<u64>().write_unaligned(*bits) };
            }
            // SAFETY: `extra` more bytes were reserved.
            f(&mut table, unsafe { scratch.add(self.scratch) })
        })
    }

    /// Computes elements `start..start + n` of a row. `offsets` are the streams' offsets in
    /// elements at the row's start, `bases` their buffers, `index` the row's position along the
    /// outer axes; the result's address is where [`Place::Result`] is written.
    ///
    /// # Safety
    /// Every element that the loads name is readable, `n <= self.tile`, and the result's address is
    /// writable for `n` elements.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        table: &mut Table,
        bases: &[*mut u8],
        offsets: &[isize],
        index: &[usize],
        result: *mut u8,
        start: usize,
        n: usize,
    ) {
        let ptrs = &mut table.0;
        ptrs[RESULT as usize] = result;
        for feed in &self.feeds {
            // SAFETY: the caller vouches for what the loads name; tiles have room for `n` elements.
            unsafe { feed.run(ptrs, bases, offsets, index, start, n, 0, (self.simd, self.tile)) };
        }
        // SAFETY: as the caller's.
        unsafe { self.compute(ptrs, n) };
    }

    /// Computes `rows` whole rows of `n` elements each, side by side in one tile, and moves the
    /// cursor past them. For tapes compiled for [`Tiling::Rows`].
    ///
    /// # Safety
    /// As [`Tape::run`], for each row; `rows * n <= self.tile`.
    pub unsafe fn run_rows(
        &self,
        table: &mut Table,
        bases: &[*mut u8],
        cursor: &mut Cursor<'_>,
        result: *mut u8,
        n: usize,
        rows: usize,
    ) {
        let ptrs = &mut table.0;
        ptrs[RESULT as usize] = result;
        for row in 0..rows {
            for feed in &self.feeds {
                // SAFETY: as the caller's.
                unsafe {
                    feed.run(
                        ptrs,
                        bases,
                        &cursor.offsets,
                        &cursor.index,
                        0,
                        n,
                        row * n,
                        (self.simd, self.tile),
                    )
                };
            }
            cursor.advance();
        }
        // SAFETY: as the caller's.
        unsafe { self.compute(ptrs, rows * n) };
    }

    /// Puts the `n` results of [`Tape::run_rows`] where they belong; `past_caches` names where they were
    /// computed, if they go past the caches.
    ///
    /// # Safety
    /// The tape has run with this table, and `out` has room for the results.
    pub unsafe fn store_rows(
        &self,
        table: &Table,
        out: *mut u8,
        past_caches: Option<*mut u8>,
        n: usize,
    ) {
        let bytes = n * self.dtype.size();
        // SAFETY: as the caller's.
        unsafe {
            match (self.result, past_caches) {
                (Place::Result, Some(computed)) => copy_past_caches(out, computed, bytes),
                (Place::Result, None) => {}
                (Place::Tile(slot), _) => {
                    std::ptr::copy_nonoverlapping(table.get(slot), out, bytes);
                }
                (Place::Uniform(slot), _) => fill(out, table.get(slot), n, self.dtype),
            }
        }
    }

    /// Runs the instructions on `n` elements.
    unsafe fn compute(&self, ptrs: &[*mut u8], n: usize) {
        for inst in &self.insts {
            match *inst {
                Inst::Call { f, dst, a, b, c, uniform } => {
                    let (dst, a) = (ptrs[dst as usize], ptrs[a as usize]);
                    let (b, c) = (ptrs[b as usize], ptrs[c as usize]);
                    // SAFETY: operands are tiles or elements made valid before, `dst` is another
                    // register or the result.
                    unsafe { f(dst, a, b, c, if uniform { 1 } else { n }) };
                }
                Inst::Splat { dst, from, dtype } => {
                    // SAFETY: `from` is one element, `dst` a register.
                    unsafe { fill(ptrs[dst as usize], ptrs[from as usize], n, dtype) };
                }
            }
        }
    }
}

/// The addresses of a running tape.
pub(crate) struct Table(SmallVec<[*mut u8; 32]>);

impl Table {
    /// The address of a slot.
    pub fn get(&self, slot: Slot) -> *mut u8 {
        self.0[slot as usize]
    }
}

impl Program for Compiler<'_> {
    fn simd(&self) -> Simd {
        self.simd
    }

    fn expr(&self, x: ExprId) -> &Expr {
        &self.kernel.exprs[x.index()]
    }

    fn dtype(&self, x: ExprId) -> DType {
        self.kernel.dtypes[x.index()]
    }

    fn is_uniform(&self, x: ExprId) -> bool {
        matches!(self.values[x.index()], Some(Value::Uniform(_)))
    }
}

impl Compiler<'_> {
    fn slot(&mut self) -> Slot {
        self.tape.slots += 1;
        (self.tape.slots - 1) as Slot
    }

    /// A register for a tile.
    fn register(&mut self) -> Slot {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let slot = self.slot();
        self.tiles.push(slot);
        slot
    }

    /// Memory for one element, which no other value takes.
    fn cell(&mut self) -> Slot {
        let slot = self.slot();
        self.tape.registers.push((slot, self.tape.scratch));
        self.tape.scratch += 8;
        slot
    }

    /// Products that the addition or subtraction which alone reads them takes in.
    fn mark_fused(&mut self) {
        let kernel = self.kernel;
        for expr in &kernel.exprs {
            let is_free = |x: ExprId| self.uses[x.index()] == 1;
            if let Some(x) = product_within(self, expr, is_free) {
                self.fused[x.index()] = true;
                // The factors live on to where the sum is computed.
                let user = self.last[x.index()];
                for factor in kernel.exprs[x.index()].operands() {
                    let last = &mut self.last[factor.index()];
                    *last = (*last).max(user);
                }
            }
        }
    }

    /// The slot of an operand as a tile; a single element is repeated.
    fn tile(&mut self, x: ExprId) -> Slot {
        match self.values[x.index()] {
            Some(Value::Tile(slot)) => slot,
            Some(Value::Uniform(from)) => {
                let (dst, dtype) = (self.register(), self.dtype(x));
                self.tape.insts.push(Inst::Splat { dst, from, dtype });
                // Kept for later readers.
                self.values[x.index()] = Some(Value::Tile(dst));
                dst
            }
            None => NOTHING,
        }
    }

    fn slot_of(&self, x: ExprId) -> Slot {
        match self.values[x.index()] {
            Some(Value::Tile(slot) | Value::Uniform(slot)) => slot,
            None => NOTHING,
        }
    }

    fn emit(&mut self, i: usize) {
        let expr = &self.kernel.exprs[i];
        if self.fused[i] && !expr.operands().iter().all(|x| self.is_uniform(*x)) {
            return;
        }
        self.fused[i] = false;
        let value = match expr {
            Expr::Load(l) => self.load(*l, i),
            Expr::Constant(value) => {
                let slot = self.cell();
                self.tape.constants.push((slot, value.bits()));
                Value::Uniform(slot)
            }
            Expr::Iota { axis, scale, offset, dtype } => {
                self.iota(i, (*axis, *scale, *offset, *dtype))
            }
            _ => self.call(i, expr),
        };
        self.values[i] = Some(value);
        // Registers read for the last time here may be written by the next instruction.
        for x in expr.operands() {
            self.release(x, i);
        }
        if let Some(product) = self.fused_product(expr) {
            for factor in self.kernel.exprs[product.index()].operands() {
                self.release(factor, i);
            }
        }
    }

    fn release(&mut self, x: ExprId, now: usize) {
        if self.last[x.index()] == now
            && let Some(Value::Tile(slot)) = self.values[x.index()]
            && self.tiles.contains(&slot)
            && !self.free.contains(&slot)
        {
            self.free.push(slot);
        }
    }

    /// A product that is computed together with this sum.
    fn fused_product(&self, expr: &Expr) -> Option<ExprId> {
        product_within(self, expr, |x| self.fused[x.index()])
    }

    fn load(&mut self, index: usize, expr: usize) -> Value {
        let load = &self.kernel.loads[index];
        let (dtype, stream) = (load.dtype, index);
        let inner_extent = self.kernel.space[self.inner];
        let stride = if inner_extent == 1 { 0 } else { load.source.strides[self.inner] };
        let size = dtype.size() as isize;
        if load.windows.is_empty() {
            let varies = self.tiling == Tiling::Rows;
            let anywhere = load.source.strides.iter().zip(&self.kernel.space);
            let moves = anywhere.clone().any(|(&s, &d)| s != 0 && d != 1);
            let (feed, value) = match stride {
                // Whole rows lie side by side.
                1 if varies && load.is_row_major(&self.kernel.space) => {
                    let slot = self.slot();
                    (Feed::Direct { slot, stream, size }, Value::Tile(slot))
                }
                _ if varies && moves => {
                    let slot = self.fed(expr);
                    (Feed::Strided { slot, stream, stride, dtype }, Value::Tile(slot))
                }
                0 => {
                    let slot = self.slot();
                    (Feed::Uniform { slot, stream, size }, Value::Uniform(slot))
                }
                1 => {
                    let slot = self.slot();
                    (Feed::Direct { slot, stream, size }, Value::Tile(slot))
                }
                _ => match self.block_axis(load, stride) {
                    Some(axis) => {
                        let (slot, buffer, key) = (self.slot(), self.slot(), self.cell());
                        self.blocks.push(buffer);
                        self.tape.constants.push((key, u64::MAX));
                        let feed = Feed::Block { slot, stream, stride, dtype, axis, buffer, key };
                        (feed, Value::Tile(slot))
                    }
                    None => {
                        let slot = self.fed(expr);
                        (Feed::Strided { slot, stream, stride, dtype }, Value::Tile(slot))
                    }
                },
            };
            self.tape.feeds.push(feed);
            return value;
        }
        let mut windows = Windows {
            inner: None,
            outer: SmallVec::new(),
            fill: load.fill,
            outer_strides: SmallVec::new(),
        };
        for window in &load.windows {
            match window.axis.cmp(&self.inner) {
                std::cmp::Ordering::Equal => windows.inner = Some(*window),
                order => {
                    // Outer axes are numbered without the inner one.
                    let axis = window.axis - usize::from(order.is_gt());
                    windows.outer.push(Window { axis, ..*window });
                    windows.outer_strides.push(load.source.strides[window.axis]);
                }
            }
        }
        let slot = self.fed(expr);
        let stride = load.source.strides[self.inner];
        self.tape.feeds.push(Feed::Windowed { slot, stream, stride, dtype, windows });
        Value::Tile(slot)
    }

    /// The axis along which elements of a load at a distance lie side by side, if rows come in its
    /// order: it is the last but the inner one.
    fn block_axis(&self, load: &unloop_kernel::Load, stride: isize) -> Option<Axis> {
        let axis = (0..self.kernel.space.len()).rev().find(|&a| a != self.inner)?;
        let extent = self.kernel.space[axis];
        let fits = self.tiling == Tiling::InOrder
            && stride > 1
            && load.source.strides[axis] == 1
            && extent >= BLOCK
            && (BLOCK..=MAX_ROW).contains(&self.kernel.space[self.inner]);
        fits.then_some(Axis { number: axis - usize::from(axis > self.inner), extent })
    }

    /// A register that is filled before the first instruction, so nothing else may use it; the result's
    /// place if nothing is computed of it.
    fn fed(&mut self, expr: usize) -> Slot {
        if self.results.len() == 1 && self.results[0].index() == expr {
            return RESULT;
        }
        let slot = self.slot();
        self.tiles.push(slot);
        slot
    }

    fn iota(
        &mut self,
        expr: usize,
        (axis, scale, offset, dtype): (usize, isize, isize, DType),
    ) -> Value {
        if axis == self.inner {
            let slot = self.fed(expr);
            self.tape.feeds.push(Feed::Count { slot, scale, offset, dtype });
            return Value::Tile(slot);
        }
        let (from, axis) = (axis, axis - usize::from(axis > self.inner));
        if self.tiling == Tiling::Rows && self.kernel.space[from] != 1 {
            let slot = self.fed(expr);
            self.tape.feeds.push(Feed::Row { slot, axis, scale, offset, dtype });
            return Value::Tile(slot);
        }
        let slot = self.cell();
        self.tape.feeds.push(Feed::Position { slot, axis, scale, offset, dtype });
        Value::Uniform(slot)
    }

    /// The slot that an instruction writes.
    fn target(&mut self, i: usize, uniform: bool) -> Slot {
        match uniform {
            true => self.cell(),
            false if self.results.len() == 1 && self.results[0].index() == i => RESULT,
            false => self.register(),
        }
    }

    fn call(&mut self, i: usize, expr: &Expr) -> Value {
        let x = ExprId(i as u32);
        let product = self.fused_product(expr);
        let fused = product.and_then(|product| fused_instruction(self, x, product));
        let Some(instruction) = fused.or_else(|| instruction(self, x)) else {
            unreachable!("the type rules leave no operation without a kernel: {expr:?}")
        };
        let mut slots = [NOTHING; 3];
        for (slot, (operand, as_tile)) in slots.iter_mut().zip(instruction.operands) {
            *slot = if as_tile { self.tile(operand) } else { self.slot_of(operand) };
        }
        let (f, uniform, [a, b, c]) = (instruction.f, instruction.uniform, slots);
        let dst = self.target(i, uniform);
        self.tape.insts.push(Inst::Call { f, dst, a, b, c, uniform });
        if uniform { Value::Uniform(dst) } else { Value::Tile(dst) }
    }

    /// Lays the registers out in scratch memory.
    fn finish(mut self) -> Tape {
        let place = |result: &ExprId| match self.values[result.index()] {
            Some(Value::Tile(RESULT)) | None => Place::Result,
            Some(Value::Tile(slot)) => Place::Tile(slot),
            Some(Value::Uniform(slot)) => Place::Uniform(slot),
        };
        self.tape.result = self.results.first().map_or(Place::Result, place);
        self.tape.second = self.results.get(1).map(place);
        let widest = self.kernel.dtypes.iter().map(|d| d.size()).max().unwrap_or(8);
        let fit = REGISTER_BYTES / (widest * self.tiles.len().max(1));
        let extent = self.kernel.space[self.inner];
        let most = (fit / 64 * 64).clamp(MIN_TILE, MAX_TILE);
        let tile = match self.tiling {
            // A block is read for whole rows.
            Tiling::InOrder if !self.blocks.is_empty() => extent.next_multiple_of(8),
            Tiling::Part | Tiling::InOrder => most.min(extent.next_multiple_of(8).max(8)),
            Tiling::Rows => most.max(extent),
        };
        self.tape.tile = tile;
        self.tape.scratch = self.tape.scratch.next_multiple_of(64);
        for slot in &self.tiles {
            self.tape.registers.push((*slot, self.tape.scratch));
            self.tape.scratch += (tile * widest).next_multiple_of(64);
        }
        for slot in &self.blocks {
            self.tape.registers.push((*slot, self.tape.scratch));
            self.tape.scratch += BLOCK * (tile * widest).next_multiple_of(64);
        }
        self.tape
    }
}
