// Between process.cpp and the machine code of a host; nobody else includes it.
#pragma once
#include "base/types.hpp"

extern "C" {
using mimic::i64;
using mimic::u32;
using mimic::u64;
[[gnu::visibility("hidden")]] extern const char mimic_guarded_begin[], mimic_guarded_end[];
[[gnu::visibility("hidden")]] extern const char mimic_restart_begin[], mimic_restart_end[], mimic_restart_leave[],
    mimic_restart_again[];
// {begin, end, continue at}, offsets from the table; ends with zeros.
[[gnu::visibility("hidden")]] extern const i64 mimic_guarded_table[][3];

int mimic_guarded_load1(const void* address, void* out);
int mimic_guarded_load2(const void* address, void* out);
int mimic_guarded_load4(const void* address, void* out);
int mimic_guarded_load8(const void* address, void* out);
int mimic_guarded_load16(const void* address, void* out);
int mimic_guarded_store1(void* address, const void* in);
int mimic_guarded_store2(void* address, const void* in);
int mimic_guarded_store4(void* address, const void* in);
int mimic_guarded_store8(void* address, const void* in);
int mimic_guarded_store16(void* address, const void* in);
int mimic_guarded_cas1(void* address, const void* expected, const void* desired, void* old);
int mimic_guarded_cas2(void* address, const void* expected, const void* desired, void* old);
int mimic_guarded_cas4(void* address, const void* expected, const void* desired, void* old);
int mimic_guarded_cas8(void* address, const void* expected, const void* desired, void* old);
int mimic_guarded_cas16(void* address, const void* expected, const void* desired, void* old);
u64 mimic_guarded_copy(void* to, const void* from, u64 n);
u64 mimic_guarded_zero(void* to, u64 n);
i64 mimic_guarded_strnlen(const char* address, u64 max);
i64 mimic_interruptible_syscall(const u32* pending, long number, const u64* arguments);
void mimic_signal_restorer();
}
