//! General contraction: products of two tensors summed over pairs of axes, with batch axes.

use std::fmt;

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::{Array, Axes, DType, Number, Shape, TensorType};

/// Which axes of the two operands are walked together and kept (batch), and which are summed over
/// (contract). The result's axes are: batch, the left operand's others, the right operand's others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DotDims {
    /// Axes of the left operand that are summed over.
    pub lhs_contract: Axes,
    /// The axes of the right operand paired with `lhs_contract`.
    pub rhs_contract: Axes,
    /// Axes of the left operand that index the batch.
    pub lhs_batch: Axes,
    /// The axes of the right operand paired with `lhs_batch`.
    pub rhs_batch: Axes,
}

impl DotDims {
    /// The left operand's axes that are neither batch nor contracted.
    pub fn lhs_free(&self, rank: usize) -> Axes {
        (0..rank)
            .filter(|a| !self.lhs_contract.contains(a) && !self.lhs_batch.contains(a))
            .collect()
    }

    /// The right operand's axes that are neither batch nor contracted.
    pub fn rhs_free(&self, rank: usize) -> Axes {
        (0..rank)
            .filter(|a| !self.rhs_contract.contains(a) && !self.rhs_batch.contains(a))
            .collect()
    }

    pub(super) fn infer(&self, [x, y]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
        if x.dtype != y.dtype {
            return Err(ErrorKind::DTypeMismatch { left: x.dtype, right: y.dtype });
        }
        if x.dtype == DType::Bool {
            return Err(ErrorKind::UnsupportedDType {
                dtype: x.dtype,
                expected: "integers and floats",
            });
        }
        let lhs = [&self.lhs_batch[..], &self.lhs_contract].concat();
        let rhs = [&self.rhs_batch[..], &self.rhs_contract].concat();
        for (axes, ty) in [(&lhs, x), (&rhs, y)] {
            for (i, &axis) in axes.iter().enumerate() {
                if axis >= ty.rank() {
                    return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: ty.rank() });
                }
                if axes[..i].contains(&axis) {
                    return Err(ErrorKind::RepeatedAxis { axis });
                }
            }
        }
        let paired = self.lhs_batch.len() == self.rhs_batch.len()
            && self.lhs_contract.len() == self.rhs_contract.len();
        let unequal = lhs.iter().zip(&rhs).find(|&(&a, &b)| x.shape[a] != y.shape[b]);
        if let (true, Some((&a, &b))) = (paired, unequal) {
            return Err(ErrorKind::Incompatible {
                left: x.shape.clone(),
                right: y.shape.clone(),
                why: format!(
                    "axis {a} of the left has size {}, axis {b} of the right has size {}",
                    x.shape[a], y.shape[b]
                ),
            });
        }
        if !paired {
            return Err(ErrorKind::InvalidArgument(
                "axes of the operands must come in pairs".into(),
            ));
        }
        let mut shape: Shape = self.lhs_batch.iter().map(|&a| x.shape[a]).collect();
        self.lhs_free(x.rank()).iter().for_each(|&a| shape.push(x.shape[a]));
        self.rhs_free(y.rank()).iter().for_each(|&a| shape.push(y.shape[a]));
        Ok(TensorType::new(x.dtype, shape))
    }

    pub(super) fn evaluate(&self, x: &Array, y: &Array, ty: &TensorType) -> Array {
        let (xr, yr) = (x.shape().rank(), y.shape().rank());
        let (x_free, y_free) = (self.lhs_free(xr), self.rhs_free(yr));
        let contract: Shape = self.lhs_contract.iter().map(|&a| x.shape()[a]).collect();
        Array::from_fn(ty, |i| {
            let mut at: SmallVec<[usize; 6]> = SmallVec::from_elem(0, xr);
            let mut bt: SmallVec<[usize; 6]> = SmallVec::from_elem(0, yr);
            let (batch, free) = i.split_at(self.lhs_batch.len());
            let (left, right) = free.split_at(x_free.len());
            self.lhs_batch.iter().zip(batch).for_each(|(&a, &i)| at[a] = i);
            self.rhs_batch.iter().zip(batch).for_each(|(&a, &i)| bt[a] = i);
            x_free.iter().zip(left).for_each(|(&a, &i)| at[a] = i);
            y_free.iter().zip(right).for_each(|(&a, &i)| bt[a] = i);
            let (mut float, mut int) = (0.0, 0i128);
            contract.for_each_index(|k| {
                self.lhs_contract.iter().zip(k).for_each(|(&a, &k)| at[a] = k);
                self.rhs_contract.iter().zip(k).for_each(|(&a, &k)| bt[a] = k);
                match (x.get(&at), y.get(&bt)) {
                    (Number::Float(x), Number::Float(y)) => float += x * y,
                    (x, y) => int = int.wrapping_add(x.int() * y.int()),
                }
            });
            if ty.dtype.is_float() { Number::Float(float) } else { Number::Int(int) }
        })
    }
}

impl fmt::Display for DotDims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contract={:?}·{:?}", self.lhs_contract, self.rhs_contract)?;
        if !self.lhs_batch.is_empty() {
            write!(f, " batch={:?}·{:?}", self.lhs_batch, self.rhs_batch)?;
        }
        Ok(())
    }
}
