#include "block/jobs/copy.hpp"
#include <algorithm>

namespace mimic::block {

namespace {
using namespace std::chrono_literals;
constexpr auto retry_after = 100ms;
constexpr u64 most_at_once = 4u << 20; // bytes of one buffer
} // namespace

Result<void> DiskJob::insert_filter(const Driver& driver, const std::string& name, NodePtr target, u8 target_perms,
                                    u8 target_shared) {
    Context& context = jobs().context();
    if (!name.empty() && context.names.contains(name))
        return Error::exists("Duplicate nodes with node-name='{}'", name);
    NodeOptions options;
    options.node_name = name;
    auto filter = std::make_shared<JobFilter>(context, driver, options, *source_);
    // The users above move to the filter with what they do; it does the same below.
    u8 perms = perm::consistent_read, shared = perm::all;
    for (Edge* e : source_->parents())
        if (!e->stays()) {
            perms |= e->perms();
            shared &= e->shared();
        }
    TRY(filter->add_child(source_, "file", 0, perm::all));
    if (target) TRY(filter->add_child(target, "target", target_perms, target_shared));
    auto root = TRY(Root::attach(filter, id(), perm::consistent_read, perm::all, true));
    TRY(replace_node(*source_, filter));
    Result<void> settled = filter->child("file")->change(perms, shared);
    if (!settled) {
        replace_node(*filter, source_).ignore(); // as it was
        return settled;
    }
    filter_ = std::move(filter);
    root_ = std::move(root);
    return {};
}

Task<void> DiskJob::remove_filter(NodePtr instead) {
    if (!filter_) co_return;
    auto lock = co_await jobs().context().graph.lock();
    frozen_.thaw();
    Drained quiet = co_await drain(*filter_);
    NodePtr target = filter_->target() ? filter_->child("target")->ptr() : nullptr;
    if (!instead) instead = source_ptr();
    dismantle(instead);
    quiet.end();
    if (target) co_await let_go(target);
}

void DiskJob::dismantle(NodePtr instead) {
    if (!filter_) return;
    filter_->before_write = {};
    filter_->around_write = {};
    root_.reset();
    filter_->remove_child("target");
    // The filter's own use goes first, or the users above could not have theirs.
    Edge& below = *filter_->child("file");
    u8 perms = below.perms(), shared = below.shared();
    below.change(0, perm::all).ignore(); // giving up always works
    if (Result<void> r = replace_node(*filter_, instead); !r) {
        // It stays and passes everything on.
        below.change(perms, shared).ignore(); // it had them before
        jobs().context().warn(fmt::format("job '{}': its filter stays: {}", id(), r.error().message()));
    } else {
        filter_->remove_child("file");
    }
    filter_.reset();
}

Task<void> let_go(NodePtr node) {
    if (!node || node->closed() || !node->parents().empty()) co_return;
    Result<void> r = co_await node->close();
    if (!r) node->context().warn(fmt::format("'{}': {}", node->filename(), r.error().message()));
}

Task<Result<void>> set_writable(Node& node, bool writable) {
    if (node.read_only() == !writable) co_return Result<void>();
    Node* below = node.driver().is_protocol ? nullptr : node.file();
    if (writable && below) CO_CHECK(co_await set_writable(*below, true));
    CO_CHECK(co_await node.reopen(!writable));
    if (!writable && below) CO_CHECK(co_await set_writable(*below, false));
    co_return Result<void>();
}

Task<Result<void>> MadeWritable::take(Node& node) {
    if (!node.read_only()) co_return Result<void>();
    CO_CHECK(co_await set_writable(node, true));
    nodes_.push_back(node.shared_from_this());
    co_return Result<void>();
}

Task<void> MadeWritable::give_back() {
    for (auto& node : std::exchange(nodes_, {})) {
        Result<void> r = co_await set_writable(*node, false);
        std::move(r).ignore(); // it stays writable; nobody writes
    }
}

Task<Result<void>> DiskJob::copy_range(Node& from, Node& to, u64 offset, u64 length, bool& read_failed, u32 zero_flags,
                                       bool compress) {
    for (u64 end = offset + length; offset < end;) {
        read_failed = true;
        u64 step = end - offset;
        bool zero = offset >= from.size();
        if (!zero) {
            CO_TRY(ChainExtent e, co_await status_above(from, nullptr, offset, step));
            step = std::min(step, e.extent.length);
            zero = e.extent.zero || !e.layer;
        }
        if (!zero) step = std::min(step, most_at_once);
        // Compressed clusters are written as a whole.
        if (compress && !zero) step = end - offset;
        if (zero) {
            read_failed = false;
            CO_CHECK(co_await to.write_zeroes(offset, step, zero_flags));
        } else {
            CO_TRY(Buffer buffer, Buffer::create(step));
            IoVec memory = buffer.vec();
            CO_CHECK(co_await from.read(offset, memory));
            read_failed = false;
            if (compress)
                CO_CHECK(co_await to.write_compressed(offset, memory));
            else
                CO_CHECK(co_await to.write(offset, memory));
        }
        offset += step;
    }
    co_return Result<void>();
}

Task<Result<void>> DiskJob::do_now(u64 offset, u64 end, bool& read_failed) {
    u64 at = 0, n = 0;
    while (offset < end && todo->next(offset, end - offset, at, n) && at < end) {
        n = std::min(n, end - at);
        todo->clear(at, n);
        Result<void> r;
        for (u64 done = 0; done < n && r;) {
            read_failed = true;
            u64 part = n - done;
            auto needed = co_await needs(at + done, part);
            if (!needed)
                r = needed.error();
            else if (*needed)
                r = co_await copy(at + done, part, read_failed);
            done += part;
        }
        if (!r) {
            todo->set(at, n);
            co_return r;
        }
        progress(n);
        offset = at + n;
    }
    co_return Result<void>();
}

// A worker's turn.
Task<Result<void>> DiskJob::step(u64 offset, u64 length) {
    JobFilter::Step busy(*filter_);
    auto range = co_await filter_->ranges.lock(offset, length, true);
    bool read_failed = false;
    // A user's write may have done it meanwhile; what is left of it is done here.
    Result<void> r = co_await do_now(offset, offset + length, read_failed);
    if (r) co_return r;
    later_ = true;
    if (handle(read_failed ? on_read : on_write, read_failed, r.error()) == OnError::report) fail(r.error());
    co_return Result<void>();
}

// Skips whole units that need nothing. Bytes for one step, 0 if all was skipped.
Task<Result<u64>> DiskJob::measure(u64 offset, u64 length) {
    JobFilter::Step busy(*filter_);
    u64 skip = 0;
    while (skip < length) {
        u64 part = todo->size() - offset - skip;
        CO_TRY(bool needed, co_await needs(offset + skip, part));
        if (needed) {
            if (skip == 0)
                length = std::min(length, std::max(round_up(part, todo->granularity()), todo->granularity()));
            break;
        }
        skip += part;
    }
    bool to_end = offset + skip >= todo->size();
    u64 units = to_end ? todo->size() - offset
                       : round_down(offset + skip, todo->granularity()) -
                             std::min(offset, round_down(offset + skip, todo->granularity()));
    if (units == 0) co_return std::min(length, todo->size() - offset);
    u64 before = todo->dirty_bytes();
    todo->clear(offset, units);
    progress(std::min(before - todo->dirty_bytes(), units));
    co_return u64(0);
}

Task<Result<void>> DiskJob::work() {
    io::Scope scope(loop());
    u64 cursor = 0;
    auto quiet = [&scope]() -> Task<void> { co_await scope.drain(); };
    while (!failed_ && !cancelled()) {
        co_await pause_point(quiet);
        if (cancelled()) break;
        if (!inside_section) co_await root_->pass();
        u64 offset = 0, length = 0;
        if (!todo->next(cursor, std::max(max_step, todo->granularity()), offset, length)) {
            if (cursor == 0 && !scope.running()) break;
            // Around again once something has ended: it may come back.
            if (scope.running()) co_await scope.changed().wait();
            cursor = 0;
            if (!later_ || scope.running() || failed_) continue;
            later_ = false;
            if (todo->any() && !cancelled()) co_await wait(retry_after);
            continue;
        }
        auto n = co_await measure(offset, length);
        if (!n) {
            if (handle(on_read, true, n.error()) == OnError::report) fail(n.error());
            later_ = true;
            cursor = offset + length;
            continue;
        }
        if (*n == 0) {
            cursor = offset;
            co_await throttle(0);
            continue;
        }
        cursor = offset + *n;
        scope.spawn(step(offset, *n));
        while (scope.running() >= max_workers) co_await scope.changed().wait();
        co_await throttle(*n);
    }
    co_await scope.drain();
    if (failed_) co_return *std::exchange(failed_, std::nullopt);
    co_return Result<void>();
}

Result<RelaxedChain> RelaxedChain::relax(Node* top, Node* base) {
    RelaxedChain chain;
    for (Node* n = top; n && n != base;) {
        Edge* e = n->driver().is_filter ? n->child("file") : n->child("backing");
        if (!e) break;
        for (Edge* other : e->node().parents())
            if (other != e && &e->node() != base && (other->perms() & perm::consistent_read)) {
                chain.restore();
                return Error::busy("Node '{}' is busy: it is in use as '{}'", e->node().options().node_name,
                                   other->role());
            }
        chain.links_.push_back({n->weak_from_this(), e->role(), e->perms(), e->shared()});
        TRY(e->change(0, perm::all)); // giving up always works
        n = &e->node();
    }
    return chain;
}

void RelaxedChain::restore() {
    for (Link& l : links_)
        if (auto parent = l.parent.lock())
            if (Edge* e = parent->child(l.role))
                e->change(l.perms, l.shared).ignore(); // the base is somebody's to write
    links_.clear();
}

Task<Result<void>> change_backing(Node& overlay, NodePtr base, const std::string& name, const std::string& format) {
    Edge* old = overlay.child("backing");
    if (old && old->frozen())
        co_return Error::busy("Cannot change 'backing' link from '{}' to '{}': {}", overlay.options().node_name,
                              old->node().options().node_name, old->why_frozen());
    NodePtr before = old ? old->ptr() : nullptr;
    u8 perms = old ? old->perms() : perm::consistent_read;
    u8 shared = old ? old->shared() : u8(perm::consistent_read | perm::write_unchanged);
    if (before == base) co_return co_await overlay.set_backing_file(name, format);
    if (base && !old)
        CO_CHECK(overlay.add_child(base, "backing", perms, shared));
    else if (base)
        CO_CHECK(old->move_to(base));
    // The header last: a crash before it leaves the old chain, which still holds everything.
    Result<void> written;
    if (!overlay.read_only()) written = co_await overlay.set_backing_file(name, format);
    if (!written && old && base) old->move_to(before).ignore(); // it was there before
    if (!written && base && !old) overlay.remove_child("backing");
    if (written && !base) overlay.remove_child("backing");
    co_return written;
}

} // namespace mimic::block
