//~ is not an axis that `vmap` maps
//~ an axis is an integer, or `Shared` for an argument that all examples have in common

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (0, None));
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (0, Shared));
    drop(f);
}
