//! Convolution of vectors, and windows.

use super::axes::AxisNumber;
use std::f64::consts::{PI, TAU};

use super::composed;
use crate::error::{ErrorKind, Place, operation};
use crate::{Conv, Shape, Tensor, WindowAxis};

/// `f` of the position from 0 to 1 of `n` points; one point alone is 1.
fn window(n: usize, f: impl Fn(f64) -> f64) -> Tensor {
    let last = n.saturating_sub(1) as f64;
    Tensor::from_fn([n], |i| if n == 1 { 1.0 } else { f(i[0] as f64 / last) })
}

/// # Windows of signals
/// Symmetric, as NumPy has them: an f64 vector of `n` points, 1 for a single one; `u` is the position
/// from 0 to 1.
impl Tensor {
    /// Bartlett's triangular window `1 - |2u - 1|`. An f64 vector of size `n`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let w = Tensor::bartlett(3);
    /// assert!(w.is_close(Tensor::from([0.0, 1.0, 0.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many points.
    #[track_caller]
    pub fn bartlett(n: usize) -> Tensor {
        operation("bartlett", || window(n, |u| 1.0 - (2.0 * u - 1.0).abs()))
    }

    /// Blackman's window `0.42 - 0.5·cos(2πu) + 0.08·cos(4πu)`. An f64 vector of size `n`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let w = Tensor::blackman(3);
    /// assert!(w.is_close(Tensor::from([0.0, 1.0, 0.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many points.
    #[track_caller]
    pub fn blackman(n: usize) -> Tensor {
        operation("blackman", || {
            window(n, |u| 0.42 - 0.5 * (TAU * u).cos() + 0.08 * (2.0 * TAU * u).cos())
        })
    }

    /// Hamming's window `0.54 - 0.46·cos(2πu)`. An f64 vector of size `n`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let w = Tensor::hamming(3);
    /// assert!(w.is_close(Tensor::from([0.08, 1.0, 0.08]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many points.
    #[track_caller]
    pub fn hamming(n: usize) -> Tensor {
        operation("hamming", || window(n, |u| 0.54 - 0.46 * (TAU * u).cos()))
    }

    /// Hann's window `0.5 - 0.5·cos(2πu)`. An f64 vector of size `n`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let w = Tensor::hanning(3);
    /// assert!(w.is_close(Tensor::from([0.0, 1.0, 0.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many points.
    #[track_caller]
    pub fn hanning(n: usize) -> Tensor {
        operation("hanning", || window(n, |u| 0.5 - 0.5 * (TAU * u).cos()))
    }

    /// Kaiser's window `I₀(β√(1 - (2u-1)²)) / I₀(β)`. An f64 vector of size `n`.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let w = Tensor::kaiser(3, 0.0);
    /// assert!(w.is_close(Tensor::from([1.0, 1.0, 1.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `OutOfMemory` or `SizeOverflow` for too many points.
    #[track_caller]
    pub fn kaiser(n: usize, beta: f64) -> Tensor {
        operation("kaiser", || {
            let root = window(n, |u| (1.0 - (2.0 * u - 1.0).powi(2)).max(0.0).sqrt());
            (root * beta).bessel_i0() / Tensor::from(beta).bessel_i0()
        })
    }

    /// `Σⱼ x[i + j]·y[j]` with zeros outside of `x`, for every shift at which they overlap; `y` the other
    /// way round if it is `flipped`.
    #[track_caller]
    fn sliding_dot(&self, y: &Tensor, flipped: bool) -> Tensor {
        if let Some(error) = [self, y].into_iter().find(|t| t.as_error().is_some()) {
            return error.clone();
        }
        let fail = |kind| Tensor::fail("convolve", kind, Place::here(), self);
        if let Some(other) = [self, y].into_iter().find(|t| t.rank() != 1) {
            let shape = Shape::from(other.shape());
            return fail(ErrorKind::WrongRank { expected: "vectors", shape });
        }
        let (m, n) = (self.size(), y.size());
        if m == 0 || n == 0 {
            return fail(ErrorKind::InvalidArgument("takes vectors that are not empty".into()));
        }
        let y = if flipped { y.flip(0) } else { y.clone() };
        let around = n as i64 - 1;
        let windows = vec![WindowAxis::one().padding(around, around)];
        let (x, y) = (self.reshape([1, 1, m]), y.reshape([1, 1, n]));
        x.conv(&y, &Conv { windows, groups: 1 }).flatten()
    }
}

composed! {
    //! # Convolution of vectors, angles
    /// The discrete convolution of two vectors of sizes `m` and `n`, at all `m + n - 1` shifts (NumPy's
    /// mode `full`). Of integers or floats.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([1.0, 2.0, 3.0]).convolve(&Tensor::from([1.0, 10.0]));
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 12.0, 23.0, 30.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless both are vectors; `InvalidArgument` for an empty one; `DTypeMismatch`
    /// if the dtypes differ; `UnsupportedDType` of bool.
    convolve(x, y: &Tensor) -> Tensor { x.sliding_dot(y, true) }

    /// The cross-correlation of two vectors of sizes `m` and `n`, at all `m + n - 1` shifts (NumPy's
    /// mode `full`). Of integers or floats.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let y = Tensor::from([1.0, 2.0, 3.0]).correlate(&Tensor::from([1.0, 10.0]));
    /// assert_eq!(y.to_vec::<f64>()?, [10.0, 21.0, 32.0, 3.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless both are vectors; `InvalidArgument` for an empty one; `DTypeMismatch`
    /// if the dtypes differ; `UnsupportedDType` of bool.
    correlate(x, y: &Tensor) -> Tensor { x.sliding_dot(y, false) }

    /// Angles in radians along an axis, moved by whole turns so that none is further than `π` from the
    /// one before. Shape and dtype stay.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let turn = std::f64::consts::TAU;
    /// let x = Tensor::from([0.0, 3.0, 6.0 - turn]).unwrap_angles(0);
    /// assert!(x.is_close(Tensor::from([0.0, 3.0, 6.0]), 0.0, 1e-12).all().item::<bool>()?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `AxisOutOfRange` for an axis that the tensor does not have; `UnsupportedDType`
    /// unless the dtype is f32 or f64.
    unwrap_angles(x, axis: impl AxisNumber) -> Tensor where floats {
        let axis = axis.number();
        let step = x.diff(1, axis);
        let turn = &step - ((&step + PI) / TAU).floor() * TAU;
        // A step of exactly half a turn keeps its direction.
        let half = turn.equal(&(turn.zeros_like() - PI)) & step.greater(&step.zeros_like());
        let turn = half.select(&(turn.zeros_like() + PI), &turn);
        let small = step.abs().less(&(step.zeros_like() + PI));
        let moved = small.select(&step.zeros_like(), &(turn - &step)).cumsum(axis);
        let first = x.slice_axis(axis, 0, 1).zeros_like();
        x + Tensor::concatenate(&[&first, &moved], axis)
    }
}
