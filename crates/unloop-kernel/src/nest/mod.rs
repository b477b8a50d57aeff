//! Loop nests: what a kernel computes, as loops over axes with statements in them. A nest knows
//! neither the program that it came from nor the machine that runs it; it prints itself, checks itself
//! and has a scalar evaluator, which is the oracle of whatever runs nests.
//!
//! - Memory is [`Buffer`]s of elements; an [`Index`] is affine in the axes of the loops around it, plus
//!   a computed part if there is one.
//! - An [`Expr`](crate::Expr) is one scalar. A [`Stmt::Let`] computes it where it stands; every
//!   expression is computed once, before it is read, in the same loop or one around it.
//! - A loop passes values on ([`Carried`]): within the loop and behind it the value is the latest.
//!
//! The sum of the squares of each row of a matrix:
//!
//! ```text
//! a: in f64[300], b: out f64[100]
//!   grid i0 < 100
//!     x0 = 0.0
//!     lanes i1 < 3, from x1 = x0
//!       x2 = a[3·i0 + i1]
//!       x3 = mul x2 x2
//!       x4 = add x1 x3
//!       next x1 = x4
//!     b[i0] = x1
//! ```

mod check;
mod eval;
mod lower;
mod print;
mod prune;

pub use lower::Lowered;
use smallvec::SmallVec;
use unloop_graph::{DType, ReduceOp, Scalar};

use crate::ir::{Expr, ExprId};

/// The number of an axis of a [`Nest`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct AxisId(pub u32);

/// The number of a buffer of a [`Nest`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// What a buffer is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// It is read.
    Input,
    /// It is written, each element once.
    Output,
    /// It is written, then read. Where an index does not name the axis of a parallel loop around it, each
    /// run of that loop has a buffer of its own.
    Local,
}

/// Memory of a [`Nest`]: elements of one dtype.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    /// What it is for.
    pub role: Role,
    /// The dtype of its elements.
    pub dtype: DType,
    /// How many there are.
    pub len: usize,
}

/// The number of an element of a buffer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Index {
    /// The element at the first position of every axis.
    pub offset: isize,
    /// How far a step along an axis goes; an axis stands here once.
    pub terms: SmallVec<[(AxisId, isize); 2]>,
    /// An integer that is added.
    pub computed: Option<ExprId>,
}

impl Index {
    /// How far a step along an axis goes.
    pub fn stride(&self, axis: AxisId) -> isize {
        self.terms.iter().find(|(a, _)| *a == axis).map_or(0, |(_, stride)| *stride)
    }
}

/// A read of memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Read {
    /// Where from.
    pub buffer: BufferId,
    /// Which element.
    pub index: Index,
    /// Whether it is read: where this is false, `otherwise` stands for it.
    pub mask: Option<ExprId>,
    /// What stands for elements that are not read.
    pub otherwise: Option<Scalar>,
}

/// What is done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Stmt {
    /// Computes an expression.
    Let(ExprId),
    /// Writes a value.
    Store {
        /// Where to.
        buffer: BufferId,
        /// Which element.
        index: Index,
        /// What is written.
        value: ExprId,
    },
    /// Repeats a block.
    Loop(Box<Loop>),
}

/// What is repeated, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Loop {
    /// The axis along which it goes. A `while` loop's has no extent of its own.
    pub axis: AxisId,
    /// How it goes.
    pub kind: Kind,
    /// What it passes on.
    pub carried: Vec<Carried>,
    /// What is repeated.
    pub body: Vec<Stmt>,
}

/// How a loop goes.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Positions may be computed in any order, also at the same time.
    Grid,
    /// As `Grid`, side by side in the lanes of vectors.
    Lanes,
    /// One position after the other.
    Serial {
        /// Whether the last position comes first.
        reverse: bool,
    },
    /// As long as `on` is true, which `head` computes before each run.
    While {
        /// What is computed before each run.
        head: Vec<Stmt>,
        /// Whether the body runs.
        on: ExprId,
        /// More runs than this are an error.
        limit: Option<usize>,
    },
}

/// A value that a loop passes from one run to the next.
#[derive(Clone, PartialEq, Debug)]
pub struct Carried {
    /// The latest one.
    pub value: ExprId,
    /// The first one.
    pub start: ExprId,
    /// What a run passes on.
    pub next: ExprId,
    /// How `next` combines `value` and something else, in any order; loops without an order pass on
    /// nothing else.
    pub fold: Option<ReduceOp>,
}

/// Nested loops with statements in them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Nest {
    /// Memory.
    pub buffers: Vec<Buffer>,
    /// The extent of each axis.
    pub axes: Vec<usize>,
    /// The reads; [`Expr::Load`] names one.
    pub reads: Vec<Read>,
    /// Scalars.
    pub exprs: Vec<Expr>,
    /// The dtype of each expression.
    pub dtypes: Vec<DType>,
    /// What is done.
    pub body: Vec<Stmt>,
}

impl Nest {
    /// An expression.
    pub fn expr(&self, x: ExprId) -> &Expr {
        &self.exprs[x.index()]
    }

    /// The dtype of an expression.
    pub fn dtype(&self, x: ExprId) -> DType {
        self.dtypes[x.index()]
    }

    /// The read that an expression is, if it is one.
    pub fn read(&self, x: ExprId) -> Option<&Read> {
        match self.expr(x) {
            Expr::Load(i) => Some(&self.reads[*i]),
            _ => None,
        }
    }

    /// The expressions that are read when this one is computed: its operands, and those of the index
    /// and the mask of a read.
    pub fn operands(&self, x: ExprId) -> SmallVec<[ExprId; 3]> {
        match self.read(x) {
            Some(read) => read.index.computed.into_iter().chain(read.mask).collect(),
            None => self.expr(x).operands(),
        }
    }
}

/// Calls `f` for every loop in a block, outer ones first.
pub fn for_loops<'a>(block: &'a [Stmt], f: &mut impl FnMut(&'a Loop)) {
    for stmt in block {
        if let Stmt::Loop(each) = stmt {
            f(each);
            if let Kind::While { head, .. } = &each.kind {
                for_loops(head, f);
            }
            for_loops(&each.body, f);
        }
    }
}
