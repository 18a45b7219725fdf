//! The real program speaks TLS by itself: to every kind of client, through renewals, and to those who get it wrong.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::program::{GatewayProcess, Socket, Town, VendorProcess, question};
use crate::support::tls::{Authority, read_on};

const PATIENCE: Duration = Duration::from_secs(60);
const TLS: &str = "tls = { certificate = \"tls.pem\", key = \"tls.key\" }";

/// Waits until the operators' listener shows a line that begins like this.
async fn metric(gateway: &GatewayProcess, line: &str) {
    let shown = async {
        loop {
            let text = Socket::get(&gateway.ops, "/metrics").await.unwrap().text();
            if text.lines().any(|found| found.starts_with(line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("no {line}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn residents_ask_by_every_protocol_and_who_speaks_plainly_or_slowly_is_not_left_hanging() {
    let pace = ["--first-token-ms", "0", "--inter-token-ms", "0"];
    let openai = VendorProcess::start("openai", pace);
    let server = format!("header_read_seconds = 2\ntrusted_proxies = []\n{TLS}");
    let town = Town::new(&openai.address, "127.0.0.1:9", "", &server, "");
    let authority = Authority::new();
    authority.pair(2040).write(&town.folder);
    let key = town.key();
    let gateway = Town::serving(
        town.command(&["serve"])
            .env("PASSERELLE__IDENTITY__WRONG_KEYS_BURST", "2")
            .env("PASSERELLE__IDENTITY__WRONG_KEYS_PER_MINUTE", "1"),
    );

    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = authority.connect(&gateway.public, &["http/1.1"], version).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream.write_all(question(&key, "gpt-6-luna", true).as_bytes()).await.unwrap();
        let answer = read_on(&mut stream, "\0").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("data: [DONE]"), "{answer}");
    }
    over_http2(&authority, &gateway, &key).await;

    // Plain HTTP is told what to change, at once.
    let plain = tokio::time::timeout(Duration::from_secs(1), Socket::get(&gateway.public, "/v1/models")).await;
    let plain = plain.expect("it hangs").unwrap();
    assert_eq!(plain.status, 400);
    assert!(plain.text().contains("https://"), "{}", plain.text());

    // Silence, half a handshake and a handshake after which nothing is asked end within the time for a head.
    let hello = [&[0x16, 3, 1, 2, 0][..], &[1; 40]].concat();
    for began in [&[][..], &hello] {
        let mut slow = TcpStream::connect(&gateway.public).await.unwrap();
        slow.write_all(began).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::io::AsyncReadExt::read_to_end(&mut slow, &mut rest);
        assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "it is still open");
    }
    let mut silent = authority.connect(&gateway.public, &[], &rustls::version::TLS13).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, read_on(&mut silent, "\0")).await.is_ok());
    for outcome in ["completed", "plain_http", "timeout"] {
        metric(&gateway, &format!("passerelle_tls_handshakes_total{{listener=\"public\",outcome=\"{outcome}\"}}"))
            .await;
    }

    // The door sees through TLS whose wrong keys these are.
    for status in ["401", "401", "401", "429"] {
        let answer = authority.ask(&gateway.public, &question("psk-wrong", "gpt-6-luna", false)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let right = authority.ask(&gateway.public, &question(&key, "gpt-6-luna", false)).await.unwrap();
    assert!(right.starts_with("HTTP/1.1 200"), "{right}");
}

/// A client that knows both is given HTTP/2.
async fn over_http2(authority: &Authority, gateway: &GatewayProcess, key: &str) {
    let stream = authority.connect(&gateway.public, &["h2", "http/1.1"], &rustls::version::TLS13).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    let request = hyper::Request::get("https://localhost/v1/models").header("authorization", format!("Bearer {key}"));
    let answered = async {
        let answer = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, hyper::Version::HTTP_2));
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let models = tokio::select! { models = answered => models, ended = connection => panic!("{ended:?}") };
    assert!(models.contains("gpt-6-luna"), "{models}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_from_then_on_and_a_bad_one_never() {
    let openai = VendorProcess::start("openai", ["--first-token-ms", "0", "--inter-token-ms", "40"]);
    let town = Town::new(&openai.address, "127.0.0.1:9", "", TLS, "");
    let authority = Authority::new();
    let (first, second) = (authority.pair(2040), authority.pair(2041));
    first.write(&town.folder);
    let (key, gateway) = (town.key(), town.serve());
    assert_eq!(authority.shown(&gateway.public).await.unwrap(), first.der);
    let expires = "passerelle_certificate_expires_timestamp_seconds{listener=\"public\"}";
    // 1 January of 2040 and of 2041, at midnight UTC.
    metric(&gateway, &format!("{expires} 2208988800")).await;

    let mut stream = authority.connect(&gateway.public, &[], &rustls::version::TLS13).await.unwrap();
    stream.write_all(question(&key, "gpt-6-luna", true).as_bytes()).await.unwrap();
    let begun = read_on(&mut stream, "data: {").await.unwrap();
    assert!(begun.starts_with("HTTP/1.1 200") && !begun.contains("[DONE]"), "{begun}");
    second.write(&town.folder);
    let renewed = async {
        while authority.shown(&gateway.public).await.unwrap() != second.der {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the former certificate is still shown");
    metric(&gateway, &format!("{expires} 2240611200")).await;
    let rest = read_on(&mut stream, "data: [DONE]").await.unwrap();
    assert!(rest.contains("data: [DONE]") && !rest.contains("\"error\""), "{rest}");

    // A key that fits another certificate, a certificate of yesterday, and a file that is none: each refused whole.
    std::fs::write(town.folder.join("tls.key"), &first.key).unwrap();
    metric(&gateway, "passerelle_config_last_reload_successful 0").await;
    second.write(&town.folder);
    metric(&gateway, "passerelle_config_last_reload_successful 1").await;
    authority.pair(2020).write(&town.folder);
    metric(&gateway, "passerelle_config_last_reload_successful 0").await;
    std::fs::write(town.folder.join("tls.pem"), "nothing").unwrap();
    assert_eq!(authority.shown(&gateway.public).await.unwrap(), second.der);
    metric(&gateway, &format!("{expires} 2240611200")).await;
    second.write(&town.folder);
    metric(&gateway, "passerelle_config_last_reload_successful 1").await;
    assert_eq!(authority.shown(&gateway.public).await.unwrap(), second.der);
}

#[test]
fn a_check_tells_of_certificates_that_do_not_fit_or_end_soon_and_never_what_is_in_them() {
    let town = Town::new("127.0.0.1:9", "127.0.0.1:9", "", TLS, "");
    let authority = Authority::new();
    let (good, other) = (authority.pair(2040), authority.pair(2041));
    let check = || {
        let mut command = town.command(&["config", "check"]);
        let output = command.env("OPENAI_API_KEY", "k").env("MISTRAL_API_KEY", "k").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (certificate, key, code, said) in [
        (good.certificate.as_str(), good.key.as_str(), 0, "server.tls.key: "),
        (&good.certificate, &other.key, 78, "server.tls.key: does not fit the certificate of server.tls.certificate"),
        ("nothing", &good.key, 78, "server.tls.certificate: "),
        (&good.certificate, &good.certificate, 78, "holds no private key in PEM"),
        (&authority.pair(2020).certificate, &good.key, 78, "does not fit"),
    ] {
        std::fs::write(town.folder.join("tls.pem"), certificate).unwrap();
        std::fs::write(town.folder.join("tls.key"), key).unwrap();
        let (found, text) = check();
        assert_eq!(found, code, "{text}");
        assert!(text.contains(said), "no `{said}` in {text}");
        let secret = good.key.lines().nth(1).unwrap();
        assert!(!text.contains(secret), "{text}");
    }
    let expired = authority.pair(2020);
    expired.write(&town.folder);
    let (found, text) = check();
    assert!(found == 0 && text.contains("server.tls.certificate: expired on 2020-01-01"), "{text}");
    std::fs::remove_file(town.folder.join("tls.key")).unwrap();
    assert_eq!(check().0, 78, "a file that is not there");
}
