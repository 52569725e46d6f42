//! What the core gives the front at its start: the listening sockets, the TLS files' contents, the
//! nodes to dial, the limits. The front opens no file by itself, and no socket but to those nodes.
//!
//! Invariant: sent once, before anything else, over the socket pair that both keep.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::sockets::Sockets;
use crate::config::{ConfigError, Limits};
use crate::dial::Dialler;
use crate::link::message::GateEntry;
use crate::nodes::Destination;
use crate::tls::TlsFiles;

/// The longest setup: certificates and authorities take some kilobytes each.
const MAX_BYTES: usize = 16 << 20;

/// What the front needs to serve.
#[derive(Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsFiles>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) gate: Vec<GateEntry>,
    pub(super) nodes: Vec<Destination>,
}

/// What is sent: the setup, and which of the sockets come along.
#[derive(Serialize)]
struct Sent<'a> {
    has: [bool; 2],
    setup: &'a Setup,
}

/// As [`Sent`].
#[derive(Deserialize)]
struct Received {
    has: [bool; 2],
    setup: Setup,
}

impl Setup {
    /// What accepts TLS connections, if the listener speaks TLS.
    pub(super) fn acceptor(&self) -> Result<Option<TlsAcceptor>, ConfigError> {
        self.tls.as_ref().map(TlsFiles::acceptor).transpose()
    }

    /// What opens the connections to the nodes.
    pub(super) fn dialler(&self) -> Result<Dialler, ConfigError> {
        Dialler::new(&self.nodes)
    }

    /// Sends it, and the sockets that there are.
    pub(super) fn send(&self, mut stream: &UnixStream, sockets: &Sockets) -> Result<(), Error> {
        let all = [&sockets.signing, &sockets.watching];
        let sent = Sent { has: all.map(Option::is_some), setup: self };
        let bytes = postcard::to_allocvec(&sent).map_err(Error::other)?;
        let bytes = Zeroizing::new(bytes);
        let length = (bytes.len() as u64).to_be_bytes();
        let descriptors: Vec<_> = all.into_iter().flatten().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let has_any = !descriptors.is_empty();
        if has_any && !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Error::other("no space for two descriptors"));
        }
        let sent = sendmsg(stream, &[IoSlice::new(&length)], &mut rights, SendFlags::empty())?;
        if sent != length.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        stream.write_all(&bytes)
    }

    /// Receives it, and the sockets that were sent.
    pub(super) fn receive(mut stream: &UnixStream) -> Result<(Self, Sockets), Error> {
        let mut length = [0; 8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut length)],
            &mut rights,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let descriptors: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let wrong = || Error::new(ErrorKind::InvalidData, "this is no guard's front setup");
        let expected = usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX);
        if received.bytes != length.len() || MAX_BYTES < expected {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new(vec![0; expected]);
        stream.read_exact(&mut bytes)?;
        let Received { has, setup } = postcard::from_bytes(&bytes).map_err(|_| wrong())?;
        if has.iter().filter(|has| **has).count() != descriptors.len() {
            return Err(wrong());
        }
        let mut descriptors = descriptors.into_iter().map(TcpListener::from);
        let [signing, watching] = has.map(|has| has.then(|| descriptors.next()).flatten());
        Ok((setup, Sockets { signing, watching }))
    }
}
