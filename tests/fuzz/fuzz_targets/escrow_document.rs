//! Documents of escrow deposits.
#![no_main]

use idnode_proto::escrow::read::DocumentReader;
use idnode_proto::escrow::write::DocumentWriter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = DocumentReader::new(data) else {
        return;
    };
    let mut objects = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(object)) => objects.push(object),
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        }
    }
    // What is read is written as what reads the same.
    let mut writer = DocumentWriter::new(Vec::new(), reader.head().clone()).unwrap();
    for deletion in reader.deletes() {
        writer.delete(deletion).unwrap();
    }
    for object in &objects {
        writer.put(object).unwrap();
    }
    let summary = reader.summary().unwrap().clone();
    let (written, _) = writer.finish(summary.clone()).unwrap();
    let mut again = DocumentReader::new(written.as_slice()).unwrap();
    assert_eq!(again.deletes(), reader.deletes());
    for object in &objects {
        assert_eq!(again.next().unwrap().as_ref(), Some(object));
    }
    assert!(again.next().unwrap().is_none());
    assert_eq!(again.summary(), Some(&summary));
});
