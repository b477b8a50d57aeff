//! Trees of tensors: the derive macro and the containers, as arguments and results of transforms.

use std::collections::BTreeMap;

use unloop::prelude::*;
use unloop::{Result, Tree};
use unloop_tests::assert_close;

#[derive(Tree, Clone, Debug)]
struct Layer {
    w: Tensor,
    b: Tensor,
    #[tree(static)]
    activation: &'static str,
}

#[derive(Tree, Clone, Debug)]
struct Model<T> {
    layers: Vec<Layer>,
    scale: T,
    extra: Option<Box<Layer>>,
    table: BTreeMap<String, Tensor>,
}

#[derive(Tree, Clone, Debug)]
struct Pair(Tensor, [Tensor; 2]);

#[derive(Tree, Clone, Debug)]
enum Kernel {
    Gaussian { width: Tensor },
    Linear(Tensor, Tensor),
    Constant,
}

fn layer(inputs: usize, outputs: usize, activation: &'static str) -> Layer {
    let mut rng = fastrand::Rng::with_seed((inputs * 31 + outputs) as u64);
    Layer {
        w: unloop_tests::tensor(&mut rng, DType::F64, &[inputs, outputs]),
        b: unloop_tests::tensor(&mut rng, DType::F64, &[outputs]),
        activation,
    }
}

fn model() -> Model<(Tensor, Pair)> {
    let one = || Tensor::from(1.5);
    Model {
        layers: vec![layer(3, 4, "tanh"), layer(4, 2, "none")],
        scale: (one(), Pair(one(), [one(), one()])),
        extra: Some(Box::new(layer(2, 2, "tanh"))),
        table: BTreeMap::from([("bias".to_string(), one())]),
    }
}

impl Layer {
    fn apply(&self, x: &Tensor) -> Tensor {
        let y = x.matmul(&self.w) + &self.b;
        if self.activation == "tanh" { y.tanh() } else { y }
    }
}

fn predict(m: &Model<(Tensor, Pair)>, x: &Tensor) -> Tensor {
    let mut x = x.clone();
    for layer in m.layers.iter().chain(m.extra.as_deref()) {
        x = layer.apply(&x);
    }
    let Pair(a, [b, c]) = &m.scale.1;
    (x * &m.scale.0 * a * b * c + &m.table["bias"]).sum()
}

#[test]
fn gradients_have_the_structure_of_the_parameters() -> Result<()> {
    let m = model();
    let x = Tensor::from([0.3, -0.2, 0.9]);
    let g = grad(predict)(&m, &x);
    assert_eq!(g.layers[0].activation, "tanh");
    assert_eq!(g.layers[1].w.shape(), [4, 2]);
    assert_eq!(g.table["bias"].item::<f64>()?, 2.0);
    let h = 1e-6;
    let moved = |s: f64| {
        let mut m = m.clone();
        m.layers[0].b = &m.layers[0].b + s * Tensor::from([0.0, 1.0, 0.0, 0.0]);
        predict(&m, &x)
    };
    let slope: f64 = ((moved(h) - moved(-h)) / (2.0 * h)).item()?;
    let exact: f64 = g.layers[0].b.at(1).item()?;
    assert!((slope - exact).abs() < 1e-8);
    // Compiled, and for a batch of inputs with the model shared.
    let batch = Tensor::stack(&[&x, &(&x * 2.0)], 0);
    let per_example = jit(vmap(grad(predict), (Shared, 0)))(&m, &batch);
    assert_close(&per_example.layers[1].w.at((0, .., ..)), &g.layers[1].w, "first example");
    // A stack of models.
    let models = m.map_leaves(|leaf| Tensor::stack(&[leaf, &(leaf * 0.5)], 0));
    let y = vmap(predict, (0, Shared))(&models, &x);
    assert_close(&y.at(0), &predict(&m, &x), "first model");
    Ok(())
}

#[test]
fn every_leaf_is_named() {
    let paths = model().structure().paths();
    assert_eq!(paths.len(), model().leaves().len());
    for path in ["layers.0.w", "scale.1.1.0", "extra.some.b", "table.bias"] {
        assert!(paths.iter().any(|p| p == path), "{path} is not in {paths:?}");
    }
}

#[test]
fn step_of_an_optimiser_by_tree_maps() {
    let (m, x) = (model(), Tensor::from([0.3, -0.2, 0.9]));
    let g = grad(predict)(&m, &x);
    let next = m.zip_map(&g, |p, g| p - 0.1 * g);
    assert_close(&next.layers[0].w, &(&m.layers[0].w - 0.1 * &g.layers[0].w), "a step");
    assert_eq!(next.layers[0].activation, "tanh");
}

#[test]
fn variants_are_part_of_the_structure() -> Result<()> {
    let f = |k: &Kernel, x: &Tensor| match k {
        Kernel::Gaussian { width } => (-(x / width).square()).exp(),
        Kernel::Linear(a, b) => a * x + b,
        Kernel::Constant => x.ones_like(),
    };
    let x = Tensor::from(2.0);
    let g = grad(f)(&Kernel::Linear(Tensor::from(3.0), Tensor::from(1.0)), &x);
    assert!(matches!(&g, Kernel::Linear(a, _) if a.item::<f64>()? == 2.0));
    assert!(matches!(grad(f)(&Kernel::Constant, &x), Kernel::Constant));
    let a = Kernel::Gaussian { width: x.clone() };
    let mixed = a.zip_map(&Kernel::Constant, |a, _| a.clone());
    assert!(mixed.check().is_err());
    Ok(())
}

#[test]
fn axes_of_parts_of_a_tree() {
    let f = |p: &(Tensor, Vec<Tensor>), x: &Tensor| (&p.0 * &p.1[0] + &p.1[1] * x).sum();
    let rows = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let one = Tensor::from([1.0, 10.0]);
    let p = (rows.clone(), vec![one.clone(), rows.t()]);
    let y = vmap(f, ((0, vec![Shared.into(), unloop::AxisSpec::Axis(-1)]), Shared))(&p, &one);
    let expected = vmap(|r: &Tensor| 2.0 * (r * &one).sum(), 0)(&rows);
    assert_close(&y, &expected, "axes by child");
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    time: f64,
    level: f32,
    count: i32,
    is_last: bool,
    position: [f64; 3],
    leg: Leg,
}

#[derive(Clone, Debug, PartialEq)]
struct Leg {
    length: f64,
}

#[derive(Tree, Clone)]
#[tree(rows = Step)]
struct Steps {
    time: Tensor,
    level: Tensor,
    count: Tensor,
    is_last: Tensor,
    position: Tensor,
    leg: Legs,
}

#[derive(Tree, Clone)]
#[tree(rows = Leg)]
struct Legs {
    length: Tensor,
}

#[test]
fn rows_of_numbers_become_columns_and_back() -> Result<()> {
    let step = |i: i32| Step {
        time: f64::from(i) * 0.5,
        level: i as f32,
        count: i,
        is_last: i == 2,
        position: [f64::from(i), 1.0, 2.0],
        leg: Leg { length: f64::from(i) * 3.0 },
    };
    for n in [0usize, 1, 3, 1000] {
        let rows: Vec<Step> = (0..n as i32).map(step).collect();
        let steps: Steps = rows.iter().collect();
        assert_eq!((steps.time.dtype(), steps.time.shape()), (DType::F64, &[n][..]));
        assert_eq!((steps.level.dtype(), steps.count.dtype()), (DType::F32, DType::I32));
        assert_eq!((steps.is_last.dtype(), steps.position.shape()), (DType::Bool, &[n, 3][..]));
        assert_eq!(steps.leg.length.shape(), [n]);
        assert_eq!(Vec::<Step>::try_from(&steps)?, rows);
        let moved: Steps = rows.clone().into_iter().filter(|step| step.count > 0).collect();
        let back: Vec<Step> = (&moved).try_into()?;
        assert_eq!(back, rows.get(1..).unwrap_or_default());
        if n > 0 {
            // A function of one step runs over all.
            let f = |s: &Steps| s.position.sum() * &s.leg.length;
            let y = vmap(f, 0)(&steps).to_vec::<f64>()?;
            assert_eq!(y[n - 1], (n as f64 + 2.0) * (n as f64 - 1.0) * 3.0);
        }
    }
    // Columns that are no columns of such rows.
    let steps: Steps = [step(0), step(1)].iter().collect();
    let fails = |steps: &Steps| Vec::<Step>::try_from(steps).unwrap_err();
    let short = Steps { time: Tensor::from([1.0]), ..steps.clone() };
    let error = Vec::<Step>::try_from(&short).unwrap_err();
    assert_eq!((error.op(), error.location().unwrap().line()), ("Steps", line!() - 1), "{error}");
    assert!(error.to_string().contains("time has 1 rows, level has 2"), "{error}");
    let wrong = fails(&Steps { time: steps.time.cast(DType::F32), ..steps.clone() });
    assert!(matches!(wrong.kind(), unloop::ErrorKind::DTypeMismatch { .. }), "{wrong}");
    let wrong = fails(&Steps { time: Tensor::from([[1.0, 2.0]]), ..steps.clone() });
    assert!(matches!(wrong.kind(), unloop::ErrorKind::WrongRank { .. }), "{wrong}");
    let wrong = fails(&Steps { position: steps.position.t(), ..steps.clone() });
    assert!(matches!(wrong.kind(), unloop::ErrorKind::WrongRank { .. }), "{wrong}");
    let failed = fails(&steps.map_leaves(|x| x.sum_axis(7)));
    assert_eq!(failed.op(), "sum_axis");
    // Iterators of numbers collect into tensors, too.
    let squares: Tensor = (0..4).map(|i| f64::from(i * i)).collect();
    assert_eq!(squares.to_vec::<f64>()?, [0.0, 1.0, 4.0, 9.0]);
    assert_eq!([1.5f32, 2.5].into_iter().collect::<Tensor>().dtype(), DType::F32);
    Ok(())
}
