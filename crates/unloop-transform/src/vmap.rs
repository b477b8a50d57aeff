//! `vmap`: a function of one example becomes a function of all of them.

use std::panic::Location;

use unloop_graph::shape::normalize_axis;
use unloop_graph::{ErrorKind, Graph, Result, Shape, Structure, Tensor, TensorType, Tree};

use crate::function::callable;
use crate::interpret::{Call, error, execute, failed, forget, operands};
use crate::rules::{Batched, batch};
use crate::{Arguments, AxisSpec, Function, IntoAxes};

callable! {
    /// A function lifted over an axis; made by [`vmap`].
    Vmap
}

/// Lifts a function of one example over an axis of its arguments: what it does to one example, the
/// result does to all of them at once, and stacks the results along axis 0 (or
/// [`Vmap::out_axis`]).
///
/// `axes` has one entry an argument: the axis to map, negative from the end; [`Shared`] for an
/// argument that all examples share; or a tree of these for an argument that is a tree. One integer
/// stands for all arguments.
///
/// [`Shared`]: crate::Shared
///
/// # Errors
/// Carried by the results: an axis out of range, mapped axes of different sizes, no mapped axis.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{Shared, vmap};
/// let a = Tensor::from([[[2.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]]); // two matrices
/// let b = Tensor::from([8.0, 8.0]);
/// let solve_each = vmap(Tensor::solve, (0, Shared));
/// assert_eq!(solve_each(&a, &b).to_vec::<f64>()?, [4.0, 2.0, 8.0, 8.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn vmap<'f, Args, F>(f: F, axes: impl IntoAxes<Args>) -> Vmap<'f, Args, F::Output>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    Vmap::from_function(Lift { f, axes: axes.into_axes(), place: Location::caller() })
}

impl<'f, Args: Arguments + 'f, R: Tree + 'f> Vmap<'f, Args, R> {
    /// The same function with its results stacked along another axis, negative from the end.
    #[track_caller]
    pub fn out_axis(self, axis: isize) -> Vmap<'f, Args, R> {
        Vmap::from_function(OutAxis { stacked: self, axis, place: Location::caller() })
    }
}

struct Lift<F> {
    f: F,
    axes: Vec<AxisSpec>,
    place: &'static Location<'static>,
}

impl<Args: Arguments, F: Function<Args>> Function<Args> for Lift<F>
where
    F::Output: Tree,
{
    type Output = F::Output;

    fn call(&self, args: Args::Refs<'_>) -> F::Output {
        self.try_lift::<Args>(args).unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e))
    }
}

impl<F> Lift<F> {
    fn try_lift<Args: Arguments>(&self, args: Args::Refs<'_>) -> Result<F::Output>
    where
        F: Function<Args>,
        F::Output: Tree,
    {
        let leaves = Args::leaves(args);
        for leaf in &leaves {
            leaf.check()?;
        }
        let fail = |kind| error("vmap", kind, self.place);
        let structures = Args::structures(args);
        let (axes, size) = mapped_axes(&self.axes, &structures, &leaves).map_err(fail)?;
        let example = |(leaf, axis): (&Tensor, &Option<usize>)| match axis {
            Some(axis) => TensorType::new(leaf.dtype(), Shape::from(leaf.shape()).without(*axis)),
            None => leaf.ty(),
        };
        let types = leaves.iter().zip(&axes).map(example).collect();
        let call = Call::trace::<Args>(&self.f, args, types)?;
        let outputs = execute(&call.inputs(&leaves), |inputs| {
            let shared = std::iter::repeat(&None);
            let inputs: Vec<Batched> = inputs
                .iter()
                .zip(axes.iter().chain(shared))
                .map(|(x, axis)| match axis {
                    Some(axis) => Batched::Each(x.move_axis(*axis as isize, 0)),
                    None => Batched::Same(x.clone()),
                })
                .collect();
            let outputs = batch_graph(&call.program.graph, inputs, size);
            Ok(outputs.into_iter().map(|x| x.each(size)).collect())
        })?;
        call.result.with_leaves(&outputs)
    }
}

struct OutAxis<'f, Args: Arguments, R> {
    stacked: Vmap<'f, Args, R>,
    axis: isize,
    place: &'static Location<'static>,
}

impl<Args: Arguments, R: Tree> Function<Args> for OutAxis<'_, Args, R> {
    type Output = R;

    fn call(&self, args: Args::Refs<'_>) -> R {
        self.stacked.call(args).rebuild(&mut |x| match normalize_axis(self.axis, x.rank()) {
            _ if x.as_error().is_some() => x.clone(),
            Ok(axis) => x.move_axis(0, axis as isize),
            Err(kind) => Tensor::error_like(error("vmap", kind, self.place), x.ty()),
        })
    }
}

/// The mapped axis of every tensor, counted from the start, and their common size.
fn mapped_axes(
    specs: &[AxisSpec],
    structures: &[Structure],
    leaves: &[Tensor],
) -> Result<(Vec<Option<usize>>, usize), ErrorKind> {
    let mut axes = Vec::new();
    let mut names = Vec::new();
    for (i, (spec, structure)) in specs.iter().zip(structures).enumerate() {
        spec.of_leaves(structure, &mut axes)?;
        names.extend(structure.paths().iter().map(|path| match path.as_str() {
            "" => format!("argument {i}"),
            path => format!("argument {i}.{path}"),
        }));
    }
    let mut sizes = Vec::new();
    let mut mapped = Vec::new();
    for ((axis, leaf), name) in axes.iter().zip(leaves).zip(names) {
        let Some(axis) = axis else {
            mapped.push(None);
            continue;
        };
        let axis = normalize_axis(*axis, leaf.rank()).map_err(|kind| {
            let shape = Shape::from(leaf.shape());
            ErrorKind::InvalidArgument(format!("{name} of shape {shape}: {kind}"))
        })?;
        let size = leaf.shape()[axis];
        sizes.push((format!("{name} (axis {axis} of {})", Shape::from(leaf.shape())), size));
        mapped.push(Some(axis));
    }
    match sizes.first() {
        Some(&(_, size)) if sizes.iter().all(|&(_, s)| s == size) => Ok((mapped, size)),
        Some(_) => Err(ErrorKind::BatchSizes { sizes }),
        None => Err(ErrorKind::InvalidArgument(
            "no argument has a mapped axis, so the number of examples is unknown; map at least one, \
             or call the function as it is"
                .into(),
        )),
    }
}

/// Walks a program with values that are the same for all examples, or have one entry an example
/// along axis 0.
pub(crate) fn batch_graph(graph: &Graph, inputs: Vec<Batched>, size: usize) -> Vec<Batched> {
    let last = graph.last_uses();
    let mut values: Vec<Option<Batched>> = inputs.into_iter().map(Some).collect();
    values.resize(graph.value_count(), None);
    for (i, node) in graph.nodes().iter().enumerate() {
        let results =
            node.place.scope(|| batch(&node.op, &operands(node, &values), size, node.place));
        for (v, result) in node.results().zip(results) {
            values[v as usize] = Some(result);
        }
        forget(node, i, &last, &mut values);
    }
    graph.outputs().iter().filter_map(|v| values[v.index()].clone()).collect()
}
