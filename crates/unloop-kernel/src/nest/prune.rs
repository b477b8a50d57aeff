//! Leaving out what no store needs.

use std::collections::HashMap;

use super::{Kind, Loop, Nest, Stmt, for_loops};
use crate::ir::ExprId;

impl Nest {
    /// The nest without what is computed or passed on in vain. Numbers of expressions stay.
    pub fn pruned(mut self) -> Nest {
        let needed = self.needed();
        let is_needed = |x: ExprId| needed[x.index()];
        self.body = pruned(std::mem::take(&mut self.body), &is_needed);
        self
    }

    /// Which expressions some store needs.
    fn needed(&self) -> Vec<bool> {
        // The loop that passes each value on.
        let mut passed: HashMap<ExprId, (&Loop, usize)> = HashMap::new();
        let mut open: Vec<ExprId> = Vec::new();
        // What is stored, and the computed parts of where.
        let mut stores = |block: &[Stmt]| {
            for stmt in block {
                if let Stmt::Store { value, index, .. } = stmt {
                    open.push(*value);
                    open.extend(index.computed);
                }
            }
        };
        stores(&self.body);
        for_loops(&self.body, &mut |each| {
            stores(&each.body);
            if let Kind::While { head, .. } = &each.kind {
                stores(head);
            }
            passed.extend(each.carried.iter().enumerate().map(|(i, p)| (p.value, (each, i))));
        });
        let mut needed = vec![false; self.exprs.len()];
        // A loop that goes on as long as something is true needs that if it stores, or is needed.
        for_loops(&self.body, &mut |each| {
            if let Kind::While { on, .. } = each.kind
                && has_stores(&each.body)
            {
                open.push(on);
            }
        });
        while let Some(x) = open.pop() {
            if std::mem::replace(&mut needed[x.index()], true) {
                continue;
            }
            open.extend(self.operands(x));
            if let Some((each, i)) = passed.get(&x) {
                open.extend([each.carried[*i].start, each.carried[*i].next]);
                if let Kind::While { on, .. } = each.kind {
                    open.push(on);
                }
            }
        }
        needed
    }
}

fn has_stores(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Let(_) => false,
        Stmt::Store { .. } => true,
        Stmt::Loop(each) => has_stores(&each.body),
    })
}

/// A block without what is not needed.
fn pruned(block: Vec<Stmt>, is_needed: &impl Fn(ExprId) -> bool) -> Vec<Stmt> {
    let keep = |stmt: Stmt| match stmt {
        Stmt::Let(x) => is_needed(x).then_some(Stmt::Let(x)),
        Stmt::Store { .. } => Some(stmt),
        Stmt::Loop(mut each) => {
            each.carried.retain(|p| is_needed(p.value));
            each.body = pruned(each.body, is_needed);
            if let Kind::While { head, .. } = &mut each.kind {
                *head = pruned(std::mem::take(head), is_needed);
            }
            let runs = !each.carried.is_empty() || has_stores(&each.body);
            runs.then_some(Stmt::Loop(each))
        }
    };
    block.into_iter().filter_map(keep).collect()
}
