//! The programs that are measured, one a row: what a user would write.

mod learning;
mod models;
mod physics;
mod programs;
mod sequences;
mod stencils;

use unloop::prelude::*;
use unloop::{Result, Tree};

/// A program with the types of its inputs.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Dtypes and shapes of the inputs.
    pub inputs: Vec<(DType, Vec<usize>)>,
    run: Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>>,
}

impl Row {
    fn new(
        name: &'static str,
        inputs: &[(DType, &[usize])],
        run: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + 'static,
    ) -> Row {
        let inputs = inputs.iter().map(|(dtype, shape)| (*dtype, shape.to_vec())).collect();
        Row { name, inputs, run: Box::new(run) }
    }

    /// Runs the program once; the results are fresh.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        (self.run)(inputs)
    }
}

/// The Rosenbrock function of a vector.
fn rosenbrock(x: &Tensor) -> Tensor {
    let n = x.shape()[0];
    let (a, b) = (x.slice_axis(0, 0, n - 1), x.slice_axis(0, 1, n));
    (100.0 * (b - a.square()).square() + (1.0 - a).square()).sum()
}

#[derive(Tree, Clone)]
struct Mlp {
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
}

/// Cross-entropy of one example, of a network with one hidden layer of tanh.
fn example_loss(p: &Mlp, x: &Tensor, label: &Tensor) -> Tensor {
    let hidden = (x.matmul(&p.w1) + &p.b1).tanh();
    let scores = hidden.matmul(&p.w2) + &p.b2;
    -scores.log_softmax(0).at(label)
}

fn batch_loss(p: &Mlp, x: &Tensor, labels: &Tensor) -> Tensor {
    vmap(example_loss, (Shared, 0, 0))(p, x, labels).mean()
}

fn mlp(x: &[Tensor]) -> Mlp {
    Mlp { w1: x[0].clone(), b1: x[1].clone(), w2: x[2].clone(), b2: x[3].clone() }
}

const MLP: [(DType, &[usize]); 4] = [
    (DType::F32, &[784, 256]),
    (DType::F32, &[256]),
    (DType::F32, &[256, 10]),
    (DType::F32, &[10]),
];

fn mean_of_products(a: &Tensor, b: &Tensor, c: &Tensor) -> Tensor {
    let one = |a: &Tensor, b: &Tensor, c: &Tensor| a * b * c;
    let over_l = vmap(vmap(one, (0, Shared, 0)), (0, 0, Shared));
    let mean = |a: &Tensor, b: &Tensor, c: &Tensor| over_l(a, b, c).mean();
    vmap(vmap(mean, (Shared, 1, Shared)), (0, Shared, 0))(a, b, c)
}

const CUBE: [(DType, &[usize]); 3] =
    [(DType::F64, &[128, 128, 128]), (DType::F64, &[128, 128]), (DType::F64, &[128, 128])];

fn matmul(name: &'static str, dtype: DType, n: usize) -> Row {
    let f = jit(Tensor::matmul);
    Row::new(name, &[(dtype, &[n, n]), (dtype, &[n, n])], move |x| {
        Ok(vec![f.try_call((&x[0], &x[1]))?])
    })
}

fn elementwise(name: &'static str, n: usize, f: fn(&Tensor, &Tensor) -> Tensor) -> Row {
    let f = jit(f);
    Row::new(name, &[(DType::F32, &[n]), (DType::F32, &[n])], move |x| {
        Ok(vec![f.try_call((&x[0], &x[1]))?])
    })
}

fn transcendental(x: &Tensor, y: &Tensor) -> Tensor {
    (x * y + 1.0).tanh() * (-x * x).exp() + y.sin() / (1.0 + y * y)
}

fn polynomial(x: &Tensor, y: &Tensor) -> Tensor {
    (x * 2.0 + y) * (x - y) + x * 0.5 - y * 3.0
}

fn solve(name: &'static str, dtype: DType, count: usize, n: usize) -> Row {
    let f = jit(vmap(Tensor::solve, (0, 0)));
    Row::new(name, &[(dtype, &[count, n, n]), (dtype, &[count, n])], move |x| {
        Ok(vec![f.try_call((&x[0], &x[1]))?])
    })
}

fn unary(name: &'static str, dtype: DType, shape: &[usize], f: fn(&Tensor) -> Tensor) -> Row {
    let f = jit(f);
    Row::new(name, &[(dtype, shape)], move |x| Ok(vec![f.try_call((&x[0],))?]))
}

fn ternary(
    name: &'static str,
    inputs: &[(DType, &[usize])],
    f: fn(&Tensor, &Tensor, &Tensor) -> Tensor,
) -> Row {
    let f = jit(f);
    Row::new(name, inputs, move |x| Ok(vec![f.try_call((&x[0], &x[1], &x[2]))?]))
}

/// A row of any number of inputs and results.
fn program(
    name: &'static str,
    inputs: &[(DType, &[usize])],
    f: impl Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync + 'static,
) -> Row {
    let f = jit(move |x: &Vec<Tensor>| f(x));
    Row::new(name, inputs, move |x| f.try_call((&x.to_vec(),)))
}

fn mlp_step(p: &Mlp, x: &Tensor, labels: &Tensor) -> Mlp {
    let g = grad(batch_loss)(p, x, labels);
    p.zip_map(&g, |p, g| p - 0.1 * g)
}

fn mlp_inputs(batch: usize) -> Vec<(DType, Vec<usize>)> {
    let weights = MLP.iter().map(|(dtype, shape)| (*dtype, shape.to_vec()));
    weights.chain([(DType::F32, vec![batch, 784]), (DType::I32, vec![batch])]).collect()
}

fn mlp_row(name: &'static str, batch: usize) -> Row {
    let step = jit(mlp_step);
    let run = move |x: &[Tensor]| Ok(step.try_call((&mlp(x), &x[4], &x[5]))?.leaves());
    Row { name, inputs: mlp_inputs(batch), run: Box::new(run) }
}

/// The time of preparing a program, not of running it; the result is a number that says nothing.
fn preparing(name: &'static str, like: Row, plan: fn(&[Tensor]) -> Result<unloop::Plan>) -> Row {
    let run = move |x: &[Tensor]| Ok(vec![Tensor::from(plan(x)?.peak_bytes().min(1) as f64)]);
    Row { name, inputs: like.inputs, run: Box::new(run) }
}

/// Every row.
pub fn rows() -> Vec<Row> {
    let per_example = jit(vmap(grad(example_loss), (Shared, 0, 0)));
    let value_and_gradient = jit(value_and_grad(rosenbrock));
    let mut rows = vec![
        solve("1", DType::F64, 100, 5),
        solve("2", DType::F64, 100_000, 5),
        solve("3", DType::F32, 100_000, 5),
        solve("4", DType::F64, 10_000, 16),
        solve("5", DType::F64, 1_000, 64),
        ternary("6", &CUBE, mean_of_products),
        matmul("7 f32 64", DType::F32, 64),
        matmul("7 f32 256", DType::F32, 256),
        matmul("7 f32 1024", DType::F32, 1024),
        matmul("7 f64 64", DType::F64, 64),
        matmul("7 f64 256", DType::F64, 256),
        matmul("7 f64 1024", DType::F64, 1024),
        elementwise("8 1e3", 1_000, transcendental),
        elementwise("8 1e5", 100_000, transcendental),
        elementwise("8 1e7", 10_000_000, transcendental),
        elementwise("9 1e3", 1_000, polynomial),
        elementwise("9 1e5", 100_000, polynomial),
        elementwise("9 1e7", 10_000_000, polynomial),
        unary("10", DType::F64, &[10_000_000], Tensor::sum),
        unary("11", DType::F32, &[4096, 1000], |x| vmap(|row: &Tensor| row.softmax(0), 0)(x)),
        unary("12", DType::F32, &[32, 3, 224, 224], |x| {
            let channel = |x: &Tensor| {
                let deviation = (x.variance() + 1e-5).sqrt();
                (x - x.mean()) / deviation
            };
            vmap(channel, 1).out_axis(1)(x)
        }),
        unary("13", DType::F64, &[2000, 16], |x| {
            each(|[i, j]| (x.at((i, ..)) - x.at((j, ..))).square().sum())
        }),
        Row::new("14", &[(DType::F64, &[10])], move |x| {
            let (value, gradient) = value_and_gradient.try_call((&x[0],))?;
            Ok(vec![value, gradient])
        }),
        unary("15", DType::F64, &[10], |x| hessian(rosenbrock)(x)),
        unary("16", DType::F64, &[100_000, 10], |x| vmap(grad(rosenbrock), 0)(x)),
        mlp_row("17 64", 64),
        mlp_row("17 1024", 1024),
        Row {
            name: "18",
            inputs: mlp_inputs(64),
            run: Box::new(move |x| Ok(per_example.try_call((&mlp(x), &x[4], &x[5]))?.leaves())),
        },
    ];
    rows.extend(models::rows());
    rows.extend(programs::rows());
    rows.extend(stencils::rows());
    rows.extend(sequences::rows());
    rows.extend(learning::rows());
    rows.extend(physics::rows());
    rows
}
