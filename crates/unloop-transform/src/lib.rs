//! The transforms of unloop: [`vmap`], [`grad`] and its relatives, [`each`], [`jit`].
//!
//! A transform is an interpreter of a traced program whose values are tensors: it walks the
//! operations and applies a rule to each. Rules stand in `rules/`, in files named after the
//! families of operations. Reverse mode is forward mode, then transposition of the part that is
//! linear in the tangents.

mod axes;
mod check;
mod collective;
mod combine;
mod control;
mod custom;
mod derivative;
mod each;
mod function;
mod gradient;
mod interpret;
mod jacobian;
mod jit;
mod linear;
mod rules;
mod vectorize;
mod vmap;

pub use axes::{AxisSpec, IntoAxes, IntoAxis, Shared};
pub use check::{check_grads, eval_shape};
pub use collective::{
    all_gather, axis_index, axis_size, permute_examples, pmax, pmean, pmin, psum,
};
pub use combine::{associative_scan, reduce};
pub use control::{
    cond, fori_loop, map, scan, scan_reverse, scan_times, switch, while_loop, while_loop_at_most,
};
pub use custom::{Custom, CustomReverse, checkpoint, custom_jvp, custom_vjp, host_call};
pub use derivative::{
    Jvp, Linearize, Pullback, Pushforward, Vjp, jvp, linear_transpose, linearize, vjp,
};
pub use each::{EachIndex, IndexValue, each, each_to};
pub use function::{Arguments, Function, Signature};
pub use gradient::{
    All, Grad, GradWithAux, Selection, ValueAndGrad, grad, grad_with_aux, value_and_grad,
    value_and_grad_with_aux,
};
pub use interpret::{at_once, eval};
pub use jacobian::{
    Jacobian, JacobianTree, hessian, hessian_tree, hvp, jacfwd, jacfwd_tree, jacrev, jacrev_tree,
};
pub use jit::{Jit, Plan, jit};
pub use vectorize::{Vectorize, vectorize};
pub use vmap::{Vmap, vmap};
