//! Concrete values: a shared buffer seen through a shape, strides and an offset. Transposes,
//! slices, reversals and broadcasts are new views of the same buffer, so a constant fill is one
//! element with strides of zero.

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::memory::{self, Charge, Shared, vec_with_room};
use crate::{Buffer, DType, Element, Number, Scalar, Shape, TensorType, with_dtype};

/// Strides in elements, one an axis; negative ones walk backwards.
pub type Strides = SmallVec<[isize; 6]>;

/// A concrete array of any dtype and layout. Cloning shares the buffer.
#[derive(Clone)]
pub struct Array {
    shape: Shape,
    strides: Strides,
    offset: usize,
    buffer: Shared,
}

impl Array {
    /// An array that owns `values` in row-major order.
    ///
    /// # Panics
    /// When the number of values is not the size of the shape.
    pub fn new<T: Element>(shape: Shape, values: Vec<T>) -> Array {
        Array::from_buffer(shape, T::into_buffer(values))
    }

    /// An array that owns a buffer in row-major order.
    ///
    /// # Panics
    /// When the number of values is not the size of the shape.
    pub fn from_buffer(shape: Shape, buffer: Buffer) -> Array {
        assert_eq!(buffer.len(), shape.size(), "buffer does not fill shape {shape}");
        let strides = shape.strides();
        Array { shape, strides, offset: 0, buffer: Shared::of(buffer) }
    }

    /// An array that owns a buffer in row-major order, with what is counted for its memory.
    ///
    /// # Panics
    /// When the number of values is not the size of the shape.
    pub fn from_room(shape: Shape, buffer: Buffer, charge: Charge) -> Array {
        assert_eq!(buffer.len(), shape.size(), "buffer does not fill shape {shape}");
        let strides = shape.strides();
        Array { shape, strides, offset: 0, buffer: Shared::new(buffer, charge) }
    }

    /// One value everywhere; takes the memory of one element.
    pub fn fill(shape: Shape, value: Scalar) -> Array {
        let buffer = match value {
            Scalar::Bool(v) => Buffer::Bool(vec![v]),
            Scalar::I32(v) => Buffer::I32(vec![v]),
            Scalar::I64(v) => Buffer::I64(vec![v]),
            Scalar::U32(v) => Buffer::U32(vec![v]),
            Scalar::F32(v) => Buffer::F32(vec![v]),
            Scalar::F64(v) => Buffer::F64(vec![v]),
        };
        let strides = SmallVec::from_elem(0, shape.rank());
        Array { shape, strides, offset: 0, buffer: Shared::of(buffer) }
    }

    /// An array computed index by index. [`Op::evaluate`](crate::Op::evaluate) sees to it that there
    /// is room.
    pub fn from_fn(ty: &TensorType, mut f: impl FnMut(&[usize]) -> Number) -> Array {
        with_dtype!(ty.dtype, T => {
            let mut values: Vec<T> = vec_with_room(ty.shape.size()).unwrap_or_default();
            ty.shape.for_each_index(|index| values.push(T::from_number(f(index))));
            Array::new(ty.shape.clone(), values)
        })
    }

    /// The dtype.
    pub fn dtype(&self) -> DType {
        self.buffer.dtype()
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Dtype and shape.
    pub fn ty(&self) -> TensorType {
        TensorType { dtype: self.dtype(), shape: self.shape.clone() }
    }

    /// Strides, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Position of the first element in the buffer.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The shared buffer that holds the elements.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.size()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The address of the element at index zero of every axis.
    pub fn as_ptr(&self) -> *const u8 {
        self.buffer.as_ptr().wrapping_add(self.offset * self.dtype().size())
    }

    /// The position in the buffer of an element.
    fn position(&self, index: &[usize]) -> usize {
        let step: isize = index.iter().zip(&self.strides).map(|(&i, &s)| i as isize * s).sum();
        self.offset.wrapping_add_signed(step)
    }

    /// The value at an index.
    ///
    /// # Panics
    /// When the index is out of bounds.
    pub fn get(&self, index: &[usize]) -> Number {
        let at = self.position(index);
        match &*self.buffer {
            Buffer::Bool(v) => v[at].number(),
            Buffer::I32(v) => v[at].number(),
            Buffer::I64(v) => v[at].number(),
            Buffer::U32(v) => v[at].number(),
            Buffer::F32(v) => v[at].number(),
            Buffer::F64(v) => v[at].number(),
        }
    }

    /// The one value of an array whose elements are all one element of memory.
    pub fn as_fill(&self) -> Option<Scalar> {
        let one = self.shape.iter().zip(&self.strides).all(|(&d, &s)| d == 1 || s == 0);
        (one && !self.is_empty()).then(|| {
            let index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.shape.rank());
            Scalar::new(self.dtype(), self.get(&index))
        })
    }

    /// Whether the array is the identity matrix of floats, or a stack of it that repeats one matrix.
    pub fn is_identity(&self) -> bool {
        let Some(stack) = self.shape.rank().checked_sub(2) else { return false };
        let (m, n) = (self.shape[stack], self.shape[stack + 1]);
        let repeats =
            self.shape.iter().zip(&self.strides).take(stack).all(|(&d, &s)| d == 1 || s == 0);
        let is = |i: usize, j: usize| {
            let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, stack);
            index.extend([i, j]);
            self.get(&index) == Number::Float(if i == j { 1.0 } else { 0.0 })
        };
        let whole = !self.is_empty() && repeats && m == n;
        whole && (0..n).all(|i| (0..n).all(|j| is(i, j)))
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_standard(&self) -> bool {
        let mut step = 1isize;
        for (&d, &s) in self.shape.iter().zip(&self.strides).rev() {
            if d != 1 && s != step {
                return self.is_empty();
            }
            step *= d as isize;
        }
        true
    }

    /// The elements as one slice, when they lie in row-major order.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        let all = T::slice(&self.buffer)?;
        match self.is_standard() {
            true if self.is_empty() => Some(&[]),
            true => Some(&all[self.offset..self.offset + self.len()]),
            false => None,
        }
    }

    /// The elements in row-major order, copied.
    ///
    /// # Errors
    /// `DTypeMismatch` unless the dtype is `T`; `OutOfMemory` if there is none for the copy.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, ErrorKind> {
        if let Some(slice) = self.as_slice() {
            return memory::copied(slice);
        }
        let all = self.elements::<T>()?;
        let mut values = vec_with_room(self.len())?;
        if let (Some(_), Some(&value)) = (self.as_fill(), all.get(self.offset)) {
            values.resize(self.len(), value);
            return Ok(values);
        }
        let Some((&inner, outer)) = self.shape.split_last() else { return Ok(values) };
        let stride = self.strides[outer.len()];
        Shape::from(outer).for_each_index(|index| {
            let start = self.position(index) as isize;
            values.extend((0..inner as isize).map(|i| all[(start + i * stride) as usize]));
        });
        Ok(values)
    }

    /// The whole buffer.
    fn elements<T: Element>(&self) -> Result<&[T], ErrorKind> {
        let wrong = ErrorKind::DTypeMismatch { left: self.dtype(), right: T::DTYPE };
        T::slice(&self.buffer).ok_or(wrong)
    }

    /// The elements in row-major order, moved out without a copy when nobody else holds them.
    ///
    /// # Errors
    /// As [`Array::to_vec`]: `DTypeMismatch`, `OutOfMemory`.
    pub fn into_vec<T: Element>(self) -> Result<Vec<T>, ErrorKind> {
        self.elements::<T>()?;
        if self.offset == 0 && self.is_standard() && self.buffer.len() == self.len() {
            return match self.buffer.try_unwrap() {
                Ok(buffer) => Ok(T::from_buffer(buffer).unwrap_or_default()),
                Err(shared) => memory::copied(T::slice(&shared).unwrap_or_default()),
            };
        }
        self.to_vec()
    }

    /// The same array in row-major order; shares the buffer when it is already so.
    ///
    /// # Errors
    /// `OutOfMemory` if there is none for a copy.
    pub fn to_standard(&self) -> Result<Array, ErrorKind> {
        if self.is_standard() {
            return Ok(self.clone());
        }
        with_dtype!(self.dtype(), T => {
            Ok(Array::new(self.shape.clone(), self.to_vec::<T>()?))
        })
    }

    fn view(&self, shape: Shape, strides: Strides, offset: usize) -> Array {
        Array { shape, strides, offset, buffer: self.buffer.clone() }
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]` of this array.
    pub fn transpose(&self, perm: &[usize]) -> Array {
        let shape = perm.iter().map(|&p| self.shape[p]).collect();
        let strides = perm.iter().map(|&p| self.strides[p]).collect();
        self.view(shape, strides, self.offset)
    }

    /// Axis `i` becomes axis `dims[i]` of `shape`; along the other axes the values repeat.
    pub fn broadcast(&self, shape: &Shape, dims: &[usize]) -> Array {
        let mut strides: Strides = SmallVec::from_elem(0, shape.rank());
        for (&dim, &stride) in dims.iter().zip(&self.strides) {
            strides[dim] = stride;
        }
        self.view(shape.clone(), strides, self.offset)
    }

    /// Every `step`-th element from `start`, `size` of them, an axis.
    pub fn slice(&self, start: &[usize], shape: &Shape, step: &[usize]) -> Array {
        let offset = if shape.contains(&0) { self.offset } else { self.position(start) };
        let strides = self.strides.iter().zip(step).zip(shape.iter());
        // One element has no next one, whatever the step.
        let strides = strides.map(|((&s, &k), &n)| if n < 2 { s } else { s * k as isize });
        self.view(shape.clone(), strides.collect(), offset)
    }

    /// The elements along some axes in reverse order.
    pub fn reverse(&self, axes: &[usize]) -> Array {
        if self.is_empty() {
            return self.clone();
        }
        let mut strides = self.strides.clone();
        let mut last: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.shape.rank());
        for &axis in axes {
            strides[axis] = -strides[axis];
            last[axis] = self.shape[axis] - 1;
        }
        self.view(self.shape.clone(), strides, self.position(&last))
    }

    /// The same elements in row-major order under another shape of the same size; a view unless the
    /// layout is not row-major.
    ///
    /// # Errors
    /// `OutOfMemory` if there is none for a copy.
    pub fn reshape(&self, shape: &Shape) -> Result<Array, ErrorKind> {
        if let Some(view) = self.reshaped_view(shape) {
            return Ok(view);
        }
        let standard = self.to_standard()?;
        Ok(standard.view(shape.clone(), shape.strides(), standard.offset))
    }

    /// The same as [`Array::reshape`], if no element has to move.
    pub fn reshaped_view(&self, shape: &Shape) -> Option<Array> {
        if self.as_fill().is_some() {
            return Some(self.view(
                shape.clone(),
                SmallVec::from_elem(0, shape.rank()),
                self.offset,
            ));
        }
        self.is_standard().then(|| self.view(shape.clone(), shape.strides(), self.offset))
    }
}

/// Equality of dtype, shape and every bit (so NaN equals itself).
impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        let bits = |a: &Array, i: &[usize]| Scalar::new(a.dtype(), a.get(i)).bits();
        let mut same = self.dtype() == other.dtype() && self.shape == other.shape;
        if same {
            self.shape.for_each_index(|i| same &= bits(self, i) == bits(other, i));
        }
        same
    }
}
