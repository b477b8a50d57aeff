//! Operations whose rules users give: programs with derivatives of their own, host functions, and what
//! is exchanged between examples.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::smallvec;

use super::Types;
use crate::error::{ErrorKind, Place};
use crate::memory::take_memory;
use crate::{Array, Graph, Op, Result, Tensor, TensorType, Trace, TracedProgram};

/// A program with a derivative of its own. Operands are `captured` values, then arguments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WithDerivative {
    /// `(captured, arguments) → (results, residuals)`.
    pub body: Arc<Graph>,
    /// How many operands, from the first, no derivative is taken of.
    pub captured: usize,
    /// How many results, from the first, are the function's; the others are for the rule.
    pub visible: usize,
    /// The derivative.
    pub rule: DerivativeRule,
}

/// The derivative of a [`WithDerivative`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DerivativeRule {
    /// `(captured, arguments, tangents) → tangents of the results`.
    Forward(Arc<Graph>),
    /// `(captured, results, residuals, cotangents) → cotangents of the arguments`.
    Reverse(Arc<Graph>),
    /// Written down when a derivative is taken.
    Deferred(Deferred),
}

/// The derivative of a function, in terms of tensors. It is written down only when it is taken, so
/// that it may apply the function itself: derivatives of all orders follow from one rule.
pub trait Derivative: fmt::Debug + Send + Sync {
    /// Rules of equal keys, of functions with equal programs, are the same.
    fn key(&self) -> String;

    /// The tangents of the results `y` from the arguments and their tangents (absent: zero), at
    /// least one of which is there. The expression is linear in the tangents.
    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], y: &[Tensor]) -> Vec<Tensor>;

    /// If the function is linear in some arguments, which have no value here: their cotangents from
    /// those of the results (absent: zero). `None`, the default: the function's program says it.
    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        x: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let _ = (cotangents, x);
        None
    }
}

/// A shared [`Derivative`]; equal to those of the same key.
#[derive(Clone, Debug)]
pub struct Deferred(pub Arc<dyn Derivative>);

impl PartialEq for Deferred {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for Deferred {}

impl Hash for Deferred {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

/// # Derivatives of one's own
impl Tensor {
    /// The results of a function of tensors whose derivative is `rule`, instead of what follows from
    /// the operations of `body`. `body` is given the arguments, traced, and may use other tensors: no
    /// derivative is taken of those.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, op::Derivative};
    /// /// The square root, whose slope at 0 is 0.
    /// #[derive(Debug)]
    /// struct SafeRoot;
    ///
    /// impl Derivative for SafeRoot {
    ///     fn key(&self) -> String {
    ///         "safe_root".into()
    ///     }
    ///
    ///     fn jvp(&self, _: &[&Tensor], t: &[Option<&Tensor>], y: &[Tensor]) -> Vec<Tensor> {
    ///         let slope = y[0].equal(0.0).select(0.0, 0.5 / y[0].equal(0.0).select(1.0, &y[0]));
    ///         t.iter().flatten().map(|&t| t * &slope).collect()
    ///     }
    /// }
    ///
    /// let x = Tensor::from([4.0, 0.0]);
    /// let [root] = Tensor::with_derivative(SafeRoot, &[&x], |x| [x[0].sqrt()]);
    /// assert_eq!(root.to_vec::<f64>()?, [2.0, 0.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by all results: that of an argument, or of `body`; `EscapedTracer` if `body` uses traced
    /// tensors of transforms that are over.
    #[track_caller]
    pub fn with_derivative<const N: usize>(
        rule: impl Derivative + 'static,
        arguments: &[&Tensor],
        body: impl FnOnce(&[Tensor]) -> [Tensor; N],
    ) -> [Tensor; N] {
        let place = Place::here();
        let run = || -> Result<_> {
            let types: Vec<TensorType> =
                arguments.iter().map(|x| x.check().map(|x| x.ty())).collect::<Result<_>>()?;
            let (trace, params) = Trace::new(types.iter().cloned());
            let TracedProgram { graph, captures } = trace.finish(&body(&params))?;
            // What the program captures (constants) comes first.
            let captured: Vec<Tensor> = captures.into_iter().map(|c| c.tensor).collect();
            let count = captured.len();
            let inputs = captured.iter().map(Tensor::ty).chain(types).collect();
            let order = (count..count + arguments.len()).chain(0..count).collect::<Vec<_>>();
            let op = Op::WithDerivative(WithDerivative {
                body: Arc::new(graph.with_inputs(inputs, &order)),
                captured: count,
                visible: N,
                rule: DerivativeRule::Deferred(Deferred(Arc::new(rule))),
            });
            let operands: Vec<&Tensor> = captured.iter().chain(arguments.iter().copied()).collect();
            Ok(Tensor::apply(op, &operands, place))
        };
        match run() {
            Ok(results) => {
                let mut results = results.into_iter();
                std::array::from_fn(|_| match results.next() {
                    Some(result) => result,
                    None => unreachable!("the program has {N} results"),
                })
            }
            Err(error) => std::array::from_fn(|_| Tensor::error(error.clone())),
        }
    }
}

impl WithDerivative {
    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        super::control::same("operands", operands.iter(), self.body.inputs().iter())?;
        Ok(self.body.output_types().cloned().collect())
    }

    pub(super) fn evaluate(&self, operands: &[Array]) -> Result<Vec<Array>, ErrorKind> {
        self.body.evaluate(operands).map_err(|e| e.kind().clone())
    }
}

/// The derivative of a function that has a reverse rule only: linear in the tangents, and known by
/// its transpose. Operands are `known` values, then tangents.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pullback {
    /// `(known, cotangents) → cotangents of the arguments`.
    pub backward: Arc<Graph>,
    /// How many operands, from the first, are not tangents.
    pub known: usize,
    /// The types of the results.
    pub results: Vec<TensorType>,
}

/// What forward mode says of a function with a reverse rule.
pub const REVERSE_ONLY: &str =
    "the forward derivative of a function with a custom reverse rule; use custom_jvp, or grad";

/// An operation that is computed by plain Rust code, with rules of its own: what a library offers
/// that unloop does not know.
pub trait HostOp: fmt::Debug + Send + Sync {
    /// The lower-case name, for printed programs and errors.
    fn name(&self) -> &'static str;

    /// How many results there are.
    fn result_count(&self) -> usize {
        1
    }

    /// Two operations of one name and key are the same, and compiled once. `None`, the default: an
    /// operation is equal to itself only.
    fn key(&self) -> Option<String> {
        None
    }

    /// The types of the results, or what is wrong with the operands.
    fn infer(&self, operands: &[TensorType]) -> Result<Vec<TensorType>, String>;

    /// Computes the results, of the types that [`HostOp::infer`] gave.
    fn evaluate(&self, operands: &[Array]) -> Result<Vec<Array>, String>;

    /// Bytes that [`HostOp::evaluate`] takes besides its results, about; they count for the limit of
    /// memory. None, by default.
    fn scratch_bytes(&self, operands: &[TensorType]) -> usize {
        let _ = operands;
        0
    }

    /// What computes the results on memory as it lies, for operands of these types; made once for a
    /// compiled program. `None`, the default: [`HostOp::evaluate`] does, on copies.
    ///
    /// # Errors
    /// There is no memory for what the kernel keeps.
    fn prepare(&self, operands: &[TensorType]) -> Result<Option<Box<dyn HostKernel>>, ErrorKind> {
        let _ = operands;
        Ok(None)
    }

    /// The results for a stack of `size` examples along axis 0 of the operands that are marked; each
    /// result has one entry an example along axis 0. `None`, the default, runs them one by one.
    fn batch(&self, operands: &[&Tensor], stacked: &[bool], size: usize) -> Option<Vec<Tensor>> {
        let _ = (operands, stacked, size);
        None
    }

    /// The tangents of the results `y` from the operands and their tangents (absent: zero). The
    /// expression is linear in the tangents; what it is made of has a transpose. `None`, the
    /// default: there is no derivative.
    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], y: &[Tensor]) -> Option<Vec<Tensor>> {
        let _ = (x, t, y);
        None
    }

    /// If the operation is linear in some operands: their cotangents from those of the results
    /// (absent: zero). Linear operands have no value. `None`, the default: there is no transpose.
    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        operands: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let _ = (cotangents, operands);
        None
    }
}

/// Computes a [`HostOp`] for operands of some types, where they lie.
///
/// # Safety
/// Unless it fails, [`HostKernel::run`] has written every element of every result.
pub unsafe trait HostKernel: Send + Sync {
    /// # Safety
    /// The addresses are those of values in row-major order, of the types that the kernel was made for
    /// and that [`HostOp::infer`] gave. Nobody else uses the results, which are not initialised.
    unsafe fn run(&self, operands: &[*const u8], results: &[*mut u8]) -> Result<(), ErrorKind>;

    /// Bytes that [`HostKernel::run`] takes for itself, all threads together.
    fn scratch_bytes(&self) -> usize {
        0
    }
}

/// A shared [`HostOp`].
#[derive(Clone, Debug)]
pub struct Host(pub Arc<dyn HostOp>);

impl Host {
    /// The key, or else the address.
    fn identity(&self) -> (&'static str, Option<String>, usize) {
        let key = self.0.key();
        let address = Arc::as_ptr(&self.0).cast::<()>() as usize;
        (self.0.name(), key.clone(), if key.is_some() { 0 } else { address })
    }

    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        let types = self.0.infer(operands).map_err(ErrorKind::InvalidArgument)?;
        match types.len() == self.0.result_count() {
            true => Ok(types.into()),
            false => {
                let message =
                    format!("{} types for {} results", types.len(), self.0.result_count());
                Err(ErrorKind::InvalidArgument(message))
            }
        }
    }

    /// Computes the results and checks their types.
    pub fn evaluate(&self, operands: &[Array], types: &Types) -> Result<Vec<Array>, ErrorKind> {
        let inputs: Vec<TensorType> = operands.iter().map(Array::ty).collect();
        let bytes = self.0.scratch_bytes(&inputs);
        // The function takes the memory itself, and would not say that there is none.
        let room = || Vec::<u8>::new().try_reserve_exact(bytes).ok();
        let (_, _charge) = take_memory(bytes, room)?;
        let results = self.0.evaluate(operands).map_err(ErrorKind::InvalidArgument)?;
        let given: Types = results.iter().map(Array::ty).collect();
        match given == *types {
            true => Ok(results),
            false => {
                let message = format!("the function gave {given:?} instead of {types:?}");
                Err(ErrorKind::InvalidArgument(message))
            }
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// `(x, position[])` of one example to the `x` of all `size` of them, along a new first axis.
pub(super) fn infer_all_gather([x, _]: &[TensorType; 2], size: usize) -> Types {
    smallvec![TensorType { dtype: x.dtype, shape: x.shape.with(0, size) }]
}

/// What runs one example of several by itself says of an exchange between them.
pub(super) fn all_gather() -> ErrorKind {
    ErrorKind::Unsupported(
        "an exchange between examples inside a branch that only some of them take; move it out of \
         the branch"
            .into(),
    )
}
