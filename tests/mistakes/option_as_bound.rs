//~ does not go with a tensor in arithmetic and comparisons

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = x().clamp(0.0, None);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = x().maximum(0.0);
    drop(f);
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
