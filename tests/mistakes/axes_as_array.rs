//~ does not say which axis of each argument `vmap` maps
//~ a tuple has one entry an argument

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, [0, 1]);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (0, 1));
    drop(f);
}
