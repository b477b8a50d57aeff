//! Values in and out: ndarrays of any dimension and layout, scalars, vectors, nested arrays.

use super::Repr;
use crate::error::{Error, ErrorKind, Place, operation};
use crate::memory::{copied, vec_with_room};
use crate::{Array, Axes, Element, Result, Shape, Tensor};
use ndarray::{ArrayBase, ArrayD, ArrayView, Data, Dimension, IxDyn, OwnedRepr};

fn vector<T: Element>(values: Vec<T>) -> Tensor {
    Array::new(Shape::from(values.len()), values).into()
}

/// A tensor of copied elements.
fn copy<T: Element>(shape: Shape, values: Result<Vec<T>, ErrorKind>) -> Tensor {
    match values {
        Ok(values) => Array::new(shape, values).into(),
        Err(kind) => Tensor::error(Error::new("from", kind, Place::here())),
    }
}

macro_rules! scalar_into_tensor {
    ($($t:ty)+) => {$(
        /// A scalar (rank 0).
        impl From<$t> for Tensor {
            fn from(value: $t) -> Tensor {
                Array::fill(Shape::scalar(), value.scalar()).into()
            }
        }
        /// A scalar (rank 0).
        impl From<&$t> for Tensor {
            fn from(value: &$t) -> Tensor {
                (*value).into()
            }
        }
    )+};
}
scalar_into_tensor!(bool i32 i64 u32 f32 f64);

/// A vector (rank 1); the elements are moved.
impl<T: Element> From<Vec<T>> for Tensor {
    fn from(values: Vec<T>) -> Tensor {
        vector(values)
    }
}

/// A vector (rank 1).
impl<T: Element> From<&Vec<T>> for Tensor {
    fn from(values: &Vec<T>) -> Tensor {
        values[..].into()
    }
}

/// A vector (rank 1).
impl<T: Element> From<&[T]> for Tensor {
    fn from(values: &[T]) -> Tensor {
        copy(values.len().into(), copied(values))
    }
}

/// A vector (rank 1).
impl<T: Element, const N: usize> From<&[T; N]> for Tensor {
    fn from(values: &[T; N]) -> Tensor {
        values[..].into()
    }
}

/// A vector (rank 1).
impl<T: Element, const N: usize> From<[T; N]> for Tensor {
    fn from(values: [T; N]) -> Tensor {
        vector(values.to_vec())
    }
}

/// A matrix (rank 2) from its rows.
impl<T: Element, const M: usize, const N: usize> From<[[T; N]; M]> for Tensor {
    fn from(rows: [[T; N]; M]) -> Tensor {
        Array::new([M, N].into(), rows.concat()).into()
    }
}

/// A tensor of rank 3 from nested rows.
impl<T: Element, const L: usize, const M: usize, const N: usize> From<[[[T; N]; M]; L]> for Tensor {
    fn from(blocks: [[[T; N]; M]; L]) -> Tensor {
        Array::new([L, M, N].into(), blocks.concat().concat()).into()
    }
}

/// A vector (rank 1).
impl<T: Element> FromIterator<T> for Tensor {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Tensor {
        vector(values.into_iter().collect())
    }
}

/// A matrix (rank 2) from its rows.
impl<T: Element, const N: usize> FromIterator<[T; N]> for Tensor {
    fn from_iter<I: IntoIterator<Item = [T; N]>>(rows: I) -> Tensor {
        let rows: Vec<[T; N]> = rows.into_iter().collect();
        Array::new([rows.len(), N].into(), rows.concat()).into()
    }
}

/// The elements of a vector (rank 1).
impl<T: Element> TryFrom<&Tensor> for Vec<T> {
    type Error = Error;

    #[track_caller]
    fn try_from(tensor: &Tensor) -> Result<Vec<T>> {
        operation("try_from", || {
            let values = tensor.to_vec()?;
            match tensor.rank() {
                1 => Ok(values),
                _ => Err(wrong_rank("a vector", tensor)),
            }
        })
    }
}

/// The rows of a matrix (rank 2).
impl<T: Element, const N: usize> TryFrom<&Tensor> for Vec<[T; N]> {
    type Error = Error;

    #[track_caller]
    fn try_from(tensor: &Tensor) -> Result<Vec<[T; N]>> {
        operation("try_from", || {
            let values = tensor.to_vec()?;
            match tensor.shape() {
                &[rows, columns] if columns == N => {
                    let row = |i: usize| std::array::from_fn(|j| values[i * N + j]);
                    Ok((0..rows).map(row).collect())
                }
                _ => Err(wrong_rank("a matrix with as many columns as a row has", tensor)),
            }
        })
    }
}

#[track_caller]
fn wrong_rank(expected: &'static str, tensor: &Tensor) -> Error {
    let kind = ErrorKind::WrongRank { expected, shape: tensor.shape().into() };
    Error::new("try_from", kind, Place::here())
}

/// An owned ndarray; its elements are moved, not copied, unless they have gaps or run backwards.
impl<T: Element, D: Dimension> From<ArrayBase<OwnedRepr<T>, D>> for Tensor {
    fn from(array: ndarray::Array<T, D>) -> Tensor {
        // Elements that lie close together in another order of axes, as in the array of a transposed
        // matrix, are an ordinary tensor with its axes permuted.
        let array = array.into_dyn();
        let mut order: Axes = (0..array.ndim()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(array.strides()[axis]));
        if !array.is_standard_layout()
            && array.view().permuted_axes(&order[..]).is_standard_layout()
        {
            let mut back: Axes = smallvec::smallvec![0; order.len()];
            order.iter().enumerate().for_each(|(i, &axis)| back[axis] = i);
            return Tensor::from(array.permuted_axes(&order[..])).permute_axes(back);
        }
        let shape = Shape::from(array.shape());
        if array.is_standard_layout() {
            let (values, offset) = array.into_raw_vec_and_offset();
            let values = match offset {
                Some(start) if start != 0 || values.len() != shape.size() => {
                    copied(&values[start..start + shape.size()])
                }
                _ => Ok(values),
            };
            return copy(shape, values);
        }
        (&array).into()
    }
}

/// The elements of an ndarray or a view of one, in any memory layout, copied once.
impl<T: Element, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Tensor {
    fn from(array: &ArrayBase<S, D>) -> Tensor {
        let values = match array.as_slice() {
            Some(slice) => copied(slice),
            None => vec_with_room(array.len()).map(|mut values| {
                values.extend(array.iter().copied());
                values
            }),
        };
        copy(array.shape().into(), values)
    }
}

/// The elements of a view, in any memory layout, copied once.
impl<T: Element, D: Dimension> From<ArrayView<'_, T, D>> for Tensor {
    fn from(view: ArrayView<'_, T, D>) -> Tensor {
        (&view).into()
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Tensor {
        tensor.clone()
    }
}

/// # Values out
/// Here errors come out, as `Err`. Values in: the `From` implementations, and [`Tensor::from_vec`].
impl Tensor {
    /// The elements with their shape, as an ndarray of element type `T` and dimension `D`.
    ///
    /// ```
    /// # use ndarray::{Ix2, array};
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.to_array::<f64, Ix2>()?, array![[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries; `TracedValue` inside a transform; `DTypeMismatch` unless its
    /// dtype is `T` (`.cast` converts); `WrongRank` unless its rank is that of `D`; `OutOfMemory` if
    /// there is none for the copy.
    #[track_caller]
    pub fn to_array<T: Element, D: Dimension>(&self) -> Result<ndarray::Array<T, D>> {
        operation("to_array", || self.clone().array_of())
    }

    /// Like [`Tensor::to_array`]; moves the elements out without a copy when this is their only owner
    /// and they are in row-major order.
    ///
    /// ```
    /// # use ndarray::{Ix1, array};
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from(vec![1.0, 2.0]);
    /// assert_eq!(a.into_array::<f64, Ix1>()?, array![1.0, 2.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries; `TracedValue` inside a transform; `DTypeMismatch` unless its
    /// dtype is `T` (`.cast` converts); `WrongRank` unless its rank is that of `D`; `OutOfMemory` if
    /// there is none for a copy.
    #[track_caller]
    pub fn into_array<T: Element, D: Dimension>(self) -> Result<ndarray::Array<T, D>> {
        operation("into_array", || self.array_of())
    }

    /// The elements with their shape.
    fn array_of<T: Element, D: Dimension>(self) -> Result<ndarray::Array<T, D>> {
        let shape = Shape::from(self.shape());
        let values = self.into_values::<T>("to_array")?;
        let wrong_rank = || {
            let kind = ErrorKind::WrongRank { expected: rank_of::<D>(), shape: shape.clone() };
            Error::new("to_array", kind, Place::here())
        };
        ArrayD::from_shape_vec(IxDyn(&shape), values)
            .and_then(|array| array.into_dimensionality())
            .map_err(|_| wrong_rank())
    }

    /// The elements in row-major order, of any shape.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).to_vec::<i32>()?, [1, 2, 3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries; `TracedValue` inside a transform; `DTypeMismatch` unless its
    /// dtype is `T` (`.cast` converts); `OutOfMemory` if there is none for the copy.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        operation("to_vec", || self.clone().into_values("to_vec"))
    }

    /// The one element of a tensor of size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).sum().item::<f64>()?, 3.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries; `TracedValue` inside a transform; `DTypeMismatch` unless its
    /// dtype is `T` (`.cast` converts); `WrongRank` unless it has just one element.
    #[track_caller]
    pub fn item<T: Element>(&self) -> Result<T> {
        operation("item", || {
            let place = Place::here();
            self.value("item")?;
            let wrong = || {
                let expected = "exactly one element";
                let kind = ErrorKind::WrongRank { expected, shape: self.shape().into() };
                Error::new("item", kind, place)
            };
            // One element of many is not worth a copy of all.
            if self.size() != 1 {
                return Err(wrong());
            }
            match self.clone().into_values::<T>("item")?[..] {
                [value] => Ok(value),
                _ => Err(wrong()),
            }
        })
    }

    #[track_caller]
    fn into_values<T: Element>(self, what: &'static str) -> Result<Vec<T>> {
        let place = Place::here();
        self.value(what)?;
        let values = match self.repr {
            Repr::Concrete(array) => array.into_vec::<T>(),
            Repr::Traced(_) | Repr::Error(..) => Err(ErrorKind::TracedValue),
        };
        values.map_err(|kind| Error::new(what, kind, place))
    }

    /// A tensor of any shape from its elements in row-major order, of their dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from_vec((2, 2), vec![1, 2, 3, 4]);
    /// assert_eq!(x.at((1, ..)).to_vec::<i32>()?, [3, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` when the number of elements is not the size of the shape;
    /// `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn from_vec<T: Element>(shape: impl Into<Shape>, values: Vec<T>) -> Tensor {
        operation("from_vec", || {
            let shape = shape.into();
            match shape.checked_size(T::DTYPE) {
                Ok(size) if size == values.len() => Array::new(shape, values).into(),
                Ok(size) => {
                    let message =
                        format!("{} elements for shape {shape} of size {size}", values.len());
                    let kind = ErrorKind::InvalidArgument(message);
                    Tensor::error(Error::new("from_vec", kind, Place::here()))
                }
                Err(kind) => Tensor::error(Error::new("from_vec", kind, Place::here())),
            }
        })
    }

    /// A view of the elements in row-major order, without a copy, if the tensor is concrete, of dtype
    /// `T` and laid out so; else `None`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1, 2]);
    /// assert_eq!(x.as_slice::<i32>(), Some(&[1, 2][..]));
    /// assert_eq!(x.as_slice::<f64>(), None);
    /// ```
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        match &self.repr {
            Repr::Concrete(array) => array.as_slice(),
            Repr::Traced(_) | Repr::Error(..) => None,
        }
    }

    /// The concrete values of tensors, or `None` when one is traced or carries an error.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let arrays = Tensor::arrays(&[Tensor::from(1), Tensor::from([2.0])]);
    /// assert_eq!(arrays.map(|x| x.len()), Some(2));
    /// ```
    pub fn arrays(tensors: &[Tensor]) -> Option<Vec<Array>> {
        let value = |t: &Tensor| match &t.repr {
            Repr::Concrete(array) => Some(array.clone()),
            Repr::Traced(_) | Repr::Error(..) => None,
        };
        tensors.iter().map(value).collect()
    }
}

/// The rank of an array type, in words.
fn rank_of<D: Dimension>() -> &'static str {
    match D::NDIM {
        Some(0) => "rank 0 (the array type's)",
        Some(1) => "rank 1 (the array type's)",
        Some(2) => "rank 2 (the array type's)",
        Some(3) => "rank 3 (the array type's)",
        Some(4) => "rank 4 (the array type's)",
        Some(5) => "rank 5 (the array type's)",
        Some(6) => "rank 6 (the array type's)",
        _ => "the array type's rank",
    }
}
