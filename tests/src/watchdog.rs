//! Ends child processes when the test process ends without having done so itself: killed, aborted, out of time.
//!
//! `PR_SET_PDEATHSIG` would need unsafe code. A shell that reads process ids from a pipe does the same: the kernel closes the
//! pipe when the test process dies, however it dies.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
watched=" "
while read -r sign pid; do
  case $sign in
    +) watched="$watched$pid " ;;
    -) watched="${watched%% "$pid" *} ${watched#* "$pid" }" ;;
  esac
done
for pid in $watched; do kill -CONT "$pid"; kill -KILL "$pid"; done 2>/dev/null
"#;

static SHELL: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell");
    Mutex::new(shell)
});

/// From now on the process ends when this one does.
pub(crate) fn watch(pid: u32) {
    tell('+', pid);
}

/// The process has ended; its id may soon belong to another.
pub(crate) fn forget(pid: u32) {
    tell('-', pid);
}

fn tell(sign: char, pid: u32) {
    let mut shell = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = shell.stdin.as_mut().expect("its standard input is a pipe");
    writeln!(pipe, "{sign} {pid}").expect("the watchdog lives as long as we do");
}
