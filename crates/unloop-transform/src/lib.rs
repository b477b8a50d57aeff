//! The transforms of unloop: [`vmap`], [`grad`] and its relatives, [`each`], [`jit`].
//!
//! A transform is an interpreter of a traced program whose values are tensors: it walks the
//! operations and applies a rule to each. Rules stand in `rules/`, in files named after the
//! families of operations. Reverse mode is forward mode, then transposition of the part that is
//! linear in the tangents.

mod axes;
mod control;
mod derivative;
mod each;
mod function;
mod interpret;
mod jacobian;
mod jit;
mod linear;
mod rules;
mod vmap;

pub use axes::{AxisSpec, IntoAxes, Shared};
pub use control::{cond, fori_loop, map, scan, scan_reverse, switch, while_loop};
pub use derivative::{Grad, Jvp, Pullback, ValueAndGrad, Vjp, grad, jvp, value_and_grad, vjp};
pub use each::{EachIndex, IndexValue, each, each_to};
pub use function::{Arguments, Function};
pub use jacobian::{Jacobian, hessian, jacfwd, jacrev};
pub use jit::{Jit, jit};
pub use vmap::{Vmap, vmap};
