//! Frames of ICE-TCP come out as they went in, however the network cuts the stream.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::collection::vec;
use proptest::prelude::*;
use wtn_session::frames::{FRAME_MAX, Frames, Oversize, write_frame};

fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    assert!(frames.iter().all(|frame| write_frame(frame, &mut stream)));
    stream
}

/// Reads a stream cut at those places.
fn read(mut stream: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Result<(), Oversize>, bool) {
    let (mut frames, mut taken, mut end) = (Frames::default(), Vec::new(), Ok(()));
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (piece, rest) = stream.split_at(cut.min(stream.len()));
        end = end.and_then(|()| frames.read(piece, |frame| taken.push(frame.to_vec())));
        stream = rest;
    }
    (taken, end, frames.is_partial())
}

proptest! {
    #[test]
    fn live_18_frames_survive_any_cut(
        sent in vec(vec(any::<u8>(), 0..1500), 0..12),
        cuts in vec(0usize..700, 0..40),
    ) {
        let (taken, end, is_partial) = read(&stream(&sent), &cuts);
        let expected: Vec<_> = sent.into_iter().filter(|frame| !frame.is_empty()).collect();
        prop_assert_eq!((taken, end, is_partial), (expected, Ok(()), false));
    }

    #[test]
    fn live_18_any_bytes_are_read_alike_whole_and_in_pieces(
        bytes in vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..3000),
        cuts in vec(0usize..300, 0..40),
    ) {
        let (whole, pieces) = (read(&bytes, &[]), read(&bytes, &cuts));
        // Once it is broken, what is kept is of no use and not compared.
        prop_assert_eq!((&whole.0, whole.1), (&pieces.0, pieces.1));
        prop_assert!(whole.1.is_err() || whole.2 == pieces.2);
    }
}

#[test]
fn live_18_every_single_cut_of_a_stream_gives_the_same_frames() {
    let sent = [vec![1; 3], vec![2; 1], vec![3; 300], vec![4; 2]];
    let stream = stream(&sent);
    for cut in 0..=stream.len() {
        assert_eq!(read(&stream, &[cut]), (sent.to_vec(), Ok(()), false), "cut at {cut}");
    }
    let one_by_one = vec![1; stream.len()];
    assert_eq!(read(&stream, &one_by_one), (sent.to_vec(), Ok(()), false));
}

#[test]
fn live_18_the_longest_frame_is_taken_and_a_longer_one_ends_the_stream() {
    let longest = vec![7; FRAME_MAX];
    assert_eq!(read(&stream(std::slice::from_ref(&longest)), &[]), (vec![longest.clone()], Ok(()), false));
    let (taken, end, _) = read(&stream(&[longest.clone(), vec![8; FRAME_MAX + 1]]), &[1, 1, 5000]);
    assert_eq!((taken, end), (vec![longest], Err(Oversize)));
    for stranger in ["GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x00", "SSH-2.0-OpenSSH_9.9\r\n"] {
        assert_eq!(read(stranger.as_bytes(), &[1]).1, Err(Oversize), "{stranger:?}");
    }
}

#[test]
fn live_18_what_no_length_can_say_is_not_written() {
    let mut stream = vec![9];
    assert!(!write_frame(&vec![0; 65_536], &mut stream));
    assert_eq!(stream, [9]);
    assert!(write_frame(&vec![0; 65_535], &mut stream));
    assert_eq!(stream.len(), 1 + 2 + 65_535);
}

#[test]
fn live_18_a_frame_that_never_ends_keeps_less_than_itself() {
    let mut frames = Frames::default();
    assert!(!frames.is_partial());
    frames.read(&[0], |_| panic!("there is no frame yet")).unwrap();
    assert!(frames.is_partial());
    frames.read(&[2, 1], |_| panic!("half of a frame")).unwrap();
    let mut taken = 0;
    frames.read(&[1], |frame| taken += frame.len()).unwrap();
    assert!(taken == 2 && !frames.is_partial());
}
