//! Axes: one integer of any type, or several.

use std::ops::{Range, RangeInclusive};

use smallvec::SmallVec;

/// An integer of any type, as an axis: negative ones count from the end.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an axis",
    label = "not an integer",
    note = "an axis is an integer; negative ones count from the end"
)]
pub trait AxisNumber: Copy {
    /// The axis; one that no tensor has for what no `isize` can hold.
    fn number(self) -> isize;
}

macro_rules! axis_numbers {
    ($($t:ty)+) => {$(
        impl AxisNumber for $t {
            fn number(self) -> isize {
                self.try_into().unwrap_or(isize::MAX)
            }
        }

        impl AxisList for $t {
            fn axes(&self) -> Vec<isize> {
                vec![self.number()]
            }
        }
    )+};
}
axis_numbers! { i32 i64 isize u32 u64 usize }

/// One axis or several; negative ones count from the end. A single integer of any type, or an array, a
/// slice, a vector, a tuple or a range of integers.
///
/// ```
/// # use unloop_graph::{DType, Tensor};
/// let x = Tensor::ones(DType::F64, (2, 3, 4));
/// assert_eq!(x.sum_axis(-1).shape(), [2, 3]);
/// assert_eq!(x.sum_axis([0, -1]).shape(), [3]);
/// assert_eq!(x.sum_axis(1..x.rank()).shape(), [2]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name axes",
    label = "not an axis, nor several",
    note = "axes are an integer, or an array, a slice, a vector, a tuple or a range of integers: `0`, `[0, -1]`, `1..3`; all axes at once have functions of their own, such as `x.sum()`"
)]
pub trait AxisList {
    /// The axes as given.
    fn axes(&self) -> Vec<isize>;
}

impl<A: AxisNumber> AxisList for [A] {
    fn axes(&self) -> Vec<isize> {
        self.iter().map(|axis| axis.number()).collect()
    }
}

impl<A: AxisNumber, const N: usize> AxisList for [A; N] {
    fn axes(&self) -> Vec<isize> {
        self[..].axes()
    }
}

impl<A: AxisNumber> AxisList for Vec<A> {
    fn axes(&self) -> Vec<isize> {
        self[..].axes()
    }
}

impl<A: AxisNumber, const N: usize> AxisList for SmallVec<[A; N]> {
    fn axes(&self) -> Vec<isize> {
        self[..].axes()
    }
}

impl<T: AxisList + ?Sized> AxisList for &T {
    fn axes(&self) -> Vec<isize> {
        (**self).axes()
    }
}

impl<A: AxisNumber> AxisList for Range<A> {
    fn axes(&self) -> Vec<isize> {
        few(self.start.number(), self.end.number())
    }
}

impl<A: AxisNumber> AxisList for RangeInclusive<A> {
    fn axes(&self) -> Vec<isize> {
        few(self.start().number(), self.end().number().saturating_add(1))
    }
}

/// The axes of a range. No tensor has so many that a list of them would be long, so that the first one
/// beyond says that it is not there.
fn few(start: isize, end: isize) -> Vec<isize> {
    const MOST: usize = 1 << 10;
    (start..end).take(MOST).collect()
}

macro_rules! axis_tuples {
    ($($($name:ident)+;)+) => {$(
        impl<$($name: AxisNumber),+> AxisList for ($($name,)+) {
            #[allow(non_snake_case)]
            fn axes(&self) -> Vec<isize> {
                let ($($name,)+) = *self;
                vec![$($name.number()),+]
            }
        }
    )+};
}
axis_tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; }
