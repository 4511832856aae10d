// convert: many readers, one order of writes; zeros become holes; compression on all cores; copy offload.
#include "app/img/commands.hpp"
#include "app/img/resume.hpp"
#include "base/io/pool.hpp"
#include "base/io/scope.hpp"
#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>

namespace mimic::img {

namespace {

constexpr u64 buffer_size = 2u << 20;
constexpr u64 resume_step = 64u << 20; // bytes between two notes of how far it came

struct Settings {
    std::string output_format = "raw", backing_file, backing_format, snapshot;
    std::string resume;                                   // file
    std::string target_cache, source_cache = "writeback"; // target_cache: unsafe by default
    std::vector<std::string> lists;
    bool compress = false, no_create = false, target_image_opts = false, target_is_zero = false, out_of_order = false,
         offload = false;
    bool salvage = false, bitmaps = false, skip_broken = false, unsafe_backing = false;
    u64 sparse = 4096, rate = 0;
    bool sparse_given = false;
    unsigned coroutines = 0; // 0: choose_coroutines()
};

enum class Piece : u8 { skip, zero, data };

struct Source {
    Tool::Image image;
    u64 start = 0;
};

// One conversion in progress.
class Conversion {
public:
    Conversion(Tool& tool, const Settings& s, std::vector<Source>& sources, Tool::Image& target)
        : tool_(tool)
        , s_(s)
        , sources_(sources)
        , target_(target)
        , turn_(tool.loop)
        , noting_(tool.loop)
        , progress_(tool.progress && !tool.quiet) {
        for (auto& source : sources_) total_ = std::max(total_, source.start + source.image->size());
        cluster_ = std::max<u64>(target->cluster_size(), 512);
        chunk_ = buffer_size;
        // Enough clusters at a time that each processor has two to pack, and no more: each takes its memory twice.
        if (s_.compress) {
            u64 each = (u64(tool.loop.compute().limit()) * 2 + s.coroutines - 1) / s.coroutines;
            chunk_ = std::max(cluster_, round_down(std::min(each * cluster_, u64(1) << 19), cluster_));
        }
    }
    u64 total() const { return total_; }
    bool zero_target = false; // what is not written reads as zeros
    bool backed_target = false;
    bool offload = false;
    const Resume* resume = nullptr;

    // From `start` on.
    Task<Result<void>> run(u64 start) {
        next_ = known_end_ = noted_ = done_ = began_at_ = start;
        if (start >= total_) co_return Result<void>();
        io::Scope scope(tool_.loop);
        for (unsigned i = 0; i < s_.coroutines; i++) scope.spawn(work(scope));
        Result<void> r = co_await scope.join();
        if (!r && resume) {
            // What went well before the error need not be done again.
            Result<void> noted = co_await note(reached());
            std::move(noted).ignore();
        }
        CO_CHECK(r);
        progress_.set(total_, std::max<u64>(total_, 1));
        co_return Result<void>();
    }

private:
    static u64 round_down(u64 n, u64 to) { return n / to * to; }

    struct Job {
        u64 start = 0, length = 0;
        Piece piece = Piece::data;
        u64 number = 0;
        Node* source = nullptr;
        u64 source_offset = 0;
    };

    // The state at `next_`, kept while it lasts; only the worker whose turn it is asks.
    Task<Result<void>> look() {
        auto at = std::ranges::upper_bound(sources_, next_, {}, &Source::start);
        Source& source = *std::prev(at);
        Node& node = *source.image;
        u64 offset = next_ - source.start;
        current_ = &source;
        if (s_.sparse == 0) {
            known_end_ = source.start + node.size();
            known_ = Piece::data;
            co_return Result<void>();
        }
        // With a backing file of its own, the target shows what the top layer does not hold.
        Node* base = backed_target ? node.backing() : nullptr;
        auto found = co_await block::status_above(node, base, offset, node.size() - offset);
        if (!found) {
            if (!s_.salvage) co_return std::move(found).error().in("error while reading block status");
            known_end_ = std::min(source.start + node.size(), next_ + buffer_size);
            known_ = Piece::data;
            co_return Result<void>();
        }
        known_end_ = next_ + found->extent.length;
        if (backed_target && !found->layer)
            known_ = Piece::skip;
        else
            known_ = found->extent.zero ? Piece::zero : Piece::data;
        co_return Result<void>();
    }

    // The next piece of work; length 0 at the end.
    Task<Result<Job>> take() {
        Job job;
        if (next_ >= total_) co_return job;
        if (next_ >= known_end_) CO_CHECK(co_await look());
        u64 end = known_end_;
        if (known_ == Piece::data)
            end = std::min(end, round_down(next_, chunk_) + chunk_);
        else if (s_.compress && end < total_ && end % cluster_) {
            // Compressed clusters are written whole: a cluster that is only partly zero is data.
            u64 whole = round_down(end, cluster_);
            if (whole > next_) end = whole;
        }
        job = {next_, end - next_, known_, number_++, current_->image.node.get(), next_ - current_->start};
        if (s_.compress && (job.start % cluster_ || (job.start + job.length) % cluster_)) {
            job.length = std::min(total_, round_down(job.start, cluster_) +
                                              std::max(cluster_, round_down(job.length + cluster_ - 1, cluster_))) -
                         job.start;
            job.piece = Piece::data;
            job.length = std::min(job.length, chunk_);
            known_end_ = std::max(known_end_, job.start + job.length);
            if (job.start + job.length > end) known_end_ = job.start + job.length;
        }
        next_ = job.start + job.length;
        co_return job;
    }

    // Reads across the borders of concatenated sources too.
    Task<Result<void>> read(u64 start, const IoVec& memory) {
        for (u64 done = 0; done < memory.length();) {
            auto at = std::ranges::upper_bound(sources_, start + done, {}, &Source::start);
            Source& source = *std::prev(at);
            u64 offset = start + done - source.start;
            u64 n = std::min(memory.length() - done, source.image->size() - offset);
            IoVec part = memory.slice(done, n);
            Result<void> r = co_await source.image->read(offset, part);
            if (!r) {
                std::string text = fmt::format("error while reading at byte {}: {}", start + done, r.error().message());
                if (!s_.salvage) co_return Error(r.error().kind(), text, r.error().host_errno());
                // A sector at a time, so that no more is lost than must be.
                if (!tool_.quiet) tool_.context.warn(text);
                CO_CHECK(co_await salvage(source, offset, part));
            }
            done += n;
        }
        co_return Result<void>();
    }
    Task<Result<void>> salvage(Source& source, u64 offset, const IoVec& memory) {
        for (u64 done = 0; done < memory.length(); done += 512) {
            IoVec sector = memory.slice(done, std::min<u64>(512, memory.length() - done));
            Result<void> r = co_await source.image->read(offset + done, sector);
            if (!r) sector.fill(0, sector.length(), 0);
        }
        co_return Result<void>();
    }

    Task<Result<void>> work(io::Scope& scope) {
        Buffer buffer;
        while (!scope.cancelled()) {
            // One at a time looks at the source, so that pieces come in order.
            CO_TRY(Job job, co_await next_job());
            if (job.length == 0) break;
            Result<void> r = co_await convert(job, buffer, scope);
            if (!r) {
                failed_ = true;
                turn_.wake_all();
                co_return r;
            }
            done_ += job.length;
            progress_.set(done_, total_);
            if (resume && reached() >= noted_ + resume_step) CO_CHECK(co_await note(reached()));
            if (s_.rate) co_await keep_rate();
        }
        co_return Result<void>();
    }
    Task<Result<Job>> next_job() {
        while (taking_) co_await turn_.wait();
        taking_ = true;
        auto job = co_await take();
        if (job && job->length) under_way_.insert(job->start);
        taking_ = false;
        turn_.wake_all();
        co_return std::move(job);
    }

    Task<Result<void>> convert(const Job& job, Buffer& buffer, io::Scope& scope) {
        bool ordered = !s_.out_of_order && !s_.compress;
        bool copied = false;
        if (job.piece == Piece::data && !offload) {
            if (buffer.size() < job.length) { CO_TRY(buffer, Buffer::create(std::max(chunk_, job.length))); }
            IoVec memory(buffer.data(), job.length);
            CO_CHECK(co_await read(job.start, memory));
        }
        if (ordered)
            while (written_ != job.number && !failed_ && !scope.cancelled()) co_await turn_.wait();
        if (failed_ || scope.cancelled()) co_return Result<void>();
        if (job.piece == Piece::data && offload) {
            Result<void> r = co_await job.source->copy_to(job.source_offset, *target_, job.start, job.length);
            copied = bool(r);
            if (!r && r.error().kind() != ErrorKind::unsupported) co_return r;
            if (!r) {
                CO_TRY(buffer, Buffer::create(std::max(chunk_, job.length)));
                IoVec memory(buffer.data(), job.length);
                CO_CHECK(co_await read(job.start, memory));
            }
        }
        Result<void> r;
        if (job.piece == Piece::zero && !zero_target)
            r = co_await target_->write_zeroes(job.start, job.length, block::flag::may_unmap);
        else if (job.piece == Piece::data && !copied)
            r = co_await write(job, buffer);
        if (!r) co_return std::move(r).error().in(fmt::format("error while writing at byte {}", job.start));
        under_way_.erase(job.start); // not what is left undone for another's error
        pass_turn(job);
        co_return Result<void>();
    }
    void pass_turn(const Job& job) {
        if (s_.out_of_order || s_.compress || written_ != job.number) return;
        written_++;
        turn_.wake_all();
    }
    // The next piece's turn comes once this one's last write has begun: they take their places in order, and move their
    // bytes beside each other.
    Task<Result<void>> last_write(const Job& job, Task<Result<void>> write) {
        io::Scope scope(tool_.loop);
        scope.spawn(std::move(write));
        pass_turn(job);
        co_return co_await scope.join();
    }

    Task<Result<void>> write(const Job& job, Buffer& buffer) {
        const u64 start = job.start, length = job.length;
        IoVec memory(buffer.data(), length);
        if (s_.compress) co_return co_await write_compressed(start, memory);
        if (s_.sparse == 0) {
            Task<Result<void>> whole = target_->write(start, memory);
            co_return co_await last_write(job, std::move(whole));
        }
        // Blocks of `sparse` bytes that are zero become holes, aligned as the disk is.
        u8* bytes = memory.contiguous();
        for (u64 at = 0; at < length;) {
            bool zero = false;
            u64 end = at;
            while (end < length) {
                u64 step = std::min(length - end, s_.sparse - (start + end) % s_.sparse);
                bool z = io::is_zero(bytes + end, step);
                if (end == at)
                    zero = z;
                else if (z != zero)
                    break;
                end += step;
            }
            IoVec part = memory.slice(at, end - at);
            if (!zero && end == length) {
                Task<Result<void>> last = target_->write(start + at, part);
                CO_CHECK(co_await last_write(job, std::move(last)));
            } else if (!zero)
                CO_CHECK(co_await target_->write(start + at, part));
            else if (!zero_target || backed_target)
                CO_CHECK(co_await target_->write_zeroes(start + at, end - at, block::flag::may_unmap));
            at = end;
        }
        co_return Result<void>();
    }
    Task<Result<void>> write_compressed(u64 start, const IoVec& memory) {
        u8* bytes = memory.contiguous();
        for (u64 at = 0; at < memory.length();) {
            u64 step = std::min(cluster_, memory.length() - at);
            bool zero = s_.sparse && io::is_zero(bytes + at, step);
            u64 end = at + step;
            while (end < memory.length()) {
                u64 next = std::min(cluster_, memory.length() - end);
                if ((s_.sparse && io::is_zero(bytes + end, next)) != zero) break;
                end += next;
            }
            IoVec part = memory.slice(at, end - at);
            if (!zero)
                CO_CHECK(co_await target_->write_compressed(start + at, part));
            else if (!zero_target || backed_target)
                CO_CHECK(co_await target_->write_zeroes(start + at, end - at, block::flag::may_unmap));
            at = end;
        }
        co_return Result<void>();
    }

    // All before is written.
    u64 reached() const { return under_way_.empty() ? next_ : *under_way_.begin(); }
    // Lets the file say so, once it is on stable storage.
    Task<Result<void>> note(u64 position) {
        auto lock = co_await noting_.lock();
        if (position <= noted_) co_return Result<void>();
        CO_CHECK(co_await target_->flush());
        CO_CHECK(resume->store(position));
        noted_ = position;
        co_return Result<void>();
    }

    Task<void> keep_rate() {
        auto due = began_ + std::chrono::nanoseconds(u64(double(done_ - began_at_) / double(s_.rate) * 1e9));
        auto now = std::chrono::steady_clock::now();
        if (due > now) co_await tool_.loop.sleep(due - now);
    }

    Tool& tool_;
    const Settings& s_;
    std::vector<Source>& sources_;
    Tool::Image& target_;
    io::WaitList turn_;
    io::Mutex noting_;
    std::set<u64> under_way_; // where jobs that are not done begin
    Progress progress_;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    u64 total_ = 0, cluster_ = 0, chunk_ = 0, next_ = 0, known_end_ = 0, number_ = 0, written_ = 0, done_ = 0,
        noted_ = 0, began_at_ = 0;
    Piece known_ = Piece::data;
    Source* current_ = nullptr;
    bool taking_ = false, failed_ = false;
};

std::optional<Settings> read_settings(Tool& tool, const Arguments& args) {
    Settings s;
    bool ok = true;
    for (auto& o : args.options()) switch (o.letter) {
        case 'O': s.output_format = o.value; break;
        case 'B': s.backing_file = o.value; break;
        case 'F': s.backing_format = o.value; break;
        case 'l': s.snapshot = o.value; break;
        case 'o': s.lists.push_back(o.value); break;
        case 'c': s.compress = true; break;
        case 'C': s.offload = true; break;
        case 'n': s.no_create = true; break;
        case 'W': s.out_of_order = true; break;
        case 'u': s.unsafe_backing = true; break;
        case 't': s.target_cache = o.value; break;
        case 'T': s.source_cache = o.value; break;
        case opt_salvage: s.salvage = true; break;
        case opt_target_is_zero: s.target_is_zero = true; break;
        case opt_target_image_opts: s.target_image_opts = true; break;
        case opt_bitmaps: s.bitmaps = true; break;
        case opt_skip_broken: s.skip_broken = true; break;
        case opt_resume: s.resume = o.value; break;
        case 'S': {
            auto n = size_argument(tool, "buffer size for sparse output", o.value);
            if (!n) return std::nullopt;
            if (*n % 512 || *n > buffer_size) {
                tool.error("Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to "
                           "2097152. Select 0 to disable sparse detection (fully allocates output).");
                return std::nullopt;
            }
            s.sparse = *n;
            s.sparse_given = true;
            break;
        }
        case 'r': {
            auto n = size_argument(tool, "rate limit", o.value);
            if (!n) return std::nullopt;
            s.rate = *n;
            break;
        }
        case 'm': {
            auto n = block::parse_size(o.value);
            if (!n || *n < 1 || *n > 64) {
                tool.error("Invalid number of coroutines. Allowed number of coroutines is between 1 and 64");
                return std::nullopt;
            }
            s.coroutines = unsigned(*n);
            break;
        }
        default: tool.common(o, ok);
        }
    if (!ok) return std::nullopt;
    auto fail = [&](const char* why) {
        tool.error(why);
        return std::nullopt;
    };
    if (s.offload && s.compress) return fail("Cannot enable copy offloading when -c is used");
    if (s.offload && s.sparse_given) return fail("Cannot enable copy offloading when -S is used");
    if (s.compress && s.out_of_order) return fail("Out of order write and compress are mutually exclusive");
    if (s.target_image_opts && !s.no_create) return fail("--target-image-opts requires use of -n flag");
    if (s.target_is_zero && !s.no_create) return fail("--target-is-zero requires use of -n flag");
    if (s.target_is_zero && !s.backing_file.empty()) return fail("--target-is-zero cannot be used with a backing file");
    if (s.skip_broken && !s.bitmaps) return fail("Use of --skip-broken-bitmaps requires --bitmaps");
    return s;
}

// All that shapes the output, beside the sources.
std::string described(const Tool& tool, const Settings& s, std::span<const std::string> sources) {
    std::string all = fmt::format("-O {} -S {}", s.output_format, s.sparse);
    for (auto& source : sources) all += " " + source;
    if (!tool.format.empty()) all += " -f " + tool.format;
    if (tool.image_opts) all += " --image-opts";
    if (s.compress) all += " -c";
    if (s.no_create) all += " -n";
    if (!s.snapshot.empty()) all += " -l " + s.snapshot;
    if (!s.backing_file.empty()) all += fmt::format(" -B {} -F {}", s.backing_file, s.backing_format);
    for (auto& list : s.lists) all += " -o " + list;
    return all;
}

Task<Result<void>> copy_bitmaps(Tool& tool, Node& from, Node& to, bool skip_broken, bool again) {
    if (&from.driver() != &block::qcow2_driver)
        co_return Error::unsupported("the source '{}' has no persistent bitmaps", from.filename());
    if (&to.driver() != &block::qcow2_driver)
        co_return Error::unsupported("the output format '{}' has no persistent bitmaps", to.driver().name);
    std::vector<block::BitmapInfo> to_list = to.bitmaps();
    for (auto& b : from.bitmaps()) {
        if (b.in_use) {
            if (!skip_broken)
                co_return Error::invalid_argument(
                    "Cannot copy inconsistent bitmap '{}'; try --skip-broken-bitmaps, or use 'img bitmap --remove'",
                    b.name);
            tool.context.warn(fmt::format("Skipping inconsistent bitmap '{}'", b.name));
            continue;
        }
        // Of an interrupted conversion that goes on.
        if (again && std::ranges::find(to_list, b.name, &block::BitmapInfo::name) != to_list.end())
            CO_CHECK(co_await to.bitmap_remove(b.name));
        CO_CHECK(co_await to.bitmap_add(b.name, b.granularity, false, true));
        CO_CHECK(co_await to.bitmap_merge(b.name, from, b.name));
        if (b.enabled) CO_CHECK(co_await to.bitmap_enable(b.name, true));
    }
    co_return Result<void>();
}

// Creates the output, or opens it if it is there.
Task<Tool::Image> prepare_target(Tool& tool, Settings& s, const std::string& name, u64 total, Json options,
                                 bool there) {
    Tool::Image none;
    Tool::Open how{.writable = true, .cache = s.target_cache, .image_opts = s.target_image_opts, .may_share = false};
    // What is encrypted when it is made needs its secret when it is opened.
    if (const Json* secret = options.find("key-secret")) how.extra.set("key-secret", *secret);
    if (const Json* encrypt = options.find("encrypt"))
        if (const Json* secret = encrypt->find("key-secret")) {
            Json inner = Json::object();
            inner.set("key-secret", *secret);
            how.extra.set("encrypt", std::move(inner));
        }
    if (!s.no_create && !there) {
        CreateRequest r{.filename = name, .format = s.output_format, .options = std::move(options), .quiet = true};
        r.size = total;
        if (const Json* v = r.options.find("size"); v && v->string())
            if (auto n = block::parse_size(*v->string())) r.size = *n;
        r.backing_file = s.backing_file;
        r.backing_format = s.backing_format;
        r.unsafe_backing = s.unsafe_backing;
        if (!co_await create_image(tool, std::move(r))) co_return none;
    }
    if (!s.target_image_opts) how.format = s.output_format;
    how.discard = block::DiscardMode::unmap;
    co_return co_await tool.open(name, how);
}

// What --resume's file says of this conversion. False after a message; start: where to go on.
bool begin_resume(Tool& tool, Settings& s, std::span<const std::string> names, const std::vector<Source>& sources,
                  std::optional<Resume>& resume, u64& start) {
    if (s.resume.empty()) return true;
    const std::string& output = names.back();
    if (s.target_cache.empty()) s.target_cache = "writeback"; // what is not flushed may be lost
    if (s.target_cache == "unsafe") {
        tool.error("--resume needs the output on stable storage, expected another cache mode than -t unsafe");
        return false;
    }
    std::vector<const Node*> nodes;
    for (auto& source : sources) nodes.push_back(source.image.node.get());
    resume.emplace(s.resume, output, described(tool, s, names.first(names.size() - 1)), nodes);
    auto position = resume->load();
    if (!position) {
        tool.error(position.error().message());
        return false;
    }
    start = *position;
    if (start) tool.print(fmt::format("Going on at byte {} of '{}'\n", start, output));
    return true;
}

// Is all that is below a file that the page cache has a part in?
bool is_cached(const Node& node) {
    if (node.children().empty()) return &node.driver() == &block::file_driver && !node.options().cache_direct;
    return std::ranges::all_of(node.children(), [](auto& edge) { return is_cached(edge->node()); });
}

// Storage wants many requests at once. Copies in memory want the processors busy, and no more buffers than their caches hold: with
// two processors, a qcow2 image of tmpfs to raw takes 0.21 s with four and 0.24 s with eight.
unsigned choose_coroutines(const Settings& s, const std::vector<Source>& sources, const Node& target) {
    constexpr unsigned usual = 8, least = 4;
    const bool copies = !s.compress && is_cached(target) &&
                        std::ranges::all_of(sources, [](auto& source) { return is_cached(*source.image); });
    return copies ? std::clamp(2 * std::thread::hardware_concurrency(), least, usual) : usual;
}

// The copying itself. False after a message.
Task<bool> copy_all(Tool& tool, const Settings& s, std::vector<Source>& sources, Tool::Image& target, bool backed,
                    const Resume* resume, u64 start) {
    Conversion c(tool, s, sources, target);
    c.backed_target = backed && target->backing();
    // A new image is zero where nothing was written; an old one is not.
    c.zero_target = (!s.no_create || s.target_is_zero) && !c.backed_target && target->has_zero_init();
    c.offload = s.offload && sources.size() == 1;
    c.resume = resume;
    Result<void> r = co_await c.run(start);
    if (r && s.bitmaps) r = co_await copy_bitmaps(tool, *sources[0].image, *target, s.skip_broken, start > 0);
    if (!r) tool.error(r.error().message());
    co_return bool(r);
}

bool has_backing_option(const Json& options) { return options.find("backing_file") != nullptr; }

} // namespace

Task<int> cmd_convert(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object},
                                         {"image-opts", false, opt_image_opts},
                                         {"source-image-opts", false, opt_image_opts},
                                         {"target-image-opts", false, opt_target_image_opts},
                                         {"target-is-zero", false, opt_target_is_zero},
                                         {"bitmaps", false, opt_bitmaps},
                                         {"skip-broken-bitmaps", false, opt_skip_broken},
                                         {"force-share", false, 'U'},
                                         {"salvage", false, opt_salvage},
                                         {"resume", true, opt_resume}};
    Arguments args(tool.args, "f:O:B:CcF:o:l:S:pt:T:qnm:WUr:u", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    auto settings = read_settings(tool, args);
    if (!settings) co_return 1;
    Settings& s = *settings;
    bool help = false;
    auto options = creation_options(s.lists, help);
    if (!options) {
        tool.error(options.error().message());
        co_return 1;
    }
    const block::Driver* out_driver = block::find_driver(s.output_format);
    if (!out_driver || (!out_driver->create && !s.no_create)) {
        tool.error(fmt::format("Unknown file format '{}', expected {}", s.output_format, block::driver_names(true)));
        co_return 1;
    }
    if (help) {
        tool.say(create_help(*out_driver, false));
        co_return 0;
    }
    if (s.no_create && !s.lists.empty()) {
        tool.error("-o has no effect when skipping image creation");
        co_return 1;
    }
    if (args.names().size() < 2) {
        tool.error("Must specify image file name");
        co_return 1;
    }
    std::string output = args.names().back();
    std::vector<Source> sources;
    u64 total = 0;
    bool ok = true;
    for (size_t i = 0; i + 1 < args.names().size() && ok; i++) {
        Source source;
        Tool::Open how{.format = tool.format, .cache = s.source_cache, .image_opts = tool.image_opts};
        source.image = co_await tool.open(args.names()[i], how);
        ok = bool(source.image);
        if (!ok) break;
        source.start = total;
        if (!s.snapshot.empty()) ok = co_await load_snapshot(tool, *source.image, s.snapshot);
        total += source.image->size();
        // Empty sources only stand in the way of the search.
        if (source.image->size() || args.names().size() == 2)
            sources.push_back(std::move(source));
        else
            ok = co_await tool.close(source.image);
    }
    if (ok && !s.snapshot.empty() && sources.size() > 1) {
        tool.error("No support for concatenating multiple snapshot");
        ok = false;
    }
    bool backed = !s.backing_file.empty() || has_backing_option(*options);
    if (ok && backed && sources.size() > 1) {
        tool.error("Having a backing file for the target makes no sense when concatenating multiple input images");
        ok = false;
    }
    std::optional<Resume> resume;
    u64 start = 0;
    ok = ok && begin_resume(tool, s, args.names(), sources, resume, start);
    if (s.target_cache.empty()) s.target_cache = "unsafe";
    Tool::Image target;
    if (ok) target = co_await prepare_target(tool, s, output, total, std::move(*options), start > 0);
    ok = ok && target;
    if (ok && target->needs_compressed_writes()) s.compress = true;
    if (ok && s.compress && !target->supports_compressed()) {
        tool.error(fmt::format("Compression not supported for this file format '{}'", target->driver().name));
        ok = false;
    }
    if (ok && resume)
        if (Result<void> same = resume->set_target(*target); !same) {
            tool.error(same.error().message());
            ok = false;
        }
    if (ok && start) ok = co_await free_leaks(tool, target);
    if (ok && target->size() < total) {
        tool.error(
            fmt::format("output file is smaller than input file ({} bytes, expected {})", target->size(), total));
        ok = false;
    }
    if (ok && !s.coroutines) s.coroutines = choose_coroutines(s, sources, *target);
    if (ok) ok = co_await copy_all(tool, s, sources, target, backed, resume ? &*resume : nullptr, start);
    if (target && !co_await tool.close(target)) ok = false;
    if (ok && resume) resume->remove();
    for (auto& source : sources) {
        bool closed = co_await tool.close(source.image);
        static_cast<void>(closed);
    }
    co_return ok ? 0 : 1;
}

} // namespace mimic::img
