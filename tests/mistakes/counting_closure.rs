//~ expected a closure that implements the `Fn` trait, but this closure only implements `FnMut`

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let mut calls = 0;
    let f = jit(|x: &Tensor| {
        calls += 1;
        x * calls
    });
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|x: &Tensor| x * 1);
    drop(f);
}
