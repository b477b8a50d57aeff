//! What loops read from inputs and write to outputs, one entry a run: views of an example's memory.

use smallvec::SmallVec;
use unloop_graph::{Graph, Op, Shape, ValueId};

/// A view of one example of an input or output, in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The number of the input or output.
    pub of: usize,
    pub shape: Shape,
    pub offset: isize,
    pub strides: SmallVec<[isize; 6]>,
}

impl View {
    /// The whole, in row-major order.
    pub fn whole(of: usize, shape: &Shape) -> View {
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

/// The output that a value becomes, as the value sees it, if that is all that becomes of it.
pub(super) fn sink(graph: &Graph, value: ValueId) -> Option<View> {
    let mut users = graph.nodes().iter().filter(|node| node.operands.contains(&value));
    let output = graph.outputs().iter().position(|&o| o == value);
    match (users.next(), output) {
        (None, Some(output)) => {
            let once = graph.outputs().iter().filter(|&&o| o == value).count() == 1;
            once.then(|| View::whole(output, &graph.ty(value).shape))
        }
        (Some(user), None) if users.next().is_none() => {
            let below = sink(graph, user.first)?;
            let inverse = match &user.op {
                Op::Transpose(perm) => {
                    let mut inverse = perm.clone();
                    perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
                    Op::Transpose(inverse)
                }
                Op::Reshape(_) => Op::Reshape(graph.ty(value).shape.clone()),
                _ => return None,
            };
            below.through(&inverse)
        }
        _ => None,
    }
}
