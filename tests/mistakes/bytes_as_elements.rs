//~ `u8` is not the type of a tensor's elements
//~ other numbers are converted before

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = x().to_vec::<u8>();
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = x().to_vec::<f64>();
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
