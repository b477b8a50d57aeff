//! Discrete Fourier transforms, by the crates `rustfft` and `realfft`: `X[k] = Σ x[n]·e^(-2πi·kn/N)`. The
//! inverse is divided by `N`. Any length; every transform is differentiable, and `vmap` runs stacks at
//! once.
//!
//! Tensors have any rank; an axis is counted from 0, or from the end when it is negative. Parts are f32 or
//! f64, and results have their dtype.
//!
//! ```
//! use unloop::prelude::*;
//! use unloop::{Complex, fft};
//!
//! # fn main() -> unloop::Result<()> {
//! // A cosine of three periods has its energy at 3.
//! let x = (Tensor::arange(0.0, 16.0, 1.0) * (2.0 * std::f64::consts::PI * 3.0 / 16.0)).cos();
//! let spectrum = fft::rfft(&x, 0);
//! assert_eq!(spectrum.abs().argmax().item::<i64>()?, 3);
//! assert!((fft::irfft(&spectrum, 16, 0) - x).abs().max().item::<f64>()? < 1e-12);
//! # Ok(())
//! # }
//! ```

use std::f64::consts::TAU;
use std::sync::Arc;

use unloop_cpu::Transform;
use unloop_graph::op::{HostKernel, HostOp};
use unloop_graph::shape::{normalize_axes, normalize_axis};
use unloop_graph::{
    Array, AxisList, AxisNumber, Element, Error, ErrorKind, Number, Place, Shape, Tensor,
    TensorType, not_floats, operation, with_dtype,
};
use unloop_transform::host_call;

use crate::Complex;

/// The transforms along one axis of both parts of complex numbers, or of real numbers.
#[derive(Clone, Copy, Debug)]
struct Fourier {
    transform: Transform,
    /// How many axes there are behind that of the transform: the same number for a stack.
    behind: usize,
    /// Values along the axis: of a half spectrum, those that it is of.
    n: usize,
    /// The factor of all complex numbers.
    scale: f64,
    /// The factor, besides, of values of a half spectrum that stand for two.
    paired: f64,
}

impl Fourier {
    fn apply(self, operands: &[&Tensor]) -> Vec<Tensor> {
        let op: Arc<dyn HostOp> = Arc::new(self);
        host_call(&op, operands)
    }

    fn operand_count(self) -> usize {
        if self.transform == Transform::ToHalf { 1 } else { 2 }
    }

    /// Values along the axis of operands and of results.
    fn extents(self) -> (usize, usize) {
        let half = self.n / 2 + 1;
        match self.transform {
            Transform::Complex { .. } => (self.n, self.n),
            Transform::ToHalf => (self.n, half),
            Transform::FromHalf => (half, self.n),
        }
    }

    /// The axis of the transform of operands of some shape.
    fn axis(self, shape: &Shape) -> Option<usize> {
        let axis = shape.rank().checked_sub(self.behind + 1)?;
        (self.n > 0 && shape[axis] == self.extents().0).then_some(axis)
    }

    /// The value `k` of one lane of the result, by the definition.
    fn value(self, k: usize, lane: &[(f64, f64)]) -> (f64, f64) {
        let sign = match self.transform {
            Transform::Complex { inverse: true } | Transform::FromHalf => 1.0,
            Transform::Complex { inverse: false } | Transform::ToHalf => -1.0,
        };
        let is_alone = |k: usize| k == 0 || 2 * k == self.n;
        let term = |(j, &(re, im)): (usize, &(f64, f64))| {
            let (sin, cos) = (sign * TAU * (j * k % self.n) as f64 / self.n as f64).sin_cos();
            match self.transform {
                Transform::FromHalf if is_alone(j) => (re * cos, 0.0),
                Transform::FromHalf => (2.0 * self.paired * (re * cos - im * sin), 0.0),
                _ => (re * cos - im * sin, re * sin + im * cos),
            }
        };
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let sum = lane.iter().enumerate().map(term).fold((0.0, 0.0), add);
        let factor = match self.transform {
            Transform::ToHalf if !is_alone(k) => self.scale * self.paired,
            _ => self.scale,
        };
        (
            sum.0 * factor,
            if self.transform == Transform::ToHalf && is_alone(k) { 0.0 } else { sum.1 * factor },
        )
    }
}

impl HostOp for Fourier {
    fn name(&self) -> &'static str {
        match self.transform {
            Transform::Complex { inverse: false } => "fft",
            Transform::Complex { inverse: true } => "ifft",
            Transform::ToHalf => "rfft",
            Transform::FromHalf => "irfft",
        }
    }

    fn result_count(&self) -> usize {
        if self.transform == Transform::FromHalf { 1 } else { 2 }
    }

    fn key(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    fn infer(&self, x: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let fits = x.len() == self.operand_count()
            && x.iter().all(|ty| *ty == x[0] && ty.dtype.is_float());
        match x.first().and_then(|ty| Some((ty, self.axis(&ty.shape)?))) {
            Some((ty, axis)) if fits => {
                let mut shape = ty.shape.clone();
                shape[axis] = self.extents().1;
                Ok(vec![TensorType::new(ty.dtype, shape); self.result_count()])
            }
            _ => {
                let given = x.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                Err(format!("takes parts of one shape, f32 or f64, got {given}"))
            }
        }
    }

    fn evaluate(&self, x: &[Array]) -> Result<Vec<Array>, String> {
        let (from, to) = self.extents();
        let axis = self.axis(x[0].shape()).ok_or("takes parts of one shape")?;
        let mut shape = x[0].shape().clone();
        shape[axis] = to;
        let part = |i: usize, index: &[usize]| match x.get(i).map(|x| x.get(index)) {
            Some(Number::Float(value)) => value,
            _ => 0.0,
        };
        let mut values: [Vec<f64>; 2] = Default::default();
        shape.for_each_index(|index| {
            let mut index = Shape::from(index);
            let k = std::mem::take(&mut index[axis]);
            let lane: Vec<(f64, f64)> = (0..from)
                .map(|j| {
                    index[axis] = j;
                    (part(0, &index), part(1, &index))
                })
                .collect();
            let (re, im) = self.value(k, &lane);
            values[0].push(re);
            values[1].push(im);
        });
        let array = |values: &Vec<f64>| {
            with_dtype!(x[0].dtype(), T => {
                let all = values.iter().map(|&v| T::from_number(Number::Float(v))).collect();
                Array::new(shape.clone(), all)
            })
        };
        Ok(values.iter().take(self.result_count()).map(array).collect())
    }

    fn prepare(&self, x: &[TensorType]) -> Result<Option<Box<dyn HostKernel>>, ErrorKind> {
        match x.first().and_then(|ty| Some((ty, self.axis(&ty.shape)?))) {
            Some((ty, axis)) => self.transform.prepare(ty, axis, self.n, [self.scale, self.paired]),
            None => Ok(None),
        }
    }

    fn batch(&self, x: &[&Tensor], stacked: &[bool], size: usize) -> Option<Vec<Tensor>> {
        // Lanes of a stack are more lanes.
        let all: Vec<Tensor> = (x.iter().zip(stacked))
            .map(|(&x, &stacked)| match stacked {
                true => x.clone(),
                false => Tensor::stack(&vec![x; size], 0),
            })
            .collect();
        Some(self.apply(&all.iter().collect::<Vec<_>>()))
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Option<Vec<Tensor>> {
        let tangent =
            |(&x, t): (&&Tensor, &Option<&Tensor>)| t.map_or_else(|| x.zeros_like(), Tensor::clone);
        let tangents: Vec<Tensor> = x.iter().zip(t).map(tangent).collect();
        Some(self.apply(&tangents.iter().collect::<Vec<_>>()))
    }

    /// The matrix is symmetric: as a map of both parts its transpose is the other direction. A value of
    /// a half spectrum that stands for two counts twice on the way back.
    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        operands: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let like = cotangents.iter().flatten().next()?;
        let parts: Vec<Tensor> =
            cotangents.iter().map(|ct| ct.clone().unwrap_or_else(|| like.zeros_like())).collect();
        let back = match self.transform {
            Transform::Complex { inverse } => {
                Fourier { transform: Transform::Complex { inverse: !inverse }, ..*self }
            }
            Transform::ToHalf => {
                Fourier { transform: Transform::FromHalf, paired: 0.5 * self.paired, ..*self }
            }
            Transform::FromHalf => {
                Fourier { transform: Transform::ToHalf, paired: 2.0 * self.paired, ..*self }
            }
        };
        let given = back.apply(&parts.iter().collect::<Vec<_>>()).into_iter().zip(operands);
        Some(given.map(|(ct, known)| known.is_none().then_some(ct)).collect())
    }
}

#[track_caller]
fn failed(op: &'static str, kind: ErrorKind) -> Tensor {
    Tensor::error(Error::new(op, kind, Place::here()))
}

/// How many values there are along an axis of some parts, one or more, and how many axes behind it.
#[track_caller]
fn place_of(op: &'static str, parts: &[&Tensor], axis: isize) -> Result<(usize, usize), Tensor> {
    if let Some(error) = not_floats(parts) {
        return Err(error);
    }
    let rank = parts[0].rank();
    let at = normalize_axis(axis, rank).map_err(|kind| failed(op, kind))?;
    match parts[0].shape()[at] {
        0 => {
            let message = "takes one value or more along the axis".into();
            Err(failed(op, ErrorKind::InvalidArgument(message)))
        }
        n => Ok((n, rank - 1 - at)),
    }
}

/// The transform along an axis.
#[track_caller]
fn along(z: &Complex, axis: isize, inverse: bool) -> Complex {
    let place = Place::here();
    place.scope(|| {
        let (n, behind) = match place_of("fft", &[&z.re, &z.im], axis) {
            Ok(found) => found,
            Err(error) => return Complex { re: error.clone(), im: error },
        };
        let scale = if inverse { 1.0 / n as f64 } else { 1.0 };
        let transform = Transform::Complex { inverse };
        let results = Fourier { transform, behind, n, scale, paired: 1.0 }.apply(&[&z.re, &z.im]);
        Complex { re: results[0].clone(), im: results[1].clone() }
    })
}

/// Half of the spectrum of real numbers along an axis.
#[track_caller]
fn half(x: &Tensor, axis: isize, scale: impl Fn(f64) -> f64) -> Complex {
    let place = Place::here();
    place.scope(|| {
        let (n, behind) = match place_of("rfft", &[x], axis) {
            Ok(found) => found,
            Err(error) => return Complex { re: error.clone(), im: error },
        };
        let (transform, scale) = (Transform::ToHalf, scale(n as f64));
        let results = Fourier { transform, behind, n, scale, paired: 1.0 }.apply(&[x]);
        Complex { re: results[0].clone(), im: results[1].clone() }
    })
}

/// The `n` real numbers along an axis of which half a spectrum is given.
#[track_caller]
fn from_half(z: &Complex, n: usize, axis: isize, scale: f64) -> Tensor {
    let place = Place::of("irfft");
    place.scope(|| {
        let (given, behind) = match place_of("irfft", &[&z.re, &z.im], axis) {
            Ok(found) => found,
            Err(error) => return error,
        };
        let half = n / 2 + 1;
        if n == 0 || given != half {
            let message = format!("{given} values along axis {axis}; {n} real numbers have {half}");
            return failed("irfft", ErrorKind::InvalidArgument(message));
        }
        let transform = Transform::FromHalf;
        let how = Fourier { transform, behind, n, scale, paired: 1.0 };
        how.apply(&[&z.re, &z.im])[0].clone()
    })
}

/// The transform along an axis, `X[k] = Σ x[n]·e^(-2πi·kn/N)`. The result has the shape and dtype of `z`.
/// [`fftfreq`] gives the frequency of each `k`.
///
/// # Errors
/// Carried by the result: `AxisOutOfRange` for an axis that `z` does not have; `InvalidArgument` for one of
/// size 0; `UnsupportedDType` for parts that are not f32 or f64; `DTypeMismatch` and `ShapeMismatch` for
/// parts of two dtypes or shapes.
///
/// ```
/// use unloop::{Complex, Tensor, fft};
/// let z = Complex::from_real(&Tensor::from([1.0, 0.0, 0.0, 0.0]));
/// assert_eq!(fft::fft(&z, 0).re.to_vec::<f64>()?, [1.0, 1.0, 1.0, 1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fft(z: &Complex, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("fft", || along(z, axis, false))
}

/// The inverse of [`fft`], `x[n] = 1/N · Σ X[k]·e^(2πi·kn/N)`. The result has the shape and dtype of `z`.
///
/// # Errors
/// Carried by the result: those of [`fft`].
///
/// ```
/// use unloop::{Complex, Tensor, fft};
/// let z = Complex::new(Tensor::from([1.0, 2.0, 4.0]), Tensor::from([0.0, 3.0, 5.0]));
/// let back = fft::ifft(&fft::fft(&z, 0), 0);
/// assert!((back - z).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn ifft(z: &Complex, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("ifft", || along(z, axis, true))
}

/// The transform along an axis of real numbers: the first half of the spectrum, `n/2 + 1` values for `n`
/// (rounded down); the others are their conjugates. Other axes keep their sizes. [`rfftfreq`] gives the
/// frequency of each value.
///
/// # Errors
/// Carried by the result: `AxisOutOfRange` for an axis that `x` does not have; `InvalidArgument` for one of
/// size 0; `UnsupportedDType` for a dtype that is not f32 or f64.
///
/// ```
/// use unloop::{Tensor, fft};
/// let spectrum = fft::rfft(&Tensor::from([1.0, -1.0, 1.0, -1.0]), 0);
/// assert_eq!(spectrum.re.to_vec::<f64>()?, [0.0, 0.0, 4.0]); // all of it at the highest frequency
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn rfft(x: &Tensor, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("rfft", || half(x, axis, |_| 1.0))
}

/// The real numbers, `n` along an axis, of which `z` is the [`rfft`]: the axis goes from size `n/2 + 1`
/// (rounded down) to `n`, which is given, as an even and an odd `n` have the same half. The imaginary
/// parts at 0 and, for even `n`, at `n/2` do not count.
///
/// # Errors
/// Carried by the result: those of [`fft`]; `InvalidArgument` for an axis whose size is not `n/2 + 1`, and
/// an `n` of 0.
///
/// ```
/// use unloop::{Tensor, fft};
/// let x = Tensor::from([1.0, 2.0, 4.0]);
/// let back = fft::irfft(&fft::rfft(&x, 0), 3, 0);
/// assert!((back - x).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn irfft(z: &Complex, n: usize, axis: impl AxisNumber) -> Tensor {
    from_half(z, n, axis.number(), 1.0 / n as f64)
}

/// The transform of a spectrum that is symmetric (the first half of which is given) to `n` real
/// numbers: [`irfft`] of the conjugate, not scaled. The axis goes from size `n/2 + 1` (rounded down) to `n`.
///
/// # Errors
/// Carried by the result: those of [`irfft`].
///
/// ```
/// use unloop::{Complex, Tensor, fft};
/// let half = Complex::from_real(&Tensor::from([1.0, 1.0, 1.0]));
/// assert_eq!(fft::hfft(&half, 4, 0).to_vec::<f64>()?, [4.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn hfft(z: &Complex, n: usize, axis: impl AxisNumber) -> Tensor {
    let axis = axis.number();
    operation("hfft", || from_half(&z.conj(), n, axis, 1.0))
}

/// The inverse of [`hfft`]: of `n` real numbers along an axis the `n/2 + 1` first values of a symmetric
/// signal.
///
/// # Errors
/// Carried by the result: those of [`rfft`].
///
/// ```
/// use unloop::{Tensor, fft};
/// let signal = fft::ihfft(&Tensor::from([4.0, 0.0, 0.0, 0.0]), 0);
/// assert_eq!(signal.re.to_vec::<f64>()?, [1.0, 1.0, 1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn ihfft(x: &Tensor, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("ihfft", || half(x, axis, |n| 1.0 / n).conj())
}

/// The transform along several axes, one after the other ([`fft`] of each). The result has the shape and
/// dtype of `z`.
///
/// # Errors
/// Carried by the result: those of [`fft`].
///
/// ```
/// use unloop::{Complex, DType, Tensor, fft};
/// let z = Complex::from_real(&Tensor::ones(DType::F64, (4, 6)));
/// let spectrum = fft::fftn(&z, [0, 1]);
/// assert!((spectrum.re.at((0, 0)).item::<f64>()? - 24.0).abs() < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fftn(z: &Complex, axes: impl AxisList) -> Complex {
    operation("fftn", || axes.axes().iter().fold(z.clone(), |z, &axis| along(&z, axis, false)))
}

/// The inverse of [`fftn`]. The result has the shape and dtype of `z`.
///
/// # Errors
/// Carried by the result: those of [`fft`].
///
/// ```
/// use unloop::{Complex, DType, Tensor, fft};
/// let z = Complex::from_real(&Tensor::ones(DType::F64, (4, 6)));
/// let back = fft::ifftn(&fft::fftn(&z, [0, 1]), [0, 1]);
/// assert!((back - z).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn ifftn(z: &Complex, axes: impl AxisList) -> Complex {
    operation("ifftn", || axes.axes().iter().fold(z.clone(), |z, &axis| along(&z, axis, true)))
}

/// The transform along several axes of real numbers: half of the spectrum along the last of them, which
/// goes from size `n` to `n/2 + 1` (rounded down), and all of it along the others.
///
/// # Errors
/// Carried by the result: those of [`rfft`].
///
/// ```
/// use unloop::{DType, Tensor, fft};
/// let image = Tensor::ones(DType::F64, (4, 6));
/// assert_eq!(fft::rfftn(&image, [0, 1]).shape(), [4, 4]);
/// ```
#[track_caller]
pub fn rfftn(x: &Tensor, axes: impl AxisList) -> Complex {
    operation("rfftn", || {
        let axes = axes.axes();
        match axes.split_last() {
            Some((&last, rest)) => {
                rest.iter().fold(rfft(x, last), |z, &axis| along(&z, axis, false))
            }
            None => Complex::from_real(x),
        }
    })
}

/// The inverse of [`rfftn`], with `n` real numbers along the last of the axes, whose size in `z` is
/// `n/2 + 1`; the other axes keep their sizes.
///
/// # Errors
/// Carried by the result: those of [`irfft`].
///
/// ```
/// use unloop::{DType, Tensor, fft};
/// let image = Tensor::ones(DType::F64, (4, 6));
/// let back = fft::irfftn(&fft::rfftn(&image, [0, 1]), 6, [0, 1]);
/// assert!((back - image).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn irfftn(z: &Complex, n: usize, axes: impl AxisList) -> Tensor {
    operation("irfftn", || {
        let axes = axes.axes();
        match axes.split_last() {
            Some((&last, rest)) => {
                let z = rest.iter().fold(z.clone(), |z, &axis| along(&z, axis, true));
                irfft(&z, n, last)
            }
            None => z.re.clone(),
        }
    })
}

/// The frequencies of the values of [`fft`] for `n` samples at a distance of `spacing`, in cycles per unit
/// of `spacing` (seconds give hertz): `[n]` in f64, 0 first, then positive ones, then negative ones.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `n` of 0.
///
/// ```
/// use unloop::fft;
/// assert_eq!(fft::fftfreq(4, 0.5).to_vec::<f64>()?, [0.0, 0.5, -1.0, -0.5]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fftfreq(n: usize, spacing: f64) -> Tensor {
    let half = n.div_ceil(2);
    let at = |i: usize| if i < half { i as f64 } else { i as f64 - n as f64 };
    operation("fftfreq", || match n {
        0 => no_samples("fftfreq"),
        _ => Tensor::from_fn(n, |i| at(i[0]) / (n as f64 * spacing)),
    })
}

/// The frequencies of the values of [`rfft`] for `n` samples at a distance of `spacing`, in cycles per unit
/// of `spacing` (seconds give hertz): `[n/2 + 1]` in f64, ascending from 0.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `n` of 0.
///
/// ```
/// use unloop::fft;
/// assert_eq!(fft::rfftfreq(4, 0.5).to_vec::<f64>()?, [0.0, 0.5, 1.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn rfftfreq(n: usize, spacing: f64) -> Tensor {
    operation("rfftfreq", || match n {
        0 => no_samples("rfftfreq"),
        _ => Tensor::from_fn(n / 2 + 1, |i| i[0] as f64 / (n as f64 * spacing)),
    })
}

/// The values of a spectrum in another order, with frequency 0 in the middle (at `n/2`, rounded down) of
/// some axes, instead of at the start: each is rolled by `n/2`. Shape and dtype stay; a [`Complex`] takes
/// it by [`Complex::each_part`].
///
/// # Errors
/// Carried by the result: `AxisOutOfRange` for an axis that `x` does not have; `RepeatedAxis` for one given
/// twice.
///
/// ```
/// use unloop::fft;
/// let f = fft::fftshift(&fft::fftfreq(5, 0.2), 0);
/// assert_eq!(f.to_vec::<f64>()?, [-2.0, -1.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn fftshift(x: &Tensor, axes: impl AxisList) -> Tensor {
    operation("fftshift", || shifted(x, &axes.axes(), |n| n as i64 / 2))
}

/// The inverse of [`fftshift`] (the same only for axes of even size).
///
/// # Errors
/// Carried by the result: those of [`fftshift`].
///
/// ```
/// use unloop::{Tensor, fft};
/// let x = Tensor::from([-1, 0, 1]);
/// assert_eq!(fft::ifftshift(&x, 0).to_vec::<i32>()?, [0, 1, -1]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn ifftshift(x: &Tensor, axes: impl AxisList) -> Tensor {
    operation("ifftshift", || shifted(x, &axes.axes(), |n| -(n as i64 / 2)))
}

#[track_caller]
fn shifted(x: &Tensor, axes: &[isize], by: impl Fn(usize) -> i64) -> Tensor {
    match normalize_axes(axes, x.rank()) {
        Ok(axes) => axes.iter().fold(x.clone(), |x, &a| x.roll(by(x.shape()[a]), a as isize)),
        Err(kind) => failed("fftshift", kind),
    }
}

/// The error of frequencies of nothing.
#[track_caller]
fn no_samples(op: &'static str) -> Tensor {
    failed(op, ErrorKind::InvalidArgument("takes one sample or more".into()))
}
