// A guest's registers as gdb's remote protocol shows them. GDB manual, appendix G "Target Descriptions": each architecture has
// features with names and registers that gdb expects.
#pragma once
#include "ir/state.hpp"
#include <span>
#include <string_view>

namespace mimic::isa {

class Guest;

// Numbered as they stand in DebugView::registers(). Those of a feature stand together.
struct DebugRegister {
    std::string_view name;    // as the feature calls it: "ra", "pc", "mstatus"
    std::string_view feature; // "org.gnu.gdb.riscv.cpu"
    u16 bytes = 8;
    std::string_view type = "int"; // of a target description: "code_ptr", "ieee_double", ...
    std::string_view group;        // "general", "float", "system"; empty: as gdb decides
    bool general = false;          // part of the `g` packet
};

// Constant, one a form of a guest. All of it only while the vCPU stands still.
class DebugView {
public:
    virtual ~DebugView() = default;
    virtual std::string_view architecture() const = 0; // as gdb names it: "riscv:rv64"
    virtual std::span<const DebugRegister> registers() const = 0;
    // Types of the feature's registers that are not gdb's own, as XML (GDB manual, G.2.7).
    virtual std::string_view types(std::string_view /*feature*/) const { return {}; }
    // What gdb expects of the architecture when a watchpoint is met: that the instruction is still to come (gdb steps over it
    // itself then), or that it was executed.
    virtual bool watches_before_access() const { return false; }
    // `bytes` bytes in the guest's order. False: it cannot be read, or written, now.
    virtual bool read(ir::CpuHeader& cpu, u32 number, u8* out) const = 0;
    virtual bool write(ir::CpuHeader& cpu, u32 number, const u8* in) const = 0;
};

// A register by its name as the guest would read it now, which is what gdb shows: of one that counts or has input lines, what is
// kept (Guest::read_register) is only a part. False: there is none of this name and at most out.size() bytes. Bytes above it
// become zero.
bool read_current(const Guest& guest, ir::CpuHeader& cpu, std::string_view name, std::span<u8> out);

} // namespace mimic::isa
