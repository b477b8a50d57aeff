//# 2
//~ `Rc<f64>` cannot be sent between threads safely

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let rate = std::rc::Rc::new(0.5);
    let f = jit(move |x: &Tensor| x * *rate);
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let rate = std::sync::Arc::new(0.5);
    let f = jit(move |x: &Tensor| x * *rate);
    drop(f);
}
