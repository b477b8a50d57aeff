//! The kernel IR, as data: an index space, strided loads, scalar expressions, an optional reduction
//! over the trailing axes of the space, and one strided store.

use std::collections::HashMap;
use std::hash::Hash;

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, CompareOp, DType, Graph, ReduceOp, Scalar, UnaryOp, ValueId};

/// The number of an expression of a [`Kernel`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExprId(pub u32);

impl ExprId {
    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A materialised value seen through an offset and strides, in elements.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Strided {
    /// The value that lies in memory, in row-major order.
    pub value: ValueId,
    /// The element at index zero of every axis.
    pub offset: isize,
    /// The distance of neighbours along each axis.
    pub strides: SmallVec<[isize; 6]>,
}

/// Where along one axis of the space a padded value is read: at `low, low + step, …` below `high`;
/// elsewhere stands the fill. The load's strides count these positions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// The axis of the space.
    pub axis: usize,
    /// First position that is read.
    pub low: usize,
    /// One past the last position that is read.
    pub high: usize,
    /// Distance of positions that are read.
    pub step: usize,
}

/// A read of memory, one element an index of the space.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Load {
    /// What is read; one stride an axis of the space.
    pub source: Strided,
    /// Its dtype.
    pub dtype: DType,
    /// Padding: where something is read, and what stands elsewhere. Along a window's axis the
    /// source's stride is that of one position of the window, and its offset that of the first.
    pub windows: SmallVec<[Window; 2]>,
    /// What stands outside of the windows.
    pub fill: Option<Scalar>,
}

impl Load {
    /// Whether it walks memory in row-major order over all axes of a space.
    pub fn is_row_major(&self, space: &[usize]) -> bool {
        let mut step = 1;
        self.windows.is_empty()
            && self.source.strides.iter().zip(space).rev().all(|(&stride, &extent)| {
                let fits = extent == 1 || stride == step;
                step *= extent as isize;
                fits
            })
    }
}

/// One scalar operation of a kernel; operands are earlier expressions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Expr {
    /// The element of a load.
    Load(usize),
    /// A known scalar.
    Constant(Scalar),
    /// `offset + scale·index` along an axis of the space, in a dtype.
    Iota {
        axis: usize,
        scale: isize,
        offset: isize,
        dtype: DType,
    },
    Unary(UnaryOp, ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    Compare(CompareOp, ExprId, ExprId),
    Select(ExprId, ExprId, ExprId),
    /// `(low, x, high)`.
    Clamp(ExprId, ExprId, ExprId),
    Convert(DType, ExprId),
    Bitcast(DType, ExprId),
    /// A value that a loop of a [`Nest`](crate::Nest) passes on; the number tells them apart.
    Carried(u32),
}

impl Expr {
    /// What it is computed of.
    pub fn operands(&self) -> SmallVec<[ExprId; 3]> {
        match *self {
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => {
                SmallVec::new()
            }
            Expr::Unary(_, a) | Expr::Convert(_, a) | Expr::Bitcast(_, a) => {
                SmallVec::from_slice(&[a])
            }
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => SmallVec::from_slice(&[a, b]),
            Expr::Select(a, b, c) | Expr::Clamp(a, b, c) => SmallVec::from_slice(&[a, b, c]),
        }
    }

    /// The same of other operands.
    pub fn with_operands(&self, f: impl Fn(ExprId) -> ExprId) -> Expr {
        match *self {
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => {
                self.clone()
            }
            Expr::Unary(op, a) => Expr::Unary(op, f(a)),
            Expr::Binary(op, a, b) => Expr::Binary(op, f(a), f(b)),
            Expr::Compare(op, a, b) => Expr::Compare(op, f(a), f(b)),
            Expr::Select(a, b, c) => Expr::Select(f(a), f(b), f(c)),
            Expr::Clamp(a, b, c) => Expr::Clamp(f(a), f(b), f(c)),
            Expr::Convert(to, a) => Expr::Convert(to, f(a)),
            Expr::Bitcast(to, a) => Expr::Bitcast(to, f(a)),
        }
    }

    /// The name that programs are printed with.
    pub fn name(&self) -> &'static str {
        match self {
            Expr::Load(_) => "load",
            Expr::Constant(_) => "constant",
            Expr::Iota { .. } => "iota",
            Expr::Unary(op, _) => op.name(),
            Expr::Binary(op, ..) => op.name(),
            Expr::Compare(op, ..) => op.name(),
            Expr::Select(..) => "select",
            Expr::Clamp(..) => "clamp",
            Expr::Convert(..) => "convert",
            Expr::Bitcast(..) => "bitcast",
            Expr::Carried(_) => "carried",
        }
    }
}

/// Expressions under construction: equal ones are one.
pub(crate) struct Exprs<E> {
    pub exprs: Vec<E>,
    pub dtypes: Vec<DType>,
    known: HashMap<E, ExprId>,
}

impl<E: Clone + Eq + Hash> Exprs<E> {
    pub fn new() -> Exprs<E> {
        Exprs { exprs: Vec::new(), dtypes: Vec::new(), known: HashMap::new() }
    }

    /// The number of an expression, which is added if it is not there.
    pub fn add(&mut self, expr: E, dtype: DType) -> ExprId {
        if let Some(&id) = self.known.get(&expr) {
            return id;
        }
        let id = ExprId(self.exprs.len() as u32);
        self.exprs.push(expr.clone());
        self.dtypes.push(dtype);
        self.known.insert(expr, id);
        id
    }
}

/// The number of a load among others, to which it is added if it is not there.
pub(crate) fn load_number(loads: &mut Vec<Load>, load: Load) -> usize {
    loads.iter().position(|l| *l == load).unwrap_or_else(|| {
        loads.push(load);
        loads.len() - 1
    })
}

/// A reduction over the trailing axes of the space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reduction {
    /// How elements are combined.
    pub op: ReduceOp,
    /// How many axes of the space, from the end, are reduced.
    pub axes: usize,
}

/// A fused computation: for every index of the space evaluate the expressions, reduce if asked, and
/// store the last one.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Extents of the index space: axes of the result, then reduced axes.
    pub space: SmallVec<[usize; 6]>,
    /// The reads.
    pub loads: Vec<Load>,
    /// The scalar program; operands stand before their users.
    pub exprs: Vec<Expr>,
    /// The dtype of every expression.
    pub dtypes: Vec<DType>,
    /// The expression that is stored (or reduced and stored).
    pub result: ExprId,
    /// The reduction, if any.
    pub reduction: Option<Reduction>,
    /// Where the result goes; one stride an axis of the result.
    pub store: Strided,
}

impl Kernel {
    /// The dtype of the result.
    pub fn dtype(&self) -> DType {
        self.dtypes[self.result.index()]
    }

    /// The value of which the result is a plain copy: all elements in their order.
    pub fn copied(&self, graph: &Graph) -> Option<ValueId> {
        let Expr::Load(load) = self.exprs[self.result.index()] else { return None };
        let load = &self.loads[load];
        let size: usize = self.space.iter().product();
        let is_whole = load.source.offset == 0
            && load.is_row_major(&self.space)
            && graph.ty(load.source.value).shape.size() == size;
        (self.reduction.is_none() && is_whole).then_some(load.source.value)
    }

    /// The same without expressions and loads that the result does not need.
    pub(crate) fn pruned(mut self) -> Kernel {
        let mut needed = vec![false; self.exprs.len()];
        needed[self.result.index()] = true;
        for (i, expr) in self.exprs.iter().enumerate().rev() {
            if needed[i] {
                expr.operands().iter().for_each(|x| needed[x.index()] = true);
            }
        }
        if needed.iter().all(|&needed| needed) {
            return self;
        }
        let (mut loads, mut program) = (Vec::new(), Exprs::new());
        let mut ids = vec![ExprId(0); needed.len()];
        for (i, expr) in self.exprs.iter().enumerate().filter(|(i, _)| needed[*i]) {
            let expr = match expr {
                Expr::Load(load) => Expr::Load(load_number(&mut loads, self.loads[*load].clone())),
                expr => expr.with_operands(|x| ids[x.index()]),
            };
            ids[i] = program.add(expr, self.dtypes[i]);
        }
        self.result = ids[self.result.index()];
        (self.loads, self.exprs, self.dtypes) = (loads, program.exprs, program.dtypes);
        self
    }

    /// The number of leading axes of the space that the result has.
    pub fn kept(&self) -> usize {
        self.space.len() - self.reduction.map_or(0, |r| r.axes)
    }
}
