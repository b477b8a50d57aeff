//! Shapes and the arithmetic on them: sizes, strides, axes. Axis normalisation and overflow checks
//! live here and nowhere else.

use std::fmt;
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

use crate::DType;
use crate::error::ErrorKind;

/// Bytes that a processor can address at most: sums of several sizes do not overflow.
const ADDRESSABLE: usize = isize::MAX as usize >> if usize::BITS == 64 { 7 } else { 0 };

/// A short list of axes or of per-axis facts.
pub type Axes = SmallVec<[usize; 6]>;

/// The extent of every axis of a tensor, outermost first. A scalar has the empty shape.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; 6]>);

impl Shape {
    /// The shape of a scalar.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements. Shapes of existing tensors have passed [`Shape::checked_size`].
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// The number of elements.
    ///
    /// # Errors
    /// `SizeOverflow` when elements of this dtype have more bytes than can be addressed.
    pub fn checked_size(&self, dtype: DType) -> Result<usize, ErrorKind> {
        // A zero-sized axis makes the tensor empty, yet strides still multiply the other axes.
        let nonzero =
            self.0.iter().filter(|&&d| d != 0).try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        match nonzero {
            Some(bytes) if bytes <= ADDRESSABLE => Ok(self.size()),
            _ => Err(ErrorKind::SizeOverflow { shape: self.clone(), dtype }),
        }
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> SmallVec<[isize; 6]> {
        let mut strides = SmallVec::from_elem(0, self.rank());
        let mut step = 1isize;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step;
            step *= self.0[axis].max(1) as isize;
        }
        strides
    }

    /// This shape without `axis`.
    ///
    /// ```
    /// # use unloop_graph::Shape;
    /// assert_eq!(*Shape::from((2, 3)).without(0), [3]);
    /// ```
    ///
    /// # Panics
    /// When there is no such axis.
    pub fn without(&self, axis: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.remove(axis);
        shape
    }

    /// This shape with an axis of extent `size` inserted at `axis`.
    ///
    /// ```
    /// # use unloop_graph::Shape;
    /// assert_eq!(*Shape::from((2, 3)).with(0, 7), [7, 2, 3]);
    /// ```
    ///
    /// # Panics
    /// When `axis` is larger than the rank.
    pub fn with(&self, axis: usize, size: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.insert(axis, size);
        shape
    }

    /// This shape followed by `other`.
    pub fn concat(&self, other: &[usize]) -> Shape {
        self.iter().chain(other).copied().collect()
    }

    /// Calls `f` with every index of the shape, in row-major order.
    pub fn for_each_index(&self, mut f: impl FnMut(&[usize])) {
        if self.0.contains(&0) {
            return;
        }
        let mut index: Axes = SmallVec::from_elem(0, self.rank());
        loop {
            f(&index);
            let mut axis = self.rank();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < self.0[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }

    /// Adds an axis of extent `size` at the end.
    pub fn push(&mut self, size: usize) {
        self.0.push(size);
    }

    /// NumPy's broadcast of two shapes, aligned at the last axis; `None` when they do not fit.
    ///
    /// ```
    /// # use unloop_graph::Shape;
    /// let (a, b) = (Shape::from((4, 1)), Shape::from(3));
    /// assert_eq!(a.broadcast(&b), Some(Shape::from((4, 3))));
    /// assert_eq!(b.broadcast(&Shape::from(2)), None);
    /// ```
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let extent = |s: &Shape, axis: usize| {
            (axis + s.rank()).checked_sub(rank).map_or(1, |axis| s.0[axis])
        };
        (0..rank)
            .map(|axis| match (extent(self, axis), extent(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect()
    }
}

/// Turns an axis that may count from the end into one that counts from the start.
///
/// ```
/// # use unloop_graph::shape::normalize_axis;
/// assert_eq!(normalize_axis(-1, 3).ok(), Some(2));
/// ```
///
/// # Errors
/// `AxisOutOfRange` unless `-rank <= axis < rank`.
pub fn normalize_axis(axis: isize, rank: usize) -> Result<usize, ErrorKind> {
    let positive = if axis < 0 { axis + rank as isize } else { axis };
    if (0..rank as isize).contains(&positive) {
        Ok(positive as usize)
    } else {
        Err(ErrorKind::AxisOutOfRange { axis, rank })
    }
}

/// Normalises a list of axes, which must be different; keeps their order.
///
/// # Errors
/// `AxisOutOfRange` unless `-rank <= axis < rank`; `RepeatedAxis` for one given twice.
pub fn normalize_axes(axes: &[isize], rank: usize) -> Result<Axes, ErrorKind> {
    let mut normal = Axes::new();
    for &axis in axes {
        let axis = normalize_axis(axis, rank)?;
        if normal.contains(&axis) {
            return Err(ErrorKind::RepeatedAxis { axis });
        }
        normal.push(axis);
    }
    Ok(normal)
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Self {
        Shape(iter.into_iter().collect())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(dims))
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Self {
        dims.as_slice().into()
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        dims.as_slice().into()
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        dims.as_slice().into()
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        [size].into()
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::scalar()
    }
}

macro_rules! shape_from_tuple {
    ($($name:ident)+) => {
        impl From<($(shape_from_tuple!(@usize $name),)+)> for Shape {
            fn from(($($name,)+): ($(shape_from_tuple!(@usize $name),)+)) -> Self {
                [$($name),+].into()
            }
        }
    };
    (@usize $name:ident) => { usize };
}
shape_from_tuple!(a b);
shape_from_tuple!(a b c);
shape_from_tuple!(a b c d);
shape_from_tuple!(a b c d e);
shape_from_tuple!(a b c d e f);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The dtype and shape of a value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The type of the elements.
    pub dtype: DType,
    /// The extent of every axis.
    pub shape: Shape,
}

impl TensorType {
    /// A type from its two parts.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> TensorType {
        TensorType { dtype, shape: shape.into() }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.shape.size() * self.dtype.size()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, d) in self.shape.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
