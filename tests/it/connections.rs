//! Connections of the serving process that ask nothing, or not to the end.

use std::time::Duration;

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
