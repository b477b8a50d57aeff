//! From a nest to machine code: which value lies in which register when, whatever the architecture.
//!
//! Code is made several times. Whenever no register is free, the value that is read latest leaves its own,
//! and the next time it is written to the frame where it is computed; so no loop writes what it only reads.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{BinaryOp, DType};
use unloop_kernel::{AxisId, BufferId, Expr, ExprId, Index, Kind, Loop, Nest, Read, Role, Stmt};

use super::machine::{
    Address, Call, LANES, Label, Lanes, Limit, Machine, OUTER, Place, RESERVED, Reg, Source,
    Spread, VECTOR, When,
};
use super::uses::Uses;
use crate::simd::{Mode, Simd, TileFn};

/// Machine code, and what it needs.
pub(super) struct Emitted {
    pub code: Vec<u8>,
    pub constants: Vec<u8>,
    /// Bytes of the frame.
    pub frame: usize,
    /// The limits of the loops that have one.
    pub limits: Vec<usize>,
}

/// How often code is made, at most, until what is written to the frame is known.
const MAX_ROUNDS: usize = 6;

/// Memory that is read or written along the same axes: one address.
#[derive(PartialEq, Eq, Hash, Clone)]
pub(super) struct Stream {
    buffer: BufferId,
    terms: SmallVec<[(AxisId, isize); 2]>,
}

/// The loops of a nest whose lanes are independent.
pub(super) struct Shape<'a> {
    /// Loops without an order around the lanes.
    pub outer: Vec<&'a Loop>,
    pub lanes: &'a Loop,
    /// The lanes' layout.
    pub width: Lanes,
}

pub(super) struct Emitter<'a, M> {
    pub(super) nest: &'a Nest,
    pub(super) shape: &'a Shape<'a>,
    pub(super) simd: Simd,
    pub(super) machine: M,
    pub(super) width: Lanes,
    pub(super) uses: &'a Uses,
    pub(super) now: u32,
    /// The value in each register.
    pub(super) registers: Vec<Option<ExprId>>,
    /// Registers that must stay as they are.
    pub(super) pinned: Vec<Reg>,
    /// The register of each value.
    pub(super) place: Vec<Option<Reg>>,
    /// Where each value lies in memory.
    pub(super) home: Vec<Option<Source>>,
    /// Whether each value must lie in memory, as far as is known.
    pub(super) spilled: &'a mut Vec<bool>,
    pub(super) changed: bool,
    pub(super) frame: usize,
    /// Vectors of the frame that are not used any more, and those that are, with the value.
    pub(super) free: Vec<i32>,
    pub(super) used: Vec<(ExprId, i32)>,
    pub(super) locals: Vec<usize>,
    pub(super) streams: Vec<Stream>,
    /// Where the address of each stream is, innermost last.
    pub(super) addresses: Vec<Vec<Place>>,
    pub(super) positions: HashMap<AxisId, Place>,
    pub(super) integers: Vec<u8>,
    pub(super) limits: Vec<(Label, usize)>,
}

/// What lies in which register.
pub(super) type State = Vec<Option<ExprId>>;

/// Makes the code of a nest; `None` where that is not possible.
pub(super) fn emit<M: Machine>(nest: &Nest, shape: &Shape<'_>, simd: Simd) -> Option<Emitted> {
    let mut uses = Uses::new(nest);
    uses.block(nest, &shape.lanes.body, shape.width.count > 1);
    let calls = has_calls::<M>(nest, &shape.lanes.body);
    let mut spilled = vec![false; uses.of.len()];
    let streams = streams(nest, &shape.lanes.body);
    for _ in 0..MAX_ROUNDS {
        let mut locals = Vec::new();
        let mut frame = RESERVED;
        for buffer in &nest.buffers {
            locals.push(frame);
            frame += if buffer.role == Role::Local { buffer.len * VECTOR } else { 0 };
        }
        if i32::try_from(frame + (1 << 24)).is_err() {
            return None;
        }
        let count = uses.of.len();
        let mut emitter = Emitter {
            nest,
            shape,
            simd,
            machine: M::new(shape.width),
            width: shape.width,
            uses: &uses,
            now: 0,
            registers: vec![None; M::REGISTERS],
            pinned: Vec::new(),
            place: vec![None; count],
            home: vec![None; count],
            spilled: &mut spilled,
            changed: false,
            frame,
            free: Vec::new(),
            used: Vec::new(),
            locals,
            addresses: vec![Vec::new(); streams.len()],
            streams: streams.clone(),
            positions: HashMap::new(),
            integers: M::integers(calls).to_vec(),
            limits: Vec::new(),
        };
        emitter.whole();
        if !emitter.changed {
            let labels: Vec<Label> = emitter.limits.iter().map(|(label, _)| *label).collect();
            let limits = emitter.limits.iter().map(|(_, limit)| *limit).collect();
            let frame = emitter.frame;
            let (code, constants) = emitter.machine.finish(&labels)?;
            return Some(Emitted { code, constants, frame, limits });
        }
    }
    None
}

/// The statements within a loop, in their order.
fn head(each: &Loop) -> &[Stmt] {
    match &each.kind {
        Kind::While { head, .. } => head,
        Kind::Grid | Kind::Lanes | Kind::Serial { .. } => &[],
    }
}

fn inner(each: &Loop) -> impl Iterator<Item = &Stmt> {
    head(each).iter().chain(&each.body)
}

/// The dtype of the operand that decides what is computed.
pub(super) fn of(nest: &Nest, x: ExprId) -> DType {
    let operands = nest.expr(x).operands();
    operands.last().map_or(nest.dtype(x), |x| nest.dtype(*x))
}

pub(super) fn has_calls<M: Machine>(nest: &Nest, block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Let(x) => !M::has(nest.expr(*x), nest.dtype(*x), of(nest, *x)),
        Stmt::Store { .. } => false,
        Stmt::Loop(each) => has_calls::<M>(nest, head(each)) || has_calls::<M>(nest, &each.body),
    })
}

fn stream(buffer: BufferId, index: &Index) -> Stream {
    let mut terms = index.terms.clone();
    terms.sort_unstable();
    Stream { buffer, terms }
}

fn streams(nest: &Nest, block: &[Stmt]) -> Vec<Stream> {
    let mut all = Vec::new();
    let mut add = |stream: Stream| {
        if !all.contains(&stream) {
            all.push(stream);
        }
    };
    for_accesses(nest, block, &mut |buffer, index| add(stream(buffer, index)));
    all
}

fn for_accesses(nest: &Nest, block: &[Stmt], f: &mut impl FnMut(BufferId, &Index)) {
    for stmt in block {
        match stmt {
            Stmt::Let(x) => {
                if let Some(read) = nest.read(*x) {
                    f(read.buffer, &read.index);
                }
            }
            Stmt::Store { buffer, index, .. } => f(*buffer, index),
            Stmt::Loop(each) => {
                for_accesses(nest, head(each), f);
                for_accesses(nest, &each.body, f);
            }
        }
    }
}

impl<M: Machine> Emitter<'_, M> {
    fn dtype(&self, x: ExprId) -> DType {
        self.uses.dtypes[x.index()]
    }

    fn is_local(&self, buffer: BufferId) -> bool {
        self.nest.buffers[buffer.0 as usize].role == Role::Local
    }

    /// Bytes of an element of a buffer.
    fn element(&self, buffer: BufferId) -> i64 {
        match self.is_local(buffer) {
            true => VECTOR as i64,
            false => self.nest.buffers[buffer.0 as usize].dtype.size() as i64,
        }
    }

    fn cell(&mut self) -> Place {
        self.frame = self.frame.next_multiple_of(8) + 8;
        Place::Frame(self.frame as i32 - 8)
    }

    fn whole(&mut self) {
        self.machine.begin();
        let mut bases: HashMap<BufferId, Place> = HashMap::new();
        for i in 0..self.streams.len() {
            let buffer = self.streams[i].buffer;
            let base = match bases.get(&buffer) {
                Some(base) => *base,
                None => {
                    let base = self.cell();
                    match self.is_local(buffer) {
                        true => self.machine.frame(base, self.locals[buffer.0 as usize] as i32),
                        false => self.machine.buffer(base, buffer.0 as usize),
                    }
                    bases.insert(buffer, base);
                    base
                }
            };
            self.addresses[i].push(base);
        }
        self.outer(0);
    }

    /// The loops around the lanes from a depth on.
    fn outer(&mut self, depth: usize) {
        let shape = self.shape;
        let Some(each) = shape.outer.get(depth) else { return self.over_lanes() };
        let (position, limit) = (self.cell(), self.cell());
        match depth {
            0 => {
                self.machine.argument(position, OUTER);
                self.machine.argument(limit, OUTER + 1);
            }
            _ => {
                self.machine.number(position, 0);
                self.machine.number(limit, self.nest.axes[each.axis.0 as usize] as i64);
            }
        }
        let moved = self.enter(each.axis, Some(position), 0, false);
        self.positions.insert(each.axis, position);
        let (top, end) = (self.machine.label(), self.machine.label());
        self.machine.bind(top);
        self.machine.jump_if(position, 0, When::GreaterOrEqual, Limit::At(limit), end);
        self.outer(depth + 1);
        self.advance(&moved, 1);
        self.machine.plus(position, position, 1);
        self.machine.jump(top);
        self.machine.bind(end);
        self.leave(moved);
    }

    /// The addresses that a loop over an axis moves, from its first position on: a number, or what lies
    /// at a place. With how far each moves.
    fn enter(
        &mut self,
        axis: AxisId,
        first: Option<Place>,
        number: i64,
        is_innermost: bool,
    ) -> Vec<(usize, Place, i64)> {
        let mut moved = Vec::new();
        for i in 0..self.streams.len() {
            let stream = &self.streams[i];
            let Some((_, stride)) = stream.terms.iter().find(|(a, _)| *a == axis) else { continue };
            let step = *stride as i64 * self.element(stream.buffer);
            let Some(&from) = self.addresses[i].last() else { continue };
            let to = match is_innermost.then(|| self.integers.pop()).flatten() {
                Some(register) => Place::Register(register),
                None => self.cell(),
            };
            match first {
                Some(first) => self.machine.scaled(to, from, first, step),
                None => self.machine.plus(to, from, number * step),
            }
            self.addresses[i].push(to);
            moved.push((i, to, step));
        }
        moved
    }

    fn advance(&mut self, moved: &[(usize, Place, i64)], positions: i64) {
        for (_, place, step) in moved {
            self.machine.plus(*place, *place, step * positions);
        }
    }

    fn leave(&mut self, moved: Vec<(usize, Place, i64)>) {
        for (i, place, _) in moved {
            self.addresses[i].pop();
            if let Place::Register(register) = place {
                self.integers.push(register);
            }
        }
    }

    /// Whole vectors of lanes, then one lane after the other.
    fn over_lanes(&mut self) {
        let shape = self.shape;
        let axis = shape.lanes.axis;
        let is_innermost = !shape.lanes.body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_)));
        let (position, limit) = (self.cell(), self.cell());
        self.machine.argument(position, LANES);
        self.machine.argument(limit, LANES + 1);
        let moved = self.enter(axis, Some(position), 0, is_innermost);
        let position = self.in_register(position, is_innermost);
        self.positions.insert(axis, position);
        let widths = [shape.width, Lanes { count: 1, ..shape.width }];
        for width in widths.into_iter().skip(usize::from(shape.width.count == 1)) {
            let count = width.count as i32;
            let (top, end) = (self.machine.label(), self.machine.label());
            self.width = width;
            self.machine.set_lanes(width);
            self.machine.bind(top);
            self.machine.jump_if(position, count, When::Greater, Limit::At(limit), end);
            self.forget();
            self.now = 0;
            self.block(&shape.lanes.body);
            self.advance(&moved, count.into());
            self.machine.plus(position, position, count.into());
            self.machine.jump(top);
            self.machine.bind(end);
        }
        self.leave(moved);
        if let Place::Register(register) = position {
            self.integers.push(register);
        }
    }

    /// A position in a register, if one is free.
    fn in_register(&mut self, position: Place, is_innermost: bool) -> Place {
        match is_innermost.then(|| self.integers.pop()).flatten() {
            Some(register) => {
                self.machine.plus(Place::Register(register), position, 0);
                Place::Register(register)
            }
            None => position,
        }
    }

    fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            self.now += 1;
            match stmt {
                Stmt::Let(x) => {
                    if !self.uses.of[x.index()].is_empty() {
                        self.compute(*x);
                    }
                }
                Stmt::Store { buffer, index, value } => {
                    let value_at = self.get(*value);
                    let (address, spread) = self.access(*buffer, index);
                    self.machine.store(address, spread, value_at, self.dtype(*value));
                }
                Stmt::Loop(each) => self.repeat(each),
            }
            self.pinned.clear();
        }
    }

    fn access(&mut self, buffer: BufferId, index: &Index) -> (Address, Spread) {
        let stream = stream(buffer, index);
        let found = self.streams.iter().position(|other| *other == stream);
        let base = found.and_then(|i| self.addresses[i].last().copied());
        let Some(base) = base else { unreachable!("all accesses have their streams") };
        let offset = index.offset as i64 * self.element(buffer);
        let spread = match self.is_local(buffer) {
            true => Spread::Own,
            false => {
                let stride = index.stride(self.shape.lanes.axis) as i64;
                Spread::Bytes((stride * self.element(buffer)) as isize)
            }
        };
        (Address { base, offset: offset as i32 }, spread)
    }

    fn compute(&mut self, x: ExprId) {
        let expr = self.nest.expr(x).clone();
        let (dtype, of) = (self.dtype(x), of(self.nest, x));
        match expr {
            Expr::Constant(_) => return,
            Expr::Load(i) => {
                let read: &Read = &self.nest.reads[i];
                let mask = read.mask.map(|mask| self.get(mask));
                let (address, spread) = self.access(read.buffer, &read.index);
                let to = self.register();
                match (mask, read.otherwise) {
                    (Some(mask), Some(value)) => {
                        let at = self.machine.constant(value.bits(), value.dtype());
                        self.machine.load_masked(to, address, mask, at, dtype);
                    }
                    _ => self.machine.load(to, address, spread, dtype),
                }
                return self.define(x, to);
            }
            Expr::Iota { axis, scale, offset, dtype } => {
                let axis = AxisId(axis as u32);
                let along = axis == self.shape.lanes.axis;
                let Some(&position) = self.positions.get(&axis) else {
                    unreachable!("loops around have a position")
                };
                let to = self.register();
                let (scale, offset) = (scale as i64, offset as i64);
                self.machine.count(to, position, scale, offset, along, dtype);
                return self.define(x, to);
            }
            _ if !M::has(&expr, dtype, of) => return self.call(x),
            _ => {}
        }
        let operands = expr.operands();
        // What lies in a register already comes first where that makes no difference.
        let commutes = matches!(
            expr,
            Expr::Binary(
                BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor,
                ..
            )
        ) && !dtype.is_float();
        let turned = commutes && self.place[operands[0].index()].is_none();
        let (first, second) = match (turned, operands.get(1)) {
            (true, Some(&second)) => (second, Some(operands[0])),
            (_, second) => (operands[0], second.copied()),
        };
        let third = operands.get(2).map(|&x| self.get(x));
        let a = self.get(first);
        let b = second.map_or(Source::Reg(a), |x| self.source(x));
        let to = self.register();
        self.machine.compute(&expr, [dtype, of], to, (a, b, third.unwrap_or(a)));
        self.define(x, to);
    }

    /// Calls the tile function of an expression on the vectors of its operands.
    fn call(&mut self, x: ExprId) {
        let (nest, dtype) = (self.nest, self.dtype(x));
        let expr = nest.expr(x);
        let f: Option<TileFn> = match *expr {
            Expr::Unary(op, a) => self.simd.unary(op, nest.dtype(a)),
            Expr::Binary(op, ..) => self.simd.binary(op, dtype, Mode::VectorVector),
            Expr::Convert(to, a) => Some(self.simd.convert(nest.dtype(a), to)),
            _ => None,
        };
        let Some(f) = f else { unreachable!("the type rules leave no {expr:?} without a kernel") };
        let mut operands = [Source::Frame(0); 3];
        for (place, operand) in operands.iter_mut().zip(expr.operands()) {
            *place = match nest.dtype(operand) {
                DType::Bool => {
                    let r = self.get(operand);
                    let at = self.slot(operand);
                    self.machine.to_bytes(at, r);
                    Source::Frame(at)
                }
                _ => self.needs_home(operand),
            };
        }
        // What is called spoils all registers.
        self.now += 1;
        (0..M::REGISTERS).for_each(|r| self.drop_from(r as Reg));
        self.now -= 1;
        self.pinned.clear();
        match dtype {
            DType::Bool => {
                let at = self.slot(x);
                self.machine.call(&Call { f, result: Source::Frame(at), operands });
                let r = self.register();
                self.machine.of_bytes(r, at);
                self.define(x, r);
            }
            _ => {
                let result = self.needs_home(x);
                self.machine.call(&Call { f, result, operands });
            }
        }
    }

    fn repeat(&mut self, each: &Loop) {
        let uses = self.uses;
        let extent = self.nest.axes[each.axis.0 as usize];
        let is_innermost = !inner(each).any(|stmt| matches!(stmt, Stmt::Loop(_)));
        self.begin(each);
        let state: State = self.registers.clone();
        let passed: Vec<(ExprId, ExprId)> =
            each.carried.iter().map(|p| (p.value, p.next)).collect();
        let (top, end) = (self.machine.label(), self.machine.label());
        match &each.kind {
            Kind::Serial { reverse } => {
                let first = if *reverse { extent as i64 - 1 } else { 0 };
                let step = if *reverse { -1 } else { 1 };
                let moved = self.enter(each.axis, None, first, is_innermost);
                let cell = self.cell();
                self.machine.number(cell, first);
                let position = self.in_register(cell, is_innermost);
                self.positions.insert(each.axis, position);
                if extent == 0 {
                    self.machine.jump(end);
                }
                self.machine.bind(top);
                self.block(&each.body);
                self.now = uses.end[&each.axis];
                self.bring(&state, &passed);
                self.advance(&moved, step);
                self.machine.poll();
                self.machine.plus(position, position, step);
                let (when, limit) = match reverse {
                    true => (When::GreaterOrEqual, 0),
                    false => (When::Less, extent as i64),
                };
                self.machine.jump_if(position, 0, when, Limit::Number(limit), top);
                self.machine.bind(end);
                self.leave(moved);
                if let Place::Register(register) = position {
                    self.integers.push(register);
                }
            }
            Kind::While { head, on, limit } => {
                let runs = self.cell();
                self.machine.number(runs, 0);
                self.machine.bind(top);
                self.block(head);
                self.now += 1;
                let truth = self.get(*on);
                self.machine.jump_if_none(truth, end);
                self.pinned.clear();
                let after = self.registers.clone();
                if let Some(limit) = limit {
                    let label = self.machine.label();
                    let most = Limit::Number((*limit).min(i64::MAX as usize) as i64);
                    self.machine.jump_if(runs, 0, When::GreaterOrEqual, most, label);
                    self.machine.plus(runs, runs, 1);
                    self.limits.push((label, *limit));
                }
                self.block(&each.body);
                self.now = uses.end[&each.axis];
                let mut passed = passed;
                if self.width.count > 1
                    && let Some(&first) = uses.mixed.get(&each.axis)
                {
                    // Lanes that are done stay as they are.
                    for (k, (value, next)) in passed.iter_mut().enumerate() {
                        let mixed = ExprId(first + k as u32);
                        let truth = self.get(*on);
                        let no = self.get(*value);
                        let yes = self.source(*next);
                        let to = self.register();
                        self.machine.blend(to, truth, yes, no, self.uses.dtypes[mixed.index()]);
                        self.define(mixed, to);
                        self.pinned.clear();
                        *next = mixed;
                    }
                    self.now += 1;
                }
                self.bring(&state, &passed);
                self.machine.poll();
                self.machine.jump(top);
                self.machine.bind(end);
                self.restore(&after);
                // As behind the body.
                self.now = uses.end[&each.axis] + u32::from(uses.mixed.contains_key(&each.axis));
            }
            Kind::Grid | Kind::Lanes => unreachable!("loops within lanes have an order"),
        }
    }
}
