//! Sockets that go from one process to another, beside one byte (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Listeners that a process has.
pub(super) const SOCKETS: usize = 3;

/// The byte that they go beside: a message of nothing else is not delivered.
const BESIDE: [u8; 1] = *b"S";

/// Sends them.
pub(super) async fn send(stream: &UnixStream, sockets: [BorrowedFd<'_>; SOCKETS]) -> io::Result<()> {
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::Error::other("the sockets do not fit"));
        }
        sendmsg(stream.as_fd(), &[IoSlice::new(&BESIDE)], &mut control, SendFlags::empty())?;
        Ok(())
    };
    stream.async_io(Interest::WRITABLE, send).await
}

/// Receives them.
pub(super) async fn receive(stream: &UnixStream) -> io::Result<[OwnedFd; SOCKETS]> {
    let receive = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                sockets.extend(received);
            }
        }
        <[OwnedFd; SOCKETS]>::try_from(sockets).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    };
    stream.async_io(Interest::READABLE, receive).await
}
