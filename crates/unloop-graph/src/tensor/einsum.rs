//! Einstein summation: products of tensors whose axes are named by letters.

use smallvec::SmallVec;

use crate::{DotDims, ErrorKind, Place, ReduceOp, Shape, Tensor};

/// The letters of an operand or of the result.
type Labels = Vec<char>;

/// A parsed formula.
struct Formula {
    operands: Vec<Labels>,
    result: Labels,
}

impl Formula {
    fn parse(text: &str, count: usize) -> Result<Formula, String> {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if plain.contains('.') {
            return Err("`...` is not there; lift the function with vmap instead".into());
        }
        let (left, right) = match plain.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (plain.as_str(), None),
        };
        let operands: Vec<Labels> = left.split(',').map(|part| part.chars().collect()).collect();
        if let Some(wrong) = plain.chars().find(|c| !(c.is_alphabetic() || "->,".contains(*c))) {
            return Err(format!("{wrong:?} names no axis; use letters, as in \"ij,jk->ik\""));
        }
        if operands.len() != count {
            return Err(format!("{text:?} names {} operands, not {count}", operands.len()));
        }
        let all = || operands.iter().flatten().copied();
        let result: Labels = match right {
            Some(right) => right.chars().collect(),
            // By convention: the letters that occur once, in alphabetical order.
            None => {
                let mut once: Labels =
                    all().filter(|c| all().filter(|d| d == c).count() == 1).collect();
                once.sort_unstable();
                once
            }
        };
        for (i, c) in result.iter().enumerate() {
            if result[..i].contains(c) {
                return Err(format!("the result names axis {c:?} twice"));
            }
            if !all().any(|d| d == *c) {
                return Err(format!("no operand has the axis {c:?} of the result"));
            }
        }
        Ok(Formula { operands, result })
    }
}

/// A tensor with the names of its axes.
#[derive(Clone)]
struct Named {
    labels: Labels,
    tensor: Tensor,
}

impl Named {
    fn axis(&self, label: char) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }

    fn extent(&self, label: char) -> Option<usize> {
        self.axis(label).map(|a| self.tensor.shape()[a])
    }

    /// Axes of one name become their diagonal.
    fn without_repeats(mut self) -> Named {
        while let Some((i, j)) = self.repeat() {
            let moved = self.tensor.move_axis(i as isize, -1).move_axis(j as isize - 1, -1);
            self.tensor = moved.diagonal(0);
            self.labels.remove(j);
            let label = self.labels.remove(i);
            self.labels.push(label);
        }
        self
    }

    fn repeat(&self) -> Option<(usize, usize)> {
        let later =
            |i: usize| (i + 1..self.labels.len()).find(|&j| self.labels[j] == self.labels[i]);
        (0..self.labels.len()).find_map(|i| later(i).map(|j| (i, j)))
    }

    /// Sums over the axes whose names are not wanted.
    fn summed(self, wanted: &dyn Fn(char) -> bool) -> Named {
        let axes: SmallVec<[usize; 6]> =
            (0..self.labels.len()).filter(|&a| !wanted(self.labels[a])).collect();
        if axes.is_empty() {
            return self;
        }
        let tensor = self.tensor.reduce_op(ReduceOp::Sum, axes);
        Named { labels: self.labels.into_iter().filter(|&l| wanted(l)).collect(), tensor }
    }

    /// The product of two; names that nobody wants any more are summed over.
    fn product(&self, other: &Named, wanted: &dyn Fn(char) -> bool) -> Named {
        let only = |this: &Named, that: &Named| {
            let (this, that) = (this.clone(), that.labels.clone());
            this.summed(&|l| wanted(l) || that.contains(&l))
        };
        let (a, b) = (only(self, other), only(other, self));
        let mut dims = DotDims::default();
        let (mut batch, mut free) = (Labels::new(), Labels::new());
        for (i, &label) in a.labels.iter().enumerate() {
            match b.axis(label) {
                Some(j) if wanted(label) => {
                    dims.lhs_batch.push(i);
                    dims.rhs_batch.push(j);
                    batch.push(label);
                }
                Some(j) => {
                    dims.lhs_contract.push(i);
                    dims.rhs_contract.push(j);
                }
                None => free.push(label),
            }
        }
        free.extend(b.labels.iter().filter(|&&l| a.axis(l).is_none()));
        batch.extend(free);
        Named { labels: batch, tensor: a.tensor.dot_general(&b.tensor, dims) }
    }
}

/// The order of pairwise products that takes the least operations: which two are next, where the
/// product goes to the end of the list. Found by trying all orders for a few operands, and by taking
/// the cheapest next product for more.
fn order(
    operands: &[Labels],
    result: &Labels,
    extent: &dyn Fn(char) -> f64,
) -> Vec<(usize, usize)> {
    const ALL_ORDERS: usize = 6;
    let mut best = (f64::INFINITY, Vec::new());
    search(
        operands.to_vec(),
        result,
        extent,
        0.0,
        &mut Vec::new(),
        &mut best,
        operands.len() <= ALL_ORDERS,
    );
    best.1
}

fn search(
    operands: Vec<Labels>,
    result: &Labels,
    extent: &dyn Fn(char) -> f64,
    spent: f64,
    taken: &mut Vec<(usize, usize)>,
    best: &mut (f64, Vec<(usize, usize)>),
    all: bool,
) {
    if operands.len() < 2 {
        if spent < best.0 {
            *best = (spent, taken.clone());
        }
        return;
    }
    let mut pairs = Vec::new();
    for i in 0..operands.len() {
        for j in i + 1..operands.len() {
            let mut labels = operands[i].clone();
            labels.extend(operands[j].iter().filter(|l| !operands[i].contains(l)));
            let flops: f64 = labels.iter().map(|&l| extent(l)).product();
            let rest = |l: &char| {
                result.contains(l)
                    || (0..operands.len()).any(|k| k != i && k != j && operands[k].contains(l))
            };
            labels.retain(rest);
            let size: f64 = labels.iter().map(|&l| extent(l)).product();
            pairs.push((flops + size, i, j, labels));
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tried = if all { pairs.len() } else { 1 };
    for (cost, i, j, labels) in pairs.into_iter().take(tried) {
        if spent + cost >= best.0 {
            continue;
        }
        let mut next = operands.clone();
        next.remove(j);
        next.remove(i);
        next.push(labels);
        taken.push((i, j));
        search(next, result, extent, spent + cost, taken, best, all);
        taken.pop();
    }
}

/// # Einstein summation
impl Tensor {
    /// Einstein's summation: axes are named by letters, axes of one name run together, and what the
    /// result does not name is summed over. `"ij,jk->ik"` is the matrix product, `"ii->"` the trace,
    /// `"i,j->ij"` the outer product; without `->` the result has the letters that occur once, in
    /// alphabetical order. Products are taken in the order that costs least.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let x = Tensor::from([1.0, 10.0]);
    /// assert_eq!(Tensor::einsum("i,ij,j->", &[&x, &a, &x]).item::<f64>()?, 451.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` for a formula that does not fit the operands, or a name with two
    /// extents; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool.
    #[track_caller]
    pub fn einsum(formula: &str, operands: &[&Tensor]) -> Tensor {
        let place = Place::of("einsum");
        if let Some(&error) = operands.iter().find(|x| x.as_error().is_some()) {
            return error.clone();
        }
        place.scope(|| {
            try_einsum(formula, operands).unwrap_or_else(|message| {
                let zero = Tensor::from(0.0);
                let like = operands.first().copied().unwrap_or(&zero);
                Tensor::fail("einsum", ErrorKind::InvalidArgument(message), place, like)
            })
        })
    }
}

fn try_einsum(formula: &str, operands: &[&Tensor]) -> Result<Tensor, String> {
    let Formula { operands: labels, result } = Formula::parse(formula, operands.len())?;
    let mut named = Vec::new();
    for (i, (x, labels)) in operands.iter().zip(labels).enumerate() {
        if x.rank() != labels.len() {
            let shape = Shape::from(x.shape());
            return Err(format!("operand {i} of shape {shape} has {} names", labels.len()));
        }
        named.push(Named { labels, tensor: (*x).clone() });
    }
    for (i, x) in named.iter().enumerate() {
        for (&label, &extent) in x.labels.iter().zip(x.tensor.shape()) {
            let other = named.iter().find_map(|y| y.extent(label)).unwrap_or(extent);
            if other != extent {
                return Err(format!(
                    "axis {label:?} has extent {extent} in operand {i}, and {other} before"
                ));
            }
        }
    }
    let mut named: Vec<Named> = named.into_iter().map(Named::without_repeats).collect();
    let extents = named.clone();
    let extent =
        |l: char| extents.iter().find_map(|x| x.extent(l)).map_or(1.0, |extent| extent as f64);
    let all: Vec<Labels> = named.iter().map(|x| x.labels.clone()).collect();
    for (i, j) in order(&all, &result, &extent) {
        let b = named.remove(j);
        let a = named.remove(i);
        let wanted = |l: char| result.contains(&l) || named.iter().any(|x| x.labels.contains(&l));
        let product = a.product(&b, &wanted);
        named.push(product);
    }
    let Some(last) = named.pop() else { return Err("no operands".into()) };
    let last = last.summed(&|l| result.contains(&l));
    let axes: Vec<isize> =
        result.iter().filter_map(|&l| last.axis(l)).map(|axis| axis as isize).collect();
    Ok(last.tensor.permute(&axes))
}
