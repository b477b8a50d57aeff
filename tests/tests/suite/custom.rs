//! Custom rules, host operations, named axes, chunks, and the transforms around them: each agrees
//! with what it stands for.

use std::sync::Arc;

use unloop::op::HostOp;
use unloop::prelude::*;
use unloop::*;

fn values(x: &Tensor) -> Vec<f64> {
    x.to_vec().unwrap()
}

fn close(a: &Tensor, b: &Tensor) {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    let near = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-9 * (1.0 + y.abs());
    assert!(a.iter().zip(&b).all(near), "{a:?} is not {b:?}");
}

fn stack() -> Tensor {
    Tensor::from([[0.5, 1.5, -0.5], [2.0, 0.1, 1.0]])
}

/// `sin`, with the derivative of 10·sin, so that one sees which is used.
fn tenfold<'f>() -> Custom<'f, (Tensor,), Tensor> {
    custom_jvp(|x: &Tensor| x.sin(), |x: &Tensor, dx: &Tensor| 10.0 * dx * x.cos())
}

#[test]
fn custom_jvp_under_every_transform() {
    let (f, x) = (tenfold(), stack());
    let slope = 10.0 * x.cos();
    close(&f(&x), &x.sin());
    close(&jvp(&*f)(&x, &x.ones_like()).1, &slope);
    close(&grad(|x: &Tensor| f(x).sum())(&x), &slope);
    close(&vmap(grad(|x: &Tensor| f(x).sum()), 0)(&x), &slope);
    close(&grad(|x: &Tensor| vmap(&*f, 0)(x).sum())(&x), &slope);
    close(&jit(grad(|x: &Tensor| f(x).sum()))(&x), &slope);
    let twice = grad(|x: &Tensor| grad(|x: &Tensor| f(x).sum())(x).sum());
    close(&twice(&x), &(-10.0 * x.sin()));
}

#[test]
fn custom_jvp_of_several_arguments_shared_under_vmap() {
    let f = custom_jvp(
        |w: &Tensor, x: &Tensor| w * x,
        |(w, x): &(Tensor, Tensor), (dw, dx): &(Tensor, Tensor)| dw * x + 3.0 * (w * dx),
    );
    let (w, x) = (Tensor::from([1.0, 2.0, 3.0]), stack());
    let total = |w: &Tensor, x: &Tensor| vmap(&*f, (Shared, 0))(w, x).sum();
    close(&grad(total)(&w, &x), &x.sum_axis(0));
    close(&grad(total).wrt(1)(&w, &x), &(3.0 * w.broadcast_to([2, 3])));
}

#[test]
fn custom_vjp_under_every_transform() {
    let f = custom_vjp(
        |w: &Tensor, x: &Tensor| ((w * x).sum(), (w.clone(), x.clone())),
        |(w, x): &(Tensor, Tensor), ct: &Tensor| (2.0 * (x * ct), 5.0 * (w * ct)),
    );
    let (w, x) = (Tensor::from([1.0, 2.0, 3.0]), stack());
    close(&vmap(&*f, (Shared, 0))(&w, &x), &(w.broadcast_to([2, 3]) * &x).sum_axis(1));
    let total = |w: &Tensor, x: &Tensor| vmap(&*f, (Shared, 0))(w, x).sum();
    close(&grad(total)(&w, &x), &(2.0 * x.sum_axis(0)));
    close(&jit(grad(total).wrt(1))(&w, &x), &(5.0 * w.broadcast_to([2, 3])));
    let each = vmap(grad(&*f), (Shared, 0));
    close(&each(&w, &x), &(2.0 * &x));
    let error = jvp(|x: &Tensor| f(&w, x)).try_call((&w, &w)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
}

#[test]
fn what_a_custom_rule_captures_is_an_argument_or_an_error() {
    let outer = |a: &Tensor| {
        let f = custom_jvp(|x: &Tensor| a * x, |_: &Tensor, dx: &Tensor| a * dx);
        f(&Tensor::from(2.0))
    };
    assert_eq!(outer(&Tensor::from(3.0)).item::<f64>().unwrap(), 6.0);
    let error = grad(outer).try_call((&Tensor::from(3.0),)).unwrap_err().to_string();
    assert!(error.contains("captures"), "{error}");
}

#[test]
fn rules_that_do_not_fit_say_so() {
    let f = custom_jvp(|x: &Tensor| x.sin(), |_: &Tensor, dx: &Tensor| dx.sum());
    let error = f.try_call((&stack(),)).unwrap_err().to_string();
    assert!(error.contains("f64[]") && error.contains("f64[2,3]"), "{error}");
}

#[test]
fn checkpoint_changes_nothing_but_memory() {
    let layer = |x: &Tensor| (x.sin() * x).tanh();
    let kept = checkpoint(layer);
    let x = stack();
    close(&kept(&x), &layer(&x));
    let plain = grad(|x: &Tensor| layer(&layer(x)).sum());
    let saved = grad(|x: &Tensor| kept(&kept(x)).sum());
    close(&saved(&x), &plain(&x));
    close(&vmap(&*saved, 0)(&x), &plain(&x));
    close(&jvp(&*kept)(&x, &x).1, &jvp(layer)(&x, &x).1);
}

#[derive(Debug)]
struct Cube;

impl HostOp for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn infer(&self, x: &[TensorType]) -> std::result::Result<Vec<TensorType>, String> {
        Ok(vec![x[0].clone()])
    }
    fn evaluate(&self, x: &[Array]) -> std::result::Result<Vec<Array>, String> {
        let cubes =
            x[0].to_vec::<f64>().map_err(|_| "f64 only")?.iter().map(|x| x.powi(3)).collect();
        Ok(vec![Array::new(x[0].shape().clone(), cubes)])
    }
    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![3.0 * x[0].square() * t[0]?])
    }
}

#[test]
fn host_operations_batch_and_differentiate() {
    let op: Arc<dyn HostOp> = Arc::new(Cube);
    let cube = |x: &Tensor| host_call(&op, &[x]).swap_remove(0);
    let x = stack();
    let expected = &x * &x * &x;
    close(&cube(&x), &expected);
    close(&vmap(cube, 0)(&x), &expected);
    close(&jit(vmap(vmap(cube, 0), 0))(&x), &expected);
    close(&grad(|x: &Tensor| cube(x).sum())(&x), &(3.0 * x.square()));
    close(&vmap(grad(|x: &Tensor| cube(x).sum()), 1).out_axis(1)(&x), &(3.0 * x.square()));
    let error = cube(&x.cast(DType::F32)).check().unwrap_err().to_string();
    assert!(error.contains("f64 only") && error.contains("custom.rs"), "{error}");
}

/// Its derivative has another type than it.
#[derive(Debug)]
struct Crooked;

impl HostOp for Crooked {
    fn name(&self) -> &'static str {
        "crooked"
    }
    fn infer(&self, x: &[TensorType]) -> std::result::Result<Vec<TensorType>, String> {
        Ok(x.to_vec())
    }
    fn evaluate(&self, x: &[Array]) -> std::result::Result<Vec<Array>, String> {
        Ok(x.to_vec())
    }
    fn jvp(&self, _: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![t[0]?.sum()])
    }
}

#[test]
fn derivatives_of_host_operations_have_their_types() {
    let op: Arc<dyn HostOp> = Arc::new(Crooked);
    let f = |x: &Tensor| host_call(&op, &[x]).swap_remove(0);
    let x = stack();
    for wrong in [grad(|x: &Tensor| f(x).sum())(&x), jvp(f)(&x, &x).1] {
        let error = wrong.check().unwrap_err();
        assert_eq!(error.op(), "crooked", "{error}");
        assert!(error.to_string().contains("derivative gives [f64[]]"), "{error}");
    }
}

#[test]
fn collectives_see_all_examples() {
    let x = stack();
    let normal = |x: &Tensor| (x - pmean(x, "i")) / pmax(x, "i");
    let expected = (&x - x.mean_axis(0).broadcast()) / x.max_axis(0).broadcast();
    close(&vmap(normal, 0).axis_name("i")(&x), &expected);
    close(&jit(vmap(normal, 0).axis_name("i"))(&x), &expected);
    // Two named axes: the inner one is asked for the sum, the outer one for the largest.
    let both = |x: &Tensor| psum(x, "inner") * pmax(x, "outer");
    let nested = vmap(vmap(both, 0).axis_name("inner"), 0).axis_name("outer");
    let sums = x.sum_keep(1).broadcast_to([2, 3]);
    close(&nested(&x), &(sums * x.max_axis(0).broadcast_to([2, 3])));
}

#[test]
fn collectives_are_differentiable_inside_and_outside() {
    let x = Tensor::from([1.0, 2.0, 4.0]);
    let share = |x: &Tensor| x / psum(x, "i");
    let by_hand = |x: &Tensor| x / x.sum().broadcast();
    let outside = grad(|x: &Tensor| vmap(share, 0).axis_name("i")(x).square().sum());
    let expected = grad(|x: &Tensor| by_hand(x).square().sum())(&x);
    close(&outside(&x), &expected);
    // Inside, every example's result depends on every example's argument.
    let inside = vmap(grad(|x: &Tensor| psum(&x.square(), "i")), 0).axis_name("i");
    close(&inside(&x), &(2.0 * 3.0 * &x));
    let index = vmap(|x: &Tensor| all_gather(x, "i").at(0) * axis_index("i").cast(x.dtype()), 0);
    close(&index.axis_name("i")(&x), &Tensor::from([0.0, 1.0, 2.0]));
}

#[test]
fn an_axis_without_a_name_is_an_error_that_says_how() {
    let error = vmap(|x: &Tensor| psum(x, "j"), 0).axis_name("i").try_call((&stack(),));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("\"j\"") && message.contains("axis_name"), "{message}");
}

#[test]
fn chunks_equal_the_whole() {
    let x = Tensor::from_fn((7, 3), |i| (i[0] * 3 + i[1]) as f64);
    let w = Tensor::from([1.0, -1.0, 2.0]);
    let f = |x: &Tensor, w: &Tensor| (x.dot(w), x.sin());
    let whole = vmap(f, (0, Shared))(&x, &w);
    for size in [1, 2, 3, 6, 7, 100] {
        let parts = vmap(f, (0, Shared)).chunks(size);
        close(&parts(&x, &w).0, &whole.0);
        close(&jit(parts.clone().out_axis(-1))(&x, &w).1.t(), &whole.1);
        let slope = grad(|x: &Tensor| parts(x, &w).1.sum());
        close(&slope(&x), &x.cos());
    }
    assert!(vmap(f, (0, Shared)).chunks(0).try_call((&x, &w)).is_err());
}

#[test]
fn linearize_pushes_many_tangents() {
    let x = stack();
    let (y, push) = linearize(|x: &Tensor| (x.sin(), x.sum()))(&x);
    close(&y.0, &x.sin());
    for t in [x.ones_like(), x.clone()] {
        let (dy, sum) = push(&t);
        close(&dy, &(x.cos() * &t));
        close(&sum, &t.sum());
    }
    let scaled = vmap(|t: &Tensor| push(&t.broadcast_to([2, 3])).0, 0);
    close(&scaled(&Tensor::from([2.0])), &(2.0 * x.cos()).expand_dims(0));
}

#[test]
fn linear_transpose_is_the_adjoint_and_refuses_the_rest() {
    let a = stack();
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let ct = Tensor::from([1.0, -1.0]);
    close(&linear_transpose(|x: &Tensor| a.matmul(x), &x)(&ct), &a.t().matmul(&ct));
    let error = linear_transpose(|x: &Tensor| x.sin(), &x)(&x).check().unwrap_err().to_string();
    assert!(error.contains("sin") && error.contains("linear"), "{error}");
}

#[test]
fn gradients_in_chosen_arguments() {
    let f = |a: &Tensor, b: &Tensor, c: &Tensor| (a * b.square() * c).sum();
    let (a, b, c) = (Tensor::from(2.0), Tensor::from(3.0), Tensor::from(5.0));
    close(&grad(f).wrt(1)(&a, &b, &c), &Tensor::from(60.0));
    let (value, [da, dc]) = value_and_grad(f).wrt([0, 2])(&a, &b, &c);
    close(&value, &Tensor::from(90.0));
    close(&da, &Tensor::from(45.0));
    close(&dc, &Tensor::from(18.0));
    close(&grad(f).wrt(All)(&a, &b, &c).2, &dc);
    for (wrong, word) in [([0, 3], "no argument 3"), ([2, 0], "increasing")] {
        let error = grad(f).wrt(wrong).try_call((&a, &b, &c)).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let ((value, aux), slope) = value_and_grad_with_aux(|x: &Tensor| (x.square(), x + 1.0))(&b);
    close(&Tensor::stack(&[&value, &aux, &slope], 0), &Tensor::from([9.0, 4.0, 6.0]));
}

#[test]
fn jacobians_of_trees_and_in_chunks() {
    let x = Tensor::from([0.5, 1.0, 2.0]);
    let params = (x.clone(), Tensor::from([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]));
    let f = |(x, a): &(Tensor, Tensor)| a.matmul(&x.sin());
    let forward = jacfwd(f)(&params);
    let reverse = jacrev(f)(&params);
    assert_eq!(forward.1.shape(), [2, 2, 3]);
    close(&forward.0, &(&params.1 * x.cos().broadcast()));
    close(&forward.0, &reverse.0);
    close(&forward.1, &reverse.1);
    for size in [1, 2, 5] {
        close(&jacfwd(f).chunks(size)(&params).1, &forward.1);
        close(&jit(jacrev(f).chunks(size))(&params).0, &forward.0);
    }
    let both = |x: &Tensor| (x.square(), x.sum());
    let (fwd, rev) = (jacfwd_tree(both)(&x), jacrev_tree(both)(&x));
    close(&fwd[0], &rev[0]);
    close(&fwd[1], &Tensor::from([1.0, 1.0, 1.0]));
    close(&rev[1], &fwd[1]);
    let v = Tensor::from([1.0, -1.0, 0.5]);
    let cubic = |x: &Tensor| (x * x * x).sum() + x.prod();
    close(&hvp(cubic)(&x, &v), &hessian(cubic)(&x).matmul(&v));
}

#[test]
fn vectorize_follows_numpy() {
    let a = Tensor::from_fn((4, 1, 2, 2), |i| (1 + i[0] * 4 + i[2] * 2 + i[3] * i[3]) as f64);
    let b = Tensor::from_fn((3, 2), |i| (i[0] + i[1]) as f64);
    let product = vectorize("(m,n),(n)->(m)", |a: &Tensor, b: &Tensor| a.matmul(b));
    let y = product(&a, &b);
    assert_eq!(y.shape(), [4, 3, 2]);
    for i in 0..4 {
        for j in 0..3 {
            close(&y.at((i, j, ..)), &a.at((i, 0, .., ..)).matmul(&b.at((j, ..))));
        }
    }
    assert_eq!(product(&a.slice_axis(0, 0, 1), &b.at((0, ..))).shape(), [1, 1, 2]);
    let error = |r: Result<Tensor>| r.unwrap_err().to_string();
    let wrong = Tensor::from([1.0, 2.0, 3.0]);
    assert!(error(product.try_call((&a, &wrong))).contains("dimension n is 3"));
    let text = vectorize("(n->n)", |a: &Tensor| a.clone());
    assert!(error(text.try_call((&wrong,))).contains("no signature"));
    let rank = vectorize("(n)->()", |a: &Tensor| a.clone());
    assert!(error(rank.try_call((&wrong,))).contains("result 0"));
}

#[test]
fn associative_scan_equals_the_loop() {
    for n in [1, 2, 3, 4, 7, 8, 13] {
        let x = Tensor::from_fn((n, 2), |i| 1.0 + 0.1 * (i[0] * 2 + i[1]) as f64);
        let product = |a: &Tensor, b: &Tensor| a * b;
        close(&associative_scan(product, &x), &x.cumprod(0));
        let slope = grad(|x: &Tensor| associative_scan(product, x).sum())(&x);
        close(&slope, &grad(|x: &Tensor| x.cumprod(0).sum())(&x));
        // Products of matrices do not commute.
        let m = Tensor::from_fn((n, 2, 2), |i| ((i[0] + 2 * i[1] + i[2]) % 3) as f64);
        let all = associative_scan(|a: &Tensor, b: &Tensor| a.matmul(b), &m);
        let mut last = m.at((0, .., ..));
        for i in 1..n as i64 {
            last = last.matmul(&m.at((i, .., ..)));
        }
        close(&all.at((-1, .., ..)), &last);
    }
}

#[test]
fn reduce_with_a_function() {
    let x = Tensor::from_fn((3, 4, 5), |i| ((7 * i[0] + 3 * i[1] + i[2]) % 6) as f64);
    let sum = |a: &Tensor, b: &Tensor| a + b;
    close(&reduce(sum, &x, &Tensor::from(0.0), [0, 2]), &x.sum_axis([0, 2]));
    // The largest with its position: a tree of two numbers.
    type Pair = (Tensor, Tensor);
    let larger = |(a, i): &Pair, (b, j): &Pair| {
        let first = a.greater(b) | (a.equal(b) & i.less(j));
        (first.select(a, b), first.select(i, j))
    };
    let pairs = (x.clone(), Tensor::iota(DType::I64, [3, 4, 5], 2));
    let init = (Tensor::from(f64::NEG_INFINITY), Tensor::from(i64::MAX));
    let (most, at) = reduce(larger, &pairs, &init, -1);
    close(&most, &x.max_axis(-1));
    assert_eq!(at.to_vec::<i64>().unwrap(), x.argmax_axis(-1).to_vec::<i64>().unwrap());
    let by_column = vmap(|x: &Tensor| reduce(sum, x, &Tensor::from(0.0), 0), 1).out_axis(1);
    close(&by_column(&x), &x.sum_axis(0).t());
}

#[test]
fn check_grads_finds_what_is_wrong() {
    let x = Tensor::from([0.3, 1.2]);
    let n = Tensor::from([1, 2]);
    let f = |x: &Tensor, n: &Tensor| (x.sin() * n.cast(x.dtype()), n.clone());
    check_grads(f, (&x, &n), 3).unwrap();
    check_grads(|x: &Tensor| x.tanh(), (&x.cast(DType::F32),), 1).unwrap();
    let error = check_grads(tenfold(), (&x,), 1).unwrap_err().to_string();
    assert!(error.contains("forward derivative of order 1"), "{error}");
}
