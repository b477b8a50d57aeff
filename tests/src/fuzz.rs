//! What fuzzers run: a case made of bytes, whoever draws them, and the regressions that earlier ones
//! left behind.
//!
//! Bytes are drawn by `tests/fuzz.rs` and `tests/hostile.rs` (proptest, a fixed number of cases; for
//! longer with `UNLOOP_FUZZ_SECONDS`), and by the example `fuzz` (for hours, survives aborts and hangs).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use crate::{hostile, programs};

/// What is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Programs, whose results are compared.
    Programs,
    /// Hostile arguments of single functions.
    Hostile,
}

/// Ends the process when a case takes longer than a minute, and tells which it was.
pub struct Watchdog(Arc<Mutex<Option<(Instant, String)>>>);

impl Watchdog {
    /// A watchdog that sleeps until the first case.
    pub fn new() -> Watchdog {
        let watched = Arc::new(Mutex::new(None));
        let current = watched.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let current: MutexGuard<'_, Option<(Instant, String)>> = lock(&current);
                if let Some((began, case)) = &*current
                    && began.elapsed() > Duration::from_secs(60)
                {
                    // Past the capture of a test's output.
                    let _ = writeln!(std::io::stderr(), "hangs: {case}");
                    process::abort();
                }
            }
        });
        Watchdog(watched)
    }

    /// Says which case begins.
    pub fn begins(&self, case: String) {
        *lock(&self.0) = Some((Instant::now(), case));
    }
}

impl Default for Watchdog {
    fn default() -> Watchdog {
        Watchdog::new()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *lock(&self.0) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes make a case; the rest of longer ones is not read.
pub const BYTES: usize = 256;

/// The most memory that a case may take.
pub const MEMORY: usize = 64 << 20;

impl Target {
    /// Every target.
    pub const ALL: [Target; 2] = [Target::Programs, Target::Hostile];

    /// The name, as of its folder of regressions.
    pub fn name(self) -> &'static str {
        match self {
            Target::Programs => "programs",
            Target::Hostile => "hostile",
        }
    }

    /// The limit of memory under which cases run.
    pub fn memory(self) -> usize {
        match self {
            Target::Programs => usize::MAX,
            Target::Hostile => MEMORY,
        }
    }

    /// The case that bytes make, for people to read, if it can be told without running it.
    pub fn describe(self, bytes: &[u8]) -> String {
        match self {
            Target::Programs => String::new(),
            Target::Hostile => hostile::Case::new(bytes).to_string(),
        }
    }

    /// Runs a case; what is wrong, with the text of the case, or how many comparisons were made.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(self, bytes: &[u8]) -> Result<usize, String> {
        match self {
            Target::Programs => {
                let outcome = programs::check(bytes);
                match outcome.faults.is_empty() {
                    true => Ok(outcome.compared),
                    false => Err(format!("{}\n{}", outcome.faults.join("\n"), outcome.program)),
                }
            }
            Target::Hostile => {
                let case = hostile::Case::new(bytes);
                case.fault().map_or(Ok(1), |fault| Err(format!("{case} {fault}")))
            }
        }
    }

    /// Runs a case, as a fuzzer wants it.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn survives(self, bytes: &[u8]) {
        unloop::set_memory_limit(self.memory());
        if let Err(fault) = self.run(bytes) {
            panic!("{fault}");
        }
    }

    /// The cases in which something was wrong once.
    pub fn regressions(self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(self.name());
        let files = fs::read_dir(folder).map(|files| files.flatten().collect::<Vec<_>>());
        let mut all = Vec::new();
        for path in files.unwrap_or_default().iter().map(fs::DirEntry::path) {
            let text = fs::read_to_string(&path).expect("a regression is text");
            all.push((path, bytes(&text)));
        }
        all.sort();
        all
    }
}

/// The bytes of a regression: its digits in base 16; lines with `#` are comments.
pub fn bytes(text: &str) -> Vec<u8> {
    let digits = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars);
    let digits: Vec<u32> = digits.filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// A regression of bytes, with comments.
pub fn text(bytes: &[u8], comment: &str) -> String {
    let comment: String = comment.lines().map(|line| format!("# {line}\n")).collect();
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = bytes.chunks(48).map(line).collect();
    format!("{comment}{}\n", lines.join("\n"))
}

/// The same case of fewer bytes, and smaller ones, as far as `tries` go.
pub fn smaller(bytes: &[u8], tries: usize, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut best, mut left) = (bytes.to_vec(), tries);
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.len() && left > 0 {
            let end = (at + size).min(best.len());
            let mut without = best.clone();
            without.drain(at..end);
            let mut zero = best.clone();
            zero[at..end].fill(0);
            left -= 1;
            if fails(&without) {
                best = without;
            } else if zero != best && fails(&zero) {
                best = zero;
                at += size;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    best
}
