//! Operations that only move elements: iota, reshape, transpose, broadcast, slice, pad, concatenate
//! and reverse.

use std::fmt;

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::{Array, DType, Number, Shape, TensorType};

/// A strided window: along axis `i` the elements `start[i], start[i]+step[i], …` below `limit[i]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    /// First position of each axis.
    pub start: SmallVec<[usize; 6]>,
    /// One past the last position of each axis.
    pub limit: SmallVec<[usize; 6]>,
    /// Distance of neighbours of each axis, at least 1.
    pub step: SmallVec<[usize; 6]>,
}

/// How [`super::Op::Pad`] extends one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PadAxis {
    /// Elements inserted before; negative cuts off.
    pub low: i64,
    /// Elements inserted after; negative cuts off.
    pub high: i64,
    /// Elements inserted between neighbours.
    pub interior: usize,
}

impl PadAxis {
    /// The same padding of an axis of a size without numbers beyond that size: nothing stands between
    /// fewer than two elements, and no more is cut off than there is.
    pub(crate) fn canonical(self, size: usize) -> PadAxis {
        let interior = if size < 2 { 0 } else { self.interior };
        let pad = PadAxis { interior, ..self };
        let spread = size as i128 + (size.saturating_sub(1) as i128) * interior as i128;
        let total = spread + i128::from(self.low) + i128::from(self.high);
        let (Ok(spread), Ok(rest)) = (i64::try_from(spread), i64::try_from(total)) else {
            return pad;
        };
        match pad {
            _ if rest < 0 => pad,
            PadAxis { low, .. } if low < -spread => PadAxis { low: -spread, high: rest, ..pad },
            PadAxis { high, .. } if high < -spread => PadAxis { low: rest, high: -spread, ..pad },
            _ => pad,
        }
    }
}

/// How [`super::Op::Pad`] extends each axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad(pub SmallVec<[PadAxis; 4]>);

fn invalid<T>(message: String) -> Result<T, ErrorKind> {
    Err(ErrorKind::InvalidArgument(message))
}

pub(super) fn infer_iota(ty: &TensorType, axis: usize) -> Result<TensorType, ErrorKind> {
    if ty.dtype == DType::Bool {
        return Err(ErrorKind::UnsupportedDType {
            dtype: ty.dtype,
            expected: "integers and floats",
        });
    }
    if axis >= ty.rank() {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: ty.rank() });
    }
    Ok(ty.clone())
}

pub(super) fn infer_reshape([x]: &[TensorType; 1], shape: &Shape) -> Result<TensorType, ErrorKind> {
    if shape.checked_size(x.dtype)? != x.shape.size() {
        return invalid(format!(
            "shape {} of {} elements cannot become {shape} of {} elements",
            x.shape,
            x.shape.size(),
            shape.size()
        ));
    }
    Ok(TensorType::new(x.dtype, shape))
}

pub(super) fn infer_transpose(
    [x]: &[TensorType; 1],
    perm: &[usize],
) -> Result<TensorType, ErrorKind> {
    let mut seen: SmallVec<[bool; 8]> = SmallVec::from_elem(false, x.rank());
    for &axis in perm {
        if axis >= x.rank() {
            return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: x.rank() });
        }
        if std::mem::replace(&mut seen[axis], true) {
            return Err(ErrorKind::RepeatedAxis { axis });
        }
    }
    if perm.len() != x.rank() {
        return invalid(format!("{} axes given for shape {}", perm.len(), x.shape));
    }
    Ok(TensorType::new(x.dtype, perm.iter().map(|&p| x.shape[p]).collect::<Shape>()))
}

pub(super) fn infer_broadcast(
    [x]: &[TensorType; 1],
    shape: &Shape,
    dims: &[usize],
) -> Result<TensorType, ErrorKind> {
    let increasing = dims.windows(2).all(|w| w[0] < w[1]);
    let fits = dims.len() == x.rank()
        && dims.iter().zip(x.shape.iter()).all(|(&d, &n)| shape.get(d) == Some(&n));
    if !increasing || !fits {
        return Err(ErrorKind::Incompatible {
            left: x.shape.clone(),
            right: shape.clone(),
            why: format!("axes {dims:?} of the result must be increasing and have equal sizes"),
        });
    }
    Ok(TensorType::new(x.dtype, shape))
}

pub(super) fn infer_reverse(
    [x]: &[TensorType; 1],
    axes: &[usize],
) -> Result<TensorType, ErrorKind> {
    let axes: SmallVec<[isize; 6]> = axes.iter().map(|&a| a as isize).collect();
    crate::shape::normalize_axes(&axes, x.rank())?;
    Ok(x.clone())
}

pub(super) fn infer_concatenate(
    operands: &[TensorType],
    axis: usize,
) -> Result<TensorType, ErrorKind> {
    let Some((first, rest)) = operands.split_first() else {
        return invalid("needs at least one tensor".into());
    };
    if axis >= first.rank() {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: first.rank() });
    }
    let mut ty = first.clone();
    for x in rest {
        if x.dtype != ty.dtype {
            return Err(ErrorKind::DTypeMismatch { left: ty.dtype, right: x.dtype });
        }
        if x.rank() != ty.rank() || x.shape.without(axis) != first.shape.without(axis) {
            return Err(ErrorKind::Incompatible {
                left: first.shape.clone(),
                right: x.shape.clone(),
                why: format!("all axes but axis {axis} must agree"),
            });
        }
        ty.shape[axis] = match ty.shape[axis].checked_add(x.shape[axis]) {
            Some(size) => size,
            None => return Err(ErrorKind::SizeOverflow { shape: x.shape.clone(), dtype: x.dtype }),
        };
    }
    Ok(ty)
}

pub(super) fn iota(ty: &TensorType, axis: usize) -> Array {
    Array::from_fn(ty, |i| Number::Int(i[axis] as i128))
}

pub(super) fn concatenate(operands: &[Array], axis: usize, ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| {
        let mut index: SmallVec<[usize; 6]> = i.into();
        for x in operands {
            match x.shape()[axis] {
                size if index[axis] >= size => index[axis] -= size,
                _ => return x.get(&index),
            }
        }
        unreachable!("the type rule sums the sizes")
    })
}

impl Slice {
    /// The elements `start`, `start + step`, … below `limit` along every axis. A step that is never
    /// made, which may be of any size, is 1.
    pub fn new(start: &[usize], limit: &[usize], step: &[usize]) -> Slice {
        let mut slice = Slice {
            start: SmallVec::from_slice(start),
            limit: SmallVec::from_slice(limit),
            step: SmallVec::from_slice(step),
        };
        for ((&start, limit), step) in start.iter().zip(&mut slice.limit).zip(&mut slice.step) {
            if *step > 1 && limit.saturating_sub(start) <= *step {
                *limit = (*limit).min(start.saturating_add(1));
                *step = 1;
            }
        }
        slice
    }

    pub(super) fn infer(&self, [x]: &[TensorType; 1]) -> Result<TensorType, ErrorKind> {
        let rank = x.rank();
        if [self.start.len(), self.limit.len(), self.step.len()] != [rank; 3] {
            return invalid(format!("{} ranges for shape {}", self.start.len(), x.shape));
        }
        let mut shape = Shape::scalar();
        for axis in 0..rank {
            let (start, limit, step) = (self.start[axis], self.limit[axis], self.step[axis]);
            if start > limit || limit > x.shape[axis] || step == 0 {
                return invalid(format!(
                    "range {start}..{limit} with step {step} does not fit axis {axis} of shape {}",
                    x.shape
                ));
            }
            shape.push((limit - start).div_ceil(step));
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    pub(super) fn view(&self, x: &Array, ty: &TensorType) -> Array {
        x.slice(&self.start, &ty.shape, &self.step)
    }
}

impl Pad {
    pub(super) fn infer(&self, [x, fill]: &[TensorType; 2]) -> Result<TensorType, ErrorKind> {
        if fill.dtype != x.dtype {
            return Err(ErrorKind::DTypeMismatch { left: x.dtype, right: fill.dtype });
        }
        if fill.rank() != 0 {
            return Err(ErrorKind::WrongRank {
                expected: "a scalar fill",
                shape: fill.shape.clone(),
            });
        }
        if self.0.len() != x.rank() {
            return invalid(format!("padding of {} axes for shape {}", self.0.len(), x.shape));
        }
        let mut shape = Shape::scalar();
        for (axis, (pad, &size)) in self.0.iter().zip(x.shape.iter()).enumerate() {
            let between = (size.saturating_sub(1) as i128) * pad.interior as i128;
            let total = size as i128 + between + i128::from(pad.low) + i128::from(pad.high);
            match usize::try_from(total) {
                Ok(n) => shape.push(n),
                Err(_) => {
                    return invalid(format!(
                        "padding {}, {} of axis {axis} of shape {} leaves {total} elements",
                        pad.low, pad.high, x.shape
                    ));
                }
            }
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    pub(super) fn evaluate(&self, x: &Array, fill: &Array, ty: &TensorType) -> Array {
        Array::from_fn(ty, |i| {
            let source = i.iter().zip(&self.0).zip(x.shape().iter()).map(|((&i, pad), &size)| {
                let (at, step) = (i as i64 - pad.low, pad.interior as i64 + 1);
                (at >= 0 && at % step == 0 && at / step < size as i64).then(|| (at / step) as usize)
            });
            match source.collect::<Option<SmallVec<[usize; 6]>>>() {
                Some(index) => x.get(&index),
                None => fill.get(&[]),
            }
        })
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for axis in 0..self.start.len() {
            let comma = if axis == 0 { "" } else { ", " };
            write!(f, "{comma}{}..{}", self.start[axis], self.limit[axis])?;
            if self.step[axis] != 1 {
                write!(f, "/{}", self.step[axis])?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (axis, pad) in self.0.iter().enumerate() {
            let comma = if axis == 0 { "" } else { ", " };
            write!(f, "{comma}{}_{}", pad.low, pad.high)?;
            if pad.interior != 0 {
                write!(f, "_{}", pad.interior)?;
            }
        }
        Ok(())
    }
}
