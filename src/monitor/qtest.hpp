// QTest: devices driven from outside, a line a command. QEMU documentation, "QTest Device Emulation Testing Framework",
// chapter "QTest Protocol". Commands: clock_step, clock_set; readb/w/l/q, writeb/w/l/q, read, write, b64read, b64write, memset;
// irq_intercept_in, irq_intercept_out, irq_intercept_out_named, set_irq_in; endianness, big_endian. Not there: port I/O, rtas.
#pragma once
#include "monitor/monitor.hpp"
#include <cstdio>

namespace mimic::monitor {

// One command over a machine: what is answered, without line ends. Used by the connection and by fuzz targets.
class QtestCommands {
public:
    // `irq`: gets "IRQ raise 3" and the like, before the answer of what caused it.
    QtestCommands(devices::Machine& machine, bool big_endian, std::function<void(std::string_view)> irq);
    ~QtestCommands();
    QtestCommands(const QtestCommands&) = delete;
    std::string run(std::string_view line);

private:
    struct Tap;
    using Words = std::vector<std::string_view>;
    std::string clock(const Words& w);
    std::string access(const Words& w, char size, bool write);
    std::string read(const Words& w, bool base64);
    std::string write(const Words& w, bool base64);
    std::string fill(const Words& w);
    std::string intercept(const Words& w, bool in);
    std::string set_irq(const Words& w);

    devices::Machine& machine_;
    bool big_endian_;
    std::function<void(std::string_view)> irq_;
    std::vector<std::unique_ptr<Tap>> taps_;
};

class Qtest final : public Session {
public:
    // `log`: every line goes there, too; null: nowhere.
    Qtest(Monitor& m, chardev::Chardev& dev, std::FILE* log);
    void receive(std::span<const u8> bytes) override;
    void event(chardev::Event e) override;

private:
    static constexpr size_t max_line = 64 << 20;
    void answer(std::string_view line);
    QtestCommands commands_;
    std::string line_;
    bool too_long_ = false;
    std::FILE* log_;
};

} // namespace mimic::monitor
