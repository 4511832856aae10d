// Loading a program: find it (scripts, interpreter), map its segments, build its stack.
#pragma once
#include "base/result.hpp"
#include "user/linux/abi.hpp"
#include "user/linux/credentials.hpp"
#include "user/linux/seccomp.hpp"
#include "user/loader/elf.hpp"
#include "user/memory/address_space.hpp"
#include <optional>
#include <string>
#include <vector>

namespace mimic::user {

// Why a program could not be started, as a shell would exit: 127 not found, 126 anything else.
int exit_status_of(const Error& error);

// A "#!" line. Linux: at most 255 bytes, one optional argument.
struct ScriptLine {
    std::string interpreter, argument;
};
// Fails with a line that says what was expected; the start of a file that is no script gives an empty interpreter.
Result<ScriptLine> parse_script_line(std::string_view start);

// A mapped program, in guest addresses.
struct LoadedProgram {
    u64 pc = 0;      // where to start: the interpreter's entry, or the program's
    u64 entry = 0;   // AT_ENTRY
    u64 headers = 0; // AT_PHDR
    u16 header_count = 0, header_bytes = 0;
    u64 interpreter_base = 0; // AT_BASE
    u64 brk = 0;
    bool executable_stack = false;
};

// Maps the program open at fd, and its interpreter, which `open_interpreter` opens by the guest's path for it: a
// descriptor or -errno.
Result<LoadedProgram> load_program(AddressSpace& space, const Abi& abi, int fd, const std::string& name,
                                   int (*open_interpreter)(void* context, const std::string& path), void* context);

// The caller's ids as the kernel has them.
Ids own_users();
Ids own_groups();

// What the stack holds at the start. System V ABI: Process Initialization.
struct StartStack {
    std::vector<std::string> arguments, environment;
    std::string file_name; // AT_EXECFN
    std::string cpu_model;
    u64 size = 8 << 20;
    std::optional<u64> seed; // of AT_RANDOM's bytes; none: the host's generator
    bool secure = false;
    Ids uid = own_users(), gid = own_groups();    // AT_UID and its neighbours
    Credentials credentials;                      // of the first thread, where ids are pretended
    std::shared_ptr<const SeccompFilter> filters; // likewise
};
// Makes mmap stay below the place where make_stack will put the stack. Called before anything is mapped.
void keep_stack_free(AddressSpace& space, const StartStack& start);
// Maps the stack below space.high() and fills it. Also maps the ABI's trampoline page. Where
// things lie, in guest addresses.
struct StackLayout {
    u64 sp = 0;
    u64 trampoline = 0;
    u64 arguments = 0, environment = 0, end = 0; // their strings, one after the other
    std::vector<u8> auxv;
};
Result<StackLayout> make_stack(AddressSpace& space, const Abi& abi, const LoadedProgram& program,
                               const StartStack& start);

} // namespace mimic::user
