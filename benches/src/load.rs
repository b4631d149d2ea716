//! Load over plain sockets: requests are bytes made beforehand and answers are only measured, so that little of
//! the machine goes into measuring.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Warms caches and statements up and is not counted.
const WARM_UP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

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
    pub fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self { latencies, elapsed }
    }

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
        let begin = Instant::now();
        let mut tasks = Vec::new();
        for number in 0..connections {
            let requests = self.requests.clone();
            let stream = TcpStream::connect(self.address).await.context("the server takes connections")?;
            stream.set_nodelay(true)?;
            tasks.push(tokio::spawn(unpaced(stream, requests, number, begin, length)));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        Ok(Outcome::new(latencies, length))
    }

    /// At a steady rate; a late request counts from when it was due. A thread for each connection, since timers of the
    /// runtime round up to whole milliseconds, which is longer than most answers take.
    pub fn run_paced(&self, connections: usize, length: Duration, per_second: f64) -> Result<Outcome> {
        let pace = Duration::from_secs_f64(connections as f64 / per_second);
        let begin = Instant::now();
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let (address, requests) = (self.address, self.requests.clone());
                let offset = pace.mul_f64(number as f64 / connections as f64);
                std::thread::spawn(move || paced(address, &requests, number, begin, length, pace, offset))
            })
            .collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| anyhow!("a thread of the load panicked"))??);
        }
        Ok(Outcome::new(latencies, length))
    }
}

async fn unpaced(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    number: usize,
    begin: Instant,
    length: Duration,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    // Each connection starts elsewhere in the list.
    let mut next = number * 37;
    loop {
        let sent = Instant::now();
        if sent >= begin + WARM_UP + length {
            return Ok(latencies);
        }
        stream.write_all(&requests[next % requests.len()]).await?;
        next += 1;
        timeout(PATIENCE, answer(&mut stream, &mut buffer)).await.context("no answer in 30 s")??;
        if sent >= begin + WARM_UP {
            latencies.push(sent.elapsed());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which blocks nobody")]
fn paced(
    address: SocketAddr,
    requests: &[Vec<u8>],
    number: usize,
    begin: Instant,
    length: Duration,
    pace: Duration,
    offset: Duration,
) -> Result<Vec<Duration>> {
    let mut stream = std::net::TcpStream::connect(address).context("the server takes connections")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    let mut next = number * 37;
    let mut due = begin + offset;
    while due < begin + WARM_UP + length {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&requests[next % requests.len()])?;
        next += 1;
        blocking_answer(&mut stream, &mut buffer)?;
        if due >= begin + WARM_UP {
            latencies.push(due.elapsed());
        }
        due += pace;
    }
    Ok(latencies)
}

/// Reads one whole answer, which must be a success.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    while !is_whole(buffer)? {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
    }
    Ok(())
}

fn blocking_answer(stream: &mut std::net::TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut piece = [0; 16 << 10];
    while !is_whole(buffer)? {
        match stream.read(&mut piece)? {
            0 => bail!("the server closed the connection"),
            length => buffer.extend_from_slice(&piece[..length]),
        }
    }
    Ok(())
}

fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(&answer[..end])?;
    if !text.starts_with("HTTP/1.1 2") {
        bail!("not a success: {}", String::from_utf8_lossy(answer));
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(match length {
        Some(length) => answer.len() >= end + 4 + length,
        // PostgREST sends chunks.
        None => answer.ends_with(b"0\r\n\r\n"),
    })
}
