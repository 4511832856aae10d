// Firmware configuration device, memory-mapped, with its DMA interface.
// Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device".
// Files of devices that want it are written by DMA; all other items are read-only.
#include "devices/misc/fw_cfg.hpp"
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include <algorithm>
#include <map>

namespace mimic::devices {
namespace {

constexpr u32 max_files = 32, name_size = 56, entry_size = 64;
constexpr u64 dma_signature = 0x51454d5520434647; // "QEMU CFG"
constexpr u32 dma_error = 1, dma_read = 2, dma_skip = 4, dma_select = 8, dma_write = 16;
// Bytes that one command moves at most before others get their turn; longer ones are errors.
constexpr u32 max_transfer = 1u << 30;

void put_be(std::vector<u8>& out, u64 value, u32 bytes) {
    for (u32 i = bytes; i-- > 0;) out.push_back(u8(value >> (8 * i)));
}

class FwCfgMem final : public FwCfg {
public:
    std::string_view type() const override { return "fw_cfg_mem"; }
    void describe(Describe& d) override;
    Result<void> realize() override {
        add(fw_cfg_key::signature, {'Q', 'E', 'M', 'U'});
        add_number(fw_cfg_key::id, dma_enabled_ ? 3 : 1, 4);
        make_directory();
        return {};
    }

    void add(u16 key, std::vector<u8> bytes) override { items_[key] = {.own = std::move(bytes)}; }
    Result<void> add_file(std::string name, std::vector<u8> bytes) override {
        return add_item(std::move(name), {.own = std::move(bytes)});
    }
    Result<void> add_file(std::string name, FwCfgFile& file) override {
        return add_item(std::move(name), {.own = {}, .file = &file});
    }
    void remove_file(FwCfgFile& file) override {
        for (auto& [key, item] : items_)
            if (item.file == &file) item = {.own = {}, .gone = true};
        make_directory();
    }
    bool takes_writes() const override { return dma_enabled_; }

private:
    struct Item {
        std::vector<u8> own;
        FwCfgFile* file = nullptr; // has the bytes in place of `own`
        bool gone = false;         // its device went: the next file of the name takes its place
        std::span<const u8> bytes() const {
            if (file) return file->fw_cfg_bytes();
            return own;
        }
    };
    Result<void> add_item(std::string name, Item item) {
        if (name.size() >= name_size)
            return Error::invalid_argument("fw_cfg file '{}': the name is longer than {} bytes", name, name_size - 1);
        const size_t place = size_t(std::find(files_.begin(), files_.end(), name) - files_.begin());
        if (place >= max_files) return Error::no_space("fw_cfg file '{}': there are {} already", name, max_files);
        Item& at = items_[u16(fw_cfg_key::file_first + place)];
        if (place < files_.size() && !at.gone) return Error::exists("fw_cfg file '{}': the name is taken", name);
        at = std::move(item);
        if (place == files_.size()) files_.push_back(std::move(name));
        make_directory();
        return {};
    }
    void make_directory() {
        std::vector<u8> dir;
        put_be(dir, files_.size(), 4);
        for (size_t i = 0; i < files_.size(); i++) {
            u16 key = u16(fw_cfg_key::file_first + i);
            put_be(dir, items_[key].bytes().size(), 4);
            put_be(dir, key, 2);
            put_be(dir, 0, 2);
            size_t start = dir.size();
            dir.insert(dir.end(), files_[i].begin(), files_[i].end());
            dir.resize(start + name_size);
        }
        items_[fw_cfg_key::file_dir] = {.own = std::move(dir)};
    }
    const Item* item() const {
        auto it = items_.find(selected_);
        return it == items_.end() ? nullptr : &it->second;
    }
    // What is left of the selected item; of none, nothing.
    std::span<const u8> rest() const {
        const Item* i = item();
        const std::span<const u8> all = i ? i->bytes() : std::span<const u8>();
        return all.subspan(std::min<size_t>(offset_, all.size()));
    }
    u8 next_byte() {
        const std::span<const u8> left = rest();
        if (left.empty()) return 0;
        offset_++;
        return left[0];
    }

    // The data register: bytes of the item in the order of memory, whatever the width.
    u64 read_data(u64, u32 bytes) {
        u64 value = 0;
        for (u32 i = 0; i < bytes; i++) value |= u64{next_byte()} << (8 * i);
        return value;
    }
    void write_data(u64, u32, u64) { trace::guest_error(id(), "items are written by DMA only"); }
    u64 read_selector(u64, u32) { return 0; }
    void write_selector(u64, u32, u64 value) { select(u16(value)); }
    void select(u16 key) {
        selected_ = key;
        offset_ = 0;
        if (!item()) trace::guest_error(id(), "there is no item {:#x}", key);
    }

    u64 read_dma(u64 offset, u32 bytes) { return dma_signature >> (8 * (8 - offset - bytes)); }
    void write_dma(u64 offset, u32 bytes, u64 value) {
        if (!dma_enabled_) return;
        if (bytes == 8) return dma(value);
        if (offset == 0) {
            dma_high_ = u32(value);
        } else if (offset == 4) {
            u64 address = u64{dma_high_} << 32 | u32(value);
            dma_high_ = 0;
            dma(address);
        }
    }
    void dma(u64 address) {
        u8 raw[16];
        if (memory().read(address, raw, sizeof raw) != memory::Outcome::ok)
            return trace::guest_error(id(), "no DMA descriptor at {:#x}", address);
        auto be32 = [&](u32 at) {
            u32 v = 0;
            std::memcpy(&v, raw + at, 4);
            return __builtin_bswap32(v);
        };
        u32 control = be32(0), length = be32(4);
        u64 target = u64{be32(8)} << 32 | be32(12);
        if (control & dma_select) select(u16(control >> 16));
        u32 result = __builtin_bswap32(move(control, length, target) ? 0 : dma_error);
        if (memory().write(address, &result, 4) != memory::Outcome::ok)
            trace::guest_error(id(), "no DMA descriptor at {:#x}", address);
    }
    bool move(u32 control, u32 length, u64 target) {
        if (length > max_transfer) return false;
        if (control & dma_write && !(control & dma_read)) return write_item(length, target);
        const std::span<const u8> left = rest();
        u32 from_item = u32(std::min<u64>(left.size(), length));
        bool done = true;
        if (control & dma_read) {
            if (from_item) done = memory().write(target, left.data(), from_item) == memory::Outcome::ok;
            // Behind the item's end there are zeros.
            static constexpr u8 zeros[4096] = {};
            for (u32 at = from_item; done && at < length;) {
                u32 n = std::min<u32>(length - at, sizeof zeros);
                done = memory().write(target + at, zeros, n) == memory::Outcome::ok;
                at += n;
            }
        }
        if (control & (dma_read | dma_skip)) offset_ += from_item;
        return done;
    }

    // All of it, or nothing and an error.
    bool write_item(u32 length, u64 source) {
        const Item* i = item();
        if (!i || !i->file || length > rest().size()) {
            trace::guest_error(id(), "item {:#x} cannot take {} bytes at {}", selected_, length, offset_);
            return false;
        }
        std::vector<u8> bytes(length);
        if (memory().read(source, bytes.data(), length) != memory::Outcome::ok) return false;
        std::copy(bytes.begin(), bytes.end(), i->file->fw_cfg_bytes().begin() + offset_);
        offset_ += length;
        i->file->fw_cfg_written();
        return true;
    }

    bool dma_enabled_ = true;
    u16 selected_ = 0;
    u32 offset_ = 0, dma_high_ = 0;
    std::map<u16, Item> items_;
    std::vector<std::string> files_;
};

void FwCfgMem::describe(Describe& d) {
    d.property("dma_enabled", dma_enabled_, "offers the DMA interface");
    d.window("data", *this, 8, {}, &FwCfgMem::read_data, &FwCfgMem::write_data);
    d.window("ctl", *this, 2, {.min = 2, .max = 2, .implemented_min = 2, .implemented_max = 2, .big_endian = true},
             &FwCfgMem::read_selector, &FwCfgMem::write_selector);
    d.window("dma", *this, 8, {.min = 4, .max = 8, .implemented_min = 4, .big_endian = true}, &FwCfgMem::read_dma,
             &FwCfgMem::write_dma);
    d.state("selected", selected_);
    d.state("offset", offset_);
    d.state("dma_high", dma_high_);
}

} // namespace

void FwCfg::add_number(u16 key, u64 value, u32 bytes) {
    std::vector<u8> out(bytes);
    std::memcpy(out.data(), &value, bytes);
    add(key, std::move(out));
}
void FwCfg::add_text(u16 key, std::string_view text) {
    std::vector<u8> out(text.begin(), text.end());
    out.push_back(0);
    add(key, std::move(out));
}

MIMIC_DEVICE(fw_cfg_mem) = {.name = "fw_cfg_mem",
                            .bus = "system",
                            .summary = "firmware configuration, memory-mapped",
                            .make = make_device<FwCfgMem>};

} // namespace mimic::devices
