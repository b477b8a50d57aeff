//~ transforms take functions of references to tensors, or to other trees, with annotated types
//~ instead of a slice a `&Vec<Tensor>`

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|xs: &[Tensor]| xs[0].sin());
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|xs: &Vec<Tensor>| xs[0].sin());
    drop(f);
}
