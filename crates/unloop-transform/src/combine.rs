//! Reductions and running totals with a function of the user's own.

use unloop_graph::shape::normalize_axes;
use unloop_graph::{AxisList, ErrorKind, Place, Result, Shape, Tensor, TensorType, Tree};

use crate::control::carrying;
use crate::interpret::error;
use crate::rules::Batched;
use crate::vmap::batch_graph;

/// A function of two elements, traced once, that combines stacks of them.
struct Combine {
    graph: unloop_graph::Graph,
    captured: Vec<Tensor>,
}

impl Combine {
    fn trace<T: Tree>(
        name: &'static str,
        f: impl Fn(&T, &T) -> T,
        like: &T,
        elements: &[TensorType],
        place: Place,
    ) -> Result<Combine> {
        let twice = [elements, elements].concat();
        let part = crate::control::trace(&twice, |params| {
            let (a, b) = params.split_at(elements.len());
            let tree = |params: &[Tensor]| {
                let mut next = params.iter();
                like.rebuild(&mut |old| next.next().unwrap_or(old).clone())
            };
            f(&tree(a), &tree(b))
        })?;
        let given: Vec<TensorType> = part.graph.output_types().cloned().collect();
        if given != elements {
            let message = format!(
                "the function gives {given:?} for two of {elements:?}; it must give one like them"
            );
            return Err(error(name, ErrorKind::InvalidArgument(message), place));
        }
        Ok(Combine { graph: part.graph, captured: part.captured })
    }

    /// Element by element along axis 0.
    fn stacks(&self, a: &[Tensor], b: &[Tensor]) -> Vec<Tensor> {
        let size = a.first().map_or(0, |x| x.shape()[0]);
        let each = a.iter().chain(b).cloned().map(Batched::Each);
        let inputs = each.chain(self.captured.iter().cloned().map(Batched::Same)).collect();
        batch_graph(&self.graph, inputs, size).into_iter().map(|x| x.each(size)).collect()
    }
}

fn element(ty: &TensorType) -> TensorType {
    unloop_graph::op::entry_type(ty)
}

/// The running totals `x₀, x₀∘x₁, x₀∘x₁∘x₂, …` along the first axis, for an associative function of
/// two elements, in logarithmic depth. Tensors of `xs` are `[n, …]`; `f` takes and gives elements `[…]`,
/// trees of the same structure; the results have the shapes and dtypes of `xs`. `f` is written for one
/// pair, and associative: `f(f(a, b), c) = f(a, f(b, c))`.
///
/// # Errors
/// Carried by the results: `InvalidArgument` for a tensor without axes, for sizes along axis 0 that
/// differ, and for a function that does not give an element of the same shapes and dtypes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::associative_scan;
/// // The recurrence y ← a·y + b as products of affine maps.
/// let then = |(a, b): &(Tensor, Tensor), (c, d): &(Tensor, Tensor)| (c * a, c * b + d);
/// let steps = (Tensor::from([0.5, 0.5, 0.5]), Tensor::from([1.0, 1.0, 1.0]));
/// let (_, y) = associative_scan(then, &steps);
/// assert_eq!(y.to_vec::<f64>()?, [1.0, 1.5, 1.75]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn associative_scan<T: Tree>(f: impl Fn(&T, &T) -> T, xs: &T) -> T {
    let place = Place::of("associative_scan");
    let run = || {
        let name = "associative_scan";
        let types = crate::control::types(xs)?;
        let invalid = |message| error(name, ErrorKind::InvalidArgument(message), place);
        if let Some(ty) = types.iter().find(|ty| ty.rank() == 0) {
            return Err(invalid(format!("{ty} has no axis to run along")));
        }
        if let [first, rest @ ..] = &types[..]
            && let Some(ty) = rest.iter().find(|ty| ty.shape[0] != first.shape[0])
        {
            return Err(invalid(format!("{first} and {ty} differ in the extent of axis 0")));
        }
        let elements: Vec<TensorType> = types.iter().map(element).collect();
        let combine = Combine::trace(name, f, xs, &elements, place)?;
        xs.with_leaves(&place.scope(|| {
            unloop_graph::associative_scan(&xs.leaves(), 0, &|a, b| combine.stacks(a, b))
        }))
    };
    run().unwrap_or_else(|e| carrying(xs, &e))
}

/// All elements along some axes combined by an associative and commutative function of two scalars,
/// starting from `init` (trees of scalars, for a function of several numbers). The axes disappear; the
/// dtypes stay. The order of the combinations is not defined; `init` is the function's neutral element,
/// and the result where there are no elements.
///
/// # Errors
/// Carried by the results: `AxisOutOfRange` and `RepeatedAxis` for the axes; `TreeMismatch` if `init`
/// has not the structure of `xs`; `InvalidArgument` for tensors of different shapes, an `init` that is no
/// scalar of their dtype, and a function that does not give one element.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::reduce;
/// let x = Tensor::from([[3.0, 4.0], [6.0, 8.0]]);
/// let hypot = |a: &Tensor, b: &Tensor| (a * a + b * b).sqrt();
/// let y = reduce(hypot, &x, &Tensor::from(0.0), 1);
/// assert_eq!(y.to_vec::<f64>()?, [5.0, 10.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn reduce<T: Tree>(f: impl Fn(&T, &T) -> T, xs: &T, init: &T, axes: impl AxisList) -> T {
    let place = Place::of("reduce");
    let run = || {
        let name = "reduce";
        let fail = |kind| error(name, kind, place);
        xs.structure().require_same(&init.structure()).map_err(fail)?;
        let (types, elements) = (crate::control::types(xs)?, crate::control::types(init)?);
        for (x, e) in types.iter().zip(&elements) {
            if x.shape != types[0].shape || !e.shape.is_empty() || x.dtype != e.dtype {
                let message = format!(
                    "{x} with the initial value {e}; all operands have one shape, and a scalar of their dtype"
                );
                return Err(fail(ErrorKind::InvalidArgument(message)));
            }
        }
        let Some(shape) = types.first().map(|ty| ty.shape.clone()) else {
            return xs.with_leaves(&[]);
        };
        let axes = normalize_axes(&axes.axes(), shape.rank()).map_err(fail)?;
        let kept: Vec<usize> = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
        let order: Vec<isize> = axes.iter().chain(&kept).map(|&a| a as isize).collect();
        let size: usize = axes.iter().map(|&a| shape[a]).product();
        let rest: Shape = kept.iter().map(|&a| shape[a]).collect();
        let count = rest.size();
        let combine = Combine::trace(name, f, init, &elements, place)?;
        let results = place.scope(|| {
            // Rows of what is combined, halved until one is left.
            let row = |x: &Tensor| x.permute(&order).reshape([size, count]);
            let mut rows: Vec<Tensor> = xs.leaves().iter().map(row).collect();
            let flat = |x: &[Tensor]| x.iter().map(Tensor::flatten).collect::<Vec<_>>();
            let mut n = size;
            while n > 1 {
                let half = n / 2;
                let part = |start, end| -> Vec<Tensor> {
                    rows.iter().map(|x| x.slice_axis(0, start, end)).collect()
                };
                let combined = combine.stacks(&flat(&part(0, half)), &flat(&part(half, 2 * half)));
                let last = part(2 * half, n);
                let joined = combined.iter().zip(&last).map(|(c, last)| {
                    let c = c.reshape([half, count]);
                    if n == 2 * half { c } else { Tensor::concatenate(&[&c, last], 0) }
                });
                rows = joined.collect();
                n = n.div_ceil(2);
            }
            let start: Vec<Tensor> =
                init.leaves().iter().map(|x| x.broadcast_to([count])).collect();
            let totals = if size == 0 { start } else { combine.stacks(&start, &flat(&rows)) };
            totals.iter().map(|x| x.reshape(&rest)).collect::<Vec<_>>()
        });
        xs.with_leaves(&results)
    };
    run().unwrap_or_else(|e| carrying(init, &e))
}
