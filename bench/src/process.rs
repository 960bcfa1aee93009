//! What the kernel says about the server: CPU time used and memory resident.

use crate::Failure;
use std::fs;

/// Clock ticks a second in /proc; 100 on every Linux that Rust's tier 1 targets run on.
const TICKS: u64 = 100;

/// User and system time that a process and its threads have used, in microseconds, in steps of 10,000.
pub fn cpu_microseconds(pid: u32) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("no such /proc/PID/stat")?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let (user, system) = (ticks.next().ok_or("no utime")??, ticks.next().ok_or("no stime")??);
    Ok((user + system) * (1_000_000 / TICKS))
}

/// Resident memory in KiB.
pub fn resident_kib(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_ascii_whitespace().nth(1).ok_or("no number")?.parse()?)
}
