//! Reductions over axes, and positions of extreme elements.

use smallvec::SmallVec;

use super::BinaryOp;
use super::elementwise::named_ops;
use crate::error::ErrorKind;
use crate::{Array, DType, Number, Scalar, Shape, TensorType};

named_ops! {
    /// How a reduction combines elements.
    ReduceOp {
        /// Sum; integers wrap. Of nothing: 0.
        Sum = "sum",
        /// Product; integers wrap. Of nothing: 1.
        Prod = "prod",
        /// The largest; NaN if any is NaN. Of nothing: the least value of the dtype.
        Max = "max",
        /// The smallest; NaN if any is NaN. Of nothing: the greatest value of the dtype.
        Min = "min",
        /// Logical (or bitwise) and. Of nothing: all bits one.
        And = "all",
        /// Logical (or bitwise) or. Of nothing: all bits zero.
        Or = "any",
        /// Exclusive or. Of nothing: all bits zero.
        Xor = "parity",
    }
}

named_ops! {
    /// Which position an arg-reduction finds. The first of equal elements counts; NaN is more
    /// extreme than any number.
    ArgReduceOp {
        /// Position of the largest.
        Max = "argmax",
        /// Position of the smallest.
        Min = "argmin",
    }
}

impl ReduceOp {
    /// The binary operation that combines two elements.
    pub fn binary(self) -> BinaryOp {
        match self {
            ReduceOp::Sum => BinaryOp::Add,
            ReduceOp::Prod => BinaryOp::Mul,
            ReduceOp::Max => BinaryOp::Max,
            ReduceOp::Min => BinaryOp::Min,
            ReduceOp::And => BinaryOp::And,
            ReduceOp::Or => BinaryOp::Or,
            ReduceOp::Xor => BinaryOp::Xor,
        }
    }

    /// The result of reducing nothing.
    pub fn identity(self, dtype: DType) -> Scalar {
        let number = match (self, dtype) {
            (ReduceOp::Sum | ReduceOp::Or | ReduceOp::Xor, _) => Number::Int(0),
            (ReduceOp::Prod, _) => Number::Int(1),
            (ReduceOp::And, _) => Number::Int(-1),
            (ReduceOp::Max, DType::F32 | DType::F64) => Number::Float(f64::NEG_INFINITY),
            (ReduceOp::Min, DType::F32 | DType::F64) => Number::Float(f64::INFINITY),
            (ReduceOp::Max, DType::Bool | DType::U32) => Number::Int(0),
            (ReduceOp::Max, DType::I32) => Number::Int(i32::MIN.into()),
            (ReduceOp::Max, DType::I64) => Number::Int(i64::MIN.into()),
            (ReduceOp::Min, DType::Bool) => Number::Int(1),
            (ReduceOp::Min, DType::I32) => Number::Int(i32::MAX.into()),
            (ReduceOp::Min, DType::I64) => Number::Int(i64::MAX.into()),
            (ReduceOp::Min, DType::U32) => Number::Int(u32::MAX.into()),
        };
        Scalar::new(dtype, number)
    }

    /// The name of a cumulative reduction.
    pub fn cumulative_name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "cumsum",
            ReduceOp::Prod => "cumprod",
            ReduceOp::Max => "cummax",
            ReduceOp::Min => "cummin",
            ReduceOp::And => "cumall",
            ReduceOp::Or => "cumany",
            ReduceOp::Xor => "cumparity",
        }
    }

    pub(super) fn infer(
        self,
        [x]: &[TensorType; 1],
        axes: &[usize],
    ) -> Result<TensorType, ErrorKind> {
        let (ok, expected) = match self {
            ReduceOp::Sum | ReduceOp::Prod => (x.dtype != DType::Bool, "integers and floats"),
            ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => {
                (!x.dtype.is_float(), "bool and integers")
            }
            ReduceOp::Max | ReduceOp::Min => (true, ""),
        };
        if !ok {
            return Err(ErrorKind::UnsupportedDType { dtype: x.dtype, expected });
        }
        if let Some(&axis) = axes.iter().find(|&&a| a >= x.rank()) {
            return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: x.rank() });
        }
        if let Some(pair) = axes.windows(2).find(|w| w[0] >= w[1]) {
            return Err(ErrorKind::RepeatedAxis { axis: pair[1] });
        }
        let kept = (0..x.rank()).filter(|a| !axes.contains(a)).map(|a| x.shape[a]);
        Ok(TensorType::new(x.dtype, kept.collect::<Shape>()))
    }

    pub(super) fn infer_cumulative(
        self,
        x: &[TensorType; 1],
        axis: usize,
    ) -> Result<TensorType, ErrorKind> {
        self.infer(x, &[axis]).map(|_| x[0].clone())
    }

    pub(super) fn evaluate_cumulative(
        self,
        x: &Array,
        axis: usize,
        reverse: bool,
        ty: &TensorType,
    ) -> Array {
        let (n, strides) = (ty.shape[axis], ty.shape.strides());
        let mut totals = vec![Number::Int(0); ty.shape.size()];
        let mut lanes = ty.shape.clone();
        lanes[axis] = lanes[axis].min(1);
        lanes.for_each_index(|lane| {
            let mut at: SmallVec<[usize; 6]> = lane.into();
            let mut total = self.identity(ty.dtype).number();
            for k in 0..n {
                at[axis] = if reverse { n - 1 - k } else { k };
                let next = self.combine(total, x.get(&at), ty.dtype);
                total = Scalar::new(ty.dtype, next).number();
                let place: usize = at.iter().zip(&strides).map(|(i, s)| i * *s as usize).sum();
                totals[place] = total;
            }
        });
        let mut totals = totals.into_iter();
        Array::from_fn(ty, |_| totals.next().expect("an element of each place"))
    }

    /// Two numbers combined; integers wrap.
    fn combine(self, a: Number, b: Number, dtype: DType) -> Number {
        match (self, a, b) {
            (ReduceOp::Sum, Number::Int(a), Number::Int(b)) => Number::Int(a.wrapping_add(b)),
            (_, a, b) => self.binary().apply(a, b, dtype),
        }
    }

    pub(super) fn evaluate(self, x: &Array, axes: &[usize], ty: &TensorType) -> Array {
        let reduced: Shape = axes.iter().map(|&a| x.shape()[a]).collect();
        let kept: SmallVec<[usize; 6]> =
            (0..x.shape().rank()).filter(|a| !axes.contains(a)).collect();
        let start = self.identity(ty.dtype).number();
        Array::from_fn(ty, |i| {
            let mut at: SmallVec<[usize; 6]> = SmallVec::from_elem(0, x.shape().rank());
            kept.iter().zip(i).for_each(|(&axis, &i)| at[axis] = i);
            let mut total = start;
            reduced.for_each_index(|r| {
                axes.iter().zip(r).for_each(|(&axis, &r)| at[axis] = r);
                total = self.combine(total, x.get(&at), ty.dtype);
            });
            total
        })
    }
}

pub(super) fn infer_arg(
    [x]: &[TensorType; 1],
    axis: usize,
    dtype: DType,
) -> Result<TensorType, ErrorKind> {
    if axis >= x.rank() {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: x.rank() });
    }
    if x.shape[axis] == 0 {
        return Err(ErrorKind::InvalidArgument(format!(
            "axis {axis} of shape {} is empty, so it has no extreme element",
            x.shape
        )));
    }
    if !dtype.is_int() {
        return Err(ErrorKind::UnsupportedDType { dtype, expected: "an integer index dtype" });
    }
    Ok(TensorType::new(dtype, x.shape.without(axis)))
}

impl ArgReduceOp {
    pub(super) fn evaluate(self, x: &Array, axis: usize, ty: &TensorType) -> Array {
        Array::from_fn(ty, |i| {
            let mut at: SmallVec<[usize; 6]> = i.into();
            at.insert(axis, 0);
            let mut best = x.get(&at);
            let mut position = 0;
            for k in 1..x.shape()[axis] {
                at[axis] = k;
                let value = x.get(&at);
                let better = match (best, value) {
                    (Number::Float(b), Number::Float(v)) => match self {
                        _ if b.is_nan() => false,
                        _ if v.is_nan() => true,
                        ArgReduceOp::Max => v > b,
                        ArgReduceOp::Min => v < b,
                    },
                    (b, v) => match self {
                        ArgReduceOp::Max => v.int() > b.int(),
                        ArgReduceOp::Min => v.int() < b.int(),
                    },
                };
                if better {
                    (best, position) = (value, k);
                }
            }
            Number::Int(position as i128)
        })
    }
}
