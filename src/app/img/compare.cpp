// compare, dd, bench.
#include "app/img/commands.hpp"
#include "base/io/scope.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::img {

namespace {

constexpr u64 step_size = 2u << 20;

struct Difference {
    int status = 0;
    std::string text;
};

u64 first_difference(const u8* a, const u8* b, u64 n) {
    u64 at = 0;
    for (; at + 4096 <= n && std::memcmp(a + at, b + at, 4096) == 0; at += 4096) {}
    while (at < n && a[at] == b[at]) at++;
    return at;
}

struct Comparison {
    Tool& tool;
    Node &a, &b;
    bool strict;
    struct Slot {
        Buffer one, two;
        bool busy = false;
    };
    Slot slots[4] = {};
    Difference found = {};
    u64 found_at = 0;
    static constexpr u64 chunk_size = 512u << 10;

    Task<Difference> run() {
        Progress progress(tool.progress && !tool.quiet);
        u64 common = std::min(a.size(), b.size()), total = std::max(a.size(), b.size());
        if (strict && a.size() != b.size()) co_return Difference{1, "Strict mode: Image size mismatch!"};
        io::Scope scope(tool.loop);
        for (u64 at = 0; at < common && !found.status;) {
            auto ea = co_await block::status_above(a, nullptr, at, common - at);
            auto eb = co_await block::status_above(b, nullptr, at, common - at);
            if (!ea || !eb) {
                note(at, {3, fmt::format("Sector allocation test failed: {}", (ea ? eb : ea).error().message())});
                break;
            }
            u64 length = std::min(ea->extent.length, eb->extent.length);
            if (strict && (ea->layer == nullptr) != (eb->layer == nullptr)) {
                note(at, {1, fmt::format("Strict mode: Offset {} block status mismatch!", at)});
                break;
            }
            if (!(ea->extent.zero && eb->extent.zero)) {
                length = std::min(length, chunk_size);
                while (scope.running() >= std::size(slots)) co_await scope.changed().wait();
                if (scope.cancelled() || found.status) break;
                auto slot = std::ranges::find(slots, false, &Slot::busy);
                slot->busy = true;
                scope.spawn(data(*slot, at, length, ea->extent.zero, eb->extent.zero));
            }
            at += length;
            progress.set(at, total);
        }
        auto joined = co_await scope.join();
        if (!joined) co_return Difference{4, joined.error().message()};
        if (found.status) co_return found;
        if (common < total) tool.print("Warning: Image size mismatch!\n");
        auto tail = Buffer::create(chunk_size);
        if (!tail) co_return Difference{4, tail.error().message()};
        Node& longer = a.size() > b.size() ? a : b;
        for (u64 at = common; at < total;) {
            auto e = co_await block::status_above(longer, nullptr, at, total - at);
            if (!e) co_return Difference{3, fmt::format("Sector allocation test failed: {}", e.error().message())};
            u64 length = e->extent.length;
            if (!e->extent.zero) {
                length = std::min(length, chunk_size);
                IoVec memory(tail->data(), length);
                auto r = co_await longer.read(at, memory);
                if (!r)
                    co_return Difference{4, fmt::format("Error while reading offset {} of {}: {}", at,
                                                        longer.filename(), r.error().message())};
                if (!memory.is_zero()) {
                    u64 i = 0;
                    while (!tail->data()[i]) i++;
                    co_return Difference{1, fmt::format("Content mismatch at offset {}!", at + i)};
                }
            }
            at += length;
            progress.set(at, total);
        }
        progress.set(1, 1);
        co_return Difference{};
    }

    // One part; several are under way, and the first difference in the images' order counts.
    Task<Result<void>> data(Slot& slot, u64 at, u64 length, bool zero_a, bool zero_b) {
        if (slot.one.size() == 0) {
            CO_TRY(slot.one, Buffer::create(chunk_size));
            CO_TRY(slot.two, Buffer::create(chunk_size));
        }
        IoVec ma(slot.one.data(), length), mb(slot.two.data(), length);
        if (zero_a) ma.fill(0, length, 0);
        if (zero_b) mb.fill(0, length, 0);
        io::Scope scope(tool.loop);
        std::optional<Error> failed_a, failed_b;
        auto read = [](Node& n, u64 offset, const IoVec& memory, std::optional<Error>& failed) -> Task<Result<void>> {
            auto r = co_await n.read(offset, memory);
            if (!r) failed = r.error();
            co_return Result<void>();
        };
        if (!zero_a) scope.spawn(read(a, at, ma, failed_a));
        if (!zero_b) scope.spawn(read(b, at, mb, failed_b));
        co_await scope.drain();
        slot.busy = false;
        if (failed_a || failed_b) {
            std::string name = failed_a ? a.filename() : b.filename();
            note(at, {4, fmt::format("Error while reading offset {} of {}: {}", at, name,
                                     (failed_a ? failed_a : failed_b)->message())});
            co_return Result<void>();
        }
        u64 same = first_difference(slot.one.data(), slot.two.data(), length);
        if (same < length) note(at + same, {1, fmt::format("Content mismatch at offset {}!", at + same)});
        co_return Result<void>();
    }
    void note(u64 at, Difference d) {
        if (found.status && found_at <= at) return;
        found = std::move(d);
        found_at = at;
    }
};

} // namespace

Task<int> cmd_compare(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:F:T:pqsU", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true, strict = false;
    std::string second_format;
    for (auto& o : args.options()) switch (o.letter) {
        case 'F': second_format = o.value; break;
        case 'T': tool.source_cache = o.value; break;
        case 's': strict = true; break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 2;
    if (args.names().size() != 2) {
        tool.error("Expecting two image file names");
        co_return 1;
    }
    Tool::Open how1{.format = tool.format, .cache = tool.source_cache, .image_opts = tool.image_opts};
    Tool::Image first = co_await tool.open(args.names()[0], how1);
    if (!first) co_return 2;
    Tool::Open how2{.format = second_format, .cache = tool.source_cache, .image_opts = tool.image_opts};
    Tool::Image second = co_await tool.open(args.names()[1], how2);
    if (!second) {
        co_await tool.close(first);
        co_return 2;
    }
    Comparison c{.tool = tool, .a = *first, .b = *second, .strict = strict};
    Difference d = co_await c.run();
    if (d.status > 1)
        tool.error(d.text);
    else if (d.status == 1)
        tool.print(d.text + "\n");
    else
        tool.print("Images are identical.\n");
    co_await tool.close(first);
    co_await tool.close(second);
    co_return d.status;
}

Task<int> cmd_dd(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:O:U", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true;
    std::string output_format = "raw", input, output;
    u64 bs = 512, skip = 0;
    std::optional<u64> count;
    for (auto& o : args.options())
        if (o.letter == 'O')
            output_format = o.value;
        else
            tool.common(o, ok);
    if (!ok) co_return 1;
    for (auto& word : args.names()) {
        size_t at = word.find('=');
        std::string name = word.substr(0, at), value = at == std::string::npos ? "" : word.substr(at + 1);
        if (at == std::string::npos ||
            (name != "if" && name != "of" && name != "bs" && name != "count" && name != "skip")) {
            tool.error(fmt::format("unrecognized operand {}", word));
            co_return 1;
        }
        if (name == "if")
            input = value;
        else if (name == "of")
            output = value;
        else {
            auto n = size_argument(tool, name, value);
            if (!n) co_return 1;
            if (name == "bs")
                bs = *n;
            else if (name == "count")
                count = *n;
            else
                skip = *n;
        }
    }
    if (input.empty() || output.empty() || bs == 0 || bs > (u64(1) << 31)) {
        tool.error(bs == 0 || bs > (u64(1) << 31) ? "Invalid bs specified. Must be between 1 and 2147483648."
                                                  : "Must specify both input and output file names");
        co_return 1;
    }
    Tool::Open how3{.format = tool.format, .image_opts = tool.image_opts};
    Tool::Image in = co_await tool.open(input, how3);
    if (!in) co_return 1;
    u64 size = in->size();
    if (count && *count <= UINT64_MAX / bs) size = std::min(size, *count * bs + std::min(skip, size / bs + 1) * bs);
    u64 start = skip <= size / bs ? skip * bs : size, length = size - start;
    CreateRequest r{.filename = output, .format = output_format, .options = Json::object(), .quiet = true};
    r.size = length;
    if (skip && start >= in->size()) tool.error(fmt::format("{}: cannot skip to specified offset", input));
    bool good = co_await create_image(tool, std::move(r));
    Tool::Image out;
    Tool::Open how_out{.writable = true, .format = output_format, .cache = "unsafe", .may_share = false};
    if (good) out = co_await tool.open(output, how_out);
    good = good && out;
    auto buffer = Buffer::create(std::max<u64>(bs, round_down(step_size, bs)));
    if (!buffer) {
        tool.error(buffer.error().message());
        good = false;
    }
    for (u64 done = 0; good && done < length;) {
        IoVec memory(buffer->data(), std::min<u64>(buffer->size(), length - done));
        auto moved = co_await in->read(start + done, memory);
        if (moved) moved = co_await out->write(done, memory);
        if (!moved) {
            tool.error(fmt::format("error at byte {}: {}", start + done, moved.error().message()));
            good = false;
        }
        done += memory.length();
    }
    co_await tool.close(in);
    if (!co_await tool.close(out)) good = false;
    co_return good ? 0 : 1;
}

namespace {

struct Bench {
    Tool& tool;
    Node& node;
    u64 count = 75000, size = 4096, step = 0, offset = 0, flush_interval = 0;
    unsigned depth = 64;
    bool write = false, drain = true;
    Buffer buffer;
    u64 issued = 0;
    unsigned in_flight = 0;
    io::WaitList idle;

    Task<Result<void>> worker(io::Scope& scope) {
        while (issued < count && !scope.cancelled()) {
            u64 number = issued++;
            const u64 room = node.size() - std::min(size, node.size());
            if (size > node.size() || offset > room)
                co_return Error::from_errno(EIO, "{} bytes at {} end behind the image", size, offset);
            u64 at = (offset + number * step) % (room + 1);
            IoVec memory = buffer.vec();
            in_flight++;
            Result<void> r;
            if (write)
                r = co_await node.write(at, memory);
            else
                r = co_await node.read(at, memory);
            in_flight--;
            idle.wake_all();
            if (!r) co_return r;
            if (flush_interval && write && (count - issued) % flush_interval == 0) {
                while (drain && in_flight) co_await idle.wait();
                CO_CHECK(co_await node.flush());
            }
        }
        co_return Result<void>();
    }
};

} // namespace

Task<int> cmd_bench(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"flush-interval", true, opt_flush_interval},
                                         {"image-opts", false, opt_image_opts},
                                         {"no-drain", false, opt_no_drain},
                                         {"pattern", true, opt_pattern},
                                         {"force-share", false, 'U'}};
    Arguments args(tool.args, "c:d:f:ni:o:qs:S:t:wU", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    u64 count = 75000, depth = 64, size = 4096, step = 0, offset = 0, interval = 0, pattern = 0;
    bool ok = true, write = false, drain = true;
    std::string aio;
    for (auto& o : args.options()) {
        u64* number = nullptr;
        switch (o.letter) {
        case 'c': number = &count; break;
        case 'd': number = &depth; break;
        case 's': number = &size; break;
        case 'S': number = &step; break;
        case 'o': number = &offset; break;
        case opt_flush_interval: number = &interval; break;
        case opt_pattern: number = &pattern; break;
        case 'i': aio = o.value; break;
        case 'n': aio = "native"; break;
        case 't': tool.cache = o.value; break;
        case 'w': write = true; break;
        case opt_no_drain: drain = false; break;
        default: tool.common(o, ok);
        }
        if (!number) continue;
        auto n = size_argument(tool, "number", o.value);
        if (!n) co_return 1;
        *number = *n;
    }
    if (!ok) co_return 1;
    const char* wrong = nullptr;
    if (args.names().size() != 1)
        wrong = "Expecting one image file name";
    else if (depth == 0 || depth > 65536)
        wrong = "Invalid queue depth specified (-d). Must be between 1 and 65536.";
    else if (size == 0 || size > (u64(1) << 31))
        wrong = "Invalid buffer size specified (-s). Must be between 1 and 2147483648.";
    else if (pattern > 255)
        wrong = "Invalid pattern byte specified. Must be between 0 and 255.";
    if (wrong) {
        tool.error(wrong);
        co_return 1;
    }
    if (!write && interval) {
        tool.error("--flush-interval is only for write tests (-w)");
        co_return 1;
    }
    if (interval && interval < depth) {
        tool.error("Flush interval can't be smaller than depth");
        co_return 1;
    }
    std::string name = args.names()[0];
    Tool::Open how{.writable = write, .format = tool.format, .cache = tool.cache, .image_opts = tool.image_opts};
    if (!aio.empty() && !tool.image_opts) {
        name = fmt::format("{}file.filename={},file.aio={}",
                           tool.format.empty() ? "" : fmt::format("driver={},", tool.format), name, aio);
        how.image_opts = true;
        how.format.clear();
    }
    Tool::Image image = co_await tool.open(name, how);
    if (!image) co_return 1;
    auto buffer = Buffer::zeroed(size);
    if (!buffer || image->size() < size) {
        tool.error(buffer ? fmt::format("'{}' is smaller than one request", name) : buffer.error().message());
        co_await tool.close(image);
        co_return 1;
    }
    std::memset(buffer->data(), int(pattern), size);
    tool.print(
        fmt::format("Sending {} {} requests, {} bytes each, {} in parallel (starting at offset {}, step size {})\n",
                    count, write ? "write" : "read", size, depth, offset, step ? step : size));
    if (interval) tool.print(fmt::format("Sending flush every {} {}requests\n", interval, drain ? "" : "in-flight "));
    Bench b{.tool = tool,
            .node = *image,
            .count = count,
            .size = size,
            .step = step ? step : size,
            .offset = offset,
            .flush_interval = interval,
            .depth = unsigned(depth),
            .write = write,
            .drain = drain,
            .buffer = std::move(*buffer),
            .idle = io::WaitList(tool.loop)};
    auto began = std::chrono::steady_clock::now();
    Result<void> r;
    {
        io::Scope scope(tool.loop);
        for (unsigned i = 0; i < b.depth; i++) scope.spawn(b.worker(scope));
        r = co_await scope.join();
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (r)
        tool.print(fmt::format("Run completed in {:.3f} seconds.\n", seconds));
    else
        tool.error(fmt::format("Failed request: {}", r.error().message()));
    bool closed = co_await tool.close(image);
    co_return r&& closed ? 0 : 1;
}

} // namespace mimic::img
