//! Programs of 100,000 operations: no step of the road recurses over them.

use unloop::Result;
use unloop::prelude::*;

const LENGTH: usize = 100_000;

fn chain(x: &Tensor) -> Tensor {
    (0..LENGTH).fold(x.clone(), |y, i| if i % 2 == 0 { y * 0.999 } else { y + 0.001 })
}

/// What the chain does to a number, and its slope.
fn expected(mut x: f64) -> (f64, f64) {
    let mut slope = 1.0;
    for i in 0..LENGTH {
        if i % 2 == 0 {
            x *= 0.999;
            slope *= 0.999;
        } else {
            x += 0.001;
        }
    }
    (x, slope)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (a.abs() + b.abs())
}

/// A long chain whose values do not underflow.
fn oscillation(x: &Tensor) -> Tensor {
    (0..LENGTH).fold(x.clone(), |y, i| if i % 2 == 0 { -y } else { y + 1e-5 })
}

#[test]
fn long_chains_run() -> Result<()> {
    let x = Tensor::from(0.5);
    let y: f64 = jit(chain)(&x).item()?;
    assert!(near(y, expected(0.5).0));
    let graph = jit(chain).graph((&x,))?;
    assert!(graph.nodes().len() >= LENGTH);
    assert!(graph.to_string().lines().count() > LENGTH);
    assert_eq!(graph, graph.clone());
    drop(graph);
    Ok(())
}

#[test]
fn long_chains_are_transformed() -> Result<()> {
    let x = Tensor::from([0.5, 2.0, -1.0]);
    let y = vmap(chain, 0)(&x).to_vec::<f64>()?;
    assert!(y.iter().zip([0.5, 2.0, -1.0]).all(|(y, x)| near(*y, expected(x).0)));
    let slope: f64 = grad(oscillation)(&Tensor::from(0.5)).item()?;
    assert_eq!(slope, 1.0);
    let slopes = jit(vmap(grad(oscillation), 0))(&x).to_vec::<f64>()?;
    assert_eq!(slopes, [1.0; 3]);
    let (_, tangent) = jvp(oscillation)(&Tensor::from(0.5), &Tensor::from(2.0));
    assert_eq!(tangent.item::<f64>()?, 2.0);
    Ok(())
}

#[test]
fn long_chains_of_concrete_tensors_are_computed_at_once() -> Result<()> {
    let y: f64 = chain(&Tensor::from(0.5)).item()?;
    assert!(near(y, expected(0.5).0));
    Ok(())
}

#[test]
fn values_read_in_many_ways_are_computed_once() -> Result<()> {
    // Computed anew for each way in which it is read, this would take 2⁶⁰ additions.
    let f = |x: &Tensor| (0..60).fold(x.clone(), |y, _| (&y + y.flip(&[0])) * 0.5);
    let y = jit(f)(&Tensor::from([1.0, 2.0, 6.0])).to_vec::<f64>()?;
    assert_eq!(y, [3.5, 2.0, 3.5]);
    Ok(())
}
