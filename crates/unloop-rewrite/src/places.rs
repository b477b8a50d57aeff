//! Gathers and scatters at places that count evenly: `x.at((i.value() + 1, j.value()))` and the like,
//! also in bodies of loops. What is read evenly is a slice, in part repeated or reversed, with numbers
//! around it where it leaves the array; windows that overlap are slices side by side. What is added
//! evenly is a padded array. A component that is computed otherwise is looked up once for the axes that
//! it changes along.

mod sums;

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;
use unloop_graph::backend::Rewriting;
use unloop_graph::op::{Gather, GatherDims, IndexMode, Pad, PadAxis, Slice};
use unloop_graph::{
    Array, Axes, Graph, GraphBuilder, Node, Number, Op, Place, Scalar, Shape, TensorType, ValueId,
    cancel,
};

use crate::cost;
use crate::even::{Even, Read, Source};

/// Slices that stand side by side for one gather, at most.
const MAX_PARTS: usize = 256;

const GATHERS: &str = "gather at even places = slices";
const SCATTERS: &str = "sum at even places = padding";

/// A program whose gathers and scatters at even places are slices; `None` if there are none. The last
/// inputs always have the values `known`.
pub(crate) fn run(
    graph: &Graph,
    known: &[Array],
    rewriting: Rewriting,
    fired: &mut Vec<&'static str>,
) -> Option<Graph> {
    let mut arrays = vec![None; graph.inputs().len().saturating_sub(known.len())];
    arrays.extend(known.iter().cloned().map(Some));
    arrays.truncate(graph.inputs().len());
    run_with(graph, arrays, rewriting, fired)
}

/// The same with the inputs' values where they are known.
fn run_with(
    graph: &Graph,
    arrays: Vec<Option<Array>>,
    rewriting: Rewriting,
    fired: &mut Vec<&'static str>,
) -> Option<Graph> {
    let builder = GraphBuilder::new(graph.inputs().to_vec());
    let mut values = builder.inputs();
    let producer = vec![None; values.len()];
    let mut program = Program { builder, arrays, producer, place: Place(None) };
    let mut changed = false;
    for node in graph.nodes() {
        // Nobody wants the result any more.
        cancel::check().ok()?;
        program.place = node.place;
        let operands: SmallVec<[ValueId; 3]> =
            node.operands.iter().map(|v| values[v.index()]).collect();
        let before = program.builder.nodes().len();
        let made = match &node.op {
            Op::Gather(gather) => {
                program.gather_below(gather, operands[0], operands[1]).map(|v| (v, GATHERS))
            }
            // What is zero may lose its sign in a sum.
            Op::Scatter(scatter) if rewriting >= Rewriting::Reassociating => {
                program.scatter(scatter, &operands).map(|v| (v, SCATTERS))
            }
            _ => None,
        };
        let made = made.filter(|_| program.cost_since(before) <= program.cost(&node.op, &operands));
        if let Some((value, name)) = made {
            fired.push(name);
            changed = true;
            values.push(value);
            continue;
        }
        let inner = program.with_bodies(node, &operands, rewriting, fired);
        changed |= inner.is_some();
        let first = program.add(inner.unwrap_or_else(|| node.op.clone()), &operands)?;
        values.extend((first.0..).take(node.results().len()).map(ValueId));
    }
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|v| values[v.index()]).collect();
    changed.then(|| program.builder.finish(&outputs))
}

/// A program under construction, with what is known of its values.
pub(crate) struct Program {
    builder: GraphBuilder,
    /// The elements of values that are always the same, where they are known.
    arrays: Vec<Option<Array>>,
    /// The operation that computes each value.
    producer: Vec<Option<usize>>,
    /// Where what is built now stands in the user's program.
    place: Place,
}

/// What an axis of the result of a gather is.
#[derive(Clone, Copy)]
enum Stands {
    /// An axis of the indices.
    Index(usize),
    /// The window along an axis of the operand; one entry if it has none any more.
    Window(Option<usize>),
}

/// How an axis of the operand is read: from where on, and how much.
#[derive(Clone)]
struct Window {
    start: Even,
    size: usize,
}

/// A gather at even places, or a part of one.
#[derive(Clone)]
struct Taking<'a> {
    x: ValueId,
    /// One for each axis of the operand.
    windows: Vec<Window>,
    /// The extents of the indices.
    extents: SmallVec<[usize; 4]>,
    result: &'a [Stands],
    mode: IndexMode,
}

impl Taking<'_> {
    fn shape(&self) -> Shape {
        let extent = |stands: &Stands| match *stands {
            Stands::Index(a) => self.extents[a],
            Stands::Window(Some(d)) => self.windows[d].size,
            Stands::Window(None) => 1,
        };
        self.result.iter().map(extent).collect()
    }

    /// The part at some positions along an axis of the indices.
    fn part(&self, axis: usize, positions: Range<usize>) -> Self {
        let mut part = self.clone();
        part.extents[axis] = positions.len();
        for window in &mut part.windows {
            window.start = window.start.from(axis, positions.start);
        }
        part
    }
}

impl Program {
    pub fn ty(&self, v: ValueId) -> &TensorType {
        self.builder.ty(v)
    }

    /// The operation of which a value is the only result, and its operands.
    pub fn producer(&self, v: ValueId) -> Option<(&Op, &[ValueId])> {
        let node = &self.builder.nodes()[self.producer[v.index()]?];
        (node.op.result_count() == 1).then_some((&node.op, &node.operands[..]))
    }

    /// The elements of a value that is always the same.
    pub fn array(&self, v: ValueId) -> Option<&Array> {
        self.arrays[v.index()].as_ref()
    }

    /// The first result of an operation.
    fn add(&mut self, op: Op, x: &[ValueId]) -> Option<ValueId> {
        // Views of what is known take no memory.
        let known = x.first().and_then(|&v| self.array(v));
        let array = known.and_then(|array| match &op {
            Op::Broadcast { shape, dims } => Some(array.broadcast(shape, dims)),
            Op::Transpose(perm) => Some(array.transpose(perm)),
            Op::Reshape(shape) => array.reshaped_view(shape),
            _ => None,
        });
        let first = self.builder.push(op, x, self.place).ok()?;
        self.arrays.resize(self.builder.value_count(), array);
        self.producer.resize(self.builder.value_count(), Some(self.builder.nodes().len() - 1));
        Some(first)
    }

    /// The predicted time of an operation.
    fn cost(&self, op: &Op, x: &[ValueId]) -> f64 {
        let operands: SmallVec<[&TensorType; 3]> = x.iter().map(|&v| self.ty(v)).collect();
        let owned: SmallVec<[TensorType; 3]> = operands.iter().copied().cloned().collect();
        op.infer(&owned).map_or(f64::INFINITY, |results| cost::of_op(op, &operands, &results))
    }

    /// The predicted time of all operations from a number on.
    fn cost_since(&self, first: usize) -> f64 {
        self.builder.nodes()[first..].iter().map(|node| self.cost(&node.op, &node.operands)).sum()
    }

    fn constant(&mut self, value: Scalar) -> Option<ValueId> {
        self.add(Op::Constant(value), &[])
    }

    fn fill(&mut self, value: Scalar, shape: Shape) -> Option<ValueId> {
        let scalar = self.constant(value)?;
        self.add(Op::Broadcast { shape, dims: Axes::new() }, &[scalar])
    }

    /// An operation whose programs know the operands that they share, if that changes them.
    fn with_bodies(
        &self,
        node: &Node,
        operands: &[ValueId],
        rewriting: Rewriting,
        fired: &mut Vec<&'static str>,
    ) -> Option<Op> {
        let mut body = |graph: &Arc<Graph>, shared: &[ValueId]| {
            let mut arrays: Vec<Option<Array>> =
                shared.iter().map(|&v| self.array(v).cloned()).collect();
            arrays.resize(graph.inputs().len(), None);
            run_with(graph, arrays, rewriting, fired).map(Arc::new)
        };
        match &node.op {
            Op::Scan(scan) => {
                let changed = body(&scan.body, &operands[..scan.shared])?;
                let mut scan = scan.clone();
                scan.body = changed;
                Some(Op::Scan(scan))
            }
            Op::While(repeat) => {
                let shared = &operands[..repeat.shared];
                let changed = (body(&repeat.condition, shared), body(&repeat.body, shared));
                if let (None, None) = changed {
                    return None;
                }
                let mut repeat = repeat.clone();
                repeat.condition = changed.0.unwrap_or(repeat.condition);
                repeat.body = changed.1.unwrap_or(repeat.body);
                Some(Op::While(repeat))
            }
            Op::Switch(switch) => {
                let changed: Vec<Option<Arc<Graph>>> =
                    switch.branches.iter().map(|graph| body(graph, &operands[1..])).collect();
                if changed.iter().all(Option::is_none) {
                    return None;
                }
                let mut switch = switch.clone();
                for (branch, changed) in switch.branches.iter_mut().zip(changed) {
                    *branch = changed.unwrap_or_else(|| branch.clone());
                }
                Some(Op::Switch(switch))
            }
            Op::WithDerivative(custom) => {
                let changed = body(&custom.body, operands)?;
                let mut custom = custom.clone();
                custom.body = changed;
                Some(Op::WithDerivative(custom))
            }
            _ => None,
        }
    }

    /// Where a component of index vectors is read, by the axes before the last.
    fn component(&self, indices: ValueId, component: usize) -> Source {
        let before = (0..self.ty(indices).rank() - 1).map(Read::Along);
        Source { value: indices, read: before.chain([Read::Fixed(component)]).collect() }
    }

    /// How the axes of an operand are read or written; and those of them where the places do not count
    /// evenly, with the places.
    fn windows(
        &self,
        indices: ValueId,
        extents: &[usize],
        sizes: &[usize],
        map: &[usize],
        batching: (&[usize], &[usize]),
    ) -> (Vec<Window>, Vec<(usize, Source)>) {
        let rank = extents.len();
        let window = |&size: &usize| Window { start: Even::fixed(0, rank), size };
        let mut windows: Vec<Window> = sizes.iter().map(window).collect();
        for (&axis, &a) in batching.0.iter().zip(batching.1) {
            windows[axis].start = Even::count(a, rank);
        }
        let mut looked_up = Vec::new();
        for (component, &axis) in map.iter().enumerate() {
            let source = self.component(indices, component);
            match source.even(self, extents) {
                Some(even) => windows[axis].start = even,
                None => looked_up.push((axis, source.base(self, extents))),
            }
        }
        looked_up.sort_by_key(|(axis, _)| *axis);
        (windows, looked_up)
    }

    /// A gather of a transposed array is one of the array, so that no turned copy is made; as slices,
    /// where that is possible.
    fn gather_below(&mut self, gather: &Gather, x: ValueId, indices: ValueId) -> Option<ValueId> {
        let Some((Op::Transpose(perm), below)) = self.producer(x) else {
            return self.gather(gather, x, indices);
        };
        let (perm, below) = (perm.clone(), below[0]);
        let moved = |axes: &[usize]| -> Axes { axes.iter().map(|&a| perm[a]).collect() };
        let mut inner = gather.clone();
        inner.dims.collapsed_slice_dims = moved(&gather.dims.collapsed_slice_dims);
        inner.dims.collapsed_slice_dims.sort_unstable();
        inner.dims.start_index_map = moved(&gather.dims.start_index_map);
        inner.dims.operand_batching_dims = moved(&gather.dims.operand_batching_dims);
        perm.iter().zip(&gather.slice_sizes).for_each(|(&p, &n)| inner.slice_sizes[p] = n);
        // The windows' axes come in another order.
        let (new, old) = (inner.window_axes(perm.len()), gather.window_axes(perm.len()));
        let mut order: Axes = (0..self.ty(indices).rank() - 1 + old.len()).collect();
        for (&axis, &at) in old.iter().zip(&gather.dims.offset_dims) {
            order[at] = gather.dims.offset_dims[new.iter().position(|&a| a == perm[axis])?];
        }
        let value = match self.gather_below(&inner, below, indices) {
            Some(value) => value,
            None => self.add(Op::Gather(inner), &[below, indices])?,
        };
        self.add(Op::Transpose(order), &[value])
    }

    /// A gather as slices, and a smaller gather of what is not read evenly.
    fn gather(&mut self, gather: &Gather, x: ValueId, indices: ValueId) -> Option<ValueId> {
        let dims = &gather.dims;
        let shape = self.ty(x).shape.clone();
        let index_shape = self.ty(indices).shape.clone();
        let extents: SmallVec<[usize; 4]> =
            index_shape[..index_shape.rank() - 1].iter().copied().collect();
        let rank = extents.len();
        if extents.contains(&0) || gather.slice_sizes.contains(&0) {
            return None;
        }
        let batching = (&dims.operand_batching_dims[..], &dims.start_indices_batching_dims[..]);
        let (mut windows, looked_up) =
            self.windows(indices, &extents, &gather.slice_sizes, &dims.start_index_map, batching);
        let window_axes = gather.window_axes(shape.rank());
        let mut result = stands(rank, &window_axes, &dims.offset_dims)?;
        let mut x = x;
        if !looked_up.is_empty() {
            (x, windows) =
                self.look_up(gather, x, indices, &extents, windows, &looked_up, &mut result)?;
        }
        let taking = Taking { x, windows, extents, result: &result, mode: gather.mode };
        self.taken(taking, &mut { MAX_PARTS })
    }

    /// The part of a gather that is not read evenly: it is done once for the positions along which it
    /// changes, on the part of the operand that is read at all. The axes of these positions, and those of
    /// the operand that are left, can be read evenly.
    #[allow(clippy::too_many_arguments)]
    fn look_up(
        &mut self,
        gather: &Gather,
        mut x: ValueId,
        indices: ValueId,
        extents: &[usize],
        mut windows: Vec<Window>,
        looked_up: &[(usize, Source)],
        result: &mut [Stands],
    ) -> Option<(ValueId, Vec<Window>)> {
        let (rank, shape) = (extents.len(), self.ty(x).shape.clone());
        let changing = changing(looked_up, extents);
        // It has to be done for every position.
        if (0..rank).all(|a| extents[a] == 1 || changing.contains(&a)) {
            return None;
        }
        let is_looked_up = |d: usize| looked_up.iter().any(|(axis, _)| *axis == d);
        // Of an axis that goes with positions of the lookup there is an entry for each; of the others the
        // part is looked up that is read at all.
        let mut slice = whole(&shape);
        let mut reversed = Axes::new();
        let mut batching: Vec<(usize, usize)> = Vec::new();
        let mut slice_sizes = gather.slice_sizes.clone();
        let mut fixed: Vec<(usize, i64)> = Vec::new();
        for d in (0..shape.rank()).filter(|&d| !is_looked_up(d)) {
            let Window { start, size } = windows[d].clone();
            let ((least, largest), last) = (start.reach(extents), (shape[d] - size) as i64);
            let along = start.along(extents);
            if let [a] = along[..]
                && size == 1
                && changing.contains(&a)
            {
                if least < 0 || largest > last {
                    return None;
                }
                slice.start[d] = least as usize;
                slice.limit[d] = largest as usize + 1;
                slice.step[d] = start.steps[a].unsigned_abs() as usize;
                if start.steps[a] < 0 {
                    reversed.push(d);
                }
                batching.push((d, a));
                continue;
            }
            // What lies outside does so still: the part ends where the operand does.
            let (least, largest) = (least.clamp(0, last), largest.clamp(0, last));
            slice_sizes[d] = (largest - least) as usize + size;
            windows[d].start.offset -= least;
            if slice_sizes[d] < shape[d] {
                fixed.push((d, least));
            }
        }
        x = self.add(Op::Slice(slice), &[x])?;
        if !reversed.is_empty() {
            x = self.add(Op::Reverse(reversed), &[x])?;
        }
        let indices = self.vectors(indices, looked_up, &fixed, extents, &changing)?;
        let is_collapsed = |d: &usize| gather.dims.collapsed_slice_dims.contains(d);
        let collapsed: Axes =
            looked_up.iter().map(|(axis, _)| *axis).filter(is_collapsed).collect();
        let position = |a: &usize| changing.iter().position(|c| c == a);
        let mut smaller = Gather {
            dims: GatherDims {
                offset_dims: Axes::new(),
                collapsed_slice_dims: collapsed,
                start_index_map: looked_up
                    .iter()
                    .map(|(axis, _)| *axis)
                    .chain(fixed.iter().map(|(axis, _)| *axis))
                    .collect(),
                operand_batching_dims: batching.iter().map(|(d, _)| *d).collect(),
                start_indices_batching_dims: batching
                    .iter()
                    .map(|(_, a)| position(a))
                    .collect::<Option<_>>()?,
            },
            slice_sizes,
            mode: gather.mode,
        };
        let kept = smaller.window_axes(shape.rank());
        smaller.dims.offset_dims = (changing.len()..changing.len() + kept.len()).collect();
        x = self.add(Op::Gather(smaller), &[x, indices])?;
        // The axes of the lookup, then those of the operand that are left.
        let count = |&a: &usize| Window { start: Even::count(a, rank), size: 1 };
        let mut left: Vec<Window> = changing.iter().map(count).collect();
        left.extend(kept.iter().map(|&d| windows[d].clone()));
        for stands in result {
            if let Stands::Window(Some(d)) = *stands {
                let place = kept.iter().position(|k| *k == d);
                *stands = Stands::Window(place.map(|k| changing.len() + k));
            }
        }
        Some((x, left))
    }

    /// The index vectors of what is looked up, at the positions along some axes, all that they change
    /// along; then components that are `fixed`.
    fn vectors(
        &mut self,
        indices: ValueId,
        looked_up: &[(usize, Source)],
        fixed: &[(usize, i64)],
        extents: &[usize],
        axes: &[usize],
    ) -> Option<ValueId> {
        let places: Shape = axes.iter().map(|&a| extents[a]).collect();
        let dtype = self.ty(indices).dtype;
        let mut components: SmallVec<[ValueId; 3]> = SmallVec::new();
        for (_, source) in looked_up {
            let mut number = self.positions(source, extents, axes)?;
            if self.ty(number).dtype != dtype {
                number = self.add(Op::Convert(dtype), &[number])?;
            }
            components.push(self.add(Op::Reshape(places.concat(&[1])), &[number])?);
        }
        for &(_, at) in fixed {
            let at = Scalar::new(dtype, Number::Int(at.into()));
            components.push(self.fill(at, places.concat(&[1]))?);
        }
        match components[..] {
            [component] => Some(component),
            _ => self.add(Op::Concatenate { axis: places.rank() }, &components),
        }
    }

    /// The numbers of a source at the positions along some axes, all that it changes along.
    fn positions(&mut self, source: &Source, extents: &[usize], axes: &[usize]) -> Option<ValueId> {
        let shape = self.ty(source.value).shape.clone();
        let mut slice = whole(&shape);
        // The axes of the value that are left, by the axes that they go along.
        let mut along: SmallVec<[usize; 4]> = SmallVec::new();
        for (k, read) in source.read.iter().enumerate() {
            match *read {
                Read::Along(a) if extents[a] > 1 => {
                    slice.limit[k] = extents[a];
                    along.push(axes.iter().position(|&axis| axis == a)?);
                }
                Read::Along(_) => slice.limit[k] = 1,
                Read::Fixed(at) => (slice.start[k], slice.limit[k]) = (at, at + 1),
            }
        }
        let extent = |&k: &usize| extents[axes[k]];
        let value = self.add(Op::Slice(slice), &[source.value])?;
        let value = self.add(Op::Reshape(along.iter().map(extent).collect()), &[value])?;
        let mut order: Axes = (0..along.len()).collect();
        order.sort_by_key(|&k| along[k]);
        let dims: Axes = order.iter().map(|&k| along[k]).collect();
        let value = self.add(Op::Transpose(order), &[value])?;
        let shape = axes.iter().map(|&a| extents[a]).collect();
        self.add(Op::Broadcast { shape, dims }, &[value])
    }

    /// A gather at even places; `parts` is how many slices may stand side by side.
    fn taken(&mut self, mut taking: Taking<'_>, parts: &mut usize) -> Option<ValueId> {
        let shape = self.ty(taking.x).shape.clone();
        let rank = shape.rank();
        // The axis of the indices that each axis of the operand follows, and the positions along it that
        // are inside.
        let mut follows: Vec<Option<(usize, Range<usize>)>> = vec![None; rank];
        for d in 0..rank {
            let Window { start, size } = taking.windows[d].clone();
            let last = (shape[d] - size) as i64;
            let along = start.along(&taking.extents);
            if along.is_empty() {
                // Axes of one entry do not count.
                let at = start.offset;
                if !(0..=last).contains(&at) {
                    match taking.mode {
                        IndexMode::Error => return None,
                        IndexMode::Clip => taking.windows[d].start.offset = at.clamp(0, last),
                        IndexMode::Fill(value) => return self.fill(value, taking.shape()),
                    }
                }
                continue;
            }
            if along.len() > 1 || size > 1 {
                let &short = along.iter().min_by_key(|&&a| taking.extents[a])?;
                let each = (0..taking.extents[short]).map(|i| i..i + 1);
                return self.beside(&taking, short, each, parts);
            }
            let (a, extent) = (along[0], taking.extents[along[0]]);
            let inside = start.inside(a, last, extent);
            if inside != (0..extent) {
                match taking.mode {
                    IndexMode::Error => return None,
                    IndexMode::Fill(value) if inside.is_empty() => {
                        return self.fill(value, taking.shape());
                    }
                    IndexMode::Fill(_) => {}
                    IndexMode::Clip => {
                        let cuts = [0..inside.start, inside.clone(), inside.end..extent];
                        let cuts = cuts.into_iter().filter(|cut| !cut.is_empty());
                        if cuts.clone().count() > 1 {
                            return self.beside(&taking, a, cuts, parts);
                        }
                        let at = start.offset.clamp(0, last);
                        taking.windows[d].start = Even::fixed(at, taking.extents.len());
                        continue;
                    }
                }
            }
            // Two axes of the operand that follow one of the indices are a diagonal.
            if follows.iter().flatten().any(|(other, _)| *other == a) {
                return None;
            }
            follows[d] = Some((a, inside));
        }
        let mut slice = whole(&shape);
        let mut reversed = Axes::new();
        for (d, Window { start, size }) in taking.windows.iter().enumerate() {
            let (from, count, step) = match &follows[d] {
                None => (start.offset, *size, 1),
                Some((a, inside)) => {
                    let (first, step) = (start.from(*a, inside.start).offset, start.steps[*a]);
                    if step < 0 {
                        reversed.push(d);
                    }
                    let other = first + step * (inside.len() as i64 - 1);
                    (first.min(other), inside.len(), step.unsigned_abs() as usize)
                }
            };
            let from = from as usize;
            slice.start[d] = from;
            slice.limit[d] = from + (count - 1) * step + 1;
            slice.step[d] = step;
        }
        let mut value = self.add(Op::Slice(slice), &[taking.x])?;
        if !reversed.is_empty() {
            value = self.add(Op::Reverse(reversed), &[value])?;
        }
        // The axis of the operand that each axis of the result is.
        let of = |stands: &Stands| match *stands {
            Stands::Index(a) => {
                follows.iter().position(|f| f.as_ref().is_some_and(|(axis, _)| *axis == a))
            }
            Stands::Window(d) => d.filter(|&d| follows[d].is_none()),
        };
        let from: SmallVec<[Option<usize>; 6]> = taking.result.iter().map(of).collect();
        // Axes of one entry that no axis of the result stands for go, the others move to their places.
        let kept: Axes = (0..rank).filter(|d| from.contains(&Some(*d))).collect();
        let sliced = self.ty(value).shape.clone();
        value = self.add(Op::Reshape(kept.iter().map(|&d| sliced[d]).collect()), &[value])?;
        let axes: SmallVec<[usize; 6]> = from.iter().flatten().copied().collect();
        let order = axes.iter().map(|d| kept.iter().position(|k| k == d)).collect::<Option<_>>()?;
        value = self.add(Op::Transpose(order), &[value])?;
        let around = |&d: &usize| match &follows[d] {
            Some((a, inside)) => PadAxis {
                low: inside.start as i64,
                high: (taking.extents[*a] - inside.end) as i64,
                interior: 0,
            },
            None => PadAxis::default(),
        };
        let pad = Pad(axes.iter().map(around).collect());
        if let IndexMode::Fill(fill) = taking.mode
            && pad.0.iter().any(|axis| *axis != PadAxis::default())
        {
            let fill = self.constant(fill)?;
            value = self.add(Op::Pad(pad), &[value, fill])?;
        }
        let dims: Axes = (0..from.len()).filter(|&r| from[r].is_some()).collect();
        self.add(Op::Broadcast { shape: taking.shape(), dims }, &[value])
    }

    /// The parts of a gather at some positions along an axis of the indices, side by side.
    fn beside(
        &mut self,
        taking: &Taking<'_>,
        axis: usize,
        cuts: impl Iterator<Item = Range<usize>>,
        parts: &mut usize,
    ) -> Option<ValueId> {
        let mut slices: SmallVec<[ValueId; 3]> = SmallVec::new();
        for cut in cuts {
            *parts = parts.checked_sub(1)?;
            slices.push(self.taken(taking.part(axis, cut), parts)?);
        }
        let is_axis = |stands: &Stands| matches!(stands, Stands::Index(a) if *a == axis);
        let axis = taking.result.iter().position(is_axis)?;
        self.add(Op::Concatenate { axis }, &slices)
    }
}

/// The axes of the indices along which what is looked up changes.
fn changing(looked_up: &[(usize, Source)], extents: &[usize]) -> SmallVec<[usize; 4]> {
    let mut changing: SmallVec<[usize; 4]> =
        looked_up.iter().flat_map(|(_, source)| source.along(extents)).collect();
    changing.sort_unstable();
    changing.dedup();
    changing
}

/// What the axes of what is read or written are: `offsets` are those of the windows.
fn stands(rank: usize, windows: &[usize], offsets: &[usize]) -> Option<Vec<Stands>> {
    let (mut windows_left, mut axes_left) = (windows.iter(), 0..rank);
    let axis = |r: usize| match offsets.contains(&r) {
        true => Some(Stands::Window(Some(*windows_left.next()?))),
        false => Some(Stands::Index(axes_left.next()?)),
    };
    (0..rank + windows.len()).map(axis).collect()
}

/// The slice that is everything.
fn whole(shape: &Shape) -> Slice {
    let all = |n: usize| SmallVec::from_elem(n, shape.rank());
    Slice { start: all(0), limit: shape.iter().copied().collect(), step: all(1) }
}
