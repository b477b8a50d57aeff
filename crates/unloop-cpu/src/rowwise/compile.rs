//! Compiling a program of rows: which instructions run, and where values are.

use smallvec::SmallVec;
use unloop_graph::{DType, Shape, ValueId};
use unloop_kernel::{Expr, ExprId, Load, RowExpr, Rowwise};

use super::{Feed, Inst, Level, Output, RowwiseStep, Start};
use crate::instruction::{Program, cost, fused_instruction, instruction, product_within};
use crate::map::ROW_NS;
use crate::simd::Simd;
use crate::space::Rows;
use crate::tape::Slot;

/// Elements of the rows that are worked on together, about.
const TILE: usize = 1024;

/// Where a value is.
#[derive(Clone, Copy)]
struct Value {
    level: Level,
    slot: Slot,
}

const NOTHING: Slot = 0;

struct Compiler<'a> {
    program: &'a Rowwise,
    simd: Simd,
    step: RowwiseStep,
    values: Vec<Value>,
    last: Vec<usize>,
    uses: Vec<usize>,
    free: Vec<Slot>,
    /// Slots that are registers for elements.
    tiles: Vec<Slot>,
    fused: Vec<bool>,
    /// The level of the instruction that is being chosen.
    level: Level,
    /// The outputs' slots by expression, where the expression is computed in its memory.
    targets: Vec<Option<Slot>>,
}

/// The operands of an expression.
fn reads(expr: &RowExpr) -> SmallVec<[ExprId; 3]> {
    match expr {
        RowExpr::Scalar(expr) => expr.operands(),
        RowExpr::Fold(_, x) => SmallVec::from_slice(&[*x]),
    }
}

impl RowwiseStep {
    /// Compiles a program; `buffer` gives the number of the buffer of a value. Results that are too
    /// large for caches are written past them.
    pub fn compile(
        program: &Rowwise,
        simd: Simd,
        is_too_large: impl Fn(ValueId) -> bool,
        buffer: impl Fn(ValueId) -> usize,
    ) -> Option<RowwiseStep> {
        let axes = program.space.len() - 1;
        let (length, rows) = (program.space[axes], program.space[..axes].iter().product::<usize>());
        let strides = |axis: usize| program.loads.iter().map(|l| l.source.strides[axis]).collect();
        let step = RowwiseStep {
            insts: Vec::new(),
            feeds: Vec::new(),
            starts: Vec::new(),
            outputs: Vec::new(),
            registers: Vec::new(),
            slots: 1,
            scratch: 0,
            rows: Rows::new(
                SmallVec::from_slice(&program.space[..axes]),
                (0..axes).map(strides).collect(),
                program.loads.iter().map(|l| l.source.offset).collect(),
            ),
            sources: program.loads.iter().map(|l| buffer(l.source.value)).collect(),
            length,
            block: (TILE / length.max(1)).clamp(1, rows.max(1)),
            ns: 0.0,
        };
        let count = program.exprs.len();
        let (mut last, mut uses) = (vec![0; count], vec![0; count]);
        for (i, expr) in program.exprs.iter().enumerate() {
            for x in reads(expr) {
                last[x.index()] = i;
                uses[x.index()] += 1;
            }
        }
        for store in &program.stores {
            last[store.expr.index()] = usize::MAX;
            uses[store.expr.index()] += 1;
        }
        let mut compiler = Compiler {
            program,
            simd,
            step,
            values: vec![Value { level: Level::One, slot: NOTHING }; count],
            last,
            uses,
            free: Vec::new(),
            tiles: Vec::new(),
            fused: vec![false; count],
            level: Level::One,
            targets: vec![None; count],
        };
        compiler.find_levels();
        compiler.mark_fused();
        for store in &program.stores {
            let past_caches = store.is_row && is_too_large(store.value);
            let slot = compiler.slot();
            let size = program.dtypes[store.expr.index()].size();
            let bytes = if store.is_row { length * size } else { size };
            if past_caches {
                compiler.tiles.push(slot);
            }
            let is_computed = matches!(
                program.exprs[store.expr.index()],
                RowExpr::Fold(..)
                    | RowExpr::Scalar(
                        Expr::Unary(..)
                            | Expr::Binary(..)
                            | Expr::Compare(..)
                            | Expr::Select(..)
                            | Expr::Clamp(..)
                            | Expr::Convert(..)
                            | Expr::Bitcast(..)
                    )
            );
            let level = compiler.values[store.expr.index()].level;
            let fits = level == if store.is_row { Level::Elements } else { Level::Rows };
            let target = &mut compiler.targets[store.expr.index()];
            if is_computed && fits && target.is_none() {
                *target = Some(slot);
            }
            let buffer = buffer(store.value);
            compiler.step.outputs.push(Output { slot, buffer, bytes, past_caches });
        }
        for i in 0..count {
            compiler.emit(i)?;
        }
        compiler.finish(rows)
    }
}

impl Program for Compiler<'_> {
    fn simd(&self) -> Simd {
        self.simd
    }

    fn expr(&self, x: ExprId) -> &Expr {
        match &self.program.exprs[x.index()] {
            RowExpr::Scalar(expr) => expr,
            // A number that is there, as far as other expressions are concerned.
            RowExpr::Fold(..) => &Expr::Load(0),
        }
    }

    fn dtype(&self, x: ExprId) -> DType {
        self.program.dtypes[x.index()]
    }

    fn is_uniform(&self, x: ExprId) -> bool {
        self.values[x.index()].level < self.level
    }
}

impl Compiler<'_> {
    /// How many there are of each value.
    fn find_levels(&mut self) {
        let axes = self.program.space.len() - 1;
        for (i, expr) in self.program.exprs.iter().enumerate() {
            self.values[i].level = match expr {
                RowExpr::Fold(..) => Level::Rows,
                RowExpr::Scalar(Expr::Constant(_)) => Level::One,
                RowExpr::Scalar(Expr::Load(l)) => {
                    let strides = &self.program.loads[*l].source.strides;
                    match strides.split_last() {
                        Some((1, _)) => Level::Elements,
                        Some((_, outer)) if outer.iter().any(|&s| s != 0) => Level::Rows,
                        _ => Level::One,
                    }
                }
                RowExpr::Scalar(Expr::Iota { axis, .. }) if *axis == axes => Level::Elements,
                RowExpr::Scalar(Expr::Iota { .. }) => Level::Rows,
                RowExpr::Scalar(expr) => {
                    let levels = expr.operands().into_iter().map(|x| self.values[x.index()].level);
                    levels.max().unwrap_or(Level::One)
                }
            };
        }
    }

    /// Products of elements that the sum or difference which alone reads them takes in.
    fn mark_fused(&mut self) {
        for i in 0..self.program.exprs.len() {
            let RowExpr::Scalar(expr) = &self.program.exprs[i] else { continue };
            let is_free = |x: ExprId| {
                self.uses[x.index()] == 1 && self.values[x.index()].level == Level::Elements
            };
            if let Some(x) = product_within(self, expr, is_free) {
                self.fused[x.index()] = true;
                // The factors live on to where the sum is computed.
                for factor in reads(&self.program.exprs[x.index()]) {
                    let last = &mut self.last[factor.index()];
                    *last = (*last).max(i);
                }
            }
        }
    }

    fn slot(&mut self) -> Slot {
        self.step.slots += 1;
        (self.step.slots - 1) as Slot
    }

    /// A register for a value.
    fn register(&mut self, level: Level) -> Slot {
        if level == Level::Elements {
            if let Some(slot) = self.free.pop() {
                return slot;
            }
            return self.fed();
        }
        let slot = self.slot();
        self.step.registers.push((slot, self.step.scratch));
        self.step.scratch += 8 * if level == Level::Rows { self.step.block } else { 1 };
        slot
    }

    /// A register for elements that nothing else may use, as it is filled before the first instruction.
    fn fed(&mut self) -> Slot {
        let slot = self.slot();
        self.tiles.push(slot);
        slot
    }

    /// The slot of an operand of an instruction on all elements that takes it as such.
    fn as_elements(&mut self, x: ExprId) -> Value {
        let Value { level, slot: from } = self.values[x.index()];
        if level == Level::Elements {
            return self.values[x.index()];
        }
        let (dst, dtype) = (self.register(Level::Elements), self.dtype(x));
        let step = if level == Level::Rows { dtype.size() } else { 0 };
        self.step.insts.push(Inst::Repeat { dst, from, step, dtype });
        Value { level: Level::Elements, slot: dst }
    }

    fn emit(&mut self, i: usize) -> Option<()> {
        if self.fused[i] {
            return Some(());
        }
        let slot = match &self.program.exprs[i] {
            RowExpr::Fold(op, x) => {
                let dtype = self.dtype(*x);
                let f = self.simd.reduce(*op, dtype)?;
                let from = self.as_elements(*x);
                let dst = self.target(i);
                let row = self.step.length * dtype.size();
                let steps = [dtype.size(), row, row, row];
                let slots = [dst, from.slot, from.slot, from.slot];
                self.step.insts.push(Inst::EachRow { f, slots, steps });
                self.release_repeated(*x, from.slot);
                dst
            }
            RowExpr::Scalar(Expr::Load(l)) => self.load(i, *l),
            RowExpr::Scalar(Expr::Constant(value)) => {
                let slot = self.register(Level::One);
                self.step.starts.push(Start::Constant { slot, bits: value.bits() });
                slot
            }
            RowExpr::Scalar(Expr::Iota { axis, scale, offset, dtype }) => {
                let (axis, scale, offset, dtype) = (*axis, *scale, *offset, *dtype);
                if self.values[i].level == Level::Elements {
                    let slot = self.fed();
                    self.step.starts.push(Start::Count { slot, scale, offset, dtype });
                    slot
                } else {
                    let slot = self.register(Level::Rows);
                    self.step.feeds.push(Feed::Position { slot, axis, scale, offset, dtype });
                    slot
                }
            }
            RowExpr::Scalar(_) => self.call(i)?,
        };
        self.values[i].slot = slot;
        let expr = &self.program.exprs[i];
        reads(expr).into_iter().for_each(|x| self.release(x, i));
        if let Some(product) = self.fused_product(i) {
            reads(&self.program.exprs[product.index()])
                .into_iter()
                .for_each(|x| self.release(x, i));
        }
        Some(())
    }

    /// A product that is computed together with this sum.
    fn fused_product(&self, i: usize) -> Option<ExprId> {
        match &self.program.exprs[i] {
            RowExpr::Scalar(expr) => product_within(self, expr, |x| self.fused[x.index()]),
            RowExpr::Fold(..) => None,
        }
    }

    fn release(&mut self, x: ExprId, now: usize) {
        let Value { level, slot } = self.values[x.index()];
        let is_ours = self.last[x.index()] == now && level == Level::Elements;
        if is_ours && self.tiles.contains(&slot) && !self.is_fed(slot) && !self.free.contains(&slot)
        {
            self.free.push(slot);
        }
    }

    /// Gives the register back in which an operand was repeated, if it was.
    fn release_repeated(&mut self, x: ExprId, slot: Slot) {
        if self.values[x.index()].slot != slot {
            self.free.push(slot);
        }
    }

    /// Whether a slot is filled once for all blocks, or is an output.
    fn is_fed(&self, slot: Slot) -> bool {
        let is_start = |s: &Start| matches!(s, Start::Row { slot: s, .. } | Start::Count { slot: s, .. } if *s == slot);
        let is_feed = |f: &Feed| matches!(f, Feed::Row { slot: s, .. } if *s == slot);
        self.step.starts.iter().any(is_start)
            || self.step.feeds.iter().any(is_feed)
            || self.step.outputs.iter().any(|o| o.slot == slot)
    }

    fn load(&mut self, i: usize, stream: usize) -> Slot {
        let load: &Load = &self.program.loads[stream];
        let size = load.dtype.size();
        let (level, block) = (self.values[i].level, self.step.block);
        match level {
            Level::One => {
                let slot = self.slot();
                self.step.starts.push(Start::Element { slot, stream, size });
                slot
            }
            Level::Rows => {
                // One element a row, side by side.
                let strides =
                    Shape::from(&self.program.space[..self.program.space.len() - 1]).strides();
                if load.source.strides[..strides.len()] == strides[..] || block == 1 {
                    let slot = self.slot();
                    self.step.feeds.push(Feed::Direct { slot, stream, size });
                    slot
                } else {
                    let slot = self.register(Level::Rows);
                    self.step.feeds.push(Feed::Element { slot, stream, size });
                    slot
                }
            }
            Level::Elements if block == 1 || load.is_row_major(&self.program.space) => {
                let slot = self.slot();
                self.step.feeds.push(Feed::Direct { slot, stream, size });
                slot
            }
            Level::Elements => {
                let outer = &load.source.strides[..load.source.strides.len() - 1];
                let is_same =
                    outer.iter().zip(&self.program.space).all(|(&s, &d)| s == 0 || d == 1);
                let slot = self.fed();
                match is_same {
                    true => self.step.starts.push(Start::Row { slot, stream, size }),
                    false => self.step.feeds.push(Feed::Row { slot, stream, size }),
                }
                slot
            }
        }
    }

    /// The slot that an instruction writes.
    fn target(&mut self, i: usize) -> Slot {
        match self.targets[i] {
            Some(slot) => slot,
            None => self.register(self.values[i].level),
        }
    }

    fn call(&mut self, i: usize) -> Option<Slot> {
        let x = ExprId(i as u32);
        self.level = self.values[i].level;
        let fused = self.fused_product(i).and_then(|product| fused_instruction(self, x, product));
        let instruction = match fused {
            Some(fused) => fused,
            None => match instruction(self, x) {
                Some(instruction) => instruction,
                None => {
                    let expr = self.expr(x);
                    unreachable!("loads, constants and positions are no calls: {expr:?}")
                }
            },
        };
        let level = self.level;
        let mut repeated: SmallVec<[(ExprId, Slot); 3]> = SmallVec::new();
        let mut slots = [NOTHING; 4];
        let mut steps = [0; 4];
        let mut by_row = false;
        let step = |level: Level, size: usize, length: usize| match level {
            Level::One => 0,
            Level::Rows => size,
            Level::Elements => length * size,
        };
        for (k, (operand, as_tile)) in instruction.operands.into_iter().enumerate() {
            let size = self.dtype(operand).size();
            let value = match as_tile && level == Level::Elements {
                true => self.as_elements(operand),
                false => self.values[operand.index()],
            };
            repeated.push((operand, value.slot));
            slots[k + 1] = value.slot;
            steps[k + 1] = step(value.level, size, self.step.length);
            by_row |= level == Level::Elements && value.level == Level::Rows;
        }
        let dst = self.target(i);
        slots[0] = dst;
        steps[0] = step(level, self.dtype(x).size(), self.step.length);
        let (f, [_, a, b, c]) = (instruction.f, slots);
        self.step.insts.push(match by_row {
            true => Inst::EachRow { f, slots, steps },
            false => Inst::Call { f, dst, operands: [a, b, c], level },
        });
        repeated.into_iter().for_each(|(x, slot)| self.release_repeated(x, slot));
        Some(dst)
    }

    /// Copies results that were not computed in their places, and lays registers out.
    fn finish(mut self, rows: usize) -> Option<RowwiseStep> {
        for (k, store) in self.program.stores.iter().enumerate() {
            let (Value { level, slot: from }, dst) =
                (self.values[store.expr.index()], self.step.outputs[k].slot);
            let (dtype, size) = (self.dtype(store.expr), self.dtype(store.expr).size());
            if from == dst {
                continue;
            }
            self.step.insts.push(match (level, store.is_row) {
                (Level::Elements, _) => Inst::Copy { dst, from, level, size },
                (Level::Rows, false) => Inst::Copy { dst, from, level, size },
                (Level::One, false) => Inst::RepeatOne { dst, from, dtype },
                (Level::Rows, true) => Inst::Repeat { dst, from, step: size, dtype },
                (Level::One, true) => Inst::Repeat { dst, from, step: 0, dtype },
            });
        }
        let widest = self.program.dtypes.iter().map(|d| d.size()).max().unwrap_or(8);
        let (length, block) = (self.step.length, self.step.block);
        self.step.scratch = self.step.scratch.next_multiple_of(64);
        for slot in &self.tiles {
            self.step.registers.push((*slot, self.step.scratch));
            self.step.scratch += (block * length * widest).next_multiple_of(64);
        }
        let element = |(i, expr): (usize, &RowExpr)| match expr {
            RowExpr::Fold(..) => 0.1 * length as f64,
            RowExpr::Scalar(expr) => match self.values[i].level {
                Level::Elements => cost(expr, self.program.dtypes[i]) * length as f64,
                Level::Rows | Level::One => cost(expr, self.program.dtypes[i]),
            },
        };
        let row: f64 = self.program.exprs.iter().enumerate().map(element).sum();
        self.step.ns = rows as f64 * (row + ROW_NS);
        Some(self.step)
    }
}
