// Options of nodes and images: text forms to a tree, and a tree to typed structs.
//
// The forms are one tree: `driver=qcow2,file.filename=a.img` (flat, dotted), `json:{"driver": "qcow2", "file": {...}}`.
// A struct describes its options once, with describe(OptionVisitor&); from that come reading, `-o help` and printing.
//
//   struct RawOptions {
//       std::optional<u64> offset;
//       void describe(OptionVisitor& v) { v.size("offset", offset, "Where the image starts in the file"); }
//   };
//   OptionReader reader(tree, "raw");
//   options.describe(reader);
//   TRY(reader.finish());    // unknown or ill-formed options, by name
#pragma once
#include "base/json.hpp"
#include <optional>
#include <span>

namespace mimic::block {

struct SnapshotInfo;

// "10", "4k", "1.5G", "0x1000", "512b": bytes. Suffixes are powers of 1024 (b, k, M, G, T, P, E).
Result<u64> parse_size(std::string_view text);
// "1.5 GiB", as people read sizes.
// Snapshots as people are shown them, with a line of titles.
std::string snapshot_table(const std::vector<SnapshotInfo>& list);
std::string human_size(u64 bytes);

// A flat list to a tree: `a=1,b.c=2` to {"a": "1", "b": {"c": "2"}}. A comma in a value is written twice. An item without
// '=' belongs to `implied` if it is the first and there is one; otherwise it is a switch: `x` is x=on, `nox` is x=off.
Result<Json> parse_flat(std::string_view text, std::string_view implied = {});
// Members with dots in their names to objects in objects; objects whose members are 0, 1, 2... to arrays.
Result<Json> nest(Json flat);

class OptionVisitor {
public:
    virtual ~OptionVisitor() = default;
    virtual void string(std::string_view name, std::optional<std::string>& value, std::string_view help) = 0;
    virtual void boolean(std::string_view name, std::optional<bool>& value, std::string_view help) = 0;
    // Bytes with a suffix.
    virtual void size(std::string_view name, std::optional<u64>& value, std::string_view help) = 0;
    virtual void number(std::string_view name, std::optional<u64>& value, std::string_view help) = 0;
    // One of the names; the value is its index.
    virtual void choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>& value,
                        std::string_view help) = 0;

    template <class E>
    void choice_of(std::string_view name, std::span<const std::string_view> names, E& value, std::string_view help) {
        std::optional<u8> index = u8(value);
        choice(name, names, index, help);
        if (index) value = E(*index);
    }
    void flag(std::string_view name, bool& value, std::string_view help) {
        std::optional<bool> v = value;
        boolean(name, v, help);
        value = *v;
    }
};

// Takes described options out of a tree. The first trouble is kept for finish().
class OptionReader final : public OptionVisitor {
public:
    // `owner` names what the options belong to, for messages.
    OptionReader(Json& tree, std::string_view owner) : tree_(tree), owner_(owner) {}
    void string(std::string_view name, std::optional<std::string>& value, std::string_view help) override;
    void boolean(std::string_view name, std::optional<bool>& value, std::string_view help) override;
    void size(std::string_view name, std::optional<u64>& value, std::string_view help) override;
    void number(std::string_view name, std::optional<u64>& value, std::string_view help) override;
    void choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>& value,
                std::string_view help) override;
    // The first error so far, and no complaint about what is left.
    Result<void> so_far() const;
    // The first error, or an error for a member that nobody took.
    Result<void> finish() const;

private:
    // A name may be dotted; it is looked up through the objects.
    Json take(std::string_view name);
    void fail(std::string_view name, std::string_view expected);
    Json& tree_;
    std::string owner_;
    std::optional<Error> error_;
};

// "  name=<type>   - help" lines, sorted by name.
class OptionHelp final : public OptionVisitor {
public:
    void string(std::string_view name, std::optional<std::string>&, std::string_view help) override;
    void boolean(std::string_view name, std::optional<bool>&, std::string_view help) override;
    void size(std::string_view name, std::optional<u64>&, std::string_view help) override;
    void number(std::string_view name, std::optional<u64>&, std::string_view help) override;
    void choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>&,
                std::string_view help) override;
    std::string text() const;

private:
    void add(std::string_view name, std::string_view type, std::string_view help);
    std::vector<std::pair<std::string, std::string>> lines_;
};

// " name=value" for each option that has a value, in the order of description.
class OptionPrinter final : public OptionVisitor {
public:
    void string(std::string_view name, std::optional<std::string>& value, std::string_view) override;
    void boolean(std::string_view name, std::optional<bool>& value, std::string_view) override;
    void size(std::string_view name, std::optional<u64>& value, std::string_view) override;
    void number(std::string_view name, std::optional<u64>& value, std::string_view) override;
    void choice(std::string_view name, std::span<const std::string_view> names, std::optional<u8>& value,
                std::string_view) override;
    std::string text;
};

} // namespace mimic::block
