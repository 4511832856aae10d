// Kernels that UEFI could start, too, are PE files: their headers say how long the file is. Source: Microsoft, "PE Format":
// MS-DOS stub, COFF file header, section table.
#pragma once
#include "base/result.hpp"
#include <span>

namespace mimic::machines {

// Errors: the file is a PE file and shorter than its sections. What is no PE file is not looked at.
Result<void> check_whole_pe(std::span<const u8> file);

} // namespace mimic::machines
