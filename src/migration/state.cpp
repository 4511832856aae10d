#include "migration/state.hpp"
#include "isa/system.hpp"
#include <algorithm>
#include <cstring>
#include <map>
#include <unistd.h>

namespace mimic::migration {

namespace {

constexpr u64 page = memory::RamBlock::page_size;

} // namespace

bool is_zero_page(const u8* p) {
    u64 any = 0;
    for (u64 i = 0; i < page; i += 64) {
        u64 w[8];
        std::memcpy(w, p + i, sizeof w);
        any |= w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
        if (any) return false;
    }
    return true;
}

namespace {

// ---- registers: their names and bytes. Beside those that the guest names: pc, whether the processor is on, and mode bits that
// are no function of the others (how the pc was branched to).

std::vector<u8> save_cpu(cpu::Vcpu& vcpu) {
    const isa::Guest& guest = vcpu.guest();
    ir::CpuHeader& h = vcpu.header();
    Payload p;
    auto field = [&](std::string_view name, const void* value, u16 bytes) {
        p.text(name);
        p.number(bytes);
        p.raw({static_cast<const u8*>(value), bytes});
    };
    p.number(vcpu.index());
    p.number(u32(guest.registers().size() + 3));
    for (u32 n = 0; n < guest.registers().size(); n++) {
        std::vector<u8> value(guest.registers()[n].bytes);
        guest.read_register(h, n, value.data());
        field(guest.registers()[n].name, value.data(), u16(value.size()));
    }
    u8 powered = vcpu.powered();
    u32 mode = h.mode & guest.state().entry_mode;
    field("pc", &h.pc, 8);
    field("powered", &powered, 1);
    field("entry_mode", &mode, 4);
    return std::move(p.out);
}

} // namespace

Json describe_machine(machines::Board& board) {
    Json j = Json::object();
    j.set("board", board.options().type_name);
    const bool any = !board.vcpus().empty();
    j.set("guest", any ? board.vcpus()[0]->guest().name() : std::string_view());
    j.set("model", any ? board.vcpus()[0]->guest().model() : std::string_view());
    j.set("cpus", u64(board.vcpus().size()));
    Json blocks = Json::array();
    for (memory::RamBlock* b : board.ram_blocks()) {
        Json one = Json::object();
        one.set("name", b->name());
        one.set("size", b->size());
        blocks.push(std::move(one));
    }
    j.set("ram", std::move(blocks));
    return j;
}

Saved save_state(machines::Board& board, bool running) {
    Saved s{Json::object(), {}, board.machine().save()};
    s.moment.set("running", running);
    s.moment.set("clock", board.machine().now());
    s.moment.set("count", board.machine().count());
    s.moment.set("random", board.machine().random_state());
    for (const auto& vcpu : board.vcpus()) s.cpus.push_back(save_cpu(*vcpu));
    return s;
}

// ---- loading ----------------------------------------------------------------------------------------------------------

Result<void> Loading::read(Source source, Progress& progress) {
    StreamReader in(
        [&](std::span<u8> out) -> Result<void> {
            TRY(source(out));
            progress.bytes.fetch_add(out.size(), std::memory_order_relaxed);
            return {};
        },
        check_);
    TRY(in.begin());
    for (;;) {
        if (cancelled_) return Error::cancelled("it was cancelled");
        Section s = TRY(in.next());
        if (s.version == 0 || s.version > section_version)
            return Error::unsupported("section '{}' has version {}, expected at most {}", s.name, s.version,
                                      section_version);
        if (s.name == "end") {
            answer_ = !s.payload.empty() && s.payload[0] == 1;
            break;
        }
        TRY(take(s));
    }
    if (moment_.is_null()) return Error::corrupt("there is no section 'moment'");
    if (cpus_.size() != board_.vcpus().size())
        return Error::corrupt("there are {} processors, expected {}", cpus_.size(), board_.vcpus().size());
    if (devices_.empty()) return Error::corrupt("there is no section 'devices'");
    return {};
}

Result<void> Loading::take(Section& s) {
    if ((s.name == "machine") == !machine_.is_null())
        return Error::corrupt("section '{}' is not where it should be: 'machine' is the first, and one", s.name);
    if (s.name == "machine") return take_machine(s);
    if (s.name == "ram" || s.name == "zero") return take_ram(s, s.name == "zero").in("section '{}'", s.name);
    if (s.name == "moment") return take_moment(s);
    if (s.name == "cpu") {
        if (cpus_.size() >= board_.vcpus().size()) return Error::corrupt("there are too many sections 'cpu'");
        cpus_.push_back(std::move(s.payload));
        return {};
    }
    if (s.name != "devices") return Error::corrupt("section '{}' is unknown", s.name);
    if (!devices_.empty()) return Error::corrupt("there are two sections 'devices'");
    devices_ = std::move(s.payload);
    return {};
}

// What must equal is compared by its text, so that the message shows both.
Result<void> Loading::take_machine(const Section& s) {
    machine_ =
        TRY(Json::parse({reinterpret_cast<const char*>(s.payload.data()), s.payload.size()}).in("section 'machine'"));
    Json here = describe_machine(board_);
    if (!machine_.members()) return Error::corrupt("section 'machine' is no object");
    for (const char* name : {"board", "guest", "model", "cpus", "ram"}) {
        const Json *saved = machine_.find(name), *own = here.find(name);
        if (!saved || !(*saved == *own))
            return Error::invalid_argument("it was saved with {} {}, but this machine has {}", name,
                                           saved ? saved->dump() : "missing", own->dump());
    }
    for (memory::RamBlock* b : board_.ram_blocks()) blocks_.push_back({b, std::vector<bool>(b->size() / page)});
    return {};
}

Result<void> Loading::take_moment(const Section& s) {
    if (!moment_.is_null()) return Error::corrupt("there are two sections 'moment'");
    moment_ =
        TRY(Json::parse({reinterpret_cast<const char*>(s.payload.data()), s.payload.size()}).in("section 'moment'"));
    if (!moment_.members()) return Error::corrupt("section 'moment' is no object");
    u64 number;
    const Json *clock = moment_.find("clock"), *random = moment_.find("random"), *running = moment_.find("running");
    if (!clock || !clock->get(number) || number >> 62 || !random || !random->get(number) || !running ||
        !running->boolean())
        return Error::corrupt("section 'moment' lacks 'clock', 'random' or 'running'");
    return {};
}

// Pages may come more than once, in different sections: the last ones are right. In one, runs come in order, so that what a section
// makes us write is not more than its block.
Result<void> Loading::take_ram(const Section& s, bool zero) {
    Fields in(s.payload);
    std::string name;
    if (!in.text(name)) return Error::corrupt("ends inside a name");
    auto at = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& b) { return b.block->name() == name; });
    if (at == blocks_.end()) return Error::corrupt("there is no block '{}'", name);
    memory::RamBlock& b = *at->block;
    u64 end = 0;
    while (!in.empty()) {
        if (cancelled_) return Error::cancelled("it was cancelled");
        u64 offset = 0;
        u32 bytes = 0;
        std::span<const u8> data;
        if (!in.number(offset) || !in.number(bytes) || (!zero && !in.raw(bytes, data)))
            return Error::corrupt("block '{}' ends inside a run", name);
        if (offset % page || bytes % page || offset > b.size() || bytes > b.size() - offset)
            return Error::corrupt("block '{}' has no pages [{:#x}, {:#x})", name, offset, offset + bytes);
        if (bytes == 0 || bytes > longest_run || offset < end)
            return Error::corrupt("block '{}' has a run [{:#x}, {:#x}), expected up to {} bytes from {:#x} on", name,
                                  offset, offset + bytes, longest_run, end);
        end = offset + bytes;
        if (zero)
            std::memset(b.host() + offset, 0, bytes);
        else
            std::memcpy(b.host() + offset, data.data(), bytes);
        b.note_write(offset, bytes);
        for (u64 p = offset / page; p < (offset + bytes) / page; p++) at->seen[p] = true;
    }
    return {};
}

// What was not sent is zero; the loader's pieces may lie there.
void Loading::clear_unseen() {
    for (Block& b : blocks_)
        for (u64 p = 0; p < b.seen.size(); p++) {
            u8* at = b.block->host() + p * page;
            if (b.seen[p] || is_zero_page(at)) continue;
            std::memset(at, 0, page);
            b.block->note_write(p * page, page);
        }
}

Result<void> Loading::load_cpu(std::span<const u8> payload, std::vector<bool>& done) {
    Fields in(payload);
    u32 index = 0, count = 0;
    if (!in.number(index) || !in.number(count)) return Error::corrupt("ends in its head");
    if (index >= done.size() || done[index]) return Error::corrupt("processor {} is unknown, or there twice", index);
    done[index] = true;
    cpu::Vcpu& vcpu = *board_.vcpus()[index];
    const isa::Guest& guest = vcpu.guest();
    size_t expected = guest.registers().size() + 3;
    if (count != expected) return Error::corrupt("has {} registers, expected {}", count, expected);
    std::map<std::string, std::span<const u8>> fields;
    for (u32 n = 0; n < count; n++) {
        std::string name;
        u16 bytes = 0;
        std::span<const u8> value;
        if (!in.text(name) || !in.number(bytes) || !in.raw(bytes, value))
            return Error::corrupt("ends inside a register");
        if (!fields.emplace(std::move(name), value).second) return Error::corrupt("has a register twice");
    }
    auto find = [&](std::string_view name, u32 bytes) -> Result<std::span<const u8>> {
        auto it = fields.find(std::string(name));
        if (it == fields.end() || it->second.size() != bytes)
            return Error::corrupt("register '{}' of {} bytes is missing", name, bytes);
        return it->second;
    };
    ir::CpuHeader& h = vcpu.header();
    auto pc = TRY(find("pc", 8)), powered = TRY(find("powered", 1)), entry = TRY(find("entry_mode", 4));
    u32 mode = 0;
    std::memcpy(&mode, entry.data(), 4);
    h.mode = mode & guest.state().entry_mode;
    for (u32 n = 0; n < guest.registers().size(); n++) {
        const isa::RegisterInfo& r = guest.registers()[n];
        guest.write_register(h, n, TRY(find(r.name, r.bytes)).data());
    }
    std::memcpy(&h.pc, pc.data(), 8);
    TRY(guest.system()->check_state(h));
    vcpu.registers_written();
    vcpu.set_powered(powered[0]);
    return {};
}

Result<bool> Loading::finish() {
    clear_unseen();
    u64 clock = 0, random = 0, count = 0; // count: of instructions, where they are counted
    moment_.find("clock")->get(clock);
    if (const Json* c = moment_.find("count"); c && (!c->get(count) || count >> 62))
        return Error::corrupt("section 'moment': 'count' is no number of instructions");
    moment_.find("random")->get(random);
    board_.machine().set_now(clock, count);
    board_.machine().set_random_state(random);
    std::vector<bool> done(board_.vcpus().size());
    for (const auto& cpu : cpus_) TRY(load_cpu(cpu, done).in("section 'cpu'"));
    TRY(board_.machine().load(devices_).in("section 'devices'"));
    board_.loaded_state();
    return *moment_.find("running")->boolean();
}

} // namespace mimic::migration
