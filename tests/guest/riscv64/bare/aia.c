// Advanced interrupt architecture: windows to interrupt files, messages to them, both domains of the APLIC, and what a hart
// takes. The other hart is sent a message.
#include "bare.h"

#define IMSIC_M ((volatile u32*)0x24000000)
#define IMSIC_S ((volatile u32*)0x28000000)
#define PAGE_WORDS 1024
#define APLIC_M 0xc000000ul
#define APLIC_S 0xd000000ul
#define REG(at) (*(volatile u32*)(at))

enum { eidelivery = 0x70, eithreshold = 0x72, eip0 = 0x80, eie0 = 0xc0 };
enum {
    domaincfg = 0,
    sourcecfg = 0,
    mmsiaddrcfg = 0x1bc0,
    setip = 0x1c00,
    setipnum = 0x1cdc,
    in_clrip = 0x1d00,
    clripnum = 0x1ddc,
    setie = 0x1e00,
    setienum = 0x1edc,
    clrienum = 0x1fdc,
    setipnum_le = 0x2000,
    genmsi = 0x3000,
    target = 0x3000,
    idc = 0x4000
};

// By number: the assembler knows no names of them.
#define csr_swap(number, v)                                                                                            \
    ({                                                                                                                 \
        u64 old_;                                                                                                      \
        asm volatile("csrrw %0, " #number ", %1" : "=r"(old_) : "r"((u64)(v)) : "memory");                             \
        old_;                                                                                                          \
    })
static u64 m_read(u64 select) {
    csr_write(0x350, select);
    return csr_read(0x351);
}
static void m_write(u64 select, u64 v) {
    csr_write(0x350, select);
    csr_write(0x351, v);
}
static u64 s_read(u64 select) {
    csr_write(0x150, select);
    return csr_read(0x151);
}
static void s_write(u64 select, u64 v) {
    csr_write(0x150, select);
    csr_write(0x151, v);
}

static volatile u64 taken, last_claim, last_top, other_ready, other_claim;
static u64 on_interrupt(struct frame* f) {
    if (!(trap_cause >> 63)) {
        f->reg[10] = trap_cause | TRAPPED;
        return trap_pc + 4;
    }
    last_top = csr_read(0xfb0);
    if (trap_cause == (1ul << 63 | 11)) {
        last_claim = csr_swap(0x35c, 0);
        if (csr_read(mhartid)) other_claim = last_claim;
    } else {
        csr_clear(mie, 1ul << (trap_cause & 63));
    }
    taken++;
    return csr_read(mepc);
}
// A message is seen at once by nobody but who waits for it.
static u64 claim(void) {
    u64 v = 0;
    for (u64 n = 0; n < 100000 && !v; ++n) v = csr_swap(0x35c, 0);
    return v;
}
static char frames[2][4096] __attribute__((aligned(16)));

void secondary(u64 hart) {
    if (hart != 1) return;
    csr_write(mscratch, frames[1] + 4096);
    m_write(eidelivery, 1);
    m_write(eie0, 1ul << 33);
    csr_write(mie, 1ul << 11);
    other_ready = 1;
    while (!other_claim) {
        asm volatile("wfi");
        csr_set(mstatus, 8);
        csr_clear(mstatus, 8);
    }
    other_ready = 2;
}

static void files(void) {
    print("delivery %x threshold %x eip0 %x eie0 %x\n", m_read(eidelivery), m_read(eithreshold), m_read(eip0),
          m_read(eie0));
    for (u64 n = 0; n < 8; n += 2) m_write(eip0 + n, -1ul), m_write(eie0 + n, -1ul);
    print("ones: eip0 %x eip6 %x eie0 %x eie6 %x\n", m_read(eip0), m_read(eip0 + 6), m_read(eie0), m_read(eie0 + 6));
    print("top %x\n", csr_read(0x35c));
    m_write(eithreshold, 1);
    print("top below 1: %x\n", csr_read(0x35c));
    m_write(eithreshold, 2);
    print("top below 2: %x\n", csr_read(0x35c));
    m_write(eithreshold, 0);
    for (int n = 0; n < 4; ++n) print("claim %x\n", csr_swap(0x35c, 0));
    csr_write(0x350, eip0);
    csr_write(0x351, 0xff00);
    csr_set(0x351, 0x30001);
    csr_clear(0x351, 0x1000);
    print("eip0 %x top %x\n", csr_read(0x351), csr_read(0x35c));
    m_write(eip0, 0), m_write(eip0 + 2, 0), m_write(eip0 + 4, 0), m_write(eip0 + 6, 0);
    print("empty: top %x\n", csr_read(0x35c));
    IMSIC_M[0] = 77;
    IMSIC_M[0] = 33;
    IMSIC_M[0] = 0;
    IMSIC_M[0] = 256;
    print("messages:");
    for (int n = 0; n < 3; ++n) print(" %x", csr_swap(0x35c, 0));
    print(" read %x\n", IMSIC_M[0]);
}

// Hart 0's own, by interrupt: not delivered, then delivered.
static void delivery(void) {
    csr_write(mie, 1ul << 11);
    IMSIC_M[0] = 5;
    print("mip %x mtopi %x\n", csr_read(mip) >> 11 & 1, csr_read(0xfb0) >> 16);
    m_write(eidelivery, 1);
    print("mip %x mtopi %x\n", csr_read(mip) >> 11 & 1, csr_read(0xfb0) >> 16);
    csr_set(mstatus, 8);
    while (!taken) {}
    print("taken %d claim %x top %x mip %x\n", taken, last_claim, last_top >> 16, csr_read(mip) >> 11 & 1);
    IMSIC_M[0] = 6;
    while (taken != 2) {}
    print("claim %x\n", last_claim);
    // the timer behind it in order
    csr_clear(mstatus, 8);
    MTIMECMP[0] = 0;
    while (!(csr_read(mip) & 0x80)) {}
    csr_write(mie, 0x880);
    print("mtopi %x\n", csr_read(0xfb0) >> 16);
    IMSIC_M[0] = 7;
    while (!(csr_read(mip) & 0x800)) {}
    print("mtopi %x\n", csr_read(0xfb0) >> 16);
    csr_swap(0x35c, 0);
    print("mtopi %x\n", csr_read(0xfb0) >> 16);
    csr_write(mie, 0);
    MTIMECMP[0] = -1ul;
    print("mtopi %x\n", csr_read(0xfb0) >> 16);
}

static u64 s_top(u64 a) {
    (void)a;
    return csr_read(0xdb0);
}
static u64 s_claim(u64 a) { return csr_swap(0x15c, a); }
static u64 s_of_machine(u64 a) {
    (void)a;
    return csr_read(0x35c);
}
static u64 s_select(u64 a) { return s_read(a); }

static void supervisor(void) {
    csr_write(0x3b0, -1ul >> 10);
    csr_write(0x3a0, 0x1f);
    s_write(eidelivery, 1);
    s_write(eie0, -1ul);
    csr_write(mideleg, 0x222);
    IMSIC_S[0] = 9;
    while (!(csr_read(mip) & 0x200)) {}
    print("stopi %x\n", csr_read(0xdb0) >> 16);
    csr_write(sie, 0x200);
    print("stopi %x mtopi %x\n", csr_read(0xdb0) >> 16, csr_read(0xfb0) >> 16);
    on_trap = 0;
    print("S: stopi %x", attempt(s_top, 0, supervisor_level) >> 16);
    print(" claim %x", attempt(s_claim, 0, supervisor_level));
    print(" claim %x", attempt(s_claim, 0, supervisor_level));
    print(" mtopei %x", attempt(s_of_machine, 0, supervisor_level));
    print(" sip %x\n", csr_read(sip) & 0x200);
    for (u64 n = 0; n < 7; ++n) {
        static const u64 selects[] = {0x2f, 0x31, 0x40, 0x70, 0x81, 0xc1, 0x100};
        print("S: select %x: %x\n", selects[n], attempt(s_select, selects[n], supervisor_level));
    }
    print("U: stopi %x stopei %x sireg %x\n", attempt(s_top, 0, user_level), attempt(s_claim, 0, user_level),
          attempt(s_select, 0x70, user_level));
    on_trap = on_interrupt;
}

static void domains(void) {
    REG(APLIC_M + domaincfg) = 0;
    print("domaincfg %x\n", REG(APLIC_M + domaincfg) & ~4u);
    REG(APLIC_M + domaincfg) = 0x104;
    REG(APLIC_S + domaincfg) = 0x104;
    print("domaincfg %x %x\n", REG(APLIC_M + domaincfg), REG(APLIC_S + domaincfg));
    // machine level: messages to hart 0 (two harts: one bit of index), page by page
    REG(APLIC_M + mmsiaddrcfg) = 0x24000;
    REG(APLIC_M + mmsiaddrcfg + 4) = 1u << 12;
    REG(APLIC_M + mmsiaddrcfg + 8) = 0x28000;
    REG(APLIC_M + mmsiaddrcfg + 12) = 0;
    for (u64 mode = 0; mode < 8; ++mode) {
        if (mode == 2 || mode == 3) continue;
        REG(APLIC_M + sourcecfg + 4 * 40) = mode;
        print("mode %x: %x inputs %x\n", mode, REG(APLIC_M + sourcecfg + 4 * 40), REG(APLIC_M + in_clrip + 4));
    }
    REG(APLIC_M + sourcecfg + 4 * 40) = 0;
    REG(APLIC_M + setienum) = 40;
    REG(APLIC_M + setipnum) = 40;
    print("inactive: enabled %x pending %x\n", REG(APLIC_M + setie + 4), REG(APLIC_M + setip + 4));
    REG(APLIC_M + sourcecfg + 4 * 40) = 1;
    REG(APLIC_M + target + 4 * 40) = 99;
    REG(APLIC_M + setipnum) = 40;
    print("pending %x enabled %x top %x\n", REG(APLIC_M + setip + 4), REG(APLIC_M + setie + 4), csr_read(0x35c));
    REG(APLIC_M + clripnum) = 40;
    print("pending %x\n", REG(APLIC_M + setip + 4));
    REG(APLIC_M + setipnum_le) = 40;
    REG(APLIC_M + setie + 4) = 1u << 8;
    print("sent: %x pending %x enabled %x\n", claim(), REG(APLIC_M + setip + 4), REG(APLIC_M + setie + 4));
    REG(APLIC_M + clrienum) = 40;
    print("enabled %x\n", REG(APLIC_M + setie + 4));
    REG(APLIC_M + genmsi) = 123;
    print("sent: %x\n", claim());
    // delegated to the supervisor's domain
    REG(APLIC_M + sourcecfg + 4 * 41) = 1u << 10;
    REG(APLIC_S + sourcecfg + 4 * 41) = 4;
    REG(APLIC_S + target + 4 * 41) = 50;
    REG(APLIC_S + setienum) = 41;
    REG(APLIC_S + setipnum) = 41;
    print("delegated: %x %x top %x\n", REG(APLIC_M + sourcecfg + 4 * 41), REG(APLIC_S + sourcecfg + 4 * 41),
          csr_swap(0x15c, 0));
    REG(APLIC_S + sourcecfg + 4 * 41) = 1u << 10;
    print("a leaf delegates: %x enabled %x\n", REG(APLIC_S + sourcecfg + 4 * 41), REG(APLIC_S + setie + 4));
    REG(APLIC_S + mmsiaddrcfg) = 5;
    print("supervisor's addresses: %x\n", REG(APLIC_S + mmsiaddrcfg));
    REG(APLIC_M + sourcecfg + 4 * 97) = 1;
    print("no source: %x\n", REG(APLIC_M + sourcecfg + 4 * 97));
    // the serial port's line: empties at once, so it asks
    REG(APLIC_M + sourcecfg + 4 * 10) = 6;
    REG(APLIC_M + target + 4 * 10) = 60;
    REG(APLIC_M + setienum) = 10;
    UART[1] = 2;
    print("line: %x input %x pending %x\n", claim(), REG(APLIC_M + in_clrip) >> 10 & 1, REG(APLIC_M + setip) >> 10 & 1);
    REG(APLIC_M + setipnum) = 10;
    print("still: %x\n", claim());
    UART[1] = 0;
    print("low: input %x\n", REG(APLIC_M + in_clrip) >> 10 & 1);
    REG(APLIC_M + mmsiaddrcfg + 4) = 1u << 31 | 1u << 12;
    REG(APLIC_M + mmsiaddrcfg) = 0;
    print("locked: %x\n", REG(APLIC_M + mmsiaddrcfg + 4) >> 31);
}

int main(void) {
    on_trap = on_interrupt;
    csr_write(mscratch, frames[0] + 4096);
    while (other_ready != 1) {}
    files();
    delivery();
    IMSIC_M[PAGE_WORDS] = 33;
    while (other_ready != 2) {}
    print("other hart: %x\n", other_claim);
    supervisor();
    csr_write(mscratch, frames[0] + 4096);
    domains();
    return 0;
}
