//! `unloop-conformance DIR [--group G] [--json FILE] [--reference] [--plain] [--rewriting off|exact|reassociating] [--verbose]`: runs the
//! vectors of a directory and prints a table, one row a group.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use unloop_graph::backend::{Rewriting, by_reference};

use unloop_conformance::{Archive, Case, Mode, Outcome, Part, check, read_manifest};

const USAGE: &str = "usage: unloop-conformance DIR [--group G] [--json FILE] [--reference] [--plain] [--rewriting off|exact|reassociating] [--verbose]";

struct Options {
    directory: PathBuf,
    group: Option<String>,
    json: Option<PathBuf>,
    mode: Mode,
    reference: bool,
    verbose: bool,
}

fn rewriting(name: &str) -> Result<Rewriting, String> {
    match name {
        "off" => Ok(Rewriting::Off),
        "exact" => Ok(Rewriting::Exact),
        "reassociating" => Ok(Rewriting::Reassociating),
        other => Err(format!("no rewriting {other}; there are off, exact and reassociating")),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut directory = None;
    let (mut group, mut json, mut mode) = (None, None, Mode::Compiled);
    let (mut reference, mut verbose) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--group" => group = Some(value()?),
            "--json" => json = Some(PathBuf::from(value()?)),
            "--reference" => reference = true,
            "--plain" => mode = Mode::Plain,
            "--rewriting" => unloop_graph::backend::set_rewriting(rewriting(&value()?)?),
            "--verbose" => verbose = true,
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}\n{USAGE}").into());
            }
            path => directory = Some(PathBuf::from(path)),
        }
    }
    let directory = directory.ok_or(USAGE)?;
    Ok(Options { directory, group, json, mode, reference, verbose })
}

/// Passed, failed and unsupported.
#[derive(Clone, Copy, Default)]
struct Count([usize; 3]);

#[derive(Default)]
struct Row {
    cases: usize,
    parts: BTreeMap<Part, Count>,
}

impl Row {
    fn add(&mut self, part: Part, outcome: &Outcome) {
        let kind = match outcome {
            Outcome::Passed => 0,
            Outcome::Failed(_) => 1,
            Outcome::Unsupported(_) => 2,
        };
        self.parts.entry(part).or_default().0[kind] += 1;
    }

    fn total(&self, kind: usize) -> usize {
        self.parts.values().map(|count| count.0[kind]).sum()
    }

    fn cell(&self, part: Part) -> String {
        match self.parts.get(&part) {
            Some(Count(n)) => format!("{}/{}", n[0], n.iter().sum::<usize>()),
            None => "-".into(),
        }
    }
}

fn report(case: &Case, part: Part, outcome: &Outcome) {
    let (word, what) = match outcome {
        Outcome::Passed => return,
        Outcome::Failed(what) => ("failed", what),
        Outcome::Unsupported(what) => ("unsupported", what),
    };
    println!("{} {} {:?} {word}: {what}", case.id, case.name, part);
}

fn run() -> Result<bool, Box<dyn Error>> {
    let options = options()?;
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in read_manifest(&options.directory)? {
        if options.group.as_ref().is_none_or(|group| *group == case.group) {
            groups.entry(case.group.clone()).or_default().push(case);
        }
    }
    println!(
        "{:<28} {:>6} {:>9} {:>11} {:>9} {:>9} {:>12}",
        "group", "cases", "eval", "vmap", "jvp", "vjp", "unsupported"
    );
    let groups: Vec<(String, Vec<Case>)> = groups.into_iter().collect();
    // Programs are small: threads take groups, not parts of a program. The table is in order.
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        let work = || -> Result<(), String> {
            while let Some((group, cases)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let row = run_group(&options, group, cases).map_err(|e| e.to_string())?;
                done.lock().unwrap_or_else(PoisonError::into_inner).insert(group, row);
            }
            Ok(())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker's result"))
    })?;
    let rows = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (group, row) in &rows {
        println!(
            "{group:<28} {:>6} {:>9} {:>11} {:>9} {:>9} {:>12}",
            row.cases,
            row.cell(Part::Eval),
            row.cell(Part::Vmap),
            row.cell(Part::Jvp),
            row.cell(Part::Vjp),
            row.total(2),
        );
    }
    if let Some(path) = options.json {
        let entry = |(group, row): (&&String, &Row)| {
            let parts: serde_json::Map<String, serde_json::Value> = row
                .parts
                .iter()
                .map(|(part, Count(n))| {
                    let counts = serde_json::json!({
                        "passed": n[0], "failed": n[1], "unsupported": n[2],
                    });
                    (format!("{part:?}").to_lowercase(), counts)
                })
                .collect();
            serde_json::json!({"group": group, "cases": row.cases, "parts": parts})
        };
        let all: Vec<_> = rows.iter().map(entry).collect();
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    let total = |kind: usize| rows.values().map(|row| row.total(kind)).sum::<usize>();
    println!("{} passed, {} failed, {} skipped", total(0), total(1), total(2));
    Ok(total(1) == 0)
}

/// Runs the cases of a group; what fails is said at once, where that is wanted.
fn run_group(options: &Options, group: &str, cases: &[Case]) -> Result<Row, Box<dyn Error>> {
    let mut archive = Archive::open(&options.directory.join(format!("{group}.npz")))?;
    let mut row = Row { cases: cases.len(), ..Row::default() };
    for case in cases {
        let mut run = || check(case, &mut archive, options.mode);
        let parts = if options.reference { by_reference(run) } else { run() }?;
        for (part, outcome) in &parts {
            row.add(*part, outcome);
            if options.verbose {
                report(case, *part, outcome);
            }
        }
        let failed = parts.iter().any(|(_, o)| matches!(o, Outcome::Failed(_)));
        if options.verbose && failed {
            println!("    {}", case.program);
        }
    }
    Ok(row)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
