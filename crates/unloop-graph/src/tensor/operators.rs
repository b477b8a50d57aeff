//! Rust's operators on tensors, with any [`Operand`]; numbers in front are literals.

use std::iter::{Product, Sum};
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign,
    Mul, MulAssign, Neg, Not, Rem, RemAssign, Sub, SubAssign,
};

use super::elementwise::elementwise;
use super::operand::{Given, Operand, tensors};
use crate::error::{Place, operation};
use crate::{BinaryOp, Op, Tensor, UnaryOp};

/// An operand to which NumPy's broadcasting rule applies: shapes are aligned at the last axis, and
/// axes of size 1 (or missing ones) repeat. Made by [`Tensor::broadcast`].
#[derive(Clone)]
pub struct Broadcast(Tensor);

/// # NumPy's broadcasting rule
impl Tensor {
    /// Lets NumPy's broadcasting rule apply to the operation that this operand is part of: shapes are
    /// aligned at the last axis, and axes of size 1, or missing ones, repeat.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let b = Tensor::from([10.0, 20.0]);
    /// assert_eq!((a + b.broadcast()).to_vec::<f64>()?, [11.0, 22.0, 13.0, 24.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by the result of that operation: `Incompatible` for shapes that do not fit.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast(self.clone())
    }
}

impl Operand for Broadcast {
    fn given(&self) -> Given<'_> {
        Given::Broadcast(&self.0)
    }
}

/// An operator on two operands, at the caller's line.
#[track_caller]
fn binary(name: &'static str, op: BinaryOp, operands: [Given<'_>; 2]) -> Tensor {
    operation(name, || {
        let [x, y] = tensors(operands);
        elementwise(Place::here(), Op::Binary(op), &[&x, &y])
    })
}

macro_rules! binary_operator {
    ($trait:ident $method:ident $op:ident, $assign:ident $in_place:ident, $($number:ty)*) => {
        binary_operator!(@of &Tensor, $trait $method $op);
        binary_operator!(@of Tensor, $trait $method $op);
        binary_operator!(@of Broadcast, $trait $method $op);
        $(
            binary_operator!(@number $number, &Tensor, $trait $method $op);
            binary_operator!(@number $number, Tensor, $trait $method $op);
            binary_operator!(@number $number, Broadcast, $trait $method $op);
        )*

        impl<O: Operand> $assign<O> for Tensor {
            #[track_caller]
            fn $in_place(&mut self, other: O) {
                *self = binary(stringify!($method), BinaryOp::$op, [self.given(), other.given()]);
            }
        }
    };
    (@of $t:ty, $trait:ident $method:ident $op:ident) => {
        impl<O: Operand> $trait<O> for $t {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: O) -> Tensor {
                binary(stringify!($method), BinaryOp::$op, [self.given(), other.given()])
            }
        }
    };
    (@number $number:ty, $t:ty, $trait:ident $method:ident $op:ident) => {
        impl $trait<$t> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $t) -> Tensor {
                binary(stringify!($method), BinaryOp::$op, [self.given(), other.given()])
            }
        }
    };
}

// More types of numbers in front would leave open which one a literal is.
binary_operator!(Add add Add, AddAssign add_assign, f64 i32);
binary_operator!(Sub sub Sub, SubAssign sub_assign, f64 i32);
binary_operator!(Mul mul Mul, MulAssign mul_assign, f64 i32);
binary_operator!(Div div Div, DivAssign div_assign, f64 i32);
binary_operator!(Rem rem Rem, RemAssign rem_assign, f64 i32);
binary_operator!(BitAnd bitand And, BitAndAssign bitand_assign, bool);
binary_operator!(BitOr bitor Or, BitOrAssign bitor_assign, bool);
binary_operator!(BitXor bitxor Xor, BitXorAssign bitxor_assign, bool);

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
impl Sum for Tensor {
    fn sum<I: Iterator<Item = Tensor>>(iter: I) -> Tensor {
        // The iterator itself runs the user's code, at its own lines.
        let add = |a: Tensor, b: Tensor| Place::without_line("sum").scope(|| a + b);
        iter.reduce(add).unwrap_or_else(|| 0.0.into())
    }
}

/// The sum of tensors of one shape, as that of tensors by value.
impl<'a> Sum<&'a Tensor> for Tensor {
    fn sum<I: Iterator<Item = &'a Tensor>>(iter: I) -> Tensor {
        iter.cloned().sum()
    }
}

/// The product of tensors of one shape; of none: the f64 scalar 1. Its errors name no line, as those of
/// the sum.
impl Product for Tensor {
    fn product<I: Iterator<Item = Tensor>>(iter: I) -> Tensor {
        let multiply = |a: Tensor, b: Tensor| Place::without_line("product").scope(|| a * b);
        iter.reduce(multiply).unwrap_or_else(|| 1.0.into())
    }
}

/// The product of tensors of one shape, as that of tensors by value.
impl<'a> Product<&'a Tensor> for Tensor {
    fn product<I: Iterator<Item = &'a Tensor>>(iter: I) -> Tensor {
        iter.cloned().product()
    }
}
