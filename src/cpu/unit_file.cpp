#include "cpu/unit_file.hpp"
#include "base/process.hpp"
#include "base/touch.hpp"
#include "cpu/zeroes.hpp"
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <xxhash.h>

namespace mimic::cpu {

namespace {

constexpr u64 most_file_bytes = u64{1} << 32;
constexpr u64 most_mapped_at_once = 1 << 20, most_wanted = 8 << 20; // little of a larger one may be wanted
constexpr u32 most_probes = 64;
constexpr u64 usual_pending = 128 << 10; // bytes: what stays in a core's own cache
constexpr u32 stretch_bits = 14;         // of guest code whose units are joined: 4 KiB take longer

template <class T>
std::span<const u8> bytes_of(const T& t) {
    return {reinterpret_cast<const u8*>(&t), sizeof t};
}
template <class T>
std::span<const u8> bytes_of(std::span<T> all) {
    return {reinterpret_cast<const u8*>(all.data()), all.size_bytes()};
}
// Calls f of the numbers of buckets in which this place may be, until it says false.
template <class F>
void probe(u32 place, u32 buckets, F f) {
    u32 n = bucket_of(place, buckets);
    for (u32 left = std::min(most_probes, buckets); left != 0 && f(n); --left)
        if (++n == buckets) n = 0;
}
Sha256Digest header_hash(const FileHeader& h) { return sha256(bytes_of(h).first(offsetof(FileHeader, own))); }
} // namespace

Checksum checksum(const Sha256Digest& key, std::span<const u8> unit) {
    u64 seed;
    std::memcpy(&seed, key.data(), sizeof seed);
    const XXH128_hash_t h = XXH3_128bits_withSeed(unit.data(), unit.size(), seed);
    return {h.low64, h.high64};
}

// ---- reading

Result<UnitFile> UnitFile::read(std::span<const u8> bytes, const Sha256Digest& key) {
    UnitFile f;
    FileHeader& h = f.header_;
    if (bytes.size() < sizeof h || process::guarded_copy(&h, bytes.data(), sizeof h) != 0)
        return Error::corrupt("{} bytes, expected a header of {}", bytes.size(), sizeof h);
    if (!std::equal(std::begin(h.magic), std::end(h.magic), FileHeader::right_magic))
        return Error::corrupt("no cache of translated code, or of another format");
    if (h.own != header_hash(h)) return Error::corrupt("a header that was changed");
    if (h.key != key) return Error::corrupt("of another program, host or build than its name says");
    if (h.bytes != bytes.size()) return Error::corrupt("{} bytes, expected {}", bytes.size(), h.bytes);
    const u64 tables = u64(h.buckets) * sizeof(Bucket) + u64(h.ran_buckets) * sizeof(u32);
    const u64 behind = h.tables < bytes.size() ? bytes.size() - h.tables : 0;
    if (h.buckets == 0 || h.ran_buckets == 0 || tables > behind)
        return Error::corrupt("tables of {} bytes, where there are {}", tables, behind);
    f.bytes_ = bytes;
    return f;
}

Result<UnitFile> UnitFile::open(int directory, const std::string& name, const Sha256Digest& key) {
    const int fd = openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return Error::from_errno(errno, "{}", name);
    struct stat st;
    const bool known = fstat(fd, &st) == 0;
    const bool ours = known && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) && st.st_nlink == 1;
    void* p = MAP_FAILED;
    if (ours && st.st_size > 0 && u64(st.st_size) < most_file_bytes)
        p = mmap(nullptr, u64(st.st_size), PROT_READ, MAP_SHARED, fd, 0);
    // Eviction goes by this time.
    constexpr time_t renewed_after = 3600;
    if (ours && st.st_mtime < time(nullptr) - renewed_after) futimens(fd, nullptr);
    close(fd);
    if (!ours) return Error::permission("{}: expected a plain file that only its owner, this user, may write", name);
    if (p == MAP_FAILED) return Error::corrupt("{}: {} bytes, which can't be mapped", name, st.st_size);
    const std::span<const u8> bytes(static_cast<const u8*>(p), u64(st.st_size));
    auto file = read(bytes, key);
    if (!file) {
        munmap(p, bytes.size());
        return std::move(file).in("{}", name);
    }
    file->mapped_ = true;
    // For speed only.
    if (bytes.size() <= most_wanted)
        madvise(p, bytes.size(), bytes.size() <= most_mapped_at_once ? MADV_POPULATE_READ : MADV_WILLNEED);
    return file;
}

UnitFile::UnitFile(UnitFile&& o) noexcept
    : bytes_(o.bytes_)
    , mapped_(std::exchange(o.mapped_, false))
    , header_(o.header_) {}

UnitFile::~UnitFile() {
    if (mapped_) munmap(const_cast<u8*>(bytes_.data()), bytes_.size());
}

bool UnitFile::bucket(u32 n, Bucket& out) const {
    const u8* at = bytes_.data() + header_.tables + u64(n) * sizeof(Bucket);
    return process::guarded_copy(&out, at, sizeof out) == 0 && out.at != 0;
}

bool UnitFile::ran_bucket(u32 n, u32& out) const {
    const u8* at = bytes_.data() + header_.tables + u64(header_.buckets) * sizeof(Bucket) + u64(n) * sizeof out;
    return process::guarded_copy(&out, at, sizeof out) == 0 && out != 0;
}

std::span<const u8> UnitFile::blob(u32 at, UnitBytes& scratch, Checksum* check) const {
    const u64 offset = u64(at) * 16;
    BlobHeader h;
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof h) return {};
    if (process::guarded_copy(&h, bytes_.data() + offset, sizeof h) != 0) return {};
    if (h.bytes > bytes_.size() - offset - sizeof h || h.bytes == 0 || h.bytes > saved::most_bytes) return {};
    if (scratch.size() < h.bytes / 8 + 1) scratch.resize(h.bytes / 8 + 1);
    const std::span<u8> unit(reinterpret_cast<u8*>(scratch.data()), h.bytes);
    if (process::guarded_copy(unit.data(), bytes_.data() + offset + sizeof h, h.bytes) != 0) return {};
    if (h.check != checksum(header_.key, unit)) return {};
    if (check) *check = h.check;
    return unit;
}

u32 UnitFile::place_of(u64 pc, u32 mode, saved::Head& head) const {
    const u64 place = pc - header_.start;
    Bucket b;
    u32 found = 0;
    if (place > ~u32{0}) return 0;
    probe(u32(place), header_.buckets, [&](u32 n) {
        if (!bucket(n, b)) return false;
        const u64 offset = u64(b.at) * 16 + sizeof(BlobHeader);
        if (b.pc != place || offset > bytes_.size() || bytes_.size() - offset < sizeof head) return true;
        if (process::guarded_copy(&head, bytes_.data() + offset, sizeof head) != 0 || head.mode != mode) return true;
        found = b.at;
        return false;
    });
    return found;
}

UnitStore::Said UnitFile::look(u64 pc, u32 mode) const {
    using enum UnitStore::Has;
    saved::Head head;
    if (const u32 at = place_of(pc, mode, head)) return {unit, at};
    const u64 place = pc - header_.start + 1;
    UnitStore::Said said;
    u32 there;
    if (place != 0 && place <= ~u32{0})
        probe(u32(place), header_.ran_buckets, [&](u32 n) {
            if (!ran_bucket(n, there)) return false;
            if (there == place) said.has = ran;
            return there != place;
        });
    return said;
}

std::span<const u8> UnitFile::find(u64 pc, u32 mode, UnitBytes& scratch, u32& bad) const {
    const UnitStore::Said said = look(pc, mode);
    SavedUnit u;
    return said.has == UnitStore::Has::unit ? take(said, pc, mode, scratch, u, bad) : std::span<const u8>();
}

std::span<const u8> UnitFile::take(const UnitStore::Said& said, u64 pc, u32 mode, UnitBytes& scratch, SavedUnit& u,
                                   u32& bad) const {
    const std::span<const u8> unit = blob(said.at, scratch);
    const bool sound = !unit.empty() && parse_saved_unit(unit, u) && u.head.mode == mode && u.entry_at(pc);
    if (sound) return unit;
    ++bad;
    return {};
}

std::vector<u32> UnitFile::all_places() const {
    std::vector<u32> all;
    Bucket b;
    for (u32 n = 0; n < header_.buckets; ++n)
        if (bucket(n, b)) all.push_back(b.at);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

// ---- writing

UnitFileWriter::UnitFileWriter(int file, const Sha256Digest& key, u64 start, std::function<bool()> late,
                               GuestBytes guest)
    : file_(file)
    , key_(key)
    , start_(start)
    , late_(std::move(late))
    , guest_(std::move(guest)) {
    pending_.reserve(usual_pending);
    pending_.resize((sizeof(FileHeader) + 15) & ~u64{15});
}

void UnitFileWriter::write_at(u64 at, std::span<const u8> bytes) {
    while (!bytes.empty() && error_ == 0) {
        const ssize_t n = pwrite(file_, bytes.data(), bytes.size(), off_t(at));
        if (late_ && late_())
            error_ = ETIME;
        else if (n > 0)
            bytes = bytes.subspan(u64(n)), at += u64(n);
        else if (n == 0 || errno != EINTR)
            error_ = n == 0 ? ENOSPC : errno;
    }
}

void UnitFileWriter::write_pending() {
    write_at(written_, pending_);
    written_ += pending_.size();
    pending_.clear();
}

std::vector<u8>& UnitFileWriter::begin() {
    begun_.clear();
    return begun_;
}

bool UnitFileWriter::is_taken(Added& as) {
    SavedUnit u;
    if (!parse_saved_unit(as.unit, u) || u.head.low < start_ || u.head.high - start_ > most_distance) return false;
    if (added_bytes_ > most_file_bytes - 2 * saved::most_bytes) return false;
    bool is_new = false;
    for (const saved::Entry& e : u.entries)
        if (e.own) is_new |= known_.insert(u64{u.head.mode} << 32 | u32(u.pc_of(e) - start_)).second;
    as.mode = u.head.mode, as.flavour = u.head.flavour, as.stretch = u.head.low >> stretch_bits;
    if (is_new) added_entries_ += u.entries.size();
    return is_new;
}

bool UnitFileWriter::take(std::span<const u8> unit, const Checksum* check) {
    Added a{.unit = unit, .check = check ? std::optional(*check) : std::nullopt};
    if (!is_taken(a)) return false;
    touch_heap(heap_top_);
    u8* own = memory_.room(unit.size());
    std::copy(unit.begin(), unit.end(), own);
    a.unit = {own, unit.size()};
    added_.push_back(a), added_bytes_ += unit.size();
    return true;
}

bool UnitFileWriter::end(const Checksum* check) { return take(begun_, check); }
bool UnitFileWriter::add(std::span<const u8> unit, const Checksum* check) { return take(unit, check); }

void UnitFileWriter::write_blob(std::span<const u8> unit, const Checksum* check) {
    SavedUnit u;
    if (!parse_saved_unit(unit, u)) return;
    const u32 at = u32((written_ + pending_.size()) / 16);
    for (const saved::Entry& e : u.entries)
        (e.own ? own_ : inner_).push_back({u32(u.pc_of(e) - start_), u.head.mode, at});
    const BlobHeader h{.check = check ? *check : checksum(key_, unit), .bytes = unit.size()};
    for (std::span<const u8> part : {bytes_of(h), unit}) pending_.insert(pending_.end(), part.begin(), part.end());
    pending_.resize((pending_.size() + 15) & ~u64{15});
    units_ += u.head.units;
    if (pending_.size() > usual_pending) write_pending();
}

// Those of a stretch as one, if there are several.
void UnitFileWriter::write_joined(std::span<const Added> all) {
    std::vector<SavedUnit> units(all.size());
    joined_.clear();
    for (u64 n = 0; n < all.size(); ++n) parse_saved_unit(all[n].unit, units[n]);
    if (guest_ && all.size() > 1 && join(units, guest_, joined_)) return write_blob(joined_);
    for (const Added& a : all) write_blob(a.unit, a.check ? &*a.check : nullptr);
}

void UnitFileWriter::write_all() {
    own_.reserve(added_.size()), inner_.reserve(added_entries_);
    touch_heap(heap_top_);
    auto place = [](const Added& a) { return std::tuple(a.mode, a.flavour, a.stretch); };
    std::stable_sort(added_.begin(), added_.end(), [&](auto& x, auto& y) { return place(x) < place(y); });
    for (auto first = added_.begin(); first != added_.end() && error_ == 0;) {
        const auto next = std::find_if(first, added_.end(), [&](auto& a) { return place(a) != place(*first); });
        write_joined({first, next});
        first = next;
    }
}

// Tables are two thirds full: there are as many places again that are looked for in vain.
void UnitFileWriter::add_tables(FileHeader& h) {
    auto room = [](u64 count) { return u32(std::max<u64>(count * 3 / 2, 16)); };
    h.tables = written_ + pending_.size();
    h.buckets = room(own_.size() + inner_.size()), h.ran_buckets = room(ran_.size());
    const Zeroes<Bucket> table(h.buckets);
    const Zeroes<u32> modes(h.buckets), ran(h.ran_buckets);
    if (!table || !modes || !ran) {
        error_ = ENOMEM;
        return;
    }
    for (const auto* entries : {&own_, &inner_}) // own ones first: so each unit is found by its own
        for (const Entry& e : *entries)
            probe(e.pc, h.buckets, [&](u32 n) {
                if (table[n].at != 0) return table[n].pc != e.pc || modes[n] != e.mode;
                table[n] = {e.pc, e.at}, modes[n] = e.mode;
                return false;
            });
    for (u32 pc : ran_) {
        bool has_unit = false;
        probe(pc, h.buckets, [&](u32 n) { return table[n].at != 0 && !(has_unit = table[n].pc == pc); });
        if (has_unit) continue;
        probe(pc + 1, h.ran_buckets, [&](u32 n) {
            if (ran[n] != 0) return ran[n] != pc + 1;
            ran[n] = pc + 1;
            return false;
        });
    }
    write_pending();
    for (std::span<const u8> part : {bytes_of(table.all()), bytes_of(ran.all())}) {
        write_at(written_, part);
        written_ += part.size();
    }
}

Result<void> UnitFileWriter::finish() {
    write_all();
    FileHeader h{.key = key_, .start = start_};
    add_tables(h);
    h.bytes = written_, h.units = units_;
    std::copy_n(FileHeader::right_magic, sizeof h.magic, h.magic);
    h.own = header_hash(h);
    write_at(0, bytes_of(h));
    if (error_ == 0) return {};
    return Error::from_errno(error_, "{} units", units_);
}

NewUnitFile::NewUnitFile(int directory, std::string name, std::string temporary, int fd)
    : directory_(directory)
    , name_(std::move(name))
    , temporary_(std::move(temporary))
    , fd_(fd) {}

NewUnitFile::~NewUnitFile() {
    close(fd_);
    if (!temporary_.empty()) unlinkat(directory_, temporary_.c_str(), 0);
}

Result<std::unique_ptr<NewUnitFile>> NewUnitFile::create(int directory, const std::string& name) {
    u64 chance; // process numbers are others' elsewhere
    if (process::raw_syscall(SYS_getrandom, u64(&chance), sizeof chance, GRND_NONBLOCK) != i64(sizeof chance))
        return Error::from_errno(EAGAIN, "a name for {}", name);
    std::string temporary = fmt::format("{}.{:016x}.tmp", name, chance);
    int fd =
        openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd >= 0 && fd <= STDERR_FILENO) { // free, since the guest closed it: what we say of its end would go there
        const int low = fd;
        fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        close(low);
        if (fd < 0) unlinkat(directory, temporary.c_str(), 0);
    }
    if (fd < 0) return Error::from_errno(errno, "{}", temporary);
    return std::unique_ptr<NewUnitFile>(new NewUnitFile(directory, name, std::move(temporary), fd));
}

Result<void> NewUnitFile::keep() {
    if (renameat(directory_, temporary_.c_str(), directory_, name_.c_str()) != 0)
        return Error::from_errno(errno, "{}", name_);
    temporary_.clear();
    return {};
}

CacheName cache_name(std::string_view name) {
    constexpr std::string_view digits = "0123456789abcdef", units = ".units", temporary = ".tmp";
    const std::size_t first = std::min(name.find_first_not_of(digits), name.size());
    name.remove_prefix(first);
    if (first != 40 || !name.starts_with(units)) return CacheName::other;
    name.remove_prefix(units.size());
    if (name.empty()) return CacheName::units;
    if (!name.starts_with('.') || !name.ends_with(temporary)) return CacheName::other;
    name = name.substr(1, name.size() - 1 - std::min(name.size() - 1, temporary.size()));
    return !name.empty() && name.find_first_not_of(digits) == name.npos ? CacheName::temporary : CacheName::other;
}

} // namespace mimic::cpu
