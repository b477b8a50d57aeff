//~ does not index a tensor
//~ an index is an integer, a range of integers

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = x().at(1.5);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = x().at(1);
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
