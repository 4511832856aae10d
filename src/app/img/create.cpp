// create, resize, amend, measure.
#include "app/img/commands.hpp"
#include <algorithm>
#include <cstdio>

namespace mimic::img {

Result<Json> creation_options(const std::vector<std::string>& lists, bool& help) {
    std::string all;
    for (auto& list : lists) {
        if (list.empty() || list.starts_with(',')) return Error::invalid_argument("Invalid option list: {}", list);
        all += (all.empty() ? "" : ",") + list;
    }
    if (all == "help" || all == "?" || all.starts_with("help,") || all.starts_with("?,") || all.ends_with(",help") ||
        all.ends_with(",?") || all.find(",help,") != std::string::npos) {
        help = true;
        return Json::object();
    }
    return block::parse_flat(all);
}

std::string create_help(const block::Driver& driver, bool amend) {
    block::OptionHelp help;
    (amend ? driver.describe_amend : driver.describe_create)(help);
    return (amend ? fmt::format("Amend options for '{}':\n", driver.name) : std::string("Supported options:\n")) +
           help.text();
}

namespace {

// The size of a backing image; the image is opened for that (which shows that it is valid, too).
Task<std::optional<u64>> backing_size(Tool& tool, const CreateRequest& r, std::string& format) {
    std::string path = block::combine_path(r.filename, r.backing_file);
    block::OpenRequest open;
    open.filename = path;
    open.format = r.backing_format;
    open.force_share = true; // somebody may write to it now: its size is all that is asked for
    auto node = co_await block::open_node(tool.context, std::move(open));
    if (!node) {
        tool.error(fmt::format("{}: {}\nCould not open backing image.", r.filename, node.error().message()));
        co_return std::nullopt;
    }
    u64 size = (*node)->size();
    format = (*node)->driver().name;
    auto closed = co_await (*node)->close();
    std::move(closed).ignore();
    co_return size;
}

std::string quoted(const Json& options, std::string_view name) {
    const Json* v = options.find(name);
    return v && v->string() ? *v->string() : "";
}

} // namespace

Task<bool> create_image(Tool& tool, CreateRequest r) {
    const block::Driver* driver = block::find_driver(r.format);
    if (!driver || !driver->create || driver->is_protocol) {
        tool.error(driver ? fmt::format("{}: Format driver '{}' does not support image creation", r.filename, r.format)
                          : fmt::format("{}: Unknown file format '{}', expected {}", r.filename, r.format,
                                        block::driver_names(true)));
        co_return false;
    }
    // -o backing_file=... is the same as -b.
    if (r.backing_file.empty()) r.backing_file = quoted(r.options, "backing_file");
    if (r.backing_format.empty()) r.backing_format = quoted(r.options, "backing_fmt");
    if (!r.backing_file.empty() && !driver->supports_backing) {
        tool.error(fmt::format("{}: Backing file not supported for file format '{}'", r.filename, r.format));
        co_return false;
    }
    if (!r.backing_file.empty() && r.backing_file == r.filename) {
        tool.error(fmt::format("{}: Trying to create an image with the same filename as the backing file", r.filename));
        co_return false;
    }
    if (!r.backing_format.empty() && !block::find_driver(r.backing_format)) {
        tool.error(fmt::format("{}: Unknown backing file format '{}', expected {}", r.filename, r.backing_format,
                               block::driver_names(false)));
        co_return false;
    }
    if (!r.size)
        if (const Json* v = r.options.find("size")) {
            auto n = v->string() ? block::parse_size(*v->string()) : Result<u64>(Error::invalid_argument("no size"));
            if (!n) {
                tool.error(fmt::format("{}: {}", r.filename, n.error().message()));
                co_return false;
            }
            r.size = *n;
        }
    if (!r.backing_file.empty() && !r.unsafe_backing) {
        std::string format;
        auto size = co_await backing_size(tool, r, format);
        if (!size) co_return false;
        if (r.backing_format.empty()) {
            tool.error(fmt::format("{}: Backing file specified without backing format\nDetected format of {}.",
                                   r.filename, format));
            co_return false;
        }
        if (!r.size) r.size = size;
    } else if (!r.backing_file.empty() && r.backing_format.empty()) {
        tool.error(fmt::format("{}: Backing file specified without backing format", r.filename));
        co_return false;
    }
    if (!r.size) {
        tool.error(fmt::format("{}: Image creation needs a size parameter", r.filename));
        co_return false;
    }
    r.options.set("size", *r.size);
    if (!r.backing_file.empty()) r.options.set("backing_file", r.backing_file);
    if (!r.backing_format.empty()) r.options.set("backing_fmt", r.backing_format);
    auto printed = driver->print_create(r.options);
    if (!printed) {
        tool.error(fmt::format("{}: {}", r.filename, printed.error().message()));
        co_return false;
    }
    if (!r.quiet) tool.say(fmt::format("Formatting '{}', fmt={}{}\n", r.filename, r.format, *printed));
    std::fflush(stdout);
    block::CreateArguments a{r.filename, std::move(r.options)};
    auto done = co_await driver->create(tool.context, a);
    if (!done) tool.error(fmt::format("{}: {}", r.filename, done.error().message()));
    co_return bool(done);
}

Task<int> cmd_create(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object}};
    Arguments args(tool.args, "F:b:f:o:qu", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    CreateRequest r;
    r.format = "raw";
    std::vector<std::string> lists;
    bool ok = true, help = false;
    for (auto& o : args.options()) switch (o.letter) {
        case 'F': r.backing_format = o.value; break;
        case 'b': r.backing_file = o.value; break;
        case 'f': r.format = o.value; break;
        case 'o': lists.push_back(o.value); break;
        case 'u': r.unsafe_backing = true; break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    auto options = creation_options(lists, help);
    if (!options) {
        tool.error(options.error().message());
        co_return 1;
    }
    if (help) {
        const block::Driver* d = block::find_driver(r.format);
        if (!d || !d->describe_create) {
            tool.error(fmt::format("Unknown file format '{}', expected {}", r.format, block::driver_names(true)));
            co_return 1;
        }
        tool.say(create_help(*d, false));
        co_return 0;
    }
    if (args.names().empty() || args.names().size() > 2) {
        tool.error(args.names().empty() ? "Expecting image file name"
                                        : fmt::format("Unexpected argument: {}", args.names()[2]));
        co_return 1;
    }
    r.filename = args.names()[0];
    if (args.names().size() == 2) {
        r.size = size_argument(tool, "image size", args.names()[1]);
        if (!r.size) co_return 1;
    }
    r.options = std::move(*options);
    r.quiet = tool.quiet;
    bool made = co_await create_image(tool, std::move(r));
    co_return made ? 0 : 1;
}

Task<int> cmd_resize(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object},
                                         {"image-opts", false, opt_image_opts},
                                         {"preallocation", true, opt_preallocation},
                                         {"shrink", false, opt_shrink}};
    // "-1G" is a size and no option.
    std::vector<std::string_view> words(tool.args.begin(), tool.args.end());
    std::string size_text;
    if (!words.empty() && !(words.size() == 1)) {
        size_text = words.back();
        words.pop_back();
    }
    Arguments args(words, "f:q", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true, shrink = false;
    block::Prealloc prealloc = block::Prealloc::off;
    for (auto& o : args.options()) switch (o.letter) {
        case opt_shrink: shrink = true; break;
        case opt_preallocation: {
            auto at = std::ranges::find(block::prealloc_names, std::string_view(o.value));
            if (at == std::end(block::prealloc_names)) {
                tool.error(
                    fmt::format("Invalid preallocation mode '{}', expected off, metadata, falloc or full", o.value));
                co_return 1;
            }
            prealloc = block::Prealloc(at - block::prealloc_names);
            break;
        }
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1 || size_text.empty()) {
        tool.error("Expecting image file name and size");
        co_return 1;
    }
    char sign = size_text[0] == '+' || size_text[0] == '-' ? size_text[0] : 0;
    auto amount = size_argument(tool, "image size", sign ? size_text.substr(1) : size_text);
    if (!amount) co_return 1;
    Tool::Open how{.writable = true, .format = tool.format, .image_opts = tool.image_opts};
    how.discard = block::DiscardMode::unmap;
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    u64 old = image->size(), target = sign == '+'   ? old + *amount
                                      : sign == '-' ? old - std::min(old, *amount)
                                                    : *amount;
    bool good = false;
    if (sign == '-' && *amount >= old) {
        tool.error("New image size must be positive");
    } else if (target < old && !shrink) {
        tool.error("Use the --shrink option to perform a shrink operation.");
        tool.context.warn("Shrinking an image will delete all data beyond the shrunken image's end. Before performing "
                          "such an operation, make sure there is no important data there.");
    } else if (target < old && prealloc != block::Prealloc::off) {
        tool.error("Preallocation can only be used for growing images");
    } else {
        auto r = co_await image->truncate(target, prealloc);
        good = bool(r);
        if (!r) tool.error(r.error().message());
    }
    if (!co_await tool.close(image)) good = false;
    if (good) tool.print("Image resized.\n");
    co_return good ? 0 : 1;
}

Task<int> cmd_amend(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts}, {"force", false, opt_force}};
    Arguments args(tool.args, "o:qf:t:p", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    std::vector<std::string> lists;
    bool ok = true, help = false;
    for (auto& o : args.options()) switch (o.letter) {
        case 'o': lists.push_back(o.value); break;
        case 't': tool.cache = o.value; break;
        case opt_force: break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (lists.empty()) {
        tool.error("Must specify options (-o)");
        co_return 1;
    }
    auto options = creation_options(lists, help);
    if (!options) {
        tool.error(options.error().message());
        co_return 1;
    }
    if (help && !tool.format.empty()) {
        const block::Driver* d = block::find_driver(tool.format);
        if (!d || !d->describe_amend) {
            tool.error(fmt::format("Format driver '{}' does not support option amendment", tool.format));
            co_return 1;
        }
        tool.say(create_help(*d, true));
        co_return 0;
    }
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    Tool::Open how{.writable = true, .format = tool.format, .cache = tool.cache, .image_opts = tool.image_opts};
    how.discard = block::DiscardMode::unmap;
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    Progress progress(tool.progress && !tool.quiet);
    progress.set(0, 1);
    auto r = co_await image->amend(std::move(*options));
    if (!r) tool.error(r.error().message());
    bool closed = co_await tool.close(image);
    if (r) progress.set(1, 1);
    co_return r&& closed ? 0 : 1;
}

Task<int> cmd_measure(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object},
                                         {"image-opts", false, opt_image_opts},
                                         {"output", true, opt_output},
                                         {"size", true, opt_size},
                                         {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:l:o:O:U", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    std::vector<std::string> lists;
    std::string output = "raw", snapshot;
    std::optional<u64> size;
    bool ok = true, help = false;
    for (auto& o : args.options()) switch (o.letter) {
        case 'o': lists.push_back(o.value); break;
        case 'O': output = o.value; break;
        case 'l': snapshot = o.value; break;
        case opt_size:
            size = size_argument(tool, "image size", o.value);
            if (!size) co_return 1;
            break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() > 1 || (args.names().empty() == !size)) {
        tool.error(size ? "--size N cannot be used together with a filename."
                        : "Either --size N or one filename must be specified.");
        co_return 1;
    }
    const block::Driver* driver = block::find_driver(output);
    if (!driver || !driver->measure) {
        tool.error(driver ? fmt::format("Block driver '{}' does not support size measurement", output)
                          : fmt::format("Unknown file format '{}', expected {}", output, block::driver_names(true)));
        co_return 1;
    }
    auto options = creation_options(lists, help);
    if (!options) {
        tool.error(options.error().message());
        co_return 1;
    }
    Tool::Image image;
    if (!size) {
        Tool::Open how1{.format = tool.format, .image_opts = tool.image_opts};
        image = co_await tool.open(args.names()[0], how1);
        if (!image) co_return 1;
        if (!snapshot.empty() && !co_await load_snapshot(tool, *image, snapshot)) co_return 1;
    }
    auto m = co_await driver->measure(tool.context, std::move(*options), image.node.get(), size.value_or(0));
    if (image) co_await tool.close(image);
    if (!m) {
        tool.error(m.error().message());
        co_return 1;
    }
    if (tool.json) {
        Json out = Json::object();
        if (m->has_bitmaps) out.set("bitmaps", m->bitmaps);
        out.set("required", m->required);
        out.set("fully-allocated", m->fully_allocated);
        tool.say(out.dump(4) + "\n");
    } else {
        tool.say(fmt::format("required size: {}\nfully allocated size: {}\n", m->required, m->fully_allocated));
        if (m->has_bitmaps) tool.say(fmt::format("bitmaps size: {}\n", m->bitmaps));
    }
    co_return 0;
}

} // namespace mimic::img
