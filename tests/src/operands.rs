//! Random operands.

use unloop::Tensor;
use unloop_graph::{Array, DType, Number, Scalar, Shape, TensorType};

/// An operand of an operation: its type, and which values make sense.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Dtype and shape.
    pub ty: TensorType,
    /// Which values.
    pub values: Values,
}

/// Which values an operand may have.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Values {
    /// Any of the dtype, special ones too.
    Any,
    /// Floats between these.
    Within(f64, f64),
    /// Integers in `0..n`.
    Below(usize),
    /// Square matrices far from singular.
    Regular,
    /// Symmetric positive definite matrices.
    Definite,
}

/// How an operand lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Row-major.
    Standard,
    /// Every second element of a larger array, backwards along the last axis.
    Strided,
    /// Axes in reverse order in memory.
    Transposed,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 3] = [Layout::Standard, Layout::Strided, Layout::Transposed];
}

impl Operand {
    /// An operand with values of some kind.
    pub fn new(dtype: DType, shape: impl Into<Shape>, values: Values) -> Operand {
        Operand { ty: TensorType::new(dtype, shape.into()), values }
    }

    /// A random array.
    pub fn array(&self, rng: &mut fastrand::Rng, layout: Layout) -> Array {
        let values = Array::from_fn(&self.ty, |i| self.value(rng, i));
        let values = match self.values {
            Values::Definite => product_with_transpose(&values),
            _ => values,
        };
        relaid(&values, layout)
    }

    fn value(&self, rng: &mut fastrand::Rng, index: &[usize]) -> Number {
        let on_diagonal = matches!(index, [.., i, j] if i == j);
        match (self.values, self.ty.dtype) {
            (Values::Below(n), _) => Number::Int(rng.usize(0..n.max(1)) as i128),
            (Values::Within(low, high), _) => Number::Float(low + (high - low) * rng.f64()),
            (Values::Regular | Values::Definite, _) => {
                Number::Float(rng.f64() - 0.5 + if on_diagonal { 3.0 } else { 0.0 })
            }
            (Values::Any, DType::Bool) => Number::Bool(rng.bool()),
            (Values::Any, DType::F32 | DType::F64) => Number::Float(match rng.u8(0..16) {
                0 => 0.0,
                1 => -0.0,
                2 => f64::NAN,
                3 => [f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30, 1e-30][rng.usize(0..5)],
                4 => f64::from(rng.i8(-5..=5)),
                5 => 0.5 + f64::from(rng.i8(-5..=5)),
                6..=9 => (rng.f64() - 0.5) * 40.0,
                _ => (rng.f64() - 0.5) * 4.0,
            }),
            (Values::Any, dtype) => {
                let number = match rng.u8(0..8) {
                    0 => i128::from(i32::MIN),
                    1 => i128::from(i32::MAX),
                    2 => i128::from(i64::MIN),
                    3 => i128::from(rng.i64(..)),
                    _ => i128::from(rng.i8(-40..=40)),
                };
                Scalar::new(dtype, Number::Int(number)).number()
            }
        }
    }

    /// A random tensor in row-major order.
    pub fn tensor(&self, rng: &mut fastrand::Rng) -> Tensor {
        self.array(rng, Layout::Standard).into()
    }
}

/// Random values between -1 and 1, of a shape.
pub fn tensor(rng: &mut fastrand::Rng, dtype: DType, shape: &[usize]) -> Tensor {
    Operand::new(dtype, shape, Values::Within(-1.0, 1.0)).tensor(rng)
}

fn product_with_transpose(x: &Array) -> Array {
    let n = x.shape().last().copied().unwrap_or(0);
    Array::from_fn(&x.ty(), |i| {
        let (batch, ij) = i.split_at(i.len() - 2);
        let at = |row: usize, k: usize| x.get(&[batch, &[row, k]].concat()).float();
        Number::Float((0..n).map(|k| at(ij[0], k) * at(ij[1], k)).sum())
    })
}

/// The same values in another layout.
fn relaid(x: &Array, layout: Layout) -> Array {
    let rank = x.shape().rank();
    let reversed: Vec<usize> = (0..rank).rev().collect();
    match layout {
        Layout::Standard => x.clone(),
        Layout::Transposed => {
            let memory = x.transpose(&reversed);
            let memory = Array::from_fn(&memory.ty(), |i| memory.get(i));
            memory.transpose(&reversed)
        }
        Layout::Strided => {
            let Some(last) = rank.checked_sub(1) else { return x.clone() };
            let larger: Shape = x.shape().iter().map(|d| 2 * d + 1).collect();
            let memory = Array::from_fn(&TensorType::new(x.dtype(), larger), |i| {
                let inside = i.iter().zip(x.shape().iter()).all(|(&i, &d)| i % 2 == 1 && i / 2 < d);
                let mut at: Vec<usize> = i.iter().map(|i| i / 2).collect();
                if inside {
                    at[last] = x.shape()[last] - 1 - at[last];
                }
                if inside { x.get(&at) } else { Number::Int(77) }
            });
            memory.slice(&vec![1; rank], x.shape(), &vec![2; rank]).reverse(&[last])
        }
    }
}
