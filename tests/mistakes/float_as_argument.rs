//~ `f64` is not a tree of tensors
//~ a number that is differentiated, mapped or returned is a tensor

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = grad(|x: &f64| Tensor::from(x * x));
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = grad(|x: &Tensor| x * x);
    drop(f);
}
