// Compressed clusters: raw deflate streams, or zstd frames.
#include "base/io/pool.hpp"
#include "block/formats/deflate.hpp"
#include "block/qcow2/image.hpp"
#include <memory>
#include <zstd.h>

namespace mimic::block::qcow2 {

namespace {

bool zstd_decompress(std::span<const u8> in, std::span<u8> out) {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    if (!context) return false;
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    bool ok = true;
    while (ok && target.pos < target.size) {
        size_t before_in = source.pos, before_out = target.pos;
        size_t r = ZSTD_decompressStream(context, &target, &source);
        ok = !ZSTD_isError(r) && (source.pos != before_in || target.pos != before_out);
    }
    ZSTD_freeDCtx(context);
    return ok;
}

} // namespace

size_t compress_cluster(Compression type, std::span<const u8> in, std::span<u8> out) {
    if (type == Compression::zlib) return deflate_cluster(in, out);
    // A thread keeps its packer: making one costs as much as a small cluster.
    thread_local std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> packer(nullptr, ZSTD_freeCCtx);
    if (!packer) packer.reset(ZSTD_createCCtx());
    if (!packer) return 0;
    size_t n = ZSTD_compressCCtx(packer.get(), out.data(), out.size(), in.data(), in.size(), ZSTD_CLEVEL_DEFAULT);
    return ZSTD_isError(n) ? 0 : n;
}

bool decompress_cluster(Compression type, std::span<const u8> in, std::span<u8> out) {
    return type == Compression::zlib ? inflate_cluster(in, out) : zstd_decompress(in, out);
}

// Bytes in a row, behind the last compressed ones if they fit there. Under metadata_.
Task<Result<u64>> Qcow2::allocate_compressed(u64 bytes) {
    u64 cluster = header_.cluster_size();
    u64 tail = compressed_tail_, room = tail ? cluster - in_cluster(tail) : 0;
    // A cluster is counted once for each stream that touches it; narrow counts allow few.
    if (tail && in_cluster(tail) && room >= bytes) {
        auto counted = co_await refcounts_.change(cluster_of(tail), 1, 1);
        if (counted) {
            compressed_tail_ = tail + bytes;
            co_return tail;
        }
        if (counted.error().kind() != ErrorKind::no_space) co_return std::move(counted).error();
        tail = 0;
    }
    CO_TRY(u64 fresh, co_await refcounts_.allocate(1, true));
    compressed_tail_ = fresh + bytes;
    if (tail && in_cluster(tail) && fresh == tail + room && room < bytes) {
        auto counted = co_await refcounts_.change(cluster_of(tail), 1, 1);
        if (counted) {
            compressed_tail_ = tail + bytes;
            co_return tail;
        }
        if (counted.error().kind() != ErrorKind::no_space) co_return std::move(counted).error();
    }
    co_return fresh;
}

Task<Result<void>> Qcow2::write_compressed_cluster(u64 offset, const IoVec& memory) {
    u64 cluster = header_.cluster_size();
    // A whole cluster in one piece is packed from where it is.
    Buffer copy;
    const u8* plain = memory.length() == cluster ? memory.contiguous() : nullptr;
    if (!plain) {
        CO_TRY(copy, Buffer::create(cluster));
        memory.copy_to(0, copy.data(), memory.length());
        __builtin_memset(copy.data() + memory.length(), 0, cluster - memory.length());
        plain = copy.data();
    }
    CO_TRY(auto packed, Buffer::create(cluster));
    auto pack = [&] {
        return compress_cluster(header_.compression, {plain, cluster}, packed.bytes().first(cluster - 1));
    };
    size_t n = co_await loop().compute().run(loop(), pack);
    if (n == 0) co_return co_await do_write(offset, memory);

    auto range = co_await ranges_.lock(round_down(offset, cluster), cluster, true);
    u64 host = 0;
    {
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await before_change());
        CO_TRY(host, co_await allocate_compressed(n));
    }
    u64 first = cluster_of(host), last = cluster_of(host + n - 1);
    IoVec out(packed.data(), n);
    Result<void> written = check_overlap(host, n);
    if (written) written = co_await file()->write(host, out);
    auto lock = co_await metadata_.lock();
    Result<Ref> l2(Ref{});
    if (written)
        l2 = co_await l2_for_write(offset);
    else
        l2 = written.error();
    if (!l2) {
        Result<void> undone = co_await refcounts_.change(first, last - first + 1, -1);
        std::move(undone).ignore();
        co_return std::move(l2).error();
    }
    u64 old = entry_of(l2->data(), offset);
    u32 x = 62 - (header_.cluster_bits - 8);
    u64 sectors = ((host & 511) + n - 1) >> 9;
    set_entry(*l2, offset, entry_compressed | sectors << x | host, 0);
    release_entry(old);
    co_return Result<void>();
}

Task<Result<void>> Qcow2::do_write_compressed(u64 offset, const IoVec& memory) {
    u64 cluster = header_.cluster_size(), length = memory.length();
    if (header_.external_data())
        co_return Error::unsupported("'{}': compressed clusters are not possible with an external data file",
                                     filename());
    if (header_.encrypted())
        co_return Error::unsupported("'{}': compressed clusters are not possible in an encrypted image", filename());
    if (in_cluster(offset) || (length % cluster && offset + length != size()))
        co_return Error::invalid_argument("'{}': compressed writes need whole clusters of {} bytes", filename(),
                                          cluster);
    CO_CHECK(co_await relieve());
    CO_CHECK(co_await begin_bitmap_use());
    io::Scope scope(loop());
    auto one = [](Qcow2& self, u64 at, IoVec part) -> Task<Result<void>> {
        co_return co_await self.write_compressed_cluster(at, part);
    };
    for (u64 done = 0; done < length; done += cluster)
        scope.spawn(one(*this, offset + done, memory.slice(done, std::min(cluster, length - done))));
    co_return co_await scope.join();
}

} // namespace mimic::block::qcow2
