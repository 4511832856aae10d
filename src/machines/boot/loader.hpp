// Loader: puts files and bytes into guest memory, now and again at each reset, and finds firmware.
#pragma once
#include "base/result.hpp"
#include "memory/address_space.hpp"
#include <span>
#include <string>
#include <vector>

namespace mimic::machines {

// A file of the host, mapped to read.
class HostFile {
public:
    static Result<HostFile> open(const std::string& path);
    HostFile(HostFile&& o) noexcept;
    HostFile& operator=(HostFile&&) = delete;
    ~HostFile();
    std::span<const u8> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }
    // The kernel may take the pages back; they are read again when they are touched.
    void let_go() const;

private:
    HostFile() = default;
    const u8* data_ = nullptr;
    u64 size_ = 0;
    std::string path_;
};

struct Loaded {
    u64 start = 0, end = 0; // guest-physical
    u64 entry = 0;
    bool by_protocol = false; // a kernel's Image, which is started as the boot protocol says
};

// What was loaded, for monitors.
struct LoadedPiece {
    std::string what;
    u64 address = 0, bytes = 0;
    bool rom = false;
};

class Loader {
public:
    explicit Loader(memory::AddressSpace& memory) : memory_(memory) {}

    // Each is written at once. Errors name what does not fit into memory.
    Result<void> add_bytes(std::string what, u64 address, std::vector<u8> bytes);
    // A file as it is, in `where` (null: the loader's memory).
    Result<Loaded> add_raw(const std::string& what, const std::string& path, u64 address,
                           memory::AddressSpace* where = nullptr);
    // A kernel or firmware: ELF by its physical addresses, anything else as it is, at `address`. `machine`: the ELF
    // machine number that is expected.
    Result<Loaded> add_image(const std::string& what, const std::string& path, u64 address, u16 machine);
    // The same, also as a uImage, which says itself where it lies. `limit`: bytes that an unpacked one may have.
    Result<Loaded> add_kernel(const std::string& what, const std::string& path, u64 address, u16 machine, u64 limit);
    // An arm64 kernel: a uImage, an Image at its text_offset from `base` (a 2 MiB boundary), also gzip-compressed, or an ELF. An Image that
    // would lie at the first page goes 2 MiB higher: boards keep that page for what starts it. `limit`: bytes that an
    // unpacked one may have.
    Result<Loaded> add_arm64_kernel(const std::string& what, const std::string& path, u64 base, u64 limit);
    // Writes everything once more: a reset.
    Result<void> reload();
    std::vector<LoadedPiece> pieces() const;

private:
    Result<Loaded> add_uimage(const std::string& what, const HostFile& file, u64 address, u16 machine, u64 limit);
    struct Piece {
        std::string what;
        u64 address;
        std::vector<u8> bytes; // or a part of a file:
        size_t file = ~size_t{0};
        u64 offset = 0, length = 0, zeros = 0; // then zeros behind it
        memory::AddressSpace* where = nullptr;
    };
    Result<void> add(Piece piece);
    Result<void> write(const Piece& piece);
    std::span<const u8> content(const Piece& piece) const;
    memory::AddressSpace& memory_;
    std::vector<HostFile> files_;
    std::vector<Piece> pieces_;
};

// A firmware file by one of its names in `folders` (of -L) and the usual places of the host. Not found: an error that
// names `package`.
Result<std::string> find_firmware(std::span<const std::string> folders, std::span<const std::string_view> names,
                                  std::string_view package);

} // namespace mimic::machines
