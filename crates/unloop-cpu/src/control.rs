//! Control flow: plans run by plans, on memory of the outer one.

use smallvec::SmallVec;
use unloop_graph::op::Switch;
use unloop_graph::{DType, ErrorKind, Graph, Op, Result, TensorType, cancel};

use crate::memory::{ALIGN, Addresses, Arena};
use crate::narrow::{first_axes, shorter_loop};
use crate::parts::{Division, row};
use crate::plan::Plan;
use crate::simd::Simd;

/// A loop or a choice, ready to run.
pub(crate) struct Control {
    kind: Kind,
    /// Buffers of the operands, and of the results.
    sources: SmallVec<[usize; 8]>,
    targets: SmallVec<[usize; 8]>,
}

enum Kind {
    Switch(Vec<Plan>),
    Call(Box<Plan>),
    Loop { whole: Box<Loop>, parts: Option<Box<Parts>> },
}

/// A loop over all examples, or over a part of them.
struct Loop {
    /// While this says so; else as often as there are entries.
    condition: Option<Plan>,
    body: Plan,
    /// Operands that stay the same.
    shared: usize,
    /// Bytes of what is passed on.
    carry: SmallVec<[usize; 8]>,
    /// How often it runs; a loop with a condition: at most.
    limit: Option<usize>,
    /// Whether the last entries come first.
    reverse: bool,
    /// The bytes between entries, of operands and of results.
    entries: SmallVec<[usize; 8]>,
    stacks: SmallVec<[usize; 8]>,
}

/// The same loop for parts of the examples, which do not depend on each other.
struct Parts {
    division: Division,
    part: Loop,
    /// For what is left over.
    rest: Option<Loop>,
}

/// Bytes that a part passes on, about: it stays in a first-level cache with what is computed.
const PART_BYTES: usize = 8 * 1024;

/// Examples of a part, at least and at most.
const PART: std::ops::RangeInclusive<usize> = 64..=1024;

impl Control {
    /// Compiles control flow, with the buffers of operands and results; `None` for any other
    /// operation.
    pub fn compile(
        op: &Op,
        simd: Simd,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> Result<Option<Control>> {
        let kind = match op {
            Op::Switch(Switch { branches }) => {
                let plans = branches.iter().map(|branch| Plan::compile(branch, simd));
                Kind::Switch(plans.collect::<Result<_>>()?)
            }
            Op::WithDerivative(custom) => Kind::Call(Plan::compile(&custom.body, simd)?.into()),
            Op::While(_) | Op::Scan(_) => {
                let Some(whole) = Loop::of(op, simd) else { return Ok(None) };
                let parts = Parts::compile(op, simd)?.map(Box::new);
                Kind::Loop { whole: whole?.into(), parts }
            }
            _ => return Ok(None),
        };
        Ok(Some(Control {
            kind,
            sources: operands.iter().map(|o| o.0).collect(),
            targets: results.iter().map(|r| r.0).collect(),
        }))
    }

    /// The programs inside, with what each is for.
    pub fn programs(&self) -> Vec<(String, &Plan)> {
        let of_loop = |each: &'_ Loop, what: &str| match (&each.condition, each.limit) {
            (None, Some(length)) => format!("{what} run {length} times, one after the other"),
            _ => format!("{what} run as long as a condition is true"),
        };
        match &self.kind {
            Kind::Switch(branches) => {
                let name = |(i, plan): (usize, _)| (format!("branch {i}"), plan);
                branches.iter().enumerate().map(name).collect()
            }
            Kind::Call(body) => vec![("the function".into(), &**body)],
            Kind::Loop { whole, parts: None } => vec![(of_loop(whole, "a body"), &whole.body)],
            Kind::Loop { parts: Some(parts), .. } => {
                let Division { examples, width, .. } = parts.division;
                let what = format!("for {width} of {examples} examples at a time, a body");
                vec![(of_loop(&parts.part, &what), &parts.part.body)]
            }
        }
    }

    /// Bytes of what lies in between, of the programs inside.
    pub fn working_bytes(&self) -> usize {
        match &self.kind {
            Kind::Switch(branches) => branches.iter().map(Plan::working_bytes).max().unwrap_or(0),
            Kind::Call(body) => body.working_bytes(),
            Kind::Loop { whole, parts: None } => whole.working_bytes(),
            Kind::Loop { parts: Some(parts), .. } => parts.working_bytes(),
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let addresses = |buffers: &[usize]| -> SmallVec<[*mut u8; 8]> {
            buffers.iter().map(|&b| memory.of(b)).collect()
        };
        let (sources, targets) = (addresses(&self.sources), addresses(&self.targets));
        // SAFETY: inner programs get addresses of values of their types.
        unsafe {
            match &self.kind {
                Kind::Switch(branches) => {
                    let index = i64::from(sources[0].cast::<i32>().read());
                    let last = branches.len() as i64 - 1;
                    branches[index.clamp(0, last) as usize].run_at(&sources[1..], &targets)
                }
                Kind::Call(body) => body.run_at(&sources, &targets),
                Kind::Loop { whole, parts: None } => whole.run(&sources, &targets),
                Kind::Loop { parts: Some(parts), .. } => parts.run(&sources, &targets),
            }
        }
    }
}

/// The steps that a loop with a condition makes, each of which is asked for.
pub(crate) struct Steps {
    left: usize,
    limit: usize,
}

impl Steps {
    /// As many steps as the limit allows; without one, as many as anybody will wait for.
    pub fn new(limit: Option<usize>) -> Steps {
        let limit = limit.unwrap_or(usize::MAX);
        Steps { left: limit, limit }
    }

    /// Another step, if it is allowed and still wanted.
    #[inline]
    pub fn next(&mut self) -> Result<(), ErrorKind> {
        cancel::check()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Err(ErrorKind::LoopLimit { limit: self.limit });
        };
        self.left = left;
        Ok(())
    }
}

impl Loop {
    /// Bytes of what is passed on, and of what lies in between.
    fn working_bytes(&self) -> usize {
        let condition = self.condition.as_ref().map_or(0, Plan::working_bytes);
        Carry::bytes(&self.carry) + self.body.working_bytes().max(condition)
    }

    /// The loop of an operation; `None` for any other.
    fn of(op: &Op, simd: Simd) -> Option<Result<Loop>> {
        match op {
            Op::While(w) => {
                let sizes = (w.shared, w.carry());
                let made = Loop::new((Some(&w.condition), &w.body), sizes, simd);
                Some(made.map(|made| Loop { limit: w.limit, ..made }))
            }
            Op::Scan(scan) => {
                let made = Loop::new((None, &scan.body), (scan.shared, scan.carry), simd);
                let (limit, reverse) = (Some(scan.length), scan.reverse);
                Some(made.map(|made| Loop { limit, reverse, ..made }))
            }
            _ => None,
        }
    }

    fn new(
        (condition, body): (Option<&Graph>, &Graph),
        (shared, carry): (usize, usize),
        simd: Simd,
    ) -> Result<Loop> {
        let results: SmallVec<[usize; 8]> = body.output_types().map(TensorType::bytes).collect();
        let inputs: SmallVec<[usize; 8]> = body.inputs().iter().map(TensorType::bytes).collect();
        Ok(Loop {
            condition: condition.map(|c| Plan::compile(c, simd)).transpose()?,
            body: Plan::compile(body, simd)?,
            shared,
            carry: results[..carry].into(),
            limit: None,
            reverse: false,
            entries: inputs[shared + carry..].into(),
            stacks: results[carry..].into(),
        })
    }

    /// # Safety
    /// The addresses are of operands and results of the loop's types.
    unsafe fn run(&self, sources: &[*mut u8], targets: &[*mut u8]) -> Result<(), ErrorKind> {
        let count = self.carry.len();
        let whole = self.shared + count;
        let mut carry = Carry::new(&sources[self.shared..whole], &self.carry)?;
        let mut inputs: SmallVec<[*mut u8; 8]> = sources.into();
        let mut outputs: SmallVec<[*mut u8; 8]> = SmallVec::new();
        // SAFETY: inner programs get addresses of values of their types.
        unsafe {
            if let Some(condition) = &self.condition {
                let mut steps = Steps::new(self.limit);
                loop {
                    let mut go_on = 0u8;
                    inputs.truncate(self.shared);
                    inputs.extend_from_slice(&carry.now);
                    condition.run_at(&inputs, &[&raw mut go_on])?;
                    if go_on == 0 {
                        break;
                    }
                    steps.next()?;
                    self.body.run_at(&inputs, &carry.next)?;
                    carry.advance();
                }
                carry.store(&targets[..count]);
                return Ok(());
            }
            let length = self.limit.unwrap_or(0);
            for run in 0..length {
                cancel::check()?;
                let i = if self.reverse { length - 1 - run } else { run };
                let at = |(&start, &size): (&*mut u8, &usize)| start.wrapping_add(i * size);
                inputs.truncate(self.shared);
                inputs.extend_from_slice(&carry.now);
                inputs.extend(sources[whole..].iter().zip(&self.entries).map(at));
                outputs.clear();
                outputs.extend_from_slice(&carry.next);
                outputs.extend(targets[count..].iter().zip(&self.stacks).map(at));
                self.body.run_at(&inputs, &outputs)?;
                carry.advance();
            }
            carry.store(&targets[..count]);
        }
        Ok(())
    }
}

impl Parts {
    /// The loop in parts, if it has examples that do not depend on each other, and enough of them.
    fn compile(op: &Op, simd: Simd) -> Result<Option<Parts>> {
        let (body, shared, carry) = match op {
            Op::While(w) => (&*w.body, w.shared, w.carry()),
            Op::Scan(scan) if scan.length > 1 => (&*scan.body, scan.shared, scan.carry),
            _ => return Ok(None),
        };
        let inputs = body.inputs();
        let passed = &inputs[shared..shared + carry];
        // The examples are what most of what is passed on has along its first axis.
        let largest = passed.iter().max_by_key(|ty| ty.bytes());
        let Some(&examples) = largest.and_then(|ty| ty.shape.first()) else { return Ok(None) };
        let has = |ty: &TensorType| Division::has(examples, ty);
        let state: usize = passed.iter().map(|ty| row(examples, ty)).sum();
        let width = (PART_BYTES / state.max(1)).clamp(*PART.start(), *PART.end());
        if examples < 2 * width {
            return Ok(None);
        }
        let each: Vec<bool> = inputs.iter().map(has).collect();
        let outputs: Vec<bool> = body.output_types().map(has).collect();
        // A stack that is the same for all would be written by all.
        if outputs[carry..].contains(&false) {
            return Ok(None);
        }
        let part = |width: usize| -> Option<Result<Loop>> {
            let (op, results) = shorter_loop(op, &first_axes(&each), (examples, width))?;
            (results[..] == first_axes(&outputs)[..]).then(|| Loop::of(&op, simd))?
        };
        let left = examples % width;
        let rest = if left == 0 { Some(None) } else { part(left).map(Some) };
        let (Some(part), Some(rest)) = (part(width), rest) else { return Ok(None) };
        let division = Division::new((examples, width), inputs.iter(), body.output_types());
        let mut parts = Parts { division, part: part?, rest: rest.transpose()? };
        // Entries of all examples lie as far apart as ever.
        let entry = |ty: &TensorType| ty.bytes();
        for part in std::iter::once(&mut parts.part).chain(&mut parts.rest) {
            part.entries = inputs[shared + carry..].iter().map(entry).collect();
            part.stacks = body.output_types().skip(carry).map(entry).collect();
        }
        Ok(Some(parts))
    }

    /// Bytes of what lies in between, of all parts that run at a time.
    fn working_bytes(&self) -> usize {
        let shared = |i: &usize| self.division.results[*i] == 0;
        let own: usize =
            (0..self.part.carry.len()).filter(shared).map(|i| self.part.carry[i]).sum();
        let largest = std::iter::once(&self.part).chain(&self.rest).map(Loop::working_bytes).max();
        let parts = self.division.examples.div_ceil(self.division.width);
        (own + largest.unwrap_or(0)) * parts.min(rayon::current_num_threads())
    }

    /// # Safety
    /// As [`Loop::run`], for the whole loop.
    unsafe fn run(&self, sources: &[*mut u8], targets: &[*mut u8]) -> Result<(), ErrorKind> {
        self.division.for_parts(sources, targets, |first, is_short, from, to| {
            // What is the same for all is written once.
            let mut scratch: SmallVec<[Arena; 2]> = SmallVec::new();
            for (i, &size) in self.part.carry.iter().enumerate() {
                if self.division.results[i] == 0 && first > 0 {
                    let mut arena = Arena::new();
                    to[i] = arena.reserve(size)?;
                    scratch.push(arena);
                }
            }
            let part = self.rest.as_ref().filter(|_| is_short).unwrap_or(&self.part);
            // SAFETY: each part reads and writes what belongs to its examples.
            unsafe { part.run(from, to) }
        })
    }
}

/// What a loop passes on: read from one set of buffers, written to another.
struct Carry {
    /// Two sets of buffers, once the loop has begun.
    _arena: Arena,
    now: SmallVec<[*mut u8; 8]>,
    next: SmallVec<[*mut u8; 8]>,
    /// The set that is free after the first run.
    spare: SmallVec<[*mut u8; 8]>,
    sizes: SmallVec<[usize; 8]>,
}

impl Carry {
    fn new(start: &[*mut u8], sizes: &[usize]) -> Result<Carry, ErrorKind> {
        let mut offsets: SmallVec<[usize; 8]> = SmallVec::new();
        let mut end = 0;
        for &size in sizes {
            offsets.push(end);
            end += Carry::place(size);
        }
        let mut arena = Arena::new();
        let base = arena.reserve(2 * end.max(ALIGN))?;
        let set = |first: usize| offsets.iter().map(|o| base.wrapping_add(first + o)).collect();
        Ok(Carry {
            now: start.into(),
            next: set(0),
            spare: set(end),
            sizes: sizes.into(),
            _arena: arena,
        })
    }

    /// Bytes of the place of a value.
    fn place(size: usize) -> usize {
        size.next_multiple_of(ALIGN).max(ALIGN)
    }

    /// Bytes of both sets of values of these sizes.
    fn bytes(sizes: &[usize]) -> usize {
        2 * sizes.iter().map(|&size| Carry::place(size)).sum::<usize>()
    }

    /// What was written becomes what is read.
    fn advance(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
        // The first values lie in the operands, which are not written.
        if !self.spare.is_empty() {
            self.next = std::mem::take(&mut self.spare);
        }
    }

    /// # Safety
    /// The targets have the sizes of the values.
    unsafe fn store(&self, targets: &[*mut u8]) {
        for ((&from, &to), &size) in self.now.iter().zip(targets).zip(&self.sizes) {
            // SAFETY: as the caller's.
            unsafe { std::ptr::copy_nonoverlapping(from, to, size) };
        }
    }
}

/// The dtype of conditions, one byte each.
const _: () = assert!(DType::Bool.size() == 1);
