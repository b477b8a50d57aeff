//! Scatters that add at places that count evenly: arrays padded with zeros, added up.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::op::{IndexMode, Pad, PadAxis, Scatter, ScatterOp};
use unloop_graph::{Axes, BinaryOp, DType, Number, Op, ReduceOp, Scalar, Shape, ValueId};

use super::{Even, Program, Stands, Taking, Window, changing, stands, whole};

/// Padded arrays that are added up for one scatter, at most.
const MAX_SUMMANDS: usize = 32;

impl Program {
    /// A sum at even places as an array padded with zeros; where places do not count evenly, the windows
    /// there are padded, and fewer are added.
    pub(super) fn scatter(&mut self, scatter: &Scatter, operands: &[ValueId]) -> Option<ValueId> {
        let &[x, indices, updates] = operands else { return None };
        let dims = &scatter.dims;
        let (shape, dtype) = (self.ty(x).shape.clone(), self.ty(x).dtype);
        let (given, size) = (self.ty(updates).shape.clone(), shape.size());
        if scatter.op != ScatterOp::Add || given.size() == 0 || size == 0 {
            return None;
        }
        let index_shape = self.ty(indices).shape.clone();
        let extents: SmallVec<[usize; 4]> =
            index_shape[..index_shape.rank() - 1].iter().copied().collect();
        let rank = extents.len();
        let sizes = scatter.window_sizes(shape.rank(), &given);
        let batching = (&dims.operand_batching_dims[..], &dims.scatter_indices_batching_dims[..]);
        let map = &dims.scatter_dims_to_operand_dims;
        let (windows, looked_up) = self.windows(indices, &extents, &sizes, map, batching);
        let window_axes = scatter.window_axes(shape.rank());
        let mut result = stands(rank, &window_axes, &dims.update_window_dims)?;
        if looked_up.is_empty() {
            // A little that is added to much is written there.
            if given.size() < size && !self.is_zero(x) {
                return None;
            }
            let mut most = MAX_SUMMANDS.min(8 * given.size() / size + 1);
            let adding =
                Taking { x: updates, windows, extents, result: &result, mode: scatter.mode };
            let sum = self.added(&adding, &shape, dtype, &mut most)?;
            return self.add(Op::Binary(BinaryOp::Add), &[x, sum]);
        }
        let changing = changing(&looked_up, &extents);
        let is_looked_up = |d: usize| looked_up.iter().any(|(axis, _)| *axis == d);
        let goes_along =
            |d: usize| windows[d].start.along(&extents).iter().any(|a| changing.contains(a));
        if (0..rank).all(|a| extents[a] == 1 || changing.contains(&a))
            || (0..shape.rank()).any(|d| !is_looked_up(d) && goes_along(d))
            || !dims.operand_batching_dims.is_empty()
        {
            return None;
        }
        // The windows: those of the lookup, with the other axes whole, one for each of its positions.
        let first = changing.len();
        let count = |&a: &usize| Window { start: Even::count(a, rank), size: 1 };
        let mut padded: Vec<Window> = changing.iter().map(count).collect();
        padded.extend(windows.iter().cloned());
        let whole_axis = |d: usize| if is_looked_up(d) { sizes[d] } else { shape[d] };
        let places = changing.iter().map(|&a| extents[a]);
        let wide: Shape = places.chain((0..shape.rank()).map(whole_axis)).collect();
        if wide.size() > given.size() {
            return None;
        }
        for stands in &mut result {
            if let Stands::Window(Some(d)) = stands {
                *d += first;
            }
        }
        let adding = Taking {
            x: updates,
            windows: padded,
            extents: extents.clone(),
            result: &result,
            mode: scatter.mode,
        };
        let mut sum = self.added(&adding, &wide, dtype, &mut { MAX_SUMMANDS })?;
        let is_inserted = |d: &usize| dims.inserted_window_dims.contains(d);
        let mut smaller = scatter.clone();
        smaller.dims.inserted_window_dims =
            looked_up.iter().map(|(axis, _)| *axis).filter(is_inserted).collect();
        smaller.dims.scatter_dims_to_operand_dims =
            looked_up.iter().map(|(axis, _)| *axis).collect();
        let kept = smaller.window_axes(shape.rank());
        smaller.dims.update_window_dims = (first..first + kept.len()).collect();
        let left = (0..first).chain(kept.iter().map(|d| first + d)).map(|k| wide[k]).collect();
        sum = self.add(Op::Reshape(left), &[sum])?;
        let indices = self.vectors(indices, &looked_up, &[], &extents, &changing)?;
        self.add(Op::Scatter(smaller), &[x, indices, sum])
    }

    /// Whether a value is zero everywhere.
    fn is_zero(&self, mut v: ValueId) -> bool {
        loop {
            match self.producer(v) {
                Some((Op::Broadcast { .. } | Op::Reshape(_), x)) => v = x[0],
                Some((Op::Constant(value), _)) => {
                    return value.number() == Scalar::new(value.dtype(), Number::Int(0)).number();
                }
                _ => return false,
            }
        }
    }

    /// What a gather at even places reads, `x`, added up where it would be read: an array of a shape.
    /// `most` is how many arrays of that shape may be summed.
    fn added(
        &mut self,
        adding: &Taking<'_>,
        shape: &Shape,
        dtype: DType,
        most: &mut usize,
    ) -> Option<ValueId> {
        *most = most.checked_sub(1)?;
        let zero = Scalar::new(dtype, Number::Int(0));
        let mut windows = adding.windows.clone();
        let mut follows: Vec<Option<(usize, Range<usize>)>> = vec![None; shape.rank()];
        for (d, Window { start, size }) in adding.windows.iter().enumerate() {
            let last = (shape[d] - size) as i64;
            let along = start.along(&adding.extents);
            if along.is_empty() {
                if !(0..=last).contains(&start.offset) {
                    match adding.mode {
                        IndexMode::Error => return None,
                        IndexMode::Clip => {
                            windows[d].start.offset = start.offset.clamp(0, last);
                        }
                        IndexMode::Fill(_) => return self.fill(zero, shape.clone()),
                    }
                }
                continue;
            }
            if along.len() > 1 || *size > 1 {
                let &short = along.iter().min_by_key(|&&a| adding.extents[a])?;
                let is_short = |stands: &Stands| matches!(stands, Stands::Index(a) if *a == short);
                let axis = adding.result.iter().position(is_short)?;
                let mut sum = None;
                for i in 0..adding.extents[short] {
                    let mut part = adding.part(short, i..i + 1);
                    let mut slice = whole(&self.ty(adding.x).shape);
                    (slice.start[axis], slice.limit[axis]) = (i, i + 1);
                    part.x = self.add(Op::Slice(slice), &[adding.x])?;
                    let part = self.added(&part, shape, dtype, most)?;
                    sum = Some(match sum {
                        None => part,
                        Some(sum) => self.add(Op::Binary(BinaryOp::Add), &[sum, part])?,
                    });
                }
                return sum;
            }
            let (a, extent) = (along[0], adding.extents[along[0]]);
            let inside = start.inside(a, last, extent);
            match adding.mode {
                _ if inside == (0..extent) => {}
                IndexMode::Error | IndexMode::Clip => return None,
                IndexMode::Fill(_) if inside.is_empty() => return self.fill(zero, shape.clone()),
                IndexMode::Fill(_) => {}
            }
            if follows.iter().flatten().any(|(other, _)| *other == a) {
                return None;
            }
            follows[d] = Some((a, inside));
        }
        // What lies outside is dropped; what goes to the same places is summed.
        let mut slice = whole(&self.ty(adding.x).shape);
        let mut dropped = Axes::new();
        // The axis of the operand that each axis that is left is.
        let mut to: SmallVec<[usize; 6]> = SmallVec::new();
        for (r, stands) in adding.result.iter().enumerate() {
            match *stands {
                Stands::Index(a) => {
                    let follows = follows.iter().enumerate().find_map(|(d, f)| {
                        f.as_ref().filter(|(axis, _)| *axis == a).map(|(_, inside)| (d, inside))
                    });
                    match follows {
                        Some((d, inside)) => {
                            (slice.start[r], slice.limit[r]) = (inside.start, inside.end);
                            to.push(d);
                        }
                        None => dropped.push(r),
                    }
                }
                // A window of one entry, at the place of the axis that follows.
                Stands::Window(Some(d)) if follows[d].is_some() => dropped.push(r),
                Stands::Window(Some(d)) => to.push(d),
                Stands::Window(None) => dropped.push(r),
            }
        }
        let mut value = self.add(Op::Slice(slice), &[adding.x])?;
        let left = self.ty(value).shape.clone();
        let left: Shape =
            (0..left.rank()).filter(|r| !dropped.contains(r)).map(|r| left[r]).collect();
        // Axes of one entry are summed by leaving them out.
        let long = |&r: &usize| self.ty(value).shape[r] > 1;
        let axes: Axes = dropped.iter().copied().filter(long).collect();
        if !axes.is_empty() {
            value = self.add(Op::Reduce { op: ReduceOp::Sum, axes }, &[value])?;
        }
        value = self.add(Op::Reshape(left), &[value])?;
        let mut order: Axes = (0..to.len()).collect();
        order.sort_by_key(|&k| to[k]);
        value = self.add(Op::Transpose(order), &[value])?;
        let (mut reversed, mut pad) = (Axes::new(), Pad(SmallVec::new()));
        let mut extents = Shape::scalar();
        for (d, Window { start, size }) in windows.iter().enumerate() {
            let (from, count, step) = match &follows[d] {
                None => (start.offset, *size, 1),
                Some((a, inside)) => {
                    let (first, step) = (start.from(*a, inside.start).offset, start.steps[*a]);
                    if step < 0 {
                        reversed.push(d);
                    }
                    let other = first + step * (inside.len() as i64 - 1);
                    (first.min(other), inside.len(), step.abs())
                }
            };
            let end = from + (count as i64 - 1) * step + 1;
            extents.push(count);
            pad.0.push(PadAxis {
                low: from,
                high: shape[d] as i64 - end,
                interior: if count > 1 { step as usize - 1 } else { 0 },
            });
        }
        value = self.add(Op::Reshape(extents), &[value])?;
        if !reversed.is_empty() {
            value = self.add(Op::Reverse(reversed), &[value])?;
        }
        let zero = self.constant(zero)?;
        self.add(Op::Pad(pad), &[value, zero])
    }
}
