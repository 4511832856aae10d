// EL3 without EL2: EL2's registers are there for EL3 alone, and are zero; what of its operations is left.
#include "el3.h"

CODE(c_level, "mrs x0, currentel");
CODE(c_hvc, "hvc #6");
CODE(c_tge, "mrs x0, hcr_el2");

#define DOES(text)                                                                                                     \
    ({                                                                                                                 \
        u64 before_ = own_faults;                                                                                      \
        asm volatile(text "\n nop" : : "r"(0ul) : "memory");                                                           \
        own_faults == before_ ? 1 : 0;                                                                                 \
    })
// Keeps a value of all ones?
#define KEEPS(reg)                                                                                                     \
    ({                                                                                                                 \
        u64 before_ = own_faults;                                                                                      \
        write_sysreg(reg, ~0ul);                                                                                       \
        u64 v_ = read_sysreg(reg);                                                                                     \
        own_faults == before_ ? v_ : 0xbad;                                                                            \
    })

int main(void) {
    start_el3();
    print("pfr0.el2 %x\n", read_sysreg(id_aa64pfr0_el1) >> 8 & 15);
    print("hcr %x vbar %x sctlr %x cptr %x ttbr0 %x\n", KEEPS(hcr_el2), KEEPS(vbar_el2), KEEPS(sctlr_el2),
          KEEPS(cptr_el2), KEEPS(ttbr0_el2));
    print("cnthctl %x cntvoff %x hpfar %x\n", KEEPS(cnthctl_el2), KEEPS(cntvoff_el2), KEEPS(hpfar_el2));
    print("vpidr %x vmpidr %x\n", read_sysreg(vpidr_el2) == read_sysreg(midr_el1),
          read_sysreg(vmpidr_el2) == read_sysreg(mpidr_el1));
    print("sp_el1 %x\n", KEEPS(sp_el1));
    print("tlbi: alle1 %d vmalls12e1 %d ipas2e1 %d alle2 %d vae2 %d alle3 %d\n", DOES("tlbi alle1"),
          DOES("tlbi vmalls12e1is"), DOES("tlbi ipas2e1, %0"), DOES("tlbi alle2"), DOES("tlbi vae2, %0"),
          DOES("tlbi alle3is"));
    print("at: s1e1r %d s12e1r %d s1e2r %d s1e3r %d\n", DOES("at s1e1r, %0"), DOES("at s12e1r, %0"),
          DOES("at s1e2r, %0"), DOES("at s1e3r, %0"));
    scr(SCR_NS | SCR_HCE);
    run("el1", c_level, 0, EL1H);
    run("hvc of el1", c_hvc, 0, EL1H);
    run("hcr of el1", c_tge, 0, EL1H);
    u64 v;
    asm volatile("adr %0, 1f\nmsr elr_el3, %0\nmov %0, #0x3c9\nmsr spsr_el3, %0\neret\n1: nop\nmrs %0, currentel"
                 : "=&r"(v)
                 :
                 : "memory");
    print("to el2: esr %x el %x\n", own_esr, v);
    scr(0);
    run("secure el1", c_level, 0, EL1H);
    power_off();
    return 0;
}
