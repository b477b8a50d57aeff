//! What the tests share: a catalogue of every operation with operands that it takes, one of every
//! public function, random operands in several layouts, programs drawn from bytes, and comparisons.

mod catalogue;
mod compare;
pub mod draw;
pub mod functions;
pub mod fuzz;
pub mod hostile;
mod limit;
mod operands;
pub mod programs;

pub use catalogue::{Case, cases, elementwise_cases};
pub use compare::{assert_close, close, deviation, tolerance};
pub use limit::Limit;
pub use operands::{Layout, Operand, Values, tensor};
pub mod vectors;
