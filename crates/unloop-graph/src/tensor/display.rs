//! Printing: the value of a concrete tensor, the type of a traced one, the message of an error.

use std::fmt;

use ndarray::{ArrayD, IxDyn};

use super::Repr;
use crate::{Array, Tensor, with_dtype};

/// The elements as ndarray prints them, long axes shortened.
fn print(array: &Array, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    /// Above this size only the type is printed, so that printing never copies a large tensor.
    const LIMIT: usize = 10_000_000;
    if array.len() > LIMIT {
        return write!(f, "{}", array.ty());
    }
    with_dtype!(array.dtype(), T => {
        let Ok(values) = array.to_vec::<T>() else { return write!(f, "{}", array.ty()) };
        match ArrayD::from_shape_vec(IxDyn(array.shape()), values) {
            Ok(array) => fmt::Display::fmt(&array, f),
            Err(_) => Err(fmt::Error),
        }
    })
}

/// The elements; `traced f64[3]` for a tensor inside a transform; the message of an error.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repr {
            Repr::Concrete(array) => print(array, f),
            Repr::Traced(t) => write!(f, "traced {}", t.ty),
            Repr::Error(error, _) => write!(f, "error: {error}"),
        }
    }
}

/// Like [`fmt::Display`], with the type before the elements.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repr {
            Repr::Concrete(array) => {
                write!(f, "{} ", array.ty())?;
                print(array, f)
            }
            Repr::Traced(_) | Repr::Error(..) => fmt::Display::fmt(self, f),
        }
    }
}
