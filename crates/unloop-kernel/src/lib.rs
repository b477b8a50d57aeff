//! Kernels: what every backend runs. A graph is cut into steps; elementwise operations, views and
//! reductions fuse into [`Kernel`]s over an index space, everything else stays a step of its own. A
//! [`Nest`] is a kernel as loops: it prints, checks and evaluates itself, and programs that run with an
//! example in each lane are made as nests.

mod access;
mod build;
mod collapse;
mod cost;
mod cut;
mod ir;
mod nest;
mod regions;
mod rowwise;

pub use build::{Step, Uses, build, roots};
pub use cost::{ROW_NS, footprint, inner_axis, is_packed, layout_cost, rows_cost, runs_by_rows};
pub use ir::{Expr, ExprId, Kernel, Load, Reduction, Strided, Window};
pub use nest::{
    AxisId, Buffer, BufferId, Carried, Index, Kind, Loop, Lowered, Nest, Read, Role, Stmt,
    for_loops,
};
pub use rowwise::{RowExpr, RowStore, Rowwise};
