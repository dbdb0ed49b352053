//! Mails, over real sessions with a server that takes them or does not.

use std::time::Duration;

use executus_core::RunStatus;
use executus_core::port::{Delivery as _, DeliveryError};
use executus_core::secret::Secret;
use executus_deliver::{Direct, Email, EmailError, Encryption, Routes, When};

use crate::smtp::{Server, Ways};
use crate::support::{parcel, quick, with};

fn direct(email: Email) -> Direct {
    Direct::new(Routes::new().to("mail", When::Always, email).unwrap()).backoff(quick(3))
}

/// In plain text, to every recipient, under a message id of the run, over each kind of connection.
#[tokio::test]
async fn a_result_is_a_mail() {
    for encryption in [Encryption::None, Encryption::StartTls, Encryption::Tls] {
        let server = Server::start(Ways { encryption, ..Ways::default() }).await;
        let mut email = server.mailbox();
        if encryption != Encryption::None {
            email = email.login("runs", Secret::new("pa55word")).unwrap();
        }
        let direct = direct(email);
        direct.deliver(&with("run-1", "It is done: é.", &[])).await.unwrap();
        direct.deliver(&with("run-1", "It is done: é.", &[])).await.unwrap();
        let mails = server.mails();
        let mail = &mails[0];
        assert!(mail.from.contains("<runs@example.org>"), "{}", mail.from);
        assert_eq!(mail.to.len(), 2);
        assert_eq!(mail.field("Subject"), "a sample: ok");
        assert_eq!(mail.field("Idempotency-Key"), "run-1");
        assert!(mail.field("Message-ID").ends_with("@example.org>"), "{}", mail.text);
        assert_eq!(mail.field("Message-ID"), mails[1].field("Message-ID"));
        assert!(mail.text.contains("It is done: =C3=A9."), "{}", mail.text);
        assert_eq!(mail.login.is_some(), encryption != Encryption::None);
    }
}

/// 5xx is a refusal, of the mail or of the login; it is not repeated, and shows no password.
#[tokio::test]
async fn a_server_that_refuses() {
    let refuses = Some("550 no such mailbox");
    let refusing = Ways { refuses, encryption: Encryption::Tls, ..Ways::default() };
    let closed = Ways { no_login: true, refuses: None, ..refusing.clone() };
    for (ways, said) in [(refusing, "no such mailbox"), (closed, "no such user")] {
        let server = Server::start(ways).await;
        let email = server.mailbox().login("runs", Secret::new("pa55word")).unwrap();
        let error = direct(email).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Rejected { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error:?}").contains("pa55word"), "{error:?}");
        assert_eq!(server.mails().len(), 0);
    }
}

/// 4xx is worth another attempt.
#[tokio::test]
async fn a_server_that_is_busy() {
    let ways = Ways { busy_for: 2, encryption: Encryption::None, ..Ways::default() };
    let server = Server::start(ways).await;
    direct(server.mailbox()).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    assert_eq!(server.mails().len(), 1);
    let ways = Ways { busy_for: 9, encryption: Encryption::None, ..Ways::default() };
    let server = Server::start(ways).await;
    let error =
        direct(server.mailbox()).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
    assert!(error.retry() && error.to_string().contains("later, please"), "{error}");
}

/// What a server does after it took the mail does not send it again.
#[tokio::test]
async fn a_server_that_hangs_up_has_the_mail() {
    let ways = Ways { hangs_up: true, encryption: Encryption::None, ..Ways::default() };
    let server = Server::start(ways).await;
    direct(server.mailbox()).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

/// A server that says nothing is given up after its time; one whose certificate nobody signed is
/// not spoken to, and one without STARTTLS gets no mail in the clear.
#[tokio::test]
async fn a_server_that_is_not_to_be_trusted() {
    let silent =
        Server::start(Ways { silent: true, encryption: Encryption::None, ..Ways::default() }).await;
    let email = silent.mailbox().timeout(Duration::from_millis(100));
    let error = direct(email).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
    assert!(error.retry(), "{error}");

    let server = Server::start(Ways { encryption: Encryption::Tls, ..Ways::default() }).await;
    let port = server.port();
    let email = Email::new("localhost", port, Encryption::Tls, "a@b.c", &["d@e.f"]).unwrap();
    let error = direct(email).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
    assert!(error.retry(), "{error}");

    let plain = Server::start(Ways { encryption: Encryption::None, ..Ways::default() }).await;
    let email = Email::new("localhost", plain.port(), Encryption::StartTls, "a@b.c", &["d@e.f"]);
    let error = direct(email.unwrap()).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Rejected { .. }), "{error}");
    assert_eq!(server.mails().len() + plain.mails().len(), 0);
}

/// A mailbox that is none, and a password in the clear, are refused when they are configured.
#[test]
fn what_cannot_be_a_mailbox() {
    let email = |from, to: &[&str]| Email::new("localhost", 25, Encryption::None, from, to);
    for (from, to) in [("nobody", ["a@b.c"]), ("a@b.c", ["a@b.c\nBcc: x@y.z"]), ("a@b.c", [""])] {
        assert!(matches!(email(from, &to), Err(EmailError::Address { .. })), "{from} {to:?}");
    }
    assert_eq!(email("a@b.c", &[]).unwrap_err(), EmailError::Nobody);
    let plain = email("a@b.c", &["a@b.c"]).unwrap();
    let error = plain.login("a", Secret::new("pa55word")).unwrap_err();
    assert_eq!(error, EmailError::Password);
}
