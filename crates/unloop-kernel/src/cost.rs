//! Predicted nanoseconds of walking a kernel's space, apart from what each element takes.

use unloop_graph::Shape;

use crate::ir::{Kernel, Load};

/// Predicted nanoseconds of starting a row, of an instruction on a tile, and of each strided element.
pub const ROW_NS: f64 = 20.0;
const INST_NS: f64 = 6.0;
const STRIDED_NS: f64 = 0.7;

/// Predicted nanoseconds of starting a kernel.
pub(crate) const START_NS: f64 = 300.0;

/// Predicted nanoseconds of moving a byte to or from memory.
pub(crate) const BYTE_NS: f64 = 0.05;

/// Elements of a tile, about.
const TILE: f64 = 512.0;

/// How often elements must be read for it to pay that they are first laid side by side.
const REUSE: usize = 8;

/// The elements of memory that a load reads, each once.
pub fn footprint(kernel: &Kernel, load: &Load) -> usize {
    let axes = load.source.strides.iter().zip(&kernel.space);
    axes.filter(|(stride, _)| **stride != 0).map(|(_, extent)| extent).product()
}

/// Whether a load is copied before, so that elements along the inner axis lie side by side.
pub fn is_packed(kernel: &Kernel, load: &Load, inner: usize) -> bool {
    let total: usize = kernel.space.iter().product();
    !matches!(load.source.strides[inner], 0 | 1)
        && load.windows.is_empty()
        && total >= REUSE * footprint(kernel, load)
}

/// The predicted nanoseconds of running a kernel with `inner` cut into tiles, apart from what does
/// not depend on the choice.
pub fn layout_cost(kernel: &Kernel, inner: usize) -> f64 {
    let total: usize = kernel.space.iter().product();
    let extent = kernel.space[inner].max(1);
    let tiles = (total / extent) as f64 * (extent as f64 / TILE).ceil();
    let strided = |load: &Load| match load.source.strides[inner] {
        0 | 1 => 0,
        // Read once with strides, and written.
        _ if is_packed(kernel, load, inner) => 2 * footprint(kernel, load),
        _ => total,
    };
    let mut elements: usize = kernel.loads.iter().map(strided).sum();
    if kernel.store.strides.get(inner).is_some_and(|&stride| stride != 0 && stride != 1) {
        elements += total;
    }
    tiles * (ROW_NS + INST_NS * kernel.exprs.len() as f64) + elements as f64 * STRIDED_NS
}

/// The axis that is cut into tiles.
pub fn inner_axis(kernel: &Kernel) -> usize {
    (0..kernel.space.len())
        .min_by(|&a, &b| layout_cost(kernel, a).total_cmp(&layout_cost(kernel, b)))
        .unwrap_or(0)
}

/// The predicted nanoseconds of running a kernel with several rows of its last axis in each tile, or
/// infinite where rows are too long for that.
pub fn rows_cost(kernel: &Kernel) -> f64 {
    let total: usize = kernel.space.iter().product();
    let extent = kernel.space.last().copied().unwrap_or(1);
    if extent == 0 || extent > 64 || total / extent < 8 {
        return f64::INFINITY;
    }
    let copied =
        |l: &&Load| !l.is_row_major(&kernel.space) && l.source.strides.iter().any(|&s| s != 0);
    let loads = kernel.loads.iter().filter(copied).count() as f64;
    let rows = (total / extent) as f64;
    let tiles = total as f64 / TILE;
    rows * (4.0 + loads * (4.0 + 0.2 * extent as f64))
        + tiles * (ROW_NS + INST_NS * kernel.exprs.len() as f64)
}

/// Whether a collapsed kernel is run with several rows of its last axis in each tile. Their results lie
/// side by side only if all of the kernel's do.
pub fn runs_by_rows(kernel: &Kernel) -> bool {
    let is_dense = kernel.store.offset == 0
        && kernel.store.strides[..] == Shape::from(&kernel.space[..]).strides()[..];
    is_dense && rows_cost(kernel) < layout_cost(kernel, inner_axis(kernel))
}

/// The predicted nanoseconds of walking the space of a collapsed kernel without reduction.
pub(crate) fn walk_cost(kernel: &Kernel) -> f64 {
    match runs_by_rows(kernel) {
        true => rows_cost(kernel),
        false => layout_cost(kernel, inner_axis(kernel)),
    }
}

/// The predicted nanoseconds of copying a value of a shape to where its parts from `axis` on lie side by
/// side, without its bytes.
pub(crate) fn copy_cost(shape: &Shape, axis: usize) -> f64 {
    let run: usize = shape[axis..].iter().product();
    let rows: usize = shape[..axis].iter().product();
    rows as f64 * (run as f64 / TILE).ceil() * (ROW_NS + INST_NS)
}
