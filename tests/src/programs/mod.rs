//! Programs drawn from bytes over all public functions, loops, choices and transforms in any nesting.

mod check;
mod coerce;
mod generate;

pub use check::{Outcome, check, describe};
pub use generate::generate;

use std::fmt;
use std::sync::LazyLock;

use unloop::prelude::*;
use unloop::{Tree, scan_reverse, scan_times, switch};

use crate::draw::Want;
use crate::functions::{Arg, Fact, Function, functions};
use crate::hostile::shown;
use coerce::coerce;

/// The catalogue, made once.
pub(crate) static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(functions);

/// A value of the program, made to be of a type and in a domain.
#[derive(Clone, Debug)]
pub struct Source {
    value: usize,
    want: Want,
}

/// An argument of a function in a program.
#[derive(Clone)]
enum Given {
    Tensor(Source),
    Complex(Source, Source),
    Tensors(Vec<Source>),
    Arg(Arg),
}

/// How a part of a program is applied to the first of its sources.
#[derive(Clone, Copy, Debug)]
enum How {
    Vmap { axis: i32, out: isize },
    Each,
    Grad,
    Jvp,
    Vjp,
    Jit,
    Checkpoint,
    Jacfwd,
    Jacrev,
    Hessian,
    Cond,
    Switch,
    Scan { reverse: bool },
    ScanTimes(usize),
    Fori(usize),
    While,
}

#[derive(Clone)]
enum Step {
    Call { function: &'static Function, args: Vec<Given>, bounded: bool },
    Apply { how: How, sources: Vec<Source>, bodies: Vec<Program>, bounded: bool },
}

/// A program: steps that each take values from before, and add theirs.
#[derive(Clone, Default)]
pub struct Program {
    steps: Vec<Step>,
    /// How many values each step adds.
    counts: Vec<usize>,
    /// What its result is made to be, if that is prescribed.
    result: Option<Want>,
}

/// Rounding errors that are added to every value, to see how much of a difference they explain.
pub struct Noise {
    rng: std::sync::Mutex<fastrand::Rng>,
    /// Whether numbers that are nearly 0 are 0, instead of 0 nearly so: what is counted tells them apart.
    cancels: bool,
}

impl Noise {
    fn new(seed: u64) -> Noise {
        Noise { rng: fastrand::Rng::with_seed(seed).into(), cancels: seed % 3 == 1 }
    }

    fn add(&self, x: Tensor) -> Tensor {
        if !x.dtype().is_float() || x.as_error().is_some() {
            return x;
        }
        let size = if x.dtype() == DType::F32 { 4e-7 } else { 1e-15 };
        if self.cancels {
            let near = x.abs().less(10.0 * size).select(&x, 0.0);
            return &x - near.stop_gradient();
        }
        let mut rng = self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut noise = || {
            Tensor::from_fn(x.shape(), |_| size * (rng.f64() - 0.5)).cast(x.dtype()).stop_gradient()
        };
        let (relative, absolute) = (noise(), noise());
        &x + &x * relative + absolute
    }
}

impl Program {
    /// All values: the inputs, and what each step adds.
    pub fn values(&self, inputs: &[Tensor], noise: Option<&Noise>) -> Vec<Tensor> {
        let mut values = inputs.to_vec();
        for (step, &count) in self.steps.iter().zip(&self.counts) {
            let mut next = step.run(&values, noise);
            // What fails may give fewer results.
            let last = next.last().cloned().unwrap_or_else(|| values[0].clone());
            next.resize(count, last);
            values.extend(next);
        }
        values
    }

    /// The result: the last value.
    fn result(&self, inputs: &[Tensor], noise: Option<&Noise>) -> Tensor {
        let values = self.values(inputs, noise);
        let Some(last) = values.last() else { return Tensor::from(0.0) };
        self.result.as_ref().map_or_else(|| last.clone(), |want| coerce(last, want, &[]))
    }

    /// The sum of all values of floats, by a function that is smooth and bounded.
    pub fn total(&self, inputs: &[Tensor], noise: Option<&Noise>) -> Tensor {
        let values = self.values(inputs, noise);
        let floats = values.iter().filter(|x| x.dtype().is_float());
        floats.map(scalar).reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(0.0))
    }
}

impl Program {
    /// Whether differences tell the derivatives of every function in it.
    fn is_smooth(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Call { function, .. } => {
                function.is(Fact::Differentiable) && !function.is(Fact::Ties)
            }
            Step::Apply { bodies, .. } => bodies.iter().all(Program::is_smooth),
        })
    }
}

/// A scalar of f64 of a tensor of floats.
fn scalar(x: &Tensor) -> Tensor {
    x.cast(DType::F64).sin().sum()
}

/// What stays of moderate size: at most 20, and smooth.
fn bounded(x: &Tensor) -> Tensor {
    if x.dtype().is_float() { x * (x.square() + 1.0).rsqrt() * 20.0 } else { x.clone() }
}

impl Step {
    fn run(&self, values: &[Tensor], noise: Option<&Noise>) -> Vec<Tensor> {
        // What is repeated to fill an argument differs there, too.
        let noisy = |x: Tensor| match noise {
            Some(noise) => noise.add(x),
            None => x,
        };
        let (results, is_bounded) = match self {
            Step::Call { function, args, bounded } => {
                let mut given: Vec<Arg> = Vec::new();
                for arg in args {
                    given.push(match arg.arg(values, &given) {
                        Arg::Tensor(x) => Arg::Tensor(noisy(x)),
                        other => other,
                    });
                }
                ((function.call)(&given), *bounded)
            }
            Step::Apply { how, sources, bodies, bounded } => {
                let sources: Vec<Tensor> =
                    sources.iter().map(|s| noisy(s.tensor(values, &[]))).collect();
                (apply(*how, &sources, bodies, noise), *bounded)
            }
        };
        let finish = |x: Tensor| {
            let x = if is_bounded { bounded(&x) } else { x };
            noisy(x)
        };
        results.into_iter().map(finish).collect()
    }
}

impl Source {
    fn tensor(&self, values: &[Tensor], before: &[Arg]) -> Tensor {
        coerce(&values[self.value], &self.want, before)
    }
}

impl Given {
    fn arg(&self, values: &[Tensor], before: &[Arg]) -> Arg {
        match self {
            Given::Tensor(source) => Arg::Tensor(source.tensor(values, before)),
            Given::Complex(re, im) => Arg::Complex(unloop::Complex::new(
                re.tensor(values, before),
                im.tensor(values, before),
            )),
            Given::Tensors(list) => {
                Arg::Tensors(list.iter().map(|source| source.tensor(values, before)).collect())
            }
            Given::Arg(arg) => arg.clone(),
        }
    }
}

/// Applies bodies to the first of some tensors; they capture the others.
/// What choices depend on: not whether a number is 0, which rounding decides (a variance of equal
/// numbers).
fn is_far_from_zero(x: &Tensor) -> Tensor {
    match x.dtype().is_float() {
        true => x.abs().greater(0.03),
        false => x.not_equal(0.0),
    }
}

fn apply(how: How, sources: &[Tensor], bodies: &[Program], noise: Option<&Noise>) -> Vec<Tensor> {
    if let Some(error) = sources.iter().find_map(Tensor::as_error) {
        return vec![Tensor::error(error.clone())];
    }
    let (x, captured) = (&sources[0], &sources[1..]);
    let body = |i: usize, own: &[&Tensor]| {
        let inputs: Vec<Tensor> = own.iter().copied().chain(captured).cloned().collect();
        bodies[i].result(&inputs, noise)
    };
    let f = |x: &Tensor| body(0, &[x]);
    let total = |x: &Tensor| scalar(&f(x));
    match how {
        How::Vmap { axis, out } => vmap(f, axis).out_axis(out)(x).leaves(),
        How::Each => each(|[i]| {
            let rest = (1..x.rank()).map(|_| unloop::IndexArg::from(..));
            f(&x.at(std::iter::once(unloop::IndexArg::from(i)).chain(rest).collect::<Vec<_>>()))
        })
        .leaves(),
        How::Grad => grad(total)(x).leaves(),
        How::Jvp => {
            let (y, t) = jvp(f)(x, &x.cos());
            vec![y, t]
        }
        How::Vjp => {
            let (y, back) = vjp(f)(x);
            let ct = back(&y.cos());
            vec![y, ct]
        }
        How::Jit => jit(f)(x).leaves(),
        How::Checkpoint => checkpoint(f)(x).leaves(),
        How::Jacfwd => jacfwd(f)(x).leaves(),
        How::Jacrev => jacrev(f)(x).leaves(),
        How::Hessian => hessian(total)(x).leaves(),
        How::Cond => {
            let on = is_far_from_zero(x).any();
            cond(&on, |x: &Tensor| body(0, &[x]), |x: &Tensor| body(1, &[x]), x).leaves()
        }
        How::Switch => {
            let which = is_far_from_zero(x).cast(DType::I64).sum();
            let branches: [&(dyn Fn(&Tensor) -> Tensor + Sync); 3] =
                [&|x| body(0, &[x]), &|x| body(1, &[x]), &|x| body(2, &[x])];
            switch(&which, &branches, x).leaves()
        }
        How::Scan { reverse } => {
            let step = |c: &Tensor, x: &Tensor| (body(0, &[c, x]), c.clone());
            let init = Tensor::zeros(x.dtype(), &x.shape()[1..]);
            let (c, all) =
                if reverse { scan_reverse(step, &init, x) } else { unloop::scan(step, &init, x) };
            vec![c, all]
        }
        How::ScanTimes(count) => {
            let (c, all) = scan_times(count, |c: &Tensor| (f(c), c.clone()), x);
            vec![c, all]
        }
        How::Fori(count) => {
            let step = |i: &Tensor, c: &Tensor| body(0, &[c, &i.cast(DType::I64)]);
            fori_loop(count, step, x).leaves()
        }
        How::While => {
            // As many times as there are elements below zero, but four at most.
            let limit = (is_far_from_zero(x) & x.less(&x.zeros_like()))
                .cast(DType::I64)
                .sum()
                .minimum(&Tensor::from(4i64));
            let more = |(k, _): &(Tensor, Tensor)| k.less(&limit);
            let next = |(k, c): &(Tensor, Tensor)| (k + 1, f(c));
            while_loop(more, next, &(Tensor::from(0i64), x.clone())).leaves()
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out, 0)
    }
}

impl Program {
    fn write(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "    ".repeat(depth);
        for step in &self.steps {
            match step {
                Step::Call { function, args, bounded } => {
                    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
                    let tail = if *bounded { " bounded" } else { "" };
                    writeln!(out, "{indent}{}({}){tail}", function.path(), args.join("; "))?;
                }
                Step::Apply { how, sources, bodies, .. } => {
                    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
                    writeln!(out, "{indent}{how:?} of {}", sources.join(", "))?;
                    for body in bodies {
                        body.write(out, depth + 1)?;
                        writeln!(out, "{indent}    -> {:?}", body.result.as_ref().map(|w| &w.ty))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "v{} as {} {:?}", self.value, self.want.ty, self.want.domain)
    }
}

impl fmt::Display for Given {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Tensor(source) => source.fmt(out),
            Given::Complex(re, im) => write!(out, "{re} + i·{im}"),
            Given::Tensors(list) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(out, "[{}]", list.join(", "))
            }
            Given::Arg(arg) => out.write_str(&shown(std::slice::from_ref(arg))),
        }
    }
}
