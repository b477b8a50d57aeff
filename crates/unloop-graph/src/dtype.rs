//! Element types: the closed set of dtypes, the Rust types that stand for them, and typed scalars.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DType {
    /// A truth value; stored as one byte.
    Bool,
    /// 32-bit signed integer; arithmetic wraps around.
    I32,
    /// 64-bit signed integer; arithmetic wraps around.
    I64,
    /// 32-bit unsigned integer; arithmetic wraps around.
    U32,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl DType {
    /// Every dtype, in the order of the enum.
    pub const ALL: [DType; 6] =
        [DType::Bool, DType::I32, DType::I64, DType::U32, DType::F32, DType::F64];

    /// Bytes of one element: 1, 4 or 8.
    ///
    /// ```
    /// # use unloop_graph::DType;
    /// assert_eq!(DType::F32.size(), 4);
    /// ```
    pub const fn size(self) -> usize {
        match self {
            DType::Bool => 1,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether this is `F32` or `F64`, the dtypes that can be differentiated.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether this is `I32`, `I64` or `U32`.
    pub const fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::I64 | DType::U32)
    }

    /// The short name that programs are printed with: `f32`, `i64`, `bool`.
    ///
    /// ```
    /// # use unloop_graph::DType;
    /// assert_eq!(DType::F32.name(), "f32");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U32 => "u32",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Runs `$body` with the type alias `$t` bound to the Rust type of a [`DType`].
#[macro_export]
macro_rules! with_dtype {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $t = bool;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::U32 => {
                type $t = u32;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
        }
    };
}

/// The elements of a tensor: one vector of one dtype.
#[derive(Clone, Debug)]
pub enum Buffer {
    /// Elements of dtype `bool`.
    Bool(Vec<bool>),
    /// Elements of dtype `i32`.
    I32(Vec<i32>),
    /// Elements of dtype `i64`.
    I64(Vec<i64>),
    /// Elements of dtype `u32`.
    U32(Vec<u32>),
    /// Elements of dtype `f32`.
    F32(Vec<f32>),
    /// Elements of dtype `f64`.
    F64(Vec<f64>),
}

impl Buffer {
    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            Buffer::Bool(_) => DType::Bool,
            Buffer::I32(_) => DType::I32,
            Buffer::I64(_) => DType::I64,
            Buffer::U32(_) => DType::U32,
            Buffer::F32(_) => DType::F32,
            Buffer::F64(_) => DType::F64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Buffer::Bool(v) => v.len(),
            Buffer::I32(v) => v.len(),
            Buffer::I64(v) => v.len(),
            Buffer::U32(v) => v.len(),
            Buffer::F32(v) => v.len(),
            Buffer::F64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many elements there is room.
    pub fn capacity(&self) -> usize {
        match self {
            Buffer::Bool(v) => v.capacity(),
            Buffer::I32(v) => v.capacity(),
            Buffer::I64(v) => v.capacity(),
            Buffer::U32(v) => v.capacity(),
            Buffer::F32(v) => v.capacity(),
            Buffer::F64(v) => v.capacity(),
        }
    }

    /// Removes all elements; the room stays.
    pub fn clear(&mut self) {
        match self {
            Buffer::Bool(v) => v.clear(),
            Buffer::I32(v) => v.clear(),
            Buffer::I64(v) => v.clear(),
            Buffer::U32(v) => v.clear(),
            Buffer::F32(v) => v.clear(),
            Buffer::F64(v) => v.clear(),
        }
    }

    /// The address of the first element.
    pub fn as_ptr(&self) -> *const u8 {
        match self {
            Buffer::Bool(v) => v.as_ptr().cast(),
            Buffer::I32(v) => v.as_ptr().cast(),
            Buffer::I64(v) => v.as_ptr().cast(),
            Buffer::U32(v) => v.as_ptr().cast(),
            Buffer::F32(v) => v.as_ptr().cast(),
            Buffer::F64(v) => v.as_ptr().cast(),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is the element of a tensor: `bool`, `i32`, `i64`, `u32`, `f32`, `f64`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the type of a tensor's elements",
    label = "not `bool`, `i32`, `i64`, `u32`, `f32` or `f64`",
    note = "other numbers are converted before, as in `values.iter().map(|&x| x as i64).collect::<Vec<_>>()`",
    note = "rows go in one after the other, with the shape: `Tensor::from_vec([rows.len(), columns], rows.concat())`"
)]
pub trait Element: sealed::Sealed + Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The dtype that this type stands for.
    const DTYPE: DType;
    /// Wraps a vector of this type.
    fn into_buffer(values: Vec<Self>) -> Buffer;
    /// The vector inside, when the buffer is of this type.
    fn from_buffer(buffer: Buffer) -> Option<Vec<Self>>;
    /// The elements, when the buffer is of this type.
    fn slice(buffer: &Buffer) -> Option<&[Self]>;
    /// This value as a typed scalar.
    fn scalar(self) -> Scalar;
    /// The value converted as [`Scalar::cast`] converts, to this type.
    fn from_number(value: Number) -> Self;
    /// The exact value, in the widest type of its kind.
    fn number(self) -> Number;
}

/// A value of any dtype, in the widest type of its kind: what the reference evaluator computes
/// with. Narrowing rounds floats to nearest and wraps integers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// A truth value.
    Bool(bool),
    /// Any integer.
    Int(i128),
    /// Any float; `f32` values are exact in it.
    Float(f64),
}

impl Number {
    /// The value as a float (`true` is 1).
    pub fn float(self) -> f64 {
        match self {
            Number::Bool(b) => f64::from(u8::from(b)),
            Number::Int(i) => i as f64,
            Number::Float(x) => x,
        }
    }

    /// The value as an integer; floats are truncated towards zero.
    pub fn int(self) -> i128 {
        match self {
            Number::Bool(b) => i128::from(b),
            Number::Int(i) => i,
            Number::Float(x) => x as i128,
        }
    }

    /// Whether the value is not zero (NaN is true).
    pub fn truth(self) -> bool {
        match self {
            Number::Bool(b) => b,
            Number::Int(i) => i != 0,
            Number::Float(x) => x != 0.0,
        }
    }
}

macro_rules! element {
    ($t:ty, $variant:ident, $number:ident, $narrow:expr) => {
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$variant;
            fn into_buffer(values: Vec<Self>) -> Buffer {
                Buffer::$variant(values)
            }
            fn from_buffer(buffer: Buffer) -> Option<Vec<Self>> {
                match buffer {
                    Buffer::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn slice(buffer: &Buffer) -> Option<&[Self]> {
                match buffer {
                    Buffer::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn scalar(self) -> Scalar {
                Scalar::$variant(self)
            }
            fn from_number(value: Number) -> Self {
                let narrow: fn(Number) -> $t = $narrow;
                narrow(value)
            }
            fn number(self) -> Number {
                Number::$number(self.into())
            }
        }
    };
}

element!(bool, Bool, Bool, Number::truth);
element!(i32, I32, Int, |v| match v {
    Number::Float(x) => x as i32,
    v => v.int() as i32,
});
element!(i64, I64, Int, |v| match v {
    Number::Float(x) => x as i64,
    v => v.int() as i64,
});
element!(u32, U32, Int, |v| match v {
    Number::Float(x) => x as u32,
    v => v.int() as u32,
});
element!(f32, F32, Float, |v| match v {
    Number::Int(i) => i as f32,
    v => v.float() as f32,
});
element!(f64, F64, Float, Number::float);

/// One value with its dtype. Equality and hash go by bits, so that NaN equals itself and programs
/// with constants can be keys.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Scalar {
    Bool(bool),
    I32(i32),
    I64(i64),
    U32(u32),
    F32(f32),
    F64(f64),
}

impl Scalar {
    /// A scalar of `dtype` from a wide number: floats are rounded, integers wrap, floats become
    /// integers by truncation that saturates (NaN gives 0).
    pub fn new(dtype: DType, value: Number) -> Scalar {
        with_dtype!(dtype, T => T::from_number(value).scalar())
    }

    /// The dtype.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::I32(_) => DType::I32,
            Scalar::I64(_) => DType::I64,
            Scalar::U32(_) => DType::U32,
            Scalar::F32(_) => DType::F32,
            Scalar::F64(_) => DType::F64,
        }
    }

    /// The exact value.
    pub fn number(self) -> Number {
        match self {
            Scalar::Bool(v) => v.number(),
            Scalar::I32(v) => v.number(),
            Scalar::I64(v) => v.number(),
            Scalar::U32(v) => v.number(),
            Scalar::F32(v) => v.number(),
            Scalar::F64(v) => v.number(),
        }
    }

    /// The value in another dtype, converted as [`Scalar::new`] says.
    ///
    /// ```
    /// # use unloop_graph::{DType, Scalar};
    /// assert_eq!(Scalar::F64(-1.5).cast(DType::I32), Scalar::I32(-1));
    /// ```
    pub fn cast(self, dtype: DType) -> Scalar {
        Scalar::new(dtype, self.number())
    }

    /// The bits of the value, zero-extended.
    pub fn bits(self) -> u64 {
        match self {
            Scalar::Bool(v) => u64::from(v),
            Scalar::I32(v) => u64::from(v as u32),
            Scalar::I64(v) => v as u64,
            Scalar::U32(v) => u64::from(v),
            Scalar::F32(v) => u64::from(v.to_bits()),
            Scalar::F64(v) => v.to_bits(),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.dtype() == other.dtype() && self.bits() == other.bits()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.dtype(), self.bits()).hash(state);
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(v) => write!(f, "{v}"),
            Scalar::I32(v) => write!(f, "{v}"),
            Scalar::I64(v) => write!(f, "{v}"),
            Scalar::U32(v) => write!(f, "{v}"),
            Scalar::F32(v) => write!(f, "{v:?}"),
            Scalar::F64(v) => write!(f, "{v:?}"),
        }
    }
}
