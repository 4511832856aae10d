#include "block/nbd/address.hpp"
#include <algorithm>
#include <cctype>

namespace mimic::block::nbd {

namespace {

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

Result<std::string> decode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        int high = i + 2 < text.size() ? hex(text[i + 1]) : -1, low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return Error::invalid_argument("'{}' has a bad escape, expected % and two hexadecimal digits", text);
        out += char(high * 16 + low);
        i += 2;
    }
    return out;
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "host", "host:port", "[::1]:port".
Result<void> parse_authority(std::string_view text, io::SocketAddress& a) {
    if (size_t at = text.find('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
    size_t colon = text.rfind(':'), bracket = text.rfind(']');
    if (colon != std::string_view::npos && bracket != std::string_view::npos && colon < bracket)
        colon = std::string_view::npos;
    std::string_view port = colon == std::string_view::npos ? default_port : text.substr(colon + 1);
    if (port.empty()) port = default_port;
    if (!is_port(port)) return Error::invalid_argument("'{}' is no port", port);
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    a.kind = io::SocketAddress::Kind::inet;
    a.host = TRY(decode(host.empty() ? "localhost" : host));
    a.port = port;
    return {};
}

Result<Location> parse_uri(std::string_view scheme, std::string_view rest) {
    Location l;
    l.needs_tls = scheme.starts_with("nbds");
    size_t path_at = rest.find_first_of("/?#");
    std::string_view authority = rest.substr(0, path_at), path, query;
    if (path_at != std::string_view::npos)
        rest.remove_prefix(path_at);
    else
        rest = {};
    rest = rest.substr(0, rest.find('#'));
    if (size_t q = rest.find('?'); q != std::string_view::npos) {
        query = rest.substr(q + 1);
        rest = rest.substr(0, q);
    }
    path = rest.starts_with('/') ? rest.substr(1) : rest;
    l.export_name = TRY(decode(path));
    if (!scheme.ends_with("+unix")) {
        if (!query.empty()) return Error::invalid_argument("only nbd+unix:// takes parameters ('{}')", query);
        TRY(parse_authority(authority, l.address));
        return l;
    }
    if (!authority.empty()) return Error::invalid_argument("nbd+unix:// names no host, but '{}' is given", authority);
    if (!query.starts_with("socket=") || query.find('&') != std::string_view::npos)
        return Error::invalid_argument("nbd+unix:// expects one parameter, socket=PATH");
    l.address.path = TRY(decode(query.substr(7)));
    if (l.address.path.empty()) return Error::invalid_argument("nbd+unix:// expects socket=PATH");
    return l;
}

} // namespace

Result<Location> parse_location(std::string_view name) {
    for (std::string_view scheme : {"nbd", "nbd+tcp", "nbd+unix", "nbds", "nbds+tcp", "nbds+unix"})
        if (name.starts_with(std::string(scheme) + "://")) return parse_uri(scheme, name.substr(scheme.size() + 3));
    if (!name.starts_with("nbd:"))
        return Error::invalid_argument(
            "expected nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH or nbd:HOST:PORT");
    name.remove_prefix(4);
    Location l;
    constexpr std::string_view option = ":exportname=";
    if (size_t at = name.find(option); at != std::string_view::npos) {
        l.export_name = name.substr(at + option.size());
        name = name.substr(0, at);
    }
    if (name.starts_with("unix:")) {
        l.address.path = name.substr(5);
        if (l.address.path.empty()) return Error::invalid_argument("nbd:unix: expects a path");
        return l;
    }
    size_t colon = name.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || !is_port(name.substr(colon + 1)))
        return Error::invalid_argument("expected nbd:HOST:PORT[:exportname=NAME], but got '{}'", name);
    TRY(parse_authority(name, l.address));
    return l;
}

namespace {
std::string encode(std::string_view text, std::string_view keep) {
    std::string out;
    for (char c : text)
        if (std::isalnum(u8(c)) || keep.find(c) != keep.npos)
            out += c;
        else
            out += fmt::format("%{:02X}", u8(c));
    return out;
}
} // namespace

std::string uri_of(const Location& where) {
    constexpr std::string_view plain = "-._~/:@!$()*,;+=";
    std::string name;
    if (!where.export_name.empty()) name.append("/").append(encode(where.export_name, plain));
    const io::SocketAddress& a = where.address;
    switch (a.kind) {
    case io::SocketAddress::Kind::inet: {
        std::string host = a.host.find(':') == std::string::npos ? a.host : fmt::format("[{}]", a.host);
        return fmt::format("nbd://{}:{}{}", host, a.port, name);
    }
    case io::SocketAddress::Kind::unix_path: return fmt::format("nbd+unix://{}?socket={}", name, encode(a.path, plain));
    case io::SocketAddress::Kind::descriptor: break;
    }
    return a.text();
}

} // namespace mimic::block::nbd
