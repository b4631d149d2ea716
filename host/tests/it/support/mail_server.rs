//! A small SMTP server (RFC 5321, with AUTH PLAIN of RFC 4954) that records what it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::Engine as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::PATIENCE;

/// A mail that was taken.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// User and password that it was sent with.
    pub credentials: Option<(String, String)>,
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body, without the dots that the protocol adds.
    pub data: String,
}

/// Listens until it is dropped.
pub struct MailServer {
    pub address: SocketAddr,
    mails: tokio::sync::Mutex<mpsc::UnboundedReceiver<Mail>>,
    commands: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl MailServer {
    /// `refuse` gives the answer to a recipient that the server doesn't want.
    pub async fn start(refuse: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (sender, receiver) = mpsc::unbounded_channel();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (told, refuse) = (commands.clone(), Arc::new(refuse));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, told, refuse) = (sender.clone(), told.clone(), refuse.clone());
                tokio::spawn(async move {
                    // A client that goes away ends its session alone.
                    let _ = session(stream, &sender, &told, &*refuse).await;
                });
            }
        });
        Self { address, mails: tokio::sync::Mutex::new(receiver), commands, accepting }
    }

    pub async fn next(&self) -> Mail {
        let next = async { self.mails.lock().await.recv().await.expect("the server runs") };
        tokio::time::timeout(PATIENCE, next).await.expect("a mail comes")
    }

    /// Everything that clients said outside of mails.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("commands").clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn session(
    stream: TcpStream,
    mails: &mpsc::UnboundedSender<Mail>,
    commands: &Mutex<Vec<String>>,
    refuse: &(impl Fn(&str) -> Option<String> + Send + Sync),
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.test ESMTP\r\n").await?;
    let mut mail = Mail::default();
    while let Some(line) = lines.next_line().await? {
        commands.lock().expect("commands").push(line.clone());
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN".to_owned(),
            "AUTH" => {
                mail.credentials = plain_credentials(rest);
                if mail.credentials.is_some() { "235 welcome".to_owned() } else { "535 not you".to_owned() }
            }
            "MAIL" => {
                mail.from = address_in(rest);
                "250 ok".to_owned()
            }
            "RCPT" => match refuse(&address_in(rest)) {
                Some(refusal) => refusal,
                None => {
                    mail.to.push(address_in(rest));
                    "250 ok".to_owned()
                }
            },
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                while let Some(line) = lines.next_line().await?
                    && line != "."
                {
                    mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.data.push('\n');
                }
                let _ = mails.send(std::mem::take(&mut mail));
                "250 taken".to_owned()
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "RSET" | "NOOP" => "250 ok".to_owned(),
            _ => "502 what?".to_owned(),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Of `PLAIN <base64 of NUL user NUL password>`.
fn plain_credentials(rest: &str) -> Option<(String, String)> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest.strip_prefix("PLAIN ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn address_in(text: &str) -> String {
    text.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
