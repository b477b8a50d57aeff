//! Kernel IR of unloop and the fusion of graphs into kernels
