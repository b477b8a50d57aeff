//! Sums of products: a program of `Σ x·y·…`, however it was written, as a chain of matrix products
//! and sums in the cheapest order.
//!
//! Axes have labels: those of the result, and one for each axis that is summed. A factor is a value
//! with a label for each of its axes. Any order of contracting two factors at a time gives the same
//! sum; the cheapest over all orders is found by dynamic programming over sets of factors, as for
//! `einsum`.

use egg::Id;
use smallvec::{SmallVec, smallvec};
use unloop_graph::{
    Axes, BinaryOp, DType, DotDims, Number, Op, ReduceOp, Scalar, Shape, TensorType, UnaryOp,
};

use crate::cost;
use crate::language::Programs;

/// Factors are not taken apart beyond this number: there are `3ⁿ` ways to divide them.
const MAX_FACTORS: usize = 6;

/// A set of labels, one bit each.
type Set = u64;

fn members(set: Set) -> impl Iterator<Item = Label> {
    (0..Set::BITS as usize).filter(move |&l| has(set, l))
}

fn has(set: Set, label: Label) -> bool {
    set >> label & 1 == 1
}

fn set_of(labels: &[Label]) -> Set {
    labels.iter().fold(0, |set, &l| set | 1 << l)
}

type Label = usize;
type Labels = SmallVec<[Label; 6]>;

#[derive(Clone)]
struct Factor {
    value: Id,
    labels: Labels,
}

/// `scale · Σ Π factors`, over the labels that the result does not have.
struct SumOfProducts {
    /// The extent of each label.
    sizes: Vec<usize>,
    result: Labels,
    factors: Vec<Factor>,
    scale: f64,
    dtype: DType,
    /// How many factors there are, those included that are still to be taken apart.
    count: usize,
}

/// Another program for a sum of products or a contraction; `None` if the value is neither, or has
/// nothing to choose.
pub(crate) fn contract(programs: &mut Programs, op: &Op, operands: &[Id]) -> Option<Id> {
    let mut sum = SumOfProducts::of(programs, op, operands)?;
    // A sum of nothing is 0, also of what is not finite.
    if sum.sizes.len() > Set::BITS as usize || sum.sizes.contains(&0) {
        return None;
    }
    let naive = sum.factors.len() == 1 && sum.scale == 1.0 && matches!(op, Op::Reduce { .. });
    let spread = sum.factors.first().is_some_and(|f| f.labels.len() < sum.sizes.len());
    if naive && !spread {
        return None;
    }
    sum.reduce_alone(programs)?;
    let plan = sum.cheapest(programs);
    let last = sum.run(programs, &plan)?;
    if last.labels != sum.result && !sum.is_worth_a_copy(programs, op, operands) {
        return None;
    }
    sum.finish(programs, last)
}

impl SumOfProducts {
    fn of(programs: &Programs, op: &Op, operands: &[Id]) -> Option<SumOfProducts> {
        let dtype = programs.ty(*operands.first()?).dtype;
        if !dtype.is_float() {
            return None;
        }
        let (sizes, factors) = (Vec::new(), Vec::new());
        let result = Labels::new();
        let mut sum = SumOfProducts { sizes, result, factors, scale: 1.0, dtype, count: 1 };
        match op {
            Op::Reduce { op: ReduceOp::Sum, axes } => {
                let shape = programs.ty(operands[0]).shape.clone();
                let labels: Labels = shape.iter().map(|&size| sum.label(size)).collect();
                sum.result = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
                sum.take(programs, operands[0], &labels);
            }
            Op::Dot(dims) => {
                let (x, y) = (programs.ty(operands[0]), programs.ty(operands[1]));
                let free = |dims: &Axes, shape: &Shape| -> Shape {
                    dims.iter().map(|&a| shape[a]).collect()
                };
                let batch = free(&dims.lhs_batch, &x.shape);
                let left = free(&dims.lhs_free(x.rank()), &x.shape);
                let right = free(&dims.rhs_free(y.rank()), &y.shape);
                let shape = batch.concat(&left).concat(&right);
                sum.result = shape.iter().map(|&size| sum.label(size)).collect();
                let labels = sum.result.clone();
                sum.take_product(programs, dims, operands, &labels, 0);
            }
            // The order of the axes of a contraction is free.
            Op::Transpose(perm) => {
                let (op, inner) = programs.ops(operands[0]).find_map(|(op, x)| {
                    matches!(op, Op::Dot(_)).then(|| (op.clone(), x.to_vec()))
                })?;
                sum = SumOfProducts::of(programs, &op, &inner)?;
                sum.result = perm.iter().map(|&a| sum.result[a]).collect();
            }
            _ => return None,
        }
        Some(sum)
    }

    fn label(&mut self, size: usize) -> Label {
        self.sizes.push(size);
        self.sizes.len() - 1
    }

    /// Takes a factor apart as far as it is a product, a contraction, or a view.
    fn take(&mut self, programs: &Programs, value: Id, labels: &[Label]) {
        self.take_within(programs, value, labels, 0);
    }

    fn take_within(&mut self, programs: &Programs, value: Id, labels: &[Label], depth: usize) {
        // Equal values may be computed from each other; the depth cuts such circles.
        const DEPTH: usize = 24;
        let is_open = |(op, x): &(&Op, &[Id])| depth < DEPTH && self.is_open(programs, op, x);
        let node = programs.ops(value).find(is_open);
        let Some((op, x)) = node else {
            return self.factors.push(Factor { value, labels: labels.into() });
        };
        let next = depth + 1;
        match op {
            Op::Binary(BinaryOp::Mul) => {
                self.count += 1;
                self.take_within(programs, x[0], labels, next);
                self.take_within(programs, x[1], labels, next);
            }
            Op::Binary(BinaryOp::Div) => {
                let divisor = number(programs, x[1]).unwrap_or(1.0);
                self.scale /= divisor;
                self.take_within(programs, x[0], labels, next);
            }
            Op::Unary(UnaryOp::Neg) => {
                self.scale = -self.scale;
                self.take_within(programs, x[0], labels, next);
            }
            Op::Transpose(perm) => {
                let mut inner: Labels = smallvec![0; perm.len()];
                perm.iter().zip(labels).for_each(|(&p, &label)| inner[p] = label);
                self.take_within(programs, x[0], &inner, next);
            }
            Op::Broadcast { dims, .. } => {
                let inner: Labels = dims.iter().map(|&d| labels[d]).collect();
                self.take_within(programs, x[0], &inner, next);
            }
            Op::Constant(value) => {
                self.scale *= value.number().float();
                self.count -= 1;
            }
            Op::Dot(dims) => self.take_product(programs, dims, x, labels, next),
            Op::Reduce { axes, .. } => {
                let shape = programs.ty(x[0]).shape.clone();
                let mut outer = labels.iter();
                let mut inner = Labels::new();
                for (a, &size) in shape.iter().enumerate() {
                    inner.push(match axes.contains(&a) {
                        true => self.label(size),
                        false => *outer.next().unwrap_or(&0),
                    });
                }
                self.take_within(programs, x[0], &inner, next);
            }
            _ => self.factors.push(Factor { value, labels: labels.into() }),
        }
    }

    fn take_product(
        &mut self,
        programs: &Programs,
        dims: &DotDims,
        operands: &[Id],
        labels: &[Label],
        depth: usize,
    ) {
        self.count += 1;
        let (x, y) = (programs.ty(operands[0]), programs.ty(operands[1]));
        let (mut left, mut right): (Labels, Labels) =
            (smallvec![0; x.rank()], smallvec![0; y.rank()]);
        for (&a, &b) in dims.lhs_contract.iter().zip(&dims.rhs_contract) {
            let label = self.label(x.shape[a]);
            (left[a], right[b]) = (label, label);
        }
        let mut outer = labels.iter().copied();
        for (&a, &b) in dims.lhs_batch.iter().zip(&dims.rhs_batch) {
            let label = outer.next().unwrap_or(0);
            (left[a], right[b]) = (label, label);
        }
        for a in dims.lhs_free(x.rank()) {
            left[a] = outer.next().unwrap_or(0);
        }
        for b in dims.rhs_free(y.rank()) {
            right[b] = outer.next().unwrap_or(0);
        }
        self.take_within(programs, operands[0], &left, depth);
        self.take_within(programs, operands[1], &right, depth);
    }

    /// Whether a factor is taken apart. Values that a contraction would compute again and again are
    /// not: only what the factors' own sums commute with.
    fn is_open(&self, programs: &Programs, op: &Op, x: &[Id]) -> bool {
        match op {
            Op::Unary(UnaryOp::Neg) | Op::Transpose(_) => true,
            Op::Broadcast { .. } | Op::Constant(_) => true,
            Op::Binary(BinaryOp::Div) => number(programs, x[1]).is_some(),
            Op::Binary(BinaryOp::Mul) | Op::Dot(_) | Op::Reduce { op: ReduceOp::Sum, .. } => {
                self.count < MAX_FACTORS
            }
            _ => false,
        }
    }

    /// Whether one product for another gains more than it costs to move the result's axes, which is a copy
    /// as soon as they are joined: so a stack of products stays one, though a larger product is faster.
    fn is_worth_a_copy(&self, programs: &Programs, op: &Op, operands: &[Id]) -> bool {
        let (Op::Dot(dims), [left, right]) = (op, &self.factors[..]) else { return true };
        let [batch, m, n, k] =
            cost::extents(dims, programs.ty(operands[0]), programs.ty(operands[1]));
        let now = cost::of_product(batch, m, n, k, self.dtype.size() as f64);
        let sides = ((1, set_of(&left.labels)), (2, set_of(&right.labels)));
        let (then, _) = self.pair_cost(programs, sides.0, sides.1, self.kept(3));
        let shape: Shape = self.result.iter().map(|&l| self.sizes[l]).collect();
        then + cost::of_writing(&TensorType { dtype: self.dtype, shape }) < now
    }

    /// Sums each factor over labels that nothing else has, and counts those that no factor has.
    fn reduce_alone(&mut self, programs: &mut Programs) -> Option<()> {
        for label in 0..self.sizes.len() {
            let used = self.factors.iter().any(|f| f.labels.contains(&label));
            if !used && !self.result.contains(&label) {
                self.scale *= self.sizes[label] as f64;
            }
        }
        for i in 0..self.factors.len() {
            let rest = self.factors.iter().enumerate().filter(|(j, _)| *j != i);
            let others = rest.fold(set_of(&self.result), |set, (_, f)| set | set_of(&f.labels));
            let factor = &self.factors[i];
            let alone = |a: &usize| !has(others, factor.labels[*a]);
            let axes: Axes = (0..factor.labels.len()).filter(alone).collect();
            if axes.is_empty() {
                continue;
            }
            let labels = factor.labels.iter().copied().filter(|&l| has(others, l)).collect();
            let value = programs.add(Op::Reduce { op: ReduceOp::Sum, axes }, &[factor.value])?;
            self.factors[i] = Factor { value, labels };
        }
        Some(())
    }

    fn volume(&self, labels: Set) -> f64 {
        members(labels).map(|l| self.sizes.get(l).copied().unwrap_or(1) as f64).product()
    }

    /// The labels of a set of factors that others, or the result, have too.
    fn kept(&self, set: usize) -> Set {
        let (mut inside, mut outside) = (0, set_of(&self.result));
        for (i, factor) in self.factors.iter().enumerate() {
            match set >> i & 1 {
                1 => inside |= set_of(&factor.labels),
                _ => outside |= set_of(&factor.labels),
            }
        }
        inside & outside
    }

    /// For each set of factors with several members, how to divide it: `(left, right)`.
    fn cheapest(&self, programs: &Programs) -> Vec<(usize, usize)> {
        let n = self.factors.len();
        let mut best: Vec<(f64, (usize, usize))> = vec![(f64::INFINITY, (0, 0)); 1 << n];
        let kept: Vec<Set> = (0..1usize << n).map(|set| self.kept(set)).collect();
        for set in 1..1usize << n {
            if set.count_ones() == 1 {
                best[set].0 = 0.0;
                continue;
            }
            // Each pair once: the left part has the lowest factor.
            let lowest = set & set.wrapping_neg();
            let mut left = set;
            while left > 0 {
                left = (left - 1) & set;
                if left & lowest == 0 || left == 0 {
                    continue;
                }
                let right = set & !left;
                let pair =
                    self.pair_cost(programs, (left, kept[left]), (right, kept[right]), kept[set]);
                let cost = best[left].0 + best[right].0 + pair.0;
                if cost < best[set].0 {
                    best[set] = (cost, (left, right));
                }
            }
        }
        best.into_iter().map(|(_, split)| split).collect()
    }

    /// The predicted time of contracting two factors, and whether as a product of matrices.
    fn pair_cost(
        &self,
        programs: &Programs,
        (left, x): (usize, Set),
        (right, y): (usize, Set),
        kept: Set,
    ) -> (f64, bool) {
        let element = self.dtype.size() as f64;
        let contracted = x & y & !kept;
        let memory = (self.volume(x) + self.volume(y) + self.volume(kept)) * element;
        let fused = cost::of_fused_sum(self.volume(x | y), memory, element);
        if contracted == 0 {
            return (fused, false);
        }
        let (m, n) = (self.volume(x & !y), self.volume(y & !x));
        let (batch, k) = (self.volume(x & y & kept), self.volume(contracted));
        let mut product = cost::of_product(batch, m, n, k, element);
        // A product reads memory; a fused sum computes what it reads.
        for (set, labels) in [(left, x), (right, y)] {
            if set.count_ones() == 1
                && computed(programs, self.factors[set.trailing_zeros() as usize].value)
            {
                let shape: Shape = members(labels).map(|l| self.sizes[l]).collect();
                product += cost::of_writing(&TensorType { dtype: self.dtype, shape });
            }
        }
        if product < fused { (product, true) } else { (fused, false) }
    }

    fn run(&self, programs: &mut Programs, plan: &[(usize, usize)]) -> Option<Factor> {
        self.run_set(programs, plan, (1 << self.factors.len()) - 1)
    }

    /// Recursion as deep as there are factors.
    fn run_set(
        &self,
        programs: &mut Programs,
        plan: &[(usize, usize)],
        set: usize,
    ) -> Option<Factor> {
        match set.count_ones() {
            0 => {
                let one = Scalar::new(self.dtype, Number::Float(1.0));
                let value = programs.add(Op::Constant(one), &[])?;
                Some(Factor { value, labels: Labels::new() })
            }
            1 => Some(self.factors[set.trailing_zeros() as usize].clone()),
            _ => {
                let (left, right) = plan[set];
                let x = self.run_set(programs, plan, left)?;
                let y = self.run_set(programs, plan, right)?;
                let kept = self.kept(set);
                let sides = ((left, set_of(&x.labels)), (right, set_of(&y.labels)));
                let (_, product) = self.pair_cost(programs, sides.0, sides.1, kept);
                match product {
                    true => self.product(programs, &x, &y, kept),
                    false => self.fused_sum(programs, &x, &y, kept),
                }
            }
        }
    }

    /// A product of matrices, with the operands in the order that suits the result.
    fn product(
        &self,
        programs: &mut Programs,
        x: &Factor,
        y: &Factor,
        kept: Set,
    ) -> Option<Factor> {
        let place = |label: &Label| self.result.iter().position(|l| l == label);
        // What stands last in the result stays side by side.
        let last_free = |x: &Factor, y: &Factor| {
            x.labels.iter().filter(|&&l| has(kept, l) && !y.labels.contains(&l)).map(place).max()
        };
        let (x, y) = if last_free(x, y) > last_free(y, x) { (y, x) } else { (x, y) };
        let mut dims = DotDims::default();
        let (mut batch, mut left, mut right) = (Labels::new(), Labels::new(), Labels::new());
        let mut shared: Vec<(usize, Label)> = x.labels.iter().copied().enumerate().collect();
        // Batch axes in the order of the result.
        shared.sort_by_key(|(a, label)| (place(label), *a));
        for (a, label) in shared {
            let Some(b) = y.labels.iter().position(|&l| l == label) else { continue };
            if has(kept, label) {
                dims.lhs_batch.push(a);
                dims.rhs_batch.push(b);
                batch.push(label);
            } else {
                dims.lhs_contract.push(a);
                dims.rhs_contract.push(b);
            }
        }
        left.extend(x.labels.iter().copied().filter(|l| !y.labels.contains(l)));
        right.extend(y.labels.iter().copied().filter(|l| !x.labels.contains(l)));
        let labels = batch.into_iter().chain(left).chain(right).collect();
        let value = programs.add(Op::Dot(dims), &[x.value, y.value])?;
        Some(Factor { value, labels })
    }

    /// One loop over all labels of both; kept labels in the order of the result.
    fn fused_sum(
        &self,
        programs: &mut Programs,
        x: &Factor,
        y: &Factor,
        kept: Set,
    ) -> Option<Factor> {
        let place = |label: &Label| self.result.iter().position(|l| l == label);
        let mut out: Labels = members(kept).collect();
        out.sort_by_key(|label| (place(label).is_none(), place(label), *label));
        let gone = (set_of(&x.labels) | set_of(&y.labels)) & !kept;
        let space: Labels = out.iter().copied().chain(members(gone)).collect();
        let (x, y) = (self.spread(programs, x, &space)?, self.spread(programs, y, &space)?);
        let product = programs.add(Op::Binary(BinaryOp::Mul), &[x, y])?;
        let axes: Axes = (out.len()..space.len()).collect();
        let value = match axes.is_empty() {
            true => product,
            false => programs.add(Op::Reduce { op: ReduceOp::Sum, axes }, &[product])?,
        };
        Some(Factor { value, labels: out })
    }

    /// A factor with the axes of a space, repeated along those that it lacks.
    fn spread(&self, programs: &mut Programs, factor: &Factor, space: &[Label]) -> Option<Id> {
        let mut order: SmallVec<[usize; 6]> = (0..factor.labels.len()).collect();
        let place = |a: &usize| space.iter().position(|&l| l == factor.labels[*a]);
        order.sort_by_key(place);
        let mut value = factor.value;
        if !order.is_sorted() {
            value = programs.add(Op::Transpose(order.iter().copied().collect()), &[value])?;
        }
        let dims: Option<Axes> = order.iter().map(place).collect();
        let shape: Shape = space.iter().map(|&l| self.sizes[l]).collect();
        match factor.labels.len() == space.len() {
            true => Some(value),
            false => programs.add(Op::Broadcast { shape, dims: dims? }, &[value]),
        }
    }

    /// The sum with the axes of the result in their order, scaled.
    fn finish(&self, programs: &mut Programs, last: Factor) -> Option<Id> {
        let mut last = last;
        if self.scale != 1.0 {
            let scale = Scalar::new(self.dtype, Number::Float(self.scale));
            let scale = programs.add(Op::Constant(scale), &[])?;
            let space = last.labels.clone();
            let scale =
                self.spread(programs, &Factor { value: scale, labels: Labels::new() }, &space)?;
            last.value = programs.add(Op::Binary(BinaryOp::Mul), &[last.value, scale])?;
        }
        self.spread(programs, &last, &self.result)
    }
}

/// The number that all elements of a value are.
fn number(programs: &Programs, value: Id) -> Option<f64> {
    let constant = |value: Id| {
        programs.ops(value).find_map(|(op, _)| match op {
            Op::Constant(number) => Some(number.number().float()),
            _ => None,
        })
    };
    constant(value).or_else(|| {
        programs.ops(value).find_map(|(op, x)| match op {
            Op::Broadcast { .. } => constant(x[0]),
            _ => None,
        })
    })
}

/// Whether a value is computed element by element, so that it has no memory of its own.
fn computed(programs: &Programs, value: Id) -> bool {
    programs.ops(value).any(|(op, _)| op.is_elementwise())
}
