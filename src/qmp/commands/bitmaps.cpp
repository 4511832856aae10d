// Dirty bitmaps. QEMU QMP reference manual, "Block devices": block-dirty-bitmap-*.
#include "qmp/disks.hpp"
#include <bit>

namespace mimic::qmp {

using block::DirtyBitmap;
using block::NodePtr;
using io::Task;

namespace {

struct Found {
    NodePtr node;
    std::shared_ptr<DirtyBitmap> bitmap;
};

Result<NodePtr> find_node(Server& s, const std::string& name) {
    auto found = s.storage().find(name);
    if (!found) return Error::invalid_argument("Node '{}' not found", name);
    return found;
}

// `change`: nobody else may have it.
Task<Result<Found>> find(Server& s, std::string node, std::string name, bool change) {
    Found f;
    CO_TRY(f.node, find_node(s, node));
    CO_TRY(f.bitmap, co_await f.node->bitmap(name));
    if (change && !f.bitmap->user.empty())
        co_return Error::busy("Bitmap '{}' is currently in use by another operation and cannot be used", name);
    co_return f;
}

Task<Result<Step>> set_enabled(Server& s, const Arguments& a, bool on) {
    std::string node = a.text("node"), name = a.text("name");
    CO_TRY(Found f, co_await find(s, node, name, true));
    bool was = f.bitmap->enabled;
    CO_CHECK(co_await f.node->bitmap_enable(name, on));
    Step step;
    step.undo = [f, was]() -> Task<Result<void>> {
        f.bitmap->enabled = was;
        co_return Result<void>();
    };
    co_return step;
}

// A copy of the bits, to be put back.
Result<std::shared_ptr<DirtyBitmap>> keep(const DirtyBitmap& b) {
    auto copy = TRY(DirtyBitmap::create({}, b.size(), b.granularity()));
    copy->merge(b);
    return copy;
}

Step bits_back(Found f, std::shared_ptr<DirtyBitmap> old) {
    Step step;
    step.undo = [f, old]() -> Task<Result<void>> {
        f.bitmap->clear_all();
        f.bitmap->merge(*old);
        co_return Result<void>();
    };
    return step;
}

} // namespace

Task<Result<Step>> bitmap_add(Server& s, const Arguments& a) {
    CO_TRY(NodePtr node, find_node(s, a.text("node")));
    std::string name = a.text("name");
    u64 granularity = a.number("granularity");
    if (name.empty()) co_return Error::invalid_argument("Bitmap name cannot be empty");
    if (a.has("granularity") && (granularity < 512 || !std::has_single_bit(granularity)))
        co_return Error::invalid_argument("Granularity must be power of 2 and at least 512");
    CO_CHECK(co_await node->bitmap_add(name, granularity, !a.flag("disabled"), a.flag("persistent")));
    Step step;
    step.undo = [node, name]() { return node->bitmap_remove(name); };
    co_return step;
}

Task<Result<Step>> bitmap_remove(Server& s, const Arguments& a) {
    std::string name = a.text("name");
    CO_TRY(NodePtr node, find_node(s, a.text("node")));
    // One whose bits mean nothing can be removed all the same.
    for (auto& b : node->dirty_bitmaps())
        if (b->name() == name && !b->user.empty())
            co_return Error::busy("Bitmap '{}' is currently in use by another operation and cannot be used", name);
    Step step;
    // Taken away when nothing can fail any more.
    auto found = co_await node->bitmap(name);
    if (!found) {
        CO_CHECK(co_await node->bitmap_remove(name));
        co_return step;
    }
    step.commit = [&s, node, name] {
        io::spawn(node->bitmap_remove(name), [&s](const Error& e) { s.storage().context().warn(e.message()); });
    };
    co_return step;
}

Task<Result<Step>> bitmap_clear(Server& s, const Arguments& a) {
    std::string node = a.text("node"), name = a.text("name");
    CO_TRY(Found f, co_await find(s, node, name, true));
    CO_TRY(auto old, keep(*f.bitmap));
    CO_CHECK(co_await f.node->bitmap_clear(name));
    co_return bits_back(std::move(f), std::move(old));
}

Task<Result<Step>> bitmap_enable(Server& s, const Arguments& a) { return set_enabled(s, a, true); }
Task<Result<Step>> bitmap_disable(Server& s, const Arguments& a) { return set_enabled(s, a, false); }

Task<Result<Step>> bitmap_merge(Server& s, const Arguments& a) {
    std::string node = a.text("node"), target = a.text("target");
    CO_TRY(Found to, co_await find(s, node, target, true));
    std::vector<std::shared_ptr<DirtyBitmap>> sources;
    for (const Json& one : *a.value("bitmaps").items()) {
        const Json *on = one.find("node"), *name = one.string() ? &one : one.find("name");
        if (!name || !name->string() || (one.members() && (!on || !on->string())))
            co_return Error::invalid_argument("Parameter 'bitmaps' expects names, or objects of node and name");
        std::string where = on ? *on->string() : node;
        CO_TRY(Found from, co_await find(s, where, *name->string(), false));
        if (from.bitmap->size() != to.bitmap->size())
            co_return Error::invalid_argument(
                "Bitmaps are of different sizes (destination size is {} and source size is {}) and can't be merged",
                to.bitmap->size(), from.bitmap->size());
        sources.push_back(std::move(from.bitmap));
    }
    CO_TRY(auto old, keep(*to.bitmap));
    CO_CHECK(co_await to.node->bitmaps_will_change());
    for (auto& b : sources) to.bitmap->merge(*b);
    co_return bits_back(std::move(to), std::move(old));
}

namespace {

constexpr Command commands[] = {
    {"block-dirty-bitmap-add", "node str, name str, ?granularity uint32, ?persistent bool, ?disabled bool", "",
     "records writes from now on", nullptr, false, command<bitmap_add>},
    {"block-dirty-bitmap-remove", "node str, name str", "", "forgets a bitmap", nullptr, false, command<bitmap_remove>},
    {"block-dirty-bitmap-clear", "node str, name str", "", "clears all bits", nullptr, false, command<bitmap_clear>},
    {"block-dirty-bitmap-enable", "node str, name str", "", "records writes", nullptr, false, command<bitmap_enable>},
    {"block-dirty-bitmap-disable", "node str, name str", "", "records none", nullptr, false, command<bitmap_disable>},
    {"block-dirty-bitmap-merge", "node str, target str, bitmaps [any]", "", "adds the bits of others", nullptr, false,
     command<bitmap_merge>},
};

} // namespace

constinit const Family bitmap_family{"", commands};

} // namespace mimic::qmp
