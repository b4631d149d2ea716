//! A small SMTP server (RFC 5321, with AUTH PLAIN of RFC 4954 and STARTTLS of RFC 3207) that records messages and
//! commands.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::Engine as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::WAIT_TIMEOUT;

/// A received message.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The message was received over TLS.
    pub encrypted: bool,
    /// User and password of the session.
    pub credentials: Option<(String, String)>,
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body, without the protocol's dot stuffing.
    pub data: String,
}

/// The server's use of TLS.
#[derive(Clone)]
pub enum MailTls {
    None,
    /// TLS starts with the command STARTTLS.
    Starttls(TlsAcceptor),
    /// TLS starts with the connection.
    Wrapped(TlsAcceptor),
}

/// A running server. Dropping it stops it.
pub struct MailServer {
    pub address: SocketAddr,
    mails: tokio::sync::Mutex<mpsc::UnboundedReceiver<Mail>>,
    commands: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl MailServer {
    /// Starts a server. `refuse` returns the reply for recipients that the server rejects, and `None` for others.
    pub async fn start(refuse: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::start_with(MailTls::None, refuse).await
    }

    /// Starts a server with TLS that accepts every recipient.
    pub async fn start_tls(tls: MailTls) -> Self {
        Self::start_with(tls, |_| None).await
    }

    async fn start_with(tls: MailTls, refuse: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (sender, receiver) = mpsc::unbounded_channel();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (recorded, refuse) = (commands.clone(), Arc::new(refuse));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, recorded, refuse, tls) = (sender.clone(), recorded.clone(), refuse.clone(), tls.clone());
                tokio::spawn(async move {
                    // A client that disconnects ends only its own session.
                    let session = Session { mails: &sender, commands: &recorded, refuse: &*refuse };
                    let _ = session.run(Box::new(stream), tls).await;
                });
            }
        });
        Self { address, mails: tokio::sync::Mutex::new(receiver), commands, accepting }
    }

    pub async fn next(&self) -> Mail {
        let next = async { self.mails.lock().await.recv().await.expect("the server should run") };
        tokio::time::timeout(WAIT_TIMEOUT, next).await.expect("a message should arrive")
    }

    /// Returns all commands of clients, without message data.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("commands").clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Session<'a, R> {
    mails: &'a mpsc::UnboundedSender<Mail>,
    commands: &'a Mutex<Vec<String>>,
    refuse: &'a R,
}

impl<R: Fn(&str) -> Option<String> + Send + Sync> Session<'_, R> {
    async fn run(&self, stream: Box<dyn Stream>, tls: MailTls) -> std::io::Result<()> {
        const GREETING: &[u8] = b"220 mail.test ESMTP\r\n";
        match tls {
            MailTls::None => self.part(stream, GREETING, false, None).await.map(drop),
            MailTls::Wrapped(acceptor) => {
                let stream = Box::new(acceptor.accept(stream).await?);
                self.part(stream, GREETING, true, None).await.map(drop)
            }
            MailTls::Starttls(acceptor) => match self.part(stream, GREETING, false, Some("250-STARTTLS\r\n")).await? {
                Some(stream) => {
                    let stream = Box::new(acceptor.accept(stream).await?);
                    self.part(stream, b"", true, None).await.map(drop)
                }
                None => Ok(()),
            },
        }
    }

    /// Serves the session until its end or until STARTTLS. After STARTTLS, returns the stream.
    async fn part(
        &self,
        stream: Box<dyn Stream>,
        greeting: &[u8],
        encrypted: bool,
        offer: Option<&str>,
    ) -> std::io::Result<Option<Box<dyn Stream>>> {
        let mut stream = BufReader::new(stream);
        stream.write_all(greeting).await?;
        stream.flush().await?;
        let mut mail = Mail { encrypted, ..Mail::default() };
        while let Some(line) = next_line(&mut stream).await? {
            self.commands.lock().expect("commands").push(line.clone());
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let reply = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => format!("250-mail.test\r\n{}250-8BITMIME\r\n250 AUTH PLAIN", offer.unwrap_or_default()),
                "STARTTLS" if offer.is_some() => {
                    stream.write_all(b"220 go on\r\n").await?;
                    stream.flush().await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => {
                    mail.credentials = plain_credentials(rest);
                    if mail.credentials.is_some() { "235 welcome".to_owned() } else { "535 not you".to_owned() }
                }
                "MAIL" => {
                    mail.from = address_in(rest);
                    "250 ok".to_owned()
                }
                "RCPT" => match (self.refuse)(&address_in(rest)) {
                    Some(refusal) => refusal,
                    None => {
                        mail.to.push(address_in(rest));
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    stream.flush().await?;
                    while let Some(line) = next_line(&mut stream).await?
                        && line != "."
                    {
                        mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.data.push('\n');
                    }
                    let _ = self.mails.send(std::mem::replace(&mut mail, Mail { encrypted, ..Mail::default() }));
                    "250 taken".to_owned()
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    stream.shutdown().await?;
                    return Ok(None);
                }
                "RSET" | "NOOP" => "250 ok".to_owned(),
                _ => "502 what?".to_owned(),
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            stream.flush().await?;
        }
        Ok(None)
    }
}

/// Reads a line. Returns `None` if the client disconnected.
async fn next_line(stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await?;
    Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Parses `PLAIN <base64 of NUL user NUL password>`.
fn plain_credentials(rest: &str) -> Option<(String, String)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest.strip_prefix("PLAIN ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn address_in(text: &str) -> String {
    text.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
