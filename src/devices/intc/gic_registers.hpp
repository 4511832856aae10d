// System registers of GICv3 CPU interfaces, as BoardRequest::number has them. Arm IHI 0069H, chapter 12. A guest of a hypervisor
// reaches the ICV_ registers by the encodings of ICC_.
#pragma once
#include "base/types.hpp"

namespace mimic::devices::gicv3 {

// op0 is 3.
constexpr u32 encoding(u32 op1, u32 CRn, u32 CRm, u32 op2) { return 3u << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2; }

enum RegisterNumber : u32 {
    ICC_PMR_EL1 = encoding(0, 4, 6, 0),
    ICC_IAR0_EL1 = encoding(0, 12, 8, 0),
    ICC_EOIR0_EL1 = encoding(0, 12, 8, 1),
    ICC_HPPIR0_EL1 = encoding(0, 12, 8, 2),
    ICC_BPR0_EL1 = encoding(0, 12, 8, 3),
    ICC_AP0R0_EL1 = encoding(0, 12, 8, 4),
    ICC_AP1R0_EL1 = encoding(0, 12, 9, 0),
    ICC_DIR_EL1 = encoding(0, 12, 11, 1),
    ICC_RPR_EL1 = encoding(0, 12, 11, 3),
    ICC_SGI1R_EL1 = encoding(0, 12, 11, 5),
    ICC_ASGI1R_EL1 = encoding(0, 12, 11, 6),
    ICC_SGI0R_EL1 = encoding(0, 12, 11, 7),
    ICC_IAR1_EL1 = encoding(0, 12, 12, 0),
    ICC_EOIR1_EL1 = encoding(0, 12, 12, 1),
    ICC_HPPIR1_EL1 = encoding(0, 12, 12, 2),
    ICC_BPR1_EL1 = encoding(0, 12, 12, 3),
    ICC_CTLR_EL1 = encoding(0, 12, 12, 4),
    ICC_SRE_EL1 = encoding(0, 12, 12, 5),
    ICC_IGRPEN0_EL1 = encoding(0, 12, 12, 6),
    ICC_IGRPEN1_EL1 = encoding(0, 12, 12, 7),
    ICC_SRE_EL2 = encoding(4, 12, 9, 5),
    ICC_CTLR_EL3 = encoding(6, 12, 12, 4),
    ICC_SRE_EL3 = encoding(6, 12, 12, 5),
    ICC_IGRPEN1_EL3 = encoding(6, 12, 12, 7),
    ICH_AP0R0_EL2 = encoding(4, 12, 8, 0),
    ICH_AP1R0_EL2 = encoding(4, 12, 9, 0),
    ICH_HCR_EL2 = encoding(4, 12, 11, 0),
    ICH_VTR_EL2 = encoding(4, 12, 11, 1),
    ICH_MISR_EL2 = encoding(4, 12, 11, 2),
    ICH_EISR_EL2 = encoding(4, 12, 11, 3),
    ICH_ELRSR_EL2 = encoding(4, 12, 11, 5),
    ICH_VMCR_EL2 = encoding(4, 12, 11, 7),
    ICH_LR0_EL2 = encoding(4, 12, 12, 0)
};
inline constexpr u32 ICC_CTLR_PRIbits_5 = 4 << 8; // ICC_CTLR_EL1, ICV_CTLR_EL1: five bits of priority

} // namespace mimic::devices::gicv3
