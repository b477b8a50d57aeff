//! `grad` and `value_and_grad`.

use unloop_graph::{Error, ErrorKind, Place, Result, Structure, Tensor, Tree};

use crate::function::{Shared, callable};
use crate::interpret::{Call, error, execute, failed};
use crate::linear::linearize;
use crate::{Arguments, Function};

callable! {
    /// The gradient of a function; made by [`grad`].
    Grad with source: Shared<'f, Args, Tensor>
}

callable! {
    /// The value and the gradient of a function; made by [`value_and_grad`].
    ValueAndGrad with source: Shared<'f, Args, Tensor>
}

callable! {
    /// The gradient of a function with what else it computes; made by [`grad_with_aux`] and
    /// [`value_and_grad_with_aux`].
    GradWithAux
}

/// The arguments that a gradient is taken in: see [`Grad::wrt`].
pub trait Selection<Args: Arguments>: Clone + Send + Sync {
    /// What the gradient is: a tensor for one argument, an array for several.
    type Output: Tree;

    /// Which tensors of the arguments are chosen.
    ///
    /// # Errors
    /// `InvalidArgument` for an argument that does not exist or is no tensor, and for numbers that do
    /// not increase.
    fn mask(&self, structures: &[Structure]) -> Result<Vec<bool>, ErrorKind>;

    /// The gradient from its tensors, one for each chosen one.
    ///
    /// # Errors
    /// The arguments do not take these tensors.
    fn collect(&self, args: Args::Refs<'_>, gradients: &[Tensor]) -> Result<Self::Output>;

    /// A gradient that carries an error.
    fn failed(&self, args: Args::Refs<'_>, error: Error) -> Self::Output;
}

/// The first argument.
#[derive(Clone, Copy, Debug)]
pub struct First;

/// All arguments together; see [`Grad::wrt`], as in `grad(f).wrt(All)`.
#[derive(Clone, Copy, Debug)]
pub struct All;

fn carrying<T: Tree>(tree: &T, error: &Error) -> T {
    tree.map_leaves(|leaf| Tensor::error_like(error.clone(), leaf.ty()))
}

impl<Args: Arguments> Selection<Args> for First {
    type Output = Args::First;

    fn mask(&self, structures: &[Structure]) -> Result<Vec<bool>, ErrorKind> {
        let chosen = |(i, s): (usize, &Structure)| vec![i == 0; s.leaf_count()];
        Ok(structures.iter().enumerate().flat_map(chosen).collect())
    }

    fn collect(&self, args: Args::Refs<'_>, gradients: &[Tensor]) -> Result<Args::First> {
        Args::first(args).with_leaves(gradients)
    }

    fn failed(&self, args: Args::Refs<'_>, error: Error) -> Args::First {
        carrying(Args::first(args), &error)
    }
}

impl<Args: Arguments> Selection<Args> for All {
    type Output = Args::Packed;

    fn mask(&self, structures: &[Structure]) -> Result<Vec<bool>, ErrorKind> {
        Ok(structures.iter().flat_map(|s| vec![true; s.leaf_count()]).collect())
    }

    fn collect(&self, args: Args::Refs<'_>, gradients: &[Tensor]) -> Result<Args::Packed> {
        Ok(Args::with_leaves(args, gradients).pack())
    }

    fn failed(&self, args: Args::Refs<'_>, error: Error) -> Args::Packed {
        let carry = &mut |leaf: &Tensor| Tensor::error_like(error.clone(), leaf.ty());
        Args::rebuild(args, carry).pack()
    }
}

/// Marks the tensors of arguments that are one tensor each.
fn mask_of(wanted: &[i32], structures: &[Structure]) -> Result<Vec<bool>, ErrorKind> {
    for (k, &i) in wanted.iter().enumerate() {
        let message = match usize::try_from(i).ok().and_then(|i| structures.get(i)) {
            None => format!("there is no argument {i}; there are {}", structures.len()),
            Some(s) if *s != Structure::Leaf => {
                format!("argument {i} is {s}, not a tensor; use wrt(All), or make it the first")
            }
            Some(_) if wanted[..k].iter().any(|&before| before >= i) => {
                format!("arguments {wanted:?} are not in increasing order")
            }
            Some(_) => continue,
        };
        return Err(ErrorKind::InvalidArgument(message));
    }
    let chosen = |(i, s): (usize, &Structure)| vec![wanted.contains(&(i as i32)); s.leaf_count()];
    Ok(structures.iter().enumerate().flat_map(chosen).collect())
}

impl<Args: Arguments> Selection<Args> for i32 {
    type Output = Tensor;

    fn mask(&self, structures: &[Structure]) -> Result<Vec<bool>, ErrorKind> {
        mask_of(&[*self], structures)
    }

    fn collect(&self, _: Args::Refs<'_>, gradients: &[Tensor]) -> Result<Tensor> {
        Ok(gradients[0].clone())
    }

    fn failed(&self, _: Args::Refs<'_>, error: Error) -> Tensor {
        Tensor::error(error)
    }
}

impl<Args: Arguments, const N: usize> Selection<Args> for [i32; N] {
    type Output = [Tensor; N];

    fn mask(&self, structures: &[Structure]) -> Result<Vec<bool>, ErrorKind> {
        mask_of(self, structures)
    }

    fn collect(&self, _: Args::Refs<'_>, gradients: &[Tensor]) -> Result<[Tensor; N]> {
        Ok(std::array::from_fn(|i| gradients[i].clone()))
    }

    fn failed(&self, _: Args::Refs<'_>, error: Error) -> [Tensor; N] {
        std::array::from_fn(|_| Tensor::error(error.clone()))
    }
}

/// The gradient of a scalar function in its first argument; it has the type of that argument: a tensor
/// of its shape and dtype, or a tree of such. For other arguments see [`Grad::wrt`].
///
/// Reverse mode: costs a small multiple of the function itself, however many elements the argument
/// has. The result may be differentiated again.
///
/// # Errors
/// Carried by the result: `NonScalar` if the function does not return a scalar; `NotDifferentiable` if
/// that, or a tensor of the first argument, is not a float; `Unsupported` for operations that have no
/// gradient ([`while_loop`](crate::while_loop), host operations without a rule).
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
{
    gradient(Shared::new(f), First, Place::of_maker("grad"))
}

fn gradient<'f, Args: Arguments + 'f, S: Selection<Args> + 'f>(
    source: Shared<'f, Args, Tensor>,
    select: S,
    place: Place,
) -> Grad<'f, Args, S::Output> {
    let reverse = Reverse { f: source.clone(), select, name: "grad", place };
    Grad::from_function(Then(reverse, |(_, gradient)| gradient), source)
}

impl<'f, Args: Arguments + 'f, R: Tree + 'f> Grad<'f, Args, R> {
    /// The gradient in other arguments than the first, counted from 0: `wrt(1)` is a tensor,
    /// `wrt([0, 2])` an array of them (each argument must be one tensor), `wrt(All)` a tuple of the
    /// arguments' own types (of a single argument: its type).
    ///
    /// # Errors
    /// Carried by the result of a call, besides those of [`grad`]: `InvalidArgument` for an argument
    /// that does not exist or is a tree, and for numbers that do not increase.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::grad;
    /// let area = |width: &Tensor, height: &Tensor| width * height;
    /// let (width, height) = (Tensor::from(2.0), Tensor::from(5.0));
    /// assert_eq!(grad(area).wrt(1)(&width, &height).item::<f64>()?, 2.0);
    /// let [dw, dh] = grad(area).wrt([0, 1])(&width, &height);
    /// assert_eq!((dw.item::<f64>()?, dh.item::<f64>()?), (5.0, 2.0));
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn wrt<S: Selection<Args> + 'f>(&self, select: S) -> Grad<'f, Args, S::Output> {
        gradient(self.source.clone(), select, Place::of_maker("grad"))
    }
}

/// The value of a scalar function and its gradient in the first argument, together: `(value, gradient)`,
/// a scalar and what [`grad`] gives. The function is evaluated once for both.
///
/// # Errors
/// Carried by both results: those of [`grad`].
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
{
    value_and_gradient(Shared::new(f), First, Place::of_maker("value_and_grad"))
}

fn value_and_gradient<'f, Args: Arguments + 'f, S: Selection<Args> + 'f>(
    source: Shared<'f, Args, Tensor>,
    select: S,
    place: Place,
) -> ValueAndGrad<'f, Args, (Tensor, S::Output)> {
    let reverse = Reverse { f: source.clone(), select, name: "value_and_grad", place };
    ValueAndGrad::from_function(reverse, source)
}

impl<'f, Args: Arguments + 'f, R: Tree + 'f> ValueAndGrad<'f, Args, R> {
    /// The value and the gradient in other arguments than the first; see [`Grad::wrt`].
    ///
    /// # Errors
    /// Carried by the results of a call: those of [`Grad::wrt`].
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::{All, value_and_grad};
    /// let area = value_and_grad(|width: &Tensor, height: &Tensor| width * height).wrt(All);
    /// let (value, (dw, dh)) = area(&Tensor::from(2.0), &Tensor::from(5.0));
    /// assert_eq!(value.item::<f64>()?, 10.0);
    /// assert_eq!((dw.item::<f64>()?, dh.item::<f64>()?), (5.0, 2.0));
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn wrt<S: Selection<Args> + 'f>(
        &self,
        select: S,
    ) -> ValueAndGrad<'f, Args, (Tensor, S::Output)> {
        value_and_gradient(self.source.clone(), select, Place::of_maker("value_and_grad"))
    }
}

/// The gradient of a function that returns the scalar and something else, which is passed on as it is:
/// `(gradient, auxiliary)`.
///
/// # Errors
/// Carried by both results: those of [`grad`], of the scalar.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::grad_with_aux;
/// let loss = |w: &Tensor, x: &Tensor| {
///     let predicted = w * x;
///     (predicted.square().sum(), predicted)
/// };
/// let (slope, predicted) = grad_with_aux(loss)(&Tensor::from(2.0), &Tensor::from([1.0, 3.0]));
/// assert_eq!(slope.item::<f64>()?, 40.0);
/// assert_eq!(predicted.to_vec::<f64>()?, [2.0, 6.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn grad_with_aux<'f, Args, F, A>(f: F) -> GradWithAux<'f, Args, (Args::First, A)>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = (Tensor, A)> + 'f,
    A: Tree + 'f,
{
    let reverse = Reverse {
        f,
        select: First,
        name: "grad_with_aux",
        place: Place::of_maker("grad_with_aux"),
    };
    GradWithAux::from_function(Then(reverse, |((_, aux), gradient)| (gradient, aux)))
}

/// [`grad_with_aux`] with the value: `((value, auxiliary), gradient)`.
///
/// # Errors
/// Carried by all results: those of [`grad`], of the scalar.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::value_and_grad_with_aux;
/// let f = value_and_grad_with_aux(|x: &Tensor| (x.square().sum(), x + 1.0));
/// let ((value, aux), slope) = f(&Tensor::from([1.0, 2.0]));
/// assert_eq!(value.item::<f64>()?, 5.0);
/// assert_eq!((aux.to_vec::<f64>()?, slope.to_vec::<f64>()?), (vec![2.0, 3.0], vec![2.0, 4.0]));
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn value_and_grad_with_aux<'f, Args, F, A>(
    f: F,
) -> GradWithAux<'f, Args, ((Tensor, A), Args::First)>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = (Tensor, A)> + 'f,
    A: Tree + 'f,
{
    let (name, place) = ("value_and_grad_with_aux", Place::of_maker("value_and_grad_with_aux"));
    GradWithAux::from_function(Reverse { f, select: First, name, place })
}

/// A function whose result is changed by another.
struct Then<F, G>(F, G);

impl<Args: Arguments, F: Function<Args>, G, R> Function<Args> for Then<F, G>
where
    G: Fn(F::Output) -> R + Send + Sync,
{
    type Output = R;
    fn call(&self, args: Args::Refs<'_>) -> R {
        (self.1)(self.0.call(args))
    }
}

/// The result of a function and the gradient of the first tensor of it.
struct Reverse<F, S> {
    f: F,
    select: S,
    name: &'static str,
    place: Place,
}

impl<Args: Arguments, F: Function<Args>, S: Selection<Args>> Function<Args> for Reverse<F, S>
where
    F::Output: Tree,
{
    type Output = (F::Output, S::Output);

    fn call(&self, args: Args::Refs<'_>) -> Self::Output {
        self.try_call::<Args>(args).unwrap_or_else(|e| {
            let e = e.or_at(self.place);
            (failed::<Args, _>(&self.f, args, e.clone()), self.select.failed(args, e))
        })
    }
}

impl<F, S> Reverse<F, S> {
    fn try_call<Args>(&self, args: Args::Refs<'_>) -> Result<(F::Output, S::Output)>
    where
        Args: Arguments,
        F: Function<Args>,
        F::Output: Tree,
        S: Selection<Args>,
    {
        let fail = |kind| error(self.name, kind, self.place);
        let leaves = Args::leaves(args);
        let types =
            leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
        let structures = Args::structures(args);
        let mask = self.select.mask(&structures).map_err(fail)?;
        require_floats(&structures, &leaves, &mask).map_err(fail)?;
        let call = Call::trace::<Args>(&self.f, args, types)?;
        let Some(value) = call.result.leaves().first().map(Tensor::ty) else {
            return Err(fail(ErrorKind::InvalidArgument("the function returns no tensor".into())));
        };
        if !value.shape.is_empty() {
            return Err(fail(ErrorKind::NonScalar { shape: value.shape }));
        }
        if !value.dtype.is_float() {
            let what = "the result".into();
            return Err(fail(ErrorKind::NotDifferentiable { what, dtype: value.dtype }));
        }
        let outputs = execute(&call.inputs(&leaves), |point| {
            let mut active = mask.clone();
            active.resize(point.len(), false);
            let (mut outputs, linear) = linearize(&call.program.graph, point, &active)?;
            // The other results have no cotangent.
            outputs.extend(linear.backward(&[Tensor::ones(value.dtype, ())]));
            Ok(outputs)
        })?;
        let (results, gradients) = outputs.split_at(call.program.graph.outputs().len());
        Ok((call.result.with_leaves(results)?, self.select.collect(args, gradients)?))
    }
}

/// Fails unless every marked tensor is a float.
fn require_floats(
    structures: &[Structure],
    leaves: &[Tensor],
    mask: &[bool],
) -> Result<(), ErrorKind> {
    let paths = structures.iter().enumerate().flat_map(|(i, s)| {
        s.paths().into_iter().map(move |path| match path.as_str() {
            "" => format!("argument {i}"),
            path => format!("argument {i}.{path}"),
        })
    });
    for ((what, leaf), chosen) in paths.zip(leaves).zip(mask) {
        if *chosen && !leaf.dtype().is_float() {
            return Err(ErrorKind::NotDifferentiable { what, dtype: leaf.dtype() });
        }
    }
    Ok(())
}
