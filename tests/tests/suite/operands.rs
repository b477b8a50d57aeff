//! Operands: numbers and tensors alike go with tensors, and functions of tensors go to transforms.

use unloop::prelude::*;
use unloop::{Complex, ErrorKind, Operand, Result, random};

fn close(x: &Tensor, expected: &[f64]) -> Result<()> {
    let x = x.cast(DType::F64).to_vec::<f64>()?;
    assert_eq!(x.len(), expected.len());
    for (x, y) in x.iter().zip(expected) {
        assert!((x - y).abs() < 1e-6, "{x} is not {y}");
    }
    Ok(())
}

#[test]
fn comparisons_and_choices_take_numbers() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::from([-2.0, 0.5, 3.0]).cast(dtype);
        close(&x.greater(0.0).select(&x, 0.0), &[0.0, 0.5, 3.0])?;
        close(&x.greater(0).select(1.0, 0), &[0.0, 1.0, 1.0])?;
        close(&x.clamp(-1.0, 1.0), &[-1.0, 0.5, 1.0])?;
        close(&x.maximum(0.0), &[0.0, 0.5, 3.0])?;
        close(&x.minimum(1), &[-2.0, 0.5, 1.0])?;
        close(&x.pow(2.0), &[4.0, 0.25, 9.0])?;
        close(&x.hypot(1.0f32), &[5f64.sqrt(), 1.25f64.sqrt(), 10f64.sqrt()])?;
        close(&x.floor_div(2.0), &[-1.0, 0.0, 1.0])?;
        close(&x.modulo(2usize), &[0.0, 0.5, 1.0])?;
        close(&x.heaviside(0.5), &[0.0, 1.0, 1.0])?;
        close(&x.is_close(3.0, 1e-9, 0.0), &[0.0, 0.0, 1.0])?;
        close(&x.set(0, 7).add_at(1, 1.5).max_at(2, 9), &[7.0, 2.0, 9.0])?;
        close(&x.pad(&[(1, 1)], 4), &[4.0, -2.0, 0.5, 3.0, 4.0])?;
        // The number has the tensor's dtype, and so has the result.
        for y in
            [x.maximum(0.0), x.pow(2), x.clamp(0.1, 1), x.greater(0).select(&x, 0.1), &x * 3usize]
        {
            assert_eq!(y.dtype(), dtype);
        }
    }
    let counts = Tensor::from([4u32, 7]);
    close(&counts.gcd(6), &[2.0, 1.0])?;
    close(&counts.shift_left(1u64), &[8.0, 14.0])?;
    close(&counts.equal(7i64).logical_or(false), &[0.0, 1.0])?;
    close(&(counts.equal(7) & true), &[0.0, 1.0])?;
    Ok(())
}

#[test]
fn numbers_take_no_other_dtype_silently() {
    let x = Tensor::from([1, 2]);
    let kind = |x: &Tensor| x.check().unwrap_err().kind().clone();
    let mismatch = ErrorKind::DTypeMismatch { left: DType::I32, right: DType::F64 };
    assert_eq!(kind(&x.maximum(0.5)), mismatch);
    assert_eq!(kind(&(&x + 0.5)), mismatch);
    assert_eq!(
        kind(&x.equal(true)),
        ErrorKind::DTypeMismatch { left: DType::I32, right: DType::Bool }
    );
    for error in [x.maximum(5_000_000_000u64), &x * 5_000_000_000usize, x.cast(DType::U32) - (-1)] {
        let error = error.check().unwrap_err().clone();
        assert!(error.to_string().contains("is not one of"), "{error}");
        assert_eq!(error.location().unwrap().file(), file!());
    }
    // Without a tensor numbers are what they are.
    let mask = Tensor::from([true, false]);
    assert_eq!(mask.select(1.0, 0).dtype(), DType::F64);
    assert_eq!(mask.select(1.0f32, 0).dtype(), DType::F32);
    assert_eq!(mask.select(1, 0).dtype(), DType::I32);
    assert_eq!(mask.select(1usize, 0usize).dtype(), DType::I64);
    // Errors are those of the function that was called, at its line.
    let error = x.pow(0.5).check().unwrap_err().clone();
    assert_eq!((error.op(), error.location().unwrap().line()), ("pow", line!() - 1));
}

#[test]
fn paths_of_functions_go_to_transforms() -> Result<()> {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let y = Tensor::from([[2.0, 1.0], [4.0, 3.0]]);
    close(&vmap(Tensor::maximum, (0, 0))(&x, &y), &[2.0, 2.0, 4.0, 4.0])?;
    close(&vmap(Tensor::pow, 0)(&x, &y), &[1.0, 2.0, 81.0, 64.0])?;
    close(&jit(Tensor::hypot)(&x, &y), &[5f64.sqrt(), 5f64.sqrt(), 5.0, 5.0])?;
    let clamp = jit(vmap(Tensor::clamp, (0, Shared, 1)));
    close(&clamp(&x, &Tensor::from(1.5), &y), &[1.5, 2.0, 1.0, 3.0])?;
    let choose = vmap(Tensor::select, (0, 0, Shared));
    close(&choose(&x.greater(&y), &x, &Tensor::from(0.0)), &[0.0, 2.0, 0.0, 4.0])?;
    let slope = grad(|x: &Tensor| x.maximum(2.0).sum());
    close(&slope(&x), &[0.0, 0.5, 1.0, 1.0])?;
    let largest = [1.0, 5.0, 3.0].map(Tensor::from).into_iter().reduce(|a, b| a.maximum(b));
    close(&largest.unwrap(), &[5.0])?;
    let f: fn(&Tensor, &Tensor) -> Tensor = Tensor::atan2;
    close(&f(&Tensor::from(0.0), &Tensor::from(1.0)), &[0.0])
}

#[test]
fn functions_of_operands_are_generic() -> Result<()> {
    fn twice_as_large(x: &Tensor, bound: impl Operand) -> Tensor {
        (x * 2).greater(bound)
    }
    let x = Tensor::from([1.0, 2.0]);
    close(&twice_as_large(&x, 3), &[0.0, 1.0])?;
    close(&twice_as_large(&x, &x), &[1.0, 1.0])?;
    close(&twice_as_large(&x, Tensor::from(3.5)), &[0.0, 1.0])
}

#[test]
fn every_function_takes_broadcast() -> Result<()> {
    let x = Tensor::from([[1.0, 5.0], [3.0, 4.0]]);
    let row = Tensor::from([2.0, 4.5]);
    close(&x.greater(row.broadcast()), &[0.0, 1.0, 1.0, 0.0])?;
    close(&x.maximum(row.broadcast()), &[2.0, 5.0, 3.0, 4.5])?;
    close(&x.greater(2.0).select(&x, row.broadcast()), &[2.0, 5.0, 3.0, 4.0])?;
    close(&x.set((.., ..), row.broadcast()), &[2.0, 4.5, 2.0, 4.5])?;
    close(&(row.broadcast() * 2.0), &[4.0, 9.0])?;
    close(&(2.0 - row.broadcast()), &[0.0, -2.5])?;
    assert!(x.maximum(Tensor::from([1.0, 2.0, 3.0]).broadcast()).check().is_err());
    Ok(())
}

#[test]
fn assignments_and_sums() -> Result<()> {
    let mut x = Tensor::from([1.0f32, 2.0]);
    x += 1;
    x *= &Tensor::from([2.0f32, 3.0]);
    x -= 0.5;
    x /= Tensor::from(0.5f32);
    x %= 10usize;
    close(&x, &[7.0, 7.0])?;
    let mut mask = Tensor::from([true, false]);
    mask |= Tensor::from([false, true]);
    mask &= Tensor::from([true, false]);
    mask ^= true;
    close(&mask, &[0.0, 1.0])?;
    let all = [1.0, 2.0, 4.0].map(Tensor::from);
    assert_eq!(all.iter().sum::<Tensor>().item::<f64>()?, 7.0);
    assert_eq!(all.iter().product::<Tensor>().item::<f64>()?, 8.0);
    assert_eq!(all.into_iter().product::<Tensor>().item::<f64>()?, 8.0);
    assert_eq!(Vec::<Tensor>::new().into_iter().product::<Tensor>().item::<f64>()?, 1.0);
    // Assignment in a loop that is traced.
    let power = jit(|x: &Tensor| {
        let mut y = x.clone();
        for _ in 0..3 {
            y *= x;
        }
        y
    });
    close(&power(&Tensor::from(2.0)), &[16.0])?;
    let mut wrong = Tensor::from([1.0, 2.0]);
    wrong += Tensor::from([1.0, 2.0, 3.0]);
    let error = wrong.check().unwrap_err().clone();
    assert_eq!((error.op(), error.location().unwrap().line()), ("add", line!() - 2));
    Ok(())
}

#[test]
fn indices_of_each_are_operands() -> Result<()> {
    let x = Tensor::from([3.0f32, 0.5, 2.5]);
    close(&each(|[i]| x.at(i).maximum(i.value())), &[3.0, 1.0, 2.5])?;
    close(&each(|[i]| x.at(i) * i.value()), &[0.0, 0.5, 5.0])
}

#[test]
fn distributions_and_complex_numbers_take_numbers() -> Result<()> {
    let key = random::key(3);
    let x = random::uniform_between(&key, -1, 2.5, 100);
    assert_eq!((x.dtype(), x.shape()), (DType::F64, &[100][..]));
    let x = x.to_vec::<f64>()?;
    assert!(x.iter().all(|x| (-1.0..2.5).contains(x)));
    let few = random::poisson(&key, 4.0f32, 10);
    assert_eq!(
        few.to_vec::<i32>()?,
        random::poisson(&key, &Tensor::from(4.0f32), 10).to_vec::<i32>()?
    );
    // The number has the dtype of the tensor beside it.
    let scale = Tensor::from(2.0f32);
    assert_eq!(random::beta(&key, 0.5, scale, 3).dtype(), DType::F32);
    let z = Complex::from_polar(2, &Tensor::from([0.0, std::f64::consts::PI]));
    close(&z.re, &[2.0, -2.0])
}

#[test]
fn names_of_rust_and_numpy() -> Result<()> {
    let x = Tensor::from([[1.0, 4.0], [9.0, 16.0]]);
    close(&x.ln().exp(), &[1.0, 4.0, 9.0, 16.0])?;
    close(&x.powf(0.5), &[1.0, 2.0, 3.0, 4.0])?;
    close(&vmap(Tensor::powf, (0, Shared))(&x, &Tensor::from(0.5)), &[1.0, 2.0, 3.0, 4.0])?;
    close(&x.ravel(), &[1.0, 4.0, 9.0, 16.0])?;
    let sums = x.segment_sum(&Tensor::from([1, 1]), 3);
    close(&sums, &[0.0, 0.0, 10.0, 20.0, 0.0, 0.0])?;
    assert!(x.segment_sum(&Tensor::from([1, 3]), 3).check().is_err());
    assert!(x.segment_sum(&Tensor::from([1, 1, 1]), 3).check().is_err());
    assert!(Tensor::from(1.0).segment_sum(&Tensor::from(0), 3).check().is_err());
    let rows = [x.at((0, ..)), x.at((1, ..))];
    close(&Tensor::stack(&rows, 0), &[1.0, 4.0, 9.0, 16.0])?;
    let [a, b] = rows;
    close(&Tensor::stack([&b, &a], 0), &[9.0, 16.0, 1.0, 4.0])?;
    close(&Tensor::concatenate(vec![b, a], 0), &[9.0, 16.0, 1.0, 4.0])
}
