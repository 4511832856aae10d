// NOR flash with the Intel command set: one or more equal chips side by side make a bank.
// Source: JEDEC JESD68.01 Common Flash Interface and JEP137 (command set 0001); Intel StrataFlash Embedded Memory (P30)
// data sheet, section "Command codes and definitions". Programs and erases are done at once.
// Not there: one-time-programmable registers, passwords, partitions.
#include "base/io/scope.hpp"
#include "block/graph.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u32 max_chips = 8, write_buffer_words = 1024;
constexpr u8 ready = 0x80, program_error = 0x10, erase_error = 0x20, locked_error = 0x02; // status register

class CfiPflash final : public Device {
public:
    std::string_view type() const override { return "cfi.pflash01"; }
    void describe(Describe& d) override;
    Result<void> realize() override;
    void unrealize() override;
    u32 in_flight() const override { return jobs_; }
    void reset(ResetKind) override { update_mode(); }
    Result<void> after_load() override {
        update_mode();
        return {};
    }

private:
    // What reads of a chip give, and what a write to it is taken for.
    enum class Mode : u8 { array, status, identifier, query };
    enum class Step : u8 { command, program, erase, lock, buffer_count, buffer_data, buffer_confirm };
    struct Chip {
        Mode mode = Mode::array;
        Step step = Step::command;
        u8 status = ready;
        u32 count = 0, first = 0; // words that are still to come; the buffer's first word
        std::vector<u8> buffer;   // pairs of word address (4 bytes) and value (4 bytes)
    };

    u32 lanes() const { return width_ / device_width_; }
    u64 bank_bytes() const { return u64{blocks_} * sector_; }
    u8* word(u64 address, u32 lane) const { return block_->host() + address * width_ + lane * device_width_; }

    u64 read(u64 offset, u32 bytes);
    void write(u64 offset, u32 bytes, u64 value);
    u32 chip_read(Chip& chip, u64 address, u32 lane);
    void chip_write(Chip& chip, u64 address, u32 lane, u32 value);
    void command(Chip& chip, u64 address, u32 lane, u8 code);
    void second_write(Chip& chip, u64 address, u32 lane, u32 value);
    void program(Chip& chip, u64 address, u32 lane, u32 value);
    void program_buffer(Chip& chip, u32 lane);
    void erase(Chip& chip, u64 address, u32 lane);
    void set_step(Chip& chip, Step step) {
        chip.step = step;
        chip.mode = Mode::status;
    }
    u8 query(u64 address) const;
    // The buffer of a chip holds write_buffer_words over all chips.
    u8 log_buffer() const { return u8(31 - __builtin_clz(write_buffer_words / lanes() * device_width_)); }
    void update_mode();
    void changed(u64 offset, u64 bytes);
    io::Task<Result<void>> write_back(u64 offset, u64 bytes);

    DriveRef drive_;
    u32 blocks_ = 128, sector_ = 0x40000;
    u8 width_ = 4, device_width_ = 2;
    u16 id0_ = 0x89, id1_ = 0x18, id2_ = 0, id3_ = 0;
    std::string name_ = "pflash";
    std::vector<Chip> chips_;
    std::atomic<u32> jobs_{0}; // what is being written back; counted down on the loop's thread
    std::unique_ptr<memory::RamBlock> block_;
    std::unique_ptr<memory::Handler> handler_;
    std::unique_ptr<memory::Region> region_;
};

Result<void> CfiPflash::realize() {
    bool widths = (device_width_ == 1 || device_width_ == 2 || device_width_ == 4) &&
                  (width_ == 1 || width_ == 2 || width_ == 4 || width_ == 8) && width_ >= device_width_;
    if (!widths)
        return Error::invalid_argument("property 'width': {} with device-width {}, expected 1, 2, 4 or 8, a multiple "
                                       "of a device-width of 1, 2 or 4",
                                       width_, device_width_);
    if (sector_ % (4096 * width_) || (sector_ & (sector_ - 1)))
        return Error::invalid_argument("property 'sector-length': {}, expected a power of two, at least {}", sector_,
                                       4096 * width_);
    block_ = TRY(memory::RamBlock::create(name_, bank_bytes(), {.backing = memory::RamBlock::Backing::anonymous}));
    if (drive_.node) {
        u64 size = drive_.node->size();
        if (size != bank_bytes())
            return Error::invalid_argument("property 'drive': '{}' has {} bytes, expected {}", drive_.id, size,
                                           bank_bytes());
        block::IoVec all(block_->host(), bank_bytes());
        if (machine().loop()) TRY(machine().loop()->run(drive_.node->read(0, all)).in("property 'drive'"));
    }
    chips_.assign(lanes(), Chip{});
    handler_ = std::make_unique<Window<CfiPflash>>(*this, &CfiPflash::read, &CfiPflash::write);
    region_ = std::make_unique<memory::Region>(name_, *block_, *handler_, memory::AccessRules{});
    return {};
}

u64 CfiPflash::read(u64 offset, u32 bytes) {
    u64 value = 0;
    for (u32 i = 0; i < bytes;) { // lane by lane
        u64 at = offset + i, address = at / width_;
        u32 lane = u32(at % width_) / device_width_, skip = u32(at % device_width_);
        u32 n = std::min(device_width_ - skip, bytes - i);
        u64 part = chip_read(chips_[lane], address, lane) >> (8 * skip);
        value |= (part & ((u64{1} << (8 * n)) - 1)) << (8 * i);
        i += n;
    }
    return value;
}

void CfiPflash::write(u64 offset, u32 bytes, u64 value) {
    for (u32 i = 0; i < bytes;) {
        u64 at = offset + i, address = at / width_;
        u32 lane = u32(at % width_) / device_width_, skip = u32(at % device_width_);
        u32 n = std::min(device_width_ - skip, bytes - i);
        u64 mask = ((u64{1} << (8 * n)) - 1) << (8 * skip);
        u64 part = (value >> (8 * i)) << (8 * skip) & mask;
        // Bytes of a word that the bus does not drive keep what is there: they program as ones.
        chip_write(chips_[lane], address, lane, u32(part | (~mask & 0xffffffff)));
        i += n;
    }
    update_mode();
}

u32 CfiPflash::chip_read(Chip& chip, u64 address, u32 lane) {
    u32 value = 0;
    switch (chip.mode) {
    case Mode::array: std::memcpy(&value, word(address, lane), device_width_); break;
    case Mode::status: value = chip.status; break;
    case Mode::identifier:
        switch (address & 0xff) {
        case 0: value = id0_; break;
        case 1: value = id1_; break;
        default: break; // 2: block is unlocked
        }
        break;
    case Mode::query: value = query(address & 0xff); break;
    }
    return value;
}

void CfiPflash::chip_write(Chip& chip, u64 address, u32 lane, u32 value) {
    if (chip.step == Step::command)
        command(chip, address, lane, u8(value));
    else
        second_write(chip, address, lane, value);
}

void CfiPflash::command(Chip& chip, u64 address, u32, u8 code) {
    switch (code) {
    case 0xf0: // the reset of another command set, which drivers that look for a flash write, too
    case 0xff: chip.mode = Mode::array; break;
    case 0x10:
    case 0x40: set_step(chip, Step::program); break;
    case 0x20:
    case 0x28: set_step(chip, Step::erase); break;
    case 0x50: chip.status = ready; break;
    case 0x60: set_step(chip, Step::lock); break;
    case 0x70: chip.mode = Mode::status; break;
    case 0x90: chip.mode = Mode::identifier; break;
    case 0x98: chip.mode = Mode::query; break;
    case 0xb0: // suspend and resume: what they are for is over already
    case 0xd0: chip.mode = Mode::status; break;
    case 0xe8:
        set_step(chip, Step::buffer_count);
        chip.status |= ready;
        break;
    default: trace::guest_error(id(), "unknown command {:#x} at word {:#x}", code, address); chip.mode = Mode::array;
    }
}

// What follows a command's first write.
void CfiPflash::second_write(Chip& chip, u64 address, u32 lane, u32 value) {
    Step step = chip.step;
    chip.step = Step::command;
    chip.mode = Mode::status;
    switch (step) {
    case Step::program: program(chip, address, lane, value); break;
    case Step::erase:
        if (u8(value) == 0xd0)
            erase(chip, address, lane);
        else
            chip.status |= program_error | erase_error; // a command sequence error
        break;
    case Step::lock: // no block is ever locked
        if (u8(value) != 0x01 && u8(value) != 0xd0 && u8(value) != 0x2f) chip.status |= program_error | erase_error;
        break;
    case Step::buffer_count:
        chip.count = (value & 0xffff) + 1;
        if (chip.count > write_buffer_words / lanes()) {
            chip.count = 0;
            chip.status |= program_error | erase_error;
            break;
        }
        chip.buffer.clear();
        chip.first = u32(address);
        chip.step = Step::buffer_data;
        break;
    case Step::buffer_data: {
        u32 entry[2] = {u32(address), value};
        const u8* bytes = reinterpret_cast<const u8*>(entry);
        chip.buffer.insert(chip.buffer.end(), bytes, bytes + sizeof entry);
        chip.step = --chip.count ? Step::buffer_data : Step::buffer_confirm;
        break;
    }
    case Step::buffer_confirm:
        if (u8(value) == 0xd0)
            program_buffer(chip, lane);
        else
            chip.status |= program_error | erase_error;
        break;
    case Step::command: break;
    }
}

void CfiPflash::program_buffer(Chip& chip, u32 lane) {
    for (size_t i = 0; i + 8 <= chip.buffer.size(); i += 8) {
        u32 entry[2];
        std::memcpy(entry, &chip.buffer[i], 8);
        program(chip, entry[0], lane, entry[1]);
    }
    chip.buffer.clear();
}

// Programming clears bits; only an erase sets them.
void CfiPflash::program(Chip& chip, u64 address, u32 lane, u32 value) {
    if ((address + 1) * width_ > bank_bytes() || drive_.read_only) {
        chip.status |= program_error | (drive_.read_only ? locked_error : 0);
        return;
    }
    u32 old = 0;
    std::memcpy(&old, word(address, lane), device_width_);
    old &= value;
    std::memcpy(word(address, lane), &old, device_width_);
    changed(address * width_ + lane * device_width_, device_width_);
}

void CfiPflash::erase(Chip& chip, u64 address, u32 lane) {
    u64 words = sector_ / width_, first = address / words * words;
    if (first * width_ >= bank_bytes() || drive_.read_only) {
        chip.status |= erase_error | (drive_.read_only ? locked_error : 0);
        return;
    }
    for (u64 w = first; w < first + words; w++) std::memset(word(w, lane), 0xff, device_width_);
    changed(first * width_, sector_);
}

// The query table (JESD68.01): one byte a word.
u8 CfiPflash::query(u64 address) const {
    u64 chip_bytes = bank_bytes() / lanes();
    u32 sector_of_chip = sector_ / lanes();
    u8 log_size = u8(63 - __builtin_clzll(chip_bytes));
    switch (address) {
    case 0x10: return 'Q';
    case 0x11: return 'R';
    case 0x12: return 'Y';
    case 0x13: return 0x01; // Intel/Sharp extended command set
    case 0x15: return 0x31; // address of the extended table
    case 0x1b: return 0x45; // Vcc 4.5 V to 5.5 V
    case 0x1c: return 0x55;
    case 0x1f: return 0x07; // times: 2^n us and ms
    case 0x20: return 0x07;
    case 0x21: return 0x0a;
    case 0x23: return 0x04;
    case 0x24: return 0x04;
    case 0x25: return 0x04;
    case 0x27: return log_size;
    case 0x28: return device_width_ == 1 ? 0x00 : device_width_ == 2 ? 0x01 : 0x03; // interface
    case 0x2a: return log_buffer();                                                 // bytes of the write buffer, 2^n
    case 0x2c: return 0x01;                                                         // erase block regions
    case 0x2d: return u8(blocks_ - 1);
    case 0x2e: return u8((blocks_ - 1) >> 8);
    case 0x2f: return u8(sector_of_chip >> 8); // in units of 256 bytes
    case 0x30: return u8(sector_of_chip >> 16);
    case 0x31: return 'P';
    case 0x32: return 'R';
    case 0x33: return 'I';
    case 0x34: return '1';
    case 0x35: return '0';
    default: return 0;
    }
}

void CfiPflash::update_mode() {
    bool array = true;
    for (const Chip& c : chips_) array &= c.mode == Mode::array && c.step == Step::command;
    region_->set_readable(array);
}

void CfiPflash::changed(u64 offset, u64 bytes) {
    block_->note_write(offset, bytes);
    if (!drive_.node || drive_.read_only || !machine().loop()) return;
    jobs_++;
    machine().post([this, offset, bytes] {
        io::spawn(write_back(offset, bytes), [this](const Error& e) {
            std::fprintf(stderr, "mimic: %s: cannot write back: %s\n", id().c_str(), e.message().c_str());
        });
    });
}

io::Task<Result<void>> CfiPflash::write_back(u64 offset, u64 bytes) {
    block::IoVec memory(block_->host() + offset, bytes);
    std::shared_ptr<block::Root> node = drive_.node;
    Result<void> result = co_await node->write(offset, memory);
    jobs_--;
    co_return result;
}

void CfiPflash::unrealize() {
    // What is written back is this device's memory.
    block::Hurried go;
    if (drive_.node) go = block::Hurried(*drive_.node);
    if (jobs_ && machine().loop()) machine().loop()->run_until([this] { return jobs_ == 0; });
}

void CfiPflash::describe(Describe& d) {
    d.drive("drive", drive_, "its contents");
    d.property("num-blocks", blocks_, "erase blocks", {.low = 1, .high = 65536});
    d.property("sector-length", sector_, "bytes of an erase block, of all chips together",
               {.low = 4096, .high = 1 << 24});
    d.property("width", width_, "bytes of the bank's data bus", {.low = 1, .high = 8});
    d.property("device-width", device_width_, "bytes of a chip's data bus", {.low = 1, .high = 4});
    d.property("id0", id0_, "manufacturer");
    d.property("id1", id1_, "device");
    d.property("id2", id2_, "not used by this command set");
    d.property("id3", id3_, "not used by this command set");
    d.property("name", name_, "name of the memory");
    if (region_) d.region(*region_);
    for (u32 i = 0; i < chips_.size(); i++) {
        Describe::Group group(d, "chip", i);
        Chip& c = chips_[i];
        d.state("mode", c.mode, {.high = u64(Mode::query)});
        d.state("step", c.step, {.high = u64(Step::buffer_confirm)});
        d.state("status", c.status, {.reset = ready});
        d.state("count", c.count, {.high = write_buffer_words});
        d.state("first", c.first);
        d.state("buffer", c.buffer, write_buffer_words * 8);
    }
}

} // namespace

MIMIC_DEVICE(cfi_pflash01) = {
    .name = "cfi.pflash01", .bus = "system", .summary = "NOR flash, Intel command set", .make = make_device<CfiPflash>};

} // namespace mimic::devices
