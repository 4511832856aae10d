// A device tree being written (Devicetree Specification 0.4), over libfdt.
#pragma once
#include "base/result.hpp"
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace mimic::machines {

class FdtWriter {
public:
    FdtWriter();
    // Nodes nest: what `inside` writes belongs to the node.
    void node(const std::string& name, const std::function<void()>& inside);
    void empty(const char* name);
    void text(const char* name, std::string_view value);
    void texts(const char* name, std::initializer_list<std::string_view> values);
    void cells(const char* name, std::initializer_list<u32> values);
    void cells(const char* name, std::span<const u32> values);
    void bytes(const char* name, std::span<const u8> value);
    // A phandle that no node has yet.
    u32 new_phandle() { return ++phandles_; }
    // The finished blob. Errors: our own bug, or out of room.
    Result<std::vector<u8>> finish();

private:
    void check(int result);
    template <class Operation>
    void write(Operation operation);
    void begin(const char* name);
    void end();
    void property(const char* name, const void* value, size_t bytes);
    std::vector<u8> blob_;
    u32 phandles_ = 0;
    int error_ = 0;
};

// A tree that the user gave, changed by a board: chosen and memory are the machine's.
struct FdtEdits {
    std::string bootargs;
    u64 initrd_start = 0, initrd_end = 0;
};
// Opens it with room for edits. Errors: no device tree, or damaged.
Result<std::vector<u8>> edit_fdt(std::vector<u8> blob, const FdtEdits& edits);

} // namespace mimic::machines
