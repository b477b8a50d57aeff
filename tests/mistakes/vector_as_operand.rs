//~ does not go with a tensor in arithmetic and comparisons
//~ `Tensor::from(…)` makes a tensor of an array, a vector or an ndarray

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = x() + vec![1.0, 2.0];
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = x() + Tensor::from(vec![1.0, 2.0]);
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
