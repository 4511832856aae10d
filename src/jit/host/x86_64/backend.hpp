// The x86-64 back end: shared routines, records of what generated code calls, entering and leaving.
#pragma once
#include "jit/host/host.hpp"
#include "jit/host/x86_64/lower.hpp"
#include <memory>

namespace mimic::jit::x86 {

// What call sites refer to by number: an intrinsic, or one IR instruction for the interpreter.
class Records {
public:
    struct Record {
        const ir::Intrinsic* intrinsic = nullptr;
        std::unique_ptr<ir::Unit> unit; // operands as arguments 0..2, then the instruction
    };
    u32 intrinsic(const ir::Intrinsic& f);
    u32 operation(const ir::Unit& unit, const ir::Inst& i, const ir::Type (&types)[3]);
    const Record& operator[](u32 n) const { return *records_[n]; }

private:
    std::vector<std::unique_ptr<Record>> records_; // stable addresses; read by vCPUs, grown by translators
};

} // namespace mimic::jit::x86
