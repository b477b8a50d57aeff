//! Machine code: nests whose lanes are independent, compiled for this processor. Values stay in registers
//! over whole loops; the results have the bits of the tile machine.
//!
//! `emit` walks a nest, and `registers` decides which value lies where, by what `uses` knows of the reads to
//! come. `machine` is what an architecture provides; `x86` is the only one so far. On others, and what has no
//! code, nests run on tiles.

mod emit;
mod machine;
mod registers;
mod uses;
#[cfg(all(target_arch = "x86_64", unix))]
mod x86;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use memmap2::{Mmap, MmapMut};
use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind};
use unloop_kernel::{AxisId, Expr, Index, Kind, Loop, Nest, Role, Stmt};

use crate::memory::{Addresses, SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::Simd;
use emit::Shape;
use machine::{Args, CANCELLED, DONE, LIMIT, Lanes, VECTOR};

/// Bytes of code of all programs together, at most; what comes later runs on tiles.
const MAX_TOTAL: usize = 64 << 20;

/// Expressions of a nest, at most: code of more takes longer to make than it gains.
const MAX_EXPRS: usize = 20_000;

/// Bytes of the code that there is.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// A nest as machine code.
pub(crate) struct Code {
    memory: Mmap,
    constants: Box<[u8]>,
    /// Bytes of the frame of a thread.
    frame: usize,
    limits: Vec<usize>,
    /// The extents of the outermost loop and of the lanes.
    extents: [usize; 2],
    /// Examples of a vector.
    width: usize,
    /// The numbers of the buffers, where they come from a plan's memory.
    buffers: Vec<usize>,
}

/// Predicted nanoseconds that a nest has run on tiles before it is worth code: about what making it takes.
const WORTH_NS: f64 = 50_000.0;

/// Code that is made when it has turned out to be worth it.
#[derive(Default)]
pub(crate) struct Lazy {
    code: OnceLock<Option<Code>>,
    /// Predicted nanoseconds of all runs so far.
    spent: AtomicU64,
}

impl Lazy {
    /// The code, if there is any, before a run of so many predicted nanoseconds.
    pub fn get(&self, simd: Simd, ns: f64, make: impl FnOnce() -> Option<Code>) -> Option<&Code> {
        if let Some(code) = self.code.get() {
            return code.as_ref();
        }
        let spent = self.spent.fetch_add(ns as u64, Ordering::Relaxed) as f64 + ns;
        if spent < WORTH_NS && !simd.wants_code() {
            return None;
        }
        self.code.get_or_init(make).as_ref()
    }

    /// Whether there is code by now.
    pub fn is_made(&self) -> bool {
        matches!(self.code.get(), Some(Some(_)))
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        TOTAL.fetch_sub(self.memory.len(), Ordering::Relaxed);
    }
}

impl Code {
    /// The code of a nest; `None` where there is none, or it would be slower than tiles.
    pub fn compile(nest: &Nest, simd: Simd) -> Option<Code> {
        let shape = shape(nest)?;
        let emitted = emitted(nest, &shape, simd)?;
        let bytes = emitted.code.len();
        if TOTAL.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_TOTAL {
            TOTAL.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        let executable = || {
            let mut memory = MmapMut::map_anon(bytes).ok()?;
            memory.copy_from_slice(&emitted.code);
            // From here on it can be run, and not written.
            memory.make_exec().ok()
        };
        let Some(memory) = executable() else {
            TOTAL.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        };
        let extent = |each: &Loop| nest.axes[each.axis.0 as usize];
        Some(Code {
            memory,
            constants: emitted.constants.into(),
            frame: emitted.frame,
            limits: emitted.limits,
            extents: [shape.outer.first().map_or(1, |each| extent(each)), extent(shape.lanes)],
            width: shape.width.count,
            buffers: Vec::new(),
        })
    }

    /// The same with the numbers of its buffers in the memory of a plan.
    pub fn of_buffers(mut self, buffers: Vec<usize>) -> Code {
        self.buffers = buffers;
        self
    }

    /// Runs all positions on the memory of a plan; `ns` is the predicted time.
    ///
    /// # Safety
    /// As [`Code::run`].
    pub unsafe fn run_on(&self, memory: Addresses<'_>, ns: f64) -> Result<(), ErrorKind> {
        let buffers = self.buffers.iter().map(|&buffer| memory.of(buffer));
        // SAFETY: as the caller's.
        unsafe { self.run(buffers, ns) }
    }

    /// Runs all positions, on the memory of the buffers; `ns` is the predicted time.
    ///
    /// # Safety
    /// The addresses are of buffers of the nest, and nobody else uses those that it writes.
    pub unsafe fn run(
        &self,
        buffers: impl Iterator<Item = *mut u8>,
        ns: f64,
    ) -> Result<(), ErrorKind> {
        let buffers: SmallVec<[SharedPtr; 16]> = buffers.map(SharedPtr).collect();
        let [outer, lanes] = self.extents;
        let share = lanes / (8 * rayon::current_num_threads());
        let share = share.next_multiple_of(self.width).max(self.width);
        let shares = lanes.div_ceil(share);
        for_ranges(outer * shares, ns, |range| {
            with_scratch(self.frame, |frame| {
                let buffers: SmallVec<[*mut u8; 16]> =
                    buffers.iter().map(|buffer| buffer.get()).collect();
                let mut at = range.start;
                while at < range.end {
                    // Whole rows of shares together, else a part of one.
                    let (row, first) = (at / shares, at % shares);
                    let rows = (range.end - at) / shares;
                    let (rows, count) = match first == 0 && rows > 0 {
                        true => (rows, shares),
                        false => (1, (shares - first).min(range.end - at)),
                    };
                    let part = [first * share, ((first + count) * share).min(lanes)];
                    // SAFETY: as the caller's; each range has its own positions.
                    unsafe { self.call(&buffers, frame, [row, row + rows], part)? };
                    at += rows * count;
                }
                Ok(())
            })?
        })
    }

    unsafe fn call(
        &self,
        buffers: &[*mut u8],
        frame: *mut u8,
        outer: [usize; 2],
        lanes: [usize; 2],
    ) -> Result<(), ErrorKind> {
        let constants = self.constants.as_ptr();
        let args = Args { buffers: buffers.as_ptr(), frame, constants, outer, lanes };
        // SAFETY: the memory holds a function of this type, which the architecture's part has made.
        let run: unsafe extern "C" fn(*const Args) -> u64 =
            unsafe { std::mem::transmute(self.memory.as_ptr()) };
        // SAFETY: the frame is as large as the code needs it, the buffers are the caller's.
        match unsafe { run(&args) } {
            DONE => Ok(()),
            CANCELLED => Err(ErrorKind::Cancelled),
            n => Err(ErrorKind::LoopLimit { limit: self.limits[(n - LIMIT) as usize] }),
        }
    }
}

#[cfg(all(target_arch = "x86_64", unix))]
fn emitted(nest: &Nest, shape: &Shape<'_>, simd: Simd) -> Option<emit::Emitted> {
    // What is called takes about as long for one vector as for a tile.
    let gains = || shape.width.count == 1 || !emit::has_calls::<x86::X86>(nest, &shape.lanes.body);
    let is_wanted = simd.has_code() && (simd.wants_code() || gains());
    is_wanted.then(|| emit::emit::<x86::X86>(nest, shape, simd)).flatten()
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn emitted(_: &Nest, _: &Shape<'_>, _: Simd) -> Option<emit::Emitted> {
    None
}

/// The loops of a nest that has code: some without an order around lanes that know nothing of each other.
fn shape(nest: &Nest) -> Option<Shape<'_>> {
    let [Stmt::Loop(first)] = &nest.body[..] else { return None };
    let (mut outer, mut each) = (Vec::new(), &**first);
    while each.kind == Kind::Grid {
        let [Stmt::Loop(inner)] = &each.body[..] else { return None };
        outer.push(each);
        each = inner;
    }
    if each.kind != Kind::Lanes || outer.iter().chain([&each]).any(|each| !each.carried.is_empty())
    {
        return None;
    }
    if nest.exprs.len() > MAX_EXPRS {
        return None;
    }
    let numbers = nest.dtypes.iter().filter(|dtype| **dtype != DType::Bool);
    let element = numbers.map(|dtype| dtype.size()).max().unwrap_or(4);
    let extent = nest.axes[each.axis.0 as usize];
    let count = if extent < VECTOR / element { 1 } else { VECTOR / element };
    let parallel = outer.iter().map(|each| each.axis).chain([each.axis]).collect();
    let checker = Checker { nest, lanes: each.axis, extent, parallel };
    let mut axes = checker.parallel.clone();
    checker.block(&each.body, &mut axes).then_some(())?;
    Some(Shape { outer, lanes: each, width: Lanes { count, element } })
}

/// Whether there is code for statements.
struct Checker<'a> {
    nest: &'a Nest,
    lanes: AxisId,
    /// Of the lanes.
    extent: usize,
    /// The axes of loops without an order.
    parallel: Vec<AxisId>,
}

impl Checker<'_> {
    fn block(&self, block: &[Stmt], axes: &mut Vec<AxisId>) -> bool {
        block.iter().all(|stmt| match stmt {
            Stmt::Let(x) => match self.nest.expr(*x) {
                Expr::Load(i) => {
                    let read = &self.nest.reads[*i];
                    let stride = read.index.stride(self.lanes);
                    let role = self.nest.buffers[read.buffer.0 as usize].role;
                    let is_plain = role != Role::Local
                        && self.nest.dtype(*x) != DType::Bool
                        && (stride == 1 || self.extent == 1);
                    (read.mask.is_none() || is_plain)
                        && self.index(read.buffer.0, &read.index, axes)
                }
                Expr::Iota { axis, scale, offset, dtype } => {
                    let axis = AxisId(*axis as u32);
                    let reach = self.nest.axes[axis.0 as usize] as i128 * *scale as i128;
                    let far = reach.abs() + (*offset as i128).abs();
                    let bits = if matches!(dtype, DType::I64) { 62 } else { 30 };
                    axes.contains(&axis) && *dtype != DType::Bool && far < 1 << bits
                }
                _ => true,
            },
            Stmt::Store { buffer, index, .. } => {
                let is_local = self.nest.buffers[buffer.0 as usize].role == Role::Local;
                let stays = is_local || index.stride(self.lanes) != 0 || self.extent == 1;
                stays && self.index(buffer.0, index, axes)
            }
            Stmt::Loop(each) => match &each.kind {
                Kind::Serial { .. } => {
                    axes.push(each.axis);
                    let fits = self.block(&each.body, axes);
                    axes.pop();
                    fits
                }
                Kind::While { head, .. } => {
                    // Lanes that are done must not write.
                    let writes = |block: &[Stmt]| {
                        let mut any = block.iter().any(is_store);
                        unloop_kernel::for_loops(block, &mut |each| {
                            any |= each.body.iter().any(is_store);
                        });
                        any
                    };
                    let is_alone = self.extent == 1 || !(writes(head) || writes(&each.body));
                    is_alone && self.block(head, axes) && self.block(&each.body, axes)
                }
                Kind::Grid | Kind::Lanes => false,
            },
        })
    }

    /// Whether an index is of loops around, and what it adds fits an instruction.
    fn index(&self, buffer: u32, index: &Index, axes: &[AxisId]) -> bool {
        let buffer = &self.nest.buffers[buffer as usize];
        let is_local = buffer.role == Role::Local;
        let size = if is_local { VECTOR } else { buffer.dtype.size() } as i128;
        let lanes = index.stride(self.lanes) as i128 * VECTOR as i128;
        let far = (index.offset as i128).abs() + lanes.abs();
        let is_own = |axis: &AxisId| !is_local || !self.parallel.contains(axis);
        index.computed.is_none()
            && far * size < 1 << 30
            && index.terms.iter().all(|(axis, _)| axes.contains(axis) && is_own(axis))
    }
}

fn is_store(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Store { .. })
}
