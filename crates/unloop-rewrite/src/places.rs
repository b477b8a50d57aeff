//! Gathers at places that are known when the program is compiled, and that count evenly along their
//! axes: `x.at(i.value() + k.value())` and the like. They are slices, in part repeated or reversed;
//! windows that overlap are slices side by side.

use smallvec::{SmallVec, smallvec};
use unloop_graph::op::{Gather, Slice};
use unloop_graph::{Array, Axes, Op, Shape, ValueId};

use crate::tidy::{Builder, Operands};

/// Entries of the index arrays that are looked at, at most.
const MAX_INDICES: usize = 1 << 20;

/// More than any axis has.
const MAX_EXTENT: i64 = 1 << 40;

/// Slices that stand side by side for windows, at most.
const MAX_WINDOWS: usize = 256;

/// One component of the index vectors: `offset + Σ steps[a]·i[a]`.
#[derive(Clone, Debug)]
struct Place {
    offset: i64,
    steps: SmallVec<[i64; 4]>,
}

/// The rule: a gather at even places is made of slices.
pub(crate) fn gathers(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Gather(gather) = op else { return None };
    let indices = b.array(x[1])?.clone();
    let extents = Shape::from(&indices.shape()[..indices.shape().rank() - 1]);
    if !gather.dims.operand_batching_dims.is_empty()
        || indices.len() > MAX_INDICES
        || indices.is_empty()
    {
        return None;
    }
    let count = gather.dims.start_index_map.len();
    let places: Vec<Place> =
        (0..count).map(|c| place(&indices, &extents, c)).collect::<Option<_>>()?;
    // What lies outside is an error, or moved, or a fill.
    let shape = b.ty(x[0]).shape.clone();
    for (place, &axis) in places.iter().zip(&gather.dims.start_index_map) {
        let reach = |sign: i64| -> i64 {
            let ends = place.steps.iter().zip(extents.iter());
            let far = ends.map(|(&s, &n)| (s * sign).max(0) * (n as i64 - 1)).sum::<i64>();
            place.offset + sign * far
        };
        if reach(-1) < 0 || reach(1) + gather.slice_sizes[axis] as i64 > shape[axis] as i64 {
            return None;
        }
    }
    let free = extents.iter().map(|_| None).collect();
    taken(b, gather, x[0], &extents, &places, free)
}

/// A component of index vectors that counts evenly along every axis.
fn place(indices: &Array, extents: &Shape, component: usize) -> Option<Place> {
    let rank = extents.rank();
    let at = |index: &[usize]| {
        let index: SmallVec<[usize; 6]> = index.iter().copied().chain([component]).collect();
        indices.get(&index).int() as i64
    };
    // What no axis has as an index is not looked at further: differences of them overflow.
    let mut possible = true;
    extents.for_each_index(|index| possible &= (0..MAX_EXTENT).contains(&at(index)));
    if !possible {
        return None;
    }
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, rank);
    let offset = at(&index);
    let mut steps = SmallVec::new();
    for a in 0..rank {
        index[a] = usize::from(extents[a] > 1);
        steps.push(at(&index) - offset);
        index[a] = 0;
    }
    let place = Place { offset, steps };
    let mut even = true;
    extents.for_each_index(|index| even &= at(index) == place.at(index));
    even.then_some(place)
}

impl Place {
    fn at(&self, index: &[usize]) -> i64 {
        let steps = self.steps.iter().zip(index).map(|(s, &i)| s * i as i64);
        self.offset + steps.sum::<i64>()
    }
}

/// The gather with some axes of the indices fixed at a position; these have one entry in the result.
fn taken(
    b: &mut Builder,
    gather: &Gather,
    x: ValueId,
    extents: &Shape,
    places: &[Place],
    fixed: SmallVec<[Option<usize>; 4]>,
) -> Option<ValueId> {
    let (dims, shape) = (&gather.dims, b.ty(x).shape.clone());
    let moves =
        |place: &Place, a: usize| fixed[a].is_none() && extents[a] > 1 && place.steps[a] != 0;
    // The axis of the indices that each axis of the operand follows.
    let mut follows: SmallVec<[Option<usize>; 6]> = SmallVec::from_elem(None, shape.rank());
    for (place, &axis) in places.iter().zip(&dims.start_index_map) {
        let along: SmallVec<[usize; 4]> =
            (0..extents.rank()).filter(|&a| moves(place, a)).collect();
        let is_window = gather.slice_sizes[axis] > 1;
        match along[..] {
            [] => {}
            [a] if !is_window => follows[axis] = Some(a),
            // Windows: one slice for each position along the shortest axis.
            _ => {
                let &short = along.iter().min_by_key(|&&a| extents[a])?;
                if extents[short] > MAX_WINDOWS {
                    return None;
                }
                let mut slices = Operands::new();
                for i in 0..extents[short] {
                    let mut fixed = fixed.clone();
                    fixed[short] = Some(i);
                    slices.push(taken(b, gather, x, extents, places, fixed)?);
                }
                let axis = beside(gather, b.ty(slices[0]).rank(), short)?;
                return b.add(Op::Concatenate { axis }, slices);
            }
        }
    }
    // No axis of the indices moves along two axes of the operand.
    for a in 0..extents.rank() {
        if follows.iter().filter(|f| **f == Some(a)).count() > 1 {
            return None;
        }
    }
    let (mut start, mut limit, mut step) = (Axes::new(), Axes::new(), Axes::new());
    let mut reversed = Axes::new();
    for (axis, &extent) in shape.iter().enumerate() {
        let place = dims.start_index_map.iter().position(|&d| d == axis).map(|c| &places[c]);
        let window = gather.slice_sizes[axis];
        let (from, count, stride) = match (place, follows[axis]) {
            (None, _) => (0, window.min(extent), 1),
            (Some(place), follows) => {
                let known =
                    |(a, at): (usize, &Option<usize>)| place.steps[a] * at.unwrap_or(0) as i64;
                let first = place.offset + fixed.iter().enumerate().map(known).sum::<i64>();
                match follows {
                    None => (first, window, 1),
                    Some(a) if place.steps[a] > 0 => (first, extents[a], place.steps[a]),
                    Some(a) => {
                        reversed.push(axis);
                        let last = first + place.steps[a] * (extents[a] as i64 - 1);
                        (last, extents[a], -place.steps[a])
                    }
                }
            }
        };
        start.push(from as usize);
        step.push(stride as usize);
        limit.push(from as usize + (count.max(1) - 1) * stride as usize + count.min(1));
    }
    let mut value = b.add(Op::Slice(Slice { start, limit, step }), smallvec![x])?;
    if !reversed.is_empty() {
        value = b.add(Op::Reverse(reversed), smallvec![value])?;
    }
    // The result's axes: those of the window, and between them those of the indices.
    let rank = extents.rank() + dims.offset_dims.len();
    let windows: SmallVec<[usize; 6]> =
        (0..shape.rank()).filter(|d| !dims.collapsed_slice_dims.contains(d)).collect();
    let mut result = Shape::scalar();
    let mut from: SmallVec<[Option<usize>; 6]> = SmallVec::new();
    let mut next = 0;
    for r in 0..rank {
        match dims.offset_dims.iter().position(|&o| o == r) {
            Some(k) => {
                result.push(gather.slice_sizes[windows[k]]);
                // An axis that follows the indices has one entry here.
                from.push(follows[windows[k]].is_none().then_some(windows[k]));
            }
            None => {
                result.push(if fixed[next].is_some() { 1 } else { extents[next] });
                from.push(follows.iter().position(|f| *f == Some(next)));
                next += 1;
            }
        }
    }
    // Axes of one entry that no axis of the result stands for go, the others move to their places.
    let kept: Axes = (0..shape.rank()).filter(|d| from.contains(&Some(*d))).collect();
    let sliced = b.ty(value).shape.clone();
    let shorter: Shape = kept.iter().map(|&d| sliced[d]).collect();
    if shorter.size() != sliced.size() {
        return None;
    }
    value = b.add(Op::Reshape(shorter), smallvec![value])?;
    let order: Axes =
        from.iter().flatten().filter_map(|d| kept.iter().position(|k| k == d)).collect();
    value = b.add(Op::Transpose(order), smallvec![value])?;
    let places: Axes = (0..rank).filter(|&r| from[r].is_some()).collect();
    b.add(Op::Broadcast { shape: result, dims: places }, smallvec![value])
}

/// The axis of the result that an axis of the indices is.
fn beside(gather: &Gather, rank: usize, axis: usize) -> Option<usize> {
    (0..rank).filter(|a| !gather.dims.offset_dims.contains(a)).nth(axis)
}
