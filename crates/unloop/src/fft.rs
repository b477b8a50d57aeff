//! Discrete Fourier transforms, by the `rustfft` crate: `X[k] = Σ x[n]·e^(-2πi·kn/N)`. The inverse is
//! divided by `N`. Any length; every transform is differentiable, and `vmap` runs stacks at once.
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

use std::sync::Arc;

use rustfft::{FftDirection, FftNum, FftPlanner};
use unloop_graph::op::HostOp;
use unloop_graph::shape::{normalize_axes, normalize_axis};
use unloop_graph::{
    Array, AxisList, AxisNumber, DType, Element, Error, ErrorKind, Place, Tensor, TensorType,
    operation,
};
use unloop_transform::host_call;

use crate::Complex;

/// The transform along the last axis, not scaled: `(re, im) → (re, im)`.
#[derive(Clone, Copy, Debug)]
struct Transform {
    inverse: bool,
}

impl Transform {
    fn apply(self, re: &Tensor, im: &Tensor) -> Vec<Tensor> {
        let op: Arc<dyn HostOp> = Arc::new(self);
        host_call(&op, &[re, im])
    }

    /// Bytes that [`Transform::run`] takes besides its results: copies of both parts, the complex
    /// numbers, and what the library works with, which is less than three times as much.
    fn scratch(ty: &TensorType) -> usize {
        8 * ty.bytes()
    }

    fn run<T: Element + FftNum>(self, x: &[Array]) -> Option<Vec<Array>> {
        let shape = x[0].shape().clone();
        let n = *shape.last()?;
        let (re, im) = (x[0].to_vec::<T>().ok()?, x[1].to_vec::<T>().ok()?);
        let mut values: Vec<rustfft::num_complex::Complex<T>> = re
            .into_iter()
            .zip(im)
            .map(|(re, im)| rustfft::num_complex::Complex { re, im })
            .collect();
        if n > 0 {
            let direction =
                if self.inverse { FftDirection::Inverse } else { FftDirection::Forward };
            // Transforms all rows that lie one after the other.
            FftPlanner::new().plan_fft(n, direction).process(&mut values);
        }
        let part = |f: fn(&rustfft::num_complex::Complex<T>) -> T| {
            Array::new(shape.clone(), values.iter().map(f).collect())
        };
        Some(vec![part(|z| z.re), part(|z| z.im)])
    }
}

impl HostOp for Transform {
    fn name(&self) -> &'static str {
        if self.inverse { "ifft" } else { "fft" }
    }

    fn result_count(&self) -> usize {
        2
    }

    fn key(&self) -> Option<String> {
        Some(String::new())
    }

    fn infer(&self, x: &[TensorType]) -> Result<Vec<TensorType>, String> {
        match x {
            [re, im] if re == im && re.dtype.is_float() && re.rank() > 0 => Ok(x.to_vec()),
            [re, im] => Err(format!("takes parts of one shape, f32 or f64, got {re} and {im}")),
            _ => Err(format!("takes two parts, got {}", x.len())),
        }
    }

    fn evaluate(&self, x: &[Array]) -> Result<Vec<Array>, String> {
        let results = match x[0].dtype() {
            DType::F32 => self.run::<f32>(x),
            DType::F64 => self.run::<f64>(x),
            other => unreachable!("transforms are of floats, not of {other}"),
        };
        results.ok_or_else(|| "takes parts of f32 or f64".into())
    }

    fn scratch_bytes(&self, x: &[TensorType]) -> usize {
        x.first().map_or(0, Transform::scratch)
    }

    fn batch(&self, x: &[&Tensor], stacked: &[bool], size: usize) -> Option<Vec<Tensor>> {
        // Rows of a stack are more rows.
        let all = |i: usize| match stacked[i] {
            true => x[i].clone(),
            false => Tensor::stack(&vec![x[i]; size], 0),
        };
        Some(self.apply(&all(0), &all(1)))
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Option<Vec<Tensor>> {
        let tangent = |i: usize| t[i].map_or_else(|| x[i].zeros_like(), Tensor::clone);
        Some(self.apply(&tangent(0), &tangent(1)))
    }

    /// The matrix is symmetric: as a map of both parts its transpose is the other direction.
    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        operands: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let like = cotangents.iter().flatten().next()?;
        let part = |i: usize| cotangents[i].clone().unwrap_or_else(|| like.zeros_like());
        let back = Transform { inverse: !self.inverse }.apply(&part(0), &part(1));
        let given = back.into_iter().zip(operands);
        Some(given.map(|(ct, known)| known.is_none().then_some(ct)).collect())
    }
}

fn failed(op: &'static str, message: String, place: Place) -> Complex {
    let error = Tensor::error(Error::new(op, ErrorKind::InvalidArgument(message), place));
    Complex { re: error.clone(), im: error }
}

/// The transform along an axis.
#[track_caller]
fn along(z: &Complex, axis: isize, inverse: bool) -> Complex {
    let place = Place::here();
    place.scope(|| {
        let at = match normalize_axis(axis, z.re.rank()) {
            _ if z.re.as_error().is_some() || z.im.as_error().is_some() => {
                return z.clone();
            }
            Ok(at) if z.shape()[at] > 0 => at,
            Ok(_) => return failed("fft", "takes one value or more along the axis".into(), place),
            Err(kind) => return failed("fft", kind.to_string(), place),
        };
        let n = z.shape()[at] as f64;
        let last = z.each_part(|x| x.move_axis(axis, -1));
        let results = Transform { inverse }.apply(&last.re, &last.im);
        let moved = |x: &Tensor| match x.as_error() {
            Some(_) => x.clone(),
            None => x.move_axis(-1, axis),
        };
        let result = Complex { re: moved(&results[0]), im: moved(&results[1]) };
        if inverse { result / n } else { result }
    })
}

/// The transform along an axis.
#[track_caller]
pub fn fft(z: &Complex, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("fft", || along(z, axis, false))
}

/// The inverse of [`fft`].
#[track_caller]
pub fn ifft(z: &Complex, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("ifft", || along(z, axis, true))
}

/// The transform along an axis of real numbers: the first half of the spectrum, `n/2 + 1` values; the
/// others are their conjugates.
#[track_caller]
pub fn rfft(x: &Tensor, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("rfft", || {
        let z = along(&Complex::from_real(x), axis, false);
        match normalize_axis(axis, x.rank()) {
            Ok(at) => z.each_part(|part| part.slice_axis(axis, 0, x.shape()[at] / 2 + 1)),
            Err(_) => z,
        }
    })
}

/// The real numbers, `n` along an axis, of which `z` is the [`rfft`]. The imaginary parts at 0 and, for
/// even `n`, at `n/2` do not count.
#[track_caller]
pub fn irfft(z: &Complex, n: usize, axis: impl AxisNumber) -> Tensor {
    let axis = axis.number();
    let place = Place::of("irfft");
    place.scope(|| {
        let at = match normalize_axis(axis, z.re.rank()) {
            Ok(at) => at,
            Err(kind) => return failed("irfft", kind.to_string(), place).re,
        };
        let half = n / 2 + 1;
        if n == 0 || z.shape()[at] != half {
            let given = z.shape()[at];
            let message = format!("{given} values along axis {axis}; {n} real numbers have {half}");
            return failed("irfft", message, place).re;
        }
        // The second half: conjugates in reverse order.
        let rest = z.each_part(|x| x.slice_axis(axis, 1, n.div_ceil(2)).flip(&[axis])).conj();
        // What has no partner is real.
        let position = Tensor::iota(DType::I64, z.shape(), at);
        let is_alone = position.equal(&Tensor::from(0i64))
            | position.equal(&Tensor::from(if n.is_multiple_of(2) { n as i64 / 2 } else { -1 }));
        let first = Complex { re: z.re.clone(), im: is_alone.select(&z.im.zeros_like(), &z.im) };
        let joined = |a: &Tensor, b: &Tensor| Tensor::concatenate(&[a, b], axis);
        let whole = Complex { re: joined(&first.re, &rest.re), im: joined(&first.im, &rest.im) };
        along(&whole, axis, true).re
    })
}

/// The transform of a spectrum that is symmetric (the first half of which is given) to `n` real
/// numbers: [`irfft`] of the conjugate, not scaled.
#[track_caller]
pub fn hfft(z: &Complex, n: usize, axis: impl AxisNumber) -> Tensor {
    let axis = axis.number();
    operation("hfft", || irfft(&z.conj(), n, axis) * n as f64)
}

/// The inverse of [`hfft`].
#[track_caller]
pub fn ihfft(x: &Tensor, axis: impl AxisNumber) -> Complex {
    let axis = axis.number();
    operation("ihfft", || {
        let n = normalize_axis(axis, x.rank()).map_or(1, |at| x.shape()[at]);
        rfft(x, axis).conj() / n as f64
    })
}

/// The transform along several axes.
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

/// The inverse of [`fftn`].
#[track_caller]
pub fn ifftn(z: &Complex, axes: impl AxisList) -> Complex {
    operation("ifftn", || axes.axes().iter().fold(z.clone(), |z, &axis| along(&z, axis, true)))
}

/// The transform along several axes of real numbers: half of the spectrum along the last of them.
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

/// The inverse of [`rfftn`], with `n` real numbers along the last of the axes.
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

/// The frequencies of the values of [`fft`] for `n` samples, one or more, at a distance of `spacing`.
#[track_caller]
pub fn fftfreq(n: usize, spacing: f64) -> Tensor {
    if n == 0 {
        return failed("fftfreq", "takes one sample or more".into(), Place::of("fftfreq")).re;
    }
    let half = n.div_ceil(2);
    let at = |i: usize| if i < half { i as f64 } else { i as f64 - n as f64 };
    operation("fftfreq", || Tensor::from_fn(n, |i| at(i[0]) / (n as f64 * spacing)))
}

/// The frequencies of the values of [`rfft`] for `n` samples, one or more, at a distance of `spacing`.
#[track_caller]
pub fn rfftfreq(n: usize, spacing: f64) -> Tensor {
    if n == 0 {
        return failed("rfftfreq", "takes one sample or more".into(), Place::of("rfftfreq")).re;
    }
    operation("rfftfreq", || Tensor::from_fn(n / 2 + 1, |i| i[0] as f64 / (n as f64 * spacing)))
}

/// Frequency 0 in the middle of some axes.
#[track_caller]
pub fn fftshift(x: &Tensor, axes: impl AxisList) -> Tensor {
    operation("fftshift", || shifted(x, &axes.axes(), |n| n as i64 / 2))
}

/// The inverse of [`fftshift`].
#[track_caller]
pub fn ifftshift(x: &Tensor, axes: impl AxisList) -> Tensor {
    operation("ifftshift", || shifted(x, &axes.axes(), |n| -(n as i64 / 2)))
}

#[track_caller]
fn shifted(x: &Tensor, axes: &[isize], by: impl Fn(usize) -> i64) -> Tensor {
    match normalize_axes(axes, x.rank()) {
        Ok(axes) => axes.iter().fold(x.clone(), |x, &a| x.roll(by(x.shape()[a]), a as isize)),
        Err(kind) => failed("fftshift", kind.to_string(), Place::here()).re,
    }
}
