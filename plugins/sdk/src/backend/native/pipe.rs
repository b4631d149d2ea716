//! Streams of bytes within one thread.

use std::{cell::RefCell, collections::VecDeque, future::poll_fn, rc::Rc, task::Poll};

use crate::{Error, Result};

/// Number of chunks that a pipe holds before writing waits for the reader.
const MAX_CHUNKS: usize = 4;

#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Vec<u8>>,
    writer_closed: bool,
    reader_closed: bool,
}

pub(crate) struct Reader(Rc<RefCell<Pipe>>);

pub(crate) struct Writer(Rc<RefCell<Pipe>>);

pub(crate) fn pipe() -> (Writer, Reader) {
    let pipe = Rc::new(RefCell::new(Pipe::default()));
    (Writer(Rc::clone(&pipe)), Reader(pipe))
}

impl Reader {
    /// Creates a stream of the given bytes.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let chunks = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([bytes]) };
        Self(Rc::new(RefCell::new(Pipe { chunks, writer_closed: true, reader_closed: false })))
    }

    pub(crate) async fn read_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        poll_fn(|_| {
            let mut pipe = self.0.borrow_mut();
            let capacity = buffer.capacity();
            match pipe.chunks.pop_front() {
                Some(mut chunk) => {
                    if chunk.len() > capacity {
                        let rest = chunk.split_off(capacity);
                        pipe.chunks.push_front(rest);
                    }
                    buffer.extend_from_slice(&chunk);
                    Poll::Ready(true)
                }
                None if pipe.writer_closed => Poll::Ready(false),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Writer {
    pub(crate) async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        poll_fn(|_| {
            let mut pipe = self.0.borrow_mut();
            if pipe.reader_closed {
                return Poll::Ready(Err(Error::failed("the reader closed the stream")));
            }
            if pipe.chunks.len() >= MAX_CHUNKS {
                return Poll::Pending;
            }
            pipe.chunks.push_back(buffer.clone());
            buffer.clear();
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.borrow_mut().reader_closed = true;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.borrow_mut().writer_closed = true;
    }
}
