//! The CPU backend is there without being named.

#[test]
fn the_backend_installs_itself() {
    // The first to install itself stays, and that was before `main`.
    assert!(!unloop::__install_cpu());
}
