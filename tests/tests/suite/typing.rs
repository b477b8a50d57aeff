//! What functions, axes, indices and values may be: of many types, where one of them is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ndarray::{Array2, ArrayView2, Axis, Ix2, array};
use unloop::prelude::*;
use unloop::{Complex, Result};

fn values(x: &Tensor) -> Vec<f64> {
    x.cast(DType::F64).to_vec().expect("a value")
}

fn count() -> Tensor {
    Tensor::iota(DType::F64, 24, 0).reshape((2, 3, 4))
}

#[test]
fn axes_are_integers_of_any_type_and_lists() -> Result<()> {
    let x = count();
    for sum in [
        x.sum_axis([0, -1]),
        x.sum_axis([0isize, 2]),
        x.sum_axis(&[0usize, 2]),
        x.sum_axis(&[0i64, 2][..]),
        x.sum_axis(vec![0u32, 2]),
        x.sum_axis(&vec![0, 2]),
        x.sum_axis((0, 2usize)),
    ] {
        assert_eq!(values(&sum), [60.0, 92.0, 124.0]);
    }
    assert_eq!(x.sum_axis(1..3).shape(), [2]);
    assert_eq!(x.sum_axis(0..x.rank() - 1).shape(), [4]);
    assert_eq!(x.sum_axis(-2..=-1).shape(), [2]);
    let last: usize = 2;
    assert_eq!(values(&x.sum_axis(last)), values(&x.sum_axis(-1i64)));
    assert_eq!(values(&x.cumsum(last)), values(&x.cumsum(-1)));
    assert_eq!(values(&x.flip(last)), values(&x.flip(&[-1])));
    assert_eq!(x.permute((2, 0, 1)).shape(), x.permute(&[-1, 0, 1]).shape());
    assert_eq!(Tensor::stack(&[&x, &x], last).shape(), [2, 3, 2, 4]);
    assert_eq!(x.expand_dims(last).squeeze(2u32).shape(), x.shape());
    // Axes that no tensor has.
    assert!(x.sum_axis(usize::MAX).check().is_err());
    assert!(x.sum_axis(0..usize::MAX).check().is_err());
    assert!(x.sum_axis(u64::MAX).check().is_err());
    let row: usize = 1;
    let each_row = vmap(|x: &Tensor| x.sum(), row).out_axis(0usize)(&count().at((0, .., ..)));
    assert_eq!(each_row.shape(), [4]);
    let pair = vmap(|(a, b): &(Tensor, Tensor), c: &Tensor| a * b + c, ((0usize, Shared), 0i64));
    let (v, one) = (Tensor::from([1.0, 2.0]), Tensor::from(3.0));
    assert_eq!(values(&pair(&(v.clone(), one), &v)), [4.0, 8.0]);
    Ok(())
}

#[test]
fn indices_are_integers_and_ranges_of_any_type_and_lists() -> Result<()> {
    let x = count();
    let part = values(&x.at((1, 0..2, ..)));
    assert_eq!(values(&x.at((1usize, 0usize..2, 0..=3))), part);
    assert_eq!(values(&x.at((1u32, 0i64..2, 0u64..))), part);
    assert_eq!(values(&x.at((-1isize, ..=1usize, ..4u32))), part);
    assert_eq!(values(&x.at([1, 2, 3])), [23.0]);
    assert_eq!(values(&x.at(&[1usize, 2, 3])), [23.0]);
    assert_eq!(values(&x.at(vec![1i64, 2, -1])), [23.0]);
    let index: Vec<usize> = x.shape().iter().map(|n| n - 1).collect();
    assert_eq!(values(&x.at(&index[..])), [23.0]);
    let n: usize = 4;
    assert_eq!(values(&x.at((0, 0, strided(0..n, 2)))), [0.0, 2.0]);
    assert_eq!(values(&x.at((0, 0, strided(.., 3)))), [0.0, 3.0]);
    assert!(x.at((0, 0, u64::MAX)).check().is_err());
    assert!(x.at([0, 0]).check().is_err());
    Ok(())
}

static NORM: LazyLock<Jit<'static, (Tensor, Tensor), Tensor>> =
    LazyLock::new(|| jit(Tensor::hypot));

struct Model {
    step: Jit<'static, (Tensor,), Tensor>,
}

#[test]
fn compiled_functions_are_kept_anywhere() -> Result<()> {
    let (x, y) = (Tensor::from(3.0), Tensor::from(4.0));
    assert_eq!(NORM(&x, &y).item::<f64>()?, 5.0);
    let rate = 0.5;
    let model = Model { step: jit(move |x: &Tensor| x - x * rate) };
    assert_eq!((model.step)(&y).item::<f64>()?, 2.0);
    std::thread::scope(|scope| {
        let threads = [0; 3].map(|_| scope.spawn(|| (NORM(&x, &y), (model.step)(&x))));
        for thread in threads {
            let (norm, half) = thread.join().expect("no panic");
            assert_eq!((values(&norm), values(&half)), (vec![5.0], vec![1.5]));
        }
    });
    // All of them used one program.
    assert_eq!((NORM.compilations(), model.step.compilations()), (1, 1));
    Ok(())
}

#[test]
fn callables_go_where_functions_do() -> Result<()> {
    fn apply(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
        f(x)
    }
    fn apply_dyn(f: &dyn Fn(&Tensor, &Tensor) -> Tensor, x: &Tensor) -> Tensor {
        f(x, x)
    }
    fn kept(
        f: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Box<dyn Fn(&Tensor) -> Tensor> {
        Box::new(f)
    }
    let x = Tensor::from([1.0, 2.0]);
    let double = jit(|x: &Tensor| x * 2.0);
    assert_eq!(values(&apply(&*double, &x)), [2.0, 4.0]);
    assert_eq!(values(&apply(double.clone().into_fn(), &x)), [2.0, 4.0]);
    assert_eq!(values(&kept(double.clone().into_fn())(&x)), [2.0, 4.0]);
    assert_eq!(values(&apply_dyn(&*vmap(Tensor::maximum, 0), &x)), [1.0, 2.0]);
    assert_eq!(values(&apply_dyn(&vmap(Tensor::maximum, 0).into_fn(), &x)), [1.0, 2.0]);
    // What takes functions takes callables by reference, and they are still there.
    let slope = grad(|x: &Tensor| x.square().sum());
    assert_eq!(values(&vmap(&slope, 0)(&x)), [2.0, 4.0]);
    assert_eq!(values(&jit(&slope)(&x)), [2.0, 4.0]);
    assert_eq!(values(&slope(&x)), [2.0, 4.0]);
    let rows = [&x, &x].into_iter().map(slope.into_fn()).collect::<Vec<_>>();
    assert_eq!(values(&rows[1]), [2.0, 4.0]);
    Ok(())
}

#[test]
fn programs_are_counted_and_dropped() -> Result<()> {
    let sum = jit(|x: &Tensor| x.sum()).capacity(2);
    let x = |n: usize| Tensor::ones(DType::F64, n);
    for n in [1, 2, 1, 2, 1] {
        sum(&x(n)).check()?;
    }
    assert_eq!(sum.compilations(), 2);
    assert!(sum.explain((&x(1),))?.notes.is_empty());
    // The third one drops that of size 2, which was used before that of size 1.
    sum(&x(3)).check()?;
    sum(&x(1)).check()?;
    assert_eq!(sum.compilations(), 3);
    sum(&x(2)).check()?;
    assert_eq!(sum.compilations(), 4);
    let text = sum.explain((&x(1),))?.to_string();
    assert!(text.contains("compiled 4 times") && text.contains("2 of its programs"), "{text}");
    // Without room for any, each call compiles.
    let none = jit(|x: &Tensor| x.sum()).capacity(0);
    assert_eq!(values(&(none(&x(2)) + none(&x(2)))), [4.0]);
    assert_eq!(none.compilations(), 2);
    Ok(())
}

#[test]
fn tensors_of_tensors() -> Result<()> {
    let angle = Tensor::from(0.5f32);
    let (s, c) = (angle.sin(), angle.cos());
    let turn = tensor![[c, -&s, 0.0], [s, c, 0], [0, 0, 1]];
    assert_eq!((turn.dtype(), turn.shape()), (DType::F32, &[3, 3][..]));
    let square = values(&turn.matmul(&turn.t()));
    assert!(
        (0..9).all(|i| (square[i] - f64::from(u8::from(i % 4 == 0))).abs() < 1e-6),
        "{square:?}"
    );
    // Numbers and scalars take the shape of the tensors beside them.
    let v = Tensor::from([1.0, 2.0]);
    assert_eq!(values(&tensor![v, 0, Tensor::from(7.0)]), [1.0, 2.0, 0.0, 0.0, 7.0, 7.0]);
    assert_eq!(tensor![[v, v], [v, 1.0], [v, v]].shape(), [3, 2, 2]);
    assert_eq!(
        values(&tensor![[v.at(0) + 1.0, 2.0,], [3.0, [v.at(1), v.at(0)].len() as f64],]),
        [2.0, 2.0, 3.0, 2.0]
    );
    assert_eq!(tensor![1, 2].dtype(), DType::I32);
    assert_eq!(tensor![1, 2.0].dtype(), DType::F64);
    assert_eq!(tensor![true, false].dtype(), DType::Bool);
    // Derivatives and batches go through.
    let area = |v: &Tensor| {
        let [x, y] = v.unstack_array();
        tensor![[x, 1.0], [2.0, y]].det()
    };
    assert_eq!(values(&grad(area)(&Tensor::from([3.0, 5.0]))), [5.0, 3.0]);
    assert_eq!(values(&vmap(area, 0)(&Tensor::from([[3.0, 5.0], [1.0, 2.0]]))), [13.0, 0.0]);
    // Wrong ones say so, at their line.
    let ragged = tensor![[1.0, 2.0], [3.0]].check().unwrap_err().clone();
    assert_eq!((ragged.op(), ragged.location().unwrap().line()), ("tensor!", line!() - 1));
    assert!(tensor![].check().is_err());
    assert!(tensor![v, Tensor::from([1.0, 2.0, 3.0])].check().is_err());
    assert!(tensor![v, Tensor::from([1.0f32, 2.0])].check().is_err());
    assert!(tensor![Tensor::from([1, 2]), 0.5].check().is_err());
    assert!(tensor![v.clone() + Tensor::from([1.0, 2.0, 3.0]), 0.5].check().is_err());
    Ok(())
}

#[test]
fn tensors_from_tensors_and_back() -> Result<()> {
    let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    assert_eq!(values(&Tensor::from([&x, &y])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&Tensor::from(vec![x.clone(), y.clone()])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(Tensor::from(&[x.clone(), y.clone(), y.clone()][..]).shape(), [3, 2]);
    assert_eq!(Tensor::from([[x.clone(), y.clone()], [y.clone(), x.clone()]]).shape(), [2, 2, 2]);
    assert_eq!(Tensor::from([[&x], [&y]]).shape(), [2, 1, 2]);
    let wrong = Tensor::from([x.clone(), Tensor::from(1.0)]).check().unwrap_err().clone();
    assert_eq!(wrong.location().unwrap().line(), line!() - 1);

    let [a, b] = Tensor::from([x.clone(), y]).unstack_array();
    assert_eq!((values(&a), values(&b)), (vec![1.0, 2.0], vec![3.0, 4.0]));
    let few: [Tensor; 3] = x.unstack_array();
    for entry in few {
        let error = entry.check().unwrap_err().clone();
        assert_eq!((error.op(), error.location().unwrap().line()), ("unstack_array", line!() - 3));
        assert!(error.to_string().contains("3 entries of shape [2]"), "{error}");
    }
    let [none] = Tensor::from(1.0).unstack_array();
    assert!(none.check().is_err());
    // Any tree has entries along axis 0.
    let tree = (x.clone(), vec![Tensor::from([[1.0, 2.0], [3.0, 4.0]])]);
    let [(p, q), (r, _)] = tree.unstack_array();
    assert_eq!((values(&p), values(&q[0]), values(&r)), (vec![1.0], vec![1.0, 2.0], vec![2.0]));
    let [z, _] = Complex::new(&x, &x).unstack_array();
    assert_eq!(z.im.item::<f64>()?, 1.0);
    let map = BTreeMap::from([("x".to_string(), x)]);
    let wrong: [_; 3] = map.unstack_array();
    assert!(wrong[0].check().is_err());
    Ok(())
}

#[test]
fn values_of_any_container() -> Result<()> {
    let vec = vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    let slice: &[f32] = &vec;
    for x in
        [Tensor::from(&vec), Tensor::from(slice), Tensor::from(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])]
    {
        assert_eq!((x.dtype(), values(&x)), (DType::F32, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }
    let view = ArrayView2::from_shape((2, 3), slice).unwrap();
    assert_eq!(Tensor::from(view.t()).to_array::<f32, Ix2>()?, view.t());
    assert_eq!(Tensor::from(view).as_slice::<f32>(), Some(slice));
    // An owned array is moved, in whatever order its axes are.
    let whole: Array2<f64> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let at = whole.as_ptr();
    let moved = Tensor::from(whole.clone().reversed_axes());
    assert_eq!(moved.to_array::<f64, Ix2>()?, whole.t());
    let moved = Tensor::from(whole.reversed_axes()).t();
    assert_eq!(moved.as_slice::<f64>().map(<[f64]>::as_ptr), Some(at));
    let cube = ndarray::Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as f64);
    let turned = cube.clone().permuted_axes([1, 2, 0]);
    assert_eq!(Tensor::from(turned.clone()).to_array::<f64, ndarray::Ix3>()?, turned);
    let mut backwards = cube.clone();
    backwards.invert_axis(Axis(1));
    assert_eq!(Tensor::from(backwards.clone()).to_array::<f64, ndarray::Ix3>()?, backwards);
    let empty = Array2::<f64>::zeros((0, 3)).reversed_axes();
    assert_eq!(Tensor::from(empty).shape(), [3, 0]);
    Ok(())
}

#[test]
fn complex_numbers_go_with_numbers() -> Result<()> {
    let z = Complex::new(Tensor::from([1.0f32, 2.0]), Tensor::from([3.0f32, -1.0]));
    let parts = |z: &Complex| (values(&z.re), values(&z.im));
    assert_eq!(parts(&(&z + 1)), (vec![2.0, 3.0], vec![3.0, -1.0]));
    assert_eq!(parts(&(1.5 - &z)), (vec![0.5, -0.5], vec![-3.0, 1.0]));
    assert_eq!(parts(&(&z - Tensor::from([1.0f32, 2.0]))), (vec![0.0, 0.0], vec![3.0, -1.0]));
    assert_eq!(parts(&(2 * &z * 0.5)), parts(&z));
    assert_eq!(parts(&(&z * Tensor::from([2.0f32, 0.0]))), (vec![2.0, 0.0], vec![6.0, 0.0]));
    let (re, im) = parts(&(5.0 / &z));
    assert!((re[0] - 0.5).abs() < 1e-6 && (im[0] + 1.5).abs() < 1e-6 && (re[1] - 2.0).abs() < 1e-6);
    // A scalar takes the shape of a tensor that it meets.
    let i = Complex::new(0.0f32, 1.0f32);
    assert_eq!(parts(&(&i + Tensor::from([1.0f32, 2.0]))), (vec![1.0, 2.0], vec![1.0, 1.0]));
    assert_eq!(parts(&(Tensor::from([1.0f32, 2.0]) * &i)), (vec![0.0, 0.0], vec![1.0, 2.0]));
    assert_eq!(parts(&(Tensor::from([1.0f32, 2.0]) / i)), (vec![0.0, 0.0], vec![-1.0, -2.0]));
    Ok(())
}
