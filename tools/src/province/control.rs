//! The control socket: one line of JSON asks, one line answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::error::Failure;
use super::layout::Layout;

/// The longest line that is read, bytes.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// How long a client may take for its line.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Order {
    /// How everything is.
    Status,
    /// End the province.
    Down,
    /// Cut the link between two places, or all of one.
    Cut {
        /// A place.
        a: String,
        /// Another one.
        #[serde(default)]
        b: Option<String>,
    },
    /// Set how long a link takes.
    Slow {
        /// A place.
        a: String,
        /// Another one.
        b: String,
        /// One way, milliseconds.
        one_way_ms: f64,
    },
    /// Make the link between two places, all of one, or all what they were.
    Heal {
        /// A place.
        #[serde(default)]
        a: Option<String>,
        /// Another one.
        #[serde(default)]
        b: Option<String>,
    },
}

/// An order, and where its answer goes.
pub(super) type Asked = (Order, oneshot::Sender<Result<Value, String>>);

/// Listens until it is dropped; orders come out of the channel.
///
/// # Errors
/// The socket cannot be made: a path of a socket has at most 107 bytes.
pub(super) fn listen(layout: &Layout) -> Result<mpsc::Receiver<Asked>, Failure> {
    let path = layout.control();
    // One that is there is of a province that has ended: this one holds the lock.
    let _ = std::fs::remove_file(&path);
    let named = Failure::io(path.display().to_string());
    let listener = UnixListener::bind(&path).map_err(named)?;
    let (orders, received) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let orders = orders.clone();
            tokio::spawn(async move {
                let answering = answer(stream, orders);
                // Whoever asks and does not wait gets nothing.
                let _ = tokio::time::timeout(PATIENCE * 3, answering).await;
            });
        }
    });
    Ok(received)
}

async fn answer(mut stream: UnixStream, orders: mpsc::Sender<Asked>) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(MAX_LINE_BYTES));
    let _ = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(order) => {
            let (reply, replied) = oneshot::channel();
            let ending = || Err("the province is ending".to_owned());
            match orders.send((order, reply)).await {
                Ok(()) => replied.await.unwrap_or_else(|_| ending()),
                Err(_) => ending(),
            }
        }
        Err(error) => Err(format!("no order: {error}")),
    };
    let answer = match answer {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error }),
    };
    write.write_all(format!("{answer}\n").as_bytes()).await
}

/// Whether somebody listens.
pub(super) fn is_there(layout: &Layout) -> bool {
    StdStream::connect(layout.control()).is_ok()
}

/// Asks the province that runs in a directory.
///
/// # Errors
/// None runs; it refuses.
pub(super) fn ask(layout: &Layout, order: &Order) -> Result<Value, Failure> {
    let path = layout.control();
    let mut stream = StdStream::connect(&path).map_err(|error| {
        Failure::Program(format!(
            "no province runs in {} ({error})",
            layout.dir().display()
        ))
    })?;
    let named = || Failure::io(path.display().to_string());
    stream
        .set_read_timeout(Some(PATIENCE * 6))
        .map_err(named())?;
    let order = serde_json::to_string(order).map_err(|e| Failure::Program(e.to_string()))?;
    stream
        .write_all(format!("{order}\n").as_bytes())
        .map_err(named())?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE_BYTES))
        .read_line(&mut line)
        .map_err(named())?;
    let mut answer: Value = serde_json::from_str(&line)
        .map_err(|error| Failure::Program(format!("{}: {error}", path.display())))?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(Failure::Usage(error.to_owned())),
        None => Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn orders_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Order>(text);
        let cut = Order::Cut {
            a: "datong".to_owned(),
            b: None,
        };
        assert_eq!(read(r#"{"do": "cut", "a": "datong"}"#).unwrap(), cut);
        assert_eq!(read(r#"{"do": "status"}"#).unwrap(), Order::Status);
        for text in [
            r#"{"do": "cut"}"#,
            r#"{"do": "fly"}"#,
            r#"{"do": "cut", "a": "x", "c": 1}"#,
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
