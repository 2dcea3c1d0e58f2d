//! The one table of sections and keys: type, default, bounds and documentation of each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::table::sections;
use super::value::LogFormat;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn list<const N: usize>(items: [&str; N]) -> Vec<String> {
    items.map(str::to_owned).to_vec()
}

sections! {
    /// The node itself.
    node: NodeConfig {
        /// The node's name in logs and metrics.
        id: String = "idnode".to_owned(), [node_id];
        /// Directory of the registry and the node's secrets, for its owner alone where the node makes it; relative to the working directory.
        data_dir: PathBuf = PathBuf::from("./data"), [path];
        /// How long a node that was told to stop lets requests finish.
        drain_deadline_s: u32 = 20, [0 to 3600 seconds];
        /// Threads of the asynchronous runtime; 0 takes one for each core.
        worker_threads: u32 = 0, [0 to 1024 threads];
    }

    /// The embedded registry (RocksDB).
    store: StoreConfig {
        /// Memory for uncompressed blocks of the registry's files.
        block_cache_mib: u32 = 512, [8 to 1048576 MiB];
        /// What is written before it moves from memory to files; a start after a crash replays as much.
        write_buffer_mib: u32 = 64, [1 to 4096 MiB];
        /// Files of the registry held open at once. Connections have what the process's limit of open files leaves beside them: where that is less than the fronts' limits together, each takes so much fewer, and the log says how many.
        max_open_files: u32 = 512, [64 to 1000000 files];
        /// Writes that may share one synced batch.
        group_commit_max: u32 = 512, [1 to 65536 writes];
        /// How long an idempotency key is remembered after its write.
        idempotency_retention_s: u64 = 604_800, [60 to 31536000 seconds];
        /// How long entries of the change log are kept; 0 keeps them for ever.
        log_retention_s: u64 = 0, [0 to 3153600000 seconds];
    }

    /// The hot cache in front of the store.
    cache: CacheConfig {
        /// Memory for answers.
        capacity_mib: u32 = 128, [1 to 1048576 MiB];
    }

    /// Bounds of requests, on every front.
    limits: LimitsConfig {
        /// Items of one batch request; streams have no such bound.
        batch_items: u32 = 10_000, [1 to 1000000 items];
        /// How long a request may take.
        request_deadline_ms: u32 = 5000, [10 to 600000 milliseconds];
        /// Size of one message of a gRPC stream.
        stream_message_mib: u32 = 4, [1 to 64 MiB];
        /// Chunks of one import that are taken in before the first of them is committed.
        max_in_flight_imports: u32 = 32, [1 to 1024 chunks];
        /// Proofs of handle administrators, on every front, that may fail in a minute from one network
        /// (IPv4 /24, IPv6 /56), and from it for one administrator; 0: as many as are tried.
        failed_proofs_per_minute: u32 = 30, [0 to 1000000 proofs];
        /// Networks whose failed proofs are counted for each administrator only.
        failed_proofs_exempt: Vec<String> = list(["127.0.0.0/8", "::1/128"]), [networks];
    }

    /// The gRPC front.
    grpc: GrpcConfig {
        /// Where it listens (TCP).
        listen: SocketAddr = loopback(2643), [listen];
        /// Connections at once.
        max_connections: u32 = 1024, [1 to 1000000 connections];
        /// Requests at once on one connection.
        max_streams_per_connection: u32 = 256, [1 to 65536 streams];
        /// Exports at once; each holds a snapshot of the registry and a thread.
        max_exports: u32 = 16, [1 to 1024 exports];
        /// Whether clients may ask which services there are (grpc.reflection.v1).
        reflection: bool = true, [true or false];
    }

    /// The HTTP front.
    http: HttpConfig {
        /// Where it listens (TCP).
        listen: SocketAddr = loopback(8080), [listen];
        /// Where it listens for HTTPS (TCP; HTTP/1.1 and HTTP/2).
        tls_listen: Option<SocketAddr> = None, [listen or off];
        /// File of the certificates for HTTPS: PEM, the node's own first. Read again when it changes, and on SIGHUP.
        tls_certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        tls_key: PathBuf = PathBuf::new(), [path or none];
        /// Whether clients are asked for a certificate over HTTPS: handle administrators can log in with one.
        client_certificates: bool = true, [true or false];
        /// Whether secret keys are taken in clear (Authorization: Basic) from other machines, without HTTPS.
        basic_without_tls: bool = false, [true or false];
        /// The node's address as clients see it, for links in answers; "" takes it from the request.
        public_url: String = String::new(), [public_url];
        /// Connections at once.
        max_connections: u32 = 4096, [1 to 1000000 connections];
        /// Memory for answers of GET /api/handles/{handle}, which are given again while they hold.
        answer_cache_mib: u32 = 128, [1 to 65536 MiB];
        /// Size of a request's body.
        body_limit_kib: u32 = 1024, [1 to 65536 KiB];
        /// Schemes of the URL values that GET /{identifier} may redirect to; an empty list redirects nowhere.
        redirect_schemes: Vec<String> = list(["http", "https"]), [schemes];
    }

    /// Registration data of prefixes and those who hold them: IIIDAP, below /iiidap/ of the HTTP front, and WHOIS.
    iiidap: IiidapConfig {
        /// Whether the HTTP front answers below /iiidap/.
        enabled: bool = true, [true or false];
        /// Language of names and texts that are registered here (RFC 5646).
        lang: String = "zh-CN".to_owned(), [language];
        /// File of this node's own registrations as a secondary node: a JSON array of what is answered for each of its prefixes. Read again when it changes.
        own_file: PathBuf = PathBuf::new(), [path or none];
        /// File of the bootstrap registry, which says who answers for other prefixes: queries for those are redirected. Read again when it changes.
        bootstrap_file: PathBuf = PathBuf::new(), [path or none];
        /// Whom users can turn to, for the answer to help; "" says nothing.
        support: String = String::new(), [nsid];
        /// Results of a search, for strangers.
        max_results: u32 = 25, [1 to 1000 results];
        /// Results of a search, for those who show a credential.
        max_results_known: u32 = 500, [1 to 1000 results];
        /// Queries of one network (IPv4 /24, IPv6 /56) in a second, WHOIS included; further ones are answered 429; 0 sets no limit.
        queries_per_s: u32 = 100, [0 to 1000000 queries];
        /// Searches among them; 0 sets no limit.
        searches_per_s: u32 = 10, [0 to 1000000 searches];
        /// Networks that these limits leave alone.
        rate_exempt: Vec<String> = list(["127.0.0.0/8", "::1/128"]), [networks];
        /// Whether personal data is shown in clear to other machines, to those who may see it. Otherwise they see it over HTTPS.
        personal_without_tls: bool = false, [true or false];
    }

    /// The WHOIS front (RFC 3912).
    whois: WhoisConfig {
        /// Where it listens (TCP; the usual port is 43).
        listen: Option<SocketAddr> = None, [listen or off];
        /// Connections at once.
        max_connections: u32 = 256, [1 to 1000000 connections];
        /// How long a client may take for its line, and as long again for taking the answer.
        idle_s: u32 = 10, [1 to 3600 seconds];
    }

    /// The DNS front.
    dns: DnsConfig {
        /// Where it listens (UDP and TCP).
        listen: SocketAddr = loopback(5353), [listen];
        /// Where it listens for DNS over TLS (TCP, RFC 7858; the usual port is 853).
        tls_listen: Option<SocketAddr> = None, [listen or off];
        /// Where it listens for DNS over HTTPS, at the path /dns-query (TCP, RFC 8484; the usual port is 443).
        https_listen: Option<SocketAddr> = None, [listen or off];
        /// Where it listens for DNS over QUIC (UDP, RFC 9250; the usual port is 853).
        quic_listen: Option<SocketAddr> = None, [listen or off];
        /// File of the certificates for TLS, HTTPS and QUIC: PEM, the node's own first. Read again when it changes, and on SIGHUP.
        tls_certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        tls_key: PathBuf = PathBuf::new(), [path or none];
        /// The zone that holds a name for every identifier.
        zone: String = "id.example.".to_owned(), [zone];
        /// The zone of the OID resolution system (ORS, ITU-T X.672).
        ors_zone: String = "ors.example.".to_owned(), [zone];
        /// The zone of the GS1 object name service (ONS).
        ons_zone: String = "ons.example.".to_owned(), [zone];
        /// Name servers of the zones, the first being the primary; an empty list means "ns1." and the zone.
        ns: Vec<String> = Vec::new(), [names];
        /// Mailbox of the person responsible, '@' written as '.' (RFC 1035 section 3.3.13); "" means "hostmaster." and the zone.
        soa_rname: String = String::new(), [mailbox];
        /// How often a secondary server asks for changes (SOA REFRESH).
        refresh_s: u32 = 3600, [60 to 2147483647 seconds];
        /// How soon it asks again after a failure (SOA RETRY); at most refresh_s.
        retry_s: u32 = 600, [30 to 2147483647 seconds];
        /// How long it answers without having heard of the primary (SOA EXPIRE); at least refresh_s.
        expire_s: u32 = 1_209_600, [60 to 2147483647 seconds];
        /// TTL of the zones' own records and of values that have none.
        default_ttl_s: u32 = 3600, [0 to 2147483647 seconds];
        /// How long others may remember that a name or type does not exist (SOA MINIMUM, RFC 2308).
        negative_ttl_s: u32 = 300, [0 to 86400 seconds];
        /// How long a connection may be silent: TCP, and TLS, HTTPS and QUIC alike.
        tcp_idle_s: u32 = 10, [1 to 3600 seconds];
        /// TCP connections at once, and as many over each of TLS, HTTPS and QUIC.
        max_tcp_connections: u32 = 1024, [1 to 1000000 connections];
        /// Connections at once of one client (an IPv4 address, an IPv6 /64), over all of these together; further ones are closed.
        max_connections_per_client: u32 = 128, [1 to 1000000 connections];
        /// Queries of one connection at once: those that wait for the disk over TCP and TLS, streams over HTTPS and QUIC.
        max_queries_per_connection: u32 = 64, [1 to 1024 queries];
        /// Queries at once that wait for the disk; further ones get SERVFAIL, over UDP nothing.
        max_waiting_queries: u32 = 4096, [1 to 1000000 queries];
        /// The greatest UDP answer, whatever the client offers (EDNS, RFC 6891); longer ones are truncated.
        max_udp_payload_bytes: u16 = 1232, [512 to 4096 bytes];
        /// UDP sockets, each with a thread of its own; 0 takes one for two cores.
        udp_threads: u32 = 0, [0 to 1024 threads];
        /// Whether its UDP threads go before others, such as those of a bulk load, where the system
        /// permits it (CAP_SYS_NICE, or RLIMIT_RTPRIO of 1); not one that is busy, or asked 20,000 times a second.
        udp_realtime: bool = true, [true or false];
        /// Memory for encoded answers of UDP, and as much for those of TCP and TLS.
        answer_cache_mib: u32 = 64, [1 to 65536 MiB];
        /// What it answers to those who ask for its name (NSID, RFC 5001); "" means node.id.
        nsid: String = String::new(), [nsid];
        /// Secret of the server cookies (RFC 9018), the same on all nodes of one address; "" makes a new one at each start.
        cookie_secret: String = String::new(), [cookie_secret];
        /// Networks that may ask; an empty list means all, others get REFUSED.
        allow_query: Vec<String> = Vec::new(), [networks];
        /// Networks that get no answer at all.
        deny_query: Vec<String> = Vec::new(), [networks];
        /// Response rate limit: equal UDP answers to one network (IPv4 /24, IPv6 /56) in a second, without a valid cookie; 0 sets no limit.
        rrl_responses_per_s: u32 = 200, [0 to 1000000 responses];
        /// Of the answers beyond the limit, every how many-eth is sent truncated instead of dropped; 0 sends none.
        rrl_slip: u32 = 2, [0 to 100];
        /// Networks that the response rate limit leaves alone.
        rrl_exempt: Vec<String> = list(["127.0.0.0/8", "::1/128"]), [networks];
        /// Queries for one zone in a second; further ones get REFUSED; 0 sets no limit.
        max_zone_queries_per_s: u32 = 0, [0 to 100000000 queries];
        /// How long signatures of signed zones are valid (RRSIG); of those that are answered at least seven eighths are left.
        dnssec_signature_validity_s: u32 = 1_209_600, [86400 to 5184000 seconds];
        /// Memory for signatures of signed zones.
        dnssec_cache_mib: u32 = 32, [1 to 65536 MiB];
        /// Addresses of the name servers that lie in the zones (glue); an empty list means the address it listens on, unless that is 0.0.0.0 or ::.
        node_addresses: Vec<IpAddr> = Vec::new(), [addresses];
        /// Keys shared with secondaries (TSIG, RFC 8945). Who reads this reads the secrets: prefer tsig_key_file.
        tsig_keys: Vec<String> = Vec::new(), [tsig_keys];
        /// File of further such keys, one a line, '#' before remarks; only its owner may have access (mode 0600). "" means none.
        tsig_key_file: String = String::new(), [key_file];
        /// Who may have zone transfers (AXFR, IXFR): networks, keys, or both at once; an empty list means nobody.
        allow_transfer: Vec<String> = Vec::new(), [allowed];
        /// Secondaries that are told of changes (NOTIFY, RFC 1996).
        notify: Vec<String> = Vec::new(), [secondaries];
        /// How long changes are gathered before a secondary is told of them, and so the least time between two NOTIFY for a zone.
        notify_delay_ms: u32 = 1000, [0 to 3600000 milliseconds];
        /// Zone transfers at once, each with a thread and a snapshot of the registry; further ones get SERVFAIL.
        max_transfers: u32 = 8, [1 to 1024 transfers];
    }

    /// The Handle front (RFC 3652).
    handle: HandleConfig {
        /// Where it listens (UDP and TCP).
        listen: SocketAddr = loopback(2641), [listen];
        /// Where it listens for connections with TLS (TCP).
        tls_listen: Option<SocketAddr> = None, [listen or off];
        /// File of the certificates for TLS: PEM, the node's own first. Read again when it changes, and on SIGHUP.
        tls_certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        tls_key: PathBuf = PathBuf::new(), [path or none];
        /// How long a connection may be silent.
        tcp_idle_s: u32 = 60, [1 to 3600 seconds];
        /// Connections at once, TCP and TLS together.
        max_tcp_connections: u32 = 10_000, [1 to 1000000 connections];
        /// UDP sockets, each with a thread of its own; 0 takes one for two cores.
        udp_threads: u32 = 0, [0 to 1024 threads];
        /// Whether its UDP threads go before others, such as those of a bulk load, where the system
        /// permits it (CAP_SYS_NICE, or RLIMIT_RTPRIO of 1); not one that is busy, or asked 20,000 times a second.
        udp_realtime: bool = true, [true or false];
        /// Memory for encoded answers of UDP, and as much for those of TCP and TLS.
        answer_cache_mib: u32 = 128, [1 to 65536 MiB];
        /// UDP answers in several datagrams to one network (IPv4 /24, IPv6 /56) in a second; further ones are dropped, and clients go on to TCP; 0 sets no limit.
        udp_long_answer_kib_per_s: u32 = 1024, [0 to 1000000 KiB];
        /// Networks that this limit leaves alone.
        udp_long_answer_exempt: Vec<String> = list(["127.0.0.0/8", "::1/128"]), [networks];
        /// UDP requests at once that wait for the disk or others, are long, or are answered in many datagrams; further ones get code 3 (busy).
        max_udp_in_flight: u32 = 4096, [1 to 1000000 requests];
        /// Addresses of this node in its site information (HS_SITE); an empty list means the address it listens on, unless that is 0.0.0.0 or ::.
        public_addresses: Vec<IpAddr> = Vec::new(), [addresses];
        /// Serial number of the site information; raise it when the addresses change, clients compare it.
        site_serial: u16 = 1, [1 to 65534];
        /// Whether handles that others serve are asked for on behalf of clients that want it (RECU); without, they get a referral.
        recursion: bool = true, [true or false];
        /// Who is asked, over UDP and TCP, for prefixes that are not registered here: the national resolver.
        upstream: Vec<String> = Vec::new(), [endpoints];
        /// Networks that recursion asks nobody in, unless it is an upstream: delegations are written by enterprises, and must not lead to what only the node can reach.
        recursion_deny: Vec<String> = list(["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"]), [networks];
        /// How long recursion may take for one question, over all services on its way.
        recursion_timeout_ms: u32 = 3000, [100 to 60000 milliseconds];
        /// Clients that wait for recursion at once, a quarter of them for one delegate; further ones get code 3 (busy).
        max_recursions: u32 = 1024, [1 to 1000000 clients];
        /// Memory for what others have answered.
        recursion_cache_mib: u32 = 16, [1 to 65536 MiB];
    }

    /// Trusted resolution: signatures over what is registered, and verdicts for clients that ask for them.
    trust: TrustConfig {
        /// Who signs the values of handles that are registered or changed: the value that holds the public key; "" signs none of them. The Handle front signs answers with the same key, else with the node's own (site.key in node.data_dir).
        signer: String = String::new(), [value name or none];
        /// File of the signer's private key: PEM, RSA or SM2, readable by the node alone.
        key_file: PathBuf = PathBuf::new(), [path or none];
        /// Where the certificates of the signer and of those above it are; an empty list means the signer's own handle.
        chain: Vec<String> = Vec::new(), [value names];
        /// How long a signature holds; every change of the handle makes a new one.
        validity_s: u32 = 315_360_000, [3600 to 3153600000 seconds];
        /// Whether bulk loads are signed, which takes about 0.2 ms (SM2) or 2.6 ms (RSA-2048) of a core for each identifier.
        sign_imports: bool = false, [true or false];
        /// The root that clients' trusted queries are verified up to: its handle and the index of its key; "" verifies nothing.
        root: String = String::new(), [value name or none];
        /// File of the root's public key: PEM.
        root_key_file: PathBuf = PathBuf::new(), [path or none];
        /// File of certificates that are not registered here, the root's and those of prefixes above: JSON as "idctl resolve --json" prints, one handle a line.
        certificates_file: PathBuf = PathBuf::new(), [path or none];
    }

    /// The national node above this one. Its channels are on where their server is named.
    upward: UpwardConfig {
        /// The node's own prefixes, under which it gives prefixes to enterprises (such as 88.118), the main one first.
        prefixes: Vec<String> = Vec::new(), [own prefixes];
        /// The node's user at the national node (shrUserId).
        user: String = String::new(), [token or none];
        /// Who runs the node, by its registered name.
        operator: String = String::new(), [words];
        /// File of the token by which the national node asks how the node sees itself (GET /api/monitor): one line, readable by the node alone; "" answers nobody.
        monitor_token_file: PathBuf = PathBuf::new(), [path or none];
    }

    /// Provisioning over EPP (RFC 5730): enterprises and their prefixes are applied for at the national node.
    upward_epp "upward.epp": UpwardEppConfig {
        /// The EPP server: host:port (TLS, RFC 5734) or an http or https URL; "" switches provisioning off, and prefixes are approved here alone.
        server: String = String::new(), [epp server];
        /// The name in the server's certificate; "" takes the host of the server.
        server_name: String = String::new(), [token or none];
        /// File of the certificates that sign the server's: PEM.
        authority: PathBuf = PathBuf::new(), [path or none];
        /// File of the node's own certificates for TLS: PEM, its own first. Read again at each connection.
        certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        key: PathBuf = PathBuf::new(), [path or none];
        /// The node's name when it logs in (clID); "" takes upward.user.
        client_id: String = String::new(), [token or none];
        /// File of the password that it logs in with: one line, readable by the node alone.
        password_file: PathBuf = PathBuf::new(), [path or none];
        /// How long one answer may take.
        timeout_ms: u32 = 30_000, [100 to 600000 milliseconds];
        /// How often a silent session is kept alive (hello).
        keepalive_ms: u32 = 60_000, [100 to 3600000 milliseconds];
        /// How often messages are asked for while something is under review there (poll).
        poll_ms: u32 = 15_000, [50 to 3600000 milliseconds];
        /// How often messages are asked for otherwise: a prefix may be withdrawn there, and granted again.
        idle_poll_ms: u32 = 60_000, [50 to 3600000 milliseconds];
        /// The longest wait after a failure; the first is a hundredth of it.
        max_backoff_ms: u32 = 120_000, [100 to 3600000 milliseconds];
        /// Whether the handles of prefixes are registered there with the sites that serve them, if the server offers identifiers.
        identifiers: bool = true, [true or false];
    }

    /// Escrow (数据托管): every registered prefix is deposited once a day at a receiver's SFTP server (docs/escrow.md).
    upward_escrow "upward.escrow": UpwardEscrowConfig {
        /// The receiver's SFTP server, host:port; "" switches escrow off.
        server: String = String::new(), [sftp server];
        /// The user that the node logs in as; "" takes upward.user.
        user: String = String::new(), [token or none];
        /// File of the key that it logs in with: OpenSSH's format without a passphrase, readable by the node alone.
        key_file: PathBuf = PathBuf::new(), [path or none];
        /// The server's host key, as in known_hosts: "ssh-ed25519 AAAA...". No other server is spoken with.
        host_key: String = String::new(), [host key];
        /// The directory of deposits on the server; "" takes where it puts the user.
        directory: String = String::new(), [words];
        /// File of the receiver's public SM2 key (PEM), to which deposits are encrypted.
        receiver_key_file: PathBuf = PathBuf::new(), [path or none];
        /// File of the node's own SM2 key (PEM, readable by the node alone), which signs deposits. Made by idctl escrow keygen.
        signing_key_file: PathBuf = PathBuf::new(), [path or none];
        /// Where deposits lie until they are sent; "" takes "escrow" in the data directory.
        spool_dir: PathBuf = PathBuf::new(), [path or none];
        /// When a day of escrow begins, in Beijing's time (UTC+8).
        begins_at: String = "08:00".to_owned(), [time of day];
        /// Every which deposit of a prefix is FULL; the others tell what has changed since the one before.
        full_every: u32 = 7, [1 to 366];
        /// How documents are compressed: the archive the national client makes, or the faster and smaller one.
        compression: String = "zip".to_owned(), [compression];
        /// The longest part, bytes.
        part_bytes: u64 = 1_073_741_824, [1024 to 1099511627776 bytes];
        /// How long one answer may take.
        timeout_ms: u32 = 30_000, [1000 to 600000 milliseconds];
        /// How often is looked for what is due.
        check_ms: u32 = 30_000, [50 to 3600000 milliseconds];
    }

    /// Reports to the national node: statistics, monitoring, service; and fault events.
    upward_report "upward.report": UpwardReportConfig {
        /// Where reports go: host:port, with TLS on both sides; "" switches reports off, and measuring for them.
        server: String = String::new(), [host and port or none];
        /// The name in the server's certificate; "" takes the host of the server.
        server_name: String = String::new(), [token or none];
        /// File of the certificates that sign the server's: PEM.
        authority: PathBuf = PathBuf::new(), [path or none];
        /// File of the node's own certificates for TLS: PEM, its own first. Read again at each connection.
        certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        key: PathBuf = PathBuf::new(), [path or none];
        /// How long connecting, and one answer, may take.
        timeout_ms: u32 = 10_000, [100 to 600000 milliseconds];
        /// The longest wait after a failure; the first is half a second.
        max_backoff_ms: u32 = 60_000, [500 to 3600000 milliseconds];
        /// How long reports, and what they are computed from, are kept; periods that ended before are given up.
        keep_days: u32 = 400, [32 to 3650 days];
        /// How often the node checks itself for faults.
        check_interval_ms: u32 = 10_000, [100 to 600000 milliseconds];
        /// Failed checks in a row that raise a fault.
        checks_to_fault: u32 = 3, [1 to 100 checks];
        /// Good checks in a row that end it.
        checks_to_recovery: u32 = 3, [1 to 100 checks];
        /// Free disk space of data_dir below which there is a fault.
        min_free_mib: u32 = 1024, [1 to 1000000000 MiB];
        /// Guesses at keys, and queries beyond what a network may ask, that are turned away in a minute: more of them are a fault, an attack. 0: none is.
        attack_per_minute: u32 = 1_000, [0 to 1000000000 times];
        /// Prefix that the node registers an identifier of its own in, to probe registration and how soon it takes effect: one that is active and served here; "" probes the writer alone.
        probe_prefix: String = String::new(), [own prefix or none];
        /// How long a jump of the system's clock by more than a minute lasts before reports go by it: one that is set wrong is often set right soon after.
        clock_settle_s: u32 = 300, [0 to 86400 seconds];
        /// For rehearsals: how far the clock of reports is ahead of the system's. Every report says so, and the national node may refuse those with another value than 0.
        clock_ahead_s: u32 = 0, [0 to 315360000 seconds];
    }

    /// The streams between the node and the national node: changes upward; takeover and routes. Which identifiers are told of: those below upward.prefixes; all, where that is empty.
    upward_sync "upward.sync": UpwardSyncConfig {
        /// Where they lead: host:port, with TLS on both sides; "" switches them off.
        server: String = String::new(), [host and port or none];
        /// The name in the server's certificate; "" takes the host of the server.
        server_name: String = String::new(), [token or none];
        /// File of the certificates that sign the server's: PEM.
        authority: PathBuf = PathBuf::new(), [path or none];
        /// File of the node's own certificates for TLS: PEM, its own first; the national node knows the node by the name in it, which is node.id. Read again at each connection.
        certificate: PathBuf = PathBuf::new(), [path or none];
        /// File of the certificate's private key: PEM, readable by the node alone.
        key: PathBuf = PathBuf::new(), [path or none];
        /// How long connecting, and one answer, may take.
        timeout_ms: u32 = 10_000, [100 to 600000 milliseconds];
        /// The longest wait after a failure; the first is half a second.
        max_backoff_ms: u32 = 60_000, [500 to 3600000 milliseconds];
        /// How many changes of identifiers are told a second while a backlog drains, so that what else runs on the machine feels it less; 0 tells as many as go.
        changes_per_s: u32 = 100_000, [0 to 100000000 changes];
        /// The same while the node resolves or registers much (20 resolutions or 2 registrations a second, or more), so that they feel it less; at least twice as many as there are new entries. 0 makes no difference then.
        busy_changes_per_s: u32 = 10_000, [0 to 100000000 changes];
    }

    /// What the national node is told of this node beside upward.operator and upward.prefixes, and what it may tell of the other secondary nodes, its siblings (docs/upward.md). On where upward.sync.server is set. Where the node is found is what handle.public_addresses says, with the ports of its fronts.
    upward_routes "upward.routes": UpwardRoutesConfig {
        /// What certifies the operator.
        certificate_type: String = "social-credit-code".to_owned(), [certificate type];
        /// The code of that: the unified social credit code (统一社会信用代码), or another certificate's; "" is not told.
        certificate_code: String = String::new(), [token or none];
        /// Whom to reach there.
        contact_name: String = String::new(), [words];
        /// Their address for e-mail.
        contact_email: String = String::new(), [words];
        /// Their telephone number.
        contact_phone: String = String::new(), [words];
        /// Prefixes of other schemes that this node answers for, told like upward.prefixes.
        other_prefixes: Vec<String> = Vec::new(), [any prefixes];
        /// Networks in which siblings are asked although handle.recursion_deny has them: the national node is trusted with them.
        sibling_networks: Vec<String> = Vec::new(), [networks];
    }

    /// Logs, written to standard error.
    log: LogConfig {
        /// What is logged. The DNS library's line for each response appears only if its module is named: "info,hickory_server=info".
        level: String = "info".to_owned(), [directives];
        /// How it is written.
        format: LogFormat = LogFormat::Text, [format];
    }
}
