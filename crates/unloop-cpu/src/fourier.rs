//! Fourier transforms along an axis, by `rustfft` and `realfft`. Blocks of lanes, whole lines of the
//! cache where the axis is not the last one, are read into scratch memory, where complex numbers are
//! pairs, transformed there, and written: one pass in and one out, whatever the axis.

use std::ops::Range;
use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use smallvec::SmallVec;
use unloop_graph::memory::take_memory;
use unloop_graph::op::HostKernel;
use unloop_graph::{DType, ErrorKind, TensorType};

use crate::memory::{SharedPtr, counted_scratch, with_scratch};
use crate::parallel::for_ranges;

/// What becomes of the `n` values along an axis, without a factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transform {
    /// Complex numbers to complex numbers: `X[k] = Σ x[j]·e^(∓2πi·jk/n)`.
    Complex {
        /// Whether the exponent is positive.
        inverse: bool,
    },
    /// Real numbers to the first `n/2 + 1` of their spectrum.
    ToHalf,
    /// The first `n/2 + 1` values of a spectrum to real numbers; the others are their conjugates, and
    /// the imaginary parts of those without a partner do not count.
    FromHalf,
}

/// Prepared transforms of lanes of `n` values.
struct Fourier<T> {
    plan: Plan<T>,
    n: usize,
    /// Values in memory from one of a lane to the next.
    inner: usize,
    lanes: usize,
    /// Lanes in a block.
    block: usize,
    /// The factor of every complex number.
    scale: T,
    /// The factor of those of a half spectrum that stand for two.
    paired: T,
}

enum Plan<T> {
    Complex(Arc<dyn Fft<T>>),
    ToHalf(Arc<dyn RealToComplex<T>>),
    FromHalf(Arc<dyn ComplexToReal<T>>),
}

/// Bytes of a block, about, where lanes lie one behind the other: they stay in a first-level cache.
const BLOCK_BYTES: usize = 1 << 14;

/// Bytes of a block, at most, as long as it has one lane.
const LARGEST_BLOCK: usize = 1 << 22;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Lines that a block has of each place along the axis, at least: values a page apart each cost a walk
/// of the page table. Twice as fast as one line, for lanes of 1,024.
const LINES: usize = 4;

/// Predicted nanoseconds of a value of one lane, read and written, and for each doubling of the lane.
const VALUE_NS: f64 = 1.5;
const LEVEL_NS: f64 = 0.2;

impl Transform {
    /// The kernel of the transforms, `n` real numbers or complex ones each, along an axis of operands of
    /// some type. All complex numbers are multiplied by `scale`, and those of a half spectrum that stand
    /// for two by `paired`, too. `None` for what is no float.
    ///
    /// # Errors
    /// There is no memory for what the transform keeps.
    pub fn prepare(
        self,
        operand: &TensorType,
        axis: usize,
        n: usize,
        [scale, paired]: [f64; 2],
    ) -> Result<Option<Box<dyn HostKernel>>, ErrorKind> {
        let outer: usize = operand.shape[..axis].iter().product();
        let inner: usize = operand.shape[axis + 1..].iter().product();
        let of = [n, inner, outer * inner];
        Ok(match operand.dtype {
            DType::F32 => Some(Box::new(Fourier::new(self, of, [scale as f32, paired as f32])?)),
            DType::F64 => Some(Box::new(Fourier::new(self, of, [scale, paired])?)),
            DType::Bool | DType::I32 | DType::I64 | DType::U32 => None,
        })
    }
}

/// The addresses of both parts of complex numbers.
#[derive(Clone, Copy)]
struct Parts<T>(*mut T, *mut T);

impl<T: FftNum> Fourier<T> {
    fn new(
        transform: Transform,
        [n, inner, lanes]: [usize; 3],
        [scale, paired]: [T; 2],
    ) -> Result<Fourier<T>, ErrorKind> {
        // The library takes the memory itself, and would not say that there is none: roots of unity,
        // for some lengths those of a length four times as large.
        let bytes = n.saturating_mul(4 * size_of::<Complex<T>>());
        let room = || Vec::<u8>::new().try_reserve_exact(bytes).ok();
        take_memory(bytes, room)?;
        let plan = match transform {
            Transform::Complex { inverse } => {
                let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
                Plan::Complex(FftPlanner::new().plan_fft(n, direction))
            }
            Transform::ToHalf => Plan::ToHalf(RealFftPlanner::new().plan_fft_forward(n)),
            Transform::FromHalf => Plan::FromHalf(RealFftPlanner::new().plan_fft_inverse(n)),
        };
        let lane = n * size_of::<Complex<T>>();
        let line = LINE / size_of::<T>();
        let block = match inner {
            1 => BLOCK_BYTES / lane,
            _ => (BLOCK_BYTES / lane / line * line).max(LINES * line).min(LARGEST_BLOCK / lane),
        };
        Ok(Fourier { plan, n, inner, lanes, block: block.clamp(1, lanes.max(1)), scale, paired })
    }

    fn half(&self) -> usize {
        self.n / 2 + 1
    }

    /// From one lane of a block to the next. Lanes at a distance of large powers of two would share the
    /// few places that a cache has for one address.
    fn pitch(&self, len: usize) -> usize {
        let line = LINE / size_of::<T>();
        if self.inner > 1 && len.is_multiple_of(16 * line) { len + line } else { len }
    }

    /// The complex numbers and the real ones of a block, and the complex ones that the library takes.
    fn scratch(&self) -> [usize; 3] {
        let (n, half) = (self.block * self.pitch(self.n), self.block * self.pitch(self.half()));
        match &self.plan {
            Plan::Complex(plan) => [n, 0, plan.get_inplace_scratch_len()],
            Plan::ToHalf(plan) => [half, n, plan.get_scratch_len()],
            Plan::FromHalf(plan) => [half, n, plan.get_scratch_len()],
        }
    }

    fn bytes(&self) -> usize {
        let [complex, real, own] = self.scratch();
        (complex + own) * size_of::<Complex<T>>() + real * size_of::<T>()
    }

    /// Calls `f(i, j)` for the values `k` of some lanes that have `len` each: `i` is a value's position
    /// in memory, `j` in the block.
    #[inline(always)]
    fn walk(
        &self,
        lanes: &Range<usize>,
        len: usize,
        k: Range<usize>,
        mut f: impl FnMut(usize, usize),
    ) {
        let (inner, pitch) = (self.inner, self.pitch(len));
        if inner == 1 {
            for lane in lanes.clone() {
                let (i, j) = (lane * len, (lane - lanes.start) * pitch);
                k.clone().for_each(|k| f(i + k, j + k));
            }
            return;
        }
        let mut lane = lanes.start;
        while lane < lanes.end {
            let (outer, column) = (lane / inner, lane % inner);
            let count = (inner - column).min(lanes.end - lane);
            for k in k.clone() {
                let (i, j) = ((outer * len + k) * inner + column, (lane - lanes.start) * pitch + k);
                (0..count).for_each(|c| f(i + c, j + c * pitch));
            }
            lane += count;
        }
    }

    /// The parts of a half spectrum: values, their factor, and whether they stand for two.
    fn halves(&self) -> [(Range<usize>, T, bool); 3] {
        let paired = 1..self.n.div_ceil(2).max(1);
        let rest = paired.end..self.half();
        [
            (0..1, self.scale, false),
            (paired, self.scale * self.paired, true),
            (rest, self.scale, false),
        ]
    }

    /// # Safety
    /// The lanes are readable in `x`, and `z` has room for a block.
    unsafe fn read(&self, z: *mut Complex<T>, x: Parts<T>, lanes: &Range<usize>) {
        let at = |i: usize| {
            // SAFETY: as the caller's.
            unsafe { Complex { re: x.0.add(i).read(), im: x.1.add(i).read() } }
        };
        let put = |j: usize, value: Complex<T>| {
            // SAFETY: as the caller's.
            unsafe { z.add(j).write(value) }
        };
        if let Plan::Complex(_) = self.plan {
            return self.walk(lanes, self.n, 0..self.n, |i, j| put(j, at(i)));
        }
        for (k, factor, is_paired) in self.halves() {
            match is_paired {
                true => self.walk(lanes, self.half(), k, |i, j| put(j, at(i).scale(factor))),
                false => self.walk(lanes, self.half(), k, |i, j| {
                    put(j, Complex { re: at(i).re * factor, im: T::zero() });
                }),
            }
        }
    }

    /// # Safety
    /// The lanes are writable in `y`, and `z` is a block.
    unsafe fn write(&self, y: Parts<T>, z: *const Complex<T>, lanes: &Range<usize>) {
        let put = |factor: T| {
            move |i: usize, j: usize| {
                // SAFETY: as the caller's.
                unsafe {
                    let value = z.add(j).read();
                    y.0.add(i).write(value.re * factor);
                    y.1.add(i).write(value.im * factor);
                }
            }
        };
        if let Plan::Complex(_) = self.plan {
            return self.walk(lanes, self.n, 0..self.n, put(self.scale));
        }
        for (k, factor, _) in self.halves() {
            self.walk(lanes, self.half(), k, put(factor));
        }
    }

    /// Transforms lanes, no more than a block has.
    ///
    /// # Safety
    /// Operands and results are those of the transform, and the scratch memory is as large as it says.
    unsafe fn run_block(
        &self,
        from: &[*mut T],
        to: &[*mut T],
        lanes: &Range<usize>,
        (z, x, own): (*mut Complex<T>, *mut T, &mut [Complex<T>]),
    ) {
        let (n, half) = (self.n, self.half());
        let (pitch, half_pitch) = (self.pitch(n), self.pitch(half));
        // The lanes of a block; what lies between them is not looked at.
        let complex = |lane: usize| {
            // SAFETY: the block has room for the lane, and all of it is numbers.
            unsafe { std::slice::from_raw_parts_mut(z.add(lane * half_pitch), half) }
        };
        let real = |lane: usize| {
            // SAFETY: as above.
            unsafe { std::slice::from_raw_parts_mut(x.add(lane * pitch), n) }
        };
        // The lengths are those of the plan; and nothing is wrong with numbers that have been made real.
        let done = |result: Result<(), realfft::FftError>| {
            result.unwrap_or_else(|error| unreachable!("a transform of {n} numbers: {error}"));
        };
        // SAFETY: as the caller's.
        unsafe {
            match &self.plan {
                Plan::Complex(plan) => {
                    self.read(z, Parts(from[0], from[1]), lanes);
                    match pitch == n {
                        true => {
                            let all = std::slice::from_raw_parts_mut(z, lanes.len() * n);
                            plan.process_with_scratch(all, own);
                        }
                        false => (0..lanes.len()).for_each(|lane| {
                            let lane = std::slice::from_raw_parts_mut(z.add(lane * pitch), n);
                            plan.process_with_scratch(lane, own);
                        }),
                    }
                    self.write(Parts(to[0], to[1]), z, lanes);
                }
                Plan::ToHalf(plan) => {
                    self.walk(lanes, n, 0..n, |i, j| x.add(j).write(from[0].add(i).read()));
                    for lane in 0..lanes.len() {
                        done(plan.process_with_scratch(real(lane), complex(lane), own));
                    }
                    self.write(Parts(to[0], to[1]), z, lanes);
                }
                Plan::FromHalf(plan) => {
                    self.read(z, Parts(from[0], from[1]), lanes);
                    for lane in 0..lanes.len() {
                        done(plan.process_with_scratch(complex(lane), real(lane), own));
                    }
                    self.walk(lanes, n, 0..n, |i, j| to[0].add(i).write(x.add(j).read()));
                }
            }
        }
    }
}

// SAFETY: every lane of the results is in one block, which writes all of it.
unsafe impl<T: FftNum> HostKernel for Fourier<T> {
    unsafe fn run(&self, operands: &[*const u8], results: &[*mut u8]) -> Result<(), ErrorKind> {
        let shared = |x: *mut u8| SharedPtr(x);
        let operands: SmallVec<[SharedPtr; 2]> =
            operands.iter().map(|x| shared(x.cast_mut())).collect();
        let results: SmallVec<[SharedPtr; 2]> = results.iter().map(|&y| shared(y)).collect();
        let value_ns = VALUE_NS + LEVEL_NS * (self.n as f64).log2();
        let ns = self.lanes as f64 * self.n as f64 * value_ns;
        let [complex, _, own] = self.scratch();
        for_ranges(self.lanes.div_ceil(self.block), ns, |blocks| {
            with_scratch(self.bytes(), |start| {
                let start = start.cast::<Complex<T>>();
                let numbers = |all: &[SharedPtr]| -> SmallVec<[*mut T; 2]> {
                    all.iter().map(|x| x.get().cast()).collect()
                };
                let (from, to) = (numbers(&operands), numbers(&results));
                // SAFETY: the scratch memory is as large as this; zeros are numbers. Blocks are
                // disjoint, and the caller vouches for the values.
                unsafe {
                    // Complex lanes are read before they are transformed where they lie.
                    let skipped = if let Plan::Complex(_) = self.plan { complex } else { 0 };
                    let bytes = self.bytes() - skipped * size_of::<Complex<T>>();
                    start.add(skipped).cast::<u8>().write_bytes(0, bytes);
                    let own = std::slice::from_raw_parts_mut(start.add(complex), own);
                    let x = start.add(complex + own.len()).cast::<T>();
                    for block in blocks {
                        let lanes = block * self.block..((block + 1) * self.block).min(self.lanes);
                        self.run_block(&from, &to, &lanes, (start, x, own));
                    }
                }
            })
        })
    }

    fn scratch_bytes(&self) -> usize {
        let threads = rayon::current_num_threads().min(self.lanes.div_ceil(self.block));
        counted_scratch(self.bytes()).saturating_mul(threads)
    }
}
