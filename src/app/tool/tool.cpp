#include "app/tool/tool.hpp"
#include "base/module.hpp"
#include "block/filters/copy_on_read.hpp"
#include "block/objects.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace mimic::tool {

Arguments::Arguments(std::span<const std::string_view> args, std::string_view letters, std::span<const Long> longs) {
    for (size_t i = 0; i < args.size(); i++) {
        std::string_view a = args[i];
        if (a == "--") {
            for (i++; i < args.size(); i++) names_.emplace_back(args[i]);
            return;
        }
        if (a.starts_with("--")) {
            a.remove_prefix(2);
            size_t equals = a.find('=');
            std::string_view name = a.substr(0, equals);
            const Long* found = nullptr;
            unsigned matches = 0;
            for (auto& l : longs) {
                if (l.name == name) {
                    found = &l;
                    matches = 1;
                    break;
                }
                if (l.name.starts_with(name)) {
                    found = &l;
                    matches++;
                }
            }
            if (matches != 1) {
                error_ = fmt::format("{} option '--{}'", matches ? "ambiguous" : "unrecognized", name);
                return;
            }
            std::string value;
            if (equals != std::string_view::npos) {
                if (!found->has_value) {
                    error_ = fmt::format("option '--{}' doesn't allow an argument", found->name);
                    return;
                }
                value = a.substr(equals + 1);
            } else if (found->has_value) {
                if (++i >= args.size()) {
                    error_ = fmt::format("option '--{}' requires an argument", found->name);
                    return;
                }
                value = args[i];
            }
            options_.push_back({found->letter, value});
            continue;
        }
        if (a.size() < 2 || a[0] != '-') {
            names_.emplace_back(a);
            continue;
        }
        for (size_t k = 1; k < a.size(); k++) {
            size_t at = letters.find(a[k]);
            if (a[k] == ':' || at == std::string_view::npos) {
                error_ = fmt::format("invalid option -- '{}'", a[k]);
                return;
            }
            if (at + 1 >= letters.size() || letters[at + 1] != ':') {
                options_.push_back({a[k], ""});
                continue;
            }
            std::string value(a.substr(k + 1));
            if (value.empty()) {
                if (++i >= args.size()) {
                    error_ = fmt::format("option requires an argument -- '{}'", a[k]);
                    return;
                }
                value = args[i];
            }
            options_.push_back({a[k], value});
            break;
        }
    }
}

namespace {
volatile std::sig_atomic_t asked_for_progress = 0;
void ask_for_progress(int) { asked_for_progress = 1; }
} // namespace

void Progress::answer_signals() {
    struct sigaction action = {};
    action.sa_handler = ask_for_progress;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
}

Progress::~Progress() {
    if (shown_) {
        std::fputs("\n", stdout);
        std::fflush(stdout);
    }
}

void Progress::set(u64 done, u64 total) {
    if (!on_ && !asked_for_progress) return;
    double part = total ? 100.0 * double(done) / double(total) : 100;
    std::string line = fmt::format("    ({:.2f}/100%)", part);
    if (!on_) {
        asked_for_progress = 0;
        std::fprintf(stderr, "%s\n", line.c_str());
        return;
    }
    auto now = std::chrono::steady_clock::now();
    if (done < total && now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    shown_ = true;
    double seconds = std::chrono::duration<double>(now - start_).count();
    if (isatty(STDOUT_FILENO) && seconds > 0.5 && done) {
        double rate = double(done) / seconds;
        line += fmt::format("  {}/s, {:.0f} s left   ", block::human_size(u64(rate)), double(total - done) / rate);
    }
    std::fputs((line + "\r").c_str(), stdout);
    std::fflush(stdout);
}

void hand_over_early(std::span<const std::string_view> args, bool certain) {
    for (std::string_view a : args) certain = certain || a.find("tls-creds-") != a.npos;
    if (certain) modules::hand_over();
}

Tool::Tool(io::Loop& l, std::string_view n, std::span<const std::string_view> a)
    : loop(l)
    , context{.loop = l}
    , program(program_name(n))
    , args(a) {
    context.warn = [this](const std::string& text) { error("warning: " + text); };
}

void Tool::error(const std::string& message) const {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
}
void Tool::print(const std::string& text) const {
    if (!quiet) say(text);
}
void Tool::say(const std::string& text) const { std::fwrite(text.data(), 1, text.size(), stdout); }

bool Tool::add_object(const std::string& text) {
    auto parsed = block::parse_flat(text, "qom-type");
    if (!parsed) {
        error(parsed.error().message());
        return false;
    }
    if (auto r = block::add_object(context, std::move(*parsed)); !r) {
        error(r.error().message());
        return false;
    }
    return true;
}

bool Tool::common(const Arguments::Option& o, bool& ok) {
    switch (o.letter) {
    case opt_object: ok = add_object(o.value); return true;
    case opt_image_opts: image_opts = true; return true;
    case 'U': force_share = true; return true;
    case 'q': quiet = true; return true;
    case 'p': progress = true; return true;
    case 'f': format = o.value; return true;
    case opt_output:
        if (o.value != "json" && o.value != "human") {
            error("--output must be used with human or json as argument.");
            ok = false;
        }
        json = o.value == "json";
        return true;
    default: return false;
    }
}

bool Tool::parsed(const Arguments& arguments, int& status) const {
    if (arguments.error().empty()) return true;
    error(arguments.error());
    std::fprintf(stderr, "Try '%s --help' for more information\n", program.c_str());
    status = 1;
    return false;
}

Task<std::string> Tool::make_overlay(const std::string& image, const Open& with) {
    Open how{.format = with.format, .image_opts = with.image_opts};
    Image below = co_await open(image, how);
    if (!below) co_return std::string();
    u64 size = below->size();
    std::string below_format(below->driver().name), name = below->filename();
    bool closed = co_await close(below);
    const char* folder = std::getenv("TMPDIR");
    std::string path = fmt::format("{}/mimic-overlay-XXXXXX", folder ? folder : "/var/tmp");
    int fd = closed ? mkstemp(path.data()) : -1;
    if (fd < 0) {
        if (closed) error(fmt::format("cannot make a temporary file '{}': {}", path, std::strerror(errno)));
        co_return std::string();
    }
    ::close(fd);
    if (!name.starts_with("json:") && !block::has_protocol(name)) {
        char* whole = realpath(name.c_str(), nullptr);
        if (whole) name = whole;
        std::free(whole);
    }
    block::CreateArguments create{path, Json::object()};
    create.options.set("size", size);
    create.options.set("backing_file", name);
    create.options.set("backing_fmt", below_format);
    auto made = co_await block::qcow2_driver.create(context, create);
    if (made) co_return path;
    error(made.error().message());
    unlink(path.c_str());
    co_return std::string();
}

Task<Tool::Image> Tool::open_temporary(const std::string& name, const Open& how) {
    std::string path = co_await make_overlay(name, how);
    Image image;
    if (path.empty()) co_return image;
    Open overlay = how;
    overlay.temporary = false;
    overlay.image_opts = false;
    overlay.format = "qcow2";
    overlay.cache = "unsafe";
    image = co_await open(path, overlay);
    // An open file needs no name: so nothing is left behind, however we end.
    unlink(path.c_str());
    co_return image;
}

Task<Tool::Image> Tool::open(const std::string& name, const Open& how) {
    if (how.temporary) co_return co_await open_temporary(name, how);
    block::OpenRequest r;
    Image image;
    r.format = how.format;
    if (how.image_opts) {
        auto options = block::parse_flat(name, "file"); // a word alone is a node's name
        if (!options) {
            error(options.error().message());
            co_return image;
        }
        r.options = std::move(*options);
        if (!how.format.empty()) {
            error("--image-opts and --format are mutually exclusive");
            co_return image;
        }
    } else {
        if (name.empty()) {
            error("Could not open '': The 'file' block driver requires a file name");
            co_return image;
        }
        r.filename = name;
        r.options = Json::object();
    }
    for (auto& [key, value] : *how.extra.members()) {
        Json* group = r.options.find(key);
        if (!group || !group->members() || !value.members()) {
            r.options.set(key, value);
            continue;
        }
        for (auto& [inner, v] : *value.members()) group->set(inner, v);
    }
    r.writable = how.writable;
    r.no_backing = how.no_backing;
    r.writable_chain = how.writable_chain;
    r.no_io = how.no_io;
    r.repair = how.repair;
    r.force_share = force_share && how.may_share;
    r.cache = how.cache;
    r.discard = how.discard;
    if (r.force_share && how.writable) {
        error(fmt::format("Could not open '{}': force-share=on can only be used with read-only images", name));
        co_return image;
    }
    if (auto mode = block::parse_cache(how.cache)) {
        image.write_through = mode->write_through;
    } else {
        error(mode.error().message());
        co_return image;
    }
    auto node = co_await block::open_node(context, std::move(r));
    if (!node) {
        error(node.error().message());
        co_return image;
    }
    if (how.copy_on_read) {
        block::NodeOptions options;
        options.discard = block::DiscardMode::unmap; // the image decides
        auto filter = block::make_copy_on_read(context, std::move(options), *node);
        if (!filter) {
            error(filter.error().message());
            auto closed = co_await (*node)->close();
            std::move(closed).ignore();
            co_return image;
        }
        *node = std::move(*filter);
    }
    u8 perms = block::perm::consistent_read | (how.writable ? block::perm::write | block::perm::resize : 0);
    auto root = block::Edge::attach(*node, nullptr, "image tool", perms, block::perm::all);
    if (!root) {
        error(root.error().message());
        auto closed = co_await (*node)->close();
        std::move(closed).ignore();
        co_return image;
    }
    image.node = std::move(*node);
    image.root = std::move(*root);
    co_return image;
}

Task<bool> Tool::close(Image& image) {
    if (!image) co_return true;
    image.root.reset();
    auto closed = co_await image.node->close();
    std::string name = image.node->filename();
    image.node.reset();
    if (closed) co_return true;
    error(fmt::format("Could not write back '{}': {}", name, closed.error().message()));
    co_return false;
}

std::optional<u64> size_argument(const Tool& tool, std::string_view what, const std::string& text) {
    auto n = block::parse_size(text);
    if (n && *n <= u64(INT64_MAX)) return *n;
    tool.error(fmt::format("Invalid {} specified: {}", what, n ? "it must be less than 8 EiB" : n.error().message()));
    return std::nullopt;
}

Task<bool> load_snapshot(const Tool& tool, Node& node, const std::string& param) {
    std::string id, name;
    if (param.starts_with("snapshot.")) {
        auto options = block::parse_flat(param);
        if (!options) {
            tool.error(options.error().message());
            co_return false;
        }
        if (Json* group = options->find("snapshot")) {
            if (const Json* v = group->find("id"); v && v->string()) id = *v->string();
            if (const Json* v = group->find("name"); v && v->string()) name = *v->string();
        }
    } else {
        for (auto& s : node.snapshots())
            if (s.id == param) id = param;
        if (id.empty()) name = param;
        for (auto& s : node.snapshots())
            if (s.name == param) {
                name = param;
                id.clear();
            }
    }
    auto r = co_await node.snapshot_load(id, name);
    if (!r) tool.error(fmt::format("Failed to load snapshot: {}", r.error().message()));
    co_return bool(r);
}

} // namespace mimic::tool
