//! Draws programs. Each step is run on the values at hand and kept if the function takes them, so that
//! programs as a whole run.

use unloop::prelude::*;
use unloop::{Complex, TensorType};

use super::{FUNCTIONS, Given, How, Program, Source, Step};
use crate::draw::{Draw, Want, Wanted, fresh, wanted};
use crate::functions::{Arg, Domain, Fact, Function};

/// What programs are drawn of.
struct Generator<'d, 'b> {
    draw: &'d mut Draw<'b>,
    functions: Vec<&'static Function>,
    random: Vec<&'static Function>,
    /// Whether values may be infinite or NaN.
    special: bool,
}

/// A program, and inputs that it takes: two of floats, and one of any dtype.
pub fn generate(bytes: &[u8]) -> (Program, Vec<Tensor>, bool) {
    let draw = &mut Draw::new(bytes);
    let special = draw.once_in(4);
    let narrow = draw.once_in(5);
    let float = if narrow { DType::F32 } else { DType::F64 };
    let mut inputs = Vec::new();
    for i in 0..3 {
        let dtype = if i < 2 { float } else { *draw.pick(&DType::ALL) };
        let extents: Vec<usize> =
            (0..draw.below(4)).map(|_| *draw.pick(&[3, 2, 5, 1, 4, 7, 0, 13])).collect();
        let want = Want { ty: TensorType::new(dtype, extents), domain: Domain::Any };
        inputs.push(fresh(&want, special, &[], draw));
    }
    let usable = |f: &&Function| !f.is(Fact::Host) && !f.of.is_empty();
    let (random, functions) = FUNCTIONS.iter().filter(usable).partition(|f| f.is(Fact::Random));
    let count = 1 + draw.below(10);
    let mut generator = Generator { draw, functions, random, special };
    let program = generator.program(&inputs, count, 0);
    (program, inputs, special)
}

impl Generator<'_, '_> {
    fn program(&mut self, inputs: &[Tensor], count: usize, depth: usize) -> Program {
        let mut program = Program::default();
        let mut values = inputs.to_vec();
        for _ in 0..count {
            let step = if depth < 3 && self.draw.once_in(3) {
                self.apply(&values, depth)
            } else {
                self.call(&values)
            };
            let Some(mut step) = step else { continue };
            let mut results = step.run(&values, None);
            let is_large = |x: &Tensor| x.size() > 600 || x.rank() > 5;
            if results.iter().any(|x| x.as_error().is_some() || is_large(x)) {
                continue;
            }
            if !self.special {
                let size = |x: &Tensor| -> f64 {
                    let numbers = x.cast(DType::F64).to_vec::<f64>().unwrap_or_default();
                    numbers.iter().fold(0.0, |most, x| if x.abs() <= most { most } else { x.abs() })
                };
                let largest = results.iter().filter(|x| x.dtype().is_float()).map(size);
                let largest = largest.fold(0.0, |a: f64, b| if b <= a { a } else { b });
                if !largest.is_finite() {
                    continue;
                }
                if largest > 30.0 {
                    match &mut step {
                        Step::Call { bounded, .. } | Step::Apply { bounded, .. } => *bounded = true,
                    }
                    results = step.run(&values, None);
                }
            }
            program.steps.push(step);
            program.counts.push(results.len());
            values.extend(results);
        }
        program
    }

    /// One of the values, the later ones more often.
    fn value(&mut self, values: &[Tensor]) -> usize {
        let back = self.draw.below(values.len()).min(self.draw.below(values.len()));
        values.len() - 1 - back
    }

    fn call(&mut self, values: &[Tensor]) -> Option<Step> {
        // Random numbers are long programs.
        let random = self.draw.once_in(20);
        let of = if random { &self.random } else { &self.functions };
        let function: &'static Function = self.draw.function(of);
        let mut args: Vec<Given> = Vec::new();
        let mut before: Vec<Arg> = Vec::new();
        while args.len() < function.kinds.len() {
            let value = self.value(values);
            let like = values[value].ty();
            let given = match wanted(&function.kinds, &before, Some(&like), self.draw) {
                Wanted::Tensor(want) => Given::Tensor(Source { value, want }),
                Wanted::Complex(want) => {
                    let other = Source { value: self.value(values), want: want.clone() };
                    Given::Complex(Source { value, want }, other)
                }
                Wanted::Tensors(wants) => {
                    let source = |want| Source { value: self.value(values), want };
                    Given::Tensors(wants.into_iter().map(source).collect())
                }
                Wanted::Arg(arg) => Given::Arg(arg),
            };
            let arg = given.arg(values, &before);
            let failed = match &arg {
                Arg::Tensor(x) => x.as_error().is_some(),
                Arg::Complex(Complex { re, im }) => re.as_error().or(im.as_error()).is_some(),
                Arg::Tensors(list) => list.iter().any(|x| x.as_error().is_some()),
                _ => false,
            };
            if failed {
                return None;
            }
            before.push(arg);
            args.push(given);
        }
        Some(Step::Call { function, args, bounded: false })
    }

    fn apply(&mut self, values: &[Tensor], depth: usize) -> Option<Step> {
        let value = self.value(values);
        let x = values[value].clone();
        let mut ty = x.ty();
        let rank = ty.rank();
        let all = [
            How::Vmap { axis: 0, out: 0 },
            How::Grad,
            How::Cond,
            How::Scan { reverse: self.draw.once_in(2) },
            How::Jvp,
            How::Vjp,
            How::Each,
            How::Jit,
            How::While,
            How::Checkpoint,
            How::Jacfwd,
            How::Jacrev,
            How::Switch,
            How::Hessian,
            How::ScanTimes(self.draw.below(4)),
            How::Fori(self.draw.below(4)),
        ];
        let mut how = *self.draw.pick(&all);
        let small = if depth == 0 { 6 } else { 3 };
        match how {
            How::Vmap { .. } => {
                let axis = self.draw.below(rank.max(1));
                let out = if self.draw.once_in(3) { -1 } else { 0 };
                how = How::Vmap { axis: axis as i32, out };
            }
            How::Jacfwd | How::Jacrev | How::Hessian if ty.shape.size() > small => {
                ty = TensorType::new(DType::F64, [1 + self.draw.below(small)]);
            }
            _ => {}
        }
        let differentiates = matches!(
            how,
            How::Grad | How::Jvp | How::Vjp | How::Jacfwd | How::Jacrev | How::Hessian
        );
        if differentiates && !ty.dtype.is_float() {
            ty.dtype = DType::F64;
        }
        let needs_axis = matches!(how, How::Vmap { .. } | How::Each | How::Scan { .. });
        if needs_axis && rank == 0 {
            ty.shape = [3usize].into();
        }
        let mut sources =
            vec![Source { value, want: Want { ty: ty.clone(), domain: Domain::Any } }];
        for _ in 0..self.draw.below(3) {
            let value = self.value(values);
            let want = Want { ty: values[value].ty(), domain: Domain::Any };
            sources.push(Source { value, want });
        }
        let tensors: Vec<Tensor> = sources.iter().map(|s| s.tensor(values, &[])).collect();
        // What the body sees, and what it has to give.
        let entry = |axis: usize| {
            let x = &tensors[0];
            match x.shape()[axis] {
                0 => Tensor::zeros(
                    x.dtype(),
                    &unloop_graph::Shape::from(x.shape()).without(axis)[..],
                ),
                _ => x.slice_axis(axis as isize, 0, 1).squeeze(axis as isize),
            }
        };
        let own: Vec<Tensor> = match how {
            How::Vmap { axis, .. } => vec![entry(axis as usize)],
            How::Each => vec![entry(0)],
            How::Scan { .. } => vec![entry(0).zeros_like(), entry(0)],
            How::Fori(_) => vec![tensors[0].clone(), Tensor::from(0i64)],
            _ => vec![tensors[0].clone()],
        };
        let prescribed = match how {
            How::Cond | How::Switch | How::ScanTimes(_) | How::Fori(_) | How::While => {
                Some(ty.clone())
            }
            How::Scan { .. } => Some(own[0].ty()),
            How::Grad | How::Hessian | How::Jacfwd | How::Jacrev | How::Jvp | How::Vjp => {
                // Something that has a derivative.
                Some(TensorType::new(DType::F64, [2usize]))
            }
            _ => None,
        };
        let count = match how {
            How::Cond => 2,
            How::Switch => 3,
            _ => 1,
        };
        let inputs: Vec<Tensor> = own.iter().chain(&tensors[1..]).cloned().collect();
        let bodies = (0..count).map(|_| {
            let count = 1 + self.draw.below(3);
            let mut body = self.program(&inputs, count, depth + 1);
            body.result = prescribed.clone().map(|ty| Want { ty, domain: Domain::Any });
            body
        });
        let bodies = bodies.collect();
        Some(Step::Apply { how, sources, bodies, bounded: false })
    }
}
