//! A target of the configuration, made real.

use executus_core::secret::Secret;
use executus_deliver::{Chat, Folder, Routes, SigningKey, Webhook};
use executus_http::Client;

use crate::config::{Mailbox, TargetConfig, Url, Way};
use crate::fault::{Fault, chain};

/// The routes with this target.
///
/// # Errors
/// A target that cannot be one, or a variable that is not set.
pub(super) fn add(routes: Routes, config: &TargetConfig, client: &Client) -> Result<Routes, Fault> {
    let (name, on) = (config.name.as_str(), config.on);
    let added = match &config.way {
        Way::File(path) => routes.to(name, on, Folder::file(path)),
        Way::Folder(path) => routes.to(name, on, Folder::new(path)),
        Way::Webhook { url, key_env, token_env } => {
            let mut hook = Webhook::new(client.clone(), &address(url)?).map_err(wrong)?;
            for name in key_env {
                let key = SigningKey::new(&variable(name)?);
                hook = hook.key(key.map_err(|error| wrong(error).at(name))?);
            }
            if let Some(name) = token_env {
                let bearer = Secret::new(format!("Bearer {}", variable(name)?.expose().trim()));
                hook = hook.header("authorization", &bearer).map_err(wrong)?;
            }
            if let Some(limit) = config.timeout {
                hook = hook.timeout(limit);
            }
            routes.to(name, on, hook)
        }
        Way::Chat { url, limit } => {
            let mut chat = Chat::new(client.clone(), &address(url)?).map_err(wrong)?;
            if let Some(limit) = limit {
                chat = chat.limit(*limit);
            }
            if let Some(limit) = config.timeout {
                chat = chat.timeout(limit);
            }
            routes.to(name, on, chat)
        }
        Way::Email(mailbox) => return email(routes, config, mailbox),
    };
    added.map_err(wrong)
}

#[cfg(feature = "email")]
fn email(routes: Routes, config: &TargetConfig, mailbox: &Mailbox) -> Result<Routes, Fault> {
    use crate::config::EncryptionText;
    use executus_deliver::{Email, Encryption};

    let (encryption, port) = match mailbox.encryption {
        EncryptionText::Tls => (Encryption::Tls, 465),
        EncryptionText::StartTls => (Encryption::StartTls, 587),
        EncryptionText::None => (Encryption::None, 25),
    };
    let to: Vec<&str> = mailbox.to.iter().map(String::as_str).collect();
    let port = mailbox.port.unwrap_or(port);
    let mut email =
        Email::new(&mailbox.host, port, encryption, &mailbox.from, &to).map_err(wrong)?;
    if let (Some(user), Some(name)) = (&mailbox.user, &mailbox.password_env) {
        email = email.login(user, variable(name)?).map_err(wrong)?;
    }
    if let Some(limit) = config.timeout {
        email = email.timeout(limit);
    }
    routes.to(&config.name, config.on, email).map_err(wrong)
}

#[cfg(not(feature = "email"))]
fn email(_: Routes, _: &TargetConfig, _: &Mailbox) -> Result<Routes, Fault> {
    Err(Fault::usage("this program was built without e-mail")
        .help("build it with the feature `email`"))
}

fn address(url: &Url) -> Result<Secret, Fault> {
    match url {
        Url::Plain(url) => Ok(Secret::new(url.as_str())),
        Url::Variable(name) => variable(name),
    }
}

fn variable(name: &str) -> Result<Secret, Fault> {
    #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
    std::env::var(name).map(Secret::new).map_err(|_| {
        Fault::usage(format!("the variable {name} is not set, or is no text"))
            .help("set it, or take the target out of executus.toml")
    })
}

fn wrong(error: impl std::error::Error) -> Fault {
    Fault::usage(chain(&error))
}
