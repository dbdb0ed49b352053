//! A mail server that keeps what it takes, or refuses it.

use std::sync::Arc;

use executus_deliver::{Email, Encryption};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A mail as it came.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// What somebody logged in with.
    pub(crate) login: Option<String>,
}

impl Mail {
    /// A field of the head.
    pub(crate) fn field(&self, name: &str) -> String {
        let found = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    }
}

/// How a server behaves.
#[derive(Clone, Default)]
pub(crate) struct Ways {
    /// What it says to the n-th recipient, instead of taking him.
    pub(crate) refuses: Option<&'static str>,
    /// What it says after so many mails have been tried, before that it takes none.
    pub(crate) busy_for: usize,
    /// It goes away as soon as it has taken a mail.
    pub(crate) hangs_up: bool,
    /// It says nothing at all.
    pub(crate) silent: bool,
    pub(crate) encryption: Encryption,
    /// It takes no password.
    pub(crate) no_login: bool,
}

pub(crate) struct Server {
    port: u16,
    pem: String,
    ways: Ways,
    mails: watch::Receiver<Vec<Mail>>,
    _tasks: JoinSet<()>,
}

struct Hall {
    ways: Ways,
    acceptor: TlsAcceptor,
    mails: watch::Sender<Vec<Mail>>,
    tried: std::sync::atomic::AtomicUsize,
}

impl Server {
    pub(crate) async fn start(ways: Ways) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key =
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let (sender, mails) = watch::channel(Vec::new());
        let hall = Arc::new(Hall {
            ways: ways.clone(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            mails: sender,
            tried: Default::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sessions.spawn(host(stream, Arc::clone(&hall)));
            }
        });
        Self { port, pem: certified.cert.pem(), ways, mails, _tasks: tasks }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.borrow().clone()
    }

    pub(crate) fn mailbox(&self) -> Email {
        let to = ["Ops <ops@example.com>", "second@example.com"];
        let email = Email::new(
            "localhost",
            self.port,
            self.ways.encryption,
            "Runs <runs@example.org>",
            &to,
        );
        email.unwrap().add_root_certificate(self.pem.as_bytes()).unwrap()
    }
}

async fn host(stream: TcpStream, hall: Arc<Hall>) {
    if hall.ways.silent {
        std::future::pending::<()>().await;
    }
    let done = match hall.ways.encryption {
        Encryption::Tls => match hall.acceptor.accept(stream).await {
            Ok(stream) => session(stream, &hall, true, true).await.map(drop),
            Err(error) => Err(error),
        },
        Encryption::None => session(stream, &hall, true, true).await.map(drop),
        Encryption::StartTls => match session(stream, &hall, true, false).await {
            Ok(Some(stream)) => match hall.acceptor.accept(stream).await {
                Ok(stream) => session(stream, &hall, false, true).await.map(drop),
                Err(error) => Err(error),
            },
            other => other.map(drop),
        },
    };
    // A client may go whenever it likes.
    drop(done);
}

/// One session; the stream, when TLS is to begin on it.
async fn session<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    hall: &Hall,
    greets: bool,
    secure: bool,
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 test\r\n").await?;
    }
    let mut mail = Mail { from: String::new(), to: Vec::new(), text: String::new(), login: None };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" if secure => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
            "EHLO" => "250-test\r\n250 STARTTLS",
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "AUTH" if hall.ways.no_login => "535 no such user, or password",
            "AUTH" => {
                mail.login = Some(line.to_owned());
                "235 welcome"
            }
            "MAIL" => {
                let tried = hall.tried.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                mail.from = line.to_owned();
                if tried < hall.ways.busy_for { "451 later, please" } else { "250 ok" }
            }
            "RCPT" => {
                mail.to.push(line.to_owned());
                hall.ways.refuses.unwrap_or("250 ok")
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.text.push_str(&line.replace("\r\n", "\n"));
                }
                hall.mails.send_modify(|mails| mails.push(mail.clone()));
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "500 what?",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if answer == "250 taken" && hall.ways.hangs_up {
            return Ok(None);
        }
    }
}
