//! Control flow: operations whose parameters are programs.

use std::fmt;
use std::sync::Arc;

use super::Types;
use crate::error::ErrorKind;
use crate::{Array, DType, Graph, Result, Shape, TensorType};

/// One of several programs of the same operands and results, chosen by a computed number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Switch {
    /// The programs; a number out of range means the first or the last.
    pub branches: Vec<Arc<Graph>>,
}

/// A program run on its own results for as long as another one says so.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct While {
    /// `(shared, carry) → bool[]`: whether to go on.
    pub condition: Arc<Graph>,
    /// `(shared, carry) → carry`.
    pub body: Arc<Graph>,
    /// How many operands, from the first, stay the same.
    pub shared: usize,
    /// How often it may run; to go on then is [`ErrorKind::LoopLimit`].
    pub limit: Option<usize>,
    /// Whether the condition is the disjunction ([`ReduceOp::Or`](crate::ReduceOp::Or)) of a mask, and
    /// the body keeps what is passed on wherever that is false: the loop of many examples, each of which
    /// is done by itself.
    pub masked: bool,
}

/// A program run once for each entry along the first axis of some operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scan {
    /// `(shared, carry, entries) → (carry, entries)`.
    pub body: Arc<Graph>,
    /// How many operands, from the first, stay the same.
    pub shared: usize,
    /// How many operands after them are passed on from run to run.
    pub carry: usize,
    /// The number of runs.
    pub length: usize,
    /// Whether the last entries come first.
    pub reverse: bool,
}

pub(super) fn same<'a>(
    what: &str,
    given: impl Iterator<Item = &'a TensorType>,
    wanted: impl Iterator<Item = &'a TensorType>,
) -> Result<(), ErrorKind> {
    let (given, wanted): (Vec<_>, Vec<_>) = (given.collect(), wanted.collect());
    match given == wanted {
        true => Ok(()),
        false => {
            let message = format!("{what} are {given:?} where {wanted:?} are needed");
            Err(ErrorKind::InvalidArgument(message))
        }
    }
}

/// A type with one more axis in front.
fn stacked(ty: &TensorType, length: usize) -> TensorType {
    TensorType { dtype: ty.dtype, shape: ty.shape.with(0, length) }
}

/// Entry `i` along the first axis.
fn entry(x: &Array, i: usize) -> Result<Array, ErrorKind> {
    let rank = x.shape().rank();
    let (mut start, step) = (vec![0; rank], vec![1; rank]);
    let mut shape = x.shape().clone();
    start[0] = i;
    shape[0] = 1;
    x.slice(&start, &shape, &step).reshape(&shape.without(0))
}

/// Arrays of one type as one, along a new first axis.
fn stack(entries: &[Array], ty: &TensorType) -> Array {
    Array::from_fn(ty, |i| entries[i[0]].get(&i[1..]))
}

impl Switch {
    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        let [index, operands @ ..] = operands else {
            return Err(ErrorKind::InvalidArgument("takes the number of a branch".into()));
        };
        if *index != TensorType::new(DType::I32, ()) {
            return Err(ErrorKind::InvalidArgument(format!("the number of a branch is {index}")));
        }
        let Some(first) = self.branches.first() else {
            return Err(ErrorKind::InvalidArgument("there is no branch".into()));
        };
        for branch in &self.branches {
            same("operands", operands.iter(), branch.inputs().iter())?;
            same("results of a branch", branch.output_types(), first.output_types())?;
        }
        Ok(first.output_types().cloned().collect())
    }

    /// The branch of a number.
    pub fn choose(&self, index: i64) -> &Arc<Graph> {
        let last = self.branches.len() as i64 - 1;
        &self.branches[index.clamp(0, last.max(0)) as usize]
    }

    pub(super) fn evaluate(&self, operands: &[Array]) -> Result<Vec<Array>, ErrorKind> {
        let index = operands[0].get(&[]).int() as i64;
        self.choose(index).evaluate(&operands[1..]).map_err(|e| e.kind().clone())
    }
}

impl While {
    /// How many operands are passed on.
    pub fn carry(&self) -> usize {
        self.body.outputs().len()
    }

    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        same("operands", operands.iter(), self.body.inputs().iter())?;
        same("operands of the condition", operands.iter(), self.condition.inputs().iter())?;
        let truth = TensorType::new(DType::Bool, ());
        same("results of the condition", self.condition.output_types(), [&truth].into_iter())?;
        let carry = &operands[self.shared.min(operands.len())..];
        same("results of the body", self.body.output_types(), carry.iter())?;
        Ok(carry.iter().cloned().collect())
    }

    /// Counts a step that is about to be made, if it may be.
    pub fn step(&self, steps: &mut usize) -> Result<(), ErrorKind> {
        match self.limit {
            Some(limit) if *steps >= limit => Err(ErrorKind::LoopLimit { limit }),
            _ => {
                *steps += 1;
                Ok(())
            }
        }
    }

    pub(super) fn evaluate(&self, operands: &[Array]) -> Result<Vec<Array>, ErrorKind> {
        let mut values = operands.to_vec();
        let run =
            |graph: &Graph, values: &[Array]| graph.evaluate(values).map_err(|e| e.kind().clone());
        let mut steps = 0;
        while run(&self.condition, &values)?.iter().all(|go_on| go_on.get(&[]).truth()) {
            self.step(&mut steps)?;
            let next = run(&self.body, &values)?;
            values.truncate(self.shared);
            values.extend(next);
        }
        Ok(values.split_off(self.shared))
    }
}

impl Scan {
    pub(super) fn infer(&self, operands: &[TensorType]) -> Result<Types, ErrorKind> {
        let whole = self.shared + self.carry;
        if operands.len() < whole || self.body.outputs().len() < self.carry {
            let message = format!("takes at least {whole} operands, got {}", operands.len());
            return Err(ErrorKind::InvalidArgument(message));
        }
        let (fixed, entries) = operands.split_at(whole);
        let inputs = self.body.inputs();
        same("operands", fixed.iter(), inputs[..whole.min(inputs.len())].iter())?;
        let wanted: Vec<TensorType> =
            inputs[whole..].iter().map(|ty| stacked(ty, self.length)).collect();
        same("operands", entries.iter(), wanted.iter())?;
        let carry = &fixed[self.shared..];
        same("what the body passes on", self.body.output_types().take(self.carry), carry.iter())?;
        let results = self.body.output_types().skip(self.carry);
        Ok(carry.iter().cloned().chain(results.map(|ty| stacked(ty, self.length))).collect())
    }

    /// The numbers of the runs, in order.
    pub fn order(&self) -> impl Iterator<Item = usize> {
        let (length, reverse) = (self.length, self.reverse);
        (0..length).map(move |i| if reverse { length - 1 - i } else { i })
    }

    pub(super) fn evaluate(
        &self,
        operands: &[Array],
        types: &Types,
    ) -> Result<Vec<Array>, ErrorKind> {
        let whole = self.shared + self.carry;
        let mut carry = operands[self.shared..whole].to_vec();
        let outputs = self.body.outputs().len() - self.carry;
        let mut entries: Vec<Vec<Option<Array>>> = vec![Vec::new(); outputs];
        for all in &mut entries {
            let needed = self.length.saturating_mul(size_of::<Option<Array>>());
            let no_room = |_| ErrorKind::OutOfMemory { needed, limit: None };
            all.try_reserve_exact(self.length).map_err(no_room)?;
            all.resize(self.length, None);
        }
        for i in self.order() {
            let mut inputs = operands[..self.shared].to_vec();
            inputs.append(&mut carry);
            for x in &operands[whole..] {
                inputs.push(entry(x, i)?);
            }
            let mut results = self.body.evaluate(&inputs).map_err(|e| e.kind().clone())?;
            let rest = results.split_off(self.carry);
            carry = results;
            entries.iter_mut().zip(rest).for_each(|(all, one)| all[i] = Some(one));
        }
        let stacks = entries.into_iter().zip(&types[self.carry..]).map(|(all, ty)| {
            let all: Vec<Array> = all.into_iter().flatten().collect();
            stack(&all, ty)
        });
        Ok(carry.into_iter().chain(stacks).collect())
    }
}

/// A program in braces, on further lines.
fn nested(f: &mut fmt::Formatter<'_>, graph: &Graph) -> fmt::Result {
    let text = graph.to_string();
    write!(f, "\n    {}", text.replace('\n', "\n    "))
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.branches.iter().try_for_each(|branch| nested(f, branch))
    }
}

impl fmt::Display for While {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared={}", self.shared)?;
        self.limit.map_or(Ok(()), |limit| write!(f, " limit={limit}"))?;
        f.write_str(if self.masked { " masked" } else { "" })?;
        nested(f, &self.condition)?;
        nested(f, &self.body)
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scan { shared, carry, length, reverse, .. } = self;
        write!(f, "length={length} shared={shared} carry={carry}")?;
        f.write_str(if *reverse { " reverse" } else { "" })?;
        nested(f, &self.body)
    }
}

/// The shape of one entry of a stack.
pub fn entry_type(ty: &TensorType) -> TensorType {
    TensorType { dtype: ty.dtype, shape: Shape::from(&ty.shape[1..]) }
}
