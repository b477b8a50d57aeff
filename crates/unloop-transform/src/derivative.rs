//! `grad`, `value_and_grad`, `jvp` and `vjp`.

use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use unloop_graph::{ErrorKind, Result, Structure, Tensor, Tree};

use crate::function::callable;
use crate::interpret::{Call, error, execute, failed};
use crate::linear::{Linear, jvp_graph, linearize};
use crate::{Arguments, Function};

callable! {
    /// The gradient of a function; made by [`grad`].
    Grad
}

callable! {
    /// The value and the gradient of a function; made by [`value_and_grad`].
    ValueAndGrad
}

callable! {
    /// A function with its directional derivative; made by [`jvp`].
    Jvp
}

callable! {
    /// A function with its pullback; made by [`vjp`].
    Vjp
}

/// The gradient of a scalar function in its first argument; it has the type of that argument.
///
/// Reverse mode: costs a small multiple of the function itself, however many elements the argument
/// has. The result may be differentiated again.
///
/// # Errors
/// Carried by the result: the function does not return a scalar float; a tensor of the first
/// argument is not a float.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::grad;
/// let slope = grad(|x: &Tensor| (x * x * x).sum());
/// assert_eq!(slope(&Tensor::from([1.0, 2.0])).to_vec::<f64>()?, [3.0, 12.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn grad<'f, Args, F>(f: F) -> Grad<'f, Args, Args::First>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = Tensor> + 'f,
    Args::First: Clone,
{
    Grad::from_function(GradOf(Reverse { f, name: "grad", place: Location::caller() }))
}

/// The value of a scalar function and its gradient in the first argument, together; see [`grad`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::value_and_grad;
/// let (value, slope) = value_and_grad(|x: &Tensor| x.square().sum())(&Tensor::from([3.0]));
/// assert_eq!((value.item::<f64>()?, slope.item::<f64>()?), (9.0, 6.0));
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn value_and_grad<'f, Args, F>(f: F) -> ValueAndGrad<'f, Args, (Tensor, Args::First)>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = Tensor> + 'f,
    Args::First: Clone,
{
    let reverse = Reverse { f, name: "value_and_grad", place: Location::caller() };
    ValueAndGrad::from_function(reverse)
}

struct Reverse<F> {
    f: F,
    name: &'static str,
    place: &'static Location<'static>,
}

struct GradOf<F>(Reverse<F>);

impl<Args: Arguments, F: Function<Args, Output = Tensor>> Function<Args> for GradOf<F> {
    type Output = Args::First;
    fn call(&self, args: Args::Refs<'_>) -> Args::First {
        self.0.call(args).1
    }
}

impl<Args: Arguments, F: Function<Args, Output = Tensor>> Function<Args> for Reverse<F> {
    type Output = (Tensor, Args::First);

    fn call(&self, args: Args::Refs<'_>) -> Self::Output {
        self.try_call::<Args>(args).unwrap_or_else(|e| {
            let carry = |like: &Tensor| Tensor::error_like(e.clone(), like.ty());
            (Tensor::error(e.clone()), Args::first(args).rebuild(&mut |leaf| carry(leaf)))
        })
    }
}

impl<F> Reverse<F> {
    fn try_call<Args>(&self, args: Args::Refs<'_>) -> Result<(Tensor, Args::First)>
    where
        Args: Arguments,
        F: Function<Args, Output = Tensor>,
    {
        let fail = |kind| error(self.name, kind, self.place);
        let leaves = Args::leaves(args);
        let types =
            leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
        let first = Args::first(args);
        let count = first.structure().leaf_count();
        require_floats("argument 0", &first.structure(), &leaves[..count]).map_err(fail)?;
        let call = Call::trace::<Args>(&self.f, args, types)?;
        let value = call.result.ty();
        if !value.shape.is_empty() {
            return Err(fail(ErrorKind::NonScalar { shape: value.shape }));
        }
        if !value.dtype.is_float() {
            let what = "the result".into();
            return Err(fail(ErrorKind::NotDifferentiable { what, dtype: value.dtype }));
        }
        let outputs = execute(&call.inputs(&leaves), |point| {
            let active: Vec<bool> = (0..point.len()).map(|i| i < count).collect();
            let (mut outputs, linear) = linearize(&call.program.graph, point, &active)?;
            let one = Tensor::ones(value.dtype, ());
            outputs.extend(linear.backward(&[one]));
            Ok(outputs)
        })?;
        Ok((outputs[0].clone(), first.with_leaves(&outputs[1..])?))
    }
}

/// Fails unless every tensor of an argument is a float.
fn require_floats(what: &str, structure: &Structure, leaves: &[Tensor]) -> Result<(), ErrorKind> {
    for (path, leaf) in structure.paths().iter().zip(leaves) {
        if !leaf.dtype().is_float() {
            let what = if path.is_empty() { what.to_owned() } else { format!("{what}.{path}") };
            return Err(ErrorKind::NotDifferentiable { what, dtype: leaf.dtype() });
        }
    }
    Ok(())
}

/// Forward mode: `jvp(f)(&x, &dx)` is `(f(x), f'(x)·dx)`. For several arguments both are tuples:
/// `jvp(f)(&(x, y), &(dx, dy))`. Tensors that are not floats have tangents of zeros of their own
/// dtype, which are ignored.
///
/// # Errors
/// Carried by the results: a tangent whose structure, shapes or dtypes are not the argument's.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jvp;
/// let (y, dy) = jvp(|x: &Tensor| x.sin())(&Tensor::from(0.0), &Tensor::from(2.0));
/// assert_eq!((y.item::<f64>()?, dy.item::<f64>()?), (0.0, 2.0));
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jvp<'f, Args, F>(f: F) -> Jvp<'f, (Args::Packed, Args::Packed), (F::Output, F::Output)>
where
    Args: Arguments + 'f,
    Args::Packed: Send + Sync,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    Jvp::from_function(Forward {
        f,
        place: Location::caller(),
        args: std::marker::PhantomData::<fn(Args)>,
    })
}

struct Forward<F, Args> {
    f: F,
    place: &'static Location<'static>,
    args: std::marker::PhantomData<fn(Args)>,
}

impl<Args, F> Function<(Args::Packed, Args::Packed)> for Forward<F, Args>
where
    Args: Arguments,
    Args::Packed: Send + Sync,
    F: Function<Args>,
    F::Output: Tree,
{
    type Output = (F::Output, F::Output);

    fn call(&self, (point, tangent): (&Args::Packed, &Args::Packed)) -> Self::Output {
        let args = Args::unpack(point);
        self.try_call(args, point, tangent).unwrap_or_else(|e| {
            let result = || failed::<Args, _>(&self.f, args, e.clone());
            (result(), result())
        })
    }
}

impl<Args: Arguments, F: Function<Args>> Forward<F, Args>
where
    F::Output: Tree,
{
    fn try_call(
        &self,
        args: Args::Refs<'_>,
        point: &Args::Packed,
        tangent: &Args::Packed,
    ) -> Result<(F::Output, F::Output)> {
        let fail = |kind| error("jvp", kind, self.place);
        let (structure, leaves, tangents) = (point.structure(), point.leaves(), tangent.leaves());
        structure.require_same(&tangent.structure()).map_err(fail)?;
        for ((x, t), path) in leaves.iter().zip(&tangents).zip(structure.paths()) {
            x.check()?;
            t.check()?;
            if x.ty() != t.ty() {
                let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
                return Err(fail(ErrorKind::InvalidArgument(format!(
                    "the tangent{place} has type {}, the argument {}; they must be the same",
                    t.ty(),
                    x.ty()
                ))));
            }
        }
        let call = Call::trace::<Args>(&self.f, args, leaves.iter().map(Tensor::ty).collect())?;
        let inputs: Vec<Tensor> = tangents.iter().cloned().chain(call.inputs(&leaves)).collect();
        let outputs = execute(&inputs, |inputs| {
            let (tangents, point) = inputs.split_at(tangents.len());
            let float = |t: &Tensor| t.dtype().is_float().then(|| t.clone());
            let tangents: Vec<_> = tangents.iter().map(float).collect();
            let (mut outputs, tangents) = jvp_graph(&call.program.graph, point, &tangents);
            let zeros = outputs.clone();
            let filled = tangents.into_iter().zip(zeros);
            outputs.extend(filled.map(|(t, like)| t.unwrap_or_else(|| like.zeros_like())));
            Ok(outputs)
        })?;
        let (values, tangents) = outputs.split_at(outputs.len() / 2);
        Ok((call.result.with_leaves(values)?, call.result.with_leaves(tangents)?))
    }
}

/// Reverse mode: `vjp(f)(&x, …)` is `(f(x, …), pullback)`, and `pullback(&ct)` takes a cotangent of
/// the result to those of all arguments (a tuple, if there are several). The function is not run
/// again for it. Tensors that are not floats have cotangents of zeros.
///
/// # Errors
/// Carried by the results: as the function's; a cotangent whose structure, shapes or dtypes are not
/// the result's.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::vjp;
/// let (y, pullback) = vjp(|x: &Tensor| x.square())(&Tensor::from([1.0, 3.0]));
/// assert_eq!(y.to_vec::<f64>()?, [1.0, 9.0]);
/// assert_eq!(pullback(&Tensor::from([1.0, 1.0])).to_vec::<f64>()?, [2.0, 6.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn vjp<'f, Args, F>(f: F) -> Vjp<'f, Args, (F::Output, Pullback<F::Output, Args::Packed>)>
where
    Args: Arguments + Clone + 'static,
    Args::Packed: Clone + Send + Sync + 'static,
    F: Function<Args> + 'f,
    F::Output: Tree + Clone + Send + Sync + 'static,
{
    Vjp::from_function(VjpOf { f, place: Location::caller() })
}

/// Takes cotangents of a function's result to those of its arguments; made by [`vjp`]. Derefs to
/// `dyn Fn(&R) -> P`.
#[derive(Clone)]
pub struct Pullback<R, P>(Arc<dyn Fn(&R) -> P + Send + Sync>);

impl<R: 'static, P: 'static> Deref for Pullback<R, P> {
    type Target = dyn Fn(&R) -> P + Send + Sync;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

struct VjpOf<F> {
    f: F,
    place: &'static Location<'static>,
}

impl<Args, F> Function<Args> for VjpOf<F>
where
    Args: Arguments + Clone + 'static,
    Args::Packed: Clone + Send + Sync + 'static,
    F: Function<Args>,
    F::Output: Tree + Clone + Send + Sync + 'static,
{
    type Output = (F::Output, Pullback<F::Output, Args::Packed>);

    fn call(&self, args: Args::Refs<'_>) -> Self::Output {
        // The pullback's result takes its structure from the arguments.
        let template = Args::rebuild(args, &mut Tensor::clone).pack();
        self.try_call::<Args>(args, template.clone()).unwrap_or_else(|e| {
            let result = failed::<Args, _>(&self.f, args, e.clone());
            let carry = move |like: &Tensor| Tensor::error_like(e.clone(), like.ty());
            let pullback = move |_: &F::Output| template.map_leaves(&carry);
            (result, Pullback(Arc::new(pullback)))
        })
    }
}

impl<F> VjpOf<F> {
    fn try_call<Args>(
        &self,
        args: Args::Refs<'_>,
        template: Args::Packed,
    ) -> Result<(F::Output, Pullback<F::Output, Args::Packed>)>
    where
        Args: Arguments + 'static,
        Args::Packed: Send + Sync + 'static,
        F: Function<Args>,
        F::Output: Tree + Clone + Send + Sync + 'static,
    {
        let leaves = Args::leaves(args);
        let types =
            leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
        let call = Call::trace::<Args>(&self.f, args, types)?;
        let mut linear = None;
        let mut outputs = execute(&call.inputs(&leaves), |point| {
            let is_active = |(i, x): (usize, &Tensor)| i < leaves.len() && x.dtype().is_float();
            let active: Vec<bool> = point.iter().enumerate().map(is_active).collect();
            let (mut outputs, derivative) = linearize(&call.program.graph, point, &active)?;
            outputs.extend_from_slice(derivative.residuals());
            linear = Some(derivative);
            Ok(outputs)
        })?;
        let residuals = outputs.split_off(call.program.graph.outputs().len());
        let result = call.result.with_leaves(&outputs)?;
        let Some(linear) = linear.map(|linear: Linear| linear.at(&residuals)) else {
            return Err(error("vjp", ErrorKind::EscapedTracer, self.place));
        };
        let (like, place) = (result.clone(), self.place);
        let pullback = move |ct: &F::Output| {
            let cotangents = pull(&linear, &like, ct, place);
            match cotangents {
                Ok(cotangents) => {
                    let mut next = cotangents.into_iter();
                    template.map_leaves(|leaf| match leaf.dtype().is_float() {
                        true => next.next().unwrap_or_else(|| leaf.zeros_like()),
                        false => leaf.zeros_like(),
                    })
                }
                Err(e) => template.map_leaves(|leaf| Tensor::error_like(e.clone(), leaf.ty())),
            }
        };
        Ok((result, Pullback(Arc::new(pullback))))
    }
}

/// The cotangents of the active inputs.
fn pull<R: Tree>(
    linear: &Linear,
    result: &R,
    cotangent: &R,
    place: &'static Location<'static>,
) -> Result<Vec<Tensor>> {
    let fail = |kind| error("vjp", kind, place);
    result.structure().require_same(&cotangent.structure()).map_err(fail)?;
    let cotangents = cotangent.leaves();
    for (y, ct) in result.leaves().iter().zip(&cotangents) {
        ct.check()?;
        if y.ty() != ct.ty() {
            return Err(fail(ErrorKind::InvalidArgument(format!(
                "the cotangent has type {}, the result {}; they must be the same",
                ct.ty(),
                y.ty()
            ))));
        }
    }
    let count = cotangents.len();
    let inputs: Vec<Tensor> =
        cotangents.into_iter().chain(linear.residuals().iter().cloned()).collect();
    execute(&inputs, |inputs| {
        let (cotangents, residuals) = inputs.split_at(count);
        Ok(linear.at(residuals).backward(cotangents))
    })
}
