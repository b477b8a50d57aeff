//! What JAX computes, as data, run through unloop: programs over JAX's primitives with inputs,
//! outputs, batched outputs, and forward and reverse derivatives.

mod arrays;
mod check;
mod compare;
mod freedom;
mod manifest;
mod primitives;

pub use arrays::Archive;
pub use check::{Mode, Outcome, Part, check};
pub use manifest::{Case, Compare, read_manifest};
