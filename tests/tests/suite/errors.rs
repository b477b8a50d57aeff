//! Every kind of error: what it says, where it points, and that nothing else breaks.

use ndarray::{Array1, Array2, Ix1, Ix2};
use unloop::prelude::*;
use unloop::{Error, ErrorKind, Result};

/// Runs an expression that must fail, and checks the operation, that the error points at this line
/// and the message.
macro_rules! fails {
    ($result:expr, $op:literal, $message:literal) => {{
        // The expression stands on the line of the macro call.
        let (error, line) = (error_of($result), line!());
        assert_eq!(error.op(), $op, "{error}");
        let at = error.location().unwrap_or_else(|| panic!("no place: {error}"));
        assert!(at.file().ends_with("errors.rs"), "{error}");
        assert!(at.line().abs_diff(line) <= 1, "line {line}: {error}");
        let text = error.kind().to_string();
        assert_eq!(text, $message);
        let inner = error.inner_op().map_or(String::new(), |inner| format!(", in `{inner}`"));
        // What transforms make is called elsewhere.
        let made = if ["grad", "vmap"].contains(&$op) { " made" } else { "" };
        assert_eq!(
            error.to_string(),
            format!(
                "`{}`{made} at {}:{}:{}{inner}: {text}",
                $op,
                at.file(),
                at.line(),
                at.column()
            )
        );
        error
    }};
}

trait Failure {
    fn error(self) -> Option<Error>;
}

impl Failure for Tensor {
    fn error(self) -> Option<Error> {
        self.check().err()
    }
}

impl Failure for Vec<Tensor> {
    fn error(self) -> Option<Error> {
        self.check().err()
    }
}

impl<T> Failure for Result<T> {
    fn error(self) -> Option<Error> {
        self.err()
    }
}

fn error_of(result: impl Failure) -> Error {
    result.error().expect("this must fail")
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(DType::F64, shape)
}

#[test]
fn unequal_shapes() {
    let (a, b) = (zeros(&[3, 4]), zeros(&[4]));
    fails!(
        &a + &b,
        "add",
        "shapes [3, 4] and [4] differ; elementwise operations take equal shapes or a scalar: lift \
         the function with vmap or each, or say .broadcast_to(shape), or .broadcast() for NumPy's rule"
    );
    fails!(
        zeros(&[2, 3]).matmul(&zeros(&[4, 5])),
        "matmul",
        "shapes [2, 3] and [4, 5] do not fit: axis 1 of the left has size 3, axis 0 of the right has size 4"
    );
    // What fails stays usable.
    assert!((&a + &a).check().is_ok());
}

#[test]
fn wrong_axes_and_ranks() {
    fails!(
        zeros(&[3, 4]).sum_axis(2),
        "sum_axis",
        "axis 2 is out of range for a tensor of rank 2 (axes are -2..2)"
    );
    fails!(
        zeros(&[]).sum_axis(0),
        "sum_axis",
        "axis 0 is out of range for a tensor of rank 0 (a scalar has no axes)"
    );
    fails!(zeros(&[3, 4]).sum_axis([0, -2]), "sum_axis", "axis 0 is given twice");
    fails!(
        zeros(&[3]).cholesky(),
        "cholesky",
        "expected a matrix (or a stack of them), got shape [3]"
    );
    fails!(zeros(&[3, 4]).cholesky(), "cholesky", "expected a square matrix, got shape [3, 4]");
    fails!(
        zeros(&[3, 4]).reshape([5]),
        "reshape",
        "shape [3, 4] of 12 elements cannot become [5] of 5 elements"
    );
    let x = zeros(&[3, 4]);
    fails!(
        x.to_array::<f64, Ix1>(),
        "to_array",
        "expected rank 1 (the array type's), got shape [3, 4]"
    );
}

#[test]
fn dtypes() {
    let (a, b) = (zeros(&[3]), Tensor::zeros(DType::F32, [3]));
    fails!(
        &a * &b,
        "mul",
        "dtypes f64 and f32 differ; nothing is converted silently: say .cast(DType::…)"
    );
    let i = Tensor::from([1i32, 2]);
    fails!(i.sin(), "sin", "not defined for i32, only for f32 and f64; .cast(DType::…) converts");
    fails!(a.item::<f64>(), "item", "expected exactly one element, got shape [3]");
    fails!(
        a.to_vec::<f32>(),
        "to_vec",
        "dtypes f64 and f32 differ; nothing is converted silently: say .cast(DType::…)"
    );
}

#[test]
fn indices_out_of_bounds() -> Result<()> {
    let x = zeros(&[3, 4]);
    fails!(
        x.at((0, 4)),
        "at",
        "index 4 is out of bounds for axis 1 of size 4; .at_clipped or .at_or(fill) say what else to do"
    );
    fails!(
        x.at(0),
        "at",
        "1 index for a tensor of shape [3, 4]; index every dimension, `..` takes a whole one"
    );
    // Indices known at run time only.
    let i = Tensor::from([1i64, 7]);
    fails!(
        each(|[k]| x.at((i.at(k), 0))),
        "at",
        "index 7 is out of bounds for axis 0 of size 3; .at_clipped or .at_or(fill) say what else to do"
    );
    let f = jit(|x: &Tensor, i: &Tensor| each(|[k]| x.at((i.at(k), 0))));
    let error = error_of(f.try_call((&x, &i)));
    assert!(
        matches!(error.kind(), ErrorKind::IndexOutOfBounds { index: 7, size: 3, .. }),
        "{error}"
    );
    assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
    // The compiled function is as usable as before.
    assert_eq!(f(&x, &Tensor::from([0i64, 2])).to_vec::<f64>()?, [0.0, 0.0]);
    assert_eq!(each(|[k]| x.at_or((i.at(k), 0), 5.0)).to_vec::<f64>()?, [0.0, 5.0]);
    Ok(())
}

/// Two indices that are tensors are refused, with a way out that works.
#[test]
fn pairs_of_index_tensors() -> Result<()> {
    let (i, j) = (Tensor::from([1i64, 0, 1]), Tensor::from([2i64, 3, 2]));
    let x = Tensor::iota(DType::F64, 12, 0).reshape([3, 4]);
    let v = Tensor::from([1.0, 2.0, 4.0]);
    fails!(
        x.at((&i, &j)),
        "at",
        "at most one index may be a tensor with axes, as it is a puzzle which axes of two would go \
         together: for pairs of positions say each(|[k]| x.at((i.at(k), j.at(k)))), for all \
         combinations take one axis after the other, x.at((&i, ..)).at((.., &j))"
    );
    let pairs = each(|[k]| x.at((i.at(k), j.at(k))));
    assert_eq!(pairs.to_vec::<f64>()?, [6.0, 3.0, 6.0]);
    let all = x.at((&i, ..)).at((.., &j));
    assert_eq!(all.to_vec::<f64>()?, [6.0, 7.0, 6.0, 2.0, 3.0, 2.0, 6.0, 7.0, 6.0]);
    fails!(
        x.add_at((&i, &j), &v),
        "add_at",
        "at most one index may be a tensor with axes, as it is a puzzle which axes of two would go \
         together: for pairs of positions number them, x.reshape([12]).add_at(&i * 4 + &j, v).reshape([3, 4])"
    );
    let added = x.reshape([12]).add_at(&i * 4 + &j, &v).reshape([3, 4]);
    let mut expected = x.to_vec::<f64>()?;
    expected[6] += 5.0;
    expected[3] += 2.0;
    assert_eq!(added.to_vec::<f64>()?, expected);
    let stack = Tensor::iota(DType::F64, 24, 0).reshape([2, 3, 4]);
    fails!(
        stack.set((1, &i, &j), &v),
        "set",
        "at most one index may be a tensor with axes, as it is a puzzle which axes of two would go \
         together: for pairs of positions number them, x.reshape([2, 12]).set((.., &i * 4 + &j), v).reshape([2, 3, 4])"
    );
    let both = Tensor::stack([&v, &v], 0);
    let set = stack.reshape([2, 12]).set((.., &i * 4 + &j), &both).reshape([2, 3, 4]);
    assert_eq!(set.at((1, 0, 3)).item::<f64>()?, 2.0);
    let set = stack.reshape([2, 12]).set((1, &i * 4 + &j), &v).reshape([2, 3, 4]);
    assert_eq!((set.at((0, 0, 3)).item::<f64>()?, set.at((1, 0, 3)).item::<f64>()?), (3.0, 2.0));
    // Axes that are not neighbours.
    let far = stack.max_at((&i.at(..1), 0, &j.at(..1)), 50.0).check().unwrap_err().clone();
    assert!(far.to_string().contains(".move_axis and .reshape"), "{far}");
    let near = stack.move_axis(2, 1).reshape([8, 3]).max_at((&i * 4 + &j, 0), 50.0);
    let near = near.reshape([2, 4, 3]).move_axis(1, 2);
    assert_eq!(near.shape(), [2, 3, 4]);
    assert_eq!(near.at((1, 0, 2)).item::<f64>()?, 50.0);
    Ok(())
}

#[test]
fn derivatives() {
    let x = zeros(&[3]);
    fails!(
        grad(|x: &Tensor| x.sin())(&x),
        "grad",
        "the function returns shape [3]; a gradient needs a scalar: reduce it (.sum(), .mean()), or use jacrev, jacfwd or vjp"
    );
    let i = Tensor::from([1i32, 2]);
    fails!(
        grad(|x: &Tensor| x.sum())(&i),
        "grad",
        "argument 0 has dtype i32; only f32 and f64 can be differentiated: .cast(DType::F64) converts"
    );
    fails!(
        grad(|x: &Tensor| x.argmax())(&x),
        "grad",
        "the result has dtype i64; only f32 and f64 can be differentiated: .cast(DType::F64) converts"
    );
    let half = Tensor::from(0.5);
    let error = error_of(grad(|a: &Tensor| half.betainc(a, &half))(&half));
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
}

#[test]
fn trees_that_differ() {
    type Pair = (Tensor, Vec<Tensor>);
    let f = |p: &Pair| (&p.0 * &p.1[0]).sum();
    let at = (zeros(&[3]), vec![zeros(&[3])]);
    let direction = (zeros(&[3]), vec![zeros(&[3]), zeros(&[3])]);
    let error = error_of(jvp(f).try_call((&at, &direction)));
    assert_eq!(error.op(), "jvp");
    assert!(matches!(error.kind(), ErrorKind::TreeMismatch { path, .. } if path == "1"), "{error}");
    let error = error_of(at.1.zip_map(&direction.1, |a, b| a + b));
    assert!(matches!(error.kind(), ErrorKind::TreeMismatch { .. }), "{error}");
}

#[test]
fn sizes_that_vmap_cannot_map() {
    let (a, b) = (zeros(&[5, 3]), zeros(&[4, 3]));
    let add = |a: &Tensor, b: &Tensor| a + b;
    fails!(
        vmap(add, 0)(&a, &b),
        "vmap",
        "mapped axes have different sizes: argument 0 (axis 0 of [5, 3]) has 5, argument 1 (axis 0 of [4, 3]) has 4"
    );
    fails!(
        vmap(add, (0, 2))(&a, &a),
        "vmap",
        "argument 1 of shape [5, 3]: axis 2 is out of range for a tensor of rank 2 (axes are -2..2)"
    );
    let error = error_of(vmap(add, (Shared, Shared))(&a, &a));
    assert_eq!(error.op(), "vmap", "{error}");
    let error = error_of(vmap(add, 0).out_axis(7)(&a, &a));
    assert!(matches!(error.kind(), ErrorKind::AxisOutOfRange { axis: 7, .. }), "{error}");
    // An error in the function itself names the user's line and the shapes of one example.
    let inner = |a: &Tensor, b: &Tensor| a + b;
    let error = error_of(vmap(inner, 0)(&a, &zeros(&[5, 4])));
    assert!(error.to_string().contains("shapes [3] and [4] differ"), "{error}");
    assert_eq!(error.op(), "add");
}

#[test]
fn singular_matrices() -> Result<()> {
    let singular = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
    let b = Tensor::from([1.0, 1.0]);
    fails!(
        singular.solve(&b),
        "solve",
        "the matrix is singular (an exact zero pivot); there is no unique solution"
    );
    fails!(
        singular.inv(),
        "inv",
        "the matrix is singular (an exact zero pivot); there is no unique solution"
    );
    // One singular system of a stack is NaN in its member; the others are solved.
    let stack = Tensor::stack(&[&Tensor::eye(DType::F64, 2), &singular], 0);
    let y = vmap(Tensor::solve, (0, Shared))(&stack, &b).to_vec::<f64>()?;
    assert_eq!(y[..2], [1.0, 1.0]);
    assert!(y[2].is_nan() && y[3].is_nan());
    Ok(())
}

#[test]
fn values_of_traced_tensors() {
    let x = zeros(&[]);
    let message = "a traced tensor has a shape but no value yet; inside a transform choose with select, cond, \
                   while_loop or scan, or take the value after the transform";
    let f = |x: &Tensor| match x.item::<f64>() {
        Ok(value) => Tensor::from(value),
        Err(error) => Tensor::error(error),
    };
    let error = error_of(grad(f)(&x));
    assert_eq!(error.kind().to_string(), message);
    assert_eq!(error.op(), "item");
    assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")));
    // A tensor that outlives its trace.
    let leaked = std::sync::Mutex::new(None);
    let keep = |x: &Tensor| {
        *leaked.lock().unwrap() = Some(x.clone());
        x.sum()
    };
    assert!(grad(keep)(&x).check().is_ok());
    let kept = leaked.lock().unwrap().take().unwrap();
    let error = error_of(&kept + 1.0);
    assert!(matches!(error.kind(), ErrorKind::EscapedTracer), "{error}");
}

#[test]
fn sizes_that_overflow() {
    let error = error_of(Tensor::zeros(DType::F64, [usize::MAX, 2]));
    assert!(matches!(error.kind(), ErrorKind::SizeOverflow { .. }), "{error}");
    assert!(error.to_string().contains("has more bytes than can be addressed"), "{error}");
    let n = 1usize << 31;
    // A constant takes no memory, whatever its shape; a product of two would.
    let x = Tensor::zeros(DType::F64, [n]);
    assert!(x.check().is_ok());
    let error = error_of(x.outer(&x));
    assert!(matches!(error.kind(), ErrorKind::SizeOverflow { .. }), "{error}");
}

#[test]
fn indices_of_each() {
    fails!(
        each(|[i]| Tensor::from(1.0) * i.value().tensor().cast(DType::F64)),
        "each",
        "index 0 of `each` indexes no axis, so it has no size; give sizes with each_to"
    );
    let (x, y) = (zeros(&[3]), zeros(&[4]));
    let error = error_of(each(|[i]| x.at(i) + y.at(i)));
    assert!(error.to_string().contains('3') && error.to_string().contains('4'), "{error}");
}

#[test]
fn errors_travel_through_what_follows() {
    let bad = zeros(&[3]) + zeros(&[4]);
    let later = vmap(|x: &Tensor| x.sin().sum(), 0)(&(bad.exp() * 2.0).reshape([3, 1]));
    let error = error_of(later);
    // The first failure is the one that is told.
    assert_eq!(error.op(), "add");
    let array: Result<Array2<f64>> = bad.to_array::<f64, Ix2>();
    assert_eq!(error_of(array).op(), "add");
    let array: Result<Array1<f64>> = bad.to_array::<f64, Ix1>();
    assert_eq!(error_of(array).op(), "add");
}

#[test]
fn literals_of_another_kind() {
    let i = Tensor::from([1i32, 2]);
    let error = error_of(&i * 0.5);
    assert_eq!(error.op(), "mul");
    assert!(error.to_string().contains("i32"), "{error}");
}

/// A function that is composed of others is named itself, with what failed inside of it.
#[test]
fn composed_functions_are_named() {
    let (v, m) = (zeros(&[3]), zeros(&[2, 3]));
    let name = |x: &Tensor| {
        let error = x.check().expect_err("this must fail");
        let at = error.location().unwrap_or_else(|| panic!("no place: {error}"));
        assert!(at.file().ends_with("errors.rs"), "{error}");
        (error.op(), error.inner_op())
    };
    let all: Vec<(&str, Option<&str>, Tensor)> = vec![
        ("hypot", None, v.hypot(&zeros(&[4]))),
        (
            "broadcast_all",
            Some("broadcast_to"),
            Tensor::broadcast_all(&[&v, &zeros(&[4])]).swap_remove(1),
        ),
        ("covariance", None, v.covariance()),
        ("correlation", Some("covariance"), m.at((0, ..)).correlation()),
        ("attention", Some("matmul"), m.attention(&zeros(&[2, 4]), &m)),
        ("logmeanexp", None, v.logmeanexp(1)),
        ("any_axis", None, zeros(&[3]).any_axis(0)),
        ("mt", None, v.mt()),
        ("top_k", None, v.top_k(1, 3).0),
        ("glu", None, v.glu(0)),
        ("split", None, v.split(5, 0).swap_remove(4)),
        ("bitand", None, &v & &v),
        ("take", None, v.take(&Tensor::from([7]), 0)),
        ("take_along_axis", None, v.take_along_axis(&Tensor::from([7]), 0)),
        ("at", None, v.at(Tensor::from([7]))),
        ("recip", None, Tensor::from([1]).recip()),
        ("sigmoid", None, Tensor::from([1]).sigmoid()),
        ("stack", None, Tensor::stack(&[&v, &m], 0)),
        ("einsum", None, Tensor::einsum("ij,jk", &[&m, &m])),
        ("lstsq", Some("matmul"), unloop::linalg::lstsq(&m, &v)),
        ("norm", None, unloop::linalg::norm(&zeros(&[1, 1, 1]), unloop::linalg::Norm::Euclidean)),
        ("fftn", None, unloop::fft::fftn(&unloop::Complex::from_real(&m), [0, 5]).re),
        ("fft", None, unloop::fft::fft(&unloop::Complex::from_real(&m), 5).re),
        ("mul", Some("convolve"), unloop::polynomial::mul(&m, &m)),
        ("choice", None, unloop::random::choice(&unloop::random::key(0), 0, 3)),
        ("uniform", None, unloop::random::uniform(&unloop::random::key(0), DType::I32, 3)),
        ("abs", Some("hypot"), unloop::Complex::new(v.clone(), m.clone()).abs()),
        ("mul", None, (unloop::Complex::from_real(&v) * unloop::Complex::from_real(&m)).re),
    ];
    for (op, inner, result) in &all {
        let found = name(result);
        assert_eq!(found.0, *op, "{result}");
        if inner.is_some() {
            assert_eq!(found.1, *inner, "{result}");
        }
    }
    // The standard library hides who calls `sum`.
    let error = error_of([v.clone(), m.clone()].into_iter().sum::<Tensor>());
    assert_eq!((error.op(), error.location()), ("sum", None), "{error}");
    // A transform around it knows its own.
    let total = |x: &Tensor| [x.clone(), m.clone()].into_iter().sum::<Tensor>();
    let error = error_of(vmap(total, 0)(&m));
    assert_eq!((error.op(), error.inner_op()), ("vmap", Some("sum")), "{error}");
    assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
    // What the iterator computes itself has its own line.
    let error = error_of((0..2).map(|_| &v + &m).sum::<Tensor>());
    assert_eq!(error.op(), "add");
    assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
}

/// One mistake is one kind of error, whichever function it is made with.
#[test]
fn mistakes_have_one_kind_each() {
    let (v, m) = (zeros(&[3]), zeros(&[2, 3]));
    let (z, scalar) = (unloop::Complex::from_real(&m), zeros(&[]));
    let kind = |name: &str, x: &Tensor| {
        let error = x.check().expect_err("this must fail");
        assert_eq!(error.op(), name, "{error}");
        let at = error.location().unwrap_or_else(|| panic!("no place: {error}"));
        assert!(at.file().ends_with("errors.rs"), "{error}");
        error.kind().clone()
    };
    use unloop::fft::*;
    for (name, result) in [
        ("fft", fft(&z, 2).re),
        ("ifft", ifft(&z, -3).re),
        ("rfft", rfft(&m, 2).re),
        ("irfft", irfft(&z, 4, 2)),
        ("hfft", hfft(&z, 4, 2)),
        ("ihfft", ihfft(&m, 2).re),
        ("fftn", fftn(&z, [0, 2]).re),
        ("irfftn", irfftn(&z, 4, [0, 2])),
        ("fftshift", fftshift(&m, 2)),
        ("ifftshift", ifftshift(&m, [0, 2])),
        ("flip", m.flip(2)),
    ] {
        let kind = kind(name, &result);
        assert!(matches!(kind, ErrorKind::AxisOutOfRange { .. }), "{name}: {kind}");
    }
    for (name, result) in [
        ("covariance", v.covariance()),
        ("correlation", v.correlation()),
        ("convolve", v.convolve(&scalar)),
        ("convolve", m.convolve(&v)),
        ("correlate", v.correlate(&m)),
    ] {
        let kind = kind(name, &result);
        assert!(matches!(kind, ErrorKind::WrongRank { .. }), "{name}: {kind}");
    }
    let w = zeros(&[4]);
    for (name, result) in [
        ("floor_div", v.floor_div(&w)),
        ("modulo", v.modulo(&w)),
        ("heaviside", v.heaviside(&w)),
        ("heaviside", v.heaviside(&m)),
        ("kl_div", v.kl_div(&w)),
        ("ldexp", v.ldexp(Tensor::from([1, 2]))),
        ("is_close", v.is_close(&w, 0.0, 0.0)),
        ("huber", unloop::nn::huber(&v, &w, 1.0)),
        ("add", &v + &w),
    ] {
        let kind = kind(name, &result);
        assert!(matches!(kind, ErrorKind::ShapeMismatch { .. }), "{name}: {kind}");
    }
    for (name, result) in [
        ("jacrev", jacrev(|x: &Tensor| x.sin()).chunks(0)(&v)),
        ("jacfwd", jacfwd(|x: &Tensor| x.sin()).chunks(0)(&v)),
        ("hessian", hessian(|x: &Tensor| x.sin().sum()).chunks(0)(&v)),
    ] {
        let kind = kind(name, &result);
        assert!(matches!(kind, ErrorKind::InvalidArgument(_)), "{name}: {kind}");
    }
    let vector = |x: &Tensor| x.sin();
    for (name, result) in [
        ("grad", grad(vector)(&v)),
        ("hessian", hessian(vector)(&v)),
        ("hessian_tree", unloop::hessian_tree(vector)(&v).swap_remove(0)),
        ("hvp", unloop::hvp(vector)(&v, &v)),
    ] {
        let kind = kind(name, &result);
        assert!(matches!(kind, ErrorKind::NonScalar { .. }), "{name}: {kind}");
    }
    let error = error_of(m.to_array::<f64, Ix1>());
    assert_eq!((error.op(), error.inner_op()), ("to_array", None), "{error}");
    let error = error_of(Tensor::from([1, 2]).round_to(1));
    assert_eq!((error.op(), error.inner_op()), ("round_to", None), "{error}");
}

/// Names and lines outlive tracing, transforms and compilation.
#[test]
fn composed_functions_are_named_in_transforms() {
    let x = zeros(&[4, 3]);
    let pick = |x: &Tensor| x.take(&Tensor::from([7]), 0).sum();
    let jitted = jit(pick);
    let batched = vmap(pick, 0);
    let slope = grad(pick);
    let row = zeros(&[3]);
    for (what, error) in [
        ("jit", error_of(jitted(&row))),
        ("vmap", error_of(batched(&x))),
        ("grad", error_of(slope(&row))),
        ("jit of vmap of grad", error_of(jit(vmap(grad(pick), 0))(&x))),
    ] {
        assert_eq!(error.op(), "take", "{what}: {error}");
        assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
    }
    // A function called inside of another one keeps the name of the outer one.
    let gelu = vmap(|x: &Tensor| x.hypot(&zeros(&[5])), 0);
    let error = error_of(gelu(&x));
    assert_eq!((error.op(), error.inner_op()), ("hypot", None), "{error}");
}

/// Errors of arguments say where a transform made the function, and where `try_call` called it.
#[test]
fn makers_and_callers() {
    let (a, b) = (zeros(&[5, 3]), zeros(&[4, 3]));
    let lifted = vmap(|a: &Tensor, b: &Tensor| a + b, 0);
    let made = line!() - 1;
    let error = error_of(lifted.try_call((&a, &b)));
    let called = line!() - 1;
    let lines = |e: &Error| [e.location(), e.called_at()].map(|at| at.map(|at| at.line()));
    assert_eq!(lines(&error), [Some(made), Some(called)], "{error}");
    let at = |line: u32| format!("at {}:{line}:", file!());
    let text = error.to_string();
    assert!(text.starts_with(&format!("`vmap` made {}", at(made))), "{text}");
    assert!(text.contains(&format!(", called {}", at(called))), "{text}");
    // A plain call hides its line.
    assert_eq!(lines(&error_of(lifted(&a, &b))), [Some(made), None]);
    // What prints programs is called, too; what is inside of a compiled function keeps its maker.
    let error = error_of(jit(&lifted).try_call((&a, &b)));
    assert_eq!(lines(&error), [Some(made), Some(line!() - 1)], "{error}");
    let error = lifted.graph((&a, &b)).unwrap_err();
    assert_eq!(lines(&error), [Some(made), Some(line!() - 1)], "{error}");
    let error = jit(&lifted).plan((&a, &b)).err().unwrap();
    assert_eq!(lines(&error), [Some(made), Some(line!() - 1)], "{error}");
    // An operation inside of the function has a line of its own, and is enough.
    let error = error_of(vmap(|a: &Tensor| a + zeros(&[7]), 0).try_call((&a,)));
    assert_eq!((error.op(), lines(&error)), ("add", [Some(line!() - 1), None]), "{error}");
    // An error that an argument carries is its own.
    let carried = &a + &b;
    let error = error_of(vmap(|a: &Tensor| a.sin(), 0).try_call((&carried,)));
    assert_eq!((error.op(), lines(&error)), ("add", [Some(line!() - 2), None]), "{error}");
}

/// Transforms that are made of others have their own names.
#[test]
fn derivatives_are_named() {
    let x = zeros(&[3]);
    let (f, pair) = (|x: &Tensor| x.sin(), |x: &Tensor| (x.sin(), x.clone()));
    let wrong: Vec<(&str, Tensor)> = vec![
        ("grad", grad(f)(&x)),
        ("value_and_grad", value_and_grad(f)(&x).1),
        ("grad_with_aux", unloop::grad_with_aux(pair)(&x).0),
        ("value_and_grad_with_aux", unloop::value_and_grad_with_aux(pair)(&x).1),
        ("hvp", unloop::hvp(f)(&x, &x)),
        ("hessian", hessian(f)(&x)),
        ("hessian", hessian(f).chunks(2)(&x)),
        ("hessian_tree", unloop::hessian_tree(f)(&x).swap_remove(0)),
        ("hvp", unloop::hvp(|x: &Tensor| x.sum())(&x, &zeros(&[4]))),
        ("hessian", hessian(|x: &Tensor| x.sum())(&Tensor::from([1]))),
        ("jacfwd", jacfwd(|x: &Tensor| x.argmax())(&x)),
        ("jacrev", jacrev(|x: &Tensor| x.argmax())(&x)),
        ("jacrev", jacrev(|x: &Tensor| x.clone()).chunks(0)(&x)),
        ("jacfwd", jacfwd(Tensor::cholesky)(&x)),
        ("jacfwd_tree", unloop::jacfwd_tree(|x: &Tensor| x.argmax())(&x).swap_remove(0)),
        ("jacrev_tree", unloop::jacrev_tree(|x: &Tensor| x.argmax())(&x).swap_remove(0)),
        ("jvp", jvp(f)(&x, &zeros(&[4])).1),
        ("vjp", vjp(f)(&x).1(&zeros(&[4]))),
        ("linearize", unloop::linearize(f)(&x).1(&zeros(&[4]))),
        ("linear_transpose", unloop::linear_transpose(|x: &Tensor| x * 2.0, &x)(&zeros(&[4]))),
    ];
    let here = line!();
    for (name, result) in &wrong {
        let error = result.check().expect_err(name).clone();
        assert_eq!(error.op(), *name, "{error}");
        let at = error.location().unwrap_or_else(|| panic!("no place: {error}"));
        assert!(at.file().ends_with("errors.rs") && at.line().abs_diff(here) < 30, "{error}");
        assert!(error.to_string().starts_with(&format!("`{name}` made at ")), "{error}");
    }
}

/// A library refuses arguments as unloop does.
#[test]
fn errors_of_ones_own() -> Result<()> {
    #[track_caller]
    fn density(x: &Tensor, rate: f64) -> Tensor {
        match rate > 0.0 {
            true => (x * -rate).exp() * rate,
            false => {
                let message = format!("the rate must be positive, but is {rate}");
                Tensor::error(Error::invalid("density", message))
            }
        }
    }
    #[track_caller]
    fn checked(x: &Tensor, rate: f64) -> Result<Tensor> {
        let x = x.check()?;
        match x.rank() {
            1 => Ok(density(x, rate)),
            _ => Err(Error::invalid("checked", "x must be a vector")),
        }
    }
    let x = Tensor::from([1.0, 2.0]);
    fails!(density(&x, -1.0), "density", "the rate must be positive, but is -1");
    fails!(checked(&x.sum(), 1.0), "checked", "x must be a vector");
    assert!(checked(&x, 1.0)?.check().is_ok());
    // Inside of transforms as outside; what follows passes it on.
    for result in [
        vmap(|x: &Tensor| density(x, 0.0), 0)(&x),
        jit(|x: &Tensor| density(x, 0.0).exp())(&x),
        grad(|x: &Tensor| density(x, 0.0).sum())(&x),
        vmap(grad(|x: &Tensor| density(x, 0.0)), 0)(&x),
        scan(|c: &Tensor, x: &Tensor| (c + density(x, 0.0), c.clone()), &x.sum(), &x).0,
    ] {
        let error = error_of(result);
        assert_eq!((error.op(), error.inner_op(), error.called_at()), ("density", None, None));
        assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
        assert!(error.kind().to_string().contains("must be positive"), "{error}");
    }
    Ok(())
}

/// The standard library calls what is passed by its name, and hides the user's line: errors point at the
/// transform that it was given to.
#[test]
fn functions_that_are_passed_by_name() {
    let (a, b) = (zeros(&[3, 5, 5]), zeros(&[3, 4]));
    let message =
        "the right-hand side must have as many rows as the matrix, and the same leading axes";
    let of_one = "shapes [5, 5] and [4, 1] do not fit: ".to_string() + message;
    let lifted = vmap(Tensor::solve, (0, 0));
    let line = line!() - 1;
    for error in [
        error_of(lifted.try_call((&a, &b))),
        // A compiled function passes on what the transform inside of it says.
        error_of(jit(&lifted).try_call((&a, &b))),
    ] {
        assert_eq!((error.op(), error.inner_op()), ("vmap", Some("solve")), "{error}");
        assert_eq!(error.location().map(|at| at.line()), Some(line), "{error}");
        assert_eq!(error.kind().to_string(), of_one);
    }
    let compiled = jit(Tensor::solve);
    let line = line!() - 1;
    let error = error_of(compiled.try_call((&a, &b)));
    assert_eq!((error.op(), error.inner_op()), ("jit", Some("solve")), "{error}");
    assert_eq!(error.location().map(|at| at.line()), Some(line), "{error}");
    assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
}

/// What a user's own code refuses, under transforms that turn it into a loop.
#[test]
fn host_calls_are_named() {
    use std::sync::Arc;
    use unloop::op::HostOp;
    use unloop::{Array, Shape, TensorType, host_call};

    #[derive(Debug)]
    struct Root;
    impl HostOp for Root {
        fn name(&self) -> &'static str {
            "careful_root"
        }
        fn infer(&self, x: &[TensorType]) -> Result<Vec<TensorType>, String> {
            match x[0].rank() {
                0 => Ok(x.to_vec()),
                _ => Err("takes a scalar".into()),
            }
        }
        fn evaluate(&self, x: &[Array]) -> Result<Vec<Array>, String> {
            match x[0].to_vec::<f64>().unwrap_or_default()[..] {
                [x] if x >= 0.0 => Ok(vec![Array::new(Shape::from(()), vec![x.sqrt()])]),
                _ => Err("takes a positive number".into()),
            }
        }
    }
    let op: Arc<dyn HostOp> = Arc::new(Root);
    let root = |x: &Tensor| host_call(&op, &[x]).swap_remove(0);
    let (wrong, stack) = (Tensor::from(-1.0), Tensor::from([1.0, -1.0]));
    for (what, error) in [
        ("shapes", error_of(root(&stack))),
        ("values", error_of(root(&wrong))),
        ("vmap", error_of(vmap(root, 0)(&stack))),
        ("jit of vmap", error_of(jit(vmap(root, 0))(&stack))),
        ("vmap, shapes", error_of(vmap(root, 0)(&zeros(&[2, 2])))),
    ] {
        assert_eq!(error.op(), "careful_root", "{what}: {error}");
        assert!(error.location().is_some_and(|at| at.file().ends_with("errors.rs")), "{error}");
        assert!(error.to_string().contains("takes a"), "{what}: {error}");
    }
}
