#include "monitor/qtest.hpp"
#include "base/base64.hpp"
#include "monitor/objects.hpp"
#include <charconv>

namespace mimic::monitor {

namespace {

constexpr u64 max_bytes = 16 << 20; // of one command

// Decimal, 0x, or octal with a leading 0; negative ones wrap, as strtoull's do.
bool number(std::string_view text, u64& out) {
    bool minus = text.starts_with('-');
    if (minus) text.remove_prefix(1);
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    } else if (text.size() > 1 && text[0] == '0') {
        base = 8;
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (minus) out = -out;
    return error == std::errc() && end == text.data() + text.size();
}

std::string fail(std::string_view what) { return fmt::format("FAIL {}", what); }

// The lines of a device, in the order of its description.
struct LineLister final : devices::Describe {
    std::vector<std::pair<std::string, devices::Line*>> lines;
    void on_line(std::string_view name, devices::Line& line) override { lines.emplace_back(full(name), &line); }
};

} // namespace

// Stands between a line and its end; the end hears it, too.
struct QtestCommands::Tap final : devices::LineSink {
    QtestCommands& owner;
    devices::Line& line;
    devices::LineSink* end;
    u32 end_number, shown;
    bool level;
    Tap(QtestCommands& o, devices::Line& l, u32 n)
        : owner(o)
        , line(l)
        , end(l.sink())
        , end_number(l.number())
        , shown(n)
        , level(l.level()) {
        line.connect(*this, 0);
    }
    ~Tap() override {
        if (end) line.connect(*end, end_number);
    }
    void set_line(u32, bool now) override {
        if (now != level) owner.irq_(fmt::format("IRQ {} {}", now ? "raise" : "lower", shown));
        level = now;
        if (end) end->set_line(end_number, now);
    }
};

QtestCommands::QtestCommands(devices::Machine& machine, bool big_endian, std::function<void(std::string_view)> irq)
    : machine_(machine)
    , big_endian_(big_endian)
    , irq_(std::move(irq)) {}
QtestCommands::~QtestCommands() = default;

std::string QtestCommands::run(std::string_view line) {
    Words w;
    while (!line.empty()) {
        size_t space = line.find(' ');
        if (space != 0) w.push_back(line.substr(0, space));
        line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    }
    if (w.empty()) return fail("expected a command");
    std::string_view name = w[0];
    constexpr std::string_view sizes = "bwlq";
    if (name == "clock_step" || name == "clock_set") return clock(w);
    if (name == "endianness") return big_endian_ ? "OK big" : "OK little";
    if (name == "memset") return fill(w);
    if (name == "read" || name == "b64read") return read(w, name == "b64read");
    if (name == "write" || name == "b64write") return write(w, name == "b64write");
    if (name == "irq_intercept_in") return intercept(w, true);
    if (name == "irq_intercept_out" || name == "irq_intercept_out_named") return intercept(w, false);
    if (name == "set_irq_in") return set_irq(w);
    bool reads = name.size() == 5 && name.starts_with("read"), writes = name.size() == 6 && name.starts_with("write");
    if ((reads || writes) && sizes.find(name.back()) != std::string_view::npos) return access(w, name.back(), writes);
    return fail(fmt::format("Unknown command '{}'", name));
}

std::string QtestCommands::clock(const Words& w) {
    if (!machine_.manual_clock()) return fail("the clock is the host's, expected -accel qtest");
    u64 now = machine_.now(), to = 0;
    if (w.size() == 1 && w[0] == "clock_step") {
        to = machine_.next_deadline();
        if (to == devices::Timer::never) to = now;
    } else if (w.size() != 2 || !number(w[1], to)) {
        return fail(fmt::format("{}: expected nanoseconds", w[0]));
    } else if (w[0] == "clock_step") {
        to = now + std::min(to, ~u64{0} - 1 - now);
    }
    if (to > now) machine_.advance(to - now);
    return fmt::format("OK {}", machine_.now());
}

std::string QtestCommands::access(const Words& w, char size, bool write) {
    u64 address = 0, value = 0;
    u32 bytes = size == 'b' ? 1 : size == 'w' ? 2 : size == 'l' ? 4 : 8;
    if (w.size() != (write ? 3 : 2) || !number(w[1], address) || (write && !number(w[2], value)))
        return fail(fmt::format("{}: expected an address{}", w[0], write ? " and a value" : ""));
    auto swap = [&](u64 v) { return big_endian_ ? __builtin_bswap64(v) >> (64 - 8 * bytes) : v; };
    if (write) {
        if (bytes < 8) value &= (u64{1} << 8 * bytes) - 1;
        machine_.memory().write_value(address, bytes, swap(value),
                                      {}); // a bus that refuses it is no failure of the test
        return "OK";
    }
    if (machine_.memory().read_value(address, bytes, value, {}) != memory::Outcome::ok) value = 0;
    return fmt::format("OK 0x{:016x}", swap(value));
}

std::string QtestCommands::read(const Words& w, bool base64) {
    u64 address = 0, bytes = 0;
    if (w.size() != 3 || !number(w[1], address) || !number(w[2], bytes) || bytes == 0 || bytes > max_bytes)
        return fail(fmt::format("{}: expected an address and a size from 1 to {}", w[0], max_bytes));
    std::string data(bytes, '\0');
    (void)machine_.memory().read(address, data.data(), bytes); // what nothing answers for reads as zero
    if (base64) return "OK " + to_base64(data);
    std::string out = "OK 0x";
    for (char c : data) out += fmt::format("{:02x}", u8(c));
    return out;
}

std::string QtestCommands::write(const Words& w, bool base64) {
    u64 address = 0, bytes = 0;
    if (w.size() != 4 || !number(w[1], address) || !number(w[2], bytes) || bytes == 0 || bytes > max_bytes)
        return fail(fmt::format("{}: expected an address, a size from 1 to {} and data", w[0], max_bytes));
    std::string data;
    if (base64) {
        auto decoded = from_base64(w[3]);
        if (!decoded) return fail(decoded.error().message());
        data = std::move(*decoded);
    } else {
        std::string_view digits = w[3];
        if (!digits.starts_with("0x") || digits.size() % 2) return fail("write: data are no bytes in hexadecimal");
        for (size_t i = 2; i < digits.size(); i += 2) {
            u8 byte = 0;
            auto [end, error] = std::from_chars(digits.data() + i, digits.data() + i + 2, byte, 16);
            if (error != std::errc() || end != digits.data() + i + 2)
                return fail("write: data are no bytes in hexadecimal");
            data += char(byte);
        }
    }
    data.resize(bytes); // what is missing is zero
    (void)machine_.memory().write(address, data.data(), bytes);
    return "OK";
}

std::string QtestCommands::fill(const Words& w) {
    u64 address = 0, bytes = 0, value = 0;
    if (w.size() != 4 || !number(w[1], address) || !number(w[2], bytes) || !number(w[3], value) || bytes > max_bytes)
        return fail(fmt::format("memset: expected an address, a size up to {} and a byte", max_bytes));
    std::string data(bytes, char(value));
    if (bytes) (void)machine_.memory().write(address, data.data(), bytes);
    return "OK";
}

std::string QtestCommands::intercept(const Words& w, bool in) {
    bool named = w[0] == "irq_intercept_out_named";
    if (w.size() != (named ? 3 : 2))
        return fail(fmt::format("{}: expected a path{}", w[0], named ? " and a name" : ""));
    devices::Device* device = machine_.find(w[1]);
    if (!device) return fail(fmt::format("there is no device '{}'", w[1]));
    if (in) {
        if (!device->inputs()) return fail(fmt::format("device '{}' has no input lines", w[1]));
        machine_.each([&](devices::Device& d) {
            LineLister lister;
            d.describe(lister);
            for (auto& [name, line] : lister.lines)
                if (line->sink() == device->inputs())
                    taps_.push_back(std::make_unique<Tap>(*this, *line, line->number()));
        });
        return "OK";
    }
    LineLister lister;
    device->describe(lister);
    u32 n = 0;
    for (auto& [name, line] : lister.lines) {
        if (named && name != w[2]) continue;
        taps_.push_back(std::make_unique<Tap>(*this, *line, n++));
    }
    if (n == 0) return fail(fmt::format("device '{}' has no such output lines", w[1]));
    return "OK";
}

std::string QtestCommands::set_irq(const Words& w) {
    u64 n = 0, level = 0;
    if (w.size() != 5 || !number(w[3], n) || !number(w[4], level))
        return fail("set_irq_in: expected a path, a name, a number and a level");
    devices::Device* device = machine_.find(w[1]);
    if (!device || !device->inputs()) return fail(fmt::format("there is no device '{}' with input lines", w[1]));
    if (n > ~u32{0}) return fail(fmt::format("set_irq_in: there is no line {}", n));
    device->inputs()->set_line(u32(n), level != 0);
    return "OK";
}

// ---- connections ------------------------------------------------------------------------------------------------------

Qtest::Qtest(Monitor& m, chardev::Chardev& dev, std::FILE* log)
    : Session(m, dev)
    , commands_(m.machine(), !m.board().vcpus().empty() && m.board().vcpus()[0]->guest().big_endian(),
                [this](std::string_view text) { answer(text); })
    , log_(log) {
    dev.attach(this);
}

void Qtest::event(chardev::Event e) {
    if (e == chardev::Event::closed) {
        forget_output();
        line_.clear();
        too_long_ = false;
    }
}

void Qtest::answer(std::string_view line) {
    if (log_) std::fprintf(log_, "[S] %.*s\n", int(line.size()), line.data());
    send(fmt::format("{}\n", line));
}

void Qtest::receive(std::span<const u8> bytes) {
    for (u8 b : bytes) {
        if (b != '\n') {
            too_long_ |= line_.size() >= max_line;
            if (!too_long_ && b != '\r') line_ += char(b);
            continue;
        }
        if (log_) std::fprintf(log_, "[R] %s\n", line_.c_str());
        std::string reply = too_long_ ? "FAIL the line is too long" : line_.empty() ? "" : commands_.run(line_);
        line_.clear();
        too_long_ = false;
        if (!reply.empty()) answer(reply);
    }
}

} // namespace mimic::monitor
