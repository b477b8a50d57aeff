//~ type annotations needed

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|x| x.sin());
    f(&x());
}

#[cfg(right)]
pub fn case() {
    let f = jit(|x: &Tensor| x.sin());
    f(&x());
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
