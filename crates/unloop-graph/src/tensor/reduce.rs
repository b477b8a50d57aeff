//! Reductions: over all axes (`sum()`), over some (`sum_axis(0)`, `sum_axis([0, -1])`), and keeping
//! the reduced axes with size 1 (`sum_keep(0)`).

use super::axes::{AxisList, AxisNumber};
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
                Reduction::Mean => match self.require_float("mean", place) {
                    Some(error) => error,
                    None => self.reduce_op(ReduceOp::Sum, axes.clone()) / self.count(&axes),
                },
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

    /// Reduces over normalised, sorted axes.
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

    /// Position of the first largest element in row-major order, as i64; NaN counts as largest.
    #[track_caller]
    pub fn argmax(&self) -> Tensor {
        operation("argmax", || self.arg_reduce(ArgReduceOp::Max, None))
    }

    /// Position of the first largest element along an axis, as i64; NaN counts as largest.
    #[track_caller]
    pub fn argmax_axis(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmax_axis", || self.arg_reduce(ArgReduceOp::Max, Some(axis)))
    }

    /// Like [`Tensor::argmax_axis`]; the axis stays, with size 1.
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

    /// Position of the first smallest element in row-major order, as i64; NaN counts as smallest.
    #[track_caller]
    pub fn argmin(&self) -> Tensor {
        operation("argmin", || self.arg_reduce(ArgReduceOp::Min, None))
    }

    /// Position of the first smallest element along an axis, as i64; NaN counts as smallest.
    #[track_caller]
    pub fn argmin_axis(&self, axis: impl AxisNumber) -> Tensor {
        let axis = axis.number();
        operation("argmin_axis", || self.arg_reduce(ArgReduceOp::Min, Some(axis)))
    }

    /// Like [`Tensor::argmin_axis`]; the axis stays, with size 1.
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

macro_rules! reductions {
    ($($(#[$more:meta])* $what:literal $how:expr, $all:ident $axis:ident $keep:ident;)+) => {
        impl Tensor {$(
            #[doc = concat!($what, " of all elements, a scalar.")]
            #[doc = ""]
            #[doc = concat!("Along some axes: [`Tensor::", stringify!($axis), "`], which drops them, and")]
            #[doc = concat!("[`Tensor::", stringify!($keep), "`], which keeps them with size 1.")]
            $(#[$more])*
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                operation(stringify!($all), || self.reduce($how, None, false))
            }

            #[doc = concat!($what, " along one axis or several, which disappear.")]
            #[track_caller]
            pub fn $axis(&self, axes: impl AxisList) -> Tensor {
                operation(stringify!($axis), || self.reduce($how, Some(&axes.axes()), false))
            }

            #[doc = concat!($what, " along one axis or several, which stay with size 1.")]
            #[track_caller]
            pub fn $keep(&self, axes: impl AxisList) -> Tensor {
                operation(stringify!($keep), || self.reduce($how, Some(&axes.axes()), true))
            }
        )+}
    };
}

reductions! {
    "The sum" Reduction::Op(ReduceOp::Sum), sum sum_axis sum_keep;
    "The product" Reduction::Op(ReduceOp::Prod), prod prod_axis prod_keep;
    /// Of two tensors, element by element: `x.maximum(y)`, [`Tensor::maximum`].
    "The largest" Reduction::Op(ReduceOp::Max), max max_axis max_keep;
    /// Of two tensors, element by element: `x.minimum(y)`, [`Tensor::minimum`].
    "The smallest" Reduction::Op(ReduceOp::Min), min min_axis min_keep;
    "Whether all are true," Reduction::Op(ReduceOp::And), all all_axis all_keep;
    "Whether any is true," Reduction::Op(ReduceOp::Or), any any_axis any_keep;
    "The arithmetic mean" Reduction::Mean, mean mean_axis mean_keep;
}

macro_rules! moments {
    ($($doc:literal $all:ident $axis:ident $keep:ident => $finish:expr;)+) => {
        impl Tensor {$(
            #[doc = $doc]
            #[doc = "All elements count."]
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                let axes: Vec<isize> = (0..self.rank() as isize).collect();
                operation(stringify!($all), || self.$axis(axes))
            }

            #[doc = $doc]
            #[doc = "Along one axis or several, which disappear."]
            #[track_caller]
            pub fn $axis(&self, axes: impl AxisList) -> Tensor {
                let (axes, finish): (_, fn(&Tensor) -> Tensor) = (axes.axes(), $finish);
                operation(stringify!($axis), || {
                    finish(&self.deviations(&axes).square().mean_axis(axes))
                })
            }

            #[doc = $doc]
            #[doc = "Along one axis or several, which stay with size 1."]
            #[track_caller]
            pub fn $keep(&self, axes: impl AxisList) -> Tensor {
                let (axes, finish): (_, fn(&Tensor) -> Tensor) = (axes.axes(), $finish);
                operation(stringify!($keep), || {
                    finish(&self.deviations(&axes).square().mean_keep(axes))
                })
            }
        )+}
    };
}

moments! {
    "The variance: the mean squared distance from the mean (divided by n), computed in two passes."
        variance variance_axis variance_keep => Tensor::clone;
    "The standard deviation: the square root of the variance."
        std std_axis std_keep => Tensor::sqrt;
}

impl Tensor {
    /// The distance of each element from the mean along axes.
    #[track_caller]
    fn deviations(&self, axes: &[isize]) -> Tensor {
        self - self.mean_keep(axes).broadcast()
    }

    /// The Euclidean norm `√Σx²` of all elements. Its gradient `x/‖x‖` is NaN at the origin, as in
    /// JAX; that of [`Tensor::safe_norm`] is 0 there.
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        operation("norm", || self.square().sum().sqrt())
    }

    /// The Euclidean norm along one axis or several, which disappear.
    #[track_caller]
    pub fn norm_axis(&self, axes: impl AxisList) -> Tensor {
        operation("norm_axis", || self.square().sum_axis(axes).sqrt())
    }

    /// The Euclidean norm along one axis or several, which stay with size 1.
    #[track_caller]
    pub fn norm_keep(&self, axes: impl AxisList) -> Tensor {
        operation("norm_keep", || self.square().sum_keep(axes).sqrt())
    }

    /// [`Tensor::norm`] whose derivatives of all orders are 0 at the origin, where the norm has none:
    /// distances whose points may coincide.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([3.0, -4.0]).safe_norm().item::<f64>()?, 5.0);
    /// assert_eq!(Tensor::from([0.0, 0.0]).safe_norm().item::<f64>()?, 0.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn safe_norm(&self) -> Tensor {
        operation("safe_norm", || self.square().sum().sqrt_or_zero())
    }

    /// [`Tensor::safe_norm`] along one axis or several, which disappear.
    #[track_caller]
    pub fn safe_norm_axis(&self, axes: impl AxisList) -> Tensor {
        operation("safe_norm_axis", || self.square().sum_axis(axes).sqrt_or_zero())
    }

    /// [`Tensor::safe_norm`] along one axis or several, which stay with size 1.
    #[track_caller]
    pub fn safe_norm_keep(&self, axes: impl AxisList) -> Tensor {
        operation("safe_norm_keep", || self.square().sum_keep(axes).sqrt_or_zero())
    }

    /// The square root, without a derivative at 0.
    #[track_caller]
    fn sqrt_or_zero(&self) -> Tensor {
        let is_zero = self.equal(0.0);
        // The root that is not taken must not be infinite in derivatives.
        is_zero.select(0.0, is_zero.select(1.0, self).sqrt())
    }
}
