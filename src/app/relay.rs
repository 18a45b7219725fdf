//! Passes a request on to the process that took over, and its answer back: for connections that were open before.
//!
//! What it carries is bytes: it must not look into requests or answers, beyond the headers that are about a connection.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use futures_util::FutureExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Which of the three listeners a request came in on. Its byte, and the client's address on a line, come before the first
/// request of a relayed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Residents.
    Public,
    /// The mairie.
    Mairie,
    /// Operators.
    Ops,
}

impl Door {
    const ALL: [Self; 3] = [Self::Public, Self::Mairie, Self::Ops];

    /// The listener's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Mairie => "mairie",
            Self::Ops => "ops",
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Public => b'p',
            Self::Mairie => b'm',
            Self::Ops => b'o',
        }
    }
}

/// Headers about one connection: they are not passed on (RFC 9110, section 7.6.1).
static OF_A_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    EXPECT,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn without_those_of_a_connection(headers: &mut HeaderMap) {
    for name in &OF_A_CONNECTION {
        headers.remove(name);
    }
}

/// Asks the process that listens at `path`.
///
/// # Errors
/// When it does not answer.
pub(super) async fn pass_on(
    path: PathBuf,
    door: Door,
    peer: SocketAddr,
    mut request: Request<Body>,
) -> io::Result<Response<Body>> {
    let mut stream = UnixStream::connect(&path).await?;
    stream.write_all(format!("{}{peer}\n", char::from(door.byte())).as_bytes()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = Uri::try_from(target).map_err(io::Error::other)?;
    *request.version_mut() = Version::HTTP_11;
    without_those_of_a_connection(request.headers_mut());
    if let Some(host) = host {
        request.headers_mut().entry(HOST).or_insert(host);
    }
    // The connection moves while somebody waits for the answer, and then with the answer's body.
    let mut connection = connection.boxed();
    let answer = sender.send_request(request);
    let mut answer = std::pin::pin!(answer);
    let response = tokio::select! {
        biased;
        answered = answer.as_mut() => answered.map_err(io::Error::other)?,
        ended = connection.as_mut() => {
            ended.map_err(io::Error::other)?;
            answer.await.map_err(io::Error::other)?
        }
    };
    let (mut parts, body) = response.into_parts();
    without_those_of_a_connection(&mut parts.headers);
    parts.version = Version::default();
    Ok(Response::from_parts(parts, Body::new(body::Moving::new(body, sender, connection))))
}

/// Listens for requests that another process passes on. What a former process left at that path is removed.
///
/// # Errors
/// When the path cannot be bound: it may be too long.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Longest address of a client: of IPv6 with its zone and port, in brackets.
const LONGEST_ADDRESS: usize = 64;

/// The next connection of another process, the door that its requests came in by, and the address of the client.
pub(super) async fn accept(listener: &UnixListener) -> io::Result<(UnixStream, Door, SocketAddr)> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut stream, _) = listener.accept().await?;
    let byte = stream.read_u8().await?;
    let door = Door::ALL.into_iter().find(|door| door.byte() == byte).ok_or_else(wrong)?;
    let mut address = String::new();
    loop {
        match char::from(stream.read_u8().await?) {
            '\n' => break,
            letter if address.len() < LONGEST_ADDRESS => address.push(letter),
            _ => return Err(wrong()),
        }
    }
    Ok((stream, door, address.parse().map_err(|_| wrong())?))
}

mod body {
    //! The body of a passed-on answer, which moves its own connection: no task outlives the client that waits for it.

    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::{Body, Bytes, HttpBody};
    use futures_util::future::{BoxFuture, FutureExt};
    use hyper::body::{Frame, Incoming, SizeHint};
    use hyper::client::conn::http1::SendRequest;

    pub(super) struct Moving {
        body: Incoming,
        connection: Option<BoxFuture<'static, hyper::Result<()>>>,
        /// Dropping it would end the connection.
        _sender: SendRequest<Body>,
    }

    impl Moving {
        pub(super) fn new(
            body: Incoming,
            sender: SendRequest<Body>,
            connection: BoxFuture<'static, hyper::Result<()>>,
        ) -> Self {
            Self { body, connection: Some(connection), _sender: sender }
        }
    }

    impl HttpBody for Moving {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            if let Some(connection) = &mut self.connection
                && connection.poll_unpin(context).is_ready()
            {
                // An error of the connection is told by the body.
                self.connection = None;
            }
            Pin::new(&mut self.body).poll_frame(context)
        }

        fn is_end_stream(&self) -> bool {
            self.body.is_end_stream()
        }

        fn size_hint(&self) -> SizeHint {
            self.body.size_hint()
        }
    }
}
