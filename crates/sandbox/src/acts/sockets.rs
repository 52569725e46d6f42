//! Ways to a connection that need neither a new socket nor `connect`: a listening socket that is
//! made fresh again, and first bytes that connect on their way. And a way to a signal that needs no
//! `kill`: bytes that arrive.

use std::io::{self, Error};
use std::mem::size_of;
use std::net::{SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::checked;

/// What whoever breaks into a process may find open there. Opened before the measures, as a guard's
/// own sockets are. Each act that changes a socket has its own.
pub struct OpenSockets {
    listeners: [TcpListener; 3],
    fresh: [OwnedFd; 3],
    datagrams: UdpSocket,
}

impl OpenSockets {
    /// Opens all.
    ///
    /// # Errors
    /// When the kernel does not.
    pub fn open() -> io::Result<Self> {
        let listener = || TcpListener::bind(("127.0.0.1", 0));
        Ok(Self {
            listeners: [listener()?, listener()?, listener()?],
            fresh: [fresh()?, fresh()?, fresh()?],
            datagrams: UdpSocket::bind(("127.0.0.1", 0))?,
        })
    }

    /// `None`: this is no act on a socket.
    pub(super) fn attempt(&self, act: &str, detail: &str) -> Option<io::Result<()>> {
        let [to_make_fresh, to_end, to_connect] = self.listeners.each_ref().map(AsRawFd::as_raw_fd);
        let [for_bytes, for_message, for_option] = self.fresh.each_ref().map(AsRawFd::as_raw_fd);
        Some(match act {
            "make-a-listener-fresh" => shut(to_make_fresh, libc::SHUT_RD),
            "end-a-listener" => shut(to_end, libc::SHUT_RDWR),
            "connect-a-listener" => shut(to_connect, libc::SHUT_RD)
                .and_then(|()| first_bytes(to_connect, &address(detail)?)),
            "connect-with-the-first-bytes" => {
                address(detail).and_then(|to| first_bytes(for_bytes, &to))
            }
            "connect-with-the-first-message" => {
                address(detail).and_then(|to| first_message(for_message, &to))
            }
            "send-to-an-address" => self.datagrams.send_to(b"x", detail).map(drop),
            "switch-fast-open-on" => switch_fast_open_on(for_option),
            "let-the-kernel-signal" => match detail.parse() {
                Ok(process) => set(&self.datagrams, libc::F_SETOWN, process),
                Err(_) => Err(Error::other(format!("{detail:?} is no process"))),
            },
            "switch-signals-on" => set(&self.datagrams, libc::F_SETFL, libc::O_ASYNC),
            _ => return None,
        })
    }
}

/// A socket that is neither bound nor connected.
fn fresh() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    checked(socket.into())?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn shut(socket: i32, how: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    checked(unsafe { libc::shutdown(socket, how) }.into())
}

fn set(socket: &UdpSocket, command: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: both commands take a number.
    checked(unsafe { libc::fcntl(socket.as_raw_fd(), command, value) }.into())
}

fn address(text: &str) -> io::Result<libc::sockaddr_in> {
    let address: SocketAddrV4 = text.parse().map_err(Error::other)?;
    Ok(libc::sockaddr_in {
        sin_family: libc::AF_INET.try_into().map_err(Error::other)?,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    })
}

const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn first_bytes(socket: i32, to: &libc::sockaddr_in) -> io::Result<()> {
    let (bytes, to) = (c"x".as_ptr().cast(), std::ptr::from_ref(to).cast());
    // SAFETY: one byte is sent of two, and the address is whole.
    let sent = unsafe { libc::sendto(socket, bytes, 1, libc::MSG_FASTOPEN, to, ADDRESS_BYTES) };
    checked(sent as libc::c_long)
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
    let sent = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_FASTOPEN) };
    checked(sent as libc::c_long)
}

fn switch_fast_open_on(socket: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    let bytes = size_of::<libc::c_int>() as libc::socklen_t;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
    // SAFETY: the value is a whole number that lives until the call returns.
    let answer = unsafe { libc::setsockopt(socket, level, option, (&raw const on).cast(), bytes) };
    checked(answer.into())
}
