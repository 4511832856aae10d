// The database of pretended owners and devices: what stat shall tell of files that an ordinary user can't give to
// others. A file beside the root directory, shared by every process that runs in it.
//
// Files are known by inode and time of birth, so that names may change, links share an owner, and an inode that the
// file system uses again is another file. Only what differs from the truth (owned by root, no device) has a record.
//
//   file   = header (a page), buckets (u32 each: number of the chain's first record + 1, 0: none), records
//   record = next in the chain, checksum of the key, key (device, inode, birth), owner, kind
//
// Readers take no lock. A writer holds the file's record lock (fcntl), which dies with its process, and publishes a record
// by storing its number in the bucket last; an owner or a kind changes by one aligned store. So a process that is killed
// at any time leaves a database that is right; after a power failure a record that is half there fails its checksum and
// counts as none.
//
//   auto owners = TRY(Owners::open("root.mimic-owners", {.pretend_ids = true}));
//   owners->set_owner(key, 42, 42);
//   if (auto record = owners->find(key)) ...
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace mimic::user {

struct FileKey {
    u64 dev = 0, ino = 0;
    i64 born = 0; // nanoseconds since 1970; 0: the file system doesn't know
};

struct OwnerRecord {
    u32 uid = 0, gid = 0;
    u32 type = 0; // S_IFCHR, S_IFBLK; 0: the file is what it is
    u32 rdev = 0; // as st_rdev's low 32 bits
};

class Owners {
public:
    struct Settings {
        bool pretend_ids = true; // owners and ids; else devices alone
    };
    // Opens or makes the file. Fails when it can't be had or is no database.
    static Result<std::unique_ptr<Owners>> open(const std::string& path, Settings settings);
    // The database that is open at `fd`, which stays the caller's.
    static Result<std::unique_ptr<Owners>> attach(int fd);
    ~Owners();
    Owners(const Owners&) = delete;
    Owners& operator=(const Owners&) = delete;

    int fd() const { return fd_; }
    // The caller takes over the descriptor, or replaces it by another of the same file.
    void set_fd(int fd) { fd_ = fd; }
    bool pretend_ids() const;
    // Files of this device are stored without its number, which may be another after the next start of the host.
    void set_home(u64 dev) { home_ = dev; }
    u64 home() const { return home_; }

    std::optional<OwnerRecord> find(FileKey key) const;
    // As find, by device and inode alone: for directory entries.
    std::optional<OwnerRecord> find_any_birth(u64 dev, u64 ino) const;
    // Any device records at all? Without, nobody needs to look for them.
    bool has_devices() const;
    // Any records of files without a time of birth? Then the end of a file must be told by forget.
    bool has_birthless() const;
    // 0 or -errno (ENOSPC, EIO).
    int set_owner(FileKey key, u32 uid, u32 gid);
    int set_device(FileKey key, u32 type, u32 rdev, u32 uid, u32 gid);
    void forget(FileKey key);
    u32 count() const; // records, dead ones included

    // Around fork: no other thread of this process is in the middle of a change.
    void before_fork() { lock_.lock(); }
    void after_fork() { lock_.unlock(); }

private:
    struct Header;
    struct Record;
    class FileLock;
    Owners(int fd, u8* memory) : fd_(fd), memory_(memory) {}
    static Result<std::unique_ptr<Owners>> map(int fd, const std::string& name);
    Header& header() const;
    u32* bucket(u64 ino) const;
    Record* record(u32 number) const; // nullptr: not in the file
    FileKey stored(FileKey key) const;
    Record* look(FileKey key, bool any_birth) const;
    Record* add(FileKey key);
    int change(FileKey key, const OwnerRecord& wanted);

    int fd_ = -1;
    u8* memory_ = nullptr;
    u64 home_ = 0;
    std::mutex lock_;
};

} // namespace mimic::user
