// Reset, save and load of a machine through describe().
//
// A saved state: "MIMICSAV", u32 version, then objects: string path, u32 count, entries: string name, u8 kind, payload.
// Strings are u16 length and bytes; all numbers are little-endian.
#include "devices/base/machine.hpp"
#include "devices/base/timers.hpp"
#include "devices/base/watch.hpp"
#include <cstring>
#include <map>

namespace mimic::devices {

namespace {

constexpr char magic[8] = {'M', 'I', 'M', 'I', 'C', 'S', 'A', 'V'};
constexpr u32 version = 2; // 1 had no offloads and no links of network cards

enum class Kind : u8 { numbers, bytes, list, line, timer };

// ---- reset ------------------------------------------------------------------------------------------------------------

struct Resetter final : Describe {
    ResetKind kind;
    explicit Resetter(ResetKind k) : kind(k) {}
    void on_numbers(std::string_view, const Numbers& n, const StateRules& r) override {
        if (kind > r.until) return;
        for (u32 i = 0; i < n.count; i++) n.set(i, r.reset);
    }
    void on_bytes(std::string_view, std::vector<u8>& bytes, u32, u32) override { bytes.clear(); }
    bool on_list(std::string_view, u32& count, u32, u32) override {
        count = 0;
        return true;
    }
    void on_line(std::string_view, Line& line) override { line.set(false); }
    void on_timer(std::string_view, Timer& timer) override { timer.disarm(); }
};

// ---- save -------------------------------------------------------------------------------------------------------------

class Writer {
public:
    std::vector<u8> out;
    void raw(const void* data, size_t n) {
        if (n == 0) return;
        out.resize(out.size() + n);
        std::memcpy(out.data() + out.size() - n, data, n);
    }
    template <class T>
    void number(T v) {
        raw(&v, sizeof v);
    }
    void text(std::string_view s) {
        number(u16(s.size()));
        raw(s.data(), s.size());
    }
};

struct Saver final : Describe {
    Writer& w;
    u32 count = 0;
    explicit Saver(Writer& writer) : w(writer) {}
    void head(std::string_view name, Kind kind) {
        count++;
        w.text(full(name));
        w.number(u8(kind));
    }
    void on_numbers(std::string_view name, const Numbers& n, const StateRules&) override {
        head(name, Kind::numbers);
        w.number(n.bytes);
        w.number(n.count);
        w.raw(n.data, size_t{n.bytes} * n.count);
    }
    void on_bytes(std::string_view name, std::vector<u8>& bytes, u32, u32) override {
        head(name, Kind::bytes);
        w.number(u32(bytes.size()));
        w.raw(bytes.data(), bytes.size());
    }
    bool on_list(std::string_view name, u32& n, u32, u32) override {
        head(name, Kind::list);
        w.number(n);
        return true;
    }
    void on_line(std::string_view name, Line& line) override {
        head(name, Kind::line);
        w.number(u8(line.level()));
    }
    void on_timer(std::string_view name, Timer& timer) override {
        head(name, Kind::timer);
        w.number(timer.deadline());
    }
};

// ---- load -------------------------------------------------------------------------------------------------------------

struct Entry {
    Kind kind;
    u8 bytes = 0;
    u32 count = 0;
    std::span<const u8> data;
    bool used = false;
};
using Entries = std::map<std::string, Entry, std::less<>>;

class Reader {
public:
    explicit Reader(std::span<const u8> bytes) : in_(bytes) {}
    bool empty() const { return in_.empty(); }
    template <class T>
    bool number(T& v) {
        std::span<const u8> s;
        if (!take(sizeof v, s)) return false;
        std::memcpy(&v, s.data(), sizeof v);
        return true;
    }
    bool text(std::string& s) {
        u16 n = 0;
        std::span<const u8> bytes;
        if (!number(n) || !take(n, bytes)) return false;
        s.assign(bytes.begin(), bytes.end());
        return true;
    }
    bool take(u64 n, std::span<const u8>& out) {
        if (n > in_.size()) return false;
        out = in_.first(n);
        in_ = in_.subspan(n);
        return true;
    }
    bool entry(Entry& e) {
        u8 kind = 0;
        if (!number(kind)) return false;
        e.kind = Kind(kind);
        switch (e.kind) {
        case Kind::numbers: return number(e.bytes) && number(e.count) && take(u64{e.bytes} * e.count, e.data);
        case Kind::bytes: return number(e.count) && take(e.count, e.data);
        case Kind::list: return number(e.count);
        case Kind::line: return take(1, e.data);
        case Kind::timer: return take(8, e.data);
        }
        return false;
    }

private:
    std::span<const u8> in_;
};

struct Loader final : Describe {
    Entries& entries;
    Device& device;
    u32 saved_version;
    Result<void> result;
    Loader(Entries& e, Device& d, u32 v) : entries(e), device(d), saved_version(v) {}

    void fail(std::string_view name, std::string_view why) {
        if (result) result = Error(ErrorKind::corrupt, fmt::format("{}: {}: {}", device.path(), full(name), why));
    }
    // Null: not there, which is an error unless the state is newer than what was saved.
    Entry* find(std::string_view name, Kind kind, u32 since) {
        auto it = entries.find(full(name));
        if (it == entries.end()) {
            if (saved_version >= since) fail(name, "is missing");
            return nullptr;
        }
        it->second.used = true;
        if (it->second.kind == kind) return &it->second;
        fail(name, "has another type");
        return nullptr;
    }
    void on_numbers(std::string_view name, const Numbers& n, const StateRules& r) override {
        Entry* e = find(name, Kind::numbers, r.since);
        if (!e) {
            for (u32 i = 0; i < n.count; i++) n.set(i, r.reset);
            return;
        }
        if (e->bytes != n.bytes || e->count != n.count)
            return fail(name,
                        fmt::format("{} numbers of {} bytes, expected {} of {}", e->count, e->bytes, n.count, n.bytes));
        for (u32 i = 0; i < n.count; i++) {
            u64 v = 0;
            std::memcpy(&v, e->data.data() + size_t{i} * n.bytes, n.bytes);
            if (v < r.low || v > r.high)
                return fail(name, fmt::format("{} is out of range, expected {} to {}", v, r.low, r.high));
            n.set(i, v);
        }
    }
    void on_bytes(std::string_view name, std::vector<u8>& bytes, u32 max, u32 since) override {
        bytes.clear();
        Entry* e = find(name, Kind::bytes, since);
        if (!e) return;
        if (e->count > max) return fail(name, fmt::format("{} bytes, expected at most {}", e->count, max));
        bytes.assign(e->data.begin(), e->data.end());
    }
    bool on_list(std::string_view name, u32& n, u32 max, u32 since) override {
        n = 0;
        Entry* e = find(name, Kind::list, since);
        if (!e) return true;
        if (e->count > max) fail(name, fmt::format("{} elements, expected at most {}", e->count, max));
        if (result) n = e->count;
        return true;
    }
    void on_line(std::string_view name, Line& line) override {
        Entry* e = find(name, Kind::line, 1);
        if (!e) return;
        if (e->data[0] > 1) return fail(name, "is no level");
        line.set(e->data[0]);
    }
    void on_timer(std::string_view name, Timer& timer) override {
        Entry* e = find(name, Kind::timer, 1);
        if (!e) return;
        u64 deadline = 0;
        std::memcpy(&deadline, e->data.data(), 8);
        timer.arm(deadline);
    }
};

// Sinks hear all levels once more, when everything is loaded.
struct Driver final : Describe {
    void on_line(std::string_view, Line& line) override { line.drive(); }
    void on_chardev(std::string_view, CharPort& port, std::string_view) override { port.loaded(); }
};

Result<void> load_device(Device& device, Entries& entries, u32 saved_version) {
    Context::Entry inside(device.context());
    if (watch) watch(device, Moment::change);
    Loader loader(entries, device, saved_version);
    device.describe(loader);
    TRY(std::move(loader.result));
    for (const auto& [name, e] : entries)
        if (!e.used) return Error::corrupt("{}: '{}' is unknown", device.path(), name);
    return device.after_load().in("{}", device.path());
}

Result<std::map<std::string, Entries>> parse(std::span<const u8> bytes, u32& saved_version) {
    Reader r(bytes);
    std::span<const u8> head;
    if (!r.take(sizeof magic, head) || std::memcmp(head.data(), magic, sizeof magic) != 0 || !r.number(saved_version))
        return Error::corrupt("saved state: no header, expected MIMICSAV");
    if (saved_version == 0 || saved_version > version)
        return Error::unsupported("saved state: version {}, expected 1 to {}", saved_version, version);
    std::map<std::string, Entries> objects;
    while (!r.empty()) {
        std::string path, name;
        u32 count = 0;
        if (!r.text(path) || !r.number(count)) return Error::corrupt("saved state: ends inside an object's head");
        Entries entries;
        for (u32 i = 0; i < count; i++) {
            Entry e;
            if (!r.text(name) || !r.entry(e)) return Error::corrupt("saved state: ends inside '{}'", path);
            if (!entries.emplace(name, e).second) return Error::corrupt("saved state: '{}' has two '{}'", path, name);
        }
        if (!objects.emplace(path, std::move(entries)).second)
            return Error::corrupt("saved state: '{}' is there twice", path);
    }
    return objects;
}

} // namespace

void Machine::reset(ResetKind kind) {
    {
        Context::Entry entry(root_->context());
        input_->forget();
    }
    // All values first, so that what a device does next meets others that are reset.
    each([&](Device& d) {
        Context::Entry entry(d.context());
        Resetter resetter(kind);
        d.describe(resetter);
    });
    each([&](Device& d) {
        Context::Entry entry(d.context());
        d.reset(kind);
        if (watch) watch(d, Moment::reset);
    });
}

std::vector<u8> Machine::save() {
    {
        Context::Entry entry(root_->context());
        input_->hurry();
    }
    Writer w;
    w.raw(magic, sizeof magic);
    w.number(version);
    each([&](Device& d) {
        Context::Entry entry(d.context());
        d.before_save();
        if (watch) watch(d, Moment::change);
        Writer body;
        Saver saver(body);
        d.describe(saver);
        if (saver.count == 0) return;
        w.text(d.path());
        w.number(saver.count);
        w.raw(body.out.data(), body.out.size());
    });
    return std::move(w.out);
}

Result<void> Machine::load(std::span<const u8> bytes) {
    u32 saved_version = 0;
    auto objects = TRY(parse(bytes, saved_version));
    struct Loading {
        bool& flag;
        explicit Loading(bool& f) : flag(f) { flag = true; }
        ~Loading() { flag = false; }
    } loading(loading_);
    {
        Context::Entry entry(root_->context());
        input_->forget();
    }
    Result<void> result;
    each([&](Device& d) {
        if (!result) return;
        auto it = objects.find(d.path());
        Entries none;
        bool known = it != objects.end();
        result = load_device(d, known ? it->second : none, saved_version);
        if (known) objects.erase(it);
    });
    TRY(std::move(result));
    if (!objects.empty()) return Error::corrupt("saved state: this machine has no '{}'", objects.begin()->first);
    each([&](Device& d) {
        Context::Entry entry(d.context());
        Driver driver;
        d.describe(driver);
    });
    return {};
}

} // namespace mimic::devices
