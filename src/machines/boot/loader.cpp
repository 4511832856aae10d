#include "machines/boot/loader.hpp"
#include "machines/boot/arm64.hpp"
#include "machines/boot/elf.hpp"
#include "machines/boot/pe.hpp"
#include "machines/boot/uimage.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::machines {

// ---- files ------------------------------------------------------------------------------------------------------------

Result<HostFile> HostFile::open(const std::string& path) {
    HostFile file;
    file.path_ = path;
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Error::from_errno(errno, "cannot open {}", path);
    struct stat status {};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return Error::invalid_argument("{} is no plain file", path);
    }
    file.size_ = u64(status.st_size);
    if (file.size_ == 0) {
        close(fd);
        return Error::corrupt("{} is empty", path);
    }
    void* data = mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd, 0);
    int why = errno;
    close(fd);
    if (data == MAP_FAILED) return Error::from_errno(why, "cannot map {}", path);
    file.data_ = static_cast<const u8*>(data);
    return file;
}
HostFile::HostFile(HostFile&& o) noexcept
    : data_(std::exchange(o.data_, nullptr))
    , size_(o.size_)
    , path_(std::move(o.path_)) {}
HostFile::~HostFile() {
    if (data_) munmap(const_cast<u8*>(data_), size_);
}
void HostFile::let_go() const { madvise(const_cast<u8*>(data_), size_, MADV_DONTNEED); }

// ---- loading ----------------------------------------------------------------------------------------------------------

std::span<const u8> Loader::content(const Piece& piece) const {
    if (piece.file == ~size_t{0}) return piece.bytes;
    return files_[piece.file].bytes().subspan(piece.offset, piece.length);
}

// Memory and ROM alike, as a programmer of the chips would.
Result<void> Loader::write(const Piece& piece) {
    std::span<const u8> bytes = content(piece);
    u64 at = piece.address;
    auto put = [&](const u8* from, u64 n) -> bool {
        while (n) {
            memory::Place place = (piece.where ? *piece.where : memory_).find(at);
            if (place.kind != memory::Place::Kind::ram && place.kind != memory::Place::Kind::rom) return false;
            u64 step = std::min(n, place.left);
            if (from)
                std::copy(from, from + step, place.host());
            else
                std::fill(place.host(), place.host() + step, u8{0});
            place.block->note_write(place.offset, step);
            if (from) from += step;
            at += step;
            n -= step;
        }
        return true;
    };
    if (!put(bytes.data(), bytes.size()) || !put(nullptr, piece.zeros))
        return Error::no_space("{}: {} bytes at {:#x} do not fit into the guest's memory, which has none at {:#x}",
                               piece.what, bytes.size() + piece.zeros, piece.address, at);
    return {};
}

Result<void> Loader::add(Piece piece) {
    TRY(write(piece));
    pieces_.push_back(std::move(piece));
    return {};
}

Result<void> Loader::add_bytes(std::string what, u64 address, std::vector<u8> bytes) {
    return add({std::move(what), address, std::move(bytes)});
}

Result<Loaded> Loader::add_raw(const std::string& what, const std::string& path, u64 address,
                               memory::AddressSpace* where) {
    auto file = TRY(HostFile::open(path).in("{}", what));
    u64 size = file.bytes().size();
    files_.push_back(std::move(file));
    TRY(add({fmt::format("{} {}", what, path), address, {}, files_.size() - 1, 0, size, 0, where}));
    files_.back().let_go();
    return Loaded{address, address + size, address};
}

Result<Loaded> Loader::add_image(const std::string& what, const std::string& path, u64 address, u16 machine) {
    auto file = TRY(HostFile::open(path).in("{}", what));
    if (!is_elf(file.bytes())) return add_raw(what, path, address);
    auto image = TRY(parse_elf(file.bytes()).in("{} {}", what, path));
    if (image.machine != machine)
        return Error::invalid_argument("{} {}: ELF machine {}, expected {}", what, path, image.machine, machine);
    files_.push_back(std::move(file));
    Loaded loaded{~u64{0}, 0, image.entry};
    for (const ElfSegment& s : image.segments) {
        TRY(add({fmt::format("{} {}", what, path),
                 s.physical,
                 {},
                 files_.size() - 1,
                 s.offset,
                 s.file_bytes,
                 s.memory_bytes - s.file_bytes}));
        loaded.start = std::min(loaded.start, s.physical);
        loaded.end = std::max(loaded.end, s.physical + s.memory_bytes);
    }
    files_.back().let_go();
    return loaded;
}

Result<Loaded> Loader::add_uimage(const std::string& what, const HostFile& file, u64 address, u16 machine, u64 limit) {
    UImage image = TRY(parse_uimage(file.bytes(), machine, limit).in("{} {}", what, file.path()));
    const u64 at = image.anywhere ? address : image.load;
    u64 size = image.content.size();
    // Behind an Image lies what is zero at its start.
    if (is_arm64_image(image.content))
        size = TRY(parse_arm64_image(image.content).in("{} {}", what, file.path())).image_size;
    const u64 entry = image.anywhere ? address + image.entry : image.entry;
    TRY(add_bytes(fmt::format("{} {}", what, file.path()), at, std::move(image.content)));
    return Loaded{at, at + size, entry, image.linux_os};
}

Result<Loaded> Loader::add_kernel(const std::string& what, const std::string& path, u64 address, u16 machine,
                                  u64 limit) {
    auto file = TRY(HostFile::open(path).in("{}", what));
    if (is_uimage(file.bytes())) return add_uimage(what, file, address, machine, limit);
    TRY(check_whole_pe(file.bytes()).in("{} {}", what, path));
    return add_image(what, path, address, machine);
}

Result<Loaded> Loader::add_arm64_kernel(const std::string& what, const std::string& path, u64 base, u64 limit) {
    constexpr u16 elf_aarch64 = 183;
    constexpr u64 alignment = 2 << 20, page = 4096;
    auto file = TRY(HostFile::open(path).in("{}", what));
    if (is_uimage(file.bytes())) return add_uimage(what, file, base + alignment, elf_aarch64, limit);
    std::vector<u8> unpacked;
    if (is_gzip(file.bytes())) unpacked = TRY(gunzip(file.bytes(), limit).in("{} {}", what, path));
    std::span<const u8> bytes = unpacked.empty() ? file.bytes() : unpacked;
    if (unpacked.empty() && is_elf(bytes)) return add_image(what, path, base, elf_aarch64);
    if (!is_arm64_image(bytes))
        return Error::corrupt("{} {}: expected an arm64 Image, also gzip-compressed, a uImage or an ELF file", what,
                              path);
    TRY(check_whole_pe(bytes).in("{} {}", what, path));
    Arm64Image image = TRY(parse_arm64_image(bytes).in("{} {}", what, path));
    u64 at = base + image.text_offset + (image.text_offset < page ? alignment : 0);
    if (unpacked.empty())
        TRY(add_raw(what, path, at));
    else
        TRY(add_bytes(fmt::format("{} {}", what, path), at, std::move(unpacked)));
    return Loaded{at, at + image.image_size, at, true};
}

Result<void> Loader::reload() {
    for (const Piece& piece : pieces_) TRY(write(piece));
    for (const HostFile& file : files_) file.let_go();
    return {};
}

std::vector<LoadedPiece> Loader::pieces() const {
    std::vector<LoadedPiece> out;
    for (const Piece& p : pieces_) {
        bool rom = (p.where ? *p.where : memory_).find(p.address).kind == memory::Place::Kind::rom;
        out.push_back({p.what, p.address, content(p).size() + p.zeros, rom});
    }
    return out;
}

// ---- firmware ---------------------------------------------------------------------------------------------------------

Result<std::string> find_firmware(std::span<const std::string> folders, std::span<const std::string_view> names,
                                  std::string_view package) {
    constexpr std::string_view usual[] = {"/usr/share/mimic", "/usr/share/qemu", "/usr/share/qemu-firmware", ""};
    auto there = [](const std::string& path) { return access(path.c_str(), R_OK) == 0; };
    for (std::string_view name : names) {
        if (name.starts_with('/')) {
            if (there(std::string(name))) return std::string(name);
            continue;
        }
        for (const std::string& folder : folders)
            if (std::string path = fmt::format("{}/{}", folder, name); there(path)) return path;
        for (std::string_view folder : usual)
            if (std::string path = fmt::format("{}/{}", folder, name); !folder.empty() && there(path)) return path;
    }
    return Error::not_found("firmware '{}' is not there, expected from the package '{}' or in a folder given by -L",
                            names.front(), package);
}

} // namespace mimic::machines
