//! Ways to a connection that need neither a new socket nor `connect`: a listening socket that is
//! made fresh again, and first bytes that connect on their way. And a way to a signal that needs no
//! `kill`: bytes that arrive.
//!
//! The sockets are open before the measures, as a guard's are.

use std::io;
use std::mem::size_of;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::attempts::{checked, parent};

/// Each ends the process under every profile.
pub(crate) const ATTEMPTS: &[&str] = &[
    "make-a-listener-fresh",
    "end-a-listener",
    "reuse-a-listener",
    "connect-with-the-first-bytes",
    "connect-with-the-first-message",
    "send-to-an-address",
    "switch-fast-open-on",
    "let-the-kernel-signal-the-parent",
    "switch-signals-on",
];

/// What whoever breaks into a process finds open there.
pub(crate) struct Open {
    listener: TcpListener,
    fresh: OwnedFd,
    datagrams: UdpSocket,
}

impl Open {
    pub(crate) fn new() -> Self {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: takes numbers only.
        let fresh = unsafe { libc::socket(libc::AF_INET, kind, 0) };
        assert!(0 <= fresh, "{}", io::Error::last_os_error());
        Self {
            listener: TcpListener::bind(("127.0.0.1", 0)).unwrap(),
            // SAFETY: the descriptor was just made, and nobody else has it.
            fresh: unsafe { OwnedFd::from_raw_fd(fresh) },
            datagrams: UdpSocket::bind(("127.0.0.1", 0)).unwrap(),
        }
    }

    /// `None`: this is no attempt with a socket.
    pub(crate) fn attempt_to(&self, act: &str, detail: &str) -> Option<io::Result<()>> {
        let listener = self.listener.as_raw_fd();
        let to = || address(detail.parse().unwrap());
        Some(match act {
            "make-a-listener-fresh" => shut(listener, libc::SHUT_RD),
            "end-a-listener" => shut(listener, libc::SHUT_RDWR),
            "reuse-a-listener" => {
                shut(listener, libc::SHUT_RD).and_then(|()| first_bytes(listener, &to()))
            }
            "connect-with-the-first-bytes" => first_bytes(self.fresh.as_raw_fd(), &to()),
            "connect-with-the-first-message" => first_message(self.fresh.as_raw_fd(), &to()),
            "send-to-an-address" => self.datagrams.send_to(b"x", detail).map(drop),
            "switch-fast-open-on" => switch_fast_open_on(self.fresh.as_raw_fd()),
            "let-the-kernel-signal-the-parent" => set(&self.datagrams, libc::F_SETOWN, parent()),
            "switch-signals-on" => set(&self.datagrams, libc::F_SETFL, libc::O_ASYNC),
            _ => return None,
        })
    }
}

fn shut(socket: i32, how: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    checked(unsafe { libc::shutdown(socket, how) }.into())
}

fn set(socket: &UdpSocket, command: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: both commands take a number.
    checked(unsafe { libc::fcntl(socket.as_raw_fd(), command, value) }.into())
}

fn address(address: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(address) = address else { panic!("{address} is not of version 4") };
    libc::sockaddr_in {
        sin_family: libc::AF_INET.try_into().unwrap(),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn first_bytes(socket: i32, to: &libc::sockaddr_in) -> io::Result<()> {
    let (bytes, to) = (c"x".as_ptr().cast(), std::ptr::from_ref(to).cast());
    // SAFETY: one byte is sent of two, and the address is whole.
    let sent = unsafe { libc::sendto(socket, bytes, 1, libc::MSG_FASTOPEN, to, ADDRESS_BYTES) };
    checked(sent as i64)
}

fn first_message(socket: i32, to: &libc::sockaddr_in) -> io::Result<()> {
    let mut byte = [b'x'];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: a message of zeroes has no address, no parts and no more.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_ref(to).cast_mut().cast();
    message.msg_namelen = ADDRESS_BYTES;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    // SAFETY: the message, its part and its address live until the call returns, and are only read.
    checked(unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_FASTOPEN) } as i64)
}

fn switch_fast_open_on(socket: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    let bytes = size_of::<libc::c_int>() as libc::socklen_t;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
    // SAFETY: the value is a whole number that lives until the call returns.
    let answer = unsafe { libc::setsockopt(socket, level, option, (&raw const on).cast(), bytes) };
    checked(answer.into())
}
