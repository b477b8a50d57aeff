//! Programs drawn from bytes, whose results are compared in every mode.

use unloop_tests::fuzz::Target;

mod drawn;

#[test]
fn programs() {
    drawn::fuzz(Target::Programs, 40);
}
