//~ transforms take functions of references to tensors, or to other trees, with annotated types
//~ instead of a pair of references two parameters

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|(x, y): (&Tensor, &Tensor)| x + y);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|x: &Tensor, y: &Tensor| x + y);
    drop(f);
}
