// Files that the peer reads through us: the program and its libraries. GDB manual, E.7 "Host I/O Packets", E.13.
#pragma once
#include "gdbstub/target.hpp"
#include <array>
#include <string>
#include <string_view>

namespace mimic::gdb {

class Files {
public:
    explicit Files(Target& target) : target_(target) { open_.fill(-1); }
    ~Files() { close_all(); }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    // "pread:3,100,0": what follows vFile:; empty: not known.
    std::string answer(std::string_view request);
    void close_all();

private:
    std::string open(std::string_view rest);
    std::string close(std::string_view rest);
    std::string read(std::string_view rest);
    std::string status(std::string_view rest);
    std::string link(std::string_view rest);
    int* find(std::string_view& rest);

    Target& target_;
    std::array<int, 16> open_; // ours by the peer's number; -1: none
};

} // namespace mimic::gdb
