#include "user/unit_cache.hpp"
#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "user/root/cache.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <linux/magic.h>
#include <map>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

extern "C" const ElfW(Ehdr) __ehdr_start; // of this program, by the linker

namespace mimic::user {

namespace {

// Worth a file: so many units. Worth a new version of it: a share of what there is, since to translate a unit in each run takes
// as long as to write some thirty once. What ran without a unit counts, too: next time it is translated.
constexpr u32 least_new_units = 8, share_of_all = 128;
constexpr u64 most_file_bytes = 64 << 20;
constexpr time_t temporary_seconds = 600;
constexpr i64 most_save_seconds = 2; // a program's end waits no longer
constexpr u32 most_places = 128;
constexpr u32 share_unseen = 32; // of all bytes: what may be written before somebody looks how many there are

std::string hex(std::span<const u8> bytes) {
    std::string s;
    for (u8 b : bytes) s += fmt::format("{:02x}", b);
    return s;
}

template <class T>
std::span<const u8> bytes_of(const T& t) {
    return {reinterpret_cast<const u8*>(&t), sizeof t};
}

// The guest's end is not to become another one by what we do at it (SIGXFSZ, a handler that is not ours).
class NoSignals {
public:
    NoSignals() {
        sigset_t all;
        sigfillset(&all);
        for (int s : {SIGSEGV, SIGBUS}) sigdelset(&all, s); // of guarded accesses
        pthread_sigmask(SIG_BLOCK, &all, &before_);
        sigset_t pending;
        had_limit_ = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
    }
    ~NoSignals() {
        sigset_t limit; // our own write that was too long
        sigemptyset(&limit);
        sigaddset(&limit, SIGXFSZ);
        constexpr timespec at_once{};
        if (!had_limit_) sigtimedwait(&limit, nullptr, &at_once);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoSignals(const NoSignals&) = delete;
    NoSignals& operator=(const NoSignals&) = delete;

private:
    sigset_t before_;
    bool had_limit_;
};

} // namespace

std::string build_id() {
    const u8* image = reinterpret_cast<const u8*>(&__ehdr_start);
    auto* segments = reinterpret_cast<const ElfW(Phdr)*>(image + __ehdr_start.e_phoff);
    for (u32 n = 0; n < __ehdr_start.e_phnum; ++n) {
        if (segments[n].p_type != PT_NOTE) continue;
        const u8* at = image + segments[n].p_vaddr;
        const u8* end = at + segments[n].p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
            const u64 align = segments[n].p_align == 8 ? 7 : 3;
            const u8* name = at + sizeof *note;
            const u8* text = at + ((sizeof *note + note->n_namesz + align) & ~align);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0)
                return hex({text, note->n_descsz});
            at = text + ((note->n_descsz + align) & ~align);
        }
    }
    return {};
}

std::string cache_directory(const char* (*environment)(const char*)) {
    if (getauxval(AT_SECURE)) return {};
    struct stat st;
    const char* base = environment("XDG_CACHE_HOME");
    if (base && base[0] == '/') {
        if (stat(base, &st) == 0 && st.st_uid != geteuid()) return {};
        return std::string(base) + "/mimic";
    }
    const char* home = environment("HOME");
    if (!home || home[0] != '/' || stat(home, &st) != 0 || st.st_uid != geteuid()) return {};
    return std::string(home) + "/.cache/mimic";
}

namespace {

// A program's end must not wait for a server.
bool is_far(int fd) {
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) return true;
    constexpr u64 cifs = 0xff534d42, smb2 = 0xfe534d42, lustre = 0x0bd00bd0, gpfs = 0x47504653; // not in linux/magic.h
    constexpr u64 far[] = {NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  cifs,         smb2,
                           CODA_SUPER_MAGIC, AFS_SUPER_MAGIC,  AFS_FS_MAGIC, V9FS_MAGIC,
                           FUSE_SUPER_MAGIC, CEPH_SUPER_MAGIC, lustre,       gpfs};
    return std::find(std::begin(far), std::end(far), u64(u32(fs.f_type))) != std::end(far);
}

} // namespace

Result<int> expect_cache_directory(int fd, std::string_view name) {
    if (fd < 0) return Error::from_errno(errno, "{}", name);
    struct stat st;
    const bool ours = fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022);
    if (ours && !is_far(fd)) return fd;
    close(fd);
    if (ours) return Error::unsupported("{}: expected a directory of this machine's, not of a network's or FUSE", name);
    return Error::permission("{}: expected a directory that only its owner, this user, may write", name);
}

Result<int> open_cache_directory(const std::string& path, bool make) {
    if (make) {
        // What is missing above is made, too (XDG Base Directory Specification); what is wrong there is told by the next.
        for (u64 at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1))
            mkdir(path.substr(0, at).c_str(), 0700);
        if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Error::from_errno(errno, "make {}", path);
    }
    return expect_cache_directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path);
}

u64 evict(int directory, u64 most_bytes) {
    struct File {
        std::string name;
        u64 bytes;
        struct timespec written;
    };
    std::vector<File> files;
    u64 all = 0, gone = 0;
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* d = fd < 0 ? nullptr : fdopendir(fd);
    if (!d) return fd < 0 ? 0 : (close(fd), 0);
    while (struct dirent* e = readdir(d)) {
        struct stat st;
        if (fstatat(directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        const std::string_view name(e->d_name);
        const cpu::CacheName kind = cpu::cache_name(name);
        if (kind == cpu::CacheName::other) continue;
        const bool temporary = kind == cpu::CacheName::temporary;
        // One that is being written is left alone; one that was left behind goes.
        if (temporary && most_bytes != 0 && st.st_mtim.tv_sec > time(nullptr) - temporary_seconds) continue;
        if (temporary)
            gone += unlinkat(directory, e->d_name, 0) == 0;
        else
            files.push_back({std::string(name), u64(st.st_size), st.st_mtim}), all += u64(st.st_size);
    }
    closedir(d);
    std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
        return std::pair(a.written.tv_sec, a.written.tv_nsec) < std::pair(b.written.tv_sec, b.written.tv_nsec);
    });
    for (const File& f : files) {
        if (all <= most_bytes && most_bytes != 0) break;
        if (unlinkat(directory, f.name.c_str(), 0) == 0) all -= f.bytes, ++gone;
    }
    return gone;
}

UnitCache::Identity UnitCache::identity(const char* path) {
    struct stat st;
    return lstat(path, &st) == 0 ? Identity{st.st_dev, st.st_ino} : Identity{};
}

UnitCache::UnitCache(AddressSpace& memory, Settings settings)
    : memory_(memory)
    , settings_(std::move(settings))
    , user_(geteuid())
    , root_(identity("/"))
    , directory_(settings_.descriptor >= 0 ? Identity{} : identity(settings_.directory.c_str())) {}

// A descriptor is the lowest number that is free, which another thread of the guest may be about to get, and a child that
// another one forks has it, too: so a thread opens it that has a table of its own.
bool UnitCache::aside(const std::function<void()>& f) const {
    if (alone_) return f(), true;
    struct Work {
        const std::function<void()>* f;
        bool done;
    } work{&f, false};
    auto main = [](void* given) -> void* {
        auto* w = static_cast<Work*>(given);
        if (unshare(CLONE_FILES) == 0) (*w->f)(), w->done = true;
        return nullptr;
    };
    NoSignals quiet; // which it inherits
    pthread_t thread;
    if (pthread_create(&thread, nullptr, main, &work) != 0) return false;
    pthread_join(thread, nullptr);
    return work.done;
}

Result<int> UnitCache::open_directory(bool make) {
    if (geteuid() != user_ || identity("/") != root_)
        return Error::permission("{}: the program has another user or root now", settings_.directory);
    const int given = settings_.descriptor;
    const int fd = TRY(given >= 0 ? open_user_cache(given) : open_cache_directory(settings_.directory, make));
    struct stat st;
    const bool known = fstat(fd, &st) == 0;
    const Identity now = known ? Identity{st.st_dev, st.st_ino} : Identity{};
    std::unique_lock lock(directory_lock_);
    if (known && directory_ == Identity{}) directory_ = now;
    if (known && directory_ == now) return fd;
    lock.unlock();
    close(fd);
    return Error::permission("{}: another directory than when the program began", settings_.directory);
}

// Null: no executable pages of a file that the guest can't write there.
const UnitCache::PlaceOf& UnitCache::place_of(u64 pc) {
    static const PlaceOf nowhere;
    const u64 edits = memory_.mapping_edits();
    for (const PlaceOf& p : places_)
        if (pc - p->start < p->end - p->start && p->edits == edits) return p;
    auto m = memory_.mapping(pc);
    if (!m || !m->file || m->shared || !(m->prot & prot::exec) || m->prot & prot::write) return nowhere;
    auto at = std::find_if(places_.begin(), places_.end(), [&](const PlaceOf& p) {
        return p->start == m->start && p->offset == m->offset && p->id == m->id;
    });
    if (at != places_.end()) {
        std::rotate(places_.begin(), at, at + 1);
        places_.front()->end = m->end, places_.front()->edits = edits;
        return places_.front();
    }
    auto p = std::make_shared<Place>();
    p->start = m->start, p->end = m->end, p->offset = m->offset, p->id = m->id, p->edits = edits;
    u8 page[4096];
    const u32 n = memory_.fetch(m->start, page, sizeof page);
    const u64 shape[] = {m->start, m->end, m->offset, n};
    p->key = Sha256()
                 .add({reinterpret_cast<const u8*>(settings_.key.data()), settings_.key.size()})
                 .add(bytes_of(shape))
                 .add({page, n})
                 .digest();
    p->name = hex(std::span(p->key).first(20)) + ".units";
    aside([&] { open(*p); });
    if (places_.size() >= most_places) places_.pop_back();
    return *places_.insert(places_.begin(), std::move(p));
}

void UnitCache::open(Place& p) {
    auto directory = open_directory(false);
    if (!directory) {
        if (directory.error().kind() != ErrorKind::not_found) log("cache: " + directory.error().message() + "\n");
        return;
    }
    auto file = cpu::UnitFile::open(*directory, p.name, p.key);
    close(*directory);
    if (file) {
        p.file.emplace(std::move(*file));
        log(fmt::format("cache: {:#x}: {} units in {}\n", p.start, p.file->units(), p.name));
    } else if (file.error().kind() != ErrorKind::not_found) {
        log(fmt::format("cache: ignored: {}\n", file.error().message()));
    }
}

bool UnitCache::take(const Said& said, u64 pc, u32 mode, cpu::UnitBytes& into, cpu::SavedUnit& unit) {
    const PlaceOf& p = place_of(pc);
    if (!p || !p->file) return false;
    if (!p->file->take(said, pc, mode, into, unit, p->bad).empty()) return true;
    log(fmt::format("cache: ignored: {}: the unit at {:#x} is not what was saved\n", p->name, pc));
    return false;
}

cpu::UnitStore::Said UnitCache::look(u64 pc, u32 mode) {
    const PlaceOf& p = place_of(pc);
    return p && p->file ? p->file->look(pc, mode) : Said{};
}

void UnitCache::after_fork_child(cpu::CodeSpace& space) {
    saving_.unlock();
    space.units_are_others();
    for (const PlaceOf& p : places_) p->kept.second = 0; // they are counted anew
}

// Of the files that get enough that is new to be worth it. So that programs' last runs of all come to an end of writing,
// what is enough rises with what there is.
std::vector<UnitCache::PlaceOf> UnitCache::places_to_write(cpu::CodeSpace& space) {
    struct New {
        u32 units = 0, ran = 0;
    };
    std::map<PlaceOf, New> made;
    auto unit = [&](u64 low, u64 number) {
        if (const PlaceOf& p = place_of(low); p && number > p->kept.first) ++made[p].units;
    };
    auto ran = [&](u64 pc, u64 number) {
        if (const PlaceOf& p = place_of(pc); p && number > p->kept.second) ++made[p].ran;
    };
    space.new_units(unit, ran);
    std::vector<PlaceOf> chosen;
    for (auto& [p, n] : made) {
        const u32 there = p->file ? p->file->units() : 0;
        if (there == 0 ? n.units >= least_new_units : n.units + n.ran > there / share_of_all) chosen.push_back(p);
    }
    return chosen;
}

// What was translated here goes into the new files.
void UnitCache::write_units(cpu::CodeSpace& space, std::map<PlaceOf, Group>& groups,
                            const std::function<bool()>& late) {
    Group* group = nullptr;
    u64 end = 0, kept = 0; // of its place
    auto into = [&](u64 low) -> std::vector<u8>* {
        auto at = late() ? groups.end() : groups.find(place_of(low));
        if (at == groups.end() || at->second.writer.bytes() >= most_file_bytes) return nullptr;
        group = &at->second, end = at->first->end, kept = at->first->kept.first;
        return &group->writer.begin();
    };
    auto take = [&](const cpu::saved::Head& head, u64 number) {
        if (head.high <= end) group->made_here += group->writer.end() && number > kept;
    };
    auto ran = [&](u64 pc) { // after all units
        auto at = groups.find(place_of(pc));
        if (at == groups.end()) return;
        at->second.writer.add_ran(pc);
        const auto& file = at->first->file;
        at->second.ran_here += !file || file->look(pc, 0).has == Has::nothing;
    };
    space.save_units(into, take, ran);
    std::erase_if(groups, [](auto& entry) {
        return entry.second.made_here + entry.second.ran_here == 0;
    }); // nothing new after all
}

void UnitCache::save(cpu::CodeSpace& space) {
    std::lock_guard saving(saving_);
    NoSignals quiet;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const std::function<bool()> late = [end = now.tv_sec + most_save_seconds] {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec > end;
    };
    const std::vector<PlaceOf> chosen = places_to_write(space);
    if (!chosen.empty()) aside([&] { write(space, chosen, late); });
}

void UnitCache::write(cpu::CodeSpace& space, const std::vector<PlaceOf>& chosen, const std::function<bool()>& late) {
    const auto last = space.last_units();
    auto directory = open_directory(true);
    if (!directory) return log("cache: not written: " + directory.error().message() + "\n");
    std::map<PlaceOf, Group> groups;
    for (const PlaceOf& place : chosen) {
        auto file = cpu::NewUnitFile::create(*directory, place->name);
        if (!file) {
            log("cache: not written: " + file.error().message() + "\n");
            continue;
        }
        auto guest = [this](u64 low, std::span<u8> out) {
            return memory_.fetch(low, out.data(), u32(out.size())) == out.size();
        };
        cpu::UnitFileWriter writer((*file)->descriptor(), place->key, place->start, late, guest);
        groups.emplace(place, Group{std::move(*file), std::move(writer)});
    }
    write_units(space, groups, late);
    u64 bytes = 0, chance = 0;
    for (auto& [place, group] : groups) {
        const u64 written = complete(*place, group, *directory, late);
        if (written) place->kept = last; // what is made meanwhile is written again
        bytes += written;
    }
    groups.clear();
    // To look at all files takes its time.
    const u64 unseen = settings_.most_bytes / share_unseen;
    if (bytes >= unseen || getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0 || chance % unseen < bytes)
        evict(*directory, settings_.most_bytes);
    close(*directory);
}

// What others have put there meanwhile stays.
u64 UnitCache::complete(const Place& p, Group& g, int directory, const std::function<bool()>& late) {
    u32 bad = 0;
    if (auto now = cpu::UnitFile::open(directory, p.name, p.key)) {
        cpu::UnitBytes bytes;
        now->for_each(bytes, [&](std::span<const u8> unit, const cpu::Checksum& check) {
            if (g.writer.bytes() >= most_file_bytes || late()) return false;
            bad += !g.writer.add(unit, &check) && unit.empty();
            return true;
        });
        now->for_each_ran([&](u64 pc) { g.writer.add_ran(pc); });
    }
    auto done = late() ? Result<void>(Error::from_errno(ETIME, "{}", p.name)) : g.writer.finish();
    if (done) done = g.file->keep();
    if (!done) return log(fmt::format("cache: not written: {}: {}\n", p.name, done.error().message())), 0;
    log(fmt::format("cache: {:#x}: wrote {} units to {}, {} of them new, left out {}\n", p.start, g.writer.units(),
                    p.name, g.made_here, bad));
    return g.writer.file_bytes();
}

} // namespace mimic::user
