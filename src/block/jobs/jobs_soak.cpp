// Random jobs on a chain of images while a guest writes: pauses, cancels, limits of speed, errors of the layers below. At the
// end what the guest sees is what it wrote, a finished copy is what it was a copy of, and all images check clean.
#include "block/protocols/memory.hpp"
#include "block/storage.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

using namespace mimic;
using namespace mimic::block;

namespace {

constexpr u64 disk_size = 1u << 20, sector = 512;
constexpr unsigned most_faults = 100; // that one request of the guest may meet: three for each image of its chain

struct Round {
    io::Loop& loop;
    u64 seed;
    std::mt19937_64 random{seed};
    Context context{.loop = loop};
    std::unique_ptr<Storage> storage = std::make_unique<Storage>(context);
    std::vector<u8> model = std::vector<u8>(disk_size);
    std::shared_ptr<Root> guest;
    std::vector<std::string> images, hurt; // nodes that exist; those with requests that fail
    unsigned next = 0;
    unsigned started = 0, completed = 0, cancelled = 0, failed = 0;
    std::string trouble, trail;

    u64 below(u64 n) { return random() % n; }
    void wrong(const std::string& what) {
        if (trouble.empty()) trouble = what;
    }

    // What fails of the layer below an image: a few of its requests, once each.
    enum class Fails : u8 { nothing, writes, reads };
    Fails maybe(Fails f) { return below(2) ? f : Fails::nothing; }

    // A qcow2 image in memory.
    Task<Result<NodePtr>> image(std::string name, u64 size, Fails fails) {
        Json memory = Json::object();
        memory.set("driver", "memory");
        memory.set("node-name", name + "-m");
        CO_CHECK(co_await storage->add(memory));
        CreateArguments create{name, Json::object()};
        create.options.set("size", size);
        create.options.set("cluster_size", below(2) ? "64k" : "4k");
        CO_TRY(create.file, storage->find_node(name + "-m"));
        CO_CHECK(co_await qcow2_driver.create(context, create));
        Json options = Json::object(), file = Json::object();
        options.set("driver", "qcow2");
        options.set("node-name", name);
        options.set("file", name + "-m");
        options.set("discard", "unmap");
        if (fails != Fails::nothing) {
            options.set("file", failing(name + "-m", fails == Fails::reads));
            hurt.push_back(name);
        }
        CO_CHECK(co_await storage->add(options));
        images.push_back(name);
        co_return storage->find_node(name);
    }

    Json failing(const std::string& below_it, bool reads) {
        Json file = Json::object(), rules = Json::array();
        for (u64 n = 1 + below(3); n; n--) {
            Json rule = Json::object();
            rule.set("iotype", reads ? "read" : below(3) ? "write" : "flush");
            rule.set("errno", below(2) ? u64(EIO) : u64(ENOSPC));
            rule.set("after", reads ? 20 + below(300) : below(60)); // opening reads, too
            rule.set("once", true);
            rules.push(std::move(rule));
        }
        file.set("driver", "blkdebug");
        file.set("image", below_it);
        file.set("inject-error", std::move(rules));
        return file;
    }
    OnError policy() {
        constexpr OnError all[] = {OnError::report, OnError::ignore, OnError::enospc, OnError::stop};
        return all[below(4)];
    }

    Task<Result<void>> write() {
        u64 offset = below(disk_size), length = std::min(disk_size - offset, 1 + below(below(3) ? 9000 : 150'000));
        std::vector<u8> data(length);
        u8 base = u8(random());
        bool zero = below(5) == 0;
        if (!zero)
            for (size_t i = 0; i < data.size(); i++) data[i] = u8(base + i * 13);
        IoVec memory{std::span<u8>(data)};
        Result<void> r;
        unsigned tries = 0;
        // (g++ 12 destroys twice what an awaited branch of ?: gives.)
        do {
            if (zero)
                r = co_await zeroes(offset, length);
            else
                r = co_await guest->write(offset, memory);
        } while (again(r, tries));
        if (!r) co_return std::move(r).error().in("guest write");
        std::memcpy(&model[offset], data.data(), length);
        co_return r;
    }
    // A mirror's target, which may fail, becomes the guest's disk; what failed is tried again, as a guest would.
    static bool again(const Result<void>& r, unsigned& tries) {
        return !r && tries++ < most_faults && r.error().message().find("(injected)") != std::string::npos;
    }
    Task<Result<void>> flush_guest() {
        Result<void> r;
        unsigned tries = 0;
        do r = co_await guest->flush();
        while (again(r, tries));
        co_return r;
    }
    Task<Result<void>> zeroes(u64 offset, u64 length) {
        return guest->write_zeroes(offset, length, below(2) ? flag::may_unmap : 0);
    }
    Task<Result<void>> compare(Node& node, std::string what) {
        std::vector<u8> seen(disk_size);
        IoVec memory{std::span<u8>(seen)};
        Result<void> r;
        unsigned tries = 0;
        do r = co_await node.read(0, memory);
        while (again(r, tries));
        CO_CHECK(r);
        for (size_t i = 0; i < seen.size(); i++)
            if (seen[i] != model[i])
                co_return Error::corrupt("{}: byte {:#x} is {:#x}, expected {:#x}", what, i, seen[i], model[i]);
        co_return Result<void>();
    }

    JobOptions job_options() {
        JobOptions o;
        o.id = fmt::format("j{}", next++);
        if (below(3) == 0) o.speed = 1 + below(4u << 20);
        return o;
    }
    void start(Result<JobPtr> job, std::string_view what) {
        if (!job) {
            trail += fmt::format(" ({}: {})", what, job.error().message());
            return;
        }
        trail += fmt::format(" {}:{}", what, (*job)->id());
        started++;
        (*job)->start();
    }

    Task<Result<void>> snapshot() {
        std::string name = fmt::format("i{}", next++);
        CO_TRY(NodePtr overlay, co_await image(name, disk_size, maybe(Fails::reads)));
        NodePtr top = guest->ptr();
        auto lock = co_await context.graph.lock();
        if (overlay == top) co_return Result<void>();
        Drained quiet = co_await drain(*top);
        Result<void> r = replace_node(*top, overlay);
        if (!r) co_return Result<void>(); // a job has it
        CO_CHECK(
            overlay->add_child(top, "backing", perm::consistent_read, perm::consistent_read | perm::write_unchanged));
        trail += " snapshot:" + name;
        co_return Result<void>();
    }
    NodePtr layer() {
        std::vector<NodePtr> chain;
        for (Node* n = &guest->node(); n; n = n->driver().is_filter ? n->file() : n->backing())
            chain.push_back(n->shared_from_this());
        return chain[below(chain.size())];
    }

    Task<Result<void>> begin_job() {
        if (storage->jobs().all().size() > 2) co_return Result<void>();
        u64 kind = below(5);
        std::string name = fmt::format("t{}", next++);
        NodePtr target;
        if (kind >= 3) { CO_TRY(target, co_await image(name, disk_size, maybe(Fails::writes))); }
        auto lock = co_await context.graph.lock();
        NodePtr top = guest->ptr();
        JobOptions common = job_options();
        if (kind == 0) {
            StreamOptions o;
            static_cast<JobOptions&>(o) = common;
            o.node = top;
            o.on_error = policy();
            NodePtr base = layer();
            if (below(2) && base != top) o.base = base;
            auto job = co_await make_stream(storage->jobs(), std::move(o));
            start(std::move(job), "stream");
        } else if (kind <= 2) {
            CommitOptions o;
            static_cast<JobOptions&>(o) = common;
            o.active = top;
            o.top = kind == 1 ? top : layer();
            o.base = layer();
            o.on_error = policy();
            auto job = co_await make_commit(storage->jobs(), std::move(o));
            start(std::move(job), kind == 1 ? "active-commit" : "commit");
        } else if (kind == 3) {
            MirrorOptions o;
            static_cast<JobOptions&>(o) = common;
            o.node = top;
            o.target = target;
            o.write_blocking = below(2);
            o.on_source_error = policy();
            o.on_target_error = policy();
            auto job = co_await make_mirror(storage->jobs(), std::move(o));
            start(std::move(job), "mirror");
        } else {
            BackupOptions o;
            static_cast<JobOptions&>(o) = common;
            o.node = top;
            o.target = target;
            o.on_source_error = policy();
            o.on_target_error = policy();
            moment[common.id] = model;
            targets[common.id] = target;
            auto job = co_await make_backup(storage->jobs(), std::move(o));
            start(std::move(job), "backup");
        }
        co_return Result<void>();
    }
    std::map<std::string, std::vector<u8>> moment; // what a backup must become
    std::map<std::string, NodePtr> targets;

    void steer() {
        auto& all = storage->jobs().all();
        if (all.empty()) return;
        JobPtr job = all[below(all.size())];
        switch (below(6)) {
        case 0: job->pause().ignore(); break;
        case 1:
        case 2: job->resume().ignore(); break;
        case 3: job->set_speed(below(2) ? 0 : 1 + below(8u << 20)).ignore(); break;
        case 4:
            if (below(3) == 0) job->cancel(below(2)).ignore();
            break;
        default: job->complete().ignore(); break;
        }
    }
    void ended(std::string_view name, const Json& data) {
        if (name == "BLOCK_JOB_CANCELLED") cancelled++;
        if (name != "BLOCK_JOB_COMPLETED") return;
        const Json* error = data.find("error");
        error ? failed++ : completed++;
        std::string id = *data.find("device")->string();
        // Two jobs that want the same link: the second one may lose.
        auto says = [&](std::string_view text) { return error && error->string()->find(text) != std::string::npos; };
        if (error && !says("in use by block job") && !says("(injected)"))
            wrong(fmt::format("job {} failed: {}", id, *error->string()));
        if (!error && targets.contains(id)) done.push_back(id);
    }
    std::vector<std::string> done;

    // Backups that ended well are what they were copies of.
    Task<Result<void>> check_backups() {
        for (auto& id : std::exchange(done, {})) {
            std::vector<u8> seen(disk_size);
            IoVec memory{std::span<u8>(seen)};
            CO_CHECK(co_await targets[id]->read(0, memory));
            if (seen != moment[id]) co_return Error::corrupt("backup {} is not what the disk was", id);
        }
        co_return Result<void>();
    }

    Task<Result<void>> run(u64 steps) {
        storage->on_event = [this](std::string_view name, Json data) { ended(name, data); };
        CO_TRY(NodePtr first, co_await image("i", disk_size, maybe(Fails::reads)));
        CO_TRY(guest, Root::attach(first, "guest", perm::consistent_read | perm::write,
                                   perm::consistent_read | perm::write_unchanged));
        for (u64 i = 0; i < steps && trouble.empty(); i++) {
            switch (below(10)) {
            case 0: CO_CHECK(co_await snapshot()); break;
            case 1: CO_CHECK(co_await begin_job()); break;
            case 2:
            case 3: steer(); break;
            case 4: co_await loop.yield(); break;
            case 5: CO_CHECK(co_await flush_guest()); break;
            default: CO_CHECK(co_await write()); break;
            }
            CO_CHECK(co_await check_backups());
        }
        for (auto& j : storage->jobs().all()) j->set_speed(0).ignore();
        if (below(2))
            for (unsigned n = 0; n < 2000 && !storage->jobs().all().empty(); n++) {
                for (auto& j : std::vector<JobPtr>(storage->jobs().all())) {
                    j->resume().ignore();
                    j->complete().ignore();
                }
                co_await loop.yield();
            }
        co_await storage->jobs().shut_down();
        CO_CHECK(co_await check_backups());
        std::string what = "guest";
        CO_CHECK(co_await compare(guest->node(), what));
        co_return co_await check_images();
    }
    // What is still to fail does so now.
    static Task<void> spend(Node& node) {
        std::vector<u8> bytes(sector);
        IoVec memory{std::span<u8>(bytes)};
        for (unsigned n = 0; n < 1000; n++) {
            Result<void> r = co_await node.read(0, memory);
            std::move(r).ignore();
        }
    }
    Task<Result<void>> check_images() {
        for (auto& name : hurt)
            if (auto node = storage->find_node(name)) co_await spend(*(*node)->file());
        CO_CHECK(co_await flush_guest());
        for (auto& name : images) {
            auto node = storage->find_node(name);
            if (!node) continue;
            Result<void> flushed;
            unsigned tries = 0;
            do flushed = co_await (*node)->flush();
            while (again(flushed, tries));
            if (!flushed) co_return std::move(flushed).error().in("at the end");
            // A check writes back what it finds in memory, which may meet the last of the errors.
            auto checked = co_await (*node)->check(Fix::none);
            for (tries = 0; !checked && tries < most_faults; tries++) checked = co_await (*node)->check(Fix::none);
            CO_CHECK(checked ? Result<void>() : Result<void>(checked.error()));
            const CheckReport& report = *checked;
            bool may_leak = std::ranges::find(hurt, name) != hurt.end(); // an error may leave clusters that nobody uses
            if (report.corruptions || (report.leaks && !may_leak) || report.check_errors)
                co_return Error::corrupt("image {} has {} corruptions and {} leaks: {}", name, report.corruptions,
                                         report.leaks, report.messages.empty() ? "" : report.messages[0]);
        }
        co_return Result<void>();
    }
};

} // namespace

int main(int argc, char** argv) {
    u64 seed = 1, count = 30;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!std::strcmp(argv[i], "--seed")) seed = std::strtoull(argv[i + 1], nullptr, 0);
        if (!std::strcmp(argv[i], "--count")) count = std::strtoull(argv[i + 1], nullptr, 0);
    }
    auto loop = std::move(*io::Loop::create({.uring = false}));
    u64 started = 0, completed = 0, cancelled = 0, failed = 0;
    for (u64 n = 0; n < count; n++) {
        Round round{*loop, seed + n};
        Result<void> r = loop->run(round.run(150));
        if (r && !round.trouble.empty()) r = Error::corrupt("{}", round.trouble);
        if (!r) {
            std::fprintf(stderr, "seed %lu: %s\n%s\n", (unsigned long)(seed + n), r.error().message().c_str(),
                         round.trail.c_str());
            std::_Exit(1);
        }
        round.guest.reset();
        round.targets.clear();
        // Errors that are left to be injected may come now.
        Result<void> closed = loop->run(round.storage->shut_down());
        if (!closed && closed.error().message().find("(injected)") == std::string::npos) {
            std::fprintf(stderr, "seed %lu: closing: %s\n", (unsigned long)(seed + n),
                         closed.error().message().c_str());
            return 1;
        }
        started += round.started;
        completed += round.completed;
        cancelled += round.cancelled;
        failed += round.failed;
    }
    std::printf("%lu rounds, %lu jobs: %lu completed, %lu cancelled, %lu failed\n", (unsigned long)count,
                (unsigned long)started, (unsigned long)completed, (unsigned long)cancelled, (unsigned long)failed);
    return started ? 0 : 1;
}
