// A virtual machine of KVM with one processor, memory and a GIC: kvm VERSION. Its program prints to a device that is this
// program: what it stores there, by several kinds of instructions, is shown; a load gets the number of loads so far. It takes an
// interrupt of the virtual timer and one that it sends itself, and switches off by PSCI. Status 2: KVM has no such GIC.
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY 0x80000000ul
#define SIZE 0x10000ul

// x19: the device; x20: distributor; x21: CPU interface of version 2, redistributor of version 3; x22: version; x23, x24: interrupts
asm(".pushsection .rodata\n.balign 2048\n.globl guest_begin, guest_end\nguest_begin:\n"
    "b begin\n.balign 2048\nvectors:\n.rept 5\n.balign 128\nb .\n.endr\n"
    ".balign 128\ncmp x22, #3\nb.eq 1f\n"
    "ldr w1, [x21, #0xc]\nb 2f\n"
    "1: mrs x1, S3_0_C12_C12_0\n" // ICC_IAR1_EL1
    "2: str w1, [x19, #8]\nand w2, w1, #0x3ff\ncmp w2, #27\nb.ne 3f\nmov x3, #2\nmsr cntv_ctl_el0, x3\nmov x23, #1\n"
    "3: cmp w2, #5\nb.ne 4f\nmov x24, #1\n"
    "4: cmp x22, #3\nb.eq 5f\nstr w1, [x21, #0x10]\neret\n"
    "5: msr S3_0_C12_C12_1, x1\neret\n" // ICC_EOIR1_EL1
    ".rept 10\n.balign 128\nb .\n.endr\n"
    "begin: adr x0, vectors\nmsr vbar_el1, x0\n"
    "mov w0, #'A'\nstrb w0, [x19]\nmov x1, #4\nstrh w0, [x19, x1, lsl #1]\nstr x19, [x19, #16]\n"
    "ldr w2, [x19, #32]\nldrsw x3, [x19, #36]\nldrsb w4, [x19, #40]\nadd w2, w2, w3\nadd w2, w2, w4\nstur w2, [x19, "
    "#4]\n"
    "cmp x22, #3\nb.eq 1f\n"
    "mov w0, #1\nstr w0, [x20]\nldr w0, =0x8000020\nstr w0, [x20, #0x100]\nmov w0, #0xf0\nstr w0, [x21, #4]\n"
    "mov w0, #1\nstr w0, [x21]\nb 2f\n"
    "1: mov w0, #0x12\nstr w0, [x20]\nmov x1, #0x10000\nadd x1, x21, x1\nmov w0, #-1\nstr w0, [x1, #0x80]\n"
    "ldr w0, =0x8000020\nstr w0, [x1, #0x100]\nmov x0, #0xf0\nmsr S3_0_C4_C6_0, x0\n" // ICC_PMR_EL1
    "mov x0, #1\nmsr S3_0_C12_C12_7, x0\nisb\n"                                       // ICC_IGRPEN1_EL1
    "2: mrs x0, cntvct_el0\nadd x0, x0, #4095\nmsr cntv_cval_el0, x0\nmov x0, #1\nmsr cntv_ctl_el0, x0\nmsr daifclr, "
    "#2\n"
    "3: msr daifset, #2\ncbnz x23, 6f\nwfi\nmsr daifclr, #2\nisb\nb 3b\n6: msr daifclr, #2\n"
    "cmp x22, #3\nb.eq 4f\nldr w0, =0x2000005\nstr w0, [x20, #0xf00]\nb 5f\n"
    "4: mov x0, #(5 << 24)\norr x0, x0, #1\nmsr S3_0_C12_C11_5, x0\n" // ICC_SGI1R_EL1
    "5: cbz x24, 5b\n"
    "mov w0, #'Z'\nstrb w0, [x19]\nmovz x0, #0x8400, lsl #16\nmovk x0, #8\nhvc #0\nb "
    ".\n.ltorg\nguest_end:\n.popsection\n");
extern const char guest_begin[], guest_end[];

static int ask(int fd, unsigned long what, void* argument, const char* name) {
    int got = ioctl(fd, what, argument);
    if (got < 0) err(1, "%s", name);
    return got;
}
#define ASK(fd, what, argument) ask(fd, what, (void*)(argument), #what)

static void set(int cpu, uint64_t id, uint64_t value) {
    struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)&value};
    ASK(cpu, KVM_SET_ONE_REG, &r);
}
static void set_x(int cpu, unsigned n, uint64_t value) {
    set(cpu, KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.regs[n]), value);
}

static void give_frame(int gic, uint64_t which, uint64_t address) {
    struct kvm_device_attr a = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR, .attr = which, .addr = (uintptr_t)&address};
    ASK(gic, KVM_SET_DEVICE_ATTR, &a);
}

int main(int argc, char** argv) {
    const int version = argc > 1 ? atoi(argv[1]) : 2, three = version == 3;
    int kvm = open("/dev/kvm", O_RDWR);
    if (kvm < 0) err(1, "/dev/kvm");
    int vm = ASK(kvm, KVM_CREATE_VM, 0);
    char* memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(memory, guest_begin, guest_end - guest_begin);
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = MEMORY, .memory_size = SIZE, .userspace_addr = (uintptr_t)memory};
    ASK(vm, KVM_SET_USER_MEMORY_REGION, &region);
    struct kvm_create_device device = {.type = three ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2};
    if (ioctl(vm, KVM_CREATE_DEVICE, &device) < 0) {
        printf("kvm %d: no such GIC\n", version);
        return 2;
    }
    int cpu = ASK(vm, KVM_CREATE_VCPU, 0);
    struct kvm_vcpu_init init;
    ASK(vm, KVM_ARM_PREFERRED_TARGET, &init);
    init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
    ASK(cpu, KVM_ARM_VCPU_INIT, &init);
    give_frame(device.fd, three ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST, 0x8000000);
    give_frame(device.fd, three ? KVM_VGIC_V3_ADDR_TYPE_REDIST : KVM_VGIC_V2_ADDR_TYPE_CPU, 0x80a0000);
    struct kvm_device_attr ready = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL, .attr = KVM_DEV_ARM_VGIC_CTRL_INIT};
    ASK(device.fd, KVM_SET_DEVICE_ATTR, &ready);
    set(cpu, KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc), MEMORY);
    const uint64_t first[] = {0x9000000, 0x8000000, 0x80a0000, version, 0, 0};
    for (unsigned n = 0; n < sizeof first / sizeof *first; ++n) set_x(cpu, 19 + n, first[n]);
    struct kvm_run* run = mmap(NULL, ASK(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    for (uint32_t loads = 0;;) {
        ASK(cpu, KVM_RUN, 0);
        uint64_t value = 0;
        switch (run->exit_reason) {
        case KVM_EXIT_MMIO:
            if (run->mmio.is_write)
                memcpy(&value, run->mmio.data, run->mmio.len);
            else
                value = ++loads, memcpy(run->mmio.data, &value, run->mmio.len);
            printf("kvm %d: %s %llx %u: %lx\n", version, run->mmio.is_write ? "store" : "load", run->mmio.phys_addr,
                   run->mmio.len, value);
            break;
        case KVM_EXIT_SYSTEM_EVENT: printf("kvm %d: event %u\n", version, run->system_event.type); return 0;
        default: printf("kvm %d: exit %u\n", version, run->exit_reason); return 1;
        }
    }
}
