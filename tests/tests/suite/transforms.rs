//! Transforms in every order and nesting, against loops and closed forms.

use ndarray::{Array1, Array2, Array3, Array4, Axis, array};
use unloop::prelude::*;
use unloop::{Result, each, each_to};
use unloop_tests::{assert_close, tensor};

fn rng(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed)
}

fn random(seed: u64, shape: &[usize]) -> Tensor {
    tensor(&mut rng(seed), DType::F64, shape)
}

/// A stack of matrices far from singular.
fn regular(seed: u64, shape: &[usize]) -> Tensor {
    let n = shape[shape.len() - 1];
    random(seed, shape) + (3.0 * Tensor::eye(DType::F64, n)).broadcast_to(shape)
}

/// The Rosenbrock function of a vector.
fn rosenbrock(x: &Tensor) -> Tensor {
    let n = x.shape()[0];
    let (a, b) = (x.slice_axis(0, 0, n - 1), x.slice_axis(0, 1, n));
    (100.0 * (b - a.square()).square() + (1.0 - a).square()).sum()
}

#[test]
fn solve_of_a_stack_of_stacks() -> Result<()> {
    let (a, b) = (regular(1, &[3, 4, 5, 5]), random(2, &[3, 4, 5]));
    let y = vmap(vmap(Tensor::solve, (0, 0)), (0, 0))(&a, &b);
    for i in 0..3 {
        for j in 0..4 {
            let (a, b) = (a.at((i, j, .., ..)), b.at((i, j, ..)));
            assert_close(&y.at((i, j, ..)), &a.solve(&b), "a member");
            assert_close(&a.matmul(&y.at((i, j, ..))), &b, "a·y = b");
        }
    }
    Ok(())
}

#[test]
fn solve_along_any_axis() -> Result<()> {
    let (a, b) = (regular(3, &[7, 5, 5]), random(4, &[7, 5]));
    let expected = vmap(Tensor::solve, (0, 0))(&a, &b);
    for axis in [0, 1, 2, -1, -2, -3] {
        let moved = a.move_axis(0, axis);
        let y = vmap(Tensor::solve, (axis as i32, 0))(&moved, &b);
        assert_close(&y, &expected, "axis of a");
        let y = vmap(Tensor::solve, (axis as i32, 1)).out_axis(1)(&moved, &b.t());
        assert_close(&y, &expected.t(), "axes of a and b, and of the result");
    }
    // One matrix, many right-hand sides; many matrices, one right-hand side.
    let (one, shared) = (a.at((0, .., ..)), b.at((0, ..)));
    let many = vmap(Tensor::solve, (Shared, 0))(&one, &b);
    assert_close(&many.at((3, ..)), &one.solve(&b.at((3, ..))), "shared matrix");
    let many = vmap(Tensor::solve, (0, Shared))(&a, &shared);
    assert_close(&many.at((3, ..)), &a.at((3, .., ..)).solve(&shared), "shared right-hand side");
    Ok(())
}

#[test]
fn derivatives_of_derivatives() -> Result<()> {
    let f = |x: &Tensor| x.sin() * x.exp();
    let x = Tensor::from(0.7);
    let (s, c, e) = (0.7f64.sin(), 0.7f64.cos(), 0.7f64.exp());
    let closed = [e * (s + c), 2.0 * e * c, 2.0 * e * (c - s), -4.0 * e * s];
    assert_close(&grad(f)(&x), &closed[0].into(), "first");
    assert_close(&grad(grad(f))(&x), &closed[1].into(), "second");
    assert_close(&grad(grad(grad(f)))(&x), &closed[2].into(), "third");
    assert_close(&grad(grad(grad(grad(f))))(&x), &closed[3].into(), "fourth");
    assert_close(&jit(grad(jit(grad(grad(jit(f))))))(&x), &closed[2].into(), "jit in between");
    let forward = |x: &Tensor| jvp(f)(x, &Tensor::from(1.0)).1;
    assert_close(&grad(forward)(&x), &closed[1].into(), "reverse over forward");
    let (_, t) = jvp(grad(f))(&x, &Tensor::from(1.0));
    assert_close(&t, &closed[1].into(), "forward over reverse");
    Ok(())
}

#[test]
fn gradient_and_hessian_of_rosenbrock() -> Result<()> {
    let point = [-1.2, 1.0, 0.5, 2.0, -0.3];
    let x = Tensor::from(point);
    let n = point.len();
    let mut g = Array1::<f64>::zeros(n);
    let mut h = Array2::<f64>::zeros((n, n));
    for i in 0..n - 1 {
        let (a, b) = (point[i], point[i + 1]);
        g[i] += -400.0 * a * (b - a * a) - 2.0 * (1.0 - a);
        g[i + 1] += 200.0 * (b - a * a);
        h[[i, i]] += 1200.0 * a * a - 400.0 * b + 2.0;
        h[[i, i + 1]] -= 400.0 * a;
        h[[i + 1, i]] -= 400.0 * a;
        h[[i + 1, i + 1]] += 200.0;
    }
    let (value, gradient) = value_and_grad(rosenbrock)(&x);
    assert_close(&value, &rosenbrock(&x), "value");
    assert_close(&gradient, &g.into(), "gradient");
    let h = Tensor::from(h);
    assert_close(&hessian(rosenbrock)(&x), &h, "hessian");
    assert_close(&jacfwd(jacfwd(rosenbrock))(&x), &h, "forward over forward");
    assert_close(&jacrev(jacrev(rosenbrock))(&x), &h, "reverse over reverse");
    assert_close(&jit(hessian(rosenbrock))(&x), &h, "jit(hessian)");
    let third = jacfwd(hessian(rosenbrock))(&x);
    assert_eq!(third.shape(), [n, n, n]);
    assert_close(&third.at((1, 1, 1)), &Tensor::from(2400.0 * point[1]), "third derivative");
    Ok(())
}

#[test]
fn gradients_of_examples() -> Result<()> {
    let x = random(5, &[6, 4]);
    let all = vmap(grad(rosenbrock), 0)(&x);
    let compiled = jit(vmap(grad(rosenbrock), 0));
    let columns = vmap(grad(rosenbrock), -1).out_axis(-1)(&x.t());
    for i in 0..6 {
        let one = grad(rosenbrock)(&x.at((i, ..)));
        assert_close(&all.at((i, ..)), &one, "vmap(grad)");
        assert_close(&columns.at((.., i)), &one, "vmap(grad) along the last axis");
    }
    // Twice: the second call finds the compiled program.
    assert_close(&compiled(&x), &all, "jit(vmap(grad))");
    assert_close(&compiled(&x), &all, "jit(vmap(grad)) again");
    let hessians = vmap(hessian(rosenbrock), 0)(&x);
    let one = hessian(rosenbrock)(&x.at((2, ..)));
    assert_close(&hessians.at((2, .., ..)), &one, "vmap(hessian)");
    Ok(())
}

#[test]
fn jacobians_of_a_vector_function() -> Result<()> {
    let f = |x: &Tensor| Tensor::stack(&[&(x.at(0) * x.at(1)), &x.at(2).sin(), &x.sum()], 0);
    let x = Tensor::from([2.0, 3.0, 0.5]);
    let closed = Tensor::from([[3.0, 2.0, 0.0], [0.0, 0.0, 0.5f64.cos()], [1.0, 1.0, 1.0]]);
    assert_close(&jacfwd(f)(&x), &closed, "jacfwd");
    assert_close(&jacrev(f)(&x), &closed, "jacrev");
    let (y, pullback) = vjp(f)(&x);
    assert_close(&y, &f(&x), "value of vjp");
    let ct = Tensor::from([1.0, -2.0, 0.5]);
    assert_close(&pullback(&ct), &ct.matmul(&closed), "vjp");
    let rows = vmap(move |ct: &Tensor| pullback(ct), 0)(&Tensor::eye(DType::F64, 3));
    assert_close(&rows, &closed, "vmap of a pullback");
    Ok(())
}

#[test]
fn mean_of_products_as_nested_vmap_and_as_each() -> Result<()> {
    let (k, l, m, n) = (3, 4, 5, 6);
    let (a, b, c) = (random(6, &[k, l, m]), random(7, &[l, n]), random(8, &[k, m]));
    let (aa, bb, cc): (Array3<f64>, Array2<f64>, Array2<f64>) =
        (a.to_array()?, b.to_array()?, c.to_array()?);
    let mut d = Array2::<f64>::zeros((k, n));
    for ((k, n), d) in d.indexed_iter_mut() {
        for l in 0..l {
            for m in 0..m {
                *d += aa[[k, l, m]] * bb[[l, n]] * cc[[k, m]] / 20.0;
            }
        }
    }
    let d = Tensor::from(d);
    let one = |a: &Tensor, b: &Tensor, c: &Tensor| a * b * c;
    let over_m = vmap(one, (0, Shared, 0));
    let over_l = vmap(over_m, (0, 0, Shared));
    let mean = move |a: &Tensor, b: &Tensor, c: &Tensor| over_l(a, b, c).mean();
    let nested = vmap(vmap(mean, (Shared, 1, Shared)), (0, Shared, 0));
    assert_close(&nested(&a, &b, &c), &d, "nested vmap");
    let by_index =
        each(|[k, n]| each(|[l, m]| a.at((k, l, m)) * b.at((l, n)) * c.at((k, m))).mean());
    assert_close(&by_index, &d, "each");
    let compiled = jit(|a: &Tensor, b: &Tensor, c: &Tensor| {
        each(|[k, n]| each(|[l, m]| a.at((k, l, m)) * b.at((l, n)) * c.at((k, m))).mean())
    });
    assert_close(&compiled(&a, &b, &c), &d, "jit of each");
    Ok(())
}

#[test]
fn grad_through_vmap_through_each() -> Result<()> {
    // f(w) = Σ_b Σ_ij (x[b,i]·w[i,j])²; df/dw[i,j] = 2·w[i,j]·Σ_b x[b,i]².
    let (x, w) = (random(9, &[5, 3]), random(10, &[3, 4]));
    let f = |w: &Tensor| {
        let one = |x: &Tensor| each(|[i, j]| (x.at(i) * w.at((i, j))).square()).sum();
        vmap(one, 0)(&x).sum()
    };
    let squares = x.square().sum_axis(0);
    let closed = vmap(|w: &Tensor| 2.0 * w * &squares, 1).out_axis(1)(&w);
    assert_close(&grad(f)(&w), &closed, "grad of vmap of each");
    assert_close(&jit(grad(f))(&w), &closed, "jit");
    // Second derivatives: the Hessian-vector product is the same formula.
    let (_, product) = jvp(grad(f))(&w, &w);
    assert_close(&product, &closed, "forward over reverse");
    Ok(())
}

#[test]
fn captured_tensors_at_two_levels() -> Result<()> {
    // g(a) = Σ_i Σ_j sin(a·x_i·y_j): x_i is captured by the inner closure, a by both.
    let (x, y) = (random(11, &[3]), random(12, &[4]));
    let f = |a: &Tensor| {
        let rows = |x: &Tensor| {
            let cells = |y: &Tensor| (a * x * y).sin();
            vmap(cells, 0)(&y).sum()
        };
        vmap(rows, 0)(&x).sum()
    };
    let (xs, ys): (Vec<f64>, Vec<f64>) = (x.to_vec()?, y.to_vec()?);
    let sum = |g: &dyn Fn(f64) -> f64| -> f64 {
        xs.iter().flat_map(|x| ys.iter().map(move |y| x * y)).map(g).sum()
    };
    let a = 0.8;
    let at = Tensor::from(a);
    assert_close(&f(&at), &sum(&|p| (a * p).sin()).into(), "value");
    assert_close(&grad(f)(&at), &sum(&|p| p * (a * p).cos()).into(), "grad");
    assert_close(&grad(grad(f))(&at), &sum(&|p| -p * p * (a * p).sin()).into(), "grad of grad");
    let many = Tensor::from([0.1, a, 2.0]);
    let second = vmap(grad(f), 0)(&many).at(1);
    assert_close(&second, &sum(&|p| p * (a * p).cos()).into(), "vmap of grad");
    // A derivative inside of a map, in a variable that the outer function captures.
    let inner =
        |a: &Tensor| vmap(|x: &Tensor| grad(|b: &Tensor| (a * b * x).exp())(a), 0)(&x).sum();
    let closed: f64 = xs.iter().map(|x| a * x * (a * a * x).exp()).sum();
    assert_close(&inner(&at), &closed.into(), "captures under grad under vmap");
    let closed: f64 = xs.iter().map(|x| (x + 2.0 * a * a * x * x) * (a * a * x).exp()).sum();
    assert_close(&grad(inner)(&at), &closed.into(), "perturbations are not confused");
    Ok(())
}

#[test]
fn indices_say_what_numpy_hides() -> Result<()> {
    // The riddles of advanced indexing: shapes are what the indices say.
    let a = random(13, &[10, 20, 30, 40]);
    let i = Tensor::from([1, 2, 3, 4, 5]);
    let x = each(|[k]| a.at((.., .., i.at(k), ..)));
    assert_eq!(x.shape(), [5, 10, 20, 40]);
    let aa: Array4<f64> = a.to_array()?;
    let expected = aa.index_axis(Axis(2), 3);
    assert_close(&x.at((2, .., .., ..)), &expected.to_owned().into(), "a row");
    Ok(())
}

#[test]
fn attention_by_vmap_over_heads() -> Result<()> {
    let attention = |q: &Tensor, k: &Tensor, v: &Tensor| {
        let scale = 1.0 / (q.shape()[1] as f64).sqrt();
        (q.matmul(&k.t()) * scale).softmax(-1).matmul(v)
    };
    let [q, k, v] = [14, 15, 16].map(|seed| random(seed, &[2, 6, 4, 3]));
    let heads = vmap(attention, 1).out_axis(1);
    let batch = vmap(heads, 0);
    let y = batch(&q, &k, &v);
    assert_eq!(y.shape(), [2, 6, 4, 3]);
    for b in 0..2 {
        for h in 0..4 {
            let part = |x: &Tensor| x.at((b, .., h, ..));
            let one = attention(&part(&q), &part(&k), &part(&v));
            assert_close(&y.at((b, .., h, ..)), &one, "a head");
        }
    }
    Ok(())
}

#[test]
fn each_to_gives_sizes_and_values() -> Result<()> {
    let table = each_to([3, 4], |[i, j]| (i.value() * 10 + j.value()).tensor());
    assert_eq!(
        table.to_array::<i64, ndarray::Ix2>()?,
        array![[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]
    );
    Ok(())
}

#[test]
fn empty_axes_and_scalars_work_in_transforms() -> Result<()> {
    let none = Tensor::zeros(DType::F64, [0, 5]);
    assert_eq!(vmap(rosenbrock, 0)(&none).shape(), [0]);
    assert_eq!(vmap(grad(rosenbrock), 0)(&none).shape(), [0, 5]);
    assert_eq!(vmap(hessian(rosenbrock), 0)(&none).shape(), [0, 5, 5]);
    let a = Tensor::zeros(DType::F64, [0, 4, 4]);
    assert_eq!(vmap(Tensor::solve, 0)(&a, &a).shape(), [0, 4, 4]);
    assert_close(&grad(|x: &Tensor| x * x)(&Tensor::from(3.0)), &6.0.into(), "scalar");
    assert_eq!(grad(Tensor::sum)(&Tensor::zeros(DType::F64, [0])).shape(), [0]);
    Ok(())
}

#[test]
fn functions_of_eight_arguments() -> Result<()> {
    #[allow(clippy::too_many_arguments)]
    fn f(
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        d: &Tensor,
        e: &Tensor,
        g: &Tensor,
        h: &Tensor,
        i: &Tensor,
    ) -> Tensor {
        a * b + c * d + e * g + h * i
    }
    let x = Tensor::from([1.0, 2.0]);
    let y = jit(vmap(f, 0))(&x, &x, &x, &x, &x, &x, &x, &x);
    assert_eq!(y.to_vec::<f64>()?, [4.0, 16.0]);
    let g = vmap(grad(f), (0, 0, Shared, Shared, 0, 0, Shared, 0));
    let s = Tensor::from(1.0);
    assert_eq!(g(&x, &x, &s, &s, &x, &x, &s, &x).to_vec::<f64>()?, [1.0, 2.0]);
    Ok(())
}

#[test]
fn positions_of_extremes() -> Result<()> {
    let x = Tensor::from([[3.0, 9.0, f64::NAN], [7.0, 7.0, 1.0]]);
    assert_eq!(x.argmax_axis(1).to_vec::<i64>()?, [2, 0]);
    assert_eq!(x.argmin_axis(0).to_vec::<i64>()?, [0, 1, 0]);
    assert_eq!(x.argmax_keep(-1).shape(), [2, 1]);
    assert_eq!(x.argmin_keep(0).to_vec::<i64>()?, [0, 1, 0]);
    assert_eq!(x.argmax().item::<i64>()?, 2);
    assert_eq!(vmap(Tensor::argmax, 1)(&x).to_vec::<i64>()?, [1, 0, 0]);
    Ok(())
}
