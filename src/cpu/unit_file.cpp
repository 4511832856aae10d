#include "cpu/unit_file.hpp"
#include "base/process.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace mimic::cpu {

namespace {

constexpr u64 most_file_bytes = u64{1} << 32;
constexpr u32 most_probes = 64;

template <class T>
std::span<const u8> bytes_of(const T& t) {
    return {reinterpret_cast<const u8*>(&t), sizeof t};
}
Sha256Digest header_hash(const FileHeader& h) { return sha256(bytes_of(h).first(offsetof(FileHeader, own))); }
Sha256Digest blob_hash(const Sha256Digest& key, std::span<const u8> unit) {
    return Sha256().add(key).add(unit).digest();
}

} // namespace

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
    const u64 most_buckets = (bytes.size() - sizeof h) / sizeof(Bucket);
    if (!std::has_single_bit(h.buckets) || h.buckets > most_buckets) return Error::corrupt("a table beyond its end");
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
    const u8* at = bytes_.data() + sizeof(FileHeader) + u64(n & (header_.buckets - 1)) * sizeof(Bucket);
    return process::guarded_copy(&out, at, sizeof out) == 0 && out.at != 0;
}

std::span<const u8> UnitFile::blob(u32 at, UnitBytes& scratch, Sha256Digest* hash) const {
    const u64 offset = u64(at) * 16;
    BlobHeader h;
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof h) return {};
    if (process::guarded_copy(&h, bytes_.data() + offset, sizeof h) != 0) return {};
    if (h.bytes > bytes_.size() - offset - sizeof h || h.bytes == 0 || h.bytes > saved::most_bytes) return {};
    if (scratch.size() < h.bytes / 8 + 1) scratch.resize(h.bytes / 8 + 1);
    const std::span<u8> unit(reinterpret_cast<u8*>(scratch.data()), h.bytes);
    if (process::guarded_copy(unit.data(), bytes_.data() + offset + sizeof h, h.bytes) != 0) return {};
    if (h.hash != blob_hash(header_.key, unit)) return {};
    if (hash) *hash = h.hash;
    return unit;
}

u32 UnitFile::place_of(u64 pc, u32 mode) const {
    Bucket b;
    const u32 first = unit_bucket(pc, mode);
    for (u32 n = first; n != first + most_probes && bucket(n, b); ++n)
        if (b.pc == pc && b.mode == mode) return b.at;
    return 0;
}

UnitStore::Has UnitFile::has(u64 pc, u32 mode) const {
    using enum UnitStore::Has;
    const u32 at = place_of(pc, mode);
    return at == 0 ? nothing : at == Bucket::ran ? ran : unit;
}

u64 UnitFile::unit_of(u64 pc, u32 mode) const {
    const u32 at = place_of(pc, mode);
    const u64 offset = u64(at) * 16 + sizeof(BlobHeader);
    saved::Head h;
    if (at <= Bucket::ran || offset > bytes_.size() || bytes_.size() - offset < sizeof h) return 0;
    return process::guarded_copy(&h, bytes_.data() + offset, sizeof h) == 0 ? h.pc : 0;
}

std::span<const u8> UnitFile::find(u64 pc, u32 mode, UnitBytes& scratch, u32& bad) const {
    const u32 at = place_of(pc, mode);
    if (at <= Bucket::ran) return {};
    const std::span<const u8> unit = blob(at, scratch);
    SavedUnit u;
    const bool sound = !unit.empty() && parse_saved_unit(unit, u) && u.head.mode == mode &&
                       std::any_of(u.entries.begin(), u.entries.end(), [&](auto& e) { return u.pc_of(e) == pc; });
    if (sound) return unit;
    ++bad;
    return {};
}

std::vector<u32> UnitFile::all_places() const {
    std::vector<u32> all;
    Bucket b;
    for (u32 n = 0; n < header_.buckets; ++n)
        if (bucket(n, b) && b.at != Bucket::ran) all.push_back(b.at);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

// ---- writing

bool UnitFileWriter::add(std::span<const u8> unit, const Sha256Digest* hash) {
    SavedUnit u;
    if (!parse_saved_unit(unit, u)) return false;
    if (!known_.emplace(u.head.pc, u.head.mode).second) return false;
    for (const saved::Entry& e : u.entries) {
        const Bucket b{u.pc_of(e), u.head.mode, u32(blobs_.size() / 16)};
        (&e == u.entries.data() ? own_ : inner_).push_back(b);
    }
    const BlobHeader h{.hash = hash ? *hash : blob_hash(key_, unit), .bytes = unit.size()};
    const auto head = bytes_of(h);
    blobs_.insert(blobs_.end(), head.begin(), head.end());
    blobs_.insert(blobs_.end(), unit.begin(), unit.end());
    blobs_.resize((blobs_.size() + 15) & ~u64{15});
    ++units_;
    return true;
}

std::vector<u8> UnitFileWriter::finish() const {
    std::vector<u8> all = beginning();
    all.insert(all.end(), blobs_.begin(), blobs_.end());
    return all;
}

// What comes before the blobs.
std::vector<u8> UnitFileWriter::beginning() const {
    std::vector<Bucket> entries = own_; // these come first: so each unit is found by its own
    for (const auto* more : {&inner_, &ran_}) entries.insert(entries.end(), more->begin(), more->end());
    const u32 buckets = std::bit_ceil(std::max<u32>(u32(entries.size()) * 2, 16));
    std::vector<Bucket> table(buckets);
    const u32 start = u32((sizeof(FileHeader) + u64(buckets) * sizeof(Bucket) + 15) / 16);
    for (const Bucket& e : entries) {
        const u32 first = unit_bucket(e.pc, e.mode);
        for (u32 n = first; n != first + most_probes; ++n) {
            Bucket& b = table[n & (buckets - 1)];
            if (b.at != 0 && b.pc == e.pc && b.mode == e.mode) break;
            if (b.at != 0) continue;
            b = {e.pc, e.mode, e.at == Bucket::ran ? e.at : e.at + start}; // no blob begins at 16 of blobs_
            break;
        }
    }
    FileHeader h{.key = key_, .bytes = u64(start) * 16 + blobs_.size(), .buckets = buckets, .units = units_};
    std::copy_n(FileHeader::right_magic, sizeof h.magic, h.magic);
    h.own = header_hash(h);
    std::vector<u8> out(u64(start) * 16);
    std::memcpy(out.data(), &h, sizeof h);
    std::memcpy(out.data() + sizeof h, table.data(), table.size() * sizeof(Bucket));
    return out;
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

Result<void> UnitFileWriter::write(int directory, const std::string& name, const std::function<bool()>& late) {
    constexpr u64 part = 1 << 20;
    const std::vector<u8> head = beginning();
    u64 chance; // process numbers are others' elsewhere
    if (process::raw_syscall(SYS_getrandom, u64(&chance), sizeof chance, GRND_NONBLOCK) != i64(sizeof chance))
        return Error::from_errno(EAGAIN, "a name for {}", name);
    const std::string temporary = fmt::format("{}.{:016x}.tmp", name, chance);
    const int fd =
        openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0) return Error::from_errno(errno, "{}", temporary);
    int error = 0;
    for (std::span<const u8> rest : {std::span<const u8>(head), std::span<const u8>(blobs_)})
        while (!rest.empty() && error == 0) {
            const ssize_t n = ::write(fd, rest.data(), std::min(rest.size(), part));
            if (late && late())
                error = ETIME;
            else if (n > 0)
                rest = rest.subspan(u64(n));
            else if (n == 0 || errno != EINTR)
                error = n == 0 ? ENOSPC : errno;
        }
    close(fd);
    if (error == 0 && renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) error = errno;
    if (error == 0) return {};
    unlinkat(directory, temporary.c_str(), 0);
    return Error::from_errno(error, "{}", name);
}

} // namespace mimic::cpu
