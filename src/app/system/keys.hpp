// The keys of an option's value: "virt,aclint=on", "user,id=n0,hostfwd=tcp::5555-:22".
#pragma once
#include "base/result.hpp"
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mimic::app {

class Keys {
public:
    using List = std::vector<std::pair<std::string, std::string>>;
    Keys() = default;
    // `option` names it in errors. A comma in a value is written twice. The first item without '=' is the value of
    // `implied`; others are switches ("x" is x=on, "nox" is x=off).
    Keys(std::string_view option, std::string_view text, std::string_view implied = {});
    // The same, or a JSON object whose members are texts, numbers and booleans.
    static Result<Keys> parse(std::string_view option, std::string_view text, std::string_view implied = {});

    bool has(std::string_view key) const;
    // Each takes a key; the last one given counts. The first trouble is kept for finish().
    std::string text(std::string_view key, std::string_view otherwise = {});
    bool flag(std::string_view key, bool otherwise);
    u64 number(std::string_view key, u64 otherwise, u64 low = 0, u64 high = ~u64{0});
    u64 size(std::string_view key, u64 otherwise, char unit = 'b'); // a plain number counts in `unit`
    u32 choice(std::string_view key, std::span<const std::string_view> names, u32 otherwise);
    // All that nobody took.
    List rest();
    // An error for the first trouble or for what nobody took.
    Result<void> finish() const;
    const List& all() const { return list_; }

private:
    const std::string* take(std::string_view key);
    void fail(std::string_view key, std::string_view value, std::string_view expected);
    std::string option_;
    List list_;
    std::vector<bool> used_;
    std::vector<std::string> asked_;
    std::optional<Error> error_;
};

// "64", "64M", "1.5G": bytes; a plain number counts in `unit` (b, k, M, G).
Result<u64> parse_bytes(std::string_view text, char unit);

} // namespace mimic::app
