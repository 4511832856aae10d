// Filters of system calls: seccomp(2), linux/seccomp.h, linux/filter.h (classic BPF).
//
// A filter sees the guest's own numbers and addresses, so it can't be the kernel's: Mimic checks it as the kernel does and
// runs it before each call of the guest. It holds for what the guest asks for; it is no fence around Mimic itself.
// Not there: listeners of user space (SECCOMP_RET_USER_NOTIF answers ENOSYS, as without one).
#pragma once
#include "base/result.hpp"
#include "user/linux/layout.hpp"
#include "user/linux/structs.hpp"
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mimic::user {

class Thread;
struct Args;

// struct seccomp_data.
struct SeccompData {
    i32 nr;
    u32 arch; // AUDIT_ARCH_*
    u64 instruction_pointer;
    u64 args[6];
};

// May the kernel be given this filter? Known instructions, loads of whole words inside of seccomp_data, jumps forwards and
// inside, scratch words written before they are read, an end that returns.
bool check_filter(std::span<const BpfInsn> program);
// What a checked filter returns: SECCOMP_RET_* with 16 bits of data.
u32 run_filter(std::span<const BpfInsn> program, const SeccompData& data, Model model);

// A filter and those installed before it, which it inherits. Never changes.
struct SeccompFilter {
    std::shared_ptr<const SeccompFilter> older;
    std::vector<BpfInsn> program;
    u32 count = 1; // with the older ones
    u64 cost = 0;  // instructions of all of them, and 4 for each older one

    SeccompFilter(std::shared_ptr<const SeccompFilter> before, std::vector<BpfInsn> instructions);
    ~SeccompFilter();
    SeccompFilter(const SeccompFilter&) = delete;
    SeccompFilter& operator=(const SeccompFilter&) = delete;
};
inline constexpr u64 max_filter = 4096, max_filter_cost = 32768; // BPF_MAXINSNS, MAX_INSNS_PER_PATH
inline constexpr int sigsys_by_filter = 1;                       // si_code SYS_SECCOMP

// What a thread has of it. Another thread may put newer filters on top (SECCOMP_FILTER_FLAG_TSYNC).
class SeccompState {
public:
    enum class Mode : u8 { none, strict, filter };
    Mode mode() const { return mode_.load(std::memory_order_acquire); }
    const SeccompFilter* filters() const { return filters_.load(std::memory_order_acquire); }
    void be_strict() { mode_ = Mode::strict; }
    // `newer` holds all that was there.
    void install(std::shared_ptr<const SeccompFilter> newer);
    void inherit(const SeccompState& parent);
    std::shared_ptr<const SeccompFilter> owner() const { return owner_; }
    // Another thread's no_new_privs shall be this one's; taken by the thread itself.
    std::atomic<bool> no_new_privs_due{false};

private:
    std::atomic<Mode> mode_{Mode::none};
    std::atomic<const SeccompFilter*> filters_{nullptr};
    std::shared_ptr<const SeccompFilter> owner_;
};

// What the filters say of a call that is about to be made: nothing when it may be, else what it returns.
std::optional<i64> filter_call(Thread& t, const Args& a);

// Filters as words of a command line, for a program that this one executes, and back.
std::string filters_text(const SeccompState& state);
Result<std::shared_ptr<const SeccompFilter>> filters_from_text(std::string_view text);

} // namespace mimic::user
