// The block device (VIRTIO 1.2, 5.2) over a node of the block layer: read, write, flush, discard, write zeroes, get id,
// several queues. Not there: secure erase, lifetime, zoned devices.
//
// A request is parsed inside the device's context, kept as a described value, and done by a coroutine of the loop, which
// comes back through the machine's block port. One that is loaded, or was stopped by an error, is started again.
#include "base/io/scope.hpp"
#include "base/trace.hpp"
#include "block/graph.hpp"
#include "devices/base/machine.hpp"
#include "devices/virtio/blk_request.hpp"
#include "devices/virtio/device.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::devices::virtio {

namespace {

MIMIC_TRACE(virtio_blk_start, "virtio_blk", "start", "{} kind={} offset={:#x} bytes={:#x}");
MIMIC_TRACE(virtio_blk_end, "virtio_blk", "end", "{} offset={:#x} status={}");

using Kind = BlkRequest::Kind;

enum class OnError : u8 { automatic, report, ignore, enospc, stop };
constexpr std::string_view on_error_names[] = {"auto", "report", "ignore", "enospc", "stop"};

constexpr u32 max_queues = 64;
// Of the guest's clock: the machine has stopped by then.
constexpr u64 retry_delay = 10000000;

class VirtioBlk final : public VirtioDevice {
public:
    std::string_view type() const override { return "virtio-blk-device"; }
    u16 device_id() const override { return 2; }
    void describe(Describe& d) override;
    Result<void> realize() override;
    void unrealize() override;
    Result<void> after_load() override;
    u64 device_features() const override;
    void config(ConfigBytes& c) const override;
    void config_written(u32 offset, u8 value) override {
        if (offset == offsetof(virtio_blk_config, wce) && has(VIRTIO_BLK_F_CONFIG_WCE)) write_cache_ = value & 1;
    }
    void notified(u32 n) override;
    u32 in_flight() const override { return u32(jobs_); }
    std::string_view io_status() const override {
        constexpr std::string_view names[] = {"ok", "failed", "nospace"};
        return names[io_status_.load(std::memory_order_relaxed)];
    }
    std::string firmware_node() const override { return "disk@0,0"; }
    u32 boot_index() const override { return boot_index_; }
    void forget() override {
        requests_.clear();
        io_status_ = 0;
        retry_.disarm();
        write_cache_ = write_cache_default_;
    }
    bool settling(u32 n) const override {
        return jobs_of_[n] > std::count_if(requests_.begin(), requests_.end(),
                                           [&](const Request& r) { return r.queue == n && !r.failed; });
    }
    void queue_reset(u32 n) override {
        std::erase_if(requests_, [&](const Request& r) { return r.queue == n; });
    }

private:
    // A request in flight.
    struct Request {
        u64 serial = 0; // of this process
        u16 queue = 0;
        u8 failed = 0; // waits for the machine to run again
        Chain chain;
    };
    // What the loop needs of it.
    struct Job {
        u64 serial = 0;
        u64 answer = 0; // Machine::expect
        u32 queue = 0;
        BlkRequest request;
        Mapping mapping;
        std::shared_ptr<block::Root> node;
        bool through = false; // on stable storage when it ends
        u64 apart = 0;        // bytes of its own memory
    };
    // unrealize() waits for all of them.
    using Jobs = std::vector<std::unique_ptr<Job>>;

    BlkLimits limits() const;
    bool write_through() const { return !write_cache_ || (!has(VIRTIO_BLK_F_FLUSH) && !has(VIRTIO_BLK_F_CONFIG_WCE)); }
    bool take(u32 queue, const Chain& chain, u64 serial, Jobs& jobs);
    void start(Jobs jobs);
    io::Task<Result<void>> perform(Job& job);
    io::Task<Result<void>> run(std::unique_ptr<Job> job);
    void finished(Job& job, const Result<void>& result);
    void end(u32 queue, const Chain& chain, const BlkRequest& request, u8 status, u64 read);
    bool stops(const Job& job, const Error& error) const;
    OnError on_error(bool read) const;
    void tell_error(const Job& job, const Error& error, bool stopped);
    bool start_again(std::vector<Request> requests);
    void retry();

    DriveRef drive_;
    std::string serial_;
    u16 num_queues_ = 0xffff, queue_size_ = 256;
    u32 boot_index_ = no_boot_index;
    u32 logical_ = 0, physical_ = 0, min_io_ = 0, opt_io_ = 0;
    u32 max_discard_ = 0x3fffff, max_write_zeroes_ = 0x3fffff;
    bool discard_ = true, write_zeroes_ = true, config_wce_ = true, seg_max_adjust_ = true;
    bool write_cache_property_ = true;
    u8 rerror_ = 0, werror_ = 0;

    u64 sectors_ = 0;
    u8 write_cache_ = 1, write_cache_default_ = 1;
    std::vector<Request> requests_;
    u64 next_serial_ = 1;
    std::atomic<u8> io_status_{0};
    u64 jobs_ = 0;             // in the loop's hands, forgotten ones among them
    std::vector<i64> jobs_of_; // each queue
    // Counted time: data move when a request is made or ends, not when the host comes to it, for so many bytes at a time.
    static constexpr u64 most_apart = 64 << 20;
    u64 apart_ = 0;
    Timer retry_{*this, [this] { retry(); }};
};

void VirtioBlk::describe(Describe& d) {
    VirtioDevice::describe(d);
    d.drive("drive", drive_, "disk behind this device, by the id of a -drive");
    d.property("serial", serial_, "serial number, up to 20 characters");
    d.property("bootindex", boot_index_, "firmware starts from the lowest first; -1: from others", {.none = true});
    d.property("num-queues", num_queues_, "request queues; 65535: as many as fit the board", {.low = 1});
    d.property("queue-size", queue_size_, "buffers of a request follow from it", {.low = 4, .high = max_queue_size});
    d.property("logical_block_size", logical_, "bytes; 0: 512", {.size = true});
    d.property("physical_block_size", physical_, "bytes; 0: as the logical size", {.size = true});
    d.property("min_io_size", min_io_, "preferred least transfer in bytes; 0: none", {.size = true});
    d.property("opt_io_size", opt_io_, "best transfer in bytes; 0: none", {.size = true});
    d.property("discard", discard_, "offer discard");
    d.property("write-zeroes", write_zeroes_, "offer writing of zeros");
    d.property("max-discard-sectors", max_discard_, "of one request", {.low = 1, .high = 0x3fffff});
    d.property("max-write-zeroes-sectors", max_write_zeroes_, "of one request", {.low = 1, .high = 0x3fffff});
    d.property("config-wce", config_wce_, "let the driver turn the write cache on and off");
    d.property("write-cache", write_cache_property_, "has a write cache that needs flushes");
    d.property("seg-max-adjust", seg_max_adjust_, "buffers of a request follow from queue-size");
    d.property("rerror", rerror_, "what becomes of reads that fail", {.choices = on_error_names});
    d.property("werror", werror_, "what becomes of writes that fail", {.choices = on_error_names});
    d.state("write_cache", write_cache_, {.reset = write_cache_default_, .high = 1});
    d.timer("retry", retry_);
    d.list("request", requests_, max_queues * max_queue_size, [](Describe& e, Request& r) {
        e.state("queue", r.queue, {.high = max_queues - 1});
        e.state("failed", r.failed, {.high = 1});
        r.chain.describe(e);
    });
    d.derived("sectors", sectors_);
    d.derived("jobs", jobs_);
}

Result<void> VirtioBlk::realize() {
    TRY(VirtioDevice::realize());
    if (!drive_.node) return Error::invalid_argument("property 'drive' is not set, expected the id of a -drive");
    if (num_queues_ == 0xffff) num_queues_ = 1;
    if (num_queues_ > max_queues)
        return Error::invalid_argument("property 'num-queues': {}, expected at most {}", num_queues_, max_queues);
    if (serial_.size() > VIRTIO_BLK_ID_BYTES)
        return Error::invalid_argument("property 'serial': '{}', expected at most {} characters", serial_,
                                       VIRTIO_BLK_ID_BYTES);
    if (logical_ == 0) logical_ = 512;
    if (physical_ == 0) physical_ = logical_;
    for (auto [name, v] : {std::pair("logical_block_size", logical_), std::pair("physical_block_size", physical_)})
        if (v < 512 || v > 2u << 20 || v & (v - 1))
            return Error::invalid_argument("property '{}': {}, expected a power of two from 512 to 2M", name, v);
    if (physical_ < logical_)
        return Error::invalid_argument("property 'physical_block_size': {}, expected at least the logical {}",
                                       physical_, logical_);
    write_cache_default_ = write_cache_ = write_cache_property_;
    sectors_ = drive_.node->size() / 512;
    drive_.node->on_resize = [this] {
        machine().arrive(Port::block, *this, [this] {
            sectors_ = drive_.node->size() / 512;
            config_changed();
        });
    };
    make_queues(num_queues_);
    jobs_of_.assign(num_queues_, 0);
    return {};
}

void VirtioBlk::unrealize() {
    if (drive_.node) drive_.node->on_resize = [] {};
    forget();
    // What the kernel has of guest memory must come back before the device goes.
    block::Hurried go;
    if (drive_.node) go = block::Hurried(*drive_.node);
    const bool stands = !machine().running() && !machine().frozen();
    if (stands) machine().hurry(true);
    if (jobs_ && machine().loop()) machine().loop()->run_until([this] { return jobs_ == 0; });
    if (stands) machine().hurry(false);
    VirtioDevice::unrealize();
}

u64 VirtioBlk::device_features() const {
    u64 f = feature(VIRTIO_BLK_F_SEG_MAX) | feature(VIRTIO_BLK_F_GEOMETRY) | feature(VIRTIO_BLK_F_BLK_SIZE) |
            feature(VIRTIO_BLK_F_FLUSH) | feature(VIRTIO_BLK_F_TOPOLOGY);
    if (drive_.read_only) f |= feature(VIRTIO_BLK_F_RO);
    if (config_wce_) f |= feature(VIRTIO_BLK_F_CONFIG_WCE);
    if (num_queues_ > 1) f |= feature(VIRTIO_BLK_F_MQ);
    if (discard_) f |= feature(VIRTIO_BLK_F_DISCARD);
    if (write_zeroes_) f |= feature(VIRTIO_BLK_F_WRITE_ZEROES);
    return f;
}

void VirtioBlk::config(ConfigBytes& c) const {
    constexpr u32 heads = 16, track = 63; // of a disk too large to have a geometry
    u32 block = logical_ / 512;
    c.field(sectors_);
    c.field(u32(0)); // size_max
    c.field(u32((seg_max_adjust_ ? queue_size_ : 128) - 2));
    c.field(u16(std::clamp<u64>(sectors_ / (heads * track), 2, 16383)));
    c.field(u8(heads));
    c.field(u8(track));
    c.field(logical_);
    c.field(u8(__builtin_ctz(physical_ / logical_)));
    c.field(u8(0)); // alignment_offset
    c.field(u16(min_io_ / logical_));
    c.field(u32(opt_io_ / logical_));
    c.field(write_cache_);
    c.field(u8(0));
    c.field(num_queues_);
    c.field(discard_ ? max_discard_ : u32(0));
    c.field(u32(discard_));
    c.field(block);
    c.field(write_zeroes_ ? max_write_zeroes_ : u32(0));
    c.field(u32(write_zeroes_));
    c.field(u8(write_zeroes_)); // write_zeroes_may_unmap
}

BlkLimits VirtioBlk::limits() const {
    return {.sectors = sectors_,
            .block_sectors = logical_ / 512,
            .read_only = drive_.read_only,
            .discard = has(VIRTIO_BLK_F_DISCARD),
            .write_zeroes = has(VIRTIO_BLK_F_WRITE_ZEROES),
            .max_discard = max_discard_,
            .max_write_zeroes = max_write_zeroes_};
}

void VirtioBlk::notified(u32 n) {
    Jobs jobs;
    bool refused = false;
    serve(n, [&](Chain& chain) {
        u64 serial = next_serial_++;
        size_t before = jobs.size();
        if (!take(n, chain, serial, jobs)) {
            refused = true;
            return false;
        }
        if (jobs.size() > before) requests_.push_back({serial, u16(n), 0, std::move(chain)});
        return true;
    });
    start(std::move(jobs));
    if (refused) fail(n, "a request has no header, no status, or memory that is not there");
}

// Adds a job, or ends a request that needs none. False: the request is malformed.
bool VirtioBlk::take(u32 n, const Chain& chain, u64 serial, Jobs& jobs) {
    auto job = std::make_unique<Job>();
    BlkRequest& r = job->request;
    if (!parse_blk_request(dma(), chain, limits(), r)) return false;
    trace::emit(virtio_blk_start, id(), u8(r.kind), r.offset, r.bytes);
    if (r.kind == Kind::refused) {
        end(n, chain, r, r.status, 0);
        return true;
    }
    if (r.kind == Kind::id) {
        char name[VIRTIO_BLK_ID_BYTES] = {};
        std::memcpy(name, serial_.data(), std::min(serial_.size(), sizeof name));
        u64 given = dma().scatter(r.data, 0, name, std::min<u64>(sizeof name, total(r.data)));
        end(n, chain, r, VIRTIO_BLK_S_OK, given);
        return true;
    }
    bool transfers = r.kind == Kind::read || r.kind == Kind::write;
    const u64 bytes = total(r.data);
    if (machine().is_counted() && transfers && bytes <= most_apart - apart_) job->apart = bytes;
    if (transfers && !job->mapping.map(dma(), r.data, r.kind == Kind::read, job->apart)) return false;
    apart_ += job->apart;
    job->serial = serial;
    job->queue = n;
    job->node = drive_.node;
    job->through = write_through();
    jobs.push_back(std::move(job));
    return true;
}

void VirtioBlk::start(Jobs jobs) {
    if (jobs.empty()) return;
    jobs_ += jobs.size();
    for (auto& job : jobs) {
        job->answer = machine().expect();
        jobs_of_[job->queue]++;
    }
    auto shared = std::make_shared<Jobs>(std::move(jobs));
    machine().post([this, shared] {
        for (auto& job : *shared) io::spawn(run(std::move(job)), [](const Error&) {});
    });
}

io::Task<Result<void>> VirtioBlk::perform(Job& job) {
    const BlkRequest& r = job.request;
    block::Root& node = *job.node;
    u32 fua = job.through ? block::flag::fua : 0;
    switch (r.kind) {
    case Kind::read: co_return co_await node.read(r.offset, job.mapping.memory());
    case Kind::write: co_return co_await node.write(r.offset, job.mapping.memory(), fua);
    case Kind::flush: co_return co_await node.flush();
    case Kind::discard: co_return co_await node.discard(r.offset, r.bytes);
    case Kind::write_zeroes:
        co_return co_await node.write_zeroes(r.offset, r.bytes, fua | (r.unmap ? block::flag::may_unmap : 0));
    case Kind::id:
    case Kind::refused: break;
    }
    co_return Result<void>();
}

io::Task<Result<void>> VirtioBlk::run(std::unique_ptr<Job> job) {
    Result<void> result = co_await perform(*job);
    const u64 answer = job->answer;
    std::shared_ptr<Job> done = std::move(job); // whoever runs it may do so later
    machine().answer(answer, Port::block, *this, [this, done, result] {
        jobs_--;
        jobs_of_[done->queue]--;
        apart_ -= done->apart;
        finished(*done, result);
    });
    co_return Result<void>();
}

bool VirtioBlk::stops(const Job& job, const Error& error) const {
    const OnError action = on_error(job.request.kind == Kind::read);
    return action == OnError::stop || (action == OnError::enospc && error.kind() == ErrorKind::no_space);
}

// The device's word, else the drive's, else what disks do.
OnError VirtioBlk::on_error(bool read) const {
    const OnError own = OnError(read ? rerror_ : werror_);
    if (own != OnError::automatic) return own;
    const std::string& drives = read ? drive_.on_read_error : drive_.on_write_error;
    for (u32 n = 0; n < std::size(on_error_names); n++)
        if (drives == on_error_names[n]) return OnError(n);
    return read ? OnError::report : OnError::enospc;
}

// "BLOCK_IO_ERROR" of QMP.
void VirtioBlk::tell_error(const Job& job, const Error& error, bool stopped) {
    const bool read = job.request.kind == Kind::read;
    Json data = Json::object();
    data.set("qom-path", path());
    data.set("device", drive_.id);
    const std::string& node = drive_.node->node().options().node_name;
    if (!node.empty()) data.set("node-name", node);
    data.set("operation", read ? "read" : "write");
    data.set("action", stopped ? "stop" : on_error(read) == OnError::ignore ? "ignore" : "report");
    // Said by disks that may stop the machine, whose state is then this.
    const OnError writes = on_error(false);
    if (on_error(true) == OnError::stop || writes == OnError::stop || writes == OnError::enospc)
        data.set("nospace", error.kind() == ErrorKind::no_space);
    data.set("reason", error.message());
    machine().tell("BLOCK_IO_ERROR", std::move(data));
}

void VirtioBlk::finished(Job& job, const Result<void>& result) {
    auto at =
        std::find_if(requests_.begin(), requests_.end(), [&](const Request& r) { return r.serial == job.serial; });
    if (at == requests_.end()) return job.mapping.forgotten(); // the device or its queue was reset
    const BlkRequest& r = job.request;
    u8 status = VIRTIO_BLK_S_OK;
    if (!result) {
        const bool stop = stops(job, result.error());
        tell_error(job, result.error(), stop);
        if (stop) {
            at->failed = 1;
            io_status_ = result.error().kind() == ErrorKind::no_space ? 2 : 1;
            machine().request({devices::Request::Kind::stop, "io-error"});
            retry_.arm(machine().now() + retry_delay);
            return;
        }
        if (on_error(r.kind == Kind::read) != OnError::ignore)
            status = result.error().kind() == ErrorKind::unsupported ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
    }
    u64 read = r.kind == Kind::read ? r.bytes : 0;
    Chain chain = std::move(at->chain);
    u16 n = at->queue;
    requests_.erase(at); // first: what is written may be this device's registers
    job.mapping.written(dma(), read);
    end(n, chain, r, status, read);
}

void VirtioBlk::end(u32 n, const Chain& chain, const BlkRequest& r, u8 status, u64 read) {
    trace::emit(virtio_blk_end, id(), r.offset, status);
    if (dma().scatter({&r.status_byte, 1}, 0, &status, 1) != 1) return fail(n, "a status byte is not in memory");
    complete(n, chain, u32(read + 1));
}

// Starts requests that were there before. False: one is malformed; it is lost.
bool VirtioBlk::start_again(std::vector<Request> requests) {
    Jobs jobs;
    bool good = true;
    for (Request& r : requests) {
        u64 serial = next_serial_++;
        size_t before = jobs.size();
        good &= r.queue < queue_count() && take(r.queue, r.chain, serial, jobs);
        if (jobs.size() > before) requests_.push_back({serial, r.queue, 0, std::move(r.chain)});
    }
    start(std::move(jobs));
    return good;
}

// What stopped the machine is tried again when its clock goes on.
void VirtioBlk::retry() {
    std::vector<Request> failed;
    io_status_ = 0;
    for (Request& r : requests_)
        if (r.failed) failed.push_back(std::move(r));
    std::erase_if(requests_, [](const Request& r) { return r.failed; });
    if (!start_again(std::move(failed))) fail("a request that was stopped is malformed");
}

Result<void> VirtioBlk::after_load() {
    TRY(VirtioDevice::after_load());
    std::vector<Request> all, stopped;
    for (Request& r : requests_) (r.failed ? stopped : all).push_back(std::move(r));
    requests_.clear();
    if (!start_again(std::move(all))) return Error::corrupt("a request in flight is malformed");
    if (!stopped.empty()) io_status_ = 1; // why is not told
    for (Request& r : stopped) requests_.push_back({next_serial_++, r.queue, 1, std::move(r.chain)});
    return {};
}

} // namespace
} // namespace mimic::devices::virtio

namespace mimic::devices {
MIMIC_DEVICE(virtio_blk){"virtio-blk-device", "virtio-bus", "virtio block device (VIRTIO 1.2, 5.2)",
                         make_device<virtio::VirtioBlk>, true};
}
