#include "user/root/owners.hpp"
#include "base/process.hpp"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {

namespace {

using process::raw_syscall;

constexpr char magic[8] = {'M', 'I', 'M', 'I', 'C', 'O', 'W', 'N'};
constexpr u32 version = 1, bucket_count = 1 << 14;
constexpr u64 header_bytes = 4096, records_at = header_bytes + 4ull * bucket_count;
constexpr u64 step = 4096;               // records that the file grows by
constexpr u64 most_records = 1ull << 24; // the most that the mapping has room for
constexpr u64 live = 1ull << 63, no_kind = 0;

u64 mix(u64 v) {
    v ^= v >> 33, v *= 0xff51afd7ed558ccdull, v ^= v >> 33, v *= 0xc4ceb9fe1a85ec53ull;
    return v ^ v >> 33;
}
u32 check_of(const FileKey& k) { return u32(mix(k.ino ^ mix(k.dev ^ mix(u64(k.born))))) | 1; }

template <class T>
T load(const T& at) {
    return std::atomic_ref<T>(const_cast<T&>(at)).load(std::memory_order_acquire);
}
template <class T>
void store(T& at, T value) {
    std::atomic_ref<T>(at).store(value, std::memory_order_release);
}

u64 kind_of(const OwnerRecord& r) { return live | u64(r.type & S_IFMT) << 32 | r.rdev; }
u64 owner_of(const OwnerRecord& r) { return u64(r.gid) << 32 | r.uid; }

} // namespace

struct Owners::Header {
    char magic[8];
    u32 version, buckets, record_bytes, pretend_ids;
    u32 records;   // used so far
    u32 capacity;  // that the file has room for
    u32 devices;   // device records there ever were
    u32 birthless; // records without a time of birth there ever were
};
struct Owners::Record {
    u32 next, check;
    u64 dev, ino;
    i64 born;
    u64 owner, kind;
};

// The lock of the file, of one process at a time; `lock_` is for its threads.
class Owners::FileLock {
public:
    explicit FileLock(int fd) : fd_(fd) { held_ = set(F_WRLCK); }
    ~FileLock() {
        if (held_) set(F_UNLCK);
    }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    bool held() const { return held_; }

private:
    bool set(short type) {
        struct flock lock {};
        lock.l_type = type, lock.l_whence = SEEK_SET, lock.l_len = 1;
        i64 r;
        while ((r = raw_syscall(SYS_fcntl, u64(fd_), F_SETLKW, u64(&lock))) == -EINTR) {}
        return r == 0;
    }
    int fd_;
    bool held_;
};

Result<std::unique_ptr<Owners>> Owners::map(int fd, const std::string& name) {
    u64 bytes = records_at + most_records * sizeof(Record);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (memory == MAP_FAILED) return Error::from_errno(errno, "map owner database {}", name);
    return std::unique_ptr<Owners>(new Owners(fd, static_cast<u8*>(memory)));
}

Owners::~Owners() { munmap(memory_, records_at + most_records * sizeof(Record)); }

namespace {
// A new file gets its header while it is locked; the magic number comes last.
Result<void> initialise(int fd, const std::string& name, Owners::Settings settings) {
    struct stat st;
    if (fstat(fd, &st) != 0) return Error::from_errno(errno, "owner database {}", name);
    if (st.st_size != 0) return {};
    if (ftruncate(fd, off_t(records_at)) != 0) return Error::from_errno(errno, "owner database {}", name);
    u32 words[] = {version, bucket_count, 48, settings.pretend_ids, 0, 0, 0, 0};
    bool ok = pwrite(fd, words, sizeof words, sizeof magic) == sizeof words &&
              pwrite(fd, magic, sizeof magic, 0) == sizeof magic;
    return ok ? Result<void>() : Error::from_errno(errno, "write owner database {}", name);
}
} // namespace

Result<std::unique_ptr<Owners>> Owners::open(const std::string& path, Settings settings) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return Error::from_errno(errno, "owner database {}", path);
    Result<void> made;
    {
        FileLock lock(fd);
        made = lock.held() ? initialise(fd, path, settings) : Error::from_errno(EIO, "lock owner database {}", path);
    }
    if (!made) {
        ::close(fd);
        return made.error();
    }
    auto owners = attach(fd);
    if (!owners) ::close(fd);
    return std::move(owners).in("{}", path);
}

Result<std::unique_ptr<Owners>> Owners::attach(int fd) {
    static_assert(sizeof(Record) == 48);
    struct stat st;
    if (fstat(fd, &st) != 0) return Error::from_errno(errno, "owner database");
    if (!S_ISREG(st.st_mode) || u64(st.st_size) < records_at)
        return Error::corrupt("owner database of {} bytes, expected {} or more", st.st_size, records_at);
    Header h;
    if (pread(fd, &h, sizeof h, 0) != ssize_t(sizeof h) || std::memcmp(h.magic, magic, sizeof magic) != 0)
        return Error::corrupt("not an owner database, expected one that starts with MIMICOWN");
    if (h.version != version || h.buckets != bucket_count || h.record_bytes != sizeof(Record))
        return Error::unsupported("owner database of version {}, expected {}", h.version, version);
    u64 capacity = (u64(st.st_size) - records_at) / sizeof(Record);
    if (h.capacity > capacity || h.capacity > most_records || h.records > h.capacity)
        return Error::corrupt("owner database says {} of {} records, its size has room for {}", h.records, h.capacity,
                              capacity);
    return map(fd, "");
}

Owners::Header& Owners::header() const { return *reinterpret_cast<Header*>(memory_); }
bool Owners::pretend_ids() const { return load(header().pretend_ids) != 0; }
bool Owners::has_devices() const { return load(header().devices) != 0; }
bool Owners::has_birthless() const { return load(header().birthless) != 0; }
u32 Owners::count() const { return load(header().records); }
u32* Owners::bucket(u64 ino) const {
    return reinterpret_cast<u32*>(memory_ + header_bytes) + (mix(ino) & (bucket_count - 1));
}
Owners::Record* Owners::record(u32 number) const {
    if (number == 0 || number > load(header().capacity)) return nullptr;
    return reinterpret_cast<Record*>(memory_ + records_at) + (number - 1);
}

FileKey Owners::stored(FileKey key) const {
    if (key.dev == home_) key.dev = 0;
    return key;
}

// `key` is a stored one. A chain is never longer than there are records, whatever the file says.
Owners::Record* Owners::look(FileKey key, bool any_birth) const {
    u32 left = load(header().records) + 1;
    for (u32 n = load(*bucket(key.ino)); left-- > 0;) {
        Record* r = record(n);
        if (!r) return nullptr;
        bool same = r->ino == key.ino && r->dev == key.dev && (any_birth || r->born == key.born);
        if (same && load(r->kind) & live && r->check == check_of({r->dev, r->ino, r->born})) return r;
        n = load(r->next);
    }
    return nullptr;
}

namespace {
OwnerRecord unpacked(u64 owner, u64 kind) {
    return {.uid = u32(owner), .gid = u32(owner >> 32), .type = u32(kind >> 32) & S_IFMT, .rdev = u32(kind)};
}
} // namespace

std::optional<OwnerRecord> Owners::find(FileKey key) const {
    Record* r = look(stored(key), false);
    if (!r) return {};
    u64 owner = load(r->owner), kind = load(r->kind);
    if (!(kind & live)) return {};
    return unpacked(owner, kind);
}

std::optional<OwnerRecord> Owners::find_any_birth(u64 dev, u64 ino) const {
    Record* r = look(stored({dev, ino, 0}), true);
    if (!r) return {};
    return unpacked(load(r->owner), load(r->kind));
}

// A record for `key`, not yet live: a dead one of its chain, or a new one. Locked.
Owners::Record* Owners::add(FileKey key) {
    Header& h = header();
    u32* head = bucket(key.ino);
    u32 left = h.records + 1;
    for (u32 n = *head; left-- > 0;) {
        Record* r = record(n);
        if (!r) break;
        if (!(r->kind & live)) {
            r->check = 0;
            r->dev = key.dev, r->ino = key.ino, r->born = key.born;
            store(r->check, check_of(key));
            return r;
        }
        n = r->next;
    }
    if (h.records >= h.capacity) {
        u64 wanted = h.records + step;
        if (wanted > most_records) return nullptr;
        if (raw_syscall(SYS_fallocate, u64(fd_), 0, 0, records_at + wanted * sizeof(Record)) < 0 &&
            raw_syscall(SYS_ftruncate, u64(fd_), records_at + wanted * sizeof(Record)) < 0)
            return nullptr;
        store(h.capacity, u32(wanted));
    }
    u32 number = h.records + 1;
    store(h.records, number);
    Record* r = record(number);
    *r = {
        .next = *head, .check = check_of(key), .dev = key.dev, .ino = key.ino, .born = key.born, .owner = 0, .kind = 0};
    store(*head, number);
    return r;
}

int Owners::change(FileKey key, const OwnerRecord& wanted) {
    key = stored(key);
    Record* r = look(key, false);
    bool plain = wanted.uid == 0 && wanted.gid == 0 && wanted.type == 0;
    if (plain && pretend_ids()) {
        if (r) store(r->kind, no_kind);
        return 0;
    }
    if (!r && !(r = add(key))) return -ENOSPC;
    if (wanted.type) store(header().devices, load(header().devices) + 1);
    if (key.born == 0) store(header().birthless, load(header().birthless) + 1);
    store(r->owner, owner_of(wanted));
    store(r->kind, kind_of(wanted));
    return 0;
}

int Owners::set_owner(FileKey key, u32 uid, u32 gid) {
    std::lock_guard guard(lock_);
    FileLock lock(fd_);
    if (!lock.held()) return -EIO;
    constexpr u32 unchanged = ~0u;
    OwnerRecord wanted = find(key).value_or(OwnerRecord{});
    if (uid != unchanged) wanted.uid = uid;
    if (gid != unchanged) wanted.gid = gid;
    return change(key, wanted);
}

int Owners::set_device(FileKey key, u32 type, u32 rdev, u32 uid, u32 gid) {
    std::lock_guard guard(lock_);
    FileLock lock(fd_);
    return lock.held() ? change(key, {.uid = uid, .gid = gid, .type = type, .rdev = rdev}) : -EIO;
}

void Owners::forget(FileKey key) {
    if (!find(key)) return;
    std::lock_guard guard(lock_);
    FileLock lock(fd_);
    if (Record* r = look(stored(key), false); r && lock.held()) store(r->kind, no_kind);
}

} // namespace mimic::user
