//! What `help` says (QUERY §3.1.3, RESPONSES §7).

use super::Directory;
use idnode_proto::iiidap::{Document, Link, Node, Notice};

impl Directory {
    /// The document.
    pub(super) fn help(&self, help_url: Option<&str>) -> Document {
        let options = &self.options;
        let syntax = Notice::new(
            "Command Syntax",
            [
                "GET or HEAD identifier/{prefix or identifier}: who holds it.",
                "GET or HEAD name/{name}: what the node or enterprise of that name holds. Case, \
                 width and composition of characters make no difference.",
                "GET or HEAD names?name={pattern}: the same for every name that matches; one \
                 asterisk stands for any characters, not at the beginning.",
                "GET or HEAD bootstrap: which registry answers for which prefixes.",
                "GET or HEAD login: asks for a credential, and says whose it is. The parameter \
                 login has the others ask, too.",
            ],
        );
        let syntax = match help_url {
            Some(url) => syntax.linked(Link {
                rel: Some("self".to_owned()),
                href: url.to_owned(),
                ..Link::default()
            }),
            None => syntax,
        };
        let removed = format!("Without one these are removed: {}.", Node::NOT_PUBLIC);
        let results = format!(
            "A search shows {} results, and {} to those who have shown a credential.",
            options.max_results,
            options.max_results_known.max(options.max_results)
        );
        let mut notices = vec![
            syntax,
            Notice::new(
                "Authentication Policy",
                [
                    "Basic: the id of an API key and the key, or a handle administrator and its \
                     secret key, over TLS.",
                    "Digest (RFC 7616, SHA-256): a handle administrator and its secret key.",
                    "Bearer: an API key.",
                ],
            ),
            Notice::new(
                "Privacy Policy",
                [
                    "Access to sensitive data for users with proper credentials: the operator's \
                     for all registrations, an enterprise's for its own.",
                    &removed,
                ],
            ),
            Notice::new("Rate-Limiting Policy", [&self.limits()]),
            Notice::new("Search Policy", [&results]),
        ];
        if !options.support.is_empty() {
            notices.push(Notice::new("Technical Support Contact", [&options.support]));
        }
        Document::help(notices)
    }

    fn limits(&self) -> String {
        let limit = |limit: u32, what: &str| match limit {
            0 => format!("any number of {what}"),
            limit => format!("{limit} {what} a second"),
        };
        format!(
            "A network (IPv4 /24, IPv6 /56) may send {}, and among them {}; beyond that the \
             answer is 429.",
            limit(self.options.queries_per_s, "queries"),
            limit(self.options.searches_per_s, "searches")
        )
    }
}
