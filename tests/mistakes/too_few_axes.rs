//~ closure is expected to take 1 argument, but it takes 2 arguments

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (0,));
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor, y: &Tensor| x + y, (0, 0));
    drop(f);
}
