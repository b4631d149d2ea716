//! Load over plain sockets: requests are bytes made beforehand and answers are only measured, so that little of
//! the machine goes into measuring.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep_until, timeout},
};

/// One request as it goes over the wire.
pub struct Request(Vec<u8>);

impl Request {
    pub fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        Self::new("GET", path, headers, "")
    }

    pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        Self::new("POST", path, headers, body)
    }

    fn new(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        Self(text.into_bytes())
    }
}

/// Requests for one address, sent in turn over and over.
pub struct Load {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
}

/// What came of it.
pub struct Outcome {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Of the latencies, which are sorted.
    pub fn percentile(&self, share: f64) -> Duration {
        let index = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl Load {
    pub fn new(address: SocketAddr, requests: &[Request]) -> Self {
        Self { address, requests: Arc::new(requests.iter().map(|request| request.0.clone()).collect()) }
    }

    /// As fast as the answers come: each connection sends its next request when it has its answer.
    pub async fn run(&self, connections: usize, length: Duration) -> Result<Outcome> {
        self.drive(connections, length, None).await
    }

    /// At a steady rate; a late request counts from when it was due.
    pub async fn run_paced(&self, connections: usize, length: Duration, per_second: f64) -> Result<Outcome> {
        self.drive(connections, length, Some(Duration::from_secs_f64(connections as f64 / per_second))).await
    }

    async fn drive(&self, connections: usize, length: Duration, pace: Option<Duration>) -> Result<Outcome> {
        // The first second warms caches and statements up and is not counted.
        let warm_up = Duration::from_secs(1);
        let begin = Instant::now();
        let mut tasks = Vec::new();
        for number in 0..connections {
            let requests = self.requests.clone();
            let stream = TcpStream::connect(self.address).await.context("the server takes connections")?;
            stream.set_nodelay(true)?;
            let offset = pace.map(|pace| pace.mul_f64(number as f64 / connections as f64));
            tasks.push(tokio::spawn(connection(stream, requests, number, begin, warm_up, length, pace.zip(offset))));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        latencies.sort_unstable();
        Ok(Outcome { latencies, elapsed: length })
    }
}

async fn connection(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    number: usize,
    begin: Instant,
    warm_up: Duration,
    length: Duration,
    pace: Option<(Duration, Duration)>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    let mut due = begin + pace.map(|(_, offset)| offset).unwrap_or_default();
    // Each connection starts elsewhere in the list.
    let mut next = number * 37;
    loop {
        let mut sent = Instant::now();
        if let Some((pace, _)) = pace {
            if due > sent {
                sleep_until(due.into()).await;
            }
            sent = due;
            due += pace;
        }
        if sent >= begin + warm_up + length {
            return Ok(latencies);
        }
        stream.write_all(&requests[next % requests.len()]).await?;
        next += 1;
        timeout(Duration::from_secs(30), answer(&mut stream, &mut buffer)).await.context("no answer in 30 s")??;
        if sent >= begin + warm_up {
            latencies.push(sent.elapsed());
        }
    }
}

/// Reads one whole answer, which must be a success.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    if !text.starts_with("HTTP/1.1 2") {
        bail!("not a success: {}", String::from_utf8_lossy(buffer));
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) => {
            while buffer.len() < head + length {
                if stream.read_buf(buffer).await? == 0 {
                    bail!("the answer was cut");
                }
            }
        }
        // PostgREST sends chunks.
        None => {
            while !buffer.ends_with(b"0\r\n\r\n") {
                if stream.read_buf(buffer).await? == 0 {
                    bail!("the answer was cut");
                }
            }
        }
    }
    Ok(())
}
