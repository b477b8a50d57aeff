//! Rows at a time: kernels that reduce rows, what computes these rows before, and what uses the
//! results on the same rows after become one program, which reads and writes each row once. A
//! softmax is one, and so is a normalisation by mean and variance.

use std::collections::HashMap;

use smallvec::SmallVec;
use unloop_graph::{DType, Graph, ReduceOp, Shape, ValueId};

use crate::build::{Step, roots};
use crate::ir::{Expr, ExprId, Exprs, Kernel, Load, Strided, load_number};

/// An expression of a program of rows: one value an element of the row, or one a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RowExpr {
    /// A scalar operation on each element, or on what the row has one of.
    Scalar(Expr),
    /// The elements of a row reduced to one.
    Fold(ReduceOp, ExprId),
}

/// A result of a program of rows: a whole value in row-major order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowStore {
    /// What is stored.
    pub expr: ExprId,
    /// The value.
    pub value: ValueId,
    /// Whether it has all elements of a row, or one.
    pub is_row: bool,
}

/// Several kernels on the same rows as one program.
#[derive(Clone, Debug)]
pub struct Rowwise {
    /// Extents of the outer axes, then the elements of a row.
    pub space: SmallVec<[usize; 6]>,
    /// The reads, without windows; along a row they have stride 0 or 1.
    pub loads: Vec<Load>,
    /// The program; operands stand before their users.
    pub exprs: Vec<RowExpr>,
    /// The dtype of every expression.
    pub dtypes: Vec<DType>,
    /// The results.
    pub stores: Vec<RowStore>,
}

impl Rowwise {
    /// The dtype of the first result.
    pub fn dtype(&self) -> DType {
        self.stores.first().map_or(DType::F64, |s| self.dtypes[s.expr.index()])
    }
}

/// Elements of a row, at least: shorter ones do better with several in a tile.
const SHORTEST: usize = 32;

/// Bytes of a row, at most, so that a few of them stay in a first- or second-level cache.
const LONGEST: usize = 1 << 16;

/// How many steps before and after a reduction are looked through.
const BEFORE: usize = 16;
const AFTER: usize = 48;

/// Expressions, at most.
const MAX_EXPRS: usize = 96;

/// Axes of rows: the extents of the outer ones, without those of extent 1, and the length.
#[derive(Clone, PartialEq, Eq)]
struct Rows {
    outer: SmallVec<[usize; 6]>,
    length: usize,
}

/// How a kernel walks rows.
struct Walk {
    /// The kernel's axis for each outer axis.
    outer: SmallVec<[usize; 6]>,
    /// The first axis within a row.
    split: usize,
    /// Whether it stores one element an element of the row.
    is_row: bool,
}

impl Rows {
    /// The rows that a kernel reduces.
    fn of(kernel: &Kernel) -> Option<Rows> {
        kernel.reduction?;
        let kept = kernel.kept();
        let length = kernel.space[kept..].iter().product();
        let outer = kernel.space[..kept].iter().copied().filter(|&d| d != 1).collect();
        let fits = length >= SHORTEST && length * kernel.dtype().size() <= LONGEST;
        fits.then_some(Rows { outer, length })
    }

    /// How a kernel walks these rows, if it does.
    fn walk(&self, kernel: &Kernel) -> Option<Walk> {
        let mut outer = SmallVec::new();
        let mut split = 0;
        while split < kernel.kept() && (outer.len() < self.outer.len() || kernel.space[split] == 1)
        {
            if kernel.space[split] != 1 {
                outer.push(split);
            }
            split += 1;
        }
        let length: usize = kernel.space[split..].iter().product();
        let is_row = length == self.length;
        let fits = outer.iter().map(|&a| kernel.space[a]).eq(self.outer.iter().copied())
            && match kernel.reduction {
                Some(_) => is_row && split == kernel.kept(),
                None => is_row || length == 1,
            };
        let strides = Shape::from(&kernel.space[..kernel.kept()]).strides();
        let mut store = kernel.space.iter().zip(kernel.store.strides.iter().zip(&strides));
        let is_whole = kernel.store.offset == 0 && store.all(|(&d, (a, b))| d == 1 || a == b);
        let is_row = is_row && kernel.reduction.is_none();
        (fits && is_whole).then_some(Walk { outer, split, is_row })
    }

    /// The strides of a load along the outer axes and along a row, if that is one stride.
    fn strides(&self, kernel: &Kernel, walk: &Walk, load: &Load) -> Option<SmallVec<[isize; 6]>> {
        let strides = &load.source.strides;
        let mut inner = None;
        let mut next = 0;
        for axis in (walk.split..kernel.space.len()).rev().filter(|&a| kernel.space[a] != 1) {
            match inner {
                None => inner = Some(strides[axis]),
                Some(_) if strides[axis] != next => return None,
                Some(_) => {}
            }
            next = strides[axis] * kernel.space[axis] as isize;
        }
        let outer = walk.outer.iter().map(|&a| strides[a]);
        Some(outer.chain([inner.unwrap_or(0)]).collect())
    }

    /// The strides of a value that lies in memory row by row, or with one element a row.
    fn row_major(&self, is_row: bool) -> SmallVec<[isize; 6]> {
        let length = if is_row { self.length } else { 1 };
        let outer = Shape::from(&self.outer[..]).strides();
        let inner = if is_row { 1 } else { 0 };
        outer.iter().map(|s| s * length as isize).chain([inner]).collect()
    }
}

/// A program under construction.
struct Builder {
    rows: Rows,
    loads: Vec<Load>,
    program: Exprs<RowExpr>,
    /// Values of the kernels taken in: the expression, and whether there is one an element.
    values: HashMap<usize, (ExprId, bool)>,
}

impl Builder {
    fn new(rows: Rows) -> Builder {
        Builder { rows, loads: Vec::new(), program: Exprs::new(), values: HashMap::new() }
    }

    /// What a kernel's loads are here; `None` if it does not walk these rows, or not as their
    /// programs can.
    fn sources(&self, kernel: &Kernel, walk: &Walk, root: &[usize]) -> Option<Vec<Source>> {
        let source = |load: &Load| {
            // Windows are for memory, and not for rows.
            if !load.windows.is_empty() {
                return None;
            }
            let strides = self.rows.strides(kernel, walk, load)?;
            if let Some(&(id, is_row)) = self.values.get(&root[load.source.value.index()]) {
                let fits = load.source.offset == 0 && strides == self.rows.row_major(is_row);
                return fits.then_some(Source::Value(id));
            }
            let fits = matches!(strides.last(), Some(0 | 1));
            let source = Strided { strides, ..load.source.clone() };
            fits.then(|| Source::Load(Load { source, ..load.clone() }))
        };
        let sources = kernel.loads.iter().map(source).collect::<Option<_>>()?;
        let counts = |e: &Expr| match e {
            Expr::Iota { axis, .. } => self.axis(kernel, walk, *axis).is_none(),
            _ => false,
        };
        let fits = self.program.exprs.len() + kernel.exprs.len() < MAX_EXPRS
            && !kernel.exprs.iter().any(counts);
        fits.then_some(sources)
    }

    /// The axis of the rows that an axis of a kernel is.
    fn axis(&self, kernel: &Kernel, walk: &Walk, axis: usize) -> Option<usize> {
        match walk.outer.iter().position(|&a| a == axis) {
            None if axis >= walk.split && kernel.space[axis] == self.rows.length => {
                Some(walk.outer.len())
            }
            position => position,
        }
    }

    /// Takes a kernel in.
    fn add(&mut self, kernel: &Kernel, walk: &Walk, sources: Vec<Source>) {
        let loads: Vec<ExprId> = sources
            .into_iter()
            .map(|source| match source {
                Source::Value(id) => id,
                Source::Load(load) => {
                    let dtype = load.dtype;
                    let index = load_number(&mut self.loads, load);
                    self.program.add(RowExpr::Scalar(Expr::Load(index)), dtype)
                }
            })
            .collect();
        let mut ids: Vec<ExprId> = Vec::with_capacity(kernel.exprs.len());
        for (expr, &dtype) in kernel.exprs.iter().zip(&kernel.dtypes) {
            let expr = match *expr {
                Expr::Load(l) => {
                    ids.push(loads[l]);
                    continue;
                }
                Expr::Iota { axis, scale, offset, dtype } => {
                    let Some(axis) = self.axis(kernel, walk, axis) else {
                        unreachable!("positions along axes that are none of the rows are refused")
                    };
                    Expr::Iota { axis, scale, offset, dtype }
                }
                _ => expr.with_operands(|x| ids[x.index()]),
            };
            ids.push(self.program.add(RowExpr::Scalar(expr), dtype));
        }
        let mut result = ids[kernel.result.index()];
        if let Some(reduction) = kernel.reduction {
            result = self.program.add(RowExpr::Fold(reduction.op, result), kernel.dtype());
        }
        self.values.insert(kernel.store.value.index(), (result, walk.is_row));
    }
}

/// A load of a kernel: of memory, or a value computed before.
enum Source {
    Load(Load),
    Value(ExprId),
}

/// What can run together with the reduction `seed`, in order, and the steps of the window that need
/// what these compute.
struct Group {
    members: Vec<usize>,
    after: Vec<usize>,
}

fn kernel(steps: &[Option<Step>], i: usize) -> Option<&Kernel> {
    match &steps[i] {
        Some(Step::Kernel(kernel)) => Some(kernel),
        _ => None,
    }
}

/// Finds the kernels around a reduction that walk its rows and are connected with it.
fn group(graph: &Graph, root: &[usize], steps: &[Option<Step>], rows: &Rows, seed: usize) -> Group {
    // Every kernel that walks these rows and needs nothing that needs one of them first.
    let mut builder = Builder::new(rows.clone());
    let mut producer: HashMap<usize, usize> = HashMap::new();
    let mut reader: HashMap<Load, usize> = HashMap::new();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let (mut late, mut after) = (Vec::new(), Vec::new());
    for i in seed.saturating_sub(BEFORE)..(seed + AFTER).min(steps.len()) {
        let Some(step) = &steps[i] else { continue };
        let (needed, writes) = step.uses(graph, root);
        let fits = !needed.iter().any(|v| late.contains(v));
        let candidate = kernel(steps, i).filter(|_| fits).and_then(|kernel| {
            let walk = rows.walk(kernel)?;
            let sources = builder.sources(kernel, &walk, root)?;
            Some((kernel, walk, sources))
        });
        if let Some((kernel, walk, sources)) = candidate {
            edges.extend(needed.iter().filter_map(|v| Some((*producer.get(v)?, i))));
            for source in &sources {
                // Whoever reads the same rows saves reading them again.
                if let Source::Load(load) = source
                    && load.source.strides.last() == Some(&1)
                {
                    edges.push((*reader.entry(load.clone()).or_insert(i), i));
                }
            }
            producer.insert(kernel.store.value.index(), i);
            builder.add(kernel, &walk, sources);
        } else if needed.iter().any(|v| producer.contains_key(v) || late.contains(v)) {
            late.extend(writes);
            after.push(i);
        }
    }
    let mut members = vec![seed];
    let grow = |members: &[usize]| {
        edges.iter().find_map(|&(a, b)| match (members.contains(&a), members.contains(&b)) {
            (true, false) => Some(b),
            (false, true) => Some(a),
            _ => None,
        })
    };
    while let Some(i) = grow(&members) {
        members.push(i);
    }
    members.sort_unstable();
    Group { members, after }
}

/// The program of some kernels; what others read of their results is stored.
fn program(
    rows: Rows,
    kernels: &[&Kernel],
    root: &[usize],
    is_read: impl Fn(usize) -> bool,
) -> Option<Rowwise> {
    let mut builder = Builder::new(rows);
    for kernel in kernels {
        let walk = builder.rows.walk(kernel)?;
        let sources = builder.sources(kernel, &walk, root)?;
        builder.add(kernel, &walk, sources);
    }
    let stores = kernels
        .iter()
        .map(|kernel| kernel.store.value)
        .filter(|value| is_read(value.index()))
        .map(|value| {
            let (expr, is_row) = builder.values[&value.index()];
            RowStore { expr, value, is_row }
        })
        .collect();
    let Builder { rows, loads, program: Exprs { exprs, dtypes, .. }, .. } = builder;
    let space = rows.outer.iter().copied().chain([rows.length]).collect();
    Some(Rowwise { space, loads, exprs, dtypes, stores })
}

/// Puts kernels that walk the same rows together. Linear in the number of steps.
pub(crate) fn fuse(graph: &Graph, steps: Vec<Step>) -> Vec<Step> {
    let is_seed = |step: &Step| matches!(step, Step::Kernel(k) if Rows::of(k).is_some());
    if !steps.iter().any(is_seed) {
        return steps;
    }
    let root = roots(graph, &steps);
    let mut readers = vec![0usize; graph.value_count()];
    graph.outputs().iter().for_each(|v| readers[root[v.index()]] += 1);
    for step in &steps {
        step.uses(graph, &root).0.iter().for_each(|&v| readers[v] += 1);
    }
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut seed = 0;
    while seed < steps.len() {
        let Some(rows) = kernel(&steps, seed).and_then(Rows::of) else {
            seed += 1;
            continue;
        };
        let Group { members, after } = group(graph, &root, &steps, &rows, seed);
        let kernels: Vec<&Kernel> = members.iter().filter_map(|&i| kernel(&steps, i)).collect();
        let own = members.iter().filter_map(|&i| steps[i].as_ref());
        let own = own.flat_map(|step| step.uses(graph, &root).0);
        let mut inside: HashMap<usize, usize> = HashMap::new();
        own.for_each(|v| *inside.entry(v).or_default() += 1);
        let is_read = |v: usize| readers[v] > inside.get(&v).copied().unwrap_or(0);
        let fused = (members.len() > 1).then(|| program(rows, &kernels, &root, is_read)).flatten();
        let Some(fused) = fused else {
            seed += 1;
            continue;
        };
        inside.into_iter().for_each(|(v, count)| readers[v] -= count);
        let fused = Step::Rowwise(fused);
        fused.uses(graph, &root).0.iter().for_each(|&v| readers[v] += 1);
        // The program stands where its last kernel stood; what needs it comes after.
        let (start, end) = (members[0], members[members.len() - 1]);
        let (mut first, mut then) = (Vec::new(), vec![fused]);
        let taken = steps[start..=end].iter_mut().map(Option::take);
        for (i, step) in (start..).zip(taken) {
            let Some(step) = step else { continue };
            match (members.contains(&i), after.contains(&i)) {
                (true, _) => {}
                (false, true) => then.push(step),
                (false, false) => first.push(step),
            }
        }
        for (i, step) in (start..).zip(first.into_iter().chain(then)) {
            steps[i] = Some(step);
        }
        seed = start;
    }
    steps.into_iter().flatten().collect()
}
