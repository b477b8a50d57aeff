//! Functions with rules that the user gives: derivatives of their own, recomputation, host code.

use std::sync::Arc;

use unloop_graph::op::{DerivativeRule, Host, HostOp, Switch, WithDerivative};
use unloop_graph::{DType, ErrorKind, Op, Place, Result, Tensor, TensorType, Tree};

use crate::control::{Part, apply, closed, trace};
use crate::function::callable;
use crate::interpret::{error, failed};
use crate::{Arguments, Function};

callable! {
    /// A function with rules of its own; made by [`custom_jvp`], [`custom_vjp`] and [`checkpoint`].
    Custom
}

/// A function whose derivative is given by `rule`: from the arguments and their tangents (tuples, if
/// there are several arguments) to the tangent of the result, which has the result's structure, shapes
/// and dtypes. Every transform uses the rule, reverse mode too: it transposes it, so the rule is linear
/// in the tangents.
///
/// Use it where the derivative that follows from the operations is wrong at some points, unstable,
/// or slow.
///
/// # Errors
/// Carried by the result of a call, which traces the rule, too: `TreeMismatch` if the rule gives another
/// structure than the result's, `InvalidArgument` if it gives other shapes or dtypes. Carried by a
/// derivative: `Unsupported` in a value that the function captures instead of taking as an argument,
/// and, in reverse mode, of a rule that is not linear in the tangents.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{custom_jvp, grad};
/// // ln(1 + eˣ): the derivative eˣ/(1 + eˣ) is NaN for large x when it is computed as written.
/// let log1pexp = custom_jvp(
///     |x: &Tensor| x.exp().log1p(),
///     |x: &Tensor, dx: &Tensor| dx * x.sigmoid(),
/// );
/// assert_eq!(grad(log1pexp)(&Tensor::from(1000.0)).item::<f64>()?, 1.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn custom_jvp<'f, Args, F>(
    f: F,
    rule: impl Fn(&Args::Packed, &Args::Packed) -> F::Output + Send + Sync + 'f,
) -> Custom<'f, Args, F::Output>
where
    Args: Arguments + 'f,
    Args::Packed: Clone,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    Custom::from_function(CustomJvp { f, rule, place: Place::of_maker("custom_jvp") })
}

struct CustomJvp<F, G> {
    f: F,
    rule: G,
    place: Place,
}

/// Parameters as the arguments of a function.
fn arguments<Args: Arguments>(args: Args::Refs<'_>, params: &[Tensor]) -> Args {
    Args::with_leaves(args, params)
}

fn types_of<Args: Arguments>(args: Args::Refs<'_>) -> Result<Vec<TensorType>> {
    Args::leaves(args).iter().map(|leaf| leaf.check().map(|x| x.ty())).collect()
}

/// Fails unless a rule gives what is asked: the same structure, shapes and dtypes.
fn require_alike<T: Tree>(name: &'static str, wanted: &T, given: &T, place: Place) -> Result<()> {
    let fail = |kind| error(name, kind, place);
    wanted.structure().require_same(&given.structure()).map_err(fail)?;
    for (wanted, given) in wanted.leaves().iter().zip(given.leaves()) {
        given.check()?;
        if wanted.dtype().is_float() && wanted.ty() != given.ty() {
            let message = format!("the rule gives {} where {} is needed", given.ty(), wanted.ty());
            return Err(fail(ErrorKind::InvalidArgument(message)));
        }
    }
    Ok(())
}

/// The operation of a function and a rule that were traced, applied to the arguments.
fn apply_custom<R: Tree, S>(
    body: Part<R>,
    rule: Part<S>,
    visible: usize,
    reverse: bool,
    leaves: &[Tensor],
    place: Place,
) -> Vec<Tensor> {
    let captured = [&body.captured[..], &rule.captured[..]].concat();
    let own = body.captured.len();
    let rule_graph = closed(&rule.graph, &captured, own..captured.len());
    let custom = WithDerivative {
        body: closed(&body.graph, &captured, 0..own),
        captured: captured.len(),
        visible,
        rule: match reverse {
            true => DerivativeRule::Reverse(rule_graph),
            false => DerivativeRule::Forward(rule_graph),
        },
    };
    let operands = [&captured[..], leaves].concat();
    let mut results = apply(Op::WithDerivative(custom), &operands, place);
    results.truncate(visible);
    results
}

impl<Args, F, G> Function<Args> for CustomJvp<F, G>
where
    Args: Arguments,
    Args::Packed: Clone,
    F: Function<Args>,
    F::Output: Tree,
    G: Fn(&Args::Packed, &Args::Packed) -> F::Output + Send + Sync,
{
    type Output = F::Output;

    fn call(&self, args: Args::Refs<'_>) -> F::Output {
        let run = || {
            let types = types_of::<Args>(args)?;
            let body = trace(&types, |params| self.f.call(arguments::<Args>(args, params).refs()))?;
            let twice = [&types[..], &types].concat();
            let mut alike = Ok(());
            let rule = trace(&twice, |params| {
                let (x, dx) = params.split_at(types.len());
                let pack = |params: &[Tensor]| arguments::<Args>(args, params).pack();
                let dy = (self.rule)(&pack(x), &pack(dx));
                alike = require_alike("custom_jvp", &body.result, &dy, self.place);
                dy
            });
            alike?;
            let (template, count) = (&body.result, body.graph.outputs().len());
            let like = template.map_leaves(Tensor::clone);
            let results = apply_custom(body, rule?, count, false, &Args::leaves(args), self.place);
            like.with_leaves(&results)
        };
        run().unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e.or_at(self.place)))
    }
}

callable! {
    /// A function with a reverse rule of its own; made by [`custom_vjp`].
    CustomReverse
}

/// A function whose reverse derivative is given. `forward` computes the result and what else the rule
/// needs, `backward` takes the latter and a cotangent of the result to those of the arguments (a
/// tuple, if there are several), which have the arguments' structures, shapes and dtypes.
///
/// Forward mode has no rule then; [`custom_jvp`] serves both.
///
/// # Errors
/// Carried by the result of a call, which traces `backward`, too: `TreeMismatch` if that gives another
/// structure than the arguments', `InvalidArgument` if it gives other shapes or dtypes. Carried by a
/// derivative: [`ErrorKind::Unsupported`] in forward mode, and in a value that the function captures.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{custom_vjp, grad};
/// // The identity, whose gradient is clipped.
/// let clipped = custom_vjp(
///     |x: &Tensor| (x.clone(), ()),
///     |_: &(), ct: &Tensor| ct.clamp(&Tensor::from(-1.0), &Tensor::from(1.0)),
/// );
/// let slope = grad(|x: &Tensor| clipped(x) * 5.0);
/// assert_eq!(slope(&Tensor::from(3.0)).item::<f64>()?, 1.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn custom_vjp<'f, Args, F, Y, Kept>(
    forward: F,
    backward: impl Fn(&Kept, &Y) -> Args::Packed + Send + Sync + 'f,
) -> CustomReverse<'f, Args, Y>
where
    Args: Arguments + 'f,
    Args::Packed: Clone,
    F: Function<Args, Output = (Y, Kept)> + 'f,
    Y: Tree + 'f,
    Kept: Tree + 'f,
{
    CustomReverse::from_function(CustomVjp {
        forward,
        backward,
        place: Place::of_maker("custom_vjp"),
    })
}

struct CustomVjp<F, G> {
    forward: F,
    backward: G,
    place: Place,
}

impl<Args, F, G, Y, Kept> Function<Args> for CustomVjp<F, G>
where
    Args: Arguments,
    Args::Packed: Clone,
    F: Function<Args, Output = (Y, Kept)>,
    G: Fn(&Kept, &Y) -> Args::Packed + Send + Sync,
    Y: Tree,
    Kept: Tree,
{
    type Output = Y;

    fn call(&self, args: Args::Refs<'_>) -> Y {
        let run = || {
            let types = types_of::<Args>(args)?;
            let body =
                trace(&types, |params| self.forward.call(arguments::<Args>(args, params).refs()))?;
            let (y, kept) = (&body.result.0, &body.result.1);
            let visible = y.leaves().len();
            // The rule's inputs: results, what was kept, cotangents of the results.
            let results = types_of_tree(&body.result)?;
            let params: Vec<TensorType> =
                results.iter().chain(&results[..visible]).cloned().collect();
            let mut alike = Ok(());
            let rule = trace(&params, |params| {
                let filled = |tree: &Kept, from: &[Tensor]| {
                    let mut next = from.iter();
                    tree.rebuild(&mut |old| next.next().unwrap_or(old).clone())
                };
                let kept = filled(kept, &params[visible..results.len()]);
                let mut next = params[results.len()..].iter();
                let ct = y.rebuild(&mut |old| next.next().unwrap_or(old).clone());
                let cotangents = (self.backward)(&kept, &ct);
                let wanted = Args::rebuild(args, &mut Tensor::clone).pack();
                alike = require_alike("custom_vjp", &wanted, &cotangents, self.place);
                cotangents
            });
            alike?;
            let like = y.map_leaves(Tensor::clone);
            let results = apply_custom(body, rule?, visible, true, &Args::leaves(args), self.place);
            like.with_leaves(&results)
        };
        run().unwrap_or_else(|e| failed::<Args, _>(&self.forward, args, e.or_at(self.place)).0)
    }
}

fn types_of_tree<T: Tree>(tree: &T) -> Result<Vec<TensorType>> {
    tree.leaves().iter().map(|leaf| leaf.check().map(|x| x.ty())).collect()
}

/// A function that reverse mode computes anew instead of keeping what it computed on the way: less
/// memory for one more evaluation. Values and derivatives are the same.
///
/// # Errors
/// Carried by the result: those of the function.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{checkpoint, grad};
/// let layer = checkpoint(|x: &Tensor| x.sin().exp().tanh());
/// let slope = grad(|x: &Tensor| layer(&layer(x)).sum());
/// assert_eq!(slope(&Tensor::zeros(unloop_graph::DType::F64, 1000)).shape(), [1000]);
/// ```
#[track_caller]
pub fn checkpoint<'f, Args, F>(f: F) -> Custom<'f, Args, F::Output>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    Custom::from_function(Checkpoint { f, place: Place::of_maker("checkpoint") })
}

struct Checkpoint<F> {
    f: F,
    place: Place,
}

impl<Args: Arguments, F: Function<Args>> Function<Args> for Checkpoint<F>
where
    F::Output: Tree,
{
    type Output = F::Output;

    fn call(&self, args: Args::Refs<'_>) -> F::Output {
        let run = || {
            let types = types_of::<Args>(args)?;
            let part = trace(&types, |params| self.f.call(arguments::<Args>(args, params).refs()))?;
            // A choice of one branch: transposing it runs the branch again.
            let own = 0..part.captured.len();
            let branches = vec![closed(&part.graph, &part.captured, own)];
            let always = Tensor::zeros(DType::I32, ());
            let operands = [&[always], &part.captured[..], &Args::leaves(args)].concat();
            let results = apply(Op::Switch(Switch { branches }), &operands, self.place);
            part.result.with_leaves(&results)
        };
        run().unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e.or_at(self.place)))
    }
}

/// Applies an operation that is computed by plain Rust code: see [`HostOp`]. The results have the types
/// that [`HostOp::infer`] says. Make the operation once and share it, or give it a [`HostOp::key`], so
/// that it is compiled once. Without [`HostOp::batch`], `vmap` runs it for one example after the other.
///
/// # Errors
/// Carried by the results: `InvalidArgument` with the message that [`HostOp::infer`] or
/// [`HostOp::evaluate`] gives, and for results of other types than those inferred. Carried by a
/// derivative: `Unsupported` without [`HostOp::jvp`] (and [`HostOp::transpose`], for reverse mode of an
/// operation that the rule applies to tangents).
///
/// ```
/// # use std::sync::Arc;
/// # use unloop_graph::op::HostOp;
/// # use unloop_graph::{Array, Shape, Tensor, TensorType};
/// # use unloop_transform::{host_call, vmap};
/// #[derive(Debug)]
/// struct Median;
///
/// impl HostOp for Median {
///     fn name(&self) -> &'static str {
///         "median"
///     }
///     fn infer(&self, x: &[TensorType]) -> Result<Vec<TensorType>, String> {
///         Ok(vec![TensorType::new(x[0].dtype, ())])
///     }
///     fn evaluate(&self, x: &[Array]) -> Result<Vec<Array>, String> {
///         let mut values: Vec<f64> = x[0].to_vec()?;
///         values.sort_by(f64::total_cmp);
///         let middle = *values.get(values.len() / 2).ok_or("a median of nothing")?;
///         Ok(vec![Array::new(Shape::from(()), vec![middle])])
///     }
/// }
///
/// let median: Arc<dyn HostOp> = Arc::new(Median);
/// let each_row = vmap(|row: &Tensor| host_call(&median, &[row]).swap_remove(0), 0);
/// let x = Tensor::from([[3.0, 1.0, 2.0], [6.0, 5.0, 4.0]]);
/// assert_eq!(each_row(&x).to_vec::<f64>()?, [2.0, 5.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn host_call(op: &Arc<dyn HostOp>, operands: &[&Tensor]) -> Vec<Tensor> {
    Tensor::apply(Op::Host(Host(op.clone())), operands, Place::here()).into_vec()
}
