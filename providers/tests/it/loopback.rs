//! One answer over HTTP on 127.0.0.1, cut where the test says: a vendor as the adapters' transport sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// What the vendor answers.
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    /// The body; each part is one HTTP chunk, so the reader sees the cuts.
    pub parts: Vec<Vec<u8>>,
}

/// A vendor that answers one request and goes.
pub struct Vendor {
    address: String,
    thread: JoinHandle<()>,
}

impl Vendor {
    /// Listens on a free port.
    pub fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // A reader that has what it needs may hang up before the end.
            let _gone = serve(&stream, &reply);
        });
        Self { address, thread }
    }

    /// Base address, ending in `/v1`.
    pub fn base_url(&self) -> String {
        self.address.clone()
    }

    /// Waits until the answer has been sent.
    pub fn join(self) {
        self.thread.join().unwrap();
    }
}

fn serve(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    read_request(stream)?;
    write!(
        stream,
        "HTTP/1.1 {} Sample\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        reply.status, reply.content_type
    )?;
    for part in reply.parts.iter().filter(|part| !part.is_empty()) {
        write!(stream, "{:x}\r\n", part.len())?;
        stream.write_all(part)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn read_request(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length])
}
