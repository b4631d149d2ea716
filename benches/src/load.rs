//! An HTTP load generator over plain sockets. Requests are built in advance, and only the status and length of a
//! response are parsed, so that measuring takes little processor time.

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

/// Time at the start that is not measured, to fill caches and prepare statements.
const WARM_UP: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes of one HTTP request.
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

/// Requests that are sent to an address in rotation.
pub struct Load {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
}

/// Latencies of a load.
pub struct Outcome {
    /// The latencies, shortest first.
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

    /// Returns a percentile of the latencies; `share` is between 0 and 1.
    pub fn percentile(&self, share: f64) -> Duration {
        let index = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl Load {
    pub fn new(address: SocketAddr, requests: &[Request]) -> Self {
        Self { address, requests: Arc::new(requests.iter().map(|request| request.0.clone()).collect()) }
    }

    /// Sends as fast as possible: each connection sends its next request when the previous response has arrived.
    pub async fn run(&self, connections: usize, length: Duration) -> Result<Outcome> {
        let begin = Instant::now();
        let mut tasks = Vec::new();
        for number in 0..connections {
            let requests = self.requests.clone();
            let stream = TcpStream::connect(self.address).await.context("could not connect to the server")?;
            stream.set_nodelay(true)?;
            tasks.push(tokio::spawn(send_unpaced(stream, requests, number, begin, length)));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        Ok(Outcome::new(latencies, length))
    }

    /// Sends at a constant rate. Latency is measured from the time at which a request was due. Each connection has its
    /// own thread, because timers of the runtime round up to whole milliseconds, and most responses take less than one.
    pub fn run_paced(&self, connections: usize, length: Duration, per_second: f64) -> Result<Outcome> {
        let interval = Duration::from_secs_f64(connections as f64 / per_second);
        let begin = Instant::now();
        let threads: Vec<_> = (0..connections)
            .map(|connection| {
                let (address, requests) = (self.address, self.requests.clone());
                let first = begin + interval.mul_f64(connection as f64 / connections as f64);
                let schedule = Schedule { connection, begin, length, first, interval };
                std::thread::spawn(move || send_paced(&schedule, address, &requests))
            })
            .collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| anyhow!("a thread of the load generator panicked"))??);
        }
        Ok(Outcome::new(latencies, length))
    }
}

async fn send_unpaced(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    number: usize,
    begin: Instant,
    length: Duration,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    // Each connection starts at a different request of the list.
    let mut next = number * 37;
    loop {
        let sent = Instant::now();
        if sent >= begin + WARM_UP + length {
            return Ok(latencies);
        }
        stream.write_all(&requests[next % requests.len()]).await?;
        next += 1;
        timeout(RESPONSE_TIMEOUT, read_response(&mut stream, &mut buffer))
            .await
            .context("no response within 30 s")??;
        if sent >= begin + WARM_UP {
            latencies.push(sent.elapsed());
        }
    }
}

/// The times at which one connection of a paced load sends its requests.
struct Schedule {
    /// Index of the connection.
    connection: usize,
    begin: Instant,
    length: Duration,
    /// When the first request is due.
    first: Instant,
    interval: Duration,
}

#[expect(clippy::disallowed_methods, reason = "runs on its own thread")]
fn send_paced(schedule: &Schedule, address: SocketAddr, requests: &[Vec<u8>]) -> Result<Vec<Duration>> {
    let &Schedule { connection, begin, length, first, interval } = schedule;
    let mut stream = std::net::TcpStream::connect(address).context("could not connect to the server")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    let mut next = connection * 37;
    let mut due = first;
    while due < begin + WARM_UP + length {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&requests[next % requests.len()])?;
        next += 1;
        read_response_blocking(&mut stream, &mut buffer)?;
        if due >= begin + WARM_UP {
            latencies.push(due.elapsed());
        }
        due += interval;
    }
    Ok(latencies)
}

/// Reads one complete response.
///
/// # Errors
/// Fails if the status is not 2xx, or if the connection fails.
async fn read_response(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    while !is_complete(buffer)? {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
    }
    Ok(())
}

fn read_response_blocking(stream: &mut std::net::TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut chunk = [0; 16 << 10];
    while !is_complete(buffer)? {
        match stream.read(&mut chunk)? {
            0 => bail!("the server closed the connection"),
            length => buffer.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(())
}

fn is_complete(response: &[u8]) -> Result<bool> {
    let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(&response[..end])?;
    if !text.starts_with("HTTP/1.1 2") {
        bail!("the request failed: {}", String::from_utf8_lossy(response));
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(match length {
        Some(length) => response.len() >= end + 4 + length,
        // PostgREST uses chunked encoding.
        None => response.ends_with(b"0\r\n\r\n"),
    })
}
