//! Operands: what goes with a tensor in arithmetic, comparisons and choices. Numbers take the dtype of
//! the tensor that they meet.

use std::borrow::Cow;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Place};
use crate::{DType, Number, Shape, Tensor};

/// What goes with a tensor in arithmetic, comparisons, choices and the other elementwise functions: a
/// tensor or a reference to one, a number, or [`Tensor::broadcast`] of a tensor.
///
/// A number takes the dtype of the tensor that it meets. A float meets floats only, an integer
/// anything that holds it, a `bool` only `bool`. Where it meets no tensor, as in
/// `mask.select(1.0, 0.0)`, it has its own dtype (`usize`, `isize` and `u64`: `i64`). In front of an
/// operator numbers are `f64` or `i32`, so that `2 * x` leaves nothing open; others stand behind it: `x * n`.
///
/// ```
/// # use unloop_graph::Tensor;
/// let x = Tensor::from([-2.0f32, 0.5, 3.0]);
/// assert_eq!(x.clamp(-1.0, 1.0).to_vec::<f32>()?, [-1.0, 0.5, 1.0]);
/// assert_eq!(x.greater(0.0).select(&x, 0.0).to_vec::<f32>()?, [0.0, 0.5, 3.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not go with a tensor in arithmetic and comparisons",
    label = "neither a tensor nor a number",
    note = "operands are `Tensor`, `&Tensor`, numbers (`f64`, `f32`, integers, `bool`) and `x.broadcast()`",
    note = "`Tensor::from(…)` makes a tensor of an array, a vector or an ndarray"
)]
pub trait Operand {
    /// The operand by its kind.
    fn given(&self) -> Given<'_>;
}

/// An [`Operand`], by its kind.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// A tensor as it is.
    Tensor(&'a Tensor),
    /// A tensor to which NumPy's broadcasting rule applies.
    Broadcast(&'a Tensor),
    /// An integer scalar that takes the dtype of what it meets: the number of an index.
    Index(&'a Tensor),
    /// A number, and its dtype where it meets no tensor.
    Number(Number, DType),
}

impl Operand for Tensor {
    fn given(&self) -> Given<'_> {
        Given::Tensor(self)
    }
}

impl<T: Operand + ?Sized> Operand for &T {
    fn given(&self) -> Given<'_> {
        (**self).given()
    }
}

macro_rules! numbers {
    ($($t:ty: $kind:ident $dtype:ident;)+) => {$(
        impl Operand for $t {
            fn given(&self) -> Given<'_> {
                #[allow(clippy::unnecessary_cast)] // Not for all of the types.
                Given::Number(Number::$kind(*self as _), DType::$dtype)
            }
        }
    )+};
}
numbers! {
    bool: Bool Bool;
    i32: Int I32;
    i64: Int I64;
    isize: Int I64;
    u32: Int U32;
    u64: Int I64;
    usize: Int I64;
    f32: Float F32;
    f64: Float F64;
}

/// Whether an integer is one of a dtype's values.
fn holds(dtype: DType, value: i128) -> bool {
    match dtype {
        DType::Bool => (0..=1).contains(&value),
        DType::I32 => i32::try_from(value).is_ok(),
        DType::I64 => i64::try_from(value).is_ok(),
        DType::U32 => u32::try_from(value).is_ok(),
        DType::F32 | DType::F64 => true,
    }
}

/// A number of some dtype as a scalar of the dtype that it meets. What cannot be is an error of the type
/// of the tensor that it meets.
fn scalar(value: Number, own: DType, dtype: DType, like: Option<&Tensor>) -> Tensor {
    let kind = match value {
        Number::Float(_) if !dtype.is_float() => {
            ErrorKind::DTypeMismatch { left: dtype, right: own }
        }
        Number::Bool(_) if dtype != DType::Bool => {
            ErrorKind::DTypeMismatch { left: dtype, right: own }
        }
        Number::Int(value) if !holds(dtype, value) => ErrorKind::InvalidArgument(format!(
            "the number {value} is not one of {dtype}'s; .cast(DType::…) of the tensor makes room"
        )),
        _ => return Tensor::number(dtype, value),
    };
    let error = Error::new("operand", kind, Place::here());
    like.map_or_else(|| Tensor::error(error.clone()), |x| Tensor::error_like(error.clone(), x.ty()))
}

impl<'a> Given<'a> {
    /// The tensor, if it is one.
    fn tensor(self) -> Option<&'a Tensor> {
        match self {
            Given::Tensor(x) | Given::Broadcast(x) => Some(x),
            Given::Index(_) | Given::Number(..) => None,
        }
    }

    /// Whether NumPy's rule applies.
    pub(super) fn is_broadcast(self) -> bool {
        matches!(self, Given::Broadcast(_))
    }

    /// As a tensor; a number in this dtype, that of the tensor that it meets.
    fn of(self, dtype: DType, like: Option<&Tensor>) -> Cow<'a, Tensor> {
        match self {
            Given::Tensor(x) | Given::Broadcast(x) => Cow::Borrowed(x),
            Given::Index(x) => Cow::Owned(x.cast(dtype)),
            Given::Number(value, own) => Cow::Owned(scalar(value, own, dtype, like)),
        }
    }
}

/// Operands as tensors of one dtype: numbers take that of the first tensor. Runs in the scope of an
/// operation.
pub(super) fn typed<const N: usize>(given: [Given<'_>; N]) -> [Cow<'_, Tensor>; N] {
    let mut tensors = typed_all(&given).into_iter();
    given.map(|_| tensors.next().unwrap_or_else(|| unreachable!("one tensor for each operand")))
}

/// [`typed`], of any number of operands.
pub(super) fn typed_all<'a>(given: &[Given<'a>]) -> SmallVec<[Cow<'a, Tensor>; 3]> {
    let tensor = given.iter().find_map(|x| x.tensor());
    // An error is passed on, whatever the numbers are.
    if let Some(failed) = given.iter().filter_map(|x| x.tensor()).find(|x| x.as_error().is_some()) {
        return given.iter().map(|x| Cow::Borrowed(x.tensor().unwrap_or(failed))).collect();
    }
    let float = given.iter().find_map(|x| match x {
        Given::Number(Number::Float(_), own) => Some(*own),
        _ => None,
    });
    let own = given.iter().find_map(|x| match x {
        Given::Number(_, own) => Some(*own),
        _ => None,
    });
    let dtype = tensor.map(Tensor::dtype).or(float).or(own).unwrap_or(DType::I64);
    given.iter().map(|x| x.of(dtype, tensor)).collect()
}

/// Tensors expanded to their common shape by NumPy's rule. Runs in the scope of an operation.
pub(super) fn expanded<const N: usize>(tensors: [Cow<'_, Tensor>; N]) -> [Cow<'_, Tensor>; N] {
    if let Some(failed) = tensors.iter().find(|x| x.as_error().is_some()).cloned() {
        return tensors.map(|_| failed.clone());
    }
    let mut common = Shape::scalar();
    for x in &tensors {
        let shape = Shape::from(x.shape());
        common = match common.broadcast(&shape) {
            Some(wider) => wider,
            None => {
                let why = "NumPy's rule needs equal sizes or 1, aligned at the last axis".into();
                let kind = ErrorKind::Incompatible { left: common, right: shape, why };
                let failed = Tensor::fail("broadcast", kind, Place::here(), x);
                return tensors.map(|_| Cow::Owned(failed.clone()));
            }
        };
    }
    tensors.map(|x| Cow::Owned(x.broadcast_to(&common)))
}

/// Operands as tensors of one dtype, expanded if one of them says so. Runs in the scope of an operation.
pub(super) fn tensors<const N: usize>(given: [Given<'_>; N]) -> [Cow<'_, Tensor>; N] {
    let wide = given.iter().any(|x| x.is_broadcast());
    let tensors = typed(given);
    if wide { expanded(tensors) } else { tensors }
}

/// Operands as tensors of one dtype, for functions that take any: numbers have that of the first tensor,
/// their own where there is none.
///
/// ```
/// # use unloop_graph::{Operand, Tensor, operands};
/// fn decibel(power: impl Operand, reference: impl Operand) -> Tensor {
///     let [power, reference] = operands([&power, &reference]);
///     (power / reference).log10() * 10.0
/// }
/// assert_eq!(decibel(&Tensor::from(100.0f32), 1.0).item::<f32>()?, 20.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
///
/// # Errors
/// Carried: `DTypeMismatch` for a float beside tensors that are not, or `bool` beside numbers;
/// `InvalidArgument` for an integer that the dtype does not hold; `Incompatible` for shapes that
/// [`Tensor::broadcast`] does not fit.
#[track_caller]
pub fn operands<const N: usize>(given: [&dyn Operand; N]) -> [Tensor; N] {
    Place::here().scope(|| tensors(given.map(|x| x.given())).map(Cow::into_owned))
}

/// The elementwise functions of several operands, which are tensors or numbers: methods of every
/// [`Tensor`].
///
/// `Tensor` has functions of the same names that take tensors only: those are handed to transforms, as
/// in `vmap(Tensor::maximum, (0, 0))`.
#[repr(transparent)]
pub struct Elementwise(pub(super) Tensor);

/// Methods of [`Elementwise`] are methods of every tensor.
impl Deref for Tensor {
    type Target = Elementwise;

    fn deref(&self) -> &Elementwise {
        // SAFETY: `Elementwise` is a transparent wrapper, so both have the same layout, and the
        // reference lives as long as the one given.
        unsafe { &*(self as *const Tensor as *const Elementwise) }
    }
}

/// Elementwise functions of tensors, in a block of [`Tensor`]'s.
macro_rules! operand_functions {
    ($($(#[$doc:meta])* $name:ident($x:ident $(, $y:ident)+) -> $result:ty $body:block)*) => {$(
        $(#[$doc])*
        ///
        /// # Numbers
        /// The method of this name takes numbers as well; this function of tensors is for
        /// transforms.
        #[track_caller]
        pub fn $name($x: &crate::Tensor $(, $y: &crate::Tensor)+) -> $result {
            crate::operation(stringify!($name), || $body)
        }
    )*};
}
pub(super) use operand_functions;

/// The methods of these functions that take numbers, too, in a block of [`Elementwise`]'s.
macro_rules! operand_methods {
    ($($(#[$doc:meta])* $name:ident($x:ident $(, $y:ident)+) -> $result:ty $body:block)+) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self $(, $y: impl crate::tensor::Operand)+) -> $result {
            crate::operation(stringify!($name), || {
                let [$x $(, $y)+] = crate::tensor::operand::tensors([
                    crate::tensor::Given::Tensor(&self.0) $(, crate::tensor::Operand::given(&$y))+
                ]);
                crate::Tensor::$name(&$x $(, &$y)+)
            })
        }
    )+};
}
pub(super) use operand_methods;
