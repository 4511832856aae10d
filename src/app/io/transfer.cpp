// Commands that move data: read, write, their vectored and asynchronous forms, discard.
#include "app/io/session.hpp"
#include "block/graph.hpp"
#include "block/qcow2/state.hpp"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace mimic::io_tool {

namespace {

using Clock = std::chrono::steady_clock;

constexpr u64 longest = 2147483136; // 2 GiB less a sector
constexpr u64 default_pattern = 0xcd;

struct Transfer {
    u64 offset = 0;
    std::vector<u64> lengths;
    bool quiet = false, machine = false, dump = false, zeroes = false, compressed = false;
    bool state = false; // of the machine, behind the disk
    u32 flags = 0;
    std::optional<u8> pattern;
    std::optional<u64> pattern_offset, pattern_length;
    std::string source;

    u64 length() const {
        u64 sum = 0;
        for (u64 l : lengths) sum += l;
        return sum;
    }
};

std::string duration(Clock::duration d, bool machine) {
    double seconds = std::chrono::duration<double>(d).count();
    auto whole = u64(seconds);
    u64 hundredths = u64((seconds - double(whole)) * 100);
    if (whole >= 60 || machine)
        return fmt::format("{}:{:02}:{:02}.{:02}", whole / 3600, whole / 60 % 60, whole % 60, hundredths);
    return fmt::format("{:02}.{:02} sec", whole, hundredths);
}

void report(const Transfer& t, std::string_view verb, Clock::time_point began) {
    if (t.quiet) return;
    auto took = Clock::now() - began;
    double seconds = std::max(std::chrono::duration<double>(took).count(), 1e-9);
    u64 bytes = t.length();
    if (t.machine) {
        say(fmt::format("{},{},{},{:.3f},{:.3f}\n", bytes, 1, duration(took, true), double(bytes) / seconds,
                        1 / seconds));
        return;
    }
    say(fmt::format("{} {}/{} bytes at offset {}\n{}, {} ops; {} ({}/sec and {:.4f} ops/sec)\n", verb, bytes, bytes,
                    t.offset, size_text(double(bytes)), 1, duration(took, false), size_text(double(bytes) / seconds),
                    1 / seconds));
}

void dump(const u8* data, u64 length, u64 offset) {
    for (u64 at = 0; at < length; at += 16) {
        std::string line = fmt::format("{:08x}: ", offset + at), text;
        for (u64 i = at; i < std::min(at + 16, length); i++) {
            line += fmt::format(" {:02x}", data[i]);
            text += data[i] >= 32 && data[i] < 127 ? char(data[i]) : '.';
        }
        say(fmt::format("{}  {}\n", line, text));
    }
}

bool beyond(const Node& node, const Transfer& t) {
    if (t.state) return false;
    return t.offset > node.size() || t.length() > node.size() - t.offset;
}

Task<bool> do_read(Session& s, Transfer t, std::string_view verb) {
    auto buffer = Buffer::create(std::max<u64>(t.length(), 1));
    if (!buffer) {
        say(fmt::format("{} failed: {}\n", verb, error_text(buffer.error())));
        co_return false;
    }
    std::memset(buffer->data(), 0xab, t.length());
    auto began = Clock::now();
    Result<void> r = Error::from_errno(EIO, "past the end");
    IoVec memory(buffer->data(), t.length());
    if (t.state)
        r = co_await block::qcow2::read_state(*block::skip_filters(s.image.node.get()), t.offset, memory);
    else if (!beyond(*s.image, t))
        r = co_await s.image->read(t.offset, memory);
    if (!r) {
        say(fmt::format("{} failed: {}\n", verb, error_text(r.error())));
        co_return false;
    }
    bool ok = true;
    if (t.pattern) {
        u64 from = t.pattern_offset.value_or(0), count = t.pattern_length.value_or(t.length() - from);
        const u8* begin = buffer->data() + from;
        ok = std::all_of(begin, begin + count, [&](u8 b) { return b == *t.pattern; });
        if (!ok) say(fmt::format("Pattern verification failed at offset {}, {} bytes\n", t.offset + from, count));
    }
    if (t.quiet) co_return ok;
    if (t.dump) dump(buffer->data(), t.length(), t.offset);
    report(t, "read", began);
    co_return ok;
}

// Fills from a file, again from its beginning when it ends.
Result<void> fill_from(const std::string& path, Buffer& buffer) {
    std::FILE* f = std::fopen(path.c_str(), "rbe");
    if (!f) return Error::from_errno(errno, "{}", path);
    size_t n = std::fread(buffer.data(), 1, buffer.size(), f);
    std::fclose(f);
    if (n == 0) return Error::invalid_argument("{}: file is empty", path);
    for (size_t at = n; at < buffer.size(); at++) buffer.data()[at] = buffer.data()[at - n];
    return {};
}

Task<bool> do_write(Session& s, Transfer t, std::string_view verb) {
    Buffer buffer;
    if (!t.zeroes) {
        auto made = Buffer::create(std::max<u64>(t.length(), 1));
        Result<void> filled;
        if (!made) filled = made.error();
        if (made) std::memset(made->data(), int(t.pattern.value_or(default_pattern)), made->size());
        if (made && !t.source.empty()) filled = fill_from(t.source, *made);
        if (!filled) {
            say(fmt::format("{} failed: {}\n", verb, filled.error().message()));
            co_return false;
        }
        buffer = std::move(*made);
    }
    auto began = Clock::now();
    Result<void> r = Error::from_errno(EIO, "past the end");
    IoVec memory;
    if (!t.zeroes) memory = IoVec(buffer.data(), t.length());
    if (!beyond(*s.image, t)) {
        u32 flags = t.flags | (s.image.write_through ? block::flag::fua : 0);
        if (t.state)
            r = co_await block::skip_filters(s.image.node.get())->state_write(t.offset, memory);
        else if (t.zeroes)
            r = co_await s.image->write_zeroes(t.offset, t.length(), flags);
        else if (t.compressed)
            r = co_await s.image->write_compressed(t.offset, memory);
        else
            r = co_await s.image->write(t.offset, memory, flags);
    }
    if (!r) {
        say(fmt::format("{} failed: {}\n", verb, error_text(r.error())));
        co_return false;
    }
    report(t, "wrote", began);
    co_return true;
}

// The options that the forms share. False after a message.
bool take_options(const Arguments& a, Transfer& t) {
    bool unmap = false, no_fallback = false;
    for (auto& o : a.options()) {
        switch (o.letter) {
        case 'q': t.quiet = true; break;
        case 'C': t.machine = true; break;
        case 'v': t.dump = true; break;
        case 'z': t.zeroes = true; break;
        case 'u': unmap = true; break;
        case 'n': no_fallback = true; break;
        case 'f': t.flags |= block::flag::fua; break;
        case 'c': t.compressed = true; break;
        case 'b': t.state = true; break;
        case 'P': {
            auto n = number(o.value);
            if (!n) return false;
            if (*n > 255) {
                say(fmt::format("{} is not a valid pattern byte\n", o.value));
                return false;
            }
            t.pattern = u8(*n);
            break;
        }
        case 's': t.source = o.value; break;
        case 'l': {
            auto n = number(o.value);
            if (!n) return false;
            t.pattern_length = *n;
            break;
        }
        default: break; // -a, -p and -i change nothing here
        }
    }
    if (t.state && (t.zeroes || t.compressed)) {
        say("-b and -c or -z cannot be specified at the same time\n");
        return false;
    }
    for (auto [on, letter] : {std::pair(unmap, 'u'), std::pair(no_fallback, 'n')})
        if (on && !t.zeroes) {
            say(fmt::format("-{} requires -z to be specified\n", letter));
            return false;
        }
    if (unmap) t.flags |= block::flag::may_unmap;
    if (no_fallback) t.flags |= block::flag::no_fallback;
    return true;
}

bool take_range(const Arguments& a, Transfer& t) {
    auto& words = a.names();
    auto offset = number(words[0]);
    if (!offset) return false;
    t.offset = *offset;
    for (size_t i = 1; i < words.size(); i++) {
        auto n = number(words[i]);
        if (!n) return false;
        if (*n > longest || t.length() + *n > longest) {
            say(fmt::format("length cannot exceed {}, given {}\n", longest, words[i]));
            return false;
        }
        t.lengths.push_back(*n);
    }
    if (*offset > u64(INT64_MAX)) {
        say(fmt::format("offset cannot exceed {}, given {}\n", INT64_MAX, words[0]));
        return false;
    }
    return true;
}

bool prepare_read(const Arguments& a, Transfer& t) {
    if (!take_options(a, t) || !take_range(a, t)) return false;
    // -s is a number here.
    if (!t.source.empty()) {
        auto n = number(t.source);
        if (!n) return false;
        t.pattern_offset = *n;
    }
    if ((t.pattern_offset || t.pattern_length) && !t.pattern) {
        say("read [-abCqv] [-P pattern [-s off] [-l len]] off len -- reads a number of bytes at a specified offset\n");
        return false;
    }
    u64 from = t.pattern_offset.value_or(0);
    if (from > t.length() || t.pattern_length.value_or(0) > t.length() - from) {
        say("pattern verification range exceeds end of read data\n");
        return false;
    }
    return true;
}

bool prepare_write(Session& s, const Arguments& a, Transfer& t) {
    if (!take_options(a, t)) return false;
    if (int(t.zeroes) + int(t.pattern.has_value()) + int(!t.source.empty()) > 1) {
        say("Only one of -z, -P, and -s can be specified at the same time\n");
        return false;
    }
    if (!take_range(a, t)) return false;
    for (u64 n : {t.offset, t.length()})
        if (t.compressed && n % 512) {
            say(fmt::format("{} is not a sector-aligned value for '{}'\n", n, n == t.offset ? "offset" : "count"));
            return false;
        }
    if (s.image->read_only()) {
        s.tool.error("Block node is read-only");
        return false;
    }
    return true;
}

Task<Result<void>> without_result(Task<bool> task) {
    bool ok = co_await task;
    static_cast<void>(ok); // the line that it printed tells; the command has ended long ago
    co_return Result<void>();
}

} // namespace

Task<bool> read_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_read(a, t)) co_return false;
    co_return co_await do_read(s, std::move(t), "read");
}

Task<bool> readv_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_read(a, t)) co_return false;
    co_return co_await do_read(s, std::move(t), "readv");
}

Task<bool> write_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_write(s, a, t)) co_return false;
    co_return co_await do_write(s, std::move(t), "write");
}

Task<bool> writev_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_write(s, a, t)) co_return false;
    co_return co_await do_write(s, std::move(t), "writev");
}

Task<bool> aio_read_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_read(a, t)) co_return false;
    s.background.spawn(without_result(do_read(s, std::move(t), "aio_read")));
    co_return true;
}

Task<bool> aio_write_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_write(s, a, t)) co_return false;
    s.background.spawn(without_result(do_write(s, std::move(t), "aio_write")));
    co_return true;
}

Task<bool> discard_command(Session& s, const Arguments& a) {
    Transfer t;
    if (!prepare_write(s, a, t)) co_return false;
    auto began = Clock::now();
    Result<void> r = Error::from_errno(EIO, "past the end");
    if (!beyond(*s.image, t)) r = co_await s.image->discard(t.offset, t.length());
    if (!r) {
        say(fmt::format("discard failed: {}\n", error_text(r.error())));
        co_return false;
    }
    report(t, "discard", began);
    co_return true;
}

} // namespace mimic::io_tool
