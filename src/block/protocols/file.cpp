// file, host_device: a file or block device of the host.
#include "base/io/file.hpp"
#include "base/io/pool.hpp"
#include "base/io/scope.hpp"
#include "base/io/sync.hpp"
#include "block/driver.hpp"
#include "block/protocols/locks.hpp"
#include "block/protocols/write_behind.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace mimic::block {

namespace {

enum class Locking : u8 { off, on, automatic };
constexpr std::string_view locking_names[] = {"off", "on", "auto"};
enum class AioName : u8 { threads, native, io_uring };
constexpr std::string_view aio_names[] = {"threads", "native", "io_uring"};

struct FileOptions {
    std::optional<std::string> filename;
    std::optional<u8> aio;
    Locking locking = Locking::automatic;
    void describe(OptionVisitor& v) {
        v.string("filename", filename, "Path of the file");
        v.choice("aio", aio_names, aio, "How requests reach the kernel");
        v.choice_of("locking", locking_names, locking, "Lock the image against other processes");
    }
};

struct FileCreateOptions {
    std::optional<u64> size, extent_size_hint;
    std::optional<bool> nocow;
    Prealloc preallocation = Prealloc::off;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.choice_of("preallocation", prealloc_names, preallocation,
                    "Preallocation mode (allowed values: off, falloc, full)");
        v.size("extent_size_hint", extent_size_hint, "Extent size hint for the image file, 0 to disable");
        v.boolean("nocow", nocow, "Turn off copy-on-write (valid only on btrfs)");
    }
};

class FileNode final : public Node {
public:
    FileNode(Context& context, const Driver& driver, NodeOptions options, io::File file, bool lock)
        : Node(context, driver, std::move(options))
        , file_(std::move(file))
        , out_(std::make_shared<WriteOut>(context.loop))
        , locking_(lock)
        , writes_behind_(!options_.cache_direct && !options_.cache_no_flush && !is_in_memory()) {
        limits_.request_alignment = limits_.memory_alignment = file_.alignment();
    }
    Result<void> start() {
        size_ = sure_size_ = TRY(file_.size());
        return {};
    }

    u64 size() const override { return size_; }
    Result<u64> allocated_size() const override { return file_.allocated(); }
    bool has_zero_init() const override { return !file_.is_block_device(); }
    io::File& host() { return file_; }

protected:
    bool grows() const override { return !file_.is_block_device(); }

    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        CO_TRY(u64 n, co_await file_.read(offset, memory));
        if (n < memory.length() && offset + n < sure_size_) co_return shortened(offset + n);
        if (n < memory.length()) memory.fill(n, memory.length() - n, 0);
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        note_end(offset + memory.length());
        behind_.begins(offset, memory.length());
        auto result = co_await file_.write(offset, memory);
        if (result) sure_size_ = std::max(sure_size_, offset + memory.length());
        forget_status();
        if (result && writes_behind_ && !out_->error && !out_->under_way) start_write_out();
        co_return result;
    }
    Task<Result<void>> do_flush() override {
        if (options_.cache_no_flush) co_return Result<void>();
        if (sync_error_) co_return *sync_error_;
        const u64 begun = out_->begun;
        auto result = co_await file_.sync();
        // One that met an error has cleaned pages of which this sync knows nothing.
        while (out_->under_way && out_->begun == begun) co_await out_->ended.wait();
        if (result) result = went_out();
        // Linux drops dirty pages whose write-back failed; a later sync that succeeds would be a lie.
        if (!result) sync_error_ = result.error();
        co_return result;
    }

    Task<Result<void>> do_close() override {
        while (out_->under_way) co_await out_->ended.wait();
        co_return went_out();
    }

    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        forget_status();
        if (file_.is_block_device()) co_return co_await zero_device(offset, length, flags);
        u64 end = offset + length;
        if (flags & flag::may_unmap) {
            u64 old_size = size_;
            if (offset < old_size) {
                CO_CHECK(co_await file_.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                                 std::min(end, old_size) - offset));
            }
            if (end > size_) CO_CHECK(extend(end));
            co_return Result<void>();
        }
        note_end(end);
        if (!no_zero_range_) {
            auto r = co_await file_.allocate(FALLOC_FL_ZERO_RANGE, offset, length);
            if (r || r.error().kind() != ErrorKind::unsupported) co_return r;
            no_zero_range_ = true;
        }
        co_return unsupported("zeroing a range");
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        forget_status();
        if (file_.is_block_device()) co_return co_await file_.discard_blocks(offset, length);
        co_return co_await file_.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    }

    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        // Asking costs a system call; data extents are long, so the last answer often holds.
        if (offset < data_start_ || offset >= data_end_) {
            Seek s = seek_data(offset);
            if (!s.data) co_return hole(offset, std::min(s.end - offset, length));
            data_start_ = offset;
            data_end_ = s.end;
        }
        Extent e{.length = std::min(length, data_end_ - offset), .allocated = true, .data = true};
        e.has_offset = true;
        e.offset = offset;
        e.file = this;
        co_return e;
    }

    Task<Result<void>> do_truncate(u64 new_size, Prealloc prealloc) override {
        forget_status();
        if (file_.is_block_device()) {
            if (new_size > size_)
                co_return Error::invalid_argument("cannot grow device '{}' of {} bytes to {}", filename(), size_,
                                                  new_size);
            co_return Result<void>();
        }
        u64 old_size = size_;
        if (prealloc == Prealloc::metadata)
            co_return Error::invalid_argument(
                "'{}': preallocation mode 'metadata' is not supported by '{}', expected off, falloc or full",
                filename(), driver().name);
        if (prealloc != Prealloc::off && new_size < old_size)
            co_return Error::invalid_argument("Preallocation can't be used for shrinking files ('{}')", filename());
        if (prealloc == Prealloc::falloc && new_size > old_size)
            CO_CHECK(co_await file_.allocate(0, old_size, new_size - old_size));
        CO_CHECK(co_await file_.resize(new_size));
        size_ = sure_size_ = new_size;
        if (prealloc == Prealloc::full && new_size > old_size) {
            Result<void> r = co_await write_all(old_size, new_size);
            if (!r) {
                Result<void> undone = co_await file_.resize(old_size);
                std::move(undone).ignore();
                size_ = sure_size_ = old_size;
                co_return r;
            }
        }
        co_return Result<void>();
    }

    Task<Result<void>> do_copy_to(u64 offset, Node& target, u64 target_offset, u64 length) override {
        auto* to = dynamic_cast<FileNode*>(&target);
        if (!to) co_return unsupported("copy offload to another kind of node");
        to->note_end(target_offset + length);
        to->forget_status();
        CO_TRY(u64 n, co_await file_.copy_to(offset, to->file_, target_offset, length));
        if (n < length && offset + n < sure_size_) co_return shortened(offset + n);
        // Past our end there are zeros; the target's end has been noted, so it may only lack the length.
        if (n < length) co_return co_await to->do_write_zeroes(target_offset + n, length - n, 0);
        co_return Result<void>();
    }

    // The descriptor stays the same number, so that the engines know it.
    Task<Result<void>> do_reopen(bool read_only) override {
        int fd = ::open(file_.path().c_str(),
                        (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | (options_.cache_direct ? O_DIRECT : 0));
        if (fd < 0) co_return Error::from_errno(errno, "Could not reopen '{}'", filename());
        // Locks belong to the open file: the new one could not have them beside the old one.
        u8 perms = used_perms(), shared = options_.force_share ? perm::all : shared_perms();
        if (locking_) CO_CHECK(lock_.change(file_.fd(), filename(), 0, perm::all));
        int moved = dup3(fd, file_.fd(), O_CLOEXEC);
        int error = errno;
        ::close(fd);
        if (moved < 0) co_return Error::from_errno(error, "Could not reopen '{}'", filename());
        co_return locking_ ? lock_.change(file_.fd(), filename(), perms, shared) : Result<void>();
    }

    Result<void> permissions_changed(u8 perms, u8 shared) override {
        if (!locking_) return {};
        if (options_.force_share) shared = perm::all;
        return lock_.change(file_.fd(), filename(), perms, shared);
    }

private:
    // Zeros would be made up.
    Error shortened(u64 end) const {
        return Error::io("'{}' ends after {} bytes, it had {}: somebody has made it shorter", filename(), end,
                         sure_size_);
    }
    void note_end(u64 end) {
        if (end > size_ && !file_.is_block_device()) size_ = end;
    }
    void forget_status() { data_start_ = data_end_ = 0; }

    bool is_in_memory() const {
        struct statfs fs; // of a device, it would be that of its name
        return !file_.is_block_device() && fstatfs(file_.fd(), &fs) == 0 &&
               (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
    }
    // What goes out on a thread, one piece at a time: where the disk is slower than who writes, the next takes more along. It has a
    // descriptor of its own, so that the node may go meanwhile.
    struct WriteOut {
        io::WaitList ended;
        bool under_way = false;
        u64 begun = 0;
        int error = 0; // errno of the first that failed
        explicit WriteOut(io::Loop& loop) : ended(loop) {}
    };
    void start_write_out() {
        const WriteBehind::Range range = behind_.take();
        if (range.length == 0) return;
        const int fd = fcntl(file_.fd(), F_DUPFD_CLOEXEC, 0);
        if (fd < 0) return; // the flush has it all to do
        out_->under_way = true;
        out_->begun++;
        io::spawn(write_out(loop(), out_, fd, range), [](const Error&) {});
    }
    static Task<Result<void>> write_out(io::Loop& loop, std::shared_ptr<WriteOut> out, int fd,
                                        WriteBehind::Range range) {
        auto begin = [fd, range] {
            const int error = begin_write_out(fd, range);
            ::close(fd);
            return error;
        };
        const int error = co_await loop.blocking().run(loop, begin);
        if (out->error == 0) out->error = error;
        out->under_way = false;
        out->ended.wake_all();
        co_return Result<void>();
    }
    // Data may be lost, unless the file system doesn't have it, or only now.
    Result<void> went_out() const {
        switch (const int error = out_->error) {
        case 0:
        case EINVAL:
        case ENOSYS:
        case EOPNOTSUPP:
        case ESPIPE:
        case EINTR:
        case EAGAIN:
        case ENOMEM: return {};
        default: return Error::from_errno(error, "write out '{}'", filename());
        }
    }

    // Without a detour through another thread: no write that starts later can be cut off by it.
    Result<void> extend(u64 end) {
        u64 new_size = std::max(size_, end);
        if (ftruncate(file_.fd(), off_t(new_size)) < 0)
            return Error::from_errno(errno, "extend '{}' to {} bytes", filename(), new_size);
        size_ = sure_size_ = new_size;
        return {};
    }
    Task<Result<void>> zero_device(u64 offset, u64 length, u32 flags) {
        if (flags & flag::may_unmap) {
            auto r = co_await file_.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
            if (r || r.error().kind() != ErrorKind::unsupported) co_return r;
        }
        co_return co_await file_.zero_out(offset, length);
    }
    Task<Result<void>> write_all(u64 from, u64 to) {
        CO_TRY(auto zeros, Buffer::zeroed(std::min<u64>(to - from, 1u << 20)));
        while (from < to) {
            IoVec part(zeros.data(), std::min<u64>(to - from, zeros.size()));
            CO_CHECK(co_await file_.write(from, part));
            from += part.length();
            context().progress(from, to);
        }
        co_return Result<void>();
    }

    struct Seek {
        bool data;
        u64 end;
    };
    Seek seek_data(u64 offset) const {
        off_t data = lseek(file_.fd(), off_t(offset), SEEK_DATA);
        if (data < 0 && errno != ENXIO) return {true, size_};
        if (data < 0) { // nothing behind: a hole up to the end, unless the end is too early (then reading tells)
            off_t end = lseek(file_.fd(), 0, SEEK_END);
            return {!file_.is_block_device() && end >= 0 && u64(end) < sure_size_ && offset < sure_size_, size_};
        }
        if (u64(data) > offset) return {false, std::min(u64(data), size_)};
        off_t end = lseek(file_.fd(), off_t(offset), SEEK_HOLE);
        return {true, end < 0 || u64(end) <= offset ? size_ : std::min(u64(end), size_)};
    }
    Extent hole(u64 offset, u64 length) {
        Extent e{.length = length, .allocated = true, .zero = true};
        e.has_offset = true;
        e.offset = offset;
        e.file = this;
        return e;
    }

    io::File file_;
    ImageLock lock_;
    WriteBehind behind_;
    std::shared_ptr<WriteOut> out_;
    bool locking_, no_zero_range_ = false;
    bool writes_behind_;
    u64 size_ = 0, data_start_ = 0, data_end_ = 0;
    u64 sure_size_ = 0; // without the ends of writes that are under way, or failed
    std::optional<Error> sync_error_;
};

io::Aio engine_for(const FileOptions& o) {
    if (!o.aio) return io::Aio::automatic;
    // `native` names the kernel's older interface; io_uring does what its users want from it.
    return AioName(*o.aio) == AioName::threads    ? io::Aio::threads
           : AioName(*o.aio) == AioName::io_uring ? io::Aio::io_uring
                                                  : io::Aio::automatic;
}

Task<Result<NodePtr>> open_file(Context& context, OpenArguments& a, const Driver& driver) {
    FileOptions o;
    std::string owner = fmt::format("Block protocol '{}'", driver.name);
    OptionReader reader(a.options, owner);
    o.describe(reader);
    CO_CHECK(reader.finish());
    if (!o.filename || o.filename->empty()) co_return Error::invalid_argument("{} needs the option 'filename'", owner);
    if (o.aio && AioName(*o.aio) == AioName::native && !a.common.cache_direct)
        co_return Error::invalid_argument(
            "aio=native was specified for '{}', but it requires cache.direct=on, which was not specified", *o.filename);
    io::FileOpen how{.write = !a.common.read_only, .direct = a.common.cache_direct, .aio = engine_for(o)};
    auto opened = [&] {
        auto first = io::File::open(context.loop, *o.filename, how);
        if (first || !how.write || !a.common.auto_read_only || first.error().kind() != ErrorKind::permission)
            return first;
        how.write = false;
        a.common.read_only = true;
        return io::File::open(context.loop, *o.filename, how);
    };
    auto file = opened();
    if (!file) co_return std::move(file).error();
    if (file->is_block_device() != (&driver == &host_device_driver))
        co_return Error::invalid_argument("Could not open '{}': driver '{}' expects a {}", *o.filename, driver.name,
                                          file->is_block_device() ? "regular file; use host_device"
                                                                  : "block device; use file");
    auto node = std::make_shared<FileNode>(context, driver, a.common, std::move(*file), o.locking != Locking::off);
    node->set_filename(*o.filename);
    CO_CHECK(node->start());
    co_return NodePtr(node);
}

Task<Result<void>> create_file(Context& context, CreateArguments& a) {
    FileCreateOptions o;
    OptionReader reader(a.options, "Block protocol 'file'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    // Locked before it is emptied: somebody may be using it.
    auto file = io::File::open(context.loop, a.filename, {.write = true, .create = true});
    if (!file)
        co_return Error(file.error().kind(),
                        fmt::format("Could not create '{}': {}", a.filename, file.error().message()),
                        file.error().host_errno());
    NodeOptions common;
    auto node = std::make_shared<FileNode>(context, file_driver, common, std::move(*file), true);
    node->set_filename(a.filename);
    CO_CHECK(node->start());
    CO_TRY(auto edge, Edge::attach(node, nullptr, "creation", perm::write | perm::resize, perm::write_unchanged));
    CO_CHECK(co_await node->truncate(0));
    CO_CHECK(co_await node->truncate(o.size.value_or(0), o.preallocation));
    co_return co_await node->close();
}

Task<Result<void>> create_device(Context& context, CreateArguments& a) {
    FileCreateOptions o;
    OptionReader reader(a.options, "Block protocol 'host_device'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    CO_TRY(auto file, io::File::open(context.loop, a.filename, {.write = true}));
    CO_TRY(u64 size, file.size());
    if (size < o.size.value_or(0))
        co_return Error::no_space("device '{}' has {} bytes, expected at least {}", a.filename, size, *o.size);
    co_return Result<void>();
}

void describe_create(OptionVisitor& v) {
    FileCreateOptions o;
    o.describe(v);
}

} // namespace

MIMIC_BLOCK_DRIVER(file) = {
    .name = "file",
    .is_protocol = true,
    .open = [](Context& c, OpenArguments& a) { return open_file(c, a, file_driver); },
    .create = create_file,
    .describe_create = describe_create,
};
MIMIC_BLOCK_DRIVER(host_device) = {
    .name = "host_device",
    .is_protocol = true,
    .open = [](Context& c, OpenArguments& a) { return open_file(c, a, host_device_driver); },
    .create = create_device,
    .describe_create = describe_create,
};

} // namespace mimic::block
