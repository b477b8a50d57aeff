//! What the tests share: a catalogue of every operation with operands that it takes, random
//! operands in several layouts, and comparisons.

mod catalogue;
mod compare;
mod operands;

pub use catalogue::{Case, cases, elementwise_cases};
pub use compare::{assert_close, close, deviation, tolerance};
pub use operands::{Layout, Operand, Values, tensor};
pub mod vectors;
