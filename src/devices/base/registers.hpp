// Registers as the data sheet lists them: a constant table of rows; the bank does narrow, wide and crossing accesses.
//
//   struct Pl011 : Device { ...  static const RegRow<Pl011> regs[]; };    // describe() comes after the table
//   constexpr RegRow<Pl011> Pl011::regs[] = {
//       {0x018, "FR", {},           {.read = &Pl011::flags}},
//       {0x030, "CR", &Pl011::cr_,  {.reset = TXE | RXE, .writable = 0xff87}},
//       {0x044, "ICR", {},          {.write = &Pl011::clear}},
//   };
//
// A write stores first (writable bits; bits of clear_on_one that are written as one become zero), then calls `write` with
// the value as written, then `changed`. A read calls `read`, or gives what is stored, or zero. Rows are sorted by offset.
// An access to an offset that no row has is the guest's error: it reads as zero.
// A region of several equal frames (one a processor) has one table; Device::frame() tells handlers which frame it is.
#pragma once
#include "base/trace.hpp"
#include "devices/base/describe.hpp"
#include "devices/base/device.hpp"
#include <utility>

namespace mimic::devices {

// A named field of a register.
struct Bits {
    std::string_view name;
    u8 low = 0, length = 1;
    constexpr u64 mask() const { return ((length >= 64 ? u64{0} : u64{1} << length) - 1) << low; }
    constexpr operator u64() const { return mask(); }
    constexpr u64 get(u64 reg) const { return (reg & mask()) >> low; }
    constexpr u64 with(u64 reg, u64 value) const { return (reg & ~mask()) | (value << low & mask()); }
};

// The member that holds a register.
template <class D>
class Store {
public:
    constexpr Store() = default;
    constexpr Store(u8 D::*m) : bytes_(1), u8_(m) {}
    constexpr Store(u16 D::*m) : bytes_(2), u16_(m) {}
    constexpr Store(u32 D::*m) : bytes_(4), u32_(m) {}
    constexpr Store(u64 D::*m) : bytes_(8), u64_(m) {}
    constexpr explicit operator bool() const { return bytes_ != 0; }
    Numbers in(D& d) const {
        switch (bytes_) {
        case 1: return {&(d.*u8_), 1, 1};
        case 2: return {&(d.*u16_), 2, 1};
        case 4: return {&(d.*u32_), 4, 1};
        default: return {&(d.*u64_), 8, 1};
        }
    }
    constexpr u8 bytes() const { return bytes_; }

private:
    u8 bytes_ = 0;
    union {
        u8 D::*u8_ = nullptr;
        u16 D::*u16_;
        u32 D::*u32_;
        u64 D::*u64_;
    };
};

template <class D>
struct RegRules {
    u64 reset = 0;
    u64 writable = ~u64{0};
    u64 clear_on_one = 0;
    u64 (D::*read)() = nullptr;
    void (D::*write)(u64 value) = nullptr;
    void (D::*changed)() = nullptr;
    // Of rows with a count: the index counts the registers of the row.
    u64 (D::*read_at)(u32 index) = nullptr;
    void (D::*write_at)(u32 index, u64 value) = nullptr;
    u32 count = 1, stride = 0; // stride 0: side by side
    bool merge = false;        // of rows without a store: a narrow write keeps the rest as it is read
    u8 bytes = 4;
    ResetKind until = ResetKind::warm;
};

template <class D>
struct RegRow {
    u32 offset;
    std::string_view name;
    Store<D> store{};
    RegRules<D> rules{};
    constexpr u32 stride() const { return rules.stride ? rules.stride : rules.bytes; }
    constexpr u32 end() const { return offset + stride() * (rules.count - 1) + rules.bytes; }
};

// What banks of all devices share: context, traces.
class BankBase : public memory::Handler {
protected:
    explicit BankBase(Device& device) : device_(device) {}
    void trace_read(std::string_view name, u64 offset, u64 value) const;
    void trace_write(std::string_view name, u64 offset, u64 value) const;
    void unknown(u64 offset, bool write) const;
    // Device::access() while a handler runs; an access from inside (DMA to itself) has its own.
    class Access {
    public:
        Access(Device& device, memory::Attributes a, u32 frame = 0)
            : device_(device)
            , outer_(std::exchange(device.access_, a))
            , outer_frame_(std::exchange(device.frame_, frame))
            , outer_held_(std::exchange(device.held_, false)) {}
        ~Access() {
            device_.access_ = outer_;
            device_.frame_ = outer_frame_;
            device_.held_ = outer_held_;
        }
        Access(const Access&) = delete;
        memory::Outcome written() const { return device_.held_ ? memory::Outcome::wait : memory::Outcome::ok; }

    private:
        Device& device_;
        memory::Attributes outer_;
        u32 outer_frame_;
        bool outer_held_;
    };
    Device& device_;
};

template <class D>
class Bank final : public BankBase {
public:
    Bank(D& device, std::span<const RegRow<D>> rows, u64 frame_bytes = 0)
        : BankBase(device)
        , d_(device)
        , rows_(rows)
        , frame_bytes_(frame_bytes) {}

    memory::Outcome read(u64 offset, u32 bytes, u64& value, memory::Attributes a) override {
        Context::Entry entry(device_.context());
        if (!entry) return memory::Outcome::device_error;
        Access access(device_, a, take_frame(offset));
        value = 0;
        for (u32 done = 0; done < bytes;) {
            Spot s = find(offset + done, bytes - done);
            if (!s.row) {
                unknown(offset + done, false);
            } else {
                u64 all = a.debug && s.row->rules.read ? stored(s) : read_row(s);
                value |= (all >> (8 * s.lane) & mask(s.bytes)) << (8 * done);
                trace_read(s.row->name, offset + done, all);
            }
            done += s.bytes;
        }
        return memory::Outcome::ok;
    }
    memory::Outcome write(u64 offset, u32 bytes, u64 value, memory::Attributes a) override {
        Context::Entry entry(device_.context());
        if (!entry) return memory::Outcome::device_error;
        Access access(device_, a, take_frame(offset));
        for (u32 done = 0; done < bytes;) {
            Spot s = find(offset + done, bytes - done);
            if (!s.row) {
                unknown(offset + done, true);
            } else {
                u64 part = (value >> (8 * done) & mask(s.bytes)) << (8 * s.lane);
                trace_write(s.row->name, offset + done, part);
                write_row(s, part);
            }
            done += s.bytes;
        }
        return access.written();
    }

private:
    // Where an access meets a row: `bytes` of it from byte `lane` of register `index` on. row null: nothing is there.
    struct Spot {
        const RegRow<D>* row = nullptr;
        u32 index = 0, lane = 0, bytes = 1;
    };
    // The frame's number; the offset becomes one inside of it. Accesses do not cross frames: they are aligned.
    u32 take_frame(u64& offset) const {
        u32 frame = frame_bytes_ ? u32(offset / frame_bytes_) : 0;
        if (frame_bytes_) offset %= frame_bytes_;
        return frame;
    }
    static u64 mask(u32 bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }
    Spot find(u64 offset, u32 left) const {
        size_t low = 0, high = rows_.size(); // the first row that ends behind the offset
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (rows_[middle].end() <= offset)
                low = middle + 1;
            else
                high = middle;
        }
        u64 next = low < rows_.size() ? rows_[low].offset : ~u64{0};
        if (offset < next) return {nullptr, 0, 0, u32(next - offset < left ? next - offset : left)};
        const RegRow<D>& row = rows_[low];
        u32 inner = u32(offset - row.offset), index = inner / row.stride(), lane = inner % row.stride();
        if (lane >= row.rules.bytes) return {nullptr, 0, 0, row.stride() - lane < left ? row.stride() - lane : left};
        u32 n = row.rules.bytes - lane;
        return {&row, index, lane, n < left ? n : left};
    }
    u64 stored(const Spot& s) const { return s.row->store ? s.row->store.in(d_).get(0) : 0; }
    u64 read_row(const Spot& s) {
        const RegRules<D>& r = s.row->rules;
        if (r.read_at) return (d_.*r.read_at)(s.index);
        return r.read ? (d_.*r.read)() : stored(s);
    }
    void write_row(const Spot& s, u64 value) {
        const RegRules<D>& r = s.row->rules;
        u64 lanes = mask(s.bytes) << (8 * s.lane);
        if (s.row->store) {
            u64 old = stored(s), kept = old & ~(r.writable & lanes);
            u64 fresh = kept | (value & r.writable & lanes & ~r.clear_on_one) | (old & r.clear_on_one);
            fresh &= ~(value & r.clear_on_one);
            s.row->store.in(d_).set(0, fresh);
            value |= old & ~lanes;
        } else if (r.merge && lanes != mask(r.bytes)) {
            value |= read_row(s) & ~lanes;
        }
        if (r.write_at) (d_.*r.write_at)(s.index, value);
        if (r.write) (d_.*r.write)(value);
        if (r.changed) (d_.*r.changed)();
    }
    D& d_;
    std::span<const RegRow<D>> rows_;
    u64 frame_bytes_;
};

template <class D>
class Window final : public BankBase {
public:
    using Read = u64 (D::*)(u64, u32);
    using Write = void (D::*)(u64, u32, u64);
    Window(D& device, Read r, Write w) : BankBase(device), d_(device), read_(r), write_(w) {}
    memory::Outcome read(u64 offset, u32 bytes, u64& value, memory::Attributes a) override {
        Context::Entry entry(device_.context());
        if (!entry) return memory::Outcome::device_error;
        Access access(device_, a);
        value = (d_.*read_)(offset, bytes);
        trace_read("window", offset, value);
        return memory::Outcome::ok;
    }
    memory::Outcome write(u64 offset, u32 bytes, u64 value, memory::Attributes a) override {
        Context::Entry entry(device_.context());
        if (!entry) return memory::Outcome::device_error;
        Access access(device_, a);
        trace_write("window", offset, value);
        (d_.*write_)(offset, bytes, value);
        return access.written();
    }

private:
    D& d_;
    Read read_;
    Write write_;
};

template <class D, size_t n>
void Describe::registers(D& device, const RegRow<D> (&rows)[n], u64 size, const memory::AccessRules& rules,
                         std::string_view name, u64 frame_bytes) {
    for (const RegRow<D>& r : rows) {
        on_register({r.name, r.offset, r.rules.reset, r.rules.writable, r.rules.bytes, r.rules.count});
        if (r.store) on_numbers(r.name, r.store.in(device), {.reset = r.rules.reset, .until = r.rules.until});
    }
    if (wants_handlers())
        on_handler(name, std::make_unique<Bank<D>>(device, std::span(rows), frame_bytes), rules, size);
}

template <class D>
void Describe::window(std::string_view name, D& device, u64 size, const memory::AccessRules& rules,
                      u64 (D::*read)(u64, u32), void (D::*write)(u64, u32, u64)) {
    if (wants_handlers()) on_handler(name, std::make_unique<Window<D>>(device, read, write), rules, size);
}

} // namespace mimic::devices
