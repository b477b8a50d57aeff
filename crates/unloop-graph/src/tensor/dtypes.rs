//! What a function that is composed of others asks of its operands, before it begins: an error of what it
//! is composed of would speak of operands that the user never saw.

use crate::error::{ErrorKind, Place};
use crate::op::{FLOATS, INTS, NUMBERS};
use crate::{DType, Shape, Tensor};

/// The body of an elementwise function of floats: the operands have one dtype, f32 or f64, and equal
/// shapes, or are scalars.
///
/// ```
/// # use unloop_graph::{ErrorKind, Tensor, floats, operation};
/// #[track_caller]
/// fn half(x: &Tensor) -> Tensor {
///     operation("half", || floats(&[x], || x * 0.5))
/// }
/// let error = half(&Tensor::from([1, 2])).check().unwrap_err().clone();
/// assert_eq!(error.op(), "half");
/// assert!(matches!(error.kind(), ErrorKind::UnsupportedDType { .. }));
/// ```
///
/// # Errors
/// Carried: `DTypeMismatch` if the dtypes differ; `UnsupportedDType` unless they are f32 or f64;
/// `ShapeMismatch` unless the shapes are equal or scalars'.
#[track_caller]
pub fn floats(operands: &[&Tensor], body: impl FnOnce() -> Tensor) -> Tensor {
    not_floats(operands).unwrap_or_else(body)
}

/// What is wrong with operands that [`floats`] refuses, for functions with several results.
///
/// ```
/// # use unloop_graph::{Tensor, not_floats};
/// assert!(not_floats(&[&Tensor::from(1.0)]).is_none());
/// assert!(not_floats(&[&Tensor::from(1)]).is_some());
/// ```
#[track_caller]
pub fn not_floats(operands: &[&Tensor]) -> Option<Tensor> {
    alike(operands, DType::is_float, FLOATS)
}

/// [`floats`], of integers.
#[track_caller]
pub(super) fn integers(operands: &[&Tensor], body: impl FnOnce() -> Tensor) -> Tensor {
    alike(operands, DType::is_int, INTS).unwrap_or_else(body)
}

/// [`floats`], of integers and floats.
#[track_caller]
pub(super) fn numbers(operands: &[&Tensor], body: impl FnOnce() -> Tensor) -> Tensor {
    alike(operands, |dtype| dtype != DType::Bool, NUMBERS).unwrap_or_else(body)
}

/// [`floats`], of any dtype.
#[track_caller]
pub(super) fn anything(operands: &[&Tensor], body: impl FnOnce() -> Tensor) -> Tensor {
    alike(operands, |_| true, "").unwrap_or_else(body)
}

/// What is wrong with the operands of an elementwise function, if anything is.
#[track_caller]
fn alike(operands: &[&Tensor], takes: fn(DType) -> bool, expected: &'static str) -> Option<Tensor> {
    if let Some(&failed) = operands.iter().find(|x| x.as_error().is_some()) {
        return Some(failed.clone());
    }
    let first = operands.first()?;
    let dtype = first.dtype();
    let kind = match operands.iter().find(|x| x.dtype() != dtype) {
        Some(other) => ErrorKind::DTypeMismatch { left: dtype, right: other.dtype() },
        None if !takes(dtype) => ErrorKind::UnsupportedDType { dtype, expected },
        None => unequal_shapes(operands)?,
    };
    Some(Tensor::fail("elementwise", kind, Place::here(), first))
}

/// Two shapes that differ, neither of which is a scalar's.
pub(super) fn unequal_shapes(operands: &[&Tensor]) -> Option<ErrorKind> {
    let mut wide = operands.iter().filter(|x| x.rank() > 0);
    let left = wide.next()?;
    let right = wide.find(|x| x.shape() != left.shape())?;
    let shape = |x: &Tensor| Shape::from(x.shape());
    Some(ErrorKind::ShapeMismatch { left: shape(left), right: shape(right) })
}
