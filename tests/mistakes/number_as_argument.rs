//~ `usize` is not a tree of tensors
//~ numbers and settings are captured by the closure

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|x: &Tensor, n: &usize| x * *n);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let n: usize = 3;
    let f = jit(move |x: &Tensor| x * n);
    drop(f);
}
