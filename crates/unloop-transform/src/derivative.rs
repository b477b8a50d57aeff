//! `jvp`, `vjp`, and derivatives at a point as functions of their own: `linearize`,
//! `linear_transpose`.

use std::ops::Deref;
use std::sync::Arc;

use unloop_graph::{ErrorKind, Place, Result, Tensor, TensorType, Tree};

use crate::function::callable;
use crate::interpret::{Call, error, execute, failed};
use crate::linear::{self, Linear, Values, jvp_graph, transpose_graph};
use crate::{Arguments, Function};

callable! {
    /// A function with its directional derivative; made by [`jvp`].
    Jvp
}

callable! {
    /// A function with its pullback; made by [`vjp`].
    Vjp
}

/// Forward mode: `jvp(f)(&x, &dx)` is `(f(x), f'(x)·dx)`. For several arguments both are tuples:
/// `jvp(f)(&(x, y), &(dx, dy))`. Tensors that are not floats have tangents of zeros of their own
/// dtype, which are ignored. The tangent of the result has its structure, shapes and dtypes.
///
/// # Errors
/// Carried by the results: `TreeMismatch` for a tangent whose structure is not the argument's,
/// `InvalidArgument` for other shapes or dtypes than its; `Unsupported` for a function with a reverse
/// rule only ([`custom_vjp`](crate::custom_vjp)) or a host operation without a rule.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jvp;
/// let (y, dy) = jvp(|x: &Tensor| x.sin())(&Tensor::from(0.0), &Tensor::from(2.0));
/// assert_eq!((y.item::<f64>()?, dy.item::<f64>()?), (0.0, 2.0));
///
/// let product = jvp(|x: &Tensor, y: &Tensor| x * y);
/// let (point, along) = ((Tensor::from(2.0), Tensor::from(3.0)), (Tensor::from(1.0), Tensor::from(0.0)));
/// assert_eq!(product(&point, &along).1.item::<f64>()?, 3.0);
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
        place: Place::of_maker("jvp"),
        args: std::marker::PhantomData::<fn(Args)>,
    })
}

struct Forward<F, Args> {
    f: F,
    place: Place,
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
            let e = e.or_at(self.place);
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
        let leaves = point.leaves();
        leaves.iter().try_for_each(|x| x.check().map(drop))?;
        let tangents = require_alike("tangent", "argument", point, tangent)
            .map_err(|kind| error("jvp", kind, self.place))?;
        let call = Call::trace::<Args>(&self.f, args, leaves.iter().map(Tensor::ty).collect())?;
        let inputs: Vec<Tensor> = tangents.iter().cloned().chain(call.inputs(&leaves)).collect();
        let outputs = execute(&inputs, |inputs| {
            let (tangents, point) = inputs.split_at(tangents.len());
            let float = |t: &Tensor| t.dtype().is_float().then(|| t.clone());
            let tangents: Vec<_> = tangents.iter().map(float).collect();
            let (mut outputs, tangents) =
                jvp_graph(&call.program.graph, point, &tangents, Values::Joint);
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
/// again for it. Cotangents have the structure, shapes and dtypes of the arguments; those of tensors
/// that are not floats are zeros.
///
/// # Errors
/// Carried by the results: those of the function. Carried by the cotangents: `TreeMismatch` for a
/// cotangent whose structure is not the result's, `InvalidArgument` for other shapes or dtypes than its;
/// `Unsupported` for operations that have no gradient ([`while_loop`](crate::while_loop), host operations
/// without a rule).
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
    Vjp::from_function(VjpOf { f, place: Place::of_maker("vjp") })
}

/// Takes cotangents of a function's result (of type `R`) to those of its arguments (`P`: one tree, or a
/// tuple); made by [`vjp`]. Derefs to `dyn Fn(&R) -> P`; clones share what it keeps.
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
    place: Place,
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
            let e = e.or_at(self.place);
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
        let (result, linear) = at_point::<Args, _>(&self.f, args, "vjp", self.place)?;
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
fn pull<R: Tree>(linear: &Linear, result: &R, cotangent: &R, place: Place) -> Result<Vec<Tensor>> {
    let cotangents = require_alike("cotangent", "result", result, cotangent)
        .map_err(|kind| error("vjp", kind, place))?;
    let count = cotangents.len();
    let inputs: Vec<Tensor> =
        cotangents.into_iter().chain(linear.residuals().iter().cloned()).collect();
    execute(&inputs, |inputs| {
        let (cotangents, residuals) = inputs.split_at(count);
        Ok(linear.at(residuals).backward(cotangents))
    })
}

/// Takes tangents of a function's arguments (`P`: one tree, or a tuple) to those of its result (of type
/// `R`); made by [`linearize`]. Derefs to `dyn Fn(&P) -> R`; clones share what it keeps.
#[derive(Clone)]
pub struct Pushforward<P, R>(Arc<dyn Fn(&P) -> R + Send + Sync>);

impl<P: 'static, R: 'static> Deref for Pushforward<P, R> {
    type Target = dyn Fn(&P) -> R + Send + Sync;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

callable! {
    /// A function with its derivative at a point; made by [`linearize`].
    Linearize
}

/// The derivative at a point as a function of its own: `linearize(f)(&x, …)` is
/// `(f(x, …), pushforward)`, and `pushforward(&dx)` is `f'(x)·dx` (of a tuple of tangents, if there
/// are several arguments), of the structure, shapes and dtypes of the result. The function is run once,
/// however many tangents follow.
///
/// # Errors
/// Carried by the results: those of the function. Carried by what the pushforward gives: `TreeMismatch`
/// for a tangent whose structure is not the arguments', `InvalidArgument` for other shapes or dtypes than
/// theirs.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::linearize;
/// let (y, push) = linearize(|x: &Tensor| x.square())(&Tensor::from(3.0));
/// assert_eq!(y.item::<f64>()?, 9.0);
/// assert_eq!(push(&Tensor::from(1.0)).item::<f64>()?, 6.0);
/// assert_eq!(push(&Tensor::from(2.0)).item::<f64>()?, 12.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn linearize<'f, Args, F>(
    f: F,
) -> Linearize<'f, Args, (F::Output, Pushforward<Args::Packed, F::Output>)>
where
    Args: Arguments + Clone + 'static,
    Args::Packed: Clone + Send + Sync + 'static,
    F: Function<Args> + 'f,
    F::Output: Tree + Clone + Send + Sync + 'static,
{
    Linearize::from_function(LinearizeOf { f, place: Place::of_maker("linearize") })
}

struct LinearizeOf<F> {
    f: F,
    place: Place,
}

impl<Args, F> Function<Args> for LinearizeOf<F>
where
    Args: Arguments + Clone + 'static,
    Args::Packed: Clone + Send + Sync + 'static,
    F: Function<Args>,
    F::Output: Tree + Clone + Send + Sync + 'static,
{
    type Output = (F::Output, Pushforward<Args::Packed, F::Output>);

    fn call(&self, args: Args::Refs<'_>) -> Self::Output {
        let point = Args::rebuild(args, &mut Tensor::clone).pack();
        let made = at_point::<Args, _>(&self.f, args, "linearize", self.place);
        let (result, linear) = match made {
            Ok(made) => made,
            Err(e) => {
                let e = e.or_at(self.place);
                let result = failed::<Args, _>(&self.f, args, e.clone());
                let template = result.clone();
                let carry = move |like: &Tensor| Tensor::error_like(e.clone(), like.ty());
                return (result, Pushforward(Arc::new(move |_| template.map_leaves(&carry))));
            }
        };
        let (like, place) = (result.clone(), self.place);
        let push = move |tangent: &Args::Packed| {
            push(&linear, &point, &like, tangent, place).unwrap_or_else(|e| {
                like.map_leaves(|leaf| Tensor::error_like(e.clone(), leaf.ty()))
            })
        };
        (result, Pushforward(Arc::new(push)))
    }
}

/// The result at a point, and the derivative there in all arguments that are floats.
fn at_point<Args: Arguments, R: Tree>(
    f: &dyn Function<Args, Output = R>,
    args: Args::Refs<'_>,
    name: &'static str,
    place: Place,
) -> Result<(R, Linear)> {
    let leaves = Args::leaves(args);
    let types = leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
    let call = Call::trace::<Args>(f, args, types)?;
    let mut linear = None;
    let mut outputs = execute(&call.inputs(&leaves), |point| {
        let is_active = |(i, x): (usize, &Tensor)| i < leaves.len() && x.dtype().is_float();
        let active: Vec<bool> = point.iter().enumerate().map(is_active).collect();
        let (mut outputs, derivative) = linear::linearize(&call.program.graph, point, &active)?;
        outputs.extend_from_slice(derivative.residuals());
        linear = Some(derivative);
        Ok(outputs)
    })?;
    let residuals = outputs.split_off(call.program.graph.outputs().len());
    let result = call.result.with_leaves(&outputs)?;
    match linear {
        Some(linear) => Ok((result, linear.at(&residuals))),
        None => Err(error(name, ErrorKind::EscapedTracer, place)),
    }
}

/// The tangents of the result.
fn push<P: Tree, R: Tree>(
    linear: &Linear,
    point: &P,
    result: &R,
    tangent: &P,
    place: Place,
) -> Result<R> {
    let tangents = require_alike("tangent", "argument", point, tangent)
        .map_err(|kind| error("linearize", kind, place))?;
    let floats: Vec<Tensor> = tangents.into_iter().filter(|t| t.dtype().is_float()).collect();
    let count = floats.len();
    let inputs: Vec<Tensor> =
        floats.into_iter().chain(linear.residuals().iter().cloned()).collect();
    let likes = result.leaves();
    let outputs = execute(&inputs, |inputs| {
        let (tangents, residuals) = inputs.split_at(count);
        let outputs = linear.at(residuals).forward(tangents).into_iter().zip(&likes);
        Ok(outputs.map(|(t, like)| t.unwrap_or_else(|| like.zeros_like())).collect())
    })?;
    result.with_leaves(&outputs)
}

/// The leaves of `given`, a derivative of `like`: same structure, shapes and dtypes, no error.
fn require_alike<T: Tree>(
    what: &str,
    of: &str,
    like: &T,
    given: &T,
) -> Result<Vec<Tensor>, ErrorKind> {
    let structure = like.structure();
    structure.require_same(&given.structure())?;
    let leaves = given.leaves();
    for ((x, t), path) in like.leaves().iter().zip(&leaves).zip(structure.paths()) {
        if t.as_error().is_none() && x.ty() != t.ty() {
            let at = if path.is_empty() { String::new() } else { format!(" at {path}") };
            return Err(ErrorKind::InvalidArgument(format!(
                "the {what}{at} has type {}, the {of} {}; they must be the same",
                t.ty(),
                x.ty()
            )));
        }
    }
    Ok(leaves)
}

/// The transpose of a linear function: `linear_transpose(f, &x)(&ct)` is the cotangent of `x` for
/// which `⟨ct, f(x)⟩ = ⟨linear_transpose(f, &x)(ct), x⟩`. Of `x` only the structure, shapes and
/// dtypes count.
///
/// # Errors
/// Carried by the result: [`ErrorKind::Unsupported`] if the function is not linear, which names the
/// operation; `NotDifferentiable` for tensors of `x` that are not floats; `TreeMismatch` for a cotangent
/// whose structure is not the result's, `InvalidArgument` for other shapes or dtypes than its.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::linear_transpose;
/// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let x = Tensor::from([0.0, 0.0]);
/// let transposed = linear_transpose(|x: &Tensor| a.matmul(x), &x);
/// assert_eq!(transposed(&Tensor::from([1.0, 1.0])).to_vec::<f64>()?, [4.0, 6.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn linear_transpose<'f, X, R>(
    f: impl Fn(&X) -> R + Send + Sync + 'f,
    x: &X,
) -> impl Fn(&R) -> X + Send + Sync + 'f
where
    X: Tree + Clone + Send + Sync + 'f,
    R: Tree + Send + Sync + 'f,
{
    let (like, place) = (x.clone(), Place::of_maker("linear_transpose"));
    move |ct: &R| {
        try_transpose(&f, &like, ct, place)
            .unwrap_or_else(|e| like.map_leaves(|leaf| Tensor::error_like(e.clone(), leaf.ty())))
    }
}

fn try_transpose<X: Tree + Send + Sync, R: Tree + Send + Sync>(
    f: &(impl Fn(&X) -> R + Send + Sync),
    like: &X,
    ct: &R,
    place: Place,
) -> Result<X> {
    let fail = |kind| error("linear_transpose", kind, place);
    let types: Vec<TensorType> =
        like.leaves().iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
    if let Some(ty) = types.iter().find(|ty| !ty.dtype.is_float()) {
        let what = "argument 0".into();
        return Err(fail(ErrorKind::NotDifferentiable { what, dtype: ty.dtype }));
    }
    let call = Call::trace::<(X,)>(f, (like,), types.clone())?;
    let cotangents = require_alike("cotangent", "result", &call.result, ct).map_err(fail)?;
    let count = cotangents.len();
    let inputs: Vec<Tensor> = cotangents.into_iter().chain(call.captured()).collect();
    let outputs = execute(&inputs, |inputs| {
        let (cotangents, captured) = inputs.split_at(count);
        let graph = &call.program.graph;
        let flags: Vec<bool> = (0..graph.inputs().len()).map(|i| i < types.len()).collect();
        let outputs = transpose_graph(graph, &flags, captured, cotangents).into_iter().zip(&types);
        let zeros = |ty: &TensorType| Tensor::zeros(ty.dtype, &ty.shape);
        Ok(outputs.map(|(ct, ty)| ct.unwrap_or_else(|| zeros(ty))).collect())
    })?;
    like.with_leaves(&outputs)
}
