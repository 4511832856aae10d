// The format of a saved machine: sections, each with its name, version, length and checksum.
//
//   "MIMICVM\n", u32 version of the format, then sections: u16 length and bytes of the name, u32 version of the section, u64
//   length of the payload, payload, u32 CRC-32 (zlib's) of all before it in the section. The last one is "end". Numbers are
//   little-endian.
//
// If the payload of "end" is the byte 1, the sender waits: the receiver says `loaded` when the machine is whole there, the sender
// answers `go_on` and keeps its own machine still from then on, and only then does the receiver's run. So never both run, and a
// machine that could not be loaded goes on where it was.
//
// Nothing is allocated by what a length says before the bytes are there.
#pragma once
#include "base/result.hpp"
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mimic::migration {

inline constexpr u32 format_version = 2;           // 1 had no "moment"
inline constexpr u64 max_section = u64{256} << 20; // bytes of a payload

inline constexpr u8 loaded[8] = {'L', 'O', 'A', 'D', 'E', 'D', '.', '\n'};
inline constexpr u8 go_on[8] = {'G', 'O', ' ', 'O', 'N', '.', '.', '\n'};

using Sink = std::function<Result<void>(std::span<const u8>)>;
using Source = std::function<Result<void>(std::span<u8>)>;

class Payload { // being written
public:
    template <class T>
    void number(T v) {
        raw({reinterpret_cast<const u8*>(&v), sizeof v});
    }
    void text(std::string_view s) {
        number(u16(s.size()));
        raw({reinterpret_cast<const u8*>(s.data()), s.size()});
    }
    void raw(std::span<const u8> bytes) {
        if (bytes.empty()) return;
        size_t at = out.size();
        out.resize(at + bytes.size());
        __builtin_memcpy(out.data() + at, bytes.data(), bytes.size());
    }
    std::vector<u8> out;
};

class Fields { // being read
public:
    explicit Fields(std::span<const u8> bytes) : in_(bytes) {}
    bool empty() const { return in_.empty(); }
    template <class T>
    bool number(T& v) {
        std::span<const u8> s;
        if (!raw(sizeof v, s)) return false;
        __builtin_memcpy(&v, s.data(), sizeof v);
        return true;
    }
    bool text(std::string& s);
    bool raw(u64 n, std::span<const u8>& out);

private:
    std::span<const u8> in_;
};

class StreamWriter {
public:
    explicit StreamWriter(Sink sink) : sink_(std::move(sink)) {}
    Result<void> begin();
    Result<void> section(std::string_view name, u32 version, std::span<const u8> payload);
    Result<void> end(bool answer = false) {
        const u8 one = 1;
        return section("end", 1, std::span(&one, answer ? 1 : 0));
    }

private:
    Sink sink_;
};

struct Section {
    std::string name;
    u32 version = 0;
    std::vector<u8> payload;
};

class StreamReader {
public:
    // check: sums must be right; fuzzing does without.
    explicit StreamReader(Source source, bool check = true) : source_(std::move(source)), check_(check) {}
    Result<void> begin();
    Result<Section> next();

private:
    Source source_;
    bool check_;
};

} // namespace mimic::migration
