#include "machines/board.hpp"
#include "base/nearest.hpp"
#include "devices/base/counted.hpp"
#include "devices/semihosting/semihosting.hpp"
#include "isa/system.hpp"
#include <algorithm>

namespace mimic::machines {

#define BOARD(ident) extern const BoardType ident##_board;
#include "boards.inc"
#undef BOARD

namespace {
constexpr const BoardType* all[] = {
#define BOARD(ident) &ident##_board,
#include "boards.inc"
#undef BOARD
};
} // namespace

std::span<const BoardType* const> boards() { return all; }

Result<const BoardType*> find_board(std::string_view guest, std::string_view name) {
    std::vector<std::string_view> names;
    for (const BoardType* b : all) {
        if (!b->is_for(guest)) continue;
        if (b->name == name || (!b->alias.empty() && b->alias == name)) return b;
        names.push_back(b->name);
        if (!b->alias.empty()) names.push_back(b->alias);
    }
    std::string list;
    for (std::string_view n : names) list += (list.empty() ? "" : ", ") + std::string(n);
    return Error::not_found("machine '{}' is not there for {}, expected one of {}{}", name, guest, list,
                            did_you_mean(name, names));
}

// The machine's clock port as processors see it.
struct Board::Clock final : cpu::Clock {
    devices::Machine& machine;
    explicit Clock(devices::Machine& m) : machine(m) {}
    u64 now() override { return machine.now(); }
};

// Counted time: the processors' side and the machine's.
struct Board::Counted final : devices::CountedTime, cpu::CountedClock::Events {
    devices::Machine& machine;
    cpu::CountedClock clock;
    Counted(devices::Machine& m, const cpu::CountOptions& o) : machine(m), clock(o) {
        clock.events = this;
        machine.count_time(*this);
    }
    u64 now() override { return clock.now(); }
    u64 count() override { return clock.count(); }
    void set(u64 nanoseconds, u64 count) override { clock.set(nanoseconds, count); }
    bool here() const override { return clock.here(); }
    void changed() override { clock.changed(); }
    void hold() override { clock.hold(); }
    void release() override { clock.release(); }
    void note(devices::Port port) override {
        clock.fold(u64(port));
        clock.fold(clock.count());
    }
    u64 next() override { return machine.next_event(); }
    bool run(const std::function<bool()>& stop) override { return machine.run_events(stop); }
    void wake() override { machine.wake_events(); }
};

struct Board::Lines final : devices::LineSink {
    cpu::Vcpu& vcpu;
    explicit Lines(cpu::Vcpu& v) : vcpu(v) {}
    void set_line(u32 number, bool level) override { vcpu.set_line(number, level); }
};

// Calls of the host, for the processors of a machine that has semihosting.
struct Board::Host final : cpu::HostPort {
    devices::Semihosting& device;
    bool userspace;
    Host(devices::Semihosting& d, bool u) : device(d), userspace(u) {}

    struct Memory final : devices::ProgramMemory {
        cpu::Vcpu& vcpu;
        explicit Memory(cpu::Vcpu& v) : vcpu(v) {}
        bool read(u64 address, void* out, u64 bytes) override {
            return vcpu.program_access(address, out, bytes, false);
        }
        bool write(u64 address, const void* in, u64 bytes) override {
            return vcpu.program_access(address, const_cast<void*>(in), bytes, true);
        }
    };
    Outcome call(cpu::Vcpu& vcpu, const isa::HostCall& c, u64& result) override {
        if (!c.privileged && !userspace) return Outcome::refused;
        Memory memory(vcpu);
        const devices::SemihostingCall call{vcpu.index(), c.operation, c.parameter, c.word};
        return device.call(call, memory, result) ? Outcome::done : Outcome::blocked;
    }
};

Board::Board(const BoardOptions& options)
    : options_(options)
    , machine_(options.machine)
    , loader_(machine_.memory())
    , clock_(std::make_unique<Clock>(machine_))
    , counted_(options.icount ? std::make_unique<Counted>(machine_, *options.icount) : nullptr) {
    machine_.on_settle_writes = [this] { settle_writes(); };
}

Board::~Board() {
    stop();
    if (counted_) machine_.end_count(); // what ends now still finds memory and lines
    machine_.settle();                  // and so does what was begun
    // Regions leave the tree before their blocks go.
    for (auto& region : regions_)
        if (region->parent()) region->parent()->remove(*region);
}

Result<void> Board::make_vcpus(std::string_view guest, std::string_view default_model, std::string_view features) {
    const isa::GuestInfo* info = isa::find_guest(guest);
    if (!info || !info->make_system) return Error::unsupported("guest '{}' has no machines in this program", guest);
    std::string model = options_.cpu.empty() ? std::string(default_model) : options_.cpu;
    guest_ = TRY(info->make_system(model.append(features)).in("-cpu"));
    cpu::AcceleratorOptions o;
    o.guest = guest_.get();
    o.memory = &machine_.memory();
    o.clock = counted_ ? static_cast<cpu::Clock*>(&counted_->clock) : clock_.get();
    if (counted_) o.counted = &counted_->clock;
    o.translation = options_.translation;
    o.single_thread = options_.single_thread;
    o.port = port();
    TRY(make_semihosting());
    o.host = host_.get();
    o.on_pause = [this](cpu::Vcpu& v, cpu::Pause p) {
        if (on_pause) on_pause(v, p);
    };
    auto made = options_.make_accelerator ? options_.make_accelerator(std::move(o))
                                          : cpu::make_accelerator(options_.accelerator, std::move(o));
    accelerator_ = TRY(std::move(made).in("-accel"));
    for (u32 i = 0; i < options_.smp.cpus; i++) {
        vcpus_.push_back(TRY(accelerator_->make_vcpu({.index = i, .id = vcpu_id(i), .secure_memory = secure_.get()})));
        lines_.push_back(std::make_unique<Lines>(*vcpus_.back()));
    }
    return {};
}

Result<void> Board::make_semihosting() {
    const SemihostingOptions& o = options_.semihosting;
    if (!o.enable) return {};
    devices::PropertyList properties;
    if (!o.chardev.empty()) properties.emplace_back("chardev", o.chardev);
    auto* made = TRY(machine_.create("semihosting", "semihosting", properties).in("-semihosting-config"));
    auto& device = static_cast<devices::Semihosting&>(*made);
    std::vector<std::string> words = o.arguments;
    if (words.empty() && !options_.kernel.empty()) words.push_back(options_.kernel);
    if (o.arguments.empty() && !options_.append.empty()) words.push_back(options_.append);
    for (const std::string& word : words) device.command_line += (device.command_line.empty() ? "" : " ") + word;
    device.heap = [this] { return heap(); };
    host_ = std::make_unique<Host>(device, o.userspace);
    return {};
}

// The largest part of RAM where nothing was loaded; the stack grows down from its end.
std::array<u64, 4> Board::heap() const {
    constexpr u64 alignment = 16;
    auto pieces = loaded();
    std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
    pieces.push_back({{}, ram_at_ + options_.ram_bytes, 0, false});
    u64 from = ram_at_, best = ram_at_, end = ram_at_;
    for (const LoadedPiece& p : pieces) {
        if (p.address > from && p.address <= ram_at_ + options_.ram_bytes && p.address - from > end - best)
            best = from, end = p.address;
        from = std::max(from, (p.address + p.bytes + alignment - 1) / alignment * alignment);
    }
    end = end / alignment * alignment;
    return {best, end, end, best};
}

devices::LineSink& Board::lines(u32 vcpu) { return *lines_.at(vcpu); }

u32 Board::line(std::string_view name) const {
    std::span<const std::string_view> names = guest_->system()->lines();
    auto it = std::find(names.begin(), names.end(), name);
    MIMIC_CHECK(it != names.end(), "a board connects a line that its processors do not have");
    return u32(it - names.begin());
}

std::string Board::serial(u32 n) const { return n < options_.serial.size() ? options_.serial[n] : std::string(); }

memory::Region& Board::make_secure_space() {
    secure_root_ = std::make_unique<memory::Region>("secure-memory", ~u64{0});
    secure_rest_ = std::make_unique<memory::Region>("memory", machine_.system(), 0, ~u64{0});
    secure_root_->add(*secure_rest_, 0, -1);
    secure_ = std::make_unique<memory::AddressSpace>("secure-memory", *secure_root_);
    return *secure_root_;
}

Result<void> Board::make_ram(std::string name, u64 at) {
    blocks_.push_back(TRY(memory::RamBlock::create(name, options_.ram_bytes, options_.ram).in("-m")));
    regions_.push_back(std::make_unique<memory::Region>(name, *blocks_.back(), 0, options_.ram_bytes, false));
    machine_.system().add(*regions_.back(), at);
    ram_at_ = at;
    machine_.ram_bytes = options_.ram_bytes;
    return {};
}

Result<void> Board::reset(devices::ResetKind kind) {
    machine_.reset(kind);
    TRY(loader_.reload());
    for (auto& vcpu : vcpus_) {
        vcpu->reset(isa::ResetKind(kind));
        reset_vcpu(*vcpu);
    }
    return {};
}

std::vector<memory::RamBlock*> Board::ram_blocks() const {
    std::vector<memory::RamBlock*> all;
    auto add = [&](memory::RamBlock* b) {
        if (b && std::find(all.begin(), all.end(), b) == all.end()) all.push_back(b);
    };
    for (const auto& b : blocks_) add(b.get());
    machine_.each([&](devices::Device& d) {
        for (u32 i = 0; i < d.regions(); i++) add(d.region(i).block());
    });
    return all;
}

void Board::collect_writes() {
    if (accelerator_) accelerator_->collect_writes();
}

// A processor may be in the middle of a write that its TLB allowed: once it was here, that write is in memory.
void Board::settle_writes() {
    for (const auto& vcpu : vcpus_) vcpu->run_inside([&](ir::CpuHeader&) { vcpu->forget_writes(); });
}

void Board::start(const std::function<bool(cpu::Vcpu&)>& which) {
    if (running_) return;
    running_ = true;
    machine_.thaw();
    machine_.set_running(true);
    if (counted_) counted_->clock.hold(); // all begin at the same count
    for (auto& vcpu : vcpus_)
        if (!which || which(*vcpu)) vcpu->start();
    if (counted_) counted_->clock.release();
}

void Board::stop() {
    if (!running_) return;
    running_ = false;
    if (counted_) counted_->clock.hold(); // none goes on, and no time passes, when some have been stopped
    for (auto& vcpu : vcpus_) vcpu->stop();
    for (auto& vcpu : vcpus_) vcpu->wait_stopped();
    if (counted_) counted_->clock.release();
    machine_.set_running(false);
}

} // namespace mimic::machines
