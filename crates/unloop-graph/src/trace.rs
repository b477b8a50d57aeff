//! Tracing: running a closure on symbolic tensors records what it does as a [`Graph`].
//!
//! Every trace has fresh parameters. An operation is recorded in the newest trace among its
//! operands; what comes from older traces, or is concrete, becomes an explicit input of the program,
//! a *capture*. So transforms nest without levels or tags.
//!
//! A branch that may not be chosen ([`Trace::stage`]) records everything that happens in it, also what
//! is made of captures alone: else it would be computed, and could fail, whichever branch is chosen.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::builder::{GraphBuilder, live};
use crate::error::{Error, ErrorKind, Place};
use crate::op::Types;
use crate::tensor::Repr;
use crate::{DType, Graph, Node, Number, Op, Result, Scalar, Shape, Tensor, TensorType, ValueId};

/// A value of a trace in progress.
#[derive(Clone)]
pub(crate) struct Traced {
    trace: Arc<Recorder>,
    value: ValueId,
    pub(crate) ty: TensorType,
}

struct Recorder {
    /// Later traces have larger numbers.
    id: u64,
    program: Mutex<Program>,
}

#[derive(Default)]
struct Program {
    types: Vec<TensorType>,
    nodes: Vec<Node>,
    params: Vec<ValueId>,
    captures: Vec<(ValueId, Capture)>,
    capture_of: HashMap<CaptureKey, ValueId>,
    /// Nodes by the hash of operation and operands, to find common subexpressions.
    node_of: HashMap<u64, usize>,
    closed: bool,
}

/// A tensor from outside that a traced closure uses.
#[derive(Clone)]
pub struct Capture {
    /// The tensor as it is outside.
    pub tensor: Tensor,
    /// The axes that indices of the enclosing `each` run over, as (axis of `tensor`, position of
    /// the index); the input of the program lacks them.
    pub mapped: Mapped,
}

/// Axes with the position of the loop index that runs over each.
pub type Mapped = SmallVec<[(usize, usize); 4]>;

#[derive(PartialEq, Eq, Hash)]
enum CaptureKey {
    Traced(u64, ValueId, Mapped),
    /// Address of the buffer (kept alive by the capture), offset, shape, strides.
    Concrete(usize, usize, Shape, SmallVec<[isize; 6]>, Mapped),
}

/// What tracing a closure gave: the program, whose inputs are the parameters followed by the
/// captures.
pub struct TracedProgram {
    /// The program.
    pub graph: Graph,
    /// The tensors that the closure took from outside.
    pub captures: Vec<Capture>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The traces that everything is recorded in, the newest last.
    static STAGES: RefCell<Vec<Option<Arc<Recorder>>>> = const { RefCell::new(Vec::new()) };
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Program> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    fn value(&mut self, ty: TensorType) -> ValueId {
        self.types.push(ty);
        ValueId(self.types.len() as u32 - 1)
    }

    /// The node's first result; an equal node recorded before is used again.
    fn node(
        &mut self,
        op: Op,
        operands: SmallVec<[ValueId; 3]>,
        types: Types,
        place: Place,
    ) -> ValueId {
        let mut hasher = DefaultHasher::new();
        (&op, &operands).hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(&known) = self.node_of.get(&hash) {
            let node = &self.nodes[known];
            if node.op == op && node.operands == operands {
                return node.first;
            }
        }
        let first = ValueId(self.types.len() as u32);
        self.types.extend(types);
        self.node_of.insert(hash, self.nodes.len());
        self.nodes.push(Node { op, operands, first, place });
        first
    }
}

/// A trace in progress; [`Trace::finish`] ends it.
pub struct Trace {
    recorder: Arc<Recorder>,
}

impl Trace {
    /// Starts a trace with parameters of the given types.
    pub fn new(types: impl IntoIterator<Item = TensorType>) -> (Trace, Vec<Tensor>) {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let recorder = Arc::new(Recorder { id, program: Mutex::default() });
        let trace = Trace { recorder };
        let params = types.into_iter().map(|ty| trace.param(ty)).collect();
        (trace, params)
    }

    /// Adds a parameter.
    pub fn param(&self, ty: TensorType) -> Tensor {
        let mut program = self.recorder.lock();
        let value = program.value(ty.clone());
        program.params.push(value);
        Tensor::traced(Traced { trace: self.recorder.clone(), value, ty })
    }

    /// Runs a function, all of whose operations are recorded in this trace or in ones that begin
    /// inside of it.
    pub fn stage<R>(&self, f: impl FnOnce() -> R) -> R {
        on_stage(Some(self.recorder.clone()), f)
    }

    /// Runs a function, whose operations on constants alone are computed at once, also inside of a
    /// [`Trace::stage`]: the rules of operations, which fail for no constant of theirs.
    pub fn off_stage<R>(f: impl FnOnce() -> R) -> R {
        on_stage(None, f)
    }

    /// Ends the trace: the program that computes `outputs`, without what they do not need. Outputs from
    /// outside become captures.
    ///
    /// # Errors
    /// That of the first output that carries one; `EscapedTracer` for an output of a trace that is
    /// over, or that began inside of this one.
    pub fn finish(self, outputs: &[Tensor]) -> Result<TracedProgram> {
        let place = Place::without_line("trace");
        let outputs: Vec<ValueId> =
            outputs.iter().map(|t| lift(&self.recorder, t, place)).collect::<Result<_>>()?;
        let mut program = self.recorder.lock();
        let closed = Program { closed: true, ..Program::default() };
        let program = std::mem::replace(&mut *program, closed);
        Ok(build(program, &outputs))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.recorder.lock().closed = true;
    }
}

/// Runs a function, whose operations are recorded where a tensor is, also those on constants alone: what is
/// known of them is known to the program.
pub(crate) fn beside<R>(tensor: &Tensor, f: impl FnOnce() -> R) -> R {
    match &tensor.repr {
        Repr::Traced(traced) => on_stage(Some(traced.trace.clone()), f),
        Repr::Concrete(_) | Repr::Error(..) => f(),
    }
}

fn on_stage<R>(stage: Option<Arc<Recorder>>, f: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            STAGES.with_borrow_mut(Vec::pop);
        }
    }
    STAGES.with_borrow_mut(|stages| stages.push(stage));
    let _restore = Restore;
    f()
}

/// Keeps what the outputs need and numbers it anew: parameters, captures, nodes.
fn build(program: Program, outputs: &[ValueId]) -> TracedProgram {
    let Program { types, nodes, params, captures: captured, .. } = program;
    let live = live(&nodes, types.len(), outputs);
    let mut is_read = vec![false; types.len()];
    let operands = |(node, live): (&'_ Node, &bool)| live.then(|| node.operands.clone());
    let read = nodes.iter().zip(&live).filter_map(operands).flatten();
    read.chain(outputs.iter().copied()).for_each(|v| is_read[v.index()] = true);
    let (numbers, captures): (Vec<ValueId>, Vec<Capture>) =
        captured.into_iter().filter(|(v, _)| is_read[v.index()]).unzip();
    let inputs: Vec<ValueId> = params.into_iter().chain(numbers).collect();
    let ty = |v: &ValueId| types[v.index()].clone();
    let mut builder = GraphBuilder::new(inputs.iter().map(ty).collect());
    let mut moved = vec![ValueId(u32::MAX); types.len()];
    inputs.iter().zip(builder.inputs()).for_each(|(old, new)| moved[old.index()] = new);
    for (node, _) in nodes.into_iter().zip(live).filter(|(_, live)| *live) {
        let operands = node.operands.iter().map(|v| moved[v.index()]).collect();
        let results = node.results();
        let result_types = results.clone().map(|v| ty(&ValueId(v))).collect();
        let first = builder.push_typed(node.op, operands, result_types, node.place);
        results.zip(first.0..).for_each(|(old, new)| moved[old as usize] = ValueId(new));
    }
    let outputs: Vec<ValueId> = outputs.iter().map(|v| moved[v.index()]).collect();
    TracedProgram { graph: builder.finish(&outputs), captures }
}

/// Records an operation in the newest trace among the operands and the stage; `None` when there is
/// none. What has no operands is a constant, which costs nothing and cannot fail.
pub(crate) fn record(
    op: &Op,
    operands: &[&Tensor],
    types: &Types,
    place: Place,
) -> Option<Result<SmallVec<[Tensor; 1]>>> {
    let stage = match operands {
        [] => None,
        _ => STAGES.with_borrow(|stages| stages.last().cloned().flatten()),
    };
    let newest = operands
        .iter()
        .filter_map(|t| match &t.repr {
            Repr::Traced(t) => Some(&t.trace),
            Repr::Concrete(_) | Repr::Error(..) => None,
        })
        .chain(&stage)
        .max_by_key(|trace| trace.id)?
        .clone();
    let values: Result<SmallVec<[ValueId; 3]>> =
        operands.iter().map(|t| lift(&newest, t, place)).collect();
    Some(values.map(|values| {
        let first = newest.lock().node(op.clone(), values, types.clone(), place);
        let value = |(i, ty): (usize, &TensorType)| {
            let value = ValueId(first.0 + i as u32);
            Tensor::traced(Traced { trace: newest.clone(), value, ty: ty.clone() })
        };
        types.iter().enumerate().map(value).collect()
    }))
}

/// The value of the trace that stands for a tensor: its own, or a capture.
fn lift(trace: &Arc<Recorder>, tensor: &Tensor, place: Place) -> Result<ValueId> {
    match &tensor.repr {
        Repr::Error(error, _) => return Err(error.clone()),
        Repr::Traced(t) if Arc::ptr_eq(&t.trace, trace) => {
            return match trace.lock().closed {
                false => Ok(t.value),
                true => Err(Error::new("trace", ErrorKind::EscapedTracer, place)),
            };
        }
        // A value of a trace that is over, or that started inside this one, has no meaning here.
        Repr::Traced(t) if t.trace.id > trace.id || t.trace.lock().closed => {
            return Err(Error::new("trace", ErrorKind::EscapedTracer, place));
        }
        Repr::Traced(_) => {}
        Repr::Concrete(array) => {
            // An array without elements is one of any number.
            let none = || array.is_empty().then(|| Scalar::new(array.dtype(), Number::Int(0)));
            if let Some(value) = array.as_fill().or_else(none) {
                let mut program = trace.lock();
                if program.closed {
                    return Err(Error::new("trace", ErrorKind::EscapedTracer, place));
                }
                let scalar = TensorType::new(array.dtype(), ());
                let constant = program.node(
                    Op::Constant(value),
                    SmallVec::new(),
                    [scalar].into_iter().collect(),
                    place,
                );
                if array.shape().is_empty() {
                    return Ok(constant);
                }
                let op = Op::Broadcast { shape: array.shape().clone(), dims: SmallVec::new() };
                let types = [array.ty()].into_iter().collect();
                return Ok(program.node(op, [constant].into_iter().collect(), types, place));
            }
        }
    }
    capture(trace, tensor, Mapped::new(), tensor.ty(), place)
}

fn capture(
    trace: &Arc<Recorder>,
    tensor: &Tensor,
    mapped: Mapped,
    ty: TensorType,
    place: Place,
) -> Result<ValueId> {
    let key = match &tensor.repr {
        Repr::Traced(t) => CaptureKey::Traced(t.trace.id, t.value, mapped.clone()),
        Repr::Concrete(a) => CaptureKey::Concrete(
            std::ptr::from_ref(a.buffer()).addr(),
            a.offset(),
            a.shape().clone(),
            a.strides().into(),
            mapped.clone(),
        ),
        Repr::Error(error, _) => return Err(error.clone()),
    };
    let mut program = trace.lock();
    if program.closed {
        return Err(Error::new("trace", ErrorKind::EscapedTracer, place));
    }
    if let Some(&value) = program.capture_of.get(&key) {
        return Ok(value);
    }
    let value = program.value(ty);
    program.captures.push((value, Capture { tensor: tensor.clone(), mapped }));
    program.capture_of.insert(key, value);
    Ok(value)
}

/// What is known of an index of a loop whose body is being traced.
#[derive(Clone)]
pub(crate) struct LoopIndex {
    trace: Arc<Recorder>,
    position: usize,
    /// The extent, once an axis has said it.
    size: Option<usize>,
    value: Tensor,
}

/// The indices of the loops being traced. Indices are numbers, so that closures can copy them.
static LOOPS: Mutex<BTreeMap<u64, LoopIndex>> = Mutex::new(BTreeMap::new());

fn loops() -> MutexGuard<'static, BTreeMap<u64, LoopIndex>> {
    LOOPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An index of [`each`](https://docs.rs/unloop): a number that runs over the axes that it indexes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Index(u64);

/// The indices of one loop; they are valid until this is dropped.
pub struct LoopIndices(Vec<Index>);

impl LoopIndices {
    /// Indices for a loop whose body is traced by `trace`, one a size; each adds a parameter for
    /// its value. An extent that is not given is found by use.
    pub fn new(trace: &Trace, sizes: &[Option<usize>]) -> LoopIndices {
        let index = |(position, &size): (usize, &Option<usize>)| {
            let value = trace.param(TensorType::new(DType::I64, ()));
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            let trace = trace.recorder.clone();
            loops().insert(id, LoopIndex { trace, position, size, value });
            Index(id)
        };
        LoopIndices(sizes.iter().enumerate().map(index).collect())
    }

    /// The indices.
    pub fn indices(&self) -> &[Index] {
        &self.0
    }

    /// The extents that are known by now.
    pub fn sizes(&self) -> Vec<Option<usize>> {
        let loops = loops();
        self.0.iter().map(|index| loops.get(&index.0).and_then(|l| l.size)).collect()
    }
}

impl Drop for LoopIndices {
    fn drop(&mut self) {
        let mut loops = loops();
        self.0.iter().for_each(|index| drop(loops.remove(&index.0)));
    }
}

impl Index {
    /// The index as a traced scalar of dtype i64.
    ///
    /// # Errors
    /// Carried: `EscapedTracer` outside of the loop that it belongs to.
    #[track_caller]
    pub fn number(self) -> Tensor {
        match self.resolve(Place::here()) {
            Ok(index) => index.value,
            Err(error) => Tensor::error(error),
        }
    }

    pub(crate) fn resolve(self, place: Place) -> Result<LoopIndex> {
        let index = loops().get(&self.0).cloned();
        index.ok_or_else(|| Error::new("each", ErrorKind::EscapedTracer, place))
    }

    /// Lets the index run over an axis of extent `size`; all its axes must agree.
    pub(crate) fn unify(self, shape: &[usize], axis: usize, place: Place) -> Result<()> {
        let mut loops = loops();
        let Some(index) = loops.get_mut(&self.0) else { return Ok(()) };
        let size = shape[axis];
        match index.size {
            Some(known) if known != size => {
                let sizes = vec![
                    (format!("index {}", index.position), known),
                    (format!("axis {axis} of {} that it indexes", Shape::from(shape)), size),
                ];
                Err(Error::new("each", ErrorKind::BatchSizes { sizes }, place))
            }
            _ => {
                index.size = Some(size);
                Ok(())
            }
        }
    }
}

impl LoopIndex {
    /// The index as a traced scalar.
    pub(crate) fn number(&self) -> &Tensor {
        &self.value
    }

    /// The position among the loop's indices.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The number of the loop's trace: inner loops have larger ones.
    pub(crate) fn depth(&self) -> u64 {
        self.trace.id
    }

    /// Whether the tensor comes from outside of this index's loop, so that its axis can be mapped
    /// instead of gathered.
    pub(crate) fn is_outside(&self, tensor: &Tensor) -> bool {
        match &tensor.repr {
            Repr::Traced(t) => t.trace.id < self.trace.id,
            Repr::Concrete(_) => true,
            Repr::Error(..) => false,
        }
    }

    /// The part of an outside tensor that one iteration sees: the mapped axes run with the indices
    /// at the given positions of this index's loop.
    pub(crate) fn map(&self, tensor: &Tensor, mapped: Mapped, place: Place) -> Result<Tensor> {
        let shape = tensor.shape();
        let kept = (0..shape.len()).filter(|a| mapped.iter().all(|(axis, _)| axis != a));
        let ty = TensorType::new(tensor.dtype(), kept.map(|a| shape[a]).collect::<Shape>());
        let value = capture(&self.trace, tensor, mapped, ty.clone(), place)?;
        Ok(Tensor::traced(Traced { trace: self.trace.clone(), value, ty }))
    }
}
