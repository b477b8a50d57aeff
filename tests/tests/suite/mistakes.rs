//! What the compiler says of likely mistakes: it names the cause and the way out.
//!
//! Each file of `mistakes/` is a small crate. Without `--cfg right` it does not compile, with one error
//! (or as many as `//#` says), which says what the lines that begin with `//~` have; with it, it compiles:
//! that is the way out. The texts are those that the library gives to the compiler, or words of the
//! compiler's that say what is wrong; how it sets them, and what else it says, is its own affair and differs
//! between versions.
//!
//! The files are checked against the library that this test is linked with, so that nothing is built
//! twice, as it would be with a crate that builds a project of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// The folder of the libraries that this test is linked with, and the newest `unloop` in it.
fn library() -> (PathBuf, PathBuf) {
    let deps = std::env::current_exe().expect("a path").parent().expect("a folder").to_path_buf();
    let entries = fs::read_dir(&deps).expect("a folder").flatten();
    let libraries = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libunloop-") && name.ends_with(".rlib")
    });
    let age = |entry: &fs::DirEntry| entry.metadata().and_then(|m| m.modified()).ok();
    let newest = libraries.max_by_key(age).expect("the library is built before its tests");
    (deps, newest.path())
}

/// The errors of a file, each with its notes and labels.
fn errors(file: &Path, is_right: bool, (deps, library): &(PathBuf, PathBuf)) -> Vec<Vec<String>> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition=2024", "--crate-type=lib", "--crate-name=mistake", "--emit=metadata"]);
    rustc.args(["--error-format=json", "--cap-lints=allow"]).arg(file);
    let name = format!("{}-{is_right}.rmeta", file.file_stem().unwrap_or_default().display());
    rustc.arg("-o").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    rustc.arg("-L").arg(format!("dependency={}", deps.display()));
    rustc.arg("--extern").arg(format!("unloop={}", library.display()));
    if is_right {
        rustc.args(["--cfg", "right"]);
    }
    let output = rustc.output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = messages.filter(|m| m["level"] == "error" && !m["code"].is_null());
    let texts = |error: Value| {
        let lists = [&error["children"], &error["spans"]].map(|list| list.as_array().cloned());
        let parts = lists.into_iter().flatten().flatten();
        let parts = parts.flat_map(|part| [part["message"].clone(), part["label"].clone()]);
        let all = std::iter::once(error["message"].clone()).chain(parts);
        all.filter_map(|text| text.as_str().map(str::to_string)).collect()
    };
    let errors: Vec<Vec<String>> = errors.map(texts).collect();
    assert_eq!(errors.is_empty(), output.status.success(), "{}: {text}", file.display());
    errors
}

#[test]
fn mistakes_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mistakes");
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() >= 20, "only {} files", files.len());
    let (library, next) = (library(), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    let check = |file: &Path| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(file).expect("a file");
        let expected: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        assert!(!expected.is_empty(), "{name} expects nothing");
        let errors = errors(file, false, &library);
        let first = errors.first().cloned().unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("//# ")?.parse().ok());
        if errors.len() != count.unwrap_or(1) {
            failures.lock().unwrap().push(format!("{name}: {} errors: {errors:#?}", errors.len()));
        }
        let missing =
            expected.iter().filter(|line| !first.iter().any(|text| text.contains(**line)));
        for line in missing {
            failures.lock().unwrap().push(format!("{name}: {line:?} is not in {first:#?}"));
        }
        let errors = self::errors(file, true, &library);
        if !errors.is_empty() {
            failures.lock().unwrap().push(format!("{name}: the way out is none: {errors:#?}"));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(file);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
