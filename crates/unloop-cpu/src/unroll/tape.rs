//! Instructions on tiles of examples, and how they run: every register holds one number of each
//! example of the tile, every cell one number that is the same for all.

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, cancel};
use unloop_kernel::BufferId;

use super::emit::Emitted;
use crate::control;
use crate::memory::{SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{Columns, Simd, TileFn, count_true, fill, gather_run, pick, put, scatter_run};

/// Elements of one example that are loaded or stored together: a cache line of the widest.
pub(super) const GROUP: usize = 8;

/// Bytes of a cell.
const CELL: usize = 8;

/// How far a step along the axes of loops within the examples goes, in elements or registers.
pub(super) type Steps = SmallVec<[(u32, isize); 1]>;

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Cell(usize),
    Register(usize),
    /// A register behind all others, for an element that a loop keeps.
    Kept(usize),
}

/// Where an element lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub buffer: BufferId,
    /// That of the first example.
    pub first: isize,
    /// How far one example is from the next, of the outer and of the inner ones.
    pub strides: [isize; 2],
}

pub(super) enum Inst<S = Slot> {
    Call {
        f: TileFn,
        dst: S,
        a: S,
        b: S,
        c: S,
        uniform: bool,
    },
    /// One element repeated to a tile.
    Splat {
        dst: S,
        from: S,
        dtype: DType,
    },
    /// A tile or an element, as it is.
    Copy {
        dst: S,
        from: S,
        dtype: DType,
    },
    /// Neighbouring elements of each example.
    Load {
        to: SmallVec<[Option<S>; GROUP]>,
        from: Place,
        dtype: DType,
    },
    /// An element that is the same for all examples.
    LoadOne {
        dst: S,
        from: Place,
        dtype: DType,
    },
    Store {
        from: SmallVec<[Option<S>; GROUP]>,
        to: Place,
        dtype: DType,
    },
    /// An element of the entries of loops.
    Read {
        dst: S,
        from: Place,
        steps: Steps,
        dtype: DType,
        uniform: bool,
    },
    Write {
        from: S,
        to: Place,
        steps: Steps,
        dtype: DType,
        uniform: bool,
    },
    /// A tile that a run of a loop keeps.
    Keep {
        dst: S,
        from: S,
        steps: Steps,
        dtype: DType,
        uniform: bool,
    },
    Recall {
        dst: S,
        from: S,
        steps: Steps,
        dtype: DType,
    },
    Repeat {
        head: Vec<Inst<S>>,
        test: Test<S>,
        body: Vec<Inst<S>>,
        axis: u32,
    },
}

/// How long a loop goes on.
pub(super) enum Test<S = Slot> {
    Count {
        count: usize,
        reverse: bool,
    },
    /// While `on` is true, `limit` times at most.
    While {
        on: S,
        limit: Option<usize>,
    },
    /// While `on` is true for any example, `limit` times at most. Those that are done leave the tile when they are half of
    /// it: what the loop passes on of them waits in registers from `spare` on, behind which those are
    /// saved that it only reads.
    Any {
        on: S,
        limit: Option<usize>,
        state: Moved<S>,
        captured: Moved<S>,
        spare: usize,
    },
}

/// Tiles that move when examples do.
type Moved<S> = SmallVec<[(S, DType); 8]>;

/// Instructions with the places of their operands.
pub(super) struct Tape {
    insts: Vec<Inst<u32>>,
    constants: Vec<(u32, u64)>,
    /// Bytes of all cells and registers.
    scratch: usize,
    register: usize,
    first_register: usize,
    /// Axes of loops.
    axes: usize,
    /// Examples of a tile.
    width: usize,
    simd: Simd,
}

/// Fewer examples than this are not moved together.
const FEW: usize = 32;

/// Where a running tile is.
struct At<'a> {
    /// The buffers.
    buffers: &'a [SharedPtr],
    /// The first example, among the outer and the inner ones.
    first: [usize; 2],
    /// The position along the axis of each loop.
    position: SmallVec<[usize; 8]>,
}

impl At<'_> {
    /// How far the entries of the loops are from the first ones.
    fn moved(&self, steps: &Steps) -> isize {
        steps.iter().map(|&(axis, step)| self.position[axis as usize] as isize * step).sum()
    }

    /// The address of an element of the first example, so far from a place.
    fn address(&self, place: &Place, moved: isize, dtype: DType) -> *mut u8 {
        let [outer, inner] = self.first;
        let examples = outer as isize * place.strides[0] + inner as isize * place.strides[1];
        let at = place.first + moved + examples;
        self.buffers[place.buffer.0 as usize].get().wrapping_offset(at * dtype.size() as isize)
    }
}

impl Tape {
    pub fn new(emitted: Emitted, axes: usize, width: usize, simd: Simd) -> Tape {
        let register = (width * emitted.widest).next_multiple_of(64);
        let first_register = (emitted.cells * CELL).next_multiple_of(64);
        let place = |slot: Slot| match slot {
            Slot::Cell(i) => (i * CELL) as u32,
            Slot::Register(i) => (first_register + i * register) as u32,
            Slot::Kept(i) => (first_register + (emitted.registers + i) * register) as u32,
        };
        Tape {
            insts: placed(emitted.insts, &place),
            constants: emitted.constants.into_iter().map(|(s, bits)| (place(s), bits)).collect(),
            scratch: first_register + (emitted.registers + emitted.kept) * register,
            register,
            first_register,
            axes,
            width,
            simd,
        }
    }

    /// Runs all examples, outer and inner ones, on the memory of the buffers; `ns` is the predicted time.
    ///
    /// # Safety
    /// The addresses are of buffers of the nest that the tape was made of, and nobody else uses the
    /// outputs.
    pub unsafe fn run(
        &self,
        [outer, examples]: [usize; 2],
        buffers: impl Iterator<Item = *mut u8>,
        ns: f64,
    ) -> Result<(), ErrorKind> {
        let buffers: SmallVec<[SharedPtr; 16]> = buffers.map(SharedPtr).collect();
        let tiles = examples.div_ceil(self.width);
        for_ranges(outer * tiles, ns, |range| {
            with_scratch(self.scratch, |base| {
                for (cell, bits) in &self.constants {
                    // SAFETY: cells lie in the scratch memory.
                    unsafe { base.add(*cell as usize).cast::<u64>().write(*bits) };
                }
                let position = SmallVec::from_elem(0, self.axes);
                let mut at = At { buffers: &buffers, first: [0; 2], position };
                for tile in range {
                    at.first = [tile / tiles, tile % tiles * self.width];
                    let n = self.width.min(examples - at.first[1]);
                    // SAFETY: as the caller's; each tile has its own examples.
                    unsafe { self.execute(&self.insts, base, &mut at, n)? };
                }
                Ok(())
            })?
        })
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        self.scratch
    }

    unsafe fn execute(
        &self,
        insts: &[Inst<u32>],
        base: *mut u8,
        at: &mut At<'_>,
        n: usize,
    ) -> Result<(), ErrorKind> {
        let place = |slot: u32| base.wrapping_add(slot as usize);
        for inst in insts {
            // SAFETY: places lie in the scratch memory and have room for a tile or an element; memory
            // is the caller's.
            unsafe {
                match inst {
                    &Inst::Call { f, dst, a, b, c, uniform } => {
                        f(place(dst), place(a), place(b), place(c), if uniform { 1 } else { n });
                    }
                    &Inst::Splat { dst, from, dtype } => fill(place(dst), place(from), n, dtype),
                    &Inst::Copy { dst, from, dtype } => {
                        let is_tile = dst as usize >= self.first_register;
                        let bytes = if is_tile { n * dtype.size() } else { CELL };
                        std::ptr::copy_nonoverlapping(place(from), place(dst), bytes);
                    }
                    Inst::Load { to, from, dtype } => {
                        let rows = at.address(from, 0, *dtype);
                        let stride = from.strides[1] as usize;
                        let columns = Columns { rows, stride, columns: to, start: base, n };
                        self.simd.split(columns, *dtype);
                    }
                    Inst::LoadOne { dst, from, dtype } => {
                        let start = at.address(from, 0, *dtype);
                        std::ptr::copy_nonoverlapping(start, place(*dst), dtype.size());
                    }
                    Inst::Store { from, to, dtype } => {
                        let rows = at.address(to, 0, *dtype);
                        let stride = to.strides[1] as usize;
                        let columns = Columns { rows, stride, columns: from, start: base, n };
                        self.simd.join(columns, *dtype);
                    }
                    Inst::Read { dst, from, steps, dtype, uniform } => {
                        let start = at.address(from, at.moved(steps), *dtype);
                        let n = if *uniform { 1 } else { n };
                        gather_run(place(*dst), start, from.strides[1], n, *dtype);
                    }
                    Inst::Write { from, to, steps, dtype, uniform } => {
                        let (stride, size) = (to.strides[1], dtype.size());
                        let to = at.address(to, at.moved(steps), *dtype);
                        match uniform {
                            false => scatter_run(to, stride, place(*from), n, *dtype),
                            true => (0..n as isize).for_each(|i| {
                                let to = to.wrapping_offset(i * stride * size as isize);
                                std::ptr::copy_nonoverlapping(place(*from), to, size);
                            }),
                        }
                    }
                    Inst::Keep { dst, from, steps, dtype, uniform } => {
                        let dst = place(*dst).wrapping_offset(self.kept(at, steps));
                        match uniform {
                            true => fill(dst, place(*from), n, *dtype),
                            false => {
                                let bytes = n * dtype.size();
                                std::ptr::copy_nonoverlapping(place(*from), dst, bytes);
                            }
                        }
                    }
                    Inst::Recall { dst, from, steps, dtype } => {
                        let from = place(*from).wrapping_offset(self.kept(at, steps));
                        std::ptr::copy_nonoverlapping(from, place(*dst), n * dtype.size());
                    }
                    Inst::Repeat { head, test, body, axis } => match test {
                        &Test::Count { count, reverse } => {
                            for run in 0..count {
                                cancel::check()?;
                                at.position[*axis as usize] =
                                    if reverse { count - 1 - run } else { run };
                                self.execute(body, base, at, n)?;
                            }
                        }
                        &Test::While { on, limit } => {
                            let mut steps = control::Steps::new(limit);
                            loop {
                                self.execute(head, base, at, n)?;
                                if place(on).read() == 0 {
                                    break;
                                }
                                steps.next()?;
                                self.execute(body, base, at, n)?;
                            }
                        }
                        Test::Any { .. } => self.repeat_any((head, test, body), base, at, n)?,
                    },
                }
            }
        }
        Ok(())
    }

    /// How far what loops keep is from that of their first entries, in bytes.
    fn kept(&self, at: &At<'_>, steps: &Steps) -> isize {
        at.moved(steps) * self.register as isize
    }

    /// A loop in which examples are done at different times.
    unsafe fn repeat_any(
        &self,
        (head, test, body): (&[Inst<u32>], &Test<u32>, &[Inst<u32>]),
        base: *mut u8,
        at: &mut At<'_>,
        n: usize,
    ) -> Result<(), ErrorKind> {
        let Test::Any { on, limit, state, captured, spare } = test else {
            unreachable!("a loop of examples that end at different times")
        };
        let mut steps = control::Steps::new(*limit);
        let place = |slot: u32| base.wrapping_add(slot as usize);
        let register = |i: usize| base.wrapping_add(self.first_register + i * self.register);
        let (done, saved) =
            (|i: usize| register(spare + i), |i: usize| register(spare + state.len() + i));
        // The example of each that is left.
        let mut left: Vec<u32> = Vec::new();
        let (mut m, mut moved) = (n, false);
        // SAFETY: as the caller's; the spare registers are used here only.
        unsafe {
            loop {
                self.execute(head, base, at, m)?;
                let active = count_true(place(*on), m);
                if active == 0 {
                    break;
                }
                steps.next()?;
                if m > FEW && active <= m / 2 {
                    if !moved {
                        moved = true;
                        left = (0..n as u32).collect();
                        for (i, &(slot, dtype)) in captured.iter().enumerate() {
                            let bytes = n * dtype.size();
                            std::ptr::copy_nonoverlapping(place(slot), saved(i), bytes);
                        }
                    }
                    let mask = std::slice::from_raw_parts(place(*on), m);
                    let kept: Vec<u32> = (0..m as u32).filter(|&i| mask[i as usize] != 0).collect();
                    for (i, &(slot, dtype)) in state.iter().enumerate() {
                        put(done(i), &left, place(slot), dtype);
                        pick(place(slot), &kept, dtype);
                    }
                    for &(slot, dtype) in captured {
                        pick(place(slot), &kept, dtype);
                    }
                    left = kept.iter().map(|&i| left[i as usize]).collect();
                    m = active;
                    // The condition, and what else stands there, of those that are left.
                    self.execute(head, base, at, m)?;
                }
                self.execute(body, base, at, m)?;
            }
            if moved {
                for (i, &(slot, dtype)) in state.iter().enumerate() {
                    put(done(i), &left, place(slot), dtype);
                    std::ptr::copy_nonoverlapping(done(i), place(slot), n * dtype.size());
                }
                for (i, &(slot, dtype)) in captured.iter().enumerate() {
                    std::ptr::copy_nonoverlapping(saved(i), place(slot), n * dtype.size());
                }
            }
        }
        Ok(())
    }
}

/// Instructions whose operands have their places.
fn placed(insts: Vec<Inst>, place: &impl Fn(Slot) -> u32) -> Vec<Inst<u32>> {
    let moved = |moved: Moved<Slot>| -> Moved<u32> {
        moved.into_iter().map(|(slot, dtype)| (place(slot), dtype)).collect()
    };
    let one = |inst: Inst| match inst {
        Inst::Call { f, dst, a, b, c, uniform } => {
            let [dst, a, b, c] = [dst, a, b, c].map(place);
            Inst::Call { f, dst, a, b, c, uniform }
        }
        Inst::Splat { dst, from, dtype } => {
            Inst::Splat { dst: place(dst), from: place(from), dtype }
        }
        Inst::Copy { dst, from, dtype } => Inst::Copy { dst: place(dst), from: place(from), dtype },
        Inst::Load { to, from, dtype } => {
            let to = to.into_iter().map(|slot| slot.map(place)).collect();
            Inst::Load { to, from, dtype }
        }
        Inst::LoadOne { dst, from, dtype } => Inst::LoadOne { dst: place(dst), from, dtype },
        Inst::Store { from, to, dtype } => {
            let from = from.into_iter().map(|slot| slot.map(place)).collect();
            Inst::Store { from, to, dtype }
        }
        Inst::Read { dst, from, steps, dtype, uniform } => {
            Inst::Read { dst: place(dst), from, steps, dtype, uniform }
        }
        Inst::Write { from, to, steps, dtype, uniform } => {
            Inst::Write { from: place(from), to, steps, dtype, uniform }
        }
        Inst::Keep { dst, from, steps, dtype, uniform } => {
            Inst::Keep { dst: place(dst), from: place(from), steps, dtype, uniform }
        }
        Inst::Recall { dst, from, steps, dtype } => {
            Inst::Recall { dst: place(dst), from: place(from), steps, dtype }
        }
        Inst::Repeat { head, test, body, axis } => {
            let test = match test {
                Test::Count { count, reverse } => Test::Count { count, reverse },
                Test::While { on, limit } => Test::While { on: place(on), limit },
                Test::Any { on, limit, state, captured, spare } => {
                    let (state, captured) = (moved(state), moved(captured));
                    Test::Any { on: place(on), limit, state, captured, spare }
                }
            };
            Inst::Repeat { head: placed(head, place), test, body: placed(body, place), axis }
        }
    };
    insts.into_iter().map(one).collect()
}
