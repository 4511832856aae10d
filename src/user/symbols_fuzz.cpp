// Symbol tables of whatever file is mapped.
#include "user/symbols.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace mimic;
    user::SymbolTable t = user::read_symbols(user::MemoryBytes({data, size}));
    for (u64 address : {u64{0}, u64{0x1000}, ~u64{0}})
        if (const user::Symbol* s = t.find(address); s && s->name.empty()) __builtin_trap();
    t.address_of(0);
    return 0;
}
