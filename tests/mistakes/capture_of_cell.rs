//~ `Cell<f64>` cannot be shared between threads safely

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let rate = std::cell::Cell::new(0.5);
    let f = jit(|x: &Tensor| x * rate.get());
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let rate = std::sync::Mutex::new(0.5);
    let f = jit(|x: &Tensor| x * *rate.lock().unwrap());
    drop(f);
}
