//! From the steps of a program to tasks: which buffers there are, what shares memory, and which kernel
//! runs each step.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;
use unloop_graph::error::Place;
use unloop_graph::{DType, Error, ErrorKind, Graph, Op, Result, Shape, TensorType, ValueId};
use unloop_kernel::{Expr, ExprId, Kernel, Load, Step, Strided, Uses, footprint};

use crate::control::Control;
use crate::cumulative::CumulativeStep;
use crate::decompose::Decomposition;
use crate::follower::{Follower, following};
use crate::gather::{GatherStep, ScatterStep};
use crate::linalg::{Factorisation, SharedFactors};
use crate::map::{self, Map};
use crate::memory::ALIGN;
use crate::plan::{Home, Run, Task};
use crate::product::{self, Product, follows_product};
use crate::profile::{self, Facts};
use crate::reduce::Reduce;
use crate::reference::ReferenceStep;
use crate::rowwise::RowwiseStep;
use crate::search::SearchStep;
use crate::simd::Simd;
use crate::sort::SortStep;
use crate::steps::{ArgReduce, BetaincStep, PadStep};
use crate::transpose::Transpose;

/// Bytes of the arena in use, as a first-fit allocator.
#[derive(Default)]
struct Layout {
    /// Free ranges below `end`, by their start.
    holes: Vec<(usize, usize)>,
    end: usize,
}

impl Layout {
    fn take(&mut self, bytes: usize) -> usize {
        if let Some(i) = self.holes.iter().position(|&(_, size)| size >= bytes) {
            let (start, size) = self.holes[i];
            match size == bytes {
                true => drop(self.holes.remove(i)),
                false => self.holes[i] = (start + bytes, size - bytes),
            }
            return start;
        }
        self.end += bytes;
        self.end - bytes
    }

    fn give_back(&mut self, start: usize, bytes: usize) {
        let i = self.holes.partition_point(|&(at, _)| at < start);
        self.holes.insert(i, (start, bytes));
        // Neighbours become one.
        if self.holes.get(i + 1).is_some_and(|&(next, _)| start + bytes == next) {
            self.holes[i].1 += self.holes.remove(i + 1).1;
        }
        if i > 0 && self.holes[i - 1].0 + self.holes[i - 1].1 == start {
            self.holes[i - 1].1 += self.holes.remove(i).1;
        }
    }
}

/// Bytes of a result that fills a good part of a last-level cache.
const LARGE_RESULT: usize = 12 << 20;

/// Bytes of a value that is worth being written over another one: a result in the place of an operand
/// goes through a buffer.
const LARGE_IN_PLACE: usize = 1 << 16;

fn bytes(ty: &TensorType) -> usize {
    ty.bytes().next_multiple_of(ALIGN)
}

/// Steps of a graph, with one buffer a value in memory, while they are compiled.
pub(crate) struct Lowering<'a> {
    pub graph: &'a Graph,
    pub steps: Vec<Step>,
    /// Types of all values: the graph's, then temporary ones.
    pub types: Vec<TensorType>,
    /// The value in whose memory each value lies.
    pub root: Vec<usize>,
    /// How many times as large as the program's the results are of which it computes a part.
    pub parts: usize,
    /// Solutions that share the factors of a matrix, by their nodes: the values that these are, and
    /// whether they are computed there.
    pub factors: HashMap<usize, ([ValueId; 2], bool)>,
}

impl Lowering<'_> {
    /// The values that a step reads, and those that it writes; shared factors are among them.
    pub fn uses(&self, step: &Step) -> Uses {
        let (mut reads, mut writes) = step.uses(self.graph, &self.root);
        if let Step::Op { node } = step
            && let Some((values, first)) = self.factors.get(node)
        {
            let values = values.iter().map(|v| v.index());
            if *first { writes.extend(values) } else { reads.extend(values) }
        }
        (reads, writes)
    }

    /// Finds systems with the same matrix: it is factorised once.
    pub fn share_factors(&mut self, simd: Simd) {
        // In the order of their matrices, so that the same program has the same plan.
        let mut by_matrix: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for step in &self.steps {
            let Step::Op { node: i } = step else { continue };
            let node = &self.graph.nodes()[*i];
            let types: Vec<(usize, &TensorType)> =
                node.operands.iter().map(|&v| (0, self.graph.ty(v))).collect();
            if let Op::Solve { .. } = node.op
                && Factorisation::compile(&node.op, simd, &types, &[])
                    .is_some_and(|s| s.has_factors())
                && let [.., n] = types[0].1.shape[..]
            {
                by_matrix.entry((self.root[node.operands[0].index()], n)).or_default().push(*i);
            }
        }
        for ((matrix, _), nodes) in by_matrix.into_iter().filter(|(_, nodes)| nodes.len() > 1) {
            let ty = self.types[matrix].clone();
            let matrix = self.graph.ty(self.graph.nodes()[nodes[0]].operands[0]);
            let rows = Shape::from(&matrix.shape[..matrix.rank() - 1]);
            let values = [ty, TensorType::new(DType::I64, rows)].map(|ty| {
                self.root.push(self.types.len());
                self.types.push(ty);
                ValueId(self.types.len() as u32 - 1)
            });
            for (k, node) in nodes.into_iter().enumerate() {
                self.factors.insert(node, (values, k == 0));
            }
        }
    }

    /// Splits products off whose operands must be packed first.
    pub fn pack_products(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            let Step::Dot { node, mut operands, then } = step else {
                self.steps.push(step);
                continue;
            };
            let packs = product::packs(self.graph, node, &operands);
            for (operand, pack) in operands.iter_mut().zip(packs) {
                let Some(mut pack) = pack else { continue };
                let value = ValueId(self.types.len() as u32);
                self.root.push(value.index());
                self.types.push(pack.ty);
                pack.kernel.store.value = value;
                *operand = Strided { value, offset: 0, strides: pack.strides };
                self.steps.push(Step::Kernel(pack.kernel));
            }
            self.steps.push(Step::Dot { node, operands, then });
        }
    }

    /// Splits copies off that lay what a kernel reads over and over side by side.
    pub fn pack_kernels(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            let Step::Kernel(kernel) = step else {
                self.steps.push(step);
                continue;
            };
            let mut kernel = kernel.collapse();
            for mut pack in map::packs(&kernel) {
                let value = ValueId(self.types.len() as u32);
                self.root.push(value.index());
                self.types.push(pack.ty);
                pack.kernel.store.value = value;
                let load = &mut kernel.loads[pack.load];
                load.source = Strided { value, offset: 0, strides: pack.strides };
                self.steps.push(Step::Kernel(pack.kernel));
            }
            self.steps.push(Step::Kernel(kernel));
        }
    }

    /// Puts reductions and products of many results together with what alone reads these.
    pub fn join_followers(&mut self) {
        let mut readers = vec![0usize; self.types.len()];
        self.graph.outputs().iter().for_each(|v| readers[self.root[v.index()]] += 1);
        for step in &self.steps {
            self.uses(step).0.iter().for_each(|&v| readers[v] += 1);
        }
        // Where the reduction or product of each value stands, if it is read once.
        let mut read_once: HashMap<usize, usize> = HashMap::new();
        let mut steps: Vec<Option<Step>> =
            std::mem::take(&mut self.steps).into_iter().map(Some).collect();
        for i in 0..steps.len() {
            let kernel = match &steps[i] {
                Some(Step::Kernel(kernel)) if kernel.reduction.is_none() => kernel,
                Some(step @ (Step::Kernel(_) | Step::Dot { .. })) => {
                    let (_, written) = self.uses(step);
                    read_once.extend(written.iter().filter(|&&v| readers[v] == 1).map(|&v| (v, i)));
                    continue;
                }
                _ => continue,
            };
            let joined = kernel.loads.iter().find_map(|load| {
                let value = self.root[load.source.value.index()];
                let at = *read_once.get(&value)?;
                // Views of the value read the value.
                let mut then = kernel.clone();
                for source in then.loads.iter_mut().map(|l| &mut l.source) {
                    if self.root[source.value.index()] == value {
                        source.value = ValueId(value as u32);
                    }
                }
                let step = match steps[at].as_ref()? {
                    Step::Kernel(reduction) => {
                        let then = Box::new(following(reduction, &then)?);
                        Step::Reduced { kernel: reduction.clone(), then }
                    }
                    Step::Dot { node, operands, then: None } => {
                        let (node, operands) = (*node, operands.clone());
                        let follows = follows_product(self.graph, node, &operands, &then);
                        let then = follows.then(|| then.into());
                        Step::Dot { node, operands, then: Some(then?) }
                    }
                    _ => return None,
                };
                Some((at, step))
            });
            if let Some((at, step)) = joined {
                steps[at] = None;
                steps[i] = Some(step);
            }
        }
        self.steps = steps.into_iter().flatten().collect();
    }

    pub fn place_values(&self, results: &mut Vec<(DType, Shape)>) -> (Vec<Home>, usize) {
        let mut homes = vec![Home::Nowhere; self.types.len()];
        (0..self.graph.inputs().len()).for_each(|i| homes[i] = Home::Input(i));
        for v in self.graph.outputs() {
            let root = self.root[v.index()];
            if homes[root] == Home::Nowhere {
                homes[root] = Home::Result(results.len());
                results.push((self.types[root].dtype, self.types[root].shape.clone()));
            }
        }
        let mut last = vec![0; self.types.len()];
        for (i, step) in self.steps.iter().enumerate() {
            let (reads, writes) = self.uses(step);
            reads.iter().chain(&writes).for_each(|&v| last[v] = i);
        }
        let mut layout = Layout::default();
        for (i, step) in self.steps.iter().enumerate() {
            let (reads, writes) = self.uses(step);
            let mut taken = None;
            for &v in &writes {
                if homes[v] != Home::Nowhere {
                    continue;
                }
                // What is read here for the last time may be written over.
                let over = |&w: &usize| last[w] == i && matches!(homes[w], Home::Arena(_));
                taken = self.overwritable(step).filter(over);
                homes[v] = match taken {
                    Some(w) => homes[w],
                    None => Home::Arena(layout.take(bytes(&self.types[v]))),
                };
            }
            let mut ended: SmallVec<[usize; 8]> = (reads.iter().chain(&writes).copied())
                .filter(|&v| last[v] == i && Some(v) != taken)
                .collect();
            ended.sort_unstable();
            ended.dedup();
            for v in ended {
                if let Home::Arena(start) = homes[v]
                    && !self.types[v].shape.contains(&0)
                {
                    layout.give_back(start, bytes(&self.types[v]));
                }
            }
        }
        (homes, layout.end)
    }

    /// The value whose elements a step reads one by one in the places where it writes its own, and
    /// nowhere else.
    fn overwritable(&self, step: &Step) -> Option<usize> {
        let Step::Kernel(kernel) = step else { return None };
        let root = |load: &Load| self.root[load.source.value.index()];
        let in_place = |load: &Load| {
            load.source.offset == kernel.store.offset
                && load.source.strides == kernel.store.strides
                && load.windows.is_empty()
        };
        let same =
            |v: usize| bytes(&self.types[v]) == bytes(&self.types[kernel.store.value.index()]);
        let fits = |load: &&Load| {
            let v = root(load);
            load.dtype.size() == kernel.dtype().size()
                && same(v)
                && kernel.loads.iter().all(|l| root(l) != v || in_place(l))
        };
        let is_computed = !matches!(kernel.exprs[kernel.result.index()], Expr::Load(_));
        let is_large = bytes(&self.types[kernel.store.value.index()]) >= LARGE_IN_PLACE;
        let is_map = kernel.reduction.is_none() && is_computed && is_large;
        kernel.loads.iter().find(|load| is_map && fits(load)).map(root)
    }

    pub fn compile(&self, step: &Step, simd: Simd) -> Result<Option<Task>> {
        let buffer = |v: ValueId| self.root[v.index()];
        let (node, run) = match step {
            Step::Alias { .. } => return Ok(None),
            Step::Kernel(kernel) => {
                let kernel = kernel.clone().collapse();
                let run = match Reduce::compile(&kernel, simd, buffer) {
                    Some(reduce) => Run::Reduce(reduce.into()),
                    None => match Transpose::compile(&kernel, simd, buffer) {
                        Some(transpose) => Run::Transpose(transpose),
                        None => {
                            let is_too_large = self.is_too_large(kernel.store.value);
                            Run::Map(Map::compile(&kernel, simd, is_too_large, buffer))
                        }
                    },
                };
                // Kernels do not fail.
                let elements: usize = kernel.space.iter().product();
                let name = profile::name_of(&kernel);
                let flops = elements * kernel.exprs.len().saturating_sub(kernel.loads.len());
                let (place, bytes, dtype) = (Place(None), self.bytes_of(step), kernel.dtype());
                let facts = Facts { name, place, bytes, flops, dtype };
                return Ok(Some(Task {
                    run,
                    step: step.clone(),
                    oracle: None,
                    op: "kernel",
                    facts,
                }));
            }
            Step::Reduced { kernel, then } => {
                let is_too_large = self.is_too_large(then.store.value);
                let from = (kernel.store.value, map::inner_axis(kernel), kernel.dtype());
                let follower = Follower::compile(from, then, false, simd, is_too_large, buffer);
                let Some(run) = Reduce::compile(kernel, simd, buffer) else {
                    return Err(no_reduction());
                };
                let name =
                    format!("{}, {}", profile::name_of(kernel), profile::name_of(then)).into();
                let flops = |k: &Kernel| {
                    let elements: usize = k.space.iter().product();
                    elements * k.exprs.len().saturating_sub(k.loads.len())
                };
                let (flops, dtype) = (flops(kernel) + flops(then), kernel.dtype());
                let facts =
                    Facts { name, place: Place(None), bytes: self.bytes_of(step), flops, dtype };
                let run = Run::Reduce(run.followed_by(follower).into());
                return Ok(Some(Task {
                    run,
                    step: step.clone(),
                    oracle: None,
                    op: "kernel",
                    facts,
                }));
            }
            Step::Rowwise(program) => {
                let is_too_large = |v: ValueId| self.is_too_large(v);
                let Some(run) = RowwiseStep::compile(program, simd, is_too_large, buffer) else {
                    return Err(no_reduction());
                };
                let elements: usize = program.space.iter().product();
                let flops = elements * program.exprs.len().saturating_sub(program.loads.len());
                let (name, dtype) = (profile::name_of_rows(program), program.dtype());
                let facts =
                    Facts { name, place: Place(None), bytes: self.bytes_of(step), flops, dtype };
                let (run, step) = (Run::Rowwise(run), step.clone());
                return Ok(Some(Task { run, step, oracle: None, op: "kernel", facts }));
            }
            Step::Dot { node, operands, then } => {
                let mut product = Product::compile(self.graph, *node, simd, operands, buffer);
                let node = &self.graph.nodes()[*node];
                if let Some(then) = then {
                    let is_too_large = self.is_too_large(then.store.value);
                    let inner = then.space.len() - 1;
                    let from = (node.first, inner, self.graph.ty(node.first).dtype);
                    let rows = product.has_whole_rows(then.space[inner]);
                    let follower = Follower::compile(from, then, rows, simd, is_too_large, buffer);
                    product = product.followed_by(follower);
                }
                (node, Run::Product(product.into()))
            }
            Step::Op { node: i } => {
                let node = &self.graph.nodes()[*i];
                let run = match (self.compile_op(node, simd, &buffer)?, self.factors.get(i)) {
                    (Run::Factorisation(step), Some(&([factors, order], first))) => {
                        let (factors, order) = (factors.index(), order.index());
                        Run::Factorisation(step.sharing(SharedFactors { factors, order, first }))
                    }
                    (run, _) => run,
                };
                (node, run)
            }
        };
        let flops = match &node.op {
            Op::Dot(dims) => {
                let x = self.graph.ty(node.operands[0]);
                let summed: usize = dims.lhs_contract.iter().map(|&a| x.shape[a]).product();
                summed.saturating_mul(2 * self.graph.ty(node.first).shape.size())
            }
            _ => 0,
        };
        let name = match step {
            Step::Dot { then: Some(then), .. } => {
                format!("{}, {}", node.op.name(), profile::name_of(then)).into()
            }
            _ => node.op.name().into(),
        };
        let bytes = self.bytes_of(step);
        let dtype = self.types[node.first.index()].dtype;
        let facts = Facts { name, place: node.place, bytes, flops, dtype };
        Ok(Some(Task { run, step: step.clone(), oracle: None, op: node.op.name(), facts }))
    }

    /// Whether a value is a result that does not stay in caches until it is read.
    fn is_too_large(&self, v: ValueId) -> bool {
        let is_result = || self.graph.outputs().iter().any(|o| self.root[o.index()] == v.index());
        bytes(&self.types[v.index()]) * self.parts >= LARGE_RESULT && is_result()
    }

    /// Bytes of the values that a step reads and writes, of each what a kernel reads or writes of it.
    fn bytes_of(&self, step: &Step) -> usize {
        if let Step::Kernel(kernel) = step {
            let mut read: BTreeMap<usize, usize> = BTreeMap::new();
            for load in &kernel.loads {
                let bytes = footprint(kernel, load) * load.dtype.size();
                *read.entry(self.root[load.source.value.index()]).or_default() += bytes;
            }
            let read: usize =
                read.iter().map(|(&v, &bytes)| bytes.min(self.types[v].bytes())).sum();
            let written: usize = kernel.space[..kernel.kept()].iter().product();
            return read + written * kernel.dtype().size();
        }
        let (reads, writes) = self.uses(step);
        let size = |&v: &usize| self.types[v].bytes();
        reads.iter().chain(&writes).map(size).sum()
    }

    fn compile_op(
        &self,
        node: &unloop_graph::Node,
        simd: Simd,
        buffer: &dyn Fn(ValueId) -> usize,
    ) -> Result<Run> {
        let operands: SmallVec<[(usize, &TensorType); 3]> =
            node.operands.iter().map(|&v| (buffer(v), self.graph.ty(v))).collect();
        let results: SmallVec<[(usize, &TensorType); 3]> =
            node.results().map(|v| (buffer(ValueId(v)), self.graph.ty(ValueId(v)))).collect();
        if let Some(step) = Control::compile(&node.op, simd, &operands, &results)? {
            return Ok(Run::Control(step));
        }
        let run = match (&node.op, &operands[..], &results[..]) {
            (Op::Gather(gather), [x, indices], [y]) => {
                Run::Gather(GatherStep::compile(gather, *x, *indices, *y))
            }
            (Op::Scatter(scatter), [x, indices, updates], [y]) => {
                Run::Scatter(ScatterStep::compile(scatter, simd, *x, *indices, *updates, *y))
            }
            (Op::ArgReduce { op, axis, .. }, [x], [y]) => {
                Run::ArgReduce(ArgReduce::compile(*op, *axis, simd, *x, *y))
            }
            (Op::Betainc, [a, b, x], [y]) => Run::Betainc(BetaincStep::compile(*a, *b, *x, *y)),
            (Op::Pad(pad), [x, fill], [y]) => Run::Pad(PadStep::compile(pad, *x, *fill, *y)),
            (Op::Sort(sort), operands, results) => {
                Run::Sort(SortStep::compile(sort, simd, operands, results))
            }
            (Op::Cumulative { op, axis, reverse }, [x], [y]) => {
                Run::Cumulative(CumulativeStep::compile(*op, *axis, *reverse, simd, *x, *y))
            }
            (Op::SearchSorted { right }, [table, values], [y]) => {
                Run::Search(SearchStep::compile(*right, simd, *table, *values, *y))
            }
            (op, operands, results) => {
                if let Some(step) = Factorisation::compile(op, simd, operands, results) {
                    return Ok(Run::Factorisation(step));
                }
                if let Some(step) = Decomposition::compile(op, simd, operands, results) {
                    return Ok(Run::Decomposition(step));
                }
                // What has no kernel is computed by its definition.
                let step = ReferenceStep::compile(op, operands, results);
                Run::Reference(step.map_err(|kind| Error::new(op.name(), kind, node.place))?)
            }
        };
        Ok(run)
    }
}

/// The type rules leave no reduction without a kernel.
fn no_reduction() -> Error {
    let kind = ErrorKind::Unsupported("a reduction of this dtype".into());
    Error::new("kernel", kind, Place(None))
}

/// A kernel that copies a strided value to row-major order.
pub(crate) fn copy_kernel(space: &[usize], source: Strided, dtype: DType) -> Kernel {
    let store = Strided { value: source.value, offset: 0, strides: Shape::from(space).strides() };
    Kernel {
        space: SmallVec::from_slice(space),
        loads: vec![Load { source, dtype, windows: SmallVec::new(), fill: None }],
        exprs: vec![Expr::Load(0)],
        dtypes: vec![dtype],
        result: ExprId(0),
        reduction: None,
        store,
    }
}
