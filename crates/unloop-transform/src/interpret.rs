//! Running programs with tensors as values: the ground that all transforms stand on. What a
//! transform computes is again traced, so transforms nest; on concrete arrays the transformed
//! program runs as a whole.

use unloop_graph::stack::deeper;
use unloop_graph::{
    Array, Error, ErrorKind, Graph, Node, Place, Result, Tensor, TensorType, Trace, TracedProgram,
    Tree, backend,
};

use crate::{Arguments, Function};

/// The operands of a node.
pub(crate) fn operands<'a, T>(node: &Node, values: &'a [Option<T>]) -> Vec<&'a T> {
    node.operands.iter().filter_map(|v| values[v.index()].as_ref()).collect()
}

/// Applies each operation of a program to tensors, one an input of its type, and gives the outputs.
/// Errors ride in them.
pub fn eval(graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    deeper(|| eval_nodes(graph, inputs))
}

fn eval_nodes(graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let last = graph.last_uses();
    let mut values: Vec<Option<Tensor>> = inputs.iter().cloned().map(Some).collect();
    values.resize(graph.value_count(), None);
    for (i, node) in graph.nodes().iter().enumerate() {
        let results = Tensor::apply(node.op.clone(), &operands(node, &values), node.place);
        for (v, result) in node.results().zip(results) {
            values[v as usize] = Some(result);
        }
        forget(node, i, &last, &mut values);
    }
    graph.outputs().iter().filter_map(|v| values[v.index()].clone()).collect()
}

/// Drops operands that nothing reads after node `now`.
pub(crate) fn forget<T>(node: &Node, now: usize, last: &[Option<usize>], values: &mut [Option<T>]) {
    for v in node.operands.iter().filter(|v| last[v.index()].is_some_and(|l| l <= now)) {
        values[v.index()] = None;
    }
}

/// Runs `f` on tensors. If all are concrete, `f` runs on stand-ins and the program that it traces
/// is run as a whole; else it computes in the traces that the tensors belong to.
pub(crate) fn execute(
    inputs: &[Tensor],
    f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    if let Some(error) = inputs.iter().find_map(Tensor::as_error) {
        return Err(error.clone());
    }
    let Some(arrays) = Tensor::arrays(inputs) else { return f(inputs) };
    let program = trace(inputs.iter().map(Tensor::ty).collect(), f)?;
    run(&program, arrays)
}

/// Traces `f` on parameters of the given types.
pub(crate) fn trace(
    types: Vec<TensorType>,
    f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<TracedProgram> {
    let (trace, params) = Trace::new(types);
    let outputs = deeper(|| f(&params))?;
    trace.finish(&outputs)
}

/// Runs a traced program; if it captures traced tensors, it computes in their traces.
pub(crate) fn run(program: &TracedProgram, mut inputs: Vec<Array>) -> Result<Vec<Tensor>> {
    let captures: Vec<Tensor> = program.captures.iter().map(|c| c.tensor.clone()).collect();
    match Tensor::arrays(&captures) {
        Some(captured) => {
            inputs.extend(captured);
            Ok(backend::run(&program.graph, &inputs)?.into_iter().map(Tensor::from).collect())
        }
        None => {
            let mut inputs: Vec<Tensor> = inputs.into_iter().map(Tensor::from).collect();
            inputs.extend(captures);
            Ok(eval(&program.graph, &inputs))
        }
    }
}

/// A traced call of a function: its program over the tensors of its arguments, and its result as it
/// was while tracing, whose structure the real result takes.
pub(crate) struct Call<R> {
    pub program: TracedProgram,
    pub result: R,
}

impl<R: Tree> Call<R> {
    /// Traces `f` on arguments like `args` whose tensors have the given types.
    pub fn trace<Args: Arguments>(
        f: &dyn Function<Args, Output = R>,
        args: Args::Refs<'_>,
        types: Vec<TensorType>,
    ) -> Result<Call<R>> {
        Call::trace_with::<Args, _>(f, args, types, |_| ())
    }

    /// The same with parameters after those of the arguments, which `bind` is given; what it returns
    /// lives until `f` has run.
    pub fn trace_with<Args: Arguments, B>(
        f: &dyn Function<Args, Output = R>,
        args: Args::Refs<'_>,
        types: Vec<TensorType>,
        bind: impl FnOnce(&[Tensor]) -> B,
    ) -> Result<Call<R>> {
        let (trace, params) = Trace::new(types);
        let mut count = 0;
        Args::visit(args, &mut |_| count += 1);
        let bound = bind(&params[count..]);
        let result = deeper(|| f.call(Args::with_leaves(args, &params).refs()));
        drop(bound);
        let program = trace.finish(&result.leaves())?;
        Ok(Call { program, result })
    }

    /// The program's inputs: the arguments' tensors and what the function captured.
    pub fn inputs(&self, leaves: &[Tensor]) -> Vec<Tensor> {
        leaves.iter().cloned().chain(self.captured()).collect()
    }

    /// What the function captured.
    pub fn captured(&self) -> impl Iterator<Item = Tensor> {
        self.program.captures.iter().map(|c| c.tensor.clone())
    }
}

/// Calls a function as one program: on concrete tensors its operations are fused, instead of computed
/// one by one; inside a transform it is called as it is. For functions of many small steps.
///
/// # Errors
/// Carried by the result: those of the function.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::at_once;
/// let x = Tensor::from([1.0, 2.0]);
/// let y = at_once(|x: &Tensor| (x * 2.0 + 1.0).square(), (&x,));
/// assert_eq!(y.to_vec::<f64>()?, [9.0, 25.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
pub fn at_once<Args: Arguments, F: Function<Args>>(f: F, args: Args::Refs<'_>) -> F::Output
where
    F::Output: Tree,
{
    let leaves = Args::leaves(args);
    let Some(arrays) = Tensor::arrays(&leaves) else { return f.call(args) };
    let run = || {
        let call = Call::trace::<Args>(&f, args, leaves.iter().map(Tensor::ty).collect())?;
        call.result.with_leaves(&run(&call.program, arrays)?)
    };
    run().unwrap_or_else(|e| failed::<Args, _>(&f, args, e.or_at(Place::current())))
}

/// The result of a call that failed: the function's own result with every tensor carrying the error.
/// The function is run on tensors that carry it, so that a result of its type exists.
pub(crate) fn failed<Args: Arguments, R: Tree>(
    f: &dyn Function<Args, Output = R>,
    args: Args::Refs<'_>,
    error: Error,
) -> R {
    let carry = |like: &Tensor| Tensor::error_like(error.clone(), like.ty());
    let result = f.call(Args::rebuild(args, &mut |leaf| carry(leaf)).refs());
    result.rebuild(&mut |leaf| carry(leaf))
}

/// The program of a call, for printing.
pub(crate) fn graph_of<Args: Arguments, R: Tree>(
    f: &dyn Function<Args, Output = R>,
    args: Args::Refs<'_>,
) -> Result<Graph> {
    Ok(traced::<Args, R>(f, args)?.program.graph)
}

/// A call with the types of arguments.
pub(crate) fn traced<Args: Arguments, R: Tree>(
    f: &dyn Function<Args, Output = R>,
    args: Args::Refs<'_>,
) -> Result<Call<R>> {
    let types = Args::leaves(args).into_iter().map(|leaf| leaf.check().map(|t| t.ty()));
    let types = types.collect::<Result<_>>()?;
    Call::trace::<Args>(f, args, types)
}

/// An error of a transform.
pub(crate) fn error(transform: &'static str, kind: ErrorKind, place: Place) -> Error {
    Error::new(transform, kind, place)
}
