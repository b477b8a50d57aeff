//! The Tree derive macro of unloop
