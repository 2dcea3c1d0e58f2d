//! What listings and writes have in common on the command line.

use idnode_proto::api::Page;

use super::error::Failure;

/// The largest page a node gives.
const MAX_PAGE: u32 = 1000;

/// Which part of a listing is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PageArgs {
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Go on where an earlier listing ended
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    page_token: String,
    /// List everything
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl PageArgs {
    /// Fetches pages until there is what was asked for: the things, and the token to go on with.
    pub(crate) async fn fetch<T>(
        self,
        mut page: impl AsyncFnMut(Page) -> Result<(Vec<T>, String), Failure>,
    ) -> Result<(Vec<T>, String), Failure> {
        let mut things = Vec::new();
        let mut token = self.page_token;
        let mut left = if self.all { u32::MAX } else { self.limit };
        while left > 0 {
            let size = left.min(MAX_PAGE);
            let (found, next) = page(Page {
                size,
                token: token.clone(),
            })
            .await?;
            left = left.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            things.extend(found);
            let stuck = next == token;
            token = next;
            if token.is_empty() || stuck {
                break;
            }
        }
        Ok((things, token))
    }
}

/// What makes a write safe to repeat and to race.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WriteArgs {
    /// Write only if the version is still this one
    #[arg(long, value_name = "VERSION")]
    pub(crate) expected_version: Option<u64>,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

/// What makes a write safe to repeat.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OnceArgs {
    /// Key of your choice: the same write with the same key again does nothing more
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) idempotency_key: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Lists the numbers below `total`; tokens are where to go on.
    async fn listed(args: PageArgs, total: u32) -> (Vec<u32>, String) {
        args.fetch(async |page: Page| {
            let start = page.token.parse().unwrap_or(0);
            let end = total.min(start + page.size);
            let next = if end < total {
                end.to_string()
            } else {
                String::new()
            };
            Ok(((start..end).collect(), next))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_listing_ends_at_its_limit_or_at_the_end() {
        let args = |limit, all| PageArgs {
            limit,
            page_token: String::new(),
            all,
        };
        let (found, next) = listed(args(1500, false), 5000).await;
        assert_eq!((found.len(), next.as_str()), (1500, "1500"));
        let (found, next) = listed(args(100, true), 2345).await;
        assert_eq!((found, next.as_str()), ((0..2345).collect(), ""));
        let (found, next) = listed(args(100, false), 100).await;
        assert_eq!((found.len(), next.as_str()), (100, ""));
    }
}
