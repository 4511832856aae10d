// Board: a machine of a kind: its processors, memory map, devices, and how it boots. One file a board.
//
//   auto board = TRY(machines::make_board("virt", "riscv64", options));     // devices of the board
//   ... board->machine().create(...)                                        // devices of the user (-device)
//   TRY(board->load());                                                     // firmware, kernel, device tree
//   board->reset(devices::ResetKind::power_on);
//   board->start();  ...  board->stop();
#pragma once
#include "cpu/counted.hpp"
#include "devices/base/machine.hpp"
#include "machines/boot/loader.hpp"
#include <array>

namespace mimic::machines {

struct Smp {
    u32 cpus = 1, max_cpus = 1;
    u32 sockets = 1, dies = 1, clusters = 1, cores = 1, threads = 1;
};

// Whether programs may call the host, and what they see of it.
struct SemihostingOptions {
    bool enable = false, userspace = false; // userspace: also at the level of programs below a kernel
    std::string chardev;                    // of the console; empty: this process's standard streams
    std::vector<std::string> arguments;     // of the program; none: kernel and command line
};

// -object memory-backend-ram, -memfd, -file: RAM that a machine may be given.
struct MemoryBackend {
    std::string id;
    u64 size = 0;
    memory::RamBlock::Options ram;
};

// What users say of a machine; every part has a default.
struct BoardOptions {
    std::string type_name; // of the BoardType that it is of
    std::string guest;     // "riscv64": whose processors it has, where its type does not say it
    devices::Machine::Options machine;
    devices::PropertyList properties; // of -M
    std::string cpu;                  // model and its properties; empty: the board's
    u64 ram_bytes = 0;                // 0: the board's
    memory::RamBlock::Options ram{.backing = memory::RamBlock::Backing::huge};
    std::vector<MemoryBackend> memory_backends;
    std::map<std::string, std::string> random_sources; // -object rng-random, by id: its file; rng-builtin: none
    Smp smp;
    std::string kernel, initrd, append, dtb, bios, dump_dtb;
    std::string uuid = "00000000-0000-0000-0000-000000000000";
    std::vector<devices::PropertyList> smbios;                   // of each -smbios
    std::vector<std::string> firmware_folders;                   // -L
    std::vector<std::pair<std::string, std::vector<u8>>> fw_cfg; // files of -fw_cfg
    std::optional<bool> boot_menu;                               // firmware shows its menu; not said: as it likes
    std::vector<std::string> flash;  // drives of -pflash and if=pflash, by unit; empty: none
    std::vector<std::string> serial; // chardevs of -serial, in order; empty: none
    bool boot_strict = false;        // firmware starts from nothing without a bootindex
    std::string accelerator = "jit";
    cpu::AcceleratorMaker make_accelerator; // of a program that brings its own; else the one of that name
    cpu::Options translation;
    bool single_thread = false;
    std::optional<cpu::CountOptions> icount; // with machine.counted
    SemihostingOptions semihosting;
};

class Board {
public:
    virtual ~Board();
    Board(const Board&) = delete;

    devices::Machine& machine() { return machine_; }
    const BoardOptions& options() const { return options_; }
    std::span<const std::unique_ptr<cpu::Vcpu>> vcpus() const { return vcpus_; }
    std::vector<LoadedPiece> loaded() const { return loader_.pieces(); }
    cpu::Accelerator* accelerator() const { return accelerator_.get(); }
    // What secure accesses of processors see; null: what all see.
    memory::AddressSpace* secure_space() { return secure_.get(); }

    // Makes the board's devices and processors. Errors name the option.
    virtual Result<void> build() = 0;
    // After the user's devices are there: puts firmware, kernel and tables into memory.
    virtual Result<void> load() = 0;

    // While stopped: devices, memory that was loaded, processors.
    Result<void> reset(devices::ResetKind kind);
    // Those processors that `which` names (empty: all).
    void start(const std::function<bool(cpu::Vcpu&)>& which = {});
    // Returns when no vCPU runs guest code.
    void stop();
    // The user pressed the power button. Boards that have none ignore it.
    virtual void press_power_button() {}
    // Dirty flags of RAM are to be looked at: what processors wrote is said in them first, where it is noted elsewhere.
    void collect_writes();
    // devices::Machine::settle_writes.
    void settle_writes();
    // All RAM and ROM: the board's and its devices'.
    std::vector<memory::RamBlock*> ram_blocks() const;
    // A saved state was loaded: what the board itself keeps of its processors follows.
    virtual void loaded_state() {}
    // The functions on its PCI bus, by place; `config`: the first 64 bytes of the configuration space.
    struct PciFunction {
        struct Bar {
            u32 number = 0;
            bool io = false, wide = false, prefetch = false, mapped = false;
            u64 at = 0, bytes = 0;
        };
        u32 devfn = 0;
        std::string id;
        std::array<u8, 64> config{};
        std::vector<Bar> bars;
        u32 number(u32 offset, u32 bytes) const {
            u32 v = 0;
            for (u32 i = 0; i < bytes; i++) v |= u32{config[offset + i]} << 8 * i;
            return v;
        }
    };
    virtual std::vector<PciFunction> pci_functions() { return {}; }
    // Where processor `n` is: "socket-id", "core-id", ..., as far as the board tells its guest.
    virtual std::vector<std::pair<std::string_view, u32>> vcpu_place(u32 n) const { return {{"core-id", n}}; }
    // A vCPU paused by itself; called on its thread.
    std::function<void(cpu::Vcpu&, cpu::Pause)> on_pause;

protected:
    explicit Board(const BoardOptions& options);
    // Processors over machine().memory(), by the model that options or the board name; `features` (",el2=on") are added to
    // it.
    Result<void> make_vcpus(std::string_view guest, std::string_view default_model, std::string_view features = {});
    // The number that processor `n` reads of itself.
    virtual u64 vcpu_id(u32 n) const { return n; }
    // What answers for processors; null: nobody.
    virtual cpu::BoardPort* port() { return nullptr; }
    // The board's own last steps of a reset: where processors begin.
    virtual void reset_vcpu(cpu::Vcpu& vcpu) = 0;
    // Where lines of devices end at a processor; the number is that of the System's line of that name.
    devices::LineSink& lines(u32 vcpu);
    u32 line(std::string_view name) const;
    // The chardev of serial port `n`, or nothing.
    std::string serial(u32 n) const;
    // Before make_vcpus: secure accesses of processors see a space of their own, the machine's memory with what is added to the
    // region in front of it.
    memory::Region& make_secure_space();
    // RAM of options().ram_bytes.
    Result<void> make_ram(std::string name, u64 at);
    u64 ram_at() const { return ram_at_; }

    BoardOptions options_;
    devices::Machine machine_;
    std::unique_ptr<memory::Region> secure_root_, secure_rest_; // all of it, and the machine's memory behind
    std::unique_ptr<memory::AddressSpace> secure_;
    Loader loader_;
    std::vector<std::unique_ptr<memory::RamBlock>> blocks_;
    std::vector<std::unique_ptr<memory::Region>> regions_;
    std::unique_ptr<isa::Guest> guest_;

private:
    struct Clock;
    struct Counted;
    struct Lines;
    struct Host;
    Result<void> make_semihosting();
    std::array<u64, 4> heap() const;
    u64 ram_at_ = 0;
    std::unique_ptr<Clock> clock_;
    std::unique_ptr<Counted> counted_; // null: time is the host's
    std::unique_ptr<Host> host_;       // null: no semihosting
    std::unique_ptr<cpu::Accelerator> accelerator_;
    std::vector<std::unique_ptr<cpu::Vcpu>> vcpus_;
    std::vector<std::unique_ptr<Lines>> lines_;
    bool running_ = false;
};

struct BoardType {
    std::string_view name;  // "virt-10.0"
    std::string_view alias; // "virt"; empty: none
    std::string_view guest; // "riscv64"; empty: any
    std::string_view summary;
    std::string_view default_cpu;
    u64 default_ram = 128 << 20;
    u32 max_cpus = 1;
    std::unique_ptr<Board> (*make)(const BoardOptions& options) = nullptr;
    // Properties of -M NAME,help: name, type and meaning.
    struct Property {
        std::string_view name, type, help;
    };
    std::span<const Property> properties{};
    std::string_view default_card{}; // the network card that it has where nobody says another; empty: none
    bool is_for(std::string_view of) const { return guest.empty() || guest == of; }
};
#define MIMIC_BOARD(ident)                                                                                             \
    extern const BoardType ident##_board;                                                                              \
    constinit const BoardType ident##_board

std::span<const BoardType* const> boards();
// By name or alias, of the guest. Errors list what there is.
Result<const BoardType*> find_board(std::string_view guest, std::string_view name);

} // namespace mimic::machines
