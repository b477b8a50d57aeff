//! **Write it for one example; unloop runs it for all of them.**
//!
//! `unloop` transforms functions of tensors: [`vmap`] lifts a function of one example over any axis
//! of any argument, [`grad`] differentiates it, [`jit`] compiles it, in any order and nesting.
//! Functions are plain Rust closures; [`Tensor`]s come from and go to `ndarray`.
//!
//! ```
//! use ndarray::{Array2, Array3};
//! use unloop::prelude::*;
//!
//! # fn main() -> unloop::Result<()> {
//! // 100 systems of 5 equations: A is 100×5×5, x is 100×5.
//! let a = Array3::from_shape_fn((100, 5, 5), |(n, i, j)| if i == j { 5.0 + n as f64 } else { 1.0 });
//! let x = Array2::from_shape_fn((100, 5), |(n, i)| (n + i) as f64);
//!
//! // `solve` solves one system; `vmap` makes it solve all of them.
//! let solve_each = vmap(Tensor::solve, (0, 0));
//! let y: Array2<f64> = solve_each(&a.into(), &x.into()).to_array()?;
//! assert_eq!(y.dim(), (100, 5));
//! # Ok(())
//! # }
//! ```
//!
//! # How do I …
//!
//! | | |
//! |---|---|
//! | apply a function to every row, column, matrix of a stack | [`vmap`] |
//! | write a formula with indices and sums | [`each`], [`Tensor::at`] |
//! | get a gradient | [`grad`], [`value_and_grad`] |
//! | get a Jacobian, a Hessian, a directional derivative | [`jacfwd`], [`jacrev`], [`hessian`], [`hessian_tree`], [`jvp`], [`vjp`] |
//! | loop or choose by values that are computed | [`scan`], [`fori_loop`], [`while_loop`], [`cond`], [`switch`] |
//! | run a function many times, fast | [`jit`] |
//! | hand such a function on, keep it in a struct, a `static`, threads | [see below](#functions-as-values) |
//! | know how often it is compiled, and keep more programs | [`Jit::compilations`], [`Jit::capacity`] |
//! | compare with a number, choose, clamp | `x.greater(0.0)`, `mask.select(&x, 0.0)`, `x.clamp(-1, 1)`: [`Operand`] |
//! | make a tensor of tensors, and take one apart | [`tensor!`], [`Tensor::stack`]; [`Tensor::unstack_array`] |
//! | say a derivative myself, or call code of my own | [`custom_jvp`], [`custom_vjp`], [`host_call`] |
//! | save memory in a gradient, or under `vmap` | [`checkpoint`], [`Vmap::chunks`] |
//! | compute across the examples of a `vmap` | [`Vmap::axis_name`], [`psum`], [`all_gather`] |
//! | test my gradients | [`check_grads`] |
//! | draw random numbers | [`random`] |
//! | solve, decompose, invert; norms, least squares | [`Tensor::solve`], [`Tensor::svd`], [`linalg`] |
//! | sum products over indices by a formula | [`Tensor::einsum`] |
//! | transform to frequencies, use complex numbers | [`fft`], [`Complex`] |
//! | put parameters in a struct | [`Tree`] and its derive macro |
//! | make a small model of layers, and a loss | [`nn`] |
//! | fit a model: Adam, L-BFGS, schedules | [`optim`] |
//! | walk over data in shuffled batches | [`data::Batches`] |
//! | hand a tree to a library that knows vectors only, and back | [`ravel`] |
//! | make one struct of arrays of many structs of numbers, and back | `#[tree(rows = Row)]` of the [derive macro](derive@Tree); of tensors [`Tree::stack`], [`Tree::unstack`] |
//! | refuse arguments in a function of my own | [`Error::invalid`], [`Tensor::error`] |
//! | know whether a matrix has a Cholesky factor | [`Tensor::try_cholesky`], [`Tensor::is_positive_definite`] |
//! | see what will be computed | `vmap(f, axes).graph((&x,))`, `.graph_dot((&x,))` |
//! | see how it is rewritten, and why | [`Jit::explain`], [`set_rewriting`] |
//! | see where time goes | [`profile`](fn@profile) |
//! | know its memory before it runs, or limit it | [`Jit::plan`], [`set_memory_limit`] |
//! | give memory of old results back | [`release_memory`] |
//! | end a call that takes too long | [`CancelToken`], [`while_loop_at_most`] |
//! | find where an error came from | [`Error`], [`set_error_mode`] |
//!
//! # Functions as values
//!
//! What [`jit`], [`vmap`], [`grad`] and the others return is called as a function is, and given to other
//! transforms, by value or by reference. Where an `impl Fn` is expected, `f.into_fn()` is one, and `&*f` is
//! a `&dyn Fn`:
//!
//! ```
//! use unloop::prelude::*;
//!
//! fn apply(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
//!     f(x)
//! }
//!
//! let (double, x) = (jit(|x: &Tensor| x * 2.0), Tensor::from(3.0));
//! assert_eq!(apply(&*double, &x).item::<f64>()?, 6.0);
//! assert_eq!(apply(double.into_fn(), &x).item::<f64>()?, 6.0);
//! # Ok::<(), unloop::Error>(())
//! ```
//!
//! Its type names the arguments, as a tuple, and the result. `'static` says that it borrows nothing, so
//! that a struct that holds it needs no lifetime:
//!
//! ```
//! use unloop::prelude::*;
//!
//! struct Filter {
//!     step: Jit<'static, (Tensor, Tensor), Tensor>,
//! }
//!
//! impl Filter {
//!     fn new(rate: f64) -> Filter {
//!         Filter { step: jit(move |state: &Tensor, x: &Tensor| state + (x - state) * rate) }
//!     }
//! }
//!
//! let filter = Filter::new(0.5);
//! assert_eq!((filter.step)(&Tensor::from(0.0), &Tensor::from(4.0)).item::<f64>()?, 2.0);
//! # Ok::<(), unloop::Error>(())
//! ```
//!
//! A `static` holds one for the whole program:
//!
//! ```
//! use std::sync::LazyLock;
//! use unloop::prelude::*;
//!
//! static LENGTH: LazyLock<Jit<'static, (Tensor, Tensor), Tensor>> = LazyLock::new(|| jit(Tensor::hypot));
//!
//! assert_eq!(LENGTH(&Tensor::from(3.0), &Tensor::from(4.0)).item::<f64>()?, 5.0);
//! # Ok::<(), unloop::Error>(())
//! ```
//!
//! Threads share one by reference, or each has a clone; the compiled programs are the same:
//!
//! ```
//! use unloop::prelude::*;
//!
//! let square = jit(|x: &Tensor| x * x);
//! let sum: f64 = std::thread::scope(|scope| {
//!     let threads = [1.0, 2.0, 3.0].map(|x| {
//!         let square = &square;
//!         scope.spawn(move || square(&Tensor::from(x)).item::<f64>())
//!     });
//!     threads.into_iter().map(|thread| thread.join().unwrap()).sum::<unloop::Result<f64>>()
//! })?;
//! assert_eq!(sum, 14.0);
//! # Ok::<(), unloop::Error>(())
//! ```
//!
//! # Derivatives at kinks and ties
//!
//! Where a function has no derivative, one is chosen: JAX's. All other functions have the derivatives of
//! all orders that they have mathematically, also where terms of theirs have kinks (`softplus` at 0,
//! `logaddexp` of equal numbers, [`Tensor::sinc`] at 0).
//!
//! | function | where | derivative |
//! |---|---|---|
//! | `abs` | 0 | 1 |
//! | `sign`, `floor`, `ceil`, `round`, `round_away`, `trunc`, `floor_div`, `heaviside` in `x` | everywhere | 0 |
//! | `relu`, `relu6`, `sparse_plus` | the lower edge | 0 |
//! | `relu6` | 6 | 0 |
//! | `leaky_relu`, `elu`, `selu`, `celu` | 0 | that above zero of `leaky_relu`, that below of the others |
//! | `hard_tanh` | -1, 1 | 1 |
//! | `hard_sigmoid` | -3, 3 | 0 |
//! | `hard_silu` | -3, 3 | 0, 1 |
//! | `sparse_sigmoid` | -1, 1 | 1/4, half of the slope |
//! | `clamp` | at a bound | 0 |
//! | `maximum`, `minimum` | ties | 1/2 each |
//! | `max`, `min` along axes | ties | equal shares |
//! | `cummax`, `cummin` | ties | halved at each combination of pairs, pairs of pairs, … |
//! | `fmax`, `fmin` | ties | 0 in `x`, 1 in `y` |
//! | `select` | | to the one that is chosen; NaN where the other has an infinite slope |
//! | `cbrt` | 0; ±∞ | ∞; 0 |
//! | `sqrt` | 0 | ∞ |
//! | `norm`, `std` | of zeros, of equal numbers | NaN |
//! | `safe_norm` | of zeros | 0 |
//! | `hypot`, [`Complex::abs`] | the origin | 0 |
//! | `x % y`, `modulo` | everywhere | 1 in `x` |
//! | `pow` | `x` = 0 | 0 in `y` |
//! | `xlogy` | `x` = 0 | `ln y` in `x`, 0 in `y` |
//! | `nan_to_num` | NaN, ±∞ | 0 |
//! | single eigenvectors, singular vectors | repeated values | NaN; [`linalg`] has functions of whole matrices |

pub use unloop_cpu::{KernelTime, Profile, profile};
pub use unloop_derive::Tree;
pub use unloop_graph::backend::{Rewriting, set_rewriting};
pub use unloop_graph::{
    ArgReduceOp, Array, AtIndex, Axes, AxisList, AxisNumber, BinaryOp, Broadcast, CancelToken,
    CompareOp, Conv, DType, DimensionIndex, Direction, DotDims, Element, Elementwise, Error,
    ErrorKind, ErrorMode, Explanation, Graph, IndexArg, IndexRange, Op, Operand, PadMode, ReduceOp,
    Result, Scalar, Shape, Structure, Tensor, TensorList, TensorType, Tree, UnaryOp, WindowAxis,
    memory_in_use, operands, ravel, release_memory, set_error_mode, set_memory_limit, strided,
};
pub use unloop_transform::{
    All, Arguments, AxisSpec, Custom, CustomReverse, EachIndex, Function, Grad, GradWithAux,
    IndexValue, IntoAxes, IntoAxis, Jacobian, JacobianTree, Jit, Jvp, Linearize, Plan, Pullback,
    Pushforward, Selection, Shared, Signature, ValueAndGrad, Vectorize, Vjp, Vmap, all_gather,
    associative_scan, axis_index, axis_size, check_grads, checkpoint, cond, custom_jvp, custom_vjp,
    each, each_to, eval_shape, fori_loop, grad, grad_with_aux, hessian, hessian_tree, host_call,
    hvp, jacfwd, jacfwd_tree, jacrev, jacrev_tree, jit, jvp, linear_transpose, linearize, map,
    permute_examples, pmax, pmean, pmin, psum, reduce, scan, scan_reverse, scan_times, switch,
    value_and_grad, value_and_grad_with_aux, vectorize, vjp, vmap, while_loop, while_loop_at_most,
};

pub mod complex;
pub mod data;
#[cfg(feature = "fft")]
pub mod fft;
pub mod linalg;
pub mod nn;
pub mod optim;
pub mod polynomial;
pub mod random;

pub use complex::Complex;

/// The parameters of operations that have many.
pub mod op {
    pub use unloop_graph::op::{
        Gather, GatherDims, HostOp, IndexMode, Pad, PadAxis, Scatter, ScatterDims, ScatterOp,
        Slice, Sort, TriangularSolve,
    };
}

/// What most programs need: `use unloop::prelude::*`.
pub mod prelude {
    pub use crate::{
        All, DType, Grad, Jit, Shared, Tensor, Tree, ValueAndGrad, Vmap, checkpoint, cond,
        custom_jvp, custom_vjp, each, each_to, fori_loop, grad, hessian, jacfwd, jacrev, jit, jvp,
        scan, strided, tensor, value_and_grad, vjp, vmap, while_loop,
    };
}

/// A tensor of tensors and numbers, stacked: each bracket is an axis.
///
/// Numbers take the dtype of the tensors among them (`f64` for floats and `i32` for integers if there are
/// none). Tensors have one shape, which is that of numbers and scalars, too.
///
/// ```
/// use unloop::prelude::*;
///
/// // A rotation by an angle that is computed: differentiable, and by many angles with `vmap`.
/// let rotation = |angle: &Tensor| {
///     let (s, c) = (angle.sin(), angle.cos());
///     tensor![[c, -&s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]
/// };
/// let turned = rotation(&Tensor::from(0.0));
/// assert_eq!(turned.shape(), [3, 3]);
/// assert_eq!(vmap(rotation, 0)(&Tensor::from([0.0, 1.0, 2.0])).shape(), [3, 3, 3]);
/// assert_eq!(tensor![1.0, 2, 3].to_vec::<f64>()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
///
/// # Errors
/// Carried by the tensor: `Incompatible` for brackets of different sizes, and tensors of different shapes;
/// `DTypeMismatch` for tensors of different dtypes, and for floats among integers; `InvalidArgument` for
/// an integer that the dtype does not hold, and for empty brackets.
#[macro_export]
macro_rules! tensor {
    ($($items:tt)*) => {
        $crate::__Nested::List($crate::__tensor_list!([] $($items)*)).stacked()
    };
}

/// The items of [`tensor!`], one after the other.
#[doc(hidden)]
#[macro_export]
macro_rules! __tensor_list {
    ([$($done:expr),*]) => { ::std::vec![$($done),*] };
    ([$($done:expr),*] [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::__tensor_list!(
            [$($done,)* $crate::__Nested::List($crate::__tensor_list!([] $($inner)*))] $($($rest)*)?
        )
    };
    ([$($done:expr),*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::__tensor_list!([$($done,)* $crate::__Nested::of(&$item)] $($($rest)*)?)
    };
}
#[doc(hidden)]
pub use unloop_graph::Nested as __Nested;

// Links the backend, which installs itself, even if nothing else names it.
#[doc(hidden)]
pub use unloop_cpu::install as __install_cpu;
#[doc(hidden)]
pub use unloop_rewrite::install as __install_rewriter;

// The examples of the README are tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
