//~ transforms take functions of references to tensors, or to other trees, with annotated types
//~ not a function of one to eight references

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|| Tensor::from(1.0));
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|x: &Tensor| x.clone());
    drop(f);
}
