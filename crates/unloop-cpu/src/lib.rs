//! The CPU backend of unloop: plans, SIMD tiles, linear algebra
