//! From and to ndarray, scalars and vectors, in every layout and rank.

use ndarray::{Array0, Array2, Array3, ArrayD, Ix2, Ix3, IxDyn, ShapeBuilder, array, s};
use unloop::Result;
use unloop::prelude::*;

#[test]
fn owned_arrays_move_without_a_copy() -> Result<()> {
    let a = Array3::from_shape_fn((4, 5, 6), |(i, j, k)| (i * 30 + j * 6 + k) as f32);
    let (copy, address) = (a.clone(), a.as_ptr());
    let t = Tensor::from(a);
    assert_eq!(t.as_slice::<f32>().map(<[f32]>::as_ptr), Some(address));
    let back: Array3<f32> = t.into_array()?;
    assert_eq!(back.as_ptr(), address);
    assert_eq!(back, copy);
    // A result that nobody else holds moves out, too.
    let doubled: Array3<f32> = (Tensor::from(copy.clone()) * 2.0).into_array()?;
    assert_eq!(doubled, copy * 2.0);
    Ok(())
}

#[test]
fn views_and_other_layouts_keep_their_values() -> Result<()> {
    let a = Array2::from_shape_fn((6, 8), |(i, j)| (10 * i + j) as f64);
    let slice = a.slice(s![1..6;2, ..;-3]);
    assert_eq!(Tensor::from(slice).to_array::<f64, Ix2>()?, slice);
    assert_eq!(Tensor::from(a.t()).to_array::<f64, Ix2>()?, a.t());
    let fortran = Array2::from_shape_fn((3, 4).f(), |(i, j)| (10 * i + j) as f64);
    let t = Tensor::from(fortran.clone());
    assert_eq!(t.to_array::<f64, Ix2>()?, fortran);
    assert_eq!((&t + 1.0).to_array::<f64, Ix2>()?, &fortran + 1.0);
    let wide = array![[1.0, 2.0]];
    let repeated = wide.broadcast((3, 2)).unwrap();
    assert_eq!(Tensor::from(repeated).to_array::<f64, Ix2>()?, repeated);
    Ok(())
}

#[test]
fn every_rank() -> Result<()> {
    let scalar = Array0::from_elem((), 3i64);
    assert_eq!(Tensor::from(scalar).item::<i64>()?, 3);
    let many = ArrayD::from_shape_fn(IxDyn(&[2, 1, 3, 1, 2, 1, 2]), |i| i[2] as i32);
    let t = Tensor::from(many.clone());
    assert_eq!(t.shape(), [2, 1, 3, 1, 2, 1, 2]);
    assert_eq!(t.to_array::<i32, IxDyn>()?, many);
    let empty = Array3::<u32>::zeros((2, 0, 3));
    assert_eq!(Tensor::from(empty.clone()).to_array::<u32, Ix3>()?, empty);
    Ok(())
}

#[test]
fn scalars_vectors_and_nested_arrays() -> Result<()> {
    assert_eq!(Tensor::from(2.5).item::<f64>()?, 2.5);
    assert!(Tensor::from(true).item::<bool>()?);
    assert_eq!(Tensor::from(vec![1u32, 2]).to_vec::<u32>()?, [1, 2]);
    assert_eq!(Tensor::from([[1.0, 2.0], [3.0, 4.0]]).shape(), [2, 2]);
    assert_eq!(Tensor::from([[[1i64], [2]]]).shape(), [1, 2, 1]);
    Ok(())
}

#[test]
fn constructors() -> Result<()> {
    assert_eq!(Tensor::arange(0i32, 10, 3).to_vec::<i32>()?, [0, 3, 6, 9]);
    assert_eq!(Tensor::linspace(0.0, 1.0, 5).to_vec::<f64>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    let eye: Array2<f32> = Tensor::eye(DType::F32, 3).to_array()?;
    assert_eq!(eye, Array2::<f32>::eye(3));
    let table = Tensor::from_fn([2, 3], |i| (i[0] * 10 + i[1]) as i64);
    assert_eq!(table.to_vec::<i64>()?, [0, 1, 2, 10, 11, 12]);
    // A constant takes no memory: this one would take eight terabytes.
    let huge = Tensor::full([1 << 20, 1 << 20], 2.0);
    assert_eq!(huge.at((5, 7)).item::<f64>()?, 2.0);
    assert_eq!(huge.t().at((.., 3)).shape(), [1 << 20]);
    // So does what is computed of constants.
    let computed = (&huge * 3.0).sqrt().greater(&huge.ones_like());
    assert!(computed.at((1 << 19, 9)).item::<bool>()?);
    Ok(())
}

#[test]
fn tensors_are_shared_among_threads() -> Result<()> {
    fn is_send_and_sync<T: Send + Sync + Clone>(_: &T) {}
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let f = jit(grad(|x: &Tensor| x.square().sum()));
    is_send_and_sync(&x);
    is_send_and_sync(&f);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(f(&x).to_vec::<f64>().unwrap(), [2.0, 4.0, 6.0]));
        }
    });
    Ok(())
}
