//~ `f64` is not a tree of tensors
//~ a number that is differentiated, mapped or returned is a tensor

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|x: &Tensor| x.sum().item::<f64>().unwrap());
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|x: &Tensor| x.sum());
    drop(f);
}
