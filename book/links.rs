//! Every link within the book, of the README and of CONTRIBUTING leads somewhere, to its heading if it names one,
//! and every chapter is in the summary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The text of a page without its code.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut is_code = false;
    let is_prose = |line: &&str| {
        is_code ^= line.starts_with("```");
        !is_code
    };
    text.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
}

/// The targets of links and pictures.
fn targets(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next().map(str::to_string)).collect()
}

/// The anchors of headings, as mdBook and its peers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = |c: char| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        };
        Some(title.chars().filter_map(kept).collect())
    };
    text.lines().filter_map(heading).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the book") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![root.join("../README.md"), root.join("../CONTRIBUTING.md")];
    pages(&root.join("src"), &mut all);
    let mut broken = Vec::new();
    for page in &all {
        for target in targets(&prose(page)) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.clone(),
                file => plain(&page.parent().expect("a folder").join(file)),
            };
            let is_there =
                path.exists() && (anchor.is_empty() || anchors(&prose(&path)).contains(anchor));
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn chapters_are_in_the_summary() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let listed = targets(&prose(&source.join("SUMMARY.md")));
    let mut all = Vec::new();
    pages(&source, &mut all);
    // The summary itself, and the table that a chapter includes.
    let others = ["SUMMARY.md", "peers.md"];
    for page in all {
        let name = page.strip_prefix(&source).expect("inside").display().to_string();
        assert!(listed.contains(&name) || others.contains(&name.as_str()), "{name} is not listed");
    }
}
