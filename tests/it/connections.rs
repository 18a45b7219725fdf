//! Connections of the serving process that ask nothing, or not to the end, or are refused before they have.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::program::{Socket, Town};

#[tokio::test]
async fn connections_that_ask_nothing_are_closed_on_every_listener() {
    let nobody = "127.0.0.1:9";
    let town = Town::new(nobody, nobody, "", "header_read_seconds = 1\nmax_connections = 8", "");
    let gateway = town.serve();
    for address in [&gateway.public, &gateway.mairie, &gateway.ops] {
        let mut silent = Vec::new();
        for began in
            ["", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ", "PRI * HTTP/2.0\r\n", ""].repeat(2)
        {
            silent.push(Socket::send(address, began).await.unwrap());
        }
        // All places are taken: whoever asks a question waits until the silent ones are gone, and not for ever.
        let answered = tokio::time::timeout(Duration::from_secs(20), Socket::get(address, "/livez")).await;
        assert!(answered.expect("no place was freed").is_ok());
        for socket in silent {
            assert!(tokio::time::timeout(Duration::from_secs(20), socket.rest()).await.is_ok(), "it is still open");
        }
    }
}

#[tokio::test]
async fn a_long_upload_that_is_refused_early_still_hears_why() {
    let nobody = "127.0.0.1:9";
    let town = Town::new(nobody, nobody, "", "", "");
    let gateway = town.serve();
    for (path, key, status) in [
        ("/v1/chat/completions", "psk-wrong", "401"),
        ("/v1/nothing", "psk-wrong", "404"),
        ("/v1/audio/transcriptions", "", "401"),
    ] {
        let length = 12 << 20;
        let mut connection = TcpStream::connect(&gateway.public).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // A client that writes all before it reads: cut off on the way, it would see a broken pipe instead.
        connection.write_all(&vec![b'x'; length]).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[9..], status.as_bytes(), "{path}");
    }
}
