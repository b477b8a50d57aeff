//! Searching in sorted rows.

use super::order;
use crate::error::ErrorKind;
use crate::{Array, DType, Number, TensorType};

/// All axes of the table but the last are the first axes of the values.
pub(super) fn infer([table, values]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
    let Some(outer) = table.rank().checked_sub(1) else {
        let shape = table.shape.clone();
        return Err(ErrorKind::WrongRank { expected: "a sorted vector", shape });
    };
    if table.dtype != values.dtype {
        return Err(ErrorKind::DTypeMismatch { left: table.dtype, right: values.dtype });
    }
    if values.shape.get(..outer) != Some(&table.shape[..outer]) {
        let (left, right) = (table.shape.clone(), values.shape.clone());
        return Err(ErrorKind::ShapeMismatch { left, right });
    }
    Ok(TensorType::new(DType::I64, &values.shape))
}

/// Halving looks at the same elements as every backend's, so that they agree about tables that are
/// not sorted.
pub(super) fn evaluate(table: &Array, values: &Array, right: bool, ty: &TensorType) -> Array {
    let outer = table.shape().rank() - 1;
    let n = table.shape()[outer];
    Array::from_fn(ty, |i| {
        let value = values.get(i);
        let is_before = |at: usize| {
            let mut index = i[..outer].to_vec();
            index.push(at);
            let order = order(table.get(&index), value);
            if right { order.is_le() } else { order.is_lt() }
        };
        let (mut first, mut len) = (0, n);
        while len > 1 {
            let half = len / 2;
            first += if is_before(first + half - 1) { half } else { 0 };
            len -= half;
        }
        Number::Int((first + usize::from(len == 1 && is_before(first))) as i128)
    })
}
