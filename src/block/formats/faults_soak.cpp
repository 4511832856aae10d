// Faults: the same changes of an image again and again, each time with another request of the layer below that fails: every
// request of every kind in turn, once or from there on. Errors must arrive (no hang, no crash); what reads give meanwhile must
// have been written; afterwards the image must open, check without corruption, and hold all that was acknowledged.
// And short files: what an image's file had at its end is gone, before it is opened or while it is open. Then errors or
// zeros, but nothing else that was not written, and nothing that hangs.
//   faults_soak --seed N --count N --stride N     rounds; of the requests every N-th fails (31), round by round others
#include "block/driver.hpp"
#include "block/protocols/memory.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <unistd.h>

using namespace mimic;
using namespace mimic::block;

namespace {

constexpr u64 sector = 512, disk_size = 1u << 20;
constexpr unsigned operations = 40, longest_round = 60; // seconds; more is a hang

struct Variant {
    const char *format, *options, *open = "";
};
constexpr Variant variants[] = {
    {"raw", ""},
    {"vmdk", "subformat=monolithicSparse"},
    {"vmdk", "subformat=monolithicSparse,zeroed_grain=on"},
    {"vmdk", "subformat=streamOptimized"},
    {"vdi", "static=off"},
    {"vdi", "static=on"},
    {"vpc", "subformat=dynamic,force_size=on"},
    {"vpc", "subformat=fixed,force_size=on"},
    {"vhdx", "block_size=1M"},
    {"vhdx", "block_size=1M,block_state_zero=off"},
    {"vhdx", "subformat=fixed"},
    {"qcow", ""},
    {"qcow", "encrypt.format=aes,encrypt.key-secret=s", "encrypt.key-secret=s"},
    {"qed", "cluster_size=4096,table_size=1"},
    {"luks", "key-secret=s,iter-time=1", "key-secret=s"},
    {"qcow2", "cluster_size=4096"},
    {"qcow2", "cluster_size=512,refcount_bits=1"},
    {"qcow2", "cluster_size=4096,lazy_refcounts=on"},
    {"qcow2", "cluster_size=16k,extended_l2=on,refcount_bits=64"},
    {"qcow2", "cluster_size=4096,compat=0.10"},
    {"qcow2", "cluster_size=4096,preallocation=metadata"},
    {"qcow2", "cluster_size=4096,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1", "encrypt.key-secret=s"},
};

enum class Kind : u8 { read, write, zeroes, discard, flush, truncate, status };
constexpr std::string_view kind_names[] = {"read", "write", "write-zeroes", "discard", "flush", "truncate", "status"};

struct Fault {
    Kind kind = Kind::read;
    u64 after = 0; // requests of the kind that go well first
    bool once = true;
    int error = EIO;
    u64 met = 0;
};

// A file in memory; the fault, if there is one, fails its requests.
class FaultyNode final : public Node {
public:
    FaultyNode(Context& context, const std::shared_ptr<MemoryImage>& image, Fault* fault)
        : Node(context, memory_driver, {})
        , memory_(make_memory_node(context, image))
        , fault_(fault) {
        set_filename("faulty");
    }
    // What is read is what there is, whatever the size says: that is how a file looks that somebody cuts while it is open.
    u64 size() const override { return std::max(memory_->size(), claimed_); }
    void claim() { claimed_ = memory_->size(); }
    bool has_zero_init() const override { return true; }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        CO_CHECK(fail(Kind::read));
        co_return co_await memory_->read(offset, memory);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        CO_CHECK(fail(Kind::write));
        co_return co_await memory_->write(offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        CO_CHECK(fail(Kind::zeroes));
        co_return co_await memory_->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        CO_CHECK(fail(Kind::discard));
        co_return co_await memory_->discard(offset, length);
    }
    Task<Result<void>> do_flush() override {
        CO_CHECK(fail(Kind::flush));
        co_return co_await memory_->flush();
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        CO_CHECK(fail(Kind::truncate));
        co_return co_await memory_->truncate(size, prealloc);
    }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        CO_CHECK(fail(Kind::status));
        co_return co_await memory_->status(offset, length);
    }

private:
    Result<void> fail(Kind kind) {
        if (!fault_ || fault_->kind != kind) return {};
        if (fault_->after > 0) {
            fault_->after--;
            return {};
        }
        if (fault_->once && fault_->met) return {};
        fault_->met++;
        return Error::from_errno(fault_->error, "{} (injected)", kind_names[size_t(kind)]);
    }
    NodePtr memory_;
    Fault* fault_;
    u64 claimed_ = 0;
};

struct Operation {
    enum Type : u8 { write, zeroes, read, flush } type;
    u64 offset = 0, length = 0; // sectors
    bool unmap = false, good = false;
};

// What a sector holds: its own value for each operation that writes it.
void fill_sector(u8* p, const std::vector<Operation>& ops, size_t op) {
    bool zero = op == SIZE_MAX || ops[op].type == Operation::zeroes;
    std::memset(p, zero ? 0 : int(op + 1), sector);
    if (!zero) std::memcpy(p, &op, sizeof op);
}

class Case {
public:
    Case(io::Loop& loop, const Variant& v, u64 seed) : loop_(loop), v_(v), seed_(seed) {}

    // Makes the image that all faults start from.
    Task<Result<void>> prepare() { return make(start_, nullptr); }
    // Of a file with all that the changes write, about.
    u64 length() const { return std::max(start_->size, u64(disk_size)) * 2; }

    Task<Result<void>> create_with(Fault& fault) {
        std::shared_ptr<MemoryImage> image;
        auto made = co_await make(image, &fault);
        if (!made) co_return Result<void>();
        // It says that it went well.
        Context context{.loop = loop_};
        CO_TRY(NodePtr node, co_await open(context, image, nullptr));
        CO_CHECK(co_await check(*node));
        co_return co_await node->close();
    }

    Task<Result<void>> change_with(Fault& fault) {
        auto image = std::make_shared<MemoryImage>(*start_);
        plan();
        bool closed = false;
        {
            Context context{.loop = loop_};
            auto node = co_await open(context, image, &fault);
            if (node) {
                CO_CHECK(co_await change(**node));
                Result<void> r = co_await (*node)->close();
                closed = bool(r);
                std::move(r).ignore();
            }
        }
        Context context{.loop = loop_};
        CO_TRY(NodePtr node, co_await open(context, image, nullptr));
        CO_CHECK(co_await check(*node));
        CO_CHECK(co_await compare(*node, 0, disk_size / sector, operations, closed));
        co_return co_await node->close();
    }

    // The file has `length` bytes from the moment on when `when` operations are done; 0: before it is opened. As a file that
    // is cut reads (Node: zeros past the end).
    Task<Result<void>> cut_with(u64 length, size_t when) {
        auto image = std::make_shared<MemoryImage>(*start_);
        plan();
        if (when == 0) {
            // One that has been written, so that there is something to lose.
            CO_CHECK(co_await all_changes(image));
            image->resize(std::min(length, image->size));
        }
        {
            Context context{.loop = loop_};
            auto node = co_await open(context, image, nullptr);
            if (!node) co_return Result<void>();
            if (when) {
                static_cast<FaultyNode&>(*(*node)->file()).claim();
                cut_at_ = when;
                cut_ = [&] { image->resize(std::min(length, image->size)); };
                Result<void> r = co_await change(**node);
                cut_ = nullptr;
                std::move(r).ignore();
            }
            CO_CHECK(co_await look_at_the_rest(**node));
            Result<void> r = co_await (*node)->close();
            std::move(r).ignore();
        }
        co_return Result<void>();
    }

private:
    Task<Result<void>> all_changes(const std::shared_ptr<MemoryImage>& image) {
        Context context{.loop = loop_};
        CO_TRY(NodePtr node, co_await open(context, image, nullptr));
        CO_CHECK(co_await change(*node));
        co_return co_await node->close();
    }
    // Each sector is what some operation wrote, zeros, or an error; then a repair and a write, whatever they say.
    Task<Result<void>> look_at_the_rest(Node& node) {
        std::vector<u8> seen(sector), expected(sector), zeros(sector);
        for (u64 at = 0; at < disk_size / sector; at++) {
            IoVec memory{std::span<u8>(seen)};
            if (Result<void> r = co_await node.read(at * sector, memory); !r) continue;
            bool ok = std::memcmp(seen.data(), zeros.data(), sector) == 0 || !deciphers_as_it_was();
            for (size_t i = 0; i < ops_.size() && !ok; i++) {
                if (ops_[i].type != Operation::write || at < ops_[i].offset || at >= ops_[i].offset + ops_[i].length)
                    continue;
                fill_sector(expected.data(), ops_, i);
                ok = std::memcmp(seen.data(), expected.data(), sector) == 0;
            }
            if (!ok)
                co_return Error::corrupt("the sector {} holds {:#x}..., nothing that was written there", at, seen[0]);
        }
        auto report = co_await node.check(Fix::all);
        static_cast<void>(report);
        IoVec memory{std::span<u8>(zeros)};
        Result<void> r = co_await node.write(0, memory);
        std::move(r).ignore();
        r = co_await node.flush();
        std::move(r).ignore();
        co_return Result<void>();
    }
    // Zeros that are past the end of an encrypted file decipher as noise, and raw devices hold what they held.
    bool deciphers_as_it_was() const { return !std::strstr(v_.options, "secret"); }

    static Context& with_secret(Context& context) {
        context.secrets["s"] = "secret";
        return context;
    }
    Task<Result<void>> make(std::shared_ptr<MemoryImage>& image, Fault* fault) {
        Context context{.loop = loop_};
        image = std::make_shared<MemoryImage>();
        CO_TRY(Json options, parse_flat(v_.options));
        options.set("size", disk_size);
        CreateArguments a{"memory", std::move(options), std::make_shared<FaultyNode>(context, image, fault)};
        const Driver& driver = *find_driver(v_.format);
        if (&driver == &raw_driver) co_return co_await a.file->truncate(disk_size);
        co_return co_await driver.create(with_secret(context), a);
    }
    Task<Result<NodePtr>> open(Context& context, const std::shared_ptr<MemoryImage>& image, Fault* fault) {
        OpenArguments a;
        a.common.discard = DiscardMode::unmap;
        CO_TRY(a.options, parse_flat(v_.open));
        a.no_backing = true;
        a.file = std::make_shared<FaultyNode>(context, image, fault);
        co_return co_await find_driver(v_.format)->open(with_secret(context), a);
    }
    void plan() {
        std::mt19937_64 random(seed_);
        ops_.assign(operations, {});
        for (auto& o : ops_) {
            constexpr Operation::Type types[] = {Operation::write,  Operation::write, Operation::write,
                                                 Operation::zeroes, Operation::read,  Operation::flush};
            o.type = types[random() % std::size(types)];
            u64 most = random() % 4 ? 16 : 300;
            o.offset = random() % (disk_size / sector - most);
            o.length = 1 + random() % most;
            o.unmap = random() % 2;
        }
    }
    Task<Result<void>> change(Node& node) {
        for (size_t i = 0; i < ops_.size(); i++) {
            Operation& o = ops_[i];
            if (cut_ && i == cut_at_) cut_();
            Result<void> r;
            switch (o.type) {
            case Operation::flush: r = co_await node.flush(); break;
            case Operation::zeroes:
                r = co_await node.write_zeroes(o.offset * sector, o.length * sector, o.unmap ? flag::may_unmap : 0);
                break;
            case Operation::read: r = co_await compare(node, o.offset, o.length, i, true); break;
            case Operation::write: {
                std::vector<u8> bytes(o.length * sector);
                for (u64 k = 0; k < o.length; k++) fill_sector(&bytes[k * sector], ops_, i);
                IoVec memory{std::span<u8>(bytes)};
                r = co_await node.write(o.offset * sector, memory);
            }
            }
            o.good = bool(r);
            if (!r && !cut_ && r.error().message().find("(injected)") == std::string::npos)
                co_return std::move(r).error().in(fmt::format("operation {}", i));
            std::move(r).ignore();
        }
        co_return Result<void>();
    }
    Task<Result<void>> check(Node& node) {
        auto report = co_await node.check(Fix::none);
        if (!report && report.error().kind() == ErrorKind::unsupported) co_return Result<void>(); // it has none
        if (!report) co_return std::move(report).error();
        if (report->corruptions || report->check_errors)
            co_return Error::corrupt("{} corruptions: {}", report->corruptions,
                                     report->messages.empty() ? "" : report->messages[0]);
        co_return Result<void>();
    }
    // Before operation `end`. kept: all that was acknowledged is there; else what a flush made sure of.
    Task<Result<void>> compare(Node& node, u64 first, u64 count, size_t end, bool kept) {
        std::vector<u8> seen(count * sector), expected(sector);
        IoVec memory{std::span<u8>(seen)};
        CO_CHECK(co_await node.read(first * sector, memory));
        size_t sure = end;
        while (!kept && sure > 0 && !(ops_[sure - 1].type == Operation::flush && ops_[sure - 1].good)) sure--;
        for (u64 k = 0; k < count; k++) {
            u64 at = first + k;
            bool ok = false;
            for (size_t i = end; !ok && i-- > 0;) {
                const Operation& o = ops_[i];
                if (o.type > Operation::zeroes || at < o.offset || at >= o.offset + o.length) continue;
                fill_sector(expected.data(), ops_, i);
                ok = std::memcmp(&seen[k * sector], expected.data(), sector) == 0;
                if (o.good && i < sure) break;
                if (i == 0) break;
            }
            if (ok) continue;
            // None that is sure: the sector may never have been written.
            bool written = std::ranges::any_of(ops_.begin(), ops_.begin() + long(sure), [&](const Operation& o) {
                return o.type <= Operation::zeroes && o.good && at >= o.offset && at < o.offset + o.length;
            });
            fill_sector(expected.data(), ops_, SIZE_MAX);
            bool fresh = !node.has_zero_init() || std::memcmp(&seen[k * sector], expected.data(), sector) == 0;
            if (written || !fresh)
                co_return Error::corrupt("the sector {} holds {:#x}..., nothing that was written there", at,
                                         seen[k * sector]);
        }
        co_return Result<void>();
    }

    io::Loop& loop_;
    const Variant& v_;
    u64 seed_;
    std::shared_ptr<MemoryImage> start_;
    std::vector<Operation> ops_;
    std::function<void()> cut_;
    size_t cut_at_ = 0;
};

char under_way[200];

void hangs(int) {
    if (write(2, under_way, strlen(under_way)) > 0) _exit(3);
    _exit(4);
}

struct Totals {
    u64 runs = 0, faults = 0, short_files = 0, wrong = 0;
};

// All faults of one kind, until one lies behind the last request.
void one_kind(io::Loop& loop, const Variant& v, Case& one, Fault plan, bool creating, u64 seed, u64 stride, Totals& t) {
    for (u64 after = seed % stride;; after += stride) {
        Fault fault = plan;
        fault.after = after;
        fault.error = after / stride % 2 ? ENOSPC : EIO;
        std::snprintf(under_way, sizeof under_way, "seed %llu, %s %s: %s %llu%s%s hangs\n",
                      static_cast<unsigned long long>(seed), v.format, v.options, kind_names[size_t(plan.kind)].data(),
                      static_cast<unsigned long long>(after), plan.once ? "" : " and later",
                      creating ? " at creation" : "");
        alarm(longest_round);
        auto r = loop.run(creating ? one.create_with(fault) : one.change_with(fault));
        t.runs++;
        t.faults += fault.met;
        if (!r) {
            std::printf("%.*s: %s\n", int(strlen(under_way)) - 7, under_way, r.error().message().c_str());
            t.wrong++;
        }
        if (!fault.met) return;
    }
}

// Short files, of so many lengths for each moment.
void short_files(io::Loop& loop, const Variant& v, Case& one, u64 seed, u64 count, Totals& t) {
    std::mt19937_64 random(seed * 1000);
    for (u64 n = 0; n < count; n++) {
        u64 length = round_down(one.length() * (random() % 1000) / 1000, sector);
        size_t when = n % 2 ? 1 + random() % (operations - 1) : 0;
        std::snprintf(under_way, sizeof under_way, "seed %llu, %s %s: cut to %llu before operation %zu hangs\n",
                      static_cast<unsigned long long>(seed), v.format, v.options,
                      static_cast<unsigned long long>(length), when);
        alarm(longest_round);
        auto r = loop.run(one.cut_with(length, when));
        t.short_files++;
        if (r) continue;
        std::printf("%.*s: %s\n", int(strlen(under_way)) - 7, under_way, r.error().message().c_str());
        t.wrong++;
    }
}

} // namespace

int main(int argc, char** argv) {
    u64 seed = 1, count = 1, stride = 31;
    for (int i = 1; i + 1 < argc; i += 2) {
        u64 n = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--seed") == 0) seed = n;
        if (std::strcmp(argv[i], "--count") == 0) count = n;
        if (std::strcmp(argv[i], "--stride") == 0) stride = std::max<u64>(n, 1);
    }
    std::signal(SIGALRM, hangs);
    auto loop = std::move(*io::Loop::create({.uring = false}));
    Totals t;
    for (u64 s = seed; s < seed + count; s++)
        for (auto& v : variants) {
            Case one(*loop, v, s);
            auto made = loop->run(one.prepare());
            if (!made) {
                std::printf("%s %s: %s\n", v.format, v.options, made.error().message().c_str());
                return 1;
            }
            for (u8 kind = 0; kind < std::size(kind_names); kind++)
                for (bool once : {true, false})
                    for (bool creating : {false, true})
                        one_kind(*loop, v, one, {.kind = Kind(kind), .once = once}, creating, s, stride, t);
            short_files(*loop, v, one, s, 300 / stride + 2, t);
        }
    std::printf("%llu rounds of %zu formats: %llu runs, %llu requests failed; %llu short files; %llu went wrong\n",
                static_cast<unsigned long long>(count), std::size(variants), static_cast<unsigned long long>(t.runs),
                static_cast<unsigned long long>(t.faults), static_cast<unsigned long long>(t.short_files),
                static_cast<unsigned long long>(t.wrong));
    return t.wrong != 0;
}
