//! Connections and datagrams.

use std::borrow::Cow;

use super::golden::{ID_SDK_RESOLVE, POINTER_SDK_RESOLVE};
use crate::handle::udp::MAX_PIECE_LEN;
use crate::handle::*;

#[test]
fn pipelined_requests_are_cut_one_by_one() {
    let stream = [POINTER_SDK_RESOLVE, ID_SDK_RESOLVE].concat();
    let (first, second) = (POINTER_SDK_RESOLVE.len(), ID_SDK_RESOLVE.len());
    assert_eq!(tcp_frame(&[]), FrameStatus::NeedMore(20));
    assert_eq!(tcp_frame(&stream[..5]), FrameStatus::NeedMore(15));
    for end in 20..first {
        assert_eq!(
            tcp_frame(&stream[..end]),
            FrameStatus::NeedMore(first - end)
        );
    }
    for end in first..=stream.len() {
        assert_eq!(
            tcp_frame(&stream[..end]),
            FrameStatus::Complete { len: first }
        );
    }
    assert_eq!(
        tcp_frame(&stream[first..]),
        FrameStatus::Complete { len: second }
    );
}

#[test]
fn foreign_streams_and_long_messages_are_refused() {
    let error = FrameError::ForeignVersion { major: b'G' };
    assert_eq!(tcp_frame(b"GET"), FrameStatus::Invalid(error));
    assert_eq!(error.code(), ResponseCode::PROTOCOL_ERROR);
    for (length, valid) in [(262_144u32, true), (262_145, false), (u32::MAX, false)] {
        let mut bytes = ID_SDK_RESOLVE.to_vec();
        bytes[16..20].copy_from_slice(&length.to_be_bytes());
        let expected = if valid {
            FrameStatus::NeedMore(262_144 + 20 - bytes.len())
        } else {
            FrameStatus::Invalid(FrameError::TooLong { length })
        };
        assert_eq!(tcp_frame(&bytes), expected);
    }
}

fn long_message(contents: usize) -> Vec<u8> {
    let envelope = Envelope {
        version: Version::LATEST,
        request_id: 5,
        message_len: contents as u32,
        ..Envelope::EMPTY
    };
    let mut message = envelope.encode().to_vec();
    message.extend((0..contents).map(|at| at as u8));
    message
}

fn cut(message: &[u8]) -> Vec<Vec<u8>> {
    datagrams(message)
        .map(|datagram| {
            let mut bytes = Vec::new();
            datagram.encode(&mut bytes);
            bytes
        })
        .collect()
}

fn small() -> Reassembler<u32> {
    Reassembler::new(ReassemblyLimits {
        max_messages: 4,
        max_messages_per_source: 2,
        max_bytes: 3_000,
        max_age_ms: 1_000,
    })
}

#[test]
fn datagrams_are_cut_as_running_servers_cut_them() {
    assert_eq!(cut(ID_SDK_RESOLVE), [ID_SDK_RESOLVE]);
    assert_eq!(cut(&long_message(492)).len(), 1);
    let pieces = cut(&long_message(1_000));
    let lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
    assert_eq!(lengths, [512, 512, 36]);
    for (sequence, piece) in pieces.iter().enumerate() {
        let envelope = Envelope::decode(piece).unwrap();
        assert_eq!(envelope.sequence as usize, sequence);
        assert_eq!(envelope.message_len, 1_000);
        assert!(!envelope.flags.truncated());
    }
    assert_eq!(datagrams(&long_message(262_144)).len(), 533);
    assert_eq!(datagrams(&[2; 19]).len(), 0);
}

#[test]
fn pieces_in_any_order_twice_and_with_the_truncated_bit() {
    let message = long_message(3 * MAX_PIECE_LEN - 1);
    let pieces = cut(&message);
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut reassembler = small();
        for (turn, at) in order.into_iter().enumerate() {
            let mut piece = pieces[at].clone();
            if at == 1 {
                piece[2] |= 0x20;
            }
            let done = reassembler.accept(&1, &piece, 0).unwrap();
            assert_eq!(
                done.as_deref(),
                (turn == 2).then_some(&message[..]),
                "{order:?}"
            );
            if turn < 2 {
                assert_eq!(reassembler.accept(&1, &piece, 0), Ok(None));
                assert_eq!(reassembler.pending(), 1);
            }
        }
        assert_eq!((reassembler.pending(), reassembler.bytes()), (0, 0));
    }
}

#[test]
fn a_whole_message_is_not_copied() {
    let mut reassembler = small();
    let stray = [ID_SDK_RESOLVE, &[9; 3]].concat();
    let whole = reassembler.accept(&1, &stray, 0).unwrap();
    assert!(matches!(whole, Some(Cow::Borrowed(bytes)) if bytes == ID_SDK_RESOLVE));
    assert_eq!(reassembler.pending(), 0);
}

#[test]
fn sources_requests_and_sessions_are_kept_apart() {
    let message = long_message(800);
    let pieces = cut(&message);
    let mut other_session = pieces[1].clone();
    other_session[7] = 1;
    let mut other_request = pieces[1].clone();
    other_request[11] = 9;
    let mut reassembler = small();
    assert_eq!(reassembler.accept(&1, &pieces[0], 0), Ok(None));
    assert_eq!(reassembler.accept(&2, &pieces[1], 0), Ok(None));
    assert_eq!(reassembler.accept(&1, &other_session, 0), Ok(None));
    assert_eq!(
        reassembler.accept(&1, &other_request, 0),
        Err(DatagramError::SourceFull { limit: 2 })
    );
    assert!(reassembler.accept(&1, &pieces[1], 0).unwrap().is_some());
    assert_eq!(reassembler.accept(&1, &other_request, 0), Ok(None));
}

#[test]
fn pieces_that_do_not_fit_are_refused() {
    let pieces = cut(&long_message(800));
    let with = |at: usize, byte: u8| {
        let mut piece = pieces[1].clone();
        piece[at] = byte;
        piece
    };
    let mut reassembler = small();
    assert_eq!(reassembler.accept(&1, &pieces[0], 0), Ok(None));
    let refuse = |reassembler: &mut Reassembler<u32>, piece: &[u8]| {
        reassembler.accept(&1, piece, 0).map(|_| ()).unwrap_err()
    };
    assert_eq!(
        refuse(&mut reassembler, &pieces[1][..19]),
        DatagramError::NoEnvelope { length: 19 }
    );
    assert_eq!(
        refuse(&mut reassembler, &pieces[1][..20]),
        DatagramError::Empty { sequence: 1 }
    );
    assert_eq!(
        refuse(&mut reassembler, &with(16, 0x80)),
        DatagramError::TooLong {
            length: 0x8000_0320,
            sequence: 1
        }
    );
    assert_eq!(
        refuse(&mut reassembler, &with(12, 0x80)),
        DatagramError::OutOfRange {
            sequence: 0x8000_0001
        }
    );
    assert_eq!(
        refuse(&mut reassembler, &with(19, 0x21)),
        DatagramError::LengthChanged {
            length: 0x321,
            before: 0x320
        }
    );
    assert_eq!(reassembler.pending(), 1);
    let long = [&pieces[1][..], &[0]].concat();
    assert_eq!(
        refuse(&mut reassembler, &long),
        DatagramError::Overlong {
            length: 801,
            announced: 800
        }
    );
    assert_eq!((reassembler.pending(), reassembler.bytes()), (0, 0));
}

#[test]
fn a_gap_is_not_a_message() {
    // Pieces 0 and 2 together are as long as the message, but piece 1 is missing.
    let pieces = cut(&long_message(800));
    let mut skipped = pieces[1].clone();
    skipped[15] = 2;
    let mut reassembler = small();
    assert_eq!(reassembler.accept(&1, &pieces[0], 0), Ok(None));
    assert_eq!(reassembler.accept(&1, &skipped, 0), Ok(None));
    assert_eq!(reassembler.pending(), 1);
}

#[test]
fn messages_bytes_and_age_are_bounded() {
    let pieces = cut(&long_message(2_900));
    let mut reassembler = small();
    for source in 0..10 {
        assert_eq!(reassembler.accept(&source, &pieces[0], 0), Ok(None));
        assert!(reassembler.pending() <= 4);
    }
    assert_eq!(reassembler.pending(), 4);
    assert_eq!(reassembler.take_displaced(), 6, "the oldest of ten");
    assert_eq!(reassembler.take_displaced(), 0);
    for piece in &pieces[1..4] {
        assert_eq!(reassembler.accept(&9, piece, 1), Ok(None));
        assert!(reassembler.bytes() <= 3_000);
    }
    assert_eq!(reassembler.pending(), 2);
    reassembler.expire(999);
    assert_eq!(reassembler.pending(), 2);
    reassembler.expire(1_000);
    assert_eq!((reassembler.pending(), reassembler.bytes()), (0, 0));

    assert_eq!(reassembler.accept(&1, &pieces[0], 2_000), Ok(None));
    for piece in &pieces[1..5] {
        assert_eq!(reassembler.accept(&1, piece, 2_900), Ok(None));
    }
    assert_eq!(reassembler.accept(&1, &pieces[5], 3_000), Ok(None));
    assert_eq!(reassembler.pending(), 1);
}
