//! Signed as Standard Webhooks says (standardwebhooks.com, 1.0.0): HMAC-SHA256 over `id.timestamp.body`.

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use providers::transport::Notifier;
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::config::WebhookConfig;
use crate::ledger::Alert;

/// Sends one alert; gives the receiver's status.
pub(super) async fn send(
    notifier: &Notifier,
    webhook: &WebhookConfig,
    alert: &Alert,
    now: Timestamp,
) -> Result<u16, String> {
    let sent_at = now.as_second().to_string();
    let signature = sign(webhook, &alert.id, &sent_at, &alert.body)?;
    let headers = [("webhook-id", alert.id.clone()), ("webhook-timestamp", sent_at), ("webhook-signature", signature)];
    notifier.post(webhook.url.expose_secret(), &headers, Bytes::from(alert.body.clone())).await
}

fn sign(webhook: &WebhookConfig, id: &str, sent_at: &str, body: &str) -> Result<String, String> {
    let text = webhook.secret.expose_secret();
    let key = BASE64.decode(text.as_bytes()).map_err(|_| "the webhook's secret is not base64".to_owned())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{sent_at}.{body}").as_bytes());
    Ok(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specifications_example() {
        // The example of Standard Webhooks and of Svix, whose scheme it is.
        let webhook = WebhookConfig {
            url: "http://x".to_owned().into(),
            secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into(),
        };
        let signature = sign(&webhook, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}").unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
