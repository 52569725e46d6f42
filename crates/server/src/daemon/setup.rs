//! What the core gives the front at its start: the listening sockets, the TLS files' contents, the
//! limits. The front opens no file and no socket by itself.
//!
//! Invariant: sent once, before anything else, over the socket pair that both keep.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;
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
use crate::link::message::GateEntry;
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
}

impl Setup {
    /// What accepts TLS connections, if the listener speaks TLS.
    pub(super) fn acceptor(&self) -> Result<Option<TlsAcceptor>, ConfigError> {
        self.tls.as_ref().map(TlsFiles::acceptor).transpose()
    }

    /// Sends it, and both sockets.
    pub(super) fn send(&self, mut stream: &UnixStream, sockets: &Sockets) -> Result<(), Error> {
        let bytes = postcard::to_allocvec(self).map_err(Error::other)?;
        let bytes = Zeroizing::new(bytes);
        let length = (bytes.len() as u64).to_be_bytes();
        let descriptors = [sockets.signing.as_fd(), sockets.watching.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Error::other("no space for two descriptors"));
        }
        let sent = sendmsg(stream, &[IoSlice::new(&length)], &mut rights, SendFlags::empty())?;
        if sent != length.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        stream.write_all(&bytes)
    }

    /// Receives it, and both sockets.
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
        let descriptors: Vec<_> = rights
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let wrong = || Error::new(ErrorKind::InvalidData, "this is no guard's front setup");
        let [signing, watching] =
            <[_; 2]>::try_from(descriptors).map_err(|_| wrong())?.map(TcpListener::from);
        let expected = usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX);
        if received.bytes != length.len() || MAX_BYTES < expected {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new(vec![0; expected]);
        stream.read_exact(&mut bytes)?;
        let setup = postcard::from_bytes(&bytes).map_err(|_| wrong())?;
        Ok((setup, Sockets { signing, watching }))
    }
}
