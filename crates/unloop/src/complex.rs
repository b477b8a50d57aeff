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
    AxisList, DType, Element, Operand, Place, Result, Shape, Tensor, operands, operation,
};

/// A tensor of complex numbers.
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
    /// Of real and imaginary parts.
    pub fn new(re: impl Into<Tensor>, im: impl Into<Tensor>) -> Complex {
        Complex { re: re.into(), im: im.into() }
    }

    /// Of real numbers.
    #[track_caller]
    pub fn from_real(re: &Tensor) -> Complex {
        operation("from_real", || Complex { re: re.clone(), im: re.zeros_like() })
    }

    /// Of lengths and angles (radians).
    #[track_caller]
    pub fn from_polar(length: impl Operand, angle: impl Operand) -> Complex {
        operation("from_polar", || {
            let [length, angle] = operands([&length, &angle]);
            Complex { re: &length * angle.cos(), im: &length * angle.sin() }
        })
    }

    /// Of an array of complex numbers.
    pub fn from_array<T: Element, D: Dimension>(array: &ndarray::Array<Number<T>, D>) -> Complex {
        let part =
            |f: fn(&Number<T>) -> T| Tensor::from_vec(array.shape(), array.iter().map(f).collect());
        Complex { re: part(|z| z.re), im: part(|z| z.im) }
    }

    /// The numbers as an array.
    ///
    /// # Errors
    /// As of [`Tensor::to_array`].
    #[track_caller]
    pub fn to_array<T: Element, D: Dimension>(&self) -> Result<ndarray::Array<Number<T>, D>> {
        operation("to_array", || {
            let (re, im) = (self.re.to_array::<T, D>()?, self.im.to_array::<T, D>()?);
            Ok(ndarray::Zip::from(&re).and(&im).map_collect(|&re, &im| Number { re, im }))
        })
    }

    /// The extent of every axis.
    pub fn shape(&self) -> &[usize] {
        self.re.shape()
    }

    /// The dtype of the parts.
    pub fn dtype(&self) -> DType {
        self.re.dtype()
    }

    /// Both parts changed by a function that is linear: a rearrangement, a sum, an index.
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
    /// The complex conjugate.
    conj(z) -> Complex { Complex { re: z.re.clone(), im: -&z.im } }

    /// The length `√(re² + im²)`, without overflow on the way.
    abs(z) -> Tensor { z.re.hypot(&z.im) }

    /// `re² + im²`.
    norm_squared(z) -> Tensor { z.re.square() + z.im.square() }

    /// The angle from the real axis, from -π to π.
    angle(z) -> Tensor { z.im.atan2(&z.re) }

    /// `1/z`.
    recip(z) -> Complex {
        let scale = z.norm_squared();
        Complex { re: &z.re / &scale, im: -(&z.im / &scale) }
    }

    /// `z·z`.
    square(z) -> Complex { z * z }

    /// `eᶻ`.
    exp(z) -> Complex { Complex::from_polar(&z.re.exp(), &z.im) }

    /// The principal logarithm.
    log(z) -> Complex { Complex { re: z.abs().log(), im: z.angle() } }

    /// The principal square root.
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

    /// The sine.
    sin(z) -> Complex {
        Complex { re: z.re.sin() * z.im.cosh(), im: z.re.cos() * z.im.sinh() }
    }

    /// The cosine.
    cos(z) -> Complex {
        Complex { re: z.re.cos() * z.im.cosh(), im: -(z.re.sin() * z.im.sinh()) }
    }

    /// The tangent.
    tan(z) -> Complex {
        let t = z.times_i().tanh();
        Complex { im: -t.re, re: t.im }
    }

    /// The hyperbolic sine.
    sinh(z) -> Complex {
        Complex { re: z.re.sinh() * z.im.cos(), im: z.re.cosh() * z.im.sin() }
    }

    /// The hyperbolic cosine.
    cosh(z) -> Complex {
        Complex { re: z.re.cosh() * z.im.cos(), im: z.re.sinh() * z.im.sin() }
    }

    /// The hyperbolic tangent.
    tanh(z) -> Complex {
        // The real part stays away from overflow. A denominator of squares does not cancel near a pole.
        let limit = Tensor::full((), 20.0).cast(z.dtype());
        let x = z.re.clamp(&-&limit, &limit);
        let (sinh, cos) = (x.sinh(), z.im.cos());
        let below = sinh.square() + cos.square();
        Complex { re: &sinh * x.cosh() / &below, im: z.im.sin() * cos / &below }
    }

    /// A whole power, by repeated squaring.
    powi(z, exponent: i32) -> Complex {
        let base = if exponent < 0 { z.recip() } else { z.clone() };
        let one = Complex::from_real(&z.re.ones_like());
        (0..32).rev().fold(one, |power, bit| {
            let square = if bit < 31 { &power * &power } else { power };
            if exponent.unsigned_abs() >> bit & 1 == 1 { square * &base } else { square }
        })
    }

    /// The principal power `e^(w·ln z)`; 0 for `z = 0`.
    pow(z, exponent: &Complex) -> Complex {
        let zero = z.norm_squared();
        let is_zero = zero.equal(&zero.zeros_like());
        let safe = Complex { re: is_zero.select(&z.re.ones_like(), &z.re), im: z.im.clone() };
        let power = (exponent * safe.log()).exp();
        Complex::select(&is_zero, &power.each_part(Tensor::zeros_like), &power)
    }

    /// `z` turned by a quarter: `i·z`.
    times_i(z) -> Complex { z * &Complex::i(&z.re) }

    /// The sum of all elements.
    sum(z) -> Complex { z.each_part(Tensor::sum) }

    /// The mean of all elements.
    mean(z) -> Complex { z.each_part(Tensor::mean) }

    /// Under another shape, in row-major order.
    reshape(z, shape: &[usize]) -> Complex { z.each_part(|x| x.reshape(Shape::from(shape))) }

    /// The product of matrices, or of a matrix and a vector.
    matmul(z, other: &Complex) -> Complex {
        Complex {
            re: z.re.matmul(&other.re) - z.im.matmul(&other.im),
            im: z.re.matmul(&other.im) + z.im.matmul(&other.re),
        }
    }

    /// The sum of products of two vectors, without conjugation.
    dot(z, other: &Complex) -> Complex { (z * other).sum() }

    /// The sum of products of the conjugates of a vector with another.
    vdot(z, other: &Complex) -> Complex { (z.conj() * other).sum() }

    /// The solution `x` of `z·x = b` for a square matrix, as a real system of twice the size.
    solve(z, b: &Complex) -> Complex {
        let n = z.shape().first().copied().unwrap_or(0);
        let above = Tensor::concatenate(&[&z.re, &-&z.im], 1);
        let below = Tensor::concatenate(&[&z.im, &z.re], 1);
        let x = Tensor::concatenate(&[&above, &below], 0)
            .solve(&Tensor::concatenate(&[&b.re, &b.im], 0));
        Complex { re: x.slice_axis(0, 0, n), im: x.slice_axis(0, n, 2 * n) }
    }

    /// Whether both parts are finite.
    is_finite(z) -> Tensor { z.re.is_finite() & z.im.is_finite() }
}

impl Complex {
    /// The sum along one axis or several, which disappear.
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
