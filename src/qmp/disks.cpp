#include "qmp/disks.hpp"
#include <cstdlib>

namespace mimic::qmp {

namespace {

void add_limits(Json& j, const block::ThrottleGroup* group) {
    block::ThrottleLimits limits = group ? group->limits() : block::ThrottleLimits();
    constexpr std::string_view scopes[] = {"", "_rd", "_wr"};
    for (unsigned s = 0; s < 3; s++)
        for (auto& [unit, rate] : {std::pair("bps", limits.bytes[s]), std::pair("iops", limits.requests[s])}) {
            std::string name = fmt::format("{}{}", unit, scopes[s]);
            j.set(name, rate.average);
            if (rate.max) {
                j.set(name + "_max", rate.max);
                j.set(name + "_max_length", rate.length);
            }
        }
    if (limits.request_size) j.set("iops_size", limits.request_size);
    if (group) j.set("group", group->name());
}

} // namespace

Json image_info(const block::Node& n, bool flat) {
    Json j = Json::object();
    block::ImageInfo info = n.info();
    j.set("filename", n.file() ? n.file()->filename() : n.filename());
    j.set("format", n.driver().name);
    j.set("virtual-size", n.size());
    if (auto size = n.allocated_size()) j.set("actual-size", *size);
    j.set("dirty-flag", info.dirty);
    if (info.cluster_size) j.set("cluster-size", info.cluster_size);
    if (info.encrypted) j.set("encrypted", true);
    if (!info.backing_file.empty()) j.set("backing-filename", info.backing_file);
    if (!info.backing_format.empty()) j.set("backing-filename-format", info.backing_format);
    if (!info.specific.is_null()) j.set("format-specific", std::move(info.specific));
    if (n.backing() && !flat) j.set("backing-image", image_info(*n.backing(), false));
    return j;
}

Json device_info(block::Node& n, bool read_only, bool flat, const block::ThrottleGroup* limits) {
    Json j = Json::object(), cache = Json::object();
    u32 depth = 0;
    for (block::Node* b = block::backing_of(&n); b; b = block::backing_of(b)) depth++;
    const block::NodeOptions& o = n.options();
    j.set("file", n.file() ? n.file()->filename() : n.filename());
    j.set("node-name", o.node_name);
    j.set("ro", read_only);
    j.set("drv", n.driver().name);
    j.set("backing_file_depth", depth);
    if (n.backing()) j.set("backing_file", n.backing()->filename());
    j.set("encrypted", false);
    j.set("detect_zeroes", block::detect_zeroes_names[u8(o.detect_zeroes)]);
    add_limits(j, limits);
    cache.set("writeback", true);
    cache.set("direct", o.cache_direct);
    cache.set("no-flush", o.cache_no_flush);
    j.set("cache", std::move(cache));
    j.set("write_threshold", n.write_threshold());
    j.set("image", image_info(n, flat));
    Json bitmaps = Json::array();
    for (auto& b : n.dirty_bitmaps()) {
        Json one = Json::object();
        if (!b->name().empty()) one.set("name", b->name());
        one.set("count", b->dirty_bytes());
        one.set("granularity", b->granularity());
        one.set("recording", b->enabled);
        one.set("busy", !b->user.empty());
        one.set("persistent", b->persistent);
        bitmaps.push(std::move(one));
    }
    for (auto& b : n.bitmaps()) {
        if (!b.in_use) continue;
        Json one = Json::object();
        one.set("name", b.name);
        one.set("count", 0);
        one.set("granularity", b.granularity);
        one.set("recording", false);
        one.set("busy", false);
        one.set("persistent", true);
        one.set("inconsistent", true);
        bitmaps.push(std::move(one));
    }
    if (!bitmaps.items()->empty()) j.set("dirty-bitmaps", std::move(bitmaps));
    return j;
}

Json statistics(const block::Node& n) {
    Json stats = Json::object();
    const block::Statistics& s = n.statistics();
    const std::pair<std::string_view, const block::Statistics::Counter*> counters[] = {
        {"rd", &s.read}, {"wr", &s.write}, {"flush", &s.flush}, {"unmap", &s.discard}};
    for (const auto& [name, counter] : counters) {
        if (name != "flush") stats.set(fmt::format("{}_bytes", name), counter->bytes);
        stats.set(fmt::format("{}_operations", name), counter->requests);
        stats.set(fmt::format("failed_{}_operations", name), counter->failed);
    }
    return stats;
}

io::Task<Result<Json>> alone(Server& s, const Arguments& a, Action action) {
    Step step;
    {
        auto lock = co_await s.storage().context().graph.lock();
        CO_TRY(step, co_await action(s, a));
    }
    if (step.commit) step.commit();
    if (step.job) step.job->start();
    co_return Json::object();
}

io::Task<Result<block::NodePtr>> open_target(Server& s, TargetFile t) {
    block::Context& context = s.storage().context();
    if (t.format.empty()) t.format = "qcow2";
    const block::Driver* driver = block::find_driver(t.format);
    if (!driver)
        co_return Error::invalid_argument("Invalid block driver '{}', expected {}", t.format,
                                          block::driver_names(false));
    if (t.mode != "existing") {
        if (!driver->create) co_return Error::unsupported("Block driver '{}' can't create images", t.format);
        block::CreateArguments create{t.file, Json::object()};
        create.options.set("size", t.size);
        if (t.backing) {
            if (driver != &block::qcow2_driver)
                co_return Error::unsupported("'{}' can't have a backing file with format '{}'", t.file, t.format);
            std::string name = t.backing->filename();
            if (!name.starts_with("json:") && !block::has_protocol(name)) {
                char* whole = realpath(name.c_str(), nullptr);
                if (whole) name = whole;
                std::free(whole);
            }
            create.options.set("backing_file", name);
            create.options.set("backing_fmt", t.backing->driver().name);
        }
        CO_CHECK(co_await driver->create(context, create));
    }
    block::OpenRequest request;
    request.filename = t.file;
    request.format = t.format;
    request.writable = true;
    request.no_backing = true;
    request.discard = block::DiscardMode::unmap;
    request.options = Json::object();
    if (!t.node_name.empty()) request.options.set("node-name", t.node_name);
    co_return co_await block::open_node(context, std::move(request));
}

} // namespace mimic::qmp
