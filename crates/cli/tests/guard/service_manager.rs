//! What the guard tells the service manager that started it (sd_notify(3)).

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::support::home::TestHome;
use crate::support::{Guard, PATIENCE};

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

#[test]
fn a_manager_that_is_gone_does_not_stop_the_guard() {
    let home = TestHome::with_keys(1);
    let guard = start(&home, &[("WATCHDOG_USEC", "60000")]);
    assert_eq!(guard.get("/upcheck").status, 200);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("the service manager is out of reach"), "{log}");
}
