//! The instructions of the tile machine: SIMD loops over tiles of elements, compiled for every
//! instruction set and chosen once at run time.
//!
//! [`Simd`] is the entry: its lookups ([`Simd::unary`], [`Simd::binary`], [`Simd::reduce`], …) give
//! plain function pointers that work on raw tiles. Elementary functions are in `math`, everything
//! else is arithmetic that one generic loop (`each`) vectorises.

mod arith;
mod choose;
mod columns;
mod convert;
mod each;
mod fused;
mod indexed;
mod integer;
mod lanes;
mod level;
mod math;
mod orthogonal;
mod prefix;
mod product;
mod reduce;
mod search;
mod sort;
mod strided;

pub use arith::Mode;
pub use columns::Columns;
pub use fused::Fused;
pub use indexed::{
    Bound, CombineFn, Indices, Outside, Places, add_positions, combination, combine_rows, copy_rows,
};
pub use lanes::{Group, Lanes, Task};
pub use level::{Simd, TileFn};
pub use orthogonal::{QrGroup, QrLanes};
pub use prefix::{PrefixFn, prefix};
pub use product::{ProductFn, SMALL as SMALL_PRODUCT, SmallProduct};
pub use search::Table;
pub use sort::{Key, Packing, Sorting};
pub use strided::{
    copy_past_caches, count_true, fill, finish_past_caches, gather_run, permute, pick, put,
    scatter_run,
};
