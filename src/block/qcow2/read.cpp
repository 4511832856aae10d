// Reading, and the state of ranges.
#include "base/io/pool.hpp"
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <cerrno>

namespace mimic::block::qcow2 {

Task<Result<void>> Qcow2::read_backing(u64 offset, const IoVec& memory) {
    Node* below = backing();
    u64 end = below ? below->size() : 0;
    u64 there = offset < end ? std::min(memory.length(), end - offset) : 0;
    if (there == memory.length()) co_return co_await below->read(offset, memory);
    memory.fill(there, memory.length() - there, 0);
    if (there == 0) co_return Result<void>();
    IoVec part = memory.slice(0, there);
    co_return co_await below->read(offset, part);
}

Task<Result<void>> Qcow2::read_compressed(Run run, u64 offset, const IoVec& memory) {
    u64 cluster = header_.cluster_size();
    CO_TRY(auto packed, Buffer::create(run.compressed));
    CO_TRY(auto plain, Buffer::create(cluster));
    IoVec packed_memory = packed.vec();
    CO_CHECK(co_await file()->read(run.host, packed_memory));
    auto unpack = [&] { return decompress_cluster(header_.compression, packed.bytes(), plain.bytes()); };
    bool ok = co_await loop().compute().run(loop(), unpack);
    if (!ok)
        co_return Error(ErrorKind::corrupt,
                        fmt::format("'{}': compressed cluster at {:#x} cannot be unpacked", filename(), run.host), EIO);
    memory.copy_from(0, plain.data() + in_cluster(offset), memory.length());
    co_return Result<void>();
}

Task<Result<void>> Qcow2::read_run(Run run, u64 offset, const IoVec& memory) {
    switch (run.kind) {
    case Kind::zero_plain:
    case Kind::zero_allocated: memory.fill(0, memory.length(), 0); co_return Result<void>();
    case Kind::unallocated: co_return co_await read_backing(offset, memory);
    case Kind::compressed: co_return co_await read_compressed(run, offset, memory);
    case Kind::normal: break;
    }
    co_return co_await read_data(run.host, offset, memory);
}

// Without the check of what is past the disk's end: snapshots keep machine state there.
Task<Result<void>> Qcow2::read_guest(u64 offset, const IoVec& memory) {
    CO_TRY(Run first, co_await map(offset, memory.length()));
    if (first.length == memory.length()) co_return co_await read_run(first, offset, memory);
    // Several runs go beside each other, a few at a time.
    constexpr unsigned most = 16;
    io::Scope scope(loop());
    auto one = [](Qcow2& self, Run run, u64 at, IoVec part) -> Task<Result<void>> {
        co_return co_await self.read_run(run, at, part);
    };
    Result<void> failed;
    for (u64 done = 0; done < memory.length() && !scope.cancelled();) {
        auto run = co_await map(offset + done, memory.length() - done);
        if (!run) {
            failed = std::move(run).error();
            break;
        }
        scope.spawn(one(*this, *run, offset + done, memory.slice(done, run->length)));
        done += run->length;
        while (scope.running() >= most) co_await scope.changed().wait();
    }
    Result<void> result = co_await scope.join();
    co_return result ? failed : result;
}

Task<Result<void>> Qcow2::do_read(u64 offset, const IoVec& memory) {
    u64 end = size();
    if (offset + memory.length() <= end) co_return co_await read_guest(offset, memory);
    u64 there = offset < end ? end - offset : 0;
    memory.fill(there, memory.length() - there, 0);
    if (there == 0) co_return Result<void>();
    IoVec part = memory.slice(0, there);
    co_return co_await read_guest(offset, part);
}

namespace {

// Clusters may have their place before they are written (preallocation); the file below knows which hold nothing yet. That
// costs a system call, so only files that have much less than their size are asked.
bool may_be_reserved(const Node& data) {
    auto there = data.allocated_size();
    return there && *there < data.size() / 4 * 3;
}

// Shortens the extent to what is alike in the file.
Task<Result<void>> note_reserved(Node& data, Extent& e) {
    if (e.offset >= data.size()) co_return Result<void>();
    CO_TRY(Extent below, co_await data.status(e.offset, e.length));
    e.length = std::min(e.length, below.length);
    e.zero = below.zero;
    co_return Result<void>();
}

} // namespace

Task<Result<Extent>> Qcow2::do_status(u64 offset, u64 length) {
    Extent e;
    CO_TRY(Run run, co_await map(offset, length));
    auto fill = [&](const Run& r) {
        e.allocated = r.kind != Kind::unallocated;
        e.data = r.kind == Kind::normal || r.kind == Kind::compressed;
        e.zero = r.kind == Kind::zero_plain || r.kind == Kind::zero_allocated;
        e.compressed = r.kind == Kind::compressed;
        e.has_offset =
            r.kind == Kind::normal || r.kind == Kind::zero_allocated || (r.kind == Kind::unallocated && r.host);
        if (e.has_offset) {
            e.offset = r.host;
            e.file = &data_node();
        }
        if (r.kind == Kind::unallocated && !backing()) e.zero = true;
    };
    fill(run);
    e.length = run.length;
    if (e.data && e.has_offset && !header_.encrypted() && may_be_reserved(data_node())) {
        CO_CHECK(co_await note_reserved(data_node(), e));
        co_return e;
    }
    // Runs end with their table; the answer goes on while nothing changes.
    while (e.length < length && !e.compressed) {
        CO_TRY(Run next, co_await map(offset + e.length, length - e.length));
        if (next.kind != run.kind || (e.has_offset ? next.host != run.host + e.length : next.host != 0)) break;
        e.length += next.length;
    }
    if (header_.encrypted()) e.has_offset = false; // what lies there is not the data
    co_return e;
}

} // namespace mimic::block::qcow2
