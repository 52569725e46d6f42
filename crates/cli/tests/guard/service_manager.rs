//! The guard under a service manager: what it tells it (sd_notify(3)), the sockets that it takes
//! from it (sd_listen_fds(3)), and the unlock secret that comes as a credential.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};

use super::processes::{front_of, is_gone, send};
use crate::support::duty::randao;
use crate::support::home::{KEYS, TestHome, text};
use crate::support::http::Connection;
use crate::support::{Guard, PATIENCE, eventually};

/// The manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn at(home: &TestHome) -> Self {
        let socket = UnixDatagram::bind(home.beside("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn hears(&self) -> String {
        let mut bytes = [0; 4_096];
        let length = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn hears_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let heard = self.0.recv(&mut [0; 64]);
        self.0.set_nonblocking(false).unwrap();
        heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

fn start(home: &TestHome, watchdog: &[(&str, &str)]) -> Guard {
    let mut command = home.run_command();
    command.env("NOTIFY_SOCKET", home.beside("notify")).envs(watchdog.iter().copied());
    Guard::start(command)
}

#[test]
fn the_manager_hears_when_the_guard_serves_and_when_it_stops() {
    let home = TestHome::with_keys(1);
    let manager = Manager::at(&home);
    let guard = start(&home, &[]);
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(guard.get("/upcheck").status, 200);
    assert!(manager.hears_nothing(), "no watchdog was asked for");
    assert!(guard.stop().0.success());
    assert_eq!(manager.hears(), "STOPPING=1\n");
    assert!(manager.hears_nothing());
}

#[test]
fn the_watchdog_is_fed_in_time_and_only_when_it_is_ours() {
    let home = TestHome::with_keys(1);
    let manager = Manager::at(&home);
    let guard = start(&home, &[("WATCHDOG_USEC", "600000")]);
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(manager.hears(), "WATCHDOG=1\n");
    let mut last = Instant::now();
    for _ in 0..5 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
        assert!(last.elapsed() >= Duration::from_millis(100), "it is not fed without pause");
        last = Instant::now();
    }
    // A guard that hangs is silent: SIGSTOP stands for whatever keeps it from its work.
    guard.signal("STOP");
    while !manager.hears_nothing() {}
    std::thread::sleep(Duration::from_millis(800));
    assert!(manager.hears_nothing());
    guard.signal("CONT");
    assert_eq!(manager.hears(), "WATCHDOG=1\n");
    drop(guard);
    while !manager.hears_nothing() {}

    let guard = start(&home, &[("WATCHDOG_USEC", "90000"), ("WATCHDOG_PID", "1")]);
    assert_eq!(manager.hears(), "READY=1\n");
    std::thread::sleep(Duration::from_millis(300));
    assert!(manager.hears_nothing(), "the watchdog is another process's");
    drop(guard);
}

/// A front that stands still takes the guard along: first the watchdog goes hungry, then the core
/// ends by itself, so that a supervisor without a watchdog starts it anew as well.
#[test]
fn a_front_that_hangs_is_not_fed_for_and_ends_the_guard_with_a_status_to_restart_from() {
    let home = TestHome::with_keys(1);
    let manager = Manager::at(&home);
    let guard = start(&home, &[("WATCHDOG_USEC", "600000")]);
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(manager.hears(), "WATCHDOG=1\n");
    let front = front_of(&guard);
    send("STOP", front);
    let listening = std::thread::spawn(move || {
        let mut fed = Instant::now();
        loop {
            match manager.hears().as_str() {
                "WATCHDOG=1\n" => fed = Instant::now(),
                "STOPPING=1\n" => return fed.elapsed(),
                other => panic!("{other:?}"),
            }
        }
    });
    let (status, log) = guard.wait();
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("the front process hangs (no sign of life for 20 s)"), "{log}");
    let hungry = listening.join().unwrap();
    assert!(Duration::from_secs(5) < hungry, "it was fed until {hungry:?} before the end");
    // The addresses are free as soon as it can do anything.
    let guard = home.start();
    assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200);
    send("CONT", front);
    eventually("the front ends without its core", || is_gone(front));
}

#[test]
fn a_manager_that_is_gone_does_not_stop_the_guard() {
    let home = TestHome::with_keys(1);
    let guard = start(&home, &[("WATCHDOG_USEC", "60000")]);
    assert_eq!(guard.get("/upcheck").status, 200);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("the service manager is out of reach"), "{log}");
}

/// `palisade run` with more arguments, to which these sockets are handed over in their order.
fn run_with(home: &TestHome, sockets: &[&TcpListener], more: &[&str]) -> Command {
    let mut moves = String::new();
    for (index, socket) in sockets.iter().enumerate() {
        fcntl_setfd(socket, FdFlags::empty()).unwrap();
        moves.push_str(&format!("exec {}<&{}; ", 100 + index, socket.as_raw_fd()));
    }
    for index in 0..sockets.len() {
        moves.push_str(&format!("exec {}<&{}; ", 3 + index, 100 + index));
    }
    let count = sockets.len();
    let script = format!("{moves} LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\"");
    let run = home.command(&[&["run"], more].concat());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).arg(run.get_program()).args(run.get_args());
    command.env_remove("CREDENTIALS_DIRECTORY").env_remove("RUST_LOG");
    command
}

fn socket(address: &str) -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind(address).unwrap();
    let bound = socket.local_addr().unwrap();
    (socket, bound)
}

#[test]
fn a_client_that_comes_between_two_guards_waits_at_the_sockets_of_the_manager() {
    let home = TestHome::with_keys(1);
    let ((signing, at), (metrics, watched_at)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let guard = Guard::start(run_with(&home, &[&signing, &metrics], &[]));
    assert_eq!((guard.listen, guard.metrics), (at, watched_at));
    assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200);
    assert_eq!(guard.watch("/readyz").status, 200);
    assert!(guard.stop().0.success());

    let body = randao(2).to_string();
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    let asking = std::thread::spawn(move || {
        Connection::open(at).exchange("POST", &path, &[], &body).unwrap().status
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!asking.is_finished());
    let guard = Guard::start(run_with(&home, &[&signing, &metrics], &[]));
    assert_eq!(asking.join().unwrap(), 200);
    drop(guard);
}

#[test]
fn sockets_that_are_not_the_two_are_refused_and_so_is_one_that_opens_the_guard_to_strangers() {
    let home = TestHome::with_keys(1);
    let (inside, _) = socket("127.0.0.1:0");
    let (other, _) = socket("127.0.0.1:0");
    let (outside, _) = socket("0.0.0.0:0");
    let address = ["--listen", "127.0.0.1:0"];
    for (sockets, more, said) in [
        (vec![&inside], vec![], "there are 1"),
        (vec![&inside, &other, &other], vec![], "there are 3"),
        (vec![&inside, &other], address.to_vec(), "cannot change sockets"),
        // palisade.toml says 127.0.0.1, but what counts is where the socket is.
        (vec![&outside, &inside], vec![], "an anonymous client may sign there"),
    ] {
        let output = run_with(&home, &sockets, &more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{said}: {}", text(&output.stderr));
    }
}

#[test]
fn the_unlock_secret_can_come_as_a_credential_and_is_nowhere_else() {
    let home = TestHome::with_keys(1);
    let credentials = home.beside("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("palisade-unlock");
    std::fs::rename(home.path().join("unlock.secret"), &credential).unwrap();
    // As systemd leaves it: no write, and an access list that looks like a right of the group.
    let set_mode = |mode| {
        std::fs::set_permissions(&credential, PermissionsExt::from_mode(mode)).unwrap();
    };
    set_mode(0o440);
    let run = || {
        let mut command = home.run_command();
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        command
    };
    let guard = Guard::start(run());
    assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200);
    drop(guard);
    set_mode(0o444);
    let output = run().output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("has mode 0444"), "{}", text(&output.stderr));
    std::fs::remove_file(&credential).unwrap();
    let output = run().output().unwrap();
    assert!(text(&output.stderr).contains("no secret to open"), "{}", text(&output.stderr));
}
