#include "machines/arm_virt_tree.hpp"

namespace mimic::machines::arm_virt {

std::string tree_pl011(FdtWriter& t, const PrimeCell& c) {
    std::string name = fmt::format("pl011@{:x}", c.at);
    t.node(name, [&] {
        t.texts("compatible", {"arm,pl011", "arm,primecell"});
        tree_reg(t, c.at, map::cell_size);
        t.cells("interrupts", {kind_spi, c.spi, level_high});
        t.cells("clocks", {c.clock_phandle, c.clock_phandle});
        t.texts("clock-names", {"uartclk", "apb_pclk"});
        if (c.more) c.more();
    });
    return name;
}

void tree_pl061(FdtWriter& t, const PrimeCell& c, u32 phandle) {
    t.node(fmt::format("pl061@{:x}", c.at), [&] {
        t.cells("phandle", {phandle});
        t.texts("compatible", {"arm,pl061", "arm,primecell"});
        tree_reg(t, c.at, map::cell_size);
        t.cells("#gpio-cells", {2});
        t.empty("gpio-controller");
        t.cells("interrupts", {kind_spi, c.spi, level_high});
        t.cells("clocks", {c.clock_phandle});
        t.text("clock-names", "apb_pclk");
        if (c.more) c.more();
    });
}

} // namespace mimic::machines::arm_virt
