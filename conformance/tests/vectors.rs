//! The part of the vectors that the repository keeps, compiled and plain.

use std::path::Path;

use unloop_conformance::{Archive, Mode, Outcome, check, read_manifest};

fn run(mode: Mode) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let (mut passed, mut failures) = (0, Vec::new());
    for case in read_manifest(&directory).unwrap() {
        let mut archive = Archive::open(&directory.join(format!("{}.npz", case.group))).unwrap();
        for (part, outcome) in check(&case, &mut archive, mode).unwrap() {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(what) => failures.push(format!("{} {part:?}: {what}", case.name)),
                Outcome::Unsupported(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    // Most of the vectors are not skipped.
    assert!(passed > 1500, "{passed}");
}

#[test]
fn compiled_programs_compute_what_jax_computes() {
    run(Mode::Compiled);
}

#[test]
fn plain_programs_compute_what_jax_computes() {
    run(Mode::Plain);
}
