//! Cholesky factors that there are not, and norms at the origin.

use unloop::prelude::*;
use unloop::{ErrorKind, Result, check_grads};
use unloop_tests::assert_close;

/// A positive definite matrix, and one that is not, far from it, in its last pivot.
fn matrices(dtype: DType, n: usize) -> [Tensor; 2] {
    let (i, j) = (Tensor::iota(dtype, (n, n), 0), Tensor::iota(dtype, (n, n), 1));
    let near = (-(i - j).abs() * 0.5).exp();
    let last = Tensor::iota(dtype, n, 0).equal(&Tensor::from(n as f64 - 1.0).cast(dtype));
    let indefinite = &near - last.cast(dtype).diag(0) * 2.0;
    [near, indefinite]
}

#[test]
fn a_matrix_without_a_factor_is_an_error() {
    for dtype in [DType::F32, DType::F64] {
        for n in [1, 2, 5, 30, 80] {
            let [good, bad] = matrices(dtype, n);
            let zero = Tensor::zeros(dtype, (n, n));
            assert_close(&good.try_cholesky(), &good.cholesky(), "the same factor");
            let compiled = jit(|a: &Tensor| a.try_cholesky().sum());
            assert_close(&compiled(&good), &good.cholesky().sum(), "the same factor, compiled");
            for bad in [&bad, &zero, &(&good * f64::NAN)] {
                for (how, x) in [("alone", bad.try_cholesky()), ("compiled", compiled(bad))] {
                    let error = x.check().cloned().expect_err(how);
                    assert_eq!(*error.kind(), ErrorKind::NotPositiveDefinite, "{how} {n} {dtype}");
                    assert_eq!(error.op(), "try_cholesky");
                    assert!(error.location().is_some_and(|at| at.file().ends_with("factors.rs")));
                }
                assert!(bad.cholesky().is_nan().all().item::<bool>().is_ok_and(|nan| nan));
            }
        }
    }
    assert!(Tensor::zeros(DType::F64, (0, 0)).try_cholesky().check().is_ok());
}

#[test]
fn members_of_a_stack_fail_on_their_own() -> Result<()> {
    for n in [1, 3, 30, 70] {
        for count in [2, 9, 40] {
            let pair = matrices(DType::F64, n);
            let members: Vec<&Tensor> =
                (0..count).map(|i| &pair[usize::from(i % 3 == 1)]).collect();
            let stack = Tensor::stack(&members, 0);
            let expected: Vec<bool> = (0..count).map(|i| i % 3 != 1).collect();
            assert_eq!(stack.is_positive_definite().to_vec::<bool>()?, expected);
            let each = vmap(|a: &Tensor| (a.try_cholesky(), a.is_positive_definite()), 0);
            for (l, is_definite) in [each(&stack), jit(&*each)(&stack)] {
                assert_eq!(is_definite.to_vec::<bool>()?, expected, "{n} {count}");
                let is_nan = l.is_nan();
                let (all, any) = (is_nan.all_axis(vec![1, 2]), is_nan.any_axis(vec![1, 2]));
                let failed: Vec<bool> = expected.iter().map(|&is| !is).collect();
                assert_eq!(all.to_vec::<bool>()?, failed, "{n} {count}");
                assert_eq!(any.to_vec::<bool>()?, failed, "{n} {count}");
            }
        }
    }
    Ok(())
}

#[test]
fn derivatives_of_a_checked_factor() {
    let [good, bad] = matrices(DType::F64, 4);
    let f = |a: &Tensor| a.try_cholesky().sin().sum();
    assert!(check_grads(f, (&good,), 2).is_ok());
    let error = grad(f)(&bad).check().cloned().expect_err("no factor");
    assert_eq!(*error.kind(), ErrorKind::NotPositiveDefinite);
    let shape = Tensor::zeros(DType::F64, (2, 3)).try_cholesky();
    assert_eq!(shape.check().cloned().expect_err("no square").op(), "try_cholesky");
    let whole = Tensor::from([[1, 0], [0, 1]]).is_positive_definite();
    assert_eq!(whole.check().cloned().expect_err("no floats").op(), "is_positive_definite");
}

#[test]
fn the_safe_norm_has_derivatives_at_the_origin() -> Result<()> {
    let points = Tensor::from([[3.0, -4.0], [0.0, 0.0], [1e-200, 0.0]]);
    let norms = points.safe_norm_axis(1);
    assert_close(&norms, &points.norm_axis(1), "the same norms");
    assert_close(&points.safe_norm_keep(1), &points.norm_keep(1), "the same norms, kept");
    assert_close(&points.safe_norm(), &points.norm(), "the norm of all");
    let slopes = vmap(grad(Tensor::safe_norm), 0);
    for slopes in [slopes(&points), jit(&*slopes)(&points)] {
        let expected = Tensor::from([[0.6, -0.8], [0.0, 0.0]]);
        assert_close(&slopes.at((0..2, ..)), &expected, "slopes");
    }
    let origin = Tensor::zeros(DType::F32, 3);
    assert_eq!(grad(Tensor::safe_norm)(&origin).to_vec::<f32>()?, [0.0; 3]);
    assert_eq!(hessian(Tensor::safe_norm)(&origin).to_vec::<f32>()?, [0.0; 9]);
    assert!(grad(Tensor::norm)(&origin).to_vec::<f32>()?.iter().all(|x| x.is_nan()));
    assert!(check_grads(Tensor::safe_norm, (&points.at((0, ..)),), 2).is_ok());
    Ok(())
}
