// `mimic cache show|clear|verify [--json]`: the cache of translated code from outside.
#include "base/json.hpp"
#include "base/process.hpp"
#include "cpu/unit_file.hpp"
#include "user/root/cache.hpp"
#include "user/unit_cache.hpp"
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr std::string_view usage = "usage: mimic cache show|clear|verify [--json]\n\n"
                                   "The cache of translated code of `mimic run`, for this user; programs in a root\n"
                                   "(--root) have one of the root's own, below roots.\n"
                                   "  show    where it is, its files, their units and bytes\n"
                                   "  clear   removes all of them\n"
                                   "  verify  reads all of them; those that are damaged are named, and removed\n";

const char* variable(const char* name) { return getenv(name); }
std::string text_of(std::string_view s) { return Json(s).dump(); }

struct Entry {
    std::string name; // from the cache's directory on
    u64 bytes = 0;
    u32 units = 0, bad = 0;
    std::string trouble; // why it is ignored as a whole
};

// The key that it says itself; whether it is what the name stands for.
Result<Sha256Digest> key_of(int directory, const std::string& name) {
    const int fd = openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return Error::from_errno(errno, "{}", name);
    cpu::FileHeader h;
    const bool all = pread(fd, &h, sizeof h, 0) == ssize_t(sizeof h);
    close(fd);
    if (!all) return Error::corrupt("{}: expected a header of {} bytes", name, sizeof h);
    std::string right;
    for (u32 n = 0; n < 20; ++n) right += fmt::format("{:02x}", h.key[n]);
    if (name != right + ".units")
        return Error::corrupt("{}: of another program, host or build than its name says", name);
    return h.key;
}

Entry look_at(int directory, const std::string& name, bool all) {
    Entry e{.name = name};
    struct stat st;
    if (fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) e.bytes = u64(st.st_size);
    auto key = key_of(directory, name);
    auto file = key ? cpu::UnitFile::open(directory, name, *key) : Result<cpu::UnitFile>(std::move(key).error());
    if (!file) {
        e.trouble = file.error().message();
        return e;
    }
    e.units = file->units();
    cpu::UnitBytes scratch;
    cpu::SavedUnit u;
    u32 sound = 0;
    if (all)
        file->for_each(scratch, [&](std::span<const u8> unit, const cpu::Checksum&) {
            const bool is = !unit.empty() && cpu::parse_saved_unit(unit, u);
            is ? sound += u.head.units : ++e.bad;
            return true;
        });
    if (all && sound < e.units) e.bad = std::max(e.bad, e.units - sound);
    return e;
}

// Of the cache's directory, or of one below it.
Result<void> list(int cache, const std::string& name, bool all, std::vector<Entry>& entries) {
    const int fd = openat(cache, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_uid != geteuid()))
        return close(fd), Result<void>(); // root's, for others
    DIR* d = fd < 0 ? nullptr : fdopendir(fd);
    if (!d) return Error::from_errno(errno, "list {} in the cache's directory", name);
    while (struct dirent* e = readdir(d)) {
        if (cpu::cache_name(e->d_name) != cpu::CacheName::units) continue;
        entries.push_back(look_at(dirfd(d), e->d_name, all));
        if (name != ".") entries.back().name = name + "/" + entries.back().name;
    }
    closedir(d);
    return {};
}

Result<std::vector<Entry>> list_all(int cache, bool all) {
    std::vector<Entry> entries;
    TRY(list(cache, ".", all, entries));
    for (const std::string& name : root_caches(cache)) TRY(list(cache, name, all, entries));
    return entries;
}

void print_json(const std::string& directory, const std::vector<Entry>& entries) {
    std::string text = fmt::format("{{\"directory\": {}, \"files\": [", text_of(directory));
    for (const Entry& e : entries)
        text +=
            fmt::format("{}{{\"name\": {}, \"bytes\": {}, \"units\": {}, \"damaged\": {}, \"trouble\": {}}}",
                        &e == entries.data() ? "" : ", ", text_of(e.name), e.bytes, e.units, e.bad, text_of(e.trouble));
    std::puts((text + "]}").c_str());
}

void print(const std::string& directory, const std::vector<Entry>& entries, bool all) {
    u64 bytes = 0, units = 0;
    for (const Entry& e : entries) {
        bytes += e.bytes, units += e.units;
        if (!e.trouble.empty())
            std::printf("%s\n", e.trouble.c_str());
        else if (e.bad)
            std::printf("%s: %u of %u units are not what was saved\n", e.name.c_str(), e.bad, e.units);
        else if (!all)
            std::printf("%s %8u units %10llu bytes\n", e.name.c_str(), e.units,
                        static_cast<unsigned long long>(e.bytes));
    }
    std::printf("%s: %zu files, %llu units, %llu bytes\n", directory.c_str(), entries.size(),
                static_cast<unsigned long long>(units), static_cast<unsigned long long>(bytes));
}

int trouble(std::string_view text) {
    std::fprintf(stderr, "mimic cache: %.*s\n", int(text.size()), text.data());
    return 1;
}

} // namespace

int cache_main(std::span<const std::string_view> words) {
    std::string_view what;
    bool json = false;
    for (std::string_view w : words) {
        if (w == "--help" || w == "-h") return std::fwrite(usage.data(), 1, usage.size(), stdout), 0;
        if (w == "--json")
            json = true;
        else if (what.empty() && (w == "show" || w == "clear" || w == "verify"))
            what = w;
        else
            return trouble(fmt::format("{}: expected show, clear or verify, and --json", w));
    }
    if (what.empty()) return trouble("expected show, clear or verify");
    const std::string path = cache_directory(variable);
    if (path.empty()) return trouble("there is none: expected XDG_CACHE_HOME, or HOME to be this user's directory");
    process::install_fault_handlers();
    auto directory = open_cache_directory(path, false);
    if (!directory && directory.error().kind() != ErrorKind::not_found) return trouble(directory.error().message());
    std::vector<Entry> entries;
    const bool all = what == "verify";
    if (directory && what == "clear") {
        const u64 gone = clear_root_caches(*directory) + evict(*directory, 0);
        json ? std::printf("{\"removed\": %llu}\n", static_cast<unsigned long long>(gone))
             : std::printf("%s: removed %llu files\n", path.c_str(), static_cast<unsigned long long>(gone));
        return 0;
    }
    if (directory) {
        auto found = list_all(*directory, all);
        if (!found) return trouble(found.error().message());
        entries = std::move(*found);
    }
    bool sound = true;
    for (const Entry& e : entries) {
        if (e.trouble.empty() && e.bad == 0) continue;
        sound = false;
        if (all) unlinkat(*directory, e.name.c_str(), 0);
    }
    json ? print_json(path, entries) : print(path, entries, all);
    return all && !sound ? 1 : 0;
}

} // namespace mimic::user
