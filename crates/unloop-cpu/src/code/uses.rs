//! When the statements of a nest read each value, in the order of the code.

use std::collections::HashMap;

use unloop_graph::DType;
use unloop_kernel::{AxisId, ExprId, Kind, Loop, Nest, Stmt};

/// When values are read, by the numbers of statements in their order.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) now: u32,
    /// The reads of each value.
    pub(super) of: Vec<Vec<u32>>,
    /// How long each value is kept.
    pub(super) last: Vec<u32>,
    /// The loops around the statement that computes each value.
    pub(super) depth: Vec<usize>,
    /// What each loop reads that is computed before it.
    pub(super) captured: HashMap<AxisId, Vec<ExprId>>,
    /// The statement at each loop's end.
    pub(super) end: HashMap<AxisId, u32>,
    /// The first number of what a loop passes on of lanes of which some are done.
    pub(super) mixed: HashMap<AxisId, u32>,
    pub(super) open: Vec<(AxisId, Vec<ExprId>)>,
    pub(super) dtypes: Vec<DType>,
}

impl Uses {
    pub(super) fn new(nest: &Nest) -> Uses {
        let count = nest.exprs.len();
        Uses {
            of: vec![Vec::new(); count],
            last: vec![0; count],
            depth: vec![0; count],
            dtypes: nest.dtypes.clone(),
            ..Uses::default()
        }
    }

    pub(super) fn read(&mut self, x: ExprId) {
        self.of[x.index()].push(self.now);
        self.last[x.index()] = self.now;
        let depth = self.depth[x.index()];
        for (_, captured) in self.open.iter_mut().skip(depth) {
            if !captured.contains(&x) {
                captured.push(x);
            }
        }
    }

    pub(super) fn define(&mut self, x: ExprId) {
        self.depth[x.index()] = self.open.len();
        self.last[x.index()] = self.last[x.index()].max(self.now);
    }

    pub(super) fn block(&mut self, nest: &Nest, block: &[Stmt], mixes: bool) {
        for stmt in block {
            self.now += 1;
            match stmt {
                Stmt::Let(x) => {
                    nest.operands(*x).into_iter().for_each(|x| self.read(x));
                    self.define(*x);
                }
                Stmt::Store { value, .. } => self.read(*value),
                Stmt::Loop(each) => self.repeat(nest, each, mixes),
            }
        }
    }

    pub(super) fn repeat(&mut self, nest: &Nest, each: &Loop, mixes: bool) {
        each.carried.iter().for_each(|p| self.read(p.start));
        self.open.push((each.axis, Vec::new()));
        each.carried.iter().for_each(|p| self.define(p.value));
        if let Kind::While { head, on, .. } = &each.kind {
            self.block(nest, head, mixes);
            self.now += 1;
            self.read(*on);
        }
        self.block(nest, &each.body, mixes);
        self.now += 1;
        self.end.insert(each.axis, self.now);
        each.carried.iter().for_each(|p| self.read(p.next));
        match each.kind {
            Kind::While { on, .. } if mixes => {
                self.read(on);
                each.carried.iter().for_each(|p| self.read(p.value));
                self.mixed.insert(each.axis, self.of.len() as u32);
                self.now += 1;
                for p in &each.carried {
                    self.of.push(vec![self.now]);
                    self.last.push(self.now);
                    self.depth.push(self.open.len());
                    self.dtypes.push(nest.dtype(p.value));
                }
            }
            _ => {}
        }
        let Some((_, captured)) = self.open.pop() else { unreachable!("the loop is open") };
        // They are there for the next run.
        for &x in &captured {
            self.read(x);
        }
        self.captured.insert(each.axis, captured);
        for p in &each.carried {
            self.last[p.value.index()] = self.last[p.value.index()].max(self.now);
            self.depth[p.value.index()] = self.open.len();
        }
    }

    /// The next statement from here on that reads a value.
    pub(super) fn next(&self, x: ExprId, now: u32) -> Option<u32> {
        let reads = &self.of[x.index()];
        reads.get(reads.partition_point(|&read| read < now)).copied()
    }
}
