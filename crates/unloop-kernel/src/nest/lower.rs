//! Kernels as loop nests.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, CompareOp, DType, Number, Scalar, ValueId};

use super::{AxisId, Buffer, BufferId, Carried, Index, Kind, Loop, Nest, Read, Role, Stmt};
use crate::ir::{Expr, ExprId, Kernel, Load, Strided};
use crate::rowwise::{RowExpr, Rowwise};

/// A nest, and the value that each of its buffers is; none for what the nest keeps for itself.
pub type Lowered = (Nest, Vec<Option<ValueId>>);

/// A nest under construction, with the buffers of some values.
struct Lowering<'a> {
    nest: Nest,
    /// How many elements a value has.
    len: &'a dyn Fn(ValueId) -> usize,
    buffers: HashMap<ValueId, BufferId>,
}

impl Nest {
    /// The loops of a kernel whose axis `lanes` lies in lanes; `len` tells how many elements a value
    /// has.
    pub fn of_kernel(kernel: &Kernel, lanes: usize, len: &dyn Fn(ValueId) -> usize) -> Lowered {
        let mut lowering = Lowering::new(&kernel.space, len);
        let body = lowering.kernel(kernel, lanes, |lowering, result| {
            vec![lowering.store(&kernel.store, kernel.kept(), result)]
        });
        lowering.finish(body)
    }

    /// The loops of a reduction, and of what is computed of its results on the same axes.
    pub fn of_reduced(
        kernel: &Kernel,
        then: &Kernel,
        lanes: usize,
        len: &dyn Fn(ValueId) -> usize,
    ) -> Lowered {
        let mut lowering = Lowering::new(&kernel.space, len);
        let body = lowering.kernel(kernel, lanes, |lowering, result| {
            let is_result = |load: &Load| load.source.value == kernel.store.value;
            let mut block = Vec::new();
            let mut ids: Vec<ExprId> = Vec::new();
            for (expr, &dtype) in then.exprs.iter().zip(&then.dtypes) {
                ids.push(match expr {
                    Expr::Load(l) if is_result(&then.loads[*l]) => result,
                    Expr::Load(l) => lowering.load(&then.loads[*l], &mut block),
                    _ => {
                        lowering.compute(expr.with_operands(|x| ids[x.index()]), dtype, &mut block)
                    }
                });
            }
            let result = ids[then.result.index()];
            block.push(lowering.store(&then.store, then.kept(), result));
            block
        });
        lowering.finish(body)
    }

    /// The loops of kernels on the same rows: those over a row stand one after the other, and what a later
    /// one needs of an earlier one is kept.
    pub fn of_rows(program: &Rowwise, len: &dyn Fn(ValueId) -> usize) -> Lowered {
        let mut lowering = Lowering::new(&program.space, len);
        let axes = program.space.len() - 1;
        let block = lowering.rows(program, AxisId(axes as u32));
        let body = (0..axes).rev().fold(block, |body, axis| grid(axis, body));
        lowering.finish(body)
    }
}

/// A loop over an axis in any order.
fn grid(axis: usize, body: Vec<Stmt>) -> Vec<Stmt> {
    repeat(axis, Kind::Grid, Vec::new(), body)
}

fn repeat(axis: usize, kind: Kind, carried: Vec<Carried>, body: Vec<Stmt>) -> Vec<Stmt> {
    vec![Stmt::Loop(Loop { axis: AxisId(axis as u32), kind, carried, body }.into())]
}

fn index(source: &Strided) -> Index {
    let terms = source.strides.iter().enumerate().filter(|(_, stride)| **stride != 0);
    let terms = terms.map(|(axis, &stride)| (AxisId(axis as u32), stride)).collect();
    Index { offset: source.offset, terms, computed: None }
}

impl<'a> Lowering<'a> {
    fn new(space: &[usize], len: &'a dyn Fn(ValueId) -> usize) -> Lowering<'a> {
        let nest = Nest { axes: space.to_vec(), ..Nest::default() };
        Lowering { nest, len, buffers: HashMap::new() }
    }

    fn finish(mut self, body: Vec<Stmt>) -> Lowered {
        self.nest.body = body;
        debug_assert_eq!(self.nest.check(), Ok(()), "{}", self.nest);
        let mut values = vec![None; self.nest.buffers.len()];
        self.buffers.into_iter().for_each(|(v, buffer)| values[buffer.0 as usize] = Some(v));
        (self.nest, values)
    }

    fn expr(&mut self, expr: Expr, dtype: DType) -> ExprId {
        self.nest.exprs.push(expr);
        self.nest.dtypes.push(dtype);
        ExprId(self.nest.exprs.len() as u32 - 1)
    }

    fn compute(&mut self, expr: Expr, dtype: DType, block: &mut Vec<Stmt>) -> ExprId {
        let x = self.expr(expr, dtype);
        block.push(Stmt::Let(x));
        x
    }

    fn integer(&mut self, value: i128, block: &mut Vec<Stmt>) -> ExprId {
        let value = Scalar::new(DType::I64, Number::Int(value));
        self.compute(Expr::Constant(value), DType::I64, block)
    }

    fn buffer(&mut self, value: ValueId, role: Role, dtype: DType) -> BufferId {
        let (buffers, len) = (&mut self.nest.buffers, (self.len)(value));
        *self.buffers.entry(value).or_insert_with(|| {
            buffers.push(Buffer { role, dtype, len });
            BufferId(buffers.len() as u32 - 1)
        })
    }

    /// A read, with whatever its index and its mask need.
    fn load(&mut self, load: &Load, block: &mut Vec<Stmt>) -> ExprId {
        let buffer = self.buffer(load.source.value, Role::Input, load.dtype);
        let mut index = index(&load.source);
        let mut mask: Option<ExprId> = None;
        for window in &load.windows {
            let axis = AxisId(window.axis as u32);
            let stride = index.stride(axis);
            index.terms.retain(|(a, _)| *a != axis);
            let offset = -(window.low as isize);
            let position = Expr::Iota { axis: window.axis, scale: 1, offset, dtype: DType::I64 };
            let position = self.compute(position, DType::I64, block);
            let zero = self.integer(0, block);
            let end = self.integer(window.high as i128 - window.low as i128, block);
            let mut is = |lowering: &mut Self, op: CompareOp, a: ExprId, b: ExprId| {
                let fits = lowering.compute(Expr::Compare(op, a, b), DType::Bool, block);
                mask = Some(match mask {
                    None => fits,
                    Some(mask) => {
                        let both = Expr::Binary(BinaryOp::And, mask, fits);
                        lowering.compute(both, DType::Bool, block)
                    }
                });
            };
            is(self, CompareOp::Ge, position, zero);
            is(self, CompareOp::Lt, position, end);
            if window.step == 1 {
                index.offset += stride * offset;
                index.terms.push((axis, stride));
                continue;
            }
            let step = self.integer(window.step as i128, block);
            let rest = self.compute(Expr::Binary(BinaryOp::Rem, position, step), DType::I64, block);
            let mut is_zero =
                self.compute(Expr::Compare(CompareOp::Eq, rest, zero), DType::Bool, block);
            if let Some(mask) = mask {
                let both = Expr::Binary(BinaryOp::And, mask, is_zero);
                is_zero = self.compute(both, DType::Bool, block);
            }
            mask = Some(is_zero);
            let number = Expr::Binary(BinaryOp::Div, position, step);
            let number = self.compute(number, DType::I64, block);
            let stride = self.integer(stride as i128, block);
            let moved = Expr::Binary(BinaryOp::Mul, number, stride);
            let mut moved = self.compute(moved, DType::I64, block);
            if let Some(other) = index.computed {
                moved = self.compute(Expr::Binary(BinaryOp::Add, other, moved), DType::I64, block);
            }
            index.computed = Some(moved);
        }
        let otherwise = mask.and(load.fill);
        self.nest.reads.push(Read { buffer, index, mask, otherwise });
        self.compute(Expr::Load(self.nest.reads.len() - 1), load.dtype, block)
    }

    fn store(&mut self, store: &Strided, axes: usize, value: ExprId) -> Stmt {
        debug_assert_eq!(store.strides.len(), axes, "one stride an axis of the result");
        let buffer = self.buffer(store.value, Role::Output, self.nest.dtype(value));
        Stmt::Store { buffer, index: index(store), value }
    }

    /// The loops of a kernel; `then` says what is done with each result.
    fn kernel(
        &mut self,
        kernel: &Kernel,
        lanes: usize,
        then: impl FnOnce(&mut Self, ExprId) -> Vec<Stmt>,
    ) -> Vec<Stmt> {
        let mut block = Vec::new();
        let mut ids: Vec<ExprId> = Vec::new();
        for (expr, &dtype) in kernel.exprs.iter().zip(&kernel.dtypes) {
            ids.push(match expr {
                Expr::Load(l) => self.load(&kernel.loads[*l], &mut block),
                _ => self.compute(expr.with_operands(|x| ids[x.index()]), dtype, &mut block),
            });
        }
        let (kept, dtype) = (kernel.kept(), kernel.dtype());
        let mut result = ids[kernel.result.index()];
        if let Some(reduction) = kernel.reduction {
            // From the innermost loop: each passes on what the next one around it has so far.
            let outer = (kept..kernel.space.len()).filter(|&a| a != lanes);
            let axes: SmallVec<[usize; 6]> =
                outer.chain((lanes >= kept).then_some(lanes)).collect();
            let numbers: SmallVec<[ExprId; 6]> = (axes.iter())
                .map(|_| self.expr(Expr::Carried(self.nest.exprs.len() as u32), dtype))
                .collect();
            let fold = Some(reduction.op);
            let last = numbers[axes.len() - 1];
            let combined = Expr::Binary(reduction.op.binary(), last, result);
            let mut next = self.compute(combined, dtype, &mut block);
            let mut before = Vec::new();
            let identity = reduction.op.identity(dtype);
            let identity = self.compute(Expr::Constant(identity), dtype, &mut before);
            for (k, &axis) in axes.iter().enumerate().rev() {
                let start = if k == 0 { identity } else { numbers[k - 1] };
                let kind =
                    if axis == lanes { Kind::Lanes } else { Kind::Serial { reverse: false } };
                let carried = vec![Carried { value: numbers[k], start, next, fold }];
                block = repeat(axis, kind, carried, block);
                next = numbers[k];
            }
            before.append(&mut block);
            block = before;
            result = numbers[0];
        }
        block.extend(then(self, result));
        if lanes < kept {
            block = repeat(lanes, Kind::Lanes, Vec::new(), block);
        }
        (0..kept).rev().filter(|&axis| axis != lanes).fold(block, |body, axis| grid(axis, body))
    }

    /// The statements for one row.
    fn rows(&mut self, program: &Rowwise, lanes: AxisId) -> Vec<Stmt> {
        let count = program.exprs.len();
        // How many loops over the row come before each value, and whether it has one element a row.
        let (mut phase, mut is_one) = (vec![0; count], vec![false; count]);
        for (i, expr) in program.exprs.iter().enumerate() {
            match expr {
                RowExpr::Fold(_, x) => (phase[i], is_one[i]) = (phase[x.index()] + 1, true),
                RowExpr::Scalar(Expr::Load(l)) => {
                    is_one[i] = program.loads[*l].source.strides.last() == Some(&0);
                }
                RowExpr::Scalar(Expr::Iota { axis, .. }) => is_one[i] = *axis != lanes.0 as usize,
                RowExpr::Scalar(expr) => {
                    let operands = expr.operands();
                    phase[i] = operands.iter().map(|x| phase[x.index()]).max().unwrap_or(0);
                    is_one[i] = operands.iter().all(|x| is_one[x.index()]);
                }
            }
        }
        let row = |x: ExprId| (!is_one[x.index()]).then(|| phase[x.index()]);
        // Elements that a later loop reads are kept, or read again from where they came.
        let is_kept_nowhere = |x: ExprId| {
            matches!(program.exprs[x.index()], RowExpr::Scalar(Expr::Load(_) | Expr::Iota { .. }))
        };
        let mut is_kept = vec![false; count];
        let reads = program.exprs.iter().enumerate();
        let later = reads.flat_map(|(i, expr)| match expr {
            RowExpr::Scalar(expr) => expr.operands().into_iter().map(|x| (x, phase[i])).collect(),
            RowExpr::Fold(..) => Vec::new(),
        });
        for (x, at) in later {
            is_kept[x.index()] |= !is_kept_nowhere(x) && row(x).is_some_and(|of| of < at);
        }
        let last = phase.iter().copied().max().unwrap_or(0);
        let mut ids: Vec<Option<ExprId>> = vec![None; count];
        let mut kept: HashMap<usize, BufferId> = HashMap::new();
        let mut block = Vec::new();
        for now in 0..=last {
            let (mut inside, mut folds) = (Vec::new(), Vec::new());
            // Elements of loops before this one, as they are read here.
            let mut again: HashMap<ExprId, ExprId> = HashMap::new();
            for (i, expr) in program.exprs.iter().enumerate() {
                let dtype = program.dtypes[i];
                if let RowExpr::Fold(op, x) = expr {
                    if phase[x.index()] == now {
                        folds.push((i, *op, *x));
                    }
                    continue;
                }
                let RowExpr::Scalar(expr) = expr else { continue };
                if phase[i] != now {
                    continue;
                }
                let mut own = |lowering: &mut Self, to: &mut Vec<Stmt>| match expr {
                    Expr::Load(l) => lowering.load(&program.loads[*l], to),
                    _ => {
                        for x in expr.operands() {
                            if row(x).is_none_or(|of| of == now) || again.contains_key(&x) {
                                continue;
                            }
                            let read = match (&program.exprs[x.index()], kept.get(&x.index())) {
                                (RowExpr::Scalar(Expr::Load(l)), _) => {
                                    lowering.load(&program.loads[*l], to)
                                }
                                (RowExpr::Scalar(expr @ Expr::Iota { .. }), _) => {
                                    let dtype = program.dtypes[x.index()];
                                    lowering.compute(expr.clone(), dtype, to)
                                }
                                (_, Some(&buffer)) => lowering.recall(buffer, lanes, to),
                                (_, None) => unreachable!("what a later loop reads is kept"),
                            };
                            again.insert(x, read);
                        }
                        let of = |x: ExprId| match again.get(&x).copied().or(ids[x.index()]) {
                            Some(x) => x,
                            None => unreachable!("operands come first"),
                        };
                        lowering.compute(expr.with_operands(of), dtype, to)
                    }
                };
                ids[i] = Some(match is_one[i] {
                    true => own(self, &mut block),
                    false => own(self, &mut inside),
                });
                if is_kept[i]
                    && let Some(value) = ids[i]
                {
                    let len = self.nest.axes[lanes.0 as usize];
                    self.nest.buffers.push(Buffer { role: Role::Local, dtype, len });
                    let buffer = BufferId(self.nest.buffers.len() as u32 - 1);
                    kept.insert(i, buffer);
                    let terms = [(lanes, 1)].into_iter().collect();
                    let index = Index { offset: 0, terms, computed: None };
                    inside.push(Stmt::Store { buffer, index, value });
                }
            }
            for store in &program.stores {
                let x = store.expr.index();
                if phase[x] == now && store.is_row {
                    let value = match ids[x] {
                        Some(value) => value,
                        None => unreachable!("a row that is stored has been computed"),
                    };
                    let strided = whole(program, store.value, true);
                    inside.push(self.store(&strided, program.space.len(), value));
                }
            }
            let mut carried = Vec::new();
            for (i, op, x) in folds {
                let dtype = program.dtypes[i];
                let value = self.expr(Expr::Carried(self.nest.exprs.len() as u32), dtype);
                let start = self.compute(Expr::Constant(op.identity(dtype)), dtype, &mut block);
                let x = match again.get(&x).copied().or(ids[x.index()]) {
                    Some(x) => x,
                    None => unreachable!("what is folded comes first"),
                };
                let next = Expr::Binary(op.binary(), value, x);
                let next = self.compute(next, dtype, &mut inside);
                carried.push(Carried { value, start, next, fold: Some(op) });
                ids[i] = Some(value);
            }
            if !inside.is_empty() {
                block.extend(repeat(lanes.0 as usize, Kind::Lanes, carried, inside));
            }
        }
        for store in program.stores.iter().filter(|store| !store.is_row) {
            let value = match ids[store.expr.index()] {
                Some(value) => value,
                None => unreachable!("a number that is stored has been computed"),
            };
            let strided = whole(program, store.value, false);
            block.push(self.store(&strided, program.space.len() - 1, value));
        }
        block
    }

    /// An element that an earlier loop has kept.
    fn recall(&mut self, buffer: BufferId, lanes: AxisId, block: &mut Vec<Stmt>) -> ExprId {
        let index = Index { offset: 0, terms: [(lanes, 1)].into_iter().collect(), computed: None };
        let dtype = self.nest.buffers[buffer.0 as usize].dtype;
        self.nest.reads.push(Read { buffer, index, mask: None, otherwise: None });
        self.compute(Expr::Load(self.nest.reads.len() - 1), dtype, block)
    }
}

/// A result in row-major order, with the elements of rows or one number a row.
fn whole(program: &Rowwise, value: ValueId, is_row: bool) -> Strided {
    let axes = program.space.len() - usize::from(!is_row);
    let shape = unloop_graph::Shape::from(&program.space[..axes]);
    Strided { value, offset: 0, strides: shape.strides() }
}
