//! The second tier: equal programs in one e-graph, and the cheapest of them.

use std::collections::{HashMap, HashSet};

use egg::Id;
use smallvec::SmallVec;
use unloop_graph::backend::Rewriting;
use unloop_graph::{
    Array, BinaryOp, DotDims, Graph, GraphBuilder, Node, Op, Shape, TensorType, ValueId, cancel,
};

use crate::contract::contract;
use crate::cost;
use crate::language::{Enode, Programs, Term};

/// A rule for an operation: another program for its value.
struct Rule {
    name: &'static str,
    class: Rewriting,
    apply: fn(&mut Programs, &Op, &[Id]) -> Option<Id>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "sum of products = contraction",
        class: Rewriting::Reassociating,
        apply: contract,
    },
    Rule { name: "a⁻¹·b = solve(a, b)", class: Rewriting::Reassociating, apply: inverse_times },
    Rule {
        name: "x·a ± x·b = x·(a ± b)", class: Rewriting::Reassociating, apply: common_factor
    },
];

/// Rounds of rules; three give nearly all the gain.
const ROUNDS: usize = 3;
/// Larger programs are tidied only.
const MAX_NODES: usize = 5_000;

/// A cheaper program, if there is one.
pub(crate) fn run(
    graph: &Graph,
    known: &[Array],
    rewriting: Rewriting,
    fired: &mut Vec<&'static str>,
) -> Option<Graph> {
    // Programs without a sum, a contraction or a solve have nothing to choose.
    let choosable = |node: &Node| matches!(node.op, Op::Reduce { .. } | Op::Dot(_));
    let nodes = graph.nodes().len();
    if nodes > MAX_NODES || !graph.nodes().iter().any(choosable) {
        return None;
    }
    let mut programs = Programs::new();
    let roots = read(&mut programs, graph, known);
    programs.egraph.rebuild();
    let limit = 4 * nodes + 2_000;
    let mut names: HashMap<Id, &'static str> = HashMap::new();
    // Operations that were looked at; what has changed is another operation.
    let mut seen: HashSet<(Op, Vec<Id>)> = HashSet::new();
    for _ in 0..ROUNDS {
        // Nobody wants the result any more.
        if cancel::check().is_err() {
            return None;
        }
        let mut found = Vec::new();
        // In the order of age, so that the same program is rewritten in the same way.
        let mut classes: Vec<(usize, Id)> =
            programs.egraph.classes().map(|c| (c.data.first.0, c.id)).collect();
        classes.sort_unstable();
        for (_, id) in classes {
            let ops: Vec<(Op, Vec<Id>)> =
                programs.ops(id).map(|(op, x)| (op.clone(), x.to_vec())).collect();
            for (op, operands) in ops {
                let key = (op, operands);
                if seen.contains(&key) {
                    continue;
                }
                let (op, operands) = key.clone();
                seen.insert(key);
                for rule in RULES.iter().filter(|rule| rule.class <= rewriting) {
                    if programs.egraph.total_size() > limit {
                        break;
                    }
                    programs.egraph.analysis.place = programs.egraph[id].data.place;
                    if let Some(other) = (rule.apply)(&mut programs, &op, &operands) {
                        found.push((id, other, rule.name));
                    }
                }
            }
        }
        let mut changed = false;
        for (id, other, name) in found {
            if programs.egraph.find(id) != programs.egraph.find(other)
                && programs.egraph[id].data.types == programs.egraph[other].data.types
            {
                names.insert(other, name);
                programs.egraph.union(id, other);
                changed = true;
            }
        }
        programs.egraph.rebuild();
        if !changed {
            break;
        }
    }
    let mut choice = Choice::new(&programs, &roots);
    let swapped = choice.improve();
    if swapped.is_empty() {
        return None;
    }
    let better = choice.graph(graph)?;
    for id in swapped {
        let same = |other: &&Id| programs.egraph.find(**other) == id;
        let other = names.keys().filter(same).min();
        fired.extend(other.and_then(|other| names.get(other)));
    }
    Some(better)
}

/// Reads a program; the classes of its outputs.
fn read(programs: &mut Programs, graph: &Graph, known: &[Array]) -> Vec<Id> {
    let mut values: Vec<Id> = Vec::new();
    let first_known = graph.inputs().len() - known.len().min(graph.inputs().len());
    for (i, ty) in graph.inputs().iter().enumerate() {
        let value = i.checked_sub(first_known).and_then(|k| known.get(k));
        let identity = value.is_some_and(Array::is_identity);
        values.push(programs.term(Term::Input { number: i, ty: ty.clone(), identity }, &[]));
    }
    for node in graph.nodes() {
        programs.egraph.analysis.place = node.place;
        let operands: Vec<Id> = node.operands.iter().map(|v| values[v.index()]).collect();
        let whole = programs.term(Term::Op(Box::new(node.op.clone())), &operands);
        match node.op.result_count() {
            1 => values.push(whole),
            n => values.extend((0..n).map(|k| programs.term(Term::Result(k), &[whole]))),
        }
    }
    programs.egraph.analysis.reading = false;
    graph.outputs().iter().map(|v| values[v.index()]).collect()
}

/// One node for each class: at first the oldest, which is a program without cycles.
struct Choice<'a> {
    programs: &'a Programs,
    roots: Vec<Id>,
    chosen: HashMap<Id, Enode>,
}

impl<'a> Choice<'a> {
    fn new(programs: &'a Programs, roots: &[Id]) -> Choice<'a> {
        let chosen =
            programs.egraph.classes().map(|class| (class.id, class.data.first.1.clone())).collect();
        let roots = roots.iter().map(|&id| programs.egraph.find(id)).collect();
        Choice { programs, roots, chosen }
    }

    fn node(&self, id: Id) -> Option<&Enode> {
        self.chosen.get(&self.programs.egraph.find(id))
    }

    /// The classes that the outputs need, operands first; `None` if there is a cycle.
    fn order(&self) -> Option<Vec<Id>> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Open,
            Done,
        }
        let mut state: HashMap<Id, State> = HashMap::new();
        let mut order = Vec::new();
        let mut stack: Vec<(Id, usize)> = Vec::new();
        for &root in &self.roots {
            if state.contains_key(&root) {
                continue;
            }
            state.insert(root, State::Open);
            stack.push((root, 0));
            while let Some((id, next)) = stack.pop() {
                let operand = self.node(id)?.operands.get(next).copied();
                let Some(operand) = operand else {
                    state.insert(id, State::Done);
                    order.push(id);
                    continue;
                };
                stack.push((id, next + 1));
                let operand = self.programs.egraph.find(operand);
                match state.get(&operand) {
                    Some(State::Open) => return None,
                    Some(State::Done) => {}
                    None => {
                        state.insert(operand, State::Open);
                        stack.push((operand, 0));
                    }
                }
            }
        }
        Some(order)
    }

    /// The predicted time of the program, every value once.
    fn cost(&self) -> Option<f64> {
        let mut total = 0.0;
        for id in self.order()? {
            total += self.cost_of(id)?;
        }
        // Results that are views of something else are copied.
        for &root in &self.roots {
            if self.is_view(root) {
                total += cost::of_writing(self.programs.ty(root));
            }
        }
        Some(total)
    }

    fn cost_of(&self, id: Id) -> Option<f64> {
        let node = self.node(id)?;
        let Term::Op(op) = self.programs.egraph.analysis.term(node) else { return Some(0.0) };
        let types: Vec<&TensorType> =
            node.operands.iter().map(|&id| self.programs.ty(id)).collect();
        let mut cost = cost::of_op(op, &types, &self.programs.egraph[id].data.types);
        if matches!(**op, Op::Dot(_)) {
            // Products read memory: what is fused elsewhere is written for them.
            for (&operand, ty) in node.operands.iter().zip(&types) {
                if self.is_virtual(operand) {
                    cost += cost::of_writing(ty);
                }
            }
        }
        Some(cost)
    }

    fn is_view(&self, id: Id) -> bool {
        let op = self.node(id).map(|node| self.programs.egraph.analysis.term(node));
        let Some(Term::Op(op)) = op else { return false };
        cost::is_copied_view(op)
    }

    /// Whether a value would be fused into what reads it.
    fn is_virtual(&self, mut id: Id) -> bool {
        loop {
            let Some(node) = self.node(id) else { return false };
            let Term::Op(op) = self.programs.egraph.analysis.term(node) else { return false };
            match **op {
                Op::Transpose(_) | Op::Reshape(_) | Op::Slice(_) => id = node.operands[0],
                Op::Broadcast { .. } => return true,
                _ if op.is_elementwise() => return true,
                _ => return false,
            }
        }
    }

    /// Swaps nodes for as long as the program becomes cheaper; the classes that were swapped.
    fn improve(&mut self) -> Vec<Id> {
        let mut swapped = Vec::new();
        let Some(mut cost) = self.cost() else { return swapped };
        let mut changed = true;
        while changed {
            changed = false;
            let Some(order) = self.order() else { return swapped };
            for id in order.into_iter().rev() {
                let class = &self.programs.egraph[id];
                if class.nodes.len() < 2 {
                    continue;
                }
                for node in &class.nodes {
                    let Some(old) = self.chosen.insert(id, node.clone()) else { continue };
                    match self.cost() {
                        Some(other) if other < cost * (1.0 - 1e-9) => {
                            cost = other;
                            changed = true;
                            swapped.push(id);
                        }
                        _ => {
                            self.chosen.insert(id, old);
                        }
                    }
                }
            }
        }
        swapped.sort_unstable();
        swapped.dedup();
        swapped
    }

    /// The chosen program.
    fn graph(&self, like: &Graph) -> Option<Graph> {
        let mut builder = GraphBuilder::new(like.inputs().to_vec());
        let mut values: HashMap<Id, ValueId> = HashMap::new();
        for id in self.order()? {
            let node = self.node(id)?;
            let operand =
                |k: usize| values.get(&self.programs.egraph.find(node.operands[k])).copied();
            let value = match self.programs.egraph.analysis.term(node) {
                Term::Input { number, .. } => ValueId(*number as u32),
                Term::Result(k) => ValueId(operand(0)?.0 + *k as u32),
                Term::Op(op) => {
                    let operands: Option<SmallVec<[ValueId; 3]>> =
                        (0..node.operands.len()).map(operand).collect();
                    let place = self.programs.egraph[id].data.place;
                    builder.push((**op).clone(), &operands?, place).ok()?
                }
            };
            values.insert(id, value);
        }
        let outputs: Option<Vec<ValueId>> =
            self.roots.iter().map(|id| values.get(id).copied()).collect();
        Some(builder.finish(&outputs?))
    }
}

/// Whether a value is the identity matrix, or a stack of it.
fn is_identity(programs: &Programs, value: Id) -> bool {
    let is_known = |node: &Enode| {
        matches!(programs.egraph.analysis.term(node), Term::Input { identity: true, .. })
    };
    programs.egraph[value].nodes.iter().any(is_known)
}

/// `a⁻¹·b`: one solve of as many columns as `b` has.
fn inverse_times(programs: &mut Programs, op: &Op, x: &[Id]) -> Option<Id> {
    let Op::Dot(dims) = op else { return None };
    let (rank, other) = (programs.ty(x[0]).rank(), programs.ty(x[1]).rank());
    // The columns of the inverse meet the rows of `b`, of which there is one or one an inverse.
    let batch = rank.checked_sub(2)?;
    let leads = |axes: &[usize]| axes.iter().copied().eq(0..batch);
    let own = leads(&dims.lhs_batch) && leads(&dims.rhs_batch);
    let shared = dims.lhs_batch.is_empty();
    let first = if own { batch } else { 0 };
    let columns = other.checked_sub(first + 1)?;
    let fits = (own || shared)
        && *dims.lhs_contract == [rank - 1]
        && *dims.rhs_contract == [first]
        && columns <= 1;
    if !fits {
        return None;
    }
    let (solve, matrix) = programs.ops(x[0]).find_map(|(op, operands)| match op {
        Op::Solve { .. } if is_identity(programs, operands[1]) => Some((op.clone(), operands[0])),
        _ => None,
    })?;
    let stack: Shape = programs.ty(x[0]).shape[..batch].iter().copied().collect();
    let mut b = x[1];
    if !own {
        let shape = stack.concat(&programs.ty(b).shape);
        let dims = (batch..shape.rank()).collect();
        b = programs.add(Op::Broadcast { shape, dims }, &[b])?;
    }
    let shape = programs.ty(b).shape.clone();
    match columns {
        1 => programs.add(solve, &[matrix, b]),
        _ => {
            let column = programs.add(Op::Reshape(shape.concat(&[1])), &[b])?;
            let solution = programs.add(solve, &[matrix, column])?;
            programs.add(Op::Reshape(shape), &[solution])
        }
    }
}

/// `x·a + x·b`, of numbers or of matrices.
fn common_factor(programs: &mut Programs, op: &Op, x: &[Id]) -> Option<Id> {
    let Op::Binary(sign @ (BinaryOp::Add | BinaryOp::Sub)) = op else { return None };
    let products = |value: Id| -> Vec<(Option<DotDims>, [Id; 2])> {
        let product = |(op, x): (&Op, &[Id])| match op {
            Op::Binary(BinaryOp::Mul) => Some((None, [x[0], x[1]])),
            Op::Dot(dims) => Some((Some(dims.clone()), [x[0], x[1]])),
            _ => None,
        };
        programs.ops(value).filter_map(product).collect()
    };
    if !programs.ty(x[0]).dtype.is_float() {
        return None;
    }
    for (dims, left) in products(x[0]) {
        for (other, right) in products(x[1]) {
            if dims != other {
                continue;
            }
            for (i, j) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
                let crossed = i != j && dims.is_some();
                if crossed
                    || programs.egraph.find(left[i]) != programs.egraph.find(right[j])
                    || programs.ty(left[1 - i]) != programs.ty(right[1 - j])
                {
                    continue;
                }
                let (a, b) = (left[1 - i], right[1 - j]);
                let sum = programs.add(Op::Binary(*sign), &[a, b])?;
                let operands = if i == 0 { [left[0], sum] } else { [sum, left[1]] };
                return programs.add(dims.map_or(Op::Binary(BinaryOp::Mul), Op::Dot), &operands);
            }
        }
    }
    None
}
