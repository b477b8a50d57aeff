//! What must hold of every program: compiled it gives what the reference evaluator gives, at every
//! level of rewriting; `vmap` is stacking; forward and reverse mode agree, with each other and with
//! differences.

use std::fmt::Write;

use unloop::prelude::*;
use unloop::{Graph, Rewriting};
use unloop_graph::{Array, Op, ValueId, backend::Backend};

use super::{Noise, Program, generate};
use crate::deviation;
use crate::functions::Arg;
use crate::hostile::shown;

/// What became of a program.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The text of the program.
    pub program: String,
    /// The comparisons that were made.
    pub compared: usize,
    /// Differences that rounding errors explain.
    pub explained: usize,
    /// What is wrong.
    pub faults: Vec<String>,
}

struct Checker<'p> {
    program: &'p Program,
    inputs: &'p [Tensor],
    /// Whether inputs are infinite, NaN or the like.
    special: bool,
    outcome: Outcome,
}

/// A program and its inputs.
fn described(program: &Program, inputs: &[Tensor]) -> String {
    let mut text = String::new();
    for (i, x) in inputs.iter().enumerate() {
        let _ = writeln!(text, "v{i}: {}", shown(&[Arg::Tensor(x.clone())]));
    }
    let _ = write!(text, "{program}");
    text
}

/// The text of the program that bytes make.
pub fn describe(bytes: &[u8]) -> String {
    let (program, inputs, _) = generate(bytes);
    described(&program, &inputs)
}

/// Draws a program and checks it.
pub fn check(bytes: &[u8]) -> Outcome {
    let (program, inputs, special) = generate(bytes);
    let text = described(&program, &inputs);
    let outcome = Outcome { program: text, ..Outcome::default() };
    let mut checker = Checker { program: &program, inputs: &inputs, special, outcome };
    checker.compiled();
    checker.stacked();
    if !special {
        checker.derivatives();
    }
    checker.outcome
}

/// Whether all numbers that a program computes are known to be finite.
fn all_finite(graph: &Graph, inputs: &[Array]) -> bool {
    let has_bodies =
        |op: &Op| matches!(op, Op::Switch(_) | Op::While(_) | Op::Scan(_) | Op::WithDerivative(_));
    if graph.nodes().iter().any(|node| has_bodies(&node.op)) {
        return false;
    }
    let all = (0..graph.value_count() as u32).map(ValueId).collect();
    let whole = Graph::new(graph.inputs().to_vec(), graph.nodes().to_vec(), all);
    let finite = |x: Array| {
        let x = Tensor::from(x);
        !x.dtype().is_float() || x.is_finite().all().item::<bool>().unwrap_or(false)
    };
    let values = whole.and_then(|whole| whole.evaluate(inputs));
    values.is_ok_and(|values| values.into_iter().all(finite))
}

type Total = (Tensor, Tensor);

impl<'p> Checker<'p> {
    /// The program as a function of its floats: the total and the last value.
    fn function(
        &self,
        noise: Option<&'p Noise>,
    ) -> impl Fn(&Tensor, &Tensor) -> Total + Send + Sync + Copy + 'p {
        let (program, inputs) = (self.program, self.inputs);
        move |x, y| {
            let given = [x.clone(), y.clone(), inputs[2].clone()];
            let values = program.values(&given, noise);
            let last = values.last().cloned().unwrap_or_else(|| Tensor::from(0.0));
            (program.total(&given, noise), last)
        }
    }

    fn total(
        &self,
        noise: Option<&'p Noise>,
    ) -> impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + Copy + 'p {
        let (program, inputs) = (self.program, self.inputs);
        move |x, y| program.total(&[x.clone(), y.clone(), inputs[2].clone()], noise)
    }

    fn tolerance(&self) -> f64 {
        let text = &self.outcome.program;
        if text.contains("f32") || text.contains("F32") { 1e-3 } else { 1e-7 }
    }

    /// Notes a difference, unless rounding errors make one as large.
    fn compare(
        &mut self,
        what: &str,
        a: &[Tensor],
        b: &[Tensor],
        noisy: &dyn Fn(&Noise) -> Vec<Tensor>,
    ) {
        self.outcome.compared += 1;
        let error = |tensors: &[Tensor]| tensors.iter().find_map(Tensor::as_error).cloned();
        match (error(a), error(b)) {
            (Some(a), Some(b)) if a.kind() == b.kind() => return,
            (None, None) => {}
            (x, y) => {
                self.outcome.faults.push(format!("{what}: {x:?} and {y:?}"));
                return;
            }
        }
        let apart = |a: &[Tensor], b: &[Tensor]| {
            let pair = |(a, b): (&Tensor, &Tensor)| match (a.value("check"), b.value("check")) {
                (Ok(a), Ok(b)) => deviation(a, b),
                _ => f64::INFINITY,
            };
            a.iter().zip(b).map(pair).fold(0.0, f64::max)
        };
        let found = apart(a, b);
        if found <= self.tolerance() && a.len() == b.len() {
            return;
        }
        let noise = (0..3).map(|seed| {
            let noisy = noisy(&Noise::new(seed));
            if error(&noisy).is_some() { f64::INFINITY } else { apart(a, &noisy) }
        });
        let noise = noise.fold(0.0, f64::max);
        if noise * 100.0 >= found {
            self.outcome.explained += 1;
            return;
        }
        let show = |list: &[Tensor]| {
            let one = |x: &Tensor| format!("{x}").chars().take(160).collect::<String>();
            list.iter().map(one).collect::<Vec<_>>().join(" | ")
        };
        self.outcome.faults.push(format!(
            "{what}: deviation {found:e}, noise {noise:e}\n  {}\n  {}",
            show(a),
            show(b)
        ));
    }

    fn compiled(&mut self) {
        let (x, y) = (&self.inputs[0], &self.inputs[1]);
        let f = self.function(None);
        let eager = f(x, y);
        let eager = [eager.0, eager.1];
        let graph = match jit(f).graph((x, y)) {
            Ok(graph) => graph,
            Err(error) => {
                let error = Tensor::error(error);
                return self.compare("traced", &eager, &[error], &|_| vec![]);
            }
        };
        let (program, inputs) = (self.program, self.inputs);
        let noisy = move |noise: &Noise| {
            let last = program.values(inputs, Some(noise)).last().cloned();
            vec![program.total(inputs, Some(noise)), last.unwrap_or_else(|| Tensor::from(0.0))]
        };
        self.graphs("value", &graph, &eager, &noisy);
        let both = jit(f)(x, y);
        self.compare("jit", &eager, &[both.0, both.1], &noisy);
    }

    /// The same program by the reference evaluator and compiled, at every level of rewriting.
    fn graphs(
        &mut self,
        what: &str,
        graph: &Graph,
        eager: &[Tensor],
        noisy: &dyn Fn(&Noise) -> Vec<Tensor>,
    ) {
        if let Err(error) = graph.check() {
            self.outcome.faults.push(format!("{what}: the program is not well formed: {error}"));
            return;
        }
        let Some(inputs) = self.graph_inputs(graph) else { return };
        let tensors = |result: unloop::Result<Vec<Array>>| match result {
            Ok(arrays) => arrays.into_iter().map(Tensor::from).collect(),
            Err(error) => vec![Tensor::error(error)],
        };
        let expected: Vec<Tensor> = tensors(graph.evaluate(&inputs));
        self.compare(&format!("{what}: eager"), &expected, eager, noisy);
        let run = |graph: &Graph| {
            let program = unloop_cpu::Cpu.compile(graph, &[]);
            tensors(program.and_then(|program| program.run(&inputs)))
        };
        self.compare(&format!("{what}: compiled"), &expected, &run(graph), noisy);
        // `Fast` may assume that all numbers are finite.
        let is_finite = !self.special && all_finite(graph, &inputs);
        let levels = [Rewriting::Exact, Rewriting::Reassociating, Rewriting::Fast];
        for level in levels.into_iter().take(if is_finite { 3 } else { 2 }) {
            let after = unloop_rewrite::explain(graph, &[], level).after;
            let reference: Vec<Tensor> = tensors(after.evaluate(&inputs));
            self.compare(&format!("{what}: {level:?}"), &expected, &reference, noisy);
            self.compare(&format!("{what}: {level:?}, compiled"), &expected, &run(&after), noisy);
        }
    }

    /// The arrays of a graph's inputs, which must be the arguments only.
    fn graph_inputs(&self, graph: &Graph) -> Option<Vec<Array>> {
        let arrays: Vec<Array> = Tensor::arrays(&self.inputs[..2])?;
        (graph.inputs().len() == arrays.len()).then_some(arrays)
    }

    fn stacked(&mut self) {
        let f = self.function(None);
        let (x, y) = (&self.inputs[0], &self.inputs[1]);
        let xs: Vec<Tensor> = [0.9, -0.4, 1.3].iter().map(|s| x * *s).collect();
        let each: Vec<Total> = xs.iter().map(|x| f(x, y)).collect();
        if each.iter().any(|(a, b)| a.as_error().or(b.as_error()).is_some()) {
            return;
        }
        let stack = |part: fn(&Total) -> &Tensor, each: &[Total]| {
            Tensor::stack(&each.iter().map(part).collect::<Vec<_>>(), 0)
        };
        let both = |each: &[Total]| vec![stack(|e| &e.0, each), stack(|e| &e.1, each)];
        let expected = both(&each);
        let (program, inputs) = (self.program, self.inputs);
        let shift = xs.clone();
        let noisy = move |noise: &Noise| {
            let one = |x: &Tensor| {
                let given = [x.clone(), inputs[1].clone(), inputs[2].clone()];
                let last = program.values(&given, Some(noise)).last().cloned();
                (program.total(&given, Some(noise)), last.unwrap_or_else(|| Tensor::from(0.0)))
            };
            let each: Vec<Total> = shift.iter().map(one).collect();
            let stack = |part: fn(&Total) -> &Tensor| {
                Tensor::stack(&each.iter().map(part).collect::<Vec<_>>(), 0)
            };
            vec![stack(|e| &e.0), stack(|e| &e.1)]
        };
        for axis in [0, x.rank() as i32] {
            let all = Tensor::stack(&xs.iter().collect::<Vec<_>>(), axis as isize);
            let (a, b) = vmap(f, (axis, Shared))(&all, y);
            self.compare(&format!("vmap over axis {axis}"), &expected, &[a, b], &noisy);
        }
    }

    fn derivatives(&mut self) {
        let f = self.total(None);
        let (x, y) = (&self.inputs[0], &self.inputs[1]);
        let mut rng = fastrand::Rng::with_seed(17);
        let mut direction = |x: &Tensor| crate::tensor(&mut rng, x.dtype(), x.shape());
        let t = (direction(x), direction(y));
        let at = (x.clone(), y.clone());
        let (value, forward) = jvp(f)(&at, &t);
        let gradient = grad(f).wrt(unloop::All)(x, y);
        let supported = |x: &Tensor| {
            !x.as_error()
                .is_some_and(|error| matches!(error.kind(), unloop::ErrorKind::Unsupported(_)))
        };
        if !supported(&forward) || !supported(&gradient.0) {
            return;
        }
        let inner = |gradient: &(Tensor, Tensor), t: &(Tensor, Tensor)| {
            let part = |g: &Tensor, t: &Tensor| (g * t).cast(DType::F64).sum();
            part(&gradient.0, &t.0) + part(&gradient.1, &t.1)
        };
        let finite = |x: &Tensor| x.is_finite().all().item::<bool>().unwrap_or(false);
        if !finite(&forward) && !finite(&gradient.0) {
            return;
        }
        // Where these have no finite derivative, at zeros and at equal numbers, also of nothing, one mode
        // multiplies it by zero and the other does not come by.
        let is_degenerate =
            ["std", "norm", "sqrt", "cbrt"].iter().any(|f| self.outcome.program.contains(f));
        if is_degenerate && finite(&forward) != (finite(&gradient.0) && finite(&gradient.1)) {
            return;
        }
        let (program, inputs) = (self.program, self.inputs);
        let (one, way) = (at.clone(), t.clone());
        let noisy = move |noise: &Noise| {
            let f = |x: &Tensor, y: &Tensor| {
                program.total(&[x.clone(), y.clone(), inputs[2].clone()], Some(noise))
            };
            vec![jvp(f)(&one, &way).1]
        };
        let backward = inner(&gradient, &t);
        self.compare("jvp and vjp", std::slice::from_ref(&forward), &[backward], &noisy);
        self.compare("value of jvp", &[f(x, y)], &[value], &|noise| {
            vec![program.total(inputs, Some(noise))]
        });
        let compiled = jit(grad(f).wrt(unloop::All))(x, y);
        self.compare(
            "compiled gradient",
            std::slice::from_ref(&forward),
            &[inner(&compiled, &t)],
            &noisy,
        );
        if let Ok(graph) = grad(f).wrt(unloop::All).graph((x, y)) {
            let eager = [gradient.0.clone(), gradient.1.clone()];
            let noisy = move |noise: &Noise| {
                let f = |x: &Tensor, y: &Tensor| {
                    program.total(&[x.clone(), y.clone(), inputs[2].clone()], Some(noise))
                };
                let (a, b) = grad(f).wrt(unloop::All)(&inputs[0], &inputs[1]);
                vec![a, b]
            };
            self.graphs("gradient", &graph, &eager, &noisy);
        }
        // Differences, where two steps agree: elsewhere the function is not smooth.
        if x.dtype() != DType::F64 || !self.program.is_smooth() || self.tolerance() > 1e-6 {
            return;
        }
        let moved = |s: f64| f(&(x + &t.0 * s), &(y + &t.1 * s)).item::<f64>().unwrap_or(f64::NAN);
        let slope = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
        let (narrow, middle, wide) = (slope(1e-6), slope(3e-6), slope(1e-5));
        let derivative = forward.item::<f64>().unwrap_or(f64::NAN);
        let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + a.abs());
        self.outcome.compared += 1;
        let smooth = near(narrow, wide, 1e-5) && near(narrow, middle, 1e-5);
        if derivative.is_nan() && is_degenerate {
            return;
        }
        if smooth && !near(narrow, derivative, 1e-3) {
            self.outcome
                .faults
                .push(format!("differences: {narrow} {middle} {wide}, jvp {derivative}"));
        }
    }
}
