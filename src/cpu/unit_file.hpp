// A file of saved units, as it is mapped by all processes that use it and never written again: a new version replaces it.
//
// Layout (host's byte order): FileHeader; blobs at multiples of 16, each BlobHeader and one unit or several that were joined
// (cpu/saved_unit.hpp); from
// `tables` on `buckets` of Bucket, a table with open addressing by bucket_of, and `ran_buckets` of u32, such a table of the places
// that ran without having a unit, each one more than its distance from `start`. The header has a hash of itself, each blob a checksum.
// The tables have none: a blob says itself what it is of.
//
//   auto file = TRY(UnitFile::open(directory, name, key));
//   std::span<const u8> unit = file.find(pc, mode, scratch);     // copied, checksum compared; empty: none that is sound
#pragma once
#include "base/result.hpp"
#include "base/sha256.hpp"
#include "cpu/arena.hpp"
#include "cpu/saved_unit.hpp"
#include "cpu/unit_group.hpp"
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace mimic::cpu {

struct FileHeader {
    static constexpr u8 right_magic[8] = {'M', 'i', 'm', 'i', 'c', 'U', 'C', 5};
    u8 magic[8];
    Sha256Digest key; // of all that units depend on
    u64 start;        // all guest code is at most 4 GiB behind this
    u64 bytes;        // of the file
    u64 tables;       // where they begin
    u32 buckets, ran_buckets, units, unused;
    Sha256Digest own; // of what stands above
};
struct Bucket {
    u32 pc = 0; // from FileHeader::start on
    u32 at = 0; // of a blob, in 16 bytes; 0: empty
};
// Of a blob, against damage only, since who may write the file may write this, too: XXH3, 128 bits, with the beginning of the
// file's key as its seed (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
using Checksum = std::array<u64, 2>;
Checksum checksum(const Sha256Digest& key, std::span<const u8> unit);
struct BlobHeader {
    Checksum check;
    u64 bytes = 0, unused = 0;
};

class UnitFile {
public:
    // In memory that may go away (a mapped file): all reads are copies that may fail. The key is compared.
    static Result<UnitFile> read(std::span<const u8> bytes, const Sha256Digest& key);
    // The file `name` in a directory: a plain file of the effective user that nobody else may write, with no other name, not by
    // way of a link. A file that isn't there is ErrorKind::not_found.
    static Result<UnitFile> open(int directory, const std::string& name, const Sha256Digest& key);
    UnitFile(UnitFile&& other) noexcept;
    UnitFile& operator=(UnitFile&&) = delete;
    ~UnitFile();

    u32 units() const { return header_.units; }
    u64 bytes() const { return bytes_.size(); }
    // What the table says of pc.
    UnitStore::Said look(u64 pc, u32 mode) const;
    // The unit that it said of this, copied to `scratch`; empty: it is not what was saved (`bad` is raised).
    std::span<const u8> take(const UnitStore::Said& said, u64 pc, u32 mode, UnitBytes& scratch, SavedUnit& unit,
                             u32& bad) const;
    // Both: the bytes of a unit; empty: there is none at pc, or it is not what was saved.
    std::span<const u8> find(u64 pc, u32 mode, UnitBytes& scratch, u32& bad) const;
    // Each blob that the table names once, sound or not (then empty), for whoever copies or checks all: f(units, their checksum) that
    // says whether to go on.
    template <class F>
    void for_each(UnitBytes& scratch, F f) const {
        Checksum check;
        for (u32 at : all_places())
            if (const auto unit = blob(at, scratch, &check); !f(unit, check)) return;
    }
    // Each place of which it is only known that it ran: f(pc).
    template <class F>
    void for_each_ran(F f) const {
        u32 place;
        for (u32 n = 0; n < header_.ran_buckets; ++n)
            if (ran_bucket(n, place)) f(header_.start + place - 1);
    }

private:
    UnitFile() = default;
    std::vector<u32> all_places() const;
    std::span<const u8> blob(u32 at, UnitBytes& scratch, Checksum* check = nullptr) const;
    bool bucket(u32 n, Bucket& out) const;
    bool ran_bucket(u32 n, u32& out) const;
    u32 place_of(u64 pc, u32 mode, saved::Head& head) const; // Bucket::at and what stands there; 0: none

    std::span<const u8> bytes_;
    bool mapped_ = false;
    FileHeader header_;
};

// A new file, beside the one whose name it shall have.
class NewUnitFile {
public:
    static Result<std::unique_ptr<NewUnitFile>> create(int directory, const std::string& name);
    ~NewUnitFile(); // it goes away, unless it was kept
    int descriptor() const { return fd_; }
    // It takes the place of what has its name.
    Result<void> keep();

private:
    NewUnitFile(int directory, std::string name, std::string temporary, int fd);
    int directory_;
    std::string name_, temporary_;
    int fd_;
};

// A file of units, which are joined by stretches of 16 KiB (that of their first bytes) when all are known, and written then.
class UnitFileWriter {
public:
    // `file`: an empty one. `late` says, now and then, to give up. `guest`: null: none are joined.
    UnitFileWriter(int file, const Sha256Digest& key, u64 start, std::function<bool()> late = {},
                   GuestBytes guest = {});
    // False: all of its entries are other units' own already, or it is none of this file. `check`: from a file of the same key, as
    // it was compared.
    bool add(std::span<const u8> unit, const Checksum* check = nullptr);
    // The same with the unit put together here: begin() gives where its bytes are to be appended, from the beginning.
    std::vector<u8>& begin();
    bool end(const Checksum* check = nullptr);
    // A place that ran; kept if it has no unit in the end, and of `most_ran` places.
    static constexpr u32 most_ran = 1 << 16;
    void add_ran(u64 pc) {
        if (ran_.size() < most_ran && pc - start_ <= most_distance) ran_.push_back(u32(pc - start_));
    }
    u64 bytes() const { return added_bytes_; } // of what was added
    // What is missing; nothing may be added any more. Fails if something could not be written.
    Result<void> finish();
    // Then: of the file.
    u32 units() const { return units_; }
    u64 file_bytes() const { return written_; }

private:
    static constexpr u64 most_distance = ~u32{0} - 1; // from start_ on
    struct Entry {
        u32 pc, mode, at; // `at` as in Bucket
    };
    struct Added {
        std::span<const u8> unit;
        u64 stretch = 0;
        u32 mode = 0, flavour = 0;
        std::optional<Checksum> check;
    };
    bool is_taken(Added& as);
    bool take(std::span<const u8> unit, const Checksum* check);
    void write_all();
    void write_joined(std::span<const Added> all);
    void write_blob(std::span<const u8> unit, const Checksum* check = nullptr);
    void write_pending();
    void write_at(u64 at, std::span<const u8> bytes);
    void add_tables(FileHeader& h);

    int file_;
    Sha256Digest key_;
    u64 start_;
    std::function<bool()> late_;
    GuestBytes guest_;
    int error_ = 0;
    std::vector<u8> begun_;   // a unit without an end
    Arena memory_{512 << 10}; // of what was added
    std::vector<Added> added_;
    u64 added_bytes_ = 0, added_entries_ = 0, heap_top_ = 0;
    std::vector<u8> joined_;
    std::vector<u8> pending_; // to be written at written_
    u64 written_ = 0;
    std::vector<Entry> own_, inner_;
    std::vector<u32> ran_;          // from start_ on
    std::unordered_set<u64> known_; // own entries
    u32 units_ = 0;
};

// Files of a cache: 40 hexadecimal digits and `.units`; one that is being written: more of them and `.tmp` behind that.
enum class CacheName : u8 { other, units, temporary };
CacheName cache_name(std::string_view name);

// Where a table of so many begins to be looked at for a pc; behind its last comes its first.
constexpr u32 bucket_of(u32 pc, u32 buckets) { return u32(u64{pc * 0x9e3779b1u} * buckets >> 32); }

} // namespace mimic::cpu
