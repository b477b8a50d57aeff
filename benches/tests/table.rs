//! Every public function has a line in the sweep beside its peers, or a reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use unloop_tests::functions::functions;

/// The signatures that the table of peers names: keys of dictionaries, one a line.
fn named() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/table");
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let texts = files.filter(|path| path.extension().is_some_and(|end| end == "py"));
    let key = |line: &str| Some(line.strip_prefix("    \"")?.split_once("\": ")?.0.to_string());
    texts
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().filter_map(key).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_function_has_a_line_or_a_reason() {
    let named = named();
    let known: BTreeSet<String> = functions().iter().map(|f| f.signature()).collect();
    assert_eq!(known.len(), functions().len(), "two functions have one signature");
    let unique: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(unique.len(), named.len(), "a function has two lines of the table");
    let missing: Vec<&String> = known.difference(&unique).collect();
    assert!(missing.is_empty(), "functions without peers and without a reason: {missing:?}");
    let unknown: Vec<&String> = unique.difference(&known).collect();
    assert!(unknown.is_empty(), "no such functions: {unknown:?}");
}
