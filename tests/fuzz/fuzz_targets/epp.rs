//! Documents of EPP: what is read is written and read again; what is refused has a code.
#![no_main]

use idnode_proto::epp::frame::{HEADER_BYTES, MAX_DOCUMENT_BYTES, document_length, framed};
use idnode_proto::epp::{Data, Document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(header) = data.first_chunk::<HEADER_BYTES>()
        && let Ok(length) = document_length(*header)
    {
        assert!((1..=MAX_DOCUMENT_BYTES).contains(&length));
    }
    match Document::parse(data) {
        Ok(document) => {
            let written = document.encode();
            assert!(framed(&written).is_ok() || written.len() > MAX_DOCUMENT_BYTES);
            // What a peer sent and is not understood is not kept: only why.
            let is_understood = !matches!(&document, Document::Response(it)
                if matches!(it.data, Some(Data::Unknown(_))));
            if is_understood && written.len() <= MAX_DOCUMENT_BYTES {
                assert_eq!(Document::parse(written.as_bytes()).as_ref(), Ok(&document));
            }
        }
        Err(refused) => {
            assert!(!refused.code.is_success());
            assert!(!refused.reason.is_empty());
        }
    }
});
