//! The one error type. An operation that cannot be done yields a tensor that carries an [`Error`];
//! it says what was wrong ([`ErrorKind`]), in which operation, and at which line of the user's
//! program, and comes out as `Err` where values leave the library.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{DType, Shape};

/// What went wrong, where, and what to do instead.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    place: Place,
    /// Where the function that was made at `place` was called.
    called: Option<&'static Location<'static>>,
}

/// The result of anything that may fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of errors, with the facts of each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An elementwise operation met two different shapes, neither of which is a scalar.
    #[error(
        "shapes {left} and {right} differ; elementwise operations take equal shapes or a scalar: \
         lift the function with vmap or each, or say .broadcast_to(shape), or .broadcast() for NumPy's rule"
    )]
    ShapeMismatch {
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
    },
    /// Two operands whose sizes must agree along some axes do not.
    #[error("shapes {left} and {right} do not fit: {why}")]
    Incompatible {
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
        /// Which sizes must agree.
        why: String,
    },
    /// Two operands of different dtypes met.
    #[error("dtypes {left} and {right} differ; nothing is converted silently: say .cast(DType::…)")]
    DTypeMismatch {
        /// Dtype of the left operand.
        left: DType,
        /// Dtype of the right operand.
        right: DType,
    },
    /// The operation is not defined for this dtype.
    #[error("not defined for {dtype}, only for {expected}; .cast(DType::…) converts")]
    UnsupportedDType {
        /// The dtype given.
        dtype: DType,
        /// The dtypes that the operation takes.
        expected: &'static str,
    },
    /// An axis number outside of the tensor's rank.
    #[error("axis {axis} is out of range for a tensor of rank {rank}{}", axis_range(*.rank))]
    AxisOutOfRange {
        /// The axis given.
        axis: isize,
        /// The rank of the tensor.
        rank: usize,
    },
    /// The same axis given twice.
    #[error("axis {axis} is given twice")]
    RepeatedAxis {
        /// The axis, counted from the start.
        axis: usize,
    },
    /// A tensor of the wrong rank.
    #[error("expected {expected}, got shape {shape}")]
    WrongRank {
        /// What the operation takes.
        expected: &'static str,
        /// The shape given.
        shape: Shape,
    },
    /// An index outside of an axis.
    #[error(
        "index {index} is out of bounds for axis {axis} of size {size}; \
         .at_clipped or .at_or(fill) say what else to do"
    )]
    IndexOutOfBounds {
        /// The index given.
        index: i64,
        /// The axis that it indexes.
        axis: usize,
        /// The extent of that axis.
        size: usize,
    },
    /// Indices that are not integers.
    #[error("indices are i32, i64 or u32, not {dtype}; {}", index_advice(*.dtype))]
    IndexDType {
        /// The dtype given.
        dtype: DType,
    },
    /// The number of indices is not the rank.
    #[error(
        "{given} {} for a tensor of shape {shape}; index every dimension, `..` takes a whole one",
        if *.given == 1 { "index" } else { "indices" }
    )]
    IndexCount {
        /// How many were given.
        given: usize,
        /// The shape that was indexed.
        shape: Shape,
    },
    /// Memory that there is not, or that `set_memory_limit` does not allow.
    #[error(
        "needs {needed} bytes, {}; vmap(…).chunks(n) or checkpoint need less{}",
        shortage(*.limit), way_out(*.limit)
    )]
    OutOfMemory {
        /// Bytes that were wanted: of a whole program, or of a single value.
        needed: usize,
        /// The limit that was set and would have been exceeded; `None` if the system has no more.
        limit: Option<usize>,
    },
    /// The work was ended by a [`CancelToken`](crate::CancelToken).
    #[error("cancelled before it was done")]
    Cancelled,
    /// The condition of a loop that was given a limit stayed true.
    #[error("the condition is still true after {limit} steps, the limit of this loop")]
    LoopLimit {
        /// The steps that were allowed.
        limit: usize,
    },
    /// An argument that is wrong in some other way.
    #[error("{0}")]
    InvalidArgument(String),
    /// An index of `each` that indexes no axis has no size.
    #[error(
        "index {position} of `each` indexes no axis, so it has no size; give sizes with each_to"
    )]
    UnsizedIndex {
        /// Position of the index in the closure's argument.
        position: usize,
    },
    /// A gradient of something that is not a scalar.
    #[error(
        "the function returns shape {shape}; a gradient needs a scalar: reduce it (.sum(), .mean()), or use jacrev, jacfwd or vjp"
    )]
    NonScalar {
        /// The shape returned.
        shape: Shape,
    },
    /// A derivative in, or of, something that is not a float.
    #[error(
        "{what} has dtype {dtype}; only f32 and f64 can be differentiated: .cast(DType::F64) converts"
    )]
    NotDifferentiable {
        /// Which value: "argument 0", "the result".
        what: String,
        /// Its dtype.
        dtype: DType,
    },
    /// Two trees of different structure.
    #[error("trees differ at {path}: {left} and {right}")]
    TreeMismatch {
        /// The path of the first difference.
        path: String,
        /// What the first tree has there.
        left: String,
        /// What the second tree has there.
        right: String,
    },
    /// The mapped axes of `vmap`'s arguments have different sizes.
    #[error("mapped axes have different sizes: {}", list_sizes(.sizes))]
    BatchSizes {
        /// Which argument (and leaf), with the shape, the axis and the size.
        sizes: Vec<(String, usize)>,
    },
    /// A singular matrix.
    #[error("the matrix is singular (an exact zero pivot); there is no unique solution")]
    Singular,
    /// A matrix that has no Cholesky factor.
    #[error(
        "the matrix is not positive definite, so that it has no Cholesky factor; a small multiple \
         of the identity added to it may help"
    )]
    NotPositiveDefinite,
    /// A traced tensor was asked for its value.
    #[error(
        "a traced tensor has a shape but no value yet; inside a transform choose with select, cond, while_loop or scan, \
         or take the value after the transform"
    )]
    TracedValue,
    /// A traced tensor was used after its trace ended.
    #[error(
        "a traced tensor left the function that it belongs to; return it from the function instead of storing it outside"
    )]
    EscapedTracer,
    /// A shape with more elements or bytes than can be addressed.
    #[error("a tensor of {dtype}{shape} has more bytes than can be addressed")]
    SizeOverflow {
        /// The shape.
        shape: Shape,
        /// The dtype.
        dtype: DType,
    },
    /// Something that unloop does not do (yet).
    #[error("unsupported: {0}")]
    Unsupported(String),
}

/// What a [`HostOp`](crate::op::HostOp) says when it fails.
impl From<ErrorKind> for String {
    fn from(kind: ErrorKind) -> String {
        kind.to_string()
    }
}

fn shortage(limit: Option<usize>) -> String {
    match limit {
        Some(limit) => format!("more than the limit of {limit} allows beside what is in use"),
        None => "more than the system has left".into(),
    }
}

fn way_out(limit: Option<usize>) -> &'static str {
    match limit {
        Some(_) => ", set_memory_limit allows more",
        None => "",
    }
}

fn axis_range(rank: usize) -> String {
    match rank {
        0 => " (a scalar has no axes)".into(),
        _ => format!(" (axes are -{rank}..{rank})"),
    }
}

fn index_advice(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => {
            "where a mask is true, .select(a, b) chooses, and .nonzero(size) gives the positions"
        }
        DType::I32 | DType::I64 | DType::U32 | DType::F32 | DType::F64 => {
            ".cast(DType::I64) takes the integer part"
        }
    }
}

fn list_sizes(sizes: &[(String, usize)]) -> String {
    let parts: Vec<String> =
        sizes.iter().map(|(what, size)| format!("{what} has {size}")).collect();
    parts.join(", ")
}

impl Error {
    /// An error at a place of the user's program. The place names the function that the user called;
    /// `op` is named where it names none.
    ///
    /// ```
    /// # use unloop_graph::{Error, ErrorKind, Place};
    /// let kind = ErrorKind::InvalidArgument("no data".into());
    /// let error = Error::new("load", kind, Place::here());
    /// assert_eq!(error.op(), "load");
    /// ```
    ///
    /// # Panics
    /// Always, when [`ErrorMode::Panic`] is set.
    pub fn new(op: &'static str, kind: ErrorKind, place: Place) -> Error {
        let error = Error(Arc::new(Inner { place: place.or_op(op), kind, called: None }));
        if PANIC.load(Ordering::Relaxed) {
            panic!("{error}");
        }
        error
    }

    /// An error of a function of one's own, which refuses an argument: of kind `InvalidArgument`, with
    /// the function's name and the line where this stands. With `#[track_caller]` on the function it is the
    /// line of the function's caller. [`Tensor::error`](crate::Tensor::error) makes a result of it.
    ///
    /// ```
    /// # use unloop_graph::{Error, Tensor};
    /// /// The density of waiting times.
    /// #[track_caller]
    /// fn exponential(x: &Tensor, rate: f64) -> Tensor {
    ///     if rate <= 0.0 {
    ///         let message = format!("the rate must be positive, but is {rate}");
    ///         return Tensor::error(Error::invalid("exponential", message));
    ///     }
    ///     (x * -rate).exp() * rate
    /// }
    ///
    /// let error = exponential(&Tensor::from(1.0), -1.0).sum().item::<f64>().unwrap_err();
    /// assert_eq!(error.op(), "exponential");
    /// assert_eq!(error.kind().to_string(), "the rate must be positive, but is -1");
    /// assert_eq!(error.location().map(|at| at.line()), Some(line!() - 3));
    /// ```
    ///
    /// # Panics
    /// Always, when [`ErrorMode::Panic`] is set.
    #[track_caller]
    pub fn invalid(op: &'static str, message: impl Into<String>) -> Error {
        Error::new(op, ErrorKind::InvalidArgument(message.into()), Place::of(op))
    }

    /// The same error; one that no line is known of happened inside of the call at `place`.
    pub fn or_at(self, place: Place) -> Error {
        let site = self.site();
        match (site.line, place.0) {
            (None, Some(outer)) => {
                let inner = site.op.filter(|&op| Some(op) != outer.op);
                let (kind, called) = (self.0.kind.clone(), self.0.called);
                Error(Arc::new(Inner { place: Place(Some(Site { inner, ..outer })), kind, called }))
            }
            _ => self,
        }
    }

    /// The same error; of a function that a transform made, with the line where it was called.
    pub fn or_called_at(self, line: &'static Location<'static>) -> Error {
        match (self.site().makes_function, self.0.called) {
            (true, None) => {
                let (kind, place) = (self.0.kind.clone(), self.0.place);
                Error(Arc::new(Inner { place, kind, called: Some(line) }))
            }
            _ => self,
        }
    }

    /// What went wrong, with its facts.
    ///
    /// ```
    /// # use unloop_graph::{ErrorKind, Tensor};
    /// let x = Tensor::from([1.0]).sum_axis(5);
    /// let error = x.check().unwrap_err();
    /// assert_eq!(*error.kind(), ErrorKind::AxisOutOfRange { axis: 5, rank: 1 });
    /// ```
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The function, method or operator that the user called, such as `"add"`, `"sum_axis"` or
    /// `"vmap"`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0]).sum_axis(5);
    /// assert_eq!(x.check().unwrap_err().op(), "sum_axis");
    /// ```
    pub fn op(&self) -> &'static str {
        self.site().op.unwrap_or("unloop")
    }

    /// The function inside of [`Error::op`] that failed, when that is composed of others.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).softmax(1);
    /// assert_eq!(x.check().unwrap_err().inner_op(), Some("max_keep"));
    /// ```
    pub fn inner_op(&self) -> Option<&'static str> {
        self.site().inner
    }

    /// The line of the user's program where the operation stands, when known: that of a method which is
    /// handed to the standard library by its name is not. Of a function that a transform made it is the
    /// line where it was made.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let x = Tensor::from([1.0]).sum_axis(5);
    /// assert_eq!(x.check().unwrap_err().location().map(|at| at.line()), Some(line!() - 1));
    /// ```
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.place.line()
    }

    /// The line where a function that a transform made, at [`Error::location`], was called, if by its
    /// method `try_call` (or `graph`): a plain call does not tell its line.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// assert_eq!(Tensor::from([1.0]).sum_axis(5).check().unwrap_err().called_at(), None);
    /// ```
    pub fn called_at(&self) -> Option<&'static Location<'static>> {
        self.0.called
    }

    fn site(&self) -> Site {
        self.0.place.0.unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.op())?;
        if let Some(at) = self.location() {
            let made = if self.site().makes_function { " made" } else { "" };
            write!(f, "{made} at {}:{}:{}", at.file(), at.line(), at.column())?;
        }
        if let Some(at) = self.called_at() {
            write!(f, ", called at {}:{}:{}", at.file(), at.line(), at.column())?;
        }
        if let Some(inner) = self.inner_op() {
            write!(f, ", in `{inner}`")?;
        }
        write!(f, ": {}", self.0.kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// A place in the user's program, if known. Places do not take part in equality or hashes: two
/// programs are the same wherever they were written.
#[derive(Clone, Copy, Default)]
pub struct Place(pub Option<Site>);

/// A call in the user's program: its line, and the function that is called there.
#[derive(Clone, Copy, Default)]
pub struct Site {
    /// The line; unknown where the standard library calls for the user.
    pub line: Option<&'static Location<'static>>,
    /// The function, method or operator that the user called.
    pub op: Option<&'static str>,
    /// What `op` called in turn, when it is composed of others.
    pub inner: Option<&'static str>,
    /// Whether `op` makes a function, which is called elsewhere, as transforms do.
    pub makes_function: bool,
}

thread_local! {
    static CURRENT: Cell<Place> = const { Cell::new(Place(None)) };
}

impl Place {
    /// The place of an operation that is being built: the one set by [`Place::scope`] while a composed
    /// function runs or a transform rebuilds a user's operation, else the caller's line.
    #[track_caller]
    pub fn here() -> Place {
        match CURRENT.get() {
            Place(None) => {
                let line = Some(Location::caller()).filter(|line| !is_of_std(line));
                Place(Some(Site { line, ..Site::default() }))
            }
            place => place,
        }
    }

    /// The place of a call of the public function `op`: inside of another one that function's place,
    /// else the caller's line.
    #[track_caller]
    pub fn of(op: &'static str) -> Place {
        match Place::here() {
            Place(Some(site @ Site { op: Some(outer), inner: None, .. })) if outer != op => {
                Place(Some(Site { inner: Some(op), ..site }))
            }
            place => place.or_op(op),
        }
    }

    /// The place of a call of the public function `op` that makes a function, as transforms do. Errors of
    /// that function's arguments say that it was made there.
    #[track_caller]
    pub fn of_maker(op: &'static str) -> Place {
        let is_inside = CURRENT.get().0.is_some();
        match Place::of(op) {
            Place(Some(site)) if !is_inside => Place(Some(Site { makes_function: true, ..site })),
            place => place,
        }
    }

    /// The place set by [`Place::scope`], if any.
    pub fn current() -> Place {
        CURRENT.get()
    }

    /// The place of a public function that the standard library calls, which hides the user's line.
    pub(crate) fn without_line(op: &'static str) -> Place {
        match CURRENT.get() {
            Place(None) => Place(Some(Site { op: Some(op), ..Site::default() })),
            place => place,
        }
    }

    /// The place with a name, if it has none yet.
    pub(crate) fn or_op(self, op: &'static str) -> Place {
        let site = self.0.unwrap_or_default();
        Place(Some(Site { op: site.op.or(Some(op)), ..site }))
    }

    /// The line, if known.
    pub fn line(self) -> Option<&'static Location<'static>> {
        self.0.and_then(|site| site.line)
    }

    /// Runs `f`; the operations that it builds stand at this place.
    pub fn scope<R>(self, f: impl FnOnce() -> R) -> R {
        struct Restore(Place);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        f()
    }
}

/// Whether the standard library makes a call, as it does of a method that is passed by its name.
fn is_of_std(line: &Location<'_>) -> bool {
    line.file().starts_with("/rustc/")
}

/// Runs the body of the public function `op`: errors inside of it name `op` and the line of its
/// caller.
#[track_caller]
pub fn operation<R>(op: &'static str, body: impl FnOnce() -> R) -> R {
    Place::of(op).scope(body)
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line() {
            Some(at) => write!(f, "{}:{}", at.file(), at.line()),
            None => f.write_str("?"),
        }
    }
}

/// What happens at the operation that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorMode {
    /// The operation yields a tensor that carries the error (the default).
    Carry,
    /// The operation panics, for debugging with a backtrace.
    Panic,
}

static PANIC: AtomicBool = AtomicBool::new(false);

/// Chooses what every failing operation of the process does from now on: with [`ErrorMode::Panic`] a
/// backtrace leads to the line that fails first.
///
/// ```
/// # use unloop_graph::{ErrorMode, Tensor, set_error_mode};
/// set_error_mode(ErrorMode::Carry); // the default
/// assert!(Tensor::from([1.0]).sum_axis(5).check().is_err());
/// ```
pub fn set_error_mode(mode: ErrorMode) {
    PANIC.store(mode == ErrorMode::Panic, Ordering::Relaxed);
}
