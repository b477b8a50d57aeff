//! Control flow: plans run by plans, on memory of the outer one.

use smallvec::SmallVec;
use unloop_graph::op::{Scan, Switch, While};
use unloop_graph::{DType, ErrorKind, Op, Result, TensorType};

use crate::memory::{ALIGN, Addresses, Arena};
use crate::plan::Plan;
use crate::simd::Simd;

/// A loop or a choice, ready to run.
pub(crate) struct Control {
    kind: Kind,
    /// Buffers of the operands, and of the results.
    sources: SmallVec<[usize; 8]>,
    targets: SmallVec<[usize; 8]>,
    /// Bytes of each result; of results of a scan that are stacks, of one entry.
    sizes: SmallVec<[usize; 8]>,
}

enum Kind {
    Switch(Vec<Plan>),
    Call(Plan),
    While { condition: Plan, body: Plan, shared: usize },
    Scan { body: Plan, scan: Scan, entries: SmallVec<[usize; 8]> },
}

fn bytes(ty: &TensorType) -> usize {
    ty.shape.size() * ty.dtype.size()
}

impl Control {
    /// Compiles control flow, with the buffers of operands and results; `None` for any other
    /// operation.
    pub fn compile(
        op: &Op,
        simd: Simd,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> Result<Option<Control>> {
        let mut sizes: SmallVec<[usize; 8]> = results.iter().map(|r| bytes(r.1)).collect();
        let kind = match op {
            Op::Switch(Switch { branches }) => {
                let plans = branches.iter().map(|branch| Plan::compile(branch, simd));
                Kind::Switch(plans.collect::<Result<_>>()?)
            }
            Op::WithDerivative(custom) => Kind::Call(Plan::compile(&custom.body, simd)?),
            Op::While(While { condition, body, shared }) => Kind::While {
                condition: Plan::compile(condition, simd)?,
                body: Plan::compile(body, simd)?,
                shared: *shared,
            },
            Op::Scan(scan) => {
                let per_entry = |size: &usize| size / scan.length.max(1);
                sizes[scan.carry..].iter_mut().for_each(|size| *size = per_entry(size));
                let whole = scan.shared + scan.carry;
                let entries = operands[whole..].iter().map(|o| per_entry(&bytes(o.1))).collect();
                Kind::Scan { body: Plan::compile(&scan.body, simd)?, scan: scan.clone(), entries }
            }
            _ => return Ok(None),
        };
        Ok(Some(Control {
            kind,
            sources: operands.iter().map(|o| o.0).collect(),
            targets: results.iter().map(|r| r.0).collect(),
            sizes,
        }))
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
                Kind::While { condition, body, shared } => {
                    let mut carry = Carry::new(&sources[*shared..], &self.sizes);
                    let mut inputs = sources.clone();
                    loop {
                        let mut go_on = 0u8;
                        inputs.truncate(*shared);
                        inputs.extend_from_slice(&carry.now);
                        condition.run_at(&inputs, &[&raw mut go_on])?;
                        if go_on == 0 {
                            break;
                        }
                        body.run_at(&inputs, &carry.next)?;
                        carry.advance();
                    }
                    carry.store(&targets);
                    Ok(())
                }
                Kind::Scan { body, scan, entries } => {
                    let whole = scan.shared + scan.carry;
                    let mut carry =
                        Carry::new(&sources[scan.shared..whole], &self.sizes[..scan.carry]);
                    let mut inputs = sources.clone();
                    let mut outputs: SmallVec<[*mut u8; 8]> = SmallVec::new();
                    for i in scan.order() {
                        inputs.truncate(scan.shared);
                        inputs.extend_from_slice(&carry.now);
                        let at = |(&start, &size): (&*mut u8, &usize)| start.wrapping_add(i * size);
                        inputs.extend(sources[whole..].iter().zip(entries).map(at));
                        outputs.clear();
                        outputs.extend_from_slice(&carry.next);
                        let stacks = targets[scan.carry..].iter();
                        outputs.extend(stacks.zip(&self.sizes[scan.carry..]).map(at));
                        body.run_at(&inputs, &outputs)?;
                        carry.advance();
                    }
                    carry.store(&targets[..scan.carry]);
                    Ok(())
                }
            }
        }
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
    fn new(start: &[*mut u8], sizes: &[usize]) -> Carry {
        let mut offsets: SmallVec<[usize; 8]> = SmallVec::new();
        let mut end = 0;
        for size in sizes {
            offsets.push(end);
            end += size.next_multiple_of(ALIGN).max(ALIGN);
        }
        let mut arena = Arena::new();
        let base = arena.reserve(2 * end.max(ALIGN));
        let set = |first: usize| offsets.iter().map(|o| base.wrapping_add(first + o)).collect();
        Carry {
            now: start.into(),
            next: set(0),
            spare: set(end),
            sizes: sizes.into(),
            _arena: arena,
        }
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
