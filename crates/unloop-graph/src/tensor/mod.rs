//! [`Tensor`]: concrete values that compute at once, symbolic values inside a transform, or the
//! error of an operation that could not be done. All operations go through [`Tensor::apply`].

// In the order of `Tensor`'s documentation, which has the blocks of methods as they come.
mod facts;

mod convert;
mod create;
mod nested;

mod arrange;
mod axes;
mod dynamic;
mod index;
mod index_arg;
mod layout;

mod dtypes;
mod elementwise;
mod numeric;
mod operand;
mod operators;

mod reduce;

mod cumulative;
mod segments;
mod statistics;

mod search;
mod sort;

mod linalg;

mod decompose;
mod determinant;
mod einsum;

mod entropy;
mod gamma;
mod nn;
mod normal;

mod signal;
mod window;

mod display;
mod slopes;

use smallvec::{SmallVec, smallvec};

/// Methods that are composed of others: `name(x, arguments) -> Result { body }` with `x` for the
/// tensor. Errors name the line that calls the method. Arguments of type `Operand` are tensors in the
/// body, and tensors or numbers for the caller. What is said of all of them, `//!`, stands above. What
/// stands behind `where` is asked of the tensors first, so that errors name this function: see
/// [`dtypes`].
macro_rules! composed {
    // Methods, and functions of operands, are collected one by one.
    (@ [$($head:meta)*] [$($methods:tt)*] [$($functions:tt)*]) => {
        $(#[$head])*
        impl crate::Tensor {
            $($methods)*
            crate::tensor::operand::operand_functions! { $($functions)* }
        }
        crate::tensor::composed! { @methods [$($head)*] $($functions)* }
    };
    (@methods $head:tt) => {};
    (@methods [$($head:meta)*] $($functions:tt)+) => {
        $(#[$head])*
        impl crate::tensor::Elementwise {
            crate::tensor::operand::operand_methods! { $($functions)+ }
        }
    };
    (@ $head:tt $methods:tt $functions:tt
     $(#[$doc:meta])* $name:ident($x:ident $(, $y:ident: Operand)+) -> $result:ty where $takes:ident
     $body:block $($rest:tt)*) => {
        crate::tensor::composed! {
            @ $head $methods $functions
            $(#[$doc])* $name($x $(, $y: Operand)+) -> $result {
                crate::tensor::dtypes::$takes(&[$x $(, $y)+], || $body)
            }
            $($rest)*
        }
    };
    (@ $head:tt $methods:tt $functions:tt
     $(#[$doc:meta])* $name:ident($x:ident $(, $arg:ident: $ty:ty)*) -> $result:ty where $takes:ident
     $body:block $($rest:tt)*) => {
        crate::tensor::composed! {
            @ $head $methods $functions
            $(#[$doc])* $name($x $(, $arg: $ty)*) -> $result {
                crate::tensor::dtypes::$takes(&[$x], || $body)
            }
            $($rest)*
        }
    };
    (@ $head:tt [$($methods:tt)*] [$($functions:tt)*]
     $(#[$doc:meta])* $name:ident($x:ident $(, $y:ident: Operand)+) -> $result:ty $body:block
     $($rest:tt)*) => {
        crate::tensor::composed! {
            @ $head [$($methods)*]
            [$($functions)* $(#[$doc])* $name($x $(, $y)+) -> $result $body]
            $($rest)*
        }
    };
    (@ $head:tt [$($methods:tt)*] [$($functions:tt)*]
     $(#[$doc:meta])* $name:ident($x:ident $(, $arg:ident: $ty:ty)*) -> $result:ty $body:block
     $($rest:tt)*) => {
        crate::tensor::composed! {
            @ $head
            [
                $($methods)*
                $(#[$doc])*
                #[track_caller]
                pub fn $name(&self $(, $arg: $ty)*) -> $result {
                    let $x = self;
                    crate::operation(stringify!($name), || $body)
                }
            ]
            [$($functions)*]
            $($rest)*
        }
    };
    ($(#![$head:meta])* $(#[$doc:meta])* $name:ident($($arguments:tt)*) $($rest:tt)*) => {
        crate::tensor::composed! {
            @ [$($head)*] [] [] $(#[$doc])* $name($($arguments)*) $($rest)*
        }
    };
}
use composed;

pub use arrange::PadMode;
pub use axes::{AxisList, AxisNumber};
pub use cumulative::{Direction, associative_scan};
pub use dtypes::{floats, not_floats};
pub use index_arg::{AtIndex, DimensionIndex, IndexArg, IndexRange, strided};
pub use nested::{Nested, TensorList};
pub use operand::{Elementwise, Given, Operand, operands};
pub use operators::Broadcast;

pub use window::{Conv, WindowAxis};

use crate::error::{Error, ErrorKind, Place};
use crate::op::Types;
use crate::trace::{Traced, record};
use crate::{Array, DType, Op, Result, Shape, TensorType, backend, cancel};

/// An n-dimensional array of one dtype, or a stand-in for one inside a transform.
///
/// The elementwise functions of several operands, such as `x.maximum(y)`, are methods of [`Elementwise`],
/// to which every tensor dereferences.
///
/// Operations on concrete tensors compute at once. Inside `vmap`, `grad`, `jit` and the other
/// transforms a tensor is *traced*: it has a shape and a dtype, but no value yet. Cloning is cheap;
/// tensors never change.
///
/// Arithmetic of integers wraps around at the bounds of their dtype, also in sums, products and
/// powers. An integer divided by 0 is -1 (of u32 the largest one), and the remainder is the dividend.
/// Floats follow IEEE 754. All of this is as in JAX.
///
/// ```
/// # use unloop_graph::Tensor;
/// let x = Tensor::from([7, i32::MAX]);
/// assert_eq!((&x + 1).to_vec::<i32>()?, [8, i32::MIN]);
/// assert_eq!((&x / 0).to_vec::<i32>()?, [-1, -1]);
/// assert_eq!((&x % 0).to_vec::<i32>()?, [7, i32::MAX]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
///
/// An operation that cannot be done yields a tensor that carries the [`Error`]; later operations
/// pass it on, and it comes out as `Err` where values leave: [`Tensor::check`],
/// [`Tensor::to_array`], [`Tensor::to_vec`], [`Tensor::item`].
///
/// # Errors
/// The `# Errors` of a method are the kinds ([`ErrorKind`]) that its result carries for which misuse. Every
/// method passes on the error of an operand, and every operation can fail with `OutOfMemory` or
/// `SizeOverflow` (no room for the result), `Cancelled` (by a [`CancelToken`](crate::CancelToken)) and
/// `EscapedTracer` (a traced tensor outside of its transform): that is not said of each.
///
/// ```
/// # use unloop_graph::{ErrorKind, Tensor};
/// let x = Tensor::from([1.0, 2.0]).sum_axis(3) * 2.0;
/// assert_eq!(*x.check().unwrap_err().kind(), ErrorKind::AxisOutOfRange { axis: 3, rank: 1 });
/// ```
///
/// # Numbers and shapes
/// Operands of an elementwise function have one shape, or are scalars, and one dtype; numbers take the
/// dtype of the tensor that they meet ([`Operand`]). Nothing is converted silently:
/// [`Tensor::cast`] changes the dtype, [`Tensor::broadcast`] lets NumPy's rule for shapes apply. Axes
/// are integers of any type, negative ones count from the end; several are an array or a range
/// ([`AxisList`]).
#[derive(Clone)]
pub struct Tensor {
    pub(crate) repr: Repr,
}

#[derive(Clone)]
pub(crate) enum Repr {
    Concrete(Array),
    Traced(Traced),
    /// The error, and the type of an operand of the operation that failed, so that functions that
    /// look at shapes do not stumble over an error before it is reported.
    Error(Error, Box<TensorType>),
}

impl From<Array> for Tensor {
    fn from(array: Array) -> Tensor {
        Tensor { repr: Repr::Concrete(array) }
    }
}

/// # For transforms
impl Tensor {
    pub(crate) fn traced(traced: Traced) -> Tensor {
        Tensor { repr: Repr::Traced(traced) }
    }

    /// The concrete value. `what` is the method that wants it, which the error names.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).value("print")?.len(), 2);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that the tensor carries; `TracedValue` inside a transform.
    #[track_caller]
    pub fn value(&self, what: &'static str) -> Result<&Array> {
        match &self.repr {
            Repr::Concrete(array) => Ok(array),
            Repr::Traced(_) => Err(Error::new(what, ErrorKind::TracedValue, Place::of(what))),
            Repr::Error(error, _) => Err(error.clone()),
        }
    }

    /// Applies an operation: computed at once if every operand is concrete, else recorded in the newest
    /// trace among them. Has as many results as the operation. `place` is where it stands in the user's
    /// program.
    ///
    /// ```
    /// # use unloop_graph::{Op, Place, Tensor, UnaryOp};
    /// let (op, x) = (Op::Unary(UnaryOp::Neg), Tensor::from([1, -2]));
    /// let y = Tensor::apply(op, &[&x], Place::here()).remove(0);
    /// assert_eq!(y.to_vec::<i32>()?, [-1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all results: what [`Op::infer`] says of the operands' types; what the run says.
    pub fn apply(op: Op, operands: &[&Tensor], place: Place) -> SmallVec<[Tensor; 1]> {
        let count = op.result_count();
        if count == 0 {
            return SmallVec::new();
        }
        let place = place.or_op(op.name());
        let all = |tensor: Tensor| smallvec![tensor; count];
        if let Some(&error) = operands.iter().find(|t| t.as_error().is_some()) {
            return all(error.clone());
        }
        let inputs: SmallVec<[TensorType; 3]> = operands.iter().map(|t| t.ty()).collect();
        let like = || inputs.first().cloned().unwrap_or_else(|| TensorType::new(DType::F64, ()));
        let fail = |error: Error| all(Tensor::error_like(error, like()));
        let types = match cancel::check().and_then(|()| op.infer(&inputs)) {
            Ok(types) => types,
            Err(kind) => return fail(Error::new(op.name(), kind, place)),
        };
        match record(&op, operands, &types, place) {
            Some(Ok(results)) => results,
            Some(Err(error)) => fail(error),
            None => match compute(op, operands, types, place) {
                Ok(results) => results,
                Err(error) => fail(error),
            },
        }
    }

    /// Applies an operation of one result, at the caller's line.
    #[track_caller]
    pub(crate) fn apply1(op: Op, operands: &[&Tensor]) -> Tensor {
        Tensor::apply(op, operands, Place::here()).swap_remove(0)
    }
}

fn compute(
    op: Op,
    operands: &[&Tensor],
    types: Types,
    place: Place,
) -> Result<SmallVec<[Tensor; 1]>> {
    let arrays: SmallVec<[&Array; 3]> = operands
        .iter()
        .filter_map(|t| match &t.repr {
            Repr::Concrete(array) => Some(array),
            Repr::Traced(_) | Repr::Error(..) => None,
        })
        .collect();
    if let Some(view) = op.view(&arrays, &types[0]) {
        return Ok(smallvec![view.into()]);
    }
    if let Op::Constant(value) = op {
        return Ok(smallvec![Array::fill(Shape::scalar(), value).into()]);
    }
    let arrays: Vec<Array> = arrays.into_iter().cloned().collect();
    if let Some(constant) = constant(&op, &arrays, &types, place)? {
        return Ok(smallvec![constant.into()]);
    }
    let results = backend::run_op(op, &arrays, types, place)?;
    Ok(results.into_iter().map(Tensor::from).collect())
}

/// What is computed element by element from constants is a constant.
fn constant(op: &Op, operands: &[Array], types: &Types, place: Place) -> Result<Option<Array>> {
    if !op.is_elementwise() || types[0].rank() == 0 {
        return Ok(None);
    }
    let scalars: Option<Vec<Array>> = operands
        .iter()
        .map(|x| x.as_fill().map(|value| Array::fill(Shape::scalar(), value)))
        .collect();
    let Some(scalars) = scalars else { return Ok(None) };
    let ty: Types = [TensorType::new(types[0].dtype, ())].into_iter().collect();
    let result = backend::run_op(op.clone(), &scalars, ty, place)?;
    Ok(result.first().map(|x| x.broadcast(&types[0].shape, &[])))
}
