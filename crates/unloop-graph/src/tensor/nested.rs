//! Tensors of tensors: arrays and lists of them, stacked.

use std::borrow::Borrow;

use super::operand::{Given, Operand, typed_all};
use crate::error::{Error, ErrorKind, Place, operation};
use crate::{DType, Number, Shape, Tensor};

/// What the macro `tensor!` is given.
#[derive(Clone)]
pub enum Nested {
    /// A tensor.
    Tensor(Tensor),
    /// A number, and its dtype where there is no tensor.
    Number(Number, DType),
    /// A list of these.
    List(Vec<Nested>),
}

impl Nested {
    /// An operand: a tensor or a number.
    pub fn of(operand: &dyn Operand) -> Nested {
        match operand.given() {
            Given::Tensor(x) | Given::Broadcast(x) | Given::Index(x) => Nested::Tensor(x.clone()),
            Given::Number(value, own) => Nested::Number(value, own),
        }
    }

    /// Calls `f` with all that is no list.
    fn visit<'a>(&'a self, f: &mut dyn FnMut(Given<'a>)) {
        match self {
            Nested::List(items) => items.iter().for_each(|item| item.visit(f)),
            Nested::Tensor(x) => f(Given::Tensor(x)),
            Nested::Number(value, own) => f(Given::Number(*value, *own)),
        }
    }

    /// The tensor: lists are stacked along axis 0. Numbers have the dtype of the first tensor, and
    /// scalars the shape of tensors that are none.
    ///
    /// ```
    /// # use unloop_graph::Nested;
    /// let row = |x: &[i32]| Nested::List(x.iter().map(|n| Nested::of(n)).collect());
    /// let x = Nested::List(vec![row(&[1, 2]), row(&[3, 4])]).stacked();
    /// assert_eq!(x.shape(), [2, 2]);
    /// ```
    ///
    /// # Errors
    /// Carried: `Incompatible` for lists of different lengths, or tensors of different shapes;
    /// `DTypeMismatch` if the dtypes differ, also of a float beside integers; `InvalidArgument` of an
    /// empty list, or for an integer that the dtype does not hold.
    #[track_caller]
    pub fn stacked(&self) -> Tensor {
        operation("tensor!", || {
            let mut all = Vec::new();
            self.visit(&mut |one| all.push(one));
            let tensors = typed_all(&all);
            let shape = tensors.iter().find(|x| x.rank() > 0).map(|x| Shape::from(x.shape()));
            let whole = tensors.iter().map(|x| match &shape {
                Some(shape) if x.rank() == 0 && x.as_error().is_none() => x.broadcast_to(shape),
                _ => Tensor::clone(x),
            });
            self.with(&mut whole.collect::<Vec<_>>().into_iter())
        })
    }

    /// The tensor with these in place of all that is no list.
    fn with(&self, leaves: &mut dyn Iterator<Item = Tensor>) -> Tensor {
        match self {
            Nested::List(items) => {
                let parts: Vec<Tensor> = items.iter().map(|item| item.with(leaves)).collect();
                Tensor::stack(&parts.iter().collect::<Vec<_>>(), 0)
            }
            _ => leaves.next().unwrap_or_else(|| unreachable!("one tensor for each")),
        }
    }
}

/// Several tensors: an array, a slice or a vector of tensors or of references to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of tensors",
    label = "not an array, a slice or a vector of tensors",
    note = "lists are as `[&x, &y]`, `[x, y]`, `&vec_of_tensors`"
)]
pub trait TensorList {
    /// The tensors, in order.
    fn list(&self) -> Vec<&Tensor>;
}

impl<T: Borrow<Tensor>> TensorList for [T] {
    fn list(&self) -> Vec<&Tensor> {
        self.iter().map(Borrow::borrow).collect()
    }
}

impl<T: Borrow<Tensor>, const N: usize> TensorList for [T; N] {
    fn list(&self) -> Vec<&Tensor> {
        self[..].list()
    }
}

impl<T: Borrow<Tensor>> TensorList for Vec<T> {
    fn list(&self) -> Vec<&Tensor> {
        self[..].list()
    }
}

impl<L: TensorList + ?Sized> TensorList for &L {
    fn list(&self) -> Vec<&Tensor> {
        (**self).list()
    }
}

#[track_caller]
fn stacked<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Tensor {
    operation("from", || Tensor::stack(&tensors.into_iter().collect::<Vec<_>>(), 0))
}

/// Tensors of one shape, stacked along axis 0.
///
/// ```
/// # use unloop_graph::Tensor;
/// let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// assert_eq!(Tensor::from([&x, &y]).shape(), [2, 2]);
/// assert_eq!(Tensor::from([[&x, &y], [&y, &x]]).shape(), [2, 2, 2]);
/// ```
impl<const N: usize> From<[Tensor; N]> for Tensor {
    #[track_caller]
    fn from(tensors: [Tensor; N]) -> Tensor {
        stacked(&tensors)
    }
}

/// Tensors of one shape, stacked along axis 0.
impl<const N: usize> From<[&Tensor; N]> for Tensor {
    #[track_caller]
    fn from(tensors: [&Tensor; N]) -> Tensor {
        stacked(tensors)
    }
}

/// Rows of tensors of one shape, stacked along axes 0 and 1.
impl<const M: usize, const N: usize> From<[[Tensor; N]; M]> for Tensor {
    #[track_caller]
    fn from(rows: [[Tensor; N]; M]) -> Tensor {
        stacked(&rows.each_ref().map(stacked))
    }
}

/// Rows of tensors of one shape, stacked along axes 0 and 1.
impl<const M: usize, const N: usize> From<[[&Tensor; N]; M]> for Tensor {
    #[track_caller]
    fn from(rows: [[&Tensor; N]; M]) -> Tensor {
        stacked(&rows.map(stacked))
    }
}

/// Tensors of one shape, stacked along axis 0.
impl From<Vec<Tensor>> for Tensor {
    #[track_caller]
    fn from(tensors: Vec<Tensor>) -> Tensor {
        stacked(&tensors)
    }
}

/// Tensors of one shape, stacked along axis 0.
impl From<&[Tensor]> for Tensor {
    #[track_caller]
    fn from(tensors: &[Tensor]) -> Tensor {
        stacked(tensors)
    }
}

/// # Entries for patterns
impl Tensor {
    /// The entries along axis 0, without it, for a pattern that names them.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let state = Tensor::from([1.0, 2.0, 3.0]);
    /// let [x, y, speed] = state.unstack_array();
    /// assert_eq!((x * y + speed).item::<f64>()?, 5.0);
    /// let [x, _] = state.unstack_array();
    /// assert!(x.check().is_err());
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by each entry: `InvalidArgument` where there are not `N`, or no axis.
    #[track_caller]
    pub fn unstack_array<const N: usize>(&self) -> [Tensor; N] {
        operation("unstack_array", || {
            if let Some(error) = self.as_error() {
                return std::array::from_fn(|_| Tensor::error_like(error.clone(), self.ty()));
            }
            if self.shape().first() == Some(&N) {
                return std::array::from_fn(|i| self.slice_axis(0, i, i + 1).squeeze(0));
            }
            let shape = Shape::from(self.shape());
            let message = match shape.first() {
                Some(size) => format!("{N} entries of shape {shape}, whose axis 0 has {size}"),
                None => format!("{N} entries of a scalar, which has no axis"),
            };
            let kind = ErrorKind::InvalidArgument(message);
            let error = Error::new("unstack_array", kind, Place::here());
            std::array::from_fn(|_| Tensor::error_like(error.clone(), self.ty()))
        })
    }
}
