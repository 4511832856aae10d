// Names of guest functions, for profiles: the symbol tables of the ELF files that are mapped. System V ABI, chapter 4.
#pragma once
#include "user/loader/elf.hpp"
#include <map>
#include <string>
#include <vector>

namespace mimic::user {

class AddressSpace;

struct Symbol {
    u64 address = 0, size = 0; // as the file has them; size 0: unknown
    std::string name;
};

// What a file's symbol tables tell.
struct SymbolTable {
    std::vector<Symbol> functions; // by address, one an address
    struct Load {
        u64 offset = 0, size = 0, address = 0;
    };
    std::vector<Load> loads; // PT_LOAD: where bytes of the file go

    // The function that an address lies in, or the one before it when that has no size; null: none.
    const Symbol* find(u64 address) const;
    // The address of a byte of the file, ~0: it is not loaded.
    u64 address_of(u64 offset) const;
};

// Files of more symbols, or with longer tables of names, are cut off.
inline constexpr u64 max_symbols = 1 << 20, max_symbol_names = 64 << 20;

// Reads untrusted bytes: what makes no sense gives fewer names, never an error.
SymbolTable read_symbols(const FileBytes& file);
// Its GNU build id in hexadecimal digits; empty: it has none.
std::string elf_build_id(const FileBytes& file);

// Names of places in guest memory.
class GuestSymbols {
public:
    explicit GuestSymbols(AddressSpace& space) : space_(space) {}
    // "function+0x10", "function", or empty. May be called while the table of mappings can be read.
    std::string name(u64 pc);

private:
    struct Mapped {
        u64 start = 0, end = 0, offset = 0;
        std::string path;
    };
    const Mapped* mapped(u64 pc);
    AddressSpace& space_;
    std::vector<Mapped> mapped_; // of the last look
    std::map<std::string, SymbolTable> files_;
};

} // namespace mimic::user
