#include "app/nbd/nbd.hpp"
#include "app/nbd/settings.hpp"
#include "block/objects.hpp"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

namespace mimic::nbd {

namespace {

constexpr std::string_view default_port = "10809";
constexpr unsigned payload_kept = 32u << 20;

enum : char {
    opt_fork = tool::opt_own,
    opt_pid_file,
    opt_cache,
    opt_aio,
    opt_discard,
    opt_detect_zeroes,
    opt_tls_creds,
    opt_tls_authz,
    opt_tls_hostname,
    opt_selinux_label,
};

constexpr Arguments::Long longs[] = {
    {"help", false, 'h'},
    {"version", false, 'V'},
    {"port", true, 'p'},
    {"bind", true, 'b'},
    {"socket", true, 'k'},
    {"shared", true, 'e'},
    {"persistent", false, 't'},
    {"verbose", false, 'v'},
    {"export-name", true, 'x'},
    {"description", true, 'D'},
    {"offset", true, 'o'},
    {"allocation-depth", false, 'A'},
    {"bitmap", true, 'B'},
    {"list", false, 'L'},
    {"object", true, tool::opt_object},
    {"tls-creds", true, opt_tls_creds},
    {"tls-authz", true, opt_tls_authz},
    {"tls-hostname", true, opt_tls_hostname},
    {"trace", true, 'T'},
    {"fork", false, opt_fork},
    {"pid-file", true, opt_pid_file},
    {"selinux-label", true, opt_selinux_label},
    {"connect", true, 'c'},
    {"disconnect", true, 'd'},
    {"format", true, 'f'},
    {"read-only", false, 'r'},
    {"snapshot", false, 's'},
    {"load-snapshot", true, 'l'},
    {"nocache", false, 'n'},
    {"cache", true, opt_cache},
    {"aio", true, opt_aio},
    {"discard", true, opt_discard},
    {"detect-zeroes", true, opt_detect_zeroes},
    {"image-opts", false, tool::opt_image_opts},
};

constexpr std::string_view help = R"([OPTIONS] FILE   or, with -L, [OPTIONS]
Serves a disk image as a network block device

  -h, --help                display this help and exit
  -V, --version             output version information and exit

Connection properties:
  -p, --port=PORT           port to listen on (default `10809')
  -b, --bind=IFACE          interface to bind to (default `0.0.0.0')
  -k, --socket=PATH         path to the unix socket (absolute); TCP is not listened on then
  -e, --shared=NUM          device can be shared by NUM clients (default '1'), 0: any number
  -t, --persistent          don't exit on the last connection
  -v, --verbose             tell why connections end
  -x, --export-name=NAME    expose export by name (default is empty string)
  -D, --description=TEXT    export a human-readable description
  With LISTEN_PID and LISTEN_FDS=1 in the environment (socket activation) descriptor 3 is listened on.

Exposing part of the image:
  -o, --offset=OFFSET       offset into the image
  -A, --allocation-depth    expose the allocation depth (metadata context qemu:allocation-depth)
  -B, --bitmap=NAME         expose a persistent dirty bitmap (qemu:dirty-bitmap:NAME); may be repeated

General purpose options:
  -L, --list                list exports available from another NBD server (at -k, or at -b and -p)
  --object TYPE,id=ID,...   'secret' for encrypted images, or TLS credentials: 'tls-creds-x509,dir=DIR,endpoint=server',
                            'tls-creds-psk', 'tls-creds-anon' (with -L: endpoint=client)
  --tls-creds=ID            use TLS with these credentials; clients without are refused
  --tls-authz=ID            of them let those in that an object 'authz-simple', 'authz-list' or 'authz-listfile' allows, by
                            the distinguished names of their certificates
  --tls-hostname=NAME       with -L: the name that the server's certificate must be for
  --fork                    fork off the server process and exit the parent once the server is running
  --pid-file=PATH           store the server's process ID in the given file

Block device options:
  -f, --format=FORMAT       set image format (raw, qcow2, ...)
  -r, --read-only           export read-only
  -s, --snapshot            write to a temporary file on top of FILE
  -l, --load-snapshot=SNAPSHOT_PARAM
                            export an internal snapshot read-only: 'snapshot.id=[ID],snapshot.name=[NAME]', or
                            '[ID_OR_NAME]'
  -n, --nocache             disable host cache
      --cache=MODE          'none', 'writeback' (default), 'writethrough', 'directsync' or 'unsafe'
      --aio=MODE            'native', 'io_uring' or 'threads'; by default what the host does best
      --discard=MODE        'ignore' (default) or 'unmap'
      --detect-zeroes=MODE  'off' (default), 'on' or 'unmap'
      --image-opts          treat FILE as a full set of image options

Not there: the kernel's client (-c, -d): use nbd-client with -k or -p.
)";

class Parser {
public:
    Parser(Tool& tool, Settings& settings) : tool_(tool), s_(settings) {}

    // The exit status, or -1 to go on.
    int parse() {
        Arguments arguments(tool_.args, "hVp:b:k:e:tvx:D:o:AB:LT:c:d:f:rsl:nP:", longs);
        for (auto& o : arguments.options())
            if (o.letter == 'h') {
                std::fputs(("Usage: " + tool_.program + " " + std::string(help)).c_str(), stdout);
                return 0;
            } else if (o.letter == 'V') {
                std::puts(tool::version_line("nbd").c_str());
                return 0;
            }
        int status = 0;
        if (!tool_.parsed(arguments, status)) return status;
        for (auto& o : arguments.options())
            if (!take(o)) return 1;
        return check(arguments.names());
    }

private:
    bool fail(const std::string& message) {
        tool_.error(message);
        return false;
    }
    int refuse(const std::string& message) {
        tool_.error(message);
        std::fprintf(stderr, "Try `%s --help' for more information.\n", tool_.program.c_str());
        return 1;
    }

    bool take(const Arguments::Option& o) {
        bool ok = true;
        switch (o.letter) {
        case 'p': {
            unsigned port = 0;
            if (!number(o.value, 65535, port) || port == 0)
                return fail(fmt::format("Invalid port number '{}', expected 1 to 65535", o.value));
            s_.port = o.value;
            return true;
        }
        case 'b': s_.bind = o.value; return true;
        case 'k': s_.socket_path = o.value; return o.value.starts_with('/') || fail("socket path must be absolute");
        case 'e':
            return number(o.value, INT32_MAX, s_.shared) ||
                   fail(fmt::format("Invalid shared device number '{}'", o.value));
        case 't': s_.persistent = true; return true;
        case 'v': s_.verbose = true; return true;
        case 'x':
            s_.export_name = o.value;
            s_.has_export_name = true;
            return true;
        case 'D': s_.description = o.value; return true;
        case 'o':
            if (auto n = tool::size_argument(tool_, "offset", o.value))
                s_.offset = *n;
            else
                return false;
            return true;
        case 'A': s_.allocation_depth = true; return true;
        case 'B': s_.bitmaps.push_back(o.value); return true;
        case 'L': s_.list = true; return true;
        case 'T': return true; // traces are no part of the output that scripts read
        default: return common(o) || (tool_.common(o, ok) && ok);
        }
    }

    // Options of the image and of the process.
    bool common(const Arguments::Option& o) {
        switch (o.letter) {
        case 'r': s_.read_only = true; return true;
        case 's': s_.snapshot = true; return true;
        case 'l': s_.load_snapshot = o.value; return true;
        case 'n': return cache("none");
        case opt_cache: return cache(o.value);
        case opt_aio: s_.aio = o.value; return true;
        case opt_discard:
            if (o.value == "unmap" || o.value == "on")
                s_.discard = block::DiscardMode::unmap;
            else if (o.value != "ignore" && o.value != "off")
                return fail(fmt::format("Invalid discard mode `{}'", o.value));
            return true;
        case opt_detect_zeroes: s_.detect_zeroes = o.value; return true;
        case opt_fork: s_.fork = true; return true;
        case opt_pid_file: s_.pid_file = o.value; return true;
        case opt_selinux_label: return fail("--selinux-label is not supported");
        case opt_tls_creds: tls_creds_ = o.value; return true;
        case opt_tls_hostname:
            s_.security.host = o.value;
            return !o.value.empty() ||
                   fail("--tls-hostname is empty, expected the name that the certificate must be for");
        case opt_tls_authz: tls_authz_ = o.value; return true;
        case 'c':
        case 'd':
            return fail(fmt::format(
                "the kernel's NBD client ({}) is not driven from here, expected `nbd-client` for that", o.value));
        case 'P':
            return fail("Partitions are not served (-P), expected --offset or --image-opts with offset= and size=");
        default: return false;
        }
    }

    bool cache(const std::string& mode) {
        if (!block::parse_cache(mode)) return fail(fmt::format("Invalid cache mode `{}'", mode));
        if (has_cache_) return fail("-n and --cache can only be specified once");
        has_cache_ = true;
        tool_.cache = mode;
        return true;
    }

    int check(const std::vector<std::string>& names) {
        const char* pid = std::getenv("LISTEN_PID");
        const char* fds = std::getenv("LISTEN_FDS");
        s_.socket_activated = pid && fds && std::string_view(pid) == std::to_string(getpid());
        if (s_.socket_activated && std::string_view(fds) != "1")
            return refuse(fmt::format("socket activation with {} descriptors, expected 1", fds));
        if (s_.socket_activated && (!s_.socket_path.empty() || !s_.bind.empty() || !s_.port.empty()))
            return refuse("-k, -b and -p cannot be given with socket activation");
        if (!secure()) return 1;
        if (!s_.socket_path.empty() && (!s_.bind.empty() || !s_.port.empty()))
            return refuse("-k cannot be given with -b or -p");
        if (s_.list) {
            bool other = s_.has_export_name || !s_.description.empty() || s_.offset || s_.allocation_depth ||
                         !s_.bitmaps.empty() || s_.persistent || s_.fork || !s_.pid_file.empty() || s_.snapshot ||
                         s_.read_only || !s_.load_snapshot.empty();
            if (!names.empty() || other)
                return refuse("List mode is incompatible with a file name and with options of a server");
            return -1;
        }
        if (names.size() != 1) return refuse("Invalid number of arguments");
        s_.file = names[0];
        if (tool_.image_opts && !tool_.format.empty())
            return refuse("--image-opts and --format are mutually exclusive");
        if (s_.snapshot && !s_.load_snapshot.empty())
            return refuse("--snapshot and --load-snapshot exclude each other");
        if (!s_.load_snapshot.empty()) s_.read_only = true;
        return -1;
    }

    // The objects may follow --tls-creds.
    bool secure() {
        if (!tls_authz_.empty() && (tls_creds_.empty() || s_.list))
            return fail("--tls-authz is for a server with --tls-creds only");
        if (tls_creds_.empty())
            return s_.security.host.empty() || fail("--tls-hostname is nothing without --tls-creds");
        if (!s_.security.host.empty() && !s_.list)
            return fail("--tls-hostname is for -L only: a server has no peer's name");
        auto found =
            block::find_credentials(tool_.context, tls_creds_, s_.list ? tls::Endpoint::client : tls::Endpoint::server);
        if (!found) return fail(found.error().message());
        s_.security.credentials = std::move(*found);
        if (!tls_authz_.empty()) {
            auto clients = block::find_authorization(tool_.context, tls_authz_);
            if (!clients) return fail(clients.error().message());
            s_.security.clients = std::move(*clients);
        }
        if (s_.list && s_.security.host.empty() && s_.socket_path.empty()) s_.security.host = s_.address().host;
        return true;
    }

    static bool number(const std::string& text, unsigned most, unsigned& out) {
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
        return error == std::errc() && end == text.data() + text.size() && out <= most;
    }

    Tool& tool_;
    Settings& s_;
    bool has_cache_ = false;
    std::string tls_creds_, tls_authz_;
};

// The parent's half of --fork: waits until the child serves or fails.
int wait_for(int from_child) {
    char byte = 0;
    ssize_t n = 0;
    do n = read(from_child, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : 1;
}

// What the server does once it can be connected to.
bool write_pid(const Tool& tool, const std::string& path) {
    std::FILE* f = std::fopen(path.c_str(), "we");
    bool ok = f && std::fprintf(f, "%d\n", int(getpid())) > 0;
    if (f && std::fclose(f) != 0) ok = false;
    if (!ok) tool.error(fmt::format("Failed to store PID in '{}': {}", path, std::strerror(errno)));
    return ok;
}

int run(std::span<const std::string_view> args) {
    auto loop = io::Loop::create();
    if (!loop) {
        std::fprintf(stderr, "%s: %s\n", tool::program_name("nbd").c_str(), loop.error().message().c_str());
        return 1;
    }
    Tool tool(**loop, "nbd", args);
    Settings settings;
    if (int status = Parser(tool, settings).parse(); status >= 0) return status;
    if (settings.list) return (*loop)->run(list_exports(tool, settings));
    int to_parent = -1;
    if (settings.fork) {
        // The loop has neither threads nor a ring before its first use, so the child can have it.
        int ends[2];
        pid_t child = pipe2(ends, O_CLOEXEC) < 0 ? -1 : ::fork();
        if (child < 0) {
            std::perror((tool.program + ": --fork").c_str());
            return 1;
        }
        close(ends[child ? 1 : 0]);
        if (child) return wait_for(ends[0]);
        to_parent = ends[1];
        setsid();
    }
    auto ready = [&] {
        if (!settings.pid_file.empty() && !write_pid(tool, settings.pid_file)) return false;
        if (to_parent < 0) return true;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd : {0, 1, 2}) dup2(null, fd);
        if (write(to_parent, "r", 1) == 1) close(to_parent);
        return true;
    };
    return (*loop)->run(serve(tool, settings, ready));
}

} // namespace

io::SocketAddress Settings::address() const {
    io::SocketAddress a;
    if (socket_activated && !list) {
        a.kind = io::SocketAddress::Kind::descriptor;
        a.fd = 3;
    } else if (!socket_path.empty()) {
        a.path = socket_path;
    } else {
        a.kind = io::SocketAddress::Kind::inet;
        a.host = bind.empty() ? (list ? "localhost" : "0.0.0.0") : bind;
        a.port = port.empty() ? std::string(default_port) : port;
    }
    return a;
}

int nbd_main(std::span<const std::string_view> args) {
    // In the child it would be too late.
    tool::hand_over_early(args, std::ranges::find(args, "--fork") != args.end());
    // A peer that has gone is an error of the send.
    std::signal(SIGPIPE, SIG_IGN);
    // Payloads of a MiB come and go all the time. By default malloc maps and unmaps each, and clearing its pages anew costs
    // more than moving the data.
    mallopt(M_MMAP_THRESHOLD, int(payload_kept));
    mallopt(M_TRIM_THRESHOLD, int(4 * payload_kept));
    return run(args);
}

} // namespace mimic::nbd
