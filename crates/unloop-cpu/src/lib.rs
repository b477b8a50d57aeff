//! The CPU backend of unloop: a graph becomes a plan of fused kernels, which run as register
//! machines over tiles that stay in cache, and of steps of their own for products, factorisations,
//! gathers and scatters. Reductions of rows run together with what feeds them and what follows
//! (`rowwise`). Programs of many small examples, loops included, run as a whole on numbers, with an
//! example in each lane (`unroll`); others of many examples run part by part (`parts`). What has run for a
//! while becomes machine code (`code`). The crate installs itself as the backend when it is linked.

mod backend;
mod code;
mod control;
mod cumulative;
mod decompose;
mod describe;
mod feed;
mod follower;
#[cfg(feature = "fft")]
mod fourier;
mod gather;
mod instruction;
mod linalg;
mod lowering;
mod map;
mod memory;
mod narrow;
mod oracle;
mod parallel;
mod part;
mod parts;
mod plan;
mod product;
mod profile;
mod reduce;
mod reference;
mod rowwise;
mod search;
mod simd;
mod sort;
mod space;
mod stages;
mod steps;
mod summand;
mod sums;
mod tape;
mod transpose;
mod unroll;
mod windows;

pub use backend::{Cpu, install};
#[cfg(feature = "fft")]
pub use fourier::Transform;
pub use profile::{KernelTime, Profile, profile};
#[doc(hidden)]
pub use simd::{Fused, Mode, Simd};
