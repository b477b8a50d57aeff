//! Function transforms of unloop: vmap, grad, jvp, vjp, each
