// Changing an image as a whole: size, preallocation, options (amend), backing file.
#include "block/qcow2/check.hpp"
#include "block/qcow2/image.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>

namespace mimic::block::qcow2 {

Task<Result<void>> Qcow2::set_up(u64 size) {
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await grow_l1(std::max<u64>(1, header_.l1_entries_for(size))));
    header_.size = shown_size_ = size;
    co_return co_await write_header();
}

Task<Result<void>> Qcow2::preallocate(u64 from, u64 to, Prealloc mode) {
    u64 cluster = header_.cluster_size(), file_end = 0;
    bool below = !header_.backing_file.empty();
    // Storage that isn't known to be zero must not be read before it is written.
    bool zeroed = data_node().has_zero_init() && !header_.encrypted();
    for (u64 at = round_down(from, cluster); at < to;) {
        CO_CHECK(co_await relieve());
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await before_change());
        CO_TRY(Ref l2, co_await l2_for_write(at));
        u64 end = std::min(round_up(at + 1, span_of_l2()), round_up(to, cluster));
        while (at < end) {
            if (entry_of(l2.data(), at) || bitmap_of(l2.data(), at)) {
                at += cluster;
                continue;
            }
            u64 host = at, got = (end - at) / cluster;
            if (header_.external_data())
                data_releases_.erase(data_releases_.lower_bound(at), data_releases_.lower_bound(end));
            else { CO_TRY(host, co_await refcounts_.allocate(got, false, &got)); }
            for (u64 i = 0; i < got; i++, at += cluster, host += cluster) {
                if (entry_of(l2.data(), at)) {
                    if (!header_.external_data()) refcounts_.release(cluster_of(host), 1);
                    continue;
                }
                u64 bits = !header_.extended_l2() || below ? 0 : zeroed ? 0xffffffff : u64(0xffffffff) << 32;
                u64 flags = entry_copied |
                            (!header_.extended_l2() && header_.version >= 3 && (below || !zeroed) ? entry_zero : 0);
                set_entry(l2, at, host | flags, bits);
                file_end = std::max(file_end, host + cluster);
            }
        }
        context().progress(at, to);
    }
    if (header_.external_data()) co_return Result<void>();
    CO_CHECK(co_await flush_tables());
    if (file_end > file()->size())
        co_return co_await file()->truncate(file_end, mode == Prealloc::metadata ? Prealloc::off : mode);
    if (mode == Prealloc::falloc || mode == Prealloc::full) {
        // Tables have grown the file past the data; fill what they left.
        co_return Result<void>();
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::do_truncate(u64 new_size, Prealloc prealloc) {
    u64 old_size = header_.size, cluster = header_.cluster_size();
    if (new_size > u64(INT64_MAX) - cluster)
        co_return Error::invalid_argument("'{}': size {} is too big", filename(), new_size);
    if (prealloc != Prealloc::off && !header_.backing_file.empty() && !header_.extended_l2())
        co_return Error::unsupported("'{}': preallocation cannot be combined with a backing file", filename());
    if (prealloc != Prealloc::off && new_size < old_size)
        co_return Error::invalid_argument("Preallocation can't be used for shrinking an image");
    if (header_.version < 3 && header_.snapshot_count && new_size != old_size)
        co_return Error::unsupported("'{}': Can't resize a v2 image which has snapshots", filename());
    if (header_.l1_entries_for(new_size) * 8 > max_l1_bytes)
        co_return Error::invalid_argument(
            "'{}': {} bytes need an L1 table larger than {} bytes; larger clusters are needed", filename(), new_size,
            max_l1_bytes);
    if (new_size != old_size) CO_CHECK(co_await size_snapshots());
    CO_CHECK(co_await resize_bitmaps(new_size));
    if (new_size < old_size) {
        CO_CHECK(co_await shrink(new_size));
        co_return co_await do_flush();
    }
    const u64 tables_end = l1_.size() * span_of_l2();
    {
        auto lock = co_await metadata_.lock();
        CO_CHECK(co_await before_change());
        CO_CHECK(co_await grow_l1(std::max<u64>(1, header_.l1_entries_for(new_size))));
    }
    // What a shrinking that was cut short may have left there.
    CO_CHECK(co_await give_up(round_up(old_size, cluster), std::min(round_up(new_size, cluster), tables_end), true));
    // A longer backing file must not show in the new part.
    Node* below = backing();
    u64 visible = below ? std::min(below->size(), new_size) : 0;
    header_.size = shown_size_ = new_size;
    if (Edge* data = child("data-file"); data && data->node().size() < new_size)
        CO_CHECK(co_await data->node().truncate(new_size, prealloc == Prealloc::metadata ? Prealloc::off : prealloc));
    if (visible > old_size) CO_CHECK(co_await do_write_zeroes(old_size, visible - old_size, 0));
    if (prealloc == Prealloc::off && header_.raw_external()) prealloc = Prealloc::metadata; // as when it is made
    if (prealloc != Prealloc::off) CO_CHECK(co_await preallocate(old_size, new_size, prealloc));
    CO_CHECK(co_await do_flush());
    CO_CHECK(co_await write_header());
    co_return co_await barrier();
}

// discard_clusters() of any length.
Task<Result<void>> Qcow2::give_up(u64 first, u64 end, bool full) {
    while (first < end) {
        const u64 index = first / span_of_l2();
        if (index >= l1_.size()) break;
        if (!(l1_[index] & entry_offset)) {
            first = (index + 1) * span_of_l2();
            continue;
        }
        u64 step = std::min(end - first, u64(1) << 30);
        CO_CHECK(co_await discard_clusters(first, step, full));
        CO_CHECK(co_await relieve());
        first += step;
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::shrink(u64 new_size) {
    u64 cluster = header_.cluster_size(), old_size = header_.size;
    // Zeros behind the new end, should it grow again.
    u64 edge = std::min(round_up(new_size, cluster), old_size);
    if (edge > new_size) {
        CO_TRY(auto zeros, Buffer::zeroed(edge - new_size));
        CO_TRY(u64 zero, co_await reads_as_zero(new_size, edge - new_size));
        IoVec memory = zeros.vec();
        if (zero < memory.length()) CO_CHECK(co_await do_write(new_size, memory));
    }
    // As long as the disk reaches there, a backing image must not show: until then these are zeros.
    u64 first = round_up(new_size, cluster), end = round_up(old_size, cluster);
    bool below = backing();
    CO_CHECK(co_await give_up(first, end, !below));
    header_.size = shown_size_ = new_size;
    CO_CHECK(co_await do_flush());
    CO_CHECK(co_await write_header());
    CO_CHECK(co_await barrier()); // before anything behind the new end goes
    if (below) {
        CO_CHECK(co_await give_up(first, end, true));
        CO_CHECK(co_await do_flush());
    }
    if (Edge* data = child("data-file")) CO_CHECK(co_await data->node().truncate(new_size));
    co_return co_await cut_file();
}

// Cuts the file behind the last cluster that is used.
Task<Result<void>> Qcow2::cut_file() {
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await apply_releases());
    CO_CHECK(co_await flush_tables());
    u64 per_block = header_.refcounts_per_block(), end = div_up(file()->size(), header_.cluster_size());
    // What no table counts is nobody's, however far a hole reaches.
    end = std::min(end, refcounts_.table().size() * per_block);
    while (end > 0) {
        u64 index = (end - 1) / per_block;
        if (!refcounts_.table()[index]) {
            end = index * per_block;
            continue;
        }
        CO_TRY(u64 n, co_await refcounts_.get(end - 1));
        if (n) break;
        end--;
    }
    if (end << header_.cluster_bits >= file()->size()) co_return Result<void>();
    refcounts_.rewind_search();
    co_return co_await file()->truncate(end << header_.cluster_bits);
}

Task<Result<void>> Qcow2::set_backing_file(const std::string& name, const std::string& format) {
    if (!name.empty() && header_.raw_external())
        co_return Error::invalid_argument("'{}': Cannot set a backing file with data_file_raw=on", filename());
    if (name.size() > max_backing_name)
        co_return Error::invalid_argument("Backing file name too long ({} bytes, expected at most {})", name.size(),
                                          max_backing_name);
    CO_CHECK(co_await flush());
    Header before = header_;
    header_.backing_file = name;
    header_.backing_format = name.empty() ? "" : format;
    Result<void> r = co_await write_header();
    if (!r) {
        header_ = std::move(before);
        co_return r;
    }
    co_return co_await barrier();
}

namespace {

constexpr std::string_view compat_names[] = {"0.10", "1.1", "v2", "v3"};

struct AmendOptions {
    luks::SlotOptions encryption;
    std::optional<std::string> backing_file, backing_format, data_file;
    std::optional<u8> compat;
    std::optional<bool> lazy_refcounts, data_file_raw;
    std::optional<u64> refcount_bits, size;
    void describe(OptionVisitor& v) {
        v.string("backing_file", backing_file, "File name of a base image");
        v.string("backing_fmt", backing_format, "Image format of the base image");
        v.choice("compat", compat_names, compat, "Compatibility level (v2 [0.10] or v3 [1.1])");
        v.string("data_file", data_file, "File name of an external data file");
        v.boolean("data_file_raw", data_file_raw, "The external data file must stay valid as a raw image");
        v.boolean("lazy_refcounts", lazy_refcounts, "Postpone refcount updates");
        v.number("refcount_bits", refcount_bits, "Width of a reference count entry in bits");
        v.size("size", size, "Virtual disk size");
        encryption.describe(v, "encrypt.");
    }
};

} // namespace

void describe_amend_options(OptionVisitor& v) {
    AmendOptions o;
    o.describe(v);
}

// Counts of another width: all blocks and the table anew.
Task<Result<void>> Qcow2::change_refcount_order(u32 order) {
    auto lock = co_await metadata_.lock();
    CO_CHECK(co_await flush_tables());
    CO_CHECK(co_await apply_releases());
    CO_CHECK(co_await flush_tables());
    u32 old = header_.refcount_order;
    header_.refcount_order = order;
    Checker checker(*this, Fix::none);
    Result<void> r = co_await checker.rebuild();
    if (!r) {
        header_.refcount_order = old;
        co_return std::move(r).error().in(
            fmt::format("'{}': change the refcount width to {} bits", filename(), 1u << order));
    }
    co_return Result<void>();
}

// Version 2 has no zero flag: such clusters become unallocated, or real zeros over a backing file.
Task<Result<void>> Qcow2::expand_zero_clusters() {
    u64 end = round_up(header_.size, header_.cluster_size());
    for (u64 at = 0; at < end;) {
        CO_TRY(Run run, co_await map(at, end - at));
        u64 next = at + run.length;
        bool zero = run.kind == Kind::zero_plain || run.kind == Kind::zero_allocated;
        if (zero && !backing()) {
            CO_CHECK(co_await discard_clusters(at, run.length, true));
        } else if (zero) {
            u64 step = std::min<u64>(run.length, 1u << 20);
            CO_TRY(auto zeros, Buffer::zeroed(step));
            IoVec memory = zeros.vec();
            CO_CHECK(co_await do_write(at, memory));
            next = at + step;
        }
        at = next;
    }
    co_return Result<void>();
}

Task<Result<void>> Qcow2::downgrade() {
    auto refuse = [&](std::string_view why) {
        return Error::unsupported("Cannot downgrade '{}' to compat=0.10: it {}", filename(), why);
    };
    if (header_.refcount_order != 4)
        co_return refuse(fmt::format("has a refcount width of {} bits, expected 16", header_.refcount_bits()));
    if (header_.external_data()) co_return refuse("uses an external data file");
    if (header_.extended_l2()) co_return refuse("has extended L2 entries");
    if (header_.compression != Compression::zlib) co_return refuse("uses a compression type other than zlib");
    if (!bitmaps_.empty()) co_return refuse("has persistent bitmaps; remove them first");
    for (auto& s : snapshots_) {
        if (s.info.disk_size != header_.size)
            co_return refuse(fmt::format("has the snapshot '{}' with a disk size of its own", s.info.name));
        CO_TRY(auto l1, co_await load_l1(s.l1_offset, s.l1_entries));
        for (u64 e : l1) {
            CO_TRY(Ref l2, co_await l2_table(e));
            for (u64 k = 0; l2 && k < header_.l2_entries(); k++) {
                u64 entry = get64(l2.data() + k * 8);
                if (!(entry & entry_compressed) && (entry & entry_zero))
                    co_return refuse(
                        fmt::format("has the snapshot '{}' with zero clusters; delete it first", s.info.name));
            }
        }
    }
    CO_CHECK(co_await expand_zero_clusters());
    CO_CHECK(co_await do_flush());
    if (header_.incompatible & incompatible::dirty) CO_CHECK(co_await set_dirty_bit(false));
    header_.version = 2;
    header_.compatible = header_.autoclear = header_.incompatible = 0;
    header_.later_fields.clear();
    CO_CHECK(co_await write_header());
    co_return co_await barrier();
}

Task<Result<void>> Qcow2::amend(Json options) {
    AmendOptions o;
    OptionReader reader(options, "Amending format 'qcow2'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    u32 version = !o.compat ? header_.version : (*o.compat == 0 || *o.compat == 2) ? 2 : 3;
    u32 order = header_.refcount_order;
    if (o.refcount_bits) {
        if (!std::has_single_bit(*o.refcount_bits) || *o.refcount_bits > 64)
            co_return Error::invalid_argument(
                "Refcount width must be a power of two and may not exceed 64 bits (found {})", *o.refcount_bits);
        order = u32(std::countr_zero(*o.refcount_bits));
        if (version < 3 && order != 4)
            co_return Error::invalid_argument("Refcount widths other than 16 bits require compatibility level 1.1 or "
                                              "above (use compat=1.1 or greater)");
    }
    if (o.lazy_refcounts.value_or(false) && version < 3)
        co_return Error::invalid_argument(
            "Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)");
    // What shows through would change without a word.
    if (o.backing_file || o.backing_format)
        co_return Error::unsupported("Cannot amend the backing file\nYou can use 'qemu-img rebase' instead.");
    if (o.data_file && !header_.external_data())
        co_return Error::invalid_argument("data-file can only be set for images that use an external data file");
    if (o.data_file_raw && *o.data_file_raw != header_.raw_external() && *o.data_file_raw)
        co_return Error::invalid_argument("data-file-raw cannot be set on existing images");
    if (o.encryption.any()) {
        if (header_.crypt != Crypt::luks || !volume_)
            co_return Error::invalid_argument("'{}': only images encrypted with LUKS have key slots", filename());
        CO_CHECK(co_await volume_->amend(context(), *file(), o.encryption));
    }
    if (version > header_.version) {
        header_.version = 3;
        CO_CHECK(co_await write_header());
        CO_CHECK(co_await barrier());
    }
    if (order != header_.refcount_order) CO_CHECK(co_await change_refcount_order(order));
    if (o.data_file) header_.data_file = *o.data_file;
    if (o.data_file_raw && !*o.data_file_raw) header_.autoclear &= ~autoclear::data_file_raw;
    if (o.lazy_refcounts)
        header_.compatible = *o.lazy_refcounts ? header_.compatible | compatible::lazy_refcounts
                                               : header_.compatible & ~compatible::lazy_refcounts;
    if (o.lazy_refcounts || o.data_file || o.data_file_raw) CO_CHECK(co_await write_header());
    if (o.lazy_refcounts && !*o.lazy_refcounts && dirty_marked_) {
        CO_CHECK(co_await do_flush());
        CO_CHECK(co_await set_dirty_bit(false));
    }
    if (o.size) CO_CHECK(co_await do_truncate(*o.size, Prealloc::off));
    if (version < header_.version) CO_CHECK(co_await downgrade());
    co_return Result<void>();
}

} // namespace mimic::block::qcow2
