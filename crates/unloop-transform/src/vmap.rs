//! `vmap`: a function of one example becomes a function of all of them.

use unloop_graph::shape::normalize_axis;
use unloop_graph::{
    AxisNumber, ErrorKind, Graph, Place, Result, Shape, Structure, Tensor, TensorType, Tree,
};

use crate::collective::{POSITION, bind};
use crate::control::scan;
use crate::function::{self, callable};
use crate::interpret::{Call, error, execute, failed, forget, operands};
use crate::rules::{Batched, batch};
use crate::{Arguments, AxisSpec, Function, IntoAxes, Signature};

callable! {
    /// A function lifted over an axis; made by [`vmap`].
    Vmap with how: Lift<'f, Args, R>
}

/// Lifts a function of one example over an axis of its arguments: what it does to one example, the
/// result does to all of them at once, and stacks the results along axis 0 (or
/// [`Vmap::out_axis`]).
///
/// `axes` has one entry an argument: the axis to map, negative from the end; [`Shared`] for an
/// argument that all examples share; or a list or tuple of these for an argument that is a tree, with one
/// entry a child. One integer stands for all arguments.
///
/// [`Shared`]: crate::Shared
///
/// The function sees its arguments without the mapped axis. A result `[…]` of one example comes out as
/// `[n, …]` of `n` examples, also where it does not depend on the example.
///
/// # Errors
/// Carried by the results: `InvalidArgument` for an axis that an argument does not have, for a list of
/// axes that does not fit a tree, and if no axis is mapped; `BatchSizes` for mapped axes of different
/// sizes; those of the function, if one example has one.
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
    vmap_specs(function::Shared::new(f), axes.into_axes(), Place::of_maker("vmap"))
}

/// [`vmap`] with axes as they are.
pub(crate) fn vmap_specs<'f, Args: Arguments + 'f, R: Tree + 'f>(
    f: function::Shared<'f, Args, R>,
    axes: Vec<AxisSpec>,
    place: Place,
) -> Vmap<'f, Args, R> {
    lifted(Lift { f, axes, out_axis: 0, name: None, chunk: None, place })
}

fn lifted<'f, Args: Arguments + 'f, R: Tree + 'f>(how: Lift<'f, Args, R>) -> Vmap<'f, Args, R> {
    Vmap::from_function(how.clone(), how)
}

impl<'f, Args: Arguments + 'f, R: Tree + 'f> Vmap<'f, Args, R> {
    /// The same function with its results stacked along another axis, negative from the end: `-1` makes
    /// `[…, n]` of `[…]`.
    ///
    /// # Errors
    /// Carried by the result: `AxisOutOfRange` for an axis that the stacked result does not have.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::vmap;
    /// let powers = vmap(|x: &Tensor| Tensor::stack(&[x, &(x * x)], 0), 0).out_axis(1);
    /// let y = powers(&Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(y.shape(), [2, 3]);
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 2.0, 3.0, 1.0, 4.0, 9.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn out_axis(self, axis: impl AxisNumber) -> Vmap<'f, Args, R> {
        lifted(Lift { out_axis: axis.number(), place: Place::of_maker("vmap"), ..self.how })
    }

    /// Names the mapped axis, so that the function can ask all examples for something:
    /// [`psum`](crate::psum), [`all_gather`](crate::all_gather), [`axis_index`](crate::axis_index).
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::{psum, vmap};
    /// let softmax = vmap(|x: &Tensor| x.exp() / psum(&x.exp(), "i"), 0).axis_name("i");
    /// assert_eq!(softmax(&Tensor::from([0.0, 0.0])).to_vec::<f64>()?, [0.5, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    pub fn axis_name(self, name: &str) -> Vmap<'f, Args, R> {
        lifted(Lift { name: Some(name.to_owned()), ..self.how })
    }

    /// Runs at most `size` examples at once, one chunk after the other, to bound memory. A chunk's
    /// intermediate values take the memory of `size` examples.
    ///
    /// # Errors
    /// Carried by the result: `InvalidArgument` for a size of 0, and for an axis with a name, as its
    /// examples need each other.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::vmap;
    /// let x = Tensor::arange(0.0, 10.0, 1.0);
    /// let in_chunks = vmap(|x: &Tensor| x.square(), 0).chunks(4); // 4, 4 and 2 examples
    /// assert_eq!(in_chunks(&x).to_vec::<f64>()?[9], 81.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn chunks(self, size: usize) -> Vmap<'f, Args, R> {
        lifted(Lift { chunk: Some(size), place: Place::of_maker("vmap"), ..self.how })
    }
}

/// How a function is lifted.
pub(crate) struct Lift<'f, Args: Signature, R> {
    f: function::Shared<'f, Args, R>,
    axes: Vec<AxisSpec>,
    out_axis: isize,
    name: Option<String>,
    chunk: Option<usize>,
    place: Place,
}

impl<Args: Signature, R> Clone for Lift<'_, Args, R> {
    fn clone(&self) -> Self {
        let (f, axes, name) = (self.f.clone(), self.axes.clone(), self.name.clone());
        Lift { f, axes, name, ..*self }
    }
}

impl<Args: Arguments, R: Tree> Function<Args> for Lift<'_, Args, R> {
    type Output = R;

    fn call(&self, args: Args::Refs<'_>) -> R {
        self.try_lift(args)
            .unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e.or_at(self.place)))
    }
}

impl<Args: Arguments, R: Tree> Lift<'_, Args, R> {
    fn try_lift(&self, args: Args::Refs<'_>) -> Result<R> {
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
        let mut types: Vec<TensorType> = leaves.iter().zip(&axes).map(example).collect();
        let (mut leaves, mut axes) = (leaves, axes);
        if self.name.is_some() {
            // The position of the example is a parameter of its own.
            types.push(TensorType::new(POSITION, ()));
            leaves.push(Tensor::iota(POSITION, size, 0));
            axes.push(Some(0));
        }
        let call = Call::trace_with::<Args, _>(&self.f, args, types, |extra| {
            self.name.as_ref().zip(extra.first()).map(|(name, at)| bind(name, size, at.clone()))
        })?;
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
            let outputs = match self.chunk {
                None => batch_graph(&call.program.graph, inputs, size),
                Some(chunk) => self.in_chunks(&call.program.graph, inputs, size, chunk)?,
            };
            outputs.into_iter().map(|x| self.placed(x.each(size))).collect()
        })?;
        call.result.with_leaves(&outputs)
    }

    /// A stacked result with its examples along the axis that was asked for.
    fn placed(&self, x: Tensor) -> Result<Tensor> {
        match normalize_axis(self.out_axis, x.rank()) {
            _ if self.out_axis == 0 || x.as_error().is_some() => Ok(x),
            Ok(axis) => Ok(x.move_axis(0, axis as isize)),
            Err(kind) => Err(error("vmap", kind, self.place)),
        }
    }

    /// Chunks of examples one after the other, by a loop; what is left over by itself.
    fn in_chunks(
        &self,
        graph: &Graph,
        inputs: Vec<Batched>,
        size: usize,
        chunk: usize,
    ) -> Result<Vec<Batched>> {
        let invalid = |message: &str| {
            Err(error("vmap", ErrorKind::InvalidArgument(message.into()), self.place))
        };
        if chunk == 0 {
            return invalid("chunks of 0 examples; take at least 1");
        }
        if self.name.is_some() {
            return invalid("chunks of an axis with a name, whose examples need each other");
        }
        let count = size / chunk;
        if count < 2 {
            return Ok(batch_graph(graph, inputs, size));
        }
        let part = |x: &Batched, start: usize, end: usize| match x {
            Batched::Each(x) => Batched::Each(x.slice_axis(0, start, end)),
            same => same.clone(),
        };
        let whole = count * chunk;
        // The stacks as entries of a loop: one chunk each.
        let stacks: Vec<Tensor> = (inputs.iter().filter(|x| x.is_each()))
            .map(|x| {
                let x = part(x, 0, whole);
                let shape = Shape::from(&x.tensor().shape()[1..]).with(0, chunk).with(0, count);
                x.tensor().reshape(shape)
            })
            .collect();
        let run = |_: &(), entries: &Vec<Tensor>| {
            let mut entries = entries.iter();
            let inputs = inputs.iter().map(|x| match x {
                Batched::Each(x) => Batched::Each(entries.next().unwrap_or(x).clone()),
                same => same.clone(),
            });
            let outputs = batch_graph(graph, inputs.collect(), chunk);
            ((), outputs.into_iter().map(|x| x.each(chunk)).collect::<Vec<_>>())
        };
        let stacked = scan(run, &(), &stacks).1;
        let joined = |x: Tensor| {
            let shape = Shape::from(&x.shape()[2..]).with(0, whole);
            x.reshape(shape)
        };
        let mut outputs: Vec<Tensor> = stacked.into_iter().map(joined).collect();
        if whole < size {
            let rest = inputs.iter().map(|x| part(x, whole, size)).collect();
            let rest = batch_graph(graph, rest, size - whole);
            outputs = (outputs.iter().zip(rest))
                .map(|(x, rest)| Tensor::concatenate(&[x, &rest.each(size - whole)], 0))
                .collect();
        }
        Ok(outputs.into_iter().map(Batched::Each).collect())
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
