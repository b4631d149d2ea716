use std::{cell::RefCell, collections::VecDeque, future::poll_fn, rc::Rc, task::Poll};

use crate::{Error, Result};

/// Chunks that a writer may be ahead of its reader.
const AHEAD: usize = 4;

#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Vec<u8>>,
    writer_gone: bool,
    reader_gone: bool,
}

pub(crate) struct PipeReader(Rc<RefCell<Pipe>>);

pub(crate) struct PipeWriter(Rc<RefCell<Pipe>>);

pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let pipe = Rc::new(RefCell::new(Pipe::default()));
    (PipeWriter(Rc::clone(&pipe)), PipeReader(pipe))
}

/// A stream whose bytes are all there already.
pub(crate) fn full_pipe(bytes: Vec<u8>) -> PipeReader {
    let chunks = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([bytes]) };
    PipeReader(Rc::new(RefCell::new(Pipe { chunks, writer_gone: true, reader_gone: false })))
}

impl PipeReader {
    pub(crate) async fn read_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        poll_fn(|_| {
            let mut pipe = self.0.borrow_mut();
            let room = buffer.capacity();
            match pipe.chunks.pop_front() {
                Some(mut chunk) => {
                    if chunk.len() > room {
                        let rest = chunk.split_off(room);
                        pipe.chunks.push_front(rest);
                    }
                    buffer.extend_from_slice(&chunk);
                    Poll::Ready(true)
                }
                None if pipe.writer_gone => Poll::Ready(false),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl PipeWriter {
    pub(crate) async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        poll_fn(|_| {
            let mut pipe = self.0.borrow_mut();
            if pipe.reader_gone {
                return Poll::Ready(Err(Error::failed("the stream's reader went away")));
            }
            if pipe.chunks.len() >= AHEAD {
                return Poll::Pending;
            }
            pipe.chunks.push_back(buffer.clone());
            buffer.clear();
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.borrow_mut().reader_gone = true;
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.borrow_mut().writer_gone = true;
    }
}
