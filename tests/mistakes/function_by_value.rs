//~ transforms take functions of references to tensors, or to other trees, with annotated types

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(by_value, 0);
    fn by_value(x: Tensor) -> Tensor {
        x
    }
    f.graph((&x(),)).ok();
}

#[cfg(right)]
pub fn case() {
    let f = vmap(by_reference, 0);
    fn by_reference(x: &Tensor) -> Tensor {
        x.clone()
    }
    f.graph((&x(),)).ok();
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
