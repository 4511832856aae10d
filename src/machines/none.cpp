// The machine without anything: no devices, RAM only where -m asks for it, one processor, switched off, where -cpu does. Monitors
// ask it what the program can do.
#include "machines/board.hpp"

namespace mimic::machines {
namespace {

class NoneBoard final : public Board {
public:
    explicit NoneBoard(const BoardOptions& o) : Board(o) {}
    Result<void> build() override {
        for (const auto& [name, value] : options_.properties)
            return Error::invalid_argument("-M: machine 'none' has no property '{}'", name);
        memory::Change change(machine_.memory());
        if (options_.ram_bytes) TRY(make_ram("ram", 0));
        if (!options_.cpu.empty()) TRY(make_vcpus(options_.guest, {}));
        return {};
    }
    Result<void> load() override {
        for (const std::string* file : {&options_.kernel, &options_.initrd, &options_.dtb, &options_.bios})
            if (!file->empty())
                return Error::unsupported("machine 'none' starts nothing, expected neither -kernel nor -bios: '{}'",
                                          *file);
        if (!options_.fw_cfg.empty()) return Error::unsupported("-fw_cfg: machine 'none' has no such device");
        return {};
    }

private:
    void reset_vcpu(cpu::Vcpu& vcpu) override { vcpu.set_powered(false); }
};

std::unique_ptr<Board> make(const BoardOptions& options) { return std::make_unique<NoneBoard>(options); }

} // namespace

MIMIC_BOARD(none) = {.name = "none",
                     .alias = "",
                     .guest = "",
                     .summary = "empty machine",
                     .default_cpu = "",
                     .default_ram = 0,
                     .make = make};

} // namespace mimic::machines
