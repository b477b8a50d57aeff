//! Tensors, operations, traced graphs and the reference evaluator of unloop
