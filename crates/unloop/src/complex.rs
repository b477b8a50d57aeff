//! Complex numbers: a tensor of real parts and one of imaginary parts, which is a [`Tree`]. So every
//! transform works on them, and their arithmetic is fused and vectorised as that of any tensors.
//!
//! ```
//! use unloop::prelude::*;
//! use unloop::Complex;
//!
//! # fn main() -> unloop::Result<()> {
//! let z = Complex::from_polar(&Tensor::from([1.0, 2.0]), &Tensor::from([0.0, 1.0]));
//! assert!(((&z * z.conj()).re - Tensor::from([1.0, 4.0])).abs().max().item::<f64>()? < 1e-12);
//!
//! // The gradient of |z|² is 2z: its parts are the derivatives in the parts of z.
//! let slope = grad(|z: &Complex| z.abs().square().sum())(&z);
//! assert!((slope - &z * 2.0).abs().max().item::<f64>()? < 1e-12);
//! # Ok(())
//! # }
//! ```
//!
//! # Derivatives
//!
//! A derivative is that of the real function of both parts. The gradient of a real `f(x + iy)` is
//! `∂f/∂x + i·∂f/∂y`, the direction of steepest ascent; JAX gives its conjugate. A tangent of a
//! holomorphic function is `f'(z)·dz`. A cotangent of it is `conj(f'(z))·ct`; JAX's are the
//! conjugates: `f'(z)·ct`. [`Complex::conj`] goes from one convention to the other.

use std::ops::{Add, Div, Mul, Neg, Sub};

use ndarray::Dimension;
use num_complex::Complex as Number;
use unloop_derive::Tree;
use unloop_graph::{
    AxisList, DType, Element, Operand, Place, Result, Shape, Tensor, not_floats, operands,
    operation,
};

/// A tensor of complex numbers, of any shape, with parts in f32 or f64 (or integers, for what is defined
/// for them). `+`, `-`, `*` and `/` take complex and real tensors and real numbers, element by element:
/// of one shape, or one of them a scalar.
///
/// ```
/// use unloop::{Complex, Tensor};
/// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// let w = (&z * &z + 1.0) / 2.0;
/// assert_eq!(w.re.to_vec::<f64>()?, [-3.5, -5.5]);
/// assert_eq!(w.im.to_vec::<f64>()?, [3.0, 8.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone, Tree)]
#[tree(crate = "crate")]
pub struct Complex {
    /// The real parts.
    pub re: Tensor,
    /// The imaginary parts, of the shape and dtype of the real ones.
    pub im: Tensor,
}

/// Methods in the style of those of [`Tensor`]: errors name the line that calls.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($z:ident $(, $arg:ident: $ty:ty)*) -> $result:ty $body:block)+) => {
        impl Complex {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self $(, $arg: $ty)*) -> $result {
                let $z = self;
                operation(stringify!($name), || $body)
            }
        )+}
    };
}

impl Complex {
    /// Of real and imaginary parts, which have one shape and dtype. That is not checked here: parts that
    /// differ are the error (`ShapeMismatch`, `DTypeMismatch`) of what mixes them.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// assert_eq!(z.shape(), [2]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn new(re: impl Into<Tensor>, im: impl Into<Tensor>) -> Complex {
        Complex { re: re.into(), im: im.into() }
    }

    /// Of real numbers: imaginary parts of zeros, of the shape and dtype of `re`.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::from_real(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(z.im.to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn from_real(re: &Tensor) -> Complex {
        operation("from_real", || Complex { re: re.clone(), im: re.zeros_like() })
    }

    /// Of lengths and angles (radians), `length·e^(i·angle)`: of one shape, or one of them a scalar.
    ///
    /// # Errors
    /// Carried by the result: `ShapeMismatch` for other shapes; `UnsupportedDType` for angles that are no
    /// floats; `DTypeMismatch` for tensors of two dtypes.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::from_polar(&Tensor::from([1.0, 2.0]), 0.0);
    /// assert_eq!(z.re.to_vec::<f64>()?, [1.0, 2.0]);
    /// assert_eq!(z.im.to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn from_polar(length: impl Operand, angle: impl Operand) -> Complex {
        operation("from_polar", || {
            let [length, angle] = operands([&length, &angle]);
            Complex { re: &length * angle.cos(), im: &length * angle.sin() }
        })
    }

    /// Of an array of complex numbers, of its shape; parts have the dtype of `T`.
    ///
    /// ```
    /// use ndarray::array;
    /// use num_complex::Complex64;
    /// use unloop::Complex;
    /// let z = Complex::from_array(&array![Complex64::new(1.0, 2.0)]);
    /// assert_eq!((z.re.to_vec::<f64>()?, z.im.to_vec::<f64>()?), (vec![1.0], vec![2.0]));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn from_array<T: Element, D: Dimension>(array: &ndarray::Array<Number<T>, D>) -> Complex {
        let part =
            |f: fn(&Number<T>) -> T| Tensor::from_vec(array.shape(), array.iter().map(f).collect());
        Complex { re: part(|z| z.re), im: part(|z| z.im) }
    }

    /// The numbers as an array of element type `T` and dimension `D`.
    ///
    /// # Errors
    /// Those of [`Tensor::to_array`]: the error that a part carries; `TracedValue` inside a transform; a
    /// dtype that is not `T`; `WrongRank` for a rank that is not that of `D`.
    ///
    /// ```
    /// use ndarray::Ix1;
    /// use num_complex::Complex64;
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0]), Tensor::from([2.0]));
    /// assert_eq!(z.to_array::<f64, Ix1>()?[0], Complex64::new(1.0, 2.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn to_array<T: Element, D: Dimension>(&self) -> Result<ndarray::Array<Number<T>, D>> {
        operation("to_array", || {
            let (re, im) = (self.re.to_array::<T, D>()?, self.im.to_array::<T, D>()?);
            Ok(ndarray::Zip::from(&re).and(&im).map_collect(|&re, &im| Number { re, im }))
        })
    }

    /// The size of every axis; of the real parts, if one carries an error.
    pub fn shape(&self) -> &[usize] {
        self.re.shape()
    }

    /// The dtype of the parts.
    pub fn dtype(&self) -> DType {
        self.re.dtype()
    }

    /// Both parts changed by a function that is linear: a rearrangement, a sum, an index. Errors of the
    /// function ride in the parts.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// assert_eq!(z.each_part(|x| x.flip(&[0])).im.to_vec::<f64>()?, [4.0, 3.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn each_part(&self, f: impl Fn(&Tensor) -> Tensor) -> Complex {
        Complex { re: f(&self.re), im: f(&self.im) }
    }

    /// `i`, as a scalar of the dtype of `like`.
    #[track_caller]
    fn i(like: &Tensor) -> Complex {
        let scalar = |value: f64| Tensor::full((), value).cast(like.dtype());
        Complex { re: scalar(0.0), im: scalar(1.0) }
    }

    /// Sums, `a` and `b` chosen element by element.
    #[track_caller]
    fn select(condition: &Tensor, a: &Complex, b: &Complex) -> Complex {
        Complex { re: condition.select(&a.re, &b.re), im: condition.select(&a.im, &b.im) }
    }
}

methods! {
    /// The complex conjugate, `re - i·im`, element by element.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!(z.conj().im.item::<f64>()?, -4.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    conj(z) -> Complex { Complex { re: z.re.clone(), im: -&z.im } }

    /// The length `√(re² + im²)` of each element, without overflow on the way: a real tensor of the shape
    /// and dtype of the parts.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!(z.abs().item::<f64>()?, 5.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    abs(z) -> Tensor { z.re.hypot(&z.im) }

    /// `re² + im²` of each element: a real tensor of the shape and dtype of the parts.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!(z.norm_squared().item::<f64>()?, 25.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    norm_squared(z) -> Tensor { z.re.square() + z.im.square() }

    /// The angle of each element from the real axis, from -π to π (radians): a real tensor of the shape and
    /// dtype of the parts.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(0.0), Tensor::from(2.0));
    /// assert_eq!(z.angle().item::<f64>()?, std::f64::consts::FRAC_PI_2);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    angle(z) -> Tensor { z.im.atan2(&z.re) }

    /// `1/z` of each element, as `conj(z)/|z|²`. The square of a large or small `z` leaves the range of its
    /// dtype: `1.0 / z` does not.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(0.0), Tensor::from(2.0));
    /// assert_eq!((z.recip().re.item::<f64>()?, z.recip().im.item::<f64>()?), (0.0, -0.5));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    recip(z) -> Complex {
        if let Some(error) = not_floats(&[&z.re, &z.im]) {
            return Complex { re: error.clone(), im: error };
        }
        let scale = z.norm_squared();
        Complex { re: &z.re / &scale, im: -(&z.im / &scale) }
    }

    /// `z·z` of each element.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!((z.square().re.item::<f64>()?, z.square().im.item::<f64>()?), (-7.0, 24.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    square(z) -> Complex { z * z }

    /// `eᶻ` of each element: `e^re·(cos im + i·sin im)`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(0.0), Tensor::from(std::f64::consts::PI));
    /// assert_eq!(z.exp().re.item::<f64>()?, -1.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    exp(z) -> Complex { Complex::from_polar(&z.re.exp(), &z.im) }

    /// The principal logarithm of each element, `ln |z| + i·angle`; the cut is the negative real axis.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(-1.0), Tensor::from(0.0));
    /// assert_eq!(z.log().im.item::<f64>()?, std::f64::consts::PI);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    log(z) -> Complex { Complex { re: z.abs().log(), im: z.angle() } }

    /// The principal square root of each element, whose real part is not negative; the cut is the negative
    /// real axis.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!((z.sqrt().re.item::<f64>()?, z.sqrt().im.item::<f64>()?), (2.0, 1.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    sqrt(z) -> Complex {
        // The part that does not cancel, and the other one by division. In either half of the plane
        // this is smooth, up to the cut, whose sides the sign of the imaginary part tells apart.
        let right = z.re.greater_equal(&z.re.zeros_like());
        let half = ((right.select(&z.re, &-&z.re) + z.abs()) * 0.5).sqrt();
        let is_zero = half.equal(&half.zeros_like());
        let safe = is_zero.select(&half.ones_like(), &half);
        let (other, side) = (&z.im / (safe * 2.0), half.ones_like().copy_sign(&z.im));
        Complex {
            re: right.select(&half, &(&other * &side)),
            im: right.select(&other, &(&half * &side)),
        }
    }

    /// The sine of each element, `sin re·cosh im + i·cos re·sinh im`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    sin(z) -> Complex {
        Complex { re: z.re.sin() * z.im.cosh(), im: z.re.cos() * z.im.sinh() }
    }

    /// The cosine of each element, `cos re·cosh im - i·sin re·sinh im`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    cos(z) -> Complex {
        Complex { re: z.re.cos() * z.im.cosh(), im: -(z.re.sin() * z.im.sinh()) }
    }

    /// The tangent of each element, `-i·tanh(i·z)`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    tan(z) -> Complex {
        let t = z.times_i().tanh();
        Complex { im: -t.re, re: t.im }
    }

    /// The hyperbolic sine of each element, `sinh re·cos im + i·cosh re·sin im`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    sinh(z) -> Complex {
        Complex { re: z.re.sinh() * z.im.cos(), im: z.re.cosh() * z.im.sin() }
    }

    /// The hyperbolic cosine of each element, `cosh re·cos im + i·sinh re·sin im`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    cosh(z) -> Complex {
        Complex { re: z.re.cosh() * z.im.cos(), im: z.re.sinh() * z.im.sin() }
    }

    /// The hyperbolic tangent of each element, `sinh z / cosh z`.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(0.5), Tensor::from(0.25));
    /// let by_parts = z.sinh() / z.cosh();
    /// assert!((z.tanh() - by_parts).abs().item::<f64>()? < 1e-15);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    tanh(z) -> Complex {
        // The real part stays away from overflow. A denominator of squares does not cancel near a pole.
        let limit = Tensor::full((), 20.0).cast(z.dtype());
        let x = z.re.clamp(&-&limit, &limit);
        let (sinh, cos) = (x.sinh(), z.im.cos());
        let below = sinh.square() + cos.square();
        Complex { re: &sinh * x.cosh() / &below, im: z.im.sin() * cos / &below }
    }

    /// A whole power of each element, by repeated squaring; of a negative exponent that of
    /// [`recip`](Complex::recip). The power 0 is 1.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` of a negative exponent for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let i = Complex::new(Tensor::from(0.0), Tensor::from(1.0));
    /// assert_eq!((i.powi(3).re.item::<f64>()?, i.powi(3).im.item::<f64>()?), (0.0, -1.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    powi(z, exponent: i32) -> Complex {
        let base = if exponent < 0 { z.recip() } else { z.clone() };
        let one = Complex::from_real(&z.re.ones_like());
        (0..32).rev().fold(one, |power, bit| {
            let square = if bit < 31 { &power * &power } else { power };
            if exponent.unsigned_abs() >> bit & 1 == 1 { square * &base } else { square }
        })
    }

    /// The principal power `e^(w·ln z)` of each element, for exponents `w` of its shape, or a scalar one; 0
    /// for `z = 0`.
    ///
    /// # Errors
    /// Carried by the result: `ShapeMismatch` and `DTypeMismatch` for exponents of other shape or
    /// dtype; `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let i = Complex::new(Tensor::from(0.0), Tensor::from(1.0));
    /// let power = i.pow(&i); // e^(-π/2)
    /// assert!((power.re.item::<f64>()? - (-std::f64::consts::FRAC_PI_2).exp()).abs() < 1e-15);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pow(z, exponent: &Complex) -> Complex {
        let zero = z.norm_squared();
        let is_zero = zero.equal(&zero.zeros_like());
        let safe = Complex { re: is_zero.select(&z.re.ones_like(), &z.re), im: z.im.clone() };
        let power = (exponent * safe.log()).exp();
        Complex::select(&is_zero, &power.each_part(Tensor::zeros_like), &power)
    }

    /// Each element turned by a quarter, `i·z`.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from(3.0), Tensor::from(4.0));
    /// assert_eq!((z.times_i().re.item::<f64>()?, z.times_i().im.item::<f64>()?), (-4.0, 3.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    times_i(z) -> Complex { z * &Complex::i(&z.re) }

    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts of bool.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// assert_eq!((z.sum().re.item::<f64>()?, z.sum().im.item::<f64>()?), (3.0, 7.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    sum(z) -> Complex { z.each_part(Tensor::sum) }

    /// The mean of all elements, a scalar; NaN of none.
    ///
    /// # Errors
    /// Carried by the result: `UnsupportedDType` for parts that are no floats.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    /// assert_eq!((z.mean().re.item::<f64>()?, z.mean().im.item::<f64>()?), (1.5, 3.5));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    mean(z) -> Complex { z.each_part(Tensor::mean) }

    /// The same elements, in row-major order, under another shape.
    ///
    /// # Errors
    /// Carried by the result: `InvalidArgument` for a shape of another number of elements.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::from_real(&Tensor::from([1.0, 2.0, 3.0, 4.0]));
    /// assert_eq!(z.reshape(&[2, 2]).shape(), [2, 2]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    reshape(z, shape: &[usize]) -> Complex { z.each_part(|x| x.reshape(Shape::from(shape))) }

    /// The product of matrices, or of a matrix and a vector: `[m, n]` and `[n, k]` give `[m, k]`. Shapes are
    /// those of [`Tensor::matmul`].
    ///
    /// # Errors
    /// Carried by the result: `Incompatible` for sizes that do not fit; `WrongRank` for a scalar;
    /// `DTypeMismatch` for two dtypes.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let a = Complex::new(Tensor::from([[0.0, 1.0], [1.0, 0.0]]), Tensor::from([[0.0, 1.0], [0.0, 0.0]]));
    /// let x = Complex::from_real(&Tensor::from([1.0, 2.0]));
    /// let y = a.matmul(&x);
    /// assert_eq!((y.re.to_vec::<f64>()?, y.im.to_vec::<f64>()?), (vec![2.0, 1.0], vec![2.0, 0.0]));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    matmul(z, other: &Complex) -> Complex {
        Complex {
            re: z.re.matmul(&other.re) - z.im.matmul(&other.im),
            im: z.re.matmul(&other.im) + z.im.matmul(&other.re),
        }
    }

    /// The sum of products of two vectors `[n]`, without conjugation: a scalar.
    ///
    /// # Errors
    /// Carried by the result: `ShapeMismatch` for vectors of two sizes; `DTypeMismatch` for two dtypes.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0]), Tensor::from([2.0]));
    /// assert_eq!((z.dot(&z).re.item::<f64>()?, z.dot(&z).im.item::<f64>()?), (-3.0, 4.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    dot(z, other: &Complex) -> Complex { (z * other).sum() }

    /// The sum of products of the conjugates of a vector `[n]` with another: a scalar.
    ///
    /// # Errors
    /// Carried by the result: `ShapeMismatch` for vectors of two sizes; `DTypeMismatch` for two dtypes.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0]), Tensor::from([2.0]));
    /// assert_eq!((z.vdot(&z).re.item::<f64>()?, z.vdot(&z).im.item::<f64>()?), (5.0, 0.0));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    vdot(z, other: &Complex) -> Complex { (z.conj() * other).sum() }

    /// The solution `x` of `z·x = b` for a square matrix `[n, n]` and a vector `[n]` or columns `[n, k]`,
    /// as a real system of twice the size. `x` has the shape of `b`.
    ///
    /// # Errors
    /// Carried by the result: `WrongRank` for a matrix that is not square, `AxisOutOfRange` for a vector;
    /// `Incompatible` for a `b` of another size; `UnsupportedDType` for parts that are no floats;
    /// `DTypeMismatch` for two dtypes; `Singular`.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let a = Complex::new(Tensor::from([[0.0]]), Tensor::from([[2.0]]));
    /// let x = a.solve(&Complex::from_real(&Tensor::from([4.0])));
    /// assert_eq!((x.re.to_vec::<f64>()?, x.im.to_vec::<f64>()?), (vec![0.0], vec![-2.0]));
    /// # Ok::<(), unloop::Error>(())
    /// ```
    solve(z, b: &Complex) -> Complex {
        let n = z.shape().first().copied().unwrap_or(0);
        let above = Tensor::concatenate(&[&z.re, &-&z.im], 1);
        let below = Tensor::concatenate(&[&z.im, &z.re], 1);
        let x = Tensor::concatenate(&[&above, &below], 0)
            .solve(&Tensor::concatenate(&[&b.re, &b.im], 0));
        Complex { re: x.slice_axis(0, 0, n), im: x.slice_axis(0, n, 2 * n) }
    }

    /// Whether both parts of each element are finite: a bool tensor of the shape of `z`.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::new(Tensor::from([1.0, 2.0]), Tensor::from([0.0, f64::NAN]));
    /// assert_eq!(z.is_finite().to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    is_finite(z) -> Tensor { z.re.is_finite() & z.im.is_finite() }
}

impl Complex {
    /// The sum along one axis or several, which disappear.
    ///
    /// # Errors
    /// Carried by the result: `AxisOutOfRange` and `RepeatedAxis` for the axes.
    ///
    /// ```
    /// use unloop::{Complex, Tensor};
    /// let z = Complex::from_real(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(z.sum_axis(0).re.to_vec::<f64>()?, [4.0, 6.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_axis(&self, axes: impl AxisList) -> Complex {
        let (axes, place) = (axes.axes(), Place::of("sum_axis"));
        place.scope(|| self.each_part(|x| x.sum_axis(&axes[..])))
    }
}

#[track_caller]
fn add(a: &Complex, b: &Complex) -> Complex {
    Complex { re: &a.re + &b.re, im: &a.im + &b.im }
}

#[track_caller]
fn subtract(a: &Complex, b: &Complex) -> Complex {
    Complex { re: &a.re - &b.re, im: &a.im - &b.im }
}

#[track_caller]
fn multiply(a: &Complex, b: &Complex) -> Complex {
    Complex { re: &a.re * &b.re - &a.im * &b.im, im: &a.re * &b.im + &a.im * &b.re }
}

/// Smith's algorithm (1962): the smaller part by the larger one, so that squares do not overflow.
#[track_caller]
fn divide(a: &Complex, b: &Complex) -> Complex {
    if let Some(error) = not_floats(&[&b.re, &b.im]) {
        return Complex { re: error.clone(), im: error };
    }
    let real = b.re.abs().greater_equal(&b.im.abs());
    let (most, least) = (real.select(&b.re, &b.im), real.select(&b.im, &b.re));
    let ratio = &least / &most;
    let scale = &most + &least * &ratio;
    let shape = scale.shape().to_vec();
    let widened = |x: &Tensor| if x.rank() == 0 { x.broadcast_to(&shape[..]) } else { x.clone() };
    let (re, im) = (widened(&a.re), widened(&a.im));
    let real = match re.rank() > real.rank() {
        true => real.broadcast_to(re.shape()),
        false => real,
    };
    Complex {
        re: real.select(&(&re + &im * &ratio), &(&re * &ratio + &im)) / &scale,
        im: real.select(&(&im - &re * &ratio), &(&im * &ratio - &re)) / &scale,
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $f:ident;)+) => {$(
        impl $trait<&Complex> for &Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, other: &Complex) -> Complex {
                operation(stringify!($method), || $f(self, other))
            }
        }
        impl $trait<Complex> for &Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, other: Complex) -> Complex {
                self.$method(&other)
            }
        }
        impl $trait<&Complex> for Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, other: &Complex) -> Complex {
                (&self).$method(other)
            }
        }
        impl $trait<Complex> for Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, other: Complex) -> Complex {
                (&self).$method(&other)
            }
        }
    )+};
}
operator! {
    Add add add;
    Sub sub subtract;
    Mul mul multiply;
    Div div divide;
}

/// With a real number, or with a tensor of real numbers.
macro_rules! with_real {
    ($($trait:ident $method:ident ($z:ident, $x:ident) $f:expr, $reverse:expr;)+) => {$(
        impl<O: Operand> $trait<O> for &Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, x: O) -> Complex {
                operation(stringify!($method), || {
                    let ($z, $x) = (self, &x);
                    $f
                })
            }
        }
        impl<O: Operand> $trait<O> for Complex {
            type Output = Complex;
            #[track_caller]
            fn $method(self, x: O) -> Complex {
                (&self).$method(x)
            }
        }
        with_real!(@first f64, $trait $method ($z, $x) $reverse);
        with_real!(@first i32, $trait $method ($z, $x) $reverse);
        with_real!(@first &Tensor, $trait $method ($z, $x) $reverse);
        with_real!(@first Tensor, $trait $method ($z, $x) $reverse);
    )+};
    (@first $t:ty, $trait:ident $method:ident ($z:ident, $x:ident) $reverse:expr) => {
        impl $trait<&Complex> for $t {
            type Output = Complex;
            #[track_caller]
            fn $method(self, $z: &Complex) -> Complex {
                operation(stringify!($method), || {
                    let $x = &self;
                    $reverse
                })
            }
        }
        impl $trait<Complex> for $t {
            type Output = Complex;
            #[track_caller]
            fn $method(self, z: Complex) -> Complex {
                self.$method(&z)
            }
        }
    };
}
with_real! {
    Add add (z, x) shifted(z, &z.re + x), shifted(z, &z.re + x);
    Sub sub (z, x) shifted(z, &z.re - x), shifted(&-z, -(&z.re - x));
    Mul mul (z, x) Complex { re: &z.re * x, im: &z.im * x }, Complex { re: &z.re * x, im: &z.im * x };
    Div div (z, x) Complex { re: &z.re / x, im: &z.im / x }, {
        let re = z.re.ones_like() * x;
        divide(&Complex { im: re.zeros_like(), re }, z)
    };
}

/// A number with another real part, of whose shape the imaginary one is.
fn shifted(z: &Complex, re: Tensor) -> Complex {
    let im = if z.im.rank() == 0 { z.im.broadcast_to(re.shape()) } else { z.im.clone() };
    Complex { re, im }
}

impl Neg for &Complex {
    type Output = Complex;
    #[track_caller]
    fn neg(self) -> Complex {
        Complex { re: -&self.re, im: -&self.im }
    }
}

impl Neg for Complex {
    type Output = Complex;
    #[track_caller]
    fn neg(self) -> Complex {
        -&self
    }
}
