//! Constructors. A constant fill takes the memory of one element.

use crate::error::{Error, ErrorKind, Place, operation};
use crate::memory::vec_with_room;
use crate::{Array, DType, Element, Number, Op, Scalar, Shape, Tensor, TensorType};

/// # Constructors
/// A constant fill takes the memory of one element.
impl Tensor {
    /// One value everywhere, of the value's dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::full((2, 2), 7).to_vec::<i32>()?, [7, 7, 7, 7]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn full<T: Element>(shape: impl Into<Shape>, value: T) -> Tensor {
        operation("full", || Tensor::full_of(shape, value.scalar()))
    }

    /// One value everywhere; the dtype is known only at run time.
    ///
    /// ```
    /// # use unloop_graph::{Scalar, Tensor};
    /// let x = Tensor::full_of(2, Scalar::F32(0.5));
    /// assert_eq!(x.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn full_of(shape: impl Into<Shape>, value: Scalar) -> Tensor {
        let shape = shape.into();
        match shape.checked_size(value.dtype()) {
            Ok(_) => Array::fill(shape, value).into(),
            Err(kind) => Tensor::error(Error::new("full", kind, Place::of("full_of"))),
        }
    }

    /// Zeros (`false` for bool) of a dtype and a shape: `3`, `(2, 3)`, `()` for a scalar.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let z = Tensor::zeros(DType::F32, (1_000_000, 1_000)); // takes no memory
    /// assert_eq!(z.shape(), [1_000_000, 1_000]);
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Tensor {
        operation("zeros", || Tensor::full_of(shape, Scalar::new(dtype, Number::Int(0))))
    }

    /// Ones (`true` for bool) of a dtype and a shape: `3`, `(2, 3)`, `()` for a scalar.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// assert_eq!(Tensor::ones(DType::F64, 2).to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn ones(dtype: DType, shape: impl Into<Shape>) -> Tensor {
        operation("ones", || Tensor::full_of(shape, Scalar::new(dtype, Number::Int(1))))
    }

    /// Zeros of this tensor's dtype and shape; a constant, also inside a transform.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.5, 2.5]).zeros_like().to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// None: the zeros of a tensor that carries an error have the type that it reports.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        operation("zeros_like", || Tensor::zeros(self.dtype(), self.shape()))
    }

    /// Ones of this tensor's dtype and shape; a constant, also inside a transform.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.5, 2.5]).ones_like().to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// None: the ones of a tensor that carries an error have the type that it reports.
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        operation("ones_like", || Tensor::ones(self.dtype(), self.shape()))
    }

    /// A number in this tensor's dtype, as a scalar tensor.
    #[track_caller]
    pub(crate) fn literal(&self, value: Number) -> Tensor {
        Tensor::number(self.dtype(), value)
    }

    /// A number in a dtype, as a scalar tensor.
    #[track_caller]
    pub(crate) fn number(dtype: DType, value: Number) -> Tensor {
        Tensor::full_of((), Scalar::new(dtype, value))
    }

    /// The identity matrix `[n, n]` of a dtype.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// assert_eq!(Tensor::eye(DType::F64, 2).to_vec::<f64>()?, [1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn eye(dtype: DType, n: usize) -> Tensor {
        operation("eye", || {
            let row = Tensor::iota(DType::I64, (n, n), 0);
            let column = Tensor::iota(DType::I64, (n, n), 1);
            row.equal(&column).cast(dtype)
        })
    }

    /// The position along `axis`, counted from the start, everywhere in `shape`.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// let x = Tensor::iota(DType::I64, (2, 3), 1);
    /// assert_eq!(x.to_vec::<i64>()?, [0, 1, 2, 0, 1, 2]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `UnsupportedDType` of bool; `AxisOutOfRange` for an axis that the shape does not have;
    /// `SizeOverflow` for a shape that cannot be addressed.
    #[track_caller]
    pub fn iota(dtype: DType, shape: impl Into<Shape>, axis: usize) -> Tensor {
        operation("iota", || {
            Tensor::apply1(Op::Iota { ty: TensorType::new(dtype, shape), axis }, &[])
        })
    }

    /// The numbers `start, start + step, …` below `stop` (above it when `step` is negative), as a
    /// vector of the arguments' dtype.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::arange(0, 10, 3).to_vec::<i32>()?, [0, 3, 6, 9]);
    /// assert_eq!(Tensor::arange(1.0, 0.0, -0.5).to_vec::<f64>()?, [1.0, 0.5]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` for a step of 0, NaN, or endless ranges; `UnsupportedDType` of bool;
    /// `OutOfMemory` or `SizeOverflow` for too many numbers.
    #[track_caller]
    pub fn arange<T: Element>(start: T, stop: T, step: T) -> Tensor {
        let place = Place::of("arange");
        let count = match (start.number(), stop.number(), step.number()) {
            (Number::Int(a), Number::Int(b), Number::Int(s)) if s != 0 => {
                let span = if s > 0 { b - a } else { a - b };
                Some(((span + s.abs() - 1) / s.abs()).max(0) as f64)
            }
            (a, b, s) if s.float() != 0.0 => {
                let count = ((b.float() - a.float()) / s.float()).ceil();
                (!count.is_nan()).then_some(count.max(0.0))
            }
            _ => None,
        };
        let Some(count) = count.filter(|&c| c < isize::MAX as f64) else {
            let message = format!("no range from {start:?} to {stop:?} in steps of {step:?}");
            return Tensor::error(Error::new("arange", ErrorKind::InvalidArgument(message), place));
        };
        place.scope(|| {
            let at = Tensor::iota(T::DTYPE, count as usize, 0);
            at * Tensor::full((), step) + Tensor::full((), start)
        })
    }

    /// `count` evenly spaced numbers from `start` to `stop`, both included, as an f64 vector.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::linspace(0.0, 1.0, 5).to_vec::<f64>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many numbers.
    #[track_caller]
    pub fn linspace(start: f64, stop: f64, count: usize) -> Tensor {
        let last = count.saturating_sub(1).max(1) as f64;
        // Weighted so that both ends are exact.
        let at = |i: usize| start * ((last - i as f64) / last) + stop * (i as f64 / last);
        match vec_with_room(count) {
            Ok(mut values) => {
                values.extend((0..count).map(at));
                Tensor::from(values)
            }
            Err(kind) => Tensor::error(Error::new("linspace", kind, Place::of("linspace"))),
        }
    }

    /// A tensor computed element by element by a plain Rust function of the index, in row-major order.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let table = Tensor::from_fn((2, 3), |i| (10 * i[0] + i[1]) as f64);
    /// assert_eq!(table.to_vec::<f64>()?, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many elements.
    #[track_caller]
    pub fn from_fn<T: Element>(
        shape: impl Into<Shape>,
        mut f: impl FnMut(&[usize]) -> T,
    ) -> Tensor {
        let shape = shape.into();
        match shape.checked_size(T::DTYPE).and_then(vec_with_room) {
            Ok(mut values) => {
                shape.for_each_index(|index| values.push(f(index)));
                Array::new(shape, values).into()
            }
            Err(kind) => Tensor::error(Error::new("from_fn", kind, Place::of("from_fn"))),
        }
    }
}
