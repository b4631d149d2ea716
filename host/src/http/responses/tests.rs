//! Tests which responses fit into the limits, and that their bytes are counted until they are dropped.

use axum::body::HttpBody as _;
use http_body_util::BodyExt as _;

use super::{
    Recipient, ResponseBuffer, ResponseError, ResponseLimits, ResponseMemory,
    buffer::{PIECE, STEP, UNCOUNTED_BYTES},
};

fn memory(max_bytes: usize, max_bytes_in_flight: usize) -> ResponseMemory {
    ResponseMemory::new(ResponseLimits { max_bytes, max_bytes_in_flight })
}

fn filled(memory: &ResponseMemory, recipient: Recipient<'_>, bytes: usize) -> Result<ResponseBuffer, ResponseError> {
    let mut response = memory.response(recipient, 0);
    for start in (0..bytes).step_by(1000) {
        response.push(&vec![b'x'; 1000.min(bytes - start)])?;
    }
    Ok(response)
}

#[tokio::test]
async fn response_keeps_its_bytes_with_pieces_of_any_size() {
    let memory = memory(1 << 20, 4 << 20);
    for size in [0, 1, 100, 5000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
        for piece in [1, 999, 40_000, size.max(1)] {
            let expected: Vec<u8> = (0..size).map(|position| (position % 251) as u8).collect();
            let mut response = memory.response(Recipient::Owner, 100);
            for part in expected.chunks(piece) {
                response.push(part).unwrap();
            }
            assert_eq!(response.len(), size);
            let body = response.into_body();
            assert_eq!(body.size_hint().exact(), Some(size as u64));
            assert!(body.collect().await.unwrap().to_bytes() == expected, "{size} in {piece}");
        }
    }
    assert_eq!(memory.used(), 0);
}

#[test]
fn response_larger_than_the_maximum_is_refused() {
    let memory = memory(100_000, 1 << 20);
    assert_eq!(filled(&memory, Recipient::Owner, 100_000).unwrap().len(), 100_000);
    assert_eq!(filled(&memory, Recipient::Owner, 100_001).err(), Some(ResponseError::TooLarge(100_000)));
    let mut cleared = filled(&memory, Recipient::Owner, 90_000).unwrap();
    cleared.clear();
    cleared.push(&[b'x'; 90_000]).unwrap();
    assert_eq!(cleared.push(&[b'x'; 20_000]), Err(ResponseError::TooLarge(100_000)));
    drop(cleared);
    assert_eq!(memory.used(), 0);
}

#[test]
fn project_takes_half_and_all_projects_three_quarters_of_the_memory() {
    let memory = memory(1 << 20, 16 * STEP);
    let (first, second) = (Recipient::Project("a"), Recipient::Project("b"));
    let held: Vec<_> = (0..4).map(|_| filled(&memory, first, 2 * STEP).unwrap().into_body()).collect();
    assert_eq!(filled(&memory, first, 2 * STEP).err(), Some(ResponseError::MemoryFull));
    let other = filled(&memory, second, 4 * STEP).unwrap();
    assert_eq!(filled(&memory, second, STEP).err(), Some(ResponseError::MemoryFull));
    // Small responses are not counted.
    assert!(filled(&memory, first, UNCOUNTED_BYTES).is_ok());
    let owner = filled(&memory, Recipient::Owner, 4 * STEP).unwrap();
    assert_eq!(filled(&memory, Recipient::Owner, STEP).err(), Some(ResponseError::MemoryFull));
    drop((held, owner, other));
    assert_eq!(memory.used(), 0);
    assert!(filled(&memory, first, 8 * STEP).is_ok());
}

#[tokio::test]
async fn bytes_are_counted_until_they_are_dropped() {
    let memory = memory(1 << 20, 4 << 20);
    let mut body = filled(&memory, Recipient::Project("a"), 3 * PIECE).unwrap().into_body();
    let used = memory.used();
    assert!(used >= 3 * PIECE, "{used}");
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(memory.used(), used);
    drop(first);
    assert_eq!(memory.used(), used - PIECE);
    drop(body);
    assert_eq!(memory.used(), 0);
}
