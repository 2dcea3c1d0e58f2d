//! Every structure, encoded and decoded.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::handle::*;
use crate::value::tests::any_value;
use crate::value::{Reference, Value, encode_values};

fn any_version() -> impl Strategy<Value = Version> {
    any::<(u8, u8)>().prop_map(|(major, minor)| Version::new(major, minor))
}

prop_compose! {
    fn any_envelope()(
        version in any_version(),
        flags in any::<u8>(),
        suggested in (0u8..4, any::<u8>()),
        numbers in any::<[u32; 4]>(),
    ) -> Envelope {
        Envelope {
            version,
            flags: EnvelopeFlags::from_bits(flags),
            suggested: Version::new(suggested.0, suggested.1),
            session_id: numbers[0],
            request_id: numbers[1],
            sequence: numbers[2],
            message_len: numbers[3],
        }
    }
}

prop_compose! {
    fn any_header()(
        numbers in any::<[u32; 5]>(),
        site_serial in any::<u16>(),
        octets in any::<[u8; 2]>(),
    ) -> Header {
        Header {
            op_code: OpCode(numbers[0]),
            response_code: ResponseCode(numbers[1]),
            flags: OpFlags(numbers[2]),
            site_serial,
            recursion_count: octets[0],
            reserved: octets[1],
            expiration_s: numbers[3],
            body_len: numbers[4],
        }
    }
}

fn any_interface() -> impl Strategy<Value = Interface> {
    let protocol = prop_oneof![
        Just(InterfaceProtocol::Udp),
        Just(InterfaceProtocol::Tcp),
        Just(InterfaceProtocol::Http),
        Just(InterfaceProtocol::Https),
        (4u8..).prop_map(InterfaceProtocol::Other),
    ];
    (any::<bool>(), any::<bool>(), protocol, any::<u16>()).prop_map(
        |(admin, query, protocol, port)| Interface {
            admin,
            query,
            protocol,
            port,
        },
    )
}

fn any_server() -> impl Strategy<Value = Server> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(octets).to_canonical()),
    ];
    (
        any::<u32>(),
        address,
        vec(any::<u8>(), 0..40),
        vec(any_interface(), 0..5),
    )
        .prop_map(|(id, address, public_key, interfaces)| Server {
            id,
            address,
            public_key,
            interfaces,
        })
}

prop_compose! {
    fn any_site()(
        version in 0u16..2,
        protocol in any_version(),
        serial in any::<u16>(),
        primary in any::<bool>(),
        multi_primary in any::<bool>(),
        hash_option in prop_oneof![
            Just(HashOption::ByPrefix),
            Just(HashOption::BySuffix),
            Just(HashOption::ByHandle),
            (3u8..).prop_map(HashOption::Other),
        ],
        hash_filter in "\\PC{0,8}",
        attributes in vec(("\\PC{0,8}", "\\PC{0,8}"), 0..3),
        servers in vec(any_server(), 0..4),
    ) -> Site {
        Site {
            version,
            protocol,
            serial,
            primary,
            multi_primary,
            hash_option,
            hash_filter,
            attributes,
            servers,
        }
    }
}

prop_compose! {
    fn any_head()(
        minor in 1u8..12,
        suggests in any::<bool>(),
        flags in any::<u32>(),
        session_id in any::<u32>(),
        request_id in any::<u32>(),
        site_serial in any::<u16>(),
        recursion_count in any::<u8>(),
        expiration_s in any::<u32>(),
    ) -> RequestHead {
        RequestHead {
            version: Version::new(2, minor),
            suggested: if suggests { Version::LATEST } else { Version::NONE },
            flags: OpFlags(flags).without(OpFlags::ENCRYPT),
            session_id,
            request_id,
            site_serial,
            recursion_count,
            expiration_s,
        }
    }
}

fn any_reference() -> impl Strategy<Value = Reference> {
    ("\\PC{0,12}", any::<u32>()).prop_map(|(handle, index)| Reference { handle, index })
}

fn raws(values: &[Value]) -> Vec<Vec<u8>> {
    values
        .iter()
        .map(|value| encode_values(std::slice::from_ref(value)))
        .collect()
}

proptest! {
    #[test]
    fn envelopes(envelope in any_envelope()) {
        prop_assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn headers(header in any_header()) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        prop_assert_eq!(Header::decode(&bytes), Ok(header));
    }

    #[test]
    fn sites(site in any_site()) {
        prop_assert_eq!(Site::decode(&site.encode()), Ok(site));
    }

    #[test]
    fn admins(bits in any::<u16>(), reference in any_reference()) {
        let admin = Admin { permissions: AdminPermissions(bits), reference };
        prop_assert_eq!(Admin::decode(&admin.encode()), Ok(admin));
    }

    #[test]
    fn value_lists(references in vec(any_reference(), 0..5)) {
        prop_assert_eq!(decode_value_list(&encode_value_list(&references)), Ok(references));
    }

    #[test]
    fn queries(
        head in any_head(),
        handle in "\\PC{0,40}",
        indexes in vec(any::<u32>(), 0..5),
        types in vec("\\PC{0,8}", 0..5),
    ) {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let bytes = head.resolve(&handle, &indexes, &types).unwrap();
        prop_assert_eq!(tcp_frame(&bytes), FrameStatus::Complete { len: bytes.len() });
        let read = decode_request(&bytes, Transport::Tcp).unwrap();
        let query = ResolveRequest { handle: &handle, indexes, types, trailing: &[] };
        prop_assert_eq!(&read.request, &Request::Resolve(query));
        prop_assert_eq!(read.message.header.expiration_s, head.expiration_s);
        prop_assert_eq!(read.reply_to.flags, head.flags);
        prop_assert_eq!(
            read.reply_to.digest.is_some(),
            head.flags.contains(OpFlags::REQUEST_DIGEST)
        );
    }

    #[test]
    fn answers_over_either_transport(
        head in any_head(),
        values in vec(any_value(), 0..12),
        site_serial in any::<u16>(),
        expiration_s in any::<u32>(),
        shuffle in any::<u64>(),
    ) {
        let request = head.resolve("88.118.8/a", &[], &[]).unwrap();
        let read = decode_request(&request, Transport::Tcp).unwrap();
        let (raws, mut out) = (raws(&values), Vec::new());
        Reply::new(&read.reply_to, site_serial, expiration_s)
            .resolution(
                &mut out,
                "88.118.8/a",
                values.len() as u32,
                raws.iter().map(Vec::as_slice),
            )
            .unwrap();
        let response = Response::decode(&out).unwrap();
        prop_assert_eq!(response.envelope.session_id, head.session_id);
        prop_assert_eq!(response.envelope.request_id, head.request_id);
        prop_assert_eq!(response.header.recursion_count, head.recursion_count);
        prop_assert_eq!(response.header.site_serial, site_serial);
        prop_assert_eq!(response.header.expiration_s, expiration_s);
        let digested = head.flags.contains(OpFlags::REQUEST_DIGEST);
        prop_assert_eq!(response.answers(&request), digested.then_some(true));
        prop_assert_eq!(response.values(), &values[..]);

        let mut pieces: Vec<Vec<u8>> = datagrams(&out)
            .map(|datagram| {
                let mut bytes = Vec::new();
                datagram.encode(&mut bytes);
                bytes
            })
            .collect();
        let turn = shuffle as usize % pieces.len();
        pieces.rotate_left(turn);
        let mut reassembler = Reassembler::new(ReassemblyLimits::default());
        let mut whole = None;
        for piece in &pieces {
            prop_assert!(whole.is_none());
            whole = reassembler.accept(&(), piece, 0).unwrap();
        }
        prop_assert_eq!(whole.as_deref(), Some(&out[..]));
    }

    #[test]
    fn site_answers_and_errors(head in any_head(), site in any_site(), text in "\\PC{0,20}") {
        let request = head.site_info().unwrap();
        let read = decode_request(&request, Transport::Udp).unwrap();
        prop_assert_eq!(&read.request, &Request::SiteInfo);
        let reply = Reply::new(&read.reply_to, 1, 0);
        let mut out = Vec::new();
        reply.raw(&mut out, ResponseCode::SUCCESS, &site.encode()).unwrap();
        let after = out.len();
        let answer = Response::decode(&out).unwrap();
        prop_assert_eq!(answer.site(), Some(&site));
        reply.error(&mut out, ResponseCode::BUSY, &text).unwrap();
        let error = Response::decode(&out[after..]).unwrap();
        prop_assert_eq!((error.code, error.message()), (ResponseCode::BUSY, Some(&text[..])));
    }

    #[test]
    fn referral_answers(head in any_head(), handle in "\\PC{0,12}", sites in vec(any_value(), 0..4)) {
        let request = head.resolve("1/a", &[], &[]).unwrap();
        let read = decode_request(&request, Transport::Tcp).unwrap();
        let (raws, mut out) = (raws(&sites), Vec::new());
        Reply::new(&read.reply_to, 1, 0)
            .referral(
                &mut out,
                ResponseCode::SERVICE_REFERRAL,
                &handle,
                sites.len() as u32,
                raws.iter().map(Vec::as_slice),
            )
            .unwrap();
        let kept = read.reply_to.version >= Version::V2_10 || handle.is_empty();
        let expected = if kept { &sites[..] } else { &[] };
        let response = Response::decode(&out).unwrap();
        prop_assert_eq!(response.referral(), Some((&handle[..], expected)));
    }
}
