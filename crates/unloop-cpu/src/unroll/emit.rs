//! From a program on numbers to instructions on tiles of examples: which values differ from example
//! to example, and where each lies.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::DType;
use unloop_kernel::{Expr, ExprId};

use super::ir::{Entry, Load, Passed, Repeat, Scalars, Stacked, Until};
use super::memory::{Examples, Store};
use super::tape::{GROUP, Inst, Slot, Test};
use crate::instruction::{Program, fused_instruction, instruction, operands, product_within};
use crate::simd::Simd;

/// What [`emit`] finds.
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
    program: &'a Scalars,
    inputs: &'a [Examples],
    outputs: &'a [Examples],
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
    /// The values of an input that are loaded together.
    groups: HashMap<(usize, (usize, usize)), Vec<ExprId>>,
    insts: Vec<Inst>,
}

/// Compiles a program whose inputs and outputs have the examples there.
pub(super) fn emit(
    program: &Scalars,
    (inputs, outputs): (&[Examples], &[Examples]),
    simd: Simd,
) -> Emitted {
    let count = program.exprs.len();
    let mut emitter = Emitter {
        program,
        inputs,
        outputs,
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
        groups: HashMap::new(),
        insts: Vec::new(),
    };
    emitter.find_varying();
    emitter.count_uses();
    let mut blocks = 0;
    emitter.find_fused(&program.block, &mut blocks);
    emitter.whole();
    let sizes = (0..count).filter(|&i| emitter.varying[i]).map(|i| program.dtypes[i].size());
    Emitted {
        widest: sizes.max().unwrap_or(8),
        insts: emitter.insts,
        constants: emitter.constants,
        cells: emitter.cells,
        registers: emitter.registers,
        kept: program.kept,
    }
}

/// Calls `f` for every loop in a block and within its loops.
fn for_loops<'a>(block: &'a [Entry], f: &mut impl FnMut(&'a Repeat)) {
    for entry in block {
        if let Entry::Repeat(repeat) = entry {
            f(repeat);
            for_loops(&repeat.head, f);
            for_loops(&repeat.body, f);
        }
    }
}

impl Program for Emitter<'_> {
    fn simd(&self) -> Simd {
        self.simd
    }

    fn expr(&self, x: ExprId) -> &Expr {
        &self.program.exprs[x.index()]
    }

    fn dtype(&self, x: ExprId) -> DType {
        self.program.dtypes[x.index()]
    }

    fn is_uniform(&self, x: ExprId) -> bool {
        !self.varying[x.index()]
    }
}

impl Emitter<'_> {
    fn find_varying(&mut self) {
        let program = self.program;
        for (x, expr) in program.exprs.iter().enumerate() {
            if let Expr::Load(i) = *expr
                && let Some(load) = program.loads.get(i)
            {
                self.varying[x] = match load.of {
                    Store::Input(input) => self.inputs[input].has,
                    Store::Kept(_) | Store::Output(_) => true,
                };
            }
        }
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (x, expr) in program.exprs.iter().enumerate() {
                let varies = operands(expr).iter().any(|o| self.varying[o.index()]);
                self.varying[x] |= varies;
            }
            for_loops(&program.block, &mut |repeat| {
                for p in &repeat.passed {
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
        let mut passed: HashMap<ExprId, (&Repeat, usize)> = HashMap::new();
        for_loops(&program.block, &mut |repeat| {
            passed.extend(repeat.passed.iter().enumerate().map(|(i, p)| (p.value, (repeat, i))));
        });
        let mut begun: Vec<*const Repeat> = Vec::new();
        let mut open: Vec<ExprId> = program.outputs.iter().flatten().copied().collect();
        for_loops(&program.block, &mut |repeat| {
            open.extend(repeat.stacked.iter().map(|s| s.value));
        });
        while let Some(x) = open.pop() {
            self.uses[x.index()] += 1;
            if self.uses[x.index()] > 1 {
                continue;
            }
            open.extend(operands(&program.exprs[x.index()]));
            let Some((repeat, i)) = passed.get(&x) else { continue };
            open.extend([repeat.passed[*i].start, repeat.passed[*i].next]);
            if let Until::False { on, .. } = repeat.until
                && !begun.contains(&std::ptr::from_ref(*repeat))
            {
                begun.push(*repeat);
                open.push(on);
            }
        }
    }

    fn is_needed(&self, x: ExprId) -> bool {
        self.uses[x.index()] > 0
    }

    /// Whether a loop passes on or writes anything that is needed.
    fn runs(&self, repeat: &Repeat) -> bool {
        !repeat.stacked.is_empty() || repeat.passed.iter().any(|p| self.is_needed(p.value))
    }

    /// Products that the sum which alone reads them takes in, in the same block.
    fn find_fused(&mut self, block: &[Entry], count: &mut usize) {
        *count += 1;
        let number = *count;
        for entry in block {
            match entry {
                Entry::Compute(x) if self.is_needed(*x) => {
                    self.home[x.index()] = number;
                    let is_free = |p: ExprId| {
                        let factors = operands(self.expr(p));
                        self.uses[p.index()] == 1
                            && self.home[p.index()] == number
                            && !factors.iter().all(|&f| self.is_uniform(f))
                    };
                    let product = product_within(self, self.expr(*x), is_free);
                    if let Some(product) = product {
                        self.fused[product.index()] = true;
                    }
                }
                Entry::Compute(_) => {}
                Entry::Repeat(repeat) => {
                    self.find_fused(&repeat.head, count);
                    self.find_fused(&repeat.body, count);
                }
            }
        }
    }

    /// The product that a needed value takes in.
    fn product(&self, x: ExprId) -> Option<ExprId> {
        product_within(self, self.expr(x), |p| self.fused[p.index()])
    }

    /// Calls `f` for each value that an entry reads: those of a fused product, too, and all that the
    /// entries within a loop read.
    fn for_reads(&self, entry: &Entry, f: &mut impl FnMut(ExprId)) {
        match entry {
            Entry::Compute(x) if self.is_needed(*x) && !self.fused[x.index()] => {
                let product = self.product(*x);
                for operand in operands(self.expr(*x)) {
                    match Some(operand) == product {
                        true => operands(self.expr(operand)).into_iter().for_each(&mut *f),
                        false => f(operand),
                    }
                }
            }
            Entry::Compute(_) => {}
            Entry::Repeat(repeat) if self.runs(repeat) => {
                for inner in repeat.head.iter().chain(&repeat.body) {
                    self.for_reads(inner, f);
                }
                for p in repeat.passed.iter().filter(|p| self.is_needed(p.value)) {
                    [p.start, p.next, p.value].into_iter().for_each(&mut *f);
                }
                repeat.stacked.iter().for_each(|s| f(s.value));
                if let Until::False { on, .. } = repeat.until {
                    f(on);
                }
            }
            Entry::Repeat(_) => {}
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

    /// The whole program: what is loaded when, and stored as soon as it is there.
    fn whole(&mut self) {
        let program = self.program;
        for (x, expr) in program.exprs.iter().enumerate() {
            let id = ExprId(x as u32);
            if let Expr::Load(i) = *expr
                && let Some(&Load { of: Store::Input(input), element, step: None }) =
                    program.loads.get(i)
                && self.is_needed(id)
            {
                let group = self.inputs[input].group(element);
                self.groups.entry((input, group)).or_default().push(id);
            }
        }
        // Outputs are stored when the last of a group is there.
        let mut defined = vec![0; program.exprs.len()];
        for (at, entry) in program.block.iter().enumerate() {
            match entry {
                Entry::Compute(x) => defined[x.index()] = at,
                Entry::Repeat(repeat) => {
                    repeat.passed.iter().for_each(|p| defined[p.value.index()] = at);
                }
            }
        }
        let mut stores: Vec<Vec<(usize, usize, &[ExprId])>> = vec![Vec::new(); program.block.len()];
        let mut kept = Vec::new();
        for (output, ids) in program.outputs.iter().enumerate() {
            let examples = &self.outputs[output];
            let mut first = 0;
            for row in ids.chunks(examples.inner) {
                for ids in row.chunks(GROUP) {
                    let at = ids.iter().map(|x| defined[x.index()]).max().unwrap_or(0);
                    stores[at].push((output, examples.at(first), ids));
                    kept.extend(ids.iter().map(|&x| (x, at)));
                    first += ids.len();
                }
            }
        }
        let ends = self.ends(&program.block, &kept);
        for (at, entry) in program.block.iter().enumerate() {
            self.load_for(entry);
            self.entry(entry);
            for &(output, first, ids) in &stores[at] {
                self.store(output, first, ids);
            }
            ends[at].iter().for_each(|&x| self.release(x));
        }
    }

    /// The values that each entry of a block is the last to read, among those that the block defines.
    fn ends(&self, block: &[Entry], kept: &[(ExprId, usize)]) -> Vec<Vec<ExprId>> {
        let mut last: HashMap<ExprId, usize> = HashMap::new();
        for (at, entry) in block.iter().enumerate() {
            match entry {
                Entry::Compute(x) => drop(last.insert(*x, at)),
                Entry::Repeat(repeat) => {
                    last.extend(repeat.passed.iter().map(|p| (p.value, at)));
                }
            }
        }
        for (at, entry) in block.iter().enumerate() {
            self.for_reads(entry, &mut |x| {
                if let Some(last) = last.get_mut(&x) {
                    *last = at.max(*last);
                }
            });
        }
        for (x, at) in kept {
            if let Some(last) = last.get_mut(x) {
                *last = (*at).max(*last);
            }
        }
        let mut ends = vec![Vec::new(); block.len()];
        let mut sorted: Vec<(ExprId, usize)> = last.into_iter().collect();
        sorted.sort_unstable_by_key(|(x, _)| x.0);
        for (x, at) in sorted {
            if let Some(list) = ends.get_mut(at) {
                list.push(x);
            }
        }
        ends
    }

    fn release(&mut self, x: ExprId) {
        if let Some(slot @ Slot::Register(_)) = self.places[x.index()] {
            self.free.push(slot);
            self.places[x.index()] = None;
        }
    }

    /// Loads what an entry of the outermost block reads.
    fn load_for(&mut self, entry: &Entry) {
        let mut wanted = Vec::new();
        self.for_reads(entry, &mut |x| wanted.push(x));
        for x in wanted {
            self.load(x);
        }
    }

    /// Loads a value, together with its neighbours, if it is one of an input.
    fn load(&mut self, x: ExprId) {
        let Expr::Load(i) = *self.expr(x) else { return };
        let Some(&Load { of: Store::Input(input), element, step: None }) =
            self.program.loads.get(i)
        else {
            return;
        };
        if self.places[x.index()].is_some() {
            return;
        }
        let dtype = self.dtype(x);
        if self.is_uniform(x) {
            let dst = self.room(x);
            let element = self.inputs[input].at(element);
            self.insts.push(Inst::LoadOne { dst, input, element, dtype });
            return;
        }
        let examples = self.inputs[input];
        let group = examples.group(element);
        let members = self.groups.remove(&(input, group)).unwrap_or_default();
        let mut to: SmallVec<[Option<Slot>; GROUP]> = SmallVec::new();
        let first = group.0 * examples.inner + group.1 * GROUP;
        for member in members {
            let Expr::Load(i) = *self.expr(member) else { continue };
            let at = self.program.loads[i].element - first;
            to.resize(to.len().max(at + 1), None);
            to[at] = Some(self.room(member));
        }
        self.insts.push(Inst::Load { to, input, first: examples.at(first), dtype });
    }

    fn store(&mut self, output: usize, first: usize, ids: &[ExprId]) {
        ids.iter().for_each(|&x| self.load(x));
        let dtype = ids.first().map_or(DType::F64, |&x| self.dtype(x));
        let mut spare = Vec::new();
        let from = ids.iter().map(|&x| match self.place(x) {
            place @ (Slot::Register(_) | Slot::Kept(_)) => Some(place),
            from @ Slot::Cell(_) => {
                let dst = self.register();
                spare.push(dst);
                self.insts.push(Inst::Splat { dst, from, dtype });
                Some(dst)
            }
        });
        let from = from.collect();
        self.insts.push(Inst::Store { from, output, first, dtype });
        self.free.extend(spare);
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Compute(x) if self.is_needed(*x) && !self.fused[x.index()] => self.compute(*x),
            Entry::Compute(_) => {}
            Entry::Repeat(repeat) if self.runs(repeat) => self.repeat(repeat),
            Entry::Repeat(_) => {}
        }
    }

    fn compute(&mut self, x: ExprId) {
        if let Expr::Load(i) = *self.expr(x)
            && let Some(&Load { of, element, step: Some(step) }) = self.program.loads.get(i)
        {
            let (dst, dtype, uniform) = (self.room(x), self.dtype(x), self.is_uniform(x));
            self.insts.push(match of {
                Store::Kept(start) => {
                    Inst::Recall { dst, from: Slot::Kept(start + element), step, dtype }
                }
                Store::Input(input) | Store::Output(input) => {
                    let examples = self.inputs[input];
                    let (element, step) = (examples.at(element), examples.step(step));
                    Inst::Read { dst, input, element, step, dtype, uniform }
                }
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

    fn block(&mut self, block: &[Entry], ends: &[Vec<ExprId>]) -> Vec<Inst> {
        let outer = std::mem::take(&mut self.insts);
        for (entry, ends) in block.iter().zip(ends) {
            self.entry(entry);
            ends.iter().for_each(|&x| self.release(x));
        }
        std::mem::replace(&mut self.insts, outer)
    }

    fn repeat(&mut self, repeat: &Repeat) {
        let passed: Vec<&Passed> =
            repeat.passed.iter().filter(|p| self.is_needed(p.value)).collect();
        for p in &passed {
            let dst = self.room(p.value);
            let begin = self.copy(dst, p.start);
            self.insts.push(begin);
        }
        let stacked = repeat.stacked.iter().map(|s| s.value);
        let kept: Vec<ExprId> = passed.iter().map(|p| p.next).chain(stacked).collect();
        let on = match repeat.until {
            Until::False { on, .. } => Some(on),
            Until::Count { .. } => None,
        };
        // What the loop reads of what is computed before it.
        let mut captured = Vec::new();
        for entry in repeat.head.iter().chain(&repeat.body) {
            self.for_reads(entry, &mut |x| captured.push(x));
        }
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
        let (head, whole) = (repeat.head.len(), repeat.head.len() + repeat.body.len());
        let end = whole.saturating_sub(1);
        let mut ends = self.joint_ends(repeat, &kept, on, end);
        let rest = ends.split_off(head.min(ends.len()));
        let head = self.block(&repeat.head, &ends);
        let mut body = self.block(&repeat.body, &rest);
        let outer = std::mem::take(&mut self.insts);
        for stacked in &repeat.stacked {
            let (dtype, place) = (self.dtype(stacked.value), self.place(stacked.value));
            let uniform = self.is_uniform(stacked.value);
            let &Stacked { of, element, step, .. } = stacked;
            body.push(match of {
                Store::Kept(start) => {
                    let dst = Slot::Kept(start + element);
                    Inst::Keep { dst, from: place, step, dtype, uniform }
                }
                Store::Output(output) | Store::Input(output) => {
                    let examples = self.outputs[output];
                    let (element, step) = (examples.at(element), examples.step(step));
                    Inst::Write { from: place, output, element, step, dtype, uniform }
                }
            });
        }
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
        let test = match (repeat.until, on.map(|on| (self.place(on), self.is_uniform(on)))) {
            (Until::Count { count, reverse }, _) => Test::Count { count, reverse },
            (Until::False { limit, .. }, Some((on, true))) => Test::While { on, limit },
            (Until::False { limit, .. }, slot) => {
                let slot = slot.map_or(Slot::Cell(0), |(slot, _)| slot);
                let place =
                    |x: &ExprId| Some((self.places[x.index()]?, self.program.dtypes[x.index()]));
                let is_tile = |x: &&ExprId| self.varying[x.index()];
                let values: Vec<ExprId> = passed.iter().map(|p| p.value).collect();
                let state = values.iter().filter(is_tile).filter_map(place).collect();
                let captured = captured.iter().filter_map(place).collect();
                Test::Any { on: slot, limit, state, captured, spare: 0 }
            }
        };
        // Where finished examples wait: the results, and what was there before.
        let test = match test {
            Test::Any { on, limit, state, captured, .. } => {
                let spare = self.registers;
                self.registers += state.len() + captured.len();
                Test::Any { on, limit, state, captured, spare }
            }
            test => test,
        };
        // The condition and the next values are no longer needed.
        for x in kept.into_iter().chain(on) {
            if self.is_local(repeat, x) {
                self.release(x);
            }
        }
        self.insts.push(Inst::Repeat { head, test, body });
    }

    fn is_local(&self, repeat: &Repeat, x: ExprId) -> bool {
        let is = |entry: &Entry| match entry {
            Entry::Compute(y) => *y == x,
            Entry::Repeat(inner) => inner.passed.iter().any(|p| p.value == x),
        };
        repeat.head.iter().chain(&repeat.body).any(is)
    }

    /// As [`Emitter::ends`], of head and body together; what is passed on stays to the end.
    fn joint_ends(
        &self,
        repeat: &Repeat,
        kept: &[ExprId],
        on: Option<ExprId>,
        end: usize,
    ) -> Vec<Vec<ExprId>> {
        let first = self.ends(&repeat.head, &[]);
        let head = repeat.head.len();
        // Values of the head that the body reads end there.
        let mut ends: Vec<Vec<ExprId>> = vec![Vec::new(); head + repeat.body.len()];
        let mut last: HashMap<ExprId, usize> = HashMap::new();
        for (at, values) in first.iter().enumerate() {
            last.extend(values.iter().map(|&x| (x, at)));
        }
        for (at, entry) in repeat.body.iter().enumerate() {
            self.for_reads(entry, &mut |x| {
                if let Some(last) = last.get_mut(&x) {
                    *last = head + at;
                }
            });
        }
        for (at, values) in self.ends(&repeat.body, &[]).iter().enumerate() {
            last.extend(values.iter().map(|&x| (x, head + at)));
        }
        for x in kept.iter().copied().chain(on) {
            // They are released after the loop.
            last.remove(&x);
        }
        let mut sorted: Vec<(ExprId, usize)> = last.into_iter().collect();
        sorted.sort_unstable_by_key(|(x, _)| x.0);
        for (x, at) in sorted {
            ends[at.min(end)].push(x);
        }
        ends
    }
}
