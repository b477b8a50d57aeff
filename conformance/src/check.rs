//! Runs a case: its evaluation, its batched runs and its derivatives.

use std::error::Error;

use unloop::prelude::*;
use unloop::{AxisSpec, ErrorKind};

use crate::arrays::Archive;
use crate::compare::difference;
use crate::manifest::Case;
use crate::{freedom, primitives};

/// Which part of a case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Part {
    /// The values.
    Eval,
    /// A batched run.
    Vmap,
    /// The forward derivative.
    Jvp,
    /// The reverse derivative.
    Vjp,
}

/// What became of a part.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// As JAX has it.
    Passed,
    /// Not as JAX has it.
    Failed(String),
    /// Something that unloop does not do.
    Unsupported(String),
}

/// How programs run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Under `jit`.
    Compiled,
    /// As a whole, without `jit`.
    Plain,
}

/// A function of all inputs as one tree.
type Program<'a> = &'a (dyn Fn(&Vec<Tensor>) -> Vec<Tensor> + Send + Sync);

/// What of a part's results is unique, and how close JAX's are.
struct Standard<'a> {
    comparable: &'a dyn Fn(&[Tensor]) -> Option<Vec<Tensor>>,
    rtol: f64,
}

fn judge(
    standard: &Standard<'_>,
    actual: unloop::Result<Vec<Tensor>>,
    expected: &[Tensor],
) -> Outcome {
    let actual = match actual {
        Ok(actual) => actual,
        Err(error) => {
            return match error.kind() {
                ErrorKind::Unsupported(what) => Outcome::Unsupported(what.clone()),
                _ => Outcome::Failed(error.to_string()),
            };
        }
    };
    if actual.len() != expected.len() {
        return Outcome::Failed(format!("{} results instead of {}", actual.len(), expected.len()));
    }
    let comparable =
        |results: &[Tensor]| (standard.comparable)(results).unwrap_or(results.to_vec());
    let (actual, expected) = (comparable(&actual), comparable(expected));
    for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        if let Some(what) = difference(actual, expected, standard.rtol) {
            return Outcome::Failed(format!("result {i}: {what}"));
        }
    }
    Outcome::Passed
}

fn run(
    f: Program<'_>,
    axes: Option<AxisSpec>,
    mode: Mode,
    inputs: &Vec<Tensor>,
) -> unloop::Result<Vec<Tensor>> {
    match (axes, mode) {
        (None, Mode::Compiled) => jit(f).try_call((inputs,)),
        (None, Mode::Plain) => vmap(f, (Shared,)).try_call((inputs,)).or_else(|_| {
            let result = f(inputs);
            result.check()?;
            Ok(result)
        }),
        (Some(axes), Mode::Compiled) => jit(vmap(f, (axes,))).try_call((inputs,)),
        (Some(axes), Mode::Plain) => vmap(f, (axes,)).try_call((inputs,)),
    }
}

/// Runs every part of a case.
pub fn check(
    case: &Case,
    archive: &mut Archive,
    mode: Mode,
) -> Result<Vec<(Part, Outcome)>, Box<dyn Error>> {
    let id = case.id;
    let count = |key: &str| case.program[key].as_array().map_or(0, Vec::len);
    let (inputs, outputs) = (count("in"), count("out"));
    let f = |xs: &Vec<Tensor>| primitives::run(&case.program, xs);
    let point = archive.all(&format!("{id}.in"), inputs)?;
    let expected = archive.all(&format!("{id}.out"), outputs)?;
    let results = expected.clone();
    let values = Standard {
        comparable: &|results| freedom::comparable(&case.program, results),
        rtol: case.rtol,
    };
    let mut parts = vec![(Part::Eval, judge(&values, run(&f, None, mode, &point), &expected))];
    for (k, axes) in case.vmap.iter().enumerate() {
        let stacks = archive.all(&format!("{id}.vmap{k}.in"), inputs)?;
        let expected = archive.all(&format!("{id}.vmap{k}.out"), outputs)?;
        let spec = |axis: &Option<isize>| axis.map_or(AxisSpec::Shared, AxisSpec::Axis);
        let axes = AxisSpec::Children(axes.iter().map(spec).collect());
        let actual = run(&f, Some(axes), mode, &stacks);
        parts.push((Part::Vmap, judge(&values, actual, &expected)));
    }
    let (from, to) = &case.diff;
    let active: Vec<Tensor> = from.iter().map(|&i| point[i].clone()).collect();
    let sub = |xs: &Vec<Tensor>| {
        let mut all = point.clone();
        from.iter().zip(xs).for_each(|(&i, x)| all[i] = x.clone());
        let results = f(&all);
        to.iter().filter_map(|&j| results.get(j).cloned()).collect::<Vec<Tensor>>()
    };
    let derivatives = |beside: &Vec<Tensor>, actual, expected: &[Tensor]| {
        let comparable = |results: &[Tensor]| {
            freedom::comparable_derivatives(&case.program, &point, beside, results)
                .or_else(|| freedom::comparable(&case.program, results))
        };
        match judge(&Standard { comparable: &comparable, rtol: case.rtol }, actual, expected) {
            Outcome::Failed(_) if !freedom::keeps_promises(&case.program, &point) => {
                Outcome::Unsupported("an index promised in bounds is not".into())
            }
            outcome => outcome,
        }
    };
    if case.jvp {
        let tangents = archive.all(&format!("{id}.jvp.t"), from.len())?;
        let expected = archive.all(&format!("{id}.jvp.out"), to.len())?;
        let push = |x: &Vec<Tensor>, t: &Vec<Tensor>| jvp(sub)(x, t).1;
        let actual = match mode {
            Mode::Compiled => jit(push).try_call((&active, &tangents)),
            Mode::Plain => jvp(sub).try_call((&active, &tangents)).map(|r| r.1),
        };
        parts.push((Part::Jvp, derivatives(&results, actual, &expected)));
    }
    if case.vjp {
        let cotangents = archive.all(&format!("{id}.vjp.ct"), to.len())?;
        let expected = archive.all(&format!("{id}.vjp.out"), from.len())?;
        let pull = |x: &Vec<Tensor>, ct: &Vec<Tensor>| vjp(sub)(x).1(ct);
        let actual = match mode {
            Mode::Compiled => jit(pull).try_call((&active, &cotangents)),
            Mode::Plain => {
                let result = pull(&active, &cotangents);
                result.check().cloned()
            }
        };
        parts.push((Part::Vjp, derivatives(&point, actual, &expected)));
    }
    Ok(parts)
}
