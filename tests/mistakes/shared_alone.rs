//~ does not say which axis of each argument `vmap` maps
//~ `(0,)` for a single one

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, Shared);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (Shared, 0));
    drop(f);
}
