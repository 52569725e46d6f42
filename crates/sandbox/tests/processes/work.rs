//! What a guard's processes must still be able to do under their profiles.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;

use palisade_sandbox::{Measure, SecretPages};
use tempfile::TempDir;

use crate::role::{READY, Scene, say};

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("store"), "before").unwrap();
    home
}

pub(crate) fn whole() {
    let home = home();
    serves_a_connection(&Scene::new("whole", "work-of-whole", home.path(), ""));
    assert_eq!(fs::read_to_string(home.path().join("store")).unwrap(), "after");
}

pub(crate) fn front() {
    let home = home();
    serves_a_connection(&Scene::new("front", "work-of-front", home.path(), ""));
    assert_eq!(fs::read_to_string(home.path().join("store")).unwrap(), "before");
}

fn serves_a_connection(scene: &Scene) {
    let mut child = scene.spawn();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = said.next().unwrap().unwrap();
    assert_eq!(said.next().unwrap().unwrap(), READY);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"duty").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"DUTY");
    assert!(child.wait().unwrap().success());
}

pub(crate) fn core() {
    let home = home();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let scene = Scene::new("core", "work-of-core", home.path(), "");
    let mut child = scene.command().stdin(OwnedFd::from(theirs)).spawn().unwrap();
    ours.write_all(b"duty").unwrap();
    let mut answer = [0; 4];
    ours.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"DUTY");
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(home.path().join("store")).unwrap(), "after");
}

/// Whoever breaks into a front that dials reaches the port of its node, and makes no other socket.
pub(crate) fn dialling_front() {
    let home = home();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let output = |profile: &str, act: &str| {
        let output = Scene::new(profile, act, home.path(), address.to_string()).output();
        let said = String::from_utf8(output.stdout).unwrap();
        (said.trim_start_matches(READY).trim().to_owned(), output.status)
    };
    let its_own = format!("front-dials-{}", address.port());
    assert_eq!(output(&its_own, "work-dials").0, "connected");
    // Another port than the listener's.
    let elsewhere = "front-dials-9";
    let table = Scene::new(elsewhere, "work-dials", home.path(), "").table();
    if table.is_on(Measure::LandlockTcp) {
        assert_eq!(output(elsewhere, "work-dials").0, "Permission denied (os error 13)");
    }
    if table.is_on(Measure::Seccomp) {
        for act in ["work-makes-a-datagram-socket", "work-makes-a-local-socket"] {
            assert_eq!(output(&its_own, act).1.signal(), Some(libc::SIGSYS), "{act}");
        }
    }
}

fn dial(scene: &Scene) {
    let dialled = match scene.act.as_str() {
        "work-dials" => TcpStream::connect(&scene.detail).map(drop),
        "work-makes-a-datagram-socket" => UdpSocket::bind(("127.0.0.1", 0)).map(drop),
        _ => UnixDatagram::unbound().map(drop),
    };
    say(&dialled.map_or_else(|error| error.to_string(), |()| "connected".to_owned()));
}

pub(crate) fn play(scene: &Scene) {
    let table = scene.table();
    scene.harden(&table);
    if scene.profile.starts_with("front-dials-") {
        scene.restrict(&table);
        say(READY);
        return dial(scene);
    }
    if scene.act == "work-of-core" {
        let mut socket = UnixStream::from(std::io::stdin().lock().try_clone_owned());
        scene.restrict(&table);
        say(READY);
        on_a_thread(|| change_the_store(&scene.home));
        answer(&mut socket);
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    say(&listener.local_addr().unwrap().to_string());
    scene.restrict(&table);
    say(READY);
    if scene.act == "work-of-whole" {
        on_a_thread(|| change_the_store(&scene.home));
    }
    on_a_thread(|| answer(&mut listener.accept().unwrap().0));
}

fn on_a_thread(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// A message is a secret for a moment, to show that secret pages can be made under the filter.
fn answer(stream: &mut (impl Read + Write)) {
    let mut message = [0; 4];
    stream.read_exact(&mut message).unwrap();
    let secret = SecretPages::new().store(&mut message).unwrap();
    let answer = secret.expose(|message| message.to_ascii_uppercase());
    stream.write_all(&answer).unwrap();
}

/// As a ledger and a vault do: a lock, a new file, durable, in the place of the old one.
fn change_the_store(home: &Path) {
    let lock = OpenOptions::new().create(true).append(true).open(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let directory = home.join("new");
    fs::create_dir(&directory).unwrap();
    let mut file = File::create_new(directory.join("store")).unwrap();
    file.write_all(b"afterwards").unwrap();
    file.set_len(5).unwrap();
    file.sync_all().unwrap();
    fs::rename(directory.join("store"), home.join("store")).unwrap();
    fs::remove_dir(&directory).unwrap();
    File::open(home).unwrap().sync_all().unwrap();
    assert_eq!(fs::read_dir(home).unwrap().count(), 2);
}

/// Standard input as a descriptor of its own.
trait CloneOwned {
    fn try_clone_owned(&self) -> OwnedFd;
}

impl<T: std::os::fd::AsFd> CloneOwned for T {
    fn try_clone_owned(&self) -> OwnedFd {
        self.as_fd().try_clone_to_owned().unwrap()
    }
}
