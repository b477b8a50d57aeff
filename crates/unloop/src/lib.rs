//! Function transforms for ndarrays: vmap, grad and jit. Write it for one example; unloop runs it for all of them
