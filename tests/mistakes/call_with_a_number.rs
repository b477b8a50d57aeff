//~ is not a tree of tensors

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case(x: &Tensor) -> Tensor {
    let f = jit(|x: &Tensor, n: &usize| x * *n);
    f(x, &3)
}

#[cfg(right)]
pub fn case(x: &Tensor) -> Tensor {
    let n = 3;
    let f = jit(|x: &Tensor| x * n);
    f(x)
}
