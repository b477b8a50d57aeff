//! From a nest of loops over numbers to instructions on tiles of examples: which values differ from
//! example to example, and where each lies.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::DType;
use unloop_kernel::{
    AxisId, BufferId, Carried, Expr, ExprId, Index, Kind, Loop, Nest, Read, Role, Stmt, for_loops,
};

use super::LANES;
use super::tape::{GROUP, Inst, Place, Slot, Steps, Test};
use crate::instruction::{Program, fused_instruction, instruction, product_within};
use crate::simd::Simd;

/// What [`emit`] finds.
#[derive(Default)]
pub(super) struct Emitted {
    pub insts: Vec<Inst>,
    pub constants: Vec<(Slot, u64)>,
    pub cells: usize,
    pub registers: usize,
    /// Elements that loops keep for others.
    pub kept: usize,
    /// Bytes of the largest element of a tile.
    pub widest: usize,
}

struct Emitter<'a> {
    program: &'a Nest,
    /// The axis of outer examples.
    outer: Option<AxisId>,
    simd: Simd,
    /// Whether each value differs from example to example.
    varying: Vec<bool>,
    /// How often each value is read; zero if nothing needs it.
    uses: Vec<usize>,
    /// The block that computes each value.
    home: Vec<usize>,
    /// Values that are computed by the one that reads them.
    fused: Vec<bool>,
    places: Vec<Option<Slot>>,
    /// Registers that may be written again.
    free: Vec<Slot>,
    cells: usize,
    registers: usize,
    constants: Vec<(Slot, u64)>,
    /// The first element of each buffer among those that loops keep.
    kept: Vec<usize>,
    /// The values that are loaded together with each, in the order of memory.
    together: HashMap<ExprId, Vec<ExprId>>,
    insts: Vec<Inst>,
}

/// Neighbours of an output that are stored together.
struct Row {
    place: Place,
    values: SmallVec<[ExprId; GROUP]>,
}

/// Compiles a nest of one loop over examples.
pub(super) fn emit(program: &Nest, simd: Simd) -> Emitted {
    let (outer, examples) = match &program.body[..] {
        // Results without elements: nothing is stored.
        [] => return Emitted { widest: 8, ..Emitted::default() },
        [Stmt::Loop(each)] if each.kind == Kind::Lanes => (None, each),
        [Stmt::Loop(outer)] => match &outer.body[..] {
            [Stmt::Loop(each)] => (Some(outer.axis), each),
            _ => unreachable!("outer examples have inner ones:\n{program}"),
        },
        _ => unreachable!("a program of examples is a loop over them:\n{program}"),
    };
    let count = program.exprs.len();
    let mut end = 0;
    let mut first = |buffer: &unloop_kernel::Buffer| {
        let start = end;
        end += if buffer.role == Role::Local { buffer.len } else { 0 };
        start
    };
    let mut emitter = Emitter {
        kept: program.buffers.iter().map(&mut first).collect(),
        outer,
        program,
        simd,
        varying: vec![false; count],
        uses: vec![0; count],
        home: vec![0; count],
        fused: vec![false; count],
        places: vec![None; count],
        free: Vec::new(),
        cells: 1,
        registers: 0,
        constants: Vec::new(),
        together: HashMap::new(),
        insts: Vec::new(),
    };
    emitter.find_varying();
    emitter.count_uses();
    emitter.find_fused(&examples.body, &mut 0);
    emitter.find_neighbours();
    emitter.whole(&examples.body);
    let sizes = (0..count).filter(|&i| emitter.varying[i]).map(|i| program.dtypes[i].size());
    Emitted {
        widest: sizes.max().unwrap_or(8),
        insts: emitter.insts,
        constants: emitter.constants,
        cells: emitter.cells,
        registers: emitter.registers,
        kept: end,
    }
}

/// The statements within a loop, in their order.
fn inner(each: &Loop) -> impl Iterator<Item = &Stmt> {
    head(each).iter().chain(&each.body)
}

fn head(each: &Loop) -> &[Stmt] {
    match &each.kind {
        Kind::While { head, .. } => head,
        Kind::Grid | Kind::Lanes | Kind::Serial { .. } => &[],
    }
}

/// What decides whether a loop goes on.
fn on(each: &Loop) -> Option<ExprId> {
    match each.kind {
        Kind::While { on, .. } => Some(on),
        Kind::Grid | Kind::Lanes | Kind::Serial { .. } => None,
    }
}

impl Program for Emitter<'_> {
    fn simd(&self) -> Simd {
        self.simd
    }

    fn expr(&self, x: ExprId) -> &Expr {
        self.program.expr(x)
    }

    fn dtype(&self, x: ExprId) -> DType {
        self.program.dtype(x)
    }

    fn is_uniform(&self, x: ExprId) -> bool {
        !self.varying[x.index()]
    }
}

impl Emitter<'_> {
    fn role(&self, buffer: BufferId) -> Role {
        self.program.buffers[buffer.0 as usize].role
    }

    fn operands(&self, x: ExprId) -> SmallVec<[ExprId; 3]> {
        self.program.operands(x)
    }

    /// Steps along the axes of loops within the examples.
    fn steps(&self, index: &Index) -> Steps {
        let is_inner = |axis: AxisId| axis != LANES && Some(axis) != self.outer;
        let terms = index.terms.iter().filter(|(axis, _)| is_inner(*axis));
        terms.map(|(axis, step)| (axis.0, *step)).collect()
    }

    /// Where the examples of an access are.
    fn place_of(&self, buffer: BufferId, index: &Index) -> Place {
        let outer = self.outer.map_or(0, |axis| index.stride(axis));
        Place { buffer, first: index.offset, strides: [outer, index.stride(LANES)] }
    }

    /// A read of an input that is the same in all runs of loops.
    fn plain_read(&self, x: ExprId) -> Option<&Read> {
        let read = self.program.read(x)?;
        let is_plain = self.steps(&read.index).is_empty() && !self.is_local(read.buffer);
        is_plain.then_some(read)
    }

    fn is_local(&self, buffer: BufferId) -> bool {
        self.role(buffer) == Role::Local
    }

    /// Whether a statement of the outermost block writes an output.
    fn is_output(&self, stmt: &Stmt) -> bool {
        matches!(stmt, Stmt::Store { buffer, .. } if !self.is_local(*buffer))
    }

    fn find_varying(&mut self) {
        let program = self.program;
        for (x, varying) in self.varying.iter_mut().enumerate() {
            let Some(read) = program.read(ExprId(x as u32)) else { continue };
            let role = program.buffers[read.buffer.0 as usize].role;
            *varying = role == Role::Local || read.index.stride(LANES) != 0;
        }
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for x in 0..program.exprs.len() {
                let operands = program.operands(ExprId(x as u32));
                self.varying[x] |= operands.iter().any(|o| self.varying[o.index()]);
            }
            for_loops(&program.body, &mut |each| {
                for p in &each.carried {
                    let varies = self.varying[p.start.index()] || self.varying[p.next.index()];
                    changed |= varies && !self.varying[p.value.index()];
                    self.varying[p.value.index()] |= varies;
                }
            });
        }
    }

    /// Counts how often what is needed is read.
    fn count_uses(&mut self) {
        let program = self.program;
        // The loop that passes each value on.
        let mut passed: HashMap<ExprId, (&Loop, usize)> = HashMap::new();
        let mut open: Vec<ExprId> = Vec::new();
        for_loops(&program.body, &mut |each| {
            passed.extend(each.carried.iter().enumerate().map(|(i, p)| (p.value, (each, i))));
            open.extend(inner(each).filter_map(|stmt| match stmt {
                Stmt::Store { value, .. } => Some(*value),
                Stmt::Let(_) | Stmt::Loop(_) => None,
            }));
        });
        let mut begun: Vec<*const Loop> = Vec::new();
        while let Some(x) = open.pop() {
            self.uses[x.index()] += 1;
            if self.uses[x.index()] > 1 {
                continue;
            }
            open.extend(program.operands(x));
            let Some((each, i)) = passed.get(&x) else { continue };
            open.extend([each.carried[*i].start, each.carried[*i].next]);
            if let Some(on) = on(each)
                && !begun.contains(&std::ptr::from_ref(*each))
            {
                begun.push(*each);
                open.push(on);
            }
        }
    }

    fn is_needed(&self, x: ExprId) -> bool {
        self.uses[x.index()] > 0
    }

    /// Whether a loop passes on or writes anything that is needed.
    fn runs(&self, each: &Loop) -> bool {
        let writes = |stmt: &Stmt| match stmt {
            Stmt::Let(_) => false,
            Stmt::Store { .. } => true,
            Stmt::Loop(inner) => self.runs(inner),
        };
        each.carried.iter().any(|p| self.is_needed(p.value)) || inner(each).any(writes)
    }

    /// Products that the sum which alone reads them takes in, in the same block.
    fn find_fused(&mut self, block: &[Stmt], count: &mut usize) {
        *count += 1;
        let number = *count;
        for stmt in block {
            match stmt {
                Stmt::Let(x) if self.is_needed(*x) => {
                    self.home[x.index()] = number;
                    let is_free = |p: ExprId| {
                        let factors = self.operands(p);
                        self.uses[p.index()] == 1
                            && self.home[p.index()] == number
                            && !factors.iter().all(|&f| self.is_uniform(f))
                    };
                    let product = product_within(self, self.expr(*x), is_free);
                    if let Some(product) = product {
                        self.fused[product.index()] = true;
                    }
                }
                Stmt::Let(_) | Stmt::Store { .. } => {}
                Stmt::Loop(each) => {
                    self.find_fused(head(each), count);
                    self.find_fused(&each.body, count);
                }
            }
        }
    }

    /// The product that a needed value takes in.
    fn product(&self, x: ExprId) -> Option<ExprId> {
        product_within(self, self.expr(x), |p| self.fused[p.index()])
    }

    /// Calls `f` for each value that a statement reads: those of a fused product, too, and all that the
    /// statements within a loop read.
    fn for_reads(&self, stmt: &Stmt, f: &mut impl FnMut(ExprId)) {
        match stmt {
            Stmt::Let(x) if self.is_needed(*x) && !self.fused[x.index()] => {
                let product = self.product(*x);
                for operand in self.operands(*x) {
                    match Some(operand) == product {
                        true => self.operands(operand).into_iter().for_each(&mut *f),
                        false => f(operand),
                    }
                }
            }
            Stmt::Let(_) => {}
            Stmt::Store { value, .. } => f(*value),
            Stmt::Loop(each) if self.runs(each) => {
                inner(each).for_each(|stmt| self.for_reads(stmt, f));
                for p in each.carried.iter().filter(|p| self.is_needed(p.value)) {
                    [p.start, p.next, p.value].into_iter().for_each(&mut *f);
                }
                on(each).into_iter().for_each(f);
            }
            Stmt::Loop(_) => {}
        }
    }

    fn cell(&mut self) -> Slot {
        self.cells += 1;
        Slot::Cell(self.cells - 1)
    }

    fn register(&mut self) -> Slot {
        self.free.pop().unwrap_or_else(|| {
            self.registers += 1;
            Slot::Register(self.registers - 1)
        })
    }

    fn room(&mut self, x: ExprId) -> Slot {
        let slot = if self.is_uniform(x) { self.cell() } else { self.register() };
        self.places[x.index()] = Some(slot);
        slot
    }

    /// Where a value lies; constants are placed when they are first read.
    fn place(&mut self, x: ExprId) -> Slot {
        if let Some(slot) = self.places[x.index()] {
            return slot;
        }
        let slot = self.room(x);
        if let Expr::Constant(value) = self.expr(x) {
            let bits = value.bits();
            self.constants.push((slot, bits));
        }
        slot
    }

    /// Finds elements that are near each other in memory: they are loaded together.
    fn find_neighbours(&mut self) {
        let needed = (0..self.program.exprs.len() as u32).map(ExprId);
        let mut reads: Vec<(Place, ExprId)> = needed
            .filter(|&x| self.is_needed(x) && !self.is_uniform(x))
            .filter_map(|x| {
                let read = self.plain_read(x)?;
                Some((self.place_of(read.buffer, &read.index), x))
            })
            .collect();
        reads.sort_unstable_by_key(|(place, x)| (place.buffer, place.strides, place.first, x.0));
        let mut rest = &reads[..];
        while let Some((first, _)) = rest.first() {
            let fits = |i: usize| {
                let (place, before) = (rest[i].0, rest[i - 1].0);
                (place.buffer, place.strides) == (first.buffer, first.strides)
                    && place.first - first.first < GROUP as isize
                    && place.first != before.first
            };
            let count = (1..rest.len()).find(|&i| !fits(i)).unwrap_or(rest.len());
            let members: Vec<ExprId> = rest[..count].iter().map(|read| read.1).collect();
            for &x in &members {
                self.together.insert(x, members.clone());
            }
            rest = &rest[count..];
        }
    }

    /// Rows of the outputs that are stored together, by the statement behind which all values are there.
    fn rows(&self, block: &[Stmt]) -> Vec<Vec<Row>> {
        let mut defined = vec![0; self.program.exprs.len()];
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Let(x) => defined[x.index()] = at,
                Stmt::Loop(each) => {
                    each.carried.iter().for_each(|p| defined[p.value.index()] = at);
                }
                Stmt::Store { .. } => {}
            }
        }
        let outputs = block.iter().filter(|stmt| self.is_output(stmt));
        let mut stores: Vec<(Place, ExprId)> = outputs
            .filter_map(|stmt| match stmt {
                Stmt::Store { buffer, index, value } => {
                    Some((self.place_of(*buffer, index), *value))
                }
                Stmt::Let(_) | Stmt::Loop(_) => None,
            })
            .collect();
        stores.sort_by_key(|(place, _)| (place.buffer, place.strides, place.first));
        let mut all: Vec<Row> = Vec::new();
        for (place, value) in stores {
            match all.last_mut() {
                Some(row)
                    if (row.place.buffer, row.place.strides) == (place.buffer, place.strides)
                        && row.place.first + row.values.len() as isize == place.first
                        && row.values.len() < GROUP =>
                {
                    row.values.push(value);
                }
                _ => all.push(Row { place, values: SmallVec::from_slice(&[value]) }),
            }
        }
        let mut rows: Vec<Vec<Row>> = block.iter().map(|_| Vec::new()).collect();
        for row in all {
            let at = row.values.iter().map(|x| defined[x.index()]).max().unwrap_or(0);
            rows[at].push(row);
        }
        rows
    }

    /// The whole program: what is loaded when, and stored as soon as it is there.
    fn whole(&mut self, block: &[Stmt]) {
        let rows = self.rows(block);
        let stored = rows.iter().enumerate();
        let kept: Vec<(ExprId, usize)> = stored
            .flat_map(|(at, rows)| {
                rows.iter().flat_map(move |row| row.values.iter().map(move |&x| (x, at)))
            })
            .collect();
        let ends = self.ends(block, &kept);
        for (at, stmt) in block.iter().enumerate() {
            if !self.is_output(stmt) {
                self.load_for(stmt);
                self.stmt(stmt);
            }
            rows[at].iter().for_each(|row| self.store(row));
            ends[at].iter().for_each(|&x| self.release(x));
        }
    }

    /// The values that each statement of a block is the last to read, among those that the block defines;
    /// those `kept` are read by others, too.
    fn ends(&self, block: &[Stmt], kept: &[(ExprId, usize)]) -> Vec<Vec<ExprId>> {
        let mut last: HashMap<ExprId, usize> = HashMap::new();
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Let(x) => drop(last.insert(*x, at)),
                Stmt::Loop(each) => last.extend(each.carried.iter().map(|p| (p.value, at))),
                Stmt::Store { .. } => {}
            }
        }
        let mut read = |x: ExprId, at: usize| {
            if let Some(last) = last.get_mut(&x) {
                *last = at.max(*last);
            }
        };
        let is_kept = |stmt: &Stmt| !kept.is_empty() && self.is_output(stmt);
        for (at, stmt) in block.iter().enumerate().filter(|(_, stmt)| !is_kept(stmt)) {
            self.for_reads(stmt, &mut |x| read(x, at));
        }
        kept.iter().for_each(|(x, at)| read(*x, *at));
        let mut ends = vec![Vec::new(); block.len()];
        let mut sorted: Vec<(ExprId, usize)> = last.into_iter().collect();
        sorted.sort_unstable_by_key(|(x, _)| x.0);
        for (x, at) in sorted {
            ends[at].push(x);
        }
        ends
    }

    fn release(&mut self, x: ExprId) {
        if let Some(slot @ Slot::Register(_)) = self.places[x.index()] {
            self.free.push(slot);
            self.places[x.index()] = None;
        }
    }

    /// Loads what a statement of the outermost block reads.
    fn load_for(&mut self, stmt: &Stmt) {
        let mut wanted = Vec::new();
        self.for_reads(stmt, &mut |x| wanted.push(x));
        for x in wanted {
            self.load(x);
        }
    }

    /// Loads a value, together with its neighbours, if it is one of an input.
    fn load(&mut self, x: ExprId) {
        if self.places[x.index()].is_some() {
            return;
        }
        let place =
            |s: &Self, x: ExprId| s.plain_read(x).map(|read| s.place_of(read.buffer, &read.index));
        let Some(own) = place(self, x) else { return };
        let dtype = self.dtype(x);
        if self.is_uniform(x) {
            let dst = self.room(x);
            self.insts.push(Inst::LoadOne { dst, from: own, dtype });
            return;
        }
        let members = self.together.get(&x).cloned().unwrap_or_default();
        let from = members.first().and_then(|&x| place(self, x)).unwrap_or(own);
        let mut to: SmallVec<[Option<Slot>; GROUP]> = SmallVec::new();
        for member in members {
            let Some(at) = place(self, member) else { continue };
            let at = (at.first - from.first) as usize;
            to.resize(to.len().max(at + 1), None);
            to[at] = Some(self.room(member));
        }
        self.insts.push(Inst::Load { to, from, dtype });
    }

    fn store(&mut self, row: &Row) {
        row.values.iter().for_each(|&x| self.load(x));
        let dtype = row.values.first().map_or(DType::F64, |&x| self.dtype(x));
        let mut spare = Vec::new();
        let from = row.values.iter().map(|&x| match self.place(x) {
            place @ (Slot::Register(_) | Slot::Kept(_)) => Some(place),
            from @ Slot::Cell(_) => {
                let dst = self.register();
                spare.push(dst);
                self.insts.push(Inst::Splat { dst, from, dtype });
                Some(dst)
            }
        });
        let from = from.collect();
        self.insts.push(Inst::Store { from, to: row.place, dtype });
        self.free.extend(spare);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let(x) if self.is_needed(*x) && !self.fused[x.index()] => self.compute(*x),
            Stmt::Let(_) => {}
            Stmt::Store { buffer, index, value } => self.write(*buffer, index, *value),
            Stmt::Loop(each) if self.runs(each) => self.repeat(each),
            Stmt::Loop(_) => {}
        }
    }

    /// A value that a run of a loop writes.
    fn write(&mut self, buffer: BufferId, index: &Index, value: ExprId) {
        let (from, dtype, uniform) = (self.place(value), self.dtype(value), self.is_uniform(value));
        let (to, steps) = (self.place_of(buffer, index), self.steps(index));
        self.insts.push(match self.is_local(buffer) {
            true => {
                let dst = Slot::Kept(self.kept[buffer.0 as usize] + to.first as usize);
                Inst::Keep { dst, from, steps, dtype, uniform }
            }
            false => Inst::Write { from, to, steps, dtype, uniform },
        });
    }

    fn compute(&mut self, x: ExprId) {
        if let Some(Read { buffer, index, .. }) = self.program.read(x)
            && self.plain_read(x).is_none()
        {
            let (dst, dtype, uniform) = (self.room(x), self.dtype(x), self.is_uniform(x));
            let (from, steps) = (self.place_of(*buffer, index), self.steps(index));
            self.insts.push(match self.is_local(*buffer) {
                true => {
                    let from = Slot::Kept(self.kept[buffer.0 as usize] + from.first as usize);
                    Inst::Recall { dst, from, steps, dtype }
                }
                false => Inst::Read { dst, from, steps, dtype, uniform },
            });
            return;
        }
        let product = self.product(x);
        let fused = product.and_then(|product| fused_instruction(self, x, product));
        let Some(call) = fused.or_else(|| instruction(self, x)) else {
            match self.expr(x) {
                // These are there without being computed.
                Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } => return,
                expr => unreachable!("the type rules leave no {expr:?} without a kernel"),
            }
        };
        let mut slots = [Slot::Cell(0); 3];
        let mut spare = Vec::new();
        for (slot, (operand, as_tile)) in slots.iter_mut().zip(call.operands) {
            *slot = self.place(operand);
            if as_tile && let Slot::Cell(_) = *slot {
                let (dst, dtype) = (self.register(), self.dtype(operand));
                self.insts.push(Inst::Splat { dst, from: *slot, dtype });
                spare.push(dst);
                *slot = dst;
            }
        }
        // Operands are released after this, so that the result never lies where one of them does.
        let dst = self.room(x);
        let [a, b, c] = slots;
        self.insts.push(Inst::Call { f: call.f, dst, a, b, c, uniform: call.uniform });
        self.free.extend(spare);
    }

    /// A copy of a value to where another one lies.
    fn copy(&mut self, dst: Slot, from: ExprId) -> Inst {
        let (dtype, place) = (self.dtype(from), self.place(from));
        match (dst, place) {
            (Slot::Register(_), Slot::Cell(_)) => Inst::Splat { dst, from: place, dtype },
            _ => Inst::Copy { dst, from: place, dtype },
        }
    }

    fn block(&mut self, block: &[Stmt], ends: &[Vec<ExprId>]) -> Vec<Inst> {
        let outer = std::mem::take(&mut self.insts);
        for (stmt, ends) in block.iter().zip(ends) {
            self.stmt(stmt);
            ends.iter().for_each(|&x| self.release(x));
        }
        std::mem::replace(&mut self.insts, outer)
    }

    fn repeat(&mut self, each: &Loop) {
        let passed: Vec<&Carried> =
            each.carried.iter().filter(|p| self.is_needed(p.value)).collect();
        for p in &passed {
            let dst = self.room(p.value);
            let begin = self.copy(dst, p.start);
            self.insts.push(begin);
        }
        let kept: Vec<ExprId> = passed.iter().map(|p| p.next).collect();
        let on = on(each);
        // What the loop reads of what is computed before it.
        let mut captured = Vec::new();
        inner(each).for_each(|stmt| self.for_reads(stmt, &mut |x| captured.push(x)));
        captured.extend(&kept);
        captured.extend(on);
        captured.sort_unstable_by_key(|x| x.0);
        captured.dedup();
        captured.retain(|&x| {
            self.places[x.index()].is_some()
                && !self.is_uniform(x)
                && passed.iter().all(|p| p.value != x)
        });
        // Head and body are one block, whose last values are passed on.
        let mut ends = self.joint_ends(each, &kept, on);
        let rest = ends.split_off(head(each).len());
        let before = self.block(head(each), &ends);
        let mut body = self.block(&each.body, &rest);
        let outer = std::mem::take(&mut self.insts);
        // A value that another one takes over is saved first.
        let is_passed = |x: ExprId| passed.iter().any(|p| p.value == x);
        let mut spare = Vec::new();
        let mut last = Vec::new();
        for p in passed.iter().filter(|p| p.next != p.value) {
            let Some(dst) = self.places[p.value.index()] else { continue };
            let copy = match (is_passed(p.next), self.is_uniform(p.next)) {
                (true, uniform) => {
                    let save = if uniform { self.cell() } else { self.register() };
                    let first = self.copy(save, p.next);
                    body.push(first);
                    spare.push(save);
                    let dtype = self.dtype(p.next);
                    match (dst, save) {
                        (Slot::Register(_), Slot::Cell(_)) => {
                            Inst::Splat { dst, from: save, dtype }
                        }
                        _ => Inst::Copy { dst, from: save, dtype },
                    }
                }
                (false, _) => self.copy(dst, p.next),
            };
            last.push(copy);
        }
        body.extend(last);
        self.insts = outer;
        spare.retain(|slot| matches!(slot, Slot::Register(_)));
        self.free.extend(spare);
        let test = self.test(each, &passed, &captured);
        // The condition and the next values are no longer needed.
        for x in kept.into_iter().chain(on) {
            if is_inner(each, x) {
                self.release(x);
            }
        }
        let axis = each.axis.0;
        self.insts.push(Inst::Repeat { head: before, test, body, axis });
    }

    /// How long a loop goes on.
    fn test(&mut self, each: &Loop, passed: &[&Carried], captured: &[ExprId]) -> Test {
        let (on, limit) = match each.kind {
            Kind::Serial { reverse } => {
                let count = self.program.axes[each.axis.0 as usize];
                return Test::Count { count, reverse };
            }
            Kind::While { on, limit, .. } => (on, limit),
            Kind::Grid | Kind::Lanes => unreachable!("a loop in a loop over examples is serial"),
        };
        let slot = self.place(on);
        if self.is_uniform(on) {
            return Test::While { on: slot, limit };
        }
        let place = |x: &ExprId| Some((self.places[x.index()]?, self.program.dtypes[x.index()]));
        let tiles = passed.iter().map(|p| p.value).filter(|x| self.varying[x.index()]);
        let state: SmallVec<[(Slot, DType); 8]> = tiles.filter_map(|x| place(&x)).collect();
        let captured: SmallVec<[(Slot, DType); 8]> = captured.iter().filter_map(place).collect();
        // Where finished examples wait: the results, and what was there before.
        let spare = self.registers;
        self.registers += state.len() + captured.len();
        Test::Any { on: slot, limit, state, captured, spare }
    }

    /// As [`Emitter::ends`], of head and body together; what is passed on stays to the end.
    fn joint_ends(&self, each: &Loop, kept: &[ExprId], on: Option<ExprId>) -> Vec<Vec<ExprId>> {
        let head = head(each);
        let count = head.len() + each.body.len();
        // Values of the head that the body reads end there.
        let mut ends: Vec<Vec<ExprId>> = vec![Vec::new(); count];
        let mut last: HashMap<ExprId, usize> = HashMap::new();
        for (at, values) in self.ends(head, &[]).iter().enumerate() {
            last.extend(values.iter().map(|&x| (x, at)));
        }
        for (at, stmt) in each.body.iter().enumerate() {
            self.for_reads(stmt, &mut |x| {
                if let Some(last) = last.get_mut(&x) {
                    *last = head.len() + at;
                }
            });
        }
        for (at, values) in self.ends(&each.body, &[]).iter().enumerate() {
            last.extend(values.iter().map(|&x| (x, head.len() + at)));
        }
        for x in kept.iter().copied().chain(on) {
            // They are released after the loop.
            last.remove(&x);
        }
        let mut sorted: Vec<(ExprId, usize)> = last.into_iter().collect();
        sorted.sort_unstable_by_key(|(x, _)| x.0);
        for (x, at) in sorted {
            ends[at].push(x);
        }
        ends
    }
}

/// Whether a loop computes a value.
fn is_inner(each: &Loop, x: ExprId) -> bool {
    inner(each).any(|stmt| match stmt {
        Stmt::Let(y) => *y == x,
        Stmt::Loop(inner) => inner.carried.iter().any(|p| p.value == x),
        Stmt::Store { .. } => false,
    })
}
