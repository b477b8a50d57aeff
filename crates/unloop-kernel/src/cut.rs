//! Cutting the space of a result into boxes, in each of which every concatenation is one of its operands
//! and every padding either its operand or its fill: there they are views. One kernel computes each box.

use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::{Graph, Shape, TensorType, ValueId};

use crate::access::{Access, Along};
use crate::cost::{BYTE_NS, START_NS, copy_cost, walk_cost};
use crate::ir::{Kernel, Strided};

/// A box of the space of a result.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    start: SmallVec<[usize; 6]>,
    pub extents: SmallVec<[usize; 6]>,
}

/// Before which position along an axis of a box something else begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    axis: usize,
    at: usize,
}

impl Part {
    /// All of a space.
    pub fn whole(space: &Shape) -> Part {
        let extents = space.iter().copied().collect();
        Part { start: SmallVec::from_elem(0, space.rank()), extents }
    }

    /// How a value on the axes of the whole space is accessed from this part.
    pub fn access(&self) -> Access {
        let along = |(axis, &start): (usize, &usize)| {
            let offset = start as isize;
            Along { axis: Some(axis), scale: 1, offset }
        };
        self.start.iter().enumerate().map(along).collect()
    }

    /// Where the part's elements go.
    pub fn store(&self, value: ValueId, space: &Shape) -> Strided {
        let strides = space.strides();
        let offset = strides.iter().zip(&self.start).map(|(s, &start)| s * start as isize).sum();
        Strided { value, offset, strides }
    }

    /// What comes before a cut, and what after it.
    pub fn cut(self, cut: Cut) -> [Part; 2] {
        let (mut before, mut after) = (self.clone(), self);
        before.extents[cut.axis] = cut.at;
        after.start[cut.axis] += cut.at;
        after.extents[cut.axis] -= cut.at;
        [before, after]
    }

    /// Whether all positions of the part are in a range that has the first one.
    pub fn stays(extents: &[usize], along: Along, range: &Range<isize>) -> Result<(), Cut> {
        let Some(axis) = along.axis else { return Ok(()) };
        let inside = match along.scale {
            0 => return Ok(()),
            scale if scale > 0 => (range.end - 1 - along.offset) / scale,
            scale => (along.offset - range.start) / -scale,
        };
        let at = inside as usize + 1;
        if at < extents[axis] { Err(Cut { axis, at }) } else { Ok(()) }
    }
}

/// The kernels of a result that is computed in boxes.
#[derive(Default)]
pub(crate) struct Pieces {
    pub kernels: Vec<Kernel>,
    /// The concatenations and paddings that are cut for it, and the predicted nanoseconds of what would
    /// be laid in memory otherwise.
    pub read: Vec<(usize, f64)>,
    /// Those among them that are read first: not by way of another.
    pub first: Vec<usize>,
    /// Operations of a box that would be computed on a space of their own if these lay in memory.
    pub inside: usize,
    /// How many kernels it would have if these lay in memory.
    pub otherwise: usize,
}

/// Boxes of a result more than it would have kernels otherwise, at most: each is compiled.
const MAX_MORE: usize = 48;

impl Pieces {
    pub fn of(kernel: Kernel) -> Pieces {
        Pieces { kernels: vec![kernel], otherwise: 1, ..Pieces::default() }
    }

    /// Takes note of a node that is cut, so many others deep.
    pub fn reads(&mut self, node: usize, depth: usize, otherwise: impl FnOnce() -> f64) {
        if self.read.iter().all(|(known, _)| *known != node) {
            self.read.push((node, otherwise()));
        }
        if depth == 0 && !self.first.contains(&node) {
            self.first.push(node);
        }
    }

    pub fn is_too_many(&self) -> bool {
        self.kernels.len() > self.otherwise + MAX_MORE
    }

    /// Predicted nanoseconds that the kernels take more than if all that they read lay in memory.
    fn more(&self, graph: &Graph) -> f64 {
        let walk = |kernel: &Kernel| walk_cost(&kernel.clone().collapse());
        let own: f64 = self.kernels.iter().map(walk).sum();
        // Otherwise the whole would be computed as its largest box is, without what would be computed
        // before, on a space no larger than the box. (That it is copied counts elsewhere.)
        let size = |kernel: &&Kernel| kernel.space.iter().product::<usize>();
        let Some(mut whole) = self.kernels.iter().max_by_key(size).cloned() else { return 0.0 };
        let (all, inside) = (whole.exprs.len(), self.inside.min(whole.exprs.len() - 1));
        let mut before = whole.clone();
        before.exprs.truncate(inside.max(1));
        let mut inner = walk(&before);
        before.exprs.truncate(1);
        inner -= walk(&before);
        whole.exprs.truncate(all - inside);
        let shape = &graph.ty(whole.store.value).shape;
        whole.space = shape.iter().copied().collect();
        whole.store.offset = 0;
        whole.loads.iter_mut().for_each(|load| load.windows.clear());
        let starts = self.kernels.len() as f64 - self.otherwise as f64;
        own - walk(&whole) - inner + starts * START_NS
    }
}

/// Predicted nanoseconds of laying values of a type in memory, side by side from an axis on, and of
/// reading them from there.
pub(crate) fn copied(ty: &TensorType, axis: usize) -> f64 {
    START_NS + copy_cost(&ty.shape, axis) + 2.0 * ty.bytes() as f64 * BYTE_NS
}

/// The concatenations and paddings that should lie in memory, as the boxes that take their places would
/// take longer: starting them, and walking short rows. What several results read is paid for by all.
pub(crate) fn losing(graph: &Graph, results: &[Pieces]) -> Vec<usize> {
    let mut readers = vec![0u32; graph.nodes().len()];
    results.iter().flat_map(|pieces| &pieces.read).for_each(|(node, _)| readers[*node] += 1);
    let is_losing = |pieces: &&Pieces| {
        let saved = |(node, ns): &(usize, f64)| ns / f64::from(readers[*node]);
        let saved: f64 = pieces.read.iter().map(saved).sum();
        pieces.is_too_many() || pieces.more(graph) > saved
    };
    results.iter().filter(is_losing).flat_map(|pieces| pieces.first.iter().copied()).collect()
}
