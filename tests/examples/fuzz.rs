//! Fuzzes for as long as it is told: `fuzz programs 7200` or `fuzz hostile 7200`, seconds, and the
//! first seed if it shall not be 0. `fuzz programs show 17` runs the case of one seed (or of a file).
//!
//! Cases run in a process of their own, which is started again after an abort, a hang, or too much
//! memory. What is wrong is printed, and written with the bytes that reproduce it to
//! `target/findings/`; a file from there, put into `tests/regressions/`, is a test.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use unloop_tests::fuzz::{BYTES, Target, bytes, smaller, text};

/// How long a case may take: in seconds of the processor's time, and, for one that waits for ever, of the
/// clock's.
const PATIENCE: Duration = Duration::from_secs(60);
const WAITING: Duration = Duration::from_secs(600);

/// The processor's time that a process has taken, where the system tells.
fn processor_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: user and system time, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

/// Address space of the process that runs cases, in kilobytes: what it takes itself, and the memory of
/// a case several times over.
const SPACE: usize = 4 << 20;

fn main() {
    let args: Vec<String> = env::args().collect();
    let number =
        |i: usize, default: u64| args.get(i).map_or(default, |n| n.parse().expect("a number"));
    let name = args.get(1).map_or("programs", String::as_str);
    let target = Target::ALL.into_iter().find(|t| t.name() == name).expect("programs or hostile");
    if args.get(2).is_some_and(|arg| arg == "show") {
        return show(target, args.get(3).expect("a seed or a file"));
    }
    let end = Instant::now() + Duration::from_secs(number(2, 60));
    match args.get(4) {
        Some(_) => child(target, number(3, 0)),
        None => parent(target, end, number(3, 0)),
    }
}

fn case(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..BYTES).map(|_| rng.u8(..)).collect()
}

/// Runs one case, given by its seed or a file, and shows what it is.
fn show(target: Target, which: &str) {
    unloop::set_memory_limit(target.memory());
    let bytes = match which.parse() {
        Ok(seed) => case(seed),
        Err(_) => bytes(&fs::read_to_string(which).expect("a file")),
    };
    if target == Target::Programs {
        println!("{}", unloop_tests::programs::describe(&bytes));
    }
    println!("{}", target.describe(&bytes));
    println!("{:?}", target.run(&bytes).map_err(|fault| println!("{fault}")));
}

/// What distinguishes faults of one cause: the text without numbers.
fn kind(fault: &str) -> String {
    let line = fault.lines().next().unwrap_or_default();
    let line = line.rsplit_once(") ").map_or(line, |(_, fault)| fault);
    let start = fault.split('(').next().unwrap_or_default();
    let text: String = line.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
    if line.contains("deviation") {
        text.split(':').next().unwrap_or_default().into()
    } else {
        format!("{start} {text}")
    }
}

/// Runs cases one after the other, and says before each which it is.
fn child(target: Target, first: u64) {
    panic::set_hook(Box::new(|_| {}));
    unloop::set_memory_limit(target.memory());
    let run = |bytes: &[u8]| {
        panic::catch_unwind(|| target.run(bytes)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or(panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(format!("panics: {}", text.unwrap_or_default()))
        })
    };
    for seed in first.. {
        say(&format!("case {seed}"));
        let bytes = case(seed);
        match run(&bytes) {
            Ok(compared) => say(&format!("fine {compared}")),
            Err(fault) => {
                let same =
                    |bytes: &[u8]| run(bytes).is_err_and(|other| kind(&other) == kind(&fault));
                let small =
                    smaller(&bytes, if env::var("UNLOOP_SMALLER").is_ok() { 200 } else { 0 }, same);
                let told = run(&small).err().unwrap_or(fault);
                let path = format!("target/findings/{}-{seed}.txt", target.name());
                let _ = fs::write(path, text(&small, &told));
                told.lines().for_each(|line| say(&format!("fault {line}")));
            }
        }
    }
}

fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

fn parent(target: Target, end: Instant, mut seed: u64) {
    fs::create_dir_all("target/findings").expect("the folder of findings");
    let (first, began) = (seed, Instant::now());
    let (mut compared, mut faults, mut kinds) = (0usize, 0usize, BTreeSet::new());
    let program = env::current_exe().expect("this program");
    while Instant::now() < end {
        let script = format!("ulimit -v {SPACE}; exec \"$0\" {} 0 {seed} child", target.name());
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(&program)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (send, receive) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        let taken = |child: &Child| processor_time(child.id()).unwrap_or_else(|| began.elapsed());
        let (mut since, mut before) = (Instant::now(), taken(&child));
        let how = loop {
            if Instant::now() >= end {
                break None;
            }
            match receive.recv_timeout(Duration::from_secs(5)) {
                Ok(line) => match line.split_once(' ') {
                    Some(("case", number)) => {
                        seed = number.parse().expect("a seed");
                        (since, before) = (Instant::now(), taken(&child));
                    }
                    Some(("fine", number)) => compared += number.parse::<usize>().unwrap_or(0),
                    Some(("fault", text)) => {
                        if kinds.insert(kind(text)) {
                            println!("{} {seed}: {text}", target.name());
                        }
                        faults += 1;
                    }
                    _ => {}
                },
                Err(RecvTimeoutError::Timeout) => {
                    // All threads count.
                    if taken(&child).saturating_sub(before) > 2 * PATIENCE
                        || since.elapsed() > WAITING
                    {
                        break Some("hangs");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break Some("aborts"),
            }
        };
        let _ = child.kill();
        let status = child.wait();
        if let Some(how) = how {
            let told = format!("{how}: {} ({status:?})", target.describe(&case(seed)));
            println!("{} {seed}: {told}", target.name());
            let path = format!("target/findings/{}-{seed}.txt", target.name());
            let _ = fs::write(path, text(&case(seed), &told));
            faults += 1;
        }
        seed += 1;
    }
    let seconds = began.elapsed().as_secs();
    println!(
        "{}: {} cases, {compared} comparisons, {faults} lines of faults, {seconds} s",
        target.name(),
        seed - first
    );
}
