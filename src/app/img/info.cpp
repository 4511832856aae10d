// info, check, map, snapshot, bitmap.
#include "app/img/commands.hpp"
#include <algorithm>
#include <set>
#include <sys/stat.h>
#include <sys/time.h>

namespace mimic::img {

using block::SnapshotInfo;

namespace {

// "lazy-refcounts: false" and so on, nested.
void dump_specific(std::string& out, const Json& v, int indent) {
    std::string pad(size_t(indent) * 4, ' ');
    auto line = [&](std::string name, const Json& value) {
        std::ranges::replace(name, '-', ' ');
        if (value.members() || value.items()) {
            out += fmt::format("{}{}:\n", pad, name);
            dump_specific(out, value, indent + 1);
        } else {
            out += fmt::format("{}{}: {}\n", pad, name, value.string() ? *value.string() : value.dump());
        }
    };
    if (auto* members = v.members())
        for (auto& [name, value] : *members) line(name, value);
    if (auto* items = v.items())
        for (size_t i = 0; i < items->size(); i++) line(fmt::format("[{}]", i), (*items)[i]);
}

struct Described {
    std::string human;
    Json json;
    std::string next, next_format; // the backing file
};

// A format's image, or a file; what a server has says nothing of how it was left.
bool has_flags(const Node& node) {
    const Node* below = &node;
    while (&below->driver() == &block::raw_driver && below->file()) below = below->file();
    return !below->driver().is_protocol || &below->driver() == &block::file_driver ||
           &below->driver() == &block::host_device_driver;
}

Described describe(const Node& node) {
    Described d;
    block::ImageInfo info = node.info();
    auto actual = node.allocated_size();
    auto snapshots = node.snapshots();
    d.json = Json::object();
    if (!snapshots.empty()) {
        Json list = Json::array();
        for (auto& s : snapshots) {
            Json one = Json::object();
            if (s.icount != UINT64_MAX) one.set("icount", s.icount);
            one.set("vm-clock-nsec", s.vm_clock_nsec % 1000000000);
            one.set("name", s.name);
            one.set("date-sec", u64(s.date_sec));
            one.set("date-nsec", u64(s.date_nsec));
            one.set("vm-clock-sec", s.vm_clock_nsec / 1000000000);
            one.set("id", s.id);
            one.set("vm-state-size", s.vm_state_size);
            list.push(std::move(one));
        }
        d.json.set("snapshots", std::move(list));
    }
    if (!info.backing_format.empty()) d.json.set("backing-filename-format", info.backing_format);
    d.json.set("virtual-size", node.size());
    d.json.set("filename", node.filename());
    if (info.cluster_size) d.json.set("cluster-size", info.cluster_size);
    d.json.set("format", node.driver().name);
    if (actual) d.json.set("actual-size", *actual);
    if (!info.specific.is_null()) d.json.set("format-specific", info.specific);
    std::string full = info.backing_file.empty() ? "" : block::combine_path(node.filename(), info.backing_file);
    if (!full.empty()) {
        d.json.set("full-backing-filename", full);
        d.json.set("backing-filename", info.backing_file);
    }
    if (info.encrypted) d.json.set("encrypted", true);
    if (has_flags(node)) d.json.set("dirty-flag", info.dirty);

    d.human = fmt::format("image: {}\nfile format: {}\nvirtual size: {} ({} bytes)\ndisk size: {}\n", node.filename(),
                          node.driver().name, block::human_size(node.size()), node.size(),
                          actual ? block::human_size(*actual) : "unavailable");
    if (info.encrypted) d.human += "encrypted: yes\n";
    if (info.cluster_size) d.human += fmt::format("cluster_size: {}\n", info.cluster_size);
    if (info.dirty) d.human += "cleanly shut down: no\n";
    if (!full.empty()) {
        d.human += "backing file: " + info.backing_file +
                   (full != info.backing_file ? fmt::format(" (actual path: {})", full) : "") + "\n";
        if (!info.backing_format.empty()) d.human += fmt::format("backing file format: {}\n", info.backing_format);
    }
    if (!snapshots.empty()) d.human += "Snapshot list:\n" + block::snapshot_table(snapshots);
    if (!info.specific.is_null()) {
        d.human += "Format specific information:\n";
        dump_specific(d.human, *info.specific.find("data"), 1);
    }
    d.next = full;
    d.next_format = info.backing_format;
    return d;
}

} // namespace

Task<int> cmd_info(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts},       {"format", true, 'f'},
        {"output", true, opt_output}, {"backing-chain", false, opt_backing_chain}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:U", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true, chain = false;
    for (auto& o : args.options())
        if (o.letter == opt_backing_chain)
            chain = true;
        else
            tool.common(o, ok);
    if (!ok) co_return 1;
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    Json all = Json::array();
    std::string human, name = args.names()[0];
    Tool::Open how{.no_backing = true, .no_io = true, .format = tool.format, .image_opts = tool.image_opts};
    std::set<std::string> seen;
    while (true) {
        if (!seen.insert(name).second) {
            tool.error(fmt::format("Backing file '{}' creates an infinite loop.", name));
            co_return 1;
        }
        Tool::Image image = co_await tool.open(name, how);
        if (!image) co_return 1;
        Described d = describe(*image);
        co_await tool.close(image);
        human += (human.empty() ? "" : "\n") + d.human;
        all.push(std::move(d.json));
        if (!chain || d.next.empty()) break;
        name = d.next;
        how.format = d.next_format;
        how.image_opts = false;
    }
    if (tool.json)
        tool.say((chain ? all : all.items()->front()).dump(4) + "\n");
    else
        tool.say(human);
    co_return 0;
}

namespace {

Json check_json(const block::CheckReport& r, const Node& node) {
    Json out = Json::object();
    if (r.image_end_offset) out.set("image-end-offset", r.image_end_offset);
    if (r.total_clusters) out.set("total-clusters", r.total_clusters);
    out.set("check-errors", r.check_errors);
    if (r.corruptions) out.set("corruptions", r.corruptions);
    if (r.leaks) out.set("leaks", r.leaks);
    if (r.corruptions_fixed) out.set("corruptions-fixed", r.corruptions_fixed);
    if (r.leaks_fixed) out.set("leaks-fixed", r.leaks_fixed);
    if (r.allocated_clusters) out.set("allocated-clusters", r.allocated_clusters);
    if (r.fragmented_clusters) out.set("fragmented-clusters", r.fragmented_clusters);
    if (r.compressed_clusters) out.set("compressed-clusters", r.compressed_clusters);
    out.set("filename", node.filename());
    out.set("format", node.driver().name);
    return out;
}

std::string check_text(const block::CheckReport& r) {
    std::string out;
    if (r.corruptions_fixed || r.leaks_fixed)
        out += fmt::format("The following inconsistencies were found and repaired:\n\n    {} leaked clusters\n    {} "
                           "corruptions\n\nDouble checking the fixed image now...\n",
                           r.leaks_fixed, r.corruptions_fixed);
    if (!r.corruptions && !r.leaks && !r.check_errors) out += "No errors were found on the image.\n";
    if (r.corruptions)
        out += fmt::format("\n{} errors were found on the image.\nData may be corrupted, or further writes to the "
                           "image may corrupt it.\n",
                           r.corruptions);
    if (r.leaks)
        out += fmt::format(
            "\n{} leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n",
            r.leaks);
    if (r.check_errors) out += fmt::format("\n{} internal errors have occurred during the check.\n", r.check_errors);
    if (r.total_clusters && r.allocated_clusters)
        out += fmt::format("{}/{} = {:.2f}% allocated, {:.2f}% fragmented, {:.2f}% compressed clusters\n",
                           r.allocated_clusters, r.total_clusters,
                           double(r.allocated_clusters) * 100 / double(r.total_clusters),
                           double(r.fragmented_clusters) * 100 / double(r.allocated_clusters),
                           double(r.compressed_clusters) * 100 / double(r.allocated_clusters));
    if (r.image_end_offset) out += fmt::format("Image end offset: {}\n", r.image_end_offset);
    return out;
}

} // namespace

Task<int> cmd_check(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object}, {"image-opts", false, opt_image_opts},
                                         {"format", true, 'f'},        {"repair", true, 'r'},
                                         {"output", true, opt_output}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:r:T:qU", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true;
    block::Fix fix = block::Fix::none;
    for (auto& o : args.options()) switch (o.letter) {
        case 'r':
            if (o.value == "leaks")
                fix = block::Fix::leaks;
            else if (o.value == "all")
                fix = block::Fix::all;
            else {
                tool.error("-r option expects 'leaks' or 'all' as argument.");
                co_return 1;
            }
            break;
        case 'T': tool.source_cache = o.value; break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    bool repair = fix != block::Fix::none;
    Tool::Open how{.writable = repair,
                   .no_io = true,
                   .repair = repair,
                   .format = tool.format,
                   .cache = tool.source_cache,
                   .image_opts = tool.image_opts};
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    auto r = co_await image->check(fix);
    if (!r) {
        bool none = r.error().kind() == ErrorKind::unsupported;
        tool.error(none ? fmt::format("'{}': This image format ({}) does not support checks", args.names()[0],
                                      image->driver().name)
                        : fmt::format("Check failed: {}", r.error().message()));
        co_await tool.close(image);
        co_return none ? 63 : 1;
    }
    // Also with -q and beside JSON: standard output has what scripts read.
    for (auto& m : r->messages) std::fprintf(stderr, "%s\n", m.c_str());
    if (tool.json)
        tool.say(check_json(*r, *image).dump(4) + "\n");
    else
        tool.print(check_text(*r));
    if (!co_await tool.close(image)) co_return 1;
    co_return r->corruptions ? 2 : r->leaks ? 3 : r->check_errors ? 1 : 0;
}

namespace {

struct MapEntry {
    u64 start = 0, length = 0, offset = 0;
    unsigned depth = 0;
    bool zero = false, data = false, present = false, has_offset = false, compressed = false;
    std::string file;

    bool joins(const MapEntry& next) const {
        return zero == next.zero && data == next.data && present == next.present && compressed == next.compressed &&
               depth == next.depth && has_offset == next.has_offset && file == next.file &&
               (!has_offset || offset + length == next.offset);
    }
};

// One line of the table, or a message why it cannot be one.
Result<std::string> map_line(const MapEntry& e) {
    if (e.data && !e.has_offset) return Error::unsupported("File contains external, encrypted or compressed clusters.");
    if (!e.data || e.zero) return std::string();
    auto hex = [](u64 n) { return n ? fmt::format("{:#x}", n) : std::string("0"); };
    return fmt::format("{:<16}{:<16}{:<16}{}\n", hex(e.start), hex(e.length), hex(e.offset), e.file);
}

std::string map_json(const MapEntry& e) {
    std::string out =
        fmt::format("{{ \"start\": {}, \"length\": {}, \"depth\": {}, \"present\": {}, \"zero\": {}, \"data\": {}",
                    e.start, e.length, e.depth, e.present, e.zero, e.data);
    if (e.has_offset) out += fmt::format(", \"offset\": {}", e.offset);
    return out + "}";
}

Task<Result<MapEntry>> map_at(Node& top, u64 at, u64 length) {
    CO_TRY(auto found, co_await block::status_above(top, nullptr, at, length));
    MapEntry e{.start = at, .length = found.extent.length, .depth = found.depth};
    const block::Extent* x = &found.extent;
    e.present = found.layer != nullptr && (x->data || x->zero || x->has_offset) && x->allocated;
    e.zero = x->zero;
    e.data = x->data;
    e.compressed = x->compressed;
    e.has_offset = x->has_offset;
    e.offset = x->offset;
    if (x->has_offset && x->file) { e.file = x->file->filename(); }
    co_return e;
}

} // namespace

Task<int> cmd_map(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object},
                                         {"image-opts", false, opt_image_opts},
                                         {"format", true, 'f'},
                                         {"output", true, opt_output},
                                         {"force-share", false, 'U'},
                                         {"start-offset", true, opt_start_offset},
                                         {"max-length", true, opt_max_length}};
    Arguments args(tool.args, "f:s:l:U", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true;
    u64 start = 0;
    std::optional<u64> most;
    for (auto& o : args.options()) switch (o.letter) {
        case opt_start_offset:
        case 's': {
            auto n = size_argument(tool, "start offset", o.value);
            if (!n) co_return 1;
            start = *n;
            break;
        }
        case opt_max_length:
        case 'l':
            most = size_argument(tool, "max length", o.value);
            if (!most) co_return 1;
            break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    Tool::Open how1{.format = tool.format, .image_opts = tool.image_opts};
    Tool::Image image = co_await tool.open(args.names()[0], how1);
    if (!image) co_return 1;
    u64 end = image->size();
    if (most) end = std::min(end, start + std::min(*most, end));
    tool.say(tool.json ? "[" : fmt::format("{:<16}{:<16}{:<16}{}\n", "Offset", "Length", "Mapped to", "File"));
    std::optional<MapEntry> last;
    bool first = true;
    std::optional<Error> failed;
    auto emit = [&](const MapEntry& e) {
        if (tool.json) {
            tool.say((first ? "" : ",\n") + map_json(e));
            first = false;
            return;
        }
        auto line = map_line(e);
        if (line)
            tool.say(*line);
        else
            failed = line.error();
    };
    for (u64 at = start; at < end && !failed;) {
        auto e = co_await map_at(*image, at, end - at);
        if (!e) {
            failed = e.error();
            break;
        }
        at += e->length;
        if (last && last->joins(*e)) {
            last->length += e->length;
            continue;
        }
        if (last) emit(*last);
        last = std::move(*e);
    }
    if (last && !failed) emit(*last);
    if (tool.json) tool.say("]\n");
    if (failed) tool.error(failed->message());
    co_await tool.close(image);
    co_return failed ? 1 : 0;
}

Task<int> cmd_snapshot(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "la:c:d:qUf:", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true;
    char action = 0;
    std::string name;
    for (auto& o : args.options()) switch (o.letter) {
        case 'l':
        case 'a':
        case 'c':
        case 'd':
            if (action) {
                tool.error("Cannot mix '-l', '-a', '-c', '-d'");
                co_return 1;
            }
            action = o.letter;
            name = o.value;
            break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    bool writes = action && action != 'l';
    Tool::Open how{.writable = writes, .no_backing = true, .format = tool.format, .image_opts = tool.image_opts};
    how.no_io = !writes;
    how.discard = block::DiscardMode::unmap;
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    Result<void> r;
    std::string what;
    if (!writes) {
        auto list = image->snapshots();
        if (!list.empty()) tool.say("Snapshot list:\n" + block::snapshot_table(list));
    } else if (action == 'c') {
        timeval now{};
        gettimeofday(&now, nullptr);
        SnapshotInfo info;
        info.name = name;
        info.date_sec = u32(now.tv_sec);
        info.date_nsec = u32(now.tv_usec) * 1000;
        info.icount = 0;
        what = "create";
        r = co_await image->snapshot_create(std::move(info));
    } else if (action == 'a') {
        what = "apply";
        r = co_await image->snapshot_apply(name);
    } else {
        what = "delete";
        r = co_await image->snapshot_delete(name);
    }
    if (!r) tool.error(fmt::format("Could not {} snapshot '{}': {}", what, name, r.error().message()));
    bool closed = co_await tool.close(image);
    co_return r&& closed ? 0 : 1;
}

namespace {
std::string_view action_name(char letter) {
    switch (letter) {
    case opt_add: return "add";
    case opt_remove: return "remove";
    case opt_clear: return "clear";
    case opt_enable: return "enable";
    case opt_disable: return "disable";
    default: return "merge";
    }
}
} // namespace

Task<int> cmd_bitmap(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object},    {"image-opts", false, opt_image_opts},
                                         {"add", false, opt_add},         {"remove", false, opt_remove},
                                         {"clear", false, opt_clear},     {"enable", false, opt_enable},
                                         {"disable", false, opt_disable}, {"merge", true, opt_merge},
                                         {"granularity", true, 'g'},      {"source-file", true, 'b'},
                                         {"source-format", true, 'F'}};
    Arguments args(tool.args, "b:f:F:g:q", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    std::vector<Arguments::Option> actions;
    std::string source_file, source_format;
    std::optional<u64> granularity;
    bool ok = true, add = false, merge = false;
    for (auto& o : args.options()) switch (o.letter) {
        case opt_add: add = true; [[fallthrough]];
        case opt_remove:
        case opt_clear:
        case opt_enable:
        case opt_disable: actions.push_back(o); break;
        case opt_merge:
            merge = true;
            actions.push_back(o);
            break;
        case 'b': source_file = o.value; break;
        case 'F': source_format = o.value; break;
        case 'g':
            granularity = size_argument(tool, "granularity", o.value);
            if (!granularity) co_return 1;
            break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 2) {
        tool.error("Expecting filename and bitmap name");
        co_return 1;
    }
    if (actions.empty() || (granularity && !add) || (!source_file.empty() && !merge) ||
        (!source_format.empty() && source_file.empty())) {
        tool.error(actions.empty() ? "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge"
                   : granularity && !add ? "granularity only supported with --add"
                                         : "-b and -F are for --merge");
        co_return 1;
    }
    Tool::Open how2{.writable = true, .no_backing = true, .format = tool.format, .image_opts = tool.image_opts};
    Tool::Image image = co_await tool.open(args.names()[0], how2);
    if (!image) co_return 1;
    Tool::Image source;
    Result<void> r;
    if (&image->driver() != &block::qcow2_driver)
        r = Error::unsupported("format '{}' of '{}' does not support persistent bitmaps", image->driver().name,
                               image->filename());
    if (!source_file.empty() && r) {
        Tool::Open how3{.no_backing = true, .format = source_format};
        source = co_await tool.open(source_file, how3);
        if (!source) {
            co_await tool.close(image);
            co_return 1;
        }
    }
    const std::string& name = args.names()[1];
    std::string_view what;
    for (auto& a : actions) {
        if (!r) break;
        what = action_name(a.letter);
        Node& from = source ? *source : *image;
        switch (a.letter) {
        case opt_add: r = co_await image->bitmap_add(name, granularity.value_or(0), true, true); break;
        case opt_remove: r = co_await image->bitmap_remove(name); break;
        case opt_clear: r = co_await image->bitmap_clear(name); break;
        case opt_enable: r = co_await image->bitmap_enable(name, true); break;
        case opt_disable: r = co_await image->bitmap_enable(name, false); break;
        default: r = co_await image->bitmap_merge(name, from, a.value);
        }
    }
    if (!r) tool.error(fmt::format("Operation {} on bitmap '{}' failed: {}", what, name, r.error().message()));
    bool closed = co_await tool.close(image);
    if (source) co_await tool.close(source);
    co_return r&& closed ? 0 : 1;
}

} // namespace mimic::img
