//! `jacfwd`, `jacrev` and `hessian`: whole matrices of derivatives, one pass for every element,
//! all passes at once.

use std::panic::Location;

use unloop_graph::{DType, ErrorKind, Place, Result, Shape, Tensor};

use crate::derivative::{Grad, grad};
use crate::function::callable;
use crate::interpret::{Call, error, execute};
use crate::linear::linearize;
use crate::{Arguments, Function};

callable! {
    /// The Jacobian of a function; made by [`jacfwd`], [`jacrev`] and [`hessian`].
    Jacobian
}

#[derive(Clone, Copy)]
enum Mode {
    Forward,
    Reverse,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Forward => "jacfwd",
            Mode::Reverse => "jacrev",
        }
    }
}

/// The Jacobian of a tensor function in its first argument, a tensor: its shape is the result's
/// followed by the argument's. Forward mode: one pass an element of the argument, all at once;
/// prefer it when the argument is smaller than the result.
///
/// # Errors
/// Carried by the result: the argument or the result is not a float.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jacfwd;
/// let j = jacfwd(|x: &Tensor| x.square())(&Tensor::from([1.0, 2.0]));
/// assert_eq!(j.to_vec::<f64>()?, [2.0, 0.0, 0.0, 4.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jacfwd<'f, Args, F>(f: F) -> Jacobian<'f, Args, Tensor>
where
    Args: Arguments<First = Tensor> + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    Jacobian::from_function(JacobianOf { f, mode: Mode::Forward, place: Location::caller() })
}

/// The same as [`jacfwd`] by reverse mode: one pass an element of the result; prefer it when the
/// result is smaller than the argument.
#[track_caller]
pub fn jacrev<'f, Args, F>(f: F) -> Jacobian<'f, Args, Tensor>
where
    Args: Arguments<First = Tensor> + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    Jacobian::from_function(JacobianOf { f, mode: Mode::Reverse, place: Location::caller() })
}

/// The second derivatives of a scalar function in its first argument, a tensor: its shape is the
/// argument's, twice. Forward over reverse mode.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::hessian;
/// let h = hessian(|x: &Tensor| x.prod())(&Tensor::from([2.0, 5.0]));
/// assert_eq!(h.to_vec::<f64>()?, [0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn hessian<'f, Args, F>(f: F) -> Jacobian<'f, Args, Tensor>
where
    Args: Arguments<First = Tensor> + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    let gradient: Grad<'f, Args, Tensor> = grad(f);
    jacfwd(gradient)
}

struct JacobianOf<F> {
    f: F,
    mode: Mode,
    place: &'static Location<'static>,
}

impl<Args, F> Function<Args> for JacobianOf<F>
where
    Args: Arguments<First = Tensor>,
    F: Function<Args, Output = Tensor>,
{
    type Output = Tensor;
    fn call(&self, args: Args::Refs<'_>) -> Tensor {
        let like = Args::first(args);
        self.try_call::<Args>(args).unwrap_or_else(|e| Tensor::error_like(e, like.ty()))
    }
}

impl<F> JacobianOf<F> {
    fn try_call<Args>(&self, args: Args::Refs<'_>) -> Result<Tensor>
    where
        Args: Arguments<First = Tensor>,
        F: Function<Args, Output = Tensor>,
    {
        let leaves = Args::leaves(args);
        let types =
            leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
        let x = Args::first(args).ty();
        let call = Call::trace::<Args>(&self.f, args, types)?;
        let y = call.result.ty();
        for (what, ty) in [("argument 0", &x), ("the result", &y)] {
            if !ty.dtype.is_float() {
                let kind = ErrorKind::NotDifferentiable { what: what.into(), dtype: ty.dtype };
                return Err(error(self.mode.name(), kind, self.place));
            }
        }
        let place = Place(Some(self.place));
        let outputs = execute(&call.inputs(&leaves), |point| {
            place.scope(|| {
                let active: Vec<bool> = (0..point.len()).map(|i| i == 0).collect();
                let (_, linear) = linearize(&call.program.graph, point, &active)?;
                let shape = y.shape.concat(&x.shape);
                let jacobian = match self.mode {
                    Mode::Forward => {
                        let n = x.shape.size();
                        let tangents = linear.forward_each(&[basis(&x.shape, x.dtype)], n);
                        match tangents.into_iter().next().flatten() {
                            // Results came along axis 0, the elements of the argument.
                            Some(columns) => {
                                columns.reshape([n, y.shape.size()]).t().reshape(shape)
                            }
                            None => Tensor::zeros(y.dtype, shape),
                        }
                    }
                    Mode::Reverse => {
                        let n = y.shape.size();
                        let cotangents = linear.backward_each(&[basis(&y.shape, y.dtype)], n)?;
                        match cotangents.into_iter().next() {
                            Some(rows) => rows.reshape(shape),
                            None => Tensor::zeros(y.dtype, shape),
                        }
                    }
                };
                Ok(vec![jacobian])
            })
        })?;
        Ok(outputs[0].clone())
    }
}

/// The unit tensors of a shape, stacked along axis 0.
fn basis(shape: &Shape, dtype: DType) -> Tensor {
    let n = shape.size();
    Tensor::eye(dtype, n).reshape(shape.with(0, n))
}
