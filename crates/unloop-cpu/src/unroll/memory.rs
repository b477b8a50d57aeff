//! What loops read and write, one entry a run: views of an example's memory.

use smallvec::SmallVec;
use unloop_graph::{Graph, Op, Shape, TensorType, ValueId};
use unloop_kernel::BufferId;

use crate::narrow::ExampleAxis;

/// Where the examples of an input or output stand: outer ones, each of which may have inner ones.
#[derive(Clone, Debug)]
pub(super) struct Examples {
    /// The extents of one example, and how far neighbours along each axis are from each other.
    axes: SmallVec<[(usize, usize); 6]>,
    /// How far one example is from the next, of the outer and of the inner ones; zero where all share it.
    pub strides: [usize; 2],
}

impl Examples {
    /// The examples of a value of all of them.
    pub fn new(ty: &TensorType, axes: [ExampleAxis; 2]) -> Examples {
        let strides = ty.shape.strides();
        let stride = |axis: ExampleAxis| axis.map_or(0, |axis| strides[axis].unsigned_abs());
        let own = (0..ty.rank()).filter(|axis| !axes.contains(&Some(*axis)));
        Examples {
            axes: own.map(|axis| (ty.shape[axis], strides[axis].unsigned_abs())).collect(),
            strides: axes.map(stride),
        }
    }

    /// Where an element of the first example lies.
    pub fn at(&self, element: usize) -> usize {
        let mut rest = element;
        let mut at = 0;
        for &(extent, stride) in self.axes.iter().rev() {
            at += rest % extent.max(1) * stride;
            rest /= extent.max(1);
        }
        at
    }

    /// The distance of elements that are so far from each other along an axis of an example.
    pub fn step(&self, step: isize) -> isize {
        self.at(step.unsigned_abs()) as isize * step.signum()
    }
}

/// A view of one example of what lies in memory, in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub of: BufferId,
    pub shape: Shape,
    pub offset: isize,
    pub strides: SmallVec<[isize; 6]>,
}

impl View {
    /// The whole, in row-major order.
    pub fn whole(of: BufferId, shape: &Shape) -> View {
        View { of, shape: shape.clone(), offset: 0, strides: shape.strides() }
    }

    /// What an operation makes of it, if it only changes how it is indexed.
    pub fn through(&self, op: &Op) -> Option<View> {
        let of = self.of;
        match op {
            Op::Transpose(perm) => Some(View {
                of,
                shape: perm.iter().map(|&p| self.shape[p]).collect(),
                offset: self.offset,
                strides: perm.iter().map(|&p| self.strides[p]).collect(),
            }),
            Op::Reshape(shape) => {
                // Axes of one element come and go.
                let long = |shape: &Shape| -> SmallVec<[usize; 6]> {
                    shape.iter().copied().filter(|&d| d != 1).collect()
                };
                if long(shape) != long(&self.shape) {
                    return None;
                }
                let mut rest = self.strides.iter().zip(self.shape.iter()).filter(|&(_, &d)| d != 1);
                let stride = |&d: &usize| match d {
                    1 => Some(0),
                    _ => rest.next().map(|(&s, _)| s),
                };
                let strides = shape.iter().map(stride).collect::<Option<_>>()?;
                Some(View { of, shape: shape.clone(), offset: self.offset, strides })
            }
            Op::Slice(slice) => {
                let axes = || slice.start.iter().zip(&slice.step).zip(&self.strides);
                let moved: isize = axes().map(|((&start, _), &s)| start as isize * s).sum();
                let extent = |((&start, &limit), &step): ((&usize, &usize), &usize)| {
                    limit.saturating_sub(start).div_ceil(step.max(1))
                };
                let shape = slice.start.iter().zip(&slice.limit).zip(&slice.step).map(extent);
                Some(View {
                    of,
                    shape: shape.collect(),
                    offset: self.offset + moved,
                    strides: axes().map(|((_, &step), &s)| step as isize * s).collect(),
                })
            }
            _ => None,
        }
    }

    /// The elements of the first entry along the first axis, in row-major order, and how far the next
    /// entry is from one.
    pub fn entries(&self) -> (Vec<isize>, isize) {
        let shape = Shape::from(&self.shape[1..]);
        let mut elements = Vec::with_capacity(shape.size());
        shape.for_each_index(|index| {
            let moved = index.iter().zip(&self.strides[1..]).map(|(&i, &s)| i as isize * s);
            elements.push(self.offset + moved.sum::<isize>());
        });
        (elements, self.strides[0])
    }
}

/// Where a value goes, one entry a run of the loop that makes it.
#[derive(Default)]
pub(super) struct Sinks {
    /// The outputs that it becomes, as the value sees them.
    pub outputs: Vec<View>,
    /// Whether anything else reads it.
    pub is_read: bool,
}

/// Where a value of a program goes, whose outputs have these buffers.
pub(super) fn sinks(graph: &Graph, value: ValueId, outputs: &dyn Fn(usize) -> BufferId) -> Sinks {
    let mut sinks = Sinks::default();
    let shape = &graph.ty(value).shape;
    for (output, _) in graph.outputs().iter().enumerate().filter(|(_, o)| **o == value) {
        sinks.outputs.push(View::whole(outputs(output), shape));
    }
    for user in graph.nodes().iter().filter(|node| node.operands.contains(&value)) {
        let inverse = match &user.op {
            Op::Transpose(perm) => {
                let mut inverse = perm.clone();
                perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
                Op::Transpose(inverse)
            }
            Op::Reshape(_) => Op::Reshape(shape.clone()),
            _ => {
                sinks.is_read = true;
                continue;
            }
        };
        let below = self::sinks(graph, user.first, outputs);
        sinks.is_read |= below.is_read;
        for view in below.outputs {
            match view.through(&inverse) {
                Some(view) => sinks.outputs.push(view),
                None => sinks.is_read = true,
            }
        }
    }
    sinks
}
