//! Instructions on tiles of examples, and how they run: every register holds one number of each
//! example of the tile, every cell one number that is the same for all.

use smallvec::SmallVec;
use unloop_graph::{DType, ErrorKind, cancel};

use super::emit::Emitted;
use crate::control::Steps;
use crate::memory::{SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{Columns, Simd, TileFn, count_true, fill, gather_run, pick, put, scatter_run};

/// Elements of one example that are loaded or stored together: a cache line of the widest.
pub(super) const GROUP: usize = 8;

/// Bytes of a cell.
const CELL: usize = 8;

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Cell(usize),
    Register(usize),
    /// A register behind all others, for an element that a loop keeps.
    Kept(usize),
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
        input: usize,
        first: usize,
        dtype: DType,
    },
    /// An element that is the same for all examples.
    LoadOne {
        dst: S,
        input: usize,
        element: usize,
        dtype: DType,
    },
    Store {
        from: SmallVec<[Option<S>; GROUP]>,
        output: usize,
        first: usize,
        dtype: DType,
    },
    /// The element of an entry of the innermost loop.
    Read {
        dst: S,
        input: usize,
        element: usize,
        step: isize,
        dtype: DType,
        uniform: bool,
    },
    Write {
        from: S,
        output: usize,
        element: usize,
        step: isize,
        dtype: DType,
        uniform: bool,
    },
    /// A tile that a run of the innermost loop keeps; those of its entries are `step` registers apart.
    Keep {
        dst: S,
        from: S,
        step: isize,
        dtype: DType,
        uniform: bool,
    },
    Recall {
        dst: S,
        from: S,
        step: isize,
        dtype: DType,
    },
    Repeat {
        head: Vec<Inst<S>>,
        test: Test<S>,
        body: Vec<Inst<S>>,
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
    /// Examples of a tile.
    width: usize,
    simd: Simd,
}

/// Fewer examples than this are not moved together.
const FEW: usize = 32;

/// Where the examples of a tile lie.
struct At<'a> {
    inputs: &'a [SharedPtr],
    outputs: &'a [SharedPtr],
    /// Elements of one example, in each of them.
    strides: (&'a [usize], &'a [usize]),
    first: usize,
    /// The entry of the innermost loop.
    entry: usize,
}

impl At<'_> {
    /// The address of an element of the first example.
    fn element(&self, start: SharedPtr, stride: usize, element: usize, dtype: DType) -> *mut u8 {
        start.get().wrapping_add((self.first * stride + element) * dtype.size())
    }

    /// The same for the entry of the innermost loop; entries are `step` elements apart.
    fn entry(
        &self,
        start: SharedPtr,
        stride: usize,
        element: usize,
        step: isize,
        dtype: DType,
    ) -> *mut u8 {
        let moved = self.entry as isize * step * dtype.size() as isize;
        self.element(start, stride, element, dtype).wrapping_offset(moved)
    }
}

impl Tape {
    pub fn new(emitted: Emitted, width: usize, simd: Simd) -> Tape {
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
            width,
            simd,
        }
    }

    /// Runs all examples; `ns` is the predicted time.
    ///
    /// # Safety
    /// The addresses are of values of the program's types, and nobody else uses the outputs.
    pub unsafe fn run(
        &self,
        examples: usize,
        strides: (&[usize], &[usize]),
        (inputs, outputs): (&[*mut u8], &[*mut u8]),
        ns: f64,
    ) -> Result<(), ErrorKind> {
        let shared = |addresses: &[*mut u8]| -> SmallVec<[SharedPtr; 8]> {
            addresses.iter().map(|&a| SharedPtr(a)).collect()
        };
        let (inputs, outputs) = (shared(inputs), shared(outputs));
        for_ranges(examples.div_ceil(self.width), ns, |range| {
            with_scratch(self.scratch, |base| {
                for (cell, bits) in &self.constants {
                    // SAFETY: cells lie in the scratch memory.
                    unsafe { base.add(*cell as usize).cast::<u64>().write(*bits) };
                }
                for tile in range {
                    let first = tile * self.width;
                    let at = At { inputs: &inputs, outputs: &outputs, strides, first, entry: 0 };
                    let n = self.width.min(examples - first);
                    // SAFETY: as the caller's; each tile has its own examples.
                    unsafe { self.execute(&self.insts, base, &at, n)? };
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
        at: &At<'_>,
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
                    Inst::Load { to, input, first, dtype } => {
                        let (stride, input) = (at.strides.0[*input], at.inputs[*input]);
                        let rows = at.element(input, stride, *first, *dtype);
                        let columns = Columns { rows, stride, columns: to, start: base, n };
                        self.simd.split(columns, *dtype);
                    }
                    &Inst::LoadOne { dst, input, element, dtype } => {
                        let start = at.inputs[input].get().wrapping_add(element * dtype.size());
                        std::ptr::copy_nonoverlapping(start, place(dst), dtype.size());
                    }
                    Inst::Store { from, output, first, dtype } => {
                        let (stride, output) = (at.strides.1[*output], at.outputs[*output]);
                        let rows = at.element(output, stride, *first, *dtype);
                        let columns = Columns { rows, stride, columns: from, start: base, n };
                        self.simd.join(columns, *dtype);
                    }
                    &Inst::Read { dst, input, element, step, dtype, uniform } => {
                        let stride = at.strides.0[input];
                        let start = at.entry(at.inputs[input], stride, element, step, dtype);
                        let n = if uniform { 1 } else { n };
                        gather_run(place(dst), start, stride as isize, n, dtype);
                    }
                    &Inst::Write { from, output, element, step, dtype, uniform } => {
                        let stride = at.strides.1[output] as isize;
                        let size = dtype.size();
                        let to =
                            at.entry(at.outputs[output], stride as usize, element, step, dtype);
                        match uniform {
                            false => scatter_run(to, stride, place(from), n, dtype),
                            true => (0..n as isize).for_each(|i| {
                                let to = to.wrapping_offset(i * stride * size as isize);
                                std::ptr::copy_nonoverlapping(place(from), to, size);
                            }),
                        }
                    }
                    &Inst::Keep { dst, from, step, dtype, uniform } => {
                        let dst = place(dst).wrapping_offset(self.entry(at, step));
                        match uniform {
                            true => fill(dst, place(from), n, dtype),
                            false => {
                                std::ptr::copy_nonoverlapping(place(from), dst, n * dtype.size());
                            }
                        }
                    }
                    &Inst::Recall { dst, from, step, dtype } => {
                        let from = place(from).wrapping_offset(self.entry(at, step));
                        std::ptr::copy_nonoverlapping(from, place(dst), n * dtype.size());
                    }
                    Inst::Repeat { head, test, body } => match test {
                        &Test::Count { count, reverse } => {
                            for run in 0..count {
                                cancel::check()?;
                                let entry = if reverse { count - 1 - run } else { run };
                                self.execute(body, base, &At { entry, ..*at }, n)?;
                            }
                        }
                        &Test::While { on, limit } => {
                            let mut steps = Steps::new(limit);
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

    /// How far what the innermost loop keeps is from that of its first entry.
    fn entry(&self, at: &At<'_>, step: isize) -> isize {
        at.entry as isize * step * self.register as isize
    }

    /// A loop in which examples are done at different times.
    unsafe fn repeat_any(
        &self,
        (head, test, body): (&[Inst<u32>], &Test<u32>, &[Inst<u32>]),
        base: *mut u8,
        at: &At<'_>,
        n: usize,
    ) -> Result<(), ErrorKind> {
        let Test::Any { on, limit, state, captured, spare } = test else {
            unreachable!("a loop of examples that end at different times")
        };
        let mut steps = Steps::new(*limit);
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
        Inst::Load { to, input, first, dtype } => {
            let to = to.into_iter().map(|slot| slot.map(place)).collect();
            Inst::Load { to, input, first, dtype }
        }
        Inst::LoadOne { dst, input, element, dtype } => {
            Inst::LoadOne { dst: place(dst), input, element, dtype }
        }
        Inst::Store { from, output, first, dtype } => {
            let from = from.into_iter().map(|slot| slot.map(place)).collect();
            Inst::Store { from, output, first, dtype }
        }
        Inst::Read { dst, input, element, step, dtype, uniform } => {
            Inst::Read { dst: place(dst), input, element, step, dtype, uniform }
        }
        Inst::Write { from, output, element, step, dtype, uniform } => {
            Inst::Write { from: place(from), output, element, step, dtype, uniform }
        }
        Inst::Keep { dst, from, step, dtype, uniform } => {
            Inst::Keep { dst: place(dst), from: place(from), step, dtype, uniform }
        }
        Inst::Recall { dst, from, step, dtype } => {
            Inst::Recall { dst: place(dst), from: place(from), step, dtype }
        }
        Inst::Repeat { head, test, body } => {
            let test = match test {
                Test::Count { count, reverse } => Test::Count { count, reverse },
                Test::While { on, limit } => Test::While { on: place(on), limit },
                Test::Any { on, limit, state, captured, spare } => {
                    let (state, captured) = (moved(state), moved(captured));
                    Test::Any { on: place(on), limit, state, captured, spare }
                }
            };
            Inst::Repeat { head: placed(head, place), test, body: placed(body, place) }
        }
    };
    insts.into_iter().map(one).collect()
}
