//! A kernel's scalar program as instructions of the tile machine. One axis of the space, the inner
//! one, is cut into tiles; each instruction is one SIMD loop over a tile. Values that are the same
//! all along the inner axis are computed once a tile, as single elements.

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, DType};
use unloop_kernel::{Expr, ExprId, Kernel, Window};

use crate::feed::{Feed, Windows};
use crate::simd::{Fused, Mode, Simd, TileFn, fill};
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
    /// Elements of a tile.
    pub tile: usize,
    pub result: Place,
    pub dtype: DType,
    /// Predicted nanoseconds an element.
    pub ns: f64,
}

/// Bytes of a tile's registers that leave room in a first-level cache for what streams through.
const REGISTER_BYTES: usize = 24 * 1024;

/// Elements of a tile, at most; more gains nothing, as calls are amortised.
const MAX_TILE: usize = 1024;

/// Elements of a tile, at least, so that calls are amortised.
const MIN_TILE: usize = 128;

/// Predicted nanoseconds an element of one instruction.
fn cost(expr: &Expr, dtype: DType) -> f64 {
    let width = dtype.size() as f64 / 4.0;
    match expr {
        Expr::Load(_) | Expr::Constant(_) => 0.03 * width,
        Expr::Iota { .. } => 0.1 * width,
        Expr::Unary(op, _) => {
            use unloop_graph::UnaryOp::*;
            match op {
                Neg | Abs | Sign | Floor | Ceil | Round | RoundAway | Trunc | Square | Not
                | IsFinite | PopulationCount => 0.06 * width,
                Sqrt | Rsqrt | Reciprocal => 0.2 * width,
                _ => 0.7 * width,
            }
        }
        Expr::Binary(BinaryOp::Pow | BinaryOp::Atan2, ..) => 2.0 * width,
        Expr::Binary(BinaryOp::Div, ..) => 0.2 * width,
        Expr::Binary(BinaryOp::Rem, ..) => 2.0 * width,
        Expr::Binary(
            BinaryOp::Polygamma | BinaryOp::Igamma | BinaryOp::Igammac | BinaryOp::IgammaGradA,
            ..,
        ) => 100.0,
        Expr::Binary(..)
        | Expr::Compare(..)
        | Expr::Select(..)
        | Expr::Clamp(..)
        | Expr::Convert(..)
        | Expr::Bitcast(..) => 0.06 * width,
    }
}

struct Compiler<'a> {
    kernel: &'a Kernel,
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
    /// Expressions that are computed by the instruction that reads them.
    fused: Vec<bool>,
}

/// Whether a load walks memory in row-major order over all axes of a space.
pub(crate) fn is_row_major(load: &unloop_kernel::Load, space: &[usize]) -> bool {
    let mut step = 1;
    load.windows.is_empty()
        && load.source.strides.iter().zip(space).rev().all(|(&stride, &extent)| {
            let fits = extent == 1 || stride == step;
            step *= extent as isize;
            fits
        })
}

/// The operands of an expression.
fn operands(expr: &Expr) -> SmallVec<[ExprId; 3]> {
    match *expr {
        Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } => SmallVec::new(),
        Expr::Unary(_, a) | Expr::Convert(_, a) | Expr::Bitcast(_, a) => SmallVec::from_slice(&[a]),
        Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => SmallVec::from_slice(&[a, b]),
        Expr::Select(a, b, c) | Expr::Clamp(a, b, c) => SmallVec::from_slice(&[a, b, c]),
    }
}

impl Tape {
    /// Compiles the program of a kernel whose axis `inner` is cut into tiles. Streams are the
    /// loads, in order; outer axes are all others, in order.
    pub fn compile(kernel: &Kernel, inner: usize, simd: Simd, tiling: Tiling) -> Tape {
        let count = kernel.exprs.len();
        let tape = Tape {
            insts: Vec::new(),
            feeds: Vec::new(),
            constants: Vec::new(),
            registers: Vec::new(),
            slots: 2,
            scratch: 0,
            tile: 0,
            result: Place::Result,
            dtype: kernel.dtype(),
            ns: kernel.exprs.iter().zip(&kernel.dtypes).map(|(e, d)| cost(e, *d)).sum(),
        };
        let (mut last, mut uses) = (vec![0; count], vec![0; count]);
        for (i, expr) in kernel.exprs.iter().enumerate() {
            for x in operands(expr) {
                last[x.index()] = i;
                uses[x.index()] += 1;
            }
        }
        last[kernel.result.index()] = usize::MAX;
        uses[kernel.result.index()] += 1;
        let mut compiler = Compiler {
            kernel,
            inner,
            simd,
            tiling,
            tape,
            values: vec![None; count],
            last,
            uses,
            free: Vec::new(),
            tiles: Vec::new(),
            fused: vec![false; count],
        };
        compiler.mark_fused();
        for i in 0..count {
            compiler.expr(i);
        }
        compiler.finish()
    }

    /// Runs `f` with the table of addresses, in scratch memory of the thread.
    pub fn with_table<R>(&self, extra: usize, f: impl FnOnce(&mut Table, *mut u8) -> R) -> R {
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
            unsafe { feed.run(ptrs, bases, offsets, index, start, n, 0) };
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
                unsafe { feed.run(ptrs, bases, &cursor.offsets, &cursor.index, 0, n, row * n) };
            }
            cursor.advance();
        }
        // SAFETY: as the caller's.
        unsafe { self.compute(ptrs, rows * n) };
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

impl Compiler<'_> {
    fn dtype(&self, x: ExprId) -> DType {
        self.kernel.dtypes[x.index()]
    }

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

    /// Whether an expression is the same all along the inner axis.
    fn is_uniform(&self, x: ExprId) -> bool {
        matches!(self.values[x.index()], Some(Value::Uniform(_)))
    }

    /// Products that the addition or subtraction which alone reads them takes in.
    fn mark_fused(&mut self) {
        let exprs = &self.kernel.exprs;
        for expr in exprs {
            let (Expr::Binary(BinaryOp::Add, a, b) | Expr::Binary(BinaryOp::Sub, a, b)) = expr
            else {
                continue;
            };
            let is_product = |x: ExprId| {
                matches!(exprs[x.index()], Expr::Binary(BinaryOp::Mul, ..))
                    && self.uses[x.index()] == 1
                    && self.kernel.dtypes[x.index()].is_float()
            };
            if let Some(x) = [*a, *b].into_iter().find(|&x| is_product(x)) {
                let (Expr::Binary(_, p, q), i) = (&exprs[x.index()], x.index()) else { continue };
                self.fused[i] = true;
                // The factors live on to where the sum is computed.
                let user = self.last[i];
                for factor in [p, q] {
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

    fn mode(&self, a: ExprId, b: ExprId) -> Mode {
        match (self.is_uniform(a), self.is_uniform(b)) {
            (false, true) => Mode::VectorScalar,
            (true, false) => Mode::ScalarVector,
            (false, false) | (true, true) => Mode::VectorVector,
        }
    }

    fn expr(&mut self, i: usize) {
        let expr = &self.kernel.exprs[i];
        let dtype = self.kernel.dtypes[i];
        if self.fused[i] && !operands(expr).iter().all(|x| self.is_uniform(*x)) {
            return;
        }
        self.fused[i] = false;
        let value = match expr {
            Expr::Load(l) => self.load(*l),
            Expr::Constant(value) => {
                let slot = self.cell();
                self.tape.constants.push((slot, value.bits()));
                Value::Uniform(slot)
            }
            Expr::Iota { axis, scale, offset, dtype } => self.iota(*axis, *scale, *offset, *dtype),
            _ => self.call(i, expr, dtype),
        };
        self.values[i] = Some(value);
        // Registers read for the last time here may be written by the next instruction.
        for x in operands(expr) {
            self.release(x, i);
        }
        if let Some((p, q)) = self.fused_product(expr) {
            self.release(p, i);
            self.release(q, i);
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

    /// The factors of a product that is computed together with this sum.
    fn fused_product(&self, expr: &Expr) -> Option<(ExprId, ExprId)> {
        let (Expr::Binary(BinaryOp::Add, a, b) | Expr::Binary(BinaryOp::Sub, a, b)) = expr else {
            return None;
        };
        let x = [*a, *b].into_iter().find(|x| self.fused[x.index()])?;
        match self.kernel.exprs[x.index()] {
            Expr::Binary(BinaryOp::Mul, p, q) => Some((p, q)),
            _ => None,
        }
    }

    fn load(&mut self, index: usize) -> Value {
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
                1 if varies && is_row_major(load, &self.kernel.space) => {
                    let slot = self.slot();
                    (Feed::Direct { slot, stream, size }, Value::Tile(slot))
                }
                _ if varies && moves => {
                    let slot = self.fed();
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
                _ => {
                    let slot = self.fed();
                    (Feed::Strided { slot, stream, stride, dtype }, Value::Tile(slot))
                }
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
        let slot = self.fed();
        let stride = load.source.strides[self.inner];
        self.tape.feeds.push(Feed::Windowed { slot, stream, stride, dtype, windows });
        Value::Tile(slot)
    }

    /// A register that is filled before the first instruction, so nothing else may use it.
    fn fed(&mut self) -> Slot {
        let slot = self.slot();
        self.tiles.push(slot);
        slot
    }

    fn iota(&mut self, axis: usize, scale: isize, offset: isize, dtype: DType) -> Value {
        if axis == self.inner {
            let slot = self.fed();
            self.tape.feeds.push(Feed::Count { slot, scale, offset, dtype });
            return Value::Tile(slot);
        }
        let (from, axis) = (axis, axis - usize::from(axis > self.inner));
        if self.tiling == Tiling::Rows && self.kernel.space[from] != 1 {
            let slot = self.fed();
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
            false if self.kernel.result.index() == i => RESULT,
            false => self.register(),
        }
    }

    fn call(&mut self, i: usize, expr: &Expr, dtype: DType) -> Value {
        if let Some(value) = self.fused_call(i, expr, dtype) {
            return value;
        }
        let simd = self.simd;
        let uniform = operands(expr).iter().all(|x| self.is_uniform(*x));
        let (f, slots) = match *expr {
            Expr::Unary(op, a) => {
                (simd.unary(op, self.dtype(a)), [self.slot_of(a), NOTHING, NOTHING])
            }
            Expr::Binary(op, a, b) => {
                let f = simd.binary(op, dtype, self.mode(a, b));
                (f, [self.slot_of(a), self.slot_of(b), NOTHING])
            }
            Expr::Compare(op, a, b) => {
                let f = simd.compare(op, self.dtype(a), self.mode(a, b));
                (Some(f), [self.slot_of(a), self.slot_of(b), NOTHING])
            }
            Expr::Select(p, a, b) => {
                let p = if uniform { self.slot_of(p) } else { self.tile(p) };
                let (x, y) = (!uniform && self.is_uniform(a), !uniform && self.is_uniform(b));
                (Some(simd.select(dtype, x, y)), [p, self.slot_of(a), self.slot_of(b)])
            }
            Expr::Clamp(low, x, high) => {
                let bounds = !uniform && self.is_uniform(low) && self.is_uniform(high);
                let f = simd.clamp(dtype, bounds);
                let slots = match uniform || bounds {
                    true => {
                        let x = if uniform { self.slot_of(x) } else { self.tile(x) };
                        [self.slot_of(low), x, self.slot_of(high)]
                    }
                    false => [self.tile(low), self.tile(x), self.tile(high)],
                };
                (Some(f), slots)
            }
            Expr::Convert(to, a) => {
                (Some(simd.convert(self.dtype(a), to)), [self.slot_of(a), NOTHING, NOTHING])
            }
            // The same bytes: a copy.
            Expr::Bitcast(to, a) => {
                (Some(simd.convert(to, to)), [self.slot_of(a), NOTHING, NOTHING])
            }
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } => (None, [NOTHING; 3]),
        };
        let dst = self.target(i, uniform);
        let [a, b, c] = slots;
        // The type rules leave no operation without a kernel.
        if let Some(f) = f {
            self.tape.insts.push(Inst::Call { f, dst, a, b, c, uniform });
        }
        if uniform { Value::Uniform(dst) } else { Value::Tile(dst) }
    }

    /// A sum or difference together with the product that it takes in.
    fn fused_call(&mut self, i: usize, expr: &Expr, dtype: DType) -> Option<Value> {
        let (mut p, mut q) = self.fused_product(expr)?;
        let (op, other) = match *expr {
            Expr::Binary(BinaryOp::Add, a, b) => {
                (Fused::MulAdd, if self.fused[a.index()] { b } else { a })
            }
            Expr::Binary(_, a, b) if self.fused[a.index()] => (Fused::MulSub, b),
            Expr::Binary(_, a, _) => (Fused::SubMul, a),
            _ => return None,
        };
        if self.is_uniform(p) {
            std::mem::swap(&mut p, &mut q);
        }
        let f = self.simd.fused(op, dtype, self.is_uniform(q), self.is_uniform(other))?;
        let (a, b, c) = (self.slot_of(p), self.slot_of(q), self.slot_of(other));
        let dst = self.target(i, false);
        self.tape.insts.push(Inst::Call { f, dst, a, b, c, uniform: false });
        Some(Value::Tile(dst))
    }

    /// Lays the registers out in scratch memory.
    fn finish(mut self) -> Tape {
        let result = self.kernel.result;
        self.tape.result = match self.values[result.index()] {
            Some(Value::Tile(RESULT)) | None => Place::Result,
            Some(Value::Tile(slot)) => Place::Tile(slot),
            Some(Value::Uniform(slot)) => Place::Uniform(slot),
        };
        let widest = self.kernel.dtypes.iter().map(|d| d.size()).max().unwrap_or(8);
        let fit = REGISTER_BYTES / (widest * self.tiles.len().max(1));
        let extent = self.kernel.space[self.inner];
        let most = (fit / 64 * 64).clamp(MIN_TILE, MAX_TILE);
        let tile = match self.tiling {
            Tiling::Part => most.min(extent.next_multiple_of(8).max(8)),
            Tiling::Rows => most.max(extent),
        };
        self.tape.tile = tile;
        self.tape.scratch = self.tape.scratch.next_multiple_of(64);
        for slot in &self.tiles {
            self.tape.registers.push((*slot, self.tape.scratch));
            self.tape.scratch += (tile * widest).next_multiple_of(64);
        }
        self.tape
    }
}
