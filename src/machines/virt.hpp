// What the `virt` boards of all guests have: the same devices at other addresses, and the same ways to say what is loaded.
#pragma once
#include "devices/misc/fw_cfg.hpp"
#include "machines/board.hpp"
#include "machines/boot/fdt.hpp"

namespace mimic::machines {

// Where a host bridge's spaces are seen: configuration, I/O, memory below and above 4 GiB (high_bytes = 0: none there).
struct PciWindows {
    u64 ecam, ecam_bytes, io, io_bytes, memory, memory_bytes, high, high_bytes;
};

class VirtBoard : public Board {
public:
    std::vector<PciFunction> pci_functions() override;

protected:
    using Board::Board;

    // A device with its first region at `at`.
    Result<devices::Device*> put(std::string_view type, std::string id, u64 at,
                                 const devices::PropertyList& properties = {});
    // Two banks of CFI flash side by side, with the contents that -pflash gives; the first one in `first` (null: for all to see).
    Result<void> make_flash(u64 at, u64 bank_bytes, memory::Region* first = nullptr);
    // `count` transports `stride` apart whose lines go to `sink` from `line` on; none when the program has no virtio.
    Result<void> make_virtio_mmio(u32 count, u64 at, u64 stride, devices::LineSink& sink, u32 line);
    Result<void> make_fw_cfg(u64 at);
    // A host bridge "pcie.0" whose INTA to INTD go to four lines of `sink` from `line` on.
    Result<void> make_pci(const PciWindows& w, devices::LineSink& sink, u32 line);
    // What firmware asks for first: processors and memory.
    void fill_fw_cfg();
    // What firmware starts from, if the user says it. Last of all files, whose keys are their order: a key that a saved
    // machine's driver knows does not depend on it. Errors: two devices with one bootindex.
    Result<void> add_boot_order();
    // What -fw_cfg gives. Errors: a name that is too long, or taken.
    Result<void> add_given_files();
    Result<std::string> boot_order() const;

    // The user's tree (-dtb) with command line and initial RAM disk put in, or `make`'s.
    Result<std::vector<u8>> choose_tree(const Loaded& initrd, const std::function<Result<std::vector<u8>>()>& make);
    // Writes the tree to the file of -M dumpdtb; false: it was not asked for.
    Result<bool> dump_tree(std::span<const u8> blob) const;
    // The path of the firmware that -bios names, by itself or in the folders of -L.
    std::string bios_path() const;
    Result<void> check_kernel_options() const;

    void tree_memory(FdtWriter& t, u64 at) const;
    void tree_fw_cfg(FdtWriter& t, u64 at) const;
    // The bridge's node; `interrupt`: the cells of line n of the four in the board's way, from the controller's phandle on.
    static void tree_pci(FdtWriter& t, const std::string& name, const PciWindows& w,
                         const std::function<std::vector<u32>(u32 n)>& interrupt,
                         const std::function<void()>& more = {});
    void tree_platform_bus(FdtWriter& t, u64 at, u64 bytes, u32 interrupt_parent) const;
    // stdout-path, bootargs, initial RAM disk, seeds of `seeds`.
    void tree_chosen(FdtWriter& t, std::string_view console, const Loaded& initrd,
                     std::initializer_list<std::pair<const char*, u32>> seeds);
    // on, off, true, false, yes, no. Errors name the property.
    static Result<bool> flag(std::string_view property, std::string_view text);

    devices::FwCfg* fw_cfg_ = nullptr;
};

// Address and size as two cells each.
void tree_reg(FdtWriter& t, u64 at, u64 bytes);
inline u32 high(u64 v) { return u32(v >> 32); }
constexpr u64 megabyte = 1 << 20;
constexpr u64 round_up(u64 v, u64 to) { return (v + to - 1) / to * to; }

} // namespace mimic::machines
