//! Random numbers as pure functions of a key: the same key gives the same numbers, everywhere, under
//! every transform. Nothing is hidden: who wants new numbers takes a new key, by [`split`] or
//! [`fold_in`].
//!
//! The generator is Threefry-2x32 with 20 rounds (Salmon et al., *Parallel random numbers: as easy as
//! 1, 2, 3*, 2011), counting as JAX does, so that keys, bits and uniform numbers are JAX's, bit by bit.
//!
//! Functions take one key and the shape of the result: `()`, `3`, `(2, 3)`, a slice. A dtype is f32 or f64.
//! Parameters are numbers or tensors, scalars or of just the result's shape, and give the dtype. Errors are
//! carried by the result.
//!
//! ```
//! use unloop::prelude::*;
//! use unloop::random;
//!
//! # fn main() -> unloop::Result<()> {
//! let [data, noise] = random::split(&random::key(42));
//! let x = random::uniform(&data, DType::F64, 1000);
//! let y = 3.0 * &x + 0.1 * random::normal(&noise, DType::F64, 1000);
//! assert_eq!(y.shape(), [1000]);
//!
//! // One key an example: every example has numbers of its own.
//! let keys = random::split_stack(&random::key(0), 8);
//! let walks = vmap(|key: &random::Key| random::normal(key, DType::F64, 100).cumsum(0), 0)(&keys);
//! assert_eq!(walks.shape(), [8, 100]);
//! # Ok(())
//! # }
//! ```

mod continuous;
mod discrete;
mod gamma;

pub use continuous::{
    ball, beta, cauchy, chisquare, dirichlet, double_sided_maxwell, exponential, f,
    generalized_normal, gumbel, laplace, logistic, lognormal, maxwell, multivariate_normal, normal,
    orthogonal, pareto, rayleigh, t, triangular, truncated_normal, uniform, uniform_between, wald,
    weibull_min,
};
pub use discrete::{
    bernoulli, categorical, choice, choice_weighted, choice_without_replacement, geometric,
    permutation, poisson, rademacher, randint, shuffle,
};
pub use gamma::{gamma, loggamma};

use unloop_derive::Tree;
use unloop_graph::{
    DType, Error, ErrorKind, Operand, Place, Shape, Tensor, floats, operands, operation,
};
use unloop_transform::at_once;

/// A key: what random numbers are made of. A tree of one tensor, so that it is an argument of any
/// transform; under `vmap`, a stack of keys (of [`split_stack`]) gives each example its own.
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct Key {
    words: Tensor,
}

impl Key {
    /// The key of two words: a tensor of dtype u32 and shape `[2]`, or a stack of such, `[n, 2]`. Of other
    /// tensors, what is drawn carries an error (`InvalidArgument`).
    ///
    /// ```
    /// use unloop::{Tensor, random};
    /// let key = random::Key::from_data(Tensor::from([0u32, 42]));
    /// let (same, shape) = (random::key(42), 3);
    /// assert_eq!(random::bits(&key, shape).to_vec::<u32>()?, random::bits(&same, shape).to_vec::<u32>()?);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn from_data(words: impl Into<Tensor>) -> Key {
        Key { words: words.into() }
    }

    /// The two words of the key, `[2]` of dtype u32; of a stack, `[n, 2]`.
    ///
    /// ```
    /// use unloop::random;
    /// assert_eq!(random::key(42).data().to_vec::<u32>()?, [0, 42]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn data(&self) -> &Tensor {
        &self.words
    }
}

/// The key of a seed, any i64.
///
/// ```
/// use unloop::{DType, random};
/// let draw = || random::uniform(&random::key(7), DType::F64, 3).to_vec::<f64>();
/// assert_eq!(draw()?, draw()?); // the same key, the same numbers
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn key(seed: i64) -> Key {
    operation("key", || {
        let word = |x: i64| x as u32;
        // A seed that fits 32 bits has no upper word, as in JAX, where it would be an i32.
        let upper = if i32::try_from(seed).is_ok() { 0 } else { word(seed >> 32) };
        Key { words: Tensor::from([upper, word(seed)]) }
    })
}

fn number(value: u32) -> Tensor {
    Tensor::full((), value)
}

fn rotated(x: &Tensor, by: u32) -> Tensor {
    x.shift_left(&number(by)) | x.shift_right_logical(&number(32 - by))
}

/// The two words that the generator makes of two words of a counter.
#[track_caller]
fn threefry(key: &Key, high: &Tensor, low: &Tensor) -> (Tensor, Tensor) {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    const PARITY: u32 = 0x1bd1_1bda;
    let (k0, k1) = (key.words.at(0), key.words.at(1));
    let keys = [k0.clone(), k1.clone(), k0 ^ k1 ^ number(PARITY)];
    let (mut x, mut y) = (high + &keys[0], low + &keys[1]);
    for group in 0..5 {
        for by in ROTATIONS[group % 2] {
            x += &y;
            y = rotated(&y, by) ^ &x;
        }
        x += &keys[(group + 1) % 3];
        y = y + &keys[(group + 2) % 3] + number(group as u32 + 1);
    }
    (x, y)
}

/// The error of what is not one key.
#[track_caller]
fn not_a_key(key: &Key) -> Option<Tensor> {
    match (key.words.as_error(), &*key.words.ty().shape, key.words.dtype()) {
        (Some(error), ..) => Some(Tensor::error(error.clone())),
        (None, [2], DType::U32) => None,
        _ => Some(invalid(format!(
            "a key of type {}; one key is u32[2], and a stack of keys goes through vmap",
            key.words.ty()
        ))),
    }
}

/// Both words for the counters `0, 1, …` along the elements of a shape.
#[track_caller]
fn words(key: &Key, shape: &Shape) -> (Tensor, Tensor) {
    let size = match shape.checked_size(DType::F64) {
        Ok(size) => size,
        Err(kind) => {
            let error = Tensor::error(Error::new("random", kind, Place::here()));
            return (error.clone(), error);
        }
    };
    let too_many = || invalid(format!("{size} numbers of one key; split it"));
    let wrong = not_a_key(key).or_else(|| u32::try_from(size).is_err().then(too_many));
    if let Some(error) = wrong {
        return (error.clone(), error);
    }
    let place = Place::here();
    at_once(
        |key: &Key| {
            place.scope(|| {
                let low = Tensor::iota(DType::U32, size, 0);
                let (x, y) = threefry(key, &low.zeros_like(), &low);
                (x.reshape(shape), y.reshape(shape))
            })
        },
        (key,),
    )
}

/// Numbers of a distribution with parameters, of which a scalar goes with any shape; others have the shape
/// asked for, as `draw` is given all of them. Their one dtype, f32 or f64, is that of the numbers.
#[track_caller]
fn drawn<const N: usize>(
    name: &'static str,
    parameters: [&dyn Operand; N],
    shape: impl Into<Shape>,
    draw: impl FnOnce([Tensor; N], &Shape) -> Tensor,
) -> Tensor {
    operation(name, || {
        let (parameters, shape) = (operands(parameters), shape.into());
        let fits = |x: &Tensor| x.rank() == 0 || x.shape() == &*shape || x.as_error().is_some();
        match parameters.iter().find(|x| !fits(x)) {
            Some(other) => {
                let why = "parameters are scalars or have the shape asked for, as \
                           .broadcast_to(shape) gives it";
                let (left, right) = (Shape::from(other.shape()), shape);
                let kind = ErrorKind::Incompatible { left, right, why: why.into() };
                Tensor::error(Error::new(name, kind, Place::here()))
            }
            None => floats(&parameters.each_ref(), || {
                draw(parameters.each_ref().map(|x| x.broadcast_to(&shape)), &shape)
            }),
        }
    })
}

/// The error of a parameter that stands for several numbers.
#[track_caller]
fn not_a_vector(name: &'static str, x: &Tensor) -> Tensor {
    let kind = ErrorKind::WrongRank { expected: "a vector", shape: Shape::from(x.shape()) };
    Tensor::error(Error::new(name, kind, Place::here()))
}

#[track_caller]
fn invalid(message: String) -> Tensor {
    Tensor::error(Error::new("random", ErrorKind::InvalidArgument(message), Place::here()))
}

/// `N` new keys of a key; the old one should not be used again.
///
/// # Errors
/// Carried by the keys: `InvalidArgument` for what is not one key (a stack goes through `vmap`).
///
/// ```
/// use unloop::random;
/// let [weights, noise] = random::split(&random::key(0));
/// assert_ne!(weights.data().to_vec::<u32>()?, noise.data().to_vec::<u32>()?);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn split<const N: usize>(key: &Key) -> [Key; N] {
    operation("split", || {
        let stack = split_stack(key, N);
        std::array::from_fn(|i| Key { words: stack.words.at((i, ..)) })
    })
}

/// `count` new keys of a key as one stack, for `vmap`: its data is `[count, 2]`. The keys are those of
/// [`split`].
///
/// # Errors
/// Carried by the keys: `InvalidArgument` for what is not one key.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::random;
/// let keys = random::split_stack(&random::key(0), 5);
/// let x = vmap(|key: &random::Key| random::normal(key, DType::F64, 3), 0)(&keys);
/// assert_eq!(x.shape(), [5, 3]);
/// ```
#[track_caller]
pub fn split_stack(key: &Key, count: usize) -> Key {
    operation("split_stack", || {
        let (x, y) = words(key, &Shape::from(count));
        Key { words: Tensor::stack(&[&x, &y], -1) }
    })
}

/// A new key of a key and a number, an integer scalar such as the step of a loop. Other numbers make other
/// keys; of the number the lower 32 bits count.
///
/// # Errors
/// Carried by the key: `InvalidArgument` for what is not one key (a stack goes through `vmap`);
/// `UnsupportedDType` for a number that is no integer, `WrongRank` for several.
///
/// ```
/// use unloop::random;
/// let step = random::fold_in(&random::key(0), 7);
/// assert_eq!(step.data().shape(), [2]);
/// ```
#[track_caller]
pub fn fold_in(key: &Key, number: impl Into<Tensor>) -> Key {
    let (number, place) = (number.into(), Place::of("fold_in"));
    let (dtype, shape) = (number.dtype(), Shape::from(number.shape()));
    let kind = match shape.rank() {
        _ if !dtype.is_int() => {
            Some(ErrorKind::UnsupportedDType { dtype, expected: "i32, i64 and u32" })
        }
        0 => None,
        _ => Some(ErrorKind::WrongRank { expected: "a scalar", shape }),
    };
    let wrong = match (number.as_error(), kind) {
        (Some(_), _) => Some(number.clone()),
        (None, Some(kind)) => Some(Tensor::error(Error::new("fold_in", kind, place))),
        (None, None) => place.scope(|| not_a_key(key)),
    };
    if let Some(words) = wrong {
        return Key { words };
    }
    let number = number.cast(DType::U32);
    at_once(
        |key: &Key, number: &Tensor| {
            place.scope(|| {
                let (x, y) = threefry(key, &number.zeros_like(), number);
                Key { words: Tensor::stack(&[&x, &y], 0) }
            })
        },
        (key, &number),
    )
}

/// Random bits: words of dtype u32, of any shape.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is not one key, and for 2³² numbers or more of one.
///
/// ```
/// use unloop::{DType, random};
/// let words = random::bits(&random::key(0), 4);
/// assert_eq!(words.dtype(), DType::U32);
/// ```
#[track_caller]
pub fn bits(key: &Key, shape: impl Into<Shape>) -> Tensor {
    operation("bits", || {
        let (x, y) = words(key, &shape.into());
        x ^ y
    })
}

/// Numbers in `[0, 1)`: the upper bits as a fraction.
#[track_caller]
fn unit(key: &Key, dtype: DType, shape: &Shape) -> Tensor {
    let (x, y) = words(key, shape);
    match dtype {
        DType::F32 => (x ^ y).shift_right_logical(&number(9)).cast(dtype) * f64::exp2(-23.0),
        DType::F64 => {
            let upper = x.cast(dtype) * f64::exp2(20.0);
            (upper + y.shift_right_logical(&number(12)).cast(dtype)) * f64::exp2(-52.0)
        }
        _ => {
            let kind = ErrorKind::UnsupportedDType { dtype, expected: "f32 and f64" };
            Tensor::error(Error::new("random", kind, Place::here()))
        }
    }
}
