// File: an open file or block device of the host, read and written through a FileEngine.
//
// Transfers are never short: a write moves everything or fails; a read that ends early has met the end of the file.
// With O_DIRECT offsets, lengths and memory must be multiples of alignment(); the caller sees to that.
#pragma once
#include "base/io/buffer.hpp"
#include "base/io/engine.hpp"
#include <string>

namespace mimic::io {

struct FileOpen {
    bool write = false;
    bool create = false;   // O_CREAT, mode 0644
    bool truncate = false; // O_TRUNC
    bool direct = false;   // O_DIRECT
    Aio aio = Aio::automatic;
};

class File {
public:
    static Result<File> open(Loop& loop, const std::string& path, const FileOpen& how);
    // Takes over a descriptor.
    static Result<File> adopt(Loop& loop, int fd, std::string path, Aio aio);
    File(File&& other) noexcept;
    File& operator=(File&&) = delete;
    ~File();

    int fd() const { return fd_; }
    const std::string& path() const { return path_; }
    bool is_block_device() const { return block_device_; }
    // What offsets, lengths and addresses must be multiples of: 1 without O_DIRECT.
    u32 alignment() const { return alignment_; }
    // The name of what moves `length` bytes at a time.
    std::string_view engine(u64 length = 0) const { return engine_for(length).name(); }

    // The present size in bytes, of the file or the device.
    Result<u64> size() const;
    // Bytes of storage that the file occupies.
    Result<u64> allocated() const;

    // Bytes read: fewer than asked only if the file ends there.
    Task<Result<u64>> read(u64 offset, const IoVec& memory);
    Task<Result<void>> write(u64 offset, const IoVec& memory);
    Task<Result<void>> sync();
    // fallocate(2); an unsupported mode is ErrorKind::unsupported.
    Task<Result<void>> allocate(int mode, u64 offset, u64 length);
    // Block devices: BLKZEROOUT and BLKDISCARD.
    Task<Result<void>> zero_out(u64 offset, u64 length);
    Task<Result<void>> discard_blocks(u64 offset, u64 length);
    // copy_file_range(2), all of it; bytes copied are fewer only if this file ends. Unsupported: nothing was copied.
    Task<Result<u64>> copy_to(u64 offset, File& target, u64 target_offset, u64 length);
    Task<Result<void>> resize(u64 size);

private:
    File(Loop& loop, int fd, std::string path) : loop_(&loop), fd_(fd), path_(std::move(path)) {}
    Result<void> inspect(bool direct);

    // What needs no waiting is done at once: the engines cost more than copying a few pages. Bytes, or -EAGAIN.
    i64 at_once(bool write, u64 offset, const IoVec& part);

    Loop* loop_;
    FileEngine& engine_for(u64 length) const {
        return length >= large_transfer && alignment_ == 1 && threads_ ? *threads_ : *engine_;
    }
    static constexpr u64 large_transfer = 128u << 10, small_transfer = 64u << 10;

    FileEngine* engine_ = nullptr;
    FileEngine* threads_ = nullptr; // for large transfers (LoopOptions::large_on_threads)
    int fd_;
    bool block_device_ = false;
    u32 alignment_ = 1;
    // Small transfers, where the engine is ours to choose: files in memory are read and written at once, of others what the
    // page cache has is read so.
    bool reads_at_once_ = false, writes_at_once_ = false;
    std::string path_;
};

} // namespace mimic::io
