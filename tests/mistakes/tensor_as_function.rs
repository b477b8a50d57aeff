//~ transforms take functions of references to tensors, or to other trees, with annotated types

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(x(), 0);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor| x.sin(), 0);
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
