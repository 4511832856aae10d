// Options of a host network, and taking them one by one.
#pragma once
#include "base/io/socket.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include <optional>
#include <vector>

namespace mimic::net {

// "user,id=n0,hostfwd=a,hostfwd=b": the kind, and names with their values; ",," is a comma of a value.
struct Options {
    std::string kind;
    std::vector<std::pair<std::string, std::string>> values;

    Options() = default;
    Options(std::string k, std::vector<std::pair<std::string, std::string>> v)
        : kind(std::move(k))
        , values(std::move(v)) {}
    bool has(std::string_view name) const;
    // Each removes what it gives: the last value of that name; the default if there is none.
    std::string take(std::string_view name, std::string_view otherwise = {});
    std::vector<std::string> take_all(std::string_view name);
    Result<bool> flag(std::string_view name, bool otherwise);
    Result<u64> number(std::string_view name, u64 otherwise, u64 low, u64 high);
    // QAPI's SocketAddress: PREFIX.type=inet|unix|fd and what belongs to it. Nothing: no option begins so.
    Result<std::optional<io::SocketAddress>> address(std::string_view prefix);
    // An error for an option that nobody took.
    Result<void> finish() const;

private:
    std::vector<std::string> asked_;
};
Result<Options> parse(std::string_view text);
// The same of a JSON object, "type" among its members: a list ([{"str": "tcp::2222-:22"}]) is a name several times, an
// object's members have its name in front ("addr.type").
Result<Options> parse_object(const Json& object);

// "option 'net': '10.0.2', expected an IPv4 network".
Error bad_option(std::string_view name, std::string_view value, std::string_view expected);
// "HOST:PORT", "[::1]:PORT"; an empty host is `host`.
Result<io::SocketAddress> parse_host_port(std::string_view name, const std::string& text, std::string_view host);

} // namespace mimic::net
