//! What indexes a tensor: positions, ranges, computed positions, indices of `each`; one a dimension.

use std::ops::{
    Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive,
};

use smallvec::SmallVec;

use crate::Tensor;
use crate::trace::Index;

/// What indexes one dimension.
#[derive(Clone)]
pub enum IndexArg {
    /// One position; negative ones count from the end. The dimension disappears.
    Position(i64),
    /// The positions from `start` below `end`, `step` apart; negative bounds count from the end.
    Range {
        /// The first position; absent: 0.
        start: Option<i64>,
        /// One past the last position; absent: the size.
        end: Option<i64>,
        /// The distance of neighbours, at least 1.
        step: usize,
    },
    /// Computed positions, counted from the start. The dimension is replaced by the tensor's shape;
    /// a scalar makes it disappear.
    Computed(Tensor),
    /// An index of `each`: the dimension is what that index runs over.
    Loop(Index),
}

/// One index a dimension: a tuple of indices, a list of those of one type, or a single one for a vector.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not index a tensor",
    label = "not one index a dimension",
    note = "an index is an integer, a range of integers, `..`, an integer tensor, an index of `each` or its `.value()`; a tuple has one a dimension, as in `x.at((i, .., 1..4))`",
    note = "where a mask is true, `mask.select(&x, other)` chooses"
)]
pub trait AtIndex {
    /// The indices, one a dimension.
    fn into_args(self) -> SmallVec<[IndexArg; 4]>;
}

/// An index of one dimension.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not index a dimension of a tensor",
    label = "not an index",
    note = "an index is an integer, a range of integers, `..`, an integer tensor, an index of `each` or its `.value()`"
)]
pub trait DimensionIndex: Into<IndexArg> {}

fn range<T: Position>(range: &impl RangeBounds<T>) -> IndexArg {
    let start = match range.start_bound() {
        Bound::Included(&s) => Some(s.position()),
        Bound::Excluded(&s) => Some(s.position().saturating_add(1)),
        Bound::Unbounded => None,
    };
    let end = match range.end_bound() {
        // `..=-1` is the whole axis.
        Bound::Included(&e) if e.position() == -1 => None,
        Bound::Included(&e) => Some(e.position().saturating_add(1)),
        Bound::Excluded(&e) => Some(e.position()),
        Bound::Unbounded => None,
    };
    IndexArg::Range { start, end, step: 1 }
}

/// Every `step`-th position of a range, as an index. A step of 0 is an error of the operation that is
/// given it.
///
/// ```
/// # use unloop_graph::{Tensor, strided};
/// let x = Tensor::from([0, 1, 2, 3, 4]);
/// assert_eq!(x.at(strided(1.., 2)).to_vec::<i32>()?, [1, 3]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
pub fn strided(range: impl IndexRange, step: usize) -> IndexArg {
    match range.into() {
        IndexArg::Range { start, end, .. } => IndexArg::Range { start, end, step },
        other => other,
    }
}

/// A range of integers of any type, as an index.
pub trait IndexRange: Into<IndexArg> {}

impl IndexRange for RangeFull {}

/// An integer type, as a position.
trait Position: Copy {
    /// The position; one that no axis can have stays out of bounds.
    fn position(self) -> i64;
}

macro_rules! index_args {
    ($($t:ty: $value:ident => $arg:expr;)+) => {$(
        impl From<$t> for IndexArg {
            fn from($value: $t) -> IndexArg {
                $arg
            }
        }
        impl DimensionIndex for $t {}
        impl AtIndex for $t {
            fn into_args(self) -> SmallVec<[IndexArg; 4]> {
                [self.into()].into_iter().collect()
            }
        }
    )+};
}

macro_rules! integers {
    ($($t:ty)+) => {$(
        impl Position for $t {
            fn position(self) -> i64 {
                self.try_into().unwrap_or(i64::MAX)
            }
        }
        impl IndexRange for Range<$t> {}
        impl IndexRange for RangeFrom<$t> {}
        impl IndexRange for RangeTo<$t> {}
        impl IndexRange for RangeInclusive<$t> {}
        impl IndexRange for RangeToInclusive<$t> {}
        index_args! {
            $t: i => IndexArg::Position(i.position());
            Range<$t>: r => range(&r);
            RangeFrom<$t>: r => range(&r);
            RangeTo<$t>: r => range(&r);
            RangeInclusive<$t>: r => range(&r);
            RangeToInclusive<$t>: r => range(&r);
        }
    )+};
}
integers! { i32 i64 isize u32 u64 usize }

index_args! {
    RangeFull: _all => IndexArg::Range { start: None, end: None, step: 1 };
    Tensor: t => IndexArg::Computed(t);
    &Tensor: t => IndexArg::Computed(t.clone());
    Index: i => IndexArg::Loop(i);
}

impl DimensionIndex for IndexArg {}

impl AtIndex for IndexArg {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        [self].into_iter().collect()
    }
}

impl AtIndex for () {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        SmallVec::new()
    }
}

impl<T: DimensionIndex> AtIndex for Vec<T> {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        self.into_iter().map(T::into).collect()
    }
}

impl<T: DimensionIndex, const N: usize> AtIndex for [T; N] {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        self.into_iter().map(T::into).collect()
    }
}

impl<T: DimensionIndex + Clone> AtIndex for &[T] {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        self.iter().cloned().map(T::into).collect()
    }
}

impl<T: DimensionIndex + Clone, const N: usize> AtIndex for &[T; N] {
    fn into_args(self) -> SmallVec<[IndexArg; 4]> {
        self[..].into_args()
    }
}

macro_rules! index_tuples {
    ($($($name:ident)+;)+) => {$(
        impl<$($name: DimensionIndex),+> AtIndex for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_args(self) -> SmallVec<[IndexArg; 4]> {
                let ($($name,)+) = self;
                [$($name.into()),+].into_iter().collect()
            }
        }
    )+};
}
index_tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H; }
