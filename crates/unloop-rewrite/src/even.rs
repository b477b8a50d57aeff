//! Numbers that count evenly along the axes of an array, read off the program that computes them.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{Array, BinaryOp, DType, Element, Op, Shape, UnaryOp, ValueId};

use crate::places::Program;

/// More than any axis has.
const MAX_EXTENT: i64 = 1 << 40;

/// Operations between numbers and what they are computed from, at most.
const MAX_DEPTH: usize = 64;

/// The number `offset + Σ steps[a]·i[a]` at position `i`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Even {
    pub offset: i64,
    pub steps: SmallVec<[i64; 4]>,
}

impl Even {
    /// The same number everywhere.
    pub fn fixed(offset: i64, rank: usize) -> Even {
        Even { offset, steps: SmallVec::from_elem(0, rank) }
    }

    /// The position along an axis.
    pub fn count(axis: usize, rank: usize) -> Even {
        let mut even = Even::fixed(0, rank);
        even.steps[axis] = 1;
        even
    }

    /// The axes along which it changes.
    pub fn along(&self, extents: &[usize]) -> SmallVec<[usize; 4]> {
        (0..extents.len()).filter(|&a| extents[a] > 1 && self.steps[a] != 0).collect()
    }

    /// The number at positions that start at `from` along an axis.
    pub fn from(&self, axis: usize, from: usize) -> Even {
        Even { offset: self.offset + self.steps[axis] * from as i64, steps: self.steps.clone() }
    }

    /// The least and the largest number.
    pub fn reach(&self, extents: &[usize]) -> (i64, i64) {
        let far = |sign: i64| -> i64 {
            let ends = self.steps.iter().zip(extents);
            ends.map(|(&s, &n)| (s * sign).max(0) * (n as i64 - 1)).sum()
        };
        (self.offset - far(-1), self.offset + far(1))
    }

    /// Of the positions along the only axis along which it changes, those with numbers from 0 to `last`.
    pub fn inside(&self, axis: usize, last: i64, extent: usize) -> Range<usize> {
        let step = self.steps[axis];
        // The same numbers counted upwards, from the side where they come in.
        let first = if step > 0 { self.offset } else { last - self.offset };
        let clamp = |n: i64| n.clamp(0, extent as i64) as usize;
        let start = (-first).max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as i64;
        let end = (last - first).div_euclid(step.abs()) + 1;
        clamp(start)..clamp(end.max(start))
    }

    fn combine(&self, other: &Even, f: impl Fn(i64, i64) -> Option<i64>) -> Option<Even> {
        let steps = self.steps.iter().zip(&other.steps).map(|(&s, &t)| f(s, t));
        Some(Even { offset: f(self.offset, other.offset)?, steps: steps.collect::<Option<_>>()? })
    }

    fn times(&self, factor: i64) -> Option<Even> {
        self.combine(self, |s, _| s.checked_mul(factor))
    }

    fn is_fixed(&self) -> bool {
        self.steps.iter().all(|&s| s == 0)
    }

    /// The numbers, if a dtype holds all of them, and no axis is longer than them.
    fn within(self, dtype: DType, extents: &[usize]) -> Option<Even> {
        let numbers = match dtype {
            DType::I32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            DType::U32 => 0..=i64::from(u32::MAX),
            DType::I64 => -MAX_EXTENT..=MAX_EXTENT,
            DType::Bool | DType::F32 | DType::F64 => return None,
        };
        let fits = |n: &i64| (-MAX_EXTENT..=MAX_EXTENT).contains(n);
        let short = extents.iter().all(|&n| (n as i64) < MAX_EXTENT);
        if !short || !fits(&self.offset) || !self.steps.iter().all(fits) {
            return None;
        }
        let mut far = i128::from(0);
        for (&s, &n) in self.steps.iter().zip(extents) {
            far += i128::from(s.abs()) * n as i128;
        }
        if far > i128::from(MAX_EXTENT) {
            return None;
        }
        let (least, largest) = self.reach(extents);
        (numbers.contains(&least) && numbers.contains(&largest)).then_some(self)
    }
}

/// Where an axis of a value is read for a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// At the position along this axis.
    Along(usize),
    /// Always here.
    Fixed(usize),
}

/// Numbers at positions: elements of a value.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub value: ValueId,
    pub read: SmallVec<[Read; 6]>,
}

impl Source {
    /// The axes along which the numbers may change.
    pub fn along(&self, extents: &[usize]) -> SmallVec<[usize; 4]> {
        let along = self.read.iter().filter_map(|read| match read {
            Read::Along(a) if extents[*a] > 1 => Some(*a),
            Read::Along(_) | Read::Fixed(_) => None,
        });
        along.collect()
    }

    /// What a view is a view of, or a part that was joined with others.
    fn below(&self, program: &Program, extents: &[usize]) -> Option<Source> {
        let (op, x) = program.producer(self.value)?;
        let shape = &program.ty(*x.first()?).shape;
        let mut value = x[0];
        let mut read: SmallVec<[Read; 6]> = SmallVec::from_elem(Read::Fixed(0), shape.rank());
        match op {
            Op::Broadcast { dims, .. } => {
                dims.iter().enumerate().for_each(|(k, &d)| read[k] = self.read[d]);
            }
            Op::Transpose(perm) => {
                perm.iter().enumerate().for_each(|(i, &p)| read[p] = self.read[i]);
            }
            Op::Reshape(to) => {
                // Axes of one entry come and go.
                let long = |shape: &Shape| -> SmallVec<[usize; 6]> {
                    (0..shape.rank()).filter(|&a| shape[a] != 1).collect()
                };
                let (old, new) = (long(shape), long(to));
                if !old.iter().map(|&a| shape[a]).eq(new.iter().map(|&a| to[a])) {
                    return None;
                }
                old.iter().zip(&new).for_each(|(&o, &n)| read[o] = self.read[n]);
            }
            Op::Slice(slice) => {
                for a in 0..shape.rank() {
                    read[a] = match self.read[a] {
                        Read::Fixed(at) => Read::Fixed(slice.start[a] + at * slice.step[a]),
                        Read::Along(i) if extents[i] == 1 => Read::Fixed(slice.start[a]),
                        along if slice.start[a] == 0 && slice.step[a] == 1 => along,
                        Read::Along(_) => return None,
                    };
                }
            }
            Op::Concatenate { axis } => {
                let Read::Fixed(mut at) = self.read[*axis] else { return None };
                let size = |v: ValueId| program.ty(v).shape[*axis];
                let mut parts = x.iter().copied();
                value = parts.find(|&v| match at.checked_sub(size(v)) {
                    None => true,
                    Some(rest) => {
                        at = rest;
                        false
                    }
                })?;
                read = self.read.clone();
                read[*axis] = Read::Fixed(at);
            }
            Op::Convert(DType::I64) if program.ty(value).dtype.is_int() => read = self.read.clone(),
            Op::StopGradient => read = self.read.clone(),
            _ => return None,
        }
        Some(Source { value, read })
    }

    /// The same numbers below all views.
    pub fn base(mut self, program: &Program, extents: &[usize]) -> Source {
        while program.array(self.value).is_none()
            && let Some(below) = self.below(program, extents)
        {
            self = below;
        }
        self
    }

    /// The numbers, if they count evenly.
    pub fn even(&self, program: &Program, extents: &[usize]) -> Option<Even> {
        self.even_at(program, extents, MAX_DEPTH)
    }

    fn even_at(&self, program: &Program, extents: &[usize], depth: usize) -> Option<Even> {
        let depth = depth.checked_sub(1)?;
        let source = self.clone().base(program, extents);
        let (rank, dtype) = (extents.len(), program.ty(source.value).dtype);
        if let Some(array) = program.array(source.value) {
            return even_array(array, &source.read, extents)?.within(dtype, extents);
        }
        let (op, x) = program.producer(source.value)?;
        let operand = |k: usize| {
            let operand = Source { value: x[k], read: source.read.clone() };
            operand.even_at(program, extents, depth)
        };
        let even = match op {
            Op::Constant(value) if dtype.is_int() => {
                Even::fixed(value.number().int().try_into().ok()?, rank)
            }
            Op::Iota { axis, .. } => match source.read[*axis] {
                Read::Fixed(at) => Even::fixed(at as i64, rank),
                Read::Along(a) => Even::count(a, rank),
            },
            Op::Convert(_) => operand(0)?,
            Op::Unary(UnaryOp::Neg) => operand(0)?.times(-1)?,
            Op::Binary(BinaryOp::Add) => operand(0)?.combine(&operand(1)?, i64::checked_add)?,
            Op::Binary(BinaryOp::Sub) => operand(0)?.combine(&operand(1)?, i64::checked_sub)?,
            Op::Binary(BinaryOp::Mul) => match (operand(0)?, operand(1)?) {
                (x, y) if y.is_fixed() => x.times(y.offset)?,
                (x, y) if x.is_fixed() => y.times(x.offset)?,
                _ => return None,
            },
            _ => return None,
        };
        even.within(dtype, extents)
    }
}

/// Elements of a known array as numbers that count evenly.
fn even_array(array: &Array, read: &[Read], extents: &[usize]) -> Option<Even> {
    let mut start: SmallVec<[usize; 6]> = SmallVec::from_elem(0, read.len());
    let mut shape = Shape::scalar();
    for (k, read) in read.iter().enumerate() {
        shape.push(match *read {
            Read::Fixed(at) => {
                start[k] = at;
                1
            }
            // What repeats is looked at once.
            Read::Along(_) if array.strides()[k] == 0 => 1,
            Read::Along(a) => extents[a],
        });
    }
    if shape.contains(&0) {
        return None;
    }
    let step: SmallVec<[usize; 6]> = SmallVec::from_elem(1, read.len());
    let part = array.slice(&start, &shape, &step);
    let mut even = Even::fixed(0, extents.len());
    let steps = match array.dtype() {
        DType::I32 => steps::<i32>(&part, &mut even.offset)?,
        DType::I64 => steps::<i64>(&part, &mut even.offset)?,
        DType::U32 => steps::<u32>(&part, &mut even.offset)?,
        DType::Bool | DType::F32 | DType::F64 => return None,
    };
    for (read, step) in read.iter().zip(steps) {
        if let Read::Along(a) = read {
            even.steps[*a] += step;
        }
    }
    Some(even)
}

/// The steps along all axes of an array that counts evenly, and its first number.
fn steps<T: Element + Into<i64>>(array: &Array, first: &mut i64) -> Option<SmallVec<[i64; 6]>> {
    let (shape, strides) = (array.shape(), array.shape().strides());
    let values = array.to_vec::<T>().ok()?;
    let number = |at: usize| values[at].into();
    // What no axis has as an index is not looked at further: differences of it overflow.
    if !values.iter().all(|&v| (-MAX_EXTENT..MAX_EXTENT).contains(&v.into())) {
        return None;
    }
    *first = number(0);
    let step = |a: usize| if shape[a] > 1 { number(strides[a] as usize) - *first } else { 0 };
    let steps: SmallVec<[i64; 6]> = (0..shape.rank()).map(step).collect();
    let Some((&inner, outer)) = shape.split_last() else { return Some(steps) };
    let (mut even, mut row) = (true, 0);
    Shape::from(outer).for_each_index(|index| {
        if even {
            let start = *first + steps.iter().zip(index).map(|(s, &i)| s * i as i64).sum::<i64>();
            let step = steps[outer.len()];
            let entries = &values[row * inner..(row + 1) * inner];
            even = entries.iter().enumerate().all(|(j, &v)| v.into() == start + step * j as i64);
        }
        row += 1;
    });
    even.then_some(steps)
}
