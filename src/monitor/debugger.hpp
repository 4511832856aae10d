// A debugger of a machine: gdb's remote protocol at a character device; processors are its threads.
#pragma once
#include "gdbstub/server.hpp"
#include "monitor/monitor.hpp"
#include <deque>
#include <set>

namespace mimic::monitor {

class Debugger final : public Session, gdb::Target {
public:
    // The chardev has no other front end. Errors: the guest's registers have no description for gdb.
    static Result<std::unique_ptr<Debugger>> create(Monitor& m, chardev::Chardev& dev);
    ~Debugger() override;

    // It is inside of a packet of gdb's, and must not go now.
    bool busy() const { return busy_; }
    void receive(std::span<const u8> bytes) override;
    void event(chardev::Event e) override;

private:
    Debugger(Monitor& m, chardev::Chardev& dev);
    const isa::Guest& guest() const override { return vcpu(1)->guest(); }
    const isa::DebugView& view() const override { return *guest().debug(); }
    std::vector<u64> threads() const override;
    std::string thread_name(u64 thread) const override;
    ir::CpuHeader* cpu(u64 thread) override;
    void written(u64 thread) override;
    bool read_memory(u64 thread, u64 address, std::span<u8> out) override;
    bool write_memory(u64 thread, u64 address, std::span<const u8> in) override;
    bool choose_physical(bool on) override;
    bool set_break(u64 thread, gdb::Break kind, u64 address, u64 bytes, bool on) override;
    void clear_breaks() override;
    void resume(std::span<const gdb::Resume> threads) override;
    void interrupt() override;
    bool running() const override { return monitor_.run().running(); }
    void detach() override;
    void kill() override;
    Result<void> restart() override;
    Result<std::string> command(std::string_view text) override;

    cpu::Vcpu* vcpu(u64 thread) const;
    void settle();
    void paused(cpu::Vcpu& v, cpu::Pause pause);
    void stopped(const gdb::Stop& s);
    bool still_holds(const gdb::Stop& s);
    void watch_all();

    gdb::Server server_;
    bool connected_ = false, physical_ = false, busy_ = false;
    bool expecting_ = false;        // gdb waits for a stop
    std::deque<gdb::Stop> pending_; // of processors that stopped beside the one that was told
    std::multiset<u64> breaks_;
    struct Watch {
        gdb::Break kind;
        cpu::Watchpoint where;
    };
    std::vector<Watch> watches_;
    Human person_;
    u32 watcher_ = 0;
};

} // namespace mimic::monitor
