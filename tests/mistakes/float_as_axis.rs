//~ does not name axes
//~ axes are an integer, or an array

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = x().sum_axis(1.0);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = x().sum_axis(1);
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
