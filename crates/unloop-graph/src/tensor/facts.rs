//! What is known of a tensor without its elements: dtype, shape, and whether it carries an error.

use super::Repr;
use crate::error::{Error, ErrorKind, Place};
use crate::{DType, Result, Shape, Tensor, TensorType};

/// # Dtype, shape and errors
impl Tensor {
    /// A tensor that carries an error. It reports the type of a scalar, f64.
    ///
    /// ```
    /// # use unloop_graph::{Error, ErrorKind, Place, Tensor};
    /// let kind = ErrorKind::InvalidArgument("no data".into());
    /// let x = Tensor::error(Error::new("load", kind, Place::here()));
    /// assert!((x + 1.0).check().is_err());
    /// ```
    pub fn error(error: Error) -> Tensor {
        Tensor::error_like(error, TensorType::new(DType::F64, ()))
    }

    /// A tensor that carries an error and reports the given type, so that functions that look at shapes
    /// do not stumble over it.
    ///
    /// ```
    /// # use unloop_graph::{DType, Error, ErrorKind, Place, Tensor, TensorType};
    /// let kind = ErrorKind::InvalidArgument("no data".into());
    /// let error = Error::new("load", kind, Place::here());
    /// let x = Tensor::error_like(error, TensorType::new(DType::F32, (2, 3)));
    /// assert_eq!(x.shape(), [2, 3]);
    /// ```
    pub fn error_like(error: Error, ty: TensorType) -> Tensor {
        Tensor { repr: Repr::Error(error, Box::new(ty)) }
    }

    /// The failure of an operation at this place.
    pub(crate) fn fail(op: &'static str, kind: ErrorKind, place: Place, like: &Tensor) -> Tensor {
        match &like.repr {
            Repr::Error(..) => like.clone(),
            _ => Tensor::error_like(Error::new(op, kind, place), like.ty()),
        }
    }

    /// The dtype. A tensor that carries an error reports that of the operand it came from.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// assert_eq!(Tensor::from([1.0f32]).dtype(), DType::F32);
    /// ```
    pub fn dtype(&self) -> DType {
        match &self.repr {
            Repr::Concrete(array) => array.dtype(),
            Repr::Traced(t) => t.ty.dtype,
            Repr::Error(_, ty) => ty.dtype,
        }
    }

    /// The extent of every axis; empty for a scalar. A tensor that carries an error reports that of the
    /// operand it came from.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).shape(), [2, 3]);
    /// assert_eq!(Tensor::from(1).shape(), []);
    /// ```
    pub fn shape(&self) -> &[usize] {
        match &self.repr {
            Repr::Concrete(array) => array.shape(),
            Repr::Traced(t) => &t.ty.shape,
            Repr::Error(_, ty) => &ty.shape,
        }
    }

    /// The number of axes; 0 for a scalar.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3]]).rank(), 2);
    /// ```
    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    /// The number of elements; 1 for a scalar.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3]]).size(), 3);
    /// ```
    pub fn size(&self) -> usize {
        self.shape().iter().product()
    }

    /// Dtype and shape.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3]]).ty().to_string(), "i32[1,3]");
    /// ```
    pub fn ty(&self) -> TensorType {
        TensorType { dtype: self.dtype(), shape: Shape::from(self.shape()) }
    }

    /// Whether this tensor is symbolic: it has a shape, but no value yet. So are the arguments of a
    /// function inside a transform.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert!(!Tensor::from(1).is_traced());
    /// ```
    pub fn is_traced(&self) -> bool {
        matches!(self.repr, Repr::Traced(_))
    }

    /// The error that this tensor carries, if any.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0]).sum_axis(5);
    /// assert_eq!(x.as_error().unwrap().op(), "sum_axis");
    /// assert!(Tensor::from(1).as_error().is_none());
    /// ```
    pub fn as_error(&self) -> Option<&Error> {
        match &self.repr {
            Repr::Error(error, _) => Some(error),
            Repr::Concrete(_) | Repr::Traced(_) => None,
        }
    }

    /// The tensor itself, or the error that it carries. A traced tensor is no error.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let sum = Tensor::from([1.0, 2.0]) + Tensor::from([1.0, 2.0, 3.0]);
    /// assert!(sum.check().is_err());
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries.
    pub fn check(&self) -> Result<&Tensor> {
        match self.as_error() {
            Some(error) => Err(error.clone()),
            None => Ok(self),
        }
    }
}
