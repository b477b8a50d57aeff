//! How an index of a kernel's space becomes an index of a value: each axis of the value follows at
//! most one axis of the space. Views (transpose, broadcast, slice, reverse, axes of size 1) only
//! change this map; nothing is copied.

use smallvec::SmallVec;
use unloop_graph::{Op, Shape};

/// The position along one axis of a value: `offset + scale · (index along an axis of the space)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Along {
    /// The axis of the space; `None` when the position is fixed.
    pub axis: Option<usize>,
    pub scale: isize,
    pub offset: isize,
}

/// One entry an axis of the value.
pub(crate) type Access = SmallVec<[Along; 6]>;

pub(crate) const FIXED: Along = Along { axis: None, scale: 0, offset: 0 };

/// The value's axes are the leading axes of the space.
pub(crate) fn identity(rank: usize) -> Access {
    (0..rank).map(|axis| Along { axis: Some(axis), scale: 1, offset: 0 }).collect()
}

/// Whether a reshape only adds and drops axes of size 1.
pub(crate) fn is_unit_reshape(from: &Shape, to: &Shape) -> bool {
    let wide = |shape: &Shape| -> SmallVec<[usize; 6]> {
        shape.iter().copied().filter(|&d| d != 1).collect()
    };
    wide(from) == wide(to)
}

/// Whether the operation is a view in this module's sense.
pub(crate) fn is_view(op: &Op, operand: &Shape) -> bool {
    match op {
        Op::Transpose(_) | Op::Broadcast { .. } | Op::Slice(_) | Op::Reverse(_) => true,
        Op::Reshape(shape) => is_unit_reshape(operand, shape),
        _ => false,
    }
}

/// The access to the operand of a view from the access to its result.
pub(crate) fn through(op: &Op, access: &Access, operand: &Shape) -> Access {
    match op {
        Op::Transpose(perm) => {
            let mut inner: Access = SmallVec::from_elem(FIXED, perm.len());
            perm.iter().zip(access).for_each(|(&p, &along)| inner[p] = along);
            inner
        }
        Op::Broadcast { dims, .. } => dims.iter().map(|&d| access[d]).collect(),
        Op::Slice(slice) => access
            .iter()
            .enumerate()
            .map(|(a, along)| {
                let (start, step) = (slice.start[a] as isize, slice.step[a] as isize);
                Along { scale: along.scale * step, offset: along.offset * step + start, ..*along }
            })
            .collect(),
        Op::Reverse(axes) => {
            let mut inner = access.clone();
            for &a in axes {
                let last = operand[a] as isize - 1;
                inner[a].scale = -inner[a].scale;
                inner[a].offset = last - inner[a].offset;
            }
            inner
        }
        Op::Reshape(shape) => {
            // The wide axes correspond in order; axes of size 1 are at position 0.
            let mut wide = access.iter().zip(shape.iter()).filter(|(_, d)| **d != 1);
            let next = |d: &usize| match d {
                1 => FIXED,
                _ => wide.next().map_or(FIXED, |(along, _)| *along),
            };
            operand.iter().map(next).collect()
        }
        other => unreachable!("{} is no view", other.name()),
    }
}
