//! Rust's operators on tensors, with tensors, with literals, and with [`Broadcast`] operands.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};

use super::elementwise::elementwise;
use crate::error::{ErrorKind, Place};
use crate::{BinaryOp, DType, Number, Op, Shape, Tensor, UnaryOp};

/// An operand to which NumPy's broadcasting rule applies: shapes are aligned at the last axis, and
/// axes of size 1 (or missing ones) repeat. Made by [`Tensor::broadcast`].
#[derive(Clone)]
pub struct Broadcast(Tensor);

impl Tensor {
    /// Lets NumPy's broadcasting rule apply to the operation that this operand is part of.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let b = Tensor::from([10.0, 20.0]);
    /// assert_eq!((a + b.broadcast()).to_vec::<f64>()?, [11.0, 22.0, 13.0, 24.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    pub fn broadcast(&self) -> Broadcast {
        Broadcast(self.clone())
    }
}

/// Expands both operands to their common shape by NumPy's rule.
#[track_caller]
fn broadcast_both(name: &'static str, op: BinaryOp, x: &Tensor, y: &Tensor) -> Tensor {
    let place = Place::of(name);
    let (left, right) = (Shape::from(x.shape()), Shape::from(y.shape()));
    place.scope(|| match left.broadcast(&right) {
        Some(shape) => {
            let expand = |t: &Tensor| match t.as_error() {
                Some(_) => t.clone(),
                None => t.broadcast_to(&shape),
            };
            elementwise(place, Op::Binary(op), &[&expand(x), &expand(y)])
        }
        None => match y.as_error() {
            Some(_) => y.clone(),
            None => {
                let why = "NumPy's rule needs equal sizes or 1, aligned at the last axis".into();
                Tensor::fail(name, ErrorKind::Incompatible { left, right, why }, place, x)
            }
        },
    })
}

/// An operator on two tensors, at the caller's line.
#[track_caller]
fn binary(name: &'static str, op: BinaryOp, operands: &[&Tensor; 2]) -> Tensor {
    elementwise(Place::of(name), Op::Binary(op), operands)
}

/// A float literal in the dtype of the tensor that it meets, which must be a float.
#[track_caller]
fn float_literal(value: f64, like: &Tensor, op: BinaryOp) -> Tensor {
    if like.dtype().is_float() || like.as_error().is_some() {
        return like.literal(Number::Float(value));
    }
    let kind = ErrorKind::DTypeMismatch { left: like.dtype(), right: DType::F64 };
    Tensor::fail(op.name(), kind, Place::here(), like)
}

/// An integer literal in the dtype of the tensor that it meets.
#[track_caller]
fn int_literal(value: i32, like: &Tensor, _: BinaryOp) -> Tensor {
    like.literal(Number::Int(value.into()))
}

macro_rules! with_literal {
    ($trait:ident $method:ident $op:ident, $t:ty, $literal:ident) => {
        impl $trait<$t> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $t) -> Tensor {
                let other = $literal(other, self, BinaryOp::$op);
                binary(stringify!($method), BinaryOp::$op, &[self, &other])
            }
        }
        impl $trait<$t> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $t) -> Tensor {
                (&self).$method(other)
            }
        }
        impl $trait<&Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                let this = $literal(self, other, BinaryOp::$op);
                binary(stringify!($method), BinaryOp::$op, &[&this, other])
            }
        }
        impl $trait<Tensor> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.$method(&other)
            }
        }
    };
}

macro_rules! binary_operator {
    ($trait:ident $method:ident $op:ident) => {
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                binary(stringify!($method), BinaryOp::$op, &[self, other])
            }
        }
        impl $trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.$method(&other)
            }
        }
        impl $trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                (&self).$method(other)
            }
        }
        impl $trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                (&self).$method(&other)
            }
        }
        impl $trait<Broadcast> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Broadcast) -> Tensor {
                broadcast_both(stringify!($method), BinaryOp::$op, self, &other.0)
            }
        }
        impl $trait<Broadcast> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Broadcast) -> Tensor {
                broadcast_both(stringify!($method), BinaryOp::$op, &self, &other.0)
            }
        }
        impl $trait<&Tensor> for Broadcast {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                broadcast_both(stringify!($method), BinaryOp::$op, &self.0, other)
            }
        }
        impl $trait<Tensor> for Broadcast {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                broadcast_both(stringify!($method), BinaryOp::$op, &self.0, &other)
            }
        }
        impl $trait<Broadcast> for Broadcast {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Broadcast) -> Tensor {
                broadcast_both(stringify!($method), BinaryOp::$op, &self.0, &other.0)
            }
        }
    };
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident $op:ident;)+) => {$(
        binary_operator!($trait $method $op);
        with_literal!($trait $method $op, f64, float_literal);
        with_literal!($trait $method $op, i32, int_literal);
    )+};
}

arithmetic! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
    Rem rem Rem;
}
binary_operator!(BitAnd bitand And);
binary_operator!(BitOr bitor Or);
binary_operator!(BitXor bitxor Xor);

macro_rules! unary_operator {
    ($trait:ident $method:ident $op:ident) => {
        impl $trait for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                let place = Place::of(stringify!($method));
                Tensor::apply(Op::Unary(UnaryOp::$op), &[self], place).swap_remove(0)
            }
        }
        impl $trait for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                (&self).$method()
            }
        }
    };
}
unary_operator!(Neg neg Neg);
unary_operator!(Not not Not);

/// The sum of tensors of one shape; of none: the f64 scalar 0. The standard library's `sum` does not
/// say who calls it, so its errors name no line.
impl std::iter::Sum for Tensor {
    fn sum<I: Iterator<Item = Tensor>>(iter: I) -> Tensor {
        // The iterator itself runs the user's code, at its own lines.
        let add = |a: Tensor, b: Tensor| Place::without_line("sum").scope(|| a + b);
        iter.reduce(add).unwrap_or_else(|| 0.0.into())
    }
}
