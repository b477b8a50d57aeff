//! Reductions: over all axes (`sum()`), over some (`sum_axis(0)`, `sum_axis([0, -1])`), and keeping
//! the reduced axes with size 1 (`sum_keep(0)`).

use super::axes::{AxisList, AxisNumber};
use super::dtypes::floats;
use crate::error::{ErrorKind, Place, operation};
use crate::shape::{normalize_axes, normalize_axis};
use crate::{ArgReduceOp, Axes, DType, Number, Op, ReduceOp, Shape, Tensor};

/// The operations that have the three forms.
#[derive(Clone, Copy)]
enum Reduction {
    Op(ReduceOp),
    Mean,
}

impl Reduction {
    fn name(self) -> &'static str {
        match self {
            Reduction::Op(op) => op.name(),
            Reduction::Mean => "mean",
        }
    }
}

impl Tensor {
    /// The extents of axes, multiplied.
    pub(crate) fn extent(&self, axes: &[usize]) -> usize {
        axes.iter().map(|&a| self.shape()[a]).product()
    }

    #[track_caller]
    fn reduce(&self, how: Reduction, axes: Option<&[isize]>, keep: bool) -> Tensor {
        let place = Place::here();
        if self.as_error().is_some() {
            return self.clone();
        }
        let axes: Axes = match axes.map(|axes| normalize_axes(axes, self.rank())) {
            None => (0..self.rank()).collect(),
            Some(Ok(mut axes)) => {
                axes.sort_unstable();
                axes
            }
            Some(Err(kind)) => return Tensor::fail(how.name(), kind, place, self),
        };
        let empty = self.extent(&axes) == 0;
        if empty && matches!(how, Reduction::Op(ReduceOp::Max | ReduceOp::Min)) {
            let message =
                format!("no elements along the reduced axes of shape {}", self.ty().shape);
            return Tensor::fail(how.name(), ErrorKind::InvalidArgument(message), place, self);
        }
        place.scope(|| {
            let reduced = match how {
                Reduction::Op(op) => self.reduce_op(op, axes.clone()),
                Reduction::Mean => floats(&[self], || {
                    self.reduce_op(ReduceOp::Sum, axes.clone()) / self.count(&axes)
                }),
            };
            match keep {
                true => reduced.keep(&axes, self.shape()),
                false => reduced,
            }
        })
    }

    /// The number of elements along axes, as a scalar of this tensor's dtype.
    #[track_caller]
    pub(crate) fn count(&self, axes: &[usize]) -> Tensor {
        self.literal(Number::Int(self.extent(axes) as i128))
    }
}

/// # Any reduction
impl Tensor {
    /// Reduces over axes, which are counted from the start and sorted, as [`ReduceOp`] says; they
    /// disappear, and the dtype stays. For transforms and the like; [`Tensor::sum_axis`] and its kin
    /// take axes as the user gives them.
    ///
    /// ```
    /// # use unloop_graph::{ReduceOp, Tensor};
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let y = x.reduce_op(ReduceOp::Prod, [0].into_iter().collect());
    /// assert_eq!(y.to_vec::<i32>()?, [3, 8]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` unless they
    /// increase; `UnsupportedDType` of bool for sums and products, of floats for and, or and xor.
    #[track_caller]
    pub fn reduce_op(&self, op: ReduceOp, axes: Axes) -> Tensor {
        operation("reduce_op", || match axes.is_empty() {
            true => self.clone(),
            false => Tensor::apply1(Op::Reduce { op, axes }, &[self]),
        })
    }

    /// Reduced axes put back with size 1.
    #[track_caller]
    fn keep(&self, axes: &[usize], shape: &[usize]) -> Tensor {
        let extent = |(a, &d): (usize, &usize)| if axes.contains(&a) { 1 } else { d };
        match self.as_error() {
            Some(_) => self.clone(),
            None => self.reshape(shape.iter().enumerate().map(extent).collect::<Shape>()),
        }
    }

    #[track_caller]
    fn arg_reduce(&self, op: ArgReduceOp, axis: Option<isize>) -> Tensor {
        let Some(axis) = axis else { return self.flatten().arg_reduce(op, Some(0)) };
        match normalize_axis(axis, self.rank()) {
            Ok(axis) => Tensor::apply1(Op::ArgReduce { op, axis, dtype: DType::I64 }, &[self]),
            Err(kind) => Tensor::fail(op.name(), kind, Place::here(), self),
        }
    }
}

/// # Positions of extremes
impl Tensor {
    /// The position of the first largest element in row-major order, as an i64 scalar; NaN counts as
    /// largest.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3, 9, 1, 9]).argmax().item::<i64>()?, 1);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` of a tensor without elements.
    #[track_caller]
    pub fn argmax(&self) -> Tensor {
        operation("argmax", || self.arg_reduce(ArgReduceOp::Max, None))
    }

    /// The position of the first largest element along an axis, which disappears, as i64; NaN counts as
    /// largest.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3, 9], [4, 1]]);
    /// assert_eq!(x.argmax_axis(1).to_vec::<i64>()?, [1, 0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements.
    #[track_caller]
    pub fn argmax_axis(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmax_axis", || self.arg_reduce(ArgReduceOp::Max, Some(axis)))
    }

    /// Like [`Tensor::argmax_axis`], as i64; the axis stays, with size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3, 9], [4, 1]]);
    /// assert_eq!(x.argmax_keep(1).shape(), [2, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements.
    #[track_caller]
    pub fn argmax_keep(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmax_keep", || {
            let position = self.argmax_axis(axis);
            match normalize_axis(axis, self.rank()) {
                Ok(axis) => position.keep(&[axis], self.shape()),
                Err(_) => position,
            }
        })
    }

    /// The position of the first smallest element in row-major order, as an i64 scalar; NaN counts as
    /// smallest.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3, 9, 1, 9]).argmin().item::<i64>()?, 2);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` of a tensor without elements.
    #[track_caller]
    pub fn argmin(&self) -> Tensor {
        operation("argmin", || self.arg_reduce(ArgReduceOp::Min, None))
    }

    /// The position of the first smallest element along an axis, which disappears, as i64; NaN counts
    /// as smallest.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3, 9], [4, 1]]);
    /// assert_eq!(x.argmin_axis(1).to_vec::<i64>()?, [0, 1]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements.
    #[track_caller]
    pub fn argmin_axis(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmin_axis", || self.arg_reduce(ArgReduceOp::Min, Some(axis)))
    }

    /// Like [`Tensor::argmin_axis`], as i64; the axis stays, with size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3, 9], [4, 1]]);
    /// assert_eq!(x.argmin_keep(1).shape(), [2, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `InvalidArgument` for one
    /// without elements.
    #[track_caller]
    pub fn argmin_keep(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmin_keep", || {
            let position = self.argmin_axis(axis);
            match normalize_axis(axis, self.rank()) {
                Ok(axis) => position.keep(&[axis], self.shape()),
                Err(_) => position,
            }
        })
    }
}

/// Runs in the documentation: `check` of a tensor `x`.
macro_rules! example {
    ($x:literal, $($check:expr),+) => {
        concat!(
            "\n```\n# use unloop_graph::Tensor;\nlet x = Tensor::from(", $x, ");\nassert_eq!(x.",
            $($check,)+ ");\n# Ok::<(), unloop_graph::Error>(())\n```\n"
        )
    };
}

/// What may go wrong along axes, and is said of each function.
macro_rules! axes_errors {
    ($errors:literal) => {
        concat!(
            "# Errors\nCarried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` \
             for one given twice; ",
            $errors
        )
    };
}

macro_rules! reductions {
    ($(
        $(#![$head:meta])*
        $(#[$more:meta])* $what:literal of $t:ident, $result:literal, $errors:literal,
        $x:literal => $one:literal $along:literal;
        $how:expr, $all:ident $axis:ident $keep:ident;
    )+) => {$(
        $(#[$head])*
        impl Tensor {
            #[doc = concat!($what, " of all elements: a scalar", $result, ".")]
            #[doc = ""]
            #[doc = concat!("Along some axes: [`Tensor::", stringify!($axis), "`], which drops them, and")]
            #[doc = concat!("[`Tensor::", stringify!($keep), "`], which keeps them with size 1.")]
            $(#[$more])*
            #[doc = example!($x, stringify!($all), "().item::<", stringify!($t), ">()?, ", $one)]
            #[doc = concat!("# Errors\nCarried: ", $errors)]
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                operation(stringify!($all), || self.reduce($how, None, false))
            }

            #[doc = concat!($what, " along one axis or several, which disappear", $result, ".")]
            #[doc = example!($x, stringify!($axis), "(1).to_vec::<", stringify!($t), ">()?, ", $along)]
            #[doc = axes_errors!($errors)]
            #[track_caller]
            pub fn $axis(&self, axes: impl AxisList) -> Tensor {
                operation(stringify!($axis), || self.reduce($how, Some(&axes.axes()), false))
            }

            #[doc = concat!($what, " along one axis or several, which stay with size 1", $result, ".")]
            #[doc = example!($x, stringify!($keep), "(1).shape(), [2, 1]")]
            #[doc = axes_errors!($errors)]
            #[track_caller]
            pub fn $keep(&self, axes: impl AxisList) -> Tensor {
                operation(stringify!($keep), || self.reduce($how, Some(&axes.axes()), true))
            }
        }
    )+};
}

reductions! {
    //! # Sums, products, extremes and means
    //! Each in three forms: of all elements, along axes that disappear, along axes that stay with size 1.
    /// Of nothing: 0. Integers wrap.
    "The sum" of f64, " of the same dtype", "`UnsupportedDType` of bool.",
    "[[1.0, 2.0], [3.0, 4.0]]" => "10.0" "[3.0, 7.0]";
    Reduction::Op(ReduceOp::Sum), sum sum_axis sum_keep;

    /// Of nothing: 1. Integers wrap.
    "The product" of f64, " of the same dtype", "`UnsupportedDType` of bool.",
    "[[1.0, 2.0], [3.0, 4.0]]" => "24.0" "[2.0, 12.0]";
    Reduction::Op(ReduceOp::Prod), prod prod_axis prod_keep;

    /// Of two tensors, element by element: `x.maximum(y)`, [`Tensor::maximum`]. NaN if any element is.
    "The largest" of f64, " of the same dtype", "`InvalidArgument` where there is no element.",
    "[[1.0, 2.0], [4.0, 3.0]]" => "4.0" "[2.0, 4.0]";
    Reduction::Op(ReduceOp::Max), max max_axis max_keep;

    /// Of two tensors, element by element: `x.minimum(y)`, [`Tensor::minimum`]. NaN if any element is.
    "The smallest" of f64, " of the same dtype", "`InvalidArgument` where there is no element.",
    "[[1.0, 2.0], [4.0, 3.0]]" => "1.0" "[1.0, 3.0]";
    Reduction::Op(ReduceOp::Min), min min_axis min_keep;

    /// Of nothing: true.
    "Logical and (of integers, bitwise and)" of bool, " of the same dtype", "`UnsupportedDType` of floats.",
    "[[true, false], [true, true]]" => "false" "[false, true]";
    Reduction::Op(ReduceOp::And), all all_axis all_keep;

    /// Of nothing: false.
    "Logical or (of integers, bitwise or)" of bool, " of the same dtype", "`UnsupportedDType` of floats.",
    "[[true, false], [false, false]]" => "true" "[true, false]";
    Reduction::Op(ReduceOp::Or), any any_axis any_keep;

    /// Of nothing: NaN.
    "The arithmetic mean" of f64, " of the same dtype", "`UnsupportedDType` unless the dtype is f32 or f64.",
    "[[1.0, 2.0], [3.0, 4.0]]" => "2.5" "[1.5, 3.5]";
    Reduction::Mean, mean mean_axis mean_keep;
}

macro_rules! moments {
    ($(
        $(#![$head:meta])*
        $doc:literal, $x:literal => $one:literal $along:literal;
        $all:ident $axis:ident $keep:ident => $finish:expr;
    )+) => {$(
        $(#[$head])*
        impl Tensor {
            #[doc = $doc]
            #[doc = "All elements count; the result is a scalar of the same dtype."]
            #[doc = example!($x, stringify!($all), "().item::<f64>()?, ", $one)]
            #[doc = "# Errors\nCarried: `UnsupportedDType` unless the dtype is f32 or f64."]
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                let axes: Vec<isize> = (0..self.rank() as isize).collect();
                operation(stringify!($all), || self.$axis(axes))
            }

            #[doc = $doc]
            #[doc = "Along one axis or several, which disappear; the dtype stays."]
            #[doc = example!($x, stringify!($axis), "(1).to_vec::<f64>()?, ", $along)]
            #[doc = axes_errors!("`UnsupportedDType` unless the dtype is f32 or f64.")]
            #[track_caller]
            pub fn $axis(&self, axes: impl AxisList) -> Tensor {
                let (axes, finish): (_, fn(&Tensor) -> Tensor) = (axes.axes(), $finish);
                operation(stringify!($axis), || {
                    finish(&self.deviations(&axes).square().mean_axis(axes))
                })
            }

            #[doc = $doc]
            #[doc = "Along one axis or several, which stay with size 1; the dtype stays."]
            #[doc = example!($x, stringify!($keep), "(1).shape(), [2, 1]")]
            #[doc = axes_errors!("`UnsupportedDType` unless the dtype is f32 or f64.")]
            #[track_caller]
            pub fn $keep(&self, axes: impl AxisList) -> Tensor {
                let (axes, finish): (_, fn(&Tensor) -> Tensor) = (axes.axes(), $finish);
                operation(stringify!($keep), || {
                    finish(&self.deviations(&axes).square().mean_keep(axes))
                })
            }
        }
    )+};
}

moments! {
    //! # Variance and standard deviation
    "The variance: the mean squared distance from the mean (divided by n), computed in two passes. \
     Divided by `n - ddof`: [`Tensor::variance_ddof`].",
    "[[1.0, 3.0], [4.0, 4.0]]" => "1.5" "[1.0, 0.0]";
    variance variance_axis variance_keep => Tensor::clone;

    "The standard deviation: the square root of the variance, [`Tensor::variance`].",
    "[[1.0, 5.0], [3.0, 3.0]]" => "2f64.sqrt()" "[2.0, 0.0]";
    std std_axis std_keep => Tensor::sqrt;
}

/// # Norms
impl Tensor {
    /// The distance of each element from the mean along axes.
    #[track_caller]
    fn deviations(&self, axes: &[isize]) -> Tensor {
        self - self.mean_keep(axes).broadcast()
    }

    /// The Euclidean norm `√Σx²` of all elements, a scalar. Its gradient `x/‖x‖` is NaN at the origin,
    /// as in JAX; that of [`Tensor::safe_norm`] is 0 there.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, -4.0]).norm().item::<f64>()?, 5.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        operation("norm", || self.square().sum().sqrt())
    }

    /// The Euclidean norm `√Σx²` along one axis or several, which disappear.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3.0, 4.0], [5.0, 12.0]]);
    /// assert_eq!(x.norm_axis(1).to_vec::<f64>()?, [5.0, 13.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn norm_axis(&self, axes: impl AxisList) -> Tensor {
        operation("norm_axis", || self.square().sum_axis(axes).sqrt())
    }

    /// The Euclidean norm `√Σx²` along one axis or several, which stay with size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3.0, 4.0], [6.0, 8.0]]);
    /// let unit = &x / x.norm_keep(1).broadcast();
    /// assert_eq!(unit.to_vec::<f64>()?, [0.6, 0.8, 0.6, 0.8]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn norm_keep(&self, axes: impl AxisList) -> Tensor {
        operation("norm_keep", || self.square().sum_keep(axes).sqrt())
    }

    /// [`Tensor::norm`], a scalar, whose derivatives of all orders are 0 at the origin, where the norm
    /// has none: distances whose points may coincide.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, -4.0]).safe_norm().item::<f64>()?, 5.0);
    /// assert_eq!(Tensor::from([0.0, 0.0]).safe_norm().item::<f64>()?, 0.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn safe_norm(&self) -> Tensor {
        operation("safe_norm", || floats(&[self], || self.square().sum().sqrt_or_zero()))
    }

    /// [`Tensor::safe_norm`] along one axis or several, which disappear.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3.0, 4.0], [0.0, 0.0]]);
    /// assert_eq!(x.safe_norm_axis(1).to_vec::<f64>()?, [5.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn safe_norm_axis(&self, axes: impl AxisList) -> Tensor {
        operation("safe_norm_axis", || {
            floats(&[self], || self.square().sum_axis(axes).sqrt_or_zero())
        })
    }

    /// [`Tensor::safe_norm`] along one axis or several, which stay with size 1.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([[3.0, 4.0], [0.0, 0.0]]);
    /// assert_eq!(x.safe_norm_keep(1).shape(), [2, 1]);
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `RepeatedAxis` for one
    /// given twice; `UnsupportedDType` unless the dtype is f32 or f64.
    #[track_caller]
    pub fn safe_norm_keep(&self, axes: impl AxisList) -> Tensor {
        operation("safe_norm_keep", || {
            floats(&[self], || self.square().sum_keep(axes).sqrt_or_zero())
        })
    }

    /// The square root, without a derivative at 0.
    #[track_caller]
    fn sqrt_or_zero(&self) -> Tensor {
        let is_zero = self.equal(0.0);
        // The root that is not taken must not be infinite in derivatives.
        is_zero.select(0.0, is_zero.select(1.0, self).sqrt())
    }
}
