//! The foundation of unloop: dtypes, shapes, arrays, the closed set of operations, programs
//! ([`Graph`]) with their tracing, [`Tensor`], trees of tensors, errors, and the reference
//! evaluator that every backend is tested against.

// First, so that the documentation of `Tensor` begins with its own methods.
mod tensor;

mod array;
pub mod backend;
mod builder;
pub mod cancel;
mod dtype;
pub mod error;
mod explanation;
mod graph;
mod graphviz;
pub mod memory;
pub mod op;
mod ravel;
pub mod shape;
pub mod special;
pub mod stack;
mod trace;
mod tree;

pub use array::{Array, Strides};
pub use builder::GraphBuilder;
pub use cancel::CancelToken;
pub use dtype::{Buffer, DType, Element, Number, Scalar};
pub use error::{Error, ErrorKind, ErrorMode, Place, Result, Site, operation, set_error_mode};
pub use explanation::Explanation;
pub use graph::{Graph, Node, ValueId};
pub use memory::{memory_in_use, release_memory, set_memory_limit};
pub use op::{ArgReduceOp, BinaryOp, CompareOp, DotDims, Op, ReduceOp, UnaryOp};
pub use ravel::ravel;
pub use shape::{Axes, Shape, TensorType};
pub use tensor::{
    AtIndex, AxisList, AxisNumber, Broadcast, Conv, DimensionIndex, Direction, Elementwise, Given,
    IndexArg, IndexRange, Nested, Operand, PadMode, Tensor, TensorList, WindowAxis,
    associative_scan, floats, not_floats, operands, strided,
};
pub use trace::{Capture, Index, LoopIndices, Mapped, Trace, TracedProgram};
pub use tree::{Structure, Tree};
