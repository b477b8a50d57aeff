//! Which value lies in which register, and in memory.

use unloop_kernel::{Carried, Expr, ExprId, Loop};

use super::emit::{Emitter, State};
use super::machine::{Machine, Reg, Source, VECTOR};

impl<M: Machine> Emitter<'_, M> {
    /// Room for a vector.
    pub(super) fn slot(&mut self, x: ExprId) -> i32 {
        let now = self.now;
        let uses = self.uses;
        let (free, used) = (&mut self.free, &mut self.used);
        used.retain(|(y, at)| {
            let is_used = uses.last[y.index()] >= now;
            if !is_used {
                free.push(*at);
            }
            is_used
        });
        let at = self.free.pop().unwrap_or_else(|| {
            self.frame = self.frame.next_multiple_of(VECTOR) + VECTOR;
            (self.frame - VECTOR) as i32
        });
        self.used.push((x, at));
        at
    }

    /// A register for something new.
    pub(super) fn register(&mut self) -> Reg {
        let is_pinned = |r: usize| self.pinned.contains(&(r as Reg));
        let next = |r: usize| self.registers[r].and_then(|x| self.uses.next(x, self.now));
        // One without a value that is read again, else the one that is read latest.
        let candidates = (0..M::REGISTERS).filter(|&r| !is_pinned(r));
        let best = candidates.max_by_key(|&r| (next(r).is_none(), next(r)));
        let Some(r) = best else { unreachable!("an expression has few operands") };
        self.drop_from(r as Reg);
        self.pinned.push(r as Reg);
        r as Reg
    }

    /// Takes a value out of a register; if it is read again, from memory.
    pub(super) fn drop_from(&mut self, r: Reg) {
        let Some(x) = self.registers[r as usize].take() else { return };
        self.place[x.index()] = None;
        if self.uses.next(x, self.now).is_some() {
            self.needs_home(x);
        }
    }

    /// Where a value lies in memory; this is known in the next round, if not yet.
    pub(super) fn needs_home(&mut self, x: ExprId) -> Source {
        if let Some(home) = self.home[x.index()] {
            return home;
        }
        self.changed |= !self.spilled[x.index()];
        self.spilled[x.index()] = true;
        let home = Source::Frame(self.slot(x));
        self.home[x.index()] = Some(home);
        home
    }

    pub(super) fn put(&mut self, x: ExprId, r: Reg) {
        self.registers[r as usize] = Some(x);
        self.place[x.index()] = Some(r);
    }

    /// Says that a value lies in a register now, and puts it where it must lie in memory.
    pub(super) fn define(&mut self, x: ExprId, r: Reg) {
        self.put(x, r);
        if self.spilled[x.index()] {
            let home = self.needs_home(x);
            self.machine.copy(home, Source::Reg(r));
        }
    }

    /// The register of a value, which stays there until the statement ends.
    pub(super) fn get(&mut self, x: ExprId) -> Reg {
        if let Some(r) = self.place[x.index()] {
            self.pinned.push(r);
            return r;
        }
        let r = self.register();
        let home = self.needs_home(x);
        self.machine.copy(Source::Reg(r), home);
        self.put(x, r);
        r
    }

    /// A value wherever it lies: in memory, if it would take another value's register.
    pub(super) fn source(&mut self, x: ExprId) -> Source {
        if let Some(r) = self.place[x.index()] {
            self.pinned.push(r);
            return Source::Reg(r);
        }
        let is_free = |r: usize| {
            let next = self.registers[r].and_then(|x| self.uses.next(x, self.now));
            next.is_none() && !self.pinned.contains(&(r as Reg))
        };
        match (0..M::REGISTERS).any(is_free) {
            true => Source::Reg(self.get(x)),
            false => self.needs_home(x),
        }
    }

    /// Brings the values of a state into its registers, with new ones of some of them; those that must lie in
    /// memory are written there.
    pub(super) fn bring(&mut self, state: &State, passed: &[(ExprId, ExprId)]) {
        let mut moves: Vec<(Source, Source)> = Vec::new();
        let from = |emitter: &mut Self, x: ExprId| match emitter.place[x.index()] {
            Some(r) => Source::Reg(r),
            None => emitter.needs_home(x),
        };
        for &(value, next) in passed {
            if self.uses.of[value.index()].is_empty() && !self.spilled[value.index()] {
                continue;
            }
            let source = from(self, next);
            if self.spilled[value.index()] {
                moves.push((self.needs_home(value), source));
            }
        }
        for (r, value) in state.iter().enumerate() {
            let Some(x) = *value else { continue };
            let next = passed.iter().find(|(value, _)| *value == x).map_or(x, |(_, next)| *next);
            moves.push((Source::Reg(r as Reg), from(self, next)));
        }
        moves.retain(|(to, from)| to != from);
        while !moves.is_empty() {
            let is_read = |to: &Source| moves.iter().any(|(_, from)| from == to);
            match moves.iter().position(|(to, _)| !is_read(to)) {
                Some(i) => {
                    let (to, from) = moves.swap_remove(i);
                    self.machine.copy(to, from);
                }
                None => {
                    // A circle: what is overwritten first waits in the frame.
                    let to = moves[0].0;
                    self.frame = self.frame.next_multiple_of(VECTOR) + VECTOR;
                    let aside = Source::Frame((self.frame - VECTOR) as i32);
                    self.machine.copy(aside, to);
                    for (_, from) in &mut moves {
                        if *from == to {
                            *from = aside;
                        }
                    }
                }
            }
        }
        self.restore(state);
    }

    pub(super) fn restore(&mut self, state: &State) {
        self.place.iter_mut().for_each(|place| *place = None);
        self.registers.clone_from(state);
        for (r, value) in state.iter().enumerate() {
            if let Some(x) = value {
                self.place[x.index()] = Some(r as Reg);
            }
        }
    }

    /// The first values of what a loop passes on, and what stays in registers all the time.
    pub(super) fn begin(&mut self, each: &Loop) {
        let uses = self.uses;
        let end = uses.end[&each.axis];
        // What is read behind the loop only lies in memory meanwhile.
        let now = self.now;
        self.now += 1;
        for r in 0..M::REGISTERS {
            let Some(x) = self.registers[r] else { continue };
            let is_start = each.carried.iter().any(|p| p.start == x);
            let is_within = uses.next(x, now + 1).is_some_and(|next| next <= end);
            if !is_within && !is_start {
                self.drop_from(r as Reg);
            }
        }
        self.now = now;
        let mut passed: Vec<&Carried> = each.carried.iter().collect();
        passed.sort_by_key(|p| uses.next(p.value, now + 1).unwrap_or(u32::MAX));
        for p in passed {
            let (value, start) = (p.value, p.start);
            if uses.of[value.index()].is_empty() && !self.spilled[value.index()] {
                continue;
            }
            let from = match self.place[start.index()] {
                Some(r) => Source::Reg(r),
                None => self.needs_home(start),
            };
            if self.spilled[value.index()] {
                let home = self.needs_home(value);
                self.machine.copy(home, from);
            }
            let others = each.carried.iter().filter(|q| q.start == start).count();
            let ends = uses.next(start, now + 1).is_none() && others == 1;
            if let (Source::Reg(r), true) = (from, ends) {
                self.place[start.index()] = None;
                self.put(value, r);
                continue;
            }
            if let Source::Reg(r) = from {
                self.pinned.push(r);
            }
            let taken = self.registers.iter().flatten();
            let is_busy = taken.filter(|x| each.carried.iter().any(|p| p.value == **x)).count();
            if is_busy + 3 >= M::REGISTERS {
                // Others are read before it.
                self.needs_home_of(value, from);
                continue;
            }
            let r = self.register_but(each);
            self.machine.copy(Source::Reg(r), from);
            self.put(value, r);
            self.pinned.clear();
        }
        self.pinned.clear();
        // What nobody reads any more need not stay.
        for r in 0..M::REGISTERS {
            let Some(x) = self.registers[r] else { continue };
            let is_passed = each.carried.iter().any(|p| p.value == x);
            if !is_passed && uses.next(x, now + 1).is_none() {
                self.registers[r] = None;
                self.place[x.index()] = None;
            }
        }
    }

    /// Puts a value in memory that has no register.
    pub(super) fn needs_home_of(&mut self, value: ExprId, from: Source) {
        let known = self.home[value.index()].is_some();
        let home = self.needs_home(value);
        if !known {
            self.machine.copy(home, from);
        }
    }

    /// A register that holds none of what a loop passes on.
    pub(super) fn register_but(&mut self, each: &Loop) -> Reg {
        for r in 0..M::REGISTERS {
            let holds = |x: ExprId| {
                each.carried.iter().any(|p| p.value == x)
                    || each.carried.iter().any(|p| p.start == x)
            };
            if self.registers[r].is_some_and(holds) {
                self.pinned.push(r as Reg);
            }
        }
        let free = (0..M::REGISTERS).any(|r| !self.pinned.contains(&(r as Reg)));
        if !free {
            // Starts may leave their registers, too.
            self.pinned.retain(|&r| {
                let value = self.registers[r as usize];
                value.is_some_and(|x| each.carried.iter().any(|p| p.value == x))
            });
        }
        self.register()
    }

    /// Nothing is known of what lies where.
    pub(super) fn forget(&mut self) {
        self.registers.iter_mut().for_each(|register| *register = None);
        self.place.iter_mut().for_each(|place| *place = None);
        self.home.iter_mut().for_each(|home| *home = None);
        self.free.extend(self.used.drain(..).map(|(_, at)| at));
        for x in 0..self.nest.exprs.len() {
            if let Expr::Constant(value) = self.nest.exprs[x] {
                let at = self.machine.constant(value.bits(), value.dtype());
                self.home[x] = Some(Source::Constant(at));
            }
        }
    }
}
